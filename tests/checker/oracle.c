#include "oracle.h"

#include <stdlib.h>
#include <string.h>

#define HIDDEN_MAX 4
#define SEARCH_STATES_MAX 30000u

struct data {
    uint32_t value[HISTORY_KEYS_MAX];
    uint64_t version[HISTORY_KEYS_MAX]; /* when it last changed from or to something */
    uint64_t keyset_version;
};

struct oracle {
    const struct history *h;
    uint64_t *seq;    /* of each transaction */
    uint32_t *by_seq; /* the transaction of each number */
    uint64_t last;    /* the highest number */
    struct data *states;
    uint64_t *snapshots; /* chosen for each transaction */
};

static uint32_t data_count(const struct history *h, const struct data *d)
{
    uint32_t count = 0;
    for (uint32_t k = 0; k < h->keys; k++) {
        count += d->value[k] != VALUE_ABSENT;
    }
    return count;
}

/* Executes one operation; returns false if it is a read whose answer was another. */
static bool run_op(const struct history *h, struct data *d, const struct op *op)
{
    switch (op->kind) {
    case OP_READ:
        return d->value[op->key] == op->value;
    case OP_EXISTS:
        return (d->value[op->key] != VALUE_ABSENT) == op->value;
    case OP_COUNT:
        return data_count(h, d) == op->value;
    case OP_WRITE:
        d->value[op->key] = op->value;
        return true;
    case OP_DELETE:
        d->value[op->key] = VALUE_ABSENT;
        return true;
    default:
        memset(d->value, 0, sizeof(d->value));
        return true;
    }
}

static bool run_tx(const struct history *h, struct data *d, const struct tx *t)
{
    for (size_t i = 0; i < t->op_count; i++) {
        if (!run_op(h, d, &tx_ops(h, t)[i])) {
            return false;
        }
    }
    return true;
}

static bool writes(const struct history *h, const struct tx *t)
{
    for (size_t i = 0; i < t->op_count; i++) {
        if (tx_ops(h, t)[i].kind >= OP_WRITE) {
            return true;
        }
    }
    return false;
}

static bool touches(const struct history *h, const struct tx *t, int key) /* -1: any key */
{
    for (size_t i = 0; i < t->op_count; i++) {
        const struct op *op = &tx_ops(h, t)[i];
        if (op->kind == OP_FLUSH || (op->kind >= OP_WRITE && (key < 0 || op->key == key))) {
            return true;
        }
    }
    return false;
}

/* Whether the operation depends on the data, and not on what the transaction did before. */
static bool reads_base(const struct history *h, const struct tx *t, size_t index)
{
    const struct op *ops = tx_ops(h, t);
    if (ops[index].kind >= OP_WRITE) {
        return false;
    }
    for (size_t i = 0; i < index; i++) {
        if (ops[i].kind == OP_FLUSH ||
            (ops[i].kind >= OP_WRITE && ops[index].kind != OP_COUNT && ops[i].key == ops[index].key)) {
            return false;
        }
    }
    return true;
}

static void states_build(struct oracle *o)
{
    const struct history *h = o->h;
    memset(&o->states[0], 0, sizeof(o->states[0]));
    for (uint64_t s = 1; s <= o->last; s++) {
        struct data *d = &o->states[s];
        const struct data *before = &o->states[s - 1];
        const struct tx *t = &h->txs[o->by_seq[s]];
        *d = *before;
        for (size_t i = 0; i < t->op_count; i++) {
            if (tx_ops(h, t)[i].kind >= OP_WRITE) {
                run_op(h, d, &tx_ops(h, t)[i]);
            }
        }
        for (uint32_t k = 0; k < h->keys; k++) {
            if (touches(h, t, (int)k) && (d->value[k] != VALUE_ABSENT || before->value[k] != VALUE_ABSENT)) {
                d->version[k] = s;
            }
            if ((d->value[k] == VALUE_ABSENT) != (before->value[k] == VALUE_ABSENT)) {
                d->keyset_version = s;
            }
        }
    }
}

