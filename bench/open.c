/* The open loop. Invariant: every request due before now is answered, queued on a connection with the time when it was
 * due, or one of the arrivals that pace has not made yet. None is left out, so a stall shows in all that it delayed. */
#include <poll.h>

#include "load_state.h"

#define SPIN_NS 100000            /* sleeping is not precise enough for what is due sooner */
#define LONGEST_WAIT_NS 100000000 /* then the server's silence is looked at */
#define RUN_MAX 256               /* requests sent to a connection in one write */
#define BACKLOG_STRATA 1000

const char *const pace_names[PACE_COUNT] = {[PACE_POISSON] = "poisson", [PACE_FIXED] = "fixed"};

/* How many requests the next connection may get at once: all of them together, what is due. */
static size_t run_length(const struct load *l, uint64_t now, uint64_t left)
{
    size_t to_end = l->ring.batches - l->open_slot; /* its batches are single requests */
    uint64_t room = LOAD_OUTSTANDING_MAX - l->outstanding;
    uint64_t n = 1 + (uint64_t)(pace_backlog(&l->pace, now) / l->plan->conns);
    n = n < RUN_MAX ? n : RUN_MAX;
    n = n < room ? n : room;
    n = n < left ? n : left;
    return n < to_end ? (size_t)n : to_end;
}

/* Sends up to most requests that are due to c; how many, or -1. */
static int64_t send_run(struct load *l, struct load_conn *c, uint64_t now, size_t most)
{
    size_t first = l->open_slot;
    size_t n = 0;
    l->reply_ns = l->outstanding == 0 ? now : l->reply_ns; /* nobody owed a reply until now */
    for (; n < most && pace_next(&l->pace) <= now; n++) {
        uint64_t due = pace_take(&l->pace);
        ring_fill(l, c, first + n, due);
        l->sent += due >= l->begin_ns; /* what is left over from the warmup does not count */
    }
    l->open_slot = first + n == l->ring.batches ? 0 : first + n;
    return ring_send(l, c, first, n) == 0 ? (int64_t)n : -1;
}

int open_send(struct load *l)
{
    uint64_t now = now_ns();
    uint64_t left = load_left(l);
    l->open_blocked = pace_next(&l->pace) <= now;
    for (unsigned i = 0; i < l->plan->conns; i++) {
        if (left == 0 || pace_next(&l->pace) > now || l->outstanding >= LOAD_OUTSTANDING_MAX) {
            break;
        }
        struct load_conn *c = &l->conns[l->open_conn];
        l->open_conn = l->open_conn + 1 == l->plan->conns ? 0 : l->open_conn + 1;
        if (conn_has_rest(c)) {
            continue; /* its socket is full: others may have room */
        }
        int64_t n = send_run(l, c, now, run_length(l, now, left));
        if (n < 0) {
            return -1;
        }
        left -= (uint64_t)n;
        l->open_blocked = false;
    }
    return 0;
}

/* How many requests are due and not sent. */
static uint64_t backlog(const struct load *l, uint64_t now)
{
    uint64_t left = load_left(l);
    uint64_t due = (uint64_t)pace_backlog(&l->pace, now);
    return due < left ? due : left;
}

void open_wait(struct load *l)
{
    uint64_t now = now_ns();
    bool nothing_to_send = l->open_blocked || load_left(l) == 0;
    uint64_t next = nothing_to_send ? UINT64_MAX : pace_next(&l->pace);
    uint64_t until = now + LONGEST_WAIT_NS;
    until = l->edge_ns < until ? l->edge_ns : until;
    until = next < until ? next : until;
    l->spin_from = now;
    if (l->stops.on) {
        undisturbed_count(&l->stops.undisturbed, now, l->outstanding + backlog(l, now));
        stops_judge(&l->stops, now);
    }
    if (until > now + SPIN_NS) {
        uint64_t sleep_ns = until - now - SPIN_NS;
        struct timespec t = {.tv_sec = (time_t)(sleep_ns / NS_PER_S), .tv_nsec = (long)(sleep_ns % NS_PER_S)};
        struct pollfd poll = {.fd = l->epoll, .events = POLLIN};
        (void)ppoll(&poll, 1, &t, NULL);
        l->spin_from = 0;
    }
}

void open_woke(struct load *l, int events)
{
    if (events == 0 && l->spin_from > 0) {
        l->spin_ns += now_ns() - l->spin_from;
    }
}

static void add_waiting(struct load *l, uint64_t now, uint64_t due, uint64_t n)
{
    l->r->unanswered += n;
    load_add_sample(l, now, now > due ? now - due : 0, n);
}

/* What was due and not sent: evenly spaced enough for a sample of every stratum to stand for it. */
static void add_backlog(struct load *l, uint64_t now)
{
    uint64_t left = load_left(l);
    uint64_t first = pace_next(&l->pace) > l->begin_ns ? pace_next(&l->pace) : l->begin_ns;
    uint64_t count = now > first ? (uint64_t)((double)(now - first) / l->pace.interval_ns) : 0;
    count = count < left ? count : left;
    for (uint64_t i = 0; i < BACKLOG_STRATA; i++) {
        uint64_t n = count * (i + 1) / BACKLOG_STRATA - count * i / BACKLOG_STRATA;
        double place = ((double)i + 0.5) / BACKLOG_STRATA * (double)count * l->pace.interval_ns;
        if (n > 0) {
            add_waiting(l, now, first + (uint64_t)place, n);
        }
    }
}

void open_add_unanswered(struct load *l, uint64_t now)
{
    for (unsigned i = 0; i < l->plan->conns; i++) {
        for (uint32_t p = l->conns[i].pending.first; p != 0; p = l->pending.all[p].next) {
            if (l->pending.all[p].due_ns >= l->begin_ns) {
                add_waiting(l, now, l->pending.all[p].due_ns, 1);
            }
        }
    }
    add_backlog(l, now);
}
