/* Where the server listens: its TCP addresses and its Unix socket, and the clients that wait there. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "conn.h"
#include "server.h"

#define BACKLOG 511
#define PORT_TRIES 20

/* --- clients that wait --- */

static void accept_waiting(struct server *server, size_t which)
{
    server->listeners[which].accept_owed = conn_accept(server, &server->listeners[which].stream) == NULL;
}

bool server_accept_is_owed(const struct server *server)
{
    bool owed = false;
    for (size_t i = 0; i < server->listener_count; i++) {
        owed = owed || server->listeners[i].accept_owed;
    }
    return owed;
}

void server_accept_owed(struct server *server)
{
    for (size_t i = 0; i < server->listener_count; i++) {
        if (server->listeners[i].accept_owed) {
            accept_waiting(server, i);
        }
    }
}

static void on_connection(uv_stream_t *listener, int status)
{
    struct server *server = listener->data;
    if (status < 0) {
        fprintf(stderr, "txkv-server: accept: %s\n", uv_strerror(status));
        return;
    }
    for (size_t i = 0; i < server->listener_count; i++) {
        if (&server->listeners[i].stream == listener) {
            accept_waiting(server, i);
        }
    }
}

/* --- TCP --- */

static int parse_address(const char *text, int port, struct sockaddr_storage *address)
{
    if (uv_ip4_addr(text, port, (struct sockaddr_in *)(void *)address) == 0) {
        return 0;
    }
    return uv_ip6_addr(text, port, (struct sockaddr_in6 *)(void *)address);
}

static int bound_port(const uv_tcp_t *tcp)
{
    struct sockaddr_storage address;
    int len = sizeof(address);
    if (uv_tcp_getsockname(tcp, (struct sockaddr *)&address, &len) < 0) {
        return -1;
    }
    return ntohs(address.ss_family == AF_INET ? ((struct sockaddr_in *)(void *)&address)->sin_port
                                              : ((struct sockaddr_in6 *)(void *)&address)->sin6_port);
}

/* Listens on one address; 0 or libuv's error, the listener closed then. */
static int listen_tcp(struct server *server, const char *text, int port)
{
    uv_tcp_t *tcp = &server->listeners[server->listener_count].tcp;
    struct sockaddr_storage address;
    int rc = parse_address(text, port, &address);
    if (rc < 0) {
        return rc;
    }
    rc = uv_tcp_init(&server->loop, tcp);
    if (rc < 0) {
        return rc;
    }
    tcp->data = server;
    unsigned only6 = address.ss_family == AF_INET6 ? UV_TCP_IPV6ONLY : 0;
    rc = uv_tcp_bind(tcp, (const struct sockaddr *)&address, only6);
    if (rc == 0) {
        rc = uv_listen((uv_stream_t *)tcp, BACKLOG, on_connection);
    }
    if (rc < 0) {
        uv_close((uv_handle_t *)tcp, NULL);
        uv_run(&server->loop, UV_RUN_NOWAIT); /* the place is used again */
        return rc;
    }
    server->listener_count++;
    return 0;
}

static int complain(const char *where, int port, int rc)
{
    if (port >= 0) {
        fprintf(stderr, "txkv-server: cannot listen on %s port %d: %s\n", where, port, uv_strerror(rc));
    } else {
        fprintf(stderr, "txkv-server: cannot listen on %s: %s\n", where, uv_strerror(rc));
    }
    return -1;
}

/* 127.0.0.1 and ::1 at one port. A machine without IPv6 has the first alone. With port 0 the second may find the port
 * taken that the first got: then another is tried. */
