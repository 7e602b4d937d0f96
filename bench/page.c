#include "page.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>

#include "chart.h"
#include "svg.h"
#include "text.h"

#define NAME_MAX_SIZE 96

/* Text between two pieces of markup. */
static void put(FILE *f, const char *before, const char *text, const char *after)
{
    fputs(before, f);
    svg_escape(f, text);
    fputs(after, f);
}

static bool all_accounted(const struct config *c)
{
    bool all = true;
    for (size_t t = 0; t < c->target_count; t++) {
        all = all && c->targets[t].pid != 0;
    }
    return all;
}

/* "0.780 [0.761, 0.802]", without the interval when there is but one measurement. */
static const char *ratio_text(char *out, size_t size, const struct row *row, enum metric m, size_t other)
{
    struct stats_interval r = compare_ratio(row, m, other);
    if (row->series[other].n > 1) {
        snprintf(out, size, "%.3f [%.3f, %.3f]", r.median, r.low, r.high);
    } else {
        snprintf(out, size, "%.3f", r.median);
    }
    return out;
}

static void open_figure(FILE *f, const char *caption, const char *details)
{
    put(f, "<figure><figcaption>", caption, "");
    put(f, "<small>", details, "</small></figcaption>\n");
}

static void close_figure(FILE *f)
{
    fputs("</figure>\n", f);
}

/* The run */

static void write_fact(FILE *f, const char *name, const char *value)
{
    put(f, "<div><dt>", name, "</dt>");
    put(f, "<dd>", value, "</dd></div>\n");
}

static void write_count(FILE *f, const char *name, uint64_t value, const char *unit)
{
    char number[TEXT_MAX];
    char text[TEXT_MAX + 32];
    snprintf(text, sizeof text, "%s%s", text_grouped(number, (double)value), unit);
    write_fact(f, name, text);
}

static void write_seconds(FILE *f, const char *name, uint64_t ns)
{
    char text[TEXT_MAX];
    snprintf(text, sizeof text, "%g s", (double)ns / 1e9);
    write_fact(f, name, text);
}

static void write_facts(FILE *f, const struct config *c)
{
    fputs("<dl>\n", f);
    write_count(f, "connections", c->conns, "");
    write_count(f, "keys", c->keys, c->preload ? ", preloaded" : "");
    write_count(f, "value", c->value_size, " B");
    if (c->requests > 0) {
        write_count(f, "requests of a measurement", c->requests, "");
    }
    if (c->duration_ns > 0) {
        write_seconds(f, "length of a measurement", c->duration_ns);
    }
    if (c->warmup_ns > 0) {
        write_seconds(f, "warm-up", c->warmup_ns);
    }
    write_count(f, "measurements of each target", c->repeat, "");
    write_count(f, "seed", c->seed, "");
    fputs("</dl>\n", f);
}

static void write_targets(FILE *f, const struct config *c)
{
    fputs("<div class=\"scroll\"><table "
          "class=\"targets\"><thead><tr><th>target</th><th>protocol</th><th>address</th><th>process</th>"
          "</tr></thead><tbody>\n",
          f);
    for (size_t t = 0; t < c->target_count; t++) {
        const struct target *target = &c->targets[t];
        fprintf(f, "<tr><th class=\"target s%zu\">", t % CHART_COLOURS);
        put(f, "", target->name, "</th>");
        put(f, "<td>", wire_proto_names[target->proto], "</td>");
        put(f, "<td>", target->host, ":");
        put(f, "", target->port, "</td>");
        if (c->spawn != NULL) {
            put(f, "<td>", c->spawn, "</td></tr>\n");
        } else if (target->pid != 0) {
            fprintf(f, "<td>%ld</td></tr>\n", (long)target->pid);
        } else {
            fputs("<td>not accounted</td></tr>\n", f);
        }
    }
    fputs("</tbody></table></div>\n", f);
}

static void write_run(FILE *f, const struct config *c)
{
    fputs("<section><h2>The run</h2>\n", f);
    write_facts(f, c);
    write_targets(f, c);
    fputs("</section>\n", f);
}

