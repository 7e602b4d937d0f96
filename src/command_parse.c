/* From words to a request that may run, or an error and its words. */
#include <assert.h>
#include <ctype.h>
#include <stdio.h>
#include <strings.h>

#include "command_run.h"
#include "err.h"

static const struct {
    const char *name;
    enum txn_mode mode;
} modes[] = {{"SERIALIZABLE", TXN_SERIALIZABLE}, {"READONLY", TXN_READONLY}};

static bool find_mode(struct slice name, enum txn_mode *mode)
{
    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        if (name.len == strlen(modes[i].name) && strncasecmp(name.data, modes[i].name, name.len) == 0) {
            *mode = modes[i].mode;
            return true;
        }
    }
    return false;
}

struct begin_words command_read_begin(const struct request *r)
{
    struct begin_words b = {0};
    size_t at = 0;
    b.has_mode = at < r->count && find_mode(r->args[at], &b.mode);
    at += b.has_mode;
    if (r->count - at == 2 && r->args[at].len == 2 && strncasecmp(r->args[at].data, "ID", 2) == 0) {
        b.has_token = true;
        b.token = r->args[at + 1];
        at += 2;
    }
    b.wrong = at != r->count;
    return b;
}

/* One word that a person can type and a log can show. */
static int check_token(struct slice token)
{
    for (size_t i = 0; i < token.len; i++) {
        if (token.data[i] <= ' ' || token.data[i] > '~') {
            return ERR_SYNTAX;
        }
    }
    return token.len == 0 ? ERR_SYNTAX : token.len > OUTCOME_TOKEN_MAX ? ERR_TOOBIG : 0;
}

/* --- parsing --- */

size_t command_line_max(const struct command_limits *limits)
{
    return limits->key_bytes + limits->value_bytes + 64;
}

/* Whether one of eight bytes is below 0x20, or 0x7f: a borrow into the top bit of a byte that had none tells. Bytes above a
 * true hit may be taken for hits too, which does no harm to a yes. */
static bool has_control(uint64_t word)
{
    const uint64_t ones = 0x0101010101010101ULL;
    uint64_t low = (word - 0x20 * ones) & ~word;
    uint64_t del = word ^ 0x7f * ones;
    return ((low | ((del - ones) & ~del)) & 0x80 * ones) != 0;
}

static inline __attribute__((always_inline)) int find_control(struct slice key)
{
    size_t clean = 0;
    uint64_t word;
    while (key.len - clean >= sizeof(word)) {
        memcpy(&word, key.data + clean, sizeof(word));
        if (has_control(word)) {
            break;
        }
        clean += sizeof(word);
    }
    for (size_t i = clean; i < key.len; i++) {
        if ((unsigned char)key.data[i] < 0x20 || key.data[i] == 0x7f) {
            return (unsigned char)key.data[i];
        }
    }
    return -1;
}

bool command_is_text_key(struct slice key)
{
    return key.len > 0 && find_control(key) < 0 && memchr(key.data, ' ', key.len) == NULL;
}

/* Keys of the text protocol are words of a line; elsewhere they are any bytes, or none. */
static inline __attribute__((always_inline)) int check_one_key(const struct request *r, struct slice key,
                                                               const struct command_limits *limits)
{
    if (r->proto->kind == PROTO_TEXT && (key.len == 0 || (!r->raw.clean && find_control(key) >= 0))) {
        return ERR_SYNTAX;
    }
    return key.len > limits->key_bytes ? ERR_TOOBIG : 0;
}

static __attribute__((noinline)) int check_key(const struct request *r, struct slice key, const struct command_limits *limits)
{
    return check_one_key(r, key, limits);
}

/* Several keys, or pairs of keys and values. */
static __attribute__((noinline)) int check_keys(const struct request *r, const struct command_limits *limits)
{
    struct command_keys keys;
    command_keys(r->command, &keys);
    size_t end = keys.open ? r->count : keys.count;
    for (size_t i = 0; i < end; i += keys.step) {
        int rc = check_key(r, r->args[i], limits);
        if (rc < 0) {
            return rc;
        }
        if (keys.step == 2 && i + 1 < r->count && r->args[i + 1].len > limits->value_bytes) {
            return ERR_TOOBIG;
        }
    }
    return 0;
}

