#include "store.h"

#include <assert.h>
#include <stdio.h>

#include "err.h"
#include "fault.h"
#include "live.h"
#include "mem.h"

#define TEND_STEPS 1024   /* entries freed per store_tend, about 0.3 ms, and two more for each that was written since */
#define OUTCOME_STEPS 256 /* outcomes forgotten at a time */

int store_init(struct store *st, const struct store_limits *limits, unsigned bits)
{
    *st = (struct store){.limits = limits, .bits = bits};
    if (outcomes_init(&st->outcomes) < 0) {
        return -1;
    }
    st->current = generation_new(bits);
    if (st->current == NULL) {
        outcomes_deinit(&st->outcomes);
        return -1;
    }
#ifdef TXKV_FAULTS
    (void)dict_init(&st->half, 0);
#endif
    return 0;
}

void store_deinit(struct store *st)
{
#ifdef TXKV_FAULTS
    dict_deinit(&st->half);
#endif
    store_walk_end(st);
    outcomes_deinit(&st->outcomes);
    history_deinit(&st->history);
    dict_deinit(&st->current->dict);
    mem_free(st->current);
    st->current = NULL;
}

bool store_is_full(const struct store *st)
{
    return st->limits->memory_bytes > 0 && mem_used() > st->limits->memory_bytes;
}

void store_prefetch(const struct store *st, const uint32_t *hashes, size_t count)
{
    dict_prefetch(&st->current->dict, hashes, count);
}

size_t store_command_bytes(size_t bytes)
{
    return RECORD_HEADER_BYTES + RECORD_OP_BYTES_MAX + INTEGER_TEXT_MAX + bytes;
}

/* An entry takes more than its operation. */
size_t store_commit_bytes(const struct txn *t)
{
    size_t id = t->outcome == NULL ? 0 : RECORD_OP_BYTES_MAX + OUTCOME_TOKEN_MAX;
    return RECORD_HEADER_BYTES + 2 * RECORD_OP_BYTES_MAX + id + t->shadow.bytes;
}

/* --- commands --- */

/* What stands at a key for a reader, be its time over or not; NULL for nothing. */
static struct entry *find_kept(struct store *st, const struct txn *t, struct slice key, uint32_t hash)
{
    struct entry *e = t == NULL || FAULT(snapshot_not_honoured)
                          ? dict_find(&st->current->dict, key, hash)
                          : history_find(st->current, key, hash, txn_seq(t), &st->steps);
    if (st->journal != NULL) {
        live_observe_entry(st, e, t == NULL ? UINT64_MAX : txn_seq(t));
    }
    return e == NULL || entry_is_tombstone(e) ? NULL : e;
}

uint64_t store_time(const struct store *st, const struct txn *t)
{
    return t == NULL ? st->now_ms : t->now_ms;
}

void store_tell_time(struct store *st, uint64_t now_ms)
{
    st->now_ms = now_ms > st->now_ms ? now_ms : st->now_ms;
    st->outcomes.clock = st->now_ms / 1000;
    if (st->current->expiry.count == 0) {
        st->current->expiry.time = st->now_ms;
    }
}

/* The time of e has passed for a reader. It is removed soon, unless it is history. */
static __attribute__((noinline)) void come_by_expired(struct store *st, struct entry *e)
{
    if (entry_is_gone(e, st->now_ms) && dict_find(&st->current->dict, entry_key(e), entry_hash(e)) == e) {
        expiry_hasten(&st->current->expiry, e);
    }
}

/* What was found, unless its time has passed. */
static struct entry *alive(struct store *st, const struct txn *t, struct entry *e)
{
    if (e != NULL && entry_is_gone(e, store_time(st, t)) && !FAULT(time_ignored)) {
        come_by_expired(st, e);
        return NULL;
    }
    return e;
}

static struct entry *find_as_of(struct store *st, const struct txn *t, struct slice key, uint32_t hash)
{
    return alive(st, t, find_kept(st, t, key, hash));
}

static inline int give(const struct entry *e, struct slice *value)
{
    if (e == NULL) {
        return 0;
    }
    *value = entry_value(e);
    return 1;
}

