/* A full disk: reads are served, writes get ERR READONLY with nothing applied, and once there is space again they are taken. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "server_fixture.h"
#include "small_disk.h"
#include "wire.h"

#define DISK_BYTES ((size_t)4 << 20)
#define HEAL_MS 2000
#define VALUE_BYTES 10000
#define WRITES_MAX 200

static const char *const args[] = {"--tx-bytes", "64K", "--value-max", "16K", "--log-segment-bytes", "128K", NULL};

struct fixture {
    struct server server;
    struct client client;
    int acknowledged; /* keys 0 .. acknowledged-1 are there */
};

static void start(struct fixture *f)
{
    const char *all[16] = {"--data", check_path("disk/data")};
    memcpy(all + 2, args, sizeof(args));
    server_start_with(&f->server, &(struct server_setup){.args = all, .on_data = true});
    client_open(&f->client, &f->server);
}

static void start_on_small_disk(struct fixture *f)
{
    small_disk_mount(DISK_BYTES);
    start(f);
}

static void stop(struct fixture *f)
{
    client_close(&f->client);
    server_stop(&f->server);
}

static void add_set(struct text *t, int key)
{
    text_add_line(t, (char)('a' + key % 26), VALUE_BYTES, "SET key%d ", key);
}

/* Sets the next key; false where there is no room for it. */
static bool set_next(struct fixture *f)
{
    struct text line = {0};
    size_t len;
    add_set(&line, f->acknowledged);
    client_send(&f->client, line.data, line.len);
    text_free(&line);
    const char *answer = client_line(&f->client, &len);
    CHECK(answer != NULL, "the server is gone");
    if (strcmp(answer, "OK") == 0) {
        f->acknowledged++;
        return true;
    }
    CHECK(strncmp(answer, "ERR READONLY ", 13) == 0, "a write to a full disk was answered '%s'", answer);
    return false;
}

static void set_with_room(struct fixture *f)
{
    CHECK(set_next(f), "there is room, and a write was refused");
}

static void fill_until_refused(struct fixture *f)
{
    int most = f->acknowledged + WRITES_MAX;
    small_disk_fill(0);
    while (set_next(f)) {
        CHECK(f->acknowledged < most, "the disk is full, and %d writes were taken", WRITES_MAX);
    }
}

static void check_all_there(struct fixture *f)
{
    for (int i = 0; i < f->acknowledged; i++) {
        size_t len;
        client_sendf(&f->client, "GET key%d\r\n", i);
        const char *value = client_line(&f->client, &len);
        CHECK(value != NULL && len == VALUE_BYTES && value[0] == 'a' + i % 26 && value[len - 1] == value[0],
              "key%d was acknowledged, and is not there", i);
    }
    char next[32];
    char count[32];
    snprintf(next, sizeof(next), "EXISTS key%d", f->acknowledged);
    snprintf(count, sizeof(count), "%d", f->acknowledged);
    client_ask(&f->client, next, "0");
    client_ask(&f->client, "DBSIZE", count);
}

/* All is there, and is after a kill, too. */
static void check_after_kill(struct fixture *f)
{
    check_all_there(f);
    client_close(&f->client);
    server_kill(&f->server);
    start(f);
    check_all_there(f);
    stop(f);
}

/* A transaction reads and collects as ever; its COMMIT is refused whole. */
static void check_transaction(struct fixture *f)
{
    struct text set = {0};
    client_ask(&f->client, "BEGIN SERIALIZABLE", "OK");
    client_ask(&f->client, "SET small 1", "OK");
    add_set(&set, f->acknowledged);
    client_send(&f->client, set.data, set.len);
    client_expect(&f->client, "OK");
    client_ask(&f->client, "EXISTS small", "1");
    client_ask_start(&f->client, "COMMIT", "ERR READONLY");
    client_ask(&f->client, "EXISTS small", "0"); /* it is over, and nothing of it was applied */
    client_ask(&f->client, "BEGIN", "OK");
    client_ask(&f->client, "EXISTS key0", "1");
    client_ask(&f->client, "COMMIT", "OK"); /* nothing to write */
    text_free(&set);
}

