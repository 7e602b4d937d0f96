/* record: the format of commits in files. */
#include <string.h>

#include "data.h"
#include "guard.h"
#include "le.h"
#include "mem.h"
#include "record.h"
#include "rng.h"

#define ID UINT64_C(0x0123456789abcdef)

static struct file_header some_header(enum file_kind kind)
{
    return (struct file_header){.kind = kind, .id = ID, .number = 7, .seq = 41, .chain = 0x55, .time = 1700000000};
}

/* --- file headers --- */

Test(file_header, comes_back)
{
    for (int kind = FILE_LOG; kind <= FILE_CHECKPOINT; kind++) {
        struct file_header wrote = some_header((enum file_kind)kind);
        struct file_header read;
        uint32_t version = 0;
        char bytes[FILE_HEADER_BYTES];
        file_header_write(&wrote, bytes);
        cr_assert_eq(file_header_read(&read, bytes, &version), FILE_HEADER_GOOD);
        cr_assert_eq(version, RECORD_FORMAT);
        cr_assert(read.kind == wrote.kind && read.id == wrote.id && read.number == wrote.number &&
                  read.seq == wrote.seq && read.chain == wrote.chain && read.time == wrote.time &&
                  read.check == wrote.check);
    }
}

Test(file_header, lies_as_it_is_described)
{
    struct file_header h = some_header(FILE_LOG);
    char bytes[FILE_HEADER_BYTES];
    file_header_write(&h, bytes);
    cr_assert_eq(
        memcmp(bytes,
               "TXKVLOG\0\2\0\0\0\x40\0\0\0\xef\xcd\xab\x89\x67\x45\x23\x01\7\0\0\0\0\0\0\0\x29\0\0\0\0\0\0\0\x55", 41),
        0);
}

Test(file_header, with_any_bit_wrong_is_not_good)
{
    struct file_header h = some_header(FILE_CHECKPOINT);
    char bytes[FILE_HEADER_BYTES];
    file_header_write(&h, bytes);
    for (size_t bit = 0; bit < 8 * FILE_HEADER_BYTES; bit++) {
        struct file_header read;
        uint32_t version;
        bytes[bit / 8] = (char)(bytes[bit / 8] ^ (1 << bit % 8));
        cr_assert_eq(file_header_read(&read, bytes, &version), FILE_HEADER_BAD, "bit %zu", bit);
        bytes[bit / 8] = (char)(bytes[bit / 8] ^ (1 << bit % 8));
    }
}

Test(file_header, of_zeros_is_unused)
{
    static const char zeros[FILE_HEADER_BYTES];
    struct file_header read;
    uint32_t version;
    cr_assert_eq(file_header_read(&read, zeros, &version), FILE_HEADER_ZERO);
}

/* --- operations --- */

static struct slice written(struct buf *b)
{
    return slice_of(buf_head(b), buf_len(b));
}

Test(record_next, gives_back_what_was_put_in)
{
    static const size_t sizes[] = {0, 1, 127, 128, 16383, 16384, 300000};
    static char bytes[300000];
    memset(bytes, 'v', sizeof(bytes));
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct buf b;
        struct record_op op;
        struct slice text = slice_of(bytes, sizes[i]);
        buf_init(&b);
        cr_assert(record_put(&b, text, S("x"), 0) == 0 && record_put(&b, S("k"), text, 1700000000123) == 0 &&
                  record_delete(&b, text) == 0 && record_flush(&b) == 0 &&
                  record_outcome(&b, text, UINT64_MAX - 1) == 0);
        struct slice left = written(&b);
        cr_assert(record_next(&left, &op) == 1 && op.kind == RECORD_PUT && slice_equal(op.key, text) &&
                  slice_equal(op.value, S("x")) && op.time == 0);
        cr_assert(record_next(&left, &op) == 1 && op.kind == RECORD_PUT && slice_equal(op.key, S("k")) &&
                  slice_equal(op.value, text) && op.time == UINT64_C(1700000000123));
        cr_assert(record_next(&left, &op) == 1 && op.kind == RECORD_DELETE && slice_equal(op.key, text));
        cr_assert(record_next(&left, &op) == 1 && op.kind == RECORD_FLUSH);
        cr_assert(record_next(&left, &op) == 1 && op.kind == RECORD_OUTCOME && slice_equal(op.key, text) &&
                  op.time == UINT64_MAX - 1);
        cr_assert_eq(record_next(&left, &op), 0);
        buf_deinit(&b);
    }
}

/* Never is said by operation 1. */
Test(record_next, an_end_at_0_is_none)
{
    const char *bytes = "\5\1\1\0\0\0\0\0\0\0\0kv";
    struct record_op op;
    struct slice left = slice_of(bytes, 13);
    cr_assert_eq(record_next(&left, &op), -1);
}

static int take_all(struct slice payload)
{
    struct record_op op;
    int rc;
    while ((rc = record_next(&payload, &op)) == 1) {
    }
    return rc;
}

Test(record_next, refuses_what_is_no_operation)
{
    static const struct slice wrong[] = {
        {"\0", 1},   /* no kind */
        {"\5\0", 2}, /* a kind too high */
        {"\xff", 1},
        {"\1\1\1k", 4},                                 /* the value is missing */
        {"\2\x80\0", 3},                                /* zero in two bytes */
        {"\2\x81\0k", 4},                               /* one in two bytes */
        {"\2\xff\xff\xff\xff\xff\xff\xff\xff\xff", 10}, /* longer than any length */
        {"\1\xff\xff\xff\xff\x7f\xff\xff\xff\xff\x7fk", 12},
        {"\4\1\0\0\0\0\0\0\0t", 10}, /* a time too short */
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        cr_assert_eq(take_all(wrong[i]), -1, "case %zu", i);
    }
}

