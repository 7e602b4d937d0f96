/* recover: what is believed of what lies in a directory, and what is refused. Damage of every byte and bit: test_truncation.c,
 * test_bit_flip.c; losses of power: test_power_loss.c. */
#include <errno.h>
#include <string.h>

#include "files.h"
#include "le.h"

#define LOG1 "log-0000000000000001"
#define LOG2 "log-0000000000000002"
#define LOG3 "log-0000000000000003"

/* Segments of two commits each: a=<tag>1, b=<tag>2, and so on. */
static void make_log(struct sim_disk *disk, const char *tag, int commits)
{
    struct log log;
    sim_disk_init(disk);
    log_begin_on(&log, disk);
    for (int i = 0; i < commits; i++) {
        char key[2] = {(char)('a' + i), '\0'};
        char value[16];
        snprintf(value, sizeof(value), "%s%d", tag, i + 1);
        cr_assert_eq(log_put(&log, key, value, i % 2 == 0, true), 0);
    }
    log_close(&log);
}

/* The place of the nth record of a segment, from 0, and how long it is. */
static char *record_at(struct sim_disk *disk, const char *name, unsigned nth, size_t *size)
{
    struct sim_bytes *b = sim_disk_bytes(disk, name);
    char *at = b->data + FILE_HEADER_BYTES;
    for (;; at += *size) {
        *size = RECORD_HEADER_BYTES + le_get32(at + 8);
        if (nth-- == 0) {
            return at;
        }
    }
}

static void swap_file(struct sim_disk *a, struct sim_disk *b, const char *name)
{
    struct sim_bytes *x = sim_disk_bytes(a, name);
    struct sim_bytes *y = sim_disk_bytes(b, name);
    struct sim_bytes kept = *x;
    *x = *y;
    *y = kept;
}

static void remove_file(struct sim_disk *disk, const char *name)
{
    cr_assert_eq(disk->disk.ops->remove(&disk->disk, name), 0);
}

static void assert_says(const struct found *f, const char *words)
{
    cr_assert_not_null(strstr(f->recovery.problem, words), "\"%s\" does not say \"%s\"", f->recovery.problem, words);
}

/* --- how far it is --- */

struct told {
    struct found f; /* first: it is the sink's argument too */
    unsigned times;
    uint64_t bytes;
    uint64_t of_bytes;
};

static void on_told(void *arg, uint64_t bytes, uint64_t of_bytes)
{
    struct told *t = arg;
    cr_assert(bytes > t->bytes && bytes <= of_bytes, "%lu of %lu bytes", (unsigned long)bytes, (unsigned long)of_bytes);
    cr_assert(t->times == 0 || of_bytes == t->of_bytes, "%lu bytes in all, and then %lu", (unsigned long)t->of_bytes,
              (unsigned long)of_bytes);
    t->bytes = bytes;
    t->of_bytes = of_bytes;
    t->times++;
}

/* Of the whole log from the first commit on: else there would never be any time left. */
Test(recover, progress_is_of_all_segments)
{
    struct sim_disk disk;
    struct told t = {.times = 0};
    const struct recover_sink sink = {found_reset, found_part, found_commit, on_told, &t};
    make_log(&disk, "x", 6);
    cr_assert_eq(recover_read(&disk.disk, &sink, &t.f.recovery), RECOVER_CLEAN);
    cr_assert_eq(t.times, 6);
    cr_assert_eq(t.of_bytes, 3 * FILES_SEGMENT);
    sim_disk_deinit(&disk);
}

/* --- what there is --- */

Test(recover_read, of_an_empty_directory)
{
    struct sim_disk disk;
    struct found f;
    struct log log = {.segment_bytes = FILES_SEGMENT};
    sim_disk_init(&disk);
    find(&f, &disk);
    assert_found(&f, RECOVER_CLEAN, "");
    cr_assert(f.recovery.id == 0 && f.recovery.last == 0 && !f.recovery.has_checkpoint && f.recovery.segment == 0);
    cr_assert_eq(recover_settle(&disk.disk, &f.recovery, &log), 0);
    cr_assert(log.number == 0 && log.last == 0 && log.end.file == -1 && log.segment_bytes == FILES_SEGMENT);
    sim_disk_deinit(&disk);
}

