#include "model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct words {
    const char *at[MODEL_WORDS];
    size_t len[MODEL_WORDS];
    size_t count;
};

enum { NONE, OPEN, FAILED };
enum { PLAIN, SERIALIZABLE, READONLY };

static void say_kind(struct model_answer *a, enum model_kind kind, const char *text, size_t len)
{
    if (a->len + len > sizeof(a->text) || a->lines == sizeof(a->line_len) / sizeof(a->line_len[0])) {
        abort();
    }
    memcpy(a->text + a->len, text, len);
    a->len += len;
    a->kind[a->lines] = kind;
    a->line_len[a->lines++] = len;
}

static void say(struct model_answer *a, const char *text, size_t len)
{
    say_kind(a, MODEL_EXACT, text, len);
}

static void say_error(struct model_answer *a, const char *text)
{
    say_kind(a, MODEL_ERROR, text, strlen(text));
}

static void say_text(struct model_answer *a, const char *text)
{
    say(a, text, strlen(text));
}

static void say_number(struct model_answer *a, long long number)
{
    char text[32];
    snprintf(text, sizeof(text), "%lld", number);
    say_text(a, text);
}

/* An error; an open transaction fails by it. */
static void fail(struct model_client *c, struct model_answer *a, const char *code)
{
    char text[32];
    snprintf(text, sizeof(text), "ERR %s", code);
    say_error(a, text);
    c->state = c->state == OPEN ? FAILED : c->state;
}

/* --- data --- */

static size_t item_of(struct model *m, const char *key, size_t len)
{
    struct model_data *d = &m->data;
    for (size_t i = 0; i < d->count; i++) {
        if (d->items[i].key_len == len && memcmp(d->items[i].key, key, len) == 0) {
            return i;
        }
    }
    if (d->count == MODEL_KEYS) {
        abort();
    }
    struct model_item *item = &d->items[d->count]; /* all zeros, but for the version that a FLUSH gave it */
    memcpy(item->key, key, len);
    item->key_len = len;
    return d->count++;
}

static const struct model_item nothing;

static bool has_ended(const struct model_item *item, uint64_t now_ms)
{
    return item->exists && item->ends != 0 && item->ends <= now_ms;
}

/* The time that a client goes by. */
static uint64_t time_of(const struct model *m, const struct model_client *c)
{
    return c->state == OPEN ? c->now_ms : m->now_ms;
}

/* What the client sees of a key, be its time over or not. A read through to the data is marked; 0, or "TOOBIG" where the mark does not fit. */
static const char *look_at_kept(struct model *m, struct model_client *c, size_t k, const struct model_item **seen)
{
    *seen = &nothing;
    if (c->state != OPEN) {
        *seen = &m->data.items[k];
        return NULL;
    }
    if (c->wrote[k]) {
        *seen = &c->writes[k];
        return NULL;
    }
    if (c->flushed) {
        return NULL;
    }
    if (k < c->view.count) {
        *seen = &c->view.items[k];
    }
    if (c->mode == SERIALIZABLE && !c->marked[k]) {
        size_t held = 0;
        for (size_t i = 0; i < MODEL_KEYS; i++) {
            held += c->marked[i] || c->wrote[i] ? 1 : 0;
        }
        if (held >= MODEL_TX_KEYS) {
            return "TOOBIG";
        }
        c->marked[k] = true;
    }
    return NULL;
}

/* The same; a key whose time has passed is absent. */
static const char *look(struct model *m, struct model_client *c, size_t k, const struct model_item **seen)
{
    const char *code = look_at_kept(m, c, k, seen);
    if (has_ended(*seen, time_of(m, c))) {
        *seen = &nothing;
    }
    return code;
}

static void store(struct model *m, size_t k, const struct model_item *from, uint64_t seq)
{
    struct model_item *item = &m->data.items[k];
    if (item->exists != from->exists || has_ended(item, m->now_ms)) {
        m->keyset_version = seq;
    }
    item->exists = from->exists;
    memcpy(item->value, from->value, sizeof(item->value));
    item->value_len = from->value_len;
    item->version = seq;
    item->ends = from->ends;
    item->removed_version = 0;
    item->removed_end = 0;
}

