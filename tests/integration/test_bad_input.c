/* Bad input: lines without end, bytes that no key may hold, half a command, other protocols. Memory stays bounded,
 * other clients are unharmed, and nothing runs that was not a command. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "check.h"
#include "server_fixture.h"
#include "wire.h"

#define MIB ((size_t)1 << 20)
#define LONG_LINE (64 * MIB)
#define LONG_LINE_MEMORY (8 * MIB) /* that a line of any length may take */
#define VALUE_MAX MIB              /* default limits */
#define KEY_MAX 1024

/* --- long lines --- */

static void line_without_end(void)
{
    struct server s;
    struct client c;
    struct client other;
    struct text piece = {0};
    check_needs_plain_memory();
    server_start(&s, NULL);
    client_open(&c, &s);
    client_open(&other, &s);
    client_ask(&c, "PING", "+PONG");
    size_t before = server_memory(&s, "VmRSS");
    text_fill(&piece, 'x', MIB);
    client_sendf(&c, "SET long ");
    for (size_t sent = 0; sent < LONG_LINE; sent += piece.len) {
        client_send(&c, piece.data, piece.len);
        client_ask(&other, "PING", "+PONG");
        size_t most = server_memory(&s, "VmHWM");
        CHECK(most < before + LONG_LINE_MEMORY, "%zu bytes of a line took %zu bytes of memory", sent, most - before);
    }
    client_sendf(&c, "\r\n");
    client_expect_start(&c, "ERR TOOBIG ");
    client_ask(&c, "EXISTS long", "0");
    client_close(&c);
    client_close(&other);
    text_free(&piece);
    server_stop(&s);
}

/* --- announced lengths --- */

#define CROWD_MAX 10000
#define CROWD_MEMORY ((size_t)8192)  /* that each of them may take: a page for what it has sent, and its share */
#define DESCRIPTORS_RESERVED 100     /* of this program, and of the server */

/* How many clients the limit of open files allows, which the server inherits. */
static size_t crowd_size(void)
{
    struct rlimit files;
    CHECK(getrlimit(RLIMIT_NOFILE, &files) == 0, "getrlimit");
    rlim_t wanted = CROWD_MAX + DESCRIPTORS_RESERVED;
    if (files.rlim_cur < wanted) {
        files.rlim_cur = files.rlim_max < wanted ? files.rlim_max : wanted;
        CHECK(setrlimit(RLIMIT_NOFILE, &files) == 0, "setrlimit");
    }
    if (files.rlim_cur < wanted) {
        CHECK(files.rlim_cur > 2 * DESCRIPTORS_RESERVED, "too few open files are allowed (ulimit -n)");
        printf("    %zu clients, not %d: more open files are not allowed (ulimit -n)\n",
               (size_t)files.rlim_cur - DESCRIPTORS_RESERVED, CROWD_MAX);
        return (size_t)files.rlim_cur - DESCRIPTORS_RESERVED;
    }
    return CROWD_MAX;
}

/* Each of them announces half a GiB, or two thousand million words, and sends a few bytes of it. */
static void announce(struct server *s, struct client *crowd, size_t count, struct client *other)
{
    size_t before = server_memory(s, "VmRSS");
    for (size_t i = 0; i < count; i++) {
        client_sendf(&crowd[i], i % 2 == 0 ? "*2\r\n$4\r\nECHO\r\n$536870912\r\nabc" : "*2147483647\r\n$4\r\nPING\r\n$9\r\nabc");
    }
    client_ask(other, "PING", "+PONG");
    size_t most = server_memory(s, "VmHWM");
    printf("    %zu clients announced: %zu bytes each\n", count, most > before ? (most - before) / count : 0);
    CHECK(most < before + count * CROWD_MEMORY, "%zu lengths that were announced took %zu bytes of memory", count, most - before);
}

