/* The same random commands to this server and to Redis: the answers must be the same bytes, in RESP2 and in RESP3.
 *
 * Two connections to each server; batches go to the first or the second of both, and are answered before the next. How many
 * commands: TXKV_DIFFERENTIAL, or 200,000; the seed: TXKV_SEED, or 1; TXKV_TRACE shows all that is sent and answered. What
 * differs on purpose is not sent; docs/protocol.md lists it. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "server_fixture.h"
#include "wire.h"

#define COMMANDS_DEFAULT 200000
#define BATCH_MAX 8
#define WORDS_MAX 12

static uint64_t seed = 1;

static size_t pick(size_t below)
{
    seed = seed * 6364136223846793005U + 1442695040888963407U;
    return (size_t)(seed >> 33) % below;
}

/* --- the commands --- */

/* What a command's words are: k a key, v a value, n a number, m a message, z an index of SELECT, o an option of COPY, s options
 * of SET, g of GETEX, l of LCS, f a number with a fraction, e an end and conditions, x an end that has passed, + more of the last
 * two or one; in capitals the subcommands and what follows them: C of CLIENT, F of CONFIG, Q of COMMAND. Ends are far away, or
 * long past, and in absolute time: so no answer depends on when it is given, and TTL and PTTL are not asked. */
static const struct {
    const char *name;
    const char *words;
} commands[] = {
    {"GET", "k"},        {"SET", "kv"},     {"SETNX", "kv"},  {"GETSET", "kv"}, {"GETDEL", "k"},     {"MGET", "k+"},
    {"MSET", "kv+"},     {"MSETNX", "kv+"}, {"APPEND", "kv"}, {"STRLEN", "k"},  {"GETRANGE", "knn"}, {"SUBSTR", "knn"},
    {"SETRANGE", "knv"}, {"INCR", "k"},     {"DECR", "k"},    {"INCRBY", "kn"}, {"DECRBY", "kn"},    {"DEL", "k+"},
    {"UNLINK", "k+"},    {"EXISTS", "k+"},  {"TOUCH", "k+"},  {"TYPE", "k"},    {"DBSIZE", ""},      {"RENAME", "kk"},
    {"RENAMENX", "kk"},  {"COPY", "kko"},   {"PING", ""},     {"PING", "m"},    {"ECHO", "m"},       {"SELECT", "z"},
    {"MULTI", ""},       {"EXEC", ""},      {"EXEC", ""},     {"DISCARD", ""},  {"WATCH", "k+"},     {"UNWATCH", ""},
    {"GET", "k"},        {"SET", "kv"},     {"INCR", "k"},    {"NOSUCH", "m"},  {"FLUSHALL", ""},
    {"SET", "kvs"},      {"SET", "kvs"},    {"GETEX", "kg"},  {"INCRBYFLOAT", "kf"},                 {"LCS", "kkl"},
    {"EXPIREAT", "ke"},  {"PEXPIREAT", "ke"},                 {"EXPIRE", "kx"}, {"PEXPIRE", "kx"},   {"PERSIST", "k"},
    {"EXPIRETIME", "k"}, {"PEXPIRETIME", "k"},                {"SETEX", "kxv"}, {"PSETEX", "kxv"},
    {"FLUSHDB", ""},     {"CLIENT", "C"},   {"CONFIG", "F"},  {"COMMAND", "Q"},
};

#define COMMANDS (sizeof(commands) / sizeof(commands[0]))
#define COMMANDS_ALONE (COMMANDS - 3) /* the last ones have subcommands */

struct words {
    char bytes[WORDS_MAX][64];
    size_t len[WORDS_MAX];
    size_t count;
};

static void make_words(struct words *w, size_t which);

static void add_word(struct words *w, const char *bytes, size_t len)
{
    if (w->count < WORDS_MAX) {
        memcpy(w->bytes[w->count], bytes, len);
        w->len[w->count++] = len;
    }
}