static __attribute__((noinline)) int get_inside(struct store *st, struct txn *t, struct slice key, uint32_t hash, struct slice *value)
{
    const struct entry *written;
    enum txn_hit hit = txn_find(t, key, hash, &written);
    if (hit == TXN_VALUE) {
        return give(written, value);
    }
    if (hit == TXN_ABSENT) {
        return 0;
    }
    struct entry *e = find_as_of(st, t, key, hash);
    if (e != NULL || !FAULT(absence_not_marked)) {
        int rc = txn_mark(t, &st->limits->txn, key, hash);
        if (rc < 0) {
            return rc;
        }
    }
    return give(e, value);
}

static __attribute__((noinline)) int get_recorded(struct store *st, struct slice key, uint32_t hash, struct slice *value)
{
    return give(find_as_of(st, NULL, key, hash), value);
}

static __attribute__((noinline)) int get_gone(struct store *st, struct entry *e, struct slice *value)
{
    return entry_is_tombstone(e) ? 0 : give(alive(st, NULL, e), value);
}

/* The commonest way needs few registers: the others are functions of their own. */
int store_get(struct store *st, struct txn *t, struct slice key, uint32_t hash, struct slice *value)
{
    if (t != NULL) {
        return get_inside(st, t, key, hash, value);
    }
    if (st->journal != NULL) {
        return get_recorded(st, key, hash, value);
    }
    struct entry *e = dict_find(&st->current->dict, key, hash);
    return e != NULL && entry_is_gone(e, st->now_ms) ? get_gone(st, e, value) : give(e, value);
}

uint64_t store_expires_at(struct store *st, struct txn *t, struct slice key, uint32_t hash)
{
    const struct entry *e = NULL;
    if (!st->ends) {
        return 0;
    }
    if (t == NULL || txn_find(t, key, hash, &e) == TXN_MISS) {
        e = find_as_of(st, t, key, hash);
    }
    return e == NULL ? 0 : entry_expires_at(e);
}

/* 0, or why nothing can be written now. */
static inline int may_set(const struct store *st, const struct txn *t)
{
    return t != NULL && t->mode == TXN_READONLY ? ERR_READONLY : store_is_full(st) ? ERR_FULL : 0;
}

static __attribute__((noinline)) int set_inside(struct store *st, struct txn *t, struct slice key, uint32_t hash, struct slice value)
{
    int rc = may_set(st, t);
    return rc < 0 ? rc : txn_put(t, &st->limits->txn, key, hash, value, 0);
}

int store_set(struct store *st, struct txn *t, struct slice key, uint32_t hash, struct slice value)
{
    if (t != NULL) {
        return set_inside(st, t, key, hash, value);
    }
    int rc = may_set(st, NULL);
    return rc < 0 ? rc : live_set(st, key, hash, value);
}

int store_put(struct store *st, struct entry *fresh)
{
    int rc = may_set(st, NULL);
    rc = rc < 0 ? rc : live_put(st, fresh);
    if (rc < 0) {
        entry_free(fresh);
    }
    return rc;
}

int store_set_until(struct store *st, struct txn *t, struct slice key, uint32_t hash, struct slice value, uint64_t expires_at)
{
    int rc = may_set(st, t);
    return rc < 0 ? rc : store_set_end(st, t, key, hash, value, expires_at);
}

int store_set_end(struct store *st, struct txn *t, struct slice key, uint32_t hash, struct slice value, uint64_t expires_at)
{
    if (t != NULL && t->mode == TXN_READONLY) {
        return ERR_READONLY;
    }
    if (t == NULL) {
        return expires_at == 0 ? live_set(st, key, hash, value) : live_set_until(st, key, hash, value, expires_at);
    }
    st->ends = st->ends || expires_at > 0;
    return txn_put(t, &st->limits->txn, key, hash, value, expires_at);
}

int store_delete(struct store *st, struct txn *t, struct slice key, uint32_t hash)
{
    if (t == NULL) {
        return live_delete(st, key, hash);
    }
    return t->mode == TXN_READONLY ? ERR_READONLY : txn_delete(t, &st->limits->txn, key, hash);
}

