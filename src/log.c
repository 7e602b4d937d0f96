#include "log.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "fault.h"

#define NEXT_NAME "log-next.tmp"

void log_name(uint64_t number, char name[DISK_NAME_MAX])
{
    snprintf(name, DISK_NAME_MAX, "log-%016" PRIx64, number);
}

/* The one way to write a number is log_name's, so that two names cannot be the same segment. */
uint64_t log_number(const char *name)
{
    char again[DISK_NAME_MAX];
    uint64_t number = strncmp(name, "log-", 4) == 0 ? strtoull(name + 4, NULL, 16) : 0;
    log_name(number, again);
    return strcmp(name, again) == 0 ? number : 0;
}

static int fill_with_zeros(const struct log *log, int file)
{
    char *zeros = disk_piece_make();
    int rc = zeros == NULL ? -ENOMEM : 0;
    for (uint64_t at = 0; rc == 0 && at < log->segment_bytes; at += DISK_PIECE_BYTES) {
        size_t left = log->segment_bytes - at;
        rc = disk_write_all(log->disk, file, zeros, left < DISK_PIECE_BYTES ? left : DISK_PIECE_BYTES, at);
    }
    free(zeros);
    return rc == 0 ? log->disk->ops->sync(log->disk, file) : rc;
}

int log_make(const struct log *log, uint64_t number)
{
    struct disk *d = log->disk;
    char name[DISK_NAME_MAX];
    log_name(number, name);
    int rc = d->ops->remove(d, NEXT_NAME); /* one that was not finished */
    if (rc < 0 && rc != -ENOENT) {
        return rc;
    }
    CRASH_POINT(segment_create);
    int file = d->ops->open(d, NEXT_NAME, DISK_CREATE);
    if (file < 0) {
        return file;
    }
    rc = fill_with_zeros(log, file);
    int closed = d->ops->close(d, file);
    rc = rc < 0 ? rc : closed;
    CRASH_POINT(segment_zeroed);
    if (rc == 0) {
        rc = d->ops->rename(d, NEXT_NAME, name);
    }
    if (rc < 0) {
        d->ops->remove(d, NEXT_NAME);
        return rc;
    }
    CRASH_POINT(segment_renamed);
    if (FAULT(names_not_synced)) {
        return 0;
    }
    rc = d->ops->sync_names(d);
    if (rc < 0) {
        d->ops->remove(d, name);
    }
    return rc;
}

int log_prepare(struct log *log)
{
    return append_prepare(&log->end);
}

/* Goes on to the next segment, whose header takes the first bytes of the batch. */
static int begin_segment(struct log *log, char *bytes, uint64_t time)
{
    struct disk *d = log->disk;
    char name[DISK_NAME_MAX];
    if (log->end.file >= 0) {
        int rc = log_sync(log);
        int closed = d->ops->close(d, log->end.file);
        log->end.file = -1;
        if (rc < 0 || closed < 0) {
            return rc < 0 ? rc : closed;
        }
    }
    log_name(log->number + 1, name);
    int file = d->ops->open(d, name, DISK_WRITE_DIRECT);
    if (file < 0) {
        return file;
    }
    log->number++;
    int rc = append_begin(&log->end, d, file);
    if (rc < 0) {
        return rc;
    }
    struct file_header header = {.kind = FILE_LOG, .id = log->id, .number = log->number, .seq = log->last,
                                 .chain = log->chain, .time = time};
    file_header_write(&header, bytes);
    log->chain = header.check;
    return 0;
}

/* Takes whole records into the end of the segment, sealed. */
static int add_batch(struct log *log, char *bytes, size_t size, uint64_t last)
{
    assert(size > 0 && last > log->last && append_size(&log->end) + size <= log->segment_bytes);
    log->chain = record_seal(bytes, size, log->id, log->synced, log->chain);
    CRASH_POINT(batch_write);
    int rc = append_add(&log->end, bytes, size);
    log->last = rc < 0 ? log->last : last;
    return rc;
}

int log_write(struct log *log, char *bytes, size_t size, uint64_t last, bool opens, bool sync, uint64_t time)
{
    size_t header = opens ? FILE_HEADER_BYTES : 0;
    int rc = 0;
    if (opens) {
        rc = begin_segment(log, bytes, time);
        rc = rc < 0 ? rc : append_add(&log->end, bytes, header);
    }
    rc = rc < 0 ? rc : add_batch(log, bytes + header, size - header, last);
    return rc < 0 ? rc : log_flush(log, sync);
}

int log_flush(struct log *log, bool sync)
{
    int rc = append_flush(&log->end, log->segment_bytes);
    if (rc < 0) {
        return rc;
    }
    CRASH_POINT(batch_written);
    return sync ? log_sync(log) : 0;
}

