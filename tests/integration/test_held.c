/* Answers that wait for the disk: with --sync commit nothing is told, and nothing shown, that is not on disk; all else is
 * answered at once. The threads that write are stopped meanwhile, so that what must wait waits as long as it takes to see it. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "check.h"
#include "server_fixture.h"
#include "wire.h"

#define PROMPT_MS 4000

struct fixture {
    struct server server;
    struct frozen frozen;
    struct client other; /* for what is to be answered at once */
};

/* A server with settled data, its disk at a standstill: a thread must write the log, as what the kernel writes cannot be stopped. */
static void set_up(struct fixture *f, const char *sync)
{
    server_start_on(&f->server, "data", "--sync", sync, "--log-writer", "thread", "--tx-bytes", "16K", "--value-max", "512K", "--log-segment-bytes", "640K", NULL);
    client_open(&f->other, &f->server);
    client_ask(&f->other, "SET settled s", "OK");
    client_ask(&f->other, "SET doomed d", "OK");
    client_ask(&f->other, "SET counter 7", "OK");
    server_wait_idle(&f->server); /* the log has its marker, and the next segment is there */
    server_freeze(&f->server, &f->frozen);
}

static void tear_down(struct fixture *f)
{
    client_close(&f->other);
    server_stop(&f->server);
}

static void open_and_send(struct client *c, const struct fixture *f, const char *lines)
{
    client_open(c, &f->server);
    client_send(c, lines, strlen(lines));
    client_wait_delivered(c);
}

static void expect_silence(const struct client *c, const char *what)
{
    CHECK(!client_wait(c, 0), "%s was answered, and is not on disk", what);
}

/* --- what waits --- */

struct held {
    const char *lines;
    const char *answers[8]; /* at once, those before `held_from` */
    size_t held_from;
};

static void check_held(struct fixture *f, const struct held *rows, size_t count)
{
    struct client clients[32];
    for (size_t i = 0; i < count; i++) {
        open_and_send(&clients[i], f, rows[i].lines);
    }
    client_let_run(&f->other);
    for (size_t i = 0; i < count; i++) {
        for (size_t line = 0; line < rows[i].held_from; line++) {
            client_expect_start(&clients[i], rows[i].answers[line]);
        }
        expect_silence(&clients[i], rows[i].lines);
    }
    server_thaw(&f->frozen);
    for (size_t i = 0; i < count; i++) {
        for (size_t line = rows[i].held_from; rows[i].answers[line] != NULL; line++) {
            client_expect_start(&clients[i], rows[i].answers[line]);
        }
        client_close(&clients[i]);
    }
}

/* The commits below are all in one connection's hand first, so that the others find them done. */
static void writers_and_readers(void)
{
    static const struct held rows[] = {
        {"SET other 1\r\n", {"OK"}, 0},
        {"SET other 2\r\nPING\r\n", {"OK", "+PONG"}, 0}, /* what is behind it waits too */
        {"PING\r\nSET other 3\r\n", {"+PONG", "OK"}, 1}, /* what is before it does not */
        {"INCR n\r\n", {"1"}, 0},
        {"DEL settled2\r\nDEL counter\r\n", {"OK", "OK"}, 1}, /* the first one changes nothing */
        {"GET fresh\r\n", {"f"}, 0},
        {"GET settled\r\nGET fresh\r\n", {"s", "f"}, 1},
        {"EXISTS doomed\r\n", {"0"}, 0},
        {"GET doomed\r\n", {""}, 0},
        {"DEL doomed\r\n", {"OK"}, 0}, /* that there is nothing to delete is news */
        {"MGET settled fresh\r\n", {"s", "f"}, 0},
        {"DBSIZE\r\n", {""}, 0},
        {"BEGIN\r\nGET settled\r\nGET fresh\r\n", {"OK", "s", "f"}, 2},
        {"BEGIN\r\nSET x 1\r\nCOMMIT\r\n", {"OK", "OK", "OK"}, 2},
    };
    struct fixture f;
    struct client writer;
    set_up(&f, "commit");
    open_and_send(&writer, &f, "SET fresh f\r\nDEL doomed\r\n");
    client_let_run(&f.other);
    expect_silence(&writer, "SET");
    check_held(&f, rows, sizeof(rows) / sizeof(rows[0]));
    client_expect(&writer, "OK");
    client_expect(&writer, "OK");
    client_close(&writer);
    tear_down(&f);
}

