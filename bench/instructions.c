/* instructions: one operation of the core, many times over, for callgrind to count. Instructions do not depend on what
 * else the machine does, so a change of a few of them shows; bench/instructions.sh compares them with those kept.
 *
 *      txkv-instructions           prints the names of the operations
 *      txkv-instructions NAME      does one of them, and prints how many times
 *
 * Only what happens inside `measured` is to be counted. Data and requests are made before, under seeds, and the hash
 * has a fixed key, so that each run executes the same instructions. There are no sockets: a tick gets bytes as the edge
 * would give them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hash.h"
#include "mem.h"
#include "rng.h"
#include "tick.h"

#define KEYS 131072U     /* in the store before: 32 a table, far from an expansion */
#define OPERATIONS 8192U /* measured; a multiple of every batch */
#define KEY_BYTES 16
#define VALUE "0123456789abcdef"
#define PIPELINE 64         /* lines that arrive together */
#define OPERATION_BYTES 320 /* at most, of one operation's lines */

struct run {
    struct session session; /* first: the tick's session is this run's */
    struct engine engine;
    struct tick tick;
    struct rng rng;
    size_t answered; /* bytes of answers, or what else proves that the work was done */
};

struct operation {
    const char *name;
    size_t batch;                                              /* operations that arrive together */
    size_t answer_bytes;                                       /* of one operation */
    size_t (*write)(struct run *r, char *to, unsigned number); /* its input; returns the length */
    void (*serve)(struct run *r, struct slice batch);
};

/* --- the input of one operation --- */

static size_t write_key(char *to, uint64_t number)
{
    return (size_t)snprintf(to, OPERATION_BYTES, "key:%012llu", (unsigned long long)number);
}

static size_t write_line(char *to, const char *verb, uint64_t number, const char *rest)
{
    return (size_t)snprintf(to, OPERATION_BYTES, "%s key:%012llu%s\r\n", verb, (unsigned long long)number, rest);
}

static size_t any_key(struct run *r, char *to, unsigned number)
{
    (void)number;
    return write_key(to, rng_below(&r->rng, KEYS));
}

static size_t get_any(struct run *r, char *to, unsigned number)
{
    (void)number;
    return write_line(to, "GET", rng_below(&r->rng, KEYS), "");
}

static size_t set_any(struct run *r, char *to, unsigned number)
{
    (void)number;
    return write_line(to, "SET", rng_below(&r->rng, KEYS), " " VALUE);
}

/* The same in RESP, which the first of them makes the session speak. */
static size_t resp_get(struct run *r, char *to, unsigned number)
{
    (void)number;
    return (size_t)sprintf(to, "*2\r\n$3\r\nGET\r\n$16\r\nkey:%012llu\r\n", (unsigned long long)rng_below(&r->rng, KEYS));
}

static size_t resp_set(struct run *r, char *to, unsigned number)
{
    (void)number;
    return (size_t)sprintf(to, "*3\r\n$3\r\nSET\r\n$16\r\nkey:%012llu\r\n$16\r\n" VALUE "\r\n",
                           (unsigned long long)rng_below(&r->rng, KEYS));
}

static size_t set_new(struct run *r, char *to, unsigned number)
{
    (void)r;
    return write_line(to, "SET", KEYS + (uint64_t)number, " " VALUE);
}

static size_t get_or_set(struct run *r, char *to, unsigned number)
{
    return number % 2 == 0 ? get_any(r, to, number) : set_any(r, to, number);
}

static size_t four_writes(struct run *r, char *to, unsigned number)
{
    size_t len = (size_t)sprintf(to, "BEGIN\r\n");
    for (int i = 0; i < 4; i++) {
        len += set_any(r, to + len, number);
    }
    return len + (size_t)sprintf(to + len, "COMMIT\r\n");
}

/* As four_writes, in RESP: by what begins and ends the transaction. */
static size_t resp_four_writes(struct run *r, char *to, const char *begin, const char *end)
{
    size_t len = (size_t)sprintf(to, "*1\r\n$%zu\r\n%s\r\n", strlen(begin), begin);
    for (unsigned i = 0; i < 4; i++) {
        len += resp_set(r, to + len, i);
    }
    return len + (size_t)sprintf(to + len, "*1\r\n$%zu\r\n%s\r\n", strlen(end), end);
}

