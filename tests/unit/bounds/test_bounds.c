/* What memory is bounded by when many clients write beside open transactions. Looked at after each tick, and again
 * after the slice of sweeping that follows it. */
#include <stdio.h>
#include <string.h>

#include "mem.h"
#include "rng.h"
#include "talk.h"
#include "unit.h"

#define KIB ((size_t)1 << 10)
#define MIB ((size_t)1 << 20)
#define LIMIT MIB       /* --history-max */
#define KEYS 20000U     /* with their versions, more than the limit */
#define BURST 250U      /* lines that a writer sends at once */
#define SLACK (2 * MIB) /* for buffers and tables, which are neither data nor history */
#define POOLS (4 * KIB) /* how much the blocks in the pools of tables may differ, as the allocator rounds them */

enum { OLD, YOUNG, WRITERS, CLIENTS = TALK_CLIENTS }; /* two readers, then those who write */

static struct talk talk;
static struct rng rng;
static struct store *st;
static size_t empty_bytes; /* used without any data */
static size_t most_bytes;  /* the most that may be used */
static size_t most_history;

static void set_up(void)
{
    cr_assert_eq(dict_reserve(64), 0); /* fills the pools of tables: they neither grow nor shrink then */
    empty_bytes = mem_used();
    talk_init(&talk, CLIENTS);
    st = &talk.engine.store;
    most_bytes = SIZE_MAX;
    most_history = SIZE_MAX;
}

/* Everybody is gone: all is given back. The end of each test, and no .fini, whose failures would not count. */
static void check_end(void)
{
    most_bytes = SIZE_MAX;
    for (size_t i = 0; i < CLIENTS; i++) {
        (void)talk_ask(&talk, i, "ROLLBACK\n");
    }
    assert_slice(talk_ask(&talk, OLD, "FLUSH\n"), S("OK\r\n"));
    while (store_tend(st)) {
    }
    cr_assert_eq(st->history.bytes, 0u, "%zu bytes of history are left", st->history.bytes);
    cr_assert_null(st->history.dying);
    cr_assert_null(st->current->older);
    talk_deinit(&talk);
    cr_assert_leq(mem_used(), empty_bytes + POOLS, "%zu bytes are left", mem_used() - empty_bytes);
}

static void check_bounds(const char *when)
{
    cr_assert_leq(st->history.bytes, most_history, "%s: %zu bytes of history", when, st->history.bytes);
    cr_assert_leq(mem_used(), most_bytes, "%s: %zu bytes in use", when, mem_used());
}

/* One tick as the server has it. */
static void pass(void)
{
    talk_pass(&talk);
    check_bounds("after a tick");
    (void)store_tend(st);
    check_bounds("after the sweeping");
}

static void run(void)
{
    while (!tick_is_idle(&talk.tick)) {
        pass();
    }
}

/* --- those who write --- */

static char text[4 * MIB];
static size_t text_len;

static void add_set(unsigned key, size_t value_len)
{
    text_len += (size_t)sprintf(text + text_len, "SET k%u ", key);
    memset(text + text_len, 'v', value_len);
    text[text_len + value_len] = '\n';
    text_len += value_len + 1;
}

static void add_line(const char *line)
{
    text_len += (size_t)sprintf(text + text_len, "%s\n", line);
}

static void send_text(size_t client)
{
    talk_send(&talk, client, slice_of(text, text_len));
    text_len = 0;
}

/* Whoever writes is not hurt by what happens to readers. */
static void check_writers(void)
{
    for (size_t i = WRITERS; i < CLIENTS; i++) {
        struct slice got = talk_got(&talk, i);
        cr_assert_eq(got.len % 4, 0u);
        for (size_t at = 0; at < got.len; at += 4) {
            if (memcmp(got.data + at, "OK\r\n", 4) != 0) {
                cr_assert_fail("a writer got %.*s", (int)(got.len - at), got.data + at);
            }
        }
        talk_forget(&talk, i);
    }
}

