#include "test_made.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "clock.h"
#include "rng.h"
#include "timeline.h"

#define MADE_SLOTS 50

const struct workload made_workloads[2] = {{"get", {[WIRE_GET] = 1}}, {"set", {[WIRE_SET] = 1}}};
static const unsigned made_pipelines[] = {1, 16, 64, 256};
struct config made_config;
struct row made_rows[MADE_ROWS];

/* Mostly around the middle, a few far out: what servers show. */
static double made_latency(struct rng *rng, double middle)
{
    double u = rng_unit(rng);
    double tail = u > 0.999 ? 40 * rng_unit(rng) : u > 0.98 ? 3 * rng_unit(rng) : 0;
    return middle * (0.6 + 0.8 * rng_unit(rng) + tail);
}

static void make_timeline(struct series *s, struct rng *rng, double middle)
{
    timeline_begin(&s->timeline, 0, MADE_SLOTS * 100 * NS_PER_MS);
    for (uint64_t i = 0; i < MADE_SLOTS * 200; i++) {
        double stall = i > 5200 && i < 5400 ? 20 : 1;
        double ns = made_latency(rng, middle) * stall;
        hist_add(&s->latency, (uint64_t)ns, 40);
        timeline_add(&s->timeline, i * 100 * NS_PER_MS / 200, (uint64_t)ns, 40);
    }
    timeline_end(&s->timeline, MADE_SLOTS * 100 * NS_PER_MS);
}

static void make_series(struct series *s, struct rng *rng, double cpu_ns, double latency_ns)
{
    hist_init(&s->latency);
    s->n = MADE_REPEAT;
    s->syscalls_source = SYSCALLS_ALL;
    make_timeline(s, rng, latency_ns);
    for (size_t i = 0; i < s->n; i++) {
        double chance = 0.96 + 0.08 * rng_unit(rng);
        s->values[METRIC_CPU_NS][i] = cpu_ns * chance;
        s->values[METRIC_RPS][i] = 0.95e9 / cpu_ns / chance;
        s->values[METRIC_SYSCALLS][i] = 2.05 * cpu_ns / 6000;
        s->values[METRIC_RSS_BYTES][i] = 180e6 * chance;
        s->values[METRIC_SERVER_LOAD][i] = 0.97;
        s->values[METRIC_CLIENT_LOAD][i] = 0.5;
        s->values[METRIC_P50_NS][i] = (double)hist_quantile(&s->latency, 0.5) * chance;
        s->values[METRIC_P90_NS][i] = (double)hist_quantile(&s->latency, 0.9) * chance;
        s->values[METRIC_P99_NS][i] = (double)hist_quantile(&s->latency, 0.99) * chance;
        s->values[METRIC_P999_NS][i] = (double)hist_quantile(&s->latency, 0.999) * chance;
        s->values[METRIC_P9999_NS][i] = (double)hist_quantile(&s->latency, 0.9999) * chance;
        s->values[METRIC_MAX_NS][i] = (double)s->latency.max * chance;
    }
}

/* Of the first 3 of up to 8 targets as they might be; more serve to see whether there is room. */
void make_data(size_t targets)
{
    static const char *const names[TARGETS_MAX] = {
        "txkv",   "redis", "memcached",      "a-long-name-of-thirty-letters.",
        "valkey", "null",  "dragonfly-1.25", "another-server"};
    static const double cpu_ns[][3] = {{5400, 6900, 6100}, {520, 1350, 1800}, {190, 980, 1550}, {110, 870, 1500}};
    struct rng rng = {7};
    made_config = (struct config){.target_count = targets,
                                  .conns = 50,
                                  .keys = 1000000,
                                  .preload = true,
                                  .dist_text = "uniform",
                                  .value_size_text = "32",
                                  .key_size_text = "16",
                                  .txn_text = "",
                                  .duration_ns = 5 * NS_PER_S,
                                  .repeat = MADE_REPEAT,
                                  .seed = 1};
    for (size_t t = 0; t < targets; t++) {
        struct target *target = &made_config.targets[t];
        *target = (struct target){
            .proto = t == 0 ? WIRE_TEXT : WIRE_RESP, .host = "127.0.0.1", .port = "8888", .pid = 4000 + (pid_t)t};
        snprintf(target->name, sizeof target->name, "%s", names[t]);
    }
    for (size_t i = 0; i < MADE_ROWS; i++) {
        struct row *row = &made_rows[i];
        memset(row, 0, sizeof *row);
        row->workload = &made_workloads[i / 4];
        row->pipeline = made_pipelines[i % 4];
        for (size_t t = 0; t < targets; t++) {
            double cpu = cpu_ns[i % 4][t % 3] * (i < 4 ? 1 : 1.15);
            make_series(&row->series[t], &rng, cpu, 40 * cpu * sqrt(row->pipeline));
        }
    }
}

void make_loads(double server, double client)
{
    for (size_t i = 0; i < MADE_REPEAT; i++) {
        made_rows[0].series[0].values[METRIC_SERVER_LOAD][i] = server;
        made_rows[0].series[0].values[METRIC_CLIENT_LOAD][i] = client;
    }
}
