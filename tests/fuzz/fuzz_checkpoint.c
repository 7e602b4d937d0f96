/* Arbitrary bytes as a checkpoint. The first byte says what the rest is:
 *
 *      0  the checkpoint as of commit 5, as it is
 *      1  what to commit, which checkpoints there are, and how to damage the newest one: it counts as a whole or not at all,
 *         and with the one before it and the log nothing is missing; or a byte of the log: damage to what a checkpoint holds
 *         changes nothing
 *      2  the payload of a part, with right checks: the checkpoint counts exactly if it is whole operations */
#include <string.h>

#include "checkpoint.h"
#include "fuzz.h"
#include "log.h"
#include "reading.h"

static void add_checkpoint(struct memory_disk *d, uint64_t seq, const char *bytes, size_t size)
{
    char name[DISK_NAME_MAX];
    checkpoint_name(seq, name);
    memory_disk_add(d, name, bytes, size);
}

/* --- 0: as it is --- */

static void raw(const uint8_t *data, size_t size)
{
    struct memory_disk d;
    struct reading r;
    memory_disk_init(&d);
    add_checkpoint(&d, 5, (const char *)data, size);
    reading_run(&r, &d, NULL);
    if (r.result == RECOVER_TORN || (r.result == RECOVER_CLEAN) != r.found.has_checkpoint) {
        reading_wrong("a checkpoint and no log: result %d", (int)r.result);
    }
    reading_free(&r);
}

/* --- 1: damage --- */

/* One part takes the place of the next one, if it is as long: the count of keys stays right. */
static void repeat_part(struct buf *b, size_t which)
{
    char *bytes = buf_head(b);
    size_t len = buf_len(b);
    struct record_header h;
    size_t before = 0;
    for (size_t at = FILE_HEADER_BYTES; at + RECORD_HEADER_BYTES <= len && record_header_read(&h, bytes + at, TIMELINE_ID);) {
        size_t size = RECORD_HEADER_BYTES + h.length;
        if (which-- == 0) {
            if (at - before == size && before > 0) {
                memcpy(bytes + at, bytes + before, size);
            }
            return;
        }
        before = at;
        at += size;
    }
}

static void damage(struct buf *b, struct input *in)
{
    uint8_t choice = input_byte(in);
    size_t len = buf_len(b);
    size_t at = input_below(in, len);
    size_t span = input_below(in, len - at + 1);
    char *bytes = buf_head(b);
    switch (choice % 7) {
    case 0:
        buf_truncate(b, at);
        break;
    case 1:
        memset(bytes + at, choice & 0x80 ? 0xff : 0, span);
        break;
    case 2:
        memmove(bytes + at, bytes + input_below(in, len - span + 1), span);
        break;
    case 3:
        repeat_part(b, 1 + choice / 7 % 8);
        break;
    case 4:
        if (buf_append(b, "more", 4) < 0) {
            reading_wrong("no memory");
        }
        break;
    default:
        if (len > 0) {
            bytes[at] = (char)(bytes[at] ^ (1 << (choice >> 5)));
        }
        break;
    }
}

static void add_log(struct memory_disk *d, const struct timeline *t)
{
    char name[DISK_NAME_MAX];
    for (size_t i = 0; i < t->segment_count; i++) {
        log_name(i + 1, name);
        memory_disk_add(d, name, buf_head(&t->segments[i]), buf_len(&t->segments[i]));
    }
}

/* The newest checkpoint is whole: whatever else there is, nothing is missing. It is not: with the log nothing is missing
 * either; else that is told, and what there is is the older one. */
static void check(const struct timeline *t, struct reading *r, size_t newest, size_t older, bool with_log, bool whole)
{
    if (r->result == RECOVER_FAILED) {
        return; /* damage can look like a later format; that is refused by name */
    }
    enum recover_result result = whole || with_log ? RECOVER_CLEAN : RECOVER_DAMAGED;
    size_t expected = with_log ? t->commits : whole ? newest : older;
    if (r->result != result || r->found.last != expected || r->found.damaged_count != !whole) {
        reading_wrong("result %d, commit %llu, not %zu: %s", (int)r->result, (unsigned long long)r->found.last, expected, r->found.problem);
    }
    timeline_compare(t, &r->store, expected);
}

/* One byte of the log is another one. What is read is what was committed, and not less than the checkpoint. */
static void check_damaged_log(const struct timeline *t, struct reading *r, bool needed)
{
    if (r->result == RECOVER_FAILED) {
        return;
    }
    timeline_compare(t, &r->store, (size_t)(r->found.last < r->found.checkpoint ? r->found.checkpoint : r->found.last));
    if (!needed && r->found.last != t->commits) {
        reading_wrong("commit %llu is the last, not %zu: %s", (unsigned long long)r->found.last, t->commits, r->found.problem);
    }
}

