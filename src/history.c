#include "history.h"

#include <assert.h>

#include "dict_entry.h"
#include "fault.h"

/* --- snapshots --- */

bool history_is_read(const struct history *h)
{
    return h->newest_open != NULL;
}

bool history_needs(const struct history *h, uint64_t version)
{
    return h->newest_open != NULL && h->newest_open->seq >= version;
}

bool history_is_closing(const struct history *h)
{
    return h->closed_first != NULL;
}

static struct snapshot *snapshot_new(struct history *h, uint64_t seq, uint64_t keys)
{
    struct snapshot *s = h->spare;
    if (s != NULL) {
        h->spare = s->next;
    } else if ((s = mem_alloc(sizeof(*s))) == NULL) {
        return NULL;
    }
    *s = (struct snapshot){.seq = seq, .keys = keys, .prev = h->newest};
    if (h->newest != NULL) {
        h->newest->next = s;
    } else {
        h->oldest = s;
    }
    h->newest = s;
    h->newest_open = s;
    return s;
}

static void snapshot_free(struct history *h, struct snapshot *s)
{
    *(s->prev != NULL ? &s->prev->next : &h->oldest) = s->next;
    *(s->next != NULL ? &s->next->prev : &h->newest) = s->prev;
    s->next = h->spare;
    h->spare = s;
}

int history_open(struct history *h, struct snapshot_holder *holder, uint64_t seq, uint64_t keys)
{
    struct snapshot *s = h->newest_open;
    assert(h->newest == NULL || h->newest->seq <= seq);
    if (s == NULL || s->seq != seq) {
        s = snapshot_new(h, seq, keys);
        if (s == NULL) {
            return -1;
        }
    }
    s->holders++;
    *holder = (struct snapshot_holder){.snapshot = s, .next = s->first};
    if (s->first != NULL) {
        s->first->prev = holder;
    }
    s->first = holder;
    return 0;
}

void history_close(struct history *h, struct snapshot_holder *holder)
{
    struct snapshot *s = holder->snapshot;
    if (s == NULL) {
        return;
    }
    *(holder->prev != NULL ? &holder->prev->next : &s->first) = holder->next;
    if (holder->next != NULL) {
        holder->next->prev = holder->prev;
    }
    *holder = (struct snapshot_holder){0};
    if (--s->holders > 0) {
        return;
    }
    while (h->newest_open != NULL && h->newest_open->holders == 0) {
        h->newest_open = h->newest_open->prev;
    }
    if (s->kept == NULL && s->kept_generations == NULL) {
        snapshot_free(h, s);
    } else {
        *(h->closed_last != NULL ? &h->closed_last->next_closed : &h->closed_first) = s;
        h->closed_last = s;
    }
}

/* --- lists of kept versions --- */

static void kept_push(struct snapshot *s, struct entry *e)
{
    e->past.next_kept = s->kept;
    s->kept = e;
}

/* Frees a version that nobody needs: the one in front of it and the one behind it become neighbours. The interval of the
 * one behind grows by the freed one's, in which no snapshot stands. */
static void kept_free(struct history *h, struct entry *e)
{
    struct entry *newer = e->past.newer;
    uint64_t superseded_at = e->past.superseded_at;
    if (e->has_older) {
        struct entry *older = e->older;
        older->past.newer = newer;
        older->past.superseded_at = superseded_at;
        if (newer != NULL) {
            newer->older = older;
        }
    } else if (newer != NULL) {
        newer->has_older = 0;
        newer->version = superseded_at;
    }
    h->bytes -= entry_bytes(e);
    entry_free(e);
}

/* An entry leaves the data for good: what stands behind it is nobody's past any more. */
static void cut_off_past(struct entry *e)
{
    if (e->has_older) {
        e->older->past.newer = NULL;
    }
}

/* --- tombstones --- */

static void tomb_append(struct history *h, struct generation *g, struct entry *e)
{
    struct tomb_link *link = entry_tomb_link(e);
    *link = (struct tomb_link){.prev = g->tombs_last, .next = NULL};
    if (g->tombs_last != NULL) {
        entry_tomb_link(g->tombs_last)->next = e;
    } else {
        g->tombs_first = e;
    }
    g->tombs_last = e;
    g->tomb_bytes += entry_bytes(e);
    h->bytes += entry_bytes(e);
}