/* Overview */

static void write_summary_line(FILE *f, const struct config *c, const struct row *row, size_t i, enum metric m)
{
    char text[NAME_MAX_SIZE];
    fprintf(f, "<tr><th><a href=\"#row-%zu\">", i);
    put(f, "", compare_row_name(row, text, sizeof text), "</a></th>");
    for (size_t t = 0; t < c->target_count; t++) {
        put(f, "<td>", text_grouped(text, compare_spread(row, t, m).median), "</td>");
    }
    for (size_t t = 1; t < c->target_count; t++) {
        put(f, "<td>", ratio_text(text, sizeof text, row, m, t), "</td>");
    }
    fputs("</tr>\n", f);
}

static void write_summary(FILE *f, const struct config *c, const struct row *rows, size_t n, enum metric m)
{
    fputs("<div class=\"scroll\"><table><thead><tr><th>measured</th>", f);
    for (size_t t = 0; t < c->target_count; t++) {
        put(f, "<th>", c->targets[t].name, m == METRIC_CPU_NS ? ", ns/op</th>" : ", ops/s</th>");
    }
    for (size_t t = 1; t < c->target_count; t++) {
        put(f, "<th>", c->targets[0].name, " / ");
        put(f, "", c->targets[t].name, "</th>");
    }
    fputs("</tr></thead><tbody>\n", f);
    for (size_t i = 0; i < n; i++) {
        write_summary_line(f, c, &rows[i], i, m);
    }
    fputs("</tbody></table></div>\n", f);
}

struct ratios {
    double x[PIPELINES_MAX];
    double median[PIPELINES_MAX];
    double low[PIPELINES_MAX];
    double high[PIPELINES_MAX];
};

static void ratios_fill(struct ratios *r, const struct row *rows, size_t n, enum metric m, size_t other)
{
    for (size_t i = 0; i < n; i++) {
        struct stats_interval ratio = compare_ratio(&rows[i], m, other);
        r->x[i] = (double)i;
        r->median[i] = ratio.median;
        r->low[i] = ratio.low;
        r->high[i] = ratio.high;
    }
}

/* The first target against each other, over the n rows of one workload. */
static void write_ratios(FILE *f, const struct config *c, const struct row *rows, size_t n, enum metric m)
{
    static const double ones[PIPELINES_MAX] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
    struct ratios ratios[TARGETS_MAX];
    struct chart_line lines[TARGETS_MAX];
    struct chart_tick ticks[PIPELINES_MAX];
    char labels[PIPELINES_MAX][TEXT_MAX];
    char title[160];
    for (size_t i = 0; i < n; i++) {
        ticks[i] = (struct chart_tick){(double)i, text_grouped(labels[i], rows[i].pipeline)};
    }
    for (size_t t = 1; t < c->target_count; t++) {
        struct ratios *r = &ratios[t];
        ratios_fill(r, rows, n, m, t);
        lines[t] = (struct chart_line){.colour = (unsigned)t,
                                       .kind = "",
                                       .end = c->targets[t].name,
                                       .n = n,
                                       .x = r->x,
                                       .y = r->median,
                                       .low = r->low,
                                       .high = r->high};
    }
    lines[0] = (struct chart_line){.kind = "unit", .n = n, .x = ratios[1].x, .y = ones};
    const struct chart_axis x = {.label = "pipeline", .ticks = ticks, .ticks_n = n};
    const struct chart_axis y = {.label = "ratio", .print = text_short, .from_zero = true};
    const char *what = m == METRIC_CPU_NS ? "server CPU per operation" : "operations per second";
    snprintf(title, sizeof title, "%.32s: %s of %.32s against the others", rows[0].workload->name, what,
             c->targets[0].name);
    open_figure(f, title,
                m == METRIC_CPU_NS ? "less than 1: cheaper; whiskers: the interval"
                                   : "more than 1: faster; whiskers: the interval");
    chart_lines(f, title, &x, &y, lines, c->target_count);
    close_figure(f);
}

