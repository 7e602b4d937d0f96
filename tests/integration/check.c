#include "check.h"

#include <errno.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define STATUS_FAILED 1
#define STATUS_SKIPPED 77
#define STATUS_BROKEN 99
#define UNTIL_STEP_MS 5

#define REMOVALS_MAX 1000 /* tries: a server that dies with its check may still be making files */

static const char *server;

const char *check_server(void)
{
    return server;
}

/* --- the end of a check --- */

static _Noreturn __attribute__((format(printf, 3, 0))) void end(int status, const char *where, const char *format,
                                                                va_list arguments)
{
    printf("    %s", where);
    vprintf(format, arguments);
    printf("\n");
    fflush(stdout);
    _exit(status);
}

void check_fail(const char *file, int line, const char *format, ...)
{
    char where[256];
    const char *slash = strrchr(file, '/');
    va_list arguments;
    va_start(arguments, format);
    snprintf(where, sizeof(where), "%s:%d: ", slash == NULL ? file : slash + 1, line);
    end(STATUS_FAILED, where, format, arguments);
}

void check_skip(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    end(STATUS_SKIPPED, "", format, arguments);
}

void check_broken(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    end(STATUS_BROKEN, "the test cannot be run: ", format, arguments);
}

void check_needs_plain_memory(void)
{
#ifdef TXKV_SANITIZED
    check_skip("measures memory, and a sanitizer has its own");
#endif
}

/* --- files --- */

static void name_directory(char *path, size_t size, pid_t pid)
{
    snprintf(path, size, "/tmp/txkv-check-%d", (int)pid);
}

const char *check_directory(void)
{
    static char path[64];
    if (path[0] == '\0') {
        name_directory(path, sizeof(path), getpid());
        if (mkdir(path, 0700) < 0) {
            check_broken("%s: %s", path, strerror(errno));
        }
    }
    return path;
}

const char *check_path(const char *name)
{
    char *path;
    if (asprintf(&path, "%s/%s", check_directory(), name) < 0) {
        check_broken("no memory");
    }
    return path;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *where)
{
    (void)st;
    (void)type;
    (void)where;
    remove(path);
    return 0;
}

static void remove_directory(pid_t pid)
{
    char path[64];
    name_directory(path, sizeof(path), pid);
    for (int tries = 0; access(path, F_OK) == 0 && tries < REMOVALS_MAX; tries++) {
        nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
        poll(NULL, 0, tries == 0 ? 0 : UNTIL_STEP_MS);
    }
}

/* --- time --- */

int64_t check_now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void check_until(bool (*holds)(void *arg), void *arg, int timeout_ms, const char *what)
{
    int64_t end_ms = check_now_ms() + timeout_ms;
    while (!holds(arg)) {
        CHECK(check_now_ms() < end_ms, "not within %d ms: %s", timeout_ms, what);
        poll(NULL, 0, UNTIL_STEP_MS);
    }
}

/* --- running --- */

static int run_one(const struct check *check)
{
    int status;
    pid_t parent = getpid();
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent) {
            _exit(STATUS_BROKEN);
        }
        check->run();
        fflush(stdout);
        _exit(0);
    }
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    remove_directory(pid);
    if (pid < 0 || !WIFEXITED(status)) {
        printf("    %s\n", pid < 0 ? strerror(errno) : strsignal(WTERMSIG(status)));
        return STATUS_BROKEN;
    }
    return WEXITSTATUS(status);
}

static const char *result_word(int status)
{
    return status == 0 ? "ok" : status == STATUS_SKIPPED ? "skipped" : status == STATUS_BROKEN ? "broken" : "FAILED";
}

static bool is_chosen(const struct check *check, int argc, char **argv)
{
    for (int i = 2; i < argc; i++) {
        if (strcmp(argv[i], check->name) == 0) {
            return true;
        }
    }
    return argc == 2 && strncmp(check->name, "soak", 4) != 0;
}

int check_main(int argc, char **argv, const struct check *checks, size_t count)
{
    size_t run = 0;
    size_t skipped = 0;
    int worst = 0;
    if (argc < 2) {
        fprintf(stderr, "usage: %s SERVER [CHECK]...\n", argv[0]);
        return STATUS_BROKEN;
    }
    server = argv[1];
    signal(SIGPIPE, SIG_IGN);
    for (size_t i = 0; i < count; i++) {
        if (!is_chosen(&checks[i], argc, argv)) {
            continue;
        }
        int64_t begun_ms = check_now_ms();
        int status = run_one(&checks[i]);
        printf("%-8s %s (%d ms)\n", result_word(status), checks[i].name, (int)(check_now_ms() - begun_ms));
        run++;
        skipped += status == STATUS_SKIPPED ? 1 : 0;
        worst = status != STATUS_SKIPPED && status > worst ? status : worst;
    }
    if (run == 0 || (argc > 2 && run != (size_t)argc - 2)) {
        fprintf(stderr, "%s: no check of that name\n", argv[0]);
        return STATUS_BROKEN;
    }
    return worst == 0 && skipped == run ? STATUS_SKIPPED : worst;
}
