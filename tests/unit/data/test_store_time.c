/* store: keys that end. Their removal is a commit, made soon and never in a burst; a transaction goes by the time of its BEGIN;
 * who conflicts with the time that passes, and with the removal. */
#include "err.h"
#include "le.h"
#include "stored.h"

#define NOW UINT64_C(1700000000000) /* Unix milliseconds when a store starts */
#define END (NOW + 1000)            /* when most keys here end */

static const struct store_limits wide = {{1 << 20, 10000}, 64 << 20, 0};

static void start(struct store *st)
{
    cr_assert_eq(store_init(st, &wide, BITS), 0);
    store_tell_time(st, NOW);
}

static void set(struct store *st, struct txn *t, const char *key, const char *value, uint64_t expires_at)
{
    cr_assert_eq(store_set_until(st, t, slice_str(key), hash_of(slice_str(key)), slice_str(value), expires_at), 0);
}

static void del(struct store *st, struct txn *t, const char *key)
{
    cr_assert_eq(store_delete(st, t, slice_str(key), hash_of(slice_str(key))), 0);
}

static uint64_t end_of(struct store *st, struct txn *t, const char *key)
{
    return store_expires_at(st, t, slice_str(key), hash_of(slice_str(key)));
}

/* What stands in the data, be its time over or not. */
static const struct entry *standing(const struct store *st, const char *key)
{
    return dict_find(&st->current->dict, slice_str(key), hash_of(slice_str(key)));
}

static bool is_removed(const struct store *st, const char *key)
{
    return standing(st, key) == NULL || entry_is_tombstone(standing(st, key));
}

/* Removes all that has ended. */
static void remove_ended(struct store *st)
{
    while (store_tend(st)) {
    }
}

/* --- removal --- */

Test(time, a_key_is_there_until_its_time_has_come)
{
    struct store st;
    start(&st);
    set(&st, NULL, "key", "value", END);
    assert_get(&st, NULL, "key", "value");
    cr_assert_eq(end_of(&st, NULL, "key"), END);
    cr_assert(store_has_ends(&st));
    store_tell_time(&st, END - 1);
    remove_ended(&st);
    assert_get(&st, NULL, "key", "value");
    store_tell_time(&st, END);
    assert_get(&st, NULL, "key", NULL);
    cr_assert_eq(end_of(&st, NULL, "key"), 0u);
    cr_assert_eq(store_count(&st, NULL), 1u, "it is not removed yet");
    remove_ended(&st);
    cr_assert_eq(store_count(&st, NULL), 0u);
    cr_assert(is_removed(&st, "key"));
    cr_assert_eq(st.keys_expired, 1u);
    cr_assert_not(store_has_ends(&st));
    store_deinit(&st);
}

Test(time, never_goes_back)
{
    struct store st;
    struct txn t;
    start(&st);
    set(&st, NULL, "key", "value", END);
    store_tell_time(&st, END);
    store_tell_time(&st, NOW);
    cr_assert_eq(store_time(&st, NULL), END);
    assert_get(&st, NULL, "key", NULL);
    begin(&st, &t, TXN_PLAIN);
    cr_assert_eq(store_time(&st, &t), END);
    store_rollback(&st, &t);
    store_deinit(&st);
}

/* The operation of the newest record, which is all of it, and its number. */
static struct record_op newest_record(const struct journal *j, uint64_t *seq)
{
    struct slice left = slice_of(buf_head(&j->pending), buf_len(&j->pending));
    struct record_op op = {0};
    left = slice_of(left.data + j->header, left.len - j->header);
    while (left.len > 0) {
        size_t length = le_get32(left.data + 8);
        struct slice payload = slice_of(left.data + RECORD_HEADER_BYTES, length);
        *seq = le_get64(left.data + 16);
        cr_assert_eq(record_next(&payload, &op), 1);
        cr_assert_eq(payload.len, 0u);
        left = slice_of(payload.data, left.len - RECORD_HEADER_BYTES - length);
    }
    return op;
}

