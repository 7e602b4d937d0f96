/* The table of commands: its own consistency, parsing, and what is said of lines that are wrong. */
#include <criterion/criterion.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "command_run.h"
#include "err.h"
#include "guard.h"
#include "hash.h"
#include "session.h"
#include "tick.h"

/* --- the table, command_at --- */

static const enum proto_kind kinds[] = {PROTO_TEXT, PROTO_RESP};

/* The decoder remembers so many bytes of an over-long line; the verb and what shows its end must be among them. */
#define NAME_MAX_LETTERS (sizeof(((struct decoder *)0)->verb) - 1)

Test(table, names_are_capitals_and_unique_in_each_protocol)
{
    for (int k = 0; k < 2; k++) {
        for (size_t i = 0; command_at(kinds[k], i) != NULL; i++) {
            const char *name = command_at(kinds[k], i)->name;
            cr_assert(strlen(name) >= 1 && strlen(name) <= NAME_MAX_LETTERS, "%s", name);
            for (const char *c = name; *c != '\0'; c++) {
                cr_assert(isupper((unsigned char)*c), "%s", name);
            }
            for (size_t j = 0; j < i; j++) {
                cr_assert_str_neq(name, command_at(kinds[k], j)->name);
            }
        }
    }
}

Test(table, ends_with_null_and_stays_at_it)
{
    size_t count = 0;
    while (command_at(PROTO_TEXT, count) != NULL) {
        count++;
    }
    cr_assert_geq(count, 17u);
    cr_assert_null(command_at(PROTO_TEXT, count + 1));
    cr_assert_null(command_at(PROTO_TEXT, SIZE_MAX));
}

/* Arguments that a usage such as "key [by]" shows: at least, and at most. */
static void count_usage(const char *usage, unsigned *min, unsigned *max)
{
    bool optional = false;
    *min = 0;
    *max = 0;
    for (const char *at = usage; *at != '\0';) {
        size_t len = strcspn(at, " ");
        optional = optional || *at == '[';
        if (strncmp(at, "...", 3) == 0) {
            *max = COMMAND_ARGS_MAX;
        } else {
            *min += optional ? 0 : 1;
            *max += 1;
        }
        optional = optional && at[len - 1] != ']';
        at += len + (at[len] == ' ');
    }
    cr_assert_not(optional, "%s: a bracket is not closed", usage);
}

Test(table, usages_show_as_many_arguments_as_are_taken)
{
    for (int k = 0; k < 2; k++) {
        for (size_t i = 0; command_at(kinds[k], i) != NULL; i++) {
            const struct command *c = command_at(kinds[k], i);
            unsigned min, max;
            count_usage(c->usage, &min, &max);
            cr_assert_eq(min, c->args_min, "%s %s", c->name, c->usage);
            if (c->run != run_auth) { /* it refuses more in words of its own */
                cr_assert_eq(max, c->args_max, "%s %s", c->name, c->usage);
            }
            cr_assert_leq(c->args_min, c->args_max);
            cr_assert_leq(c->args_max, (unsigned)COMMAND_ARGS_MAX);
        }
    }
}

Test(table, every_command_has_a_function_and_one_line_of_help)
{
    for (int k = 0; k < 2; k++) {
        for (size_t i = 0; command_at(kinds[k], i) != NULL; i++) {
            const struct command *c = command_at(kinds[k], i);
            cr_assert_not_null(c->run);
            cr_assert_gt(strlen(c->help), 3u);
            cr_assert_null(strpbrk(c->help, "\r\n"));
            cr_assert_lt(strlen(c->name) + strlen(c->usage) + strlen(c->help), 500u);
        }
    }
}