static bool takes_writes(void *arg)
{
    return set_next(arg);
}

static void fill_and_heal(int times)
{
    struct fixture f = {.acknowledged = 0};
    start_on_small_disk(&f);
    for (int i = 0; i < times; i++) {
        set_with_room(&f);
        fill_until_refused(&f);
        check_transaction(&f);
        check_all_there(&f);
        small_disk_free();
        check_until(takes_writes, &f, HEAL_MS, "writes are taken after there is space again");
        client_ask(&f.client, "CHECKPOINT", "OK");
        set_with_room(&f);
        client_ask(&f.client, "CHECKPOINT", "OK"); /* a second one, of a later commit: the log before the first goes */
        if (f.acknowledged > 100) {
            client_ask(&f.client, "FLUSH", "OK");
            f.acknowledged = 0;
        }
    }
    check_after_kill(&f);
}

static void once(void)
{
    fill_and_heal(1);
}

static void twenty_times(void)
{
    fill_and_heal(20);
}

static void expect_said(const struct fixture *f, const char *part)
{
    char said[4096];
    server_stderr(&f->server, said, sizeof(said));
    CHECK(strstr(said, part) != NULL, "standard error does not say '%s': %s", part, said);
}

/* A checkpoint takes more than there is; commits have room in the segment that is there. */
static void during_a_checkpoint(void)
{
    struct fixture f = {.acknowledged = 0};
    start_on_small_disk(&f);
    while (f.acknowledged < 60) {
        set_with_room(&f);
    }
    server_wait_idle(&f.server); /* the next segment is there */
    small_disk_fill((size_t)200 << 10);
    client_ask_start(&f.client, "CHECKPOINT", "ERR DISK");
    CHECK(set_next(&f), "a checkpoint that failed has stopped commits");
    client_ask_start(&f.client, "CHECKPOINT", "ERR DISK");
    CHECK(set_next(&f), "a checkpoint that failed has stopped commits");
    expect_said(&f, "checkpoint could not be written");
    small_disk_free();
    client_ask(&f.client, "CHECKPOINT", "OK");
    check_after_kill(&f);
}

/* It stops all the same, as the log has all; and it starts, to be read. */
static void stop_and_start(void)
{
    struct fixture f = {.acknowledged = 0};
    start_on_small_disk(&f);
    set_with_room(&f); /* it waits for the first segment */
    fill_until_refused(&f);
    stop(&f);
    small_disk_fill(0);
    start(&f);
    check_all_there(&f);
    CHECK(!set_next(&f), "a write was taken that the disk has no room for");
    check_transaction(&f);
    check_all_there(&f);
    small_disk_free();
    check_until(takes_writes, &f, HEAL_MS, "writes are taken after there is space again");
    check_after_kill(&f);
}

/* A commit that needs no further key; false where there is no room for it. */
static bool set_again(struct fixture *f)
{
    f->acknowledged--;
    bool done = set_next(f);
    f->acknowledged += !done;
    return done;
}

static bool takes_again(void *arg)
{
    return set_again(arg);
}

/* What a checkpoint that is there makes needless could not be removed. To remove it later takes no commit, which there is no room for,
 * and no room for another checkpoint; it is all that keeps the disk full. */
