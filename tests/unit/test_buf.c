#include "buf.h"

#include "mem.h"
#include "unit.h"

static struct buf b;

static void setup(void)
{
    buf_init(&b);
}

static void teardown(void)
{
    mem_fail(0, false);
    buf_deinit(&b);
}

TestSuite(buf, .init = setup, .fini = teardown);

static struct slice held(void)
{
    return slice_of(buf_head(&b), buf_len(&b));
}

/* --- buf_append --- */

Test(buf, append_keeps_order)
{
    cr_assert_eq(buf_append(&b, "one", 3), 0);
    cr_assert_eq(buf_append(&b, "two", 3), 0);
    assert_slice(held(), S("onetwo"));
}

Test(buf, append_of_nothing_to_an_empty_queue_succeeds)
{
    cr_assert_eq(buf_append(&b, "", 0), 0);
    cr_assert_eq(buf_len(&b), 0);
}

Test(buf, append_without_memory_appends_nothing)
{
    static const char big[MEM_CHUNK];
    cr_assert_eq(buf_append(&b, "kept", 4), 0);
    mem_fail(1, true);
    cr_assert_eq(buf_append(&b, big, sizeof(big)), -1);
    assert_slice(held(), S("kept"));
}

Test(buf, append_without_memory_to_an_empty_queue)
{
    mem_chunk_drain();
    mem_fail(1, true);
    cr_assert_eq(buf_append(&b, "x", 1), -1);
    cr_assert_eq(buf_len(&b), 0);
}

Test(buf, append_grows_far_beyond_a_chunk)
{
    for (uint32_t i = 0; i < 100000; i++) {
        cr_assert_eq(buf_append(&b, &i, sizeof(i)), 0);
    }
    for (uint32_t i = 0; i < 100000; i++) {
        uint32_t got;
        memcpy(&got, buf_head(&b), sizeof(got));
        cr_assert_eq(got, i);
        buf_consume(&b, sizeof(got));
    }
    cr_assert_eq(buf_len(&b), 0);
}

/* --- buf_reserve, buf_commit --- */

Test(buf, reserve_gives_the_room_it_was_asked_for)
{
    for (size_t size = 1; size < 3 * MEM_CHUNK; size += 997) {
        char *tail = buf_reserve(&b, size);
        cr_assert_not_null(tail);
        cr_assert_geq(b.cap - b.end, size);
        memset(tail, 'x', size);
    }
    cr_assert_eq(buf_len(&b), 0, "reserved is not held");
}

Test(buf, reserve_moves_what_is_held_to_the_front_instead_of_growing)
{
    static char bytes[MEM_CHUNK - 8];
    cr_assert_eq(buf_append(&b, bytes, sizeof(bytes)), 0);
    cr_assert_eq(buf_append(&b, "tail", 4), 0);
    buf_consume(&b, sizeof(bytes));
    cr_assert_not_null(buf_reserve(&b, 4096));
    cr_assert_eq(b.cap, MEM_CHUNK);
    assert_slice(held(), S("tail"));
}

Test(buf, commit_takes_what_was_written)
{
    memcpy(buf_reserve(&b, 10), "abc", 3);
    buf_commit(&b, 3);
    assert_slice(held(), S("abc"));
}

/* --- buf_consume --- */

Test(buf, consume_does_not_move_the_rest)
{
    buf_append(&b, "abcdef", 6);
    const char *third = buf_head(&b) + 2;
    buf_consume(&b, 2);
    cr_assert_eq(buf_head(&b), third);
    assert_slice(held(), S("cdef"));
}

Test(buf, consume_of_all_begins_again_at_the_front)
{
    buf_append(&b, "abc", 3);
    buf_consume(&b, 3);
    cr_assert_eq(b.start, 0);
    cr_assert_eq(b.end, 0);
}

/* --- buf_truncate --- */

Test(buf, truncate_drops_the_tail)
{
    buf_append(&b, "abcdef", 6);
    buf_consume(&b, 1);
    buf_truncate(&b, 2);
    assert_slice(held(), S("bc"));
}

/* --- buf_settle --- */

Test(buf, settle_of_an_empty_queue_holds_nothing)
{
    buf_append(&b, "abc", 3);
    buf_consume(&b, 3);
    buf_settle(&b);
    cr_assert_null(b.data);
    cr_assert_eq(b.cap, 0);
}

Test(buf, settle_moves_a_small_rest_out_of_its_chunk)
{
    buf_append(&b, "a partial line", 14);
    buf_settle(&b);
    cr_assert_lt(b.cap, MEM_CHUNK);
    assert_slice(held(), S("a partial line"));
    cr_assert_eq(buf_append(&b, " goes on", 8), 0);
    assert_slice(held(), S("a partial line goes on"));
}

Test(buf, settle_keeps_a_large_rest_where_it_is)
{
    static char bytes[MEM_CHUNK / 2];
    buf_append(&b, bytes, sizeof(bytes));
    const char *before = b.data;
    buf_settle(&b);
    cr_assert_eq(b.data, before);
}

Test(buf, settle_without_memory_changes_nothing)
{
    buf_append(&b, "abc", 3);
    mem_fail(1, true);
    buf_settle(&b);
    assert_slice(held(), S("abc"));
}

/* --- buf_deinit --- */

Test(buf, deinit_returns_all_memory)
{
    static char bytes[5 * MEM_CHUNK];
    size_t before = mem_used();
    buf_append(&b, bytes, sizeof(bytes));
    cr_assert_gt(mem_used(), before);
    buf_deinit(&b);
    cr_assert_eq(mem_used(), before);
}
