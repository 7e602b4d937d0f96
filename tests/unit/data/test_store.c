/* store: every command, every error; a commit is all or nothing; who conflicts with whom; who is expired. */
#include "err.h"
#include "guard.h"
#include "rng.h"
#include "stored.h"

static const struct store_limits wide = {{1 << 20, 10000}, 1 << 20, 0};

static void start(struct store *st, const struct store_limits *limits)
{
    cr_assert_eq(store_init(st, limits, BITS), 0);
}

static int set(struct store *st, struct txn *t, const char *key, const char *value)
{
    return store_set(st, t, slice_str(key), hash_of(slice_str(key)), slice_str(value));
}

static int del(struct store *st, struct txn *t, const char *key)
{
    return store_delete(st, t, slice_str(key), hash_of(slice_str(key)));
}

static int get(struct store *st, struct txn *t, const char *key)
{
    struct slice value;
    return store_get(st, t, slice_str(key), hash_of(slice_str(key)), &value);
}

static int increment(struct store *st, struct txn *t, const char *key, int64_t by, int64_t *sum)
{
    return store_increment(st, t, slice_str(key), hash_of(slice_str(key)), by, sum);
}

/* --- store_init, store_deinit --- */

Test(store_init, without_memory)
{
    for (unsigned long nth = 1; nth <= 2; nth++) {
        struct store st;
        size_t before = mem_used();
        mem_fail(nth, false);
        cr_assert_eq(store_init(&st, &wide, BITS), -1);
        mem_fail(0, false);
        cr_assert_eq(mem_used(), before);
    }
}

Test(store_deinit, gives_all_memory_back)
{
    size_t before = settled_memory();
    struct store st;
    struct txn t;
    start(&st, &wide);
    for (unsigned long n = 0; n < 1000; n++) {
        check(store_set(&st, NULL, numbered(n), hash_of(numbered(n)), S("value")) == 0);
    }
    begin(&st, &t, TXN_SERIALIZABLE);
    cr_assert_eq(get(&st, &t, "k1"), 1);
    cr_assert_eq(set(&st, &t, "k2", "other"), 0);
    cr_assert_eq(set(&st, NULL, "k3", "other"), 0);
    cr_assert_eq(del(&st, NULL, "k4"), 0);
    cr_assert_eq(store_flush(&st, NULL), 0);
    cr_assert_eq(set(&st, NULL, "k1", "value"), 0);
    store_rollback(&st, &t);
    store_deinit(&st);
    cr_assert_eq(mem_used(), before);
}

/* --- store_get, store_set, store_delete outside of transactions --- */

Test(store_set, then_get_then_delete)
{
    struct store st;
    start(&st, &wide);
    assert_get(&st, NULL, "key", NULL);
    cr_assert_eq(set(&st, NULL, "key", "1"), 0);
    assert_get(&st, NULL, "key", "1");
    cr_assert_eq(set(&st, NULL, "key", ""), 0);
    assert_get(&st, NULL, "key", "");
    cr_assert_eq(del(&st, NULL, "key"), 0);
    assert_get(&st, NULL, "key", NULL);
    cr_assert_eq(st.seq, 3);
    store_deinit(&st);
}

Test(store_set, of_a_value_that_lies_in_the_data_itself)
{
    struct store st;
    struct txn t;
    struct slice value;
    start(&st, &wide);
    cr_assert_eq(set(&st, NULL, "key", "0123456789"), 0);
    cr_assert_eq(store_get(&st, NULL, S("key"), hash_of(S("key")), &value), 1);
    cr_assert_eq(store_set(&st, NULL, S("key"), hash_of(S("key")), slice_of(value.data + 5, 5)), 0);
    assert_get(&st, NULL, "key", "56789");
    begin(&st, &t, TXN_READONLY); /* it keeps the old version, so a new entry is made */
    cr_assert_eq(store_get(&st, NULL, S("key"), hash_of(S("key")), &value), 1);
    cr_assert_eq(store_set(&st, NULL, S("key"), hash_of(S("key")), slice_of(value.data + 1, 4)), 0);
    assert_get(&st, NULL, "key", "6789");
    assert_get(&st, &t, "key", "56789");
    store_rollback(&st, &t);
    store_deinit(&st);
}

Test(store_set, in_place_allocates_nothing)
{
    struct store st;
    struct txn t;
    start(&st, &wide);
    cr_assert_eq(set(&st, NULL, "key", "value 1"), 0);
    begin(&st, &t, TXN_PLAIN);
    cr_assert_eq(set(&st, NULL, "key", "value 2"), 0, "the snapshot needs the first");
    size_t bytes = st.history.bytes;
    mem_fail(1, true);
    for (int i = 0; i < 100; i++) {
        check(set(&st, NULL, "key", i % 2 == 0 ? "value 3" : "") == 0);
    }
    mem_fail(0, false);
    cr_assert_eq(st.seq, 102);
    cr_assert_eq(st.history.bytes, bytes);
    assert_get(&st, &t, "key", "value 1");
    store_rollback(&st, &t);
    store_deinit(&st);
}

Test(store_set, without_memory_changes_nothing)
{
    char large[500];
    memset(large, 'v', sizeof(large) - 1);
    large[sizeof(large) - 1] = '\0';
    struct store st;
    start(&st, &wide);
    cr_assert_eq(set(&st, NULL, "old", "1"), 0);
    for (unsigned long nth = 1; nth <= 3; nth++) {
        uint32_t partition_of_its_own = hash_of(S("old")) ^ 0x80000000U;
        empty_pools();
        mem_fail(nth, false);
        cr_assert_eq(store_set(&st, NULL, S("new"), partition_of_its_own, S("1")), ERR_FULL, "allocation %lu", nth);
        mem_fail(1, false);
        cr_assert_eq(set(&st, NULL, "old", large), ERR_FULL);
        mem_fail(0, false);
        cr_assert_eq(st.seq, 1);
        cr_assert_eq(store_count(&st, NULL), 1);
        assert_get(&st, NULL, "old", "1");
    }
    store_deinit(&st);
}

Test(store_set, over_the_memory_limit)
{
    struct store_limits limits = wide;
    struct store st;
    struct txn t;
    int64_t sum;
    start(&st, &limits);
    cr_assert_eq(set(&st, NULL, "key", "1"), 0);
    begin(&st, &t, TXN_PLAIN);
    cr_assert_not(store_is_full(&st));
    limits.memory_bytes = 1;
    cr_assert(store_is_full(&st));
    cr_assert_eq(set(&st, NULL, "key", "2"), ERR_FULL);
    cr_assert_eq(set(&st, &t, "key", "2"), ERR_FULL);
    cr_assert_eq(increment(&st, NULL, "key", 1, &sum), ERR_FULL);
    assert_get(&st, NULL, "key", "1");
    cr_assert_eq(del(&st, NULL, "key"), 0, "what makes room is allowed");
    cr_assert_eq(st.seq, 2);
    store_rollback(&st, &t);
    store_deinit(&st);
}

