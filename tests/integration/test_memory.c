/* Memory: its limit, its end, and that it is given back. */
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "check.h"
#include "server_fixture.h"
#include "wire.h"

#define KIB ((size_t)1 << 10)
#define MIB ((size_t)1 << 20)
#define MANY 300000

static void send_set(struct client *c, const char *key, size_t len)
{
    struct text line = {0};
    text_add_line(&line, 'v', len, "SET %s ", key);
    client_send(c, line.data, line.len);
    text_free(&line);
}

/* Sets PREFIX0, PREFIX1 and so on until one is refused with ERR FULL; the number of those that were not. */
static int set_until_full(struct client *c, const char *prefix, size_t len, int max)
{
    for (int i = 0; i < max; i++) {
        char key[32];
        size_t answer_len;
        snprintf(key, sizeof(key), "%s%d", prefix, i);
        send_set(c, key, len);
        const char *answer = client_line(c, &answer_len);
        CHECK(answer != NULL, "SET number %d of %zu bytes closed the connection instead of an ERR FULL", i, len);
        if (strcmp(answer, "OK") != 0) {
            CHECK(strncmp(answer, "ERR FULL ", 9) == 0, "SET number %d of %zu bytes got '%s'", i, len, answer);
            return i;
        }
    }
    check_fail(__FILE__, __LINE__, "%d values of %zu bytes were taken, and memory is still not full", max, len);
}

static void expect_value(struct client *c, const char *key, size_t len)
{
    size_t got;
    client_sendf(c, "GET %s\r\n", key);
    const char *line = client_line(c, &got);
    CHECK(line != NULL && got == len, "GET %s gave %zu bytes, not %zu: %.80s", key, line == NULL ? 0 : got, len,
          line == NULL ? "closed" : line);
}

/* --- --maxmemory --- */

static void limit(void)
{
    struct server s;
    struct client c;
    char line[64];
    server_start(&s, "--maxmemory", "16M", NULL);
    client_open(&c, &s);
    client_ask(&c, "SET small 1", "OK");
    int count = set_until_full(&c, "k", 100 * KIB, 1000);
    CHECK(count >= 100 && count <= 165, "%d values of 100 KiB were taken with --maxmemory 16M", count);
    int small = set_until_full(&c, "s", 10, 100000); /* what the big ones have left */
    snprintf(line, sizeof(line), "%d", count + small + 1);
    client_ask(&c, "DBSIZE", line);
    expect_value(&c, "k0", 100 * KIB);
    client_ask(&c, "GET small", "1");
    client_ask_start(&c, "SET small 2", "ERR FULL ");
    client_ask_start(&c, "INCR small", "ERR FULL ");
    client_ask(&c, "BEGIN", "OK");
    client_ask_start(&c, "SET small 3", "ERR FULL ");
    client_ask_start(&c, "COMMIT", "ERR ABORTED ");
    client_ask(&c, "BEGIN", "OK");
    client_ask(&c, "DEL k0", "OK");
    client_ask(&c, "DEL k1", "OK");
    client_ask(&c, "COMMIT", "OK");
    client_ask(&c, "DEL k2", "OK");
    client_ask(&c, "SET small 4", "OK");
    client_ask(&c, "INCR small", "5");
    client_ask(&c, "EXISTS k0", "0");
    client_ask(&c, "FLUSH", "OK");
    server_wait_idle(&s);
    int again = set_until_full(&c, "k", 100 * KIB, 1000);
    CHECK(again >= count - 2, "%d values fitted, and after FLUSH only %d", count, again);
    client_close(&c);
    server_stop(&s);
}

/* --- no more memory --- */

static void limit_address_space(void)
{
    struct rlimit space = {96 * MIB, 96 * MIB};
    setrlimit(RLIMIT_AS, &space);
}

/* After an ERR FULL the connection is usable, or closed where the line could not be taken in. */
static void go_on(struct client *c, const struct server *s)
{
    size_t len;
    client_send_anyway(c, "PING\r\n", 6);
    const char *line = client_line(c, &len);
    CHECK(line == NULL || strcmp(line, "+PONG") == 0, "after ERR FULL, PING was answered '%s'", line);
    if (line == NULL) {
        client_close(c);
        client_open(c, s);
    }
}

static void no_memory_with(size_t value_len, int max)
{
    static const char *const args[] = {NULL};
    struct server s;
    struct client c;
    struct client other;
    server_start_with(&s, &(struct server_setup){.before_exec = limit_address_space, .args = args});
    client_open(&other, &s);
    client_ask(&other, "SET small 1", "OK");
    client_open(&c, &s);
    int count = set_until_full(&c, "k", value_len, max);
    CHECK(count >= 2, "only %d values of %zu bytes were taken", count, value_len);
    client_ask(&other, "GET small", "1");
    go_on(&c, &s);
    client_ask(&c, "GET small", "1");
    for (int i = 0; i < 20; i++) { /* it stays so, and costs nothing */
        send_set(&c, "again", value_len);
        client_expect_start(&c, "ERR FULL ");
        go_on(&c, &s);
    }
    client_ask(&c, "EXISTS again", "0");
    for (int i = 0; i < count && i < 8; i++) {
        char line[64];
        snprintf(line, sizeof(line), "DEL k%d", i);
        client_ask(&c, line, "OK");
    }
    if (count > 8) {
        expect_value(&c, "k8", value_len);
        send_set(&c, "again", value_len);
        client_expect(&c, "OK");
    }
    client_ask(&other, "GET small", "1");
    client_close(&c);
    client_close(&other);
    server_stop(&s);
}