static void tomb_unlink(struct history *h, struct generation *g, struct entry *e)
{
    struct tomb_link *link = entry_tomb_link(e);
    *(link->prev != NULL ? &entry_tomb_link(link->prev)->next : &g->tombs_first) = link->next;
    *(link->next != NULL ? &entry_tomb_link(link->next)->prev : &g->tombs_last) = link->prev;
    g->tomb_bytes -= entry_bytes(e);
    h->bytes -= entry_bytes(e);
}

/* --- changes of the data --- */

static void settle_in(struct history *h, struct generation *g, struct entry *fresh, uint64_t seq)
{
    fresh->has_older = 0;
    fresh->mark = 0;
    fresh->was_read = 0;
    fresh->version = seq;
    int rc = dict_add(&g->dict, fresh);
    assert(rc == 0);
    (void)rc;
    if (fresh->tombstone) {
        tomb_append(h, g, fresh);
    } else if (fresh->timed) {
        expiry_place(&g->expiry, fresh);
    }
}

/* A live entry is about to leave its generation. */
static void leave(struct history *h, struct generation *g, struct entry *e)
{
    if (e->tombstone) {
        tomb_unlink(h, g, e);
    } else if (e->timed) {
        expiry_remove(&g->expiry, e);
    }
    dict_remove(&g->dict, e);
}

void history_add(struct history *h, struct generation *g, struct entry *fresh, uint64_t seq)
{
    settle_in(h, g, fresh, seq);
}

void history_supersede(struct history *h, struct generation *g, struct entry *old, struct entry *fresh, uint64_t seq)
{
    bool needed = history_needs(h, entry_version(old)) && !FAULT(history_dropped);
    settle_in(h, g, fresh, seq); /* first in, then out: the partition is never empty, so no table is dropped and made */
    leave(h, g, old);
    if (needed) {
        old->past = (struct past){.superseded_at = seq, .newer = fresh};
        fresh->older = old;
        fresh->has_older = 1;
        kept_push(h->newest_open, old);
        h->bytes += entry_bytes(old);
        return;
    }
    if (old->has_older) {
        fresh->older = old->older;
        fresh->has_older = 1;
        fresh->older->past.newer = fresh;
        fresh->older->past.superseded_at = seq;
    }
    entry_free(old);
}

void history_remove(struct history *h, struct generation *g, struct entry *e)
{
    leave(h, g, e);
    cut_off_past(e);
    entry_free(e);
}

bool history_overwrite(struct generation *g, struct entry *e, struct slice value, uint64_t expires_at, uint64_t seq)
{
    if (!entry_overwrite(e, value, expires_at)) {
        return false;
    }
    if (e->timed) {
        expiry_place(&g->expiry, e);
    }
    entry_set_version(e, seq);
    return true;
}

/* --- generations --- */

struct generation *generation_new(unsigned bits)
{
    struct generation *g = mem_calloc(sizeof(*g));
    if (g != NULL && dict_init(&g->dict, bits) < 0) {
        mem_free(g);
        return NULL;
    }
    return g;
}

#define RETIRE_AT_ONCE 1024 /* entries: a FLUSH of fewer frees them itself, so that many of them do not pile up */

static void generation_bury(struct history *h, struct generation *g)
{
    if (g->dict.count <= RETIRE_AT_ONCE && !FAULT(flushes_pile_up)) {
        while (dict_drain(&g->dict, RETIRE_AT_ONCE, cut_off_past) > 0) {
        }
        dict_deinit(&g->dict);
        mem_free(g);
        return;
    }
    g->next = h->dying;
    h->dying = g;
}

/* No snapshot needs it any more; a walk may. */
static void generation_retire(struct history *h, struct generation *g)
{
    if (g->newer != NULL) {
        g->newer->older = g->older;
    }
    if (g->older != NULL) {
        g->older->newer = g->newer;
    }
    h->bytes -= g->charged;
    g->retired = true;
    if (!g->pinned) {
        generation_bury(h, g);
    }
}

