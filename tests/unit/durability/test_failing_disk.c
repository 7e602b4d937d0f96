/* Each operation of a life on disk fails once, or from then on, in every way: nothing that was acknowledged is lost by it, and
 * each failure does what it is to do. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "durable.h"
#include "unit.h"

#define COMMITS 60

/* Writes that go on by themselves are of whole blocks: there are none in a segment that is smaller. */
static const struct durable_shape shapes[] = {
    {.segment_bytes = 2048, .sync = true, .checkpoint_every = 15},
    {.segment_bytes = 2048, .sync = false, .checkpoint_every = 15},
    {.segment_bytes = 2 * DISK_BLOCK_BYTES, .sync = true, .checkpoint_every = 15},
    {.segment_bytes = 2 * DISK_BLOCK_BYTES, .sync = false, .checkpoint_every = 15},
};

/* A life with a kill in its middle. It ends where it can go no further. */
static void live(struct durable *d)
{
    if (!durable_start(d) || !durable_run(d, COMMITS / 2)) {
        return;
    }
    durable_commit(d);
    durable_kill(d);
    if (durable_start(d) && durable_run(d, COMMITS / 2)) {
        durable_mark(d);
    }
}

struct trial {
    struct sim_disk disk;
    struct durable life;
    char name[96];
};

static void trial_begin(struct trial *t, struct durable_shape shape, uint64_t seed, struct sim_plan plan)
{
    static const char *const failures[] = {"EIO", "ENOSPC", "short", "EINTR"};
    snprintf(t->name, sizeof(t->name), "%s, seed %lu, operation %lu %s: %s", shape.sync ? "sync" : "no sync",
             (unsigned long)seed, (unsigned long)plan.nth, plan.on ? "and on" : "once", failures[plan.how]);
    sim_disk_init(&t->disk);
    t->disk.plan = plan;
    durable_init(&t->life, &t->disk, shape, seed);
}

static void trial_end(struct trial *t)
{
    durable_deinit(&t->life);
    sim_disk_deinit(&t->disk);
}

static void assert_holds(const struct trial *t, struct sim_disk *disk, const char *when)
{
    struct durable_look look = durable_look(disk, &t->life.past);
    bool starts = look.result == RECOVER_CLEAN || look.result == RECOVER_TORN;
    if (!starts || !look.right || look.found.last < t->life.acknowledged) {
        cr_assert_fail("%s: %s: result %d, commit %lu (at least %lu), data %s; %s", t->name, when, (int)look.result,
                       (unsigned long)look.found.last, (unsigned long)t->life.acknowledged,
                       look.right ? "right" : "wrong", look.found.problem);
    }
}

/* Whatever a loss of power leaves has all that was acknowledged. */
static void assert_survives(const struct trial *t, const char *when)
{
    struct rng rng = {t->disk.plan.nth};
    for (unsigned draw = 0; draw < 12; draw++) {
        struct sim_disk after;
        sim_disk_lose_power(&after, &t->disk, &rng, draw);
        assert_holds(t, &after, when);
        sim_disk_deinit(&after);
    }
}

/* What the first failure has led to, where it was one that counts: a close that fails where a file was read or given up, and the
 * removal of what is not wanted any more, change nothing. */