Test(store_delete, of_an_absent_key_takes_no_sequence_number)
{
    struct store st;
    struct txn t;
    start(&st, &wide);
    cr_assert_eq(del(&st, NULL, "key"), 0);
    cr_assert_eq(st.seq, 0);
    cr_assert_eq(set(&st, NULL, "key", "1"), 0);
    begin(&st, &t, TXN_PLAIN);
    cr_assert_eq(del(&st, NULL, "key"), 0);
    cr_assert_eq(del(&st, NULL, "key"), 0, "a tombstone stands there now");
    cr_assert_eq(st.seq, 2);
    assert_get(&st, &t, "key", "1");
    store_rollback(&st, &t);
    store_deinit(&st);
}

Test(store_delete, without_memory_for_the_tombstone)
{
    struct store st;
    struct txn t;
    start(&st, &wide);
    cr_assert_eq(set(&st, NULL, "key", "1"), 0);
    begin(&st, &t, TXN_PLAIN);
    mem_fail(1, true);
    cr_assert_eq(del(&st, NULL, "key"), ERR_FULL);
    mem_fail(0, false);
    assert_get(&st, NULL, "key", "1");
    cr_assert_eq(st.seq, 1);
    store_rollback(&st, &t);
    mem_fail(1, true);
    cr_assert_eq(del(&st, NULL, "key"), 0, "without readers there is none");
    mem_fail(0, false);
    store_deinit(&st);
}

/* --- commands inside of a transaction --- */

Test(store_get, inside_a_transaction_sees_its_snapshot_and_its_writes)
{
    struct store st;
    struct txn t;
    start(&st, &wide);
    cr_assert_eq(set(&st, NULL, "a", "old"), 0);
    cr_assert_eq(set(&st, NULL, "b", "old"), 0);
    begin(&st, &t, TXN_PLAIN);
    cr_assert_eq(set(&st, NULL, "a", "new"), 0);
    cr_assert_eq(del(&st, NULL, "b"), 0);
    cr_assert_eq(set(&st, NULL, "c", "new"), 0);
    assert_get(&st, &t, "a", "old");
    assert_get(&st, &t, "b", "old");
    assert_get(&st, &t, "c", NULL);
    cr_assert_eq(set(&st, &t, "a", "mine"), 0);
    cr_assert_eq(del(&st, &t, "b"), 0);
    assert_get(&st, &t, "a", "mine");
    assert_get(&st, &t, "b", NULL);
    assert_get(&st, NULL, "a", "new");
    store_rollback(&st, &t);
    assert_get(&st, NULL, "a", "new");
    store_deinit(&st);
}

Test(store_get, a_mark_that_does_not_fit)
{
    const struct store_limits limits = {{1 << 20, 1}, 1 << 20, 0};
    struct store st;
    struct txn t;
    start(&st, &limits);
    begin(&st, &t, TXN_SERIALIZABLE);
    mem_fail(1, false);
    cr_assert_eq(get(&st, &t, "a"), ERR_FULL);
    mem_fail(0, false);
    cr_assert_eq(get(&st, &t, "a"), 0);
    cr_assert_eq(get(&st, &t, "a"), 0);
    cr_assert_eq(get(&st, &t, "b"), ERR_TOOBIG);
    cr_assert_eq(t.shadow.count, 1);
    store_rollback(&st, &t);
    store_deinit(&st);
}

Test(store_set, too_much_for_a_transaction)
{
    const struct store_limits limits = {{1 << 20, 2}, 1 << 20, 0};
    struct store st;
    struct txn t;
    int64_t sum;
    start(&st, &limits);
    begin(&st, &t, TXN_PLAIN);
    cr_assert_eq(set(&st, &t, "a", "1"), 0);
    cr_assert_eq(set(&st, &t, "b", "1"), 0);
    cr_assert_eq(set(&st, &t, "c", "1"), ERR_TOOBIG);
    cr_assert_eq(del(&st, &t, "c"), ERR_TOOBIG);
    cr_assert_eq(increment(&st, &t, "c", 1, &sum), ERR_TOOBIG);
    cr_assert_eq(store_commit(&st, &t), 0);
    cr_assert_eq(store_count(&st, NULL), 2);
    store_deinit(&st);
}

Test(store_set, refused_in_a_read_only_transaction)
{
    struct store st;
    struct txn t;
    int64_t sum;
    start(&st, &wide);
    cr_assert_eq(set(&st, NULL, "key", "1"), 0);
    begin(&st, &t, TXN_READONLY);
    cr_assert_eq(set(&st, &t, "key", "2"), ERR_READONLY);
    cr_assert_eq(del(&st, &t, "key"), ERR_READONLY);
    cr_assert_eq(del(&st, &t, "absent"), ERR_READONLY);
    cr_assert_eq(increment(&st, &t, "key", 1, &sum), ERR_READONLY);
    cr_assert_eq(store_flush(&st, &t), ERR_READONLY);
    assert_get(&st, &t, "key", "1");
    cr_assert_eq(store_count(&st, &t), 1);
    cr_assert_eq(t.shadow.count, 0);
    cr_assert_eq(store_commit(&st, &t), 0);
    cr_assert_eq(st.seq, 1);
    store_deinit(&st);
}

/* --- store_parse_integer --- */

/* clang-format off */
static const struct {
    const char *text;
    int64_t value;
} good_integers[] = {
    {"0", 0}, {"1", 1}, {"-1", -1}, {"9", 9}, {"10", 10}, {"-10", -10}, {"100", 100},
    {"1234567890", 1234567890},
    {"9223372036854775806", INT64_MAX - 1},
    {"9223372036854775807", INT64_MAX},
    {"-9223372036854775807", -INT64_MAX},
    {"-9223372036854775808", INT64_MIN},
};

static const char *const bad_integers[] = {
    "", "-0", "00", "01", "-01", "-00", "+1", "+0", "--1", "-+1", "1-", "1 ", " 1", "- 1", "1.0", "1e3", "0x10", "a",
    "1a", "a1", "-a", "1\n", "\t1", "\xc2\xb2", "\xff", "/", ":",
    "9223372036854775808", "-9223372036854775809", "18446744073709551615", "18446744073709551616",
    "18446744073709551617", "99999999999999999999", "-99999999999999999999", "000000000000000000000",
    "100000000000000000000000000000", "-00000000000000000001",
};
/* clang-format on */

Test(store_parse_integer, the_one_canonical_form)
{
    struct guard guard;
    guard_init(&guard, 64);
    for (size_t i = 0; i < sizeof(good_integers) / sizeof(good_integers[0]); i++) {
        int64_t value = 42;
        struct slice text = guard_copy(&guard, slice_str(good_integers[i].text));
        cr_assert(store_parse_integer(text, &value), "%s", good_integers[i].text);
        cr_assert_eq(value, good_integers[i].value, "%s", good_integers[i].text);
    }
    guard_deinit(&guard);
}

