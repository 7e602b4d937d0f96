#include "play.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tick.h"

#define CLIENTS_MAX 64
#define TICKS_MAX 10000000 /* a play that needs more never comes to rest */
#define PIECE_MAX 40       /* longest random piece */
#define LONG_BYTES 16384   /* of a text longer than this, only the ends are cut finely */
#define FINE_BYTES 256     /* at each end */
#define COARSE_PIECE 65536 /* longest piece between them */
#define SHOWN_MAX 200      /* bytes of an answer in a message */
#define TEXT_MAX 960

struct client {
    struct session session; /* first: a session of a play is its client */
    struct player *player;
    struct buf received;
    char name[TRANSCRIPT_NAME_MAX + 1];
    bool open;
};

struct player {
    const struct transcript *transcript;
    enum cut cut;
    struct coverage *sent;
    uint64_t random;
    struct engine engine;
    struct secret password;
    struct tick tick;
    unsigned long ticks;
    struct play_result result;
    struct client clients[CLIENTS_MAX];
};

/* --- what went wrong --- */

static void fail(struct player *p, enum played played, const struct step *step, const char *text)
{
    if (p->result.played == PLAYED_AS_WRITTEN) {
        p->result.played = played;
        p->result.line = step->line;
        p->result.step = played == PLAYED_DIFFERENT ? step : NULL;
        snprintf(p->result.text, sizeof(p->result.text), "%s", text);
    }
}

static bool is_failed(const struct player *p)
{
    return p->result.played != PLAYED_AS_WRITTEN;
}

/* Bytes as a transcript writes them, long ones cut. */
static void show(char *out, size_t size, const char *bytes, size_t len)
{
    size_t used = 0;
    size_t shown = len < SHOWN_MAX ? len : SHOWN_MAX;
    out[0] = '\0';
    for (size_t i = 0; i < shown && used + 8 < size; i++) {
        unsigned char byte = (unsigned char)bytes[i];
        const char *format = byte == '\r' ? "\\r" : byte == '\n' ? "\\n" : byte == '\\' ? "\\\\" : NULL;
        if (format != NULL) {
            used += (size_t)snprintf(out + used, size - used, "%s", format);
        } else {
            used += (size_t)snprintf(out + used, size - used, isprint(byte) ? "%c" : "\\x%02x", byte);
        }
    }
    if (shown < len) {
        snprintf(out + used, size - used, "[and %zu bytes]", len - shown);
    }
}

static void differ(struct player *p, const struct step *step, const char *expected, const char *got)
{
    char text[2048];
    snprintf(text, sizeof(text), "%s\n    expected: %s\n    got:      %s", step->name, expected, got);
    fail(p, PLAYED_DIFFERENT, step, text);
}

/* --- the clients --- */

static struct client *find_client(struct player *p, const char *name)
{
    for (size_t i = 0; i < CLIENTS_MAX; i++) {
        if (p->clients[i].open && strcmp(p->clients[i].name, name) == 0) {
            return &p->clients[i];
        }
    }
    return NULL;
}

static struct client *open_client(struct player *p, const char *name)
{
    for (size_t i = 0; i < CLIENTS_MAX; i++) {
        struct client *c = &p->clients[i];
        if (!c->open) {
            *c = (struct client){.player = p, .open = true};
            session_init(&c->session, &p->engine);
            buf_init(&c->received);
            snprintf(c->name, sizeof(c->name), "%s", name);
            return c;
        }
    }
    return NULL;
}

static void close_client(struct client *c)
{
    tick_remove(&c->player->tick, &c->session);
    session_deinit(&c->session);
    buf_deinit(&c->received);
    c->open = false;
}

/* Does what a connection does after a tick, with a client that takes every answer at once. */
static void after_tick(struct session *s)
{
    struct client *c = (struct client *)s;
    if (buf_len(&s->out) > 0) {
        if (buf_append(&c->received, buf_head(&s->out), buf_len(&s->out)) < 0) {
            s->state = SESSION_BROKEN;
        }
        buf_consume(&s->out, buf_len(&s->out));
    }
    if (s->state != SESSION_OPEN) {
        buf_deinit(&s->in);
    } else if (s->more && session_can_run(s)) {
        tick_add(&c->player->tick, s);
    }
    buf_settle(&s->in);
    buf_settle(&s->out);
}

static void wake(struct session *s)
{
    tick_add(&((struct client *)s)->player->tick, s);
}

static bool turn(struct player *p)
{
    tick_run(&p->tick, after_tick);
    p->ticks++;
    return store_tend(&p->engine.store);
}

static void run_to_rest(struct player *p, const struct step *step)
{
    bool more = true;
    while ((more || !tick_is_idle(&p->tick)) && p->ticks < TICKS_MAX) {
        more = turn(p);
    }
    if (p->ticks >= TICKS_MAX) {
        fail(p, PLAYED_DIFFERENT, step, "it does not come to rest");
    }
}

