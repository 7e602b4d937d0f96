#include "report.h"

#include <ctype.h>
#include <inttypes.h>
#include <stddef.h>
#include <string.h>

#include "text.h"

/* The table */

static void print_spread(FILE *f, struct stats_spread s, bool single, int width)
{
    char median_text[TEXT_MAX];
    char q1[TEXT_MAX];
    char q3[TEXT_MAX];
    char text[112];
    if (single) {
        snprintf(text, sizeof text, "%s", text_grouped(median_text, s.median));
    } else {
        snprintf(text, sizeof text, "%s (%s-%s)", text_grouped(median_text, s.median), text_grouped(q1, s.q1),
                 text_grouped(q3, s.q3));
    }
    fprintf(f, "  %*s", width, text);
}

static const struct {
    const char *heading;
    enum metric metric;
} latencies[] = {
    {"p50 us", METRIC_P50_NS},    {"p90 us", METRIC_P90_NS},      {"p99 us", METRIC_P99_NS},
    {"p99.9 us", METRIC_P999_NS}, {"p99.99 us", METRIC_P9999_NS}, {"max us", METRIC_MAX_NS},
};

static void print_target(FILE *f, const struct config *c, const struct row *row, size_t t)
{
    static const char *const bound[] = {"", "  client-bound", "  client-bound?"};
    const struct series *s = &row->series[t];
    bool single = s->n == 1;
    fprintf(f, "  %-12s", c->targets[t].name);
    if (c->targets[t].pid != 0) {
        print_spread(f, compare_spread(row, t, METRIC_CPU_NS), single, 24);
    } else {
        fprintf(f, "  %24s", "-");
    }
    print_spread(f, compare_spread(row, t, METRIC_RPS), single, 34);
    for (size_t i = 0; i < sizeof latencies / sizeof *latencies; i++) {
        fprintf(f, "  %9.1f", compare_median(row, t, latencies[i].metric) / 1e3);
    }
    if (s->syscalls_source != SYSCALLS_UNKNOWN) {
        fprintf(f, "  %8.3f", compare_median(row, t, METRIC_SYSCALLS));
    } else {
        fprintf(f, "  %8s", "-");
    }
    if (c->targets[t].pid != 0) {
        fprintf(f, "  %6.1f  %4.0f%%", compare_median(row, t, METRIC_RSS_BYTES) / 1048576,
                100 * compare_median(row, t, METRIC_SERVER_LOAD));
    } else {
        fprintf(f, "  %6s  %5s", "-", "-");
    }
    fprintf(f, "  %4.0f%%%s\n", 100 * compare_median(row, t, METRIC_CLIENT_LOAD), bound[compare_client_bound(row, t)]);
}

static void print_trouble(FILE *f, const struct config *c, const struct row *row, size_t t)
{
    char text[COMPARE_TROUBLE_MAX];
    for (size_t i = 0; i < COMPARE_TROUBLES; i++) {
        if (*compare_trouble(row, t, i, text) != '\0') {
            fprintf(f, "  %s %s\n", c->targets[t].name, text);
        }
    }
}

static void print_stops(FILE *f, const struct config *c, const struct row *row, size_t t)
{
    char text[COMPARE_STOPS_MAX];
    if (*compare_stops(row, t, text) != '\0') {
        fprintf(f, "  %s %s\n", c->targets[t].name, text);
    }
}

static void print_comparison(FILE *f, const struct config *c, const struct row *row, size_t other)
{
    struct stats_interval rps = compare_ratio(row, METRIC_RPS, other);
    fprintf(f, "  %s / %s:", c->targets[0].name, c->targets[other].name);
    if (c->targets[0].pid != 0 && c->targets[other].pid != 0) {
        struct stats_interval cpu = compare_ratio(row, METRIC_CPU_NS, other);
        struct stats_interval ns = compare_difference(row, METRIC_CPU_NS, other);
        fprintf(f, " CPU %.3f [%.3f, %.3f], %+.0f ns [%+.0f, %+.0f];", cpu.median, cpu.low, cpu.high, ns.median, ns.low,
                ns.high);
    }
    fprintf(f, " ops/s %.3f [%.3f, %.3f]\n", rps.median, rps.low, rps.high);
}

