#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "buf.h"
#include "fault.h"

#define LOANS_MAX 64 /* of all queues; what does not find a place is copied at once */

_Static_assert(2 * LOANS_MAX + 1 == BUF_PIECES_MAX, "each of them and what stands between");

struct loan {
    struct buf *buf;
    size_t at;          /* of its gap, behind the queue's head */
    struct slice bytes; /* what belongs there */
};

static struct loan loans[LOANS_MAX]; /* those of one queue in order */
unsigned buf_loans;
size_t buf_least_loan = SIZE_MAX;

int buf_lend(struct buf *b, struct slice bytes)
{
    if (buf_loans == LOANS_MAX || bytes.len == 0) {
        return buf_append(b, bytes.data, bytes.len);
    }
    if (buf_reserve(b, bytes.len) == NULL) {
        return -1;
    }
    loans[buf_loans++] = (struct loan){b, buf_len(b), bytes};
    buf_least_loan = bytes.len < buf_least_loan ? bytes.len : buf_least_loan;
    buf_commit(b, bytes.len);
    return 0;
}

size_t buf_pieces(const struct buf *b, size_t size, struct slice pieces[BUF_PIECES_MAX])
{
    size_t count = 0;
    size_t done = 0;
    for (unsigned i = 0; i < buf_loans && done < size; i++) {
        const struct loan *l = &loans[i];
        if (l->buf != b || l->at >= size) {
            continue;
        }
        if (l->at > done) {
            pieces[count++] = slice_of(buf_head(b) + done, l->at - done);
        }
        done = l->at + l->bytes.len < size ? l->at + l->bytes.len : size;
        pieces[count++] = slice_of(l->bytes.data, done - l->at);
    }
    if (done < size) {
        pieces[count++] = slice_of(buf_head(b) + done, size - done);
    }
    return count;
}

static void keep(unsigned count)
{
    buf_loans = count;
    buf_least_loan = count == 0 ? SIZE_MAX : buf_least_loan;
}

/* Puts what belongs there into a gap, but for its first bytes. */
static void fill(const struct loan *l, size_t except)
{
    if (except < l->bytes.len) {
        memcpy(buf_head(l->buf) + l->at + except, l->bytes.data + except, l->bytes.len - except);
    }
}

void buf_repay_all(struct buf *b, size_t gone)
{
    unsigned kept = 0;
    for (unsigned i = 0; i < buf_loans; i++) {
        const struct loan *l = &loans[i];
        if (l->buf != b) {
            loans[kept++] = *l;
        } else {
            fill(l, gone > l->at ? gone - l->at : 0);
        }
    }
    keep(kept);
}

void buf_repay_from(const void *memory, size_t size)
{
    unsigned kept = 0;
    uintptr_t from = (uintptr_t)memory;
    for (unsigned i = 0; i < buf_loans; i++) {
        const struct loan *l = &loans[i];
        uintptr_t at = (uintptr_t)l->bytes.data;
        if (at < from || at >= from + size) {
            loans[kept++] = *l;
        } else if (FAULT(loans_forgotten)) {
            memset(buf_head(l->buf) + l->at, '?', l->bytes.len);
        } else {
            fill(l, 0);
        }
    }
    keep(kept);
}

void buf_drop_loans(const struct buf *b, size_t len)
{
    unsigned kept = 0;
    for (unsigned i = 0; i < buf_loans; i++) {
        if (loans[i].buf != b || loans[i].at < len) {
            assert(loans[i].buf != b || loans[i].at + loans[i].bytes.len <= len);
            loans[kept++] = loans[i];
        }
    }
    keep(kept);
}

void buf_copy(const struct buf *b, char *to)
{
    size_t done = 0;
    size_t len = buf_len(b);
    for (unsigned i = 0; i < buf_loans; i++) {
        const struct loan *l = &loans[i];
        if (l->buf == b) {
            memcpy(to + done, buf_head(b) + done, l->at - done);
            done = l->at + l->bytes.len;
        }
    }
    memcpy(to + done, buf_head(b) + done, len - done);
}