Test(store_parse_integer, anything_else)
{
    struct guard guard;
    guard_init(&guard, 64);
    for (size_t i = 0; i < sizeof(bad_integers) / sizeof(bad_integers[0]); i++) {
        int64_t value;
        struct slice text = guard_copy(&guard, slice_str(bad_integers[i]));
        cr_assert_not(store_parse_integer(text, &value), "\"%s\"", bad_integers[i]);
    }
    guard_deinit(&guard);
}

Test(store_parse_integer, bytes_of_zero)
{
    int64_t value;
    cr_assert_not(store_parse_integer(S("1\0"), &value));
    cr_assert_not(store_parse_integer(S("\0"), &value));
    cr_assert_not(store_parse_integer(slice_of(NULL, 0), &value));
}

Test(store_parse_integer, a_lone_minus_sign)
{
    int64_t value;
    cr_assert_not(store_parse_integer(S("-"), &value));
}

Test(store_parse_integer, a_lone_minus_sign_is_not_read_past)
{
    struct guard guard;
    int64_t value;
    guard_init(&guard, 64);
    cr_assert_not(store_parse_integer(guard_copy(&guard, S("-")), &value));
    guard_deinit(&guard);
}

/* --- store_increment --- */

Test(store_increment, an_absent_key_counts_as_zero)
{
    struct store st;
    int64_t sum = 0;
    start(&st, &wide);
    cr_assert_eq(increment(&st, NULL, "a", 5, &sum), 0);
    cr_assert_eq(sum, 5);
    cr_assert_eq(increment(&st, NULL, "a", -7, &sum), 0);
    cr_assert_eq(sum, -2);
    assert_get(&st, NULL, "a", "-2");
    cr_assert_eq(increment(&st, NULL, "b", 0, &sum), 0);
    assert_get(&st, NULL, "b", "0");
    cr_assert_eq(st.seq, 3);
    store_deinit(&st);
}

Test(store_increment, of_what_is_no_integer)
{
    struct store st;
    int64_t sum;
    start(&st, &wide);
    cr_assert_eq(set(&st, NULL, "a", "007"), 0);
    cr_assert_eq(set(&st, NULL, "b", ""), 0);
    cr_assert_eq(increment(&st, NULL, "a", 1, &sum), ERR_NOTINT);
    cr_assert_eq(increment(&st, NULL, "b", 1, &sum), ERR_NOTINT);
    assert_get(&st, NULL, "a", "007");
    cr_assert_eq(st.seq, 2);
    store_deinit(&st);
}

Test(store_increment, over_both_ends)
{
    struct store st;
    int64_t sum;
    start(&st, &wide);
    cr_assert_eq(increment(&st, NULL, "high", INT64_MAX, &sum), 0);
    cr_assert_eq(increment(&st, NULL, "low", INT64_MIN, &sum), 0);
    cr_assert_eq(increment(&st, NULL, "high", 1, &sum), ERR_OVERFLOW);
    cr_assert_eq(increment(&st, NULL, "high", INT64_MAX, &sum), ERR_OVERFLOW);
    cr_assert_eq(increment(&st, NULL, "low", -1, &sum), ERR_OVERFLOW);
    cr_assert_eq(increment(&st, NULL, "low", INT64_MIN, &sum), ERR_OVERFLOW);
    assert_get(&st, NULL, "high", "9223372036854775807");
    assert_get(&st, NULL, "low", "-9223372036854775808");
    cr_assert_eq(st.seq, 2);
    cr_assert_eq(increment(&st, NULL, "high", INT64_MIN, &sum), 0);
    cr_assert_eq(sum, -1);
    cr_assert_eq(increment(&st, NULL, "low", INT64_MAX, &sum), 0);
    cr_assert_eq(sum, -1);
    store_deinit(&st);
}

Test(store_increment, inside_a_transaction_adds_to_its_view)
{
    struct store st;
    struct txn t;
    int64_t sum;
    start(&st, &wide);
    cr_assert_eq(set(&st, NULL, "key", "10"), 0);
    begin(&st, &t, TXN_PLAIN);
    cr_assert_eq(set(&st, NULL, "key", "100"), 0);
    cr_assert_eq(increment(&st, &t, "key", 1, &sum), 0);
    cr_assert_eq(sum, 11);
    cr_assert_eq(increment(&st, &t, "key", 1, &sum), 0);
    cr_assert_eq(sum, 12);
    assert_get(&st, NULL, "key", "100");
    cr_assert_eq(store_commit(&st, &t), 0);
    assert_get(&st, NULL, "key", "12");
    store_deinit(&st);
}

Test(store_increment, in_a_serializable_transaction_is_a_read)
{
    struct store st;
    struct txn t;
    int64_t sum;
    start(&st, &wide);
    begin(&st, &t, TXN_SERIALIZABLE);
    cr_assert_eq(increment(&st, &t, "key", 1, &sum), 0);
    cr_assert_eq(increment(&st, NULL, "key", 1, &sum), 0);
    cr_assert_eq(store_commit(&st, &t), ERR_CONFLICT);
    assert_get(&st, NULL, "key", "1");
    store_deinit(&st);
}

/* --- store_flush --- */

Test(store_flush, removes_all_keys)
{
    struct store st;
    struct txn t;
    start(&st, &wide);
    cr_assert_eq(set(&st, NULL, "a", "1"), 0);
    cr_assert_eq(set(&st, NULL, "b", "1"), 0);
    begin(&st, &t, TXN_PLAIN);
    cr_assert_eq(store_flush(&st, NULL), 0);
    cr_assert_eq(st.seq, 3);
    cr_assert_eq(store_count(&st, NULL), 0);
    assert_get(&st, NULL, "a", NULL);
    assert_get(&st, &t, "a", "1");
    cr_assert_eq(store_count(&st, &t), 2);
    store_rollback(&st, &t);
    store_deinit(&st);
}

Test(store_flush, of_no_keys_takes_no_sequence_number)
{
    struct store st;
    struct txn t, other;
    start(&st, &wide);
    cr_assert_eq(store_flush(&st, NULL), 0);
    cr_assert_eq(st.seq, 0);
    cr_assert_eq(set(&st, NULL, "a", "1"), 0);
    begin(&st, &other, TXN_PLAIN);
    cr_assert_eq(del(&st, NULL, "a"), 0);
    cr_assert_eq(store_flush(&st, NULL), 0, "tombstones are no keys");
    begin(&st, &t, TXN_PLAIN);
    cr_assert_eq(store_flush(&st, &t), 0);
    cr_assert_eq(store_commit(&st, &t), 0);
    cr_assert_eq(st.seq, 2);
    store_rollback(&st, &other);
    store_deinit(&st);
}

Test(store_flush, without_memory)
{
    struct store st;
    start(&st, &wide);
    cr_assert_eq(set(&st, NULL, "a", "1"), 0);
    for (unsigned long nth = 1; nth <= 2; nth++) {
        mem_fail(nth, false);
        cr_assert_eq(store_flush(&st, NULL), ERR_FULL);
        mem_fail(0, false);
        assert_get(&st, NULL, "a", "1");
        cr_assert_eq(st.seq, 1);
    }
    store_deinit(&st);
}

