/* A history: what the clients of a transactional store asked, and what they were told.
 *
 * Time is logical: one counter goes up at every command sent and at every answer taken in, all in one process. So
 * "A was answered before B was sent" is a fact about real time, whatever the network did in between.
 *
 *   begin_sent --- begin_answered ---- reads, writes ---- end_sent --- end_answered
 *        '-- the snapshot is in here --'                     '- the commit is in here -'
 *
 * A command outside a transaction is a transaction of its own (TX_AUTO), with both windows the same.
 *
 * Values are numbers that stand for unique strings; 0 is "absent". Where a workload writes equal values on purpose, a
 * number is written more than once, and only sequence numbers tell one version from another. */
#ifndef TXKV_CHECKER_HISTORY_H
#define TXKV_CHECKER_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HISTORY_KEYS_MAX 64 /* a set of keys is one 64-bit mask */
#define TX_OPS_MAX 64
#define VALUE_ABSENT 0u
#define VALUE_FOREIGN UINT32_MAX /* an answer that nobody ever wrote */
#define SEQ_UNKNOWN UINT64_MAX   /* a number that the client was not told */

enum tx_mode { TX_AUTO, TX_PLAIN, TX_SERIALIZABLE, TX_READONLY };
enum tx_outcome { TX_COMMITTED, TX_CONFLICT, TX_ABORTED };
enum op_kind { OP_READ, OP_EXISTS, OP_COUNT, OP_WRITE, OP_DELETE, OP_FLUSH };

struct op {
    uint8_t kind;   /* enum op_kind */
    uint8_t key;    /* not used by OP_COUNT and OP_FLUSH */
    uint32_t value; /* read or written; 0 or 1 for OP_EXISTS; the number of keys for OP_COUNT */
};

struct tx {
    uint32_t session;
    uint8_t mode;    /* enum tx_mode */
    uint8_t outcome; /* enum tx_outcome; rolled back and disconnected are both TX_ABORTED */
    uint16_t op_count;
    size_t first_op; /* in history.ops */
    uint64_t begin_sent, begin_answered, end_sent, end_answered;
    uint64_t snapshot; /* or SEQ_UNKNOWN */
    uint64_t seq;      /* of the commit; 0 where nothing was changed, or SEQ_UNKNOWN */
};

struct history {
    struct tx *txs;
    size_t tx_count, tx_cap;
    struct op *ops;
    size_t op_count, op_cap;
    uint32_t keys;      /* keys are 0 .. keys-1 */
    uint32_t value_end; /* all values written are below it */
    bool numbered;      /* commits carry sequence numbers */
};

/* A transaction under way, copied into the history once its outcome is known. */
struct tx_builder {
    struct tx tx;
    struct op ops[TX_OPS_MAX];
};

void history_init(struct history *h, uint32_t keys, bool numbered);
void history_deinit(struct history *h);

void builder_start(struct tx_builder *b, uint32_t session, enum tx_mode mode, uint64_t now);
/* Stops the test program when a transaction has more than TX_OPS_MAX operations. */
void builder_op(struct tx_builder *b, enum op_kind kind, uint32_t key, uint32_t value);
void history_append(struct history *h, const struct tx_builder *b);

static inline struct op *tx_ops(const struct history *h, const struct tx *t)
{
    return h->ops + t->first_op;
}

/* One read that went to the data and not to the transaction's own writes. */
struct base_read {
    uint8_t kind; /* OP_READ, OP_EXISTS or OP_COUNT */
    uint8_t key;
    uint32_t value;       /* as answered */
    uint64_t own_written; /* OP_COUNT: the keys that this transaction had written or deleted before, */
    uint64_t own_present; /* and those of them that it had written */
};

/* A transaction taken apart: what it read of the data, and what its commit does to the data. */
struct view {
    struct base_read reads[TX_OPS_MAX];
    size_t read_count;
    bool writes;                      /* it wrote, deleted or flushed, with or without effect */
    bool flushed;                     /* its commit empties the store first */
    uint64_t written;                 /* then sets these keys */
    uint64_t present;                 /* (those of them that are not deletes) */
    uint32_t value[HISTORY_KEYS_MAX]; /* to these values (VALUE_ABSENT: deletes them) */
    const struct op *own_mismatch;    /* a read of its own write that was answered wrongly, or NULL */
    uint32_t own_expected;            /* what that should have been */
};

void view_build(struct view *v, const struct history *h, const struct tx *t);

/* Whether the transaction's commit touches the key, with or without effect. */
static inline bool view_touches(const struct view *v, uint32_t key)
{
    return v->flushed || (v->written >> key & 1);
}

/* The value that a key has after the commit, given the one that it had before. */
static inline uint32_t view_after(const struct view *v, uint32_t key, uint32_t before)
{
    if (v->written >> key & 1)
        return v->value[key];
    return v->flushed ? VALUE_ABSENT : before;
}

/* Whether the answer of a read fits a state; `present` is the set of keys in it. */
bool base_read_matches(const struct base_read *r, uint32_t value, uint64_t present);

/* Every allocation of these test programs; stops the program when there is no memory. */
void *checker_realloc(void *p, size_t count, size_t size);
void *checker_zalloc(size_t count, size_t size);
/* Makes room for one more element in a growable array of `size`-byte elements. */
void *checker_grow(void *p, size_t count, size_t *cap, size_t size);

#endif
