/* Large values are read to where they stay. */
#include <stdio.h>
#include <stdlib.h>

#include "fault.h"
#include "hash.h"
#include "intake.h"
#include "mem.h"
#include "rng.h"
#include "talk.h"
#include "unit.h"

#define SIZE ((size_t)64 << 10)
#define READ 4096

static struct talk t;

static void set_up(void)
{
    cr_assert_eq(hash_init(), 0);
    cr_assert_eq(fault_choose(getenv("TXKV_FAULT")), 0);
    talk_init(&t, 2);
}

static void tear_down(void)
{
    mem_fail(0, false);
    talk_deinit(&t);
}

TestSuite(large, .init = set_up, .fini = tear_down);

/* Bytes come as the kernel gives them: as many at a time as there is room for, and at most piece. */
static void feed(size_t client, struct slice bytes, size_t piece)
{
    struct session *s = &t.talkers[client].session;
    while (bytes.len > 0) {
        size_t room;
        char *to = intake_reserve(s, READ, &room);
        if (to == NULL) {
            cr_assert(s->ready || session_give_up(s));
            talk_run(&t);
            continue;
        }
        size_t size = room < piece ? room : piece;
        size = size < bytes.len ? size : bytes.len;
        memcpy(to, bytes.data, size);
        buf_commit(&s->in, size);
        tick_add(&t.tick, s);
        bytes = slice_of(bytes.data + size, bytes.len - size);
        talk_run(&t);
    }
}

static struct slice value_of(size_t len, unsigned seed)
{
    static char value[(4 << 20) + 1];
    for (size_t i = 0; i < len; i++) {
        value[i] = (char)('a' + (i / 7 + i + seed) % 26);
    }
    return slice_of(value, len);
}

static void feed_set(bool resp, const char *key, struct slice value, size_t piece)
{
    static char request[(4 << 20) + 200];
    int head = resp ? snprintf(request, sizeof(request), "*3\r\n$3\r\nSET\r\n$%zu\r\n%s\r\n$%zu\r\n", strlen(key), key, value.len)
                    : snprintf(request, sizeof(request), "SET %s ", key);
    memcpy(request + head, value.data, value.len);
    memcpy(request + (size_t)head + value.len, "\r\n", 2);
    feed(0, slice_of(request, (size_t)head + value.len + 2), piece);
}

static struct slice stands(const char *key)
{
    struct slice value = slice_of(NULL, 0);
    store_get(&t.engine.store, NULL, slice_str(key), hash_of(slice_str(key)), &value);
    return value;
}

static void begin_resp(size_t client)
{
    cr_assert(slice_equal(talk_ask(&t, client, "*1\r\n$4\r\nPING\r\n"), S("+PONG\r\n")));
    talk_forget(&t, client);
}

/* The place into which a large value is read is where it stands afterwards. */
static void check_place(bool resp, const char *key, size_t size, size_t piece)
{
    struct session *s = &t.talkers[0].session;
    size_t room;
    char *place = intake_reserve(s, READ, &room);
    feed_set(resp, key, value_of(size, 1), piece);
    struct slice value = stands(key);
    cr_assert(slice_equal(value, value_of(size, 1)));
    cr_assert(value.data > place && value.data < place + room, "it was copied");
    cr_assert_eq(buf_len(&s->in), 0u);
}

Test(large, a_line_like_the_last_one_is_read_to_where_it_stays)
{
    feed_set(false, "first", value_of(SIZE, 0), SIZE_MAX);
    for (size_t piece = 5000; piece <= 2 * SIZE; piece *= 3) {
        check_place(false, "first", SIZE, piece);
        check_place(false, "other", SIZE, piece);
    }
}

Test(large, a_request_like_the_last_one_is_read_to_where_it_stays)
{
    begin_resp(0);
    feed_set(true, "first", value_of(SIZE, 0), SIZE_MAX);
    for (size_t piece = 5000; piece <= 2 * SIZE; piece *= 3) {
        check_place(true, "first", SIZE, piece);
        check_place(true, "other", SIZE, piece);
    }
}

