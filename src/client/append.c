/* append: commands on their way out. Each becomes one line in the handle's out queue and one entry in pending. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "client.h"

const struct verb txkv_verbs[VERB_COUNT] = {
    [VERB_GET] = {"GET", ANSWER_VALUE, false},
    [VERB_SET] = {"SET", ANSWER_OK, true},
    [VERB_DEL] = {"DEL", ANSWER_OK, true},
    [VERB_EXISTS] = {"EXISTS", ANSWER_INT, false},
    [VERB_INCR] = {"INCR", ANSWER_INT, true},
    [VERB_MGET] = {"MGET", ANSWER_VALUE, false},
    [VERB_BEGIN] = {"BEGIN", ANSWER_OK, false},
    [VERB_COMMIT] = {"COMMIT", ANSWER_OK, true},
    [VERB_ROLLBACK] = {"ROLLBACK", ANSWER_OK, false},
    [VERB_OUTCOME] = {"OUTCOME", ANSWER_ANY, false},
    [VERB_AUTH] = {"AUTH", ANSWER_OK, false},
    [VERB_PING] = {"PING", ANSWER_ANY, false},
    [VERB_DBSIZE] = {"DBSIZE", ANSWER_INT, false},
    [VERB_KEYS] = {"KEYS", ANSWER_LIST, false},
    [VERB_HELP] = {"HELP", ANSWER_ANY, false},
    [VERB_QUIT] = {"QUIT", ANSWER_END, false},
    [VERB_OTHER] = {"", ANSWER_ANY, true},
};

void txkv_pipe_reset(struct txkv *c)
{
    c->in.start = c->in.end = 0;
    c->out.start = c->out.end = 0;
    c->appended = c->sent = 0;
    c->pending_head = c->pending_count = 0;
    c->scanned = c->found = 0;
    c->state = TXKV_STATE_NONE;
    c->appended_tx = c->appended_quit = false;
    c->without_ids = 0;
}

static int reserve_pending(struct txkv *c)
{
    if (c->pending_head + c->pending_count < c->pending_cap) {
        return TXKV_OK;
    }
    if (c->pending_head > c->pending_cap / 2) {
        memmove(c->pending, c->pending + c->pending_head, c->pending_count * sizeof *c->pending);
        c->pending_head = 0;
        return TXKV_OK;
    }
    size_t cap = c->pending_cap == 0 ? 16 : c->pending_cap * 2;
    struct pending *grown = realloc(c->pending, cap * sizeof *grown);
    if (grown == NULL) {
        return TXKV_ERR_NOMEM;
    }
    c->pending = grown;
    c->pending_cap = cap;
    return TXKV_OK;
}

/* Makes room for a command whose line has len bytes, so that finish_line cannot fail. *line is where its bytes go. */
static int start_line(struct txkv *c, size_t len, char **line)
{
    *line = NULL;
    if (c->fd < 0 || c->deaf) {
        return txkv_fail(c, TXKV_ERR_LOST, "connection lost: %s", c->fd < 0 ? c->why : "the server takes no more");
    }
    if (c->appended_quit) {
        return txkv_fail(c, TXKV_ERR_LOST, "nothing can follow QUIT");
    }
    if (c->pending_count == 0 && c->in.start < c->in.end) {
        txkv_check(c); /* breaks the connection, saying what came */
        return TXKV_ERR_PROTOCOL;
    }
    *line = len > SIZE_MAX - 2 ? NULL : txkv_bytes_reserve(&c->out, len + 2);
    if (*line == NULL || reserve_pending(c) != TXKV_OK) {
        return txkv_fail(c, TXKV_ERR_NOMEM, "out of memory");
    }
    return TXKV_OK;
}

/* Takes the len bytes written where start_line said as a command. */
static int finish_line(struct txkv *c, enum verb_id verb, size_t lines, size_t len)
{
    memcpy(c->out.data + c->out.end + len, "\r\n", 2);
    c->out.end += len + 2;
    c->appended += len + 2;
    c->pending[c->pending_head + c->pending_count] = (struct pending){
        .end = c->appended,
        .lines = lines,
        .verb = verb,
        .changes = txkv_verbs[verb].writes && (verb == VERB_COMMIT || !c->appended_tx),
    };
    c->pending_count++;
    if (verb == VERB_BEGIN) {
        c->appended_tx = true; /* a refused one opens a failed transaction: nothing behind it runs outside one */
    } else if (verb == VERB_COMMIT || verb == VERB_ROLLBACK) {
        c->appended_tx = false;
    }
    c->appended_quit = verb == VERB_QUIT;
    return TXKV_OK;
}

