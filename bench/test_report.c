/* Self-tests of the timeline, the table, the page and its charts, the counting of system calls, and of the server that
 * is started. A plain program: prints what failed, exits 1 if anything did. With --page it only writes the page of
 * made-up data, for the test that looks at it in a browser. */
#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "chart.h"
#include "clock.h"
#include "compare.h"
#include "page.h"
#include "report.h"
#include "rng.h"
#include "spawn.h"
#include "svg.h"
#include "syscalls.h"
#include "test_check.h"
#include "text.h"
#include "timeline.h"

#define MS UINT64_C(1000000)

/* timeline */

static struct timeline timeline;

static void test_timeline_slots(void)
{
    timeline_begin(&timeline, 1000, 300 * MS);
    timeline_add(&timeline, 1000, 5000, 1);
    timeline_add(&timeline, 1000 + 100 * MS - 1, 7000, 98);
    timeline_add(&timeline, 1000 + 100 * MS, 9000, 10); /* the first moment of the next slot */
    timeline_end(&timeline, 1000 + 200 * MS);
    CHECK(timeline.n == 2 && timeline.slot_ns == 100 * MS);
    CHECK(timeline.slots[0].replies == 99 && timeline.slots[0].max_ns == 7000);
    CHECK(fabs((double)timeline.slots[0].p50_ns - 7000) < 70);
    CHECK(timeline.slots[1].replies == 10 && timeline.slots[1].max_ns == 9000 && timeline.slots[1].p99_ns == 9000);
}

static void test_timeline_silence_is_empty_slots(void)
{
    timeline_begin(&timeline, 0, 0);
    timeline_add(&timeline, 0, 10, 1);
    timeline_add(&timeline, 450 * MS, 400 * MS, 1);
    timeline_end(&timeline, 500 * MS);
    CHECK(timeline.n == 5);
    for (size_t i = 1; i < 4; i++) {
        CHECK(timeline.slots[i].replies == 0 && timeline.slots[i].p99_ns == 0 && timeline.slots[i].max_ns == 0);
    }
    CHECK(timeline.slots[4].replies == 1 && timeline.slots[4].max_ns == 400 * MS);
}

static void test_timeline_joins_a_stub_and_keeps_a_part(void)
{
    timeline_begin(&timeline, 0, 0);
    timeline_add(&timeline, 10 * MS, 100, 5);
    timeline_add(&timeline, 101 * MS, 300, 5);
    timeline_end(&timeline, 102 * MS);
    CHECK(timeline.n == 1 && timeline.slots[0].replies == 10 && timeline.slots[0].max_ns == 300);
    CHECK(timeline.slots[0].p50_ns == 200);
    timeline_begin(&timeline, 0, 0);
    timeline_add(&timeline, 10 * MS, 100, 5);
    timeline_add(&timeline, 101 * MS, 300, 5);
    timeline_end(&timeline, 150 * MS);
    CHECK(timeline.n == 2 && timeline.slots[1].replies == 5);
}

static void test_timeline_fits_a_duration_and_doubles_without_one(void)
{
    timeline_begin(&timeline, 0, 601 * 100 * MS);
    CHECK(timeline.slot_ns == 200 * MS);
    timeline_begin(&timeline, 0, 0);
    for (uint64_t i = 0; i < 5000; i++) {
        timeline_add(&timeline, i * 100 * MS, 1000 + i, 2);
    }
    timeline_end(&timeline, 5000 * 100 * MS);
    uint64_t replies = 0;
    for (size_t i = 0; i < timeline.n; i++) {
        replies += timeline.slots[i].replies;
        CHECK(timeline.slots[i].max_ns >= timeline.slots[i].p99_ns);
    }
    CHECK(timeline.slot_ns == 1600 * MS && timeline.n == 313 && replies == 10000);
    CHECK(timeline.slots[timeline.n - 1].max_ns == 5999);
}

/* text and shapes */

static void check_text(const char *found, const char *expected)
{
    if (strcmp(found, expected) != 0) {
        printf("'%s', not '%s'\n", found, expected);
        failures++;
    }
}

