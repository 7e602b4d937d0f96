#include "conn.h"

#include <assert.h>
#include <linux/sockios.h>
#include <stdio.h>
#include <sys/ioctl.h>

#include "err.h"
#include "fault.h"
#include "intake.h"
#include "mem.h"
#include "server.h"

#define READ_SIZE_MIN 4096
#define READ_SIZE_MAX TICK_IN_MAX
#define SURPLUS_LINGERING_MAX 32
#define TOGETHER_TURNS_MAX 4  /* for which answers wait for those of the requests behind them */
#define TOGETHER_BYTES_MAX 32 /* such answers: they are to requests much longer than themselves */

static struct conn *conn_of(const void *handle)
{
    return ((const uv_handle_t *)handle)->data;
}

/* --- closing --- */

static void disarm_all(struct conn *c)
{
    deadline_disarm(&c->server->partial, &c->partial);
    deadline_disarm(&c->server->unread, &c->unread);
    deadline_disarm(&c->server->linger, &c->linger);
    deadline_disarm(&c->server->tx_idle, &c->tx_idle);
}

static void on_closed(uv_handle_t *handle)
{
    struct conn *c = conn_of(handle);
    session_deinit(&c->session);
    buf_deinit(&c->sending);
    server_forget(c->server, c);
    mem_free(c);
}

void conn_close(struct conn *c)
{
    if (uv_is_closing(&c->handle)) {
        return;
    }
    c->session.state = SESSION_BROKEN;
    server_tell_time(c->server);
    session_reset(&c->session); /* frees its snapshot now */
    tick_remove(&c->server->tick, &c->session);
    session_unwait(&c->session);
    disarm_all(c);
    uv_close(&c->handle, on_closed);
}

static void on_shutdown(uv_shutdown_t *request, int status)
{
    struct conn *c = request->data;
    if (status < 0 || c->client_ended) {
        conn_close(c);
    }
}

/* All is sent: says so to the client, and waits for it to close. */
static void start_lingering(struct conn *c)
{
    if (c->lingering) {
        return;
    }
    c->lingering = true;
    c->shutdown.data = c;
    deadline_arm(&c->server->linger, &c->linger, uv_now(&c->server->loop));
    if (uv_shutdown(&c->shutdown, &c->stream, on_shutdown) < 0) {
        conn_close(c);
    }
}

/* --- writing --- */

static void on_written(uv_write_t *write, int status)
{
    struct conn *c = write->data;
    c->writing = false;
    c->session.unsent = 0;
    buf_deinit(&c->sending);
    deadline_disarm(&c->server->unread, &c->unread);
    if (status < 0) {
        conn_close(c);
        return;
    }
    if (!uv_is_closing(&c->handle)) {
        conn_after_tick(&c->session);
    }
}

/* Answers on their way: in libuv's queue, and in the kernel's until the client's side has taken them. */
static size_t bytes_under_way(const struct conn *c)
{
    uv_os_fd_t fd;
    int in_kernel = 0;
    if (uv_fileno(&c->handle, &fd) < 0 || ioctl(fd, SIOCOUTQ, &in_kernel) < 0) {
        in_kernel = 0;
    }
    return uv_stream_get_write_queue_size(&c->stream) + (size_t)in_kernel;
}

static void arm_unread(struct conn *c)
{
    c->unread_bytes = bytes_under_way(c);
    deadline_arm(&c->server->unread, &c->unread, uv_now(&c->server->loop));
}

/* Gives `size` bytes at the head of the answers to libuv, which the kernel does not take now. */
static int queue(struct conn *c, size_t size)
{
    struct session *s = &c->session;
    if (size == buf_len(&s->out)) {
        c->sending = s->out;
        buf_init(&s->out);
        s->out_base += size;
    } else if (buf_append(&c->sending, buf_head(&s->out), size) == 0) { /* the rest is held */
        session_sent(s, size);
    } else {
        return -1;
    }
    uv_buf_t bytes = uv_buf_init(buf_head(&c->sending), (unsigned)size);
    c->write.data = c;
    if (uv_write(&c->write, &c->stream, &bytes, 1, on_written) < 0) {
        return -1;
    }
    c->writing = true;
    s->unsent = size;
    arm_unread(c);
    return 0;
}

