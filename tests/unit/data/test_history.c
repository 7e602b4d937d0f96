/* history: an old version is kept exactly as long as an open snapshot needs it, and each snapshot reads its own. */
#include "data.h"
#include "history.h"
#include "rng.h"

static uint64_t steps; /* what finds count, which nothing here asks for */

#define BITS 2

struct world {
    struct history h;
    struct generation *g;
    uint64_t seq;
    size_t memory_before;
};

static void world_init(struct world *w)
{
    *w = (struct world){.memory_before = settled_memory()};
    w->g = generation_new(BITS);
    cr_assert_not_null(w->g);
}

/* Everything must be closed: then nothing of the past is left, and all memory comes back. */
static void world_deinit(struct world *w)
{
    while (history_sweep(&w->h, w->g, 100) == 100) {
    }
    cr_assert_eq(w->h.bytes, 0);
    cr_assert_null(w->h.oldest);
    cr_assert_null(w->g->tombs_first);
    cr_assert_null(w->g->older);
    history_deinit(&w->h);
    dict_deinit(&w->g->dict);
    mem_free(w->g);
    cr_assert_eq(mem_used(), w->memory_before);
}

static struct entry *live(const struct world *w, const char *key)
{
    return dict_find(&w->g->dict, slice_str(key), hash_of(slice_str(key)));
}

static void place(struct world *w, struct entry *fresh)
{
    struct entry *old = dict_find(&w->g->dict, entry_key(fresh), entry_hash(fresh));
    check(dict_reserve(1) == 0);
    w->seq++;
    if (old == NULL) {
        history_add(&w->h, w->g, fresh, w->seq);
    } else {
        history_supersede(&w->h, w->g, old, fresh, w->seq);
    }
}

static void put(struct world *w, const char *key, const char *value)
{
    place(w, entry_new(slice_str(key), hash_of(slice_str(key)), slice_str(value)));
}

static void put_until(struct world *w, const char *key, const char *value, uint64_t expires_at)
{
    place(w, entry_new_until(slice_str(key), hash_of(slice_str(key)), slice_str(value), expires_at));
}

static void bury(struct world *w, const char *key)
{
    place(w, entry_new_tombstone(slice_str(key), hash_of(slice_str(key))));
}

static void flush(struct world *w)
{
    struct generation *old = w->g;
    w->g = generation_new(BITS);
    check(w->g != NULL);
    history_flush(&w->h, old, w->g, ++w->seq);
}

static void open(struct world *w, struct snapshot_holder *holder)
{
    *holder = (struct snapshot_holder){0};
    check(history_open(&w->h, holder, w->seq, 0) == 0);
}

static void shut(struct world *w, struct snapshot_holder *holder)
{
    history_close(&w->h, holder);
}

static size_t sweep(struct world *w, size_t limit)
{
    return history_sweep(&w->h, w->g, limit);
}

/* What a snapshot reads, NULL for absent; a wanted text that is not there fails. */
static void assert_sees(const struct world *w, const struct snapshot_holder *holder, const char *key,
                        const char *wanted)
{
    struct slice k = slice_str(key);
    struct entry *e = history_find(w->g, k, hash_of(k), holder->snapshot->seq, &steps);
    bool absent = e == NULL || entry_is_tombstone(e);
    cr_assert_eq(absent, wanted == NULL, "%s as of %llu", key, (unsigned long long)holder->snapshot->seq);
    if (wanted != NULL) {
        assert_slice(entry_value(e), slice_str(wanted));
    }
}

static size_t kept_versions(const struct world *w)
{
    size_t kept = 0;
    for (const struct snapshot *s = w->h.oldest; s != NULL; s = s->next) {
        for (const struct entry *e = s->kept; e != NULL; e = e->past.next_kept) {
            kept++;
        }
    }
    return kept;
}



/* --- history_open, history_close --- */

Test(history_open, of_one_commit_share_a_snapshot)
{
    struct world w;
    struct snapshot_holder a, b, c;
    world_init(&w);
    cr_assert_not(history_is_read(&w.h));
    put(&w, "key", "1");
    open(&w, &a);
    open(&w, &b);
    put(&w, "key", "2");
    open(&w, &c);
    cr_assert_eq(a.snapshot, b.snapshot);
    cr_assert_neq(a.snapshot, c.snapshot);
    cr_assert_eq(a.snapshot->holders, 2);
    shut(&w, &a);
    cr_assert_null(a.snapshot);
    assert_sees(&w, &b, "key", "1");
    shut(&w, &c);
    cr_assert(history_is_read(&w.h));
    shut(&w, &b);
    cr_assert_not(history_is_read(&w.h));
    world_deinit(&w);
}

