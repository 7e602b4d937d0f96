#include "load.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clock.h"

#define IN_SIZE ((size_t)262144)
#define EVENTS 256
#define RING_REQUESTS 256              /* at least so many in the ring, so that the mix holds at pipeline 1 too */
#define RING_BYTES ((size_t)256 << 20) /* but no more bytes than this, as far as one batch allows */
#define SILENCE_NS (10 * NS_PER_S)     /* no reply for as long: the server is stuck */

enum phase { PHASE_WARMUP, PHASE_MEASURE, PHASE_DRAIN };

struct load_conn {
    int fd;
    unsigned batch;       /* of the ring, the one it takes next */
    unsigned outstanding; /* replies to come */
    uint64_t start_ns;    /* when the batch was handed to the socket */
    char *rest;           /* bytes that the socket has not taken yet: owned */
    size_t rest_at;       /* first of them */
    size_t rest_end;      /* one past the last */
    size_t rest_cap;
    struct reply_parser parser;
};

/* batches x pipeline requests, end to end. */
struct ring {
    char *bytes;
    size_t *at;     /* where request i begins; one more for the end */
    size_t *key_at; /* where its key's digits are, or WIRE_NO_KEY */
    unsigned batches;
};

struct load {
    const struct load_plan *plan;
    struct load_result *r;
    struct ring ring;
    struct load_conn *conns;
    struct keys keys;
    struct rng rng;
    char *in; /* what was read last; nothing stays in it */
    int epoll;
    enum phase phase;
    uint64_t outstanding; /* of all connections */
    uint64_t sent;        /* requests, in this phase */
    uint64_t edge_ns;     /* when the phase ends */
    uint64_t reply_ns;    /* when the last reply came */
    uint64_t begin_ns;    /* of the measurement */
    uint64_t client_cpu_ns;
    uint64_t server_cpu_ns;
    struct syscalls syscalls;
};

__attribute__((format(printf, 2, 3))) static int fail(struct load *l, const char *format, ...)
{
    char what[128];
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    snprintf(l->r->why, sizeof l->r->why, "%.40s:%.8s: %s", l->plan->host, l->plan->port, what);
    return -1;
}

/* Ring */

/* n operations in the proportions of the mix, shuffled. */
static void ring_pick_ops(struct load *l, enum wire_op *ops, size_t n)
{
    double share = 0;
    size_t at = 0;
    for (unsigned op = 0; op < WIRE_OP_COUNT; op++) {
        share += l->plan->mix[op];
        size_t until = (size_t)lround(share * (double)n);
        while (at < until && at < n) {
            ops[at++] = (enum wire_op)op;
        }
    }
    assert(at == n);
    for (size_t i = n - 1; i > 0; i--) {
        size_t j = (size_t)rng_below(&l->rng, i + 1);
        enum wire_op swap = ops[i];
        ops[i] = ops[j];
        ops[j] = swap;
    }
}

static char *make_value(struct load *l)
{
    char *value = malloc(l->plan->value_size + 1);
    for (size_t i = 0; value != NULL && i < l->plan->value_size; i++) {
        value[i] = (char)('a' + rng_below(&l->rng, 26));
    }
    return value;
}

static void ring_write(struct load *l, const enum wire_op *ops, size_t n, const char *value)
{
    struct ring *g = &l->ring;
    for (size_t i = 0; i < n; i++) {
        wire_request_write(l->plan->proto, ops[i], value, l->plan->value_size, g->bytes + g->at[i], &g->key_at[i]);
        g->key_at[i] += g->key_at[i] == WIRE_NO_KEY ? 0 : g->at[i];
    }
}

static unsigned ring_batches(const struct load_plan *plan)
{
    size_t batch_bytes = plan->pipeline * wire_request_size(plan->proto, WIRE_SET, plan->value_size);
    size_t batches = (RING_REQUESTS + plan->pipeline - 1) / plan->pipeline;
    while (batches > 1 && batches * batch_bytes > RING_BYTES) {
        batches--;
    }
    return (unsigned)batches;
}

