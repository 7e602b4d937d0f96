/* multi: MULTI and WATCH of one session: requests that wait for EXEC, and keys with the versions that they had.
 *
 * A request is queued as what its decoding gave, so that EXEC need not decode it again:
 *
 *      | struct queued: its command, how many words ... | lengths of the words, 4 bytes each | the words |
 *
 * That is all a command's function needs, and it is the same for counted words, for lines, and for words in quotes, which never
 * stood in the stream so. */
#ifndef TXKV_MULTI_H
#define TXKV_MULTI_H

#include "buf.h"
#include "txn.h"

struct request;

#define MULTI_REQUESTS_MAX 10000 /* run in one go, and nobody else meanwhile */
#define MULTI_STEPS_MAX 400000   /* of its long commands, which wait for no tick: about 100,000 keys of scans */

struct multi {
    bool open;        /* between MULTI and EXEC */
    bool broken;      /* a request was refused: EXEC will be too */
    size_t count;     /* requests in the queue */
    uint64_t scanned; /* steps of the long commands, scans and LCS, among its requests */
    size_t bytes;     /* at most so many of the journal, for all of them */
    uint64_t began;   /* requests that the engine had served at its MULTI */
    struct buf queue; /* see above */
    struct txn watch; /* OPEN while keys are watched; FAILED when that took too much history */
};

/* An empty one, and one that is empty again; the watched keys are its owner's to give up before. */
void multi_init(struct multi *m);
void multi_deinit(struct multi *m);

/* Queues a copy of a request that has no error, and its hash. 0; ERR_TOOBIG where MULTI_REQUESTS_MAX are queued or the queue would
 * take more than bytes_max; ERR_FULL without memory. Nothing is changed then. */
int multi_push(struct multi *m, const struct request *r, size_t bytes_max);

/* Gives r the command, the arguments and the hash of the request that stands at *at, 0 for the first one, and moves *at to the next
 * one. words has room for COMMAND_ARGS_MAX slices; they point into the queue. */
void multi_take(const struct multi *m, size_t *at, struct slice *words, struct request *r);

/* The hashes of the first keys of up to max requests that stand at `at` and behind; returns how many there are. */
size_t multi_hashes(const struct multi *m, size_t at, uint32_t *hashes, size_t max);

#endif
