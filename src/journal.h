/* journal: the commits that are not durable yet, in the order in which they were made.
 *
 * The store appends each commit as a record (record.h); whoever makes commits durable takes all that has come together as
 * one batch, one batch at a time, and says when it is durable. What that takes is not known here: a local file is one way.
 *
 *      commits --> pending (batch n) --journal_take--> in flight (batch n-1) --journal_done--> durable
 *
 * Where `holds` is set, nothing may be acknowledged, or shown, that is not durable: see session_hold.
 *
 * Room: a batch goes into one stretch of `room` bytes (the rest of a segment of the log); `spares` further stretches stand
 * ready. A commit is admitted before it runs, and only if its record fits. */
#ifndef TXKV_JOURNAL_H
#define TXKV_JOURNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "record.h"

#define JOURNAL_BATCH_BYTES ((size_t)16 << 20) /* a batch of more takes no further commit, a single larger one excepted */

struct journal {
    struct buf pending;    /* the batch that is filled */
    uint64_t pending_last; /* sequence number of its newest commit */
    uint64_t flight_last;  /* of the newest commit handed over */
    uint64_t durable;      /* of the newest commit that is durable, like all before it */
    uint64_t batch;        /* number of the pending batch */
    uint64_t done;         /* number of the newest durable batch */
    size_t waiters;        /* sessions that wait for the pending batch */
    bool in_flight;        /* a batch was taken and is not done */
    bool holds;            /* answers wait until what they depend on is durable */
    bool opens_stretch;    /* the pending batch is the first in its stretch, its first bytes are left free for a header */
    bool no_space;         /* no further stretch can be made now: the disk is full */
    size_t room;           /* bytes that the pending batch may have */
    size_t spares;         /* stretches that stand ready */
    size_t stretch;        /* bytes of one */
    size_t header;         /* bytes to be left free at the start of a stretch */
    size_t trailer;        /* and behind each batch */
};

enum journal_admission {
    JOURNAL_ADMITS,
    JOURNAL_LATER,    /* try again when a batch is done, or a stretch has come */
    JOURNAL_NO_SPACE, /* ERR READONLY */
};

void journal_init(struct journal *j, size_t stretch, size_t header, size_t trailer);
void journal_deinit(struct journal *j);

/* Whether a commit whose record takes at most so many bytes may run now. */
enum journal_admission journal_admit(struct journal *j, size_t bytes);

/* Makes room in memory for so many bytes of records, which then can be appended to `pending` without failing. 0, or -1. */
int journal_reserve(struct journal *j, size_t bytes);

/* A commit has been appended to `pending`. */
void journal_committed(struct journal *j, uint64_t seq);

/* A batch as it is handed over. */
struct journal_batch {
    struct buf bytes;   /* owned by whoever took it, until journal_done */
    uint64_t last;      /* sequence number of its newest commit */
    bool opens_stretch; /* begins with `header` free bytes */
};

/* Whether there is something to take, and nothing in flight. */
bool journal_has_batch(const struct journal *j);

/* Hands the pending batch over and begins the next one. */
void journal_take(struct journal *j, struct journal_batch *batch);

/* The batch that was taken is durable, or as safe as is wanted; gives its memory back. */
void journal_done(struct journal *j, struct journal_batch *batch);

/* One more stretch stands ready. */
void journal_add_spare(struct journal *j);

/* The batch whose being durable makes commit seq durable; seq is above `durable`. */
uint64_t journal_batch_of(const struct journal *j, uint64_t seq);

#endif
