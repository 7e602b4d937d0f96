/* txn: the shadow map says what the transaction did to a key, within its limits. */
#include "data.h"
#include "err.h"
#include "txn.h"

static const struct txn_limits wide = {1 << 20, 1000};

static void begin(struct txn *t, enum txn_mode mode)
{
    txn_init(t);
    t->state = TXN_OPEN;
    t->mode = mode;
}

static int put(struct txn *t, const struct txn_limits *limits, const char *key, const char *value)
{
    return txn_put(t, limits, slice_str(key), hash_of(slice_str(key)), slice_str(value), 0);
}

static int put_until(struct txn *t, const struct txn_limits *limits, const char *key, const char *value, uint64_t expires_at)
{
    return txn_put(t, limits, slice_str(key), hash_of(slice_str(key)), slice_str(value), expires_at);
}

static int del(struct txn *t, const struct txn_limits *limits, const char *key)
{
    return txn_delete(t, limits, slice_str(key), hash_of(slice_str(key)));
}

static int mark(struct txn *t, const struct txn_limits *limits, const char *key)
{
    return txn_mark(t, limits, slice_str(key), hash_of(slice_str(key)));
}

static enum txn_hit look(const struct txn *t, const char *key)
{
    const struct entry *written;
    return txn_find(t, slice_str(key), hash_of(slice_str(key)), &written);
}

static void assert_value(const struct txn *t, const char *key, const char *wanted)
{
    const struct entry *written = NULL;
    cr_assert_eq(txn_find(t, slice_str(key), hash_of(slice_str(key)), &written), TXN_VALUE, "%s", key);
    assert_slice(entry_value(written), slice_str(wanted));
}

static const struct entry *shadow(const struct txn *t, const char *key)
{
    return dict_find(&t->shadow, slice_str(key), hash_of(slice_str(key)));
}

static void assert_mark(const struct txn *t, const char *key)
{
    cr_assert_not_null(shadow(t, key), "%s", key);
    cr_assert(txn_entry_is_mark(shadow(t, key)), "%s", key);
    cr_assert(txn_entry_was_read(shadow(t, key)), "%s", key);
}

static void assert_write(const struct txn *t, const char *key, bool was_read)
{
    cr_assert_not_null(shadow(t, key), "%s", key);
    cr_assert_not(txn_entry_is_mark(shadow(t, key)), "%s", key);
    cr_assert_eq(txn_entry_was_read(shadow(t, key)), was_read, "%s", key);
}

/* --- txn_find --- */

Test(txn_find, knows_only_what_the_transaction_did)
{
    struct txn t;
    begin(&t, TXN_PLAIN);
    cr_assert_eq(look(&t, "a"), TXN_MISS);
    cr_assert_eq(put(&t, &wide, "a", "1"), 0);
    cr_assert_eq(del(&t, &wide, "b"), 0);
    assert_value(&t, "a", "1");
    cr_assert_eq(look(&t, "b"), TXN_ABSENT);
    cr_assert_eq(look(&t, "c"), TXN_MISS);
    txn_clear(&t);
}

Test(txn_find, a_mark_says_nothing_of_the_key)
{
    struct txn t;
    begin(&t, TXN_SERIALIZABLE);
    cr_assert_eq(mark(&t, &wide, "a"), 0);
    cr_assert_eq(look(&t, "a"), TXN_MISS);
    txn_clear(&t);
}

Test(txn_find, after_a_flush_all_but_what_was_written_since_is_absent)
{
    struct txn t;
    begin(&t, TXN_SERIALIZABLE);
    cr_assert_eq(mark(&t, &wide, "read"), 0);
    cr_assert_eq(put(&t, &wide, "before", "1"), 0);
    txn_flush(&t);
    cr_assert_eq(put(&t, &wide, "after", "2"), 0);
    cr_assert_eq(look(&t, "read"), TXN_ABSENT);
    cr_assert_eq(look(&t, "before"), TXN_ABSENT);
    cr_assert_eq(look(&t, "unknown"), TXN_ABSENT);
    assert_value(&t, "after", "2");
    txn_clear(&t);
}

/* --- txn_put, txn_delete: writes --- */

Test(txn_put, a_key_twice_is_one_write)
{
    struct txn t;
    begin(&t, TXN_PLAIN);
    cr_assert_eq(put(&t, &wide, "a", "1"), 0);
    cr_assert_eq(put(&t, &wide, "a", "2"), 0);
    cr_assert_eq(put(&t, &wide, "a", "a value too long for the room that the short one left behind"), 0);
    assert_value(&t, "a", "a value too long for the room that the short one left behind");
    cr_assert_eq(t.writes, 1);
    cr_assert_eq(t.shadow.count, 1);
    txn_clear(&t);
}

