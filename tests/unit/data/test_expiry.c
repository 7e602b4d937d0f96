/* expiry: the wheel gives back what has ended, all of it, once, and nothing early: alone, and against a naive model. */
#include "data.h"
#include "expiry.h"
#include "rng.h"

#define START UINT64_C(1700000000000) /* Unix milliseconds of a day in 2023 */
#define LAST ((uint64_t)INT64_MAX)    /* the latest end that a command can give */
#define ENOUGH 1000000

static struct entry *made(uint64_t at)
{
    struct entry *e = entry_new_until(S("key"), 1, S("value"), at);
    cr_assert_not_null(e);
    return e;
}

static struct entry *placed(struct expiry *x, uint64_t at)
{
    struct entry *e = made(at);
    expiry_place(x, e);
    return e;
}

static struct entry *next(struct expiry *x, uint64_t now_ms)
{
    size_t steps = ENOUGH;
    return expiry_next(x, now_ms, &steps);
}

/* The same, taken out and freed: when it ended; 0 for nothing. */
static uint64_t take(struct expiry *x, uint64_t now_ms)
{
    struct entry *e = next(x, now_ms);
    uint64_t at = e == NULL ? 0 : entry_expires_at(e);
    if (e != NULL) {
        expiry_remove(x, e);
        entry_free(e);
    }
    return at;
}

static void give_up(struct expiry *x, struct entry *e)
{
    expiry_remove(x, e);
    entry_free(e);
}

/* --- expiry_place, expiry_next --- */

Test(expiry, an_empty_one_has_nothing)
{
    struct expiry x = {0};
    cr_assert_null(next(&x, LAST));
    cr_assert_not(expiry_is_due(&x, LAST));
    cr_assert_eq(x.count, 0u);
}

Test(expiry, an_entry_comes_at_its_time_and_not_before)
{
    const uint64_t in[] = {1, 2, 63, 64, 65, 4095, 4096, 4097, 262144, 1000000, 86400000, UINT64_C(31536000000)};
    for (size_t i = 0; i < sizeof(in) / sizeof(in[0]); i++) {
        struct expiry x = {.time = START};
        struct entry *e = placed(&x, START + in[i]);
        cr_assert_eq(x.count, 1u);
        cr_assert_null(next(&x, START));
        cr_assert_null(next(&x, START + in[i] - 1));
        cr_assert_not(expiry_is_due(&x, START + in[i] - 1), "what was not found is not due");
        cr_assert(expiry_is_due(&x, START + in[i]));
        cr_assert_eq(next(&x, START + in[i]), e);
        cr_assert_eq(next(&x, START + in[i]), e, "it stays until it is removed");
        give_up(&x, e);
        cr_assert_null(next(&x, START + in[i]));
        cr_assert_eq(x.count, 0u);
    }
}

Test(expiry, one_whose_time_is_over_comes_at_once)
{
    struct expiry x = {.time = START};
    (void)placed(&x, START - 1);
    (void)placed(&x, 1);
    (void)placed(&x, START);
    cr_assert(expiry_is_due(&x, START));
    for (int i = 0; i < 3; i++) {
        cr_assert_neq(take(&x, START), 0u);
    }
    cr_assert_eq(take(&x, START), 0u);
}

Test(expiry, the_end_of_time_has_its_place)
{
    struct expiry x = {0};
    struct entry *last = placed(&x, LAST);
    struct entry *beyond = placed(&x, UINT64_MAX);
    cr_assert_null(next(&x, LAST - 1));
    cr_assert_eq(next(&x, LAST), last);
    give_up(&x, last);
    cr_assert_null(next(&x, UINT64_MAX - 1));
    cr_assert_eq(next(&x, UINT64_MAX), beyond);
    give_up(&x, beyond);
}

Test(expiry, those_that_come_are_in_order_where_somebody_looks_often)
{
    struct expiry x = {.time = START};
    struct rng rng = {3};
    uint64_t before = 0;
    unsigned taken = 0;
    for (unsigned i = 0; i < 1000; i++) {
        (void)placed(&x, START + 1 + rng_below(&rng, 100000));
    }
    for (uint64_t now = START; now <= START + 100000; now++) {
        for (uint64_t at; (at = take(&x, now)) != 0; taken++) {
            check(at >= before && at == now);
            before = at;
        }
    }
    cr_assert_eq(taken, 1000u);
}

