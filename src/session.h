/* session: one client's conversation, without a socket: bytes in, bytes out.
 *
 * Whoever owns a session puts bytes into `in`, gives it to a tick (tick.h), and sends what `out` holds afterwards. */
#ifndef TXKV_SESSION_H
#define TXKV_SESSION_H

#include "backup.h"
#include "command.h"
#include "multi.h"
#include "secret.h"
#include "store.h"

struct session_limits {
    struct command_limits command;
    size_t answer_bytes;  /* one answer, over it ERR TOOBIG */
    size_t pending_bytes; /* unsent output, over it nothing more is run */
};

/* Work that a command asks for and whoever runs the engine does, at leisure: the session waits meanwhile. */
enum errand_kind { ERRAND_CHECKPOINT, ERRAND_BACKUP };

struct errand {
    enum errand_kind kind;
    char name[BACKUP_NAME_MAX]; /* of a backup */
    struct session *session;    /* who waits; NULL when it is gone */
    struct errand *next;
};

/* Which commands wait until a pause is over. */
enum pause { PAUSE_NONE, PAUSE_WRITES, PAUSE_ALL };

#define ENDPOINT_ADDRESS_MAX 128 /* bytes of an address as text, its NUL included */

/* Where a client is, which is for whoever owns its session to know. */
struct endpoint {
    char address[ENDPOINT_ADDRESS_MAX]; /* 127.0.0.1:1234, [::1]:1234, or /path:0 */
    char local[ENDPOINT_ADDRESS_MAX];   /* of the server */
    int fd;                          /* -1: none */
    bool is_unix;
    bool reads;  /* more of it is waited for */
    bool writes; /* answers wait for it */
};

/* What all sessions of a server share. */
struct engine {
    struct store store;
    struct session *waiting; /* for the journal: their answers are held, or their next request has no room in it */
    size_t blocked;          /* of them, those without room */
    struct errand *errands;  /* asked for and not yet taken, oldest first */
    bool takes_backups;      /* there is somewhere to put them */
    struct store_limits store_limits;
    struct session_limits limits;
    enum txn_mode plain_mode; /* what a bare BEGIN opens */
    size_t lend_min;          /* values of so many bytes are lent to answers: who sends these uses buf_pieces and buf_repay_all */
    bool quiet_transactions;  /* BEGIN, COMMIT and ROLLBACK that succeed are not answered */
    bool binary;              /* values may hold CR or LF: they came by RESP, or from the disk */
    const struct secret *password; /* borrowed; NULL: anybody who can connect is served */
    struct session *first;    /* all sessions, oldest first */
    struct session *last;
    enum pause pause;
    uint64_t pause_until_ms;  /* by the store's clock: when whoever runs the engine calls engine_unpause */
    size_t paused;            /* sessions that wait for it */
    bool stopping;            /* what waits out a pause will never run */
    void (*wake)(struct session *s); /* gives a session to the tick although nothing has come; at first nothing does */
    void (*find_endpoint)(const struct session *s, struct endpoint *end); /* NULL: they have none */
    struct txn single;        /* of a command that makes several changes outside of a transaction */
    int64_t (*wall_us)(void); /* the time of day, since 1970; NULL: always 0 */
    int64_t started_us;       /* by it */
    uint64_t sessions;        /* so far */
    uint64_t sessions_now;
    uint64_t requests;        /* so far */
    uint64_t draws;           /* random numbers drawn */
    uint16_t port;            /* that is listened on; 0 where none is */
    struct slice words[COMMAND_ARGS_MAX]; /* of the queued request that runs */
    char unquoted[PROTO_INLINE_MAX]; /* words of the one quoted line that may stand in a tick's group */
};

enum session_state {
    SESSION_OPEN,
    SESSION_CLOSING, /* QUIT, or a stream that cannot be trusted: nothing more is run; what `out` holds is owed */
    SESSION_BROKEN,  /* no memory even for an error: close without sending more */
};

/* Answers wait from `from` on until a batch of the journal is durable. */
struct hold {
    uint64_t from;  /* position in all that was ever answered */
    uint64_t batch; /* number of the batch */
};

#define SESSION_HOLDS_MAX 2 /* batches that are not durable: one on its way, one being filled */

