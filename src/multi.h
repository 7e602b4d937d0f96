/* multi: MULTI and WATCH of one session: requests that wait for EXEC as they came, and keys with the versions that they had.
 *
 * The queue is a stream like any other: EXEC decodes it, and runs what it holds through the same functions, as one commit. */
#ifndef TXKV_MULTI_H
#define TXKV_MULTI_H

#include "buf.h"
#include "txn.h"

#define MULTI_REQUESTS_MAX 10000 /* run in one go, and nobody else meanwhile */
#define MULTI_STEPS_MAX 400000   /* of its long commands, which wait for no tick: about 100,000 keys of scans */

struct multi {
    bool open;        /* between MULTI and EXEC */
    bool broken;      /* a request was refused: EXEC will be too */
    size_t count;     /* requests in the queue */
    uint64_t scanned; /* steps of the long commands, scans and LCS, among its requests */
    size_t bytes;     /* at most so many of the journal, for all of them */
    struct buf queue; /* the requests as they came */
    struct txn watch; /* OPEN while keys are watched; FAILED when that took too much history */
};

#endif
