/* Outcomes of transactions in the journal and in a checkpoint: what is told when, what is written, what comes back. */
#include <stdio.h>
#include <stdlib.h>

#include "err.h"
#include "fault.h"
#include "hash.h"
#include "le.h"
#include "mem.h"
#include "tick.h"
#include "unit.h"

#define CLOCK 5000

static struct engine engine;
static struct tick tick;
static struct journal journal;
static struct session a;
static struct session b;

static void use_journal(void)
{
    journal_init(&journal, (size_t)1 << 20, FILE_HEADER_BYTES, RECORD_HEADER_BYTES);
    journal.holds = true;
    journal_add_spare(&journal);
    store_use_journal(&engine.store, &journal);
}

static void set_up(void)
{
    cr_assert_eq(hash_init(), 0);
    cr_assert_eq(fault_choose(getenv("TXKV_FAULT")), 0);
    cr_assert_eq(engine_init(&engine), 0);
    engine.store.outcomes.clock = CLOCK;
    tick_init(&tick);
    use_journal();
    session_init(&a, &engine);
    session_init(&b, &engine);
}

static void tear_down(void)
{
    mem_fail(0, false);
    session_deinit(&a);
    session_deinit(&b);
    engine_deinit(&engine);
    journal_deinit(&journal);
}

TestSuite(kept, .init = set_up, .fini = tear_down);

static void ignore(struct session *s)
{
    (void)s;
}

static void give(struct session *s, const char *text)
{
    cr_assert_eq(buf_append(&s->in, text, strlen(text)), 0);
    tick_add(&tick, s);
    while (!tick_is_idle(&tick)) {
        tick_run(&tick, ignore);
    }
}

/* What may be sent of the answers is exactly this; it is taken. */
static void check_sent(struct session *s, const char *wanted)
{
    size_t size = session_sendable(s);
    assert_slice(slice_of(buf_head(&s->out), size), slice_str(wanted));
    session_sent(s, size);
}

static void ask(struct session *s, const char *text, const char *wanted)
{
    give(s, text);
    check_sent(s, wanted);
}

static void wake(struct session *s, void *arg)
{
    (void)arg;
    tick_add(&tick, s);
}

/* Takes the pending batch: bytes gets it, and it is durable then. */
static void settle(struct buf *bytes)
{
    struct journal_batch batch;
    buf_init(bytes);
    journal_take(&journal, &batch);
    size_t header = batch.opens_stretch ? FILE_HEADER_BYTES : 0;
    cr_assert_eq(buf_append(bytes, buf_head(&batch.bytes) + header, buf_len(&batch.bytes) - header), 0);
    journal_done(&journal, &batch);
    store_settled(&engine.store, journal.durable);
    engine_wake(&engine, wake, NULL);
    while (!tick_is_idle(&tick)) {
        tick_run(&tick, ignore);
    }
}

/* A record that is not sealed yet: its check is none. */
static struct record_header header_of(const char *at)
{
    cr_assert_not_null(at);
    return (struct record_header){.length = le_get32(at + 8), .kind = le_get32(at + 12), .seq = le_get64(at + 16)};
}

/* Gives whole records to a store, as recovery does. */
static void replay(struct store *st, const struct buf *bytes)
{
    const char *at = buf_head(bytes);
    for (size_t left = buf_len(bytes); left > 0;) {
        struct record_header h = header_of(at);
        if (h.kind != RECORD_END) {
            cr_assert_eq(store_replay(st, h.seq, slice_of(at + RECORD_HEADER_BYTES, h.length)), 0);
        }
        at += RECORD_HEADER_BYTES + h.length;
        left -= RECORD_HEADER_BYTES + h.length;
    }
}

static void init_store(struct store *st)
{
    cr_assert_eq(store_init(st, &engine.store_limits, 4), 0);
    st->outcomes.clock = CLOCK;
}

static void check_value(struct store *st, const char *key, const char *wanted)
{
    struct slice value = slice_of("", 0);
    store_get(st, NULL, slice_str(key), hash_of(slice_str(key)), &value);
    assert_slice(value, slice_str(wanted));
}

/* --- nothing is told that could be lost --- */