static void test_numbers_for_people(void)
{
    char out[TEXT_MAX];
    check_text(text_grouped(out, 1234567.4), "1,234,567");
    check_text(text_grouped(out, -1000), "-1,000");
    check_text(text_grouped(out, 999), "999");
    check_text(text_ns(out, 0), "0 ns");
    check_text(text_ns(out, 999.4), "999 ns");
    check_text(text_ns(out, 999.6), "1 µs");
    check_text(text_ns(out, 12345), "12.3 µs");
    check_text(text_ns(out, 250e6), "250 ms");
    check_text(text_ns(out, 5000e9), "5,000 s");
    check_text(text_short(out, 0.12345), "0.123");
    check_text(text_short(out, 12345), "12,345");
    check_text(text_name(out, "twelve-chars"), "twelve-chars");
    check_text(text_name(out, "thirteen-char"), "thirteen-ch…");
}

/* What writing left in memory, until the next call. */
static char *written;
static size_t written_size;

static FILE *writing(void)
{
    free(written);
    written = NULL;
    FILE *f = open_memstream(&written, &written_size);
    assert(f != NULL);
    return f;
}

static void test_scales_clamp(void)
{
    struct svg_scale linear = {.low = 0, .high = 10, .from = 100, .to = 200};
    struct svg_scale decades = {.low = 1, .high = 100, .log = true, .from = 200, .to = 0};
    CHECK(svg_at(&linear, 5) == 150 && svg_at(&linear, -1) == 100 && svg_at(&linear, 11) == 200);
    CHECK(fabs(svg_at(&decades, 10) - 100) < 1e-9);
    CHECK(svg_at(&decades, 0) == 200 && svg_at(&decades, NAN) == 200 && svg_at(&linear, NAN) == 100);
}

static void test_text_is_escaped(void)
{
    FILE *f = writing();
    svg_text(f, "x", 1, 2, "<script>&\"\n");
    fclose(f);
    check_text(written, "<text class=\"x\" x=\"1.0\" y=\"2.0\">&lt;script&gt;&amp;&quot; </text>\n");
}

static void test_a_lone_point_is_a_dot_and_gaps_divide(void)
{
    FILE *f = writing();
    struct svg_path p = svg_path_open(f, "x");
    svg_path_gap(&p);
    svg_path_point(&p, 1, 2);
    svg_path_gap(&p);
    svg_path_point(&p, 3, 4);
    svg_path_point(&p, 5, 6);
    svg_path_close(&p);
    fclose(f);
    check_text(written, "<path class=\"x\" d=\"M1.0 2.0h0M3.0 4.0L5.0 6.0\"/>\n");
}

/* Made-up data */

#define MADE_REPEAT 5
#define MADE_SLOTS 50
#define MADE_CHARTS (8 * 4 + 2 * 2)

static const struct workload made_workloads[] = {{"get", {[WIRE_GET] = 1}}, {"set", {[WIRE_SET] = 1}}};
static const unsigned made_pipelines[] = {1, 16, 64, 256};
static struct config made_config;
static struct row made_rows[8];

/* Mostly around the middle, a few far out: what servers show. */
static double made_latency(struct rng *rng, double middle)
{
    double u = rng_unit(rng);
    double tail = u > 0.999 ? 40 * rng_unit(rng) : u > 0.98 ? 3 * rng_unit(rng) : 0;
    return middle * (0.6 + 0.8 * rng_unit(rng) + tail);
}

