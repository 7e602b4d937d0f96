#include <stdlib.h>
#include <string.h>

#include "chart.h"
#include "page.h"
#include "page_parts.h"
#include "sweep.h"
#include "text.h"

/* What the chart shows of one target. */
struct curve {
    double rate[SWEEP_ROWS_MAX];
    double p50_ns[SWEEP_ROWS_MAX];
    double p99_ns[SWEEP_ROWS_MAX];
    double p999_ns[SWEEP_ROWS_MAX];
};

static struct chart_rates curve_of(struct curve *to, const char *name, const struct row *rows, size_t n, size_t target)
{
    size_t count = 0;
    for (size_t i = 0; i < n && count < SWEEP_ROWS_MAX; i++) {
        const struct series *s = &rows[i].series[target];
        if (s->n > 0) {
            to->rate[count] = rows[i].rate;
            to->p50_ns[count] = compare_latency(s, 0, s->n, METRIC_P50_NS);
            to->p99_ns[count] = compare_latency(s, 0, s->n, METRIC_P99_NS);
            to->p999_ns[count] = compare_latency(s, 0, s->n, METRIC_P999_NS);
            count++;
        }
    }
    return (struct chart_rates){name, count, to->rate, to->p50_ns, to->p99_ns, to->p999_ns};
}

static void write_curves(FILE *f, const struct config *c, const struct row *rows, size_t n)
{
    struct curve *curves = calloc(c->target_count, sizeof *curves);
    struct chart_rates series[TARGETS_MAX];
    char caption[PAGE_NAME_MAX];
    for (size_t t = 0; curves != NULL && t < c->target_count; t++) {
        series[t] = curve_of(&curves[t], c->targets[t].name, rows, n, t);
    }
    if (curves != NULL) {
        snprintf(caption, sizeof caption, "%s: latency by rate of requests", rows[0].workload->name);
        page_rates(f, caption, series, c->target_count);
    }
    free(curves);
}

static void write_line(FILE *f, const struct config *c, const struct row *row, size_t t)
{
    static const enum metric latencies[] = {METRIC_P50_NS, METRIC_P99_NS, METRIC_P999_NS, METRIC_MAX_NS};
    char text[PAGE_NAME_MAX];
    page_put(f, "<tr><th>", c->targets[t].name, "</th>");
    page_put(f, "<td>", text_grouped(text, row->rate), "</td>");
    page_put(f, "<td>", text_grouped(text, compare_spread(row, t, METRIC_RPS).median), "</td>");
    for (size_t i = 0; i < sizeof latencies / sizeof *latencies; i++) {
        page_put(f, "<td>", text_ns(text, compare_latency(&row->series[t], 0, row->series[t].n, latencies[i])), "</td>");
    }
    if (c->targets[t].pid != 0) {
        page_put(f, "<td>", text_grouped(text, compare_spread(row, t, METRIC_CPU_NS).median), "</td></tr>\n");
    } else {
        fputs("<td>-</td></tr>\n", f);
    }
}

static void write_table(FILE *f, const struct config *c, const struct row *rows, size_t n)
{
    fputs(
        "<div "
        "class=\"scroll\"><table><thead><tr><th>target</th><th>asked/s</th><th>answered/s</th><th>p50</th><th>p99</th>"
        "<th>p99.9</th><th>max</th><th>server CPU ns/op</th></tr></thead><tbody>\n",
        f);
    for (size_t i = 0; i < n; i++) {
        for (size_t t = 0; t < c->target_count; t++) {
            if (rows[i].series[t].n > 0) {
                write_line(f, c, &rows[i], t);
            }
        }
    }
    fputs("</tbody></table></div>\n", f);
}

void page_sweep(FILE *f, const struct config *c, const struct row *rows, size_t n)
{
    size_t end;
    fputs("<section id=\"sweep\"><h2>Rates</h2>\n", f);
    for (size_t i = 0; i < n; i = end) {
        for (end = i; end < n && strcmp(rows[end].workload->name, rows[i].workload->name) == 0; end++) {
        }
        write_curves(f, c, rows + i, end - i);
        for (size_t k = i; k < end; k++) {
            if (rows[k].note[0] != '\0') {
                page_put(f, "<p>", rows[k].note, "</p>\n");
            }
        }
        write_table(f, c, rows + i, end - i);
    }
    fputs("</section>\n", f);
}
