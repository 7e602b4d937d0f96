#include "walk.h"

#include <assert.h>

#include "fault.h"

#define PART_BYTES ((size_t)64 << 10) /* a part of more is ended */
#define STEP_ENTRIES 1024

void walk_begin(struct walk *w, struct generation *g, uint64_t seq)
{
    *w = (struct walk){.active = true, .seq = seq, .generation = g};
    buf_init(&w->out);
    generation_pin(g);
}

static void end_part(struct walk *w)
{
    if (w->part_open) {
        record_end(&w->out, w->part_start);
        w->part_open = false;
    }
}

static int open_part(struct walk *w)
{
    if (w->part_open && buf_len(&w->out) - w->part_start > PART_BYTES) {
        end_part(w);
    }
    if (!w->part_open) {
        size_t start = buf_len(&w->out);
        if (record_begin(&w->out, RECORD_PART, w->seq) < 0) {
            return -1;
        }
        w->part_start = start;
        w->part_open = true;
    }
    return 0;
}

static void write_entry(struct walk *w, const struct entry *e)
{
    uint64_t expires_at = FAULT(end_not_in_checkpoint) ? 0 : entry_expires_at(e);
    if (w->failed || open_part(w) < 0 || record_put(&w->out, entry_key(e), entry_value(e), expires_at) < 0) {
        w->failed = true;
        return;
    }
    w->keys++;
}

int walk_outcome(struct walk *w, struct slice token, uint64_t time)
{
    if (w->failed || open_part(w) < 0 || record_outcome(&w->out, token, time) < 0) {
        w->failed = true;
        return -1;
    }
    return 0;
}

static bool is_due(const struct walk *w, const struct entry *e)
{
    return entry_version(e) <= w->seq && !entry_is_tombstone(e);
}

void walk_preserve(struct walk *w, const struct entry *e)
{
    if (is_due(w, e) && !dict_is_walked(&w->generation->dict, &w->cursor, entry_hash(e)) && !FAULT(checkpoint_blurred)) {
        write_entry(w, e);
    }
}

struct stepping {
    struct walk *walk;
    size_t entries;
    size_t enough; /* bytes that `out` may hold before the step ends */
};

static bool visit(struct entry *e, void *arg)
{
    struct stepping *s = arg;
    if (is_due(s->walk, e) || (FAULT(checkpoint_blurred) && !entry_is_tombstone(e))) {
        write_entry(s->walk, e);
    }
    s->entries++;
    return s->entries < STEP_ENTRIES && buf_len(&s->walk->out) < s->enough;
}

bool walk_step(struct walk *w, size_t bytes)
{
    struct stepping s = {w, 0, buf_len(&w->out) + bytes};
    if (w->failed) {
        return false;
    }
    if (dict_walk(&w->generation->dict, &w->cursor, visit, &s)) {
        return true;
    }
    end_part(w);
    size_t start = buf_len(&w->out);
    if (w->failed || record_begin(&w->out, RECORD_END, w->seq) < 0 || record_count(&w->out, w->keys) < 0) {
        w->failed = true;
        return false;
    }
    record_end(&w->out, start);
    return false;
}

/* The open part is ended: the next one may be small, which does no harm. */
void walk_take(struct walk *w, struct buf *bytes)
{
    end_part(w);
    *bytes = w->out;
    buf_init(&w->out);
}

void walk_end(struct walk *w, struct history *h)
{
    if (!w->active) {
        return;
    }
    buf_deinit(&w->out);
    dict_walk_end(&w->generation->dict);
    generation_unpin(h, w->generation);
    *w = (struct walk){0};
}