Test(kept, a_commit_is_not_told_before_it_is_durable)
{
    struct buf bytes;
    ask(&a, "BEGIN ID t\nSET k 1\n", "OK\r\nOK\r\n");
    ask(&b, "OUTCOME t\n", "UNKNOWN\r\n");
    ask(&a, "COMMIT\n", "");
    ask(&b, "OUTCOME t\n", "");
    ask(&b, "PING\n", ""); /* stands behind it */
    settle(&bytes);
    check_sent(&a, "OK\r\n");
    check_sent(&b, "COMMITTED\r\n+PONG\r\n");
    ask(&b, "OUTCOME t\n", "COMMITTED\r\n");
    buf_deinit(&bytes);
}

Test(kept, a_refusal_as_done_waits_too)
{
    struct buf bytes;
    give(&a, "BEGIN ID t\nSET k 1\nCOMMIT\n");
    ask(&b, "BEGIN ID t\nSET k 2\nCOMMIT\n", "");
    settle(&bytes);
    give(&b, "GET k\n");
    const char *out = buf_head(&b.out);
    cr_assert_eq(session_sendable(&b), buf_len(&b.out));
    cr_assert_eq(strncmp(out, "ERR DONE ", 9), 0);
    cr_assert_eq(memcmp(out + buf_len(&b.out) - 5, "\r\n1\r\n", 5), 0);
    buf_deinit(&bytes);
}

Test(kept, what_is_not_committed_is_told_at_once)
{
    struct buf bytes;
    give(&a, "SET k 1\n");
    ask(&b, "BEGIN ID t\nSET k 2\nROLLBACK\nOUTCOME t\nOUTCOME u\n", "OK\r\nOK\r\nOK\r\nABORTED\r\nUNKNOWN\r\n");
    settle(&bytes);
    buf_deinit(&bytes);
}

/* --- the log --- */

Test(kept, the_outcome_is_the_first_operation_of_its_commit)
{
    struct buf bytes;
    struct record_op op;
    give(&a, "BEGIN ID some-token\nFLUSH\nSET k 1\nDEL k\nSET l 2\nCOMMIT\n");
    settle(&bytes);
    struct record_header h = header_of(buf_head(&bytes));
    struct slice payload = slice_of(buf_head(&bytes) + RECORD_HEADER_BYTES, h.length);
    cr_assert_eq(buf_len(&bytes), RECORD_HEADER_BYTES + h.length);
    cr_assert_eq(record_next(&payload, &op), 1);
    cr_assert_eq(op.kind, RECORD_OUTCOME);
    assert_slice(op.key, S("some-token"));
    cr_assert_eq(op.time, (uint64_t)CLOCK);
    buf_deinit(&bytes);
}

Test(kept, the_log_brings_committed_ones_back_and_no_others)
{
    struct buf bytes;
    struct store st;
    init_store(&st);
    give(&a, "BEGIN ID one\nSET k 1\nCOMMIT\n");
    give(&a, "BEGIN ID none\nSET k 2\nROLLBACK\n");
    give(&a, "BEGIN ID empty\nCOMMIT\nBEGIN READONLY ID reading\nGET k\nCOMMIT\n");
    give(&a, "BEGIN ID nothing\nDEL x\nCOMMIT\nBEGIN\nCOMMIT\nBEGIN ID open\nSET k 3\n");
    settle(&bytes);
    replay(&st, &bytes);
    cr_assert_eq(st.seq, 4u);
    cr_assert_eq(store_outcome(&st, S("one")), OUTCOME_COMMITTED);
    cr_assert_eq(store_outcome(&st, S("empty")), OUTCOME_COMMITTED);
    cr_assert_eq(store_outcome(&st, S("reading")), OUTCOME_COMMITTED);
    cr_assert_eq(store_outcome(&st, S("nothing")), OUTCOME_COMMITTED);
    cr_assert_eq(store_outcome(&st, S("none")), OUTCOME_UNKNOWN);
    cr_assert_eq(store_outcome(&st, S("open")), OUTCOME_UNKNOWN);
    check_value(&st, "k", "1");
    struct txn t;
    txn_init(&t);
    cr_assert_eq(store_begin_id(&st, &t, TXN_PLAIN, S("one")), ERR_DONE);
    cr_assert_eq(store_begin_id(&st, &t, TXN_PLAIN, S("open")), 0);
    store_rollback(&st, &t);
    store_deinit(&st);
    buf_deinit(&bytes);
}