/* Whether state s can be the newest at some moment from `sent` to `answered`. */
static bool in_window(const struct oracle *o, uint64_t s, uint64_t sent, uint64_t answered)
{
    for (uint64_t i = 1; i <= o->last; i++) {
        const struct tx *x = &o->h->txs[o->by_seq[i]];
        if ((x->end_answered < sent && i > s) || (x->end_sent > answered && i <= s)) {
            return false;
        }
    }
    return true;
}

static bool runs_on(const struct oracle *o, const struct tx *t, uint64_t s)
{
    struct data d = o->states[s];
    return run_tx(o->h, &d, t);
}

/* Whether nothing that was read changed after the snapshot and up to s. */
static bool unchanged(const struct oracle *o, const struct tx *t, uint64_t snapshot, uint64_t s)
{
    if (!runs_on(o, t, s)) {
        return false;
    }
    for (size_t i = 0; i < t->op_count; i++) {
        const struct op *op = &tx_ops(o->h, t)[i];
        if (reads_base(o->h, t, i) &&
            (op->kind == OP_COUNT ? o->states[s].keyset_version : o->states[s].version[op->key]) > snapshot) {
            return false;
        }
    }
    return true;
}

static bool conflict_justified(const struct oracle *o, const struct tx *t, uint64_t snapshot)
{
    if (t->mode != TX_SERIALIZABLE || !writes(o->h, t)) {
        return false;
    }
    for (uint64_t s = snapshot + 1; s <= o->last; s++) {
        for (size_t i = 0; i < t->op_count; i++) {
            const struct op *op = &tx_ops(o->h, t)[i];
            if (reads_base(o->h, t, i) &&
                touches(o->h, &o->h->txs[o->by_seq[s]], op->kind == OP_COUNT ? -1 : op->key)) {
                bool executed = true; /* possibly so before the refusal */
                for (uint64_t x = 1; x <= s; x++) {
                    executed &= o->h->txs[o->by_seq[x]].end_sent <= t->end_answered;
                }
                if (executed) {
                    return true;
                }
            }
        }
    }
    return false;
}

/* A commit without a number: at some moment it had nothing to change. */
static bool no_change_justified(const struct oracle *o, const struct tx *t, uint64_t snapshot)
{
    for (uint64_t s = snapshot; s <= o->last; s++) {
        if (!in_window(o, s, t->end_sent, t->end_answered)) {
            continue;
        }
        bool absent = true;
        struct data d = o->states[s];
        for (size_t i = 0; i < t->op_count; i++) {
            if (tx_ops(o->h, t)[i].kind >= OP_WRITE) {
                run_op(o->h, &d, &tx_ops(o->h, t)[i]);
            }
        }
        for (uint32_t k = 0; k < o->h->keys && absent; k++) {
            if (touches(o->h, t, (int)k)) {
                absent = d.value[k] == VALUE_ABSENT && o->states[s].value[k] == VALUE_ABSENT;
            }
        }
        if (absent && (t->mode != TX_SERIALIZABLE || unchanged(o, t, snapshot, s))) {
            return true;
        }
    }
    return false;
}

static bool tx_good_at(const struct oracle *o, size_t index, uint64_t snapshot)
{
    const struct tx *t = &o->h->txs[index];
    uint64_t seq = o->seq[index];
    if (!in_window(o, snapshot, t->begin_sent, t->begin_answered) || !runs_on(o, t, snapshot)) {
        return false;
    }
    if (t->outcome == TX_CONFLICT) {
        return conflict_justified(o, t, snapshot);
    }
    if (t->outcome == TX_ABORTED) {
        return true;
    }
    if (!writes(o->h, t)) {
        return seq == 0;
    }
    if (seq == 0) {
        return no_change_justified(o, t, snapshot);
    }
    for (uint64_t i = 1; i <= o->last; i++) {
        const struct tx *x = &o->h->txs[o->by_seq[i]];
        if ((x->end_answered < t->end_sent && i >= seq) || (x->end_sent > t->end_answered && i <= seq)) {
            return false;
        }
    }
    return t->mode != TX_SERIALIZABLE || unchanged(o, t, snapshot, seq - 1);
}

