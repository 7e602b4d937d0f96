/* deadline: things that must happen within a time. All of one list have the same time, so a list in order of arming is
 * in order of expiry, and arming, disarming and checking cost nothing that grows with the number of clients. */
#ifndef TXKV_DEADLINE_H
#define TXKV_DEADLINE_H

#include <stdbool.h>
#include <stdint.h>

struct deadline {
    struct deadline *prev;
    struct deadline *next;
    uint64_t since_ms; /* when it was armed */
    bool armed;
};

struct deadline_list {
    struct deadline *first; /* armed longest ago */
    struct deadline *last;
    uint64_t after_ms; /* expires so long after arming; 0 = never */
};

/* Arms it as of now_ms; no-op where it is armed. */
static inline void deadline_arm(struct deadline_list *list, struct deadline *d, uint64_t now_ms)
{
    if (d->armed || list->after_ms == 0) {
        return;
    }
    *d = (struct deadline){.prev = list->last, .since_ms = now_ms, .armed = true};
    *(list->last != 0 ? &list->last->next : &list->first) = d;
    list->last = d;
}

static inline void deadline_disarm(struct deadline_list *list, struct deadline *d)
{
    if (!d->armed) {
        return;
    }
    *(d->prev != 0 ? &d->prev->next : &list->first) = d->next;
    *(d->next != 0 ? &d->next->prev : &list->last) = d->prev;
    *d = (struct deadline){.armed = false};
}

/* Takes the first one that has expired off the list, or returns NULL. */
static inline struct deadline *deadline_pop(struct deadline_list *list, uint64_t now_ms)
{
    struct deadline *d = list->first;
    if (d == 0 || now_ms - d->since_ms < list->after_ms) {
        return 0;
    }
    deadline_disarm(list, d);
    return d;
}

#endif