static void add_number(struct words *w)
{
    static const char *const odd[] = {"9223372036854775807",
                                      "-9223372036854775808",
                                      "-1",
                                      "01",
                                      "+1",
                                      "1.5",
                                      "",
                                      " 1",
                                      "x",
                                      "9223372036854775808",
                                      "-0"};
    char text[32];
    if (pick(4) == 0) {
        const char *number = odd[pick(sizeof(odd) / sizeof(odd[0]))];
        add_word(w, number, strlen(number));
    } else {
        add_word(w, text, (size_t)snprintf(text, sizeof(text), "%d", (int)pick(30) - 10));
    }
}

static void add_value(struct words *w)
{
    char bytes[40];
    size_t len = pick(sizeof(bytes));
    if (pick(3) == 0) {
        add_number(w);
        return;
    }
    for (size_t i = 0; i < len; i++) {
        bytes[i] = (char)pick(256);
    }
    add_word(w, bytes, len);
}

/* SETRANGE fills up to its offset; a large one is another limit here. */
static void add_offset(struct words *w)
{
    char text[16];
    add_word(w, text, (size_t)snprintf(text, sizeof(text), "%d", (int)pick(60) - 3));
}

static void add_key(struct words *w)
{
    static const char *const keys[] = {"a", "b", "c", "d", "key\r\n", " ", "\xff\x01", "a long key with words in it", ""};
    const char *key = keys[pick(sizeof(keys) / sizeof(keys[0]))];
    add_word(w, key, strlen(key));
}

static void add_option(struct words *w)
{
    static const char *const options[] = {"REPLACE", "replace", "DB", "NX"};
    for (size_t i = pick(3); i > 0; i--) {
        const char *option = options[pick(4)];
        add_word(w, option, strlen(option));
        if (strcmp(option, "DB") == 0) {
            add_word(w, "0", pick(5) > 0);
        }
    }
}

/* An end that is far away, in seconds and in milliseconds; or no number. */
static void add_end(struct words *w)
{
    char text[32];
    if (pick(8) == 0) {
        static const char *const odd[] = {"", "x", "0", "-1", "9223372036854775807", "1.5"};
        const char *number = odd[pick(sizeof(odd) / sizeof(odd[0]))];
        add_word(w, number, strlen(number));
    } else {
        add_word(w, text, (size_t)snprintf(text, sizeof(text), "%lld", 4102444800000LL + (long long)pick(3)));
    }
}

static void add_words_of(struct words *w, const char *const *names, size_t count, size_t most)
{
    for (size_t i = pick(most + 1); i > 0; i--) {
        const char *name = names[pick(count)];
        add_word(w, name, strlen(name));
    }
}

/* An end that has passed where it is one, and is refused where ends must not have passed. */
static void add_past(struct words *w)
{
    static const char *const ends[] = {"0", "-1", "-100", "x", "", "9223372036854775807", "-9223372036854775808", "1.5"};
    const char *end = ends[pick(sizeof(ends) / sizeof(ends[0]))];
    add_word(w, end, strlen(end));
}

static void add_fraction(struct words *w)
{
    static const char *const numbers[] = {"0.1", "-2.5", "1e3", "3.0", "1e400", "x", " 1", "", "inf", "nan", "0x10", "-0", "1e-20"};
    const char *number = numbers[pick(sizeof(numbers) / sizeof(numbers[0]))];
    add_word(w, number, strlen(number));
}

static void add_value_options(struct words *w, bool of_set)
{
    static const char *const set[] = {"NX", "XX", "GET", "get", "KEEPTTL", "PERSIST", "NOSUCH"};
    static const char *const getex[] = {"PERSIST", "persist", "NX"};
    if (pick(2) == 0) {
        add_word(w, pick(8) == 0 ? "EXAT" : "PXAT", 4);
        add_end(w);
    }
    add_words_of(w, of_set ? set : getex, of_set ? 7 : 3, of_set ? 2 : 1);
}

static void add_time_or_more(struct words *w, char kind)
{
    static const char *const conditions[] = {"NX", "XX", "GT", "LT", "gt", "QQ"};
    static const char *const lcs[] = {"LEN", "IDX", "idx", "WITHMATCHLEN", "MINMATCHLEN", "2"};
    switch (kind) {
    case 'e':
        add_end(w);
        add_words_of(w, conditions, 6, 2);
        break;
    case 'x':
        add_past(w);
        break;
    case 'f':
        add_fraction(w);
        break;
    case 'l':
        add_words_of(w, lcs, 6, 4);
        break;
    default:
        add_value_options(w, kind == 's');
        break;
    }
}