void model_remove_ended(struct model *m)
{
    for (size_t i = 0; i < m->data.count; i++) {
        struct model_item *item = &m->data.items[i];
        if (has_ended(item, m->now_ms)) {
            item->exists = false;
            item->removed_version = item->version;
            item->removed_end = item->ends;
            item->version = ++m->seq;
            item->ends = 0;
            m->keyset_version = m->seq;
        }
    }
}

static size_t existing(const struct model_data *d)
{
    size_t count = 0;
    for (size_t i = 0; i < d->count; i++) {
        count += d->items[i].exists ? 1 : 0;
    }
    return count;
}

static void flush_all(struct model *m, uint64_t seq)
{
    for (size_t i = 0; i < MODEL_KEYS; i++) {
        m->data.items[i].exists = false;
        m->data.items[i].version = seq; /* also of keys that were never named */
        m->data.items[i].ends = 0;
        m->data.items[i].removed_version = 0;
        m->data.items[i].removed_end = 0;
    }
    m->keyset_version = seq;
}

/* Writes, until a time where that is not 0, or deletes where value is NULL; NULL or the code of the error. */
static const char *write_key(struct model *m, struct model_client *c, size_t k, const char *value, size_t len, uint64_t ends)
{
    struct model_item item = {.exists = value != NULL, .value_len = len, .ends = ends};
    if (value != NULL) {
        memcpy(item.value, value, len);
    }
    if (c->state != OPEN) {
        if (value != NULL || m->data.items[k].exists) {
            store(m, k, &item, ++m->seq);
        }
        return NULL;
    }
    if (c->mode == READONLY) {
        return "READONLY";
    }
    size_t held = 0;
    for (size_t i = 0; i < MODEL_KEYS; i++) {
        held += c->marked[i] || c->wrote[i] ? 1 : 0;
    }
    if (!c->marked[k] && !c->wrote[k] && held >= MODEL_TX_KEYS) {
        return "TOOBIG";
    }
    c->wrote[k] = true;
    c->writes[k] = item;
    return NULL;
}

/* --- IDs --- */

enum { TOKEN_UNKNOWN, TOKEN_OPEN, TOKEN_ABORTED, TOKEN_COMMITTED };

static struct model_token *token_of(struct model *m, const char *text, size_t len)
{
    for (size_t i = 0; i < m->token_count; i++) {
        if (m->tokens[i].len == len && memcmp(m->tokens[i].text, text, len) == 0) {
            return &m->tokens[i];
        }
    }
    if (m->token_count == MODEL_TOKENS) {
        abort();
    }
    struct model_token *t = &m->tokens[m->token_count++];
    t->len = len;
    memcpy(t->text, text, len);
    return t;
}

/* What is open belongs to a client whose transaction is open; all else has ended without a COMMIT. */
static void end_tokens(struct model *m)
{
    for (int i = 0; i < MODEL_CLIENTS; i++) {
        struct model_client *c = &m->clients[i];
        if (c->state != OPEN && c->token != NULL) {
            c->token->state = c->token->state == TOKEN_OPEN ? TOKEN_ABORTED : c->token->state;
            c->token = NULL;
        }
    }
}

static bool is_token(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (text[i] < 0x21 || text[i] > 0x7e) {
            return false;
        }
    }
    return len > 0;
}

static void run_outcome(struct model *m, const char *text, size_t len, struct model_answer *a)
{
    int state = token_of(m, text, len)->state;
    say_text(a, state == TOKEN_COMMITTED ? "COMMITTED" : state == TOKEN_ABORTED ? "ABORTED" : "UNKNOWN");
}

/* --- transactions --- */

static bool writes_anything(const struct model_client *c)
{
    bool any = c->flushed;
    for (size_t i = 0; i < MODEL_KEYS; i++) {
        any = any || c->wrote[i];
    }
    return any;
}

/* Whether a key that the client has read is another one now, for a reader as of its BEGIN. */
static bool has_changed(const struct model *m, const struct model_client *c, const struct model_item *item)
{
    if (item->version <= c->snapshot) {
        return has_ended(item, m->now_ms) && !has_ended(item, c->now_ms);
    }
    bool was_absent = item->removed_version != 0 && item->removed_version <= c->snapshot && item->removed_end <= c->now_ms;
    return !was_absent; /* removed since, and read as absent before */
}