static size_t resp_commit(struct run *r, char *to, unsigned number)
{
    (void)number;
    return resp_four_writes(r, to, "BEGIN", "COMMIT");
}

static size_t multi_exec(struct run *r, char *to, unsigned number)
{
    (void)number;
    return resp_four_writes(r, to, "MULTI", "EXEC");
}

static size_t read_modify_write(struct run *r, char *to, unsigned number)
{
    uint64_t key = rng_below(&r->rng, KEYS);
    size_t len = (size_t)sprintf(to, "BEGIN SERIALIZABLE\r\n");
    (void)number;
    len += write_line(to + len, "GET", key, "");
    len += write_line(to + len, "SET", key, " " VALUE);
    return len + (size_t)sprintf(to + len, "COMMIT\r\n");
}

/* --- serving a batch --- */

static void on_ran(struct session *s)
{
    ((struct run *)(void *)s)->answered += buf_len(&s->out);
    buf_consume(&s->out, buf_len(&s->out));
    buf_settle(&s->in);
    buf_settle(&s->out);
}

static void serve_tick(struct run *r, struct slice batch)
{
    if (buf_append(&r->session.in, batch.data, batch.len) < 0) {
        abort();
    }
    tick_add(&r->tick, &r->session);
    while (!tick_is_idle(&r->tick)) {
        tick_run(&r->tick, on_ran);
        (void)store_tend(&r->engine.store);
    }
}

static void serve_decoder(struct run *r, struct slice batch)
{
    static struct slice words[COMMAND_ARGS_MAX];
    const struct command_limits *limits = &r->engine.limits.command;
    struct decoder d = {0};
    struct request request = {.proto = &proto_text};
    while (proto_text.decode(&d, batch, command_line_max(limits), &request.raw) == DECODED_REQUEST) {
        command_parse(&request, limits, words);
        r->answered += request.error == 0 ? 1 : 0;
        batch = slice_of(batch.data + request.raw.consumed, batch.len - request.raw.consumed);
    }
}

/* The store alone: a group of keys is hashed and prefetched as the tick does it. */
static void hash_group(struct run *r, struct slice batch, struct slice *keys, uint32_t *hashes)
{
    for (size_t i = 0; i < TICK_GROUP; i++) {
        keys[i] = slice_of(batch.data + i * KEY_BYTES, KEY_BYTES);
        hashes[i] = hash_of(keys[i]);
    }
    store_prefetch(&r->engine.store, hashes, TICK_GROUP);
}

static void serve_lookups(struct run *r, struct slice batch)
{
    struct slice keys[TICK_GROUP], value;
    uint32_t hashes[TICK_GROUP];
    hash_group(r, batch, keys, hashes);
    for (size_t i = 0; i < TICK_GROUP; i++) {
        r->answered += store_get(&r->engine.store, NULL, keys[i], hashes[i], &value) == 1 ? 1 : 0;
    }
}

static void serve_overwrites(struct run *r, struct slice batch)
{
    struct slice keys[TICK_GROUP], value = slice_str(VALUE);
    uint32_t hashes[TICK_GROUP];
    hash_group(r, batch, keys, hashes);
    for (size_t i = 0; i < TICK_GROUP; i++) {
        r->answered += store_set(&r->engine.store, NULL, keys[i], hashes[i], value) == 0 ? 1 : 0;
    }
}

#define OK_BYTES 4                      /* of "OK" as a line */
#define VALUE_BYTES (sizeof(VALUE) + 1) /* of VALUE as a line */
#define RESP_OK_BYTES 5
#define RESP_VALUE_BYTES (5 + VALUE_BYTES) /* "$16" as a line before it */
#define RESP_QUEUED_BYTES 9
#define RESP_ARRAY_BYTES 4 /* of the line before some answers */

