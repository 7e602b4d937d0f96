/* undisturbed: the samples of an open loop that no stop of the machine has delayed. A stop is a time in which the machine
 * let the load generator or the server not run, for something else (see stops.h). It delays what is outstanding and what
 * is due in it, and all behind that until no more requests wait than usually do.
 *
 *   requests  |--|   |------------|
 *                  |----------------|     |----|  |--|
 *   stop                [-------]                  :
 *   sample    fine         delayed     delayed     :fine
 *                                                  no more than usual wait
 *
 * Of a sample that was delayed, what is longer than the stops had lasted by then counts, if it is worth speaking of: it is
 * taken for the server's (who answers in batches shows a stop longer than it was, as the first waits for the last behind
 * it), whose own stalls are not hidden by a stop in the midst of them. The other samples are left out. While the backlog
 * of a stop lasts, an own stall that is no longer than the stop is not seen.
 *
 * Samples are held until every stop that may have delayed them is known: it is found only when it is over. */
#ifndef BENCH_UNDISTURBED_H
#define BENCH_UNDISTURBED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hist.h"

#define UNDISTURBED_HELD_MAX ((size_t)1 << 19) /* events; power of two. More: the oldest are judged by what is known */
#define UNDISTURBED_STOPS_MAX 1024
#define UNDISTURBED_RECENT 16 /* stops, which later ones may overlap */
#define UNDISTURBED_STEPS 256
#define UNDISTURBED_EARLY 512 /* counts, of which each moves the median further */
#define UNDISTURBED_BACKLOG 8 /* times as long as its stops lasted, a backlog is not taken for what usually waits */
#define UNDISTURBED_REST_MIN_NS 700000 /* a stop may have been longer by less: STOPS_PERIOD_NS, STOPS_MIN_NS */

struct stop {
    uint64_t from_ns; /* monotonic: about when it began; length_ns before to_ns at the latest */
    uint64_t to_ns;   /* it did not end later */
    uint64_t length_ns;
};

struct held_event {
    uint64_t at_ns;
    uint64_t latency_ns;
    uint64_t n;       /* samples; 0: none, but a count */
    uint64_t waiting; /* a count: of requests that are due and not answered */
};

struct undisturbed {
    struct hist latency;                      /* of the samples that nothing delayed, or longer than what did */
    uint64_t stops;                           /* that were told; two cores that stood still at once count twice */
    uint64_t longest_ns;                      /* of them */
    uint64_t stopped_ns;                      /* in all, until the last sample that was judged */
    uint64_t left_out;                        /* samples */
    struct held_event *held;                  /* a circle: owned */
    size_t first;                             /* of held, counted up without end */
    size_t end;                               /* one past the last, alike */
    struct stop known[UNDISTURBED_STOPS_MAX]; /* sorted by their beginning, which the samples judged have not reached */
    size_t known_n;
    uint64_t until_ns;                      /* the end of the stops that began so far */
    uint64_t explained_ns;                  /* how long those before the last one lasted in all, while they delay */
    uint64_t last_from_ns;                  /* the last one, without what is the same time as one before */
    uint64_t last_ns;                       /* its length */
    struct stop recent[UNDISTURBED_RECENT]; /* the last ones, with what they explain: a circle */
    size_t recent_n;                        /* counted up without end */
    bool delaying;                          /* they still do: there is a backlog */
    uint64_t backlog_from_ns;               /* since when that is theirs, at first */
    uint64_t backlog_stops_ns;              /* how long they lasted since then */
    uint64_t usual;           /* UNDISTURBED_STEPS times how many wait: about the median, but for backlogs of stops */
    uint64_t counts;          /* of which that is the median */
    uint64_t counted_from_ns; /* stops that ended before do not count */
};

/* 0, or -1 without memory. */
int undisturbed_init(struct undisturbed *u);
void undisturbed_deinit(struct undisturbed *u);

/* n samples came at at_ns, not before the events before. */
void undisturbed_add(struct undisturbed *u, uint64_t at_ns, uint64_t latency_ns, uint64_t n);

/* At at_ns so many requests were due and not answered. To be told whenever that may have changed. */
void undisturbed_count(struct undisturbed *u, uint64_t at_ns, uint64_t waiting);

/* A stop that was found; one that began before samples that have been judged counts for those that follow. */
void undisturbed_stop(struct undisturbed *u, struct stop stop);

/* Counts stops anew: stops, longest_ns and stopped_ns are of those that end behind from_ns. */
void undisturbed_count_stops(struct undisturbed *u, uint64_t from_ns);

/* Judges what came before until_ns: all stops that began before it are known. */
void undisturbed_judge(struct undisturbed *u, uint64_t until_ns);

#endif