static void add_subcommand(struct words *w, char kind)
{
    static const char *const options[] = {"appendonly", "APPENDONLY", "save", "nosuch"};
    if (kind == 'F') {
        add_word(w, "GET", 3);
        const char *option = options[pick(sizeof(options) / sizeof(options[0]))];
        add_word(w, option, strlen(option));
    } else if (kind == 'Q') {
        add_word(w, "GETKEYS", 7);
        size_t which = pick(COMMANDS_ALONE);
        while (commands[which].words[0] != 'k') { /* GETKEYS wants a word behind the command */
            which = pick(COMMANDS_ALONE);
        }
        make_words(w, which);
    } else if (pick(2) == 0) {
        add_word(w, "GETNAME", 7);
    } else {
        add_word(w, "SETNAME", 7);
        add_value(w);
    }
}

static void add_argument(struct words *w, char kind, bool offset)
{
    switch (kind) {
    case 'C':
    case 'F':
    case 'Q':
        add_subcommand(w, kind);
        break;
    case 'k':
        add_key(w);
        break;
    case 'n':
        (offset ? add_offset : add_number)(w);
        break;
    case 'o':
        add_option(w);
        break;
    case 'z':
        add_word(w, pick(4) == 0 ? "x" : "0", 1);
        break;
    case 'm':
    case 'v':
        add_value(w);
        break;
    default:
        add_time_or_more(w, kind);
        break;
    }
}

/* Appends a command and its words. */
static void make_words(struct words *w, size_t which)
{
    const char *kinds = commands[which].words;
    bool offset = strcmp(commands[which].name, "SETRANGE") == 0;
    size_t first = w->count;
    add_word(w, commands[which].name, strlen(commands[which].name));
    if (pick(8) == 0) {
        w->bytes[first][0] = (char)(w->bytes[first][0] | 0x20);
    }
    for (const char *kind = kinds; *kind != '\0'; kind++) {
        if (*kind == '+') {
            for (size_t more = pick(4); more > 0; more--) {
                for (const char *again = kinds; again != kind; again++) {
                    add_argument(w, *again, offset);
                }
            }
        } else {
            add_argument(w, *kind, offset);
        }
    }
    if (which < COMMANDS_ALONE && pick(40) == 0) { /* too few, or too many; a subcommand's are refused by EXEC, not when queued */
        w->count = first == 0 && w->count > 1 && pick(2) == 0 ? w->count - 1 : w->count;
        if (pick(2) == 0 && *kinds != 'm') { /* PING takes any number in Redis until it runs */
            add_word(w, "x", 1);
        }
    }
}

static void put_words(struct text *to, const struct words *w)
{
    text_addf(to, "*%zu\r\n", w->count);
    for (size_t i = 0; i < w->count; i++) {
        text_addf(to, "$%zu\r\n", w->len[i]);
        text_add(to, w->bytes[i], w->len[i]);
        text_addf(to, "\r\n");
    }
}

/* --- answers --- */

/* The number of an answer's first line, which ends at lf. What has come is not ended by NUL, which strtol would want. */
static long number_in(const char *at, const char *lf)
{
    char text[24];
    size_t len = (size_t)(lf - at) - 1;
    len = len < sizeof(text) - 1 ? len : sizeof(text) - 1; /* longer ones are no numbers */
    memcpy(text, at + 1, len);
    text[len] = '\0';
    return strtol(text, NULL, 10);
}

/* What follows the answer at `at`, or NULL where it has not come whole. */
static const char *behind(const char *at, const char *end)
{
    const char *lf = at < end ? memchr(at, '\n', (size_t)(end - at)) : NULL;
    if (lf == NULL) {
        return NULL;
    }
    long number = number_in(at, lf);
    const char *next = lf + 1;
    if (*at == '$' && number >= 0) {
        return end - next < number + 2 ? NULL : next + number + 2;
    }
    long parts = *at == '*' ? number : *at == '%' ? 2 * number : 0; /* of a map: keys and values */
    for (long i = 0; i < parts && next != NULL; i++) {
        next = behind(next, end);
    }
    return next;
}

