#include "hist.h"

#include <string.h>

void hist_init(struct hist *h)
{
    memset(h, 0, sizeof *h);
    h->min = UINT64_MAX;
}

void hist_merge(struct hist *h, const struct hist *from)
{
    for (unsigned i = 0; i < HIST_BUCKETS; i++) {
        h->buckets[i] += from->buckets[i];
    }
    h->count += from->count;
    h->sum += from->sum;
    h->min = from->min < h->min ? from->min : h->min;
    h->max = from->max > h->max ? from->max : h->max;
}

static uint64_t bucket_middle(unsigned bucket)
{
    unsigned row = bucket >> HIST_SUB_BITS;
    if (row < 2) {
        return bucket;
    }
    unsigned shift = row - 1;
    uint64_t low = (uint64_t)(bucket - (shift << HIST_SUB_BITS)) << shift;
    return low + (UINT64_C(1) << shift) / 2;
}

uint64_t hist_quantile(const struct hist *h, double q)
{
    if (h->count == 0) {
        return 0;
    }
    uint64_t rank = (uint64_t)(q * (double)h->count + 0.5);
    rank = rank < 1 ? 1 : rank > h->count ? h->count : rank;
    if (rank == 1 || rank == h->count) {
        return rank == 1 ? h->min : h->max;
    }
    uint64_t seen = 0;
    unsigned bucket = 0;
    while (seen + h->buckets[bucket] < rank) {
        seen += h->buckets[bucket++];
    }
    uint64_t ns = bucket_middle(bucket);
    return ns < h->min ? h->min : ns > h->max ? h->max : ns;
}

double hist_mean(const struct hist *h)
{
    return h->count == 0 ? 0 : (double)h->sum / (double)h->count;
}