/* RESP: a length that is announced takes no memory, and what comes of an over-long word is dropped. */
static void announced_lengths(void)
{
    static struct client crowd[CROWD_MAX];
    struct server s;
    struct client other;
    struct text piece = {0};
    char connections[32];
    check_needs_plain_memory();
    unsetenv("MALLOC_PERTURB_"); /* meson sets it; with it glibc writes over all of a buffer, which takes memory that nobody asked for */
    size_t count = crowd_size();
    snprintf(connections, sizeof(connections), "%zu", count + 1);
    server_start(&s, "--unix", check_path("socket"), "--max-connections", connections, NULL);
    CHECK(client_open_unix(&other, check_path("socket")) == 0, "no connection");
    for (size_t i = 0; i < count; i++) {
        CHECK(client_open_unix(&crowd[i], check_path("socket")) == 0, "no connection after %zu", i);
    }
    client_ask(&other, "PING", "+PONG");
    announce(&s, crowd, count, &other);
    size_t before = server_memory(&s, "VmRSS");
    text_fill(&piece, 'x', MIB);
    for (size_t sent = 0; sent < LONG_LINE; sent += piece.len) {
        client_send(&crowd[0], piece.data, piece.len);
        client_ask(&other, "PING", "+PONG");
        size_t most = server_memory(&s, "VmHWM");
        CHECK(most < before + LONG_LINE_MEMORY, "%zu bytes of a word took %zu bytes of memory", sent, most - before);
    }
    for (size_t i = 0; i < count; i++) {
        client_close(&crowd[i]);
    }
    client_close(&other);
    text_free(&piece);
    server_stop(&s);
}

static void set_of(struct client *c, size_t key_len, size_t value_len)
{
    struct text line = {0};
    text_addf(&line, "SET ");
    text_fill(&line, 'k', key_len);
    text_addf(&line, " ");
    text_fill(&line, 'v', value_len);
    text_addf(&line, "\r\n");
    client_send(c, line.data, line.len);
    text_free(&line);
}

static void longest_line(void)
{
    struct server s;
    struct client c;
    server_start(&s, NULL);
    client_open(&c, &s);
    set_of(&c, KEY_MAX, VALUE_MAX);
    client_expect(&c, "OK");
    set_of(&c, KEY_MAX + 1, 1);
    client_expect_start(&c, "ERR TOOBIG the key has 1025 bytes");
    set_of(&c, 1, VALUE_MAX + 1);
    client_expect_start(&c, "ERR TOOBIG the value has 1048577 bytes");
    set_of(&c, 1, VALUE_MAX + 10000);
    client_expect_start(&c, "ERR TOOBIG the line has more than ");
    client_ask(&c, "DBSIZE", "1");
    client_close(&c);
    server_stop(&s);
}

/* An over-long line inside a transaction fails it, as any other error does. */
static void long_line_in_transaction(void)
{
    struct server s;
    struct client c;
    server_start(&s, "--value-max", "1K", NULL);
    client_open(&c, &s);
    client_ask(&c, "BEGIN", "OK");
    client_ask(&c, "SET a 1", "OK");
    set_of(&c, 1, 100000);
    client_expect_start(&c, "ERR TOOBIG ");
    client_ask_start(&c, "COMMIT", "ERR ABORTED ");
    client_ask(&c, "DBSIZE", "0");
    client_close(&c);
    server_stop(&s);
}

/* --- bytes --- */

static void control_bytes(void)
{
    struct server s;
    struct client c;
    server_start(&s, NULL);
    client_open(&c, &s);
    for (int byte = 0; byte <= 0x7f; byte++) {
        if ((byte >= 0x20 && byte < 0x7f) || byte == '\n' || byte == '\r') {
            continue;
        }
        char line[] = "SET a?b 1\r\n";
        char wanted[64];
        line[5] = (char)byte;
        client_send(&c, line, sizeof(line) - 1);
        snprintf(wanted, sizeof(wanted), "ERR SYNTAX the key holds control byte 0x%02x", (unsigned)byte);
        client_expect_start(&c, wanted);
    }
    client_send(&c, "S\0T a 1\r\n", 9);
    client_expect_start(&c, "ERR UNKNOWN ");
    client_send(&c, "\0\r\n", 3);
    client_expect_start(&c, "ERR UNKNOWN ");
    client_send(&c, "SET a 1\r2\r\n", 11);
    client_expect_start(&c, "ERR SYNTAX a CR stands inside the line");
    client_ask(&c, "DBSIZE", "0");
    client_close(&c);
    server_stop(&s);
}