Test(txn_put, over_a_delete)
{
    struct txn t;
    begin(&t, TXN_PLAIN);
    cr_assert_eq(del(&t, &wide, "a"), 0);
    cr_assert_eq(put(&t, &wide, "a", "1"), 0);
    assert_value(&t, "a", "1");
    cr_assert_eq(t.writes, 1);
    cr_assert_eq(t.shadow.count, 1);
    txn_clear(&t);
}

Test(txn_put, over_a_mark_stays_read)
{
    struct txn t;
    begin(&t, TXN_SERIALIZABLE);
    cr_assert_eq(mark(&t, &wide, "short"), 0);
    cr_assert_eq(mark(&t, &wide, "long"), 0);
    cr_assert_eq(t.writes, 0);
    cr_assert_eq(put(&t, &wide, "short", ""), 0);
    cr_assert_eq(t.writes, 1);
    cr_assert_eq(put(&t, &wide, "long", "a value that does not fit into the room that a mark has for one"), 0);
    cr_assert_eq(t.writes, 2);
    assert_write(&t, "short", true);
    assert_write(&t, "long", true);
    assert_value(&t, "short", "");
    cr_assert_eq(t.shadow.count, 2);
    txn_clear(&t);
}

Test(txn_put, of_a_key_that_was_not_read)
{
    struct txn t;
    begin(&t, TXN_SERIALIZABLE);
    cr_assert_eq(put(&t, &wide, "a", "1"), 0);
    assert_write(&t, "a", false);
    txn_clear(&t);
}

Test(txn_delete, over_a_put_is_one_write)
{
    struct txn t;
    begin(&t, TXN_PLAIN);
    cr_assert_eq(put(&t, &wide, "a", "1"), 0);
    cr_assert_eq(del(&t, &wide, "a"), 0);
    cr_assert_eq(look(&t, "a"), TXN_ABSENT);
    cr_assert_eq(t.writes, 1);
    cr_assert_eq(t.shadow.count, 1);
    cr_assert(entry_is_tombstone(shadow(&t, "a")));
    txn_clear(&t);
}

Test(txn_delete, twice_is_one_write_and_allocates_once)
{
    struct txn t;
    begin(&t, TXN_PLAIN);
    cr_assert_eq(del(&t, &wide, "a"), 0);
    mem_fail(1, true);
    cr_assert_eq(del(&t, &wide, "a"), 0);
    mem_fail(0, false);
    cr_assert_eq(t.writes, 1);
    txn_clear(&t);
}

Test(txn_delete, over_a_mark_stays_read)
{
    struct txn t;
    begin(&t, TXN_SERIALIZABLE);
    cr_assert_eq(mark(&t, &wide, "a"), 0);
    cr_assert_eq(del(&t, &wide, "a"), 0);
    assert_write(&t, "a", true);
    cr_assert_eq(look(&t, "a"), TXN_ABSENT);
    cr_assert_eq(t.writes, 1);
    cr_assert_eq(put(&t, &wide, "a", "1"), 0);
    assert_write(&t, "a", true);
    cr_assert_eq(t.writes, 1);
    txn_clear(&t);
}

/* --- limits and memory --- */

Test(txn_put, one_key_too_many_leaves_the_map_as_it_was)
{
    const struct txn_limits three = {1 << 20, 3};
    struct txn t;
    begin(&t, TXN_SERIALIZABLE);
    cr_assert_eq(put(&t, &three, "a", "1"), 0);
    cr_assert_eq(del(&t, &three, "b"), 0);
    cr_assert_eq(mark(&t, &three, "c"), 0);
    size_t bytes = t.shadow.bytes;
    cr_assert_eq(put(&t, &three, "d", "4"), ERR_TOOBIG);
    cr_assert_eq(del(&t, &three, "d"), ERR_TOOBIG);
    cr_assert_eq(mark(&t, &three, "d"), ERR_TOOBIG);
    cr_assert_eq(look(&t, "d"), TXN_MISS);
    cr_assert_eq(t.shadow.count, 3);
    cr_assert_eq(t.shadow.bytes, bytes);
    cr_assert_eq(t.writes, 2);
    txn_clear(&t);
}

