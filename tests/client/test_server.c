/* The client library against a real server. Usage: test_server path-of-txkv-server */
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>

#include "check.h"
#include "process.h"
#include "txkv.h"

static const char *server_path;
static struct server server;

static struct txkv *connect_here(void)
{
    struct txkv *c;
    CHECK_INT(txkv_connect(&c, NULL, server.port, 10000), TXKV_OK);
    return c;
}

static void test_commands(void)
{
    struct txkv *c = connect_here();
    struct txkv_value values[3];
    const char *keys[] = {"a", "none", "empty"};
    bool exists = false;
    int64_t number = 0;
    CHECK_INT(txkv_ping(c), TXKV_OK);
    CHECK_INT(txkv_set(c, "a", "\0 \xff ", 4), TXKV_OK);
    CHECK_INT(txkv_set(c, "empty", "", 0), TXKV_OK);
    CHECK_INT(txkv_mget(c, keys, 3, values), TXKV_OK);
    CHECK(values[0].len == 4 && memcmp(values[0].data, "\0 \xff ", 4) == 0);
    CHECK_INT(values[1].len, 0);
    CHECK_INT(values[2].len, 0);
    CHECK_INT(txkv_exists(c, "empty", &exists), TXKV_OK);
    CHECK(exists);
    CHECK_INT(txkv_exists(c, "none", &exists), TXKV_OK);
    CHECK(!exists);
    CHECK_INT(txkv_incr(c, "number", INT64_MAX, &number), TXKV_OK);
    CHECK(number == INT64_MAX);
    CHECK_INT(txkv_incr(c, "number", 1, &number), TXKV_ERR_OVERFLOW);
    CHECK_INT(txkv_incr(c, "a", 1, &number), TXKV_ERR_NOTINT);
    CHECK_INT(txkv_incr(c, "number", INT64_MIN, &number), TXKV_OK);
    CHECK_INT(number, -1);
    CHECK_INT(txkv_del(c, "a"), TXKV_OK);
    CHECK_INT(txkv_exists(c, "a", &exists), TXKV_OK);
    CHECK(!exists);
    txkv_close(c);
}

static void test_transaction_states(void)
{
    struct txkv *c = connect_here();
    struct txkv *d = connect_here();
    struct txkv_value value;
    struct txkv_reply reply;
    CHECK_INT(txkv_commit(c), TXKV_ERR_NOTX);
    CHECK_INT(txkv_begin(c, TXKV_READONLY), TXKV_OK);
    CHECK_INT(txkv_begin(c, TXKV_DEFAULT), TXKV_ERR_INTX);
    CHECK_INT(txkv_transaction_state(c), TXKV_STATE_OPEN);
    CHECK_INT(txkv_set(c, "a", "1", 1), TXKV_ERR_READONLY);
    CHECK_INT(txkv_transaction_state(c), TXKV_STATE_FAILED);
    CHECK_INT(txkv_get(c, "a", &value), TXKV_ERR_ABORTED);
    CHECK_INT(txkv_command(c, "COMMIT now", 10, &reply), TXKV_ERR_ABORTED);
    CHECK_INT(txkv_transaction_state(c), TXKV_STATE_FAILED);
    CHECK_INT(txkv_commit(c), TXKV_ERR_ABORTED);
    CHECK_INT(txkv_transaction_state(c), TXKV_STATE_NONE);
    CHECK_INT(txkv_command(c, "BEGIN now", 9, &reply), TXKV_ERR_SYNTAX);
    CHECK_INT(txkv_transaction_state(c), TXKV_STATE_FAILED);
    CHECK_INT(txkv_rollback(c), TXKV_OK);
    CHECK_INT(txkv_begin(c, TXKV_SERIALIZABLE), TXKV_OK);
    CHECK_INT(txkv_get(c, "a", &value), TXKV_OK);
    CHECK_INT(txkv_set(d, "a", "2", 1), TXKV_OK);
    CHECK_INT(txkv_set(c, "b", "3", 1), TXKV_OK);
    CHECK_INT(txkv_commit(c), TXKV_ERR_CONFLICT);
    CHECK_INT(txkv_rollback(c), TXKV_ERR_NOTX);
    txkv_close(c);
    txkv_close(d);
}

/* A refused MGET in whatever way is one line: the next answer is the next command's. */
static void test_refused_mget(void)
{
    static const char *const lines[] = {"MGET", "MGET ", "MGET a ", "MGET a  b", "MGET  a", "mget a\tb c"};
    struct txkv *c = connect_here();
    struct txkv_reply reply;
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        CHECK_INT(txkv_command(c, lines[i], strlen(lines[i]), &reply), TXKV_ERR_SYNTAX);
        CHECK_INT(reply.count, 1);
        CHECK_INT(txkv_ping(c), TXKV_OK);
    }
    txkv_close(c);
}

