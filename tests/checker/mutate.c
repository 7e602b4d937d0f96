#include "mutate.h"

#include <string.h>

#define TRIES 50

const char *mutation_text(enum mutation m)
{
    static const char *const texts[] = {
#define X(name, text) text,
        MUTATIONS(X)
#undef X
    };
    return texts[m];
}

/* A random operation of a kind, or NULL. */
static struct op *pick_op(struct history *h, struct rng *rng, enum op_kind kind)
{
    for (int i = 0; i < TRIES && h->op_count; i++) {
        struct op *op = &h->ops[rng_below(rng, (uint32_t)h->op_count)];
        if (op->kind == kind) {
            return op;
        }
    }
    return NULL;
}

static struct tx *pick_tx(struct history *h, struct rng *rng, enum tx_outcome outcome)
{
    for (int i = 0; i < TRIES && h->tx_count; i++) {
        struct tx *t = &h->txs[rng_below(rng, (uint32_t)h->tx_count)];
        if (t->outcome == outcome) {
            return t;
        }
    }
    return NULL;
}

static struct tx *pick_numbered(struct history *h, struct rng *rng)
{
    for (int i = 0; i < TRIES; i++) {
        struct tx *t = pick_tx(h, rng, TX_COMMITTED);
        if (t && t->seq != 0 && t->seq != SEQ_UNKNOWN) {
            return t;
        }
    }
    return NULL;
}

static bool mutate_read(struct history *h, struct rng *rng)
{
    struct op *op = pick_op(h, rng, OP_READ);
    if (!op) {
        return false;
    }
    uint32_t old = op->value;
    uint32_t dice = rng_below(rng, 10);
    if (dice == 0) {
        op->value = VALUE_FOREIGN;
    } else if (dice < 3) {
        op->value = VALUE_ABSENT;
    }
    for (int i = 0; i < TRIES && op->value == old; i++) {
        const struct op *other = pick_op(h, rng, OP_WRITE);
        if (other && (other->key == op->key || dice == 3)) {
            op->value = other->value;
        }
    }
    return op->value != old;
}

static bool mutate_write(struct history *h, struct rng *rng)
{
    struct op *op = pick_op(h, rng, OP_WRITE), *other = pick_op(h, rng, OP_WRITE);
    if (!op || !other) {
        return false;
    }
    if (rng_chance(rng, 50)) {
        op->value = h->value_end++;
    } else {
        op->value = other->value;
    }
    return true;
}

static bool drop_write(struct history *h, struct rng *rng)
{
    struct tx *t = pick_tx(h, rng, TX_COMMITTED);
    if (!t || t->op_count < 2) {
        return false;
    }
    size_t i = rng_below(rng, t->op_count);
    struct op *ops = tx_ops(h, t);
    if (ops[i].kind < OP_WRITE) {
        return false;
    }
    memmove(ops + i, ops + i + 1, (t->op_count - i - 1) * sizeof(*ops));
    t->op_count--;
    return true;
}

static bool change_outcome(struct history *h, struct rng *rng)
{
    struct tx *t = pick_tx(h, rng, (enum tx_outcome)rng_below(rng, 3));
    if (!t) {
        return false;
    }
    uint8_t old = t->outcome;
    t->outcome = (uint8_t)((old + 1 + rng_below(rng, 2)) % 3);
    if (h->numbered) {
        t->seq = 0;
    }
    return true;
}

/* Times stay in order within the transaction. */
static bool change_time(struct history *h, struct rng *rng, enum mutation m)
{
    struct tx *t = &h->txs[rng_below(rng, (uint32_t)h->tx_count)];
    uint64_t shift = 1 + rng_below(rng, 60);
    bool later = rng_chance(rng, 50);
    if (t->mode == TX_AUTO) {
        m = MUTATION_TIME_ALL;
    }
    if (!later && t->begin_sent <= shift) {
        return false;
    }
    uint64_t delta = later ? shift : 0 - shift;
    if (m != MUTATION_TIME_END) {
        t->begin_sent += delta;
        t->begin_answered += delta;
    }
    if (m != MUTATION_TIME_BEGIN) {
        t->end_sent += delta;
        t->end_answered += delta;
    }
    if (t->mode == TX_AUTO || t->begin_answered < t->end_sent) {
        return true;
    }
    t->begin_sent -= m != MUTATION_TIME_END ? delta : 0;
    t->begin_answered -= m != MUTATION_TIME_END ? delta : 0;
    t->end_sent -= m != MUTATION_TIME_BEGIN ? delta : 0;
    t->end_answered -= m != MUTATION_TIME_BEGIN ? delta : 0;
    return false;
}

