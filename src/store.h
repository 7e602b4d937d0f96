/* store: the data and the rules of transactions. The only mutator of live data.
 *
 * Every change is a commit with the next sequence number. Each function takes the transaction that it runs in, or NULL for
 * a command outside of one, which is a commit of its own. Nothing here knows of clients, protocols or sockets, and of time only
 * what it is told.
 *
 * Invariant: a function that returns an error has changed no data. */
#ifndef TXKV_STORE_H
#define TXKV_STORE_H

#include "journal.h"
#include "txn.h"
#include "walk.h"

struct store_limits {
    struct txn_limits txn;
    size_t history_bytes; /* over it the oldest transaction is expired */
    size_t memory_bytes;  /* over it what grows the data is ERR_FULL; 0 = no limit */
};

struct store {
    const struct store_limits *limits; /* borrowed */
    struct journal *journal;           /* borrowed; where commits are recorded, NULL for a store in memory only */
    struct walk walk;                  /* the one that makes a checkpoint */
    bool watched;                      /* there is a journal, or a walk is under way: they see a change before it is made */
    struct history history;
    struct outcomes outcomes; /* whoever runs the store sets its clock and limits */
    struct generation *current;
    uint64_t seq;            /* of the newest commit; 0 = none yet */
    uint64_t keyset_version; /* of the newest commit that added or removed a key */
    uint64_t keys;           /* keys that exist */
    uint64_t expired;        /* transactions expired so far */
    uint64_t now_ms;         /* Unix milliseconds, as whoever runs the store says by store_tell_time */
    bool ends;               /* some key was given an end: else nobody needs to look for one */
    bool is_paused;          /* keys whose time has passed are gone for readers, and stay where they are */
    uint64_t keys_expired;   /* keys removed so far because their time had passed */
    uint64_t observed;       /* with a journal: newest commit that an answer depends on; whoever asks sets it to 0 before */
    size_t changes;          /* writes since the last store_tend */
    uint64_t steps;          /* keys that commands went through beyond the one that each may have; for fairness */
    unsigned bits;           /* log2 of the partitions */
    bool evacuating;         /* entries are being moved together */
    size_t evacuated;        /* how far that is: see dict_evacuate */
#ifdef TXKV_FAULTS
    struct dict half; /* what FAULT(half_commit_visible) holds back */
    uint64_t half_seq;
#endif
};

#define STORE_PARTITION_BITS 12

/* limits must outlive the store. bits: log2 of the partitions, STORE_PARTITION_BITS outside of tests. 0, or -1. */
int store_init(struct store *st, const struct store_limits *limits, unsigned bits);

/* All transactions must be over. */
void store_deinit(struct store *st);

/* 1 and the value, valid until the next change; 0 where the key is absent; or ERR_TOOBIG, ERR_FULL (the mark of a
 * SERIALIZABLE transaction did not fit). */
int store_get(struct store *st, struct txn *t, struct slice key, uint32_t hash, struct slice *value);

/* 0, or ERR_FULL, ERR_TOOBIG, ERR_READONLY. The value may lie in the data itself. */
int store_set(struct store *st, struct txn *t, struct slice key, uint32_t hash, struct slice value);

/* As store_set outside of a transaction, of an entry that the store owns then in any case. */
int store_put(struct store *st, struct entry *fresh);

/* The same; the key ends at a time, Unix milliseconds, which may have passed; 0: never, as with store_set. */
int store_set_until(struct store *st, struct txn *t, struct slice key, uint32_t hash, struct slice value, uint64_t expires_at);

/* Gives a key that store_get has just found, with this value, another end; this is not refused where the memory limit is reached.
 * Else as store_set_until. */
int store_set_end(struct store *st, struct txn *t, struct slice key, uint32_t hash, struct slice value, uint64_t expires_at);

/* When a key ends, by what store_get has just said of it; 0: never, or there is none. */
uint64_t store_expires_at(struct store *st, struct txn *t, struct slice key, uint32_t hash);

/* The time that a command goes by: that of the transaction's BEGIN, or now. Unix milliseconds. */
uint64_t store_time(const struct store *st, const struct txn *t);

/* Tells the time, Unix milliseconds. An earlier one than before is taken for that. */
void store_tell_time(struct store *st, uint64_t now_ms);

/* 0 (also where the key is absent), or ERR_FULL, ERR_TOOBIG, ERR_READONLY. */
int store_delete(struct store *st, struct txn *t, struct slice key, uint32_t hash);

