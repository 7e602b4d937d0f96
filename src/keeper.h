/* keeper: checkpoints and backups, made while the server serves.
 *
 *      idle --log growth, full disk, CHECKPOINT, BACKUP--> walking --all is written--> settling --the log is that far on disk--> idle
 *        '--CHECKPOINT as of a commit that has one--> trimming --what nothing needs is removed--> idle
 *
 * The loop walks the data in steps (walk.h); a thread of its own writes what comes of it. A checkpoint gets its name only when
 * the log is on disk up to its commit, so that the older one and the log always lead to the same data. */
#ifndef TXKV_KEEPER_H
#define TXKV_KEEPER_H

#include "backup.h"
#include "checkpoint.h"
#include "committer.h"

enum keeper_state { KEEPER_IDLE, KEEPER_WALKING, KEEPER_SETTLING, KEEPER_TRIMMING };

struct keeper {
    struct engine *engine;       /* borrowed, all of them */
    struct tick *tick;
    const struct options *options;
    struct committer *committer; /* NULL without a log */
    struct disk_dir *data;       /* NULL without a data directory */
    uint64_t id;                 /* that checkpoints carry */
    uint64_t checkpointed;       /* newest commit of a checkpoint in the data directory */
    enum keeper_state state;
    uint64_t seq;                /* the commit as of which it is made */
    struct errand *errand;       /* who asked for what is being made; NULL: nobody */
    bool for_backup;
    uint64_t log_bytes;          /* of the log since the checkpoint before, when this one began */
    uint64_t again_at;           /* loop time in ms before which none is begun for the log's growth, after one has failed */
    unsigned pressed;            /* checkpoints begun because the disk was full, since it is */
    struct worker worker;
    struct disk_dir backups;     /* the directory of all backups, while one is made; the thread's while it is busy, like all below */
    struct backup backup;
    struct checkpoint file;
    struct buf part;
    bool first;                  /* part of the file */
    bool last;
    bool made;                   /* the checkpoint is there; what it makes needless is left to be removed */
    bool spoiled;                /* memory ran out: it will not be whole */
    uint64_t unix_time;
    uint64_t segment;            /* being written by the log; those before may go */
    int rc;
};

/* 0, or -1 with one line on stderr. */
int keeper_start(struct keeper *k, uv_loop_t *loop);

/* After each tick: a step of what is to be done. True while there is more that needs no event. */
bool keeper_pump(struct keeper *k);

/* No client is left, and the committer was stopped: ends the thread, and makes a checkpoint where there are new commits. */
void keeper_stop(struct keeper *k);

#endif
