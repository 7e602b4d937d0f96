/* keys: which key the next request takes. */
#ifndef BENCH_KEYS_H
#define BENCH_KEYS_H

#include <stdint.h>

#include "rng.h"

#define KEYS_MAX UINT64_C(4000000000) /* rng_below takes no more */

enum keys_dist {
    KEYS_UNIFORM,
    KEYS_SEQUENTIAL, /* 0, 1, 2, ...: filling */
};

struct keys {
    enum keys_dist dist;
    uint64_t count; /* keys 0 to count - 1 */
    uint64_t next;  /* sequential: the next one */
    struct rng rng;
};

static inline uint64_t keys_next(struct keys *k)
{
    if (k->dist == KEYS_SEQUENTIAL) {
        uint64_t n = k->next++;
        k->next = k->next == k->count ? 0 : k->next;
        return n;
    }
    return rng_below(&k->rng, k->count);
}

#endif
