#include "session.h"

#include <assert.h>
#include <stdio.h>

#include "err.h"
#include "fault.h"
#include "mem.h"

#define SMALL_ANSWER 640 /* bytes that any answer but a value fits into */

static void wake_nobody(struct session *s)
{
    (void)s;
}

int engine_init(struct engine *e)
{
    *e = (struct engine){
        .store_limits = {.txn = {.bytes = (size_t)10 << 20, .keys = 10000}, .history_bytes = (size_t)256 << 20},
        .limits = {.command = {COMMAND_KEY_BYTES_DEFAULT, COMMAND_VALUE_BYTES_DEFAULT},
                   .answer_bytes = (size_t)8 << 20,
                   .pending_bytes = (size_t)1 << 20},
        .lend_min = SIZE_MAX,
        .plain_mode = TXN_PLAIN,
        .wake = wake_nobody,
    };
    txn_init(&e->single);
    return store_init(&e->store, &e->store_limits, STORE_PARTITION_BITS);
}

void engine_deinit(struct engine *e)
{
    for (struct errand *at; (at = engine_take_errand(e)) != NULL;) {
        mem_free(at);
    }
    store_deinit(&e->store);
}

/* --- waiting --- */

static void wait_for_journal(struct session *s)
{
    if (s->waits) {
        return;
    }
    struct engine *e = s->engine;
    s->waits = true;
    s->wait_prev = NULL;
    s->wait_next = e->waiting;
    if (e->waiting != NULL) {
        e->waiting->wait_prev = s;
    }
    e->waiting = s;
}

static void end_pause_of(struct session *s)
{
    s->engine->paused -= s->paused ? 1 : 0;
    s->paused = false;
    session_stall(s);
}

void session_unwait(struct session *s)
{
    if (s->errand != NULL) {
        s->errand->session = NULL;
        s->errand = NULL;
    }
    command_forget_listing(s);
    end_pause_of(s);
    if (!s->waits) {
        return;
    }
    *(s->wait_prev != NULL ? &s->wait_prev->wait_next : &s->engine->waiting) = s->wait_next;
    if (s->wait_next != NULL) {
        s->wait_next->wait_prev = s->wait_prev;
    }
    s->waits = false;
    s->engine->blocked -= s->blocked;
    s->blocked = false;
    session_stall(s);
}

static void drop_done_holds(struct session *s)
{
    while (s->hold_count > 0 && s->holds[0].batch <= s->engine->store.journal->done) {
        s->hold_count--;
        memmove(&s->holds[0], &s->holds[1], s->hold_count * sizeof(s->holds[0]));
    }
}

size_t engine_wake(struct engine *e, void (*wake)(struct session *s, void *arg), void *arg)
{
    size_t woken = 0;
    struct session *next;
    struct session *first = e->waiting;
    e->waiting = NULL;
    e->blocked = 0;
    for (struct session *s = first; s != NULL; s = next) {
        bool goes_on = s->blocked;
        unsigned before = s->hold_count;
        next = s->wait_next;
        s->waits = false;
        s->blocked = false;
        session_stall(s);
        drop_done_holds(s);
        if (s->hold_count > 0) {
            wait_for_journal(s);
        }
        if (goes_on || s->hold_count < before) {
            woken++;
            wake(s, arg);
        }
    }
    return woken;
}

/* Holds what was answered from `from` (a length of `out`) on until commit seq, not durable yet, is durable. */
static void hold(struct session *s, size_t from, uint64_t seq)
{
    uint64_t batch = journal_batch_of(s->engine->store.journal, seq);
    drop_done_holds(s);
    if (s->hold_count > 0 && s->holds[s->hold_count - 1].batch >= batch) {
        return; /* it stands behind what waits at least as long */
    }
    assert(s->hold_count < SESSION_HOLDS_MAX);
    s->holds[s->hold_count++] = (struct hold){s->out_base + from, batch};
    s->engine->store.journal->waiters += batch == s->engine->store.journal->batch;
    wait_for_journal(s);
}

size_t session_sendable(struct session *s)
{
    size_t all = buf_len(&s->out);
    if (s->hold_count == 0) {
        return all;
    }
    drop_done_holds(s);
    return s->hold_count == 0 ? all : (size_t)(s->holds[0].from - s->out_base);
}

