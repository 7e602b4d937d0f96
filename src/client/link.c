/* link: the socket of a handle. It moves bytes between the queues of the handle and the server and knows nothing of
 * commands.
 *
 * The socket never blocks; waiting is poll()'s. Sending always receives too: a server that stops reading until its
 * answers are taken must find them taken. */
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "client.h"

#define READ_MIN ((size_t)16 << 10) /* free bytes offered to each receive */

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Waits for events on fd, at most timeout_ms (0 = for ever). True: something happened; false: errno says why not. */
static bool wait_for(int fd, short events, int timeout_ms)
{
    int64_t deadline = now_ms() + timeout_ms;
    for (;;) {
        int64_t left = timeout_ms == 0 ? -1 : deadline - now_ms();
        struct pollfd p = {.fd = fd, .events = events};
        int n = poll(&p, 1, timeout_ms != 0 && left < 0 ? 0 : (int)left);
        if (n > 0) {
            return true;
        }
        if (n == 0) {
            errno = ETIMEDOUT;
            return false;
        }
        if (errno != EINTR) {
            return false;
        }
    }
}

/* Connects a new socket; -1 with errno on failure. */
static int open_socket(const struct sockaddr *address, socklen_t len, int timeout_ms)
{
    int fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return -1;
    }
    if (address->sa_family != AF_UNIX) {
        int on = 1;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    }
    int error = 0;
    if (connect(fd, address, len) < 0) {
        error = errno;
        if (error == EINPROGRESS || error == EINTR) {
            socklen_t size = sizeof error;
            if (!wait_for(fd, POLLOUT, timeout_ms) || getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0) {
                error = errno;
            }
        }
    }
    if (error != 0) {
        close(fd);
        errno = error;
        return -1;
    }
    return fd;
}

static int open_unix(struct txkv *c)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path, c->host, strlen(c->host) + 1);
    c->fd = open_socket((const struct sockaddr *)&address, sizeof address, c->timeout_ms);
    if (c->fd < 0) {
        return txkv_fail(c, TXKV_ERR_CONNECT, "cannot connect to %s: %s", c->host, strerror(errno));
    }
    return TXKV_OK;
}

static int open_tcp(struct txkv *c)
{
    char port[16];
    snprintf(port, sizeof port, "%d", c->port);
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    struct addrinfo *list = NULL;
    int rc = getaddrinfo(c->host, port, &hints, &list);
    if (rc != 0) {
        const char *why = rc == EAI_SYSTEM ? strerror(errno) : gai_strerror(rc);
        return txkv_fail(c, TXKV_ERR_CONNECT, "cannot look up the host %s: %s", c->host, why);
    }
    for (const struct addrinfo *a = list; a != NULL && c->fd < 0; a = a->ai_next) {
        c->fd = open_socket(a->ai_addr, a->ai_addrlen, c->timeout_ms);
    }
    int error = errno;
    freeaddrinfo(list);
    if (c->fd < 0) {
        return txkv_fail(c, TXKV_ERR_CONNECT, "cannot connect to %s port %d: %s", c->host, c->port, strerror(error));
    }
    return TXKV_OK;
}

int txkv_link_open(struct txkv *c)
{
    c->deaf = false;
    return c->port == 0 ? open_unix(c) : open_tcp(c);
}

void txkv_link_break(struct txkv *c, const char *format, ...)
{
    if (c->fd < 0) {
        return;
    }
    close(c->fd);
    c->fd = -1;
    va_list args;
    va_start(args, format);
    vsnprintf(c->why, sizeof c->why, format, args);
    va_end(args);
}

/* Sends what the kernel takes now. */
static void push(struct txkv *c)
{
    while (c->fd >= 0 && !c->deaf && c->out.start < c->out.end) {
        ssize_t n = send(c->fd, c->out.data + c->out.start, c->out.end - c->out.start, MSG_NOSIGNAL);
        if (n >= 0) {
            c->out.start += (size_t)n;
            c->sent += (uint64_t)n;
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            return;
        } else if (errno != EINTR) {
            c->deaf = true; /* its last words may still be here: they are read before the connection is given up */
        }
    }
}

/* Receives what is here now; true if any bytes were, or the connection turned out to be gone. */
static bool pull(struct txkv *c)
{
    for (;;) {
        char *place = txkv_bytes_reserve(&c->in, READ_MIN);
        if (place == NULL) {
            txkv_link_break(c, "no memory for an answer");
            return true;
        }
        ssize_t n = recv(c->fd, place, c->in.cap - c->in.end, 0);
        if (n > 0) {
            c->in.end += (size_t)n;
            return true;
        }
        if (n == 0) {
            txkv_link_break(c, "the server closed the connection");
            return true;
        }
        if (errno == EAGAIN || errno == EWOULDBLOCK) {
            return false;
        }
        if (errno != EINTR) {
            txkv_link_break(c, "%s", strerror(errno));
            return true;
        }
    }
}

static void wait_or_break(struct txkv *c)
{
    bool unsent = !c->deaf && c->out.start < c->out.end;
    if (wait_for(c->fd, unsent ? POLLIN | POLLOUT : POLLIN, c->timeout_ms)) {
        return;
    }
    if (errno == ETIMEDOUT) {
        txkv_link_break(c, "nothing came from the server for %d ms", c->timeout_ms);
    } else {
        txkv_link_break(c, "%s", strerror(errno));
    }
}

bool txkv_link_send(struct txkv *c)
{
    push(c);
    while (c->fd >= 0 && !c->deaf && c->out.start < c->out.end) {
        wait_or_break(c);
        if (c->fd >= 0) {
            pull(c);
            push(c);
        }
    }
    return c->fd >= 0 && !c->deaf;
}

void txkv_link_receive(struct txkv *c)
{
    push(c);
    while (c->fd >= 0 && !pull(c)) {
        wait_or_break(c);
        push(c);
    }
}

void txkv_link_poll(struct txkv *c)
{
    if (c->fd >= 0) {
        pull(c);
    }
}