static bool same_workload(const struct row *a, const struct row *b)
{
    return strcmp(a->workload->name, b->workload->name) == 0;
}

static void write_overview(FILE *f, const struct config *c, const struct row *rows, size_t n)
{
    enum metric m = all_accounted(c) ? METRIC_CPU_NS : METRIC_RPS;
    fputs("<section id=\"overview\"><h2>Overview</h2>\n", f);
    if (c->target_count > 1) {
        fputs("<div class=\"charts\">\n", f);
        for (size_t first = 0, end; first < n; first = end) {
            for (end = first + 1; end < n && end - first < PIPELINES_MAX && same_workload(&rows[first], &rows[end]);) {
                end++;
            }
            if (end - first > 1) {
                write_ratios(f, c, rows + first, end - first, m);
            }
        }
        fputs("</div>\n", f);
    }
    write_summary(f, c, rows, n, m);
    fputs("</section>\n", f);
}

/* The table of a row */

static const char *print_mib(char out[TEXT_MAX], double bytes)
{
    return text_short(out, bytes / 1048576);
}

static const char *print_percent(char out[TEXT_MAX], double share)
{
    snprintf(out, TEXT_MAX, "%.0f%%", 100 * share);
    return out;
}

enum needs { NEEDS_NOTHING, NEEDS_PROCESS, NEEDS_SYSCALLS };

static const struct {
    const char *heading;
    enum metric metric;
    chart_print_fn *print;
    enum needs needs;
} columns[] = {
    {"server CPU ns/op", METRIC_CPU_NS, text_grouped, NEEDS_PROCESS},
    {"ops/s", METRIC_RPS, text_grouped, NEEDS_NOTHING},
    {"p50", METRIC_P50_NS, text_ns, NEEDS_NOTHING},
    {"p90", METRIC_P90_NS, text_ns, NEEDS_NOTHING},
    {"p99", METRIC_P99_NS, text_ns, NEEDS_NOTHING},
    {"p99.9", METRIC_P999_NS, text_ns, NEEDS_NOTHING},
    {"p99.99", METRIC_P9999_NS, text_ns, NEEDS_NOTHING},
    {"max", METRIC_MAX_NS, text_ns, NEEDS_NOTHING},
    {"calls/op", METRIC_SYSCALLS, text_short, NEEDS_SYSCALLS},
    {"MiB", METRIC_RSS_BYTES, print_mib, NEEDS_PROCESS},
    {"server", METRIC_SERVER_LOAD, print_percent, NEEDS_PROCESS},
    {"client", METRIC_CLIENT_LOAD, print_percent, NEEDS_NOTHING},
};

#define COLUMNS (sizeof columns / sizeof *columns)

/* "4.3 ms" before "4.4 ms" becomes "4.3". */
static void cut_same_unit(char *from, const char *to)
{
    char *unit = strchr(from, ' ');
    const char *other = strchr(to, ' ');
    if (unit != NULL && other != NULL && strcmp(unit, other) == 0) {
        *unit = '\0';
    }
}

static void write_cell(FILE *f, const struct config *c, const struct row *row, size_t t, size_t column)
{
    const struct series *s = &row->series[t];
    char text[TEXT_MAX];
    bool known = columns[column].needs == NEEDS_NOTHING ||
                 (columns[column].needs == NEEDS_PROCESS && c->targets[t].pid != 0) ||
                 (columns[column].needs == NEEDS_SYSCALLS && s->syscalls_source != SYSCALLS_UNKNOWN);
    if (!known) {
        fputs("<td>-</td>", f);
        return;
    }
    struct stats_spread spread = compare_spread(row, t, columns[column].metric);
    put(f, "<td>", columns[column].print(text, spread.median), "");
    if (s->n > 1) {
        char from[TEXT_MAX];
        columns[column].print(from, spread.q1);
        columns[column].print(text, spread.q3);
        bool apart = strcmp(from, text) != 0;
        cut_same_unit(from, text);
        put(f, "<small>", apart ? from : "", apart ? "–" : "");
        put(f, "", apart ? text : "", "</small>");
    }
    fputs("</td>", f);
}

