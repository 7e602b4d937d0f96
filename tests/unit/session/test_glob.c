/* glob: what matches, as Redis has it; beside a model that tries one way after the other; and that no pattern takes long. */
#include "glob.h"

#include <stdio.h>
#include <string.h>

#include "err.h"
#include "mem.h"
#include "rng.h"
#include "unit.h"

static bool matches(struct slice pattern, struct slice text)
{
    struct glob g;
    cr_assert_eq(glob_init(&g, pattern), 0);
    bool found = glob_matches(&g, text);
    glob_deinit(&g);
    return found;
}

/* As redis-server 7.0.15 answers KEYS of this pattern where that key exists. */
static const struct {
    const char *pattern;
    const char *text;
    bool matches;
} cases[] = {
    {"*", "", true},          {"*", "abc", true},        {"", "", true},           {"", "a", false},
    {"a", "a", true},         {"a", "ab", false},        {"ab", "a", false},       {"a*", "a", true},
    {"a*", "abc", true},      {"*c", "abc", true},       {"*c", "abcd", false},    {"a*c", "abcbc", true},
    {"a**c", "ac", true},     {"?", "", false},          {"?", "a", true},         {"??", "a", false},
    {"a?c", "abc", true},     {"h[ae]llo", "hello", true}, {"h[ae]llo", "hillo", false}, {"h[^e]llo", "hallo", true},
    {"h[^e]llo", "hello", false}, {"h[a-c]t", "hbt", true}, {"h[c-a]t", "hbt", true}, {"h[a-c]t", "hdt", false},
    {"[]a", "a", false},      {"[]a", "]a", false},      {"[^]a", "xa", true},     {"[\\]]", "]", true},
    {"[a\\-c]", "b", false},  {"[a\\-c]", "-", true},    {"\\*", "*", true},       {"\\*", "a", false},
    {"a\\", "a\\", true},     {"a\\", "a", false},       {"\\a", "a", true},       {"[abc", "b", true},
    {"[abc", "d", false},     {"[", "a", false},         {"[^", "a", true},        {"[a-", "-", true},
    {"[a-", "a", true},       {"[a-]", "]", true},       {"[a-]", "_", true},     {"[a-]x", "a", true},
    {"[-a]", "-", true},      {"[^^]", "^", false},      {"[a^]", "^", true},      {"*[0-9]*", "a1b", true},
    {"*[0-9]*", "ab", false}, {"[\\", "\\", true},       {"x*\\", "xy\\", true},   {"user:*:name", "user:1:name", true},
    {"user:*:name", "user:1:nam", false},
};

Test(glob, matches_what_redis_matches)
{
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        bool found = matches(slice_str(cases[i].pattern), slice_str(cases[i].text));
        cr_assert_eq(found, cases[i].matches, "%s beside %s", cases[i].pattern, cases[i].text);
    }
}

Test(glob, any_bytes_are_bytes)
{
    cr_assert(matches(S("a\0*"), S("a\0\xff")));
    cr_assert_not(matches(S("a\0b"), S("a\0c")));
    cr_assert(matches(S("[\x80-\xff]"), S("\x90")));
    cr_assert_not(matches(S("[\x80-\xff]"), S("\x7f")));
}

/* --- the model: an element at a time, and for a star every rest of the text --- */

static bool class_has(struct slice pattern, size_t *at, unsigned char c)
{
    bool excludes = *at < pattern.len && pattern.data[*at] == '^';
    bool found = false;
    *at += excludes;
    while (*at < pattern.len && pattern.data[*at] != ']') {
        unsigned char from = (unsigned char)pattern.data[*at];
        unsigned char to = from;
        if (from == '\\' && pattern.len - *at >= 2) {
            from = to = (unsigned char)pattern.data[++*at];
        } else if (pattern.len - *at >= 3 && pattern.data[*at + 1] == '-') {
            to = (unsigned char)pattern.data[*at += 2];
        }
        found = found || (c >= from && c <= to) || (c >= to && c <= from);
        ++*at;
    }
    *at += *at < pattern.len;
    return found != excludes;
}

static bool model(struct slice pattern, size_t at, struct slice text, size_t from)
{
    if (at == pattern.len) {
        return from == text.len;
    }
    char c = pattern.data[at];
    if (c == '*') {
        for (size_t i = from; i <= text.len; i++) {
            if (model(pattern, at + 1, text, i)) {
                return true;
            }
        }
        return false;
    }
    if (from == text.len) {
        return false;
    }
    bool fits = true;
    at++;
    if (c == '[') {
        fits = class_has(pattern, &at, (unsigned char)text.data[from]);
    } else if (c != '?') {
        c = c == '\\' && at < pattern.len ? pattern.data[at++] : c;
        fits = c == text.data[from];
    }
    return fits && model(pattern, at, text, from + 1);
}