static int ring_init(struct load *l)
{
    struct ring *g = &l->ring;
    g->batches = ring_batches(l->plan);
    size_t n = (size_t)g->batches * l->plan->pipeline;
    enum wire_op *ops = calloc(n, sizeof *ops);
    char *value = make_value(l);
    g->at = calloc(n + 1, sizeof *g->at);
    g->key_at = calloc(n, sizeof *g->key_at);
    if (ops != NULL && g->at != NULL) {
        ring_pick_ops(l, ops, n);
        for (size_t i = 0; i < n; i++) {
            g->at[i + 1] = g->at[i] + wire_request_size(l->plan->proto, ops[i], l->plan->value_size);
        }
        g->bytes = malloc(g->at[n]);
    }
    int err = g->bytes == NULL || g->key_at == NULL || value == NULL ? fail(l, "out of memory for requests") : 0;
    if (err == 0) {
        ring_write(l, ops, n, value);
    }
    free(value);
    free(ops);
    return err;
}

static void ring_deinit(struct ring *g)
{
    free(g->bytes);
    free(g->at);
    free(g->key_at);
}

/* Connections */

static void raise_file_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static int conn_open(struct load *l, struct load_conn *c, const struct addrinfo *addr)
{
    c->fd = socket(addr->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->fd < 0) {
        return fail(l, "cannot make a socket: %s", strerror(errno));
    }
    if (connect(c->fd, addr->ai_addr, addr->ai_addrlen) != 0) {
        return fail(l, "cannot connect: %s", strerror(errno));
    }
    int on = 1;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    if (setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0 ||
        fcntl(c->fd, F_SETFL, fcntl(c->fd, F_GETFL) | O_NONBLOCK) != 0 ||
        epoll_ctl(l->epoll, EPOLL_CTL_ADD, c->fd, &event) != 0) {
        return fail(l, "cannot set up a connection: %s", strerror(errno));
    }
    reply_init(&c->parser, l->plan->proto);
    return 0;
}

static int conns_open(struct load *l)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *addr = NULL;
    int err = getaddrinfo(l->plan->host, l->plan->port, &hints, &addr);
    if (err != 0) {
        return fail(l, "cannot resolve: %s", gai_strerror(err));
    }
    raise_file_limit();
    for (unsigned i = 0; err == 0 && i < l->plan->conns; i++) {
        l->conns[i].batch = i % l->ring.batches;
        err = conn_open(l, &l->conns[i], addr);
    }
    freeaddrinfo(addr);
    return err;
}

static void conns_close(struct load *l)
{
    for (unsigned i = 0; l->conns != NULL && i < l->plan->conns; i++) {
        if (l->conns[i].fd >= 0) {
            close(l->conns[i].fd);
        }
        free(l->conns[i].rest);
    }
    free(l->conns);
}

static int conn_watch(struct load *l, struct load_conn *c, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = c};
    return epoll_ctl(l->epoll, EPOLL_CTL_MOD, c->fd, &event) == 0 ? 0 : fail(l, "epoll_ctl: %s", strerror(errno));
}

/* What the socket took of size bytes, or -1. */
static ssize_t conn_write(struct load *l, struct load_conn *c, const char *bytes, size_t size)
{
    ssize_t n = send(c->fd, bytes, size, MSG_NOSIGNAL);
    if (n < 0 && errno != EAGAIN && errno != EINTR) {
        return fail(l, "cannot send: %s", strerror(errno));
    }
    return n < 0 ? 0 : n;
}

/* The ring is about to be used by others: what the socket did not take is copied. */
static int conn_keep_rest(struct load *l, struct load_conn *c, const char *bytes, size_t size)
{
    if (size > c->rest_cap) {
        char *rest = realloc(c->rest, size);
        if (rest == NULL) {
            return fail(l, "out of memory");
        }
        c->rest = rest;
        c->rest_cap = size;
    }
    memcpy(c->rest, bytes, size);
    c->rest_at = 0;
    c->rest_end = size;
    return conn_watch(l, c, EPOLLIN | EPOLLOUT);
}

static int conn_send_rest(struct load *l, struct load_conn *c)
{
    ssize_t n = conn_write(l, c, c->rest + c->rest_at, c->rest_end - c->rest_at);
    if (n < 0) {
        return -1;
    }
    c->rest_at += (size_t)n;
    return c->rest_at == c->rest_end ? conn_watch(l, c, EPOLLIN) : 0;
}

