/* Self-tests of the page and its charts. With --page it only writes the page of made-up data, for the test that looks at it in a
 * browser. */
#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "chart.h"
#include "clock.h"
#include "page.h"
#include "svg.h"
#include "test_check.h"
#include "test_made.h"
#include "text.h"
#include "timeline.h"

/* text and shapes */

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

/* the page */

#define MADE_CHARTS (8 * 4 + 2 * 2)

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
    made_rows[0].series[1].watched_stops = true;
    check_page(&made_config, made_rows, 1, 4);
    CHECK(count(written, "class=\"trouble\"") == 4);
    CHECK(strstr(written, ">txkv refused 1,500 transactions for conflicts<") != NULL);
    CHECK(strstr(written, ">redis had 7 requests waiting at the end<") != NULL);
    CHECK(strstr(written, ">redis without stops of the machine: p50 ") != NULL);
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
    static struct timeline timeline;
    const struct timeline *const timelines[] = {&timeline};
    timeline_begin(&timeline, 0, 0);
    timeline_add(&timeline, 50 * NS_PER_MS, 1000, 1);
    timeline_add(&timeline, 150 * NS_PER_MS, 2000, 1);
    timeline_add(&timeline, 450 * NS_PER_MS, 3000, 1);
    timeline_end(&timeline, 500 * NS_PER_MS);
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

int main(int argc, char **argv)
{
    static void (*const tests[])(void) = {
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
    };
    if (argc == 4 && strcmp(argv[1], "--page") == 0) {
        size_t targets = strtoul(argv[3], NULL, 10);
        return targets >= 1 && targets <= TARGETS_MAX && write_page(argv[2], targets) == 0 ? 0 : 1;
    }
    if (argc != 1) {
        fprintf(stderr, "usage: bench-page [--page FILE TARGETS]\n");
        return 2;
    }
    return check_run(tests, sizeof tests / sizeof *tests);
}
