/* Random clients over TCP: one process, one epoll loop, one command at a time on each connection, and the history
 * of it all.
 *
 * A client:
 *   READY --send a step--> WAITING --all lines of its answer--> READY
 *     |                       '--half-closed--> CLOSING --end of stream, reconnect--> READY
 *     '--COMMIT, close, reconnect--> READY, polling the marker until the unheard commit shows */
#ifndef TXKV_CHECKER_WORKLOAD_H
#define TXKV_CHECKER_WORKLOAD_H

#include "report.h"
#include "script.h"

#define WORKLOAD_CLIENTS_MAX 64
#define CLIENT_INPUT_MAX 4096

enum client_state { CLIENT_READY, CLIENT_WAITING, CLIENT_CLOSING };

struct client {
    uint32_t id;
    int fd;
    enum client_state state;
    struct script_mix mix;
    struct script script; /* count 0: none */
    size_t at;            /* the step to send, or sent */
    uint64_t idle_until;  /* in answers taken in by all clients */
    struct tx_builder build;
    bool failed;                     /* STEP_ERROR was sent in this transaction */
    uint64_t last_seq;               /* of this connection, as told by LASTSEQ */
    uint32_t seen[HISTORY_KEYS_MAX]; /* what it last read of each key */
    struct tx_builder unheard;       /* the transaction whose COMMIT went unheard, */
    uint32_t marker;                 /* and what it wrote at the marker key; 0: none */
    uint64_t marker_polls;
    char in[CLIENT_INPUT_MAX];
    size_t in_len, lines_wanted;
};

struct workload {
    struct history history;
    struct report *report; /* for what the driver itself sees */
    struct script_mix mix;
    struct rng rng;
    uint16_t port;
    bool numbered; /* the server answers LASTSEQ and SNAPSHOT */
    int epoll;
    uint64_t clock, answers;
    uint32_t value_next;
    uint32_t flushing, unheard; /* scripts under way that do; never both, so that no marker is flushed */
    uint64_t started, target;   /* transactions */
    uint64_t outside;           /* commands outside transactions */
    uint32_t in_flight;
    const char *broken; /* what made the run stop, or NULL */
    char broken_text[256];
    struct client clients[WORKLOAD_CLIENTS_MAX];
    uint32_t client_count;
};

/* Connects. mix.keys keys are used, and one more as the marker. Returns 0, or -1 with w->broken set. */
int workload_init(struct workload *w, uint16_t port, uint32_t clients, const struct script_mix *mix, bool numbered,
                  uint64_t seed, struct report *report);
void workload_deinit(struct workload *w);

/* Runs until `target` transactions have been begun and all are ended. Returns 0, or -1 with w->broken set. */
int workload_run(struct workload *w, uint64_t target);

#endif