/* Returns whether the byte is one that recovery from this checkpoint needs: any but those of records at or below it in the
 * segment that has the next commit, or in one before. */
static bool damage_log(struct timeline *t, struct input *in, uint64_t newest)
{
    size_t segment = input_below(in, t->segment_count);
    size_t at = input_below(in, buf_len(&t->segments[segment]));
    char *byte = buf_head(&t->segments[segment]) + at;
    *byte = (char)(*byte ^ (1 << input_byte(in) % 8));
    for (size_t i = 0; i + 1 < t->record_count; i++) {
        const struct timeline_record *record = &t->records[i];
        if (record->segment == segment && at >= record->at && at < record->at + record->size) {
            bool is_marker = record->size == RECORD_HEADER_BYTES; /* one behind the checkpoint's commit stands in the way */
            return record->seq + is_marker > newest || record[1].segment != segment; /* or is the last one before a segment */
        }
    }
    return true;
}

static void damaged(struct input *in)
{
    static struct timeline t;
    struct memory_disk d;
    struct reading r;
    struct buf files[3]; /* the newest as it was, as it is, and the older one */
    timeline_make(&t, in, 0);
    uint8_t choice = input_byte(in);
    size_t newest = 1 + input_below(in, t.commits);
    size_t older = choice & 1 && newest > 1 ? 1 + input_below(in, newest - 1) : 0;
    size_t part_keys = 1 + input_byte(in) % TIMELINE_KEYS;
    for (size_t i = 0; i < 3; i++) {
        buf_init(&files[i]);
        timeline_checkpoint(&t, i < 2 ? newest : older, part_keys, &files[i]);
    }
    for (size_t left = input_byte(in) % 4; left > 0; left--) {
        damage(&files[1], in);
    }
    bool harms_log = choice & 4 && choice & 2;
    bool needed = harms_log && damage_log(&t, in, newest);
    memory_disk_init(&d);
    add_checkpoint(&d, newest, buf_head(&files[1]), buf_len(&files[1]));
    if (older > 0) {
        add_checkpoint(&d, older, buf_head(&files[2]), buf_len(&files[2]));
    }
    if (choice & 2) {
        add_log(&d, &t);
    }
    bool whole = slice_equal(slice_of(buf_head(&files[0]), buf_len(&files[0])), slice_of(buf_head(&files[1]), buf_len(&files[1])));
    reading_run(&r, &d, &t);
    if (harms_log) {
        check_damaged_log(&t, &r, needed || !whole);
    } else {
        check(&t, &r, newest, older, choice & 2, whole);
    }
    reading_free(&r);
    timeline_free(&t);
    for (size_t i = 0; i < 3; i++) {
        buf_deinit(&files[i]);
    }
}

/* --- 2: a payload --- */

static uint64_t count_puts(struct slice payload)
{
    uint64_t puts = 0;
    for (struct record_op op; record_next(&payload, &op) == 1;) {
        puts += op.kind == RECORD_PUT;
    }
    return puts;
}

static void payload(const uint8_t *data, size_t size)
{
    struct slice bytes = slice_of((const char *)data, size < 4096 ? size : 4096);
    bool whole = reading_is_ops(bytes);
    struct file_header header = {.kind = FILE_CHECKPOINT, .id = TIMELINE_ID, .seq = 5};
    struct memory_disk d;
    struct reading r;
    struct buf b;
    buf_init(&b);
    char *head = buf_reserve(&b, FILE_HEADER_BYTES);
    file_header_write(&header, head);
    buf_commit(&b, FILE_HEADER_BYTES);
    int rc = record_begin(&b, RECORD_PART, 5);
    rc = bytes.len > 0 ? buf_append(&b, bytes.data, bytes.len) : rc;
    record_end(&b, FILE_HEADER_BYTES);
    size_t start = buf_len(&b);
    rc = rc < 0 || record_begin(&b, RECORD_END, 5) < 0 ? -1 : record_count(&b, count_puts(bytes));
    if (rc < 0) {
        reading_wrong("no memory");
    }
    record_end(&b, start);
    record_seal(buf_head(&b) + FILE_HEADER_BYTES, buf_len(&b) - FILE_HEADER_BYTES, TIMELINE_ID, 0, header.check);
    memory_disk_init(&d);
    add_checkpoint(&d, 5, buf_head(&b), buf_len(&b));
    reading_run(&r, &d, NULL);
    if (r.result != (whole ? RECOVER_CLEAN : RECOVER_DAMAGED) || r.found.last != (whole ? 5 : 0)) {
        reading_wrong("result %d, commit %llu", (int)r.result, (unsigned long long)r.found.last);
    }
    reading_free(&r);
    buf_deinit(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, size};
    switch (input_byte(&in) % 3) {
    case 0:
        raw(in.bytes, in.size);
        break;
    case 1:
        damaged(&in);
        break;
    default:
        payload(in.bytes, in.size);
        break;
    }
    return 0;
}
