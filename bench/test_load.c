/* Self-tests of the load generator at work: against the null server, txkv-server, and a stub that misbehaves. */
#include <assert.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "compare.h"
#include "load.h"
#include "sweep.h"
#include "test_check.h"
#include "test_stub.h"
#include "values.h"

static const char *null_server_path;
static const char *txkv_server_path;

/* A server that prints where it listens: the null server or txkv-server. */
struct server {
    pid_t pid;
    char port[8];
};

static struct server server_start(const char *path)
{
    struct server s = {0};
    int out[2];
    assert(pipe(out) == 0);
    s.pid = fork();
    assert(s.pid >= 0);
    if (s.pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        dup2(out[1], STDOUT_FILENO);
        execl(path, path, "--port", "0", (char *)NULL);
        _exit(127);
    }
    close(out[1]);
    FILE *f = fdopen(out[0], "r");
    assert(f != NULL);
    char line[256] = "";
    const char *at = fgets(line, sizeof line, f) == NULL ? NULL : strstr(line, "listening on 127.0.0.1:");
    fclose(f);
    if (at == NULL || sscanf(at, "listening on 127.0.0.1:%7[0-9]", s.port) != 1) {
        printf("%s did not start: %s\n", path, line);
        exit(1);
    }
    return s;
}

static void server_stop(struct server *s)
{
    int status = -1;
    kill(s->pid, SIGTERM);
    CHECK(waitpid(s->pid, &status, 0) == s->pid);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static struct load_plan plan_for(const struct server *s)
{
    return (struct load_plan){
        .host = "127.0.0.1",
        .port = s->port,
        .server_pid = s->pid,
        .mix = {[WIRE_GET] = 0.5, [WIRE_SET] = 0.5},
        .keys = 1000,
        .value_sizes = sizes_fixed(32),
        .key_size_min = WIRE_KEY_SIZE,
        .key_size_max = WIRE_KEY_SIZE,
        .conns = 3,
        .pipeline = 1,
    };
}

static struct load_plan plan_for_stub(const struct stub *s, enum wire_proto proto)
{
    struct server server = {0};
    struct load_plan plan = plan_for(&server);
    plan.port = s->port;
    plan.proto = proto;
    plan.keys = STUB_KEYS;
    return plan;
}

static struct load_result result;

/* Closed loop */

static void test_load_counts_every_reply_once(void)
{
    static const unsigned pipelines[] = {1, 7, 256, 5000};
    struct server s = server_start(null_server_path);
    for (size_t i = 0; i < sizeof pipelines / sizeof *pipelines; i++) {
        struct load_plan plan = plan_for(&s);
        plan.pipeline = pipelines[i];
        plan.requests = 10007;
        CHECK(load_run(&plan, &result) == 0);
        CHECK(result.replies == 10007 && result.latency.count == 10007);
        CHECK(result.errors == 0 && result.misses == 0 && result.why[0] == '\0');
        CHECK(result.wall_ns > 0 && result.client_cpu_ns > 0 && result.server_cpu_ns > 0 && result.rss_kib > 0);
    }
    server_stop(&s);
}

static void test_load_sends_more_than_a_socket_takes(void)
{
    struct server s = server_start(null_server_path);
    struct load_plan plan = plan_for(&s);
    plan.value_sizes = sizes_fixed(3000000);
    plan.pipeline = 4;
    plan.requests = 60;
    CHECK(load_run(&plan, &result) == 0);
    CHECK(result.replies == 60 && result.latency.count == 60);
    server_stop(&s);
}

static void test_load_stops_in_time_and_leaves_out_the_warmup(void)
{
    struct server s = server_start(null_server_path);
    struct load_plan plan = plan_for(&s);
    plan.warmup_ns = 50000000;
    plan.duration_ns = 100000000;
    CHECK(load_run(&plan, &result) == 0);
    CHECK(result.replies > 0 && result.latency.count == result.replies);
    CHECK(result.wall_ns >= plan.duration_ns && result.wall_ns < 20 * plan.duration_ns);
    server_stop(&s);
}

static void test_load_says_what_failed(void)
{
    struct server s = server_start(null_server_path);
    struct load_plan plan = plan_for(&s);
    plan.requests = 100;
    plan.proto = WIRE_RESP; /* the null server answers OK, not +OK */
    CHECK(load_run(&plan, &result) == -1 && strstr(result.why, "not an answer in protocol resp") != NULL);
    server_stop(&s);
    plan.proto = WIRE_TEXT;
    CHECK(load_run(&plan, &result) == -1 && strstr(result.why, "cannot connect") != NULL);
}

static void test_load_speaks_every_protocol_with_all_sizes(void)
{
    for (unsigned proto = 0; proto < WIRE_PROTO_COUNT; proto++) {
        struct stub stub = stub_start(&(struct stub_plan){.proto = (enum wire_proto)proto});
        struct load_plan plan = plan_for_stub(&stub, (enum wire_proto)proto);
        plan.requests = 2000;
        plan.pipeline = 5;
        plan.value_sizes = (struct sizes){.n = 2, .parts = {{VALUES_MIN, 30, 0.5}, {1000, 1000, 0.5}}};
        plan.key_size_max = 40;
        plan.verify = true;
        CHECK(load_run(&plan, &result) == 0);
        CHECK(result.replies == 2000 && result.errors == 0 && *stub.requests == 2000);
        CHECK(result.misses > 0 && result.misses < 500); /* the first reads of the keys */
        stub_stop(&stub);
    }
}

static void test_a_wrong_answer_to_set_is_an_error(void)
{
    static const char *const answers[] = {"'QUEUED'", "'+QUEUED'", "'NOT_STORED'"};
    for (unsigned proto = 0; proto < WIRE_PROTO_COUNT; proto++) {
        struct stub stub = stub_start(&(struct stub_plan){.proto = (enum wire_proto)proto, .fault = STUB_SET_QUEUED});
        struct load_plan plan = plan_for_stub(&stub, (enum wire_proto)proto);
        plan.mix[WIRE_GET] = 0;
        plan.mix[WIRE_SET] = 1;
        plan.requests = 100;
        CHECK(load_run(&plan, &result) == 0 && result.errors == 100);
        CHECK(strstr(result.first_error, "SET was answered by") != NULL &&
              strstr(result.first_error, answers[proto]) != NULL);
        stub_stop(&stub);
    }
}

static void test_verify_tells_every_kind_of_wrong_value(void)
{
    for (unsigned n = 0; n < 5 * WIRE_PROTO_COUNT; n++) {
        enum wire_proto proto = (enum wire_proto)(n % WIRE_PROTO_COUNT);
        enum stub_fault fault = (enum stub_fault)(STUB_OTHER_KEY + n / WIRE_PROTO_COUNT);
        struct stub stub = stub_start(&(struct stub_plan){.proto = proto, .fault = fault, .fault_every = 97});
        struct load_plan plan = plan_for_stub(&stub, proto);
        plan.requests = 4000;
        plan.pipeline = 4;
        plan.verify = true;
        plan.stamp = 0xbeef;
        CHECK(load_run(&plan, &result) == 0);
        if (result.errors == 0 || result.errors > 2000 / 97 || strstr(result.first_error, "GET of key ") == NULL) {
            printf("fault %u in %s: %llu errors, '%s'\n", fault, wire_proto_names[proto],
                   (unsigned long long)result.errors, result.first_error);
            failures++;
        }
        stub_stop(&stub);
    }
}

/* Open loop */

static void test_every_request_due_is_counted(void)
{
    struct server s = server_start(null_server_path);
    static const double rates[] = {500, 20000, 20e6}; /* the last one is far more than can be sent */
    for (size_t i = 0; i < sizeof rates / sizeof *rates; i++) {
        struct load_plan plan = plan_for(&s);
        plan.rate = rates[i];
        plan.arrivals = PACE_FIXED;
        plan.duration_ns = 200000000;
        CHECK(load_run(&plan, &result) == 0);
        double due = rates[i] * (double)result.wall_ns / 1e9;
        CHECK(result.replies > 0 && result.latency.count == result.replies + result.unanswered);
        CHECK(near((double)result.latency.count, due, 2));
    }
    CHECK(result.unanswered > 0); /* at the last rate */
    server_stop(&s);
}

static void test_an_open_loop_stops_after_the_requests(void)
{
    struct server s = server_start(txkv_server_path);
    struct load_plan plan = plan_for(&s);
    plan.rate = 50000;
    plan.warmup_ns = 20000000;
    plan.requests = 1234;
    plan.verify = true;
    CHECK(load_run(&plan, &result) == 0);
    CHECK(result.replies == 1234 && result.latency.count == 1234 && result.unanswered == 0 && result.errors == 0);
    server_stop(&s);
}

/* 1,000 requests, one every 500 us; the server stands still for 100 ms at the 200th. At least the 120 requests that are
 * due in the first 60 ms of that wait for 40 ms, though each connection could have had but one of them outstanding. */
static void test_latency_counts_from_when_a_request_was_due(void)
{
    struct stub stub = stub_start(&(struct stub_plan){.stall_at = 200, .stall_ms = 100});
    struct load_plan plan = plan_for_stub(&stub, WIRE_TEXT);
    plan.rate = 2000;
    plan.arrivals = PACE_FIXED;
    plan.requests = 1000;
    CHECK(load_run(&plan, &result) == 0);
    CHECK(result.replies == 1000 && result.latency.count == 1000);
    CHECK(result.latency.max >= 99000000 && hist_quantile(&result.latency, 0.9) >= 40000000);
    stub_stop(&stub);
}

/* As above, but it is the client that stands still: a process apart, since the stub stops whom it was started by. What
 * was due meanwhile is sent late, and was due all the same. */
static void stop_myself(void)
{
    struct stub stub = stub_start(&(struct stub_plan){.stall_at = 200, .stall_ms = 100, .stall_client = true});
    struct load_plan plan = plan_for_stub(&stub, WIRE_TEXT);
    plan.rate = 2000;
    plan.arrivals = PACE_FIXED;
    plan.requests = 1000;
    bool good = load_run(&plan, &result) == 0 && hist_quantile(&result.latency, 0.9) >= 40000000;
    stub_stop(&stub);
    _exit(good ? 0 : 1);
}

static void test_latency_counts_from_then_even_if_the_client_was_late(void)
{
    int status = -1;
    fflush(stdout);
    pid_t child = fork();
    assert(child >= 0);
    if (child == 0) {
        stop_myself();
    }
    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* The measurement ends while the server stands still: what waits then is not left out. */
static void test_what_waits_at_the_end_counts(void)
{
    struct stub stub = stub_start(&(struct stub_plan){.stall_at = 50, .stall_ms = 2000});
    struct load_plan plan = plan_for_stub(&stub, WIRE_TEXT);
    plan.rate = 1000;
    plan.arrivals = PACE_FIXED;
    plan.duration_ns = 200000000;
    CHECK(load_run(&plan, &result) == 0);
    CHECK(result.replies < 50 && result.unanswered >= 150);
    CHECK(result.latency.count == result.replies + result.unanswered && result.latency.max >= 140000000);
    stub_stop(&stub);
}

static struct row rows[SWEEP_ROWS_MAX];

/* Runs a sweep against a stub, with or without (NULL) a limit of p99 in ms; the number of rows, of which there are enough
 * to look at the last. */
static size_t sweep_stub(const struct stub *stub, const char *limit)
{
    static struct config c;
    char port[sizeof stub->port];
    char why[256] = "";
    size_t n = 0;
    memcpy(port, stub->port, sizeof port);
    char *argv[] = {"txkv-benchmark", "-p", port, "--sweep", "-t", "set", "-c", "5", "--duration", "0.2", NULL, NULL};
    char copy[64];
    snprintf(copy, sizeof copy, "--sweep-limit-ms=%s", limit == NULL ? "" : limit);
    argv[10] = limit == NULL ? NULL : copy;
    memset(rows, 0, sizeof rows);
    CHECK(config_parse(&c, limit == NULL ? 10 : 11, argv, why, sizeof why) == OPTS_OK);
    CHECK(compare_rows(&c) == SWEEP_ROWS_MAX);
    CHECK(compare_run(&c, rows, &n, NULL, why, sizeof why) == 0 && n > 0);
    for (size_t i = 0; i < n; i++) {
        size_t first = i == 0 && limit == NULL ? SWEEP_BASE : 1;
        CHECK(rows[i].series[0].n >= first && rows[i].series[0].n < first + SWEEP_ATTEMPTS);
        CHECK(rows[i].rate > (i == 0 ? 0 : rows[i - 1].rate));
        CHECK((rows[i].note[0] != '\0') == (i == n - 1));
    }
    return n == 0 ? 1 : n;
}

/* A server that takes 1 ms for a request answers no more than 1,000 in a second, whatever the machine. */
static void test_a_sweep_finds_no_more_than_the_server_can_do(void)
{
    struct stub stub = stub_start(&(struct stub_plan){.delay_us = 1000});
    size_t n = sweep_stub(&stub, "1000000");
    double holds;
    const char *good = strstr(rows[n - 1].note, "holds ");
    CHECK(strstr(rows[n - 1].note, "breaks at") != NULL);
    CHECK(good != NULL && sscanf(good, "holds %lf", &holds) == 1 && holds <= 1500); /* some are over by chance */
    stub_stop(&stub);
}

static void test_a_sweep_holds_p99_against_the_limit(void)
{
    struct stub stub = stub_start(&(struct stub_plan){.delay_us = 1000});
    size_t n = sweep_stub(&stub, "0.5");
    CHECK(n == 1 && strstr(rows[0].note, "breaks at the lowest rate already: p99 is") != NULL);
    stub_stop(&stub);
}

/* The limit of all rates comes from the lowest: the row that sweep_stub() expects there has several measurements. */
static void test_a_sweep_without_a_limit_does_not_trust_a_single_measurement(void)
{
    struct stub stub = stub_start(&(struct stub_plan){.delay_us = 1000});
    size_t n = sweep_stub(&stub, NULL);
    CHECK(strstr(rows[n - 1].note, "breaks at") != NULL);
    stub_stop(&stub);
}

/* Transactions */

static struct load_plan plan_for_txns(const struct server *s, unsigned reads, unsigned writes, double conflict)
{
    struct load_plan plan = plan_for(s);
    plan.txn = (struct load_txn){.reads = reads, .writes = writes, .conflict = conflict, .serializable = true};
    plan.requests = 400;
    plan.keys = 1000000;
    plan.verify = true;
    return plan;
}

static void test_as_many_transactions_conflict_as_asked_for(void)
{
    static const double shares[] = {0, 0.25, 0.5, 1};
    struct server s = server_start(txkv_server_path);
    for (size_t i = 0; i < sizeof shares / sizeof *shares; i++) {
        struct load_plan plan = plan_for_txns(&s, 2, 2, shares[i]);
        plan.conns = 1;
        CHECK(load_run(&plan, &result) == 0);
        CHECK(result.replies == 400 && result.latency.count == 400 && result.errors == 0);
        CHECK((double)result.conflicts == 400 * shares[i]);
    }
    server_stop(&s);
}

static void test_many_connections_conflict_by_chance_too(void)
{
    struct server s = server_start(txkv_server_path);
    struct load_plan plan = plan_for_txns(&s, 3, 1, 0.5);
    plan.conns = 8;
    CHECK(load_run(&plan, &result) == 0 && result.errors == 0);
    CHECK(result.replies == 400 && result.conflicts >= 200 && result.conflicts < 250);
    plan.keys = 3; /* nearly all meet */
    plan.txn.conflict = 0;
    CHECK(load_run(&plan, &result) == 0 && result.errors == 0 && result.conflicts > 0);
    server_stop(&s);
}

static void test_plain_transactions_never_conflict(void)
{
    struct server s = server_start(txkv_server_path);
    struct load_plan plan = plan_for_txns(&s, 2, 3, 1);
    plan.txn.serializable = false;
    CHECK(load_run(&plan, &result) == 0);
    CHECK(result.replies == 400 && result.conflicts == 0 && result.errors == 0);
    server_stop(&s);
}

static void test_transactions_of_resp(void)
{
    static const double shares[] = {0, 0.5};
    struct stub stub = stub_start(&(struct stub_plan){.proto = WIRE_RESP});
    for (size_t i = 0; i < sizeof shares / sizeof *shares; i++) {
        struct load_plan plan = plan_for_stub(&stub, WIRE_RESP);
        plan.txn = (struct load_txn){.reads = 2, .writes = 3, .conflict = shares[i]};
        plan.requests = 400;
        plan.verify = true;
        plan.conns = 1;
        CHECK(load_run(&plan, &result) == 0);
        CHECK(result.replies == 400 && result.latency.count == 400 && result.errors == 0);
        CHECK((double)result.conflicts == 400 * shares[i]);
    }
    struct load_plan plan = plan_for_stub(&stub, WIRE_RESP);
    plan.txn = (struct load_txn){.writes = 3};
    plan.pipeline = 4;
    plan.requests = 403;
    CHECK(load_run(&plan, &result) == 0);
    CHECK(result.replies == 403 && result.latency.count == 403 && result.errors == 0 && result.conflicts == 0);
    stub_stop(&stub);
}

/* What transactions write is there afterwards, and its values are right. */
static void test_transactions_of_writes_are_pipelined(void)
{
    struct server s = server_start(txkv_server_path);
    struct load_plan plan = plan_for_txns(&s, 0, 4, 0);
    plan.pipeline = 16;
    plan.requests = 1003;
    plan.keys = 1000;
    plan.dist.dist = KEYS_SEQUENTIAL;
    CHECK(load_run(&plan, &result) == 0);
    CHECK(result.replies == 1003 && result.latency.count == 1003 && result.errors == 0 && result.conflicts == 0);
    plan.txn = (struct load_txn){0};
    plan.mix[WIRE_GET] = 1;
    plan.mix[WIRE_SET] = 0;
    CHECK(load_run(&plan, &result) == 0);
    CHECK(result.replies == 1003 && result.misses == 0 && result.errors == 0);
    server_stop(&s);
}

/* Keys of many sizes */

static void test_a_key_has_one_size(void)
{
    struct server s = server_start(txkv_server_path);
    struct load_plan plan = plan_for(&s);
    plan.dist.dist = KEYS_SEQUENTIAL;
    plan.requests = 1000;
    plan.key_size_max = 40;
    plan.mix[WIRE_GET] = 0;
    plan.mix[WIRE_SET] = 1;
    CHECK(load_run(&plan, &result) == 0 && result.errors == 0);
    plan.mix[WIRE_GET] = 1;
    plan.mix[WIRE_SET] = 0;
    plan.seed = 99;
    CHECK(load_run(&plan, &result) == 0 && result.misses == 0 && result.errors == 0);
    plan.key_size_max = 41;
    CHECK(load_run(&plan, &result) == 0 && result.misses > 0);
    server_stop(&s);
}

/* Connections beside */

static void test_idle_connections_stay_to_the_end(void)
{
    struct stub stub = stub_start(&(struct stub_plan){.fault = STUB_CLOSES});
    struct load_plan plan = plan_for_stub(&stub, WIRE_TEXT);
    plan.idle = 3;
    plan.requests = 100;
    CHECK(load_run(&plan, &result) == -1 && strstr(result.why, "idle connection") != NULL);
    stub_stop(&stub);
    struct server s = server_start(txkv_server_path);
    plan = plan_for(&s);
    plan.idle = 20;
    plan.requests = 100;
    CHECK(load_run(&plan, &result) == 0 && result.replies == 100);
    server_stop(&s);
}

static void test_non_readers_ask_for_more_and_more(void)
{
    struct stub stub = stub_start(&(struct stub_plan){0});
    struct load_plan plan = plan_for_stub(&stub, WIRE_TEXT);
    plan.non_readers = 2;
    plan.value_sizes = sizes_fixed(4000);
    plan.requests = 3000;
    CHECK(load_run(&plan, &result) == 0);
    CHECK(result.replies == 3000 && result.errors == 0 && *stub.requests > 3100);
    stub_stop(&stub);
}

/* The server is slow, so their sockets are full again and again in the middle of a request. */
static void test_non_readers_go_on_where_they_had_to_stop(void)
{
    struct stub stub = stub_start(&(struct stub_plan){.delay_us = 1});
    struct load_plan plan = plan_for_stub(&stub, WIRE_TEXT);
    plan.non_readers = 1;
    plan.mix[WIRE_GET] = 1;
    plan.mix[WIRE_SET] = 0;
    plan.requests = 30;
    CHECK(load_run(&plan, &result) == 0 && result.replies == 30 && *stub.requests > 10000);
    stub_stop(&stub);
}

/* Takes the paths of the null server and of txkv-server. */
int main(int argc, char **argv)
{
    static void (*const tests[])(void) = {
        test_load_counts_every_reply_once,
        test_load_sends_more_than_a_socket_takes,
        test_load_stops_in_time_and_leaves_out_the_warmup,
        test_load_says_what_failed,
        test_load_speaks_every_protocol_with_all_sizes,
        test_a_wrong_answer_to_set_is_an_error,
        test_verify_tells_every_kind_of_wrong_value,
        test_every_request_due_is_counted,
        test_an_open_loop_stops_after_the_requests,
        test_latency_counts_from_when_a_request_was_due,
        test_latency_counts_from_then_even_if_the_client_was_late,
        test_what_waits_at_the_end_counts,
        test_a_sweep_finds_no_more_than_the_server_can_do,
        test_a_sweep_holds_p99_against_the_limit,
        test_a_sweep_without_a_limit_does_not_trust_a_single_measurement,
        test_as_many_transactions_conflict_as_asked_for,
        test_many_connections_conflict_by_chance_too,
        test_plain_transactions_never_conflict,
        test_transactions_of_resp,
        test_transactions_of_writes_are_pipelined,
        test_a_key_has_one_size,
        test_idle_connections_stay_to_the_end,
        test_non_readers_ask_for_more_and_more,
        test_non_readers_go_on_where_they_had_to_stop,
    };
    if (argc != 3) {
        fprintf(stderr, "usage: bench-load NULL-SERVER TXKV-SERVER\n");
        return 2;
    }
    null_server_path = argv[1];
    txkv_server_path = argv[2];
    return check_run(tests, sizeof tests / sizeof *tests);
}
