#include "command.h"

#include <strings.h>

#include "command_run.h"

/* --- the table --- */

#define TEXT PROTO_TEXT
#define RESP PROTO_RESP
#define BOTH (PROTO_TEXT | PROTO_RESP)
#define MANY COMMAND_ARGS_MAX

static const struct command table[] = {
    {"GET", "key", "the value of key, or an empty line where there is none", 1, 1, COMMAND_KEY, TEXT, run_get, NULL, NULL},
    {"SET", "key value", "stores the rest of the line, spaces included, as the value of key", 2, 2,
     COMMAND_KEY | COMMAND_REST | COMMAND_WRITES, TEXT, run_set, NULL, NULL},
    {"SETNX", "key value", "stores the rest of the line where key does not exist; 1, or 0", 2, 2,
     COMMAND_KEY | COMMAND_REST | COMMAND_WRITES, TEXT, run_setnx, NULL, NULL},
    {"SETEX", "key seconds value", "stores the rest of the line, which ends in so many seconds", 3, 3,
     COMMAND_KEY | COMMAND_REST | COMMAND_WRITES, TEXT, run_setex, NULL, NULL},
    {"DEL", "key", "removes key, whether or not it exists", 1, 1, COMMAND_KEY | COMMAND_WRITES, TEXT, run_del, NULL, NULL},
    {"EXISTS", "key", "1 where key exists, even with an empty value, else 0", 1, 1, COMMAND_KEY, TEXT, run_exists, NULL, NULL},
    {"EXPIRE", "key seconds", "lets key end in so many seconds; 1, or 0 where there is none", 2, 2,
     COMMAND_KEY | COMMAND_WRITES | COMMAND_GROWS, TEXT, run_expire, NULL, NULL},
    {"TTL", "key", "in how many seconds key ends; -1 never, -2 where there is none", 1, 1, COMMAND_KEY, BOTH, run_ttl,
     "1.0.0", NULL},
    {"PERSIST", "key", "lets key end never; 1, or 0 where it did not end anyway", 1, 1,
     COMMAND_KEY | COMMAND_WRITES | COMMAND_GROWS, BOTH, run_persist, "2.2.0", NULL},
    {"INCR", "key [by]", "adds by, or 1, to the integer at key, which counts as 0 where it does not exist; the sum", 1, 2,
     COMMAND_KEY | COMMAND_NUMBER | COMMAND_WRITES, TEXT, run_incr, NULL, NULL},
    {"MGET", "key [key ...]", "the values of the keys, a line each", 1, MANY, COMMAND_KEYS, TEXT, run_mget, NULL, NULL},
    {"KEYS", "prefix [limit]", "how many keys begin with prefix, then these, a line each; all as of one commit; at most limit", 1, 2,
     COMMAND_NUMBER | COMMAND_LONG, TEXT, run_keys_prefix, NULL, NULL},
    {"DBSIZE", "", "how many keys exist", 0, 0, 0, BOTH, run_dbsize, "1.0.0", "in a transaction, the keys that it sees"},
    {"FLUSH", "", "removes all keys", 0, 0, COMMAND_WRITES, TEXT, run_flush, NULL, NULL},
    {"BEGIN", "[SERIALIZABLE|READONLY] [ID token]",
     "opens a transaction; SERIALIZABLE refuses its COMMIT if what it read has changed; READONLY takes no writes; ID names it for "
     "OUTCOME", 0, 3, COMMAND_BEGINS | COMMAND_ALONE, BOTH, run_begin, NULL, NULL},
    {"COMMIT", "", "publishes the transaction's writes all at once, or none of them", 0, 0,
     COMMAND_ENDS | COMMAND_COMMITS | COMMAND_ALONE, BOTH, run_commit, NULL, NULL},
    {"ROLLBACK", "", "discards the transaction", 0, 0, COMMAND_ENDS | COMMAND_ALWAYS | COMMAND_ALONE, BOTH,
     run_rollback, NULL, NULL},
    {"OUTCOME", "token", "what became of the transaction of that ID: COMMITTED, ABORTED or UNKNOWN", 1, 1, COMMAND_TOKEN, BOTH,
     run_outcome, NULL, NULL},
    {"CHECKPOINT", "", "writes all keys to the data directory, so that the log before may go; OK when it is done", 0, 0,
     COMMAND_ALONE, BOTH, run_checkpoint, NULL, NULL},
    {"BACKUP", "name", "makes a copy of the data, as of now, in a new directory of that name below --backup-dir", 1, 1,
     COMMAND_ALONE, BOTH, run_backup, NULL, NULL},
    {"PING", "", "+PONG", 0, 0, 0, TEXT, run_ping, NULL, NULL},
    {"HELP", "[command]", "the commands, or what one of them does", 0, 1, 0, TEXT, run_help, NULL, NULL},
    {"QUIT", "", "sends what is owed and closes the connection; an open transaction is discarded", 0, 0,
     COMMAND_ALWAYS | COMMAND_GUEST, TEXT, run_quit, NULL, NULL},
    {"AUTH", "password", "says the password of the server, where it has one: all that follows the space", 1, 1,
     COMMAND_REST | COMMAND_GUEST, TEXT, run_auth_line, NULL, NULL},
    {"GET", "key", "the value of key, or nil", 1, 1, COMMAND_KEY, RESP, run_get, "1.0.0", NULL},
    {"SET", "key value [option ...]",
     "stores value at key; options: NX, XX or IFEQ value, GET, and EX, PX, EXAT, PXAT with a time, or KEEPTTL", 2, MANY,
     COMMAND_KEY | COMMAND_VALUE2 | COMMAND_WRITES, RESP, run_set_options, "1.0.0", "IFEQ besides, as in Valkey"},
    {"SETEX", "key seconds value", "stores value, which ends in so many seconds", 3, 3, COMMAND_KEY | COMMAND_REST | COMMAND_WRITES,
     RESP, run_setex, "2.0.0", NULL},
    {"PSETEX", "key milliseconds value", "stores value, which ends in so many milliseconds", 3, 3,
     COMMAND_KEY | COMMAND_REST | COMMAND_WRITES, RESP, run_psetex, "2.6.0", NULL},
    {"GETEX", "key [option ...]", "the value of key, or nil; options: EX, PX, EXAT, PXAT with a time for its end, or PERSIST", 1,
     MANY, COMMAND_KEY | COMMAND_WRITES | COMMAND_GROWS, RESP, run_getex, "6.2.0", NULL},
    {"SETNX", "key value", "stores value where key does not exist; 1, or 0", 2, 2,
     COMMAND_KEY | COMMAND_REST | COMMAND_WRITES, RESP, run_setnx, "1.0.0", NULL},
    {"GETSET", "key value", "stores value; the old one, or nil", 2, 2, COMMAND_KEY | COMMAND_REST | COMMAND_WRITES, RESP,
     run_getset, "1.0.0", NULL},
    {"GETDEL", "key", "removes key; its value, or nil", 1, 1, COMMAND_KEY | COMMAND_WRITES, RESP, run_getdel, "6.2.0", NULL},
    {"MGET", "key [key ...]", "the values of the keys", 1, MANY, COMMAND_KEYS, RESP, run_mget, "1.0.0", NULL},
    {"MSET", "key value [key value ...]", "stores all of them, as one commit", 2, MANY, COMMAND_PAIRS | COMMAND_WRITES,
     RESP, run_mset, "1.0.1", NULL},
    {"MSETNX", "key value [key value ...]", "stores all of them where none of the keys exists; 1, or 0", 2, MANY,
     COMMAND_PAIRS | COMMAND_WRITES, RESP, run_msetnx, "1.0.1", NULL},
    {"APPEND", "key value", "appends to the value; its length", 2, 2,
     COMMAND_KEY | COMMAND_REST | COMMAND_WRITES | COMMAND_GROWS, RESP, run_append, "2.0.0", "up to --value-max"},
    {"STRLEN", "key", "the length of the value", 1, 1, COMMAND_KEY, RESP, run_strlen, "2.2.0", NULL},
    {"GETRANGE", "key start end", "the bytes of the value from start to end; below 0, counted from its end", 3, 3,
     COMMAND_KEY, RESP, run_getrange, "2.4.0", NULL},
    {"SUBSTR", "key start end", "GETRANGE by its old name", 3, 3, COMMAND_KEY, RESP, run_getrange, "1.0.0", NULL},
    {"SETRANGE", "key offset value", "puts value over what stands from offset on; the length", 3, 3,
     COMMAND_KEY | COMMAND_REST | COMMAND_WRITES | COMMAND_GROWS, RESP, run_setrange, "2.2.0", "up to --value-max"},
    {"INCR", "key", "adds 1 to the integer at key; the sum", 1, 1, COMMAND_KEY | COMMAND_WRITES, RESP, run_incr, "1.0.0", NULL},
    {"DECR", "key", "subtracts 1 from the integer at key; the rest", 1, 1, COMMAND_KEY | COMMAND_WRITES, RESP, run_decr,
     "1.0.0", NULL},
    {"INCRBY", "key by", "adds by to the integer at key; the sum", 2, 2, COMMAND_KEY | COMMAND_WRITES, RESP, run_incrby,
     "1.0.0", NULL},
    {"DECRBY", "key by", "subtracts by from the integer at key; the rest", 2, 2, COMMAND_KEY | COMMAND_WRITES, RESP,
     run_decrby, "1.0.0", NULL},
    {"INCRBYFLOAT", "key by", "adds by to the number at key, which may have a fraction; the sum", 2, 2,
     COMMAND_KEY | COMMAND_WRITES | COMMAND_GROWS, RESP, run_incrbyfloat, "2.6.0", NULL},
    {"LCS", "key key2 [option ...]",
     "the longest common subsequence of two values; options: LEN, or IDX with MINMATCHLEN length and WITHMATCHLEN", 2, MANY,
     COMMAND_KEY | COMMAND_KEY2 | COMMAND_LONG, RESP, run_lcs, "7.0.0", "long values are refused"},
    {"DEL", "key [key ...]", "removes the keys, as one commit; how many there were", 1, MANY, COMMAND_KEYS | COMMAND_WRITES,
     RESP, run_del_keys, "1.0.0", NULL},
    {"UNLINK", "key [key ...]", "DEL by another name", 1, MANY, COMMAND_KEYS | COMMAND_WRITES, RESP, run_del_keys, "4.0.0", NULL},
    {"EXISTS", "key [key ...]", "how many of the keys exist", 1, MANY, COMMAND_KEYS, RESP, run_exists_keys, "1.0.0", NULL},
    {"TOUCH", "key [key ...]", "how many of the keys exist", 1, MANY, COMMAND_KEYS, RESP, run_exists_keys, "3.2.1", NULL},
    {"EXPIRE", "key seconds [condition ...]", "lets key end in so many seconds; conditions: NX, XX, GT, LT; 1, or 0", 2, MANY,
     COMMAND_KEY | COMMAND_WRITES | COMMAND_GROWS, RESP, run_expire, "1.0.0", NULL},
    {"PEXPIRE", "key milliseconds [condition ...]", "EXPIRE in milliseconds", 2, MANY,
     COMMAND_KEY | COMMAND_WRITES | COMMAND_GROWS, RESP, run_pexpire, "2.6.0", NULL},
    {"EXPIREAT", "key time [condition ...]", "lets key end at a Unix time in seconds; conditions as EXPIRE; 1, or 0", 2, MANY,
     COMMAND_KEY | COMMAND_WRITES | COMMAND_GROWS, RESP, run_expireat, "1.2.0", NULL},
    {"PEXPIREAT", "key time [condition ...]", "EXPIREAT in milliseconds", 2, MANY,
     COMMAND_KEY | COMMAND_WRITES | COMMAND_GROWS, RESP, run_pexpireat, "2.6.0", NULL},
    {"PTTL", "key", "TTL in milliseconds", 1, 1, COMMAND_KEY, RESP, run_pttl, "2.6.0", NULL},
    {"EXPIRETIME", "key", "the Unix time in seconds at which key ends; -1 never, -2 where there is none", 1, 1, COMMAND_KEY, RESP,
     run_expiretime, "7.0.0", NULL},
    {"PEXPIRETIME", "key", "EXPIRETIME in milliseconds", 1, 1, COMMAND_KEY, RESP, run_pexpiretime, "7.0.0", NULL},
    {"TYPE", "key", "string, or none", 1, 1, COMMAND_KEY, RESP, run_type, "1.0.0", NULL},
    {"RENAME", "key newkey", "moves the value of key to newkey, as one commit", 2, 2,
     COMMAND_KEY | COMMAND_KEY2 | COMMAND_WRITES | COMMAND_GROWS, RESP, run_rename, "1.0.0", NULL},
    {"RENAMENX", "key newkey", "RENAME where newkey does not exist; 1, or 0", 2, 2,
     COMMAND_KEY | COMMAND_KEY2 | COMMAND_WRITES | COMMAND_GROWS, RESP, run_renamenx, "1.0.0", NULL},
    {"COPY", "key newkey [option ...]", "copies the value of key; options: DB 0, REPLACE; 1, or 0", 2, MANY,
     COMMAND_KEY | COMMAND_KEY2 | COMMAND_WRITES | COMMAND_GROWS, RESP, run_copy, "6.2.0", "DB 0 alone"},
    {"KEYS", "pattern", "the keys that match pattern, all as of one commit", 1, 1, COMMAND_LONG, RESP, run_keys,
     "1.0.0", "refused over --answer-max"},
    {"SCAN", "cursor [option ...]",
     "some keys, and the cursor to go on with, 0 at the end; options: MATCH pattern, COUNT number, TYPE string", 1, MANY,
     COMMAND_LONG, RESP, run_scan, "2.8.0", "the cursor is digits only; at most 10,000 keys a call"},
    {"RANDOMKEY", "", "some key, or nil", 0, 0, 0, RESP, run_randomkey, "1.0.0", "keys behind a gap are a little likelier"},
    {"MEMORY", "subcommand [word ...]", "USAGE key: about how many bytes the key and its value take, or nil", 1, MANY, 0, RESP,
     run_memory, "4.0.0", "USAGE alone; the sizes are those of this server"},
    {"FLUSHDB", "[ASYNC|SYNC]", "removes all keys", 0, 1, COMMAND_WRITES, RESP, run_flushall,
     "1.0.0", "changes, for WATCH, absent keys too"},
    {"FLUSHALL", "[ASYNC|SYNC]", "removes all keys", 0, 1, COMMAND_WRITES, RESP, run_flushall,
     "1.0.0", "changes, for WATCH, absent keys too"},
    {"MULTI", "", "queues what follows, until EXEC or DISCARD", 0, 0, COMMAND_AT_ONCE, RESP, run_multi,
     "1.2.0", "at most 10,000 commands; not inside BEGIN"},
    {"EXEC", "", "runs what was queued, as one commit; nil where a watched key has changed", 0, 0,
     COMMAND_AT_ONCE | COMMAND_RUNS | COMMAND_LONG, RESP, run_exec, "1.2.0", "all or nothing where something does not fit"},
    {"DISCARD", "", "forgets what was queued", 0, 0, COMMAND_AT_ONCE, RESP, run_discard, "2.0.0", NULL},
    {"WATCH", "key [key ...]", "lets EXEC run nothing if one of the keys changes before it", 1, MANY,
     COMMAND_KEYS | COMMAND_AT_ONCE, RESP, run_watch, "2.2.0", "not inside BEGIN"},
    {"UNWATCH", "", "forgets all watched keys", 0, 0, 0, RESP, run_unwatch, "2.2.0", NULL},
    {"PING", "[message]", "PONG, or the message", 0, 1, 0, RESP, run_ping_message,
     "1.0.0", "too many words are refused at once in MULTI"},
    {"ECHO", "message", "the message", 1, 1, 0, RESP, run_echo, "1.0.0", NULL},
    {"SELECT", "index", "takes database 0, the only one", 1, 1, 0, RESP, run_select, "1.0.0", "0 alone"},
    {"AUTH", "[username] password", "says the password of the server; the only user is default", 1, MANY, COMMAND_GUEST, RESP,
     run_auth, "1.0.0", "one user, default"},
    {"HELLO", "[version [option ...]]", "chooses RESP 2 or 3; options: AUTH username password, SETNAME name", 0, MANY,
     COMMAND_GUEST, RESP, run_hello, "6.0.0", "one user, default"},
    {"CLIENT", "subcommand [word ...]",
     "ID, GETNAME, SETNAME, SETINFO, INFO, LIST, KILL, PAUSE, UNPAUSE, REPLY, NO-EVICT, NO-TOUCH, HELP", 1, MANY, COMMAND_LONG,
     RESP, run_client, "2.4.0", "no CACHING, GETREDIR, TRACKING, TRACKINGINFO, UNBLOCK; names have at most 128 bytes"},
    {"COMMAND", "[subcommand [word ...]]", "the commands: COUNT, LIST, INFO, DOCS, GETKEYS", 0, MANY, 0, RESP, run_command,
     "2.8.13", "no GETKEYSANDFLAGS; names what this server has"},
    {"INFO", "[section ...]", "the server in figures", 0, MANY, 0, RESP, run_info, "1.0.0", "names what this server has"},
    {"CONFIG", "subcommand [word ...]", "GET pattern, SET maxmemory, RESETSTAT", 1, MANY, 0, RESP, run_config,
     "2.0.0", "GET names what this server has; SET sets maxmemory alone; no HELP, REWRITE"},
    {"TIME", "", "the time of day: seconds, and microseconds of the next one", 0, 0, 0, RESP, run_time, "2.6.0", NULL},
    {"LASTSAVE", "", "when the server started, in seconds", 0, 0, 0, RESP, run_lastsave, "1.0.0", "the start of the server"},
    {"WAIT", "replicas timeout", "0, as there are no replicas", 2, 2, 0, RESP, run_wait, "3.0.0", "always 0, at once"},
    {"FUNCTION", "subcommand [word ...]", "FLUSH: there are no functions", 1, MANY, 0, RESP, run_function,
     "7.0.0", "FLUSH alone"},
    {"RESET", "", "discards the transaction; the connection is as it was at its beginning", 0, 0,
     COMMAND_ALWAYS | COMMAND_AT_ONCE | COMMAND_GUEST, RESP, run_reset, "6.2.0", "discards a transaction of BEGIN too"},
    {"QUIT", "", "sends what is owed and closes the connection; an open transaction is discarded", 0, 0,
     COMMAND_ALWAYS | COMMAND_AT_ONCE | COMMAND_GUEST, RESP, run_quit_ok, "1.0.0", "discards a transaction of BEGIN too"},
#ifdef TXKV_FAULTS
    {"DEBUG", "subcommand [word ...]", "test build: SLEEP seconds", 1, MANY, 0, RESP, run_debug, "1.0.0", "SLEEP alone"},
    {"LASTSEQ", "", "test build: sequence number of this connection's last commit", 0, 0, COMMAND_ALWAYS, BOTH, run_lastseq,
     NULL, NULL},
    {"SNAPSHOT", "", "test build: sequence number that the transaction reads as of", 0, 0, COMMAND_ALWAYS, BOTH,
     run_snapshot, NULL, NULL},
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
    _Alignas(32) uint64_t folded;
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

static __attribute__((noinline)) const struct command *find_further(enum proto_kind kind, struct slice name)
{
    static bool filled;
    uint64_t folded = fold(name.data, name.len < FOLDED ? name.len : FOLDED);
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

const struct command *command_find_likely(enum proto_kind kind, struct slice name)
{
    if (name.len - 1 >= FOLDED) {
        return NULL;
    }
    uint64_t folded = fold(name.data, name.len);
    const struct slot *first = &slots_of(kind)[slot_of(folded, name.len)];
    return first->folded == folded && first->len == name.len ? first->command : NULL;
}

const struct command *command_find(enum proto_kind kind, struct slice name)
{
    const struct command *likely = command_find_likely(kind, name);
    return likely != NULL ? likely : find_further(kind, name);
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
