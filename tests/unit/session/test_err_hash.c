/* The table of errors, and the keyed hash. */
#include <criterion/criterion.h>
#include <ctype.h>
#include <signal.h>
#include <stdio.h>

#include "err.h"
#include "hash.h"

/* --- err_word --- */

Test(err, the_word_of_a_code_is_its_name)
{
#define X(name, text) cr_assert_str_eq(err_word(ERR_##name), #name);
    ERR_TABLE(X)
#undef X
}

Test(err, words_are_capitals_and_unique)
{
    for (int a = 1; a <= ERR_COUNT; a++) {
        const char *word = err_word(-a);
        cr_assert_gt(strlen(word), 0u);
        for (const char *c = word; *c != '\0'; c++) {
            cr_assert(isupper((unsigned char)*c), "%s", word);
        }
        for (int b = 1; b < a; b++) {
            cr_assert_str_neq(word, err_word(-b));
        }
    }
}

Test(err, codes_are_negative_and_without_gaps)
{
    int wanted = 0;
#define X(name, text) cr_assert_eq(ERR_##name, --wanted);
    ERR_TABLE(X)
#undef X
    cr_assert_eq(-wanted, ERR_COUNT);
}

Test(err, success_has_no_word, .signal = SIGABRT)
{
    (void)err_word(0);
}

Test(err, a_code_past_the_table_has_no_word, .signal = SIGABRT)
{
    (void)err_word(-ERR_COUNT - 1);
}

/* --- err_text --- */

Test(err, texts_are_one_printable_line_each)
{
    for (int code = -1; code >= -ERR_COUNT; code--) {
        const char *text = err_text(code);
        cr_assert(strlen(text) > 10 && strlen(text) < 200, "%s", err_word(code));
        for (const char *c = text; *c != '\0'; c++) {
            cr_assert(isprint((unsigned char)*c), "%s", err_word(code));
        }
        for (int other = -1; other > code; other--) {
            cr_assert_str_neq(text, err_text(other));
        }
    }
}

Test(err, success_has_no_text, .signal = SIGABRT)
{
    (void)err_text(0);
}

/* --- hash_init, hash_of --- */

static void take_key(void)
{
    cr_assert_eq(hash_init(), 0);
}

TestSuite(hash, .init = take_key);

static uint32_t hash_number(unsigned n)
{
    char key[32];
    int len = snprintf(key, sizeof(key), "key:%u", n);
    return hash_of(slice_of(key, (size_t)len));
}

Test(hash, is_the_same_for_the_same_bytes_wherever_they_lie)
{
    char bytes[200];
    for (size_t at = 0; at < 64; at++) {
        for (size_t len = 0; len < 64; len++) {
            memset(bytes, (int)at, sizeof(bytes));
            memset(bytes + at, 'k', len);
            cr_assert_eq(hash_of(slice_of(bytes + at, len)),
                         hash_of(slice_of("kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk", len)));
        }
    }
}

Test(hash, takes_every_byte_and_the_length_into_account)
{
    char key[40] = {0};
    uint32_t zeros = hash_of(slice_of(key, sizeof(key)));
    int same = 0;
    for (size_t i = 0; i < sizeof(key); i++) {
        key[i] = 1;
        same += hash_of(slice_of(key, sizeof(key))) == zeros;
        key[i] = 0;
        same += hash_of(slice_of(key, i)) == zeros;
    }
    cr_assert_leq(same, 1); /* by chance: 80 in 2^32 */
}

Test(hash, is_another_one_under_another_key)
{
    enum { COUNT = 1000 };
    uint32_t before[COUNT];
    int same = 0;
    for (unsigned i = 0; i < COUNT; i++) {
        before[i] = hash_number(i);
    }
    take_key();
    for (unsigned i = 0; i < COUNT; i++) {
        same += before[i] == hash_number(i);
    }
    cr_assert_leq(same, 2);
}

/* --- how evenly it spreads --- */

#define CELLS 4096u
#define PER_CELL 100u

/* Chi-square of keys spread over 4096 cells by 12 bits of their hash. Its mean is 4095, its standard deviation 90. */
static double chi_square(unsigned shift)
{
    static unsigned counts[CELLS];
    double sum = 0;
    memset(counts, 0, sizeof(counts));
    for (unsigned i = 0; i < CELLS * PER_CELL; i++) {
        counts[(hash_number(i) >> shift) % CELLS]++;
    }
    for (unsigned i = 0; i < CELLS; i++) {
        double off = (double)counts[i] - (double)PER_CELL;
        sum += off * off / (double)PER_CELL;
    }
    return sum;
}

Test(hash, spreads_evenly_over_the_partitions)
{
    double chi = chi_square(20);
    cr_assert(chi > 3300 && chi < 4900, "chi-square %.0f, 4095 expected", chi);
}

Test(hash, spreads_evenly_over_the_buckets)
{
    double chi = chi_square(0);
    cr_assert(chi > 3300 && chi < 4900, "chi-square %.0f, 4095 expected", chi);
}

Test(hash, every_bit_is_set_in_half_of_the_keys)
{
    enum { COUNT = 100000 };
    unsigned set[32] = {0};
    for (unsigned i = 0; i < COUNT; i++) {
        uint32_t hash = hash_number(i);
        for (unsigned bit = 0; bit < 32; bit++) {
            set[bit] += hash >> bit & 1u;
        }
    }
    for (unsigned bit = 0; bit < 32; bit++) {
        cr_assert(set[bit] > 48000 && set[bit] < 52000, "bit %u: %u of 100000", bit, set[bit]);
    }
}
