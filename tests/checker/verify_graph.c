/* Nodes: the read step of every transaction (at BEGIN), the commit step of every writing one (at COMMIT; with its reads
 * too, if it is serializable), the initial state, and one per moment of the clock.
 *
 *   wr   the commit whose value was read -> the reader
 *   ww   a commit -> the one that replaced its value
 *   rw   a reader -> the commit that replaced what it read
 *   rt   a step that was answered -> a step sent later
 *
 * Real-time edges go through the chain of moments: step -> moment of its answer -> ... -> last moment before the
 * sending of a later step. So there are as many as steps, not as many as pairs.
 *
 * Without numbers, the order of versions is inferred from what must be so in every order that explains the reads:
 *   - a serializable commit that read key k from W and writes k directly follows W in k's order;
 *   - if T read k from W, a commit on k that ended before T began cannot come between them, so it is before W;
 *   - and a commit on k that began after W ended is after T.
 * A value written more than once, and "absent", may have been written by several commits. Those that had begun before
 * the reader ended and were not surely replaced before it began are candidates; W is known if there is just one. */
#include "graph.h"
#include "verify.h"
#include "versions.h"

#include <stdlib.h>
#include <string.h>

enum edge_kind { EDGE_WR, EDGE_WW, EDGE_RW, EDGE_TO_MOMENT, EDGE_MOMENTS, EDGE_FROM_MOMENT };

#define NODE_INITIAL 0u
#define INITIAL_TX UINT32_MAX
#define SAME_READERS_MAX 4 /* more direct followers of one version than that add nothing to the proof */

struct node {
    uint32_t tx;
    bool reads, writes;
    uint64_t sent, answered;
};

/* A commit on a key. */
struct writer {
    uint32_t node, value;
    uint64_t sent, answered;
    uint64_t bound; /* by sent: the highest `answered` up to here; by answered: the highest `sent` up to here */
};

struct key_writers {
    struct writer *by_sent, *by_answered;
    size_t count, cap;
};

/* Who wrote a value. */
struct origin {
    uint32_t tx;
    uint8_t key;
    uint8_t writes; /* 0, 1, or 2 for "several" */
    bool final;     /* it was the last value that the transaction gave the key */
};

/* "reader saw what writer left at key", by nodes. */
struct read_from {
    uint32_t writer, key, reader;
    bool follows; /* the reader is a commit that replaces it */
};

struct verifier {
    const struct history *h;
    struct report *r;
    enum graph_order order;
    struct versions v; /* if numbered */
    struct node *nodes;
    uint32_t node_count;
    uint32_t *commit_node; /* of each transaction, or GRAPH_NONE */
    struct key_writers key[HISTORY_KEYS_MAX];
    struct origin *origins;
    struct read_from *reads;
    size_t read_count, read_cap;
    struct graph g;
};

static int compare_sent(const void *a, const void *b)
{
    const struct writer *x = a, *y = b;
    return (x->sent > y->sent) - (x->sent < y->sent);
}

static int compare_answered(const void *a, const void *b)
{
    const struct writer *x = a, *y = b;
    return (x->answered > y->answered) - (x->answered < y->answered);
}

static int compare_reads(const void *a, const void *b)
{
    const struct read_from *x = a, *y = b;
    if (x->writer != y->writer) {
        return x->writer < y->writer ? -1 : 1;
    }
    if (x->key != y->key) {
        return x->key < y->key ? -1 : 1;
    }
    return (int)y->follows - (int)x->follows; /* those that follow come first */
}

static void writers_add(struct key_writers *w, uint32_t node, uint32_t value, const struct node *n)
{
    w->by_sent = checker_grow(w->by_sent, w->count, &w->cap, sizeof(*w->by_sent));
    w->by_sent[w->count++] = (struct writer){node, value, n->sent, n->answered, 0};
}

static void writers_sort(struct key_writers *w)
{
    w->by_answered = checker_realloc(NULL, w->count, sizeof(*w->by_answered));
    memcpy(w->by_answered, w->by_sent, w->count * sizeof(*w->by_answered));
    qsort(w->by_sent, w->count, sizeof(*w->by_sent), compare_sent);
    qsort(w->by_answered, w->count, sizeof(*w->by_answered), compare_answered);
    uint64_t answered = 0, sent = 0;
    for (size_t i = 0; i < w->count; i++) {
        answered = w->by_sent[i].answered > answered ? w->by_sent[i].answered : answered;
        sent = w->by_answered[i].sent > sent ? w->by_answered[i].sent : sent;
        w->by_sent[i].bound = answered;
        w->by_answered[i].bound = sent;
    }
}

