#include "workload.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define ANSWER_MS_MAX 20000
#define MARKER_POLLS_MAX 20000
#define COMMAND_MAX 1024
#define VALUE_TEXT_MAX 160

__attribute__((format(printf, 2, 3))) static void fail(struct workload *w, const char *format, ...)
{
    if (w->broken) {
        return;
    }
    va_list args;
    va_start(args, format);
    vsnprintf(w->broken_text, sizeof(w->broken_text), format, args);
    va_end(args);
    w->broken = w->broken_text;
}

/* --- what goes over the wire --- */

/* Lengths vary, so that values are overwritten by shorter and by longer ones. */
static int value_text(char *text, uint32_t value)
{
    static const char padding[] =
        "................................................................................................";
    int pad = value % 4 == 0 ? (int)(value / 4 % (sizeof(padding) - 1)) : 0;
    return snprintf(text, VALUE_TEXT_MAX, "v%" PRIu32 "%.*s", value, pad, padding);
}

static uint32_t value_parse(const char *line)
{
    char expected[VALUE_TEXT_MAX];
    if (line[0] == '\0') {
        return VALUE_ABSENT;
    }
    if (line[0] != 'v') {
        return VALUE_FOREIGN;
    }
    uint32_t value = (uint32_t)strtoul(line + 1, NULL, 10);
    value_text(expected, value);
    return value != VALUE_ABSENT && strcmp(line, expected) == 0 ? value : VALUE_FOREIGN;
}

static int begin_command(const struct client *c, char *out)
{
    enum tx_mode mode = c->script.mode;
    int len = sprintf(out, "BEGIN%s", mode == TX_SERIALIZABLE ? " SERIALIZABLE" : mode == TX_READONLY ? " READONLY" : "");
    if (c->script.named) {
        len += sprintf(out + len, " ID t%" PRIu32, c->token);
    }
    return len + sprintf(out + len, "\r\n");
}

/* Adds to the transaction what a writing step will do, and returns the length of its command. */
static int write_command(struct workload *w, struct client *c, const struct step *step, char *out)
{
    char text[VALUE_TEXT_MAX];
    uint32_t value = VALUE_ABSENT;
    if (step->kind == STEP_WRITE) {
        value = w->value_next++;
    } else if (step->kind == STEP_WRITE_BACK) {
        value = c->seen[step->key];
    }
    if (step->key == c->mix.marker_key) {
        c->marker = value;
    }
    if (step->kind == STEP_FLUSH) {
        builder_op(&c->build, OP_FLUSH, 0, 0);
        return sprintf(out, "FLUSH\r\n");
    }
    if (value == VALUE_ABSENT) {
        builder_op(&c->build, OP_DELETE, step->key, 0);
        return sprintf(out, "DEL k%d\r\n", step->key);
    }
    value_text(text, value);
    builder_op(&c->build, OP_WRITE, step->key, value);
    return sprintf(out, "SET k%d %s\r\n", step->key, text);
}

static int read_command(const struct client *c, const struct step *step, char *out)
{
    if (step->kind == STEP_COUNT) {
        return sprintf(out, "DBSIZE\r\n");
    }
    if (step->kind == STEP_EXISTS) {
        return sprintf(out, "EXISTS k%d\r\n", step->key);
    }
    if (step->kind == STEP_READ) {
        return sprintf(out, "GET k%d\r\n", step->key);
    }
    int len = sprintf(out, "MGET");
    for (uint32_t i = 0; i < step->count; i++) {
        len += sprintf(out + len, " k%d", (int)((step->key + i) % c->mix.keys));
    }
    return len + sprintf(out + len, "\r\n");
}

static bool is_read(enum step_kind kind)
{
    return kind >= STEP_READ && kind <= STEP_COUNT;
}

static bool is_write(enum step_kind kind)
{
    return kind >= STEP_WRITE && kind <= STEP_FLUSH;
}

static bool is_commit(enum step_kind kind)
{
    return kind >= STEP_COMMIT && kind <= STEP_COMMIT_UNHEARD;
}

