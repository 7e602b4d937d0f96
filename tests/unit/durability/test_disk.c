/* disk and append: files in a real directory. What is written in whole pieces goes past the system's cache where the file system can
 * do that, and what is not, behind them, is the same file. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "append.h"
#include "rng.h"
#include "unit.h"

#define REST 1000 /* bytes that make no whole block */

struct fixture {
    char path[64];
    struct disk_dir dir;
    char *piece;
    int file;
};

static void fixture_init(struct fixture *f)
{
    strcpy(f->path, "disk-test-XXXXXX");
    cr_assert_not_null(mkdtemp(f->path));
    cr_assert_eq(disk_dir_open(&f->dir, f->path, false), 0);
    f->piece = disk_piece_make();
    cr_assert_not_null(f->piece);
    f->file = f->dir.disk.ops->open(&f->dir.disk, "new", DISK_CREATE);
    cr_assert_geq(f->file, 0);
}

static void fixture_deinit(struct fixture *f)
{
    cr_assert_eq(f->dir.disk.ops->close(&f->dir.disk, f->file), 0);
    cr_assert_eq(f->dir.disk.ops->remove(&f->dir.disk, "new"), 0);
    disk_dir_close(&f->dir);
    cr_assert_eq(rmdir(f->path), 0);
    free(f->piece);
}

static void write_next(struct fixture *f, char byte, size_t size, uint64_t *at)
{
    memset(f->piece, byte, size);
    cr_assert_eq(disk_write_all(&f->dir.disk, f->file, f->piece, size, *at), 0);
    *at += size;
}

static void assert_bytes(int fd, char byte, size_t size, off_t at)
{
    char *bytes = malloc(size);
    cr_assert_eq(pread(fd, bytes, size, at), (ssize_t)size);
    for (size_t i = 0; i < size; i++) {
        cr_assert_eq(bytes[i], byte, "byte %zu of the part at %jd", i, (intmax_t)at);
    }
    free(bytes);
}

Test(disk_dir, new_files_take_pieces_and_what_is_left)
{
    struct fixture f;
    uint64_t at = 0;
    uint64_t size;
    fixture_init(&f);
    write_next(&f, 'a', DISK_PIECE_BYTES, &at);
    write_next(&f, 'b', REST, &at);
    write_next(&f, 'c', REST, &at);
    cr_assert_eq(f.dir.disk.ops->sync(&f.dir.disk, f.file), 0);
    cr_assert(f.dir.disk.ops->size(&f.dir.disk, f.file, &size) == 0 && size == at);
    int fd = f.dir.disk.ops->open(&f.dir.disk, "new", DISK_READ);
    assert_bytes(fd, 'a', DISK_PIECE_BYTES, 0);
    assert_bytes(fd, 'b', REST, DISK_PIECE_BYTES);
    assert_bytes(fd, 'c', REST, DISK_PIECE_BYTES + REST);
    close(fd);
    fixture_deinit(&f);
}

/* The file system of the test may not be able to: then nothing is said here. */
Test(disk_dir, pieces_of_new_files_go_past_the_cache)
{
    struct fixture f;
    uint64_t at = 0;
    fixture_init(&f);
    int probe = open(f.path, O_TMPFILE | O_RDWR | O_DIRECT, 0600);
    bool can = probe >= 0 && pwrite(probe, f.piece, DISK_PIECE_BYTES, 0) == (ssize_t)DISK_PIECE_BYTES;
    write_next(&f, 'a', DISK_PIECE_BYTES, &at);
    bool does = (fcntl(f.file, F_GETFL) & O_DIRECT) != 0;
    cr_assert(does || !can, "the file system can write past the cache, and is not asked to");
    int old = f.dir.disk.ops->open(&f.dir.disk, "new", DISK_WRITE_DIRECT);
    cr_assert(fcntl(old, F_GETFL) & O_DIRECT || !can, "the same for a file that exists");
    close(old);
    if (probe >= 0) {
        close(probe);
    }
    fixture_deinit(&f);
}

/* --- writes that go on by themselves --- */

/* Whether this build, kernel and file system have them. */
static bool has_async(struct fixture *f)
{
    const struct disk_ops *ops = f->dir.disk.ops;
    bool has = ops->write_event(&f->dir.disk) >= 0;
    has = has && ops->begin_write(&f->dir.disk, f->file, f->piece, DISK_BLOCK_BYTES, 0, true) == 0;
    ssize_t rc = has ? ops->end_write(&f->dir.disk) : -ENOTSUP;
    return rc == (ssize_t)DISK_BLOCK_BYTES || rc == -EAGAIN;
}

static bool is_readable(int event, int timeout_ms)
{
    struct pollfd p = {.fd = event, .events = POLLIN};
    return poll(&p, 1, timeout_ms) == 1;
}