/* How many commits on the key were sent at `time` or before. */
static size_t rank_sent(const struct key_writers *w, uint64_t time)
{
    size_t low = 0, high = w->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (w->by_sent[middle].sent <= time) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* How many commits on the key were answered before `time`. */
static size_t rank_answered(const struct key_writers *w, uint64_t time)
{
    size_t low = 0, high = w->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (w->by_answered[middle].answered < time) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static void origins_note(struct verifier *f, uint32_t tx)
{
    const struct tx *t = &f->h->txs[tx];
    const struct op *ops = tx_ops(f->h, t);
    for (size_t i = 0; i < t->op_count; i++) {
        if (ops[i].kind != OP_WRITE) {
            continue;
        }
        bool final = true;
        for (size_t j = i + 1; j < t->op_count && final; j++) {
            final = ops[j].kind < OP_WRITE || (ops[j].kind != OP_FLUSH && ops[j].key != ops[i].key);
        }
        struct origin *o = &f->origins[ops[i].value];
        *o = (struct origin){tx, ops[i].key, o->writes ? 2 : 1, final};
    }
}

static uint32_t node_add(struct verifier *f, uint32_t tx, bool reads, bool writes, uint64_t sent, uint64_t answered)
{
    f->nodes[f->node_count] = (struct node){tx, reads, writes, sent, answered};
    return f->node_count++;
}

static void nodes_add_tx(struct verifier *f, uint32_t tx, const struct view *w)
{
    const struct tx *t = &f->h->txs[tx];
    f->commit_node[tx] = GRAPH_NONE;
    if (w->read_count) {
        node_add(f, tx, true, false, t->begin_sent, t->begin_answered);
    }
    /* A numbered commit that changed nothing was told so, and is no version. */
    bool commits = t->outcome == TX_COMMITTED && w->writes && (f->order == GRAPH_INFERRED || f->v.seq[tx] != 0);
    if (!commits) {
        return;
    }
    uint32_t node = node_add(f, tx, t->mode == TX_SERIALIZABLE, true, t->end_sent, t->end_answered);
    f->commit_node[tx] = node;
    for (uint32_t k = 0; k < f->h->keys; k++) {
        if (view_touches(w, k)) {
            writers_add(&f->key[k], node, view_after(w, k, VALUE_ABSENT), &f->nodes[node]);
        }
    }
}

static void nodes_build(struct verifier *f)
{
    f->nodes = checker_realloc(NULL, 2 * f->h->tx_count + 1, sizeof(*f->nodes));
    f->commit_node = checker_realloc(NULL, f->h->tx_count, sizeof(*f->commit_node));
    f->origins = checker_zalloc(f->h->value_end, sizeof(*f->origins));
    node_add(f, INITIAL_TX, false, true, 0, 0);
    for (uint32_t k = 0; k < f->h->keys; k++) {
        writers_add(&f->key[k], NODE_INITIAL, VALUE_ABSENT, &f->nodes[NODE_INITIAL]);
    }
    struct view w;
    for (uint32_t i = 0; i < f->h->tx_count; i++) {
        origins_note(f, i);
        view_build(&w, f->h, &f->h->txs[i]);
        if (w.own_mismatch &&
            report_anomaly(f->r, "own write: a read did not see what its own transaction had written")) {
            report_tx(f->r, f->h, i);
        }
        nodes_add_tx(f, i, &w);
    }
    for (uint32_t k = 0; k < f->h->keys; k++) {
        writers_sort(&f->key[k]);
    }
}

static void report_bad_read(struct verifier *f, const char *what, uint32_t node, uint32_t key, uint32_t writer_tx)
{
    if (!report_anomaly(f->r, "%s: k%d", what, (int)key)) {
        return;
    }
    report_tx(f->r, f->h, f->nodes[node].tx);
    if (writer_tx != INITIAL_TX) {
        report_tx(f->r, f->h, writer_tx);
    }
}

/* The one commit that a value written once can come from; reports if it cannot have been read. */
static uint32_t writer_of_unique(struct verifier *f, uint32_t reader, const struct base_read *read)
{
    const struct origin *o = &f->origins[read->value];
    const char *what = NULL;
    uint32_t node = f->commit_node[o->tx];
    if (o->key != read->key) {
        what = "read the value of another key";
    } else if (f->h->txs[o->tx].outcome != TX_COMMITTED) {
        what = "aborted read: saw a value that was never committed";
    } else if (!o->final) {
        what = "intermediate read: saw a value that its transaction had replaced";
    } else if (node == GRAPH_NONE || f->nodes[node].sent > f->nodes[reader].answered || o->tx == f->nodes[reader].tx) {
        what = "read from the future: saw a value before its commit was sent";
    }
    if (!what) {
        return node;
    }
    report_bad_read(f, what, reader, read->key, o->tx);
    return GRAPH_NONE;
}

/* The one commit among several that this reader can have seen. GRAPH_NONE where that is open; reported where there is
 * none. */
static uint32_t writer_among(struct verifier *f, uint32_t reader, const struct base_read *read)
{
    const struct key_writers *w = &f->key[read->key];
    const struct node *n = &f->nodes[reader];
    size_t before = rank_answered(w, n->sent);
    uint64_t replaced = before ? w->by_answered[before - 1].bound : 0; /* what ended earlier than that was replaced */
    uint32_t found = GRAPH_NONE;
    for (size_t i = rank_sent(w, n->answered); i-- > 0 && w->by_sent[i].bound >= replaced;) {
        const struct writer *c = &w->by_sent[i];
        if (c->answered < replaced || c->value != read->value ||
            (n->tx != INITIAL_TX && f->nodes[c->node].tx == n->tx)) {
            continue;
        }
        if (found != GRAPH_NONE) {
            return GRAPH_NONE;
        }
        found = c->node;
    }
    if (found == GRAPH_NONE) {
        report_bad_read(f, "stale or invented read: no commit can have left what was read", reader, read->key,
                        INITIAL_TX);
    }
    return found;
}

/* With numbers: the one version that holds the value and was the newest at some moment of the snapshot's window.
 * GRAPH_NONE where there are several. */
static uint32_t writer_numbered(struct verifier *f, uint32_t reader, const struct base_read *read)
{
    const struct tx *t = &f->h->txs[f->nodes[reader].tx];
    const struct version_list *list = &f->v.key[read->key];
    bool told = t->snapshot != SEQ_UNKNOWN;
    uint64_t low = told ? t->snapshot : versions_low(&f->v, t->begin_sent);
    const struct version *at = versions_at(list, told ? low : versions_high(&f->v, t->begin_answered));
    uint32_t found = GRAPH_NONE;
    uint64_t since = UINT64_MAX; /* the number of the version looked at last */
    for (size_t i = at ? (size_t)(at - list->v) + 1 : 0; i-- > 0 && since > low;) {
        since = list->v[i].seq;
        if (list->v[i].value != read->value) {
            continue;
        }
        if (found != GRAPH_NONE) {
            return GRAPH_NONE;
        }
        found = f->commit_node[list->v[i].tx];
    }
    if (since > low && read->value == VALUE_ABSENT) {
        found = found == GRAPH_NONE ? NODE_INITIAL : GRAPH_NONE;
    } else if (found == GRAPH_NONE) {
        report_bad_read(f, "wrong read: no version of that time holds what was read", reader, read->key, INITIAL_TX);
    }
    return found;
}

static void resolve_read(struct verifier *f, uint32_t reader, const struct view *w, const struct base_read *read)
{
    uint32_t value = read->value, writer;
    if (read->kind == OP_COUNT || (read->kind == OP_EXISTS && value != 0)) {
        return; /* says nothing on its own about who wrote what */
    }
    if (value != VALUE_ABSENT && (value >= f->h->value_end || f->origins[value].writes == 0)) {
        report_bad_read(f, "invented read: nobody ever wrote what was read", reader, read->key, INITIAL_TX);
        return;
    }
    if (value != VALUE_ABSENT && f->origins[value].writes == 1) {
        writer = writer_of_unique(f, reader, read);
    } else {
        writer = f->order == GRAPH_NUMBERED ? writer_numbered(f, reader, read) : writer_among(f, reader, read);
    }
    if (writer == GRAPH_NONE) {
        return;
    }
    f->reads = checker_grow(f->reads, f->read_count, &f->read_cap, sizeof(*f->reads));
    bool follows = f->nodes[reader].writes && view_touches(w, read->key);
    f->reads[f->read_count++] = (struct read_from){writer, read->key, reader, follows};
    graph_add(&f->g, writer, reader, EDGE_WR, read->key, 1);
}

static void resolve_reads(struct verifier *f)
{
    struct view w;
    uint32_t viewed = INITIAL_TX;
    for (uint32_t i = 1; i < f->node_count; i++) {
        if (!f->nodes[i].reads) {
            continue;
        }
        if (f->nodes[i].tx != viewed) {
            viewed = f->nodes[i].tx;
            view_build(&w, f->h, &f->h->txs[viewed]);
        }
        for (size_t j = 0; j < w.read_count; j++) {
            resolve_read(f, i, &w, &w.reads[j]);
        }
        f->r->reads += w.read_count;
    }
    if (f->read_count > 0) {
        qsort(f->reads, f->read_count, sizeof(*f->reads), compare_reads);
    }
}

static bool same_source(const struct read_from *a, const struct read_from *b)
{
    return a->writer == b->writer && a->key == b->key;
}

/* All readers of one version come before each commit that is known to follow it directly. */
static void infer_from_followers(struct verifier *f)
{
    for (size_t i = 0; i < f->read_count;) {
        const struct read_from *group = &f->reads[i];
        size_t end = i, follows = 0;
        for (; end < f->read_count && same_source(group, &f->reads[end]); end++) {
            follows += f->reads[end].follows && end - i < SAME_READERS_MAX;
        }
        for (size_t j = i; j < end; j++) {
            for (size_t k = i; k < i + follows; k++) {
                if (f->reads[j].reader != f->reads[k].reader) {
                    graph_add(&f->g, f->reads[j].reader, f->reads[k].reader, EDGE_RW, group->key, 1);
                }
            }
        }
        i = end;
    }
}

/* Commits on the key that ended before the reader began are before the version that it read. (Those that ended before
 * the version's commit began are anyway.) */
static void infer_before(struct verifier *f, const struct read_from *read)
{
    const struct key_writers *w = &f->key[read->key];
    const struct node *version = &f->nodes[read->writer];
    for (size_t i = rank_answered(w, f->nodes[read->reader].sent); i-- > 0;) {
        const struct writer *c = &w->by_answered[i];
        if (c->answered < version->sent) {
            break;
        }
        if (c->node == read->writer || c->node == read->reader) {
            continue;
        }
        graph_add(&f->g, c->node, read->writer, EDGE_WW, read->key, 1);
        if (c->sent > version->answered) {
            break; /* a stale read: this edge closes a cycle, more would only repeat it */
        }
    }
}

/* Commits on the key that began after the version's commit ended are after its readers. (Those that began after the
 * reader ended are anyway.) */
static void infer_after(struct verifier *f, const struct read_from *read)
{
    const struct key_writers *w = &f->key[read->key];
    const struct node *reader = &f->nodes[read->reader];
    for (size_t i = rank_sent(w, f->nodes[read->writer].answered); i < w->count; i++) {
        const struct writer *c = &w->by_sent[i];
        if (c->sent > reader->answered) {
            break;
        }
        if (c->node == read->reader) {
            continue;
        }
        graph_add(&f->g, read->reader, c->node, EDGE_RW, read->key, 1);
        if (c->answered < reader->sent) {
            break;
        }
    }
}

static void edges_inferred(struct verifier *f)
{
    infer_from_followers(f);
    for (size_t i = 0; i < f->read_count; i++) {
        infer_before(f, &f->reads[i]);
        infer_after(f, &f->reads[i]);
    }
}

static void edges_numbered(struct verifier *f)
{
    for (uint32_t k = 0; k < f->h->keys; k++) {
        for (size_t i = 0; i < f->v.key[k].count; i++) {
            uint32_t before = i ? f->commit_node[f->v.key[k].v[i - 1].tx] : NODE_INITIAL;
            graph_add(&f->g, before, f->commit_node[f->v.key[k].v[i].tx], EDGE_WW, k, 1);
        }
    }
    for (size_t i = 0; i < f->read_count; i++) {
        const struct read_from *read = &f->reads[i];
        uint64_t seq = read->writer == NODE_INITIAL ? 0 : f->v.seq[f->nodes[read->writer].tx];
        const struct version *next = versions_after(&f->v.key[read->key], seq);
        if (next && f->commit_node[next->tx] != read->reader) {
            graph_add(&f->g, read->reader, f->commit_node[next->tx], EDGE_RW, read->key, 1);
        }
    }
}

struct moment {
    uint64_t time;
    uint32_t node;
};

static int compare_moments(const void *a, const void *b)
{
    const struct moment *x = a, *y = b;
    return (x->time > y->time) - (x->time < y->time);
}

static void edges_real_time(struct verifier *f)
{
    uint32_t n = f->node_count;
    struct moment *answered = checker_realloc(NULL, n, sizeof(*answered)),
                  *sent = checker_realloc(NULL, n, sizeof(*sent));
    for (uint32_t i = 0; i < n; i++) {
        answered[i] = (struct moment){f->nodes[i].answered, i};
        sent[i] = (struct moment){f->nodes[i].sent, i};
    }
    qsort(answered, n, sizeof(*answered), compare_moments);
    qsort(sent, n, sizeof(*sent), compare_moments);
    uint32_t passed = 0; /* answers earlier than the sending looked at; moment i is node n+i */
    for (uint32_t i = 0; i < n; i++) {
        for (; passed < n && answered[passed].time < sent[i].time; passed++) {
            graph_add(&f->g, answered[passed].node, n + passed, EDGE_TO_MOMENT, 0, 0);
            if (passed) {
                graph_add(&f->g, n + passed - 1, n + passed, EDGE_MOMENTS, 0, 0);
            }
        }
        if (passed) {
            graph_add(&f->g, n + passed - 1, sent[i].node, EDGE_FROM_MOMENT, 0, 1);
        }
    }
    free(answered);
    free(sent);
}

static void print_edge(struct verifier *f, const struct edge *e, uint32_t from)
{
    static const char *const how[] = {"was read by", "was replaced by", "read what was replaced by"};
    char who[2][32];
    const uint32_t ends[2] = {from, e->to};
    for (int i = 0; i < 2; i++) {
        const struct node *n = &f->nodes[ends[i]];
        if (n->tx == INITIAL_TX) {
            snprintf(who[i], sizeof(who[i]), "the empty store");
        } else {
            snprintf(who[i], sizeof(who[i]), "T%u's %s", (unsigned)n->tx, n->writes ? "commit" : "snapshot");
        }
    }
    if (e->kind == EDGE_FROM_MOMENT) {
        report_line(f->r, "%s ended before the sending of %s", who[0], who[1]);
    } else {
        report_line(f->r, "%s %s %s (k%d)", who[0], how[e->kind], who[1], e->key);
    }
}

static void print_cycle(struct verifier *f, const struct edge *cycle, size_t count)
{
    size_t start = 0, steps = 0;
    for (size_t i = 0; i < count; i++) {
        steps += cycle[i].cost;
    }
    while (cycle[start].from >= f->node_count) {
        start++; /* begin with a step, not with a moment */
    }
    if (!report_anomaly(f->r, "cycle of %zu steps: no order of the transactions explains what they saw", steps)) {
        return;
    }
    uint32_t from = cycle[start].from;
    for (size_t i = 0; i < count; i++) {
        const struct edge *e = &cycle[(start + i) % count];
        if (e->cost == 0) {
            continue;
        }
        print_edge(f, e, from);
        from = e->to;
    }
    for (size_t i = 0; i < count; i++) {
        const struct edge *e = &cycle[(start + i) % count];
        if (e->from < f->node_count && f->nodes[e->from].tx != INITIAL_TX) {
            report_tx(f->r, f->h, f->nodes[e->from].tx);
        }
    }
}

void verify_graph(const struct history *h, enum graph_order order, struct report *r)
{
    struct verifier f = {.h = h, .r = r, .order = order};
    if (order == GRAPH_NUMBERED) {
        versions_init(&f.v, h, r);
    }
    nodes_build(&f);
    graph_init(&f.g, 2 * f.node_count);
    resolve_reads(&f);
    if (order == GRAPH_NUMBERED) {
        edges_numbered(&f);
    } else {
        edges_inferred(&f);
    }
    edges_real_time(&f);
    r->edges += f.g.edge_count;
    graph_seal(&f.g);
    size_t count = 0;
    struct edge *cycle = graph_cycle(&f.g, &count);
    if (cycle) {
        print_cycle(&f, cycle, count);
    }
    free(cycle);
    graph_deinit(&f.g);
    if (order == GRAPH_NUMBERED) {
        versions_deinit(&f.v);
    }
    for (size_t k = 0; k < HISTORY_KEYS_MAX; k++) {
        free(f.key[k].by_sent);
        free(f.key[k].by_answered);
    }
    free(f.nodes);
    free(f.commit_node);
    free(f.origins);
    free(f.reads);
}
