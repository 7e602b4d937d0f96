/* test_check: what the load generator's self-tests check with. Each test program includes it once. */
#ifndef BENCH_TEST_CHECK_H
#define BENCH_TEST_CHECK_H

#include <stdbool.h>
#include <stdio.h>

static int failures;

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

#endif
