#include "store.h"

#include <assert.h>
#include <limits.h>
#include <stdio.h>

#include "err.h"
#include "fault.h"
#include "hash.h"
#include "mem.h"

#define TEND_STEPS 1024   /* entries freed per store_tend, about 0.3 ms, and two more for each that was written since */
#define RELIEVE_STEPS 256 /* versions swept by a write that finds the history over its limit */
#define OUTCOME_STEPS 256 /* outcomes forgotten, or written by a walk, at a time */
#define EXPIRE_STEPS 256  /* keys removed because their time has passed, at a time: about 0.1 ms */
#define INTEGER_TEXT_MAX 21

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

/* --- what answers depend on --- */

static void observe(struct store *st, uint64_t version)
{
    st->observed = version > st->observed ? version : st->observed;
}

/* A key was looked for in the data as of seq and e (or nothing) stands there. An absent key without a tombstone was deleted
 * long ago, or by a FLUSH. One that time removed is absent by its end: were the removal lost, it still would be. */
static void observe_entry(struct store *st, const struct entry *e, uint64_t seq)
{
    uint64_t since = st->current->since;
    uint64_t version = e != NULL ? entry_version(e) : since <= seq ? since : seq;
    uint64_t expires_at;
    if (st->ends && e != NULL) {
        (void)entry_was_expired(e, &version, &expires_at);
    }
    observe(st, version);
}

static void observe_keyset(struct store *st, uint64_t seq)
{
    observe(st, st->keyset_version <= seq ? st->keyset_version : seq);
}

/* --- recording commits. Memory is reserved before a commit, so that recording it cannot fail --- */

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

static int reserve_record(struct store *st, size_t bytes)
{
    return st->journal == NULL ? 0 : journal_reserve(st->journal, bytes);
}

static void must(int rc)
{
    assert(rc == 0); /* reserve_record has made room for it */
    (void)rc;
}

/* Begins the record of commit seq; what it returns goes to end_record. */
static size_t begin_record(struct store *st, uint64_t seq)
{
    size_t start = buf_len(&st->journal->pending);
    must(record_begin(&st->journal->pending, RECORD_COMMIT, seq));
    return start;
}

static void end_record(struct store *st, size_t start, uint64_t seq)
{
    record_end(&st->journal->pending, start);
    journal_committed(st->journal, seq);
}

static __attribute__((noinline)) void record_one_put(struct store *st, struct slice key, struct slice value,
                                                     uint64_t expires_at)
{
    size_t start = begin_record(st, st->seq);
    must(record_put(&st->journal->pending, key, value, FAULT(end_not_recorded) ? 0 : expires_at));
    end_record(st, start, st->seq);
}

static void record_one_delete(struct store *st, struct slice key)
{
    if (st->journal != NULL) {
        size_t start = begin_record(st, st->seq);
        must(record_delete(&st->journal->pending, key));
        end_record(st, start, st->seq);
    }
}

static void record_one_flush(struct store *st)
{
    if (st->journal != NULL) {
        size_t start = begin_record(st, st->seq);
        must(record_flush(&st->journal->pending));
        end_record(st, start, st->seq);
    }
}

/* Before a live entry changes or goes: a walk that has not come to it takes it now. */
static void preserve(struct store *st, const struct entry *live)
{
    if (st->walk.active && live != NULL) {
        walk_preserve(&st->walk, live);
    }
}

/* --- history under its limit --- */

static void expire_oldest(struct store *st)
{
    struct snapshot *oldest = st->history.oldest;
    while (oldest != NULL && oldest->holders == 0) {
        oldest = oldest->next;
    }
    for (uint32_t left = oldest == NULL ? 0 : oldest->holders; left > 0; left--) {
        struct txn *t = (struct txn *)(void *)((char *)oldest->first - offsetof(struct txn, holder));
        store_fail(st, t, ERR_EXPIRED, "old versions took more than --history-max; retry the transaction");
        st->expired++;
    }
}

/* A commit of some writes adds as many versions and more are swept, so the history stays near its limit, and never goes
 * beyond twice of it: then the commit sweeps as long as that takes. A transaction is expired only when nothing is left that
 * closed ones have kept. */
static void relieve(struct store *st, size_t writes)
{
    struct history *h = &st->history;
    size_t limit = st->limits->history_bytes;
    st->changes += writes;
    if (h->bytes <= limit || FAULT(no_history_limit)) {
        return;
    }
    history_sweep(h, st->current, RELIEVE_STEPS + 2 * writes);
    while (h->bytes / 2 > limit && history_is_closing(h) && !FAULT(history_swept_by_count)) {
        history_sweep(h, st->current, RELIEVE_STEPS);
    }
    if (h->bytes > st->limits->history_bytes && !history_is_closing(h) && history_is_read(h)) {
        expire_oldest(st);
        history_sweep(h, st->current, RELIEVE_STEPS);
    }
}

