/* More connections than there may be, or than the system has descriptors for. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "check.h"
#include "server_fixture.h"
#include "wire.h"

#define PLACES 5
#define FILES_MAX 80
#define CROWD 200
#define SURPLUS_MAX_MS 6000

static void surplus_is_refused(void)
{
    struct server s;
    struct client c[PLACES];
    server_start(&s, "--max-connections", "5", NULL);
    for (int i = 0; i < PLACES; i++) {
        client_open(&c[i], &s);
        client_ask(&c[i], "PING", "+PONG");
    }
    for (int i = 0; i < 3 * PLACES; i++) {
        struct client surplus;
        client_open(&surplus, &s);
        client_send_anyway(&surplus, "SET a 1\r\n", 9);
        client_expect_start(&surplus, "ERR FULL all 5 connections are in use (--max-connections)");
        client_expect_eof(&surplus);
        client_close(&surplus);
    }
    for (int i = 0; i < PLACES; i++) {
        client_ask(&c[i], "EXISTS a", "0");
    }
    client_close(&c[0]);
    check_until(client_has_place, &s, 5000, "a closed connection makes place for another");
    for (int i = 1; i < PLACES; i++) {
        client_ask(&c[i], "PING", "+PONG");
        client_close(&c[i]);
    }
    server_stop(&s);
}

/* Surplus clients that stay, and never close, do not keep the places. */
static void surplus_that_stays(void)
{
    struct server s;
    struct client c;
    struct client surplus[20];
    server_start(&s, "--max-connections", "1", NULL);
    client_open(&c, &s);
    client_ask(&c, "PING", "+PONG");
    for (int i = 0; i < 20; i++) {
        client_open(&surplus[i], &s);
        client_expect_start(&surplus[i], "ERR FULL ");
    }
    client_close(&c);
    check_until(client_has_place, &s, SURPLUS_MAX_MS, "refused clients that stay do not keep the places");
    for (int i = 0; i < 20; i++) {
        client_expect_gone(&surplus[i]);
        client_close(&surplus[i]);
    }
    server_stop(&s);
}

static void limit_files(void)
{
    struct rlimit limit = {FILES_MAX, FILES_MAX};
    setrlimit(RLIMIT_NOFILE, &limit);
}

enum fate { FATE_SERVED, FATE_REFUSED, FATE_CLOSED };

static enum fate fate_of(struct client *c)
{
    size_t len;
    client_send_anyway(c, "PING\r\n", 6);
    const char *line = client_line(c, &len);
    if (line == NULL) {
        return FATE_CLOSED;
    }
    bool served = strcmp(line, "+PONG") == 0;
    CHECK(served || strncmp(line, "ERR FULL ", 9) == 0, "a client of the crowd got '%s'", line);
    return served ? FATE_SERVED : FATE_REFUSED;
}

/* The processor time of an idle second. */
static void expect_no_spinning(const struct server *s)
{
    long before = server_cpu_ticks(s);
    poll(NULL, 0, 1000); /* the time that is measured */
    long used = server_cpu_ticks(s) - before;
    CHECK(used <= 10, "the server used %ld clock ticks in a second with nothing to do", used);
}

static void out_of_descriptors(void)
{
    static const char *const args[] = {NULL};
    struct server s;
    struct client c[CROWD];
    size_t served = 0;
    server_start_with(&s, &(struct server_setup){.before_exec = limit_files, .args = args});
    s.may_complain = true;
    for (int i = 0; i < CROWD; i++) {
        client_open(&c[i], &s);
    }
    expect_no_spinning(&s);
    for (int i = 0; i < CROWD; i++) {
        served += fate_of(&c[i]) == FATE_SERVED ? 1 : 0;
    }
    CHECK(served == FILES_MAX - 64, "%zu clients were served; there is place for %d", served, FILES_MAX - 64);
    expect_no_spinning(&s);
    for (int i = 0; i < CROWD; i++) {
        client_close(&c[i]);
    }
    check_until(client_has_place, &s, SURPLUS_MAX_MS, "there is place when the crowd has left");
    server_stop(&s);
}

static void more_than_descriptors(void)
{
    static const char *const args[] = {"--max-connections", "1000", NULL};
    struct server s;
    struct client c;
    char text[1024];
    server_start_with(&s, &(struct server_setup){.before_exec = limit_files, .args = args});
    s.may_complain = true;
    server_stderr(&s, text, sizeof(text));
    CHECK(strcmp(text, "txkv-server: --max-connections 1000: only 16 are possible with 80 open files (ulimit -n)\n") ==
              0,
          "--max-connections over the limit of open files: '%s'", text);
    client_open(&c, &s);
    client_ask(&c, "PING", "+PONG");
    client_close(&c);
    server_stop(&s);
}

static const struct check checks[] = {
    {"surplus is refused", surplus_is_refused},
    {"surplus that stays", surplus_that_stays},
    {"out of descriptors", out_of_descriptors},
    {"more than descriptors", more_than_descriptors},
};

CHECK_MAIN(checks)
