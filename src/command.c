#include "command.h"

#include <assert.h>
#include <ctype.h>
#include <stdio.h>
#include <strings.h>

#include "command_run.h"
#include "err.h"
#include "hash.h"

/* --- the functions of the commands --- */

void command_refuse(struct session *s, int err)
{
    s->scope_failed = s->scope_failed || (s->scope != NULL && (err == ERR_TOOBIG || err == ERR_FULL));
    char text[160];
    const struct store_limits *limits = &s->engine->store_limits;
    switch (err) {
    case ERR_TOOBIG:
        snprintf(text, sizeof(text), "a transaction may hold %zu bytes and %zu keys (--tx-bytes, --tx-keys)",
                 limits->txn.bytes, limits->txn.keys);
        break;
    case ERR_FULL:
        snprintf(text, sizeof(text), "no memory for this (--maxmemory); reads and deletions still work");
        break;
    case ERR_READONLY:
        snprintf(text, sizeof(text), "this transaction is READONLY; begin one without READONLY to write");
        break;
    default:
        snprintf(text, sizeof(text), "%s", err_text(err));
    }
    session_error(s, err, text);
}

static void answer_ok(struct session *s)
{
    session_answer(s, s->proto->ok(&s->out));
}

void command_done(struct session *s, int rc)
{
    if (rc < 0) {
        command_refuse(s, rc);
    } else {
        answer_ok(s);
    }
}

void command_number(struct session *s, int rc, int64_t number)
{
    if (rc < 0) {
        command_refuse(s, rc);
    } else {
        session_answer(s, s->proto->integer(&s->out, number));
    }
}

void command_complain(struct session *s, const char *text)
{
    session_complain(s, text);
}

void command_complain_syntax(struct session *s)
{
    session_complain(s, "ERR syntax error");
}

bool command_is_word(struct slice word, const char *name)
{
    return word.len == strlen(name) && strncasecmp(word.data, name, word.len) == 0;
}

int command_scope_open(struct session *s, bool *own)
{
    *own = session_txn(s) == NULL;
    if (!*own) {
        return 0;
    }
    int rc = store_begin(&s->engine->store, &s->engine->single, TXN_PLAIN);
    *own = rc == 0;
    s->scope = rc == 0 ? &s->engine->single : NULL;
    return rc;
}

int command_scope_close(struct session *s, bool own, int rc)
{
    if (!own) {
        return rc;
    }
    s->scope = NULL;
    if (rc < 0) {
        store_rollback(&s->engine->store, &s->engine->single);
        return rc;
    }
    return store_commit(&s->engine->store, &s->engine->single);
}

void command_run_sub(struct session *s, const struct request *r, const struct subcommand *subs, size_t count)
{
    char text[256];
    for (size_t i = 0; i < count; i++) {
        if (!command_is_word(r->args[0], subs[i].name)) {
            continue;
        }
        if (r->count - 1 >= subs[i].args_min && r->count - 1 <= subs[i].args_max) {
            subs[i].run(s, r);
            return;
        }
        int len = snprintf(text, sizeof(text), "ERR wrong number of arguments for '%s|%s' command", r->command->name,
                           subs[i].name);
        for (int at = 0; at < len; at++) {
            bool named = at > (int)strlen("ERR wrong number of arguments for ");
            text[at] = (char)(named ? tolower((unsigned char)text[at]) : text[at]);
        }
        session_complain(s, text);
        return;
    }
    int shown = r->args[0].len < 128 ? (int)r->args[0].len : 128;
    snprintf(text, sizeof(text), "ERR unknown subcommand '%.*s'. Try %s HELP.", shown, r->args[0].data, r->command->name);
    session_complain(s, text);
}

/* Answers OK to what ends or begins a transaction. */
static void answer_transaction(struct session *s)
{
    if (!s->engine->quiet_transactions) {
        answer_ok(s);
    }
}

static void run_get(struct session *s, const struct request *r)
{
    struct slice value;
    int found = store_get(&s->engine->store, session_txn(s), r->args[0], r->hash, &value);
    if (found < 0) {
        command_refuse(s, found);
    } else {
        session_found(s, found, value);
    }
}

void run_set(struct session *s, const struct request *r)
{
    int rc = store_set(&s->engine->store, session_txn(s), r->args[0], r->hash, r->args[1]);
    if (rc < 0) {
        command_refuse(s, rc);
    } else {
        answer_ok(s);
    }
}

static void run_del(struct session *s, const struct request *r)
{
    int rc = store_delete(&s->engine->store, session_txn(s), r->args[0], r->hash);
    if (rc < 0) {
        command_refuse(s, rc);
    } else {
        answer_ok(s);
    }
}

static void run_exists(struct session *s, const struct request *r)
{
    struct slice value;
    int found = store_get(&s->engine->store, session_txn(s), r->args[0], r->hash, &value);
    if (found < 0) {
        command_refuse(s, found);
    } else {
        session_answer(s, s->proto->integer(&s->out, found));
    }
}

