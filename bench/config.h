/* config: what a run of txkv-benchmark is asked to do. */
#ifndef BENCH_CONFIG_H
#define BENCH_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "keys.h"
#include "load.h"
#include "opts.h"
#include "sizes.h"
#include "wire.h"

#define TARGETS_MAX 8
#define WORKLOADS_MAX 8
#define PIPELINES_MAX 16
#define REPEAT_MAX 100

struct target {
    char name[32];
    enum wire_proto proto;
    char host[128];
    char port[8];
    pid_t pid; /* 0: its CPU time is not accounted */
};

struct workload {
    char name[16];
    double mix[WIRE_OP_COUNT]; /* shares that sum to 1 */
};

struct config {
    struct target targets[TARGETS_MAX];
    size_t target_count;
    struct workload workloads[WORKLOADS_MAX];
    size_t workload_count;
    bool tests_given;
    bool mix_given;
    uint64_t pipelines[PIPELINES_MAX];
    size_t pipeline_count;
    uint64_t conns;
    uint64_t requests;    /* 0: the duration decides */
    uint64_t duration_ns; /* 0: the requests decide */
    uint64_t warmup_ns;
    uint64_t keys;
    struct keys_choice dist;
    struct sizes value_sizes;
    uint64_t value_size;    /* their mean */
    struct sizes key_sizes; /* one part */
    struct load_txn txn;    /* instead of operations, if it reads or writes anything */
    uint64_t rate;          /* requests a second of an open loop; 0: closed loop */
    enum pace_arrivals arrivals;
    bool arrivals_given;
    bool watch_stops;        /* tell what the machine's stops delayed */
    bool sweep;              /* open loop, at the rates that sweep.h tries */
    uint64_t sweep_limit_ns; /* 0: p99 is judged by that of the lowest rate */
    uint64_t idle;           /* further connections that do nothing */
    uint64_t non_readers;    /* further connections that ask and never read */
    bool verify;
    uint64_t seed;
    uint64_t repeat;
    bool preload;
    bool quiet;
    const char *csv;    /* NULL: none; "": to stdout instead of the table; else a file */
    const char *json;   /* alike */
    const char *report; /* NULL: none; else the file of the page */
    const char *spawn;  /* NULL: none; else the command that starts the only target */
    /* Options as they were given, for reports; "" where there is none. */
    const char *dist_text;
    const char *value_size_text;
    const char *key_size_text;
    const char *txn_text;
    /* What --target takes the place of. */
    const char *host; /* NULL: not given */
    uint64_t port;    /* 0: not given */
    uint64_t server_pid;
    enum wire_proto proto;
    bool proto_given;
};

/* Sets *c from the defaults and the arguments. OPTS_BAD leaves one line in why. */
enum opts_result config_parse(struct config *c, int argc, char **argv, char *why, size_t why_size);

void config_print_help(void);

#endif
