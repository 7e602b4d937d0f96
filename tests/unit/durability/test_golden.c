/* golden files: directories that earlier versions have written, one for each format, in tests/durability/golden. They load for
 * ever; a file of a later format is refused by its name. And what is written today is what the newest of them
 * is.
 *
 *      format-1   the first
 *      format-2   entries may end: d and f do
 *
 * A new format gets a directory of its own beside them, written by this program with TXKV_GOLDEN_WRITE=DIR. */
#include <stdlib.h>
#include <string.h>

#include "files.h"
#include "le.h"

#define FORMAT_1 TXKV_GOLDEN "/format-1"
#define FORMAT_2 TXKV_GOLDEN "/format-2"
#define D_ENDS UINT64_C(4102444800000) /* the year 2100 */
#define F_ENDS UINT64_C(4102444800123)

static void open_golden(struct sim_disk *disk, const char *path)
{
    struct disk_dir dir;
    cr_assert_eq(disk_dir_open(&dir, path, false), 0, "%s", path);
    sim_disk_copy(disk, &dir.disk);
    disk_dir_close(&dir);
    cr_assert_eq(disk->now.count, 3, "%s: %zu files", path, disk->now.count);
}

static void assert_loads(const char *path, const char *wanted)
{
    struct sim_disk disk;
    struct found f;
    open_golden(&disk, path);
    find(&f, &disk);
    assert_found(&f, RECOVER_CLEAN, wanted);
    cr_assert(f.recovery.id == FILES_ID && f.recovery.checkpoint_keys == 1 && f.recovery.last == 7 &&
              f.recovery.segment == 2);
    sim_disk_deinit(&disk);
}

static void assert_loads_from_log(const char *path, const char *wanted)
{
    struct sim_disk disk;
    struct found f;
    open_golden(&disk, path);
    cr_assert_eq(disk.disk.ops->remove(&disk.disk, "checkpoint-0000000000000004"), 0);
    find(&f, &disk);
    assert_found(&f, RECOVER_CLEAN, wanted);
    sim_disk_deinit(&disk);
}

/* A server goes on with them. */
static void assert_is_written_on(const char *path, const char *wanted)
{
    struct sim_disk disk;
    struct found f;
    struct log log = {.segment_bytes = FILES_SEGMENT};
    open_golden(&disk, path);
    find(&f, &disk);
    cr_assert_eq(recover_settle(&disk.disk, &f.recovery, &log), 0);
    cr_assert_eq(log_put(&log, "h", "8", true, true), 0);
    log_close(&log);
    find(&f, &disk);
    cr_assert_eq(f.result, RECOVER_CLEAN);
    cr_assert_not_null(strstr(f.text, wanted), "%s", f.text);
    sim_disk_deinit(&disk);
}

#define FIRST_COMMITS                                                                                                      \
    "commit 1: a=1; commit 2: b=2 c= -a; commit 3: a key with spaces=0123456789012345678901234567890123456789"             \
    "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789; "

Test(golden, format_1)
{
    assert_loads(FORMAT_1,
                 "part 4: d=4 token-1@1700000001; commit 5: token-2@1700000002 e=5; commit 6: -d; commit 7: f=6 g=7; ");
    assert_loads_from_log(FORMAT_1, FIRST_COMMITS
                          "commit 4: flush d=4 token-1@1700000001; commit 5: token-2@1700000002 e=5; commit 6: -d; "
                          "commit 7: f=6 g=7; ");
    assert_is_written_on(FORMAT_1, "commit 7: f=6 g=7; commit 8: h=8; ");
}

Test(golden, format_2)
{
    assert_loads(FORMAT_2, "part 4: d=4~4102444800000 token-1@1700000001; commit 5: token-2@1700000002 e=5; commit 6: -d; "
                           "commit 7: f=6~4102444800123 g=7; ");
    assert_loads_from_log(FORMAT_2, FIRST_COMMITS
                          "commit 4: flush d=4~4102444800000 token-1@1700000001; commit 5: token-2@1700000002 e=5; commit 6: -d; "
                          "commit 7: f=6~4102444800123 g=7; ");
    assert_is_written_on(FORMAT_2, "commit 7: f=6~4102444800123 g=7; commit 8: h=8; ");
}

/* Version 3, and a header that is right otherwise: not taken for damage, and nothing is put aside. */
Test(golden, a_later_format_is_refused_by_name)
{
    struct sim_disk disk;
    open_golden(&disk, FORMAT_2);
    for (size_t i = 0; i < disk.now.count; i++) {
        struct found f;
        const char *name = disk.now.list[i].name;
        struct sim_bytes *b = sim_disk_bytes(&disk, name);
        char kept[FILE_HEADER_BYTES];
        memcpy(kept, b->data, sizeof(kept));
        le_put32(b->data + 8, RECORD_FORMAT + 1);
        le_put64(b->data + 56, sim_disk_check(b->data, 56));
        find(&f, &disk);
        cr_assert_eq(f.result, RECOVER_FAILED, "%s: result %d", name, (int)f.result);
        cr_assert_not_null(strstr(f.recovery.problem, name), "%s", f.recovery.problem);
        cr_assert_not_null(strstr(f.recovery.problem, "format version 3 is unknown"), "%s", f.recovery.problem);
        cr_assert_not_null(strstr(f.recovery.problem, "which reads versions 1 to 2:"), "%s", f.recovery.problem);
        memcpy(b->data, kept, sizeof(kept));
    }
    sim_disk_deinit(&disk);
}