static void fill(void)
{
    for (unsigned key = 0; key < KEYS; key++) {
        add_set(key, 16);
    }
    send_text(WRITERS);
    run();
    check_writers();
}

/* A burst of values of random sizes for random keys: of one writer in transactions of ten. */
static void send_burst(size_t client, size_t value_max)
{
    for (unsigned i = 0; i < BURST; i++) {
        if (client == WRITERS && i % 10 == 0) {
            add_line(i == 0 ? "BEGIN" : "COMMIT\nBEGIN");
        }
        add_set(rng_below(&rng, KEYS), rng_below(&rng, (uint32_t)value_max));
    }
    if (client == WRITERS) {
        add_line("COMMIT");
    }
    send_text(client);
}

static void send_bursts(size_t value_max)
{
    for (size_t i = WRITERS; i < CLIENTS; i++) {
        send_burst(i, value_max);
    }
}

/* --- the limit of the history --- */

TestSuite(history_limit, .init = set_up);

static void limit_history(size_t commit_bytes)
{
    talk.engine.store_limits.history_bytes = LIMIT;
    most_history = 2 * LIMIT + commit_bytes;
}

/* The old transaction is expired, again and again; a young one, open over one tick at a time, never. */
Test(history_limit, writers_beside_an_old_transaction)
{
    unsigned expired = 0;
    fill();
    limit_history(10 * KIB);
    most_bytes = empty_bytes + KEYS * KIB + most_history + SLACK;
    (void)talk_ask(&talk, OLD, "BEGIN\n");
    for (unsigned round = 0; round < 200; round++) {
        size_t value_max = round % 20 < 10 ? 16 : 900;
        assert_slice(talk_ask(&talk, YOUNG, "BEGIN\nEXISTS k1\n"), S("OK\r\n1\r\n"));
        send_bursts(value_max);
        pass();
        run();
        check_writers();
        assert_slice(talk_ask(&talk, YOUNG, "EXISTS k1\nCOMMIT\n"), S("1\r\nOK\r\n"));
        if (talk.talkers[OLD].session.txn.state == TXN_FAILED) {
            cr_assert(memcmp(talk_ask(&talk, OLD, "GET k1\n").data, "ERR EXPIRED ", 12) == 0);
            cr_assert(memcmp(talk_ask(&talk, OLD, "COMMIT\n").data, "ERR EXPIRED ", 12) == 0);
            assert_slice(talk_ask(&talk, OLD, "BEGIN\n"), S("OK\r\n"));
            expired++;
        }
    }
    cr_assert_geq(expired, 3u);
    cr_assert_eq(st->expired, expired);
    check_end();
}

/* A closed transaction leaves very many small versions to be swept when large ones begin to come. */
Test(history_limit, large_versions_behind_many_small_ones)
{
    enum { LARGE_KEYS = 40, LARGE = 200 * 1024, FEW = 4 }; /* a few take less than the limit */
    fill();
    for (unsigned key = 0; key < LARGE_KEYS; key++) {
        add_set(KEYS + key, LARGE);
        send_text(WRITERS);
        run();
    }
    limit_history(LARGE + KIB);
    (void)talk_ask(&talk, OLD, "BEGIN\n");
    for (unsigned key = 0; st->history.bytes < LIMIT - 10 * KIB; key++) {
        add_set(key, 16);
        send_text(WRITERS);
        pass();
    }
    cr_assert_eq(st->expired, 0u);
    talk_send(&talk, OLD, S("COMMIT\nBEGIN\n"));
    for (unsigned key = 0; key < LARGE_KEYS; key++) {
        if (key == FEW) {
            pass();
            cr_assert_eq(st->expired, 0u); /* the small ones could be swept instead */
        }
        add_set(KEYS + key, LARGE);
        send_text(WRITERS + key % (CLIENTS - WRITERS));
    }
    run();
    check_writers();
    check_end();
}

