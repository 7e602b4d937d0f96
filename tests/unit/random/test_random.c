/* Several clients send random commands at random splits, some without reading their answers, some leaving in the
 * middle. What each one is answered must be what the model says, line by line.
 *
 * Within a tick the sessions run in the order in which they became ready, and a session counts what it has run. So the
 * model is given each client's lines in just that order and number, however limits and fairness have cut them. */
#include <stdio.h>
#include <stdlib.h>

#include "data.h"
#include "model.h"
#include "rng.h"
#include "talk.h"
#include "time_passes.h"
#include "unit.h"

#define SEEDS 4
#define COMMANDS 50000 /* for each seed */
#define KEYS 24
#define UNSENT_MAX 4096 /* bytes of one burst */
#define ANSWER_MAX 1024 /* bytes that no answer here reaches */
#define START UINT64_C(1700000000000) /* Unix milliseconds when a play begins */

struct script {
    char *bytes;
    size_t len;
};

struct player {
    struct script lines;    /* given to the session, not yet run */
    struct script expected; /* answers by the model, not yet compared: '=', 'E' or '?', text, LF */
    uint64_t ran;           /* requests, by the session's count */
};

struct game {
    struct talk talk;
    struct model model;
    struct player players[MODEL_CLIENTS];
    char held[MODEL_CLIENTS][UNSENT_MAX]; /* bytes of a burst that come later */
    size_t held_len[MODEL_CLIENTS];
    struct rng rng;
    uint64_t seed;
    unsigned long commands;
};

static struct game game;

static void append(struct script *s, const char *bytes, size_t len)
{
    s->bytes = realloc(s->bytes, s->len + len + 1);
    cr_assert_not_null(s->bytes);
    if (len > 0) {
        memcpy(s->bytes + s->len, bytes, len);
    }
    s->len += len;
}

static void drop_head(struct script *s, size_t len)
{
    s->len -= len;
    memmove(s->bytes, s->bytes + len, s->len);
}

/* --- random commands --- */

static void random_key(struct rng *r, char *to, size_t size)
{
    snprintf(to, size, "k%u", rng_below(r, rng_chance(r, 50) ? 4 : KEYS));
}

static void random_value(struct rng *r, char *to, size_t size)
{
    static const char *const odd[] = {"",
                                      "-",
                                      "-0",
                                      "01",
                                      " two words ",
                                      "9223372036854775807",
                                      "-9223372036854775808",
                                      "ERR NOTX",
                                      "x23456789012345678901234567890123"};
    if (rng_chance(r, 15)) {
        snprintf(to, size, "%s", odd[rng_below(r, sizeof(odd) / sizeof(odd[0]))]);
    } else {
        snprintf(to, size, "%u", rng_below(r, 5));
    }
}

/* Most are committed after a while; further ones come, few enough for the model. */
static unsigned random_token(struct rng *r)
{
    return (unsigned)(game.commands / 200) + rng_below(r, 3);
}

static size_t random_wrong(struct rng *r, char *to, size_t size)
{
    static const char *const wrong[] = {
        "GET",          "GET a b",   "SET k1",      "SET  v",    "BEGIN NONSENSE",
        "COMMIT now",   "NOSUCH",    " GET k1",     "INCR k1 x", "GET k\r1",
        "MGET",         "FLUSH all", "HELP NOSUCH", "DEL ",      "BEGIN\rx",
        "ROLLBACK now", "GET a\x01", "INCR k1 -",   "",          "begin readonly ",
        "BEGIN ID",     "BEGIN ID ", "OUTCOME a b", "CHECKPOINT", "BEGIN ID t1 READONLY",
    };
    if (rng_chance(r, 8)) { /* over-long */
        memset(to, 'x', 200);
        memcpy(to, rng_chance(r, 50) ? "BEGIN " : "SET k1 ", 6);
        return 200;
    }
    return (size_t)snprintf(to, size, "%s", wrong[rng_below(r, sizeof(wrong) / sizeof(wrong[0]))]);
}

