/* MULTI, EXEC, DISCARD, WATCH and UNWATCH, as Redis has them: requests are queued, and run together as one commit. */
#include <assert.h>
#include <stdio.h>

#include "command_run.h"
#include "err.h"
#include "hash.h"
#include "mem.h"

/* The session's place for it, made where there is none; NULL after complaining. */
static struct multi *multi_of(struct session *s)
{
    if (s->multi != NULL) {
        return s->multi;
    }
    struct multi *m = mem_calloc(sizeof(*m));
    if (m == NULL) {
        session_error(s, ERR_FULL, "no memory for this");
        return NULL;
    }
    buf_init(&m->queue);
    txn_init(&m->watch);
    s->multi = m;
    return m;
}

void command_forget_multi(struct session *s)
{
    struct multi *m = s->multi;
    if (m != NULL) {
        store_rollback(&s->engine->store, &m->watch);
        buf_deinit(&m->queue);
        mem_free(m);
        s->multi = NULL;
    }
}

/* Whether it runs inside of BEGIN, where none of this can be; complains then. */
static bool is_inside_begin(struct session *s, const struct request *r)
{
    char text[96];
    if (s->txn.state == TXN_NONE) {
        return false;
    }
    snprintf(text, sizeof(text), "ERR %s inside BEGIN is not allowed", r->command->name);
    session_complain(s, text);
    return true;
}

void run_multi(struct session *s, const struct request *r)
{
    if (is_inside_begin(s, r)) {
        return;
    }
    if (s->multi != NULL && s->multi->open) {
        session_complain(s, "ERR MULTI calls can not be nested");
        return;
    }
    struct multi *m = multi_of(s);
    if (m != NULL) {
        m->open = true;
        command_done(s, 0);
    }
}

void run_discard(struct session *s, const struct request *r)
{
    (void)r;
    if (s->multi == NULL || !s->multi->open) {
        session_complain(s, "ERR DISCARD without MULTI");
        return;
    }
    command_forget_multi(s);
    command_done(s, 0);
}

/* --- WATCH --- */

void run_watch(struct session *s, const struct request *r)
{
    struct store *st = &s->engine->store;
    if (is_inside_begin(s, r)) {
        return;
    }
    if (s->multi != NULL && s->multi->open) {
        session_complain(s, "ERR WATCH inside MULTI is not allowed");
        return;
    }
    struct multi *m = multi_of(s);
    if (m == NULL) {
        return;
    }
    int rc = m->watch.state == TXN_NONE ? store_begin(st, &m->watch, TXN_PLAIN) : 0;
    for (size_t i = 0; i < r->count && rc == 0 && m->watch.state == TXN_OPEN; i++) {
        rc = store_watch(st, &m->watch, r->args[i], hash_of(r->args[i]));
    }
    command_done(s, rc);
}

void run_unwatch(struct session *s, const struct request *r)
{
    (void)r;
    if (s->multi != NULL) {
        store_rollback(&s->engine->store, &s->multi->watch);
    }
    command_done(s, 0);
}

static bool watched_changed(struct session *s)
{
    struct txn *watch = &s->multi->watch;
    return watch->state == TXN_FAILED || (watch->state == TXN_OPEN && store_watched_changed(&s->engine->store, watch));
}

/* --- queueing --- */

static void refuse_queueing(struct session *s, const char *text)
{
    s->multi->broken = true;
    session_complain(s, text);
}

bool command_queues(const struct session *s, const struct request *r)
{
    unsigned flags = r->command == NULL ? 0 : r->command->flags;
    bool at_once = r->error == 0 ? flags & COMMAND_AT_ONCE : flags & COMMAND_RUNS;
    return s->multi != NULL && s->multi->open && !at_once;
}

