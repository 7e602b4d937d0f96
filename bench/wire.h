/* wire: the protocols that the load generator speaks: how a request is written, and where a reply ends.
 *
 * A request is written once, before the run; afterwards only the 12 digits of its key are patched in place.
 *
 * The reply parser takes bytes in any pieces and keeps no more than the head of a line; it never looks beyond what it
 * was given. The text protocol answers every request by one line. In RESP a reply is +, -, : (a line), $ (a length and
 * that many bytes) or * (that many replies). */
#ifndef BENCH_WIRE_H
#define BENCH_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum wire_proto { WIRE_TEXT, WIRE_RESP, WIRE_PROTO_COUNT };
enum wire_op { WIRE_GET, WIRE_SET, WIRE_PING, WIRE_OP_COUNT };

#define WIRE_KEY_DIGITS 12
#define WIRE_KEY_SIZE (4 + WIRE_KEY_DIGITS) /* "key:" and the digits */
#define WIRE_NO_KEY SIZE_MAX

extern const char *const wire_proto_names[WIRE_PROTO_COUNT]; /* as options name them */
extern const char *const wire_op_names[WIRE_OP_COUNT];

/* Bytes of a request. */
size_t wire_request_size(enum wire_proto proto, enum wire_op op, size_t value_size);

/* Writes a request for key 0 into wire_request_size() bytes at dst. *key_at becomes the offset of the key's digits, or
 * WIRE_NO_KEY. */
void wire_request_write(enum wire_proto proto, enum wire_op op, const char *value, size_t value_size, char *dst,
                        size_t *key_at);

/* Writes n, below 10^12, as WIRE_KEY_DIGITS digits. */
void wire_key_patch(char *digits, uint64_t n);

enum reply_kind {
    REPLY_VALUE, /* a status, an integer, a value, an array: anything but the following */
    REPLY_NIL,   /* the key does not exist (text: an empty line) */
    REPLY_ERR,   /* an error; its line is in the reply */
    REPLY_BAD,   /* not a reply of this protocol: the stream cannot be trusted from here on */
};

struct reply {
    enum reply_kind kind;
    const char *line; /* first bytes of the reply's last line, valid until the next call */
    size_t line_len;  /* how many */
};

#define REPLY_HEAD 96 /* bytes kept of a line that arrives in pieces */

struct reply_parser {
    enum wire_proto proto;
    bool array;            /* RESP: inside an array */
    bool array_err;        /* one of its elements was an error */
    uint64_t elements;     /* RESP: elements that the array still lacks */
    uint64_t skip;         /* RESP: bytes of a value that are still to come */
    size_t line_len;       /* bytes of the unfinished line so far */
    char last;             /* the last of them */
    char head[REPLY_HEAD]; /* the first of them */
};

void reply_init(struct reply_parser *p, enum wire_proto proto);

/* Takes bytes from *at up to end. True: *r is one whole reply and *at stands behind it. False: all bytes are taken and
 * the reply is not complete. After REPLY_BAD the parser may not be used again. */
bool reply_next(struct reply_parser *p, const char **at, const char *end, struct reply *r);

#endif
