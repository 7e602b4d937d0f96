/* What recovery has found is put in order, for a log that goes on behind it: recover.h. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "checkpoint.h"
#include "recover.h"
#include "recover_files.h"

#define COPY_AT_ONCE ((size_t)1 << 20)

struct settling {
    struct disk *disk;
    const struct recovery *found;
    struct recover_names segments;
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
static void remove_unused(struct settling *s, uint64_t end)
{
    size_t left = 0;
    for (size_t i = 0; i < s->segments.count; i++) {
        uint64_t number = s->segments.numbers[i];
        char name[DISK_NAME_MAX];
        enum segment_state state = SEGMENT_USED;
        if (number > end && s->error == 0) {
            state = recover_look_at(s->disk, number).state;
        }
        if (state == SEGMENT_REFUSED) {
            keep_error(s, -EIO); /* it could be read before; what is in it is not known now */
        }
        if (state == SEGMENT_UNUSED) {
            log_name(number, name);
            keep_error(s, s->disk->ops->remove(s->disk, name));
        } else {
            s->segments.numbers[left++] = number;
        }
    }
    s->segments.count = left;
}

/* What the others behind the end hold is given up. */
static void move_rest_aside(struct settling *s, uint64_t end)
{
    for (size_t i = 0; i < s->segments.count && s->error == 0; i++) {
        char name[DISK_NAME_MAX];
        log_name(s->segments.numbers[i], name);
        if (s->segments.numbers[i] > end) {
            move_aside(s, name);
        }
    }
}

static void remove_unfinished(struct settling *s)
{
    static const char *const unfinished[] = {"log-next.tmp", "checkpoint.tmp"};
    for (size_t i = 0; i < sizeof(unfinished) / sizeof(unfinished[0]); i++) {
        int rc = s->disk->ops->remove(s->disk, unfinished[i]);
        keep_error(s, rc == -ENOENT ? 0 : rc);
    }
}

static void move_damaged_aside(struct settling *s)
{
    for (size_t i = 0; i < s->found->damaged_count && s->error == 0; i++) {
        char name[DISK_NAME_MAX];
        checkpoint_name(s->found->damaged[i], name);
        move_aside(s, name);
    }
}

/* highest: the number of the last segment that there was, 0 for none. */
static void set_up(struct log *log, struct disk *d, const struct recovery *found, bool behind, uint64_t highest)
{
    uint64_t number = behind ? highest : found->segment_at == 0 && found->segment > 0 ? found->segment - 1 : found->segment;
    uint64_t last = behind ? found->checkpoint : found->last;
    *log = (struct log){.disk = d, .id = found->id, .end = {.file = -1}, .number = number, .chain = behind ? 0 : found->chain,
                        .last = last, .synced = last, .segment_bytes = log->segment_bytes};
}

int recover_settle(struct disk *d, const struct recovery *found, struct log *log)
{
    struct settling s = {.disk = d, .found = found};
    bool behind = found->last < found->checkpoint; /* nothing of the log is needed, and it cannot be continued */
    uint64_t end = behind ? 0 : found->segment;
    keep_error(&s, recover_list_segments(&s.segments, d));
    uint64_t highest = s.segments.count > 0 ? s.segments.numbers[s.segments.count - 1] : 0;
    remove_unfinished(&s);
    move_damaged_aside(&s);
    remove_unused(&s, end);
    if (s.error == 0 && !behind) {
        settle_last(&s);
    }
    move_rest_aside(&s, end);
    keep_error(&s, s.error == 0 ? d->ops->sync_names(d) : 0);
    set_up(log, d, found, behind, highest);
    recover_names_free(&s.segments);
    return s.error;
}
