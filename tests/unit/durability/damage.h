/* damage: what the tests of cut and flipped files have in common: a life that left a log, or checkpoints and a log, and what
 * becomes of a copy of it. */
#ifndef TXKV_UNIT_DAMAGE_H
#define TXKV_UNIT_DAMAGE_H

#include <stdio.h>
#include <stdlib.h>

#include "durable.h"
#include "unit.h"

#define SEGMENT ((size_t)2048)

static inline bool is_soak(void)
{
    return getenv("TXKV_SOAK") != NULL;
}

struct scene {
    struct sim_disk disk;
    struct durable life;
    uint64_t first;      /* number of the first segment */
    uint64_t last;       /* of the last one in use */
    uint64_t batch;      /* the segment in which the last batch stands */
    uint64_t batch_at;   /* and where it begins */
    uint64_t before;     /* newest commit before that batch */
    uint64_t checkpoint; /* the newest one; 0: none */
    uint64_t older;      /* the one before */
};

static inline void scene_find_first(struct scene *s)
{
    char name[DISK_NAME_MAX];
    s->first = 0;
    do {
        log_name(++s->first, name);
    } while (sim_disk_bytes(&s->disk, name) == NULL);
}

/* A log of so many segments, behind two checkpoints or none, whose last batch has some commits. */
static inline void scene_init(struct scene *s, uint64_t segments, bool checkpoints, uint64_t seed)
{
    *s = (struct scene){0};
    sim_disk_init(&s->disk);
    durable_init(&s->life, &s->disk, (struct durable_shape){.segment_bytes = SEGMENT, .sync = true}, seed);
    cr_assert(durable_start(&s->life));
    if (checkpoints) {
        for (int n = 0; n < 3; n++) {
            s->older = s->checkpoint;
            do {
                cr_assert(durable_run(&s->life, 15));
            } while (s->life.store.keys < 8);
            cr_assert_eq(durable_checkpoint(&s->life), 0);
            s->checkpoint = s->life.checkpointed;
        }
        cr_assert_neq(s->older, 0);
    }
    uint64_t wanted = s->life.log.number + segments;
    while (s->life.log.number < wanted || append_size(&s->life.log.end) < SEGMENT / 2) {
        cr_assert(durable_run(&s->life, 1));
    }
    s->batch = s->life.log.number;
    s->batch_at = append_size(&s->life.log.end);
    s->before = s->life.acknowledged;
    while (s->life.store.seq < s->before + 2) {
        cr_assert(durable_commit(&s->life));
    }
    durable_write(&s->life);
    s->batch_at = s->life.log.number == s->batch ? s->batch_at : 0; /* it began a segment */
    s->batch = s->life.log.number;
    durable_make(&s->life);
    s->last = s->life.log.number;
    scene_find_first(s);
    uint64_t newest = s->life.acknowledged;
    durable_kill(&s->life);
    struct durable_look look = durable_look(&s->disk, &s->life.past);
    cr_assert(look.result == RECOVER_CLEAN && look.right && look.found.last == newest);
}

static inline void scene_deinit(struct scene *s)
{
    durable_deinit(&s->life);
    sim_disk_deinit(&s->disk);
}

/* A server starts on a copy of the damaged disk, which must come to commit `seq`, and goes on: what it does then is there after
 * a further start. `repair`: what is lost is given up. NULL, or what went wrong. saved: where not NULL, a file that the start must
 * leave; what is cut must not be gone. */
static inline const char *scene_go_on(struct scene *s, uint64_t seq, bool repair, const char *saved)
{
    struct sim_disk copy;
    struct durable life;
    struct past past;
    const char *wrong = NULL;
    sim_disk_copy(&copy, &s->disk.disk);
    past_init(&past, seq, past_at(&s->life.past, seq));
    durable_init_on(&life, &copy, s->life.shape, 99, &past, seq);
    if (!(repair ? durable_repair(&life) : durable_start(&life))) {
        wrong = "it does not start";
    } else if (saved != NULL && sim_disk_bytes(&copy, saved) == NULL) {
        wrong = "what was cut is not kept";
    } else if (!durable_run(&life, 3)) {
        wrong = "it does not go on";
    } else {
        durable_kill(&life);
        struct durable_look look = durable_look(&copy, &life.past);
        bool right = look.result == RECOVER_CLEAN && look.right && look.found.last >= life.acknowledged;
        wrong = right ? NULL : "what was written on is not there after another start";
    }
    durable_deinit(&life);
    sim_disk_deinit(&copy);
    return wrong;
}

/* The newest checkpoint, of this name, is damaged in the way that `how` and `at` tell of: the one before it serves all the same. With
 * `on`, a server goes on from there, and keeps the damaged one. */
static inline void scene_check_older_serves(struct scene *s, const char *name, bool on, const char *how, size_t at)
{
    char saved[2 * DISK_NAME_MAX];
    struct durable_look look = durable_look(&s->disk, &s->life.past);
    snprintf(saved, sizeof(saved), "saved-%s", name);
    cr_assert(look.result == RECOVER_CLEAN && look.right && look.found.last == s->life.past.newest &&
                  look.found.checkpoint == s->older,
              "%s %zu: result %d, commit %lu, checkpoint %lu; %s", how, at, (int)look.result, (unsigned long)look.found.last,
              (unsigned long)look.found.checkpoint, look.found.problem);
    cr_assert_eq(look.found.damaged_count, 1);
    const char *wrong = on ? scene_go_on(s, look.found.last, false, saved) : NULL;
    cr_assert(wrong == NULL, "%s %zu: %s", how, at, wrong);
}

#endif
