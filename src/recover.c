#include "recover.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "checkpoint.h"
#include "fault.h"
#include "le.h"
#include "reader.h"

#define COPY_AT_ONCE ((size_t)1 << 20)

static void say(struct recovery *found, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void say(struct recovery *found, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(found->problem, sizeof(found->problem), format, args);
    va_end(args);
}

/* --- the way through one directory --- */

struct names {
    uint64_t *numbers; /* ascending */
    size_t count;
    size_t room;
};

struct recovering {
    struct disk *disk;
    const struct recover_sink *sink;
    struct recovery *found;
    struct names checkpoints;
    struct names segments;
    uint64_t passed_bytes; /* of all files so far, for the progress */
    uint64_t total_bytes;
    bool out_of_memory;
};

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static void names_add(struct recovering *r, struct names *names, uint64_t number)
{
    if (names->count == names->room) {
        size_t room = names->room == 0 ? 16 : 2 * names->room;
        uint64_t *more = realloc(names->numbers, room * sizeof(*more));
        if (more == NULL) {
            r->out_of_memory = true;
            return;
        }
        names->numbers = more;
        names->room = room;
    }
    names->numbers[names->count++] = number;
}

static void on_checkpoint(void *arg, const char *name)
{
    struct recovering *r = arg;
    uint64_t seq;
    if (checkpoint_seq(name, &seq)) {
        names_add(r, &r->checkpoints, seq);
    }
}

static void on_segment(void *arg, const char *name)
{
    struct recovering *r = arg;
    if (log_number(name) > 0) {
        names_add(r, &r->segments, log_number(name));
    }
}

static int list_names(struct recovering *r, struct names *names, void (*visit)(void *arg, const char *name))
{
    int rc = r->disk->ops->list(r->disk, visit, r);
    if (rc == 0 && r->out_of_memory) {
        rc = -ENOMEM;
    }
    if (rc < 0) {
        say(r->found, "the directory cannot be listed: %s", strerror(-rc));
        return rc;
    }
    if (names->count > 1) {
        qsort(names->numbers, names->count, sizeof(uint64_t), compare);
    }
    return 0;
}

static void progress(struct recovering *r, uint64_t bytes)
{
    if (r->sink->progress != NULL) {
        r->sink->progress(r->sink->arg, r->passed_bytes + bytes, r->total_bytes);
    }
}

/* The disk did not give what it has, which says nothing of what it has. */
static enum recover_result failed(struct recovering *r, const struct reader *reader)
{
    say(r->found, "%s: byte %" PRIu64 ": %s", reader->name, reader->at, strerror(-reader->error));
    return RECOVER_FAILED;
}

static enum recover_result unknown_format(struct recovering *r, const char *name, uint32_t version)
{
    say(r->found, "%s: format version %" PRIu32 " is unknown to txkv %s, which reads versions %u to %u: use the version of txkv that wrote it",
        name, version, TXKV_VERSION, RECORD_FORMAT_OLDEST, RECORD_FORMAT);
    return RECOVER_FAILED;
}

static enum recover_result no_memory(struct recovering *r, const char *name)
{
    say(r->found, "%s: no memory for what it holds", name);
    return RECOVER_FAILED;
}

/* All files of a directory are of one server. */
static bool same_directory(struct recovering *r, uint64_t id)
{
    if (r->found->id == 0) {
        r->found->id = id;
    }
    return r->found->id == id;
}

/* --- checkpoints --- */

/* The records of a checkpoint, its end too. CLEAN, DAMAGED, or FAILED. */
static enum recover_result read_parts(struct recovering *r, struct reader *reader, const struct file_header *header)
{
    struct reader_place place = {header->check, header->seq};
    struct record_header h;
    struct slice payload;
    while (reader_record(reader, &place, FILE_CHECKPOINT, &h, &payload) == READER_RECORD) {
        size_t size = RECORD_HEADER_BYTES + h.length;
        if (h.kind == RECORD_END) {
            r->found->checkpoint_keys = reader->puts;
            if (le_get64(payload.data) != reader->puts || reader->at + size != reader->size) {
                return RECOVER_DAMAGED;
            }
            /* One without keys has no part: the commit counts still. */
            return r->sink->part(r->sink->arg, h.seq, slice_of(payload.data, 0)) < 0 ? no_memory(r, reader->name) : RECOVER_CLEAN;
        }
        if (r->sink->part(r->sink->arg, h.seq, payload) < 0) {
            return no_memory(r, reader->name);
        }
        place.chain = h.check;
        reader_pass(reader, size);
        progress(r, reader->at);
    }
    return reader->error < 0 ? failed(r, reader) : RECOVER_DAMAGED;
}

static enum recover_result read_checkpoint(struct recovering *r, uint64_t seq)
{
    char name[DISK_NAME_MAX];
    struct reader reader;
    struct file_header header;
    uint32_t version;
    enum recover_result result = RECOVER_DAMAGED;
    checkpoint_name(seq, name);
    if (reader_open(&reader, r->disk, name) < 0) {
        result = failed(r, &reader);
        goto end;
    }
    r->total_bytes += reader.size;
    if (!reader_have(&reader, FILE_HEADER_BYTES)) {
        result = reader.error < 0 ? failed(r, &reader) : RECOVER_DAMAGED;
        goto end;
    }
    enum file_header_found what = file_header_read(&header, reader_bytes(&reader), &version);
    if (what == FILE_HEADER_UNKNOWN) {
        result = unknown_format(r, name, version);
        goto end;
    }
    if (what != FILE_HEADER_GOOD || header.kind != FILE_CHECKPOINT || header.seq != seq) {
        goto end;
    }
    reader_pass(&reader, FILE_HEADER_BYTES);
    reader.id = header.id;
    result = read_parts(r, &reader, &header);
    if (result == RECOVER_CLEAN && !same_directory(r, header.id)) {
        say(r->found, "%s: it is of another server's directory", name);
        result = RECOVER_FAILED;
    }
end:
    if (result == RECOVER_DAMAGED) {
        say(r->found, "%s: byte %" PRIu64 ": damaged, or not whole", name, reader.at);
    }
    r->passed_bytes += reader.size;
    r->found->checkpoint_bytes = reader.size;
    reader_close(&reader);
    return result;
}

/* The newest whole one. CLEAN also where there is none at all; DAMAGED where all are damaged: the log may still reach back to
 * the beginning. */
static enum recover_result read_newest_checkpoint(struct recovering *r)
{
    struct recovery *found = r->found;
    for (size_t i = r->checkpoints.count; i > 0; i--) {
        uint64_t seq = r->checkpoints.numbers[i - 1];
        enum recover_result result = read_checkpoint(r, seq);
        if (result == RECOVER_CLEAN) {
            found->has_checkpoint = true;
            found->checkpoint = seq;
            found->last = seq;
            return RECOVER_CLEAN;
        }
        if (result == RECOVER_FAILED || found->damaged_count == RECOVER_DAMAGED_MAX) {
            return result;
        }
        found->damaged[found->damaged_count++] = seq;
        r->sink->reset(r->sink->arg);
    }
    found->checkpoint_keys = 0;
    return found->damaged_count > 0 ? RECOVER_DAMAGED : RECOVER_CLEAN;
}

/* --- the log --- */

/* Whether from here on a record stands that says that commit seq was on disk when it was written. *end: behind the last byte
 * that is not zero, 0 where all are. Goes through all that is left. */
static bool proves_synced(struct reader *r, uint64_t seq, uint64_t *end)
{
    bool proven = false;
    struct record_header h;
    *end = 0;
    while (reader_find(r, &h, end)) {
        proven = proven || h.synced >= seq;
        reader_leave(r, &h, end);
    }
    return proven;
}

static void say_too_short(struct recovery *found, const char *name)
{
    say(found, "%s: byte %" PRIu64 ": the log ends at commit %" PRIu64 ", but there is a checkpoint of commit %" PRIu64, name, found->segment_at,
        found->last, found->checkpoint);
}

/* No valid record stands at the reader's place, in the last segment that is in use. */
static enum recover_result judge_tail(struct recovering *r, struct reader *reader)
{
    struct recovery *found = r->found;
    uint64_t at = reader->at;
    uint64_t end;
    found->segment_at = at;
    bool proven = proves_synced(reader, found->last + 1, &end);
    found->tail_bytes = end > at ? end - at : 0;
    if (reader->error < 0) {
        return failed(r, reader);
    }
    if (proven) {
        say(found, "%s: byte %" PRIu64 ": commit %" PRIu64 " is damaged, and a record behind it says that it had been on disk", reader->name,
            at, found->last + 1);
        return RECOVER_DAMAGED;
    }
    if (found->last < found->checkpoint) {
        say_too_short(found, reader->name);
        return RECOVER_DAMAGED;
    }
    if (found->tail_bytes > 0) {
        say(found,
            "%s: byte %" PRIu64 ": %" PRIu64 " bytes behind commit %" PRIu64 " are no whole commit: a write that was not finished and not "
            "acknowledged, or damage to the last synced batch",
            reader->name, at, found->tail_bytes, found->last);
        return RECOVER_TORN;
    }
    return RECOVER_CLEAN;
}

/* Takes the records from here on, up to the first place where no valid one stands. CLEAN or FAILED. */
static enum recover_result take_records(struct recovering *r, struct reader *reader, struct reader_place *place)
{
    struct recovery *found = r->found;
    struct record_header h;
    struct slice payload;
    while (reader_record(reader, place, FILE_LOG, &h, &payload) == READER_RECORD) {
        bool was_synced = h.synced == place->last && reader->at > FILE_HEADER_BYTES; /* the first says nothing of the header */
        found->synced_at = was_synced ? reader->at : found->synced_at;
        place->chain = h.check;
        place->last = h.seq;
        found->chain = h.check;
        found->last = h.seq;
        if (h.kind == RECORD_COMMIT && h.seq > found->checkpoint) {
            if (r->sink->commit(r->sink->arg, h.seq, payload) < 0) {
                return no_memory(r, reader->name);
            }
            found->commits++;
        }
        reader_pass(reader, RECORD_HEADER_BYTES + h.length);
        found->segment_at = reader->at;
        progress(r, reader->at);
    }
    return reader->error < 0 ? failed(r, reader) : RECOVER_CLEAN;
}

/* Damage to commits that the checkpoint holds loses nothing: reading goes on at the next record, as long as no commit that is
 * needed has been passed. False where there is none; the reader is anywhere then. */
static bool pass_over(const struct recovering *r, struct reader *reader, struct reader_place *place)
{
    struct record_header h;
    uint64_t end = 0;
    if (reader_have(reader, 1)) {
        reader_pass(reader, 1);
    }
    while (reader_find(reader, &h, &end)) {
        uint64_t before = h.seq - (h.kind == RECORD_COMMIT);
        if (before > r->found->checkpoint) {
            return false;
        }
        if (before >= place->last) {
            *place = (struct reader_place){h.chain, before};
            return true;
        }
        reader_pass(reader, 1);
    }
    return false;
}

/* Reads the records of a segment whose header has been passed. `follows`: a later segment is in use. */
static enum recover_result read_records(struct recovering *r, struct reader *reader, struct reader_place *place, bool follows)
{
    struct recovery *found = r->found;
    enum recover_result result = take_records(r, reader, place);
    while (result == RECOVER_CLEAN && found->last < found->checkpoint) {
        if (!pass_over(r, reader, place)) {
            say_too_short(found, reader->name);
            return reader->error < 0 ? failed(r, reader) : RECOVER_DAMAGED;
        }
        result = take_records(r, reader, place);
    }
    if (result != RECOVER_CLEAN) {
        return result;
    }
    if (!follows) {
        return judge_tail(r, reader);
    }
    uint64_t at = reader->at;
    uint64_t end;
    proves_synced(reader, place->last + 1, &end);
    if (reader->error < 0) {
        return failed(r, reader);
    }
    if (end > at) {
        found->tail_bytes = end - at;
        say(found, "%s: byte %" PRIu64 ": commit %" PRIu64 " is damaged, and the log goes on in the next segment", reader->name, at, place->last + 1);
        return RECOVER_DAMAGED;
    }
    return RECOVER_CLEAN;
}

/* Whether a segment's header continues the log where the one before has ended; the first one may begin anywhere. */
static bool continues(const struct recovery *found, const struct file_header *header, bool first)
{
    return first || FAULT(chain_not_checked) || (header->seq == found->last && header->chain == found->chain);
}

static enum recover_result bad_header(struct recovering *r, const char *name)
{
    say(r->found, "%s: byte 0: the header is damaged, or does not continue the segment before it", name);
    return RECOVER_DAMAGED;
}

/* The last segment in use has no whole header: its first write was torn, where nothing stands behind the header, or zeros stand in
 * its place. Of a header that was damaged later, the records are there. */
static enum recover_result judge_header(struct recovering *r, struct reader *reader, enum file_header_found what)
{
    enum recover_result result = judge_tail(r, reader);
    bool has_records = what != FILE_HEADER_ZERO && r->found->tail_bytes > FILE_HEADER_BYTES;
    return result == RECOVER_TORN && has_records ? bad_header(r, reader->name) : result;
}

static enum recover_result read_segment(struct recovering *r, uint64_t number, bool first, bool follows)
{
    struct recovery *found = r->found;
    char name[DISK_NAME_MAX];
    struct reader reader;
    struct file_header header;
    uint32_t version;
    enum recover_result result;
    log_name(number, name);
    if (reader_open(&reader, r->disk, name) < 0) {
        result = failed(r, &reader);
        goto end;
    }
    enum file_header_found what = FILE_HEADER_ZERO; /* shorter than a header: nothing of it was ever used */
    if (reader_have(&reader, FILE_HEADER_BYTES)) {
        what = file_header_read(&header, reader_bytes(&reader), &version);
    }
    reader.id = what == FILE_HEADER_GOOD ? header.id : found->id;
    found->segment = number;
    found->segment_at = 0;
    found->synced_at = 0;
    found->segments++;
    if (reader.error < 0) {
        result = failed(r, &reader);
    } else if (!follows && what != FILE_HEADER_GOOD) {
        result = judge_header(r, &reader, what);
    } else if (what != FILE_HEADER_GOOD || header.kind != FILE_LOG || header.number != number || !continues(found, &header, first)) {
        result = bad_header(r, name);
    } else if (!same_directory(r, header.id)) {
        say(found, "%s: it is of another server's directory", name);
        result = RECOVER_FAILED;
    } else {
        struct reader_place place = {header.check, header.seq};
        found->chain = header.check;
        found->last = header.seq;
        found->segment_at = FILE_HEADER_BYTES;
        reader_pass(&reader, FILE_HEADER_BYTES);
        result = read_records(r, &reader, &place, follows);
    }
end:
    r->passed_bytes += reader.size;
    found->log_bytes += reader.at;
    reader_close(&reader);
    return result;
}

enum segment_state { SEGMENT_UNUSED, SEGMENT_USED, SEGMENT_BAD, SEGMENT_REFUSED, SEGMENT_GONE };

/* What a segment's header says; without reading more of it. *bytes: its size. */
static enum segment_state look_at(struct recovering *r, uint64_t number, uint64_t *seq, uint64_t *bytes)
{
    char name[DISK_NAME_MAX];
    struct reader reader;
    struct file_header header;
    uint32_t version;
    enum segment_state state = SEGMENT_BAD;
    log_name(number, name);
    if (reader_open(&reader, r->disk, name) < 0) {
        state = reader.file < 0 && reader.error == -ENOENT ? SEGMENT_GONE : SEGMENT_REFUSED;
        failed(r, &reader);
        reader_close(&reader);
        return state;
    }
    if (reader_have(&reader, FILE_HEADER_BYTES)) {
        switch (file_header_read(&header, reader_bytes(&reader), &version)) {
        case FILE_HEADER_GOOD:
            *seq = header.seq;
            state = SEGMENT_USED;
            break;
        case FILE_HEADER_ZERO:
            state = reader_rest_is_zero(&reader) ? SEGMENT_UNUSED : SEGMENT_BAD;
            break;
        case FILE_HEADER_UNKNOWN:
            unknown_format(r, name, version);
            state = SEGMENT_REFUSED;
            break;
        case FILE_HEADER_BAD:
        default:
            break;
        }
    } else if (reader.error == 0) {
        state = reader_rest_is_zero(&reader) ? SEGMENT_UNUSED : SEGMENT_BAD; /* shorter than a header */
    }
    if (reader.error < 0) {
        failed(r, &reader);
        state = SEGMENT_REFUSED;
    }
    *bytes = reader.size;
    reader_close(&reader);
    return state;
}

struct span {
    size_t first;   /* index of the first segment to be read */
    size_t last;    /* of the last one */
    uint64_t bytes; /* of all from the first to the last */
    bool any;
    bool broken; /* behind the last one, one is missing */
};

/* Which segments are to be read: from the newest one that begins at or before the checkpoint. Those made ahead stand behind those in
 * use. Nothing needs what stands before: a server beside may be removing it. */
static enum recover_result choose_segments(struct recovering *r, struct span *span)
{
    struct names *s = &r->segments;
    bool reaches = false; /* one begins at or before the checkpoint */
    bool begins = false;  /* one has a header */
    *span = (struct span){0};
    for (size_t i = s->count; i > 0; i--) {
        uint64_t seq = 0;
        uint64_t bytes = 0;
        enum segment_state state = look_at(r, s->numbers[i - 1], &seq, &bytes);
        if (state == SEGMENT_REFUSED || (state == SEGMENT_GONE && !reaches)) {
            return RECOVER_FAILED;
        }
        if (state == SEGMENT_UNUSED || reaches) {
            continue;
        }
        reaches = state == SEGMENT_USED && seq <= r->found->checkpoint;
        begins = begins || state == SEGMENT_USED;
        span->first = i - 1;
        span->last = span->any ? span->last : i - 1;
        span->bytes += bytes;
        span->any = true;
    }
    if (begins && !reaches) {
        say(r->found, "the log begins after commit %" PRIu64 ", the newest that is known otherwise: commits are missing",
            r->found->checkpoint);
        return RECOVER_DAMAGED;
    }
    for (size_t i = span->first + 1; span->any && i <= span->last; i++) {
        if (s->numbers[i] != s->numbers[i - 1] + 1) {
            span->last = i - 1;
            span->broken = true;
        }
    }
    return RECOVER_CLEAN;
}

static enum recover_result read_log(struct recovering *r, bool needs_all)
{
    struct span span;
    enum recover_result result = choose_segments(r, &span);
    if (result != RECOVER_CLEAN) {
        return result;
    }
    if (!span.any) {
        return needs_all ? RECOVER_DAMAGED : RECOVER_CLEAN; /* `problem` tells of the checkpoint */
    }
    r->found->first_segment = r->segments.numbers[span.first];
    r->total_bytes += span.bytes; /* of all at once: the time left is told from it */
    for (size_t i = span.first; i <= span.last; i++) {
        result = read_segment(r, r->segments.numbers[i], i == span.first, i < span.last || span.broken);
        if (result != RECOVER_CLEAN) {
            return result;
        }
    }
    if (span.broken) {
        say(r->found, "segments of the log are missing behind number %" PRIx64 ", commit %" PRIu64, r->found->segment,
            r->found->last);
        return RECOVER_DAMAGED;
    }
    return result;
}

/* A checkpoint gets its name when it and the log up to its commit are on disk: that there is one, damaged or not, says how far the
 * log went. */
static enum recover_result judge_reach(struct recovery *found, enum recover_result result)
{
    bool is_whole = result == RECOVER_CLEAN || result == RECOVER_TORN;
    if (!is_whole || found->damaged_count == 0 || found->last >= found->damaged[0]) {
        return result;
    }
    say(found, "all that is whole ends at commit %" PRIu64 ", but there is a checkpoint of commit %" PRIu64 ", which is damaged", found->last,
        found->damaged[0]);
    return RECOVER_DAMAGED;
}

/* The segments are listed when the checkpoint has been read, which may take a while: beside a server the log has gone on by then, and
 * what was needed before has not. */
static enum recover_result read_all(struct recovering *r)
{
    if (list_names(r, &r->checkpoints, on_checkpoint) < 0) {
        return RECOVER_FAILED;
    }
    enum recover_result result = read_newest_checkpoint(r);
    if (result == RECOVER_FAILED || list_names(r, &r->segments, on_segment) < 0) {
        return RECOVER_FAILED;
    }
    return judge_reach(r->found, read_log(r, result == RECOVER_DAMAGED));
}

enum recover_result recover_read(struct disk *d, const struct recover_sink *sink, struct recovery *found)
{
    *found = (struct recovery){0};
    struct recovering r = {.disk = d, .sink = sink, .found = found};
    enum recover_result result = read_all(&r);
    free(r.checkpoints.numbers);
    free(r.segments.numbers);
    return result;
}

/* --- settling --- */

struct settling {
    struct disk *disk;
    const struct recovery *found;
    int error; /* the first one */
};

static void keep_error(struct settling *s, int rc)
{
    s->error = s->error < 0 || rc >= 0 ? s->error : rc;
}

/* The number of a segment that was put aside is used again by the log, so it can come here twice. */
int recover_put_aside(struct disk *d, const char *name)
{
    char saved[DISK_NAME_MAX];
    snprintf(saved, sizeof(saved), "saved-%.40s", name);
    int taken = d->ops->open(d, saved, DISK_READ);
    for (unsigned again = 2; taken >= 0; again++) {
        d->ops->close(d, taken);
        snprintf(saved, sizeof(saved), "saved-%.40s.%u", name, again);
        taken = d->ops->open(d, saved, DISK_READ);
    }
    return taken == -ENOENT ? d->ops->rename(d, name, saved) : taken;
}

static void move_aside(struct settling *s, const char *name)
{
    keep_error(s, recover_put_aside(s->disk, name));
}

static void copy_bytes(struct settling *s, int from, uint64_t from_at, uint64_t count, int to, uint64_t to_at)
{
    char *bytes = malloc(COPY_AT_ONCE);
    keep_error(s, bytes == NULL ? -ENOMEM : 0);
    for (uint64_t done = 0; s->error == 0 && done < count;) {
        uint64_t left = count - done;
        size_t size = left < COPY_AT_ONCE ? (size_t)left : COPY_AT_ONCE;
        ssize_t got = disk_read_all(s->disk, from, bytes, size, from_at + done);
        keep_error(s, got < 0 ? (int)got : disk_write_all(s->disk, to, bytes, (size_t)got, to_at + done));
        done += size;
    }
    free(bytes);
}

/* A copy of what is about to be cut; one of an attempt that was interrupted is replaced. */
static void save_tail(struct settling *s, int file)
{
    struct disk *d = s->disk;
    char saved[DISK_NAME_MAX];
    snprintf(saved, sizeof(saved), "saved-log-%016" PRIx64 "-%" PRIx64, s->found->segment, s->found->segment_at);
    d->ops->remove(d, saved);
    int copy = d->ops->open(d, saved, DISK_CREATE);
    if (copy < 0) {
        keep_error(s, copy);
        return;
    }
    copy_bytes(s, file, s->found->segment_at, s->found->tail_bytes, copy, 0);
    keep_error(s, s->error == 0 ? d->ops->sync(d, copy) : 0);
    keep_error(s, d->ops->close(d, copy));
    keep_error(s, s->error == 0 ? d->ops->sync_names(d) : 0);
    if (s->error < 0) {
        d->ops->remove(d, saved); /* it is not whole, and would look as if something had been kept */
    }
}

/* Zeros stand behind the tail, as the segment was made of them. Without them a full disk has room for the copy. */
static void cut_zeros(struct settling *s, int file)
{
    struct disk *d = s->disk;
    uint64_t size;
    uint64_t end = s->found->segment_at + s->found->tail_bytes;
    int rc = d->ops->size(d, file, &size);
    keep_error(s, rc == 0 && size > end ? d->ops->truncate(d, file, end) : rc);
}

/* The segment in which the log ends: without its tail, and on disk. What nothing shows to be on disk is written anew: after a sync
 * that failed the system may go on to show what was written, and a further sync would not write it. */
static void settle_last(struct settling *s)
{
    struct disk *d = s->disk;
    char name[DISK_NAME_MAX];
    if (s->found->segment == 0) {
        return;
    }
    log_name(s->found->segment, name);
    if (s->found->segment_at == 0) {
        move_aside(s, name);
        return;
    }
    int file = d->ops->open(d, name, DISK_WRITE);
    if (file < 0) {
        keep_error(s, file);
        return;
    }
    copy_bytes(s, file, s->found->synced_at, s->found->segment_at - s->found->synced_at, file, s->found->synced_at);
    if (s->found->tail_bytes > 0 && s->error == 0) {
        cut_zeros(s, file);
        if (s->error == 0) {
            save_tail(s, file);
        }
        keep_error(s, s->error == 0 ? d->ops->truncate(d, file, s->found->segment_at) : 0);
    }
    keep_error(s, s->error == 0 ? d->ops->sync(d, file) : 0);
    keep_error(s, d->ops->close(d, file));
}

/* Those behind the end that were made ahead and not used. They go first: what is to be kept needs their room on a full disk. */
static void remove_unused(struct recovering *r, struct settling *s, uint64_t end)
{
    size_t left = 0;
    for (size_t i = 0; i < r->segments.count; i++) {
        uint64_t number = r->segments.numbers[i];
        uint64_t seq;
        uint64_t bytes;
        char name[DISK_NAME_MAX];
        enum segment_state state = SEGMENT_USED;
        if (number > end && s->error == 0) {
            state = look_at(r, number, &seq, &bytes);
        }
        if (state == SEGMENT_REFUSED) {
            keep_error(s, -EIO); /* it could be read before; what is in it is not known now */
        }
        if (state == SEGMENT_UNUSED) {
            log_name(number, name);
            keep_error(s, s->disk->ops->remove(s->disk, name));
        } else {
            r->segments.numbers[left++] = number;
        }
    }
    r->segments.count = left;
}

/* What the others behind the end hold is given up. */
static void move_rest_aside(struct recovering *r, struct settling *s, uint64_t end)
{
    for (size_t i = 0; i < r->segments.count && s->error == 0; i++) {
        char name[DISK_NAME_MAX];
        log_name(r->segments.numbers[i], name);
        if (r->segments.numbers[i] > end) {
            move_aside(s, name);
        }
    }
}

int recover_settle(struct disk *d, const struct recovery *found, struct log *log)
{
    static const struct recover_sink nobody = {0};
    static const char *const unfinished[] = {"log-next.tmp", "checkpoint.tmp"};
    struct recovery scratch = *found;
    struct recovering r = {.disk = d, .sink = &nobody, .found = &scratch};
    struct settling s = {.disk = d, .found = found};
    bool behind = found->last < found->checkpoint; /* nothing of the log is needed, and it cannot be continued */
    uint64_t end = behind ? 0 : found->segment;
    uint64_t highest = 0;
    keep_error(&s, list_names(&r, &r.segments, on_segment));
    if (s.error == 0 && r.segments.count > 0) {
        highest = r.segments.numbers[r.segments.count - 1];
    }
    for (size_t i = 0; i < sizeof(unfinished) / sizeof(unfinished[0]); i++) {
        int rc = d->ops->remove(d, unfinished[i]);
        keep_error(&s, rc == -ENOENT ? 0 : rc);
    }
    for (size_t i = 0; i < found->damaged_count && s.error == 0; i++) {
        char name[DISK_NAME_MAX];
        checkpoint_name(found->damaged[i], name);
        move_aside(&s, name);
    }
    remove_unused(&r, &s, end);
    if (s.error == 0 && !behind) {
        settle_last(&s);
    }
    move_rest_aside(&r, &s, end);
    keep_error(&s, s.error == 0 ? d->ops->sync_names(d) : 0);
    uint64_t number = behind ? highest : found->segment_at == 0 && found->segment > 0 ? found->segment - 1 : found->segment;
    uint64_t last = behind ? found->checkpoint : found->last;
    *log = (struct log){.disk = d, .id = found->id, .end = {.file = -1}, .number = number, .chain = behind ? 0 : found->chain,
                        .last = last, .synced = last, .segment_bytes = log->segment_bytes};
    free(r.segments.numbers);
    return s.error;
}
