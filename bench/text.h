/* text: numbers as people read them. */
#ifndef BENCH_TEXT_H
#define BENCH_TEXT_H

#define TEXT_MAX 32
#define TEXT_NAME 12

/* A whole number with a comma before every three digits. All return out. */
const char *text_grouped(char out[TEXT_MAX], double value);

/* Three digits and a unit, from ns to s: 12.3 µs (in UTF-8). */
const char *text_ns(char out[TEXT_MAX], double ns);

/* Three digits, the thousands with commas: 0.125, 12.3, 1,250. */
const char *text_short(char out[TEXT_MAX], double value);

/* At most TEXT_NAME letters; of a longer text the first, and "…". */
const char *text_name(char out[TEXT_MAX], const char *text);

#endif