static void any_byte_in_a_value(void)
{
    struct server s;
    struct client c;
    struct text value = {0};
    size_t len;
    server_start(&s, NULL);
    client_open(&c, &s);
    for (int byte = 0; byte < 256; byte++) {
        if (byte != '\n' && byte != '\r') {
            text_fill(&value, (char)byte, 1);
        }
    }
    client_sendf(&c, "SET \xff\x80 ");
    client_send(&c, value.data, value.len);
    client_sendf(&c, "\r\nGET \xff\x80\r\n");
    client_expect(&c, "OK");
    const char *got = client_line(&c, &len);
    CHECK(got != NULL && len == value.len && memcmp(got, value.data, len) == 0,
          "a value of any bytes came back changed");
    text_free(&value);
    client_close(&c);
    server_stop(&s);
}

/* --- half a command --- */

static void half_a_command(void)
{
    struct server s;
    struct client half;
    struct client idle;
    struct client busy;
    struct client inside;
    server_start(&s, "--partial-timeout", "1", NULL);
    client_open(&half, &s);
    client_open(&idle, &s);
    client_open(&busy, &s);
    client_open(&inside, &s);
    client_ask(&idle, "PING", "+PONG");
    client_ask(&inside, "BEGIN", "OK");
    int64_t begun_ms = check_now_ms();
    client_sendf(&half, "SET a 1");
    while (check_now_ms() - begun_ms < 500) {
        client_sendf(&busy, "SET b 1\r\nGET"); /* never without half a line, but each is ended soon */
        client_expect(&busy, "OK");
        client_sendf(&busy, " b\r\n");
        client_expect(&busy, "1");
    }
    client_expect_start(&half, "ERR SYNTAX the line was not ended within 1 s");
    client_expect_eof(&half);
    int64_t took_ms = check_now_ms() - begun_ms;
    CHECK(took_ms >= 900 && took_ms < 3000, "half a line was borne for %d ms, not 1 s", (int)took_ms);
    client_close(&half);
    client_ask(&busy, "EXISTS a", "0");
    client_ask(&idle, "PING", "+PONG");
    client_ask(&inside, "SET c 1", "OK");
    client_ask(&inside, "COMMIT", "OK");
    client_close(&idle);
    client_close(&busy);
    client_close(&inside);
    server_stop(&s);
}

/* A byte from time to time does not make half a line a whole one. */
static void a_line_in_drops(void)
{
    struct server s;
    struct client c;
    server_start(&s, "--partial-timeout", "1", NULL);
    client_open(&c, &s);
    client_sendf(&c, "SET a ");
    int64_t begun_ms = check_now_ms();
    for (bool open = true; open;) {
        CHECK(check_now_ms() - begun_ms < 3000, "a line that never ends is borne for ever");
        client_send_some(&c, "x", 1, 0);
        open = !client_wait(&c, 50);
    }
    client_expect_start(&c, "ERR SYNTAX the line was not ended within 1 s");
    client_close(&c);
    server_stop(&s);
}

/* --- other protocols --- */

#define BODY "\r\nSET pwned 1\r\nSET pwned 2\n"

static const char tls_hello[] = "\x16\x03\x01\x00\xc5\x01\x00\x00\xc1\x03\x03\nSET pwned 1\r\n";

static const struct {
    const char *name;
    const char *bytes;
    size_t len; /* 0: ended by NUL */
} foreign[] = {
    {"HTTP GET", "GET / HTTP/1.1\r\nHost: localhost\r\nUser-Agent: x\r\n" BODY, 0},
    {"HTTP/1.0 GET", "GET /a/b?c=d HTTP/1.0\r\n" BODY, 0},
    {"HTTP POST", "POST /x HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\nContent-Length: 26\r\n" BODY, 0},
    {"HTTP POST after empty lines", "\r\n\nPOST / HTTP/1.1\r\n" BODY, 0},
    {"HTTP POST, bare LF", "POST / HTTP/1.1\n" BODY, 0},
    {"HTTP proxy", "CONNECT localhost:80 HTTP/1.1\r\n" BODY, 0},
    {"HTTP absolute", "GET http://localhost/ HTTP/1.1\r\n" BODY, 0},
    {"HTTP OPTIONS", "OPTIONS * HTTP/1.1\r\n" BODY, 0},
    {"HTTP DELETE", "DELETE /a HTTP/1.1\r\n" BODY, 0},
    {"HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n" BODY, 0},
    {"TLS hello", tls_hello, sizeof(tls_hello) - 1},
    {"SSH banner", "SSH-2.0-OpenSSH_9.2\r\n" BODY, 0},
};

