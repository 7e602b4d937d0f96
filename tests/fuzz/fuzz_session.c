/* Up to four clients talk to one engine: each line of the input begins with a byte that chooses the client, and whether time
 * passes before it (bit 6: by 0 to 7 steps, as bits 2 to 4 say) and what has ended is removed (bit 5 is 0); the rest, its LF
 * included, is what the client sends. The answers must be the model's, and must not depend on how the bytes are cut. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "fuzz.h"
#include "hash.h"
#include "model.h"
#include "tick.h"
#include "time_passes.h"

#define INPUT_MAX 4096
#define TIME_STEP_MS 500

static struct tick tick;

/* The answers stay; what was lent to them need not. */
static void repay(struct session *s)
{
    buf_repay_all(&s->out, 0);
}

struct run {
    struct engine engine;
    struct session sessions[MODEL_CLIENTS];
};

static void start(struct run *r)
{
    if (engine_init(&r->engine) < 0) {
        abort();
    }
    r->engine.limits.command = (struct command_limits){MODEL_KEY_MAX, MODEL_VALUE_MAX};
    r->engine.store_limits.txn.keys = MODEL_TX_KEYS;
    r->engine.lend_min = 1;
    tick_init(&tick);
    for (int i = 0; i < MODEL_CLIENTS; i++) {
        session_init(&r->sessions[i], &r->engine);
    }
}

static void stop(struct run *r)
{
    for (int i = 0; i < MODEL_CLIENTS; i++) {
        session_deinit(&r->sessions[i]);
    }
    while (store_tend(&r->engine.store)) {
    }
    if (r->engine.store.history.bytes != 0) {
        fprintf(stderr, "%zu bytes of history are left without a transaction\n", r->engine.store.history.bytes);
        abort();
    }
    engine_deinit(&r->engine);
}

static void give(struct session *s, const uint8_t *bytes, size_t size)
{
    if (s->state != SESSION_OPEN) {
        return;
    }
    if (buf_append(&s->in, bytes, size) < 0) {
        abort();
    }
    tick_add(&tick, s);
    while (!tick_is_idle(&tick)) {
        tick_run(&tick, repay);
    }
    buf_settle(&s->in);
}

static void disagree(const char *what, const struct buf *out, const struct model_answer *expected)
{
    fprintf(stderr, "%s\ngot:\n%.*s\nexpected:\n", what, (int)buf_len(out), buf_head(out));
    for (size_t i = 0, at = 0; i < expected->lines; at += expected->line_len[i++]) {
        fprintf(stderr, "%.*s\n", (int)expected->line_len[i], expected->text + at);
    }
    abort();
}

/* Compares what a session has answered with what the model says, line by line. */
static void compare(struct buf *out, const struct model_answer *expected)
{
    const char *at = buf_head(out);
    const char *end = buf_len(out) == 0 ? at : at + buf_len(out);
    const char *want = expected->text;
    for (size_t i = 0; i < expected->lines; i++) {
        const char *crlf = end - at < 2 ? NULL : memmem(at, (size_t)(end - at), "\r\n", 2);
        if (crlf == NULL) {
            disagree("an answer is missing", out, expected);
        }
        size_t len = (size_t)(crlf - at);
        size_t want_len = expected->line_len[i];
        bool error = expected->kind[i] == MODEL_ERROR;
        bool same = error ? len > want_len && memcmp(at, want, want_len) == 0 && at[want_len] == ' '
                          : len == want_len && memcmp(at, want, len) == 0;
        if (!same && expected->kind[i] != MODEL_ANY) {
            disagree("another answer", out, expected);
        }
        at = crlf + 2;
        want += want_len;
    }
    if (at != end) {
        disagree("more answers than commands", out, expected);
    }
    buf_consume(out, buf_len(out));
}

