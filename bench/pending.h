/* pending: the requests that wait for their reply, in a queue for each connection. All queues take their entries from
 * one store, which has a place for every request that may be outstanding: queueing allocates nothing. */
#ifndef BENCH_PENDING_H
#define BENCH_PENDING_H

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

struct pending {
    uint64_t due_ns; /* when it was to be sent */
    uint64_t key;    /* number of its key */
    uint32_t slot;   /* of the ring */
    uint32_t next;   /* behind it in its queue; 0: none */
};

struct pending_queue {
    uint32_t first; /* in the store; 0: the queue is empty */
    uint32_t last;
};

struct pending_store {
    struct pending *all; /* [0] is not used; owned */
    uint32_t unused;     /* from here on nothing was ever used */
    uint32_t freed;      /* a list; 0: none */
};

/* 0, or -1 without memory. The memory is touched only as far as it is used. */
static inline int pending_init(struct pending_store *s, uint32_t most)
{
    *s = (struct pending_store){.all = malloc(((size_t)most + 1) * sizeof *s->all), .unused = 1};
    return s->all == NULL ? -1 : 0;
}

static inline void pending_push(struct pending_store *s, struct pending_queue *q, struct pending p)
{
    uint32_t i = s->freed != 0 ? s->freed : s->unused++;
    s->freed = s->freed != 0 ? s->all[i].next : 0;
    p.next = 0;
    s->all[i] = p;
    if (q->first == 0) {
        q->first = i;
    } else {
        s->all[q->last].next = i;
    }
    q->last = i;
}

/* The oldest of a queue that is not empty. */
static inline const struct pending *pending_front(const struct pending_store *s, const struct pending_queue *q)
{
    assert(q->first != 0);
    return &s->all[q->first];
}

static inline void pending_pop(struct pending_store *s, struct pending_queue *q)
{
    uint32_t i = q->first;
    q->first = s->all[i].next;
    s->all[i].next = s->freed;
    s->freed = i;
}

#endif