/* Of a command that has one. */
static inline struct slice value_of(const struct request *r)
{
    return r->args[r->command->flags & COMMAND_REST ? r->count - 1 : 1];
}

/* What asks for more than a look at one key and one value. */
#define CHECKED_FURTHER (COMMAND_MORE_KEYS | COMMAND_BEGINS | COMMAND_TOKEN | COMMAND_NUMBER)

static __attribute__((noinline)) int check_further(const struct request *r, const struct command_limits *limits)
{
    unsigned flags = r->command->flags;
    if (flags & COMMAND_MORE_KEYS) {
        return check_keys(r, limits);
    }
    int rc = flags & COMMAND_KEY ? check_key(r, r->args[0], limits) : 0;
    if (rc < 0) {
        return rc;
    }
    if (flags & COMMAND_BEGINS) {
        struct begin_words b = command_read_begin(r);
        return b.wrong ? ERR_SYNTAX : b.has_token ? check_token(b.token) : 0;
    }
    if (flags & COMMAND_TOKEN) {
        return check_token(r->args[0]);
    }
    if (flags & COMMAND_NUMBER && r->count == 2) {
        int64_t number;
        return store_parse_integer(r->args[1], &number) ? 0 : ERR_NOTINT;
    }
    return 0;
}

static int check_args(const struct request *r, const struct command_limits *limits)
{
    unsigned flags = r->command->flags;
    if (flags & CHECKED_FURTHER) {
        return check_further(r, limits);
    }
    int rc = flags & COMMAND_KEY ? check_one_key(r, r->args[0], limits) : 0;
    bool too_big = flags & (COMMAND_REST | COMMAND_VALUE2) && value_of(r).len > limits->value_bytes;
    return rc < 0 ? rc : too_big ? ERR_TOOBIG : 0;
}

static bool is_counted(const struct request *r)
{
    const struct command *c = r->command;
    return r->count >= c->args_min && r->count <= c->args_max;
}

static inline size_t split(const struct request *r, size_t max, bool rest, struct slice *words)
{
    return r->raw.clean ? proto_split_clean(&r->raw, max, rest, words) : r->proto->split(&r->raw, max, rest, words, r->unquoted);
}

/* The long way, and the only one that is not a short cut. */
static __attribute__((noinline)) void parse_any(struct request *r, const struct command_limits *limits, struct slice *words)
{
    const struct raw_request *raw = &r->raw;
    r->args = words;
    r->count = 0;
    r->command = command_find(r->proto->kind, raw->verb);
    if (raw->too_long) {
        r->error = raw->no_memory ? ERR_FULL : ERR_TOOBIG;
    } else if (raw->bad_cr || (raw->verb.len == 0 && r->proto->kind == PROTO_TEXT)) {
        r->error = ERR_SYNTAX;
    } else if (r->command == NULL) {
        r->count = split(r, COMMAND_ARGS_MAX, false, words);
        r->error = ERR_UNKNOWN;
    } else {
        r->count = split(r, r->command->args_max, r->command->flags & COMMAND_REST, words);
        r->error = is_counted(r) ? check_args(r, limits) : r->count > COMMAND_ARGS_MAX ? ERR_TOOBIG : ERR_SYNTAX;
    }
}

/* Most requests are clean lines of a key, and perhaps a value, and have no error. False for any other, of which a flag of the command or
 * a check must tell. It calls nothing, so that it saves no registers. */
static inline bool parse_simple(struct request *r, const struct command_limits *limits, struct slice *words)
{
    const struct command *c = r->raw.clean ? command_find_likely(PROTO_TEXT, r->raw.verb) : NULL;
    if (c == NULL || !(c->flags & COMMAND_KEY) || c->flags & (CHECKED_FURTHER | COMMAND_VALUE2)) {
        return false;
    }
    size_t count = proto_split_clean(&r->raw, c->args_max, c->flags & COMMAND_REST, words);
    if (count < c->args_min || count > c->args_max || words[0].len == 0 || words[0].len > limits->key_bytes ||
        (c->flags & COMMAND_REST && words[count - 1].len > limits->value_bytes)) {
        return false;
    }
    r->command = c;
    r->args = words;
    r->count = count;
    r->error = 0;
    return true;
}