/* Writes the command of a step, with the question for its number behind it where there is one; sets lines_wanted. */
static int step_command(struct workload *w, struct client *c, const struct step *step, char *out)
{
    int len;
    c->lines_wanted = step->kind == STEP_MGET ? step->count : 1;
    if (step->kind == STEP_BEGIN) {
        len = begin_command(c, out);
    } else if (is_read(step->kind)) {
        len = read_command(c, step, out);
    } else if (is_write(step->kind)) {
        len = write_command(w, c, step, out);
    } else if (step->kind == STEP_ERROR) {
        len = sprintf(out, "GET\r\n");
    } else {
        len = sprintf(out, step->kind == STEP_ROLLBACK ? "ROLLBACK\r\n" : "COMMIT\r\n");
    }
    bool numbers = is_commit(step->kind) || (c->script.mode == TX_AUTO && is_write(step->kind));
    if (w->numbered && (numbers || step->kind == STEP_BEGIN)) {
        len += sprintf(out + len, numbers ? "LASTSEQ\r\n" : "SNAPSHOT\r\n");
        c->lines_wanted++;
    }
    return len;
}

/* --- connections --- */

static void client_lost(struct workload *w, struct client *c);

static void client_connect(struct workload *w, struct client *c)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(w->port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    c->state = CLIENT_READY;
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->fd < 0 || connect(c->fd, (const struct sockaddr *)&address, sizeof(address)) != 0) {
        if (w->mortal && c->fd >= 0) {
            client_lost(w, c);
        } else {
            fail(w, "connect: %s", strerror(errno));
        }
        return;
    }
    int on = 1;
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    fcntl(c->fd, F_SETFL, O_NONBLOCK);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    epoll_ctl(w->epoll, EPOLL_CTL_ADD, c->fd, &event);
    c->last_seq = 0;
    c->in_len = 0;
}

static void client_reconnect(struct workload *w, struct client *c, bool reset)
{
    struct linger linger = {.l_onoff = 1, .l_linger = 0};
    if (reset) {
        setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
    }
    close(c->fd);
    client_connect(w, c);
}

/* --- steps --- */

static void script_done(struct workload *w, struct client *c)
{
    w->flushing -= c->script.flushes;
    w->unheard -= c->script.unheard;
    c->script.count = 0;
}

static void step_done(struct workload *w, struct client *c)
{
    if (++c->at == c->script.count) {
        script_done(w, c);
    }
}

static void tx_done(struct workload *w, struct tx_builder *b, enum tx_outcome outcome)
{
    b->tx.outcome = (uint8_t)outcome;
    b->tx.end_answered = w->clock;
    if (b->tx.mode == TX_AUTO) {
        b->tx.begin_answered = b->tx.end_answered;
        b->tx.end_sent = b->tx.begin_sent;
        w->outside++;
    }
    if (!w->numbered) {
        b->tx.seq = SEQ_UNKNOWN;
    } else if (outcome != TX_COMMITTED) {
        b->tx.seq = 0;
    }
    if (b->tx.seq != SEQ_UNKNOWN && b->tx.seq > w->newest_seq) {
        w->newest_seq = b->tx.seq;
    }
    history_append(&w->history, b);
}

/* What its server's end makes of the transaction that it is in. */
static void tx_lost(struct workload *w, struct client *c)
{
    const struct step *step = &c->script.steps[c->at];
    bool began = c->build.tx.begin_answered != 0;
    if (c->script.mode == TX_AUTO || !began || c->state == CLIENT_CLOSING) {
        return; /* nothing is known of it; or all is, and it is in the history */
    }
    if (c->state == CLIENT_WAITING && is_commit(step->kind) && c->marker != VALUE_ABSENT) {
        c->open = true;
        c->heard_ok = c->in_len >= 4 && memcmp(c->in, "OK\r\n", 4) == 0;
        c->unheard = c->build;
        w->opened++;
        return;
    }
    if (c->build.tx.end_sent == 0) {
        c->build.tx.end_sent = w->clock;
    }
    tx_done(w, &c->build, TX_ABORTED);
}

static void client_lost(struct workload *w, struct client *c)
{
    w->clock++;
    if (c->script.count > 0 && !c->open) {
        tx_lost(w, c);
    }
    if (c->script.count > 0) {
        script_done(w, c);
    }
    w->in_flight -= c->state == CLIENT_WAITING || c->state == CLIENT_CLOSING;
    close(c->fd);
    c->fd = -1;
    c->in_len = 0;
    c->state = CLIENT_LOST;
}

static void take_token(struct workload *w, struct client *c)
{
    c->token = c->token_again ? c->token : ++w->token_next;
    c->token_again = false;
    c->token_done = false;
}