static void use_journal(struct store *st, struct journal *j)
{
    journal_init(j, 1 << 20, FILE_HEADER_BYTES, RECORD_HEADER_BYTES);
    journal_add_spare(j);
    cr_assert_eq(journal_admit(j, 1000), JOURNAL_ADMITS); /* as a tick asks before a command runs */
    store_use_journal(st, j);
}

Test(time, removal_is_a_commit_with_a_number_and_a_record)
{
    struct store st;
    struct journal j;
    uint64_t seq = 0;
    start(&st);
    use_journal(&st, &j);
    set(&st, NULL, "key", "value", END);
    struct record_op op = newest_record(&j, &seq);
    cr_assert(op.kind == RECORD_PUT && op.time == END && seq == 1);
    store_tell_time(&st, END);
    assert_get(&st, NULL, "key", NULL);
    cr_assert_eq(st.seq, 1u, "to read it removes nothing");
    remove_ended(&st);
    cr_assert_eq(st.seq, 2u);
    op = newest_record(&j, &seq);
    cr_assert(op.kind == RECORD_DELETE && seq == 2);
    assert_slice(op.key, S("key"));
    store_deinit(&st);
    journal_deinit(&j);
}

Test(time, without_room_in_the_log_keys_stay_and_nobody_sees_them)
{
    struct store st;
    struct journal j;
    struct journal_batch b;
    start(&st);
    use_journal(&st, &j);
    set(&st, NULL, "a", "value", END);
    set(&st, NULL, "b", "value", END);
    journal_take(&j, &b);
    journal_done(&j, &b);
    j.room = 0;
    j.no_space = true;
    store_tell_time(&st, END);
    cr_assert_not(store_tend(&st), "there is nothing that could be done now");
    cr_assert_eq(st.seq, 2u);
    assert_get(&st, NULL, "a", NULL);
    cr_assert_not(is_removed(&st, "a"));
    cr_assert(store_has_ends(&st), "or nobody would try again");
    journal_add_spare(&j);
    remove_ended(&st);
    cr_assert_eq(st.seq, 4u);
    cr_assert(is_removed(&st, "a") && is_removed(&st, "b"));
    store_deinit(&st);
    journal_deinit(&j);
}

Test(time, without_memory_for_the_tombstone_keys_stay)
{
    struct store st;
    struct txn reader;
    start(&st);
    set(&st, NULL, "key", "value", END);
    begin(&st, &reader, TXN_READONLY);
    store_tell_time(&st, END);
    mem_fail(1, true);
    cr_assert_not(store_tend(&st));
    mem_fail(0, false);
    cr_assert_not(is_removed(&st, "key"));
    assert_get(&st, NULL, "key", NULL);
    assert_get(&st, &reader, "key", "value");
    remove_ended(&st);
    cr_assert(is_removed(&st, "key"));
    assert_get(&st, &reader, "key", "value");
    store_rollback(&st, &reader);
    store_deinit(&st);
}

#define MANY 100000UL

static void set_many(struct store *st)
{
    for (unsigned long n = 0; n < MANY; n++) {
        check(store_set_until(st, NULL, numbered(n), hash_of(numbered(n)), S("value"), END + n % 50) == 0);
    }
}

Test(time, many_that_end_at_once_are_removed_a_few_at_a_time)
{
    struct store st;
    unsigned calls = 0;
    start(&st);
    set_many(&st);
    store_tell_time(&st, END + 100000);
    for (bool more = true; more; calls++) {
        uint64_t before = st.keys_expired;
        more = store_tend(&st);
        check(st.keys_expired - before <= 256);
    }
    cr_assert_eq(st.keys_expired, MANY);
    cr_assert_eq(store_count(&st, NULL), 0u);
    cr_assert_leq(calls, 5 * MANY / 256, "%u calls", calls);
    store_deinit(&st);
}

Test(time, many_that_had_ended_when_they_were_written_too)
{
    struct store st;
    start(&st);
    for (unsigned long n = 0; n < 2000; n++) {
        check(store_set_until(&st, NULL, numbered(n), hash_of(numbered(n)), S("value"), NOW) == 0);
    }
    for (unsigned calls = 1; calls <= 4; calls++) {
        cr_assert(store_tend(&st));
        cr_assert_eq(st.keys_expired, 256 * calls);
    }
    remove_ended(&st);
    cr_assert_eq(st.keys_expired, 2000u);
    store_deinit(&st);
}

