/* Backups: the machine loses power at every operation on their directory, and each of these operations fails once, or from then on, in
 * every way. A backup that was acknowledged is there, whole, and starts with the data as of its commit; one that was not is so too, or
 * has not its name. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "durable.h"
#include "files.h"

#define DRAWS 50
#define BACKUPS 3

static const struct durable_shape shape = {.segment_bytes = 4096, .sync = true};
static const char *const names[BACKUPS] = {"a", "b", "c"};
static const char *const partial_names[BACKUPS] = {".a.partial", ".b.partial", ".c.partial"};

/* A server's life, and the directory of its backups, which is a disk of its own. */
struct scene {
    struct sim_disk data;
    struct sim_disk all;
    struct durable life;
    uint64_t seqs[BACKUPS]; /* commits as of which they were begun; 0: not */
    bool acknowledged[BACKUPS];
    struct rng rng;
    uint64_t moments;
    char name[96]; /* of what is tried */
};

static void scene_begin(struct scene *s, uint64_t seed)
{
    *s = (struct scene){.rng = {seed}};
    snprintf(s->name, sizeof(s->name), "seed %lu", (unsigned long)seed);
    sim_disk_init(&s->data);
    sim_disk_init(&s->all);
    durable_init(&s->life, &s->data, shape, seed);
    cr_assert(durable_start(&s->life) && durable_run(&s->life, 20));
}

static void scene_end(struct scene *s)
{
    s->all.changed = NULL;
    durable_deinit(&s->life);
    sim_disk_deinit(&s->data);
    sim_disk_deinit(&s->all);
}

/* The server is killed; the next one starts. */
static void scene_kill(struct scene *s)
{
    durable_kill(&s->life);
    sim_disk_kill(&s->all);
    cr_assert(durable_start(&s->life), "%s: %s", s->name, s->life.found.problem);
}

static void begin(struct scene *s, unsigned i)
{
    durable_backup_begin(&s->life, &s->all.disk, names[i]);
    s->seqs[i] = s->life.file.seq;
}

/* --- what is there --- */

static void assert_whole(const struct scene *s, struct sim_disk *dir, unsigned i, const char *when)
{
    struct durable_look look = durable_look(dir, &s->life.past);
    if (look.result != RECOVER_CLEAN || !look.right || look.found.last != s->seqs[i]) {
        cr_assert_fail("%s, moment %lu: %s: backup %s: result %d, commit %lu of %lu, data %s; %s", s->name, (unsigned long)s->moments, when,
                       names[i], (int)look.result, (unsigned long)look.found.last, (unsigned long)s->seqs[i], look.right ? "right" : "wrong",
                       look.found.problem);
    }
}

static void assert_right(const struct scene *s, const struct sim_disk *all, const char *when)
{
    for (unsigned i = 0; i < BACKUPS; i++) {
        struct sim_disk *dir = sim_disk_dir(all, names[i]);
        if (dir != NULL) {
            assert_whole(s, dir, i, when);
        } else if (s->acknowledged[i]) {
            cr_assert_fail("%s, moment %lu: %s: backup %s is gone", s->name, (unsigned long)s->moments, when, names[i]);
        }
    }
}

/* Nothing is there but backups. */
static void assert_tidy(const struct scene *s, const struct sim_disk *all)
{
    for (size_t i = 0; i < all->now.count; i++) {
        cr_assert_neq(all->now.list[i].name[0], '.', "%s: %s is left", s->name, all->now.list[i].name);
    }
}

/* Another server makes a backup there, of nothing. */
static void assert_takes_another(const struct scene *s, struct sim_disk *all)
{
    struct backup b;
    int rc = backup_open(&b, &all->disk, "next");
    cr_assert_eq(rc, 0, "%s: %s", s->name, strerror(-rc));
    cr_assert_eq(checkpoint_put((struct sim_disk *)(void *)b.dir, 1, "a", "1"), 0);
    cr_assert_eq(backup_publish(&b), 0);
    assert_tidy(s, all);
}

/* --- power loss --- */

static void lose_power(struct sim_disk *all, void *arg)
{
    struct scene *s = arg;
    unsigned draws = sim_disk_is_settled(all) ? 1 : DRAWS;
    s->moments++;
    for (unsigned draw = 0; draw < draws; draw++) {
        struct sim_disk after;
        sim_disk_lose_power(&after, all, &s->rng, draw);
        assert_right(s, &after, "power lost");
        assert_takes_another(s, &after);
        assert_right(s, &after, "another one made");
        sim_disk_deinit(&after);
    }
}

/* While commits go on. */
static void make(struct scene *s, unsigned i)
{
    begin(s, i);
    while (s->life.checkpointing) {
        cr_assert(durable_step(&s->life), "%s", s->name);
    }
    cr_assert_eq(s->life.failures[DURABLE_BACKUP], 0, "%s", s->name);
    s->acknowledged[i] = true;
    lose_power(&s->all, s);
}

