/* The text protocol: lines ended by LF or CRLF; one reply line for each. docs/protocol.md is its specification. */
#include <stdio.h>
#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "err.h"
#include "fault.h"
#include "proto.h"

/* --- foreign protocols: a browser, or a TLS client on the wrong port, must not be able to run commands --- */

static const char *const http_methods[] = {"GET",     "HEAD",  "POST",  "PUT",     "DELETE",
                                           "OPTIONS", "PATCH", "TRACE", "CONNECT", "PRI"};

static bool is_http_method(struct slice verb)
{
    for (size_t i = 0; i < sizeof(http_methods) / sizeof(http_methods[0]); i++) {
        if (slice_equal(verb, slice_str(http_methods[i]))) {
            return true;
        }
    }
    return false;
}

/* An HTTP request line ends with its version. */
static bool ends_with_http_version(struct slice line)
{
    const size_t len = sizeof(" HTTP/1.1") - 1;
    return line.len >= len && memcmp(line.data + line.len - len, " HTTP/", len - 3) == 0;
}

/* Of an over-long line only the start is known. */
static bool begins_like_http(struct slice tail)
{
    return tail.len > 0 && (tail.data[0] == '/' || (tail.len >= 4 && memcmp(tail.data, "http", 4) == 0));
}

/* What can be told from the first bytes of a connection, before a line end has come. */
static bool is_foreign_start(struct slice bytes)
{
    return bytes.data[0] == 0x16 || (bytes.len >= 4 && memcmp(bytes.data, "SSH-", 4) == 0);
}

/* --- decoding --- */

/* The end of a verb; verbs are a few letters, for which a call of memchr would cost more than it finds. */
static const char *find_space(struct slice line)
{
    for (size_t i = 0; i < line.len && i < 2 * sizeof(uint64_t); i++) {
        if (line.data[i] == ' ') {
            return line.data + i;
        }
    }
    return memchr(line.data, ' ', line.len);
}

/* no_cr: bytes at its start that are known to hold no CR. */
static void cut_line(struct slice line, size_t no_cr, struct raw_request *out)
{
    const char *space = find_space(line);
    out->has_tail = space != NULL;
    out->verb = slice_of(line.data, space == NULL ? line.len : (size_t)(space - line.data));
    out->tail = space == NULL ? slice_of(line.data + line.len, 0)
                              : slice_of(space + 1, line.len - (size_t)(space + 1 - line.data));
    const char *cr = no_cr < line.len ? memchr(line.data + no_cr, '\r', line.len - no_cr) : NULL;
    out->bad_cr = cr != NULL;
    if (cr != NULL && cr < line.data + out->verb.len) {
        out->verb.len = (size_t)(cr - line.data);
    }
}

/* Most lines are short and hold nothing but what can be printed: one pass over such a line finds its end and all its spaces, and
 * that it has no control byte. False for any other line, or one that may not have come whole: then the long way decides. */
#ifdef __SSE2__
#define BLOCK sizeof(__m128i)

/* A bit for each byte. */
struct marks {
    uint64_t controls;
    uint64_t spaces;
};

/* Adds those of the block that begins at a byte of the line. */
static inline void mark_block(struct marks *m, const char *line, size_t at)
{
    __m128i block = _mm_loadu_si128((const __m128i *)(const void *)(line + at));
    __m128i low = _mm_cmpeq_epi8(_mm_min_epu8(block, _mm_set1_epi8(0x1f)), block);
    __m128i del = _mm_cmpeq_epi8(block, _mm_set1_epi8(0x7f));
    __m128i space = _mm_cmpeq_epi8(block, _mm_set1_epi8(' '));
    m->controls |= (uint64_t)(unsigned)_mm_movemask_epi8(_mm_or_si128(low, del)) << at;
    m->spaces |= (uint64_t)(unsigned)_mm_movemask_epi8(space) << at;
}

/* Where fewer bytes are left than are looked at otherwise: the last block overlaps the one before. */
static __attribute__((noinline)) struct marks mark_last(struct slice bytes)
{
    struct marks m = {0, 0};
    for (size_t end = BLOCK; bytes.len >= BLOCK && m.controls == 0 && end < bytes.len + BLOCK; end += BLOCK) {
        mark_block(&m, bytes.data, (end < bytes.len ? end : bytes.len) - BLOCK);
    }
    return m;
}

static inline struct marks mark_line(struct slice bytes)
{
    if (bytes.len < 4 * BLOCK) {
        return mark_last(bytes);
    }
    struct marks m = {0, 0};
    mark_block(&m, bytes.data, 0);
    mark_block(&m, bytes.data, BLOCK);
    if (m.controls == 0) {
        mark_block(&m, bytes.data, 2 * BLOCK);
        mark_block(&m, bytes.data, 3 * BLOCK);
    }
    return m;
}

