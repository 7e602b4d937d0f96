/* Every command has three moments: sent, executed, answered. The scheduler picks a client at random and takes it one
 * moment further, so windows overlap as they do over a network. The whole state is kept for every sequence number. */
#include "simulator.h"

#include <stdlib.h>
#include <string.h>

struct state {
    uint32_t value[HISTORY_KEYS_MAX];
    uint64_t version[HISTORY_KEYS_MAX]; /* the commit that last changed the key; a flush changes all */
    uint64_t keyset_version;
};

enum phase { PHASE_READY, PHASE_SENT, PHASE_EXECUTED };

struct client {
    uint32_t id;
    enum phase phase;
    struct script script;
    size_t at; /* the step under way */
    uint64_t idle_until;
    struct tx_builder build;
    uint64_t snapshot;
    bool failed;
    uint64_t marks;                  /* keys read */
    bool counted;                    /* the set of keys read */
    uint32_t seen[HISTORY_KEYS_MAX]; /* what it last read of each key */
};

struct simulator {
    const struct simulator_plan *plan;
    struct history *h;
    struct rng rng;
    uint64_t clock;
    uint32_t keys, value_next;
    struct state *states; /* states[s] is the data as of commit s */
    size_t newest, state_cap;
    struct state held; /* a fault's changes that take effect with the next commit */
    uint64_t held_keys;
    uint32_t flushing, unheard; /* scripts under way; never both */
    uint32_t started;
    bool fired;
    struct client *clients;
};

const char *simulator_fault_text(enum simulator_fault fault)
{
    static const char *const texts[] = {
#define X(name, text) text,
        SIMULATOR_FAULTS(X)
#undef X
    };
    return texts[fault];
}

/* Called on an occasion for the fault: whether it happens now. It does once. */
static bool fires(struct simulator *s, enum simulator_fault fault)
{
    if (s->plan->fault != fault || s->fired || !rng_chance(&s->rng, 40)) {
        return false;
    }
    s->fired = true;
    return true;
}

static uint64_t present_in(const struct simulator *s, const struct state *state)
{
    uint64_t present = 0;
    for (uint32_t k = 0; k < s->keys; k++) {
        if (state->value[k] != VALUE_ABSENT) {
            present |= UINT64_C(1) << k;
        }
    }
    return present;
}

static void state_change(struct state *state, uint32_t key, uint32_t value, uint64_t seq)
{
    if ((state->value[key] == VALUE_ABSENT) != (value == VALUE_ABSENT)) {
        state->keyset_version = seq;
    }
    state->value[key] = value;
    state->version[key] = seq;
}

/* Keeps a change for the next commit to bring along. */
static void hold(struct simulator *s, uint32_t key, uint32_t value)
{
    s->held.value[key] = value;
    s->held_keys |= UINT64_C(1) << key;
}

static void apply_key(struct simulator *s, struct state *new, const struct view *w, uint32_t k, bool later)
{
    uint64_t seq = s->newest + 1;
    uint32_t before = new->value[k], value = view_after(w, k, before);
    if (value == VALUE_ABSENT && before == VALUE_ABSENT) {
        if (w->flushed) {
            new->version[k] = seq;
        }
        return;
    }
    if (later) {
        hold(s, k, value);
        return;
    }
    if (fires(s, SIMULATOR_LOST_WRITE)) {
        return;
    }
    uint64_t version = new->version[k], keyset = new->keyset_version;
    state_change(new, k, value, seq);
    if (value != VALUE_ABSENT) {
        return;
    }
    if (fires(s, SIMULATOR_RESURRECTED)) {
        hold(s, k, before);
    }
    if (fires(s, SIMULATOR_DELETE_UNVERSIONED)) {
        new->version[k] = version;
        new->keyset_version = keyset;
    }
}

/* Makes a commit the newest state; returns its number, or 0 where there was nothing to change. */
static uint64_t commit(struct simulator *s, const struct view *w)
{
    const struct state *old = &s->states[s->newest];
    uint64_t changes = 0;
    for (uint32_t k = 0; k < s->keys; k++) {
        if (view_touches(w, k) && (view_after(w, k, 0) != VALUE_ABSENT || old->value[k] != VALUE_ABSENT)) {
            changes |= UINT64_C(1) << k;
        }
    }
    if (!changes) {
        return 0;
    }
    s->states = checker_grow(s->states, s->newest + 1, &s->state_cap, sizeof(*s->states));
    struct state *new = &s->states[s->newest + 1];
    *new = s->states[s->newest];
    for (uint32_t k = 0; k < s->keys; k++) {
        if (s->held_keys >> k & 1) {
            state_change(new, k, s->held.value[k], s->newest + 1);
        }
    }
    s->held_keys = 0;
    bool split = (changes & (changes - 1)) && fires(s, SIMULATOR_SPLIT_COMMIT);
    for (uint32_t k = 0; k < s->keys; k++) {
        if (view_touches(w, k)) {
            apply_key(s, new, w, k, split && !(changes & (UINT64_C(1) << k) & (changes & (~changes + 1))));
        }
    }
    return ++s->newest;
}

