/* Sockets. Invariant: bytes reach a socket in the order in which they were given to conn_send(); while some wait in rest,
 * epoll watches for room in the socket. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "load_state.h"

int conn_open(struct load *l, struct load_conn *c, const struct addrinfo *addr, uint32_t events,
              conn_ready_fn *on_ready)
{
    c->on_ready = on_ready;
    c->load = l;
    c->fd = socket(addr->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->fd < 0) {
        return load_fail(l, "cannot make a socket: %s", strerror(errno));
    }
    if (connect(c->fd, addr->ai_addr, addr->ai_addrlen) != 0) {
        return load_fail(l, "cannot connect: %s", strerror(errno));
    }
    int on = 1;
    struct epoll_event event = {.events = events, .data.ptr = c};
    if (setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0 ||
        fcntl(c->fd, F_SETFL, fcntl(c->fd, F_GETFL) | O_NONBLOCK) != 0 ||
        (events != 0 && epoll_ctl(l->epoll, EPOLL_CTL_ADD, c->fd, &event) != 0)) {
        return load_fail(l, "cannot set up a connection: %s", strerror(errno));
    }
    reply_init(&c->parser, l->plan->proto);
    return 0;
}

void conn_close(struct load_conn *c)
{
    if (c->fd >= 0) {
        close(c->fd);
    }
    c->fd = -1;
    free(c->rest);
    c->rest = NULL;
}

static int conn_watch(struct load *l, struct load_conn *c, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = c};
    return epoll_ctl(l->epoll, EPOLL_CTL_MOD, c->fd, &event) == 0 ? 0 : load_fail(l, "epoll_ctl: %s", strerror(errno));
}

ssize_t conn_write(struct load *l, struct load_conn *c, const char *bytes, size_t size)
{
    ssize_t n = send(c->fd, bytes, size, MSG_NOSIGNAL);
    if (n < 0 && errno != EAGAIN && errno != EINTR) {
        return load_fail(l, "cannot send: %s", strerror(errno));
    }
    return n < 0 ? 0 : n;
}

/* The bytes are about to be used by others: what the socket did not take is copied behind what it has not taken yet. */
static int keep_rest(struct load *l, struct load_conn *c, const char *bytes, size_t size)
{
    size_t kept = c->rest_end - c->rest_at;
    if (c->rest_end + size > c->rest_cap) {
        char *rest = malloc(2 * kept + size);
        if (rest == NULL) {
            return load_fail(l, "out of memory");
        }
        if (kept > 0) {
            memcpy(rest, c->rest + c->rest_at, kept);
        }
        free(c->rest);
        c->rest = rest;
        c->rest_cap = 2 * kept + size;
        c->rest_at = 0;
        c->rest_end = kept;
    }
    memcpy(c->rest + c->rest_end, bytes, size);
    c->rest_end += size;
    return kept > 0 ? 0 : conn_watch(l, c, EPOLLIN | EPOLLOUT);
}

int conn_send(struct load *l, struct load_conn *c, const char *bytes, size_t size)
{
    ssize_t taken = conn_has_rest(c) ? 0 : conn_write(l, c, bytes, size);
    if (taken < 0) {
        return -1;
    }
    return (size_t)taken == size ? 0 : keep_rest(l, c, bytes + taken, size - (size_t)taken);
}

int conn_send_rest(struct load *l, struct load_conn *c)
{
    ssize_t n = conn_write(l, c, c->rest + c->rest_at, c->rest_end - c->rest_at);
    if (n < 0) {
        return -1;
    }
    c->rest_at += (size_t)n;
    if (conn_has_rest(c)) {
        return 0;
    }
    c->rest_at = 0;
    c->rest_end = 0;
    return conn_watch(l, c, EPOLLIN);
}

ssize_t conn_receive(struct load *l, struct load_conn *c)
{
    ssize_t size = recv(c->fd, l->in, LOAD_IN_SIZE, 0);
    if (size < 0) {
        return errno == EAGAIN || errno == EINTR ? 0 : load_fail(l, "cannot receive: %s", strerror(errno));
    }
    return size == 0 ? load_fail(l, "the server closed a connection") : size;
}