/* Which answers a client wants: CLIENT REPLY. */
enum replies {
    REPLIES_ON,
    REPLIES_OFF,
    REPLIES_SKIP_NEXT, /* not that of the next request */
    REPLIES_SKIP,      /* not that of the request that runs */
};

/* Of a session's input: intake.h. */
struct intake {
    size_t front; /* of the place of a large value: bytes of it before the request */
    size_t size;  /* of the request that is expected next, with a large value; 0: any may come */
    bool placed;  /* `in` was made the place of one */
};

struct session {
    struct engine *engine;
    const struct proto *proto;
    enum session_state state;
    struct buf in;
    struct intake intake;
    struct buf out;
    uint64_t out_base; /* bytes that were ever consumed from `out` */
    struct hold holds[SESSION_HOLDS_MAX];
    unsigned hold_count;
    bool stalled;             /* it runs nothing: `blocked`, `paused`, or it waits for its errand or its listing */
    bool blocked;             /* its next request waits for room in the journal */
    bool paused;              /* its next request waits for the end of a pause */
    bool waits;               /* stands in the engine's list */
    struct errand *errand;    /* NULL, or what it waits for to be done */
    struct listing *listing;  /* owned; NULL, or the answer that it makes, a slice in each tick */
    struct session *wait_prev;
    struct session *wait_next;
    size_t decoded; /* bytes of `in` behind its head that belong to requests not yet run */
    struct decoder decoder;
    struct txn txn;
    struct txn *scope;        /* of the command that runs, outside of a transaction; or NULL */
    bool scope_failed;        /* a change in it did not fit */
    bool answer_failed;       /* an answer did not fit into memory. Not beside `replies`: see end_answer */
    struct multi *multi;      /* owned; NULL without MULTI and WATCH */
    uint64_t id;
    char *name;               /* owned; that the client gave itself, or NULL */
    char *lib_name;           /* owned; of the client's library, or NULL */
    char *lib_version;
    const struct command *command; /* last run; NULL where there was none of its name */
    const char *sub;          /* of it; or NULL */
    uint64_t since_ms;        /* when it began */
    uint64_t active_ms;       /* when it last had its turn */
    struct session *all_prev; /* in the engine's list of all */
    struct session *all_next;
    enum replies replies;
    bool ends;                /* it is closed when its request has been answered */
    bool in_ended;  /* the client sends nothing more */
    size_t unsent;            /* bytes handed to the kernel's queue by the owner and not taken yet */
    uint64_t last_seq;        /* of its last commit that changed data */
    struct session *next;     /* in the tick's ready list */
    bool ready;               /* stands in it */
    struct session *next_later; /* in the list of those whose turn comes later */
    struct session *prev_later;
    bool brought;             /* it comes to its turn from there */
    bool later;               /* stands in it */
    bool more;                /* it may have requests to run although no bytes come */
    unsigned group_requests;  /* requests in the tick's group, not yet run */
    size_t extra;             /* of this tick's share: requests' worth of work that long commands took beyond one each */
    bool put_off;             /* its next command is a long one and waits for the next tick */
    uint64_t requests;        /* run so far */
};

/* Sets the defaults of docs/protocol.md. 0, or -1 without memory. engine must not move afterwards. */
int engine_init(struct engine *e);
void engine_deinit(struct engine *e);

void session_init(struct session *s, struct engine *engine);

/* Discards an open transaction, frees the buffers. */
void session_deinit(struct session *s);

/* Whether there is nothing that a request might have to wait for. */
static inline bool engine_admits_all(const struct engine *e)
{
    return e->store.journal == NULL && e->pause == PAUSE_NONE;
}

/* Whether a request may run now. If not, the session waits: until there is room for its record in the journal, or for the
 * end of a pause. */
bool session_admits(struct session *s, const struct request *r);

/* Lets commands wait, at least until that time, or ends that. Of two pauses the longer and the stricter one counts. */
void engine_pause(struct engine *e, enum pause pause, uint64_t until_ms);
void engine_unpause(struct engine *e);

/* Whether its client has still to say the password. */
static inline bool session_is_guest(const struct session *s)
{
    return s->decoder.guest;
}

/* Closes another session than the one that runs, without a word and soon: its owner sees that at the end of this tick. */
void session_kill(struct session *s);