static int send_now(struct conn *c, size_t size)
{
    uv_buf_t bytes[BUF_PIECES_MAX];
    struct slice pieces[BUF_PIECES_MAX];
    const struct buf *out = &c->session.out;
    if (buf_loans == 0) {
        bytes[0] = uv_buf_init(buf_head(out), (unsigned)size);
        return uv_try_write(&c->stream, bytes, 1);
    }
    size_t count = buf_pieces(out, size, pieces);
    for (size_t i = 0; i < count; i++) {
        bytes[i] = uv_buf_init((char *)(uintptr_t)pieces[i].data, (unsigned)pieces[i].len);
    }
    return uv_try_write(&c->stream, bytes, (unsigned)count);
}

/* One write to the kernel; what it does not take goes to libuv. -1 when the connection is lost. */
static int flush(struct conn *c)
{
    struct session *s = &c->session;
    size_t ready = c->writing ? 0 : session_sendable(s);
    int sent = ready > 0 ? send_now(c, ready) : 0;
    size_t gone = sent > 0 ? (size_t)sent : 0;
    if (buf_loans > 0) {
        buf_repay_all(&s->out, gone);
    }
    if (ready == 0 || (sent < 0 && sent != UV_EAGAIN)) {
        return ready == 0 ? 0 : -1;
    }
    session_sent(s, gone);
    return ready == gone ? 0 : queue(c, ready - gone);
}

/* --- reading --- */

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *bytes)
{
    struct conn *c = conn_of(handle);
    struct session *s = &c->session;
    size_t room = 0;
    (void)suggested;
    /* Behind the start of a long line a smaller tail is good enough: making room moves what is there. */
    size_t enough = buf_len(&s->in) == 0 ? c->read_size : c->read_size / 4;
    char *tail = intake_reserve(s, enough > READ_SIZE_MIN ? enough : READ_SIZE_MIN, &room);
    *bytes = uv_buf_init(tail, tail == NULL ? 0 : (unsigned)room); /* libuv takes NULL for "later" */
}

static void on_read(uv_stream_t *stream, ssize_t size, const uv_buf_t *bytes)
{
    struct conn *c = conn_of(stream);
    struct session *s = &c->session;
    if (size <= 0 && buf_len(&s->in) == 0) {
        buf_settle(&s->in); /* at the end of thousands in one turn, each would hold a chunk for nothing */
    }
    if (size == UV_ENOBUFS && (s->ready || session_give_up(s))) {
        return; /* enough for this tick; or no memory for a line as long as this */
    }
    if (size < 0 && size != UV_EOF) {
        conn_close(c);
        return;
    }
    if (size == UV_EOF) {
        s->in_ended = true;
        c->client_ended = true;
        c->reading = false;
        if (c->lingering) {
            conn_close(c);
            return;
        }
    } else if (c->lingering || s->state != SESSION_OPEN) {
        return; /* what comes after the end is not wanted, and not kept */
    } else {
        buf_commit(&s->in, (size_t)size);
        c->filled = (size_t)size == bytes->len;
        c->read_size = c->filled && c->read_size < READ_SIZE_MAX ? c->read_size * 2 : c->read_size;
    }
    tick_add(&c->server->tick, s);
}

/* Reads while the session may run, or while the client is waited for; else the kernel holds what comes. */
static int keep_reading(struct conn *c)
{
    struct session *s = &c->session;
    bool wanted = !c->client_ended && (c->lingering || (!s->in_ended && session_can_run(s)));
    if (wanted == c->reading) {
        return 0;
    }
    c->reading = wanted;
    return wanted ? uv_read_start(&c->stream, on_alloc, on_read) : uv_read_stop(&c->stream);
}

/* --- after the tick --- */

/* Whether the few answers that there are should go with those of what has arrived already, which is read in the next turn. Large
 * values are read one at a time: an answer sent for each takes longer than all else that is done for a value of some KiB. */