/* RESP says how large a value is: it gets its place whatever came before. */
Test(large, an_announced_value_is_read_to_where_it_stays)
{
    struct session *s = &t.talkers[0].session;
    begin_resp(0);
    for (size_t size = SIZE; size <= (size_t)1 << 20; size *= 2) {
        char head[100];
        int len = snprintf(head, sizeof(head), "*3\r\n$3\r\nSET\r\n$3\r\nkey\r\n$%zu\r\n", size);
        struct slice value = value_of(size, 3);
        size_t first = size / 4;
        s->intake.size = 0;
        feed(0, slice_of(head, (size_t)len), SIZE_MAX);
        feed(0, slice_of(value.data, first), READ);
        size_t room;
        char *place = intake_reserve(s, READ, &room);
        cr_assert_eq(room, size - first + 2);
        feed(0, slice_of(value.data + first, size - first), SIZE_MAX);
        feed(0, S("\r\n"), SIZE_MAX);
        cr_assert(slice_equal(stands("key"), value));
        cr_assert_eq(stands("key").data + first, place);
    }
}

/* A length alone gets no memory: its bytes must have come in part. */
Test(large, an_announcement_is_believed_by_what_has_come)
{
    begin_resp(0);
    size_t before = mem_used();
    t.engine.limits.command.value_bytes = (size_t)16 << 20;
    feed(0, S("*3\r\n$3\r\nSET\r\n$3\r\nkey\r\n$16777216\r\n"), SIZE_MAX);
    for (size_t i = 0; i < 1000; i++) {
        size_t room;
        cr_assert_not_null(intake_reserve(&t.talkers[0].session, READ, &room));
        cr_assert_leq(mem_used() - before, 10 * buf_len(&t.talkers[0].session.in) + 2 * MEM_CHUNK);
        feed(0, slice_of(value_of(997, 0).data, 997), SIZE_MAX);
    }
}

/* What was made ready for a large request does not stay with one who sends little. */
Test(large, a_place_goes_where_little_comes)
{
    const size_t large = (size_t)4 << 20;
    struct session *s = &t.talkers[0].session;
    size_t room;
    t.engine.limits.command.value_bytes = large;
    feed_set(false, "key", value_of(large, 0), SIZE_MAX);
    cr_assert_eq(stands("key").len, large);
    size_t before = mem_used();
    cr_assert_not_null(intake_reserve(s, READ, &room));
    cr_assert_geq(mem_used() - before, large);
    feed(0, slice_of(value_of(large, 0).data, large / 65), SIZE_MAX);
    cr_assert_leq(mem_used() - before, large / 32);
    feed(0, S("\n"), SIZE_MAX);
    feed_set(false, "key", value_of(large, 0), SIZE_MAX);
    feed(0, slice_of(value_of(large, 0).data, large / 63), SIZE_MAX);
    cr_assert_geq(mem_used() - before, large); /* enough of it to be believed */
}

/* Nor is one made where that would leave others little. */
Test(large, a_place_leaves_some_of_the_limit)
{
    struct session *s = &t.talkers[0].session;
    size_t room;
    feed_set(false, "key", value_of(SIZE, 0), SIZE_MAX);
    t.engine.store_limits.memory_bytes = (mem_used() + SIZE) / 7 * 8 - 1000;
    cr_assert_not_null(intake_reserve(s, READ, &room));
    cr_assert_lt(room, SIZE / 2);
    feed_set(false, "key", value_of(SIZE, 1), SIZE_MAX);
    cr_assert(slice_equal(stands("key"), value_of(SIZE, 1)));
    t.engine.store_limits.memory_bytes = 100 * SIZE;
    feed_set(false, "key", value_of(SIZE, 1), SIZE_MAX);
    cr_assert_not_null(intake_reserve(s, READ, &room));
    cr_assert_geq(room, SIZE);
}

/* A value that cannot become an entry so, as its end is to be kept too, gets no place: it is copied once, as it was before. */
Test(large, what_is_no_plain_set_gets_no_place)
{
    struct session *s = &t.talkers[0].session;
    begin_resp(0);
    feed(0, S("*5\r\n$3\r\nSET\r\n$3\r\nkey\r\n$65536\r\n"), SIZE_MAX);
    feed(0, slice_of(value_of(SIZE, 0).data, SIZE), READ);
    cr_assert_not(s->intake.placed);
    feed(0, S("\r\n$2\r\nEX\r\n$2\r\n99\r\n"), SIZE_MAX);
    cr_assert(slice_equal(stands("key"), value_of(SIZE, 0)));
    feed(0, S("BEGIN\r\n"), SIZE_MAX);
    feed_set(true, "key", value_of(SIZE, 0), SIZE_MAX);
    cr_assert_eq(s->intake.size, 0u);
}

