#include "page.h"

#include <inttypes.h>
#include <sys/utsname.h>
#include <time.h>

#include "chart.h"
#include "page_parts.h"
#include "text.h"

/* The run */

static void write_fact(FILE *f, const char *name, const char *value)
{
    page_put(f, "<div><dt>", name, "</dt>");
    page_put(f, "<dd>", value, "</dd></div>\n");
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
    write_fact(f, "choice of keys", c->dist_text);
    write_fact(f, "key, bytes", c->key_size_text);
    write_fact(f, "value, bytes", c->value_size_text);
    if (*c->txn_text != '\0') {
        write_fact(f, "transactions of", c->txn_text);
    }
    if (c->rate > 0) {
        char arrivals[32];
        snprintf(arrivals, sizeof arrivals, ", %s", pace_names[c->arrivals]);
        write_count(f, "requests a second, when due", c->rate, arrivals);
    }
    if (c->idle > 0) {
        write_count(f, "idle connections beside", c->idle, "");
    }
    if (c->non_readers > 0) {
        write_count(f, "connections beside that never read", c->non_readers, "");
    }
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
        page_put(f, "", target->name, "</th>");
        page_put(f, "<td>", wire_proto_names[target->proto], "</td>");
        page_put(f, "<td>", target->host, ":");
        page_put(f, "", target->port, "</td>");
        if (c->spawn != NULL) {
            page_put(f, "<td>", c->spawn, "</td></tr>\n");
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
        page_put(f, t == 0 ? "" : ", ", c->targets[t].name, "");
    }
    fputs(" - txkv-benchmark</title>\n<style>\n", f);
    for (const char *const *line = page_style; *line != NULL; line++) {
        fprintf(f, "%s\n", *line);
    }
    fputs("</style>\n</head>\n<body>\n<header><h1>", f);
    for (size_t t = 0; t < c->target_count; t++) {
        page_put(f, t == 0 ? "" : " · ", c->targets[t].name, "");
    }
    page_put(f, "</h1>\n<p>Measured by txkv-benchmark " TXKV_VERSION " until ", date, "");
    if (uname(&machine) == 0) {
        page_put(f, " on ", machine.sysname, " ");
        page_put(f, "", machine.release, ", ");
        page_put(f, "", machine.machine, "");
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

void page_rates(FILE *f, const char *caption, const struct chart_rates *series, size_t n)
{
    page_figure_open(f, caption, "p99 (thin: p50, dashed: p99.9)");
    chart_latency_by_rate(f, caption, series, n);
    page_figure_close(f);
}

void page_write(FILE *f, const struct config *c, const struct row *rows, size_t n)
{
    write_head(f, c);
    write_run(f, c);
    if (c->sweep) {
        page_sweep(f, c, rows, n);
    } else if (n > 1) {
        page_overview(f, c, rows, n);
    }
    for (size_t i = 0; !c->sweep && i < n; i++) {
        page_row(f, c, &rows[i], i);
    }
    write_notes(f, c, rows);
}
