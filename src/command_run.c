/* What the functions of the commands share. */
#include "command_run.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <strings.h>

#include "err.h"

void command_refuse(struct session *s, int err)
{
    s->scope_failed = s->scope_failed || (s->scope != NULL && (err == ERR_TOOBIG || err == ERR_FULL));
    char text[160];
    const struct store_limits *limits = &s->engine->store_limits;
    switch (err) {
    case ERR_TOOBIG:
        snprintf(text, sizeof(text), "a transaction may hold %zu bytes and %zu keys (--tx-bytes, --tx-keys)",
                 limits->txn.bytes, limits->txn.keys);
        break;
    case ERR_FULL:
        snprintf(text, sizeof(text), "no memory for this (--maxmemory); reads and deletions still work");
        break;
    case ERR_READONLY:
        snprintf(text, sizeof(text), "this transaction is READONLY; begin one without READONLY to write");
        break;
    default:
        snprintf(text, sizeof(text), "%s", err_text(err));
    }
    session_error(s, err, text);
}

static void answer_ok(struct session *s)
{
    session_answer(s, s->proto->ok(&s->out));
}

void command_done(struct session *s, int rc)
{
    if (rc < 0) {
        command_refuse(s, rc);
    } else {
        answer_ok(s);
    }
}

void command_number(struct session *s, int rc, int64_t number)
{
    if (rc < 0) {
        command_refuse(s, rc);
    } else {
        session_answer(s, s->proto->integer(&s->out, number));
    }
}

void command_text(struct session *s, const char *text)
{
    session_answer(s, s->proto->value(&s->out, slice_str(text)));
}

void command_integer(struct session *s, int64_t number)
{
    session_answer(s, s->proto->integer(&s->out, number));
}

void command_pair(struct session *s, const char *name, const char *text)
{
    command_text(s, name);
    command_text(s, text);
}

void command_complain(struct session *s, const char *format, ...)
{
    char text[256];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    session_complain(s, text);
}

void command_complain_syntax(struct session *s)
{
    session_complain(s, "ERR syntax error");
}

void command_small(char *name)
{
    for (; *name != '\0'; name++) {
        *name = (char)tolower((unsigned char)*name);
    }
}

bool command_is_word(struct slice word, const char *name)
{
    return word.len == strlen(name) && strncasecmp(word.data, name, word.len) == 0;
}

int command_scope_open(struct session *s, bool *own)
{
    *own = session_txn(s) == NULL;
    if (!*own) {
        return 0;
    }
    int rc = store_begin(&s->engine->store, &s->engine->single, TXN_PLAIN);
    *own = rc == 0;
    s->scope = rc == 0 ? &s->engine->single : NULL;
    return rc;
}

int command_scope_close(struct session *s, bool own, int rc)
{
    if (!own) {
        return rc;
    }
    s->scope = NULL;
    if (rc < 0) {
        store_rollback(&s->engine->store, &s->engine->single);
        return rc;
    }
    return store_commit(&s->engine->store, &s->engine->single);
}

void command_help_lines(struct session *s, const char *const *lines, size_t count)
{
    session_answer(s, s->proto->array(&s->out, count));
    for (size_t i = 0; i < count; i++) {
        session_answer(s, s->proto->status(&s->out, lines[i]));
    }
}

void command_run_sub(struct session *s, const struct request *r, const struct subcommand *subs, size_t count)
{
    char name[64];
    for (size_t i = 0; i < count; i++) {
        if (!command_is_word(r->args[0], subs[i].name)) {
            continue;
        }
        if (r->count - 1 >= subs[i].args_min && r->count - 1 <= subs[i].args_max) {
            s->sub = r->command == s->command ? subs[i].name : NULL; /* not of a command that EXEC runs */
            subs[i].run(s, r);
            return;
        }
        snprintf(name, sizeof(name), "%s|%s", r->command->name, subs[i].name);
        command_small(name);
        command_complain(s, "ERR wrong number of arguments for '%s' command", name);
        return;
    }
    command_complain(s, "ERR unknown subcommand '%.*s'. Try %s HELP.", slice_shown(r->args[0], COMMAND_SHOWN), r->args[0].data,
                     r->command->name);
}

bool command_read_number(struct session *s, struct slice word, int64_t *number)
{
    if (!store_parse_integer(word, number)) {
        session_error(s, ERR_NOTINT, "the argument is not a signed 64-bit integer");
        return false;
    }
    return true;
}
