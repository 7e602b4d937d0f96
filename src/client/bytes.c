#include <stdlib.h>
#include <string.h>

#include "client.h"

#define BYTES_MIN ((size_t)16 << 10)

char *txkv_bytes_reserve(struct bytes *b, size_t size)
{
    size_t len = b->end - b->start;
    if (len == 0) {
        b->start = b->end = 0;
    }
    if (b->cap - b->end >= size) {
        return b->data + b->end;
    }
    if (b->start >= len && b->cap - len >= size) {
        memcpy(b->data, b->data + b->start, len);
        b->start = 0;
        b->end = len;
        return b->data + b->end;
    }
    size_t cap = b->cap < BYTES_MIN ? BYTES_MIN : b->cap;
    while (cap - len < size) {
        if (cap > SIZE_MAX / 2) {
            return NULL;
        }
        cap *= 2;
    }
    char *data = malloc(cap);
    if (data == NULL) {
        return NULL;
    }
    if (len > 0) {
        memcpy(data, b->data + b->start, len);
    }
    free(b->data);
    *b = (struct bytes){.data = data, .start = 0, .end = len, .cap = cap};
    return b->data + b->end;
}

void txkv_bytes_free(struct bytes *b)
{
    free(b->data);
    *b = (struct bytes){0};
}
