#include "wire.h"

#include <stdio.h>
#include <string.h>

#define KEY_ZERO "key:000000000000"

const char *const wire_proto_names[WIRE_PROTO_COUNT] = {[WIRE_TEXT] = "text", [WIRE_RESP] = "resp"};
const char *const wire_op_names[WIRE_OP_COUNT] = {[WIRE_GET] = "get", [WIRE_SET] = "set", [WIRE_PING] = "ping"};

/* Everything of a request but the value and what follows it. */
struct shape {
    const char *head; /* up to the value */
    const char *tail; /* after the value */
    bool value;
    bool value_len; /* "$<length>\r\n" comes before the value */
};

static const struct shape shapes[WIRE_PROTO_COUNT][WIRE_OP_COUNT] = {
    [WIRE_TEXT] =
        {
            [WIRE_GET] = {.head = "GET " KEY_ZERO, .tail = "\r\n"},
            [WIRE_SET] = {.head = "SET " KEY_ZERO " ", .tail = "\r\n", .value = true},
            [WIRE_PING] = {.head = "PING", .tail = "\r\n"},
        },
    [WIRE_RESP] =
        {
            [WIRE_GET] = {.head = "*2\r\n$3\r\nGET\r\n$16\r\n" KEY_ZERO, .tail = "\r\n"},
            [WIRE_SET] = {.head = "*3\r\n$3\r\nSET\r\n$16\r\n" KEY_ZERO "\r\n",
                          .tail = "\r\n",
                          .value = true,
                          .value_len = true},
            [WIRE_PING] = {.head = "*1\r\n$4\r\nPING", .tail = "\r\n"},
        },
};

static size_t value_head(const struct shape *s, size_t value_size, char out[32])
{
    return s->value_len ? (size_t)snprintf(out, 32, "$%zu\r\n", value_size) : 0;
}

size_t wire_request_size(enum wire_proto proto, enum wire_op op, size_t value_size)
{
    const struct shape *s = &shapes[proto][op];
    char length[32];
    return strlen(s->head) + value_head(s, value_size, length) + (s->value ? value_size : 0) + strlen(s->tail);
}

static char *put(char *dst, const char *bytes, size_t size)
{
    memcpy(dst, bytes, size);
    return dst + size;
}

void wire_request_write(enum wire_proto proto, enum wire_op op, const char *value, size_t value_size, char *dst,
                        size_t *key_at)
{
    const struct shape *s = &shapes[proto][op];
    const char *key = strstr(s->head, KEY_ZERO);
    *key_at = key == NULL ? WIRE_NO_KEY : (size_t)(key - s->head) + WIRE_KEY_SIZE - WIRE_KEY_DIGITS;
    char length[32];
    size_t length_size = value_head(s, value_size, length);
    dst = put(dst, s->head, strlen(s->head));
    dst = put(dst, length, length_size);
    if (s->value) {
        dst = put(dst, value, value_size);
    }
    put(dst, s->tail, strlen(s->tail));
}

void wire_key_patch(char *digits, uint64_t n)
{
    static const char pairs[] = "00010203040506070809101112131415161718192021222324252627282930313233343536373839"
                                "40414243444546474849505152535455565758596061626364656667686970717273747576777879"
                                "8081828384858687888990919293949596979899";
    /* Two halves of six digits, so that the divisions do not all wait for each other. */
    uint32_t halves[2] = {(uint32_t)(n / 1000000), (uint32_t)(n % 1000000)};
    for (int i = 0; i < 2; i++) {
        memcpy(digits + 6 * i, pairs + 2 * (halves[i] / 10000), 2);
        memcpy(digits + 6 * i + 2, pairs + 2 * (halves[i] / 100 % 100), 2);
        memcpy(digits + 6 * i + 4, pairs + 2 * (halves[i] % 100), 2);
    }
}

void reply_init(struct reply_parser *p, enum wire_proto proto)
{
    *p = (struct reply_parser){.proto = proto};
}

static void keep_piece(struct reply_parser *p, const char *bytes, size_t size)
{
    if (size == 0) {
        return;
    }
    if (p->line_len < REPLY_HEAD) {
        size_t room = REPLY_HEAD - p->line_len;
        memcpy(p->head + p->line_len, bytes, size < room ? size : room);
    }
    p->line_len += size;
    p->last = bytes[size - 1];
}