static bool conflicts(const struct model *m, const struct model_client *c)
{
    if (c->mode != SERIALIZABLE || !writes_anything(c)) {
        return false;
    }
    bool changed = c->read_keyset && m->keyset_version > c->snapshot;
    for (size_t i = 0; i < MODEL_KEYS; i++) {
        const struct model_item *item = &m->data.items[i];
        changed = changed || (c->marked[i] && has_changed(m, c, item));
        changed = changed || (c->read_keyset && m->now_ms > c->now_ms && has_ended(item, m->now_ms));
    }
    return changed;
}

static void commit(struct model *m, struct model_client *c, struct model_answer *a)
{
    c->state = NONE;
    if (conflicts(m, c)) {
        say_error(a, "ERR CONFLICT");
        return;
    }
    bool flushes = c->flushed && existing(&m->data) > 0;
    bool effective = flushes;
    for (size_t i = 0; i < MODEL_KEYS; i++) {
        effective = effective || (c->wrote[i] && (c->writes[i].exists || m->data.items[i].exists));
    }
    if (c->token != NULL) {
        c->token->state = TOKEN_COMMITTED;
    }
    if (effective || c->token != NULL) {
        uint64_t seq = ++m->seq;
        if (flushes) {
            flush_all(m, seq);
        }
        for (size_t i = 0; i < MODEL_KEYS; i++) {
            if (c->wrote[i] && (c->writes[i].exists || m->data.items[i].exists)) {
                store(m, i, &c->writes[i], seq);
            }
        }
    }
    say_text(a, "OK");
}

static void begin(struct model *m, struct model_client *c, int mode, struct model_token *token, struct model_answer *a)
{
    c->expired = false;
    if (token != NULL && token->state == TOKEN_COMMITTED) {
        say_error(a, "ERR DONE");
        c->state = FAILED;
        return;
    }
    for (int i = 0; token != NULL && i < MODEL_CLIENTS; i++) {
        if (m->clients[i].token == token) {
            m->clients[i].state = FAILED;
            m->clients[i].expired = true;
            m->clients[i].token = NULL;
        }
    }
    c->token = token;
    if (token != NULL) {
        token->state = TOKEN_OPEN;
    }
    memset(c->wrote, 0, sizeof(c->wrote));
    memset(c->marked, 0, sizeof(c->marked));
    c->flushed = false;
    c->read_keyset = false;
    c->state = OPEN;
    c->mode = mode;
    c->snapshot = m->seq;
    c->now_ms = m->now_ms;
    c->view = m->data;
    say_text(a, "OK");
}

/* --- commands --- */

static bool parse_number(const char *text, size_t len, long long *number)
{
    char copy[32], again[32];
    char *end;
    if (len == 0 || len > 20) {
        return false;
    }
    memcpy(copy, text, len);
    copy[len] = '\0';
    *number = strtoll(copy, &end, 10);
    snprintf(again, sizeof(again), "%lld", *number);
    return strlen(copy) == len && strcmp(copy, again) == 0; /* canonical, and in range */
}

static void run_get(struct model *m, struct model_client *c, size_t k, bool exists_only, struct model_answer *a)
{
    const struct model_item *seen;
    const char *code = look(m, c, k, &seen);
    if (code != NULL) {
        fail(c, a, code);
    } else if (exists_only) {
        say_number(a, seen->exists);
    } else {
        say(a, seen->value, seen->exists ? seen->value_len : 0);
    }
}

static void run_incr(struct model *m, struct model_client *c, size_t k, long long by, struct model_answer *a)
{
    const struct model_item *seen;
    long long number = 0, sum;
    char text[32];
    const char *code = c->state == OPEN && c->mode == READONLY ? "READONLY" : look(m, c, k, &seen);
    if (code == NULL && seen->exists && !parse_number(seen->value, seen->value_len, &number)) {
        code = "NOTINT";
    }
    if (code == NULL && __builtin_add_overflow(number, by, &sum)) {
        code = "OVERFLOW";
    }
    if (code == NULL) {
        snprintf(text, sizeof(text), "%lld", sum);
        code = write_key(m, c, k, text, strlen(text), seen->ends);
    }
    if (code != NULL) {
        fail(c, a, code);
    } else {
        say_text(a, text);
    }
}