static void print_row(FILE *f, const struct config *c, const struct row *row)
{
    char name[64];
    fprintf(f, "%s\n", compare_row_name(row, name, sizeof name));
    fprintf(f, "  %-12s  %24s  %34s", "target", "server CPU ns/op", "ops/s");
    for (size_t i = 0; i < sizeof latencies / sizeof *latencies; i++) {
        fprintf(f, "  %9s", latencies[i].heading);
    }
    fprintf(f, "  %8s  %6s  %5s  %5s\n", "calls/op", "MiB", "server", "client");
    for (size_t t = 0; t < c->target_count; t++) {
        if (row->series[t].n > 0) {
            print_target(f, c, row, t);
        }
    }
    for (size_t t = 0; t < c->target_count; t++) {
        print_trouble(f, c, row, t);
    }
    for (size_t t = 0; t < c->target_count; t++) {
        print_stops(f, c, row, t);
    }
    for (size_t t = 1; t < c->target_count; t++) {
        if (compare_both(row, t)) {
            print_comparison(f, c, row, t);
        }
    }
    fprintf(f, "%s%s\n", row->note, row->note[0] == '\0' ? "" : "\n");
}

/* Of a target in any row alike. */
static bool counted_only_reads_and_writes(const struct config *c, const struct row *row)
{
    bool any = false;
    for (size_t t = 0; t < c->target_count; t++) {
        any = any || row->series[t].syscalls_source == SYSCALLS_READ_WRITE;
    }
    return any;
}

static bool some_may_be_client_bound(const struct config *c, const struct row *rows, size_t n)
{
    bool any = false;
    for (size_t i = 0; i < n * c->target_count; i++) {
        const struct row *row = &rows[i / c->target_count];
        size_t t = i % c->target_count;
        any = any || (row->series[t].n > 0 && compare_client_bound(row, t) == CLIENT_BOUND_UNKNOWN);
    }
    return any;
}

void report_table(FILE *f, const struct config *c, const struct row *rows, size_t n)
{
    fprintf(f, "%" PRIu64 " connections, %" PRIu64 " keys (%s%s) of %s B, values of %s B, ", c->conns, c->keys,
            c->dist_text, c->preload ? ", preloaded" : "", c->key_size_text, c->value_size_text);
    if (*c->txn_text != '\0') {
        fprintf(f, "transactions of %s, ", c->txn_text);
    }
    if (c->requests > 0) {
        fprintf(f, "%" PRIu64 " requests", c->requests);
    }
    if (c->duration_ns > 0) {
        fprintf(f, "%s%g s", c->requests > 0 ? " or " : "", (double)c->duration_ns / 1e9);
    }
    fprintf(f, ", measured %" PRIu64 " times, seed %" PRIu64 "\n\n", c->repeat, c->seed);
    for (size_t i = 0; i < n; i++) {
        print_row(f, c, &rows[i]);
    }
    if (counted_only_reads_and_writes(c, rows)) {
        fprintf(f, "calls/op are read and write calls alone, without send and recv: only who may use the kernel's\n"
                   "tracepoint raw_syscalls:sys_enter can count all system calls.\n");
    }
    if (some_may_be_client_bound(c, rows, n)) {
        fprintf(f, "client-bound?: the load generator's core was full; whether the server's was too is known only with "
                   "its process.\n");
    }
    if (c->repeat > 1) {
        fprintf(f, "In parentheses: the quartiles.");
        if (c->target_count > 1) {
            double coverage = compare_ratio(&rows[0], METRIC_RPS, 1).coverage;
            fprintf(f, " In brackets: the %.1f%% interval of the median of the pairs.", 100 * coverage);
        }
        fputc('\n', f);
    }
}

/* Lines for programs */

static void upper(char *to, const char *from, size_t size)
{
    size_t i = 0;
    for (; from[i] != '\0' && i + 1 < size; i++) {
        to[i] = (char)toupper((unsigned char)from[i]);
    }
    to[i] = '\0';
}

void report_quiet(FILE *f, const struct config *c, const struct row *rows, size_t n)
{
    for (size_t i = 0; i < n * c->target_count; i++) {
        const struct row *row = &rows[i / c->target_count];
        size_t t = i % c->target_count;
        char name[16];
        if (row->series[t].n == 0) {
            continue;
        }
        upper(name, row->workload->name, sizeof name);
        if (c->target_count > 1) {
            fprintf(f, "%s ", c->targets[t].name);
        }
        if (c->pipeline_count > 1) {
            fprintf(f, "-P %u ", row->pipeline);
        }
        if (row->rate > 0) {
            fprintf(f, "--rate %.0f ", row->rate);
        }
        fprintf(f, "%s: %.2f requests per second, p50=%.3f msec\n", name, compare_median(row, t, METRIC_RPS),
                compare_median(row, t, METRIC_P50_NS) / 1e6);
        if (row->note[0] != '\0') {
            fprintf(f, "%s\n", row->note);
        }
    }
}

