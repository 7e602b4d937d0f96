/* txkv.h: the C client library of txkv, a transactional in-memory key/value server.
 *
 *      struct txkv *c;
 *      if (txkv_connect(&c, "127.0.0.1", TXKV_PORT, 0) == TXKV_OK && txkv_set(c, "a", "1", 1) == TXKV_OK) { ... }
 *      txkv_close(c);
 *
 * Calls block. A handle is one connection; it may be used by one thread at a time, and different handles by different
 * threads at once. Sending never raises SIGPIPE, and a call that a signal interrupts goes on.
 *
 * Results. Every function that can fail returns an int: TXKV_OK (0), or a negative enum txkv_code, for which
 * txkv_errmsg() has a line of text. What the server refused (ERR SYNTAX and so on) is returned as the code of that
 * name; the connection stays usable.
 *
 * Lifetimes. Values that a call hands out lie in the handle's own memory. They are valid until the next call with that
 * handle (txkv_errmsg, txkv_transaction_state and txkv_pending excepted). A NUL follows each of them, not counted in
 * its length.
 *
 * What may be stored. A key is a C string of 1 to TXKV_KEY_MAX bytes, without spaces, control bytes (below 0x20) or
 * 0x7f. A value is any bytes except CR and LF, and may be empty. Anything else is refused by the library with
 * TXKV_ERR_ARG before a byte of it is sent. The server has limits of its own (by default values up to 1 MiB), and
 * answers TXKV_ERR_TOOBIG over them.
 *
 * What the text protocol cannot say. This library speaks the text protocol of txkv, in which an answer is a line:
 *  - A key that does not exist and a key with an empty value read alike, as a value of 0 bytes; txkv_exists tells them
 *    apart.
 *  - A stored value that itself begins with "ERR CODE ", CODE being one of the server's codes, cannot be told from the
 *    error: txkv_get returns that error for it. As the first of several keys of an MGET it is worse, since a refused
 *    MGET is one line and an answered one is a line for each key: the lines left over are taken for the answers of the
 *    commands behind it, until the library sees more lines than it has questions (TXKV_ERR_PROTOCOL; the connection
 *    is then closed). Do not store such values where this library reads them.
 *  - A value with CR or LF, written through another protocol, is TXKV_ERR_BINARY.
 *
 * A server started with --quiet-transactions does not answer every command. This library counts answers and does not
 * support that mode: with it a call waits for an answer that never comes.
 *
 * Source: the section on the text protocol in the documentation of the server. */
#ifndef TXKV_H
#define TXKV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define TXKV_API __attribute__((visibility("default")))
#else
#define TXKV_API
#endif

#define TXKV_PORT 8888    /* the server's default TCP port */
#define TXKV_KEY_MAX 1024 /* bytes of the longest key */
#define TXKV_ID_MAX 64    /* bytes of the longest ID of a transaction */
#define TXKV_PASSWORD_MAX 512 /* bytes of the longest password */

/* A connection. Opaque; made by txkv_connect or txkv_connect_unix, freed by txkv_close. */
struct txkv;

/* Results. The numbers are part of the library's binary interface and are never given a new meaning. */
enum txkv_code {
    TXKV_OK = 0,

    /* Found by the library. */
    TXKV_ERR_ARG = -1,      /* an argument is out of its range; nothing was sent */
    TXKV_ERR_NOMEM = -2,    /* out of memory; nothing was sent */
    TXKV_ERR_CONNECT = -3,  /* no connection could be made */
    TXKV_ERR_LOST = -4,     /* the connection is gone, an answer did not come in time, or there was no memory to take
                               it; this command was not run, or changes nothing, or belonged to a transaction that is
                               gone with the connection */
    TXKV_ERR_OUTCOME = -5,  /* as LOST, but a COMMIT, or a change outside a transaction, had been sent and was not
                               answered: it may have taken effect, or not. What became of a transaction with an ID can
                               be found out: txkv_begin_id */
    TXKV_ERR_PROTOCOL = -6, /* the other side does not speak this protocol; the connection was closed */
    TXKV_ERR_BUSY = -7,     /* answers of appended commands are outstanding: txkv_next_reply first */
    TXKV_ERR_NOREPLY = -8,  /* no answer is outstanding */

