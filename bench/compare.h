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
    METRIC_CONFLICTS,
    METRIC_UNANSWERED,
    METRIC_CLEAR_P50_NS, /* without what the machine's stops delayed, with --watch-stops, as the next ones */
    METRIC_CLEAR_P99_NS,
    METRIC_CLEAR_P999_NS,
    METRIC_CLEAR_P9999_NS,
    METRIC_CLEAR_MAX_NS,
    METRIC_LEFT_OUT, /* the share of samples that are left out for that */
    METRIC_STOPS,
    METRIC_STOPPED_NS,
    METRIC_STOP_MAX_NS,
    METRIC_COUNT
};

/* Names for machines, with the unit last. */
extern const char *const metric_names[METRIC_COUNT];

/* The measurements of one target in one row. n is 0 where a sweep did not measure this target at this rate. */
struct series {
    double values[METRIC_COUNT][REPEAT_MAX];
    size_t n;
    enum syscalls_source syscalls_source; /* what METRIC_SYSCALLS was counted by */
    bool watched_stops;                   /* METRIC_CLEAR_P50_NS and those behind it are known */
    struct hist latency;                  /* of all measurements together */
    struct timeline timeline;             /* of the last */
    char first_error[192];                /* an error that the server answered */
};

struct row {
    const struct workload *workload;
    unsigned pipeline;
    double rate;                       /* asked for, requests a second; 0: closed loop */
    char note[256];                    /* what there is to say about it, or "" */
    struct series series[TARGETS_MAX]; /* in the order of the targets */
};

/* How many rows there may be. */
size_t compare_rows(const struct config *c);

/* How many measurements there will be, for the progress; 0 where that is not known: a sweep goes on until it has found a rate. */
size_t compare_measurements(const struct config *c);

typedef void compare_progress_fn(const struct row *row, const struct target *t, size_t repeat);

/* Fills up to compare_rows() rows, zeroed before; *n becomes how many. progress may be NULL; it is called before each
 * measurement. 0, or -1 with a line in why. */
int compare_run(const struct config *c, struct row *rows, size_t *n, compare_progress_fn *progress, char *why,
                size_t why_size);

/* "get, pipeline 16" or "get, 10000 requests/s", for people. Returns out. */
const char *compare_row_name(const struct row *row, char *out, size_t size);

/* Over the measurements of a target. */
struct stats_spread compare_spread(const struct row *row, size_t target, enum metric m);
double compare_median(const struct row *row, size_t target, enum metric m);
double compare_total(const struct row *row, size_t target, enum metric m);

/* Measures one target once and adds that to its series in the row. r is a place to work in. 0, or -1 with why. */
int compare_measure(const struct config *c, struct row *row, size_t target, struct load_result *r, char *why,
                    size_t why_size);

/* Both the first target and the other were measured in this row: they can be compared. */
static inline bool compare_both(const struct row *row, size_t other)
{
    return row->series[0].n > 0 && row->series[other].n > 0;
}

/* Of the first target against the other: median and interval of the ratio, or of the difference, pair by pair. */
struct stats_interval compare_ratio(const struct row *row, enum metric m, size_t other);
struct stats_interval compare_difference(const struct row *row, enum metric m, size_t other);

#define COMPARE_TROUBLES 4
#define COMPARE_TROUBLE_MAX 256

/* What to say behind the name of a target where something was not as it might be: "answered 3 errors, the first: ERR".
 * i is below COMPARE_TROUBLES: errors, misses, conflicts, requests unanswered. "" where there were none. Returns out. */
const char *compare_trouble(const struct row *row, size_t target, size_t i, char out[COMPARE_TROUBLE_MAX]);

#define COMPARE_LEFT_OUT_MAX 0.1 /* with more, the samples that the stops have not delayed may be the lucky ones */

/* The median of a quantile or the maximum over n measurements from the first on: of each without what stops delayed, where
 * that is known and no more than COMPARE_LEFT_OUT_MAX is left out, else with it. */
double compare_latency(const struct series *s, size_t first, size_t n, enum metric m);

#define COMPARE_STOPS_MAX 256

/* What the latency was without stops of the machine, for people, behind the name of a target: "without stops of the machine:
 * p50 19.2 us, ...". "" where they were not watched. Returns out. */
const char *compare_stops(const struct row *row, size_t target, char out[COMPARE_STOPS_MAX]);

/* Whether the client, not the server, was the limit of the throughput. UNKNOWN: its core was full, but whether the
 * server's was too cannot be told, as its CPU time was not accounted. */
enum client_bound { CLIENT_BOUND_NO, CLIENT_BOUND_YES, CLIENT_BOUND_UNKNOWN };
enum client_bound compare_client_bound(const struct row *row, size_t target);

#endif
