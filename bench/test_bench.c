/* Self-tests of the load generator's parts. A plain program: prints what failed, exits 1 if anything did. */
#include <assert.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "config.h"
#include "hist.h"
#include "keys.h"
#include "load.h"
#include "procstat.h"
#include "stats.h"
#include "wire.h"

static int failures;

#define CHECK(condition)                                                                                               \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            printf("%s:%d: %s: not so: %s\n", __FILE__, __LINE__, __func__, #condition);                               \
            failures++;                                                                                                \
        }                                                                                                              \
    } while (0)

static bool near(double a, double b, double tolerance)
{
    double difference = a > b ? a - b : b - a;
    return difference <= tolerance;
}

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

/* What a stream should be taken for: a letter for each reply, v n e as in reply_kind, ! for REPLY_BAD. */
static char kind_letter(enum reply_kind kind)
{
    return "vne!"[kind];
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
    check_stream(WIRE_RESP, "+OK\r\n$5\r\nhello\r\n$-1\r\n:42\r\n-ERR bad\r\n$0\r\n\r\n", "vvnvev");
    check_stream(WIRE_RESP, "$9\r\n+OK\r\n$-1\n\r\n+OK\r\n", "vv");
    check_stream(WIRE_RESP, "*2\r\n+OK\r\n$1\r\nx\r\n*0\r\n*-1\r\n:1\r\n", "vvnv");
    check_stream(WIRE_RESP, "*3\r\n*2\r\n:1\r\n:2\r\n$-1\r\n*0\r\n+OK\r\n", "vv");
    check_stream(WIRE_RESP, "*2\r\n+OK\r\n-ERR in it\r\n+OK\r\n", "ev");
}

