/* replay: puts what recovery reads into a store, in an order that the machine likes.
 *
 * A key's place in memory is random, so keys that are put in as they come touch memory that is not in the cache, several
 * times each. Operations are collected here, sorted by partition of the dictionary, and applied partition by partition: what
 * a partition needs is fetched once for dozens of keys. Operations on the same key stay in order; a FLUSH ends a batch. */
#ifndef TXKV_REPLAY_H
#define TXKV_REPLAY_H

#include "store.h"

struct replay_op;

struct replay {
    struct store *store;   /* borrowed; without a journal, and without transactions */
    struct buf payloads;   /* copies, until the batch is applied */
    struct replay_op *ops; /* owned, REPLAY_OPS of them */
    struct replay_op *sorted;
    size_t count;
    uint64_t last; /* sequence number of the newest */
    bool failed;   /* without memory, when the keys were counted */
};

/* 0, or -1 without memory. */
int replay_init(struct replay *r, struct store *st);
void replay_deinit(struct replay *r);

/* Takes a payload (record.h) that is known to be whole, of commit seq, which is not below earlier ones. 0, or -1 without
 * memory. */
int replay_add(struct replay *r, uint64_t seq, struct slice payload);

/* How many keys there are with all that was added so far, which is applied for that: to be asked now and then, not for each
 * payload. A lack of memory is said by what comes next, replay_add or replay_finish. */
uint64_t replay_keys(struct replay *r);

/* All that was added is in the store afterwards. 0, or -1 without memory. */
int replay_finish(struct replay *r);

/* Forgets what was added, and all data of the store. */
void replay_reset(struct replay *r);

#endif