Test(table, flags_agree_with_the_usage)
{
    for (int k = 0; k < 2; k++) {
        for (size_t i = 0; command_at(kinds[k], i) != NULL; i++) {
            const struct command *c = command_at(kinds[k], i);
            struct command_keys keys;
            command_keys(c, &keys);
            bool key = strncmp(c->usage, "key", 3) == 0;
            bool pairs = strstr(c->usage, "key value ...") != NULL;
            bool all = strstr(c->usage, "key ...") != NULL;
            cr_assert_eq((c->flags & COMMAND_KEYS) != 0, all, "%s", c->name);
            cr_assert_eq((c->flags & COMMAND_PAIRS) != 0, pairs, "%s", c->name);
            cr_assert_eq((c->flags & COMMAND_KEY) != 0, key && !all && !pairs, "%s", c->name);
            cr_assert_eq((c->flags & COMMAND_KEY2) != 0, strstr(c->usage, "key newkey") != NULL || strstr(c->usage, "key key2") != NULL,
                         "%s", c->name);
            bool value = (strstr(c->usage, "value") != NULL && !pairs) || c->run == run_auth_line;
            cr_assert_eq((c->flags & (COMMAND_REST | COMMAND_VALUE2)) != 0, value, "%s", c->name);
            cr_assert_eq(keys.open || keys.count > 0, key, "%s", c->name);
            cr_assert(c->args_min >= (keys.open ? keys.step : keys.count), "%s", c->name);
        }
    }
}

/* --- command_find --- */

Test(find, in_any_case)
{
    for (int k = 0; k < 2; k++) {
        for (size_t i = 0; command_at(kinds[k], i) != NULL; i++) {
            const char *name = command_at(kinds[k], i)->name;
            size_t len = strlen(name);
            for (unsigned mask = 0; mask < 1u << len; mask++) {
                char mixed[NAME_MAX_LETTERS + 1] = {0};
                for (size_t j = 0; j < len; j++) {
                    mixed[j] = (char)(mask >> j & 1u ? tolower((unsigned char)name[j]) : name[j]);
                }
                cr_assert_eq(command_find(kinds[k], slice_of(mixed, len)), command_at(kinds[k], i), "%s", mixed);
            }
        }
    }
}

Test(find, no_other_byte_passes_for_a_letter)
{
    for (int k = 0; k < 2; k++) {
        for (size_t i = 0; command_at(kinds[k], i) != NULL; i++) {
            size_t len = strlen(command_at(kinds[k], i)->name);
            for (size_t j = 0; j < len; j++) {
                for (int c = 0; c < 256; c++) {
                    char name[NAME_MAX_LETTERS + 1] = {0};
                    memcpy(name, command_at(kinds[k], i)->name, len);
                    name[j] = (char)c;
                    const struct command *found = command_find(kinds[k], slice_of(name, len));
                    cr_assert(found == NULL || (strncasecmp(found->name, name, len) == 0 && strlen(found->name) == len),
                              "byte 0x%02x in the place of %zu of %s", (unsigned)c, j, command_at(kinds[k], i)->name);
                }
            }
        }
    }
}

Test(find, nothing_shorter_or_longer)
{
    for (size_t i = 0; command_at(PROTO_TEXT, i) != NULL; i++) {
        char name[32] = {0};
        size_t len = strlen(command_at(PROTO_TEXT, i)->name);
        memcpy(name, command_at(PROTO_TEXT, i)->name, len);
        cr_assert_null(command_find(PROTO_TEXT, slice_of(name, len - 1)), "%s", name);
        cr_assert_null(command_find(PROTO_TEXT, slice_of(name, len + 1)), "%s and a NUL", name);
        name[len] = 'S';
        cr_assert_null(command_find(PROTO_TEXT, slice_of(name, len + 1)), "%s", name);
        cr_assert_null(command_find(PROTO_TEXT, slice_of(name, sizeof(name))), "%s", name);
    }
    cr_assert_null(command_find(PROTO_TEXT, slice_of("", 0)));
    cr_assert_null(command_find(PROTO_TEXT, slice_of(NULL, 0)));
}

