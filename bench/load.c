#include "load.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

#include "load_state.h"

#define EVENTS 256
#define WAIT_MS 100
#define SILENCE_NS (10 * NS_PER_S) /* no reply for as long: the server is stuck */
#define DRAIN_NS (5 * NS_PER_S)    /* what an overloaded server has not answered by then stays unanswered */
#define TRACKED_MAX 100000000

int load_fail(struct load *l, const char *format, ...)
{
    char what[128];
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    snprintf(l->r->why, sizeof l->r->why, "%.40s:%.8s: %s", l->plan->host, l->plan->port, what);
    return -1;
}

void load_error(struct load *l, const char *format, ...)
{
    l->r->errors++;
    if (l->r->first_error[0] == '\0') {
        va_list args;
        va_start(args, format);
        vsnprintf(l->r->first_error, sizeof l->r->first_error, format, args);
        va_end(args);
    }
}

uint64_t load_left(const struct load *l)
{
    if (l->phase == PHASE_DRAIN) {
        return 0;
    }
    return l->plan->requests > 0 && l->phase == PHASE_MEASURE ? l->plan->requests - l->sent : UINT64_MAX;
}

/* Replies */

void load_add_sample(struct load *l, uint64_t now, uint64_t latency, uint64_t n)
{
    hist_add(&l->r->latency, latency, n);
    timeline_add(&l->r->timeline, now, latency, n);
    if (l->stops.on) {
        undisturbed_add(&l->stops.undisturbed, now, latency, n);
    }
}

int load_count(struct load *l, enum wire_op op, enum verdict *verdict, const struct reply *reply)
{
    static const char *const step_names[WIRE_STEP_COUNT] = {
        "GET", "SET", "PING", "WATCH", "BEGIN", "BEGIN", "SET in a transaction", "COMMIT"};
    int len = (int)(reply->line_len < 96 ? reply->line_len : 96);
    if (reply->kind == REPLY_BAD) {
        return load_fail(l, "not an answer in protocol %s: '%.*s'", wire_proto_names[l->plan->proto], len, reply->line);
    }
    *verdict = reply_judge(l->plan->proto, op, reply);
    if (*verdict == VERDICT_ERROR) {
        load_error(l, "%.*s", len, reply->line);
    } else if (*verdict == VERDICT_WRONG) {
        load_error(l, "%s was answered by '%.*s'", step_names[op], len, reply->line == NULL ? "" : reply->line);
    } else if (l->phase == PHASE_MEASURE) {
        l->r->misses += *verdict == VERDICT_MISS;
        l->r->conflicts += *verdict == VERDICT_CONFLICT;
    }
    return 0;
}

static enum wire_op front_op(const struct load *l, const struct load_conn *c)
{
    return l->ring.ops[l->tracked ? pending_front(&l->pending, &c->pending)->slot : c->reply_slot];
}

static void check_begin(struct load_conn *c)
{
    const struct load *l = c->load;
    if (!c->checking) {
        values_check_start(&c->check, pending_front(&l->pending, &c->pending)->key, l->plan->stamp);
        c->checking = true;
    }
}

/* Verify: bytes of a value, or of any line in the text protocol. */
static void on_value(void *arg, const char *bytes, size_t size)
{
    struct load_conn *c = arg;
    if (c->outstanding > 0 && front_op(c->load, c) == WIRE_GET) {
        check_begin(c);
        values_check_feed(&c->check, bytes, size);
    }
}

static void check_end(struct load *l, struct load_conn *c)
{
    check_begin(c);
    if (!values_check_end(&c->check)) {
        int head = (int)(c->check.at < VALUES_HEAD ? c->check.at : VALUES_HEAD);
        load_error(l, "GET of key %llu got what was not written for it: '%.*s...', wrong from byte %zu on",
                   (unsigned long long)c->check.key, head, c->check.head, c->check.at);
    }
}

