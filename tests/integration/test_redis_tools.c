/* Redis's own tools against the server: redis-cli and redis-benchmark as Debian packs them (redis-tools). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "server_fixture.h"
#include "wire.h"

#define OUTPUT_MAX 65536

static void need(const char *tool)
{
    char command[128];
    snprintf(command, sizeof(command), "command -v %s >/dev/null", tool);
    if (system(command) != 0) {
        check_skip("%s is not installed (package redis-tools)", tool);
    }
}

/* Runs a command of the shell, in which %d is the server's port; its output, valid until the next call. */
static const char *run(const struct server *s, const char *format)
{
    static char output[OUTPUT_MAX];
    char command[1024];
    const char *mark = strstr(format, "%d");
    CHECK(mark != NULL, "%s names no port", format);
    snprintf(command, sizeof(command), "timeout 30 %.*s%d%s 2>&1", (int)(mark - format), format, s->port, mark + 2);
    FILE *pipe = popen(command, "r");
    CHECK(pipe != NULL, "popen");
    size_t len = fread(output, 1, sizeof(output) - 1, pipe);
    output[len] = '\0';
    int status = pclose(pipe);
    CHECK(status == 0, "%s: status %d, %s", command, status, output);
    return output;
}

static void expect(const struct server *s, const char *command, const char *wanted)
{
    const char *got = run(s, command);
    CHECK(strcmp(got, wanted) == 0, "%s: got\n%swanted\n%s", command, got, wanted);
}

static void expect_within(const struct server *s, const char *command, const char *wanted)
{
    const char *got = run(s, command);
    CHECK(strstr(got, wanted) != NULL, "%s: got\n%swithout\n%s", command, got, wanted);
}

static void cli_asks(void)
{
    struct server s;
    need("redis-cli");
    server_start(&s, NULL);
    expect(&s, "redis-cli -p %d set key 'two words'", "OK\n");
    expect(&s, "redis-cli -p %d get key", "two words\n");
    expect(&s, "redis-cli -3 -p %d mset a 1 b 2", "OK\n");
    expect(&s, "redis-cli -3 -p %d mget a b nothing", "1\n2\n\n");
    expect(&s, "redis-cli -p %d del a b nothing", "2\n");
    expect_within(&s, "redis-cli -p %d no such command",
                  "ERR unknown command 'no', with args beginning with: 'such' 'command'");
    expect_within(&s, "redis-cli -p %d info server", "redis_version:7.0.15");
    expect_within(&s, "redis-cli -p %d config get save", "save");
    expect_within(&s, "redis-cli -3 -p %d --json hello 3", "\"mode\":\"standalone\"");
    server_stop(&s);
}

/* As at its prompt: it asks for COMMAND DOCS first, and goes on by lines of its input. */
static void cli_converses(void)
{
    struct server s;
    need("redis-cli");
    server_start(&s, NULL);
    expect(&s, "printf 'SET k 1\\nBEGIN SERIALIZABLE\\nGET k\\nSET k 2\\nCOMMIT\\nGET k\\n' | redis-cli -p %d",
           "OK\nOK\n1\nOK\nOK\n2\n");
    expect(&s, "printf 'WATCH k\\nMULTI\\nINCR k\\nGET k\\nEXEC\\n' | redis-cli -p %d",
           "OK\nOK\nQUEUED\nQUEUED\n3\n3\n");
    expect_within(&s, "printf 'HELP BEGIN\\n' | redis-cli -p %d", "opens a transaction");
    server_stop(&s);
}

/* A transaction with a conflict: redis-cli waits in it, its answers so far in a file, while another client writes. */
static void cli_conflicts(void)
{
    struct server s;
    char command[1024];
    char output[4096];
    need("redis-cli");
    server_start(&s, NULL);
    snprintf(
        command, sizeof(command),
        "cd %s && { (printf 'SET k 1\nBEGIN SERIALIZABLE\nGET k\nSET other 1\n'; until test -e written; do sleep 0.01; "
        "done; printf 'COMMIT\nEXISTS other\n') | timeout 30 redis-cli -p %d >answers & } && "
        "until test \"$(wc -l <answers)\" -ge 4; do sleep 0.01; done && redis-cli -p %d set k 2 && touch written && "
        "wait && "
        "cat answers",
        check_directory(), s.port, s.port);
    FILE *pipe = popen(command, "r");
    CHECK(pipe != NULL, "popen");
    size_t len = fread(output, 1, sizeof(output) - 1, pipe);
    output[len] = '\0';
    CHECK(pclose(pipe) == 0, "%s", output);
    CHECK(strstr(output, "CONFLICT a key that was read has changed since BEGIN") != NULL, "%s", output);
    CHECK(strstr(output, "\n0\n") != NULL, "other exists: %s", output);
    server_stop(&s);
}

