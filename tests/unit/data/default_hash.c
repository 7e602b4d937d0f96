#include "default_hash.h"

#include <uthash.h>

uint32_t default_hash(struct slice key)
{
    unsigned hash;
    HASH_JEN(key.data, key.len, hash);
    return hash;
}

static void put_word(char *at, uint32_t word)
{
    for (unsigned i = 0; i < 4; i++) {
        at[i] = (char)(unsigned char)(word >> (8 * i));
    }
}

/* The hash adds twelve bytes to its state, mixes, adds the next twelve: these can lead every state to the same one. */
void default_hash_collide(uint32_t n, char key[COLLIDING_KEY_LEN])
{
    uint32_t a = 0x9e3779b9U + n, b = 0x9e3779b9U, c = 0xfeedbeefU;
    put_word(key, n);
    put_word(key + 4, 0);
    put_word(key + 8, 0);
    HASH_JEN_MIX(a, b, c);
    put_word(key + 12, 1 - a);
    put_word(key + 16, 2 - b);
    put_word(key + 20, 3 - c);
}
