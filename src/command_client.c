/* CLIENT: what clients call themselves, what is known of them all, and how they are killed, paused and silenced. */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "command_run.h"
#include "err.h"
#include "mem.h"

#define NAME_MAX_BYTES 128 /* of what a client calls itself, or its library */
#define LINE_MAX_BYTES 1280 /* of what is told of one client: the names, two addresses, and numbers */
#define LINE_STEPS 16       /* what it counts for in a session's share of a tick, in keys */

/* A copy of what a client calls itself or its library, ended by NUL; NULL after complaining. */
static char *copy_name(struct session *s, struct slice name, const char *what)
{
    for (size_t i = 0; i < name.len; i++) {
        if (name.data[i] < '!' || name.data[i] > '~') {
            command_complain(s, "ERR %s cannot contain spaces, newlines or special characters.", what);
            return NULL;
        }
    }
    if (name.len > NAME_MAX_BYTES) {
        command_complain(s, "ERR %s have at most %d characters", what, NAME_MAX_BYTES);
        return NULL;
    }
    char *copy = mem_alloc(name.len + 1);
    if (copy == NULL) {
        session_error(s, ERR_FULL, "no memory for the name");
        return NULL;
    }
    if (name.len > 0) {
        memcpy(copy, name.data, name.len);
    }
    copy[name.len] = '\0';
    return copy;
}

bool command_take_name(struct session *s, struct slice name, const char *what, char **field)
{
    char *copy = copy_name(s, name, what);
    if (copy == NULL) {
        return false;
    }
    mem_free(*field);
    *field = copy;
    return true;
}

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
    if (command_take_name(s, r->args[1], COMMAND_CLIENT_NAMES, &s->name)) {
        command_done(s, 0);
    }
}

static void client_setinfo(struct session *s, const struct request *r)
{
    bool is_name = command_is_word(r->args[1], "LIB-NAME");
    if (is_name || command_is_word(r->args[1], "LIB-VER")) {
        if (command_take_name(s, r->args[2], is_name ? "lib-name" : "lib-ver", is_name ? &s->lib_name : &s->lib_version)) {
            command_done(s, 0);
        }
        return;
    }
    command_complain(s, "ERR Unrecognized option '%.*s'", slice_shown(r->args[1], COMMAND_SHOWN), r->args[1].data);
}

/* --- what is known of a client: a line of Redis's, whose fields for what this server has not are those of none --- */

static const char *or_empty(const char *text)
{
    return text == NULL ? "" : text;
}

static void find_endpoint(const struct session *s, struct endpoint *end)
{
    *end = (struct endpoint){.fd = -1, .reads = true};
    if (s->engine->find_endpoint != NULL) {
        s->engine->find_endpoint(s, end);
    }
}

static void write_flags(const struct session *s, const struct endpoint *end, char flags[8])
{
    size_t len = 0;
    if (s->multi != NULL && s->multi->open) {
        flags[len++] = 'x';
    }
    if (s->paused || s->stalled) {
        flags[len++] = 'b';
    }
    if (end->is_unix) {
        flags[len++] = 'U';
    }
    if (len == 0) {
        flags[len++] = 'N';
    }
    flags[len] = '\0';
}

/* The command that it ran last, in small letters. */
static void write_last_command(const struct session *s, char *name, size_t size)
{
    snprintf(name, size, "%s%s%s", s->command == NULL ? "NULL" : s->command->name, s->sub == NULL ? "" : "|", or_empty(s->sub));
    if (s->command != NULL) {
        command_small(name);
    }
}

static size_t write_line(const struct session *s, char *line, size_t size)
{
    struct endpoint end;
    char flags[8];
    char command[48];
    const struct multi *m = s->multi != NULL && s->multi->open ? s->multi : NULL;
    size_t queued = m == NULL ? 0 : buf_len(&m->queue);
    uint64_t now = s->engine->store.now_ms;
    find_endpoint(s, &end);
    write_flags(s, &end, flags);
    write_last_command(s, command, sizeof(command));
    int len = snprintf(
        line, size,
        "id=%" PRIu64 " addr=%s laddr=%s fd=%d name=%s age=%" PRIu64 " idle=%" PRIu64 " flags=%s db=0 sub=0 psub=0 ssub=0 multi=%d"
        " qbuf=%zu qbuf-free=%zu argv-mem=0 multi-mem=%zu rbs=%zu rbp=0 obl=%zu oll=0 omem=%zu tot-mem=%zu events=%s%s cmd=%s"
        " user=default redir=-1 resp=%d lib-name=%s lib-ver=%s\n",
        s->id, end.address, end.local, end.fd, or_empty(s->name), (now - s->since_ms) / 1000, (now - s->active_ms) / 1000,
        flags, m == NULL ? -1 : (int)m->count, buf_len(&s->in), s->in.cap - s->in.end, queued, s->out.cap, buf_len(&s->out), s->unsent,
        sizeof(*s) + s->in.cap + s->out.cap + s->unsent + queued, end.reads ? "r" : "", end.writes ? "w" : "", command,
        s->proto == &proto_resp3 ? 3 : 2, or_empty(s->lib_name), or_empty(s->lib_version));
    assert(len > 0 && (size_t)len < size);
    return (size_t)len;
}