static struct slice random_text(struct rng *rng, char *place, uint32_t len_max, const char *alphabet)
{
    uint32_t len = rng_below(rng, len_max + 1);
    for (uint32_t i = 0; i < len; i++) {
        place[i] = alphabet[rng_below(rng, (uint32_t)strlen(alphabet))];
    }
    return slice_of(place, len);
}

Test(glob, agrees_with_the_model)
{
    struct rng rng = {1};
    unsigned long yes = 0;
    for (unsigned long n = 0; n < 200000; n++) {
        char a[16], b[16];
        struct slice pattern = random_text(&rng, a, 10, "ab*?[]^-\\c");
        struct slice text = random_text(&rng, b, 8, "abc]-^\\");
        bool wanted = model(pattern, 0, text, 0);
        yes += wanted;
        if (matches(pattern, text) != wanted) {
            cr_assert_fail("\"%.*s\" beside \"%.*s\"", (int)pattern.len, pattern.data, (int)text.len, text.data);
        }
    }
    cr_assert_gt(yes, 1000ul);
}

/* More than 64 elements: places go from word to word. */
Test(glob, long_patterns)
{
    char pattern[400], text[400];
    memset(pattern, '?', 200);
    memset(text, 'x', sizeof(text));
    pattern[200] = 'y';
    pattern[201] = '*';
    for (size_t at = 190; at < 210; at++) {
        text[at] = 'y';
        cr_assert_eq(matches(slice_of(pattern, 202), slice_of(text, 300)), at == 200);
        cr_assert_eq(matches(slice_of(pattern, 201), slice_of(text, 201)), at == 200);
        text[at] = 'x';
    }
}

/* Whoever tries one way after the other is at this when the sun goes out. */
Test(glob, no_pattern_takes_long, .timeout = 20)
{
    static char pattern[2 * GLOB_MAX + 1], text[1024];
    for (size_t i = 0; i < GLOB_MAX; i++) {
        memcpy(&pattern[2 * i], "*a", 2);
    }
    pattern[2 * GLOB_MAX - 1] = 'b';
    memset(text, 'a', sizeof(text));
    for (unsigned i = 0; i < 100; i++) {
        cr_assert_not(matches(slice_of(pattern, 2 * GLOB_MAX), slice_of(text, sizeof(text))));
    }
    text[sizeof(text) - 1] = 'b';
    cr_assert(matches(slice_of(pattern, 2 * GLOB_MAX), slice_of(text, sizeof(text))));
}

Test(glob, too_long_a_pattern_is_refused_but_its_plain_beginning)
{
    static char pattern[5000];
    struct glob g;
    size_t before = mem_used();
    memset(pattern, '?', sizeof(pattern));
    cr_assert_eq(glob_init(&g, slice_of(pattern, GLOB_MAX + 1)), ERR_TOOBIG);
    cr_assert_eq(glob_init(&g, slice_of(pattern, GLOB_MAX)), 0);
    glob_deinit(&g);
    memset(pattern, 'a', sizeof(pattern));
    cr_assert_eq(glob_init(&g, slice_of(pattern, sizeof(pattern))), 0);
    cr_assert(glob_matches(&g, slice_of(pattern, sizeof(pattern))));
    glob_deinit(&g);
    cr_assert_eq(mem_used(), before);
}

Test(glob, prefixes_are_taken_as_they_are)
{
    struct glob g;
    cr_assert_eq(glob_init_prefix(&g, S("a[*")), 0);
    cr_assert(glob_matches(&g, S("a[*")));
    cr_assert(glob_matches(&g, S("a[*b")));
    cr_assert_not(glob_matches(&g, S("a[")));
    cr_assert_not(glob_matches(&g, S("ab")));
    glob_deinit(&g);
}

Test(glob, memory_that_ends_leaves_nothing)
{
    struct glob g;
    size_t before = mem_used();
    for (unsigned long nth = 1; nth <= 2; nth++) {
        mem_fail(nth, false);
        cr_assert_eq(glob_init(&g, S("a?")), ERR_FULL);
        mem_fail(0, false);
        cr_assert_eq(mem_used(), before);
    }
    mem_fail(1, false);
    cr_assert_eq(glob_init_prefix(&g, S("a")), ERR_FULL);
    mem_fail(0, false);
    cr_assert_eq(mem_used(), before);
}
