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
#define STALL_MS 1000

/* Samples: one every 100 us that took 50 us, with one request waiting behind each. */

static struct undisturbed u;

static void start(void)
{
    CHECK(undisturbed_init(&u) == 0);
}

static void tell_stop(uint64_t from_ns, uint64_t to_ns)
{
    undisturbed_stop(&u, (struct stop){from_ns, to_ns, to_ns - from_ns});
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
    CHECK(u.latency.count == 100 && u.left_out == 0 && u.stops == 0);
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
    tell_stop(101 * MS, 104 * MS);
    undisturbed_judge(&u, UINT64_MAX);
    CHECK(u.left_out == 30 && u.latency.count == 1010 && u.latency.max == 50000);
    CHECK(u.stops == 1 && u.longest_ns == 3 * MS && u.stopped_ns == 3 * MS);
    undisturbed_deinit(&u);
}

/* Not even soon after the start, when little is known of how many usually wait. */
static void test_a_backlog_is_not_taken_for_what_usually_waits(void)
{
    start();
    steady(MS, 3 * MS);
    uint64_t at = 103 * MS;
    for (unsigned i = 0; i < 1600; i++, at += MS / 4) { /* of requests that were due behind the stop */
        undisturbed_count(&u, at, i % 2 == 0 ? 3 : 4);
        undisturbed_add(&u, at, MS / 5, 1);
    }
    undisturbed_count(&u, at, 1);
    steady(at + MS, at + 2 * MS);
    tell_stop(3 * MS, 103 * MS);
    undisturbed_judge(&u, UINT64_MAX);
    CHECK(u.left_out >= 1599 && u.left_out <= 1600 && u.latency.count + u.left_out == 1630);
    undisturbed_deinit(&u);
}

/* One that was sent to a connection on which much waits, say; and there was a small stop when the others had been answered. */
static void test_one_that_was_due_in_a_stop_is_delayed_whoever_waits_besides(void)
{
    for (unsigned again = 0; again < 2; again++) {
        start();
        steady(MS, 101 * MS);
        tell_stop(101 * MS, 105 * MS);
        if (again) {
            tell_stop(107 * MS, 107 * MS + MS / 2);
        }
        undisturbed_count(&u, 106 * MS, 1);
        undisturbed_add(&u, 108 * MS, 7 * MS, 1);
        undisturbed_judge(&u, UINT64_MAX);
        CHECK(u.latency.count == 1001 && u.latency.max == (again ? 2500000 : 3 * MS));
        undisturbed_deinit(&u);
    }
}

/* A server that stands still by itself is not excused by a stop long before. */
static void test_a_stall_of_the_server_stays(void)
{
    start();
    steady(MS, 101 * MS);
    tell_stop(50 * MS, 51 * MS);
    undisturbed_count(&u, 105 * MS, 40);
    undisturbed_add(&u, 105 * MS, 4 * MS, 40);
    undisturbed_judge(&u, UINT64_MAX);
    CHECK(u.latency.max == 4 * MS && u.latency.count + u.left_out == 1040);
    CHECK(u.left_out >= 10 && u.left_out <= 12);
    undisturbed_deinit(&u);
}

/* Nor by one in its midst. */
static void test_a_stall_with_a_stop_in_it_stays(void)
{
    start();
    steady(MS, 101 * MS);
    tell_stop(103 * MS, 104 * MS);
    undisturbed_count(&u, 111 * MS, 40);
    undisturbed_add(&u, 111 * MS, 10 * MS, 40);
    undisturbed_judge(&u, UINT64_MAX);
    CHECK(u.latency.max == 9 * MS && u.latency.count == 1040 && u.left_out == 0);
    undisturbed_deinit(&u);
}

/* Of a stop that goes on, or is shorter than the time in which it may have been. */
static void test_a_stop_excuses_only_what_of_it_was_over(void)
{
    start();
    steady(MS, 101 * MS);
    tell_stop(103 * MS, 107 * MS);
    undisturbed_add(&u, 103 * MS + MS / 10, 3 * MS, 1);
    undisturbed_judge(&u, UINT64_MAX);
    CHECK(u.latency.max == 2900000); /* 0.1 ms of the stop were over */
    undisturbed_count(&u, 108 * MS, 1);
    undisturbed_stop(&u, (struct stop){110 * MS, 120 * MS, MS});
    undisturbed_add(&u, 119 * MS, 8 * MS, 1);
    undisturbed_judge(&u, UINT64_MAX);
    CHECK(u.latency.max == 7 * MS);
    undisturbed_deinit(&u);
}

