#include "command.h"

#include <assert.h>
#include <ctype.h>
#include <stdio.h>
#include <strings.h>

#include "err.h"
#include "hash.h"
#include "session.h"

/* --- the functions of the commands --- */

/* Answers an error of the store. */
static void refuse(struct session *s, int err)
{
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
        refuse(s, found);
    } else if (found == 0) {
        session_answer(s, s->proto->absent(&s->out));
    } else {
        session_answer(s, s->proto->value(&s->out, value));
    }
}

static void run_set(struct session *s, const struct request *r)
{
    int rc = store_set(&s->engine->store, session_txn(s), r->args[0], r->hash, r->args[1]);
    if (rc < 0) {
        refuse(s, rc);
    } else {
        answer_ok(s);
    }
}

static void run_del(struct session *s, const struct request *r)
{
    int rc = store_delete(&s->engine->store, session_txn(s), r->args[0], r->hash);
    if (rc < 0) {
        refuse(s, rc);
    } else {
        answer_ok(s);
    }
}

static void run_exists(struct session *s, const struct request *r)
{
    struct slice value;
    int found = store_get(&s->engine->store, session_txn(s), r->args[0], r->hash, &value);
    if (found < 0) {
        refuse(s, found);
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
        refuse(s, rc);
    } else {
        session_answer(s, s->proto->integer(&s->out, sum));
    }
}

#define MGET_GROUP 16
#define MGET_TOO_LONG 1

/* Answers some of the keys; 0, or MGET_TOO_LONG, or an error of the store: then an error is to be the only answer. */
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
        session_answer(s, found == 1 ? s->proto->value(&s->out, value) : s->proto->absent(&s->out));
    }
    return 0;
}

