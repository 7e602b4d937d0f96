/* unit: what every unit test includes: Criterion, and a few words that make its cases short. */
#ifndef TXKV_SUPPORT_UNIT_H
#define TXKV_SUPPORT_UNIT_H

#include <criterion/criterion.h>
#include <stdint.h>

#include "slice.h"

/* A slice of a literal that may hold NUL. */
#define S(literal) slice_of((literal), sizeof(literal) - 1)

#define assert_slice(got, wanted)                                                                                      \
    do {                                                                                                               \
        struct slice unit_got = (got);                                                                                 \
        struct slice unit_wanted = (wanted);                                                                           \
        cr_assert(slice_equal(unit_got, unit_wanted), "got \"%.*s\", wanted \"%.*s\"", (int)unit_got.len,              \
                  unit_got.len > 0 ? unit_got.data : "", (int)unit_wanted.len,                                         \
                  unit_wanted.len > 0 ? unit_wanted.data : "");                                                        \
    } while (0)

#endif