static void write_table(FILE *f, const struct config *c, const struct row *row)
{
    fputs("<div class=\"scroll\"><table><thead><tr><th>target</th>", f);
    for (size_t i = 0; i < COLUMNS; i++) {
        put(f, "<th>", columns[i].heading, "</th>");
    }
    fputs("</tr></thead><tbody>\n", f);
    for (size_t t = 0; t < c->target_count; t++) {
        fprintf(f, "<tr><th class=\"target s%zu\">", t % CHART_COLOURS);
        put(f, "", c->targets[t].name, "</th>");
        for (size_t i = 0; i < COLUMNS; i++) {
            write_cell(f, c, row, t, i);
        }
        fputs("</tr>\n", f);
    }
    fputs("</tbody></table></div>\n", f);
}

static void write_trouble(FILE *f, const struct config *c, const struct row *row, size_t t)
{
    static const struct {
        enum metric metric;
        const char *what;
    } troubles[] = {{METRIC_ERRORS, " errors"}, {METRIC_MISSES, " times that a key does not exist"}};
    const struct series *s = &row->series[t];
    char number[TEXT_MAX];
    for (size_t i = 0; i < sizeof troubles / sizeof *troubles; i++) {
        double total = compare_total(row, t, troubles[i].metric);
        if (total > 0) {
            put(f, "<p class=\"trouble\">", c->targets[t].name, " answered ");
            fprintf(f, "%s%s", text_grouped(number, total), troubles[i].what);
            put(f, troubles[i].metric == METRIC_ERRORS ? ", the first: " : "",
                troubles[i].metric == METRIC_ERRORS ? s->first_error : "", "</p>\n");
        }
    }
    if (compare_client_bound(row, t)) {
        put(f, "<p class=\"trouble\">client-bound: not ", c->targets[t].name,
            " but the load generator was the limit of the throughput</p>\n");
    }
}

/* A row */

static void write_curves(FILE *f, const struct config *c, const struct row *row, const char *name)
{
    const char *names[TARGETS_MAX];
    const struct hist *latencies[TARGETS_MAX];
    const struct timeline *timelines[TARGETS_MAX];
    char title[NAME_MAX_SIZE + 64];
    char details[128];
    for (size_t t = 0; t < c->target_count; t++) {
        names[t] = c->targets[t].name;
        latencies[t] = &row->series[t].latency;
        timelines[t] = &row->series[t].timeline;
    }
    snprintf(title, sizeof title, "%s: latency by percentile", name);
    open_figure(f, "Latency by percentile", "of all measurements together");
    chart_percentiles(f, title, names, latencies, c->target_count);
    close_figure(f);
    snprintf(title, sizeof title, "%s: latency over time", name);
    snprintf(details, sizeof details, "p99 (thin: the longest) of every %.0f ms of the last measurement",
             (double)timelines[0]->slot_ns / 1e6);
    open_figure(f, "Latency over time", details);
    chart_timelines(f, title, names, timelines, c->target_count);
    close_figure(f);
}

static void write_bars(FILE *f, const struct config *c, const struct row *row, enum metric m, const char *caption,
                       const char *unit, const char *name)
{
    struct chart_bar bars[TARGETS_MAX];
    char notes[TARGETS_MAX][160];
    char ratio[64];
    char title[NAME_MAX_SIZE + 64];
    for (size_t t = 0; t < c->target_count; t++) {
        struct stats_spread s = compare_spread(row, t, m);
        notes[t][0] = '\0';
        if (t > 0) {
            snprintf(notes[t], sizeof notes[t], "%s / %s: %s", c->targets[0].name, c->targets[t].name,
                     ratio_text(ratio, sizeof ratio, row, m, t));
        }
        bars[t] = (struct chart_bar){.colour = (unsigned)t,
                                     .name = c->targets[t].name,
                                     .value = s.median,
                                     .low = s.q1,
                                     .high = s.q3,
                                     .note = notes[t]};
    }
    const struct chart_axis x = {.label = unit, .print = text_grouped, .from_zero = true};
    snprintf(title, sizeof title, "%s: %s", name, caption);
    open_figure(f, caption, c->repeat > 1 ? "median; whiskers: quartiles" : "one measurement");
    chart_bars(f, title, &x, bars, c->target_count);
    close_figure(f);
}

