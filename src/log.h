/* log: the commits on disk, in segments.
 *
 * A segment is a file of a fixed size, made ahead: zeros, synced, renamed to its name, the name synced. So a batch is one
 * write (more above 128 KiB) of blocks that exist and one sync that has no new size to record: an fdatasync, or the write's own
 * (log_begin). A batch never goes beyond its segment, and a segment is begun only when the one before is on disk.
 *
 *      segment n                                      segment n+1                      segment n+2
 *      [header | record record record ... | zeros]    [header | record ... | zeros]    [zeros: made ahead]
 *                          batches ^^^^^^                       ^ the next batch
 *
 * The functions that write belong to one thread at a time, log_make may run in another one beside them. The format: record.h. */
#ifndef TXKV_LOG_H
#define TXKV_LOG_H

#include "append.h"
#include "record.h"

struct log {
    struct disk *disk;    /* borrowed */
    uint64_t id;          /* of the data directory */
    size_t segment_bytes; /* of a segment, its header included */
    struct append end;    /* of the segment being written; its file is -1 before the first batch */
    uint64_t number;      /* of that segment; of the last one before, while there is none */
    uint64_t chain;       /* check of the last record */
    uint64_t last;        /* sequence number of the last commit written */
    uint64_t synced;      /* of the last commit that is on disk */
    uint64_t syncs;       /* of batches so far, fdatasyncs or writes that are synced */
    bool begun_sync;      /* what log_begin has begun is one of these */
};

/* The name of segment `number`, and back: 0 where the name is none of a segment. */
void log_name(uint64_t number, char name[DISK_NAME_MAX]);
uint64_t log_number(const char *name);

/* Makes segment `number` ahead; its name is on disk then. 0 or a negative errno, with nothing of it left. */
int log_make(const struct log *log, uint64_t number);

/* Asks for the memory that writing takes, so that it does not fail for that later. 0 or -ENOMEM. */
int log_prepare(struct log *log);

/* Writes a batch: whole records, made with record.h and not yet sealed. With `opens`, its first FILE_HEADER_BYTES are free
 * for the header of the next segment, which must have been made. time: Unix seconds, for that header. With `sync`, all is on
 * disk when it returns. 0 or a negative errno: then nothing more may be written, or believed to be on disk, ever. */
int log_write(struct log *log, char *bytes, size_t size, uint64_t last, bool opens, bool sync, uint64_t time);

/* Whether log_begin can take this batch: it must not open a segment, and be small enough; and a write that is synced says nothing of
 * those before it, so these must be on disk. */
bool log_can_begin(const struct log *log, size_t size, bool opens, bool sync);

/* As log_write, for a batch that log_can_begin takes, but goes on by itself until log_end: disk_async.h. 0; or a negative errno: the
 * batch has been taken, and waits for log_flush (-ENOTSUP: for the next ones it need not be tried). */
int log_begin(struct log *log, char *bytes, size_t size, uint64_t last, bool sync);

/* 0; -EAGAIN or -ENOTSUP: it has not been done, the batch waits for log_flush; other negative errnos as log_write. */
int log_end(struct log *log);

/* Writes, and with `sync` syncs, the batch that waits for it. As log_write. */
int log_flush(struct log *log, bool sync);

/* Syncs what was written without it. As log_write. */
int log_sync(struct log *log);

/* Writes a marker, where there is room for one, and syncs it: damage before it is then known for what it is. As log_write. */
int log_mark(struct log *log);

/* Removes the segments below number `current` whose commits are all at or before seq. 0 or a negative errno. */
int log_trim(struct disk *d, uint64_t current, uint64_t seq);

void log_close(struct log *log);

#endif