/* --- command_line_max --- */

Test(line_max, holds_the_longest_command)
{
    const struct command_limits limits = {.key_bytes = 10, .value_bytes = 20};
    cr_assert_geq(command_line_max(&limits), strlen("SET ") + 10 + 1 + 20);
}

/* --- command_parse, command_explain --- */

static const struct command_limits small = {.key_bytes = 8, .value_bytes = 16};
static struct slice words[COMMAND_ARGS_MAX];

static struct request parse(struct slice line)
{
    struct request r = {.proto = &proto_text};
    struct decoder d = {.began = true};
    static char bytes[1 << 16];
    cr_assert_lt(line.len + 2, sizeof(bytes));
    memcpy(bytes, line.data, line.len);
    memcpy(bytes + line.len, "\r\n", 2);
    cr_assert_eq(proto_text.decode(&d, slice_of(bytes, line.len + 2), 20000, &r.raw), DECODED_REQUEST);
    command_parse(&r, &small, words);
    return r;
}

/* One printable line, complete, at every size of its place. */
static void check_explained(const struct request *r)
{
    char why[1024], less[1024];
    memset(why, 'X', sizeof(why));
    command_explain(r, &small, why, sizeof(why));
    size_t len = strlen(why);
    cr_assert(len >= 5 && len < 256, "%s: %s", err_word(r->error), why);
    for (size_t i = 0; i < len; i++) {
        cr_assert(isprint((unsigned char)why[i]), "%s: byte 0x%02x", why, (unsigned char)why[i]);
    }
    for (size_t size = 1; size <= len + 1; size++) {
        memset(less, 'X', sizeof(less));
        command_explain(r, &small, less, size);
        cr_assert_eq(strlen(less), size - 1);
        cr_assert_eq(strncmp(less, why, size - 1), 0);
        cr_assert_eq(less[size], 'X', "wrote past its %zu bytes", size);
    }
}

struct line_case {
    const char *line;
    int error;
};

static const struct line_case wrong[] = {
    {"NOPE", ERR_UNKNOWN},
    {"GETT key", ERR_UNKNOWN},
    {"a\x01\x7f\xff\x1b[31m", ERR_UNKNOWN},
    {"averylongwordthatisnocommandandgoesonandonandon", ERR_UNKNOWN},
    {"%s%s%n", ERR_UNKNOWN},
    {" GET key", ERR_SYNTAX},
    {" ", ERR_SYNTAX},
    {"GET", ERR_SYNTAX},
    {"GET ", ERR_SYNTAX},
    {"GET  key", ERR_SYNTAX},
    {"GET key ", ERR_SYNTAX},
    {"GET key more", ERR_SYNTAX},
    {"GET k\ty", ERR_SYNTAX},
    {"GET k\x7fy", ERR_SYNTAX},
    {"GET k\ry", ERR_SYNTAX},
    {"PI\rNG", ERR_SYNTAX},
    {"GET 123456789", ERR_TOOBIG},
    {"SET", ERR_SYNTAX},
    {"SET key", ERR_SYNTAX},
    {"SET  value", ERR_SYNTAX},
    {"SET k\x01 v", ERR_SYNTAX},
    {"SET 123456789 v", ERR_TOOBIG},
    {"SET key 12345678901234567", ERR_TOOBIG},
    {"INCR", ERR_SYNTAX},
    {"INCR key ", ERR_NOTINT},
    {"INCR key x", ERR_NOTINT},
    {"INCR key +1", ERR_NOTINT},
    {"INCR key 01", ERR_NOTINT},
    {"INCR key -0", ERR_NOTINT},
    {"INCR key 9223372036854775808", ERR_NOTINT},
    {"INCR key 1 2", ERR_SYNTAX},
    {"MGET", ERR_SYNTAX},
    {"MGET ", ERR_SYNTAX},
    {"MGET a  b", ERR_SYNTAX},
    {"MGET a b 123456789", ERR_TOOBIG},
    {"BEGIN x", ERR_SYNTAX},
    {"BEGIN ", ERR_SYNTAX},
    {"BEGIN READONLY ", ERR_SYNTAX},
    {"BEGIN SERIALIZABLE READONLY", ERR_SYNTAX},
    {"BEGIN ID", ERR_SYNTAX},
    {"BEGIN ID ", ERR_SYNTAX},
    {"BEGIN READONLY ID", ERR_SYNTAX},
    {"BEGIN READONLY ID a b", ERR_SYNTAX},
    {"BEGIN ID a READONLY", ERR_SYNTAX},
    {"BEGIN READONLY NAME a", ERR_SYNTAX},
    {"BEGIN ID \x1f", ERR_SYNTAX},
    {"BEGIN ID \x7f", ERR_SYNTAX},
    {"BEGIN ID \xc3\xa4", ERR_SYNTAX},
    {"BEGIN ID 12345678901234567890123456789012345678901234567890123456789012345", ERR_TOOBIG},
    {"OUTCOME", ERR_SYNTAX},
    {"OUTCOME ", ERR_SYNTAX},
    {"OUTCOME a b", ERR_SYNTAX},
    {"OUTCOME a\tb", ERR_SYNTAX},
    {"OUTCOME 12345678901234567890123456789012345678901234567890123456789012345", ERR_TOOBIG},
    {"CHECKPOINT now", ERR_SYNTAX},
    {"BACKUP", ERR_SYNTAX},
    {"COMMIT ", ERR_SYNTAX},
    {"PING x", ERR_SYNTAX},
    {"HELP a b", ERR_SYNTAX},
    {"QUIT now", ERR_SYNTAX},
};