static void csv_interval(FILE *f, bool known, struct stats_interval s)
{
    if (known) {
        fprintf(f, ",\"%.4f\",\"%.4f\",\"%.4f\"", s.median, s.low, s.high);
    } else {
        fputs(",,,", f);
    }
}

static void csv_line(FILE *f, const struct config *c, const struct row *row, size_t t)
{
    static const enum metric home[] = {METRIC_MEAN_NS, METRIC_MIN_NS, METRIC_P50_NS,
                                       METRIC_P95_NS,  METRIC_P99_NS, METRIC_MAX_NS};
    static const char *const bound[] = {"no", "yes", "unknown"};
    char name[16];
    upper(name, row->workload->name, sizeof name);
    fprintf(f, "\"%s\",\"%.2f\"", name, compare_median(row, t, METRIC_RPS));
    for (size_t i = 0; i < sizeof home / sizeof *home; i++) {
        fprintf(f, ",\"%.3f\"", compare_median(row, t, home[i]) / 1e6);
    }
    fprintf(f, ",\"%s\",\"%u\",\"%.0f\",\"%s\",\"%s\",\"%s\"", c->targets[t].name, row->pipeline, row->rate,
            bound[compare_client_bound(row, t)], syscalls_source_names[row->series[t].syscalls_source],
            row->series[t].watched_stops ? "yes" : "no");
    for (unsigned m = 0; m < METRIC_COUNT; m++) {
        struct stats_spread s = compare_spread(row, t, (enum metric)m);
        fprintf(f, ",\"%.4f\",\"%.4f\",\"%.4f\"", s.median, s.q1, s.q3);
    }
    bool both = t > 0 && compare_both(row, t);
    bool known = both && c->targets[0].pid != 0 && c->targets[t].pid != 0;
    csv_interval(f, known, compare_ratio(row, METRIC_CPU_NS, t));
    csv_interval(f, known, compare_difference(row, METRIC_CPU_NS, t));
    csv_interval(f, both, compare_ratio(row, METRIC_RPS, t));
    fputc('\n', f);
}

void report_csv(FILE *f, const struct config *c, const struct row *rows, size_t n)
{
    static const char *const comparisons[] = {"first_cpu_ratio", "first_cpu_difference_ns", "first_rps_ratio"};
    fputs("\"test\",\"rps\",\"avg_latency_ms\",\"min_latency_ms\",\"p50_latency_ms\",\"p95_latency_ms\","
          "\"p99_latency_ms\",\"max_latency_ms\",\"target\",\"pipeline\",\"rate\",\"client_bound\","
          "\"server_syscalls_counted\",\"stops_watched\"",
          f);
    for (unsigned m = 0; m < METRIC_COUNT; m++) {
        fprintf(f, ",\"%s_median\",\"%s_q1\",\"%s_q3\"", metric_names[m], metric_names[m], metric_names[m]);
    }
    for (size_t i = 0; i < sizeof comparisons / sizeof *comparisons; i++) {
        fprintf(f, ",\"%s\",\"%s_low\",\"%s_high\"", comparisons[i], comparisons[i], comparisons[i]);
    }
    fputc('\n', f);
    for (size_t i = 0; i < n * c->target_count; i++) {
        if (rows[i / c->target_count].series[i % c->target_count].n > 0) {
            csv_line(f, c, &rows[i / c->target_count], i % c->target_count);
        }
    }
}

/* What a server answered may hold anything. */
static void json_string(FILE *f, const char *text)
{
    fputc('"', f);
    for (; *text != '\0'; text++) {
        unsigned char byte = (unsigned char)*text;
        if (byte == '"' || byte == '\\') {
            fprintf(f, "\\%c", byte);
        } else if (byte < 0x20 || byte > 0x7e) {
            fprintf(f, "\\u%04x", byte);
        } else {
            fputc(byte, f);
        }
    }
    fputc('"', f);
}

/* Of the last measurement. */
static void json_timeline(FILE *f, const struct timeline *t)
{
    static const struct {
        const char *name;
        size_t at;
    } columns[] = {
        {"replies", offsetof(struct timeline_slot, replies)},
        {"p50_ns", offsetof(struct timeline_slot, p50_ns)},
        {"p99_ns", offsetof(struct timeline_slot, p99_ns)},
        {"max_ns", offsetof(struct timeline_slot, max_ns)},
    };
    fprintf(f, ", \"timeline\": {\"slot_ns\": %" PRIu64, t->slot_ns);
    for (size_t column = 0; column < sizeof columns / sizeof *columns; column++) {
        fprintf(f, ", \"%s\": [", columns[column].name);
        for (size_t i = 0; i < t->n; i++) {
            const char *slot = (const char *)&t->slots[i];
            uint64_t value;
            memcpy(&value, slot + columns[column].at, sizeof value);
            fprintf(f, "%s%" PRIu64, i == 0 ? "" : ", ", value);
        }
        fputc(']', f);
    }
    fputc('}', f);
}

