/* dict: nothing is lost or found twice, the counts are right, and memory that ends changes nothing. */
#include <stdlib.h>

#include "data.h"
#include "default_hash.h"
#include "rng.h"

#define MANY 100000UL

static struct entry *made(struct slice key, uint32_t hash)
{
    struct entry *e = entry_new(key, hash, key);
    check(e != NULL);
    return e;
}

static struct entry *add(struct dict *d, struct slice key, uint32_t hash)
{
    struct entry *e = made(key, hash);
    check(dict_add(d, e) == 0);
    return e;
}

static void add_numbered(struct dict *d, unsigned long from, unsigned long to)
{
    for (unsigned long n = from; n < to; n++) {
        add(d, numbered(n), hash_of(numbered(n)));
    }
}

static struct entry *find(const struct dict *d, struct slice key)
{
    return dict_find(d, key, hash_of(key));
}

static unsigned long count_found(const struct dict *d, unsigned long from, unsigned long to)
{
    unsigned long found = 0;
    for (unsigned long n = from; n < to; n++) {
        struct slice key = numbered(n);
        struct entry *e = find(d, key);
        found += e != NULL && slice_equal(entry_key(e), key) && slice_equal(entry_value(e), key) ? 1 : 0;
    }
    return found;
}

static void take_out(struct dict *d, struct slice key)
{
    struct entry *e = find(d, key);
    check(e != NULL);
    dict_remove(d, e);
    entry_free(e);
}

/* --- dict_add, dict_find, dict_remove --- */

static void many_come_and_go(unsigned bits)
{
    size_t before = settled_memory();
    struct dict d;
    cr_assert_eq(dict_init(&d, bits), 0);
    add_numbered(&d, 0, MANY);
    cr_assert_eq(d.count, MANY);
    cr_assert_eq(count_found(&d, 0, MANY), MANY);
    cr_assert_eq(count_found(&d, MANY, 2 * MANY), 0);
    for (unsigned long n = 0; n < MANY; n += 2) {
        take_out(&d, numbered(n));
    }
    cr_assert_eq(d.count, MANY / 2);
    cr_assert_eq(count_found(&d, 0, MANY), MANY / 2);
    for (unsigned long n = 1; n < MANY; n += 2) {
        take_out(&d, numbered(n));
    }
    cr_assert_eq(d.count, 0);
    cr_assert_eq(d.bytes, 0);
    cr_assert_null(dict_any(&d));
    dict_deinit(&d);
    cr_assert_eq(mem_used(), before);
}

Test(dict_add, many_in_one_partition)
{
    many_come_and_go(0);
}

Test(dict_add, many_in_4096_partitions)
{
    many_come_and_go(12);
}

Test(dict_add, nothing_lost_at_any_size)
{
    struct dict d;
    cr_assert_eq(dict_init(&d, 0), 0);
    for (unsigned long n = 0; n < 600; n++) {
        add_numbered(&d, n, n + 1);
        check(count_found(&d, 0, n + 1) == n + 1);
    }
    dict_deinit(&d);
}

Test(dict_add, bytes_are_those_of_the_entries)
{
    struct dict d;
    cr_assert_eq(dict_init(&d, 2), 0);
    struct entry *a = add(&d, S("a"), 1);
    struct entry *b = add(&d, S("a longer key that takes more room"), 0x80000001U);
    cr_assert_eq(d.bytes, entry_bytes(a) + entry_bytes(b));
    dict_remove(&d, a);
    cr_assert_eq(d.bytes, entry_bytes(b));
    entry_free(a);
    dict_deinit(&d);
}

Test(dict_add, without_memory_for_the_table_adds_nothing)
{
    for (unsigned long nth = 1; nth <= 2; nth++) {
        struct dict d;
        cr_assert_eq(dict_init(&d, 0), 0);
        struct entry *e = made(S("key"), 5);
        empty_pools();
        size_t before = mem_used();
        mem_fail(nth, false);
        cr_assert_eq(dict_add(&d, e), -1, "allocation %lu", nth);
        mem_fail(0, false);
        empty_pools();
        cr_assert_eq(mem_used(), before);
        cr_assert_eq(d.count, 0);
        cr_assert_eq(d.bytes, 0);
        cr_assert_null(dict_find(&d, S("key"), 5));
        cr_assert(dict_needs_table(&d, 5));
        cr_assert_eq(dict_add(&d, e), 0);
        cr_assert_eq(dict_find(&d, S("key"), 5), e);
        dict_deinit(&d);
    }
}