/* --- keys that end --- */

static void answer_flag(struct model_client *c, const char *code, bool flag, struct model_answer *a)
{
    if (code != NULL) {
        fail(c, a, code);
    } else {
        say_number(a, flag);
    }
}

static void run_setnx(struct model *m, struct model_client *c, size_t k, const struct words *w, struct model_answer *a)
{
    const struct model_item *seen;
    const char *code = look(m, c, k, &seen);
    bool exists = seen->exists;
    if (code == NULL && !exists) {
        code = write_key(m, c, k, w->at[2], w->len[2], 0);
    }
    answer_flag(c, code, !exists, a);
}

/* Seconds from a client's now on as Unix milliseconds; false where that is beyond any. */
static bool after_seconds(const struct model *m, const struct model_client *c, long long seconds, long long *at)
{
    return !__builtin_mul_overflow(seconds, 1000LL, at) && !__builtin_add_overflow(*at, (long long)time_of(m, c), at);
}

static void run_setex(struct model *m, struct model_client *c, size_t k, const struct words *w, struct model_answer *a)
{
    long long seconds, at;
    const char *code = NULL;
    if (!parse_number(w->at[2], w->len[2], &seconds)) {
        code = "NOTINT";
    } else if (seconds <= 0 || !after_seconds(m, c, seconds, &at)) {
        code = "SYNTAX";
    } else {
        code = write_key(m, c, k, w->at[3], w->len[3], (uint64_t)at);
    }
    if (code != NULL) {
        fail(c, a, code);
    } else {
        say_text(a, "OK");
    }
}

/* Gives a key another end; 0: none. */
static const char *change_end(struct model *m, struct model_client *c, size_t k, const struct model_item *seen, long long at)
{
    struct model_item copy = *seen;
    bool ended = at < 0 || (at > 0 && (uint64_t)at <= time_of(m, c));
    return ended ? write_key(m, c, k, NULL, 0, 0) : write_key(m, c, k, copy.value, copy.value_len, (uint64_t)at);
}

static void run_expire(struct model *m, struct model_client *c, size_t k, const struct words *w, struct model_answer *a)
{
    const struct model_item *seen = &nothing;
    long long seconds, at;
    const char *code = NULL;
    if (!parse_number(w->at[2], w->len[2], &seconds)) {
        code = "NOTINT";
    } else if (!after_seconds(m, c, seconds, &at)) {
        code = "SYNTAX";
    } else {
        code = look(m, c, k, &seen);
    }
    bool exists = code == NULL && seen->exists;
    if (exists) {
        code = change_end(m, c, k, seen, at == 0 ? -1 : at);
    }
    answer_flag(c, code, exists, a);
}

static void run_persist(struct model *m, struct model_client *c, size_t k, struct model_answer *a)
{
    const struct model_item *seen;
    const char *code = look(m, c, k, &seen);
    bool ends = seen->exists && seen->ends != 0;
    if (code == NULL && ends) {
        code = change_end(m, c, k, seen, 0);
    }
    answer_flag(c, code, ends, a);
}

static void run_ttl(struct model *m, struct model_client *c, size_t k, struct model_answer *a)
{
    const struct model_item *seen;
    const char *code = look(m, c, k, &seen);
    if (code != NULL) {
        fail(c, a, code);
    } else if (!seen->exists) {
        say_number(a, -2);
    } else {
        say_number(a, seen->ends == 0 ? -1 : (long long)((seen->ends - time_of(m, c) + 500) / 1000));
    }
}

static void run_mget(struct model *m, struct model_client *c, const struct words *w, struct model_answer *a)
{
    size_t len = a->len, lines = a->lines;
    for (size_t i = 1; i < w->count; i++) {
        const struct model_item *seen;
        const char *code = look(m, c, item_of(m, w->at[i], w->len[i]), &seen);
        if (code != NULL) {
            a->len = len;
            a->lines = lines;
            fail(c, a, code);
            return;
        }
        say(a, seen->value, seen->exists ? seen->value_len : 0);
    }
}

