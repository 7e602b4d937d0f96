/* sizes: a distribution of sizes in bytes, as an option writes it: N, LO-HI (all of them alike), or several of these with
 * their shares, N:SHARE,LO-HI:SHARE,... */
#ifndef BENCH_SIZES_H
#define BENCH_SIZES_H

#include <stddef.h>
#include <stdint.h>

#define SIZES_MAX 16

struct sizes {
    size_t n;
    struct {
        uint64_t low;
        uint64_t high;
        double share; /* they sum to 1 */
    } parts[SIZES_MAX];
};

/* Every size is this one. */
struct sizes sizes_fixed(uint64_t size);

/* 0, or -1 where text is not what is said above, or a size is not from min to max. */
int sizes_parse(struct sizes *s, const char *text, uint64_t min, uint64_t max);

/* The size that the share q, 0 up to 1, of all sizes come before. */
uint64_t sizes_at(const struct sizes *s, double q);

uint64_t sizes_min(const struct sizes *s);
uint64_t sizes_max(const struct sizes *s);

/* The mean, rounded. */
uint64_t sizes_mean(const struct sizes *s);

#endif
