/* txkv-cli without a terminal: its options, one command, commands from a pipe. Usage: test_cli txkv-server txkv-cli */
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "fake.h"
#include "process.h"

static char *cli_path;
static char *server_path;
static char port_text[16];
static struct output output; /* of the run before */

/* Runs txkv-cli on a port with up to 4 words and input. */
static void run_on(char *port, const char *input, const char *a, const char *b, const char *c, const char *d)
{
    char words[4][256];
    const char *given[] = {a, b, c, d};
    char *argv[8] = {cli_path, "-p", port};
    int argc = 3;
    for (int i = 0; i < 4 && given[i] != NULL; i++) {
        snprintf(words[i], sizeof words[i], "%s", given[i]);
        argv[argc++] = words[i];
    }
    process_run(&output, argv, input);
}

static void run(const char *a, const char *b, const char *c, const char *d)
{
    run_on(port_text, "", a, b, c, d);
}

static void pipe_in(const char *input)
{
    run_on(port_text, input, NULL, NULL, NULL, NULL);
}

static void expect(int status, const char *out)
{
    CHECK_INT(output.status, status);
    CHECK_TEXT(output.out, out);
}

/* Exit status, and exactly one line on stderr, naming what is wrong. */
static void expect_usage(const char *what)
{
    expect(2, "");
    const char *newline = strchr(output.err, '\n');
    CHECK(newline != NULL && newline[1] == '\0');
    CHECK(strstr(output.err, what) != NULL);
}

static void test_options(void)
{
    run("--help", NULL, NULL, NULL);
    CHECK_INT(output.status, 0);
    CHECK(strncmp(output.out, "Usage: txkv-cli", 15) == 0);
    CHECK(strstr(output.out, "--timeout") != NULL);
    run("--version", NULL, NULL, NULL);
    CHECK_INT(output.status, 0);
    CHECK(strncmp(output.out, "txkv-cli ", 9) == 0);
    run("--frob", NULL, NULL, NULL);
    expect_usage("--frob");
    run("-x", NULL, NULL, NULL);
    expect_usage("-x");
    run("--port", NULL, NULL, NULL);
    expect_usage("--port");
    run("--port=0", "PING", NULL, NULL);
    expect_usage("65535");
    run("-p", "8x", "PING", NULL);
    expect_usage("8x");
    run("--help=yes", NULL, NULL, NULL);
    expect_usage("--help");
    run("-h", "", "PING", NULL);
    expect_usage("--host");
    run("-hlocalhost", "--timeout=5", "PING", NULL);
    expect(0, "+PONG\n");
    run("--", "PING", NULL, NULL);
    expect(0, "+PONG\n");
}

static void test_one_command(void)
{
    run("SET", "a", "-1 two", NULL);
    expect(0, "OK\n");
    run("get", "a", NULL, NULL);
    expect(0, "-1 two\n");
    run("SET", "a", "b", "c");
    expect(0, "OK\n");
    run("GET a", NULL, NULL, NULL);
    expect(0, "b c\n");
    run("SET", "a", "", NULL);
    expect(0, "OK\n");
    run("MGET", "a", "none", NULL);
    expect(0, "\n\n");
    run("KEYS", "a", NULL, NULL);
    expect(0, "1\na\n");
    run("KEYS", "none*", NULL, NULL);
    expect(0, "0\n");
    run("QUIT", NULL, NULL, NULL);
    expect(0, "");
}

static void test_one_command_that_fails(void)
{
    run("FROB", NULL, NULL, NULL);
    CHECK_INT(output.status, 1);
    CHECK(strncmp(output.out, "ERR UNKNOWN ", 12) == 0);
    run("SET", "a b", "c", NULL);
    expect(1, "");
    CHECK(strstr(output.err, "'a b'") != NULL);
    run("GET", "", NULL, NULL);
    expect(1, "");
    run("SET", "a", "b\nDEL a", NULL);
    expect(1, "");
    CHECK(strstr(output.err, "CR or LF") != NULL);
    run("GET", "a", NULL, NULL);
    expect(0, "\n");
}