void session_sent(struct session *s, size_t size)
{
    buf_consume(&s->out, size);
    s->out_base += size;
    CRASH_POINT(answers_sent);
}

/* What is queued may take no more than a transaction may hold. */
static size_t queue_bytes(const struct session *s)
{
    size_t most = store_command_bytes(2 * RECORD_OP_BYTES_MAX + s->engine->store_limits.txn.bytes);
    size_t queued = s->multi != NULL && s->multi->open ? s->multi->bytes : 0;
    return queued < most ? queued : most;
}

size_t session_record_bytes(const struct session *s, const struct request *r)
{
    if (r->command->flags & COMMAND_RUNS) {
        return queue_bytes(s);
    }
    size_t grown = r->command->flags & COMMAND_GROWS ? s->engine->limits.command.value_bytes : 0;
    size_t operations = r->command->flags & COMMAND_MORE_KEYS ? r->count * RECORD_OP_BYTES_MAX : 0;
    return r->command->flags & COMMAND_WRITES ? store_command_bytes(r->raw.consumed + grown + operations) : 0;
}

/* As session_record_bytes, for what may be queued, or belong to a transaction. */
static size_t record_bytes(const struct session *s, const struct request *r)
{
    if (r->error < 0 || s->txn.state == TXN_FAILED) {
        return 0;
    }
    if (s->txn.state == TXN_OPEN) {
        bool records = s->txn.writes + s->txn.flushed > 0 || s->txn.outcome != NULL;
        return r->command->flags & COMMAND_COMMITS && records ? store_commit_bytes(&s->txn) : 0;
    }
    return command_queues(s, r) ? 0 : session_record_bytes(s, r);
}

/* --- pauses --- */

static bool is_for_guests(const struct request *r)
{
    return r->error == 0 && r->command->flags & COMMAND_GUEST;
}

/* What is refused is refused at once: nothing is run for it. */
static bool waits_for_pause(const struct session *s, const struct request *r)
{
    enum pause pause = s->engine->pause;
    return pause != PAUSE_NONE && r->error == 0 && (!session_is_guest(s) || is_for_guests(r)) &&
           (pause == PAUSE_ALL || record_bytes(s, r) > 0) && !FAULT(pause_not_kept);
}

void engine_pause(struct engine *e, enum pause pause, uint64_t until_ms)
{
    e->pause = pause > e->pause ? pause : e->pause;
    e->store.is_paused = true;
    e->pause_until_ms = until_ms > e->pause_until_ms ? until_ms : e->pause_until_ms;
}

void engine_unpause(struct engine *e)
{
    e->pause = PAUSE_NONE;
    e->pause_until_ms = 0;
    e->store.is_paused = false;
    for (struct session *s = e->first; s != NULL && e->paused > 0; s = s->all_next) {
        if (s->paused) {
            end_pause_of(s);
            e->wake(s);
        }
    }
}

bool session_admits(struct session *s, const struct request *r)
{
    if (waits_for_pause(s, r)) {
        s->engine->paused++;
        s->paused = true;
        s->stalled = true;
        return false;
    }
    size_t bytes = s->engine->store.journal == NULL ? 0 : record_bytes(s, r);
    if (bytes == 0 || journal_admit(s->engine->store.journal, bytes) != JOURNAL_LATER) {
        return true; /* where there is no space, session_run says so */
    }
    s->blocked = true;
    session_stall(s);
    s->engine->blocked++;
    wait_for_journal(s);
    return false;
}

/* --- errands --- */

struct errand *engine_take_errand(struct engine *e)
{
    struct errand *first = e->errands;
    if (first != NULL) {
        e->errands = first->next;
        first->next = NULL;
    }
    return first;
}

void session_ask(struct session *s, enum errand_kind kind, struct slice name)
{
    struct errand *errand = mem_calloc(sizeof(*errand));
    if (errand == NULL) {
        session_error(s, ERR_FULL, "no memory for this");
        return;
    }
    assert(name.len < sizeof(errand->name));
    errand->kind = kind;
    if (name.len > 0) { /* memcpy takes no NULL, not even for nothing */
        memcpy(errand->name, name.data, name.len);
    }
    errand->session = s;
    s->errand = errand;
    session_stall(s);
    struct errand **last = &s->engine->errands;
    while (*last != NULL) {
        last = &(*last)->next;
    }
    *last = errand;
}