static void run_dbsize(struct model *m, struct model_client *c, struct model_answer *a)
{
    if (c->state != OPEN) {
        say_number(a, (long long)existing(&m->data));
        return;
    }
    c->read_keyset = c->read_keyset || (!c->flushed && c->mode == SERIALIZABLE);
    size_t count = 0;
    for (size_t i = 0; i < MODEL_KEYS; i++) {
        bool was = !c->flushed && i < c->view.count && c->view.items[i].exists;
        count += (c->wrote[i] ? c->writes[i].exists : was) ? 1 : 0;
    }
    say_number(a, (long long)count);
}

static void run_flush(struct model *m, struct model_client *c, struct model_answer *a)
{
    if (c->state == OPEN && c->mode == READONLY) {
        fail(c, a, "READONLY");
        return;
    }
    if (c->state == OPEN) {
        memset(c->wrote, 0, sizeof(c->wrote));
        c->flushed = true;
    } else if (existing(&m->data) > 0) {
        flush_all(m, ++m->seq);
    }
    say_text(a, "OK");
}

/* --- parsing --- */

static const struct {
    const char *name;
    size_t min, max; /* words after the verb */
    int keys;        /* how many of them are keys; -1 = all */
} commands[] = {{"GET", 1, 1, 1},    {"SET", 2, 2, 1},    {"DEL", 1, 1, 1},   {"EXISTS", 1, 1, 1}, {"INCR", 1, 2, 1},
                {"MGET", 1, 1024, -1}, {"DBSIZE", 0, 0, 0}, {"FLUSH", 0, 0, 0}, {"BEGIN", 0, 3, 0},  {"COMMIT", 0, 0, 0},
                {"ROLLBACK", 0, 0, 0}, {"OUTCOME", 1, 1, 0}, {"CHECKPOINT", 0, 0, 0}, {"BACKUP", 1, 1, 0}, {"PING", 0, 0, 0},
                {"HELP", 0, 1, 0},  {"QUIT", 0, 0, 0},  {"SETNX", 2, 2, 1},  {"SETEX", 3, 3, 1},  {"EXPIRE", 2, 2, 1},
                {"TTL", 1, 1, 1},   {"PERSIST", 1, 1, 1}};

enum {
    GET, SET, DEL, EXISTS, INCR, MGET, DBSIZE, FLUSH, BEGIN, COMMIT, ROLLBACK, OUTCOME, CHECKPOINT, BACKUP, PING, HELP, QUIT, SETNX, SETEX, EXPIRE,
    TTL, PERSIST, UNKNOWN
};

static int find(const char *verb, size_t len)
{
    for (int i = 0; i < UNKNOWN; i++) {
        if (strlen(commands[i].name) == len && strncasecmp(commands[i].name, verb, len) == 0) {
            return i;
        }
    }
    return UNKNOWN;
}

static bool is(const char *text, size_t len, const char *word)
{
    return strlen(word) == len && strncasecmp(word, text, len) == 0;
}

/* Where among the words of a command its value stands, which takes all that is left of the line; 0 for none. */
static size_t value_at(int which)
{
    return which == SET || which == SETNX ? 2 : which == SETEX ? 3 : 0;
}

static void split(const char *line, size_t len, int which, struct words *w)
{
    size_t from = 0;
    w->count = 0;
    for (size_t i = 0; i <= len; i++) {
        bool rest = w->count > 0 && w->count == value_at(which);
        if (i == len || (line[i] == ' ' && !rest)) {
            w->at[w->count] = line + from;
            w->len[w->count++] = i - from;
            from = i + 1;
        }
    }
}

/* The words of BEGIN: how many of them are a mode, and where the token stands; 0 for none. */
static size_t begin_modes(const struct words *w)
{
    bool mode = w->count > 1 && (is(w->at[1], w->len[1], "SERIALIZABLE") || is(w->at[1], w->len[1], "READONLY"));
    return mode ? 1 : 0;
}

static size_t begin_token(const struct words *w)
{
    size_t id = 1 + begin_modes(w);
    return w->count == id + 2 && is(w->at[id], w->len[id], "ID") ? id + 1 : 0;
}

static const char *check_token(const struct words *w, size_t at)
{
    return !is_token(w->at[at], w->len[at]) ? "SYNTAX" : w->len[at] > MODEL_TOKEN_MAX ? "TOOBIG" : NULL;
}

