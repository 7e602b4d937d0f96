/* txkv-check beside a server that writes without end: it commits, and its checkpoints remove segments under the reader's feet. What
 * is said of the directory is right all the same.
 *
 * Server and reader take turns, so that each run is the same: before an operation of the reader, each one or one of so many, the server
 * makes some changes to the disk, and stands still again, wherever it is. Each write is made in pieces, so that the reader finds batches of which a part is
 * there. The server has a thread of its own only because it stands still in the middle of its work. */
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "durable.h"
#include "report.h"
#include "unit.h"

struct pace {
    unsigned changes; /* in a turn; 0: it stands still */
    unsigned every;   /* so many operations of the reader */
};

struct scene {
    struct disk disk; /* first: what the reader reads */
    struct sim_disk sim;
    struct durable life;
    pthread_t server;
    sem_t servers_turn;
    sem_t readers_turn;
    struct pace pace;
    unsigned waits; /* operations of the reader until its next turn */
    unsigned left;  /* of this turn's changes */
    bool ending;
    bool stopped;   /* the server can go no further */
    uint64_t turns;
};

/* --- the server --- */

static void on_change(struct sim_disk *sim, void *arg)
{
    struct scene *s = arg;
    (void)sim;
    if (!s->ending && --s->left == 0) {
        sem_post(&s->readers_turn);
        sem_wait(&s->servers_turn);
    }
}

static void *serve(void *arg)
{
    struct scene *s = arg;
    sem_wait(&s->servers_turn);
    while (!s->ending && durable_step(&s->life)) {
    }
    s->stopped = true;
    sem_post(&s->readers_turn);
    return NULL;
}

static void let_server_act(struct scene *s)
{
    if (s->pace.changes == 0 || s->stopped) {
        return;
    }
    if (s->waits > 0) {
        s->waits--;
    } else {
        s->waits = s->pace.every - 1;
        s->left = s->pace.changes;
        s->turns++;
        sem_post(&s->servers_turn);
        sem_wait(&s->readers_turn);
    }
}

/* --- the reader's disk --- */

static struct scene *scene_of(struct disk *d)
{
    struct scene *s = (struct scene *)(void *)d;
    let_server_act(s);
    return s;
}

static int read_open(struct disk *d, const char *name, enum disk_open how)
{
    struct scene *s = scene_of(d);
    return how == DISK_READ ? s->sim.disk.ops->open(&s->sim.disk, name, how) : -EROFS;
}

static int read_close(struct disk *d, int file)
{
    struct scene *s = scene_of(d);
    return s->sim.disk.ops->close(&s->sim.disk, file);
}

static ssize_t read_read(struct disk *d, int file, void *bytes, size_t size, uint64_t at)
{
    struct scene *s = scene_of(d);
    return s->sim.disk.ops->read(&s->sim.disk, file, bytes, size, at);
}

static int read_size(struct disk *d, int file, uint64_t *size)
{
    struct scene *s = scene_of(d);
    return s->sim.disk.ops->size(&s->sim.disk, file, size);
}

static int read_list(struct disk *d, void (*visit)(void *arg, const char *name), void *arg)
{
    struct scene *s = scene_of(d);
    return s->sim.disk.ops->list(&s->sim.disk, visit, arg);
}

/* It changes nothing: there is nothing else. */
static const struct disk_ops reading_ops = {
    .open = read_open, .close = read_close, .read = read_read, .size = read_size, .list = read_list};

/* --- the scene --- */

static void scene_begin(struct scene *s, uint64_t seed)
{
    const struct durable_shape shape = {.segment_bytes = 2048, .sync = true, .checkpoint_every = 15};
    *s = (struct scene){.disk = {&reading_ops}};
    sim_disk_init(&s->sim);
    durable_init(&s->life, &s->sim, shape, seed);
    cr_assert(durable_start(&s->life) && durable_run(&s->life, 60));
    cr_assert_geq(s->life.checkpoints, 2);
    s->sim.plan = (struct sim_plan){.nth = 1, .how = SIM_SHORT, .on = true};
    s->sim.changed = on_change;
    s->sim.arg = s;
    sem_init(&s->servers_turn, 0, 0);
    sem_init(&s->readers_turn, 0, 0);
    cr_assert_eq(pthread_create(&s->server, NULL, serve, s), 0);
}

