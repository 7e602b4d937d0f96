#include "glob.h"

#include <string.h>

#include "err.h"
#include "mem.h"

#define BYTES 256
#define WORDS_MAX (GLOB_MAX / 64 + 1)

/* --- reading a pattern --- */

struct bytes {
    bool has[BYTES];
};

static unsigned char byte_at(struct slice pattern, size_t at)
{
    return (unsigned char)pattern.data[at];
}

static void add_range(struct bytes *set, unsigned char from, unsigned char to)
{
    unsigned first = from < to ? from : to;
    unsigned last = from < to ? to : from;
    memset(&set->has[first], true, last - first + 1);
}

/* Reads what follows `[`. Without its `]` it goes to the end of the pattern. */
static void read_class(struct slice pattern, size_t *at, struct bytes *set)
{
    bool excludes = *at < pattern.len && byte_at(pattern, *at) == '^';
    *at += excludes ? 1 : 0;
    while (*at < pattern.len && byte_at(pattern, *at) != ']') {
        size_t left = pattern.len - *at;
        unsigned char c = byte_at(pattern, *at);
        if (c == '\\' && left >= 2) {
            set->has[byte_at(pattern, *at + 1)] = true;
            *at += 2;
        } else if (left >= 3 && byte_at(pattern, *at + 1) == '-') {
            add_range(set, c, byte_at(pattern, *at + 2));
            *at += 3;
        } else {
            set->has[c] = true;
            *at += 1;
        }
    }
    *at += *at < pattern.len ? 1 : 0;
    for (size_t i = 0; i < BYTES; i++) {
        set->has[i] = set->has[i] != excludes;
    }
}

/* Reads a plain byte, with or without its backslash. */
static unsigned char read_plain(struct slice pattern, size_t *at)
{
    *at += byte_at(pattern, *at) == '\\' && *at + 1 < pattern.len ? 1 : 0;
    return byte_at(pattern, (*at)++);
}

static bool is_plain(unsigned char c)
{
    return c != '*' && c != '?' && c != '[';
}

static bool skip_stars(struct slice pattern, size_t *at)
{
    size_t from = *at;
    while (*at < pattern.len && byte_at(pattern, *at) == '*') {
        ++*at;
    }
    return *at > from;
}

/* Reads an element, which is no `*`. */
static void read_element(struct slice pattern, size_t *at, struct bytes *set)
{
    unsigned char c = byte_at(pattern, *at);
    memset(set, 0, sizeof(*set));
    if (is_plain(c)) {
        set->has[read_plain(pattern, at)] = true;
        return;
    }
    ++*at;
    if (c == '?') {
        memset(set->has, true, sizeof(set->has));
    } else {
        read_class(pattern, at, set);
    }
}

/* How many elements there are from `at` on; GLOB_MAX + 1 where there are more than that. */
static size_t count_elements(struct slice pattern, size_t at)
{
    struct bytes set;
    size_t count = 0;
    skip_stars(pattern, &at);
    while (at < pattern.len && count <= GLOB_MAX) {
        read_element(pattern, &at, &set);
        skip_stars(pattern, &at);
        count++;
    }
    return count;
}

static uint64_t *row(const struct glob *g, size_t byte)
{
    return g->table + byte * g->words;
}

static void put(uint64_t *words, size_t place)
{
    words[place / 64] |= (uint64_t)1 << place % 64;
}

static bool has(const uint64_t *words, size_t place)
{
    return (words[place / 64] >> place % 64 & 1) != 0;
}

static void fill_table(struct glob *g, struct slice pattern, size_t at)
{
    for (size_t i = 0;; i++) {
        struct bytes set;
        if (skip_stars(pattern, &at)) {
            put(row(g, BYTES), i);
        }
        if (i == g->count) {
            break;
        }
        read_element(pattern, &at, &set);
        for (size_t c = 0; c < BYTES; c++) {
            if (set.has[c]) {
                put(row(g, c), i);
            }
        }
    }
    g->open = has(row(g, BYTES), g->count);
}

int glob_init(struct glob *g, struct slice pattern)
{
    size_t at = 0;
    *g = (struct glob){.prefix = mem_alloc(pattern.len + 1)};
    if (g->prefix == NULL) {
        return ERR_FULL;
    }
    while (at < pattern.len && is_plain(byte_at(pattern, at))) {
        g->prefix[g->prefix_len++] = (char)read_plain(pattern, &at);
    }
    g->count = count_elements(pattern, at);
    if (g->count == 0) {
        g->open = at < pattern.len;
        return 0;
    }
    g->words = g->count / 64 + 1;
    g->table = g->count > GLOB_MAX ? NULL : mem_calloc((BYTES + 1) * g->words * sizeof(*g->table));
    if (g->table == NULL) {
        int rc = g->count > GLOB_MAX ? ERR_TOOBIG : ERR_FULL;
        glob_deinit(g);
        return rc;
    }
    fill_table(g, pattern, at);
    return 0;
}

int glob_init_prefix(struct glob *g, struct slice prefix)
{
    *g = (struct glob){.prefix = mem_alloc(prefix.len + 1), .prefix_len = prefix.len, .open = true};
    if (g->prefix == NULL) {
        return ERR_FULL;
    }
    if (prefix.len > 0) {
        memcpy(g->prefix, prefix.data, prefix.len);
    }
    return 0;
}

void glob_deinit(struct glob *g)
{
    mem_free(g->prefix);
    mem_free(g->table);
    *g = (struct glob){0};
}

/* --- matching --- */

/* One byte more: from each place that is held, over the elements that take it to the next place; and where a `*` stands before
 * a place, it is held on. False where none is held any more. */
static bool advance(const struct glob *g, uint64_t *places, unsigned char c)
{
    const uint64_t *takes = row(g, c);
    const uint64_t *stays = row(g, BYTES);
    uint64_t carry = 0;
    uint64_t any = 0;
    for (size_t i = 0; i < g->words; i++) {
        uint64_t taken = places[i] & takes[i];
        places[i] = (places[i] & stays[i]) | taken << 1 | carry;
        carry = taken >> 63;
        any |= places[i];
    }
    return any != 0;
}

bool glob_matches(const struct glob *g, struct slice text)
{
    uint64_t places[WORDS_MAX] = {0};
    size_t len = g->prefix_len;
    if (text.len < len || (len > 0 && memcmp(g->prefix, text.data, len) != 0)) {
        return false;
    }
    if (g->count == 0) {
        return g->open || text.len == len;
    }
    put(places, 0);
    for (size_t i = len; i < text.len && !(g->open && has(places, g->count)); i++) {
        if (!advance(g, places, byte_at(text, i))) {
            return false;
        }
    }
    return has(places, g->count);
}

uint64_t glob_cost(const struct glob *g, size_t len)
{
    return (len * (g->words + 1)) / 64;
}
