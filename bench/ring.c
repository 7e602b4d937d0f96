/* The ring of prebuilt requests, which all connections send from. Invariant: the bytes of a slot are a whole request at
 * any time; filling it only changes its keys and, if values are verified, its value. Whoever fills slots sends them
 * before anybody else fills any. */
#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "load_state.h"

#define RING_REQUESTS 256              /* at least so many in the ring, so that the mix holds at pipeline 1 too */
#define RING_VARIED 4096               /* if values differ in size: so that their distribution holds */
#define RING_BYTES ((size_t)256 << 20) /* but no more bytes than this, as far as one batch allows */

/* What the slots are for, while the ring is made. */
struct make {
    struct load *l;
    uint64_t *sizes; /* of the values of the slots that have one */
    char *value;     /* the longest */
    size_t n;        /* slots */
};

static void shuffle_ops(struct rng *rng, uint8_t *ops, size_t n)
{
    for (size_t i = n; i > 1; i--) {
        size_t j = (size_t)rng_below(rng, i);
        uint8_t swap = ops[i - 1];
        ops[i - 1] = ops[j];
        ops[j] = swap;
    }
}

/* n operations in the proportions of the mix, shuffled. */
static void pick_ops(struct load *l, uint8_t *ops, size_t n)
{
    double share = 0;
    size_t at = 0;
    for (unsigned op = 0; op < WIRE_OP_COUNT; op++) {
        share += l->plan->mix[op];
        size_t until = (size_t)lround(share * (double)n);
        while (at < until && at < n) {
            ops[at++] = (uint8_t)op;
        }
    }
    assert(at == n);
    shuffle_ops(&l->rng, ops, n);
}

static bool is_txn(const struct load_plan *plan)
{
    return plan->txn.reads + plan->txn.writes > 0;
}

/* Transactions end to end:
 *
 *   text   BEGIN, GET...            | SET..., COMMIT
 *   RESP   WATCH of all keys, GET... | MULTI, SET..., EXEC       (without reads there is no WATCH)
 *          until ring.split */
static void lay_txns(struct load *l, uint8_t *ops, size_t n)
{
    const struct load_txn *txn = &l->plan->txn;
    bool text = l->plan->proto == WIRE_TEXT;
    enum wire_op begin = text && txn->serializable ? WIRE_BEGIN_SERIALIZABLE : WIRE_BEGIN;
    for (size_t at = 0; at < n;) {
        size_t first = at;
        if (txn->reads > 0) {
            ops[at++] = text ? (uint8_t)begin : WIRE_WATCH;
        }
        for (unsigned i = 0; i < txn->reads; i++, at++) {
            ops[at] = WIRE_GET;
            l->ring.slots[at].key = i;
        }
        if (txn->reads == 0 || !text) {
            ops[at++] = (uint8_t)begin;
        }
        for (unsigned i = 0; i < txn->writes; i++, at++) {
            ops[at] = WIRE_STORE;
            l->ring.slots[at].key = i;
        }
        ops[at++] = WIRE_COMMIT;
        assert(at - first == l->ring.unit);
    }
}

static bool has_value(uint8_t op)
{
    return op == WIRE_SET || op == WIRE_STORE;
}

/* The sizes of all values, spread over their distribution, shuffled. */
static void pick_sizes(struct make *m)
{
    size_t values = 0;
    for (size_t i = 0; i < m->n; i++) {
        values += has_value(m->l->ring.ops[i]);
    }
    for (size_t i = 0; i < values; i++) {
        m->sizes[i] = sizes_at(&m->l->plan->value_sizes, ((double)i + 0.5) / (double)values);
    }
    for (size_t i = values; i > 1; i--) {
        size_t j = (size_t)rng_below(&m->l->rng, i);
        uint64_t swap = m->sizes[i - 1];
        m->sizes[i - 1] = m->sizes[j];
        m->sizes[j] = swap;
    }
}

static struct wire_request slot_request(const struct load *l, size_t i, const char *value)
{
    return (struct wire_request){
        .proto = l->plan->proto,
        .op = (enum wire_op)l->ring.ops[i],
        .keys = l->plan->txn.reads,
        .key_size = (size_t)l->plan->key_size_max,
        .value = value,
        .value_size = l->ring.slots[i].value_size,
    };
}

static int write_slots(struct make *m)
{
    struct load *l = m->l;
    struct ring *g = &l->ring;
    const uint64_t *size = m->sizes;
    for (size_t i = 0; i < m->n; i++) {
        g->slots[i].value_size = has_value(g->ops[i]) ? (size_t)*size++ : 0;
        struct wire_request rq = slot_request(l, i, m->value);
        g->slots[i + 1].at = g->slots[i].at + wire_request_write(&rq, NULL, NULL);
    }
    g->bytes = malloc(g->slots[m->n].at);
    bool varied = l->plan->key_size_min < l->plan->key_size_max;
    g->scratch = varied ? malloc(g->slots[m->n].at) : NULL;
    if (g->bytes == NULL || (varied && g->scratch == NULL)) {
        return -1;
    }
    for (size_t i = 0; i < m->n; i++) {
        struct ring_slot *s = &g->slots[i];
        struct wire_request rq = slot_request(l, i, m->value);
        struct wire_places places;
        wire_request_write(&rq, g->bytes + s->at, &places);
        s->value_at = s->at + places.value_at;
        s->key_at = places.key_at == WIRE_NO_KEY ? WIRE_NO_KEY : s->at + places.key_at;
        s->keys = places.key_at == WIRE_NO_KEY ? 0 : g->ops[i] == WIRE_WATCH ? rq.keys : 1;
        g->watch = g->ops[i] == WIRE_WATCH ? places : g->watch;
    }
    return 0;
}

