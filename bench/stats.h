/* stats: what is said about a handful of repeated measurements. */
#ifndef BENCH_STATS_H
#define BENCH_STATS_H

#include <stddef.h>

struct stats_spread {
    double median;
    double q1; /* quartiles */
    double q3;
};

/* Median and quartiles (linear between the neighbours) of n >= 1 samples. */
struct stats_spread stats_spread(const double *samples, size_t n);

struct stats_interval {
    double median;
    double low; /* the interval of the median */
    double high;
    double coverage; /* the probability that it holds the true median */
};

/* The median of n >= 1 samples with the narrowest interval between two of the samples, counted alike from both ends,
 * that holds the true median with 95% probability. Makes no assumption about the distribution (the sign test's
 * interval). Too few samples (below 6) give the least and the greatest: coverage says what that is worth. */
struct stats_interval stats_interval(const double *samples, size_t n);

#endif
