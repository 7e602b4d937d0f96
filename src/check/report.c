#include "report.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* --- files --- */

static void print_header(const struct scan *s, FILE *to)
{
    char text[32] = "an unknown time";
    time_t seconds = (time_t)s->header.time;
    struct tm tm;
    if (gmtime_r(&seconds, &tm) != NULL) {
        strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S UTC", &tm);
    }
    fprintf(to, ", format %" PRIu32 ", directory %016" PRIx64 ", begun %s", s->version, s->header.id, text);
}

static void print_checkpoint(const struct scan *s, FILE *to)
{
    if (s->used > 0) {
        print_header(s, to);
        fprintf(to, "\n    as of commit %" PRIu64 ": %" PRIu64 " parts, %" PRIu64 " keys, %" PRIu64 " outcomes; %" PRIu64 " bytes", s->number,
               s->parts, s->puts, s->outcomes, s->size);
    } else {
        fprintf(to, ", %" PRIu64 " bytes", s->size);
    }
}

static void print_segment(const struct scan *s, FILE *to)
{
    if (s->state == SCAN_UNUSED) {
        fprintf(to, ", made ahead and not used yet, %" PRIu64 " bytes", s->size);
        return;
    }
    if (s->used == 0) {
        fprintf(to, ", %" PRIu64 " bytes", s->size);
        return;
    }
    print_header(s, to);
    if (s->commits > 0) {
        fprintf(to, "\n    commits %" PRIu64 " to %" PRIu64 ": ", s->header.seq + 1, s->last);
    } else {
        fprintf(to, "\n    behind commit %" PRIu64 ": ", s->header.seq);
    }
    fprintf(to, "%" PRIu64 " commits, %" PRIu64 " markers; %" PRIu64 " puts, %" PRIu64 " deletes, %" PRIu64 " flushes, %" PRIu64
           " outcomes; %" PRIu64 " of %" PRIu64 " bytes used", s->commits, s->markers, s->puts, s->deletes, s->flushes, s->outcomes,
           s->used + s->behind, s->size);
}

static void print_problem(const struct scan *s, FILE *to)
{
    switch (s->state) {
    case SCAN_BAD:
        fprintf(to, "    byte %" PRIu64 ": %s", s->bad_at, s->problem);
        if (s->kind == SCAN_SEGMENT && s->used > 0) {
            fprintf(to, ", where commit %" PRIu64 " should be", s->last + 1);
        }
        fprintf(to, "; %" PRIu64 " bytes from there on\n", s->behind);
        break;
    case SCAN_UNKNOWN:
        fprintf(to, "    byte 8: %s\n", s->problem);
        break;
    case SCAN_NOT_READ:
        fprintf(to, "    byte %" PRIu64 ": cannot be read: %s\n", s->bad_at, strerror(-s->error));
        break;
    case SCAN_WHOLE:
    case SCAN_UNUSED:
    case SCAN_GONE:
    default:
        break;
    }
}

static void print_file(const struct scan *s, FILE *to)
{
    static const char *const kinds[] = {
        [SCAN_CHECKPOINT] = "checkpoint", [SCAN_SEGMENT] = "segment of the log", [SCAN_SAVED] = "put aside by a start or a repair",
        [SCAN_UNFINISHED] = "not finished, nothing needs it", [SCAN_OTHER] = "no file of txkv's"};
    if (s->kind == SCAN_LOCK || s->state == SCAN_GONE) {
        return;
    }
    fprintf(to, "%s: %s", s->name, kinds[s->kind]);
    switch (s->kind) {
    case SCAN_CHECKPOINT:
        print_checkpoint(s, to);
        break;
    case SCAN_SEGMENT:
        print_segment(s, to);
        break;
    case SCAN_SAVED:
    case SCAN_UNFINISHED:
    case SCAN_LOCK:
    case SCAN_OTHER:
    default:
        fprintf(to, ", %" PRIu64 " bytes", s->size);
        break;
    }
    fprintf(to, "\n");
    print_problem(s, to);
}