    /* Answered by the server as ERR and the word. */
    TXKV_ERR_SYNTAX = -32,   /* not a command as the server wants it */
    TXKV_ERR_UNKNOWN = -33,  /* there is no command of that name */
    TXKV_ERR_NOTX = -34,     /* COMMIT or ROLLBACK without an open transaction */
    TXKV_ERR_INTX = -35,     /* BEGIN inside a transaction; the open one goes on */
    TXKV_ERR_CONFLICT = -36, /* a key that the transaction read was changed since; it is over, retry it */
    TXKV_ERR_ABORTED = -37,  /* an earlier command of the transaction failed; nothing of it is applied */
    TXKV_ERR_EXPIRED = -38,  /* the server ended the transaction to free its snapshot; retry it */
    TXKV_ERR_TOOBIG = -39,   /* over a limit of the server, in bytes or in number */
    TXKV_ERR_FULL = -40,     /* the server has no memory for this, or no place for a further connection */
    TXKV_ERR_READONLY = -41, /* a write where only reads are allowed */
    TXKV_ERR_DENIED = -42,   /* this client may not use this server */
    TXKV_ERR_NOTINT = -43,   /* the value is not a signed 64-bit integer */
    TXKV_ERR_OVERFLOW = -44, /* the result does not fit into a signed 64-bit integer */
    TXKV_ERR_BINARY = -45,   /* the value holds CR or LF, which the text protocol cannot carry */
    TXKV_ERR_DISK = -46,     /* the disk that the command needs is not there, or failed */
    TXKV_ERR_DONE = -47,     /* a transaction of that ID has committed already */
    TXKV_ERR_SERVER = -63    /* an ERR with a word that this version of the library does not know */
};

/* What a transaction promises; see the documentation of BEGIN. */
enum txkv_mode {
    TXKV_DEFAULT = 0,      /* as the server is set: the last commit wins, unless it was started otherwise */
    TXKV_SERIALIZABLE = 1, /* COMMIT answers CONFLICT if a key that was read has been changed since BEGIN */
    TXKV_READONLY = 2      /* reads only, from one snapshot; never conflicts and is never too big */
};

/* What became of a transaction with an ID, as the server knows it; see the documentation of OUTCOME. */
enum txkv_outcome_state {
    TXKV_UNKNOWN = 0,   /* it is still open, or the server knows nothing of it any more */
    TXKV_COMMITTED = 1, /* it was applied */
    TXKV_ABORTED = 2    /* it ended without; nothing of it was applied */
};

/* Where a connection stands with its transaction, as far as answers have been read. */
enum txkv_state {
    TXKV_STATE_NONE = 0, /* no transaction is open */
    TXKV_STATE_OPEN = 1,
    TXKV_STATE_FAILED = 2 /* open, but a command of it was refused: nothing of it can be committed any more */
};

/* Bytes of a value, borrowed from the handle (see "Lifetimes"). */
struct txkv_value {
    const char *data; /* never NULL; a NUL follows */
    size_t len;       /* bytes, without that NUL */
};

/* One answer as it came. Everything in it is borrowed from the handle (see "Lifetimes"). */
struct txkv_reply {
    int code;                        /* TXKV_OK, or what the call returned */
    size_t count;                    /* lines: 1; for MGET one for each key; for KEYS their number and one for
                                        each; 0 for QUIT and where no answer came */
    const struct txkv_value *values; /* the lines, without their ends; of an error the whole line, "ERR" included */
};

/* ---- Connections ---- */

/* Connects to a server over TCP. host is a name or an address, NULL for 127.0.0.1; the addresses of a name are tried in
 * turn. port is 1 to 65535. timeout_ms is how long a connection attempt, and later the wait for the server to take or
 * send anything, may last, in milliseconds; 0 waits for ever. (Looking up a name is not limited by it.)
 *
 * *c gets a handle that txkv_close must free in every case, failed or not; after a failure it serves txkv_errmsg and
 * txkv_reconnect. Only without memory is it NULL.
 *
 * TXKV_ERR_ARG: a host, port or timeout that cannot be. TXKV_ERR_CONNECT: nobody answers there. TXKV_ERR_NOMEM. */
TXKV_API int txkv_connect(struct txkv **c, const char *host, int port, int timeout_ms);