static const struct line_case right[] = {
    {"GET key", 1},
    {"get 12345678", 1},
    {"SET key value", 2},
    {"SET key ", 2},
    {"SET key a  b ", 2},
    {"SET k 1234567890123456", 2},
    {"DEL key", 1},
    {"EXISTS key", 1},
    {"INCR key", 1},
    {"INCR key -5", 2},
    {"INCR key 9223372036854775807", 2},
    {"INCR key -9223372036854775808", 2},
    {"MGET a", 1},
    {"MGET a b c", 3},
    {"DBSIZE", 0},
    {"FLUSH", 0},
    {"BEGIN", 0},
    {"BEGIN serializable", 1},
    {"Begin ReadOnly", 1},
    {"BEGIN ID a", 2},
    {"begin id id", 2},
    {"BEGIN Serializable Id !~", 3},
    {"BEGIN ID 1234567890123456789012345678901234567890123456789012345678901234", 2},
    {"OUTCOME a", 1},
    {"OUTCOME 1234567890123456789012345678901234567890123456789012345678901234", 1},
    {"CHECKPOINT", 0},
    {"BACKUP name", 1},
    {"COMMIT", 0},
    {"ROLLBACK", 0},
    {"PING", 0},
    {"HELP", 0},
    {"HELP GET", 1},
    {"HELP ", 1},
    {"QUIT", 0},
    {"GET \xc3\xa4\xff", 1},
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

Test(parse, lines_that_are_wrong_have_their_error_and_a_reason)
{
    for (size_t i = 0; i < COUNT(wrong); i++) {
        struct request r = parse(slice_str(wrong[i].line));
        cr_assert_eq(r.error, wrong[i].error, "%s: %d", wrong[i].line, r.error);
        check_explained(&r);
    }
}

Test(parse, lines_that_are_right_have_their_arguments)
{
    for (size_t i = 0; i < COUNT(right); i++) {
        struct request r = parse(slice_str(right[i].line));
        cr_assert_eq(r.error, 0, "%s: %d", right[i].line, r.error);
        cr_assert_not_null(r.command);
        cr_assert_eq(r.count, (size_t)right[i].error, "%s: %zu arguments", right[i].line, r.count);
    }
}

Test(parse, arguments_are_the_words_as_they_stand)
{
    struct request r = parse(slice_str("SET key  a b "));
    cr_assert(slice_equal(r.args[0], slice_str("key")));
    cr_assert(slice_equal(r.args[1], slice_str(" a b ")));
    r = parse(slice_str("MGET a bb"));
    cr_assert(slice_equal(r.args[1], slice_str("bb")));
}

Test(parse, every_command_with_every_count_of_words)
{
    for (size_t i = 0; command_at(PROTO_TEXT, i) != NULL; i++) {
        const struct command *c = command_at(PROTO_TEXT, i);
        char line[200];
        size_t len = (size_t)snprintf(line, sizeof(line), "%s", c->name);
        for (unsigned count = 0; count < 20; count++) {
            struct request r = parse(slice_of(line, len));
            bool counted = count >= c->args_min && (count <= c->args_max || c->flags & COMMAND_REST);
            cr_assert_eq(r.command, c);
            if (!counted) {
                cr_assert_eq(r.error, ERR_SYNTAX, "%s", line);
            }
            if (r.error < 0) {
                check_explained(&r);
            }
            len += (size_t)snprintf(line + len, sizeof(line) - len, " 1");
        }
    }
}

Test(parse, a_command_has_at_most_1024_words)
{
    static char line[4096];
    size_t len = (size_t)snprintf(line, sizeof(line), "MGET");
    for (int i = 0; i < COMMAND_ARGS_MAX; i++) {
        len += (size_t)snprintf(line + len, sizeof(line) - len, " k");
    }
    struct request r = parse(slice_of(line, len));
    cr_assert_eq(r.error, 0);
    cr_assert_eq(r.count, (size_t)COMMAND_ARGS_MAX);
    len += (size_t)snprintf(line + len, sizeof(line) - len, " k");
    r = parse(slice_of(line, len));
    cr_assert_eq(r.error, ERR_TOOBIG);
    check_explained(&r);
}

Test(parse, over_long_lines_have_their_reason_whatever_they_hold)
{
    for (size_t i = 0; i < COUNT(wrong); i++) {
        struct request r = parse(slice_str(wrong[i].line));
        r.raw.too_long = true;
        command_parse(&r, &small, words);
        cr_assert_eq(r.error, ERR_TOOBIG);
        check_explained(&r);
        r.raw.no_memory = true;
        command_parse(&r, &small, words);
        cr_assert_eq(r.error, ERR_FULL);
        check_explained(&r);
    }
}

static size_t draw(uint64_t *seed)
{
    *seed = *seed * 6364136223846793005U + 1442695040888963407U;
    return (size_t)(*seed >> 40);
}

#define ANY_LINE_MAX 128

/* A command's name, mostly, and up to so many of these bytes. */
static struct slice any_line(uint64_t *seed, const char *bytes, size_t most)
{
    static char line[ANY_LINE_MAX];
    size_t len = 0;
    size_t pick = draw(seed);
    const char *name = command_at(PROTO_TEXT, pick % 17)->name;
    if (pick % 3 != 0) {
        len = strlen(name);
        memcpy(line, name, len);
    }
    for (size_t more = (pick >> 8) % most + (len == 0); more > 0; more--) {
        line[len++] = bytes[draw(seed) % strlen(bytes)];
    }
    return slice_of(line, len);
}

/* Any bytes at all: either no error, or one that is explained. */
Test(parse, bytes_of_any_kind)
{
    uint64_t seed = 1;
    for (int round = 0; round < 20000; round++) {
        struct slice line = any_line(&seed, "   \t\x01\x7f\xff%sGETetSInc 1-9\rkey", 20);
        if (line.len == 1 && line.data[0] == '\r') {
            continue; /* with the line's end this would be blank */
        }
        struct request r = parse(line);
        if (r.error < 0) {
            check_explained(&r);
        }
    }
}

/* Where a line is decoded, against an unreadable page; and its words. */
struct place {
    struct guard guard;
    struct slice words[COMMAND_ARGS_MAX];
};

/* Decodes and parses a line whose first `came` bytes were there before, and behind which so many bytes stand. */
static struct request parse_among(struct slice line, size_t came, size_t behind, struct place *place)
{
    char bytes[2 * ANY_LINE_MAX];
    struct request r = {.proto = &proto_text};
    struct decoder d = {.began = true};
    memcpy(bytes, line.data, line.len);
    memcpy(bytes + line.len, "\r\n", 2);
    memset(bytes + line.len + 2, 'x', behind);
    struct slice all = guard_copy(&place->guard, slice_of(bytes, line.len + 2 + behind));
    if (came > 0) {
        cr_assert_eq(proto_text.decode(&d, slice_of(all.data, came), 20000, &r.raw), DECODED_MORE);
    }
    cr_assert_eq(proto_text.decode(&d, all, 20000, &r.raw), DECODED_REQUEST);
    command_parse(&r, &small, place->words);
    return r;
}

static bool is_same(const struct request *a, const struct request *b)
{
    bool same = a->command == b->command && a->error == b->error && a->count == b->count && a->raw.consumed == b->raw.consumed;
    size_t counted = a->command == NULL ? COMMAND_ARGS_MAX : a->command->args_max;
    for (size_t i = 0; same && i < a->count && i < counted; i++) {
        same = slice_equal(a->args[i], b->args[i]);
    }
    return same;
}

/* Lines that the decoder cuts by a short cut where it has one: up to 63 bytes, none of them a control byte, where 16 have come. */
static bool is_cut_short(struct slice line, size_t behind)
{
    bool clean = true;
    for (size_t i = 0; i < line.len; i++) {
        clean = clean && (unsigned char)line.data[i] >= ' ' && line.data[i] != '\x7f';
    }
#ifdef __SSE2__
    return clean && line.len < 64 && line.len + 2 + behind >= 16;
#else
    return clean && false;
#endif
}

/* A line is the same request whether the short cuts for it are taken or not. */
Test(parse, short_lines_are_what_the_long_way_makes_of_them)
{
    static struct place one, other;
    uint64_t seed = 2;
    guard_init(&one.guard, 2 * ANY_LINE_MAX);
    guard_init(&other.guard, 2 * ANY_LINE_MAX);
    for (int round = 0; round < 100000; round++) {
        struct slice line = any_line(&seed, round % 2 == 0 ? "   \t\x7f\xffkey 12" : " abcdefgh", 70);
        if (line.data[0] == '\r' || line.len < 2) {
            continue;
        }
        struct request slow = parse_among(line, 1, (size_t)round % 3, &one);
        cr_assert(!slow.raw.clean);
        for (size_t behind = 0; behind <= 80; behind += behind < 20 ? 1 : 20) {
            struct request fast = parse_among(line, 0, behind, &other);
            cr_assert_eq(fast.raw.clean, is_cut_short(line, behind), "%.*s", (int)line.len, line.data);
            cr_assert(is_same(&fast, &slow), "%.*s: %d, not %d", (int)line.len, line.data, fast.error, slow.error);
        }
    }
    guard_deinit(&one.guard);
    guard_deinit(&other.guard);
}

/* --- command_check_line --- */

static char why[512];

static int check_line(const char *line)
{
    memset(why, 0, sizeof(why));
    return command_check_line(slice_str(line), why, sizeof(why));
}

Test(check_line, good_lines)
{
    for (size_t i = 0; i < COUNT(right); i++) {
        cr_assert_eq(check_line(right[i].line), 0, "%s: %s", right[i].line, why);
    }
}

Test(check_line, bad_lines_have_their_error)
{
    for (size_t i = 0; i < COUNT(wrong); i++) {
        if (wrong[i].error == ERR_TOOBIG) {
            continue; /* under the small limits of the tests above */
        }
        cr_assert_eq(check_line(wrong[i].line), wrong[i].error, "%s", wrong[i].line);
        size_t len = strlen(err_word(wrong[i].error));
        cr_assert(strncmp(why, err_word(wrong[i].error), len) == 0 && why[len] == ' ', "%s", why);
    }
    cr_assert_eq(check_line(""), ERR_SYNTAX);
}

Test(check_line, keys_and_values_at_their_limits)
{
    size_t size = COMMAND_KEY_BYTES_DEFAULT + COMMAND_VALUE_BYTES_DEFAULT + 200;
    char *line = malloc(size);
    memset(line, 'k', size);
    memcpy(line, "GET ", 4);
    cr_assert_eq(command_check_line(slice_of(line, 4 + COMMAND_KEY_BYTES_DEFAULT), why, sizeof(why)), 0);
    cr_assert_eq(command_check_line(slice_of(line, 5 + COMMAND_KEY_BYTES_DEFAULT), why, sizeof(why)), ERR_TOOBIG);
    memcpy(line, "SET k ", 6);
    cr_assert_eq(command_check_line(slice_of(line, 6 + COMMAND_VALUE_BYTES_DEFAULT), why, sizeof(why)), 0);
    cr_assert_eq(command_check_line(slice_of(line, 7 + COMMAND_VALUE_BYTES_DEFAULT), why, sizeof(why)), ERR_TOOBIG);
    cr_assert_not_null(strstr(why, "the value has"));
    cr_assert_eq(command_check_line(slice_of(line, size), why, sizeof(why)), ERR_TOOBIG);
    cr_assert_not_null(strstr(why, "the line has more than"));
    free(line);
}

Test(check_line, says_no_more_than_fits)
{
    char little[12];
    memset(little, 'X', sizeof(little));
    cr_assert_eq(command_check_line(slice_str("NOPE"), little, 10), ERR_UNKNOWN);
    cr_assert_str_eq(little, "UNKNOWN t");
    cr_assert_eq(little[10], 'X');
}

/* What the prompt says of a line is what the server would have said. */
Test(check_line, says_what_the_server_says)
{
    static struct engine engine;
    static struct tick tick;
    static struct session s;
    cr_assert_eq(hash_init(), 0);
    cr_assert_eq(engine_init(&engine), 0);
    tick_init(&tick);
    session_init(&s, &engine);
    s.decoder.began = true;
    for (size_t i = 0; i < COUNT(wrong); i++) {
        char wanted[600];
        if (check_line(wrong[i].line) == 0) {
            continue;
        }
        int len = snprintf(wanted, sizeof(wanted), "ERR %s\r\n", why);
        cr_assert_eq(buf_append(&s.in, wrong[i].line, strlen(wrong[i].line)), 0);
        cr_assert_eq(buf_append(&s.in, "\r\n", 2), 0);
        struct request r = {.proto = &proto_text};
        struct slice bytes = slice_of(buf_head(&s.in), buf_len(&s.in));
        cr_assert_eq(proto_text.decode(&s.decoder, bytes, command_line_max(&engine.limits.command), &r.raw),
                     DECODED_REQUEST);
        command_parse(&r, &engine.limits.command, words);
        session_run(&s, &r);
        cr_assert(slice_equal(slice_of(buf_head(&s.out), buf_len(&s.out)), slice_of(wanted, (size_t)len)),
                  "%s: server %.*s prompt %s", wrong[i].line, (int)buf_len(&s.out), buf_head(&s.out), wanted);
        buf_consume(&s.in, buf_len(&s.in));
        buf_consume(&s.out, buf_len(&s.out));
        store_rollback(&engine.store, &s.txn); /* a refused BEGIN opens a failed one */
    }
    session_deinit(&s);
    engine_deinit(&engine);
}
