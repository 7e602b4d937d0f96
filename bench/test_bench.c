/* Self-tests of the load generator's parts. A plain program: prints what failed, exits 1 if anything did. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "compare.h"
#include "config.h"
#include "hist.h"
#include "keys.h"
#include "pace.h"
#include "procstat.h"
#include "reply.h"
#include "sizes.h"
#include "stats.h"
#include "test_check.h"
#include "values.h"
#include "wire.h"

/* hist */

static struct hist hist;

static void test_hist_is_precise_from_100_ns_to_100_s(void)
{
    for (double exact = 100; exact <= 100e9; exact *= 1.0007) {
        uint64_t ns = (uint64_t)exact;
        hist_init(&hist);
        hist_add(&hist, ns, 3);
        hist_add(&hist, UINT64_C(200000000000), 1); /* else the answer is max, which is exact */
        hist_add(&hist, 0, 1);                      /* alike for min */
        uint64_t found = hist_quantile(&hist, 0.5);
        if (!near((double)found, (double)ns, 0.01 * (double)ns)) {
            printf("%llu ns became %llu ns\n", (unsigned long long)ns, (unsigned long long)found);
            failures++;
            return;
        }
    }
}

static void test_hist_buckets_rise_without_gaps(void)
{
    unsigned last = 0;
    for (double exact = 1; exact < 300e9; exact *= 1.001) {
        unsigned bucket = hist_bucket((uint64_t)exact);
        CHECK(bucket == last || bucket == last + 1);
        last = bucket;
    }
    CHECK(last == HIST_BUCKETS - 1);
    CHECK(hist_bucket(UINT64_MAX) == HIST_BUCKETS - 1);
}

static void test_hist_quantiles(void)
{
    hist_init(&hist);
    CHECK(hist_quantile(&hist, 0.5) == 0 && hist_mean(&hist) == 0);
    for (uint64_t us = 1; us <= 1000; us++) {
        hist_add(&hist, us * 1000, 1);
    }
    CHECK(near((double)hist_quantile(&hist, 0.5), 500e3, 5e3));
    CHECK(near((double)hist_quantile(&hist, 0.99), 990e3, 9.9e3));
    CHECK(hist_quantile(&hist, 0) == 1000);
    CHECK(hist_quantile(&hist, 1) == 1000000);
    CHECK(hist_mean(&hist) == 500500);
}

static void test_hist_merge_is_adding_everything(void)
{
    static struct hist other;
    hist_init(&hist);
    hist_init(&other);
    hist_add(&hist, 5000, 10);
    hist_add(&other, 70, 2);
    hist_add(&other, 1 << 20, 3);
    hist_merge(&hist, &other);
    CHECK(hist.count == 15 && hist.min == 70 && hist.max == 1 << 20);
    CHECK(hist.sum == 50000 + 140 + 3 * (1 << 20));
}

/* wire: replies */

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

