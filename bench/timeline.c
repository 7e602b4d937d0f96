#include "timeline.h"

#define STUB 10 /* a last slot of less than this part of a slot says nothing by itself */

static uint64_t weighted(uint64_t a, uint64_t a_weight, uint64_t b, uint64_t b_weight)
{
    double sum = (double)a * (double)a_weight + (double)b * (double)b_weight;
    return (uint64_t)(sum / (double)(a_weight + b_weight) + 0.5);
}

static struct timeline_slot joined(const struct timeline_slot *a, const struct timeline_slot *b)
{
    if (a->replies == 0 || b->replies == 0) {
        return a->replies == 0 ? *b : *a;
    }
    return (struct timeline_slot){
        .replies = a->replies + b->replies,
        .p50_ns = weighted(a->p50_ns, a->replies, b->p50_ns, b->replies),
        .p99_ns = weighted(a->p99_ns, a->replies, b->p99_ns, b->replies),
        .max_ns = a->max_ns > b->max_ns ? a->max_ns : b->max_ns,
    };
}

static void join_pairs(struct timeline *t)
{
    for (size_t i = 0; i < TIMELINE_SLOTS / 2; i++) {
        t->slots[i] = joined(&t->slots[2 * i], &t->slots[2 * i + 1]);
    }
    t->n = TIMELINE_SLOTS / 2;
    t->slot_ns *= 2;
}

static struct timeline_slot take_open(struct timeline *t)
{
    struct timeline_slot slot = {0};
    if (t->open.count > 0) { /* clearing a histogram is not for nothing */
        slot = (struct timeline_slot){
            .replies = t->open.count,
            .p50_ns = hist_quantile(&t->open, 0.5),
            .p99_ns = hist_quantile(&t->open, 0.99),
            .max_ns = t->open.max,
        };
        hist_init(&t->open);
    }
    return slot;
}

void timeline_begin(struct timeline *t, uint64_t now_ns, uint64_t duration_ns)
{
    t->begin_ns = now_ns;
    t->n = 0;
    t->slot_ns = TIMELINE_SLOT_NS;
    while (t->slot_ns * TIMELINE_SLOTS < duration_ns) {
        t->slot_ns *= 2;
    }
    t->end_ns = now_ns + t->slot_ns;
    hist_init(&t->open);
}

void timeline_advance(struct timeline *t, uint64_t now_ns)
{
    while (now_ns >= t->end_ns) {
        if (t->n == TIMELINE_SLOTS) {
            join_pairs(t); /* the open slot becomes wider too, and may not be over */
        } else {
            struct timeline_slot slot = take_open(t);
            t->slots[t->n++] = slot;
        }
        t->end_ns = t->begin_ns + (t->n + 1) * t->slot_ns;
    }
}

void timeline_end(struct timeline *t, uint64_t now_ns)
{
    timeline_advance(t, now_ns);
    uint64_t length_ns = now_ns - (t->end_ns - t->slot_ns);
    struct timeline_slot last = take_open(t);
    if (t->n > 0 && (length_ns < t->slot_ns / STUB || t->n == TIMELINE_SLOTS)) {
        t->slots[t->n - 1] = joined(&t->slots[t->n - 1], &last);
    } else if (last.replies > 0) {
        t->slots[t->n++] = last;
    }
    t->end_ns = UINT64_MAX;
}
