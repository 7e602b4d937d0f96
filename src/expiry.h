/* expiry: the entries of a generation that end at a time, in order of it.
 *
 * A wheel of wheels: a time is 11 digits of 6 bits, and an entry stands in the slot of the highest digit in which its time
 * differs from the wheel's own.
 *
 *      level 0    64 slots of 1 ms           the next 64 ms
 *      level 1    64 slots of 64 ms          the next 4 s
 *      level 2    64 slots of 4.1 s          the next 4 min
 *      ...
 *
 * When the wheel's time comes to a slot, its entries are put into finer ones, at most once for each level. Adding and removing
 * take a few steps however many there are; so does finding the next one that has ended, in steps that can be counted.
 *
 * Invariant: each slot that is used lies behind the wheel's time, and what stands at a lower level ends earlier. */
#ifndef TXKV_EXPIRY_H
#define TXKV_EXPIRY_H

#include "dict.h"

#define EXPIRY_LEVELS 11
#define EXPIRY_SLOTS 64

struct entry_time;

struct expiry {
    uint64_t time;             /* Unix milliseconds: up to it, all are in `due` or `moving` */
    size_t count;              /* entries */
    struct entry_time *due;    /* that have ended */
    struct entry_time *moving; /* of a slot that has come, on their way to finer ones */
    uint64_t used[EXPIRY_LEVELS]; /* the slots that may hold any, a bit each */
    struct entry_time *slots[EXPIRY_LEVELS][EXPIRY_SLOTS];
};

/* Zeros are an empty one. Its time may be set while it is empty: nearer to those to come, it has less to do. */

/* An entry that is timed and no tombstone was added, or has another end now: puts it where it belongs, which is nowhere when it
 * has none. */
void expiry_place(struct expiry *x, struct entry *e);

/* It is about to go. */
void expiry_remove(struct expiry *x, struct entry *e);

/* It has ended and somebody came by: it is the next one. */
void expiry_hasten(struct expiry *x, struct entry *e);

/* It is a copy in another place: whatever points to it does so now. */
void expiry_moved(struct entry *e);

/* An entry that has ended at now_ms, which must not go back; it stays here until it is removed. NULL where none has, or *steps,
 * which it takes from, are used up. */
struct entry *expiry_next(struct expiry *x, uint64_t now_ms, size_t *steps);

/* Whether any may have ended: true too where only expiry_next could tell. */
bool expiry_is_due(const struct expiry *x, uint64_t now_ms);

#endif