Test(kept, a_reset_forgets_tokens_and_keeps_limits_and_time)
{
    struct buf bytes;
    struct store st;
    init_store(&st);
    st.outcomes.max = 77;
    st.outcomes.keep = 7;
    give(&a, "BEGIN ID one\nCOMMIT\n");
    settle(&bytes);
    replay(&st, &bytes);
    store_reset(&st);
    cr_assert_eq(store_outcome(&st, S("one")), OUTCOME_UNKNOWN);
    cr_assert_eq(st.outcomes.max, 77u);
    cr_assert_eq(st.outcomes.keep, 7u);
    cr_assert_eq(st.outcomes.clock, (uint64_t)CLOCK);
    store_deinit(&st);
    buf_deinit(&bytes);
}

/* --- where the commit does not go through --- */

Test(kept, a_full_disk_aborts_what_changes_nothing_too)
{
    journal.spares = 0;
    journal.no_space = true;
    ask(&a, "BEGIN READONLY ID t\nGET k\nCOMMIT\n",
        "OK\r\n\r\nERR READONLY the disk has no room for the log; nothing was applied; reads still work\r\n");
    ask(&b, "OUTCOME t\n", "ABORTED\r\n");
    ask(&a, "BEGIN READONLY\nCOMMIT\n", "OK\r\nOK\r\n");
}

Test(kept, without_memory_a_commit_is_aborted_or_whole)
{
    bool failed = true;
    for (unsigned long nth = 1; failed; nth++) {
        struct buf bytes;
        struct store st;
        init_store(&st);
        give(&a, "BEGIN ID t\nSET k 1\n");
        session_sent(&a, session_sendable(&a));
        mem_fail(nth, true);
        failed = store_commit(&engine.store, &a.txn) < 0;
        mem_fail(0, false);
        cr_assert_eq(store_outcome(&engine.store, S("t")), failed ? OUTCOME_ABORTED : OUTCOME_COMMITTED, "%lu", nth);
        cr_assert_eq(journal_has_batch(&journal), !failed);
        if (!failed) {
            cr_assert_gt(nth, 1u);
            settle(&bytes);
            replay(&st, &bytes);
            cr_assert_eq(store_outcome(&st, S("t")), OUTCOME_COMMITTED);
            buf_deinit(&bytes);
        }
        store_deinit(&st);
    }
}

Test(kept, a_record_fits_into_what_was_asked_for)
{
    char line[300];
    struct buf bytes;
    int len = snprintf(line, sizeof(line), "BEGIN ID %064d\n%sSET k %0100d\n", 7, "DEL y\nFLUSH\n", 1);
    cr_assert_lt((size_t)len, sizeof(line));
    give(&b, "SET x 1\n");
    settle(&bytes);
    buf_deinit(&bytes);
    give(&a, line);
    size_t asked = store_commit_bytes(&a.txn);
    give(&a, "COMMIT\n");
    settle(&bytes);
    cr_assert_leq(buf_len(&bytes), asked);
    buf_deinit(&bytes);
}

/* --- checkpoints --- */

static void commit_tokens(const char *prefix, int count)
{
    for (int i = 0; i < count; i++) {
        char line[64];
        snprintf(line, sizeof(line), "BEGIN ID %s%d\nSET %s%d 1\nCOMMIT\n", prefix, i, prefix, i);
        give(&a, line);
    }
}

static size_t count_outcomes(const struct buf *bytes)
{
    size_t count = 0;
    const char *at = buf_head(bytes);
    for (size_t left = buf_len(bytes); left > 0;) {
        struct record_header h = header_of(at);
        struct record_op op;
        struct slice payload = slice_of(at + RECORD_HEADER_BYTES, h.length);
        while (h.kind == RECORD_PART && record_next(&payload, &op) == 1) {
            count += op.kind == RECORD_OUTCOME;
        }
        at += RECORD_HEADER_BYTES + h.length;
        left -= RECORD_HEADER_BYTES + h.length;
    }
    return count;
}

/* A whole walk with something else going on between its steps; how many steps it took. */
static size_t walk(struct buf *bytes, void (*meanwhile)(size_t step))
{
    size_t steps = 1;
    store_walk_begin(&engine.store);
    for (; store_walk_step(&engine.store, 1000000); steps++) {
        if (meanwhile != NULL) {
            meanwhile(steps);
        }
    }
    walk_take(&engine.store.walk, bytes);
    store_walk_end(&engine.store);
    return steps;
}

