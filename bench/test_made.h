/* test_made: a comparison with made-up figures, as servers might show them, for the tests of what is written of one. */
#ifndef BENCH_TEST_MADE_H
#define BENCH_TEST_MADE_H

#include "compare.h"

#define MADE_REPEAT 5
#define MADE_ROWS 8

extern const struct workload made_workloads[2];
extern struct config made_config;
extern struct row made_rows[MADE_ROWS];

/* Makes all of it anew, of up to TARGETS_MAX targets: two workloads, each with four pipelines. */
void make_data(size_t targets);

/* Sets the loads of the first target in the first row; server 0: not accounted. */
void make_loads(double server, double client);

#endif