/* --- sending --- */

static size_t next_random(struct player *p, size_t below)
{
    p->random ^= p->random << 13;
    p->random ^= p->random >> 7;
    p->random ^= p->random << 17;
    return (size_t)(p->random % below);
}

/* How much of a text comes next. Of a very long one only the ends are cut as finely as asked for: each piece may move the
 * bytes before it, and a mebibyte of single bytes takes hours then. */
static size_t piece_of(struct player *p, size_t sent, size_t left)
{
    if (p->cut == CUT_WHOLE) {
        return left;
    }
    size_t middle = sent + left > LONG_BYTES && sent >= FINE_BYTES && left > FINE_BYTES ? left - FINE_BYTES : 0;
    size_t most = middle > COARSE_PIECE ? COARSE_PIECE : middle > 0 ? middle : PIECE_MAX;
    size_t piece = p->cut == CUT_RANDOM ? 1 + next_random(p, most) : middle > 0 ? most : 1;
    return piece < left ? piece : left;
}

static void send_bytes(struct player *p, struct client *c, const struct step *step)
{
    bool begins = p->cut == CUT_BYTES && buf_len(&c->session.in) == 0;
    for (size_t at = 0; at < step->len && c->session.state == SESSION_OPEN;) {
        size_t piece = piece_of(p, at, step->len - at);
        if (buf_append(&c->session.in, step->bytes + at, piece) < 0) {
            fail(p, PLAYED_NOT, step, "no memory");
            return;
        }
        at += piece;
        tick_add(&p->tick, &c->session);
        if (p->cut != CUT_WHOLE) {
            turn(p);
        }
        if (begins) {
            coverage_note(p->sent, &c->session, step);
            begins = false;
        }
    }
}

static void half_close(struct client *c)
{
    c->session.in_ended = true;
    tick_add(&c->player->tick, &c->session);
}

/* --- comparing --- */

static void expect_line(struct player *p, struct client *c, const struct step *step)
{
    char expected[TEXT_MAX];
    char got[TEXT_MAX];
    struct slice bytes = slice_of(buf_head(&c->received), buf_len(&c->received));
    const char *lf = bytes.len == 0 ? NULL : memchr(bytes.data, '\n', bytes.len);
    size_t taken = lf == NULL ? bytes.len : (size_t)(lf - bytes.data) + 1;
    bool ended = taken >= 2 && memcmp(bytes.data + taken - 2, "\r\n", 2) == 0;
    size_t len = ended ? taken - 2 : taken;
    bool equal = ended && (step->prefix ? len >= step->len : len == step->len) &&
                 memcmp(bytes.data, step->bytes, step->len) == 0;
    if (equal) {
        buf_consume(&c->received, taken);
        return;
    }
    show(expected, sizeof(expected) - 4, step->bytes, step->len);
    strcat(expected, step->prefix ? "..." : "");
    show(got, sizeof(got), bytes.data, len);
    differ(p, step, expected, bytes.len == 0 ? "(no answer)" : ended ? got : "(a line without CRLF)");
}

static void expect_rest(struct player *p, struct client *c, const struct step *last)
{
    char got[TEXT_MAX];
    if (buf_len(&c->received) > 0) {
        show(got, sizeof(got), buf_head(&c->received), buf_len(&c->received));
        differ(p, last, "(nothing more after this)", got);
    } else if (last->kind == STEP_EXPECT_CLOSED && c->session.state == SESSION_OPEN) {
        differ(p, last, "(closed)", "(the connection is open)");
    } else if (last->kind != STEP_EXPECT_CLOSED && c->session.state != SESSION_OPEN) {
        differ(p, last, "(the connection stays open)", "(closed)");
    }
}

/* --- the server's options --- */

static bool read_size(const char *text, size_t *size)
{
    char *end;
    unsigned long number = strtoul(text, &end, 10);
    unsigned shift = *end == 'K' ? 10 : *end == 'M' ? 20 : 0;
    *size = (size_t)number << shift;
    return end != text && end[shift > 0 ? 1 : 0] == '\0';
}

static bool set_size(struct engine *e, const char *name, const char *value)
{
    const struct {
        const char *name;
        size_t *field;
    } sizes[] = {
        {"history-max", &e->store_limits.history_bytes}, {"maxmemory", &e->store_limits.memory_bytes},
        {"tx-bytes", &e->store_limits.txn.bytes},        {"tx-keys", &e->store_limits.txn.keys},
        {"key-max", &e->limits.command.key_bytes},       {"value-max", &e->limits.command.value_bytes},
        {"answer-max", &e->limits.answer_bytes},         {"pending-max", &e->limits.pending_bytes},
    };
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        if (strcmp(sizes[i].name, name) == 0) {
            return read_size(value, sizes[i].field);
        }
    }
    return false;
}

