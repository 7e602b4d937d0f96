/* buf: a byte queue that grows. Bytes are appended at the tail and consumed at the head.
 *
 *      data            start                  end                 cap
 *       |---- spent -----|====== bytes ========|---- free tail ----|
 *
 * Invariant: start <= end <= cap; data is NULL exactly when cap is 0. Its first MEM_CHUNK bytes come from the pool of
 * chunks, so an idle queue that was settled holds nothing and a busy one allocates nothing. */
#ifndef TXKV_BUF_H
#define TXKV_BUF_H

#include <stddef.h>

#include "slice.h"

struct buf {
    char *data;   /* owned */
    size_t start; /* first byte not consumed */
    size_t end;   /* one past the last byte */
    size_t cap;   /* bytes at data */
};

void buf_init(struct buf *b);
void buf_deinit(struct buf *b);

static inline size_t buf_len(const struct buf *b)
{
    return b->end - b->start;
}

static inline char *buf_head(const struct buf *b)
{
    return b->data == NULL ? NULL : b->data + b->start;
}

/* What buf_reserve does where the tail has too little room. */
char *buf_grow(struct buf *b, size_t size);

/* Whether nothing need move for size bytes more. In builds that test who keeps slices too long, everything always moves. */
static inline bool buf_has_room(const struct buf *b, size_t size)
{
#ifdef TXKV_MOVE_BUFFERS
    (void)b;
    (void)size;
    return false;
#else
    return b->cap - b->end >= size;
#endif
}

/* Makes room for at least size bytes, which is above 0, at the tail and returns where they go, or NULL without memory (the
 * bytes held stay as they were). May move the bytes: every slice into them is stale afterwards. */
static inline char *buf_reserve(struct buf *b, size_t size)
{
    return buf_has_room(b, size) ? b->data + b->end : buf_grow(b, size);
}

/* Moves the bytes held, fewer than size, to front bytes into a place of their own of front + size bytes, over MEM_CHUNK. 0, or -1
 * without memory, with nothing changed. */
int buf_place(struct buf *b, size_t front, size_t size);

/* Gives away the memory of a place, for mem_free; the queue is empty afterwards. */
void *buf_detach(struct buf *b);

/* Takes size bytes, written where buf_reserve said, into the queue. */
void buf_commit(struct buf *b, size_t size);

/* Appends a copy; 0, or -1 without memory, with nothing appended. */
int buf_append(struct buf *b, const void *bytes, size_t size);

/* --- loans ---
 *
 * Large bytes that are appended and most probably sent soon need not be copied into the queue: it has a gap of their size, and what
 * belongs there stays where it lies, until it is sent from there (buf_pieces), or must be copied into the gap after all.
 *
 *      | bytes |  gap, lent  | bytes | gap, lent | bytes |
 *
 * Who lends sees to it that buf_repay_all is called before anything of the queue is consumed or read otherwise than by buf_pieces, and
 * buf_repay_from before the memory that was lent from changes or goes. */

#define BUF_PIECES_MAX 129

extern unsigned buf_loans;      /* how many there are, in all queues */
extern size_t buf_least_loan; /* bytes, of those of now and some before; SIZE_MAX while there are none */

/* As buf_append, but the bytes are borrowed where they lie. */
int buf_lend(struct buf *b, struct slice bytes);

/* The first size bytes, in order. How many pieces. */
size_t buf_pieces(const struct buf *b, size_t size, struct slice pieces[BUF_PIECES_MAX]);

/* Copies what was lent to this queue into it, but for what stands in its first `gone` bytes, which nobody needs any more. */
void buf_repay_all(struct buf *b, size_t gone);

/* Copies what was lent from so many bytes of memory, which are about to change or to go. */
void buf_repay_from(const void *memory, size_t size);

/* Forgets loans behind the first len bytes. */
void buf_drop_loans(const struct buf *b, size_t len);

/* Copies what is held, but for gaps. */
void buf_copy(const struct buf *b, char *to);

/* Drops size bytes at the head; what is left does not move. */
void buf_consume(struct buf *b, size_t size);

/* Drops bytes at the tail until len are left. */
void buf_truncate(struct buf *b, size_t len);

/* Gives back memory that the bytes held do not need: all of it when there are none. May move the bytes. */
void buf_settle(struct buf *b);

#endif
