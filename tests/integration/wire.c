#include "wire.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/un.h>
#include <unistd.h>

#include "check.h"
#include "server_fixture.h"

#define RECEIVE_SIZE 65536
#define SHOWN 120 /* bytes of a line that a message shows */

/* --- connecting --- */

static int open_with(struct client *c, const struct sockaddr *address, socklen_t len, int receive_buffer)
{
    int on = 1;
    *c = (struct client){.fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    if (c->fd < 0) {
        return -errno;
    }
    if (receive_buffer > 0) {
        setsockopt(c->fd, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof(receive_buffer));
    }
    if (connect(c->fd, address, len) < 0) {
        int rc = -errno;
        close(c->fd);
        return rc;
    }
    fcntl(c->fd, F_SETFL, O_NONBLOCK);
    if (address->sa_family != AF_UNIX) {
        setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    }
    return 0;
}

int client_open_at(struct client *c, const struct sockaddr *address, socklen_t len)
{
    return open_with(c, address, len, 0);
}

int client_open_ip(struct client *c, const char *address, int port)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
    if (inet_pton(AF_INET, address, &in.sin_addr) == 1) {
        return client_open_at(c, (const struct sockaddr *)&in, sizeof(in));
    }
    if (inet_pton(AF_INET6, address, &in6.sin6_addr) != 1) {
        check_broken("'%s' is no address", address);
    }
    return client_open_at(c, (const struct sockaddr *)&in6, sizeof(in6));
}

int client_open_unix(struct client *c, const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    return client_open_at(c, (const struct sockaddr *)&address, sizeof(address));
}

void client_open_small(struct client *c, const struct server *s, int receive_buffer)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons((uint16_t)s->port)};
    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int rc = open_with(c, (const struct sockaddr *)&in, sizeof(in), receive_buffer);
    CHECK(rc == 0, "no connection to port %d: %s", s->port, strerror(-rc));
}

void client_open(struct client *c, const struct server *s)
{
    client_open_small(c, s, 0);
}

void client_close(struct client *c)
{
    close(c->fd);
    text_free(&c->in);
}

void client_reset(struct client *c)
{
    struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
    client_close(c);
}

void client_half_close(struct client *c)
{
    CHECK(shutdown(c->fd, SHUT_WR) == 0, "shutdown: %s", strerror(errno));
}

/* --- sending --- */

/* Bytes taken, 0 when none were within timeout_ms, -1 when the connection is lost. */
static ssize_t send_once(struct client *c, const char *bytes, size_t len, int timeout_ms)
{
    struct pollfd ready = {.fd = c->fd, .events = POLLOUT};
    if (poll(&ready, 1, timeout_ms) != 1) {
        return 0;
    }
    ssize_t sent = send(c->fd, bytes, len, MSG_NOSIGNAL);
    return sent < 0 && errno == EAGAIN ? 0 : sent;
}

void client_send(struct client *c, const void *bytes, size_t len)
{
    for (size_t at = 0; at < len;) {
        ssize_t sent = send_once(c, (const char *)bytes + at, len - at, WIRE_TIMEOUT_MS);
        CHECK(sent >= 0, "the connection was lost while %zu bytes were sent: %s", len, strerror(errno));
        CHECK(sent > 0, "the server does not read: %zu of %zu bytes sent", at, len);
        at += (size_t)sent;
    }
}

void client_sendf(struct client *c, const char *format, ...)
{
    char text[2048];
    va_list arguments;
    va_start(arguments, format);
    int len = vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    if (len < 0 || (size_t)len >= sizeof(text)) {
        check_broken("too long for client_sendf");
    }
    client_send(c, text, (size_t)len);
}

static bool is_delivered(void *arg)
{
    int waiting;
    return ioctl(*(const int *)arg, SIOCOUTQ, &waiting) < 0 || waiting == 0;
}

void client_wait_delivered(const struct client *c)
{
    int fd = c->fd;
    check_until(is_delivered, &fd, WIRE_TIMEOUT_MS, "the kernel delivers what was sent");
}

size_t client_send_some(struct client *c, const void *bytes, size_t len, int patience_ms)
{
    size_t at = 0;
    while (at < len) {
        ssize_t sent = send_once(c, (const char *)bytes + at, len - at, patience_ms);
        if (sent <= 0) {
            break;
        }
        at += (size_t)sent;
    }
    return at;
}

void client_send_anyway(struct client *c, const void *bytes, size_t len)
{
    client_send_some(c, bytes, len, WIRE_TIMEOUT_MS);
}

/* --- receiving --- */

bool client_wait(const struct client *c, int timeout_ms)
{
    struct pollfd ready = {.fd = c->fd, .events = POLLIN};
    return c->taken < c->in.len || c->end != WIRE_OPEN || poll(&ready, 1, timeout_ms) == 1;
}

bool client_receive(struct client *c, size_t max, int timeout_ms)
{
    char bytes[RECEIVE_SIZE];
    if (c->end != WIRE_OPEN) {
        return false;
    }
    struct pollfd ready = {.fd = c->fd, .events = POLLIN};
    CHECK(poll(&ready, 1, timeout_ms) == 1, "nothing came from the server within %d ms", timeout_ms);
    ssize_t got = recv(c->fd, bytes, max < sizeof(bytes) ? max : sizeof(bytes), 0);
    if (got > 0) {
        text_add(&c->in, bytes, (size_t)got);
        return true;
    }
    c->end = got == 0 ? WIRE_EOF : WIRE_RESET;
    return false;
}

static void drop_taken(struct client *c)
{
    if (c->taken > 0) {
        c->in.len -= c->taken;
        memmove(c->in.data, c->in.data + c->taken, c->in.len);
        c->taken = 0;
    }
}