Test(disk_dir, a_write_that_goes_on_by_itself_says_when_it_has_ended)
{
    struct fixture f;
    uint64_t at = 0;
    fixture_init(&f);
    write_next(&f, 'a', DISK_PIECE_BYTES, &at); /* blocks that exist */
    const struct disk_ops *ops = f.dir.disk.ops;
    if (has_async(&f)) {
        int event = ops->write_event(&f.dir.disk);
        size_t size = 2 * DISK_BLOCK_BYTES;
        for (int i = 0; i < 4; i++) {
            memset(f.piece, 'b' + i, size);
            cr_assert_not(is_readable(event, 0), "before it has begun");
            ssize_t rc = ops->begin_write(&f.dir.disk, f.file, f.piece, size, (uint64_t)i * size, i % 2 == 0);
            if (rc == 0) {
                cr_assert(is_readable(event, 10000), "it has not ended");
                rc = ops->end_write(&f.dir.disk);
            }
            if (rc == -EAGAIN) { /* it may say so at any time: XFS does where it has to take note of a new time */
                cr_assert_eq(disk_write_all(&f.dir.disk, f.file, f.piece, size, (uint64_t)i * size), 0);
                continue;
            }
            cr_assert_eq(rc, (ssize_t)size);
        }
        int fd = ops->open(&f.dir.disk, "new", DISK_READ); /* what was read through the cache cannot be written without waiting */
        for (int i = 0; i < 4; i++) {
            assert_bytes(fd, (char)('b' + i), size, (off_t)i * (off_t)size);
        }
        close(fd);
    }
    fixture_deinit(&f);
}

/* What would be done before begin_write comes back, or cannot be done so, is refused, and nothing of it is done. */
Test(disk_dir, what_cannot_go_on_by_itself_is_refused)
{
    struct fixture f;
    uint64_t at = 0;
    fixture_init(&f);
    write_next(&f, 'a', DISK_PIECE_BYTES, &at);
    const struct disk_ops *ops = f.dir.disk.ops;
    bool has = has_async(&f);
    memset(f.piece, 'b', DISK_PIECE_BYTES);
    int through_cache = ops->open(&f.dir.disk, "new", DISK_WRITE);
    cr_assert_eq(ops->begin_write(&f.dir.disk, through_cache, f.piece, DISK_BLOCK_BYTES, 0, true), -ENOTSUP);
    if (has) {
        ssize_t rc = ops->begin_write(&f.dir.disk, f.file, f.piece, DISK_BLOCK_BYTES + 1, DISK_BLOCK_BYTES, true);
        rc = rc < 0 ? rc : ops->end_write(&f.dir.disk);
        cr_assert(rc == -ENOTSUP || rc == -EAGAIN, "no whole blocks: %zd", rc);
    }
    assert_bytes(through_cache, 'a', DISK_PIECE_BYTES - DISK_BLOCK_BYTES, DISK_BLOCK_BYTES);
    close(through_cache);
    fixture_deinit(&f);
}

/* --- append --- */

/* In one of both ways. */
static void flush(struct append *a, uint64_t end, bool async)
{
    int rc = async ? append_flush_begin(a, end, true) : -EAGAIN;
    rc = rc == 0 ? append_flush_end(a) : rc;
    if (rc == -EAGAIN || rc == -ENOTSUP) {
        rc = append_flush(a, end);
    }
    cr_assert_eq(rc, 0);
}

/* All that was added stands in the file after each flush, behind it zeros to the end of a block at most, and nothing beyond `end`. */
static void assert_appended(struct fixture *f, const char *all, size_t size, size_t end)
{
    uint64_t there;
    size_t padded = (size + DISK_BLOCK_BYTES - 1) / DISK_BLOCK_BYTES * DISK_BLOCK_BYTES;
    cr_assert_eq(f->dir.disk.ops->size(&f->dir.disk, f->file, &there), 0);
    cr_assert_eq(there, padded < end ? padded : end);
    int fd = openat(f->dir.dir, "new", O_RDONLY);
    char *bytes = malloc(there + 1);
    cr_assert_eq(pread(fd, bytes, there + 1, 0), (ssize_t)there);
    cr_assert_eq(memcmp(bytes, all, size), 0, "what was appended");
    for (size_t i = size; i < there; i++) {
        cr_assert_eq(bytes[i], 0, "byte %zu behind the end", i);
    }
    free(bytes);
    close(fd);
}

static void append_at_random(size_t end, uint32_t most, uint64_t seed)
{
    struct fixture f;
    struct append a = {0};
    struct rng rng = {seed};
    char *all = malloc(end);
    size_t size = 0;
    fixture_init(&f);
    cr_assert_eq(append_begin(&a, &f.dir.disk, f.file), 0);
    while (size < end) {
        size_t more = 1 + rng_below(&rng, most);
        more = more < end - size ? more : end - size;
        for (size_t i = 0; i < more; i++) {
            all[size + i] = (char)(1 + rng_below(&rng, 255));
        }
        cr_assert_eq(append_add(&a, all + size, more), 0);
        size += more;
        cr_assert_eq(append_size(&a), size);
        if (rng_below(&rng, 2) == 0 || size == end) {
            flush(&a, end, f.dir.disk.ops->write_event(&f.dir.disk) >= 0 && rng_below(&rng, 2) == 0);
            assert_appended(&f, all, size, end);
        }
    }
    append_end(&a);
    free(all);
    fixture_deinit(&f);
}

Test(append, little_by_little)
{
    append_at_random(3 * DISK_BLOCK_BYTES, 300, 1);
}

Test(append, to_an_end_that_is_no_whole_block)
{
    append_at_random(2 * DISK_BLOCK_BYTES + 777, 500, 2);
    append_at_random(100, 30, 3);
}

Test(append, more_than_a_piece_at_once)
{
    append_at_random(4 * DISK_PIECE_BYTES + 5, 2 * (uint32_t)DISK_PIECE_BYTES, 4);
}
