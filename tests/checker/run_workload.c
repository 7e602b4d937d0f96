/* The checker against a server: runs the workload, judges the history, says what it found. */
#include "lives.h"
#include "server_process.h"
#include "verify.h"
#include "workload.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#define MEMORY_ROOM (UINT64_C(256) << 20) /* bytes that /dev/shm must have left to be used */
#define FIRST_CHECK 50 /* transactions before the first look for a fault; doubled each time */

struct options {
    const char *server, *fault, *directory;
    uint64_t transactions, seed, lives;
    uint32_t connections, keys;
    bool black_box;
};

enum judge { JUDGE_REPLAY, JUDGE_GRAPH, JUDGE_BLACK_BOX, JUDGE_COUNT };

struct figures {
    double run_s, check_s;
    size_t anomalies[JUDGE_COUNT];
    size_t reads, edges;
};

static const char *const judge_names[JUDGE_COUNT] = {"replay", "graph", "black box"};

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void usage(FILE *out)
{
    fputs("usage: checker-run --server PATH [--transactions N] [--seed N] [--connections N] [--keys N]\n"
          "                   [--black-box | --lives N] [--fault NAME]\n"
          "Runs random transactions against a server that it starts, and checks that they are strictly serializable.\n"
          "  --black-box   the server does not answer LASTSEQ and SNAPSHOT: judge by values and times alone\n"
          "  --lives N     on a server with a data directory, which is killed N times; the history spans all its lives\n"
          "  --directory D where its data are, for the time of the run (default: in memory, where there is /dev/shm)\n"
          "  --fault NAME  start the server with this deliberate bug, and succeed only if an anomaly is found\n",
          out);
}

/* A process that is killed tells no disk from memory, which is faster. */
static const char *default_directory(void)
{
    struct statvfs st;
    bool roomy = statvfs("/dev/shm", &st) == 0 && (uint64_t)st.f_bavail * st.f_bsize > MEMORY_ROOM;
    return roomy && access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
}

static int options_parse(struct options *o, int argc, char **argv)
{
    static const struct option names[] = {{"server", required_argument, NULL, 's'},
                                          {"transactions", required_argument, NULL, 'n'},
                                          {"seed", required_argument, NULL, 'r'},
                                          {"connections", required_argument, NULL, 'c'},
                                          {"keys", required_argument, NULL, 'k'},
                                          {"black-box", no_argument, NULL, 'b'},
                                          {"lives", required_argument, NULL, 'l'},
                                          {"directory", required_argument, NULL, 'd'},
                                          {"fault", required_argument, NULL, 'f'},
                                          {"help", no_argument, NULL, 'h'},
                                          {0}};
    *o = (struct options){.transactions = 20000, .seed = 1, .connections = 24, .keys = 12};
    o->directory = default_directory();
    for (int c; (c = getopt_long(argc, argv, "h", names, NULL)) != -1;) {
        switch (c) {
        case 's':
            o->server = optarg;
            break;
        case 'n':
            o->transactions = strtoull(optarg, NULL, 10);
            break;
        case 'r':
            o->seed = strtoull(optarg, NULL, 10);
            break;
        case 'c':
            o->connections = (uint32_t)strtoul(optarg, NULL, 10);
            break;
        case 'k':
            o->keys = (uint32_t)strtoul(optarg, NULL, 10);
            break;
        case 'b':
            o->black_box = true;
            break;
        case 'l':
            o->lives = strtoull(optarg, NULL, 10);
            break;
        case 'd':
            o->directory = optarg;
            break;
        case 'f':
            o->fault = optarg;
            break;
        case 'h':
            usage(stdout);
            exit(EXIT_SUCCESS);
        default:
            return -1;
        }
    }
    bool fits =
        o->connections >= 1 && o->connections <= WORKLOAD_CLIENTS_MAX && o->keys >= 1 && o->keys < HISTORY_KEYS_MAX;
    bool marks_fit = o->lives == 0 || (!o->black_box && o->keys + o->connections < HISTORY_KEYS_MAX);
    return o->server && optind == argc && fits && marks_fit ? 0 : -1;
}

static struct script_mix options_mix(const struct options *o)
{
    if (o->lives > 0) {
        /* All that is written was read before, so that commits under way at the end of a life have an order of their own. IDs are
         * remembered for ten minutes, and each checkpoint holds them: few of many lives have one. */
        uint8_t ids_percent = o->lives > 1000 ? 10 : 50;
        return (struct script_mix){.keys = o->keys, .absences = true, .losses = true, .marks = true, .ids_percent = ids_percent};
    }
    return (struct script_mix){
        .keys = o->keys,
        .equal_values = !o->black_box, /* only numbers tell them apart */
        .blind_writes = true,
        .absences = true,
        .counts = !o->black_box,
        .losses = true,
        .idle_max = 3000,
    };
}

