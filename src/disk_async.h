/* disk_async: a write that the kernel does, and syncs, while the caller goes on: io_submit(2), by libaio.
 *
 *      disk_async_begin --> the descriptor `event` is readable --> disk_async_end
 *
 * It is for files that are open to write directly (disk.h): for others the kernel would do it before it answers. It is asked not to
 * begin where it would have to wait first, for a lock of the file, say (RWF_NOWAIT); it mostly keeps to that (docs/architecture.md,
 * Durability). disk_async_end waits where the descriptor is not readable yet. */
#ifndef TXKV_DISK_ASYNC_H
#define TXKV_DISK_ASYNC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct disk_async {
    void *context; /* the kernel's; NULL: none */
    int event;     /* descriptor of an eventfd(2) */
};

/* 0; -ENOTSUP where this build or this kernel has none; or another negative errno. */
int disk_async_open(struct disk_async *a);

/* Begins to write whole blocks at a multiple of them, one write at a time. `bytes` stay as they are until its end. sync: it ends
 * when they are on disk. 0; -EAGAIN when it cannot begin now; -ENOTSUP when it never can. */
int disk_async_begin(struct disk_async *a, int file, const void *bytes, size_t size, uint64_t at, bool sync);

/* The end of the one that was begun: how much is written (and on disk), or a negative errno. After -EAGAIN and -ENOTSUP it may be
 * written anew by other means: no disk has failed, but some of it may have been done (of a file whose blocks do not lie in one row the
 * first ones, say). Waits for it. */
ssize_t disk_async_end(struct disk_async *a);

/* Nothing may be under way. No-op where there is none. */
void disk_async_close(struct disk_async *a);

#endif
