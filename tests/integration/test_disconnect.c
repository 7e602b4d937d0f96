/* Connections that end: by QUIT, by half-close, by close or reset at any byte. */
#include <stdio.h>
#include <string.h>

#include "check.h"
#include "server_fixture.h"
#include "wire.h"

#define KIB ((size_t)1 << 10)
#define MIB ((size_t)1 << 20)

/* --- at every byte of a conversation --- */

static const char *const lines[] = {"SET a 1\r\n", "BEGIN\r\n",   "SET a 2\r\n", "INCR n\r\n", "DEL c\r\n",
                                    "COMMIT\r\n",  "SET d 4\r\n", "BEGIN\r\n",   "DEL a\r\n"};

/* Of a, n, c and d as MGET shows them, after so many whole lines. */
static const char *const states[][4] = {
    {"0", "", "c", ""}, {"1", "", "c", ""}, {"1", "", "c", ""},  {"1", "", "c", ""},  {"1", "", "c", ""},
    {"1", "", "c", ""}, {"2", "1", "", ""}, {"2", "1", "", "4"}, {"2", "1", "", "4"}, {"2", "1", "", "4"},
};

#define LINES (sizeof(lines) / sizeof(lines[0]))

enum leave { LEAVE_CLOSE, LEAVE_RESET, LEAVE_UNREAD, LEAVE_COUNT };

static const char *const leave_words[] = {"closed", "reset", "closed without reading"};

static bool state_is(struct client *control, const char *const *state)
{
    bool same = true;
    client_sendf(control, "MGET a n c d\r\n");
    for (size_t i = 0; i < 4; i++) {
        size_t len;
        const char *line = client_line(control, &len);
        CHECK(line != NULL, "the other client was closed");
        same = same && strcmp(line, state[i]) == 0;
    }
    return same;
}

/* Sends the first bytes of the conversation and leaves. Returns how many whole lines they hold. */
static size_t leave_after(const struct server *s, const char *talk, size_t bytes, enum leave how)
{
    struct client c;
    size_t whole = 0;
    for (size_t i = 0; i < bytes; i++) {
        whole += talk[i] == '\n' ? 1 : 0;
    }
    client_open(&c, s);
    client_send(&c, talk, bytes);
    for (size_t i = 0; i < whole && how != LEAVE_UNREAD; i++) {
        size_t len;
        CHECK(client_line(&c, &len) != NULL, "closed early");
    }
    if (how == LEAVE_RESET) {
        client_reset(&c);
    } else {
        client_close(&c);
    }
    return whole;
}

/* Who leaves without reading may be cut off at any line before; who has read its answers, at none. */
static void expect_state(struct client *control, size_t whole, size_t bytes, enum leave how)
{
    bool known = state_is(control, states[whole]);
    for (size_t i = 0; how == LEAVE_UNREAD && !known && i < whole; i++) {
        known = state_is(control, states[i]);
    }
    CHECK(known, "%s after %zu bytes, %zu lines: the data are not what those lines make", leave_words[how], bytes,
          whole);
}

static void at_every_byte(enum leave how)
{
    struct server s;
    struct client control;
    struct text talk = {0};
    struct text big = {0};
    check_needs_plain_memory();
    for (size_t i = 0; i < LINES; i++) {
        text_addf(&talk, "%s", lines[i]);
    }
    text_add_line(&big, 'x', 256 * KIB, "SET big ");
    server_start(&s, "--max-connections", "2", NULL);
    client_open(&control, &s);
    size_t before = 0;
    for (size_t bytes = 0; bytes <= talk.len; bytes++) {
        client_sendf(&control, "SET a 0\r\nDEL n\r\nSET c c\r\nDEL d\r\n");
        client_send(&control, big.data, big.len); /* a snapshot left behind would keep each one of these */
        for (int i = 0; i < 5; i++) {
            client_expect(&control, "OK");
        }
        size_t whole = leave_after(&s, talk.data, bytes, how);
        check_until(client_has_place, &s, 5000, "a client that has left makes place");
        expect_state(&control, whole, bytes, how);
        before = bytes == 5 ? server_memory(&s, "VmRSS") : before;
    }
    size_t after = server_memory(&s, "VmRSS");
    CHECK(after < before + 4 * MIB, "clients that left inside a transaction left %zu bytes behind", after - before);
    client_close(&control);
    server_stop(&s);
}

static void close_at_every_byte(void)
{
    at_every_byte(LEAVE_CLOSE);
}

static void reset_at_every_byte(void)
{
    at_every_byte(LEAVE_RESET);
}

static void close_unread_at_every_byte(void)
{
    at_every_byte(LEAVE_UNREAD);
}

/* --- QUIT --- */

/* Values before QUIT, commands after it, everything sent before anything is read. */
static void quit_owes(struct client *c, size_t count, size_t value_len, size_t after)
{
    struct text out = {0};
    struct text expected = {0};
    text_add_line(&out, 'v', value_len, "SET v ");
    text_addf(&expected, "OK\r\n");
    for (size_t i = 0; i < count; i++) {
        text_addf(&out, "GET v\r\n");
        text_fill(&expected, 'v', value_len);
        text_addf(&expected, "\r\n");
    }
    text_addf(&out, "QUIT\r\n");
    for (size_t i = 0; i < after; i++) {
        text_addf(&out, "SET after %zu\r\n", i);
    }
    client_send_anyway(c, out.data, out.len);
    client_exchange(c, &(struct text){0}, &expected);
    client_expect_eof(c);
    text_free(&out);
    text_free(&expected);
}

