#include "server_process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define START_MS_MAX 20000
#define STOP_MS_MAX 20000
#define ARGS_MAX 32

static void set_variable(const char *name, const char *value)
{
    if (value != NULL) {
        setenv(name, value, 1);
    } else {
        unsetenv(name);
    }
}

static void run_server(const struct server_setup *setup, int out, int err, pid_t parent)
{
    char *argv[ARGS_MAX + 4];
    size_t count = 0;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) {
        _exit(127); /* the parent died before the line above */
    }
    set_variable("TXKV_FAULT", setup->fault);
    set_variable("TXKV_CRASH", setup->crash);
    argv[count++] = strdup(setup->path);
    argv[count++] = strdup("--port");
    argv[count++] = strdup("0");
    for (size_t i = 0; setup->args != NULL && setup->args[i] != NULL && i < ARGS_MAX; i++) {
        argv[count++] = strdup(setup->args[i]);
    }
    argv[count] = NULL;
    dup2(out, STDOUT_FILENO);
    dup2(err, STDERR_FILENO);
    execv(setup->path, argv);
    fprintf(stderr, "%s: %s\n", setup->path, strerror(errno));
    _exit(127);
}

/* Reads lines until one says "listening on 127.0.0.1:PORT". */
static int read_port(struct server_process *s, int patience_ms)
{
    char text[4096];
    size_t len = 0;
    struct pollfd ready = {.fd = s->out, .events = POLLIN};
    while (len < sizeof(text) - 1 && poll(&ready, 1, patience_ms) == 1) {
        ssize_t n = read(s->out, text + len, sizeof(text) - 1 - len);
        if (n <= 0) {
            break;
        }
        len += (size_t)n;
        text[len] = '\0';
        const char *at = strstr(text, "listening on 127.0.0.1:");
        if (at && strchr(at, '\n')) {
            s->port = (uint16_t)strtoul(strrchr(strtok(strstr(text, "127.0.0.1:"), " \r\n"), ':') + 1, NULL, 10);
            return s->port ? 0 : -1;
        }
    }
    return -1;
}

/* What it said on its standard error. */
static void print_errors(const struct server_process *s)
{
    char text[4096];
    ssize_t got = pread(s->err, text, sizeof(text), 0);
    fwrite(text, 1, got > 0 ? (size_t)got : 0, stderr);
}

static void close_ends(struct server_process *s)
{
    close(s->out);
    close(s->err);
}

enum server_start server_process_start(struct server_process *s, const struct server_setup *setup)
{
    int ends[2];
    int status = 0;
    s->err = memfd_create("stderr", MFD_CLOEXEC);
    if (s->err < 0 || pipe2(ends, O_CLOEXEC) != 0) {
        perror("pipe");
        return SERVER_FAILED;
    }
    pid_t parent = getpid();
    s->pid = fork();
    if (s->pid == 0) {
        run_server(setup, ends[1], s->err, parent);
    }
    close(ends[1]);
    s->out = ends[0];
    if (s->pid > 0 && read_port(s, setup->start_ms > 0 ? setup->start_ms : START_MS_MAX) == 0) {
        return SERVER_RUNS;
    }
    bool may_be_killed = setup->crash != NULL || setup->start_ms > 0;
    if (s->pid > 0) {
        kill(s->pid, setup->start_ms > 0 ? SIGKILL : SIGABRT); /* it has ended, or hangs; or had its time */
        waitpid(s->pid, &status, 0);
    }
    bool killed = may_be_killed && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
    if (!killed) {
        fprintf(stderr, "%s: did not start%s%s\n", setup->path, setup->fault ? " with TXKV_FAULT=" : "",
                setup->fault ? setup->fault : "");
        print_errors(s);
    }
    close_ends(s);
    return killed ? SERVER_KILLED : SERVER_FAILED;
}

void server_process_kill(const struct server_process *s)
{
    kill(s->pid, SIGKILL);
}

/* How it ended is right, or a message is on stderr. */
static int judge_end(struct server_process *s, int status, bool right)
{
    if (!right) {
        print_errors(s);
        fprintf(stderr, "the server was ended by %s %d\n", WIFEXITED(status) ? "exit, status" : "signal",
                WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
    }
    close_ends(s);
    return right ? 0 : -1;
}

/* Waits, and kills it where it does not end. */
static int wait_for_end(const struct server_process *s)
{
    int status = 0;
    int waited_ms = 0;
    while (waitpid(s->pid, &status, WNOHANG) == 0) {
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
        if (++waited_ms == STOP_MS_MAX) {
            fprintf(stderr, "the server does not end\n");
            kill(s->pid, SIGABRT);
        }
    }
    return status;
}

int server_process_reap(struct server_process *s)
{
    int status = wait_for_end(s);
    return judge_end(s, status, WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

int server_process_stop(struct server_process *s)
{
    kill(s->pid, SIGTERM);
    int status = wait_for_end(s);
    return judge_end(s, status, WIFEXITED(status) && WEXITSTATUS(status) == 0);
}
