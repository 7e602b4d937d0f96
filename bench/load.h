/* load: drives one server from one thread, by raw epoll.
 *
 *   connect -> warm up -> measure -> drain -> close
 *
 * Closed loop: every connection sends a batch of pipelined requests, waits for all of its replies, and sends the next.
 * Open loop (a rate): requests go out when they are due, on the connections in turn, behind what is outstanding there;
 * their latency counts from when they were due, however late they were sent. What cannot be sent, for want of room in
 * the sockets or because LOAD_OUTSTANDING_MAX requests are, waits and stays due.
 * Transactions, in a closed loop: see txn.c.
 *
 * All requests stand ready in one ring shared by the connections; sending some patches their keys in place and hands
 * them to the socket. Nothing is allocated or formatted while measuring (a socket that takes only a part makes its
 * connection keep a copy of the rest; keys of different sizes are put together when sent). */
#ifndef BENCH_LOAD_H
#define BENCH_LOAD_H

#include <netdb.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "hist.h"
#include "keys.h"
#include "pace.h"
#include "procstat.h"
#include "sizes.h"
#include "syscalls.h"
#include "timeline.h"
#include "wire.h"

#define LOAD_OUTSTANDING_MAX 1000000
#define LOAD_TXN_KEYS_MAX 100

/* A transaction reads keys and writes keys; it writes the keys that it read first. Not reads nor writes: none. */
struct load_txn {
    unsigned reads; /* 0: it is sent as a whole */
    unsigned writes;
    double conflict;   /* the share in which another client writes the first key between the reads and the writes */
    bool serializable; /* text: BEGIN SERIALIZABLE */
};

struct load_plan {
    const char *host;          /* name or address */
    const char *port;          /* digits */
    enum wire_proto proto;     /* it speaks */
    pid_t server_pid;          /* whose CPU time is accounted; 0: nobody's */
    bool count_syscalls;       /* its system calls too, which slows it (see syscalls.h) */
    double mix[WIRE_OP_COUNT]; /* share of each operation; they sum to 1. Not used by transactions */
    struct load_txn txn;       /* closed loop only, not on memcache */
    struct keys_choice dist;   /* which of the keys */
    uint64_t keys;             /* how many; 1 to KEYS_MAX */
    uint64_t seed;             /* of values, keys and the order of operations */
    uint64_t requests;         /* stop after as many (transactions); 0: no limit but the duration */
    uint64_t duration_ns;      /* of the measurement; 0: no limit but the requests */
    uint64_t warmup_ns;        /* what comes before does not count */
    struct sizes value_sizes;  /* bytes */
    uint64_t key_size_min;     /* bytes, WIRE_KEY_SIZE at least; a key's number decides on its size */
    uint64_t key_size_max;
    bool verify;          /* every value read must be one that was written with the same stamp for its key; values
                                  have VALUES_MIN bytes at least */
    uint16_t stamp;       /* verify: marks the values written */
    unsigned conns;       /* connections */
    unsigned pipeline;    /* requests (transactions) of a batch; not used by an open loop */
    unsigned idle;        /* further connections that do nothing */
    unsigned non_readers; /* further connections that send GETs for ever and never read */
    double rate;          /* requests a second of an open loop; 0: closed loop */
    enum pace_arrivals arrivals;
    bool watch_stops; /* open loop, with server_pid: tell what the machine's stops delayed, see stops.h */
};

/* An operation is a request, or a transaction. */
struct load_result {
    struct timeline timeline;
    struct hist latency; /* ns from handing a batch to the socket (open loop: from when it was due) to having read a
                               reply, or a transaction's last; one sample an operation */
    struct hist undisturbed; /* the same without what the machine's stops delayed, if those were watched */
    bool watched_stops;      /* as the plan asked for */
    uint64_t stops;         /* how many there were */
    uint64_t stopped_ns;    /* in all */
    uint64_t stop_max_ns;   /* the longest */
    uint64_t replies;       /* operations answered in the measurement */
    uint64_t unanswered;    /* open loop: due in the measurement, not answered at its end; the latency has them with
                               the time that they had waited by then */
    uint64_t errors;        /* replies that were errors, or not what the request must get */
    uint64_t misses;        /* replies that said that the key is absent */
    uint64_t conflicts;     /* transactions refused for what others wrote: no errors */
    uint64_t wall_ns;       /* length of the measurement */
    uint64_t client_cpu_ns; /* our own CPU time in it, but for what was spent waiting for the next request to be due */
    uint64_t server_cpu_ns; /* the server's, 0 if not known */
    uint64_t syscalls;      /* the server's, with the plan's count_syscalls */
    enum syscalls_source syscalls_source; /* what they were counted by */
    uint64_t rss_kib;                     /* the server's resident memory at the end, 0 if not known */
    char first_error[192];                /* an error reply, or what was wrong with a reply */
    char why[192];                        /* what failed */
};

/* 0, or -1 with a line in r->why when the measurement could not be made. r is large (hist): keep it off the stack. */
int load_run(const struct load_plan *plan, struct load_result *r);

#endif
