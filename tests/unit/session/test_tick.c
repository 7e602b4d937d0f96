/* Sessions under the tick: fairness, order, limits on output and work, ends of all kinds, lack of memory. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "hash.h"
#include "mem.h"
#include "tick.h"

static struct engine engine;
static struct tick tick;

static void set_up(void)
{
    cr_assert_eq(hash_init(), 0);
    cr_assert_eq(engine_init(&engine), 0);
    tick_init(&tick);
}

static void tear_down(void)
{
    mem_fail(0, false);
    engine_deinit(&engine);
}

TestSuite(tick, .init = set_up, .fini = tear_down);
TestSuite(session, .init = set_up, .fini = tear_down);

static size_t done_calls;

static void on_done(struct session *s)
{
    (void)s;
    done_calls++;
}

static void run_once(void)
{
    done_calls = 0;
    tick_run(&tick, on_done);
}

static void give(struct session *s, const char *text)
{
    cr_assert(text[0] == '\0' || buf_append(&s->in, text, strlen(text)) == 0);
    tick_add(&tick, s);
}

/* What it has answered is exactly this; it is taken out. */
static void check_out(struct session *s, const char *wanted)
{
    cr_assert(slice_equal(slice_of(buf_head(&s->out), buf_len(&s->out)), slice_str(wanted)),
              "got \"%.*s\" wanted \"%s\"", (int)buf_len(&s->out), buf_len(&s->out) == 0 ? "" : buf_head(&s->out),
              wanted);
    buf_consume(&s->out, buf_len(&s->out));
}

/* Gives text, ticks until nothing is left to do, and checks all answers. */
static void converse(struct session *s, const char *text, const char *wanted)
{
    give(s, text);
    while (!tick_is_idle(&tick)) {
        run_once();
    }
    check_out(s, wanted);
}

/* --- tick_add, tick_remove --- */

Test(tick, an_empty_list_is_idle_and_runs_nothing)
{
    cr_assert(tick_is_idle(&tick));
    run_once();
    cr_assert_eq(done_calls, 0u);
}

Test(tick, a_session_added_twice_is_run_once)
{
    struct session s;
    session_init(&s, &engine);
    give(&s, "PING\n");
    tick_add(&tick, &s);
    run_once();
    cr_assert_eq(done_calls, 1u);
    check_out(&s, "+PONG\r\n");
    cr_assert(tick_is_idle(&tick));
    session_deinit(&s);
}

Test(tick, sessions_can_be_removed_from_anywhere)
{
    enum { COUNT = 4 };
    struct session s[COUNT];
    for (size_t removed = 0; removed < COUNT; removed++) {
        for (size_t i = 0; i < COUNT; i++) {
            session_init(&s[i], &engine);
            give(&s[i], "PING\n");
        }
        tick_remove(&tick, &s[removed]);
        tick_remove(&tick, &s[removed]);
        cr_assert_not(s[removed].ready);
        give(&s[(removed + 1) % COUNT], "PING\n"); /* stands in the list already */
        run_once();
        cr_assert_eq(done_calls, (size_t)COUNT - 1);
        check_out(&s[removed], "");
        converse(&s[removed], "", "+PONG\r\n"); /* and added again */
        for (size_t i = 0; i < COUNT; i++) {
            buf_consume(&s[i].out, buf_len(&s[i].out));
            session_deinit(&s[i]);
        }
        cr_assert(tick_is_idle(&tick));
    }
}

/* --- tick_run: fairness --- */

#define FLOOD 100000u

/* Gives FLOOD times the same line. */
static void fill_flood(struct session *s, const char *line)
{
    size_t len = strlen(line);
    char *tail = buf_reserve(&s->in, FLOOD * len);
    cr_assert_not_null(tail);
    for (unsigned i = 0; i < FLOOD; i++) {
        memcpy(tail + i * len, line, len);
    }
    buf_commit(&s->in, FLOOD * len);
    tick_add(&tick, s);
}

#define MANY (3 * TICK_LATER_MIN)

static struct session many[MANY + 1];

/* That many, and one more. */
static struct session *begin_many(void)
{
    for (size_t i = 0; i <= MANY; i++) {
        session_init(&many[i], &engine);
    }
    return many;
}