/* A conflict tells of the commit that it is with. */
static void conflict(void)
{
    struct fixture f;
    struct client loser;
    struct client winner;
    set_up(&f, "commit");
    client_open(&loser, &f.server);
    client_ask(&loser, "BEGIN SERIALIZABLE", "OK");
    client_ask(&loser, "GET settled", "s");
    client_ask(&loser, "SET settled l", "OK");
    open_and_send(&winner, &f, "SET settled w\r\n");
    client_let_run(&f.other);
    client_sendf(&loser, "COMMIT\r\n");
    client_wait_delivered(&loser);
    client_let_run(&f.other);
    expect_silence(&winner, "SET");
    expect_silence(&loser, "the conflict");
    server_thaw(&f.frozen);
    client_expect(&winner, "OK");
    client_expect_start(&loser, "ERR CONFLICT");
    client_ask(&loser, "GET settled", "w");
    client_close(&loser);
    client_close(&winner);
    tear_down(&f);
}

#define RESP "*1\r\n$4\r\nPING\r\n"

/* The same in RESP; an EXEC that runs nothing tells of the commit that changed what was watched. */
static void resp(void)
{
    static const struct held rows[] = {
        {RESP "MSET p 1 q 2\r\n", {"+PONG", "+OK"}, 1},
        {RESP "MULTI\r\nSET other 4\r\nEXEC\r\n", {"+PONG", "+OK", "+QUEUED", "*1", "+OK"}, 3},
        {RESP "MULTI\r\nGET settled\r\nEXEC\r\n", {"+PONG", "+OK", "+QUEUED", "*1", "$1", "s"}, 6},
        {RESP "MULTI\r\nGET fresh\r\nEXEC\r\n", {"+PONG", "+OK", "+QUEUED", "*1", "$1", "f"}, 3},
        {RESP "EXISTS settled\r\nEXISTS settled fresh\r\n", {"+PONG", ":1", ":2"}, 2},
        {RESP "RENAME doomed other\r\n", {"+PONG", "-ERR no such key"}, 1},
        {RESP "SETNX fresh 1\r\n", {"+PONG", ":0"}, 1},
    };
    struct fixture f;
    struct client watcher;
    struct client writer;
    set_up(&f, "commit");
    client_open(&watcher, &f.server);
    client_ask(&watcher, RESP "WATCH settled2", "+PONG");
    client_expect(&watcher, "+OK");
    open_and_send(&writer, &f, "SET fresh f\r\nDEL doomed\r\nDEL settled2\r\nSET settled2 2\r\n");
    client_let_run(&f.other);
    client_sendf(&watcher, "MULTI\r\nEXEC\r\n");
    client_wait_delivered(&watcher);
    client_let_run(&f.other);
    client_expect(&watcher, "+OK");
    expect_silence(&watcher, "EXEC");
    check_held(&f, rows, sizeof(rows) / sizeof(rows[0]));
    client_expect(&watcher, "*-1");
    client_close(&watcher);
    client_close(&writer);
    tear_down(&f);
}

/* --- what does not --- */

static void settled_data(void)
{
    struct fixture f;
    struct client writer;
    struct client reader;
    set_up(&f, "commit");
    client_open(&reader, &f.server);
    client_ask(&reader, "BEGIN", "OK"); /* its snapshot is older than what follows */
    open_and_send(&writer, &f, "SET settled new\r\nDEL doomed\r\nFLUSH\r\nSET settled newer\r\n");
    client_let_run(&f.other);
    client_ask(&reader, "GET settled", "s");
    client_ask(&reader, "GET doomed", "d");
    client_ask(&reader, "DBSIZE", "3");
    client_ask(&reader, "COMMIT", "OK");
    client_ask(&reader, "BEGIN SERIALIZABLE", "OK");
    client_ask(&reader, "SET mine 1", "OK");
    client_ask(&reader, "GET mine", "1");
    client_ask(&reader, "ROLLBACK", "OK");
    client_ask_start(&reader, "NONSENSE", "ERR UNKNOWN");
    expect_silence(&writer, "SET");
    server_thaw(&f.frozen);
    for (int i = 0; i < 4; i++) {
        client_expect(&writer, "OK");
    }
    client_ask(&reader, "GET settled", "newer");
    client_close(&writer);
    client_close(&reader);
    tear_down(&f);
}

static void other_modes(void)
{
    static const char *const modes[] = {"interval", "none"};
    for (size_t i = 0; i < 2; i++) {
        struct fixture f;
        set_up(&f, modes[i]);
        client_ask(&f.other, "SET settled 2", "OK");
        client_ask(&f.other, "GET settled", "2");
        client_ask(&f.other, "DEL doomed", "OK");
        client_ask(&f.other, "EXISTS doomed", "0");
        server_thaw(&f.frozen);
        tear_down(&f);
    }
}

