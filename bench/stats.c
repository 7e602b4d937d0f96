#include "stats.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define WANTED_COVERAGE 0.95
#define SAMPLES_MAX 1024 /* more are cut off; far above any --repeat */

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

static size_t sort_copy(double *to, const double *from, size_t n)
{
    n = n < SAMPLES_MAX ? n : SAMPLES_MAX;
    memcpy(to, from, n * sizeof *to);
    qsort(to, n, sizeof *to, compare);
    return n;
}

static double quantile(const double *sorted, size_t n, double q)
{
    double at = q * (double)(n - 1);
    size_t below = (size_t)at;
    if (below + 1 >= n) {
        return sorted[n - 1];
    }
    double part = at - (double)below;
    return sorted[below] + part * (sorted[below + 1] - sorted[below]);
}

struct stats_spread stats_spread(const double *samples, size_t n)
{
    double sorted[SAMPLES_MAX];
    n = sort_copy(sorted, samples, n);
    return (struct stats_spread){
        .median = quantile(sorted, n, 0.5),
        .q1 = quantile(sorted, n, 0.25),
        .q3 = quantile(sorted, n, 0.75),
    };
}

struct stats_interval stats_interval(const double *samples, size_t n)
{
    double sorted[SAMPLES_MAX];
    n = sort_copy(sorted, samples, n);
    /* Between the k-th from below and the k-th from above the median is missed when fewer than k of n fair coins show
     * heads, or fewer than k tails. */
    size_t k = 1;
    double term = pow(0.5, (double)n);
    double tail = term;
    double coverage = 1 - 2 * tail;
    while (2 * (k + 1) <= n) {
        term *= (double)(n - k + 1) / (double)k;
        double wider = 1 - 2 * (tail + term);
        if (wider < WANTED_COVERAGE) {
            break;
        }
        tail += term;
        coverage = wider;
        k++;
    }
    return (struct stats_interval){
        .median = quantile(sorted, n, 0.5),
        .low = sorted[k - 1],
        .high = sorted[n - k],
        .coverage = n == 1 ? 0 : coverage,
    };
}