static bool script_next(struct workload *w, struct client *c)
{
    if (w->started >= w->target) {
        return false;
    }
    do {
        script_make(&c->script, &c->mix, &w->rng);
    } while ((c->script.flushes && w->unheard) || (c->script.unheard && (w->flushing || w->unheard)));
    w->flushing += c->script.flushes;
    w->unheard += c->script.unheard;
    w->started += c->script.mode != TX_AUTO;
    if (c->script.named) {
        take_token(w, c);
    }
    c->at = 0;
    c->failed = false;
    c->marker = VALUE_ABSENT;
    return true;
}

static void client_write(struct workload *w, struct client *c, const char *command, int len)
{
    c->state = CLIENT_WAITING;
    w->in_flight++;
    if (send(c->fd, command, (size_t)len, MSG_NOSIGNAL) == len) {
        return;
    }
    if (w->mortal) {
        client_lost(w, c);
    } else {
        fail(w, "send: %s", strerror(errno));
    }
}

/* Asks for the marker, as a command outside a transaction that goes into the history like any other. */
static void marker_poll(struct workload *w, struct client *c)
{
    char command[COMMAND_MAX];
    builder_start(&c->build, c->id, TX_AUTO, w->clock);
    c->lines_wanted = 1;
    client_write(w, c, command, sprintf(command, "GET k%d\r\n", (int)c->mix.marker_key));
}

/* What became of the COMMIT that was left open. */
static void ask_open(struct workload *w, struct client *c)
{
    char command[COMMAND_MAX];
    int len = c->script.named ? sprintf(command, "OUTCOME t%" PRIu32 "\r\n", c->token) : 0;
    builder_start(&c->build, c->id, TX_AUTO, w->clock);
    c->lines_wanted = c->script.named ? 2 : 1;
    client_write(w, c, command, len + sprintf(command + len, "GET k%d\r\n", (int)c->mix.marker_key));
}

/* What this server knows of the last transaction with an ID; if that has committed, it is sent again as well. */
static void ask_again(struct workload *w, struct client *c)
{
    char command[COMMAND_MAX];
    char value[VALUE_TEXT_MAX];
    int len = sprintf(command, "OUTCOME t%" PRIu32 "\r\n", c->token);
    c->lines_wanted = 1;
    if (c->token_done) {
        value_text(value, w->value_next++);
        len += sprintf(command + len, "BEGIN ID t%" PRIu32 "\r\nSET k%d %s\r\nCOMMIT\r\n", c->token, (int)c->mix.marker_key, value);
        c->lines_wanted += 3;
    }
    client_write(w, c, command, len);
}

static void send_unheard(struct workload *w, struct client *c)
{
    static const char commit[] = "COMMIT\r\n";
    if (send(c->fd, commit, sizeof(commit) - 1, MSG_NOSIGNAL) != sizeof(commit) - 1) {
        fail(w, "send: %s", strerror(errno));
    }
    client_reconnect(w, c, false);
    c->unheard = c->build;
    c->marker_polls = 0;
    marker_poll(w, c);
}

static void send_step(struct workload *w, struct client *c)
{
    const struct step *step = &c->script.steps[c->at];
    char command[COMMAND_MAX];
    w->clock++;
    if (step->kind == STEP_BEGIN || c->script.mode == TX_AUTO) {
        builder_start(&c->build, c->id, c->script.mode, w->clock);
    }
    if (step->kind >= STEP_COMMIT) {
        c->build.tx.end_sent = w->clock;
    }
    switch (step->kind) {
    case STEP_IDLE:
        c->idle_until = w->answers + step->count;
        step_done(w, c);
        return;
    case STEP_DROP:
        tx_done(w, &c->build, TX_ABORTED);
        step_done(w, c);
        client_reconnect(w, c, rng_chance(&w->rng, 50));
        return;
    case STEP_COMMIT_UNHEARD:
        send_unheard(w, c);
        return;
    default:
        client_write(w, c, command, step_command(w, c, step, command));
    }
    if (c->state == CLIENT_LOST) {
        return;
    }
    if (step->kind == STEP_COMMIT_HALF_CLOSE) {
        shutdown(c->fd, SHUT_WR);
    }
    c->failed |= step->kind == STEP_ERROR;
}

/* --- answers --- */

static bool expect(struct workload *w, const struct client *c, const char *line, const char *expected)
{
    if (strncmp(line, expected, strlen(expected)) == 0) {
        return true;
    }
    fail(w, "session %" PRIu32 ", step %zu: expected '%s', got '%.80s'", c->id, c->at, expected, line);
    return false;
}

