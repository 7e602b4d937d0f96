/* RESP, the protocol of Redis: requests of counted words, and, on the same connection, lines. docs/protocol.md says what
 * of it is served.
 *
 *      *2\r\n          how many words
 *      $3\r\n          bytes of the first one, the verb
 *      GET\r\n
 *      $1\r\n
 *      k\r\n
 *
 * The decoder reads the lengths and jumps over the words. A word that has not come whole is waited for by its length: what
 * stands in between is looked at once, the length of that one word twice. No length is believed before the bytes are there:
 * it only says how many of those that come belong to the word. A request that is over the limit is dropped as it comes. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "err.h"
#include "fault.h"
#include "proto.h"

#define WORDS_MAX 1025                    /* a verb and its arguments, over it the request is too long */
#define REQUEST_MIN_MAX ((size_t)2 << 20) /* bytes of a request that are always allowed */
#define LENGTH_LINE_MAX 32                /* of the line that announces a word, at most */
#define LENGTHS_BYTES ((size_t)1024)      /* what the longest key and value may have around them */
#define BULK_MAX ((int64_t)512 << 20)     /* as Redis has it; a longer word is no word */
#define DIGITS_MAX 19

/* --- lengths --- */

enum found { FOUND_MORE, FOUND_LENGTH, FOUND_WRONG };

struct length {
    int64_t number;
    const char *next; /* behind its line */
};

static bool is_digit(char c)
{
    return (unsigned char)(c - '0') <= 9;
}

/* The common lines, of one or two digits; false for any other. */
static inline bool read_short_length(const char *at, const char *end, struct length *length)
{
    if (end - at < 4 || !is_digit(at[0])) {
        return false;
    }
    if (at[1] == '\r' && at[2] == '\n') {
        *length = (struct length){at[0] - '0', at + 3};
        return true;
    }
    if (at[0] == '0' || !is_digit(at[1]) || at[2] != '\r' || at[3] != '\n') {
        return false;
    }
    *length = (struct length){(at[0] - '0') * 10 + at[1] - '0', at + 4};
    return true;
}

/* Reads the rest of a line that is a number in its one form. */
static __attribute__((noinline)) enum found read_any_length(const char *at, const char *end, struct length *length)
{
    bool negative = at < end && *at == '-';
    const char *first = at + (negative ? 1 : 0);
    const char *p = first;
    int64_t number = 0;
    for (; p < end && (unsigned char)(*p - '0') <= 9; p++) {
        if (p - first >= DIGITS_MAX - 1) {
            return FOUND_WRONG;
        }
        number = number * 10 + (*p - '0');
    }
    if (p == end) {
        return FOUND_MORE;
    }
    bool odd = p == first || (*first == '0' && (negative || p - first > 1));
    if (odd || p[0] != '\r') {
        return FOUND_WRONG;
    }
    if (p + 1 == end) {
        return FOUND_MORE;
    }
    length->number = negative ? -number : number;
    length->next = p + 2;
    return p[1] == '\n' ? FOUND_LENGTH : FOUND_WRONG;
}

static inline enum found read_length(const char *at, const char *end, struct length *length)
{
    return read_short_length(at, end, length) ? FOUND_LENGTH : read_any_length(at, end, length);
}

static enum decoded broken(struct raw_request *out, const char *why, char got)
{
    out->why = why;
    out->got = got;
    return DECODED_BROKEN;
}

/* Reads the line that announces a word: DECODED_REQUEST, DECODED_MORE or DECODED_BROKEN. */
static enum decoded read_bulk(const char *at, const char *end, struct length *length, struct raw_request *out)
{
    if (at == end) {
        return DECODED_MORE;
    }
    if (*at != '$') {
        return broken(out, "expected '$', got '%c'", *at);
    }
    enum found found = read_length(at + 1, end, length);
    if (found == FOUND_MORE) {
        return DECODED_MORE;
    }
    if (found == FOUND_WRONG || length->number < 0 || length->number > BULK_MAX) {
        return broken(out, "invalid bulk length", 0);
    }
    return DECODED_REQUEST;
}

