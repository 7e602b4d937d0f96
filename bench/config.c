#include "config.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "clock.h"
#include "values.h"

#define DEFAULT_HOST "127.0.0.1"
#define DEFAULT_PORT 8888
#define DEFAULT_DURATION_NS (3 * NS_PER_S)
#define NOT_GIVEN UINT64_MAX
#define DEFAULT_VALUE_SIZE 3
#define VALUE_SIZE_MAX 536870912
#define KEY_SIZE_MAX 1024
#define MEMCACHE_KEY_MAX 250
#define CONNS_MAX 60000
#define RATE_MAX 100000000

static const struct workload known_workloads[] = {
    {"set", {[WIRE_SET] = 1}},
    {"get", {[WIRE_GET] = 1}},
    {"mix", {[WIRE_GET] = 0.5, [WIRE_SET] = 0.5}},
    {"ping", {[WIRE_PING] = 1}},
};

/* Copies the text up to the next separator, which is skipped, and moves *text behind it. -1 if it is empty, too long,
 * or nothing follows the separator. */
static int take_word(const char **text, char separator, char *word, size_t size)
{
    size_t len = strcspn(*text, (char[]){separator, '\0'});
    bool more = (*text)[len] != '\0';
    if (len == 0 || len >= size || (more && (*text)[len + 1] == '\0')) {
        return -1;
    }
    memcpy(word, *text, len);
    word[len] = '\0';
    *text += len + more;
    return 0;
}

static int find_name(const char *const *names, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(names[i], name) == 0) {
            return (int)i;
        }
    }
    return -1;
}

static int parse_proto(void *config, const char *arg)
{
    struct config *c = config;
    int proto = find_name(wire_proto_names, WIRE_PROTO_COUNT, arg);
    c->proto = proto < 0 ? c->proto : (enum wire_proto)proto;
    c->proto_given = true;
    return proto < 0 ? -1 : 0;
}

/* host:port[,pid]; an address of IPv6 stands in brackets. */
static int parse_address(struct target *t, const char *text)
{
    char close = *text == '[' ? ']' : ':';
    text += *text == '[';
    if (take_word(&text, close, t->host, sizeof t->host) != 0) {
        return -1;
    }
    if (close == ']' && *text++ != ':') {
        return -1;
    }
    uint64_t n;
    if (take_word(&text, ',', t->port, sizeof t->port) != 0 || opts_count(t->port, 1, UINT16_MAX, &n) != 0) {
        return -1;
    }
    if (*text != '\0') {
        if (opts_count(text, 1, INT32_MAX, &n) != 0) {
            return -1;
        }
        t->pid = (pid_t)n;
    }
    return 0;
}

static int parse_target(void *config, const char *arg)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    struct config *c = config;
    struct target t = {0};
    char proto[16];
    if (c->target_count == TARGETS_MAX || take_word(&arg, '=', t.name, sizeof t.name) != 0 ||
        t.name[strspn(t.name, allowed)] != '\0' || take_word(&arg, ':', proto, sizeof proto) != 0) {
        return -1;
    }
    int found = find_name(wire_proto_names, WIRE_PROTO_COUNT, proto);
    if (found < 0 || parse_address(&t, arg) != 0) {
        return -1;
    }
    t.proto = (enum wire_proto)found;
    c->targets[c->target_count++] = t;
    return 0;
}

static int parse_tests(void *config, const char *arg)
{
    struct config *c = config;
    char name[16];
    c->tests_given = true;
    c->workload_count = 0;
    do {
        size_t i = 0;
        if (take_word(&arg, ',', name, sizeof name) != 0 || c->workload_count == WORKLOADS_MAX) {
            return -1;
        }
        while (i < sizeof known_workloads / sizeof *known_workloads && strcasecmp(known_workloads[i].name, name) != 0) {
            i++;
        }
        if (i == sizeof known_workloads / sizeof *known_workloads) {
            return -1;
        }
        c->workloads[c->workload_count++] = known_workloads[i];
    } while (*arg != '\0');
    return 0;
}