/* More answers than any buffer holds, while commands are still being sent: the server stops reading meanwhile. */
static void test_a_long_pipeline(void)
{
    enum { VALUE = 512 * 1024, READS = 64, WRITES = 20000 };
    struct txkv *c = connect_here();
    struct txkv_reply reply;
    char *value = malloc(VALUE);
    memset(value, 'v', VALUE);
    CHECK_INT(txkv_set(c, "big", value, VALUE), TXKV_OK);
    for (int i = 0; i < READS; i++) {
        txkv_append_get(c, "big");
    }
    for (int i = 0; i < WRITES; i++) {
        txkv_append_set(c, "small", value, 1000);
    }
    CHECK_INT(txkv_send(c), TXKV_OK);
    for (int i = 0; i < READS; i++) {
        bool right = txkv_next_reply(c, &reply) == TXKV_OK && reply.values[0].len == VALUE;
        if (!CHECK(right && memcmp(reply.values[0].data, value, VALUE) == 0)) {
            break;
        }
    }
    for (int i = 0; i < WRITES; i++) {
        if (!CHECK(txkv_next_reply(c, &reply) == TXKV_OK)) {
            break;
        }
    }
    CHECK_INT(txkv_pending(c), 0);
    free(value);
    txkv_close(c);
}

#define ADDERS 4
#define ADDS 100

/* Reads and writes rather than using INCR, so that only retries keep the sum right. */
static int add_one(struct txkv *c, void *ctx)
{
    struct txkv_value value;
    char text[32];
    (void)ctx;
    int rc = txkv_get(c, "sum", &value);
    if (rc != TXKV_OK) {
        return rc;
    }
    int len = snprintf(text, sizeof text, "%lld", strtoll(value.data, NULL, 10) + 1);
    return txkv_set(c, "sum", text, (size_t)len);
}

static void *run_adder(void *ctx)
{
    size_t *failed = ctx;
    struct txkv *c;
    if (txkv_connect(&c, NULL, server.port, 10000) != TXKV_OK) {
        *failed = ADDS;
    }
    for (int i = 0; *failed == 0 && i < ADDS; i++) {
        *failed = txkv_transaction(c, TXKV_SERIALIZABLE, add_one, NULL, 1000) != TXKV_OK;
    }
    txkv_close(c);
    return NULL;
}

static void test_concurrent_transactions_lose_nothing(void)
{
    pthread_t threads[ADDERS];
    size_t failed[ADDERS] = {0};
    for (int i = 0; i < ADDERS; i++) {
        CHECK(pthread_create(&threads[i], NULL, run_adder, &failed[i]) == 0);
    }
    for (int i = 0; i < ADDERS; i++) {
        pthread_join(threads[i], NULL);
        CHECK_INT(failed[i], 0);
    }
    struct txkv *c = connect_here();
    struct txkv_value value;
    CHECK_INT(txkv_get(c, "sum", &value), TXKV_OK);
    CHECK_INT(atoi(value.data), ADDERS * ADDS);
    txkv_close(c);
}

static void test_the_server_dies(void)
{
    struct txkv *c = connect_here();
    int port = server.port;
    CHECK_INT(txkv_begin(c, TXKV_DEFAULT), TXKV_OK);
    server_kill(&server);
    CHECK_INT(txkv_check(c), TXKV_ERR_LOST);
    CHECK_INT(txkv_commit(c), TXKV_ERR_LOST);
    CHECK_INT(txkv_reconnect(c), TXKV_ERR_CONNECT);
    server = server_start(server_path, port);
    CHECK_INT(txkv_reconnect(c), TXKV_OK);
    CHECK_INT(txkv_transaction_state(c), TXKV_STATE_NONE);
    CHECK_INT(txkv_ping(c), TXKV_OK);
    txkv_close(c);
}

static const struct test tests[] = {
    {"commands", test_commands},
    {"transaction states", test_transaction_states},
    {"refused MGET", test_refused_mget},
    {"a long pipeline", test_a_long_pipeline},
    {"concurrent transactions lose nothing", test_concurrent_transactions_lose_nothing},
    {"the server dies", test_the_server_dies},
};

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: test_server txkv-server\n");
        return 2;
    }
    server_path = argv[1];
    server = server_start(server_path, 0);
    int status = check_run(tests, sizeof tests / sizeof tests[0]);
    server_stop(&server);
    return status != 0 || check_failures > 0 ? 1 : 0;
}