/* --- summing up --- */

const struct scan *report_other_damage(const struct scans *scans, const struct reading *r)
{
    const struct recovery *found = &r->found;
    for (size_t i = 0; i < scans->count; i++) {
        const struct scan *s = &scans->all[i];
        bool may_be_tail = (r->live || r->result == RECOVER_TORN) && s->kind == SCAN_SEGMENT && s->number >= found->segment;
        if (s->state == SCAN_BAD && !may_be_tail) {
            return s;
        }
    }
    return NULL;
}

static void print_state(const struct recovery *found, FILE *to)
{
    fprintf(to, "all up to commit %" PRIu64 " is there (", found->last);
    if (found->has_checkpoint) {
        fprintf(to, "checkpoint of commit %" PRIu64 ", ", found->checkpoint);
    }
    fprintf(to, "%" PRIu64 " commits of the log)\n", found->commits);
}

enum check_status report_verdict(const struct reading *r, const struct scan *other, FILE *to)
{
    const struct recovery *found = &r->found;
    if (r->overtaken) {
        fprintf(to, "not read: the server changes the files faster than they can be read; this says nothing of the data, a BACKUP can be read\n");
        return CHECK_NOT_READ;
    }
    switch (r->result) {
    case RECOVER_FAILED:
        fprintf(to, "not read: %s\n", found->problem);
        return CHECK_NOT_READ;
    case RECOVER_DAMAGED:
        fprintf(to, "damaged: %s; a server does not start on it\n", found->problem);
        return CHECK_DAMAGED;
    case RECOVER_TORN:
        if (r->live) {
            fprintf(to, "clean, and a batch is being written: %" PRIu64 " bytes behind commit %" PRIu64 " are not whole yet\n",
                    found->tail_bytes, found->last);
            return CHECK_CLEAN;
        }
        fprintf(to, "torn: %s; a server cuts it when it starts\n", found->problem);
        return CHECK_DAMAGED;
    case RECOVER_CLEAN:
    default:
        break;
    }
    if (other != NULL) {
        fprintf(to, "damaged, but nothing is missing: what is damaged in %s is not needed; ", other->name);
        print_state(found, to);
        return CHECK_DAMAGED;
    }
    if (found->id == 0) {
        fprintf(to, "clean: no commit is in it yet\n");
        return CHECK_CLEAN;
    }
    fprintf(to, "clean: ");
    print_state(found, to);
    return CHECK_CLEAN;
}

static bool is_data(const struct scans *scans)
{
    for (size_t i = 0; i < scans->count; i++) {
        if (scans->all[i].kind <= SCAN_SAVED) {
            return true;
        }
    }
    return false;
}

static bool is_unreadable(const struct scans *scans)
{
    bool unreadable = false;
    for (size_t i = 0; i < scans->count; i++) {
        unreadable = unreadable || scans->all[i].state == SCAN_NOT_READ || scans->all[i].state == SCAN_UNKNOWN;
    }
    return unreadable;
}

enum check_status report_run(struct disk *d, const char *path, bool live, FILE *to)
{
    struct scans scans;
    struct reading r;
    enum check_status status = CHECK_NOT_READ;
    int rc = scans_read(&scans, d, live);
    if (rc < 0) {
        fprintf(stderr, "txkv-check: %s: %s\n", path, strerror(-rc));
    } else if (!is_data(&scans)) {
        fprintf(stderr, "txkv-check: %s: there is no data of txkv's in it\n", path);
    } else {
        reading_verify(&r, d, live);
        if (live) {
            scans_look_again(&scans, d);
        }
        for (size_t i = 0; i < scans.count; i++) {
            print_file(&scans.all[i], to);
        }
        status = report_verdict(&r, report_other_damage(&scans, &r), to);
        status = is_unreadable(&scans) ? CHECK_NOT_READ : status;
    }
    scans_free(&scans);
    return status;
}
