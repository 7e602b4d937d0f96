/* timeline: the latency over the time of a measurement, in slots of 100 ms.
 *
 *   begin     +100 ms     +200 ms
 *     | slots[0] | slots[1] |  open   |
 *                               ^ replies are added here
 *
 * Invariant: n slots are closed, and the open one reaches to end_ns = begin_ns + (n + 1) * slot_ns. The room is fixed:
 * slots are made wide enough for a duration that is known, and where none is, every two become one when it is used up.
 * Adding allocates nothing. */
#ifndef BENCH_TIMELINE_H
#define BENCH_TIMELINE_H

#include <stddef.h>
#include <stdint.h>

#include "hist.h"

#define TIMELINE_SLOTS 600
#define TIMELINE_SLOT_NS UINT64_C(100000000)

struct timeline_slot {
    uint64_t replies;
    uint64_t p50_ns; /* 0, as the next two, without replies */
    uint64_t p99_ns;
    uint64_t max_ns;
};

struct timeline {
    uint64_t begin_ns; /* of the measurement, monotonic */
    uint64_t end_ns;   /* of the open slot */
    uint64_t slot_ns;  /* width of a slot: TIMELINE_SLOT_NS, doubled as often as was needed */
    size_t n;          /* closed slots */
    struct timeline_slot slots[TIMELINE_SLOTS];
    struct hist open; /* the replies of the open slot */
};

/* Starts at now_ns. duration_ns is how long it will be, 0 if that is not known. */
void timeline_begin(struct timeline *t, uint64_t now_ns, uint64_t duration_ns);

/* Closes slots until the open one reaches beyond now_ns. */
void timeline_advance(struct timeline *t, uint64_t now_ns);

/* Adds n replies that came at now_ns, which does not decrease, and took ns. */
static inline void timeline_add(struct timeline *t, uint64_t now_ns, uint64_t ns, uint64_t n)
{
    if (now_ns >= t->end_ns) {
        timeline_advance(t, now_ns);
    }
    hist_add(&t->open, ns, n);
}

/* Closes the last slot. One that has hardly begun joins the slot before it. Of slots that were joined, replies and
 * maximum are exact, the quantiles are the mean of both weighted by their replies. */
void timeline_end(struct timeline *t, uint64_t now_ns);

#endif
