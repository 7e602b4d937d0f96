/* log: segments, and what is on disk when. */
#include <errno.h>

#include "files.h"

static bool has(struct sim_disk *disk, const char *name)
{
    return sim_disk_bytes(disk, name) != NULL;
}

static bool has_segment(struct sim_disk *disk, uint64_t number)
{
    char name[DISK_NAME_MAX];
    log_name(number, name);
    return has(disk, name);
}

/* What a loss of power leaves at the worst. */
static void find_after_loss(struct found *f, struct sim_disk *disk)
{
    struct sim_disk after;
    struct rng rng = {1};
    sim_disk_lose_power(&after, disk, &rng, 0);
    find(f, &after);
    sim_disk_deinit(&after);
}

/* --- names --- */

Test(log_name, goes_both_ways)
{
    static const uint64_t numbers[] = {1, 0x10, 0xabcdef, UINT64_MAX};
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        char name[DISK_NAME_MAX];
        log_name(numbers[i], name);
        cr_assert_eq(log_number(name), numbers[i]);
    }
}

Test(log_number, knows_no_other_way_to_write_one)
{
    static const char *const names[] = {"log-1",
                                        "log-0000000000000000",
                                        "log-00000000000000AB",
                                        "log-0000000000000001x",
                                        "log--000000000000001",
                                        "log-00000000000000001",
                                        "log-next.tmp",
                                        "log- 000000000000001",
                                        "saved-log-0000000000000001",
                                        "log-",
                                        ""};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        cr_assert_eq(log_number(names[i]), 0, "%s", names[i]);
    }
}

/* --- log_make --- */

Test(log_make, is_on_disk_when_it_returns)
{
    struct sim_disk disk;
    struct sim_disk after;
    struct rng rng = {1};
    struct log log;
    sim_disk_init(&disk);
    log_begin_on(&log, &disk);
    cr_assert_eq(log_make(&log, 1), 0);
    sim_disk_lose_power(&after, &disk, &rng, 0);
    const struct sim_bytes *b = sim_disk_bytes(&after, "log-0000000000000001");
    cr_assert_not_null(b);
    cr_assert_eq(b->size, FILES_SEGMENT);
    for (size_t i = 0; i < b->size; i++) {
        cr_assert(b->data[i] == 0);
    }
    sim_disk_deinit(&after);
    sim_disk_deinit(&disk);
}

Test(log_make, leaves_nothing_where_it_fails)
{
    for (uint64_t nth = 1;; nth++) {
        struct sim_disk disk;
        struct log log;
        sim_disk_init(&disk);
        log_begin_on(&log, &disk);
        disk.plan = (struct sim_plan){.nth = nth, .how = SIM_ENOSPC};
        int rc = log_make(&log, 1);
        bool failed = disk.failed > 0;
        cr_assert_eq(rc, failed ? -ENOSPC : 0, "operation %lu: %d", (unsigned long)nth, rc);
        cr_assert_eq(disk.now.count, failed ? 0 : 1, "operation %lu", (unsigned long)nth);
        sim_disk_deinit(&disk);
        if (!failed) {
            cr_assert_gt(nth, 5);
            break;
        }
    }
}

/* --- writing --- */

Test(log_write, with_sync_is_on_disk_when_it_returns)
{
    struct sim_disk disk;
    struct log log;
    struct found f;
    sim_disk_init(&disk);
    log_begin_on(&log, &disk);
    cr_assert_eq(log_put(&log, "a", "1", true, true), 0);
    find_after_loss(&f, &disk);
    assert_found(&f, RECOVER_CLEAN, "commit 1: a=1; ");
    cr_assert_eq(log_put(&log, "b", "2", false, true), 0);
    cr_assert_eq(log_put(&log, "c", "3", true, true), 0);
    find_after_loss(&f, &disk);
    assert_found(&f, RECOVER_CLEAN, "commit 1: a=1; commit 2: b=2; commit 3: c=3; ");
    cr_assert_eq(f.recovery.id, FILES_ID);
    cr_assert_eq(log.syncs, 3, "one sync for each batch");
    log_close(&log);
    sim_disk_deinit(&disk);
}

Test(log_write, without_sync_the_next_segment_waits_for_this_one)
{
    struct sim_disk disk;
    struct log log;
    struct found f;
    sim_disk_init(&disk);
    log_begin_on(&log, &disk);
    cr_assert_eq(log_put(&log, "a", "1", true, false), 0);
    cr_assert_eq(log_put(&log, "b", "2", false, false), 0);
    cr_assert(log.syncs == 0 && log.synced == 0);
    find_after_loss(&f, &disk);
    assert_found(&f, RECOVER_CLEAN, "");
    cr_assert_eq(log_put(&log, "c", "3", true, false), 0);
    cr_assert(log.syncs == 1 && log.synced == 2);
    find_after_loss(&f, &disk);
    assert_found(&f, RECOVER_CLEAN, "commit 1: a=1; commit 2: b=2; ");
    cr_assert_eq(log_sync(&log), 0);
    cr_assert_eq(log_sync(&log), 0);
    cr_assert(log.syncs == 2 && log.synced == 3, "what is synced is not synced again");
    log_close(&log);
    sim_disk_deinit(&disk);
}