Test(time, a_key_that_somebody_read_is_the_next_to_go)
{
    struct store st;
    struct txn t;
    start(&st);
    set_many(&st);
    store_tell_time(&st, END + 100000);
    begin(&st, &t, TXN_PLAIN);
    for (unsigned long n = MANY / 2; n < MANY / 2 + 100; n++) {
        struct slice value;
        check(store_get(&st, n % 2 == 0 ? NULL : &t, numbered(n), hash_of(numbered(n)), &value) == 0);
    }
    store_rollback(&st, &t);
    cr_assert_eq(st.keys_expired, 0u, "a read removes nothing itself");
    (void)store_tend(&st);
    cr_assert_leq(st.keys_expired, 256u);
    for (unsigned long n = MANY / 2; n < MANY / 2 + 100; n++) {
        check(dict_find(&st.current->dict, numbered(n), hash_of(numbered(n))) == NULL);
    }
    store_deinit(&st);
}

/* --- what changes when a key ends --- */

Test(time, a_write_takes_the_end_away_or_gives_another)
{
    struct store st;
    int64_t sum;
    start(&st);
    set(&st, NULL, "a", "1", END);
    set(&st, NULL, "a", "2", 0);
    set(&st, NULL, "b", "1", 0);
    set(&st, NULL, "b", "2", END);
    set(&st, NULL, "c", "1", END);
    set(&st, NULL, "c", "2", END + 5000);
    set(&st, NULL, "d", "1", END + 5000);
    set(&st, NULL, "d", "a longer value that has no place where the old one was", END);
    set(&st, NULL, "e", "1", END);
    cr_assert_eq(store_increment(&st, NULL, S("e"), hash_of(S("e")), 1, &sum), 0);
    cr_assert_eq(end_of(&st, NULL, "a"), 0u);
    cr_assert_eq(end_of(&st, NULL, "c"), END + 5000);
    cr_assert_eq(end_of(&st, NULL, "e"), END, "what is counted up goes when it would have gone");
    store_tell_time(&st, END);
    remove_ended(&st);
    assert_get(&st, NULL, "a", "2");
    assert_get(&st, NULL, "b", NULL);
    assert_get(&st, NULL, "c", "2");
    assert_get(&st, NULL, "d", NULL);
    assert_get(&st, NULL, "e", NULL);
    cr_assert_eq(store_count(&st, NULL), 2u);
    store_tell_time(&st, END + 5000);
    remove_ended(&st);
    cr_assert_eq(store_count(&st, NULL), 1u);
    store_deinit(&st);
}

Test(time, what_is_written_over_an_ended_key_stays)
{
    struct store st;
    int64_t sum;
    start(&st);
    set(&st, NULL, "a", "7", END);
    set(&st, NULL, "b", "7", END);
    set(&st, NULL, "c", "7", END);
    store_tell_time(&st, END);
    assert_get(&st, NULL, "a", NULL);
    set(&st, NULL, "a", "8", 0);
    cr_assert_eq(store_increment(&st, NULL, S("b"), hash_of(S("b")), 1, &sum), 0);
    cr_assert_eq(sum, 1, "an ended key counts as zero");
    cr_assert_eq(end_of(&st, NULL, "b"), 0u, "and gives no end on");
    set(&st, NULL, "c", "8", END + 10);
    remove_ended(&st);
    assert_get(&st, NULL, "a", "8");
    assert_get(&st, NULL, "b", "1");
    assert_get(&st, NULL, "c", "8");
    cr_assert_eq(store_count(&st, NULL), 3u);
    cr_assert_eq(st.keys_expired, 0u);
    store_deinit(&st);
}