static void end_many(void)
{
    for (size_t i = 0; i <= MANY; i++) {
        tick_remove(&tick, &many[i]);
        session_deinit(&many[i]);
    }
}

static struct session *order[MANY + 1];

static void note_order(struct session *s)
{
    order[done_calls++] = s;
}

/* Many that are woken together are taken a few at a time; one that asks meanwhile stands before those of its tick. */
Test(tick, who_asks_need_not_wait_for_all_that_were_woken)
{
    struct session *s = begin_many();
    converse(&s[MANY], "PING\n", "+PONG\r\n");
    for (size_t i = 0; i < MANY; i++) {
        tick_add_later(&tick, &s[i]);
        tick_add_later(&tick, &s[i]);
    }
    for (size_t ticks = 0; ticks < 3; ticks++) {
        cr_assert_not(tick_is_idle(&tick));
        give(&s[MANY], "PING\n");
        done_calls = 0;
        tick_run(&tick, note_order);
        cr_assert_eq(done_calls, TICK_LATER_MIN + 1);
        cr_assert_eq(order[0], &s[MANY]);
        cr_assert_eq(order[1], &s[ticks * TICK_LATER_MIN]);
        check_out(&s[MANY], "+PONG\r\n");
    }
    cr_assert(tick_is_idle(&tick));
    end_many();
}

/* Where nobody asks there is nobody to protect: all are taken at once, which makes for large batches. */
Test(tick, all_that_were_woken_come_to_their_turn_where_nobody_asks)
{
    struct session *s = begin_many();
    for (unsigned round = 0; round < 2; round++) {
        for (size_t i = 0; i < MANY; i++) {
            tick_add_later(&tick, &s[i]);
        }
        run_once();
        cr_assert_eq(done_calls, MANY);
        cr_assert(tick_is_idle(&tick));
        converse(&s[MANY], "PING\n", "+PONG\r\n");
        store_tell_time(&engine.store, engine.store.now_ms + TICK_ASKED_MS + 1);
    }
    end_many();
}

/* A tick that has much to run anyway takes more of them: each waits for about as long as it would beside little work. */
Test(tick, more_of_those_that_were_woken_come_to_their_turn_beside_more_work)
{
    struct session *s = begin_many();
    fill_flood(&s[MANY], "PING\n");
    run_once();
    for (size_t i = 0; i < MANY; i++) {
        tick_add_later(&tick, &s[i]);
    }
    run_once();
    cr_assert_eq(done_calls, MANY + 1, "%zu", done_calls);
    cr_assert_not_null(tick.first);
    cr_assert_null(tick.later_first);
    end_many();
}

/* One that has had its turn, as something came from it, needs none of theirs. */
Test(tick, a_turn_is_not_waited_for_twice)
{
    struct session s;
    session_init(&s, &engine);
    tick_add_later(&tick, &s);
    give(&s, "PING\n");
    run_once();
    cr_assert(tick_is_idle(&tick) && !s.later);
    session_deinit(&s);
}

Test(tick, sessions_can_be_removed_from_those_whose_turn_comes_later)
{
    struct session s[3];
    for (size_t gone = 0; gone < 3; gone++) {
        for (size_t i = 0; i < 3; i++) {
            session_init(&s[i], &engine);
            tick_add_later(&tick, &s[i]);
        }
        tick_add(&tick, &s[gone]);
        tick_remove(&tick, &s[gone]);
        done_calls = 0;
        tick_run(&tick, note_order);
        cr_assert_eq(done_calls, 2u);
        cr_assert_eq(order[0], &s[gone == 0 ? 1 : 0]);
        cr_assert_eq(order[1], &s[gone == 2 ? 1 : 2]);
        tick_add_later(&tick, &s[0]);
        run_once();
        cr_assert_eq(done_calls, 1u);
        for (size_t i = 0; i < 3; i++) {
            session_deinit(&s[i]);
        }
    }
}

