/* hash: the keyed hash of keys, SipHash-2-4 (libsodium's crypto_shorthash) under 128 random bits taken at start, so that
 * nobody outside can choose keys that collide. */
#ifndef TXKV_HASH_H
#define TXKV_HASH_H

#include <stdint.h>

#include "slice.h"

/* Takes the key of this process from the system's random source; call once, before hash_of. 0, or -1 without one. */
int hash_init(void);

/* The hash of a key: the low bits choose uthash's bucket, the high ones the partition. */
uint32_t hash_of(struct slice key);

#endif
