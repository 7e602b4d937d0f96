#include "scan.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "checkpoint.h"
#include "fault.h"
#include "le.h"
#include "log.h"
#include "reader.h"

#define LOOKS_MAX 10 /* at a place that changes under way */

static bool ends_in(const char *name, const char *end)
{
    size_t len = strlen(name);
    size_t end_len = strlen(end);
    return len >= end_len && strcmp(name + len - end_len, end) == 0;
}

static void classify(struct scan *s)
{
    if (checkpoint_seq(s->name, &s->number)) {
        s->kind = SCAN_CHECKPOINT;
        return;
    }
    s->number = log_number(s->name);
    if (s->number > 0) {
        s->kind = SCAN_SEGMENT;
    } else if (strncmp(s->name, "saved-", 6) == 0) {
        s->kind = SCAN_SAVED;
    } else if (ends_in(s->name, ".tmp")) {
        s->kind = SCAN_UNFINISHED;
    } else {
        s->kind = strcmp(s->name, "lock") == 0 ? SCAN_LOCK : SCAN_OTHER;
    }
}

static void bad(struct scan *s, const struct reader *r, const char *why)
{
    s->state = SCAN_BAD;
    s->bad_at = r->at;
    snprintf(s->problem, sizeof(s->problem), "%s", why);
}

/* --- records --- */

static void count_ops(struct scan *s, struct slice payload)
{
    for (struct record_op op; record_next(&payload, &op) == 1;) {
        switch (op.kind) {
        case RECORD_PUT:
            s->puts++;
            break;
        case RECORD_DELETE:
            s->deletes++;
            break;
        case RECORD_FLUSH:
            s->flushes++;
            break;
        case RECORD_OUTCOME:
        default:
            s->outcomes++;
            break;
        }
    }
}

static void count_record(struct scan *s, const struct record_header *h, struct slice payload)
{
    s->commits += h->kind == RECORD_COMMIT;
    s->markers += h->kind == RECORD_MARKER;
    s->parts += h->kind == RECORD_PART;
    if (h->kind == RECORD_COMMIT || h->kind == RECORD_PART) {
        count_ops(s, payload);
    }
}

static void measure_rest(struct scan *s, struct reader *r)
{
    struct record_header h;
    uint64_t at = r->at;
    uint64_t end = 0;
    while (reader_find(r, &h, &end)) {
        reader_leave(r, &h, &end);
    }
    s->behind = end > at ? end - at : 0;
}

static void judge_end(struct scan *s, struct reader *r, enum reader_found found)
{
    bool is_log = s->header.kind == FILE_LOG;
    bad(s, r, is_log ? reader_reason(found) : found == READER_FILE_ENDS ? "its end is missing" : reader_reason(found));
    measure_rest(s, r);
    if (is_log && s->behind == 0) {
        s->state = SCAN_WHOLE; /* zeros, for further records */
    }
}

static void read_records(struct scan *s, struct reader *r)
{
    struct reader_place place = {s->header.check, s->header.seq};
    struct record_header h;
    struct slice payload;
    enum reader_found found;
    s->last = s->header.seq;
    s->chain = s->header.check;
    s->used = r->at;
    while ((found = reader_record(r, &place, s->header.kind, &h, &payload)) == READER_RECORD) {
        bool is_end = h.kind == RECORD_END;
        bool count_holds = !is_end || le_get64(payload.data) == s->puts;
        count_record(s, &h, payload);
        if (!count_holds) {
            bad(s, r, "the number of keys is not that of its end");
            return;
        }
        place = (struct reader_place){h.check, h.seq};
        s->last = h.seq;
        s->chain = h.check;
        reader_pass(r, RECORD_HEADER_BYTES + h.length);
        s->used = r->at;
        if (is_end) {
            if (r->at != r->size) {
                bad(s, r, "something stands behind its end");
                s->behind = r->size - r->at;
            }
            return;
        }
    }
    judge_end(s, r, found);
}

/* --- files --- */

static void read_good_header(struct scan *s, struct reader *r)
{
    enum file_kind wanted = s->kind == SCAN_SEGMENT ? FILE_LOG : FILE_CHECKPOINT;
    uint64_t number = wanted == FILE_LOG ? s->header.number : s->header.seq;
    if (s->header.kind != wanted || number != s->number) {
        bad(s, r, "the header is that of another file");
        s->behind = r->size;
        return;
    }
    reader_pass(r, FILE_HEADER_BYTES);
    r->id = s->header.id;
    read_records(s, r);
}

