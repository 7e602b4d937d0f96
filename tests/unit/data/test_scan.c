/* scan: a key that is there all the time comes at least once, whatever comes and goes meanwhile; in a transaction, as of its
 * snapshot, exactly once; with its own writes over it. */
#include "scan.h"

#include <stdlib.h>
#include <string.h>

#include "data.h"
#include "err.h"
#include "fault.h"
#include "rng.h"

#define BITS 3
#define STAYING 2000UL
#define OTHERS 200000UL
#define KEYS (STAYING + OTHERS)

static const struct store_limits limits = {{10 << 20, 10000}, (size_t)256 << 20, 0};
static struct store st;
static unsigned char seen[KEYS]; /* how often */

static void set_up(void)
{
    cr_assert_eq(hash_init(), 0);
    cr_assert_eq(fault_choose(getenv("TXKV_FAULT")), 0);
    cr_assert_eq(store_init(&st, &limits, BITS), 0);
    memset(seen, 0, sizeof(seen));
}

static void tear_down(void)
{
    mem_fail(0, false);
    store_deinit(&st);
}

TestSuite(scan, .init = set_up, .fini = tear_down);

static void set(struct txn *t, unsigned long n)
{
    check(store_set(&st, t, numbered(n), hash_of(numbered(n)), S("v")) == 0);
}

static void del(struct txn *t, unsigned long n)
{
    check(store_delete(&st, t, numbered(n), hash_of(numbered(n))) == 0);
}

static bool note(struct slice key, void *arg)
{
    char text[24];
    (void)arg;
    check(key.len > 1 && key.len < sizeof(text));
    memcpy(text, key.data, key.len);
    text[key.len] = '\0';
    unsigned long n = strtoul(text + 1, NULL, 10);
    check(n < KEYS);
    seen[n]++;
    return true;
}

static void scan_all(const struct txn *t)
{
    struct dict_cursor at = {0, 0};
    while (scan_step(&st, t, &at, 100, note, NULL)) {
    }
}

/* As SCAN's client has it between the calls. */
static void keep_as_number(struct dict_cursor *at)
{
    *at = scan_place(scan_number(at));
}

/* --- the guarantee --- */

/* Some of the others come and go. From one scan to the next most come, or most go, so that tables grow while it is under way. */
static void change_others(struct rng *rng, uint32_t percent_added)
{
    for (unsigned i = 0; i < 400; i++) {
        unsigned long n = STAYING + rng_below(rng, OTHERS);
        if (rng_chance(rng, percent_added)) {
            set(NULL, n);
        } else {
            del(NULL, n);
        }
    }
}

Test(scan, what_stays_comes_at_least_once_while_tables_grow)
{
    for (uint64_t seed = 1; seed <= 4; seed++) {
        struct rng rng = {seed};
        struct dict_cursor at = {0, 0};
        memset(seen, 0, sizeof(seen));
        cr_assert_eq(store_flush(&st, NULL), 0);
        for (unsigned long n = 0; n < STAYING; n++) {
            set(NULL, n);
        }
        while (scan_step(&st, NULL, &at, 40 + rng_below(&rng, 100), note, NULL)) {
            keep_as_number(&at);
            change_others(&rng, 95);
            store_tend(&st);
        }
        cr_assert_gt(st.keys, OTHERS / 4, "%lu", (unsigned long)st.keys);
        for (unsigned long n = 0; n < STAYING; n++) {
            check(seen[n] == 1); /* at least once; and no more, as no table was emptied */
        }
    }
}