/* The lowest snapshot not below `from` that explains the transaction, or SEQ_UNKNOWN. */
static uint64_t lowest_good(const struct oracle *o, size_t index, uint64_t from)
{
    uint64_t told = o->h->txs[index].snapshot;
    for (uint64_t s = from; s <= o->last; s++) {
        if ((told == SEQ_UNKNOWN || told == s) && tx_good_at(o, index, s)) {
            return s;
        }
    }
    return SEQ_UNKNOWN;
}

/* Goes through the transactions in the order in which they began, and gives each the lowest snapshot that explains it.
 * Time must not run backwards: who began after another's BEGIN was answered sees no older state. */
static bool all_good(struct oracle *o)
{
    const struct history *h = o->h;
    states_build(o);
    memset(o->snapshots, 0xff, (h->tx_count + 1) * sizeof(*o->snapshots)); /* SEQ_UNKNOWN: to be done */
    for (size_t done = 0; done < h->tx_count; done++) {
        size_t next = SIZE_MAX;
        for (size_t i = 0; i < h->tx_count; i++) {
            if (o->snapshots[i] == SEQ_UNKNOWN &&
                (next == SIZE_MAX || h->txs[i].begin_sent < h->txs[next].begin_sent)) {
                next = i;
            }
        }
        uint64_t from = 0;
        for (size_t i = 0; i < h->tx_count; i++) {
            if (o->snapshots[i] != SEQ_UNKNOWN && h->txs[i].begin_answered < h->txs[next].begin_sent &&
                o->snapshots[i] > from) {
                from = o->snapshots[i];
            }
        }
        o->snapshots[next] = lowest_good(o, next, from);
        if (o->snapshots[next] == SEQ_UNKNOWN) {
            return false;
        }
    }
    return true;
}

/* Tries every way to give the missing numbers to the commits whose answer was lost. */
static bool assign_hidden(struct oracle *o, const uint32_t *hidden, size_t count, size_t next, const uint64_t *missing)
{
    if (next == count) {
        return all_good(o);
    }
    for (size_t i = 0; i < count; i++) {
        if (o->by_seq[missing[i]] != UINT32_MAX) {
            continue;
        }
        o->by_seq[missing[i]] = hidden[next];
        o->seq[hidden[next]] = missing[i];
        if (assign_hidden(o, hidden, count, next + 1, missing)) {
            return true;
        }
        o->by_seq[missing[i]] = UINT32_MAX;
    }
    return false;
}

static enum verdict judge(struct oracle *o)
{
    const struct history *h = o->h;
    uint32_t hidden[HIDDEN_MAX];
    uint64_t missing[HIDDEN_MAX];
    size_t hidden_count = 0, missing_count = 0;
    for (size_t i = 0; i < h->tx_count; i++) {
        if (h->txs[i].outcome == TX_COMMITTED && h->txs[i].seq != 0) {
            o->last++;
        }
    }
    memset(o->by_seq, 0xff, (o->last + 1) * sizeof(*o->by_seq));
    for (uint32_t i = 0; i < h->tx_count; i++) {
        o->seq[i] = h->txs[i].outcome == TX_COMMITTED ? h->txs[i].seq : 0;
        if (o->seq[i] == SEQ_UNKNOWN) {
            if (hidden_count == HIDDEN_MAX) {
                return VERDICT_UNKNOWN;
            }
            hidden[hidden_count++] = i;
        } else if (o->seq[i] != 0) {
            if (o->seq[i] > o->last || o->by_seq[o->seq[i]] != UINT32_MAX) {
                return VERDICT_ANOMALY;
            }
            o->by_seq[o->seq[i]] = i;
        }
    }
    for (uint64_t s = 1; s <= o->last; s++) {
        if (o->by_seq[s] == UINT32_MAX) {
            missing[missing_count++] = s; /* as many as are hidden, since the others are all different */
        }
    }
    return assign_hidden(o, hidden, hidden_count, 0, missing) ? VERDICT_GOOD : VERDICT_ANOMALY;
}

