/* The commands on the connection itself: what it speaks, who speaks, and its end. */
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#include "command_run.h"
#include "err.h"
#include "mem.h"

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
    if (!store_parse_integer(r->args[0], &index)) {
        session_error(s, ERR_NOTINT, "the number of a database is wanted");
    } else if (index > INT32_MAX || index < INT32_MIN) {
        session_complain(s, "ERR value is out of range, value must between -2147483648 and 2147483647");
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

/* --- AUTH and HELLO --- */

static bool is_password(const struct session *s, struct slice said)
{
    const struct secret *password = s->engine->password;
    return password == NULL || secret_is(password, said);
}

/* There is one user. False after complaining. */
static bool log_in(struct session *s, struct slice user, struct slice said)
{
    if (!slice_equal(user, slice_str("default")) || !is_password(s, said)) {
        session_complain(s, "WRONGPASS invalid username-password pair or user is disabled.");
        return false;
    }
    s->decoder.guest = false;
    return true;
}

void run_auth(struct session *s, const struct request *r)
{
    if (r->count > 2) {
        command_complain_syntax(s);
    } else if (r->count == 1 && s->engine->password == NULL) {
        session_complain(s, "ERR AUTH <password> called without any password configured for the default user. Are you sure your "
                            "configuration is correct?");
    } else if (log_in(s, r->count == 2 ? r->args[0] : slice_str("default"), r->args[r->count - 1])) {
        command_done(s, 0);
    }
}

void run_auth_line(struct session *s, const struct request *r)
{
    if (s->engine->password == NULL) {
        session_error(s, ERR_DENIED, "this server has no password, and asks for none");
    } else if (!is_password(s, r->args[0])) {
        session_error(s, ERR_DENIED, "this is not the password");
    } else {
        s->decoder.guest = false;
        command_done(s, 0);
    }
}

/* HELLO's options; false after complaining. */
static bool read_hello_options(struct session *s, const struct request *r, struct slice *name)
{
    for (size_t i = 1; i < r->count; i++) {
        size_t more = r->count - 1 - i;
        if (command_is_word(r->args[i], "AUTH") && more >= 2) {
            if (!log_in(s, r->args[i + 1], r->args[i + 2])) {
                return false;
            }
            i += 2;
        } else if (command_is_word(r->args[i], "SETNAME") && more >= 1) {
            *name = r->args[++i];
        } else {
            command_complain(s, "ERR Syntax error in HELLO option '%.*s'", slice_shown(r->args[i], COMMAND_SHOWN), r->args[i].data);
            return false;
        }
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
    if (!read_hello_options(s, r, &name)) {
        return;
    }
    if (session_is_guest(s)) {
        session_complain(s, "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO AUTH <user> <pass> "
                            "option can be used to authenticate the client and select the RESP protocol version at the same time");
        return;
    }
    if (name.data != NULL && !command_take_name(s, name, COMMAND_CLIENT_NAMES, &s->name)) {
        return;
    }
    s->proto = version == 3 ? &proto_resp3 : version == 2 ? &proto_resp2 : s->proto;
    write_hello(s);
}