static void scene_end(struct scene *s)
{
    bool right = !s->stopped && !s->life.differs;
    s->ending = true;
    sem_post(&s->servers_turn);
    pthread_join(s->server, NULL);
    sem_destroy(&s->servers_turn);
    sem_destroy(&s->readers_turn);
    cr_assert(right, "the server has not lived as it should");
    durable_deinit(&s->life);
    sim_disk_deinit(&s->sim);
}

/* What txkv-check says of it. */
static enum check_status verify(struct scene *s, char *said, size_t size)
{
    FILE *to = fmemopen(said, size, "w");
    cr_assert_not_null(to);
    enum check_status status = report_run(&s->disk, "the directory", true, to);
    fclose(to);
    return status;
}

struct numbers {
    unsigned clean;
    unsigned overtaken;
};

/* Asks again and again; it goes on with the same server, which is elsewhere each time. */
static struct numbers verify_often(uint64_t seed, struct pace pace, unsigned times)
{
    static char said[65536];
    struct numbers n = {0};
    struct scene s;
    scene_begin(&s, seed);
    s.pace = pace;
    for (unsigned i = 0; i < times; i++) {
        enum check_status status = verify(&s, said, sizeof(said));
        bool is_clean = status == CHECK_CLEAN && strstr(said, "clean") != NULL;
        bool is_overtaken = status == CHECK_NOT_READ && strstr(said, "not read: the server changes") != NULL;
        cr_assert(is_clean || is_overtaken, "seed %lu, pace %u/%u, turn %lu: status %d: %s", (unsigned long)seed, pace.changes, pace.every,
                  (unsigned long)s.turns, (int)status, said);
        n.clean += is_clean;
        n.overtaken += is_overtaken;
    }
    scene_end(&s);
    return n;
}

static uint64_t seeds(void)
{
    return getenv("TXKV_SOAK") == NULL ? 8 : 200;
}

/* It is through with up to two checkpoints while it is read: that is not too fast to be told that all is well. */
Test(beside_server, what_changes_under_way_is_no_damage)
{
    static const struct pace paces[] = {{1, 1}, {2, 1}, {1, 4}, {10, 10}, {40, 40}, {60, 100}};
    for (size_t i = 0; i < sizeof(paces) / sizeof(paces[0]); i++) {
        for (uint64_t seed = 1; seed <= seeds(); seed++) {
            struct numbers n = verify_often(seed, paces[i], 20);
            cr_assert_eq(n.overtaken, 0, "seed %lu, pace %u/%u: not read, %u times", (unsigned long)seed, paces[i].changes,
                         paces[i].every, n.overtaken);
        }
    }
}

/* It is through with several checkpoints while one file is read: that may be said, and nothing else but that all is well. */
Test(beside_server, a_server_that_is_too_fast_is_no_damage)
{
    static const struct pace paces[] = {{6, 1}, {20, 1}, {300, 1}, {200, 20}};
    for (size_t i = 0; i < sizeof(paces) / sizeof(paces[0]); i++) {
        struct numbers all = {0};
        for (uint64_t seed = 1; seed <= seeds(); seed++) {
            struct numbers n = verify_often(seed, paces[i], 5);
            all.clean += n.clean;
            all.overtaken += n.overtaken;
        }
        cr_assert_gt(all.overtaken, 0, "pace %u/%u is not too fast", paces[i].changes, paces[i].every);
    }
}

static enum recover_result read_beside(void *arg, const struct recover_sink *sink, struct recovery *found)
{
    struct scene *s = arg;
    struct reading r;
    reading_run(&r, &s->disk, true, sink);
    *found = r.found;
    return r.overtaken ? RECOVER_FAILED : r.result;
}

/* What is dumped is the data as of one commit, and none older than what was acknowledged before. */
Test(beside_server, what_is_read_is_as_of_one_commit)
{
    for (uint64_t seed = 1; seed <= seeds(); seed++) {
        struct scene s;
        scene_begin(&s, seed);
        s.pace = (struct pace){1 + (unsigned)seed % 2, 1};
        for (unsigned i = 0; i < 10; i++) {
            uint64_t acknowledged = s.life.acknowledged;
            struct durable_look look = durable_look_by(read_beside, &s, &s.life.past);
            bool is_read = look.result == RECOVER_CLEAN || look.result == RECOVER_TORN;
            cr_assert(is_read && look.right && look.found.last >= acknowledged, "seed %lu: result %d, commit %lu (at least %lu), data %s; %s",
                      (unsigned long)seed, (int)look.result, (unsigned long)look.found.last, (unsigned long)acknowledged,
                      look.right ? "right" : "wrong", look.found.problem);
        }
        scene_end(&s);
    }
}
