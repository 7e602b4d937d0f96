/* pieces: a decoder gets an input whole and in pieces, each against an unreadable page. What it makes of it is the same, and nothing
 * is read past its end; else the process is ended. */
#ifndef TXKV_FUZZ_PIECES_H
#define TXKV_FUZZ_PIECES_H

#include "proto.h"

#define PIECES_INPUT_MAX 4096 /* longer inputs are not looked at */
#define PIECES_LINE_MAX 48    /* the longest line that the decoder allows */

struct trace {
    char text[PIECES_INPUT_MAX * 16];
    size_t len;
};

void trace_add(struct trace *t, struct slice bytes);

/* Writes down one thing decoded, but for SKIP and MORE: where over-long bytes are dropped in pieces depends on the cuts; that they
 * are dropped shows at their end. */
typedef void trace_fn(struct trace *t, enum decoded what, const struct raw_request *raw);

void pieces_check(const struct proto *proto, trace_fn *note, const uint8_t *data, size_t size);

#endif
