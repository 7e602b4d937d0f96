/* page: what was measured as one page of HTML that needs nothing else: no scripts, no other files, no network. */
#ifndef BENCH_PAGE_H
#define BENCH_PAGE_H

#include <stdio.h>

#include "compare.h"

/* Each row: the latency's curve and timeline, server CPU per operation and throughput, and the table; with several rows
 * an overview before them. */
void page_write(FILE *f, const struct config *c, const struct row *rows, size_t n);

/* The page's style sheet in lines, up to NULL. Classes s0 to s7 are the colours of chart.h. */
extern const char *const page_style[];

#endif