/* --- what is written today --- */

struct writing {
    struct log log;
    struct buf b;
    size_t start;
};

static void begin(struct writing *w, bool opens)
{
    static const char header[FILE_HEADER_BYTES];
    buf_init(&w->b);
    if (opens) {
        cr_assert_eq(log_make(&w->log, w->log.number + 1), 0);
        cr_assert_eq(buf_append(&w->b, header, sizeof(header)), 0);
    }
    w->start = buf_len(&w->b);
    cr_assert_eq(record_begin(&w->b, RECORD_COMMIT, w->log.last + 1), 0);
}

static void put_until(struct writing *w, const char *key, const char *value, uint64_t expires_at)
{
    cr_assert_eq(record_put(&w->b, slice_str(key), slice_str(value), expires_at), 0);
}

static void put(struct writing *w, const char *key, const char *value)
{
    put_until(w, key, value, 0);
}

static void end(struct writing *w)
{
    record_end(&w->b, w->start);
    int rc = log_write(&w->log, buf_head(&w->b), buf_len(&w->b), w->log.last + 1, w->start > 0, true, 1700000000);
    cr_assert_eq(rc, 0);
    buf_deinit(&w->b);
}

static void write_log(struct writing *w)
{
    begin(w, true);
    put(w, "a", "1");
    end(w);
    begin(w, false);
    put(w, "b", "2");
    put(w, "c", "");
    cr_assert_eq(record_delete(&w->b, S("a")), 0);
    end(w);
    cr_assert_eq(log_mark(&w->log), 0);
    begin(w, false);
    put(w, "a key with spaces",
        "0123456789012345678901234567890123456789"
        "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789");
    end(w);
    begin(w, true);
    cr_assert_eq(record_flush(&w->b), 0);
    put_until(w, "d", "4", D_ENDS);
    cr_assert_eq(record_outcome(&w->b, S("token-1"), 1700000001), 0);
    end(w);
    begin(w, false);
    cr_assert_eq(record_outcome(&w->b, S("token-2"), 1700000002), 0);
    put(w, "e", "5");
    end(w);
    begin(w, false);
    cr_assert_eq(record_delete(&w->b, S("d")), 0);
    end(w);
    begin(w, false);
    put_until(w, "f", "6", F_ENDS);
    put(w, "g", "7");
    end(w);
    cr_assert_eq(log_mark(&w->log), 0);
    log_close(&w->log);
}

static void write_checkpoint(struct sim_disk *disk)
{
    struct checkpoint c;
    struct buf b;
    buf_init(&b);
    cr_assert_eq(record_begin(&b, RECORD_PART, 4), 0);
    cr_assert(record_put(&b, S("d"), S("4"), D_ENDS) == 0 && record_outcome(&b, S("token-1"), 1700000001) == 0);
    record_end(&b, 0);
    size_t start = buf_len(&b);
    cr_assert(record_begin(&b, RECORD_END, 4) == 0 && record_count(&b, 1) == 0);
    record_end(&b, start);
    cr_assert_eq(checkpoint_begin(&c, &disk->disk, FILES_ID, 4, 1700000000), 0);
    cr_assert_eq(checkpoint_write(&c, buf_head(&b), buf_len(&b)), 0);
    cr_assert_eq(checkpoint_finish(&c), 0);
    buf_deinit(&b);
}

static void save(struct sim_disk *disk, const char *path)
{
    for (size_t i = 0; i < disk->now.count; i++) {
        char name[512];
        const struct sim_bytes *b = sim_disk_bytes(disk, disk->now.list[i].name);
        snprintf(name, sizeof(name), "%s/%s", path, disk->now.list[i].name);
        FILE *file = fopen(name, "w");
        cr_assert_not_null(file, "%s", name);
        cr_assert_eq(fwrite(b->data, 1, b->size, file), b->size);
        cr_assert_eq(fclose(file), 0);
    }
}

Test(golden, format_2_is_what_is_written_today)
{
    struct sim_disk disk;
    struct sim_disk golden;
    struct writing w;
    sim_disk_init(&disk);
    log_begin_on(&w.log, &disk);
    write_log(&w);
    write_checkpoint(&disk);
    if (getenv("TXKV_GOLDEN_WRITE") != NULL) {
        save(&disk, getenv("TXKV_GOLDEN_WRITE"));
    }
    open_golden(&golden, FORMAT_2);
    for (size_t i = 0; i < golden.now.count; i++) {
        const char *name = golden.now.list[i].name;
        const struct sim_bytes *wanted = sim_disk_bytes(&golden, name);
        const struct sim_bytes *wrote = sim_disk_bytes(&disk, name);
        cr_assert_not_null(wrote, "%s", name);
        cr_assert(wrote->size == wanted->size && memcmp(wrote->data, wanted->data, wanted->size) == 0, "%s differs",
                  name);
    }
    sim_disk_deinit(&golden);
    sim_disk_deinit(&disk);
}
