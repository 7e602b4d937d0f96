/* The data as it was at every sequence number, rebuilt by applying the commits of a numbered history in their order.
 *
 *   key 3:  (seq 12, v7) (seq 15, absent) (seq 31, v9) ...     the state at 20 is the last one not above 20 */
#ifndef TXKV_CHECKER_VERSIONS_H
#define TXKV_CHECKER_VERSIONS_H

#include "report.h"

struct version {
    uint64_t seq;
    uint64_t value; /* of a key; or the set of keys, as a mask */
    uint32_t tx;    /* who committed it */
};

/* In ascending order of seq. */
struct version_list {
    struct version *v;
    size_t count, cap;
};

/* A moment and a number, for "which commits were answered before t" and "which were sent after t". */
struct stamp {
    uint64_t time;
    uint64_t seq; /* the highest up to here (answered), or the lowest from here on (sent) */
};

struct versions {
    uint64_t *seq;   /* of each transaction; filled in where the client was not told */
    uint32_t *order; /* the transactions that changed data, by number */
    size_t order_count;
    struct version_list key[HISTORY_KEYS_MAX]; /* a version for each change, not for what left a key absent */
    struct version_list
        touched[HISTORY_KEYS_MAX];   /* every commit that wrote, deleted or flushed the key (value unused) */
    struct version_list keyset;      /* a version for each change of the set of keys */
    struct version_list touched_any; /* every commit that may have changed the set of keys */
    struct stamp *answered, *sent;
};

/* Reports double numbers, and numbers that no known commit explains. */
void versions_init(struct versions *v, const struct history *h, struct report *r);
void versions_deinit(struct versions *v);

/* The last version not above seq, or NULL. */
const struct version *versions_at(const struct version_list *list, uint64_t seq);
/* The first version above seq, or NULL. */
const struct version *versions_after(const struct version_list *list, uint64_t seq);

static inline uint32_t versions_value(const struct versions *v, uint32_t key, uint64_t seq)
{
    const struct version *at = versions_at(&v->key[key], seq);
    return at ? (uint32_t)at->value : VALUE_ABSENT;
}

/* The highest number of a commit answered before `time`: a snapshot taken later is not below it. */
uint64_t versions_low(const struct versions *v, uint64_t time);
/* One below the lowest number of a commit sent after `time`: a snapshot taken earlier is not above it. */
uint64_t versions_high(const struct versions *v, uint64_t time);

#endif