static int listen_default(struct server *server, int port, int *bound)
{
    for (int tries = 0; tries < PORT_TRIES; tries++) {
        int rc = listen_tcp(server, "127.0.0.1", port);
        if (rc < 0) {
            return complain("127.0.0.1", port, rc);
        }
        *bound = bound_port(&server->listeners[0].tcp);
        server->engine.port = (uint16_t)*bound;
        rc = listen_tcp(server, "::1", *bound);
        if (rc == 0 || rc == UV_EADDRNOTAVAIL || rc == UV_EAFNOSUPPORT) {
            return 0;
        }
        if (port != 0 || rc != UV_EADDRINUSE) {
            return complain("::1", *bound, rc);
        }
        uv_close(&server->listeners[0].handle, NULL);
        uv_run(&server->loop, UV_RUN_NOWAIT);
        server->listener_count = 0;
    }
    return complain("127.0.0.1 and ::1", 0, UV_EADDRINUSE);
}

/* --- the Unix socket --- */

/* A socket file that nobody listens on is a leftover and is removed; a live one is somebody else's. */
static void remove_stale_socket(const char *path)
{
    struct stat st;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (lstat(path, &st) < 0 || !S_ISSOCK(st.st_mode)) {
        return;
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 && errno == ECONNREFUSED) {
        unlink(path);
    }
    if (fd >= 0) {
        close(fd);
    }
}

static bool parent_exists(const char *path)
{
    char parent[sizeof(((struct server *)0)->unix_path) + 2];
    const char *slash = strrchr(path, '/');
    snprintf(parent, sizeof(parent), "%.*s", slash == NULL ? 1 : (int)(slash - path) + 1, slash == NULL ? "." : path);
    return access(parent, F_OK) == 0;
}

static int listen_unix(struct server *server, const char *path)
{
    uv_pipe_t *pipe = &server->listeners[server->listener_count].pipe;
    remove_stale_socket(path);
    int rc = uv_pipe_init(&server->loop, pipe, 0);
    if (rc < 0) {
        return complain(path, -1, rc);
    }
    pipe->data = server;
    rc = uv_pipe_bind(pipe, path);
    if (rc == 0) {
        rc = uv_listen((uv_stream_t *)pipe, BACKLOG, on_connection);
    }
    if (rc < 0) {
        uv_close((uv_handle_t *)pipe, NULL);
        struct stat st;
        bool no_directory = rc == UV_EACCES && lstat(path, &st) < 0 && errno == ENOENT && !parent_exists(path);
        return complain(path, -1, no_directory ? UV_ENOENT : rc); /* libuv says EACCES for that */
    }
    snprintf(server->unix_path, sizeof(server->unix_path), "%s", path);
    server->listener_count++;
    return 0;
}

/* --- all of them --- */

int server_listen(struct server *server, char *where, size_t size)
{
    const struct options *o = server->options;
    int port = (int)o->port;
    if (o->bind_count == 0) {
        if (listen_default(server, port, &port) < 0) {
            return -1;
        }
        snprintf(where, size, "127.0.0.1:%d", port);
    }
    for (size_t i = 0; i < o->bind_count; i++) {
        int rc = listen_tcp(server, o->binds[i], port);
        if (rc < 0) {
            return complain(o->binds[i], port, rc);
        }
        port = bound_port(&server->listeners[server->listener_count - 1].tcp);
        server->engine.port = (uint16_t)port;
        size_t len = strlen(where);
        bool is6 = strchr(o->binds[i], ':') != NULL;
        snprintf(where + len, size - len, "%s%s%s%s:%d", i == 0 ? "" : ", ", is6 ? "[" : "", o->binds[i], is6 ? "]" : "",
                 port);
    }
    if (o->unix_path != NULL) {
        if (listen_unix(server, o->unix_path) < 0) {
            return -1;
        }
        size_t len = strlen(where);
        snprintf(where + len, size - len, ", %s", o->unix_path);
    }
    return 0;
}

/* --- the end --- */

void server_remove_socket(const struct server *server)
{
    if (server->unix_path[0] != '\0') {
        unlink(server->unix_path);
    }
}

void server_stop_listening(struct server *server)
{
    for (size_t i = 0; i < server->listener_count; i++) {
        if (!uv_is_closing(&server->listeners[i].handle)) {
            uv_close(&server->listeners[i].handle, NULL);
        }
    }
    server_remove_socket(server);
}
