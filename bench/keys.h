/* keys: which key the next request takes.
 *
 * zipf and latest draw a rank by the method of Gray et al., "Quickly Generating Billion-Record Synthetic Databases"
 * (1994): rank 0 is the hottest, and rank r is drawn in proportion to 1 / (r + 1)^theta. Its power is read off a table,
 * straight lines between knots, since a call of pow() would take longer than the rest of a request. Ranks of zipf and
 * hotset are scattered over the keys by a bijection, so that hot keys are no neighbours. */
#ifndef BENCH_KEYS_H
#define BENCH_KEYS_H

#include <stdbool.h>
#include <stdint.h>

#include "rng.h"

#define KEYS_MAX UINT64_C(4000000000) /* rng_below takes no more */
#define KEYS_KNOTS 4096

enum keys_dist {
    KEYS_UNIFORM,
    KEYS_SEQUENTIAL, /* 0, 1, 2, ...: filling */
    KEYS_ZIPF,
    KEYS_LATEST, /* sets go through the keys in order; other requests take a key zipf-near behind the last one set */
    KEYS_HOTSET, /* hot_requests of the requests take one of hot_keys of the keys */
};

struct keys_choice {
    enum keys_dist dist;
    double theta;    /* zipf, latest: above 0, below 1 */
    double hot_keys; /* hotset: shares */
    double hot_requests;
};

/* 0, or -1 where text is not "uniform", "sequential", "zipf:THETA", "latest" (theta is 0.99) or
 * "hotset:SHARE_KEYS:SHARE_REQUESTS". */
int keys_parse(struct keys_choice *choice, const char *text);

struct keys {
    enum keys_dist dist;
    uint64_t count;      /* keys 0 to count - 1 */
    uint64_t next;       /* sequential: the next one; latest: the last one set */
    uint64_t hot;        /* hotset: how many are hot */
    double hot_requests; /* hotset: their share */
    double zeta;         /* zipf: sum of 1 / r^theta for r of 1 to count */
    double second;       /* zipf: the sum's first two terms */
    uint64_t mask;       /* scattering: the next power of two above count, less 1 */
    unsigned shift;      /* scattering: half of its bits */
    struct rng rng;
    double knots[KEYS_KNOTS + 1]; /* zipf: the rank at u = i / KEYS_KNOTS */
};

void keys_init(struct keys *k, const struct keys_choice *choice, uint64_t count, uint64_t seed);

/* keys_next() of all but uniform. */
uint64_t keys_draw(struct keys *k, bool set);

/* Where rank r, below count, is scattered to: a bijection of the keys. */
uint64_t keys_scatter(const struct keys *k, uint64_t r);

/* set: the request sets the key. */
static inline uint64_t keys_next(struct keys *k, bool set)
{
    return k->dist == KEYS_UNIFORM ? rng_below(&k->rng, k->count) : keys_draw(k, set);
}

#endif
