/* le: numbers in little-endian order, as all files of txkv hold them. */
#ifndef TXKV_LE_H
#define TXKV_LE_H

#include <endian.h>
#include <stdint.h>
#include <string.h>

static inline void le_put32(char *at, uint32_t number)
{
    number = htole32(number);
    memcpy(at, &number, sizeof(number));
}

static inline void le_put64(char *at, uint64_t number)
{
    number = htole64(number);
    memcpy(at, &number, sizeof(number));
}

static inline uint32_t le_get32(const char *at)
{
    uint32_t number;
    memcpy(&number, at, sizeof(number));
    return le32toh(number);
}

static inline uint64_t le_get64(const char *at)
{
    uint64_t number;
    memcpy(&number, at, sizeof(number));
    return le64toh(number);
}

#endif
