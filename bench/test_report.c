/* Self-tests of the table, and of the same in CSV and JSON. */
#include <string.h>

#include "report.h"
#include "test_check.h"
#include "test_made.h"

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

static void test_table_tells_the_latency_without_stops_where_they_were_watched(void)
{
    static const struct {
        enum metric metric;
        double value;
    } made[] = {{METRIC_CLEAR_P50_NS, 19200},
                {METRIC_CLEAR_P99_NS, 90100},
                {METRIC_CLEAR_P999_NS, 300000},
                {METRIC_CLEAR_P9999_NS, 400000},
                {METRIC_CLEAR_MAX_NS, 1e6},
                {METRIC_LEFT_OUT, 0.0125},
                {METRIC_STOPS, 71},
                {METRIC_STOPPED_NS, 98.4e6},
                {METRIC_STOP_MAX_NS, 4.38e6}};
    make_data(2);
    for (size_t m = 0; m < sizeof made / sizeof *made; m++) {
        for (size_t i = 0; i < MADE_REPEAT; i++) {
            made_rows[0].series[1].values[made[m].metric][i] = made[m].value;
        }
    }
    write_report_table();
    CHECK(strstr(written, "without stops") == NULL);
    made_rows[0].series[1].watched_stops = true;
    write_report_table();
    CHECK(strstr(written,
                 "\n  redis without stops of the machine: p50 19.2 us, p99 90.1 us, p99.9 300.0 us, p99.99 400.0 us, "
                 "max 1000.0 us, 1.25% left out (71 stops of 98.4 ms in all, the longest 4.38 ms)\n") != NULL);
    CHECK(strstr(written, "txkv without stops") == NULL);
    made_rows[0].series[1].values[METRIC_LEFT_OUT][0] = 0.2; /* of one repetition: the one with stops takes its place */
    made_rows[0].series[1].values[METRIC_CLEAR_MAX_NS][0] = 0;
    write_report_table();
    CHECK(strstr(written, "max 1000.0 us, 1.25% left out") != NULL);
    for (size_t i = 0; i < MADE_REPEAT; i++) {
        made_rows[0].series[1].values[METRIC_LEFT_OUT][i] = 0.2;
    }
    write_report_table();
    CHECK(strstr(written, "redis cannot be told without stops of the machine: 20.00% left out (71 stops") != NULL);
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

int main(void)
{
    static void (*const tests[])(void) = {
        test_table_has_all_percentiles,
        test_table_tells_the_latency_without_stops_where_they_were_watched,
        test_client_bound_is_not_hidden_by_a_server_that_is_not_accounted,
        test_table_says_what_went_wrong,
    };
    return check_run(tests, sizeof tests / sizeof *tests);
}