Test(store_flush, inside_a_transaction_then_writes)
{
    struct store st;
    struct txn t;
    start(&st, &wide);
    cr_assert_eq(set(&st, NULL, "a", "1"), 0);
    cr_assert_eq(set(&st, NULL, "b", "1"), 0);
    begin(&st, &t, TXN_PLAIN);
    cr_assert_eq(set(&st, &t, "dropped", "1"), 0);
    cr_assert_eq(store_flush(&st, &t), 0);
    cr_assert_eq(set(&st, &t, "b", "2"), 0);
    cr_assert_eq(del(&st, &t, "a"), 0);
    assert_get(&st, &t, "a", NULL);
    assert_get(&st, NULL, "a", "1");
    cr_assert_eq(set(&st, NULL, "c", "later"), 0);
    cr_assert_eq(store_commit(&st, &t), 0);
    cr_assert_eq(st.seq, 4);
    cr_assert_eq(store_count(&st, NULL), 1);
    assert_get(&st, NULL, "b", "2");
    assert_get(&st, NULL, "c", NULL);
    store_deinit(&st);
}

/* --- store_begin, store_rollback, store_fail --- */

Test(store_begin, without_memory)
{
    struct store st;
    struct txn t;
    start(&st, &wide);
    txn_init(&t);
    mem_fail(1, false);
    cr_assert_eq(store_begin(&st, &t, TXN_PLAIN), ERR_FULL);
    mem_fail(0, false);
    cr_assert_eq(t.state, TXN_NONE);
    cr_assert_eq(store_begin(&st, &t, TXN_PLAIN), 0);
    cr_assert_eq(t.state, TXN_OPEN);
    store_rollback(&st, &t);
    store_deinit(&st);
}

Test(store_rollback, forgets_all)
{
    struct store st;
    struct txn t;
    start(&st, &wide);
    begin(&st, &t, TXN_SERIALIZABLE);
    cr_assert_eq(get(&st, &t, "a"), 0);
    cr_assert_eq(set(&st, &t, "a", "1"), 0);
    cr_assert_eq(store_flush(&st, &t), 0);
    store_rollback(&st, &t);
    cr_assert_eq(t.state, TXN_NONE);
    cr_assert_not(history_is_read(&st.history));
    cr_assert_eq(st.seq, 0);
    cr_assert_eq(store_begin(&st, &t, TXN_PLAIN), 0);
    cr_assert_not(t.flushed);
    cr_assert_eq(t.writes, 0);
    store_rollback(&st, &t);
    store_deinit(&st);
}

Test(store_fail, lets_the_snapshot_go_and_keeps_the_cause)
{
    struct store st;
    struct txn t;
    char long_cause[300];
    start(&st, &wide);
    memset(long_cause, 'w', sizeof(long_cause) - 1);
    long_cause[sizeof(long_cause) - 1] = '\0';
    begin(&st, &t, TXN_PLAIN);
    cr_assert_eq(set(&st, &t, "a", "1"), 0);
    store_fail(&st, &t, ERR_ABORTED, long_cause);
    cr_assert_eq(t.state, TXN_FAILED);
    cr_assert_eq(t.cause, ERR_ABORTED);
    cr_assert_eq(strlen(t.why), sizeof(t.why) - 1);
    cr_assert_eq(t.shadow.count, 0);
    cr_assert_not(history_is_read(&st.history));
    store_rollback(&st, &t);
    cr_assert_eq(t.state, TXN_NONE);
    assert_get(&st, NULL, "a", NULL);
    store_deinit(&st);
}

/* --- store_commit: sequence numbers --- */

Test(store_commit, publishes_all_of_it_under_one_number)
{
    struct store st;
    struct txn t;
    start(&st, &wide);
    cr_assert_eq(set(&st, NULL, "a", "1"), 0);
    cr_assert_eq(set(&st, NULL, "b", "1"), 0);
    begin(&st, &t, TXN_PLAIN);
    cr_assert_eq(set(&st, &t, "a", "2"), 0);
    cr_assert_eq(del(&st, &t, "b"), 0);
    cr_assert_eq(set(&st, &t, "c", "2"), 0);
    cr_assert_eq(store_commit(&st, &t), 0);
    cr_assert_eq(t.state, TXN_NONE);
    cr_assert_eq(st.seq, 3);
    assert_get(&st, NULL, "a", "2");
    assert_get(&st, NULL, "b", NULL);
    assert_get(&st, NULL, "c", "2");
    cr_assert_eq(store_count(&st, NULL), 2);
    store_deinit(&st);
}

Test(store_commit, that_changes_nothing_takes_no_sequence_number)
{
    struct store st;
    struct txn t;
    start(&st, &wide);
    cr_assert_eq(set(&st, NULL, "a", "1"), 0);
    begin(&st, &t, TXN_SERIALIZABLE);
    cr_assert_eq(store_commit(&st, &t), 0, "an empty one");
    begin(&st, &t, TXN_SERIALIZABLE);
    cr_assert_eq(get(&st, &t, "a"), 1);
    cr_assert_eq(store_count(&st, &t), 1);
    cr_assert_eq(store_commit(&st, &t), 0, "only reads");
    begin(&st, &t, TXN_PLAIN);
    cr_assert_eq(del(&st, &t, "absent"), 0);
    cr_assert_eq(set(&st, &t, "created and deleted", "1"), 0);
    cr_assert_eq(del(&st, &t, "created and deleted"), 0);
    cr_assert_eq(store_commit(&st, &t), 0, "only deletes of absent keys");
    cr_assert_eq(st.seq, 1);
    cr_assert_eq(st.keyset_version, 1);
    begin(&st, &t, TXN_PLAIN);
    cr_assert_eq(del(&st, &t, "a"), 0);
    cr_assert_eq(del(&st, NULL, "a"), 0);
    cr_assert_eq(store_commit(&st, &t), 0, "what it deletes is gone by now");
    cr_assert_eq(st.seq, 2);
    store_deinit(&st);
}

Test(store_commit, of_the_value_that_is_there_is_a_commit)
{
    struct store st;
    struct txn t;
    start(&st, &wide);
    cr_assert_eq(set(&st, NULL, "a", "1"), 0);
    begin(&st, &t, TXN_PLAIN);
    cr_assert_eq(set(&st, &t, "a", "1"), 0);
    cr_assert_eq(store_commit(&st, &t), 0);
    cr_assert_eq(st.seq, 2);
    store_deinit(&st);
}