Test(history_open, without_memory)
{
    struct world w;
    struct snapshot_holder a = {0};
    world_init(&w);
    mem_fail(1, true);
    cr_assert_eq(history_open(&w.h, &a, 0, 0), -1);
    mem_fail(0, false);
    cr_assert_null(a.snapshot);
    cr_assert_not(history_is_read(&w.h));
    world_deinit(&w);
}

Test(history_open, after_a_close_takes_the_snapshot_that_was_left)
{
    struct world w;
    struct snapshot_holder a;
    world_init(&w);
    open(&w, &a);
    shut(&w, &a);
    mem_fail(1, true);
    open(&w, &a);
    mem_fail(0, false);
    shut(&w, &a);
    world_deinit(&w);
}

Test(history_close, of_a_holder_without_a_snapshot)
{
    struct world w;
    struct snapshot_holder none = {0}, a;
    world_init(&w);
    open(&w, &a);
    history_close(&w.h, &none);
    cr_assert(history_is_read(&w.h));
    shut(&w, &a);
    history_close(&w.h, &a);
    cr_assert_not(history_is_read(&w.h));
    world_deinit(&w);
}

Test(history_close, holders_in_any_order)
{
    static const unsigned char orders[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
    for (size_t i = 0; i < 6; i++) {
        struct world w;
        struct snapshot_holder holders[3];
        world_init(&w);
        put(&w, "key", "1");
        for (size_t j = 0; j < 3; j++) {
            open(&w, &holders[j]);
        }
        put(&w, "key", "2");
        for (size_t j = 0; j < 3; j++) {
            assert_sees(&w, &holders[orders[i][2]], "key", "1");
            shut(&w, &holders[orders[i][j]]);
        }
        cr_assert_not(history_is_read(&w.h));
        world_deinit(&w);
    }
}

/* --- history_needs --- */

Test(history_needs, versions_up_to_the_newest_open_snapshot)
{
    struct world w;
    struct snapshot_holder a, b;
    world_init(&w);
    cr_assert_not(history_needs(&w.h, 0));
    w.seq = 5;
    open(&w, &a);
    w.seq = 9;
    open(&w, &b);
    cr_assert(history_needs(&w.h, 9));
    cr_assert_not(history_needs(&w.h, 10));
    shut(&w, &b);
    cr_assert(history_needs(&w.h, 5));
    cr_assert_not(history_needs(&w.h, 6));
    shut(&w, &a);
    cr_assert_not(history_needs(&w.h, 5));
    world_deinit(&w);
}

/* --- history_supersede, history_touch --- */

Test(history_supersede, without_a_snapshot_frees_at_once)
{
    struct world w;
    world_init(&w);
    put(&w, "key", "1");
    size_t before = mem_used();
    for (int i = 0; i < 100; i++) {
        put(&w, "key", "2");
        check(mem_used() == before);
        check(w.h.bytes == 0);
    }
    cr_assert_eq(entry_version(live(&w, "key")), 101);
    world_deinit(&w);
}

Test(history_supersede, a_version_newer_than_all_snapshots_is_freed_at_once)
{
    struct world w;
    struct snapshot_holder a;
    world_init(&w);
    put(&w, "other", "1");
    open(&w, &a);
    put(&w, "key", "1");
    put(&w, "key", "2");
    cr_assert_eq(w.h.bytes, 0);
    assert_sees(&w, &a, "key", NULL);
    shut(&w, &a);
    world_deinit(&w);
}

Test(history_supersede, an_idle_snapshot_beside_a_hot_counter_keeps_one_version)
{
    struct world w;
    struct snapshot_holder idle;
    world_init(&w);
    put(&w, "counter", "first");
    open(&w, &idle);
    put(&w, "counter", "0");
    size_t one = w.h.bytes;
    cr_assert_gt(one, 0);
    for (int i = 0; i < 10000; i++) {
        put(&w, "counter", "n");
        check(w.h.bytes == one);
    }
    cr_assert_eq(kept_versions(&w), 1);
    assert_sees(&w, &idle, "counter", "first");
    shut(&w, &idle);
    world_deinit(&w);
}

Test(history_supersede, short_snapshots_beside_an_idle_one_leave_nothing_behind)
{
    struct world w;
    struct snapshot_holder idle, brief;
    world_init(&w);
    put(&w, "counter", "first");
    open(&w, &idle);
    put(&w, "counter", "0");
    size_t one = w.h.bytes;
    for (int i = 0; i < 10000; i++) {
        char number[16];
        snprintf(number, sizeof(number), "%05d", i);
        put(&w, "counter", number);
        if (i % 10 == 0) {
            open(&w, &brief);
        } else if (i % 10 == 5) {
            check(w.h.bytes <= 2 * one + 64);
            shut(&w, &brief);
            check(history_is_closing(&w.h));
            check(sweep(&w, 100) < 100);
            check(w.h.bytes == one);
        }
    }
    cr_assert_eq(kept_versions(&w), 1);
    assert_sees(&w, &idle, "counter", "first");
    shut(&w, &idle);
    world_deinit(&w);
}

Test(history_supersede, each_snapshot_reads_its_own_version)
{
    struct world w;
    struct snapshot_holder before, one, two, three;
    world_init(&w);
    open(&w, &before);
    put(&w, "key", "1");
    open(&w, &one);
    put(&w, "key", "not seen by any");
    put(&w, "key", "2");
    open(&w, &two);
    put(&w, "key", "3");
    open(&w, &three);
    put(&w, "key", "4");
    cr_assert_eq(kept_versions(&w), 3);
    assert_sees(&w, &before, "key", NULL);
    assert_sees(&w, &one, "key", "1");
    assert_sees(&w, &two, "key", "2");
    assert_sees(&w, &three, "key", "3");
    assert_slice(entry_value(live(&w, "key")), S("4"));
    shut(&w, &two);
    sweep(&w, 100);
    cr_assert_eq(kept_versions(&w), 2);
    assert_sees(&w, &before, "key", NULL);
    assert_sees(&w, &one, "key", "1");
    assert_sees(&w, &three, "key", "3");
    shut(&w, &three);
    sweep(&w, 100);
    assert_sees(&w, &one, "key", "1");
    cr_assert_eq(entry_version(live(&w, "key")), w.seq, "also when the one behind it goes");
    shut(&w, &one);
    sweep(&w, 100);
    cr_assert_eq(kept_versions(&w), 0);
    assert_sees(&w, &before, "key", NULL);
    shut(&w, &before);
    world_deinit(&w);
}

Test(history_supersede, a_version_that_two_snapshots_read_outlives_the_newer)
{
    struct world w;
    struct snapshot_holder older, newer;
    world_init(&w);
    put(&w, "key", "1");
    open(&w, &older);
    put(&w, "other", "x");
    open(&w, &newer);
    put(&w, "key", "2");
    shut(&w, &newer);
    sweep(&w, 100);
    cr_assert_eq(kept_versions(&w), 1);
    assert_sees(&w, &older, "key", "1");
    shut(&w, &older);
    world_deinit(&w);
}

Test(history_supersede, a_version_that_two_snapshots_read_outlives_the_older)
{
    struct world w;
    struct snapshot_holder older, newer;
    world_init(&w);
    put(&w, "key", "1");
    open(&w, &older);
    put(&w, "other", "x");
    open(&w, &newer);
    put(&w, "key", "2");
    shut(&w, &older);
    sweep(&w, 100);
    assert_sees(&w, &newer, "key", "1");
    shut(&w, &newer);
    world_deinit(&w);
}

Test(history_overwrite, an_entry_changed_in_place_before_kept_versions)
{
    struct world w;
    struct snapshot_holder a;
    world_init(&w);
    put(&w, "key", "1");
    open(&w, &a);
    put(&w, "key", "2");
    cr_assert(history_overwrite(w.g, live(&w, "key"), S("3"), 0, ++w.seq));
    cr_assert_eq(entry_version(live(&w, "key")), 3);
    assert_sees(&w, &a, "key", "1");
    shut(&w, &a);
    sweep(&w, 100);
    cr_assert_eq(entry_version(live(&w, "key")), 3, "also without its past");
    cr_assert(history_overwrite(w.g, live(&w, "key"), S("3"), 0, ++w.seq));
    cr_assert_eq(entry_version(live(&w, "key")), 4);
    world_deinit(&w);
}

/* --- history_sweep --- */

Test(history_sweep, closed_snapshots_in_slices_of_one)
{
    struct world w;
    struct snapshot_holder a;
    world_init(&w);
    char name[] = "a";
    for (; name[0] <= 'j'; name[0]++) {
        put(&w, name, "1");
    }
    open(&w, &a);
    for (name[0] = 'a'; name[0] <= 'j'; name[0]++) {
        put(&w, name, "2");
    }
    shut(&w, &a);
    cr_assert(history_is_closing(&w.h));
    for (size_t left = 10; left > 0; left--) {
        size_t bytes = w.h.bytes;
        check(kept_versions(&w) == left);
        check(sweep(&w, 1) == 1);
        check(w.h.bytes < bytes);
    }
    cr_assert_eq(kept_versions(&w), 0);
    cr_assert(history_is_closing(&w.h), "the snapshot itself is one step more");
    cr_assert_eq(sweep(&w, 1), 1);
    cr_assert_not(history_is_closing(&w.h));
    cr_assert_eq(sweep(&w, 1), 0);
    world_deinit(&w);
}

Test(history_sweep, with_nothing_to_do_and_with_no_steps)
{
    struct world w;
    struct snapshot_holder a;
    world_init(&w);
    cr_assert_eq(sweep(&w, 10), 0);
    put(&w, "key", "1");
    open(&w, &a);
    put(&w, "key", "2");
    cr_assert_eq(sweep(&w, 10), 0, "an open snapshot keeps what it needs");
    shut(&w, &a);
    cr_assert_eq(sweep(&w, 0), 0);
    cr_assert_eq(kept_versions(&w), 1);
    world_deinit(&w);
}

Test(history_sweep, half_swept_the_others_still_read)
{
    struct world w;
    struct snapshot_holder older, newer;
    world_init(&w);
    put(&w, "a", "1");
    put(&w, "b", "1");
    open(&w, &older);
    put(&w, "a", "2");
    put(&w, "c", "2");
    open(&w, &newer);
    put(&w, "a", "3");
    put(&w, "b", "3");
    put(&w, "c", "3");
    shut(&w, &newer);
    do {
        assert_sees(&w, &older, "a", "1");
        assert_sees(&w, &older, "b", "1");
        assert_sees(&w, &older, "c", NULL);
    } while (sweep(&w, 1) == 1);
    cr_assert_eq(kept_versions(&w), 2);
    shut(&w, &older);
    world_deinit(&w);
}

/* --- tombstones --- */

Test(tombstone, stays_while_a_snapshot_below_it_is_open)
{
    struct world w;
    struct snapshot_holder a, b;
    world_init(&w);
    put(&w, "key", "1");
    open(&w, &a);
    bury(&w, "key");
    open(&w, &b);
    assert_sees(&w, &a, "key", "1");
    assert_sees(&w, &b, "key", NULL);
    cr_assert_eq(sweep(&w, 100), 0);
    cr_assert(entry_is_tombstone(live(&w, "key")));
    shut(&w, &a);
    sweep(&w, 100);
    cr_assert_null(live(&w, "key"), "one at or above it does not hold it");
    cr_assert_eq(w.h.bytes, 0);
    assert_sees(&w, &b, "key", NULL);
    shut(&w, &b);
    world_deinit(&w);
}

Test(tombstone, the_snapshot_above_it_does_not_matter)
{
    struct world w;
    struct snapshot_holder a, b;
    world_init(&w);
    put(&w, "key", "1");
    open(&w, &a);
    bury(&w, "key");
    open(&w, &b);
    shut(&w, &b);
    sweep(&w, 100);
    cr_assert(entry_is_tombstone(live(&w, "key")));
    assert_sees(&w, &a, "key", "1");
    shut(&w, &a);
    world_deinit(&w);
}

Test(tombstone, are_purged_in_order_of_versions)
{
    struct world w;
    struct snapshot_holder a, b;
    world_init(&w);
    put(&w, "x", "1");
    put(&w, "y", "1");
    open(&w, &a);
    bury(&w, "x");
    open(&w, &b);
    bury(&w, "y");
    shut(&w, &a);
    sweep(&w, 100);
    cr_assert_null(live(&w, "x"));
    cr_assert(entry_is_tombstone(live(&w, "y")));
    assert_sees(&w, &b, "x", NULL);
    assert_sees(&w, &b, "y", "1");
    shut(&w, &b);
    sweep(&w, 100);
    cr_assert_null(live(&w, "y"));
    world_deinit(&w);
}

Test(tombstone, replaced_by_a_value)
{
    struct world w;
    struct snapshot_holder a, b, c;
    world_init(&w);
    put(&w, "key", "1");
    open(&w, &a);
    bury(&w, "key");
    open(&w, &b);
    put(&w, "key", "2");
    open(&w, &c);
    cr_assert_null(w.g->tombs_first);
    assert_sees(&w, &a, "key", "1");
    assert_sees(&w, &b, "key", NULL);
    assert_sees(&w, &c, "key", "2");
    shut(&w, &a);
    sweep(&w, 100);
    assert_sees(&w, &b, "key", NULL);
    assert_sees(&w, &c, "key", "2");
    shut(&w, &b);
    sweep(&w, 100);
    cr_assert_eq(w.h.bytes, 0);
    assert_sees(&w, &c, "key", "2");
    shut(&w, &c);
    world_deinit(&w);
}

Test(tombstone, replaced_in_the_middle_of_the_queue)
{
    struct world w;
    struct snapshot_holder a;
    world_init(&w);
    put(&w, "x", "1");
    put(&w, "y", "1");
    put(&w, "z", "1");
    open(&w, &a);
    bury(&w, "x");
    bury(&w, "y");
    bury(&w, "z");
    put(&w, "y", "2");
    put(&w, "z", "2");
    bury(&w, "z");
    shut(&w, &a);
    sweep(&w, 100);
    cr_assert_null(live(&w, "x"));
    assert_slice(entry_value(live(&w, "y")), S("2"));
    cr_assert_null(live(&w, "z"));
    world_deinit(&w);
}

Test(history_remove, cuts_the_past_of_closed_snapshots_off)
{
    struct world w;
    struct snapshot_holder a, b;
    world_init(&w);
    put(&w, "key", "1");
    open(&w, &a);
    put(&w, "key", "2");
    open(&w, &b);
    put(&w, "key", "3");
    shut(&w, &a);
    shut(&w, &b);
    history_remove(&w.h, w.g, live(&w, "key"));
    cr_assert_null(live(&w, "key"));
    cr_assert_eq(kept_versions(&w), 2);
    world_deinit(&w);
}

/* --- history_flush --- */

Test(history_flush, without_a_snapshot_the_old_generation_is_freed_in_slices)
{
    struct world w;
    world_init(&w);
    for (unsigned long n = 0; n < 2000; n++) {
        place(&w, entry_new(numbered(n), hash_of(numbered(n)), S("value")));
    }
    flush(&w);
    cr_assert_eq(w.h.bytes, 0);
    cr_assert_null(w.g->older);
    for (size_t left = 2001; left > 0;) {
        size_t slice = left < 8 ? left : 8;
        size_t used = mem_used();
        check(sweep(&w, 8) == slice);
        check(mem_used() < used);
        left -= slice;
    }
    cr_assert_eq(sweep(&w, 8), 0);
    world_deinit(&w);
}

Test(history_flush, without_a_snapshot_a_small_generation_is_freed_at_once)
{
    struct world w;
    world_init(&w);
    for (unsigned long n = 0; n < 100; n++) {
        place(&w, entry_new(numbered(n), hash_of(numbered(n)), S("value")));
    }
    flush(&w);
    cr_assert_eq(w.h.bytes, 0);
    cr_assert_null(w.h.dying);
    cr_assert_eq(sweep(&w, 8), 0);
    world_deinit(&w);
}

Test(history_flush, older_snapshots_read_their_generations)
{
    struct world w;
    struct snapshot_holder first, second, between, third;
    world_init(&w);
    put(&w, "key", "1");
    put(&w, "only", "1");
    open(&w, &first);
    put(&w, "key", "1b");
    flush(&w);
    open(&w, &between);
    put(&w, "key", "2");
    open(&w, &second);
    flush(&w);
    put(&w, "key", "3");
    open(&w, &third);
    assert_sees(&w, &first, "key", "1");
    assert_sees(&w, &first, "only", "1");
    assert_sees(&w, &between, "key", NULL);
    assert_sees(&w, &second, "key", "2");
    assert_sees(&w, &second, "only", NULL);
    assert_sees(&w, &third, "key", "3");
    shut(&w, &between);
    shut(&w, &second);
    sweep(&w, 100);
    cr_assert_eq(w.g->older->since, 0, "the middle generation is gone");
    assert_sees(&w, &first, "key", "1");
    assert_sees(&w, &first, "only", "1");
    assert_sees(&w, &third, "key", "3");
    assert_sees(&w, &third, "only", NULL);
    shut(&w, &first);
    sweep(&w, 100);
    cr_assert_null(w.g->older);
    cr_assert_eq(w.h.bytes, 0);
    shut(&w, &third);
    world_deinit(&w);
}

Test(history_flush, a_generation_between_two_snapshots_is_not_kept)
{
    struct world w;
    struct snapshot_holder a;
    world_init(&w);
    put(&w, "key", "1");
    open(&w, &a);
    flush(&w);
    put(&w, "key", "2");
    size_t bytes = w.h.bytes;
    flush(&w);
    cr_assert_eq(w.h.bytes, bytes);
    cr_assert_eq(w.g->older->since, 0);
    assert_sees(&w, &a, "key", "1");
    shut(&w, &a);
    world_deinit(&w);
}

Test(history_flush, with_tombstones_and_kept_versions)
{
    struct world w;
    struct snapshot_holder a, b;
    world_init(&w);
    put(&w, "x", "1");
    put(&w, "y", "1");
    open(&w, &a);
    put(&w, "x", "2");
    bury(&w, "y");
    open(&w, &b);
    flush(&w);
    assert_sees(&w, &a, "x", "1");
    assert_sees(&w, &a, "y", "1");
    assert_sees(&w, &b, "x", "2");
    assert_sees(&w, &b, "y", NULL);
    shut(&w, &b);
    while (sweep(&w, 1) == 1) {
        assert_sees(&w, &a, "x", "1");
        assert_sees(&w, &a, "y", "1");
    }
    shut(&w, &a);
    world_deinit(&w);
}

/* --- entries that end --- */

Test(expiry, only_live_entries_are_in_the_wheel)
{
    struct world w;
    struct snapshot_holder a;
    world_init(&w);
    put_until(&w, "key", "1", 1000);
    put(&w, "other", "1");
    cr_assert_eq(w.g->expiry.count, 1);
    open(&w, &a);
    put_until(&w, "key", "2", 2000);
    cr_assert_eq(w.g->expiry.count, 1, "the kept version is in no wheel");
    cr_assert_eq(entry_expires_at(history_find(w.g, S("key"), hash_of(S("key")), a.snapshot->seq, &steps)), 1000);
    put(&w, "key", "3");
    cr_assert_eq(w.g->expiry.count, 0);
    put_until(&w, "key", "4", 4000);
    place(&w, entry_new_expired(live(&w, "key")));
    cr_assert_eq(w.g->expiry.count, 0, "nor is a tombstone");
    put_until(&w, "key", "5", 5000);
    cr_assert_eq(w.g->expiry.count, 1);
    assert_sees(&w, &a, "key", "1");
    shut(&w, &a);
    sweep(&w, 100);
    cr_assert_eq(w.g->expiry.count, 1);
    history_remove(&w.h, w.g, live(&w, "key"));
    cr_assert_eq(w.g->expiry.count, 0);
    world_deinit(&w);
}

Test(expiry, an_overwrite_in_place_moves_in_the_wheel)
{
    struct world w;
    world_init(&w);
    put_until(&w, "timed", "1", 1000);
    put(&w, "other", "1");
    cr_assert_not(history_overwrite(w.g, live(&w, "other"), S("2"), 2000, 9), "there is no place for an end");
    assert_slice(entry_value(live(&w, "other")), S("1"));
    cr_assert_eq(entry_version(live(&w, "other")), 2);
    cr_assert(history_overwrite(w.g, live(&w, "timed"), S("2"), 3000, ++w.seq));
    cr_assert_eq(entry_version(live(&w, "timed")), 3);
    size_t few = 100;
    cr_assert_null(expiry_next(&w.g->expiry, 2999, &few));
    cr_assert_eq(expiry_next(&w.g->expiry, 3000, &few), live(&w, "timed"));
    cr_assert(history_overwrite(w.g, live(&w, "timed"), S("3"), 0, ++w.seq));
    cr_assert_null(expiry_next(&w.g->expiry, UINT64_MAX - 1, &few));
    cr_assert_eq(w.g->expiry.count, 0);
    world_deinit(&w);
}

/* Their links stand behind the key, at an address that suits pointers. */
Test(expiry, tombstones_of_keys_of_all_lengths)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz";
    struct world w;
    struct snapshot_holder a;
    world_init(&w);
    for (size_t len = 0; len < 48; len++) {
        struct slice key = slice_of(letters, len);
        place(&w, entry_new_until(key, hash_of(key), S("value"), 1000 + len));
    }
    open(&w, &a);
    for (size_t len = 0; len < 48; len++) {
        struct slice key = slice_of(letters, len);
        struct entry *e = dict_find(&w.g->dict, key, hash_of(key));
        uint64_t version, expires_at;
        place(&w, len % 3 == 0 ? entry_new_tombstone(key, hash_of(key)) : entry_new_expired(e));
        e = dict_find(&w.g->dict, key, hash_of(key));
        cr_assert(entry_is_tombstone(e));
        cr_assert_eq((uintptr_t)entry_tomb_link(e) % sizeof(void *), 0);
        cr_assert_eq(entry_was_expired(e, &version, &expires_at), len % 3 != 0);
        cr_assert(len % 3 == 0 || (version == len + 1 && expires_at == 1000 + len));
        assert_slice(entry_key(e), key);
    }
    for (size_t len = 1; len < 48; len += 2) { /* out of the middle */
        struct slice key = slice_of(letters, len);
        place(&w, entry_new(key, hash_of(key), S("back")));
    }
    shut(&w, &a);
    sweep(&w, 1000);
    cr_assert_eq(w.g->dict.count, 24);
    cr_assert_eq(w.h.bytes, 0);
    world_deinit(&w);
}

