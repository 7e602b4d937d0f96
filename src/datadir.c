#include "datadir.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <uv.h>

#include "fault.h"
#include "replay.h"

#define SECOND_NS UINT64_C(1000000000)
#define MIB (1024.0 * 1024.0)
#define LOOK_MS_MAX 500 /* that somebody may look whether the directory is taken */

struct loading {
    struct replay replay;
    uint64_t began; /* uv_hrtime */
    uint64_t said;  /* when the last line was */
};

static void on_reset(void *arg)
{
    struct loading *l = arg;
    replay_reset(&l->replay);
}

static int on_payload(void *arg, uint64_t seq, struct slice payload)
{
    struct loading *l = arg;
    return replay_add(&l->replay, seq, payload);
}

static void on_progress(void *arg, uint64_t bytes, uint64_t of_bytes)
{
    struct loading *l = arg;
    uint64_t now = uv_hrtime();
    if (now - l->said < SECOND_NS) {
        return;
    }
    l->said = now;
    double seconds = (double)(now - l->began) / (double)SECOND_NS;
    double rate = (double)bytes / seconds;
    double left = bytes < of_bytes ? (double)(of_bytes - bytes) / rate : 0;
    fprintf(stderr, "txkv-server: reading the data: %.0f of %.0f MiB, %" PRIu64 " keys, %.0f MiB/s, %.0f s left\n", (double)bytes / MIB,
            (double)of_bytes / MIB, replay_keys(&l->replay), rate / MIB, left);
}

static void say_found(const struct recovery *found, const struct loading *l)
{
    double seconds = (double)(uv_hrtime() - l->began) / (double)SECOND_NS;
    if (found->damaged_count > 0) {
        fprintf(stderr, "txkv-server: %zu damaged checkpoint%s passed over and put aside as saved-checkpoint-*\n", found->damaged_count,
                found->damaged_count == 1 ? "" : "s");
    }
    if (found->tail_bytes > 0) {
        fprintf(stderr, "txkv-server: %s; cut, and kept as saved-log-*\n", found->problem);
    }
    if (found->id == 0) {
        fprintf(stderr, "txkv-server: a new data directory\n");
        return;
    }
    fprintf(stderr, "txkv-server: %" PRIu64 " keys as of commit %" PRIu64 ": checkpoint of commit %" PRIu64 ", %" PRIu64
            " commits from the log; %.2f s\n", l->replay.store->keys, found->last, found->checkpoint, found->commits, seconds);
}

/* Waits for who only looks, as txkv-check does. */
static int lock_when_unseen(struct disk_dir *dir, long *holder)
{
    int rc = disk_dir_lock(dir, holder);
    for (unsigned waited = 0; rc == -EBUSY && waited < LOOK_MS_MAX; waited++) {
        uv_sleep(1);
        rc = disk_dir_lock(dir, holder);
    }
    return rc;
}

static int open_alone(struct disk_dir *dir, const char *path)
{
    long holder = 0;
    char who[32];
    int rc = disk_dir_open(dir, path, true);
    if (rc < 0) {
        fprintf(stderr, "txkv-server: --data %s: %s\n", path, strerror(-rc));
        return -1;
    }
    rc = lock_when_unseen(dir, &holder);
    if (rc == -EWOULDBLOCK) {
        fprintf(stderr, "txkv-server: --data %s: %s has it; one directory takes one server\n", path, disk_dir_holder(who, holder));
    } else if (rc < 0) {
        fprintf(stderr, "txkv-server: --data %s: it cannot be locked: %s\n", path, strerror(-rc));
    }
    return rc < 0 ? -1 : 0;
}

/* A directory that was there before keeps the mode that it was given; whoever runs the server may have meant it. */
static void say_mode(const struct disk_dir *dir, const char *path)
{
    struct stat st;
    if (fstat(dir->dir, &st) == 0 && (st.st_mode & 077) != 0) {
        fprintf(stderr, "txkv-server: --data %s: others can %s it (mode %04o); chmod 700 keeps them out\n", path,
                (st.st_mode & 022) != 0 ? "change what is in" : "look into", (unsigned)st.st_mode & 07777);
    }
}

/* A client chooses the names of backups: where the log is, "log-0000000000000003" would be in the way of the next segment. */
static int check_backups(const struct disk_dir *dir, const char *path, const char *backup_dir)
{
    struct stat data;
    struct stat backups;
    if (backup_dir == NULL || FAULT(backups_among_data) || stat(backup_dir, &backups) < 0 || fstat(dir->dir, &data) < 0 ||
        backups.st_ino != data.st_ino || backups.st_dev != data.st_dev) {
        return 0;
    }
    fprintf(stderr, "txkv-server: --backup-dir %s: it is the directory of --data %s; backups need one of their own, which may be in it\n",
            backup_dir, path);
    return -1;
}

/* recover_read into the store. */
static enum recover_result read_all(struct disk *d, const struct recover_sink *sink, struct loading *loading, struct store *st,
                                    struct recovery *found)
{
    enum recover_result result = RECOVER_FAILED;
    if (replay_init(&loading->replay, st) == 0) {
        result = recover_read(d, sink, found);
        if (replay_finish(&loading->replay) < 0) {
            result = RECOVER_FAILED;
            snprintf(found->problem, sizeof(found->problem), "no memory for the data");
        }
    }
    replay_deinit(&loading->replay);
    return result;
}

int datadir_open(struct disk_dir *dir, const char *path, const char *backup_dir, struct store *st, struct log *log,
                 struct recovery *found)
{
    struct loading loading = {.began = uv_hrtime(), .said = uv_hrtime()};
    const struct recover_sink sink = {on_reset, on_payload, on_payload, on_progress, &loading};
    if (open_alone(dir, path) < 0 || check_backups(dir, path, backup_dir) < 0) {
        return -1;
    }
    say_mode(dir, path);
    enum recover_result result = read_all(&dir->disk, &sink, &loading, st, found);
    if (result == RECOVER_DAMAGED) {
        fprintf(stderr, "txkv-server: --data %s: %s; not starting, as acknowledged commits would be lost: txkv-check %s says more\n", path,
                found->problem, path);
        return -1;
    }
    if (result == RECOVER_FAILED) {
        fprintf(stderr, "txkv-server: --data %s: %s\n", path, found->problem);
        return -1;
    }
    int rc = recover_settle(&dir->disk, found, log);
    if (rc < 0) {
        fprintf(stderr, "txkv-server: --data %s: %s%sit cannot be put in order: %s\n", path, found->problem,
                found->problem[0] == '\0' ? "" : "; ", strerror(-rc));
        return -1;
    }
    say_found(found, &loading);
    while (log->id == 0) {
        if (getrandom(&log->id, sizeof(log->id), 0) != (ssize_t)sizeof(log->id)) {
            fprintf(stderr, "txkv-server: no source of random bytes\n");
            return -1;
        }
    }
    return 0;
}
