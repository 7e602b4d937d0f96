/* worker: a thread that does one job at a time for the loop.
 *
 *      loop: worker_start --> thread: job --> loop: finished
 *
 * Between worker_start and finished what the job uses belongs to the thread; at all other times it is the loop's. */
#ifndef TXKV_WORKER_H
#define TXKV_WORKER_H

#include <stdbool.h>
#include <uv.h>

/* How much a thread matters beside the loop, where they share a core. */
enum worker_rank {
    WORKER_EQUAL,      /* clients wait for it */
    WORKER_BACKGROUND, /* it can wait: it gives way to the loop */
};

struct worker {
    uv_thread_t thread;
    uv_mutex_t mutex;
    uv_cond_t changed;
    uv_async_t done;
    void (*job)(void *arg);      /* in the thread */
    void (*finished)(void *arg); /* in the loop */
    void *arg;
    enum worker_rank rank;
    bool busy; /* the loop's view: a job was started, and finished has not been called for it */
    /* Both sides, under the mutex: */
    bool wanted;
    bool ended;
    bool quit;
};

/* Starts the thread; it waits. 0 or libuv's error. */
int worker_init(struct worker *w, uv_loop_t *loop, enum worker_rank rank, void (*job)(void *arg), void (*finished)(void *arg),
                void *arg);

/* Has the job done once; not while it is busy. */
void worker_start(struct worker *w);

/* Waits for the job that it is at, calls finished for it, and ends the thread. Its handle is closed by the loop's next turn. */
void worker_stop(struct worker *w);

#endif