/* On when a key ends: most ends are near, so that they come while transactions are open. */
static size_t random_end(struct rng *r, char *to, size_t size, const char *key, const char *value)
{
    static const char *const seconds[] = {"1", "1", "2", "3", "3", "5", "1000", "9223372036854775", "0", "-1", "x", "9223372036854775807"};
    const char *some = seconds[rng_below(r, rng_chance(r, 90) ? 8 : 12)];
    uint32_t dice = rng_below(r, 100);
    if (dice < 35) {
        return (size_t)snprintf(to, size, "SETEX %s %s %s", key, some, value);
    }
    if (dice < 60) {
        return (size_t)snprintf(to, size, "EXPIRE %s %s", key, some);
    }
    if (dice < 80) {
        return (size_t)snprintf(to, size, "TTL %s", key);
    }
    if (dice < 90) {
        return (size_t)snprintf(to, size, "SETNX %s %s", key, value);
    }
    return (size_t)snprintf(to, size, "PERSIST %s", key);
}

static size_t random_line(struct rng *r, char *to, size_t size)
{
    char key[16];
    char other[16];
    char value[64];
    random_key(r, key, sizeof(key));
    random_key(r, other, sizeof(other));
    random_value(r, value, sizeof(value));
    uint32_t dice = rng_below(r, 1000);
    if (rng_chance(r, 20)) {
        return random_end(r, to, size, key, value);
    }
    if (dice < 250) {
        return (size_t)snprintf(to, size, "GET %s", key);
    }
    if (dice < 420) {
        return (size_t)snprintf(to, size, "SET %s %s", key, value);
    }
    if (dice < 500) {
        return (size_t)snprintf(to, size, "DEL %s", key);
    }
    if (dice < 570) {
        return (size_t)snprintf(to, size, "INCR %s%s", key, rng_chance(r, 50) ? "" : " -3");
    }
    if (dice < 630) {
        return (size_t)snprintf(to, size, "MGET %s %s", key, other);
    }
    if (dice < 760) {
        static const char *const begin[] = {"BEGIN", "begin serializable", "BEGIN SERIALIZABLE", "BEGIN READONLY"};
        size_t len = (size_t)snprintf(to, size, "%s", begin[rng_below(r, 4)]);
        return rng_chance(r, 70) ? len : len + (size_t)snprintf(to + len, size - len, " id t%u", random_token(r));
    }
    if (dice < 880) {
        return (size_t)snprintf(to, size, "%s", rng_chance(r, 80) ? "COMMIT" : "ROLLBACK");
    }
    if (dice < 960) {
        static const char *const some[] = {"DBSIZE", "EXISTS k1", "PING", "HELP", "EXISTS k20", "DBSIZE"};
        return rng_chance(r, 30) ? (size_t)snprintf(to, size, "OUTCOME t%u", random_token(r))
                                 : (size_t)snprintf(to, size, "%s", some[rng_below(r, 6)]);
    }
    if (dice < 968) {
        return (size_t)snprintf(to, size, "FLUSH");
    }
    if (dice < 970) {
        return (size_t)snprintf(to, size, "QUIT");
    }
    return random_wrong(r, to, size);
}

/* --- playing --- */

static void deny(const char *what, size_t client, struct slice got, struct slice wanted)
{
    cr_assert_fail("seed %llu, about %lu commands, client %zu: %s\ngot:\n%.*s\nwanted:\n%.*s",
                   (unsigned long long)game.seed, game.commands, client, what, (int)got.len, got.data, (int)wanted.len,
                   wanted.data);
}

/* "ERR CODE", a space, and whatever it says. */
static bool is_error(struct slice line, struct slice code)
{
    return line.len > code.len && memcmp(line.data, code.data, code.len) == 0 && line.data[code.len] == ' ';
}