Test(dict_add, without_memory_to_expand_the_chains_grow)
{
    struct dict d;
    cr_assert_eq(dict_init(&d, 0), 0);
    for (unsigned long n = 0; n < 1000; n++) {
        struct entry *e = made(numbered(n), hash_of(numbered(n)));
        if (n > 0) {
            mem_fail(1, true);
        }
        check(dict_add(&d, e) == 0);
        mem_fail(0, false);
    }
    cr_assert_eq(count_found(&d, 0, 1000), 1000);
    add_numbered(&d, 1000, 2000);
    cr_assert_eq(count_found(&d, 0, 2000), 2000);
    dict_deinit(&d);
}

Test(dict_find, two_keys_of_equal_hash)
{
    struct dict d;
    cr_assert_eq(dict_init(&d, 4), 0);
    struct entry *a = add(&d, S("a"), 0x12345678U);
    struct entry *b = add(&d, S("b"), 0x12345678U);
    cr_assert_eq(dict_find(&d, S("a"), 0x12345678U), a);
    cr_assert_eq(dict_find(&d, S("b"), 0x12345678U), b);
    cr_assert_null(dict_find(&d, S("c"), 0x12345678U));
    dict_remove(&d, a);
    entry_free(a);
    cr_assert_null(dict_find(&d, S("a"), 0x12345678U));
    cr_assert_eq(dict_find(&d, S("b"), 0x12345678U), b);
    dict_deinit(&d);
}

Test(dict_find, keys_of_any_bytes)
{
    struct dict d;
    cr_assert_eq(dict_init(&d, 0), 0);
    struct entry *nul = add(&d, S("a\0b"), 1);
    struct entry *other = add(&d, S("a\0c"), 1);
    struct entry *prefix = add(&d, S("a"), 1);
    cr_assert_eq(dict_find(&d, S("a\0b"), 1), nul);
    cr_assert_eq(dict_find(&d, S("a\0c"), 1), other);
    cr_assert_eq(dict_find(&d, S("a"), 1), prefix);
    cr_assert_null(dict_find(&d, S("a\0"), 1));
    dict_deinit(&d);
}

Test(dict_remove, of_an_entry_whose_stand_in_is_there_already)
{
    struct dict d;
    cr_assert_eq(dict_init(&d, 0), 0);
    struct entry *old = add(&d, S("key"), 7);
    struct entry *fresh = add(&d, S("key"), 7);
    dict_remove(&d, old);
    entry_free(old);
    cr_assert_eq(dict_find(&d, S("key"), 7), fresh);
    cr_assert_eq(d.count, 1);
    cr_assert_eq(d.bytes, entry_bytes(fresh));
    dict_deinit(&d);
}

/* --- dict_init, dict_reserve, dict_needs_table --- */

Test(dict_init, without_memory)
{
    struct dict d;
    mem_fail(1, false);
    cr_assert_eq(dict_init(&d, 12), -1);
    mem_fail(1, true);
    cr_assert_eq(dict_init(&d, 0), 0, "one partition allocates nothing");
    mem_fail(0, false);
    dict_deinit(&d);
}

Test(dict_reserve, adds_cannot_fail_afterwards)
{
    struct dict d;
    struct entry *made_before[16];
    cr_assert_eq(dict_init(&d, 4), 0);
    for (uint32_t i = 0; i < 16; i++) {
        made_before[i] = made(numbered(i), i << 28);
    }
    empty_pools();
    cr_assert_eq(dict_reserve(16), 0);
    mem_fail(1, true);
    for (uint32_t i = 0; i < 16; i++) {
        check(dict_needs_table(&d, i << 28));
        check(dict_add(&d, made_before[i]) == 0);
        check(!dict_needs_table(&d, i << 28));
    }
    mem_fail(0, false);
    cr_assert_eq(d.count, 16);
    dict_deinit(&d);
}

