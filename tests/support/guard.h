/* guard: bytes that end against an unreadable page, so that whoever reads one byte too far dies at once.
 *
 *      | readable pages ........ bytes | unreadable page |
 *                                     ^ the last byte of the copy stands here */
#ifndef TXKV_SUPPORT_GUARD_H
#define TXKV_SUPPORT_GUARD_H

#include "slice.h"

struct guard {
    char *base;  /* of the mapping */
    size_t size; /* readable bytes */
};

/* Room for copies of at most size bytes; the process ends where there is no memory. */
void guard_init(struct guard *g, size_t size);
void guard_deinit(struct guard *g);

/* A copy of bytes that ends against the page; valid until the next call. Never NULL, not even for no bytes. */
struct slice guard_copy(struct guard *g, struct slice bytes);

#endif
