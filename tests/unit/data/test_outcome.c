/* What became of transactions with an ID: states, room, time, lack of memory, walks. */
#include "data.h"
#include "outcome.h"

static struct outcomes o;
static struct txn *const nobody = NULL; /* whose token it is does not matter here */

static void set_up(void)
{
    cr_assert_eq(hash_init(), 0);
    cr_assert_eq(outcomes_init(&o), 0);
    o.clock = 1000;
}

static void tear_down(void)
{
    mem_fail(0, false);
    outcomes_deinit(&o);
}

TestSuite(outcome, .init = set_up, .fini = tear_down);

static enum outcome_state state_of(struct slice token)
{
    return outcome_state(outcome_find(&o, token));
}

static struct outcome *open_token(struct slice token)
{
    struct outcome *at = outcome_open(&o, outcome_find(&o, token), token, nobody);
    check(at != NULL);
    return at;
}

static void commit(struct slice token)
{
    static uint64_t seq;
    outcome_commit(&o, open_token(token), ++seq);
}

static void abort_token(struct slice token)
{
    outcome_abort(&o, open_token(token));
}

/* --- outcome_open, outcome_commit, outcome_abort --- */

Test(outcome, a_token_goes_from_unknown_to_open_to_how_it_ended)
{
    int owner;
    struct txn *t = (struct txn *)(void *)&owner;
    cr_assert_eq(state_of(S("a")), OUTCOME_UNKNOWN);
    struct outcome *at = outcome_open(&o, NULL, S("a"), t);
    cr_assert_eq(state_of(S("a")), OUTCOME_OPEN);
    cr_assert_eq(outcome_txn(at), t);
    assert_slice(outcome_token(at), S("a"));
    outcome_commit(&o, at, 7);
    cr_assert_eq(state_of(S("a")), OUTCOME_COMMITTED);
    cr_assert_eq(outcome_seq(outcome_find(&o, S("a"))), 7u);
    cr_assert_eq(outcome_time(outcome_find(&o, S("a"))), 1000u);
    outcome_abort(&o, open_token(S("b")));
    cr_assert_eq(state_of(S("b")), OUTCOME_ABORTED);
    cr_assert_eq(state_of(S("c")), OUTCOME_UNKNOWN);
}

Test(outcome, an_aborted_token_is_begun_again_without_further_room)
{
    o.max = 1;
    for (int i = 0; i < 100; i++) {
        abort_token(S("again"));
        cr_assert_eq(state_of(S("again")), OUTCOME_ABORTED);
    }
    commit(S("again"));
    cr_assert_eq(state_of(S("again")), OUTCOME_COMMITTED);
}

Test(outcome, tokens_of_every_length_and_content)
{
    char token[OUTCOME_TOKEN_MAX];
    for (size_t len = 1; len <= OUTCOME_TOKEN_MAX; len++) {
        memset(token, 'a', sizeof(token));
        commit(slice_of(token, len));
        token[len - 1] = 'b';
        abort_token(slice_of(token, len));
    }
    for (size_t len = 1; len <= OUTCOME_TOKEN_MAX; len++) {
        memset(token, 'a', sizeof(token));
        cr_assert_eq(state_of(slice_of(token, len)), OUTCOME_COMMITTED);
        token[len - 1] = 'b';
        cr_assert_eq(state_of(slice_of(token, len)), OUTCOME_ABORTED);
    }
}

Test(outcome, nothing_is_left_of_what_was_forgotten)
{
    empty_pools();
    size_t before = mem_used();
    for (unsigned long i = 0; i < 5000; i++) {
        if (i % 3 == 0) {
            abort_token(numbered(i));
        } else {
            commit(numbered(i));
        }
    }
    outcomes_clear(&o);
    empty_pools();
    cr_assert_eq(mem_used(), before);
    commit(S("a"));
    cr_assert_eq(state_of(S("a")), OUTCOME_COMMITTED);
}

/* --- room --- */

