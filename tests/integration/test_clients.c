/* Clients that are listed, killed, paused and silenced by others; and a server with a password. */
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "server_fixture.h"
#include "wire.h"

#define FOR_EVER "600000" /* of a pause, ms: no check waits for its end */
#define FLOOD_BYTES ((size_t)64 << 20)
#define FLOOD_PATIENCE_MS 500
#define FLOOD_MEMORY_MAX ((size_t)4 << 20)
#define GUESTS 50
#define GUEST_MEMORY_MAX ((size_t)128 << 10)

/* Makes a connection one of RESP; after that, lines are commands of RESP. */
static void open_resp(struct client *c, const struct server *s)
{
    client_open(c, s);
    client_sendf(c, "*1\r\n$4\r\nPING\r\n");
    client_expect(c, "+PONG");
}

static void expect_silence(const struct client *c, const char *what)
{
    CHECK(!client_wait(c, 0), "%s was answered", what);
}

static void send_line(struct client *c, const char *line)
{
    client_sendf(c, "%s\r\n", line);
    client_wait_delivered(c);
}

/* The number in an answer such as ":12". */
static long ask_number(struct client *c, const char *line)
{
    size_t len;
    long number = -1;
    client_sendf(c, "%s\r\n", line);
    const char *answer = client_line(c, &len);
    CHECK(answer != NULL && sscanf(answer, ":%ld", &number) == 1, "%s: '%s' is no number", line, answer == NULL ? "" : answer);
    return number;
}

static void address_of(const struct client *c, char *text, size_t size)
{
    struct sockaddr_in address;
    socklen_t len = sizeof(address);
    int rc = getsockname(c->fd, (struct sockaddr *)&address, &len);
    CHECK(rc == 0, "a socket has no address");
    snprintf(text, size, "127.0.0.1:%d", ntohs(address.sin_port));
}

/* --- CLIENT LIST --- */

/* The text of an answer that is one bulk string, or RESP3's text. Valid until the next one. */
static const char *ask_text(struct client *c, const char *line)
{
    static char text[8192];
    size_t size = 0;
    size_t len;
    client_sendf(c, "%s\r\n", line);
    const char *header = client_line(c, &len);
    CHECK(header != NULL && (sscanf(header, "$%zu", &size) == 1 || sscanf(header, "=%zu", &size) == 1) && size < sizeof(text),
          "%s: the answer begins with '%s'", line, header == NULL ? "" : header);
    while (c->in.len - c->taken < size + 2) {
        CHECK(client_receive(c, sizeof(text), WIRE_TIMEOUT_MS), "%s: the answer does not come", line);
    }
    memcpy(text, c->in.data + c->taken, size);
    text[size] = '\0';
    c->taken += size + 2;
    return text;
}

static void expect_part(const char *text, const char *part)
{
    CHECK(strstr(text, part) != NULL, "'%s' is not in:\n%s", part, text);
}