/* --- what is held among other things --- */

#define BIG 300000

static void expect_big(struct client *c, int count)
{
    for (int i = 0; i < count; i++) {
        size_t len;
        const char *line = client_line(c, &len);
        CHECK(line != NULL && len == BIG && line[0] == 'b' && line[len - 1] == 'b', "big answer %d is not as it should be", i);
    }
}

/* Answers that fill the kernel's buffers before a held one, and behind it: all come, in order, and the held one not too early. */
static void between_big_answers(void)
{
    struct fixture f;
    struct client c;
    set_up(&f, "commit");
    server_thaw(&f.frozen);
    client_set_large(&f.other, "big", 'b', BIG);
    server_wait_idle(&f.server);
    server_freeze(&f.server, &f.frozen);
    client_open_small(&c, &f.server, 8192);
    for (int i = 0; i < 20; i++) {
        client_sendf(&c, i == 10 ? "GET big\r\nINCR n\r\nGET settled\r\n" : "GET big\r\n");
    }
    expect_big(&c, 11);
    client_let_run(&f.other);
    expect_silence(&c, "INCR");
    client_ask(&f.other, "GET settled", "s");
    server_thaw(&f.frozen);
    client_expect(&c, "1");
    client_expect(&c, "s");
    expect_big(&c, 9);
    client_ask(&c, "INCR n", "2");
    client_close(&c);
    tear_down(&f);
}

/* --- commits for which the log has no room now --- */

#define MANY 60

/* More than a segment of the log takes, which is full before the next one is there. Returns how many whole commands were sent. */
static int send_many(struct fixture *f, struct client *c, char name)
{
    struct text out = {0};
    client_open(c, &f->server);
    for (int i = 0; i < MANY; i++) {
        text_add_line(&out, name, LARGE_VALUE, "SET %c%d ", name, i);
    }
    size_t sent = client_send_some(c, out.data, out.len, 200); /* the server may stop reading before the end */
    int lines = 0;
    for (size_t at = 0; at < sent; at++) {
        lines += out.data[at] == '\n';
    }
    text_free(&out);
    return lines;
}

static void expect_many(struct client *c, int least)
{
    size_t len;
    int count = 0;
    while (client_line(c, &len) != NULL) {
        count++;
    }
    CHECK(count >= least, "%d commands were answered, %d were sent", count, least);
    CHECK(c->end == WIRE_EOF, "the connection was reset after %d answers", count);
}

/* Everybody's commits wait; what reads does not; who leaves is forgotten; and with room all goes on. */
static void no_room_now(void)
{
    struct fixture f;
    struct client clients[4];
    struct client late;
    int sent[4];
    set_up(&f, "commit");
    for (int i = 0; i < 4; i++) {
        sent[i] = send_many(&f, &clients[i], (char)('a' + i));
    }
    client_let_run(&f.other);
    client_open(&late, &f.server);
    client_sendf(&late, "GET settled\r\nSET late 1\r\nGET settled\r\n");
    client_expect(&late, "s");
    client_let_run(&f.other);
    for (int i = 0; i < 4; i++) {
        expect_silence(&clients[i], "SET");
    }
    expect_silence(&late, "SET");
    client_reset(&clients[0]);
    client_half_close(&clients[1]);
    client_ask(&f.other, "GET settled", "s");
    server_thaw(&f.frozen);
    client_expect(&late, "OK");
    client_expect(&late, "s");
    expect_many(&clients[1], sent[1]);
    client_half_close(&clients[2]);
    expect_many(&clients[2], sent[2]);
    client_close(&late);
    client_close(&clients[1]);
    client_close(&clients[2]);
    client_reset(&clients[3]);
    client_ask(&f.other, "GET late", "1");
    tear_down(&f);
}

static void no_room_and_sigterm(void)
{
    struct fixture f;
    struct client clients[3];
    set_up(&f, "commit");
    for (int i = 0; i < 3; i++) {
        send_many(&f, &clients[i], (char)('a' + i));
    }
    client_let_run(&f.other);
    server_signal(&f.server, SIGTERM);
    client_expect_eof(&f.other);
    server_thaw(&f.frozen);
    for (int i = 0; i < 3; i++) {
        expect_many(&clients[i], 1);
        client_close(&clients[i]);
    }
    client_close(&f.other);
    server_join(&f.server, PROMPT_MS);
    server_start_on(&f.server, "data", NULL);
    client_open(&f.other, &f.server);
    client_ask_start(&f.other, "GET a0", "aaaaaaaaaaaaaaaa");
    tear_down(&f);
}