Test(outcome, committed_ones_that_are_young_leave_no_room)
{
    o.max = 3;
    commit(S("a"));
    commit(S("b"));
    commit(S("c"));
    cr_assert_null(outcome_open(&o, NULL, S("d"), nobody));
    cr_assert_eq(state_of(S("d")), OUTCOME_UNKNOWN);
    cr_assert_eq(state_of(S("a")), OUTCOME_COMMITTED);
    o.clock += o.keep;
    cr_assert_null(outcome_open(&o, NULL, S("d"), nobody), "the second in which they committed had begun before");
    o.clock++;
    commit(S("d"));
    cr_assert_eq(state_of(S("a")), OUTCOME_UNKNOWN);
    cr_assert_eq(state_of(S("b")), OUTCOME_COMMITTED);
}

Test(outcome, aborted_ones_make_room_the_oldest_first_and_open_ones_stay)
{
    o.max = 4;
    abort_token(S("a"));
    abort_token(S("b"));
    commit(S("c"));
    open_token(S("d"));
    open_token(S("e"));
    cr_assert_eq(state_of(S("a")), OUTCOME_UNKNOWN);
    cr_assert_eq(state_of(S("b")), OUTCOME_ABORTED);
    open_token(S("f"));
    cr_assert_eq(state_of(S("b")), OUTCOME_UNKNOWN);
    cr_assert_null(outcome_open(&o, NULL, S("g"), nobody));
    o.clock += 2 * o.keep; /* for a transaction that lasts, too */
    open_token(S("g"));
    cr_assert_eq(state_of(S("c")), OUTCOME_UNKNOWN);
    cr_assert_null(outcome_open(&o, NULL, S("h"), nobody));
    cr_assert_eq(state_of(S("d")), OUTCOME_OPEN);
    outcome_abort(&o, outcome_find(&o, S("d")));
    outcome_abort(&o, outcome_find(&o, S("e")));
    outcome_abort(&o, outcome_find(&o, S("f")));
    outcome_abort(&o, outcome_find(&o, S("g")));
}

Test(outcome, one_that_is_begun_again_is_as_young_as_its_last_end)
{
    o.max = 2;
    abort_token(S("a"));
    abort_token(S("b"));
    abort_token(S("a"));
    abort_token(S("c"));
    cr_assert_eq(state_of(S("b")), OUTCOME_UNKNOWN);
    cr_assert_eq(state_of(S("a")), OUTCOME_ABORTED);
}

/* --- outcomes_expire --- */

Test(outcome, what_was_kept_long_enough_goes_in_slices)
{
    for (unsigned long i = 0; i < 100; i++) {
        commit(numbered(i));
        abort_token(numbered(1000 + i));
    }
    o.clock += 10;
    commit(S("young"));
    o.clock += o.keep - 10;
    cr_assert_not(outcomes_expire(&o, 10));
    cr_assert_eq(o.tokens.count, 201u);
    o.clock++;
    cr_assert(outcomes_expire(&o, 0));
    size_t slices = 1;
    while (outcomes_expire(&o, 10)) {
        slices++;
        cr_assert_eq(o.tokens.count, 201 - 10 * (slices - 1));
    }
    cr_assert_eq(slices, 20u);
    cr_assert_eq(o.tokens.count, 1u);
    cr_assert_eq(state_of(S("young")), OUTCOME_COMMITTED);
}

Test(outcome, a_clock_that_was_never_told_forgets_nothing)
{
    o.clock = 0;
    commit(S("a"));
    cr_assert_not(outcomes_expire(&o, 10));
    cr_assert_eq(state_of(S("a")), OUTCOME_COMMITTED);
}

/* --- memory --- */

Test(outcome, without_memory_nothing_is_begun)
{
    commit(S("a"));
    for (unsigned long nth = 1;; nth++) {
        empty_pools();
        mem_fail(nth, true);
        struct outcome *at = outcome_open(&o, NULL, S("some other"), nobody);
        mem_fail(0, false);
        if (at != NULL) {
            cr_assert_gt(nth, 2u);
            outcome_abort(&o, at);
            break;
        }
        cr_assert_eq(state_of(S("some other")), OUTCOME_UNKNOWN);
        cr_assert_eq(o.tokens.count, 1u);
    }
    mem_fail(1, true); /* what has begun can end */
    outcome_commit(&o, open_token(S("some other")), 1000);
    mem_fail(0, false);
    cr_assert_eq(state_of(S("some other")), OUTCOME_COMMITTED);
    mem_fail(1, true);
    cr_assert_eq(outcome_restore(&o, S("third"), o.clock, 1001), -1);
    mem_fail(0, false);
}

