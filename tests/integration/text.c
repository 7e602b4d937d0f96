#include "text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

static char *grow(struct text *t, size_t more)
{
    while (t->cap - t->len < more) {
        t->cap = t->cap == 0 ? 4096 : t->cap * 2;
        t->data = realloc(t->data, t->cap);
        if (t->data == NULL) {
            check_broken("no memory");
        }
    }
    return t->data + t->len;
}

void text_add(struct text *t, const void *bytes, size_t len)
{
    if (len > 0) {
        memcpy(grow(t, len), bytes, len);
        t->len += len;
    }
}

static __attribute__((format(printf, 2, 0))) void add_formatted(struct text *t, const char *format, va_list arguments)
{
    char line[1024];
    int len = vsnprintf(line, sizeof(line), format, arguments);
    if (len < 0 || (size_t)len >= sizeof(line)) {
        check_broken("a line is too long for a text");
    }
    text_add(t, line, (size_t)len);
}

void text_addf(struct text *t, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    add_formatted(t, format, arguments);
    va_end(arguments);
}

void text_fill(struct text *t, char byte, size_t count)
{
    memset(grow(t, count), byte, count);
    t->len += count;
}

void text_add_line(struct text *t, char byte, size_t count, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    add_formatted(t, format, arguments);
    va_end(arguments);
    text_fill(t, byte, count);
    text_add(t, "\r\n", 2);
}

void text_free(struct text *t)
{
    free(t->data);
    *t = (struct text){0};
}
