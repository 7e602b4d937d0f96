/* txn: one client's transaction: its state, and its shadow map of writes, tombstones and read marks.
 *
 *      NONE --begin--> OPEN --commit, rollback--> NONE
 *        |              | an error, or expired
 *        |              v
 *        +--refused--> FAILED --commit (an error), rollback--> NONE
 *
 * Invariant: only an OPEN transaction holds a snapshot or shadow entries. The shadow map knows nothing of the data: the
 * store looks here first, and there after. */
#ifndef TXKV_TXN_H
#define TXKV_TXN_H

#include "history.h"
#include "outcome.h"

enum txn_state { TXN_NONE, TXN_OPEN, TXN_FAILED };

enum txn_mode {
    TXN_PLAIN,        /* the last commit wins */
    TXN_SERIALIZABLE, /* a commit that writes is refused if a key that was read has changed */
    TXN_READONLY,     /* refuses writes, marks nothing */
};

struct txn_limits {
    size_t bytes; /* of the shadow map, as the allocator rounds it */
    size_t keys;  /* in the shadow map, marks included */
};

struct txn {
    enum txn_state state;
    enum txn_mode mode;
    bool flushed;     /* FLUSH was called: keys without a shadow entry read as absent */
    bool read_keyset; /* its answers depend on which keys exist */
    int cause;        /* FAILED: the error code that COMMIT answers, ERR_ABORTED or ERR_EXPIRED */
    char why[96];     /* FAILED: the first cause, for people; ended by NUL */
    size_t writes;    /* shadow entries that are not marks */
    uint64_t now_ms;  /* OPEN: the time of its BEGIN, which it goes by; Unix milliseconds */
    struct outcome *outcome; /* OPEN: of its ID; NULL without one */
    struct dict shadow;
    struct snapshot_holder holder;
};

enum txn_hit {
    TXN_MISS,   /* the shadow map says nothing of the key */
    TXN_VALUE,  /* the transaction wrote it */
    TXN_ABSENT, /* the transaction deleted it, or flushed */
};

/* An empty one in state NONE. */
void txn_init(struct txn *t);

/* Drops all shadow entries and marks; state and snapshot stay. */
void txn_clear(struct txn *t);

/* What the transaction itself knows of a key; the entry, where it wrote one, is valid until its next write. */
enum txn_hit txn_find(const struct txn *t, struct slice key, uint32_t hash, const struct entry **written);

/* Writes; expires_at: as entry_new_until. 0, or ERR_TOOBIG, ERR_FULL, with nothing changed. */
int txn_put(struct txn *t, const struct txn_limits *limits, struct slice key, uint32_t hash, struct slice value,
            uint64_t expires_at);
int txn_delete(struct txn *t, const struct txn_limits *limits, struct slice key, uint32_t hash);

/* Marks a key as read through the transaction, where its mode asks for that. Errors as txn_put. */
int txn_mark(struct txn *t, const struct txn_limits *limits, struct slice key, uint32_t hash);

/* FLUSH: drops the writes so far; the marks stay. */
void txn_flush(struct txn *t);

/* Of a shadow entry: whether it is a read mark and no write; whether the data was read through it. */
bool txn_entry_is_mark(const struct entry *e);
bool txn_entry_was_read(const struct entry *e);

/* The sequence number that it reads as of. */
uint64_t txn_seq(const struct txn *t);

#endif
