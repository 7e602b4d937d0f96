/* Random clients over TCP: one process, one epoll loop, one command at a time on each connection, and the history
 * of it all.
 *
 * A client:
 *   READY --send a step--> WAITING --all lines of its answer--> READY
 *     |                       '--half-closed--> CLOSING --end of stream, reconnect--> READY
 *     '--COMMIT, close, reconnect--> READY, polling the marker until the unheard commit shows
 *
 * Where the server is mortal, all are LOST when it has ended. On the next one, whoever had sent a COMMIT and did not hear of it
 * asks for its own marker first, which says whether that was done. If the transaction had an ID, it asks for the OUTCOME, and what that
 * says goes into the history; the marker must agree. And everybody asks for the OUTCOME of the last transaction with an ID that it
 * knows of: if it has committed, it is begun once more, which must be refused; if not, the next one has the same ID. */
#ifndef TXKV_CHECKER_WORKLOAD_H
#define TXKV_CHECKER_WORKLOAD_H

#include "report.h"
#include "script.h"

#define WORKLOAD_CLIENTS_MAX 64
#define CLIENT_INPUT_MAX 4096

enum client_state { CLIENT_READY, CLIENT_WAITING, CLIENT_CLOSING, CLIENT_LOST };

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
    bool open;                       /* the server ended meanwhile: it may be done, or not */
    bool heard_ok;                   /* and yet it had been acknowledged, its number alone was not heard */
    uint32_t token;                  /* ID of the last transaction that had one, 0: there was none, */
    bool token_done;                 /* it has committed, */
    bool token_again;                /* it has not, and never will: the next transaction takes it, */
    bool asks;                       /* and this server was not asked yet what it knows of it */
    uint64_t marker_polls;
    char in[CLIENT_INPUT_MAX];
    size_t in_len, lines_wanted;
};

/* Something else that the loop waits for. */
struct workload_watch {
    int fd;
    void (*on_ready)(void *arg);
    void *arg;
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
    bool mortal;         /* the server may end at any time: a lost connection is no failure */
    size_t life_first;   /* first transaction in the history of the server's present life */
    uint64_t seq_base;   /* numbers of commits that came before the history */
    uint64_t newest_seq; /* the highest number of a commit that was acknowledged */
    size_t opened;       /* COMMITs that the end of a server left open, and those of them that were done */
    size_t opened_done;
    uint32_t token_next;
    size_t outcomes_open; /* OUTCOMEs that decided what became of a COMMIT that was left open, */
    size_t outcomes_done; /* COMMITTED among them, */
    size_t retries;       /* and transactions that were begun again, and refused, as they had committed */
    const char *broken; /* what made the run stop, or NULL */
    char broken_text[256];
    struct client clients[WORKLOAD_CLIENTS_MAX];
    uint32_t client_count;
};

/* Connects. mix.keys keys are used, and one more as the marker. With mix.marks one more for each client; then the server is mortal,
 * and there is none yet: workload_revive gives the first one. Returns 0, or -1 with w->broken set. */
int workload_init(struct workload *w, uint16_t port, uint32_t clients, const struct script_mix *mix, bool numbered,
                  uint64_t seed, struct report *report);
/* A copy of the data, which another server serves: the command that asks for all of it, in one transaction, and how many lines its
 * answer has. */
#define WORKLOAD_COPY_COMMAND_MAX 1024
size_t workload_copy_ask(const struct workload *w, char *command);

/* Puts it into the history as what a transaction of its own has read that began between two moments of w->clock, as of the commit that
 * the copy says it is of. The answer is cut into lines. Returns the number of that commit, as the server counts. */
uint64_t workload_copy_take(struct workload *w, char *answer, uint64_t sent, uint64_t answered);

/* Closes all connections; the history stays. */
void workload_leave(struct workload *w);
void workload_deinit(struct workload *w);

/* Runs until `target` transactions have been begun and all are ended. Returns 0, or -1 with w->broken set; 1 where the server
 * is mortal and has ended. */
int workload_run(struct workload *w, uint64_t target);

/* Calls on_ready whenever there is something to read at its descriptor, while the workload runs. */
void workload_watch(struct workload *w, struct workload_watch *watch);

/* Goes on with another server, which serves the data of the one that has ended; `newest` is the number of its newest commit, as the server counts.
 * Returns 0, or -1 with w->broken set. */
int workload_revive(struct workload *w, uint16_t port, uint64_t newest);

#endif
