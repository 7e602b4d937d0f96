/* Self-tests of what is chosen for each request: its key, the sizes, the moment, the value. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "keys.h"
#include "pace.h"
#include "sizes.h"
#include "test_check.h"
#include "values.h"

/* keys */

static void test_keys_stay_in_range_and_repeat_by_seed(void)
{
    static struct keys a;
    static struct keys b;
    unsigned seen[10] = {0};
    keys_init(&a, &(struct keys_choice){.dist = KEYS_UNIFORM}, 10, 42);
    b = a;
    for (int i = 0; i < 10000; i++) {
        uint64_t n = keys_next(&a, false);
        CHECK(n < 10 && n == keys_next(&b, false));
        seen[n < 10 ? n : 0]++;
    }
    for (int i = 0; i < 10; i++) {
        CHECK(seen[i] > 800 && seen[i] < 1200);
    }
    keys_init(&a, &(struct keys_choice){.dist = KEYS_SEQUENTIAL}, 3, 42);
    for (uint64_t i = 0; i < 7; i++) {
        CHECK(keys_next(&a, true) == i % 3);
    }
}

static void count_keys(const char *dist, uint64_t keys, unsigned draws, unsigned *seen)
{
    static struct keys k;
    struct keys_choice choice;
    CHECK(keys_parse(&choice, dist) == 0);
    keys_init(&k, &choice, keys, 7);
    memset(seen, 0, keys * sizeof *seen);
    for (unsigned i = 0; i < draws; i++) {
        uint64_t key = keys_next(&k, false);
        CHECK(key < keys);
        seen[key < keys ? key : 0]++;
    }
}

static int by_count(const void *a, const void *b)
{
    unsigned x = *(const unsigned *)a;
    unsigned y = *(const unsigned *)b;
    return (x < y) - (x > y);
}

#define MANY_KEYS 1000
#define MANY_DRAWS 400000

static void test_zipf_gives_each_rank_its_share(void)
{
    static const struct {
        const char *dist;
        double share[3]; /* of ranks 0 to 0, 1 to 9, 10 to 99: sums of r^-theta, by hand */
    } cases[] = {{"zipf:0.99", {0.1293, 0.2531, 0.3026}}, {"zipf:0.5", {0.0162, 0.0650, 0.2199}}};
    static unsigned seen[MANY_KEYS];
    for (size_t i = 0; i < 2; i++) {
        double sums[3] = {0};
        count_keys(cases[i].dist, MANY_KEYS, MANY_DRAWS, seen);
        qsort(seen, MANY_KEYS, sizeof *seen, by_count);
        for (unsigned rank = 0; rank < 100; rank++) {
            sums[rank < 1 ? 0 : rank < 10 ? 1 : 2] += (double)seen[rank] / MANY_DRAWS;
        }
        for (size_t n = 0; n < 3; n++) {
            if (!near(sums[n], cases[i].share[n], 0.02)) {
                printf("%s: part %zu has the share %g, not %g\n", cases[i].dist, n, sums[n], cases[i].share[n]);
                failures++;
            }
        }
    }
}

static void test_zipf_of_very_many_keys_begins_at_once_and_stays_in_range(void)
{
    static struct keys k;
    unsigned hottest = 0;
    keys_init(&k, &(struct keys_choice){.dist = KEYS_ZIPF, .theta = 0.99}, KEYS_MAX, 7);
    for (unsigned i = 0; i < 100000; i++) {
        uint64_t key = keys_next(&k, false);
        CHECK(key < KEYS_MAX);
        hottest += key == keys_scatter(&k, 0);
    }
    CHECK(near(hottest / 100000.0, 0.0395, 0.004)); /* 1 / zeta(4e9, 0.99) */
    keys_init(&k, &(struct keys_choice){.dist = KEYS_ZIPF, .theta = 0.99}, 1, 7);
    CHECK(keys_next(&k, false) == 0);
}

