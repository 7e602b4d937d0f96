/* What is told of the commands: COMMAND, as the clients of Redis send it, and HELP. */
#include <fnmatch.h>
#include <stdio.h>
#include <strings.h>

#include "command_run.h"
#include "err.h"

/* --- COMMAND --- */

#define OWN_SINCE "0.1.0" /* the version of this server that had first what Redis has not */

static size_t count_commands(void)
{
    size_t count = 0;
    while (command_at(PROTO_RESP, count) != NULL) {
        count++;
    }
    return count;
}

static void write_name(struct session *s, const struct command *c)
{
    char name[32];
    snprintf(name, sizeof(name), "%s", c->name);
    command_small(name);
    command_text(s, name);
}

static void write_command_flags(struct session *s, const struct command *c)
{
    bool writes = c->flags & COMMAND_WRITES;
    bool reads = !writes && c->flags & COMMAND_ANY_KEY;
    session_answer(s, s->proto->set(&s->out, writes || reads ? 1 : 0));
    if (writes || reads) {
        session_answer(s, s->proto->status(&s->out, writes ? "write" : "readonly"));
    }
}

/* The ten parts of Redis 7.0: name, arity, flags, first key, last key, step, categories, tips, key specifications,
 * subcommands; the last four are left empty. */
static void write_command(struct session *s, const struct command *c)
{
    struct command_keys keys;
    command_keys(c, &keys);
    bool has_keys = keys.open || keys.count > 0;
    int64_t words = (int64_t)c->args_min + 1;
    session_answer(s, s->proto->array(&s->out, 10));
    write_name(s, c);
    command_integer(s, c->args_min == c->args_max ? words : -words);
    write_command_flags(s, c);
    command_integer(s, has_keys ? 1 : 0);
    command_integer(s, keys.open ? -1 : (int64_t)keys.count);
    command_integer(s, has_keys ? (int64_t)keys.step : 0);
    session_answer(s, s->proto->set(&s->out, 0));
    for (int i = 0; i < 3; i++) {
        session_answer(s, s->proto->array(&s->out, 0));
    }
}

static void command_count(struct session *s, const struct request *r)
{
    (void)r;
    command_integer(s, (int64_t)count_commands());
}

/* What COMMAND LIST is filtered by. */
struct filter {
    const char *pattern; /* or NULL */
    const char *category;
    bool module; /* no command is of one */
};

/* The categories of Redis's access lists that follow from this table. */
static bool is_in_category(const struct command *c, const char *category)
{
    bool writes = c->flags & COMMAND_WRITES;
    bool keys = c->flags & COMMAND_ANY_KEY;
    return (strcasecmp(category, "write") == 0 && writes) || (strcasecmp(category, "read") == 0 && keys && !writes);
}

static bool passes(const struct command *c, const struct filter *f)
{
    return !f->module && (f->pattern == NULL || fnmatch(f->pattern, c->name, FNM_CASEFOLD) == 0) &&
           (f->category == NULL || is_in_category(c, f->category));
}

static void list_commands(struct session *s, const struct filter *f)
{
    size_t count = 0;
    for (size_t i = 0; i < count_commands(); i++) {
        count += passes(command_at(PROTO_RESP, i), f) ? 1 : 0;
    }
    session_answer(s, s->proto->array(&s->out, count));
    for (size_t i = 0; i < count_commands(); i++) {
        if (passes(command_at(PROTO_RESP, i), f)) {
            write_name(s, command_at(PROTO_RESP, i));
        }
    }
}

static void command_list(struct session *s, const struct request *r)
{
    char text[64]; /* a longer one is none of a command's name */
    struct filter f = {0};
    if (r->count == 4 && command_is_word(r->args[1], "FILTERBY")) {
        snprintf(text, sizeof(text), "%.*s", slice_shown(r->args[3], (int)sizeof(text) - 1), r->args[3].data);
        f.pattern = command_is_word(r->args[2], "PATTERN") ? text : NULL;
        f.category = command_is_word(r->args[2], "ACLCAT") ? text : NULL;
        f.module = command_is_word(r->args[2], "MODULE");
    }
    if (r->count == 1 || f.pattern != NULL || f.category != NULL || f.module) {
        list_commands(s, &f);
    } else {
        command_complain_syntax(s);
    }
}

/* The keys of a whole command, which follows. */
static void command_getkeys(struct session *s, const struct request *r)
{
    struct command_keys keys;
    const struct command *c = command_find(PROTO_RESP, r->args[1]);
    size_t count = r->count - 2;
    if (c == NULL) {
        session_complain(s, "ERR Invalid command specified");
        return;
    }
    command_keys(c, &keys);
    if (!keys.open && keys.count == 0) {
        session_complain(s, "ERR The command has no key arguments");
        return;
    }
    if (count < c->args_min || count > c->args_max) {
        session_complain(s, "ERR Invalid number of arguments specified for command");
        return;
    }
    size_t end = keys.open ? count : keys.count;
    session_answer(s, s->proto->array(&s->out, (end + keys.step - 1) / keys.step));
    for (size_t i = 0; i < end; i += keys.step) {
        session_value(s, r->args[2 + i]);
    }
}

static void command_help(struct session *s, const struct request *r)
{
    static const char *const lines[] = {
        "COMMAND <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        "(no subcommand)",
        "    Return details about all commands.",
        "COUNT",
        "    Return the total number of commands in this server.",
        "LIST [FILTERBY (PATTERN <pattern> | ACLCAT <category> | MODULE <name>)]",
        "    Return a list of all commands in this server.",
        "INFO [<command-name> ...]",
        "    Return details about multiple commands.",
        "DOCS [<command-name> ...]",
        "    Return documentation details about multiple commands.",
        "GETKEYS <full-command>",
        "    Return the keys from a full command.",
        "HELP",
        "    Prints this help.",
    };
    (void)r;
    command_help_lines(s, lines, sizeof(lines) / sizeof(lines[0]));
}