static int judge(struct load *l, struct load_conn *c, enum wire_op op, const struct reply *reply)
{
    enum verdict verdict;
    if (load_count(l, op, &verdict, reply) != 0) {
        return -1;
    }
    if (l->plan->verify && op == WIRE_GET && verdict == VERDICT_FINE) {
        check_end(l, c);
    }
    c->checking = false;
    return 0;
}

/* On to the next outstanding request. */
static void forget_front(struct load *l, struct load_conn *c, uint64_t now)
{
    c->reply_slot++;
    if (!l->tracked) {
        return;
    }
    uint64_t due = pending_front(&l->pending, &c->pending)->due_ns;
    pending_pop(&l->pending, &c->pending);
    if (l->plan->rate > 0 && l->phase == PHASE_MEASURE && due >= l->begin_ns) {
        l->r->replies++;
        load_add_sample(l, now, now - due, 1);
    }
}

static int take_replies(struct load *l, struct load_conn *c, const char *at, const char *end, uint64_t now)
{
    struct reply reply = {0};
    unsigned taken = 0;
    unsigned operations = 0;
    while (at < end) {
        if (c->outstanding == 0) {
            return load_fail(l, "more replies than requests (is %s its protocol?)", wire_proto_names[l->plan->proto]);
        }
        enum wire_op op = front_op(l, c);
        bool skipped = op == WIRE_GET ? reply_skip_value(&c->parser, &at, end)
                                      : reply_skip_word(&c->parser, &at, end, &l->words[op]);
        if (!skipped) {
            if (!reply_next(&c->parser, &at, end, &reply)) {
                break;
            }
            if (judge(l, c, op, &reply) != 0) {
                return -1;
            }
        }
        forget_front(l, c, now);
        c->outstanding--;
        taken++;
        operations += l->ring.unit == 1 || op == WIRE_COMMIT;
    }
    l->outstanding -= taken;
    if (l->plan->rate == 0 && l->phase == PHASE_MEASURE && operations > 0) {
        l->r->replies += operations;
        load_add_sample(l, now, now - c->start_ns, operations);
    }
    return 0;
}

/* Closed loop */

static int send_batch(struct load *l, struct load_conn *c)
{
    struct ring *g = &l->ring;
    uint64_t left = load_left(l);
    uint64_t operations = left < l->plan->pipeline ? left : l->plan->pipeline;
    if (operations == 0) {
        return 0;
    }
    size_t first = (size_t)c->batch * g->batch;
    size_t n = (size_t)operations * g->unit;
    c->batch = c->batch + 1 == g->batches ? 0 : c->batch + 1;
    c->reply_slot = first;
    l->sent += operations;
    ring_fill_all(l, c, first, n, 0);
    c->start_ns = now_ns();
    return ring_send(l, c, first, n);
}

static int send_next(struct load *l, struct load_conn *c)
{
    if (l->plan->rate > 0) {
        return 0;
    }
    return l->ring.split > 0 ? txn_go_on(l, c) : send_batch(l, c);
}

static int on_conn_ready(struct load *l, struct load_conn *c, uint32_t events)
{
    if ((events & EPOLLOUT) != 0 && conn_send_rest(l, c) != 0) {
        return -1;
    }
    if ((events & ~(uint32_t)EPOLLOUT) != 0) {
        ssize_t size = conn_receive(l, c);
        uint64_t now = now_ns();
        l->reply_ns = now;
        if (size < 0 || take_replies(l, c, l->in, l->in + size, now) != 0) {
            return -1;
        }
    }
    return c->outstanding == 0 && !conn_has_rest(c) ? send_next(l, c) : 0;
}

/* Phases */

static int server_cpu(struct load *l, struct procstat *s)
{
    *s = (struct procstat){0};
    if (l->plan->server_pid == 0 || procstat_read(l->plan->server_pid, s) == 0) {
        return 0;
    }
    return load_fail(l, "cannot read the accounts of process %ld: %s", (long)l->plan->server_pid, strerror(errno));
}

static int watch_stops(struct load *l)
{
    if (!l->plan->watch_stops || stops_begin(&l->stops, l->plan->server_pid) == 0) {
        return 0;
    }
    return load_fail(l, "cannot watch process %ld: %s", (long)l->plan->server_pid, strerror(errno));
}

