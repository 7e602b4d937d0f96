/* glob: patterns of keys as Redis has them.
 *
 *      *        any bytes, none too
 *      ?        one byte
 *      [a-cx]   one byte of these; [^a-cx] one of all others
 *      \c       the byte c
 *
 * A pattern is the bytes that all its texts begin with, and what may follow those: up to GLOB_MAX elements of one byte each.
 * All ways in which a text may match are followed side by side, a bit each, so that no pattern takes more than a pass over
 * the text. */
#ifndef TXKV_GLOB_H
#define TXKV_GLOB_H

#include <stdbool.h>
#include <stdint.h>

#include "slice.h"

#define GLOB_MAX 1024 /* elements behind the plain bytes that a pattern begins with */

struct glob {
    char *prefix; /* owned */
    size_t prefix_len;
    size_t count;    /* elements behind it */
    size_t words;    /* of 64 bits, for count + 1 places */
    uint64_t *table; /* owned, in rows of words: for each byte the elements that take it; then the places before which
                        stands a `*`. NULL without elements */
    bool open;       /* anything may follow the last element */
};

/* Makes one of a pattern, which need not stay. 0, or ERR_TOOBIG (more than GLOB_MAX), ERR_FULL: nothing is owned then. */
int glob_init(struct glob *g, struct slice pattern);

/* The pattern of all texts that begin with these bytes. 0, or ERR_FULL. */
int glob_init_prefix(struct glob *g, struct slice prefix);

void glob_deinit(struct glob *g);

/* Whether all of text matches. */
bool glob_matches(const struct glob *g, struct slice text);

/* What matching a text of so many bytes costs at most, in units of about 64 bytes compared. */
uint64_t glob_cost(const struct glob *g, size_t len);

#endif
