/* wire: a client without any cleverness: bytes out, lines in. Every wait has a deadline; what does not come in time, or
 * is not as expected, ends the check (check.h). */
#ifndef TXKV_INTEGRATION_WIRE_H
#define TXKV_INTEGRATION_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#include "text.h"

#define WIRE_TIMEOUT_MS 20000
#define LARGE_VALUE 40000 /* bytes of a value that is read to where it stays: src/intake.h */

struct server;

enum wire_end {
    WIRE_OPEN,
    WIRE_EOF,   /* the server has closed in order */
    WIRE_RESET, /* the connection was lost: what was under way may be missing */
};

struct client {
    int fd;
    enum wire_end end;
    struct text in; /* received */
    size_t taken;   /* of it, already given to the caller */
};

/* Connects. receive_buffer: bytes of the kernel's receive buffer, 0 for its own choice. */
void client_open(struct client *c, const struct server *s);
void client_open_small(struct client *c, const struct server *s, int receive_buffer);
/* Connects to any address; 0, or -errno with nothing open. */
int client_open_at(struct client *c, const struct sockaddr *address, socklen_t len);
/* The same from the address as text, 127.0.0.1 or ::1, and a port. */
int client_open_ip(struct client *c, const char *address, int port);
int client_open_unix(struct client *c, const char *path);

void client_close(struct client *c);
/* Closes with a reset. */
void client_reset(struct client *c);
/* Says that no more will be sent. */
void client_half_close(struct client *c);

/* Sends all; waits while the server does not read. */
void client_send(struct client *c, const void *bytes, size_t len);
void client_sendf(struct client *c, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Waits until the server's kernel has all that was sent. */
void client_wait_delivered(const struct client *c);
/* Sends what is taken at once and within patience_ms of silence; returns how much that was. */
size_t client_send_some(struct client *c, const void *bytes, size_t len, int patience_ms);
/* Sends as far as the connection bears it: a server that closes is no failure. */
void client_send_anyway(struct client *c, const void *bytes, size_t len);

/* Whether there is something to receive, or the stream has ended; waits for it. */
bool client_wait(const struct client *c, int timeout_ms);

/* Receives once, up to max bytes, into c->in; false when the stream has ended. */
bool client_receive(struct client *c, size_t max, int timeout_ms);

/* The next line without its CRLF, ended by NUL, valid until the next call; NULL when the stream has ended. Without its
 * CRLF at the end of the stream a line is a failure. */
const char *client_line(struct client *c, size_t *len);

/* The next line must be so, or begin so. */
void client_expect(struct client *c, const char *line);
void client_expect_start(struct client *c, const char *start);
/* Sends a line and CRLF; the answer must be so, or begin so. */
void client_ask(struct client *c, const char *line, const char *answer);
/* By this client, of the text protocol: what others sent before has been taken and run as far as it can be, and what of it need not wait
 * was answered. Three turns of the loop have gone by: one to accept a connection, one to read and run, and the end of that one. */
void client_let_run(struct client *c);
/* Sets a key to count times the same byte; the answer must be OK. */
void client_set_large(struct client *c, const char *key, char byte, size_t count);
void client_ask_start(struct client *c, const char *line, const char *start);

/* Whether the server, a struct server, has place for one more client now: for check_until, where there is place for so
 * many only, to see that another one is gone. */
bool client_has_place(void *server);

/* Nothing more comes, and the server has closed: in order, or in any way. */
void client_expect_eof(struct client *c);
void client_expect_gone(struct client *c);

/* Sends and receives at once, until all that was expected has come; it must be that to the byte. */
void client_exchange(struct client *c, const struct text *out, const struct text *expected);

#endif