/* --- requests that are too long: dropped as they come --- */

static void begin_skipping(struct decoder *d, struct slice bytes)
{
    d->skipping = true;
    d->drop = 0;
    d->verb_len = d->left < d->words ? d->verb_size : 0;
    d->verb_len = d->verb_len < sizeof(d->verb) ? d->verb_len : sizeof(d->verb);
    if (d->verb_len > 0) {
        memcpy(d->verb, bytes.data + d->verb_at, d->verb_len);
    }
}

static enum decoded end_of_long_request(struct decoder *d, size_t consumed, struct raw_request *out)
{
    out->verb = slice_of(d->verb, d->verb_len);
    out->tail = slice_of(d->verb + d->verb_len, 0);
    out->too_long = true;
    out->no_memory = d->no_memory;
    out->multibulk = true;
    out->consumed = consumed;
    d->skipping = false;
    d->no_memory = false;
    d->scanned = 0;
    return DECODED_REQUEST;
}

/* Drops what there is of the request from `at` on. */
static enum decoded skip(struct decoder *d, struct slice bytes, size_t at, struct raw_request *out)
{
    d->scanned = 0;
    for (;;) {
        size_t dropped = bytes.len - at < d->drop ? bytes.len - at : d->drop;
        at += dropped;
        d->drop -= dropped;
        if (d->drop > 0) {
            break;
        }
        if (d->left == 0) {
            return end_of_long_request(d, at, out);
        }
        struct length length;
        enum decoded what = read_bulk(bytes.data + at, bytes.data + bytes.len, &length, out);
        if (what == DECODED_BROKEN) {
            return what;
        }
        if (what == DECODED_MORE) {
            break;
        }
        at = (size_t)(length.next - bytes.data);
        d->drop = (size_t)length.number + 2;
        d->left--;
    }
    out->consumed = at;
    return at > 0 ? DECODED_SKIP : DECODED_MORE;
}

static size_t give_up(struct decoder *d, struct slice bytes)
{
    struct raw_request dropped = {0};
    if (d->skipping || bytes.len == 0 || bytes.data[0] != '*' || d->scanned == 0) {
        return 0;
    }
    size_t at = d->scanned;
    begin_skipping(d, bytes);
    d->no_memory = true;
    (void)skip(d, bytes, at, &dropped);
    return dropped.consumed;
}

/* --- counted words --- */

static enum decoded end_of_request(struct decoder *d, struct slice bytes, size_t end, struct raw_request *out)
{
    size_t tail = d->verb_at + d->verb_size + 2;
    out->verb = slice_of(bytes.data + d->verb_at, d->verb_size);
    out->tail = slice_of(bytes.data + tail, end - tail);
    out->has_tail = d->words > 1;
    out->multibulk = true;
    out->words = d->words - 1;
    out->consumed = end;
    d->scanned = 0;
    return DECODED_REQUEST;
}

/* Waits for bytes from the decode position to `need`; those before `at` need not be looked at again. */
static enum decoded wait_for(struct decoder *d, size_t at, size_t need)
{
    d->scanned = at;
    d->need = need + (FAULT(split_sensitive) && need == 14 ? 1 : 0);
    return DECODED_MORE;
}