Test(store_commit, beside_an_older_snapshot_leaves_its_view_alone)
{
    struct store st;
    struct txn t, reader;
    start(&st, &wide);
    cr_assert_eq(set(&st, NULL, "a", "1"), 0);
    cr_assert_eq(set(&st, NULL, "b", "1"), 0);
    begin(&st, &reader, TXN_READONLY);
    begin(&st, &t, TXN_PLAIN);
    cr_assert_eq(set(&st, &t, "a", "2"), 0);
    cr_assert_eq(del(&st, &t, "b"), 0);
    cr_assert_eq(set(&st, &t, "c", "2"), 0);
    cr_assert_eq(store_commit(&st, &t), 0);
    assert_get(&st, &reader, "a", "1");
    assert_get(&st, &reader, "b", "1");
    assert_get(&st, &reader, "c", NULL);
    cr_assert_eq(store_count(&st, &reader), 2);
    cr_assert_eq(store_commit(&st, &reader), 0);
    while (store_tend(&st)) {
    }
    cr_assert_eq(st.history.bytes, 0);
    store_deinit(&st);
}

/* --- store_commit: all or nothing where memory ends --- */

#define NAMES 60

struct contents {
    uint64_t seq;
    uint64_t keys;
    uint64_t keyset_version;
    char values[NAMES][48];
};

static void take_contents(struct store *st, struct contents *c)
{
    memset(c, 0, sizeof(*c));
    c->seq = st->seq;
    c->keys = store_count(st, NULL);
    c->keyset_version = st->keyset_version;
    for (unsigned long n = 0; n < NAMES; n++) {
        struct slice value;
        int rc = store_get(st, NULL, numbered(n), hash_of(numbered(n)), &value);
        check(rc >= 0);
        if (rc == 1) {
            snprintf(c->values[n], sizeof(c->values[n]), "=%.*s", (int)value.len, value.data);
        }
    }
}

static bool same_contents(const struct contents *a, const struct contents *b)
{
    return memcmp(a, b, sizeof(*a)) == 0;
}

/* Keys 0 to 29 exist; the transaction changes 10 to 19, deletes 20 to 24 and creates 30 to 59, most of them in
 * partitions that are empty, so that its commit needs tables. */
static void prepare_commit(struct store *st, struct txn *t, bool with_flush)
{
    cr_assert_eq(store_init(st, &wide, 8), 0);
    for (unsigned long n = 0; n < 30; n++) {
        check(store_set(st, NULL, numbered(n), hash_of(numbered(n)), S("old")) == 0);
    }
    begin(st, t, TXN_SERIALIZABLE);
    if (with_flush) {
        check(store_flush(st, t) == 0);
    }
    for (unsigned long n = 10; n < 60; n++) {
        uint32_t hash = hash_of(numbered(n));
        int rc = n < 20   ? store_set(st, t, numbered(n), hash, S("new, and too long for the old room"))
                 : n < 25 ? store_delete(st, t, numbered(n), hash)
                 : n < 30 ? 0
                          : store_set(st, t, numbered(n), hash, S("new"));
        check(rc == 0);
    }
    empty_pools();
}

/* True once the nth allocation lies behind the commit's last. */
static bool commit_failing_at(unsigned long nth, bool forever, bool with_flush, bool with_reader)
{
    struct store st;
    struct txn t, reader;
    struct contents before, after, wanted;
    prepare_commit(&st, &t, with_flush);
    if (with_reader) {
        begin(&st, &reader, TXN_READONLY);
    }
    take_contents(&st, &before);
    size_t shadowed = t.shadow.count;
    mem_fail(nth, forever);
    int rc = store_commit(&st, &t);
    mem_fail(0, false);
    take_contents(&st, &after);
    check(t.state == TXN_NONE && t.shadow.count == 0 && t.holder.snapshot == NULL);
    if (rc != 0) {
        check(rc == ERR_FULL);
        check(same_contents(&before, &after));
    } else {
        wanted = before;
        wanted.seq = wanted.keyset_version = before.seq + 1;
        wanted.keys = with_flush ? 40 : 55;
        for (size_t n = 0; n < NAMES; n++) {
            const char *kept = with_flush ? "" : "=old";
            const char *value = n < 10   ? kept
                                : n < 20 ? "=new, and too long for the old room"
                                : n < 25 ? ""
                                : n < 30 ? kept
                                         : "=new";
            memset(wanted.values[n], 0, sizeof(wanted.values[n]));
            strcpy(wanted.values[n], value);
        }
        check(shadowed >= 40);
        check(same_contents(&wanted, &after));
    }
    if (with_reader) {
        struct slice value;
        for (unsigned long n = 0; n < NAMES; n++) {
            int found = store_get(&st, &reader, numbered(n), hash_of(numbered(n)), &value);
            check(found == (n < 30));
            check(found == 0 || slice_equal(value, S("old")));
        }
        store_rollback(&st, &reader);
    }
    store_deinit(&st);
    return rc == 0;
}

static void commit_failing_at_each(bool forever, bool with_flush, bool with_reader)
{
    unsigned long failed = 0, passed = 0;
    for (unsigned long nth = 1; passed < 5; nth++) { /* a few more: a table that cannot grow is no failure */
        check(nth < 1000);
        if (commit_failing_at(nth, forever, with_flush, with_reader)) {
            passed++;
        } else {
            failed++;
            check(passed == 0);
        }
    }
    cr_assert_gt(failed, 10, "the commit allocates, and each of its allocations was made to fail");
}

Test(store_commit, all_or_nothing_at_each_allocation)
{
    commit_failing_at_each(false, false, false);
    commit_failing_at_each(true, false, false);
}

Test(store_commit, all_or_nothing_at_each_allocation_beside_a_reader)
{
    commit_failing_at_each(false, false, true);
    commit_failing_at_each(true, false, true);
}

Test(store_commit, all_or_nothing_at_each_allocation_after_a_flush)
{
    commit_failing_at_each(false, true, false);
    commit_failing_at_each(true, true, true);
}

Test(store_commit, a_conflict_applies_nothing)
{
    struct store st;
    struct txn t;
    struct contents before, after;
    prepare_commit(&st, &t, false);
    cr_assert_eq(store_get(&st, &t, numbered(0), hash_of(numbered(0)), &(struct slice){0}), 1);
    cr_assert_eq(store_set(&st, NULL, numbered(0), hash_of(numbered(0)), S("later")), 0);
    take_contents(&st, &before);
    cr_assert_eq(store_commit(&st, &t), ERR_CONFLICT);
    take_contents(&st, &after);
    cr_assert(same_contents(&before, &after));
    cr_assert_eq(t.state, TXN_NONE);
    store_deinit(&st);
}

/* A partition has grown, is emptied by the commit and filled again by it: its second table is a further one. */
Test(store_commit, that_empties_a_partition_and_fills_it_again)
{
    struct store st;
    struct txn t;
    cr_assert_eq(store_init(&st, &wide, 8), 0);
    for (uint32_t n = 0; n < 60; n++) {
        check(store_set(&st, NULL, numbered(n), n, S("old")) == 0);
    }
    begin(&st, &t, TXN_PLAIN);
    for (uint32_t n = 0; n < 60; n++) {
        check(store_delete(&st, &t, numbered(n), n) == 0);
    }
    check(store_set(&st, &t, S("new"), 1000, S("value")) == 0);
    empty_pools();
    mem_fail(1, true);
    int rc = store_commit(&st, &t);
    mem_fail(0, false);
    cr_assert(rc == 0 || rc == ERR_FULL);
    cr_assert_eq(store_count(&st, NULL), rc == 0 ? 1 : 60);
    cr_assert_eq(st.seq, rc == 0 ? 61 : 60);
    store_deinit(&st);
}

