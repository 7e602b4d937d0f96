/* stream: bytes that arrive in pieces, each against an unreadable page, and what a decoder makes of them, as text. */
#ifndef TXKV_UNIT_STREAM_H
#define TXKV_UNIT_STREAM_H

#include "guard.h"
#include "proto.h"
#include "unit.h"

#define LINE_MAX_TEST ((size_t)40)

struct stream {
    struct decoder decoder;
    struct slice bytes;
    size_t at;   /* first byte not consumed */
    size_t came; /* bytes that have come */
    bool ended;  /* it cannot be trusted, or is for another decoder */
    size_t blanks;
    char log[16384];
    size_t log_len;
};

/* Which decoder, and how what it found is written down: one of a test program. It is told of all but MORE and SKIP. */
struct stream_kind {
    const struct proto *proto;
    void (*note)(struct stream *s, enum decoded what, const struct raw_request *raw);
};

extern const struct stream_kind stream_kind; /* the test's */
extern struct guard stream_guard;            /* of STREAM_ROOM bytes */
extern struct stream whole, cut;             /* of the last stream_check */

#define STREAM_ROOM 70000

/* Of each test that decodes. */
void stream_set_up(void);
void stream_tear_down(void);

/* Writes something down. */
void stream_add(struct stream *s, struct slice text);
void stream_add_str(struct stream *s, const char *text);

void stream_begin(struct stream *s, struct slice bytes);

/* All bytes up to this place have come. */
void stream_arrive(struct stream *s, size_t upto);

/* Decodes bytes whole, in two pieces at every place, in three, and byte by byte: always the same, as in `wanted`. */
void stream_check(struct slice bytes, const char *wanted);

#define CHECK(text, wanted) stream_check(S(text), wanted)

#endif
