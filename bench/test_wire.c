/* Self-tests of the protocols: what requests look like, and what replies are taken for. */
#include <assert.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "reply.h"
#include "test_check.h"
#include "wire.h"

/* replies */

#define REPLIES_MAX 32

/* What a stream should be taken for: a letter for each reply, as in reply_kind; ! for REPLY_BAD. */
static char kind_letter(enum reply_kind kind)
{
    return "vnesl!"[kind];
}

/* Feeds pieces that end against an unreadable page: a byte read too far is a crash. */
struct guard {
    char *page;
    size_t size;
};

static struct guard guard_new(void)
{
    struct guard g = {.size = (size_t)sysconf(_SC_PAGESIZE)};
    g.page = mmap(NULL, 2 * g.size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert(g.page != MAP_FAILED && mprotect(g.page + g.size, g.size, PROT_NONE) == 0);
    return g;
}

/* kinds: a letter is added for each reply; behind one that is bad, nothing is read any more. */
static void feed(const struct guard *g, struct reply_parser *p, const char *bytes, size_t size, char *kinds)
{
    if (strchr(kinds, '!') != NULL) {
        return;
    }
    char *at = g->page + g->size - size;
    memcpy(at, bytes, size);
    const char *from = at;
    struct reply reply;
    while (strlen(kinds) < REPLIES_MAX - 1 && reply_next(p, &from, at + size, &reply)) {
        char letter[2] = {kind_letter(reply.kind), '\0'};
        strcat(kinds, letter);
        if (reply.kind == REPLY_BAD) {
            return;
        }
    }
    CHECK(from == at + size);
}

static void feed_in_three(const struct guard *g, struct reply_parser *p, const char *stream, size_t first, size_t second,
                          char *kinds)
{
    feed(g, p, stream, first, kinds);
    feed(g, p, stream + first, second - first, kinds);
    feed(g, p, stream + second, strlen(stream) - second, kinds);
}

static void check_stream(enum wire_proto proto, const char *stream, const char *expected)
{
    struct guard g = guard_new();
    size_t size = strlen(stream);
    struct reply_parser p;
    for (size_t first = 0; first <= size; first++) {
        for (size_t second = first; second <= size; second++) {
            char kinds[REPLIES_MAX] = "";
            reply_init(&p, proto);
            feed_in_three(&g, &p, stream, first, second, kinds);
            if (strcmp(kinds, expected) != 0) {
                printf("'%s' split at %zu and %zu: '%s', not '%s'\n", stream, first, second, kinds, expected);
                failures++;
                goto done;
            }
        }
    }
    char kinds[REPLIES_MAX] = "";
    reply_init(&p, proto);
    for (size_t i = 0; i < size; i++) {
        feed(&g, &p, stream + i, 1, kinds);
    }
    CHECK(strcmp(kinds, expected) == 0);
done:
    munmap(g.page, 2 * g.size);
}

static void test_text_replies_at_every_split(void)
{
    check_stream(WIRE_TEXT, "OK\r\nvalue with spaces\r\n\r\nERR SYNTAX what\r\n+PONG\r\nERR\r\nERROR\r\n\r\n",
                 "vvnevvvn");
    check_stream(WIRE_TEXT, "OK\nbare\n\nERR X y\n", "vvne");
    check_stream(WIRE_TEXT, "a\rb\r\nno end", "v");
}

static void test_resp_replies_at_every_split(void)
{
    check_stream(WIRE_RESP, "+OK\r\n$5\r\nhello\r\n$-1\r\n:42\r\n-ERR bad\r\n$0\r\n\r\n", "svnsev");
    check_stream(WIRE_RESP, "$9\r\n+OK\r\n$-1\n\r\n+OK\r\n", "vs");
    check_stream(WIRE_RESP, "*2\r\n+OK\r\n$1\r\nx\r\n*0\r\n*-1\r\n:1\r\n", "llns");
    check_stream(WIRE_RESP, "*3\r\n*2\r\n:1\r\n:2\r\n$-1\r\n*0\r\n+OK\r\n", "ls");
    check_stream(WIRE_RESP, "*2\r\n+OK\r\n-ERR in it\r\n+OK\r\n", "es");
}

static void test_what_is_not_resp_is_bad(void)
{
    check_stream(WIRE_RESP, "+OK\r\nOK\r\n", "s!");
    check_stream(WIRE_RESP, "\r\n", "!");
    check_stream(WIRE_RESP, "$\r\n", "!");
    check_stream(WIRE_RESP, "$12x\r\n", "!");
    check_stream(WIRE_RESP, "$-2\r\n", "!");
    check_stream(WIRE_RESP, "*1234567890123456789\r\n", "!");
}

static void test_memcache_replies_at_every_split(void)
{
    check_stream(WIRE_MEMCACHE, "VALUE key:1 0 5\r\nhello\r\nEND\r\nEND\r\nSTORED\r\nVERSION 1.6\r\n", "vnss");
    check_stream(WIRE_MEMCACHE, "ERROR\r\nCLIENT_ERROR bad\r\nSERVER_ERROR big\r\nNOT_STORED\r\n", "eees");
    check_stream(WIRE_MEMCACHE, "VALUE k 0 7\r\nEND\r\n\r\n\r\nEND\r\nVALUE k 9 0\r\n\r\nEND\r\nEND\r\n", "vvn");
    check_stream(WIRE_MEMCACHE, "STORED\r\nOK\r\n", "s!");
    check_stream(WIRE_MEMCACHE, "VALUE k 0 2x\r\n", "!");
    check_stream(WIRE_MEMCACHE, "VALUE k 0 -1\r\n", "!");
    check_stream(WIRE_MEMCACHE, "VALUE k 0 2\r\nab\r\nSTORED\r\n", "!");
    check_stream(WIRE_MEMCACHE, "+OK\r\n", "!");
}

struct taken {
    char bytes[128];
    size_t size;
};

static void on_value(void *arg, const char *bytes, size_t size)
{
    struct taken *t = arg;
    CHECK(size > 0 && t->size + size <= sizeof t->bytes);
    memcpy(t->bytes + t->size, bytes, size);
    t->size += size;
}

/* The pieces of all values of a stream, put together. */
static void check_values(enum wire_proto proto, const char *stream, const char *expected)
{
    struct guard g = guard_new();
    size_t size = strlen(stream);
    for (size_t first = 0; first <= size; first++) {
        for (size_t second = first; second <= size; second++) {
            char kinds[REPLIES_MAX] = "";
            struct taken taken = {0};
            struct reply_parser p;
            reply_init(&p, proto);
            p.on_value = on_value;
            p.arg = &taken;
            feed_in_three(&g, &p, stream, first, second, kinds);
            if (taken.size != strlen(expected) || memcmp(taken.bytes, expected, taken.size) != 0) {
                printf("'%s' split at %zu and %zu: values '%.*s'\n", stream, first, second, (int)taken.size,
                       taken.bytes);
                failures++;
                goto done;
            }
        }
    }
done:
    munmap(g.page, 2 * g.size);
}

static void test_values_are_handed_over_whole_at_every_split(void)
{
    check_values(WIRE_TEXT, "one\r\n\r\ntwo\nthr\ree\r\n\r\r\n", "onetwothr\ree\r");
    check_values(WIRE_RESP, "$3\r\none\r\n+OK\r\n$-1\r\n$4\r\n\r\n\r\n\r\n$0\r\n\r\n$3\r\ntwo\r\n", "one\r\n\r\ntwo");
    check_values(WIRE_MEMCACHE, "VALUE k 0 3\r\none\r\nEND\r\nEND\r\nSTORED\r\nVALUE k 0 3\r\ntwo\r\nEND\r\n",
                 "onetwo");
}

static enum verdict verdict_on(enum wire_proto proto, enum wire_op op, const char *bytes)
{
    struct reply_parser p;
    struct reply reply = {.kind = REPLY_BAD};
    reply_init(&p, proto);
    CHECK(reply_next(&p, &bytes, bytes + strlen(bytes), &reply));
    return reply_judge(proto, op, &reply);
}

static void test_a_reply_must_fit_its_request(void)
{
    static const struct {
        enum wire_proto proto;
        enum wire_op op;
        const char *reply;
        enum verdict verdict;
    } cases[] = {
        {WIRE_TEXT, WIRE_SET, "OK\r\n", VERDICT_FINE},
        {WIRE_TEXT, WIRE_SET, "OKAY\r\n", VERDICT_WRONG},
        {WIRE_TEXT, WIRE_SET, "\r\n", VERDICT_WRONG},
        {WIRE_TEXT, WIRE_SET, "ERR FULL x\r\n", VERDICT_ERROR},
        {WIRE_TEXT, WIRE_GET, "OK\r\n", VERDICT_FINE},
        {WIRE_TEXT, WIRE_GET, "\r\n", VERDICT_MISS},
        {WIRE_TEXT, WIRE_PING, "+PONG\r\n", VERDICT_FINE},
        {WIRE_TEXT, WIRE_PING, "PONG\r\n", VERDICT_WRONG},
        {WIRE_TEXT, WIRE_COMMIT, "OK\r\n", VERDICT_FINE},
        {WIRE_TEXT, WIRE_COMMIT, "ERR CONFLICT x\r\n", VERDICT_CONFLICT},
        {WIRE_TEXT, WIRE_COMMIT, "ERR EXPIRED x\r\n", VERDICT_ERROR},
        {WIRE_TEXT, WIRE_GET, "ERR CONFLICT x\r\n", VERDICT_ERROR},
        {WIRE_RESP, WIRE_SET, "+OK\r\n", VERDICT_FINE},
        {WIRE_RESP, WIRE_SET, "$3\r\n+OK\r\n", VERDICT_WRONG},
        {WIRE_RESP, WIRE_SET, "$-1\r\n", VERDICT_WRONG},
        {WIRE_RESP, WIRE_GET, "$1\r\nx\r\n", VERDICT_FINE},
        {WIRE_RESP, WIRE_GET, "$-1\r\n", VERDICT_MISS},
        {WIRE_RESP, WIRE_GET, "+OK\r\n", VERDICT_WRONG},
        {WIRE_RESP, WIRE_GET, ":1\r\n", VERDICT_WRONG},
        {WIRE_RESP, WIRE_GET, "*1\r\n$1\r\nx\r\n", VERDICT_WRONG},
        {WIRE_RESP, WIRE_STORE, "+QUEUED\r\n", VERDICT_FINE},
        {WIRE_RESP, WIRE_STORE, "+OK\r\n", VERDICT_WRONG},
        {WIRE_RESP, WIRE_COMMIT, "*1\r\n+OK\r\n", VERDICT_FINE},
        {WIRE_RESP, WIRE_COMMIT, "*-1\r\n", VERDICT_CONFLICT},
        {WIRE_RESP, WIRE_COMMIT, "*1\r\n-ERR x\r\n", VERDICT_ERROR},
        {WIRE_RESP, WIRE_COMMIT, "+OK\r\n", VERDICT_WRONG},
        {WIRE_MEMCACHE, WIRE_SET, "STORED\r\n", VERDICT_FINE},
        {WIRE_MEMCACHE, WIRE_SET, "NOT_STORED\r\n", VERDICT_WRONG},
        {WIRE_MEMCACHE, WIRE_SET, "END\r\n", VERDICT_WRONG},
        {WIRE_MEMCACHE, WIRE_GET, "VALUE k 0 1\r\nx\r\nEND\r\n", VERDICT_FINE},
        {WIRE_MEMCACHE, WIRE_GET, "END\r\n", VERDICT_MISS},
        {WIRE_MEMCACHE, WIRE_GET, "STORED\r\n", VERDICT_WRONG},
        {WIRE_MEMCACHE, WIRE_PING, "VERSION 1.6\r\n", VERDICT_FINE},
        {WIRE_MEMCACHE, WIRE_PING, "STORED\r\n", VERDICT_WRONG},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (verdict_on(cases[i].proto, cases[i].op, cases[i].reply) != cases[i].verdict) {
            printf("case %zu was judged otherwise: '%s'\n", i, cases[i].reply);
            failures++;
        }
    }
}

/* How many bytes of a stream are skipped as one good reply to op. */
static size_t skipped(enum wire_proto proto, enum wire_op op, const char *stream)
{
    char bytes[64] = {0};
    const char *at = bytes;
    size_t size = strlen(stream);
    struct reply_parser p;
    struct reply_word word = reply_word(proto, op);
    memcpy(bytes, stream, size);
    reply_init(&p, proto);
    bool taken = op == WIRE_GET ? reply_skip_value(&p, &at, at + size) : reply_skip_word(&p, &at, at + size, &word);
    CHECK(taken == (at > bytes));
    return (size_t)(at - bytes);
}

static void test_only_whole_good_replies_are_skipped(void)
{
    CHECK(skipped(WIRE_TEXT, WIRE_SET, "OK\r\n") == 4 && skipped(WIRE_TEXT, WIRE_SET, "OK\r\nOK") == 4);
    CHECK(skipped(WIRE_TEXT, WIRE_SET, "OK\r") == 0 && skipped(WIRE_TEXT, WIRE_SET, "OKAY\r\n") == 0);
    CHECK(skipped(WIRE_RESP, WIRE_SET, "+OK\r\n") == 5 && skipped(WIRE_RESP, WIRE_SET, "$3\r\n+OK\r\n") == 0);
    CHECK(skipped(WIRE_MEMCACHE, WIRE_SET, "STORED\r\n") == 8 && skipped(WIRE_MEMCACHE, WIRE_SET, "STORED\n\r") == 0);
    CHECK(skipped(WIRE_RESP, WIRE_STORE, "+QUEUED\r\n") == 0); /* too long to be a word */
    CHECK(skipped(WIRE_TEXT, WIRE_GET, "value\r\nnext") == 7 && skipped(WIRE_TEXT, WIRE_GET, "value\r") == 0);
    CHECK(skipped(WIRE_TEXT, WIRE_GET, "ERR FULL\r\n") == 0 && skipped(WIRE_TEXT, WIRE_GET, "\r\n") == 0);
    CHECK(skipped(WIRE_RESP, WIRE_GET, "$5\r\nhello\r\n$") == 11 && skipped(WIRE_RESP, WIRE_GET, "$0\r\n\r\n") == 6);
    CHECK(skipped(WIRE_RESP, WIRE_GET, "$5\r\nhello\r") == 0 && skipped(WIRE_RESP, WIRE_GET, "$5\r") == 0);
    CHECK(skipped(WIRE_RESP, WIRE_GET, "$-1\r\n") == 0 && skipped(WIRE_RESP, WIRE_GET, "$\r\n\r\n\r\n") == 0);
    CHECK(skipped(WIRE_RESP, WIRE_GET, "+hello\r\n") == 0 && skipped(WIRE_RESP, WIRE_GET, "$5") == 0);
    CHECK(skipped(WIRE_MEMCACHE, WIRE_GET, "VALUE k 0 1\r\nx\r\nEND\r\n") == 0);
}

static void test_a_reply_begun_is_not_skipped(void)
{
    static const char *const begun[] = {"*2\r\n+OK\r\n", "$9\r\n", "+O", "VALUE k 0 1\r\nx\r\n"};
    struct reply_word word = reply_word(WIRE_RESP, WIRE_SET);
    for (size_t i = 0; i < sizeof begun / sizeof *begun; i++) {
        char ok[] = "+OK\r\n   ";
        const char *at = begun[i];
        struct reply_parser p;
        struct reply reply;
        reply_init(&p, i < 3 ? WIRE_RESP : WIRE_MEMCACHE);
        CHECK(!reply_next(&p, &at, at + strlen(at), &reply));
        at = ok;
        CHECK(!reply_skip_word(&p, &at, ok + 5, &word) && at == ok);
    }
}

static void test_a_long_error_keeps_its_head(void)
{
    struct guard g = guard_new();
    struct reply_parser p;
    struct reply reply;
    char line[400];
    memset(line, 'x', sizeof line);
    memcpy(line, "ERR ", 4);
    reply_init(&p, WIRE_TEXT);
    const char *at = line;
    CHECK(!reply_next(&p, &at, line + sizeof line, &reply));
    at = "\r\n";
    CHECK(reply_next(&p, &at, at + 2, &reply));
    CHECK(reply.kind == REPLY_ERR && reply.line_len == REPLY_HEAD && memcmp(reply.line, line, REPLY_HEAD) == 0);
    munmap(g.page, 2 * g.size);
}

/* requests */

static void check_request_of_size(enum wire_proto proto, enum wire_op op, size_t key_size, const char *expected)
{
    char request[128] = "";
    struct wire_request rq = {
        .proto = proto, .op = op, .keys = 2, .key_size = key_size, .value = "hello", .value_size = 5};
    struct wire_places places;
    size_t size = wire_request_write(&rq, NULL, NULL);
    CHECK(wire_request_write(&rq, request, &places) == size);
    if (places.key_at != WIRE_NO_KEY) {
        wire_key_patch(request + places.key_at, 987654321);
    }
    if (op == WIRE_WATCH) {
        wire_key_patch(request + places.key_at + places.key_stride, 42);
    }
    if (op == WIRE_SET) {
        CHECK(memcmp(request + places.value_at, "hello\r\n", 7) == 0);
    }
    CHECK(size == strlen(expected) && memcmp(request, expected, size) == 0 && request[size] == '\0');
}

static void check_request(enum wire_proto proto, enum wire_op op, const char *expected)
{
    check_request_of_size(proto, op, WIRE_KEY_SIZE, expected);
}

static void test_requests(void)
{
    check_request(WIRE_TEXT, WIRE_GET, "GET key:000987654321\r\n");
    check_request(WIRE_TEXT, WIRE_SET, "SET key:000987654321 hello\r\n");
    check_request(WIRE_TEXT, WIRE_PING, "PING\r\n");
    check_request(WIRE_RESP, WIRE_GET, "*2\r\n$3\r\nGET\r\n$16\r\nkey:000987654321\r\n");
    check_request(WIRE_RESP, WIRE_SET, "*3\r\n$3\r\nSET\r\n$16\r\nkey:000987654321\r\n$5\r\nhello\r\n");
    check_request(WIRE_RESP, WIRE_PING, "*1\r\n$4\r\nPING\r\n");
    check_request(WIRE_MEMCACHE, WIRE_GET, "get key:000987654321\r\n");
    check_request(WIRE_MEMCACHE, WIRE_SET, "set key:000987654321 0 0 5\r\nhello\r\n");
    check_request(WIRE_MEMCACHE, WIRE_PING, "version\r\n");
}

static void test_requests_with_longer_keys(void)
{
    check_request_of_size(WIRE_TEXT, WIRE_GET, 19, "GET key:xxx000987654321\r\n");
    check_request_of_size(WIRE_RESP, WIRE_SET, 18, "*3\r\n$3\r\nSET\r\n$18\r\nkey:xx000987654321\r\n$5\r\nhello\r\n");
}

static void test_steps_of_a_transaction(void)
{
    check_request(WIRE_TEXT, WIRE_BEGIN, "BEGIN\r\n");
    check_request(WIRE_TEXT, WIRE_BEGIN_SERIALIZABLE, "BEGIN SERIALIZABLE\r\n");
    check_request(WIRE_TEXT, WIRE_STORE, "SET key:000987654321 hello\r\n");
    check_request(WIRE_TEXT, WIRE_COMMIT, "COMMIT\r\n");
    check_request(WIRE_RESP, WIRE_WATCH, "*3\r\n$5\r\nWATCH\r\n$16\r\nkey:000987654321\r\n$16\r\nkey:000000000042\r\n");
    check_request(WIRE_RESP, WIRE_BEGIN, "*1\r\n$5\r\nMULTI\r\n");
    check_request(WIRE_RESP, WIRE_COMMIT, "*1\r\n$4\r\nEXEC\r\n");
}

static void test_key_digits(void)
{
    static const uint64_t numbers[] = {0, 7, 99, 100, 123456, 999999999999};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        char expected[WIRE_KEY_DIGITS + 1];
        char digits[WIRE_KEY_DIGITS];
        snprintf(expected, sizeof expected, "%012llu", (unsigned long long)numbers[i]);
        wire_key_patch(digits, numbers[i]);
        CHECK(memcmp(digits, expected, WIRE_KEY_DIGITS) == 0);
    }
}

int main(void)
{
    static void (*const tests[])(void) = {
        test_text_replies_at_every_split,
        test_resp_replies_at_every_split,
        test_what_is_not_resp_is_bad,
        test_memcache_replies_at_every_split,
        test_values_are_handed_over_whole_at_every_split,
        test_a_reply_must_fit_its_request,
        test_only_whole_good_replies_are_skipped,
        test_a_reply_begun_is_not_skipped,
        test_a_long_error_keeps_its_head,
        test_requests,
        test_requests_with_longer_keys,
        test_steps_of_a_transaction,
        test_key_digits,
    };
    return check_run(tests, sizeof tests / sizeof *tests);
}