Test(txn_put, a_full_map_still_takes_writes_of_its_keys)
{
    const struct txn_limits three = {1 << 20, 3};
    struct txn t;
    begin(&t, TXN_SERIALIZABLE);
    cr_assert_eq(put(&t, &three, "a", "1"), 0);
    cr_assert_eq(del(&t, &three, "b"), 0);
    cr_assert_eq(mark(&t, &three, "c"), 0);
    cr_assert_eq(del(&t, &three, "a"), 0);
    cr_assert_eq(put(&t, &three, "b", "2"), 0);
    cr_assert_eq(put(&t, &three, "c", "3"), 0);
    cr_assert_eq(mark(&t, &three, "c"), 0);
    cr_assert_eq(t.writes, 3);
    cr_assert_eq(t.shadow.count, 3);
    txn_clear(&t);
}

Test(txn_put, over_the_limit_in_bytes_the_old_value_stays)
{
    char large[400];
    memset(large, 'v', sizeof(large) - 1);
    large[sizeof(large) - 1] = '\0';
    struct txn t;
    begin(&t, TXN_PLAIN);
    cr_assert_eq(put(&t, &wide, "a", "1"), 0);
    cr_assert_eq(put(&t, &wide, "b", "2"), 0);
    size_t bytes = t.shadow.bytes;
    const struct txn_limits tight = {bytes, 1000};
    cr_assert_eq(put(&t, &tight, "a", large), ERR_TOOBIG);
    cr_assert_eq(put(&t, &tight, "c", "3"), ERR_TOOBIG);
    cr_assert_eq(del(&t, &tight, "c"), ERR_TOOBIG);
    assert_value(&t, "a", "1");
    assert_value(&t, "b", "2");
    cr_assert_eq(look(&t, "c"), TXN_MISS);
    cr_assert_eq(t.shadow.bytes, bytes);
    cr_assert_eq(t.shadow.count, 2);
    cr_assert_eq(t.writes, 2);
    txn_clear(&t);
}

Test(txn_put, exactly_up_to_the_limit_in_bytes)
{
    struct txn t;
    begin(&t, TXN_PLAIN);
    cr_assert_eq(put(&t, &wide, "a", "1"), 0);
    size_t one = t.shadow.bytes;
    const struct txn_limits two = {2 * one, 1000}, less = {2 * one - 1, 1000};
    cr_assert_eq(put(&t, &less, "b", "2"), ERR_TOOBIG);
    cr_assert_eq(put(&t, &two, "b", "2"), 0);
    txn_clear(&t);
}

Test(txn_put, without_memory_nothing_changes)
{
    for (unsigned long nth = 1; nth <= 3; nth++) {
        struct txn t;
        begin(&t, TXN_SERIALIZABLE);
        empty_pools();
        size_t before = mem_used();
        mem_fail(nth, false);
        cr_assert_eq(put(&t, &wide, "a", "1"), ERR_FULL, "allocation %lu", nth);
        empty_pools();
        mem_fail(nth, false);
        cr_assert_eq(del(&t, &wide, "a"), ERR_FULL, "allocation %lu", nth);
        empty_pools();
        mem_fail(nth, false);
        cr_assert_eq(mark(&t, &wide, "a"), ERR_FULL, "allocation %lu", nth);
        mem_fail(0, false);
        empty_pools();
        cr_assert_eq(look(&t, "a"), TXN_MISS);
        cr_assert_eq(t.shadow.count, 0);
        cr_assert_eq(t.writes, 0);
        cr_assert_eq(mem_used(), before);
    }
}

Test(txn_put, without_memory_the_old_value_stays)
{
    struct txn t;
    begin(&t, TXN_SERIALIZABLE);
    cr_assert_eq(mark(&t, &wide, "read"), 0);
    cr_assert_eq(put(&t, &wide, "a", "1"), 0);
    mem_fail(1, true);
    cr_assert_eq(put(&t, &wide, "a", "a value too long for the room that the short one left behind"), ERR_FULL);
    cr_assert_eq(del(&t, &wide, "a"), ERR_FULL);
    cr_assert_eq(del(&t, &wide, "read"), ERR_FULL);
    mem_fail(0, false);
    assert_value(&t, "a", "1");
    assert_mark(&t, "read");
    cr_assert_eq(t.writes, 1);
    txn_clear(&t);
}

/* --- txn_mark --- */

