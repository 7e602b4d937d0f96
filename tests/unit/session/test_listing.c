/* KEYS and RANDOMKEY over many ticks: exact as of one commit beside writers, in bounded slices, and whatever ends them early; and
 * many a SCAN in one tick. */
#include <stdio.h>
#include <stdlib.h>

#include "err.h"
#include "fault.h"
#include "hash.h"
#include "mem.h"
#include "rng.h"
#include "talk.h"
#include "unit.h"

#define KEYS 60000u

static struct talk t;
static struct journal journal; /* of the test that uses one */

static void fill(void)
{
    char key[16];
    for (unsigned n = 0; n < KEYS; n++) {
        struct slice name = slice_of(key, (size_t)snprintf(key, sizeof(key), "k%u", n));
        cr_assert_eq(store_set(&t.engine.store, NULL, name, hash_of(name), S("v")), 0);
    }
}

static void set_up(void)
{
    cr_assert_eq(hash_init(), 0);
    cr_assert_eq(fault_choose(getenv("TXKV_FAULT")), 0);
    talk_init(&t, TALK_CLIENTS);
    journal_init(&journal, (size_t)1 << 20, FILE_HEADER_BYTES, RECORD_HEADER_BYTES);
    fill();
}

static void tear_down(void)
{
    mem_fail(0, false);
    talk_deinit(&t);
    journal_deinit(&journal);
}

TestSuite(listing, .init = set_up, .fini = tear_down);

static void send(size_t client, const char *text)
{
    talk_send(&t, client, slice_str(text));
}

static bool is_listing(size_t client)
{
    return session_is_listing(&t.talkers[client].session);
}

static void check_answer(size_t client, const char *wanted)
{
    assert_slice(talk_got(&t, client), slice_str(wanted));
    talk_forget(&t, client);
}

static void check_begins(size_t client, const char *wanted)
{
    struct slice got = talk_got(&t, client);
    cr_assert(got.len >= strlen(wanted) && memcmp(got.data, wanted, strlen(wanted)) == 0, "got \"%.*s\"",
              (int)(got.len < 100 ? got.len : 100), got.data);
}

/* Reads the answer of KEYS k: the number of keys in it is right, and each is named once. Returns how many. */
static unsigned read_keys(size_t client, unsigned char *times, unsigned max)
{
    struct slice got = talk_got(&t, client);
    char *end;
    unsigned long count = strtoul(got.data, &end, 10);
    unsigned lines = 0;
    memset(times, 0, max);
    for (const char *at = end + 2; at < got.data + got.len; lines++) {
        cr_assert_eq(*at, 'k');
        unsigned long n = strtoul(at + 1, &end, 10);
        cr_assert_lt(n, max);
        times[n]++;
        at = end + 2;
    }
    cr_assert_eq(lines, count);
    return lines;
}

static void write_at_random(struct rng *rng, unsigned count)
{
    char line[32];
    for (unsigned i = 0; i < count; i++) {
        unsigned n = rng_below(rng, 2 * KEYS);
        snprintf(line, sizeof(line), rng_chance(rng, 50) ? "SET k%u w\n" : "DEL k%u\n", n);
        send(1, line);
    }
}

/* --- what it answers --- */

Test(listing, is_exact_as_of_its_beginning_beside_a_writer)
{
    static unsigned char times[2 * KEYS];
    static unsigned char wanted[2 * KEYS];
    struct rng rng = {1};
    unsigned long total = 0;
    for (unsigned round = 0; round < 5; round++) {
        unsigned ticks = 0;
        for (unsigned n = 0; n < 2 * KEYS; n++) {
            char key[16];
            struct slice value, name = slice_of(key, (size_t)snprintf(key, sizeof(key), "k%u", n));
            wanted[n] = store_get(&t.engine.store, NULL, name, hash_of(name), &value) == 1;
        }
        talk_forget(&t, 0);
        send(0, "KEYS k*\n");
        for (talk_tick(&t); is_listing(0); talk_tick(&t)) {
            write_at_random(&rng, 1000);
            ticks++;
        }
        total += read_keys(0, times, 2 * KEYS);
        cr_assert_eq(memcmp(times, wanted, sizeof(times)), 0);
        cr_assert_gt(ticks, 10u);
        talk_run(&t);
    }
    cr_assert_gt(total, 5ul * KEYS / 2);
}

Test(listing, what_follows_waits_and_others_go_on)
{
    send(0, "KEYS k12345\nPING\nGET k1\n");
    talk_tick(&t);
    cr_assert(is_listing(0));
    for (unsigned i = 0; is_listing(0); i++) {
        check_answer(0, "");
        send(1, "PING\n");
        talk_tick(&t);
        check_answer(1, "+PONG\r\n");
        cr_assert_lt(i, 1000u);
    }
    talk_run(&t);
    check_answer(0, "1\r\nk12345\r\n+PONG\r\nv\r\n");
}

