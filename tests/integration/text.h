/* text: a growing string, for input and expected answers. */
#ifndef TXKV_INTEGRATION_TEXT_H
#define TXKV_INTEGRATION_TEXT_H

#include <stddef.h>

struct text {
    char *data; /* not ended by NUL */
    size_t len;
    size_t cap;
};

void text_add(struct text *t, const void *bytes, size_t len);
void text_addf(struct text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* count times the same byte */
void text_fill(struct text *t, char byte, size_t count);
/* A line that begins as format says, and goes on with count times the same byte. */
void text_add_line(struct text *t, char byte, size_t count, const char *format, ...) __attribute__((format(printf, 4, 5)));
void text_free(struct text *t);

#endif
