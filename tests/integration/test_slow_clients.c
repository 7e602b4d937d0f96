/* Clients that do not read, or read slowly: they cost a bounded amount of memory, and others nothing. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "check.h"
#include "server_fixture.h"
#include "wire.h"

#define MIB ((size_t)1 << 20)
#define REQUESTS 200
#define DEAF_MEMORY                                                                                                    \
    (8 * MIB) /* of the server for a client that does not read: the limit of 1 MiB, two answers, buffers */

static void store_big(const struct server *s)
{
    struct client c;
    size_t len;
    client_open(&c, s);
    client_set_large(&c, "big", 'x', MIB);
    client_sendf(&c, "GET big\r\n");
    CHECK(client_line(&c, &len) != NULL && len == MIB, "the big value has %zu bytes", len);
    client_close(&c);
}

static void ask_for_big(struct client *c, int times)
{
    struct text line = {0};
    for (int i = 0; i < times; i++) {
        text_addf(&line, "GET big\r\n");
    }
    client_send(c, line.data, line.len);
    text_free(&line);
}

static void read_big(struct client *c, int times)
{
    for (int i = 0; i < times; i++) {
        size_t len;
        const char *line = client_line(c, &len);
        CHECK(line != NULL, "the connection was %s with %d of %d answers read", c->end == WIRE_EOF ? "closed" : "reset",
              i, times);
        CHECK(len == MIB && line[0] == 'x' && memcmp(line, line + 1, len - 1) == 0, "answer %d is not the big value",
              i);
    }
}

static void client_that_never_reads(void)
{
    struct server s;
    struct client deaf;
    struct client other;
    check_needs_plain_memory();
    server_start(&s, NULL);
    store_big(&s);
    client_open(&other, &s);
    client_ask(&other, "SET a 1", "OK");
    size_t before = server_memory(&s, "VmHWM");
    client_open_small(&deaf, &s, 65536);
    ask_for_big(&deaf, REQUESTS);
    for (int i = 0; i < REQUESTS; i++) { /* each round is a turn of the server's loop at least */
        client_ask(&other, "GET a", "1");
        size_t most = server_memory(&s, "VmHWM");
        CHECK(most < before + DEAF_MEMORY, "a client that does not read made the server take %zu bytes", most - before);
    }
    read_big(&deaf, REQUESTS); /* nothing was lost by waiting */
    client_close(&deaf);
    client_close(&other);
    server_stop(&s);
}

/* There is place for two: a third one comes in when the client that does not read has been closed. */
static void unread_timeout(void)
{
    struct server s;
    struct client deaf;
    struct client other;
    server_start(&s, "--unread-timeout", "1", "--max-connections", "2", NULL);
    store_big(&s);
    client_open(&other, &s);
    client_ask(&other, "PING", "+PONG");
    int64_t begun_ms = check_now_ms();
    client_open_small(&deaf, &s, 8192);
    ask_for_big(&deaf, 50);
    check_until(client_has_place, &s, 5000, "a client that does not read is closed by --unread-timeout 1");
    int64_t took_ms = check_now_ms() - begun_ms;
    CHECK(took_ms >= 900, "a client that does not read was closed after %d ms already", (int)took_ms);
    client_ask(&other, "PING", "+PONG");
    client_close(&deaf);
    client_close(&other);
    server_stop(&s);
}

/* A client that reads without a pause, at this rate, for more than three times --unread-timeout. */
static void read_slowly(int kib_per_second)
{
    struct server s;
    struct client c;
    server_start(&s, "--unread-timeout", "1", NULL);
    store_big(&s);
    client_open(&c, &s);
    ask_for_big(&c, 30);
    int64_t end_ms = check_now_ms() + 3500;
    size_t step = (size_t)kib_per_second * 1024 / 50;
    while (check_now_ms() < end_ms) {
        CHECK(client_receive(&c, step, 5000), "a client that reads %d KiB/s steadily was closed", kib_per_second);
        poll(NULL, 0, 20); /* the rate of reading, not a wait for something */
    }
    read_big(&c, 30);
    client_sendf(&c, "QUIT\r\n");
    client_expect_eof(&c);
    client_close(&c);
    server_stop(&s);
}

static void slow_but_steady(void)
{
    read_slowly(3000);
}

/* So slowly that the kernel takes nothing more from the server for seconds. */
static void very_slow_but_steady(void)
{
    read_slowly(200);
}

/* A client whose answers are over the limit sends on: the server does not take it in. */
static void commands_wait_too(void)
{
    struct server s;
    struct client deaf;
    struct client other;
    struct text out = {0};
    check_needs_plain_memory();
    server_start(&s, NULL);
    store_big(&s);
    client_open(&other, &s);
    client_ask(&other, "PING", "+PONG");
    size_t before = server_memory(&s, "VmHWM");
    client_open_small(&deaf, &s, 8192);
    ask_for_big(&deaf, 20);
    for (int i = 0; i < 64; i++) {
        text_add_line(&out, 'y', MIB / 2, "SET a%d ", i);
    }
    size_t sent = client_send_some(&deaf, out.data, out.len, 200);
    CHECK(sent < out.len, "all of %zu bytes were taken from a client that reads nothing", out.len);
    client_ask(&other, "DBSIZE", "1");
    size_t most = server_memory(&s, "VmHWM");
    CHECK(most < before + DEAF_MEMORY, "a client that does not read made the server take %zu bytes", most - before);
    client_close(&deaf);
    client_close(&other);
    text_free(&out);
    server_stop(&s);
}

static const struct check checks[] = {
    {"client that never reads", client_that_never_reads},
    {"commands wait too", commands_wait_too},
    {"unread timeout", unread_timeout},
    {"slow but steady", slow_but_steady},
    {"very slow but steady", very_slow_but_steady},
};

CHECK_MAIN(checks)
