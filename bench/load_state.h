/* load_state: what the parts of a running load share.
 *
 *   load.c  the phases, the loop, replies and samples
 *   ring.c  the requests, ready to be sent
 *   conn.c  sockets: opening, sending, what a socket did not take
 *   open.c  the open loop
 *   txn.c   transactions that read before they write
 *   crowd.c the connections beside: idle ones and such that never read */
#ifndef BENCH_LOAD_STATE_H
#define BENCH_LOAD_STATE_H

#include "clock.h"
#include "load.h"
#include "pending.h"
#include "reply.h"
#include "stops.h"
#include "values.h"

#define LOAD_IN_SIZE ((size_t)262144)

enum phase { PHASE_WARMUP, PHASE_MEASURE, PHASE_DRAIN };

struct load;
struct load_conn;

/* What is to be done when a connection is ready, by epoll's events; 0, or -1 with l->r->why. */
typedef int conn_ready_fn(struct load *l, struct load_conn *c, uint32_t events);

enum txn_step { TXN_IDLE, TXN_READING, TXN_DISTURBED, TXN_WRITING };

struct load_conn {
    int fd;
    conn_ready_fn *on_ready;
    unsigned batch;               /* closed loop: of the ring, the one it takes next */
    unsigned outstanding;         /* replies to come */
    uint64_t start_ns;            /* closed loop: when the batch was handed to the socket */
    size_t reply_slot;            /* of the ring: the request that the next reply is for, unless l->tracked */
    struct pending_queue pending; /* the outstanding requests, if l->tracked */
    char *rest;                   /* bytes that the socket has not taken yet: owned */
    size_t rest_at;               /* first of them */
    size_t rest_end;              /* one past the last */
    size_t rest_cap;
    enum txn_step step;
    bool conflict;      /* this transaction is to be disturbed */
    size_t txn_first;   /* its first slot of the ring */
    uint64_t *txn_keys; /* its keys: owned; NULL: none */
    struct load *load;  /* for the parser's callback */
    bool checking;      /* verify: a value is arriving */
    struct values_check check;
    struct reply_parser parser;
};

struct ring_slot {
    size_t at;         /* where the request begins; one slot more for the end */
    size_t key_at;     /* where its first key's digits are, or WIRE_NO_KEY */
    size_t value_at;   /* where its value is */
    size_t value_size; /* of a SET or STORE, else 0 */
    unsigned keys;     /* how many keys */
    unsigned key;      /* which of a transaction's keys comes first */
};

/* batches x batch requests, end to end. */
struct ring {
    char *bytes;
    char *scratch; /* where requests are put together if their keys differ in size, else NULL */
    size_t scratch_len;
    struct ring_slot *slots;
    uint8_t *ops; /* wire_op of each slot */
    struct wire_places watch;
    unsigned unit;  /* requests of an operation */
    unsigned split; /* of those, how many a transaction sends before its writes; 0: all at once */
    size_t batch;   /* requests of a batch */
    unsigned batches;
};

struct load {
    const struct load_plan *plan;
    struct load_result *r;
    struct ring ring;
    struct reply_word words[WIRE_STEP_COUNT];
    bool tracked; /* every outstanding request stands in its connection's queue */
    struct pending_store pending;
    struct load_conn *conns;
    struct load_conn *crowd; /* idle ones, then non-readers */
    char *crowd_bytes;       /* what non-readers send, over and over */
    size_t crowd_size;
    struct load_conn side; /* disturbs transactions: sets a key */
    char *side_bytes;      /* what it sends: owned */
    size_t side_size;
    size_t side_value_size;
    struct wire_places side_places;
    struct load_conn **waiting; /* whom it disturbs, in order: a circle of conns places */
    unsigned waiting_first;
    unsigned waiting_count;
    double conflict_debt; /* disturbs the next transaction at 1 */
    struct pace pace;
    size_t open_slot;   /* open loop: of the ring, the one to be sent next */
    unsigned open_conn; /* open loop: whose turn it is */
    bool open_blocked;  /* open loop: requests are due, but nothing can be sent */
    uint64_t spin_from; /* open loop: when a wait without sleeping began; 0: none did */
    uint64_t spin_ns;   /* open loop: spent in such waits, in vain */
    uint8_t count;      /* verify: values written */
    struct keys keys;
    struct rng rng;
    char *in; /* what was read last, and 8 bytes more; nothing stays in it */
    int epoll;
    enum phase phase;
    bool done;
    uint64_t outstanding; /* replies, of all connections */
    uint64_t sent;        /* operations, in this phase */
    uint64_t edge_ns;     /* when the phase ends */
    uint64_t reply_ns;    /* when the last reply came */
    uint64_t begin_ns;    /* of the measurement */
    uint64_t client_cpu_ns;
    uint64_t server_cpu_ns;
    struct syscalls syscalls;
    struct stops stops;
};

