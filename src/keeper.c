#include "keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "err.h"
#include "fault.h"

#define PART_BYTES ((size_t)1 << 20)   /* handed to the thread at a time, or more */
#define OUT_BYTES_MAX ((size_t)4 << 20) /* that wait for the thread, over which no step is taken */
#define AGAIN_AFTER_MS 60000 /* a checkpoint for the log's growth that has failed */
#define CHECKPOINTS_KEPT 2

/* --- backups: a directory with a checkpoint in it. It has a name of its own until it is whole --- */

static void backup_paths(const struct keeper *k, char *partial, char *final, size_t size)
{
    snprintf(partial, size, "%s/.%s.partial", k->options->backup_dir, k->errand->name);
    snprintf(final, size, "%s/%s", k->options->backup_dir, k->errand->name);
    if (FAULT(backup_named_early)) {
        snprintf(partial, size, "%s", final);
    }
}

static void find_checkpoint(void *arg, const char *name)
{
    char *found = arg;
    uint64_t seq;
    if (checkpoint_seq(name, &seq)) {
        snprintf(found, DISK_NAME_MAX, "%s", name);
    }
}

/* A server that was killed may have left a whole checkpoint in a directory that had no name yet. */
static int clear_backup(struct disk *d)
{
    for (;;) {
        char name[DISK_NAME_MAX] = "";
        int rc = d->ops->list(d, find_checkpoint, name);
        if (rc < 0 || name[0] == '\0') {
            return rc;
        }
        rc = d->ops->remove(d, name);
        if (rc < 0) {
            return rc;
        }
    }
}

/* Another server with the same --backup-dir may be at a backup of that name. One that has ended meanwhile has given its directory
 * its own name, or removed it: then what was opened is not there any more. */