/* As before, where the pools of tables are too full to take the emptied one. */
Test(store_commit, that_empties_a_partition_beside_many_new_ones)
{
    struct store st;
    struct txn t;
    cr_assert_eq(store_init(&st, &wide, 8), 0);
    check(store_set(&st, NULL, S("only"), 0, S("old")) == 0);
    begin(&st, &t, TXN_PLAIN);
    check(store_delete(&st, &t, S("only"), 0) == 0);
    check(store_set(&st, &t, S("again"), 1, S("new")) == 0);
    for (uint32_t n = 1; n <= 100; n++) {
        check(store_set(&st, &t, numbered(n), n << 24, S("new")) == 0);
    }
    empty_pools();
    mem_fail(201, true); /* behind what a hundred tables take */
    int rc = store_commit(&st, &t);
    mem_fail(0, false);
    cr_assert(rc == 0 || rc == ERR_FULL);
    cr_assert_eq(store_count(&st, NULL), rc == 0 ? 101 : 1);
    store_deinit(&st);
}

/* --- store_commit: conflicts --- */

enum deed {
    NOTHING,
    CHANGE,
    CHANGE_TO_THE_SAME,
    DELETE,
    DELETE_AND_RECREATE,
    CREATE,
    CREATE_AND_DELETE,
    FLUSH,
    ELSEWHERE,
};

static void act(struct store *st, enum deed deed, const char *key)
{
    switch (deed) {
    case NOTHING:
        break;
    case CHANGE:
    case CREATE:
        cr_assert_eq(set(st, NULL, key, "changed"), 0);
        break;
    case CHANGE_TO_THE_SAME:
        cr_assert_eq(set(st, NULL, key, "1"), 0);
        break;
    case DELETE:
        cr_assert_eq(del(st, NULL, key), 0);
        break;
    case DELETE_AND_RECREATE:
        cr_assert_eq(del(st, NULL, key), 0);
        cr_assert_eq(set(st, NULL, key, "1"), 0);
        break;
    case CREATE_AND_DELETE:
        cr_assert_eq(set(st, NULL, key, "1"), 0);
        cr_assert_eq(del(st, NULL, key), 0);
        break;
    case FLUSH:
        cr_assert_eq(store_flush(st, NULL), 0);
        break;
    case ELSEWHERE:
        cr_assert_eq(set(st, NULL, "elsewhere", "changed"), 0);
        break;
    }
}

/* What a transaction of this mode gets that read `key` and writes another, after somebody else's deed. */
static int outcome(enum txn_mode mode, const char *key, enum deed deed, bool tended)
{
    struct store st;
    struct txn t;
    start(&st, &wide);
    cr_assert_eq(set(&st, NULL, "present", "1"), 0);
    begin(&st, &t, mode);
    cr_assert_geq(get(&st, &t, key), 0);
    cr_assert_eq(set(&st, &t, "written", "1"), 0);
    act(&st, deed, key);
    if (tended) {
        (void)store_tend(&st);
    }
    int rc = store_commit(&st, &t);
    assert_get(&st, NULL, "written", rc == 0 ? "1" : NULL);
    store_deinit(&st);
    return rc;
}

Test(store_commit, who_read_a_key_that_was_present)
{
    static const enum deed conflicts[] = {CHANGE, CHANGE_TO_THE_SAME, DELETE, DELETE_AND_RECREATE, FLUSH};
    for (size_t i = 0; i < sizeof(conflicts) / sizeof(conflicts[0]); i++) {
        cr_assert_eq(outcome(TXN_SERIALIZABLE, "present", conflicts[i], false), ERR_CONFLICT, "deed %d", conflicts[i]);
        cr_assert_eq(outcome(TXN_SERIALIZABLE, "present", conflicts[i], true), ERR_CONFLICT, "deed %d", conflicts[i]);
        cr_assert_eq(outcome(TXN_PLAIN, "present", conflicts[i], false), 0, "deed %d", conflicts[i]);
    }
    cr_assert_eq(outcome(TXN_SERIALIZABLE, "present", NOTHING, false), 0);
    cr_assert_eq(outcome(TXN_SERIALIZABLE, "present", ELSEWHERE, false), 0);
}

Test(store_commit, who_read_a_key_that_was_absent)
{
    static const enum deed conflicts[] = {CREATE, CREATE_AND_DELETE, FLUSH};
    for (size_t i = 0; i < sizeof(conflicts) / sizeof(conflicts[0]); i++) {
        cr_assert_eq(outcome(TXN_SERIALIZABLE, "absent", conflicts[i], false), ERR_CONFLICT, "deed %d", conflicts[i]);
        cr_assert_eq(outcome(TXN_SERIALIZABLE, "absent", conflicts[i], true), ERR_CONFLICT, "deed %d", conflicts[i]);
        cr_assert_eq(outcome(TXN_PLAIN, "absent", conflicts[i], false), 0, "deed %d", conflicts[i]);
    }
    cr_assert_eq(outcome(TXN_SERIALIZABLE, "absent", NOTHING, false), 0);
    cr_assert_eq(outcome(TXN_SERIALIZABLE, "absent", DELETE, false), 0);
    cr_assert_eq(outcome(TXN_SERIALIZABLE, "absent", ELSEWHERE, false), 0);
}

Test(store_commit, who_only_reads_never_conflicts)
{
    struct store st;
    struct txn t;
    start(&st, &wide);
    cr_assert_eq(set(&st, NULL, "a", "1"), 0);
    begin(&st, &t, TXN_SERIALIZABLE);
    assert_get(&st, &t, "a", "1");
    cr_assert_eq(set(&st, NULL, "a", "2"), 0);
    assert_get(&st, &t, "a", "1");
    cr_assert_eq(store_commit(&st, &t), 0);
    store_deinit(&st);
}

Test(store_commit, blind_writes_never_conflict)
{
    struct store st;
    struct txn t;
    start(&st, &wide);
    cr_assert_eq(set(&st, NULL, "a", "1"), 0);
    begin(&st, &t, TXN_SERIALIZABLE);
    cr_assert_eq(set(&st, &t, "a", "2"), 0);
    assert_get(&st, &t, "a", "2");
    cr_assert_eq(set(&st, NULL, "a", "3"), 0);
    cr_assert_eq(store_commit(&st, &t), 0);
    assert_get(&st, NULL, "a", "2");
    store_deinit(&st);
}

Test(store_commit, a_read_before_the_own_flush_still_conflicts)
{
    struct store st;
    struct txn t;
    start(&st, &wide);
    cr_assert_eq(set(&st, NULL, "a", "1"), 0);
    begin(&st, &t, TXN_SERIALIZABLE);
    assert_get(&st, &t, "a", "1");
    cr_assert_eq(store_flush(&st, &t), 0);
    cr_assert_eq(set(&st, NULL, "a", "2"), 0);
    cr_assert_eq(store_commit(&st, &t), ERR_CONFLICT);
    assert_get(&st, NULL, "a", "2");
    store_deinit(&st);
}