/* The same over a Unix socket; path is that of the socket, at most 107 bytes. */
TXKV_API int txkv_connect_unix(struct txkv **c, const char *path, int timeout_ms);

/* Drops the connection, if there is one, and connects again to the same place. Answers that were outstanding are
 * dropped, commands not yet sent are forgotten, and an open transaction is gone, nothing of it applied.
 * TXKV_ERR_CONNECT, TXKV_ERR_NOMEM; the handle then is without a connection, and this may be called again. After
 * txkv_auth it says the password again, and fails as that does. */
TXKV_API int txkv_reconnect(struct txkv *c);

/* Says the password of the server, 1 to TXKV_PASSWORD_MAX bytes without CR and LF; a server that has one runs nothing before
 * (TXKV_ERR_DENIED). Where it was right, the handle keeps a copy until txkv_close, for txkv_reconnect and txkv_transaction.
 * It travels as it is: nothing is encrypted.
 * TXKV_ERR_DENIED: it is another one, or the server has none. TXKV_ERR_SYNTAX, TXKV_ERR_UNKNOWN: the server is too old for
 * passwords. Also TXKV_ERR_ARG, TXKV_ERR_NOMEM, TXKV_ERR_LOST, TXKV_ERR_PROTOCOL, TXKV_ERR_BUSY. */
TXKV_API int txkv_auth(struct txkv *c, const char *password);

/* Asks, without waiting and without sending anything, whether the connection still stands. A yes is what is known here;
 * the server may be gone all the same. TXKV_ERR_LOST: it does not; txkv_errmsg says what the server sent as a farewell,
 * if anything. While answers are outstanding the answer is always yes for a handle that has a connection. */
TXKV_API int txkv_check(struct txkv *c);

/* Closes the connection and frees the handle, with all that was borrowed from it. Commands not yet sent are dropped and
 * an open transaction is discarded. NULL is allowed. */
TXKV_API void txkv_close(struct txkv *c);

/* What the last failure of this handle was, one line for a person, without a line end; "" if nothing failed yet. Valid
 * until the next failure or txkv_close. Of a NULL handle, that memory ran out. */
TXKV_API const char *txkv_errmsg(const struct txkv *c);

/* The name of a code, "CONFLICT" for TXKV_ERR_CONFLICT; "?" if there is no such code. A constant string. */
TXKV_API const char *txkv_code_name(int code);

/* The state of the connection's transaction. A lost connection has none. */
TXKV_API enum txkv_state txkv_transaction_state(const struct txkv *c);

/* ---- Commands ----
 *
 * Each sends one command and waits for its answer. All of them may return, besides what is said below:
 * TXKV_ERR_ARG for a key or value that the protocol cannot carry, TXKV_ERR_NOMEM, TXKV_ERR_LOST, TXKV_ERR_PROTOCOL,
 * TXKV_ERR_BUSY, and in a transaction that has failed TXKV_ERR_ABORTED or TXKV_ERR_EXPIRED.
 * Those that change data may return TXKV_ERR_OUTCOME, TXKV_ERR_FULL, TXKV_ERR_TOOBIG and TXKV_ERR_READONLY. */

/* Reads a key. value gets its bytes, 0 of them where the key does not exist. On failure value is left alone.
 * TXKV_ERR_BINARY: the value cannot be carried by this protocol. */
TXKV_API int txkv_get(struct txkv *c, const char *key, struct txkv_value *value);

/* Sets a key to len bytes at value, which may be NULL if len is 0. */
TXKV_API int txkv_set(struct txkv *c, const char *key, const void *value, size_t len);

/* Deletes a key, whether or not it exists. */
TXKV_API int txkv_del(struct txkv *c, const char *key);

/* Whether a key exists. On failure exists is left alone. */
TXKV_API int txkv_exists(struct txkv *c, const char *key, bool *exists);

/* Adds by, which may be negative, to the decimal integer at a key (0 if there is none); value, unless NULL, gets the
 * sum. TXKV_ERR_NOTINT: the key holds something else. TXKV_ERR_OVERFLOW: the sum does not fit into int64_t. */
TXKV_API int txkv_incr(struct txkv *c, const char *key, int64_t by, int64_t *value);