/* Keys whose time has passed with it are removed by the ticks that follow. */
static bool tell_time(struct engine *e, const char *value)
{
    char *end;
    uintmax_t now_ms = strtoumax(value, &end, 10);
    store_tell_time(&e->store, now_ms);
    return end != value && *end == '\0';
}

static void set_option(struct player *p, const struct step *step)
{
    struct engine *e = &p->engine;
    if (strcmp(step->name, "quiet-transactions") == 0 && step->len == 0) {
        e->quiet_transactions = true;
    } else if (strcmp(step->name, "isolation") == 0 && strcmp(step->bytes, "serializable") == 0) {
        e->plain_mode = TXN_SERIALIZABLE;
    } else if (strcmp(step->name, "isolation") == 0 && strcmp(step->bytes, "plain") == 0) {
        e->plain_mode = TXN_PLAIN;
    } else if (strcmp(step->name, "password") == 0 && secret_set(&p->password, slice_of(step->bytes, step->len)) == 0) {
        e->password = &p->password;
    } else if (strcmp(step->name, "time") == 0 ? !tell_time(e, step->bytes) : !set_size(e, step->name, step->bytes)) {
        fail(p, PLAYED_NOT, step, "no such option, or not a value of it");
    }
}

/* --- playing --- */

static bool is_sent(const struct step *step)
{
    return step->kind == STEP_SEND || step->kind == STEP_HALF_CLOSE;
}

/* One past the last step of the batch that begins at first. */
static size_t batch_end(const struct transcript *t, size_t first)
{
    size_t end = first + 1;
    while (end < t->count && t->steps[end - 1].kind != STEP_EXPECT_CLOSED && t->steps[end].kind != STEP_OPTION &&
           t->steps[end].kind != STEP_LOSE && strcmp(t->steps[end].name, t->steps[first].name) == 0) {
        end++;
    }
    return end;
}

static struct client *client_of(struct player *p, const struct step *step)
{
    struct client *c = find_client(p, step->name);
    if (c == NULL && is_sent(step)) {
        c = open_client(p, step->name);
    }
    if (c == NULL) {
        fail(p, PLAYED_NOT, step, is_sent(step) ? "too many connections" : "there is no connection of that name");
    }
    return c;
}

static void play_batch(struct player *p, struct client *c, const struct step *steps, size_t count)
{
    for (size_t i = 0; i < count && !is_failed(p); i++) {
        if (is_sent(&steps[i]) && c->session.in_ended) {
            fail(p, PLAYED_NOT, &steps[i], "it has half-closed before");
        } else if (steps[i].kind == STEP_SEND) {
            send_bytes(p, c, &steps[i]);
        } else if (steps[i].kind == STEP_HALF_CLOSE) {
            half_close(c);
        }
    }
    run_to_rest(p, &steps[count - 1]);
    for (size_t i = 0; i < count && !is_failed(p); i++) {
        if (steps[i].kind == STEP_EXPECT) {
            expect_line(p, c, &steps[i]);
        }
    }
    if (!is_failed(p)) {
        expect_rest(p, c, &steps[count - 1]);
    }
    if (!is_failed(p) && steps[count - 1].kind == STEP_EXPECT_CLOSED) {
        close_client(c);
    }
}

static void play_all(struct player *p)
{
    const struct transcript *t = p->transcript;
    for (size_t at = 0; at < t->count && !is_failed(p);) {
        const struct step *step = &t->steps[at];
        size_t end = at + 1;
        if (step->kind == STEP_OPTION) {
            set_option(p, step);
        } else {
            struct client *c = client_of(p, step);
            if (c != NULL && step->kind == STEP_LOSE) {
                close_client(c);
                run_to_rest(p, step);
            } else if (c != NULL) {
                end = batch_end(t, at);
                play_batch(p, c, step, end - at);
            }
        }
        at = end;
    }
}

struct play_result play(const struct transcript *t, enum cut cut, uint64_t seed, struct coverage *sent)
{
    static struct player player; /* its address must not change: sessions point into it */
    struct player *p = &player;
    struct play_result result = {.played = PLAYED_NOT, .line = t->line, .text = "no memory"};
    memset(p, 0, sizeof(*p));
    p->transcript = t;
    p->cut = cut;
    p->sent = sent;
    p->random = seed * 0x9e3779b97f4a7c15ULL + 1;
    tick_init(&p->tick);
    if (engine_init(&p->engine) == 0) {
        p->engine.wake = wake;
        play_all(p);
        for (size_t i = 0; i < CLIENTS_MAX; i++) {
            if (p->clients[i].open) {
                close_client(&p->clients[i]);
            }
        }
        engine_deinit(&p->engine);
        result = p->result;
    }
    return result;
}