static void listed(void)
{
    struct server s;
    struct client a;
    struct client text;
    struct client local;
    char address[64];
    char part[256];
    server_start(&s, "--unix", check_path("socket"), NULL);
    open_resp(&a, &s);
    client_open(&text, &s);
    client_ask(&text, "BEGIN", "OK");
    CHECK(client_open_unix(&local, check_path("socket")) == 0, "no connection to the Unix socket");
    client_ask(&local, "GET k", "");
    client_ask(&a, "CLIENT SETNAME ada", "+OK");
    client_ask(&a, "CLIENT SETINFO lib-name lib", "+OK");
    client_ask(&a, "CLIENT SETINFO lib-ver 1.2", "+OK");
    address_of(&a, address, sizeof(address));
    const char *list = ask_text(&a, "CLIENT LIST");
    snprintf(part, sizeof(part), "id=1 addr=%s laddr=127.0.0.1:%d fd=", address, s.port);
    expect_part(list, part);
    expect_part(list, " name=ada age=0 idle=0 flags=N db=0 sub=0 psub=0 ssub=0 multi=-1 qbuf=13 ");
    expect_part(list, " events=r cmd=client|list user=default redir=-1 resp=2 lib-name=lib lib-ver=1.2\nid=2 addr=127.0.0.1:");
    expect_part(list, " events=r cmd=begin user=default redir=-1 resp=2 lib-name= lib-ver=\nid=3 addr=");
    snprintf(part, sizeof(part), "id=3 addr=%s:0 laddr=%s:0 fd=", check_path("socket"), check_path("socket"));
    expect_part(list, part);
    expect_part(list, " flags=U ");
    list = ask_text(&a, "CLIENT LIST ID 3 9 1");
    CHECK(strncmp(list, "id=3 ", 5) == 0 && strstr(list, "\nid=1 ") != NULL && strstr(list, "id=2 ") == NULL, "got:\n%s", list);
    client_ask_start(&a, "HELLO 3", "%7");
    for (int i = 0; i < 25; i++) {
        client_expect_start(&a, "");
    }
    list = ask_text(&a, "CLIENT INFO");
    CHECK(strncmp(list, "txt:id=1 ", 9) == 0 && strstr(list, " resp=3 ") != NULL, "got:\n%s", list);
    client_close(&a);
    client_close(&text);
    client_close(&local);
    server_stop(&s);
}

/* --- CLIENT KILL --- */

static void killed(void)
{
    struct server s;
    struct client a;
    struct client victim;
    struct client other;
    char address[64];
    char line[128];
    server_start(&s, NULL);
    open_resp(&a, &s);
    client_open(&victim, &s);
    client_open(&other, &s);
    client_ask(&other, "PING", "+PONG");
    client_ask(&victim, "SET k 1", "OK");
    client_ask(&victim, "BEGIN", "OK");
    client_ask(&victim, "SET k 2", "OK");
    address_of(&victim, address, sizeof(address));
    snprintf(line, sizeof(line), "CLIENT KILL %s", address);
    client_ask(&a, line, "+OK");
    client_expect_gone(&victim);
    client_ask(&a, line, "-ERR No such client");
    client_ask(&other, "GET k", "1");
    address_of(&other, address, sizeof(address));
    snprintf(line, sizeof(line), "CLIENT KILL ADDR %s LADDR 127.0.0.1:%d TYPE normal USER default", address, s.port);
    client_ask(&a, line, ":1");
    client_expect_gone(&other);
    client_ask(&a, "CLIENT KILL TYPE normal", ":0");
    client_sendf(&a, "CLIENT KILL TYPE normal SKIPME no\r\nSET k 3\r\n");
    client_expect(&a, ":1");
    client_expect_gone(&a);
    client_close(&a);
    client_close(&victim);
    client_close(&other);
    client_open(&other, &s);
    client_ask(&other, "GET k", "1");
    client_close(&other);
    server_stop(&s);
}

/* One that does not read its answers, and one that sends without end, are killed like any other. */
static void killed_in_a_flood(void)
{
    struct server s;
    struct client a;
    struct client deaf;
    static char lines[1 << 20];
    server_start(&s, NULL);
    open_resp(&a, &s);
    client_open_small(&deaf, &s, 4096);
    client_ask(&deaf, "SET k 0123456789012345678901234567890123456789012345678901234567890123456789", "OK");
    for (size_t i = 0; i < sizeof(lines); i++) {
        lines[i] = "GET k\r\n\n"[i % 8];
    }
    client_send_some(&deaf, lines, sizeof(lines), FLOOD_PATIENCE_MS);
    CHECK(ask_number(&a, "CLIENT KILL ID 2") == 1, "it was not there");
    while (client_receive(&deaf, 65536, WIRE_TIMEOUT_MS)) {
        deaf.taken = deaf.in.len;
    }
    CHECK(strstr(ask_text(&a, "CLIENT LIST"), "id=2 ") == NULL, "it is still listed");
    client_close(&deaf);
    client_close(&a);
    server_stop(&s);
}

/* --- CLIENT PAUSE --- */