bool log_can_begin(const struct log *log, size_t size, bool opens, bool sync)
{
    bool alone = log->synced == log->last || FAULT(earlier_writes_believed);
    return !opens && append_has_room(&log->end, size) && (alone || !sync);
}

int log_begin(struct log *log, char *bytes, size_t size, uint64_t last, bool sync)
{
    assert(log_can_begin(log, size, false, sync));
    int rc = add_batch(log, bytes, size, last);
    rc = rc < 0 ? rc : append_flush_begin(&log->end, log->segment_bytes, sync);
    log->begun_sync = sync;
    if (rc == 0) {
        CRASH_POINT(batch_written);
    }
    return rc;
}

int log_end(struct log *log)
{
    int rc = append_flush_end(&log->end);
    if (rc == 0 && log->begun_sync) {
        log->syncs++;
        log->synced = log->last;
        CRASH_POINT(batch_synced);
    }
    return rc;
}

int log_sync(struct log *log)
{
    if (log->synced == log->last) {
        return 0;
    }
    log->syncs++;
    int rc = log->disk->ops->sync(log->disk, log->end.file);
    if (rc < 0 && FAULT(sync_tried_again)) {
        rc = log->disk->ops->sync(log->disk, log->end.file);
    }
    if (rc == 0) {
        log->synced = log->last;
        CRASH_POINT(batch_synced);
    }
    return rc;
}

int log_mark(struct log *log)
{
    char bytes[RECORD_HEADER_BYTES];
    if (log->end.file < 0 || append_size(&log->end) + sizeof(bytes) > log->segment_bytes) {
        return 0;
    }
    int rc = log_sync(log);
    if (rc < 0) {
        return rc;
    }
    record_marker(bytes, log->last);
    log->chain = record_seal(bytes, sizeof(bytes), log->id, log->synced, log->chain);
    rc = append_add(&log->end, bytes, sizeof(bytes));
    rc = rc < 0 ? rc : append_flush(&log->end, log->segment_bytes);
    return rc < 0 ? rc : log->disk->ops->sync(log->disk, log->end.file);
}

/* --- trimming --- */

struct next {
    uint64_t after;
    uint64_t number; /* the lowest one above `after`, 0 where there is none */
};

static void find_next(void *arg, const char *name)
{
    struct next *next = arg;
    uint64_t number = log_number(name);
    if (number > next->after && (next->number == 0 || number < next->number)) {
        next->number = number;
    }
}

static int next_segment(struct disk *d, uint64_t after, uint64_t *number)
{
    struct next next = {.after = after};
    int rc = d->ops->list(d, find_next, &next);
    *number = next.number;
    return rc;
}

/* The sequence number before the first commit of a segment; 0 or a negative errno. */
static int first_of(struct disk *d, uint64_t number, uint64_t *seq)
{
    char name[DISK_NAME_MAX];
    char bytes[FILE_HEADER_BYTES];
    struct file_header header;
    uint32_t version;
    log_name(number, name);
    int file = d->ops->open(d, name, DISK_READ);
    if (file < 0) {
        return file;
    }
    ssize_t got = disk_read_all(d, file, bytes, sizeof(bytes), 0);
    d->ops->close(d, file);
    if (got != (ssize_t)sizeof(bytes) || file_header_read(&header, bytes, &version) != FILE_HEADER_GOOD) {
        return got < 0 ? (int)got : -EBADMSG;
    }
    *seq = header.seq;
    return 0;
}

/* The sequence number before the first commit behind a segment that is not the current one. Those behind it whose header is
 * damaged are passed over: they hold later commits than it, and a checkpoint does not need them to be whole. */
static int end_of(struct disk *d, uint64_t number, uint64_t current, uint64_t *seq)
{
    int rc;
    do {
        rc = next_segment(d, number, &number);
        rc = rc < 0 ? rc : number == 0 ? -EBADMSG : first_of(d, number, seq);
    } while (rc == -EBADMSG && number > 0 && number < current);
    return rc;
}

int log_trim(struct disk *d, uint64_t current, uint64_t seq)
{
    bool removed = false;
    for (;;) {
        uint64_t oldest;
        uint64_t last = 0; /* commit of the oldest segment */
        char name[DISK_NAME_MAX];
        int rc = next_segment(d, 0, &oldest);
        if (rc == 0 && (oldest == 0 || oldest >= current)) {
            break;
        }
        rc = rc < 0 ? rc : end_of(d, oldest, current, &last);
        if (rc == 0 && last > seq && !FAULT(segment_deleted_early)) {
            break;
        }
        log_name(oldest, name);
        rc = rc < 0 ? rc : d->ops->remove(d, name);
        if (rc < 0) {
            return rc;
        }
        removed = true;
    }
    return removed ? d->ops->sync_names(d) : 0;
}

void log_close(struct log *log)
{
    if (log->end.file >= 0) {
        log->disk->ops->close(log->disk, log->end.file);
    }
    append_end(&log->end);
}
