#include "compare.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "sweep.h"
#include "text.h"

#define FULL_CLIENT 0.95 /* of one core */
#define FULL_SERVER 0.90
#define PRELOAD_PIPELINE 128
#define PRELOAD_BYTES ((uint64_t)1 << 20) /* in flight on one connection, roughly */
#define PRELOAD_CONNS 8
#define COUNT_NS (NS_PER_S / 5)         /* of a measurement that counts system calls */
#define COUNT_WARMUP_NS (NS_PER_S / 50) /* in which the connections are accepted */

const char *const metric_names[METRIC_COUNT] = {
    [METRIC_RPS] = "rps",
    [METRIC_CPU_NS] = "server_cpu_ns_per_op",
    [METRIC_MEAN_NS] = "latency_mean_ns",
    [METRIC_MIN_NS] = "latency_min_ns",
    [METRIC_P50_NS] = "latency_p50_ns",
    [METRIC_P90_NS] = "latency_p90_ns",
    [METRIC_P95_NS] = "latency_p95_ns",
    [METRIC_P99_NS] = "latency_p99_ns",
    [METRIC_P999_NS] = "latency_p99_9_ns",
    [METRIC_P9999_NS] = "latency_p99_99_ns",
    [METRIC_MAX_NS] = "latency_max_ns",
    [METRIC_SYSCALLS] = "server_syscalls_per_op",
    [METRIC_RSS_BYTES] = "server_rss_bytes",
    [METRIC_SERVER_LOAD] = "server_cores",
    [METRIC_CLIENT_LOAD] = "client_cores",
    [METRIC_MISSES] = "misses",
    [METRIC_ERRORS] = "errors",
    [METRIC_CONFLICTS] = "conflicts",
    [METRIC_UNANSWERED] = "unanswered",
    [METRIC_CLEAR_P50_NS] = "undisturbed_p50_ns",
    [METRIC_CLEAR_P99_NS] = "undisturbed_p99_ns",
    [METRIC_CLEAR_P999_NS] = "undisturbed_p99_9_ns",
    [METRIC_CLEAR_P9999_NS] = "undisturbed_p99_99_ns",
    [METRIC_CLEAR_MAX_NS] = "undisturbed_max_ns",
    [METRIC_LEFT_OUT] = "stops_left_out_share",
    [METRIC_STOPS] = "stops",
    [METRIC_STOPPED_NS] = "stops_ns",
    [METRIC_STOP_MAX_NS] = "stops_max_ns",
};

static const struct {
    enum metric metric;
    const char *before; /* the number */
    const char *behind;
} troubles[COMPARE_TROUBLES] = {
    {METRIC_ERRORS, "answered", "errors, the first:"},
    {METRIC_MISSES, "answered", "times that a key does not exist"},
    {METRIC_CONFLICTS, "refused", "transactions for conflicts"},
    {METRIC_UNANSWERED, "had", "requests waiting at the end"},
};

static const struct {
    enum metric metric;
    enum metric clear; /* the same without what stops delayed; 0: not kept */
    double q;
} quantiles[] = {
    {METRIC_P50_NS, METRIC_CLEAR_P50_NS, 0.5},
    {METRIC_P90_NS, 0, 0.9},
    {METRIC_P95_NS, 0, 0.95},
    {METRIC_P99_NS, METRIC_CLEAR_P99_NS, 0.99},
    {METRIC_P999_NS, METRIC_CLEAR_P999_NS, 0.999},
    {METRIC_P9999_NS, METRIC_CLEAR_P9999_NS, 0.9999},
};

static void series_add_stops(struct series *s, size_t n, const struct load_result *r)
{
    double samples = r->latency.count == 0 ? 1 : (double)r->latency.count;
    for (size_t i = 0; i < sizeof quantiles / sizeof *quantiles; i++) {
        if (quantiles[i].clear != 0) {
            s->values[quantiles[i].clear][n] = (double)hist_quantile(&r->undisturbed, quantiles[i].q);
        }
    }
    s->values[METRIC_CLEAR_MAX_NS][n] = (double)r->undisturbed.max;
    s->values[METRIC_LEFT_OUT][n] = (samples - (double)r->undisturbed.count) / samples;
    s->values[METRIC_STOPS][n] = (double)r->stops;
    s->values[METRIC_STOPPED_NS][n] = (double)r->stopped_ns;
    s->values[METRIC_STOP_MAX_NS][n] = (double)r->stop_max_ns;
}

