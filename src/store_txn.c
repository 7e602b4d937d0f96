/* Transactions: begin, commit, rollback, what became of them, and watching. */
#include <assert.h>
#include <stdio.h>

#include "err.h"
#include "fault.h"
#include "live.h"
#include "mem.h"

int store_begin(struct store *st, struct txn *t, enum txn_mode mode)
{
    assert(t->state == TXN_NONE && t->shadow.count == 0);
    if (history_open(&st->history, &t->holder, st->seq, st->keys) < 0) {
        return ERR_FULL;
    }
    t->state = TXN_OPEN;
    t->mode = mode;
    t->now_ms = st->now_ms;
    return 0;
}

int store_begin_id(struct store *st, struct txn *t, enum txn_mode mode, struct slice token)
{
    struct outcome *known = outcome_find(&st->outcomes, token);
    if (outcome_state(known) == OUTCOME_COMMITTED) {
        live_observe(st, outcome_seq(known));
        return ERR_DONE;
    }
    if (store_begin(st, t, mode) < 0) {
        return ERR_FULL;
    }
    if (outcome_state(known) == OUTCOME_OPEN) {
        store_fail(st, outcome_txn(known), ERR_EXPIRED, "a transaction of the same ID was begun on another connection");
    }
    t->outcome = outcome_open(&st->outcomes, known, token, t);
    if (t->outcome == NULL) {
        store_rollback(st, t);
        return ERR_FULL;
    }
    return 0;
}

enum outcome_state store_outcome(struct store *st, struct slice token)
{
    const struct outcome *known = outcome_find(&st->outcomes, token);
    if (outcome_state(known) == OUTCOME_COMMITTED) {
        live_observe(st, outcome_seq(known));
    }
    return outcome_state(known);
}

/* Forgets what an unfinished transaction holds. */
static void drop(struct store *st, struct txn *t)
{
    txn_clear(t);
    history_close(&st->history, &t->holder);
    if (t->outcome != NULL) {
        outcome_abort(&st->outcomes, t->outcome);
        t->outcome = NULL;
    }
}

void store_rollback(struct store *st, struct txn *t)
{
    drop(st, t);
    t->state = TXN_NONE;
}

void store_fail(struct store *st, struct txn *t, int cause, const char *why)
{
    assert(t->state != TXN_FAILED);
    drop(st, t);
    t->state = TXN_FAILED;
    t->cause = cause;
    snprintf(t->why, sizeof(t->why), "%s", why);
}

struct committing {
    struct store *st;
    struct txn *t;
    struct generation *fresh; /* what its FLUSH puts in place of the data; NULL where it flushes nothing */
    size_t tables;  /* partitions that are empty now and will be written to, at most */
    size_t values;  /* keys that will be written */
    bool deletes;   /* a deletion may empty a partition, whose table is made anew by a later write */
    bool effective; /* something of it changes the data */
};

static bool same_value_as_of(const struct committing *c, struct entry *mark)
{
    const struct entry *then = history_find(c->st->current, entry_key(mark), entry_hash(mark), txn_seq(c->t),
                                            &c->st->steps);
    const struct entry *now = live_find(c->st, entry_key(mark), entry_hash(mark));
    if (then == NULL || entry_is_tombstone(then) || now == NULL) {
        return (then == NULL || entry_is_tombstone(then)) && now == NULL;
    }
    return slice_equal(entry_value(then), entry_value(now));
}

/* Whether an entry that the transaction reads ended between its BEGIN and now. */
static bool ended_since(const struct committing *c, const struct entry *e)
{
    return e != NULL && entry_is_gone(e, c->st->now_ms) && !entry_is_gone(e, c->t->now_ms) && !FAULT(end_not_validated);
}

/* Whether all that happened to a key is that an entry was removed whose time had passed before BEGIN: it was read as absent. */
static bool only_removed(const struct committing *c, const struct entry *now)
{
    uint64_t version;
    uint64_t expires_at;
    return now != NULL && entry_was_expired(now, &version, &expires_at) && version <= txn_seq(c->t) &&
           expires_at <= c->t->now_ms && !FAULT(removal_is_change);
}

/* A key that was read and has a version above the snapshot is a conflict, or one whose time has passed since. An absent key's
 * version is the last FLUSH's. */
