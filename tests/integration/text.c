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

void text_addf(struct text *t, const char *format, ...)
{
    char line[1024];
    va_list arguments;
    va_start(arguments, format);
    int len = vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    if (len < 0 || (size_t)len >= sizeof(line)) {
        check_broken("a line is too long for text_addf");
    }
    text_add(t, line, (size_t)len);
}

void text_fill(struct text *t, char byte, size_t count)
{
    memset(grow(t, count), byte, count);
    t->len += count;
}

void text_free(struct text *t)
{
    free(t->data);
    *t = (struct text){0};
}
