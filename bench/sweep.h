/* sweep: finds the rate of requests at which a server's p99 breaks.
 *
 *   probe (closed loop) --> a tenth of what it gave, times 1.5, times 1.5, ... --> the first rate that breaks
 *                                                      --> four times the middle between the best and the worst
 *
 * A rate breaks when, in each of two attempts, the median p99 of its repetitions is above the limit (--sweep-limit-ms;
 * without it, 10 times the p99 at the lowest rate, the median of at least 5 measurements there), or less than 95% of the requests due, ten aside, were answered by
 * the end. One attempt alone may have met a machine that was busy with something else; with --watch-stops p99 is that of the
 * samples that this did not delay, unless those are fewer than nine tenths. */
#ifndef BENCH_SWEEP_H
#define BENCH_SWEEP_H

#include "compare.h"

#define SWEEP_CLIMB 28
#define SWEEP_BISECT 4
#define SWEEP_ATTEMPTS 2
#define SWEEP_BASE 5
#define SWEEP_ROWS_MAX (SWEEP_CLIMB + SWEEP_BISECT)

/* Sweeps every target with every workload. Each rate becomes a row with the series of one target, in rising order; the
 * note of the last one says where it broke. *n becomes the number of rows. 0, or -1 with why. */
int sweep_run(const struct config *c, struct row *rows, size_t *n, struct load_result *r, compare_progress_fn *progress,
              char *why, size_t why_size);

#endif