/* The next whole line without its CR LF; only its first REPLY_HEAD bytes are sure to be at line->line. */
static bool next_line(struct reply_parser *p, const char **at, const char *end, struct reply *line, size_t *len)
{
    const char *from = *at;
    const char *lf = from == end ? NULL : memchr(from, '\n', (size_t)(end - from));
    if (lf == NULL) {
        keep_piece(p, from, (size_t)(end - from));
        *at = end;
        return false;
    }
    *at = lf + 1;
    size_t size = (size_t)(lf - from);
    line->line = from;
    if (p->line_len > 0) {
        keep_piece(p, from, size);
        size = p->line_len;
        line->line = p->head;
        p->line_len = 0;
        *len = p->last == '\r' ? size - 1 : size;
    } else {
        *len = size > 0 && lf[-1] == '\r' ? size - 1 : size;
    }
    line->line_len = *len < REPLY_HEAD ? *len : REPLY_HEAD;
    return true;
}

static bool text_next(struct reply_parser *p, const char **at, const char *end, struct reply *r)
{
    size_t len;
    if (!next_line(p, at, end, r, &len)) {
        return false;
    }
    if (len == 0) {
        r->kind = REPLY_NIL;
    } else {
        r->kind = len > 4 && memcmp(r->line, "ERR ", 4) == 0 ? REPLY_ERR : REPLY_VALUE;
    }
    return true;
}

/* The number after a type byte: at most 18 digits, or -1; false for anything else. */
static bool parse_length(const char *text, size_t len, int64_t *n)
{
    if (len == 2 && memcmp(text, "-1", 2) == 0) {
        *n = -1;
        return true;
    }
    if (len == 0 || len > 18) {
        return false;
    }
    *n = 0;
    for (size_t i = 0; i < len; i++) {
        unsigned digit = (unsigned char)text[i] - (unsigned)'0';
        if (digit > 9) {
            return false;
        }
        *n = *n * 10 + (int64_t)digit;
    }
    return true;
}

/* What a line of RESP says by itself; a length is left in *n (-1: none). */
static enum reply_kind resp_line(const struct reply *line, size_t len, int64_t *n)
{
    *n = -1;
    switch (len == 0 ? '\0' : line->line[0]) {
    case '+':
    case ':':
        return REPLY_VALUE;
    case '-':
        return REPLY_ERR;
    case '$':
    case '*':
        if (len > REPLY_HEAD || !parse_length(line->line + 1, len - 1, n)) {
            return REPLY_BAD;
        }
        return *n < 0 ? REPLY_NIL : REPLY_VALUE;
    default:
        return REPLY_BAD;
    }
}

/* False while bytes of a value are to come. */
static bool skip_value(struct reply_parser *p, const char **at, const char *end)
{
    uint64_t here = (uint64_t)(end - *at);
    uint64_t taken = p->skip < here ? p->skip : here;
    *at += taken;
    p->skip -= taken;
    return p->skip == 0;
}

/* True when the element that just ended, of the given kind, was the last of its reply. */
static bool element_ends(struct reply_parser *p, struct reply *r)
{
    if (!p->array) {
        return true;
    }
    p->array_err |= r->kind == REPLY_ERR;
    if (--p->elements > 0) {
        return false;
    }
    r->kind = p->array_err ? REPLY_ERR : REPLY_VALUE;
    p->array = false;
    p->array_err = false;
    return true;
}

static bool resp_next(struct reply_parser *p, const char **at, const char *end, struct reply *r)
{
    for (;;) {
        if (p->skip > 0) {
            if (!skip_value(p, at, end)) {
                return false;
            }
            *r = (struct reply){.kind = REPLY_VALUE};
        } else {
            size_t len;
            int64_t n;
            if (!next_line(p, at, end, r, &len)) {
                return false;
            }
            r->kind = resp_line(r, len, &n);
            if (r->kind == REPLY_BAD) {
                return true;
            }
            if (n >= 0 && r->line[0] == '$') {
                p->skip = (uint64_t)n + 2;
                continue;
            }
            if (n > 0) { /* its elements stand for it */
                p->elements = (p->array ? p->elements - 1 : 0) + (uint64_t)n;
                p->array = true;
                continue;
            }
        }
        if (element_ends(p, r)) {
            return true;
        }
    }
}

bool reply_next(struct reply_parser *p, const char **at, const char *end, struct reply *r)
{
    return p->proto == WIRE_TEXT ? text_next(p, at, end, r) : resp_next(p, at, end, r);
}