static int parse_mix(void *config, const char *arg)
{
    struct config *c = config;
    struct workload w = {.name = "mix"};
    double sum = 0;
    do {
        char name[16];
        char share[16];
        char *end;
        if (take_word(&arg, '=', name, sizeof name) != 0 || take_word(&arg, ',', share, sizeof share) != 0) {
            return -1;
        }
        int op = find_name(wire_op_names, WIRE_OP_COUNT, name);
        double value = strtod(share, &end);
        if (op < 0 || *end != '\0' || !(value >= 0 && value <= 1)) {
            return -1;
        }
        w.mix[op] = value;
        sum += value;
    } while (*arg != '\0');
    if (fabs(sum - 1) > 1e-6) {
        return -1;
    }
    c->mix_given = true;
    c->workloads[0] = w;
    c->workload_count = 1;
    return 0;
}

static int parse_pipelines(void *config, const char *arg)
{
    struct config *c = config;
    char word[16];
    c->pipeline_count = 0;
    do {
        if (c->pipeline_count == PIPELINES_MAX || take_word(&arg, ',', word, sizeof word) != 0 ||
            opts_count(word, 1, 100000, &c->pipelines[c->pipeline_count]) != 0) {
            return -1;
        }
        c->pipeline_count++;
    } while (*arg != '\0');
    return 0;
}

static int parse_dist(void *config, const char *arg)
{
    struct config *c = config;
    c->dist_text = arg;
    return keys_parse(&c->dist, arg);
}

static int parse_value_size(void *config, const char *arg)
{
    struct config *c = config;
    if (sizes_parse(&c->value_sizes, arg, 0, VALUE_SIZE_MAX) != 0) {
        return -1;
    }
    c->value_size = sizes_mean(&c->value_sizes);
    c->value_size_text = arg;
    return 0;
}

static int parse_key_size(void *config, const char *arg)
{
    struct config *c = config;
    c->key_size_text = arg;
    return sizes_parse(&c->key_sizes, arg, WIRE_KEY_SIZE, KEY_SIZE_MAX) == 0 && c->key_sizes.n == 1 ? 0 : -1;
}

static int parse_arrivals(void *config, const char *arg)
{
    struct config *c = config;
    int arrivals = find_name(pace_names, PACE_COUNT, arg);
    c->arrivals = arrivals < 0 ? c->arrivals : (enum pace_arrivals)arrivals;
    c->arrivals_given = true;
    return arrivals < 0 ? -1 : 0;
}

static int parse_ms(void *config, const char *arg)
{
    struct config *c = config;
    char *end;
    double ms = strtod(arg, &end);
    if (end == arg || *end != '\0' || !(ms > 0 && ms <= 1e6)) {
        return -1;
    }
    c->sweep_limit_ns = (uint64_t)(ms * 1e6);
    return 0;
}

/* One NAME=VALUE, or "serializable", of a transaction. */
static int parse_txn_word(struct load_txn *txn, char *word)
{
    char *value = strchr(word, '=');
    uint64_t n;
    char *end;
    if (value == NULL) {
        txn->serializable = true;
        return strcmp(word, "serializable") == 0 ? 0 : -1;
    }
    *value++ = '\0';
    if (strcmp(word, "conflict") == 0) {
        txn->conflict = strtod(value, &end);
        return end != value && *end == '\0' && txn->conflict >= 0 && txn->conflict <= 1 ? 0 : -1;
    }
    if (opts_count(value, 0, LOAD_TXN_KEYS_MAX, &n) != 0) {
        return -1;
    }
    unsigned *count = strcmp(word, "reads") == 0 ? &txn->reads : strcmp(word, "writes") == 0 ? &txn->writes : NULL;
    if (count == NULL) {
        return -1;
    }
    *count = (unsigned)n;
    return 0;
}

static int parse_txn(void *config, const char *arg)
{
    struct config *c = config;
    c->txn = (struct load_txn){0};
    c->txn_text = arg;
    do {
        char word[32];
        if (take_word(&arg, ',', word, sizeof word) != 0 || parse_txn_word(&c->txn, word) != 0) {
            return -1;
        }
    } while (*arg != '\0');
    c->workloads[0] = (struct workload){.name = "txn"};
    c->workload_count = 1;
    return c->txn.reads + c->txn.writes > 0 ? 0 : -1;
}

#define AT(field) .at = offsetof(struct config, field)

