#include "committer.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "fault.h"

#define SPARE_SEGMENTS 1    /* made ahead */
#define TIMER_MS 250
#define COMMIT_COST_NS 6000 /* about what the loop needs for a commit of a client that sends one at a time */
#define GROW_FRACTION 2     /* of the time that a sync takes, for which a batch may wait to grow */
#define WRITE_HERE_NS_MAX 1000000 /* that the last batch took, where the loop itself writes the next one */
#define WRITE_HERE_COMMITS_MAX 4
#define WRITE_HERE_BYTES_MAX 65536
#define AWAKE_FRACTION 2    /* of the time that the loop's own batch took, for which the loop stays awake after it */
#define AWAKE_IN_VAIN 8     /* such batches one after another behind which nothing came in that time */
#define AWAKE_AGAIN 256     /* and after so many more it tries it again */
#define KERNEL_SLOWER 2     /* times as long as the thread: then that writes */
#define TRY_OTHER 256       /* one of so many batches is the other one's, to see how long that takes now */
#define OF_LATE 8           /* batches, about */
#define MARK_AFTER_MS 250   /* without a batch */
#define MAKE_AGAIN_MS 1000  /* after a segment could not be made */
#define SYNC_EVERY_MS 1000  /* with --sync interval */

static uint64_t now_ms(const struct committer *c)
{
    return uv_now(c->timer.loop);
}

/* --- the log thread --- */

static void write_task(void *arg)
{
    struct committer *c = arg;
    struct journal_batch *b = &c->batch;
    switch (c->task) {
    case COMMITTER_FLUSH:
        c->write_rc = log_flush(&c->log, c->syncs);
        break;
    case COMMITTER_WRITE:
        c->write_rc = log_write(&c->log, buf_head(&b->bytes), buf_len(&b->bytes), b->last, b->opens_stretch, c->syncs, c->unix_time);
        break;
    case COMMITTER_SYNC:
        c->write_rc = log_sync(&c->log);
        break;
    case COMMITTER_MARK:
    default:
        c->write_rc = log_mark(&c->log);
        break;
    }
}

static void end_for_failed_disk(struct committer *c)
{
    fprintf(stderr, "txkv-server: the log cannot be written: %s; stopping, nothing more is acknowledged\n", strerror(-c->write_rc));
    c->last_words();
    _exit(1);
}

static void wake(struct session *s, void *arg)
{
    struct committer *c = arg;
    tick_add_later(c->tick, s);
}

/* How long the writer of this batch takes of late. What opens a segment, or what the loop writes, says nothing of that. */
static void note_pace(struct committer *c)
{
    uint64_t *pace = c->in_kernel ? &c->kernel_ns : &c->thread_ns;
    if (!c->wrote_here && !c->batch.opens_stretch) {
        *pace = *pace == 0 ? c->took_ns : *pace - *pace / OF_LATE + c->took_ns / OF_LATE;
    }
}

static void on_written(void *arg)
{
    struct committer *c = arg;
    if (c->write_rc < 0) {
        end_for_failed_disk(c);
    }
    c->synced = c->log.synced;
    c->segment = c->log.number;
    if (c->task == COMMITTER_WRITE || c->task == COMMITTER_FLUSH) {
        c->log_bytes += buf_len(&c->batch.bytes);
        journal_done(&c->journal, &c->batch);
        store_settled(&c->engine->store, c->journal.durable);
        c->quiet_since = now_ms(c);
        c->marked = false;
        c->done_ns = uv_hrtime();
        c->took_ns = c->done_ns - c->handed_ns;
        note_pace(c);
        c->expected = c->journal.waiters;
        c->expected += engine_wake(c->engine, wake, c);
    }
}

/* A task is under way. */
static bool is_busy(const struct committer *c)
{
    return c->writer.busy || c->in_kernel;
}

static void set_task(struct committer *c, enum committer_task task)
{
    c->task = task;
    c->unix_time = (uint64_t)time(NULL);
    c->syncs = task != COMMITTER_WRITE || c->options->sync == SYNC_COMMIT || c->wants_sync;
    c->wants_sync = c->wants_sync && !c->syncs;
}

static void start_task(struct committer *c, enum committer_task task)
{
    set_task(c, task);
    worker_start(&c->writer);
}

/* While a write is under way the wish is kept: the next one, which may follow at once, syncs what that one writes. */
void committer_want_sync(struct committer *c)
{
    c->wants_sync = c->synced < c->journal.durable && !FAULT(sync_forgotten);
    if (!is_busy(c) && c->synced < c->journal.durable) {
        start_task(c, COMMITTER_SYNC);
    }
}

/* --- the kernel --- */

/* It has not done it: then the log thread does. */
static bool is_left(struct committer *c, int rc)
{
    if (rc == -ENOTSUP) {
        c->has_kernel = false;
    }
    return rc == -EAGAIN || rc == -ENOTSUP;
}

static void flush_by_thread(struct committer *c)
{
    c->task = COMMITTER_FLUSH;
    worker_start(&c->writer);
}