void command_parse(struct request *r, const struct command_limits *limits, struct slice *words)
{
    if (!parse_simple(r, limits, words)) {
        parse_any(r, limits, words);
    }
}

/* The name of the nth argument in a usage such as "key [by]", without its brackets. */
static struct slice argument_name(const char *usage, size_t nth)
{
    const char *at = usage;
    while (nth > 0 && strchr(at, ' ') != NULL) {
        at = strchr(at, ' ') + 1;
        nth--;
    }
    at += *at == '[';
    return slice_of(at, strcspn(at, " ]"));
}

static void explain_key(const struct request *r, struct slice key, const struct command_limits *limits, char *why, size_t size)
{
    const struct command *c = r->command;
    if (key.len == 0) {
        snprintf(why, size, "%s got an empty key; one space stands between words: %s %s", c->name, c->name, c->usage);
    } else if (key.len > limits->key_bytes) {
        snprintf(why, size, "the key has %zu bytes; a key has at most %zu (--key-max)", key.len, limits->key_bytes);
    } else {
        snprintf(why, size, "the key holds control byte 0x%02x; a key of this protocol has none", find_control(key));
    }
}

static void explain_token(struct slice token, char *why, size_t size)
{
    if (token.len > OUTCOME_TOKEN_MAX) {
        snprintf(why, size, "the ID has %zu bytes; an ID has at most %zu", token.len, OUTCOME_TOKEN_MAX);
    } else {
        snprintf(why, size, "the ID is empty or holds what is no printable ASCII; an ID is one word of 1 to %zu bytes",
                 OUTCOME_TOKEN_MAX);
    }
}

static void explain_begin(const struct request *r, char *why, size_t size)
{
    struct begin_words b = command_read_begin(r);
    const struct command *c = r->command;
    struct slice last = r->args[r->count - 1];
    if (!b.wrong) {
        explain_token(b.token, why, size);
    } else if (last.len == 2 && strncasecmp(last.data, "ID", 2) == 0) {
        snprintf(why, size, "ID lacks its token; %s %s", c->name, c->usage);
    } else if (b.has_mode) {
        snprintf(why, size, "behind the mode stand ID and its token, or nothing; %s %s", c->name, c->usage);
    } else {
        snprintf(why, size, "unknown mode; %s %s", c->name, c->usage);
    }
}

static void explain_args(const struct request *r, const struct command_limits *limits, char *why, size_t size)
{
    const struct command *c = r->command;
    struct command_keys keys;
    command_keys(c, &keys);
    size_t end = keys.open ? r->count : keys.count;
    for (size_t i = 0; i < end; i += keys.step) {
        if (check_key(r, r->args[i], limits) < 0) {
            explain_key(r, r->args[i], limits, why, size);
            return;
        }
    }
    if (c->flags & COMMAND_PAIRS) {
        snprintf(why, size, "a value has at most %zu bytes (--value-max)", limits->value_bytes);
        return;
    }
    if (c->flags & (COMMAND_REST | COMMAND_VALUE2)) {
        snprintf(why, size, "the value has %zu bytes; a value has at most %zu (--value-max)", value_of(r).len,
                 limits->value_bytes);
    } else if (c->flags & COMMAND_NUMBER) {
        snprintf(why, size, "%s takes a signed 64-bit integer, such as 5 or -5: %s %s", c->name, c->name, c->usage);
    } else if (c->flags & COMMAND_TOKEN) {
        explain_token(r->args[0], why, size);
    } else {
        explain_begin(r, why, size);
    }
}

static void explain_count(const struct request *r, char *why, size_t size)
{
    const struct command *c = r->command;
    const char *gap = c->usage[0] == '\0' ? "" : " ";
    if (r->count < c->args_min) {
        struct slice name = argument_name(c->usage, r->count);
        bool value = c->flags & COMMAND_REST && r->count + 1 == c->args_max;
        snprintf(why, size, "%s lacks its %.*s%s: %s %s", c->name, (int)name.len, name.data,
                 value ? " (for an empty one, end the line with a space)" : "", c->name, c->usage);
    } else if (r->count > COMMAND_ARGS_MAX) {
        snprintf(why, size, "%s takes at most %d words", c->name, COMMAND_ARGS_MAX);
    } else {
        snprintf(why, size, "%s got more than it takes; one space stands between words: %s%s%s", c->name, c->name, gap,
                 c->usage);
    }
}

