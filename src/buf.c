#include "buf.h"

#include <assert.h>
#include <string.h>

#include "mem.h"

#define SETTLE_BELOW (MEM_CHUNK / 8) /* a rest of fewer bytes leaves its chunk */
#define SETTLE_PART 64               /* and one of less than this part of its place leaves that */

void buf_init(struct buf *b)
{
    *b = (struct buf){0};
}

static void release(char *data, size_t cap)
{
    if (cap == MEM_CHUNK) {
        mem_chunk_put(data);
    } else {
        mem_free(data);
    }
}

void buf_deinit(struct buf *b)
{
    if (buf_loans > 0) {
        buf_drop_loans(b, 0);
    }
    if (b->cap > 0) {
        release(b->data, b->cap);
    }
    buf_init(b);
}

/* Moves the bytes to a new place of cap bytes, front bytes into it. MEM_CHUNK bytes always come from the pool: release() relies
 * on it. */
static int move_to(struct buf *b, size_t cap, size_t front)
{
    char *data = cap == MEM_CHUNK ? mem_chunk_get() : mem_alloc(cap);
    if (data == NULL) {
        return -1;
    }
    size_t len = buf_len(b);
    if (len > 0 && buf_loans > 0) {
        buf_copy(b, data + front);
    } else if (len > 0) {
        memcpy(data + front, buf_head(b), len);
    }
    if (b->cap > 0) {
        release(b->data, b->cap);
    }
    *b = (struct buf){.data = data, .start = front, .end = front + len, .cap = cap};
    return 0;
}

static int relocate(struct buf *b, size_t cap)
{
    return move_to(b, cap, 0);
}

int buf_place(struct buf *b, size_t front, size_t size)
{
    assert(size > MEM_CHUNK && size > buf_len(b));
    return move_to(b, front + size, front);
}

void *buf_detach(struct buf *b)
{
    assert(b->cap > MEM_CHUNK);
    char *data = b->data;
    buf_init(b);
    return data;
}

/* A chunk, then 5, 20 and 80 of them, then doubling: a value that arrives in pieces is copied less than half on the way, and
 * one of a round size, with its command, just fits. What is not written to is not yet memory. */
static size_t cap_for(size_t size)
{
    size_t cap = MEM_CHUNK;
    size_t next = 5 * MEM_CHUNK;
    while (cap < size) {
        cap = next;
        next *= cap < 80 * MEM_CHUNK ? 4 : 2;
    }
    return cap;
}

/* Moves the bytes, to the front or to a larger place. */
char *buf_grow(struct buf *b, size_t size)
{
    size_t len = buf_len(b);
#ifndef TXKV_MOVE_BUFFERS
    if (b->cap - len >= size && b->start >= len) {
        memcpy(b->data, buf_head(b), len);
        b->start = 0;
        b->end = len;
        return b->data + b->end;
    }
#endif
    return relocate(b, cap_for(len + size)) < 0 ? NULL : b->data + b->end;
}

void buf_commit(struct buf *b, size_t size)
{
    assert(b->cap - b->end >= size);
    b->end += size;
}

int buf_append(struct buf *b, const void *bytes, size_t size)
{
    if (size == 0) {
        return 0;
    }
    char *tail = buf_reserve(b, size);
    if (tail == NULL) {
        return -1;
    }
    memcpy(tail, bytes, size);
    b->end += size;
    return 0;
}

void buf_consume(struct buf *b, size_t size)
{
    assert(size <= buf_len(b));
    b->start += size;
    if (b->start == b->end) {
        b->start = 0;
        b->end = 0;
    }
}

void buf_truncate(struct buf *b, size_t len)
{
    assert(len <= buf_len(b));
    if (buf_loans > 0) {
        buf_drop_loans(b, len);
    }
    b->end = b->start + len;
}

void buf_settle(struct buf *b)
{
    size_t len = buf_len(b);
    if (len == 0) {
        buf_deinit(b);
    } else if (b->cap >= MEM_CHUNK && (len < SETTLE_BELOW || len < b->cap / SETTLE_PART)) {
        size_t cap = 64;
        while (cap < len) {
            cap *= 2;
        }
        (void)relocate(b, cap); /* without memory it stays where it is */
    }
}