static inline bool cut_clean_line(struct slice bytes, size_t line_max, struct raw_request *out)
{
    const struct marks m = mark_line(bytes);
    const size_t len = m.controls == 0 ? 0 : (size_t)__builtin_ctzll(m.controls);
    if (len == 0 || len > line_max) {
        return false;
    }
    const bool cr = bytes.data[len] == '\r' && len + 1 < bytes.len;
    if (bytes.data[len + cr] != '\n') {
        return false;
    }
    const uint64_t spaces = m.spaces & ((UINT64_C(1) << len) - 1);
    const size_t verb = spaces == 0 ? len : (size_t)__builtin_ctzll(spaces);
    const size_t tail = spaces == 0 ? len : verb + 1;
    *out = (struct raw_request){.verb = slice_of(bytes.data, verb),
                                .tail = slice_of(bytes.data + tail, len - tail),
                                .has_tail = spaces != 0,
                                .clean = true,
                                .spaces = spaces,
                                .consumed = len + cr + 1};
    return true;
}
#else
static inline bool cut_clean_line(struct slice bytes, size_t line_max, struct raw_request *out)
{
    (void)bytes;
    (void)line_max;
    (void)out;
    return false;
}
#endif

static void begin_skipping(struct decoder *d, struct slice bytes)
{
    d->skipping = true;
    d->scanned = 0;
    d->verb_len = bytes.len < sizeof(d->verb) ? bytes.len : sizeof(d->verb);
    memcpy(d->verb, bytes.data, d->verb_len);
}

static size_t give_up(struct decoder *d, struct slice bytes)
{
    if (!d->skipping) {
        begin_skipping(d, bytes);
        d->no_memory = true;
    }
    return bytes.len;
}

static bool is_foreign_long_line(const struct decoder *d)
{
    struct raw_request start;
    cut_line(slice_of(d->verb, d->verb_len), 0, &start);
    return !d->began && is_http_method(start.verb) && begins_like_http(start.tail);
}

static enum decoded more_of_long_line(struct decoder *d, struct slice bytes, struct raw_request *out)
{
    if (!d->skipping) {
        begin_skipping(d, bytes);
    }
    d->scanned = 0;
    out->consumed = bytes.len;
    return is_foreign_long_line(d) ? DECODED_FOREIGN : bytes.len > 0 ? DECODED_SKIP : DECODED_MORE;
}

static enum decoded end_of_long_line(struct decoder *d, size_t consumed, struct raw_request *out)
{
    if (is_foreign_long_line(d)) {
        return DECODED_FOREIGN;
    }
    cut_line(slice_of(d->verb, d->verb_len), 0, out);
    out->too_long = true;
    out->no_memory = d->no_memory;
    out->consumed = consumed;
    d->skipping = false;
    d->no_memory = false;
    d->scanned = 0;
    d->began = true;
    return DECODED_REQUEST;
}

/* Bytes before the first CR, of which no_cr were looked at: at once, while what has just come is in the cache. */
static size_t before_cr(struct slice bytes, size_t scanned, size_t no_cr)
{
    if (no_cr < scanned) {
        return no_cr;
    }
    const char *cr = bytes.len > scanned ? memchr(bytes.data + scanned, '\r', bytes.len - scanned) : NULL;
    return cr == NULL ? bytes.len : (size_t)(cr - bytes.data);
}

/* The long way, and the only one that is not a short cut. */
static __attribute__((noinline)) enum decoded decode_any(struct decoder *d, struct slice bytes, size_t line_max,
                                                        struct raw_request *out)
{
    *out = (struct raw_request){0};
    if (bytes.len > 0 && !d->began && !d->skipping) {
        if (bytes.data[0] == '*') {
            out->other = &proto_resp2;
            return DECODED_OTHER;
        }
        if (is_foreign_start(bytes)) {
            return DECODED_FOREIGN;
        }
    }
    line_max = d->guest && line_max > PROTO_GUEST_BYTES ? PROTO_GUEST_BYTES : line_max;
    size_t no_cr = d->scanned > 0 ? d->no_cr : 0;
    const char *from = bytes.data + d->scanned;
    const char *lf = bytes.len > d->scanned ? memchr(from, '\n', bytes.len - d->scanned) : NULL;
    if (lf == NULL) {
        if (d->skipping || (bytes.len > line_max + 1 && !FAULT(no_line_limit))) {
            return more_of_long_line(d, bytes, out);
        }
        d->no_cr = before_cr(bytes, d->scanned, no_cr);
        d->scanned = bytes.len + (FAULT(split_sensitive) && bytes.len == 7 ? 1 : 0);
        return DECODED_MORE;
    }
    size_t len = (size_t)(lf - bytes.data);
    out->consumed = len + 1;
    if (d->skipping) {
        return end_of_long_line(d, out->consumed, out);
    }
    d->scanned = 0;
    len -= len > 0 && lf[-1] == '\r' ? 1 : 0;
    if (len == 0) {
        return DECODED_BLANK;
    }
    if (len > line_max) {
        begin_skipping(d, bytes);
        return end_of_long_line(d, out->consumed, out);
    }
    struct slice line = slice_of(bytes.data, len);
    cut_line(line, no_cr, out);
    if (!d->began && (is_http_method(out->verb) || begins_like_http(out->tail)) && ends_with_http_version(line)) {
        return DECODED_FOREIGN;
    }
    d->began = true;
    return DECODED_REQUEST;
}

