/* Self-tests: which samples of an open loop the machine's stops have delayed, and how stops are found. */
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "load.h"
#include "stops.h"
#include "test_check.h"
#include "test_stub.h"
#include "undisturbed.h"

#define MS NS_PER_MS

/* Samples: one every 100 us that took 50 us, with one request waiting behind each. */

static struct undisturbed u;

static void start(void)
{
    CHECK(undisturbed_init(&u) == 0);
}

static void steady(uint64_t from_ns, uint64_t to_ns)
{
    for (uint64_t at = from_ns; at < to_ns; at += MS / 10) {
        undisturbed_add(&u, at, 50000, 1);
        undisturbed_count(&u, at, 1);
    }
}

static void test_without_stops_every_sample_is_kept(void)
{
    start();
    steady(MS, 11 * MS);
    CHECK(u.latency.count == 0); /* it is not known yet */
    undisturbed_judge(&u, 6 * MS);
    CHECK(u.latency.count == 50);
    undisturbed_judge(&u, UINT64_MAX);
    CHECK(u.latency.count == 100 && u.delayed == 0 && u.stops == 0);
    undisturbed_deinit(&u);
}

/* The stop is told late, and ends before the backlog does. */
static void test_what_a_stop_delays_is_left_out_and_no_more(void)
{
    start();
    steady(MS, 101 * MS);
    uint64_t at = 104 * MS;
    for (uint64_t waiting = 30; waiting > 0; waiting--, at += MS / 100) {
        undisturbed_count(&u, at, waiting + 1);
        undisturbed_add(&u, at, 3 * MS, 1);
    }
    undisturbed_count(&u, at, 1);
    steady(105 * MS, 106 * MS);
    undisturbed_stop(&u, (struct stop){101 * MS, 104 * MS});
    undisturbed_judge(&u, UINT64_MAX);
    CHECK(u.delayed == 30 && u.latency.count == 1010 && u.latency.max == 50000);
    CHECK(u.stops == 1 && u.longest_ns == 3 * MS && u.stopped_ns == 3 * MS);
    undisturbed_deinit(&u);
}

/* A server that stands still by itself is not excused by a stop long before. */
static void test_a_stall_of_the_server_stays(void)
{
    start();
    steady(MS, 101 * MS);
    undisturbed_stop(&u, (struct stop){50 * MS, 51 * MS});
    undisturbed_count(&u, 105 * MS, 40);
    undisturbed_add(&u, 105 * MS, 4 * MS, 40);
    undisturbed_judge(&u, UINT64_MAX);
    CHECK(u.latency.max == 4 * MS && u.latency.count + u.delayed == 1040);
    CHECK(u.delayed >= 10 && u.delayed <= 12);
    undisturbed_deinit(&u);
}

/* Nor by one in its midst. */
static void test_a_stall_with_a_stop_in_it_stays(void)
{
    start();
    steady(MS, 101 * MS);
    undisturbed_stop(&u, (struct stop){103 * MS, 104 * MS});
    undisturbed_count(&u, 111 * MS, 40);
    undisturbed_add(&u, 111 * MS, 10 * MS, 40);
    undisturbed_judge(&u, UINT64_MAX);
    CHECK(u.latency.max == 9 * MS && u.latency.count == 1040 && u.delayed == 0);
    undisturbed_deinit(&u);
}

static void test_stops_that_overlap_count_as_one_delay(void)
{
    start();
    steady(MS, 101 * MS);
    undisturbed_stop(&u,
                     (struct stop){60 * MS, 61 * MS}); /* by one, and by the other, who began before and told later */
    undisturbed_stop(&u, (struct stop){59 * MS, 65 * MS});
    undisturbed_judge(&u, UINT64_MAX);
    CHECK(u.stops == 2 && u.longest_ns == 6 * MS && u.stopped_ns == 6 * MS && u.delayed >= 60 && u.delayed <= 62);
    undisturbed_deinit(&u);
}

/* Who stays behind for good has delayed all that follows: the share says so. */
static void test_a_backlog_that_never_ends_is_all_delayed(void)
{
    start();
    steady(MS, 101 * MS);
    undisturbed_stop(&u, (struct stop){101 * MS, 102 * MS});
    for (uint64_t at = 102 * MS; at < 202 * MS; at += MS / 10) {
        undisturbed_count(&u, at, 20);
        undisturbed_add(&u, at, MS, 1);
    }
    undisturbed_judge(&u, UINT64_MAX);
    CHECK(u.delayed == 1000 && u.latency.count == 1000);
    undisturbed_deinit(&u);
}

