#include <string.h>

#include "chart.h"
#include "page_parts.h"
#include "text.h"

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
    page_put(f, "<td>", columns[column].print(text, spread.median), "");
    if (s->n > 1) {
        char from[TEXT_MAX];
        columns[column].print(from, spread.q1);
        columns[column].print(text, spread.q3);
        bool apart = strcmp(from, text) != 0;
        cut_same_unit(from, text);
        page_put(f, "<small>", apart ? from : "", apart ? "–" : "");
        page_put(f, "", apart ? text : "", "</small>");
    }
    fputs("</td>", f);
}

static void write_table(FILE *f, const struct config *c, const struct row *row)
{
    fputs("<div class=\"scroll\"><table><thead><tr><th>target</th>", f);
    for (size_t i = 0; i < COLUMNS; i++) {
        page_put(f, "<th>", columns[i].heading, "</th>");
    }
    fputs("</tr></thead><tbody>\n", f);
    for (size_t t = 0; t < c->target_count; t++) {
        fprintf(f, "<tr><th class=\"target s%zu\">", t % CHART_COLOURS);
        page_put(f, "", c->targets[t].name, "</th>");
        for (size_t i = 0; i < COLUMNS; i++) {
            write_cell(f, c, row, t, i);
        }
        fputs("</tr>\n", f);
    }
    fputs("</tbody></table></div>\n", f);
}

static void write_trouble(FILE *f, const struct config *c, const struct row *row, size_t t)
{
    char text[COMPARE_TROUBLE_MAX];
    for (size_t i = 0; i < COMPARE_TROUBLES; i++) {
        if (*compare_trouble(row, t, i, text) != '\0') {
            page_put(f, "<p class=\"trouble\">", c->targets[t].name, " ");
            page_put(f, "", text, "</p>\n");
        }
    }
    char stops[COMPARE_STOPS_MAX];
    if (*compare_stops(row, t, stops) != '\0') {
        page_put(f, "<p class=\"trouble\">", c->targets[t].name, " ");
        page_put(f, "", stops, "</p>\n");
    }
    enum client_bound bound = compare_client_bound(row, t);
    if (bound == CLIENT_BOUND_UNKNOWN) {
        page_put(f, "<p class=\"trouble\">client-bound? The load generator's core was full; whether that of ",
                 c->targets[t].name, " was too is not known, as its process is not accounted</p>\n");
    } else if (bound == CLIENT_BOUND_YES) {
        page_put(f, "<p class=\"trouble\">client-bound: not ", c->targets[t].name,
                 " but the load generator was the limit of the throughput</p>\n");
    }
}

/* A row */

static void write_curves(FILE *f, const struct config *c, const struct row *row, const char *name)
{
    const char *names[TARGETS_MAX];
    const struct hist *latencies[TARGETS_MAX];
    const struct timeline *timelines[TARGETS_MAX];
    char title[PAGE_NAME_MAX + 64];
    char details[128];
    for (size_t t = 0; t < c->target_count; t++) {
        names[t] = c->targets[t].name;
        latencies[t] = &row->series[t].latency;
        timelines[t] = &row->series[t].timeline;
    }
    snprintf(title, sizeof title, "%s: latency by percentile", name);
    page_figure_open(f, "Latency by percentile", "of all measurements together");
    chart_percentiles(f, title, names, latencies, c->target_count);
    page_figure_close(f);
    snprintf(title, sizeof title, "%s: latency over time", name);
    snprintf(details, sizeof details, "p99 (thin: the longest) of every %.0f ms of the last measurement",
             (double)timelines[0]->slot_ns / 1e6);
    page_figure_open(f, "Latency over time", details);
    chart_timelines(f, title, names, timelines, c->target_count);
    page_figure_close(f);
}

static void write_bars(FILE *f, const struct config *c, const struct row *row, enum metric m, const char *caption,
                       const char *unit, const char *name)
{
    struct chart_bar bars[TARGETS_MAX];
    char notes[TARGETS_MAX][160];
    char first[TEXT_MAX];
    char other[TEXT_MAX];
    char ratio[64];
    char title[PAGE_NAME_MAX + 64];
    for (size_t t = 0; t < c->target_count; t++) {
        struct stats_spread s = compare_spread(row, t, m);
        notes[t][0] = '\0';
        if (t > 0) {
            snprintf(notes[t], sizeof notes[t], "%s / %s: %s", text_name(first, c->targets[0].name),
                     text_name(other, c->targets[t].name), page_ratio(ratio, sizeof ratio, row, m, t));
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
    page_figure_open(f, caption, c->repeat > 1 ? "median; whiskers: quartiles" : "one measurement");
    chart_bars(f, title, &x, bars, c->target_count);
    page_figure_close(f);
}

void page_row(FILE *f, const struct config *c, const struct row *row, size_t i)
{
    char name[PAGE_NAME_MAX];
    compare_row_name(row, name, sizeof name);
    fprintf(f, "<section id=\"row-%zu\">", i);
    page_put(f, "<h2>", name, "</h2>\n<ul class=\"legend\">");
    for (size_t t = 0; t < c->target_count; t++) {
        fprintf(f, "<li class=\"s%zu\">", t % CHART_COLOURS);
        page_put(f, "", c->targets[t].name, "</li>");
    }
    fputs("</ul>\n<div class=\"charts\">\n", f);
    write_curves(f, c, row, name);
    if (page_all_accounted(c)) {
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
