/* RESP: the decoder, on inputs that end against an unreadable page, and the writers of replies. */
#include <stdio.h>
#include <stdlib.h>

#include "err.h"
#include "mem.h"
#include "stream.h"

#define REQUEST_MAX ((size_t)2 << 20) /* what the decoder allows any request */

TestSuite(decode, .init = stream_set_up, .fini = stream_tear_down);
TestSuite(lines, .init = stream_set_up, .fini = stream_tear_down);

static void note_request(struct stream *s, const struct raw_request *raw)
{
    static struct slice words[1024];
    static char unquoted[PROTO_INLINE_MAX];
    stream_add_str(s, raw->no_memory ? "(memory) " : raw->too_long ? "(long) " : "");
    stream_add(s, raw->verb);
    size_t count = raw->too_long ? 0 : proto_resp2.split(raw, 1024, false, words, unquoted);
    for (size_t i = 0; i < count; i++) {
        stream_add_str(s, "|");
        stream_add(s, words[i]);
    }
    stream_add_str(s, "\n");
}

static void note_broken(struct stream *s, const struct raw_request *raw)
{
    struct buf out;
    buf_init(&out);
    cr_assert_eq(proto_resp2.refusal(&out, raw), 0);
    stream_add_str(s, "(broken) ");
    stream_add(s, slice_of(buf_head(&out), buf_len(&out) - 2));
    stream_add_str(s, "\n");
    buf_deinit(&out);
}

/* A line for each request, its words between bars, such as
 *      SET|key|value
 *      (long) SET         over the limit; (memory) where there was no memory for it
 *      (blank)            bytes that mean nothing
 *      (broken) text      the stream cannot be trusted */
static void note(struct stream *s, enum decoded what, const struct raw_request *raw)
{
    if (what == DECODED_REQUEST) {
        note_request(s, raw);
    } else if (what == DECODED_BROKEN) {
        note_broken(s, raw);
    } else {
        cr_assert_eq(what, DECODED_BLANK);
        stream_add_str(s, "(blank)\n");
    }
}

const struct stream_kind stream_kind = {&proto_resp2, note};

#define PING "*1\r\n$4\r\nPING\r\n"
#define ERROR "(broken) -ERR Protocol error: "

/* --- decode: counted words --- */

Test(decode, words_are_counted)
{
    CHECK("", "");
    CHECK(PING, "PING\n");
    CHECK("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$5\r\nvalue\r\n" PING, "SET|k|value\nPING\n");
    CHECK("*2\r\n$4\r\nECHO\r\n$0\r\n\r\n" PING, "ECHO|\nPING\n");
    CHECK("*1\r\n$0\r\n\r\n", "\n");
    CHECK("*3\r\n$3\r\nSET\r\n$12\r\na\r\n$1\r\nb\r\n*1\r\n$4\r\nv \nw\r\n", "SET|a\r\n$1\r\nb\r\n*1|v \nw\n");
}

Test(decode, an_unfinished_request_is_none)
{
    CHECK("*", "");
    CHECK("*1\r", "");
    CHECK("*1\r\n$", "");
    CHECK("*1\r\n$4\r\nPING", "");
    CHECK("*1\r\n$4\r\nPING\r", "");
    CHECK(PING "*2\r\n$4\r\nECHO\r\n$100\r\nabc", "PING\n");
}

Test(decode, no_words_mean_nothing)
{
    CHECK("*0\r\n" PING, "(blank)\nPING\n");
    CHECK("*-1\r\n*-10\r\n" PING, "(blank)\n(blank)\nPING\n");
}

Test(decode, a_count_has_one_form)
{
    CHECK("*x\r\n", ERROR "invalid multibulk length\n");
    CHECK("*\r\n", ERROR "invalid multibulk length\n");
    CHECK("*+1\r\n", ERROR "invalid multibulk length\n");
    CHECK("*01\r\n", ERROR "invalid multibulk length\n");
    CHECK("*-0\r\n", ERROR "invalid multibulk length\n");
    CHECK("*-\r\n", ERROR "invalid multibulk length\n");
    CHECK("*1 \r\n", ERROR "invalid multibulk length\n");
    CHECK("*1\rx", ERROR "invalid multibulk length\n");
    CHECK("*2147483648\r\n", ERROR "invalid multibulk length\n");
    CHECK("*99999999999999999999999999999999999999", ERROR "invalid multibulk length\n");
    CHECK(PING "*x\r\n" PING, "PING\n" ERROR "invalid multibulk length\n");
}

