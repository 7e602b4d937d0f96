/* The byte queue, against a plain array of the bytes that it should hold. */
#include <criterion/criterion.h>
#include <stdint.h>
#include <stdlib.h>

#include "buf.h"
#include "mem.h"

#define BYTES_MAX ((size_t)150000)

struct model {
    struct buf b;
    char bytes[BYTES_MAX]; /* what the queue should hold */
    size_t len;
    unsigned char fill; /* next byte to write: no two neighbours are alike */
};

static struct model m;

static void set_up(void)
{
    mem_chunk_drain();
    m.len = 0;
    buf_init(&m.b);
}

static void tear_down(void)
{
    mem_fail(0, false);
    buf_deinit(&m.b);
}

TestSuite(buf, .init = set_up, .fini = tear_down);

static void check(void)
{
    const struct buf *b = &m.b;
    cr_assert(b->start <= b->end && b->end <= b->cap);
    cr_assert((b->data == NULL) == (b->cap == 0));
    cr_assert_eq(buf_len(b), m.len);
    cr_assert(m.len == 0 || memcmp(buf_head(b), m.bytes, m.len) == 0, "the bytes differ");
}

static void fill(char *to, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        to[i] = (char)m.fill++;
    }
}

static void append(size_t size)
{
    fill(m.bytes + m.len, size);
    cr_assert_eq(buf_append(&m.b, m.bytes + m.len, size), 0);
    m.len += size;
    check();
}

static void consume(size_t size)
{
    buf_consume(&m.b, size);
    memmove(m.bytes, m.bytes + size, m.len - size);
    m.len -= size;
    check();
}

static void truncate_to(size_t len)
{
    buf_truncate(&m.b, len);
    m.len = len;
    check();
}

static uint64_t seed;

static size_t below(size_t n)
{
    seed = seed * 6364136223846793005U + 1442695040888963407U;
    return (size_t)(seed >> 33) % n;
}

/* Mostly few bytes, sometimes more than a chunk. */
static size_t some_size(void)
{
    static const size_t ranges[] = {4, 100, 3000, 40000};
    return below(ranges[below(4)]) + 1;
}

/* --- buf_init, buf_deinit --- */

Test(buf, is_empty_and_holds_nothing_at_first)
{
    check();
    cr_assert_null(m.b.data);
    cr_assert_null(buf_head(&m.b));
}

Test(buf, is_usable_again_after_deinit)
{
    append(100);
    buf_deinit(&m.b);
    m.len = 0;
    check();
    append(5);
}

Test(buf, gives_all_memory_back)
{
    size_t before = mem_used();
    append(100000);
    buf_deinit(&m.b);
    m.len = 0;
    cr_assert_eq(mem_used(), before);
}

/* --- buf_reserve, buf_commit --- */

Test(buf, reserved_bytes_count_only_when_committed)
{
    append(10);
    char *tail = buf_reserve(&m.b, 500);
    cr_assert_not_null(tail);
    memset(tail, 'x', 500);
    check();
    memset(m.bytes + m.len, 'x', 200);
    buf_commit(&m.b, 200);
    m.len += 200;
    check();
}

Test(buf, reserves_at_the_tail)
{
    append(10);
    char *tail = buf_reserve(&m.b, 1);
    cr_assert_eq(tail, buf_head(&m.b) + 10);
}

Test(buf, reuses_what_was_consumed)
{
    for (int i = 0; i < 1000; i++) {
        append(1000);
        consume(1000);
    }
    cr_assert_leq(m.b.cap, MEM_CHUNK);
}

Test(buf, a_queue_never_empty_does_not_grow_without_end)
{
    append(1000);
    for (int i = 0; i < 1000; i++) {
        append(1000);
        consume(1000);
    }
    cr_assert_leq(m.b.cap, MEM_CHUNK);
}

Test(buf, the_first_chunk_comes_from_the_pool)
{
    mem_chunk_put(mem_chunk_get());
    mem_fail(1, true);
    append(MEM_CHUNK);
    cr_assert_null(buf_reserve(&m.b, 1));
    check();
}

/* --- buf_append --- */

Test(buf, appends_bytes_of_any_value)
{
    append(256);
    append(3);
}

Test(buf, grows_over_a_chunk_with_all_its_bytes)
{
    append(MEM_CHUNK - 1);
    append(1);
    append(1);
    append(100000);
}

