#include "record.h"

#include <assert.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "fault.h"
#include "le.h"

static uint64_t check_of(const char *bytes, size_t size)
{
    return XXH3_64bits(bytes, size);
}

static uint64_t keyed(const char *header, uint64_t id)
{
    return XXH3_64bits_withSeed(header + 8, RECORD_HEADER_BYTES - 8, id);
}

/* --- file headers --- */

static const char *const magics[] = {[FILE_LOG] = "TXKVLOG", [FILE_CHECKPOINT] = "TXKVCHK"};

void file_header_write(struct file_header *h, char bytes[FILE_HEADER_BYTES])
{
    memcpy(bytes, magics[h->kind], 8);
    le_put32(bytes + 8, RECORD_FORMAT);
    le_put32(bytes + 12, (uint32_t)FILE_HEADER_BYTES);
    le_put64(bytes + 16, h->id);
    le_put64(bytes + 24, h->number);
    le_put64(bytes + 32, h->seq);
    le_put64(bytes + 40, h->chain);
    le_put64(bytes + 48, h->time);
    h->check = check_of(bytes, 56);
    le_put64(bytes + 56, h->check);
}

static bool is_zero(const char *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (bytes[i] != 0) {
            return false;
        }
    }
    return true;
}

/* A later format keeps its check where this one has it, or not: damage of one bit must not pass for a format. */
static bool is_damaged_version(uint32_t version)
{
    for (uint32_t known = RECORD_FORMAT_OLDEST; known <= RECORD_FORMAT; known++) {
        uint32_t differs = version ^ known;
        if ((differs & (differs - 1)) == 0) {
            return true;
        }
    }
    return false;
}

enum file_header_found file_header_read(struct file_header *h, const char bytes[FILE_HEADER_BYTES], uint32_t *version)
{
    if (is_zero(bytes, FILE_HEADER_BYTES)) {
        return FILE_HEADER_ZERO;
    }
    bool is_log = memcmp(bytes, magics[FILE_LOG], 8) == 0;
    if (!is_log && memcmp(bytes, magics[FILE_CHECKPOINT], 8) != 0) {
        return FILE_HEADER_BAD;
    }
    *version = le_get32(bytes + 8);
    bool holds = le_get64(bytes + 56) == check_of(bytes, 56) || FAULT(checksum_not_checked);
    if (*version < RECORD_FORMAT_OLDEST || *version > RECORD_FORMAT) {
        return is_damaged_version(*version) && !holds ? FILE_HEADER_BAD : FILE_HEADER_UNKNOWN;
    }
    if (!holds || le_get32(bytes + 12) != FILE_HEADER_BYTES) {
        return FILE_HEADER_BAD;
    }
    *h = (struct file_header){.kind = is_log ? FILE_LOG : FILE_CHECKPOINT,
                              .id = le_get64(bytes + 16),
                              .number = le_get64(bytes + 24),
                              .seq = le_get64(bytes + 32),
                              .chain = le_get64(bytes + 40),
                              .time = le_get64(bytes + 48),
                              .check = le_get64(bytes + 56)};
    return FILE_HEADER_GOOD;
}

/* --- making records --- */

static void write_header(char *at, enum record_kind kind, uint64_t seq)
{
    memset(at, 0, RECORD_HEADER_BYTES);
    le_put32(at + 12, kind);
    le_put64(at + 16, seq);
}

void record_marker(char bytes[RECORD_HEADER_BYTES], uint64_t seq)
{
    write_header(bytes, RECORD_MARKER, seq);
}

int record_begin(struct buf *b, enum record_kind kind, uint64_t seq)
{
    char *at = buf_reserve(b, RECORD_HEADER_BYTES);
    if (at == NULL) {
        return -1;
    }
    write_header(at, kind, seq);
    buf_commit(b, RECORD_HEADER_BYTES);
    return 0;
}

static char *put_varint(char *at, size_t number)
{
    while (number >= 0x80) {
        *at++ = (char)(number | 0x80);
        number >>= 7;
    }
    *at++ = (char)number;
    return at;
}

static char *put_bytes(char *at, struct slice bytes)
{
    if (bytes.len > 0) {
        memcpy(at, bytes.data, bytes.len);
    }
    return at + bytes.len;
}

#define PUT_UNTIL 5 /* in a file; for a reader it is a put with a time */

int record_put(struct buf *b, struct slice key, struct slice value, uint64_t expires_at)
{
    char *start = buf_reserve(b, RECORD_OP_BYTES_MAX + key.len + value.len);
    if (start == NULL) {
        return -1;
    }
    char *at = start;
    *at++ = expires_at == 0 ? RECORD_PUT : PUT_UNTIL;
    at = put_varint(at, key.len);
    at = put_varint(at, value.len);
    if (expires_at > 0) {
        le_put64(at, expires_at);
        at += 8;
    }
    at = put_bytes(at, key);
    at = put_bytes(at, value);
    buf_commit(b, (size_t)(at - start));
    return 0;
}

