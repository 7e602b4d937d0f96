/* uthash's default hash as a function, apart from the dictionary, which does not use it. */
#include <stddef.h>
#include <uthash.h>

unsigned micro_uthash_default(const char *key, size_t len);

unsigned micro_uthash_default(const char *key, size_t len)
{
    unsigned hash;
    HASH_JEN(key, (unsigned)len, hash);
    return hash;
}
