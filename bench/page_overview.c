#include <string.h>

#include "chart.h"
#include "page_parts.h"
#include "text.h"

/* Charts over the rows of one workload */

/* What a chart shows of a target in each row. */
struct trend {
    double x[PIPELINES_MAX];
    double middle[PIPELINES_MAX];
    double low[PIPELINES_MAX];
    double high[PIPELINES_MAX];
};

static void trend_of_ratios(struct trend *to, const struct row *rows, size_t n, enum metric m, size_t target)
{
    for (size_t i = 0; i < n; i++) {
        struct stats_interval ratio = compare_ratio(&rows[i], m, target);
        to->middle[i] = ratio.median;
        to->low[i] = ratio.low;
        to->high[i] = ratio.high;
    }
}

static void trend_of_values(struct trend *to, const struct row *rows, size_t n, enum metric m, size_t target)
{
    for (size_t i = 0; i < n; i++) {
        struct stats_spread s = compare_spread(&rows[i], target, m);
        to->middle[i] = s.median;
        to->low[i] = s.q1;
        to->high[i] = s.q3;
    }
}

static struct chart_line trend_line(const struct config *c, struct trend *trend, size_t n, size_t target)
{
    for (size_t i = 0; i < n; i++) {
        trend->x[i] = (double)i;
    }
    return (struct chart_line){
        .colour = (unsigned)target,
        .kind = "",
        .end = c->targets[target].name,
        .n = n,
        .x = trend->x,
        .y = trend->middle,
        .low = trend->low,
        .high = trend->high,
    };
}

static void write_chart(FILE *f, const struct row *rows, const struct chart_axis *y, const char *title,
                        const char *details, const struct chart_line *lines, size_t n)
{
    struct chart_tick ticks[PIPELINES_MAX];
    char labels[PIPELINES_MAX][TEXT_MAX];
    for (size_t i = 0; i < lines[0].n; i++) {
        ticks[i] = (struct chart_tick){(double)i, text_grouped(labels[i], rows[i].pipeline)};
    }
    const struct chart_axis x = {.label = "pipeline", .ticks = ticks, .ticks_n = lines[0].n};
    char whole[PAGE_NAME_MAX + 64];
    snprintf(whole, sizeof whole, "%s: %s", rows[0].workload->name, title);
    page_figure_open(f, whole, details);
    chart_lines(f, whole, &x, y, lines, n);
    page_figure_close(f);
}

static void write_values(FILE *f, const struct config *c, const struct row *rows, size_t n, enum metric m)
{
    const struct chart_axis y = {
        .label = m == METRIC_CPU_NS ? "CPU time" : "per second",
        .print = m == METRIC_CPU_NS ? text_ns : text_grouped,
        .log = true,
    };
    struct trend trends[TARGETS_MAX];
    struct chart_line lines[TARGETS_MAX];
    for (size_t t = 0; t < c->target_count; t++) {
        trend_of_values(&trends[t], rows, n, m, t);
        lines[t] = trend_line(c, &trends[t], n, t);
    }
    write_chart(f, rows, &y, m == METRIC_CPU_NS ? "server CPU per operation" : "operations per second",
                c->repeat > 1 ? "whiskers: quartiles" : "", lines, c->target_count);
}

static void write_ratios(FILE *f, const struct config *c, const struct row *rows, size_t n, enum metric m)
{
    static const double ones[PIPELINES_MAX] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
    static const struct chart_axis y = {.label = "ratio", .print = text_short, .from_zero = true};
    struct trend trends[TARGETS_MAX];
    struct chart_line lines[TARGETS_MAX];
    char title[PAGE_NAME_MAX];
    for (size_t t = 1; t < c->target_count; t++) {
        trend_of_ratios(&trends[t], rows, n, m, t);
        lines[t] = trend_line(c, &trends[t], n, t);
    }
    lines[0] = (struct chart_line){.kind = "unit", .n = n, .x = trends[1].x, .y = ones};
    snprintf(title, sizeof title, "%s of %s / others", m == METRIC_CPU_NS ? "server CPU" : "throughput",
             c->targets[0].name);
    write_chart(f, rows, &y, title, m == METRIC_CPU_NS ? "below 1: cheaper" : "above 1: faster", lines,
                c->target_count);
}

/* The rows of the workload that begins here, as many as a chart shows. */
static size_t workload_rows(const struct row *rows, size_t n)
{
    size_t end = 1;
    while (end < n && end < PIPELINES_MAX && strcmp(rows[end].workload->name, rows[0].workload->name) == 0) {
        end++;
    }
    return end;
}

static void write_charts(FILE *f, const struct config *c, const struct row *rows, size_t n, enum metric m)
{
    size_t group;
    fputs("<div class=\"charts\">\n", f);
    for (size_t i = 0; i < n; i += group) {
        group = workload_rows(rows + i, n - i);
        if (group > 1) {
            write_values(f, c, rows + i, group, m);
        }
        if (group > 1 && c->target_count > 1) {
            write_ratios(f, c, rows + i, group, m);
        }
    }
    fputs("</div>\n", f);
}

/* The table */

static void write_summary_line(FILE *f, const struct config *c, const struct row *row, size_t i, enum metric m)
{
    char text[PAGE_NAME_MAX];
    fprintf(f, "<tr><th><a href=\"#row-%zu\">", i);
    page_put(f, "", compare_row_name(row, text, sizeof text), "</a></th>");
    for (size_t t = 0; t < c->target_count; t++) {
        page_put(f, "<td>", text_grouped(text, compare_spread(row, t, m).median), "</td>");
    }
    for (size_t t = 1; t < c->target_count; t++) {
        page_put(f, "<td>", page_ratio(text, sizeof text, row, m, t), "</td>");
    }
    fputs("</tr>\n", f);
}

static void write_summary(FILE *f, const struct config *c, const struct row *rows, size_t n, enum metric m)
{
    fputs("<div class=\"scroll\"><table><thead><tr><th>measured</th>", f);
    for (size_t t = 0; t < c->target_count; t++) {
        page_put(f, "<th>", c->targets[t].name, m == METRIC_CPU_NS ? ", ns/op</th>" : ", ops/s</th>");
    }
    for (size_t t = 1; t < c->target_count; t++) {
        page_put(f, "<th>", c->targets[0].name, " / ");
        page_put(f, "", c->targets[t].name, "</th>");
    }
    fputs("</tr></thead><tbody>\n", f);
    for (size_t i = 0; i < n; i++) {
        write_summary_line(f, c, &rows[i], i, m);
    }
    fputs("</tbody></table></div>\n", f);
}

void page_overview(FILE *f, const struct config *c, const struct row *rows, size_t n)
{
    enum metric m = page_all_accounted(c) ? METRIC_CPU_NS : METRIC_RPS;
    fputs("<section id=\"overview\"><h2>Overview</h2>\n", f);
    write_charts(f, c, rows, n, m);
    write_summary(f, c, rows, n, m);
    fputs("</section>\n", f);
}
