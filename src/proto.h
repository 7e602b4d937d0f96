/* proto: what a protocol is to the rest of the server: a decoder that cuts the stream into requests, and writers of
 * replies. A command's function does not know which protocol it answers.
 *
 * The decoder never allocates, never copies, resumes anywhere in the stream, and answers one of enum decoded. Slices in a
 * request point into the connection's input buffer and are borrowed until the request has run. */
#ifndef TXKV_PROTO_H
#define TXKV_PROTO_H

#include <stdint.h>

#include "buf.h"

enum decoded {
    DECODED_REQUEST, /* one request; `consumed` bytes belong to it */
    DECODED_BLANK,   /* an empty line: `consumed` bytes that mean nothing */
    DECODED_MORE,    /* needs more bytes */
    DECODED_SKIP,    /* over-long: `consumed` bytes are to be dropped, the decoder remembers that it skips */
    DECODED_FOREIGN, /* another protocol's bytes; the stream cannot be trusted */
};

/* One request as the stream holds it. */
struct raw_request {
    struct slice verb;
    struct slice tail; /* what follows the verb and its space */
    bool has_tail;     /* there was a space after the verb */
    bool bad_cr;       /* a CR stands inside the line */
    bool too_long;     /* the line was over the limit; verb is what was remembered of it */
    bool no_memory;    /* too_long, for lack of memory to hold it */
    size_t consumed;   /* bytes of the stream that it takes, its end included */
};

/* A decoder's place in the stream; zero at the start of a connection. */
struct decoder {
    size_t scanned;    /* bytes from the decode position known to hold no line end */
    bool skipping;     /* inside an over-long line */
    bool no_memory;    /* the line is skipped because no memory was left for it */
    bool began;        /* a line has been decoded */
    char verb[16];     /* first bytes of the over-long line */
    size_t verb_len;
};

struct proto {
    /* Decodes the first request of bytes; line_max is the longest line allowed, without its end. */
    enum decoded (*decode)(struct decoder *d, struct slice bytes, size_t line_max, struct raw_request *out);
    /* There is no memory to hold more of the request that `bytes` begin: skips it, so that they may be dropped. */
    void (*give_up)(struct decoder *d, struct slice bytes);
    /* Writers; -1 without memory, nothing appended then. */
    int (*ok)(struct buf *out);
    int (*pong)(struct buf *out);
    int (*value)(struct buf *out, struct slice value);
    int (*absent)(struct buf *out);
    int (*integer)(struct buf *out, int64_t number);
    int (*line)(struct buf *out, struct slice text);
    int (*error)(struct buf *out, int err, const char *text);
};

extern const struct proto proto_text;

/* Splits a text line's tail into words that end at single spaces; with rest, the last of max words takes all that is
 * left, spaces included. Returns the number of words, or max + 1 where there are more. */
size_t proto_text_split(struct slice tail, size_t max, bool rest, struct slice *words);

#endif