bool store_parse_integer(struct slice text, int64_t *value)
{
    if (text.len == 0 || text.len >= INTEGER_TEXT_MAX) {
        return false;
    }
    bool negative = text.data[0] == '-';
    uint64_t sum = 0;
    for (size_t i = negative ? 1 : 0; i < text.len; i++) {
        unsigned digit = (unsigned)(text.data[i] - '0');
        if (digit > 9 || sum > (UINT64_MAX - digit) / 10) {
            return false;
        }
        sum = sum * 10 + digit;
    }
    uint64_t most = (uint64_t)INT64_MAX + (negative ? 1 : 0);
    size_t sign = negative ? 1 : 0;
    if (text.len == sign || sum > most || (text.data[sign] == '0' && text.len > 1)) {
        return false;
    }
    *value = negative ? (int64_t)(0 - sum) : (int64_t)sum;
    return true;
}

int store_increment(struct store *st, struct txn *t, struct slice key, uint32_t hash, int64_t by, int64_t *sum)
{
    if (t != NULL && t->mode == TXN_READONLY) {
        return ERR_READONLY;
    }
    struct slice text;
    int64_t number = 0;
    int found = store_get(st, t, key, hash, &text);
    if (found < 0) {
        return found;
    }
    if (found == 1 && !store_parse_integer(text, &number)) {
        return ERR_NOTINT;
    }
    if (__builtin_add_overflow(number, by, sum)) {
        return ERR_OVERFLOW;
    }
    char digits[INTEGER_TEXT_MAX + 1];
    int len = snprintf(digits, sizeof(digits), "%lld", (long long)*sum);
    uint64_t expires_at = found == 1 ? store_expires_at(st, t, key, hash) : 0;
    return store_set_until(st, t, key, hash, slice_of(digits, (size_t)len), expires_at);
}

struct counting {
    struct store *st;
    struct txn *t;
    uint64_t keys;
};

/* A write adds a key, or a deletion takes one, where the snapshot has it not or has it. */
static int count_write(struct entry *e, void *arg)
{
    struct counting *c = arg;
    if (txn_entry_is_mark(e)) {
        return 0;
    }
    bool existed = !c->t->flushed && find_kept(c->st, c->t, entry_key(e), entry_hash(e)) != NULL;
    bool exists = !entry_is_tombstone(e);
    c->keys += (uint64_t)exists - (uint64_t)existed;
    return 0;
}

void store_reads_keyset(struct store *st, struct txn *t)
{
    if (t == NULL) {
        live_observe_keyset(st, UINT64_MAX);
    } else if (!t->flushed) {
        t->read_keyset = t->mode == TXN_SERIALIZABLE;
        live_observe_keyset(st, txn_seq(t));
    }
}

uint64_t store_count(struct store *st, struct txn *t)
{
    store_reads_keyset(st, t);
    if (t == NULL) {
        return st->keys;
    }
    struct counting counting = {st, t, t->flushed ? 0 : t->holder.snapshot->keys};
    st->steps += t->shadow.count;
    dict_each(&t->shadow, count_write, &counting);
    return counting.keys;
}

int store_flush(struct store *st, struct txn *t)
{
    if (t == NULL) {
        return live_flush(st);
    }
    if (t->mode == TXN_READONLY) {
        return ERR_READONLY;
    }
    txn_flush(t);
    return 0;
}

/* --- work that may wait --- */

/* Entries that are left in sparse memory move together. */
static bool evacuate(struct store *st, size_t steps)
{
    if (!st->evacuating) {
        if (!mem_is_wasteful() || FAULT(sparse_memory_stays)) {
            return false;
        }
        mem_drain_begin();
        st->evacuating = true;
        st->evacuated = 0;
    }
    if (!dict_evacuate(&st->current->dict, &st->evacuated, steps)) {
        mem_drain_end();
        st->evacuating = false;
    }
    return st->evacuating;
}

bool store_tend(struct store *st)
{
#ifdef TXKV_FAULTS
    store_finish_half(st);
#endif
    bool more = store_has_ends(st) && live_expire(st);
    size_t limit = TEND_STEPS + (FAULT(sweep_not_scaled) ? 0 : 2 * st->changes);
    st->changes = 0;
    more = history_sweep(&st->history, st->current, limit) == limit || more;
    if (!outcomes_is_empty(&st->outcomes)) {
        more = outcomes_expire(&st->outcomes, OUTCOME_STEPS) || more;
    }
    bool may_begin = !more; /* what is about to be freed need not be drained around */
    return ((st->evacuating || may_begin) && evacuate(st, limit)) || more;
}
