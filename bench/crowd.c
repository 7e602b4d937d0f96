/* The connections beside those that are measured: idle ones, and such that ask without end and never read. */
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "load_state.h"

#define BLOCK_REQUESTS 10000
#define SEND_BUFFER 65536 /* bytes: a socket is full soon, and thousands of them do not fill the kernel */

/* Goes on with the endless stream of requests from where the socket stopped taking it; rest_at is that place. A server
 * may close a connection that does not read: then there is one less. */
static int on_writable(struct load *l, struct load_conn *c, uint32_t events)
{
    bool lost = (events & (EPOLLERR | EPOLLHUP)) != 0;
    ssize_t n = lost ? 0 : send(c->fd, l->crowd_bytes + c->rest_at, l->crowd_size - c->rest_at, MSG_NOSIGNAL);
    if (lost || (n < 0 && errno != EAGAIN && errno != EINTR)) {
        conn_close(c);
        return 0;
    }
    c->rest_at = n < 0 ? c->rest_at : (c->rest_at + (size_t)n) % l->crowd_size;
    return 0;
}

static size_t write_gets(struct load *l, struct rng rng, char *dst)
{
    size_t size = 0;
    for (unsigned i = 0; i < BLOCK_REQUESTS; i++) {
        uint64_t key = rng_below(&rng, l->plan->keys);
        struct wire_request rq = {
            .proto = l->plan->proto, .op = WIRE_GET, .key = key, .key_size = ring_key_size(l->plan, key)};
        size += wire_request_write(&rq, dst == NULL ? NULL : dst + size, NULL);
    }
    return size;
}

int crowd_open(struct load *l, const struct addrinfo *addr)
{
    unsigned n = l->plan->idle + l->plan->non_readers;
    if (n == 0) {
        return 0;
    }
    l->crowd_size = write_gets(l, l->rng, NULL);
    l->crowd_bytes = malloc(l->crowd_size);
    l->crowd = calloc(n, sizeof *l->crowd);
    if (l->crowd == NULL || l->crowd_bytes == NULL) {
        return load_fail(l, "out of memory");
    }
    write_gets(l, l->rng, l->crowd_bytes);
    for (unsigned i = 0; i < n; i++) {
        l->crowd[i].fd = -1;
    }
    for (unsigned i = 0; i < n; i++) {
        bool idle = i < l->plan->idle;
        if (conn_open(l, &l->crowd[i], addr, idle ? 0 : EPOLLOUT, idle ? NULL : on_writable) != 0) {
            return -1;
        }
        int size = SEND_BUFFER;
        (void)setsockopt(l->crowd[i].fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    }
    return 0;
}

int crowd_check(struct load *l)
{
    char byte;
    for (unsigned i = 0; i < l->plan->idle; i++) {
        if (recv(l->crowd[i].fd, &byte, 1, MSG_DONTWAIT) >= 0 || errno != EAGAIN) {
            return load_fail(l, "the server closed an idle connection");
        }
    }
    return 0;
}

void crowd_close(struct load *l)
{
    for (unsigned i = 0; l->crowd != NULL && i < l->plan->idle + l->plan->non_readers; i++) {
        conn_close(&l->crowd[i]);
    }
    free(l->crowd);
    free(l->crowd_bytes);
}
