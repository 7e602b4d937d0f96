#include "live.h"

#include <assert.h>

#include "err.h"
#include "fault.h"
#include "mem.h"

#define RELIEVE_STEPS 256 /* versions swept by a write that finds the history over its limit */
#define MOVED_VALUE 4096  /* bytes of a value from which on an entry takes the place of another sooner than its value is copied */
#define EXPIRE_STEPS 256  /* keys removed because their time has passed, at a time: about 0.1 ms */

/* --- what answers depend on --- */

void live_observe(struct store *st, uint64_t version)
{
    st->observed = version > st->observed ? version : st->observed;
}

/* A key was looked for in the data as of seq and e (or nothing) stands there. An absent key without a tombstone was deleted
 * long ago, or by a FLUSH. One that time removed is absent by its end: were the removal lost, it still would be (but after
 * a restart with the clock set back). */
void live_observe_entry(struct store *st, const struct entry *e, uint64_t seq)
{
    uint64_t since = st->current->since;
    uint64_t version = e != NULL ? entry_version(e) : since <= seq ? since : seq;
    uint64_t expires_at;
    if (st->ends && e != NULL) {
        (void)entry_was_expired(e, &version, &expires_at);
    }
    live_observe(st, version);
}

void live_observe_keyset(struct store *st, uint64_t seq)
{
    live_observe(st, st->keyset_version <= seq ? st->keyset_version : seq);
}

/* --- recording commits. Memory is reserved before a commit, so that recording it cannot fail --- */

int live_reserve_record(struct store *st, size_t bytes)
{
    return st->journal == NULL ? 0 : journal_reserve(st->journal, bytes);
}

/* Begins the record of commit seq; what it returns goes to end_record. */
size_t live_begin_record(struct store *st, uint64_t seq)
{
    size_t start = buf_len(&st->journal->pending);
    live_must(record_begin(&st->journal->pending, RECORD_COMMIT, seq));
    return start;
}

void live_end_record(struct store *st, size_t start, uint64_t seq)
{
    record_end(&st->journal->pending, start);
    journal_committed(st->journal, seq);
}

static __attribute__((noinline)) void record_one_put(struct store *st, struct slice key, struct slice value,
                                                     uint64_t expires_at)
{
    size_t start = live_begin_record(st, st->seq);
    live_must(record_put(&st->journal->pending, key, value, FAULT(end_not_recorded) ? 0 : expires_at));
    live_end_record(st, start, st->seq);
}

static void record_one_delete(struct store *st, struct slice key)
{
    if (st->journal != NULL) {
        size_t start = live_begin_record(st, st->seq);
        live_must(record_delete(&st->journal->pending, key));
        live_end_record(st, start, st->seq);
    }
}

static void record_one_flush(struct store *st)
{
    if (st->journal != NULL) {
        size_t start = live_begin_record(st, st->seq);
        live_must(record_flush(&st->journal->pending));
        live_end_record(st, start, st->seq);
    }
}

/* Before a live entry changes or goes: a walk that has not come to it takes it now. */
void live_preserve(struct store *st, const struct entry *live)
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
void live_relieve(struct store *st, size_t writes)
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

struct entry *live_find(const struct store *st, struct slice key, uint32_t hash)
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
void live_publish(struct store *st, struct entry *old, struct entry *fresh, uint64_t seq)
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
        if (entry_value(fresh).len < MOVED_VALUE && !history_needs(&st->history, entry_version(old)) &&
            history_overwrite(st->current, old, entry_value(fresh), entry_expires_at(fresh), seq)) {
            entry_free(fresh);
            return;
        }
    }
    history_supersede(&st->history, st->current, old, fresh, seq);
}

/* Deletes a live entry as of seq. tomb is what stays in its place while snapshots are open, or NULL where none is. */
void live_bury(struct store *st, struct entry *live, struct entry *tomb, uint64_t seq)
{
    if (tomb == NULL) {
        history_remove(&st->history, st->current, live);
    } else {
        history_supersede(&st->history, st->current, live, tomb, seq);
    }
    count_key(st, seq, false);
}

bool live_needs_tombstones(const struct store *st)
{
    bool wanted = history_is_read(&st->history) || (st->journal != NULL && st->journal->holds);
    return wanted && !FAULT(deletes_not_versioned);
}

/* Out of line, as some others here: the registers that it needs would cost a server in memory only, which never runs it. */

/* Before one command changes `live`, or what is not there: -1 without memory. */
static __attribute__((noinline)) int prepare_to_record(struct store *st, const struct entry *live, size_t bytes)
{
    if (live_reserve_record(st, store_command_bytes(bytes)) < 0) {
        return -1;
    }
    live_preserve(st, live);
    return 0;
}