static void read_header(struct scan *s, struct reader *r)
{
    bool whole = reader_have(r, FILE_HEADER_BYTES);
    enum file_header_found found =
        whole ? file_header_read(&s->header, reader_bytes(r), &s->version) : s->kind == SCAN_SEGMENT ? FILE_HEADER_ZERO : FILE_HEADER_BAD;
    switch (found) {
    case FILE_HEADER_GOOD:
        read_good_header(s, r);
        break;
    case FILE_HEADER_UNKNOWN:
        s->state = SCAN_UNKNOWN;
        snprintf(s->problem, sizeof(s->problem), "format version %" PRIu32 " is unknown to txkv %s", s->version, TXKV_VERSION);
        break;
    case FILE_HEADER_ZERO:
        if (s->kind == SCAN_SEGMENT && reader_rest_is_zero(r)) {
            s->state = SCAN_UNUSED;
            break;
        } /* fall through */
    case FILE_HEADER_BAD:
    default:
        bad(s, r, "no header, or a damaged one");
        s->bad_at = 0;
        measure_rest(s, r);
        break;
    }
}

void scan_file(struct scan *s, struct disk *d, const char *name)
{
    struct reader r;
    *s = (struct scan){.state = SCAN_WHOLE};
    snprintf(s->name, sizeof(s->name), "%s", name);
    classify(s);
    if (reader_open(&r, d, name) == 0) {
        s->size = r.size;
        if (s->kind == SCAN_CHECKPOINT || s->kind == SCAN_SEGMENT) {
            read_header(s, &r);
        }
    }
    if (r.error < 0) {
        s->state = r.file < 0 && r.error == -ENOENT ? SCAN_GONE : SCAN_NOT_READ;
        s->error = r.error;
        s->bad_at = r.at;
    }
    reader_close(&r);
}

/* --- all of them --- */

struct naming {
    struct scans *scans;
    bool failed;
};

static void on_name(void *arg, const char *name)
{
    struct naming *n = arg;
    struct scans *s = n->scans;
    struct scan *more = n->failed ? NULL : realloc(s->all, (s->count + 1) * sizeof(*more));
    if (more == NULL) {
        n->failed = true;
        return;
    }
    s->all = more;
    snprintf(s->all[s->count++].name, DISK_NAME_MAX, "%s", name);
}

static void scan_until_it_stays(struct scan *s, struct disk *d)
{
    for (int looks = 0; s->state == SCAN_BAD && looks < LOOKS_MAX && !FAULT(looked_at_once); looks++) {
        struct scan before = *s;
        scan_file(s, d, before.name);
        if (s->state == SCAN_BAD && s->bad_at == before.bad_at && s->behind == before.behind) {
            break;
        }
    }
}

static int compare(const void *a, const void *b)
{
    const struct scan *x = a;
    const struct scan *y = b;
    int kinds = (x->kind > y->kind) - (x->kind < y->kind);
    int numbers = (x->number > y->number) - (x->number < y->number);
    return kinds != 0 ? kinds : numbers != 0 ? numbers : strcmp(x->name, y->name);
}

int scans_read(struct scans *s, struct disk *d, bool live)
{
    *s = (struct scans){0};
    struct naming naming = {s, false};
    int rc = d->ops->list(d, on_name, &naming);
    if (rc < 0 || naming.failed) {
        return rc < 0 ? rc : -ENOMEM;
    }
    for (size_t i = 0; i < s->count; i++) {
        char name[DISK_NAME_MAX];
        memcpy(name, s->all[i].name, sizeof(name));
        scan_file(&s->all[i], d, name);
        if (live) {
            scan_until_it_stays(&s->all[i], d);
        }
    }
    if (s->count > 1) {
        qsort(s->all, s->count, sizeof(*s->all), compare);
    }
    return 0;
}

void scans_look_again(struct scans *s, struct disk *d)
{
    for (size_t i = 0; i < s->count; i++) {
        scan_until_it_stays(&s->all[i], d);
    }
}

void scans_free(struct scans *s)
{
    free(s->all);
    *s = (struct scans){0};
}
