/* The text protocol: the decoder, on inputs that end against an unreadable page, and the writers of replies. */
#include <stdio.h>
#include <stdlib.h>

#include "err.h"
#include "mem.h"
#include "stream.h"

TestSuite(decode, .init = stream_set_up, .fini = stream_tear_down);
TestSuite(give_up, .init = stream_set_up, .fini = stream_tear_down);

static void note_request(struct stream *s, const struct raw_request *raw)
{
    stream_add_str(s, raw->no_memory ? "(memory) " : raw->too_long ? "(long) " : "");
    stream_add_str(s, raw->bad_cr && !raw->too_long ? "(cr) " : ""); /* of a long line only the start is known */
    stream_add(s, raw->verb);
    stream_add_str(s, raw->has_tail ? "|" : "");
    if (!raw->too_long) {
        stream_add(s, raw->tail);
    }
    stream_add_str(s, "\n");
}

/* A line for each request, such as
 *      SET|key value      a request with a tail
 *      PING               one without
 *      (long) SET|        over the limit; (memory) where there was no memory for it; (cr) with a CR inside
 *      (foreign)          another protocol's
 *      (resp)             RESP's, which is served */
static void note(struct stream *s, enum decoded what, const struct raw_request *raw)
{
    if (what == DECODED_REQUEST) {
        note_request(s, raw);
    } else if (what == DECODED_FOREIGN) {
        stream_add_str(s, "(foreign)\n");
    } else if (what == DECODED_OTHER) {
        cr_assert_eq(raw->other, &proto_resp2);
        stream_add_str(s, "(resp)\n");
    }
}

const struct stream_kind stream_kind = {&proto_text, note};

/* --- decode: lines --- */

Test(decode, nothing_comes_of_nothing)
{
    CHECK("", "");
}

Test(decode, a_line_without_its_end_is_no_request)
{
    CHECK("PING", "");
    CHECK("PING\r", "");
    CHECK("SET key value", "");
}

Test(decode, lines_end_with_crlf_or_a_bare_lf)
{
    CHECK("PING\r\nGET key\r\n", "PING\nGET|key\n");
    CHECK("PING\nGET key\n", "PING\nGET|key\n");
    CHECK("PING\r\nGET key\nPING\r\nDEL", "PING\nGET|key\nPING\n");
}

Test(decode, the_tail_is_what_follows_the_first_space)
{
    CHECK("SET key  two  spaces \r\n", "SET|key  two  spaces \n");
    CHECK("PING \r\n", "PING|\n");
    CHECK(" PING\r\n", "|PING\n");
    CHECK(" \r\n", "|\n");
    CHECK("  \n", "| \n");
}

Test(decode, empty_lines_are_blank)
{
    CHECK("\r\n\n\r\nPING\r\n\nPING\n\r\n", "PING\nPING\n");
    cr_assert_eq(whole.blanks, 5u);
    cr_assert_eq(whole.at, whole.bytes.len);
}

Test(decode, a_cr_inside_a_line_is_noted)
{
    CHECK("SET k a\rb\r\nPING\r\n", "(cr) SET|k a\rb\nPING\n");
    CHECK("PI\rNG\nPING\n", "(cr) PI\nPING\n");
    CHECK("PING\r\r\n", "(cr) PING\n");
    CHECK("\r\r\n", "(cr) \n");
    CHECK("\rPING\n", "(cr) \n");
}

Test(decode, bytes_of_any_value_stand_in_a_line)
{
    char bytes[64];
    for (int c = 0; c < 256; c++) {
        if (c == '\n' || c == '\r' || c == 0) {
            continue; /* NUL: below; the log of this test is text */
        }
        char wanted[64];
        snprintf(bytes, sizeof(bytes), "SET k a%cb\r\nPING\r\n", c);
        snprintf(wanted, sizeof(wanted), "SET|k a%cb\nPING\n", c);
        stream_begin(&whole, slice_str(bytes));
        stream_arrive(&whole, whole.bytes.len);
        cr_assert_str_eq(whole.log, wanted);
    }
    stream_begin(&whole, S("SET k a\0b\r\n"));
    stream_arrive(&whole, whole.bytes.len);
    cr_assert_eq(whole.log_len, 10u);
    cr_assert_arr_eq(whole.log, "SET|k a\0b\n", 10);
}

