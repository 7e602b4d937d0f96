/* test_check: what the self-tests of the load generator share: checks, what is written in memory, and the run of them
 * all. Each of their programs is a plain one: it prints what failed, and exits 1 if anything did. */
#ifndef BENCH_TEST_CHECK_H
#define BENCH_TEST_CHECK_H

#include <stdbool.h>
#include <stdio.h>

extern int failures; /* so far, of the whole program */

#define CHECK(condition)                                                                                               \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            printf("%s:%d: %s: not so: %s\n", __FILE__, __LINE__, __func__, #condition);                               \
            failures++;                                                                                                \
        }                                                                                                              \
    } while (0)

static inline bool near(double a, double b, double tolerance)
{
    double difference = a > b ? a - b : b - a;
    return difference <= tolerance;
}

void check_text(const char *found, const char *expected);

/* A file in memory. What went into it is in `written` when it has been closed, until the next call. */
FILE *writing(void);
extern char *written;

/* Runs n tests and says how many failed; the exit status of their program. */
int check_run(void (*const tests[])(void), size_t n);

#endif
