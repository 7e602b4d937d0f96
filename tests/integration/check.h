/* check: named checks of one test program, each in a process of its own, so that a failure leaves nothing behind that
 * the next one could see, and no server either (server_fixture.h).
 *
 *      PROGRAM SERVER [CHECK]...        runs the checks named, or all but those whose name begins with "soak"
 *
 * Exit status: 0, or 1 where a check failed, 77 where all were skipped, 99 where a check could not be tried at all,
 * which is never taken for the failure that a deliberate bug must cause. */
#ifndef TXKV_INTEGRATION_CHECK_H
#define TXKV_INTEGRATION_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct check {
    const char *name;
    void (*run)(void);
};

/* Runs them; returns the exit status of the program. */
int check_main(int argc, char **argv, const struct check *checks, size_t count);

#define CHECK_MAIN(checks)                                                                                             \
    int main(int argc, char **argv)                                                                                    \
    {                                                                                                                  \
        return check_main(argc, argv, checks, sizeof(checks) / sizeof(checks[0]));                                     \
    }

/* The server under test: the first argument. */
const char *check_server(void);

/* Ends the check as failed, saying why. */
#define CHECK(condition, ...)                                                                                          \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            check_fail(__FILE__, __LINE__, __VA_ARGS__);                                                               \
        }                                                                                                              \
    } while (0)

_Noreturn void check_fail(const char *file, int line, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Ends the check as skipped: something that it needs is not there. */
_Noreturn void check_skip(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Ends the check as impossible: the test, not the server, is at fault. */
_Noreturn void check_broken(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* A directory of this check's own, made by the first call and removed with all that is in it when the check has ended. */
const char *check_directory(void);

/* The path of a name in it; valid until the check ends. */
const char *check_path(const char *name);

/* Skips where a sanitizer's own memory would be measured. */
void check_needs_plain_memory(void);

/* Milliseconds of a clock that only goes forward. */
int64_t check_now_ms(void);

/* Waits until holds(arg) is true; fails the check when it is not within timeout_ms. */
void check_until(bool (*holds)(void *arg), void *arg, int timeout_ms, const char *what);

#endif
