/* The commands on the server, as the clients of Redis send them, and those of both protocols that touch no keys. */
#include <assert.h>
#include <ctype.h>
#include <fnmatch.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <unistd.h>

#include "command_run.h"
#include "err.h"
#include "mem.h"

static int64_t now_us(const struct engine *e)
{
    return e->wall_us == NULL ? 0 : e->wall_us();
}

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
    size_t len = strlen(c->name);
    assert(len < sizeof(name));
    for (size_t i = 0; i <= len; i++) {
        name[i] = (char)tolower((unsigned char)c->name[i]);
    }
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
        snprintf(text, sizeof(text), "%.*s", r->args[3].len < 63 ? (int)r->args[3].len : 63, r->args[3].data);
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

/* --- INFO --- */

struct report {
    char text[2048];
    size_t len;
};

static __attribute__((format(printf, 2, 3))) void report(struct report *to, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int len = vsnprintf(to->text + to->len, sizeof(to->text) - to->len, format, args);
    va_end(args);
    assert(len >= 0 && (size_t)len < sizeof(to->text) - to->len);
    to->len += (size_t)len;
}

static void report_server(struct session *s, struct report *to)
{
    const struct engine *e = s->engine;
    report(to,
           "redis_version:%s\r\nredis_mode:standalone\r\ntxkv_version:%s\r\ntcp_port:%u\r\nuptime_in_seconds:%lld\r\n",
           REDIS_VERSION, TXKV_VERSION, (unsigned)e->port, (long long)((now_us(e) - e->started_us) / 1000000));
}

static void report_clients(struct session *s, struct report *to)
{
    const struct engine *e = s->engine;
    report(to, "connected_clients:%llu\r\nblocked_clients:%zu\r\n", (unsigned long long)e->sessions_now,
           e->paused + e->blocked);
}

/* Bytes for people, as Redis writes them. */
static void report_human(struct report *to, const char *name, size_t bytes)
{
    static const char units[] = "BKMGT";
    double number = (double)bytes;
    size_t unit = 0;
    for (; number >= 1024 && unit + 2 < sizeof(units); unit++) {
        number /= 1024;
    }
    report(to, unit == 0 ? "%s:%.0f%c\r\n" : "%s:%.2f%c\r\n", name, number, units[unit]);
}

static void report_memory(struct session *s, struct report *to)
{
    size_t used = mem_used();
    size_t most = s->engine->store_limits.memory_bytes;
    report(to, "used_memory:%zu\r\n", used);
    report_human(to, "used_memory_human", used);
    report(to, "maxmemory:%zu\r\n", most);
    report_human(to, "maxmemory_human", most);
    report(to, "maxmemory_policy:noeviction\r\n");
}

static void report_persistence(struct session *s, struct report *to)
{
    report(
        to,
        "loading:0\r\nasync_loading:0\r\naof_enabled:%d\r\nrdb_bgsave_in_progress:0\r\naof_rewrite_in_progress:0\r\n",
        s->engine->store.journal != NULL ? 1 : 0);
}

static void report_stats(struct session *s, struct report *to)
{
    const struct engine *e = s->engine;
    report(to, "total_connections_received:%llu\r\ntotal_commands_processed:%llu\r\n", (unsigned long long)e->sessions,
           (unsigned long long)e->requests);
    report(to, "expired_keys:%llu\r\nexpired_transactions:%llu\r\n", (unsigned long long)e->store.keys_expired,
           (unsigned long long)e->store.expired);
}

static void report_replication(struct session *s, struct report *to)
{
    (void)s;
    report(to, "role:master\r\nconnected_slaves:0\r\n");
}

static void report_keyspace(struct session *s, struct report *to)
{
    uint64_t keys = store_count(&s->engine->store, session_txn(s));
    if (keys > 0) {
        unsigned long long ends = s->engine->store.current->expiry.count;
        report(to, "db0:keys=%llu,expires=%llu,avg_ttl=0\r\n", (unsigned long long)keys, ends);
    }
}

static const struct {
    const char *name;
    void (*report)(struct session *s, struct report *to);
} sections[] = {
    {"Server", report_server},           {"Clients", report_clients}, {"Memory", report_memory},
    {"Persistence", report_persistence}, {"Stats", report_stats},     {"Replication", report_replication},
    {"Keyspace", report_keyspace},
};

static bool is_asked_for(const struct request *r, const char *section)
{
    for (size_t i = 0; i < r->count; i++) {
        bool all = command_is_word(r->args[i], "ALL") || command_is_word(r->args[i], "DEFAULT") ||
                   command_is_word(r->args[i], "EVERYTHING");
        if (all || command_is_word(r->args[i], section)) {
            return true;
        }
    }
    return r->count == 0;
}

void run_info(struct session *s, const struct request *r)
{
    struct report text = {.len = 0};
    for (size_t i = 0; i < sizeof(sections) / sizeof(sections[0]); i++) {
        if (is_asked_for(r, sections[i].name)) {
            report(&text, "%s# %s\r\n", text.len > 0 ? "\r\n" : "", sections[i].name);
            sections[i].report(s, &text);
        }
    }
    session_answer(s, s->proto->report(&s->out, slice_of(text.text, text.len)));
}

/* --- CONFIG --- */

