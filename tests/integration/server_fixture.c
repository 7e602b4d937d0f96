#include "server_fixture.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

#define START_MS_MAX 20000
#define STOP_MS_MAX 20000
#define RUN_MS_MAX 10000
#define ARGS_MAX 64
#define IDLE_MS 100 /* without processor time counts as idle; a clock tick has 10 ms */

/* --- starting --- */

static bool has_port(const char *const *args)
{
    for (size_t i = 0; args[i] != NULL; i++) {
        if (strncmp(args[i], "--port", 6) == 0) {
            return true;
        }
    }
    return false;
}

static _Noreturn void become_server(const struct server_setup *setup, bool default_port, int out, int err, pid_t parent)
{
    char *argv[2 * ARGS_MAX + 4];
    size_t count = 0;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) {
        _exit(127); /* the check died before the line above */
    }
    for (size_t i = 0; setup->before != NULL && setup->before[i] != NULL && i < ARGS_MAX; i++) {
        argv[count++] = strdup(setup->before[i]);
    }
    argv[count++] = strdup(check_server());
    if (default_port && !has_port(setup->args)) {
        argv[count++] = strdup("--port");
        argv[count++] = strdup("0");
    }
    for (size_t i = 0; setup->args[i] != NULL && i < ARGS_MAX; i++) {
        argv[count++] = strdup(setup->args[i]);
    }
    argv[count] = NULL;
    signal(SIGPIPE, SIG_DFL);
    dup2(out, STDOUT_FILENO);
    dup2(err, STDERR_FILENO);
    if (setup->before_exec != NULL) {
        setup->before_exec();
    }
    execvp(argv[0], argv);
    dprintf(STDERR_FILENO, "%s: %s\n", argv[0], strerror(errno));
    _exit(127);
}

static void spawn(struct server *s, const struct server_setup *setup, bool default_port)
{
    int ends[2];
    *s = (struct server){.err = memfd_create("stderr", MFD_CLOEXEC), .may_complain = setup->on_data};
    if (s->err < 0 || pipe2(ends, O_CLOEXEC) < 0) {
        check_broken("%s", strerror(errno));
    }
    pid_t parent = getpid();
    s->pid = fork();
    if (s->pid == 0) {
        become_server(setup, default_port, ends[1], s->err, parent);
    }
    close(ends[1]);
    s->out = ends[0];
    s->pidfd = s->pid > 0 ? pidfd_open(s->pid, 0) : -1;
    if (s->pidfd < 0) {
        check_broken("fork: %s", strerror(errno));
    }
}

static void give_up(const struct server *s, const char *what)
{
    char text[4096];
    server_stderr(s, text, sizeof(text));
    CHECK(!s->may_complain, "%s; its standard error: %s", what, text);
    check_broken("%s; its standard error: %s", what, text);
}

/* Its first line, which names the port behind the first colon that is followed by digits and a space or comma. */
static void read_start_line(struct server *s)
{
    size_t len = 0;
    struct pollfd ready = {.fd = s->out, .events = POLLIN};
    while (memchr(s->line, '\n', len) == NULL) {
        if (len == sizeof(s->line) - 1 || poll(&ready, 1, START_MS_MAX) != 1) {
            give_up(s, "the server did not say that it has started");
        }
        ssize_t got = read(s->out, s->line + len, sizeof(s->line) - 1 - len);
        if (got <= 0) {
            give_up(s, "the server did not start");
        }
        len += (size_t)got;
    }
    *strchr(s->line, '\n') = '\0';
    const char *at = strstr(s->line, " listening on ");
    const char *first_end = at == NULL ? NULL : at + 14 + strcspn(at + 14, ", ");
    while (first_end != NULL && first_end > at && first_end[-1] != ':') {
        first_end--;
    }
    s->port = first_end == NULL ? 0 : atoi(first_end);
    if (s->port <= 0) {
        check_broken("the start line names no port: %s", s->line);
    }
}

void server_start_with(struct server *s, const struct server_setup *setup)
{
    spawn(s, setup, true);
    read_start_line(s);
}

static void collect(const char **args, va_list from)
{
    size_t count = 0;
    do {
        if (count > ARGS_MAX) {
            check_broken("too many arguments");
        }
        args[count] = va_arg(from, const char *);
    } while (args[count++] != NULL);
}

