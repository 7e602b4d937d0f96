/* Arbitrary bytes as a log. The first byte says what the rest is:
 *
 *      0  the first segment, as it is
 *      1  what to commit, and then how to damage the log that holds it: what is read back must be the first of those commits,
 *         and all of them up to the newest that a record left over says had been on disk, or else the damage is told
 *      2  the payload of a commit between two others, with right checks: it counts exactly if it is whole operations
 *      3  kind, length and payload of a record behind a commit, with a right check of the header whatever they are */
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "fuzz.h"
#include "le.h"
#include "log.h"
#include "reading.h"

#define DAMAGES_MAX 4
#define ZEROS 256 /* behind a segment's records */

/* A segment as it lies on the disk: the records, zeros behind, and what became of them. */
struct image {
    char bytes[1 << 16];
    size_t size;
    bool lost;
};

static struct image images[TIMELINE_SEGMENTS];

static void read_images(struct reading *r, size_t count, const struct timeline *expected)
{
    static const char unused[ZEROS];
    struct memory_disk d;
    char name[DISK_NAME_MAX];
    memory_disk_init(&d);
    for (size_t i = 0; i < count; i++) {
        log_name(i + 1, name);
        if (!images[i].lost) {
            memory_disk_add(&d, name, images[i].bytes, images[i].size);
        }
    }
    log_name(count + 1, name);
    memory_disk_add(&d, name, unused, sizeof(unused));
    memory_disk_add(&d, "log-next.tmp", unused, sizeof(unused));
    reading_run(r, &d, expected);
}

static void take_image(struct image *image, const struct buf *segment)
{
    image->size = buf_len(segment) + ZEROS;
    image->lost = false;
    memset(image->bytes, 0, image->size);
    memcpy(image->bytes, buf_head(segment), buf_len(segment));
}

/* --- 0: as it is --- */

static void raw(const uint8_t *data, size_t size)
{
    struct reading r;
    images[0].size = size < sizeof(images[0].bytes) ? size : sizeof(images[0].bytes);
    images[0].lost = false;
    if (images[0].size > 0) {
        memcpy(images[0].bytes, data, images[0].size);
    }
    read_images(&r, 1, NULL);
    reading_free(&r);
}

/* --- 1: damage --- */

/* Bytes of another timeline of the same shape in the place of the same record, and of all behind it in the segment. */
static void splice(const struct timeline *t, const struct timeline *other, struct input *in)
{
    const struct timeline_record *at = &t->records[input_below(in, t->record_count)];
    size_t from = at->segment > 0 && input_byte(in) % 2 == 0 ? 0 : at->at;
    bool all = input_byte(in) % 2 == 0;
    size_t to = all || from == 0 ? buf_len(&t->segments[at->segment]) : at->at + at->size;
    struct image *image = &images[at->segment];
    if (to <= image->size && to > from) {
        memcpy(image->bytes + from, buf_head(&other->segments[at->segment]) + from, to - from);
    }
}

static void damage(const struct timeline *t, const struct timeline *other, struct input *in)
{
    uint8_t choice = input_byte(in);
    struct image *image = &images[input_below(in, t->segment_count)];
    size_t at = input_below(in, image->size);
    size_t left = image->size - at;
    size_t span = input_below(in, left + 1);
    switch (choice % 8) {
    case 0:
        image->lost = true;
        break;
    case 1:
        image->size = at;
        break;
    case 2:
        memset(image->bytes + at, 0, span);
        break;
    case 3:
        memset(image->bytes + at, choice, span);
        break;
    case 4:
        memmove(image->bytes + at, image->bytes + input_below(in, image->size - span + 1), span);
        break;
    case 5:
        splice(t, other, in);
        break;
    default:
        if (left > 0) {
            image->bytes[at] = (char)(image->bytes[at] ^ (1 << (choice >> 5)));
        }
        break;
    }
}

/* The newest commit of which a record's header that is left as it was says that it had been on disk. Where no file header is left
 * to tell the directory's id, a record must be left as a whole. */
static uint64_t proven(const struct timeline *t, bool has_id)
{
    uint64_t newest = 0;
    for (size_t i = 0; i < t->record_count; i++) {
        const struct timeline_record *r = &t->records[i];
        const struct image *image = &images[r->segment];
        bool there = !image->lost && r->at + r->size <= image->size;
        size_t size = has_id ? RECORD_HEADER_BYTES : r->size;
        if (there && r->synced > newest && memcmp(image->bytes + r->at, buf_head(&t->segments[r->segment]) + r->at, size) == 0) {
            newest = r->synced;
        }
    }
    return newest;
}

static bool is_undamaged(const struct timeline *t)
{
    for (size_t i = 0; i < t->segment_count; i++) {
        size_t len = buf_len(&t->segments[i]);
        if (images[i].lost || images[i].size < len || memcmp(images[i].bytes, buf_head(&t->segments[i]), len) != 0) {
            return false;
        }
        for (size_t at = len; at < images[i].size; at++) {
            if (images[i].bytes[at] != 0) {
                return false;
            }
        }
    }
    return true;
}

