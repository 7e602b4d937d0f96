/* default_hash: the hash that uthash uses where it is told no other, which anybody can compute. */
#ifndef TXKV_UNIT_DEFAULT_HASH_H
#define TXKV_UNIT_DEFAULT_HASH_H

#include <stdint.h>

#include "slice.h"

#define COLLIDING_KEY_LEN 24

uint32_t default_hash(struct slice key);

/* The nth of as many keys as one likes that all have the same default hash. */
void default_hash_collide(uint32_t n, char key[COLLIDING_KEY_LEN]);

#endif
