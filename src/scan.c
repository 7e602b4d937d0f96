#include "scan.h"

#include <assert.h>

#include "fault.h"

#define EMPTY_PER_STEP 16 /* partitions without a table that are passed at the price of one bucket */

struct scanning {
    struct store *st;
    const struct txn *t;
    bool (*take)(struct slice key, void *arg);
    void *arg;
    bool more; /* take wants more */
};

/* Whether a version, the one that the reader's commit has at its key, says that the key is there, and its time is not over. */
static bool scan_sees(const struct store *st, const struct txn *t, const struct entry *e)
{
    return e != NULL && !entry_is_gone(e, store_time(st, t));
}

static void give(struct scanning *s, const struct entry *e)
{
    s->more = s->take(entry_key(e), s->arg) && s->more;
}

static void visit_data(struct entry *e, void *arg)
{
    struct scanning *s = arg;
    const struct entry *written;
    s->st->steps++;
    if (s->t != NULL && !FAULT(listing_blurred)) {
        e = history_version(e, txn_seq(s->t), &s->st->steps);
    }
    if (!scan_sees(s->st, s->t, e)) {
        return;
    }
    if (s->t == NULL || txn_find(s->t, entry_key(e), entry_hash(e), &written) != TXN_ABSENT) {
        give(s, e);
    }
}

/* What the snapshot has too was given, or will be, where it stands there. */
static void visit_own(struct entry *e, void *arg)
{
    struct scanning *s = arg;
    s->st->steps++;
    if (txn_entry_is_mark(e) || !scan_sees(s->st, s->t, e)) {
        return;
    }
    if (s->t->flushed || !scan_sees(s->st, s->t, history_find(s->st->current, entry_key(e), entry_hash(e), txn_seq(s->t),
                                                              &s->st->steps))) {
        give(s, e);
    }
}

/* The reader's own keys: one partition behind all others. */
static bool step_own(struct scanning *s, struct dict_cursor *at, size_t partitions)
{
    struct dict_cursor own = {0, at->bucket};
    if (s->t == NULL || at->partition > partitions || !dict_scan(&s->t->shadow, &own, visit_own, s)) {
        return false;
    }
    at->bucket = own.bucket;
    return true;
}

bool scan_step(struct store *st, const struct txn *t, struct dict_cursor *at, uint64_t steps,
               bool (*take)(struct slice key, void *arg), void *arg)
{
    const struct generation *g = t == NULL ? st->current : history_generation(st->current, txn_seq(t));
    struct scanning s = {st, t, take, arg, true};
    const size_t partitions = (size_t)1 << st->bits;
    const uint64_t enough = st->steps + steps;
    assert(g != NULL);
    if (t != NULL && t->flushed && at->partition < partitions) {
        *at = (struct dict_cursor){partitions, 0};
    }
    bool ended = false;
    while (!ended && s.more && st->steps < enough) {
        const size_t from = at->partition;
        if (at->partition >= partitions) {
            ended = !step_own(&s, at, partitions);
        } else if (!dict_scan(&g->dict, at, visit_data, &s)) {
            ended = t == NULL || t->shadow.count == 0;
        }
        st->steps += 1 + (at->partition - from) / EMPTY_PER_STEP;
    }
    return !ended;
}

/* --- places --- */

uint64_t scan_number(const struct dict_cursor *at)
{
    return (uint64_t)at->partition << 32 | (uint32_t)at->bucket;
}

struct dict_cursor scan_place(uint64_t number)
{
    return (struct dict_cursor){(size_t)(number >> 32), (uint32_t)number};
}

struct dict_cursor scan_random_place(const struct store *st, const struct txn *t, uint32_t random, uint32_t more)
{
    const size_t partitions = (size_t)1 << st->bits;
    struct dict_cursor at = {random & (partitions - 1), more};
    size_t own = t == NULL ? 0 : t->shadow.count;
    if (own > 0 && more % (own + (t->flushed ? 0 : t->holder.snapshot->keys)) < own) {
        at.partition = partitions;
    }
    return at;
}
