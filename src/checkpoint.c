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

static int write_piece(struct checkpoint *c)
{
    int rc = disk_write_all(c->disk, c->file, c->piece, c->filled, c->at);
    c->at += c->filled;
    c->filled = 0;
    return rc;
}

static int append(struct checkpoint *c, const char *bytes, size_t size)
{
    int rc = 0;
    while (rc == 0 && size > 0) {
        size_t room = DISK_PIECE_BYTES - c->filled;
        size_t taken = size < room ? size : room;
        memcpy(c->piece + c->filled, bytes, taken);
        c->filled += taken;
        bytes += taken;
        size -= taken;
        rc = c->filled == DISK_PIECE_BYTES ? write_piece(c) : 0;
    }
    return rc;
}

static void end_piece(struct checkpoint *c)
{
    free(c->piece);
    c->piece = NULL;
    c->filled = 0;
}

int checkpoint_begin(struct checkpoint *c, struct disk *d, uint64_t id, uint64_t seq, uint64_t time)
{
    struct file_header header = {.kind = FILE_CHECKPOINT, .id = id, .seq = seq, .time = time};
    char bytes[FILE_HEADER_BYTES];
    *c = (struct checkpoint){.disk = d, .id = id, .seq = seq, .file = -1};
    int rc = d->ops->remove(d, TEMPORARY); /* one that was not finished */
    if (rc < 0 && rc != -ENOENT) {
        return rc;
    }
    CRASH_POINT(checkpoint_create);
    c->piece = disk_piece_make();
    c->file = c->piece == NULL ? -ENOMEM : d->ops->open(d, TEMPORARY, DISK_CREATE);
    if (c->file < 0) {
        end_piece(c);
        return c->file;
    }
    file_header_write(&header, bytes);
    c->chain = header.check;
    return append(c, bytes, sizeof(bytes));
}

int checkpoint_write(struct checkpoint *c, char *bytes, size_t size)
{
    c->chain = record_seal(bytes, size, c->id, 0, c->chain);
    int rc = append(c, bytes, size);
    CRASH_POINT(checkpoint_part);
    return rc;
}

int checkpoint_finish(struct checkpoint *c)
{
    struct disk *d = c->disk;
    char name[DISK_NAME_MAX];
    checkpoint_name(c->seq, name);
    int rc = c->filled > 0 ? write_piece(c) : 0;
    rc = rc < 0 ? rc : d->ops->sync(d, c->file);
    int closed = d->ops->close(d, c->file);
    rc = rc < 0 ? rc : closed;
    c->file = -1;
    end_piece(c);
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
    if (c->file >= 0) {
        c->disk->ops->close(c->disk, c->file);
        c->disk->ops->remove(c->disk, TEMPORARY);
        c->file = -1;
    }
    end_piece(c);
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