static unsigned batch_size(const struct load *l)
{
    if (l->phase == PHASE_DRAIN) {
        return 0;
    }
    bool limited = l->plan->requests > 0 && l->phase == PHASE_MEASURE;
    uint64_t left = limited ? l->plan->requests - l->sent : UINT64_MAX;
    return left < l->plan->pipeline ? (unsigned)left : l->plan->pipeline;
}

static int conn_send_batch(struct load *l, struct load_conn *c)
{
    unsigned n = batch_size(l);
    if (n == 0) {
        return 0;
    }
    struct ring *g = &l->ring;
    size_t first = (size_t)c->batch * l->plan->pipeline;
    c->batch = c->batch + 1 == g->batches ? 0 : c->batch + 1;
    for (size_t i = first; i < first + n; i++) {
        if (g->key_at[i] != WIRE_NO_KEY) {
            wire_key_patch(g->bytes + g->key_at[i], keys_next(&l->keys));
        }
    }
    const char *bytes = g->bytes + g->at[first];
    size_t size = g->at[first + n] - g->at[first];
    l->sent += n;
    l->outstanding += n;
    c->outstanding = n;
    c->start_ns = now_ns();
    ssize_t taken = conn_write(l, c, bytes, size);
    if (taken < 0) {
        return -1;
    }
    return (size_t)taken == size ? 0 : conn_keep_rest(l, c, bytes + taken, size - (size_t)taken);
}

static int count_reply(struct load *l, const struct reply *reply)
{
    if (reply->kind == REPLY_NIL) {
        l->r->misses++;
    } else if (reply->kind == REPLY_ERR) {
        l->r->errors++;
        if (l->r->first_error[0] == '\0') {
            snprintf(l->r->first_error, sizeof l->r->first_error, "%.*s", (int)reply->line_len, reply->line);
        }
    } else if (reply->kind == REPLY_BAD) {
        return fail(l, "not an answer in protocol %s: '%.*s'", wire_proto_names[l->plan->proto], (int)reply->line_len,
                    reply->line);
    }
    return 0;
}

static int conn_read(struct load *l, struct load_conn *c)
{
    ssize_t size = recv(c->fd, l->in, IN_SIZE, 0);
    if (size < 0) {
        return errno == EAGAIN || errno == EINTR ? 0 : fail(l, "cannot receive: %s", strerror(errno));
    }
    if (size == 0) {
        return fail(l, "the server closed a connection");
    }
    uint64_t now = now_ns();
    const char *at = l->in;
    const char *end = l->in + size;
    struct reply reply;
    unsigned n = 0;
    while (reply_next(&c->parser, &at, end, &reply)) {
        n++;
        if (reply.kind != REPLY_VALUE && count_reply(l, &reply) != 0) {
            return -1;
        }
    }
    if (n > c->outstanding) {
        return fail(l, "more replies than requests (is %s its protocol?)", wire_proto_names[l->plan->proto]);
    }
    c->outstanding -= n;
    l->outstanding -= n;
    l->reply_ns = now;
    if (l->phase == PHASE_MEASURE && n > 0) {
        l->r->replies += n;
        hist_add(&l->r->latency, now - c->start_ns, n);
        timeline_add(&l->r->timeline, now, now - c->start_ns, n);
    }
    return 0;
}

static int conn_ready(struct load *l, struct load_conn *c, uint32_t events)
{
    if ((events & EPOLLOUT) != 0 && conn_send_rest(l, c) != 0) {
        return -1;
    }
    if ((events & ~(uint32_t)EPOLLOUT) != 0 && conn_read(l, c) != 0) {
        return -1;
    }
    return c->outstanding == 0 && c->rest_at == c->rest_end ? conn_send_batch(l, c) : 0;
}

/* Phases */

static int server_cpu(struct load *l, struct procstat *s)
{
    *s = (struct procstat){0};
    if (l->plan->server_pid == 0 || procstat_read(l->plan->server_pid, s) == 0) {
        return 0;
    }
    return fail(l, "cannot read the accounts of process %ld: %s", (long)l->plan->server_pid, strerror(errno));
}

