/* sim_disk: a disk (src/disk.h) in memory that fails where it is told to, and that can lose power at any moment.
 *
 * What a program sees is `now`. What a loss of power leaves is made of three things for each file, and of the same for names:
 *
 *      durable bytes + changes that were not synced --sim_disk_lose_power--> what is found afterwards
 *
 * Each change that was not synced is kept, lost, or torn at 512 or 4096 bytes, alone of all others and in any order; a file may
 * have its new size without its data. Each name that was made, changed or removed since the names were synced is so or as it
 * was, alone of all others; a rename is one change.
 *
 * A write that goes on by itself is a change that was not synced until its end; if it was to be synced it is durable then, it alone,
 * whatever was written before.
 *
 * A sync that failed leaves its changes as they are to be seen, and no later sync writes them: what Linux does with pages that
 * could not be written. Only writing the bytes anew makes them durable.
 *
 * A directory in it is a sim_disk of its own, whose names and files are lost, or not, by themselves; the plan, the hook and the
 * numbers of operations are those of the outermost one. */
#ifndef TXKV_SUPPORT_SIM_DISK_H
#define TXKV_SUPPORT_SIM_DISK_H

#include "disk.h"
#include "rng.h"

enum sim_op {
    SIM_OPEN,
    SIM_CLOSE,
    SIM_READ,
    SIM_WRITE,
    SIM_SYNC,
    SIM_BEGIN_WRITE,
    SIM_END_WRITE,
    SIM_SIZE,
    SIM_TRUNCATE,
    SIM_RENAME,
    SIM_REMOVE,
    SIM_SYNC_NAMES,
    SIM_LIST,
    SIM_MAKE_DIR,
    SIM_OPEN_DIR,
    SIM_RENAME_DIR,
    SIM_REMOVE_DIR,
    SIM_LIST_DIRS,
};

/* How an operation fails. SHORT: a read or write does half of it. EINTR: it has done nothing, and may be tried again; begin_write and
 * end_write say EAGAIN then. */
enum sim_failure { SIM_EIO, SIM_ENOSPC, SIM_SHORT, SIM_EINTR, SIM_FAILURES };

struct sim_plan {
    uint64_t nth; /* the operation that fails, from 1; 0: none */
    enum sim_failure how;
    bool on;  /* and all behind it; with EINTR every second one, as the disk would never answer otherwise */
    int only; /* operations under this label alone; 0: under any */
};

struct sim_bytes {
    char *data; /* owned */
    size_t size;
    size_t room;
};

/* Of a file, not synced. */
struct sim_change {
    bool truncates; /* to `at` */
    bool given_up;  /* a sync of it has failed */
    uint64_t at;
    struct sim_bytes bytes; /* written there */
};

struct sim_file {
    bool used;
    struct sim_disk *dir; /* owned: it is a directory, and all below is not used; NULL: it is a file */
    struct sim_bytes now;
    struct sim_bytes durable;
    struct sim_change *changes; /* in order */
    size_t count;
    size_t room;
};

struct sim_name {
    char name[DISK_NAME_MAX];
    size_t file;
};

struct sim_names {
    struct sim_name *list;
    size_t count;
    size_t room;
};

/* `file` has got the name `to` and lost the name `from`; "" for none. */
struct sim_name_change {
    char from[DISK_NAME_MAX];
    char to[DISK_NAME_MAX];
    size_t file;
};

#define SIM_HANDLES 16

struct sim_disk {
    struct disk disk; /* first */
    struct sim_disk *above; /* whose directory it is; NULL: it is the outermost one */
    bool open;              /* a directory: the program has it */
    bool held;              /* a directory: another program has it, as a test may say */
    bool no_locks;          /* directories in it cannot be locked */
    struct sim_file *files;
    size_t file_count;
    struct sim_names now;
    struct sim_names durable;
    struct sim_name_change *name_changes;
    size_t name_change_count;
    size_t name_change_room;
    size_t handles[SIM_HANDLES]; /* a file's index plus 1; 0: free */
    int writing;        /* the file to which a write goes on by itself, plus 1; 0: none */
    bool writing_syncs;
    struct sim_plan plan;
    int label;                                      /* what the program is at, as it says itself */
    uint64_t ops;                                   /* that the plan counts */
    uint64_t failed;                                /* operations that were made to fail */
    int failed_label;                               /* of the first one */
    enum sim_op failed_op;                          /* the same */
    void (*changed)(struct sim_disk *d, void *arg); /* after each operation that changes something; or NULL */
    void *arg;
};

void sim_disk_init(struct sim_disk *d);
void sim_disk_deinit(struct sim_disk *d);

/* The process that used it is gone: its files are closed, what it wrote is there still. */
void sim_disk_kill(struct sim_disk *d);

/* Makes `to` (not initialized) what a loss of power leaves of `from`. draw 0: all that was not synced is lost; 1: all is kept;
 * others are drawn from rng. */
void sim_disk_lose_power(struct sim_disk *to, const struct sim_disk *from, struct rng *rng, unsigned draw);

/* A directory in it, to look at and to change; NULL where there is none. Valid until the next operation. */
struct sim_disk *sim_disk_dir(const struct sim_disk *d, const char *name);

/* Whether a loss of power would lose anything now. */
bool sim_disk_is_settled(const struct sim_disk *d);

/* Makes `to` (not initialized) a copy of all files, not of directories, as they are to be seen on any disk; all of it is durable. */
void sim_disk_copy(struct sim_disk *to, struct disk *from);

/* The same files with the same bytes have the same number. */
uint64_t sim_disk_digest(const struct sim_disk *d);

/* The check of bytes as files of txkv have it, to make wrong files that look right. */
uint64_t sim_disk_check(const char *bytes, size_t size);

/* A file's bytes as they are to be seen, to look at and to change (beyond what is durable); NULL where there is none. Valid until
 * the next operation. */
struct sim_bytes *sim_disk_bytes(struct sim_disk *d, const char *name);

#endif
