/* Self-tests of what becomes of measurements: histograms, statistics, timelines. */
#include <math.h>

#include "clock.h"
#include "hist.h"
#include "stats.h"
#include "test_check.h"
#include "timeline.h"

/* hist */

static struct hist hist;

static void test_hist_is_precise_from_100_ns_to_100_s(void)
{
    for (double exact = 100; exact <= 100e9; exact *= 1.0007) {
        uint64_t ns = (uint64_t)exact;
        hist_init(&hist);
        hist_add(&hist, ns, 3);
        hist_add(&hist, UINT64_C(200000000000), 1); /* else the answer is max, which is exact */
        hist_add(&hist, 0, 1);                      /* alike for min */
        uint64_t found = hist_quantile(&hist, 0.5);
        if (!near((double)found, (double)ns, 0.01 * (double)ns)) {
            printf("%llu ns became %llu ns\n", (unsigned long long)ns, (unsigned long long)found);
            failures++;
            return;
        }
    }
}

static void test_hist_buckets_rise_without_gaps(void)
{
    unsigned last = 0;
    for (double exact = 1; exact < 300e9; exact *= 1.001) {
        unsigned bucket = hist_bucket((uint64_t)exact);
        CHECK(bucket == last || bucket == last + 1);
        last = bucket;
    }
    CHECK(last == HIST_BUCKETS - 1);
    CHECK(hist_bucket(UINT64_MAX) == HIST_BUCKETS - 1);
}

static void test_hist_quantiles(void)
{
    hist_init(&hist);
    CHECK(hist_quantile(&hist, 0.5) == 0 && hist_mean(&hist) == 0);
    for (uint64_t us = 1; us <= 1000; us++) {
        hist_add(&hist, us * 1000, 1);
    }
    CHECK(near((double)hist_quantile(&hist, 0.5), 500e3, 5e3));
    CHECK(near((double)hist_quantile(&hist, 0.99), 990e3, 9.9e3));
    CHECK(hist_quantile(&hist, 0) == 1000);
    CHECK(hist_quantile(&hist, 1) == 1000000);
    CHECK(hist_mean(&hist) == 500500);
}

static void test_hist_merge_is_adding_everything(void)
{
    static struct hist other;
    hist_init(&hist);
    hist_init(&other);
    hist_add(&hist, 5000, 10);
    hist_add(&other, 70, 2);
    hist_add(&other, 1 << 20, 3);
    hist_merge(&hist, &other);
    CHECK(hist.count == 15 && hist.min == 70 && hist.max == 1 << 20);
    CHECK(hist.sum == 50000 + 140 + 3 * (1 << 20));
}

/* stats */

static void test_spread(void)
{
    struct stats_spread one = stats_spread((double[]){7}, 1);
    CHECK(one.median == 7 && one.q1 == 7 && one.q3 == 7);
    struct stats_spread five = stats_spread((double[]){5, 1, 4, 2, 3}, 5);
    CHECK(five.median == 3 && five.q1 == 2 && five.q3 == 4);
    CHECK(stats_spread((double[]){1, 2, 3, 4}, 4).median == 2.5);
}

static void test_interval_covers_what_the_binomial_says(void)
{
    double samples[20];
    for (int i = 0; i < 20; i++) {
        samples[i] = i + 1;
    }
    struct stats_interval five = stats_interval(samples, 5);
    CHECK(five.median == 3 && five.low == 1 && five.high == 5 && near(five.coverage, 0.9375, 1e-9));
    struct stats_interval nine = stats_interval(samples, 9);
    CHECK(nine.low == 2 && nine.high == 8 && near(nine.coverage, 0.9609, 1e-4));
    struct stats_interval twenty = stats_interval(samples, 20);
    CHECK(twenty.low == 6 && twenty.high == 15 && near(twenty.coverage, 0.9586, 1e-4));
    CHECK(stats_interval(samples, 1).coverage == 0);
}

/* timeline */

static struct timeline timeline;

