/* Transactions that read before they write, on each connection one at a time:
 *
 *   IDLE --BEGIN or WATCH, and the GETs--> READING --all read--> WRITING --COMMIT or EXEC answered--> IDLE
 *                                             |                     ^
 *                                             +----> DISTURBED -----+
 *
 * A DISTURBED one waits until another connection of ours, the side connection, was answered that it has set the first
 * key read. So that share of the transactions that is disturbed conflicts on any server, not more by luck than the
 * keys of the others bring about. */
#include <stdlib.h>
#include <sys/epoll.h>

#include "load_state.h"

static unsigned key_count(const struct load_txn *txn)
{
    return txn->reads > txn->writes ? txn->reads : txn->writes;
}

static int begin(struct load *l, struct load_conn *c)
{
    const struct load_txn *txn = &l->plan->txn;
    struct ring *g = &l->ring;
    c->step = TXN_IDLE;
    if (load_left(l) == 0) {
        return 0;
    }
    for (unsigned i = 0; i < key_count(txn); i++) {
        c->txn_keys[i] = keys_next(&l->keys, i >= txn->reads);
    }
    l->conflict_debt += txn->conflict;
    c->conflict = l->conflict_debt >= 1;
    l->conflict_debt -= c->conflict ? 1 : 0;
    c->step = TXN_READING;
    c->txn_first = (size_t)c->batch * g->unit;
    c->reply_slot = c->txn_first;
    c->batch = c->batch + 1 == g->batches ? 0 : c->batch + 1;
    l->sent++;
    c->start_ns = now_ns();
    ring_fill_all(l, c, c->txn_first, g->split, 0);
    return ring_send(l, c, c->txn_first, g->split);
}

static int send_writes(struct load *l, struct load_conn *c)
{
    size_t first = c->txn_first + l->ring.split;
    size_t n = l->ring.unit - l->ring.split;
    c->step = TXN_WRITING;
    ring_fill_all(l, c, first, n, 0);
    return ring_send(l, c, first, n);
}

static int disturb(struct load *l, struct load_conn *c)
{
    uint64_t key = c->txn_keys[0];
    c->step = TXN_DISTURBED;
    l->waiting[(l->waiting_first + l->waiting_count++) % l->plan->conns] = c;
    wire_key_patch(l->side_bytes + l->side_places.key_at, key);
    if (l->plan->verify) {
        values_write(l->side_bytes + l->side_places.value_at, l->side_value_size, key, l->plan->stamp, l->count++);
    }
    l->outstanding++;
    return conn_send(l, &l->side, l->side_bytes, l->side_size);
}

int txn_go_on(struct load *l, struct load_conn *c)
{
    switch (c->step) {
    case TXN_READING:
        return c->conflict ? disturb(l, c) : send_writes(l, c);
    case TXN_DISTURBED:
        return 0;
    default:
        return begin(l, c);
    }
}

static int release_first(struct load *l)
{
    if (l->waiting_count == 0) {
        return load_fail(l, "more replies than requests");
    }
    struct load_conn *c = l->waiting[l->waiting_first];
    l->waiting_first = (l->waiting_first + 1) % l->plan->conns;
    l->waiting_count--;
    l->outstanding--;
    return send_writes(l, c);
}

static int on_side_ready(struct load *l, struct load_conn *c, uint32_t events)
{
    if ((events & EPOLLOUT) != 0 && conn_send_rest(l, c) != 0) {
        return -1;
    }
    ssize_t size = (events & ~(uint32_t)EPOLLOUT) != 0 ? conn_receive(l, c) : 0;
    const char *at = l->in;
    struct reply reply;
    enum verdict verdict;
    while (size > 0 && reply_next(&c->parser, &at, l->in + size, &reply)) {
        if (load_count(l, WIRE_SET, &verdict, &reply) != 0 || release_first(l) != 0) {
            return -1;
        }
    }
    return size < 0 ? -1 : 0;
}

static int side_init(struct load *l, const struct addrinfo *addr)
{
    size_t size = (size_t)sizes_mean(&l->plan->value_sizes);
    char *value = malloc(size + 1);
    struct wire_request rq = {
        .proto = l->plan->proto,
        .op = WIRE_SET,
        .key_size = (size_t)l->plan->key_size_max,
        .value = value,
        .value_size = size,
    };
    l->side_value_size = size;
    l->side_bytes =
        malloc(wire_request_write(&(struct wire_request){.proto = rq.proto, .op = rq.op, .key_size = rq.key_size}, NULL,
                                  NULL) +
               size + 20);
    l->waiting = calloc(l->plan->conns, sizeof(struct load_conn *));
    if (value == NULL || l->side_bytes == NULL || l->waiting == NULL) {
        free(value);
        return load_fail(l, "out of memory");
    }
    for (size_t i = 0; i < size; i++) {
        value[i] = 's';
    }
    l->side_size = wire_request_write(&rq, l->side_bytes, &l->side_places);
    free(value);
    return conn_open(l, &l->side, addr, EPOLLIN, on_side_ready);
}

int txn_init(struct load *l, const struct addrinfo *addr)
{
    for (unsigned i = 0; i < l->plan->conns; i++) {
        l->conns[i].txn_keys = calloc(key_count(&l->plan->txn), sizeof(uint64_t));
        if (l->conns[i].txn_keys == NULL) {
            return load_fail(l, "out of memory");
        }
    }
    return l->plan->txn.conflict > 0 ? side_init(l, addr) : 0;
}

void txn_deinit(struct load *l)
{
    for (unsigned i = 0; l->conns != NULL && i < l->plan->conns; i++) {
        free(l->conns[i].txn_keys);
    }
    conn_close(&l->side);
    free(l->side_bytes);
    free(l->waiting);
}