Test(store_commit, a_read_after_the_own_flush_does_not)
{
    struct store st;
    struct txn t;
    start(&st, &wide);
    cr_assert_eq(set(&st, NULL, "a", "1"), 0);
    begin(&st, &t, TXN_SERIALIZABLE);
    cr_assert_eq(store_flush(&st, &t), 0);
    assert_get(&st, &t, "a", NULL);
    cr_assert_eq(store_count(&st, &t), 0);
    cr_assert_eq(set(&st, NULL, "a", "2"), 0);
    cr_assert_eq(set(&st, NULL, "b", "2"), 0);
    cr_assert_eq(store_commit(&st, &t), 0);
    cr_assert_eq(store_count(&st, NULL), 0);
    store_deinit(&st);
}

static int outcome_of_count(enum txn_mode mode, enum deed deed, const char *key)
{
    struct store st;
    struct txn t;
    start(&st, &wide);
    cr_assert_eq(set(&st, NULL, "present", "1"), 0);
    begin(&st, &t, mode);
    cr_assert_eq(store_count(&st, &t), 1);
    cr_assert_eq(set(&st, &t, "written", "1"), 0);
    act(&st, deed, key);
    int rc = store_commit(&st, &t);
    store_deinit(&st);
    return rc;
}

Test(store_commit, who_counted_the_keys)
{
    cr_assert_eq(outcome_of_count(TXN_SERIALIZABLE, NOTHING, ""), 0);
    cr_assert_eq(outcome_of_count(TXN_SERIALIZABLE, CHANGE, "present"), 0, "no key came or went");
    cr_assert_eq(outcome_of_count(TXN_SERIALIZABLE, DELETE, "absent"), 0);
    cr_assert_eq(outcome_of_count(TXN_SERIALIZABLE, CREATE, "absent"), ERR_CONFLICT);
    cr_assert_eq(outcome_of_count(TXN_SERIALIZABLE, CREATE_AND_DELETE, "absent"), ERR_CONFLICT);
    cr_assert_eq(outcome_of_count(TXN_SERIALIZABLE, DELETE, "present"), ERR_CONFLICT);
    cr_assert_eq(outcome_of_count(TXN_SERIALIZABLE, DELETE_AND_RECREATE, "present"), ERR_CONFLICT);
    cr_assert_eq(outcome_of_count(TXN_SERIALIZABLE, FLUSH, ""), ERR_CONFLICT);
    cr_assert_eq(outcome_of_count(TXN_PLAIN, CREATE, "absent"), 0);
}

Test(store_commit, the_second_of_two_that_read_what_the_other_wrote)
{
    struct store st;
    struct txn t, u;
    start(&st, &wide);
    begin(&st, &t, TXN_SERIALIZABLE);
    begin(&st, &u, TXN_SERIALIZABLE);
    assert_get(&st, &t, "a", NULL);
    assert_get(&st, &u, "b", NULL);
    cr_assert_eq(set(&st, &t, "b", "1"), 0);
    cr_assert_eq(set(&st, &u, "a", "1"), 0);
    cr_assert_eq(store_commit(&st, &t), 0);
    cr_assert_eq(store_commit(&st, &u), ERR_CONFLICT);
    assert_get(&st, NULL, "a", NULL);
    assert_get(&st, NULL, "b", "1");
    store_deinit(&st);
}

/* --- expiry --- */

static void change_numbered(struct store *st, unsigned long from, unsigned long to, const char *value)
{
    for (unsigned long n = from; n < to; n++) {
        check(store_set(st, NULL, numbered(n), hash_of(numbered(n)), slice_str(value)) == 0);
    }
}

Test(expiry, the_oldest_goes_and_the_newer_ones_stay)
{
    const struct store_limits limits = {{1 << 20, 1000}, 20000, 0};
    struct store st;
    struct txn oldest[2], newer;
    start(&st, &limits);
    change_numbered(&st, 0, 200, "1");
    begin(&st, &oldest[0], TXN_PLAIN);
    begin(&st, &oldest[1], TXN_SERIALIZABLE);
    cr_assert_eq(set(&st, &oldest[0], "mine", "1"), 0);
    change_numbered(&st, 0, 100, "2");
    begin(&st, &newer, TXN_PLAIN);
    cr_assert_eq(st.expired, 0);
    change_numbered(&st, 100, 200, "2");
    change_numbered(&st, 0, 80, "3");
    cr_assert_eq(st.expired, 2);
    for (size_t i = 0; i < 2; i++) {
        cr_assert_eq(oldest[i].state, TXN_FAILED);
        cr_assert_eq(oldest[i].cause, ERR_EXPIRED);
        cr_assert_neq(oldest[i].why[0], '\0');
        cr_assert_null(oldest[i].holder.snapshot);
        cr_assert_eq(oldest[i].shadow.count, 0);
    }
    cr_assert_eq(newer.state, TXN_OPEN);
    cr_assert_leq(st.history.bytes, limits.history_bytes);
    assert_get(&st, &newer, "k0", "2");
    assert_get(&st, &newer, "k150", "1");
    cr_assert_eq(set(&st, &newer, "mine", "2"), 0);
    cr_assert_eq(store_commit(&st, &newer), 0);
    assert_get(&st, NULL, "mine", "2");
    store_rollback(&st, &oldest[0]);
    store_rollback(&st, &oldest[1]);
    store_deinit(&st);
}

Test(expiry, what_closed_ones_kept_is_swept_first)
{
    const struct store_limits limits = {{1 << 20, 1000}, 20000, 0};
    struct store st;
    struct txn first, t;
    start(&st, &limits);
    change_numbered(&st, 0, 200, "1");
    begin(&st, &first, TXN_PLAIN);
    change_numbered(&st, 0, 150, "2");
    begin(&st, &t, TXN_PLAIN);
    store_rollback(&st, &first);
    change_numbered(&st, 0, 150, "3");
    cr_assert_eq(t.state, TXN_OPEN);
    cr_assert_eq(st.expired, 0);
    assert_get(&st, &t, "k0", "2");
    store_rollback(&st, &t);
    store_deinit(&st);
}

Test(expiry, by_a_commit_does_not_touch_the_one_that_commits)
{
    const struct store_limits limits = {{1 << 20, 1000}, 20000, 0};
    struct store st;
    struct txn reader, t;
    start(&st, &limits);
    change_numbered(&st, 0, 300, "1");
    begin(&st, &reader, TXN_READONLY);
    begin(&st, &t, TXN_PLAIN);
    for (unsigned long n = 0; n < 300; n++) {
        check(store_set(&st, &t, numbered(n), hash_of(numbered(n)), S("2")) == 0);
    }
    cr_assert_eq(store_commit(&st, &t), 0);
    cr_assert_eq(reader.state, TXN_FAILED);
    cr_assert_eq(reader.cause, ERR_EXPIRED);
    assert_get(&st, NULL, "k299", "2");
    store_rollback(&st, &reader);
    store_deinit(&st);
}