static void test_more_than_can_be_held_loses_none(void)
{
    start();
    for (uint64_t i = 0; i < UNDISTURBED_HELD_MAX + 1000; i++) {
        undisturbed_add(&u, MS + i, 50000, 2);
    }
    for (unsigned i = 0; i < 2 * UNDISTURBED_STOPS_MAX; i++) {
        undisturbed_stop(&u, (struct stop){10 * MS + i, 10 * MS + i + 1});
    }
    undisturbed_judge(&u, UINT64_MAX);
    CHECK(u.latency.count == 2 * (UNDISTURBED_HELD_MAX + 1000) && u.stops == 2 * UNDISTURBED_STOPS_MAX);
    undisturbed_deinit(&u);
}

/* Two looks, so far apart that the second is late where nothing else is said. */
static void test_what_is_a_stop(void)
{
    static const struct {
        uint64_t passed_ns;
        uint64_t ran_ns;
        uint64_t waited_ns;
        uint64_t others_ns;
        bool expected[3]; /* by place */
    } cases[] = {
        {STOPS_PERIOD_NS + 10000, 0, 0, 0, {false, false, false}},
        {STOPS_PERIOD_NS + 10000, 100000, STOPS_MIN_NS, 0, {true, true, true}},    /* others had its core */
        {STOPS_PERIOD_NS + 10000, 100000, STOPS_MIN_NS, 1, {false, false, false}}, /* its own threads, too */
        {5 * MS, 5 * MS - 100000, 0, 0, {false, false, true}}, /* it ran, and nobody could go before it */
        {5 * MS, 0, 0, 0, {false, true, true}},                /* nobody ran */
        {5 * MS, 0, STOPS_MIN_NS - 1, 0, {false, true, true}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct stops_account before = {100 * MS, 40 * MS, 3 * MS, MS};
        const struct stops_account now = {before.at_ns + cases[i].passed_ns, before.ran_ns + cases[i].ran_ns,
                                          before.waited_ns + cases[i].waited_ns, before.others_ns + cases[i].others_ns};
        for (unsigned place = STOPS_ELSEWHERE; place <= STOPS_FIRST; place++) {
            struct stop stop = {0};
            CHECK(stops_between(&before, &now, (enum stops_place)place, &stop) == cases[i].expected[place]);
            CHECK(stop.from_ns <= before.at_ns && stop.to_ns == now.at_ns);
        }
    }
}

/* A thread of its own had its core for 3 ms, which the kernel accounts to it at each look, and to the one that waited at the
 * end. */
static void test_a_wait_for_a_thread_of_its_own_is_no_stop(void)
{
    struct stops_account before = {100 * MS, 40 * MS, 3 * MS, MS};
    struct stop stop;
    for (unsigned look = 0; look < 6; look++) {
        struct stops_account now = before;
        now.at_ns += STOPS_PERIOD_NS;
        now.others_ns = MS + (look + 1) * STOPS_PERIOD_NS;
        now.waited_ns += look == 5 ? 3 * MS : 0;
        CHECK(!stops_between(&before, &now, STOPS_FIRST, &stop));
        before = stops_next(&before, &now);
    }
    struct stops_account now = before;
    now.at_ns += STOPS_PERIOD_NS;
    now.waited_ns += MS;
    CHECK(stops_between(&before, &now, STOPS_FIRST, &stop)); /* nobody of its own ran since */
}

/* Nothing is judged that one of the two has not looked at yet, and what both have found counts. */
static void test_samples_wait_for_both_to_look(void)
{
    static struct stops s;
    CHECK(undisturbed_init(&s.undisturbed) == 0);
    for (uint64_t at = 10 * MS; at <= 30 * MS; at += 10 * MS) {
        undisturbed_add(&s.undisturbed, at, 50000, 1);
    }
    s.watchers[STOPS_SERVER].seen_ns = 5 * MS;
    s.watchers[STOPS_GENERATOR].seen_ns = 15 * MS;
    stops_judge(&s, 40 * MS);
    CHECK(s.undisturbed.latency.count == 0);
    s.watchers[STOPS_SERVER].seen_ns = 25 * MS;
    stops_judge(&s, 41 * MS);
    CHECK(s.undisturbed.latency.count == 1);
    s.watchers[STOPS_GENERATOR].found[0] = (struct stop){19 * MS, 21 * MS};
    s.watchers[STOPS_GENERATOR].found_n = 1;
    s.watchers[STOPS_GENERATOR].seen_ns = 25 * MS;
    stops_judge(&s, 42 * MS);
    CHECK(s.undisturbed.latency.count == 1 && s.undisturbed.delayed == 1 && s.undisturbed.stops == 1);
    undisturbed_deinit(&s.undisturbed);
}

/* The load generator at work */

static struct load_result result;

static struct load_plan plan_for(const struct stub *s)
{
    return (struct load_plan){
        .host = "127.0.0.1",
        .port = s->port,
        .server_pid = s->pid,
        .mix = {[WIRE_GET] = 0.5, [WIRE_SET] = 0.5},
        .keys = STUB_KEYS,
        .value_sizes = sizes_fixed(32),
        .key_size_min = WIRE_KEY_SIZE,
        .key_size_max = WIRE_KEY_SIZE,
        .conns = 3,
        .pipeline = 1,
        .rate = 2000,
        .arrivals = PACE_FIXED,
        .requests = 1000,
        .watch_stops = true,
    };
}

/* A server that sleeps is a slow server, whatever the machine does beside. */
static void test_a_server_that_stands_still_is_not_excused(void)
{
    struct stub stub = stub_start(&(struct stub_plan){.stall_at = 200, .stall_ms = 100});
    struct load_plan plan = plan_for(&stub);
    CHECK(load_run(&plan, &result) == 0);
    CHECK(result.latency.count == 1000 && result.latency.max >= 99 * MS && result.watched_stops);
    CHECK(result.undisturbed.max + result.stopped_ns >= result.latency.max);
    stub_stop(&stub);
}

/* The stub stops the process that started it, which is a child, on a core of its own. The stub is so slow that its
 * backlog stays for a while. */
static void stop_myself(void)
{
    cpu_set_t all;
    cpu_set_t one;
    CPU_ZERO(&one);
    size_t core = 0;
    CHECK(sched_getaffinity(0, sizeof all, &all) == 0);
    while (!CPU_ISSET(core, &all)) {
        core++;
    }
    CPU_SET(core, &one);
    struct stub stub =
        stub_start(&(struct stub_plan){.stall_at = 200, .stall_ms = 100, .stall_client = true, .delay_us = 100});
    CHECK(sched_setaffinity(0, sizeof one, &one) == 0);
    struct load_plan plan = plan_for(&stub);
    CHECK(load_run(&plan, &result) == 0);
    CHECK(result.latency.count == 1000 && hist_quantile(&result.latency, 0.9) >= 40 * MS);
    CHECK(result.stops > 0 && result.stop_max_ns >= 90 * MS);
    CHECK(result.undisturbed.count > 0 && hist_quantile(&result.undisturbed, 0.9) < 40 * MS);
    stub_stop(&stub);
}

static void test_a_client_that_stands_still_is(void)
{
    int status = -1;
    fflush(stdout);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        failures = 0;
        stop_myself();
        fflush(stdout);
        _exit(failures == 0 ? 0 : 1);
    }
    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void test_a_process_that_is_not_there(void)
{
    struct stub stub = stub_start(&(struct stub_plan){0});
    struct load_plan plan = plan_for(&stub);
    pid_t gone = fork();
    if (gone == 0) {
        _exit(0);
    }
    CHECK(waitpid(gone, NULL, 0) == gone);
    plan.server_pid = gone;
    CHECK(load_run(&plan, &result) == -1 && strstr(result.why, "cannot watch process") != NULL);
    stub_stop(&stub);
}

int main(void)
{
    static void (*const tests[])(void) = {
        test_without_stops_every_sample_is_kept,
        test_what_a_stop_delays_is_left_out_and_no_more,
        test_a_stall_of_the_server_stays,
        test_a_stall_with_a_stop_in_it_stays,
        test_stops_that_overlap_count_as_one_delay,
        test_a_backlog_that_never_ends_is_all_delayed,
        test_more_than_can_be_held_loses_none,
        test_what_is_a_stop,
        test_a_wait_for_a_thread_of_its_own_is_no_stop,
        test_samples_wait_for_both_to_look,
        test_a_server_that_stands_still_is_not_excused,
        test_a_client_that_stands_still_is,
        test_a_process_that_is_not_there,
    };
    return check_run(tests, sizeof tests / sizeof *tests);
}
