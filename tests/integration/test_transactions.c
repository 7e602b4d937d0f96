/* Transactions under the server's options: expiry, history, isolation, quiet answers. */
#include <stdio.h>
#include <string.h>

#include "check.h"
#include "server_fixture.h"
#include "wire.h"

#define MIB ((size_t)1 << 20)
#define INCREMENTS 200000

static void idle_transaction(void)
{
    struct server s;
    struct client idle;
    struct client busy;
    server_start(&s, "--tx-idle", "1", NULL);
    client_open(&idle, &s);
    client_open(&busy, &s);
    client_ask(&idle, "SET a 1", "OK");
    client_ask(&idle, "BEGIN", "OK");
    client_ask(&idle, "SET a 2", "OK");
    client_ask(&busy, "BEGIN", "OK");
    int64_t end_ms = check_now_ms() + 2000;
    while (check_now_ms() < end_ms) {
        client_ask(&busy, "GET a", "1"); /* a transaction with commands is not idle, however long it lasts */
    }
    client_ask(&busy, "SET b 1", "OK");
    client_ask(&busy, "COMMIT", "OK");
    client_ask_start(&idle, "GET a", "ERR EXPIRED ");
    client_ask_start(&idle, "SET a 3", "ERR EXPIRED ");
    client_ask_start(&idle, "COMMIT", "ERR EXPIRED ");
    client_ask(&idle, "GET a", "1");
    client_ask_start(&idle, "COMMIT", "ERR NOTX ");
    client_ask(&idle, "BEGIN", "OK");
    client_ask(&idle, "SET a 4", "OK");
    client_ask(&idle, "COMMIT", "OK");
    client_ask(&busy, "GET a", "4");
    client_close(&idle);
    client_close(&busy);
    server_stop(&s);
}

/* Writes of this many keys, over and over, all of which an old snapshot needs once. */
static void overwrite(struct client *c, int keys, char fill)
{
    struct text out = {0};
    struct text expected = {0};
    for (int i = 0; i < keys; i++) {
        text_add_line(&out, fill, 500, "SET key%d ", i);
        text_addf(&expected, "OK\r\n");
    }
    client_exchange(c, &out, &expected);
    text_free(&out);
    text_free(&expected);
}

static void history_limit(void)
{
    struct server s;
    struct client writer;
    struct client old;
    struct client young;
    server_start(&s, "--history-max", "256K", NULL);
    client_open(&writer, &s);
    client_open(&old, &s);
    client_open(&young, &s);
    overwrite(&writer, 2000, 'a');
    client_ask(&writer, "SET x 1", "OK");
    client_ask(&old, "BEGIN", "OK");
    client_ask(&old, "SET mine 1", "OK");
    overwrite(&writer, 100, 'b'); /* 50 KB */
    client_ask(&writer, "SET x 2", "OK");
    client_ask(&old, "GET x", "1");
    overwrite(&writer, 2000, 'c'); /* 1 MB: too much */
    client_ask(&young, "BEGIN", "OK");
    client_ask_start(&old, "GET x", "ERR EXPIRED ");
    client_ask_start(&old, "COMMIT", "ERR EXPIRED ");
    client_ask(&old, "EXISTS mine", "0");
    client_ask(&writer, "SET x 3", "OK");
    client_ask(&young, "GET x", "2");
    client_ask(&young, "COMMIT", "OK");
    client_close(&writer);
    client_close(&old);
    client_close(&young);
    server_stop(&s);
}

/* Many clients that each hold a snapshot of their own beside a hot counter: the oldest go first, the youngest stays. */
static void history_of_a_hot_counter(void)
{
    struct server s;
    struct client writer;
    struct client c[64];
    int expired = 0;
    server_start(&s, "--history-max", "16K", NULL);
    client_open(&writer, &s);
    client_ask(&writer, "INCR n", "1");
    for (int i = 0; i < 64; i++) {
        char line[64];
        client_open(&c[i], &s);
        client_ask(&c[i], "BEGIN", "OK");
        snprintf(line, sizeof(line), "INCR n%d", i);
        client_ask(&writer, line, "1");
        overwrite(&writer, 10, 'a');
    }
    for (int i = 0; i < 64; i++) {
        size_t len;
        client_sendf(&c[i], "GET n\r\n");
        const char *line = client_line(&c[i], &len);
        CHECK(line != NULL, "the client of a transaction was closed");
        bool is_expired = strncmp(line, "ERR EXPIRED ", 12) == 0;
        CHECK(is_expired || strcmp(line, "1") == 0, "transaction %d read '%s'", i, line);
        CHECK(!is_expired || expired == i, "transaction %d was expired, and an older one was not", i);
        expired += is_expired ? 1 : 0;
        client_close(&c[i]);
    }
    CHECK(expired > 0 && expired < 64, "%d of 64 transactions were expired", expired);
    client_close(&writer);
    server_stop(&s);
}