static void test_timeline_slots(void)
{
    timeline_begin(&timeline, 1000, 300 * NS_PER_MS);
    timeline_add(&timeline, 1000, 5000, 1);
    timeline_add(&timeline, 1000 + 100 * NS_PER_MS - 1, 7000, 98);
    timeline_add(&timeline, 1000 + 100 * NS_PER_MS, 9000, 10); /* the first moment of the next slot */
    timeline_end(&timeline, 1000 + 200 * NS_PER_MS);
    CHECK(timeline.n == 2 && timeline.slot_ns == 100 * NS_PER_MS);
    CHECK(timeline.slots[0].replies == 99 && timeline.slots[0].max_ns == 7000);
    CHECK(fabs((double)timeline.slots[0].p50_ns - 7000) < 70);
    CHECK(timeline.slots[1].replies == 10 && timeline.slots[1].max_ns == 9000 && timeline.slots[1].p99_ns == 9000);
}

static void test_timeline_silence_is_empty_slots(void)
{
    timeline_begin(&timeline, 0, 0);
    timeline_add(&timeline, 0, 10, 1);
    timeline_add(&timeline, 450 * NS_PER_MS, 400 * NS_PER_MS, 1);
    timeline_end(&timeline, 500 * NS_PER_MS);
    CHECK(timeline.n == 5);
    for (size_t i = 1; i < 4; i++) {
        CHECK(timeline.slots[i].replies == 0 && timeline.slots[i].p99_ns == 0 && timeline.slots[i].max_ns == 0);
    }
    CHECK(timeline.slots[4].replies == 1 && timeline.slots[4].max_ns == 400 * NS_PER_MS);
}

static void test_timeline_joins_a_stub_and_keeps_a_part(void)
{
    timeline_begin(&timeline, 0, 0);
    timeline_add(&timeline, 10 * NS_PER_MS, 100, 5);
    timeline_add(&timeline, 101 * NS_PER_MS, 300, 5);
    timeline_end(&timeline, 102 * NS_PER_MS);
    CHECK(timeline.n == 1 && timeline.slots[0].replies == 10 && timeline.slots[0].max_ns == 300);
    CHECK(timeline.slots[0].p50_ns == 200);
    timeline_begin(&timeline, 0, 0);
    timeline_add(&timeline, 10 * NS_PER_MS, 100, 5);
    timeline_add(&timeline, 101 * NS_PER_MS, 300, 5);
    timeline_end(&timeline, 150 * NS_PER_MS);
    CHECK(timeline.n == 2 && timeline.slots[1].replies == 5);
}

static void test_timeline_fits_a_duration_and_doubles_without_one(void)
{
    timeline_begin(&timeline, 0, 601 * 100 * NS_PER_MS);
    CHECK(timeline.slot_ns == 200 * NS_PER_MS);
    timeline_begin(&timeline, 0, 0);
    for (uint64_t i = 0; i < 5000; i++) {
        timeline_add(&timeline, i * 100 * NS_PER_MS, 1000 + i, 2);
    }
    timeline_end(&timeline, 5000 * 100 * NS_PER_MS);
    uint64_t replies = 0;
    for (size_t i = 0; i < timeline.n; i++) {
        replies += timeline.slots[i].replies;
        CHECK(timeline.slots[i].max_ns >= timeline.slots[i].p99_ns);
    }
    CHECK(timeline.slot_ns == 1600 * NS_PER_MS && timeline.n == 313 && replies == 10000);
    CHECK(timeline.slots[timeline.n - 1].max_ns == 5999);
}

int main(void)
{
    static void (*const tests[])(void) = {
        test_hist_is_precise_from_100_ns_to_100_s,
        test_hist_buckets_rise_without_gaps,
        test_hist_quantiles,
        test_hist_merge_is_adding_everything,
        test_spread,
        test_interval_covers_what_the_binomial_says,
        test_timeline_slots,
        test_timeline_silence_is_empty_slots,
        test_timeline_joins_a_stub_and_keeps_a_part,
        test_timeline_fits_a_duration_and_doubles_without_one,
    };
    return check_run(tests, sizeof tests / sizeof *tests);
}
