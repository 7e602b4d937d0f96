/* transaction: BEGIN, the caller's function, COMMIT; again on a conflict.
 *
 *      BEGIN --ok--> fn --ok--> COMMIT --ok--> done
 *        |           |            |
 *        |           | failed     | CONFLICT, EXPIRED: pause, then BEGIN again while tries are left
 *        v           v            v
 *      ROLLBACK   ROLLBACK      else: that failure
 *
 * COMMIT without an answer (TXKV_ERR_OUTCOME) is a failure like others here: running fn again could apply it twice. */
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "client.h"

#define PAUSE_FIRST_US 1000
#define PAUSE_MAX_US 100000

static bool retryable(int code)
{
    return code == TXKV_ERR_CONFLICT || code == TXKV_ERR_EXPIRED;
}

/* A random time of up to limit_us, so that clients that collided do not collide again. */
static void pause_randomly(uint32_t limit_us)
{
    uint32_t random;
    if (getrandom(&random, sizeof random, GRND_NONBLOCK) != (ssize_t)sizeof random) {
        struct timespec now;
        clock_gettime(CLOCK_MONOTONIC, &now);
        random = (uint32_t)now.tv_nsec;
    }
    struct timespec t = {.tv_nsec = (long)(random % (limit_us + 1)) * 1000};
    nanosleep(&t, NULL);
}

/* Takes the answers that fn left behind. What they said stands in the answer of COMMIT too. */
static void drop_replies(struct txkv *c)
{
    struct txkv_reply reply;
    while (txkv_pending(c) > 0) {
        txkv_next_reply(c, &reply);
    }
}

/* Ends what may be open, whatever its state. The failure that led here stays the one that txkv_errmsg tells. */
static void abandon(struct txkv *c)
{
    if (txkv_transaction_state(c) == TXKV_STATE_NONE) {
        return;
    }
    char err[sizeof c->err];
    memcpy(err, c->err, sizeof err);
    txkv_rollback(c);
    memcpy(c->err, err, sizeof err);
}

static int attempt(struct txkv *c, enum txkv_mode mode, int (*fn)(struct txkv *c, void *ctx), void *ctx)
{
    int rc = txkv_begin(c, mode);
    if (rc != TXKV_OK) {
        if (rc != TXKV_ERR_INTX) {
            abandon(c);
        }
        return rc;
    }
    rc = fn(c, ctx);
    drop_replies(c);
    if (rc == TXKV_OK && c->fd >= 0 && c->state == TXKV_STATE_NONE) {
        return txkv_fail(c, TXKV_ERR_ARG, "the function ended the transaction itself");
    }
    if (rc == TXKV_OK) {
        rc = txkv_commit(c);
    }
    abandon(c);
    return rc;
}

int txkv_transaction(struct txkv *c, enum txkv_mode mode, int (*fn)(struct txkv *c, void *ctx), void *ctx, int tries)
{
    if (fn == NULL || tries < 1) {
        return txkv_fail(c, TXKV_ERR_ARG, "a transaction needs a function and at least one try");
    }
    if (txkv_transaction_state(c) != TXKV_STATE_NONE) {
        return txkv_fail(c, TXKV_ERR_INTX, "a transaction is open already");
    }
    uint32_t limit_us = PAUSE_FIRST_US;
    for (int done = 1;; done++) {
        int rc = attempt(c, mode, fn, ctx);
        if (!retryable(rc) || done >= tries) {
            return rc;
        }
        pause_randomly(limit_us);
        limit_us = limit_us * 2 > PAUSE_MAX_US ? PAUSE_MAX_US : limit_us * 2;
    }
}