Test(tick, a_single_request_beside_a_flood_is_answered_in_the_first_tick)
{
    struct session flood, single;
    session_init(&flood, &engine);
    session_init(&single, &engine);
    fill_flood(&flood, "INCR n\r\n");
    give(&single, "PING\r\n");
    run_once();
    check_out(&single, "+PONG\r\n");
    cr_assert_leq(flood.requests, (uint64_t)TICK_REQUESTS_MAX);
    cr_assert_not(tick_is_idle(&tick));
    tick_remove(&tick, &flood);
    session_deinit(&flood);
    session_deinit(&single);
}

Test(tick, a_flood_is_answered_in_bounded_parts_and_whole)
{
    struct session flood;
    unsigned next = 1;
    size_t ticks = 0;
    session_init(&flood, &engine);
    fill_flood(&flood, "INCR n\r\n");
    while (!tick_is_idle(&tick)) {
        uint64_t before = flood.requests;
        run_once();
        ticks++;
        cr_assert(flood.requests > before && flood.requests - before <= TICK_REQUESTS_MAX);
        while (buf_len(&flood.out) > 0) {
            char wanted[16];
            size_t len = (size_t)snprintf(wanted, sizeof(wanted), "%u\r\n", next++);
            cr_assert(buf_len(&flood.out) >= len && memcmp(buf_head(&flood.out), wanted, len) == 0, "answer %u",
                      next - 1);
            buf_consume(&flood.out, len);
        }
    }
    cr_assert_eq(next, FLOOD + 1);
    cr_assert_eq(flood.requests, (uint64_t)FLOOD);
    cr_assert_eq(ticks, (size_t)(FLOOD + TICK_REQUESTS_MAX - 1) / TICK_REQUESTS_MAX);
    cr_assert_eq(buf_len(&flood.in), 0u);
    session_deinit(&flood);
}

Test(tick, blank_lines_are_work_too)
{
    struct session s;
    session_init(&s, &engine);
    fill_flood(&s, "\r\n");
    run_once();
    cr_assert_geq(buf_len(&s.in), (size_t)2 * (FLOOD - TICK_REQUESTS_MAX));
    cr_assert_not(tick_is_idle(&tick));
    converse(&s, "PING\n", "+PONG\r\n");
    session_deinit(&s);
}

Test(tick, bytes_taken_in_one_tick_are_bounded)
{
    enum { VALUE = 10000 };
    static char line[VALUE + 16];
    struct session s;
    session_init(&s, &engine);
    memset(line, 'v', sizeof(line));
    memcpy(line, "SET k ", 6);
    memcpy(line + 6 + VALUE, "\r\n", 3);
    for (int i = 0; i < 100; i++) {
        give(&s, line);
    }
    while (!tick_is_idle(&tick)) {
        size_t before = buf_len(&s.in);
        run_once();
        cr_assert_leq(before - buf_len(&s.in), (size_t)TICK_IN_MAX + strlen(line));
    }
    cr_assert_eq(s.requests, 100u);
    session_deinit(&s);
}

Test(tick, bytes_answered_in_one_tick_are_bounded)
{
    enum { VALUE = 20000 };
    static char line[VALUE + 16];
    struct session s;
    engine.limits.pending_bytes = SIZE_MAX / 2;
    session_init(&s, &engine);
    memset(line, 'v', sizeof(line));
    memcpy(line, "SET k ", 6);
    memcpy(line + 6 + VALUE, "\r\n", 3);
    converse(&s, line, "OK\r\n");
    for (int i = 0; i < 1000; i++) {
        give(&s, "GET k\n");
    }
    size_t total = 0;
    while (!tick_is_idle(&tick)) {
        run_once();
        cr_assert_leq(buf_len(&s.out), (size_t)TICK_OUT_MAX + TICK_GROUP * (VALUE + 2)); /* a group runs whole */
        total += buf_len(&s.out);
        buf_consume(&s.out, buf_len(&s.out));
    }
    cr_assert_eq(total, (size_t)1000 * (VALUE + 2));
    session_deinit(&s);
}

#define LONG_KEYS 9000U /* in a transaction: counting it goes through all of them */
#define LONG_COUNTS 100U

static void give_transaction(struct session *s)
{
    char line[32];
    give(s, "BEGIN\r\n");
    for (unsigned i = 0; i < LONG_KEYS; i++) {
        snprintf(line, sizeof(line), "SET %u v\r\n", i);
        give(s, line);
    }
    while (!tick_is_idle(&tick)) {
        run_once();
        buf_consume(&s->out, buf_len(&s->out));
    }
}

