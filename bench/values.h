/* values: values that say which key they belong to, so that a reader can tell in full whether what it got was written.
 *
 *   000000000042 1f3a 07    00040 qpwe...mzx .
 *   key          run  count size  filler     end      (without the spaces; all but the key in base 16, cut to fit)
 *
 * The filler is cut out of one table at a place that the rest decides; it never holds a full stop, so the end is known
 * without knowing the size. */
#ifndef BENCH_VALUES_H
#define BENCH_VALUES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire.h"

#define VALUES_HEAD (WIRE_KEY_DIGITS + 11)
#define VALUES_MIN 24 /* bytes of the shortest value */

/* Writes size bytes, VALUES_MIN at least: the value that the count-th writing of a run gives to a key. */
void values_write(char *dst, size_t size, uint64_t key, uint16_t run, uint8_t count);

/* Checks one value that arrives in pieces. */
struct values_check {
    uint64_t key;
    uint16_t run;
    bool wrong;
    bool ended;             /* the full stop was seen */
    size_t at;              /* bytes so far; where it went wrong */
    size_t filler;          /* where in the table the next bytes come from */
    unsigned size;          /* as the value says, cut to fit */
    char head[VALUES_HEAD]; /* the first bytes */
};

void values_check_start(struct values_check *v, uint64_t key, uint16_t run);
void values_check_feed(struct values_check *v, const char *bytes, size_t size);

/* True when all of it was one value of the key, written by the run. */
bool values_check_end(const struct values_check *v);

#endif
