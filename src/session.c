#include "session.h"

#include <assert.h>
#include <stdio.h>

#include "err.h"
#include "fault.h"

#define SMALL_ANSWER 640 /* bytes that any answer but a value fits into */

int engine_init(struct engine *e)
{
    *e = (struct engine){
        .store_limits = {.txn = {.bytes = (size_t)10 << 20, .keys = 10000}, .history_bytes = (size_t)256 << 20},
        .limits = {.command = {COMMAND_KEY_BYTES_DEFAULT, COMMAND_VALUE_BYTES_DEFAULT},
                   .answer_bytes = (size_t)8 << 20,
                   .pending_bytes = (size_t)1 << 20},
        .plain_mode = TXN_PLAIN,
    };
    return store_init(&e->store, &e->store_limits, STORE_PARTITION_BITS);
}

void engine_deinit(struct engine *e)
{
    store_deinit(&e->store);
}

void session_init(struct session *s, struct engine *engine)
{
    *s = (struct session){.engine = engine, .proto = &proto_text};
    buf_init(&s->in);
    buf_init(&s->out);
    txn_init(&s->txn);
}

void session_deinit(struct session *s)
{
    assert(!s->ready && s->group_requests == 0);
    store_rollback(&s->engine->store, &s->txn);
    buf_deinit(&s->in);
    buf_deinit(&s->out);
}

size_t session_pending(const struct session *s)
{
    return buf_len(&s->out) + s->unsent;
}

bool session_can_run(const struct session *s)
{
    return s->state == SESSION_OPEN &&
           (session_pending(s) <= s->engine->limits.pending_bytes || FAULT(no_output_limit));
}

struct txn *session_txn(struct session *s)
{
    return s->txn.state == TXN_OPEN ? &s->txn : NULL;
}

void session_answer(struct session *s, int rc)
{
    s->answer_failed = s->answer_failed || rc < 0;
}

void session_error(struct session *s, int err, const char *text)
{
    session_answer(s, s->proto->error(&s->out, err, text));
    if (s->txn.state == TXN_OPEN && !FAULT(failed_transaction_commits)) {
        char why[sizeof(s->txn.why)];
        snprintf(why, sizeof(why), "%s %s", err_word(err), text);
        store_fail(&s->engine->store, &s->txn, ERR_ABORTED, why);
    }
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
    char why[256];
    bool begins = r->command != NULL && r->command->flags & COMMAND_BEGINS;
    command_explain(r, &s->engine->limits.command, why, sizeof(why));
    session_error(s, r->error, why);
    if (begins && s->txn.state == TXN_NONE) {
        store_fail(&s->engine->store, &s->txn, ERR_ABORTED, "its BEGIN was refused");
    }
}

void session_run(struct session *s, const struct request *r)
{
    if (buf_reserve(&s->out, SMALL_ANSWER) == NULL) {
        s->state = SESSION_BROKEN;
        return;
    }
    size_t mark = buf_len(&s->out);
    s->answer_failed = false;
    if (s->txn.state == TXN_FAILED) {
        run_failed(s, r);
    } else if (s->txn.state == TXN_OPEN && r->command != NULL && r->command->flags & COMMAND_BEGINS &&
               !r->raw.too_long) {
        session_answer(s, s->proto->error(&s->out, ERR_INTX, "a transaction is open and goes on; COMMIT or ROLLBACK ends it"));
    } else if (r->error < 0) {
        run_wrong(s, r);
    } else {
        uint64_t before = s->engine->store.seq;
        r->command->run(s, r);
        s->last_seq = s->engine->store.seq != before ? s->engine->store.seq : s->last_seq;
    }
    if (s->answer_failed) { /* a value: nothing else is longer than what was reserved */
        buf_truncate(&s->out, mark);
        session_error(s, ERR_FULL, "no memory for the answer");
    }
}

void session_close(struct session *s)
{
    s->state = SESSION_CLOSING;
    store_rollback(&s->engine->store, &s->txn);
}

bool session_give_up(struct session *s)
{
    size_t len = buf_len(&s->in);
    assert(s->decoded == 0);
    if (len == 0) {
        return false;
    }
    if (!s->decoder.skipping) {
        s->proto->give_up(&s->decoder, slice_of(buf_head(&s->in), len));
    }
    buf_deinit(&s->in);
    return true;
}

void session_refuse(struct session *s)
{
    const char *text = "this port speaks txkv's text protocol, lines such as GET key; closing";
    if (buf_reserve(&s->out, SMALL_ANSWER) == NULL || s->proto->error(&s->out, ERR_SYNTAX, text) < 0) {
        s->state = SESSION_BROKEN;
        return;
    }
    session_close(s);
}