/* Requests of all sizes, with what may stand around them, in pieces of all sizes. */
static void check_random(bool resp, uint64_t seed)
{
    struct rng rng = {seed};
    size_t lens[4] = {0};
    unsigned seeds[4] = {0};
    size_t set[4] = {0};
    if (resp) {
        begin_resp(0);
    }
    for (unsigned i = 0; i < 60; i++) {
        unsigned k = rng_below(&rng, 4);
        char key[32];
        snprintf(key, sizeof(key), "%.*s%u", (int)(k * 5), "longer and longer", k);
        for (char *c = key; *c != '\0'; c++) {
            *c = *c == ' ' ? '_' : *c;
        }
        size_t len = rng_chance(&rng, 30)   ? 1 + rng_below(&rng, 100)
                     : rng_chance(&rng, 40) ? (size_t)40000
                                            : 30000 + rng_below(&rng, 70000);
        size_t piece = rng_chance(&rng, 50) ? SIZE_MAX : 500 + rng_below(&rng, 50000);
        bool inside = rng_chance(&rng, 20);
        if (inside) {
            feed(0, resp ? S("BEGIN\r\n") : S("BEGIN\n"), SIZE_MAX);
        }
        feed_set(resp, key, value_of(len, i), piece);
        lens[k] = len;
        seeds[k] = i;
        set[k] = 1;
        if (inside) {
            feed(0, resp ? S("COMMIT\r\n") : S("COMMIT\n"), SIZE_MAX);
        }
        cr_assert(slice_equal(stands(key), value_of(lens[k], seeds[k])), "seed %llu, request %u, %zu bytes",
                  (unsigned long long)seed, i, len);
    }
    cr_assert_eq(t.engine.store.keys, set[0] + set[1] + set[2] + set[3]);
}

Test(large, values_of_any_size_and_split_are_right)
{
    for (uint64_t seed = 1; seed <= 8; seed++) {
        check_random(false, seed);
        talk_ask(&t, 0, "FLUSH\n");
    }
}

Test(large, requests_of_any_size_and_split_are_right)
{
    for (uint64_t seed = 1; seed <= 8; seed++) {
        check_random(true, seed);
        talk_ask(&t, 0, "FLUSHALL\r\n");
    }
}

/* The memory of a value that changes over and over does not grow, and is known. */
Test(large, overwritten_values_leave_nothing)
{
    feed_set(false, "key", value_of(SIZE, 0), SIZE_MAX);
    size_t before = mem_used();
    for (unsigned i = 0; i < 100; i++) {
        feed_set(false, "key", value_of(SIZE - i % 3, i), 1 + SIZE / 2 * (i % 4));
        cr_assert_leq(mem_used(), before + SIZE / 4);
    }
    talk_ask(&t, 0, "FLUSH\n");
    talk_run(&t);
    cr_assert_leq(mem_used(), before - SIZE);
}

Test(large, without_memory_the_old_value_stays)
{
    feed_set(false, "key", value_of(SIZE, 0), SIZE_MAX);
    for (unsigned long nth = 1; nth <= 6; nth++) {
        talk_forget(&t, 0);
        mem_fail(nth, false);
        feed_set(false, "key", value_of(SIZE, (unsigned)nth), SIZE / 2 + 1);
        mem_fail(0, false);
        struct slice got = talk_got(&t, 0);
        bool full = got.len > 8 && memcmp(got.data, "ERR FULL", 8) == 0;
        cr_assert(full || slice_equal(got, S("OK\r\n")), "%.*s", (int)got.len, got.data);
        cr_assert(slice_equal(stands("key"), value_of(SIZE, full ? 0 : (unsigned)nth)));
        feed_set(false, "key", value_of(SIZE, 0), SIZE_MAX);
    }
}

/* Over --maxmemory it is refused, and the next request is understood. */
Test(large, a_full_store_refuses_it)
{
    feed_set(false, "key", value_of(SIZE, 0), SIZE_MAX);
    t.engine.store_limits.memory_bytes = 1;
    talk_forget(&t, 0);
    feed_set(false, "key", value_of(SIZE, 1), SIZE_MAX);
    cr_assert_eq(memcmp(talk_got(&t, 0).data, "ERR FULL", 8), 0);
    cr_assert(slice_equal(stands("key"), value_of(SIZE, 0)));
    cr_assert(slice_equal(talk_ask(&t, 0, "PING\n"), S("+PONG\r\n")));
}
