#include "checkpoint.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "fault.h"

#define TEMPORARY "checkpoint.tmp"
#define KEEP_MAX 8

void checkpoint_name(uint64_t seq, char name[DISK_NAME_MAX])
{
    snprintf(name, DISK_NAME_MAX, "checkpoint-%016" PRIx64, seq);
}

bool checkpoint_seq(const char *name, uint64_t *seq)
{
    char again[DISK_NAME_MAX];
    *seq = strncmp(name, "checkpoint-", 11) == 0 ? strtoull(name + 11, NULL, 16) : 0;
    checkpoint_name(*seq, again);
    return strcmp(name, again) == 0;
}

bool checkpoint_owns(const char *name)
{
    uint64_t seq;
    return strcmp(name, TEMPORARY) == 0 || checkpoint_seq(name, &seq);
}

int checkpoint_begin(struct checkpoint *c, struct disk *d, uint64_t id, uint64_t seq, uint64_t time)
{
    struct file_header header = {.kind = FILE_CHECKPOINT, .id = id, .seq = seq, .time = time};
    char bytes[FILE_HEADER_BYTES];
    *c = (struct checkpoint){.disk = d, .id = id, .seq = seq, .end = {.file = -1}};
    int rc = d->ops->remove(d, TEMPORARY); /* one that was not finished */
    if (rc < 0 && rc != -ENOENT) {
        return rc;
    }
    CRASH_POINT(checkpoint_create);
    int file = d->ops->open(d, TEMPORARY, DISK_CREATE);
    if (file < 0) {
        return file;
    }
    rc = append_begin(&c->end, d, file);
    file_header_write(&header, bytes);
    c->chain = header.check;
    return rc < 0 ? rc : append_add(&c->end, bytes, sizeof(bytes));
}

int checkpoint_write(struct checkpoint *c, char *bytes, size_t size)
{
    c->chain = record_seal(bytes, size, c->id, 0, c->chain);
    int rc = append_add(&c->end, bytes, size);
    CRASH_POINT(checkpoint_part);
    return rc;
}

int checkpoint_finish(struct checkpoint *c)
{
    struct disk *d = c->disk;
    char name[DISK_NAME_MAX];
    checkpoint_name(c->seq, name);
    int rc = append_flush(&c->end, append_size(&c->end));
    rc = rc < 0 ? rc : d->ops->sync(d, c->end.file);
    int closed = d->ops->close(d, c->end.file);
    rc = rc < 0 ? rc : closed;
    append_end(&c->end);
    CRASH_POINT(checkpoint_synced);
    if (rc == 0) {
        rc = d->ops->rename(d, TEMPORARY, name);
    }
    if (rc < 0) {
        d->ops->remove(d, TEMPORARY);
        return rc;
    }
    CRASH_POINT(checkpoint_renamed);
    return FAULT(names_not_synced) ? 0 : d->ops->sync_names(d);
}

void checkpoint_abandon(struct checkpoint *c)
{
    if (c->end.file >= 0) {
        c->disk->ops->close(c->disk, c->end.file);
        c->disk->ops->remove(c->disk, TEMPORARY);
    }
    append_end(&c->end);
}

/* --- trimming --- */

struct newest {
    uint64_t seqs[KEEP_MAX]; /* descending */
    size_t count;
    size_t keep;
    uint64_t surplus; /* one that is not among them */
    bool has_surplus;
};

static void find_newest(void *arg, const char *name)
{
    struct newest *n = arg;
    uint64_t seq;
    if (!checkpoint_seq(name, &seq)) {
        return;
    }
    size_t at = 0;
    while (at < n->count && n->seqs[at] > seq) {
        at++;
    }
    if (n->count == n->keep) {
        n->has_surplus = true;
        n->surplus = at == n->keep ? seq : n->seqs[n->keep - 1];
        n->count -= at < n->keep ? 1 : 0;
    }
    if (at < n->keep) {
        memmove(&n->seqs[at + 1], &n->seqs[at], (n->count - at) * sizeof(n->seqs[0]));
        n->seqs[at] = seq;
        n->count++;
    }
}

int checkpoint_trim(struct disk *d, size_t keep, uint64_t *oldest)
{
    assert(keep > 0 && keep < KEEP_MAX);
    for (bool removed = false;;) {
        struct newest n = {.keep = keep};
        char name[DISK_NAME_MAX];
        int rc = d->ops->list(d, find_newest, &n);
        if (rc < 0) {
            return rc;
        }
        *oldest = n.count == keep ? n.seqs[keep - 1] : 0;
        if (!n.has_surplus) {
            return removed ? d->ops->sync_names(d) : 0;
        }
        checkpoint_name(n.surplus, name);
        rc = d->ops->remove(d, name);
        if (rc < 0) {
            return rc;
        }
        removed = true;
    }
}