/* Tables are emptied and begin small again: then a key may come twice, and none that stays is left out. */
Test(scan, what_stays_comes_although_tables_are_emptied)
{
    struct rng rng = {5};
    for (unsigned round = 0; round < 50; round++) {
        struct dict_cursor at = {0, 0};
        unsigned steps = 0;
        memset(seen, 0, sizeof(seen));
        for (unsigned long n = 0; n < 20000; n++) {
            set(NULL, STAYING + n);
        }
        set(NULL, round);
        while (scan_step(&st, NULL, &at, 1 + rng_below(&rng, 300), note, NULL)) {
            keep_as_number(&at);
            if (++steps == 10) {
                for (unsigned long n = 0; n < 20000; n++) {
                    del(NULL, STAYING + n);
                }
            }
        }
        cr_assert_eq(seen[round], 1, "round %u: %u", round, (unsigned)seen[round]);
        del(NULL, round);
    }
}

Test(scan, places_that_nobody_gave_are_harmless)
{
    struct rng rng = {6};
    for (unsigned long n = 0; n < 1000; n++) {
        set(NULL, n);
    }
    for (unsigned i = 0; i < 10000; i++) {
        struct dict_cursor at = scan_place(rng_next(&rng) >> rng_below(&rng, 64));
        while (scan_step(&st, NULL, &at, 50, note, NULL)) {
            keep_as_number(&at);
        }
        memset(seen, 0, sizeof(seen));
    }
}

/* --- in a transaction --- */

/* What is seen is what the model says of S, and each once. */
static void check_seen(const bool *there, unsigned long keys)
{
    for (unsigned long n = 0; n < keys; n++) {
        if (seen[n] != there[n]) {
            cr_assert_fail("key %lu came %u times, wanted %d", n, (unsigned)seen[n], (int)there[n]);
        }
    }
}

/* Deletes all, or flushes; then writes again, so that tables that lost all that the snapshot has not are made anew. */
static void turn_over(struct rng *rng, unsigned long keys)
{
    if (rng_chance(rng, 10)) {
        cr_assert_eq(store_flush(&st, NULL), 0);
    } else if (rng_chance(rng, 20)) {
        for (unsigned long n = 0; n < keys; n++) {
            del(NULL, n);
        }
    }
    for (unsigned i = 0; i < 300; i++) {
        set(NULL, rng_below(rng, (uint32_t)keys));
        del(NULL, rng_below(rng, (uint32_t)keys));
    }
    store_tend(&st);
}

Test(scan, a_snapshot_is_seen_whole_and_once_whatever_comes)
{
    enum { HERE = 3000 };
    static bool there[HERE];
    struct rng rng = {7};
    for (unsigned round = 0; round < 40; round++) {
        struct txn t;
        struct slice value;
        struct dict_cursor at = {0, 0};
        for (unsigned i = 0; i < HERE / 4; i++) {
            set(NULL, rng_below(&rng, HERE));
        }
        txn_init(&t);
        cr_assert_eq(store_begin(&st, &t, TXN_READONLY), 0);
        for (unsigned long n = 0; n < HERE; n++) {
            there[n] = store_get(&st, NULL, numbered(n), hash_of(numbered(n)), &value) == 1;
        }
        memset(seen, 0, sizeof(seen));
        while (scan_step(&st, &t, &at, 1 + rng_below(&rng, 200), note, NULL)) {
            keep_as_number(&at);
            turn_over(&rng, HERE);
        }
        check_seen(there, HERE);
        store_rollback(&st, &t);
    }
}

Test(scan, own_writes_lie_over_the_snapshot)
{
    enum { HERE = 400 };
    static bool there[HERE];
    struct rng rng = {8};
    for (unsigned round = 0; round < 200; round++) {
        struct txn t;
        struct slice value;
        for (unsigned i = 0; i < HERE / 4; i++) {
            set(NULL, rng_below(&rng, HERE));
        }
        txn_init(&t);
        cr_assert_eq(store_begin(&st, &t, round % 2 == 0 ? TXN_PLAIN : TXN_SERIALIZABLE), 0);
        if (rng_chance(&rng, 30)) {
            cr_assert_eq(store_flush(&st, &t), 0);
        }
        for (unsigned i = 0; i < HERE / 4; i++) {
            set(&t, rng_below(&rng, HERE));
            del(&t, rng_below(&rng, HERE));
        }
        for (unsigned i = 0; i < HERE; i++) {
            set(NULL, rng_below(&rng, HERE));
            del(NULL, rng_below(&rng, HERE));
        }
        for (unsigned long n = 0; n < HERE; n++) {
            there[n] = store_get(&st, &t, numbered(n), hash_of(numbered(n)), &value) == 1;
        }
        memset(seen, 0, sizeof(seen));
        scan_all(&t);
        check_seen(there, HERE);
        store_rollback(&st, &t);
    }
}