/* One that the server does not live to finish, unless it is fast. */
static void cut_short(struct scene *s, unsigned i)
{
    begin(s, i);
    for (uint32_t left = rng_below(&s->rng, 60); left > 0 && s->life.checkpointing; left--) {
        cr_assert(durable_step(&s->life), "%s", s->name);
    }
    s->acknowledged[i] = !s->life.checkpointing;
    lose_power(&s->all, s);
    scene_kill(s);
    lose_power(&s->all, s);
}

Test(backup, loss_of_power_at_any_time)
{
    unsigned finished = 0;
    uint64_t seeds = 20 * durable_soak_factor();
    for (uint64_t seed = 1; seed <= seeds; seed++) {
        static struct scene s;
        scene_begin(&s, seed);
        s.all.changed = lose_power;
        s.all.arg = &s;
        make(&s, 0);
        cut_short(&s, 1);
        finished += s.acknowledged[1];
        make(&s, 2);
        assert_tidy(&s, &s.all);
        if (!s.acknowledged[1] && sim_disk_dir(&s.all, names[1]) == NULL) {
            make(&s, 1);
        }
        assert_tidy(&s, &s.all);
        cr_assert_gt(s.moments, 20);
        cr_log_info("seed %lu: power lost at %lu moments", (unsigned long)seed, (unsigned long)s.moments);
        scene_end(&s);
    }
    cr_assert_lt(finished, seeds, "none was cut short");
}

/* --- operations that fail --- */

/* What two servers have left that were killed at the same time: one had begun its file, one had not named its directory. */
static void leave_two(struct scene *s)
{
    struct backup left[BACKUPS];
    struct checkpoint file;
    for (unsigned i = 1; i < BACKUPS; i++) {
        cr_assert_eq(backup_open(&left[i], &s->all.disk, names[i]), 0);
    }
    cr_assert_eq(checkpoint_begin(&file, left[1].dir, FILES_ID, 1, 1), 0);
    cr_assert_eq(checkpoint_put((struct sim_disk *)(void *)left[2].dir, 1, "a", "1"), 0);
    append_end(&file.end);
    sim_disk_kill(&s->all);
}

static bool try(struct scene *s, unsigned i)
{
    s->seqs[i] = s->life.store.seq;
    s->acknowledged[i] = durable_backup(&s->life, &s->all.disk, names[i]) == 0;
    return s->acknowledged[i];
}

static void assert_survives(struct scene *s, const char *when)
{
    assert_right(s, &s->all, when);
    for (unsigned draw = 0; draw < 12; draw++) {
        struct sim_disk after;
        sim_disk_lose_power(&after, &s->all, &s->rng, draw);
        assert_right(s, &after, when);
        sim_disk_deinit(&after);
    }
}

static void assert_all_closed(const struct scene *s, const struct sim_disk *d)
{
    cr_assert(!d->open, "%s: a directory is left open", s->name);
    for (size_t i = 0; i < SIM_HANDLES; i++) {
        cr_assert_eq(d->handles[i], 0, "%s: a file is left open", s->name);
    }
    for (size_t i = 0; i < d->file_count; i++) {
        if (d->files[i].dir != NULL) {
            assert_all_closed(s, d->files[i].dir);
        }
    }
}

static bool is_harmless(const struct sim_disk *all)
{
    return all->plan.how == SIM_SHORT || (all->plan.how == SIM_EINTR && (all->failed_op == SIM_READ || all->failed_op == SIM_WRITE));
}

/* What must not go by unseen, as the backup would not be there after a loss of power, or not at all. */
static bool counts(const struct sim_disk *all)
{
    enum sim_op op = all->failed_op;
    return op == SIM_WRITE || op == SIM_SYNC || op == SIM_RENAME || op == SIM_SYNC_NAMES || op == SIM_RENAME_DIR;
}

static void live(struct scene *s)
{
    bool first = try(s, 0);
    cr_assert(durable_run(&s->life, 10), "%s: commits do not go on", s->name);
    bool second = try(s, 1);
    cr_assert(durable_run(&s->life, 10), "%s: commits do not go on", s->name);
    if (s->all.failed == 0 || (is_harmless(&s->all) && !s->all.plan.on)) {
        cr_assert(first && second, "%s: it did no harm, and there is no backup", s->name);
    } else if (!s->all.plan.on && counts(&s->all)) {
        cr_assert(first != second, "%s: operation %d failed, and nobody said so", s->name, (int)s->all.failed_op);
    }
}

