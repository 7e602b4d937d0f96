/* session: one client's conversation, without a socket: bytes in, bytes out.
 *
 * Whoever owns a session puts bytes into `in`, gives it to a tick (tick.h), and sends what `out` holds afterwards. */
#ifndef TXKV_SESSION_H
#define TXKV_SESSION_H

#include "command.h"
#include "store.h"

struct session_limits {
    struct command_limits command;
    size_t answer_bytes;  /* one answer, over it ERR TOOBIG */
    size_t pending_bytes; /* unsent output, over it nothing more is run */
};

/* What all sessions of a server share. */
struct engine {
    struct store store;
    struct store_limits store_limits;
    struct session_limits limits;
    enum txn_mode plain_mode; /* what a bare BEGIN opens */
    bool quiet_transactions;  /* BEGIN, COMMIT and ROLLBACK that succeed are not answered */
};

enum session_state {
    SESSION_OPEN,
    SESSION_CLOSING, /* QUIT, or a stream that cannot be trusted: nothing more is run; what `out` holds is owed */
    SESSION_BROKEN,  /* no memory even for an error: close without sending more */
};

struct session {
    struct engine *engine;
    const struct proto *proto;
    enum session_state state;
    struct buf in;
    struct buf out;
    size_t decoded; /* bytes of `in` behind its head that belong to requests not yet run */
    struct decoder decoder;
    struct txn txn;
    bool in_ended;  /* the client sends nothing more */
    bool answer_failed;       /* an answer did not fit into memory */
    size_t unsent;            /* bytes handed to the kernel's queue by the owner and not taken yet */
    uint64_t last_seq;        /* of its last commit that changed data */
    struct session *next;     /* in the tick's ready list */
    bool ready;               /* stands in it */
    bool more;                /* it may have requests to run although no bytes come */
    unsigned group_requests;  /* requests in the tick's group, not yet run */
    size_t extra;             /* of this tick's share: requests' worth of work that long commands took beyond one each */
    uint64_t requests;        /* run so far */
};

/* Sets the defaults of docs/protocol.md. 0, or -1 without memory. engine must not move afterwards. */
int engine_init(struct engine *e);
void engine_deinit(struct engine *e);

void session_init(struct session *s, struct engine *engine);

/* Discards an open transaction, frees the buffers. */
void session_deinit(struct session *s);

/* Runs one request: exactly one answer (none for QUIT, and for quiet transactions). */
void session_run(struct session *s, const struct request *r);

/* Refuses bytes of another protocol: one error, then closing. */
void session_refuse(struct session *s);

/* There is no memory to receive more of the request that `in` begins: it will be answered ERR FULL, what there is of it is
 * dropped. False where `in` holds nothing that could be dropped. Only while no request of it can run. */
bool session_give_up(struct session *s);

/* Ends it: its transaction is discarded, nothing more is run; what `out` holds is owed. */
void session_close(struct session *s);

/* Whether it may run requests now. */
bool session_can_run(const struct session *s);

/* Output that waits to be sent, bytes. */
size_t session_pending(const struct session *s);

/* The transaction that a command runs in, or NULL outside of one. */
struct txn *session_txn(struct session *s);

/* Answers an error; inside a transaction it fails. text says what is wrong and what would be right. */
void session_error(struct session *s, int err, const char *text);

/* Notes whether an answer could be written. */
void session_answer(struct session *s, int rc);

#endif