Test(listing, ends_at_its_limit)
{
    uint64_t before = t.engine.store.steps;
    talk_ask(&t, 0, "KEYS k 3\n");
    check_begins(0, "3\r\nk");
    cr_assert_lt(t.engine.store.steps - before, 2000u);
}

Test(listing, a_small_one_is_answered_at_once)
{
    send(1, "FLUSH\nSET a 1\nSET b 2\nKEYS *\nKEYS b\nKEYS c 5\nKEYS * 0\n");
    talk_pass(&t);
    struct slice got = talk_got(&t, 1);
    cr_assert(slice_equal(got, S("OK\r\nOK\r\nOK\r\n2\r\na\r\nb\r\n1\r\nb\r\n0\r\n0\r\n")) ||
              slice_equal(got, S("OK\r\nOK\r\nOK\r\n2\r\nb\r\na\r\n1\r\nb\r\n0\r\n0\r\n")));
}

Test(listing, ticks_are_bounded_however_many_list)
{
    for (size_t client = 0; client < 6; client++) {
        send(client, "KEYS none\n");
    }
    talk_pass(&t);
    while (!tick_is_idle(&t.tick)) {
        uint64_t before = t.engine.store.steps;
        talk_pass(&t);
        cr_assert_leq(t.engine.store.steps - before, TICK_LISTINGS_MAX * (4096u + 64));
    }
    for (size_t client = 0; client < 6; client++) {
        check_answer(client, "0\r\n");
    }
}

/* --- many long commands --- */

#define SCAN "SCAN 0 COUNT 10000\n" /* goes through at least as many keys as it says */
#define SCAN_STEPS 20000u           /* and at most */

/* From now on they speak RESP. */
static void greet_all(void)
{
    for (size_t client = 0; client < TALK_CLIENTS; client++) {
        send(client, "*1\r\n$4\r\nPING\r\n");
    }
    talk_pass(&t);
    for (size_t client = 0; client < TALK_CLIENTS; client++) {
        check_answer(client, "+PONG\r\n");
    }
}

static unsigned count_scans(size_t client)
{
    struct slice got = talk_got(&t, client);
    unsigned count = 0;
    for (size_t at = 0; at + 4 <= got.len; at++) {
        count += memcmp(got.data + at, "*2\r\n", 4) == 0;
    }
    return count;
}

Test(listing, ticks_are_bounded_however_many_scan)
{
    uint64_t all = t.engine.store.steps;
    greet_all();
    for (size_t client = 0; client < TALK_CLIENTS; client++) {
        send(client, SCAN SCAN SCAN);
    }
    while (!tick_is_idle(&t.tick)) {
        uint64_t before = t.engine.store.steps;
        talk_pass(&t);
        cr_assert_leq(t.engine.store.steps - before, TICK_LONG_STEPS + SCAN_STEPS);
    }
    for (size_t client = 0; client < TALK_CLIENTS; client++) {
        cr_assert_eq(count_scans(client), 3u);
    }
    cr_assert_geq(t.engine.store.steps - all, 3ul * TALK_CLIENTS * 10000);
}

Test(listing, a_scan_that_waits_is_the_next_one)
{
    const size_t last = TALK_CLIENTS - 1;
    greet_all();
    for (unsigned pass = 0; pass < 2; pass++) {
        for (size_t client = 0; client < last; client++) {
            send(client, SCAN SCAN);
        }
        send(last, pass == 0 ? "PING\n" SCAN "PING\n" : "");
        talk_pass(&t);
        cr_assert_eq(count_scans(last), pass);
        cr_assert_eq(talk_got(&t, last).len > 7, pass == 1);
        check_begins(last, "+PONG\r\n");
    }
}

/* --- in a transaction --- */

Test(listing, sees_the_transaction_that_it_is_in)
{
    send(0, "BEGIN\nDEL k777\nSET k777x 1\nKEYS k777\n");
    send(1, "SET k777y 1\nDEL k7771\n");
    talk_tick(&t);
    cr_assert(is_listing(0));
    talk_run(&t);
    check_begins(0, "OK\r\nOK\r\nOK\r\n11\r\n"); /* k7770 to k7779, and k777x */
    talk_forget(&t, 0);
    assert_slice(talk_ask(&t, 0, "GET k777x\nCOMMIT\n"), S("1\r\nOK\r\n"));
}