static uint64_t number_parse(struct workload *w, const char *line)
{
    char *end;
    uint64_t n = strtoull(line, &end, 10);
    if (end == line || *end != '\0') {
        fail(w, "expected a number, got '%.80s'", line);
    }
    return n;
}

/* The same of a commit. */
static uint64_t seq_parse(struct workload *w, const char *line)
{
    uint64_t n = number_parse(w, line);
    return n > w->seq_base ? n - w->seq_base : 0;
}

/* The number of the commit just answered, 0 if it changed nothing. */
static uint64_t seq_take(struct workload *w, struct client *c, const char *line)
{
    uint64_t seq = w->numbered ? seq_parse(w, line) : 0;
    if (seq == c->last_seq) {
        return 0;
    }
    c->last_seq = seq;
    return seq;
}

static void take_read(struct workload *w, struct client *c, const struct step *step, char **lines)
{
    if (strncmp(lines[0], "ERR ", 4) == 0) {
        fail(w, "a read was answered '%.80s'", lines[0]);
    }
    if (step->kind == STEP_COUNT) {
        builder_op(&c->build, OP_COUNT, 0, (uint32_t)number_parse(w, lines[0]));
    } else if (step->kind == STEP_EXISTS) {
        builder_op(&c->build, OP_EXISTS, step->key, (uint32_t)number_parse(w, lines[0]));
    } else {
        for (uint32_t i = 0; i < c->lines_wanted; i++) {
            uint32_t key = (step->key + i) % c->mix.keys, value = value_parse(lines[i]);
            c->seen[key] = value == VALUE_FOREIGN ? VALUE_ABSENT : value;
            builder_op(&c->build, OP_READ, key, value);
        }
    }
}

static void take_commit(struct workload *w, struct client *c, char **lines)
{
    struct tx_builder *b = &c->build;
    b->tx.seq = seq_take(w, c, lines[1]);
    if (c->failed) {
        if (strncmp(lines[0], "ERR ABORTED", 11) != 0) {
            report_anomaly(w->report, "failed transaction: its COMMIT was answered '%.40s'", lines[0]);
        }
        tx_done(w, b, TX_ABORTED);
    } else if (strncmp(lines[0], "ERR CONFLICT", 12) == 0) {
        tx_done(w, b, TX_CONFLICT);
    } else {
        expect(w, c, lines[0], "OK");
        c->token_done |= c->script.named;
        tx_done(w, b, TX_COMMITTED);
    }
}

/* The marker shows that the unheard COMMIT was done. It must show some time: a plain transaction is never refused. */
static void take_marker(struct workload *w, struct client *c, char **lines)
{
    uint32_t value = value_parse(lines[0]);
    builder_op(&c->build, OP_READ, c->mix.marker_key, value);
    c->build.tx.seq = 0;
    tx_done(w, &c->build, TX_COMMITTED);
    if (value == c->marker) {
        tx_done(w, &c->unheard, TX_COMMITTED);
        step_done(w, c);
    } else if (++c->marker_polls > MARKER_POLLS_MAX) {
        fail(w, "a COMMIT sent before the connection was closed was never done");
    } else {
        w->clock++;
        marker_poll(w, c);
    }
}

static bool is_committed(struct workload *w, const struct client *c, const char *outcome)
{
    bool committed = strcmp(outcome, "COMMITTED") == 0;
    if (!committed && strcmp(outcome, "ABORTED") != 0 && strcmp(outcome, "UNKNOWN") != 0) {
        fail(w, "session %" PRIu32 ": OUTCOME was answered '%.80s'", c->id, outcome);
    }
    return committed;
}

/* Says what became of the COMMIT that the end of the server left open. */
static bool take_open_outcome(struct workload *w, struct client *c, const char *outcome, bool shows)
{
    c->token_done = is_committed(w, c, outcome);
    if (c->token_done != shows) {
        report_anomaly(w->report, "OUTCOME t%" PRIu32 " is %.40s, and its writes are %s", c->token, outcome, shows ? "there" : "not there");
    }
    w->outcomes_open++;
    w->outcomes_done += c->token_done;
    return c->token_done;
}

