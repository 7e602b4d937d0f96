/* Self-tests of the options. */
#include <string.h>

#include "compare.h"
#include "config.h"
#include "test_check.h"

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
    "--watch-stops --server-pid 1",
    "--rate 10k --watch-stops",
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

static void test_spawn_is_for_a_single_server(void)
{
    static struct config c;
    char why[256];
    char program[] = "txkv-benchmark";
    char spawn[] = "--spawn=server --port 1";
    char target[] = "--target=a=text:h:1";
    char pid[] = "--server-pid=1";
    char report[] = "--report=page.html";
    CHECK(config_parse(&c, 3, (char *[]){program, spawn, report, NULL}, why, sizeof why) == OPTS_OK);
    CHECK(strcmp(c.spawn, "server --port 1") == 0 && strcmp(c.report, "page.html") == 0);
    CHECK(config_parse(&c, 3, (char *[]){program, spawn, target, NULL}, why, sizeof why) == OPTS_BAD);
    CHECK(config_parse(&c, 3, (char *[]){program, pid, spawn, NULL}, why, sizeof why) == OPTS_BAD);
    CHECK(strstr(why, "--spawn") != NULL);
}

int main(void)
{
    static void (*const tests[])(void) = {
        test_options_as_in_redis_benchmark,
        test_without_options_a_server_of_this_machine_is_measured_for_a_while,
        test_options_of_a_comparison,
        test_options_of_an_open_loop,
        test_options_of_transactions,
        test_wrong_options_are_explained_in_one_line,
        test_help_and_version,
        test_spawn_is_for_a_single_server,
    };
    return check_run(tests, sizeof tests / sizeof *tests);
}
