/* disk: the one table of file operations. The log, checkpoints, backups and recovery touch files through it alone, so that a
 * test can put another disk in its place: one that fails, and one that loses power.
 *
 * A disk is one directory; names are those of files in it, and of directories, each of which is a disk of its own when it is open.
 * Operations answer 0 or more, or a negative errno. They are synchronous, but for begin_write, and safe to be called from several
 * threads for different files. */
#ifndef TXKV_DISK_H
#define TXKV_DISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "disk_async.h"

#define DISK_NAME_MAX 80 /* bytes of a name, its NUL included */

enum disk_open {
    DISK_READ,         /* a file that exists */
    DISK_WRITE,        /* the same, to read and write */
    DISK_CREATE,       /* one that does not exist (-EEXIST), to write directly; for its owner alone */
    DISK_WRITE_DIRECT, /* one that exists, to write directly */
};

/* Directly: what is made of whole blocks, at a multiple of them and from memory of disk_piece_make, goes past the system's cache,
 * where the file system can do that. The first write that is not sends it and all that follow it through the cache. A piece takes
 * a local disk a fraction of a millisecond (one behind a network more, which makes checkpoints there slower); what the cache holds
 * back comes with thousands of others at once, which holds up the log's syncs and, where they share a core, the loop. */
#define DISK_BLOCK_BYTES ((size_t)4096)
#define DISK_PIECE_BYTES ((size_t)128 << 10)

struct disk {
    const struct disk_ops *ops;
};

struct disk_ops {
    int (*open)(struct disk *d, const char *name, enum disk_open how); /* a file's number */
    int (*close)(struct disk *d, int file);
    ssize_t (*read)(struct disk *d, int file, void *bytes, size_t size, uint64_t at); /* 0 at the end; may be short */
    ssize_t (*write)(struct disk *d, int file, const void *bytes, size_t size, uint64_t at); /* may be short */
    int (*sync)(struct disk *d, int file); /* what was written to it, and its size, are on disk */
    /* One write for a disk at a time that goes on by itself, for a file that is open to write directly: see disk_async.h. The
     * descriptor of write_event (-ENOTSUP: there are no such writes) is readable when it has ended. */
    int (*write_event)(struct disk *d);
    int (*begin_write)(struct disk *d, int file, const void *bytes, size_t size, uint64_t at, bool sync);
    ssize_t (*end_write)(struct disk *d);
    int (*size)(struct disk *d, int file, uint64_t *size);
    int (*truncate)(struct disk *d, int file, uint64_t size);
    int (*rename)(struct disk *d, const char *from, const char *to); /* replaces what stands at `to` */
    int (*remove)(struct disk *d, const char *name);
    int (*sync_names)(struct disk *d); /* names made, changed and removed are on disk */
    int (*list)(struct disk *d, void (*visit)(void *arg, const char *name), void *arg); /* regular files, in no order */
    int (*make_dir)(struct disk *d, const char *name); /* for its owner alone; -EEXIST where that name is taken */
    /* Takes a directory for this process alone, until it is closed or the process ends. -EWOULDBLOCK: another one has it, or looks
     * whether it is taken. -ENOENT: also where it has lost its name meanwhile. 1: directories cannot be locked here, so others may
     * have it too. */
    int (*open_dir)(struct disk *d, const char *name, struct disk **dir);
    void (*close_dir)(struct disk *dir);
    int (*rename_dir)(struct disk *d, const char *from, const char *to); /* -EEXIST where more than an empty directory is at `to` */
    int (*remove_dir)(struct disk *d, const char *name); /* an empty one */
    int (*list_dirs)(struct disk *d, void (*visit)(void *arg, const char *name), void *arg); /* directories, in no order */
};

/* Writes all of it, in as many operations as it takes; an interrupted one is repeated. 0 or a negative errno. */
int disk_write_all(struct disk *d, int file, const void *bytes, size_t size, uint64_t at);

/* A piece of zeros, to be given back with free(); NULL without memory. */
char *disk_piece_make(void);

/* Reads until size bytes are there or the file ends; how many, or a negative errno. */
ssize_t disk_read_all(struct disk *d, int file, void *bytes, size_t size, uint64_t at);

/* --- a real directory --- */

struct disk_dir {
    struct disk disk; /* first */
    int dir;          /* descriptor of the directory */
    int lock;         /* descriptor of the file "lock", -1 while it is not held */
    struct disk_async writes; /* that go on by themselves; opened when they are first asked for */
};

/* Opens a directory, makes it (0700) where it does not exist and `make` asks for that. 0 or a negative errno. */
int disk_dir_open(struct disk_dir *d, const char *path, bool make);

/* Takes the directory for this process alone, until disk_dir_close or its end. 0, or -EWOULDBLOCK and the id of the process that
 * has it in *holder (0 where that cannot be read), or another negative errno. -EBUSY: nobody has it, but somebody looks whether
 * it is taken (disk_dir_is_locked), which is over in a moment. */
int disk_dir_lock(struct disk_dir *d, long *holder);

/* Whether another process has taken it: 0, or -EWOULDBLOCK and its id in *holder (0 where that cannot be read). Changes nothing;
 * a lock that cannot be opened is taken by nobody. */
int disk_dir_is_locked(struct disk_dir *d, long *holder);

/* "process 123", or "another process" for 0. */
const char *disk_dir_holder(char text[32], long holder);

void disk_dir_close(struct disk_dir *d);

#endif