static void run_incr(struct session *s, const struct request *r)
{
    int64_t by = 1;
    int64_t sum;
    if (r->count == 2) {
        bool is_number = store_parse_integer(r->args[1], &by);
        assert(is_number); /* command_parse has checked it */
        (void)is_number;
    }
    int rc = store_increment(&s->engine->store, session_txn(s), r->args[0], r->hash, by, &sum);
    if (rc < 0) {
        command_refuse(s, rc);
    } else {
        session_answer(s, s->proto->integer(&s->out, sum));
    }
}

#define MGET_GROUP 16
#define MGET_TOO_LONG 1
#define MGET_BINARY 2

/* Answers some of the keys; 0, or MGET_TOO_LONG, MGET_BINARY, or an error of the store: then an error is to be the only answer. */
static int mget_group(struct session *s, const struct slice *keys, size_t count, size_t mark)
{
    uint32_t hashes[MGET_GROUP];
    for (size_t i = 0; i < count; i++) {
        hashes[i] = hash_of(keys[i]);
    }
    store_prefetch(&s->engine->store, hashes, count);
    s->engine->store.steps += count;
    for (size_t i = 0; i < count; i++) {
        struct slice value;
        int found = store_get(&s->engine->store, session_txn(s), keys[i], hashes[i], &value);
        if (found < 0) {
            return found;
        }
        if (found == 1 && buf_len(&s->out) - mark + value.len > s->engine->limits.answer_bytes) {
            return MGET_TOO_LONG;
        }
        if (found == 1 && !session_carries(s, value)) {
            return MGET_BINARY;
        }
        session_answer(s, found == 1 ? s->proto->value(&s->out, value) : s->proto->absent(&s->out));
    }
    return 0;
}

static void run_mget(struct session *s, const struct request *r)
{
    size_t mark = buf_len(&s->out);
    int rc = 0;
    session_answer(s, s->proto->array(&s->out, r->count));
    for (size_t i = 0; i < r->count && rc == 0; i += MGET_GROUP) {
        size_t count = r->count - i < MGET_GROUP ? r->count - i : MGET_GROUP;
        rc = mget_group(s, r->args + i, count, mark);
    }
    if (rc != 0) {
        buf_truncate(&s->out, mark);
    }
    if (rc == MGET_TOO_LONG) {
        char text[96];
        snprintf(text, sizeof(text), "the answer is over %zu bytes (--answer-max); ask for fewer keys",
                 s->engine->limits.answer_bytes);
        session_error(s, ERR_TOOBIG, text);
    } else if (rc == MGET_BINARY) {
        session_uncarried(s);
    } else if (rc < 0) {
        command_refuse(s, rc);
    }
}

static void run_dbsize(struct session *s, const struct request *r)
{
    (void)r;
    session_answer(s, s->proto->integer(&s->out, (int64_t)store_count(&s->engine->store, session_txn(s))));
}

static void run_flush(struct session *s, const struct request *r)
{
    (void)r;
    int rc = store_flush(&s->engine->store, session_txn(s));
    if (rc < 0) {
        command_refuse(s, rc);
    } else {
        answer_ok(s);
    }
}

static const struct {
    const char *name;
    enum txn_mode mode;
} modes[] = {{"SERIALIZABLE", TXN_SERIALIZABLE}, {"READONLY", TXN_READONLY}};

static bool find_mode(struct slice name, enum txn_mode *mode)
{
    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        if (name.len == strlen(modes[i].name) && strncasecmp(name.data, modes[i].name, name.len) == 0) {
            *mode = modes[i].mode;
            return true;
        }
    }
    return false;
}

/* What the words behind BEGIN say: [SERIALIZABLE|READONLY] [ID token]. */
struct begin_words {
    bool has_mode;
    bool has_token;
    enum txn_mode mode;
    struct slice token;
    bool wrong; /* a word that does not belong there, or ID without its token */
};

static struct begin_words read_begin(const struct request *r)
{
    struct begin_words b = {0};
    size_t at = 0;
    b.has_mode = at < r->count && find_mode(r->args[at], &b.mode);
    at += b.has_mode;
    if (r->count - at == 2 && r->args[at].len == 2 && strncasecmp(r->args[at].data, "ID", 2) == 0) {
        b.has_token = true;
        b.token = r->args[at + 1];
        at += 2;
    }
    b.wrong = at != r->count;
    return b;
}

