/* guard: a place for bytes that ends against an unreadable page, so that reading one byte too far ends the test.
 *
 *      | readable pages ......... bytes | unreadable page |
 */
#ifndef TXKV_TEST_GUARD_H
#define TXKV_TEST_GUARD_H

#include "slice.h"

struct guard {
    char *map;     /* readable pages, then the unreadable one */
    size_t size;   /* bytes that can be read */
    size_t mapped; /* bytes of map */
};

/* Room for inputs of at most size bytes; 0, or -1 where the system refuses. */
int guard_init(struct guard *g, size_t size);
void guard_deinit(struct guard *g);

/* Copies bytes so that they end at the unreadable page; the copy holds until the next one. */
struct slice guard_copy(struct guard *g, struct slice bytes);

#endif