static void make_timeline(struct series *s, struct rng *rng, double middle)
{
    timeline_begin(&s->timeline, 0, MADE_SLOTS * 100 * MS);
    for (uint64_t i = 0; i < MADE_SLOTS * 200; i++) {
        double stall = i > 5200 && i < 5400 ? 20 : 1;
        double ns = made_latency(rng, middle) * stall;
        hist_add(&s->latency, (uint64_t)ns, 40);
        timeline_add(&s->timeline, i * 100 * MS / 200, (uint64_t)ns, 40);
    }
    timeline_end(&s->timeline, MADE_SLOTS * 100 * MS);
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
static void make_data(size_t targets)
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
    for (size_t i = 0; i < 8; i++) {
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

/* The first target's in the first row; server 0: not accounted. */
static void make_loads(double server, double client)
{
    for (size_t i = 0; i < MADE_REPEAT; i++) {
        made_rows[0].series[0].values[METRIC_SERVER_LOAD][i] = server;
        made_rows[0].series[0].values[METRIC_CLIENT_LOAD][i] = client;
    }
}

/* The page */

/* Every element that is opened is closed, in order. Takes XML with the two exceptions of the page's head. */
static bool tags_balance(const char *at)
{
    char open[32][16];
    size_t depth = 0;
    while ((at = strchr(at, '<')) != NULL) {
        bool closes = *++at == '/';
        at += closes;
        size_t len = strspn(at, "abcdefghijklmnopqrstuvwxyz0123456789");
        const char *end = strchr(at, '>');
        if (*at == '!') {
            continue;
        }
        if (len == 0 || len > 15 || end == NULL || memchr(at, '<', (size_t)(end - at)) != NULL) {
            printf("not a tag: %.60s\n", at);
            return false;
        }
        if (closes && (depth == 0 || strlen(open[depth - 1]) != len || memcmp(open[depth - 1], at, len) != 0)) {
            printf("closes nothing: %.60s\n", at);
            return false;
        }
        if (!closes && end[-1] != '/' && depth < 32) {
            snprintf(open[depth], sizeof open[depth], "%.*s", (int)len, at);
        }
        depth = closes ? depth - 1 : depth + (end[-1] != '/');
        if (depth == 32) {
            return false;
        }
    }
    return depth == 0;
}

static size_t count(const char *text, const char *what)
{
    size_t n = 0;
    for (; (text = strstr(text, what)) != NULL; text += strlen(what)) {
        n++;
    }
    return n;
}

/* As a number: "nan" is also part of words. */
static bool has_no_number(const char *text)
{
    static const char *const bad[] = {"nan", "inf"};
    for (size_t i = 0; i < 2; i++) {
        for (const char *at = text; (at = strstr(at, bad[i])) != NULL; at += 3) {
            bool word = isalpha((unsigned char)at[3]) || (at > text && isalpha((unsigned char)at[-1]));
            if (!word) {
                printf("not a number: %.40s\n", at > text + 20 ? at - 20 : text);
                return true;
            }
        }
    }
    return false;
}

static void check_page(const struct config *c, const struct row *rows, size_t n, size_t figures)
{
    FILE *f = writing();
    page_write(f, c, rows, n);
    fclose(f);
    CHECK(tags_balance(written));
    CHECK(!has_no_number(written) && count(written, ">-0<") == 0);
    CHECK(count(written, "<svg ") == figures && count(written, "<figure>") == figures);
    CHECK(count(written, "<svg role=\"img\" viewBox=\"0 0 ") == figures);
    CHECK(count(written, "<script") == 0 && count(written, "http") == 0 && count(written, "url(") == 0);
    CHECK(count(written, "<section id=\"row-") == n);
}

static void test_page_of_a_comparison(void)
{
    make_data(3);
    check_page(&made_config, made_rows, 8, MADE_CHARTS);
    CHECK(count(written, "href=\"#row-") == 8);
    CHECK(strstr(written, "1,000,000, preloaded") != NULL);
    CHECK(strstr(written, "93.8% interval") != NULL);
    CHECK(strstr(written, "txkv / redis: 0.") != NULL);
    CHECK(count(written, "client-bound") == 0);
}

static void test_page_of_one_target(void)
{
    make_data(3);
    made_config.target_count = 1;
    made_config.targets[0].pid = 0;
    made_rows[0].series[0].syscalls_source = SYSCALLS_UNKNOWN;
    check_page(&made_config, made_rows, 1, 3);
    CHECK(strstr(written, "not accounted") != NULL && strstr(written, "<td>-</td>") != NULL);
    made_config.rate = 1000;
    check_page(&made_config, made_rows, 1, 3);
    CHECK(strstr(written, "<dd>1,000, poisson</dd>") != NULL);
    made_config.rate = 0;
}

static void test_page_of_nothing(void)
{
    make_data(3);
    for (size_t t = 0; t < 3; t++) {
        struct series *s = &made_rows[0].series[t];
        memset(s, 0, sizeof *s);
        hist_init(&s->latency);
        s->n = 1;
    }
    check_page(&made_config, made_rows, 1, 4);
}

static void test_page_escapes_what_others_wrote(void)
{
    make_data(3);
    snprintf(made_config.targets[1].name, sizeof made_config.targets[1].name, "<b>&\"x");
    snprintf(made_config.targets[1].host, sizeof made_config.targets[1].host, "<i>");
    made_rows[0].series[1].values[METRIC_ERRORS][0] = 3;
    snprintf(made_rows[0].series[1].first_error, sizeof made_rows[0].series[1].first_error, "ERR <u> & \001");
    made_config.spawn = "a && b <c";
    check_page(&made_config, made_rows, 2, 2 * 4 + 2);
    CHECK(strstr(written, "&lt;b&gt;&amp;&quot;x answered 3 errors, the first: ERR &lt;u&gt; &amp;  <") != NULL);
    CHECK(strstr(written, "<b>") == NULL && strstr(written, "<i>") == NULL && strstr(written, "<u>") == NULL);
    CHECK(strstr(written, "a &amp;&amp; b &lt;c") != NULL);
}

static void test_page_says_what_was_refused_and_what_waited(void)
{
    make_data(3);
    made_rows[0].series[0].values[METRIC_CONFLICTS][0] = 1000;
    made_rows[0].series[0].values[METRIC_CONFLICTS][1] = 500;
    made_rows[0].series[1].values[METRIC_UNANSWERED][4] = 7;
    made_rows[0].series[2].values[METRIC_MISSES][4] = 9;
    check_page(&made_config, made_rows, 1, 4);
    CHECK(count(written, "class=\"trouble\"") == 3);
    CHECK(strstr(written, ">txkv refused 1,500 transactions for conflicts<") != NULL);
    CHECK(strstr(written, ">redis had 7 requests waiting at the end<") != NULL);
    CHECK(strstr(written, ">memcached answered 9 times that a key does not exist<") != NULL);
}

static void test_page_says_client_bound(void)
{
    make_data(3);
    make_loads(0.5, 1);
    check_page(&made_config, made_rows, 1, 4);
    CHECK(count(written, "client-bound: not txkv but") == 1);
    make_loads(0, 1);
    check_page(&made_config, made_rows, 1, 4);
    CHECK(count(written, "client-bound? ") == 1 && count(written, "client-bound: ") == 0);
}

static void test_silence_is_a_gap_of_the_timeline(void)
{
    static const char *const names[] = {"a"};
    const struct timeline *const timelines[] = {&timeline};
    timeline_begin(&timeline, 0, 0);
    timeline_add(&timeline, 50 * MS, 1000, 1);
    timeline_add(&timeline, 150 * MS, 2000, 1);
    timeline_add(&timeline, 450 * MS, 3000, 1);
    timeline_end(&timeline, 500 * MS);
    FILE *f = writing();
    chart_timelines(f, "t", names, timelines, 1);
    fclose(f);
    CHECK(count(written, "d=\"M") == 2 && count(written, "M") == 4 && count(written, "L") == 2);
}

/* A curve that breaks, as a sweep of rates finds it. */
#define MADE_RATES 12

static void write_rates(FILE *f, size_t n)
{
    static double rate[MADE_RATES];
    static double p50[3][MADE_RATES];
    static double p99[3][MADE_RATES];
    static double p999[3][MADE_RATES];
    static const char *const names[] = {"txkv", "redis", "memcached"};
    struct chart_rates series[3];
    for (size_t t = 0; t < 3; t++) {
        for (size_t i = 0; i < MADE_RATES; i++) {
            rate[i] = 20000.0 * (double)(i + 1);
            double load = rate[i] / (130000.0 + 60000.0 * (double)(2 - t));
            double wait = load < 0.97 ? 1 / (1 - load) : 400;
            p50[t][i] = 60e3 * sqrt(wait);
            p99[t][i] = 150e3 * wait;
            p999[t][i] = 400e3 * wait;
        }
        series[t] = (struct chart_rates){names[t], MADE_RATES, rate, p50[t], p99[t], p999[t]};
    }
    page_rates(f, "latency by rate", series, n);
}

static void test_latency_by_rate(void)
{
    for (size_t n = 1; n <= 3; n++) {
        FILE *f = writing();
        write_rates(f, n);
        fclose(f);
        CHECK(tags_balance(written) && !has_no_number(written));
        CHECK(count(written, "<path ") == 3 * n && count(written, "class=\"end ") == (n == 1 ? 3 : n));
        CHECK((strstr(written, ">p99.9<") != NULL) == (n == 1));
    }
}

/* A sweep of two targets: a chart, where each breaks, and a line for each rate. */
static void test_page_of_a_sweep(void)
{
    make_data(2);
    made_config.sweep = true;
    for (size_t i = 0; i < 6; i++) {
        struct row *row = &made_rows[i];
        row->workload = &made_workloads[0];
        row->rate = 1000 * (double)(i + 1);
        row->series[i < 3 ? 1 : 0].n = 0; /* the first three are of the first target */
    }
    strcpy(made_rows[2].note, "it breaks <here>");
    FILE *f = writing();
    page_write(f, &made_config, made_rows, 6);
    fclose(f);
    CHECK(tags_balance(written) && !has_no_number(written));
    CHECK(count(written, "<svg ") == 1 && count(written, "<path ") == 6);
    CHECK(strstr(written, "it breaks &lt;here&gt;") != NULL);
    CHECK(count(written, "<td>6,000</td>") == 1 && strstr(written, "id=\"overview\"") == NULL);
    made_config.sweep = false;
}

#define RATE_CHARTS 2

/* Writes the page of made-up data, with the charts of rates that no row has at its end, and prints how many charts there
 * are. */
static int write_page(const char *path, size_t targets)
{
    FILE *page = writing();
    make_data(targets);
    page_write(page, &made_config, made_rows, 8);
    fclose(page);
    const char *end = strstr(written, "<footer>");
    FILE *f = end == NULL ? NULL : fopen(path, "w");
    if (f == NULL) {
        return -1;
    }
    fwrite(written, 1, (size_t)(end - written), f);
    fputs("<section><h2>Rates</h2><div class=\"charts\">", f);
    write_rates(f, 3);
    write_rates(f, 1);
    fprintf(f, "</div></section>\n%s", end);
    printf("%d\n", MADE_CHARTS + RATE_CHARTS);
    return fclose(f);
}

/* The table */

static void write_report_table(void)
{
    FILE *f = writing();
    report_table(f, &made_config, made_rows, 1);
    fclose(f);
}

static void test_table_has_all_percentiles(void)
{
    static const enum metric shown[] = {METRIC_P50_NS,  METRIC_P90_NS,   METRIC_P99_NS,
                                        METRIC_P999_NS, METRIC_P9999_NS, METRIC_MAX_NS};
    make_data(1);
    for (size_t m = 0; m < 6; m++) {
        for (size_t i = 0; i < MADE_REPEAT; i++) {
            made_rows[0].series[0].values[shown[m]][i] = 1000.0 * (double)(m + 1);
        }
    }
    write_report_table();
    CHECK(strstr(written, "  p50 us     p90 us     p99 us   p99.9 us  p99.99 us     max us  ") != NULL);
    CHECK(strstr(written, "     1.0        2.0        3.0        4.0        5.0        6.0  ") != NULL);
}

static void test_client_bound_is_not_hidden_by_a_server_that_is_not_accounted(void)
{
    static const struct {
        double server;
        double client;
        const char *in_table;
        const char *in_csv;
        const char *in_json;
    } cases[] = {
        {0.5, 0.96, "%  client-bound\n", ",\"yes\",", "\"client_bound\": true"},
        {0.95, 0.96, "%\n", ",\"no\",", "\"client_bound\": false"},
        {0, 0.96, "%  client-bound?\n", ",\"unknown\",", "\"client_bound\": null"},
        {0, 0.9, "%\n", ",\"no\",", "\"client_bound\": false"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        make_data(1);
        make_loads(cases[i].server, cases[i].client);
        write_report_table();
        CHECK(strstr(written, cases[i].in_table) != NULL);
        CHECK((strstr(written, "\nclient-bound?: ") != NULL) == (strchr(cases[i].in_table, '?') != NULL));
        FILE *f = writing();
        report_csv(f, &made_config, made_rows, 1);
        fclose(f);
        CHECK(strstr(written, cases[i].in_csv) != NULL);
        f = writing();
        report_json(f, &made_config, made_rows, 1);
        fclose(f);
        CHECK(strstr(written, cases[i].in_json) != NULL);
    }
}

static void test_table_says_what_went_wrong(void)
{
    make_data(2);
    made_rows[0].series[0].values[METRIC_CONFLICTS][0] = 1000;
    made_rows[0].series[1].values[METRIC_ERRORS][4] = 7;
    strcpy(made_rows[0].series[1].first_error, "ERR no");
    write_report_table();
    CHECK(strstr(written, "\n  txkv refused 1,000 transactions for conflicts\n") != NULL);
    CHECK(strstr(written, "\n  redis answered 7 errors, the first: ERR no\n") != NULL);
}

/* syscalls */

#define CALLS 1000

static void make_calls(void)
{
    for (int i = 0; i < CALLS; i++) {
        char byte;
        CHECK(read(-1, &byte, 1) == -1);
    }
}

/* Makes its calls when the pipe closes. */
static void *on_thread(void *pipe_end)
{
    char byte;
    CHECK(read(*(int *)pipe_end, &byte, 1) == 0);
    make_calls();
    return NULL;
}

static void test_system_calls_of_all_threads(void)
{
    static struct syscalls s;
    int ends[2];
    pthread_t before;
    pthread_t after;
    assert(pipe(ends) == 0 && pthread_create(&before, NULL, on_thread, &ends[0]) == 0);
    syscalls_begin(&s, getpid());
    enum syscalls_source source = s.source;
    assert(pthread_create(&after, NULL, on_thread, &ends[0]) == 0);
    make_calls();
    close(ends[1]);
    pthread_join(before, NULL);
    pthread_join(after, NULL);
    close(ends[0]);
    uint64_t calls = syscalls_end(&s);
    CHECK(source != SYSCALLS_ALL || (calls >= 3 * CALLS && calls < 3 * CALLS + 100));
    CHECK(s.source == SYSCALLS_UNKNOWN && syscalls_end(&s) == 0);
    if (source != SYSCALLS_ALL) {
        printf("not tested: counting all system calls needs the tracepoint (%s)\n", syscalls_source_names[source]);
    }
    syscalls_begin(&s, 0);
    CHECK(s.source == SYSCALLS_UNKNOWN && syscalls_end(&s) == 0);
}

static void test_threads_beyond_the_counters_touch_nothing(void)
{
    static struct {
        struct syscalls s;
        int behind;
    } both = {.behind = 42};
    static pthread_t threads[SYSCALLS_THREADS_MAX];
    int ends[2];
    assert(pipe(ends) == 0);
    for (size_t i = 0; i < SYSCALLS_THREADS_MAX; i++) {
        assert(pthread_create(&threads[i], NULL, on_thread, &ends[0]) == 0);
    }
    syscalls_begin(&both.s, getpid());
    CHECK(both.behind == 42 && both.s.source != SYSCALLS_ALL && both.s.fds_n == 0);
    syscalls_end(&both.s);
    close(ends[1]);
    for (size_t i = 0; i < SYSCALLS_THREADS_MAX; i++) {
        pthread_join(threads[i], NULL);
    }
    close(ends[0]);
}

/* spawn */

static const char *null_server_path;
static const char *benchmark_path;

/* A port that was free a moment ago. */
static void free_port(char port[8])
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof addr;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert(fd >= 0 && bind(fd, (struct sockaddr *)&addr, size) == 0);
    assert(getsockname(fd, (struct sockaddr *)&addr, &size) == 0);
    snprintf(port, 8, "%u", ntohs(addr.sin_port));
    close(fd);
}

static void test_spawn_starts_and_ends_a_server(void)
{
    struct spawn s;
    struct spawn second;
    char port[8];
    char command[512];
    char why[256] = "";
    free_port(port);
    snprintf(command, sizeof command, "'%s' --port %s", null_server_path, port);
    CHECK(spawn_start(&s, command, "127.0.0.1", port, 10 * NS_PER_S, why, sizeof why) == 0);
    pid_t pid = s.pid;
    CHECK(pid > 0 && kill(pid, 0) == 0 && getpgid(pid) == pid);
    CHECK(spawn_start(&second, command, "127.0.0.1", port, 10 * NS_PER_S, why, sizeof why) == -1);
    CHECK(strstr(why, "listens on 127.0.0.1") != NULL && second.pid == 0);
    spawn_deinit(&second);
    spawn_stop(&s, 10 * NS_PER_S);
    CHECK(s.pid == 0 && kill(pid, 0) == -1 && errno == ESRCH);
    spawn_stop(&s, 10 * NS_PER_S); /* nothing more to do */
    FILE *f = writing();
    spawn_print_output(&s, f);
    fclose(f);
    CHECK(strstr(written, "null listening on") != NULL);
    spawn_deinit(&s);
}

static void test_spawn_says_why_a_server_died(void)
{
    struct spawn s;
    char port[8];
    char why[256] = "";
    free_port(port);
    CHECK(spawn_start(&s, "sh -c 'echo cannot do it >&2; exit 7'", "127.0.0.1", port, 10 * NS_PER_S, why, sizeof why) ==
          -1);
    CHECK(strstr(why, "exit status 7") != NULL && s.pid == 0);
    FILE *f = writing();
    spawn_print_output(&s, f);
    fclose(f);
    CHECK(strstr(written, "cannot do it\n") != NULL);
    spawn_deinit(&s);
}

static void test_spawn_ends_its_patience(void)
{
    struct spawn s;
    char port[8];
    char why[256] = "";
    free_port(port);
    uint64_t begin = now_ns();
    CHECK(spawn_start(&s, "sleep 60", "127.0.0.1", port, NS_PER_S / 5, why, sizeof why) == -1);
    CHECK(strstr(why, "does not accept") != NULL && s.pid == 0 && now_ns() - begin < 10 * NS_PER_S);
    spawn_deinit(&s);
}

/* One that ignores SIGTERM, and a child of it, are ended too. */
static void test_spawn_kills_what_does_not_end(void)
{
    struct spawn s;
    char port[8];
    char command[512];
    char why[256] = "";
    free_port(port);
    CHECK(prctl(PR_SET_CHILD_SUBREAPER, 1) == 0); /* its child comes to us when it has died */
    snprintf(command, sizeof command, "sh -c \"trap '' TERM; sleep 60 & '%s' --port %s; sleep 60\"", null_server_path,
             port);
    CHECK(spawn_start(&s, command, "127.0.0.1", port, 10 * NS_PER_S, why, sizeof why) == 0);
    pid_t group = s.pid;
    spawn_stop(&s, NS_PER_S / 5);
    size_t children = 0;
    int status;
    while (waitpid(-group, &status, 0) > 0) {
        CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        children++;
    }
    CHECK(children > 0 && kill(-group, 0) == -1 && errno == ESRCH);
    spawn_deinit(&s);
}

static void test_spawn_is_for_a_single_server(void)
{
    static struct config c;
    char why[256];
    char program[] = "txkv-benchmark";
    char spawn[] = "--spawn=server --port 1";
    char target[] = "--target=a=text:h:1";
    char pid[] = "--server-pid=1";
    char report[] = "--report=page.html";
    CHECK(config_parse(&c, 3, (char *[]){program, spawn, report, NULL}, why, sizeof why) == OPTS_OK);
    CHECK(strcmp(c.spawn, "server --port 1") == 0 && strcmp(c.report, "page.html") == 0);
    CHECK(config_parse(&c, 3, (char *[]){program, spawn, target, NULL}, why, sizeof why) == OPTS_BAD);
    CHECK(config_parse(&c, 3, (char *[]){program, pid, spawn, NULL}, why, sizeof why) == OPTS_BAD);
    CHECK(strstr(why, "--spawn") != NULL);
}

/* The series of a comparison */

static void test_series_keep_latencies_timeline_and_system_calls(void)
{
    static struct config c;
    static struct row row;
    struct spawn s;
    char command[512];
    char why[256] = "";
    c = (struct config){.target_count = 1,
                        .workload_count = 1,
                        .pipeline_count = 1,
                        .pipelines = {4},
                        .conns = 3,
                        .keys = 100,
                        .value_sizes = sizes_fixed(3),
                        .key_sizes = sizes_fixed(WIRE_KEY_SIZE),
                        .dist_text = "uniform",
                        .value_size_text = "3",
                        .key_size_text = "16",
                        .txn_text = "",
                        .seed = 1,
                        .repeat = 2,
                        .duration_ns = 250 * MS};
    struct target *t = &c.targets[0];
    *t = (struct target){.name = "null", .host = "127.0.0.1"};
    c.workloads[0] = made_workloads[0];
    free_port(t->port);
    snprintf(command, sizeof command, "'%s' --port %s", null_server_path, t->port);
    CHECK(spawn_start(&s, command, t->host, t->port, 10 * NS_PER_S, why, sizeof why) == 0);
    t->pid = s.pid;
    static struct syscalls counting;
    syscalls_begin(&counting, t->pid);
    enum syscalls_source source = counting.source;
    (void)syscalls_end(&counting);
    size_t n = 0;
    CHECK(compare_run(&c, &row, &n, NULL, why, sizeof why) == 0 && n == 1);
    spawn_stop(&s, 10 * NS_PER_S);
    spawn_deinit(&s);
    const struct series *series = &row.series[0];
    uint64_t replies = 0;
    for (size_t i = 0; i < series->timeline.n; i++) {
        replies += series->timeline.slots[i].replies;
    }
    CHECK(series->n == 2 && series->timeline.n >= 2 && replies > 0);
    CHECK(replies < series->latency.count); /* of the last measurement, of both */
    double calls = compare_total(&row, 0, METRIC_SYSCALLS);
    CHECK(series->syscalls_source == source);
    CHECK(source == SYSCALLS_UNKNOWN ? calls == 0 : calls > 0.02 && calls < 10);
}

/* The program */

static bool accepts(const char *port)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    addr.sin_port = htons((uint16_t)strtoul(port, NULL, 10));
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert(fd >= 0);
    bool accepted = connect(fd, (struct sockaddr *)&addr, sizeof addr) == 0;
    close(fd);
    return accepted;
}

static bool becomes(bool accepting, const char *port)
{
    for (int i = 0; i < 1000 && accepts(port) != accepting; i++) {
        usleep(10000);
    }
    return accepts(port) == accepting;
}

/* Whatever ends the load generator, its server ends too. */
static void check_signal(int signum)
{
    char port[8];
    char command[512];
    free_port(port);
    snprintf(command, sizeof command, "'%s' --port %s", null_server_path, port);
    pid_t pid = fork();
    assert(pid >= 0);
    if (pid == 0) {
        execl(benchmark_path, benchmark_path, "-p", port, "--duration", "60", "--spawn", command, (char *)NULL);
        _exit(127);
    }
    int status = 0;
    CHECK(becomes(true, port));
    CHECK(kill(pid, signum) == 0 && waitpid(pid, &status, 0) == pid);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == signum);
    CHECK(becomes(false, port));
}