void server_start(struct server *s, ...)
{
    const char *args[ARGS_MAX + 1];
    va_list from;
    va_start(from, s);
    collect(args, from);
    va_end(from);
    server_start_with(s, &(struct server_setup){.args = args});
}

void server_start_on(struct server *s, const char *name, ...)
{
    const char *args[ARGS_MAX + 3] = {"--data", check_path(name)};
    va_list from;
    va_start(from, name);
    collect(args + 2, from);
    va_end(from);
    server_start_with(s, &(struct server_setup){.args = args, .on_data = true});
}

/* --- ending --- */

void server_signal(const struct server *s, int number)
{
    if (s->pid <= 0 || kill(s->pid, number) < 0) { /* process -1 would be everyone */
        check_broken("kill: %s", s->pid <= 0 ? "no process" : strerror(errno));
    }
}

void server_stderr(const struct server *s, char *text, size_t size)
{
    ssize_t got = pread(s->err, text, size - 1, 0);
    text[got > 0 ? got : 0] = '\0';
}

/* Its exit status, or minus the signal that ended it. */
static int reap(struct server *s, int timeout_ms)
{
    int status;
    struct pollfd ended = {.fd = s->pidfd, .events = POLLIN};
    CHECK(poll(&ended, 1, timeout_ms) == 1, "the server did not end within %d ms", timeout_ms);
    CHECK(waitpid(s->pid, &status, 0) == s->pid, "waitpid: %s", strerror(errno));
    close(s->pidfd);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

void server_join(struct server *s, int timeout_ms)
{
    char text[4096];
    int status = reap(s, timeout_ms);
    server_stderr(s, text, sizeof(text));
    CHECK(status == 0, "the server ended with %s %d; its standard error: %s", status < 0 ? "signal" : "status",
          status < 0 ? -status : status, text);
    CHECK(s->may_complain || text[0] == '\0', "the server complained: %s", text);
    close(s->out);
    close(s->err);
}

int server_end(struct server *s, int timeout_ms, char *text, size_t size)
{
    int status = reap(s, timeout_ms);
    if (text != NULL) {
        server_stderr(s, text, size);
    }
    close(s->out);
    close(s->err);
    return status;
}

void server_kill(struct server *s)
{
    server_signal(s, SIGKILL);
    int status = server_end(s, STOP_MS_MAX, NULL, 0);
    CHECK(status == -SIGKILL, "the server was to be killed, and ended with %d", status);
}

void server_stop(struct server *s)
{
    server_signal(s, SIGTERM);
    server_join(s, STOP_MS_MAX);
}

/* --- runs that end --- */

void server_run_with(struct server_result *result, const struct server_setup *setup)
{
    struct server s;
    size_t len = 0;
    ssize_t got;
    spawn(&s, setup, false);
    int64_t end_ms = check_now_ms() + RUN_MS_MAX;
    struct pollfd ready = {.fd = s.out, .events = POLLIN};
    do {
        int64_t left_ms = end_ms - check_now_ms();
        CHECK(left_ms > 0 && poll(&ready, 1, (int)left_ms) == 1, "it runs on, and should have ended");
        got = read(s.out, result->out + len, sizeof(result->out) - 1 - len);
        len += got > 0 ? (size_t)got : 0;
    } while (got > 0);
    result->out[len] = '\0';
    int status = reap(&s, RUN_MS_MAX);
    result->status = status < 0 ? -1 : status;
    server_stderr(&s, result->err, sizeof(result->err));
    close(s.out);
    close(s.err);
}

void server_run(struct server_result *result, ...)
{
    const char *args[ARGS_MAX + 1];
    va_list from;
    va_start(from, result);
    collect(args, from);
    va_end(from);
    server_run_with(result, &(struct server_setup){.args = args});
}

/* --- what it uses --- */

static void read_proc(const struct server *s, const char *file, char *text, size_t size)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/%s", (int)s->pid, file);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd < 0 ? -1 : read(fd, text, size - 1);
    CHECK(got > 0, "%s cannot be read: the server is gone", path);
    text[got] = '\0';
    close(fd);
}

size_t server_memory(const struct server *s, const char *field)
{
    char text[8192];
    char wanted[32];
    read_proc(s, "status", text, sizeof(text));
    snprintf(wanted, sizeof(wanted), "\n%s:", field);
    const char *at = strstr(text, wanted);
    CHECK(at != NULL, "the server has no %s: it is gone", field);
    return (size_t)strtoull(at + strlen(wanted), NULL, 10) * 1024;
}

