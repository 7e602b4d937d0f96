/* replay: what recovery gives, put into a store. How whole directories come back: test_power_loss.c, test_truncation.c. */
#include "files.h"
#include "mem.h"
#include "replay.h"
#include "store.h"

static const struct store_limits limits = {{SIZE_MAX, SIZE_MAX}, SIZE_MAX, 0};

struct loading {
    struct replay replay;
    struct store store;
    char counts[64]; /* the keys at each step, as the progress line tells them: "1 2 2 " */
    size_t len;
};

static struct loading l;

static void load_begin(void)
{
    cr_assert_eq(store_init(&l.store, &limits, STORE_PARTITION_BITS), 0);
    cr_assert_eq(replay_init(&l.replay, &l.store), 0);
}

static void load_end(void)
{
    replay_deinit(&l.replay);
    store_deinit(&l.store);
}

TestSuite(replay, .init = load_begin, .fini = load_end);

static void on_reset(void *arg)
{
    (void)arg;
    replay_reset(&l.replay);
}

static int on_payload(void *arg, uint64_t seq, struct slice payload)
{
    (void)arg;
    return replay_add(&l.replay, seq, payload);
}

static void on_progress(void *arg, uint64_t bytes, uint64_t of_bytes)
{
    (void)arg;
    (void)bytes;
    (void)of_bytes;
    l.len += (size_t)snprintf(l.counts + l.len, sizeof(l.counts) - l.len, "%lu ", (unsigned long)replay_keys(&l.replay));
}

/* Commits that set a key of one letter each. */
static void make_log(struct sim_disk *disk, const char *keys)
{
    struct log log;
    sim_disk_init(disk);
    log_begin_on(&log, disk);
    for (size_t i = 0; keys[i] != '\0'; i++) {
        cr_assert_eq(log_put(&log, (char[]){keys[i], '\0'}, "v", i % 2 == 0, true), 0);
    }
    log_close(&log);
}

static void assert_counts(struct sim_disk *disk, const char *wanted)
{
    const struct recover_sink sink = {on_reset, on_payload, on_payload, on_progress, NULL};
    struct recovery found;
    cr_assert_eq(recover_read(&disk->disk, &sink, &found), RECOVER_CLEAN, "%s", found.problem);
    cr_assert_str_eq(l.counts, wanted);
    cr_assert_eq(replay_finish(&l.replay), 0);
}

/* A batch is applied long after this little. */
Test(replay, says_at_each_step_how_many_keys_there_are)
{
    struct sim_disk disk;
    make_log(&disk, "abac");
    assert_counts(&disk, "1 2 2 3 ");
    cr_assert(l.store.keys == 3 && l.store.seq == 4);
    sim_disk_deinit(&disk);
}

Test(replay, counts_the_keys_of_a_checkpoint_too)
{
    struct sim_disk disk;
    make_log(&disk, "ab");
    cr_assert_eq(checkpoint_put(&disk, 1, "a", "1"), 0);
    assert_counts(&disk, "1 1 2 ");
    sim_disk_deinit(&disk);
}

static void add_put(uint64_t seq, const char *key)
{
    struct buf b;
    buf_init(&b);
    cr_assert_eq(record_put(&b, slice_str(key), slice_str("v"), 0), 0);
    cr_assert_eq(replay_add(&l.replay, seq, slice_of(buf_head(&b), buf_len(&b))), 0);
    buf_deinit(&b);
}

static void count_without_memory(void)
{
    add_put(1, "a");
    mem_fail(1, true);
    cr_assert_eq(replay_keys(&l.replay), 0);
    mem_fail(0, false);
}

/* What was counted without memory is not all there, and nothing else would say so. */
Test(replay, a_lack_of_memory_while_keys_are_counted_is_said_when_more_is_added)
{
    count_without_memory();
    cr_assert_eq(replay_add(&l.replay, 2, slice_of("", 0)), -1);
}

Test(replay, a_lack_of_memory_while_keys_are_counted_is_said_at_the_end)
{
    count_without_memory();
    cr_assert_eq(replay_keys(&l.replay), 0);
    cr_assert_eq(replay_finish(&l.replay), -1);
}

Test(replay, begins_anew_after_a_reset)
{
    count_without_memory();
    replay_reset(&l.replay);
    add_put(1, "b");
    cr_assert_eq(replay_keys(&l.replay), 1);
    cr_assert_eq(replay_finish(&l.replay), 0);
}