/* 50 requests wait all the time: that is no backlog. */
static void test_a_busy_start_finds_its_usual_soon(void)
{
    start();
    for (uint64_t i = 0; i < 2000; i++) {
        undisturbed_add(&u, MS + i * MS / 20, 50000, 1);
        undisturbed_count(&u, MS + i * MS / 20, 50 + i % 2);
    }
    tell_stop(101 * MS, 103 * MS);
    undisturbed_count(&u, 103 * MS, 250);
    undisturbed_add(&u, 103 * MS, 2 * MS, 200);
    undisturbed_count(&u, 104 * MS, 50);
    undisturbed_add(&u, 105 * MS, 50000, 1);
    undisturbed_judge(&u, UINT64_MAX);
    CHECK(u.left_out == 200 && u.latency.count == 2001);
    undisturbed_deinit(&u);
}

static void test_stops_that_overlap_count_as_one_delay(void)
{
    start();
    steady(MS, 101 * MS);
    undisturbed_stop(
        &u, (struct stop){60 * MS, 61 * MS, 1}); /* by one, and by the other, who began before and told later */
    tell_stop(59 * MS, 65 * MS);
    undisturbed_judge(&u, UINT64_MAX);
    CHECK(u.stops == 2 && u.longest_ns == 6 * MS && u.stopped_ns == 6 * MS && u.left_out >= 60 && u.left_out <= 62);
    undisturbed_deinit(&u);
}

/* The same stop, by a look that was late and by the next one, which learns how long the server waited. */
static void test_a_stop_that_is_told_twice_excuses_once(void)
{
    start();
    steady(MS, 101 * MS);
    undisturbed_stop(&u, (struct stop){102 * MS, 105 * MS + MS / 2, 3500000});
    undisturbed_stop(&u, (struct stop){102 * MS - MS / 10, 106 * MS, 3600000});
    undisturbed_add(&u, 106 * MS, 5 * MS, 1);
    undisturbed_judge(&u, UINT64_MAX);
    CHECK(u.stopped_ns <= 3900000 && u.latency.max >= 1100000);
    undisturbed_deinit(&u);
}

/* A look that was late in the midst of a wait, which is known when it is over; and two cores, one a little after the other. */
static void test_stops_that_overlap_in_part_explain_all_they_cover(void)
{
    start();
    steady(MS, 101 * MS);
    tell_stop(104 * MS, 105 * MS);
    tell_stop(102 * MS, 107 * MS);
    undisturbed_add(&u, 107 * MS, 5 * MS, 1);
    undisturbed_judge(&u, UINT64_MAX);
    CHECK(u.stopped_ns == 5 * MS && u.left_out == 1);
    undisturbed_count(&u, 108 * MS, 1);
    tell_stop(110 * MS, 113 * MS);
    tell_stop(112 * MS, 115 * MS);
    undisturbed_add(&u, 115 * MS, 5 * MS, 1);
    undisturbed_judge(&u, UINT64_MAX);
    CHECK(u.stopped_ns == 10 * MS && u.left_out == 2);
    undisturbed_deinit(&u);
}

/* A warmup's stops are known, as they may delay what follows, but do not count. */
static void test_stops_are_counted_from_when_that_is_asked(void)
{
    start();
    steady(MS, 101 * MS);
    tell_stop(20 * MS, 22 * MS);
    undisturbed_count_stops(&u, 30 * MS);
    tell_stop(25 * MS, 27 * MS);
    tell_stop(50 * MS, 51 * MS);
    undisturbed_judge(&u, UINT64_MAX);
    CHECK(u.stops == 1 && u.longest_ns == MS && u.stopped_ns == MS && u.left_out >= 50);
    undisturbed_deinit(&u);
}

/* Who stays behind for good has delayed all that follows: the share says so. */
static void test_a_backlog_that_never_ends_is_all_delayed(void)
{
    start();
    steady(MS, 101 * MS);
    tell_stop(101 * MS, 102 * MS);
    for (uint64_t at = 102 * MS; at < 202 * MS; at += MS / 10) {
        undisturbed_count(&u, at, 20);
        undisturbed_add(&u, at, MS, 1);
    }
    undisturbed_judge(&u, UINT64_MAX);
    CHECK(u.left_out == 1000 && u.latency.count == 1000);
    undisturbed_deinit(&u);
}