/* The outcome, or else the marker, says what became of the COMMIT that the end of the server left open. */
static void take_open(struct workload *w, struct client *c, char **lines)
{
    uint32_t value = value_parse(lines[c->script.named]);
    bool shows = value == c->marker;
    bool done = c->script.named ? take_open_outcome(w, c, lines[0], shows) : shows;
    builder_op(&c->build, OP_READ, c->mix.marker_key, value);
    c->build.tx.seq = 0;
    tx_done(w, &c->build, TX_COMMITTED);
    if (c->heard_ok && !done) {
        report_anomaly(w->report, "lost commit: it was acknowledged, and is not there after the restart");
    }
    if (c->failed && done) {
        report_anomaly(w->report, "failed transaction: its COMMIT was done");
    }
    tx_done(w, &c->unheard, done ? TX_COMMITTED : TX_ABORTED);
    w->opened_done += done;
    c->open = false;
}

static void take_again(struct workload *w, struct client *c, char **lines)
{
    bool committed = is_committed(w, c, lines[0]);
    c->asks = false;
    c->token_again = !c->token_done;
    if (committed != c->token_done) {
        report_anomaly(w->report, "OUTCOME t%" PRIu32 " is %.40s, and it has %s", c->token, lines[0], c->token_done ? "committed" : "not");
    }
    if (!c->token_done) {
        return;
    }
    w->retries++;
    if (strncmp(lines[1], "ERR DONE", 8) != 0 || strncmp(lines[2], "ERR ", 4) != 0 || strncmp(lines[3], "ERR ", 4) != 0) {
        report_anomaly(w->report, "t%" PRIu32 " has committed, and was begun again: '%.40s', '%.40s', '%.40s'", c->token, lines[1],
                       lines[2], lines[3]);
    }
}

static void take_answer(struct workload *w, struct client *c, char **lines)
{
    const struct step *step = &c->script.steps[c->at];
    w->clock++;
    w->answers++;
    w->in_flight--;
    c->state = CLIENT_READY;
    if (c->open) {
        take_open(w, c, lines);
        return;
    }
    if (c->asks) {
        take_again(w, c, lines);
        return;
    }
    if (step->kind == STEP_COMMIT_UNHEARD) {
        take_marker(w, c, lines);
        return;
    }
    if (is_read(step->kind)) {
        take_read(w, c, step, lines);
    } else if (is_commit(step->kind)) {
        take_commit(w, c, lines);
    } else {
        expect(w, c, lines[0], step->kind == STEP_ERROR ? "ERR " : "OK");
    }
    if (step->kind == STEP_BEGIN) {
        c->build.tx.begin_answered = w->clock;
        c->build.tx.snapshot = w->numbered ? seq_parse(w, lines[1]) : SEQ_UNKNOWN;
    }
    if (step->kind == STEP_ROLLBACK) {
        tx_done(w, &c->build, TX_ABORTED);
    }
    if (c->script.mode == TX_AUTO) {
        c->build.tx.seq = is_write(step->kind) ? seq_take(w, c, lines[1]) : 0;
        tx_done(w, &c->build, TX_COMMITTED);
    }
    if (step->kind == STEP_COMMIT_HALF_CLOSE) {
        c->state = CLIENT_CLOSING;
        w->in_flight++;
        return;
    }
    step_done(w, c);
}

/* Cuts the input into lines; returns how many there are, at most `max`. */
static size_t split_lines(struct client *c, char **lines, size_t max)
{
    size_t count = 0;
    char *at = c->in, *end = c->in + c->in_len, *feed;
    while (count < max && (feed = memchr(at, '\n', (size_t)(end - at)))) {
        *feed = '\0';
        if (feed > at && feed[-1] == '\r') {
            feed[-1] = '\0';
        }
        lines[count++] = at;
        at = feed + 1;
    }
    return count;
}

static size_t count_lines(const struct client *c)
{
    size_t count = 0;
    for (size_t i = 0; i < c->in_len; i++) {
        count += c->in[i] == '\n';
    }
    return count;
}