Test(expiry, a_flushed_generation_counts)
{
    const struct store_limits limits = {{1 << 20, 1000}, 20000, 0};
    struct store st;
    struct txn reader;
    start(&st, &limits);
    change_numbered(&st, 0, 300, "1");
    begin(&st, &reader, TXN_READONLY);
    cr_assert_eq(store_flush(&st, NULL), 0);
    cr_assert_eq(reader.state, TXN_FAILED);
    cr_assert_leq(st.history.bytes, limits.history_bytes);
    store_rollback(&st, &reader);
    store_deinit(&st);
}

/* --- store_tend, store_prefetch --- */

Test(store_tend, frees_in_slices_until_nothing_is_left)
{
    size_t slices = 0;
    struct store st;
    start(&st, &wide);
    change_numbered(&st, 0, 5000, "1");
    cr_assert_not(store_tend(&st)); /* the writes before give the next slice no more room */
    size_t used = mem_used();
    cr_assert_eq(store_flush(&st, NULL), 0);
    cr_assert_geq(mem_used(), used, "a flush itself frees nothing");
    for (; store_tend(&st); slices++) {
        check(mem_used() < used);
        used = mem_used();
    }
    cr_assert_geq(slices, 4);
    cr_assert_not(store_tend(&st));
    store_deinit(&st);
}

Test(store_prefetch, changes_nothing)
{
    uint32_t hashes[40];
    struct store st;
    start(&st, &wide);
    for (uint32_t n = 0; n < 40; n++) {
        hashes[n] = hash_of(numbered(n));
    }
    store_prefetch(&st, hashes, 40);
    change_numbered(&st, 0, 20, "1");
    store_prefetch(&st, hashes, 40);
    cr_assert_eq(st.seq, 20);
    cr_assert_eq(store_count(&st, NULL), 20);
    store_deinit(&st);
}

/* --- store_count, against a naive count --- */

#define COUNTED 16
#define VIEWS 4 /* transactions side by side; the last view is that of a client without one */

struct view {
    struct txn t;
    bool exists[COUNTED];       /* as it should see the keys */
    signed char wrote[COUNTED]; /* 1 set, -1 deleted, 0 neither */
    bool flushed;
};

static uint64_t naive_count(const struct view *v)
{
    uint64_t keys = 0;
    for (size_t i = 0; i < COUNTED; i++) {
        keys += v->exists[i] ? 1 : 0;
    }
    return keys;
}

static void write_in_view(struct store *st, struct view *v, struct view *now, uint32_t key, bool exists)
{
    struct txn *t = v == now ? NULL : &v->t;
    struct slice k = numbered(key);
    int rc = exists ? store_set(st, t, k, hash_of(k), S("value")) : store_delete(st, t, k, hash_of(k));
    check(rc == 0);
    v->exists[key] = exists;
    v->wrote[key] = exists ? 1 : -1;
}

static void flush_in_view(struct store *st, struct view *v, struct view *now)
{
    check(store_flush(st, v == now ? NULL : &v->t) == 0);
    memset(v->exists, 0, sizeof(v->exists));
    memset(v->wrote, 0, sizeof(v->wrote));
    v->flushed = true;
}

static void begin_or_end(struct store *st, struct view *v, struct view *now, bool commit)
{
    if (v->t.state == TXN_NONE) {
        check(store_begin(st, &v->t, TXN_PLAIN) == 0);
        memcpy(v->exists, now->exists, sizeof(v->exists));
        memset(v->wrote, 0, sizeof(v->wrote));
        v->flushed = false;
        return;
    }
    if (!commit) {
        store_rollback(st, &v->t);
        return;
    }
    check(store_commit(st, &v->t) == 0);
    for (size_t i = 0; i < COUNTED; i++) {
        now->exists[i] = v->wrote[i] != 0 ? v->wrote[i] > 0 : !v->flushed && now->exists[i];
    }
}

Test(store_count, in_random_transactions_side_by_side)
{
    static struct view views[VIEWS + 1];
    struct view *now = &views[VIEWS];
    struct rng rng = {7};
    struct store st;
    start(&st, &wide);
    for (size_t i = 0; i <= VIEWS; i++) {
        txn_init(&views[i].t);
    }
    for (int step = 0; step < 20000; step++) {
        struct view *v = &views[rng_below(&rng, VIEWS + 1)];
        uint32_t dice = rng_below(&rng, 100);
        if (v != now && (dice < 15 || v->t.state == TXN_NONE)) {
            begin_or_end(&st, v, now, dice < 10);
        } else if (dice < 18) {
            flush_in_view(&st, v, now);
        } else if (dice < 22) {
            (void)store_tend(&st);
        } else {
            write_in_view(&st, v, now, rng_below(&rng, COUNTED), dice < 65);
        }
        for (size_t i = 0; i < VIEWS; i++) {
            check(views[i].t.state == TXN_NONE || store_count(&st, &views[i].t) == naive_count(&views[i]));
        }
        check(store_count(&st, NULL) == naive_count(now));
    }
    for (size_t i = 0; i < VIEWS; i++) {
        store_rollback(&st, &views[i].t);
    }
    while (store_tend(&st)) {
    }
    cr_assert_eq(st.history.bytes, 0);
    store_deinit(&st);
}

Test(store_count, a_key_written_over_is_counted_once)
{
    struct store st;
    struct txn t;
    start(&st, &wide);
    cr_assert_eq(set(&st, NULL, "a", "1"), 0);
    begin(&st, &t, TXN_PLAIN);
    cr_assert_eq(set(&st, &t, "a", "2"), 0);
    cr_assert_eq(store_count(&st, &t), 1);
    cr_assert_eq(set(&st, &t, "b", "2"), 0);
    cr_assert_eq(store_count(&st, &t), 2);
    cr_assert_eq(del(&st, &t, "a"), 0);
    cr_assert_eq(del(&st, &t, "absent"), 0);
    cr_assert_eq(store_count(&st, &t), 1);
    cr_assert_eq(store_count(&st, NULL), 1);
    store_rollback(&st, &t);
    store_deinit(&st);
}

/* --- pauses --- */

Test(store_tend, removes_no_expired_key_in_a_pause)
{
    struct store st;
    start(&st, &wide);
    store_tell_time(&st, 1000);
    cr_assert_eq(store_set_until(&st, NULL, slice_str("a"), hash_of(slice_str("a")), slice_str("1"), 2000), 0);
    uint64_t seq = st.seq;
    st.is_paused = true;
    store_tell_time(&st, 3000);
    while (store_tend(&st)) {
    }
    assert_get(&st, NULL, "a", NULL);
    cr_assert_eq(st.seq, seq);
    st.is_paused = false;
    while (store_tend(&st)) {
    }
    cr_assert_eq(st.seq, seq + 1);
    cr_assert_eq(st.keys_expired, 1u);
    store_deinit(&st);
}
