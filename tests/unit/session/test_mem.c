/* The out-of-memory policy: what is counted, what fails on demand, the pool of chunks. */
#include <criterion/criterion.h>

#include "mem.h"

static void set_up(void)
{
    mem_init();
    mem_chunk_drain();
}

static void tear_down(void)
{
    mem_fail(0, false);
    mem_chunk_drain();
}

TestSuite(mem, .init = set_up, .fini = tear_down);

/* --- mem_alloc, mem_calloc, mem_free, mem_size --- */

Test(mem, an_allocation_has_at_least_what_was_asked_for)
{
    for (size_t size = 1; size < 100000; size = size * 3 + 1) {
        char *p = mem_alloc(size);
        cr_assert_not_null(p);
        cr_assert_geq(mem_size(p), size);
        memset(p, 'x', mem_size(p)); /* all of it may be used */
        mem_free(p);
    }
}

Test(mem, calloc_gives_zeros_where_other_bytes_were)
{
    char *dirty = mem_alloc(1000);
    memset(dirty, 'x', 1000);
    mem_free(dirty);
    char *p = mem_calloc(1000);
    for (size_t i = 0; i < 1000; i++) {
        cr_assert_eq(p[i], 0);
    }
    mem_free(p);
}

Test(mem, freeing_nothing_is_allowed)
{
    size_t before = mem_used();
    mem_free(NULL);
    cr_assert_eq(mem_used(), before);
}

/* --- mem_used --- */

Test(mem, counts_what_the_allocator_gave)
{
    size_t before = mem_used();
    void *a = mem_alloc(100);
    cr_assert_geq(mem_used(), before + mem_size(a));
    size_t with_a = mem_used();
    void *b = mem_calloc(5000);
    cr_assert_geq(mem_used(), with_a + mem_size(b));
    mem_free(a);
    mem_free(b);
    cr_assert_eq(mem_used(), before);
}

Test(mem, comes_back_to_where_it_was_in_any_order_of_freeing)
{
    enum { COUNT = 500 };
    static void *held[COUNT];
    size_t before = mem_used();
    size_t wanted = 0;
    for (size_t i = 0; i < COUNT; i++) {
        size_t size = i * 37 % 3000 + 1;
        held[i] = i % 2 == 0 ? mem_alloc(size) : mem_calloc(size);
        wanted += size;
    }
    cr_assert_geq(mem_used(), before + wanted);
    for (size_t i = 0; i < COUNT; i++) {
        mem_free(held[i * 7 % COUNT]);
    }
    cr_assert_eq(mem_used(), before);
}

Test(mem, a_failed_allocation_is_not_counted)
{
    size_t before = mem_used();
    mem_fail(1, true);
    cr_assert_null(mem_alloc(100));
    cr_assert_null(mem_calloc(100));
    cr_assert_eq(mem_used(), before);
}

Test(mem, chunks_are_counted_while_they_are_handed_out)
{
    size_t before = mem_used();
    void *chunk = mem_chunk_get();
    cr_assert_eq(mem_used(), before + MEM_CHUNK);
    mem_chunk_put(chunk);
    cr_assert_eq(mem_used(), before);
}

/* --- mem_fail --- */

/* Allocates once; whether that worked. */
static bool works(void)
{
    void *p = mem_alloc(10);
    mem_free(p);
    return p != NULL;
}

Test(mem, the_nth_allocation_fails_and_no_other)
{
    for (unsigned long nth = 1; nth < 10; nth++) {
        mem_fail(nth, false);
        for (unsigned long i = 1; i < 15; i++) {
            cr_assert_eq(works(), i != nth, "allocation %lu of those before and after the %luth", i, nth);
        }
    }
}

Test(mem, the_nth_allocation_and_all_after_it_fail)
{
    for (unsigned long nth = 1; nth < 10; nth++) {
        mem_fail(nth, true);
        for (unsigned long i = 1; i < 15; i++) {
            cr_assert_eq(works(), i < nth, "allocation %lu, failing from the %luth", i, nth);
        }
    }
}

Test(mem, failing_ends_on_demand)
{
    mem_fail(1, true);
    cr_assert_not(works());
    mem_fail(0, false);
    cr_assert(works());
    mem_fail(2, false);
    mem_fail(0, false);
    cr_assert(works());
    cr_assert(works());
}

Test(mem, every_kind_of_allocation_is_counted_for_failing)
{
    mem_fail(3, false);
    void *a = mem_alloc(1);
    void *b = mem_calloc(1);
    cr_assert_not_null(a);
    cr_assert_not_null(b);
    cr_assert_null(mem_chunk_get());
    mem_free(a);
    mem_free(b);
}

/* --- mem_chunk_get, mem_chunk_put, mem_chunk_drain --- */

Test(mem, a_chunk_has_all_its_bytes)
{
    char *chunk = mem_chunk_get();
    memset(chunk, 'x', MEM_CHUNK);
    cr_assert_geq(mem_size(chunk), MEM_CHUNK);
    mem_chunk_put(chunk);
}

Test(mem, the_chunk_returned_last_is_handed_out_first)
{
    void *a = mem_chunk_get();
    void *b = mem_chunk_get();
    cr_assert_neq(a, b);
    mem_chunk_put(a);
    mem_chunk_put(b);
    cr_assert_eq(mem_chunk_get(), b);
    cr_assert_eq(mem_chunk_get(), a);
    mem_chunk_put(a);
    mem_chunk_put(b);
}

Test(mem, a_pooled_chunk_needs_no_allocation)
{
    mem_chunk_put(mem_chunk_get());
    mem_fail(1, true);
    void *chunk = mem_chunk_get();
    cr_assert_not_null(chunk);
    cr_assert_null(mem_chunk_get(), "the pool is empty, so this one had to be allocated");
    mem_chunk_put(chunk);
}

Test(mem, a_drained_pool_has_nothing)
{
    mem_chunk_put(mem_chunk_get());
    mem_chunk_drain();
    mem_fail(1, true);
    cr_assert_null(mem_chunk_get());
}

Test(mem, takes_back_more_chunks_than_it_keeps)
{
    enum { COUNT = 1000 };
    static void *held[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        held[i] = mem_chunk_get();
        cr_assert_not_null(held[i]);
    }
    for (size_t i = 0; i < COUNT; i++) {
        mem_chunk_put(held[i]);
    }
    mem_fail(1, true);
    size_t kept = 0;
    while (kept < COUNT && (held[kept] = mem_chunk_get()) != NULL) {
        kept++;
    }
    cr_assert(kept > 0 && kept < COUNT, "%zu chunks kept", kept);
    for (size_t i = 0; i < kept; i++) {
        mem_chunk_put(held[i]);
    }
}