/* Sends one client's bytes in pieces of 1 to most bytes. */
static void send_cut(struct session *s, const uint8_t *bytes, size_t size, size_t most, uint64_t *seed)
{
    for (size_t at = 0; at < size;) {
        size_t piece = 1 + fuzz_random(seed, most);
        piece = piece < size - at ? piece : size - at;
        give(s, bytes + at, piece);
        at += piece;
    }
}

/* Whether it may run a command that the model does not have: those of test builds, and KEYS, whose order is the server's own. */
static bool names_other_command(const uint8_t *data, size_t size)
{
    static const char *const names[] = {"LASTSEQ", "SNAPSHOT", "KEYS"};
    for (size_t i = 0; i < size; i++) {
        for (size_t n = 0; n < sizeof(names) / sizeof(names[0]); n++) {
            size_t len = strlen(names[n]);
            if (len <= size - i && strncasecmp((const char *)data + i, names[n], len) == 0) {
                return true;
            }
        }
    }
    return false;
}

static void pass_time(struct run *r, struct model *m, uint8_t how)
{
    m->now_ms += how & 0x40 ? TIME_STEP_MS * ((how >> 2) & 7U) : 0;
    time_passes(&r->engine.store, m->now_ms);
    if ((how & 0x20) == 0) {
        remove_ended(&r->engine.store);
        model_remove_ended(m);
    }
}

/* Whether the line that begins at `next` may come in one go with that of client `who` before it: no time passes, and the model has
 * room for its answers too. */
static bool may_join(const uint8_t *data, size_t size, size_t next, int who, const struct model_answer *so_far)
{
    return next < size && (data[next] & 0x60) == 0x20 && (data[next] & (MODEL_CLIENTS - 1)) == who &&
           so_far->len < MODEL_ANSWER_MAX / 2 && so_far->lines < MODEL_WORDS / 2;
}

/* joined: lines that may come in one go do. */
static void play(const uint8_t *data, size_t size, size_t most, bool joined)
{
    static struct run r;
    static struct model m;
    static struct model_answer answer;
    static char pending[MODEL_CLIENTS][INPUT_MAX + 1];
    static uint8_t held[INPUT_MAX]; /* to be sent */
    size_t held_len = 0;
    size_t pending_len[MODEL_CLIENTS] = {0};
    uint64_t seed = fuzz_seed(data, size);
    start(&r);
    memset(&m, 0, sizeof(m));
    for (size_t at = 0; at < size;) {
        const uint8_t *lf = memchr(data + at, '\n', size - at);
        size_t len = lf == NULL ? size - at : (size_t)(lf - (data + at)) + 1;
        int who = data[at] & (MODEL_CLIENTS - 1);
        const uint8_t *bytes = data + at + (len > 1 || lf == NULL ? 1 : 0);
        size_t count = len - (len > 1 || lf == NULL ? 1 : 0);
        if (held_len == 0) {
            answer.len = answer.lines = 0;
        }
        pass_time(&r, &m, data[at]);
        memcpy(held + held_len, bytes, count);
        held_len += count;
        memcpy(pending[who] + pending_len[who], bytes, count);
        pending_len[who] += count;
        if (lf != NULL) {
            model_line(&m, who, pending[who], pending_len[who] - 1, &answer);
            pending_len[who] = 0;
        } else {
            model_partial(&m, who, pending[who], pending_len[who], &answer);
        }
        at += len;
        if (joined && may_join(data, size, at, who, &answer)) {
            continue;
        }
        send_cut(&r.sessions[who], held, held_len, most, &seed);
        held_len = 0;
        if (r.sessions[who].proto != &proto_text) {
            break; /* the model speaks the text protocol */
        }
        compare(&r.sessions[who].out, &answer);
    }
    stop(&r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool ready;
    if (size > INPUT_MAX || names_other_command(data, size)) {
        return 0;
    }
    if (!ready && hash_init() < 0) {
        abort();
    }
    ready = true;
    play(data, size, INPUT_MAX, false);
    play(data, size, INPUT_MAX, true);
    play(data, size, 5, false);
    return 0;
}