static void feed(const struct guard *g, struct reply_parser *p, const char *bytes, size_t size, char *kinds)
{
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

static void check_stream(enum wire_proto proto, const char *stream, const char *expected)
{
    struct guard g = guard_new();
    size_t size = strlen(stream);
    struct reply_parser p;
    for (size_t first = 0; first <= size; first++) {
        for (size_t second = first; second <= size; second++) {
            char kinds[REPLIES_MAX] = "";
            reply_init(&p, proto);
            feed(&g, &p, stream, first, kinds);
            if (strchr(kinds, '!') == NULL) {
                feed(&g, &p, stream + first, second - first, kinds);
            }
            if (strchr(kinds, '!') == NULL) {
                feed(&g, &p, stream + second, size - second, kinds);
            }
            if (strcmp(kinds, expected) != 0) {
                printf("'%s' split at %zu and %zu: '%s', not '%s'\n", stream, first, second, kinds, expected);
                failures++;
                goto done;
            }
        }
    }
    char kinds[REPLIES_MAX] = "";
    reply_init(&p, proto);
    for (size_t i = 0; i < size && strchr(kinds, '!') == NULL; i++) {
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
            feed(&g, &p, stream, first, kinds);
            feed(&g, &p, stream + first, second - first, kinds);
            feed(&g, &p, stream + second, size - second, kinds);
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

/* wire: requests */

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

/* keys */

static void test_keys_stay_in_range_and_repeat_by_seed(void)
{
    static struct keys a;
    static struct keys b;
    unsigned seen[10] = {0};
    keys_init(&a, &(struct keys_choice){.dist = KEYS_UNIFORM}, 10, 42);
    b = a;
    for (int i = 0; i < 10000; i++) {
        uint64_t n = keys_next(&a, false);
        CHECK(n < 10 && n == keys_next(&b, false));
        seen[n < 10 ? n : 0]++;
    }
    for (int i = 0; i < 10; i++) {
        CHECK(seen[i] > 800 && seen[i] < 1200);
    }
    keys_init(&a, &(struct keys_choice){.dist = KEYS_SEQUENTIAL}, 3, 42);
    for (uint64_t i = 0; i < 7; i++) {
        CHECK(keys_next(&a, true) == i % 3);
    }
}

static void count_keys(const char *dist, uint64_t keys, unsigned draws, unsigned *seen)
{
    static struct keys k;
    struct keys_choice choice;
    CHECK(keys_parse(&choice, dist) == 0);
    keys_init(&k, &choice, keys, 7);
    memset(seen, 0, keys * sizeof *seen);
    for (unsigned i = 0; i < draws; i++) {
        uint64_t key = keys_next(&k, false);
        CHECK(key < keys);
        seen[key < keys ? key : 0]++;
    }
}

static int by_count(const void *a, const void *b)
{
    unsigned x = *(const unsigned *)a;
    unsigned y = *(const unsigned *)b;
    return (x < y) - (x > y);
}

#define MANY_KEYS 1000
#define MANY_DRAWS 400000

static void test_zipf_gives_each_rank_its_share(void)
{
    static const struct {
        const char *dist;
        double share[3]; /* of ranks 0 to 0, 1 to 9, 10 to 99: sums of r^-theta, by hand */
    } cases[] = {{"zipf:0.99", {0.1293, 0.2531, 0.3026}}, {"zipf:0.5", {0.0162, 0.0650, 0.2199}}};
    static unsigned seen[MANY_KEYS];
    for (size_t i = 0; i < 2; i++) {
        double sums[3] = {0};
        count_keys(cases[i].dist, MANY_KEYS, MANY_DRAWS, seen);
        qsort(seen, MANY_KEYS, sizeof *seen, by_count);
        for (unsigned rank = 0; rank < 100; rank++) {
            sums[rank < 1 ? 0 : rank < 10 ? 1 : 2] += (double)seen[rank] / MANY_DRAWS;
        }
        for (size_t n = 0; n < 3; n++) {
            if (!near(sums[n], cases[i].share[n], 0.02)) {
                printf("%s: part %zu has the share %g, not %g\n", cases[i].dist, n, sums[n], cases[i].share[n]);
                failures++;
            }
        }
    }
}

static void test_zipf_of_very_many_keys_begins_at_once_and_stays_in_range(void)
{
    static struct keys k;
    unsigned hottest = 0;
    keys_init(&k, &(struct keys_choice){.dist = KEYS_ZIPF, .theta = 0.99}, KEYS_MAX, 7);
    for (unsigned i = 0; i < 100000; i++) {
        uint64_t key = keys_next(&k, false);
        CHECK(key < KEYS_MAX);
        hottest += key == keys_scatter(&k, 0);
    }
    CHECK(near(hottest / 100000.0, 0.0395, 0.004)); /* 1 / zeta(4e9, 0.99) */
    keys_init(&k, &(struct keys_choice){.dist = KEYS_ZIPF, .theta = 0.99}, 1, 7);
    CHECK(keys_next(&k, false) == 0);
}

static void test_scattering_is_a_bijection_and_scatters(void)
{
    static const uint64_t counts[] = {1, 2, 3, 1000, 1024, 1025};
    static bool hit[1025];
    static struct keys k;
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        unsigned neighbours = 0;
        memset(hit, 0, sizeof hit);
        keys_init(&k, &(struct keys_choice){.dist = KEYS_UNIFORM}, counts[i], 7);
        for (uint64_t r = 0; r < counts[i]; r++) {
            uint64_t key = keys_scatter(&k, r);
            CHECK(key < counts[i] && !hit[key]);
            hit[key] = true;
            neighbours += r > 0 && near((double)key, (double)keys_scatter(&k, r - 1), 2);
        }
        CHECK(counts[i] < 1000 || neighbours < counts[i] / 50);
    }
}

static void test_latest_follows_what_was_set(void)
{
    static struct keys k;
    unsigned close = 0;
    keys_init(&k, &(struct keys_choice){.dist = KEYS_LATEST, .theta = 0.99}, MANY_KEYS, 7);
    for (uint64_t i = 0; i < 2 * MANY_KEYS + 5; i++) {
        CHECK(keys_next(&k, true) == i % MANY_KEYS);
    }
    for (unsigned i = 0; i < 10000; i++) {
        uint64_t behind = (4 + MANY_KEYS - keys_next(&k, false)) % MANY_KEYS; /* key 4 is the last one set */
        close += behind < 10;
    }
    CHECK(near(close / 10000.0, 0.38, 0.02));
}

static void test_a_hot_set_gets_its_share(void)
{
    static unsigned seen[MANY_KEYS];
    unsigned hot = 0;
    count_keys("hotset:0.1:0.9", MANY_KEYS, MANY_DRAWS, seen);
    qsort(seen, MANY_KEYS, sizeof *seen, by_count);
    for (unsigned i = 0; i < MANY_KEYS / 10; i++) {
        hot += seen[i];
    }
    CHECK(near((double)hot / MANY_DRAWS, 0.9, 0.005));
    CHECK(seen[MANY_KEYS - 1] > 0);
}

static void test_distributions_repeat_by_seed(void)
{
    static const char *const dists[] = {"uniform", "zipf:0.7", "latest", "hotset:0.2:0.5"};
    static struct keys a;
    static struct keys b;
    for (size_t i = 0; i < sizeof dists / sizeof *dists; i++) {
        struct keys_choice choice;
        unsigned same = 0;
        CHECK(keys_parse(&choice, dists[i]) == 0);
        keys_init(&a, &choice, 100000, 1);
        keys_init(&b, &choice, 100000, 1);
        for (int n = 0; n < 100; n++) {
            CHECK(keys_next(&a, n % 2 == 0) == keys_next(&b, n % 2 == 0));
        }
        keys_init(&b, &choice, 100000, 2);
        for (int n = 0; n < 100; n++) {
            same += keys_next(&a, false) == keys_next(&b, false);
        }
        CHECK(same < 50);
    }
}

/* sizes */

static void test_sizes(void)
{
    struct sizes s;
    CHECK(sizes_parse(&s, "10", 0, 1000) == 0 && sizes_at(&s, 0) == 10 && sizes_at(&s, 0.999) == 10);
    CHECK(sizes_parse(&s, "10-13", 0, 1000) == 0 && sizes_min(&s) == 10 && sizes_max(&s) == 13);
    CHECK(sizes_at(&s, 0) == 10 && sizes_at(&s, 0.26) == 11 && sizes_at(&s, 0.74) == 12 && sizes_at(&s, 0.9999) == 13);
    CHECK(sizes_parse(&s, "10:0.5,100-201:0.25,1k:0.25", 0, 1000) == 0 && sizes_max(&s) == 1000);
    CHECK(sizes_at(&s, 0.49) == 10 && sizes_at(&s, 0.5) == 100 && sizes_at(&s, 0.7499) == 201);
    CHECK(sizes_at(&s, 0.76) == 1000 && sizes_mean(&s) == 293); /* 5 + 37.6 + 250 */
}

static void test_wrong_sizes(void)
{
    static const char *const wrong[] = {
        "",       "x",           "1001",    "-1",      "5-",      "9-5",           "1,2",    "1:0.5",
        "1:0.5,", "1:0.5,2:0.6", "1:0,2:1", "1:x,2:1", "1:nan,2", "1:0.5,2-1:0.5", "1:0.5,2"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct sizes s;
        if (sizes_parse(&s, wrong[i], 0, 1000) == 0) {
            printf("size '%s' was taken\n", wrong[i]);
            failures++;
        }
    }
}

/* pace */

static void test_fixed_arrivals_are_evenly_spaced(void)
{
    struct pace p;
    pace_start(&p, PACE_FIXED, 1000, 5000, 1);
    for (uint64_t i = 0; i < 10000; i++) {
        CHECK(pace_next(&p) == 5000 + i * 1000000 && pace_take(&p) == 5000 + i * 1000000);
    }
    CHECK(pace_backlog(&p, pace_next(&p) + 3500000) == 3.5 && pace_backlog(&p, 0) == 0);
}

static void test_poisson_arrivals(void)
{
    struct pace p;
    uint64_t last = 0;
    unsigned longer = 0;
    pace_start(&p, PACE_POISSON, 1e6, 0, 1);
    for (unsigned i = 0; i < 100000; i++) {
        uint64_t due = pace_take(&p);
        CHECK(due >= last);
        longer += due - last > 1000;
        last = due;
    }
    CHECK(near((double)last / 100000, 1000, 15)); /* ns between them */
    CHECK(near(longer / 100000.0, 0.3679, 0.01)); /* 1/e of them above the mean */
}

/* values */

static bool is_value(uint64_t key, uint16_t run, const char *bytes, size_t size, size_t split)
{
    struct values_check v;
    values_check_start(&v, key, run);
    values_check_feed(&v, bytes, split);
    values_check_feed(&v, bytes + split, size - split);
    return values_check_end(&v);
}

static void test_values_are_known_again_at_every_split(void)
{
    static const size_t sizes[] = {VALUES_MIN, VALUES_MIN + 1, 100};
    char value[101];
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        values_write(value, sizes[i], 123456, 7, 200);
        for (size_t split = 0; split <= sizes[i]; split++) {
            CHECK(is_value(123456, 7, value, sizes[i], split));
        }
    }
}

static void test_a_large_value_wraps_around_the_table(void)
{
    size_t size = 300001;
    char *value = malloc(size);
    assert(value != NULL);
    values_write(value, size, 5, 1, 1);
    CHECK(is_value(5, 1, value, size, 70000));
    value[200000] ^= 1;
    CHECK(!is_value(5, 1, value, size, 70000));
    free(value);
}

static void test_spoilt_values_are_told(void)
{
    char value[102];
    char other[101];
    values_write(value, 100, 42, 7, 9);
    value[100] = '.';
    CHECK(!is_value(43, 7, value, 100, 50) && !is_value(42, 8, value, 100, 50));
    CHECK(!is_value(42, 7, value, 101, 50) && !is_value(42, 7, value, 99, 50) && !is_value(42, 7, value, 0, 0));
    for (size_t i = 0; i < 100; i++) {
        memcpy(other, value, 100);
        other[i] ^= 1;
        CHECK(!is_value(42, 7, other, 100, i));
        memcpy(other, value, i);
        memcpy(other + i, value + i + 1, 99 - i); /* one byte lost */
        CHECK(!is_value(42, 7, other, 99, i));
    }
}

/* stats */

static void test_spread(void)
{
    struct stats_spread one = stats_spread((double[]){7}, 1);
    CHECK(one.median == 7 && one.q1 == 7 && one.q3 == 7);
    struct stats_spread five = stats_spread((double[]){5, 1, 4, 2, 3}, 5);
    CHECK(five.median == 3 && five.q1 == 2 && five.q3 == 4);
    CHECK(stats_spread((double[]){1, 2, 3, 4}, 4).median == 2.5);
}

static void test_interval_covers_what_the_binomial_says(void)
{
    double samples[20];
    for (int i = 0; i < 20; i++) {
        samples[i] = i + 1;
    }
    struct stats_interval five = stats_interval(samples, 5);
    CHECK(five.median == 3 && five.low == 1 && five.high == 5 && near(five.coverage, 0.9375, 1e-9));
    struct stats_interval nine = stats_interval(samples, 9);
    CHECK(nine.low == 2 && nine.high == 8 && near(nine.coverage, 0.9609, 1e-4));
    struct stats_interval twenty = stats_interval(samples, 20);
    CHECK(twenty.low == 6 && twenty.high == 15 && near(twenty.coverage, 0.9586, 1e-4));
    CHECK(stats_interval(samples, 1).coverage == 0);
}

/* config */

#define ARGS_MAX 32

/* Parses arguments split at spaces. The configuration borrows from them: it lives until the next call. */
static enum opts_result parse(struct config *c, char *why, const char *line)
{
    static char copy[512];
    char *argv[ARGS_MAX] = {"txkv-benchmark"};
    int argc = 1;
    snprintf(copy, sizeof copy, "%s", line);
    for (char *word = strtok(copy, " "); word != NULL && argc < ARGS_MAX - 1; word = strtok(NULL, " ")) {
        argv[argc++] = word;
    }
    why[0] = '\0';
    return config_parse(c, argc, argv, why, 256);
}

static void test_options_as_in_redis_benchmark(void)
{
    static struct config c;
    char why[256];
    CHECK(parse(&c, why, "-h ::1 -p 7000 -c 20 -n 1M -P 16 -d 100 -r 5k -t get,set -q") == OPTS_OK);
    CHECK(c.target_count == 1 && strcmp(c.targets[0].host, "::1") == 0 && strcmp(c.targets[0].port, "7000") == 0);
    CHECK(c.conns == 20 && c.requests == 1000000 && c.pipelines[0] == 16 && c.value_size == 100 && c.keys == 5000);
    CHECK(c.workload_count == 2 && c.workloads[0].mix[WIRE_GET] == 1 && c.workloads[1].mix[WIRE_SET] == 1);
    CHECK(c.quiet && c.duration_ns == 0 && c.csv == NULL);
    CHECK(parse(&c, why, "-t SET,Get") == OPTS_OK && c.workload_count == 2);
    CHECK(c.workloads[0].mix[WIRE_SET] == 1 && strcmp(c.workloads[1].name, "get") == 0);
}

static void test_without_options_a_server_of_this_machine_is_measured_for_a_while(void)
{
    static struct config c;
    char why[256];
    CHECK(parse(&c, why, "") == OPTS_OK && c.target_count == 1 && c.targets[0].proto == WIRE_TEXT);
    CHECK(strcmp(c.targets[0].host, "127.0.0.1") == 0 && strcmp(c.targets[0].port, "8888") == 0);
    CHECK(c.duration_ns == UINT64_C(3000000000) && c.requests == 0);
}

static void test_options_of_a_comparison(void)
{
    static struct config c;
    char why[256];
    CHECK(parse(&c, why,
                "--target a=text:127.0.0.1:1234,77 --target b=resp:[::1]:1235 --mix get=0.9,set=0.1 --repeat 5 "
                "--pipeline 1,256 --duration 0.5 --csv --json=x --preload") == OPTS_OK);
    CHECK(c.target_count == 2 && c.targets[0].pid == 77 && c.targets[0].proto == WIRE_TEXT);
    CHECK(strcmp(c.targets[1].host, "::1") == 0 && strcmp(c.targets[1].port, "1235") == 0 && c.targets[1].pid == 0);
    CHECK(c.workload_count == 1 && near(c.workloads[0].mix[WIRE_GET], 0.9, 1e-9));
    CHECK(c.pipeline_count == 2 && c.pipelines[1] == 256 && c.duration_ns == 500000000 && c.repeat == 5 && c.preload);
    CHECK(c.csv != NULL && *c.csv == '\0' && strcmp(c.json, "x") == 0);
    CHECK(compare_measurements(&c) == (size_t)2 * 2 * 5); /* pipelines, targets, repetitions */
    CHECK(parse(&c, why, "--sweep") == OPTS_OK && compare_measurements(&c) == 0);
}

static void test_options_of_an_open_loop(void)
{
    static struct config c;
    char why[256];
    CHECK(parse(&c, why, "--rate 10k --arrivals fixed --proto memcache --dist zipf:0.9 --verify -d 24-100") == OPTS_OK);
    CHECK(c.rate == 10000 && c.arrivals == PACE_FIXED && c.targets[0].proto == WIRE_MEMCACHE && c.verify);
    CHECK(c.dist.dist == KEYS_ZIPF && near(c.dist.theta, 0.9, 1e-9) && c.value_size == 62);
    CHECK(parse(&c, why, "--sweep --sweep-limit-ms 0.5 --idle 10 --non-readers 2 --dist hotset:0.1:0.9") == OPTS_OK);
    CHECK(c.sweep && c.sweep_limit_ns == 500000 && c.idle == 10 && c.non_readers == 2 && c.rate == 0);
    CHECK(c.dist.dist == KEYS_HOTSET && c.dist.hot_keys == 0.1 && c.dist.hot_requests == 0.9);
    CHECK(parse(&c, why, "-d 24:0.5,1k-2k:0.5 --key-size 20-40 --dist latest") == OPTS_OK);
    CHECK(sizes_max(&c.value_sizes) == 2000 && c.key_sizes.parts[0].high == 40 && c.dist.dist == KEYS_LATEST);
}

static void test_options_of_transactions(void)
{
    static struct config c;
    char why[256];
    CHECK(parse(&c, why, "--txn reads=2,writes=3,conflict=0.1,serializable") == OPTS_OK);
    CHECK(c.txn.reads == 2 && c.txn.writes == 3 && near(c.txn.conflict, 0.1, 1e-9) && c.txn.serializable);
    CHECK(c.workload_count == 1 && strcmp(c.workloads[0].name, "txn") == 0);
    CHECK(parse(&c, why, "--txn reads=1,writes=1,conflict=0.1 --proto resp") == OPTS_OK && !c.txn.serializable);
    CHECK(parse(&c, why, "--txn writes=4 -P 16,64 --proto resp") == OPTS_OK);
    CHECK(c.txn.reads == 0 && c.txn.writes == 4 && !c.txn.serializable);
}

static const char *const wrong_lines[] = {
    "--unknown",
    "-Z",
    "-p",
    "-p 0",
    "-p 65536",
    "-c many",
    "-n -1",
    "-P 0",
    "-P 1,",
    "-t get,fly",
    "--mix get=0.5",
    "--mix get=nan,set=1",
    "--duration x",
    "--proto http",
    "stray",
    "--quiet=1",
    "--csv --json",
    "--repeat 101",
    "--target",
    "--target a",
    "--target a=text:h",
    "--target =text:h:1",
    "--target a=http:h:1",
    "--target a=text:h:0",
    "--target a=text:h:1,x",
    "--target a/b=text:h:1",
    "-r 5000000000",
    "-d 1x",
    "-n 99999999999999999999",
    "--target a=text:h:1,",
    "--target a=text:h:",
    "--mix get=1,",
    "--rate 0",
    "--rate x",
    "--rate 100 --sweep",
    "--rate 100 -P 16",
    "--rate 100 -P 1,16",
    "--sweep -P 2",
    "--sweep -n 1000",
    "--sweep --repeat 51",
    "--arrivals fixed",
    "--rate 1 --arrivals often",
    "--sweep-limit-ms 1",
    "--sweep --sweep-limit-ms 0",
    "--sweep --sweep-limit-ms x",
    "--dist zipf",
    "--dist zipf:1",
    "--dist zipf:0",
    "--dist zipf:-0.5",
    "--dist zipf:nan",
    "--dist zipf:0.5:1",
    "--dist hotset:0.1",
    "--dist hotset:2:0.1",
    "--dist latest:1",
    "--dist far",
    "-d 5-2",
    "-d 5:0.4,6:0.5",
    "--key-size 15",
    "--key-size 1025",
    "--key-size 16:0.5,20:0.5",
    "--key-size 251 --proto memcache",
    "--key-size 251 --target a=memcache:h:1",
    "--verify",
    "--verify -d 23",
    "--verify -d 20-100",
    "--txn x",
    "--txn reads=1,",
    "--txn reads=101",
    "--txn reads=0,writes=0",
    "--txn writes=2,conflict=0.5",
    "--txn reads=1,conflict=2",
    "--txn reads=1,writes=1,conflict=0.1",
    "--txn reads=1,writes=1,conflict=0.1 --target a=resp:h:1 --target b=text:h:2",
    "--txn reads=1,writes=1 -P 2",
    "--txn writes=1 --rate 5",
    "--txn writes=1 --sweep",
    "--txn writes=1 --proto memcache",
    "--txn writes=1 --key-size 16-20",
    "--target a=text:h:1 --target b=resp:h:2 --target a=text:h:3",
    "--target a=text:h:1 -h 127.0.0.1",
    "-p 8888 --target a=text:h:1",
    "--target a=text:h:1 --proto text",
    "--server-pid 999999 --target a=text:h:1",
    "-t get --mix get=1",
    "--mix get=1 --txn writes=1",
    "--txn writes=1 -t set,get",
    "--duration 0",
    "--duration 0.0 -n 5",
    "--idle -1",
    "--non-readers x",
};

static void test_wrong_options_are_explained_in_one_line(void)
{
    for (size_t i = 0; i < sizeof wrong_lines / sizeof *wrong_lines; i++) {
        static struct config c;
        char why[256];
        if (parse(&c, why, wrong_lines[i]) != OPTS_BAD || why[0] == '\0' || strchr(why, '\n') != NULL) {
            printf("'%s' was not refused as it should be: '%s'\n", wrong_lines[i], why);
            failures++;
        }
    }
}

static void test_help_and_version(void)
{
    static struct config c;
    char why[256];
    CHECK(parse(&c, why, "--help") == OPTS_HELP);
    CHECK(parse(&c, why, "-q --version") == OPTS_VERSION);
}

/* procstat */

static void test_own_accounts(void)
{
    struct procstat before;
    struct procstat after;
    CHECK(procstat_read(getpid(), &before) == 0);
    volatile unsigned work = 0;
    while (work < 20000000) {
        work++;
    }
    CHECK(procstat_read(getpid(), &after) == 0);
    CHECK(after.cpu_ns > before.cpu_ns && after.rss_kib > 0 && after.rss_max_kib >= after.rss_kib);
    CHECK(procstat_read(0x7ffffffe, &after) == -1);
}

int main(void)
{
    static void (*const tests[])(void) = {
        test_hist_is_precise_from_100_ns_to_100_s,
        test_hist_buckets_rise_without_gaps,
        test_hist_quantiles,
        test_hist_merge_is_adding_everything,
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
        test_keys_stay_in_range_and_repeat_by_seed,
        test_zipf_gives_each_rank_its_share,
        test_zipf_of_very_many_keys_begins_at_once_and_stays_in_range,
        test_scattering_is_a_bijection_and_scatters,
        test_latest_follows_what_was_set,
        test_a_hot_set_gets_its_share,
        test_distributions_repeat_by_seed,
        test_sizes,
        test_wrong_sizes,
        test_fixed_arrivals_are_evenly_spaced,
        test_poisson_arrivals,
        test_values_are_known_again_at_every_split,
        test_a_large_value_wraps_around_the_table,
        test_spoilt_values_are_told,
        test_spread,
        test_interval_covers_what_the_binomial_says,
        test_options_as_in_redis_benchmark,
        test_without_options_a_server_of_this_machine_is_measured_for_a_while,
        test_options_of_a_comparison,
        test_options_of_an_open_loop,
        test_options_of_transactions,
        test_wrong_options_are_explained_in_one_line,
        test_help_and_version,
        test_own_accounts,
    };
    for (size_t i = 0; i < sizeof tests / sizeof *tests; i++) {
        tests[i]();
    }
    printf("%zu tests, %d failures\n", sizeof tests / sizeof *tests, failures);
    return failures > 0;
}