Test(listing, depends_on_which_keys_there_are)
{
    send(0, "BEGIN SERIALIZABLE\nKEYS zzz\nSET a 1\n");
    talk_run(&t);
    talk_ask(&t, 1, "SET new 1\n");
    talk_forget(&t, 0);
    send(0, "COMMIT\n");
    talk_run(&t);
    check_begins(0, "ERR CONFLICT");
}

Test(listing, ends_with_its_transaction)
{
    send(0, "BEGIN\nKEYS k\nPING\nROLLBACK\n");
    talk_tick(&t);
    cr_assert(is_listing(0));
    talk_forget(&t, 0);
    store_fail(&t.engine.store, &t.talkers[0].session.txn, ERR_EXPIRED, "why");
    talk_run(&t);
    check_answer(0, "ERR EXPIRED why\r\nERR EXPIRED nothing runs until COMMIT or ROLLBACK (why)\r\nOK\r\n");
}

/* --- what ends it --- */

Test(listing, expires_with_its_snapshot)
{
    t.engine.store_limits.history_bytes = 1000;
    send(0, "KEYS k\nPING\n");
    talk_tick(&t);
    cr_assert(is_listing(0));
    for (unsigned i = 0; i < 20; i++) {
        char line[32];
        snprintf(line, sizeof(line), "SET k%u w\n", i);
        send(1, line);
    }
    talk_run(&t);
    check_answer(0, "ERR EXPIRED old versions took more than --history-max meanwhile; try again, or use SCAN\r\n+PONG\r\n");
    cr_assert_not(history_is_read(&t.engine.store.history));
}

Test(listing, an_answer_is_bounded)
{
    t.engine.limits.answer_bytes = 1000;
    assert_slice(talk_ask(&t, 0, "KEYS k\nKEYS k 3000\n"),
                 S("ERR TOOBIG these keys are over 1000 bytes (--answer-max); ask for fewer of them, or use SCAN\r\n"
                   "ERR TOOBIG these keys are over 1000 bytes (--answer-max); ask for fewer of them, or use SCAN\r\n"));
    cr_assert_eq(talk_ask(&t, 0, "KEYS k 10\n").data[0], '1');
}

static void ignore(struct session *s)
{
    (void)s;
}

Test(listing, a_client_that_goes_leaves_nothing)
{
    struct session s;
    size_t before = mem_used();
    for (unsigned ticks = 1; ticks < 20; ticks += 6) {
        session_init(&s, &t.engine);
        const char *text = ticks < 10 ? "BEGIN\nSET a 1\nKEYS k\n" : "KEYS k\n";
        cr_assert_eq(buf_append(&s.in, text, strlen(text)), 0);
        tick_add(&t.tick, &s);
        for (unsigned i = 0; i < ticks; i++) {
            tick_run(&t.tick, ignore);
        }
        cr_assert(session_is_listing(&s));
        tick_remove(&t.tick, &s);
        session_deinit(&s);
        talk_run(&t);
        cr_assert_not(history_is_read(&t.engine.store.history));
    }
    mem_chunk_drain();
    cr_assert_leq(mem_used(), before + 4096);
}

Test(listing, a_client_that_sends_no_more_gets_its_answer)
{
    send(0, "KEYS k12345\n");
    talk_end(&t, 0);
    talk_run(&t);
    check_answer(0, "1\r\nk12345\r\n");
    cr_assert_eq(t.talkers[0].session.state, SESSION_CLOSING);
}

Test(listing, closing_forgets_it)
{
    send(0, "KEYS k\n");
    talk_tick(&t);
    cr_assert(is_listing(0));
    session_close(&t.talkers[0].session);
    talk_run(&t);
    check_answer(0, "");
    cr_assert_not(history_is_read(&t.engine.store.history));
}

Test(listing, memory_that_ends_is_an_error_and_no_more)
{
    unsigned refused = 0;
    talk_ask(&t, 0, "PING\n"); /* buffers have their first chunk */
    for (unsigned long nth = 1; nth < 12; nth++) {
        talk_forget(&t, 0);
        send(0, "KEYS k1234\n");
        mem_fail(nth, false);
        talk_run(&t);
        mem_fail(0, false);
        struct slice got = talk_got(&t, 0);
        bool full = got.len > 8 && memcmp(got.data, "ERR FULL", 8) == 0;
        refused += full;
        cr_assert(full || memcmp(got.data, "11\r\n", 4) == 0, "%lu: %.*s", nth, (int)got.len, got.data);
        cr_assert_not(history_is_read(&t.engine.store.history));
    }
    cr_assert_gt(refused, 1u);
    assert_slice(talk_ask(&t, 0, "KEYS k12345\n"), S("1\r\nk12345\r\n"));
}