/* Compares a client's answers with what the model expects, all of both. */
static void compare(size_t client)
{
    struct script *expected = &game.players[client].expected;
    struct slice got = talk_got(&game.talk, client);
    struct slice wanted = slice_of(expected->bytes, expected->len);
    size_t at = 0;
    size_t from = 0;
    while (from < wanted.len) {
        size_t len = (size_t)((const char *)memchr(wanted.data + from, '\n', wanted.len - from) - wanted.data) - from;
        const char *crlf = at < got.len ? memmem(got.data + at, got.len - at, "\r\n", 2) : NULL;
        if (crlf == NULL) {
            deny("an answer is missing", client, got, wanted);
            return;
        }
        struct slice line = slice_of(got.data + at, (size_t)(crlf - got.data) - at);
        char kind = wanted.data[from]; /* '=', 'E' or '?' */
        struct slice want = slice_of(wanted.data + from + 1, len - 1);
        bool same = kind == 'E' ? is_error(line, want) : kind == '?' || slice_equal(line, want);
        if (!same) {
            deny("another answer", client, got, wanted);
            return;
        }
        at += line.len + 2;
        from += len + 1;
    }
    if (at != got.len) {
        deny("more answers than commands", client, got, wanted);
    }
    talk_forget(&game.talk, client);
    expected->len = 0;
}

/* Runs the client's next line in the model. False where there is none that is no blank. */
static bool model_run_one(size_t client)
{
    static struct model_answer answer;
    struct player *p = &game.players[client];
    bool blank = true;
    while (blank) {
        char *lf = p->lines.len > 0 ? memchr(p->lines.bytes, '\n', p->lines.len) : NULL;
        if (lf == NULL) {
            return false;
        }
        size_t len = (size_t)(lf - p->lines.bytes);
        blank = len == 0 || (len == 1 && p->lines.bytes[0] == '\r');
        answer.len = 0;
        answer.lines = 0;
        model_line(&game.model, (int)client, p->lines.bytes, len, &answer);
        for (size_t i = 0, at = 0; i < answer.lines; at += answer.line_len[i++]) {
            append(&p->expected, &"=E?"[answer.kind[i]], 1);
            append(&p->expected, answer.text + at, answer.line_len[i]);
            append(&p->expected, "\n", 1);
        }
        drop_head(&p->lines, len + 1);
    }
    return true;
}

/* Time goes on, or stands still; what has ended is seen as absent from now on, and removed at the end of the tick. */
static void let_time_pass(void)
{
    if (rng_chance(&game.rng, 30)) {
        game.model.now_ms += rng_below(&game.rng, 1500);
        time_passes(&game.talk.engine.store, game.model.now_ms);
    }
}

static void remove_ended_in_both(void)
{
    remove_ended(&game.talk.engine.store);
    model_remove_ended(&game.model);
}

/* One tick of the sessions, and the same in the model. */
static void tick_both(void)
{
    size_t order[MODEL_CLIENTS];
    size_t count = 0;
    for (const struct session *s = game.talk.tick.first; s != NULL; s = s->next) {
        order[count++] = (size_t)((const struct talker *)(const void *)s - game.talk.talkers);
    }
    let_time_pass();
    talk_tick(&game.talk);
    for (size_t i = 0; i < count; i++) {
        struct player *p = &game.players[order[i]];
        const struct talker *t = &game.talk.talkers[order[i]];
        for (; p->ran < t->session.requests; p->ran++) {
            if (!model_run_one(order[i])) {
                deny("more requests than lines", order[i], slice_of("", 0), slice_of("", 0));
            }
        }
        if (!t->deaf) {
            compare(order[i]);
        } else if (session_pending(&t->session) > game.talk.engine.limits.pending_bytes + ANSWER_MAX) {
            deny("served without bound", order[i], slice_of("", 0), slice_of("", 0));
        }
    }
    remove_ended_in_both();
}

static void reset(size_t client)
{
    struct talker *t = &game.talk.talkers[client];
    tick_remove(&game.talk.tick, &t->session);
    session_deinit(&t->session);
    session_init(&t->session, &game.talk.engine);
    t->deaf = false;
    talk_forget(&game.talk, client);
    game.model.clients[client].state = 0;
    game.model.clients[client].closed = false;
    game.model.clients[client].began = false;
    game.players[client].lines.len = 0;
    game.players[client].expected.len = 0;
    game.players[client].ran = 0;
    game.held_len[client] = 0;
}

