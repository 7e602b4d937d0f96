/* page_parts: what the files of the page share. */
#ifndef BENCH_PAGE_PARTS_H
#define BENCH_PAGE_PARTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "compare.h"

#define PAGE_NAME_MAX 96 /* of a row */

/* Text, escaped, between two pieces of markup. */
void page_put(FILE *f, const char *before, const char *text, const char *after);

/* Around a chart. */
void page_figure_open(FILE *f, const char *caption, const char *details);
void page_figure_close(FILE *f);

/* The CPU time of every target is known, so that it can be compared. */
bool page_all_accounted(const struct config *c);

/* The first target against the other: "0.780 [0.761, 0.802]", without the interval when there is but one measurement.
 * Returns out. */
const char *page_ratio(char *out, size_t size, const struct row *row, enum metric m, size_t other);

/* The overview of several rows: charts for each workload, and a table with links to the rows. */
void page_overview(FILE *f, const struct config *c, const struct row *rows, size_t n);

/* Instead of the overview and the rows, for a sweep: its curves, where each target breaks, and a table. */
void page_sweep(FILE *f, const struct config *c, const struct row *rows, size_t n);

/* The section of the i-th row: its charts, its table, and what went wrong. */
void page_row(FILE *f, const struct config *c, const struct row *row, size_t i);

/* The page's style sheet in lines, up to NULL. Classes s0 to s7 are the colours of chart.h. */
extern const char *const page_style[];

#endif