static void paused_writes(void)
{
    struct server s;
    struct client a;
    struct client writers[2];
    struct client reader;
    server_start(&s, NULL);
    open_resp(&a, &s);
    client_open(&writers[0], &s);
    open_resp(&writers[1], &s);
    client_open(&reader, &s);
    client_ask(&a, "CLIENT PAUSE " FOR_EVER " WRITE", "+OK");
    send_line(&writers[0], "INCR n\r\nGET n");
    send_line(&writers[1], "INCR n\r\nGET n");
    client_let_run(&reader);
    client_ask(&reader, "GET n", "");
    client_ask_start(&reader, "INCR", "ERR SYNTAX ");
    expect_silence(&writers[0], "a paused write");
    expect_silence(&writers[1], "a paused write");
    expect_part(ask_text(&a, "INFO clients"), "blocked_clients:2\r\n");
    expect_part(ask_text(&a, "CLIENT LIST ID 2"), " flags=b ");
    client_ask(&a, "CLIENT UNPAUSE", "+OK");
    client_expect(&writers[0], "1");
    client_expect(&writers[0], "1");
    client_expect(&writers[1], ":2");
    client_expect(&writers[1], "$1");
    client_expect(&writers[1], "2");
    expect_part(ask_text(&a, "INFO clients"), "blocked_clients:0\r\n");
    client_close(&a);
    client_close(&reader);
    client_close(&writers[0]);
    client_close(&writers[1]);
    server_stop(&s);
}

/* A pause of all ends by itself, and then all is answered in order; the client that asked for it waits as well. */
static void paused_all(void)
{
    struct server s;
    struct client a;
    struct client text;
    server_start(&s, NULL);
    open_resp(&a, &s);
    client_open(&text, &s);
    client_ask(&text, "SET k 1", "OK");
    client_ask(&a, "CLIENT PAUSE 400", "+OK");
    send_line(&text, "GET k\r\nSET k 2\r\nGET k\r\nNOTHING");
    client_sendf(&a, "PING\r\nCLIENT UNPAUSE\r\n");
    client_expect(&a, "+PONG");
    client_expect(&a, "+OK");
    client_expect(&text, "1");
    client_expect(&text, "OK");
    client_expect(&text, "2");
    client_expect_start(&text, "ERR UNKNOWN ");
    client_ask(&a, "CLIENT PAUSE 60000 WRITE", "+OK");
    client_ask(&a, "CLIENT PAUSE 1 WRITE", "+OK"); /* the longer one counts */
    send_line(&text, "SET k 3");
    client_let_run(&a);
    expect_silence(&text, "a paused write");
    client_close(&text); /* while it waits */
    client_ask(&a, "CLIENT UNPAUSE", "+OK");
    client_ask(&a, "PING", "+PONG");
    client_close(&a);
    server_stop(&s);
}

/* What a client sends while it waits stays where it is: in the kernel. */
static void paused_flood(void)
{
    struct server s;
    struct client a;
    struct client flood;
    static char lines[FLOOD_BYTES];
    check_needs_plain_memory();
    server_start(&s, NULL);
    open_resp(&a, &s);
    client_open(&flood, &s);
    client_ask(&flood, "PING", "+PONG");
    size_t before = server_memory(&s, "VmHWM");
    client_ask(&a, "CLIENT PAUSE " FOR_EVER " WRITE", "+OK");
    for (size_t i = 0; i < sizeof(lines); i++) {
        lines[i] = "SET k 1\n"[i % 8];
    }
    size_t taken = client_send_some(&flood, lines, sizeof(lines), FLOOD_PATIENCE_MS);
    CHECK(taken < sizeof(lines), "all %zu bytes were taken", taken);
    client_let_run(&a);
    size_t after = server_memory(&s, "VmHWM");
    CHECK(after < before + FLOOD_MEMORY_MAX, "the server has grown from %zu to %zu bytes", before, after);
    client_close(&flood);
    client_close(&a);
    server_stop(&s);
}

