/* committer: makes the journal's commits durable in the log, on threads of its own, and lets the answers go that wait for it.
 *
 *      loop: fills batch n+1          | batch n+1 is handed over, answers of batch n go out
 *      kernel: batch n: write, sync ---^
 *
 * Where the kernel and the file system can do that, the loop hands a batch to the kernel (disk_async.h): that spares the switches to a
 * thread and back, and the loop is hardly ever held up by it. Where not, and for what the kernel does not take (the first batch of a segment,
 * large ones), the log thread writes and syncs it.
 *
 * How long the one and the other take is watched: behind a write that is to be synced the kernel has work of its own to do, on the
 * core that the disk interrupts, and waits there behind a process that computes, as a thread of ours need not.
 *
 * One batch is under way at a time, so batches size themselves: what comes while one is being synced is the next one. But those
 * who are answered then will mostly come back with their next commit, a little too late for it: clients would fall apart into
 * two groups, each of which waits for the other's sync. So where a sync takes longer than the loop needs for all of them, the
 * next batch waits for those who may come back, for a fraction of what a sync takes.
 *
 * A client that is the only one, and commits one at a time, waits for nothing else: there the loop writes and syncs itself, which
 * spares it to fall asleep and to be woken, and stays awake a little for the next one.
 *
 * Another thread makes segments ahead. When a write or a sync fails, the process ends at once (status 1): what the disk holds
 * then only a restart can tell. */
#ifndef TXKV_COMMITTER_H
#define TXKV_COMMITTER_H

#include "log.h"
#include "options.h"
#include "session.h"
#include "tick.h"
#include "worker.h"

enum committer_task {
    COMMITTER_WRITE,
    COMMITTER_FLUSH, /* what was handed to the kernel and it has not done */
    COMMITTER_SYNC,
    COMMITTER_MARK,
};

struct committer {
    struct engine *engine;    /* borrowed, all four */
    struct tick *tick;
    const struct options *options;
    void (*last_words)(void); /* called before the process ends for a failed disk */
    struct journal journal;
    struct log log;            /* the log thread's while that is busy, the kernel's while that writes, else the loop's */
    struct worker writer;      /* the log thread */
    struct worker maker;       /* of segments */
    enum committer_task task;  /* what is being done, by the log thread, the kernel or the loop itself */
    uv_poll_t ended;           /* the kernel's write has */
    bool has_polled;           /* `ended` is a handle */
    bool has_kernel;           /* it takes writes */
    uint64_t kernel_ns;        /* that a batch has taken of late, handed to the kernel; 0: not known */
    uint64_t thread_ns;        /* and to the thread */
    unsigned begun;            /* batches that either could have had */
    bool in_kernel;            /* one is under way */
    bool syncs;                /* it has all on disk when it is done */
    bool wants_sync;           /* the next task should */
    struct journal_batch batch;
    uint64_t unix_time;        /* seconds, when the task was handed over */
    int write_rc;              /* how it ended */
    uint64_t made;             /* number of the newest segment made */
    int make_rc;
    uint64_t make_again_at;    /* loop time in ms, after a failure */
    bool yields;               /* a checkpoint has the room that is left: to try to make a segment would take it for a moment */
    uint64_t synced;           /* newest commit known to be on disk */
    uint64_t segment;          /* number of the one being written; before the first batch, of the last one there was */
    uint64_t log_bytes;        /* written since the last checkpoint began; the keeper takes off what that makes needless */
    uint64_t handed_ns;        /* uv_hrtime when the batch under way was handed over */
    uint64_t done_ns;          /* and when the last one was done */
    uint64_t took_ns;          /* between the two */
    bool wrote_here;           /* the loop wrote that one itself */
    unsigned in_vain;          /* of its own batches one after another, after which it stayed awake and nothing came */
    unsigned sleeps;           /* of them to come, after which it goes to sleep at once */
    size_t expected;           /* sessions that would wait for the next batch if all who were answered came back */
    uint64_t quiet_since;      /* loop time in ms of the last batch */
    uint64_t sync_at;          /* loop time in ms of the next sync, with --sync interval */
    bool marked;               /* a marker is the last record */
    uv_timer_t timer;
};

/* Starts on a log that recover_settle has set up. 0, or -1 with one line on stderr. */
int committer_start(struct committer *c, uv_loop_t *loop);

/* In each turn, when its requests have run and again when their answers are sent: hands over what has come together. True when it wants
 * to be called again although nothing happens. */
bool committer_pump(struct committer *c);

/* Wants all commits so far on disk, whatever --sync says: `synced` tells. */
void committer_want_sync(struct committer *c);

/* No client is left: ends the threads, and writes and syncs what is pending. */
void committer_stop(struct committer *c);

#endif
