#include "server_process.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define START_MS_MAX 20000
#define STOP_MS_MAX 20000

static void run_server(const char *path, const char *fault, int out, pid_t parent)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) {
        _exit(127); /* the parent died before the line above */
    }
    if (fault) {
        setenv("TXKV_FAULT", fault, 1);
    } else {
        unsetenv("TXKV_FAULT");
    }
    dup2(out, STDOUT_FILENO);
    close(out);
    execl(path, path, "--port", "0", (char *)NULL);
    fprintf(stderr, "%s: %s\n", path, strerror(errno));
    _exit(127);
}

/* Reads lines until one says "listening on 127.0.0.1:PORT". */
static int read_port(struct server_process *s)
{
    char text[4096];
    size_t len = 0;
    struct pollfd ready = {.fd = s->out, .events = POLLIN};
    while (len < sizeof(text) - 1 && poll(&ready, 1, START_MS_MAX) == 1) {
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

int server_process_start(struct server_process *s, const char *path, const char *fault)
{
    int ends[2];
    if (pipe(ends) != 0) {
        perror("pipe");
        return -1;
    }
    pid_t parent = getpid();
    s->pid = fork();
    if (s->pid == 0) {
        close(ends[0]);
        run_server(path, fault, ends[1], parent);
    }
    close(ends[1]);
    s->out = ends[0];
    if (s->pid > 0 && read_port(s) == 0) {
        return 0;
    }
    fprintf(stderr, "%s: did not start%s%s\n", path, fault ? " with TXKV_FAULT=" : "", fault ? fault : "");
    if (s->pid > 0) {
        kill(s->pid, SIGKILL);
        waitpid(s->pid, NULL, 0);
    }
    close(s->out);
    return -1;
}

int server_process_stop(struct server_process *s)
{
    int status = 0, waited_ms = 0;
    kill(s->pid, SIGTERM);
    while (waitpid(s->pid, &status, WNOHANG) == 0) {
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
        waited_ms += 10;
        if (waited_ms == STOP_MS_MAX) {
            kill(s->pid, SIGKILL);
        }
    }
    close(s->out);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
        return 0;
    }
    if (WIFEXITED(status)) {
        fprintf(stderr, "the server exited with status %d\n", WEXITSTATUS(status));
    } else {
        fprintf(stderr, "the server was ended by signal %d%s\n", WTERMSIG(status),
                waited_ms >= STOP_MS_MAX ? " (it did not stop)" : "");
    }
    return -1;
}