/* A server that is stopped stops, and what waits is not run at the last moment. */
static void stopped_in_a_pause(void)
{
    struct server s;
    struct client a;
    struct client writer;
    struct client text;
    server_start_on(&s, "data", NULL);
    open_resp(&a, &s);
    open_resp(&writer, &s);
    client_open(&text, &s);
    client_ask(&a, "CLIENT PAUSE " FOR_EVER " ALL", "+OK");
    send_line(&writer, "SET k 1");
    send_line(&text, "SET k 1");
    server_wait_idle(&s);
    server_signal(&s, SIGTERM);
    client_expect_gone(&writer);
    client_close(&writer);
    client_expect_gone(&text);
    client_close(&text);
    client_expect_gone(&a);
    client_close(&a);
    server_join(&s, 20000);
    server_start_on(&s, "data", NULL);
    client_open(&text, &s);
    client_ask(&text, "EXISTS k", "0");
    client_close(&text);
    server_stop(&s);
}

/* --- CLIENT REPLY --- */

/* An answer that comes later, from the disk, is kept back too. */
static void silenced(void)
{
    struct server s;
    struct client a;
    server_start_on(&s, "data", NULL);
    open_resp(&a, &s);
    client_sendf(&a, "CLIENT REPLY OFF\r\nSET k 1\r\nCHECKPOINT\r\nINCR k\r\nNOTHING\r\nCLIENT REPLY ON\r\n");
    client_expect(&a, "+OK");
    client_sendf(&a, "CLIENT REPLY SKIP\r\nCHECKPOINT\r\nINCR k\r\n");
    client_expect(&a, ":3");
    client_sendf(&a, "CLIENT REPLY SKIP\r\nINCR k\r\nINCR k\r\nCHECKPOINT\r\n");
    client_expect(&a, ":5");
    client_expect(&a, "+OK");
    client_sendf(&a, "CLIENT REPLY OFF\r\nINCR k\r\nQUIT\r\n");
    client_expect_eof(&a);
    client_close(&a);
    open_resp(&a, &s);
    client_ask(&a, "INCR k", ":7");
    client_close(&a);
    server_stop(&s);
}

/* And one that takes many turns of the loop. */
static void silenced_list(void)
{
    struct server s;
    struct client a;
    server_start(&s, NULL);
    open_resp(&a, &s);
    for (int i = 0; i < 40; i++) {
        client_sendf(&a, "MSET");
        for (int k = 0; k < 500; k++) {
            client_sendf(&a, " k%d v", 500 * i + k);
        }
        client_sendf(&a, "\r\n");
        client_expect(&a, "+OK");
    }
    client_sendf(&a, "CLIENT REPLY SKIP\r\nKEYS k1999*\r\nDBSIZE\r\n");
    client_expect(&a, ":20000");
    client_sendf(&a, "CLIENT REPLY OFF\r\nKEYS k1999*\r\nCLIENT REPLY ON\r\nDBSIZE\r\n");
    client_expect(&a, "+OK");
    client_expect(&a, ":20000");
    client_ask(&a, "KEYS k1999*", "*11");
    client_close(&a);
    server_stop(&s);
}

/* --- a password --- */

static const char *write_password(const char *bytes, mode_t mode)
{
    const char *path = check_path("password");
    FILE *file = fopen(path, "w");
    CHECK(file != NULL && fputs(bytes, file) >= 0 && fclose(file) == 0 && chmod(path, mode) == 0, "no file for the password");
    return path;
}