static void assert_promised(const struct trial *t)
{
    const struct durable *d = &t->life;
    int label = t->disk.failed_label;
    bool harmless =
        t->disk.plan.how == SIM_SHORT ||
        (t->disk.plan.how == SIM_EINTR && (t->disk.failed_op == SIM_READ || t->disk.failed_op == SIM_WRITE ||
                                           t->disk.failed_op == SIM_BEGIN_WRITE || t->disk.failed_op == SIM_END_WRITE));
    bool is_close = t->disk.failed_op == SIM_CLOSE;
    unsigned failures = d->failures[label];
    switch (label) {
    case DURABLE_READ:
        if (!harmless && !is_close) {
            cr_assert_eq(failures, 1, "%s: a read of the recovery failed, and nobody said so", t->name);
            cr_assert_eq(d->result, RECOVER_FAILED, "%s", t->name);
            cr_assert(!d->up, "%s", t->name);
        }
        break;
    case DURABLE_WRITE:
        cr_assert_eq(failures, harmless ? 0 : 1, "%s: the log", t->name);
        cr_assert_eq(d->stopped, !harmless, "%s: the log", t->name);
        break;
    case DURABLE_SETTLE:
        if (!harmless) {
            cr_assert(failures == 1 || is_close || t->disk.failed_op == SIM_REMOVE, "%s: the start", t->name);
        }
        break;
    default: /* a segment ahead, a checkpoint, what it makes superfluous: commits go on */
        cr_assert(!d->stopped && !d->differs, "%s", t->name);
        cr_assert_geq(d->store.seq, COMMITS, "%s", t->name);
        if (!harmless && !is_close) {
            cr_assert_eq(failures, 1, "%s: %u failures under label %d", t->name, failures, label);
        }
        cr_assert_geq(d->checkpoints, 1, "%s", t->name);
        break;
    }
    if (harmless) {
        cr_assert(d->up && !d->stopped, "%s", t->name);
    }
}

/* The disk is well again, and the process starts anew. */
static void assert_goes_on(struct trial *t)
{
    t->disk.plan = (struct sim_plan){0};
    durable_kill(&t->life);
    assert_holds(t, &t->disk, "killed");
    cr_assert(durable_start(&t->life), "%s: %s", t->name, t->life.found.problem);
    assert_survives(t, "power lost after the next start");
    cr_assert(durable_run(&t->life, 10) && durable_checkpoint(&t->life) == 0 && durable_run(&t->life, 5), "%s",
              t->name);
    assert_survives(t, "power lost later");
}

/* Operations of a life in which nothing fails. */
static uint64_t operations(struct durable_shape shape, uint64_t seed)
{
    struct trial t;
    trial_begin(&t, shape, seed, (struct sim_plan){0});
    live(&t.life);
    cr_assert(t.life.up && !t.life.stopped && !t.life.differs);
    cr_assert_geq(t.life.store.seq, COMMITS);
    cr_assert_geq(t.life.checkpoints, 2);
    uint64_t ops = t.disk.ops;
    trial_end(&t);
    return ops;
}

static void fail_each_of(struct durable_shape shape, uint64_t seed, enum sim_failure how, bool on)
{
    uint64_t all = operations(shape, seed);
    cr_assert_gt(all, 100);
    for (uint64_t nth = 1; nth <= all; nth++) {
        struct trial t;
        trial_begin(&t, shape, seed, (struct sim_plan){.nth = nth, .how = how, .on = on});
        live(&t.life);
        cr_assert(!t.life.differs, "%s", t.name);
        if (t.disk.failed > 0 && !on) {
            assert_promised(&t);
        }
        assert_survives(&t, "power lost");
        assert_goes_on(&t);
        trial_end(&t);
    }
}

static void fail_each(enum sim_failure how, bool on)
{
    uint64_t seeds = getenv("TXKV_SOAK") == NULL ? 1 : 25;
    for (uint64_t seed = 7; seed < 7 + seeds; seed++) {
        for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
            fail_each_of(shapes[i], seed, how, on);
        }
    }
}

Test(failing_disk, eio_once)
{
    fail_each(SIM_EIO, false);
}

Test(failing_disk, eio_from_then_on)
{
    fail_each(SIM_EIO, true);
}

Test(failing_disk, enospc_once)
{
    fail_each(SIM_ENOSPC, false);
}

Test(failing_disk, enospc_from_then_on)
{
    fail_each(SIM_ENOSPC, true);
}

Test(failing_disk, short_once)
{
    fail_each(SIM_SHORT, false);
}

Test(failing_disk, short_from_then_on)
{
    fail_each(SIM_SHORT, true);
}