static int check_key(struct txkv *c, const char *key)
{
    if (key == NULL || key[0] == '\0') {
        return txkv_fail(c, TXKV_ERR_ARG, "a key must not be empty");
    }
    size_t len = 0;
    for (; key[len] != '\0'; len++) {
        unsigned char byte = (unsigned char)key[len];
        if (byte <= ' ' || byte == 0x7f) {
            return txkv_fail(c, TXKV_ERR_ARG, "a key must not hold spaces or control bytes (byte %zu is 0x%02x)", len,
                             byte);
        }
        if (len == TXKV_KEY_MAX) {
            return txkv_fail(c, TXKV_ERR_ARG, "a key must not have more than %d bytes", TXKV_KEY_MAX);
        }
    }
    return TXKV_OK;
}

/* Whether bytes can stand in a line. */
static bool one_line(const char *bytes, size_t len)
{
    return len == 0 || (memchr(bytes, '\n', len) == NULL && memchr(bytes, '\r', len) == NULL);
}

/* Writes a word where the line is being made and returns where to go on. */
static char *put(char *at, const char *bytes, size_t len)
{
    if (len > 0) {
        memcpy(at, bytes, len);
    }
    return at + len;
}

/* Appends a verb with what follows it; "" for nothing. */
static int append_word(struct txkv *c, enum verb_id verb, const char *word)
{
    size_t verb_len = strlen(txkv_verbs[verb].name);
    size_t word_len = strlen(word);
    size_t len = verb_len + (word_len > 0 ? 1 + word_len : 0);
    char *line;
    int rc = start_line(c, len, &line);
    if (rc != TXKV_OK) {
        return rc;
    }
    line = put(line, txkv_verbs[verb].name, verb_len);
    if (word_len > 0) {
        line = put(line, " ", 1);
        put(line, word, word_len);
    }
    return finish_line(c, verb, 1, len);
}

static int append_key(struct txkv *c, enum verb_id verb, const char *key)
{
    int rc = check_key(c, key);
    return rc == TXKV_OK ? append_word(c, verb, key) : rc;
}

int txkv_append_get(struct txkv *c, const char *key)
{
    return append_key(c, VERB_GET, key);
}

int txkv_append_del(struct txkv *c, const char *key)
{
    return append_key(c, VERB_DEL, key);
}

int txkv_append_exists(struct txkv *c, const char *key)
{
    return append_key(c, VERB_EXISTS, key);
}

int txkv_append_incr(struct txkv *c, const char *key, int64_t by)
{
    int rc = check_key(c, key);
    if (rc != TXKV_OK) {
        return rc;
    }
    char words[TXKV_KEY_MAX + 32];
    snprintf(words, sizeof words, "%s %" PRId64, key, by);
    return append_word(c, VERB_INCR, words);
}

int txkv_append_set(struct txkv *c, const char *key, const void *value, size_t len)
{
    int rc = check_key(c, key);
    if (rc != TXKV_OK) {
        return rc;
    }
    if (value == NULL && len > 0) {
        return txkv_fail(c, TXKV_ERR_ARG, "there is no value");
    }
    if (!one_line(value, len)) {
        return txkv_fail(c, TXKV_ERR_ARG, "a value must not hold CR or LF");
    }
    size_t key_len = strlen(key);
    size_t head = strlen("SET ") + key_len + 1;
    char *line;
    rc = start_line(c, len > SIZE_MAX / 2 ? SIZE_MAX : head + len, &line);
    if (rc != TXKV_OK) {
        return rc;
    }
    line = put(line, "SET ", 4);
    line = put(line, key, key_len);
    line = put(line, " ", 1);
    put(line, value, len);
    return finish_line(c, VERB_SET, 1, head + len);
}

int txkv_append_mget(struct txkv *c, const char *const *keys, size_t count)
{
    if (keys == NULL || count == 0) {
        return txkv_fail(c, TXKV_ERR_ARG, "MGET needs a key");
    }
    size_t len = strlen("MGET");
    for (size_t i = 0; i < count; i++) {
        int rc = check_key(c, keys[i]);
        if (rc != TXKV_OK) {
            return rc;
        }
        len += 1 + strlen(keys[i]);
    }
    char *line;
    int rc = start_line(c, len, &line);
    if (rc != TXKV_OK) {
        return rc;
    }
    line = put(line, "MGET", 4);
    for (size_t i = 0; i < count; i++) {
        line = put(line, " ", 1);
        line = put(line, keys[i], strlen(keys[i]));
    }
    return finish_line(c, VERB_MGET, count, len);
}

