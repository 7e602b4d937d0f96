/* conn: one client's socket and its session.
 *
 *      open --QUIT, EOF, refusal--> what is owed is sent --> shutdown, linger --client closes, or time--> closed
 *        |                                                                                                  ^
 *        +--------------------------------- error of the socket, a deadline --------------------------------+
 *
 * The lingering matters: a socket that is closed with unread input is reset, and the client may lose answers that were
 * sent. Bytes given to uv_write stay in `sending` until its callback; new answers collect in the session meanwhile. A
 * connection is freed by its close callback, which runs when nothing of it is pending. */
#ifndef TXKV_CONN_H
#define TXKV_CONN_H

#include <uv.h>

#include "deadline.h"
#include "session.h"

struct server;

struct conn {
    struct session session; /* first: a tick's session is this conn's */
    union {
        uv_handle_t handle;
        uv_stream_t stream;
        uv_tcp_t tcp;
        uv_pipe_t pipe;
    };
    uv_write_t write;
    uv_shutdown_t shutdown;
    struct server *server;
    struct conn *prev;
    struct conn *next;
    struct buf sending;     /* what uv_write has */
    size_t read_size;       /* bytes offered to the next read: doubles while reads fill it */
    size_t unread_bytes;    /* unsent bytes when the unread deadline was armed */
    uint64_t partial_after; /* requests run when the partial deadline was armed */
    uint8_t turns_waited;   /* since there were answers to send */
    bool filled;            /* the last read took all that was offered to it */
    bool reading;
    bool writing;
    bool lingering;
    bool client_ended; /* the client will send nothing more */
    struct deadline partial;
    struct deadline unread;
    struct deadline linger;
    struct deadline tx_idle;
};

/* A connection for a client that waits at the listener; NULL without memory, the client still waits then. Over the
 * server's limit of connections, or from a stranger, the client gets an error and is closed. */
struct conn *conn_accept(struct server *server, uv_stream_t *listener);

/* Where its client is, as the engine asks for it. */
void conn_find_endpoint(const struct session *s, struct endpoint *end);

/* The tick has run the session: sends, and decides what is next. */
void conn_after_tick(struct session *s);

/* Reads no more; what has arrived is run, what is owed is sent, then it closes. */
void conn_finish(struct conn *c);

/* Closes now. */
void conn_close(struct conn *c);

/* What a deadline of a connection does. */
void conn_on_partial(struct conn *c);
void conn_on_unread(struct conn *c);
void conn_on_tx_idle(struct conn *c);

/* Whether an address is of this machine itself: the loopback range of IPv4, ::1, or the former inside IPv6. */
bool conn_is_local(const struct sockaddr *address);

#endif