static void client_receive(struct workload *w, struct client *c)
{
    char *lines[8] = {0};
    if (c->state == CLIENT_LOST) {
        return; /* the event is older than that */
    }
    ssize_t n = recv(c->fd, c->in + c->in_len, sizeof(c->in) - c->in_len, 0);
    if (n < 0 && errno == EAGAIN) {
        return;
    }
    if (n == 0 && c->state == CLIENT_CLOSING) {
        w->in_flight--;
        step_done(w, c);
        client_reconnect(w, c, false);
        return;
    }
    if (n <= 0 && w->mortal) {
        client_lost(w, c);
        return;
    }
    if (n <= 0 || c->state != CLIENT_WAITING) {
        fail(w,
             n > 0 ? "session %" PRIu32 " got bytes that it did not ask for"
                   : "session %" PRIu32 " lost its connection",
             c->id);
        return;
    }
    c->in_len += (size_t)n;
    size_t count = count_lines(c);
    if (count < c->lines_wanted && c->in_len < sizeof(c->in)) {
        return;
    }
    if (count != c->lines_wanted || c->in[c->in_len - 1] != '\n' || split_lines(c, lines, 8) != count) {
        fail(w, "session %" PRIu32 ": %zu lines wanted, %zu got", c->id, c->lines_wanted, count);
        return;
    }
    c->in_len = 0;
    take_answer(w, c, lines);
}

/* --- the loop --- */

/* Sends what is to be sent. Returns whether some client has held back, and will send when called again. */
static bool send_round(struct workload *w)
{
    bool held = false;
    for (uint32_t i = 0; i < w->client_count && !w->broken; i++) {
        struct client *c = &w->clients[i];
        if (c->state != CLIENT_READY || c->idle_until > w->answers) {
            continue;
        }
        /* Some wait a round: otherwise all clients would go in step with the server's ticks. */
        if (rng_chance(&w->rng, 20)) {
            held = true;
            continue;
        }
        if (c->open) {
            w->clock++;
            ask_open(w, c);
        } else if (c->asks) {
            ask_again(w, c);
        } else if (c->script.count || script_next(w, c)) {
            send_step(w, c);
        }
        held |= c->state == CLIENT_READY && c->script.count;
    }
    return held;
}

/* With all others idle or done, the one that has the shortest time to wait goes on. Returns false if there is none. */
static bool wake_idle(struct workload *w)
{
    uint64_t next = UINT64_MAX;
    for (uint32_t i = 0; i < w->client_count; i++) {
        const struct client *c = &w->clients[i];
        if (c->script.count && c->idle_until < next) {
            next = c->idle_until;
        }
    }
    if (next == UINT64_MAX) {
        return false;
    }
    if (next > w->answers) {
        w->answers = next;
    }
    return true;
}

static bool all_lost(const struct workload *w)
{
    uint32_t lost = 0;
    for (uint32_t i = 0; i < w->client_count; i++) {
        lost += w->clients[i].state == CLIENT_LOST;
    }
    return lost == w->client_count;
}

static void on_event(struct workload *w, void *who)
{
    struct client *c = who;
    if (c >= w->clients && c < w->clients + w->client_count) {
        client_receive(w, c);
    } else {
        struct workload_watch *watch = who;
        watch->on_ready(watch->arg);
    }
}

void workload_watch(struct workload *w, struct workload_watch *watch)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = watch};
    epoll_ctl(w->epoll, EPOLL_CTL_ADD, watch->fd, &event);
}

int workload_run(struct workload *w, uint64_t target)
{
    struct epoll_event events[WORKLOAD_CLIENTS_MAX];
    w->target = target;
    while (!w->broken) {
        bool held = send_round(w);
        if (w->mortal && all_lost(w)) {
            return 1;
        }
        if (!w->in_flight) {
            if (!held && !wake_idle(w) && w->started >= w->target) {
                break;
            }
            continue;
        }
        /* All answers are taken in before anything is sent, so that their times are as early as they can be. Who has
         * held back goes on after one of them. */
        int n = epoll_wait(w->epoll, events, WORKLOAD_CLIENTS_MAX, ANSWER_MS_MAX);
        if (n < 0 && errno != EINTR) {
            fail(w, "epoll_wait: %s", strerror(errno));
        }
        if (n == 0) {
            fail(w, "no answer for %d ms", ANSWER_MS_MAX);
        }
        for (int i = 0; i < n && !w->broken; i++) {
            on_event(w, events[i].data.ptr);
        }
    }
    return w->broken ? -1 : 0;
}

