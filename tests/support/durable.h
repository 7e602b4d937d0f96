/* durable: a server's way with its data directory, without a server: store, journal, log, checkpoints and recovery on a
 * sim_disk, driven step by step in one thread. It does what committer.c, keeper.c and datadir.c do, and remembers what it has
 * acknowledged and what the data was as of each commit. Which step comes next is drawn from a seed. */
#ifndef TXKV_SUPPORT_DURABLE_H
#define TXKV_SUPPORT_DURABLE_H

#include "backup.h"
#include "checkpoint.h"
#include "journal.h"
#include "log.h"
#include "past.h"
#include "recover.h"
#include "rng.h"
#include "sim_disk.h"

/* What it is at, as the disk's label. */
enum durable_label {
    DURABLE_READ = 1,   /* recover_read */
    DURABLE_SETTLE,     /* recover_settle */
    DURABLE_WRITE,      /* the log: a batch, a marker or a sync */
    DURABLE_MAKE,       /* a segment ahead, the first one too */
    DURABLE_CHECKPOINT, /* up to its name */
    DURABLE_TRIM,       /* what it makes superfluous */
    DURABLE_BACKUP,     /* on the disk of the backups, but for the log */
    DURABLE_LABELS,
};

struct durable_shape {
    size_t segment_bytes;
    bool sync;                 /* as --sync commit: a batch is on disk before it is acknowledged; else as --sync none */
    uint64_t checkpoint_every; /* commits; 0: none but those asked for */
};

struct durable {
    struct sim_disk *disk; /* borrowed */
    struct durable_shape shape;
    struct rng rng;
    struct past past;
    uint64_t acknowledged;      /* newest commit that a client was told of, or was shown */
    uint32_t last_value;        /* newest value used */
    uint64_t now_ms;            /* the time, which goes on with commits; a later start does not know of it */
    enum recover_result result; /* of the last start */
    struct recovery found;
    bool up;      /* the store and all below are there; it has started and not ended */
    bool stopped; /* the log failed: a server would have ended */
    struct store store;
    struct journal journal;
    struct log log;
    uint64_t made; /* number of the newest segment made */
    bool marked;   /* a marker is the last record: the journal has room for one behind each batch */
    bool checkpointing;
    bool walked; /* all of the walk is in `file` or in `rest` */
    bool begun;  /* `file` has been */
    struct checkpoint file;
    struct disk *backups; /* borrowed: where the backup goes that is being made; NULL: it is a checkpoint */
    const char *backup_name; /* borrowed */
    struct backup backup;
    struct buf rest;                   /* of the walk, its end: written when the log is far enough */
    uint64_t checkpointed;             /* newest commit of a checkpoint of this life */
    unsigned checkpoints;              /* made by it */
    unsigned failures[DURABLE_LABELS]; /* calls that ended with an error */
    bool differs;                      /* the store has answered other than the model, or a start has found less than was acknowledged */
};

/* On an empty disk, or one whose data are known: as of commits in *past, which it takes over. acknowledged: the newest one that
 * must not be lost. */
void durable_init(struct durable *d, struct sim_disk *disk, struct durable_shape shape, uint64_t seed);
void durable_init_on(struct durable *d, struct sim_disk *disk, struct durable_shape shape, uint64_t seed,
                     struct past *past, uint64_t acknowledged);
void durable_deinit(struct durable *d);

/* Recovers and starts to write: whether it is up. `result` and `found` tell of the recovery, `failures` of what failed. */
bool durable_start(struct durable *d);

/* The same where what is lost is given up: after damage too, as txkv-check --repair does it. */
bool durable_repair(struct durable *d);

/* The process ends where it is; the disk keeps what it was given. */
void durable_kill(struct durable *d);

/* One random commit; false where there is no space, or it has stopped. */
bool durable_commit(struct durable *d);

/* Writes what is pending. */
void durable_write(struct durable *d);

/* Writes a marker. */
void durable_mark(struct durable *d);

/* Makes a segment ahead where none stands ready. */
void durable_make(struct durable *d);

/* Begins a checkpoint; goes on with it; all of it at once (0, or a negative errno). */
void durable_checkpoint_begin(struct durable *d);
void durable_checkpoint_step(struct durable *d);
int durable_checkpoint(struct durable *d);

/* The same for a backup, in the directory of all backups. durable_checkpoint_step goes on with it. */
void durable_backup_begin(struct durable *d, struct disk *backups, const char *name);
int durable_backup(struct durable *d, struct disk *backups, const char *name);

/* One step of any kind; false where it can go no further. */
bool durable_step(struct durable *d);

/* Steps until so many more commits were made, and writes what is pending; false where that failed. */
bool durable_run(struct durable *d, uint64_t commits);

/* --- looking at a disk --- */

/* Recovers into a store of its own, and compares with the data as of the commit that was found. Nothing on the disk changes. */
struct durable_look {
    enum recover_result result;
    struct recovery found;
    bool right; /* the data are those of commit found.last in the past; false also where that is none of them */
};

struct durable_look durable_look(struct sim_disk *disk, const struct past *past);

/* The same by another way of reading than recover_read. */
struct durable_look durable_look_by(enum recover_result (*read)(void *arg, const struct recover_sink *sink, struct recovery *found),
                                    void *arg, const struct past *past);

/* How many times as much a test does in its long form (TXKV_SOAK): 25, else 1. */
uint64_t durable_soak_factor(void);

#endif