static void client_info(struct session *s, const struct request *r)
{
    char line[LINE_MAX_BYTES];
    (void)r;
    session_answer(s, s->proto->report(&s->out, slice_of(line, write_line(s, line, sizeof(line)))));
}

/* --- CLIENT LIST --- */

/* Of clients whose end has begun nothing is told. */
static bool is_listed(const struct session *s)
{
    return s->state == SESSION_OPEN;
}

/* Adds a client's line; a failure is that of the answer. */
static int add_line(struct buf *lines, const struct session *at)
{
    char line[LINE_MAX_BYTES];
    at->engine->store.steps += LINE_STEPS;
    return buf_append(lines, line, write_line(at, line, sizeof(line)));
}

static void answer_lines(struct session *s, struct buf *lines, int rc)
{
    if (rc == ERR_TOOBIG) {
        session_error(s, ERR_TOOBIG, "the list has more bytes than an answer may have (--answer-max); ask for some with ID");
    } else {
        struct slice text = buf_len(lines) == 0 ? slice_str("") : slice_of(buf_head(lines), buf_len(lines));
        session_answer(s, rc < 0 ? rc : s->proto->report(&s->out, text));
    }
    buf_deinit(lines);
}

static void list_all(struct session *s)
{
    struct buf lines;
    int rc = 0;
    buf_init(&lines);
    for (const struct session *at = s->engine->first; at != NULL && rc == 0; at = at->all_next) {
        rc = is_listed(at) ? add_line(&lines, at) : 0;
        rc = buf_len(&lines) > s->engine->limits.answer_bytes ? ERR_TOOBIG : rc;
    }
    answer_lines(s, &lines, rc);
}

/* One that was asked for by its ID. */
struct wanted {
    int64_t id;
    size_t nth;
    const struct session *found;
};

static int by_id(const void *a, const void *b)
{
    const struct wanted *x = a;
    const struct wanted *y = b;
    return x->id < y->id ? -1 : x->id > y->id;
}

static int by_nth(const void *a, const void *b)
{
    const struct wanted *x = a;
    const struct wanted *y = b;
    return x->nth < y->nth ? -1 : x->nth > y->nth;
}

/* Finds all of them in one walk: the sessions stand in the order of their IDs. */
static void find_wanted(const struct engine *e, struct wanted *wanted, size_t count)
{
    const struct session *at = e->first;
    qsort(wanted, count, sizeof(*wanted), by_id);
    for (size_t i = 0; i < count; i++) {
        while (at != NULL && (int64_t)at->id < wanted[i].id) {
            at = at->all_next;
        }
        wanted[i].found = at != NULL && (int64_t)at->id == wanted[i].id && is_listed(at) ? at : NULL;
    }
    qsort(wanted, count, sizeof(*wanted), by_nth);
}

static void list_some(struct session *s, const struct slice *ids, size_t count)
{
    struct wanted wanted[COMMAND_ARGS_MAX];
    struct buf lines;
    int rc = 0;
    for (size_t i = 0; i < count; i++) {
        wanted[i] = (struct wanted){.nth = i};
        if (!store_parse_integer(ids[i], &wanted[i].id)) {
            session_complain(s, "ERR Invalid client ID");
            return;
        }
    }
    buf_init(&lines);
    find_wanted(s->engine, wanted, count);
    for (size_t i = 0; i < count && rc == 0; i++) {
        rc = wanted[i].found == NULL ? 0 : add_line(&lines, wanted[i].found);
    }
    answer_lines(s, &lines, rc);
}

enum client_type { TYPE_NORMAL, TYPE_OTHER, TYPE_WRONG };

