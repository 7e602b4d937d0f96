#include "tick.h"

#include <assert.h>

#include "fault.h"
#include "hash.h"

void tick_init(struct tick *t)
{
    *t = (struct tick){0};
}

void tick_add(struct tick *t, struct session *s)
{
    if (s->ready) {
        return;
    }
    s->ready = true;
    s->next = NULL;
    *(t->last != NULL ? &t->last->next : &t->first) = s;
    t->last = s;
}

void tick_add_later(struct tick *t, struct session *s)
{
    if (s->later) {
        return;
    }
    s->later = true;
    s->next_later = NULL;
    s->prev_later = t->later_last;
    *(t->later_last != NULL ? &t->later_last->next_later : &t->later_first) = s;
    t->later_last = s;
}

static void remove_later(struct tick *t, struct session *s)
{
    *(s->prev_later != NULL ? &s->prev_later->next_later : &t->later_first) = s->next_later;
    *(s->next_later != NULL ? &s->next_later->prev_later : &t->later_last) = s->prev_later;
    s->later = false;
}

static size_t share_of_later(const struct tick *t)
{
    const struct session *s = t->later_first;
    if (s == NULL || !t->asked || s->engine->store.now_ms - t->asked_ms > TICK_ASKED_MS) {
        return SIZE_MAX;
    }
    return t->ran / TICK_LATER_PER > TICK_LATER_MIN ? t->ran / TICK_LATER_PER : TICK_LATER_MIN;
}

/* Those whose turn has come at last stand behind those that are ready. */
static void bring_later(struct tick *t)
{
    for (size_t share = share_of_later(t); share > 0 && t->later_first != NULL; share--) {
        struct session *s = t->later_first;
        remove_later(t, s);
        s->brought = !s->ready;
        tick_add(t, s);
    }
    t->ran = 0;
}

/* After its turn. */
static void note_asked(struct tick *t, struct session *s)
{
    if (!s->brought && s->hold_count == 0 && buf_len(&s->out) > 0) {
        t->asked = true;
        t->asked_ms = s->engine->store.now_ms;
    }
    s->brought = false;
}

static void remove_ready(struct tick *t, struct session *s)
{
    struct session *before = NULL;
    for (struct session *at = t->first; at != s; at = at->next) {
        before = at;
    }
    *(before != NULL ? &before->next : &t->first) = s->next;
    t->last = t->last == s ? before : t->last;
    s->ready = false;
}

void tick_remove(struct tick *t, struct session *s)
{
    if (s->ready) {
        remove_ready(t, s);
    }
    if (s->later) {
        remove_later(t, s);
    }
}

/* --- the group --- */

static void prefetch(struct tick *t)
{
    uint32_t hashes[TICK_GROUP];
    size_t count = 0;
    struct engine *engine = t->owners[0]->engine;
    for (size_t i = 0; i < t->count; i++) {
        struct request *r = &t->requests[i];
        if (r->error == 0 && r->command->flags & COMMAND_ANY_KEY) {
            r->hash = hash_of(r->args[0]);
            hashes[count++] = r->hash;
        }
    }
    if (count > 1) {
        store_prefetch(&engine->store, hashes, count);
    }
}

/* Whether it may run requests, and long ones have not used its share up. */
static bool may_run(const struct session *s)
{
    return session_can_run(s) && s->extra < TICK_REQUESTS_MAX;
}

static bool is_long(const struct request *r)
{
    return r->error == 0 && r->command->flags & COMMAND_LONG;
}

/* A tick has time for some long commands: those of further sessions wait for the next one, with what stands behind them. */
static bool must_wait(struct tick *t, struct session *s, const struct request *r)
{
    if (!is_long(r) || t->long_steps < TICK_LONG_STEPS || FAULT(long_commands_at_once)) {
        return false;
    }
    s->extra = TICK_REQUESTS_MAX;
    s->put_off = true;
    t->put_off = true;
    return true;
}

static void execute_one(struct tick *t, struct session *s, const struct request *r)
{
    const struct store *st = &s->engine->store;
    uint64_t before = st->steps;
    s->requests++;
    session_run(s, r);
    if (st->steps != before) {
        s->extra += (size_t)(st->steps - before) / TICK_STEPS;
        t->long_steps += is_long(r) ? st->steps - before : 0;
    }
}

