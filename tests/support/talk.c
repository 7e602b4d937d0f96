#include "talk.h"

#include <stdio.h>
#include <stdlib.h>

static void *must(void *ptr)
{
    if (ptr == NULL) {
        perror("talk");
        exit(99);
    }
    return ptr;
}

void talk_init(struct talk *t, size_t clients)
{
    *t = (struct talk){.clients = clients};
    if (clients > TALK_CLIENTS || engine_init(&t->engine) < 0) {
        fprintf(stderr, "talk_init: no engine for %zu clients\n", clients);
        exit(99);
    }
    t->engine.lend_min = 1;
    tick_init(&t->tick);
    for (size_t i = 0; i < clients; i++) {
        session_init(&t->talkers[i].session, &t->engine);
        t->talkers[i].tick = &t->tick;
    }
}

void talk_deinit(struct talk *t)
{
    for (size_t i = 0; i < t->clients; i++) {
        tick_remove(&t->tick, &t->talkers[i].session);
        session_deinit(&t->talkers[i].session);
        free(t->talkers[i].got);
    }
    engine_deinit(&t->engine);
}

void talk_send(struct talk *t, size_t client, struct slice bytes)
{
    struct session *s = &t->talkers[client].session;
    if (s->state != SESSION_OPEN || bytes.len == 0) {
        return;
    }
    if (buf_append(&s->in, bytes.data, bytes.len) < 0) {
        fprintf(stderr, "talk_send: no memory\n");
        exit(99);
    }
    tick_add(&t->tick, s);
}

void talk_end(struct talk *t, size_t client)
{
    t->talkers[client].session.in_ended = true;
    tick_add(&t->tick, &t->talkers[client].session);
}

static void take(struct talker *client)
{
    struct session *s = &client->session;
    size_t len = buf_len(&s->out);
    struct slice pieces[BUF_PIECES_MAX];
    client->got = must(realloc(client->got, client->got_len + len + 1));
    size_t at_once = len / 2; /* from where it lies; the rest later */
    size_t count = buf_pieces(&s->out, at_once, pieces);
    for (size_t i = 0; i < count; i++) {
        slice_copy(client->got + client->got_len, pieces[i]);
        client->got_len += pieces[i].len;
    }
    buf_repay_all(&s->out, at_once);
    if (len > at_once) {
        memcpy(client->got + client->got_len, buf_head(&s->out) + at_once, len - at_once);
        client->got_len += len - at_once;
    }
    buf_consume(&s->out, len);
}

/* As the edge does it: sends, and puts a session that may run again back on the list. */
static void on_ran(struct session *s)
{
    struct talker *client = (struct talker *)(void *)s;
    if (client->deaf) {
        buf_repay_all(&s->out, 0);
        return;
    }
    take(client);
    if (s->more && session_can_run(s)) {
        tick_add(client->tick, s);
    }
    buf_settle(&s->in);
    buf_settle(&s->out);
}

void talk_pass(struct talk *t)
{
    tick_run(&t->tick, on_ran);
}

void talk_tick(struct talk *t)
{
    talk_pass(t);
    (void)store_tend(&t->engine.store);
}

void talk_run(struct talk *t)
{
    while (!tick_is_idle(&t->tick)) {
        talk_tick(t);
    }
}

void talk_listen(struct talk *t, size_t client)
{
    t->talkers[client].deaf = false;
    on_ran(&t->talkers[client].session);
}

struct slice talk_got(const struct talk *t, size_t client)
{
    return slice_of(t->talkers[client].got, t->talkers[client].got_len);
}

void talk_forget(struct talk *t, size_t client)
{
    t->talkers[client].got_len = 0;
}

struct slice talk_ask(struct talk *t, size_t client, const char *text)
{
    talk_forget(t, client);
    talk_send(t, client, slice_str(text));
    talk_run(t);
    return talk_got(t, client);
}