static void test_a_spawned_server_ends_with_the_program(void)
{
    check_signal(SIGINT);
    check_signal(SIGTERM);
    check_signal(SIGKILL);
}

/* Takes the paths of the null server and the load generator, or --page FILE and the number of targets. */
int main(int argc, char **argv)
{
    static void (*const tests[])(void) = {
        test_timeline_slots,
        test_timeline_silence_is_empty_slots,
        test_timeline_joins_a_stub_and_keeps_a_part,
        test_timeline_fits_a_duration_and_doubles_without_one,
        test_numbers_for_people,
        test_scales_clamp,
        test_text_is_escaped,
        test_a_lone_point_is_a_dot_and_gaps_divide,
        test_page_of_a_comparison,
        test_page_of_one_target,
        test_page_of_nothing,
        test_page_escapes_what_others_wrote,
        test_page_says_what_was_refused_and_what_waited,
        test_page_says_client_bound,
        test_silence_is_a_gap_of_the_timeline,
        test_latency_by_rate,
        test_page_of_a_sweep,
        test_table_has_all_percentiles,
        test_client_bound_is_not_hidden_by_a_server_that_is_not_accounted,
        test_table_says_what_went_wrong,
        test_system_calls_of_all_threads,
        test_threads_beyond_the_counters_touch_nothing,
        test_spawn_starts_and_ends_a_server,
        test_spawn_says_why_a_server_died,
        test_spawn_ends_its_patience,
        test_spawn_kills_what_does_not_end,
        test_spawn_is_for_a_single_server,
        test_series_keep_latencies_timeline_and_system_calls,
        test_a_spawned_server_ends_with_the_program,
    };
    if (argc == 4 && strcmp(argv[1], "--page") == 0) {
        size_t targets = strtoul(argv[3], NULL, 10);
        return targets >= 1 && targets <= TARGETS_MAX && write_page(argv[2], targets) == 0 ? 0 : 1;
    }
    if (argc != 3) {
        fprintf(stderr, "usage: bench-report NULL-SERVER TXKV-BENCHMARK | --page FILE TARGETS\n");
        return 2;
    }
    null_server_path = argv[1];
    benchmark_path = argv[2];
    for (size_t i = 0; i < sizeof tests / sizeof *tests; i++) {
        tests[i]();
    }
    free(written);
    printf("%zu tests, %d failures\n", sizeof tests / sizeof *tests, failures);
    return failures > 0;
}