static void series_add(struct series *s, const struct load_result *r)
{
    size_t n = s->n++;
    double replies = r->replies == 0 ? 1 : (double)r->replies;
    double wall = r->wall_ns == 0 ? 1 : (double)r->wall_ns;
    for (size_t i = 0; i < sizeof quantiles / sizeof *quantiles; i++) {
        s->values[quantiles[i].metric][n] = (double)hist_quantile(&r->latency, quantiles[i].q);
    }
    s->watched_stops = r->watched_stops;
    if (r->watched_stops) {
        series_add_stops(s, n, r);
    }
    s->values[METRIC_RPS][n] = (double)r->replies * 1e9 / wall;
    s->values[METRIC_CPU_NS][n] = (double)r->server_cpu_ns / replies;
    s->values[METRIC_MEAN_NS][n] = hist_mean(&r->latency);
    s->values[METRIC_MIN_NS][n] = r->latency.count == 0 ? 0 : (double)r->latency.min;
    s->values[METRIC_MAX_NS][n] = (double)r->latency.max;
    s->values[METRIC_RSS_BYTES][n] = (double)r->rss_kib * 1024;
    s->values[METRIC_SERVER_LOAD][n] = (double)r->server_cpu_ns / wall;
    s->values[METRIC_CLIENT_LOAD][n] = (double)r->client_cpu_ns / wall;
    s->values[METRIC_MISSES][n] = (double)r->misses;
    s->values[METRIC_ERRORS][n] = (double)r->errors;
    if (n == 0) {
        hist_init(&s->latency);
    }
    hist_merge(&s->latency, &r->latency);
    s->timeline = r->timeline;
    s->values[METRIC_CONFLICTS][n] = (double)r->conflicts;
    s->values[METRIC_UNANSWERED][n] = (double)r->unanswered;
    if (s->first_error[0] == '\0') {
        memcpy(s->first_error, r->first_error, sizeof s->first_error);
    }
}

static struct load_plan plan_for(const struct config *c, const struct target *t)
{
    return (struct load_plan){
        .host = t->host,
        .port = t->port,
        .proto = t->proto,
        .server_pid = t->pid,
        .txn = c->txn,
        .dist = c->dist,
        .keys = c->keys,
        .seed = c->seed,
        .requests = c->requests,
        .duration_ns = c->duration_ns,
        .warmup_ns = c->warmup_ns,
        .value_sizes = c->value_sizes,
        .key_size_min = c->key_sizes.parts[0].low,
        .key_size_max = c->key_sizes.parts[0].high,
        .verify = c->verify,
        .stamp = (uint16_t)(c->seed ^ c->seed >> 16 ^ c->seed >> 32 ^ c->seed >> 48),
        .conns = (unsigned)c->conns,
        .idle = (unsigned)c->idle,
        .non_readers = (unsigned)c->non_readers,
        .arrivals = c->arrivals,
    };
}

static int preload(const struct config *c, const struct target *t, struct load_result *r, char *why, size_t why_size)
{
    struct load_plan plan = plan_for(c, t);
    uint64_t fitting = PRELOAD_BYTES / (sizes_max(&c->value_sizes) + 1);
    plan.mix[WIRE_SET] = 1;
    plan.txn = (struct load_txn){0};
    plan.dist = (struct keys_choice){.dist = KEYS_SEQUENTIAL};
    plan.idle = 0;
    plan.non_readers = 0;
    plan.requests = c->keys;
    plan.duration_ns = 0;
    plan.warmup_ns = 0;
    plan.conns = PRELOAD_CONNS;
    plan.pipeline = fitting < 1 ? 1 : fitting < PRELOAD_PIPELINE ? (unsigned)fitting : PRELOAD_PIPELINE;
    if (load_run(&plan, r) != 0) {
        snprintf(why, why_size, "preload of %s: %s", t->name, r->why);
        return -1;
    }
    if (r->errors > 0) {
        snprintf(why, why_size, "preload of %s: %llu errors, the first: %s", t->name, (unsigned long long)r->errors,
                 r->first_error);
        return -1;
    }
    return 0;
}