static enum decoded decode_words(struct decoder *d, struct slice bytes, size_t line_max, struct raw_request *out)
{
    const char *end = bytes.data + bytes.len;
    size_t at = d->scanned;
    size_t longest = line_max + LENGTHS_BYTES > REQUEST_MIN_MAX ? line_max + LENGTHS_BYTES : REQUEST_MIN_MAX;
    while (d->left > 0) {
        struct length length;
        enum decoded what = read_bulk(bytes.data + at, end, &length, out);
        if (what != DECODED_REQUEST) {
            return what == DECODED_MORE ? wait_for(d, at, bytes.len + 1) : what;
        }
        size_t word = (size_t)(length.next - bytes.data);
        size_t next = word + (size_t)length.number + 2;
        bool is_long = length.number > PROTO_GUEST_BYTES || next > PROTO_GUEST_BYTES + PROTO_GUEST_WORDS * LENGTH_LINE_MAX;
        if (d->guest && is_long) {
            return broken(out, "unauthenticated bulk length", 0);
        }
        if ((next > longest && !FAULT(no_line_limit)) || (d->words > WORDS_MAX && d->left < d->words)) {
            begin_skipping(d, bytes);
            return skip(d, bytes, at, out);
        }
        if (bytes.len < next) {
            return wait_for(d, at, next);
        }
        if (bytes.data[next - 2] != '\r' || bytes.data[next - 1] != '\n') {
            return broken(out, "expected CRLF behind a bulk, got '%c'", bytes.data[next - 2]);
        }
        if (d->left == d->words) {
            d->verb_at = word;
            d->verb_size = (size_t)length.number;
        }
        at = next;
        d->left--;
    }
    return end_of_request(d, bytes, at, out);
}

/* Of requests of three words, as SET is. While the decoder waits for the last one, `scanned` is where its length stands, behind the end of the second. */
static bool announced(const struct decoder *d, struct slice bytes, struct announced *a)
{
    if (d->scanned == 0 || d->skipping || d->words != 3 || d->left != 1 || d->scanned >= bytes.len) {
        return false;
    }
    size_t key_line = d->verb_at + d->verb_size + 2;
    const char *key_lf = memchr(bytes.data + key_line, '\n', d->scanned - key_line);
    const char *value_lf = memchr(bytes.data + d->scanned, '\n', bytes.len - d->scanned);
    if (key_lf == NULL || value_lf == NULL) {
        return false;
    }
    size_t key = (size_t)(bytes.data + d->scanned - 2 - (key_lf + 1));
    *a = (struct announced){.size = d->need, .head = (size_t)(value_lf + 1 - bytes.data) - key};
    return true;
}

static enum decoded decode_counted(struct decoder *d, struct slice bytes, size_t line_max, struct raw_request *out)
{
    if (d->scanned > 0) {
        return bytes.len < d->need ? DECODED_MORE : decode_words(d, bytes, line_max, out);
    }
    struct length length;
    enum found found = read_length(bytes.data + 1, bytes.data + bytes.len, &length);
    if (found == FOUND_MORE) {
        return DECODED_MORE;
    }
    if (found == FOUND_WRONG || length.number > INT32_MAX) {
        return broken(out, "invalid multibulk length", 0);
    }
    if (d->guest && length.number > PROTO_GUEST_WORDS) {
        return broken(out, "unauthenticated multibulk length", 0);
    }
    size_t header = (size_t)(length.next - bytes.data);
    if (length.number <= 0) {
        out->consumed = header;
        return DECODED_BLANK;
    }
    d->words = (uint32_t)length.number;
    d->left = d->words;
    d->scanned = header;
    return decode_words(d, bytes, line_max, out);
}

/* --- lines --- */