static void json_target(FILE *f, const struct config *c, const struct row *row, size_t t)
{
    static const char *const bound[] = {"false", "true", "null"};
    const struct series *s = &row->series[t];
    fputs("{\"target\": ", f);
    json_string(f, c->targets[t].name);
    fprintf(f, ", \"client_bound\": %s, \"first_error\": ", bound[compare_client_bound(row, t)]);
    json_string(f, s->first_error);
    fprintf(f, ", \"server_syscalls_counted\": \"%s\", \"stops_watched\": %s",
            syscalls_source_names[s->syscalls_source], s->watched_stops ? "true" : "false");
    for (unsigned m = 0; m < METRIC_COUNT; m++) {
        struct stats_spread q = compare_spread(row, t, (enum metric)m);
        fprintf(f, ", \"%s\": {\"median\": %.4f, \"q1\": %.4f, \"q3\": %.4f, \"samples\": [", metric_names[m], q.median,
                q.q1, q.q3);
        for (size_t i = 0; i < s->n; i++) {
            fprintf(f, "%s%.4f", i == 0 ? "" : ", ", s->values[m][i]);
        }
        fputs("]}", f);
    }
    json_timeline(f, &s->timeline);
    fputc('}', f);
}

static void json_interval(FILE *f, const char *name, struct stats_interval s)
{
    fprintf(f, ", \"%s\": {\"median\": %.4f, \"low\": %.4f, \"high\": %.4f, \"coverage\": %.4f}", name, s.median, s.low,
            s.high, s.coverage);
}

static void json_row(FILE *f, const struct config *c, const struct row *row)
{
    fputs("    {\"test\": ", f);
    json_string(f, row->workload->name);
    fprintf(f, ", \"pipeline\": %u, \"rate\": %.0f, \"note\": ", row->pipeline, row->rate);
    json_string(f, row->note);
    fputs(", \"targets\": [", f);
    const char *separator = "\n      ";
    for (size_t t = 0; t < c->target_count; t++) {
        if (row->series[t].n > 0) {
            fputs(separator, f);
            separator = ",\n      ";
            json_target(f, c, row, t);
        }
    }
    fputs("], \"comparisons\": [", f);
    for (size_t t = 1; t < c->target_count && compare_both(row, t); t++) {
        fputs(t == 1 ? "\n      {\"first\": " : ",\n      {\"first\": ", f);
        json_string(f, c->targets[0].name);
        fputs(", \"other\": ", f);
        json_string(f, c->targets[t].name);
        if (c->targets[0].pid != 0 && c->targets[t].pid != 0) {
            json_interval(f, "server_cpu_ratio", compare_ratio(row, METRIC_CPU_NS, t));
            json_interval(f, "server_cpu_difference_ns", compare_difference(row, METRIC_CPU_NS, t));
        }
        json_interval(f, "rps_ratio", compare_ratio(row, METRIC_RPS, t));
        fputc('}', f);
    }
    fputs("]}", f);
}

void report_json(FILE *f, const struct config *c, const struct row *rows, size_t n)
{
    fprintf(f,
            "{\"connections\": %" PRIu64 ", \"keys\": %" PRIu64 ", \"preloaded\": %s, \"value_size\": %" PRIu64
            ", \"requests\": %" PRIu64 ", \"duration_ns\": %" PRIu64 ", \"warmup_ns\": %" PRIu64
            ", \"repeat\": %" PRIu64 ", \"seed\": %" PRIu64,
            c->conns, c->keys, c->preload ? "true" : "false", c->value_size, c->requests, c->duration_ns, c->warmup_ns,
            c->repeat, c->seed);
    fprintf(f,
            ", \"dist\": \"%s\", \"value_sizes\": \"%s\", \"key_sizes\": \"%s\", \"txn\": \"%s\", \"arrivals\": \"%s\""
            ", \"idle\": %" PRIu64 ", \"non_readers\": %" PRIu64 ",\n  \"rows\": [\n",
            c->dist_text, c->value_size_text, c->key_size_text, c->txn_text, pace_names[c->arrivals], c->idle,
            c->non_readers);
    for (size_t i = 0; i < n; i++) {
        json_row(f, c, &rows[i]);
        fputs(i + 1 < n ? ",\n" : "\n", f);
    }
    fputs("  ]}\n", f);
}