void command_queue(struct session *s, const struct request *r)
{
    char text[448];
    struct multi *m = s->multi;
    size_t size = r->raw.consumed;
    if (r->error < 0) {
        command_explain(r, &s->engine->limits.command, text, sizeof(text));
        m->broken = true;
        session_error(s, r->error, text);
    } else if (r->command->flags & COMMAND_ALONE) {
        snprintf(text, sizeof(text), "ERR %s inside MULTI is not allowed", r->command->name);
        refuse_queueing(s, text);
    } else if (m->count == MULTI_REQUESTS_MAX || buf_len(&m->queue) + size > s->engine->store_limits.txn.bytes) {
        refuse_queueing(s, "TOOBIG a MULTI has at most 10000 requests, and the bytes of a transaction (--tx-bytes)");
    } else if (buf_append(&m->queue, buf_head(&s->in), size) < 0) {
        m->broken = true;
        session_error(s, ERR_FULL, "no memory for this");
    } else {
        m->count++;
        m->bytes += session_record_bytes(s, r);
        session_answer(s, s->proto->queued(&s->out));
    }
}

/* --- EXEC --- */

/* Runs the first request of the queue from *at on; its errors are answers. */
static void run_queued(struct session *s, size_t *at)
{
    struct multi *m = s->multi;
    struct engine *e = s->engine;
    struct decoder d = {0};
    struct request r = {.proto = s->proto, .unquoted = e->unquoted};
    struct slice bytes = slice_of(buf_head(&m->queue) + *at, buf_len(&m->queue) - *at);
    enum decoded what = s->proto->decode(&d, bytes, command_line_max(&e->limits.command), &r.raw);
    assert(what == DECODED_REQUEST); /* as it was when it came */
    (void)what;
    *at += r.raw.consumed;
    command_parse(&r, &e->limits.command, e->words);
    if (r.error == 0 && r.command->flags & COMMAND_ANY_KEY) {
        r.hash = hash_of(r.args[0]);
    }
    session_run_queued(s, &r);
}

/* Runs them all; false where all must be taken back. */
static bool run_queue(struct session *s, size_t mark)
{
    size_t at = 0;
    if (s->replies != REPLIES_OFF) { /* what follows a queued CLIENT REPLY ON stands alone */
        session_answer(s, s->proto->array(&s->out, s->multi->count));
    }
    s->engine->store.steps += s->multi->count * 16;
    for (size_t i = 0; i < s->multi->count && !s->scope_failed && s->state == SESSION_OPEN; i++) {
        run_queued(s, &at);
        if (buf_len(&s->out) - mark > s->engine->limits.answer_bytes) {
            return false;
        }
    }
    return !s->scope_failed;
}

static void exec(struct session *s)
{
    size_t mark = buf_len(&s->out);
    bool own;
    int rc = command_scope_open(s, &own);
    if (rc < 0) {
        command_refuse(s, rc);
        return;
    }
    s->scope_failed = false;
    bool complete = run_queue(s, mark);
    rc = command_scope_close(s, own, complete ? 0 : ERR_TOOBIG);
    if (rc < 0) {
        buf_truncate(&s->out, mark);
        s->answer_failed = false;
        session_complain(
            s, complete ? "OOM no memory to apply the transaction; nothing was applied"
                        : "EXECABORT Transaction discarded: no memory, or over --tx-bytes, --tx-keys or --answer-max");
    }
}

void command_refuse_exec(struct session *s, const char *why)
{
    char text[512];
    snprintf(text, sizeof(text), "EXECABORT Transaction discarded because of: %s", why);
    command_forget_multi(s);
    session_complain(s, text);
}

void run_exec(struct session *s, const struct request *r)
{
    (void)r;
    if (s->multi == NULL || !s->multi->open) {
        session_complain(s, "ERR EXEC without MULTI");
        return;
    }
    if (s->multi->broken) {
        session_complain(s, "EXECABORT Transaction discarded because of previous errors.");
    } else if (watched_changed(s)) {
        session_answer(s, s->proto->no_array(&s->out));
    } else {
        exec(s);
    }
    command_forget_multi(s);
}