static int begin_measure(struct load *l, uint64_t now)
{
    struct procstat server;
    if (server_cpu(l, &server) != 0) {
        return -1;
    }
    hist_init(&l->r->latency);
    l->r->replies = 0;
    l->r->errors = 0;
    l->r->misses = 0;
    l->sent = 0; /* what is under way comes on top of a limit on requests */
    l->phase = PHASE_MEASURE;
    l->begin_ns = now;
    l->edge_ns = l->plan->duration_ns == 0 ? UINT64_MAX : now + l->plan->duration_ns;
    l->client_cpu_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
    l->server_cpu_ns = server.cpu_ns;
    timeline_begin(&l->r->timeline, now, l->plan->duration_ns);
    syscalls_begin(&l->syscalls, l->plan->count_syscalls ? l->plan->server_pid : 0);
    return 0;
}

static int end_measure(struct load *l)
{
    struct procstat server;
    if (server_cpu(l, &server) != 0) {
        return -1;
    }
    l->r->syscalls_source = l->syscalls.source;
    l->r->syscalls = syscalls_end(&l->syscalls);
    l->r->wall_ns = now_ns() - l->begin_ns;
    l->r->client_cpu_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID) - l->client_cpu_ns;
    l->r->server_cpu_ns = server.cpu_ns - l->server_cpu_ns;
    l->r->rss_kib = server.rss_kib;
    timeline_end(&l->r->timeline, l->begin_ns + l->r->wall_ns);
    l->phase = PHASE_DRAIN;
    return 0;
}

static int phase_turn(struct load *l)
{
    uint64_t now = now_ns();
    bool all_sent = l->plan->requests > 0 && l->sent == l->plan->requests && l->outstanding == 0;
    if (now > l->reply_ns + SILENCE_NS) {
        return fail(l, "no reply for %d s", (int)(SILENCE_NS / NS_PER_S));
    }
    if (l->phase == PHASE_WARMUP && now >= l->edge_ns) {
        return begin_measure(l, now);
    }
    return l->phase == PHASE_MEASURE && (now >= l->edge_ns || all_sent) ? end_measure(l) : 0;
}

static int run(struct load *l)
{
    l->reply_ns = now_ns();
    l->edge_ns = l->reply_ns + l->plan->warmup_ns;
    l->phase = PHASE_WARMUP;
    if (l->plan->warmup_ns == 0 && begin_measure(l, l->reply_ns) != 0) {
        return -1;
    }
    for (unsigned i = 0; i < l->plan->conns; i++) {
        if (conn_send_batch(l, &l->conns[i]) != 0) {
            return -1;
        }
    }
    while (l->phase != PHASE_DRAIN || l->outstanding > 0) {
        struct epoll_event events[EVENTS];
        int n = epoll_wait(l->epoll, events, EVENTS, 100);
        for (int i = 0; i < n; i++) {
            if (conn_ready(l, events[i].data.ptr, events[i].events) != 0) {
                return -1;
            }
        }
        if (phase_turn(l) != 0) {
            return -1;
        }
    }
    return 0;
}

int load_run(const struct load_plan *plan, struct load_result *r)
{
    struct load l = {
        .plan = plan,
        .r = r,
        .rng = {plan->seed},
        .keys = {.dist = plan->dist, .count = plan->keys, .rng = {plan->seed ^ 0x6b657973}},
    };
    memset(r, 0, sizeof *r);
    hist_init(&r->latency);
    l.epoll = epoll_create1(EPOLL_CLOEXEC);
    l.in = malloc(IN_SIZE);
    l.conns = calloc(plan->conns, sizeof *l.conns);
    int err = l.epoll < 0 || l.in == NULL || l.conns == NULL ? fail(&l, "out of memory or descriptors") : 0;
    for (unsigned i = 0; l.conns != NULL && i < plan->conns; i++) {
        l.conns[i].fd = -1;
    }
    if (err == 0 && (ring_init(&l) != 0 || conns_open(&l) != 0 || run(&l) != 0)) {
        err = -1;
    }
    (void)syscalls_end(&l.syscalls); /* where it failed while counting */
    conns_close(&l);
    ring_deinit(&l.ring);
    free(l.in);
    if (l.epoll >= 0) {
        close(l.epoll);
    }
    return err;
}