static void test_scattering_is_a_bijection_and_scatters(void)
{
    static const uint64_t counts[] = {1, 2, 3, 1000, 1024, 1025};
    static bool hit[1025];
    static struct keys k;
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        unsigned neighbours = 0;
        memset(hit, 0, sizeof hit);
        keys_init(&k, &(struct keys_choice){.dist = KEYS_UNIFORM}, counts[i], 7);
        for (uint64_t r = 0; r < counts[i]; r++) {
            uint64_t key = keys_scatter(&k, r);
            CHECK(key < counts[i] && !hit[key]);
            hit[key] = true;
            neighbours += r > 0 && near((double)key, (double)keys_scatter(&k, r - 1), 2);
        }
        CHECK(counts[i] < 1000 || neighbours < counts[i] / 50);
    }
}

static void test_latest_follows_what_was_set(void)
{
    static struct keys k;
    unsigned close = 0;
    keys_init(&k, &(struct keys_choice){.dist = KEYS_LATEST, .theta = 0.99}, MANY_KEYS, 7);
    for (uint64_t i = 0; i < 2 * MANY_KEYS + 5; i++) {
        CHECK(keys_next(&k, true) == i % MANY_KEYS);
    }
    for (unsigned i = 0; i < 10000; i++) {
        uint64_t behind = (4 + MANY_KEYS - keys_next(&k, false)) % MANY_KEYS; /* key 4 is the last one set */
        close += behind < 10;
    }
    CHECK(near(close / 10000.0, 0.38, 0.02));
}

static void test_a_hot_set_gets_its_share(void)
{
    static unsigned seen[MANY_KEYS];
    unsigned hot = 0;
    count_keys("hotset:0.1:0.9", MANY_KEYS, MANY_DRAWS, seen);
    qsort(seen, MANY_KEYS, sizeof *seen, by_count);
    for (unsigned i = 0; i < MANY_KEYS / 10; i++) {
        hot += seen[i];
    }
    CHECK(near((double)hot / MANY_DRAWS, 0.9, 0.005));
    CHECK(seen[MANY_KEYS - 1] > 0);
}

static void test_distributions_repeat_by_seed(void)
{
    static const char *const dists[] = {"uniform", "zipf:0.7", "latest", "hotset:0.2:0.5"};
    static struct keys a;
    static struct keys b;
    for (size_t i = 0; i < sizeof dists / sizeof *dists; i++) {
        struct keys_choice choice;
        unsigned same = 0;
        CHECK(keys_parse(&choice, dists[i]) == 0);
        keys_init(&a, &choice, 100000, 1);
        keys_init(&b, &choice, 100000, 1);
        for (int n = 0; n < 100; n++) {
            CHECK(keys_next(&a, n % 2 == 0) == keys_next(&b, n % 2 == 0));
        }
        keys_init(&b, &choice, 100000, 2);
        for (int n = 0; n < 100; n++) {
            same += keys_next(&a, false) == keys_next(&b, false);
        }
        CHECK(same < 50);
    }
}

/* sizes */

static void test_sizes(void)
{
    struct sizes s;
    CHECK(sizes_parse(&s, "10", 0, 1000) == 0 && sizes_at(&s, 0) == 10 && sizes_at(&s, 0.999) == 10);
    CHECK(sizes_parse(&s, "10-13", 0, 1000) == 0 && sizes_min(&s) == 10 && sizes_max(&s) == 13);
    CHECK(sizes_at(&s, 0) == 10 && sizes_at(&s, 0.26) == 11 && sizes_at(&s, 0.74) == 12 && sizes_at(&s, 0.9999) == 13);
    CHECK(sizes_parse(&s, "10:0.5,100-201:0.25,1k:0.25", 0, 1000) == 0 && sizes_max(&s) == 1000);
    CHECK(sizes_at(&s, 0.49) == 10 && sizes_at(&s, 0.5) == 100 && sizes_at(&s, 0.7499) == 201);
    CHECK(sizes_at(&s, 0.76) == 1000 && sizes_mean(&s) == 293); /* 5 + 37.6 + 250 */
}

