#include "graph.h"

#include "history.h"

#include <stdlib.h>
#include <string.h>

#define SEARCH_STARTS_MAX 400      /* nodes on cycles that a smallest cycle is looked for from */
#define SEARCH_EDGES_MAX 20000000u /* edges looked at in all of that */

void graph_init(struct graph *g, uint32_t nodes)
{
    *g = (struct graph){.nodes = nodes};
}

void graph_deinit(struct graph *g)
{
    free(g->edges);
    free(g->first);
}

void graph_add(struct graph *g, uint32_t from, uint32_t to, unsigned kind, uint32_t key, unsigned cost)
{
    g->edges = checker_grow(g->edges, g->edge_count, &g->edge_cap, sizeof(*g->edges));
    g->edges[g->edge_count++] = (struct edge){from, to, (uint8_t)kind, (uint8_t)key, (uint8_t)cost};
}

void graph_seal(struct graph *g)
{
    g->first = checker_zalloc(g->nodes + 1, sizeof(*g->first));
    for (size_t i = 0; i < g->edge_count; i++) {
        g->first[g->edges[i].from + 1]++;
    }
    for (size_t i = 0; i < g->nodes; i++) {
        g->first[i + 1] += g->first[i];
    }
    struct edge *sorted = checker_realloc(NULL, g->edge_count, sizeof(*sorted));
    size_t *next = checker_realloc(NULL, g->nodes, sizeof(*next));
    memcpy(next, g->first, g->nodes * sizeof(*next));
    for (size_t i = 0; i < g->edge_count; i++) {
        sorted[next[g->edges[i].from]++] = g->edges[i];
    }
    free(next);
    free(g->edges);
    g->edges = sorted;
}

/* Tarjan's strongly connected components with an explicit stack. */
struct tarjan {
    const struct graph *g;
    uint32_t *index, *low;        /* index 0: not seen yet */
    size_t *next;                 /* the edge to follow next */
    uint32_t *path, path_count;   /* the nodes being visited */
    uint32_t *stack, stack_count; /* the nodes not yet in a component */
    uint32_t *component;          /* GRAPH_NONE while on the stack */
    uint32_t seen, components;
};

static void tarjan_enter(struct tarjan *t, uint32_t node)
{
    t->index[node] = t->low[node] = ++t->seen;
    t->next[node] = t->g->first[node];
    t->path[t->path_count++] = node;
    t->stack[t->stack_count++] = node;
}

static void tarjan_leave(struct tarjan *t, uint32_t node)
{
    t->path_count--;
    if (t->path_count) {
        uint32_t parent = t->path[t->path_count - 1];
        if (t->low[node] < t->low[parent]) {
            t->low[parent] = t->low[node];
        }
    }
    if (t->low[node] != t->index[node]) {
        return;
    }
    uint32_t member;
    do {
        member = t->stack[--t->stack_count];
        t->component[member] = t->components;
    } while (member != node);
    t->components++;
}

static void tarjan_from(struct tarjan *t, uint32_t start)
{
    tarjan_enter(t, start);
    while (t->path_count) {
        uint32_t node = t->path[t->path_count - 1];
        if (t->next[node] == t->g->first[node + 1]) {
            tarjan_leave(t, node);
            continue;
        }
        uint32_t to = t->g->edges[t->next[node]++].to;
        if (!t->index[to]) {
            tarjan_enter(t, to);
        } else if (t->component[to] == GRAPH_NONE && t->index[to] < t->low[node]) {
            t->low[node] = t->index[to];
        }
    }
}

/* The component of each node, to be freed. */
static uint32_t *components_find(const struct graph *g)
{
    size_t n = g->nodes;
    struct tarjan t = {.g = g};
    t.index = checker_zalloc(n, sizeof(uint32_t));
    t.low = checker_realloc(NULL, n, sizeof(uint32_t));
    t.next = checker_realloc(NULL, n, sizeof(size_t));
    t.path = checker_realloc(NULL, n, sizeof(uint32_t));
    t.stack = checker_realloc(NULL, n, sizeof(uint32_t));
    t.component = checker_realloc(NULL, n, sizeof(uint32_t));
    memset(t.component, 0xff, n * sizeof(uint32_t));
    for (uint32_t i = 0; i < n; i++) {
        if (!t.index[i]) {
            tarjan_from(&t, i);
        }
    }
    free(t.index);
    free(t.low);
    free(t.next);
    free(t.path);
    free(t.stack);
    return t.component;
}