/* A transaction that sleeps needs the one version that it sees, not each that came after. */
static void idle_beside_a_hot_counter(void)
{
    struct server s;
    struct client idle;
    struct client writer;
    struct text out = {0};
    struct text expected = {0};
    check_needs_plain_memory();
    server_start(&s, "--history-max", "64K", NULL);
    client_open(&idle, &s);
    client_open(&writer, &s);
    client_ask(&writer, "INCR n", "1");
    client_ask(&idle, "BEGIN", "OK");
    client_ask(&idle, "GET n", "1");
    for (int i = 0; i < INCREMENTS; i++) {
        text_addf(&out, "INCR n\r\n");
        text_addf(&expected, "%d\r\n", i + 2);
    }
    size_t before = server_memory(&s, "VmRSS");
    client_exchange(&writer, &out, &expected);
    size_t most = server_memory(&s, "VmHWM");
    CHECK(most < before + 4 * MIB, "%d increments beside an idle transaction took %zu bytes", INCREMENTS,
          most - before);
    client_ask(&idle, "GET n", "1"); /* it was not expired for them */
    client_ask(&idle, "COMMIT", "OK");
    client_ask(&idle, "GET n", "200001");
    client_close(&idle);
    client_close(&writer);
    server_stop(&s);
}

/* A history that grows is cut, not the memory eaten: snapshots come and go, one stays. */
static void history_stays_bounded(void)
{
    struct server s;
    struct client old;
    struct client writer;
    check_needs_plain_memory();
    server_start(&s, "--history-max", "1M", NULL);
    client_open(&old, &s);
    client_open(&writer, &s);
    overwrite(&writer, 4000, 'a');
    overwrite(&writer, 4000, 'b');
    size_t before = server_memory(&s, "VmHWM");
    for (int i = 0; i < 10; i++) {
        client_ask(&old, "BEGIN", "OK");
        overwrite(&writer, 4000, (char)('c' + i)); /* 2 MB of history */
        client_ask_start(&old, "COMMIT", "ERR EXPIRED ");
    }
    size_t most = server_memory(&s, "VmHWM");
    CHECK(most < before + 8 * MIB, "with --history-max 1M the memory grew by %zu bytes", most - before);
    client_close(&old);
    client_close(&writer);
    server_stop(&s);
}

static void quiet(void)
{
    struct server s;
    struct client c;
    struct client other;
    server_start(&s, "--quiet-transactions", NULL);
    client_open(&c, &s);
    client_open(&other, &s);
    client_sendf(&c, "BEGIN\r\nSET a 1\r\nGET a\r\nCOMMIT\r\nGET a\r\nBEGIN\r\nDEL a\r\nROLLBACK\r\nGET a\r\nPING\r\n");
    client_expect(&c, "OK");
    client_expect(&c, "1");
    client_expect(&c, "1");
    client_expect(&c, "OK");
    client_expect(&c, "1");
    client_expect(&c, "+PONG");
    client_ask_start(&c, "COMMIT", "ERR NOTX "); /* what goes wrong is said all the same */
    client_ask_start(&c, "ROLLBACK", "ERR NOTX ");
    client_sendf(&c, "BEGIN SERIALIZABLE\r\n");
    client_ask(&c, "GET a", "1");
    client_ask_start(&c, "BEGIN", "ERR INTX ");
    client_ask(&other, "SET a 2", "OK");
    client_ask(&c, "SET b 1", "OK");
    client_ask_start(&c, "COMMIT", "ERR CONFLICT ");
    client_ask(&c, "EXISTS b", "0");
    client_close(&c);
    client_close(&other);
    server_stop(&s);
}

/* The answer to COMMIT of a plain BEGIN that has read what another one changed. */
static void lose_a_race(const char *isolation, const char *begin, const char *answer)
{
    struct server s;
    struct client c;
    struct client other;
    server_start(&s, "--isolation", isolation, NULL);
    client_open(&c, &s);
    client_open(&other, &s);
    client_ask(&c, begin, "OK");
    client_ask(&c, "GET a", "");
    client_ask(&other, "SET a 1", "OK");
    client_ask(&c, "SET b 1", "OK");
    client_ask_start(&c, "COMMIT", answer);
    client_close(&c);
    client_close(&other);
    server_stop(&s);
}

static void isolation(void)
{
    lose_a_race("plain", "BEGIN", "OK");
    lose_a_race("plain", "BEGIN SERIALIZABLE", "ERR CONFLICT ");
    lose_a_race("serializable", "BEGIN", "ERR CONFLICT ");
    lose_a_race("serializable", "BEGIN SERIALIZABLE", "ERR CONFLICT ");
}

static void transaction_limits(void)
{
    struct server s;
    struct client c;
    server_start(&s, "--tx-keys", "3", NULL);
    client_open(&c, &s);
    client_ask(&c, "BEGIN", "OK");
    client_ask(&c, "SET a 1", "OK");
    client_ask(&c, "SET b 1", "OK");
    client_ask(&c, "SET c 1", "OK");
    client_ask(&c, "SET a 2", "OK");
    client_ask_start(&c, "SET d 1", "ERR TOOBIG ");
    client_ask_start(&c, "COMMIT", "ERR ABORTED ");
    client_ask(&c, "DBSIZE", "0");
    client_close(&c);
    server_stop(&s);
}

static const struct check checks[] = {
    {"idle transaction", idle_transaction},
    {"history limit", history_limit},
    {"history of a hot counter", history_of_a_hot_counter},
    {"idle beside a hot counter", idle_beside_a_hot_counter},
    {"history stays bounded", history_stays_bounded},
    {"--quiet-transactions", quiet},
    {"--isolation", isolation},
    {"transaction limits", transaction_limits},
};

CHECK_MAIN(checks)
