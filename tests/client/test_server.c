/* The client library against a real server. Usage: test_server path-of-txkv-server */
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

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
static int set_a(struct txkv *c, void *ctx)
{
    (void)ctx;
    return txkv_set(c, "a", "2", 1);
}

static void test_a_password(void)
{
    char path[] = "/tmp/txkv-password-XXXXXX";
    char long_one[TXKV_PASSWORD_MAX + 2];
    int file = mkstemp(path);
    const char *const options[] = {"--password-file", path, NULL};
    struct txkv *c;
    struct txkv *none = connect_here();
    struct txkv_value value;
    memset(long_one, 'x', sizeof long_one);
    long_one[sizeof long_one - 1] = '\0';
    CHECK(file >= 0 && write(file, "open sesame\n", 12) == 12);
    close(file);
    struct server s = server_start_with(server_path, 0, options);
    CHECK_INT(txkv_connect(&c, NULL, s.port, 10000), TXKV_OK);
    CHECK_INT(txkv_set(c, "a", "1", 1), TXKV_ERR_DENIED);
    CHECK_INT(txkv_begin(c, TXKV_DEFAULT), TXKV_ERR_DENIED);
    CHECK_INT(txkv_transaction_state(c), TXKV_STATE_NONE);
    CHECK_INT(txkv_auth(c, "sesame"), TXKV_ERR_DENIED);
    CHECK(strstr(txkv_errmsg(c), "sesame") == NULL);
    CHECK_INT(txkv_auth(c, NULL), TXKV_ERR_ARG);
    CHECK_INT(txkv_auth(c, ""), TXKV_ERR_ARG);
    CHECK_INT(txkv_auth(c, "a\nSET a 3"), TXKV_ERR_ARG);
    CHECK_INT(txkv_auth(c, long_one), TXKV_ERR_ARG);
    CHECK_INT(txkv_reconnect(c), TXKV_OK);
    CHECK_INT(txkv_ping(c), TXKV_ERR_DENIED);
    CHECK_INT(txkv_auth(c, "open sesame"), TXKV_OK);
    CHECK_INT(txkv_set(c, "a", "1", 1), TXKV_OK);
    CHECK_INT(txkv_reconnect(c), TXKV_OK);
    CHECK_INT(txkv_transaction(c, TXKV_DEFAULT, set_a, NULL, 1), TXKV_OK);
    CHECK_INT(txkv_get(c, "a", &value), TXKV_OK);
    CHECK_TEXT(value.data, "2");
    CHECK_INT(txkv_auth(none, "x"), TXKV_ERR_DENIED);
    CHECK_INT(txkv_ping(none), TXKV_OK);
    txkv_close(none);
    txkv_close(c);
    server_stop(&s);
    unlink(path);
}

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

static void test_ids(void)
{
    struct txkv *c = connect_here();
    struct txkv *d = connect_here();
    enum txkv_outcome_state outcome = TXKV_ABORTED;
    CHECK_INT(txkv_outcome(c, "id", &outcome), TXKV_OK);
    CHECK_INT(outcome, TXKV_UNKNOWN);
    CHECK_INT(txkv_begin_id(c, TXKV_SERIALIZABLE, "id"), TXKV_OK);
    CHECK_INT(txkv_set(c, "id", "c", 1), TXKV_OK);
    CHECK_INT(txkv_begin_id(d, TXKV_DEFAULT, "id"), TXKV_OK);
    CHECK_INT(txkv_commit(c), TXKV_ERR_EXPIRED);
    CHECK_INT(txkv_rollback(d), TXKV_OK);
    CHECK_INT(txkv_outcome(c, "id", &outcome), TXKV_OK);
    CHECK_INT(outcome, TXKV_ABORTED);
    CHECK_INT(txkv_begin_id(c, TXKV_DEFAULT, "id"), TXKV_OK);
    CHECK_INT(txkv_commit(c), TXKV_OK);
    CHECK_INT(txkv_outcome(d, "id", &outcome), TXKV_OK);
    CHECK_INT(outcome, TXKV_COMMITTED);
    CHECK_INT(txkv_begin_id(d, TXKV_DEFAULT, "id"), TXKV_ERR_DONE);
    CHECK_INT(txkv_rollback(d), TXKV_OK);
    CHECK_INT(txkv_transaction(c, TXKV_DEFAULT, add_one, NULL, 1), TXKV_OK);
    CHECK_INT(txkv_outcome(d, txkv_transaction_id(c), &outcome), TXKV_OK);
    CHECK_INT(outcome, TXKV_COMMITTED);
    txkv_close(c);
    txkv_close(d);
}

/* ---- a connection that is lost at COMMIT ---- */