/* --- outcome_restore --- */

Test(outcome, a_file_s_outcomes_keep_their_age)
{
    cr_assert_eq(outcome_restore(&o, S("too old"), o.clock - o.keep - 1, 1), 0);
    cr_assert_eq(outcome_restore(&o, S("old"), o.clock - o.keep, 2), 0);
    cr_assert_eq(outcome_restore(&o, S("young"), o.clock, 3), 0);
    cr_assert_eq(state_of(S("too old")), OUTCOME_UNKNOWN);
    cr_assert_eq(state_of(S("old")), OUTCOME_COMMITTED);
    cr_assert_eq(outcome_seq(outcome_find(&o, S("old"))), 2u);
    o.clock++;
    outcomes_expire(&o, 10);
    cr_assert_eq(state_of(S("old")), OUTCOME_UNKNOWN);
    cr_assert_eq(state_of(S("young")), OUTCOME_COMMITTED);
}

Test(outcome, a_time_of_the_future_counts_as_now)
{
    cr_assert_eq(outcome_restore(&o, S("a"), o.clock + 1000000, 1), 0);
    o.clock += o.keep + 1;
    outcomes_expire(&o, 10);
    cr_assert_eq(state_of(S("a")), OUTCOME_UNKNOWN);
}

Test(outcome, a_token_that_was_used_again_long_after_counts_as_of_then)
{
    cr_assert_eq(outcome_restore(&o, S("a"), o.clock - 500, 1), 0);
    cr_assert_eq(outcome_restore(&o, S("b"), o.clock - 400, 2), 0);
    cr_assert_eq(outcome_restore(&o, S("a"), o.clock, 3), 0);
    cr_assert_eq(o.tokens.count, 2u);
    outcomes_walk_begin(&o);
    assert_slice(outcome_token(outcomes_walk_next(&o)), S("b"));
    assert_slice(outcome_token(outcomes_walk_next(&o)), S("a"));
    cr_assert_null(outcomes_walk_next(&o));
    o.clock += 400;
    outcomes_expire(&o, 10);
    cr_assert_eq(state_of(S("b")), OUTCOME_UNKNOWN);
    cr_assert_eq(state_of(S("a")), OUTCOME_COMMITTED);
}

Test(outcome, more_than_there_is_room_for_is_kept_all_the_same)
{
    o.max = 10;
    for (unsigned long i = 0; i < 20; i++) {
        cr_assert_eq(outcome_restore(&o, numbered(i), o.clock, i), 0);
    }
    cr_assert_null(outcome_open(&o, NULL, S("new"), nobody));
    for (unsigned long i = 0; i < 20; i++) {
        cr_assert_eq(state_of(numbered(i)), OUTCOME_COMMITTED);
    }
}

/* --- walking --- */

Test(outcome, a_walk_meets_the_committed_ones_in_their_order)
{
    outcomes_walk_begin(&o);
    cr_assert_null(outcomes_walk_next(&o));
    for (unsigned long i = 0; i < 100; i++) {
        commit(numbered(i));
        abort_token(numbered(1000 + i));
    }
    open_token(S("open"));
    outcomes_walk_begin(&o);
    for (unsigned long i = 0; i < 100; i++) {
        assert_slice(outcome_token(outcomes_walk_next(&o)), numbered(i));
    }
    cr_assert_null(outcomes_walk_next(&o));
    outcome_abort(&o, outcome_find(&o, S("open")));
}

Test(outcome, what_is_forgotten_under_a_walk_is_passed_over)
{
    for (unsigned long i = 0; i < 10; i++) {
        commit(numbered(i));
        o.clock++;
    }
    outcomes_walk_begin(&o);
    assert_slice(outcome_token(outcomes_walk_next(&o)), numbered(0));
    o.clock += o.keep - 4; /* the first six are one second over it */
    outcomes_expire(&o, 100);
    cr_assert_eq(o.tokens.count, 4u);
    assert_slice(outcome_token(outcomes_walk_next(&o)), numbered(6));
    commit(S("new"));
    for (unsigned long i = 7; i < 10; i++) {
        assert_slice(outcome_token(outcomes_walk_next(&o)), numbered(i));
    }
    assert_slice(outcome_token(outcomes_walk_next(&o)), S("new"));
    cr_assert_null(outcomes_walk_next(&o));
}