Test(expiry, another_end_moves_an_entry_and_none_takes_it_out)
{
    struct expiry x = {.time = START};
    struct entry *e = placed(&x, START + 10);
    cr_assert(entry_overwrite(e, S("value"), START + 100000));
    expiry_place(&x, e);
    cr_assert_eq(x.count, 1u);
    cr_assert_null(next(&x, START + 99999));
    cr_assert(entry_overwrite(e, S("value"), START + 100100));
    expiry_place(&x, e);
    cr_assert_null(next(&x, START + 100000));
    cr_assert(entry_overwrite(e, S("value"), 0));
    expiry_place(&x, e);
    cr_assert_eq(x.count, 0u);
    cr_assert_null(next(&x, LAST));
    expiry_remove(&x, e); /* of what is nowhere */
    cr_assert_eq(x.count, 0u);
    entry_free(e);
}

Test(expiry, who_came_by_an_entry_makes_it_the_next)
{
    struct expiry x = {.time = START};
    for (unsigned i = 0; i < 1000; i++) {
        (void)placed(&x, START + 1 + i);
    }
    struct entry *e = placed(&x, START + 500);
    for (unsigned i = 0; i < 1000; i++) {
        (void)placed(&x, START + 1 + i);
    }
    expiry_hasten(&x, e);
    cr_assert(expiry_is_due(&x, START + 500));
    size_t steps = 1;
    cr_assert_eq(expiry_next(&x, START + 500, &steps), e);
    expiry_remove(&x, e);
    expiry_hasten(&x, e); /* of what is nowhere */
    cr_assert_neq(next(&x, START + 5000), e);
    entry_free(e);
    cr_assert_eq(x.count, 2000u);
    while (take(&x, START + 5000) != 0) {
    }
    cr_assert_eq(x.count, 0u);
}

Test(expiry, without_steps_nothing_is_done)
{
    struct expiry x = {.time = START};
    struct entry *e = placed(&x, START + 1);
    size_t steps = 0;
    cr_assert_null(expiry_next(&x, START + 1, &steps));
    cr_assert_eq(x.time, START);
    give_up(&x, e);
}

Test(expiry, its_time_may_be_set_again_where_all_were_removed)
{
    struct expiry x = {.time = START};
    for (unsigned i = 0; i < 40; i++) { /* slots of every level stay noted as used */
        give_up(&x, placed(&x, START + (UINT64_C(1) << i)));
    }
    x.time = START + 12345678;
    struct entry *e = placed(&x, x.time + 5);
    struct entry *far = placed(&x, x.time + 70000000);
    cr_assert_null(next(&x, START + 12345678 + 4));
    cr_assert_eq(next(&x, START + 12345678 + 5), e);
    give_up(&x, e);
    cr_assert_null(next(&x, START + 12345678 + 69999999));
    cr_assert_eq(next(&x, START + 12345678 + 70000000), far);
    give_up(&x, far);
}

/* --- beside a naive model --- */

#define PLACES 500

struct wheel_run {
    struct expiry x;
    struct entry *entries[PLACES]; /* NULL: the place is free */
    bool in[PLACES];               /* it was placed and has an end */
    uint64_t now;
    uint64_t work; /* steps that they may take: each placing pays for its way through all levels */
    size_t used;
    struct rng rng;
};

/* Of any magnitude up to so many bits. */
static uint64_t random_size(struct rng *r, uint32_t bits)
{
    return rng_next(r) >> (63 - rng_below(r, bits));
}

static uint64_t random_end(struct wheel_run *r)
{
    uint32_t kind = rng_below(&r->rng, 20);
    uint64_t by = random_size(&r->rng, 40);
    if (kind == 0) {
        return LAST - rng_below(&r->rng, 3);
    }
    if (kind == 1) {
        return by < r->now ? r->now - by : 1;
    }
    by = kind == 2 ? random_size(&r->rng, 63) : kind == 3 ? rng_below(&r->rng, 3) : by;
    uint64_t at = by < LAST - r->now ? r->now + by : LAST;
    return at == 0 ? 1 : at;
}

static void place(struct wheel_run *r, size_t n, uint64_t at)
{
    if (r->entries[n] == NULL) {
        r->entries[n] = made(at == 0 ? 1 : at);
    }
    check(entry_overwrite(r->entries[n], S("value"), at));
    expiry_place(&r->x, r->entries[n]);
    r->in[n] = at > 0;
    r->work += 2 * (EXPIRY_LEVELS + 1);
}

static void take_out(struct wheel_run *r, size_t n)
{
    give_up(&r->x, r->entries[n]);
    r->entries[n] = NULL;
    r->in[n] = false;
}