static const struct opt options[] = {
    {"host", 'h', OPT_TEXT, AT(host), .arg = "HOST", .help = "server (127.0.0.1)"},
    {"port", 'p', OPT_COUNT, AT(port), .min = 1, .max = UINT16_MAX, .arg = "PORT", .help = "its port (8888)"},
    {"proto", 0, OPT_CALL, .parse = parse_proto, .arg = "text|resp|memcache", .help = "its protocol (text)"},
    {"server-pid", 0, OPT_COUNT, AT(server_pid), .min = 1, .max = INT32_MAX, .arg = "PID",
     .help = "its process: account its CPU time, memory and system calls; tell client-bound for sure"},
    {"target", 0, OPT_CALL, .parse = parse_target, .arg = "NAME=PROTO:HOST:PORT[,PID]",
     .help = "a server, instead of the above; several are compared"},
    {"clients", 'c', OPT_COUNT, AT(conns), .min = 1, .max = CONNS_MAX, .arg = "N", .help = "connections (50)"},
    {"pipeline", 'P', OPT_CALL, .parse = parse_pipelines, .arg = "N[,N...]",
     .help = "requests a connection sends at once (1), 1 to 100000"},
    {"tests", 't', OPT_CALL, .parse = parse_tests, .arg = "set|get|mix|ping[,...]",
     .help = "what to run, one after the other (set,get)"},
    {"mix", 0, OPT_CALL, .parse = parse_mix, .arg = "get=SHARE,set=SHARE",
     .help = "instead of -t: both at random, in shares that sum to 1"},
    {"requests", 'n', OPT_COUNT, AT(requests), .min = 1, .max = UINT64_C(1000000000000), .arg = "N",
     .help = "stop after N requests"},
    {"duration", 0, OPT_SECONDS, AT(duration_ns), .max = 86400, .arg = "S",
     .help = "stop after S seconds (3, without -n)"},
    {"warmup", 0, OPT_SECONDS, AT(warmup_ns), .max = 3600, .arg = "S",
     .help = "run S seconds first that do not count (0)"},
    {"keys", 'r', OPT_COUNT, AT(keys), .min = 1, .max = KEYS_MAX, .arg = "N", .help = "choose among N keys (100k)"},
    {"data-size", 'd', OPT_CALL, .parse = parse_value_size, .arg = "N|LO-HI|N:SHARE[,...]",
     .help = "bytes of a value: all, any between, or by shares (3)"},
    {"key-size", 0, OPT_CALL, .parse = parse_key_size, .arg = "N|LO-HI",
     .help = "bytes of a key, 16 to 1024; its number decides (16)"},
    {"dist", 0, OPT_CALL, .parse = parse_dist,
     .arg = "uniform|sequential|zipf:THETA|latest|hotset:SHARE_KEYS:SHARE_REQUESTS",
     .help = "which keys; 0 < THETA < 1 (uniform)"},
    {"txn", 0, OPT_CALL, .parse = parse_txn, .arg = "reads=N,writes=N[,conflict=SHARE][,serializable]",
     .help = "instead of -t: transactions; another client disturbs SHARE of them"},
    {"rate", 0, OPT_COUNT, AT(rate), .min = 1, .max = RATE_MAX, .arg = "N",
     .help = "open loop: N requests a second, latency from when they were due"},
    {"arrivals", 0, OPT_CALL, .parse = parse_arrivals, .arg = "poisson|fixed", .help = "of an open loop (poisson)"},
    {"sweep", 0, OPT_FLAG, AT(sweep), .help = "open loop: find the rate at which p99 breaks; each rate tried is a row"},
    {"sweep-limit-ms", 0, OPT_CALL, .parse = parse_ms, .arg = "MS",
     .help = "p99 breaks above MS (10 times what it is at the lowest rate, measured 5 times)"},
    {"watch-stops", 0, OPT_FLAG, AT(watch_stops),
     .help = "open loop: tell the latency without what was delayed while the machine let the server or this not run"},
    {"verify", 0, OPT_FLAG, AT(verify), .help = "check that every value read was written for its key by this run"},
    {"idle", 0, OPT_COUNT, AT(idle), .max = CONNS_MAX, .arg = "N", .help = "further connections that do nothing"},
    {"non-readers", 0, OPT_COUNT, AT(non_readers), .max = CONNS_MAX, .arg = "N",
     .help = "further connections that ask without end and never read"},
    {"preload", 0, OPT_FLAG, AT(preload), .help = "set every key once before measuring"},
    {"repeat", 0, OPT_COUNT, AT(repeat), .min = 1, .max = REPEAT_MAX, .arg = "N",
     .help = "measure N times, the order of the targets reversed each time (1)"},
    {"seed", 0, OPT_COUNT, AT(seed), .max = UINT64_MAX, .arg = "N", .help = "of the random numbers (1)"},
    {"quiet", 'q', OPT_FLAG, AT(quiet), .help = "one line a test: requests per second and median latency"},
    {"csv", 0, OPT_TEXT, AT(csv), .arg = "[=FILE]", .help = "CSV instead of the table, or into FILE beside it"},
    {"json", 0, OPT_TEXT, AT(json), .arg = "[=FILE]", .help = "JSON, alike"},
    {"report", 0, OPT_TEXT, AT(report), .arg = "FILE", .help = "a page of HTML with charts into FILE, besides"},
    {"spawn", 0, OPT_TEXT, AT(spawn), .arg = "COMMAND",
     .help = "start the server by COMMAND first, account its process, end it afterwards"},
};

