/* A directed graph with coloured edges, and the search for its smallest cycle. */
#ifndef TXKV_CHECKER_GRAPH_H
#define TXKV_CHECKER_GRAPH_H

#include <stddef.h>
#include <stdint.h>

#define GRAPH_NONE UINT32_MAX

struct edge {
    uint32_t from, to;
    uint8_t kind; /* the caller's */
    uint8_t key;  /* the caller's */
    uint8_t cost; /* 0 or 1: what the edge adds to the size of a cycle */
};

struct graph {
    uint32_t nodes;
    struct edge *edges; /* sorted by `from` once sealed */
    size_t edge_count, edge_cap;
    size_t *first; /* of each node's edges, and one more */
};

void graph_init(struct graph *g, uint32_t nodes);
void graph_deinit(struct graph *g);
void graph_add(struct graph *g, uint32_t from, uint32_t to, unsigned kind, uint32_t key, unsigned cost);

/* Ends the building. Needed before the search. */
void graph_seal(struct graph *g);

/* Looks for a cycle. Returns its edges in order (to be freed) and their number, or NULL. It is the smallest by cost
 * among those that a bounded search finds; where there is a cycle, one is always returned. */
struct edge *graph_cycle(const struct graph *g, size_t *count);

#endif