/* --- buf_consume --- */

Test(buf, consuming_does_not_move_the_rest)
{
    append(100);
    const char *head = buf_head(&m.b);
    consume(40);
    cr_assert_eq(buf_head(&m.b), head + 40);
}

Test(buf, consuming_nothing_changes_nothing)
{
    append(7);
    consume(0);
}

/* --- buf_truncate --- */

Test(buf, truncates_what_was_appended_last)
{
    append(100);
    consume(30);
    truncate_to(70);
    truncate_to(20);
    append(5);
    truncate_to(0);
    append(5);
}

/* --- buf_settle --- */

Test(buf, a_settled_empty_queue_holds_nothing)
{
    size_t before = mem_used();
    append(100000);
    consume(100000);
    buf_settle(&m.b);
    check();
    cr_assert_null(m.b.data);
    cr_assert_eq(m.b.cap, 0u);
    cr_assert_eq(mem_used(), before);
}

Test(buf, a_settled_queue_truncated_to_nothing_holds_nothing)
{
    append(100);
    consume(10);
    truncate_to(0);
    buf_settle(&m.b);
    check();
    cr_assert_eq(m.b.cap, 0u);
}

Test(buf, a_settled_queue_of_few_bytes_gives_its_chunk_back)
{
    append(MEM_CHUNK);
    consume(MEM_CHUNK - 10);
    buf_settle(&m.b);
    check();
    cr_assert_lt(m.b.cap, MEM_CHUNK / 8);
}

Test(buf, settling_without_memory_leaves_the_bytes)
{
    append(100);
    mem_fail(1, true);
    buf_settle(&m.b);
    check();
}

/* --- allocations that fail --- */

Test(buf, an_empty_queue_stays_empty_without_memory)
{
    mem_fail(1, true);
    cr_assert_null(buf_reserve(&m.b, 1));
    cr_assert_eq(buf_append(&m.b, "x", 1), -1);
    check();
    mem_fail(0, false);
    append(1);
}

Test(buf, bytes_stay_where_growing_fails)
{
    append(MEM_CHUNK - 5);
    consume(3);
    mem_fail(1, true);
    cr_assert_null(buf_reserve(&m.b, MEM_CHUNK));
    check();
    cr_assert_eq(buf_append(&m.b, m.bytes, 20), -1);
    check();
    mem_fail(0, false);
    append(20);
}

/* --- all of them, in any order --- */

static void random_step(void)
{
    size_t size = some_size();
    bool fits = m.len + size <= BYTES_MAX;
    switch (below(7)) {
    case 0:
    case 1:
        if (fits) {
            append(size);
        }
        break;
    case 2:
        if (fits) {
            size_t used = below(size + 1);
            char *tail = buf_reserve(&m.b, size);
            cr_assert_not_null(tail);
            fill(m.bytes + m.len, used);
            memcpy(tail, m.bytes + m.len, used);
            buf_commit(&m.b, used);
            m.len += used;
        }
        break;
    case 3:
        consume(size < m.len ? size : m.len);
        break;
    case 4:
        truncate_to(size < m.len ? m.len - size : 0);
        break;
    case 5:
        buf_settle(&m.b);
        break;
    default:
        mem_fail(1, true);
        if (buf_reserve(&m.b, size) == NULL) {
            check();
            cr_assert_eq(buf_append(&m.b, m.bytes, size), -1);
        }
        check();
        buf_settle(&m.b);
        mem_fail(0, false);
    }
    check();
}

Test(buf, holds_what_a_plain_array_holds)
{
    for (seed = 1; seed < 41; seed++) {
        uint64_t kept = seed;
        for (int i = 0; i < 400; i++) {
            random_step();
        }
        seed = kept;
        buf_deinit(&m.b);
        m.len = 0;
    }
}

/* --- loans --- */

#define LENDERS 8
#define LENT_MAX 5000

/* What is lent from: the queue must never hold other bytes than these had when they were lent. */
static char memory[LENDERS][LENT_MAX];

static void lend(size_t lender, size_t size)
{
    buf_repay_from(memory[lender], LENT_MAX); /* they change now */
    fill(memory[lender], size);
    memcpy(m.bytes + m.len, memory[lender], size);
    cr_assert_eq(buf_lend(&m.b, slice_of(memory[lender], size)), 0);
    m.len += size;
    cr_assert_eq(buf_len(&m.b), m.len);
}