/* Nothing is read beyond the end, wherever that is, and whatever stands there. */
Test(record_next, ends_where_the_payload_ends)
{
    struct guard g;
    struct rng rng = {1};
    guard_init(&g, 4096);
    for (int turn = 0; turn < 20000; turn++) {
        char bytes[64];
        size_t len = rng_below(&rng, sizeof(bytes));
        for (size_t i = 0; i < len; i++) {
            bytes[i] = (char)(rng_chance(&rng, 60) ? rng_below(&rng, 6) : rng_below(&rng, 256));
        }
        check(take_all(guard_copy(&g, slice_of(bytes, len))) <= 0);
    }
    guard_deinit(&g);
}

/* --- records --- */

static void add_commit(struct buf *b, uint64_t seq, struct slice key, struct slice value)
{
    size_t start = buf_len(b);
    cr_assert(record_begin(b, RECORD_COMMIT, seq) == 0 && record_put(b, key, value, 0) == 0);
    record_end(b, start);
}

Test(record_seal, chains_and_checks)
{
    struct buf b;
    struct record_header h;
    buf_init(&b);
    add_commit(&b, 5, S("k"), S("value"));
    add_commit(&b, 6, S("key"), S(""));
    uint64_t chain = record_seal(buf_head(&b), buf_len(&b), ID, 4, 0x77);
    const char *at = buf_head(&b);
    cr_assert(record_header_read(&h, at, ID));
    cr_assert(h.kind == RECORD_COMMIT && h.seq == 5 && h.synced == 4 && h.chain == 0x77 && h.length == 3 + 1 + 5);
    cr_assert(record_payload_holds(&h, at + RECORD_HEADER_BYTES));
    uint64_t first = h.check;
    at += RECORD_HEADER_BYTES + h.length;
    cr_assert(record_header_read(&h, at, ID));
    cr_assert(h.seq == 6 && h.synced == 4 && h.chain == first && h.check == chain);
    cr_assert(record_payload_holds(&h, at + RECORD_HEADER_BYTES));
    cr_assert_eq(at + RECORD_HEADER_BYTES + h.length, buf_head(&b) + buf_len(&b));
    buf_deinit(&b);
}

Test(record_seal, leaves_no_bit_unchecked)
{
    struct buf b;
    struct record_header h;
    buf_init(&b);
    add_commit(&b, 5, S("k"), S("value"));
    (void)record_seal(buf_head(&b), buf_len(&b), ID, 4, 0x77);
    char *bytes = buf_head(&b);
    for (size_t bit = 0; bit < 8 * buf_len(&b); bit++) {
        bytes[bit / 8] = (char)(bytes[bit / 8] ^ (1 << bit % 8));
        bool holds = record_header_read(&h, bytes, ID) && record_payload_holds(&h, bytes + RECORD_HEADER_BYTES);
        cr_assert(!holds, "bit %zu", bit);
        bytes[bit / 8] = (char)(bytes[bit / 8] ^ (1 << bit % 8));
    }
    cr_assert(!record_header_read(&h, bytes, ID + 1), "a record of another directory");
    buf_deinit(&b);
}

/* Behind its own check a payload of 40 bytes has the shape of a header; the key keeps them apart. */
Test(record_seal, a_payload_is_no_header)
{
    struct buf b;
    struct record_header h;
    buf_init(&b);
    add_commit(&b, 5, S("key"), S("thirty-four bytes in this value..."));
    (void)record_seal(buf_head(&b), buf_len(&b), ID, 4, 0x77);
    cr_assert_eq(buf_len(&b), RECORD_HEADER_BYTES + 40);
    for (size_t at = 1; at + RECORD_HEADER_BYTES <= buf_len(&b); at++) {
        cr_assert(!record_header_read(&h, buf_head(&b) + at, ID), "byte %zu", at);
    }
    buf_deinit(&b);
}

Test(record_marker, is_a_record_without_a_payload)
{
    char bytes[RECORD_HEADER_BYTES];
    struct record_header h;
    record_marker(bytes, 9);
    (void)record_seal(bytes, sizeof(bytes), ID, 9, 1);
    cr_assert(record_header_read(&h, bytes, ID));
    cr_assert(h.kind == RECORD_MARKER && h.seq == 9 && h.synced == 9 && h.length == 0 &&
              record_payload_holds(&h, NULL));
}

Test(record_begin, without_memory_nothing_is_added)
{
    struct buf b;
    static char bytes[MEM_CHUNK];
    buf_init(&b);
    cr_assert_eq(buf_append(&b, bytes, sizeof(bytes)), 0);
    mem_fail(1, true);
    cr_assert_eq(record_begin(&b, RECORD_COMMIT, 1), -1);
    cr_assert_eq(record_put(&b, S("k"), S("v"), 0), -1);
    cr_assert_eq(record_delete(&b, S("k")), -1);
    cr_assert_eq(record_flush(&b), -1);
    cr_assert_eq(record_outcome(&b, S("t"), 1), -1);
    cr_assert_eq(record_count(&b, 1), -1);
    mem_fail(0, false);
    cr_assert_eq(buf_len(&b), sizeof(bytes));
    buf_deinit(&b);
}