static const char *check(int which, const struct words *w)
{
    size_t args = w->count - 1;
    if (args < commands[which].min || args > commands[which].max) {
        return "SYNTAX";
    }
    size_t keys = commands[which].keys < 0 ? args : (size_t)commands[which].keys;
    for (size_t i = 1; i <= keys; i++) {
        bool bad = w->len[i] == 0;
        for (size_t j = 0; j < w->len[i]; j++) {
            unsigned char byte = (unsigned char)w->at[i][j];
            bad = bad || byte < 0x20 || byte == 0x7f;
        }
        if (bad) {
            return "SYNTAX";
        }
        if (w->len[i] > MODEL_KEY_MAX) {
            return "TOOBIG";
        }
    }
    long long number;
    if (value_at(which) > 0 && w->len[value_at(which)] > MODEL_VALUE_MAX) {
        return "TOOBIG";
    }
    if (which == INCR && args == 2 && !parse_number(w->at[2], w->len[2], &number)) {
        return "NOTINT";
    }
    if (which == OUTCOME) {
        return check_token(w, 1);
    }
    if (which == BEGIN && begin_token(w) > 0) {
        return check_token(w, begin_token(w));
    }
    return which != BEGIN || args == begin_modes(w) ? NULL : "SYNTAX";
}

static void run_begin(struct model *m, struct model_client *c, const struct words *w, struct model_answer *a)
{
    size_t at = begin_token(w);
    struct model_token *token = at == 0 ? NULL : token_of(m, w->at[at], w->len[at]);
    begin(m, c, begin_modes(w) == 0 ? PLAIN : is(w->at[1], w->len[1], "READONLY") ? READONLY : SERIALIZABLE, token, a);
}

static void run(struct model *m, struct model_client *c, int which, const struct words *w, struct model_answer *a)
{
    size_t k = commands[which].keys == 1 ? item_of(m, w->at[1], w->len[1]) : 0;
    long long by = 1;
    const char *code = NULL;
    switch (which) {
    case GET:
    case EXISTS:
        run_get(m, c, k, which == EXISTS, a);
        return;
    case INCR:
        if (w->count == 3) {
            parse_number(w->at[2], w->len[2], &by);
        }
        run_incr(m, c, k, by, a);
        return;
    case MGET:
        run_mget(m, c, w, a);
        return;
    case DBSIZE:
        run_dbsize(m, c, a);
        return;
    case FLUSH:
        run_flush(m, c, a);
        return;
    case BEGIN:
        run_begin(m, c, w, a);
        return;
    case OUTCOME:
        run_outcome(m, w->at[1], w->len[1], a);
        return;
    case CHECKPOINT:
    case BACKUP:
        fail(c, a, "DISK");
        return;
    case HELP:
        if (w->count == 2 && find(w->at[1], w->len[1]) == UNKNOWN) {
            fail(c, a, "UNKNOWN");
        } else {
            say_kind(a, MODEL_ANY, "", 0);
        }
        return;
    case COMMIT:
        if (c->state == OPEN) {
            commit(m, c, a);
        } else {
            fail(c, a, "NOTX");
        }
        return;
    case PING:
        say_text(a, "+PONG");
        return;
    case SETNX:
        run_setnx(m, c, k, w, a);
        return;
    case SETEX:
        run_setex(m, c, k, w, a);
        return;
    case EXPIRE:
        run_expire(m, c, k, w, a);
        return;
    case TTL:
        run_ttl(m, c, k, a);
        return;
    case PERSIST:
        run_persist(m, c, k, a);
        return;
    case SET:
    case DEL:
        code = write_key(m, c, k, which == SET ? w->at[2] : NULL, which == SET ? w->len[2] : 0, 0);
        break;
    default:
        break;
    }
    if (code != NULL) {
        fail(c, a, code);
    } else {
        say_text(a, "OK");
    }
}

