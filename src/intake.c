#include "intake.h"

#include "mem.h"
#include "tick.h"

#define BELIEVED 8      /* an announced size is believed when one of so many bytes has come */
#define WASTE_PART 8    /* an entry leaves at most so large a part of its memory unused */
#define LIMIT_PART 8    /* a place leaves at least so large a part of the memory limit free */

/* Where the value stands in its request, were the key not there: what the request has before it besides the key. */
static size_t head_of(const struct session *s, const struct request *r)
{
    return (size_t)(r->args[1].data - buf_head(&s->in)) - r->args[0].len;
}

/* Whether the request is the first one of the input: not one that was queued. */
static bool is_in_input(const struct session *s, const struct request *r)
{
    const char *head = buf_head(&s->in);
    return head != NULL && r->args[1].data > head && r->args[1].data < head + buf_len(&s->in);
}

void intake_expect(struct session *s, const struct request *r)
{
    size_t before = entry_size(0, 0);
    if (is_in_input(s, r) && head_of(s, r) <= before) {
        s->intake.front = before - head_of(s, r);
        s->intake.size = r->raw.consumed;
    }
}

void intake_expect_nothing(struct session *s)
{
    s->intake.size = 0;
}

struct entry *intake_take(struct session *s, const struct request *r)
{
    struct slice key = r->args[0];
    size_t value_at = entry_size(key.len, 0);
    size_t size = value_at + r->args[1].len;
    bool fits = is_in_input(s, r) && buf_len(&s->in) == r->raw.consumed && r->args[1].data == s->in.data + value_at &&
                s->in.cap - size <= size / WASTE_PART;
    return fits ? entry_make_around(buf_detach(&s->in), key, r->hash, r->args[1].len) : NULL;
}

static bool is_too_much(const struct session *s, size_t size)
{
    size_t limit = s->engine->store_limits.memory_bytes;
    return limit > 0 && mem_used() + size > limit - limit / LIMIT_PART;
}

/* The input is to hold one request of so many bytes. False where that is not worth it, or too much memory. */
static bool place(struct session *s, size_t front, size_t size)
{
    s->intake.size = 0;
    if (size < INTAKE_LARGE || s->state != SESSION_OPEN || is_too_much(s, size) || buf_place(&s->in, front, size) < 0) {
        return false;
    }
    s->intake.front = front;
    return true;
}

/* What has come announces the rest, and is enough of it to be believed. */
static bool place_announced(struct session *s)
{
    struct announced a;
    size_t before = entry_size(0, 0);
    size_t len = buf_len(&s->in);
    return s->proto->announced != NULL && s->proto->announced(&s->decoder, slice_of(buf_head(&s->in), len), &a) &&
           a.size > len + INTAKE_LARGE / 2 && a.size / BELIEVED <= len && a.head <= before && place(s, before - a.head, a.size);
}

char *intake_reserve(struct session *s, size_t enough, size_t *room)
{
    struct buf *in = &s->in;
    bool placed = s->intake.placed && in->cap > 0 && in->start == s->intake.front;
    bool full = in->end == in->cap;
    if (s->ready && ((placed && full) || buf_len(in) >= TICK_IN_MAX)) {
        return NULL;
    }
    if (!placed || full) {
        placed = buf_len(in) == 0 ? place(s, s->intake.front, s->intake.size) : place_announced(s);
    }
    s->intake.placed = placed;
    char *tail = placed ? in->data + in->end : buf_reserve(in, enough);
    if (tail == NULL && buf_len(in) == 0) {
        tail = buf_reserve(in, 1); /* a chunk, for a request that can be refused */
    }
    *room = in->cap - in->end;
    return tail;
}
