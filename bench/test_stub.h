/* test_stub: a small server for the tests, in a process of its own, that can be told to misbehave. It speaks all
 * protocols of wire.h as far as the load generator does, but of transactions only RESP's, of up to 3 keys; values hold
 * no line ends, and keys are numbers below STUB_KEYS. */
#ifndef BENCH_TEST_STUB_H
#define BENCH_TEST_STUB_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "wire.h"

#define STUB_KEYS 64

enum stub_fault {
    STUB_GOOD,
    STUB_OTHER_KEY,  /* GET answers the value of the key before */
    STUB_WRONG_BYTE, /* GET answers a value with one byte changed */
    STUB_SHORT,      /* GET answers a value without its last byte but one */
    STUB_LONG,       /* GET answers a value with a byte behind it */
    STUB_OLD_VALUE,  /* GET answers a value of some other run */
    STUB_SET_QUEUED, /* SET is answered by a line that is no error and no success */
    STUB_CLOSES,     /* the first connection is closed at once */
};

struct stub_plan {
    bool stall_busy;   /* it computes meanwhile, instead of sleeping */
    bool stall_client; /* it is the client that stands still then: the process that started the stub */
    enum wire_proto proto;
    enum stub_fault fault;
    unsigned fault_every; /* a fault of GET happens at every so manieth GET; 0: at each */
    unsigned stall_at;    /* the request that everything stands still at, once; 0: none */
    unsigned stall_ms;    /* for as long */
    unsigned delay_us;    /* at least so long a request, one after the other */
};

struct stub {
    pid_t pid;
    char port[8];
    volatile uint64_t *requests; /* that it got so far: shared with it */
};

struct stub stub_start(const struct stub_plan *plan);
void stub_stop(struct stub *s);

#endif
