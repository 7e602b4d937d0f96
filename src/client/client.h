/* client: what a handle of the client library is, shared by its files and by nobody else. Nothing of the server is
 * included here: the library knows the server by its protocol only.
 *
 *      appended commands        out: bytes not yet taken by the kernel
 *           |                          |
 *           v                          v
 *      pending: [oldest ... newest]  socket ... server
 *           ^                          |
 *           |                          v
 *      one answer each          in: bytes received, not yet taken by the caller
 *
 * Invariant: pending holds, in order, exactly the commands that were appended and whose answers were not taken. A
 * command stands in the stream of sent bytes up to pending.end, so sent >= pending.end tells whether the server can
 * have seen all of its line: a line without its end is never run. */
#ifndef TXKV_CLIENT_H
#define TXKV_CLIENT_H

#include "txkv.h"

/* What the answer of a command must look like when it is not an error. */
enum answer {
    ANSWER_ANY,   /* one line; an unknown word after ERR is an error too */
    ANSWER_OK,    /* OK */
    ANSWER_INT,   /* a decimal integer */
    ANSWER_LIST,  /* how many lines follow, then these */
    ANSWER_VALUE, /* a stored value; only a known word after ERR is an error */
    ANSWER_END,   /* none: the server closes the connection */
};

enum verb_id {
    VERB_GET,
    VERB_SET,
    VERB_DEL,
    VERB_EXISTS,
    VERB_INCR,
    VERB_MGET,
    VERB_BEGIN,
    VERB_COMMIT,
    VERB_ROLLBACK,
    VERB_OUTCOME,
    VERB_AUTH,
    VERB_PING,
    VERB_DBSIZE,
    VERB_KEYS,
    VERB_HELP,
    VERB_QUIT,
    VERB_OTHER, /* any the library has no entry for: assumed to change data */
    VERB_COUNT
};

struct verb {
    const char *name;
    enum answer answer;
    bool writes; /* run outside a transaction, it may change data */
};

struct pending {
    uint64_t end; /* offset one past its line in the stream of all bytes appended */
    size_t lines; /* lines of its answer, unless it is an error; of a list, as far as is known */
    enum verb_id verb;
    bool changes; /* if it ran, the data may have changed: a COMMIT, or a write outside a transaction */
};

/* A byte queue: bytes come at end and go at start. */
struct bytes {
    char *data; /* owned */
    size_t start;
    size_t end;
    size_t cap;
};

struct txkv {
    int fd;         /* -1 without a connection */
    int timeout_ms; /* 0 = none */
    int port;       /* of TCP */
    char *host;     /* owned; a host name, or the path of the socket if port is 0 */
    char *password; /* owned; that the server took, or NULL */
    struct bytes in;
    struct bytes out;
    uint64_t appended;       /* bytes ever put into out, of this connection */
    uint64_t sent;           /* bytes of them taken by the kernel */
    struct pending *pending; /* owned; the oldest at pending_head */
    size_t pending_head;
    size_t pending_count;
    size_t pending_cap;
    size_t scanned;            /* bytes of the oldest answer already searched for line ends */
    size_t found;              /* line ends found in them */
    struct txkv_value *values; /* owned; the lines of the answer taken last */
    size_t values_cap;
    enum txkv_state state; /* as far as answers were taken */
    bool appended_tx;      /* a transaction is open behind the last command appended */
    bool appended_quit;    /* nothing may follow */
    char id[TXKV_ID_MAX + 1]; /* of the last txkv_transaction; "" for none */
    unsigned without_ids;  /* so many of the next ones go without an ID; UINT_MAX: all on this connection */
    bool deaf;             /* the other side takes no more bytes; what it sent before can still be read */
    char why[256];         /* why the connection is gone */
    char err[512];         /* for txkv_errmsg */
};

/* bytes.c: reserve returns the place for size more bytes, or NULL without memory. */
char *txkv_bytes_reserve(struct bytes *b, size_t size);
void txkv_bytes_free(struct bytes *b);

/* code.c: the code of an "ERR WORD ..." line, TXKV_ERR_SERVER for a word not in the table, 0 if it is no such line. */
int txkv_code_of_line(const char *line, size_t len);

/* code.c: notes the text for txkv_errmsg and returns code. */
int txkv_fail(struct txkv *c, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* link.c: makes the connection; TXKV_OK or TXKV_ERR_CONNECT. */
int txkv_link_open(struct txkv *c);

/* link.c: drops the connection, noting why. What was received stays. */
void txkv_link_break(struct txkv *c, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* link.c: sends all of out, receiving meanwhile. False: it could not, and the connection is gone, or deaf. */
bool txkv_link_send(struct txkv *c);

/* link.c: waits until bytes have come, or the connection is gone; sends what can be sent meanwhile. */
void txkv_link_receive(struct txkv *c);

/* link.c: takes what has come already, without waiting. */
void txkv_link_poll(struct txkv *c);

/* append.c: forgets all commands and answers. */
void txkv_pipe_reset(struct txkv *c);

/* append.c: asks for the outcome of an ID. */
int txkv_append_outcome(struct txkv *c, const char *id);

/* append.c: says a password. */
int txkv_append_auth(struct txkv *c, const char *password);

/* handle.c: forgets the password. */
void txkv_forget_password(struct txkv *c);

/* call.c: says the password that the server took before, if there is one, and waits for the answer. */
int txkv_auth_again(struct txkv *c);

extern const struct verb txkv_verbs[VERB_COUNT];

#endif
