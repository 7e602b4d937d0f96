/* MULTI, EXEC, DISCARD, WATCH and UNWATCH, as Redis has them: requests are queued, and run together as one commit. */
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
    struct multi *m = mem_alloc(sizeof(*m));
    if (m == NULL) {
        session_error(s, ERR_FULL, "no memory for this");
        return NULL;
    }
    multi_init(m);
    s->multi = m;
    return m;
}

void command_forget_multi(struct session *s)
{
    struct multi *m = s->multi;
    if (m != NULL) {
        store_rollback(&s->engine->store, &m->watch);
        multi_deinit(m);
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
        m->began = s->engine->requests;
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
    if (r->error < 0) {
        command_explain(r, &s->engine->limits.command, text, sizeof(text));
        m->broken = true;
        session_error(s, r->error, text);
        return;
    }
    if (r->command->flags & COMMAND_ALONE) {
        snprintf(text, sizeof(text), "ERR %s inside MULTI is not allowed", r->command->name);
        refuse_queueing(s, text);
        return;
    }
    int rc = multi_push(m, r, s->engine->store_limits.txn.bytes);
    if (rc == ERR_TOOBIG) {
        refuse_queueing(s, "TOOBIG a MULTI has at most 10000 requests, and the bytes of a transaction (--tx-bytes)");
    } else if (rc < 0) {
        m->broken = true;
        session_error(s, rc, "no memory for this");
    } else {
        m->bytes += session_record_bytes(s, r);
        session_answer(s, s->proto->queued(&s->out));
    }
}

/* --- EXEC --- */

#define FETCH_GROUP 16     /* requests whose keys are fetched together, as by the tick */
#define FETCHED_LATELY 256 /* what the tick fetched for that many requests, when they were queued, is still in the cache */

/* Brings what the next requests will touch into the cache, where the tick has not done so just now. */
static void fetch_keys(const struct session *s, size_t at)
{
    uint32_t hashes[FETCH_GROUP];
    const struct engine *e = s->engine;
    if (e->requests - s->multi->began > FETCHED_LATELY) {
        store_prefetch(&e->store, hashes, multi_hashes(s->multi, at, hashes, FETCH_GROUP));
    }
}

/* Runs the request that stands at *at of the queue, and moves *at behind it; its errors are answers. */
static void run_queued(struct session *s, size_t *at)
{
    struct request r = {.proto = s->proto};
    multi_take(s->multi, at, s->engine->words, &r);
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
        if (i % FETCH_GROUP == 0) {
            fetch_keys(s, at);
        }
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