static void test_no_server(void)
{
    const char *script[] = {"close", NULL};
    struct fake f = fake_start(script, 0);
    char port[16];
    snprintf(port, sizeof port, "%d", f.port);
    run_on(port, "", "PING", NULL, NULL, NULL);
    CHECK_INT(output.status, 3);
    fake_end(f);
    run_on(port, "", "PING", NULL, NULL, NULL);
    expect(3, "");
    CHECK(strstr(output.err, "refused") != NULL);
    run_on(port, "", "-u", "/nonexistent/socket", "PING", NULL);
    expect(3, "");
    CHECK(strstr(output.err, "/nonexistent/socket") != NULL);
}

static void test_password(void)
{
    char path[] = "/tmp/txkv-password-XXXXXX";
    char option[64];
    char port[16];
    int file = mkstemp(path);
    const char *const options[] = {"--password-file", path, NULL};
    CHECK(file >= 0 && write(file, "open sesame\n", 12) == 12);
    close(file);
    struct server s = server_start_with(server_path, 0, options);
    snprintf(port, sizeof port, "%d", s.port);
    snprintf(option, sizeof option, "--password-file=%s", path);
    run_on(port, "", "PING", NULL, NULL, NULL);
    expect(1, "ERR DENIED this server has a password, which comes first: AUTH password\n");
    run_on(port, "", option, "PING", NULL, NULL);
    expect(0, "+PONG\n");
    run_on(port, "AUTH open sesame\nPING\n", NULL, NULL, NULL, NULL);
    expect(0, "OK\n+PONG\n");
    setenv("TXKV_PASSWORD", "open sesame", 1);
    run_on(port, "PING\n", NULL, NULL, NULL, NULL);
    expect(0, "+PONG\n");
    setenv("TXKV_PASSWORD", "wrong", 1);
    run_on(port, "", "PING", NULL, NULL, NULL);
    expect(1, "");
    CHECK_TEXT(output.err, "txkv-cli: DENIED this is not the password\n");
    run_on(port, "", option, "PING", NULL, NULL);
    expect(0, "+PONG\n");
    unsetenv("TXKV_PASSWORD");
    CHECK(chmod(path, 0604) == 0);
    run_on(port, "", option, "PING", NULL, NULL);
    expect_usage("chmod o-rwx");
    server_stop(&s);
    unlink(path);
}

static void test_pipe(void)
{
    pipe_in("");
    expect(0, "");
    pipe_in("SET p 1\r\n\nGET p\n\r\nINCR p 2");
    expect(0, "OK\n1\n3\n");
    pipe_in("GET p\nQUIT\nSET p 9\n");
    expect(0, "3\n");
    pipe_in("GET p\n");
    expect(0, "3\n");
    pipe_in("GET p\nGET\nGET p\n");
    CHECK_INT(output.status, 1);
    CHECK(strncmp(output.out, "3\nERR SYNTAX ", 13) == 0);
    CHECK(strstr(output.out, "\n3\n") != NULL);
}

static void test_pipe_never_commits_half(void)
{
    pipe_in("SET half 0\nBEGIN\nSET half 1\nSTE half 2\nCOMMIT\nGET half\n");
    CHECK_INT(output.status, 1);
    CHECK(strncmp(output.out, "OK\nOK\nOK\nERR UNKNOWN ", 21) == 0);
    CHECK(strstr(output.out, "\nERR ABORTED ") != NULL);
    CHECK_TEXT(output.out + strlen(output.out) - 3, "\n0\n");
    pipe_in("BEGIN\nSET half 1\nSET half 2\rx\nCOMMIT\n");
    expect(1, "OK\nOK\n");
    CHECK(strstr(output.err, "line 3") != NULL);
    pipe_in("BEGIN\nSET half 1\n");
    expect(0, "OK\nOK\n");
    pipe_in("GET half");
    expect(0, "0\n");
}