/* 20,000 keys, as clients that fill a server load them. */
static void load_many(const struct server *s)
{
    expect_within(s,
                  "seq 1 20000 | awk -v ORS= '{print \"*3\\r\\n$3\\r\\nSET\\r\\n$\" length($1) \"\\r\\n\" $1 "
                  "\"\\r\\n$1\\r\\nx\\r\\n\"}' | redis-cli -p %d --pipe",
                  "errors: 0, replies: 20000");
}

static void cli_pipes(void)
{
    struct server s;
    need("redis-cli");
    server_start(&s, NULL);
    load_many(&s);
    expect(&s, "redis-cli -p %d dbsize", "20000\n");
    server_stop(&s);
}

/* What RESP writes is logged as what it is: several keys, a queue, values that grow, bytes of any kind. */
static void kept(void)
{
    struct server s;
    need("redis-cli");
    server_start_on(&s, "data", NULL);
    expect(&s, "redis-cli -p %d mset a 1 b 2 c 3", "OK\n");
    expect(&s, "printf 'MULTI\\nINCR a\\nRENAME b d\\nSET \"k\\\\n\" \"v\\\\r\\\\n\"\\nEXEC\\n' | redis-cli -p %d",
           "OK\nQUEUED\nQUEUED\nQUEUED\n2\nOK\nOK\n");
    expect(&s, "redis-cli -p %d append a 0", "2\n");
    expect(&s, "redis-cli -p %d copy a e", "1\n");
    expect(&s, "redis-cli -p %d del c nothing", "1\n");
    expect(&s, "redis-cli -p %d config get appendonly", "appendonly\nyes\n");
    server_kill(&s);
    server_start_on(&s, "data", NULL);
    expect(&s, "redis-cli -p %d mget a b c d e", "20\n\n\n2\n20\n");
    expect(&s, "printf 'GET \"k\\\\n\"\\n' | redis-cli -p %d", "v\r\n\n");
    server_stop(&s);
}

/* All keys, whoever comes and goes: --scan and what goes through SCAN. */
static void cli_scans(void)
{
    struct server s;
    need("redis-cli");
    server_start(&s, NULL);
    load_many(&s);
    expect(&s, "redis-cli -p %d --scan | sort -n | uniq | awk '{sum += $1} END {print NR, sum}'", "20000 200010000\n");
    expect(&s, "redis-cli -p %d --scan --pattern '1999[0-4]' | sort", "19990\n19991\n19992\n19993\n19994\n");
    expect(&s, "redis-cli -p %d keys '1999[89]' | sort", "19998\n19999\n");
    expect_within(&s, "redis-cli -p %d --bigkeys", "Sampled 20000 keys in the keyspace!");
    expect_within(&s, "redis-cli -p %d --bigkeys", "20000 strings with 20000 bytes");
    expect_within(&s, "redis-cli -p %d --memkeys", "Biggest string found");
    server_stop(&s);
}

static void benchmark(void)
{
    struct server s;
    static const char *const tests[] = {"PING_INLINE", "PING_MBULK", "SET", "GET", "INCR", "MSET (10 keys)"};
    need("redis-benchmark");
    server_start(&s, NULL);
    for (int pipeline = 1; pipeline <= 16; pipeline *= 16) {
        char command[200];
        snprintf(command, sizeof(command),
                 "redis-benchmark -p %%d -t ping,set,get,incr,mset -n 5000 -c 20 -r 1000 -P %d --csv%s", pipeline,
                 pipeline == 16 ? " --threads 2" : "");
        const char *got = run(&s, command);
        for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {
            char row[64];
            snprintf(row, sizeof(row), "\"%s\",\"", tests[i]);
            const char *at = strstr(got, row);
            CHECK(at != NULL && atof(at + strlen(row)) > 0, "no %s in\n%s", tests[i], got);
        }
        CHECK(strstr(got, "rror") == NULL, "%s", got);
    }
    server_stop(&s);
}

static const struct check checks[] = {
    {"redis-cli", cli_asks},
    {"redis-cli by lines", cli_converses},
    {"redis-cli with a conflict", cli_conflicts},
    {"redis-cli --pipe", cli_pipes},
    {"redis-cli --scan, --bigkeys and --memkeys", cli_scans},
    {"kept", kept},
    {"redis-benchmark", benchmark},
};

CHECK_MAIN(checks)