/* Puts what failed into l->r->why; -1. */
__attribute__((format(printf, 2, 3))) int load_fail(struct load *l, const char *format, ...);

/* How many operations may still be sent in this phase. */
uint64_t load_left(const struct load *l);

/* Counts a reply to op by what it means; -1 if it is none of the protocol. */
int load_count(struct load *l, enum wire_op op, enum verdict *verdict, const struct reply *reply);

/* Counts an error, and keeps what it was if it is the first. */
__attribute__((format(printf, 2, 3))) void load_error(struct load *l, const char *format, ...);

/* Adds n operations that were answered now, or found waiting at the end; all samples go through here. */
void load_add_sample(struct load *l, uint64_t now, uint64_t latency, uint64_t n);

/* ring */

int ring_init(struct load *l);
void ring_deinit(struct ring *g);

/* Gives slot i its key, and its value if values are verified, and queues it on c if requests are tracked. */
void ring_fill(struct load *l, struct load_conn *c, size_t i, uint64_t due_ns);

/* ring_fill() for n slots from first on. */
void ring_fill_all(struct load *l, struct load_conn *c, size_t first, size_t n, uint64_t due_ns);

/* How long a key is: its number decides. */
size_t ring_key_size(const struct load_plan *plan, uint64_t key);

/* Sends the n slots from first on, which were filled one after the other just before. */
int ring_send(struct load *l, struct load_conn *c, size_t first, size_t n);

/* conn */

/* Connects c and lets epoll tell on_ready of its events (0: none). */
int conn_open(struct load *l, struct load_conn *c, const struct addrinfo *addr, uint32_t events,
              conn_ready_fn *on_ready);
void conn_close(struct load_conn *c);

/* Everything, sooner or later: what the socket does not take is copied. */
int conn_send(struct load *l, struct load_conn *c, const char *bytes, size_t size);

/* What the socket takes of the bytes, or -1. */
ssize_t conn_write(struct load *l, struct load_conn *c, const char *bytes, size_t size);

int conn_send_rest(struct load *l, struct load_conn *c);

static inline bool conn_has_rest(const struct load_conn *c)
{
    return c->rest_at < c->rest_end;
}

/* Receives into l->in; the bytes, 0 when there are none now, or -1. */
ssize_t conn_receive(struct load *l, struct load_conn *c);

/* open */

/* Sends what is due. */
int open_send(struct load *l);

/* Returns when there may be events, the next arrival is due or close, or the phase ends. */
void open_wait(struct load *l);

/* To be told how many events there were after that. */
void open_woke(struct load *l, int events);

/* Adds what is due and not answered at the end of the measurement. */
void open_add_unanswered(struct load *l, uint64_t now);

/* txn */

int txn_init(struct load *l, const struct addrinfo *addr);
void txn_deinit(struct load *l);

/* Goes on with the transaction of a connection that waits for no reply, or begins one. */
int txn_go_on(struct load *l, struct load_conn *c);

/* crowd */

int crowd_open(struct load *l, const struct addrinfo *addr);

/* -1 when the server has closed an idle connection. */
int crowd_check(struct load *l);
void crowd_close(struct load *l);

#endif
