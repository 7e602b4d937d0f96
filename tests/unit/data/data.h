/* data: what the tests of the data have in common: numbered keys, and pools without a block in them. */
#ifndef TXKV_UNIT_DATA_H
#define TXKV_UNIT_DATA_H

#include <stdio.h>

#include "dict_entry.h"
#include "hash.h"
#include "unit.h"

/* As cr_assert, which takes some microseconds also where it holds: for loops. */
#define check(condition)                                                                                               \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            cr_assert_fail("%s", #condition);                                                                          \
        }                                                                                                              \
    } while (0)

/* "k<n>", valid until 16 further calls. */
static inline struct slice numbered(unsigned long n)
{
    static char texts[16][24];
    static unsigned next;
    char *text = texts[next++ % 16];
    return slice_of(text, (size_t)snprintf(text, sizeof(texts[0]), "k%lu", n));
}

static inline void empty_pool(size_t block_size)
{
    void *block;
    mem_fail(1, true);
    while ((block = dict_table_alloc(block_size)) != NULL) {
        mem_free(block);
    }
    mem_fail(0, false);
}

/* From now on a first table is an allocation, which can be made to fail. */
static inline void empty_pools(void)
{
    empty_pool(sizeof(UT_hash_table));
    empty_pool(HASH_INITIAL_NUM_BUCKETS * sizeof(struct UT_hash_bucket));
}

/* Fills the pools to where they neither grow nor shrink in the long run, and returns mem_used() as of then. */
static inline size_t settled_memory(void)
{
    cr_assert_eq(dict_reserve(64), 0);
    return mem_used();
}

#endif