static enum decoded decode(struct decoder *d, struct slice bytes, size_t line_max, struct raw_request *out)
{
    if (d->began && d->scanned == 0 && !d->skipping && cut_clean_line(bytes, line_max, out)) {
        return DECODED_REQUEST;
    }
    return decode_any(d, bytes, line_max, out);
}

size_t proto_text_split(struct slice tail, size_t max, bool rest, struct slice *words)
{
    size_t count = 0;
    for (;;) {
        if (count == max) {
            return max + 1;
        }
        const char *space = rest && count + 1 == max ? NULL : memchr(tail.data, ' ', tail.len);
        if (space == NULL) {
            words[count++] = tail;
            return count;
        }
        size_t len = (size_t)(space - tail.data);
        words[count++] = slice_of(tail.data, len);
        tail = slice_of(space + 1, tail.len - len - 1);
    }
}

static size_t split(const struct raw_request *raw, size_t max, bool rest, struct slice *words, char *unquoted)
{
    (void)unquoted;
    return raw->has_tail ? proto_text_split(raw->tail, max, rest, words) : 0;
}

/* A line carries all bytes but those that end it. */
static bool carries(struct slice value)
{
    return value.len == 0 ||
           (memchr(value.data, '\n', value.len) == NULL && memchr(value.data, '\r', value.len) == NULL);
}

/* --- replies --- */

/* Where there is room for it. */
static inline int put_line(struct buf *out, struct slice text)
{
    char *tail = out->data + out->end;
    memcpy(tail + text.len, "\r\n", 2);
    out->end += text.len + 2;
    slice_copy(tail, text);
    return 0;
}

static __attribute__((noinline)) int make_room_and_put_line(struct buf *out, struct slice text)
{
    return buf_grow(out, text.len + 2) == NULL ? -1 : put_line(out, text);
}

static int write_line(struct buf *out, struct slice text)
{
    return buf_has_room(out, text.len + 2) ? put_line(out, text) : make_room_and_put_line(out, text);
}

static int lend_line(struct buf *out, struct slice text)
{
    if (buf_reserve(out, text.len + 2) == NULL || buf_lend(out, text) < 0) {
        return -1;
    }
    return buf_append(out, "\r\n", 2);
}

static int write_ok(struct buf *out)
{
    return buf_append(out, "OK\r\n", 4);
}

static int write_pong(struct buf *out)
{
    return buf_append(out, "+PONG\r\n", 7);
}

static int write_absent(struct buf *out)
{
    return buf_append(out, "\r\n", 2);
}

static int write_integer(struct buf *out, int64_t number)
{
    char text[32];
    int len = snprintf(text, sizeof(text), "%lld\r\n", (long long)number);
    return buf_append(out, text, (size_t)len);
}

static int write_error(struct buf *out, int err, const char *text)
{
    char line[512];
    int len = snprintf(line, sizeof(line) - 2, "ERR %s %s", err_word(err), text);
    size_t kept = (size_t)len < sizeof(line) - 3 ? (size_t)len : sizeof(line) - 3;
    return write_line(out, slice_of(line, kept));
}

/* A complaint is in Redis's words, whose general code is here that of wrong words. */
static int write_complaint(struct buf *out, const char *text)
{
    char line[512];
    bool general = strncmp(text, "ERR ", 4) == 0;
    int len = snprintf(line, sizeof(line) - 2, general ? "ERR SYNTAX %s" : "ERR %s", general ? text + 4 : text);
    size_t kept = (size_t)len < sizeof(line) - 3 ? (size_t)len : sizeof(line) - 3;
    return write_line(out, slice_of(line, kept));
}

static int write_refusal(struct buf *out, const struct raw_request *raw)
{
    (void)raw;
    return write_error(out, ERR_SYNTAX, "this port speaks txkv's text protocol, lines such as GET key; closing");
}

static int write_status(struct buf *out, const char *text)
{
    return write_line(out, slice_str(text));
}

/* Replies follow one another, a line each: nothing stands before them. */
static int write_nothing(struct buf *out, size_t count)
{
    (void)out;
    (void)count;
    return 0;
}

static int write_count(struct buf *out, size_t count)
{
    return write_integer(out, (int64_t)count);
}

const struct proto proto_text = {
    .kind = PROTO_TEXT,
    .error_sign = "ERR ",
    .decode = decode,
    .give_up = give_up,
    .split = split,
    .carries = carries,
    .refusal = write_refusal,
    .ok = write_ok,
    .pong = write_pong,
    .value = write_line,
    .lend = lend_line,
    .absent = write_absent,
    .integer = write_integer,
    .line = write_line,
    .error = write_error,
    .complaint = write_complaint,
    .status = write_status,
    .report = write_line,
    .array = write_nothing,
    .list = write_count,
    .no_array = write_absent,
    .map = write_nothing,
    .set = write_nothing,
};