/* --- the data as it is now --- */

static struct entry *find_live(const struct store *st, struct slice key, uint32_t hash)
{
    struct entry *e = dict_find(&st->current->dict, key, hash);
    return e == NULL || entry_is_tombstone(e) ? NULL : e;
}

static void count_key(struct store *st, uint64_t seq, bool added)
{
    st->keys += added ? 1 : UINT64_MAX;
    st->keyset_version = seq;
}

/* A key whose time had passed, and which was not removed, is written again: those who list keys see one more. */
static void note_return(struct store *st, const struct entry *old, uint64_t seq)
{
    if (entry_has_ended(old, st->now_ms)) {
        st->keyset_version = seq;
    }
}

/* Publishes a value entry that the caller owns, as of seq. old is what stands at its key, or NULL. */
static void publish(struct store *st, struct entry *old, struct entry *fresh, uint64_t seq)
{
    if (old == NULL) {
        history_add(&st->history, st->current, fresh, seq);
        count_key(st, seq, true);
        return;
    }
    if (entry_is_tombstone(old)) {
        count_key(st, seq, true);
    } else {
        note_return(st, old, seq);
        if (!history_needs(&st->history, entry_version(old)) &&
            history_overwrite(st->current, old, entry_value(fresh), entry_expires_at(fresh), seq)) {
            entry_free(fresh);
            return;
        }
    }
    history_supersede(&st->history, st->current, old, fresh, seq);
}

/* Deletes a live entry as of seq. tomb is what stays in its place while snapshots are open, or NULL where none is. */
static void bury(struct store *st, struct entry *live, struct entry *tomb, uint64_t seq)
{
    if (tomb == NULL) {
        history_remove(&st->history, st->current, live);
    } else {
        history_supersede(&st->history, st->current, live, tomb, seq);
    }
    count_key(st, seq, false);
}

static bool needs_tombstones(const struct store *st)
{
    bool wanted = history_is_read(&st->history) || (st->journal != NULL && st->journal->holds);
    return wanted && !FAULT(deletes_not_versioned);
}

/* Out of line, as some others here: the registers that it needs would cost a server in memory only, which never runs it. */

/* Before one command changes `live`, or what is not there: -1 without memory. */
static __attribute__((noinline)) int prepare_to_record(struct store *st, const struct entry *live, size_t bytes)
{
    if (reserve_record(st, store_command_bytes(bytes)) < 0) {
        return -1;
    }
    preserve(st, live);
    return 0;
}

/* As a commit of its own, where the value fits into the entry's place. */
static inline __attribute__((always_inline)) bool overwrite_now(struct store *st, struct entry *old, struct slice value, uint64_t expires_at)
{
    bool returns = entry_has_ended(old, st->now_ms);
    if (!history_overwrite(st->current, old, value, expires_at, st->seq + 1)) {
        return false;
    }
    st->seq++;
    if (returns) {
        st->keyset_version = st->seq;
    }
    return true;
}

static inline __attribute__((always_inline)) int set_one(struct store *st, struct slice key, uint32_t hash, struct slice value,
                                                         uint64_t expires_at)
{
    struct entry *old = dict_find(&st->current->dict, key, hash);
    if (st->watched && prepare_to_record(st, old, key.len + value.len) < 0) {
        return ERR_FULL;
    }
    if (old != NULL && !history_needs(&st->history, entry_version(old)) && overwrite_now(st, old, value, expires_at)) {
        if (st->journal != NULL) {
            record_one_put(st, key, entry_value(old), expires_at);
        }
        return 0;
    }
    if (old == NULL && dict_needs_table(&st->current->dict, hash) && dict_reserve(1) < 0) {
        return ERR_FULL;
    }
    struct entry *fresh = entry_new_until(key, hash, value, expires_at);
    if (fresh == NULL) {
        return ERR_FULL;
    }
    ++st->seq;
    if (st->journal != NULL) {
        record_one_put(st, key, value, expires_at);
    }
    publish(st, old, fresh, st->seq);
    relieve(st, 1);
    return 0;
}

/* Two of it: most keys never end, and need not look for that. */
static int set_now(struct store *st, struct slice key, uint32_t hash, struct slice value)
{
    return set_one(st, key, hash, value, 0);
}

static __attribute__((noinline)) int set_now_until(struct store *st, struct slice key, uint32_t hash, struct slice value,
                                                   uint64_t expires_at)
{
    st->ends = true;
    return set_one(st, key, hash, value, expires_at);
}