static int shown(size_t len)
{
    return (int)(len < SHOWN ? len : SHOWN);
}

const char *client_line(struct client *c, size_t *len)
{
    size_t searched = 0;
    const char *lf = NULL;
    if (c->taken > RECEIVE_SIZE || c->taken == c->in.len) {
        drop_taken(c);
    }
    for (;;) {
        size_t held = c->in.len - c->taken;
        lf = held > searched ? memchr(c->in.data + c->taken + searched, '\n', held - searched) : NULL;
        if (lf != NULL) {
            break;
        }
        searched = held;
        if (!client_receive(c, RECEIVE_SIZE, WIRE_TIMEOUT_MS)) {
            CHECK(held == 0, "the stream %s inside an answer: %.*s", c->end == WIRE_EOF ? "ends" : "was reset",
                  shown(held), c->in.data + c->taken);
            return NULL;
        }
    }
    char *line = c->in.data + c->taken;
    size_t size = (size_t)(lf - line);
    CHECK(size > 0 && line[size - 1] == '\r', "an answer does not end with CRLF: %.*s", shown(size), line);
    line[size - 1] = '\0';
    c->taken += size + 1;
    *len = size - 1;
    return line;
}

static const char *line_or_fail(struct client *c, const char *instead, size_t *len)
{
    const char *line = client_line(c, len);
    CHECK(line != NULL, "the connection %s instead of the answer '%.*s'",
          c->end == WIRE_EOF ? "was closed" : "was reset", SHOWN, instead);
    return line;
}

void client_expect(struct client *c, const char *line)
{
    size_t len;
    const char *got = line_or_fail(c, line, &len);
    CHECK(len == strlen(line) && memcmp(got, line, len) == 0, "answered '%.*s' (%zu bytes), not '%.*s'", SHOWN, got,
          len, SHOWN, line);
}

void client_expect_start(struct client *c, const char *start)
{
    size_t len;
    const char *got = line_or_fail(c, start, &len);
    CHECK(strncmp(got, start, strlen(start)) == 0, "answered '%.*s', which does not begin with '%s'", SHOWN, got,
          start);
}

void client_ask(struct client *c, const char *line, const char *answer)
{
    client_sendf(c, "%s\r\n", line);
    client_expect(c, answer);
}

void client_let_run(struct client *c)
{
    for (int turn = 0; turn < 3; turn++) {
        client_ask(c, "PING", "+PONG");
    }
}

void client_set_large(struct client *c, const char *key, char byte, size_t count)
{
    struct text line = {0};
    text_add_line(&line, byte, count, "SET %s ", key);
    client_send(c, line.data, line.len);
    text_free(&line);
    client_expect(c, "OK");
}

void client_ask_start(struct client *c, const char *line, const char *start)
{
    client_sendf(c, "%s\r\n", line);
    client_expect_start(c, start);
}

void client_expect_gone(struct client *c)
{
    size_t len;
    const char *line = client_line(c, &len);
    CHECK(line == NULL, "there is an answer too many: '%.*s'", SHOWN, line);
}

void client_expect_eof(struct client *c)
{
    client_expect_gone(c);
    CHECK(c->end == WIRE_EOF, "the connection was reset, not closed in order");
}

bool client_has_place(void *server)
{
    struct client c;
    size_t len;
    client_open(&c, server);
    client_send_anyway(&c, "PING\r\nQUIT\r\n", 12);
    const char *line = client_line(&c, &len);
    bool place = line != NULL && strcmp(line, "+PONG") == 0;
    client_close(&c);
    return place;
}

/* --- both at once --- */

/* What has come must be what is expected next. */
static size_t compare(struct client *c, const struct text *expected, size_t at)
{
    size_t got = c->in.len - c->taken;
    if (got == 0) {
        return at;
    }
    const char *bytes = c->in.data + c->taken;
    size_t same = 0;
    CHECK(at + got <= expected->len, "%zu bytes too many were answered: %.*s", at + got - expected->len, shown(got),
          bytes);
    if (memcmp(bytes, expected->data + at, got) != 0) {
        while (bytes[same] == expected->data[at + same]) {
            same++;
        }
        check_fail(__FILE__, __LINE__, "the answers differ from byte %zu on: '%.*s' and not '%.*s'", at + same,
                   shown(got - same), bytes + same, shown(expected->len - at - same), expected->data + at + same);
    }
    c->in.len = 0;
    c->taken = 0;
    return at + got;
}

void client_exchange(struct client *c, const struct text *out, const struct text *expected)
{
    size_t sent = 0;
    size_t seen = compare(c, expected, 0);
    while (sent < out->len || seen < expected->len) {
        struct pollfd ready = {.fd = c->fd, .events = (short)(POLLIN | (sent < out->len ? POLLOUT : 0))};
        CHECK(poll(&ready, 1, WIRE_TIMEOUT_MS) == 1,
              "nothing moves any more: %zu of %zu bytes sent, %zu of %zu answered", sent, out->len, seen,
              expected->len);
        if (ready.revents & POLLOUT) {
            ssize_t n = send(c->fd, out->data + sent, out->len - sent, MSG_NOSIGNAL);
            CHECK(n >= 0 || errno == EAGAIN, "the connection was lost after %zu bytes: %s", sent, strerror(errno));
            sent += n > 0 ? (size_t)n : 0;
        }
        if (ready.revents & POLLIN) {
            CHECK(client_receive(c, RECEIVE_SIZE, WIRE_TIMEOUT_MS),
                  "the connection was closed with %zu of %zu bytes answered", seen, expected->len);
            seen = compare(c, expected, seen);
        }
    }
}