#define OPTIONS (sizeof options / sizeof *options)

static bool some_targets_share_a_name(const struct config *c)
{
    for (size_t i = 0; i < c->target_count; i++) {
        for (size_t k = 0; k < i; k++) {
            if (strcmp(c->targets[i].name, c->targets[k].name) == 0) {
                return true;
            }
        }
    }
    return false;
}

static bool all_processes_known(const struct config *c)
{
    bool all = true;
    for (size_t i = 0; i < c->target_count; i++) {
        all = all && (c->targets[i].pid != 0 || c->spawn != NULL);
    }
    return all;
}

static bool some_target_speaks(const struct config *c, enum wire_proto proto)
{
    for (size_t i = 0; i < c->target_count; i++) {
        if (c->targets[i].proto == proto) {
            return true;
        }
    }
    return false;
}

/* What does not go together, or is in vain; NULL: nothing. */
static const char *find_clash(const struct config *c)
{
    bool open = c->rate > 0 || c->sweep;
    bool txn = c->txn.reads + c->txn.writes > 0;
    bool memcache = some_target_speaks(c, WIRE_MEMCACHE);
    const struct {
        bool found;
        const char *what;
    } clashes[] = {
        {c->tests_given + c->mix_given + txn > 1, "--tests, --mix, --txn: each says what to run; one of them"},
        {some_targets_share_a_name(c), "--target: two have the same name"},
        {c->csv != NULL && c->json != NULL && *c->csv == '\0' && *c->json == '\0',
         "--csv and --json: only one of them can go to standard output"},
        {c->rate > 0 && c->sweep, "--rate and --sweep: a sweep chooses the rates"},
        {open && (c->pipeline_count > 1 || c->pipelines[0] > 1),
         "--pipeline: an open loop sends every request when it is due"},
        {c->arrivals_given && !open, "--arrivals: only with --rate or --sweep"},
        {c->watch_stops && !open, "--watch-stops: only with --rate or --sweep"},
        {c->watch_stops && !all_processes_known(c),
         "--watch-stops: needs the server's process: --server-pid, --spawn, or a target's PID"},
        {c->sweep_limit_ns > 0 && !c->sweep, "--sweep-limit-ms: only with --sweep"},
        {c->sweep && c->duration_ns == 0, "--sweep: needs a --duration for each rate, not --requests"},
        {c->sweep && c->repeat > REPEAT_MAX / 2, "--repeat: at most 50 with --sweep, which measures some rates twice"},
        {open && txn, "--txn: only in a closed loop, without --rate and --sweep"},
        {txn && memcache, "--txn: memcache has no transactions"},
        {txn && c->txn.reads > 0 && (c->pipeline_count > 1 || c->pipelines[0] > 1),
         "--pipeline: a transaction that reads waits for what it read; only reads=0 can be pipelined"},
        {txn && c->txn.reads == 0 && c->txn.conflict > 0,
         "--txn: without reads nothing can conflict; conflict= needs reads=1 or more"},
        {txn && c->txn.conflict > 0 && !c->txn.serializable && some_target_speaks(c, WIRE_TEXT),
         "--txn: a plain BEGIN conflicts with nothing; conflict= needs serializable, too, on text"},
        {txn && c->key_sizes.parts[0].low < c->key_sizes.parts[0].high,
         "--key-size: with --txn all keys are of one size"},
        {memcache && c->key_sizes.parts[0].high > MEMCACHE_KEY_MAX, "--key-size: memcache takes at most 250 bytes"},
        {c->verify && sizes_min(&c->value_sizes) < VALUES_MIN,
         "--verify: needs values of at least 24 bytes (-d 24), to say whose they are"},
    };
    for (size_t i = 0; i < sizeof clashes / sizeof *clashes; i++) {
        if (clashes[i].found) {
            return clashes[i].what;
        }
    }
    return NULL;
}

