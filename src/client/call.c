/* call: one command, one answer; each is an append and the answer to it. */
#include <stdlib.h>
#include <string.h>

#include "client.h"

/* An answer taken now must be the answer to the command sent now. */
static int idle(struct txkv *c)
{
    if (c->pending_count > 0) {
        return txkv_fail(c, TXKV_ERR_BUSY, "%zu answers of appended commands are outstanding", c->pending_count);
    }
    return TXKV_OK;
}

/* Waits for the answer of what was appended, unless rc says that it was not. */
static int finish(struct txkv *c, int rc, struct txkv_reply *reply)
{
    *reply = (struct txkv_reply){.code = rc};
    return rc == TXKV_OK ? txkv_next_reply(c, reply) : rc;
}

int txkv_get(struct txkv *c, const char *key, struct txkv_value *value)
{
    struct txkv_reply reply;
    int rc = idle(c);
    rc = finish(c, rc == TXKV_OK ? txkv_append_get(c, key) : rc, &reply);
    if (rc == TXKV_OK) {
        *value = reply.values[0];
    }
    return rc;
}

int txkv_set(struct txkv *c, const char *key, const void *value, size_t len)
{
    struct txkv_reply reply;
    int rc = idle(c);
    return finish(c, rc == TXKV_OK ? txkv_append_set(c, key, value, len) : rc, &reply);
}

int txkv_del(struct txkv *c, const char *key)
{
    struct txkv_reply reply;
    int rc = idle(c);
    return finish(c, rc == TXKV_OK ? txkv_append_del(c, key) : rc, &reply);
}

int txkv_exists(struct txkv *c, const char *key, bool *exists)
{
    struct txkv_reply reply;
    int rc = idle(c);
    rc = finish(c, rc == TXKV_OK ? txkv_append_exists(c, key) : rc, &reply);
    if (rc == TXKV_OK) {
        *exists = reply.values[0].data[0] != '0';
    }
    return rc;
}

int txkv_incr(struct txkv *c, const char *key, int64_t by, int64_t *value)
{
    struct txkv_reply reply;
    int rc = idle(c);
    rc = finish(c, rc == TXKV_OK ? txkv_append_incr(c, key, by) : rc, &reply);
    if (rc == TXKV_OK && value != NULL) {
        *value = strtoll(reply.values[0].data, NULL, 10);
    }
    return rc;
}

int txkv_mget(struct txkv *c, const char *const *keys, size_t count, struct txkv_value *values)
{
    struct txkv_reply reply;
    int rc = idle(c);
    rc = finish(c, rc == TXKV_OK ? txkv_append_mget(c, keys, count) : rc, &reply);
    for (size_t i = 0; rc == TXKV_OK && i < count; i++) {
        values[i] = reply.values[i];
    }
    return rc;
}

int txkv_ping(struct txkv *c)
{
    struct txkv_reply reply;
    return txkv_command(c, "PING", 4, &reply);
}

static int say_password(struct txkv *c, const char *password)
{
    struct txkv_reply reply;
    int rc = idle(c);
    return finish(c, rc == TXKV_OK ? txkv_append_auth(c, password) : rc, &reply);
}

int txkv_auth_again(struct txkv *c)
{
    return c->password == NULL ? TXKV_OK : say_password(c, c->password);
}

int txkv_auth(struct txkv *c, const char *password)
{
    int rc = say_password(c, password);
    if (rc != TXKV_OK) {
        return rc;
    }
    char *copy = strdup(password);
    if (copy == NULL) {
        return txkv_fail(c, TXKV_ERR_NOMEM, "out of memory");
    }
    txkv_forget_password(c);
    c->password = copy;
    return TXKV_OK;
}

int txkv_begin(struct txkv *c, enum txkv_mode mode)
{
    struct txkv_reply reply;
    int rc = idle(c);
    return finish(c, rc == TXKV_OK ? txkv_append_begin(c, mode) : rc, &reply);
}

int txkv_begin_id(struct txkv *c, enum txkv_mode mode, const char *id)
{
    struct txkv_reply reply;
    int rc = idle(c);
    return finish(c, rc == TXKV_OK ? txkv_append_begin_id(c, mode, id) : rc, &reply);
}

int txkv_outcome(struct txkv *c, const char *id, enum txkv_outcome_state *outcome)
{
    static const char *const words[] = {
        [TXKV_UNKNOWN] = "UNKNOWN", [TXKV_COMMITTED] = "COMMITTED", [TXKV_ABORTED] = "ABORTED"};
    struct txkv_reply reply;
    int rc = idle(c);
    rc = finish(c, rc == TXKV_OK ? txkv_append_outcome(c, id) : rc, &reply);
    if (rc != TXKV_OK) {
        return rc;
    }
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strcmp(reply.values[0].data, words[i]) == 0) {
            *outcome = (enum txkv_outcome_state)i;
            return TXKV_OK;
        }
    }
    txkv_fail(c, TXKV_ERR_PROTOCOL, "this is no answer of a txkv server to OUTCOME: \"%.100s\"", reply.values[0].data);
    txkv_link_break(c, "an answer could not be understood");
    return TXKV_ERR_PROTOCOL;
}

int txkv_commit(struct txkv *c)
{
    struct txkv_reply reply;
    int rc = idle(c);
    return finish(c, rc == TXKV_OK ? txkv_append_commit(c) : rc, &reply);
}

int txkv_rollback(struct txkv *c)
{
    struct txkv_reply reply;
    int rc = idle(c);
    return finish(c, rc == TXKV_OK ? txkv_append_rollback(c) : rc, &reply);
}

int txkv_command(struct txkv *c, const char *line, size_t len, struct txkv_reply *reply)
{
    int rc = idle(c);
    return finish(c, rc == TXKV_OK ? txkv_append(c, line, len) : rc, reply);
}