/* --- work --- */

Test(scan, a_step_is_bounded_and_counted)
{
    for (unsigned long n = 0; n < 50000; n++) {
        set(NULL, n % KEYS);
    }
    struct dict_cursor at = {0, 0};
    unsigned calls = 0;
    bool more = true;
    while (more) {
        uint64_t before = st.steps;
        more = scan_step(&st, NULL, &at, 100, note, NULL);
        cr_assert_leq(st.steps - before, 100u + 64);
        calls++;
    }
    cr_assert_gt(calls, 500u);
}

static bool no_more(struct slice key, void *arg)
{
    (void)note(key, arg);
    return false;
}

Test(scan, it_stops_at_the_end_of_the_bucket_in_which_take_had_enough)
{
    struct dict_cursor at = {0, 0};
    unsigned long keys = 0;
    for (unsigned long n = 0; n < 1000; n++) {
        set(NULL, n);
    }
    while (scan_step(&st, NULL, &at, UINT32_MAX, no_more, NULL)) {
    }
    for (unsigned long n = 0; n < 1000; n++) {
        keys += seen[n];
    }
    cr_assert_eq(keys, 1000u);
}

Test(scan, from_a_random_place_and_the_beginning_all_is_seen)
{
    struct rng rng = {9};
    struct txn t;
    for (unsigned long n = 0; n < 500; n++) {
        set(NULL, n);
    }
    txn_init(&t);
    cr_assert_eq(store_begin(&st, &t, TXN_PLAIN), 0);
    for (unsigned long n = 500; n < 600; n++) {
        set(&t, n);
    }
    for (unsigned i = 0; i < 100; i++) {
        struct dict_cursor at = scan_random_place(&st, &t, (uint32_t)rng_next(&rng), (uint32_t)rng_next(&rng));
        memset(seen, 0, sizeof(seen));
        while (scan_step(&st, &t, &at, 100, note, NULL)) {
        }
        scan_all(&t);
        for (unsigned long n = 0; n < 600; n++) {
            check(seen[n] >= 1);
        }
    }
    store_rollback(&st, &t);
}

/* --- time --- */

static void set_until(struct txn *t, unsigned long n, uint64_t expires_at)
{
    check(store_set_until(&st, t, numbered(n), hash_of(numbered(n)), S("v"), expires_at) == 0);
}

/* Not removed yet: whoever reads goes by the time. */
Test(scan, a_key_whose_time_has_passed_is_not_seen)
{
    enum { HERE = 300 };
    static bool there[HERE];
    struct txn t;
    store_tell_time(&st, 1000);
    for (unsigned long n = 0; n < HERE; n++) {
        set_until(NULL, n, n % 3 == 0 ? 2000 : 0);
    }
    txn_init(&t);
    cr_assert_eq(store_begin(&st, &t, TXN_PLAIN), 0);
    set_until(&t, 1, 500);
    store_tell_time(&st, 2000);
    for (unsigned long n = 0; n < HERE; n++) {
        there[n] = n % 3 != 0;
    }
    scan_all(NULL);
    check_seen(there, HERE);
    memset(there, true, sizeof(there)); /* the transaction goes by the time of its BEGIN */
    there[1] = false;
    memset(seen, 0, sizeof(seen));
    scan_all(&t);
    check_seen(there, HERE);
    store_rollback(&st, &t);
}