/* Stands between a client and the server, and loses the first connection. */
struct proxy {
    int listener;
    int port;
    bool passes_commit; /* the server gets COMMIT, and its answer is lost; else the server never sees the end of the connection */
    int late;           /* that connection, without passes_commit */
};

static int listen_anywhere(int *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(bind(fd, (const struct sockaddr *)&address, len) == 0 && listen(fd, 8) == 0);
    CHECK(getsockname(fd, (struct sockaddr *)&address, &len) == 0);
    *port = ntohs(address.sin_port);
    return fd;
}

static int connect_server(void)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons((uint16_t)server.port)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(connect(fd, (const struct sockaddr *)&address, sizeof address) == 0);
    return fd;
}

/* Passes bytes on in both directions until the client is at its end, or has sent COMMIT while stop_at_commit. */
static void pass(int client, int upstream, bool stop_at_commit)
{
    static const char commit[] = "COMMIT\r\n";
    char bytes[4096];
    for (;;) {
        struct pollfd p[2] = {{client, POLLIN, 0}, {upstream, POLLIN, 0}};
        poll(p, 2, -1);
        if (p[1].revents != 0) {
            ssize_t n = recv(upstream, bytes, sizeof bytes, 0);
            if (n <= 0 || send(client, bytes, (size_t)n, MSG_NOSIGNAL) < 0) {
                return;
            }
        }
        if (p[0].revents != 0) {
            ssize_t n = recv(client, bytes, sizeof bytes, 0);
            if (n <= 0 || (stop_at_commit && n == sizeof commit - 1 && memcmp(bytes, commit, (size_t)n) == 0)) {
                return;
            }
            (void)!send(upstream, bytes, (size_t)n, MSG_NOSIGNAL);
        }
    }
}

static void *run_proxy(void *ctx)
{
    struct proxy *p = ctx;
    char answer[64];
    int client = accept(p->listener, NULL, NULL);
    int upstream = connect_server();
    pass(client, upstream, true);
    if (p->passes_commit) {
        CHECK(send(upstream, "COMMIT\r\n", 8, MSG_NOSIGNAL) == 8);
        CHECK(recv(upstream, answer, sizeof answer, 0) == 4);
        close(upstream);
    } else {
        p->late = upstream;
    }
    close(client);
    client = accept(p->listener, NULL, NULL);
    upstream = connect_server();
    pass(client, upstream, false);
    close(client);
    close(upstream);
    close(p->listener);
    return NULL;
}

/* Adds one through a proxy; the sum is 1 higher afterwards, however often that was tried. */
static void add_through(struct proxy *p)
{
    struct txkv *c = connect_here();
    struct txkv *d;
    struct txkv_value value;
    pthread_t thread;
    CHECK_INT(txkv_set(c, "sum", "10", 2), TXKV_OK);
    p->listener = listen_anywhere(&p->port);
    CHECK(pthread_create(&thread, NULL, run_proxy, p) == 0);
    CHECK_INT(txkv_connect(&d, NULL, p->port, 10000), TXKV_OK);
    CHECK_INT(txkv_transaction(d, TXKV_SERIALIZABLE, add_one, NULL, 2), TXKV_OK);
    txkv_close(d);
    pthread_join(thread, NULL);
    CHECK_INT(txkv_get(c, "sum", &value), TXKV_OK);
    CHECK_TEXT(value.data, "11");
    txkv_close(c);
}

static void test_the_answer_to_commit_is_lost(void)
{
    struct proxy p = {.passes_commit = true};
    add_through(&p);
}

/* The server takes the first connection for alive, and its COMMIT comes when all is over. */
static void test_commit_comes_too_late(void)
{
    struct proxy p = {.passes_commit = false};
    char answer[512] = "";
    add_through(&p);
    CHECK(send(p.late, "COMMIT\r\nGET sum\r\n", 17, MSG_NOSIGNAL) == 17);
    size_t len = 0;
    while (len < 4 || memcmp(answer + len - 4, "11\r\n", 4) != 0) {
        ssize_t n = recv(p.late, answer + len, sizeof answer - 1 - len, 0);
        if (!CHECK(n > 0)) {
            break;
        }
        len += (size_t)n;
    }
    CHECK(strncmp(answer, "ERR EXPIRED ", 12) == 0);
    close(p.late);
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
    {"a password", test_a_password},
    {"refused MGET", test_refused_mget},
    {"a long pipeline", test_a_long_pipeline},
    {"concurrent transactions lose nothing", test_concurrent_transactions_lose_nothing},
    {"IDs", test_ids},
    {"the answer to COMMIT is lost", test_the_answer_to_commit_is_lost},
    {"COMMIT comes too late", test_commit_comes_too_late},
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
