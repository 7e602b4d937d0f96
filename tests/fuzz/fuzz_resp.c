/* The decoder of RESP: any bytes give the same requests with the same words, however they are cut, nothing is read past their
 * end, and a request that does not fit into memory costs none of what stands behind it. */
#include <stdio.h>

#include "fuzz.h"
#include "pieces.h"

#define WORDS_MAX 1024

static void note_words(struct trace *t, const struct raw_request *raw)
{
    static struct slice words[WORDS_MAX];
    static char unquoted[PROTO_INLINE_MAX];
    trace_add(t, raw->verb);
    size_t count = raw->too_long ? 0 : proto_resp2.split(raw, WORDS_MAX, false, words, unquoted);
    for (size_t i = 0; i < count && count <= WORDS_MAX; i++) {
        trace_add(t, slice_str("|"));
        trace_add(t, words[i]);
    }
    trace_add(t, slice_str("\n"));
}

static void note(struct trace *t, enum decoded what, const struct raw_request *raw)
{
    char head[64];
    int len =
        snprintf(head, sizeof(head), "%d:%d%d:%u:", (int)what, raw->multibulk, raw->too_long, (unsigned)raw->words);
    trace_add(t, slice_of(head, (size_t)len));
    if (what == DECODED_BROKEN) {
        trace_add(t, slice_str(raw->why));
    } else if (what == DECODED_REQUEST) {
        note_words(t, raw);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    pieces_check(&proto_resp2, note, data, size);
    return 0;
}