Test(txn_mark, only_in_a_serializable_transaction)
{
    static const enum txn_mode modes[] = {TXN_PLAIN, TXN_READONLY};
    for (size_t i = 0; i < 2; i++) {
        struct txn t;
        begin(&t, modes[i]);
        cr_assert_eq(mark(&t, &wide, "a"), 0);
        cr_assert_eq(t.shadow.count, 0);
    }
    struct txn t;
    begin(&t, TXN_SERIALIZABLE);
    cr_assert_eq(mark(&t, &wide, "a"), 0);
    assert_mark(&t, "a");
    cr_assert_eq(t.writes, 0);
    txn_clear(&t);
}

Test(txn_mark, twice_is_one_mark)
{
    struct txn t;
    begin(&t, TXN_SERIALIZABLE);
    cr_assert_eq(mark(&t, &wide, "a"), 0);
    mem_fail(1, true);
    cr_assert_eq(mark(&t, &wide, "a"), 0);
    mem_fail(0, false);
    cr_assert_eq(t.shadow.count, 1);
    txn_clear(&t);
}

Test(txn_mark, of_a_key_that_was_written_first_is_none)
{
    struct txn t;
    begin(&t, TXN_SERIALIZABLE);
    cr_assert_eq(put(&t, &wide, "a", "1"), 0);
    cr_assert_eq(del(&t, &wide, "b"), 0);
    cr_assert_eq(mark(&t, &wide, "a"), 0);
    cr_assert_eq(mark(&t, &wide, "b"), 0);
    assert_write(&t, "a", false);
    assert_write(&t, "b", false);
    cr_assert_eq(t.writes, 2);
    txn_clear(&t);
}

/* --- txn_flush --- */

Test(txn_flush, drops_writes_and_keeps_what_was_read)
{
    struct txn t;
    begin(&t, TXN_SERIALIZABLE);
    cr_assert_eq(mark(&t, &wide, "read"), 0);
    cr_assert_eq(mark(&t, &wide, "read and put"), 0);
    cr_assert_eq(put(&t, &wide, "read and put", "1"), 0);
    cr_assert_eq(mark(&t, &wide, "read and deleted"), 0);
    cr_assert_eq(del(&t, &wide, "read and deleted"), 0);
    cr_assert_eq(put(&t, &wide, "put", "2"), 0);
    cr_assert_eq(del(&t, &wide, "deleted"), 0);
    cr_assert_eq(t.writes, 4);
    txn_flush(&t);
    cr_assert_eq(t.writes, 0);
    cr_assert(t.flushed);
    cr_assert_eq(t.shadow.count, 3);
    assert_mark(&t, "read");
    assert_mark(&t, "read and put");
    assert_mark(&t, "read and deleted");
    txn_clear(&t);
}

Test(txn_flush, writes_after_it_count_again)
{
    struct txn t;
    begin(&t, TXN_SERIALIZABLE);
    cr_assert_eq(mark(&t, &wide, "a"), 0);
    cr_assert_eq(put(&t, &wide, "a", "1"), 0);
    cr_assert_eq(mark(&t, &wide, "b"), 0);
    cr_assert_eq(del(&t, &wide, "b"), 0);
    txn_flush(&t);
    cr_assert_eq(put(&t, &wide, "a", "2"), 0);
    cr_assert_eq(t.writes, 1);
    cr_assert_eq(del(&t, &wide, "b"), 0);
    cr_assert_eq(t.writes, 2);
    cr_assert_eq(put(&t, &wide, "b", "3"), 0);
    cr_assert_eq(t.writes, 2);
    assert_write(&t, "a", true);
    assert_write(&t, "b", true);
    assert_value(&t, "b", "3");
    txn_clear(&t);
}

/* --- txn_clear, txn_seq --- */

Test(txn_clear, forgets_all_and_gives_the_memory_back)
{
    size_t before = settled_memory();
    struct txn t;
    begin(&t, TXN_SERIALIZABLE);
    for (unsigned long n = 0; n < 500; n++) {
        check(txn_put(&t, &wide, numbered(n), hash_of(numbered(n)), S("value"), 0) == 0);
    }
    txn_flush(&t);
    t.read_keyset = true;
    cr_assert_eq(put(&t, &wide, "a", "1"), 0);
    txn_clear(&t);
    cr_assert_eq(look(&t, "a"), TXN_MISS);
    cr_assert_eq(t.writes, 0);
    cr_assert_eq(t.shadow.count, 0);
    cr_assert_eq(t.shadow.bytes, 0);
    cr_assert_not(t.flushed);
    cr_assert_not(t.read_keyset);
    cr_assert_eq(t.state, TXN_OPEN);
    cr_assert_eq(mem_used(), before);
    cr_assert_eq(put(&t, &wide, "a", "1"), 0);
    assert_value(&t, "a", "1");
    txn_clear(&t);
}