static void test_what_is_not_resp_is_bad(void)
{
    check_stream(WIRE_RESP, "+OK\r\nOK\r\n", "v!");
    check_stream(WIRE_RESP, "\r\n", "!");
    check_stream(WIRE_RESP, "$\r\n", "!");
    check_stream(WIRE_RESP, "$12x\r\n", "!");
    check_stream(WIRE_RESP, "$-2\r\n", "!");
    check_stream(WIRE_RESP, "*1234567890123456789\r\n", "!");
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

static void check_request(enum wire_proto proto, enum wire_op op, const char *expected)
{
    char request[128] = "";
    size_t key_at;
    size_t size = wire_request_size(proto, op, 5);
    wire_request_write(proto, op, "hello", 5, request, &key_at);
    if (key_at != WIRE_NO_KEY) {
        wire_key_patch(request + key_at, 987654321);
    }
    CHECK(size == strlen(expected) && memcmp(request, expected, size) == 0 && request[size] == '\0');
}

static void test_requests(void)
{
    check_request(WIRE_TEXT, WIRE_GET, "GET key:000987654321\r\n");
    check_request(WIRE_TEXT, WIRE_SET, "SET key:000987654321 hello\r\n");
    check_request(WIRE_TEXT, WIRE_PING, "PING\r\n");
    check_request(WIRE_RESP, WIRE_GET, "*2\r\n$3\r\nGET\r\n$16\r\nkey:000987654321\r\n");
    check_request(WIRE_RESP, WIRE_SET, "*3\r\n$3\r\nSET\r\n$16\r\nkey:000987654321\r\n$5\r\nhello\r\n");
    check_request(WIRE_RESP, WIRE_PING, "*1\r\n$4\r\nPING\r\n");
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
    struct keys a = {.dist = KEYS_UNIFORM, .count = 10, .rng = {42}};
    struct keys b = a;
    unsigned seen[10] = {0};
    for (int i = 0; i < 10000; i++) {
        uint64_t n = keys_next(&a);
        CHECK(n < 10 && n == keys_next(&b));
        seen[n < 10 ? n : 0]++;
    }
    for (int i = 0; i < 10; i++) {
        CHECK(seen[i] > 800 && seen[i] < 1200);
    }
    struct keys c = {.dist = KEYS_SEQUENTIAL, .count = 3};
    CHECK(keys_next(&c) == 0 && keys_next(&c) == 1 && keys_next(&c) == 2 && keys_next(&c) == 0);
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
}

static void test_wrong_options_are_explained_in_one_line(void)
{
    static const char *const lines[] = {"--unknown",
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
                                        "--mix get=1,"};
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        static struct config c;
        char why[256];
        if (parse(&c, why, lines[i]) != OPTS_BAD || why[0] == '\0' || strchr(why, '\n') != NULL) {
            printf("'%s' was not refused as it should be: '%s'\n", lines[i], why);
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

/* load, against the null server */

static const char *null_server_path;

struct null_server {
    pid_t pid;
    char port[8];
};

static struct null_server null_server_start(void)
{
    struct null_server s = {0};
    int out[2];
    assert(pipe(out) == 0);
    s.pid = fork();
    assert(s.pid >= 0);
    if (s.pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        dup2(out[1], STDOUT_FILENO);
        execl(null_server_path, null_server_path, (char *)NULL);
        _exit(127);
    }
    close(out[1]);
    FILE *f = fdopen(out[0], "r");
    assert(f != NULL);
    if (fscanf(f, "null listening on 127.0.0.1:%7[0-9]", s.port) != 1) {
        printf("%s did not start\n", null_server_path);
        exit(1);
    }
    fclose(f);
    return s;
}

static void null_server_stop(struct null_server *s)
{
    int status = -1;
    kill(s->pid, SIGTERM);
    CHECK(waitpid(s->pid, &status, 0) == s->pid);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static struct load_plan plan_for(const struct null_server *s)
{
    return (struct load_plan){
        .host = "127.0.0.1",
        .port = s->port,
        .server_pid = s->pid,
        .mix = {[WIRE_GET] = 0.5, [WIRE_SET] = 0.5},
        .keys = 1000,
        .value_size = 32,
        .conns = 3,
        .pipeline = 1,
    };
}

static struct load_result result;

static void test_load_counts_every_reply_once(void)
{
    static const unsigned pipelines[] = {1, 7, 256, 5000};
    struct null_server s = null_server_start();
    for (size_t i = 0; i < sizeof pipelines / sizeof *pipelines; i++) {
        struct load_plan plan = plan_for(&s);
        plan.pipeline = pipelines[i];
        plan.requests = 10007;
        CHECK(load_run(&plan, &result) == 0);
        CHECK(result.replies == 10007 && result.latency.count == 10007);
        CHECK(result.errors == 0 && result.misses == 0 && result.why[0] == '\0');
        CHECK(result.wall_ns > 0 && result.client_cpu_ns > 0 && result.server_cpu_ns > 0 && result.rss_kib > 0);
    }
    null_server_stop(&s);
}

static void test_load_sends_more_than_a_socket_takes(void)
{
    struct null_server s = null_server_start();
    struct load_plan plan = plan_for(&s);
    plan.value_size = 3000000;
    plan.pipeline = 4;
    plan.requests = 60;
    CHECK(load_run(&plan, &result) == 0);
    CHECK(result.replies == 60 && result.latency.count == 60);
    null_server_stop(&s);
}

static void test_load_stops_in_time_and_leaves_out_the_warmup(void)
{
    struct null_server s = null_server_start();
    struct load_plan plan = plan_for(&s);
    plan.warmup_ns = 50000000;
    plan.duration_ns = 100000000;
    CHECK(load_run(&plan, &result) == 0);
    CHECK(result.replies > 0 && result.latency.count == result.replies);
    CHECK(result.wall_ns >= plan.duration_ns && result.wall_ns < 20 * plan.duration_ns);
    null_server_stop(&s);
}

static void test_load_says_what_failed(void)
{
    struct null_server s = null_server_start();
    struct load_plan plan = plan_for(&s);
    plan.requests = 100;
    plan.proto = WIRE_RESP; /* the null server answers OK, not +OK */
    CHECK(load_run(&plan, &result) == -1 && strstr(result.why, "not an answer in protocol resp") != NULL);
    null_server_stop(&s);
    plan.proto = WIRE_TEXT;
    CHECK(load_run(&plan, &result) == -1 && strstr(result.why, "cannot connect") != NULL);
}

/* Takes the path of the null server. */
int main(int argc, char **argv)
{
    static void (*const tests[])(void) = {
        test_hist_is_precise_from_100_ns_to_100_s,
        test_hist_buckets_rise_without_gaps,
        test_hist_quantiles,
        test_hist_merge_is_adding_everything,
        test_text_replies_at_every_split,
        test_resp_replies_at_every_split,
        test_what_is_not_resp_is_bad,
        test_a_long_error_keeps_its_head,
        test_requests,
        test_key_digits,
        test_keys_stay_in_range_and_repeat_by_seed,
        test_spread,
        test_interval_covers_what_the_binomial_says,
        test_options_as_in_redis_benchmark,
        test_options_of_a_comparison,
        test_wrong_options_are_explained_in_one_line,
        test_help_and_version,
        test_own_accounts,
        test_load_counts_every_reply_once,
        test_load_sends_more_than_a_socket_takes,
        test_load_stops_in_time_and_leaves_out_the_warmup,
        test_load_says_what_failed,
    };
    if (argc != 2) {
        fprintf(stderr, "usage: bench-unit NULL-SERVER\n");
        return 2;
    }
    null_server_path = argv[1];
    for (size_t i = 0; i < sizeof tests / sizeof *tests; i++) {
        tests[i]();
    }
    printf("%zu tests, %d failures\n", sizeof tests / sizeof *tests, failures);
    return failures > 0;
}
