/* report: what was measured, for people (a table) and for programs (CSV, JSON). */
#ifndef BENCH_REPORT_H
#define BENCH_REPORT_H

#include <stdio.h>

#include "compare.h"

void report_table(FILE *f, const struct config *c, const struct row *rows, size_t n);

/* One line a test, as redis-benchmark -q prints it. */
void report_quiet(FILE *f, const struct config *c, const struct row *rows, size_t n);

/* A line for each row and target; the columns test to max_latency_ms are redis-benchmark's. */
void report_csv(FILE *f, const struct config *c, const struct row *rows, size_t n);

/* Everything, every single measurement too. */
void report_json(FILE *f, const struct config *c, const struct row *rows, size_t n);

#endif