Test(txn_seq, is_that_of_the_snapshot)
{
    struct history h = {0};
    struct txn t;
    begin(&t, TXN_PLAIN);
    cr_assert_eq(history_open(&h, &t.holder, 17, 0), 0);
    cr_assert_eq(txn_seq(&t), 17);
    history_close(&h, &t.holder);
    history_deinit(&h);
}

/* --- writes that end --- */

static uint64_t end_of(const struct txn *t, const char *key)
{
    const struct entry *written = NULL;
    cr_assert_eq(txn_find(t, slice_str(key), hash_of(slice_str(key)), &written), TXN_VALUE, "%s", key);
    return entry_expires_at(written);
}

Test(txn_put, with_an_end_and_another_and_none)
{
    struct txn t;
    begin(&t, TXN_PLAIN);
    cr_assert_eq(put_until(&t, &wide, "a", "1", 1000), 0);
    cr_assert_eq(end_of(&t, "a"), 1000);
    cr_assert_eq(put_until(&t, &wide, "a", "2", 2000), 0);
    cr_assert_eq(end_of(&t, "a"), 2000);
    cr_assert_eq(put(&t, &wide, "a", "3"), 0);
    cr_assert_eq(end_of(&t, "a"), 0);
    cr_assert_eq(put(&t, &wide, "b", "1"), 0);
    cr_assert_eq(put_until(&t, &wide, "b", "2", 3000), 0);
    cr_assert_eq(end_of(&t, "b"), 3000);
    cr_assert_eq(del(&t, &wide, "b"), 0);
    cr_assert_eq(look(&t, "b"), TXN_ABSENT);
    cr_assert_eq(put_until(&t, &wide, "b", "3", 4000), 0);
    cr_assert_eq(end_of(&t, "b"), 4000);
    cr_assert_eq(t.writes, 2);
    cr_assert_eq(t.shadow.count, 2);
    txn_clear(&t);
}

Test(txn_find, a_write_whose_time_had_passed_at_begin_is_absent)
{
    struct txn t;
    begin(&t, TXN_PLAIN);
    t.now_ms = 1000;
    cr_assert_eq(put_until(&t, &wide, "a", "1", 1000), 0);
    cr_assert_eq(put_until(&t, &wide, "b", "1", 1001), 0);
    cr_assert_eq(look(&t, "a"), TXN_ABSENT);
    assert_value(&t, "b", "1");
    cr_assert_eq(t.writes, 2, "it is a write");
    txn_clear(&t);
}

Test(txn_put, with_an_end_over_a_mark_stays_read)
{
    struct txn t;
    begin(&t, TXN_SERIALIZABLE);
    cr_assert_eq(mark(&t, &wide, "a"), 0);
    cr_assert_eq(put_until(&t, &wide, "a", "1", 1000), 0);
    assert_write(&t, "a", true);
    cr_assert_eq(end_of(&t, "a"), 1000);
    cr_assert_eq(t.writes, 1);
    txn_clear(&t);
}

Test(txn_put, an_end_counts_towards_the_limit)
{
    struct txn t;
    begin(&t, TXN_PLAIN);
    cr_assert_eq(put(&t, &wide, "a", "1"), 0);
    struct txn_limits tight = {t.shadow.bytes, 1000};
    cr_assert_eq(put_until(&t, &tight, "a", "2", 1000), ERR_TOOBIG);
    assert_value(&t, "a", "1");
    cr_assert_eq(end_of(&t, "a"), 0);
    txn_clear(&t);
}

Test(txn_put, with_the_value_that_lies_in_the_entry)
{
    const struct entry *written = NULL;
    struct txn t;
    begin(&t, TXN_PLAIN);
    cr_assert_eq(put(&t, &wide, "a", "value"), 0);
    for (uint64_t end = 0; end < 3; end++) { /* EXPIRE and PERSIST do that */
        cr_assert_eq(txn_find(&t, S("a"), hash_of(S("a")), &written), TXN_VALUE);
        cr_assert_eq(txn_put(&t, &wide, S("a"), hash_of(S("a")), entry_value(written), end * 1000), 0);
        assert_value(&t, "a", "value");
        cr_assert_eq(end_of(&t, "a"), end * 1000);
    }
    txn_clear(&t);
}