/* Shortest way back to the start, by cost, inside one component (breadth first with edges of cost 0 taken first). */
struct search {
    const struct graph *g;
    const uint32_t *component;
    uint32_t *mark, round;  /* a node is reached where its mark is the round */
    const struct edge **by; /* the edge that reached it */
    uint32_t *near, *far;   /* nodes to look at; edges to the next distance */
    size_t budget;          /* edges to look at */
};

static void search_reach(struct search *s, const struct edge *e, size_t *near)
{
    s->mark[e->to] = s->round;
    s->by[e->to] = e;
    s->near[(*near)++] = e->to;
}

/* Returns the edge that closes the smallest cycle through `start`, of cost below `limit`, or NULL. */
static const struct edge *search_from(struct search *s, uint32_t start, uint32_t limit)
{
    size_t near = 0, far = 0;
    s->mark[start] = ++s->round;
    s->by[start] = NULL;
    s->near[near++] = start;
    for (uint32_t d = 0; near && d < limit; d++) {
        const struct edge *closing = NULL; /* one of cost 1: there may still be one of cost 0 */
        while (near) {
            uint32_t node = s->near[--near];
            for (size_t i = s->g->first[node]; i < s->g->first[node + 1]; i++) {
                const struct edge *e = &s->g->edges[i];
                if (s->budget == 0) {
                    return NULL;
                }
                s->budget--;
                if (e->to == start && (e->cost == 0 || d + 1 < limit)) {
                    if (e->cost == 0) {
                        return e;
                    }
                    closing = e;
                }
                if (s->component[e->to] != s->component[start] || s->mark[e->to] == s->round) {
                    continue;
                }
                /* At the next distance it is marked when taken up: an edge of cost 0 may get there first. */
                if (e->cost == 1) {
                    s->far[far++] = (uint32_t)i;
                } else {
                    search_reach(s, e, &near);
                }
            }
        }
        if (closing) {
            return closing;
        }
        for (size_t i = 0; i < far; i++) {
            const struct edge *e = &s->g->edges[s->far[i]];
            if (s->mark[e->to] != s->round) {
                search_reach(s, e, &near);
            }
        }
        far = 0;
    }
    return NULL;
}

/* Writes the cycle that `closing` closes, in order; returns its length. */
static size_t cycle_write(const struct search *s, const struct edge *closing, struct edge *cycle, uint32_t *cost)
{
    size_t n = 0;
    *cost = 0;
    for (const struct edge *e = closing; e; e = s->by[e->from]) {
        cycle[n++] = *e;
        *cost += e->cost;
    }
    for (size_t i = 0; i < n / 2; i++) {
        struct edge swap = cycle[i];
        cycle[i] = cycle[n - 1 - i];
        cycle[n - 1 - i] = swap;
    }
    return n;
}

static struct edge *smallest_cycle(struct search *s, size_t *count)
{
    struct edge *best = NULL, *cycle = checker_realloc(NULL, s->g->nodes, sizeof(*cycle));
    uint32_t best_cost = GRAPH_NONE, start = GRAPH_NONE;
    size_t starts = 0;
    s->budget = SIZE_MAX; /* until there is one: it must be found */
    for (size_t i = 0; i < s->g->edge_count && starts < SEARCH_STARTS_MAX; i++) {
        const struct edge *e = &s->g->edges[i];
        if (e->from == start || e->cost == 0 || s->component[e->from] != s->component[e->to]) {
            continue;
        }
        start = e->from;
        starts++;
        const struct edge *closing = search_from(s, start, best_cost);
        if (!closing) {
            continue;
        }
        if (!best) {
            s->budget = SEARCH_EDGES_MAX;
        }
        *count = cycle_write(s, closing, cycle, &best_cost);
        best = checker_realloc(best, *count, sizeof(*best));
        memcpy(best, cycle, *count * sizeof(*best));
    }
    free(cycle);
    return best;
}

struct edge *graph_cycle(const struct graph *g, size_t *count)
{
    uint32_t *component = components_find(g);
    bool found = false;
    for (size_t i = 0; i < g->edge_count && !found; i++) {
        found = component[g->edges[i].from] == component[g->edges[i].to];
    }
    struct edge *cycle = NULL;
    if (found) {
        struct search s = {.g = g, .component = component};
        s.mark = checker_zalloc(g->nodes, sizeof(uint32_t));
        s.by = checker_realloc(NULL, g->nodes, sizeof(*s.by));
        s.near = checker_realloc(NULL, g->nodes, sizeof(uint32_t));
        s.far = checker_realloc(NULL, g->edge_count, sizeof(uint32_t));
        cycle = smallest_cycle(&s, count);
        free(s.mark);
        free(s.by);
        free(s.near);
        free(s.far);
    }
    free(component);
    return cycle;
}
