/* compare: measures all targets in every row (a workload at a depth of pipelining), interleaved so that a drift of the
 * machine meets them alike: A B, B A, A B, ... The n-th measurements of two targets are neighbours in time, so they are
 * compared pair by pair. */
#ifndef BENCH_COMPARE_H
#define BENCH_COMPARE_H

#include <stdbool.h>
#include <stddef.h>

#include "config.h"
#include "load.h"
#include "stats.h"
#include "syscalls.h"
#include "timeline.h"

enum metric {
    METRIC_RPS,
    METRIC_CPU_NS,
    METRIC_MEAN_NS,
    METRIC_MIN_NS,
    METRIC_P50_NS,
    METRIC_P90_NS,
    METRIC_P95_NS,
    METRIC_P99_NS,
    METRIC_P999_NS,
    METRIC_P9999_NS,
    METRIC_MAX_NS,
    METRIC_SYSCALLS, /* counted apart from the rest, see series.syscalls_source */
    METRIC_RSS_BYTES,
    METRIC_SERVER_LOAD,
    METRIC_CLIENT_LOAD,
    METRIC_MISSES,
    METRIC_ERRORS,
    METRIC_COUNT
};

/* Names for machines, with the unit last. */
extern const char *const metric_names[METRIC_COUNT];

/* The measurements of one target in one row. */
struct series {
    double values[METRIC_COUNT][REPEAT_MAX];
    size_t n;
    enum syscalls_source syscalls_source; /* what METRIC_SYSCALLS was counted by */
    struct hist latency;                  /* of all measurements together */
    struct timeline timeline;             /* of the last */
    char first_error[96];                 /* an error that the server answered */
};

struct row {
    const struct workload *workload;
    unsigned pipeline;
    struct series series[TARGETS_MAX]; /* in the order of the targets */
};

/* Fills rows[workload_count x pipeline_count], zeroed before. progress may be NULL; it is called before each
 * measurement. 0, or -1 with a line in why. */
int compare_run(const struct config *c, struct row *rows,
                void (*progress)(const struct row *row, const struct target *t, size_t repeat), char *why,
                size_t why_size);

/* "get, pipeline 16", for people. Returns out. */
const char *compare_row_name(const struct row *row, char *out, size_t size);

/* Over the measurements of a target. */
struct stats_spread compare_spread(const struct row *row, size_t target, enum metric m);
double compare_total(const struct row *row, size_t target, enum metric m);

/* Of the first target against the other: median and interval of the ratio, or of the difference, pair by pair. */
struct stats_interval compare_ratio(const struct row *row, enum metric m, size_t other);
struct stats_interval compare_difference(const struct row *row, enum metric m, size_t other);

/* The client, not the server, was the limit of the throughput (needs the server's process to be known). */
bool compare_client_bound(const struct row *row, size_t target);

#endif