static void run_mget(struct session *s, const struct request *r)
{
    size_t mark = buf_len(&s->out);
    int rc = 0;
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
    } else if (rc < 0) {
        refuse(s, rc);
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
        refuse(s, rc);
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
        refuse(s, err);
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
        const struct command *c = command_find(r->args[0]);
        if (c == NULL) {
            session_error(s, ERR_UNKNOWN, "there is no command of that name; HELP lists the commands");
            return;
        }
        len = (size_t)snprintf(line, sizeof(line), "%s%s%s: %s", c->name, c->usage[0] == '\0' ? "" : " ", c->usage, c->help);
    } else {
        for (size_t i = 0; command_at(i) != NULL; i++) {
            len += (size_t)snprintf(line + len, sizeof(line) - len, "%s ", command_at(i)->name);
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

static const struct command table[] = {
    {"GET", "key", "the value of key, or an empty line where there is none", 1, 1, COMMAND_KEY, run_get},
    {"SET", "key value", "stores the rest of the line, spaces included, as the value of key", 2, 2,
     COMMAND_KEY | COMMAND_REST | COMMAND_WRITES, run_set},
    {"DEL", "key", "removes key, whether or not it exists", 1, 1, COMMAND_KEY | COMMAND_WRITES, run_del},
    {"EXISTS", "key", "1 where key exists, even with an empty value, else 0", 1, 1, COMMAND_KEY, run_exists},
    {"INCR", "key [by]", "adds by, or 1, to the integer at key, which counts as 0 where it does not exist; the sum", 1, 2,
     COMMAND_KEY | COMMAND_NUMBER | COMMAND_WRITES, run_incr},
    {"MGET", "key [key ...]", "the values of the keys, a line each", 1, COMMAND_ARGS_MAX, COMMAND_KEYS, run_mget},
    {"DBSIZE", "", "how many keys exist", 0, 0, 0, run_dbsize},
    {"FLUSH", "", "removes all keys", 0, 0, COMMAND_WRITES, run_flush},
    {"BEGIN", "[SERIALIZABLE|READONLY] [ID token]",
     "opens a transaction; SERIALIZABLE refuses its COMMIT if what it read has changed; READONLY takes no writes; ID names it for "
     "OUTCOME", 0, 3, COMMAND_BEGINS, run_begin},
    {"COMMIT", "", "publishes the transaction's writes all at once, or none of them", 0, 0,
     COMMAND_ENDS | COMMAND_COMMITS, run_commit},
    {"ROLLBACK", "", "discards the transaction", 0, 0, COMMAND_ENDS | COMMAND_ALWAYS,
     run_rollback},
    {"OUTCOME", "token", "what became of the transaction of that ID: COMMITTED, ABORTED or UNKNOWN", 1, 1, COMMAND_TOKEN,
     run_outcome},
    {"CHECKPOINT", "", "writes all keys to the data directory, so that the log before may go; OK when it is done", 0, 0, 0,
     run_checkpoint},
    {"BACKUP", "name", "makes a copy of the data, as of now, in a new directory of that name below --backup-dir", 1, 1, 0,
     run_backup},
    {"PING", "", "+PONG", 0, 0, 0, run_ping},
    {"HELP", "[command]", "the commands, or what one of them does", 0, 1, 0, run_help},
    {"QUIT", "", "sends what is owed and closes the connection; an open transaction is discarded", 0, 0, COMMAND_ALWAYS,
     run_quit},
#ifdef TXKV_FAULTS
    {"LASTSEQ", "", "test build: sequence number of this connection's last commit", 0, 0, COMMAND_ALWAYS, run_lastseq},
    {"SNAPSHOT", "", "test build: sequence number that the transaction reads as of", 0, 0, COMMAND_ALWAYS, run_snapshot},
#endif
};

#define TABLE_SIZE (sizeof(table) / sizeof(table[0]))

const struct command *command_at(size_t index)
{
    return index < TABLE_SIZE ? &table[index] : NULL;
}

/* Clearing bit 5 of a byte gives 'G' for 'G' and 'g' alone, so eight letters are compared in any case at once. */
#define FOLDED sizeof(uint64_t)

static uint64_t fold(const char *name, size_t len)
{
    uint64_t word = 0;
    for (size_t i = 0; i < len; i++) {
        word |= (uint64_t)(unsigned char)name[i] << 8 * i;
    }
    return word & 0xdfdfdfdfdfdfdfdfULL;
}

static __attribute__((noinline)) const struct command *find_long(struct slice name)
{
    for (size_t i = 0; i < TABLE_SIZE && name.len > 0; i++) {
        if (strlen(table[i].name) == name.len && strncasecmp(table[i].name, name.data, name.len) == 0) {
            return &table[i];
        }
    }
    return NULL;
}

const struct command *command_find(struct slice name)
{
    static uint64_t folded[TABLE_SIZE];
    static size_t lengths[TABLE_SIZE];
    if (folded[0] == 0) {
        for (size_t i = 0; i < TABLE_SIZE; i++) {
            lengths[i] = strlen(table[i].name);
            folded[i] = fold(table[i].name, lengths[i] < FOLDED ? lengths[i] : FOLDED);
        }
    }
    if (name.len == 0 || name.len > FOLDED) {
        return find_long(name);
    }
    uint64_t wanted = fold(name.data, name.len);
    for (size_t i = 0; i < TABLE_SIZE; i++) {
        if (folded[i] == wanted && lengths[i] == name.len) {
            return &table[i];
        }
    }
    return NULL;
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

static int find_control(struct slice key)
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

static int check_key(struct slice key, const struct command_limits *limits)
{
    if (key.len == 0 || find_control(key) >= 0) {
        return ERR_SYNTAX;
    }
    return key.len > limits->key_bytes ? ERR_TOOBIG : 0;
}

static int check_args(const struct request *r, const struct command_limits *limits)
{
    unsigned flags = r->command->flags;
    size_t keys = flags & COMMAND_KEYS ? r->count : flags & COMMAND_KEY ? 1 : 0;
    for (size_t i = 0; i < keys; i++) {
        int rc = check_key(r->args[i], limits);
        if (rc < 0) {
            return rc;
        }
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

void command_parse(struct request *r, const struct command_limits *limits, struct slice *words)
{
    const struct raw_request *raw = &r->raw;
    r->args = words;
    r->count = 0;
    r->command = command_find(raw->verb);
    if (raw->too_long) {
        r->error = raw->no_memory ? ERR_FULL : ERR_TOOBIG;
    } else if (raw->bad_cr || raw->verb.len == 0) {
        r->error = ERR_SYNTAX;
    } else if (r->command == NULL) {
        r->error = ERR_UNKNOWN;
    } else {
        size_t max = r->command->args_max;
        r->count = r->proto->split(raw, max, r->command->flags & COMMAND_REST, words, r->unquoted);
        bool counted = r->count >= r->command->args_min && r->count <= max;
        r->error = counted ? check_args(r, limits) : r->count > COMMAND_ARGS_MAX ? ERR_TOOBIG : ERR_SYNTAX;
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

static void explain_key(struct slice key, const struct command *c, const struct command_limits *limits, char *why,
                        size_t size)
{
    if (key.len == 0) {
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
    size_t keys = c->flags & COMMAND_KEYS ? r->count : c->flags & COMMAND_KEY ? 1 : 0;
    for (size_t i = 0; i < keys; i++) {
        if (check_key(r->args[i], limits) < 0) {
            explain_key(r->args[i], c, limits, why, size);
            return;
        }
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

void command_explain(const struct request *r, const struct command_limits *limits, char *why, size_t size)
{
    if (r->raw.no_memory) {
        snprintf(why, size, "no memory to receive a line as long as this one; nothing of it was run");
    } else if (r->raw.too_long) {
        snprintf(why, size, "the line has more than %zu bytes (key, value and 64)", command_line_max(limits));
    } else if (r->raw.bad_cr) {
        snprintf(why, size, "a CR stands inside the line; a line ends with LF or CRLF and holds no other CR");
    } else if (r->raw.verb.len == 0) {
        snprintf(why, size, "a line begins with its command, not with a space");
    } else if (r->command == NULL) {
        explain_unknown(r->raw.verb, why, size);
    } else if (r->count < r->command->args_min || r->count > r->command->args_max) {
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
