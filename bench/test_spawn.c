/* Self-tests of the server that is started, and of a whole comparison with one. */
#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "compare.h"
#include "spawn.h"
#include "syscalls.h"
#include "test_check.h"

static const char *null_server_path;
static const char *benchmark_path;

/* A port that was free a moment ago. */
static void free_port(char port[8])
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof addr;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert(fd >= 0 && bind(fd, (struct sockaddr *)&addr, size) == 0);
    assert(getsockname(fd, (struct sockaddr *)&addr, &size) == 0);
    snprintf(port, 8, "%u", ntohs(addr.sin_port));
    close(fd);
}

#define COMMAND_MAX 512

/* What starts the null server on such a port. */
static void null_server(char command[COMMAND_MAX], char port[8])
{
    free_port(port);
    snprintf(command, COMMAND_MAX, "'%s' --port %s", null_server_path, port);
}

#define PATIENCE_NS (10 * NS_PER_S)

static char why[256]; /* it failed */

static int start(struct spawn *s, const char *command, const char *port, uint64_t patience_ns)
{
    why[0] = '\0';
    return spawn_start(s, command, "127.0.0.1", port, patience_ns, why, sizeof why);
}

static const char *output_of(struct spawn *s)
{
    FILE *f = writing();
    spawn_print_output(s, f);
    fclose(f);
    return written;
}

static void test_spawn_starts_and_ends_a_server(void)
{
    struct spawn s;
    struct spawn second;
    char port[8];
    char command[COMMAND_MAX];
    null_server(command, port);
    CHECK(start(&s, command, port, PATIENCE_NS) == 0);
    pid_t pid = s.pid;
    CHECK(pid > 0 && kill(pid, 0) == 0 && getpgid(pid) == pid);
    CHECK(start(&second, command, port, PATIENCE_NS) == -1);
    CHECK(strstr(why, "listens on 127.0.0.1") != NULL && second.pid == 0);
    spawn_deinit(&second);
    spawn_stop(&s, PATIENCE_NS);
    CHECK(s.pid == 0 && kill(pid, 0) == -1 && errno == ESRCH);
    spawn_stop(&s, PATIENCE_NS); /* nothing more to do */
    CHECK(strstr(output_of(&s), "null listening on") != NULL);
    spawn_deinit(&s);
}

static void test_spawn_says_why_a_server_died(void)
{
    struct spawn s;
    char port[8];
    free_port(port);
    CHECK(start(&s, "sh -c 'echo cannot do it >&2; exit 7'", port, PATIENCE_NS) == -1);
    CHECK(strstr(why, "exit status 7") != NULL && s.pid == 0);
    CHECK(strstr(output_of(&s), "cannot do it\n") != NULL);
    spawn_deinit(&s);
}

static void test_spawn_ends_its_patience(void)
{
    struct spawn s;
    char port[8];
    free_port(port);
    uint64_t begin = now_ns();
    CHECK(start(&s, "sleep 60", port, NS_PER_S / 5) == -1);
    CHECK(strstr(why, "does not accept") != NULL && s.pid == 0 && now_ns() - begin < PATIENCE_NS);
    spawn_deinit(&s);
}

/* One that ignores SIGTERM, and a child of it, are ended too. */
static void test_spawn_kills_what_does_not_end(void)
{
    struct spawn s;
    char port[8];
    char server[COMMAND_MAX];
    char command[COMMAND_MAX + 64];
    CHECK(prctl(PR_SET_CHILD_SUBREAPER, 1) == 0); /* its child comes to us when it has died */
    null_server(server, port);
    snprintf(command, sizeof command, "sh -c \"trap '' TERM; sleep 60 & %s; sleep 60\"", server);
    CHECK(start(&s, command, port, PATIENCE_NS) == 0);
    pid_t group = s.pid;
    spawn_stop(&s, NS_PER_S / 5);
    size_t children = 0;
    int status;
    while (waitpid(-group, &status, 0) > 0) {
        CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        children++;
    }
    CHECK(children > 0 && kill(-group, 0) == -1 && errno == ESRCH);
    spawn_deinit(&s);
}

