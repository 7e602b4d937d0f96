/* hiredis as a client of txkv: hiredis [CASE]... PORT. The cases: docs/clients.md. Exits 1 where something is
 * not right. Version 0.14 speaks RESP2 alone. */
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PIPELINE 1000
#define RETRIES_MAX 5

static int port;

#define CHECK(condition, ...)                                                                                          \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            fprintf(stderr, "%s:%d: %s: ", __FILE__, __LINE__, #condition);                                            \
            fprintf(stderr, __VA_ARGS__);                                                                              \
            fputc('\n', stderr);                                                                                       \
            exit(1);                                                                                                   \
        }                                                                                                              \
    } while (0)

static redisContext *connect_once(void)
{
    redisContext *c = redisConnectWithTimeout("127.0.0.1", port, (struct timeval){.tv_sec = 20});
    CHECK(c != NULL && c->err == 0, "%s", c == NULL ? "no memory" : c->errstr);
    redisSetTimeout(c, (struct timeval){.tv_sec = 20});
    return c;
}

/* The answer is a status or a bulk string of these bytes, or an error that begins with them. */
static void check_bytes(redisReply *reply, int type, const void *wanted, size_t len)
{
    CHECK(reply != NULL, "no answer");
    CHECK(reply->type == type, "type %d: %s", reply->type, reply->str);
    CHECK((size_t)reply->len >= len && (type == REDIS_REPLY_ERROR || (size_t)reply->len == len), "%s", reply->str);
    CHECK(memcmp(reply->str, wanted, len) == 0, "%s", reply->str);
    freeReplyObject(reply);
}

static void check_ok(redisReply *reply)
{
    check_bytes(reply, REDIS_REPLY_STATUS, "OK", 2);
}

static void check_error(redisReply *reply, const char *begin)
{
    check_bytes(reply, REDIS_REPLY_ERROR, begin, strlen(begin));
}

static void check_value(redisReply *reply, const char *wanted)
{
    check_bytes(reply, REDIS_REPLY_STRING, wanted, strlen(wanted));
}

static void check_integer(redisReply *reply, long long wanted)
{
    CHECK(reply != NULL && reply->type == REDIS_REPLY_INTEGER, "no integer");
    CHECK(reply->integer == wanted, "%lld", reply->integer);
    freeReplyObject(reply);
}

static void check_nil(redisReply *reply)
{
    CHECK(reply != NULL && reply->type == REDIS_REPLY_NIL, "not nil");
    freeReplyObject(reply);
}

static void fill(char bytes[256])
{
    for (int i = 0; i < 256; i++) {
        bytes[i] = (char)i;
    }
}

/* It sends nothing by itself. */
static void handshake(void)
{
    redisContext *c = connect_once();
    check_bytes(redisCommand(c, "PING"), REDIS_REPLY_STATUS, "PONG", 4);
    check_ok(redisCommand(c, "SELECT 0"));
    check_error(redisCommand(c, "SELECT 1"), "ERR DB index is out of range");
    redisReply *info = redisCommand(c, "INFO");
    CHECK(info != NULL && info->type == REDIS_REPLY_STRING && strstr(info->str, "\r\nloading:0\r\n") != NULL,
          "no INFO");
    freeReplyObject(info);
    redisFree(c);
}

static void strings(void)
{
    redisContext *c = connect_once();
    char bytes[256];
    fill(bytes);
    check_ok(redisCommand(c, "SET %s %s", "key", "a value"));
    check_value(redisCommand(c, "GET key"), "a value");
    check_nil(redisCommand(c, "GET nothing"));
    check_ok(redisCommand(c, "SET %b %b", bytes, sizeof(bytes), bytes, sizeof(bytes)));
    check_bytes(redisCommand(c, "GET %b", bytes, sizeof(bytes)), REDIS_REPLY_STRING, bytes, sizeof(bytes));
    check_integer(redisCommand(c, "EXISTS key nothing"), 1);
    check_integer(redisCommand(c, "INCRBY n 42"), 42);
    check_error(redisCommand(c, "INCR key"), "ERR value is not an integer or out of range");
    redisFree(c);
}