/* Keys that come and go leave tombstones while an older transaction is open. */
Test(history_limit, tombstones_of_ever_new_keys)
{
    limit_history(KIB);
    most_bytes = mem_used() + most_history + SLACK;
    assert_slice(talk_ask(&talk, OLD, "BEGIN\n"), S("OK\r\n"));
    for (unsigned key = 0; key < 60000;) {
        for (size_t i = WRITERS; i < CLIENTS; i++) {
            for (unsigned end = key + BURST; key < end; key++) {
                add_set(key, 16);
                text_len += (size_t)sprintf(text + text_len, "DEL k%u\n", key);
            }
            send_text(i);
        }
        pass();
        check_writers();
        if (talk.talkers[OLD].session.txn.state == TXN_FAILED) {
            (void)talk_ask(&talk, OLD, "ROLLBACK\nBEGIN\n");
        }
    }
    cr_assert_geq(st->expired, 3u);
    check_end();
}

/* --- sweeping keeps up --- */

TestSuite(sweeping, .init = set_up);

/* Far below the limit the history holds what the last few ticks have left, not what all of them have. */
Test(sweeping, writers_beside_short_transactions)
{
    fill();
    most_history = 3 * (CLIENTS - WRITERS) * TICK_REQUESTS_MAX * (size_t)128;
    for (unsigned round = 0; round < 60; round++) {
        talk_send(&talk, YOUNG, S("BEGIN\nGET k1\n"));
        pass();
        for (size_t i = WRITERS; i < CLIENTS; i++) {
            for (unsigned line = 0; line < TICK_REQUESTS_MAX; line++) {
                add_set(rng_below(&rng, KEYS), 16);
            }
            send_text(i);
        }
        talk_send(&talk, YOUNG, S("COMMIT\n"));
        talk_send(&talk, OLD, S("BEGIN\nCOMMIT\n"));
        pass();
        check_writers();
    }
    cr_assert_eq(st->expired, 0u);
    check_end();
}

/* Data of thousands of keys is flushed each tick. */
Test(sweeping, bursts_and_flush_beside_an_open_transaction)
{
    size_t round_bytes = 0;
    for (unsigned round = 0; round < 60; round++) {
        if (round % 10 == 0) {
            (void)talk_ask(&talk, OLD, "ROLLBACK\nBEGIN\nGET k1\n");
        }
        for (size_t i = WRITERS; i < CLIENTS; i++) {
            for (unsigned line = 0; line < TICK_REQUESTS_MAX - 1; line++) {
                add_set(rng_below(&rng, KEYS), rng_below(&rng, 32));
            }
            add_line(i == CLIENTS - 1 ? "FLUSH" : "SET k0 v");
            send_text(i);
        }
        pass();
        check_writers();
        if (round == 0) {
            round_bytes = mem_used() - empty_bytes;
        }
        most_bytes = empty_bytes + 3 * round_bytes;
    }
    cr_assert_eq(st->expired, 0u);
    check_end();
}

/* Each FLUSH begins a generation, whose tables take far more than a key or two do. */
Test(sweeping, many_flushes_of_little)
{
    assert_slice(talk_ask(&talk, OLD, "SET k0 v\nBEGIN\n"), S("OK\r\nOK\r\n"));
    most_bytes = mem_used() + SLACK;
    for (unsigned round = 0; round < 20; round++) {
        for (size_t i = WRITERS; i < CLIENTS; i++) {
            for (unsigned line = 0; line < TICK_REQUESTS_MAX; line += 2) {
                add_set(line, 16);
                add_line("FLUSH");
            }
            send_text(i);
        }
        pass();
        check_writers();
    }
    assert_slice(talk_ask(&talk, OLD, "GET k0\n"), S("v\r\n"));
    cr_assert_eq(st->expired, 0u);
    check_end();
}
