#include "process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

/* There is no going on without it: a test that killed process -1 would end everything on the machine. */
static pid_t process_fork(void)
{
    fflush(stdout);
    pid_t pid = fork();
    if (pid < 0) {
        perror("fork");
        exit(1);
    }
    return pid;
}

struct server server_start(const char *path, int port)
{
    const char *none = NULL;
    return server_start_with(path, port, &none);
}

struct server server_start_with(const char *path, int port, const char *const *options)
{
    int out[2];
    char number[16];
    snprintf(number, sizeof number, "%d", port);
    const char *argv[16] = {path, "--bind", "127.0.0.1", "--port", number};
    for (int i = 0; i < 8 && options[i] != NULL; i++) {
        argv[5 + i] = options[i];
    }
    if (pipe(out) < 0) {
        exit(1);
    }
    struct server s = {.pid = process_fork()};
    if (s.pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        dup2(out[1], STDOUT_FILENO);
        close(out[0]);
        close(out[1]);
        execv(path, (char *const *)(const void *)argv);
        _exit(127);
    }
    close(out[1]);
    FILE *f = fdopen(out[0], "r");
    char line[512] = "";
    const char *at = fgets(line, sizeof line, f) == NULL ? NULL : strstr(line, "listening on 127.0.0.1:");
    fclose(f);
    if (at == NULL) {
        fprintf(stderr, "%s does not listen: %s\n", path, line);
        exit(1);
    }
    s.port = atoi(at + strlen("listening on 127.0.0.1:"));
    return s;
}

void server_kill(struct server *s)
{
    kill(s->pid, SIGKILL);
    waitpid(s->pid, NULL, 0);
}

void server_stop(struct server *s)
{
    int status = 0;
    kill(s->pid, SIGTERM);
    waitpid(s->pid, &status, 0);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* Appends what fd has to a buffer of size bytes, and closes fd at its end. */
static void take(int *fd, char *text, size_t size)
{
    size_t len = strlen(text);
    char spill[4096];
    bool full = len + 1 >= size;
    ssize_t n = read(*fd, full ? spill : text + len, full ? sizeof spill : size - 1 - len);
    if (n <= 0) {
        close(*fd);
        *fd = -1;
    } else if (!full) {
        text[len + (size_t)n] = '\0';
    }
}

/* Writes input and reads both outputs until they are at their end. */
static void converse(struct output *o, int in, int out, int err, const char *input)
{
    while (out >= 0 || err >= 0) {
        struct pollfd p[3] = {{in, POLLOUT, 0}, {out, POLLIN, 0}, {err, POLLIN, 0}};
        poll(p, 3, -1);
        if (in >= 0 && p[0].revents != 0) {
            ssize_t n = *input == '\0' ? -1 : write(in, input, strlen(input));
            if (n > 0) {
                input += n;
            } else {
                close(in);
                in = -1;
            }
        }
        if (out >= 0 && p[1].revents != 0) {
            take(&out, o->out, sizeof o->out);
        }
        if (err >= 0 && p[2].revents != 0) {
            take(&err, o->err, sizeof o->err);
        }
    }
    if (in >= 0) {
        close(in);
    }
}

void process_run(struct output *o, char *const *argv, const char *input)
{
    int in[2];
    int out[2];
    int err[2];
    *o = (struct output){.status = -1};
    signal(SIGPIPE, SIG_IGN);
    if (pipe(in) < 0 || pipe(out) < 0 || pipe(err) < 0) {
        exit(1);
    }
    pid_t pid = process_fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        signal(SIGPIPE, SIG_DFL);
        dup2(in[0], STDIN_FILENO);
        dup2(out[1], STDOUT_FILENO);
        dup2(err[1], STDERR_FILENO);
        for (int fd = 3; fd < 64; fd++) {
            close(fd);
        }
        execv(argv[0], argv);
        _exit(127);
    }
    close(in[0]);
    close(out[1]);
    close(err[1]);
    converse(o, in[1], out[0], err[0], input);
    int status = 0;
    waitpid(pid, &status, 0);
    o->status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

struct process process_start(char *const *argv)
{
    int in[2];
    int out[2];
    signal(SIGPIPE, SIG_IGN);
    if (pipe2(in, O_CLOEXEC) < 0 || pipe2(out, O_CLOEXEC) < 0) {
        exit(1);
    }
    struct process p = {.pid = process_fork()};
    if (p.pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        signal(SIGPIPE, SIG_DFL);
        dup2(in[0], STDIN_FILENO);
        dup2(out[1], STDOUT_FILENO);
        execv(argv[0], argv);
        _exit(127);
    }
    close(in[0]);
    close(out[1]);
    p.to = fdopen(in[1], "w");
    p.from = fdopen(out[0], "r");
    return p;
}

int process_end(struct process *p)
{
    int status = 0;
    fclose(p->to);
    fclose(p->from);
    waitpid(p->pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}
