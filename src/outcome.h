/* outcome: what became of the transactions that a client gave an ID (a token), so that a client that lost its connection
 * between COMMIT and the answer can ask.
 *
 *      UNKNOWN --begin--> OPEN --commit--> COMMITTED --after `keep` seconds--> UNKNOWN
 *         ^                ^ |
 *         |          begin | | rollback, conflict, failure of whatever kind
 *         |                | v
 *         +--evicted, or  ABORTED
 *            after `keep`
 *
 * Tokens are at most `max`: a COMMITTED one stays for `keep` seconds at least, an ABORTED one goes early where room is wanted,
 * an OPEN one stays. So with `max` tokens that must stay, no further one can be begun: max / keep a second can commit for ever.
 *
 * Invariant: a token is OPEN exactly while a transaction in state OPEN points to it. */
#ifndef TXKV_OUTCOME_H
#define TXKV_OUTCOME_H

#include "dict.h"

#define OUTCOME_TOKEN_MAX ((size_t)64) /* bytes */
#define OUTCOME_MAX_DEFAULT ((size_t)1000000)
#define OUTCOME_KEEP_DEFAULT 600 /* seconds */

struct txn;
struct outcome;

enum outcome_state { OUTCOME_UNKNOWN, OUTCOME_OPEN, OUTCOME_ABORTED, OUTCOME_COMMITTED };

/* In order of their times, oldest first. */
struct outcome_list {
    struct outcome *first;
    struct outcome *last;
};

struct outcomes {
    size_t max;            /* tokens */
    uint64_t refused;      /* how many there was no room for, since the beginning */
    uint64_t keep;         /* seconds */
    uint64_t clock;        /* Unix seconds, as whoever runs the store says; never goes back */
    struct dict tokens;
    struct outcome_list committed; /* in order of their sequence numbers too */
    struct outcome_list aborted;
    struct outcome *to_walk; /* the next one that a walk comes to */
};

/* Defaults for max and keep, clock 0; they may be changed at any time. 0, or -1 without memory. */
int outcomes_init(struct outcomes *o);
void outcomes_deinit(struct outcomes *o);

/* Whether there is nothing to forget. */
static inline bool outcomes_is_empty(const struct outcomes *o)
{
    return o->tokens.count == 0;
}

/* Forgets all tokens. */
void outcomes_clear(struct outcomes *o);

/* What is known of a token, or NULL for nothing; valid until the next call that changes any. */
struct outcome *outcome_find(const struct outcomes *o, struct slice token);

enum outcome_state outcome_state(const struct outcome *at);

/* Of a COMMITTED one, its sequence number. */
uint64_t outcome_seq(const struct outcome *at);

/* The token, and the transaction of an OPEN one. */
struct slice outcome_token(const struct outcome *at);
struct txn *outcome_txn(const struct outcome *at);

/* Opens a token that is unknown or ABORTED (`known`: what outcome_find said of it) for t. NULL where there is no room for a
 * further one, or no memory. It is valid until outcome_commit or outcome_abort. */
struct outcome *outcome_open(struct outcomes *o, struct outcome *known, struct slice token, struct txn *t);

/* Ends an OPEN one. Neither can fail. seq is above that of earlier ones. */
void outcome_commit(struct outcomes *o, struct outcome *at, uint64_t seq);
void outcome_abort(struct outcomes *o, struct outcome *at);

/* A file says that a token was committed, at Unix second `time`; seq is not below that of earlier ones. While no transaction is
 * open. 0, or -1 without memory. */
int outcome_restore(struct outcomes *o, struct slice token, uint64_t time, uint64_t seq);

/* Forgets up to limit tokens that were kept long enough. True when there are more. */
bool outcomes_expire(struct outcomes *o, size_t limit);

/* Goes through the COMMITTED ones in the order of their commits, a few at a time: begin, then next until it is NULL. Those that
 * are forgotten meanwhile are left out. One walk at a time. */
void outcomes_walk_begin(struct outcomes *o);
struct outcome *outcomes_walk_next(struct outcomes *o);
uint64_t outcome_time(const struct outcome *at);

#endif