long server_cpu_ticks(const struct server *s)
{
    char text[1024];
    unsigned long user;
    unsigned long kernel;
    read_proc(s, "stat", text, sizeof(text));
    const char *at = strrchr(text, ')');
    int got = at == NULL ? 0 : sscanf(at + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &kernel);
    if (got != 2) {
        check_broken("/proc/PID/stat is not as expected: %s", text);
    }
    return (long)(user + kernel);
}

/* The letter of /proc/PID/stat for what its loop's thread is doing. */
static char state_of(const struct server *s)
{
    char text[1024];
    read_proc(s, "stat", text, sizeof(text));
    const char *at = strrchr(text, ')');
    return at != NULL && at[1] == ' ' ? at[2] : '\0';
}

static bool is_paused(void *arg)
{
    char state = state_of(arg);
    return state == 'T' || state == 't'; /* the latter where it is traced */
}

static bool is_asleep(void *arg)
{
    return state_of(arg) == 'S';
}

void server_wait_asleep(const struct server *s)
{
    struct server copy = *s;
    check_until(is_asleep, &copy, 10000, "the server goes to sleep");
}

void server_pause(const struct server *s)
{
    struct server copy = *s;
    server_signal(s, SIGSTOP);
    check_until(is_paused, &copy, 5000, "the server is stopped by SIGSTOP");
}

void server_resume(const struct server *s)
{
    server_signal(s, SIGCONT);
}

/* --- its threads --- */

/* Calls visit for each; how many there are. */
static size_t each_thread(const struct server *s, void (*visit)(pid_t thread, void *arg), void *arg)
{
    char path[64];
    size_t count = 0;
    struct dirent *entry;
    snprintf(path, sizeof(path), "/proc/%d/task", (int)s->pid);
    DIR *dir = opendir(path);
    CHECK(dir != NULL, "%s: the server is gone", path);
    while ((entry = readdir(dir)) != NULL) {
        if (entry->d_name[0] != '.') {
            count++;
            visit((pid_t)atoi(entry->d_name), arg);
        }
    }
    closedir(dir);
    return count;
}

static void ignore_thread(pid_t thread, void *arg)
{
    (void)thread;
    (void)arg;
}

size_t server_threads(const struct server *s)
{
    return each_thread(s, ignore_thread, NULL);
}

struct freezing {
    pid_t loop; /* the thread that goes on */
    struct frozen *frozen;
};

static void freeze_thread(pid_t thread, void *arg)
{
    struct freezing *f = arg;
    int status;
    if (thread == f->loop) {
        return;
    }
    if (f->frozen->count == SERVER_THREADS_MAX) {
        check_broken("too many threads");
    }
    if (ptrace(PTRACE_SEIZE, thread, NULL, NULL) < 0) {
        check_skip("the server's threads cannot be stopped here: ptrace: %s", strerror(errno));
    }
    if (ptrace(PTRACE_INTERRUPT, thread, NULL, NULL) < 0 || waitpid(thread, &status, __WALL) != thread) {
        check_broken("ptrace: %s", strerror(errno));
    }
    f->frozen->threads[f->frozen->count++] = thread;
}

void server_freeze(const struct server *s, struct frozen *frozen)
{
    struct freezing f = {s->pid, frozen};
    frozen->count = 0;
    each_thread(s, freeze_thread, &f);
    CHECK(frozen->count > 0, "the server has no thread but its loop");
}

void server_thaw(struct frozen *frozen)
{
    for (size_t i = 0; i < frozen->count; i++) {
        if (ptrace(PTRACE_DETACH, frozen->threads[i], NULL, NULL) < 0) {
            waitpid(frozen->threads[i], NULL, __WALL); /* it was killed meanwhile */
        }
    }
    frozen->count = 0;
}

struct idle {
    const struct server *server;
    long ticks;
    int64_t since_ms;
};

static bool is_idle(void *arg)
{
    struct idle *idle = arg;
    long ticks = server_cpu_ticks(idle->server);
    if (ticks != idle->ticks) {
        idle->ticks = ticks;
        idle->since_ms = check_now_ms();
    }
    return check_now_ms() - idle->since_ms >= IDLE_MS;
}

void server_wait_idle(const struct server *s)
{
    struct idle idle = {s, -1, 0};
    check_until(is_idle, &idle, 20000, "the server comes to rest");
}
