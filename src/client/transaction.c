/* transaction: BEGIN, the caller's function, COMMIT; again on a conflict.
 *
 *      BEGIN --ok--> fn --ok--> COMMIT --ok--> done
 *        |           |            | |
 *        |           | failed     | | CONFLICT, EXPIRED: pause, then BEGIN again while tries are left
 *        v           v            | v
 *      ROLLBACK   ROLLBACK        | else: that failure
 *                                 v
 *            connection lost: connect again, BEGIN under the same ID --DONE--> done
 *                                                                     --ok--> ROLLBACK: nothing was applied, nor will be;
 *                                                                             again while tries are left
 *
 * Without an ID, or when no connection can be made, it is not known what became of a COMMIT without an answer
 * (TXKV_ERR_OUTCOME): running fn again could apply it twice. */
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "client.h"

#define PAUSE_FIRST_US 1000
#define PAUSE_MAX_US 100000
#define SETTLE_TRIES 20       /* connections, to find out what became of a COMMIT */
#define REMEMBERED_MS 600000  /* so long at least the server knows it: docs/protocol.md */
#define WITHOUT_IDS_FULL 1000 /* transactions that go without an ID after the server had no room for one */

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

/* Milliseconds of a clock that goes on while the machine sleeps. */
static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_BOOTTIME, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* A new ID for the handle, or none where none is wanted. */
static void choose_id(struct txkv *c, enum txkv_mode mode)
{
    uint64_t random[2];
    c->id[0] = '\0';
    if (mode == TXKV_READONLY) {
        return; /* what its COMMIT does is the same either way */
    }
    if (c->without_ids > 0) {
        c->without_ids -= c->without_ids < UINT_MAX;
        return;
    }
    if (getrandom(random, sizeof random, 0) == (ssize_t)sizeof random) {
        snprintf(c->id, sizeof c->id, "%016llx%016llx", (unsigned long long)random[0], (unsigned long long)random[1]);
    }
}

/* BEGIN under the handle's ID; without it where the server is too old for one, or has no room. */
static int begin(struct txkv *c, enum txkv_mode mode)
{
    if (c->id[0] == '\0') {
        return txkv_begin(c, mode);
    }
    int rc = txkv_begin_id(c, mode, c->id);
    if (rc != TXKV_ERR_SYNTAX && rc != TXKV_ERR_FULL) {
        return rc;
    }
    abandon(c);
    if (c->fd < 0) { /* there was no room for the connection */
        return rc;
    }
    c->without_ids = rc == TXKV_ERR_SYNTAX ? UINT_MAX : WITHOUT_IDS_FULL;
    c->id[0] = '\0';
    return txkv_begin(c, mode);
}

/* COMMIT, sent at `since`, was not answered. TXKV_OK: it was applied. TXKV_ERR_LOST: nothing was, nor will be.
 * TXKV_ERR_OUTCOME: it could not be found out; why is what led here. */
static int settle(struct txkv *c, enum txkv_mode mode, int64_t since)
{
    char err[sizeof c->err];
    uint32_t limit_us = PAUSE_FIRST_US;
    memcpy(err, c->err, sizeof err);
    for (int i = 0; i < SETTLE_TRIES; i++) {
        int rc = txkv_reconnect(c);
        rc = rc == TXKV_OK ? txkv_begin_id(c, mode, c->id) : rc;
        bool remembered = now_ms() - since < REMEMBERED_MS;
        abandon(c);
        if (rc == TXKV_ERR_DONE) {
            return TXKV_OK;
        }
        if (rc == TXKV_OK && remembered) {
            return txkv_fail(c, TXKV_ERR_LOST, "the connection was lost before COMMIT was run; nothing was applied");
        }
        if (rc == TXKV_OK || rc == TXKV_ERR_PROTOCOL) {
            break;
        }
        pause_randomly(limit_us);
        limit_us = limit_us * 2 > PAUSE_MAX_US ? PAUSE_MAX_US : limit_us * 2;
    }
    memcpy(c->err, err, sizeof err);
    return TXKV_ERR_OUTCOME;
}

/* One try. *again: it may be tried again, nothing of it was applied. */
static int attempt(struct txkv *c, enum txkv_mode mode, int (*fn)(struct txkv *c, void *ctx), void *ctx, bool *again)
{
    int rc = begin(c, mode);
    *again = retryable(rc);
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
        int64_t since = now_ms();
        rc = txkv_commit(c);
        if (rc == TXKV_ERR_OUTCOME && c->id[0] != '\0') {
            rc = settle(c, mode, since);
            *again = rc == TXKV_ERR_LOST;
            return rc;
        }
    }
    *again = retryable(rc);
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
    choose_id(c, mode);
    for (int done = 1;; done++) {
        bool again;
        int rc = attempt(c, mode, fn, ctx, &again);
        if (!again || done >= tries) {
            return rc;
        }
        pause_randomly(limit_us);
        limit_us = limit_us * 2 > PAUSE_MAX_US ? PAUSE_MAX_US : limit_us * 2;
    }
}

const char *txkv_transaction_id(const struct txkv *c)
{
    return c->id;
}
