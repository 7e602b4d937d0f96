/* live: the data as it is now, and its changes. What the files of the store share; nobody else includes it.
 *
 * A change is recorded in the journal, where there is one, written to a walk that has not come to it, and then made: the memory
 * for all that is reserved before, so that what has begun cannot fail. */
#ifndef TXKV_LIVE_H
#define TXKV_LIVE_H

#include <assert.h>

#include "store.h"

#define INTEGER_TEXT_MAX 21 /* bytes of a signed 64-bit integer, and one */

/* --- what answers depend on --- */

/* An answer depends on commit `version`. */
void live_observe(struct store *st, uint64_t version);

/* A key was looked for in the data as of seq, and e (or NULL) stands there. */
void live_observe_entry(struct store *st, const struct entry *e, uint64_t seq);

/* An answer depends on which keys there were as of seq. */
void live_observe_keyset(struct store *st, uint64_t seq);

/* --- recording --- */

/* Makes room for a record of so many bytes, which then can be made without failing. 0, or -1 without memory. */
int live_reserve_record(struct store *st, size_t bytes);

/* Begins the record of commit seq, only where there is a journal; what it returns goes to live_end_record. */
size_t live_begin_record(struct store *st, uint64_t seq);
void live_end_record(struct store *st, size_t start, uint64_t seq);

/* What live_reserve_record has made room for cannot fail. */
static inline void live_must(int rc)
{
    assert(rc == 0);
    (void)rc;
}

/* A live entry (or NULL) is about to change or go: a walk that has not come to it takes it now. */
void live_preserve(struct store *st, const struct entry *live);

/* --- changes --- */

/* What stands at a key; NULL where that is nothing or a tombstone. Its time may be over. */
struct entry *live_find(const struct store *st, struct slice key, uint32_t hash);

/* Publishes a value entry that the caller owns, as of seq. old is what stands at its key, or NULL. Cannot fail. */
void live_publish(struct store *st, struct entry *old, struct entry *fresh, uint64_t seq);

/* Deletes a live entry as of seq. tomb is what stays in its place, or NULL where nothing need. */
void live_bury(struct store *st, struct entry *live, struct entry *tomb, uint64_t seq);

/* Whether a deletion is to leave a tombstone. */
bool live_needs_tombstones(const struct store *st);

/* Puts an empty generation, made before, in the place of the data, as of seq. */
void live_swap(struct store *st, struct generation *fresh, uint64_t seq);

/* After a commit of some writes: keeps the history near its limit. */
void live_relieve(struct store *st, size_t writes);

/* Commits of one operation: 0, or ERR_FULL. */
int live_set(struct store *st, struct slice key, uint32_t hash, struct slice value);
int live_set_until(struct store *st, struct slice key, uint32_t hash, struct slice value, uint64_t expires_at);
int live_put(struct store *st, struct entry *fresh); /* a value entry, the caller's until it returns 0 */
int live_delete(struct store *st, struct slice key, uint32_t hash);
int live_flush(struct store *st);

#ifdef TXKV_FAULTS
/* Applies what FAULT(half_commit_visible) has held back. */
void store_finish_half(struct store *st);
#endif

/* Removes some keys whose time has passed, each by a commit. True when there are more, and they can be removed now: those for
 * which there is no room, in memory or in the log, wait. */
bool live_expire(struct store *st);

#endif
