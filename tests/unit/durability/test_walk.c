/* walk: all keys as of one commit, each once, whatever commits go on meanwhile. */
#include <stdlib.h>
#include <string.h>

#include "data.h"
#include "mem.h"
#include "rng.h"
#include "store.h"

#define KEYS 400
#define BITS 2 /* log2 of the partitions: few of them, so that they are large and grow */

static const struct store_limits limits = {.txn = {.bytes = 1 << 20, .keys = 1000}, .history_bytes = 1 << 20};

struct scene {
    struct store st;
    struct rng rng;
    uint32_t now[KEYS]; /* the value of each key; 0: absent */
    uint32_t last;      /* newest value used */
};

static struct slice value_of(uint32_t number)
{
    static char text[160];
    int len = snprintf(text, sizeof(text), "%u ", number);
    memset(text + len, 'v', number % 100);
    return slice_of(text, (size_t)len + number % 100);
}

static void set(struct scene *s, struct txn *t, unsigned n)
{
    struct slice key = numbered(n);
    check(store_set(&s->st, t, key, hash_of(key), value_of(++s->last)) == 0);
    s->now[n] = s->last;
}

static void delete (struct scene *s, struct txn *t, unsigned n)
{
    struct slice key = numbered(n);
    check(store_delete(&s->st, t, key, hash_of(key)) == 0);
    s->now[n] = 0;
}

static void flush(struct scene *s, struct txn *t)
{
    check(store_flush(&s->st, t) == 0);
    memset(s->now, 0, sizeof(s->now));
}

static void change(struct scene *s, struct txn *t)
{
    uint32_t kind = rng_below(&s->rng, 1000);
    unsigned n = rng_below(&s->rng, KEYS);
    if (kind < 1) {
        flush(s, t);
    } else if (kind < 300) {
        delete (s, t, n);
    } else {
        set(s, t, n);
    }
}

/* A commit of one change, or of several. */
static void commit(struct scene *s)
{
    struct txn t;
    if (rng_chance(&s->rng, 80)) {
        change(s, NULL);
        return;
    }
    txn_init(&t);
    check(store_begin(&s->st, &t, TXN_PLAIN) == 0);
    for (unsigned left = 1 + rng_below(&s->rng, 10); left > 0; left--) {
        change(s, &t);
    }
    check(store_commit(&s->st, &t) == 0);
}

static void start(struct scene *s, uint64_t seed, unsigned keys)
{
    *s = (struct scene){.rng = {seed}};
    cr_assert_eq(store_init(&s->st, &limits, BITS), 0);
    for (unsigned n = 0; n < keys; n++) {
        set(s, NULL, n);
    }
}

/* --- what came of a walk --- */

struct gathered {
    struct buf bytes;
    uint32_t values[KEYS];
    uint64_t keys;
    bool ended;
};

static void gather(struct gathered *g, struct walk *w)
{
    struct buf out;
    walk_take(w, &out);
    if (buf_len(&out) > 0) {
        cr_assert_eq(buf_append(&g->bytes, buf_head(&out), buf_len(&out)), 0);
    }
    buf_deinit(&out);
}

static void take_part(struct gathered *g, struct slice payload)
{
    struct record_op op;
    int rc;
    check(payload.len > 0);
    while ((rc = record_next(&payload, &op)) == 1) {
        unsigned n = KEYS;
        char text[16] = "";
        check(op.kind == RECORD_PUT && op.key.len < sizeof(text));
        memcpy(text, op.key.data, op.key.len);
        check(sscanf(text, "k%u", &n) == 1 && n < KEYS);
        cr_assert_eq(g->values[n], 0, "key %u was written twice", n);
        char *end;
        memcpy(text, op.value.data, op.value.len < 12 ? op.value.len : 12);
        g->values[n] = (uint32_t)strtoul(text, &end, 10);
        check(slice_equal(op.value, value_of(g->values[n])));
        g->keys++;
    }
    check(rc == 0);
}