static void keep_undisturbed(struct load *l)
{
    const struct undisturbed *u = &l->stops.undisturbed;
    if (l->plan->watch_stops) {
        stops_end(&l->stops);
        l->r->watched_stops = true;
        l->r->undisturbed = u->latency;
        l->r->stops = u->stops;
        l->r->stopped_ns = u->stopped_ns;
        l->r->stop_max_ns = u->longest_ns;
    }
}

static int begin_measure(struct load *l, uint64_t now)
{
    struct procstat server;
    if (server_cpu(l, &server) != 0) {
        return -1;
    }
    undisturbed_count_stops(&l->stops.undisturbed, now);
    hist_init(&l->r->latency);
    l->r->replies = 0;
    l->r->errors = 0;
    l->r->misses = 0;
    l->r->conflicts = 0;
    l->spin_ns = 0;
    l->sent = 0; /* what is under way comes on top of a limit on requests */
    l->phase = PHASE_MEASURE;
    l->begin_ns = now;
    l->edge_ns = l->plan->duration_ns == 0 ? UINT64_MAX : now + l->plan->duration_ns;
    l->client_cpu_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID);
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
    uint64_t now = now_ns();
    uint64_t cpu = clock_ns(CLOCK_THREAD_CPUTIME_ID) - l->client_cpu_ns;
    l->r->syscalls_source = l->syscalls.source;
    l->r->syscalls = syscalls_end(&l->syscalls);
    l->r->wall_ns = now - l->begin_ns;
    l->r->client_cpu_ns = cpu > l->spin_ns ? cpu - l->spin_ns : 0;
    l->r->server_cpu_ns = server.cpu_ns - l->server_cpu_ns;
    l->r->rss_kib = server.rss_kib;
    if (l->plan->rate > 0) {
        open_add_unanswered(l, now);
    }
    keep_undisturbed(l);
    timeline_end(&l->r->timeline, now);
    l->phase = PHASE_DRAIN;
    l->edge_ns = l->plan->rate > 0 ? now + DRAIN_NS : UINT64_MAX;
    return 0;
}

static int phase_turn(struct load *l)
{
    uint64_t now = now_ns();
    bool all_sent = l->plan->requests > 0 && l->sent == l->plan->requests && l->outstanding == 0;
    if (l->outstanding > 0 && now > l->reply_ns + SILENCE_NS) {
        return load_fail(l, "no reply for %d s", (int)(SILENCE_NS / NS_PER_S));
    }
    if (l->phase == PHASE_WARMUP && now >= l->edge_ns) {
        return begin_measure(l, now);
    }
    if (l->phase == PHASE_MEASURE && (now >= l->edge_ns || all_sent) && end_measure(l) != 0) {
        return -1;
    }
    l->done = l->phase == PHASE_DRAIN && (l->outstanding == 0 || now >= l->edge_ns);
    return 0;
}

static int turn(struct load *l)
{
    struct epoll_event events[EVENTS];
    bool open = l->plan->rate > 0;
    if (open) {
        open_wait(l);
    }
    int n = epoll_wait(l->epoll, events, EVENTS, open ? 0 : WAIT_MS);
    for (int i = 0; i < n; i++) {
        struct load_conn *c = events[i].data.ptr;
        if (c->on_ready(l, c, events[i].events) != 0) {
            return -1;
        }
    }
    if (open) {
        open_woke(l, n);
    }
    if (phase_turn(l) != 0) {
        return -1;
    }
    return open ? open_send(l) : 0;
}

static int run(struct load *l)
{
    if (watch_stops(l) != 0) {
        return -1;
    }
    l->reply_ns = now_ns();
    l->edge_ns = l->reply_ns + l->plan->warmup_ns;
    l->phase = PHASE_WARMUP;
    if (l->plan->warmup_ns == 0 && begin_measure(l, l->reply_ns) != 0) {
        return -1;
    }
    if (l->plan->rate > 0) {
        pace_start(&l->pace, l->plan->arrivals, l->plan->rate, l->reply_ns, l->plan->seed ^ 0x70616365);
    }
    for (unsigned i = 0; i < l->plan->conns; i++) {
        if (send_next(l, &l->conns[i]) != 0) {
            return -1;
        }
    }
    while (!l->done) {
        if (turn(l) != 0) {
            return -1;
        }
    }
    return crowd_check(l);
}

