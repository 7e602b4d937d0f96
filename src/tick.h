/* tick: one pass over the sessions that have something to do: decode, prefetch, execute. It has no sockets and no clock.
 *
 * The requests of all ready sessions are taken in groups. What a group's keys will touch in memory is fetched before its
 * first request runs, so that the waits overlap; a pointer found then is a hint, execution looks up again.
 *
 * Order is kept within a session. Work per session and tick is bounded, so one flooding client cannot starve the others. A
 * session whose output is over its limit runs nothing; its requests stay where they are. */
#ifndef TXKV_TICK_H
#define TXKV_TICK_H

#include "session.h"

#define TICK_GROUP 16           /* requests prefetched together */
#define TICK_REQUESTS_MAX 1024  /* per session and tick */
#define TICK_STEPS 16           /* keys that a long command goes through, for which it counts as one request more */
#define TICK_IN_MAX 65536       /* bytes decoded per session and tick */
#define TICK_ASKED_MS 10        /* after a request that was answered at once, further ones are to be expected */
#define TICK_LATER_MIN 16       /* sessions that come to their turn later: some 50 us for the system calls that send their answers */
#define TICK_LATER_PER 8        /* and one more for each so many requests of the last tick, which takes no longer than those */
#define TICK_LISTINGS_MAX 4     /* slices of long answers in a tick */
#define TICK_LONG_STEPS 65536   /* keys that all long commands of a tick go through; more of them wait for the next one */
#define TICK_OUT_MAX 262144     /* bytes answered per session and tick, and at most one group of requests more */

struct tick {
    struct session *first; /* ready */
    struct session *last;
    struct session *later_first; /* ready, but not before a later tick's turn */
    struct session *later_last;
    struct session *taken; /* between tick_execute and tick_finish */
    size_t ran;        /* requests since a tick began, or their worth */
    uint64_t asked_ms; /* when a request was last answered at once, by the store's clock */
    bool asked;        /* there was one */
    struct request requests[TICK_GROUP]; /* the group */
    struct session *owners[TICK_GROUP];
    size_t count;
    size_t listings; /* slices so far, of this tick */
    uint64_t long_steps; /* of the long commands so far, of this tick */
    bool put_off;    /* some wait for the next tick */
    size_t words_used;
    struct slice words[COMMAND_ARGS_MAX + 4 * TICK_GROUP];
};

void tick_init(struct tick *t);

/* Puts a session on the ready list; no-op where it stands there. */
void tick_add(struct tick *t, struct session *s);

/* The same for one of many that are woken together, whose answers were waited for anyway. While there are others who ask and are
 * answered at once, a tick takes a few of them, behind those that are ready: so nobody need wait for all of them. */
void tick_add_later(struct tick *t, struct session *s);

/* Takes a session off the lists, before it is deinitialised. */
void tick_remove(struct tick *t, struct session *s);

static inline bool tick_is_idle(const struct tick *t)
{
    return t->first == NULL && t->later_first == NULL;
}

/* One pass over the sessions that are ready now, up to their answers. tick_finish follows, before any session is removed. */
void tick_execute(struct tick *t);

/* Calls done for each of them; a session with more runnable requests is back on the list by then. done may add sessions, and remove
 * the one that it is called for; it sends or repays what was lent to its answers (buf.h). */
void tick_finish(struct tick *t, void (*done)(struct session *s));

/* Both, one after the other. */
void tick_run(struct tick *t, void (*done)(struct session *s));

#endif
