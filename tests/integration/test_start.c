/* Starting: the first line, addresses, the Unix socket, the command line. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "check.h"
#include "server_fixture.h"
#include "wire.h"

static void ping_and_close(struct client *c)
{
    client_ask(c, "PING", "+PONG");
    client_close(c);
}

static void ping_at(const char *address, int port)
{
    struct client c;
    int rc = client_open_ip(&c, address, port);
    CHECK(rc == 0, "no connection to %s port %d: %s", address, port, strerror(-rc));
    ping_and_close(&c);
}

static bool has_ipv6(void)
{
    struct client c;
    int rc = client_open_ip(&c, "::1", 1);
    if (rc == 0) {
        client_close(&c);
    }
    return rc == 0 || rc == -ECONNREFUSED;
}

static void expect_line(const struct server *s, const char *where)
{
    char wanted[512];
    snprintf(wanted, sizeof(wanted), "txkv %s listening on %s (memory only: nothing is kept after exit)", TXKV_VERSION,
             where);
    CHECK(strcmp(s->line, wanted) == 0, "the start line is '%s', not '%s'", s->line, wanted);
}

/* --- addresses --- */

static void default_addresses(void)
{
    struct server s;
    char where[64];
    server_start(&s, NULL);
    snprintf(where, sizeof(where), "127.0.0.1:%d", s.port);
    expect_line(&s, where);
    ping_at("127.0.0.1", s.port);
    if (has_ipv6()) {
        ping_at("::1", s.port);
    }
    server_stop(&s);
}

static void chosen_port(void)
{
    struct server s;
    char port[16];
    char where[64];
    server_start(&s, NULL);
    snprintf(port, sizeof(port), "%d", s.port);
    server_stop(&s);
    server_start(&s, "--port", port, NULL);
    snprintf(where, sizeof(where), "127.0.0.1:%s", port);
    expect_line(&s, where);
    ping_at("127.0.0.1", s.port);
    server_stop(&s);
}

static void several_addresses(void)
{
    struct server s;
    char where[128];
    bool six = has_ipv6();
    server_start(&s, "--bind", "127.0.0.2", "--bind=127.0.0.3", six ? "--bind=::1" : NULL, NULL);
    snprintf(where, sizeof(where), six ? "127.0.0.2:%d, 127.0.0.3:%d, [::1]:%d" : "127.0.0.2:%d, 127.0.0.3:%d", s.port,
             s.port, s.port);
    expect_line(&s, where);
    ping_at("127.0.0.2", s.port);
    ping_at("127.0.0.3", s.port);
    if (six) {
        ping_at("::1", s.port);
    }
    struct client c;
    int rc = client_open_ip(&c, "127.0.0.1", s.port);
    CHECK(rc == -ECONNREFUSED, "--bind does not replace the default: 127.0.0.1 answers too");
    server_stop(&s);
}

static void expect_refusal(const struct server_result *r, int status, const char *part)
{
    const char *lf = strchr(r->err, '\n');
    CHECK(r->status == status, "the exit status is %d, not %d; standard error: %s", r->status, status, r->err);
    CHECK(r->out[0] == '\0', "a refusal is on standard output: %s", r->out);
    CHECK(lf != NULL && lf[1] == '\0', "not one line on standard error: '%s'", r->err);
    CHECK(strncmp(r->err, "txkv-server: ", 13) == 0, "the message does not name its program: %s", r->err);
    CHECK(strstr(r->err, part) != NULL, "the message does not say '%s': %s", part, r->err);
}

static void port_in_use(void)
{
    struct server s;
    struct server_result r;
    char port[16];
    char wanted[64];
    server_start(&s, NULL);
    snprintf(port, sizeof(port), "%d", s.port);
    snprintf(wanted, sizeof(wanted), "127.0.0.1 port %s: address already in use", port);
    server_run(&r, "--port", port, NULL);
    expect_refusal(&r, 1, wanted);
    ping_at("127.0.0.1", s.port);
    server_stop(&s);
}

static void port_in_use_in_ipv6_alone(void)
{
    struct server s;
    struct server_result r;
    char port[16];
    char wanted[64];
    if (!has_ipv6()) {
        check_skip("no ::1 here");
    }
    server_start(&s, "--bind", "::1", NULL);
    snprintf(port, sizeof(port), "%d", s.port);
    snprintf(wanted, sizeof(wanted), "::1 port %s: address already in use", port);
    server_run(&r, "--port", port, NULL);
    expect_refusal(&r, 1, wanted);
    server_stop(&s);
}

static void unusable_address(void)
{
    struct server_result r;
    server_run(&r, "--port", "0", "--bind", "203.0.113.7", NULL);
    expect_refusal(&r, 1, "cannot listen on 203.0.113.7");
}

/* --- the Unix socket --- */

static char directory[] = "/tmp/txkv-start-XXXXXX";
static char path[64];