static void read_all(struct gathered *g, uint64_t seq)
{
    struct record_header h;
    (void)record_seal(buf_head(&g->bytes), buf_len(&g->bytes), 1, 0, 0);
    while (buf_len(&g->bytes) > 0) {
        check(!g->ended && record_header_read(&h, buf_head(&g->bytes), 1) && h.seq == seq);
        struct slice payload = slice_of(buf_head(&g->bytes) + RECORD_HEADER_BYTES, h.length);
        g->ended = h.kind == RECORD_END;
        if (g->ended) {
            uint64_t count;
            check(h.length == sizeof(count));
            memcpy(&count, payload.data, sizeof(count));
            cr_assert_eq(count, g->keys);
        } else {
            check(h.kind == RECORD_PART);
            take_part(g, payload);
        }
        buf_consume(&g->bytes, RECORD_HEADER_BYTES + h.length);
    }
    check(g->ended);
    buf_deinit(&g->bytes);
}

static void assert_same(const struct gathered *g, const uint32_t wanted[KEYS])
{
    for (unsigned n = 0; n < KEYS; n++) {
        cr_assert_eq(g->values[n], wanted[n], "key %u: %u instead of %u", n, g->values[n], wanted[n]);
    }
}

/* --- */

Test(walk, of_an_empty_store_has_an_end_alone)
{
    struct scene s;
    struct gathered g = {0};
    start(&s, 1, 0);
    store_walk_begin(&s.st);
    cr_assert(!walk_step(&s.st.walk, 100));
    gather(&g, &s.st.walk);
    store_walk_end(&s.st);
    cr_assert_eq(buf_len(&g.bytes), RECORD_HEADER_BYTES + 8);
    read_all(&g, 0);
    store_deinit(&s.st);
}

Test(walk, is_exact_at_one_commit_while_others_go_on)
{
    size_t steps = 0;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct scene s;
        struct gathered g = {0};
        uint32_t then[KEYS];
        start(&s, seed, rng_below(&(struct rng){seed}, KEYS));
        for (int i = 0; i < 200; i++) {
            commit(&s);
        }
        memcpy(then, s.now, sizeof(then));
        uint64_t seq = s.st.seq;
        uint32_t writes = 1 + rng_below(&s.rng, 30);
        for (store_walk_begin(&s.st); walk_step(&s.st.walk, 1 + rng_below(&s.rng, 300)); steps++) {
            for (uint32_t i = 0; i < writes; i++) {
                commit(&s);
            }
            if (rng_chance(&s.rng, 20)) {
                gather(&g, &s.st.walk);
            }
            (void)store_tend(&s.st);
        }
        gather(&g, &s.st.walk);
        store_walk_end(&s.st);
        read_all(&g, seq);
        assert_same(&g, then);
        store_deinit(&s.st);
    }
    cr_assert_gt(steps, 40 * 20);
}

static void assert_reads(struct scene *s, struct txn *t, const uint32_t wanted[KEYS])
{
    for (unsigned n = 0; n < KEYS; n++) {
        struct slice value;
        bool there = store_get(&s->st, t, numbered(n), hash_of(numbered(n)), &value) == 1;
        check(there == (wanted[n] != 0) && (!there || slice_equal(value, value_of(wanted[n]))));
    }
}

/* Open transactions keep old versions and generations: neither they nor the walk take from the other. */
Test(walk, and_open_transactions_leave_each_other_alone)
{
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct scene s;
        struct txn before;
        struct txn meanwhile;
        struct gathered g = {0};
        uint32_t then[KEYS];
        uint32_t later[KEYS];
        start(&s, seed, KEYS);
        txn_init(&before);
        txn_init(&meanwhile);
        cr_assert_eq(store_begin(&s.st, &before, TXN_READONLY), 0);
        memcpy(then, s.now, sizeof(then));
        store_walk_begin(&s.st);
        for (int turn = 0; store_walk_step(&s.st, 1 + rng_below(&s.rng, 600)); turn++) {
            commit(&s);
            if (turn == 5) {
                flush(&s, NULL);
            } else if (turn == 10) {
                cr_assert_eq(store_begin(&s.st, &meanwhile, TXN_READONLY), 0);
                memcpy(later, s.now, sizeof(later));
            } else if (turn == 15) {
                flush(&s, NULL);
            } else if (turn == 20) {
                assert_reads(&s, &before, then);
                store_rollback(&s.st, &before);
            }
            (void)store_tend(&s.st);
        }
        gather(&g, &s.st.walk);
        store_walk_end(&s.st);
        cr_assert_eq(meanwhile.state, TXN_OPEN);
        assert_reads(&s, &meanwhile, later);
        store_rollback(&s.st, &meanwhile);
        while (store_tend(&s.st)) {
        }
        read_all(&g, KEYS);
        assert_same(&g, then);
        cr_assert_eq(s.st.history.bytes, 0);
        store_deinit(&s.st);
    }
}

