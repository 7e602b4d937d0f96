/* Stopping: what has arrived is run, what is owed is sent, and nobody holds up the exit. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "server_fixture.h"
#include "wire.h"

#define PATIENCE_MS 6000 /* for clients that do not read */
#define PROMPT_MS 4000   /* for all others */

static void ends_at(int number)
{
    struct server s;
    struct client c;
    server_start(&s, NULL);
    server_signal(&s, number);
    server_join(&s, 1000);

    server_start(&s, NULL);
    client_open(&c, &s);
    client_ask(&c, "SET a 1", "OK");
    server_signal(&s, number);
    client_expect_eof(&c);
    client_close(&c);
    server_join(&s, PROMPT_MS);
}

static void sigterm(void)
{
    ends_at(SIGTERM);
}

static void sigint(void)
{
    ends_at(SIGINT);
}

/* The server is stopped while commands arrive, so that it finds them and the signal in one turn of its loop. */
static void what_was_read_is_answered(void)
{
    struct server s;
    struct client c;
    struct text out = {0};
    server_start(&s, NULL);
    client_open(&c, &s);
    client_ask(&c, "PING", "+PONG");
    server_pause(&s);
    for (int i = 0; i < 500; i++) {
        text_addf(&out, "INCR n\r\n"); /* 4,000 bytes: no more than one read takes */
    }
    client_send(&c, out.data, out.len);
    client_wait_delivered(&c);
    server_signal(&s, SIGTERM);
    server_resume(&s);
    for (int i = 1; i <= 500; i++) {
        char wanted[16];
        snprintf(wanted, sizeof(wanted), "%d", i);
        client_expect(&c, wanted);
    }
    client_expect_eof(&c);
    client_close(&c);
    text_free(&out);
    server_join(&s, PROMPT_MS);
}

/* Answers to INCR count up without a gap, the last one whole, and the stream ends in order. */
static long count_answers(struct client *c)
{
    size_t len;
    long count = 0;
    for (const char *line; (line = client_line(c, &len)) != NULL;) {
        long number = strtol(line, NULL, 10);
        CHECK(number == count + 1, "answer %ld is '%s'", count + 1, line);
        count = number;
    }
    CHECK(c->end == WIRE_EOF, "the connection was reset after %ld answers: those under way are lost", count);
    return count;
}

static void fill_increments(struct text *out, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        text_add(out, "INCR n\r\n", 8);
    }
}

/* More commands than the server can take stand in the kernel. */
static void many_in_flight(void)
{
    struct server s;
    struct client c;
    struct text out = {0};
    server_start(&s, NULL);
    client_open(&c, &s);
    client_ask(&c, "GET n", "");
    server_pause(&s);
    fill_increments(&out, 200000);
    size_t sent = client_send_some(&c, out.data, out.len, 100);
    server_signal(&s, SIGTERM);
    server_resume(&s);
    long count = count_answers(&c);
    CHECK(count >= 1 && (size_t)count <= sent / 8, "%ld answers to %zu commands", count, sent / 8);
    client_close(&c);
    text_free(&out);
    server_join(&s, PROMPT_MS);
}

/* The client reads only after the signal: its answers wait in the server and in the kernel, and commands too. */
static void answers_wait_for_a_client(void)
{
    struct server s;
    struct client c;
    struct text out = {0};
    server_start(&s, NULL);
    client_open_small(&c, &s, 8192);
    fill_increments(&out, 1500000);
    client_send_some(&c, out.data, out.len, 200);
    server_signal(&s, SIGTERM);
    CHECK(count_answers(&c) >= 1, "nothing was answered");
    client_close(&c);
    text_free(&out);
    server_join(&s, PATIENCE_MS);
}

/* All commands are read before the signal, and their answers are more than may wait at a time: they are sent all the
 * same, to a client that reads, and the server does not wait for its patience to end. */