/* --- with a journal --- */

static void wake(struct session *s, void *arg)
{
    (void)arg;
    tick_add(&t.tick, s);
}

/* Keys that came with a commit which is not durable yet are shown when it is, and not before. */
Test(listing, waits_for_the_disk)
{
    struct journal_batch batch;
    struct session *s = &t.talkers[0].session;
    journal.holds = true;
    journal_add_spare(&journal);
    store_use_journal(&t.engine.store, &journal);
    t.talkers[0].deaf = true;
    t.talkers[1].deaf = true;
    send(1, "SET k12345x v\n");
    talk_run(&t);
    send(0, "KEYS k12345\n");
    talk_run(&t);
    cr_assert_gt(buf_len(&s->out), 0u);
    cr_assert_eq(session_sendable(s), 0u);
    journal_take(&journal, &batch);
    journal_done(&journal, &batch);
    store_settled(&t.engine.store, journal.durable);
    cr_assert_eq(engine_wake(&t.engine, wake, NULL), 2u);
    size_t sendable = session_sendable(s);
    cr_assert(sendable == 20 && memcmp(buf_head(&s->out), "2\r\nk12345", 9) == 0, "%zu", sendable);
}

/* --- in EXEC, and RANDOMKEY --- */

#define RESP "*1\r\n$4\r\nPING\r\n"

Test(listing, in_exec_it_is_whole_and_bounded)
{
    talk_ask(&t, 2, RESP);
    send(2, "MULTI\r\nSET k12345x 1\r\nKEYS k12345*\r\nKEYS none\r\nSCAN 0 COUNT 1\r\nRANDOMKEY\r\nEXEC\r\n");
    talk_forget(&t, 2);
    talk_pass(&t);
    check_begins(2, "+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n*5\r\n+OK\r\n*2\r\n$6\r\nk12345");
    talk_forget(&t, 2);
    send(2, "MULTI\r\n");
    for (unsigned i = 0; i < 200; i++) {
        send(2, "KEYS none\r\n");
    }
    talk_run(&t);
    uint64_t before = t.engine.store.steps;
    talk_ask(&t, 2, "EXEC\r\n");
    cr_assert_leq(t.engine.store.steps - before, 500000u);
    check_begins(2, "*200\r\n*0\r\n");
    struct slice got = talk_got(&t, 2);
    cr_assert_not_null(memmem(got.data, got.len, "-TOOBIG the scans of one EXEC", 29));
}

Test(listing, random_keys_are_of_all)
{
    enum { FEW = 40 };
    unsigned char drawn[FEW] = {0};
    unsigned kinds = 0;
    talk_ask(&t, 1, "FLUSH\n");
    talk_ask(&t, 2, RESP);
    assert_slice(talk_ask(&t, 2, "RANDOMKEY\r\n"), S("$-1\r\n"));
    for (unsigned n = 10; n < 10 + FEW; n++) {
        char line[32];
        snprintf(line, sizeof(line), "SET k%u 1\n", n);
        talk_ask(&t, 1, line);
    }
    for (unsigned i = 0; i < 4000; i++) {
        struct slice got = talk_ask(&t, 2, "RANDOMKEY\r\n");
        check_begins(2, "$3\r\nk");
        drawn[strtoul(got.data + 5, NULL, 10) - 10] = 1;
    }
    for (unsigned n = 0; n < FEW; n++) {
        kinds += drawn[n];
    }
    /* A key is drawn as often as the gap before it is wide, and gaps are as the hash's secret makes them: a key with a gap g has not
     * been drawn with e^(-4000 g), which for 40 random gaps is 0.4 keys in the mean. That 9 are missing is one run in 10^9. */
    cr_assert_geq(kinds, (unsigned)FEW - 8);
}

/* One key left, and tombstones wherever it looks: found all the same, in slices. */
Test(listing, a_random_key_is_found_if_there_is_one)
{
    talk_ask(&t, 2, RESP);
    talk_ask(&t, 1, "BEGIN\n");
    for (unsigned n = 0; n < KEYS; n++) {
        char line[32];
        snprintf(line, sizeof(line), "DEL k%u\n", n);
        send(3, n == 4711 ? "PING\n" : line);
    }
    talk_run(&t);
    assert_slice(talk_ask(&t, 2, "RANDOMKEY\r\n"), S("$5\r\nk4711\r\n"));
    talk_ask(&t, 3, "DEL k4711\n");
    assert_slice(talk_ask(&t, 2, "RANDOMKEY\r\n"), S("$-1\r\n"));
}