/* Setting up */

static void raise_file_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static int open_conns(struct load *l, const struct addrinfo *addr)
{
    for (unsigned i = 0; i < l->plan->conns; i++) {
        struct load_conn *c = &l->conns[i];
        c->batch = i % l->ring.batches;
        if (conn_open(l, c, addr, EPOLLIN, on_conn_ready) != 0) {
            return -1;
        }
        c->parser.on_value = l->plan->verify ? on_value : NULL;
        c->parser.arg = c;
    }
    return l->ring.split > 0 ? txn_init(l, addr) : 0;
}

static int connect_all(struct load *l)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *addr = NULL;
    int err = getaddrinfo(l->plan->host, l->plan->port, &hints, &addr);
    if (err != 0) {
        return load_fail(l, "cannot resolve: %s", gai_strerror(err));
    }
    raise_file_limit();
    err = crowd_open(l, addr) != 0 || open_conns(l, addr) != 0 ? -1 : 0;
    freeaddrinfo(addr);
    return err;
}

static int track(struct load *l)
{
    uint64_t most = l->plan->rate > 0 ? LOAD_OUTSTANDING_MAX : (uint64_t)l->plan->conns * l->ring.batch;
    l->tracked = l->plan->rate > 0 || l->plan->verify;
    if (!l->tracked) {
        return 0;
    }
    if (most > TRACKED_MAX) {
        return load_fail(l, "to verify, at most %d requests may be outstanding", TRACKED_MAX);
    }
    return pending_init(&l->pending, (uint32_t)most) == 0 ? 0 : load_fail(l, "out of memory");
}

static int set_up(struct load *l)
{
    const struct load_plan *plan = l->plan;
    l->epoll = epoll_create1(EPOLL_CLOEXEC);
    l->in = malloc(LOAD_IN_SIZE + 8);
    l->conns = calloc(plan->conns, sizeof *l->conns);
    for (unsigned i = 0; l->conns != NULL && i < plan->conns; i++) {
        l->conns[i].fd = -1;
    }
    if (l->epoll < 0 || l->in == NULL || l->conns == NULL) {
        return load_fail(l, "out of memory or descriptors");
    }
    for (unsigned op = 0; op < WIRE_STEP_COUNT; op++) {
        l->words[op] = reply_word(plan->proto, (enum wire_op)op);
    }
    keys_init(&l->keys, &plan->dist, plan->keys, plan->seed ^ 0x6b657973);
    return ring_init(l) != 0 || track(l) != 0 || connect_all(l) != 0 ? -1 : 0;
}

static void tear_down(struct load *l)
{
    for (unsigned i = 0; l->conns != NULL && i < l->plan->conns; i++) {
        conn_close(&l->conns[i]);
    }
    txn_deinit(l);
    crowd_close(l);
    ring_deinit(&l->ring);
    free(l->conns);
    free(l->pending.all);
    free(l->in);
    (void)syscalls_end(&l->syscalls); /* where it failed while counting */
    stops_deinit(&l->stops);
    if (l->epoll >= 0) {
        close(l->epoll);
    }
    free(l);
}

int load_run(const struct load_plan *plan, struct load_result *r)
{
    struct load *l = malloc(sizeof *l);
    memset(r, 0, sizeof *r);
    hist_init(&r->latency);
    hist_init(&r->undisturbed);
    if (l == NULL) {
        snprintf(r->why, sizeof r->why, "out of memory");
        return -1;
    }
    *l = (struct load){.plan = plan, .r = r, .rng = {plan->seed}, .epoll = -1, .side = {.fd = -1}};
    int err = set_up(l) != 0 || run(l) != 0 ? -1 : 0;
    tear_down(l);
    return err;
}