/* The kernel, as long as it is not much slower than the thread. */
static bool prefers_kernel(struct committer *c)
{
    bool is_slow = c->kernel_ns > KERNEL_SLOWER * c->thread_ns;
    bool tries_other = c->thread_ns == 0 || ++c->begun % TRY_OTHER == 0;
    return c->options->log_writer == WRITER_KERNEL || is_slow == tries_other || FAULT(slow_kernel_kept);
}

static bool may_begin(struct committer *c)
{
    bool can = c->has_kernel && log_can_begin(&c->log, buf_len(&c->batch.bytes), c->batch.opens_stretch, c->syncs);
    return can && prefers_kernel(c);
}

static void begin_in_kernel(struct committer *c)
{
    struct journal_batch *b = &c->batch;
    int rc = log_begin(&c->log, buf_head(&b->bytes), buf_len(&b->bytes), b->last, c->syncs);
    c->in_kernel = rc == 0;
    if (is_left(c, rc)) {
        flush_by_thread(c);
    } else if (rc < 0) {
        c->write_rc = rc;
        end_for_failed_disk(c);
    }
}

static void on_ended(uv_poll_t *ended, int status, int events)
{
    struct committer *c = ended->data;
    (void)events;
    if (status < 0) {
        c->has_kernel = false; /* the loop does not watch it any more: this is the last end that it tells */
    }
    if (!c->in_kernel) {
        return;
    }
    int rc = log_end(&c->log);
    if (is_left(c, rc)) {
        c->in_kernel = false;
        flush_by_thread(c);
        return;
    }
    c->write_rc = rc;
    on_written(c);
    c->in_kernel = false;
}

static void find_kernel(struct committer *c, uv_loop_t *loop)
{
    struct disk *d = c->log.disk;
    int event = c->options->log_writer == WRITER_THREAD ? -ENOTSUP : d->ops->write_event(d);
    c->has_polled = event >= 0 && uv_poll_init(loop, &c->ended, event) == 0;
    c->has_kernel = c->has_polled && uv_poll_start(&c->ended, UV_READABLE, on_ended) == 0;
    c->ended.data = c;
}

/* Waits for the write that is under way. */
static void end_in_kernel(struct committer *c)
{
    if (c->in_kernel) {
        int rc = log_end(&c->log);
        c->write_rc = is_left(c, rc) ? log_flush(&c->log, c->syncs) : rc;
        on_written(c);
        c->in_kernel = false;
    }
    if (c->has_polled) {
        uv_close((uv_handle_t *)&c->ended, NULL);
    }
}

/* --- segments made ahead --- */

static void make_task(void *arg)
{
    struct committer *c = arg;
    const struct log shape = {.disk = c->log.disk, .segment_bytes = c->log.segment_bytes};
    c->make_rc = log_make(&shape, c->made + 1);
}

static void on_made(void *arg)
{
    struct committer *c = arg;
    if (c->make_rc == 0) {
        if (c->journal.no_space) {
            fprintf(stderr, "txkv-server: the disk has room again; writes are taken\n");
        }
        c->made++;
        journal_add_spare(&c->journal);
    } else {
        if (!c->journal.no_space) {
            fprintf(stderr, "txkv-server: the next segment of the log cannot be made: %s; writes get ERR READONLY once this one is full\n",
                    strerror(-c->make_rc));
        }
        c->journal.no_space = true;
        c->make_again_at = now_ms(c) + MAKE_AGAIN_MS;
    }
    engine_wake(c->engine, wake, c); /* to go on, or to be told */
}

/* --- the loop --- */

/* Whether the next batch should wait for those who have just been answered, or are about to be: see committer.h. */
static bool may_grow(const struct committer *c)
{
    if (!c->journal.holds) {
        return false; /* nobody waits for an answer */
    }
    bool worth_it = c->expected * COMMIT_COST_NS < c->took_ns || c->tick->later_first != NULL;
    return c->journal.waiters < c->expected && c->engine->blocked == 0 && worth_it &&
           uv_hrtime() - c->done_ns < c->took_ns / GROW_FRACTION;
}

/* Whether the loop may write the next batch itself: the only client waits for it, and does not send one commit after the other, so
 * there is nothing that it could do meanwhile; and it is small, and the last one did not take long. */
static bool may_write_here(const struct committer *c)
{
    const struct journal *j = &c->journal;
    bool only_waiter = c->engine->sessions_now == 1 && j->waiters == 1;
    bool small = j->pending_last - j->flight_last <= WRITE_HERE_COMMITS_MAX && buf_len(&j->pending) <= WRITE_HERE_BYTES_MAX;
    bool allowed = only_waiter && small && !j->opens_stretch && c->took_ns > 0 && c->took_ns < WRITE_HERE_NS_MAX;
    return allowed || FAULT(loop_always_writes);
}

/* The loop has just written a batch itself, and that did not take long. */
static bool is_just_after_own(const struct committer *c)
{
    return c->wrote_here && c->took_ns < WRITE_HERE_NS_MAX && uv_hrtime() - c->done_ns < c->took_ns / AWAKE_FRACTION;
}