/* tail: what follows the first space of what is seen of the line */
static bool is_http(const char *line, size_t len, size_t verb_len, const char *tail, bool too_long)
{
    static const char *const methods[] = {"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "CONNECT", "PRI"};
    bool method = false;
    for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
        method = method || (strlen(methods[i]) == verb_len && memcmp(methods[i], line, verb_len) == 0);
    }
    if (tail == NULL) {
        return false;
    }
    size_t left = (size_t)(line + (too_long ? 16 : len) - tail);
    bool target = left > 0 && (tail[0] == '/' || (left >= 4 && memcmp(tail, "http", 4) == 0));
    if (too_long) {
        return method && target;
    }
    return (method || target) && len >= 9 && memcmp(line + len - 9, " HTTP/", 6) == 0;
}

/* The length of the verb that bytes begin with: up to a space or a CR. */
static size_t verb_length(const char *bytes, size_t len)
{
    size_t verb_len = 0;
    while (verb_len < len && bytes[verb_len] != ' ' && bytes[verb_len] != '\r') {
        verb_len++;
    }
    return verb_len;
}

static bool is_foreign_start(const char *bytes, size_t len)
{
    return bytes[0] == 0x16 || bytes[0] == '*' || (len >= 4 && memcmp(bytes, "SSH-", 4) == 0);
}

static void refuse(struct model_client *c, struct model_answer *a)
{
    say_error(a, "ERR SYNTAX");
    c->closed = true;
    c->state = NONE;
}

static void take_line(struct model *m, int client, const char *line, size_t len, struct model_answer *a)
{
    struct model_client *c = &m->clients[client];
    struct words w;
    len -= len > 0 && line[len - 1] == '\r' ? 1 : 0;
    if (c->closed || len == 0) {
        return;
    }
    bool too_long = len > MODEL_LINE_MAX;
    size_t seen = too_long ? 16 : len;
    size_t verb_len = verb_length(line, seen);
    const char *space = memchr(line, ' ', seen);
    const char *tail = space == NULL ? NULL : space + 1;
    if (!c->began && (is_foreign_start(line, len) || is_http(line, len, verb_len, tail, too_long))) {
        refuse(c, a);
        return;
    }
    c->began = true;
    int which = find(line, verb_len);
    const char *code = NULL;
    if (too_long) {
        code = "TOOBIG";
    } else if (verb_len == 0 || memchr(line, '\r', len) != NULL) {
        code = "SYNTAX";
    } else if (which == UNKNOWN) {
        code = "UNKNOWN";
    } else {
        split(line, len, which, &w);
        code = check(which, &w);
    }
    if (c->state == FAILED) {
        if (code == NULL && (which == QUIT || which == ROLLBACK)) {
            c->closed = which == QUIT;
            c->state = NONE;
            if (which == ROLLBACK) {
                say_text(a, "OK");
            }
            return;
        }
        say_error(a, c->expired ? "ERR EXPIRED" : "ERR ABORTED");
        c->state = code == NULL && which == COMMIT ? NONE : FAILED;
    } else if (c->state == OPEN && which == BEGIN && !too_long) {
        say_error(a, "ERR INTX");
    } else if (code != NULL) {
        bool refused = which == BEGIN && c->state == NONE;
        fail(c, a, code);
        c->state = refused ? FAILED : c->state;
        c->expired = refused ? false : c->expired;
    } else if (which == QUIT) {
        c->closed = true;
        c->state = NONE;
    } else if (which == ROLLBACK) {
        if (c->state == OPEN) {
            say_text(a, "OK");
        } else {
            say_error(a, "ERR NOTX");
        }
        c->state = NONE;
    } else {
        run(m, c, which, &w, a);
    }
}

void model_line(struct model *m, int client, const char *line, size_t len, struct model_answer *a)
{
    end_tokens(m);
    take_line(m, client, line, len, a);
    end_tokens(m);
}

void model_partial(struct model *m, int client, const char *bytes, size_t len, struct model_answer *a)
{
    struct model_client *c = &m->clients[client];
    if (len == 0 || c->closed || c->began) {
        return;
    }
    bool too_long = len > MODEL_LINE_MAX + 1; /* the last byte may be the CR of the line's end */
    const char *space = memchr(bytes, ' ', too_long ? 16 : len);
    size_t verb_len = verb_length(bytes, too_long ? 16 : len);
    if (is_foreign_start(bytes, len) || (too_long && space != NULL && is_http(bytes, len, verb_len, space + 1, true))) {
        refuse(c, a);
    }
}
