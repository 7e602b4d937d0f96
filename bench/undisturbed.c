#include "undisturbed.h"

#include <stdlib.h>
#include <string.h>

int undisturbed_init(struct undisturbed *u)
{
    memset(u, 0, sizeof *u);
    hist_init(&u->latency);
    u->held = malloc(UNDISTURBED_HELD_MAX * sizeof *u->held);
    return u->held == NULL ? -1 : 0;
}

void undisturbed_deinit(struct undisturbed *u)
{
    free(u->held);
    u->held = NULL;
}

/* Stops that have begun by at_ns. */
static void begin_stops(struct undisturbed *u, uint64_t at_ns)
{
    size_t n = 0;
    for (; n < u->known_n && u->known[n].from_ns <= at_ns; n++) {
        const struct stop *stop = &u->known[n];
        uint64_t new_from = stop->from_ns > u->until_ns ? stop->from_ns : u->until_ns;
        uint64_t length = stop->to_ns > new_from ? stop->to_ns - new_from : 0;
        u->explained_ns = length + (u->delaying ? u->explained_ns : 0);
        u->stopped_ns += length;
        u->until_ns = stop->to_ns > u->until_ns ? stop->to_ns : u->until_ns;
        u->delaying = true;
    }
    u->known_n -= n;
    memmove(u->known, u->known + n, u->known_n * sizeof *u->known);
}

/* The running median goes one step up or down with each count, however far that is from it: backlogs hardly move it. */
static void judge_count(struct undisturbed *u, const struct held_event *e)
{
    uint64_t steps = e->waiting * UNDISTURBED_STEPS;
    u->usual += steps > u->usual;
    u->usual -= steps < u->usual;
    bool usual = e->waiting <= (u->usual + UNDISTURBED_STEPS / 2) / UNDISTURBED_STEPS;
    u->delaying = u->delaying && (e->at_ns < u->until_ns || !usual);
}

static void judge_first(struct undisturbed *u)
{
    const struct held_event *e = &u->held[u->first++ % UNDISTURBED_HELD_MAX];
    begin_stops(u, e->at_ns);
    if (e->n == 0) {
        judge_count(u, e);
    } else if (!u->delaying) {
        hist_add(&u->latency, e->latency_ns, e->n);
    } else if (e->latency_ns > u->explained_ns) {
        hist_add(&u->latency, e->latency_ns - u->explained_ns, e->n);
    } else {
        u->delayed += e->n;
    }
}

static void hold(struct undisturbed *u, struct held_event e)
{
    if (u->end - u->first == UNDISTURBED_HELD_MAX) {
        judge_first(u);
    }
    u->held[u->end++ % UNDISTURBED_HELD_MAX] = e;
}

void undisturbed_add(struct undisturbed *u, uint64_t at_ns, uint64_t latency_ns, uint64_t n)
{
    hold(u, (struct held_event){.at_ns = at_ns, .latency_ns = latency_ns, .n = n});
}

void undisturbed_count(struct undisturbed *u, uint64_t at_ns, uint64_t waiting)
{
    struct held_event *last = &u->held[(u->end - 1) % UNDISTURBED_HELD_MAX];
    if (u->end > u->first && last->n == 0 && last->waiting == waiting) {
        last->at_ns = at_ns; /* nothing has happened */
    } else {
        hold(u, (struct held_event){.at_ns = at_ns, .waiting = waiting});
    }
}

void undisturbed_stop(struct undisturbed *u, struct stop stop)
{
    size_t at = u->known_n;
    u->stops++;
    u->longest_ns = stop.to_ns - stop.from_ns > u->longest_ns ? stop.to_ns - stop.from_ns : u->longest_ns;
    if (at == UNDISTURBED_STOPS_MAX) { /* more than there can be between two judgements: one long one */
        u->known[at - 1].to_ns = stop.to_ns > u->known[at - 1].to_ns ? stop.to_ns : u->known[at - 1].to_ns;
        return;
    }
    for (; at > 0 && u->known[at - 1].from_ns > stop.from_ns; at--) {
        u->known[at] = u->known[at - 1];
    }
    u->known[at] = stop;
    u->known_n++;
}

void undisturbed_judge(struct undisturbed *u, uint64_t until_ns)
{
    while (u->first < u->end && u->held[u->first % UNDISTURBED_HELD_MAX].at_ns < until_ns) {
        judge_first(u);
    }
}
