/* The commands on the connection: what it is called, what it speaks, and what is known of the others. */
#include <stdio.h>

#include "command_run.h"
#include "err.h"
#include "mem.h"

#define NAME_MAX_BYTES 128 /* of a client's own name */

void run_ping_message(struct session *s, const struct request *r)
{
    if (r->count == 1) {
        session_value(s, r->args[0]);
    } else {
        session_answer(s, s->proto->pong(&s->out));
    }
}

void run_echo(struct session *s, const struct request *r)
{
    session_value(s, r->args[0]);
}

void run_select(struct session *s, const struct request *r)
{
    int64_t index;
    if (!store_parse_integer(r->args[0], &index) || index > INT32_MAX || index < INT32_MIN) {
        session_error(s, ERR_NOTINT, "the number of a database is wanted");
    } else if (index != 0) {
        session_complain(s, "ERR DB index is out of range");
    } else {
        command_done(s, 0);
    }
}

void run_quit_ok(struct session *s, const struct request *r)
{
    (void)r;
    command_done(s, 0);
    session_close(s);
}

void run_reset(struct session *s, const struct request *r)
{
    (void)r;
    session_reset(s);
    s->proto = &proto_resp2;
    session_answer(s, s->proto->status(&s->out, "RESET"));
}

/* Takes a client's own name; false after complaining. */
static bool take_name(struct session *s, struct slice name)
{
    for (size_t i = 0; i < name.len; i++) {
        if (name.data[i] < '!' || name.data[i] > '~') {
            session_complain(s, "ERR Client names cannot contain spaces, newlines or special characters.");
            return false;
        }
    }
    if (name.len > NAME_MAX_BYTES) {
        session_complain(s, "ERR Client names have at most 128 characters");
        return false;
    }
    char *copy = mem_alloc(name.len + 1);
    if (copy == NULL) {
        session_error(s, ERR_FULL, "no memory for the name");
        return false;
    }
    memcpy(copy, name.data, name.len);
    copy[name.len] = '\0';
    mem_free(s->name);
    s->name = copy;
    return true;
}

/* HELLO's options; false after complaining. */
static bool read_hello_options(struct session *s, const struct request *r, struct slice *name)
{
    char text[200];
    for (size_t i = 1; i < r->count; i++) {
        size_t more = r->count - 1 - i;
        if (command_is_word(r->args[i], "AUTH") && more >= 2) {
            session_complain(s, "WRONGPASS invalid username-password pair or user is disabled.");
            return false;
        }
        if (!command_is_word(r->args[i], "SETNAME") || more < 1) {
            int shown = r->args[i].len < 128 ? (int)r->args[i].len : 128;
            snprintf(text, sizeof(text), "ERR Syntax error in HELLO option '%.*s'", shown, r->args[i].data);
            session_complain(s, text);
            return false;
        }
        *name = r->args[++i];
    }
    return true;
}

static void write_hello(struct session *s)
{
    session_answer(s, s->proto->map(&s->out, 7));
    command_pair(s, "server", "redis");
    command_pair(s, "version", REDIS_VERSION);
    command_text(s, "proto");
    command_integer(s, s->proto == &proto_resp3 ? 3 : 2);
    command_text(s, "id");
    command_integer(s, (int64_t)s->id);
    command_pair(s, "mode", "standalone");
    command_pair(s, "role", "master");
    command_text(s, "modules");
    session_answer(s, s->proto->array(&s->out, 0));
}

void run_hello(struct session *s, const struct request *r)
{
    int64_t version = 0;
    struct slice name = slice_of(NULL, 0);
    if (r->count > 0 && !store_parse_integer(r->args[0], &version)) {
        session_complain(s, "ERR Protocol version is not an integer or out of range");
        return;
    }
    if (r->count > 0 && version != 2 && version != 3) {
        session_complain(s, "NOPROTO unsupported protocol version");
        return;
    }
    if (!read_hello_options(s, r, &name) || (name.data != NULL && !take_name(s, name))) {
        return;
    }
    s->proto = version == 3 ? &proto_resp3 : version == 2 ? &proto_resp2 : s->proto;
    write_hello(s);
}

/* --- CLIENT --- */

static void client_id(struct session *s, const struct request *r)
{
    (void)r;
    command_integer(s, (int64_t)s->id);
}

static void client_getname(struct session *s, const struct request *r)
{
    (void)r;
    if (s->name == NULL || s->name[0] == '\0') {
        session_answer(s, s->proto->absent(&s->out));
    } else {
        command_text(s, s->name);
    }
}

static void client_setname(struct session *s, const struct request *r)
{
    if (take_name(s, r->args[1])) {
        command_done(s, 0);
    }
}

static void client_setinfo(struct session *s, const struct request *r)
{
    if (command_is_word(r->args[1], "LIB-NAME") || command_is_word(r->args[1], "LIB-VER")) {
        command_done(s, 0); /* it is taken, and shown nowhere */
    } else {
        session_complain(s, "ERR Unrecognized option");
    }
}

static void client_info(struct session *s, const struct request *r)
{
    char text[320];
    (void)r;
    int len =
        snprintf(text, sizeof(text), "id=%llu name=%s db=0 multi=%d resp=%d cmd=client|info\n",
                 (unsigned long long)s->id, s->name == NULL ? "" : s->name,
                 s->multi != NULL && s->multi->open ? (int)s->multi->count : -1, s->proto == &proto_resp3 ? 3 : 2);
    session_answer(s, s->proto->report(&s->out, slice_of(text, (size_t)len)));
}

static void client_on_off(struct session *s, const struct request *r)
{
    if (command_is_word(r->args[1], "ON") || command_is_word(r->args[1], "OFF")) {
        command_done(s, 0); /* nothing is evicted, and nothing has a time of its last use */
    } else {
        command_complain_syntax(s);
    }
}

void run_client(struct session *s, const struct request *r)
{
    static const struct subcommand subs[] = {
        {"ID", 0, 0, client_id},           {"GETNAME", 0, 0, client_getname}, {"SETNAME", 1, 1, client_setname},
        {"SETINFO", 2, 2, client_setinfo}, {"INFO", 0, 0, client_info},       {"NO-EVICT", 1, 1, client_on_off},
        {"NO-TOUCH", 1, 1, client_on_off},
    };
    command_run_sub(s, r, subs, sizeof(subs) / sizeof(subs[0]));
}