Test(expiry, what_is_flushed_leaves_with_its_wheel)
{
    struct world w;
    struct snapshot_holder a;
    world_init(&w);
    for (unsigned long n = 0; n < 5000; n++) {
        place(&w, entry_new_until(numbered(n), hash_of(numbered(n)), S("value"), 1000 + n));
    }
    open(&w, &a);
    flush(&w);
    cr_assert_eq(w.g->expiry.count, 0);
    put_until(&w, "k1", "new", 500);
    assert_sees(&w, &a, "k1", "value");
    shut(&w, &a);
    for (size_t few = 100; sweep(&w, 7) > 0; few = 100) { /* the new wheel turns while the old generation goes */
        cr_assert_null(expiry_next(&w.g->expiry, 499, &few));
    }
    size_t few = 100;
    cr_assert_eq(expiry_next(&w.g->expiry, 6000, &few), live(&w, "k1"));
    world_deinit(&w);
}

/* --- a random run against a list of full states --- */

#define STEPS 20000
#define KEYS 8
#define HOLDERS 12
#define SUPERSEDED_MAX 4096

struct superseded {
    uint64_t version;
    uint64_t by;
};

/* states[n] is what commit n left: a number for each key, 0 where it is absent. */
struct run {
    struct world w;
    struct rng rng;
    uint32_t states[STEPS + 1][KEYS];
    struct snapshot_holder holders[HOLDERS];
    struct superseded superseded[SUPERSEDED_MAX]; /* by an entry of the same generation, and maybe still needed */
    size_t superseded_count;
};

