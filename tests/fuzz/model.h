/* model: what a server must answer, written from docs/protocol.md in the simplest way that can be right: every transaction
 * has a copy of all data as of its BEGIN, and nothing is ever forgotten. Slow, and nothing of the server is in it. */
#ifndef TXKV_TEST_MODEL_H
#define TXKV_TEST_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MODEL_CLIENTS 4
#define MODEL_KEYS 256 /* different keys in one run */
#define MODEL_KEY_MAX 16
#define MODEL_VALUE_MAX 32
#define MODEL_TX_KEYS 8
#define MODEL_LINE_MAX (MODEL_KEY_MAX + MODEL_VALUE_MAX + 64)
#define MODEL_WORDS (MODEL_LINE_MAX + 1)
#define MODEL_ANSWER_MAX 8192
#define MODEL_TOKENS 1024 /* different IDs in one run */
#define MODEL_TOKEN_MAX 64

struct model_item {
    unsigned char key[MODEL_KEY_MAX];
    size_t key_len;
    bool exists;
    char value[MODEL_VALUE_MAX];
    size_t value_len;
    uint64_t version;
    uint64_t ends;            /* Unix milliseconds; 0: never */
    uint64_t removed_version; /* of a key that time removed: the version that it had, and its end; else 0 */
    uint64_t removed_end;
};

struct model_data {
    struct model_item items[MODEL_KEYS]; /* every key ever named; absent ones have a version too */
    size_t count;
};

/* The ID of a transaction, and what became of it. */
struct model_token {
    char text[MODEL_TOKEN_MAX];
    size_t len;
    int state; /* 0 unknown, 1 open, 2 aborted, 3 committed */
};

struct model_client {
    int state; /* 0 none, 1 open, 2 failed */
    int mode;  /* 0 plain, 1 serializable, 2 read only */
    bool expired; /* failed because another client has begun a transaction of its ID */
    struct model_token *token; /* of the transaction that is open, or was last; NULL without one */
    bool began;  /* a line has come */
    bool closed;
    bool flushed;
    bool read_keyset;
    uint64_t snapshot;
    uint64_t now_ms; /* of its BEGIN */
    struct model_data view; /* the data as of BEGIN */
    bool wrote[MODEL_KEYS];
    bool marked[MODEL_KEYS];
    struct model_item writes[MODEL_KEYS];
};

struct model {
    struct model_data data;
    uint64_t seq;
    uint64_t keyset_version;
    uint64_t now_ms; /* Unix milliseconds; set by whoever runs it */
    struct model_client clients[MODEL_CLIENTS];
    struct model_token tokens[MODEL_TOKENS];
    size_t token_count;
};

/* What a client must get for some bytes: lines without their ends, one behind the other. */
enum model_kind {
    MODEL_EXACT, /* this line */
    MODEL_ERROR, /* an error that begins so, "ERR CODE" */
    MODEL_ANY,   /* any line */
};

struct model_answer {
    char text[MODEL_ANSWER_MAX];
    size_t len;
    size_t lines;
    size_t line_len[MODEL_WORDS];
    enum model_kind kind[MODEL_WORDS];
};

/* The client sends one line, without its LF; a CR before the LF belongs to the line. Appends to the answer. */
void model_line(struct model *m, int client, const char *line, size_t len, struct model_answer *answer);

/* All keys whose time has passed are removed, each by a commit. */
void model_remove_ended(struct model *m);

/* The client has sent these bytes without a line end so far. */
void model_partial(struct model *m, int client, const char *bytes, size_t len, struct model_answer *answer);

#endif