static void damaged(struct input *in)
{
    static struct timeline t;
    static struct timeline other;
    struct reading r;
    struct input again = *in;
    timeline_make(&t, in, 0);
    timeline_make(&other, &again, 0x55);
    for (size_t i = 0; i < t.segment_count; i++) {
        take_image(&images[i], &t.segments[i]);
    }
    for (size_t left = input_byte(in) % (DAMAGES_MAX + 1); left > 0; left--) {
        damage(&t, &other, in);
    }
    read_images(&r, t.segment_count, &t);
    if (r.result != RECOVER_FAILED) {
        timeline_compare(&t, &r.store, (size_t)r.found.last);
    }
    if ((r.result == RECOVER_CLEAN || r.result == RECOVER_TORN) && r.found.last < proven(&t, r.found.id != 0)) {
        reading_wrong("commit %llu is gone, which had been on disk, and nothing is said of it", (unsigned long long)r.found.last + 1);
    }
    if (is_undamaged(&t) && (r.result != RECOVER_CLEAN || r.found.last != t.commits)) {
        reading_wrong("an undamaged log is read as result %d, commit %llu of %zu", (int)r.result, (unsigned long long)r.found.last,
                      t.commits);
    }
    reading_free(&r);
    timeline_free(&t);
    timeline_free(&other);
}

/* --- 2: a payload --- */

static uint64_t add_commit(struct image *image, uint64_t seq, struct slice payload, uint64_t chain)
{
    struct buf b;
    buf_init(&b);
    if (record_begin(&b, RECORD_COMMIT, seq) < 0 || (payload.len > 0 && buf_append(&b, payload.data, payload.len) < 0)) {
        reading_wrong("no memory");
    }
    record_end(&b, 0);
    chain = record_seal(buf_head(&b), buf_len(&b), TIMELINE_ID, 0, chain);
    memcpy(image->bytes + image->size, buf_head(&b), buf_len(&b));
    image->size += buf_len(&b);
    buf_deinit(&b);
    return chain;
}

static void payload(const uint8_t *data, size_t size)
{
    static const char flush[] = {RECORD_FLUSH};
    struct slice bytes = slice_of((const char *)data, size < 4096 ? size : 4096);
    struct file_header header = {.kind = FILE_LOG, .id = TIMELINE_ID, .number = 1};
    struct reading r;
    images[0] = (struct image){.size = FILE_HEADER_BYTES};
    file_header_write(&header, images[0].bytes);
    uint64_t chain = add_commit(&images[0], 1, slice_of(flush, 1), header.check);
    chain = add_commit(&images[0], 2, bytes, chain);
    add_commit(&images[0], 3, slice_of(flush, 1), chain);
    read_images(&r, 1, NULL);
    uint64_t last = bytes.len > 0 && reading_is_ops(bytes) ? 3 : 1;
    if (r.found.last != last || r.result != (last == 3 ? RECOVER_CLEAN : RECOVER_TORN) || r.store.keys != 0) {
        reading_wrong("result %d, commit %llu, not %llu: %s", (int)r.result, (unsigned long long)r.found.last, (unsigned long long)last,
                      r.found.problem);
    }
    reading_free(&r);
}

/* --- 3: a header --- */

/* The header's check and chain are right, and the payload's too as far as there is one. */
static void lying_header(struct input *in)
{
    static const char flush[] = {RECORD_FLUSH};
    struct file_header header = {.kind = FILE_LOG, .id = TIMELINE_ID, .number = 1};
    struct reading r;
    char bytes[4096];
    images[0] = (struct image){.size = FILE_HEADER_BYTES};
    file_header_write(&header, images[0].bytes);
    uint64_t chain = add_commit(&images[0], 1, slice_of(flush, 1), header.check);
    uint32_t kind = input_byte(in);
    uint32_t length = 0;
    for (int i = 0; i < 4; i++) {
        length = length << 8 | input_byte(in);
    }
    size_t size = in->size < sizeof(bytes) - RECORD_HEADER_BYTES ? in->size : sizeof(bytes) - RECORD_HEADER_BYTES;
    size_t payload_size = length < size ? length : size;
    record_marker(bytes, kind == RECORD_COMMIT ? 2 : 1);
    if (size > 0) {
        memcpy(bytes + RECORD_HEADER_BYTES, in->bytes, size);
    }
    le_put32(bytes + 8, (uint32_t)payload_size);
    le_put32(bytes + 12, kind);
    record_seal(bytes, RECORD_HEADER_BYTES + payload_size, TIMELINE_ID, 0, chain); /* the payload's check */
    le_put32(bytes + 8, length);
    le_put64(bytes, XXH3_64bits_withSeed(bytes + 8, RECORD_HEADER_BYTES - 8, TIMELINE_ID));
    memcpy(images[0].bytes + images[0].size, bytes, RECORD_HEADER_BYTES + size);
    images[0].size += RECORD_HEADER_BYTES + size;
    read_images(&r, 1, NULL);
    bool whole = kind == RECORD_COMMIT && length > 0 && length <= size && reading_is_ops(slice_of(bytes + RECORD_HEADER_BYTES, length));
    if (r.found.last != (whole ? 2 : 1)) {
        reading_wrong("commit %llu is the last: %s", (unsigned long long)r.found.last, r.found.problem);
    }
    reading_free(&r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, size};
    switch (input_byte(&in) % 4) {
    case 0:
        raw(in.bytes, in.size);
        break;
    case 1:
        damaged(&in);
        break;
    case 2:
        payload(in.bytes, in.size);
        break;
    default:
        lying_header(&in);
        break;
    }
    return 0;
}