/* Counting slows the server by 5 to 10%, so it is done for a moment of its own, of which nothing else is kept. */
static int count_syscalls(const struct load_plan *measured, struct series *s, struct load_result *r, const char *name,
                          char *why, size_t why_size)
{
    struct load_plan plan = *measured;
    plan.count_syscalls = true;
    plan.watch_stops = false;
    plan.warmup_ns = COUNT_WARMUP_NS;
    plan.duration_ns = plan.duration_ns > 0 && plan.duration_ns < COUNT_NS ? plan.duration_ns : COUNT_NS;
    if (load_run(&plan, r) != 0) {
        snprintf(why, why_size, "counting the system calls of %s: %s", name, r->why);
        return -1;
    }
    s->syscalls_source = r->syscalls_source;
    s->values[METRIC_SYSCALLS][s->n - 1] = r->replies == 0 ? 0 : (double)r->syscalls / (double)r->replies;
    return 0;
}

int compare_measure(const struct config *c, struct row *row, size_t target, struct load_result *r, char *why,
                    size_t why_size)
{
    const struct target *t = &c->targets[target];
    struct load_plan plan = plan_for(c, t);
    memcpy(plan.mix, row->workload->mix, sizeof plan.mix);
    plan.pipeline = row->pipeline;
    plan.rate = row->rate;
    plan.watch_stops = c->watch_stops && row->rate > 0;
    plan.seed = c->seed + row->series[target].n; /* all targets see the same keys, each repetition others */
    if (load_run(&plan, r) != 0) {
        snprintf(why, why_size, "%s: %s", t->name, r->why);
        return -1;
    }
    series_add(&row->series[target], r);
    return t->pid == 0 ? 0 : count_syscalls(&plan, &row->series[target], r, t->name, why, why_size);
}

size_t compare_rows(const struct config *c)
{
    return c->workload_count * (c->sweep ? SWEEP_ROWS_MAX * c->target_count : c->pipeline_count);
}

size_t compare_measurements(const struct config *c)
{
    return c->sweep ? 0 : compare_rows(c) * c->repeat * c->target_count;
}

const char *compare_row_name(const struct row *row, char *out, size_t size)
{
    if (row->rate > 0) {
        snprintf(out, size, "%s, %.0f requests/s", row->workload->name, row->rate);
    } else {
        snprintf(out, size, "%s, pipeline %u", row->workload->name, row->pipeline);
    }
    return out;
}

/* All repetitions of a row, the order of the targets reversed each time. */
static int fill_row(const struct config *c, struct row *row, struct load_result *r, compare_progress_fn *progress,
                    char *why, size_t why_size)
{
    int err = 0;
    for (size_t k = 0; err == 0 && k < c->repeat * c->target_count; k++) {
        size_t repeat = k / c->target_count;
        size_t place = k % c->target_count;
        size_t target = repeat % 2 == 0 ? place : c->target_count - 1 - place;
        if (progress != NULL) {
            progress(row, &c->targets[target], repeat);
        }
        err = compare_measure(c, row, target, r, why, why_size);
    }
    return err;
}

static int fill_rows(const struct config *c, struct row *rows, size_t *n, struct load_result *r,
                     compare_progress_fn *progress, char *why, size_t why_size)
{
    int err = 0;
    for (*n = 0; err == 0 && *n < c->workload_count * c->pipeline_count; (*n)++) {
        struct row *row = &rows[*n];
        row->workload = &c->workloads[*n / c->pipeline_count];
        row->pipeline = (unsigned)c->pipelines[*n % c->pipeline_count];
        row->rate = (double)c->rate;
        err = fill_row(c, row, r, progress, why, why_size);
    }
    return err;
}

int compare_run(const struct config *c, struct row *rows, size_t *n, compare_progress_fn *progress, char *why,
                size_t why_size)
{
    struct load_result *r = malloc(sizeof *r);
    int err = r == NULL ? -1 : 0;
    if (err != 0) {
        snprintf(why, why_size, "out of memory");
    }
    for (size_t t = 0; err == 0 && c->preload && t < c->target_count; t++) {
        err = preload(c, &c->targets[t], r, why, why_size);
    }
    if (err == 0) {
        err = c->sweep ? sweep_run(c, rows, n, r, progress, why, why_size)
                       : fill_rows(c, rows, n, r, progress, why, why_size);
    }
    free(r);
    return err;
}

struct stats_spread compare_spread(const struct row *row, size_t target, enum metric m)
{
    return stats_spread(row->series[target].values[m], row->series[target].n);
}

double compare_median(const struct row *row, size_t target, enum metric m)
{
    return compare_spread(row, target, m).median;
}

double compare_total(const struct row *row, size_t target, enum metric m)
{
    double sum = 0;
    for (size_t i = 0; i < row->series[target].n; i++) {
        sum += row->series[target].values[m][i];
    }
    return sum;
}