static bool are_followed_soon(struct conn *c)
{
    struct session *s = &c->session;
    size_t size = buf_len(&s->out);
    bool few = size > 0 && size <= TOGETHER_BYTES_MAX;
    bool filled = c->filled;
    c->filled = false; /* of a turn in which nothing is read */
    if (FAULT(answers_wait_for_more)) {
        return few && session_can_run(s);
    }
    if (!filled || !few || !c->reading || !session_can_run(s) || c->turns_waited == TOGETHER_TURNS_MAX) {
        return false;
    }
    uv_os_fd_t fd;
    int arrived = 0;
    return uv_fileno(&c->handle, &fd) == 0 && ioctl(fd, FIONREAD, &arrived) == 0 && arrived > 0;
}

static void keep_deadlines(struct conn *c)
{
    struct server *server = c->server;
    struct session *s = &c->session;
    uint64_t now = uv_now(&server->loop);
    bool partial = !s->more && s->state == SESSION_OPEN && (buf_len(&s->in) > 0 || s->decoder.skipping);
    if (!partial || c->partial_after != s->requests) {
        deadline_disarm(&server->partial, &c->partial);
    }
    if (partial) {
        c->partial_after = s->requests;
        deadline_arm(&server->partial, &c->partial, now);
    }
    deadline_disarm(&server->tx_idle, &c->tx_idle);
    if (session_txn(s) != NULL) {
        deadline_arm(&server->tx_idle, &c->tx_idle, now);
    }
}

void conn_after_tick(struct session *s)
{
    struct conn *c = (struct conn *)s;
    if (uv_is_closing(&c->handle)) {
        buf_repay_all(&s->out, 0);
        return;
    }
    bool waits = are_followed_soon(c);
    c->turns_waited = waits ? c->turns_waited + 1 : 0;
    if ((!waits && flush(c) < 0) || s->state == SESSION_BROKEN) {
        conn_close(c);
        return;
    }
    if (s->state == SESSION_CLOSING) {
        buf_deinit(&s->in);
        if (session_pending(s) == 0) {
            buf_settle(&s->out);
            start_lingering(c);
        }
    } else if (s->more && session_can_run(s)) {
        tick_add(&c->server->tick, s);
    }
    if (uv_is_closing(&c->handle)) {
        return;
    }
    keep_deadlines(c);
    buf_settle(&s->in);
    if (!waits) {
        buf_settle(&s->out);
    }
    if (keep_reading(c) < 0) {
        conn_close(c);
    }
}

void conn_finish(struct conn *c)
{
    c->session.in_ended = true;
    tick_add(&c->server->tick, &c->session);
}

/* --- deadlines --- */

void conn_on_partial(struct conn *c)
{
    struct session *s = &c->session;
    char text[96];
    snprintf(text, sizeof(text), "the line was not ended within %zu s (--partial-timeout); closing",
             c->server->options->partial_seconds);
    session_error(s, ERR_SYNTAX, text);
    session_close(s);
    conn_after_tick(s);
}

void conn_on_unread(struct conn *c)
{
    if (bytes_under_way(c) < c->unread_bytes) {
        arm_unread(c); /* slow, but it reads */
    } else {
        conn_close(c);
    }
}

void conn_on_tx_idle(struct conn *c)
{
    if (session_txn(&c->session) != NULL) {
        store_fail(&c->session.engine->store, &c->session.txn, ERR_EXPIRED,
                   "idle for longer than --tx-idle; retry the transaction");
    }
}

/* --- accepting --- */

bool conn_is_local(const struct sockaddr *address)
{
    if (address->sa_family == AF_INET) {
        const struct sockaddr_in *in = (const void *)address;
        return (ntohl(in->sin_addr.s_addr) >> 24) == 127;
    }
    if (address->sa_family == AF_INET6) {
        const struct in6_addr *in = &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr;
        return IN6_IS_ADDR_LOOPBACK(in) || (IN6_IS_ADDR_V4MAPPED(in) && in->s6_addr[12] == 127);
    }
    return address->sa_family == AF_UNIX;
}

