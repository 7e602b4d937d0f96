#include "keeper.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "err.h"
#include "fault.h"

#define PART_BYTES ((size_t)1 << 20)   /* handed to the thread at a time, or more */
#define OUT_BYTES_MAX ((size_t)4 << 20) /* that wait for the thread, over which no step is taken */
#define AGAIN_AFTER_MS 60000 /* a checkpoint for the log's growth that has failed */
#define CHECKPOINTS_KEPT 2

/* --- the thread --- */

/* Where it goes. The directory of all backups is made with the first one. */
static int open_target(struct keeper *k, struct disk **target)
{
    if (!k->for_backup) {
        *target = &k->data->disk;
        return 0;
    }
    int rc = disk_dir_open(&k->backups, k->options->backup_dir, true);
    rc = rc < 0 ? rc : backup_open(&k->backup, &k->backups.disk, k->errand->name);
    *target = k->backup.dir;
    return rc;
}

/* Removes what there is of it. */
static void abandon(struct keeper *k)
{
    checkpoint_abandon(&k->file);
    backup_drop(&k->backup);
}

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
        return rc < 0 ? rc : backup_publish(&k->backup);
    }
    k->made = rc == 0;
    return rc < 0 ? rc : trim(k);
}

static void write_part(void *arg)
{
    struct keeper *k = arg;
    k->rc = k->spoiled ? -ENOMEM : 0;
    if (k->made) {
        k->rc = trim(k);
        return;
    }
    if (k->rc == 0 && k->first) {
        struct disk *target;
        k->rc = open_target(k, &target);
        k->rc = k->rc < 0 ? k->rc : checkpoint_begin(&k->file, target, k->id, k->seq, k->unix_time);
        k->first = false;
    }
    if (k->rc == 0 && buf_len(&k->part) > 0) {
        k->rc = checkpoint_write(&k->file, buf_head(&k->part), buf_len(&k->part));
    }
    if (k->rc == 0 && k->last) {
        k->rc = finish(k);
    }
    if (k->rc < 0) {
        abandon(k); /* here, as it may be large */
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
        abandon(k);
        k->again_at = k->for_backup ? k->again_at : uv_now(k->worker.done.loop) + AGAIN_AFTER_MS;
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
    disk_dir_close(&k->backups);
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
    k->backup = (struct backup){.dir = NULL};
    k->log_bytes = 0;
    if (k->committer != NULL) {
        k->log_bytes = k->committer->log_bytes;
        k->committer->yields = k->committer->journal.no_space;
    }
    k->first = true;
    k->last = false;
    k->made = false;
    k->spoiled = false;
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

/* Begins what is wanted. Behind a backup what the log wants has its turn: a client may ask for backups without end. */
static void look_for_work(struct keeper *k)
{
    bool is_logs_turn = k->for_backup && is_due(k);
    struct errand *errand = is_logs_turn ? NULL : engine_take_errand(k->engine);
    bool is_backup = errand != NULL && errand->kind == ERRAND_BACKUP;
    if (errand == NULL && !is_logs_turn && !is_due(k)) {
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
    bool more = buf_len(&w->out) >= OUT_BYTES_MAX || store_walk_step(&k->engine->store, WALK_STEP_BYTES);
    if (w->failed) {
        if (!k->worker.busy) {
            k->spoiled = true;
            worker_start(&k->worker); /* removes it, which may be large */
        }
        return false;
    }
    if (!more) {
        k->state = KEEPER_SETTLING;
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
    k->backups = (struct disk_dir){.dir = -1, .lock = -1};
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