/* The series of a comparison */

static void test_series_keep_latencies_timeline_and_system_calls(void)
{
    static struct config c;
    static struct row row;
    struct spawn s;
    char command[COMMAND_MAX];
    c = (struct config){.target_count = 1,
                        .workload_count = 1,
                        .pipeline_count = 1,
                        .pipelines = {4},
                        .conns = 3,
                        .keys = 100,
                        .value_sizes = sizes_fixed(3),
                        .key_sizes = sizes_fixed(WIRE_KEY_SIZE),
                        .dist_text = "uniform",
                        .value_size_text = "3",
                        .key_size_text = "16",
                        .txn_text = "",
                        .seed = 1,
                        .repeat = 2,
                        .duration_ns = 250 * NS_PER_MS};
    struct target *t = &c.targets[0];
    *t = (struct target){.name = "null", .host = "127.0.0.1"};
    c.workloads[0] = (struct workload){"get", {[WIRE_GET] = 1}};
    null_server(command, t->port);
    CHECK(start(&s, command, t->port, PATIENCE_NS) == 0);
    t->pid = s.pid;
    static struct syscalls counting;
    syscalls_begin(&counting, t->pid);
    enum syscalls_source source = counting.source;
    (void)syscalls_end(&counting);
    size_t n = 0;
    CHECK(compare_run(&c, &row, &n, NULL, why, sizeof why) == 0 && n == 1);
    spawn_stop(&s, PATIENCE_NS);
    spawn_deinit(&s);
    const struct series *series = &row.series[0];
    uint64_t replies = 0;
    for (size_t i = 0; i < series->timeline.n; i++) {
        replies += series->timeline.slots[i].replies;
    }
    CHECK(series->n == 2 && series->timeline.n >= 2 && replies > 0);
    CHECK(replies < series->latency.count); /* of the last measurement, of both */
    double calls = compare_total(&row, 0, METRIC_SYSCALLS);
    CHECK(series->syscalls_source == source);
    CHECK(source == SYSCALLS_UNKNOWN ? calls == 0 : calls > 0.02 && calls < 10);
}

/* The program */

static bool accepts(const char *port)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    addr.sin_port = htons((uint16_t)strtoul(port, NULL, 10));
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert(fd >= 0);
    bool accepted = connect(fd, (struct sockaddr *)&addr, sizeof addr) == 0;
    close(fd);
    return accepted;
}

static bool becomes(bool accepting, const char *port)
{
    for (int i = 0; i < 1000 && accepts(port) != accepting; i++) {
        usleep(10000);
    }
    return accepts(port) == accepting;
}

/* Whatever ends the load generator, its server ends too. */
static void check_signal(int signum)
{
    char port[8];
    char command[COMMAND_MAX];
    null_server(command, port);
    pid_t pid = fork();
    assert(pid >= 0);
    if (pid == 0) {
        execl(benchmark_path, benchmark_path, "-p", port, "--duration", "60", "--spawn", command, (char *)NULL);
        _exit(127);
    }
    int status = 0;
    CHECK(becomes(true, port));
    CHECK(kill(pid, signum) == 0 && waitpid(pid, &status, 0) == pid);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == signum);
    CHECK(becomes(false, port));
}

static void test_a_spawned_server_ends_with_the_program(void)
{
    check_signal(SIGINT);
    check_signal(SIGTERM);
    check_signal(SIGKILL);
}

int main(int argc, char **argv)
{
    static void (*const tests[])(void) = {
        test_spawn_starts_and_ends_a_server,
        test_spawn_says_why_a_server_died,
        test_spawn_ends_its_patience,
        test_spawn_kills_what_does_not_end,
        test_series_keep_latencies_timeline_and_system_calls,
        test_a_spawned_server_ends_with_the_program,
    };
    if (argc != 3) {
        fprintf(stderr, "usage: bench-spawn NULL-SERVER TXKV-BENCHMARK\n");
        return 2;
    }
    null_server_path = argv[1];
    benchmark_path = argv[2];
    return check_run(tests, sizeof tests / sizeof *tests);
}