Test(time, an_end_that_has_passed_already_is_gone_at_once)
{
    struct store st;
    struct txn t;
    start(&st);
    set(&st, NULL, "a", "1", NOW);
    assert_get(&st, NULL, "a", NULL);
    begin(&st, &t, TXN_PLAIN);
    set(&st, &t, "b", "1", 1);
    assert_get(&st, &t, "b", NULL);
    cr_assert_eq(store_commit(&st, &t), 0);
    assert_get(&st, NULL, "b", NULL);
    remove_ended(&st);
    cr_assert_eq(store_count(&st, NULL), 0u);
    cr_assert_eq(st.seq, 4u, "two writes, two removals");
    store_deinit(&st);
}

Test(time, a_flush_takes_those_that_end_along)
{
    struct store st;
    struct txn t;
    start(&st);
    for (unsigned long n = 0; n < 5000; n++) {
        check(store_set_until(&st, NULL, numbered(n), hash_of(numbered(n)), S("value"), END + n) == 0);
    }
    begin(&st, &t, TXN_PLAIN);
    cr_assert_eq(store_flush(&st, NULL), 0);
    cr_assert_not(store_has_ends(&st));
    set(&st, NULL, "k1", "new", END);
    store_tell_time(&st, END);
    assert_get(&st, &t, "k1", "value");
    assert_get(&st, &t, "k4999", "value");
    remove_ended(&st);
    assert_get(&st, &t, "k1", "value");
    assert_get(&st, NULL, "k1", NULL);
    store_rollback(&st, &t);
    remove_ended(&st);
    store_tell_time(&st, END + 5000);
    remove_ended(&st);
    cr_assert_eq(st.keys_expired, 1u);
    store_deinit(&st);
}

/* --- a transaction's time --- */

Test(time, of_a_transaction_is_that_of_its_begin)
{
    struct store st;
    struct txn before, after;
    start(&st);
    set(&st, NULL, "key", "value", END);
    begin(&st, &before, TXN_PLAIN);
    set(&st, &before, "own", "value", END);
    store_tell_time(&st, END);
    begin(&st, &after, TXN_PLAIN); /* of the same commit, at another time */
    for (int round = 0; round < 2; round++) {
        cr_assert_eq(store_time(&st, &before), NOW);
        cr_assert_eq(store_time(&st, &after), END);
        assert_get(&st, &before, "key", "value");
        assert_get(&st, &before, "own", "value");
        cr_assert_eq(end_of(&st, &before, "key"), END);
        cr_assert_eq(end_of(&st, &before, "own"), END);
        assert_get(&st, &after, "key", NULL);
        cr_assert_eq(end_of(&st, &after, "key"), 0u);
        assert_get(&st, NULL, "key", NULL);
        remove_ended(&st);
    }
    cr_assert_eq(store_commit(&st, &before), 0);
    assert_get(&st, NULL, "own", NULL);
    remove_ended(&st);
    cr_assert(is_removed(&st, "own"));
    store_rollback(&st, &after);
    store_deinit(&st);
}

Test(time, an_older_version_has_its_own_end)
{
    struct store st;
    struct txn first, second;
    start(&st);
    set(&st, NULL, "key", "1", END);
    begin(&st, &first, TXN_PLAIN);
    set(&st, NULL, "key", "2", 0);
    begin(&st, &second, TXN_PLAIN);
    set(&st, NULL, "key", "3", END + 5000);
    store_tell_time(&st, END + 1000);
    remove_ended(&st);
    cr_assert_eq(end_of(&st, &first, "key"), END);
    cr_assert_eq(end_of(&st, &second, "key"), 0u);
    cr_assert_eq(end_of(&st, NULL, "key"), END + 5000);
    assert_get(&st, &first, "key", "1");
    assert_get(&st, &second, "key", "2");
    assert_get(&st, NULL, "key", "3");
    cr_assert_eq(st.keys_expired, 0u);
    store_rollback(&st, &first);
    store_rollback(&st, &second);
    store_deinit(&st);
}

Test(time, a_version_that_had_ended_at_begin_stays_absent_when_it_is_history)
{
    struct store st;
    struct txn t;
    start(&st);
    set(&st, NULL, "key", "1", END);
    store_tell_time(&st, END);
    begin(&st, &t, TXN_SERIALIZABLE);
    set(&st, NULL, "key", "2", 0);
    assert_get(&st, &t, "key", NULL);
    cr_assert_eq(end_of(&st, &t, "key"), 0u);
    remove_ended(&st);
    assert_get(&st, NULL, "key", "2");
    store_rollback(&st, &t);
    store_deinit(&st);
}