static int hex_of(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* What an escape in double quotes stands for; `at` is behind the backslash and moves behind the escape. */
static char unescape(const char **at, const char *end)
{
    static const char names[] = "nrtba";
    static const char values[] = "\n\r\t\b\a";
    const char *p = *at;
    if (*p == 'x' && end - p >= 3 && hex_of(p[1]) >= 0 && hex_of(p[2]) >= 0) {
        *at = p + 3;
        return (char)(hex_of(p[1]) * 16 + hex_of(p[2]));
    }
    const char *name = *p == '\0' ? NULL : strchr(names, *p);
    *at = p + 1;
    return name == NULL ? *p : values[name - names];
}

/* The inside of a quotation that begins at *at, which moves behind it; what it stands for goes to *to, where that is not
 * NULL. False where it does not end, or where no space follows. */
static bool read_quoted(const char **at, const char *end, char **to)
{
    char quote = **at;
    const char *p = *at + 1;
    while (p < end && *p != quote) {
        char c = *p++;
        if (c == '\\' && p < end && (quote == '"' || *p == '\'')) {
            c = quote == '"' ? unescape(&p, end) : *p++;
        }
        if (to != NULL) {
            *(*to)++ = c;
        }
    }
    *at = p + 1;
    return p < end && (p + 1 == end || isspace((unsigned char)p[1]));
}

/* Between words stand all of C's spaces, but a vertical tab or a form feed within a word is part of it, as for Redis. */
static bool ends_word(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static void drop_space(struct slice *line)
{
    while (line->len > 0 && isspace((unsigned char)line->data[0])) {
        line->data++;
        line->len--;
    }
}

/* Cuts the first word off a line that begins with none of its spaces: 1, or -1 where its quotes are unbalanced. A word with
 * quotes is written to *to, or, where to is NULL, stands in `word` as it was sent; *quoted is set. */
static int cut_word(struct slice *line, struct slice *word, char **to, bool *quoted)
{
    const char *end = line->data + line->len;
    const char *p = line->data;
    while (p < end && !ends_word(*p) && *p != '"' && *p != '\'') {
        p++;
    }
    *word = slice_of(line->data, (size_t)(p - line->data));
    if (p < end && !ends_word(*p)) {
        char *start = to == NULL ? NULL : *to;
        *quoted = true;
        if (to != NULL) {
            memcpy(*to, word->data, word->len);
            *to += word->len;
        }
        if (!read_quoted(&p, end, to)) {
            return -1;
        }
        *word = to == NULL ? slice_of(line->data, (size_t)(p - line->data)) : slice_of(start, (size_t)(*to - start));
    }
    line->len = (size_t)(end - p);
    line->data = p;
    return 1;
}

/* A verb in quotes is what stands between them. */
static struct slice bare_verb(struct slice word)
{
    bool in_quotes = word.len >= 2 && (word.data[0] == '"' || word.data[0] == '\'');
    return in_quotes ? slice_of(word.data + 1, word.len - 2) : word;
}

static enum decoded cut_line(struct slice line, struct raw_request *out)
{
    struct slice word;
    uint32_t count = 0;
    for (drop_space(&line); line.len > 0; drop_space(&line)) {
        if (cut_word(&line, &word, NULL, &out->quoted) < 0) {
            return broken(out, "unbalanced quotes in request", 0);
        }
        if (count++ == 0) {
            out->verb = bare_verb(word);
            out->tail = line;
            out->has_tail = true;
        }
    }
    out->words = count > 0 ? count - 1 : 0;
    return count > 0 ? DECODED_REQUEST : DECODED_BLANK;
}

static enum decoded decode_line(struct decoder *d, struct slice bytes, struct raw_request *out)
{
    const char *lf = bytes.len > d->scanned ? memchr(bytes.data + d->scanned, '\n', bytes.len - d->scanned) : NULL;
    size_t len = lf == NULL ? bytes.len : (size_t)(lf - bytes.data);
    if (len > PROTO_INLINE_MAX) {
        return broken(out, "too big inline request", 0);
    }
    d->scanned = lf == NULL ? bytes.len : 0;
    if (lf == NULL) {
        return DECODED_MORE;
    }
    out->consumed = len + 1;
    len -= len > 0 && lf[-1] == '\r' ? 1 : 0;
    return cut_line(slice_of(bytes.data, len), out);
}

static enum decoded decode(struct decoder *d, struct slice bytes, size_t line_max, struct raw_request *out)
{
    *out = (struct raw_request){0};
    if (d->skipping) {
        return skip(d, bytes, 0, out);
    }
    if (bytes.len == 0) {
        return DECODED_MORE;
    }
    return bytes.data[0] == '*' ? decode_counted(d, bytes, line_max, out) : decode_line(d, bytes, out);
}

/* --- words --- */

static size_t split_line(struct slice line, size_t count, struct slice *words, char *unquoted)
{
    bool quoted;
    for (size_t i = 0; i < count; i++) {
        drop_space(&line);
        (void)cut_word(&line, &words[i], &unquoted, &quoted);
    }
    return count;
}

static size_t split(const struct raw_request *raw, size_t max, bool rest, struct slice *words, char *unquoted)
{
    (void)rest;
    if (raw->words > max) {
        return max + 1;
    }
    if (!raw->multibulk) {
        return split_line(raw->tail, raw->words, words, unquoted);
    }
    const char *at = raw->tail.data; /* each length was found good before */
    for (uint32_t i = 0; i < raw->words; i++) {
        size_t len = 0;
        for (at++; *at != '\r'; at++) {
            len = len * 10 + (size_t)(*at - '0');
        }
        words[i] = slice_of(at + 2, len);
        at += len + 4;
    }
    return raw->words;
}

/* --- replies --- */

/* Writes a sign, a number and CRLF in front of `behind` further bytes, for which room is made; returns where they go. */
static char *write_header(struct buf *out, char sign, uint64_t number, size_t behind)
{
    char digits[24];
    if (number < 100) {
        size_t two = number >= 10 ? 1 : 0;
        char *to = buf_reserve(out, sizeof(digits) + behind);
        if (to == NULL) {
            return NULL;
        }
        to[0] = sign;
        to[1] = (char)('0' + number / 10);
        to[1 + two] = (char)('0' + number % 10);
        memcpy(to + 2 + two, "\r\n", 2);
        buf_commit(out, 4 + two);
        return to + 4 + two;
    }
    size_t len = sizeof(digits) - 2;
    memcpy(digits + len, "\r\n", 2);
    do {
        digits[--len] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    digits[--len] = sign;
    size_t size = sizeof(digits) - len;
    char *at = buf_reserve(out, sizeof(digits) + behind);
    if (at == NULL) {
        return NULL;
    }
    memcpy(at, digits + len, size);
    buf_commit(out, size);
    return at + size;
}

static int write_value(struct buf *out, struct slice value)
{
    char *at = write_header(out, '$', value.len, value.len + 2);
    if (at == NULL) {
        return -1;
    }
    slice_copy(at, value);
    memcpy(at + value.len, "\r\n", 2);
    buf_commit(out, value.len + 2);
    return 0;
}

static int lend_value(struct buf *out, struct slice value)
{
    if (write_header(out, '$', value.len, value.len + 2) == NULL || buf_lend(out, value) < 0) {
        return -1;
    }
    return buf_append(out, "\r\n", 2);
}

static int write_integer(struct buf *out, int64_t number)
{
    if (number >= 0) {
        return write_header(out, ':', (uint64_t)number, 0) == NULL ? -1 : 0;
    }
    char text[32];
    return buf_append(out, text, (size_t)snprintf(text, sizeof(text), ":%lld\r\n", (long long)number));
}

static int write_array(struct buf *out, size_t count)
{
    return write_header(out, '*', count, 0) == NULL ? -1 : 0;
}

static int write_map3(struct buf *out, size_t pairs)
{
    return write_header(out, '%', pairs, 0) == NULL ? -1 : 0;
}

static int write_map2(struct buf *out, size_t pairs)
{
    return write_array(out, 2 * pairs);
}

static int write_set3(struct buf *out, size_t count)
{
    return write_header(out, '~', count, 0) == NULL ? -1 : 0;
}

static int write_ok(struct buf *out)
{
    return buf_append(out, "+OK\r\n", 5);
}

static int write_pong(struct buf *out)
{
    return buf_append(out, "+PONG\r\n", 7);
}

static int write_queued(struct buf *out)
{
    return buf_append(out, "+QUEUED\r\n", 9);
}

static int write_absent2(struct buf *out)
{
    return buf_append(out, "$-1\r\n", 5);
}

static int write_no_array2(struct buf *out)
{
    return buf_append(out, "*-1\r\n", 5);
}

static int write_null3(struct buf *out)
{
    return buf_append(out, "_\r\n", 3);
}

#define WORDS_BYTES 509 /* of a line of words at most, without its end */

/* Copies text as far as there is room; what would end its line early becomes a space. Returns its end. */
static char *put_words(char *to, const char *end, const char *text)
{
    for (; *text != '\0' && to < end; text++) {
        *to++ = *text == '\r' || *text == '\n' ? ' ' : *text;
    }
    return to;
}

static int write_words(struct buf *out, char sign, const char *code, const char *text)
{
    char line[WORDS_BYTES + 2];
    const char *end = line + WORDS_BYTES;
    line[0] = sign;
    char *at = put_words(line + 1, end, code);
    at = put_words(at, end, code[0] == '\0' ? "" : " ");
    at = put_words(at, end, text);
    memcpy(at, "\r\n", 2);
    return buf_append(out, line, (size_t)(at - line) + 2);
}

/* Clients look at the first word, and at some texts as Redis has them. */
static const struct {
    const char *code;
    const char *text; /* NULL: as it is given */
} errors[ERR_COUNT] = {
    [ERR_ORDINAL_CONFLICT] = {"CONFLICT", NULL},
    [ERR_ORDINAL_ABORTED] = {"ABORTED", NULL},
    [ERR_ORDINAL_EXPIRED] = {"EXPIRED", NULL},
    [ERR_ORDINAL_DONE] = {"DONE", NULL},
    [ERR_ORDINAL_TOOBIG] = {"TOOBIG", NULL},
    [ERR_ORDINAL_FULL] = {"OOM", "command not allowed when used memory > 'maxmemory'."},
    [ERR_ORDINAL_READONLY] = {"READONLY", NULL},
    [ERR_ORDINAL_DENIED] = {"DENIED", NULL},
    [ERR_ORDINAL_NOTINT] = {"ERR", "value is not an integer or out of range"},
    [ERR_ORDINAL_OVERFLOW] = {"ERR", "increment or decrement would overflow"},
};

static int write_error(struct buf *out, int err, const char *text)
{
    size_t ordinal = (size_t)(-err - 1);
    const char *code = errors[ordinal].code;
    return write_words(out, '-', code == NULL ? "ERR" : code,
                       errors[ordinal].text == NULL ? text : errors[ordinal].text);
}

static int write_complaint(struct buf *out, const char *text)
{
    return write_words(out, '-', "", text);
}

static int write_status(struct buf *out, const char *text)
{
    return write_words(out, '+', "", text);
}

static int write_report3(struct buf *out, struct slice text)
{
    char *at = write_header(out, '=', text.len + 4, text.len + 6);
    if (at == NULL) {
        return -1;
    }
    memcpy(at, "txt:", 4);
    memcpy(at + 4, text.data, text.len);
    memcpy(at + 4 + text.len, "\r\n", 2);
    buf_commit(out, text.len + 6);
    return 0;
}

static int write_refusal(struct buf *out, const struct raw_request *raw)
{
    char text[96];
    const char *mark = strstr(raw->why, "%c");
    if (mark == NULL) {
        return write_words(out, '-', "ERR Protocol error:", raw->why);
    }
    snprintf(text, sizeof(text), "%.*s%c%s", (int)(mark - raw->why), raw->why, raw->got == '\0' ? ' ' : raw->got,
             mark + 2);
    return write_words(out, '-', "ERR Protocol error:", text);
}

#define RESP_COMMON                                                                                                    \
    .kind = PROTO_RESP, .error_sign = "-", .decode = decode, .announced = announced, .give_up = give_up, .split = split, \
    .refusal = write_refusal,                                                                                          \
    .ok = write_ok, .pong = write_pong, .queued = write_queued,                                                        \
    .value = write_value, .lend = lend_value, .integer = write_integer, .line = write_value,                           \
    .error = write_error, .complaint = write_complaint, .status = write_status, .array = write_array, .list = write_array

const struct proto proto_resp2 = {
    RESP_COMMON,       .absent = write_absent2, .report = write_value, .no_array = write_no_array2,
    .map = write_map2, .set = write_array,
};

const struct proto proto_resp3 = {
    RESP_COMMON,       .absent = write_null3, .report = write_report3, .no_array = write_null3,
    .map = write_map3, .set = write_set3,
};