static const struct operation operations[] = {
    {"decode", PIPELINE, 1, get_or_set, serve_decoder},
    {"lookup", TICK_GROUP, 1, any_key, serve_lookups},
    {"overwrite", TICK_GROUP, 1, any_key, serve_overwrites},
    {"get", PIPELINE, VALUE_BYTES, get_any, serve_tick},
    {"get-alone", 1, VALUE_BYTES, get_any, serve_tick},
    {"set", PIPELINE, OK_BYTES, set_any, serve_tick},
    {"set-new", PIPELINE, OK_BYTES, set_new, serve_tick},
    {"resp-get", PIPELINE, RESP_VALUE_BYTES, resp_get, serve_tick},
    {"resp-get-1", 1, RESP_VALUE_BYTES, resp_get, serve_tick},
    {"resp-set", PIPELINE, RESP_OK_BYTES, resp_set, serve_tick},
    {"commit", PIPELINE / 8, 6 * OK_BYTES, four_writes, serve_tick},
    {"resp-commit", PIPELINE / 8, 6 * RESP_OK_BYTES, resp_commit, serve_tick},
    {"multi", PIPELINE / 8, 5 * RESP_OK_BYTES + 4 * RESP_QUEUED_BYTES + RESP_ARRAY_BYTES, multi_exec, serve_tick},
    {"commit-rmw", PIPELINE / 4, 3 * OK_BYTES + VALUE_BYTES, read_modify_write, serve_tick},
};

#define OPERATION_KINDS (sizeof(operations) / sizeof(operations[0]))

/* --- the run --- */

static void prepare(struct run *r)
{
    unsigned char secret[HASH_SECRET_BYTES];
    for (size_t i = 0; i < sizeof(secret); i++) {
        secret[i] = (unsigned char)(i * 151 + 17);
    }
    mem_init();
    hash_init_known(secret);
    if (engine_init(&r->engine) < 0) {
        abort();
    }
    tick_init(&r->tick);
    session_init(&r->session, &r->engine);
    for (unsigned i = 0; i < KEYS; i++) {
        char text[OPERATION_BYTES];
        struct slice key = slice_of(text, write_key(text, i));
        if (store_set(&r->engine.store, NULL, key, hash_of(key), slice_str(VALUE)) < 0) {
            abort();
        }
    }
    while (store_tend(&r->engine.store)) {
    }
}

/* Callgrind counts while this function runs, by its name. */
__attribute__((noinline, used)) static void measured(struct run *r, const struct operation *o, const char *input,
                                                     const size_t *ends)
{
    for (size_t from = 0, i = 0; i < OPERATIONS / o->batch; from = ends[i++]) {
        o->serve(r, slice_of(input + from, ends[i] - from));
    }
}

static int count(const struct operation *o)
{
    static struct run r;
    char *input = malloc((size_t)OPERATIONS * OPERATION_BYTES);
    size_t *ends = malloc(OPERATIONS * sizeof(*ends));
    if (input == NULL || ends == NULL) {
        abort();
    }
    prepare(&r);
    for (unsigned i = 0, len = 0; i < OPERATIONS; i++) {
        len += (unsigned)o->write(&r, input + len, i);
        ends[i / o->batch] = len;
    }
    measured(&r, o, input, ends);
    if (r.answered != OPERATIONS * o->answer_bytes) {
        fprintf(stderr, "%s: answers of %zu bytes, not of %zu\n", o->name, r.answered, OPERATIONS * o->answer_bytes);
        return 1;
    }
    session_deinit(&r.session);
    engine_deinit(&r.engine);
    free(input);
    free(ends);
    printf("%u\n", OPERATIONS);
    return 0;
}

int main(int argc, char **argv)
{
    for (size_t i = 0; i < OPERATION_KINDS; i++) {
        if (argc == 1) {
            puts(operations[i].name);
        } else if (strcmp(argv[1], operations[i].name) == 0) {
            return count(&operations[i]);
        }
    }
    if (argc > 1) {
        fprintf(stderr, "usage: txkv-instructions [NAME]\n");
        return 2;
    }
    return 0;
}
