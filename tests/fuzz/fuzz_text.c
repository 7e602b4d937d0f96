/* The text decoder: any bytes give the same requests, however they are cut, and nothing is read past their end. */
#include <stdio.h>

#include "fuzz.h"
#include "pieces.h"

static void note(struct trace *t, enum decoded what, const struct raw_request *raw)
{
    char head[128];
    int len = snprintf(head, sizeof(head), "%d:%d%d%d:%zu:%zu:", (int)what, raw->has_tail, raw->bad_cr, raw->too_long,
                       raw->verb.len, raw->too_long ? 0 : raw->tail.len);
    trace_add(t, slice_of(head, (size_t)len));
    if (what == DECODED_REQUEST) {
        trace_add(t, slice_of(raw->verb.data, (size_t)slice_shown(raw->verb, 16)));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    pieces_check(&proto_text, note, data, size);
    return 0;
}
