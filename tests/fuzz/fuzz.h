/* fuzz: what a fuzzer and the replay of its corpus share. LLVMFuzzerTestOneInput is libFuzzer's entry; replay.c calls it
 * for each saved file where libFuzzer is absent. A wrong answer ends the process by abort(). */
#ifndef TXKV_FUZZ_H
#define TXKV_FUZZ_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A repeatable random number in 0..below-1. */
static inline size_t fuzz_random(uint64_t *state, size_t below)
{
    *state = *state * 6364136223846793005U + 1442695040888963407U;
    return (size_t)(*state >> 33) % below;
}

/* A seed that depends on every byte. */
static inline uint64_t fuzz_seed(const uint8_t *data, size_t size)
{
    uint64_t seed = 1469598103934665603U;
    for (size_t i = 0; i < size; i++) {
        seed = (seed ^ data[i]) * 1099511628211U;
    }
    return seed;
}

#endif