static int validate(struct entry *e, void *arg)
{
    struct committing *c = arg;
    if (!txn_entry_was_read(e)) {
        return 0;
    }
    if (FAULT(validation_by_value)) {
        return same_value_as_of(c, e) ? 0 : ERR_CONFLICT;
    }
    const struct entry *now = dict_find(&c->st->current->dict, entry_key(e), entry_hash(e));
    uint64_t version = now == NULL ? c->st->current->since : entry_version(now);
    bool changed = version <= txn_seq(c->t) ? ended_since(c, now) : !only_removed(c, now);
    if (!changed) {
        return 0;
    }
    live_observe(c->st, version);
    return ERR_CONFLICT;
}

static int look_ahead(struct entry *e, void *arg)
{
    struct committing *c = arg;
    if (txn_entry_is_mark(e)) {
        return 0;
    }
    if (!entry_is_tombstone(e)) {
        c->effective = true;
        c->values++;
        c->tables += dict_needs_table(&c->st->current->dict, entry_hash(e)) ? 1 : 0;
        return 0;
    }
    c->deletes = true;
    if (!c->effective && !c->t->flushed) {
        const struct entry *now = dict_find(&c->st->current->dict, entry_key(e), entry_hash(e));
        live_observe_entry(c->st, now, UINT64_MAX);
        c->effective = now != NULL && !entry_is_tombstone(now);
    }
    return 0;
}

/* The first operation of its record. */
static void record_outcome_of(struct store *st, const struct outcome *at)
{
    if (st->journal != NULL && !FAULT(outcome_not_recorded)) {
        live_must(record_outcome(&st->journal->pending, outcome_token(at), outcome_time(at)));
    }
}

static void record_entry(struct store *st, const struct entry *e)
{
    if (st->journal == NULL) {
        return;
    }
    if (entry_is_tombstone(e)) {
        live_must(record_delete(&st->journal->pending, entry_key(e)));
    } else {
        uint64_t expires_at = FAULT(end_not_recorded) ? 0 : entry_expires_at(e);
        live_must(record_put(&st->journal->pending, entry_key(e), entry_value(e), expires_at));
    }
}

static void apply_entry(struct store *st, struct entry *e, uint64_t seq)
{
    struct entry *old = dict_find(&st->current->dict, entry_key(e), entry_hash(e));
    live_preserve(st, old);
    if (!entry_is_tombstone(e)) {
        record_entry(st, e);
        live_publish(st, old, e, seq);
        return;
    }
    bool lives = old != NULL && !entry_is_tombstone(old);
    bool stays = lives && live_needs_tombstones(st);
    if (lives) {
        record_entry(st, e);
        live_bury(st, old, stays ? e : NULL, seq);
    }
    if (!stays) {
        entry_free(e);
    }
}

struct applying {
    struct store *st;
    uint64_t seq;
    size_t left; /* entries to apply before the rest is held back; all of them but for a fault */
};

static void apply(struct entry *e, void *arg)
{
    struct applying *a = arg;
    if (txn_entry_is_mark(e)) {
        entry_free(e);
        return;
    }
#ifdef TXKV_FAULTS
    if (a->left-- == 0) {
        a->left = 0;
        a->st->half_seq = a->seq;
        if (dict_add(&a->st->half, e) < 0) {
            entry_free(e);
        }
        return;
    }
#endif
    apply_entry(a->st, e, a->seq);
}

#ifdef TXKV_FAULTS
void store_finish_half(struct store *st)
{
    struct applying a = {st, st->half_seq, SIZE_MAX};
    if (st->half.count > 0 && dict_reserve(st->half.count) == 0) {
        dict_release(&st->half, apply, &a);
    }
}
#endif

/* The memory that applying will need, so that it cannot fail half way. */
static int reserve(struct committing *c)
{
    size_t partitions = (size_t)1 << c->st->bits;
    if (live_reserve_record(c->st, store_commit_bytes(c->t)) < 0) {
        return ERR_FULL;
    }
    size_t tables = c->t->flushed || c->deletes ? c->values : c->tables;
    if (dict_reserve(tables < partitions ? tables : partitions) < 0) {
        return ERR_FULL;
    }
    if (c->t->flushed && c->st->keys > 0) {
        c->fresh = generation_new(c->st->bits);
        return c->fresh == NULL ? ERR_FULL : 0;
    }
    return 0;
}

static int check_conflicts(struct committing *c)
{
    if (c->t->mode != TXN_SERIALIZABLE || FAULT(no_read_validation)) {
        return 0;
    }
    bool some_ended = expiry_is_due(&c->st->current->expiry, c->st->now_ms) && c->st->now_ms > c->t->now_ms;
    if (c->t->read_keyset && (c->st->keyset_version > txn_seq(c->t) || some_ended)) {
        live_observe_keyset(c->st, UINT64_MAX);
        return ERR_CONFLICT;
    }
    return dict_each(&c->t->shadow, validate, c);
}