static void test_a_long_pipe(void)
{
    enum { LINES = 5000 };
    char *input = malloc(LINES * 32);
    char *at = input;
    for (int i = 1; i <= LINES; i++) {
        at += sprintf(at, i % 2 == 0 ? "INCR long\n" : "GET long\n");
    }
    pipe_in(input);
    CHECK_INT(output.status, 0);
    CHECK(strstr(output.out, "\n1234\n1234\n1235\n") != NULL);
    CHECK_TEXT(output.out + strlen(output.out) - 11, "\n2499\n2500\n");
    free(input);
}

static void test_pipe_stops_when_the_connection_is_lost(void)
{
    const char *script[] = {"> BEGIN", "> SET a 1", "< OK", "close", NULL};
    struct fake f = fake_start(script, 0);
    char port[16];
    snprintf(port, sizeof port, "%d", f.port);
    run_on(port, "BEGIN\n\nSET a 1\n", NULL, NULL, NULL, NULL);
    expect(3, "OK\n");
    CHECK(strstr(output.err, "line 3") != NULL);
    fake_end(f);
}

/* Runs txkv-cli against a server that it does not share with other tests. */
static void run_at(const struct server *s, const char *a, const char *b)
{
    char port[16];
    snprintf(port, sizeof port, "%d", s->port);
    run_on(port, "", a, b, NULL, NULL);
}

static void remove_directory(char *path)
{
    char *argv[] = {"/bin/rm", "-r", path, NULL};
    process_run(&output, argv, "");
    expect(0, "");
}

static void test_backup(void)
{
    char directory[] = "/tmp/txkv-cli-XXXXXX";
    char copies[64];
    char copy[80];
    CHECK(mkdtemp(directory) != NULL);
    snprintf(copies, sizeof copies, "%s/copies", directory);
    snprintf(copy, sizeof copy, "%s/nightly", copies);
    const char *options[] = {"--backup-dir", copies, NULL};
    struct server s = server_start_with(server_path, 0, options);
    run_at(&s, "SET a before", NULL);
    run_at(&s, "backup", "nightly");
    expect(0, "OK\n");
    run_at(&s, "SET a after", NULL);
    run_at(&s, "backup", "nightly");
    CHECK_INT(output.status, 1);
    CHECK(strncmp(output.out, "ERR DISK there is a backup of that name", 39) == 0);
    run_at(&s, "backup", "../outside");
    CHECK_INT(output.status, 1);
    CHECK(strncmp(output.out, "ERR SYNTAX a backup's name", 26) == 0);
    run_at(&s, "backup", NULL);
    CHECK_INT(output.status, 1);
    server_stop(&s);
    const char *restored[] = {"--data", copy, "--log-segment-bytes", "12M", NULL};
    s = server_start_with(server_path, 0, restored);
    run_at(&s, "GET", "a");
    expect(0, "before\n");
    run_at(&s, "BACKUP", "x");
    CHECK_INT(output.status, 1);
    CHECK(strncmp(output.out, "ERR DISK this server takes no backups", 37) == 0);
    server_stop(&s);
    remove_directory(directory);
    run("backup", "x", NULL, NULL);
    CHECK_INT(output.status, 1);
    run("--help", NULL, NULL, NULL);
    CHECK(strstr(output.out, "backup NAME") != NULL);
}

static const struct test tests[] = {
    {"options", test_options},
    {"one command", test_one_command},
    {"one command that fails", test_one_command_that_fails},
    {"no server", test_no_server},
    {"backup", test_backup},
    {"password", test_password},
    {"pipe", test_pipe},
    {"pipe never commits half", test_pipe_never_commits_half},
    {"a long pipe", test_a_long_pipe},
    {"pipe stops when the connection is lost", test_pipe_stops_when_the_connection_is_lost},
};

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: test_cli txkv-server txkv-cli\n");
        return 2;
    }
    struct server server = server_start(argv[1], 0);
    server_path = argv[1];
    cli_path = argv[2];
    snprintf(port_text, sizeof port_text, "%d", server.port);
    int status = check_run(tests, sizeof tests / sizeof tests[0]);
    server_stop(&server);
    return status != 0 || check_failures > 0 ? 1 : 0;
}
