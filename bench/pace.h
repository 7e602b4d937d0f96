/* pace: when the requests of an open loop are to be sent. Arrivals are made one by one and in order, so those that
 * could not be sent yet need no memory: they are the ones between the next arrival and now. */
#ifndef BENCH_PACE_H
#define BENCH_PACE_H

#include <math.h>
#include <stdbool.h>
#include <stdint.h>

#include "rng.h"

enum pace_arrivals {
    PACE_POISSON, /* independent of each other */
    PACE_FIXED,   /* evenly spaced */
    PACE_COUNT
};

extern const char *const pace_names[PACE_COUNT];

struct pace {
    enum pace_arrivals arrivals;
    double interval_ns; /* mean */
    uint64_t start_ns;
    double next_ns; /* of the next arrival, since start_ns */
    struct rng rng;
};

static inline void pace_start(struct pace *p, enum pace_arrivals arrivals, double rate, uint64_t now, uint64_t seed)
{
    *p = (struct pace){.arrivals = arrivals, .interval_ns = 1e9 / rate, .start_ns = now, .rng = {seed}};
}

/* When the next request is due. */
static inline uint64_t pace_next(const struct pace *p)
{
    return p->start_ns + (uint64_t)p->next_ns;
}

/* The same, and on to the one behind it. */
static inline uint64_t pace_take(struct pace *p)
{
    uint64_t due = pace_next(p);
    p->next_ns += p->arrivals == PACE_FIXED ? p->interval_ns : -log(1 - rng_unit(&p->rng)) * p->interval_ns;
    return due;
}

/* How many are due before until, about. */
static inline double pace_backlog(const struct pace *p, uint64_t until)
{
    uint64_t next = pace_next(p);
    return until > next ? (double)(until - next) / p->interval_ns : 0;
}

#endif
