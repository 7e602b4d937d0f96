/* reply: answers on their way in. The oldest pending command says how many lines its answer has; they are searched for
 * as bytes come, each byte once, and handed out in place. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "client.h"

/* The length of a line without its end, newline being the LF that ends it. */
static size_t line_len(const char *line, const char *newline)
{
    size_t len = (size_t)(newline - line);
    return len > 0 && line[len - 1] == '\r' ? len - 1 : len;
}

/* The error that a line is as the answer to a verb, or TXKV_OK. */
static int error_of(enum verb_id verb, const char *line, size_t len)
{
    int code = txkv_code_of_line(line, len);
    return code == TXKV_ERR_SERVER && txkv_verbs[verb].answer == ANSWER_VALUE ? TXKV_OK : code;
}

static bool is_integer(const char *text, size_t len)
{
    size_t i = len > 0 && text[0] == '-' ? 1 : 0;
    if (i == len) {
        return false;
    }
    for (; i < len; i++) {
        if (text[i] < '0' || text[i] > '9') {
            return false;
        }
    }
    return true;
}

/* How many lines a list has, its first one included, which says it; 1 where that is no such line. */
static size_t lines_of_list(const char *line, size_t len)
{
    size_t count = 0;
    for (size_t i = 0; i < len; i++) {
        if (line[i] < '0' || line[i] > '9' || count > SIZE_MAX / 100) {
            return 1;
        }
        count = count * 10 + (size_t)(line[i] - '0');
    }
    return count + 1;
}

/* Whether all lines of the oldest command's answer are here. The first line of a list says how many there are; and there is
 * no more than one where it shows that the command was refused. */
static bool complete(struct txkv *c, struct pending *head)
{
    if (head->verb == VERB_QUIT) {
        head->lines = 0; /* unless it was refused, which the line below shows */
    }
    for (;;) {
        if (head->lines > 0 && c->found == head->lines) {
            return true;
        }
        size_t len = c->in.end - c->in.start;
        const char *newline = NULL;
        if (c->scanned < len) {
            newline = memchr(c->in.data + c->in.start + c->scanned, '\n', len - c->scanned);
        }
        if (newline == NULL) {
            c->scanned = len;
            return head->verb == VERB_QUIT && c->fd < 0;
        }
        const char *answer = c->in.data + c->in.start;
        c->scanned = (size_t)(newline - answer) + 1;
        c->found++;
        bool refused = c->found == 1 && error_of(head->verb, answer, line_len(answer, newline)) != TXKV_OK;
        if (refused || head->verb == VERB_QUIT) {
            head->lines = 1;
        } else if (c->found == 1 && txkv_verbs[head->verb].answer == ANSWER_LIST) {
            head->lines = lines_of_list(answer, line_len(answer, newline));
        }
    }
}

static bool as_expected(enum verb_id verb, const struct txkv_value *line)
{
    switch (txkv_verbs[verb].answer) {
    case ANSWER_OK:
        return line->len == 2 && memcmp(line->data, "OK", 2) == 0;
    case ANSWER_INT:
    case ANSWER_LIST:
        return is_integer(line->data, line->len);
    case ANSWER_END:
        return false;
    case ANSWER_ANY:
    case ANSWER_VALUE:
        break;
    }
    return true;
}

static void pop(struct txkv *c)
{
    assert(c->pending_count > 0);
    c->pending_head++;
    c->pending_count--;
    if (c->pending_count == 0) {
        c->pending_head = 0;
    }
    c->scanned = c->found = 0;
}

/* The transaction after an answer. */
static void follow_state(struct txkv *c, enum verb_id verb, int code)
{
    if (verb == VERB_COMMIT || verb == VERB_ROLLBACK) {
        c->state = TXKV_STATE_NONE;
    } else if (verb == VERB_BEGIN && code == TXKV_ERR_DENIED) {
        c->appended_tx = c->appended_tx && c->state != TXKV_STATE_NONE; /* nothing was opened, not even a failed one */
    } else if (verb == VERB_BEGIN && code != TXKV_ERR_INTX && c->state == TXKV_STATE_NONE) {
        c->state = code == TXKV_OK ? TXKV_STATE_OPEN : TXKV_STATE_FAILED;
    } else if (code != TXKV_OK && code != TXKV_ERR_INTX && c->state == TXKV_STATE_OPEN) {
        c->state = TXKV_STATE_FAILED;
    }
}