static void of_its_own_log(void)
{
    struct fixture f = {.acknowledged = 0};
    start_on_small_disk(&f);
    const char *oldest = check_path("disk/data/log-0000000000000001");
    set_with_room(&f);
    for (int i = 0; i < 60; i++) {
        CHECK(set_again(&f), "there is room, and a write was refused");
        if (i == 40) {
            client_ask(&f.client, "CHECKPOINT", "OK");
        }
    }
    server_wait_idle(&f.server);
    small_disk_pin(oldest);
    small_disk_fill((size_t)60 << 10); /* for a checkpoint, not for a segment */
    while (set_again(&f)) {
    }
    client_ask_start(&f.client, "CHECKPOINT", "ERR DISK what the checkpoints make needless could not be removed: ");
    expect_said(&f, "what the checkpoints make needless could not be removed: ");
    small_disk_fill(0);
    small_disk_unpin(oldest);
    CHECK(!set_again(&f), "there is no room, and a write was taken");
    client_ask(&f.client, "CHECKPOINT", "OK");
    CHECK(access(oldest, F_OK) < 0, "a CHECKPOINT of the same commit leaves what the one before could not remove");
    check_until(takes_writes, &f, HEAL_MS, "writes are taken after the log has gone that nothing needs");
    check_after_kill(&f);
}

static bool has_said_no_space(const struct fixture *f)
{
    char said[4096];
    server_stderr(&f->server, said, sizeof(said));
    return strstr(said, "the next segment of the log cannot be made") != NULL;
}

static bool has_checkpoint(void *arg)
{
    glob_t found;
    (void)arg;
    bool there = glob(check_path("disk/data/checkpoint-*"), 0, NULL, &found) == 0;
    globfree(&found);
    return there;
}

static bool is_gone(void *path)
{
    return access(path, F_OK) < 0;
}

/* Nobody asks for a checkpoint, and the log would not be long enough for one: there are two all the same, and the log before the first goes.
 * They need less room than a segment. */
static void of_its_log_alone(void)
{
    struct fixture f = {.acknowledged = 0};
    start_on_small_disk(&f);
    char oldest[256];
    snprintf(oldest, sizeof(oldest), "%s", check_path("disk/data/log-0000000000000001"));
    set_with_room(&f);
    for (int i = 0; i < 60; i++) {
        CHECK(set_again(&f), "there is room, and a write was refused");
    }
    server_wait_idle(&f.server);
    small_disk_fill((size_t)60 << 10);
    while (!has_said_no_space(&f)) {
        CHECK(set_again(&f), "the segment is not full, and a write was refused");
        server_wait_idle(&f.server);
    }
    check_until(has_checkpoint, NULL, HEAL_MS, "a full disk makes a checkpoint");
    CHECK(access(oldest, F_OK) == 0, "the log has gone with the first checkpoint, damage to which would lose all");
    CHECK(set_again(&f), "the segment is not full, and a write was refused");
    check_until(is_gone, oldest, HEAL_MS, "the log goes with a second checkpoint");
    check_until(takes_writes, &f, HEAL_MS, "writes are taken after the log has gone that nothing needs");
    for (int i = 0; i < 30; i++) { /* more than a segment */
        check_until(takes_again, &f, HEAL_MS, "writes are taken in the room of the log that has gone");
    }
    check_after_kill(&f);
}

/* --- a torn tail on a full disk --- */

#define SEGMENT_BYTES ((size_t)128 << 10)
#define TAIL_BYTES 3000
#define SEGMENT "disk/data/log-0000000000000001"
#define AHEAD "disk/data/log-0000000000000002"

/* Bytes that are no commit behind the last one, as many as `most` and the segment allow; how many. */
static size_t tear(size_t most)
{
    static char bytes[SEGMENT_BYTES];
    int fd = open(check_path(SEGMENT), O_RDWR | O_CLOEXEC);
    CHECK(fd >= 0 && pread(fd, bytes, sizeof(bytes), 0) == (ssize_t)sizeof(bytes), "the segment: %s", strerror(errno));
    size_t end = sizeof(bytes);
    while (bytes[end - 1] == 0) {
        end--;
    }
    size_t tail = most < sizeof(bytes) - end ? most : sizeof(bytes) - end;
    memset(bytes + end, 'x', tail);
    CHECK(pwrite(fd, bytes + end, tail, (off_t)end) == (ssize_t)tail && close(fd) == 0, "the segment: %s", strerror(errno));
    return tail;
}