static void password_files(void)
{
    static const struct {
        const char *bytes;
        mode_t mode;
        const char *says;
    } rows[] = {
        {"sesame\n", 0604, "other users may read or change it; chmod o-rwx keeps them out"},
        {"sesame\n", 0602, "other users may read or change it; chmod o-rwx keeps them out"},
        {"", 0600, "its first line, the password, is empty"},
        {"\nsesame\n", 0600, "its first line, the password, is empty"},
        {"\r\nsesame\n", 0600, "its first line, the password, is empty"},
    };
    static char expected[512];
    static struct server_result result;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const char *path = write_password(rows[i].bytes, rows[i].mode);
        server_run(&result, "--password-file", path, NULL);
        snprintf(expected, sizeof(expected), "txkv-server: --password-file %s: %s\n", path, rows[i].says);
        CHECK(result.status == 1 && strcmp(result.err, expected) == 0, "status %d, '%s', not '%s'", result.status, result.err, expected);
    }
    char longest[600];
    memset(longest, 'x', sizeof(longest));
    longest[513] = '\0';
    server_run(&result, "--password-file", write_password(longest, 0600), NULL);
    CHECK(result.status == 1 && strstr(result.err, "over 512 bytes") != NULL, "'%s'", result.err);
    server_run(&result, "--password-file", check_path("nothing"), NULL);
    CHECK(result.status == 1 && strstr(result.err, "No such file") != NULL, "'%s'", result.err);
}

static void password(void)
{
    struct server s;
    struct client text;
    struct client resp;
    server_start(&s, "--password-file", write_password("open sesame\r\nand more\n", 0600), NULL);
    client_open(&text, &s);
    client_ask_start(&text, "SET k 1", "ERR DENIED ");
    client_ask_start(&text, "AUTH open", "ERR DENIED ");
    client_ask(&text, "AUTH open sesame", "OK");
    client_ask(&text, "EXISTS k", "0");
    client_open(&resp, &s);
    client_sendf(&resp, "*1\r\n$4\r\nPING\r\n");
    client_expect(&resp, "-NOAUTH Authentication required.");
    client_ask(&resp, "AUTH wrong", "-WRONGPASS invalid username-password pair or user is disabled.");
    client_ask(&resp, "AUTH default \"open sesame\"", "+OK");
    client_ask(&resp, "PING", "+PONG");
    const char *list = ask_text(&resp, "CLIENT LIST");
    CHECK(strstr(list, "sesame") == NULL, "the password is listed:\n%s", list);
    client_ask(&resp, "RESET", "+RESET");
    client_ask(&resp, "PING", "-NOAUTH Authentication required.");
    client_sendf(&resp, "*11\r\n");
    client_expect(&resp, "-ERR Protocol error: unauthenticated multibulk length");
    client_expect_eof(&resp);
    client_close(&resp);
    client_close(&text);
    server_stop(&s);
}

/* Who has not said the password costs little, whatever it sends. */
static void guests_flood(void)
{
    struct server s;
    struct client guests[GUESTS];
    static char bytes[1 << 20];
    check_needs_plain_memory();
    server_start(&s, "--password-file", write_password("sesame\n", 0600), NULL);
    size_t before = server_memory(&s, "VmHWM");
    memset(bytes, 'x', sizeof(bytes));
    for (int i = 0; i < GUESTS; i++) {
        client_open(&guests[i], &s);
        client_send_some(&guests[i], bytes, sizeof(bytes), FLOOD_PATIENCE_MS);
    }
    server_wait_idle(&s);
    size_t after = server_memory(&s, "VmHWM");
    CHECK(after < before + GUESTS * GUEST_MEMORY_MAX, "the server has grown from %zu to %zu bytes", before, after);
    for (int i = 0; i < GUESTS; i++) {
        client_sendf(&guests[i], "\r\nAUTH sesame\r\n");
        client_expect_start(&guests[i], "ERR DENIED ");
        client_expect(&guests[i], "OK");
        client_close(&guests[i]);
    }
    server_stop(&s);
}

static const struct check checks[] = {
    {"listed", listed},
    {"killed", killed},
    {"killed in a flood", killed_in_a_flood},
    {"paused writes", paused_writes},
    {"paused all", paused_all},
    {"paused flood", paused_flood},
    {"stopped in a pause", stopped_in_a_pause},
    {"silenced", silenced},
    {"silenced list", silenced_list},
    {"password files", password_files},
    {"password", password},
    {"guests flood", guests_flood},
};

CHECK_MAIN(checks)