/* Waits for so many answers; their bytes. */
static size_t wait_for(struct client *c, size_t answers)
{
    for (;;) {
        const char *start = c->in.data == NULL ? "" : c->in.data + c->taken;
        const char *end = c->in.data == NULL ? start : c->in.data + c->in.len;
        const char *at = start;
        size_t count = 0;
        for (const char *next; count < answers && (next = behind(at, end)) != NULL; count++) {
            at = next;
        }
        if (count == answers) {
            return (size_t)(at - start);
        }
        CHECK(client_receive(c, 65536, WIRE_TIMEOUT_MS), "the server has closed after %zu of %zu answers", count,
              answers);
    }
}

static void show(const char *title, const char *bytes, size_t len)
{
    printf("%s: ", title);
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)bytes[i];
        if (c >= ' ' && c <= '~') {
            putchar(c);
        } else {
            printf(c == '\r' ? "\\r" : c == '\n' ? "\\n" : "\\x%02x", c);
        }
    }
    putchar('\n');
}

static void take(struct client *c, size_t len)
{
    c->taken += len;
    if (c->taken == c->in.len) {
        c->taken = 0;
        c->in.len = 0;
    }
}

/* Sends a batch to both, and compares what they answer. */
static void compare(struct client *ours, struct client *theirs, const struct text *batch, size_t answers)
{
    if (getenv("TXKV_TRACE")) show("sent", batch->data, batch->len);
    client_send(ours, batch->data, batch->len);
    client_send(theirs, batch->data, batch->len);
    size_t our_len = wait_for(ours, answers);
    size_t their_len = wait_for(theirs, answers);
    const char *our_bytes = ours->in.data + ours->taken;
    const char *their_bytes = theirs->in.data + theirs->taken;
    if (getenv("TXKV_TRACE")) show("got", our_bytes, our_len);
    if (our_len != their_len || memcmp(our_bytes, their_bytes, our_len) != 0) {
        show("sent", batch->data, batch->len);
        show("txkv", our_bytes, our_len);
        show("Redis", their_bytes, their_len);
        CHECK(false, "the answers differ");
    }
    take(ours, our_len);
    take(theirs, their_len);
}

/* --- Redis --- */

static pid_t start_redis(void)
{
    if (system("command -v redis-server >/dev/null") != 0) {
        check_skip("redis-server is not installed (package redis-server)");
    }
    (void)check_directory();
    pid_t pid = fork();
    CHECK(pid >= 0, "fork");
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        execlp("redis-server", "redis-server", "--port", "0", "--unixsocket", check_path("redis"), "--save", "",
               "--dir", check_directory(), "--logfile", check_path("redis.log"), (char *)NULL);
        _exit(127);
    }
    return pid;
}

static bool redis_answers(void *arg)
{
    struct client c;
    (void)arg;
    if (client_open_unix(&c, check_path("redis")) != 0) {
        return false;
    }
    client_close(&c);
    return true;
}

static size_t number_from(const char *variable, size_t otherwise)
{
    const char *text = getenv(variable);
    return text == NULL ? otherwise : strtoul(text, NULL, 10);
}

/* What the connections are in, as far as it matters for what is sent. */
struct state {
    bool watches[2];
    bool queues[2];
};

static bool is(size_t which, const char *name)
{
    return strcmp(commands[which].name, name) == 0;
}

static bool removes_keys(size_t which)
{
    return is(which, "DEL") || is(which, "UNLINK") || is(which, "GETDEL") || is(which, "RENAME") ||
           is(which, "RENAMENX");
}

/* A command for this connection. Redis takes a key for changed that one EXEC makes and removes again; FLUSHALL changes absent
 * keys only here: neither is sent while a key may be watched. */
