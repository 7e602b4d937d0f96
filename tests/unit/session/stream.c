#include "stream.h"

#include "mem.h"

struct guard stream_guard;
struct stream whole, cut;

void stream_set_up(void)
{
    guard_init(&stream_guard, STREAM_ROOM);
}

void stream_tear_down(void)
{
    mem_fail(0, false);
    guard_deinit(&stream_guard);
}

void stream_add(struct stream *s, struct slice text)
{
    cr_assert_leq(s->log_len + text.len + 1, sizeof(s->log));
    slice_copy(s->log + s->log_len, text);
    s->log_len += text.len;
    s->log[s->log_len] = '\0';
}

void stream_add_str(struct stream *s, const char *text)
{
    stream_add(s, slice_str(text));
}

void stream_begin(struct stream *s, struct slice bytes)
{
    memset(s, 0, sizeof(*s));
    s->bytes = bytes;
}

void stream_arrive(struct stream *s, size_t upto)
{
    s->came = upto;
    while (!s->ended) {
        struct raw_request raw;
        struct slice bytes = guard_copy(&stream_guard, slice_of(s->bytes.data + s->at, s->came - s->at));
        enum decoded what = stream_kind.proto->decode(&s->decoder, bytes, LINE_MAX_TEST, &raw);
        if (what == DECODED_MORE) {
            return;
        }
        if (what != DECODED_SKIP) {
            stream_kind.note(s, what, &raw);
        }
        s->ended = what == DECODED_BROKEN || what == DECODED_FOREIGN || what == DECODED_OTHER;
        if (s->ended) {
            return;
        }
        cr_assert(raw.consumed > 0 && raw.consumed <= bytes.len, "%zu bytes consumed of %zu", raw.consumed, bytes.len);
        s->at += raw.consumed;
        s->blanks += what == DECODED_BLANK;
    }
}

void stream_check(struct slice bytes, const char *wanted)
{
    stream_begin(&whole, bytes);
    stream_arrive(&whole, bytes.len);
    cr_assert_str_eq(whole.log, wanted, "whole: got\n%swanted\n%s", whole.log, wanted);
    for (size_t first = 0; first <= bytes.len; first++) {
        for (size_t second = first; second <= bytes.len; second += 1 + bytes.len / 40) {
            stream_begin(&cut, bytes);
            stream_arrive(&cut, first);
            stream_arrive(&cut, second);
            stream_arrive(&cut, bytes.len);
            cr_assert_str_eq(cut.log, wanted, "cut at %zu and %zu: got\n%swanted\n%s", first, second, cut.log, wanted);
            cr_assert(cut.ended || cut.blanks == whole.blanks);
        }
    }
    stream_begin(&cut, bytes);
    for (size_t i = 1; i <= bytes.len; i++) {
        stream_arrive(&cut, i);
    }
    cr_assert_str_eq(cut.log, wanted, "byte by byte: got\n%swanted\n%s", cut.log, wanted);
}