/* Adds to the integer at key, absent counting as 0; when it ends stays. 0 and the sum, or ERR_NOTINT, ERR_OVERFLOW and those of get and set. */
int store_increment(struct store *st, struct txn *t, struct slice key, uint32_t hash, int64_t by, int64_t *sum);

/* How many keys exist; inside a transaction: in its view. */
uint64_t store_count(struct store *st, struct txn *t);

/* Notes that an answer depends on which keys exist: in the reader's view, for its COMMIT; and of the newest data, for whoever
 * waits for the disk. */
void store_reads_keyset(struct store *st, struct txn *t);

/* Removes all keys, in one step however many there are. 0, or ERR_FULL, ERR_READONLY. */
int store_flush(struct store *st, struct txn *t);

/* Opens t (state NONE) on a snapshot of now. 0, or ERR_FULL. */
int store_begin(struct store *st, struct txn *t, enum txn_mode mode);

/* The same under an ID, a token of 1 to OUTCOME_TOKEN_MAX bytes. A transaction that is open under that ID expires: its COMMIT
 * cannot come any more. ERR_DONE: one of that ID has committed. ERR_FULL: also where there is no room for a further ID. */
int store_begin_id(struct store *st, struct txn *t, enum txn_mode mode, struct slice token);

/* What became of the transaction of an ID: outcome.h. */
enum outcome_state store_outcome(struct store *st, struct slice token);

/* Ends an OPEN t by publishing all of it: 0. Or ERR_CONFLICT, ERR_FULL: nothing is applied. t is in state NONE afterwards
 * in any case. With an ID it takes a sequence number and a record even where it changes nothing. */
int store_commit(struct store *st, struct txn *t);

/* Ends t in whatever state by forgetting it. */
void store_rollback(struct store *st, struct txn *t);

/* Notes in t, an OPEN transaction that does nothing else, which version a key has, where that was not noted before. 0, or
 * ERR_TOOBIG, ERR_FULL. */
int store_watch(struct store *st, struct txn *t, struct slice key, uint32_t hash);

/* Whether a key noted in t has another version now, if only for a while. */
bool store_watched_changed(struct store *st, struct txn *t);

/* Turns an OPEN t into a FAILED one with its first cause (ERR_ABORTED or ERR_EXPIRED, and why in words). */
void store_fail(struct store *st, struct txn *t, int cause, const char *why);

/* At most how many bytes the record of a COMMIT of t takes; and that of one command on so many bytes of key and value. */
size_t store_commit_bytes(const struct txn *t);
size_t store_command_bytes(size_t bytes);

/* --- durability --- */

/* From now on commits are recorded. All transactions must be over. journal must outlive the store. */
void store_use_journal(struct store *st, struct journal *journal);

/* Commits up to this one are durable: what was kept for that may go. */
void store_settled(struct store *st, uint64_t seq);

/* Applies an operation of commit seq, and all those of a payload (record.h) that is known to be whole; before any journal is
 * used, and without transactions. Operations on one key come in order, and none before a flush after it. hash: of the key,
 * where there is one. 0, or -1 without memory. */
int store_replay_op(struct store *st, uint64_t seq, const struct record_op *op, uint32_t hash);
int store_replay(struct store *st, uint64_t seq, struct slice payload);

/* All operations up to commit seq have been applied. */
void store_replayed(struct store *st, uint64_t seq);

/* Forgets all data and begins at commit 0; as store_replay. */
void store_reset(struct store *st);

/* Begins the walk through all keys, and all outcomes that are kept, as of now. Not while one is active. */
void store_walk_begin(struct store *st);

/* One step of it: as walk_step. */
bool store_walk_step(struct store *st, size_t bytes);
void store_walk_end(struct store *st);

/* Work that may wait, in a bounded slice: removes keys whose time has passed, frees old versions, forgets old outcomes. True
 * while there is more. */
bool store_tend(struct store *st);

/* Whether there are keys that end, so that store_tend is to be called from time to time, whatever else happens. */
static inline bool store_has_ends(const struct store *st)
{
    return st->current->expiry.count > 0;
}

/* Brings what the commands on these keys will touch into the cache. */
void store_prefetch(const struct store *st, const uint32_t *hashes, size_t count);

/* Whether the memory limit is reached. */
bool store_is_full(const struct store *st);

/* Reads text as a signed 64-bit integer in its one canonical form; false for anything else. */
bool store_parse_integer(struct slice text, int64_t *value);

#endif
