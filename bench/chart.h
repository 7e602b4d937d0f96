/* chart: charts as SVG, of plain arrays: lines over two axes, and bars.
 *
 *     y label
 *     10 ms |-----------.----   end label      name          ratio
 *      1 ms |---...----'-----                  server  |#####-+--| 1,234
 *           +----+-----+-----                  redis   |##########-+----| 2,345
 *              x label
 */
#ifndef BENCH_CHART_H
#define BENCH_CHART_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "hist.h"
#include "text.h"
#include "timeline.h"

#define CHART_LINES_MAX 24
#define CHART_COLOURS 8 /* then they begin anew */

/* Writes a value of an axis or a bar; returns out. */
typedef const char *chart_print_fn(char out[TEXT_MAX], double value);

struct chart_tick {
    double value;
    const char *label;
};

struct chart_axis {
    const char *label;
    chart_print_fn *print; /* of its values */
    bool log;
    bool from_zero;                 /* linear: begins at 0 whatever the values */
    const struct chart_tick *ticks; /* NULL: round values within the range of the data; else the axis spans the ticks */
    size_t ticks_n;
};

struct chart_line {
    unsigned colour;  /* of the page's */
    const char *kind; /* class of the line: "", "thin" or "dash" */
    const char *end;  /* written where it ends; NULL: nothing */
    size_t n;
    const double *x;
    const double *y; /* NAN: a gap (on a logarithmic axis 0 too) */
    /* Whiskers of each point; NULL: none, and no dots at the points either. */
    const double *low;
    const double *high;
};

/* At most CHART_LINES_MAX lines. */
void chart_lines(FILE *f, const char *title, const struct chart_axis *x, const struct chart_axis *y,
                 const struct chart_line *lines, size_t n);

struct chart_bar {
    unsigned colour;
    const char *name;
    double value;
    double low; /* the whisker */
    double high;
    const char *note; /* under the name, may be "" */
};

/* Bars from 0, one below the other. */
void chart_bars(FILE *f, const char *title, const struct chart_axis *x, const struct chart_bar *bars, size_t n);

/* The charts of measurements. A name is short text for people; colour i is that of the i-th series of the page. */

/* The latency that each share of the replies did not exceed, as far as the samples reach. */
void chart_percentiles(FILE *f, const char *title, const char *const *names, const struct hist *const *latencies,
                       size_t n);

/* p99 and maximum of each slot. */
void chart_timelines(FILE *f, const char *title, const char *const *names, const struct timeline *const *timelines,
                     size_t n);

struct chart_rates {
    const char *name;
    size_t n; /* rates, ascending */
    const double *rate;
    const double *p50_ns; /* at each rate */
    const double *p99_ns;
    const double *p999_ns;
};

/* Latency by rate of up to CHART_LINES_MAX / 3 series. */
void chart_latency_by_rate(FILE *f, const char *title, const struct chart_rates *series, size_t n);

#endif