/* An address as Redis writes it. */
static void write_address(const struct sockaddr *address, char text[ENDPOINT_ADDRESS_MAX])
{
    char name[INET6_ADDRSTRLEN] = "?";
    if (address->sa_family == AF_INET6) {
        const struct sockaddr_in6 *in = (const void *)address;
        uv_ip6_name(in, name, sizeof(name));
        snprintf(text, ENDPOINT_ADDRESS_MAX, "[%s]:%u", name, (unsigned)ntohs(in->sin6_port));
    } else {
        const struct sockaddr_in *in = (const void *)address;
        uv_ip4_name(in, name, sizeof(name));
        snprintf(text, ENDPOINT_ADDRESS_MAX, "%s:%u", name, (unsigned)ntohs(in->sin_port));
    }
}

/* The addresses are asked for here, not kept: few clients are ever looked at. */
void conn_find_endpoint(const struct session *s, struct endpoint *end)
{
    const struct conn *c = (const struct conn *)s;
    struct sockaddr_storage address;
    int len = sizeof(address);
    uv_os_fd_t fd;
    end->fd = uv_fileno(&c->handle, &fd) < 0 ? -1 : fd;
    end->reads = c->reading;
    end->writes = c->writing;
    end->is_unix = c->handle.type != UV_TCP;
    if (end->is_unix) {
        snprintf(end->address, sizeof(end->address), "%s:0", c->server->unix_path);
        memcpy(end->local, end->address, sizeof(end->local));
        return;
    }
    if (uv_tcp_getpeername(&c->tcp, (struct sockaddr *)&address, &len) == 0) {
        write_address((const struct sockaddr *)&address, end->address);
    }
    len = sizeof(address);
    if (uv_tcp_getsockname(&c->tcp, (struct sockaddr *)&address, &len) == 0) {
        write_address((const struct sockaddr *)&address, end->local);
    }
}

static bool is_stranger(struct conn *c)
{
    struct sockaddr_storage address;
    int len = sizeof(address);
    if (c->handle.type != UV_TCP) {
        return false;
    }
    return uv_tcp_getpeername(&c->tcp, (struct sockaddr *)&address, &len) < 0 ||
           !conn_is_local((const struct sockaddr *)&address);
}

/* A few of those turned away may linger, so that they learn why; in a flood the descriptors are worth more. */
static void turn_away(struct conn *c, int err, const char *text)
{
    session_error(&c->session, err, text);
    session_close(&c->session);
    conn_after_tick(&c->session);
    if (c->server->conn_count > c->server->conn_max + SURPLUS_LINGERING_MAX) {
        conn_close(c);
    }
}

static int open_handle(struct conn *c, uv_stream_t *listener)
{
    int rc = listener->type == UV_TCP ? uv_tcp_init(&c->server->loop, &c->tcp)
                                      : uv_pipe_init(&c->server->loop, &c->pipe, 0);
    c->handle.data = c;
    return rc;
}

struct conn *conn_accept(struct server *server, uv_stream_t *listener)
{
    struct conn *c = mem_calloc(sizeof(*c));
    if (c == NULL) {
        return NULL;
    }
    c->server = server;
    c->read_size = READ_SIZE_MIN;
    if (open_handle(c, listener) < 0) {
        mem_free(c);
        return NULL;
    }
    session_init(&c->session, &server->engine);
    c->next = server->conns;
    if (c->next != NULL) {
        c->next->prev = c;
    }
    server->conns = c;
    server->conn_count++;
    if (uv_accept(listener, &c->stream) < 0) {
        conn_close(c);
        return c;
    }
    if (c->handle.type == UV_TCP) {
        uv_tcp_nodelay(&c->tcp, 1);
    }
    if (server->conn_count > server->conn_max) {
        char text[96];
        snprintf(text, sizeof(text), "all %zu connections are in use (--max-connections); try later", server->conn_max);
        turn_away(c, ERR_FULL, text);
    } else if (server->engine.password == NULL && is_stranger(c)) {
        turn_away(c, ERR_DENIED, "this server takes connections of its own machine only, as it has no password (--password-file)");
    } else {
        conn_after_tick(&c->session);
    }
    return c;
}