/* As dict_evacuate does it. */
static void move(struct wheel_run *r, size_t n)
{
    struct entry *copy = made(1);
    *entry_time(copy) = *entry_time(r->entries[n]);
    expiry_moved(copy);
    entry_free(r->entries[n]);
    r->entries[n] = copy;
}

static void change(struct wheel_run *r)
{
    size_t n = rng_below(&r->rng, PLACES);
    struct entry *e = r->entries[n];
    uint32_t kind = rng_below(&r->rng, 100);
    if (e == NULL || kind < 40) {
        place(r, n, random_end(r));
    } else if (kind < 50) {
        place(r, n, 0);
    } else if (kind < 70) {
        take_out(r, n);
    } else if (kind < 85) {
        move(r, n);
    } else if (r->in[n] && entry_is_gone(e, r->now)) {
        expiry_hasten(&r->x, e);
    }
}

static size_t find_place(const struct wheel_run *r, const struct entry *e)
{
    size_t n = 0;
    while (n < PLACES && r->entries[n] != e) {
        n++;
    }
    check(n < PLACES && r->in[n]);
    return n;
}

/* Takes out some of what has ended, by so many steps; true when that was all. */
static bool sweep(struct wheel_run *r, size_t steps)
{
    size_t left = steps;
    struct entry *e;
    while ((e = expiry_next(&r->x, r->now, &left)) != NULL) {
        check(left > 0 && left <= steps);
        check(entry_is_gone(e, r->now));
        size_t n = find_place(r, e);
        if (rng_chance(&r->rng, 10)) { /* it is written again instead */
            place(r, n, r->now + 1 + rng_below(&r->rng, 1000));
        } else {
            take_out(r, n);
        }
        left--;
        r->work++;
    }
    r->used += steps - left;
    return left > 0;
}

static void check_all(struct wheel_run *r, bool swept)
{
    size_t count = 0;
    size_t ended = 0;
    for (size_t n = 0; n < PLACES; n++) {
        count += r->in[n];
        ended += r->in[n] && entry_is_gone(r->entries[n], r->now);
    }
    check(r->x.count == count);
    check(ended == 0 || expiry_is_due(&r->x, r->now));
    check(!swept || (ended == 0 && !expiry_is_due(&r->x, r->now)));
    check(r->used <= r->work);
}

static void run_at_random(uint64_t seed, uint64_t from, uint32_t pace)
{
    static struct wheel_run r;
    size_t before = mem_used();
    memset(&r, 0, sizeof(r));
    r.rng.state = seed;
    r.now = from;
    for (unsigned step = 0; step < 3000; step++) {
        for (uint32_t i = rng_below(&r.rng, 20); i > 0; i--) {
            change(&r);
        }
        uint64_t by = rng_chance(&r.rng, 30) ? 0 : random_size(&r.rng, pace);
        r.now += by < LAST - r.now ? by : 0;
        if (r.x.count == 0) { /* as store_tell_time does it */
            r.x.time = r.now;
        }
        check_all(&r, sweep(&r, rng_chance(&r.rng, 50) ? rng_below(&r.rng, 30) : 10000));
        if (rng_below(&r.rng, 200) == 0) {
            for (size_t n = 0; n < PLACES; n++) {
                if (r.entries[n] != NULL) {
                    take_out(&r, n);
                }
            }
        }
    }
    r.now = LAST;
    while (!sweep(&r, 100)) {
    }
    check_all(&r, true);
    for (size_t n = 0; n < PLACES; n++) {
        if (r.entries[n] != NULL) {
            take_out(&r, n);
        }
    }
    cr_assert_eq(r.x.count, 0u);
    cr_assert_eq(mem_used(), before);
}

Test(expiry, random_run_in_milliseconds)
{
    for (uint64_t seed = 1; seed <= 5; seed++) {
        run_at_random(seed, START, 6);
    }
}

Test(expiry, random_run_in_minutes)
{
    for (uint64_t seed = 1; seed <= 5; seed++) {
        run_at_random(seed, START, 20);
    }
}

Test(expiry, random_run_in_years)
{
    for (uint64_t seed = 1; seed <= 5; seed++) {
        run_at_random(seed, START, 40);
    }
}

Test(expiry, random_run_from_the_beginning_of_time)
{
    for (uint64_t seed = 1; seed <= 5; seed++) {
        run_at_random(seed, 0, 55);
    }
}