Test(decode, consumes_exactly_its_line)
{
    struct decoder d = {0};
    struct raw_request raw;
    cr_assert_eq(proto_text.decode(&d, guard_copy(&stream_guard, S("GET key\r\nPI")), LINE_MAX_TEST, &raw), DECODED_REQUEST);
    cr_assert_eq(raw.consumed, 9u);
    cr_assert_eq(proto_text.decode(&d, guard_copy(&stream_guard, S("PING\nPI")), LINE_MAX_TEST, &raw), DECODED_REQUEST);
    cr_assert_eq(raw.consumed, 5u);
    cr_assert_eq(proto_text.decode(&d, guard_copy(&stream_guard, S("\r\nPI")), LINE_MAX_TEST, &raw), DECODED_BLANK);
    cr_assert_eq(raw.consumed, 2u);
}

/* --- decode: over-long lines --- */

/* "SET k vvv" of len bytes. */
static size_t put_line(char *to, size_t len, const char *end)
{
    memset(to, 'v', len);
    memcpy(to, "SET k ", 6);
    memcpy(to + len, end, strlen(end));
    return len + strlen(end);
}

static void check_length(size_t len, const char *end)
{
    char bytes[2048];
    char wanted[1024];
    bool fits = len <= LINE_MAX_TEST;
    size_t size = put_line(bytes, len, end);
    memcpy(bytes + size, "PING\r\n", 6);
    if (fits) {
        snprintf(wanted, sizeof(wanted), "SET|k %.*s\nPING\n", (int)(len - 6), bytes + 6);
    } else {
        snprintf(wanted, sizeof(wanted), "(long) SET|\nPING\n");
    }
    stream_check(slice_of(bytes, size + 6), wanted);
    cr_assert_eq(whole.at, size + 6);
    cr_assert_eq(cut.at, size + 6);
}

Test(decode, a_line_at_the_limit_fits_and_one_byte_more_does_not)
{
    for (size_t len = LINE_MAX_TEST - 3; len <= LINE_MAX_TEST + 5; len++) {
        check_length(len, "\r\n");
        check_length(len, "\n");
    }
}

Test(decode, lines_far_over_the_limit_are_skipped)
{
    check_length(3 * LINE_MAX_TEST, "\r\n");
    check_length(5 * LINE_MAX_TEST + 1, "\n");
}

Test(decode, what_is_skipped_need_not_be_kept)
{
    stream_begin(&whole, slice_of("", 0));
    char bytes[200];
    put_line(bytes, 150, "");
    whole.bytes = slice_of(bytes, 150);
    for (size_t i = 1; i <= 150; i++) {
        stream_arrive(&whole, i);
        cr_assert_leq(whole.came - whole.at, LINE_MAX_TEST + 1);
    }
    cr_assert_str_empty(whole.log);
}

Test(decode, a_cr_inside_a_skipped_line_ends_nothing)
{
    CHECK("SET k vvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvv\rPING\rvvvvvvvvv\r\nPING\r\n", "(long) SET|\nPING\n");
}

Test(decode, several_long_lines_are_told_apart)
{
    CHECK("SET k vvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvv\r\nGET "
          "kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk\n\r\nPING\r\n",
          "(long) SET|\n(long) GET|\nPING\n");
}

Test(decode, a_long_line_without_its_end_is_no_request)
{
    CHECK("PING\nSET k vvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvv", "PING\n");
}

Test(decode, of_a_long_word_the_first_bytes_are_remembered)
{
    CHECK("abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz\r\nPING\r\n", "(long) abcdefghijklmnop\nPING\n");
}

/* --- decode: other protocols --- */

