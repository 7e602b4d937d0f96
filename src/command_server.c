/* The commands on the server that touch no keys, as the clients of Redis send them, and those of both protocols. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "command_run.h"
#include "err.h"

/* --- of Redis --- */

void run_time(struct session *s, const struct request *r)
{
    char text[32];
    int64_t now = command_wall_us(s->engine);
    (void)r;
    session_answer(s, s->proto->array(&s->out, 2));
    snprintf(text, sizeof(text), "%lld", (long long)(now / 1000000));
    command_text(s, text);
    snprintf(text, sizeof(text), "%lld", (long long)(now % 1000000));
    command_text(s, text);
}

void run_lastsave(struct session *s, const struct request *r)
{
    (void)r;
    command_integer(s, s->engine->started_us / 1000000);
}

void run_wait(struct session *s, const struct request *r)
{
    int64_t number;
    if (!store_parse_integer(r->args[0], &number)) {
        session_error(s, ERR_NOTINT, "the number of replicas is wanted");
    } else if (!store_parse_integer(r->args[1], &number)) {
        session_complain(s, "ERR timeout is not an integer or out of range");
    } else if (number < 0) {
        session_complain(s, "ERR timeout is negative");
    } else {
        command_integer(s, 0);
    }
}

static void function_flush(struct session *s, const struct request *r)
{
    if (r->count == 2 && !command_is_word(r->args[1], "SYNC") && !command_is_word(r->args[1], "ASYNC")) {
        command_complain(s, "ERR FUNCTION FLUSH only supports SYNC|ASYNC option");
    } else {
        command_done(s, 0);
    }
}

void run_function(struct session *s, const struct request *r)
{
    static const struct subcommand subs[] = {{"FLUSH", 0, 1, function_flush}};
    command_run_sub(s, r, subs, sizeof(subs) / sizeof(subs[0]));
}

/* --- of both protocols --- */

void run_checkpoint(struct session *s, const struct request *r)
{
    (void)r;
    if (s->engine->store.journal == NULL) {
        session_error(s, ERR_DISK, "this server keeps nothing on disk; --data gives it a directory");
        return;
    }
    session_ask(s, ERRAND_CHECKPOINT, slice_of("", 0));
}

void run_backup(struct session *s, const struct request *r)
{
    if (!s->engine->takes_backups) {
        session_error(s, ERR_DISK, "this server takes no backups; --backup-dir gives it a directory for them");
    } else if (!backup_is_name(r->args[0])) {
        session_error(s, ERR_SYNTAX, "a backup's name is 1 to 63 letters, digits, '-', '_' and '.', the first a letter or digit");
    } else {
        session_ask(s, ERRAND_BACKUP, r->args[0]);
    }
}

void run_ping(struct session *s, const struct request *r)
{
    (void)r;
    session_answer(s, s->proto->pong(&s->out));
}

void run_quit(struct session *s, const struct request *r)
{
    (void)r;
    session_close(s);
}

#ifdef TXKV_FAULTS
/* Keeps the whole server busy, as a test wants it. */
static void debug_sleep(struct session *s, const struct request *r)
{
    char text[32];
    snprintf(text, sizeof(text), "%.*s", slice_shown(r->args[1], (int)sizeof(text) - 1), r->args[1].data);
    double seconds = strtod(text, NULL);
    if (seconds > 0 && seconds <= 60) {
        usleep((useconds_t)(seconds * 1e6));
    }
    command_done(s, 0);
}

void run_debug(struct session *s, const struct request *r)
{
    static const struct subcommand subs[] = {{"SLEEP", 1, 1, debug_sleep}};
    command_run_sub(s, r, subs, sizeof(subs) / sizeof(subs[0]));
}

void run_lastseq(struct session *s, const struct request *r)
{
    (void)r;
    session_answer(s, s->proto->integer(&s->out, (int64_t)s->last_seq));
}

void run_snapshot(struct session *s, const struct request *r)
{
    (void)r;
    bool open = s->txn.state == TXN_OPEN;
    session_answer(s, s->proto->integer(&s->out, open ? (int64_t)txn_seq(&s->txn) : 0));
}
#endif