static void check_pieces(size_t size)
{
    struct slice pieces[BUF_PIECES_MAX];
    size_t at = 0;
    size_t count = buf_pieces(&m.b, size, pieces);
    cr_assert_leq(count, (size_t)BUF_PIECES_MAX);
    for (size_t i = 0; i < count; i++) {
        cr_assert(at + pieces[i].len <= size && memcmp(m.bytes + at, pieces[i].data, pieces[i].len) == 0, "piece %zu of %zu", i, count);
        at += pieces[i].len;
    }
    cr_assert_eq(at, size);
}

/* So many are sent, from where they lie; the rest is the queue's own then. */
static void send(size_t size)
{
    check_pieces(size);
    buf_repay_all(&m.b, size);
    buf_consume(&m.b, size);
    memmove(m.bytes, m.bytes + size, m.len - size);
    m.len -= size;
    check();
}

static bool lies_in(struct slice piece, const char *bytes)
{
    return piece.data == bytes;
}

Test(buf, what_is_lent_stays_where_it_lies)
{
    struct slice pieces[BUF_PIECES_MAX];
    append(10);
    lend(0, 3000);
    lend(1, 2000);
    m.fill++;
    cr_assert_eq(buf_append(&m.b, "end", 3), 0);
    memcpy(m.bytes + m.len, "end", 3);
    m.len += 3;
    cr_assert_eq(buf_pieces(&m.b, m.len, pieces), 4);
    cr_assert(lies_in(pieces[1], memory[0]) && lies_in(pieces[2], memory[1]));
    cr_assert_eq(buf_pieces(&m.b, 1000, pieces), 2);
    cr_assert_eq(pieces[1].len, 990);
    send(m.len);
    cr_assert_eq(buf_loans, 0);
}

Test(buf, too_many_loans_are_copied)
{
    fill(memory[0], 10);
    for (int i = 0; i < BUF_PIECES_MAX; i++) {
        cr_assert_eq(buf_lend(&m.b, slice_of(memory[0], 10)), 0);
        memcpy(m.bytes + m.len, memory[0], 10);
        m.len += 10;
    }
    check_pieces(m.len);
    cr_assert_lt(buf_loans, (unsigned)BUF_PIECES_MAX);
    send(m.len / 2);
}

Test(buf, a_queue_that_goes_takes_its_loans_along)
{
    struct buf other;
    buf_init(&other);
    cr_assert_eq(buf_lend(&other, slice_of(memory[7], 100)), 0);
    lend(0, 3000);
    buf_deinit(&m.b);
    m.len = 0;
    cr_assert_eq(buf_loans, 1, "that of the other one");
    buf_deinit(&other);
    cr_assert_eq(buf_loans, 0);
}

/* Appended, lent, changed, sent and cut at random, beside the loans of another queue. */
Test(buf, lends_what_a_plain_array_holds)
{
    static char others[100] = "of the other queue";
    struct buf other;
    buf_init(&other);
    for (seed = 1; seed < 201; seed++) {
        uint64_t kept = seed;
        struct slice piece[BUF_PIECES_MAX];
        cr_assert_eq(buf_lend(&other, slice_of(others, sizeof(others))), 0);
        size_t mark = 0; /* what is cut away was lent or appended as a whole */
        for (int i = 0; i < 60 && m.len < BYTES_MAX / 2; i++) {
            size_t size = 1 + below(LENT_MAX);
            switch (below(5)) {
            case 0:
                mark = m.len;
                fill(m.bytes + m.len, size);
                cr_assert_eq(buf_append(&m.b, m.bytes + m.len, size), 0);
                m.len += size;
                break;
            case 1:
            case 2:
                mark = m.len;
                lend(below(LENDERS), size);
                break;
            case 3:
                buf_truncate(&m.b, mark);
                m.len = mark;
                break;
            default:
                check_pieces(below(m.len + 1));
            }
        }
        send(below(m.len + 1));
        buf_deinit(&m.b);
        m.len = 0;
        cr_assert_eq(buf_loans, 1, "that of the other one");
        cr_assert_eq(buf_pieces(&other, sizeof(others), piece), 1);
        cr_assert(lies_in(piece[0], others));
        buf_deinit(&other);
        seed = kept;
    }
}