/* The options of a single server, where neither --target nor --spawn says something else. */
static const char *settle_targets(struct config *c)
{
    struct target *t = &c->targets[0];
    if (c->spawn != NULL && (c->target_count > 0 || c->server_pid != 0)) {
        return "--spawn: measures the server that it starts, without --target and --server-pid";
    }
    if (c->target_count > 0) {
        bool also_given = c->host != NULL || c->port != 0 || c->proto_given || c->server_pid != 0;
        return also_given ? "--target: takes the place of --host, --port, --proto and --server-pid" : NULL;
    }
    c->target_count = 1;
    *t = (struct target){.name = "server", .proto = c->proto, .pid = (pid_t)c->server_pid};
    const char *host = c->host == NULL ? DEFAULT_HOST : c->host;
    if (strlen(host) >= sizeof t->host) {
        return "--host: too long";
    }
    strcpy(t->host, host);
    snprintf(t->port, sizeof t->port, "%" PRIu16, (uint16_t)(c->port == 0 ? DEFAULT_PORT : c->port));
    return NULL;
}

static const char *settle_duration(struct config *c)
{
    if (c->duration_ns == 0) {
        return "--duration: of no time nothing can be measured";
    }
    if (c->duration_ns == NOT_GIVEN) {
        c->duration_ns = c->requests == 0 ? DEFAULT_DURATION_NS : 0;
    }
    return NULL;
}

/* What can only be checked once every option is known. */
static int settle(struct config *c, char *why, size_t size)
{
    const char *clash = settle_targets(c);
    clash = clash == NULL ? settle_duration(c) : clash;
    clash = clash == NULL ? find_clash(c) : clash;
    if (clash != NULL) {
        snprintf(why, size, "%s", clash);
        return -1;
    }
    return 0;
}

enum opts_result config_parse(struct config *c, int argc, char **argv, char *why, size_t why_size)
{
    *c = (struct config){
        .workloads = {known_workloads[0], known_workloads[1]},
        .workload_count = 2,
        .pipelines = {1},
        .pipeline_count = 1,
        .duration_ns = NOT_GIVEN,
        .conns = 50,
        .keys = 100000,
        .value_sizes = sizes_fixed(DEFAULT_VALUE_SIZE),
        .value_size = DEFAULT_VALUE_SIZE,
        .key_sizes = sizes_fixed(WIRE_KEY_SIZE),
        .seed = 1,
        .repeat = 1,
        .dist_text = "uniform",
        .value_size_text = "3",
        .key_size_text = "16",
        .txn_text = "",
        .proto = WIRE_TEXT,
    };
    enum opts_result result = opts_parse(options, OPTIONS, c, argc, argv, why, why_size);
    return result == OPTS_OK && settle(c, why, why_size) != 0 ? OPTS_BAD : result;
}

void config_print_help(void)
{
    puts(
        "usage: txkv-benchmark [OPTIONS]\n"
        "Measures a key/value server. A connection sends its pipelined requests, waits for all replies, and goes on\n"
        "(closed loop); or requests go out at a rate, however slow the answers (open loop).\n"
        "Every reply is one sample of the latency. Several --target run interleaved (A B, B A, ...) and are compared.\n"
        "The accounted CPU time is exact to the nanosecond and counts all of the server's threads.\n");
    opts_print(options, OPTIONS);
    puts(
        "\nA sweep begins at a tenth of what the closed loop gives and raises the rate by half until p99 is above the "
        "limit\n"
        "or less than 95% of what was due was answered, twice; then it halves the gap four times.\n"
        "Where the machine has other work or --duration is short, one sweep differs much from the next; --repeat takes "
        "medians.\n"
        "A transaction with reads sends BEGIN (RESP: WATCH) and GETs, waits, and sends SETs of the keys read and "
        "COMMIT\n"
        "(RESP: MULTI, SETs, EXEC); a refused one is counted, not retried. On text only BEGIN SERIALIZABLE can be "
        "refused:\n"
        "there conflict= needs the word serializable.\n"
        "For --watch-stops give the server a core of its own, and this another (taskset): of others only is known how\n"
        "long they waited for one. What a stop delayed is left out, but for what is longer than the stop: that is the\n"
        "server's.");
    puts("\nNumbers may end in k, M or G. Exit status: 0; 1 when something failed or an error was answered;\n"
         "2 for a wrong option.");
}