static void big_answers_under_way(void)
{
    struct server s;
    struct client c;
    server_start(&s, NULL);
    client_open(&c, &s);
    client_set_large(&c, "big", 'x', 1000000);
    server_pause(&s);
    for (int i = 0; i < 20; i++) {
        client_sendf(&c, "GET big\r\n");
    }
    client_wait_delivered(&c);
    server_signal(&s, SIGTERM);
    server_resume(&s);
    int64_t begun_ms = check_now_ms();
    for (int i = 0; i < 20; i++) {
        size_t len;
        const char *line = client_line(&c, &len);
        CHECK(line != NULL && len == 1000000, "%d of 20 big answers came", i);
    }
    client_expect_eof(&c);
    int64_t took_ms = check_now_ms() - begun_ms;
    CHECK(took_ms < PROMPT_MS, "all answers were read, and the server stayed for %d ms", (int)took_ms);
    client_close(&c);
    server_join(&s, PROMPT_MS);
}

static void unterminated_line(void)
{
    struct server s;
    struct client c;
    server_start(&s, NULL);
    client_open(&c, &s);
    client_ask(&c, "BEGIN", "OK");
    client_ask(&c, "SET a 1", "OK");
    client_sendf(&c, "COMMIT"); /* no end of line */
    server_signal(&s, SIGTERM);
    client_expect_eof(&c);
    client_close(&c);
    server_join(&s, PROMPT_MS);
}

/* A client has 30 MB of answers under way that it never reads. Another one's end shows that the signal was seen, and does not wait
 * for the first. */
static void signal_beside_deaf(struct server *s, struct client *deaf)
{
    struct client other;
    server_start(s, NULL);
    client_open_small(deaf, s, 8192);
    client_set_large(deaf, "big", 'x', 1000000);
    for (int i = 0; i < 30; i++) {
        client_sendf(deaf, "GET big\r\n");
    }
    client_open(&other, s);
    client_ask(&other, "PING", "+PONG");
    server_signal(s, SIGTERM);
    client_expect_eof(&other);
    client_close(&other);
}

static void client_that_does_not_read(void)
{
    struct server s;
    struct client deaf;
    signal_beside_deaf(&s, &deaf);
    server_join(&s, PATIENCE_MS);
}

static void second_signal(void)
{
    struct server s;
    struct client deaf;
    signal_beside_deaf(&s, &deaf);
    server_signal(&s, SIGINT);
    server_join(&s, 1000);
}

/* An answer that takes many turns of the loop is begun in the one that sees the signal. */
static void long_answer(void)
{
    struct server s;
    struct client c;
    struct text out = {0};
    struct text expected = {0};
    server_start(&s, NULL);
    client_open(&c, &s);
    for (int i = 0; i < 200000; i++) {
        text_addf(&out, "SET k%d v\r\n", i);
        text_addf(&expected, "OK\r\n");
    }
    client_exchange(&c, &out, &expected);
    server_pause(&s);
    client_sendf(&c, "KEYS k123456\r\nKEYS k2 1\r\n");
    client_wait_delivered(&c);
    server_signal(&s, SIGTERM);
    server_resume(&s);
    client_expect(&c, "1");
    client_expect(&c, "k123456");
    client_expect(&c, "1");
    client_expect_start(&c, "k2");
    client_expect_eof(&c);
    client_close(&c);
    text_free(&out);
    text_free(&expected);
    server_join(&s, PROMPT_MS);
}

static const struct check checks[] = {
    {"SIGTERM", sigterm},
    {"SIGINT", sigint},
    {"what was read is answered", what_was_read_is_answered},
    {"long answer", long_answer},
    {"many in flight", many_in_flight},
    {"answers wait for a client", answers_wait_for_a_client},
    {"big answers under way", big_answers_under_way},
    {"unterminated line", unterminated_line},
    {"client that does not read", client_that_does_not_read},
    {"second signal", second_signal},
};

CHECK_MAIN(checks)
