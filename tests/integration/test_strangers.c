/* A peer that is not local is refused: tried between two network namespaces of the test's own, joined by a cable. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "server_fixture.h"
#include "wire.h"

#define SERVER_ADDRESS "10.199.7.1"
#define STRANGER_ADDRESS "10.199.7.2"
#define TRIES_MS 5000

static void run_command(const char *command)
{
    char whole[512];
    snprintf(whole, sizeof(whole), "exec 2>&1; %s", command);
    FILE *output = popen(whole, "re");
    char text[256] = "";
    if (output == NULL) {
        check_broken("popen: %s", strerror(errno));
    }
    size_t got = fread(text, 1, sizeof(text) - 1, output);
    text[got] = '\0';
    text[strcspn(text, "\n")] = '\0';
    if (pclose(output) != 0) {
        check_skip("no network of one's own: %s: %s", command, text);
    }
}

static void own_namespace(void)
{
    if (unshare(CLONE_NEWNET) < 0) {
        check_skip("no network namespace: %s", strerror(errno));
    }
    run_command("ip link set lo up");
}

/* A process in a namespace of its own that is the other end of the cable: it holds the namespace until it is ended. */
struct stranger {
    pid_t pid;
    int said; /* what it has to say */
    int go;   /* closed when the cable is there */
};

/* Connects, sends, and prints the first two lines that the server says. */
static _Noreturn void be_stranger(int say, int go, int port, const char *lines)
{
    char byte;
    struct client c;
    size_t len;
    dprintf(say, "here\n");
    if (read(go, &byte, 1) < 0) {
        _exit(99);
    }
    run_command("ip link set lo up && ip addr add " STRANGER_ADDRESS "/24 dev txkv1 && ip link set txkv1 up");
    int64_t end_ms = check_now_ms() + TRIES_MS;
    int rc;
    while ((rc = client_open_ip(&c, SERVER_ADDRESS, port)) < 0 && check_now_ms() < end_ms) {
        poll(NULL, 0, 20);
    }
    if (rc < 0) {
        dprintf(say, "no connection: %s\n", strerror(-rc));
        _exit(0);
    }
    client_send_anyway(&c, lines, strlen(lines));
    const char *line = client_line(&c, &len);
    dprintf(say, "%s\n", line == NULL ? "closed" : line);
    line = line == NULL ? NULL : client_line(&c, &len);
    dprintf(say, "%s\n", line == NULL && c.end == WIRE_EOF ? "end" : line == NULL ? "reset" : line);
    _exit(0);
}

static void start_stranger(struct stranger *stranger, int port, const char *lines)
{
    int say[2];
    int go[2];
    if (pipe2(say, O_CLOEXEC) < 0 || pipe2(go, O_CLOEXEC) < 0) {
        check_broken("pipe: %s", strerror(errno));
    }
    stranger->pid = fork();
    if (stranger->pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        close(go[1]);
        if (unshare(CLONE_NEWNET) < 0) {
            _exit(77);
        }
        be_stranger(say[1], go[0], port, lines);
    }
    close(say[1]);
    close(go[0]);
    stranger->said = say[0];
    stranger->go = go[1];
}

/* The next line that the stranger says; it must be so, or begin so. */
static void expect_said(const struct stranger *stranger, const char *start)
{
    char line[512];
    size_t len = 0;
    struct pollfd ready = {.fd = stranger->said, .events = POLLIN};
    while (len < sizeof(line) - 1 && (len == 0 || line[len - 1] != '\n')) {
        CHECK(poll(&ready, 1, 2 * TRIES_MS) == 1, "the stranger says nothing, not '%s'", start);
        if (read(stranger->said, line + len, 1) != 1) {
            break;
        }
        len++;
    }
    line[len > 0 ? len - 1 : 0] = '\0';
    CHECK(strncmp(line, start, strlen(start)) == 0, "the stranger got '%s', which does not begin with '%s'", line,
          start);
}

/* Joins the two by a cable, so that the stranger goes on. */
static void lay_cable(const struct stranger *stranger)
{
    char command[256];
    snprintf(command, sizeof(command),
             "ip link add txkv0 type veth peer name txkv1 netns %d && ip addr add " SERVER_ADDRESS
             "/24 dev txkv0 && ip link set txkv0 up",
             (int)stranger->pid);
    run_command(command);
    close(stranger->go);
}

static void from_another_machine(void)
{
    struct server s;
    struct client local;
    struct stranger stranger;
    int status;
    own_namespace();
    server_start(&s, "--bind", "0.0.0.0", NULL);
    start_stranger(&stranger, s.port, "SET a 1\r\nGET a\r\n");
    expect_said(&stranger, "here");
    lay_cable(&stranger);
    expect_said(&stranger, "ERR DENIED this server takes connections of its own machine only");
    expect_said(&stranger, "end");
    waitpid(stranger.pid, &status, 0);
    client_open(&local, &s);
    client_ask(&local, "EXISTS a", "0");
    client_close(&local);
    server_stop(&s);
}

/* With a password strangers are served, once they have said it. */
static void with_a_password(void)
{
    struct server s;
    struct client local;
    struct stranger stranger;
    int status;
    FILE *file = fopen(check_path("password"), "w");
    CHECK(file != NULL && fchmod(fileno(file), 0600) == 0 && fputs("sesame\n", file) >= 0 && fclose(file) == 0, "no file");
    own_namespace();
    server_start(&s, "--bind", "0.0.0.0", "--password-file", check_path("password"), NULL);
    start_stranger(&stranger, s.port, "GET a\r\nAUTH sesame\r\nSET a 1\r\n");
    expect_said(&stranger, "here");
    lay_cable(&stranger);
    expect_said(&stranger, "ERR DENIED this server has a password, which comes first: AUTH password");
    expect_said(&stranger, "OK");
    waitpid(stranger.pid, &status, 0);
    client_open(&local, &s);
    client_ask_start(&local, "EXISTS a", "ERR DENIED ");
    client_ask(&local, "AUTH sesame", "OK");
    client_ask(&local, "EXISTS a", "1");
    client_close(&local);
    server_stop(&s);
}

/* Every address of the loopback range is local, whatever the server is bound to; also as seen by an IPv6 socket. */
static void from_the_loopback_range(void)
{
    struct server s;
    struct client c;
    server_start(&s, "--bind", "0.0.0.0", NULL);
    static const char *const addresses[] = {"127.0.0.1", "127.0.0.2", "127.255.255.254"};
    for (size_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
        int rc = client_open_ip(&c, addresses[i], s.port);
        CHECK(rc == 0, "no connection to %s: %s", addresses[i], strerror(-rc));
        client_ask(&c, "PING", "+PONG");
        client_close(&c);
    }
    server_stop(&s);
}

static const struct check checks[] = {
    {"from another machine", from_another_machine},
    {"with a password", with_a_password},
    {"from the loopback range", from_the_loopback_range},
};

CHECK_MAIN(checks)