Test(recover_read, of_a_checkpoint_alone)
{
    struct sim_disk disk;
    struct found f;
    struct log log = {.segment_bytes = FILES_SEGMENT};
    sim_disk_init(&disk);
    cr_assert_eq(checkpoint_put(&disk, 9, "a", "1"), 0);
    find(&f, &disk);
    assert_found(&f, RECOVER_CLEAN, "part 9: a=1; ");
    cr_assert_eq(recover_settle(&disk.disk, &f.recovery, &log), 0);
    cr_assert(log.last == 9 && log.synced == 9 && log.id == FILES_ID);
    cr_assert_eq(log_put(&log, "b", "2", true, true), 0);
    log_close(&log);
    find(&f, &disk);
    assert_found(&f, RECOVER_CLEAN, "part 9: a=1; commit 10: b=2; ");
    sim_disk_deinit(&disk);
}

struct calls {
    uint64_t last;
    unsigned count;
};

static int note(void *arg, uint64_t seq, struct slice payload)
{
    struct calls *c = arg;
    (void)payload;
    c->last = seq;
    c->count++;
    return 0;
}

/* The sink learns of its commit, or the store would go on from 0. */
Test(recover_read, of_a_checkpoint_without_keys)
{
    struct sim_disk disk;
    struct calls calls = {0};
    struct recovery found;
    const struct recover_sink sink = {found_reset, note, note, NULL, &calls};
    sim_disk_init(&disk);
    cr_assert_eq(checkpoint_put(&disk, 9, NULL, NULL), 0);
    cr_assert_eq(recover_read(&disk.disk, &sink, &found), RECOVER_CLEAN);
    cr_assert(calls.count == 1 && calls.last == 9);
    sim_disk_deinit(&disk);
}

Test(recover_read, applies_only_what_is_behind_the_checkpoint)
{
    struct sim_disk disk;
    struct found f;
    make_log(&disk, "", 6);
    cr_assert_eq(checkpoint_put(&disk, 3, "k", "v"), 0);
    find(&f, &disk);
    assert_found(&f, RECOVER_CLEAN, "part 3: k=v; commit 4: d=4; commit 5: e=5; commit 6: f=6; ");
    cr_assert(f.recovery.commits == 3 && f.recovery.last == 6 && f.recovery.segment == 3);
    sim_disk_deinit(&disk);
}

Test(recover_read, takes_no_notice_of_other_files)
{
    static const char *const names[] = {
        "lock", "saved-log-0000000000000007", "log-next.tmp", "checkpoint.tmp", "checkpoint-77", "notes.txt"};
    struct sim_disk disk;
    struct found f;
    make_log(&disk, "", 2);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        int file = disk.disk.ops->open(&disk.disk, names[i], DISK_CREATE);
        cr_assert_eq(disk_write_all(&disk.disk, file, "what is this?", 13, 0), 0);
        disk.disk.ops->close(&disk.disk, file);
    }
    find(&f, &disk);
    assert_found(&f, RECOVER_CLEAN, "commit 1: a=1; commit 2: b=2; ");
    struct log log = {.segment_bytes = FILES_SEGMENT};
    cr_assert_eq(recover_settle(&disk.disk, &f.recovery, &log), 0);
    cr_assert(sim_disk_bytes(&disk, "notes.txt") != NULL && sim_disk_bytes(&disk, "lock") != NULL &&
              sim_disk_bytes(&disk, "saved-log-0000000000000007") != NULL);
    cr_assert(sim_disk_bytes(&disk, "log-next.tmp") == NULL && sim_disk_bytes(&disk, "checkpoint.tmp") == NULL,
              "not finished");
    sim_disk_deinit(&disk);
}

/* --- what is missing --- */

Test(recover_read, refuses_a_log_without_its_beginning)
{
    struct sim_disk disk;
    struct found f;
    make_log(&disk, "", 6);
    remove_file(&disk, LOG1);
    find(&f, &disk);
    assert_found(&f, RECOVER_DAMAGED, "");
    assert_says(&f, "commits are missing");
    sim_disk_deinit(&disk);
}