/* Gives the oldest command's answer up with its connection. */
static int take_lost(struct txkv *c, struct txkv_reply *reply)
{
    const struct pending *head = &c->pending[c->pending_head];
    const char *name = txkv_verbs[head->verb].name;
    if (head->changes && head->end <= c->sent) {
        reply->code = txkv_fail(c, TXKV_ERR_OUTCOME, "connection lost: %s; it is not known whether %s took effect",
                                c->why, name[0] == '\0' ? "the command" : name);
    } else {
        reply->code = txkv_fail(c, TXKV_ERR_LOST, "connection lost: %s", c->why);
    }
    pop(c);
    return reply->code;
}

/* The stream cannot be trusted any more: nothing that is in it is handed out. */
static int take_nonsense(struct txkv *c, struct txkv_reply *reply)
{
    const struct txkv_value *line = &reply->values[0];
    const struct pending *head = &c->pending[c->pending_head];
    int shown = line->len > 100 ? 100 : (int)line->len;
    reply->code = head->changes ? TXKV_ERR_OUTCOME : TXKV_ERR_PROTOCOL;
    txkv_fail(c, reply->code, "this is no answer of a txkv server to %s: \"%.*s\"", txkv_verbs[head->verb].name, shown,
              line->data);
    txkv_link_break(c, "an answer could not be understood");
    c->in.start = c->in.end;
    reply->count = 0;
    pop(c);
    return reply->code;
}

static int reserve_values(struct txkv *c, size_t count)
{
    if (count <= c->values_cap) {
        return TXKV_OK;
    }
    struct txkv_value *grown = realloc(c->values, count * sizeof *grown);
    if (grown == NULL) {
        return TXKV_ERR_NOMEM;
    }
    c->values = grown;
    c->values_cap = count;
    return TXKV_OK;
}

/* Hands out the oldest command's answer, which is complete. */
static int take(struct txkv *c, struct txkv_reply *reply)
{
    const struct pending *head = &c->pending[c->pending_head];
    size_t count = head->lines;
    if (reserve_values(c, count) != TXKV_OK) {
        txkv_link_break(c, "no memory for an answer");
        return take_lost(c, reply);
    }
    char *line = c->in.data + c->in.start;
    for (size_t i = 0; i < count; i++) {
        char *newline = memchr(line, '\n', (size_t)(c->in.data + c->in.end - line));
        size_t len = line_len(line, newline);
        c->values[i] = (struct txkv_value){line, len};
        line[len] = '\0';
        line = newline + 1;
    }
    reply->values = c->values;
    reply->count = count;
    if (count > 0) {
        const struct txkv_value *first = &c->values[0];
        reply->code = error_of(head->verb, first->data, first->len);
        if (reply->code == TXKV_OK && !as_expected(head->verb, first)) {
            return take_nonsense(c, reply);
        }
        if (reply->code != TXKV_OK) {
            txkv_fail(c, reply->code, "%s", first->data + strlen("ERR "));
        }
        c->in.start = (size_t)(line - c->in.data);
    }
    follow_state(c, head->verb, reply->code);
    pop(c);
    return reply->code;
}

int txkv_next_reply(struct txkv *c, struct txkv_reply *reply)
{
    *reply = (struct txkv_reply){.code = TXKV_OK};
    if (c->pending_count == 0) {
        return reply->code = txkv_fail(c, TXKV_ERR_NOREPLY, "no answer is outstanding");
    }
    struct pending *head = &c->pending[c->pending_head];
    while (!complete(c, head)) {
        if (c->fd < 0) {
            return take_lost(c, reply);
        }
        txkv_link_receive(c);
    }
    return take(c, reply);
}

int txkv_send(struct txkv *c)
{
    if (txkv_link_send(c)) {
        return TXKV_OK;
    }
    return txkv_fail(c, TXKV_ERR_LOST, "connection lost: %s", c->fd < 0 ? c->why : "the server takes no more");
}

size_t txkv_pending(const struct txkv *c)
{
    return c->pending_count;
}
