/* hist: a log-linear histogram of nanoseconds. 1% precise from 100 ns to 100 s; adding is a few instructions.
 *
 *   value          0..255   256..511   512..1023   1024..2047  ...  2^37..2^38-1
 *   bucket width        1          2           4            8  ...          2^30
 *
 * Invariant: every power of two above the first row has HIST_SUB buckets, so a bucket is never wider than 1/HIST_SUB of
 * the values in it. Values above the last bucket count in the last; max stays exact. */
#ifndef BENCH_HIST_H
#define BENCH_HIST_H

#include <stdint.h>

#define HIST_SUB_BITS 7
#define HIST_SUB (1 << HIST_SUB_BITS) /* buckets a power of two */
#define HIST_TOP_BITS 38              /* values from 2^38 ns (275 s) on share the last bucket */
#define HIST_BUCKETS ((HIST_TOP_BITS - HIST_SUB_BITS + 1) * HIST_SUB)

struct hist {
    uint64_t count;                 /* samples */
    uint64_t sum;                   /* ns */
    uint64_t min;                   /* ns; UINT64_MAX without samples */
    uint64_t max;                   /* ns */
    uint64_t buckets[HIST_BUCKETS]; /* samples of each bucket */
};

void hist_init(struct hist *h);

static inline unsigned hist_bucket(uint64_t ns)
{
    if (ns < HIST_SUB) {
        return (unsigned)ns;
    }
    if (ns >> HIST_TOP_BITS != 0) {
        return HIST_BUCKETS - 1;
    }
    unsigned shift = 63 - (unsigned)__builtin_clzll(ns) - HIST_SUB_BITS;
    return (shift << HIST_SUB_BITS) + (unsigned)(ns >> shift);
}

/* Adds n samples of the same value. */
static inline void hist_add(struct hist *h, uint64_t ns, uint64_t n)
{
    h->buckets[hist_bucket(ns)] += n;
    h->count += n;
    h->sum += ns * n;
    h->min = ns < h->min ? ns : h->min;
    h->max = ns > h->max ? ns : h->max;
}

/* Adds the samples of from to h. */
void hist_merge(struct hist *h, const struct hist *from);

/* The value that the share q (0 to 1) of the samples does not exceed: the middle of its bucket, within min and max. 0
 * without samples. */
uint64_t hist_quantile(const struct hist *h, double q);

/* The exact mean, 0 without samples. */
double hist_mean(const struct hist *h);

#endif
