#include "recover.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "checkpoint.h"
#include "fault.h"
#include "le.h"
#include "reader.h"
#include "recover_files.h"

static void say(struct recovery *found, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void say(struct recovery *found, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(found->problem, sizeof(found->problem), format, args);
    va_end(args);
}

/* --- the way through one directory --- */

struct recovering {
    struct disk *disk;
    const struct recover_sink *sink;
    struct recovery *found;
    struct recover_names checkpoints;
    struct recover_names segments;
    uint64_t passed_bytes; /* of all files so far, for the progress */
    uint64_t total_bytes;
};

static void progress(struct recovering *r, uint64_t bytes)
{
    if (r->sink->progress != NULL) {
        r->sink->progress(r->sink->arg, r->passed_bytes + bytes, r->total_bytes);
    }
}

/* The disk did not give what it has, which says nothing of what it has. */
static enum recover_result refused(struct recovering *r, const char *name, uint64_t at, int error)
{
    say(r->found, "%s: byte %" PRIu64 ": %s", name, at, strerror(-error));
    return RECOVER_FAILED;
}

static enum recover_result failed(struct recovering *r, const struct reader *reader)
{
    return refused(r, reader->name, reader->at, reader->error);
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

struct span {
    size_t first;   /* index of the first segment to be read */
    size_t last;    /* of the last one */
    uint64_t bytes; /* of all from the first to the last */
    bool any;
    bool broken; /* behind the last one, one is missing */
};

static enum recover_result segment_refused(struct recovering *r, uint64_t number, const struct segment_look *look)
{
    char name[DISK_NAME_MAX];
    log_name(number, name);
    return look->error < 0 ? refused(r, name, look->at, look->error) : unknown_format(r, name, look->version);
}

/* Which segments are to be read: from the newest one that begins at or before the checkpoint. Those made ahead stand behind those in
 * use. Nothing needs what stands before: a server beside may be removing it. */
static enum recover_result choose_segments(struct recovering *r, struct span *span)
{
    struct recover_names *s = &r->segments;
    bool reaches = false; /* one begins at or before the checkpoint */
    bool begins = false;  /* one has a header */
    *span = (struct span){0};
    for (size_t i = s->count; i > 0; i--) {
        struct segment_look look = recover_look_at(r->disk, s->numbers[i - 1]);
        if (look.state == SEGMENT_REFUSED || (look.state == SEGMENT_GONE && !reaches)) {
            return segment_refused(r, s->numbers[i - 1], &look);
        }
        if (look.state == SEGMENT_UNUSED || reaches) {
            continue;
        }
        reaches = look.state == SEGMENT_USED && look.seq <= r->found->checkpoint;
        begins = begins || look.state == SEGMENT_USED;
        span->first = i - 1;
        span->last = span->any ? span->last : i - 1;
        span->bytes += look.bytes;
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

static enum recover_result not_listed(struct recovering *r, int rc)
{
    say(r->found, "the directory cannot be listed: %s", strerror(-rc));
    return RECOVER_FAILED;
}

/* The segments are listed when the checkpoint has been read, which may take a while: beside a server the log has gone on by then, and
 * what was needed before has not. */
static enum recover_result read_all(struct recovering *r)
{
    int rc = recover_list_checkpoints(&r->checkpoints, r->disk);
    if (rc < 0) {
        return not_listed(r, rc);
    }
    enum recover_result result = read_newest_checkpoint(r);
    if (result == RECOVER_FAILED) {
        return result;
    }
    rc = recover_list_segments(&r->segments, r->disk);
    if (rc < 0) {
        return not_listed(r, rc);
    }
    return judge_reach(r->found, read_log(r, result == RECOVER_DAMAGED));
}

enum recover_result recover_read(struct disk *d, const struct recover_sink *sink, struct recovery *found)
{
    *found = (struct recovery){0};
    struct recovering r = {.disk = d, .sink = sink, .found = found};
    enum recover_result result = read_all(&r);
    recover_names_free(&r.checkpoints);
    recover_names_free(&r.segments);
    return result;
}
