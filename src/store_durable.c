/* What the files need of a store: recording, replaying, and walking through all of it. */
#include <assert.h>

#include "fault.h"
#include "hash.h"
#include "live.h"

#define OUTCOME_STEPS 256 /* outcomes written by a walk, at a time */

void store_use_journal(struct store *st, struct journal *journal)
{
    st->journal = journal;
    st->watched = true;
    st->history.unsettled = journal->holds ? st->seq + 1 : 0;
}

void store_settled(struct store *st, uint64_t seq)
{
    if (st->journal->holds) {
        st->history.unsettled = seq + 1;
    }
}

/* Each takes a sequence number of its own from seq - 1 on, which is that of the commit. */
int store_replay_op(struct store *st, uint64_t seq, const struct record_op *op, uint32_t hash)
{
    int rc = 0;
    assert(st->journal == NULL);
    st->seq = seq - 1;
    switch (op->kind) {
    case RECORD_PUT:
        rc = op->time == 0 ? live_set(st, op->key, hash, op->value) : live_set_until(st, op->key, hash, op->value, op->time);
        break;
    case RECORD_DELETE:
        rc = live_delete(st, op->key, hash);
        break;
    case RECORD_FLUSH:
        rc = store_flush(st, NULL);
        break;
    case RECORD_OUTCOME:
        rc = outcome_restore(&st->outcomes, op->key, op->time, seq);
        break;
    default:
        break;
    }
    return rc < 0 ? -1 : 0;
}

int store_replay(struct store *st, uint64_t seq, struct slice payload)
{
    int rc = 0;
    for (struct record_op op; rc == 0 && record_next(&payload, &op) == 1;) {
        rc = store_replay_op(st, seq, &op, hash_of(op.key));
    }
    store_replayed(st, seq);
    return rc;
}

void store_replayed(struct store *st, uint64_t seq)
{
    st->seq = seq;
    st->keyset_version = seq;
}

void store_reset(struct store *st)
{
    const struct store_limits *limits = st->limits;
    const struct outcomes outcomes = st->outcomes;
    unsigned bits = st->bits;
    store_deinit(st);
    int rc = store_init(st, limits, bits);
    assert(rc == 0);
    (void)rc;
    st->outcomes.max = outcomes.max;
    st->outcomes.keep = outcomes.keep;
    st->outcomes.clock = outcomes.clock;
}

void store_walk_begin(struct store *st)
{
    assert(!st->walk.active);
    walk_begin(&st->walk, st->current, st->seq);
    st->watched = true;
    outcomes_walk_begin(&st->outcomes);
}

/* The outcomes come first, in slices. Those of later commits, which stand at the end, are left out. */
static bool walk_outcomes(struct store *st)
{
    for (size_t i = 0; i < OUTCOME_STEPS; i++) {
        const struct outcome *at = outcomes_walk_next(&st->outcomes);
        if (at == NULL || outcome_seq(at) > st->walk.seq || FAULT(outcome_not_in_checkpoint)) {
            return false;
        }
        if (walk_outcome(&st->walk, outcome_token(at), outcome_time(at)) < 0) {
            return false;
        }
    }
    return true;
}

bool store_walk_step(struct store *st, size_t bytes)
{
    return walk_outcomes(st) || walk_step(&st->walk, bytes);
}

void store_walk_end(struct store *st)
{
    walk_end(&st->walk, &st->history);
    st->watched = st->journal != NULL;
}
