/* recover: reads a data directory back, and decides how far its log can be believed.
 *
 *   1. The newest checkpoint that is whole is read; a damaged one is passed over for the one before it, and none at all means
 *      an empty store at commit 0.
 *   2. The log is read from the segment that has the next commit, record by record (record.h says which are valid); commits
 *      above the checkpoint's are applied. Damage to those at or below it is passed over.
 *   3. At the first other place where no valid record stands:
 *      - only zeros follow to the end of the last segment: that is the end of the log;
 *      - a later segment is in use, or a later record says that this place had been synced, or a checkpoint, damaged or not, is of a
 *        later commit: that is damage. What was acknowledged would be lost, so the server does not start by itself;
 *      - otherwise it is a torn tail, a batch that was being written and was never acknowledged (or damage inside the very
 *        last synced batch, which nothing tells from it): it is saved aside and cut.
 *
 * Reading (recover.c) changes nothing; settling (recover_settle.c) then does what the findings ask for. */
#ifndef TXKV_RECOVER_H
#define TXKV_RECOVER_H

#include "disk.h"
#include "log.h"
#include "record.h"

/* What the findings are given to. Functions answer 0, or -1 to stop (without memory). */
struct recover_sink {
    void (*reset)(void *arg);                                       /* all that was given is void */
    int (*part)(void *arg, uint64_t seq, struct slice payload);     /* of a checkpoint; whole operations, or none */
    int (*commit)(void *arg, uint64_t seq, struct slice payload);   /* of the log, in order, each once */
    void (*progress)(void *arg, uint64_t bytes, uint64_t of_bytes); /* now and then; may be NULL */
    void *arg;
};

enum recover_result {
    RECOVER_CLEAN,
    RECOVER_TORN,    /* what stands behind the last whole commit was never acknowledged, as far as anything shows */
    RECOVER_DAMAGED, /* something is missing that was acknowledged */
    RECOVER_FAILED,  /* the disk failed, memory ran out, or a format is unknown */
};

#define RECOVER_DAMAGED_MAX 8 /* damaged checkpoints that are passed over */

struct recovery {
    uint64_t id; /* of the directory; 0 where it holds nothing yet */
    bool has_checkpoint;
    uint64_t checkpoint;      /* as of which commit */
    uint64_t checkpoint_keys;
    uint64_t checkpoint_bytes;
    uint64_t damaged[RECOVER_DAMAGED_MAX]; /* checkpoints that were passed over */
    size_t damaged_count;
    size_t segments;          /* in use */
    uint64_t commits;         /* applied from the log */
    uint64_t log_bytes;       /* read of it */
    uint64_t last;            /* newest whole commit */
    uint64_t chain;           /* check of the last record */
    uint64_t first_segment;   /* where its reading began: number of the segment, 0 where there is no log */
    uint64_t segment;         /* where the log ends: number of the segment, 0 where there is no log */
    uint64_t segment_at;      /* and how far its whole records go; 0: not even its header is whole */
    uint64_t synced_at;       /* what stands before that in it is on disk: a later record says so */
    uint64_t tail_bytes;      /* behind its whole records, up to the last byte that is not zero */
    char problem[320];        /* all but clean: which file, which byte, what it means */
};

/* Reads all; nothing on the disk changes. */
enum recover_result recover_read(struct disk *d, const struct recover_sink *sink, struct recovery *found);

/* After clean or torn, or damaged where what is lost is given up: saves the tail aside and cuts it, puts damaged checkpoints
 * aside, removes what was made ahead or not finished, makes sure that all that was read is on disk, and sets the log up to go
 * on in a new segment (which is not made yet). On a full disk the tail's copy takes the room of what was made ahead. 0 or a
 * negative errno: nothing was cut without a copy, and no copy that is not whole stays. */
int recover_settle(struct disk *d, const struct recovery *found, struct log *log);

/* Renames a file to saved-NAME, or where that is taken to saved-NAME.2, .3 and so on. 0 or a negative errno. */
int recover_put_aside(struct disk *d, const char *name);

#endif
