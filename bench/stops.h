/* stops: finds when the machine lets the load generator or the server not run: other processes, the kernel's own threads,
 * and, below a virtual machine, whoever limits its processors.
 *
 * For each of the two, a thread on its core wakes every STOPS_PERIOD_NS and looks
 *
 *   how long it was ready to run and waited since the last look (/proc/PID/schedstat, of the first thread), not counting for
 *   how long other threads of its process ran: those are its own affair, whose work may be any of that since the look before
 *   it ran last; and
 *   whether the look itself is late: then the core stood still. The thread goes before all others (SCHED_FIFO); where that
 *   is not allowed it may be late because the other ran, which then does not count
 *
 * Shorter stops than STOPS_MIN_NS are not looked for, and a core that stood still only shows above STOPS_MIN_NS +
 * STOPS_PERIOD_NS for sure. What a server spends sleeping or running is no stop: that is its own. But a system call
 * or a page fault of its own in which the kernel lets nobody else run for as long looks like one, where SCHED_FIFO is
 * allowed. Without a core of its own (its affinity), only the waiting is known; where the generator may run on the server's
 * core, too, what the server runs is no stop of the generator. Child processes of a server count as others. */
#ifndef BENCH_STOPS_H
#define BENCH_STOPS_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/types.h>

#include "undisturbed.h"

#define STOPS_PERIOD_NS 500000
#define STOPS_MIN_NS 200000
#define STOPS_FOUND_MAX 256

/* What the kernel has accounted to a thread. */
struct stops_account {
    uint64_t at_ns; /* when that was read */
    uint64_t ran_ns;
    uint64_t waited_ns; /* ready to run, while others ran */
    uint64_t others_ns; /* that other threads of its process ran */
    uint64_t since_ns;  /* the same at the look before it ran or waited last */
};

/* How the thread that looks stands on the core of the one that it looks at. */
enum stops_place {
    STOPS_ELSEWHERE, /* on any */
    STOPS_BESIDE,    /* on it, as others do */
    STOPS_FIRST      /* on it, before all others */
};

struct stops_watcher {
    pthread_t thread;
    int schedstat;     /* of the one that it looks at */
    clockid_t process; /* the CPU time of its process, whose other threads are its own affair; -1: they are not */
    clockid_t rival;   /* of the server, where the generator may have to wait for that, or -1 */
    enum stops_place place;
    atomic_bool ending;
    struct stop found[STOPS_FOUND_MAX]; /* a circle */
    atomic_size_t found_n;              /* that it put there, counted up without end */
    atomic_size_t taken_n;              /* that were taken, alike */
    _Atomic uint64_t seen_ns;           /* until when it has looked */
};

enum stops_who { STOPS_SERVER, STOPS_GENERATOR, STOPS_WHO_COUNT };

struct stops {
    bool on;
    struct undisturbed undisturbed;
    struct stops_watcher watchers[STOPS_WHO_COUNT];
    uint64_t judged_ns; /* when samples were judged last */
};

/* Begins to look at the process server and at this thread. 0, or -1 with errno: the accounts cannot be read, no memory,
 * no thread. */
int stops_begin(struct stops *s, pid_t server);

/* The samples are judged as far as is known. To be called often. */
void stops_judge(struct stops *s, uint64_t now);

/* Ends looking: every sample is judged then. What was found stays in undisturbed, until stops_deinit(). */
void stops_end(struct stops *s);
void stops_deinit(struct stops *s);

/* For the tests: whether there was a stop between two looks (*stop is when), and what the next look is compared with. */
bool stops_between(const struct stops_account *before, const struct stops_account *now, enum stops_place place,
                   struct stop *stop);
struct stops_account stops_next(const struct stops_account *before, const struct stops_account *now);

#endif