static void fail_one(struct sim_plan plan, uint64_t *operations)
{
    static const char *const failures[] = {"EIO", "ENOSPC", "short", "EINTR"};
    struct scene s;
    scene_begin(&s, 7);
    leave_two(&s);
    snprintf(s.name, sizeof(s.name), "operation %lu %s: %s", (unsigned long)plan.nth, plan.on ? "and on" : "once", failures[plan.how]);
    s.all.ops = 0;
    s.all.plan = plan;
    live(&s);
    *operations = s.all.ops;
    s.all.plan = (struct sim_plan){0};
    assert_all_closed(&s, &s.all);
    assert_survives(&s, "failed");
    cr_assert(try(&s, 2), "%s: well again, and no backup can be made", s.name);
    assert_tidy(&s, &s.all);
    assert_survives(&s, "well again");
    scene_end(&s);
}

static void fail_each(enum sim_failure how, bool on)
{
    uint64_t operations;
    fail_one((struct sim_plan){0}, &operations);
    cr_assert_gt(operations, 40);
    uint64_t all = operations;
    for (uint64_t nth = 1; nth <= all; nth++) {
        fail_one((struct sim_plan){.nth = nth, .how = how, .on = on}, &operations);
    }
}

Test(backup, each_operation_fails)
{
    for (enum sim_failure how = SIM_EIO; how < SIM_FAILURES; how++) {
        fail_each(how, false);
        fail_each(how, true);
    }
}

/* --- what is not its own --- */

Test(backup, leaves_alone_what_another_server_is_at)
{
    struct scene s;
    scene_begin(&s, 3);
    leave_two(&s);
    sim_disk_dir(&s.all, partial_names[1])->held = true;
    cr_assert(try(&s, 0));
    cr_assert_not_null(sim_disk_dir(&s.all, partial_names[1]), "it was removed");
    cr_assert_null(sim_disk_dir(&s.all, partial_names[2]), "what was left is there still");
    cr_assert_eq(durable_backup(&s.life, &s.all.disk, names[1]), -EEXIST);
    sim_disk_dir(&s.all, partial_names[1])->held = false; /* it was killed */
    cr_assert(try(&s, 1));
    assert_tidy(&s, &s.all);
    assert_survives(&s, "made");
    scene_end(&s);
}

/* Over a network, say. */
Test(backup, leaves_alone_what_cannot_be_locked)
{
    struct scene s;
    scene_begin(&s, 3);
    leave_two(&s);
    s.all.no_locks = true;
    uint64_t digest = sim_disk_digest(&s.all);
    cr_assert_eq(durable_backup(&s.life, &s.all.disk, names[1]), -EEXIST);
    cr_assert_eq(sim_disk_digest(&s.all), digest);
    assert_all_closed(&s, &s.all);
    cr_assert(try(&s, 0));
    cr_assert_eq(s.all.now.count, 3, "what others may be at was touched");
    assert_survives(&s, "made");
    scene_end(&s);
}

/* Somebody has started a server on it, say. */
Test(backup, leaves_alone_what_holds_other_things)
{
    struct scene s;
    scene_begin(&s, 3);
    leave_two(&s);
    struct disk *dir = &sim_disk_dir(&s.all, partial_names[1])->disk;
    dir->ops->close(dir, dir->ops->open(dir, "lock", DISK_CREATE));
    cr_assert_eq(dir->ops->make_dir(&s.all.disk, "..partial"), 0);
    cr_assert_eq(dir->ops->make_dir(&s.all.disk, ".partial"), 0);
    cr_assert_eq(dir->ops->make_dir(&s.all.disk, ".c.partials"), 0);
    uint64_t digest = sim_disk_digest(sim_disk_dir(&s.all, partial_names[1]));
    cr_assert(try(&s, 0));
    cr_assert_eq(durable_backup(&s.life, &s.all.disk, names[1]), -EEXIST);
    cr_assert_eq(sim_disk_digest(sim_disk_dir(&s.all, partial_names[1])), digest, "it was changed");
    cr_assert_null(sim_disk_dir(&s.all, partial_names[2]), "what was left is there still");
    cr_assert_eq(s.all.now.count, 5);
    scene_end(&s);
}

Test(backup, of_a_name_that_is_taken_is_refused_before_it_is_written)
{
    struct scene s;
    scene_begin(&s, 3);
    cr_assert(try(&s, 0));
    s.all.disk.ops->close(&s.all.disk, s.all.disk.ops->open(&s.all.disk, "b", DISK_CREATE));
    uint64_t digest = sim_disk_digest(&s.all);
    for (unsigned i = 0; i < 2; i++) {
        s.all.plan = (struct sim_plan){.nth = 4, .how = SIM_EIO, .on = true}; /* it looks at the names, and no more */
        s.all.ops = 0;
        cr_assert_eq(durable_backup(&s.life, &s.all.disk, names[i]), -EEXIST);
        cr_assert_eq(sim_disk_digest(&s.all), digest);
    }
    scene_end(&s);
}