Test(dict_reserve, without_memory)
{
    for (unsigned long nth = 1; nth <= 6; nth++) {
        empty_pools();
        mem_fail(nth, false);
        cr_assert_eq(dict_reserve(3), -1, "allocation %lu", nth);
        mem_fail(0, false);
    }
    empty_pools();
    mem_fail(7, true);
    cr_assert_eq(dict_reserve(3), 0);
    mem_fail(0, false);
}

/* --- dict_drain --- */

static size_t freed_so_far;

static void count_freed(struct entry *e)
{
    check(entry_key(e).data[0] == 'k');
    freed_so_far++;
}

static void drain_in_sevens(unsigned bits)
{
    size_t before = settled_memory();
    struct dict d;
    cr_assert_eq(dict_init(&d, bits), 0);
    add_numbered(&d, 0, 1000);
    freed_so_far = 0;
    for (size_t left = 1000; left > 0;) {
        size_t slice = left < 7 ? left : 7;
        check(dict_drain(&d, 7, count_freed) == slice);
        left -= slice;
        check(d.count == left);
        check(freed_so_far == 1000 - left);
    }
    cr_assert_eq(dict_drain(&d, 7, count_freed), 0);
    cr_assert_eq(freed_so_far, 1000);
    cr_assert_eq(d.bytes, 0);
    dict_deinit(&d);
    cr_assert_eq(mem_used(), before);
}

Test(dict_drain, slices_of_seven_of_one_partition)
{
    drain_in_sevens(0);
}

Test(dict_drain, slices_of_seven_of_many_partitions)
{
    drain_in_sevens(6);
}

Test(dict_drain, an_empty_dict)
{
    struct dict d;
    cr_assert_eq(dict_init(&d, 3), 0);
    cr_assert_eq(dict_drain(&d, 10, NULL), 0);
    dict_deinit(&d);
}

Test(dict_drain, a_drained_shadow_map_is_used_again)
{
    struct dict d;
    cr_assert_eq(dict_init(&d, 0), 0);
    for (int round = 0; round < 3; round++) {
        add_numbered(&d, 0, 50);
        cr_assert_eq(dict_drain(&d, SIZE_MAX, NULL), 50);
    }
    add_numbered(&d, 0, 50);
    cr_assert_eq(count_found(&d, 0, 50), 50);
    dict_deinit(&d);
}

/* --- dict_any, dict_each --- */

static int stop_at_third(struct entry *e, void *arg)
{
    unsigned *visits = arg;
    (void)e;
    return ++*visits == 3 ? -42 : 0;
}

static int take_each_out(struct entry *e, void *arg)
{
    dict_remove(arg, e);
    entry_free(e);
    return 0;
}

Test(dict_each, stops_where_the_visitor_says_so)
{
    struct dict d;
    unsigned visits = 0;
    cr_assert_eq(dict_init(&d, 2), 0);
    add_numbered(&d, 0, 20);
    cr_assert_eq(dict_each(&d, stop_at_third, &visits), -42);
    cr_assert_eq(visits, 3);
    dict_deinit(&d);
}

Test(dict_each, a_visitor_may_take_its_entry_out)
{
    struct dict d;
    cr_assert_eq(dict_init(&d, 2), 0);
    add_numbered(&d, 0, 500);
    cr_assert_eq(dict_each(&d, take_each_out, &d), 0);
    cr_assert_eq(d.count, 0);
    cr_assert_eq(d.bytes, 0);
    dict_deinit(&d);
}

Test(dict_any, empties_a_dict)
{
    struct dict d;
    struct entry *e;
    unsigned taken = 0;
    cr_assert_eq(dict_init(&d, 0), 0);
    add_numbered(&d, 0, 100);
    for (; (e = dict_any(&d)) != NULL; taken++) {
        dict_remove(&d, e);
        entry_free(e);
    }
    cr_assert_eq(taken, 100);
    dict_deinit(&d);
}

/* --- dict_prefetch --- */

static void prefetch_all(const struct dict *d)
{
    uint32_t hashes[50];
    for (uint32_t i = 0; i < 50; i++) {
        hashes[i] = i % 2 == 0 ? hash_of(numbered(i)) : i * 0x9e3779b9U;
    }
    for (size_t count = 0; count <= 50; count++) {
        dict_prefetch(d, hashes, count);
    }
}

