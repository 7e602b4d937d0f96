/* hash: the keyed hash of keys, XXH3 (xxHash 0.8) under a secret of random bytes taken at start, so that nobody outside can
 * choose keys that collide. Why it, and what it cannot do: docs/architecture.md, "The hash". */
#ifndef TXKV_HASH_H
#define TXKV_HASH_H

#include <stdint.h>

#include "slice.h"

#define HASH_SECRET_BYTES 192

/* Takes the secret of this process from the system's random source; call once, before hash_of. 0, or -1 without one. */
int hash_init(void);

/* Instead of hash_init, for measurements that must repeat exactly: a server with a known secret can be flooded. */
void hash_init_known(const unsigned char secret[HASH_SECRET_BYTES]);

/* The hash of a key: the low bits choose uthash's bucket, the high ones the partition. */
uint32_t hash_of(struct slice key);

#endif