void errand_done(struct errand *errand, int err, const char *text, void (*wake)(struct session *s, void *arg), void *arg)
{
    struct session *s = errand->session;
    if (s != NULL) {
        bool silent = s->replies == REPLIES_OFF || s->replies == REPLIES_SKIP;
        s->errand = NULL;
        session_stall(s);
        s->replies = s->replies == REPLIES_SKIP ? REPLIES_ON : s->replies;
        if (!silent && (text == NULL ? s->proto->ok(&s->out) : s->proto->error(&s->out, err, text)) < 0) {
            s->state = SESSION_BROKEN;
        }
        wake(s, arg);
    }
    mem_free(errand);
}

void session_init(struct session *s, struct engine *engine)
{
    *s = (struct session){.engine = engine, .proto = &proto_text, .id = ++engine->sessions};
    engine->sessions_now++;
    s->decoder.guest = engine->password != NULL;
    s->since_ms = engine->store.now_ms;
    s->active_ms = engine->store.now_ms;
    s->all_prev = engine->last;
    *(engine->last != NULL ? &engine->last->all_next : &engine->first) = s;
    engine->last = s;
    buf_init(&s->in);
    buf_init(&s->out);
    txn_init(&s->txn);
}

void session_deinit(struct session *s)
{
    assert(!s->ready && !s->later && s->group_requests == 0);
    session_unwait(s);
    session_reset(s);
    s->engine->sessions_now--;
    *(s->all_prev != NULL ? &s->all_prev->all_next : &s->engine->first) = s->all_next;
    *(s->all_next != NULL ? &s->all_next->all_prev : &s->engine->last) = s->all_prev;
    mem_free(s->lib_name);
    mem_free(s->lib_version);
    buf_deinit(&s->in);
    buf_deinit(&s->out);
}

void session_reset(struct session *s)
{
    store_rollback(&s->engine->store, &s->txn);
    command_forget_multi(s);
    mem_free(s->name);
    s->name = NULL;
    s->replies = REPLIES_ON;
    if (s->engine->password != NULL) {
        s->decoder.guest = true;
        s->decoder.scanned = 0; /* what has come of a further request is judged again */
        s->more = true;
    }
}

size_t session_pending(const struct session *s)
{
    return buf_len(&s->out) + s->unsent;
}

bool session_can_run(const struct session *s)
{
    return s->state == SESSION_OPEN && !s->stalled &&
           (session_pending(s) <= s->engine->limits.pending_bytes || FAULT(no_output_limit));
}

struct txn *session_txn(struct session *s)
{
    return s->txn.state == TXN_OPEN ? &s->txn : s->scope;
}

/* An error makes the transaction fail. Its line, which stands at mark of the output, is the cause, in the protocol's own words. */
static void fail_transaction(struct session *s, size_t mark)
{
    if (s->txn.state == TXN_OPEN && !FAULT(failed_transaction_commits)) {
        char why[sizeof(s->txn.why)] = "";
        size_t begin = mark + strlen(s->proto->error_sign);
        size_t end = buf_len(&s->out) - 2; /* without CRLF */
        if (buf_len(&s->out) > mark) { /* there was memory for it */
            snprintf(why, sizeof(why), "%.*s", (int)(end - begin), buf_head(&s->out) + begin);
        }
        store_fail(&s->engine->store, &s->txn, ERR_ABORTED, why);
    }
}

void session_error(struct session *s, int err, const char *text)
{
    size_t mark = buf_len(&s->out);
    session_answer(s, s->proto->error(&s->out, err, text));
    fail_transaction(s, mark);
}

void session_complain(struct session *s, const char *text)
{
    size_t mark = buf_len(&s->out);
    session_answer(s, s->proto->complaint(&s->out, text));
    fail_transaction(s, mark);
}