Test(decode, a_length_has_one_form)
{
    CHECK("*1\r\n$-5\r\n", ERROR "invalid bulk length\n");
    CHECK("*1\r\n$+5\r\n", ERROR "invalid bulk length\n");
    CHECK("*1\r\n$05\r\n", ERROR "invalid bulk length\n");
    CHECK("*1\r\n$\r\n", ERROR "invalid bulk length\n");
    CHECK("*1\r\n$4x\r\n", ERROR "invalid bulk length\n");
    CHECK("*1\r\n$536870913\r\n", ERROR "invalid bulk length\n");
    CHECK("*1\r\n$9223372036854775807\r\n", ERROR "invalid bulk length\n");
    CHECK("*2\r\n$3\r\nGET\r\n$-1\r\n", ERROR "invalid bulk length\n");
}

Test(decode, every_word_has_its_length_and_its_end)
{
    CHECK("*1\r\nPING\r\n", ERROR "expected '$', got 'P'\n");
    CHECK("*2\r\n$3\r\nGET\r\n:1\r\n", ERROR "expected '$', got ':'\n");
    CHECK("*1\r\n\r\n", ERROR "expected '$', got ' '\n");
    CHECK("*1\r\n$4\r\nPINGx\r\n", ERROR "expected CRLF behind a bulk, got 'x'\n");
    CHECK("*1\r\n$4\r\nPING\rx", ERROR "expected CRLF behind a bulk, got ' '\n");
}

Test(decode, consumes_exactly_its_request_and_points_into_it)
{
    struct decoder d = {0};
    struct raw_request raw;
    struct slice words[2];
    struct slice bytes = guard_copy(&stream_guard, S("*2\r\n$3\r\nGET\r\n$3\r\nkey\r\n*1\r\n$4\r\nPI"));
    cr_assert_eq(proto_resp2.decode(&d, bytes, LINE_MAX_TEST, &raw), DECODED_REQUEST);
    cr_assert_eq(raw.consumed, 22u);
    cr_assert_eq(raw.verb.data, bytes.data + 8);
    cr_assert_eq(proto_resp2.split(&raw, 2, false, words, NULL), 1u);
    cr_assert_eq(words[0].data, bytes.data + 17);
    cr_assert_eq(proto_resp2.split(&raw, 0, false, words, NULL), 1u, "one more than asked for");
}

/* The bytes of a word are not looked at again and again while the rest of it is on its way. */
Test(decode, waits_for_a_word_by_its_length)
{
    struct decoder d = {0};
    struct raw_request raw;
    struct slice bytes = guard_copy(&stream_guard, S("*2\r\n$3\r\nGET\r\n$30000\r\nkey"));
    cr_assert_eq(proto_resp2.decode(&d, bytes, LINE_MAX_TEST, &raw), DECODED_MORE);
    cr_assert_eq(d.scanned, 13u);
    cr_assert_eq(d.need, 13u + 8u + 30002u);
    /* bytes that it has read may be anything now: it does not look */
    bytes = guard_copy(&stream_guard, S("*???????????????????????????????"));
    cr_assert_eq(proto_resp2.decode(&d, bytes, LINE_MAX_TEST, &raw), DECODED_MORE);
}

/* --- decode: over the limits --- */

static size_t put(char *to, const char *text)
{
    memcpy(to, text, strlen(text));
    return strlen(text);
}

Test(decode, too_many_words_are_dropped_and_answered_once)
{
    static char text[16000];
    for (int words = 1025; words <= 1026; words++) {
        size_t len = (size_t)sprintf(text, "*%d\r\n$3\r\nDEL\r\n", words);
        for (int i = 1; i < words; i++) {
            len += put(text + len, "$1\r\nk\r\n");
        }
        len += put(text + len, PING);
        for (size_t step = 1; step < 20000; step *= 7) {
            stream_begin(&cut, slice_of(text, len));
            for (size_t i = step; i < len; i += step) {
                stream_arrive(&cut, i);
            }
            stream_arrive(&cut, len);
            if (words == 1026) {
                cr_assert_str_eq(cut.log, "(long) DEL\nPING\n", "in steps of %zu: %s", step, cut.log);
            } else {
                cr_assert_eq(cut.log_len, 3u + 2 * 1024 + 6);
            }
        }
    }
}

/* Declares a long word, and sends it in pieces: what is dropped, and held meanwhile. */
static void check_long(const char *head, size_t word, const char *wanted)
{
    static char piece[60000];
    struct decoder d = {0};
    struct raw_request raw;
    struct slice first = guard_copy(&stream_guard, slice_str(head));
    memset(piece, 'x', sizeof(piece));
    cr_assert_eq(proto_resp2.decode(&d, first, LINE_MAX_TEST, &raw), DECODED_SKIP, "%s", head);
    cr_assert_eq(raw.consumed, first.len, "nothing is kept of it");
    for (size_t left = word; left > 0;) {
        size_t size = left < sizeof(piece) ? left : sizeof(piece);
        cr_assert_eq(proto_resp2.decode(&d, slice_of(piece, size), LINE_MAX_TEST, &raw), DECODED_SKIP);
        cr_assert_eq(raw.consumed, size);
        left -= size;
    }
    stream_begin(&whole, S("\r\n" PING));
    whole.decoder = d;
    stream_arrive(&whole, whole.bytes.len);
    cr_assert_str_eq(whole.log, wanted);
}

