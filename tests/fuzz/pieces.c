#include "pieces.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "guard.h"

void trace_add(struct trace *t, struct slice bytes)
{
    if (t->len + bytes.len > sizeof(t->text)) {
        abort();
    }
    slice_copy(t->text + t->len, bytes);
    t->len += bytes.len;
}

static bool ends_stream(enum decoded what)
{
    return what == DECODED_BROKEN || what == DECODED_FOREIGN || what == DECODED_OTHER;
}

/* Feeds the input in pieces of 1 to most bytes. Whatever was not consumed stands in front of the next piece. */
static void decode_all(const struct proto *proto, trace_fn *note, struct slice input, size_t most, uint64_t seed, struct trace *t)
{
    static struct guard guard;
    struct decoder d = {0};
    char held[PIECES_INPUT_MAX];
    size_t held_len = 0;
    t->len = 0;
    if (guard.base == NULL) {
        guard_init(&guard, PIECES_INPUT_MAX);
    }
    for (size_t at = 0; at < input.len;) {
        size_t piece = 1 + fuzz_random(&seed, most);
        piece = piece < input.len - at ? piece : input.len - at;
        memcpy(held + held_len, input.data + at, piece);
        held_len += piece;
        at += piece;
        for (;;) {
            struct raw_request raw;
            struct slice bytes = guard_copy(&guard, slice_of(held, held_len));
            enum decoded what = proto->decode(&d, bytes, PIECES_LINE_MAX, &raw);
            if (what == DECODED_MORE) {
                break;
            }
            if (what != DECODED_SKIP) {
                note(t, what, &raw);
            }
            if (ends_stream(what)) {
                return;
            }
            if (raw.consumed == 0 || raw.consumed > held_len) {
                abort();
            }
            held_len -= raw.consumed;
            memmove(held, held + raw.consumed, held_len);
        }
    }
}

void pieces_check(const struct proto *proto, trace_fn *note, const uint8_t *data, size_t size)
{
    static struct trace whole, cut;
    struct slice input = slice_of((const char *)data, size);
    if (size > PIECES_INPUT_MAX) {
        return;
    }
    uint64_t seed = fuzz_seed(data, size);
    decode_all(proto, note, input, PIECES_INPUT_MAX, seed, &whole);
    for (size_t most = 1; most <= 64; most *= 4) {
        decode_all(proto, note, input, most, seed, &cut);
        if (cut.len != whole.len || memcmp(cut.text, whole.text, cut.len) != 0) {
            fprintf(stderr, "pieces of at most %zu:\n%.*s\nwhole:\n%.*s\n", most, (int)cut.len, cut.text, (int)whole.len,
                    whole.text);
            abort();
        }
    }
}
