#include "replay.h"

#include <assert.h>

#include "hash.h"
#include "mem.h"

#define REPLAY_OPS ((size_t)1 << 20)        /* of a batch: 256 for each partition */
#define REPLAY_BYTES ((size_t)64 << 20)     /* of payloads, over which a batch is applied */
#define SORT_BITS STORE_PARTITION_BITS
#define SHORT_OP 40 /* bytes that most operations end within: they may lie in two lines of the cache */
#define GROUP 16 /* operations whose places are fetched side by side */

struct replay_op {
    uint64_t seq;
    uint32_t hash;
    uint32_t at; /* offset into the payloads */
};

int replay_init(struct replay *r, struct store *st)
{
    *r = (struct replay){.store = st};
    buf_init(&r->payloads);
    r->ops = mem_alloc(REPLAY_OPS * sizeof(*r->ops));
    r->sorted = mem_alloc(REPLAY_OPS * sizeof(*r->sorted));
    return r->ops == NULL || r->sorted == NULL ? -1 : 0;
}

void replay_deinit(struct replay *r)
{
    buf_deinit(&r->payloads);
    mem_free(r->ops);
    mem_free(r->sorted);
}

/* Counting sort by the bits of the hash that choose the partition; it keeps the order of those with the same. */
static void sort(struct replay *r)
{
    static uint32_t starts[((size_t)1 << SORT_BITS) + 1];
    memset(starts, 0, sizeof(starts));
    for (size_t i = 0; i < r->count; i++) {
        starts[(r->ops[i].hash >> (32 - SORT_BITS)) + 1]++;
    }
    for (size_t i = 1; i <= (size_t)1 << SORT_BITS; i++) {
        starts[i] += starts[i - 1];
    }
    for (size_t i = 0; i < r->count; i++) {
        r->sorted[starts[r->ops[i].hash >> (32 - SORT_BITS)]++] = r->ops[i];
    }
}

/* What comes next is read from the payloads while this group is fetched. */
static void prefetch(const struct replay *r, size_t first, size_t count)
{
    uint32_t hashes[GROUP];
    for (size_t i = 0; i < count; i++) {
        hashes[i] = r->sorted[first + i].hash;
        if (first + GROUP + i < r->count) {
            const char *next = buf_head(&r->payloads) + r->sorted[first + GROUP + i].at;
            __builtin_prefetch(next);
            __builtin_prefetch(next + SHORT_OP);
        }
    }
    store_prefetch(r->store, hashes, count);
}

static int apply_one(struct replay *r, const struct replay_op *at)
{
    struct slice rest = slice_of(buf_head(&r->payloads) + at->at, buf_len(&r->payloads) - at->at);
    struct record_op op;
    int rc = record_next(&rest, &op);
    assert(rc == 1);
    (void)rc;
    return store_replay_op(r->store, at->seq, &op, at->hash);
}

static int apply(struct replay *r)
{
    int rc = 0;
    sort(r);
    for (size_t first = 0; first < r->count && rc == 0; first += GROUP) {
        size_t count = r->count - first < GROUP ? r->count - first : GROUP;
        prefetch(r, first, count);
        for (size_t i = first; i < first + count && rc == 0; i++) {
            rc = apply_one(r, &r->sorted[i]);
        }
    }
    store_replayed(r->store, r->last);
    buf_consume(&r->payloads, buf_len(&r->payloads));
    r->count = 0;
    return rc;
}

/* Operations of one payload, or what they cannot be more than where that is enough: each takes a byte at least. A batch is applied only between payloads, as their slices move otherwise. */
static size_t count_ops(struct slice payload, size_t enough)
{
    struct record_op op;
    size_t count = 0;
    if (payload.len <= enough) {
        return payload.len;
    }
    while (record_next(&payload, &op) == 1) {
        count++;
    }
    return count;
}

int replay_add(struct replay *r, uint64_t seq, struct slice payload)
{
    size_t count = count_ops(payload, REPLAY_OPS - r->count);
    bool fits = r->count + count <= REPLAY_OPS && buf_len(&r->payloads) + payload.len <= REPLAY_BYTES;
    if (r->failed || (!fits && apply(r) < 0)) {
        return -1;
    }
    if (count > REPLAY_OPS) {
        r->last = seq;
        return store_replay(r->store, seq, payload);
    }
    size_t start = buf_len(&r->payloads);
    if (buf_append(&r->payloads, payload.data, payload.len) < 0) {
        return -1;
    }
    struct slice left = payload;
    r->last = seq;
    for (struct record_op op;;) {
        size_t at = start + payload.len - left.len;
        if (record_next(&left, &op) != 1) {
            break;
        }
        if (op.kind == RECORD_PUT || op.kind == RECORD_DELETE) {
            r->ops[r->count++] = (struct replay_op){seq, hash_of(op.key), (uint32_t)at};
            continue;
        }
        r->count = op.kind == RECORD_FLUSH ? 0 : r->count; /* what was to be put in is removed by it */
        if (store_replay_op(r->store, seq, &op, 0) < 0) {
            return -1;
        }
    }
    return 0;
}

uint64_t replay_keys(struct replay *r)
{
    r->failed = apply(r) < 0 || r->failed;
    return r->store->keys;
}

int replay_finish(struct replay *r)
{
    int rc = apply(r);
    return r->failed ? -1 : rc;
}

void replay_reset(struct replay *r)
{
    r->count = 0;
    r->last = 0;
    r->failed = false;
    buf_consume(&r->payloads, buf_len(&r->payloads));
    store_reset(r->store);
}
