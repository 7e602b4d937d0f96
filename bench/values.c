#include "values.h"

#include <assert.h>
#include <string.h>

#include "rng.h"

#define TABLE_SIZE ((size_t)65536)
#define RUN_AT WIRE_KEY_DIGITS
#define COUNT_AT (RUN_AT + 4)
#define SIZE_AT (COUNT_AT + 2)
#define SIZE_MASK 0xfffffu /* five digits of it */

static const char hex[] = "0123456789abcdef";
static char table[TABLE_SIZE];

static const char *filler_table(void)
{
    struct rng rng = {42};
    if (table[0] == '\0') {
        for (size_t i = 0; i < TABLE_SIZE; i++) {
            table[i] = (char)('a' + rng_below(&rng, 26));
        }
    }
    return table;
}

static size_t filler_start(uint64_t key, uint16_t run, unsigned count, unsigned size)
{
    struct rng mixed = {key << 24 ^ (uint64_t)run << 48 ^ (uint64_t)size << 8 ^ count};
    return (size_t)(rng_next(&mixed) % TABLE_SIZE);
}

static void put_hex(char *dst, unsigned n, unsigned digits)
{
    for (unsigned i = 0; i < digits; i++) {
        dst[i] = hex[n >> 4 * (digits - 1 - i) & 15];
    }
}

/* False where there is another character. */
static bool take_hex(const char *from, unsigned digits, unsigned *n)
{
    *n = 0;
    for (unsigned i = 0; i < digits; i++) {
        const char *digit = memchr(hex, from[i], 16);
        if (digit == NULL) {
            return false;
        }
        *n = *n << 4 | (unsigned)(digit - hex);
    }
    return true;
}

void values_write(char *dst, size_t size, uint64_t key, uint16_t run, uint8_t count)
{
    assert(size >= VALUES_MIN);
    unsigned told = (unsigned)(size & SIZE_MASK);
    const char *letters = filler_table();
    size_t from = filler_start(key, run, count, told);
    wire_key_patch(dst, key);
    put_hex(dst + RUN_AT, run, 4);
    put_hex(dst + COUNT_AT, count, 2);
    put_hex(dst + SIZE_AT, told, 5);
    for (size_t at = VALUES_HEAD; at < size - 1;) {
        size_t piece = size - 1 - at < TABLE_SIZE - from ? size - 1 - at : TABLE_SIZE - from;
        memcpy(dst + at, letters + from, piece);
        at += piece;
        from = (from + piece) % TABLE_SIZE;
    }
    dst[size - 1] = '.';
}

void values_check_start(struct values_check *v, uint64_t key, uint16_t run)
{
    v->key = key;
    v->run = run;
    v->wrong = false;
    v->ended = false;
    v->at = 0;
}

/* The head is complete: what it says decides on the rest. */
static void check_head(struct values_check *v)
{
    char expected[COUNT_AT];
    unsigned count;
    wire_key_patch(expected, v->key);
    put_hex(expected + RUN_AT, v->run, 4);
    v->wrong = memcmp(v->head, expected, sizeof expected) != 0 || !take_hex(v->head + COUNT_AT, 2, &count) ||
               !take_hex(v->head + SIZE_AT, 5, &v->size);
    v->filler = v->wrong ? 0 : filler_start(v->key, v->run, count, v->size);
}

/* The filler as far as it goes within this piece and without wrapping around the table; bytes checked. */
static size_t check_filler(struct values_check *v, const char *bytes, size_t size)
{
    const char *expected = filler_table() + v->filler;
    size_t n = size < TABLE_SIZE - v->filler ? size : TABLE_SIZE - v->filler;
    if (memcmp(bytes, expected, n) != 0) {
        size_t same = 0;
        while (bytes[same] == expected[same]) {
            same++;
        }
        v->ended = bytes[same] == '.';
        v->wrong = !v->ended;
        n = same + v->ended;
    }
    v->filler = (v->filler + n) % TABLE_SIZE;
    return n;
}

void values_check_feed(struct values_check *v, const char *bytes, size_t size)
{
    while (size > 0 && !v->wrong) {
        size_t n;
        if (v->at < VALUES_HEAD) {
            n = size < VALUES_HEAD - v->at ? size : VALUES_HEAD - v->at;
            memcpy(v->head + v->at, bytes, n);
            if (v->at + n == VALUES_HEAD) {
                check_head(v);
            }
        } else if (v->ended) {
            v->wrong = true;
            return;
        } else {
            n = check_filler(v, bytes, size);
        }
        v->at += n;
        bytes += n;
        size -= n;
    }
}

bool values_check_end(const struct values_check *v)
{
    return v->ended && !v->wrong && (v->at & SIZE_MASK) == v->size;
}
