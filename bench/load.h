/* load: drives one server from one thread, by raw epoll, in a closed loop: every connection sends a batch of pipelined
 * requests, waits for all of its replies, and sends the next.
 *
 *   connect -> warm up -> measure -> drain -> close
 *
 * All requests stand ready in one ring of batches shared by the connections; sending a batch patches its keys in place
 * and hands it to the socket. Nothing is allocated or formatted while measuring (a socket that takes only a part of a
 * batch makes its connection keep a copy of the rest). */
#ifndef BENCH_LOAD_H
#define BENCH_LOAD_H

#include <netdb.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "hist.h"
#include "keys.h"
#include "procstat.h"
#include "syscalls.h"
#include "timeline.h"
#include "wire.h"

struct load_plan {
    const char *host;          /* name or address */
    const char *port;          /* digits */
    enum wire_proto proto;     /* it speaks */
    pid_t server_pid;          /* whose CPU time is accounted; 0: nobody's */
    bool count_syscalls;       /* its system calls too, which slows it (see syscalls.h) */
    double mix[WIRE_OP_COUNT]; /* share of each operation; they sum to 1 */
    enum keys_dist dist;       /* which of the keys */
    uint64_t keys;             /* how many; 1 to KEYS_MAX */
    uint64_t seed;             /* of values, keys and the order of operations */
    uint64_t requests;         /* stop after as many; 0: no limit but the duration */
    uint64_t duration_ns;      /* of the measurement; 0: no limit but the requests */
    uint64_t warmup_ns;        /* what comes before does not count */
    size_t value_size;         /* bytes */
    unsigned conns;            /* connections */
    unsigned pipeline;         /* requests of a batch */
};

struct load_result {
    struct timeline timeline;
    struct hist latency;    /* ns from handing a batch to the socket to having read a reply; one sample a reply */
    uint64_t replies;       /* in the measurement */
    uint64_t errors;        /* of them: errors */
    uint64_t misses;        /* of them: absent keys */
    uint64_t wall_ns;       /* length of the measurement */
    uint64_t client_cpu_ns; /* our own CPU time in it */
    uint64_t server_cpu_ns; /* the server's, 0 if not known */
    uint64_t syscalls;      /* the server's, with the plan's count_syscalls */
    enum syscalls_source syscalls_source; /* what they were counted by */
    uint64_t rss_kib;                     /* the server's resident memory at the end, 0 if not known */
    char first_error[96];                 /* an error reply */
    char why[192];                        /* what failed */
};

/* 0, or -1 with a line in r->why when the measurement could not be made. r is large (hist): keep it off the stack. */
int load_run(const struct load_plan *plan, struct load_result *r);

#endif
