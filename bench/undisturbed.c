#include "undisturbed.h"

#include <stdlib.h>
#include <string.h>

int undisturbed_init(struct undisturbed *u)
{
    memset(u, 0, sizeof *u);
    hist_init(&u->latency);
    u->held = malloc(UNDISTURBED_HELD_MAX * sizeof *u->held);
    if (u->held == NULL) {
        return -1;
    }
    memset(u->held, 0, UNDISTURBED_HELD_MAX * sizeof *u->held); /* the first touch of a page takes long */
    return 0;
}

void undisturbed_deinit(struct undisturbed *u)
{
    free(u->held);
    u->held = NULL;
}

/* How much of a time the last stops are. */
static uint64_t stopped_between(const struct undisturbed *u, uint64_t from_ns, uint64_t to_ns)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < UNDISTURBED_RECENT; i++) {
        const struct stop *r = &u->recent[i];
        uint64_t from = r->from_ns > from_ns ? r->from_ns : from_ns;
        uint64_t to = r->to_ns < to_ns ? r->to_ns : to_ns;
        uint64_t common = to > from ? to - from : 0;
        sum += common < r->length_ns ? common : r->length_ns;
    }
    return sum;
}

/* A backlog that the stops explain is not what usually waits; one that lasts for many times as long as they did may be. */
static bool is_of_stops(const struct undisturbed *u, uint64_t at_ns)
{
    return u->delaying && at_ns < u->backlog_from_ns + (1 + UNDISTURBED_BACKLOG) * u->backlog_stops_ns;
}

static void begin_stop(struct undisturbed *u, const struct stop *stop)
{
    /* another look at the same one, or the other core */
    uint64_t before = stopped_between(u, stop->from_ns, stop->to_ns);
    u->explained_ns = u->delaying ? u->explained_ns + u->last_ns : 0;
    if (!is_of_stops(u, stop->from_ns)) {
        u->backlog_from_ns = stop->from_ns;
        u->backlog_stops_ns = 0;
    }
    u->last_from_ns = stop->from_ns;
    u->last_ns = stop->length_ns > before ? stop->length_ns - before : 0;
    u->backlog_stops_ns += u->last_ns;
    u->recent[u->recent_n++ % UNDISTURBED_RECENT] = (struct stop){stop->from_ns, stop->to_ns, u->last_ns};
    u->stopped_ns += stop->to_ns > u->counted_from_ns ? u->last_ns : 0;
    u->until_ns = stop->to_ns > u->until_ns ? stop->to_ns : u->until_ns;
    u->delaying = true;
}

/* Those that have begun by at_ns. */
static void begin_stops(struct undisturbed *u, uint64_t at_ns)
{
    size_t n = 0;
    for (; n < u->known_n && u->known[n].from_ns <= at_ns; n++) {
        begin_stop(u, &u->known[n]);
    }
    u->known_n -= n;
    memmove(u->known, u->known + n, u->known_n * sizeof *u->known);
}

/* How long the stops that delay have lasted in all by at_ns. */
static uint64_t lasted(const struct undisturbed *u, uint64_t at_ns)
{
    uint64_t since = at_ns > u->last_from_ns ? at_ns - u->last_from_ns : 0;
    return u->explained_ns + (u->last_ns < since ? u->last_ns : since);
}

/* How much of the latency of what was answered at e->at_ns the stops may be: while there is a backlog, all that delay it;
 * otherwise what of them lies in its time, as of one that was due before their end and answered behind the others. */
static uint64_t explained(const struct undisturbed *u, const struct held_event *e)
{
    uint64_t due_ns = e->at_ns - e->latency_ns;
    if (!u->delaying && due_ns >= u->until_ns) {
        return 0;
    }
    uint64_t outstanding = stopped_between(u, due_ns, e->at_ns);
    uint64_t behind = u->delaying ? lasted(u, e->at_ns) : 0;
    return behind > outstanding ? behind : outstanding;
}

/* The running median goes a step up or down with each count, however far that is from it. */
static void follow_usual(struct undisturbed *u, uint64_t steps)
{
    uint64_t step = u->counts++ < UNDISTURBED_EARLY ? UNDISTURBED_STEPS / 8 : 1;
    if (steps > u->usual) {
        u->usual += step;
    } else if (steps < u->usual) {
        u->usual -= step < u->usual ? step : u->usual;
    }
}

static void judge_count(struct undisturbed *u, const struct held_event *e)
{
    if (!is_of_stops(u, e->at_ns)) {
        follow_usual(u, e->waiting * UNDISTURBED_STEPS);
    }
    bool usual = e->waiting <= (u->usual + UNDISTURBED_STEPS / 2) / UNDISTURBED_STEPS;
    u->delaying = u->delaying && (e->at_ns < u->until_ns || !usual);
}

static void judge_samples(struct undisturbed *u, const struct held_event *e)
{
    uint64_t excused = explained(u, e);
    if (excused == 0 || e->latency_ns >= excused + UNDISTURBED_REST_MIN_NS) {
        hist_add(&u->latency, e->latency_ns - excused, e->n);
    } else {
        u->left_out += e->n;
    }
}

static void judge_first(struct undisturbed *u)
{
    const struct held_event *e = &u->held[u->first++ % UNDISTURBED_HELD_MAX];
    begin_stops(u, e->at_ns);
    if (e->n == 0) {
        judge_count(u, e);
    } else {
        judge_samples(u, e);
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
    if (stop.to_ns > u->counted_from_ns) {
        u->stops++;
        u->longest_ns = stop.length_ns > u->longest_ns ? stop.length_ns : u->longest_ns;
    }
    if (at == UNDISTURBED_STOPS_MAX) { /* more than there can be between two judgements: one long one */
        struct stop *last = &u->known[at - 1];
        last->to_ns = stop.to_ns > last->to_ns ? stop.to_ns : last->to_ns;
        last->length_ns += stop.length_ns;
        return;
    }
    for (; at > 0 && u->known[at - 1].from_ns > stop.from_ns; at--) {
        u->known[at] = u->known[at - 1];
    }
    u->known[at] = stop;
    u->known_n++;
}

void undisturbed_count_stops(struct undisturbed *u, uint64_t from_ns)
{
    u->counted_from_ns = from_ns;
    u->stops = 0;
    u->longest_ns = 0;
    u->stopped_ns = 0;
}

void undisturbed_judge(struct undisturbed *u, uint64_t until_ns)
{
    while (u->first < u->end && u->held[u->first % UNDISTURBED_HELD_MAX].at_ns < until_ns) {
        judge_first(u);
    }
}