Test(log_write, without_a_segment_made_fails)
{
    struct sim_disk disk;
    struct log log;
    char bytes[FILE_HEADER_BYTES + RECORD_HEADER_BYTES] = {0};
    sim_disk_init(&disk);
    log_begin_on(&log, &disk);
    record_marker(bytes + FILE_HEADER_BYTES, 0);
    cr_assert_eq(log_write(&log, bytes, sizeof(bytes), 1, true, true, 0), -ENOENT);
    sim_disk_deinit(&disk);
}

/* A sync that fails is not tried again: nothing says what the second one would mean. */
Test(log_sync, fails_for_good)
{
    struct sim_disk disk;
    struct log log;
    sim_disk_init(&disk);
    log_begin_on(&log, &disk);
    cr_assert_eq(log_put(&log, "a", "1", true, false), 0);
    disk.label = 1;
    disk.ops = 0;
    disk.plan = (struct sim_plan){.nth = 1, .how = SIM_EIO, .only = 1};
    cr_assert_eq(log_sync(&log), -EIO);
    cr_assert_eq(log.synced, 0);
    log_close(&log);
    sim_disk_deinit(&disk);
}

/* --- log_mark --- */

Test(log_mark, shows_that_what_is_before_it_was_on_disk)
{
    struct sim_disk disk;
    struct log log;
    struct found f;
    sim_disk_init(&disk);
    log_begin_on(&log, &disk);
    cr_assert_eq(log_mark(&log), 0, "nothing to mark");
    cr_assert_eq(log_put(&log, "a", "1", true, false), 0);
    cr_assert_eq(log_mark(&log), 0);
    cr_assert_eq(log.synced, 1);
    find_after_loss(&f, &disk);
    assert_found(&f, RECOVER_CLEAN, "commit 1: a=1; ");
    char *byte = sim_disk_bytes(&disk, "log-0000000000000001")->data + FILE_HEADER_BYTES + RECORD_HEADER_BYTES;
    *byte ^= 1;
    find(&f, &disk);
    assert_found(&f, RECOVER_DAMAGED, "");
    *byte ^= 1;
    cr_assert_eq(log_put(&log, "b", "2", false, true), 0, "the log goes on behind it");
    find(&f, &disk);
    assert_found(&f, RECOVER_CLEAN, "commit 1: a=1; commit 2: b=2; ");
    log_close(&log);
    sim_disk_deinit(&disk);
}

Test(log_mark, stays_within_its_segment)
{
    struct sim_disk disk;
    struct log log;
    sim_disk_init(&disk);
    log_begin_on(&log, &disk);
    cr_assert_eq(log_put(&log, "a", "1", true, true), 0);
    while (append_size(&log.end) + RECORD_HEADER_BYTES <= FILES_SEGMENT) {
        cr_assert_eq(log_mark(&log), 0);
    }
    uint64_t at = append_size(&log.end);
    cr_assert_eq(log_mark(&log), 0);
    cr_assert_eq(append_size(&log.end), at);
    cr_assert_eq(sim_disk_bytes(&disk, "log-0000000000000001")->size, FILES_SEGMENT);
    log_close(&log);
    sim_disk_deinit(&disk);
}

/* --- log_trim --- */

/* Segments 1 to 5, of two commits each: 1 and 2, 3 and 4 ... */
static void five_segments(struct sim_disk *disk, struct log *log)
{
    sim_disk_init(disk);
    log_begin_on(log, disk);
    for (int i = 0; i < 10; i++) {
        cr_assert_eq(log_put(log, "k", "v", i % 2 == 0, true), 0);
    }
    cr_assert_eq(log->number, 5);
}

Test(log_trim, keeps_what_has_a_later_commit)
{
    for (uint64_t seq = 0; seq <= 10; seq++) {
        struct sim_disk disk;
        struct log log;
        five_segments(&disk, &log);
        cr_assert_eq(log_trim(&disk.disk, 5, seq), 0);
        for (uint64_t number = 1; number <= 5; number++) {
            bool wanted = number == 5 || 2 * number > seq;
            cr_assert_eq(has_segment(&disk, number), wanted, "commit %lu, segment %lu", (unsigned long)seq,
                         (unsigned long)number);
        }
        cr_assert(sim_disk_is_settled(&disk), "a name that was removed is on disk");
        log_close(&log);
        sim_disk_deinit(&disk);
    }
}

Test(log_trim, keeps_the_current_segment_and_those_behind_it)
{
    struct sim_disk disk;
    struct log log;
    five_segments(&disk, &log);
    cr_assert_eq(log_trim(&disk.disk, 3, 10), 0);
    cr_assert(!has_segment(&disk, 1) && !has_segment(&disk, 2) && has_segment(&disk, 3) && has_segment(&disk, 4) &&
              has_segment(&disk, 5));
    log_close(&log);
    sim_disk_deinit(&disk);
}

/* A loss of power can bring back one of several that were removed, without the next. */
Test(log_trim, passes_over_a_gap)
{
    struct sim_disk disk;
    struct log log;
    five_segments(&disk, &log);
    cr_assert_eq(disk.disk.ops->remove(&disk.disk, "log-0000000000000002"), 0);
    cr_assert_eq(log_trim(&disk.disk, 5, 6), 0);
    cr_assert(!has_segment(&disk, 1) && !has_segment(&disk, 3) && has_segment(&disk, 4) && has_segment(&disk, 5));
    log_close(&log);
    sim_disk_deinit(&disk);
}