/* --- who conflicts --- */

enum deed { NOTHING, END_COMES, REMOVED, SET_AGAIN, SET_AGAIN_AND_ENDED, DELETED, FLUSHED, PERSISTED, LATER_END };

static void act(struct store *st, enum deed deed)
{
    switch (deed) {
    case NOTHING:
        break;
    case END_COMES:
        store_tell_time(st, END);
        break;
    case REMOVED:
        store_tell_time(st, END);
        remove_ended(st);
        cr_assert(is_removed(st, "key"));
        break;
    case SET_AGAIN:
        store_tell_time(st, END);
        set(st, NULL, "key", "1", 0);
        break;
    case SET_AGAIN_AND_ENDED:
        set(st, NULL, "key", "1", END + 10000);
        store_tell_time(st, END + 10000);
        remove_ended(st);
        cr_assert(is_removed(st, "key"));
        break;
    case DELETED:
        del(st, NULL, "key");
        break;
    case FLUSHED:
        cr_assert_eq(store_flush(st, NULL), 0);
        break;
    case PERSISTED:
        set(st, NULL, "key", "1", 0);
        break;
    case LATER_END:
        set(st, NULL, "key", "1", END + 10000);
        break;
    }
}

/* What a transaction of this mode gets that read the key, begun at a time, after somebody else's deed. */
static int outcome(enum txn_mode mode, uint64_t begun_at, enum deed deed, bool writes)
{
    struct store st;
    struct txn t;
    start(&st);
    set(&st, NULL, "key", "1", END);
    store_tell_time(&st, begun_at);
    begin(&st, &t, mode);
    assert_get(&st, &t, "key", begun_at < END ? "1" : NULL);
    if (writes) {
        set(&st, &t, "written", "1", 0);
    }
    act(&st, deed);
    int rc = store_commit(&st, &t);
    assert_get(&st, NULL, "written", rc == 0 && writes ? "1" : NULL);
    store_deinit(&st);
    return rc;
}

Test(time, who_read_a_key_as_present)
{
    static const enum deed conflicts[] = {END_COMES, REMOVED, SET_AGAIN, SET_AGAIN_AND_ENDED, DELETED, FLUSHED, PERSISTED,
                                          LATER_END};
    for (size_t i = 0; i < sizeof(conflicts) / sizeof(conflicts[0]); i++) {
        cr_assert_eq(outcome(TXN_SERIALIZABLE, NOW, conflicts[i], true), ERR_CONFLICT, "deed %d", conflicts[i]);
        cr_assert_eq(outcome(TXN_SERIALIZABLE, NOW, conflicts[i], false), 0, "who only reads never conflicts");
        cr_assert_eq(outcome(TXN_PLAIN, NOW, conflicts[i], true), 0, "deed %d", conflicts[i]);
    }
    cr_assert_eq(outcome(TXN_SERIALIZABLE, NOW, NOTHING, true), 0);
}

Test(time, who_read_a_key_as_absent_since_its_time_had_passed)
{
    static const enum deed conflicts[] = {SET_AGAIN, SET_AGAIN_AND_ENDED, FLUSHED};
    for (size_t i = 0; i < sizeof(conflicts) / sizeof(conflicts[0]); i++) {
        cr_assert_eq(outcome(TXN_SERIALIZABLE, END, conflicts[i], true), ERR_CONFLICT, "deed %d", conflicts[i]);
        cr_assert_eq(outcome(TXN_PLAIN, END, conflicts[i], true), 0, "deed %d", conflicts[i]);
    }
    cr_assert_eq(outcome(TXN_SERIALIZABLE, END, NOTHING, true), 0);
    cr_assert_eq(outcome(TXN_SERIALIZABLE, END, END_COMES, true), 0);
    cr_assert_eq(outcome(TXN_SERIALIZABLE, END, REMOVED, true), 0, "its removal changes nothing for who saw none");
}

