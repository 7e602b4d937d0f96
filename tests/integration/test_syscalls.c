/* One tick of a deep pipeline is one read and one write: seen through strace, where it is installed and may be used. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "server_fixture.h"
#include "wire.h"

#define DEPTH 100

static char trace_path[] = "/tmp/txkv-syscalls-XXXXXX";
static char trace[65536];

/* Starts `strace -p SERVER`; its messages go to the pipe whose end is returned. */
static int attach(const struct server *s, pid_t *pid)
{
    int ends[2];
    char target[16];
    pid_t parent = getpid();
    snprintf(target, sizeof(target), "%d", (int)s->pid);
    if (pipe2(ends, O_CLOEXEC) < 0) {
        check_broken("pipe: %s", strerror(errno));
    }
    *pid = fork();
    if (*pid < 0) {
        check_broken("fork: %s", strerror(errno));
    }
    if (*pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGTERM);
        if (getppid() != parent) {
            _exit(127);
        }
        dup2(ends[1], STDERR_FILENO);
        execlp("strace", "strace", "-o", trace_path, "-e",
               "trace=read,readv,recvfrom,recvmsg,write,writev,sendto,sendmsg,epoll_ctl", "-s", "8", "-p", target,
               (char *)NULL);
        dprintf(STDERR_FILENO, "no strace here\n");
        _exit(127);
    }
    close(ends[1]);
    return ends[0];
}

/* Waits for strace's word that it has attached; skips where it says something else. */
static void wait_attached(int fd)
{
    char text[1024];
    size_t len = 0;
    ssize_t got;
    while ((got = read(fd, text + len, sizeof(text) - 1 - len)) > 0) {
        len += (size_t)got;
        text[len] = '\0';
        if (strstr(text, "attached") != NULL && strchr(text, '\n') != NULL) {
            return;
        }
        if (len == sizeof(text) - 1) {
            break;
        }
    }
    text[len] = '\0';
    text[strcspn(text, "\n")] = '\0';
    check_skip("strace cannot be used: %s", len == 0 ? "it said nothing" : text);
}

static void detach(pid_t pid, int fd)
{
    int status;
    kill(pid, SIGINT);
    waitpid(pid, &status, 0);
    close(fd);
    int file = open(trace_path, O_RDONLY | O_CLOEXEC);
    ssize_t got = file < 0 ? -1 : read(file, trace, sizeof(trace) - 1);
    if (got < 0) {
        check_broken("%s: %s", trace_path, strerror(errno));
    }
    trace[got] = '\0';
    close(file);
    unlink(trace_path);
}

/* The descriptor of the call that got so many bytes, -1 where none did. */
static int descriptor_of(long bytes)
{
    for (const char *line = trace; line != NULL; line = strchr(line, '\n') == NULL ? NULL : strchr(line, '\n') + 1) {
        const char *end = strchr(line, '\n');
        const char *paren = strchr(line, '(');
        const char *result = end;
        while (result != NULL && result > line && *result != '=') {
            result--;
        }
        if (end != NULL && paren != NULL && paren < end && *result == '=' && strtol(result + 1, NULL, 10) == bytes) {
            return atoi(paren + 1);
        }
    }
    return -1;
}

/* Calls whose name begins so, on this descriptor. */
static size_t count_calls(const char *const *names, int fd)
{
    size_t count = 0;
    for (; *names != NULL; names++) {
        char wanted[32];
        snprintf(wanted, sizeof(wanted), "%s(%d,", *names, fd);
        for (const char *at = trace; (at = strstr(at, wanted)) != NULL; at++) {
            count += at == trace || at[-1] == '\n' ? 1 : 0;
        }
    }
    return count;
}

static const char *const reads[] = {"read", "readv", "recvfrom", "recvmsg", NULL};
static const char *const writes[] = {"write", "writev", "sendto", "sendmsg", NULL};

/* strace makes the file; a skip leaves nothing. */
static void name_trace(void)
{
    memcpy(trace_path + strlen(trace_path) - 6, "XXXXXX", 6);
    int file = mkstemp(trace_path);
    if (file < 0) {
        check_broken("%s: %s", trace_path, strerror(errno));
    }
    close(file);
    unlink(trace_path);
}

static void one_read_one_write(void)
{
    struct server s;
    struct client c;
    struct text out = {0};
    struct text expected = {0};
    pid_t pid;
    name_trace();
    server_start(&s, NULL);
    client_open(&c, &s);
    client_ask(&c, "SET a 1", "OK");
    int messages = attach(&s, &pid);
    wait_attached(messages);
    for (int i = 0; i < DEPTH; i++) {
        text_addf(&out, "GET a\r\n");
        text_addf(&expected, "1\r\n");
    }
    client_send(&c, out.data, out.len);
    client_exchange(&c, &(struct text){0}, &expected);
    detach(pid, messages);
    int fd = descriptor_of((long)out.len);
    CHECK(fd >= 0, "no single read took the %zu bytes:\n%s", out.len, trace);
    CHECK(count_calls(reads, fd) == 1, "%zu reads for one pipeline of %d:\n%s", count_calls(reads, fd), DEPTH, trace);
    CHECK(count_calls(writes, fd) == 1, "%zu writes for one pipeline of %d:\n%s", count_calls(writes, fd), DEPTH,
          trace);
    CHECK(strstr(trace, "epoll_ctl") == NULL, "a pipeline that is answered at once changes what is polled:\n%s", trace);
    client_close(&c);
    server_stop(&s);
}

/* Large values are read one at a time; what has arrived together is answered together. */
static void large_answered_together(void)
{
    struct server s;
    struct client c;
    struct text out = {0};
    pid_t pid;
    name_trace();
    server_start(&s, NULL);
    client_open(&c, &s);
    text_add_line(&out, 'v', LARGE_VALUE, "SET %s ", "key");
    size_t one = out.len;
    for (int i = 0; i < 4; i++) { /* the kernel learns how much this connection needs */
        client_set_large(&c, "key", 'v', LARGE_VALUE);
    }
    text_add_line(&out, 'v', LARGE_VALUE, "SET %s ", "key");
    kill(s.pid, SIGSTOP);
    client_send(&c, out.data, out.len);
    client_wait_delivered(&c);
    int messages = attach(&s, &pid);
    wait_attached(messages);
    kill(s.pid, SIGCONT);
    client_expect(&c, "OK");
    client_expect(&c, "OK");
    detach(pid, messages);
    int fd = descriptor_of((long)one);
    CHECK(fd >= 0, "no single read took the %zu bytes:\n%s", one, trace);
    CHECK(count_calls(reads, fd) == 2, "%zu reads for two values:\n%s", count_calls(reads, fd), trace);
    CHECK(count_calls(writes, fd) == 1, "%zu writes for their answers:\n%s", count_calls(writes, fd), trace);
    client_close(&c);
    server_stop(&s);
}

static const struct check checks[] = {
    {"one read, one write", one_read_one_write},
    {"large values are answered together", large_answered_together},
};

CHECK_MAIN(checks)
