/* time_passes: a store's time goes on in a way that a model can follow to the millisecond. */
#ifndef TXKV_SUPPORT_TIME_PASSES_H
#define TXKV_SUPPORT_TIME_PASSES_H

#include "expiry.h"
#include "store.h"

/* Tells the store the time and turns its wheel all the way there, so that expiry_is_due is true where a key has ended and is not
 * removed yet, and only there. For at most 1024 keys. */
static inline void time_passes(struct store *st, uint64_t now_ms)
{
    enum { KEYS_MAX = 1024 };
    struct entry *ended[KEYS_MAX];
    struct expiry *x = &st->current->expiry;
    struct entry *e;
    size_t count = 0;
    size_t steps = 1 << 20;
    store_tell_time(st, now_ms);
    while (count < KEYS_MAX && (e = expiry_next(x, st->now_ms, &steps)) != NULL) {
        expiry_remove(x, e);
        ended[count++] = e;
    }
    while (count > 0) {
        expiry_place(x, ended[--count]);
    }
}

/* The store removes all that has ended. */
static inline void remove_ended(struct store *st)
{
    while (expiry_is_due(&st->current->expiry, st->now_ms)) {
        (void)store_tend(st);
    }
}

#endif