static bool change_seq(struct history *h, struct rng *rng, bool swap)
{
    struct tx *a = pick_numbered(h, rng), *b = pick_numbered(h, rng);
    for (int i = 0; i < TRIES && a && a == b; i++) {
        b = pick_numbered(h, rng);
    }
    if (!a || !b || a == b) {
        return false;
    }
    uint64_t seq = a->seq;
    a->seq = b->seq;
    if (swap) {
        b->seq = seq;
    }
    return true;
}

static bool change_snapshot(struct history *h, struct rng *rng)
{
    struct tx *t = &h->txs[rng_below(rng, (uint32_t)h->tx_count)];
    uint64_t shift = 1 + rng_below(rng, 3);
    if (t->snapshot == SEQ_UNKNOWN || t->snapshot < shift) {
        return false;
    }
    t->snapshot = rng_chance(rng, 50) ? t->snapshot + shift : t->snapshot - shift;
    return true;
}

/* As if the commit had been executed at once when it was sent. */
static bool commit_conflict(struct history *h, struct rng *rng)
{
    struct tx *t = pick_tx(h, rng, TX_CONFLICT);
    if (!t) {
        return false;
    }
    t->outcome = TX_COMMITTED;
    if (!h->numbered) {
        return true;
    }
    uint64_t seq = 1;
    for (size_t i = 0; i < h->tx_count; i++) {
        const struct tx *x = &h->txs[i];
        if (x->outcome == TX_COMMITTED && x->seq != SEQ_UNKNOWN && x->end_answered < t->end_sent && x->seq >= seq) {
            seq = x->seq + 1;
        }
    }
    for (size_t i = 0; i < h->tx_count; i++) {
        struct tx *x = &h->txs[i];
        x->seq += x->seq != SEQ_UNKNOWN && x->seq >= seq;
        x->snapshot += x->snapshot != SEQ_UNKNOWN && x->snapshot >= seq;
    }
    t->seq = seq;
    return true;
}

bool mutate(struct history *h, enum mutation m, struct rng *rng)
{
    struct op *op;
    switch (m) {
    case MUTATION_READ_VALUE:
        return mutate_read(h, rng);
    case MUTATION_EXISTENCE:
        op = pick_op(h, rng, OP_EXISTS);
        if (op) {
            op->value = !op->value;
        }
        return op;
    case MUTATION_SIZE:
        op = pick_op(h, rng, OP_COUNT);
        if (op) {
            op->value += rng_chance(rng, 50) ? 1 : UINT32_MAX;
        }
        return op;
    case MUTATION_WRITE_VALUE:
        return mutate_write(h, rng);
    case MUTATION_WRITE_DROPPED:
        return drop_write(h, rng);
    case MUTATION_TX_DROPPED:
        h->txs[rng_below(rng, (uint32_t)h->tx_count)] = h->txs[h->tx_count - 1];
        h->tx_count--;
        return true;
    case MUTATION_OUTCOME:
        return change_outcome(h, rng);
    case MUTATION_SEQ_SWAPPED:
    case MUTATION_SEQ_DOUBLE:
        return change_seq(h, rng, m == MUTATION_SEQ_SWAPPED);
    case MUTATION_SNAPSHOT:
        return change_snapshot(h, rng);
    case MUTATION_CONFLICT_COMMITTED:
        return commit_conflict(h, rng);
    default:
        return change_time(h, rng, m);
    }
}