Test(time, a_key_made_and_ended_since_begin_is_a_conflict_for_who_read_none)
{
    struct store st;
    struct txn t;
    start(&st);
    begin(&st, &t, TXN_SERIALIZABLE);
    assert_get(&st, &t, "key", NULL);
    set(&st, &t, "written", "1", 0);
    set(&st, NULL, "key", "1", END);
    act(&st, REMOVED);
    cr_assert_eq(store_commit(&st, &t), ERR_CONFLICT);
    store_deinit(&st);
}

Test(time, an_own_key_that_ends_is_no_conflict)
{
    struct store st;
    struct txn t;
    start(&st);
    begin(&st, &t, TXN_SERIALIZABLE);
    set(&st, &t, "key", "1", END);
    assert_get(&st, &t, "key", "1");
    store_tell_time(&st, END + 10);
    assert_get(&st, &t, "key", "1");
    cr_assert_eq(store_commit(&st, &t), 0);
    assert_get(&st, NULL, "key", NULL);
    store_deinit(&st);
}

static int outcome_of_count(uint64_t begun_at, enum deed deed)
{
    struct store st;
    struct txn t;
    start(&st);
    set(&st, NULL, "key", "1", END);
    store_tell_time(&st, begun_at);
    begin(&st, &t, TXN_SERIALIZABLE);
    cr_assert_eq(store_count(&st, &t), 1u);
    set(&st, &t, "written", "1", 0);
    cr_assert_eq(store_count(&st, &t), 2u);
    act(&st, deed);
    cr_assert_eq(store_count(&st, &t), 2u, "deed %d", deed);
    int rc = store_commit(&st, &t);
    store_deinit(&st);
    return rc;
}

Test(time, who_counted_the_keys)
{
    cr_assert_eq(outcome_of_count(NOW, NOTHING), 0);
    cr_assert_eq(outcome_of_count(NOW, PERSISTED), 0, "no key came or went");
    cr_assert_eq(outcome_of_count(NOW, LATER_END), 0);
    cr_assert_eq(outcome_of_count(NOW, END_COMES), ERR_CONFLICT);
    cr_assert_eq(outcome_of_count(NOW, REMOVED), ERR_CONFLICT);
    cr_assert_eq(outcome_of_count(NOW, SET_AGAIN), ERR_CONFLICT);
    cr_assert_eq(outcome_of_count(END, NOTHING), 0);
    cr_assert_eq(outcome_of_count(END, REMOVED), ERR_CONFLICT, "it was counted");
}

Test(time, a_key_that_ended_and_came_back_in_its_place_conflicts_with_a_count)
{
    struct store st;
    struct txn t;
    start(&st);
    set(&st, NULL, "key", "1", END);
    begin(&st, &t, TXN_SERIALIZABLE);
    cr_assert_eq(store_count(&st, &t), 1u);
    set(&st, &t, "written", "1", 0);
    set(&st, NULL, "key", "2", END); /* no snapshot needs this version: the next takes its place */
    store_tell_time(&st, END);
    const struct entry *place = standing(&st, "key");
    size_t steps = 1000;
    cr_assert_eq(expiry_next(&st.current->expiry, END, &steps), place); /* that it left a slot behind tells of nothing then */
    set(&st, NULL, "key", "3", 0);
    cr_assert_eq(standing(&st, "key"), place);
    cr_assert_eq(store_commit(&st, &t), ERR_CONFLICT);
    store_deinit(&st);
}

Test(time, a_write_over_an_ended_key_counts_once)
{
    struct store st;
    struct txn t;
    start(&st);
    set(&st, NULL, "key", "1", END);
    store_tell_time(&st, END);
    begin(&st, &t, TXN_PLAIN);
    set(&st, &t, "key", "2", 0);
    cr_assert_eq(store_count(&st, &t), 1u);
    del(&st, &t, "key");
    cr_assert_eq(store_count(&st, &t), 0u);
    set(&st, &t, "key", "3", 0);
    cr_assert_eq(store_commit(&st, &t), 0);
    remove_ended(&st);
    cr_assert_eq(store_count(&st, NULL), 1u);
    assert_get(&st, NULL, "key", "3");
    store_deinit(&st);
}

