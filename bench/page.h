/* page: what was measured as one page of HTML that needs nothing else: no scripts, no other files, no network. */
#ifndef BENCH_PAGE_H
#define BENCH_PAGE_H

#include <stdio.h>

#include "chart.h"
#include "compare.h"

/* Each row: the latency's curve and timeline, server CPU per operation and throughput, and the table; with several rows
 * an overview before them. */
void page_write(FILE *f, const struct config *c, const struct row *rows, size_t n);

/* A figure of the latency by the rate of requests (see chart_latency_by_rate). */
void page_rates(FILE *f, const char *caption, const struct chart_rates *series, size_t n);

#endif
