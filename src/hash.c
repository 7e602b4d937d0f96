#include "hash.h"

#include <sodium.h>

_Static_assert(crypto_shorthash_KEYBYTES == 16, "the key has 128 bits");

static unsigned char key_bytes[crypto_shorthash_KEYBYTES];

int hash_init(void)
{
    if (sodium_init() < 0) {
        return -1;
    }
    crypto_shorthash_keygen(key_bytes);
    return 0;
}

uint32_t hash_of(struct slice key)
{
    unsigned char out[crypto_shorthash_BYTES];
    uint32_t low;
    crypto_shorthash(out, (const unsigned char *)key.data, key.len, key_bytes);
    memcpy(&low, out, sizeof(low));
    return low;
}