/* Bytes of the only file that was saved; -1: there is none. */
static long saved_bytes(void)
{
    struct dirent *entry;
    struct stat st;
    long bytes = -1;
    DIR *dir = opendir(check_path("disk/data"));
    CHECK(dir != NULL, "disk/data: %s", strerror(errno));
    while ((entry = readdir(dir)) != NULL) {
        if (strncmp(entry->d_name, "saved-", 6) == 0) {
            CHECK(bytes < 0 && fstatat(dirfd(dir), entry->d_name, &st, 0) == 0, "%s is there too", entry->d_name);
            bytes = (long)st.st_size;
        }
    }
    closedir(dir);
    return bytes;
}

/* Three commits in one segment, the next one made ahead, and a server that was killed. */
static void leave_commits(struct fixture *f)
{
    start_on_small_disk(f);
    while (f->acknowledged < 3) {
        set_with_room(f);
    }
    server_wait_idle(&f->server);
    CHECK(access(check_path(AHEAD), F_OK) == 0, "no segment was made ahead");
    client_close(&f->client);
    server_kill(&f->server);
}

static void remove_ahead(void)
{
    CHECK(unlink(check_path(AHEAD)) == 0, "unlink: %s", strerror(errno));
}

static void start_torn(struct fixture *f, size_t tail)
{
    start(f);
    expect_said(f, "; cut, and kept as saved-log-*");
    CHECK(saved_bytes() == (long)tail, "%zu bytes were cut, and %ld kept", tail, saved_bytes());
    check_all_there(f);
}

/* The segments made ahead have the room for what is kept. */
static void torn_with_one_ahead(void)
{
    struct fixture f = {.acknowledged = 0};
    leave_commits(&f);
    size_t tail = tear(SEGMENT_BYTES);
    small_disk_fill(0);
    start_torn(&f, tail);
    stop(&f);
}

/* The zeros behind the tail have it. */
static void torn_with_none_ahead(void)
{
    struct fixture f = {.acknowledged = 0};
    leave_commits(&f);
    size_t tail = tear(TAIL_BYTES);
    remove_ahead();
    small_disk_fill(0);
    start_torn(&f, tail);
    stop(&f);
}

/* Nothing has it: it does not start, says what is so, leaves nothing behind, and starts when there is room. */
static void torn_without_room(void)
{
    struct fixture f = {.acknowledged = 0};
    struct server_result r;
    leave_commits(&f);
    const char *const again[] = {"--port", "0", "--data", check_path("disk/data"), NULL};
    size_t tail = tear(SEGMENT_BYTES);
    remove_ahead();
    small_disk_fill(0);
    for (int i = 0; i < 2; i++) {
        server_run_with(&r, &(struct server_setup){.args = again});
        CHECK(r.status == 1 && strstr(r.err, "it cannot be put in order: No space left on device") != NULL, "status %d: %s", r.status, r.err);
        CHECK(strstr(r.err, "are no whole commit") != NULL, "it does not say what was to be cut: %s", r.err);
        CHECK(strstr(r.err, "kept") == NULL, "it says that it has kept something: %s", r.err);
        CHECK(saved_bytes() < 0, "a copy that is not whole was left");
    }
    small_disk_free();
    start_torn(&f, tail);
    set_with_room(&f);
    stop(&f);
}

static const struct check checks[] = {
    {"full, and healed", once},
    {"soak: full, and healed, 20 times", twenty_times},
    {"during a checkpoint", during_a_checkpoint},
    {"stop and start", stop_and_start},
    {"of its own log", of_its_own_log},
    {"of its log alone", of_its_log_alone},
    {"a torn tail, a segment ahead", torn_with_one_ahead},
    {"a torn tail, none ahead", torn_with_none_ahead},
    {"a torn tail, no room", torn_without_room},
};

CHECK_MAIN(checks)
