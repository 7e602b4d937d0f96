/* talk: clients without sockets. Sessions and a tick as the server has them, and the server's part in between: bytes go
 * into a session, a tick runs, what a session answers is taken away. */
#ifndef TXKV_SUPPORT_TALK_H
#define TXKV_SUPPORT_TALK_H

#include "tick.h"

#define TALK_CLIENTS 8

struct talker {
    struct session session; /* first: a tick's session is this talker's */
    struct tick *tick;
    char *got; /* answers taken so far */
    size_t got_len;
    bool deaf; /* takes no answers: they stay in the session */
};

struct talk {
    struct engine engine;
    struct tick tick;
    struct talker talkers[TALK_CLIENTS];
    size_t clients;
};

/* The engine has its defaults; they may be changed before the first tick. */
void talk_init(struct talk *t, size_t clients);
void talk_deinit(struct talk *t);

/* Bytes arrive; nothing runs yet. */
void talk_send(struct talk *t, size_t client, struct slice bytes);

/* The client sends nothing more. */
void talk_end(struct talk *t, size_t client);

/* One tick alone. */
void talk_pass(struct talk *t);

/* One tick, and one slice of the work that may wait. */
void talk_tick(struct talk *t);

/* Ticks until nothing is left to do. */
void talk_run(struct talk *t);

/* Takes what a deaf client has not taken; it hears from now on. */
void talk_listen(struct talk *t, size_t client);

/* The answers so far, valid until the next tick. */
struct slice talk_got(const struct talk *t, size_t client);
void talk_forget(struct talk *t, size_t client);

/* Sends text, runs, and returns the answers to it alone, valid until the next call. */
struct slice talk_ask(struct talk *t, size_t client, const char *text);

#endif
