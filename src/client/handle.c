/* handle: making, checking and freeing a connection's handle. */
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "client.h"

#define HOST_MAX 255 /* bytes of a host name */

static struct txkv *new_handle(const char *host, int port, int timeout_ms)
{
    struct txkv *c = calloc(1, sizeof *c);
    if (c == NULL) {
        return NULL;
    }
    c->host = strdup(host);
    if (c->host == NULL) {
        free(c);
        return NULL;
    }
    c->fd = -1;
    c->port = port;
    c->timeout_ms = timeout_ms;
    strcpy(c->why, "there is no connection");
    return c;
}

int txkv_connect(struct txkv **c, const char *host, int port, int timeout_ms)
{
    struct txkv *h = *c = new_handle(host == NULL ? "127.0.0.1" : host, port, timeout_ms);
    if (h == NULL) {
        return TXKV_ERR_NOMEM;
    }
    if (port < 1 || port > 65535) {
        h->port = 1; /* 0 would mean a Unix socket to txkv_reconnect */
        return txkv_fail(h, TXKV_ERR_ARG, "port %d is not from 1 to 65535", port);
    }
    if (h->host[0] == '\0' || strlen(h->host) > HOST_MAX) {
        return txkv_fail(h, TXKV_ERR_ARG, "the host name is empty or too long");
    }
    if (timeout_ms < 0) {
        h->timeout_ms = 0;
        return txkv_fail(h, TXKV_ERR_ARG, "a timeout of %d ms is negative", timeout_ms);
    }
    return txkv_link_open(h);
}

int txkv_connect_unix(struct txkv **c, const char *path, int timeout_ms)
{
    size_t max = sizeof((struct sockaddr_un *)NULL)->sun_path - 1;
    bool bad_path = path == NULL || path[0] == '\0' || strlen(path) > max;
    struct txkv *h = *c = new_handle(bad_path ? "" : path, 0, timeout_ms);
    if (h == NULL) {
        return TXKV_ERR_NOMEM;
    }
    if (bad_path) {
        return txkv_fail(h, TXKV_ERR_ARG, "the path of a socket must have 1 to %zu bytes", max);
    }
    if (timeout_ms < 0) {
        h->timeout_ms = 0;
        return txkv_fail(h, TXKV_ERR_ARG, "a timeout of %d ms is negative", timeout_ms);
    }
    return txkv_link_open(h);
}

int txkv_reconnect(struct txkv *c)
{
    txkv_link_break(c, "the connection was given up");
    txkv_pipe_reset(c);
    int rc = txkv_link_open(c);
    return rc == TXKV_OK ? txkv_auth_again(c) : rc;
}

void txkv_forget_password(struct txkv *c)
{
    if (c->password != NULL) {
        explicit_bzero(c->password, strlen(c->password));
        free(c->password);
        c->password = NULL;
    }
}

int txkv_check(struct txkv *c)
{
    if (c->fd >= 0 && c->pending_count == 0) {
        txkv_link_poll(c);
        size_t len = c->in.end - c->in.start;
        if (len > 0) {
            char *line = c->in.data + c->in.start;
            const char *end = memchr(line, '\n', len);
            int shown = (int)(end == NULL ? len : (size_t)(end - line));
            shown = shown > 0 && line[shown - 1] == '\r' ? shown - 1 : shown;
            txkv_link_break(c, "the server sent what no command asked for: %.*s", shown > 200 ? 200 : shown, line);
            c->in.start = c->in.end;
        }
    }
    if (c->fd < 0) {
        return txkv_fail(c, TXKV_ERR_LOST, "connection lost: %s", c->why);
    }
    return TXKV_OK;
}

void txkv_close(struct txkv *c)
{
    if (c == NULL) {
        return;
    }
    txkv_link_break(c, "closed");
    txkv_bytes_free(&c->in);
    txkv_bytes_free(&c->out);
    free(c->pending);
    free(c->values);
    free(c->host);
    txkv_forget_password(c);
    free(c);
}

enum txkv_state txkv_transaction_state(const struct txkv *c)
{
    return c->fd < 0 ? TXKV_STATE_NONE : c->state;
}
