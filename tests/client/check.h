/* check: what the test programs of this directory report with. A program runs all its tests and exits 1 if any
 * failed. */
#ifndef TXKV_TEST_CHECK_H
#define TXKV_TEST_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

struct test {
    const char *name;
    void (*run)(void);
};

extern int check_failures;

/* Notes a failure unless ok, and returns ok. */
bool check_that(bool ok, const char *what, const char *file, int line);

/* The same for two texts, which are shown when they differ. */
bool check_text(const char *got, const char *want, const char *file, int line);

/* The same for two numbers. */
bool check_number(long long got, long long want, const char *what, const char *file, int line);

/* Runs the tests of a table; an exit status. */
int check_run(const struct test *tests, size_t count);

#define CHECK(condition) check_that((condition), #condition, __FILE__, __LINE__)
#define CHECK_TEXT(got, want) check_text((got), (want), __FILE__, __LINE__)
#define CHECK_INT(got, want) check_number((long long)(got), (long long)(want), #got, __FILE__, __LINE__)

#endif