/* All that may fail: 0, or ERR_CONFLICT, ERR_FULL. */
static int prepare(struct committing *c)
{
    bool writes = c->t->writes > 0 || c->t->flushed;
    if (!writes && c->t->outcome == NULL) {
        return 0;
    }
    int rc = writes ? check_conflicts(c) : 0;
    if (rc < 0) {
        return rc;
    }
    dict_each(&c->t->shadow, look_ahead, c);
    rc = reserve(c);
    if (rc == 0 && c->t->flushed && !c->effective && c->fresh == NULL) {
        live_observe_keyset(c->st, UINT64_MAX);
    }
    return rc;
}

/* Takes a sequence number, records, and applies; cannot fail. */
static void publish_all(struct committing *c)
{
    struct store *st = c->st;
    struct txn *t = c->t;
    size_t writes = t->writes;
    history_close(&st->history, &t->holder); /* its own snapshot needs nothing of what it replaces */
    uint64_t seq = ++st->seq;
    size_t record = st->journal == NULL ? 0 : live_begin_record(st, seq);
    if (t->outcome != NULL) {
        outcome_commit(&st->outcomes, t->outcome, seq);
        record_outcome_of(st, t->outcome);
        t->outcome = NULL;
    }
    if (c->fresh != NULL) {
        if (st->journal != NULL) {
            live_must(record_flush(&st->journal->pending));
        }
        live_swap(st, c->fresh, seq);
    }
    struct applying a = {st, seq, FAULT(half_commit_visible) ? writes / 2 : SIZE_MAX};
    dict_release(&t->shadow, apply, &a);
    if (st->journal != NULL) {
        live_end_record(st, record, seq);
    }
    live_relieve(st, writes);
}

int store_commit(struct store *st, struct txn *t)
{
    assert(t->state == TXN_OPEN);
    struct committing c = {.st = st, .t = t};
    st->steps += t->shadow.count;
    int rc = prepare(&c);
    if (rc == 0 && (c.effective || c.fresh != NULL || t->outcome != NULL)) {
        publish_all(&c);
    }
    store_rollback(st, t);
    return rc;
}

/* --- watching: t is used for its snapshot, which keeps the tombstones that come, and its shadow map, which maps keys to
 * versions --- */

/* How a watched key stands: what is compared. */
struct watched {
    uint64_t version; /* of what was absent as of t's snapshot, and is, 0 */
    uint64_t exists;  /* 1, or 0 */
};

/* A key that its time removes has the version that it had: it is absent since its time has passed. */
static struct watched look_at_watched(struct store *st, const struct txn *t, struct slice key, uint32_t hash)
{
    const struct entry *e = dict_find(&st->current->dict, key, hash);
    struct watched w = {.version = e == NULL ? st->current->since : entry_version(e)};
    uint64_t expires_at;
    if (e != NULL) {
        entry_was_expired(e, &w.version, &expires_at);
        w.exists = !entry_is_gone(e, st->now_ms);
    }
    w.version = w.exists == 0 && w.version <= txn_seq(t) ? 0 : w.version;
    return w;
}

int store_watch(struct store *st, struct txn *t, struct slice key, uint32_t hash)
{
    const struct entry *noted;
    const struct watched now = look_at_watched(st, t, key, hash);
    if (txn_find(t, key, hash, &noted) == TXN_VALUE) {
        return 0;
    }
    return txn_put(t, &st->limits->txn, key, hash, slice_of((const char *)&now, sizeof(now)), 0);
}

struct watching {
    struct store *st;
    const struct txn *t;
};

static int compare_watched(struct entry *e, void *arg)
{
    const struct watching *w = arg;
    struct watched noted;
    memcpy(&noted, entry_value(e).data, sizeof(noted));
    struct watched now = look_at_watched(w->st, w->t, entry_key(e), entry_hash(e));
    if ((now.version != noted.version || now.exists != noted.exists) && !FAULT(no_read_validation)) {
        live_observe(w->st, now.version);
        return ERR_CONFLICT;
    }
    return 0;
}

bool store_watched_changed(struct store *st, struct txn *t)
{
    struct watching w = {st, t};
    st->steps += t->shadow.count;
    return dict_each(&t->shadow, compare_watched, &w) < 0;
}