static void expiry(void)
{
    redisContext *c = connect_once();
    check_ok(redisCommand(c, "SET key value EX 100 NX"));
    check_nil(redisCommand(c, "SET key other NX"));
    redisReply *ttl = redisCommand(c, "PTTL key");
    CHECK(ttl != NULL && ttl->type == REDIS_REPLY_INTEGER, "no PTTL");
    CHECK(ttl->integer > 0 && ttl->integer <= 100000, "%lld", ttl->integer);
    freeReplyObject(ttl);
    check_integer(redisCommand(c, "PERSIST key"), 1);
    check_integer(redisCommand(c, "TTL key"), -1);
    check_integer(redisCommand(c, "TTL nothing"), -2);
    check_value(redisCommand(c, "SET key new GET"), "value");
    check_integer(redisCommand(c, "PEXPIRE key -1"), 1);
    check_integer(redisCommand(c, "EXISTS key"), 0);
    redisFree(c);
}

static void pipeline(void)
{
    redisContext *c = connect_once();
    for (int i = 0; i < PIPELINE; i++) {
        redisAppendCommand(c, "SET key%d %d", i, i);
        redisAppendCommand(c, "GET key%d", i);
    }
    for (int i = 0; i < PIPELINE; i++) {
        void *reply;
        char value[16];
        CHECK(redisGetReply(c, &reply) == REDIS_OK, "%s", c->errstr);
        check_ok(reply);
        CHECK(redisGetReply(c, &reply) == REDIS_OK, "%s", c->errstr);
        snprintf(value, sizeof(value), "%d", i);
        check_value(reply, value);
    }
    redisFree(c);
}

static void check_queued(redisReply *reply)
{
    check_bytes(reply, REDIS_REPLY_STATUS, "QUEUED", 6);
}

static void multi(void)
{
    redisContext *c = connect_once();
    check_ok(redisCommand(c, "MULTI"));
    check_queued(redisCommand(c, "SET text x"));
    check_queued(redisCommand(c, "INCR text"));
    check_queued(redisCommand(c, "INCR n"));
    redisReply *reply = redisCommand(c, "EXEC");
    CHECK(reply != NULL && reply->type == REDIS_REPLY_ARRAY && reply->elements == 3, "EXEC");
    CHECK(reply->element[0]->type == REDIS_REPLY_STATUS, "SET");
    CHECK(reply->element[1]->type == REDIS_REPLY_ERROR, "INCR of a text");
    CHECK(reply->element[2]->type == REDIS_REPLY_INTEGER && reply->element[2]->integer == 1, "INCR");
    freeReplyObject(reply);
    check_ok(redisCommand(c, "MULTI"));
    check_error(redisCommand(c, "NO-SUCH-COMMAND"), "ERR unknown command");
    check_queued(redisCommand(c, "INCR n"));
    check_error(redisCommand(c, "EXEC"), "EXECABORT");
    check_value(redisCommand(c, "GET n"), "1");
    redisFree(c);
}

static void watch(void)
{
    redisContext *c = connect_once();
    redisContext *other = connect_once();
    check_ok(redisCommand(c, "WATCH n"));
    check_nil(redisCommand(c, "GET n"));
    check_ok(redisCommand(other, "SET n 10"));
    check_ok(redisCommand(c, "MULTI"));
    check_queued(redisCommand(c, "SET n 1"));
    check_nil(redisCommand(c, "EXEC"));
    check_value(redisCommand(c, "GET n"), "10");
    redisFree(c);
    redisFree(other);
}

static void transaction(void)
{
    redisContext *c = connect_once();
    redisContext *other = connect_once();
    check_ok(redisCommand(c, "SET balance 100"));
    check_ok(redisCommand(c, "BEGIN"));
    check_value(redisCommand(c, "GET balance"), "100");
    check_ok(redisCommand(other, "SET balance 50"));
    check_value(redisCommand(c, "GET balance"), "100");
    check_integer(redisCommand(c, "DECRBY balance 10"), 90);
    check_value(redisCommand(c, "GET balance"), "90");
    check_value(redisCommand(other, "GET balance"), "50");
    check_ok(redisCommand(c, "COMMIT"));
    check_value(redisCommand(other, "GET balance"), "90");
    check_ok(redisCommand(c, "BEGIN"));
    check_integer(redisCommand(c, "INCR balance"), 91);
    check_ok(redisCommand(c, "ROLLBACK"));
    check_value(redisCommand(c, "GET balance"), "90");
    redisFree(c);
    redisFree(other);
}