static void make_directory(void)
{
    if (mkdtemp(directory) == NULL) {
        check_broken("%s: %s", directory, strerror(errno));
    }
    snprintf(path, sizeof(path), "%s/socket", directory);
}

static void expect_no_file(void)
{
    struct stat st;
    CHECK(lstat(path, &st) < 0 && errno == ENOENT, "the socket's file is still there after exit");
    rmdir(directory);
}

static void ping_unix(void)
{
    struct client c;
    int rc = client_open_unix(&c, path);
    CHECK(rc == 0, "no connection to %s: %s", path, strerror(-rc));
    ping_and_close(&c);
}

static void unix_socket(void)
{
    struct server s;
    char where[128];
    make_directory();
    server_start(&s, "--unix", path, NULL);
    snprintf(where, sizeof(where), "127.0.0.1:%d, %s", s.port, path);
    expect_line(&s, where);
    ping_unix();
    ping_at("127.0.0.1", s.port);
    server_stop(&s);
    expect_no_file();
}

/* It speaks as TCP does: pipelines, big answers, QUIT with commands behind it, half-close. */
static void unix_socket_conversation(void)
{
    struct server s;
    struct client c;
    struct text out = {0};
    struct text expected = {0};
    make_directory();
    server_start(&s, "--unix", path, NULL);
    text_add_line(&out, 'v', 500000, "SET v ");
    text_addf(&expected, "OK\r\n");
    for (int i = 1; i <= 20; i++) {
        text_addf(&out, "GET v\r\nINCR n\r\n");
        text_fill(&expected, 'v', 500000);
        text_addf(&expected, "\r\n%d\r\n", i);
    }
    struct text more = {0};
    text_add(&more, out.data, out.len);
    text_addf(&more, "QUIT\r\nSET after 1\r\n");
    CHECK(client_open_unix(&c, path) == 0, "no connection to %s", path);
    client_exchange(&c, &more, &expected);
    client_expect_eof(&c);
    client_close(&c);
    CHECK(client_open_unix(&c, path) == 0, "no connection to %s", path);
    client_sendf(&c, "EXISTS after\r\nGET n\r\nSET n");
    client_half_close(&c);
    client_expect(&c, "0");
    client_expect(&c, "20");
    client_expect_eof(&c);
    client_close(&c);
    server_stop(&s);
    expect_no_file();
}

static void unix_socket_stale(void)
{
    struct server s;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    make_directory();
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0) {
        check_broken("%s: %s", path, strerror(errno));
    }
    close(fd); /* the file stays, nobody listens */
    server_start(&s, "--unix", path, NULL);
    ping_unix();
    server_stop(&s);
    expect_no_file();
}

static void unix_socket_live(void)
{
    struct server s;
    struct server_result r;
    make_directory();
    server_start(&s, "--unix", path, NULL);
    server_run(&r, "--port", "0", "--unix", path, NULL);
    expect_refusal(&r, 1, "address already in use");
    CHECK(strstr(r.err, path) != NULL, "the message does not name the path: %s", r.err);
    ping_unix(); /* the other's socket was not taken away */
    server_stop(&s);
    expect_no_file();
}

static void unix_socket_in_no_directory(void)
{
    struct server_result r;
    make_directory();
    char nowhere[sizeof(path) + 8];
    snprintf(nowhere, sizeof(nowhere), "%s.no/s", path);
    server_run(&r, "--port", "0", "--unix", nowhere, NULL);
    expect_refusal(&r, 1, "no such file or directory");
    CHECK(strstr(r.err, nowhere) != NULL, "the message does not name the path: %s", r.err);
    rmdir(directory);
}

static void unix_socket_other_file(void)
{
    struct server_result r;
    struct stat st;
    make_directory();
    FILE *file = fopen(path, "w");
    if (file == NULL || fputs("precious", file) < 0 || fclose(file) != 0) {
        check_broken("%s: %s", path, strerror(errno));
    }
    server_run(&r, "--port", "0", "--unix", path, NULL);
    expect_refusal(&r, 1, path);
    CHECK(lstat(path, &st) == 0 && st.st_size == 8, "a file that is no socket was removed or changed");
    unlink(path);
    rmdir(directory);
}

/* --- the command line --- */

static const char *const option_names[] = {
    "--bind",
    "--port",
    "--unix",
    "--password-file",
    "--data",
    "--sync",
    "--log-writer",
    "--checkpoint-log-bytes",
    "--log-segment-bytes",
    "--backup-dir",
    "--outcome-keep",
    "--outcome-max",
    "--isolation",
    "--quiet-transactions",
    "--max-connections",
    "--maxmemory",
    "--history-max",
    "--key-max",
    "--value-max",
    "--tx-bytes",
    "--tx-keys",
    "--tx-idle",
    "--answer-max",
    "--pending-max",
    "--unread-timeout",
    "--partial-timeout",
    "--help",
    "--version",
};