static bool is_needed(const struct run *r, struct superseded s)
{
    for (size_t i = 0; i < HOLDERS; i++) {
        const struct snapshot *snapshot = r->holders[i].snapshot;
        if (snapshot != NULL && s.version <= snapshot->seq && snapshot->seq < s.by) {
            return true;
        }
    }
    return false;
}

static void next_state(struct run *r, size_t key, uint32_t number)
{
    uint64_t seq = r->w.seq;
    memcpy(r->states[seq], r->states[seq - 1], sizeof(r->states[seq]));
    r->states[seq][key] = number;
}

static void note_superseded(struct run *r, const struct entry *old)
{
    struct superseded s = {old == NULL ? UINT64_MAX : entry_version(old), r->w.seq + 1};
    if (is_needed(r, s)) {
        check(r->superseded_count < SUPERSEDED_MAX);
        r->superseded[r->superseded_count++] = s;
    }
}

/* When an entry of that number ends. */
static uint64_t end_of(uint32_t number)
{
    return number % 3 == 0 ? number : 0;
}

static void set_random(struct run *r, size_t key)
{
    struct world *w = &r->w;
    uint32_t number = 1 + rng_below(&r->rng, 1000000);
    struct slice k = numbered(key), value = slice_of((const char *)&number, sizeof(number));
    struct entry *old = dict_find(&w->g->dict, k, hash_of(k));
    if (old != NULL && rng_chance(&r->rng, 50) && !history_needs(&w->h, entry_version(old)) &&
        history_overwrite(w->g, old, value, end_of(number), w->seq + 1)) {
        w->seq++;
    } else {
        note_superseded(r, old);
        place(w, entry_new_until(k, hash_of(k), value, end_of(number)));
    }
    next_state(r, key, number);
}