static uint32_t read_base(struct simulator *s, struct client *c, uint32_t key)
{
    uint32_t value = s->states[c->snapshot].value[key];
    uint64_t from = c->snapshot;
    if (c->script.mode != TX_AUTO && s->states[s->newest].value[key] != value && fires(s, SIMULATOR_READ_NEWEST)) {
        return s->states[s->newest].value[key];
    }
    while (from > 0 && s->states[from].value[key] == value) {
        from--;
    }
    if (s->states[from].value[key] != value && fires(s, SIMULATOR_READ_OLDER)) {
        return s->states[from].value[key];
    }
    if (value != VALUE_ABSENT || !fires(s, SIMULATOR_ABSENCE_UNMARKED)) {
        c->marks |= UINT64_C(1) << key;
    }
    return value;
}

static uint32_t read_key(struct simulator *s, struct client *c, const struct view *w, uint32_t key)
{
    if (view_touches(w, key) && !fires(s, SIMULATOR_OWN_WRITE_MISSED)) {
        return view_after(w, key, VALUE_ABSENT);
    }
    return read_base(s, c, key);
}

static uint32_t count_keys(struct simulator *s, struct client *c, const struct view *w)
{
    uint64_t present = 0;
    if (!w->flushed) {
        present = present_in(s, &s->states[c->snapshot]);
        c->counted = true;
    }
    return (uint32_t)__builtin_popcountll((present & ~w->written) | w->present);
}

/* Whether what a transaction read was changed since its snapshot. */
static bool conflicts(struct simulator *s, struct client *c, const struct view *w)
{
    const struct state *now = &s->states[s->newest], *then = &s->states[c->snapshot];
    if (c->script.mode != TX_SERIALIZABLE || !w->writes) {
        return false;
    }
    bool changed = c->counted && now->keyset_version > c->snapshot, differs = false, effect = false;
    for (uint32_t k = 0; k < s->keys; k++) {
        bool marked = c->marks >> k & 1;
        changed |= marked && now->version[k] > c->snapshot;
        differs |= marked && now->value[k] != then->value[k];
        effect |= view_touches(w, k) && view_after(w, k, 0) != now->value[k];
    }
    if (!changed) {
        return w->read_count && fires(s, SIMULATOR_NEEDLESS_CONFLICT);
    }
    if (!differs && !c->counted && fires(s, SIMULATOR_COMPARE_VALUES)) {
        return false;
    }
    if (!effect && fires(s, SIMULATOR_NO_CHANGE_UNVALIDATED)) {
        return false;
    }
    return !fires(s, SIMULATOR_SKIP_VALIDATION);
}

/* The parts of what a client has done so far. */
static void client_view(const struct client *c, struct view *w)
{
    struct tx t = c->build.tx;
    t.first_op = 0;
    struct history one = {.ops = (struct op *)(uintptr_t)c->build.ops};
    view_build(w, &one, &t);
}

static void execute_end(struct simulator *s, struct client *c, enum step_kind kind)
{
    struct view w;
    client_view(c, &w);
    c->build.tx.outcome = TX_ABORTED;
    if (kind == STEP_ROLLBACK || kind == STEP_DROP || c->failed) {
        for (uint32_t k = 0; k < s->keys; k++) {
            if ((w.present >> k & 1) && fires(s, SIMULATOR_ABORTED_APPLIED)) {
                hold(s, k, w.value[k]);
            }
        }
        return;
    }
    if (conflicts(s, c, &w)) {
        c->build.tx.outcome = TX_CONFLICT;
        return;
    }
    c->build.tx.outcome = TX_COMMITTED;
    c->build.tx.seq = commit(s, &w);
    if (kind == STEP_COMMIT_UNHEARD) {
        c->build.tx.seq = SEQ_UNKNOWN;
    }
}

static void execute_read(struct simulator *s, struct client *c, const struct step *step)
{
    struct view w;
    client_view(c, &w);
    uint32_t count = step->kind == STEP_MGET ? step->count : 1, value;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t key = (step->key + i) % s->plan->mix.keys;
        if (step->kind == STEP_COUNT) {
            builder_op(&c->build, OP_COUNT, 0, count_keys(s, c, &w));
            continue;
        }
        value = read_key(s, c, &w, key);
        if (step->kind == STEP_EXISTS) {
            builder_op(&c->build, OP_EXISTS, key, value != VALUE_ABSENT);
            continue;
        }
        c->seen[key] = value;
        builder_op(&c->build, OP_READ, key, value);
    }
}

static void execute_begin(struct simulator *s, struct client *c)
{
    c->snapshot = s->newest;
    if (c->snapshot > 0 && fires(s, SIMULATOR_LATE_VISIBLE)) {
        c->snapshot--;
    }
    c->build.tx.snapshot = c->snapshot;
    c->marks = 0;
    c->counted = c->failed = false;
}