static void version(void)
{
    struct server_result r;
    server_run(&r, "--version", NULL);
    CHECK(r.status == 0 && strcmp(r.out, "txkv " TXKV_VERSION "\n") == 0 && r.err[0] == '\0',
          "--version printed '%s', on standard error '%s', and ended with %d", r.out, r.err, r.status);
}

static void help(void)
{
    struct server_result r;
    size_t lines = 0;
    server_run(&r, "--help", NULL);
    CHECK(r.status == 0 && r.err[0] == '\0', "--help ended with %d, on standard error '%s'", r.status, r.err);
    for (size_t i = 0; i < sizeof(option_names) / sizeof(option_names[0]); i++) {
        char wanted[64];
        snprintf(wanted, sizeof(wanted), "\n  %s ", option_names[i]);
        CHECK(strstr(r.out, wanted) != NULL, "--help does not list %s", option_names[i]);
    }
    for (const char *at = r.out; (at = strstr(at, "\n  --")) != NULL; at++) {
        lines++;
    }
    CHECK(lines == sizeof(option_names) / sizeof(option_names[0]), "--help lists %zu options; this test knows %zu",
          lines, sizeof(option_names) / sizeof(option_names[0]));
}

static void wrong_command_lines(void)
{
    static const struct {
        const char *args[5];
        const char *part;
    } rows[] = {
        {{"--nonsense"}, "--nonsense"},
        {{"--nonsense=1"}, "--nonsense=1"},
        {{"-x"}, "-x"},
        {{"--port", "1", "-p", "2"}, "-p"},
        {{"--port"}, "--port lacks its value"},
        {{"--port", "80", "--bind"}, "--bind lacks its value"},
        {{"--port", ""}, "--port"},
        {{"--port", "eighty"}, "eighty"},
        {{"--port", "-1"}, "-1"},
        {{"--port", "+1"}, "+1"},
        {{"--port", " 1"}, "--port"},
        {{"--port", "65536"}, "0 to 65535"},
        {{"--port", "99999999999999999999"}, "99999999999999999999"},
        {{"--port", "8K"}, "8K"},
        {{"--maxmemory", "12X"}, "12X"},
        {{"--maxmemory", "12KB"}, "12KB"},
        {{"--maxmemory", "18446744073709551615G"}, "18446744073709551615G"},
        {{"--max-connections", "0"}, "out of range"},
        {{"--isolation", "none"}, "serializable"},
        {{"--password-file", ""}, "--password-file"},
        {{"--data", ""}, "--data"},
        {{"--sync", "always"}, "commit, interval or none"},
        {{"--log-writer", "me"}, "auto, kernel or thread"},
        {{"--checkpoint-log-bytes", "1K"}, "out of range"},
        {{"--log-segment-bytes", "1K"}, "out of range"},
        {{"--backup-dir", ""}, "--backup-dir"},
        {{"--outcome-keep", "1"}, "out of range"},
        {{"--outcome-max", "10"}, "out of range"},
        {{"--isolation", "SERIALIZABLE "}, "plain or serializable"},
        {{"--quiet-transactions=yes"}, "--quiet-transactions"},
        {{"--unix", ""}, "--unix"},
        {{"stray"}, "'stray'"},
        {{"--port", "0", "stray"}, "'stray'"},
        {{"--port", "0", "--", "--help"}, "'--help'"},
        {{"-xy"}, "-x"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct server_result r;
        printf("    %s %s %s\n", rows[i].args[0], rows[i].args[1] == NULL ? "" : rows[i].args[1],
               rows[i].args[2] == NULL ? "" : rows[i].args[2]);
        server_run_with(&r, &(struct server_setup){.args = rows[i].args});
        expect_refusal(&r, 2, rows[i].part);
    }
}

static void wrong_address(void)
{
    struct server_result r;
    server_run(&r, "--port", "0", "--bind", "localhost.", NULL);
    CHECK(r.status == 1 || r.status == 2, "a --bind that is no address: exit status %d", r.status);
    expect_refusal(&r, r.status, "localhost.");
}

static const struct check checks[] = {
    {"default addresses", default_addresses},
    {"chosen port", chosen_port},
    {"several addresses", several_addresses},
    {"port in use", port_in_use},
    {"port in use in IPv6 alone", port_in_use_in_ipv6_alone},
    {"unusable address", unusable_address},
    {"Unix socket", unix_socket},
    {"Unix socket, a conversation", unix_socket_conversation},
    {"Unix socket, a stale one", unix_socket_stale},
    {"Unix socket, a live one", unix_socket_live},
    {"Unix socket, another file", unix_socket_other_file},
    {"Unix socket, in no directory", unix_socket_in_no_directory},
    {"--version", version},
    {"--help", help},
    {"wrong command lines", wrong_command_lines},
    {"wrong address", wrong_address},
};

CHECK_MAIN(checks)