static int delete_now(struct store *st, struct slice key, uint32_t hash)
{
    struct entry *found = dict_find(&st->current->dict, key, hash);
    if (found == NULL || entry_is_tombstone(found)) {
        observe_entry(st, found, UINT64_MAX); /* that nothing had to be done is lost with what made it so */
        return 0;
    }
    struct entry *tomb = NULL;
    if (reserve_record(st, store_command_bytes(key.len)) < 0 ||
        (needs_tombstones(st) && (tomb = entry_new_tombstone(key, hash)) == NULL)) {
        return ERR_FULL;
    }
    preserve(st, found);
    ++st->seq;
    record_one_delete(st, key);
    bury(st, found, tomb, st->seq);
    relieve(st, 1);
    return 0;
}

/* Removes some keys whose time has passed, each by a commit. True when there are more, and they can be removed now: those for
 * which there is no room, in memory or in the log, wait. */
static __attribute__((noinline)) bool expire_some(struct store *st)
{
    size_t steps = EXPIRE_STEPS;
    struct entry *e;
    if (st->is_paused && !FAULT(pause_not_kept)) {
        return false;
    }
    while ((e = expiry_next(&st->current->expiry, st->now_ms, &steps)) != NULL) {
        struct slice key = entry_key(e);
        size_t bytes = store_command_bytes(key.len);
        struct entry *tomb = NULL;
        if ((st->journal != NULL && journal_admit(st->journal, bytes) != JOURNAL_ADMITS) || reserve_record(st, bytes) < 0 ||
            (needs_tombstones(st) && (tomb = entry_new_expired(e)) == NULL)) {
            return false;
        }
        preserve(st, e);
        ++st->seq;
        record_one_delete(st, key);
        bury(st, e, tomb, st->seq);
        relieve(st, 1);
        st->keys_expired++;
        steps--;
    }
    return steps == 0;
}

/* Replaces the data by an empty generation, made before; without keys there is nothing to replace. */
static void flush_now(struct store *st, struct generation *fresh, uint64_t seq)
{
    struct generation *old = st->current;
    st->current = fresh;
    fresh->expiry.time = st->now_ms;
    history_flush(&st->history, old, fresh, seq);
    st->keys = 0;
    st->keyset_version = seq;
}

/* --- commands --- */

