/* timeline: commits that an input asks for, as the segments of a log that holds them, as checkpoints, and as what the data
 * must be after each of them. */
#ifndef TXKV_FUZZ_TIMELINE_H
#define TXKV_FUZZ_TIMELINE_H

#include "buf.h"
#include "record.h"
#include "store.h"

#define TIMELINE_ID UINT64_C(0x0123456789abcdef)
#define TIMELINE_COMMITS 24
#define TIMELINE_SEGMENTS 4
#define TIMELINE_KEYS 16 /* "a" to "p" */
#define TIMELINE_RECORDS (3 * TIMELINE_COMMITS)

/* Bytes of the input, from its front; 0 behind its end. */
struct input {
    const uint8_t *bytes;
    size_t size;
};

uint8_t input_byte(struct input *in);
size_t input_below(struct input *in, size_t below); /* from two bytes */

/* A value is `len` times the byte `fill`. */
struct timeline_value {
    bool exists;
    uint8_t fill;
    uint8_t len;
};

struct timeline_state {
    struct timeline_value keys[TIMELINE_KEYS];
};

struct timeline_record {
    size_t segment;
    size_t at; /* its offset in the segment */
    size_t size;
    uint64_t seq;
    uint64_t synced;
};

struct timeline {
    uint8_t twist;                             /* mixed into all values: tells two timelines apart */
    struct buf segments[TIMELINE_SEGMENTS];    /* without zeros behind */
    size_t segment_count;
    struct timeline_record records[TIMELINE_RECORDS]; /* markers too */
    size_t record_count;
    size_t commits;
    struct timeline_state states[TIMELINE_COMMITS + 1]; /* after each commit */
    uint64_t chain;
    uint64_t synced;
};

/* Makes it from the front of an input. Two with the same input and another twist have the same shape. */
void timeline_make(struct timeline *t, struct input *in, uint8_t twist);
void timeline_free(struct timeline *t);

/* The checkpoint as of a commit; parts: of about how many keys each. b is empty before. */
void timeline_checkpoint(const struct timeline *t, size_t commit, size_t part_keys, struct buf *b);

/* Whether the payload of commit seq (from 1) is the timeline's. */
bool timeline_has_payload(const struct timeline *t, uint64_t seq, struct slice payload);

/* Ends the process where the store does not hold what it must after so many commits. */
void timeline_compare(const struct timeline *t, struct store *st, size_t commits);

#endif