/* Judges the history so far; returns the number of anomalies. */
static size_t judge_all(const struct workload *w, struct figures *f, FILE *out)
{
    size_t sum = 0;
    double start = now_s();
    f->reads = f->edges = 0;
    for (int j = 0; j < JUDGE_COUNT; j++) {
        struct report r = {.out = out};
        if (j != JUDGE_BLACK_BOX && !w->numbered) {
            continue;
        }
        if (j == JUDGE_REPLAY) {
            verify_replay(&w->history, &r);
        } else {
            verify_graph(&w->history, j == JUDGE_GRAPH ? GRAPH_NUMBERED : GRAPH_INFERRED, &r);
        }
        f->anomalies[j] = r.anomalies;
        if (r.anomalies > REPORT_TEXTS_MAX && out) {
            fprintf(out, "... and %zu more, says the %s\n", r.anomalies - REPORT_TEXTS_MAX, judge_names[j]);
        }
        f->reads = r.reads > f->reads ? r.reads : f->reads;
        f->edges += r.edges;
        sum += r.anomalies;
    }
    f->check_s += now_s() - start;
    return sum;
}

static void print_summary(const struct workload *w, const struct figures *f)
{
    size_t outcomes[3] = {0}, outside_commits = 0;
    for (size_t i = 0; i < w->history.tx_count; i++) {
        const struct tx *t = &w->history.txs[i];
        if (t->mode == TX_AUTO) {
            outside_commits += t->seq != 0 && t->seq != SEQ_UNKNOWN;
        } else {
            outcomes[t->outcome]++;
        }
    }
    printf("%" PRIu64 " transactions: %zu commits, %zu conflicts, %zu rolled back or lost; %" PRIu64
           " commands outside",
           w->started, outcomes[TX_COMMITTED], outcomes[TX_CONFLICT], outcomes[TX_ABORTED], w->outside);
    if (w->numbered) {
        printf(" (%zu commits)", outside_commits);
    }
    printf("; %zu reads checked, %zu edges; %.1f s to run, %.1f s to check\n", f->reads, f->edges, f->run_s,
           f->check_s);
}

/* Runs, in growing steps if a fault is to be found, until all is done or an anomaly shows. Returns the anomalies, or
 * -1. */
static long run(const struct options *o, struct workload *w, struct figures *f, struct report *driver)
{
    uint64_t target = o->fault ? FIRST_CHECK : o->transactions;
    for (;; target *= 2) {
        if (target > o->transactions) {
            target = o->transactions;
        }
        double start = now_s();
        int rc = workload_run(w, target);
        f->run_s += now_s() - start;
        if (rc != 0) {
            return -1;
        }
        /* The words come with a second look, once it is known that there is something to say. */
        size_t found = judge_all(w, f, NULL) + driver->anomalies;
        if (found || target == o->transactions) {
            return (long)found;
        }
    }
}

static int conclude(const struct options *o, const struct workload *w, struct figures *f, long anomalies)
{
    if (anomalies > 0) {
        judge_all(w, f, stdout);
    }
    print_summary(w, f);
    if (!o->fault) {
        printf("%ld anomalies; seed %" PRIu64 "\n", anomalies, o->seed);
        return anomalies ? -1 : 0;
    }
    if (anomalies == 0) {
        printf("NOT CAUGHT: %s, in %" PRIu64 " transactions\n", o->fault, w->started);
        return -1;
    }
    printf("caught: %s, after %" PRIu64 " transactions, by", o->fault, w->started);
    for (int j = 0; j < JUDGE_COUNT; j++) {
        if (f->anomalies[j]) {
            printf(" %s (%zu)", judge_names[j], f->anomalies[j]);
        }
    }
    if (w->report->anomalies) {
        printf(" the client itself (%zu)", w->report->anomalies);
    }
    putchar('\n');
    return 0;
}

static size_t judge_quietly(const struct workload *w)
{
    struct figures f = {0};
    return judge_all(w, &f, NULL);
}

/* On servers that are killed. Returns as run does. */
static long run_lives(const struct options *o, struct workload *w, const struct script_mix *mix, struct figures *f,
                      struct report *driver)
{
    const struct lives_options lives = {o->server, o->fault, o->directory, o->lives, o->seed, judge_quietly};
    double start = now_s();
    int rc = lives_run(&lives, w, o->connections, mix, driver);
    f->run_s = now_s() - start;
    return rc != 0 ? -1 : (long)(judge_all(w, f, NULL) + driver->anomalies);
}

/* On one server. */
static long run_once(const struct options *o, struct workload *w, const struct script_mix *mix, struct figures *f,
                     struct report *driver)
{
    struct server_process server;
    if (server_process_start(&server, &(struct server_setup){.path = o->server, .fault = o->fault}) != SERVER_RUNS) {
        return -1;
    }
    int rc = workload_init(w, server.port, o->connections, mix, !o->black_box, o->seed, driver);
    long anomalies = rc == 0 ? run(o, w, f, driver) : -1;
    workload_leave(w);
    return server_process_stop(&server) == 0 ? anomalies : -1;
}

int main(int argc, char **argv)
{
    struct options o;
    if (options_parse(&o, argc, argv) != 0) {
        usage(stderr);
        return 2;
    }
    struct workload *w = checker_zalloc(1, sizeof(*w));
    w->epoll = -1;
    struct script_mix mix = options_mix(&o);
    struct report driver = {.out = stdout};
    struct figures f = {0};
    long anomalies = (o.lives > 0 ? run_lives : run_once)(&o, w, &mix, &f, &driver);
    int rc = -1;
    if (anomalies < 0) {
        printf("the run broke off after %" PRIu64 " transactions, seed %" PRIu64 ": %s\n", w->started, o.seed,
               w->broken ? w->broken : "see above");
    } else {
        rc = conclude(&o, w, &f, anomalies);
    }
    workload_deinit(w);
    free(w);
    return rc == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