Test(decode, http_requests_are_foreign)
{
    static const char *const methods[] = {"GET",     "HEAD",  "POST",  "PUT",     "DELETE",
                                          "OPTIONS", "PATCH", "TRACE", "CONNECT", "PRI"};
    for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
        char bytes[100];
        snprintf(bytes, sizeof(bytes), "%s / HTTP/1.1\r\nHost: a\r\nSET k v\r\n", methods[i]);
        stream_check(slice_str(bytes), "(foreign)\n");
        snprintf(bytes, sizeof(bytes), "%s / HTTP/1.0\nSET k v\n", methods[i]);
        stream_check(slice_str(bytes), "(foreign)\n");
    }
    CHECK("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "(foreign)\n");
    CHECK("CONNECT a:443 HTTP/1.1\r\n\r\n", "(foreign)\n");
}

Test(decode, a_long_http_request_is_foreign_before_its_end)
{
    CHECK("GET /aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "(foreign)\n");
    CHECK("POST http://aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa HTTP/1.1\r\nSET k v\r\n", "(foreign)\n");
}

Test(decode, resp_is_told_by_its_first_byte)
{
    CHECK("*1\r\n$4\r\nPING\r\n", "(resp)\n");
    CHECK("*", "(resp)\n");
    CHECK("\r\n\n*1\r\n$4\r\nPING\r\n", "(resp)\n");
}

Test(decode, tls_and_ssh_are_foreign_at_once)
{
    CHECK("\x16\x03\x01\x02", "(foreign)\n");
    CHECK("SSH-2.0-OpenSSH\r\n", "(foreign)\n");
    CHECK("SSH-", "(foreign)\n");
}

Test(decode, blank_lines_before_a_foreign_start_change_nothing)
{
    CHECK("\r\n\x16\x03\x01", "(foreign)\n");
    CHECK("\nGET / HTTP/1.1\r\n", "(foreign)\n");
}

Test(decode, after_the_first_request_nothing_is_foreign)
{
    CHECK("PING\r\n*1\r\n", "PING\n*1\n");
    CHECK("PING\r\n\x16\x03\r\n", "PING\n\x16\x03\n");
    CHECK("PING\nSSH-2.0-a\n", "PING\nSSH-2.0-a\n");
    CHECK("PING\nGET / HTTP/1.1\n", "PING\nGET|/ HTTP/1.1\n");
    CHECK("PING\nGET /aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n", "PING\n(long) GET|\n");
}

Test(decode, what_only_resembles_another_protocol_is_a_request)
{
    CHECK("GET key\r\n", "GET|key\n");
    CHECK("GET /\r\n", "GET|/\n");
    CHECK("SET k HTTP/1.1\r\n", "SET|k HTTP/1.1\n");
    CHECK("GETS k HTTP/1.1\r\n", "GETS|k HTTP/1.1\n");
    CHECK("GET k HTTP/1.1x\r\n", "GET|k HTTP/1.1x\n");
    CHECK("SSH\r\n", "SSH\n");
    CHECK("SSH 2\r\n", "SSH|2\n");
    CHECK(" *\r\n", "|*\n");
}

/* --- give_up --- */

Test(give_up, the_request_begun_is_skipped_and_says_why)
{
    struct slice bytes = S("SET key value that is so long\r\nPING\r\n");
    for (size_t at = 4; at < 29; at++) {
        for (size_t next = at; next <= bytes.len; next++) {
            stream_begin(&cut, bytes);
            stream_arrive(&cut, at);
            proto_text.give_up(&cut.decoder, guard_copy(&stream_guard, slice_of(bytes.data, at)));
            cut.at = at;
            stream_arrive(&cut, next);
            stream_arrive(&cut, bytes.len);
            cr_assert_str_eq(cut.log, "(memory) SET|\nPING\n", "given up at %zu, then %zu: %s", at, next, cut.log);
            cr_assert_eq(cut.at, bytes.len);
        }
    }
}

Test(give_up, counts_for_one_line_only)
{
    struct slice bytes = S("SET key value\r\nSET k vvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvv\r\nPING\r\n");
    stream_begin(&cut, bytes);
    stream_arrive(&cut, 8);
    proto_text.give_up(&cut.decoder, guard_copy(&stream_guard, slice_of(bytes.data, 8)));
    cut.at = 8;
    stream_arrive(&cut, bytes.len);
    cr_assert_str_eq(cut.log, "(memory) SET|\n(long) SET|\nPING\n");
}

Test(give_up, before_its_cr_the_line_still_ends_with_lf)
{
    struct slice bytes = S("SET k v\r\nPING\r\n");
    stream_begin(&cut, bytes);
    stream_arrive(&cut, 8); /* the CR has come */
    proto_text.give_up(&cut.decoder, guard_copy(&stream_guard, slice_of(bytes.data, 8)));
    cut.at = 8;
    stream_arrive(&cut, bytes.len);
    cr_assert_str_eq(cut.log, "(memory) SET|\nPING\n");
}

/* --- proto_text_split --- */

/* The words of a tail, each in brackets. */
static const char *split(const char *tail, size_t max, bool rest)
{
    static char shown[256];
    struct slice words[8];
    size_t count = proto_text_split(guard_copy(&stream_guard, slice_str(tail)), max, rest, words);
    size_t len = 0;
    shown[0] = '\0';
    for (size_t i = 0; i < count && i < max; i++) {
        len += (size_t)snprintf(shown + len, sizeof(shown) - len, "[%.*s]", (int)words[i].len, words[i].data);
    }
    snprintf(shown + len, sizeof(shown) - len, count > max ? "..." : "");
    cr_assert_leq(count, max + 1);
    return shown;
}

TestSuite(split, .init = stream_set_up, .fini = stream_tear_down);

Test(split, words_end_at_single_spaces)
{
    cr_assert_str_eq(split("a", 3, false), "[a]");
    cr_assert_str_eq(split("a b", 3, false), "[a][b]");
    cr_assert_str_eq(split("one two three", 3, false), "[one][two][three]");
}

Test(split, spaces_too_many_make_empty_words)
{
    cr_assert_str_eq(split("", 3, false), "[]");
    cr_assert_str_eq(split(" ", 3, false), "[][]");
    cr_assert_str_eq(split("a  b", 3, false), "[a][][b]");
    cr_assert_str_eq(split(" a", 3, false), "[][a]");
    cr_assert_str_eq(split("a ", 3, false), "[a][]");
}

Test(split, more_words_than_allowed_are_told)
{
    cr_assert_str_eq(split("a b c", 2, false), "[a][b]...");
    cr_assert_str_eq(split("a b ", 2, false), "[a][b]...");
    cr_assert_str_eq(split("a", 0, false), "...");
    cr_assert_str_eq(split("", 0, false), "...");
}

Test(split, the_rest_is_the_last_word_with_its_spaces)
{
    cr_assert_str_eq(split("k v", 2, true), "[k][v]");
    cr_assert_str_eq(split("k a  b ", 2, true), "[k][a  b ]");
    cr_assert_str_eq(split("k ", 2, true), "[k][]");
    cr_assert_str_eq(split("k  ", 2, true), "[k][ ]");
    cr_assert_str_eq(split("k", 2, true), "[k]");
    cr_assert_str_eq(split("a b", 1, true), "[a b]");
}

/* --- replies --- */

static struct buf reply;

static void set_up_reply(void)
{
    buf_init(&reply);
}

static void tear_down_reply(void)
{
    mem_fail(0, false);
    buf_deinit(&reply);
}

TestSuite(reply, .init = set_up_reply, .fini = tear_down_reply);

/* What was written since the last time. */
static void check_reply(int rc, struct slice wanted)
{
    cr_assert_eq(rc, 0);
    cr_assert(slice_equal(slice_of(buf_head(&reply), buf_len(&reply)), wanted), "got %.*s wanted %.*s",
              (int)buf_len(&reply), buf_head(&reply), (int)wanted.len, wanted.data);
    buf_consume(&reply, buf_len(&reply));
}

Test(reply, fixed_lines)
{
    check_reply(proto_text.ok(&reply), S("OK\r\n"));
    check_reply(proto_text.pong(&reply), S("+PONG\r\n"));
    check_reply(proto_text.absent(&reply), S("\r\n"));
}

Test(reply, values_are_written_byte_for_byte)
{
    check_reply(proto_text.value(&reply, S("hello  world ")), S("hello  world \r\n"));
    check_reply(proto_text.value(&reply, S("")), S("\r\n"));
    check_reply(proto_text.value(&reply, slice_of(NULL, 0)), S("\r\n"));
    check_reply(proto_text.value(&reply, S("\0\xff\t")), S("\0\xff\t\r\n"));
    check_reply(proto_text.line(&reply, S("a line")), S("a line\r\n"));
}

Test(reply, a_large_value_is_whole)
{
    enum { SIZE = 300000 };
    char *value = malloc(SIZE + 2);
    for (size_t i = 0; i < SIZE; i++) {
        value[i] = (char)('a' + i % 26);
    }
    memcpy(value + SIZE, "\r\n", 2);
    check_reply(proto_text.value(&reply, slice_of(value, SIZE)), slice_of(value, SIZE + 2));
    free(value);
}

Test(reply, integers_of_all_64_bits)
{
    check_reply(proto_text.integer(&reply, 0), S("0\r\n"));
    check_reply(proto_text.integer(&reply, -1), S("-1\r\n"));
    check_reply(proto_text.integer(&reply, 1234567890123), S("1234567890123\r\n"));
    check_reply(proto_text.integer(&reply, INT64_MAX), S("9223372036854775807\r\n"));
    check_reply(proto_text.integer(&reply, INT64_MIN), S("-9223372036854775808\r\n"));
}

Test(reply, errors_have_their_word)
{
    check_reply(proto_text.error(&reply, ERR_SYNTAX, "so it is"), S("ERR SYNTAX so it is\r\n"));
    for (int code = -1; code >= -ERR_COUNT; code--) {
        char wanted[300];
        snprintf(wanted, sizeof(wanted), "ERR %s %s\r\n", err_word(code), err_text(code));
        check_reply(proto_text.error(&reply, code, err_text(code)), slice_str(wanted));
    }
}

Test(reply, an_error_line_has_at_most_512_bytes)
{
    char text[1000];
    for (size_t len = 480; len < sizeof(text); len++) {
        memset(text, 't', len);
        text[len] = '\0';
        cr_assert_eq(proto_text.error(&reply, ERR_FULL, text), 0);
        size_t size = buf_len(&reply);
        const char *line = buf_head(&reply);
        cr_assert(size <= 512 && memcmp(line, "ERR FULL ttt", 12) == 0);
        cr_assert(memcmp(line + size - 3, "t\r\n", 3) == 0 && memchr(line, '\0', size) == NULL);
        buf_consume(&reply, size);
    }
}

Test(reply, they_follow_each_other)
{
    proto_text.ok(&reply);
    proto_text.integer(&reply, 7);
    proto_text.absent(&reply);
    proto_text.value(&reply, S("v"));
    check_reply(proto_text.pong(&reply), S("OK\r\n7\r\n\r\nv\r\n+PONG\r\n"));
}

Test(reply, without_memory_nothing_is_written)
{
    mem_chunk_drain();
    mem_fail(1, true);
    cr_assert_eq(proto_text.ok(&reply), -1);
    cr_assert_eq(proto_text.pong(&reply), -1);
    cr_assert_eq(proto_text.value(&reply, S("v")), -1);
    cr_assert_eq(proto_text.absent(&reply), -1);
    cr_assert_eq(proto_text.integer(&reply, 1), -1);
    cr_assert_eq(proto_text.line(&reply, S("l")), -1);
    cr_assert_eq(proto_text.error(&reply, ERR_FULL, "t"), -1);
    cr_assert_eq(buf_len(&reply), 0u);
}

Test(reply, a_value_without_memory_leaves_what_was_written)
{
    static char value[100000];
    cr_assert_eq(proto_text.ok(&reply), 0);
    mem_fail(1, true);
    cr_assert_eq(proto_text.value(&reply, slice_of(value, sizeof(value))), -1);
    mem_fail(0, false);
    check_reply(proto_text.pong(&reply), S("OK\r\n+PONG\r\n"));
}