Test(dict_prefetch, harmless_on_empty_and_full_dicts)
{
    for (unsigned bits = 0; bits <= 12; bits += 4) {
        struct dict d;
        cr_assert_eq(dict_init(&d, bits), 0);
        prefetch_all(&d);
        add_numbered(&d, 0, 20000);
        size_t bytes = d.bytes;
        prefetch_all(&d);
        cr_assert_eq(d.count, 20000);
        cr_assert_eq(d.bytes, bytes);
        cr_assert_eq(count_found(&d, 0, 20000), 20000);
        dict_deinit(&d);
    }
}

/* --- entry_new, entry_new_tombstone --- */

Test(entry_new, copies_key_and_value)
{
    char key[] = "key", value[] = "value";
    struct entry *e = entry_new(slice_str(key), 9, slice_str(value));
    key[0] = value[0] = 'X';
    assert_slice(entry_key(e), S("key"));
    assert_slice(entry_value(e), S("value"));
    cr_assert_eq(entry_hash(e), 9);
    cr_assert_not(entry_is_tombstone(e));
    cr_assert_geq(entry_bytes(e), 72 + 3 + 5);
    entry_free(e);
}

Test(entry_new, an_empty_value)
{
    struct entry *e = entry_new(S("key"), 9, slice_of(NULL, 0));
    cr_assert_eq(entry_value(e).len, 0);
    cr_assert_not(entry_is_tombstone(e));
    entry_free(e);
}

Test(entry_new, without_memory)
{
    mem_fail(1, true);
    cr_assert_null(entry_new(S("key"), 9, S("value")));
    cr_assert_null(entry_new_tombstone(S("key"), 9));
    mem_fail(0, false);
}

Test(entry_new_tombstone, has_a_key_and_no_value)
{
    struct entry *e = entry_new_tombstone(S("key"), 9);
    assert_slice(entry_key(e), S("key"));
    cr_assert_eq(entry_value(e).len, 0);
    cr_assert(entry_is_tombstone(e));
    entry_free(e);
}

/* --- entry_overwrite --- */

static struct entry *entry_of_room(size_t value_len, size_t *room)
{
    char *bytes = calloc(1, value_len);
    struct entry *e = entry_new(S("key"), 9, slice_of(bytes, value_len));
    free(bytes);
    *room = mem_size(e) - offsetof(struct entry, bytes) - 3;
    return e;
}

Test(entry_overwrite, up_to_the_last_byte_of_the_room)
{
    char bytes[200];
    size_t room;
    struct entry *e = entry_of_room(20, &room);
    memset(bytes, 'v', sizeof(bytes));
    size_t before = mem_used();
    cr_assert(entry_overwrite(e, slice_of(bytes, room), 0));
    assert_slice(entry_value(e), slice_of(bytes, room));
    assert_slice(entry_key(e), S("key"));
    cr_assert_not(entry_overwrite(e, slice_of(bytes, room + 1), 0));
    assert_slice(entry_value(e), slice_of(bytes, room));
    cr_assert_eq(mem_used(), before);
    entry_free(e);
}

Test(entry_overwrite, a_small_entry_takes_any_shorter_value)
{
    size_t room;
    struct entry *e = entry_of_room(200, &room);
    cr_assert(entry_overwrite(e, S(""), 0));
    cr_assert_eq(entry_value(e).len, 0);
    cr_assert(entry_overwrite(e, S("back"), 0));
    assert_slice(entry_value(e), S("back"));
    entry_free(e);
}

Test(entry_overwrite, refuses_to_waste_most_of_a_large_room)
{
    char bytes[1200] = {0};
    size_t room;
    struct entry *e = entry_of_room(1000, &room);
    cr_assert_not(entry_overwrite(e, slice_of(bytes, room / 2 - 1), 0));
    cr_assert_eq(entry_value(e).len, 1000);
    cr_assert(entry_overwrite(e, slice_of(bytes, room / 2), 0));
    cr_assert_eq(entry_value(e).len, room / 2);
    entry_free(e);
}