static size_t pick_command(struct state *state, size_t who)
{
    size_t which = pick(COMMANDS);
    bool watched = state->watches[0] || state->watches[1];
    bool flushes = is(which, "FLUSHALL") || is(which, "FLUSHDB");
    if ((watched && flushes) || (watched && state->queues[who] && removes_keys(which)) ||
        (is(which, "WATCH") && state->queues[1 - who])) {
        return 0;
    }
    state->watches[who] = state->watches[who] || is(which, "WATCH");
    state->queues[who] = is(which, "MULTI") || (state->queues[who] && !is(which, "EXEC") && !is(which, "DISCARD"));
    return which;
}

/* Chooses RESP 2 or 3 for both. What HELLO answers is not compared: an ID is in it. */
static void choose_protocol(struct client *ours, struct client *theirs)
{
    const char *hello = pick(2) == 0 ? "*2\r\n$5\r\nHELLO\r\n$1\r\n2\r\n" : "*2\r\n$5\r\nHELLO\r\n$1\r\n3\r\n";
    client_send(ours, hello, strlen(hello));
    client_send(theirs, hello, strlen(hello));
    take(ours, wait_for(ours, 1));
    take(theirs, wait_for(theirs, 1));
}

static void same_answers(void)
{
    struct server s;
    struct client ours[2], theirs[2];
    struct state state = {{false, false}, {false, false}};
    size_t left = number_from("TXKV_DIFFERENTIAL", COMMANDS_DEFAULT);
    seed = number_from("TXKV_SEED", 1);
    pid_t redis = start_redis();
    server_start(&s, "--unix", check_path("txkv"), NULL);
    check_until(redis_answers, NULL, WIRE_TIMEOUT_MS, "Redis's socket");
    for (int i = 0; i < 2; i++) {
        CHECK(client_open_unix(&ours[i], check_path("txkv")) == 0, "no connection to txkv");
        CHECK(client_open_unix(&theirs[i], check_path("redis")) == 0, "no connection to Redis");
        choose_protocol(&ours[i], &theirs[i]);
    }
    for (size_t sent = 0; sent < left;) {
        struct text batch = {0};
        size_t who = pick(2);
        size_t count = 1 + pick(BATCH_MAX);
        for (size_t i = 0; i < count; i++) {
            struct words w = {.count = 0};
            make_words(&w, pick_command(&state, who));
            put_words(&batch, &w);
        }
        compare(&ours[who], &theirs[who], &batch, count);
        sent += count;
        text_free(&batch);
        if (pick(50) == 0) { /* so that there are times when nobody watches */
            struct text end = {0};
            text_addf(&end, "*1\r\n$5\r\nRESET\r\n");
            compare(&ours[who], &theirs[who], &end, 1);
            text_free(&end);
            choose_protocol(&ours[who], &theirs[who]);
            state.watches[who] = state.queues[who] = false;
        }
    }
    printf("    %zu commands\n", left);
    for (int i = 0; i < 2; i++) {
        client_close(&ours[i]);
        client_close(&theirs[i]);
    }
    kill(redis, SIGKILL);
    waitpid(redis, NULL, 0);
    server_stop(&s);
}

/* --- which keys there are: the same ones, in whatever order --- */

#define PATTERNS 4000
#define LINES_MAX 512

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Takes an answer and puts its lines in order; none of them holds a line end. */
static void take_sorted(struct client *c, struct text *sorted)
{
    char *lines[LINES_MAX];
    size_t count = 0;
    size_t len = wait_for(c, 1);
    char *answer = malloc(len + 1);
    CHECK(answer != NULL, "no memory");
    memcpy(answer, c->in.data + c->taken, len); /* what has come is not ended by NUL, which strndup looks for */
    answer[len] = '\0';
    for (char *line = strtok(answer, "\r\n"); line != NULL; line = strtok(NULL, "\r\n")) {
        CHECK(count < LINES_MAX, "an answer of so many lines");
        lines[count++] = line;
    }
    qsort(lines, count, sizeof(lines[0]), by_text);
    for (size_t i = 0; i < count; i++) {
        text_addf(sorted, "%s\n", lines[i]);
    }
    free(answer);
    take(c, len);
}