int workload_init(struct workload *w, uint16_t port, uint32_t clients, const struct script_mix *mix, bool numbered,
                  uint64_t seed, struct report *report)
{
    memset(w, 0, sizeof(*w));
    w->mix = *mix;
    w->mix.marker_key = mix->keys;
    w->port = port;
    w->numbered = numbered;
    w->rng.state = seed;
    w->clock = 1;
    w->value_next = 1;
    w->report = report;
    w->client_count = clients;
    w->epoll = epoll_create1(EPOLL_CLOEXEC);
    w->mortal = mix->marks;
    history_init(&w->history, mix->keys + 1 + (mix->marks ? clients : 0), numbered);
    for (uint32_t i = 0; i < clients; i++) {
        w->clients[i].id = i;
        w->clients[i].mix = w->mix;
        /* Half of a black box's clients read all that they write: only so is the order of versions certain. */
        w->clients[i].mix.blind_writes = mix->blind_writes && (numbered || i % 2);
        w->clients[i].mix.marker_key += mix->marks ? i : 0;
        w->clients[i].fd = -1;
        if (w->mortal) {
            w->clients[i].state = CLIENT_LOST;
        } else if (!w->broken) {
            client_connect(w, &w->clients[i]);
        }
    }
    return w->broken ? -1 : 0;
}

/* A snapshot may be of a commit that was not on disk yet. Where that one is lost, all that was answered as of that snapshot is
 * older than it, and so as good as of the newest commit that is left. */
static void limit_snapshots(struct workload *w, uint64_t newest)
{
    for (size_t i = w->life_first; i < w->history.tx_count; i++) {
        struct tx *t = &w->history.txs[i];
        if (t->snapshot != SEQ_UNKNOWN && t->snapshot > newest) {
            t->snapshot = newest;
        }
    }
    for (uint32_t i = 0; i < w->client_count; i++) {
        struct tx *t = &w->clients[i].unheard.tx;
        if (w->clients[i].open && t->snapshot != SEQ_UNKNOWN && t->snapshot > newest) {
            t->snapshot = newest;
        }
    }
    w->life_first = w->history.tx_count;
}

int workload_revive(struct workload *w, uint16_t port, uint64_t newest)
{
    newest -= newest < w->seq_base ? newest : w->seq_base;
    if (w->numbered && newest < w->newest_seq) {
        report_anomaly(w->report, "lost commit: number %" PRIu64 " was acknowledged, and after the restart %" PRIu64 " is the newest",
                       w->newest_seq, newest);
        w->newest_seq = newest;
    }
    limit_snapshots(w, newest);
    w->port = port;
    for (uint32_t i = 0; i < w->client_count && !w->broken; i++) {
        w->clients[i].asks = w->clients[i].token != 0;
        client_connect(w, &w->clients[i]);
    }
    return w->broken ? -1 : 0;
}

/* --- copies --- */

size_t workload_copy_ask(const struct workload *w, char *command)
{
    int len = sprintf(command, "BEGIN READONLY\r\nSNAPSHOT\r\nMGET");
    for (uint32_t key = 0; key < w->history.keys; key++) {
        len += sprintf(command + len, " k%" PRIu32, key);
    }
    sprintf(command + len, "\r\nCOMMIT\r\n");
    return w->history.keys + 3;
}

static char *take_line(char **text)
{
    char *line = *text;
    char *end = line + strcspn(line, "\r");
    *text = end + strcspn(end, "\n");
    *text += **text != '\0';
    *end = '\0';
    return line;
}

uint64_t workload_copy_take(struct workload *w, char *answer, uint64_t sent, uint64_t answered)
{
    struct tx_builder b = {0};
    builder_start(&b, w->client_count, TX_READONLY, sent);
    if (strcmp(take_line(&answer), "OK") != 0) {
        fail(w, "a copy of the data was not read");
    }
    uint64_t seq = number_parse(w, take_line(&answer));
    for (uint32_t key = 0; key < w->history.keys; key++) {
        builder_op(&b, OP_READ, key, value_parse(take_line(&answer)));
    }
    b.tx.snapshot = seq > w->seq_base ? seq - w->seq_base : 0;
    b.tx.begin_answered = answered;
    b.tx.end_sent = answered;
    b.tx.end_answered = answered;
    b.tx.outcome = TX_COMMITTED;
    b.tx.seq = 0;
    history_append(&w->history, &b);
    return seq;
}

void workload_leave(struct workload *w)
{
    for (uint32_t i = 0; i < w->client_count; i++) {
        if (w->clients[i].fd >= 0) {
            close(w->clients[i].fd);
        }
        w->clients[i].fd = -1;
        w->clients[i].state = CLIENT_LOST;
    }
}

void workload_deinit(struct workload *w)
{
    workload_leave(w);
    close(w->epoll);
    history_deinit(&w->history);
}