static void no_memory(void)
{
    check_needs_plain_memory();
    no_memory_with(MIB, 1000);
    no_memory_with(100 * KIB, 5000);
    no_memory_with(3000, 100000);
}

/* --- FLUSH --- */

static void fill(struct client *c)
{
    struct text out = {0};
    struct text expected = {0};
    for (int i = 0; i < MANY; i++) {
        text_addf(&out, "SET key:%08d value:%08d\r\n", i, i);
        text_addf(&expected, "OK\r\n");
    }
    client_exchange(c, &out, &expected);
    client_ask(c, "DBSIZE", "300000");
    text_free(&out);
    text_free(&expected);
}

static void flush(void)
{
    struct server s;
    struct client c;
    struct client other;
    check_needs_plain_memory();
    server_start(&s, NULL);
    client_open(&c, &s);
    client_open(&other, &s);
    fill(&c);
    size_t once = server_memory(&s, "VmRSS");
    for (int round = 0; round < 3; round++) {
        client_ask(&other, "GET key:00000007", "value:00000007");
        client_ask(&c, "FLUSH", "OK");
        for (int i = 0; i < 200; i++) { /* while the old data are being freed */
            client_ask(&other, "DBSIZE", "0");
            client_ask(&other, "GET key:00000007", "");
        }
        server_wait_idle(&s);
        fill(&c);
    }
    size_t most = server_memory(&s, "VmHWM");
    CHECK(most < once + once / 4, "filled once the server has %zu bytes; after FLUSH and filling again, %zu", once,
          most);
    client_close(&c);
    client_close(&other);
    server_stop(&s);
}

/* An open transaction still sees everything, and FLUSH inside one empties its own view alone. */
static void flush_and_transactions(void)
{
    struct server s;
    struct client c;
    struct client inside;
    server_start(&s, NULL);
    client_open(&c, &s);
    client_open(&inside, &s);
    fill(&c);
    client_ask(&inside, "BEGIN", "OK");
    client_ask(&c, "FLUSH", "OK");
    client_ask(&c, "DBSIZE", "0");
    client_ask(&inside, "DBSIZE", "300000");
    client_ask(&inside, "GET key:00299999", "value:00299999");
    client_ask(&inside, "ROLLBACK", "OK");
    client_ask(&inside, "DBSIZE", "0");

    fill(&c);
    client_ask(&inside, "BEGIN", "OK");
    client_ask(&inside, "FLUSH", "OK");
    client_ask(&inside, "SET only 1", "OK");
    client_ask(&inside, "DBSIZE", "1");
    client_ask(&c, "DBSIZE", "300000");
    client_ask(&inside, "COMMIT", "OK");
    client_ask(&c, "DBSIZE", "1");
    client_ask(&c, "GET only", "1");
    client_close(&c);
    client_close(&inside);
    server_stop(&s);
}

/* --- --history-max --- */

#define WRITERS 4
#define BURST 100 /* keys */
#define BURSTS 50
#define LONG_KEY 1000

/* Keys that come and go: each leaves a tombstone of its own while an older transaction is open. */
static void add_passing_keys(struct text *out, struct text *expected, int from)
{
    for (int i = from; i < from + BURST; i++) {
        static const char *const lines[] = {"SET", "DEL"};
        for (int line = 0; line < 2; line++) {
            text_addf(out, "%s key%d:", lines[line], i);
            text_fill(out, 'k', LONG_KEY);
            text_addf(out, line == 0 ? " v\r\n" : "\r\n");
            text_addf(expected, "OK\r\n");
        }
    }
}

static void burst_of_all(struct client *writers, int *next)
{
    struct text expected[WRITERS] = {{0}};
    for (int i = 0; i < WRITERS; i++) {
        struct text out = {0};
        add_passing_keys(&out, &expected[i], *next);
        *next += BURST;
        client_send(&writers[i], out.data, out.len);
        text_free(&out);
    }
    for (int i = 0; i < WRITERS; i++) {
        client_exchange(&writers[i], &(struct text){0}, &expected[i]);
        text_free(&expected[i]);
    }
}

/* Without the limit an old transaction would cost 20 MB. It is expired, and nobody else is hurt. */
static void history_limit(void)
{
    struct server s;
    struct client old;
    struct client writers[WRITERS];
    int next = 0;
    check_needs_plain_memory();
    server_start(&s, "--history-max", "1M", NULL);
    client_open(&old, &s);
    for (int i = 0; i < WRITERS; i++) {
        client_open(&writers[i], &s);
    }
    client_ask(&old, "SET a 1", "OK");
    burst_of_all(writers, &next); /* buffers and tables are there */
    size_t before = server_memory(&s, "VmRSS");
    for (int round = 0; round < 3; round++) {
        client_ask(&old, "BEGIN", "OK");
        client_ask(&old, "GET a", "1");
        for (int i = 0; i < BURSTS; i++) {
            burst_of_all(writers, &next);
        }
        size_t most = server_memory(&s, "VmHWM");
        CHECK(most < before + 8 * MIB, "keys that come and go made the server take %zu bytes with --history-max 1M",
              most - before);
        client_ask_start(&old, "GET a", "ERR EXPIRED ");
        client_ask_start(&old, "COMMIT", "ERR EXPIRED ");
    }
    client_ask(&old, "DBSIZE", "1");
    for (int i = 0; i < WRITERS; i++) {
        client_close(&writers[i]);
    }
    client_close(&old);
    server_stop(&s);
}

static const struct check checks[] = {
    {"--maxmemory", limit},
    {"no memory", no_memory},
    {"FLUSH", flush},
    {"FLUSH and transactions", flush_and_transactions},
    {"--history-max", history_limit},
};

CHECK_MAIN(checks)