/* But what lasts for long enough is what usually waits now. */
static void test_more_that_wait_for_good_are_the_usual_ones_at_last(void)
{
    start();
    steady(MS, 101 * MS);
    tell_stop(101 * MS, 102 * MS);
    for (uint64_t at = 102 * MS; at < 602 * MS; at += MS / 10) {
        undisturbed_count(&u, at, at / (MS / 10) % 2 == 0 ? 3 : 4);
        undisturbed_add(&u, at, MS / 2, 1);
    }
    undisturbed_judge(&u, UINT64_MAX);
    CHECK(u.latency.max == MS / 2 && u.left_out >= 80 && u.left_out < 1000 && u.latency.count + u.left_out == 6000);
    undisturbed_deinit(&u);
}

/* Nor can small stops keep that from being found, however early the first one is. */
static void test_a_busy_start_with_many_small_stops_finds_its_usual(void)
{
    start();
    tell_stop(MS, 2 * MS);
    for (unsigned i = 0; i < 300; i++) {
        tell_stop((10 * i + 5) * MS, (10 * i + 5) * MS + MS / 2);
    }
    for (unsigned i = 0; i < 60000; i++) {
        undisturbed_add(&u, 2 * MS + i * MS / 20, 50000, 1);
        undisturbed_count(&u, 2 * MS + i * MS / 20, 50 + i % 2);
    }
    undisturbed_judge(&u, UINT64_MAX);
    CHECK(u.latency.count + u.left_out == 60000 && u.left_out < 30000);
    undisturbed_deinit(&u);
}

/* A backlog that has lasted for too long to be that of a small stop; but a large one follows, whose backlog is its own. */
static void test_each_stop_has_a_backlog_of_its_own(void)
{
    start();
    steady(MS, 101 * MS);
    tell_stop(101 * MS, 102 * MS);
    uint64_t at = 102 * MS;
    for (unsigned i = 0; i < 300; i++, at += 4 * MS) {
        undisturbed_count(&u, at, 20);
    }
    tell_stop(at, at + 100 * MS);
    at += 100 * MS;
    for (unsigned i = 0; i < 8000; i++, at += MS / 20) { /* more than the median would need to get there */
        undisturbed_count(&u, at, i % 2 == 0 ? 20 : 21);
        undisturbed_add(&u, at, MS / 10, 1);
    }
    undisturbed_judge(&u, UINT64_MAX);
    CHECK(u.left_out == 8000 && u.latency.count == 1000);
    undisturbed_deinit(&u);
}

/* Stops that follow each other closely have one together. */
static void test_stops_in_a_row_have_one_backlog(void)
{
    start();
    steady(MS, 101 * MS);
    for (unsigned i = 0; i < 10; i++) {
        tell_stop((101 + i) * MS, (102 + i) * MS);
    }
    uint64_t at = 111 * MS;
    for (unsigned i = 0; i < 6000; i++, at += MS / 100) {
        undisturbed_count(&u, at, i % 2 == 0 ? 20 : 21);
        undisturbed_add(&u, at, MS / 10, 1);
    }
    undisturbed_judge(&u, UINT64_MAX);
    CHECK(u.left_out == 6000 && u.latency.count == 1000);
    undisturbed_deinit(&u);
}

/* One that was due at the end of a stop, when its backlog was over soon, and then waited for the server. */
static void test_a_stall_behind_the_backlog_stays(void)
{
    start();
    steady(MS, 101 * MS);
    tell_stop(101 * MS, 105 * MS);
    undisturbed_count(&u, 106 * MS, 1);
    undisturbed_add(&u, 109 * MS, 4 * MS + MS / 100, 1);
    undisturbed_judge(&u, UINT64_MAX);
    CHECK(u.latency.count == 1001 && u.latency.max == 4 * MS);
    undisturbed_deinit(&u);
}