Test(tick, a_long_command_takes_the_share_of_many)
{
    struct session s, other;
    size_t ticks = 0;
    size_t bytes = 0;
    session_init(&s, &engine);
    session_init(&other, &engine);
    give_transaction(&s);
    for (unsigned i = 0; i < LONG_COUNTS; i++) {
        give(&s, "DBSIZE\r\n");
    }
    while (!tick_is_idle(&tick)) {
        uint64_t before = s.requests;
        give(&other, "PING\r\n");
        run_once();
        ticks++;
        check_out(&other, "+PONG\r\n");
        cr_assert_leq(s.requests - before, TICK_REQUESTS_MAX * TICK_STEPS / LONG_KEYS + 1);
        bytes += buf_len(&s.out);
        buf_consume(&s.out, buf_len(&s.out));
        if (bytes == LONG_COUNTS * strlen("9000\r\n")) {
            break;
        }
    }
    cr_assert_geq(ticks, LONG_COUNTS / 2);
    cr_assert_eq(bytes, LONG_COUNTS * strlen("9000\r\n"));
    converse(&s, "COMMIT\r\nDBSIZE\r\n", "OK\r\n9000\r\n");
    session_deinit(&s);
    session_deinit(&other);
}

Test(tick, each_of_many_sessions_gets_its_own_answers)
{
    enum { COUNT = 50 };
    static struct session s[COUNT];
    char text[200], wanted[200];
    for (size_t i = 0; i < COUNT; i++) {
        session_init(&s[i], &engine);
        snprintf(text, sizeof(text), "SET k%zu v%zu\r\nGET k%zu\nBEGIN\nDEL k%zu\nGET k%zu\nROLLBACK\nGET k%zu\r\n", i,
                 i, i, i, i, i);
        give(&s[i], text);
    }
    run_once();
    cr_assert_eq(done_calls, (size_t)COUNT);
    for (size_t i = 0; i < COUNT; i++) {
        snprintf(wanted, sizeof(wanted), "OK\r\nv%zu\r\nOK\r\nOK\r\n\r\nOK\r\nv%zu\r\n", i, i);
        check_out(&s[i], wanted);
        session_deinit(&s[i]);
    }
    cr_assert(tick_is_idle(&tick));
}

/* --- tick_run: order, and requests with many words --- */

Test(tick, a_request_sees_those_before_it)
{
    struct session s;
    session_init(&s, &engine);
    converse(&s, "SET a 1\nGET a\nSET a 2\nGET a\nINCR a 5\nDEL a\nGET a\nEXISTS a\n",
             "OK\r\n1\r\nOK\r\n2\r\n7\r\nOK\r\n\r\n0\r\n");
    session_deinit(&s);
}

Test(tick, requests_of_1024_words_in_a_row)
{
    struct session s;
    session_init(&s, &engine);
    engine.limits.pending_bytes = SIZE_MAX / 2;
    converse(&s, "SET k v\n", "OK\r\n");
    for (int i = 0; i < 40; i++) {
        char line[2 * COMMAND_ARGS_MAX + 16] = "MGET";
        for (int word = 0; word < COMMAND_ARGS_MAX + (i % 10 == 9); word++) {
            memcpy(line + 4 + 2 * word, " k", 3);
        }
        give(&s, line);
        give(&s, "\nPING\n");
    }
    while (!tick_is_idle(&tick)) {
        run_once();
    }
    for (int i = 0; i < 40; i++) {
        const char *toobig = "ERR TOOBIG MGET takes at most 1024 words\r\n";
        for (int word = 0; word < COMMAND_ARGS_MAX && i % 10 != 9; word++) {
            cr_assert(memcmp(buf_head(&s.out), "v\r\n", 3) == 0, "request %d, word %d", i, word);
            buf_consume(&s.out, 3);
        }
        if (i % 10 == 9) {
            cr_assert(memcmp(buf_head(&s.out), toobig, strlen(toobig)) == 0, "request %d", i);
            buf_consume(&s.out, strlen(toobig));
        }
        cr_assert(memcmp(buf_head(&s.out), "+PONG\r\n", 7) == 0, "request %d", i);
        buf_consume(&s.out, 7);
    }
    cr_assert_eq(buf_len(&s.out), 0u);
    session_deinit(&s);
}

