#include "worker.h"

#include <assert.h>
#include <sys/resource.h>

#define BACKGROUND_NICE 10

static void run(void *arg)
{
    struct worker *w = arg;
    if (w->rank == WORKER_BACKGROUND) {
        setpriority(PRIO_PROCESS, 0, BACKGROUND_NICE); /* on Linux of this thread alone */
    }
    uv_mutex_lock(&w->mutex);
    for (;;) {
        while (!w->wanted && !w->quit) {
            uv_cond_wait(&w->changed, &w->mutex);
        }
        if (!w->wanted) {
            break;
        }
        w->wanted = false;
        uv_mutex_unlock(&w->mutex);
        w->job(w->arg);
        uv_mutex_lock(&w->mutex);
        w->ended = true;
        if (!w->quit) {
            uv_async_send(&w->done);
        }
    }
    uv_mutex_unlock(&w->mutex);
}

/* Signals may come together, or late: what counts is `ended`. */
static void on_done(uv_async_t *async)
{
    struct worker *w = async->data;
    uv_mutex_lock(&w->mutex);
    bool ended = w->ended;
    w->ended = false;
    uv_mutex_unlock(&w->mutex);
    if (ended) {
        w->busy = false;
        w->finished(w->arg);
    }
}

int worker_init(struct worker *w, uv_loop_t *loop, enum worker_rank rank, void (*job)(void *arg), void (*finished)(void *arg),
                void *arg)
{
    *w = (struct worker){.rank = rank, .job = job, .finished = finished, .arg = arg};
    int rc = uv_async_init(loop, &w->done, on_done);
    if (rc < 0) {
        return rc;
    }
    w->done.data = w;
    uv_mutex_init(&w->mutex);
    uv_cond_init(&w->changed);
    rc = uv_thread_create(&w->thread, run, w);
    if (rc < 0) {
        uv_close((uv_handle_t *)&w->done, NULL);
        uv_cond_destroy(&w->changed);
        uv_mutex_destroy(&w->mutex);
    }
    return rc;
}

void worker_start(struct worker *w)
{
    assert(!w->busy);
    w->busy = true;
    uv_mutex_lock(&w->mutex);
    w->wanted = true;
    uv_cond_signal(&w->changed);
    uv_mutex_unlock(&w->mutex);
}

void worker_stop(struct worker *w)
{
    uv_mutex_lock(&w->mutex);
    w->quit = true;
    uv_cond_signal(&w->changed);
    uv_mutex_unlock(&w->mutex);
    uv_thread_join(&w->thread);
    uv_cond_destroy(&w->changed);
    uv_close((uv_handle_t *)&w->done, NULL);
    bool ended = w->busy;
    w->busy = false;
    uv_mutex_destroy(&w->mutex);
    if (ended) {
        w->finished(w->arg);
    }
}