/* What stands at a key for a reader, be its time over or not; NULL for nothing. */
static struct entry *find_kept(struct store *st, const struct txn *t, struct slice key, uint32_t hash)
{
    struct entry *e = t == NULL || FAULT(snapshot_not_honoured)
                          ? dict_find(&st->current->dict, key, hash)
                          : history_find(st->current, key, hash, txn_seq(t), &st->steps);
    if (st->journal != NULL) {
        observe_entry(st, e, t == NULL ? UINT64_MAX : txn_seq(t));
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

static struct entry *find_as_of(struct store *st, const struct txn *t, struct slice key, uint32_t hash)
{
    struct entry *e = find_kept(st, t, key, hash);
    if (e != NULL && entry_is_gone(e, store_time(st, t)) && !FAULT(time_ignored)) {
        come_by_expired(st, e);
        return NULL;
    }
    return e;
}

static int get_inside(struct store *st, struct txn *t, struct slice key, uint32_t hash, struct slice *value)
{
    const struct entry *written;
    enum txn_hit hit = txn_find(t, key, hash, &written);
    if (hit == TXN_VALUE) {
        *value = entry_value(written);
        return 1;
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
    if (e == NULL) {
        return 0;
    }
    *value = entry_value(e);
    return 1;
}

int store_get(struct store *st, struct txn *t, struct slice key, uint32_t hash, struct slice *value)
{
    if (t != NULL) {
        return get_inside(st, t, key, hash, value);
    }
    struct entry *e = find_as_of(st, NULL, key, hash);
    if (e == NULL) {
        return 0;
    }
    *value = entry_value(e);
    return 1;
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

int store_set(struct store *st, struct txn *t, struct slice key, uint32_t hash, struct slice value)
{
    int rc = may_set(st, t);
    if (rc < 0) {
        return rc;
    }
    return t == NULL ? set_now(st, key, hash, value) : txn_put(t, &st->limits->txn, key, hash, value, 0);
}

int store_set_until(struct store *st, struct txn *t, struct slice key, uint32_t hash, struct slice value, uint64_t expires_at)
{
    int rc = may_set(st, t);
    if (rc < 0 || expires_at == 0) {
        return rc < 0 ? rc : store_set(st, t, key, hash, value);
    }
    if (t == NULL) {
        return set_now_until(st, key, hash, value, expires_at);
    }
    st->ends = true;
    return txn_put(t, &st->limits->txn, key, hash, value, expires_at);
}

int store_delete(struct store *st, struct txn *t, struct slice key, uint32_t hash)
{
    if (t == NULL) {
        return delete_now(st, key, hash);
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
        observe_keyset(st, UINT64_MAX);
    } else if (!t->flushed) {
        t->read_keyset = t->mode == TXN_SERIALIZABLE;
        observe_keyset(st, txn_seq(t));
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
    if (t != NULL) {
        if (t->mode == TXN_READONLY) {
            return ERR_READONLY;
        }
        txn_flush(t);
        return 0;
    }
    if (st->keys == 0) {
        observe_keyset(st, UINT64_MAX);
        return 0;
    }
    struct generation *fresh = generation_new(st->bits);
    if (fresh == NULL || reserve_record(st, store_command_bytes(0)) < 0) {
        if (fresh != NULL) {
            dict_deinit(&fresh->dict);
            mem_free(fresh);
        }
        return ERR_FULL;
    }
    ++st->seq;
    record_one_flush(st);
    flush_now(st, fresh, st->seq);
    relieve(st, 1);
    return 0;
}

/* --- transactions --- */

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
        observe(st, outcome_seq(known));
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
        observe(st, outcome_seq(known));
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
    const struct entry *now = find_live(c->st, entry_key(mark), entry_hash(mark));
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
    observe(c->st, version);
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
        observe_entry(c->st, now, UINT64_MAX);
        c->effective = now != NULL && !entry_is_tombstone(now);
    }
    return 0;
}

/* The first operation of its record. */
static void record_outcome_of(struct store *st, const struct outcome *at)
{
    if (st->journal != NULL && !FAULT(outcome_not_recorded)) {
        must(record_outcome(&st->journal->pending, outcome_token(at), outcome_time(at)));
    }
}

static void record_entry(struct store *st, const struct entry *e)
{
    if (st->journal == NULL) {
        return;
    }
    if (entry_is_tombstone(e)) {
        must(record_delete(&st->journal->pending, entry_key(e)));
    } else {
        uint64_t expires_at = FAULT(end_not_recorded) ? 0 : entry_expires_at(e);
        must(record_put(&st->journal->pending, entry_key(e), entry_value(e), expires_at));
    }
}

static void apply_entry(struct store *st, struct entry *e, uint64_t seq)
{
    struct entry *old = dict_find(&st->current->dict, entry_key(e), entry_hash(e));
    preserve(st, old);
    if (!entry_is_tombstone(e)) {
        record_entry(st, e);
        publish(st, old, e, seq);
        return;
    }
    bool lives = old != NULL && !entry_is_tombstone(old);
    bool stays = lives && needs_tombstones(st);
    if (lives) {
        record_entry(st, e);
        bury(st, old, stays ? e : NULL, seq);
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
static void finish_half(struct store *st)
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
    if (reserve_record(c->st, store_commit_bytes(c->t)) < 0) {
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
        observe_keyset(c->st, UINT64_MAX);
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
        observe_keyset(c->st, UINT64_MAX);
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
    size_t record = st->journal == NULL ? 0 : begin_record(st, seq);
    if (t->outcome != NULL) {
        outcome_commit(&st->outcomes, t->outcome, seq);
        record_outcome_of(st, t->outcome);
        t->outcome = NULL;
    }
    if (c->fresh != NULL) {
        if (st->journal != NULL) {
            must(record_flush(&st->journal->pending));
        }
        flush_now(st, c->fresh, seq);
    }
    struct applying a = {st, seq, FAULT(half_commit_visible) ? writes / 2 : SIZE_MAX};
    dict_release(&t->shadow, apply, &a);
    if (st->journal != NULL) {
        end_record(st, record, seq);
    }
    relieve(st, writes);
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
        observe(w->st, now.version);
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

/* --- durability --- */

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
        rc = op->time == 0 ? set_now(st, op->key, hash, op->value) : set_now_until(st, op->key, hash, op->value, op->time);
        break;
    case RECORD_DELETE:
        rc = delete_now(st, op->key, hash);
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

bool store_tend(struct store *st)
{
#ifdef TXKV_FAULTS
    finish_half(st);
#endif
    bool more = store_has_ends(st) && expire_some(st);
    size_t limit = TEND_STEPS + (FAULT(sweep_not_scaled) ? 0 : 2 * st->changes);
    st->changes = 0;
    more = history_sweep(&st->history, st->current, limit) == limit || more;
    if (!outcomes_is_empty(&st->outcomes)) {
        more = outcomes_expire(&st->outcomes, OUTCOME_STEPS) || more;
    }
    bool may_begin = !more; /* what is about to be freed need not be drained around */
    return ((st->evacuating || may_begin) && evacuate(st, limit)) || more;
}