Test(decode, too_long_words_are_dropped_and_answered_once)
{
    check_long("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$2097200\r\n", 2097200, "(long) SET\nPING\n");
    check_long("*1\r\n$2097200\r\n", 2097200, "(long) \nPING\n");
    check_long("*2\r\n$30\r\nSETSETSETSETSETSETSETSETSETSET\r\n$536870912\r\n", 536870912,
               "(long) SETSETSETSETSETS\nPING\n");
}

Test(decode, a_request_may_have_2_mib_or_what_the_longest_line_needs)
{
    struct raw_request raw;
    struct slice bytes = S("*2\r\n$4\r\nECHO\r\n$2097100\r\n");
    struct decoder d = {0};
    cr_assert_eq(proto_resp2.decode(&d, bytes, LINE_MAX_TEST, &raw), DECODED_MORE);
    d = (struct decoder){0};
    bytes = S("*2\r\n$4\r\nECHO\r\n$4000000\r\n");
    cr_assert_eq(proto_resp2.decode(&d, bytes, 4000000, &raw), DECODED_MORE);
    d = (struct decoder){0};
    cr_assert_eq(proto_resp2.decode(&d, bytes, LINE_MAX_TEST, &raw), DECODED_SKIP);
}

Test(decode, what_is_dropped_must_be_words_too)
{
    check_long("*3\r\n$3\r\nSET\r\n$2097200\r\n", 2097200, "(broken) -ERR Protocol error: expected '$', got '*'\n");
}

Test(decode, billions_of_words_cost_nothing)
{
    stream_begin(&whole, S("*1000000000\r\n$4\r\nPING\r\n$4\r\nPING\r\n$4\r\nPI"));
    stream_arrive(&whole, whole.bytes.len);
    cr_assert_str_eq(whole.log, "");
    cr_assert_eq(whole.at, whole.bytes.len);
}

Test(decode, without_memory_the_rest_is_dropped)
{
    stream_begin(&whole, S("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$30\r\n012345678901234567890123456789\r\n" PING));
    for (size_t at = 0; at < 57; at++) {
        stream_begin(&cut, whole.bytes);
        stream_arrive(&cut, at);
        size_t dropped = proto_resp2.give_up(&cut.decoder, guard_copy(&stream_guard, slice_of(cut.bytes.data, at)));
        cr_assert_leq(dropped, at);
        cut.at = dropped;
        stream_arrive(&cut, cut.bytes.len);
        cr_assert_str_eq(cut.log,
                         dropped == 0 ? "SET|k|012345678901234567890123456789\nPING\n"
                         : at < 13    ? "(memory) \nPING\n"
                                      : "(memory) SET\nPING\n",
                         "at %zu, %zu dropped: %s", at, dropped, cut.log);
        cr_assert_eq(dropped == 0, at < 4);
    }
}

/* --- lines on a connection of RESP --- */

Test(lines, words_stand_between_spaces)
{
    CHECK("PING\r\n", "PING\n");
    CHECK("PING\n" PING "PING\r\n", "PING\nPING\nPING\n");
    CHECK("  SET\t k   v  \r\n", "SET|k|v\n");
    CHECK("\r\n\n  \r\nPING\r\n", "(blank)\n(blank)\n(blank)\nPING\n");
    CHECK("PING", "");
    CHECK("GET key\r", "");
}

Test(lines, quotes_as_redis_has_them)
{
    CHECK("SET k \"a b\"\r\n", "SET|k|a b\n");
    CHECK("SET k ''\r\nPING\r\n", "SET|k|\nPING\n");
    CHECK("SET \"k\\x41\\n\\r\\t\\b\\a\\\"\\q\" 'v\\'\\n\"'\r\n", "SET|kA\n\r\t\b\a\"q|v'\\n\"\n");
    CHECK("SET k a\"b c\"\r\n", "SET|k|ab c\n");
    CHECK("\"SET\" k \"\\xzz\"\r\n", "SET|k|xzz\n");
    CHECK("'GET' k\r\n", "GET|k\n");
}

Test(lines, unbalanced_quotes)
{
    CHECK("SET k \"a\r\n", ERROR "unbalanced quotes in request\n");
    CHECK("SET k 'a\r\n", ERROR "unbalanced quotes in request\n");
    CHECK("SET k \"a\"b\r\n", ERROR "unbalanced quotes in request\n");
    CHECK("SET k 'a'b\r\n", ERROR "unbalanced quotes in request\n");
    CHECK("SET k \"a\\\"\r\n", ERROR "unbalanced quotes in request\n");
    CHECK("\"\r\n", ERROR "unbalanced quotes in request\n");
}

