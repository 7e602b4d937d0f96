#include "history.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void *checker_realloc(void *p, size_t count, size_t size)
{
    /* One element more than asked: an empty array is a pointer too. */
    void *q = reallocarray(p, count + 1, size);
    if (!q) {
        fprintf(stderr, "checker: out of memory\n");
        exit(2);
    }
    return q;
}

void *checker_zalloc(size_t count, size_t size)
{
    void *p = checker_realloc(NULL, count, size);
    memset(p, 0, (count + 1) * size);
    return p;
}

void *checker_grow(void *p, size_t count, size_t *cap, size_t size)
{
    if (count < *cap) {
        return p;
    }
    *cap = *cap ? *cap * 2 : 16;
    return checker_realloc(p, *cap, size);
}

void history_init(struct history *h, uint32_t keys, bool numbered)
{
    *h = (struct history){.keys = keys, .numbered = numbered, .value_end = 1};
}

void history_deinit(struct history *h)
{
    free(h->txs);
    free(h->ops);
    *h = (struct history){0};
}

void builder_start(struct tx_builder *b, uint32_t session, enum tx_mode mode, uint64_t now)
{
    b->tx = (struct tx){.session = session,
                        .mode = (uint8_t)mode,
                        .begin_sent = now,
                        .snapshot = SEQ_UNKNOWN,
                        .seq = SEQ_UNKNOWN,
                        .outcome = TX_ABORTED};
}

void builder_op(struct tx_builder *b, enum op_kind kind, uint32_t key, uint32_t value)
{
    if (b->tx.op_count == TX_OPS_MAX) {
        fprintf(stderr, "checker: a transaction of more than %d operations\n", TX_OPS_MAX);
        exit(2);
    }
    b->ops[b->tx.op_count++] = (struct op){(uint8_t)kind, (uint8_t)key, value};
}

void history_append(struct history *h, const struct tx_builder *b)
{
    h->txs = checker_grow(h->txs, h->tx_count, &h->tx_cap, sizeof(*h->txs));
    struct tx *t = &h->txs[h->tx_count++];
    *t = b->tx;
    t->first_op = h->op_count;
    for (size_t i = 0; i < b->tx.op_count; i++) {
        h->ops = checker_grow(h->ops, h->op_count, &h->op_cap, sizeof(*h->ops));
        h->ops[h->op_count++] = b->ops[i];
        if (b->ops[i].kind == OP_WRITE && b->ops[i].value >= h->value_end) {
            h->value_end = b->ops[i].value + 1;
        }
    }
}

static void view_read(struct view *v, const struct op *op)
{
    bool own = op->kind == OP_COUNT ? v->flushed : view_touches(v, op->key);
    if (!own) {
        v->reads[v->read_count++] = (struct base_read){op->kind, op->key, op->value, v->written, v->present};
        return;
    }
    uint32_t expected = op->kind == OP_COUNT ? (uint32_t)__builtin_popcountll(v->present) : view_after(v, op->key, 0);
    if (op->kind == OP_EXISTS) {
        expected = expected != VALUE_ABSENT;
    }
    if (expected != op->value && !v->own_mismatch) {
        v->own_mismatch = op;
        v->own_expected = expected;
    }
}

void view_build(struct view *v, const struct history *h, const struct tx *t)
{
    v->read_count = 0;
    v->writes = v->flushed = false;
    v->written = v->present = 0;
    v->own_mismatch = NULL;
    const struct op *ops = tx_ops(h, t);
    for (size_t i = 0; i < t->op_count; i++) {
        const struct op *op = &ops[i];
        uint64_t bit = UINT64_C(1) << op->key;
        switch (op->kind) {
        case OP_WRITE:
        case OP_DELETE:
            v->writes = true;
            v->written |= bit;
            v->present = op->kind == OP_WRITE ? v->present | bit : v->present & ~bit;
            v->value[op->key] = op->kind == OP_WRITE ? op->value : VALUE_ABSENT;
            break;
        case OP_FLUSH:
            v->writes = v->flushed = true;
            v->written = v->present = 0;
            break;
        default:
            view_read(v, op);
        }
    }
}

bool base_read_matches(const struct base_read *r, uint32_t value, uint64_t present)
{
    switch (r->kind) {
    case OP_READ:
        return r->value == value;
    case OP_EXISTS:
        return r->value == (value != VALUE_ABSENT);
    default:
        return r->value == (uint32_t)__builtin_popcountll((present & ~r->own_written) | r->own_present);
    }
}