/* All clients are normal ones. TYPE_WRONG after complaining. */
static enum client_type read_type(struct session *s, struct slice name)
{
    static const char *const others[] = {"SLAVE", "REPLICA", "MASTER", "PUBSUB"};
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        if (command_is_word(name, others[i])) {
            return TYPE_OTHER;
        }
    }
    if (command_is_word(name, "NORMAL")) {
        return TYPE_NORMAL;
    }
    command_complain(s, "ERR Unknown client type '%.*s'", slice_shown(name, COMMAND_SHOWN), name.data);
    return TYPE_WRONG;
}

static void client_list(struct session *s, const struct request *r)
{
    struct buf none;
    if (r->count == 1) {
        list_all(s);
    } else if (r->count == 3 && command_is_word(r->args[1], "TYPE")) {
        switch (read_type(s, r->args[2])) {
        case TYPE_NORMAL:
            list_all(s);
            break;
        case TYPE_OTHER:
            buf_init(&none);
            answer_lines(s, &none, 0);
            break;
        case TYPE_WRONG:
        default:
            break;
        }
    } else if (r->count > 2 && command_is_word(r->args[1], "ID")) {
        list_some(s, r->args + 2, r->count - 2);
    } else {
        command_complain_syntax(s);
    }
}

/* --- CLIENT KILL --- */

struct victims {
    int64_t id; /* 0: any */
    struct slice address; /* data NULL: any; else the client at that address, which an empty one is of none */
    struct slice local;
    bool none; /* no client is of the type asked for */
    bool spares_me;
};

static bool is_victim(const struct victims *v, const struct session *at)
{
    struct endpoint end;
    if (!is_listed(at) || v->none || (v->id != 0 && (int64_t)at->id != v->id)) {
        return false;
    }
    if (v->address.data == NULL && v->local.data == NULL) {
        return true;
    }
    find_endpoint(at, &end);
    return (v->address.data == NULL || slice_equal(v->address, slice_str(end.address))) &&
           (v->local.data == NULL || slice_equal(v->local, slice_str(end.local)));
}

/* Ends them; how many there were. */
static int64_t kill_all(struct session *s, const struct victims *v)
{
    int64_t killed = 0;
    for (struct session *at = s->engine->first; at != NULL; at = at->all_next) {
        if ((at == s && v->spares_me) || !is_victim(v, at)) {
            continue;
        }
        s->engine->store.steps += LINE_STEPS;
        killed++;
        if (at == s) {
            s->ends = true; /* it gets this answer */
        } else {
            session_kill(at);
        }
    }
    return killed;
}

/* One filter and its value; false after complaining. */
static bool read_filter(struct session *s, struct victims *v, struct slice name, struct slice value)
{
    if (command_is_word(name, "ID")) {
        if (!store_parse_integer(value, &v->id) || v->id < 1) {
            session_complain(s, "ERR client-id should be greater than 0");
            return false;
        }
    } else if (command_is_word(name, "TYPE")) {
        enum client_type type = read_type(s, value);
        v->none = v->none || type == TYPE_OTHER;
        return type != TYPE_WRONG;
    } else if (command_is_word(name, "ADDR")) {
        v->address = value;
    } else if (command_is_word(name, "LADDR")) {
        v->local = value;
    } else if (command_is_word(name, "USER")) {
        if (!slice_equal(value, slice_str("default"))) {
            command_complain(s, "ERR No such user '%.*s'", slice_shown(value, COMMAND_SHOWN), value.data);
            return false;
        }
    } else if (command_is_word(name, "SKIPME") && (command_is_word(value, "YES") || command_is_word(value, "NO"))) {
        v->spares_me = command_is_word(value, "YES");
    } else {
        command_complain_syntax(s);
        return false;
    }
    return true;
}

static void client_kill(struct session *s, const struct request *r)
{
    struct victims v = {.spares_me = r->count > 2};
    if (r->count == 2) {
        v.address = r->args[1];
        if (kill_all(s, &v) > 0) {
            command_done(s, 0);
        } else {
            session_complain(s, "ERR No such client");
        }
        return;
    }
    for (size_t i = 1; i < r->count; i += 2) {
        if (i + 1 == r->count) {
            command_complain_syntax(s);
            return;
        }
        if (!read_filter(s, &v, r->args[i], r->args[i + 1])) {
            return;
        }
    }
    command_integer(s, kill_all(s, &v));
}

/* --- CLIENT PAUSE, REPLY and the rest --- */