/* Sends a burst, or what was held back of the one before; its last line may come in two pieces. */
static void send_burst(size_t client)
{
    char burst[UNSENT_MAX];
    size_t len = game.held_len[client];
    memcpy(burst, game.held[client], len);
    unsigned lines = rng_below(&game.rng, rng_chance(&game.rng, 10) ? 12 : 3) + 1;
    for (unsigned i = 0; i < lines && game.held_len[client] == 0; i++) {
        len += random_line(&game.rng, burst + len, sizeof(burst) - len - 8);
        const char *end = rng_chance(&game.rng, 80) ? "\r\n" : "\n";
        memcpy(burst + len, end, strlen(end));
        len += strlen(end);
        game.commands++;
    }
    size_t sent = rng_chance(&game.rng, 25) ? rng_below(&game.rng, (uint32_t)len + 1) : len;
    game.held_len[client] = len - sent;
    memcpy(game.held[client], burst + sent, len - sent);
    append(&game.players[client].lines, burst, sent);
    talk_send(&game.talk, client, slice_of(burst, sent));
}

static void step(void)
{
    for (size_t i = 0; i < MODEL_CLIENTS; i++) {
        size_t client = rng_below(&game.rng, MODEL_CLIENTS);
        struct talker *t = &game.talk.talkers[client];
        if (t->session.state != SESSION_OPEN || rng_below(&game.rng, 1000) == 0) {
            if (t->deaf) {
                talk_listen(&game.talk, client);
                compare(client);
            }
            reset(client);
        } else if (t->deaf && rng_chance(&game.rng, 30)) {
            talk_listen(&game.talk, client);
        } else {
            t->deaf = t->deaf || rng_below(&game.rng, 200) == 0;
            send_burst(client);
        }
    }
    tick_both();
}

static void ask(const char *line)
{
    append(&game.players[0].lines, line, strlen(line));
    talk_send(&game.talk, 0, slice_str(line));
    tick_both();
}

/* All go; then the whole of the data is what the model's is, and nothing of history is left. */
static void finish(void)
{
    for (size_t i = 0; i < MODEL_CLIENTS; i++) {
        if (game.talk.talkers[i].deaf) {
            talk_listen(&game.talk, i);
        }
    }
    while (!tick_is_idle(&game.talk.tick)) {
        tick_both();
    }
    for (size_t i = 0; i < MODEL_CLIENTS; i++) {
        reset(i);
    }
    ask("DBSIZE\n");
    for (int k = 0; k < KEYS; k++) {
        char line[32];
        snprintf(line, sizeof(line), "GET k%d\n", k);
        ask(line);
    }
    while (store_tend(&game.talk.engine.store)) {
    }
    cr_assert_eq(game.talk.engine.store.history.bytes, 0, "%zu bytes of history", game.talk.engine.store.history.bytes);
    cr_assert_eq(game.talk.engine.store.seq, game.model.seq);
    talk_deinit(&game.talk);
}

static void play(uint64_t seed, size_t pending_bytes)
{
    memset(&game.model, 0, sizeof(game.model));
    game.rng.state = seed;
    game.seed = seed;
    game.commands = 0;
    talk_init(&game.talk, MODEL_CLIENTS);
    game.talk.engine.limits.command = (struct command_limits){MODEL_KEY_MAX, MODEL_VALUE_MAX};
    game.talk.engine.limits.pending_bytes = pending_bytes;
    game.talk.engine.store_limits.txn.keys = MODEL_TX_KEYS;
    game.model.now_ms = START;
    time_passes(&game.talk.engine.store, START);
    for (size_t i = 0; i < MODEL_CLIENTS; i++) {
        reset(i);
    }
    while (game.commands < COMMANDS) {
        step();
    }
    finish();
}

/* --- sessions beside the model --- */

Test(random, answers_are_the_models, .timeout = 60)
{
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        printf("seed %llu\n", (unsigned long long)seed);
        play(seed, (size_t)1 << 20);
    }
}

Test(random, an_output_limit_loses_and_repeats_nothing, .timeout = 60)
{
    play(101, 200);
}

/* The pools keep blocks, which differ by what the allocator rounds up. */
Test(random, nothing_is_left_when_all_is_over, .timeout = 60)
{
    play(7, 1000);
    empty_pools();
    size_t before = mem_used();
    play(7, 1000);
    empty_pools();
    cr_assert_eq(mem_used(), before);
}