/* One word that a person can type and a log can show. */
static int check_token(struct slice token)
{
    for (size_t i = 0; i < token.len; i++) {
        if (token.data[i] <= ' ' || token.data[i] > '~') {
            return ERR_SYNTAX;
        }
    }
    return token.len == 0 ? ERR_SYNTAX : token.len > OUTCOME_TOKEN_MAX ? ERR_TOOBIG : 0;
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

static void run_begin(struct session *s, const struct request *r)
{
    struct begin_words b = read_begin(r);
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

static void run_outcome(struct session *s, const struct request *r)
{
    static const char *const words[] = {[OUTCOME_UNKNOWN] = "UNKNOWN",
                                        [OUTCOME_OPEN] = "UNKNOWN", /* it may still go either way */
                                        [OUTCOME_ABORTED] = "ABORTED",
                                        [OUTCOME_COMMITTED] = "COMMITTED"};
    enum outcome_state state = store_outcome(&s->engine->store, r->args[0]);
    session_answer(s, s->proto->line(&s->out, slice_str(words[state])));
}

static void run_commit(struct session *s, const struct request *r)
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

static void run_rollback(struct session *s, const struct request *r)
{
    (void)r;
    if (s->txn.state == TXN_NONE) {
        session_error(s, ERR_NOTX, "ROLLBACK without a transaction; BEGIN opens one");
        return;
    }
    store_rollback(&s->engine->store, &s->txn);
    answer_transaction(s);
}

static void run_checkpoint(struct session *s, const struct request *r)
{
    (void)r;
    if (s->engine->store.journal == NULL) {
        session_error(s, ERR_DISK, "this server keeps nothing on disk; --data gives it a directory");
        return;
    }
    session_ask(s, ERRAND_CHECKPOINT, slice_of("", 0));
}

/* A name, not a path: letters, digits, and - _ . but not as the first. */
static bool is_backup_name(struct slice name)
{
    for (size_t i = 0; i < name.len; i++) {
        bool inner = i > 0 && strchr("-_.", name.data[i]) != NULL && name.data[i] != '\0';
        if (!isalnum((unsigned char)name.data[i]) && !inner) {
            return false;
        }
    }
    return name.len > 0 && name.len < ERRAND_NAME_MAX;
}

static void run_backup(struct session *s, const struct request *r)
{
    if (!s->engine->takes_backups) {
        session_error(s, ERR_DISK, "this server takes no backups; --backup-dir gives it a directory for them");
    } else if (!is_backup_name(r->args[0])) {
        session_error(s, ERR_SYNTAX, "a backup's name is 1 to 63 letters, digits, '-', '_' and '.', the first a letter or digit");
    } else {
        session_ask(s, ERRAND_BACKUP, r->args[0]);
    }
}

static void run_ping(struct session *s, const struct request *r)
{
    (void)r;
    session_answer(s, s->proto->pong(&s->out));
}

static void run_quit(struct session *s, const struct request *r)
{
    (void)r;
    session_close(s);
}

static void run_help(struct session *s, const struct request *r)
{
    char line[512];
    size_t len = 0;
    if (r->count == 1) {
        const struct command *c = command_find(s->proto->kind, r->args[0]);
        if (c == NULL) {
            session_error(s, ERR_UNKNOWN, "there is no command of that name; HELP lists the commands");
            return;
        }
        len = (size_t)snprintf(line, sizeof(line), "%s%s%s: %s", c->name, c->usage[0] == '\0' ? "" : " ", c->usage, c->help);
    } else {
        for (size_t i = 0; command_at(s->proto->kind, i) != NULL; i++) {
            len += (size_t)snprintf(line + len, sizeof(line) - len, "%s ", command_at(s->proto->kind, i)->name);
        }
        len += (size_t)snprintf(line + len, sizeof(line) - len, "(HELP command says what it does)");
    }
    session_answer(s, s->proto->line(&s->out, slice_of(line, len)));
}

#ifdef TXKV_FAULTS
static void run_lastseq(struct session *s, const struct request *r)
{
    (void)r;
    session_answer(s, s->proto->integer(&s->out, (int64_t)s->last_seq));
}

static void run_snapshot(struct session *s, const struct request *r)
{
    (void)r;
    bool open = s->txn.state == TXN_OPEN;
    session_answer(s, s->proto->integer(&s->out, open ? (int64_t)txn_seq(&s->txn) : 0));
}
#endif

/* --- the table --- */

#define TEXT PROTO_TEXT
#define RESP PROTO_RESP
#define BOTH (PROTO_TEXT | PROTO_RESP)
#define MANY COMMAND_ARGS_MAX

static const struct command table[] = {
    {"GET", "key", "the value of key, or an empty line where there is none", 1, 1, COMMAND_KEY, TEXT, run_get},
    {"SET", "key value", "stores the rest of the line, spaces included, as the value of key", 2, 2,
     COMMAND_KEY | COMMAND_REST | COMMAND_WRITES, TEXT, run_set},
    {"DEL", "key", "removes key, whether or not it exists", 1, 1, COMMAND_KEY | COMMAND_WRITES, TEXT, run_del},
    {"EXISTS", "key", "1 where key exists, even with an empty value, else 0", 1, 1, COMMAND_KEY, TEXT, run_exists},
    {"INCR", "key [by]", "adds by, or 1, to the integer at key, which counts as 0 where it does not exist; the sum", 1, 2,
     COMMAND_KEY | COMMAND_NUMBER | COMMAND_WRITES, TEXT, run_incr},
    {"MGET", "key [key ...]", "the values of the keys, a line each", 1, MANY, COMMAND_KEYS, TEXT, run_mget},
    {"DBSIZE", "", "how many keys exist", 0, 0, 0, BOTH, run_dbsize},
    {"FLUSH", "", "removes all keys", 0, 0, COMMAND_WRITES, TEXT, run_flush},
    {"BEGIN", "[SERIALIZABLE|READONLY] [ID token]",
     "opens a transaction; SERIALIZABLE refuses its COMMIT if what it read has changed; READONLY takes no writes; ID names it for "
     "OUTCOME", 0, 3, COMMAND_BEGINS | COMMAND_ALONE, BOTH, run_begin},
    {"COMMIT", "", "publishes the transaction's writes all at once, or none of them", 0, 0,
     COMMAND_ENDS | COMMAND_COMMITS | COMMAND_ALONE, BOTH, run_commit},
    {"ROLLBACK", "", "discards the transaction", 0, 0, COMMAND_ENDS | COMMAND_ALWAYS | COMMAND_ALONE, BOTH,
     run_rollback},
    {"OUTCOME", "token", "what became of the transaction of that ID: COMMITTED, ABORTED or UNKNOWN", 1, 1, COMMAND_TOKEN, BOTH,
     run_outcome},
    {"CHECKPOINT", "", "writes all keys to the data directory, so that the log before may go; OK when it is done", 0, 0,
     COMMAND_ALONE, BOTH, run_checkpoint},
    {"BACKUP", "name", "makes a copy of the data, as of now, in a new directory of that name below --backup-dir", 1, 1,
     COMMAND_ALONE, BOTH, run_backup},
    {"PING", "", "+PONG", 0, 0, 0, TEXT, run_ping},
    {"HELP", "[command]", "the commands, or what one of them does", 0, 1, 0, TEXT, run_help},
    {"QUIT", "", "sends what is owed and closes the connection; an open transaction is discarded", 0, 0, COMMAND_ALWAYS,
     TEXT, run_quit},
    {"GET", "key", "the value of key, or nil", 1, 1, COMMAND_KEY, RESP, run_get},
    {"SET", "key value [option ...]", "stores value at key; there are no options yet", 2, MANY,
     COMMAND_KEY | COMMAND_REST | COMMAND_WRITES, RESP, run_set_options},
    {"SETNX", "key value", "stores value where key does not exist; 1, or 0", 2, 2,
     COMMAND_KEY | COMMAND_REST | COMMAND_WRITES, RESP, run_setnx},
    {"GETSET", "key value", "stores value; the old one, or nil", 2, 2, COMMAND_KEY | COMMAND_REST | COMMAND_WRITES, RESP,
     run_getset},
    {"GETDEL", "key", "removes key; its value, or nil", 1, 1, COMMAND_KEY | COMMAND_WRITES, RESP, run_getdel},
    {"MGET", "key [key ...]", "the values of the keys", 1, MANY, COMMAND_KEYS, RESP, run_mget},
    {"MSET", "key value [key value ...]", "stores all of them, as one commit", 2, MANY, COMMAND_PAIRS | COMMAND_WRITES,
     RESP, run_mset},
    {"MSETNX", "key value [key value ...]", "stores all of them where none of the keys exists; 1, or 0", 2, MANY,
     COMMAND_PAIRS | COMMAND_WRITES, RESP, run_msetnx},
    {"APPEND", "key value", "appends to the value; its length", 2, 2,
     COMMAND_KEY | COMMAND_REST | COMMAND_WRITES | COMMAND_GROWS, RESP, run_append},
    {"STRLEN", "key", "the length of the value", 1, 1, COMMAND_KEY, RESP, run_strlen},
    {"GETRANGE", "key start end", "the bytes of the value from start to end; below 0, counted from its end", 3, 3,
     COMMAND_KEY, RESP, run_getrange},
    {"SUBSTR", "key start end", "GETRANGE by its old name", 3, 3, COMMAND_KEY, RESP, run_getrange},
    {"SETRANGE", "key offset value", "puts value over what stands from offset on; the length", 3, 3,
     COMMAND_KEY | COMMAND_REST | COMMAND_WRITES | COMMAND_GROWS, RESP, run_setrange},
    {"INCR", "key", "adds 1 to the integer at key; the sum", 1, 1, COMMAND_KEY | COMMAND_WRITES, RESP, run_incr},
    {"DECR", "key", "subtracts 1 from the integer at key; the rest", 1, 1, COMMAND_KEY | COMMAND_WRITES, RESP, run_decr},
    {"INCRBY", "key by", "adds by to the integer at key; the sum", 2, 2, COMMAND_KEY | COMMAND_WRITES, RESP, run_incrby},
    {"DECRBY", "key by", "subtracts by from the integer at key; the rest", 2, 2, COMMAND_KEY | COMMAND_WRITES, RESP,
     run_decrby},
    {"DEL", "key [key ...]", "removes the keys, as one commit; how many there were", 1, MANY, COMMAND_KEYS | COMMAND_WRITES,
     RESP, run_del_keys},
    {"UNLINK", "key [key ...]", "DEL by another name", 1, MANY, COMMAND_KEYS | COMMAND_WRITES, RESP, run_del_keys},
    {"EXISTS", "key [key ...]", "how many of the keys exist", 1, MANY, COMMAND_KEYS, RESP, run_exists_keys},
    {"TOUCH", "key [key ...]", "how many of the keys exist", 1, MANY, COMMAND_KEYS, RESP, run_exists_keys},
    {"TYPE", "key", "string, or none", 1, 1, COMMAND_KEY, RESP, run_type},
    {"RENAME", "key newkey", "moves the value of key to newkey, as one commit", 2, 2,
     COMMAND_KEY | COMMAND_KEY2 | COMMAND_WRITES | COMMAND_GROWS, RESP, run_rename},
    {"RENAMENX", "key newkey", "RENAME where newkey does not exist; 1, or 0", 2, 2,
     COMMAND_KEY | COMMAND_KEY2 | COMMAND_WRITES | COMMAND_GROWS, RESP, run_renamenx},
    {"COPY", "key newkey [option ...]", "copies the value of key; options: DB 0, REPLACE; 1, or 0", 2, MANY,
     COMMAND_KEY | COMMAND_KEY2 | COMMAND_WRITES | COMMAND_GROWS, RESP, run_copy},
    {"FLUSHDB", "[ASYNC|SYNC]", "removes all keys", 0, 1, COMMAND_WRITES, RESP, run_flushall},
    {"FLUSHALL", "[ASYNC|SYNC]", "removes all keys", 0, 1, COMMAND_WRITES, RESP, run_flushall},
    {"MULTI", "", "queues what follows, until EXEC or DISCARD", 0, 0, COMMAND_AT_ONCE, RESP, run_multi},
    {"EXEC", "", "runs what was queued, as one commit; nil where a watched key has changed", 0, 0,
     COMMAND_AT_ONCE | COMMAND_RUNS, RESP, run_exec},
    {"DISCARD", "", "forgets what was queued", 0, 0, COMMAND_AT_ONCE, RESP, run_discard},
    {"WATCH", "key [key ...]", "lets EXEC run nothing if one of the keys changes before it", 1, MANY,
     COMMAND_KEYS | COMMAND_AT_ONCE, RESP, run_watch},
    {"UNWATCH", "", "forgets all watched keys", 0, 0, 0, RESP, run_unwatch},
    {"PING", "[message]", "PONG, or the message", 0, 1, 0, RESP, run_ping_message},
    {"ECHO", "message", "the message", 1, 1, 0, RESP, run_echo},
    {"SELECT", "index", "takes database 0, the only one", 1, 1, 0, RESP, run_select},
    {"HELLO", "[version [option ...]]", "chooses RESP 2 or 3; options: SETNAME name; AUTH is refused", 0, MANY, 0, RESP,
     run_hello},
    {"CLIENT", "subcommand [word ...]", "ID, GETNAME, SETNAME, SETINFO, INFO, NO-EVICT, NO-TOUCH", 1, MANY, 0, RESP,
     run_client},
    {"COMMAND", "[subcommand [word ...]]", "the commands: COUNT, LIST, INFO, DOCS", 0, MANY, 0, RESP, run_command},
    {"INFO", "[section ...]", "the server in figures", 0, MANY, 0, RESP, run_info},
    {"CONFIG", "subcommand [word ...]", "GET pattern, SET maxmemory, RESETSTAT", 1, MANY, 0, RESP, run_config},
    {"TIME", "", "the time of day: seconds, and microseconds of the next one", 0, 0, 0, RESP, run_time},
    {"LASTSAVE", "", "when the server started, in seconds", 0, 0, 0, RESP, run_lastsave},
    {"WAIT", "replicas timeout", "0, as there are no replicas", 2, 2, 0, RESP, run_wait},
    {"FUNCTION", "subcommand [word ...]", "FLUSH: there are no functions", 1, MANY, 0, RESP, run_function},
    {"RESET", "", "discards the transaction; the connection is as it was at its beginning", 0, 0,
     COMMAND_ALWAYS | COMMAND_AT_ONCE, RESP, run_reset},
    {"QUIT", "", "sends what is owed and closes the connection; an open transaction is discarded", 0, 0,
     COMMAND_ALWAYS | COMMAND_AT_ONCE, RESP, run_quit_ok},
#ifdef TXKV_FAULTS
    {"LASTSEQ", "", "test build: sequence number of this connection's last commit", 0, 0, COMMAND_ALWAYS, BOTH, run_lastseq},
    {"SNAPSHOT", "", "test build: sequence number that the transaction reads as of", 0, 0, COMMAND_ALWAYS, BOTH,
     run_snapshot},
#endif
};

#define TABLE_SIZE (sizeof(table) / sizeof(table[0]))

const struct command *command_at(enum proto_kind kind, size_t index)
{
    for (size_t i = 0; i < TABLE_SIZE; i++) {
        if (table[i].protocols & kind && index-- == 0) {
            return &table[i];
        }
    }
    return NULL;
}

/* Clearing bit 5 of a byte gives 'G' for 'G' and 'g' alone, so eight letters are compared in any case at once. */
#define FOLDED sizeof(uint64_t)

static uint64_t load(const char *at, size_t len)
{
    uint64_t word = 0;
    memcpy(&word, at, len);
    return word;
}

/* Up to eight letters as a word; two loads that overlap where they must. */
static inline uint64_t fold(const char *name, size_t len)
{
    uint64_t word = len == 1 ? (unsigned char)name[0] : 0;
    if (len >= 4) {
        word = load(name, 4) | load(name + len - 4, 4) << 8 * (len - 4);
    } else if (len >= 2) {
        word = load(name, 2) | load(name + len - 2, 2) << 8 * (len - 2);
    }
    return word & 0xdfdfdfdfdfdfdfdfULL;
}

/* Open addressing by the first letters of a name; a name is looked for from its slot on to the first free one. */
#define SLOTS 256U

struct slot {
    uint64_t folded;
    size_t len;
    const struct command *command; /* NULL: free */
};

static struct slot slots[2][SLOTS];

static size_t slot_of(uint64_t folded, size_t len)
{
    return (size_t)(((folded ^ len) * 0x9e3779b97f4a7c15ULL) >> 56);
}

static struct slot *slots_of(enum proto_kind kind)
{
    return slots[kind == PROTO_TEXT ? 0 : 1];
}

static __attribute__((noinline)) void fill_slots(void)
{
    for (size_t i = 0; i < 2 * TABLE_SIZE; i++) {
        const struct command *c = &table[i / 2];
        enum proto_kind kind = i % 2 == 0 ? PROTO_TEXT : PROTO_RESP;
        size_t len = strlen(c->name);
        uint64_t folded = fold(c->name, len < FOLDED ? len : FOLDED);
        size_t at = slot_of(folded, len);
        while (slots_of(kind)[at].command != NULL) {
            at = (at + 1) % SLOTS;
        }
        if (c->protocols & kind) {
            slots_of(kind)[at] = (struct slot){folded, len, c};
        }
    }
}

static __attribute__((noinline)) const struct command *find_further(enum proto_kind kind, struct slice name, uint64_t folded)
{
    static bool filled;
    if (!filled) {
        fill_slots();
        filled = true;
    }
    const struct slot *of_kind = slots_of(kind);
    for (size_t at = slot_of(folded, name.len); of_kind[at].command != NULL; at = (at + 1) % SLOTS) {
        const struct slot *slot = &of_kind[at];
        if (slot->folded == folded && slot->len == name.len &&
            (name.len <= FOLDED || strncasecmp(slot->command->name, name.data, name.len) == 0)) {
            return slot->command;
        }
    }
    return NULL;
}

const struct command *command_find(enum proto_kind kind, struct slice name)
{
    uint64_t folded = fold(name.data, name.len < FOLDED ? name.len : FOLDED);
    const struct slot *first = &slots_of(kind)[slot_of(folded, name.len)];
    bool found = first->folded == folded && first->len == name.len && name.len - 1 < FOLDED;
    return found ? first->command : find_further(kind, name, folded);
}

void command_keys(const struct command *c, struct command_keys *keys)
{
    static const struct {
        unsigned flag;
        struct command_keys keys;
    } kinds[] = {{COMMAND_KEYS, {0, 1, true}}, {COMMAND_PAIRS, {0, 2, true}}, {COMMAND_KEY2, {2, 1, false}}, {COMMAND_KEY, {1, 1, false}}};
    *keys = (struct command_keys){0, 1, false};
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (c->flags & kinds[i].flag) {
            *keys = kinds[i].keys;
            return;
        }
    }
}

/* --- parsing --- */

size_t command_line_max(const struct command_limits *limits)
{
    return limits->key_bytes + limits->value_bytes + 64;
}

/* Whether one of eight bytes is below 0x20, or 0x7f: a borrow into the top bit of a byte that had none tells. Bytes above a
 * true hit may be taken for hits too, which does no harm to a yes. */
static bool has_control(uint64_t word)
{
    const uint64_t ones = 0x0101010101010101ULL;
    uint64_t low = (word - 0x20 * ones) & ~word;
    uint64_t del = word ^ 0x7f * ones;
    return ((low | ((del - ones) & ~del)) & 0x80 * ones) != 0;
}

static inline __attribute__((always_inline)) int find_control(struct slice key)
{
    size_t clean = 0;
    uint64_t word;
    while (key.len - clean >= sizeof(word)) {
        memcpy(&word, key.data + clean, sizeof(word));
        if (has_control(word)) {
            break;
        }
        clean += sizeof(word);
    }
    for (size_t i = clean; i < key.len; i++) {
        if ((unsigned char)key.data[i] < 0x20 || key.data[i] == 0x7f) {
            return (unsigned char)key.data[i];
        }
    }
    return -1;
}

bool command_is_text_key(struct slice key)
{
    return key.len > 0 && find_control(key) < 0 && memchr(key.data, ' ', key.len) == NULL;
}

/* Keys of the text protocol are words of a line; elsewhere they are any bytes, but for none at all. */
static inline __attribute__((always_inline)) int check_one_key(const struct request *r, struct slice key,
                                                               const struct command_limits *limits)
{
    if (key.len == 0 || (r->proto->kind == PROTO_TEXT && find_control(key) >= 0)) {
        return ERR_SYNTAX;
    }
    return key.len > limits->key_bytes ? ERR_TOOBIG : 0;
}

static __attribute__((noinline)) int check_key(const struct request *r, struct slice key, const struct command_limits *limits)
{
    return check_one_key(r, key, limits);
}

/* Several keys, or pairs of keys and values. */
static __attribute__((noinline)) int check_keys(const struct request *r, const struct command_limits *limits)
{
    struct command_keys keys;
    command_keys(r->command, &keys);
    size_t end = keys.open ? r->count : keys.count;
    for (size_t i = 0; i < end; i += keys.step) {
        int rc = check_key(r, r->args[i], limits);
        if (rc < 0) {
            return rc;
        }
        if (keys.step == 2 && i + 1 < r->count && r->args[i + 1].len > limits->value_bytes) {
            return ERR_TOOBIG;
        }
    }
    return 0;
}

static int check_args(const struct request *r, const struct command_limits *limits)
{
    unsigned flags = r->command->flags;
    if (flags & COMMAND_MORE_KEYS) {
        return check_keys(r, limits);
    }
    int rc = flags & COMMAND_KEY ? check_one_key(r, r->args[0], limits) : 0;
    if (rc < 0) {
        return rc;
    }
    if (flags & COMMAND_REST) {
        return r->args[r->count - 1].len > limits->value_bytes ? ERR_TOOBIG : 0;
    }
    if (flags & COMMAND_BEGINS) {
        struct begin_words b = read_begin(r);
        return b.wrong ? ERR_SYNTAX : b.has_token ? check_token(b.token) : 0;
    }
    if (flags & COMMAND_TOKEN) {
        return check_token(r->args[0]);
    }
    if (flags & COMMAND_NUMBER && r->count == 2) {
        int64_t number;
        return store_parse_integer(r->args[1], &number) ? 0 : ERR_NOTINT;
    }
    return 0;
}

static bool is_counted(const struct request *r)
{
    const struct command *c = r->command;
    return r->count >= c->args_min && r->count <= c->args_max;
}

void command_parse(struct request *r, const struct command_limits *limits, struct slice *words)
{
    const struct raw_request *raw = &r->raw;
    r->args = words;
    r->count = 0;
    r->command = command_find(r->proto->kind, raw->verb);
    if (raw->too_long) {
        r->error = raw->no_memory ? ERR_FULL : ERR_TOOBIG;
    } else if (raw->bad_cr || (raw->verb.len == 0 && r->proto->kind == PROTO_TEXT)) {
        r->error = ERR_SYNTAX;
    } else if (r->command == NULL) {
        r->count = r->proto->split(raw, COMMAND_ARGS_MAX, false, words, r->unquoted);
        r->error = ERR_UNKNOWN;
    } else {
        r->count = r->proto->split(raw, r->command->args_max, r->command->flags & COMMAND_REST, words, r->unquoted);
        r->error = is_counted(r) ? check_args(r, limits) : r->count > COMMAND_ARGS_MAX ? ERR_TOOBIG : ERR_SYNTAX;
    }
}

/* The name of the nth argument in a usage such as "key [by]", without its brackets. */
static struct slice argument_name(const char *usage, size_t nth)
{
    const char *at = usage;
    while (nth > 0 && strchr(at, ' ') != NULL) {
        at = strchr(at, ' ') + 1;
        nth--;
    }
    at += *at == '[';
    return slice_of(at, strcspn(at, " ]"));
}

static void explain_key(const struct request *r, struct slice key, const struct command_limits *limits, char *why, size_t size)
{
    const struct command *c = r->command;
    if (key.len == 0 && r->proto->kind != PROTO_TEXT) {
        snprintf(why, size, "a key has at least one byte");
    } else if (key.len == 0) {
        snprintf(why, size, "%s got an empty key; one space stands between words: %s %s", c->name, c->name, c->usage);
    } else if (key.len > limits->key_bytes) {
        snprintf(why, size, "the key has %zu bytes; a key has at most %zu (--key-max)", key.len, limits->key_bytes);
    } else {
        snprintf(why, size, "the key holds control byte 0x%02x; a key of this protocol has none", find_control(key));
    }
}

static void explain_token(struct slice token, char *why, size_t size)
{
    if (token.len > OUTCOME_TOKEN_MAX) {
        snprintf(why, size, "the ID has %zu bytes; an ID has at most %zu", token.len, OUTCOME_TOKEN_MAX);
    } else {
        snprintf(why, size, "the ID is empty or holds what is no printable ASCII; an ID is one word of 1 to %zu bytes",
                 OUTCOME_TOKEN_MAX);
    }
}

static void explain_begin(const struct request *r, char *why, size_t size)
{
    struct begin_words b = read_begin(r);
    const struct command *c = r->command;
    struct slice last = r->args[r->count - 1];
    if (!b.wrong) {
        explain_token(b.token, why, size);
    } else if (last.len == 2 && strncasecmp(last.data, "ID", 2) == 0) {
        snprintf(why, size, "ID lacks its token; %s %s", c->name, c->usage);
    } else if (b.has_mode) {
        snprintf(why, size, "behind the mode stand ID and its token, or nothing; %s %s", c->name, c->usage);
    } else {
        snprintf(why, size, "unknown mode; %s %s", c->name, c->usage);
    }
}

static void explain_args(const struct request *r, const struct command_limits *limits, char *why, size_t size)
{
    const struct command *c = r->command;
    struct command_keys keys;
    command_keys(c, &keys);
    size_t end = keys.open ? r->count : keys.count;
    for (size_t i = 0; i < end; i += keys.step) {
        if (check_key(r, r->args[i], limits) < 0) {
            explain_key(r, r->args[i], limits, why, size);
            return;
        }
    }
    if (c->flags & COMMAND_PAIRS) {
        snprintf(why, size, "a value has at most %zu bytes (--value-max)", limits->value_bytes);
        return;
    }
    if (c->flags & COMMAND_REST) {
        snprintf(why, size, "the value has %zu bytes; a value has at most %zu (--value-max)", r->args[r->count - 1].len,
                 limits->value_bytes);
    } else if (c->flags & COMMAND_NUMBER) {
        snprintf(why, size, "%s adds a signed 64-bit integer, such as 5 or -5: %s %s", c->name, c->name, c->usage);
    } else if (c->flags & COMMAND_TOKEN) {
        explain_token(r->args[0], why, size);
    } else {
        explain_begin(r, why, size);
    }
}

static void explain_count(const struct request *r, char *why, size_t size)
{
    const struct command *c = r->command;
    const char *gap = c->usage[0] == '\0' ? "" : " ";
    if (r->count < c->args_min) {
        struct slice name = argument_name(c->usage, r->count);
        bool value = c->flags & COMMAND_REST && r->count + 1 == c->args_max;
        snprintf(why, size, "%s lacks its %.*s%s: %s %s", c->name, (int)name.len, name.data,
                 value ? " (for an empty one, end the line with a space)" : "", c->name, c->usage);
    } else if (r->count > COMMAND_ARGS_MAX) {
        snprintf(why, size, "%s takes at most %d words", c->name, COMMAND_ARGS_MAX);
    } else {
        snprintf(why, size, "%s got more than it takes; one space stands between words: %s%s%s", c->name, c->name, gap,
                 c->usage);
    }
}

static void explain_unknown(struct slice verb, char *why, size_t size)
{
    char shown[33];
    size_t len = verb.len < sizeof(shown) - 1 ? verb.len : sizeof(shown) - 1;
    for (size_t i = 0; i < len; i++) {
        shown[i] = isprint((unsigned char)verb.data[i]) ? verb.data[i] : '?';
    }
    shown[len] = '\0';
    snprintf(why, size, "there is no command %s; HELP lists the commands", shown);
}

/* In Redis's words, which clients look at. */
static void explain_to_redis(const struct request *r, char *why, size_t size)
{
    size_t len;
    if (r->command != NULL) {
        len = (size_t)snprintf(why, size, "wrong number of arguments for '%s' command", r->command->name);
        for (size_t i = sizeof("wrong number of arguments for"); i < size && i < len; i++) {
            why[i] = (char)tolower((unsigned char)why[i]);
        }
        return;
    }
    int verb = r->raw.verb.len < 128 ? (int)r->raw.verb.len : 128;
    len = (size_t)snprintf(why, size, "unknown command '%.*s', with args beginning with: ", verb, r->raw.verb.data);
    size_t start = len;
    for (size_t i = 0; i < r->count && len - start < 128 && len < size; i++) {
        size_t most = 128 - (len - start);
        size_t shown = r->args[i].len < most ? r->args[i].len : most;
        len += (size_t)snprintf(why + len, size - len, "'%.*s' ", (int)shown, r->args[i].data);
    }
}

/* Whether Redis has words for an error that command_parse found, which are not those of the text protocol. */
static bool is_in_redis(const struct request *r)
{
    bool counted = r->command != NULL && (is_counted(r) || r->count > COMMAND_ARGS_MAX);
    return r->proto->kind == PROTO_RESP && !r->raw.too_long && !counted;
}

void command_explain(const struct request *r, const struct command_limits *limits, char *why, size_t size)
{
    if (is_in_redis(r)) {
        explain_to_redis(r, why, size);
    } else if (r->raw.no_memory) {
        snprintf(why, size, "no memory to receive a line as long as this one; nothing of it was run");
    } else if (r->raw.too_long) {
        bool line = r->proto->kind == PROTO_TEXT;
        snprintf(why, size, line ? "the line has more than %zu bytes (key, value and 64)"
                                 : "the request has more words than 1025, or more bytes than 2 MiB and the longest value (%zu)",
                 line ? command_line_max(limits) : limits->value_bytes);
    } else if (r->raw.bad_cr) {
        snprintf(why, size, "a CR stands inside the line; a line ends with LF or CRLF and holds no other CR");
    } else if (r->raw.verb.len == 0) {
        snprintf(why, size, "a line begins with its command, not with a space");
    } else if (r->command == NULL) {
        explain_unknown(r->raw.verb, why, size);
    } else if (!is_counted(r)) {
        explain_count(r, why, size);
    } else {
        explain_args(r, limits, why, size);
    }
}

int command_check_line(struct slice line, char *why, size_t why_size)
{
    const struct command_limits limits = {COMMAND_KEY_BYTES_DEFAULT, COMMAND_VALUE_BYTES_DEFAULT};
    struct slice words[COMMAND_ARGS_MAX];
    struct request r = {.proto = &proto_text};
    char text[256];
    const char *space = memchr(line.data, ' ', line.len);
    size_t verb_len = space == NULL ? line.len : (size_t)(space - line.data);
    r.raw = (struct raw_request){.verb = slice_of(line.data, verb_len),
                                 .tail = slice_of(space == NULL ? line.data + line.len : space + 1,
                                                  space == NULL ? 0 : line.len - verb_len - 1),
                                 .has_tail = space != NULL,
                                 .bad_cr = line.len > 0 && memchr(line.data, '\r', line.len) != NULL,
                                 .too_long = line.len > command_line_max(&limits)};
    command_parse(&r, &limits, words);
    if (r.error < 0) {
        command_explain(&r, &limits, text, sizeof(text));
        snprintf(why, why_size, "%s %s", err_word(r.error), text);
    }
    return r.error;
}
