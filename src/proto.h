/* proto: what a protocol is to the rest of the server: a decoder that cuts the stream into requests, and writers of
 * replies. A command's function does not know which protocol it answers.
 *
 * A connection begins with proto_text, whose decoder tells a connection of RESP by its first byte; RESP has two sets of
 * writers, for its versions 2 and 3, and one decoder.
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
    DECODED_BROKEN,  /* not what the protocol allows, `why` says what; the stream cannot be trusted */
    DECODED_OTHER,   /* the connection speaks `other`, whose decoder takes the same bytes */
};

/* The protocols, as bits. */
enum proto_kind { PROTO_TEXT = 1, PROTO_RESP = 2 };

#define PROTO_INLINE_MAX ((size_t)65536) /* bytes of a line on a connection of RESP, as Redis has it */

#define PROTO_GUEST_WORDS 10    /* of a request of a guest, its verb included */
#define PROTO_GUEST_BYTES 16384 /* of all of them; and of a line of the text protocol */

/* One request as the stream holds it. */
struct raw_request {
    struct slice verb;
    struct slice tail; /* what follows the verb and its space */
    bool has_tail;     /* there was a space after the verb */
    bool bad_cr;       /* a CR stands inside the line */
    bool clean;        /* text: the line has no control byte, and `spaces` is right */
    bool too_long;     /* the line was over the limit; verb is what was remembered of it */
    bool no_memory;    /* too_long, for lack of memory to hold it */
    bool quoted;       /* RESP: a line with quotes, whose words may need a place of their own */
    bool multibulk;    /* RESP: counted words, not a line */
    char got;          /* BROKEN: the byte that `why` speaks of */
    uint32_t words;    /* RESP: how many follow the verb */
    uint64_t spaces;   /* clean: where they are in the line, a bit for each byte */
    size_t consumed;   /* bytes of the stream that it takes, its end included */
    union {
        const char *why;           /* BROKEN: constant; "%c" in it stands for `got` */
        const struct proto *other; /* OTHER */
    };
};

/* A decoder's place in the stream; zero at the start of a connection. */
struct decoder {
    size_t scanned;    /* bytes from the decode position known to hold no line end */
    size_t no_cr;      /* of those, bytes before the first CR */
    bool skipping;     /* inside an over-long line */
    bool no_memory;    /* the line is skipped because no memory was left for it */
    bool began;        /* a line has been decoded */
    bool guest;        /* whoever sends this has still to say the password: little is taken */
    char verb[16];     /* first bytes of the over-long line, or of the verb of an over-long request */
    size_t verb_len;
    /* RESP; all but the last mean something only while scanned is above 0 (bytes that hold whole words) or it skips. */
    uint32_t words;    /* of the request */
    uint32_t left;     /* of them, those whose length was not read yet, or not wholly come */
    size_t need;       /* bytes from the decode position without which nothing more can be decoded */
    size_t verb_at;    /* where the verb stands */
    size_t verb_size;
    size_t drop;       /* while skipping: bytes left of the word being dropped */
};

/* What the beginning of a request tells of its rest. */
struct announced {
    size_t size; /* of all of it, bytes, as far as is known */
    size_t head; /* bytes of it before its second argument, without its first one */
};

struct proto {
    enum proto_kind kind;
    const char *error_sign; /* what stands before the code of an error's line */
    /* Decodes the first request of bytes; line_max is the longest line allowed, without its end. */
    enum decoded (*decode)(struct decoder *d, struct slice bytes, size_t line_max, struct raw_request *out);
    /* Whether bytes, the beginning of a request, announce a second argument that has not come whole; NULL where they never do. */
    bool (*announced)(const struct decoder *d, struct slice bytes, struct announced *a);
    /* There is no memory to hold more of the request that `bytes` begin: skips it. Returns how many of them may be dropped. */
    size_t (*give_up)(struct decoder *d, struct slice bytes);
    /* Finds the words behind the verb; with rest, the last of max words is all that is left of a line, spaces included.
     * unquoted: PROTO_INLINE_MAX bytes for what cannot point into the stream. Returns how many, or max + 1 where there are
     * more. */
    size_t (*split)(const struct raw_request *raw, size_t max, bool rest, struct slice *words, char *unquoted);
    /* Whether the protocol can carry a value at all; NULL where it carries any. */
    bool (*carries)(struct slice value);

    /* Writers; -1 without memory, nothing appended then. */
    int (*refusal)(struct buf *out, const struct raw_request *raw); /* of a stream that cannot be trusted */
    int (*ok)(struct buf *out);
    int (*pong)(struct buf *out);
    int (*queued)(struct buf *out); /* of a request that waits for EXEC; NULL without MULTI */
    int (*value)(struct buf *out, struct slice value);
    int (*lend)(struct buf *out, struct slice value); /* the same, of a value that stays where it lies: buf_lend */
    int (*absent)(struct buf *out);
    int (*integer)(struct buf *out, int64_t number);
    int (*line)(struct buf *out, struct slice text);
    int (*error)(struct buf *out, int err, const char *text);
    int (*complaint)(struct buf *out, const char *text); /* an error that begins with a code of its own */
    int (*status)(struct buf *out, const char *text);    /* a word that is no data */
    int (*report)(struct buf *out, struct slice text);   /* lines for people */
    int (*array)(struct buf *out, size_t count);         /* what comes before so many replies */
    int (*list)(struct buf *out, size_t count);          /* the same, where the client cannot know how many */
    int (*no_array)(struct buf *out);
    int (*map)(struct buf *out, size_t pairs);
    int (*set)(struct buf *out, size_t count);
};

extern const struct proto proto_text;
extern const struct proto proto_resp2;
extern const struct proto proto_resp3;

/* The words behind the verb of a clean line, as proto's split says; with rest, max is above 0. */
static inline size_t proto_split_clean(const struct raw_request *raw, size_t max, bool rest, struct slice *words)
{
    struct slice left = raw->tail;
    const size_t ended = rest ? max - 1 : max; /* words that end at a space, at most */
    size_t count = 0;
    if (!raw->has_tail) {
        return 0;
    }
    for (uint64_t spaces = raw->spaces & (raw->spaces - 1); spaces != 0 && count < ended; spaces &= spaces - 1) {
        const char *space = raw->verb.data + __builtin_ctzll(spaces); /* the first stands behind the verb */
        size_t len = (size_t)(space - left.data);
        words[count++] = slice_of(left.data, len);
        left = slice_of(space + 1, left.len - len - 1);
    }
    if (count == max) {
        return max + 1;
    }
    words[count] = left;
    return count + 1;
}

/* Splits a text line's tail into words that end at single spaces; with rest, the last of max words takes all that is
 * left, spaces included. Returns the number of words, or max + 1 where there are more. */
size_t proto_text_split(struct slice tail, size_t max, bool rest, struct slice *words);

#endif
