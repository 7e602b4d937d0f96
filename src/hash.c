#include "hash.h"

#include <sys/random.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

_Static_assert(HASH_SECRET_BYTES >= XXH3_SECRET_SIZE_MIN, "XXH3 takes no shorter secret");

static unsigned char secret[HASH_SECRET_BYTES];

int hash_init(void)
{
    return getrandom(secret, sizeof(secret), 0) == (ssize_t)sizeof(secret) ? 0 : -1;
}

void hash_init_known(const unsigned char known[HASH_SECRET_BYTES])
{
    memcpy(secret, known, sizeof(secret));
}

uint32_t hash_of(struct slice key)
{
    return (uint32_t)XXH3_64bits_withSecret(key.data, key.len, secret, sizeof(secret));
}
