/* Keys that are left alone where all others have moved to values of other sizes: what they keep of memory is bounded, and moving
 * them changes nothing that anybody reads. */
#include <stdio.h>
#include <string.h>

#include "hash.h"
#include "mem.h"
#include "slab.h"
#include "talk.h"
#include "unit.h"

#define MIB ((size_t)1 << 20)
#define KEYS 100000U
#define ROUNDS 6U
#define LEFT 50U /* one in so many keys drops out each round, to be written no more */

#define START UINT64_C(1700000000000) /* Unix milliseconds: while the keys are written */

static struct talk talk;
static struct store *st;
static bool ends; /* some keys end, in the order of their numbers */

static struct slice key_of(unsigned n)
{
    static char text[32];
    return slice_of(text, (size_t)snprintf(text, sizeof(text), "key:%u", n));
}

static size_t value_size(unsigned round)
{
    return 16 + 48 * round;
}

/* The last round in which a key is written. */
static unsigned last_round(unsigned n)
{
    unsigned place = n % LEFT;
    return place < ROUNDS ? place : ROUNDS - 1;
}

static struct slice value_of(unsigned n, unsigned round)
{
    static char text[512];
    int len = snprintf(text, sizeof(text), "%u in round %u", n, round);
    memset(text + len, 'v', sizeof(text) - (size_t)len);
    return slice_of(text, value_size(round) + n % 8);
}

/* When a key ends; 0: never. */
static uint64_t end_of(unsigned n)
{
    return ends && n % 3 == 0 ? START + 1 + n : 0;
}

static void tend(void)
{
    (void)store_tend(st);
    (void)mem_tend();
}

static void write_round(unsigned round)
{
    for (unsigned n = 0; n < KEYS; n++) {
        if (round <= last_round(n)) {
            struct slice key = key_of(n);
            cr_assert_eq(store_set_until(st, NULL, key, hash_of(key), value_of(n, round), end_of(n)), 0);
        }
        if (n % 16 == 0) {
            tend();
        }
    }
}

static void check_all(struct txn *t, unsigned until)
{
    struct slice value;
    for (unsigned n = 0; n < KEYS; n++) {
        struct slice key = key_of(n);
        unsigned last = last_round(n) < until ? last_round(n) : until;
        cr_assert_eq(store_get(st, t, key, hash_of(key), &value), 1, "key %u is lost", n);
        assert_slice(value, value_of(n, last));
    }
}

/* Bytes of slabs for each byte in use, that of buffers and tables aside. */
static void check_waste(void)
{
    while (store_tend(st) || mem_tend()) {
    }
    cr_assert_leq(slab_held(), mem_used() + mem_used() / 8 + 10 * MIB, "%zu MiB held, %zu MiB in use",
                  slab_held() / MIB, mem_used() / MIB);
}

static void set_up(void)
{
    mem_init();
    slab_init(); /* under sanitizers too */
    talk_init(&talk, 1);
    st = &talk.engine.store;
    ends = false;
    cr_assert_not_null(slab_base);
}

static void tear_down(void)
{
    talk_deinit(&talk);
}

TestSuite(sparse, .init = set_up, .fini = tear_down);

Test(sparse, keys_left_behind_keep_a_bounded_part_of_memory)
{
    for (unsigned round = 0; round < ROUNDS; round++) {
        write_round(round);
        check_waste();
    }
    check_all(NULL, ROUNDS);
    cr_assert_eq(store_count(st, NULL), KEYS);
    for (unsigned n = 0; n < KEYS; n++) { /* what has moved is linked as it should be */
        struct slice key = key_of(n);
        cr_assert_eq(store_delete(st, NULL, key, hash_of(key)), 0);
    }
    cr_assert_eq(st->current->dict.count, 0u);
    cr_assert_null(dict_any(&st->current->dict));
}

Test(sparse, keys_that_have_moved_end_in_time)
{
    ends = true;
    store_tell_time(st, START);
    for (unsigned round = 0; round < ROUNDS; round++) {
        write_round(round);
        check_waste();
    }
    check_all(NULL, ROUNDS);
    unsigned left = KEYS;
    for (unsigned until = 0; until <= KEYS; until += KEYS / 4) {
        store_tell_time(st, START + until);
        while (store_tend(st) || mem_tend()) {
        }
        for (unsigned n = 0; n < KEYS; n++) {
            struct slice key = key_of(n);
            struct slice value;
            bool ended = end_of(n) != 0 && end_of(n) <= START + until;
            cr_assert_eq(store_get(st, NULL, key, hash_of(key), &value), !ended, "key %u", n);
        }
        left = KEYS - (until + 2) / 3;
        cr_assert_eq(store_count(st, NULL), left, "%u at %u", left, until);
    }
    cr_assert_eq(st->keys_expired, KEYS - left);
    cr_assert_not(store_has_ends(st));
}

Test(sparse, snapshots_read_the_same_while_entries_move)
{
    struct txn early, late;
    txn_init(&early);
    txn_init(&late);
    talk.engine.store_limits.history_bytes = 1024 * MIB;
    write_round(0);
    cr_assert_eq(store_begin(st, &early, TXN_PLAIN), 0);
    write_round(1);
    write_round(2);
    cr_assert_eq(store_begin(st, &late, TXN_PLAIN), 0);
    for (unsigned n = 0; n < KEYS; n += 7) { /* tombstones stand between those that move */
        struct slice key = key_of(n);
        cr_assert_eq(store_delete(st, NULL, key, hash_of(key)), 0);
    }
    for (unsigned round = 3; round < ROUNDS; round++) {
        write_round(round);
    }
    while (store_tend(st) || mem_tend()) {
    }
    check_all(&early, 0);
    check_all(&late, 2);
    store_rollback(st, &early);
    check_all(&late, 2);
    store_rollback(st, &late);
    check_waste();
}