static void execute(struct tick *t)
{
    for (size_t i = 0; i < t->count; i++) {
        struct session *s = t->owners[i];
        size_t consumed = t->requests[i].raw.consumed;
        s->group_requests--;
        s->decoded -= consumed;
        if (may_run(s) && !must_wait(t, s, &t->requests[i]) &&
            (engine_admits_all(s->engine) || session_admits(s, &t->requests[i]))) {
            execute_one(t, s, &t->requests[i]);
            if (buf_len(&s->in) > 0) { /* else it has become the value that it set */
                buf_consume(&s->in, consumed);
            }
        } else {
            s->decoder.scanned = 0; /* it stays in the input and is decoded again */
            s->more = true;
        }
    }
}

static void run_group(struct tick *t)
{
    if (t->count > 0) {
        t->owners[0]->engine->requests += t->count;
        t->ran += t->count;
        prefetch(t);
        execute(t);
    }
    t->count = 0;
    t->words_used = 0;
}

/* Takes the request that was decoded into the group's next place. */
static inline __attribute__((always_inline)) void group_add(struct tick *t, struct session *s)
{
    struct request *r = &t->requests[t->count];
    r->proto = s->proto;
    r->unquoted = s->engine->unquoted;
    command_parse(r, &s->engine->limits.command, t->words + t->words_used);
    t->words_used += r->count;
    t->owners[t->count++] = s;
    s->decoded += r->raw.consumed;
    s->group_requests++;
    if (t->count == TICK_GROUP || t->words_used + COMMAND_ARGS_MAX > sizeof(t->words) / sizeof(t->words[0])) {
        run_group(t);
    }
}

/* --- one session's share --- */

struct share {
    size_t requests;
    size_t in_bytes;
    size_t out_limit;
};

/* What a decoder must be again if what it decoded next cannot run yet. */
struct place {
    bool began;
    bool inside; /* of a request, or dropping one: `decoder` is what it was */
    struct decoder decoder;
};

static inline void keep_place(struct place *p, const struct decoder *d)
{
    p->began = d->began;
    p->inside = d->scanned > 0 || d->skipping;
    if (p->inside) {
        p->decoder = *d;
    }
}

static void go_back(struct session *s, const struct place *p)
{
    bool guest = s->decoder.guest; /* not of the place: it changes with what has run */
    s->decoder = p->inside ? p->decoder : (struct decoder){.began = p->began};
    s->decoder.guest = guest;
    s->decoder.scanned = 0;
    s->more = true;
}

/* What changes the decoder's state or drops bytes, which cannot be taken back, or needs the one place for quoted words: what
 * stands before must have run. */
static bool take_alone(struct tick *t, struct session *s, enum decoded what, const struct raw_request *raw,
                       const struct place *place)
{
    run_group(t);
    if (!may_run(s)) {
        go_back(s, place);
        return false;
    }
    if (what == DECODED_FOREIGN || what == DECODED_BROKEN) {
        session_refuse(s, raw);
        return false;
    }
    if (what == DECODED_REQUEST) {
        t->requests[0].raw = *raw;
        group_add(t, s);
        run_group(t);
    } else {
        buf_consume(&s->in, raw->consumed);
    }
    return true;
}

/* Decodes one request into the group. False when the session has nothing more to run now. */
static bool take_one(struct tick *t, struct session *s, struct share *share)
{
    struct raw_request *raw = &t->requests[t->count].raw;
    struct place place;
    if (buf_len(&s->in) == s->decoded) {
        return false;
    }
    struct slice bytes = slice_of(buf_head(&s->in) + s->decoded, buf_len(&s->in) - s->decoded);
    keep_place(&place, &s->decoder);
    enum decoded what = s->proto->decode(&s->decoder, bytes, command_line_max(&s->engine->limits.command), raw);
    if (what == DECODED_MORE) {
        return false;
    }
    if (what == DECODED_OTHER) {
        s->proto = raw->other;
        s->engine->binary = true;
        return true;
    }
    share->requests++;
    share->in_bytes += raw->consumed;
    if (what == DECODED_REQUEST && !raw->too_long && !raw->quoted) {
        group_add(t, s);
        return true;
    }
    const struct raw_request alone = *raw;
    return take_alone(t, s, what, &alone, &place);
}