static void test_more_than_can_be_held_loses_none(void)
{
    start();
    for (uint64_t i = 0; i < UNDISTURBED_HELD_MAX + 1000; i++) {
        undisturbed_add(&u, MS + i, 50000, 2);
    }
    for (unsigned i = 0; i < 2 * UNDISTURBED_STOPS_MAX; i++) {
        tell_stop(10 * MS + i, 10 * MS + i + 1);
    }
    undisturbed_judge(&u, UINT64_MAX);
    CHECK(u.latency.count == 2 * (UNDISTURBED_HELD_MAX + 1000) && u.stops == 2 * UNDISTURBED_STOPS_MAX);
    undisturbed_deinit(&u);
}

/* Two looks: how long the stop between them was, by where the looks are from; 0: none. */
static void test_what_is_a_stop_and_how_long_it_was(void)
{
    static const struct {
        uint64_t passed_ns;
        uint64_t ran_ns;
        uint64_t waited_ns;
        uint64_t others_ns;
        uint64_t expected[3];
    } cases[] = {
        {STOPS_PERIOD_NS + 10000, 0, 0, 0, {0, 0, 0}},
        {STOPS_PERIOD_NS + 10000, 100000, 300000, 0, {300000, 300000, 300000}},     /* others had its core */
        {STOPS_PERIOD_NS + 10000, 100000, 300000, 50000, {250000, 250000, 250000}}, /* its own threads, too */
        {STOPS_PERIOD_NS + 10000, 100000, 300000, 200000, {0, 0, 0}},
        {5 * MS, 4400000, 0, 0, {0, 0, 4500000}}, /* it ran, and the look went before it, but was late */
        {5 * MS, 0, 0, 4400000, {0, 0, 4500000}}, /* so did a thread of its own */
        {5 * MS, 0, 0, 0, {0, 4500000, 4500000}}, /* nobody ran */
        {5 * MS, 1000000, 0, 0, {0, 3500000, 4500000}},
        {5 * MS, 0, 6 * MS, 0, {6 * MS, 6 * MS, 6 * MS}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct stops_account before = {100 * MS, 40 * MS, 3 * MS, MS, MS};
        struct stops_account now = before;
        now.at_ns += cases[i].passed_ns;
        now.ran_ns += cases[i].ran_ns;
        now.waited_ns += cases[i].waited_ns;
        now.others_ns += cases[i].others_ns;
        for (unsigned place = STOPS_ELSEWHERE; place <= STOPS_FIRST; place++) {
            struct stop stop = {0};
            bool found = stops_between(&before, &now, (enum stops_place)place, &stop);
            CHECK(found == (cases[i].expected[place] > 0));
            CHECK(!found || stop.length_ns == cases[i].expected[place]);
            CHECK(!found || (stop.to_ns == now.at_ns && stop.from_ns + stop.length_ns <= stop.to_ns));
        }
    }
}

/* A thread of its own had its core for 3 ms, from somewhere between two looks on. The kernel accounts that at each look,
 * and to the one that waited at the end. */
static void test_a_wait_for_a_thread_of_its_own_is_no_stop(void)
{
    struct stops_account before = {100 * MS, 40 * MS, 3 * MS, MS, MS};
    struct stop stop;
    for (unsigned look = 0; look < 7; look++) {
        struct stops_account now = before;
        now.at_ns += STOPS_PERIOD_NS;
        now.ran_ns += look == 0 || look == 6 ? 100000 : 0;
        now.others_ns += look == 0 || look == 6 ? 400000 : look < 5 ? STOPS_PERIOD_NS : 200000;
        now.waited_ns += look == 6 ? 3 * MS : 0;
        CHECK(!stops_between(&before, &now, STOPS_FIRST, &stop));
        before = stops_next(&before, &now);
    }
    for (unsigned look = 0; look < 3; look++) { /* of its own nobody ran since: the third is a stop */
        struct stops_account now = before;
        now.at_ns += STOPS_PERIOD_NS;
        now.ran_ns += 100000;
        now.waited_ns += look == 2 ? MS : 0;
        CHECK(stops_between(&before, &now, STOPS_FIRST, &stop) == (look == 2));
        before = stops_next(&before, &now);
    }
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
    s.watchers[STOPS_GENERATOR].found[0] = (struct stop){19 * MS, 21 * MS, 2 * MS};
    s.watchers[STOPS_GENERATOR].found_n = 1;
    s.watchers[STOPS_GENERATOR].seen_ns = 25 * MS;
    stops_judge(&s, 42 * MS);
    CHECK(s.undisturbed.latency.count == 1 && s.undisturbed.left_out == 1 && s.undisturbed.stops == 1);
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

/* The nth core that this process may use; where it has not so many, the last one. */
static cpu_set_t core(unsigned n)
{
    cpu_set_t all;
    cpu_set_t one;
    CPU_ZERO(&one);
    CHECK(sched_getaffinity(0, sizeof all, &all) == 0);
    for (size_t i = 0; i < CPU_SETSIZE; i++) {
        if (CPU_ISSET(i, &all) && (CPU_COUNT(&one) == 0 || n-- > 0)) {
            CPU_ZERO(&one);
            CPU_SET(i, &one);
        }
    }
    return one;
}

/* A server that sleeps, or that computes, is a slow server, whatever the machine does beside: taken for a stop, nothing would be
 * left of its stall, and there is no machine that stands still for nine tenths of this. */
static void stall(bool busy, bool pinned)
{
    struct stub stub = stub_start(&(struct stub_plan){.stall_at = 200, .stall_ms = STALL_MS, .stall_busy = busy});
    struct load_plan plan = plan_for(&stub);
    cpu_set_t server = core(0);
    CHECK(!pinned || sched_setaffinity(stub.pid, sizeof server, &server) == 0);
    CHECK(load_run(&plan, &result) == 0);
    CHECK(result.latency.count == 1000 && result.latency.max >= (STALL_MS - 1) * MS && result.watched_stops);
    CHECK(result.undisturbed.max >= STALL_MS / 10 * MS);
    stub_stop(&stub);
}

static void test_a_server_that_stands_still_is_not_excused(void)
{
    stall(false, false);
    stall(false, true);
    stall(true, false);
    stall(true, true);
}

/* The stub stops the process that started it, which is a child, on a core of its own. All further requests are due meanwhile, and
 * the stub is so slow that they are answered one after the other for a while: none of them took as long as it seems. */
static void stop_myself(void)
{
    cpu_set_t one = core(1);
    cpu_set_t other = core(0);
    struct stub stub =
        stub_start(&(struct stub_plan){.stall_at = 200, .stall_ms = STALL_MS, .stall_client = true, .delay_us = 100});
    CHECK(sched_setaffinity(stub.pid, sizeof other, &other) == 0 && sched_setaffinity(0, sizeof one, &one) == 0);
    struct load_plan plan = plan_for(&stub);
    CHECK(load_run(&plan, &result) == 0);
    CHECK(result.latency.count == 1000 && hist_quantile(&result.latency, 0.5) >= STALL_MS / 2 * MS);
    CHECK(result.stops > 0 && result.stop_max_ns >= STALL_MS / 2 * MS);
    CHECK(result.undisturbed.count > 0);
    CHECK(hist_quantile(&result.undisturbed, 0.5) + STALL_MS / 2 * MS <= result.latency.max);
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
        test_a_backlog_is_not_taken_for_what_usually_waits,
        test_one_that_was_due_in_a_stop_is_delayed_whoever_waits_besides,
        test_a_stall_of_the_server_stays,
        test_a_stall_with_a_stop_in_it_stays,
        test_stops_that_overlap_count_as_one_delay,
        test_a_stop_that_is_told_twice_excuses_once,
        test_stops_that_overlap_in_part_explain_all_they_cover,
        test_stops_are_counted_from_when_that_is_asked,
        test_a_backlog_that_never_ends_is_all_delayed,
        test_more_that_wait_for_good_are_the_usual_ones_at_last,
        test_a_busy_start_with_many_small_stops_finds_its_usual,
        test_each_stop_has_a_backlog_of_its_own,
        test_stops_in_a_row_have_one_backlog,
        test_a_stall_behind_the_backlog_stays,
        test_more_than_can_be_held_loses_none,
        test_what_is_a_stop_and_how_long_it_was,
        test_a_stop_excuses_only_what_of_it_was_over,
        test_a_busy_start_finds_its_usual_soon,
        test_a_wait_for_a_thread_of_its_own_is_no_stop,
        test_samples_wait_for_both_to_look,
        test_a_server_that_stands_still_is_not_excused,
        test_a_client_that_stands_still_is,
        test_a_process_that_is_not_there,
    };
    return check_run(tests, sizeof tests / sizeof *tests);
}