/* --- tick_run: ends --- */

Test(tick, nothing_after_quit_runs)
{
    struct session s, other;
    session_init(&s, &engine);
    session_init(&other, &engine);
    converse(&s, "SET k 1\nQUIT\nSET k 2\nPING\n", "OK\r\n");
    cr_assert_eq(s.state, SESSION_CLOSING);
    cr_assert_not(s.ready);
    converse(&other, "GET k\n", "1\r\n");
    session_deinit(&s);
    session_deinit(&other);
}

Test(tick, quit_discards_the_transaction)
{
    struct session s, other;
    session_init(&s, &engine);
    session_init(&other, &engine);
    converse(&s, "BEGIN\nSET k 1\nQUIT\nCOMMIT\n", "OK\r\nOK\r\n");
    cr_assert_eq(s.state, SESSION_CLOSING);
    cr_assert_null(session_txn(&s));
    converse(&other, "GET k\n", "\r\n");
    session_deinit(&s);
    session_deinit(&other);
}

Test(tick, an_ended_input_closes_when_all_is_answered)
{
    struct session s;
    session_init(&s, &engine);
    s.in_ended = true;
    converse(&s, "PING\nSET k 1\nGET k\nSET k 2", "+PONG\r\nOK\r\n1\r\n");
    cr_assert_eq(s.state, SESSION_CLOSING);
    session_deinit(&s);
}

Test(tick, an_ended_input_with_nothing_in_it_closes)
{
    struct session s;
    session_init(&s, &engine);
    s.in_ended = true;
    converse(&s, "", "");
    cr_assert_eq(s.state, SESSION_CLOSING);
    session_deinit(&s);
}

Test(tick, an_unfinished_line_waits_for_its_end)
{
    struct session s;
    session_init(&s, &engine);
    converse(&s, "PI", "");
    converse(&s, "NG", "");
    converse(&s, "\r", "");
    cr_assert_eq(s.state, SESSION_OPEN);
    converse(&s, "\n", "+PONG\r\n");
    session_deinit(&s);
}

Test(tick, another_protocol_gets_one_error_and_the_end)
{
    struct session s;
    session_init(&s, &engine);
    converse(&s, "GET / HTTP/1.1\r\nSET k v\r\n\r\n",
             "ERR SYNTAX this port speaks txkv's text protocol, lines such as GET key; closing\r\n");
    cr_assert_eq(s.state, SESSION_CLOSING);
    session_deinit(&s);
}

static struct session *to_free;

static void on_done_free(struct session *s)
{
    if (s == to_free) {
        tick_remove(&tick, s);
        session_deinit(s);
        free(s);
    }
}

Test(tick, done_may_end_its_own_session)
{
    struct session *s[3];
    for (size_t ended = 0; ended < 3; ended++) {
        for (size_t i = 0; i < 3; i++) {
            s[i] = malloc(sizeof(*s[i]));
            session_init(s[i], &engine);
            fill_flood(s[i], "INCR n\r\n"); /* so that it stands in the list again when done is called */
        }
        to_free = s[ended];
        tick_run(&tick, on_done_free);
        for (size_t i = 0; i < 3; i++) {
            if (i != ended) {
                cr_assert_eq(s[i]->requests, (uint64_t)TICK_REQUESTS_MAX);
                tick_remove(&tick, s[i]);
                session_deinit(s[i]);
                free(s[i]);
            }
        }
        cr_assert(tick_is_idle(&tick));
    }
}

/* --- tick_run: the limit on output that is not sent --- */