int record_delete(struct buf *b, struct slice key)
{
    char *start = buf_reserve(b, RECORD_OP_BYTES_MAX + key.len);
    if (start == NULL) {
        return -1;
    }
    char *at = start;
    *at++ = RECORD_DELETE;
    at = put_varint(at, key.len);
    at = put_bytes(at, key);
    buf_commit(b, (size_t)(at - start));
    return 0;
}

int record_flush(struct buf *b)
{
    const char op = RECORD_FLUSH;
    return buf_append(b, &op, 1);
}

int record_outcome(struct buf *b, struct slice token, uint64_t time)
{
    char *start = buf_reserve(b, RECORD_OP_BYTES_MAX + token.len);
    if (start == NULL) {
        return -1;
    }
    char *at = start;
    *at++ = RECORD_OUTCOME;
    at = put_varint(at, token.len);
    le_put64(at, time);
    at = put_bytes(at + 8, token);
    buf_commit(b, (size_t)(at - start));
    return 0;
}

int record_count(struct buf *b, uint64_t keys)
{
    char bytes[8];
    le_put64(bytes, keys);
    return buf_append(b, bytes, sizeof(bytes));
}

void record_end(struct buf *b, size_t start)
{
    size_t length = buf_len(b) - start - RECORD_HEADER_BYTES;
    assert(length <= RECORD_BYTES_MAX);
    le_put32(buf_head(b) + start + 8, (uint32_t)length);
}

uint64_t record_seal(char *bytes, size_t size, uint64_t id, uint64_t synced, uint64_t chain)
{
    while (size > 0) {
        size_t length = le_get32(bytes + 8);
        assert(size >= RECORD_HEADER_BYTES + length);
        le_put64(bytes + 24, synced);
        le_put64(bytes + 32, chain);
        le_put64(bytes + 40, check_of(bytes + RECORD_HEADER_BYTES, length));
        chain = keyed(bytes, id);
        le_put64(bytes, chain);
        bytes += RECORD_HEADER_BYTES + length;
        size -= RECORD_HEADER_BYTES + length;
    }
    return chain;
}

/* --- reading --- */

bool record_header_read(struct record_header *h, const char bytes[RECORD_HEADER_BYTES], uint64_t id)
{
    *h = (struct record_header){.check = le_get64(bytes),
                                .length = le_get32(bytes + 8),
                                .kind = le_get32(bytes + 12),
                                .seq = le_get64(bytes + 16),
                                .synced = le_get64(bytes + 24),
                                .chain = le_get64(bytes + 32),
                                .payload_check = le_get64(bytes + 40)};
    if (FAULT(checksum_not_checked)) {
        return h->kind >= RECORD_COMMIT && h->kind <= RECORD_END;
    }
    return h->check == keyed(bytes, id);
}

bool record_payload_holds(const struct record_header *h, const char *payload)
{
    return h->payload_check == check_of(payload, h->length) || FAULT(checksum_not_checked);
}

/* A length in its shortest form, which must not go beyond what is left; false where it is not that. */
static bool take_length(struct slice *left, size_t *length)
{
    uint64_t number = 0;
    for (unsigned shift = 0; shift < 35 && left->len > 0; shift += 7) {
        unsigned char byte = (unsigned char)left->data[0];
        *left = slice_of(left->data + 1, left->len - 1);
        number |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *length = (size_t)number;
            return byte != 0 || shift == 0;
        }
    }
    return false;
}

static bool take_bytes(struct slice *left, size_t length, struct slice *bytes)
{
    if (length > left->len) {
        return false;
    }
    *bytes = slice_of(left->data, length);
    *left = slice_of(left->data + length, left->len - length);
    return true;
}

static bool take_time(struct slice *left, uint64_t *time)
{
    struct slice bytes;
    if (!take_bytes(left, 8, &bytes)) {
        return false;
    }
    *time = le_get64(bytes.data);
    return true;
}

static bool take_put(struct slice *left, bool ends, struct record_op *op)
{
    size_t key_len;
    size_t value_len;
    return take_length(left, &key_len) && take_length(left, &value_len) &&
           (!ends || (take_time(left, &op->time) && op->time != 0)) && take_bytes(left, key_len, &op->key) &&
           take_bytes(left, value_len, &op->value);
}

static bool take_op(struct slice *left, unsigned code, struct record_op *op)
{
    size_t key_len;
    switch (code) {
    case PUT_UNTIL:
        op->kind = RECORD_PUT;
        return take_put(left, true, op);
    case RECORD_PUT:
        return take_put(left, false, op);
    case RECORD_DELETE:
        return take_length(left, &key_len) && take_bytes(left, key_len, &op->key);
    case RECORD_FLUSH:
        return true;
    case RECORD_OUTCOME:
        return take_length(left, &key_len) && take_time(left, &op->time) && take_bytes(left, key_len, &op->key);
    default:
        return false;
    }
}

int record_next(struct slice *payload, struct record_op *op)
{
    if (payload->len == 0) {
        return 0;
    }
    unsigned code = (unsigned char)payload->data[0];
    *op = (struct record_op){.kind = (enum record_op_kind)code};
    *payload = slice_of(payload->data + 1, payload->len - 1);
    return take_op(payload, code, op) ? 1 : -1;
}