/* Reads count keys (1 or more) as one command: no change comes between them. values[i] gets the bytes of keys[i]; all
 * of them are borrowed until the next call. On failure values is left alone. TXKV_ERR_BINARY as with txkv_get;
 * TXKV_ERR_TOOBIG: too many keys, or too much in them. */
TXKV_API int txkv_mget(struct txkv *c, const char *const *keys, size_t count, struct txkv_value *values);

/* Asks the server for a sign of life. */
TXKV_API int txkv_ping(struct txkv *c);

/* Opens a transaction. From here to txkv_commit the connection works on its own view of the data.
 * TXKV_ERR_INTX: one is open already, and goes on. TXKV_ERR_DENIED: none is, txkv_auth first. After any other ERR of the server a failed transaction is open, as
 * txkv_transaction_state says, and txkv_rollback ends it. */
TXKV_API int txkv_begin(struct txkv *c, enum txkv_mode mode);

/* The same under an ID that the caller chooses: 1 to TXKV_ID_MAX printable ASCII bytes without spaces, different for
 * each transaction. After a lost connection (TXKV_ERR_OUTCOME from txkv_commit), txkv_reconnect and this call with the
 * same ID tell what became of it, for 10 minutes at least from then on:
 * TXKV_ERR_DONE: it was applied (a failed transaction is open, as after other refusals: txkv_rollback).
 * TXKV_OK: nothing of it was applied, and nothing will be, even if the server still holds the lost connection; a new
 * transaction is open.
 * TXKV_ERR_FULL: the server has no room for a further ID (as it is set up by default, after 1,666 commits a second with
 * an ID for 10 minutes: --outcome-max); one without an ID can be begun. TXKV_ERR_SYNTAX: the server is
 * too old for IDs. */
TXKV_API int txkv_begin_id(struct txkv *c, enum txkv_mode mode, const char *id);

/* Applies the open transaction as a whole. On any ERR nothing of it was applied.
 * TXKV_ERR_CONFLICT, TXKV_ERR_EXPIRED: it may be run again from txkv_begin. TXKV_ERR_ABORTED: a command of it had
 * failed. TXKV_ERR_NOTX: none is open. TXKV_ERR_OUTCOME: the connection was lost before the answer; whether it was
 * applied is unknown, and txkv_begin_id can tell if the transaction has an ID; else only reading the data on a new
 * connection can. */
TXKV_API int txkv_commit(struct txkv *c);

/* Asks what became of the transaction of an ID, begun on whatever connection; outcome gets it. TXKV_UNKNOWN settles
 * nothing: it may be open still on a connection that was lost; txkv_begin_id settles it. On failure outcome is left
 * alone. */
TXKV_API int txkv_outcome(struct txkv *c, const char *id, enum txkv_outcome_state *outcome);

/* Discards the open transaction. TXKV_ERR_NOTX: none is open. */
TXKV_API int txkv_rollback(struct txkv *c);

/* Sends one line, len bytes without a line end, as it is, and waits for its answer; reply is always filled. Returns
 * reply->code. For commands that have no function here, and for prompts. The line must not be empty or hold CR or LF
 * (TXKV_ERR_ARG). After QUIT the connection is closed and every further command is TXKV_ERR_LOST until
 * txkv_reconnect. */
TXKV_API int txkv_command(struct txkv *c, const char *line, size_t len, struct txkv_reply *reply);

/* ---- Pipelining ----
 *
 * An append notes a command and returns without waiting; txkv_next_reply sends all that was noted and returns the
 * answers in the order of the appends, each as soon as it is there. Any number may be appended before the first answer
 * is read; commands and answers not yet taken are kept in memory here. Each append returns TXKV_OK, TXKV_ERR_ARG,
 * TXKV_ERR_NOMEM, TXKV_ERR_LOST (there is no connection) or TXKV_ERR_PROTOCOL; nothing is appended on failure.
 *
 * A transaction can be pipelined as a whole: once one of its commands is refused, the server runs none of the rest and
 * answers COMMIT with ERR ABORTED. */