Test(tick, over_the_limit_nothing_runs_until_the_output_is_drained)
{
    struct session s;
    engine.limits.pending_bytes = 10;
    session_init(&s, &engine);
    give(&s, "PING\nPING\nPING\nINCR n\n");
    run_once();
    cr_assert_eq(s.requests, 2u); /* 7 bytes are not over 10, 14 are */
    cr_assert(s.more);
    cr_assert(tick_is_idle(&tick));
    tick_add(&tick, &s);
    run_once();
    cr_assert_eq(s.requests, 2u);
    check_out(&s, "+PONG\r\n+PONG\r\n");
    tick_add(&tick, &s);
    run_once();
    check_out(&s, "+PONG\r\n1\r\n");
    cr_assert_not(s.more);
    session_deinit(&s);
}

Test(tick, bytes_on_their_way_count_as_output)
{
    struct session s;
    engine.limits.pending_bytes = 10;
    session_init(&s, &engine);
    s.unsent = 11;
    give(&s, "PING\n");
    run_once();
    check_out(&s, "");
    s.unsent = 10;
    converse(&s, "", "+PONG\r\n");
    session_deinit(&s);
}

Test(tick, an_ended_input_waits_for_its_output)
{
    struct session s;
    engine.limits.pending_bytes = 1;
    session_init(&s, &engine);
    s.in_ended = true;
    give(&s, "PING\nPING\nPI");
    run_once();
    check_out(&s, "+PONG\r\n");
    cr_assert_eq(s.state, SESSION_OPEN);
    converse(&s, "", "+PONG\r\n");
    converse(&s, "", "");
    cr_assert_eq(s.state, SESSION_CLOSING);
    session_deinit(&s);
}

/* A client with its stream and the answers that it must get. */
struct client {
    struct session s;
    char in[20000];
    size_t in_len;
    size_t given;
    char wanted[20000];
    size_t wanted_len;
    char got[20000];
    size_t got_len;
    unsigned counter;
};

enum { CLIENTS = 3, KINDS = 12 };

static struct client clients[CLIENTS];
static uint64_t seed;

static size_t below(size_t n)
{
    seed = seed * 6364136223846793005U + 1442695040888963407U;
    return (size_t)(seed >> 33) % n;
}

static void say(struct client *c, const char *text, const char *wanted)
{
    c->in_len +=
        (size_t)snprintf(c->in + c->in_len, sizeof(c->in) - c->in_len, "%s%s", text, below(2) == 0 ? "\n" : "\r\n");
    c->wanted_len += (size_t)snprintf(c->wanted + c->wanted_len, sizeof(c->wanted) - c->wanted_len, "%s", wanted);
}

static void say_increment(struct client *c)
{
    char text[64], wanted[64];
    snprintf(text, sizeof(text), "INCR c%zu", (size_t)(c - clients));
    snprintf(wanted, sizeof(wanted), "%u\r\n", ++c->counter);
    say(c, text, wanted);
}

static void say_long(struct client *c)
{
    char text[600], wanted[128];
    size_t max = command_line_max(&engine.limits.command);
    size_t len = max + 1 + below(200);
    memset(text, 'v', len);
    memcpy(text, "SET k ", 6);
    text[len] = '\0';
    snprintf(wanted, sizeof(wanted), "ERR TOOBIG the line has more than %zu bytes (key, value and 64)\r\n", max);
    say(c, text, wanted);
}

static void say_something(struct client *c)
{
    char text[64], wanted[64];
    switch (below(KINDS)) {
    case 0:
        say(c, "PING", "+PONG\r\n");
        break;
    case 1:
    case 2:
        say(c, "", "");
        break;
    case 3:
        say_long(c);
        break;
    case 4:
        say(c, "NOPE", "ERR UNKNOWN there is no command NOPE; HELP lists the commands\r\n");
        break;
    case 5:
        snprintf(text, sizeof(text), "MGET c%zu nothing nothing", (size_t)(c - clients));
        snprintf(wanted, sizeof(wanted), "%.0u\r\n\r\n\r\n", c->counter); /* nothing for 0: the key is not there */
        say(c, text, wanted);
        break;
    case 6:
        say(c, "BEGIN", "OK\r\n");
        say_increment(c);
        say_increment(c);
        say(c, "COMMIT", "OK\r\n");
        break;
    default:
        say_increment(c);
    }
}