void history_flush(struct history *h, struct generation *old, struct generation *fresh, uint64_t seq)
{
    fresh->since = seq;
    fresh->older = old;
    old->newer = fresh;
    old->superseded_at = seq;
    h->bytes -= old->tomb_bytes;
    old->charged = old->dict.bytes + dict_fixed_bytes(old->dict.bits);
    h->bytes += old->charged;
    if (history_needs(h, old->since) && !FAULT(history_dropped)) {
        old->next = h->newest_open->kept_generations;
        h->newest_open->kept_generations = old;
    } else {
        generation_retire(h, old);
    }
}

void generation_pin(struct generation *g)
{
    g->pinned = true;
}

void generation_unpin(struct history *h, struct generation *g)
{
    g->pinned = false;
    if (g->retired) {
        generation_bury(h, g);
    }
}

/* --- sweeping --- */

static bool sweep_closed(struct history *h)
{
    struct snapshot *s = h->closed_first;
    if (s == NULL) {
        return false;
    }
    struct snapshot *before = s->prev;
    if (s->kept != NULL) {
        struct entry *e = s->kept;
        s->kept = e->past.next_kept;
        if (before != NULL && entry_version(e) <= before->seq) {
            kept_push(before, e);
        } else {
            kept_free(h, e);
        }
    } else if (s->kept_generations != NULL) {
        struct generation *g = s->kept_generations;
        s->kept_generations = g->next;
        if (before != NULL && g->since <= before->seq) {
            g->next = before->kept_generations;
            before->kept_generations = g;
        } else {
            generation_retire(h, g);
        }
    } else {
        h->closed_first = s->next_closed;
        if (h->closed_first == NULL) {
            h->closed_last = NULL;
        }
        snapshot_free(h, s);
    }
    return true;
}

static bool sweep_tombstone(struct history *h, struct generation *current)
{
    struct entry *e = current->tombs_first;
    if (e == NULL || (h->oldest != NULL && h->oldest->seq < entry_version(e)) ||
        (h->unsettled > 0 && entry_version(e) >= h->unsettled)) {
        return false;
    }
    history_remove(h, current, e);
    return true;
}

static size_t sweep_dying(struct history *h, size_t limit)
{
    size_t freed = 0;
    while (h->dying != NULL && freed < limit) {
        size_t step = dict_drain(&h->dying->dict, limit - freed, cut_off_past);
        freed += step;
        if (step == 0) {
            struct generation *g = h->dying;
            h->dying = g->next;
            dict_deinit(&g->dict);
            mem_free(g);
            freed++;
        }
    }
    return freed;
}

size_t history_sweep(struct history *h, struct generation *current, size_t limit)
{
    size_t steps = 0;
    while (steps < limit && sweep_closed(h)) {
        steps++;
    }
    while (steps < limit && sweep_tombstone(h, current)) {
        steps++;
    }
    return steps + (steps < limit ? sweep_dying(h, limit - steps) : 0);
}

void history_deinit(struct history *h)
{
    assert(h->newest_open == NULL);
    while (sweep_closed(h)) {
    }
    while (sweep_dying(h, SIZE_MAX) > 0) {
    }
    while (h->spare != NULL) {
        struct snapshot *s = h->spare;
        h->spare = s->next;
        mem_free(s);
    }
}

/* --- reading --- */

struct entry *history_version(struct entry *e, uint64_t seq, uint64_t *steps)
{
    while (e != NULL && entry_version(e) > seq) {
        e = e->has_older ? e->older : NULL;
        ++*steps;
    }
    return e;
}

const struct generation *history_generation(const struct generation *current, uint64_t seq)
{
    const struct generation *g = current;
    while (g != NULL && g->since > seq) {
        g = g->older;
    }
    return g;
}

struct entry *history_find(const struct generation *current, struct slice key, uint32_t hash, uint64_t seq,
                           uint64_t *steps)
{
    for (const struct generation *g = current; g != NULL; g = g->older) {
        struct entry *e = history_version(dict_find(&g->dict, key, hash), seq, steps);
        *steps += g != current;
        if (e != NULL || seq >= g->since) {
            return e;
        }
    }
    return NULL;
}