TXKV_API int txkv_append_get(struct txkv *c, const char *key);
TXKV_API int txkv_append_set(struct txkv *c, const char *key, const void *value, size_t len);
TXKV_API int txkv_append_del(struct txkv *c, const char *key);
TXKV_API int txkv_append_exists(struct txkv *c, const char *key);
TXKV_API int txkv_append_incr(struct txkv *c, const char *key, int64_t by);
TXKV_API int txkv_append_mget(struct txkv *c, const char *const *keys, size_t count);
TXKV_API int txkv_append_begin(struct txkv *c, enum txkv_mode mode);
TXKV_API int txkv_append_begin_id(struct txkv *c, enum txkv_mode mode, const char *id);
TXKV_API int txkv_append_commit(struct txkv *c);
TXKV_API int txkv_append_rollback(struct txkv *c);

/* Appends one line as txkv_command would send it. */
TXKV_API int txkv_append(struct txkv *c, const char *line, size_t len);

/* Sends what was appended without waiting for answers to it; those that come meanwhile are kept. Not needed before
 * txkv_next_reply. TXKV_ERR_LOST: not all could be sent; txkv_next_reply says of each command what became of it. */
TXKV_API int txkv_send(struct txkv *c);

/* Waits for the answer of the oldest command whose answer was not taken yet. reply is always filled; returns
 * reply->code. If the connection is lost, each outstanding command still gets a code of its own, one call each:
 * TXKV_ERR_OUTCOME for those that may have changed data, TXKV_ERR_LOST for the others. TXKV_ERR_NOREPLY: none is
 * outstanding. */
TXKV_API int txkv_next_reply(struct txkv *c, struct txkv_reply *reply);

/* How many answers are outstanding. */
TXKV_API size_t txkv_pending(const struct txkv *c);

/* ---- Transactions with retries ---- */

/* Runs fn between BEGIN and COMMIT, and again in a new transaction when the server answers CONFLICT or EXPIRED, after a
 * pause that is random and doubles its range each time (up to 1 ms at first, never above 100 ms).
 *
 * fn gets the handle and ctx and works with the calls above; it must not begin, commit or roll back. It may be called
 * tries times, so it should have no effects beside those of its transaction. It returns TXKV_OK to commit; anything
 * else rolls back, and is returned as it is, except that TXKV_ERR_CONFLICT and TXKV_ERR_EXPIRED, got from a command and
 * passed on, count as conflicts. Use positive numbers for reasons of your own. Answers that fn left outstanding are
 * read and dropped; if one of them was an error, the server refuses the COMMIT with ERR ABORTED.
 *
 * tries is how often fn may be called, 1 or more. No answer may be outstanding and no transaction open at the call;
 * none is after it.
 *
 * The transaction has a random ID, unless mode is TXKV_READONLY, or the server is too old for IDs, or this is one of the
 * 1,000 next behind one for whose ID it had no room (see txkv_begin_id). Without an ID a lost answer to COMMIT is
 * TXKV_ERR_OUTCOME. When the connection is lost between COMMIT and its answer, this call connects again, about 20 times within a
 * second or so, and finds out what became of it: it is done, or fn is called again while tries are left. With an ID,
 * COMMIT is a commit in the server's log even if it changes nothing: use TXKV_READONLY where you only read.
 *
 * TXKV_ERR_CONFLICT, TXKV_ERR_EXPIRED: all tries were used up, nothing is applied. TXKV_ERR_OUTCOME: the connection was
 * lost before COMMIT was answered, and what became of the transaction could not be found out; with txkv_transaction_id
 * it can be later. TXKV_ERR_LOST: the connection was lost, and nothing is applied; txkv_reconnect and call again if you
 * wish. TXKV_ERR_ARG: tries below 1, fn NULL, or fn ended the transaction itself. TXKV_ERR_INTX: a transaction is open
 * already. Else as txkv_begin and txkv_commit; except for TXKV_ERR_OUTCOME, a failure means that nothing was applied. */
TXKV_API int txkv_transaction(struct txkv *c, enum txkv_mode mode, int (*fn)(struct txkv *c, void *ctx), void *ctx,
                              int tries);

/* The ID of the handle's last txkv_transaction, for txkv_begin_id and txkv_outcome; "" where it had none. Valid until
 * the next txkv_transaction or txkv_close. */
TXKV_API const char *txkv_transaction_id(const struct txkv *c);

#ifdef __cplusplus
}
#endif

#endif