static void begin_client(struct client *c)
{
    memset(c, 0, sizeof(*c));
    session_init(&c->s, &engine);
    for (size_t count = below(60); count > 0; count--) {
        say_something(c);
    }
    size_t end = below(3);
    if (end == 0) {
        size_t wanted_len = c->wanted_len;
        say(c, "QUIT", "");
        say_increment(c); /* never run */
        c->wanted_len = wanted_len;
    } else if (end == 1) { /* a line without its end is never run */
        c->in_len += (size_t)snprintf(c->in + c->in_len, sizeof(c->in) - c->in_len, "INCR c%zu", (size_t)(c - clients));
    }
}

/* Gives more of the stream, as a socket would: only while the session may run, sometimes with the end of input. */
static void feed(struct client *c)
{
    if (c->s.in_ended || !session_can_run(&c->s)) {
        return;
    }
    size_t left = c->in_len - c->given;
    static const size_t ranges[] = {20, 400, sizeof(c->in)};
    size_t size = below(ranges[below(3)]) + 1;
    size = size < left ? size : left;
    cr_assert(size == 0 || buf_append(&c->s.in, c->in + c->given, size) == 0);
    c->given += size;
    c->s.in_ended = c->given == c->in_len && below(2) == 0;
    if (size > 0 || c->s.in_ended) {
        tick_add(&tick, &c->s);
    }
}

/* Takes answers as a socket would: some at once, or all of them, to be on their way for a while. */
static void drain(struct client *c)
{
    size_t len = buf_len(&c->s.out);
    size_t size = below(3) == 0 ? len : below(12);
    size = size < len ? size : len;
    if (c->s.unsent > 0) {
        c->s.unsent = below(2) == 0 ? 0 : c->s.unsent;
        size = 0;
    }
    cr_assert_leq(c->got_len + size, sizeof(c->got));
    if (size > 0) {
        memcpy(c->got + c->got_len, buf_head(&c->s.out), size);
        c->got_len += size;
        buf_consume(&c->s.out, size);
        c->s.unsent = size == len && below(2) == 0 ? size : 0;
    }
    buf_settle(&c->s.in);
    buf_settle(&c->s.out);
    if (c->s.more && session_can_run(&c->s)) {
        tick_add(&tick, &c->s);
    }
}

static bool is_over(const struct client *c)
{
    return c->s.state == SESSION_CLOSING && buf_len(&c->s.out) == 0;
}

/* Runs all clients to their ends; false where one never comes to its end. */
static bool run_clients(void)
{
    for (int turn = 0; turn < 20000; turn++) {
        size_t over = 0;
        for (size_t i = 0; i < CLIENTS; i++) {
            feed(&clients[i]);
        }
        run_once();
        for (size_t i = 0; i < CLIENTS; i++) {
            /* one answer may go over the limit; the longest has three lines or is an error */
            cr_assert_leq(session_pending(&clients[i].s), engine.limits.pending_bytes + 100);
            drain(&clients[i]);
            over += is_over(&clients[i]);
        }
        if (over == CLIENTS) {
            return true;
        }
    }
    return false;
}

static void check_limit(size_t limit, uint64_t number)
{
    seed = number * 1000 + limit;
    engine.limits.pending_bytes = limit;
    struct session cleaner;
    session_init(&cleaner, &engine);
    converse(&cleaner, "FLUSH\n", "OK\r\n");
    session_deinit(&cleaner);
    for (size_t i = 0; i < CLIENTS; i++) {
        begin_client(&clients[i]);
    }
    cr_assert(run_clients(), "limit %zu, seed %zu: a session stands still", limit, (size_t)number);
    for (size_t i = 0; i < CLIENTS; i++) {
        struct client *c = &clients[i];
        cr_assert(slice_equal(slice_of(c->got, c->got_len), slice_of(c->wanted, c->wanted_len)),
                  "limit %zu, seed %zu, client %zu: got\n%.*s\nwanted\n%.*s", limit, (size_t)number, i, (int)c->got_len,
                  c->got, (int)c->wanted_len, c->wanted);
        session_deinit(&c->s);
    }
    cr_assert(tick_is_idle(&tick));
}

Test(tick, no_request_is_lost_or_repeated_under_any_limit_of_output)
{
    engine.limits.command = (struct command_limits){.key_bytes = 16, .value_bytes = 32};
    for (size_t limit = 1; limit <= 64; limit++) {
        for (uint64_t number = 0; number < 25; number++) {
            check_limit(limit, number);
        }
    }
}