/* The word of a mode, or NULL after an error. */
static const char *mode_word(struct txkv *c, enum txkv_mode mode)
{
    static const char *const words[] = {
        [TXKV_DEFAULT] = "", [TXKV_SERIALIZABLE] = "SERIALIZABLE", [TXKV_READONLY] = "READONLY"};
    if ((size_t)mode >= sizeof words / sizeof words[0]) {
        txkv_fail(c, TXKV_ERR_ARG, "there is no transaction mode %d", (int)mode);
        return NULL;
    }
    return words[mode];
}

static int check_id(struct txkv *c, const char *id)
{
    size_t len = 0;
    while (id != NULL && len <= TXKV_ID_MAX && id[len] > ' ' && id[len] <= '~') {
        len++;
    }
    if (len == 0 || len > TXKV_ID_MAX || id[len] != '\0') {
        return txkv_fail(c, TXKV_ERR_ARG, "an ID must be 1 to %d printable ASCII bytes without spaces", TXKV_ID_MAX);
    }
    return TXKV_OK;
}

int txkv_append_begin(struct txkv *c, enum txkv_mode mode)
{
    const char *word = mode_word(c, mode);
    return word == NULL ? TXKV_ERR_ARG : append_word(c, VERB_BEGIN, word);
}

int txkv_append_begin_id(struct txkv *c, enum txkv_mode mode, const char *id)
{
    char words[TXKV_ID_MAX + 32];
    const char *word = mode_word(c, mode);
    if (word == NULL || check_id(c, id) != TXKV_OK) {
        return TXKV_ERR_ARG;
    }
    snprintf(words, sizeof words, "%s%sID %s", word, word[0] == '\0' ? "" : " ", id);
    return append_word(c, VERB_BEGIN, words);
}

int txkv_append_outcome(struct txkv *c, const char *id)
{
    int rc = check_id(c, id);
    return rc == TXKV_OK ? append_word(c, VERB_OUTCOME, id) : rc;
}

int txkv_append_auth(struct txkv *c, const char *password)
{
    size_t len = password == NULL ? 0 : strlen(password);
    if (len == 0 || len > TXKV_PASSWORD_MAX || !one_line(password, len)) {
        return txkv_fail(c, TXKV_ERR_ARG, "a password must be 1 to %d bytes without CR and LF", TXKV_PASSWORD_MAX);
    }
    return append_word(c, VERB_AUTH, password);
}

int txkv_append_commit(struct txkv *c)
{
    return append_word(c, VERB_COMMIT, "");
}

int txkv_append_rollback(struct txkv *c)
{
    return append_word(c, VERB_ROLLBACK, "");
}

/* The verb of a line. COMMIT, ROLLBACK and QUIT are themselves only when nothing follows them: with more in the line
 * they are refused, and neither end a transaction nor the connection. */
static enum verb_id verb_of(const char *line, size_t len)
{
    const char *space = memchr(line, ' ', len);
    size_t word_len = space == NULL ? len : (size_t)(space - line);
    for (size_t i = 0; i < VERB_OTHER; i++) {
        if (strlen(txkv_verbs[i].name) == word_len && strncasecmp(txkv_verbs[i].name, line, word_len) == 0) {
            bool ends = i == VERB_COMMIT || i == VERB_ROLLBACK || i == VERB_QUIT;
            return ends && len > word_len ? VERB_OTHER : (enum verb_id)i;
        }
    }
    return VERB_OTHER;
}

int txkv_append(struct txkv *c, const char *line, size_t len)
{
    if (line == NULL || len == 0) {
        return txkv_fail(c, TXKV_ERR_ARG, "a command must not be empty");
    }
    if (!one_line(line, len)) {
        return txkv_fail(c, TXKV_ERR_ARG, "a command must not hold CR or LF");
    }
    char *place;
    int rc = start_line(c, len, &place);
    if (rc != TXKV_OK) {
        return rc;
    }
    enum verb_id verb = verb_of(line, len);
    size_t lines = 1;
    if (verb == VERB_MGET) { /* a key for each space; a line where that is not so is refused in one line */
        lines = 0;
        for (size_t i = 0; i < len; i++) {
            lines += line[i] == ' ';
        }
        lines = lines == 0 ? 1 : lines;
    }
    put(place, line, len);
    return finish_line(c, verb, lines, len);
}