/* Goes on with a long answer, which counts as requests do. */
static void list_on(struct tick *t, struct session *s)
{
    const struct store *st = &s->engine->store;
    uint64_t before = st->steps;
    if (session_is_listing(s) && t->listings < TICK_LISTINGS_MAX) {
        t->listings++;
        session_list(s);
        s->extra += (size_t)(st->steps - before) / TICK_STEPS;
    }
}

static inline bool is_used_up(const struct session *s, const struct share *share)
{
    return share->requests + s->extra >= TICK_REQUESTS_MAX || share->in_bytes >= TICK_IN_MAX;
}

/* Asked where nothing of the session is in the group, as only what has run changes the answer; or where its share is used up. */
static bool goes_on(const struct session *s, const struct share *share)
{
    return session_can_run(s) && !is_used_up(s, share) && session_pending(s) <= share->out_limit;
}

/* True when it stopped with requests that may still be runnable. */
static bool take_share(struct tick *t, struct session *s)
{
    struct share share = {.out_limit = session_pending(s) + TICK_OUT_MAX};
    s->extra = 0;
    s->put_off = false;
    list_on(t, s);
    s->active_ms = s->engine->store.now_ms;
    while (goes_on(s, &share)) {
        do {
            if (!take_one(t, s, &share)) {
                return false;
            }
        } while (s->group_requests > 0 && !session_is_guest(s) && !is_used_up(s, &share));
        if (session_is_guest(s)) { /* it may be AUTH, after which more is allowed */
            run_group(t);
        }
    }
    return true;
}

/* Sessions whose long command had to wait stand before the others: the next tick begins with them. */
static struct session *put_off_first(struct session *taken)
{
    struct session *first[2] = {NULL, NULL};
    struct session **last[2] = {&first[0], &first[1]};
    for (struct session *s = taken; s != NULL; s = s->next) {
        size_t which = s->put_off ? 0 : 1;
        *last[which] = s;
        last[which] = &s->next;
    }
    *last[1] = NULL;
    *last[0] = first[1];
    return first[0];
}

void tick_execute(struct tick *t)
{
    bring_later(t);
    struct session *taken = t->first;
    t->first = NULL;
    t->last = NULL;
    t->listings = 0;
    t->long_steps = 0;
    t->put_off = false;
    for (struct session *s = taken; s != NULL; s = s->next) {
        if (s->later) {
            remove_later(t, s);
        }
        s->more = false;
        if (take_share(t, s)) {
            s->more = true;
        }
    }
    run_group(t);
    t->ran += t->long_steps / TICK_STEPS;
    t->taken = t->put_off ? put_off_first(taken) : taken;
}

void tick_finish(struct tick *t, void (*done)(struct session *s))
{
    struct session *taken = t->taken;
    t->taken = NULL;
    for (struct session *s = taken, *next; s != NULL; s = next) {
        next = s->next;
        s->ready = false;
        note_asked(t, s);
        assert(s->decoded == 0);
        s->more = s->more || session_is_listing(s);
        if (s->paused && s->engine->stopping) {
            session_close(s);
        } else if (s->more && (session_can_run(s) || session_is_listing(s))) {
            tick_add(t, s);
        } else if (!s->more && s->in_ended && s->state == SESSION_OPEN) {
            s->more = !session_can_run(s); /* comes back when its output has drained */
            if (!s->more) {
                session_close(s); /* the rest is an unterminated line: it never runs */
            } else if (buf_len(&s->in) == 0) {
                store_rollback(&s->engine->store, &s->txn); /* no COMMIT can come any more: its snapshot need not wait */
            }
        }
        done(s);
    }
    assert(buf_loans == 0); /* what was lent from may change or go from now on */
}

void tick_run(struct tick *t, void (*done)(struct session *s))
{
    tick_execute(t);
    tick_finish(t, done);
}
