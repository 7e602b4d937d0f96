#include "append.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

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

int append_flush(struct append *a, uint64_t end)
{
    assert(append_size(a) <= end);
    size_t whole = a->held / DISK_BLOCK_BYTES * DISK_BLOCK_BYTES;
    size_t rest = a->held - whole;
    size_t size = a->held;
    if (rest > 0) {
        size_t padded = whole + DISK_BLOCK_BYTES;
        size = a->at + padded <= end ? padded : (size_t)(end - a->at);
        memset(a->piece + a->held, 0, size - a->held);
    }
    int rc = disk_write_all(a->disk, a->file, a->piece, size, a->at);
    if (whole > 0) {
        memmove(a->piece, a->piece + whole, rest);
    }
    a->at += whole;
    a->held = rest;
    return rc;
}

void append_end(struct append *a)
{
    free(a->piece);
    *a = (struct append){.file = -1};
}