static void compare_sorted(struct client *ours, struct client *theirs, const struct words *w)
{
    struct text batch = {0}, our_lines = {0}, their_lines = {0};
    put_words(&batch, w);
    client_send(ours, batch.data, batch.len);
    client_send(theirs, batch.data, batch.len);
    take_sorted(ours, &our_lines);
    take_sorted(theirs, &their_lines);
    if (our_lines.len != their_lines.len || memcmp(our_lines.data, their_lines.data, our_lines.len) != 0) {
        show("sent", batch.data, batch.len);
        show("txkv", our_lines.data, our_lines.len);
        show("Redis", their_lines.data, their_lines.len);
        CHECK(false, "the keys differ");
    }
    text_free(&batch);
    text_free(&our_lines);
    text_free(&their_lines);
}

static void add_random(struct words *w, size_t len_min, const char *alphabet)
{
    char text[8];
    size_t len = len_min + pick(sizeof(text) - len_min);
    for (size_t i = 0; i < len; i++) {
        text[i] = alphabet[pick(strlen(alphabet))];
    }
    add_word(w, text, len);
}

static void add_text(struct words *w, const char *text)
{
    add_word(w, text, strlen(text));
}

/* A key comes, or one goes, or it is asked which there are. COUNT is for all of them: how far one call goes otherwise differs. */
static void make_question(struct words *w)
{
    size_t kind = pick(8);
    w->count = 0;
    if (kind < 3) {
        add_text(w, kind < 2 ? "SET" : "DEL");
        add_random(w, 1, "ab]-^\\[*");
        if (kind < 2) {
            add_text(w, "v");
        }
    } else if (kind < 6) {
        add_text(w, "KEYS");
        add_random(w, 0, "ab*?[]^-\\");
    } else {
        static const char *const types[] = {"string", "STRING", "hash"};
        add_text(w, "SCAN");
        add_text(w, "0");
        add_text(w, "COUNT");
        add_text(w, "1000");
        add_text(w, kind == 6 ? "MATCH" : "TYPE");
        if (kind == 6) {
            add_random(w, 0, "ab*?[]^-\\");
        } else {
            add_text(w, types[pick(3)]);
        }
    }
}

static void compare_words(struct client *ours, struct client *theirs, const char *name, const char *key, const char *value)
{
    struct words w = {.count = 0};
    add_text(&w, name);
    if (key != NULL) {
        add_text(&w, key);
        add_text(&w, value);
    }
    compare_sorted(ours, theirs, &w);
}

/* Removes all keys: RANDOMKEY has one answer where there is none, or one. */
static void ask_random_key(struct client *ours, struct client *theirs)
{
    compare_words(ours, theirs, "FLUSHALL", NULL, NULL);
    compare_words(ours, theirs, "RANDOMKEY", NULL, NULL);
    compare_words(ours, theirs, "SET", "ab", "v");
    compare_words(ours, theirs, "RANDOMKEY", NULL, NULL);
}

static void same_keys(void)
{
    struct server s;
    struct client ours, theirs;
    seed = number_from("TXKV_SEED", 1);
    pid_t redis = start_redis();
    server_start(&s, "--unix", check_path("txkv"), NULL);
    check_until(redis_answers, NULL, WIRE_TIMEOUT_MS, "Redis's socket");
    CHECK(client_open_unix(&ours, check_path("txkv")) == 0, "no connection to txkv");
    CHECK(client_open_unix(&theirs, check_path("redis")) == 0, "no connection to Redis");
    for (size_t i = 0; i < PATTERNS; i++) {
        struct words w;
        make_question(&w);
        compare_sorted(&ours, &theirs, &w);
        if (i % 400 == 399) { /* few enough for one call of SCAN */
            ask_random_key(&ours, &theirs);
        }
    }
    client_close(&ours);
    client_close(&theirs);
    kill(redis, SIGKILL);
    waitpid(redis, NULL, 0);
    server_stop(&s);
}

static const struct check checks[] = {
    {"the same answers", same_answers},
    {"the same keys", same_keys},
};

CHECK_MAIN(checks)