Test(lines, at_most_64_kib)
{
    static char text[PROTO_INLINE_MAX + 10];
    memset(text, 'x', sizeof(text));
    stream_begin(&cut, slice_of(text, PROTO_INLINE_MAX));
    stream_arrive(&cut, PROTO_INLINE_MAX);
    cr_assert_str_eq(cut.log, "");
    stream_begin(&cut, slice_of(text, PROTO_INLINE_MAX + 1));
    stream_arrive(&cut, PROTO_INLINE_MAX + 1);
    cr_assert_str_eq(cut.log, ERROR "too big inline request\n");
}

/* --- replies --- */

struct reply_case {
    const char *wanted2;
    const char *wanted3;
    int (*write)(const struct proto *p, struct buf *out);
};

#define WRITES(name, call)                                                                                             \
    static int name(const struct proto *p, struct buf *out)                                                            \
    {                                                                                                                  \
        return p->call;                                                                                                \
    }
WRITES(ok, ok(out))
WRITES(pong, pong(out))
WRITES(value, value(out, S("a\r\nb")))
WRITES(empty, value(out, S("")))
WRITES(absent, absent(out))
WRITES(zero, integer(out, 0))
WRITES(most, integer(out, INT64_MAX))
WRITES(least, integer(out, INT64_MIN))
WRITES(array, array(out, 12))
WRITES(no_array, no_array(out))
WRITES(map, map(out, 7))
WRITES(set, set(out, 3))
WRITES(report, report(out, S("one\r\ntwo")))
WRITES(queued, queued(out))
WRITES(status, status(out, "string"))
WRITES(conflict, error(out, ERR_CONFLICT, "why"))
WRITES(notint, error(out, ERR_NOTINT, "why"))
WRITES(syntax, error(out, ERR_SYNTAX, "what\r\nis wrong"))
WRITES(complaint, complaint(out, "NOPROTO unsupported protocol version"))

static const struct reply_case replies[] = {
    {"+OK\r\n", "+OK\r\n", ok},
    {"+PONG\r\n", "+PONG\r\n", pong},
    {"$4\r\na\r\nb\r\n", "$4\r\na\r\nb\r\n", value},
    {"$0\r\n\r\n", "$0\r\n\r\n", empty},
    {"$-1\r\n", "_\r\n", absent},
    {":0\r\n", ":0\r\n", zero},
    {":9223372036854775807\r\n", ":9223372036854775807\r\n", most},
    {":-9223372036854775808\r\n", ":-9223372036854775808\r\n", least},
    {"*12\r\n", "*12\r\n", array},
    {"*-1\r\n", "_\r\n", no_array},
    {"*14\r\n", "%7\r\n", map},
    {"*3\r\n", "~3\r\n", set},
    {"$8\r\none\r\ntwo\r\n", "=12\r\ntxt:one\r\ntwo\r\n", report},
    {"+QUEUED\r\n", "+QUEUED\r\n", queued},
    {"+string\r\n", "+string\r\n", status},
    {"-CONFLICT why\r\n", "-CONFLICT why\r\n", conflict},
    {"-ERR value is not an integer or out of range\r\n", "-ERR value is not an integer or out of range\r\n", notint},
    {"-ERR what  is wrong\r\n", "-ERR what  is wrong\r\n", syntax},
    {"-NOPROTO unsupported protocol version\r\n", "-NOPROTO unsupported protocol version\r\n", complaint},
};

Test(replies, in_both_versions)
{
    for (size_t i = 0; i < sizeof(replies) / sizeof(replies[0]); i++) {
        for (int version = 2; version <= 3; version++) {
            const char *wanted = version == 2 ? replies[i].wanted2 : replies[i].wanted3;
            struct buf out;
            buf_init(&out);
            cr_assert_eq(replies[i].write(version == 2 ? &proto_resp2 : &proto_resp3, &out), 0);
            cr_assert(slice_equal(slice_of(buf_head(&out), buf_len(&out)), slice_str(wanted)), "%.*s",
                      (int)buf_len(&out), buf_head(&out));
            buf_deinit(&out);
        }
    }
}

Test(replies, without_memory_nothing_is_written)
{
    for (size_t i = 0; i < sizeof(replies) / sizeof(replies[0]); i++) {
        struct buf out;
        buf_init(&out);
        mem_fail(1, true);
        cr_assert_eq(replies[i].write(&proto_resp3, &out), -1, "%zu", i);
        mem_fail(0, false);
        cr_assert_eq(buf_len(&out), 0u);
        buf_deinit(&out);
    }
}