void session_uncarried(struct session *s)
{
    session_error(s, ERR_BINARY, "the value holds CR or LF, which a line cannot carry; read it through RESP");
}

/* Any command in a failed transaction: nothing runs until COMMIT or ROLLBACK ends it. */
static void run_failed(struct session *s, const struct request *r)
{
    struct txn *t = &s->txn;
    bool ends = r->error == 0 && r->command->flags & COMMAND_ENDS;
    bool always = r->error == 0 && r->command->flags & COMMAND_ALWAYS;
    if (always) {
        r->command->run(s, r);
        return;
    }
    char text[256];
    snprintf(text, sizeof(text), "%s (%s)",
             ends ? "the transaction is over, nothing of it was applied" : "nothing runs until COMMIT or ROLLBACK", t->why);
    session_answer(s, s->proto->error(&s->out, t->cause, text));
    if (ends) {
        store_rollback(&s->engine->store, t);
    }
}

static void run_wrong(struct session *s, const struct request *r)
{
    char why[448];
    bool begins = r->command != NULL && r->command->flags & COMMAND_BEGINS;
    command_explain(r, &s->engine->limits.command, why, sizeof(why));
    if (r->command != NULL && r->command->flags & COMMAND_RUNS) {
        command_refuse_exec(s, why);
        return;
    }
    session_error(s, r->error, why);
    if (begins && s->txn.state == TXN_NONE) {
        store_fail(&s->engine->store, &s->txn, ERR_ABORTED, "its BEGIN was refused");
    }
}

/* A write for which the disk has no room. A transaction that could not be committed is over. */
static void run_without_space(struct session *s)
{
    if (s->txn.state == TXN_OPEN) {
        store_rollback(&s->engine->store, &s->txn);
        session_error(s, ERR_READONLY, "the disk has no room for the log; nothing was applied; reads still work");
    } else {
        command_forget_multi(s);
        session_error(s, ERR_READONLY, "the disk has no room for the log; reads still work, try again later");
    }
}

static bool lacks_space(struct session *s, const struct request *r)
{
    size_t bytes = record_bytes(s, r);
    return bytes > 0 && journal_admit(s->engine->store.journal, bytes) == JOURNAL_NO_SPACE;
}

/* As run_command, with a journal: where commits are to be durable before they are shown, the answer waits for what it depends
 * on. Out of line: a server in memory only, which never runs it, should not save its registers. */
static __attribute__((noinline)) void run_recorded(struct session *s, const struct request *r, size_t mark)
{
    struct store *st = &s->engine->store;
    uint64_t before = st->seq;
    if (lacks_space(s, r)) {
        run_without_space(s);
        return;
    }
    st->observed = 0;
    r->command->run(s, r);
    uint64_t needed = st->seq != before ? st->seq : st->observed;
    if (st->journal->holds && needed > st->journal->durable && !FAULT(acknowledged_early)) {
        hold(s, mark, needed);
    }
}

static void run_command(struct session *s, const struct request *r, size_t mark)
{
    const struct store *st = &s->engine->store;
    uint64_t before = st->seq;
    if (st->journal != NULL) {
        run_recorded(s, r, mark);
    } else {
        r->command->run(s, r);
    }
    if (st->seq != before) {
        s->last_seq = st->seq;
    }
}

/* All that one who has not said the password gets. */
static void refuse_guest(struct session *s, const struct request *r)
{
    char why[448];
    if (s->proto->kind == PROTO_TEXT) {
        session_error(s, ERR_DENIED, "this server has a password, which comes first: AUTH password");
    } else if (r->error < 0) {
        command_explain(r, &s->engine->limits.command, why, sizeof(why));
        session_error(s, r->error, why);
    } else {
        session_complain(s, "NOAUTH Authentication required.");
    }
}

/* Whether the answer that is written now is one that the client wants. `before` is what it wanted when the request came. */
static bool is_unwanted(const struct session *s, enum replies before)
{
    return (before == REPLIES_OFF || before == REPLIES_SKIP) && s->replies != REPLIES_ON;
}