static void delete_random(struct run *r, size_t key)
{
    struct world *w = &r->w;
    struct slice k = numbered(key);
    struct entry *old = dict_find(&w->g->dict, k, hash_of(k));
    if (old == NULL || entry_is_tombstone(old)) {
        return;
    }
    if (history_is_read(&w->h)) {
        note_superseded(r, old);
        bool ended = entry_expires_at(old) != 0;
        place(w, ended ? entry_new_expired(old) : entry_new_tombstone(k, hash_of(k)));
    } else {
        w->seq++;
        history_remove(&w->h, w->g, old);
    }
    next_state(r, key, 0);
}

static void open_or_close(struct run *r, size_t holder)
{
    if (r->holders[holder].snapshot == NULL) {
        open(&r->w, &r->holders[holder]);
    } else {
        shut(&r->w, &r->holders[holder]);
    }
}

static void compare_view(struct run *r, uint64_t seq)
{
    for (size_t key = 0; key < KEYS; key++) {
        struct slice k = numbered(key);
        const struct entry *e = history_find(r->w.g, k, hash_of(k), seq, &steps);
        uint32_t number = 0;
        if (e != NULL && !entry_is_tombstone(e)) {
            memcpy(&number, entry_value(e).data, sizeof(number));
            check(entry_expires_at(e) == end_of(number));
        }
        check(number == r->states[seq][key]);
    }
}