/* Takes one from the stock; whether COMMIT did it. `other` writes meanwhile, unless it is NULL. */
static int take_one(redisContext *c, redisContext *other)
{
    check_ok(redisCommand(c, "BEGIN SERIALIZABLE"));
    redisReply *stock = redisCommand(c, "GET stock");
    CHECK(stock != NULL && stock->type == REDIS_REPLY_STRING, "no stock");
    if (other != NULL) {
        check_ok(redisCommand(other, "SET stock 3"));
    }
    check_ok(redisCommand(c, "SET stock %d", atoi(stock->str) - 1));
    freeReplyObject(stock);
    redisReply *end = redisCommand(c, "COMMIT");
    CHECK(end != NULL, "%s", c->errstr);
    int done = end->type == REDIS_REPLY_STATUS;
    CHECK(done || strncmp(end->str, "CONFLICT ", 9) == 0, "%s", end->str);
    freeReplyObject(end);
    return done;
}

static void conflict(void)
{
    redisContext *c = connect_once();
    redisContext *other = connect_once();
    int tries = 1;
    check_ok(redisCommand(c, "SET stock 5"));
    while (!take_one(c, tries == 1 ? other : NULL) && tries < RETRIES_MAX) {
        check_value(redisCommand(other, "GET stock"), "3");
        tries++;
    }
    CHECK(tries == 2, "%d tries", tries);
    check_value(redisCommand(other, "GET stock"), "2");
    redisFree(c);
    redisFree(other);
}

static void restart(void)
{
    char line[64] = "";
    printf("restart\n");
    fflush(stdout);
    CHECK(fgets(line, sizeof(line), stdin) != NULL && strcmp(line, "restarted\n") == 0, "%s", line);
}

/* A transaction whose connection is lost is not applied. */
static void lost(void)
{
    redisContext *c = connect_once();
    check_ok(redisCommand(c, "SET kept 1"));
    check_ok(redisCommand(c, "BEGIN"));
    check_ok(redisCommand(c, "SET half 1"));
    restart();
    redisReply *end = redisCommand(c, "COMMIT");
    CHECK(end == NULL && c->err != 0, "COMMIT of a transaction that is lost");
    CHECK(redisReconnect(c) == REDIS_OK, "%s", c->errstr);
    check_value(redisCommand(c, "GET kept"), "1");
    check_nil(redisCommand(c, "GET half"));
    check_error(redisCommand(c, "COMMIT"), "ERR COMMIT without");
    redisFree(c);
}

static void reconnect(void)
{
    redisContext *c = connect_once();
    check_ok(redisCommand(c, "SET key value"));
    restart();
    CHECK(redisReconnect(c) == REDIS_OK, "%s", c->errstr);
    check_value(redisCommand(c, "GET key"), "value");
    redisFree(c);
}

static void closing(void)
{
    redisContext *c = connect_once();
    check_ok(redisCommand(c, "BEGIN"));
    check_ok(redisCommand(c, "SET key lost"));
    redisFree(c);
    c = connect_once();
    check_nil(redisCommand(c, "GET key"));
    check_ok(redisCommand(c, "QUIT"));
    redisReply *behind = redisCommand(c, "GET key");
    CHECK(behind == NULL && c->err == REDIS_ERR_EOF, "an answer behind QUIT");
    redisFree(c);
}

static const struct {
    const char *name;
    void (*run)(void);
} cases[] = {
    {"handshake", handshake}, {"strings", strings},     {"expiry", expiry},           {"pipeline", pipeline},
    {"multi", multi},         {"watch", watch},         {"transaction", transaction}, {"conflict", conflict},
    {"lost", lost},           {"reconnect", reconnect}, {"closing", closing},
};

static int is_chosen(const char *name, int argc, char **argv)
{
    for (int i = 1; i < argc - 1; i++) {
        if (strcmp(argv[i], name) == 0) {
            return 1;
        }
    }
    return argc == 2;
}

int main(int argc, char **argv)
{
    port = argc > 1 ? atoi(argv[argc - 1]) : 0;
    printf("hiredis %d.%d.%d\n", HIREDIS_MAJOR, HIREDIS_MINOR, HIREDIS_PATCH);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        if (is_chosen(cases[i].name, argc, argv)) {
            printf("%s\n", cases[i].name);
            redisContext *c = connect_once();
            check_ok(redisCommand(c, "FLUSHALL"));
            redisFree(c);
            cases[i].run();
        }
    }
    return 0;
}
