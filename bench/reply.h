/* reply: where a server's reply ends, in each protocol, and whether it is what the request must get.
 *
 * The parser takes bytes in any pieces and keeps no more than the head of a line; it never looks beyond what it was
 * given, and it does not look at the bytes of a value of known length. The text protocol answers every request by one
 * line. In RESP a reply is +, -, : (a line), $ (a length and that many bytes) or * (that many replies). In memcache it
 * is a line, but a value stands between the lines VALUE key flags length and END. */
#ifndef BENCH_REPLY_H
#define BENCH_REPLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "wire.h"

enum reply_kind {
    REPLY_VALUE,  /* the value of a key; text: any line but the following */
    REPLY_NIL,    /* the key does not exist (text: an empty line) */
    REPLY_ERR,    /* an error; its line is in the reply */
    REPLY_STATUS, /* RESP: a status or an integer; memcache: any other line */
    REPLY_LIST,   /* RESP: an array without errors */
    REPLY_BAD,    /* not a reply of this protocol: the stream cannot be trusted from here on */
};

struct reply {
    enum reply_kind kind;
    const char *line; /* first bytes of the reply's last line, valid until the next call; none behind a RESP value */
    size_t line_len;  /* how many */
};

#define REPLY_HEAD 320 /* bytes kept of a line that arrives in pieces; memcache: a longest key and numbers fit */

struct reply_parser {
    enum wire_proto proto;
    bool array;        /* RESP: inside an array */
    bool array_err;    /* one of its elements was an error */
    bool value_tail;   /* memcache: END must follow */
    char last;         /* the last byte of the unfinished line */
    size_t line_len;   /* its bytes so far */
    uint64_t skip;     /* bytes of a value of known length that are still to come, and its CR LF */
    uint64_t elements; /* RESP: elements that the array still lacks */
    void (*on_value)(void *arg, const char *bytes, size_t size); /* gets the pieces of every value (text: of every
                                                                    line); NULL: nobody does */
    void *arg;
    char head[REPLY_HEAD]; /* the first bytes of the unfinished line */
};

void reply_init(struct reply_parser *p, enum wire_proto proto);

/* Takes bytes from *at up to end. True: *r is one whole reply and *at stands behind it. False: all bytes are taken and
 * the reply is not complete. After REPLY_BAD the parser may not be used again. */
bool reply_next(struct reply_parser *p, const char **at, const char *end, struct reply *r);

/* Nothing of the next reply has been taken yet. */
static inline bool reply_begins(const struct reply_parser *p)
{
    return p->line_len == 0 && p->skip == 0 && !p->array && !p->value_tail;
}

enum verdict {
    VERDICT_FINE,
    VERDICT_MISS,     /* fine, but the key does not exist */
    VERDICT_CONFLICT, /* a COMMIT or EXEC refused for what others wrote */
    VERDICT_ERROR,    /* the server answered an error */
    VERDICT_WRONG,    /* no error, and not what this request must get */
};

/* What a reply, not REPLY_BAD, means to a request of the kind op. */
enum verdict reply_judge(enum wire_proto proto, enum wire_op op, const struct reply *r);

/* A short reply that is the only good one: its bytes with CR LF as they lie in memory. mask is 0 where there is none. */
struct reply_word {
    uint64_t bytes;
    uint64_t mask;
    size_t size;
};

struct reply_word reply_word(enum wire_proto proto, enum wire_op op);

/* For speed, since most replies of a load are alike: true, and *at stands behind it, where the next reply is this good
 * one for sure, as a whole; else nothing is taken, and reply_next() has to look. Unlike it, these may look at up to 7
 * bytes behind the end. */
static inline bool reply_skip_word(const struct reply_parser *p, const char **at, const char *end,
                                   const struct reply_word *w)
{
    uint64_t bytes;
    memcpy(&bytes, *at, sizeof bytes);
    if (w->mask == 0 || (bytes & w->mask) != w->bytes || (size_t)(end - *at) < w->size || !reply_begins(p)) {
        return false;
    }
    *at += w->size;
    return true;
}

bool reply_skip_resp_value(const char **at, const char *end);

/* The value of a GET that nobody looks at. */
static inline bool reply_skip_value(const struct reply_parser *p, const char **at, const char *end)
{
    if (p->proto == WIRE_MEMCACHE || p->on_value != NULL || !reply_begins(p)) {
        return false;
    }
    if (p->proto == WIRE_RESP) {
        return reply_skip_resp_value(at, end);
    }
    const char *lf = **at > 'E' ? memchr(*at, '\n', (size_t)(end - *at)) : NULL; /* not empty, and no error */
    *at = lf == NULL ? *at : lf + 1;
    return lf != NULL;
}

#endif