enum verdict oracle_numbered(const struct history *h)
{
    struct oracle o = {.h = h};
    o.seq = checker_realloc(NULL, h->tx_count, sizeof(*o.seq));
    o.by_seq = checker_realloc(NULL, h->tx_count + 1, sizeof(*o.by_seq));
    o.states = checker_realloc(NULL, h->tx_count + 1, sizeof(*o.states));
    o.snapshots = checker_realloc(NULL, h->tx_count + 1, sizeof(*o.snapshots));
    enum verdict verdict = judge(&o);
    free(o.seq);
    free(o.by_seq);
    free(o.states);
    free(o.snapshots);
    return verdict;
}

/* One thing that happens at one moment: reading a snapshot, or committing. */
struct occurrence {
    const struct tx *t;
    bool reads, writes;
    uint64_t sent, answered;
};

struct searcher {
    const struct history *h;
    struct occurrence steps[ORACLE_STEPS_MAX];
    size_t count;
    uint64_t *seen; /* a set of hashes of (steps done, data); open addressing */
    size_t seen_count;
};

#define SEEN_SLOTS (1u << 16)

/* Whether this point of the search is new. Two points with the same 64-bit hash would be taken for one. */
static bool seen_add(struct searcher *s, uint32_t done, const struct data *d)
{
    uint64_t hash = done * 0x9e3779b97f4a7c15u + 1;
    for (uint32_t k = 0; k < s->h->keys; k++) {
        hash = (hash ^ d->value[k]) * 0xff51afd7ed558ccdu;
        hash ^= hash >> 32;
    }
    hash |= 1;
    for (size_t i = hash >> 48;; i++) {
        uint64_t *slot = &s->seen[i % SEEN_SLOTS];
        if (*slot == hash) {
            return false;
        }
        if (*slot == 0) {
            *slot = hash;
            s->seen_count++;
            return true;
        }
    }
}

/* Executes a step. What the graph cannot use (a count, that a key exists) is not looked at. */
static bool run_step(const struct history *h, const struct occurrence *step, struct data *d)
{
    for (size_t i = 0; i < step->t->op_count; i++) {
        const struct op *op = &tx_ops(h, step->t)[i];
        bool vague = op->kind == OP_COUNT || (op->kind == OP_EXISTS && op->value);
        if (reads_base(h, step->t, i) && (vague || !step->reads)) {
            continue;
        }
        if (!run_op(h, d, op)) {
            return false;
        }
    }
    return true;
}

static bool may_be_next(const struct searcher *s, uint32_t done, size_t i)
{
    if (done >> i & 1) {
        return false;
    }
    for (size_t j = 0; j < s->count; j++) {
        if (!(done >> j & 1) && s->steps[j].answered < s->steps[i].sent) {
            return false;
        }
    }
    return true;
}

static bool search(struct searcher *s, uint32_t done, const struct data *d)
{
    if (done == (UINT32_C(1) << s->count) - 1) {
        return true;
    }
    if (s->seen_count > SEARCH_STATES_MAX || !seen_add(s, done, d)) {
        return false;
    }
    for (size_t i = 0; i < s->count; i++) {
        struct data after = *d;
        if (!may_be_next(s, done, i) || !run_step(s->h, &s->steps[i], &after)) {
            continue;
        }
        if (search(s, done | UINT32_C(1) << i, s->steps[i].writes ? &after : d)) {
            return true;
        }
    }
    return false;
}

enum verdict oracle_search(const struct history *h)
{
    struct searcher s = {.h = h};
    for (size_t i = 0; i < h->tx_count; i++) {
        const struct tx *t = &h->txs[i];
        if (s.count + 2 > ORACLE_STEPS_MAX) {
            return VERDICT_UNKNOWN;
        }
        s.steps[s.count++] = (struct occurrence){t, true, false, t->begin_sent, t->begin_answered};
        if (t->outcome == TX_COMMITTED && writes(h, t)) {
            s.steps[s.count++] = (struct occurrence){t, t->mode == TX_SERIALIZABLE, true, t->end_sent, t->end_answered};
        }
    }
    s.seen = checker_zalloc(SEEN_SLOTS, sizeof(*s.seen));
    struct data empty = {0};
    bool good = search(&s, 0, &empty);
    bool tired = s.seen_count > SEARCH_STATES_MAX;
    free(s.seen);
    return good ? VERDICT_GOOD : tired ? VERDICT_UNKNOWN : VERDICT_ANOMALY;
}