static void test_wrong_sizes(void)
{
    static const char *const wrong[] = {
        "",       "x",           "1001",    "-1",      "5-",      "9-5",           "1,2",    "1:0.5",
        "1:0.5,", "1:0.5,2:0.6", "1:0,2:1", "1:x,2:1", "1:nan,2", "1:0.5,2-1:0.5", "1:0.5,2"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct sizes s;
        if (sizes_parse(&s, wrong[i], 0, 1000) == 0) {
            printf("size '%s' was taken\n", wrong[i]);
            failures++;
        }
    }
}

/* pace */

static void test_fixed_arrivals_are_evenly_spaced(void)
{
    struct pace p;
    pace_start(&p, PACE_FIXED, 1000, 5000, 1);
    for (uint64_t i = 0; i < 10000; i++) {
        CHECK(pace_next(&p) == 5000 + i * 1000000 && pace_take(&p) == 5000 + i * 1000000);
    }
    CHECK(pace_backlog(&p, pace_next(&p) + 3500000) == 3.5 && pace_backlog(&p, 0) == 0);
}

static void test_poisson_arrivals(void)
{
    struct pace p;
    uint64_t last = 0;
    unsigned longer = 0;
    pace_start(&p, PACE_POISSON, 1e6, 0, 1);
    for (unsigned i = 0; i < 100000; i++) {
        uint64_t due = pace_take(&p);
        CHECK(due >= last);
        longer += due - last > 1000;
        last = due;
    }
    CHECK(near((double)last / 100000, 1000, 15)); /* ns between them */
    CHECK(near(longer / 100000.0, 0.3679, 0.01)); /* 1/e of them above the mean */
}

/* values */

static bool is_value(uint64_t key, uint16_t run, const char *bytes, size_t size, size_t split)
{
    struct values_check v;
    values_check_start(&v, key, run);
    values_check_feed(&v, bytes, split);
    values_check_feed(&v, bytes + split, size - split);
    return values_check_end(&v);
}

static void test_values_are_known_again_at_every_split(void)
{
    static const size_t sizes[] = {VALUES_MIN, VALUES_MIN + 1, 100};
    char value[101];
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        values_write(value, sizes[i], 123456, 7, 200);
        for (size_t split = 0; split <= sizes[i]; split++) {
            CHECK(is_value(123456, 7, value, sizes[i], split));
        }
    }
}

static void test_a_large_value_wraps_around_the_table(void)
{
    size_t size = 300001;
    char *value = malloc(size);
    assert(value != NULL);
    values_write(value, size, 5, 1, 1);
    CHECK(is_value(5, 1, value, size, 70000));
    value[200000] ^= 1;
    CHECK(!is_value(5, 1, value, size, 70000));
    free(value);
}

static void test_spoilt_values_are_told(void)
{
    char value[102];
    char other[101];
    values_write(value, 100, 42, 7, 9);
    value[100] = '.';
    CHECK(!is_value(43, 7, value, 100, 50) && !is_value(42, 8, value, 100, 50));
    CHECK(!is_value(42, 7, value, 101, 50) && !is_value(42, 7, value, 99, 50) && !is_value(42, 7, value, 0, 0));
    for (size_t i = 0; i < 100; i++) {
        memcpy(other, value, 100);
        other[i] ^= 1;
        CHECK(!is_value(42, 7, other, 100, i));
        memcpy(other, value, i);
        memcpy(other + i, value + i + 1, 99 - i); /* one byte lost */
        CHECK(!is_value(42, 7, other, 99, i));
    }
}

int main(void)
{
    static void (*const tests[])(void) = {
        test_keys_stay_in_range_and_repeat_by_seed,
        test_zipf_gives_each_rank_its_share,
        test_zipf_of_very_many_keys_begins_at_once_and_stays_in_range,
        test_scattering_is_a_bijection_and_scatters,
        test_latest_follows_what_was_set,
        test_a_hot_set_gets_its_share,
        test_distributions_repeat_by_seed,
        test_sizes,
        test_wrong_sizes,
        test_fixed_arrivals_are_evenly_spaced,
        test_poisson_arrivals,
        test_values_are_known_again_at_every_split,
        test_a_large_value_wraps_around_the_table,
        test_spoilt_values_are_told,
    };
    return check_run(tests, sizeof tests / sizeof *tests);
}
