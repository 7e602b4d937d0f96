#include "reader.h"

#include <errno.h>
#include <stdio.h>

#include "fault.h"

#define READ_AT_ONCE ((size_t)1 << 20)

int reader_open(struct reader *r, struct disk *d, const char *name)
{
    *r = (struct reader){.disk = d, .file = -1};
    buf_init(&r->window);
    snprintf(r->name, sizeof(r->name), "%s", name);
    r->file = d->ops->open(d, name, DISK_READ);
    r->error = r->file < 0 ? r->file : d->ops->size(d, r->file, &r->size);
    return r->error;
}

void reader_close(struct reader *r)
{
    if (r->file >= 0) {
        r->disk->ops->close(r->disk, r->file);
    }
    buf_deinit(&r->window);
}

bool reader_have(struct reader *r, size_t size)
{
    size_t have = buf_len(&r->window);
    if (have >= size) {
        return true;
    }
    if (r->error < 0 || r->size - r->at < size) {
        return false;
    }
    uint64_t left = r->size - r->at - have;
    size_t more = size - have > READ_AT_ONCE ? size - have : left < READ_AT_ONCE ? (size_t)left : READ_AT_ONCE;
    char *to = buf_reserve(&r->window, more);
    if (to == NULL) {
        r->error = -ENOMEM;
        return false;
    }
    ssize_t got = disk_read_all(r->disk, r->file, to, more, r->at + have);
    if (got < 0) {
        r->error = (int)got;
        return false;
    }
    buf_commit(&r->window, (size_t)got);
    return buf_len(&r->window) >= size;
}

void reader_pass(struct reader *r, size_t size)
{
    buf_consume(&r->window, size);
    r->at += size;
}

/* Bytes at the front of the window that are zero. */
static size_t zeros_ahead(const struct reader *r)
{
    size_t have = buf_len(&r->window);
    const char *bytes = reader_bytes(r);
    size_t zeros = 0;
    while (zeros + 64 <= have && bytes[zeros] == 0 && memcmp(bytes + zeros, bytes + zeros + 1, 63) == 0) {
        zeros += 64;
    }
    while (zeros < have && bytes[zeros] == 0) {
        zeros++;
    }
    return zeros;
}

bool reader_rest_is_zero(struct reader *r)
{
    while (reader_have(r, 1)) {
        size_t have = buf_len(&r->window);
        if (zeros_ahead(r) < have) {
            return false;
        }
        reader_pass(r, have);
    }
    return true;
}

/* --- records --- */

static bool ops_are_whole(struct reader *r, struct slice payload)
{
    struct record_op op;
    uint64_t puts = 0;
    int rc;
    while ((rc = record_next(&payload, &op)) == 1) {
        puts += op.kind == RECORD_PUT;
    }
    r->puts += rc == 0 ? puts : 0;
    return rc == 0;
}

/* Whether a record of this kind and length may stand in such a file. */
static bool kind_belongs(const struct record_header *h, enum file_kind kind)
{
    switch (h->kind) {
    case RECORD_COMMIT:
        return kind == FILE_LOG && h->length > 0;
    case RECORD_MARKER:
        return kind == FILE_LOG && h->length == 0;
    case RECORD_PART:
        return kind == FILE_CHECKPOINT;
    case RECORD_END:
        return kind == FILE_CHECKPOINT && h->length == 8;
    default:
        return false;
    }
}

enum reader_found reader_record(struct reader *r, const struct reader_place *place, enum file_kind kind,
                                struct record_header *h, struct slice *payload)
{
    if (!reader_have(r, RECORD_HEADER_BYTES)) {
        return READER_FILE_ENDS;
    }
    if (!record_header_read(h, reader_bytes(r), r->id)) {
        return READER_BAD_HEADER;
    }
    if (!kind_belongs(h, kind)) {
        return READER_BAD_KIND;
    }
    if (h->chain != place->chain && !FAULT(chain_not_checked)) {
        return READER_BAD_CHAIN;
    }
    if (h->seq != place->last + (h->kind == RECORD_COMMIT)) {
        return READER_BAD_SEQ;
    }
    if (!reader_have(r, RECORD_HEADER_BYTES + h->length)) {
        return READER_CUT;
    }
    *payload = slice_of(reader_bytes(r) + RECORD_HEADER_BYTES, h->length);
    if (!record_payload_holds(h, payload->data)) {
        return READER_BAD_PAYLOAD;
    }
    return h->kind == RECORD_END || ops_are_whole(r, *payload) ? READER_RECORD : READER_BAD_OPS;
}

const char *reader_reason(enum reader_found found)
{
    static const char *const reasons[] = {
        [READER_RECORD] = "a valid record",
        [READER_FILE_ENDS] = "the file ends",
        [READER_BAD_HEADER] = "no record's header, or a damaged one",
        [READER_BAD_KIND] = "a record of a kind that does not belong into this file",
        [READER_BAD_CHAIN] = "a record that does not follow the one before it",
        [READER_BAD_SEQ] = "a record whose sequence number is not the next one",
        [READER_CUT] = "a record that does not lie whole in the file",
        [READER_BAD_PAYLOAD] = "a record whose payload is damaged",
        [READER_BAD_OPS] = "a record that holds something else than operations",
    };
    return reasons[found];
}

static bool payload_holds(struct reader *r, const struct record_header *h)
{
    return reader_have(r, RECORD_HEADER_BYTES + h->length) && record_payload_holds(h, reader_bytes(r) + RECORD_HEADER_BYTES);
}

/* Whether what stands at the window's front is a record's header that makes sense. Without the id its own check says nothing;
 * then that of its payload must do. */
static bool is_header(struct reader *r, struct record_header *h)
{
    if (!reader_have(r, RECORD_HEADER_BYTES)) {
        return false;
    }
    bool holds = record_header_read(h, reader_bytes(r), r->id);
    bool makes_sense = kind_belongs(h, FILE_LOG) && h->synced <= h->seq && h->length <= r->size - r->at - RECORD_HEADER_BYTES;
    return makes_sense && (r->id == 0 ? payload_holds(r, h) : holds);
}

bool reader_find(struct reader *r, struct record_header *h, uint64_t *end)
{
    while (reader_have(r, 1)) {
        size_t zeros = zeros_ahead(r);
        if (zeros >= RECORD_HEADER_BYTES) {
            reader_pass(r, zeros - RECORD_HEADER_BYTES + 1); /* no header begins so that all of it is zero */
            continue;
        }
        if (*reader_bytes(r) != 0) {
            *end = r->at + 1;
        }
        if (is_header(r, h)) {
            return true;
        }
        reader_pass(r, 1);
    }
    return false;
}

bool reader_leave(struct reader *r, const struct record_header *h, uint64_t *end)
{
    size_t size = RECORD_HEADER_BYTES + h->length;
    bool holds = payload_holds(r, h);
    reader_pass(r, holds ? size : 1);
    *end = holds ? r->at : *end;
    return holds;
}
