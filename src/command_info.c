/* What is told of the server and its settings, as the clients of Redis ask for it: INFO and CONFIG. */
#include <assert.h>
#include <fnmatch.h>
#include <stdarg.h>
#include <stdio.h>
#include <strings.h>

#include "command_run.h"
#include "err.h"
#include "mem.h"

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
           REDIS_VERSION, TXKV_VERSION, (unsigned)e->port, (long long)((command_wall_us(e) - e->started_us) / 1000000));
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
        snprintf(asked, PATTERN_BYTES, "%.*s", slice_shown(r->args[i], PATTERN_BYTES - 1), r->args[i].data);
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
    int64_t bytes;
    int shown = slice_shown(r->args[1], COMMAND_SHOWN);
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
            command_complain(s, "ERR CONFIG SET failed (possibly related to argument '%.*s') - can't set immutable config", shown,
                             r->args[1].data);
        }
        return;
    }
    command_complain(s, "ERR Unknown option or number of arguments for CONFIG SET - '%.*s'", shown, r->args[1].data);
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
