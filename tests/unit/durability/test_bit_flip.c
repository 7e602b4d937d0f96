/* One bit of a file is wrong. Of the log: the start is refused; or, where the bit is in the last synced batch or behind it, that is
 * cut, kept aside and reported; or nothing of the data differs. Of a checkpoint: the one before it and the log stand in. */
#include "damage.h"

struct counts {
    unsigned long refused;
    unsigned long cut;
    unsigned long harmless;
};

/* Where a bit of the log lies: before what was synced last, or from there on. */
static bool is_behind(const struct scene *s, uint64_t number, size_t at)
{
    return number > s->batch || (number == s->batch && at >= s->batch_at);
}

static void judge(struct scene *s, uint64_t number, size_t at, struct counts *counts)
{
    struct durable_look look = durable_look(&s->disk, &s->life.past);
    uint64_t newest = s->life.past.newest;
    char saved[2 * DISK_NAME_MAX];
    const char *wrong = NULL;
    switch (look.result) {
    case RECOVER_CLEAN:
        counts->harmless++;
        wrong = look.right && look.found.last == newest ? NULL : "believed, with other data";
        break;
    case RECOVER_TORN:
        counts->cut++;
        snprintf(saved, sizeof(saved), look.found.segment_at > 0 ? "saved-log-%016lx-%lx" : "saved-log-%016lx",
                 (unsigned long)look.found.segment, (unsigned long)look.found.segment_at);
        wrong = !is_behind(s, number, at)                    ? "cut before the last synced batch"
                : !look.right || look.found.last < s->before ? "cut too early"
                : look.found.problem[0] == '\0' || look.found.tail_bytes == 0
                    ? "cut without a report"
                    : scene_go_on(s, look.found.last, false, saved);
        break;
    case RECOVER_DAMAGED:
    case RECOVER_FAILED:
        counts->refused++;
        wrong = look.found.problem[0] == '\0' ? "refused without a reason" : NULL;
        break;
    }
    cr_assert(wrong == NULL, "segment %lu, byte %zu: %s (commit %lu of %lu; %s)", (unsigned long)number, at, wrong,
              (unsigned long)look.found.last, (unsigned long)newest, look.found.problem);
}

/* Every bit of the log, and of the segment made ahead; or one of so many. */
static struct counts flip_log(struct scene *s, size_t one_of)
{
    struct counts counts = {0};
    for (uint64_t number = s->first; number <= s->life.made; number++) {
        char name[DISK_NAME_MAX];
        log_name(number, name);
        char *bytes = sim_disk_bytes(&s->disk, name)->data;
        for (size_t bit = 0; bit < 8 * sim_disk_bytes(&s->disk, name)->size; bit += one_of) {
            bytes[bit / 8] = (char)(bytes[bit / 8] ^ (1 << bit % 8));
            judge(s, number, bit / 8, &counts);
            bytes[bit / 8] = (char)(bytes[bit / 8] ^ (1 << bit % 8));
        }
    }
    cr_log_info("%lu bits: %lu refused, %lu cut, %lu harmless", counts.refused + counts.cut + counts.harmless,
                counts.refused, counts.cut, counts.harmless);
    return counts;
}

Test(bit_flip, of_a_log)
{
    struct scene s;
    scene_init(&s, is_soak() ? 31 : 1, false, 3);
    struct counts counts = flip_log(&s, 1);
    cr_assert(counts.refused > 1000 && counts.cut > 1000);
    scene_deinit(&s);
}

/* A marker makes damage before it known for what it is: no commit is lost without a refusal. */
Test(bit_flip, of_a_log_with_a_marker)
{
    struct scene s;
    scene_init(&s, 1, false, 4);
    cr_assert(durable_start(&s.life));
    cr_assert(durable_run(&s.life, 3));
    s.batch = s.life.log.number;
    s.batch_at = append_size(&s.life.log.end);
    s.before = s.life.acknowledged;
    durable_mark(&s.life);
    cr_assert_eq(append_size(&s.life.log.end), s.batch_at + RECORD_HEADER_BYTES);
    durable_make(&s.life);
    s.last = s.life.log.number;
    durable_kill(&s.life);
    struct counts counts = flip_log(&s, is_soak() ? 1 : 7);
    cr_assert_gt(counts.refused, 1000);
    scene_deinit(&s);
}

Test(bit_flip, of_a_log_behind_checkpoints)
{
    struct scene s;
    scene_init(&s, is_soak() ? 8 : 1, true, 5);
    struct counts counts = flip_log(&s, is_soak() ? 1 : 7);
    cr_assert(counts.refused > 1000 && counts.cut > 1000 && counts.harmless > 1000);
    scene_deinit(&s);
}

Test(bit_flip, of_the_newest_checkpoint)
{
    struct scene s;
    char name[DISK_NAME_MAX];
    scene_init(&s, 1, true, 6);
    checkpoint_name(s.checkpoint, name);
    struct sim_bytes *b = sim_disk_bytes(&s.disk, name);
    for (size_t bit = 0; bit < 8 * b->size; bit += is_soak() ? 1 : 3) {
        b->data[bit / 8] = (char)(b->data[bit / 8] ^ (1 << bit % 8));
        scene_check_older_serves(&s, name, bit % 16 == 0, "bit", bit);
        b->data[bit / 8] = (char)(b->data[bit / 8] ^ (1 << bit % 8));
    }
    scene_deinit(&s);
}

/* Where both are damaged the log does not reach back any more: refused. */
Test(bit_flip, of_both_checkpoints)
{
    struct scene s;
    char name[DISK_NAME_MAX];
    scene_init(&s, 1, true, 7);
    checkpoint_name(s.older, name);
    struct sim_bytes *b = sim_disk_bytes(&s.disk, name);
    b->data[b->size / 2] = (char)(b->data[b->size / 2] ^ 4);
    struct durable_look look = durable_look(&s.disk, &s.life.past);
    cr_assert(look.result == RECOVER_CLEAN && look.right && look.found.checkpoint == s.checkpoint,
              "the older one is not looked at");
    checkpoint_name(s.checkpoint, name);
    b = sim_disk_bytes(&s.disk, name);
    for (size_t at = 0; at < b->size; at += 16) {
        b->data[at] = (char)(b->data[at] ^ 1);
        look = durable_look(&s.disk, &s.life.past);
        cr_assert_eq(look.result, RECOVER_DAMAGED, "byte %zu: result %d, commit %lu", at, (int)look.result,
                     (unsigned long)look.found.last);
        cr_assert_eq(look.found.damaged_count, 2);
        b->data[at] = (char)(b->data[at] ^ 1);
    }
    scene_deinit(&s);
}