/* --- what was held, and the server's end --- */

static void killed_meanwhile(void)
{
    struct fixture f;
    struct client writer;
    struct client reader;
    set_up(&f, "commit");
    open_and_send(&writer, &f, "SET settled lost\r\n");
    open_and_send(&reader, &f, "GET settled\r\n");
    client_let_run(&f.other);
    server_signal(&f.server, SIGKILL);
    server_thaw(&f.frozen);
    CHECK(server_end(&f.server, PROMPT_MS, NULL, 0) == -SIGKILL, "the server was not killed");
    client_expect_gone(&writer);
    client_expect_gone(&reader);
    client_close(&writer);
    client_close(&reader);
    client_close(&f.other);
    server_start_on(&f.server, "data", NULL);
    client_open(&f.other, &f.server);
    client_ask(&f.other, "GET settled", "s");
    tear_down(&f);
}

static void quit(void)
{
    struct fixture f;
    struct client c;
    set_up(&f, "commit");
    open_and_send(&c, &f, "SET a 1\r\nGET a\r\nQUIT\r\nSET a 2\r\n");
    client_let_run(&f.other);
    expect_silence(&c, "QUIT");
    server_thaw(&f.frozen);
    client_expect(&c, "OK");
    client_expect(&c, "1");
    client_expect_eof(&c);
    client_close(&c);
    client_ask(&f.other, "GET a", "1");
    tear_down(&f);
}

static void half_close(void)
{
    struct fixture f;
    struct client c;
    set_up(&f, "commit");
    open_and_send(&c, &f, "SET a 1\r\nGET a\r\nSET a 2");
    client_half_close(&c);
    client_let_run(&f.other);
    expect_silence(&c, "SET");
    server_thaw(&f.frozen);
    client_expect(&c, "OK");
    client_expect(&c, "1");
    client_expect_eof(&c);
    client_close(&c);
    tear_down(&f);
}

/* Whoever has the answer knows that it is there for the next server. */
static void sigterm(void)
{
    struct fixture f;
    struct client writers[20];
    char line[64];
    set_up(&f, "commit");
    for (int i = 0; i < 20; i++) {
        snprintf(line, sizeof(line), "SET key%d %d\r\nPING\r\n", i, i);
        open_and_send(&writers[i], &f, line);
    }
    client_let_run(&f.other);
    server_signal(&f.server, SIGTERM);
    client_expect_eof(&f.other); /* the signal was seen */
    expect_silence(&writers[0], "SET");
    server_thaw(&f.frozen);
    for (int i = 0; i < 20; i++) {
        client_expect(&writers[i], "OK");
        client_expect(&writers[i], "+PONG");
        client_expect_eof(&writers[i]);
        client_close(&writers[i]);
    }
    client_close(&f.other);
    server_join(&f.server, PROMPT_MS);
    server_start_on(&f.server, "data", NULL);
    client_open(&f.other, &f.server);
    for (int i = 0; i < 20; i++) {
        char wanted[16];
        snprintf(line, sizeof(line), "GET key%d", i);
        snprintf(wanted, sizeof(wanted), "%d", i);
        client_ask(&f.other, line, wanted);
    }
    tear_down(&f);
}

/* A client that leaves does not take its commit back, nor anybody down. */
static void client_leaves(void)
{
    struct fixture f;
    struct client c;
    set_up(&f, "commit");
    for (int i = 0; i < 10; i++) {
        open_and_send(&c, &f, "SET a 1\r\nGET a\r\n");
        client_let_run(&f.other);
        client_reset(&c);
    }
    client_let_run(&f.other);
    server_thaw(&f.frozen);
    client_ask(&f.other, "GET a", "1");
    tear_down(&f);
}

static const struct check checks[] = {
    {"writers and readers", writers_and_readers},
    {"conflict", conflict},
    {"RESP", resp},
    {"settled data", settled_data},
    {"--sync interval and none", other_modes},
    {"between big answers", between_big_answers},
    {"no room now", no_room_now},
    {"no room, and SIGTERM", no_room_and_sigterm},
    {"killed meanwhile", killed_meanwhile},
    {"QUIT", quit},
    {"half-close", half_close},
    {"SIGTERM", sigterm},
    {"client leaves", client_leaves},
};

CHECK_MAIN(checks)
