#include "spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"

#define LOOK_NS 5000000L /* between two looks */
#define OUTPUT_SHOWN 2000
#define STOP_NS (2 * NS_PER_S) /* patience with a server that did not come up */

static void pause_a_little(void)
{
    (void)nanosleep(&(struct timespec){.tv_nsec = LOOK_NS}, NULL);
}

static bool accepts(const struct addrinfo *addr)
{
    bool accepted = false;
    for (; !accepted && addr != NULL; addr = addr->ai_next) {
        int fd = socket(addr->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        accepted = fd >= 0 && connect(fd, addr->ai_addr, addr->ai_addrlen) == 0;
        if (fd >= 0) {
            close(fd);
        }
    }
    return accepted;
}

/* It stays a zombie, so that its number, and that of its group, are not given to others. */
static bool has_ended(pid_t pid, siginfo_t *how)
{
    *how = (siginfo_t){0};
    return waitid(P_PID, (id_t)pid, how, WEXITED | WNOHANG | WNOWAIT) != 0 || how->si_pid == pid;
}

_Noreturn static void become(const char *command, pid_t parent, int output)
{
    char line[4096];
    sigset_t none;
    sigemptyset(&none);
    (void)setpgid(0, 0);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    int n = snprintf(line, sizeof line, "exec %s", command);
    bool orphan = getppid() != parent; /* it was gone before it could be bound to */
    if (!orphan && n > 0 && (size_t)n < sizeof line && dup2(output, STDOUT_FILENO) >= 0 &&
        dup2(output, STDERR_FILENO) >= 0) {
        execl("/bin/sh", "sh", "-c", line, (char *)NULL);
    }
    _exit(127);
}

static int start(struct spawn *s, const char *command)
{
    pid_t parent = getpid();
    s->output = tmpfile();
    if (s->output == NULL || fcntl(fileno(s->output), F_SETFD, FD_CLOEXEC) != 0) {
        return -1;
    }
    pid_t pid = fork();
    if (pid < 0) {
        return -1;
    }
    if (pid == 0) {
        become(command, parent, fileno(s->output));
    }
    (void)setpgid(pid, pid); /* whoever of both comes first */
    s->pid = pid;
    return 0;
}

static int await(const struct spawn *s, const struct addrinfo *addr, uint64_t patience_ns, char *why, size_t why_size)
{
    uint64_t until = now_ns() + patience_ns;
    siginfo_t how;
    while (now_ns() < until) {
        bool up = accepts(addr);
        if (has_ended(s->pid, &how)) {
            snprintf(why, why_size, "--spawn: the server ended by %s %d before it accepted connections",
                     how.si_code == CLD_EXITED ? "exit status" : "signal", how.si_status);
            return -1;
        }
        if (up) {
            return 0;
        }
        pause_a_little();
    }
    snprintf(why, why_size, "--spawn: the server does not accept connections after %.0f s",
             (double)patience_ns / (double)NS_PER_S);
    return -1;
}

int spawn_start(struct spawn *s, const char *command, const char *host, const char *port, uint64_t patience_ns,
                char *why, size_t why_size)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *addr = NULL;
    *s = (struct spawn){0};
    int err = getaddrinfo(host, port, &hints, &addr);
    if (err != 0) {
        snprintf(why, why_size, "--spawn: cannot resolve %s: %s", host, gai_strerror(err));
        return -1;
    }
    if (accepts(addr)) {
        snprintf(why, why_size, "--spawn: another server listens on %s:%s already", host, port);
        err = -1;
    } else if (start(s, command) != 0) {
        snprintf(why, why_size, "--spawn: %s", strerror(errno));
        err = -1;
    } else {
        err = await(s, addr, patience_ns, why, why_size);
    }
    freeaddrinfo(addr);
    if (err != 0) {
        spawn_stop(s, STOP_NS);
    }
    return err;
}

void spawn_stop(struct spawn *s, uint64_t patience_ns)
{
    pid_t pid = s->pid;
    if (pid == 0) {
        return;
    }
    siginfo_t how;
    uint64_t until = now_ns() + patience_ns;
    (void)kill(-pid, SIGTERM);
    while (!has_ended(pid, &how) && now_ns() < until) {
        pause_a_little();
    }
    (void)kill(-pid, SIGKILL); /* what it has started too */
    s->pid = 0;
    (void)waitpid(pid, NULL, 0);
}

void spawn_print_output(const struct spawn *s, FILE *f)
{
    char text[OUTPUT_SHOWN];
    struct stat file;
    int fd = s->output == NULL ? -1 : fileno(s->output);
    if (fstat(fd, &file) != 0) {
        return;
    }
    off_t from = file.st_size > OUTPUT_SHOWN ? file.st_size - OUTPUT_SHOWN : 0;
    ssize_t n = pread(fd, text, sizeof text, from);
    if (n > 0) {
        fprintf(f, "its output%s:\n%.*s%s", from > 0 ? " ends with" : "", (int)n, text,
                text[n - 1] == '\n' ? "" : "\n");
    }
}

void spawn_deinit(struct spawn *s)
{
    if (s->output != NULL) {
        fclose(s->output);
        s->output = NULL;
    }
}