Test(recover_read, refuses_a_log_without_its_middle)
{
    struct sim_disk disk;
    struct found f;
    make_log(&disk, "", 6);
    remove_file(&disk, LOG2);
    find(&f, &disk);
    assert_found(&f, RECOVER_DAMAGED, "commit 1: a=1; commit 2: b=2; ");
    assert_says(&f, "missing");
    sim_disk_deinit(&disk);
}

Test(recover_read, needs_no_segment_before_the_checkpoint)
{
    struct sim_disk disk;
    struct found f;
    make_log(&disk, "", 6);
    cr_assert_eq(checkpoint_put(&disk, 4, "k", "v"), 0);
    remove_file(&disk, LOG2);
    find(&f, &disk);
    assert_found(&f, RECOVER_CLEAN, "part 4: k=v; commit 5: e=5; commit 6: f=6; ");
    sim_disk_deinit(&disk);
}

Test(recover_read, refuses_a_log_that_ends_before_the_checkpoint)
{
    struct sim_disk disk;
    struct found f;
    make_log(&disk, "", 4);
    cr_assert_eq(checkpoint_put(&disk, 5, "k", "v"), 0);
    find(&f, &disk);
    cr_assert_eq(f.result, RECOVER_DAMAGED);
    assert_says(&f, "there is a checkpoint of commit 5");
    sim_disk_deinit(&disk);
}

/* --- what is of another life: its checks hold, and its sequence numbers fit --- */

/* The same commits with other values, under the same id, so that only the chain tells them apart. */
static void two_lives(struct sim_disk *one, struct sim_disk *other)
{
    make_log(one, "x", 4);
    make_log(other, "y", 4);
}

Test(recover_read, refuses_a_record_of_another_life)
{
    struct sim_disk one;
    struct sim_disk other;
    struct found f;
    size_t size;
    two_lives(&one, &other);
    const char *from = record_at(&other, LOG1, 1, &size);
    memcpy(record_at(&one, LOG1, 1, &size), from, size);
    find(&f, &one);
    assert_found(&f, RECOVER_DAMAGED, "commit 1: a=x1; ");
    sim_disk_deinit(&one);
    sim_disk_deinit(&other);
}

Test(recover_read, cuts_a_record_of_another_life_at_the_end)
{
    struct sim_disk one;
    struct sim_disk other;
    struct found f;
    size_t size;
    two_lives(&one, &other);
    const char *from = record_at(&other, LOG2, 1, &size);
    memcpy(record_at(&one, LOG2, 1, &size), from, size);
    find(&f, &one);
    assert_found(&f, RECOVER_TORN, "commit 1: a=x1; commit 2: b=x2; commit 3: c=x3; ");
    cr_assert_eq(f.recovery.tail_bytes, size);
    sim_disk_deinit(&one);
    sim_disk_deinit(&other);
}

Test(recover_read, refuses_a_segment_of_another_life)
{
    struct sim_disk one;
    struct sim_disk other;
    struct found f;
    two_lives(&one, &other);
    swap_file(&one, &other, LOG2);
    find(&f, &one);
    assert_found(&f, RECOVER_DAMAGED, "commit 1: a=x1; commit 2: b=x2; ");
    assert_says(&f, "does not continue the segment before it");
    sim_disk_deinit(&one);
    sim_disk_deinit(&other);
}

Test(recover_read, refuses_a_segment_under_another_number)
{
    struct sim_disk disk;
    struct found f;
    make_log(&disk, "", 2);
    cr_assert_eq(disk.disk.ops->rename(&disk.disk, LOG1, LOG3), 0);
    find(&f, &disk);
    cr_assert_neq(f.result, RECOVER_CLEAN);
    cr_assert_str_eq(f.text, "");
    sim_disk_deinit(&disk);
}

Test(recover_read, refuses_files_of_another_directory)
{
    struct sim_disk disk;
    struct sim_disk other;
    struct found f;
    struct log log;
    make_log(&disk, "", 4);
    sim_disk_init(&other);
    log_begin_on(&log, &other);
    log.id = FILES_ID + 1;
    for (int i = 0; i < 4; i++) {
        cr_assert_eq(log_put(&log, "k", "other", i % 2 == 0, true), 0);
    }
    log_close(&log);
    swap_file(&disk, &other, LOG1);
    find(&f, &disk);
    cr_assert(f.result == RECOVER_DAMAGED || f.result == RECOVER_FAILED);
    cr_assert_eq(checkpoint_put(&other, 2, "k", "v"), 0);
    find(&f, &other);
    cr_assert_eq(f.result, RECOVER_FAILED);
    assert_says(&f, "another server's directory");
    sim_disk_deinit(&other);
    sim_disk_deinit(&disk);
}