Test(failing_disk, interrupted_once)
{
    fail_each(SIM_EINTR, false);
}

Test(failing_disk, interrupted_from_then_on)
{
    fail_each(SIM_EINTR, true);
}

/* --- what each part promises --- */

static void start(struct trial *t)
{
    trial_begin(t, shapes[0], 7, (struct sim_plan){0});
    cr_assert(durable_start(&t->life));
    cr_assert(durable_run(&t->life, 20));
}

static void fail_from_now_on(struct trial *t, int label, enum sim_failure how)
{
    t->disk.ops = 0;
    t->disk.plan = (struct sim_plan){.nth = 1, .how = how, .on = true, .only = label};
}

Test(failing_disk, without_space_for_a_segment_commits_are_refused_until_there_is)
{
    struct trial t;
    start(&t);
    fail_from_now_on(&t, DURABLE_MAKE, SIM_ENOSPC);
    while (durable_commit(&t.life)) {
        cr_assert_lt(t.life.store.seq, 1000, "segments come from nowhere");
    }
    uint64_t seq = t.life.store.seq;
    cr_assert(!t.life.stopped);
    cr_assert_eq(journal_admit(&t.life.journal, 2000), JOURNAL_NO_SPACE);
    cr_assert(past_is(&t.life.store, past_at(&t.life.past, seq)), "what was refused has changed something");
    durable_write(&t.life);
    cr_assert_eq(t.life.acknowledged, seq);
    assert_survives(&t, "disk full");
    t.disk.plan = (struct sim_plan){0};
    cr_assert(durable_run(&t.life, 40), "it does not heal");
    assert_survives(&t, "disk full no more");
    trial_end(&t);
}

Test(failing_disk, checkpoints_that_cannot_be_written_leave_nothing_and_cost_nothing)
{
    static const int labels[] = {DURABLE_CHECKPOINT, DURABLE_TRIM};
    for (size_t i = 0; i < 2; i++) {
        struct trial t;
        start(&t);
        cr_assert_eq(durable_checkpoint(&t.life), 0);
        fail_from_now_on(&t, labels[i], SIM_EIO);
        for (int n = 0; n < 4; n++) {
            cr_assert(durable_run(&t.life, 10));
            cr_assert_lt(durable_checkpoint(&t.life), 0);
        }
        assert_survives(&t, "no checkpoint could be made");
        t.disk.plan = (struct sim_plan){0};
        cr_assert_eq(durable_checkpoint(&t.life), 0);
        cr_assert_null(sim_disk_bytes(&t.disk, "checkpoint.tmp"));
        assert_survives(&t, "one could");
        trial_end(&t);
    }
}

/* Begins a batch of which the nth operation fails; false where that is not its sync. */
static bool fail_sync(struct trial *t, uint64_t nth)
{
    start(t);
    while (!journal_has_batch(&t->life.journal)) {
        cr_assert(durable_commit(&t->life));
    }
    t->disk.ops = 0;
    t->disk.plan = (struct sim_plan){.nth = nth, .how = SIM_EIO, .only = DURABLE_WRITE};
    durable_write(&t->life);
    cr_assert(t->life.stopped);
    return t->disk.failed_op == SIM_SYNC;
}

/* What a failed sync leaves is seen as long as the machine runs, but is on no disk: a start must not believe it. */
Test(failing_disk, what_a_failed_sync_left_is_written_anew)
{
    struct trial t;
    for (uint64_t nth = 1; !fail_sync(&t, nth); nth++) {
        trial_end(&t);
    }
    uint64_t seq = t.life.store.seq;
    cr_assert_lt(t.life.acknowledged, seq);
    durable_kill(&t.life);
    cr_assert(durable_start(&t.life));
    cr_assert_eq(t.life.found.last, seq, "the page cache has it");
    assert_survives(&t, "power lost after the next start");
    trial_end(&t);
}
