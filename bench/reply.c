#include "reply.h"

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

static bool starts_with(const struct reply *r, const char *word)
{
    size_t size = strlen(word);
    return r->line_len >= size && memcmp(r->line, word, size) == 0;
}

static bool is_line(const struct reply *r, const char *word)
{
    return r->line_len == strlen(word) && starts_with(r, word);
}

/* Text */

/* Hands over a piece of a line, from a up to b, without the line's end. A CR at the end of a piece is held back: only
 * what follows says whether it belongs to the line's end. */
static void give_piece(const struct reply_parser *p, const char *a, const char *b, bool cr_held)
{
    b -= a < b && b[-1] == '\n';
    if (cr_held && a < b) {
        p->on_value(p->arg, "\r", 1);
    }
    b -= a < b && b[-1] == '\r';
    if (a < b) {
        p->on_value(p->arg, a, (size_t)(b - a));
    }
}

static bool text_next(struct reply_parser *p, const char **at, const char *end, struct reply *r)
{
    size_t len;
    const char *from = *at;
    bool cr_held = p->line_len > 0 && p->last == '\r';
    bool whole = next_line(p, at, end, r, &len);
    if (p->on_value != NULL) {
        give_piece(p, from, *at, cr_held);
    }
    if (!whole) {
        return false;
    }
    if (len == 0) {
        r->kind = REPLY_NIL;
    } else {
        r->kind = len > 4 && memcmp(r->line, "ERR ", 4) == 0 ? REPLY_ERR : REPLY_VALUE;
    }
    return true;
}

/* RESP */

/* At most 18 digits, or -1; false for anything else. */
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
        return REPLY_STATUS;
    case '-':
        return REPLY_ERR;
    case '$':
    case '*':
        if (len > REPLY_HEAD || !parse_length(line->line + 1, len - 1, n)) {
            return REPLY_BAD;
        }
        return *n < 0 ? REPLY_NIL : *line->line == '*' ? REPLY_LIST : REPLY_VALUE;
    default:
        return REPLY_BAD;
    }
}