static void quit(void)
{
    static const struct {
        size_t count;
        size_t value_len;
        size_t after;
    } rows[] = {{0, 0, 0}, {3, 10, 1}, {1000, 1000, 1000}, {20, MIB, 3}, {20, 100000, 100000}};
    struct server s;
    struct client c;
    server_start(&s, NULL);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        client_open(&c, &s);
        quit_owes(&c, rows[i].count, rows[i].value_len, rows[i].after);
        client_close(&c);
        client_open(&c, &s);
        client_ask(&c, "EXISTS after", "0");
        client_close(&c);
    }
    server_stop(&s);
}

static void quit_discards_a_transaction(void)
{
    struct server s;
    struct client c;
    server_start(&s, NULL);
    client_open(&c, &s);
    client_sendf(&c, "BEGIN\r\nSET a 1\r\nQUIT\r\nCOMMIT\r\n");
    client_expect(&c, "OK");
    client_expect(&c, "OK");
    client_expect_eof(&c);
    client_close(&c);
    client_open(&c, &s);
    client_ask(&c, "DBSIZE", "0");
    client_close(&c);
    server_stop(&s);
}

/* A client that says QUIT and stays makes place all the same. */
static void quit_and_stay(void)
{
    struct server s;
    struct client c;
    server_start(&s, "--max-connections", "1", NULL);
    client_open(&c, &s);
    client_sendf(&c, "QUIT\r\n");
    client_expect_eof(&c);
    check_until(client_has_place, &s, 5000, "who said QUIT and stays makes place");
    client_close(&c);
    server_stop(&s);
}

/* --- half-close --- */

static void half_close(void)
{
    struct server s;
    struct client c;
    server_start(&s, NULL);
    client_open(&c, &s);
    client_sendf(&c, "SET a 1\r\nGET a\r\nPING\r\nSET a 2");
    client_half_close(&c);
    client_expect(&c, "OK");
    client_expect(&c, "1");
    client_expect(&c, "+PONG");
    client_expect_eof(&c);
    client_close(&c);

    client_open(&c, &s);
    client_ask(&c, "GET a", "1");
    client_sendf(&c, "BEGIN\r\nSET a 3\r\n");
    client_half_close(&c);
    client_expect(&c, "OK");
    client_expect(&c, "OK");
    client_expect_eof(&c);
    client_close(&c);

    client_open(&c, &s);
    client_ask(&c, "GET a", "1");
    client_half_close(&c);
    client_expect_eof(&c);
    client_close(&c);
    server_stop(&s);
}

static void half_close_of_many(void)
{
    struct server s;
    struct client c;
    struct text out = {0};
    struct text expected = {0};
    server_start(&s, NULL);
    client_open(&c, &s);
    for (int i = 1; i <= 100000; i++) {
        text_addf(&out, "INCR n\r\n");
        text_addf(&expected, "%d\r\n", i);
    }
    text_addf(&out, "INCR n");
    client_send(&c, out.data, out.len);
    client_half_close(&c);
    client_exchange(&c, &(struct text){0}, &expected);
    client_expect_eof(&c);
    client_close(&c);
    client_open(&c, &s);
    client_ask(&c, "GET n", "100000");
    client_close(&c);
    server_stop(&s);
}

/* The last commands and the half-close arrive together, and the answers are over the limit of unsent ones. The server
 * is stopped meanwhile, so that it finds all of it at once, in reads of several sizes. */
static void half_close_with_big_answers(void)
{
    static const size_t sizes[] = {4096, 16384, 32768, 65536, 9000};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct server s;
        struct client c;
        struct text out = {0};
        struct text expected = {0};
        printf("    %zu bytes\n", sizes[i]);
        server_start(&s, "--pending-max", "1K", NULL);
        client_open(&c, &s);
        text_add_line(&out, 'v', MIB, "SET v ");
        client_send(&c, out.data, out.len);
        client_expect(&c, "OK");
        out.len = 0;
        server_pause(&s);
        text_add_line(&out, 'v', sizes[i] - 6 - 2 - 3 * 7, "SET w ");
        text_addf(&out, "GET v\r\nGET v\r\nGET v\r\n");
        text_addf(&expected, "OK\r\n");
        for (int k = 0; k < 3; k++) {
            text_fill(&expected, 'v', MIB);
            text_addf(&expected, "\r\n");
        }
        client_send(&c, out.data, out.len);
        client_half_close(&c);
        client_wait_delivered(&c);
        server_resume(&s);
        client_exchange(&c, &(struct text){0}, &expected);
        client_expect_eof(&c);
        client_close(&c);
        text_free(&out);
        text_free(&expected);
        server_stop(&s);
    }
}

static const struct check checks[] = {
    {"close at every byte", close_at_every_byte},
    {"reset at every byte", reset_at_every_byte},
    {"close unread at every byte", close_unread_at_every_byte},
    {"QUIT", quit},
    {"QUIT discards a transaction", quit_discards_a_transaction},
    {"QUIT and stay", quit_and_stay},
    {"half-close", half_close},
    {"half-close of many", half_close_of_many},
    {"half-close with big answers", half_close_with_big_answers},
};

CHECK_MAIN(checks)