/* The generation that is walked through stays until its end, however many come after it. */
Test(walk, goes_on_through_what_was_flushed)
{
    struct scene s;
    struct gathered g = {0};
    uint32_t then[KEYS];
    start(&s, 1, KEYS);
    memcpy(then, s.now, sizeof(then));
    store_walk_begin(&s.st);
    for (int turn = 0; walk_step(&s.st.walk, 500); turn++) {
        flush(&s, NULL);
        set(&s, NULL, (unsigned)turn % KEYS);
        (void)store_tend(&s.st);
    }
    gather(&g, &s.st.walk);
    store_walk_end(&s.st);
    read_all(&g, KEYS);
    assert_same(&g, then);
    store_deinit(&s.st);
}

Test(walk, ended_early_leaves_nothing)
{
    struct scene s;
    start(&s, 1, KEYS);
    size_t before = mem_used();
    store_walk_begin(&s.st);
    cr_assert(walk_step(&s.st.walk, 1000));
    store_walk_end(&s.st);
    cr_assert_eq(mem_used(), before);
    flush(&s, NULL);
    for (unsigned n = 0; n < KEYS; n++) {
        set(&s, NULL, n);
    }
    cr_assert(!s.st.walk.active);
    store_deinit(&s.st);
}

Test(walk, steps_are_bounded)
{
    struct scene s;
    start(&s, 1, KEYS);
    store_walk_begin(&s.st);
    size_t before = 0;
    do {
        size_t grown = buf_len(&s.st.walk.out) - before;
        cr_assert_lt(grown, 1000 + 20 * 200, "a step of 1000 bytes has written %zu", grown);
        before = buf_len(&s.st.walk.out);
    } while (walk_step(&s.st.walk, 1000));
    store_walk_end(&s.st);
    store_deinit(&s.st);
}

Test(walk, without_memory_fails_and_commits_go_on)
{
    struct scene s;
    start(&s, 1, KEYS);
    store_walk_begin(&s.st);
    cr_assert(walk_step(&s.st.walk, 100));
    mem_fail(1, true);
    bool more = true;
    for (int i = 0; i < 1000 && more; i++) {
        more = walk_step(&s.st.walk, 4096);
    }
    mem_fail(0, false);
    cr_assert(!more && s.st.walk.failed);
    for (unsigned n = 0; n < KEYS; n++) {
        set(&s, NULL, n);
    }
    cr_assert(!walk_step(&s.st.walk, 100), "what is not whole is not finished");
    store_walk_end(&s.st);
    store_deinit(&s.st);
}

Test(walk, takes_outcomes_too)
{
    struct scene s;
    struct record_op op;
    struct buf out;
    start(&s, 1, 1);
    store_walk_begin(&s.st);
    cr_assert_eq(walk_outcome(&s.st.walk, S("token"), 77), 0);
    while (walk_step(&s.st.walk, 100)) {
    }
    walk_take(&s.st.walk, &out);
    struct slice payload = slice_of(buf_head(&out) + RECORD_HEADER_BYTES, buf_len(&out) - RECORD_HEADER_BYTES);
    cr_assert(record_next(&payload, &op) == 1 && op.kind == RECORD_OUTCOME && slice_equal(op.key, S("token")) &&
              op.time == 77);
    cr_assert(record_next(&payload, &op) == 1 && op.kind == RECORD_PUT && slice_equal(op.key, S("k0")));
    buf_deinit(&out);
    store_walk_end(&s.st);
    store_deinit(&s.st);
}
