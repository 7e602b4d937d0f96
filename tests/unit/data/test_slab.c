/* slab: no block overlaps another, what is freed is used again and goes back, and a class's slabs serve any other. */
#include "slab.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "rng.h"

#define BLOCKS 20000U

struct block {
    unsigned char *at;
    size_t size;
    unsigned char fill;
};

static struct block blocks[BLOCKS];

static void set_up(void)
{
    slab_init();
    cr_assert_not_null(slab_base);
}

TestSuite(slab, .init = set_up);

static void take(struct block *b, size_t size, unsigned char fill)
{
    *b = (struct block){slab_alloc(size), size, fill};
    cr_assert_not_null(b->at);
    memset(b->at, fill, size);
}

/* Frees it; what was written to it must still be there. */
static void drop(struct block *b)
{
    for (size_t i = 0; i < b->size; i++) {
        cr_assert_eq(b->at[i], b->fill, "byte %zu of %zu was overwritten", i, b->size);
    }
    slab_free(b->at);
    b->at = NULL;
}

static void give_all_back(void)
{
    while (slab_give_back()) {
    }
}

/* Slabs that so many blocks need. */
static size_t slabs_for(size_t count, size_t size)
{
    size_t each = SLAB_BYTES / size;
    return (count + each - 1) / each;
}

Test(slab, a_block_has_its_class_is_aligned_and_owned)
{
    for (size_t size = 1; size <= SLAB_BLOCK_MAX; size++) {
        char *block = slab_alloc(size);
        cr_assert(slab_owns(block));
        cr_assert_eq(slab_size(block), (size + 7) / 8 * 8);
        cr_assert_eq((uintptr_t)block % 8, 0u);
        slab_free(block);
    }
}

Test(slab, what_is_elsewhere_is_not_owned)
{
    int local;
    char *heap = malloc(100);
    cr_assert_not(slab_owns(&local));
    cr_assert_not(slab_owns(heap));
    cr_assert_not(slab_owns(NULL));
    cr_assert_not(slab_owns(slab_base + slab_region));
    free(heap);
}

Test(slab, blocks_of_all_sizes_keep_what_is_written_to_them)
{
    struct rng rng = {1};
    for (unsigned round = 0; round < 200000; round++) {
        struct block *b = &blocks[rng_next(&rng) % BLOCKS];
        if (b->at != NULL) {
            drop(b);
        } else {
            take(b, 1 + rng_next(&rng) % SLAB_BLOCK_MAX, (unsigned char)rng_next(&rng));
        }
    }
    for (unsigned i = 0; i < BLOCKS; i++) {
        if (blocks[i].at != NULL) {
            drop(&blocks[i]);
        }
    }
    give_all_back();
    cr_assert_leq(slab_held(), 4 * SLAB_BYTES);
}

Test(slab, a_class_takes_no_more_slabs_than_its_blocks_need)
{
    size_t before = slab_held();
    for (unsigned i = 0; i < BLOCKS; i++) {
        take(&blocks[i], 104, 1);
    }
    cr_assert_eq(slab_held() - before, slabs_for(BLOCKS, 104) * SLAB_BYTES);
    struct rng rng = {2};
    for (unsigned round = 0; round < 200000; round++) {
        struct block *b = &blocks[rng_next(&rng) % BLOCKS];
        drop(b);
        take(b, 97 + rng_next(&rng) % 8, (unsigned char)round);
    }
    cr_assert_eq(slab_held() - before, slabs_for(BLOCKS, 104) * SLAB_BYTES);
}

Test(slab, slabs_of_one_class_serve_another)
{
    for (unsigned i = 0; i < BLOCKS; i++) {
        take(&blocks[i], 64, 1);
    }
    size_t full = slab_held();
    for (unsigned i = 0; i < BLOCKS; i++) {
        drop(&blocks[i]);
    }
    for (unsigned i = 0; i < BLOCKS; i++) {
        take(&blocks[i], 56, 2);
    }
    cr_assert_leq(slab_held(), full);
}

Test(slab, pages_given_back_are_empty_and_can_be_used_again)
{
    for (unsigned i = 0; i < BLOCKS; i++) {
        take(&blocks[i], 512, 7);
    }
    size_t full = slab_held();
    unsigned char *late = blocks[BLOCKS - 1].at + 256;
    for (unsigned i = 0; i < BLOCKS; i++) {
        drop(&blocks[i]);
    }
    cr_assert_eq(slab_held(), full);
    cr_assert_eq(*late, 7);
    give_all_back();
    cr_assert_leq(slab_held(), 4 * SLAB_BYTES);
    cr_assert_eq(*late, 0);
    for (unsigned i = 0; i < BLOCKS; i++) {
        take(&blocks[i], 512, 9);
    }
    cr_assert_eq(slab_held(), full);
    for (unsigned i = 0; i < BLOCKS; i++) {
        drop(&blocks[i]);
    }
}