/* --- what else fails --- */

static int no_memory(void *arg, uint64_t seq, struct slice payload)
{
    (void)arg;
    (void)seq;
    (void)payload;
    return -1;
}

Test(recover_read, says_when_there_is_no_memory)
{
    struct sim_disk disk;
    struct found f = {0};
    struct recovery found;
    const struct recover_sink no_part = {found_reset, no_memory, found_commit, NULL, &f};
    const struct recover_sink no_commit = {found_reset, found_part, no_memory, NULL, &f};
    make_log(&disk, "", 2);
    cr_assert_eq(recover_read(&disk.disk, &no_commit, &found), RECOVER_FAILED);
    cr_assert_not_null(strstr(found.problem, "no memory"));
    cr_assert_eq(checkpoint_put(&disk, 1, "k", "v"), 0);
    cr_assert_eq(recover_read(&disk.disk, &no_part, &found), RECOVER_FAILED);
    sim_disk_deinit(&disk);
}

static void tear_tail(struct sim_disk *disk)
{
    size_t size;
    record_at(disk, LOG3, 1, &size)[RECORD_HEADER_BYTES] ^= 1;
}

static void damage_checkpoint(struct sim_disk *disk)
{
    sim_disk_bytes(disk, "checkpoint-0000000000000002")->data[80] ^= 1;
}

static void damage_middle(struct sim_disk *disk)
{
    size_t size;
    record_at(disk, LOG2, 0, &size)[RECORD_HEADER_BYTES] ^= 1;
}

/* Of the first write to a segment nothing but half of the header was done. */
static void tear_header(struct sim_disk *disk)
{
    struct sim_bytes *b = sim_disk_bytes(disk, LOG3);
    memset(b->data + 30, 0, b->size - 30);
}

/* That the disk does not give what it has says nothing of what it has: no operation that fails is taken for damage, whatever else is
 * wrong. */
Test(recover_read, takes_no_failure_for_damage)
{
    static void (*const wrongs[])(struct sim_disk *) = {NULL, tear_tail, damage_checkpoint, damage_middle, tear_header};
    for (size_t i = 0; i < sizeof(wrongs) / sizeof(wrongs[0]); i++) {
        struct sim_disk disk;
        struct found f;
        make_log(&disk, "", 6);
        cr_assert(checkpoint_put(&disk, 1, "k", "v") == 0 && checkpoint_put(&disk, 2, "k", "w") == 0);
        if (wrongs[i] != NULL) {
            wrongs[i](&disk);
        }
        for (uint64_t nth = 1;; nth++) {
            disk.ops = 0;
            disk.failed = 0;
            disk.plan = (struct sim_plan){.nth = nth, .how = SIM_EIO};
            find(&f, &disk);
            if (disk.failed == 0) {
                cr_assert_gt(nth, 20);
                break;
            }
            cr_assert(f.result == RECOVER_FAILED || disk.failed_op == SIM_CLOSE,
                      "case %zu, operation %lu: result %d; %s", i, (unsigned long)nth, (int)f.result,
                      f.recovery.problem);
        }
        sim_disk_deinit(&disk);
    }
}

/* --- settling --- */

Test(recover_settle, keeps_what_it_cuts)
{
    struct sim_disk disk;
    struct found f;
    struct log log = {.segment_bytes = FILES_SEGMENT};
    size_t size;
    char kept[256];
    make_log(&disk, "", 2);
    char *record = record_at(&disk, LOG1, 1, &size);
    record[size - 1] ^= 1;
    memcpy(kept, record, size);
    find(&f, &disk);
    assert_found(&f, RECOVER_TORN, "commit 1: a=1; ");
    cr_assert_eq(recover_settle(&disk.disk, &f.recovery, &log), 0);
    cr_assert(sim_disk_is_settled(&disk), "all of it is on disk");
    char name[DISK_NAME_MAX];
    snprintf(name, sizeof(name), "saved-" LOG1 "-%lx", (unsigned long)f.recovery.segment_at);
    const struct sim_bytes *saved = sim_disk_bytes(&disk, name);
    cr_assert_not_null(saved);
    cr_assert(saved->size == size && memcmp(saved->data, kept, size) == 0);
    cr_assert(log.number == 1 && log.last == 1);
    cr_assert_eq(log_put(&log, "c", "2", true, true), 0);
    log_close(&log);
    find(&f, &disk);
    assert_found(&f, RECOVER_CLEAN, "commit 1: a=1; commit 2: c=2; ");
    sim_disk_deinit(&disk);
}