Test(entry_overwrite, with_a_part_of_its_own_value)
{
    struct entry *e = entry_new(S("key"), 9, S("0123456789"));
    struct slice own = entry_value(e);
    cr_assert(entry_overwrite(e, slice_of(own.data + 3, 7), 0));
    assert_slice(entry_value(e), S("3456789"));
    entry_free(e);
}

Test(entry_overwrite, never_a_tombstone)
{
    struct entry *e = entry_new_tombstone(S("key"), 9);
    cr_assert_not(entry_overwrite(e, S(""), 0));
    cr_assert(entry_is_tombstone(e));
    entry_free(e);
}

/* --- entries that end --- */

static const char letters[] = "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz";

Test(entry_new_until, with_keys_and_values_of_all_lengths)
{
    for (size_t len = 0; len < 60; len++) {
        struct slice key = slice_of(letters, len), value = slice_of(letters + 3, 70 - len);
        struct entry *e = entry_new_until(key, 9, value, 1000 + len);
        assert_slice(entry_key(e), key);
        assert_slice(entry_value(e), value);
        cr_assert_eq(entry_expires_at(e), 1000 + len);
        size_t room = mem_size(e) - offsetof(struct entry, bytes) - sizeof(struct entry_time) - len;
        cr_assert_eq(e->room, room, "all that the allocator gave is room");
        char *longest = malloc(room + 1);
        memset(longest, 'v', room + 1);
        cr_assert(entry_overwrite(e, slice_of(longest, room), 2000));
        cr_assert_not(entry_overwrite(e, slice_of(longest, room + 1), 3000));
        assert_slice(entry_key(e), key);
        assert_slice(entry_value(e), slice_of(longest, room));
        cr_assert_eq(entry_expires_at(e), 2000);
        free(longest);
        entry_free(e);
    }
}

Test(entry_new_until, without_an_end_is_as_any_other)
{
    struct entry *e = entry_new_until(S("key"), 9, S("value"), 0);
    struct entry *other = entry_new(S("key"), 9, S("value"));
    cr_assert_eq(entry_bytes(e), entry_bytes(other), "nothing is paid for what is not there");
    cr_assert_eq(entry_expires_at(e), 0);
    cr_assert_not(entry_overwrite(e, S("v"), 1000), "there is no place for an end");
    assert_slice(entry_value(e), S("value"));
    cr_assert_eq(entry_expires_at(e), 0);
    entry_free(e);
    entry_free(other);
}

Test(entry_overwrite, takes_an_end_away_and_gives_it_back)
{
    struct entry *e = entry_new_until(S("key"), 9, S("value"), 1000);
    cr_assert(entry_overwrite(e, S("v"), 0));
    cr_assert_eq(entry_expires_at(e), 0);
    cr_assert_not(entry_is_gone(e, UINT64_MAX));
    cr_assert(entry_overwrite(e, entry_value(e), 2000));
    assert_slice(entry_value(e), S("v"));
    cr_assert_eq(entry_expires_at(e), 2000);
    entry_free(e);
}

Test(entry_is_gone, from_its_end_on)
{
    const uint64_t ends[] = {1, 1000, INT64_MAX, UINT64_MAX};
    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        struct entry *e = entry_new_until(S("key"), 9, S("value"), ends[i]);
        cr_assert_not(entry_is_gone(e, 0));
        cr_assert_not(entry_is_gone(e, ends[i] - 1));
        cr_assert(entry_is_gone(e, ends[i]));
        cr_assert(entry_is_gone(e, UINT64_MAX));
        cr_assert_not(entry_is_tombstone(e));
        entry_free(e);
    }
    struct entry *e = entry_new(S("key"), 9, S("value"));
    cr_assert_not(entry_is_gone(e, UINT64_MAX));
    entry_free(e);
    e = entry_new_tombstone(S("key"), 9);
    cr_assert(entry_is_gone(e, 0));
    entry_free(e);
}

