/* BEGIN, COMMIT, ROLLBACK and OUTCOME. */
#include <assert.h>

#include "command_run.h"
#include "err.h"

/* Answers OK to what ends or begins a transaction. */
static void answer_transaction(struct session *s)
{
    if (!s->engine->quiet_transactions) {
        command_done(s, 0);
    }
}

static void refuse_begin(struct session *s, int err, bool has_token)
{
    if (err == ERR_DONE) {
        session_error(s, err, "the transaction of this ID has committed; there is nothing to be done again");
    } else if (has_token) {
        session_error(s, err, "no room for a further ID (--outcome-max), or no memory; try later, or without an ID");
    } else {
        command_refuse(s, err);
    }
    store_fail(&s->engine->store, &s->txn, ERR_ABORTED, "its BEGIN was refused");
}

void run_begin(struct session *s, const struct request *r)
{
    struct begin_words b = command_read_begin(r);
    struct store *st = &s->engine->store;
    assert(!b.wrong); /* command_parse has checked it */
    enum txn_mode mode = b.has_mode ? b.mode : s->engine->plain_mode;
    int rc = b.has_token ? store_begin_id(st, &s->txn, mode, b.token) : store_begin(st, &s->txn, mode);
    if (rc < 0) {
        refuse_begin(s, rc, b.has_token);
    } else {
        answer_transaction(s);
    }
}

void run_outcome(struct session *s, const struct request *r)
{
    static const char *const words[] = {[OUTCOME_UNKNOWN] = "UNKNOWN",
                                        [OUTCOME_OPEN] = "UNKNOWN", /* it may still go either way */
                                        [OUTCOME_ABORTED] = "ABORTED",
                                        [OUTCOME_COMMITTED] = "COMMITTED"};
    enum outcome_state state = store_outcome(&s->engine->store, r->args[0]);
    session_answer(s, s->proto->line(&s->out, slice_str(words[state])));
}

void run_commit(struct session *s, const struct request *r)
{
    (void)r;
    if (s->txn.state == TXN_NONE) {
        session_error(s, ERR_NOTX, "COMMIT without a transaction; BEGIN opens one");
        return;
    }
    int rc = store_commit(&s->engine->store, &s->txn);
    if (rc == ERR_CONFLICT) {
        session_error(s, rc, "a key that was read has changed since BEGIN; nothing was applied; retry the transaction");
    } else if (rc < 0) {
        session_error(s, rc, "no memory to apply the transaction; nothing was applied");
    } else {
        answer_transaction(s);
    }
}

void run_rollback(struct session *s, const struct request *r)
{
    (void)r;
    if (s->txn.state == TXN_NONE) {
        session_error(s, ERR_NOTX, "ROLLBACK without a transaction; BEGIN opens one");
        return;
    }
    store_rollback(&s->engine->store, &s->txn);
    answer_transaction(s);
}