static void measure_ring(struct load *l)
{
    const struct load_plan *plan = l->plan;
    const struct load_txn *txn = &plan->txn;
    struct ring *g = &l->ring;
    struct wire_request largest = {
        .proto = plan->proto, .op = WIRE_SET, .key_size = (size_t)plan->key_size_max, .value = NULL};
    size_t bytes = wire_request_write(&largest, NULL, NULL) + (size_t)sizes_max(&plan->value_sizes);
    size_t requests = plan->value_sizes.n == 1 && sizes_min(&plan->value_sizes) == sizes_max(&plan->value_sizes)
                          ? RING_REQUESTS
                          : RING_VARIED;
    g->unit = 1;
    if (is_txn(plan)) {
        g->split = txn->reads == 0 ? 0 : 1 + txn->reads;
        g->unit = txn->writes + txn->reads + 2 + (txn->reads > 0 && plan->proto == WIRE_RESP);
    }
    g->batch = (size_t)(plan->rate > 0 || g->split > 0 ? 1 : plan->pipeline) * g->unit;
    size_t batches = (requests + g->batch - 1) / g->batch;
    while (batches > 1 && batches * g->batch * bytes > RING_BYTES) {
        batches--;
    }
    g->batches = (unsigned)batches;
}

static char *make_value(struct load *l, size_t size)
{
    char *value = malloc(size + 1);
    for (size_t i = 0; value != NULL && i < size; i++) {
        value[i] = (char)('a' + rng_below(&l->rng, 26));
    }
    return value;
}

int ring_init(struct load *l)
{
    struct ring *g = &l->ring;
    measure_ring(l);
    struct make m = {.l = l, .n = (size_t)g->batches * g->batch};
    g->ops = calloc(m.n, sizeof *g->ops);
    g->slots = calloc(m.n + 1, sizeof *g->slots);
    m.sizes = calloc(m.n, sizeof *m.sizes);
    m.value = make_value(l, (size_t)sizes_max(&l->plan->value_sizes));
    int err = g->ops == NULL || g->slots == NULL || m.sizes == NULL || m.value == NULL ? -1 : 0;
    if (err == 0) {
        if (is_txn(l->plan)) {
            lay_txns(l, g->ops, m.n);
        } else {
            pick_ops(l, g->ops, m.n);
        }
        pick_sizes(&m);
        err = write_slots(&m);
    }
    free(m.value);
    free(m.sizes);
    return err == 0 ? 0 : load_fail(l, "out of memory for requests");
}

void ring_deinit(struct ring *g)
{
    free(g->bytes);
    free(g->scratch);
    free(g->slots);
    free(g->ops);
}

size_t ring_key_size(const struct load_plan *plan, uint64_t key)
{
    struct rng mixed = {key};
    return (size_t)(plan->key_size_min + rng_below(&mixed, plan->key_size_max - plan->key_size_min + 1));
}

static void put_together(struct load *l, size_t i, uint64_t key)
{
    struct ring *g = &l->ring;
    struct wire_request rq = slot_request(l, i, g->bytes + g->slots[i].value_at);
    rq.key = key;
    rq.key_size = ring_key_size(l->plan, key);
    g->scratch_len += wire_request_write(&rq, g->scratch + g->scratch_len, NULL);
}

void ring_fill(struct load *l, struct load_conn *c, size_t i, uint64_t due_ns)
{
    struct ring *g = &l->ring;
    const struct ring_slot *s = &g->slots[i];
    uint64_t key = 0;
    if (s->keys > 0) {
        key = c->txn_keys == NULL ? keys_next(&l->keys, has_value(g->ops[i])) : c->txn_keys[s->key];
        wire_key_patch(g->bytes + s->key_at, key);
    }
    for (unsigned k = 1; k < s->keys; k++) {
        wire_key_patch(g->bytes + s->key_at + k * g->watch.key_stride, c->txn_keys[k]);
    }
    if (l->plan->verify && has_value(g->ops[i])) {
        values_write(g->bytes + s->value_at, s->value_size, key, l->plan->stamp, l->count++);
    }
    if (l->tracked) {
        pending_push(&l->pending, &c->pending, (struct pending){.due_ns = due_ns, .key = key, .slot = (uint32_t)i});
    }
    if (g->scratch != NULL) {
        put_together(l, i, key);
    }
}

void ring_fill_all(struct load *l, struct load_conn *c, size_t first, size_t n, uint64_t due_ns)
{
    struct ring *g = &l->ring;
    if (l->tracked || g->scratch != NULL || c->txn_keys != NULL) {
        for (size_t i = first; i < first + n; i++) {
            ring_fill(l, c, i, due_ns);
        }
        return;
    }
    for (size_t i = first; i < first + n; i++) {
        if (g->slots[i].key_at != WIRE_NO_KEY) {
            wire_key_patch(g->bytes + g->slots[i].key_at, keys_next(&l->keys, has_value(g->ops[i])));
        }
    }
}

int ring_send(struct load *l, struct load_conn *c, size_t first, size_t n)
{
    struct ring *g = &l->ring;
    l->outstanding += n;
    c->outstanding += (unsigned)n;
    if (g->scratch != NULL) {
        size_t size = g->scratch_len;
        g->scratch_len = 0;
        return conn_send(l, c, g->scratch, size);
    }
    return conn_send(l, c, g->bytes + g->slots[first].at, g->slots[first + n].at - g->slots[first].at);
}