/* Half a copy would look as if something had been kept. */
Test(recover_settle, leaves_no_copy_that_is_not_whole)
{
    for (uint64_t nth = 1;; nth++) {
        struct sim_disk disk;
        struct found f;
        struct log log = {.segment_bytes = FILES_SEGMENT};
        size_t size;
        char name[DISK_NAME_MAX];
        make_log(&disk, "", 2);
        record_at(&disk, LOG1, 1, &size)[size - 1] ^= 1;
        find(&f, &disk);
        snprintf(name, sizeof(name), "saved-" LOG1 "-%lx", (unsigned long)f.recovery.segment_at);
        disk.plan = (struct sim_plan){.nth = disk.ops + nth, .how = SIM_ENOSPC};
        int rc = recover_settle(&disk.disk, &f.recovery, &log);
        uint64_t failed = disk.failed;
        bool is_cut = sim_disk_bytes(&disk, LOG1)->size == f.recovery.segment_at;
        const struct sim_bytes *saved = sim_disk_bytes(&disk, name);
        cr_assert(saved == NULL || saved->size == size, "operation %lu: half a copy is left", (unsigned long)nth);
        cr_assert(saved != NULL || !is_cut, "operation %lu: cut without a copy", (unsigned long)nth);
        cr_assert(failed == 0 || rc < 0 || disk.failed_op == SIM_CLOSE || disk.failed_op == SIM_REMOVE, "operation %lu: not noticed",
                  (unsigned long)nth);
        sim_disk_deinit(&disk);
        if (failed == 0) {
            break;
        }
    }
}

Test(recover_settle, puts_a_damaged_checkpoint_aside)
{
    struct sim_disk disk;
    struct found f;
    struct log log = {.segment_bytes = FILES_SEGMENT};
    make_log(&disk, "", 4);
    cr_assert_eq(checkpoint_put(&disk, 2, "k", "v"), 0);
    cr_assert_eq(checkpoint_put(&disk, 3, "k", "w"), 0);
    sim_disk_bytes(&disk, "checkpoint-0000000000000003")->data[100] ^= 1;
    find(&f, &disk);
    assert_found(&f, RECOVER_CLEAN, "part 2: k=v; commit 3: c=3; commit 4: d=4; ");
    cr_assert(f.recovery.damaged_count == 1 && f.recovery.damaged[0] == 3);
    cr_assert_eq(recover_settle(&disk.disk, &f.recovery, &log), 0);
    cr_assert(sim_disk_bytes(&disk, "saved-checkpoint-0000000000000003") != NULL &&
              sim_disk_bytes(&disk, "checkpoint-0000000000000003") == NULL);
    cr_assert(sim_disk_is_settled(&disk), "all of it is on disk");
    find(&f, &disk);
    assert_found(&f, RECOVER_CLEAN, "part 2: k=v; commit 3: c=3; commit 4: d=4; ");
    cr_assert_eq(f.recovery.damaged_count, 0);
    sim_disk_deinit(&disk);
}

Test(recover_settle, removes_segments_made_ahead)
{
    struct sim_disk disk;
    struct found f;
    struct log log;
    make_log(&disk, "", 2);
    log_begin_on(&log, &disk);
    cr_assert_eq(log_make(&log, 2), 0);
    find(&f, &disk);
    assert_found(&f, RECOVER_CLEAN, "commit 1: a=1; commit 2: b=2; ");
    cr_assert_eq(recover_settle(&disk.disk, &f.recovery, &log), 0);
    cr_assert_null(sim_disk_bytes(&disk, LOG2));
    cr_assert(sim_disk_is_settled(&disk));
    cr_assert_eq(log.number, 1);
    sim_disk_deinit(&disk);
}