static void expect_refused(const struct server *s, struct client *c, const char *name)
{
    struct client other;
    printf("    %s\n", name);
    client_expect_start(c, "ERR SYNTAX ");
    client_expect_eof(c);
    client_close(c);
    client_open(&other, s);
    client_ask(&other, "EXISTS pwned", "0");
    client_close(&other);
}

static void other_protocols(void)
{
    struct server s;
    struct client c;
    server_start(&s, NULL);
    for (size_t i = 0; i < sizeof(foreign) / sizeof(foreign[0]); i++) {
        size_t len = foreign[i].len == 0 ? strlen(foreign[i].bytes) : foreign[i].len;
        client_open(&c, &s);
        client_send_anyway(&c, foreign[i].bytes, len);
        expect_refused(&s, &c, foreign[i].name);
        client_open(&c, &s);
        for (size_t at = 0; at < len; at++) {
            client_send_anyway(&c, foreign[i].bytes + at, 1);
        }
        expect_refused(&s, &c, "the same byte by byte");
    }
    server_stop(&s);
}

/* A request line that is longer than any line may be, by so many bytes; its end comes with it, or in a second piece. */
static void long_request(const struct server *s, size_t line_max, size_t over, bool in_pieces)
{
    struct client c;
    struct text request = {0};
    char name[96];
    client_open(&c, s);
    text_addf(&request, "POST /");
    text_fill(&request, 'a', line_max + over - 15);
    if (in_pieces) {
        struct client other;
        client_send_anyway(&c, request.data, request.len);
        client_open(&other, s);
        client_ask(&other, "PING", "+PONG"); /* so the server has seen the first piece */
        client_close(&other);
        request.len = 0;
    }
    text_addf(&request, " HTTP/1.1\r\nContent-Type: text/plain\r\n" BODY);
    client_send_anyway(&c, request.data, request.len);
    snprintf(name, sizeof(name), "a request line %zu bytes over the limit of %zu%s", over, line_max,
             in_pieces ? ", in pieces" : "");
    expect_refused(s, &c, name);
    text_free(&request);
}

static void long_http_request(void)
{
    static const size_t overs[] = {0, 1, 2, 100, 5000, 100000};
    struct server s;
    for (int small = 0; small <= 1; small++) {
        size_t line_max = KEY_MAX + (small ? 1024 : VALUE_MAX) + 64;
        server_start(&s, "--value-max", small ? "1K" : "1M", NULL);
        for (size_t i = 0; i < sizeof(overs) / sizeof(overs[0]); i++) {
            long_request(&s, line_max, overs[i], true);
            long_request(&s, line_max, overs[i], false);
        }
        server_stop(&s);
    }
}

/* What looks like another protocol further on is a value like any other, or a mistake like any other. */
static void no_false_alarm(void)
{
    struct server s;
    struct client c;
    server_start(&s, NULL);
    client_open(&c, &s);
    client_ask(&c, "SET page GET / HTTP/1.1", "OK");
    client_ask(&c, "GET page", "GET / HTTP/1.1");
    client_ask_start(&c, "GET / HTTP/1.1", "ERR SYNTAX GET got more than it takes");
    client_ask_start(&c, "*1", "ERR UNKNOWN ");
    client_ask_start(&c, "SSH-2.0-x", "ERR UNKNOWN ");
    client_ask(&c, "GET /", "");
    client_close(&c);
    client_open(&c, &s);
    client_ask(&c, "GET /", "");
    client_close(&c);
    server_stop(&s);
}

static const struct check checks[] = {
    {"line without end", line_without_end},
    {"announced lengths", announced_lengths},
    {"longest line", longest_line},
    {"long line in a transaction", long_line_in_transaction},
    {"control bytes", control_bytes},
    {"any byte in a value", any_byte_in_a_value},
    {"half a command", half_a_command},
    {"a line in drops", a_line_in_drops},
    {"other protocols", other_protocols},
    {"long HTTP request", long_http_request},
    {"no false alarm", no_false_alarm},
};

CHECK_MAIN(checks)
