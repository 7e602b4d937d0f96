/* The machine loses power at every operation on the disk: whatever is left, what is recovered is the data as of one commit, and
 * none that was acknowledged is missing. Then the server goes on with it, and power is lost again. */
#include <stdlib.h>

#include "durable.h"
#include "unit.h"

#define DRAWS 50
#define SEEN 4096 /* digests of disks that were looked at */

struct watch {
    struct durable *life;
    struct rng rng;
    uint64_t moments;
    uint64_t disks;      /* drawn */
    uint64_t different;  /* recovered, as no other disk at that time was the same */
    uint64_t seen[SEEN]; /* power is lost seldom enough that two of these are never the same by chance */
};

/* --- a second life, which loses power too --- */

struct second {
    struct durable life;
    struct rng rng;
    uint64_t left; /* changes until power is lost */
    uint64_t recovered;
    const char *wrong;
};

static void lose_again(struct sim_disk *disk, void *arg)
{
    struct second *s = arg;
    struct sim_disk after;
    if (s->left == 0 || --s->left > 0) {
        return;
    }
    sim_disk_lose_power(&after, disk, &s->rng, rng_below(&s->rng, 8));
    struct durable_look look = durable_look(&after, &s->life.past);
    uint64_t least = s->life.up && s->life.acknowledged > s->recovered ? s->life.acknowledged : s->recovered;
    if (look.result != RECOVER_CLEAN && look.result != RECOVER_TORN) {
        s->wrong = "after the second loss of power: refused";
    } else if (!look.right || look.found.last < least) {
        s->wrong = "after the second loss of power: other data";
    }
    sim_disk_deinit(&after);
}

/* Takes the disk. NULL, or what went wrong. */
static const char *live_again(struct watch *w, struct sim_disk *disk, uint64_t recovered)
{
    struct second s = {.rng = {rng_next(&w->rng)}, .recovered = recovered};
    struct durable_shape shape = w->life->shape;
    struct past past;
    past_init(&past, recovered, past_at(&w->life->past, recovered));
    durable_init_on(&s.life, disk, shape, rng_next(&s.rng), &past, recovered);
    s.left = 1 + rng_below(&s.rng, 40);
    disk->changed = lose_again;
    disk->arg = &s;
    if (!durable_start(&s.life)) {
        s.wrong = "the second life does not start";
    } else if (!durable_run(&s.life, 8)) {
        s.wrong = "the second life does not go on";
    } else if (durable_checkpoint(&s.life) < 0) {
        s.wrong = "the second life makes no checkpoint";
    } else if (!durable_run(&s.life, 4)) {
        s.wrong = "the second life does not go on after a checkpoint";
    }
    disk->changed = NULL;
    durable_deinit(&s.life);
    return s.wrong;
}

/* --- every moment of the first life --- */

static bool was_seen(struct watch *w, const struct sim_disk *disk)
{
    uint64_t digest = sim_disk_digest(disk) + w->life->acknowledged + 1;
    uint64_t *place = &w->seen[digest % SEEN];
    bool seen = *place == digest;
    *place = digest;
    return seen;
}

static void judge(struct watch *w, struct sim_disk *disk, unsigned draw)
{
    struct durable_look look = durable_look(disk, &w->life->past);
    uint64_t least = w->life->acknowledged;
    bool started = look.result == RECOVER_CLEAN || look.result == RECOVER_TORN;
    if (!started || !look.right || look.found.last < least) {
        cr_assert_fail("moment %lu, draw %u: result %d, checkpoint %lu, commit %lu (at least %lu), data %s; %s",
                       (unsigned long)w->moments, draw, (int)look.result, (unsigned long)look.found.checkpoint,
                       (unsigned long)look.found.last, (unsigned long)least, look.right ? "right" : "wrong",
                       look.found.problem);
    }
    w->different++;
    const char *wrong = live_again(w, disk, look.found.last);
    cr_assert(wrong == NULL, "moment %lu, draw %u: %s", (unsigned long)w->moments, draw, wrong);
}

static void lose_power(struct sim_disk *disk, void *arg)
{
    struct watch *w = arg;
    unsigned draws = sim_disk_is_settled(disk) ? 1 : DRAWS;
    w->moments++;
    for (unsigned draw = 0; draw < draws; draw++) {
        struct sim_disk after;
        sim_disk_lose_power(&after, disk, &w->rng, draw);
        w->disks++;
        if (!was_seen(w, &after)) {
            judge(w, &after, draw);
        }
        sim_disk_deinit(&after);
    }
}

/* A life of so many commits, with a kill and a new start now and then, at a moment of any kind. */
static void run(struct durable_shape shape, uint64_t commits, uint64_t seed)
{
    struct sim_disk disk;
    struct durable life;
    static struct watch w;
    sim_disk_init(&disk);
    durable_init(&life, &disk, shape, seed);
    w = (struct watch){.life = &life, .rng = {seed + 1}};
    disk.changed = lose_power;
    disk.arg = &w;
    cr_assert(durable_start(&life));
    while (life.store.seq < commits) {
        cr_assert(durable_step(&life), "commit %lu", (unsigned long)life.store.seq);
        lose_power(&disk, &w); /* after what was acknowledged by it */
        if (rng_chance(&w.rng, 2)) {
            durable_kill(&life);
            cr_assert(durable_start(&life), "%s", life.found.problem);
        }
    }
    cr_assert_gt(life.made, commits * 80 / shape.segment_bytes);
    cr_assert_gt(w.different, commits);
    cr_log_info("seed %lu: power lost at %lu moments, %lu disks, %lu of them different", (unsigned long)seed,
                (unsigned long)w.moments, (unsigned long)w.disks, (unsigned long)w.different);
    durable_deinit(&life);
    sim_disk_deinit(&disk);
}

Test(power_loss, sync_commit)
{
    for (uint64_t seed = 1; seed <= 4; seed++) {
        run((struct durable_shape){.segment_bytes = 4096, .sync = true, .checkpoint_every = 40}, 200 * durable_soak_factor(),
            seed);
    }
}

/* Commits that are not synced lie in other blocks than those behind them that are. */
Test(power_loss, sync_none_in_larger_segments)
{
    for (uint64_t seed = 21; seed <= 24; seed++) {
        run((struct durable_shape){.segment_bytes = 4 * DISK_BLOCK_BYTES, .checkpoint_every = 400}, 300 * durable_soak_factor(), seed);
    }
}

Test(power_loss, sync_none)
{
    for (uint64_t seed = 11; seed <= 14; seed++) {
        run((struct durable_shape){.segment_bytes = 4096, .sync = false, .checkpoint_every = 40}, 200 * durable_soak_factor(),
            seed);
    }
}