static void explain_unknown(struct slice verb, char *why, size_t size)
{
    char shown[33];
    size_t len = verb.len < sizeof(shown) - 1 ? verb.len : sizeof(shown) - 1;
    for (size_t i = 0; i < len; i++) {
        shown[i] = isprint((unsigned char)verb.data[i]) ? verb.data[i] : '?';
    }
    shown[len] = '\0';
    snprintf(why, size, "there is no command %s; HELP lists the commands", shown);
}

/* In Redis's words, which clients look at. */
static void explain_to_redis(const struct request *r, char *why, size_t size)
{
    if (r->command != NULL) {
        char name[32];
        snprintf(name, sizeof(name), "%s", r->command->name);
        command_small(name);
        snprintf(why, size, "wrong number of arguments for '%s' command", name);
        return;
    }
    size_t len = (size_t)snprintf(why, size, "unknown command '%.*s', with args beginning with: ",
                                  slice_shown(r->raw.verb, COMMAND_SHOWN), r->raw.verb.data);
    size_t start = len;
    for (size_t i = 0; i < r->count && len - start < COMMAND_SHOWN && len < size; i++) {
        int most = COMMAND_SHOWN - (int)(len - start);
        len += (size_t)snprintf(why + len, size - len, "'%.*s' ", slice_shown(r->args[i], most), r->args[i].data);
    }
}

/* Whether Redis has words for an error that command_parse found, which are not those of the text protocol. */
static bool is_in_redis(const struct request *r)
{
    bool counted = r->command != NULL && (is_counted(r) || r->count > COMMAND_ARGS_MAX);
    return r->proto->kind == PROTO_RESP && !r->raw.too_long && !counted;
}

void command_explain(const struct request *r, const struct command_limits *limits, char *why, size_t size)
{
    if (is_in_redis(r)) {
        explain_to_redis(r, why, size);
    } else if (r->raw.no_memory) {
        snprintf(why, size, "no memory to receive a line as long as this one; nothing of it was run");
    } else if (r->raw.too_long) {
        bool line = r->proto->kind == PROTO_TEXT;
        snprintf(why, size, line ? "the line has more than %zu bytes (key, value and 64)"
                                 : "the request has more words than 1025, or more bytes than 2 MiB and the longest value (%zu)",
                 line ? command_line_max(limits) : limits->value_bytes);
    } else if (r->raw.bad_cr) {
        snprintf(why, size, "a CR stands inside the line; a line ends with LF or CRLF and holds no other CR");
    } else if (r->raw.verb.len == 0) {
        snprintf(why, size, "a line begins with its command, not with a space");
    } else if (r->command == NULL) {
        explain_unknown(r->raw.verb, why, size);
    } else if (!is_counted(r)) {
        explain_count(r, why, size);
    } else {
        explain_args(r, limits, why, size);
    }
}

int command_check_line(struct slice line, char *why, size_t why_size)
{
    const struct command_limits limits = {COMMAND_KEY_BYTES_DEFAULT, COMMAND_VALUE_BYTES_DEFAULT};
    struct slice words[COMMAND_ARGS_MAX];
    struct request r = {.proto = &proto_text};
    char text[256];
    const char *space = memchr(line.data, ' ', line.len);
    size_t verb_len = space == NULL ? line.len : (size_t)(space - line.data);
    r.raw = (struct raw_request){.verb = slice_of(line.data, verb_len),
                                 .tail = slice_of(space == NULL ? line.data + line.len : space + 1,
                                                  space == NULL ? 0 : line.len - verb_len - 1),
                                 .has_tail = space != NULL,
                                 .bad_cr = line.len > 0 && memchr(line.data, '\r', line.len) != NULL,
                                 .too_long = line.len > command_line_max(&limits)};
    command_parse(&r, &limits, words);
    if (r.error < 0) {
        command_explain(&r, &limits, text, sizeof(text));
        snprintf(why, why_size, "%s %s", err_word(r.error), text);
    }
    return r.error;
}