static void commit_more(size_t step)
{
    char prefix[16];
    snprintf(prefix, sizeof(prefix), "later%zu-", step);
    commit_tokens(prefix, 2);
}

Test(kept, a_checkpoint_has_the_outcomes_as_of_its_commit_in_slices)
{
    struct buf bytes;
    struct store st;
    init_store(&st);
    commit_tokens("t", 1000);
    give(&a, "BEGIN ID none\nROLLBACK\n");
    size_t steps = walk(&bytes, commit_more);
    cr_assert_geq(steps, 4u);
    cr_assert_eq(count_outcomes(&bytes), 1000u);
    replay(&st, &bytes);
    cr_assert_eq(st.keys, 1000u);
    cr_assert_eq(st.seq, 1000u);
    for (int i = 0; i < 1000; i++) {
        char token[16];
        snprintf(token, sizeof(token), "t%d", i);
        cr_assert_eq(store_outcome(&st, slice_str(token)), OUTCOME_COMMITTED);
    }
    cr_assert_eq(store_outcome(&st, S("later1-0")), OUTCOME_UNKNOWN);
    cr_assert_eq(store_outcome(&st, S("none")), OUTCOME_UNKNOWN);
    cr_assert_eq(store_outcome(&engine.store, S("later1-0")), OUTCOME_COMMITTED);
    store_deinit(&st);
    buf_deinit(&bytes);
}

static void forget_all(size_t step)
{
    (void)step;
    engine.store.outcomes.clock = CLOCK + OUTCOME_KEEP_DEFAULT + 1;
    while (store_tend(&engine.store)) {
    }
}

Test(kept, what_grows_too_old_during_a_checkpoint_is_left_out)
{
    struct buf bytes;
    commit_tokens("t", 1000);
    walk(&bytes, forget_all);
    cr_assert_lt(count_outcomes(&bytes), 1000u);
    cr_assert_eq(engine.store.outcomes.tokens.count, 0u);
    buf_deinit(&bytes);
}

Test(kept, outcomes_of_a_checkpoint_come_through_a_second_one)
{
    struct buf first, second;
    struct store st;
    init_store(&st);
    commit_tokens("t", 300);
    walk(&first, NULL);
    replay(&st, &first);
    store_walk_begin(&st);
    while (store_walk_step(&st, 1000000)) {
    }
    walk_take(&st.walk, &second);
    store_walk_end(&st);
    cr_assert_eq(count_outcomes(&second), 300u);
    store_deinit(&st);
    buf_deinit(&first);
    buf_deinit(&second);
}

Test(kept, a_walk_without_memory_for_an_outcome_has_failed)
{
    commit_tokens("t", 1);
    store_walk_begin(&engine.store);
    mem_fail(1, true);
    bool more = store_walk_step(&engine.store, 1000);
    mem_fail(0, false);
    cr_assert_not(more);
    cr_assert(engine.store.walk.failed);
    store_walk_end(&engine.store);
}

/* --- time --- */

Test(kept, an_outcome_is_forgotten_in_time_and_may_be_begun_again)
{
    struct buf bytes;
    give(&a, "BEGIN ID t\nCOMMIT\n");
    settle(&bytes);
    buf_deinit(&bytes);
    session_sent(&a, session_sendable(&a));
    engine.store.outcomes.clock = CLOCK + OUTCOME_KEEP_DEFAULT;
    store_tend(&engine.store);
    ask(&b, "OUTCOME t\n", "COMMITTED\r\n");
    engine.store.outcomes.clock++;
    store_tend(&engine.store);
    ask(&b, "OUTCOME t\n", "UNKNOWN\r\n");
    ask(&b, "BEGIN ID t\n", "OK\r\n");
}

Test(kept, more_ids_than_are_remembered_are_refused_and_no_id_is_not)
{
    struct buf bytes;
    engine.store.outcomes.max = 2;
    commit_tokens("t", 2);
    settle(&bytes);
    buf_deinit(&bytes);
    session_sent(&a, session_sendable(&a));
    ask(&a, "BEGIN ID more\n",
        "ERR FULL no room for a further ID (--outcome-max), or no memory; try later, or without an ID\r\n");
    ask(&a, "ROLLBACK\nBEGIN\nROLLBACK\n", "OK\r\nOK\r\nOK\r\n");
    ask(&b, "OUTCOME more\n", "UNKNOWN\r\n");
}
