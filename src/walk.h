/* walk: all keys as of one commit, as records of kind part, in bounded steps while commits go on.
 *
 * The walk needs no history. What it has not come to yet is written just before it is changed: so every key is written once,
 * with the value that it had at that commit; a later one has a higher version and is passed over.
 *
 *      walked            cursor        to come
 *      [ a  b  c  d  e     |     f  g  h  i ]         SET g: g's old value is written now, g is skipped later
 *                                                     SET b: nothing, b was written
 *
 * A FLUSH meanwhile puts a new generation in front; the walk goes on through the old one, which it pins. */
#ifndef TXKV_WALK_H
#define TXKV_WALK_H

#include "history.h"
#include "record.h"

#define WALK_STEP_BYTES ((size_t)128 << 10) /* a step of the size that a loop should take */

struct walk {
    bool active;
    bool failed;                   /* memory ran out: what was written is not whole */
    uint64_t seq;                  /* the commit as of which it is */
    uint64_t keys;                 /* written so far */
    struct generation *generation; /* pinned */
    struct dict_cursor cursor;
    struct buf out;    /* whole records, and at its end perhaps one that is still open */
    size_t part_start; /* where the open one begins */
    bool part_open;
};

/* Begins at commit seq, the newest one of the generation. */
void walk_begin(struct walk *w, struct generation *g, uint64_t seq);

/* One step: about `bytes` of output more, and a bounded number of entries. True while there is more; at the end the last
 * record is written. */
bool walk_step(struct walk *w, size_t bytes);

/* A live entry is about to be changed or removed. */
void walk_preserve(struct walk *w, const struct entry *e);

/* Takes an operation other than a put into the open part: 0, or -1 without memory. */
int walk_outcome(struct walk *w, struct slice token, uint64_t time);

/* Hands over what is whole; all of it once walk_step has said that it is done. bytes is empty before. */
void walk_take(struct walk *w, struct buf *bytes);

/* Ends it, early or not. */
void walk_end(struct walk *w, struct history *h);

#endif
