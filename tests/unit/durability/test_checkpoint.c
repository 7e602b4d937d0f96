/* checkpoint: a file that has the name of one is whole. */
#include <errno.h>

#include "files.h"

static bool has_checkpoint(struct sim_disk *disk, uint64_t seq)
{
    char name[DISK_NAME_MAX];
    checkpoint_name(seq, name);
    return sim_disk_bytes(disk, name) != NULL;
}

Test(checkpoint_name, goes_both_ways)
{
    static const uint64_t seqs[] = {0, 1, 0xabc, UINT64_MAX};
    static const char *const wrong[] = {"checkpoint-1",
                                        "checkpoint-000000000000000A",
                                        "checkpoint.tmp",
                                        "saved-checkpoint-0000000000000001",
                                        "checkpoint-00000000000000011",
                                        "checkpoint-",
                                        "log-0000000000000001"};
    uint64_t seq;
    for (size_t i = 0; i < sizeof(seqs) / sizeof(seqs[0]); i++) {
        char name[DISK_NAME_MAX];
        checkpoint_name(seqs[i], name);
        cr_assert(checkpoint_seq(name, &seq) && seq == seqs[i]);
    }
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        cr_assert(!checkpoint_seq(wrong[i], &seq), "%s", wrong[i]);
    }
}

Test(checkpoint_finish, is_on_disk_when_it_returns)
{
    struct sim_disk disk;
    struct sim_disk after;
    struct rng rng = {1};
    struct found f;
    sim_disk_init(&disk);
    cr_assert_eq(checkpoint_put(&disk, 7, "a", "1"), 0);
    sim_disk_lose_power(&after, &disk, &rng, 0);
    find(&f, &after);
    assert_found(&f, RECOVER_CLEAN, "part 7: a=1; ");
    cr_assert(f.recovery.has_checkpoint && f.recovery.checkpoint == 7 && f.recovery.last == 7 &&
              f.recovery.checkpoint_keys == 1);
    sim_disk_deinit(&after);
    sim_disk_deinit(&disk);
}

/* Whatever fails, and whatever a loss of power leaves then: the older one or the newer one is there, and whole. */
Test(checkpoint_finish, fails_without_harm)
{
    for (uint64_t nth = 1;; nth++) {
        struct sim_disk disk;
        struct rng rng = {nth};
        sim_disk_init(&disk);
        cr_assert_eq(checkpoint_put(&disk, 7, "a", "1"), 0);
        disk.ops = 0;
        disk.plan = (struct sim_plan){.nth = nth, .how = SIM_EIO};
        int rc = checkpoint_put(&disk, 9, "a", "2");
        bool failed = disk.failed > 0;
        cr_assert_eq(rc, failed ? -EIO : 0, "operation %lu: %d", (unsigned long)nth, rc);
        cr_assert_null(sim_disk_bytes(&disk, "checkpoint.tmp"), "operation %lu", (unsigned long)nth);
        for (unsigned draw = 0; draw < 20; draw++) {
            struct sim_disk after;
            struct found f;
            sim_disk_lose_power(&after, &disk, &rng, draw);
            find(&f, &after);
            bool older = strcmp(f.text, "part 7: a=1; ") == 0;
            bool newer = strcmp(f.text, "part 9: a=2; ") == 0;
            cr_assert(f.result == RECOVER_CLEAN && (newer || (older && failed)), "operation %lu: %s",
                      (unsigned long)nth, f.text);
            sim_disk_deinit(&after);
        }
        sim_disk_deinit(&disk);
        if (!failed) {
            cr_assert_gt(nth, 6);
            break;
        }
    }
}

Test(checkpoint_begin, replaces_one_that_was_not_finished)
{
    struct sim_disk disk;
    struct found f;
    struct checkpoint c;
    sim_disk_init(&disk);
    cr_assert_eq(checkpoint_begin(&c, &disk.disk, FILES_ID, 3, 0), 0);
    sim_disk_kill(&disk);
    append_end(&c.end);
    find(&f, &disk);
    assert_found(&f, RECOVER_CLEAN, "");
    cr_assert_eq(checkpoint_put(&disk, 4, "a", "1"), 0);
    find(&f, &disk);
    assert_found(&f, RECOVER_CLEAN, "part 4: a=1; ");
    sim_disk_deinit(&disk);
}

Test(checkpoint_abandon, leaves_nothing)
{
    struct sim_disk disk;
    struct checkpoint c;
    sim_disk_init(&disk);
    cr_assert_eq(checkpoint_begin(&c, &disk.disk, FILES_ID, 3, 0), 0);
    checkpoint_abandon(&c);
    cr_assert_eq(disk.now.count, 0);
    checkpoint_abandon(&c);
    sim_disk_deinit(&disk);
}

Test(checkpoint_trim, keeps_the_newest)
{
    static const uint64_t seqs[] = {30, 10, 50, 20, 40};
    for (size_t keep = 1; keep <= 6; keep++) {
        struct sim_disk disk;
        uint64_t oldest = 99;
        sim_disk_init(&disk);
        for (size_t i = 0; i < 5; i++) {
            cr_assert_eq(checkpoint_put(&disk, seqs[i], "a", "1"), 0);
        }
        cr_assert_eq(checkpoint_trim(&disk.disk, keep, &oldest), 0);
        for (uint64_t seq = 10; seq <= 50; seq += 10) {
            cr_assert_eq(has_checkpoint(&disk, seq), seq / 10 > 5 - (keep < 5 ? keep : 5), "keep %zu: %lu", keep,
                         (unsigned long)seq);
        }
        cr_assert_eq(oldest, keep <= 5 ? 60 - 10 * keep : 0, "keep %zu: the oldest is %lu", keep,
                     (unsigned long)oldest);
        cr_assert(sim_disk_is_settled(&disk));
        sim_disk_deinit(&disk);
    }
}