/* Before a commit changes old, or what is not there; likewise. */
static inline __attribute__((always_inline)) int prepare(struct store *st, const struct entry *old, size_t bytes)
{
    return st->watched ? prepare_to_record(st, old, bytes) : 0;
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

static inline __attribute__((always_inline)) int reserve_place(const struct store *st, const struct entry *old, uint32_t hash)
{
    return old == NULL && dict_needs_table(&st->current->dict, hash) ? dict_reserve(1) : 0;
}

static inline __attribute__((always_inline)) void publish_one(struct store *st, struct entry *old, struct entry *fresh,
                                                             struct slice key, struct slice value, uint64_t expires_at)
{
    ++st->seq;
    if (st->journal != NULL) {
        record_one_put(st, key, value, expires_at);
    }
    live_publish(st, old, fresh, st->seq);
    live_relieve(st, 1);
}

static inline __attribute__((always_inline)) int set_one(struct store *st, struct slice key, uint32_t hash, struct slice value,
                                                         uint64_t expires_at)
{
    struct entry *old = dict_find(&st->current->dict, key, hash);
    if (prepare(st, old, key.len + value.len) < 0) {
        return ERR_FULL;
    }
    if (old != NULL && !history_needs(&st->history, entry_version(old)) && overwrite_now(st, old, value, expires_at)) {
        if (st->journal != NULL) {
            record_one_put(st, key, entry_value(old), expires_at);
        }
        return 0;
    }
    if (reserve_place(st, old, hash) < 0) {
        return ERR_FULL;
    }
    struct entry *fresh = entry_new_until(key, hash, value, expires_at);
    if (fresh == NULL) {
        return ERR_FULL;
    }
    publish_one(st, old, fresh, key, value, expires_at);
    return 0;
}

/* Two of it: most keys never end, and need not look for that. */
int live_set(struct store *st, struct slice key, uint32_t hash, struct slice value)
{
    return set_one(st, key, hash, value, 0);
}

int live_set_until(struct store *st, struct slice key, uint32_t hash, struct slice value,
                                                   uint64_t expires_at)
{
    st->ends = true;
    return set_one(st, key, hash, value, expires_at);
}

int live_put(struct store *st, struct entry *fresh)
{
    struct slice key = entry_key(fresh);
    struct slice value = entry_value(fresh);
    uint32_t hash = entry_hash(fresh);
    struct entry *old = dict_find(&st->current->dict, key, hash);
    if (prepare(st, old, key.len + value.len) < 0 || reserve_place(st, old, hash) < 0) {
        return ERR_FULL;
    }
    publish_one(st, old, fresh, key, value, entry_expires_at(fresh));
    return 0;
}

/* Whoever removes a key that has ended does what time would have done. */
static struct entry *tombstone_of(const struct store *st, const struct entry *live)
{
    return entry_has_ended(live, st->now_ms) ? entry_new_expired(live) : entry_new_tombstone(entry_key(live), entry_hash(live));
}

/* One commit, for which there is room. tomb: where its tombstone is needed. */
static void commit_removal(struct store *st, struct entry *e, struct slice key, struct entry *tomb)
{
    live_preserve(st, e);
    ++st->seq;
    record_one_delete(st, key);
    live_bury(st, e, tomb, st->seq);
    live_relieve(st, 1);
}

int live_delete(struct store *st, struct slice key, uint32_t hash)
{
    struct entry *found = dict_find(&st->current->dict, key, hash);
    if (found == NULL || entry_is_tombstone(found)) {
        live_observe_entry(st, found, UINT64_MAX); /* that nothing had to be done is lost with what made it so */
        return 0;
    }
    struct entry *tomb = NULL;
    if (live_reserve_record(st, store_command_bytes(key.len)) < 0 ||
        (live_needs_tombstones(st) && (tomb = tombstone_of(st, found)) == NULL)) {
        return ERR_FULL;
    }
    commit_removal(st, found, key, tomb);
    return 0;
}

/* Removes some keys whose time has passed, each by a commit. True when there are more, and they can be removed now: those for
 * which there is no room, in memory or in the log, wait. */
bool live_expire(struct store *st)
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
        if ((st->journal != NULL && journal_admit(st->journal, bytes) != JOURNAL_ADMITS) || live_reserve_record(st, bytes) < 0 ||
            (live_needs_tombstones(st) && (tomb = entry_new_expired(e)) == NULL)) {
            return false;
        }
        commit_removal(st, e, key, tomb);
        st->keys_expired++;
        steps--;
    }
    return steps == 0;
}

/* Replaces the data by an empty generation, made before; without keys there is nothing to replace. */
void live_swap(struct store *st, struct generation *fresh, uint64_t seq)
{
    struct generation *old = st->current;
    st->current = fresh;
    fresh->expiry.time = st->now_ms;
    history_flush(&st->history, old, fresh, seq);
    st->keys = 0;
    st->keyset_version = seq;
}

int live_flush(struct store *st)
{
    if (st->keys == 0) {
        live_observe_keyset(st, UINT64_MAX);
        return 0;
    }
    struct generation *fresh = generation_new(st->bits);
    if (fresh == NULL || live_reserve_record(st, store_command_bytes(0)) < 0) {
        if (fresh != NULL) {
            dict_deinit(&fresh->dict);
            mem_free(fresh);
        }
        return ERR_FULL;
    }
    ++st->seq;
    record_one_flush(st);
    live_swap(st, fresh, st->seq);
    live_relieve(st, 1);
    return 0;
}
