#include "timeline.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hash.h"

uint8_t input_byte(struct input *in)
{
    if (in->size == 0) {
        return 0;
    }
    in->size--;
    return *in->bytes++;
}

size_t input_below(struct input *in, size_t below)
{
    size_t number = input_byte(in);
    number = number << 8 | input_byte(in);
    return below == 0 ? 0 : number % below;
}

/* --- making --- */

static void must(int rc)
{
    if (rc < 0) {
        abort();
    }
}

static struct slice key_of(size_t key)
{
    static const char names[] = "abcdefghijklmnop";
    return slice_of(names + key, 1);
}

static struct slice value_of(const struct timeline_value *value, char bytes[UINT8_MAX])
{
    memset(bytes, value->fill, value->len);
    return slice_of(bytes, value->len);
}

static void make_put(struct timeline *t, struct input *in, struct buf *b, size_t key)
{
    struct timeline_value value = {true, (uint8_t)(input_byte(in) ^ t->twist), (uint8_t)(1 + input_byte(in) % 64)};
    char bytes[UINT8_MAX];
    must(record_put(b, key_of(key), value_of(&value, bytes), 0));
    t->states[t->commits].keys[key] = value;
}

static void make_op(struct timeline *t, struct input *in, struct buf *b)
{
    uint8_t choice = input_byte(in);
    size_t key = choice % TIMELINE_KEYS;
    switch (choice / TIMELINE_KEYS) {
    case 0:
    case 1:
        must(record_delete(b, key_of(key)));
        t->states[t->commits].keys[key] = (struct timeline_value){0};
        break;
    case 2:
        must(record_flush(b));
        t->states[t->commits] = (struct timeline_state){0};
        break;
    case 3:
        must(record_outcome(b, slice_str("token"), choice));
        break;
    default:
        make_put(t, in, b, key);
        break;
    }
}

static struct buf *last_segment(struct timeline *t)
{
    return &t->segments[t->segment_count - 1];
}

static void begin_segment(struct timeline *t)
{
    char bytes[FILE_HEADER_BYTES];
    t->segment_count++;
    struct file_header header = {.kind = FILE_LOG, .id = TIMELINE_ID, .number = t->segment_count, .seq = t->commits,
                                 .chain = t->chain, .time = t->twist};
    file_header_write(&header, bytes);
    t->chain = header.check;
    must(buf_append(last_segment(t), bytes, sizeof(bytes)));
}

static void end_record(struct timeline *t, size_t start)
{
    struct buf *b = last_segment(t);
    record_end(b, start);
    t->chain = record_seal(buf_head(b) + start, buf_len(b) - start, TIMELINE_ID, t->synced, t->chain);
    t->records[t->record_count++] = (struct timeline_record){t->segment_count - 1, start, buf_len(b) - start, t->commits, t->synced};
}

static void make_commit(struct timeline *t, struct input *in, uint8_t choice)
{
    struct buf *b = last_segment(t);
    size_t start = buf_len(b);
    t->commits++;
    t->states[t->commits] = t->states[t->commits - 1];
    must(record_begin(b, RECORD_COMMIT, t->commits));
    for (uint8_t ops = 1 + choice % 3; ops > 0; ops--) {
        make_op(t, in, b);
    }
    end_record(t, start);
}

void timeline_make(struct timeline *t, struct input *in, uint8_t twist)
{
    *t = (struct timeline){.twist = twist};
    for (size_t i = 0; i < TIMELINE_SEGMENTS; i++) {
        buf_init(&t->segments[i]);
    }
    begin_segment(t);
    for (size_t left = 1 + input_byte(in) % TIMELINE_COMMITS; left > 0; left--) {
        uint8_t choice = input_byte(in);
        make_commit(t, in, choice);
        if (choice & 0x10) { /* the batch ends: what follows knows that it is on disk */
            t->synced = t->commits;
        }
        if ((choice & 0x30) == 0x30) {
            size_t start = buf_len(last_segment(t));
            must(record_begin(last_segment(t), RECORD_MARKER, t->commits));
            end_record(t, start);
        }
        if ((choice & 0xc0) == 0xc0 && left > 1 && t->segment_count < TIMELINE_SEGMENTS) {
            t->synced = t->commits; /* a segment is begun when the one before is on disk */
            begin_segment(t);
        }
    }
}

void timeline_free(struct timeline *t)
{
    for (size_t i = 0; i < TIMELINE_SEGMENTS; i++) {
        buf_deinit(&t->segments[i]);
    }
}

/* --- checkpoints --- */

void timeline_checkpoint(const struct timeline *t, size_t commit, size_t part_keys, struct buf *b)
{
    struct file_header header = {.kind = FILE_CHECKPOINT, .id = TIMELINE_ID, .seq = commit};
    char bytes[UINT8_MAX];
    uint64_t keys = 0;
    size_t in_part = 0;
    size_t start = FILE_HEADER_BYTES;
    file_header_write(&header, bytes);
    must(buf_append(b, bytes, FILE_HEADER_BYTES));
    for (size_t i = 0; i < TIMELINE_KEYS; i++) {
        const struct timeline_value *value = &t->states[commit].keys[i];
        if (!value->exists) {
            continue;
        }
        if (in_part == 0) {
            start = buf_len(b);
            must(record_begin(b, RECORD_PART, commit));
        }
        must(record_put(b, key_of(i), value_of(value, bytes), 0));
        keys++;
        if (++in_part == part_keys) {
            record_end(b, start);
            in_part = 0;
        }
    }
    if (in_part > 0) {
        record_end(b, start);
    }
    start = buf_len(b);
    must(record_begin(b, RECORD_END, commit));
    must(record_count(b, keys));
    record_end(b, start);
    record_seal(buf_head(b) + FILE_HEADER_BYTES, buf_len(b) - FILE_HEADER_BYTES, TIMELINE_ID, 0, header.check);
}

/* --- comparing --- */

bool timeline_has_payload(const struct timeline *t, uint64_t seq, struct slice payload)
{
    for (size_t i = 0; i < t->record_count; i++) {
        const struct timeline_record *r = &t->records[i];
        if (r->seq == seq && r->size > RECORD_HEADER_BYTES) {
            const char *bytes = buf_head(&t->segments[r->segment]) + r->at + RECORD_HEADER_BYTES;
            return slice_equal(payload, slice_of(bytes, r->size - RECORD_HEADER_BYTES));
        }
    }
    return false;
}

void timeline_compare(const struct timeline *t, struct store *st, size_t commits)
{
    char bytes[UINT8_MAX];
    uint64_t count = 0;
    for (size_t i = 0; i < TIMELINE_KEYS; i++) {
        const struct timeline_value *expected = &t->states[commits].keys[i];
        struct slice value;
        bool exists = store_get(st, NULL, key_of(i), hash_of(key_of(i)), &value) == 1;
        if (exists != expected->exists || (exists && !slice_equal(value, value_of(expected, bytes)))) {
            fprintf(stderr, "key %c is not what it was after commit %zu\n", (int)('a' + i), commits);
            abort();
        }
        count += exists;
    }
    if (store_count(st, NULL) != count) {
        fprintf(stderr, "%llu keys after commit %zu, not %llu\n", (unsigned long long)store_count(st, NULL), commits,
                (unsigned long long)count);
        abort();
    }
}
