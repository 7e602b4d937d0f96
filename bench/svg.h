/* svg: the few shapes that the charts are made of, and where a value lies on an axis. Colours and fonts are the page's
 * (classes); every text is escaped. */
#ifndef BENCH_SVG_H
#define BENCH_SVG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* From values to the picture's units. Invariant: low < high, both above 0 where it is logarithmic. */
struct svg_scale {
    double low;
    double high;
    bool log;
    double from; /* where low lies */
    double to;   /* where high lies */
};

/* Where the value lies. What is outside (or not a number) lies at the nearer end (at low). */
double svg_at(const struct svg_scale *s, double value);

/* Text of a document or of an attribute in double quotes. Control characters become spaces. */
void svg_escape(FILE *f, const char *text);

/* A picture that shrinks and grows with its place. The title is what a screen reader says. */
void svg_open(FILE *f, double width, double height, const char *title);
void svg_close(FILE *f);

void svg_line(FILE *f, const char *class, double x1, double y1, double x2, double y2);
void svg_text(FILE *f, const char *class, double x, double y, const char *text);

/* The title is shown under the pointer. */
void svg_rect(FILE *f, const char *class, double x, double y, double width, double height, const char *title);
void svg_dot(FILE *f, const char *class, double x, double y, const char *title);

/* A line through points, with gaps. A point between two gaps is a dot. */
struct svg_path {
    FILE *f;
    size_t points; /* since the last gap */
};

struct svg_path svg_path_open(FILE *f, const char *class);
void svg_path_point(struct svg_path *p, double x, double y);
void svg_path_gap(struct svg_path *p);
void svg_path_close(struct svg_path *p);

#endif
