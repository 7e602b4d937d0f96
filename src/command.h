/* command: the one table of commands, and the functions that run them.
 *
 * Parsing, HELP, the prompt's completion and its check of a line, and docs/protocol.md all come from this table. */
#ifndef TXKV_COMMAND_H
#define TXKV_COMMAND_H

#include "proto.h"

struct session;
struct request;

#define COMMAND_ARGS_MAX 1024 /* words of one command after its verb */

enum command_flag {
    COMMAND_KEY = 1,      /* its first argument is a key */
    COMMAND_KEYS = 2,     /* all its arguments are keys */
    COMMAND_REST = 4,     /* its last argument is the rest of the line: a value */
    COMMAND_ENDS = 8,     /* ends a transaction, a failed one too */
    COMMAND_ALWAYS = 16,  /* runs in a failed transaction as it does elsewhere */
    COMMAND_BEGINS = 32,  /* its arguments are a mode and an ID; a refusal of it outside a transaction opens a failed one */
    COMMAND_NUMBER = 64,  /* its second argument is an integer */
    COMMAND_WRITES = 128, /* outside of a transaction it is a commit, of at most its own bytes, but for GROWS */
    COMMAND_COMMITS = 256, /* ends a transaction by a commit */
    COMMAND_TOKEN = 512,   /* its argument is the ID of a transaction */
    COMMAND_PAIRS = 1024,  /* its arguments are keys and values in turn */
    COMMAND_KEY2 = 2048,   /* its second argument is a key too */
    COMMAND_AT_ONCE = 8192,  /* runs between MULTI and EXEC, where others are queued */
    COMMAND_ALONE = 16384,   /* cannot be queued */
    COMMAND_RUNS = 32768,    /* runs what was queued, as one commit */
    COMMAND_VALUE2 = 65536,  /* its second argument is a value, whatever follows */
    COMMAND_GUEST = 131072,  /* runs before the client has said the password */
    COMMAND_LONG = 262144,   /* may take as long as thousands of others: a tick has time for a few */
    COMMAND_GROWS = 4096,  /* the value that it writes may be longer than what it was given */
};

#define COMMAND_MORE_KEYS (COMMAND_KEYS | COMMAND_PAIRS | COMMAND_KEY2)
#define COMMAND_ANY_KEY (COMMAND_KEY | COMMAND_MORE_KEYS)

struct command {
    const char *name;  /* in capitals */
    const char *usage; /* the arguments as the documents write them; "" for none */
    const char *help;  /* one line */
    unsigned args_min;
    unsigned args_max;
    unsigned flags;     /* enum command_flag */
    unsigned protocols; /* enum proto_kind: those that it serves; a name may have a row for each */
    void (*run)(struct session *s, const struct request *r);
    const char *since;   /* RESP: the version of Redis that had it first; NULL where Redis has no such command */
    const char *differs; /* RESP: what it does other than Redis 7.0, beyond what the document says of all; NULL: nothing */
};

/* The limits that parsing checks. */
struct command_limits {
    size_t key_bytes;
    size_t value_bytes;
};

#define COMMAND_KEY_BYTES_DEFAULT ((size_t)1024)
#define COMMAND_VALUE_BYTES_DEFAULT ((size_t)1 << 20)

/* A request whose words are known: what a command's function gets. Slices are borrowed until it has run. */
struct request {
    _Alignas(64) const struct command *command; /* NULL where no command has that name */
    const struct slice *args;
    size_t count; /* arguments */
    uint32_t hash; /* of the first argument, where that is a key */
    int error;     /* 0, or why it cannot run; command_explain says it in words */
    const struct proto *proto; /* that it came by */
    char *unquoted;            /* PROTO_INLINE_MAX bytes for quoted words; may be NULL for the text protocol */
    struct raw_request raw;
};

/* A protocol's command of a name in whatever case, or NULL. */
const struct command *command_find(enum proto_kind kind, struct slice name);

/* The same for most names; NULL for others, too. */
const struct command *command_find_likely(enum proto_kind kind, struct slice name);

/* A protocol's commands in the order of the table; NULL past the end. */
const struct command *command_at(enum proto_kind kind, size_t index);

/* Which arguments of a command are keys. */
struct command_keys {
    size_t count; /* how many */
    size_t step;  /* from one to the next */
    bool open;    /* as many as there are arguments, instead of `count` */
};

void command_keys(const struct command *c, struct command_keys *keys);

/* The longest line, without its end, that can hold a command within the limits. */
size_t command_line_max(const struct command_limits *limits);

/* Fills command, args, count and error of a request from its proto and raw form. words has room for COMMAND_ARGS_MAX slices. */
void command_parse(struct request *r, const struct command_limits *limits, struct slice *words);

/* Says in words, one line without its end, why a parsed request has its error. Needs the words of command_parse. */
void command_explain(const struct request *r, const struct command_limits *limits, char *why, size_t size);

/* Whether a request is to be queued, as it stands between MULTI and EXEC; and queues it, or says why not. */
bool command_queues(const struct session *s, const struct request *r);
void command_queue(struct session *s, const struct request *r);

/* An EXEC that is wrong itself ends MULTI. */
void command_refuse_exec(struct session *s, const char *why);

/* Ends MULTI and WATCH, with nothing run. */
void command_forget_multi(struct session *s);

/* A slice of a session's listing (command_scan.c), whose answer it writes at its end; and ends a listing without an answer. */
void command_continue(struct session *s);
void command_forget_listing(struct session *s);

/* Checks one text line (without its line end) as the server would parse it under the default limits: 0 if it would be
 * run, else a negative error and the text of the ERR line (without "ERR ") in why, ended by NUL. */
int command_check_line(struct slice line, char *why, size_t why_size);

/* Whether a line of the text protocol can name this key, whatever its length. */
bool command_is_text_key(struct slice key);

#endif