Test(entry_new_expired, knows_what_it_stands_for)
{
    uint64_t version = 0, expires_at = 0;
    struct entry *e = entry_new_until(S("key"), 9, S("value"), 1000);
    cr_assert_not(entry_was_expired(e, &version, &expires_at));
    entry_set_version(e, 77);
    struct entry *tomb = entry_new_expired(e);
    struct entry *other = entry_new_tombstone(S("key"), 9);
    assert_slice(entry_key(tomb), S("key"));
    cr_assert_eq(entry_hash(tomb), 9);
    cr_assert(entry_is_tombstone(tomb));
    cr_assert(entry_was_expired(tomb, &version, &expires_at));
    cr_assert(version == 77 && expires_at == 1000);
    cr_assert_not(entry_was_expired(other, &version, &expires_at));
    cr_assert_not(entry_overwrite(tomb, S(""), 2000));
    entry_free(e);
    entry_free(tomb);
    entry_free(other);
}

Test(entry_new_until, without_memory)
{
    struct entry *e = entry_new_until(S("key"), 9, S("value"), 1000);
    size_t before = mem_used();
    mem_fail(1, true);
    cr_assert_null(entry_new_until(S("key"), 9, S("value"), 1000));
    cr_assert_null(entry_new_expired(e));
    mem_fail(0, false);
    cr_assert_eq(mem_used(), before);
    entry_free(e);
}

Test(dict_add, entries_that_end_beside_others)
{
    struct dict d;
    cr_assert_eq(dict_init(&d, 2), 0);
    for (unsigned long n = 0; n < 2000; n++) {
        struct slice key = numbered(n);
        check(dict_add(&d, entry_new_until(key, hash_of(key), key, n % 2)) == 0);
    }
    cr_assert_eq(count_found(&d, 0, 2000), 2000);
    for (unsigned long n = 0; n < 2000; n += 3) {
        take_out(&d, numbered(n));
    }
    for (unsigned long n = 0; n < 2000; n++) {
        struct entry *e = find(&d, numbered(n));
        check((e == NULL) == (n % 3 == 0));
        check(e == NULL || entry_expires_at(e) == n % 2);
    }
    dict_deinit(&d);
}

/* --- the hash: keys chosen to collide do not --- */

#define CHOSEN 4000U
#define SAMPLES 16
#define UNLIKELY_CHAIN 20U /* at 2.25 keys per bucket one in ten million dicts has such a chain */

static unsigned longest_chain(const struct dict *d)
{
    unsigned longest = 0;
    for (size_t p = 0; p < (size_t)1 << d->bits; p++) {
        const UT_hash_table *table = d->parts[p].head == NULL ? NULL : d->parts[p].head->hh.tbl;
        for (unsigned b = 0; table != NULL && b < table->num_buckets; b++) {
            longest = table->buckets[b].count > longest ? table->buckets[b].count : longest;
        }
    }
    return longest;
}

static unsigned chain_of_chosen_keys(uint32_t (*hash)(struct slice key))
{
    struct dict d;
    cr_assert_eq(dict_init(&d, 0), 0);
    for (uint32_t n = 0; n < CHOSEN; n++) {
        char key[COLLIDING_KEY_LEN];
        default_hash_collide(n, key);
        add(&d, slice_of(key, sizeof(key)), hash(slice_of(key, sizeof(key))));
    }
    unsigned longest = longest_chain(&d);
    dict_deinit(&d);
    return longest;
}

static unsigned chain_of_random_keys(struct rng *rng)
{
    struct dict d;
    cr_assert_eq(dict_init(&d, 0), 0);
    for (uint32_t n = 0; n < CHOSEN; n++) {
        uint64_t words[3] = {rng_next(rng), rng_next(rng), n};
        struct slice key = slice_of((const char *)words, sizeof(words));
        add(&d, key, hash_of(key));
    }
    unsigned longest = longest_chain(&d);
    dict_deinit(&d);
    return longest;
}

Test(hash_of, keys_that_collide_under_the_default_hash_do_not_here)
{
    struct rng rng = {1};
    unsigned random_chain = 0;
    for (int i = 0; i < SAMPLES; i++) {
        unsigned chain = chain_of_random_keys(&rng);
        random_chain = chain > random_chain ? chain : random_chain;
    }
    cr_assert_eq(chain_of_chosen_keys(default_hash), CHOSEN, "the keys are not chosen well");
    cr_assert_lt(random_chain, UNLIKELY_CHAIN);
    unsigned chosen_chain = chain_of_chosen_keys(hash_of);
    cr_assert_leq(chosen_chain, random_chain + 4, "%u, and %u for random keys", chosen_chain, random_chain);
}
