/* append: bytes that are added at the end of what a file holds, written in whole blocks, so that they can go past the system's
 * cache (disk.h).
 *
 *      file     [ block | block | block | block ...
 *      piece                    [ held ··| room ]      what append_add has taken and is not written, or not as a whole block
 *
 * The block in which the bytes end is written again when more have come: what stood there before is the same, so a write that is
 * torn by a loss of power takes nothing away that was on disk. */
#ifndef TXKV_APPEND_H
#define TXKV_APPEND_H

#include "disk.h"

struct append {
    struct disk *disk; /* borrowed */
    int file;          /* the caller's to close, -1 for none */
    uint64_t at;       /* where the piece begins in it: a whole number of blocks */
    size_t held;       /* bytes in the piece */
    size_t under_way;  /* of them and the zeros behind them, that append_flush_begin has begun to write */
    char *piece;       /* DISK_PIECE_BYTES; NULL before append_prepare or append_begin */
};

/* Makes the piece, where there is none. 0 or -ENOMEM. */
int append_prepare(struct append *a);

/* Begins at the front of a file, which the disk has opened for it (DISK_CREATE or DISK_WRITE_DIRECT). 0 or -ENOMEM. */
int append_begin(struct append *a, struct disk *d, int file);

/* Takes more bytes; what makes a whole piece is written. 0 or a negative errno, after which nothing more may be added. */
int append_add(struct append *a, const char *bytes, size_t size);

/* Writes all that was taken, and zeros up to the end of its block, but not beyond `end`, where the file ends or is to end.
 * As append_add. */
int append_flush(struct append *a, uint64_t end);

/* As append_flush, but does not wait, and with `sync` what it writes is on disk at its end: the disk's begin_write and end_write.
 * Nothing may be added between the two. 0; or a negative errno: nothing was begun. */
int append_flush_begin(struct append *a, uint64_t end, bool sync);

/* 0; -EAGAIN or -ENOTSUP: it has not been done, or not all of it, and append_flush does it anew; other negative errnos as append_add. */
int append_flush_end(struct append *a);

/* Whether so many bytes more can be added without a write. */
static inline bool append_has_room(const struct append *a, size_t size)
{
    return a->held + size < DISK_PIECE_BYTES;
}

/* How many bytes were taken. */
static inline uint64_t append_size(const struct append *a)
{
    return a->at + a->held;
}

/* Gives the piece back. The file is closed by the caller. No-op where nothing was begun. */
void append_end(struct append *a);

#endif