/* False while bytes of a value, or of the CR LF behind it, are to come. */
static bool skip_value(struct reply_parser *p, const char **at, const char *end)
{
    uint64_t here = (uint64_t)(end - *at);
    uint64_t taken = p->skip < here ? p->skip : here;
    uint64_t value = p->skip > 2 ? p->skip - 2 : 0;
    if (p->on_value != NULL && value > 0 && taken > 0) {
        p->on_value(p->arg, *at, (size_t)(taken < value ? taken : value));
    }
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
    r->kind = p->array_err ? REPLY_ERR : REPLY_LIST;
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

bool reply_skip_resp_value(const char **at, const char *end)
{
    const char *digit = *at + 1;
    size_t size = 0;
    if (**at != '$') {
        return false;
    }
    while (digit < end && *digit >= '0' && *digit <= '9' && digit < *at + 8) {
        size = size * 10 + (size_t)(*digit++ - '0');
    }
    if (digit == *at + 1 || end - digit < 4 || *digit != '\r' || (size_t)(end - digit) < size + 4) {
        return false;
    }
    *at = digit + 2 + size + 2;
    return true;
}

/* memcache */

static const struct {
    const char *word;
    enum reply_kind kind;
} memcache_lines[] = {
    {"END", REPLY_NIL},       {"STORED", REPLY_STATUS},    {"NOT_STORED", REPLY_STATUS},
    {"EXISTS", REPLY_STATUS}, {"NOT_FOUND", REPLY_STATUS}, {"VERSION ", REPLY_STATUS},
    {"ERROR", REPLY_ERR},     {"CLIENT_ERROR", REPLY_ERR}, {"SERVER_ERROR", REPLY_ERR},
};

/* The length at the end of VALUE key flags length. */
static bool value_length(const struct reply *line, size_t len, int64_t *n)
{
    size_t at = len;
    if (len > REPLY_HEAD || !starts_with(line, "VALUE ")) {
        return false;
    }
    while (line->line[at - 1] != ' ') {
        at--;
    }
    return parse_length(line->line + at, len - at, n) && *n >= 0;
}

static enum reply_kind memcache_line(const struct reply *line)
{
    for (size_t i = 0; i < sizeof memcache_lines / sizeof *memcache_lines; i++) {
        if (starts_with(line, memcache_lines[i].word)) {
            return memcache_lines[i].kind;
        }
    }
    return REPLY_BAD;
}

static bool memcache_next(struct reply_parser *p, const char **at, const char *end, struct reply *r)
{
    size_t len;
    int64_t n;
    for (;;) {
        if (p->skip > 0 && !skip_value(p, at, end)) {
            return false;
        }
        if (!next_line(p, at, end, r, &len)) {
            return false;
        }
        if (p->value_tail) {
            p->value_tail = false;
            r->kind = is_line(r, "END") ? REPLY_VALUE : REPLY_BAD;
            return true;
        }
        if (!value_length(r, len, &n)) {
            r->kind = memcache_line(r);
            return true;
        }
        p->skip = (uint64_t)n + 2;
        p->value_tail = true;
    }
}

bool reply_next(struct reply_parser *p, const char **at, const char *end, struct reply *r)
{
    switch (p->proto) {
    case WIRE_TEXT:
        return text_next(p, at, end, r);
    case WIRE_RESP:
        return resp_next(p, at, end, r);
    default:
        return memcache_next(p, at, end, r);
    }
}

/* Verdicts */

/* The one line that is right; a space at its end: it goes on. GET and RESP's EXEC have none. */
static const char *const good_lines[WIRE_PROTO_COUNT][WIRE_STEP_COUNT] = {
    [WIRE_TEXT] =
        {
            [WIRE_SET] = "OK",
            [WIRE_PING] = "+PONG",
            [WIRE_BEGIN] = "OK",
            [WIRE_BEGIN_SERIALIZABLE] = "OK",
            [WIRE_STORE] = "OK",
            [WIRE_COMMIT] = "OK",
        },
    [WIRE_RESP] =
        {
            [WIRE_SET] = "+OK",
            [WIRE_PING] = "+PONG",
            [WIRE_WATCH] = "+OK",
            [WIRE_BEGIN] = "+OK",
            [WIRE_STORE] = "+QUEUED",
        },
    [WIRE_MEMCACHE] =
        {
            [WIRE_SET] = "STORED",
            [WIRE_PING] = "VERSION ",
        },
};

enum verdict reply_judge(enum wire_proto proto, enum wire_op op, const struct reply *r)
{
    const char *good = good_lines[proto][op];
    if (r->kind == REPLY_ERR) {
        bool conflict = proto == WIRE_TEXT && op == WIRE_COMMIT && starts_with(r, "ERR CONFLICT");
        return conflict ? VERDICT_CONFLICT : VERDICT_ERROR;
    }
    if (good != NULL) {
        bool open_end = good[strlen(good) - 1] == ' ';
        return is_line(r, good) || (open_end && starts_with(r, good)) ? VERDICT_FINE : VERDICT_WRONG;
    }
    if (r->kind == REPLY_NIL) {
        return op == WIRE_GET ? VERDICT_MISS : VERDICT_CONFLICT;
    }
    return r->kind == (op == WIRE_GET ? REPLY_VALUE : REPLY_LIST) ? VERDICT_FINE : VERDICT_WRONG;
}

struct reply_word reply_word(enum wire_proto proto, enum wire_op op)
{
    struct reply_word w = {0};
    char bytes[sizeof w.bytes] = {0};
    char mask[sizeof w.mask] = {0};
    const char *good = good_lines[proto][op];
    if (good == NULL || strlen(good) + 2 > sizeof bytes || good[strlen(good) - 1] == ' ') {
        return w;
    }
    w.size = strlen(good) + 2;
    memcpy(bytes, good, w.size - 2);
    memcpy(bytes + w.size - 2, "\r\n", 2);
    memset(mask, 0xff, w.size);
    memcpy(&w.bytes, bytes, sizeof bytes);
    memcpy(&w.mask, mask, sizeof mask);
    return w;
}