/* What is left to do of a request that changed, or found changed, what its client gets. */
static __attribute__((noinline)) void end_request(struct session *s, enum replies before, size_t mark)
{
    if (is_unwanted(s, before)) {
        buf_truncate(&s->out, mark);
    }
    if (s->replies == REPLIES_SKIP_NEXT) {
        s->replies = REPLIES_SKIP;
    } else if (s->replies == REPLIES_SKIP && s->errand == NULL && s->listing == NULL) {
        s->replies = REPLIES_ON;
    }
    if (s->ends) {
        session_close(s);
    }
}

/* Makes room for an answer other than a value, so that nothing else can fail; false without memory. */
static bool begin_answer(struct session *s)
{
    s->answer_failed = false;
    if (buf_reserve(&s->out, SMALL_ANSWER) == NULL) {
        s->state = SESSION_BROKEN;
        return false;
    }
    return true;
}

/* Of an answer that began at mark. `replies` and `ends` are loaded together: a member beside them that each request stores would
 * make the load wait for the store, and so for all that the request loaded from memory before it. */
static void end_answer(struct session *s, enum replies before, size_t mark)
{
    if (s->answer_failed) {
        buf_truncate(&s->out, mark);
        session_error(s, ERR_FULL, "no memory for the answer");
    }
    if (before != REPLIES_ON || s->replies != REPLIES_ON || s->ends) {
        end_request(s, before, mark);
    }
}

void session_list(struct session *s)
{
    size_t mark = buf_len(&s->out);
    enum replies before = s->replies;
    if (begin_answer(s)) {
        command_continue(s);
        end_answer(s, before, mark);
    }
}

void session_run(struct session *s, const struct request *r)
{
    size_t mark = buf_len(&s->out);
    if (!begin_answer(s)) {
        return;
    }
    enum replies before = s->replies;
    s->command = r->command;
    s->sub = NULL;
    if (session_is_guest(s) && !is_for_guests(r) && !FAULT(password_not_asked)) {
        refuse_guest(s, r);
    } else if (s->multi != NULL && command_queues(s, r)) {
        command_queue(s, r);
    } else if (s->txn.state == TXN_FAILED) {
        run_failed(s, r);
    } else if (s->txn.state == TXN_OPEN && r->command != NULL && r->command->flags & COMMAND_BEGINS &&
               !r->raw.too_long) {
        session_answer(s, s->proto->error(&s->out, ERR_INTX, "a transaction is open and goes on; COMMIT or ROLLBACK ends it"));
    } else if (r->error < 0) {
        run_wrong(s, r);
    } else {
        run_command(s, r, mark);
    }
    end_answer(s, before, mark);
}

void session_run_queued(struct session *s, const struct request *r)
{
    size_t mark = buf_len(&s->out);
    enum replies before = s->replies;
    if (buf_reserve(&s->out, SMALL_ANSWER) == NULL) {
        s->scope_failed = true;
        return;
    }
    s->answer_failed = false;
    r->command->run(s, r);
    if (s->answer_failed) {
        buf_truncate(&s->out, mark);
        s->scope_failed = true;
    } else if (is_unwanted(s, before)) {
        buf_truncate(&s->out, mark);
    }
}

void session_close(struct session *s)
{
    s->state = SESSION_CLOSING;
    command_forget_listing(s);
    command_forget_multi(s);
    store_rollback(&s->engine->store, &s->txn);
}

void session_kill(struct session *s)
{
    session_close(s);
    s->state = SESSION_BROKEN;
    s->engine->wake(s);
}

bool session_give_up(struct session *s)
{
    size_t len = buf_len(&s->in);
    assert(s->decoded == 0);
    size_t dropped = len == 0 ? 0 : s->proto->give_up(&s->decoder, slice_of(buf_head(&s->in), len));
    if (dropped == len) {
        buf_deinit(&s->in);
    } else {
        buf_consume(&s->in, dropped);
    }
    return dropped > 0;
}

void session_refuse(struct session *s, const struct raw_request *raw)
{
    bool silent = s->replies == REPLIES_OFF || s->replies == REPLIES_SKIP;
    if (!silent && (buf_reserve(&s->out, SMALL_ANSWER) == NULL || s->proto->refusal(&s->out, raw) < 0)) {
        s->state = SESSION_BROKEN;
        return;
    }
    session_close(s);
}