static int take_partial(const struct keeper *k, const char *partial)
{
    struct stat opened;
    struct stat named;
    if (flock(k->backup.dir, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK) {
        return -EEXIST;
    }
    if (fstat(k->backup.dir, &opened) < 0) {
        return -errno;
    }
    return stat(partial, &named) == 0 && named.st_ino == opened.st_ino && named.st_dev == opened.st_dev ? 0 : -EEXIST;
}

static int open_backup(struct keeper *k)
{
    char partial[4200];
    char final[4200];
    struct stat st;
    backup_paths(k, partial, final, sizeof(partial));
    struct disk_dir all;
    int rc = disk_dir_open(&all, k->options->backup_dir, true); /* where it is made, its own name is synced too */
    disk_dir_close(&all);
    if (rc < 0) {
        return rc;
    }
    if (lstat(final, &st) == 0) {
        return -EEXIST;
    }
    rc = disk_dir_open(&k->backup, partial, true);
    rc = rc < 0 ? rc : take_partial(k, partial);
    if (rc < 0) {
        disk_dir_close(&k->backup); /* nothing in it is ours to remove */
        return rc;
    }
    return clear_backup(&k->backup.disk);
}

static int publish_backup(struct keeper *k)
{
    char partial[4200];
    char final[4200];
    backup_paths(k, partial, final, sizeof(partial));
    if (!FAULT(backup_named_early) && renameat2(AT_FDCWD, partial, AT_FDCWD, final, RENAME_NOREPLACE) < 0) {
        return -errno;
    }
    int dir = open(k->options->backup_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int rc = dir < 0 || fsync(dir) < 0 ? -errno : 0;
    if (dir >= 0) {
        close(dir);
    }
    return rc;
}

static void drop_backup(struct keeper *k)
{
    char partial[4200];
    char final[4200];
    char name[DISK_NAME_MAX];
    backup_paths(k, partial, final, sizeof(partial));
    checkpoint_name(k->seq, name);
    k->backup.disk.ops->remove(&k->backup.disk, name);
    rmdir(partial);
}

/* --- the thread --- */

/* Removes what nothing needs behind the newest checkpoints. It asks for no room. */
static int trim(const struct keeper *k)
{
    uint64_t oldest;
    int rc = checkpoint_trim(&k->data->disk, CHECKPOINTS_KEPT, &oldest);
    CRASH_POINT(checkpoint_trimmed);
    rc = rc < 0 ? rc : log_trim(&k->data->disk, k->segment, oldest);
    CRASH_POINT(log_trimmed);
    return rc;
}

static int finish(struct keeper *k)
{
    int rc = checkpoint_finish(&k->file);
    if (k->for_backup) {
        return rc < 0 ? rc : publish_backup(k);
    }
    k->made = rc == 0;
    return rc < 0 ? rc : trim(k);
}

static void write_part(void *arg)
{
    struct keeper *k = arg;
    k->rc = 0;
    if (k->made) {
        k->rc = trim(k);
        return;
    }
    if (k->first) {
        struct disk *d = k->for_backup ? &k->backup.disk : &k->data->disk;
        k->rc = k->for_backup ? open_backup(k) : 0;
        k->rc = k->rc < 0 ? k->rc : checkpoint_begin(&k->file, d, k->id, k->seq, k->unix_time);
        k->first = false;
    }
    if (k->rc == 0 && buf_len(&k->part) > 0) {
        k->rc = checkpoint_write(&k->file, buf_head(&k->part), buf_len(&k->part));
    }
    if (k->rc == 0 && k->last) {
        k->rc = finish(k);
    }
    if (k->rc < 0) {
        checkpoint_abandon(&k->file); /* here, as it may be large */
    }
}

/* --- the loop --- */

static void wake(struct session *s, void *arg)
{
    struct keeper *k = arg;
    tick_add(k->tick, s);
}

/* What could not be done. */
static const char *failure(const struct keeper *k)
{
    return k->for_backup ? "the backup could not be written"
           : k->made     ? "what the checkpoints make needless could not be removed"
                         : "the checkpoint could not be written";
}

static void end_errand(struct keeper *k, int rc)
{
    char text[128];
    struct errand *errand = k->errand;
    k->errand = NULL;
    if (errand == NULL) {
        return;
    }
    if (rc == -EEXIST && errand->kind == ERRAND_BACKUP) {
        snprintf(text, sizeof(text), "there is a backup of that name; choose another one");
    } else if (rc < 0) {
        snprintf(text, sizeof(text), "%s: %s", failure(k), strerror(-rc));
    }
    errand_done(errand, ERR_DISK, rc < 0 ? text : NULL, wake, k);
}

/* What was begun ends, well or not. */
static void end(struct keeper *k, int rc)
{
    if (rc < 0) {
        checkpoint_abandon(&k->file);
        k->again_at = uv_now(k->worker.done.loop) + AGAIN_AFTER_MS;
        if (rc != -ECANCELED && rc != -EEXIST) {
            fprintf(stderr, "txkv-server: %s: %s\n", failure(k), strerror(-rc));
        }
    }
    if (k->committer != NULL) {
        k->committer->yields = false;
    }
    if (k->made) {
        k->checkpointed = k->seq;
        k->committer->log_bytes -= k->log_bytes;
    }
    if (k->for_backup) {
        if (rc < 0 && k->backup.dir >= 0) {
            drop_backup(k);
        }
        disk_dir_close(&k->backup);
    }
    if (k->state != KEEPER_TRIMMING) {
        store_walk_end(&k->engine->store);
    }
    buf_deinit(&k->part);
    k->state = KEEPER_IDLE;
    end_errand(k, rc);
}

static void on_part(void *arg)
{
    struct keeper *k = arg;
    buf_deinit(&k->part);
    if (k->rc < 0 || k->last || k->state == KEEPER_TRIMMING) {
        end(k, k->rc);
    }
}

static void begin(struct keeper *k, struct errand *errand)
{
    k->errand = errand;
    k->for_backup = errand != NULL && errand->kind == ERRAND_BACKUP;
    k->seq = k->engine->store.seq;
    k->file = (struct checkpoint){.end = {.file = -1}};
    k->backup = (struct disk_dir){.dir = -1, .lock = -1};
    k->log_bytes = 0;
    if (k->committer != NULL) {
        k->log_bytes = k->committer->log_bytes;
        k->committer->yields = k->committer->journal.no_space;
    }
    k->first = true;
    k->last = false;
    k->made = false;
    k->unix_time = (uint64_t)time(NULL);
    store_walk_begin(&k->engine->store);
    k->state = KEEPER_WALKING;
}

/* There is a checkpoint as of this commit. What it makes needless may be there still: it could not be removed, or the server that
 * made it was killed before that. */
static void begin_trim(struct keeper *k, struct errand *errand)
{
    k->errand = errand;
    k->for_backup = false;
    k->made = true;
    k->log_bytes = k->committer->log_bytes;
    k->seq = k->checkpointed;
    k->state = KEEPER_TRIMMING;
    k->segment = k->committer->segment;
}

/* On a full disk it may be the log that fills it: what two checkpoints make needless, the second of a later commit, is all of the log
 * that can go. Further ones would win nothing. */
static bool is_pressed(struct keeper *k)
{
    if (!k->committer->journal.no_space) {
        k->pressed = 0;
        return false;
    }
    if (k->committer->log_bytes == 0 || k->pressed == CHECKPOINTS_KEPT) {
        return false;
    }
    k->pressed += k->engine->store.seq != k->checkpointed; /* else there is only to be removed */
    return true;
}

/* Whether the log wants a checkpoint that nobody asks for. */
static bool is_due(struct keeper *k)
{
    if (k->committer == NULL || uv_now(k->worker.done.loop) < k->again_at) {
        return false;
    }
    return k->committer->log_bytes >= k->options->checkpoint_log_bytes || is_pressed(k);
}

/* Begins what is wanted. */
static void look_for_work(struct keeper *k)
{
    struct errand *errand = engine_take_errand(k->engine);
    bool is_backup = errand != NULL && errand->kind == ERRAND_BACKUP;
    if (errand == NULL && !is_due(k)) {
        return;
    }
    if (!is_backup && k->engine->store.seq == k->checkpointed) {
        begin_trim(k, errand);
        worker_start(&k->worker);
    } else {
        begin(k, errand);
    }
}

static void hand_over(struct keeper *k, bool last)
{
    walk_take(&k->engine->store.walk, &k->part);
    k->last = last;
    k->segment = k->committer != NULL ? k->committer->segment : 0;
    worker_start(&k->worker);
}

static bool walk_on(struct keeper *k)
{
    struct walk *w = &k->engine->store.walk;
    if (buf_len(&w->out) < OUT_BYTES_MAX && !store_walk_step(&k->engine->store, WALK_STEP_BYTES)) {
        k->state = KEEPER_SETTLING;
    }
    if (w->failed) {
        if (k->worker.busy) {
            return false; /* comes again when the thread is done */
        }
        end(k, -ENOMEM);
        return false;
    }
    if (!k->worker.busy && buf_len(&w->out) >= PART_BYTES && k->state == KEEPER_WALKING) {
        hand_over(k, false);
    }
    return k->state == KEEPER_SETTLING || buf_len(&w->out) < OUT_BYTES_MAX;
}

static void settle(struct keeper *k)
{
    if (k->committer != NULL && k->committer->synced < k->seq) {
        committer_want_sync(k->committer);
    } else if (!k->worker.busy) {
        hand_over(k, true);
    }
}

bool keeper_pump(struct keeper *k)
{
    switch (k->state) {
    case KEEPER_WALKING:
        return walk_on(k);
    case KEEPER_SETTLING:
        if (!k->last) {
            settle(k);
        }
        return false;
    case KEEPER_TRIMMING:
        return false;
    case KEEPER_IDLE:
    default:
        look_for_work(k);
        return k->state == KEEPER_WALKING;
    }
}

int keeper_start(struct keeper *k, uv_loop_t *loop)
{
    k->file.end.file = -1;
    buf_init(&k->part);
    int rc = worker_init(&k->worker, loop, WORKER_BACKGROUND, write_part, on_part, k);
    if (rc < 0) {
        fprintf(stderr, "txkv-server: no thread for checkpoints: %s\n", uv_strerror(rc));
    }
    return rc < 0 ? -1 : 0;
}

void keeper_stop(struct keeper *k)
{
    worker_stop(&k->worker);
    if (k->state != KEEPER_IDLE) {
        end(k, -ECANCELED);
    }
    if (k->data == NULL) {
        return;
    }
    if (k->engine->store.seq == k->checkpointed) {
        begin_trim(k, NULL);
        write_part(k);
        end(k, k->rc);
        return;
    }
    begin(k, NULL);
    bool more;
    do {
        more = store_walk_step(&k->engine->store, PART_BYTES);
        walk_take(&k->engine->store.walk, &k->part);
        k->last = !more;
        k->segment = k->committer->segment;
        k->rc = k->engine->store.walk.failed ? -ENOMEM : 0;
        if (k->rc == 0) {
            write_part(k);
        }
        buf_deinit(&k->part);
    } while (more && k->rc == 0);
    end(k, k->rc);
}