/* Whether the loop should stay awake for the next commit of the client whose batch it has just written: that comes before a loop
 * that has gone to sleep would be awake again. */
static bool is_followed_soon(const struct committer *c)
{
    bool soon = c->sleeps == 0 && is_just_after_own(c);
    return c->engine->sessions_now == 1 && (soon || FAULT(loop_never_sleeps));
}

/* The next batch has come. Was it in time? A client that thinks, or needs the core on which we wait for it, comes later. */
static void learn_whether_followed(struct committer *c)
{
    if (c->sleeps > 0) {
        c->sleeps--;
    } else if (c->wrote_here) {
        c->in_vain = is_just_after_own(c) ? 0 : c->in_vain + 1;
        if (c->in_vain == AWAKE_IN_VAIN) {
            c->sleeps = AWAKE_AGAIN;
            c->in_vain = 0;
        }
    }
}

static void hand_over(struct committer *c)
{
    bool here = may_write_here(c);
    learn_whether_followed(c);
    c->wrote_here = here;
    journal_take(&c->journal, &c->batch);
    c->handed_ns = uv_hrtime();
    set_task(c, COMMITTER_WRITE);
    if (here) {
        write_task(c);
        on_written(c);
    } else if (may_begin(c)) {
        begin_in_kernel(c);
    } else {
        worker_start(&c->writer);
    }
    if (c->engine->blocked > 0) {
        engine_wake(c->engine, wake, c); /* the new batch has room */
    }
}

/* Between running requests and sending their answers, where the loop would write the batch itself: what need not wait for a disk goes
 * out before. */
static bool is_owed_first(const struct committer *c)
{
    return c->tick->taken != NULL && may_write_here(c) && session_sendable(c->engine->first) > 0;
}

bool committer_pump(struct committer *c)
{
    bool waits = false;
    if (!is_busy(c) && journal_has_batch(&c->journal)) {
        waits = may_grow(c) || is_owed_first(c);
        if (!waits) {
            hand_over(c);
        }
    } else if (!is_busy(c) && c->wants_sync) {
        start_task(c, COMMITTER_SYNC);
    }
    bool tries_again = now_ms(c) >= c->make_again_at && !c->yields && !FAULT(space_not_noticed);
    bool may_make = !c->journal.no_space || tries_again;
    if (!c->maker.busy && c->journal.spares < SPARE_SEGMENTS && may_make) {
        worker_start(&c->maker);
    }
    return waits || is_followed_soon(c);
}

static void on_timer(uv_timer_t *timer)
{
    struct committer *c = timer->data;
    uint64_t now = now_ms(c);
    if (c->options->sync == SYNC_INTERVAL && now >= c->sync_at) {
        committer_want_sync(c);
        c->sync_at = now + SYNC_EVERY_MS;
    }
    bool quiet = !is_busy(c) && !journal_has_batch(&c->journal) && now >= c->quiet_since + MARK_AFTER_MS;
    if (quiet && !c->marked && c->segment > 0 && c->options->sync == SYNC_COMMIT) {
        c->marked = true;
        start_task(c, COMMITTER_MARK);
    }
    committer_pump(c); /* a batch that it may grow has the loop awake already, so what it says needs no care */
}

int committer_start(struct committer *c, uv_loop_t *loop)
{
    struct journal *j = &c->journal;
    journal_init(j, c->log.segment_bytes, FILE_HEADER_BYTES, RECORD_HEADER_BYTES);
    j->holds = c->options->sync == SYNC_COMMIT;
    j->durable = c->log.last;
    c->synced = c->log.synced;
    c->segment = c->log.number;
    c->made = c->log.number;
    c->marked = true;
    store_use_journal(&c->engine->store, j);
    uv_timer_init(loop, &c->timer);
    c->timer.data = c;
    int rc = log_prepare(&c->log);
    rc = rc < 0 ? rc : worker_init(&c->writer, loop, WORKER_EQUAL, write_task, on_written, c);
    if (rc == 0 && (rc = worker_init(&c->maker, loop, WORKER_BACKGROUND, make_task, on_made, c)) < 0) {
        worker_stop(&c->writer);
    }
    if (rc < 0) {
        fprintf(stderr, "txkv-server: no thread for the log, or no memory: %s\n", uv_strerror(rc));
        return -1;
    }
    find_kernel(c, loop);
    uv_timer_start(&c->timer, on_timer, TIMER_MS, TIMER_MS);
    committer_pump(c); /* the first segment is made while clients are served already */
    return 0;
}

void committer_stop(struct committer *c)
{
    uv_close((uv_handle_t *)&c->timer, NULL);
    end_in_kernel(c);
    worker_stop(&c->writer);
    worker_stop(&c->maker);
    while (journal_has_batch(&c->journal)) {
        journal_take(&c->journal, &c->batch);
        set_task(c, COMMITTER_WRITE);
        write_task(c);
        on_written(c);
    }
    c->write_rc = c->segment > 0 ? log_mark(&c->log) : 0; /* syncs what --sync has left */
    if (c->write_rc < 0) {
        end_for_failed_disk(c);
    }
    c->synced = c->log.synced;
    log_close(&c->log);
}
