#include "expiry.h"

#include "dict_entry.h"

#define DIGIT_BITS 6

static void push(struct entry_time **list, struct entry_time *t)
{
    t->next = *list;
    t->link = list;
    if (t->next != NULL) {
        t->next->link = &t->next;
    }
    *list = t;
}

/* From whatever list it is in; the slot's bit in `used` stays and is cleared when the slot's turn comes. */
static void unlink_from(struct entry_time *t)
{
    *t->link = t->next;
    if (t->next != NULL) {
        t->next->link = t->link;
    }
    t->link = NULL;
}

static void put(struct expiry *x, struct entry_time *t)
{
    if (t->at <= x->time) {
        push(&x->due, t);
        return;
    }
    unsigned level = (63U - (unsigned)__builtin_clzll(t->at ^ x->time)) / DIGIT_BITS;
    unsigned slot = (unsigned)(t->at >> (level * DIGIT_BITS)) % EXPIRY_SLOTS;
    x->used[level] |= UINT64_C(1) << slot;
    push(&x->slots[level][slot], t);
}

void expiry_place(struct expiry *x, struct entry *e)
{
    struct entry_time *t = entry_time(e);
    if (t->link != NULL) {
        unlink_from(t);
        x->count--;
    }
    if (t->at > 0) {
        put(x, t);
        x->count++;
    }
}

void expiry_remove(struct expiry *x, struct entry *e)
{
    struct entry_time *t = entry_time(e);
    if (t->link != NULL) {
        unlink_from(t);
        x->count--;
    }
}

void expiry_hasten(struct expiry *x, struct entry *e)
{
    struct entry_time *t = entry_time(e);
    if (t->link != NULL) {
        unlink_from(t);
        push(&x->due, t);
    }
}

void expiry_moved(struct entry *e)
{
    struct entry_time *t = entry_time(e);
    if (t->link != NULL) {
        *t->link = t;
        if (t->next != NULL) {
            t->next->link = &t->next;
        }
    }
}

/* When a slot begins, given the digits that it shares with the wheel's time. */
static uint64_t slot_begin(const struct expiry *x, unsigned level, unsigned slot)
{
    unsigned above = (level + 1) * DIGIT_BITS;
    uint64_t shared = above < 64 ? x->time >> above << above : 0;
    return shared | (uint64_t)slot << (level * DIGIT_BITS);
}

/* The slot that comes first; false where none is used. */
static bool find_first(const struct expiry *x, unsigned *level, unsigned *slot)
{
    for (*level = 0; *level < EXPIRY_LEVELS; ++*level) {
        if (x->used[*level] != 0) {
            *slot = (unsigned)__builtin_ctzll(x->used[*level]);
            return true;
        }
    }
    return false;
}

/* The wheel's time goes on to the next slot, which becomes `moving`, or to now_ms where that is earlier: false. */
static bool turn(struct expiry *x, uint64_t now_ms)
{
    unsigned level, slot;
    bool found = find_first(x, &level, &slot);
    uint64_t begin = found ? slot_begin(x, level, slot) : 0;
    if (!found || begin > now_ms) {
        x->time = now_ms > x->time ? now_ms : x->time;
        return false;
    }
    x->time = begin;
    x->used[level] &= ~(UINT64_C(1) << slot);
    x->moving = x->slots[level][slot];
    x->slots[level][slot] = NULL;
    if (x->moving != NULL) {
        x->moving->link = &x->moving;
    }
    return true;
}

struct entry *expiry_next(struct expiry *x, uint64_t now_ms, size_t *steps)
{
    for (; *steps > 0; --*steps) {
        struct entry_time *t = x->moving;
        if (x->due != NULL) {
            return entry_of_time(x->due);
        }
        if (t != NULL) {
            unlink_from(t);
            put(x, t);
        } else if (!turn(x, now_ms)) {
            return NULL;
        }
    }
    return NULL;
}

bool expiry_is_due(const struct expiry *x, uint64_t now_ms)
{
    unsigned level, slot;
    return x->due != NULL || x->moving != NULL || (find_first(x, &level, &slot) && slot_begin(x, level, slot) <= now_ms);
}
