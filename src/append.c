#include "append.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fault.h"

int append_prepare(struct append *a)
{
    a->piece = a->piece != NULL ? a->piece : disk_piece_make();
    return a->piece == NULL ? -ENOMEM : 0;
}

int append_begin(struct append *a, struct disk *d, int file)
{
    *a = (struct append){.disk = d, .file = file, .piece = a->piece};
    return append_prepare(a);
}

int append_add(struct append *a, const char *bytes, size_t size)
{
    while (size > 0) {
        size_t room = DISK_PIECE_BYTES - a->held;
        size_t taken = size < room ? size : room;
        memcpy(a->piece + a->held, bytes, taken);
        a->held += taken;
        bytes += taken;
        size -= taken;
        if (a->held == DISK_PIECE_BYTES) {
            int rc = append_flush(a, a->at + DISK_PIECE_BYTES);
            if (rc < 0) {
                return rc;
            }
        }
    }
    return 0;
}

/* Puts zeros behind what is held, up to the end of its block or of the file; how much is to be written then. */
static size_t pad(struct append *a, uint64_t end)
{
    assert(append_size(a) <= end);
    size_t size = (a->held + DISK_BLOCK_BYTES - 1) / DISK_BLOCK_BYTES * DISK_BLOCK_BYTES;
    size = a->at + size <= end ? size : (size_t)(end - a->at);
    memset(a->piece + a->held, 0, size - a->held);
    return size;
}

/* Whole blocks that are written need not be held any more. */
static void pass_blocks(struct append *a)
{
    size_t whole = a->held / DISK_BLOCK_BYTES * DISK_BLOCK_BYTES;
    if (whole > 0) {
        memmove(a->piece, a->piece + whole, a->held - whole);
    }
    a->at += whole;
    a->held -= whole;
}

int append_flush(struct append *a, uint64_t end)
{
    size_t size = pad(a, end);
    int rc = disk_write_all(a->disk, a->file, a->piece, size, a->at);
    pass_blocks(a);
    return rc;
}

int append_flush_begin(struct append *a, uint64_t end, bool sync)
{
    size_t size = pad(a, end);
    if (size % DISK_BLOCK_BYTES != 0) {
        return -EAGAIN; /* the last block of a file may not be whole */
    }
    int rc = a->disk->ops->begin_write(a->disk, a->file, a->piece, size, a->at, sync);
    a->under_way = rc < 0 ? 0 : size;
    return rc;
}

int append_flush_end(struct append *a)
{
    ssize_t written = a->disk->ops->end_write(a->disk);
    size_t wanted = a->under_way;
    a->under_way = 0;
    if (written < 0 || ((size_t)written < wanted && !FAULT(short_write_believed))) {
        return written < 0 ? (int)written : -EAGAIN;
    }
    pass_blocks(a);
    return 0;
}

void append_end(struct append *a)
{
    free(a->piece);
    *a = (struct append){.file = -1};
}