static void client_pause(struct session *s, const struct request *r)
{
    int64_t ms;
    enum pause pause = PAUSE_ALL;
    if (r->count == 3 && command_is_word(r->args[2], "WRITE")) {
        pause = PAUSE_WRITES;
    } else if (r->count == 3 && !command_is_word(r->args[2], "ALL")) {
        session_complain(s, "ERR CLIENT PAUSE mode must be WRITE or ALL");
        return;
    }
    if (!store_parse_integer(r->args[1], &ms) || ms > INT64_MAX / 2) {
        session_complain(s, "ERR timeout is not an integer or out of range");
    } else if (ms < 0) {
        session_complain(s, "ERR timeout is negative");
    } else {
        engine_pause(s->engine, pause, s->engine->store.now_ms + (uint64_t)ms);
        command_done(s, 0);
    }
}

static void client_unpause(struct session *s, const struct request *r)
{
    (void)r;
    engine_unpause(s->engine);
    command_done(s, 0);
}

static void client_reply(struct session *s, const struct request *r)
{
    if (command_is_word(r->args[1], "ON")) {
        s->replies = REPLIES_ON;
        command_done(s, 0);
    } else if (command_is_word(r->args[1], "OFF")) {
        s->replies = REPLIES_OFF;
    } else if (command_is_word(r->args[1], "SKIP")) {
        s->replies = s->replies == REPLIES_OFF ? REPLIES_OFF : REPLIES_SKIP_NEXT;
    } else {
        command_complain_syntax(s);
    }
}

static void client_on_off(struct session *s, const struct request *r)
{
    if (command_is_word(r->args[1], "ON") || command_is_word(r->args[1], "OFF")) {
        command_done(s, 0); /* nothing is evicted, and nothing has a time of its last use */
    } else {
        command_complain_syntax(s);
    }
}

static void client_help(struct session *s, const struct request *r)
{
    static const char *const lines[] = {
        "CLIENT <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        "GETNAME",
        "    Return the name of the current connection.",
        "ID",
        "    Return the ID of the current connection.",
        "INFO",
        "    Return information about the current client connection.",
        "KILL <ip:port>",
        "    Kill connection made from <ip:port>.",
        "KILL <option> <value> [<option> <value> [...]]",
        "    Kill connections. Options are:",
        "    * ADDR (<ip:port>|<unixsocket>:0)",
        "    * LADDR (<ip:port>|<unixsocket>:0)",
        "    * ID <client-id>",
        "    * TYPE (NORMAL|MASTER|REPLICA|PUBSUB)",
        "    * USER <username>",
        "    * SKIPME (YES|NO): skip the current connection (default: yes).",
        "LIST [TYPE (NORMAL|MASTER|REPLICA|PUBSUB) | ID <client-id> ...]",
        "    Return information about client connections.",
        "NO-EVICT (ON|OFF)",
        "NO-TOUCH (ON|OFF)",
        "    Accepted: nothing is evicted here.",
        "PAUSE <timeout> [WRITE|ALL]",
        "    Suspend all, or just write, clients for <timeout> milliseconds.",
        "REPLY (ON|OFF|SKIP)",
        "    Control the replies sent to the current connection.",
        "SETINFO (LIB-NAME|LIB-VER) <text>",
        "    Say which library the current connection is made by.",
        "SETNAME <name>",
        "    Assign the name <name> to the current connection.",
        "UNPAUSE",
        "    Stop the current client pause, resuming traffic.",
        "HELP",
        "    Prints this help.",
    };
    (void)r;
    command_help_lines(s, lines, sizeof(lines) / sizeof(lines[0]));
}

void run_client(struct session *s, const struct request *r)
{
    static const struct subcommand subs[] = {
        {"ID", 0, 0, client_id},
        {"GETNAME", 0, 0, client_getname},
        {"SETNAME", 1, 1, client_setname},
        {"SETINFO", 2, 2, client_setinfo},
        {"INFO", 0, 0, client_info},
        {"LIST", 0, COMMAND_ARGS_MAX, client_list},
        {"KILL", 1, COMMAND_ARGS_MAX, client_kill},
        {"PAUSE", 1, 2, client_pause},
        {"UNPAUSE", 0, 0, client_unpause},
        {"REPLY", 1, 1, client_reply},
        {"NO-EVICT", 1, 1, client_on_off},
        {"NO-TOUCH", 1, 1, client_on_off},
        {"HELP", 0, 0, client_help},
    };
    command_run_sub(s, r, subs, sizeof(subs) / sizeof(subs[0]));
}