static void command_info(struct session *s, const struct request *r)
{
    bool all = r->count <= 1;
    size_t count = all ? count_commands() : r->count - 1;
    session_answer(s, s->proto->array(&s->out, count));
    for (size_t i = 0; i < count; i++) {
        const struct command *c = all ? command_at(PROTO_RESP, i) : command_find(PROTO_RESP, r->args[i + 1]);
        if (c == NULL) {
            session_answer(s, s->proto->absent(&s->out));
        } else {
            write_command(s, c);
        }
    }
}

/* Takes the first part of a usage: a word, or all that stands between a bracket and its end. */
static struct slice take_part(struct slice *usage)
{
    size_t len = 0;
    for (int depth = 0; len < usage->len && (depth > 0 || usage->data[len] != ' '); len++) {
        depth += usage->data[len] == '[' ? 1 : usage->data[len] == ']' ? -1 : 0;
    }
    struct slice part = slice_of(usage->data, len);
    len += len < usage->len ? 1 : 0; /* the space */
    *usage = slice_of(usage->data + len, usage->len - len);
    return part;
}

static size_t count_parts(struct slice usage)
{
    size_t count = 0;
    for (; usage.len > 0; count++) {
        (void)take_part(&usage);
    }
    return count;
}

static void write_arguments(struct session *s, struct slice usage);

/* Brackets with several words in them are a block of arguments. */
static void write_argument(struct session *s, struct slice part)
{
    char name[64];
    bool optional = part.data[0] == '[';
    struct slice inner = optional ? slice_of(part.data + 1, part.len - 2) : part;
    struct slice rest = inner;
    struct slice first = take_part(&rest);
    bool block = rest.len > 0;
    snprintf(name, sizeof(name), "%.*s", (int)first.len, first.data);
    session_answer(s, s->proto->map(&s->out, 2u + optional + block));
    command_pair(s, "name", name);
    command_pair(s, "type", block ? "block" : "string");
    if (optional) {
        command_text(s, "flags");
        session_answer(s, s->proto->array(&s->out, 1));
        session_answer(s, s->proto->status(&s->out, "optional"));
    }
    if (block) {
        command_text(s, "arguments");
        write_arguments(s, inner);
    }
}

/* A usage such as "key [value ...]" as arguments with a name and flags, from which clients make their hints. */
static void write_arguments(struct session *s, struct slice usage)
{
    session_answer(s, s->proto->array(&s->out, count_parts(usage)));
    while (usage.len > 0) {
        write_argument(s, take_part(&usage));
    }
}

static void write_document(struct session *s, const struct command *c)
{
    write_name(s, c);
    session_answer(s, s->proto->map(&s->out, 4));
    command_pair(s, "summary", c->help);
    command_pair(s, "since", c->since != NULL ? c->since : OWN_SINCE);
    command_pair(s, "group", c->flags & COMMAND_ANY_KEY ? "string" : "server");
    command_text(s, "arguments");
    write_arguments(s, slice_str(c->usage));
}

static void command_docs(struct session *s, const struct request *r)
{
    size_t known = 0;
    if (r->count == 1) {
        session_answer(s, s->proto->map(&s->out, count_commands()));
        for (size_t i = 0; i < count_commands(); i++) {
            write_document(s, command_at(PROTO_RESP, i));
        }
        return;
    }
    for (size_t i = 1; i < r->count; i++) {
        known += command_find(PROTO_RESP, r->args[i]) != NULL ? 1 : 0;
    }
    session_answer(s, s->proto->map(&s->out, known));
    for (size_t i = 1; i < r->count; i++) {
        const struct command *c = command_find(PROTO_RESP, r->args[i]);
        if (c != NULL) {
            write_document(s, c);
        }
    }
}

void run_command(struct session *s, const struct request *r)
{
    static const struct subcommand subs[] = {
        {"COUNT", 0, 0, command_count},
        {"LIST", 0, COMMAND_ARGS_MAX, command_list},
        {"INFO", 0, COMMAND_ARGS_MAX, command_info},
        {"DOCS", 0, COMMAND_ARGS_MAX, command_docs},
        {"GETKEYS", 2, COMMAND_ARGS_MAX, command_getkeys},
        {"HELP", 0, 0, command_help},
    };
    if (r->count == 0) {
        command_info(s, r);
    } else {
        command_run_sub(s, r, subs, sizeof(subs) / sizeof(subs[0]));
    }
}

/* --- HELP --- */

void run_help(struct session *s, const struct request *r)
{
    char line[512];
    size_t len = 0;
    if (r->count == 1) {
        const struct command *c = command_find(s->proto->kind, r->args[0]);
        if (c == NULL) {
            session_error(s, ERR_UNKNOWN, "there is no command of that name; HELP lists the commands");
            return;
        }
        len = (size_t)snprintf(line, sizeof(line), "%s%s%s: %s", c->name, c->usage[0] == '\0' ? "" : " ", c->usage, c->help);
    } else {
        for (size_t i = 0; command_at(s->proto->kind, i) != NULL; i++) {
            len += (size_t)snprintf(line + len, sizeof(line) - len, "%s ", command_at(s->proto->kind, i)->name);
        }
        len += (size_t)snprintf(line + len, sizeof(line) - len, "(HELP command says what it does)");
    }
    session_answer(s, s->proto->line(&s->out, slice_of(line, len)));
}
