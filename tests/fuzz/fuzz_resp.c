/* The decoder of RESP: any bytes give the same requests with the same words, however they are cut, nothing is read past their
 * end, and a request that does not fit into memory costs none of what stands behind it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "guard.h"
#include "proto.h"

#define LINE_MAX_BYTES 48
#define INPUT_MAX 4096
#define WORDS_MAX 1024

struct trace {
    char text[INPUT_MAX * 16];
    size_t len;
};

static void add(struct trace *t, struct slice bytes)
{
    if (t->len + bytes.len > sizeof(t->text)) {
        abort();
    }
    if (bytes.len > 0) {
        memcpy(t->text + t->len, bytes.data, bytes.len);
    }
    t->len += bytes.len;
}

static void note(struct trace *t, enum decoded what, const struct raw_request *raw)
{
    static struct slice words[WORDS_MAX];
    static char unquoted[PROTO_INLINE_MAX];
    char head[64];
    /* Where over-long bytes are dropped in pieces depends on the cuts; that they are dropped shows at their end. */
    if (what == DECODED_SKIP || what == DECODED_MORE) {
        return;
    }
    int len =
        snprintf(head, sizeof(head), "%d:%d%d:%u:", (int)what, raw->multibulk, raw->too_long, (unsigned)raw->words);
    add(t, slice_of(head, (size_t)len));
    if (what == DECODED_BROKEN) {
        add(t, slice_str(raw->why));
        return;
    }
    if (what != DECODED_REQUEST) {
        return;
    }
    add(t, raw->verb);
    size_t count = raw->too_long ? 0 : proto_resp2.split(raw, WORDS_MAX, false, words, unquoted);
    for (size_t i = 0; i < count && count <= WORDS_MAX; i++) {
        add(t, slice_of("|", 1));
        add(t, words[i]);
    }
    add(t, slice_of("\n", 1));
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
            enum decoded what = proto_resp2.decode(&d, bytes, LINE_MAX_BYTES, &raw);
            note(t, what, &raw);
            if (what == DECODED_BROKEN) {
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
            fprintf(stderr, "pieces of at most %zu:\n%.*s\nwhole:\n%.*s\n", most, (int)cut.len, cut.text,
                    (int)whole.len, whole.text);
            abort();
        }
    }
    return 0;
}