/* --- watching --- */

/* Whether a watch of the key, begun at a time, sees what came after; other: another key was watched before, and the key written
 * then, so that its version lies above the snapshot. */
static bool watch_sees(uint64_t begun_at, enum deed deed, bool other)
{
    struct store st;
    struct txn t;
    start(&st);
    if (!other) {
        set(&st, NULL, "key", "1", END);
    }
    begin(&st, &t, TXN_PLAIN);
    if (other) {
        cr_assert_eq(store_watch(&st, &t, S("other"), hash_of(S("other"))), 0);
        set(&st, NULL, "key", "1", END);
    }
    store_tell_time(&st, begun_at);
    cr_assert_eq(store_watch(&st, &t, S("key"), hash_of(S("key"))), 0);
    act(&st, deed);
    bool sees = store_watched_changed(&st, &t);
    store_rollback(&st, &t);
    store_deinit(&st);
    return sees;
}

Test(time, a_watch_of_a_key_that_ends)
{
    static const enum deed seen[] = {END_COMES, REMOVED, SET_AGAIN, SET_AGAIN_AND_ENDED, DELETED, PERSISTED, LATER_END};
    for (int other = 0; other < 2; other++) {
        for (size_t i = 0; i < sizeof(seen) / sizeof(seen[0]); i++) {
            cr_assert(watch_sees(NOW, seen[i], other), "deed %d", seen[i]);
        }
        cr_assert_not(watch_sees(NOW, NOTHING, other));
    }
}

Test(time, a_watch_of_a_key_that_had_ended)
{
    for (int other = 0; other < 2; other++) {
        cr_assert_not(watch_sees(END, NOTHING, other));
        cr_assert_not(watch_sees(END, END_COMES, other));
        cr_assert_not(watch_sees(END, REMOVED, other), "it was absent, and is");
        cr_assert(watch_sees(END, SET_AGAIN, other));
        cr_assert(watch_sees(END, SET_AGAIN_AND_ENDED, other));
    }
}

/* --- what answers depend on --- */

Test(time, an_answer_does_not_wait_for_the_removal_of_an_ended_key)
{
    struct store st;
    struct journal j;
    struct txn t;
    start(&st);
    use_journal(&st, &j);
    j.holds = true;
    store_use_journal(&st, &j);
    set(&st, NULL, "key", "value", END);
    store_tell_time(&st, END);
    st.observed = 0;
    assert_get(&st, NULL, "key", NULL);
    cr_assert_eq(st.observed, 1u, "that it is absent depends on the end that it was given");
    remove_ended(&st);
    cr_assert_eq(st.seq, 2u);
    st.observed = 0;
    assert_get(&st, NULL, "key", NULL);
    cr_assert_eq(st.observed, 1u, "not on the removal");
    begin(&st, &t, TXN_PLAIN);
    st.observed = 0;
    assert_get(&st, &t, "key", NULL);
    cr_assert_eq(st.observed, 1u);
    store_rollback(&st, &t);
    store_settled(&st, 2);
    store_deinit(&st);
    journal_deinit(&j);
}

/* --- all memory comes back --- */

Test(time, gives_all_memory_back)
{
    size_t before = settled_memory();
    struct store st;
    struct txn t;
    start(&st);
    for (unsigned long n = 0; n < 2000; n++) {
        check(store_set_until(&st, NULL, numbered(n), hash_of(numbered(n)), S("value"), n % 2 == 0 ? END + n : 0) == 0);
    }
    begin(&st, &t, TXN_SERIALIZABLE);
    assert_get(&st, &t, "k2", "value");
    set(&st, &t, "k3", "other", END);
    store_tell_time(&st, END + 1000);
    (void)store_tend(&st);
    cr_assert_eq(store_flush(&st, NULL), 0);
    set(&st, NULL, "k1", "value", END);
    store_rollback(&st, &t);
    store_deinit(&st);
    cr_assert_eq(mem_used(), before);
}