static void write_row(FILE *f, const struct config *c, const struct row *row, size_t i)
{
    char name[NAME_MAX_SIZE];
    compare_row_name(row, name, sizeof name);
    fprintf(f, "<section id=\"row-%zu\">", i);
    put(f, "<h2>", name, "</h2>\n<ul class=\"legend\">");
    for (size_t t = 0; t < c->target_count; t++) {
        fprintf(f, "<li class=\"s%zu\">", t % CHART_COLOURS);
        put(f, "", c->targets[t].name, "</li>");
    }
    fputs("</ul>\n<div class=\"charts\">\n", f);
    write_curves(f, c, row, name);
    if (all_accounted(c)) {
        write_bars(f, c, row, METRIC_CPU_NS, "Server CPU per operation", "CPU time, ns", name);
    }
    write_bars(f, c, row, METRIC_RPS, "Throughput", "operations per second", name);
    fputs("</div>\n", f);
    write_table(f, c, row);
    for (size_t t = 0; t < c->target_count; t++) {
        write_trouble(f, c, row, t);
    }
    fputs("</section>\n", f);
}

/* The page */

static void write_head(FILE *f, const struct config *c)
{
    struct utsname machine;
    char date[64];
    time_t now = time(NULL);
    strftime(date, sizeof date, "%Y-%m-%d %H:%M %Z", localtime(&now));
    fputs("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n"
          "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n<title>",
          f);
    for (size_t t = 0; t < c->target_count; t++) {
        put(f, t == 0 ? "" : ", ", c->targets[t].name, "");
    }
    fputs(" - txkv-benchmark</title>\n<style>\n", f);
    for (const char *const *line = page_style; *line != NULL; line++) {
        fprintf(f, "%s\n", *line);
    }
    fputs("</style>\n</head>\n<body>\n<header><h1>", f);
    for (size_t t = 0; t < c->target_count; t++) {
        put(f, t == 0 ? "" : " · ", c->targets[t].name, "");
    }
    put(f, "</h1>\n<p>Measured by txkv-benchmark " TXKV_VERSION " until ", date, "");
    if (uname(&machine) == 0) {
        put(f, " on ", machine.sysname, " ");
        put(f, "", machine.release, ", ");
        put(f, "", machine.machine, "");
    }
    fputs("</p></header>\n", f);
}

static void write_notes(FILE *f, const struct config *c, const struct row *rows)
{
    bool all_calls = true;
    for (size_t t = 0; t < c->target_count; t++) {
        all_calls = all_calls && rows[0].series[t].syscalls_source != SYSCALLS_READ_WRITE;
    }
    fputs("<footer>\n<p>Every reply is one sample of the latency. server, client: their load, in percent of one core. "
          "calls/op: ",
          f);
    fputs(all_calls ? "the server's system calls per operation, counted apart from the rest.</p>\n"
                    : "the server's read and write calls per operation, without send and recv.</p>\n",
          f);
    if (c->repeat > 1) {
        fputs("<p>A table's cell is the median, with the quartiles below it.", f);
        if (c->target_count > 1) {
            fprintf(f, " In brackets: the %.1f%% interval of the median of the pairs of neighbouring measurements.",
                    100 * compare_ratio(&rows[0], METRIC_RPS, 1).coverage);
        }
        fputs("</p>\n", f);
    }
    fputs("</footer>\n</body>\n</html>\n", f);
}

void page_write(FILE *f, const struct config *c, const struct row *rows, size_t n)
{
    write_head(f, c);
    write_run(f, c);
    if (n > 1) {
        write_overview(f, c, rows, n);
    }
    for (size_t i = 0; i < n; i++) {
        write_row(f, c, &rows[i], i);
    }
    write_notes(f, c, rows);
}