Test(tick, no_request_is_lost_or_repeated_under_a_high_limit)
{
    engine.limits.command = (struct command_limits){.key_bytes = 16, .value_bytes = 32};
    for (uint64_t number = 0; number < 100; number++) {
        check_limit(1000, number);
        check_limit(100000, number);
    }
}

/* --- session_run: lack of memory --- */

enum { BIG = 100000 };

/* A session that has a big value at key "big", and memory for small answers. */
static void begin_big(struct session *s)
{
    static char line[BIG + 32];
    session_init(s, &engine);
    memset(line, 'v', sizeof(line));
    memcpy(line, "SET big ", 8);
    memcpy(line + 8 + BIG, "\r\n", 3);
    converse(s, line, "OK\r\n");
    void *spare[] = {mem_chunk_get(), mem_chunk_get(),
                     mem_chunk_get()}; /* for builds in which every reserve moves the bytes */
    for (size_t i = 0; i < sizeof(spare) / sizeof(spare[0]); i++) {
        mem_chunk_put(spare[i]);
    }
}

Test(session, a_value_without_memory_is_err_full_and_the_session_lives)
{
    struct session s;
    begin_big(&s);
    give(&s, "PING\nGET big\nPING\n");
    mem_fail(1, true);
    run_once();
    mem_fail(0, false);
    check_out(&s, "+PONG\r\nERR FULL no memory for the answer\r\n+PONG\r\n");
    cr_assert_eq(s.state, SESSION_OPEN);
    give(&s, "GET big\n");
    run_once();
    cr_assert_eq(buf_len(&s.out), (size_t)BIG + 2);
    session_deinit(&s);
}

Test(session, values_without_memory_are_one_err_full)
{
    struct session s;
    begin_big(&s);
    give(&s, "MGET nothing big nothing\nPING\n");
    mem_fail(1, true);
    run_once();
    mem_fail(0, false);
    check_out(&s, "ERR FULL no memory for the answer\r\n+PONG\r\n");
    session_deinit(&s);
}

Test(session, an_answer_without_memory_fails_the_transaction)
{
    struct session s;
    begin_big(&s);
    converse(&s, "BEGIN\n", "OK\r\n");
    give(&s, "GET big\n");
    mem_fail(1, true);
    run_once();
    mem_fail(0, false);
    check_out(&s, "ERR FULL no memory for the answer\r\n");
    converse(
        &s, "COMMIT\nPING\n",
        "ERR ABORTED the transaction is over, nothing of it was applied (FULL no memory for the answer)\r\n+PONG\r\n");
    session_deinit(&s);
}

Test(session, without_memory_even_for_an_error_it_is_broken)
{
    struct session s;
    session_init(&s, &engine);
    give(&s, "SET k 1\nPING\n");
    mem_chunk_drain();
    mem_fail(1, true);
    run_once();
    mem_fail(0, false);
    cr_assert_eq(s.state, SESSION_BROKEN);
    cr_assert_eq(buf_len(&s.out), 0u);
    cr_assert(tick_is_idle(&tick));
    session_deinit(&s);
}

/* --- session_give_up --- */

Test(session, a_line_without_memory_to_receive_it_is_err_full)
{
    struct session s;
    session_init(&s, &engine);
    converse(&s, "PING\nSET k some", "+PONG\r\n");
    cr_assert(session_give_up(&s));
    cr_assert_eq(buf_len(&s.in), 0u);
    converse(&s, "thing more", "");
    cr_assert(session_give_up(&s) || buf_len(&s.in) == 0);
    converse(&s, " of it\r\nPING\nGET k\n",
             "ERR FULL no memory to receive a line as long as this one; nothing of it was run\r\n+PONG\r\n\r\n");
    session_deinit(&s);
}

Test(session, there_is_nothing_to_give_up_in_an_empty_input)
{
    struct session s;
    session_init(&s, &engine);
    cr_assert_not(session_give_up(&s));
    converse(&s, "PING\n", "+PONG\r\n");
    session_deinit(&s);
}