static void execute(struct simulator *s, struct client *c)
{
    const struct step *step = &c->script.steps[c->at];
    if (c->script.mode == TX_AUTO) {
        execute_begin(s, c);
    }
    switch (step->kind) {
    case STEP_BEGIN:
        execute_begin(s, c);
        break;
    case STEP_WRITE:
        builder_op(&c->build, OP_WRITE, step->key, s->value_next++);
        break;
    case STEP_WRITE_BACK:
        builder_op(&c->build, c->seen[step->key] ? OP_WRITE : OP_DELETE, step->key, c->seen[step->key]);
        break;
    case STEP_DELETE:
        builder_op(&c->build, OP_DELETE, step->key, 0);
        break;
    case STEP_FLUSH:
        builder_op(&c->build, OP_FLUSH, 0, 0);
        break;
    case STEP_ERROR:
        c->failed = true;
        break;
    case STEP_IDLE:
        break;
    case STEP_READ:
    case STEP_MGET:
    case STEP_EXISTS:
    case STEP_COUNT:
        execute_read(s, c, step);
        break;
    default:
        execute_end(s, c, step->kind);
    }
    if (c->script.mode == TX_AUTO) {
        execute_end(s, c, STEP_COMMIT);
    }
}

/* The end of a transaction, or of one step outside. */
static void finish(struct simulator *s, struct client *c)
{
    struct tx *t = &c->build.tx;
    t->end_answered = s->clock;
    if (c->script.mode == TX_AUTO) {
        t->begin_answered = t->end_answered;
        t->end_sent = t->begin_sent;
        t->snapshot = SEQ_UNKNOWN;
    }
    if (t->outcome != TX_COMMITTED || !s->plan->numbered) {
        t->seq = s->plan->numbered ? 0 : SEQ_UNKNOWN;
    }
    if (!s->plan->numbered) {
        t->snapshot = SEQ_UNKNOWN;
    }
    history_append(s->h, &c->build);
}

static bool next_script(struct simulator *s, struct client *c)
{
    struct script_mix mix = s->plan->mix;
    mix.marker_key = mix.keys;
    if (s->started >= s->plan->transactions) {
        return false;
    }
    do {
        script_make(&c->script, &mix, &s->rng);
    } while ((c->script.flushes && s->unheard) || (c->script.unheard && (s->flushing || s->unheard)));
    s->flushing += c->script.flushes;
    s->unheard += c->script.unheard;
    s->started++;
    c->at = 0;
    return true;
}

static void send(struct simulator *s, struct client *c)
{
    enum step_kind kind = c->script.steps[c->at].kind;
    if (kind == STEP_BEGIN || c->script.mode == TX_AUTO) {
        builder_start(&c->build, c->id, c->script.mode, s->clock);
    }
    if (kind >= STEP_COMMIT) {
        c->build.tx.end_sent = s->clock;
    }
    if (kind == STEP_IDLE) {
        c->idle_until = s->clock + c->script.steps[c->at].count;
    }
    c->phase = PHASE_SENT;
}

static void answer(struct simulator *s, struct client *c)
{
    enum step_kind kind = c->script.steps[c->at].kind;
    if (kind == STEP_BEGIN) {
        c->build.tx.begin_answered = s->clock;
    }
    if (kind >= STEP_COMMIT || (c->script.mode == TX_AUTO && kind != STEP_IDLE)) {
        finish(s, c);
    }
    c->phase = PHASE_READY;
    if (++c->at < c->script.count) {
        return;
    }
    s->flushing -= c->script.flushes;
    s->unheard -= c->script.unheard;
    c->script.count = 0;
}

/* Takes a client one moment further; returns false when it has nothing left to do. */
static bool advance(struct simulator *s, struct client *c)
{
    if (c->idle_until > s->clock) {
        return true;
    }
    if (c->phase == PHASE_READY) {
        if (c->script.count == 0 && !next_script(s, c)) {
            return false;
        }
        send(s, c);
    } else if (c->phase == PHASE_SENT) {
        execute(s, c);
        c->phase = PHASE_EXECUTED;
        if (c->script.steps[c->at].kind == STEP_COMMIT_UNHEARD) {
            c->idle_until = s->clock + rng_below(&s->rng, 40);
        }
    } else {
        answer(s, c);
    }
    return true;
}

bool simulator_run(const struct simulator_plan *plan, struct history *h)
{
    struct simulator s = {
        .plan = plan, .h = h, .rng = {plan->seed}, .clock = 1, .keys = plan->mix.keys + 1, .value_next = 1};
    history_init(h, s.keys, plan->numbered);
    s.states = checker_zalloc(16, sizeof(*s.states));
    s.state_cap = 16;
    s.clients = checker_zalloc(plan->sessions, sizeof(*s.clients));
    uint32_t working = plan->sessions;
    bool *done = checker_zalloc(plan->sessions, sizeof(*done));
    for (uint32_t i = 0; i < plan->sessions; i++) {
        s.clients[i].id = i;
    }
    for (; working; s.clock++) {
        uint32_t i = rng_below(&s.rng, plan->sessions);
        if (!done[i] && !advance(&s, &s.clients[i])) {
            done[i] = true;
            working--;
        }
    }
    free(s.states);
    free(s.clients);
    free(done);
    return s.fired || plan->fault == SIMULATOR_NONE;
}
