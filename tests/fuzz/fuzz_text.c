/* The text decoder: any bytes give the same requests, however they are cut, and nothing is read past their end. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "guard.h"
#include "proto.h"

#define LINE_MAX_BYTES 48
#define INPUT_MAX 4096

struct trace {
    char text[INPUT_MAX * 8];
    size_t len;
};

static void note(struct trace *t, enum decoded what, const struct raw_request *raw)
{
    /* Where over-long bytes are dropped in pieces depends on the cuts; that they are dropped shows at their end. */
    if (what == DECODED_SKIP || what == DECODED_MORE) {
        return;
    }
    int len = snprintf(t->text + t->len, sizeof(t->text) - t->len, "%d:%d%d%d:%zu:%zu:", (int)what, raw->has_tail,
                       raw->bad_cr, raw->too_long, raw->verb.len, raw->too_long ? 0 : raw->tail.len);
    t->len += (size_t)len;
    size_t kept = raw->verb.len < 16 ? raw->verb.len : 16;
    if (t->len + kept > sizeof(t->text)) {
        abort();
    }
    if (what == DECODED_REQUEST) {
        memcpy(t->text + t->len, raw->verb.data, kept);
        t->len += kept;
    }
}

/* Feeds the input in pieces of 1 to most bytes. Whatever was not consumed stands in front of the next piece. */
static void decode_all(const uint8_t *data, size_t size, size_t most, uint64_t seed, struct trace *t)
{
    static struct guard guard;
    struct decoder d = {0};
    char held[INPUT_MAX];
    size_t held_len = 0;
    t->len = 0;
    if (guard.base == NULL) {
        guard_init(&guard, INPUT_MAX);
    }
    for (size_t at = 0; at < size;) {
        size_t piece = 1 + fuzz_random(&seed, most);
        piece = piece < size - at ? piece : size - at;
        memcpy(held + held_len, data + at, piece);
        held_len += piece;
        at += piece;
        for (;;) {
            struct raw_request raw;
            struct slice bytes = guard_copy(&guard, slice_of(held, held_len));
            enum decoded what = proto_text.decode(&d, bytes, LINE_MAX_BYTES, &raw);
            note(t, what, &raw);
            if (what == DECODED_FOREIGN || what == DECODED_OTHER) {
                return;
            }
            if (what == DECODED_MORE) {
                break;
            }
            if (raw.consumed == 0 || raw.consumed > held_len) {
                abort();
            }
            held_len -= raw.consumed;
            memmove(held, held + raw.consumed, held_len);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct trace whole, cut;
    if (size > INPUT_MAX) {
        return 0;
    }
    uint64_t seed = fuzz_seed(data, size);
    decode_all(data, size, INPUT_MAX, seed, &whole);
    for (size_t most = 1; most <= 64; most *= 4) {
        decode_all(data, size, most, seed, &cut);
        if (cut.len != whole.len || memcmp(cut.text, whole.text, cut.len) != 0) {
            fprintf(stderr, "pieces of at most %zu:\n%.*s\nwhole:\n%.*s\n", most, (int)cut.len, cut.text, (int)whole.len,
                    whole.text);
            abort();
        }
    }
    return 0;
}