/* What clients ask for; all but maxmemory are as they are. */
static const struct {
    const char *name;
    const char *value; /* NULL: a number that is looked up */
} settings[] = {
    {"appendonly", "no"},         {"databases", "1"}, {"maxmemory", NULL}, {"maxmemory-policy", "noeviction"},
    {"proto-max-bulk-len", NULL}, {"save", ""},       {"timeout", "0"},
};

#define SETTINGS (sizeof(settings) / sizeof(settings[0]))

static void read_setting(const struct engine *e, size_t index, char *value, size_t size)
{
    const char *name = settings[index].name;
    if (settings[index].value == NULL) {
        snprintf(value, size, "%zu",
                 strcmp(name, "maxmemory") == 0 ? e->store_limits.memory_bytes : e->limits.command.value_bytes);
    } else {
        bool logs = strcmp(name, "appendonly") == 0 && e->store.journal != NULL;
        snprintf(value, size, "%s", logs ? "yes" : settings[index].value);
    }
}

#define PATTERN_BYTES 64 /* with its NUL; a longer one is none of an option */

/* Whether an option is asked for; and by what name it is answered: as it was asked for, or its own where a pattern did. */
static bool matches(const struct request *r, const char *name, char *asked)
{
    for (size_t i = 1; i < r->count; i++) {
        int len = r->args[i].len < PATTERN_BYTES ? (int)r->args[i].len : PATTERN_BYTES - 1;
        snprintf(asked, PATTERN_BYTES, "%.*s", len, r->args[i].data);
        if (fnmatch(asked, name, FNM_CASEFOLD) == 0) {
            if (strcasecmp(asked, name) != 0) {
                snprintf(asked, PATTERN_BYTES, "%s", name);
            }
            return true;
        }
    }
    return false;
}

static void config_get(struct session *s, const struct request *r)
{
    char asked[PATTERN_BYTES];
    size_t count = 0;
    for (size_t i = 0; i < SETTINGS; i++) {
        count += matches(r, settings[i].name, asked) ? 1 : 0;
    }
    session_answer(s, s->proto->map(&s->out, count));
    for (size_t i = 0; i < SETTINGS; i++) {
        char value[32];
        if (matches(r, settings[i].name, asked)) {
            read_setting(s->engine, i, value, sizeof(value));
            command_pair(s, asked, value);
        }
    }
}

static void config_set(struct session *s, const struct request *r)
{
    char text[256];
    int64_t bytes;
    int shown = r->args[1].len < 128 ? (int)r->args[1].len : 128;
    for (size_t i = 0; i < SETTINGS; i++) {
        char value[32];
        read_setting(s->engine, i, value, sizeof(value));
        if (strlen(settings[i].name) != r->args[1].len ||
            strncasecmp(settings[i].name, r->args[1].data, r->args[1].len) != 0) {
            continue;
        }
        if (slice_equal(r->args[2], slice_str(value))) {
            command_done(s, 0);
        } else if (strcmp(settings[i].name, "maxmemory") == 0 && store_parse_integer(r->args[2], &bytes) &&
                   bytes >= 0) {
            s->engine->store_limits.memory_bytes = (size_t)bytes;
            command_done(s, 0);
        } else {
            snprintf(text, sizeof(text),
                     "ERR CONFIG SET failed (possibly related to argument '%.*s') - can't set immutable config", shown,
                     r->args[1].data);
            session_complain(s, text);
        }
        return;
    }
    snprintf(text, sizeof(text), "ERR Unknown option or number of arguments for CONFIG SET - '%.*s'", shown,
             r->args[1].data);
    session_complain(s, text);
}

static void config_resetstat(struct session *s, const struct request *r)
{
    (void)r;
    s->engine->requests = 0;
    s->engine->store.expired = 0;
    s->engine->store.keys_expired = 0;
    command_done(s, 0);
}

void run_config(struct session *s, const struct request *r)
{
    static const struct subcommand subs[] = {
        {"GET", 1, COMMAND_ARGS_MAX, config_get},
        {"SET", 2, 2, config_set},
        {"RESETSTAT", 0, 0, config_resetstat},
    };
    command_run_sub(s, r, subs, sizeof(subs) / sizeof(subs[0]));
}

/* --- and more --- */

void run_time(struct session *s, const struct request *r)
{
    char text[32];
    int64_t now = now_us(s->engine);
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

/* A name, not a path: letters, digits, and - _ . but not as the first. */
static bool is_backup_name(struct slice name)
{
    for (size_t i = 0; i < name.len; i++) {
        bool inner = i > 0 && strchr("-_.", name.data[i]) != NULL && name.data[i] != '\0';
        if (!isalnum((unsigned char)name.data[i]) && !inner) {
            return false;
        }
    }
    return name.len > 0 && name.len < ERRAND_NAME_MAX;
}

void run_backup(struct session *s, const struct request *r)
{
    if (!s->engine->takes_backups) {
        session_error(s, ERR_DISK, "this server takes no backups; --backup-dir gives it a directory for them");
    } else if (!is_backup_name(r->args[0])) {
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

#ifdef TXKV_FAULTS
/* Keeps the whole server busy, as a test wants it. */
static void debug_sleep(struct session *s, const struct request *r)
{
    char text[32];
    snprintf(text, sizeof(text), "%.*s", r->args[1].len < 31 ? (int)r->args[1].len : 31, r->args[1].data);
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