const char *compare_trouble(const struct row *row, size_t target, size_t i, char out[COMPARE_TROUBLE_MAX])
{
    char number[TEXT_MAX];
    double total = compare_total(row, target, troubles[i].metric);
    bool error = troubles[i].metric == METRIC_ERRORS;
    out[0] = '\0';
    if (total > 0) {
        snprintf(out, COMPARE_TROUBLE_MAX, "%s %s %s%s%s", troubles[i].before, text_grouped(number, total),
                 troubles[i].behind, error ? " " : "", error ? row->series[target].first_error : "");
    }
    return out;
}

double compare_latency(const struct series *s, size_t first, size_t n, enum metric m)
{
    static const enum metric clear[METRIC_COUNT] = {
        [METRIC_P50_NS] = METRIC_CLEAR_P50_NS,   [METRIC_P99_NS] = METRIC_CLEAR_P99_NS,
        [METRIC_P999_NS] = METRIC_CLEAR_P999_NS, [METRIC_P9999_NS] = METRIC_CLEAR_P9999_NS,
        [METRIC_MAX_NS] = METRIC_CLEAR_MAX_NS,
    };
    double values[REPEAT_MAX] = {0};
    for (size_t i = 0; i < n; i++) {
        bool known = s->watched_stops && clear[m] != 0 && s->values[METRIC_LEFT_OUT][first + i] <= COMPARE_LEFT_OUT_MAX;
        values[i] = s->values[known ? clear[m] : m][first + i];
    }
    return stats_spread(values, n).median;
}

const char *compare_stops(const struct row *row, size_t target, char out[COMPARE_STOPS_MAX])
{
    static const struct {
        enum metric metric;
        const char *name;
    } shown[] = {{METRIC_P50_NS, "p50"},
                 {METRIC_P99_NS, "p99"},
                 {METRIC_P999_NS, "p99.9"},
                 {METRIC_P9999_NS, "p99.99"},
                 {METRIC_MAX_NS, "max"}};
    const struct series *s = &row->series[target];
    double left_out = compare_median(row, target, METRIC_LEFT_OUT);
    int n = 0;
    out[0] = '\0';
    if (!s->watched_stops) {
        return out;
    }
    if (left_out > COMPARE_LEFT_OUT_MAX) {
        n = snprintf(out, COMPARE_STOPS_MAX, "cannot be told without stops of the machine:");
    } else {
        n = snprintf(out, COMPARE_STOPS_MAX, "without stops of the machine:");
        for (size_t i = 0; i < sizeof shown / sizeof *shown; i++) {
            n += snprintf(out + n, COMPARE_STOPS_MAX - (size_t)n, " %s %.1f us,", shown[i].name,
                          compare_latency(s, 0, s->n, shown[i].metric) / 1e3);
        }
    }
    snprintf(out + n, COMPARE_STOPS_MAX - (size_t)n, " %.2f%% left out (%.0f stops of %.1f ms in all, the longest %.2f ms)",
             100 * left_out, compare_median(row, target, METRIC_STOPS),
             compare_median(row, target, METRIC_STOPPED_NS) / 1e6, compare_median(row, target, METRIC_STOP_MAX_NS) / 1e6);
    return out;
}

struct stats_interval compare_ratio(const struct row *row, enum metric m, size_t other)
{
    double ratios[REPEAT_MAX];
    for (size_t i = 0; i < row->series[0].n; i++) {
        double divisor = row->series[other].values[m][i];
        ratios[i] = divisor > 0 ? row->series[0].values[m][i] / divisor : 0;
    }
    return stats_interval(ratios, row->series[0].n);
}

struct stats_interval compare_difference(const struct row *row, enum metric m, size_t other)
{
    double differences[REPEAT_MAX];
    for (size_t i = 0; i < row->series[0].n; i++) {
        differences[i] = row->series[0].values[m][i] - row->series[other].values[m][i];
    }
    return stats_interval(differences, row->series[0].n);
}

enum client_bound compare_client_bound(const struct row *row, size_t target)
{
    double server = compare_spread(row, target, METRIC_SERVER_LOAD).median;
    double client = compare_spread(row, target, METRIC_CLIENT_LOAD).median;
    if (client <= FULL_CLIENT || server >= FULL_SERVER) {
        return CLIENT_BOUND_NO;
    }
    return server > 0 ? CLIENT_BOUND_YES : CLIENT_BOUND_UNKNOWN;
}