/* Runs one request that was admitted: exactly one answer (none for QUIT, and for quiet transactions). */
void session_run(struct session *s, const struct request *r);

/* Runs one of EXEC's requests, which has no error: as session_run, but what it answers is no more than an answer. */
void session_run_queued(struct session *s, const struct request *r);

/* A session that is at an answer which takes longer than one tick should. Its transaction and its input stay as they are until
 * that answer is there. */
static inline bool session_is_listing(const struct session *s)
{
    return s->listing != NULL && s->state == SESSION_OPEN;
}

/* A slice of it. */
void session_list(struct session *s);

/* Notes what the session waits for; after each change of it. */
static inline void session_stall(struct session *s)
{
    s->stalled = s->blocked || s->paused || s->errand != NULL || s->listing != NULL;
}

/* At most how many bytes of the journal a request may take that runs now; 0 where it takes none. */
size_t session_record_bytes(const struct session *s, const struct request *r);

/* Refuses a stream that cannot be trusted, as decoded: one error, then closing. */
void session_refuse(struct session *s, const struct raw_request *raw);

/* There is no memory to receive more of the request that `in` begins: it will be answered ERR FULL, what there is of it is
 * dropped. False where `in` holds nothing that could be dropped. Only while no request of it can run. */
bool session_give_up(struct session *s);

/* Ends it: its transaction is discarded, nothing more is run; what `out` holds is owed. */
void session_close(struct session *s);

/* Whether it may run requests now. */
bool session_can_run(const struct session *s);

/* Output that waits to be sent, bytes. */
size_t session_pending(const struct session *s);

/* Bytes at the head of `out` that may be sent: all, but for what is held. */
size_t session_sendable(struct session *s);

/* Drops bytes at the head of `out` that were sent, or taken to be sent. */
void session_sent(struct session *s, size_t size);

/* What it waits for is void: it is about to be closed. */
void session_unwait(struct session *s);

/* A batch of the journal is done, or there is room: calls wake for each session that may go on. How many. */
size_t engine_wake(struct engine *e, void (*wake)(struct session *s, void *arg), void *arg);

/* The oldest errand, or NULL; the caller owns it then, and answers it with errand_done. */
struct errand *engine_take_errand(struct engine *e);

/* Answers who waits for it: OK, or an error where text is not NULL; frees it. wake is called for the session. */
void errand_done(struct errand *errand, int err, const char *text, void (*wake)(struct session *s, void *arg), void *arg);

/* Leaves an errand; the session runs nothing until it is done. */
void session_ask(struct session *s, enum errand_kind kind, struct slice name);

/* The transaction that a command runs in, the client's or its own; or NULL. */
struct txn *session_txn(struct session *s);

/* Answers an error; inside a transaction it fails. text says what is wrong and what would be right. */
void session_error(struct session *s, int err, const char *text);

/* Answers an error whose code is the first word of text. As session_error. */
void session_complain(struct session *s, const char *text);

/* Discards the transaction, MULTI and WATCH, the client's name and that it has said the password. */
void session_reset(struct session *s);

/* Notes whether an answer could be written. */
static inline void session_answer(struct session *s, int rc)
{
    s->answer_failed = s->answer_failed || rc < 0;
}

/* Whether the protocol can carry a value; and the answer where it cannot. */
static inline bool session_carries(const struct session *s, struct slice value)
{
    return !s->engine->binary || s->proto->carries == NULL || s->proto->carries(value);
}

void session_uncarried(struct session *s);

/* Answers a value. */
static inline void session_value(struct session *s, struct slice value)
{
    if (session_carries(s, value)) {
        session_answer(s, s->proto->value(&s->out, value));
    } else {
        session_uncarried(s);
    }
}

/* Answers a value of an entry that the protocol can carry. */
static inline void session_lend(struct session *s, struct slice value)
{
    bool is_large = value.len >= s->engine->lend_min;
    session_answer(s, is_large ? s->proto->lend(&s->out, value) : s->proto->value(&s->out, value));
}

/* Answers what store_get found, which is no error: a value, or that there is none. */
static inline void session_found(struct session *s, int found, struct slice value)
{
    if (found != 1) {
        session_answer(s, s->proto->absent(&s->out));
    } else if (session_carries(s, value)) {
        session_lend(s, value);
    } else {
        session_uncarried(s);
    }
}

#endif
