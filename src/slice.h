/* slice: a borrowed view of bytes. It owns nothing; whoever hands one out says how long it holds. */
#ifndef TXKV_SLICE_H
#define TXKV_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct slice {
    const char *data; /* not ended by NUL; may be NULL when len is 0 */
    size_t len;       /* bytes */
};

static inline struct slice slice_of(const char *data, size_t len)
{
    return (struct slice){data, len};
}

static inline struct slice slice_str(const char *text)
{
    return (struct slice){text, strlen(text)};
}

static inline bool slice_equal(struct slice a, struct slice b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

/* How many of the bytes are shown, at most `most`: for "%.*s". */
static inline int slice_shown(struct slice s, int most)
{
    return s.len < (size_t)most ? (int)s.len : most;
}

/* Copies the bytes to a place that may overlap them. 16 to 32, as many keys and values have, need no call. */
static inline void slice_copy(char *to, struct slice from)
{
    enum { SHORT = 16 };
    if (from.len - SHORT <= SHORT) {
        char head[SHORT], tail[SHORT];
        memcpy(head, from.data, SHORT);
        memcpy(tail, from.data + from.len - SHORT, SHORT);
        memcpy(to, head, SHORT);
        memcpy(to + from.len - SHORT, tail, SHORT);
    } else if (from.len > 0) {
        memmove(to, from.data, from.len);
    }
}

#endif
