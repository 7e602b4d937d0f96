/* A log that is cut at any byte recovers to the last commit that is whole, or is refused where something shows that more had been
 * on disk; then the server goes on. A checkpoint that is cut is passed over for the one before. */
#include "damage.h"

/* Cuts a file and what stands behind it: for the time of a test, as the bytes stay where they are. */
struct cut {
    struct sim_bytes *bytes;
    size_t size;
};

static struct cut cut(struct scene *s, const char *name, size_t size)
{
    struct cut c = {sim_disk_bytes(&s->disk, name), 0};
    c.size = c.bytes->size;
    c.bytes->size = size;
    return c;
}

static void restore(struct cut *c)
{
    c->bytes->size = c->size;
}

/* Removes segments behind number `after` from the scene's copy. */
static void copy_up_to(struct sim_disk *copy, struct scene *s, uint64_t after)
{
    sim_disk_copy(copy, &s->disk.disk);
    for (uint64_t number = after + 1; number <= s->life.made; number++) {
        char name[DISK_NAME_MAX];
        log_name(number, name);
        (void)copy->disk.ops->remove(&copy->disk, name);
    }
    (void)copy->disk.ops->sync_names(&copy->disk);
}

/* The newest commit that lies whole in the first `size` bytes of segment `number`. *used: how far its records go, markers too. */
static uint64_t whole_commits(struct scene *s, uint64_t number, size_t size, size_t *used)
{
    char name[DISK_NAME_MAX];
    struct record_header h;
    struct file_header header;
    uint32_t version;
    log_name(number, name);
    const struct sim_bytes *b = sim_disk_bytes(&s->disk, name);
    cr_assert_eq(file_header_read(&header, b->data, &version), FILE_HEADER_GOOD);
    uint64_t seq = header.seq;
    *used = FILE_HEADER_BYTES;
    while (*used + RECORD_HEADER_BYTES <= size && record_header_read(&h, b->data + *used, header.id)) {
        *used += RECORD_HEADER_BYTES + h.length;
        seq = *used <= size ? h.seq : seq;
    }
    return seq;
}

/* The rest of the log is gone: nothing shows that it was there, but for a checkpoint of a later commit. */
static void cut_the_end(struct scene *s)
{
    unsigned long damaged = 0;
    for (uint64_t number = s->first; number <= s->last; number++) {
        struct scene rest = *s;
        char name[DISK_NAME_MAX];
        log_name(number, name);
        copy_up_to(&rest.disk, s, number);
        for (size_t size = 0; size <= SEGMENT; size++) {
            size_t used;
            uint64_t seq = whole_commits(s, number, size, &used);
            bool refused = seq < s->checkpoint && (size >= FILE_HEADER_BYTES || number > s->first);
            uint64_t wanted = seq > s->checkpoint || refused ? seq : s->checkpoint;
            struct cut c = cut(&rest, name, size);
            struct durable_look look = durable_look(&rest.disk, &s->life.past);
            bool right = refused ? look.result == RECOVER_DAMAGED
                                 : (look.result == RECOVER_CLEAN || look.result == RECOVER_TORN) && look.right;
            cr_assert(right && look.found.last == wanted,
                      "segment %lu cut at %zu: result %d, commit %lu instead of %lu, data %s; %s",
                      (unsigned long)number, size, (int)look.result, (unsigned long)look.found.last,
                      (unsigned long)wanted, look.right ? "right" : "wrong", look.found.problem);
            cr_assert_eq(look.result == RECOVER_CLEAN, look.found.problem[0] == '\0');
            damaged += refused;
            const char *wrong = scene_go_on(&rest, refused ? s->checkpoint : wanted, refused, NULL);
            cr_assert(wrong == NULL, "segment %lu cut at %zu: %s", (unsigned long)number, size, wrong);
            restore(&c);
        }
        sim_disk_deinit(&rest.disk);
    }
    cr_assert_eq(damaged > 0, s->checkpoint > 0);
}

/* The rest of the log is there and shows that the cut was not its end. */
static void cut_a_hole(struct scene *s)
{
    for (uint64_t number = s->first; number < s->last; number++) {
        char name[DISK_NAME_MAX];
        log_name(number, name);
        size_t used;
        bool needed = whole_commits(s, number, SEGMENT, &used) > s->checkpoint;
        for (size_t size = 0; size < SEGMENT; size++) {
            struct cut c = cut(s, name, size);
            struct durable_look look = durable_look(&s->disk, &s->life.past);
            if (needed && size < used) {
                cr_assert_eq(look.result, RECOVER_DAMAGED, "segment %lu cut at %zu: result %d", (unsigned long)number,
                             size, (int)look.result);
                cr_assert(look.right);
                cr_assert_neq(look.found.problem[0], '\0');
                const char *wrong = scene_go_on(s, look.found.last, true, NULL);
                cr_assert(wrong == NULL, "segment %lu cut at %zu: %s", (unsigned long)number, size, wrong);
            } else {
                cr_assert(look.result == RECOVER_CLEAN && look.right && look.found.last == s->life.past.newest,
                          "segment %lu cut at %zu: result %d, commit %lu; %s", (unsigned long)number, size,
                          (int)look.result, (unsigned long)look.found.last, look.found.problem);
            }
            restore(&c);
        }
    }
}

Test(truncation, of_the_end_of_a_log)
{
    struct scene s;
    scene_init(&s, is_soak() ? 32 : 2, false, 3);
    cut_the_end(&s);
    scene_deinit(&s);
}

Test(truncation, of_the_end_of_a_log_behind_checkpoints)
{
    struct scene s;
    scene_init(&s, is_soak() ? 8 : 1, true, 4);
    cut_the_end(&s);
    scene_deinit(&s);
}

Test(truncation, in_the_middle_of_a_log)
{
    struct scene s;
    scene_init(&s, is_soak() ? 32 : 2, false, 5);
    cut_a_hole(&s);
    scene_deinit(&s);
}

/* At every byte. */
Test(truncation, of_the_newest_checkpoint)
{
    struct scene s;
    char name[DISK_NAME_MAX];
    scene_init(&s, 1, true, 6);
    checkpoint_name(s.checkpoint, name);
    size_t all = sim_disk_bytes(&s.disk, name)->size;
    for (size_t size = 0; size < all; size++) {
        struct cut c = cut(&s, name, size);
        scene_check_older_serves(&s, name, true, "cut at", size);
        restore(&c);
    }
    scene_deinit(&s);
}