static void compare_all_views(struct run *r)
{
    for (size_t i = 0; i < HOLDERS; i++) {
        if (r->holders[i].snapshot != NULL) {
            compare_view(r, r->holders[i].snapshot->seq);
        }
    }
    compare_view(r, r->w.seq);
    size_t ends = 0;
    for (size_t key = 0; key < KEYS; key++) {
        ends += end_of(r->states[r->w.seq][key]) != 0 ? 1 : 0; /* 0 is absent and ends never */
    }
    check(r->w.g->expiry.count == ends);
}

/* After a full sweep there are exactly the versions that an open snapshot needs, and the tombstones above one. */
static void check_nothing_useless_is_kept(struct run *r)
{
    size_t needed = 0;
    while (sweep(&r->w, 64) == 64) {
    }
    for (size_t i = 0; i < r->superseded_count; i++) {
        if (is_needed(r, r->superseded[i])) {
            r->superseded[needed++] = r->superseded[i];
        }
    }
    r->superseded_count = needed;
    check(kept_versions(&r->w) == needed);
    for (struct entry *e = r->w.g->tombs_first; e != NULL; e = entry_tomb_link(e)->next) {
        check(r->w.h.oldest != NULL && r->w.h.oldest->seq < entry_version(e));
    }
}

static void random_step(struct run *r)
{
    uint32_t dice = rng_below(&r->rng, 100);
    if (dice < 45) {
        set_random(r, rng_below(&r->rng, KEYS));
    } else if (dice < 60) {
        delete_random(r, rng_below(&r->rng, KEYS));
    } else if (dice < 62) {
        flush(&r->w);
        memset(r->states[r->w.seq], 0, sizeof(r->states[r->w.seq]));
    } else if (dice < 85) {
        open_or_close(r, rng_below(&r->rng, HOLDERS));
    } else {
        sweep(&r->w, rng_below(&r->rng, 12));
    }
}

static void run_at_random(uint64_t seed)
{
    static struct run r;
    memset(&r, 0, sizeof(r));
    r.rng.state = seed;
    world_init(&r.w);
    for (int step = 0; step < STEPS; step++) {
        random_step(&r);
        if (rng_chance(&r.rng, 25)) {
            compare_all_views(&r);
        }
        if (rng_chance(&r.rng, 2)) {
            check_nothing_useless_is_kept(&r);
            compare_all_views(&r);
        }
        if (rng_chance(&r.rng, 1)) { /* now and then nobody reads */
            for (size_t i = 0; i < HOLDERS; i++) {
                shut(&r.w, &r.holders[i]);
            }
        }
    }
    for (size_t i = 0; i < HOLDERS; i++) {
        shut(&r.w, &r.holders[i]);
    }
    check_nothing_useless_is_kept(&r);
    size_t alive = 0;
    for (size_t key = 0; key < KEYS; key++) {
        alive += r.states[r.w.seq][key] != 0 ? 1 : 0;
    }
    cr_assert_eq(r.w.g->dict.count, alive);
    world_deinit(&r.w);
}

Test(history, random_run_against_full_states)
{
    for (uint64_t seed = 1; seed <= 5; seed++) {
        run_at_random(seed);
    }
}
