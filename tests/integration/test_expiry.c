/* Keys that end, on a real server with a real clock: it removes them although nobody asks, and their ends outlive it. No answer
 * here depends on how fast anything is: ends are hours away, or what is waited for. */
#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "check.h"
#include "server_fixture.h"
#include "wire.h"

#define PATIENCE_MS 20000
#define MANY 20000

static const char greeting[] = "*1\r\n$4\r\nPING\r\n";

/* A client that speaks RESP. */
static void open_resp(struct client *c, const struct server *s)
{
    client_open(c, s);
    client_send(c, greeting, strlen(greeting));
    client_expect(c, "+PONG");
}

static long long wall_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (long long)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Sets key at value until a time in Unix milliseconds. */
static void set_until(struct client *c, const char *key, const char *value, long long at)
{
    char line[128];
    snprintf(line, sizeof(line), "SET %s %s PXAT %lld", key, value, at);
    client_ask(c, line, "+OK");
}

static void expect_end(struct client *c, const char *key, long long at)
{
    char line[64];
    char answer[64];
    snprintf(line, sizeof(line), "PEXPIRETIME %s", key);
    snprintf(answer, sizeof(answer), ":%lld", at);
    client_ask(c, line, answer);
}

static bool time_has_come(void *at)
{
    return wall_ms() > *(const long long *)at;
}

/* --- nobody asks --- */

/* The commit of the newest checkpoint, by its name. */
static unsigned long long checkpoint_seq(const char *directory)
{
    struct dirent *entry;
    unsigned long long newest = 0;
    DIR *dir = opendir(check_path(directory));
    CHECK(dir != NULL, "there is no directory %s", directory);
    while ((entry = readdir(dir)) != NULL) {
        unsigned long long seq;
        if (sscanf(entry->d_name, "checkpoint-%llx", &seq) == 1 && seq > newest) {
            newest = seq;
        }
    }
    closedir(dir);
    return newest;
}

struct asking {
    struct client c;
    int64_t next_ms;
};

/* Asks once a second at most: each request gives the server a turn, and some turns would remove all that there is. */
static bool has_no_key(void *arg)
{
    struct asking *a = arg;
    if (check_now_ms() < a->next_ms) {
        return false;
    }
    a->next_ms = check_now_ms() + 1000;
    size_t len;
    client_sendf(&a->c, "DBSIZE\r\n");
    const char *answer = client_line(&a->c, &len);
    return answer != NULL && strcmp(answer, ":0") == 0;
}

static void write_many(struct client *c)
{
    for (int i = 0; i < MANY; i++) {
        client_sendf(c, "SET key%d value PX %d\r\n", i, 1000 + i % 100);
    }
    for (int i = 0; i < MANY; i++) {
        client_expect(c, "+OK");
    }
}

/* The first request behind a silence sees what the server has done by itself: in the turn that it gives, few keys could go. A machine
 * that is too slow for that gets more time. */
static void idle_server(void)
{
    struct server s;
    struct client c;
    size_t len;
    bool removed = false;
    server_start(&s, NULL);
    open_resp(&c, &s);
    for (long long wait_ms = 1000; !removed; wait_ms *= 2) {
        CHECK(wait_ms < PATIENCE_MS, "keys whose time has passed are there still");
        write_many(&c);
        long long end = wall_ms() + 1100 + wait_ms;
        check_until(time_has_come, &end, 2 * PATIENCE_MS, "the end of the keys, and some time");
        client_sendf(&c, "DBSIZE\r\n");
        removed = strcmp(client_line(&c, &len), ":0") == 0;
    }
    client_ask(&c, "EXISTS key1 key2", ":0");
    client_close(&c);
    server_wait_idle(&s); /* with none left it may sleep */
    server_stop(&s);
}

/* --- ends outlive a server --- */

/* Keys whose ends were given in every way. */
static void write_ends(struct server *s, long long end)
{
    struct client c;
    open_resp(&c, s);
    set_until(&c, "set", "v", end);
    client_ask(&c, "SET expire v", "+OK");
    client_sendf(&c, "PEXPIREAT expire %lld\r\n", end + 1);
    client_expect(&c, ":1");
    set_until(&c, "persist", "v", end);
    client_ask(&c, "PERSIST persist", ":1");
    set_until(&c, "longer", "v", end);
    set_until(&c, "longer", "0123456789012345678901234567890123456789", end + 2);
    set_until(&c, "counter", "7", end + 3);
    client_ask(&c, "INCR counter", ":8");
    client_ask(&c, "BEGIN", "+OK");
    set_until(&c, "inside", "v", end + 4);
    client_ask(&c, "COMMIT", "+OK");
    client_ask(&c, "MULTI", "+OK");
    client_sendf(&c, "SET queued v PXAT %lld\r\n", end + 5);
    client_expect(&c, "+QUEUED");
    client_ask(&c, "EXEC", "*1");
    client_expect(&c, "+OK");
    client_close(&c);
}

static void expect_ends(struct server *s, long long end)
{
    struct client c;
    open_resp(&c, s);
    expect_end(&c, "set", end);
    expect_end(&c, "expire", end + 1);
    expect_end(&c, "persist", -1);
    expect_end(&c, "longer", end + 2);
    expect_end(&c, "counter", end + 3);
    expect_end(&c, "inside", end + 4);
    expect_end(&c, "queued", end + 5);
    client_ask(&c, "DBSIZE", ":7");
    client_close(&c);
}

static void killed(void)
{
    struct server s;
    long long end = wall_ms() + 3600000;
    server_start_on(&s, "data", NULL);
    write_ends(&s, end);
    server_kill(&s);
    server_start_on(&s, "data", NULL);
    expect_ends(&s, end);
    server_kill(&s);
}

static void stopped(void)
{
    struct server s;
    long long end = wall_ms() + 3600000;
    server_start_on(&s, "data", NULL);
    write_ends(&s, end);
    server_stop(&s); /* it makes a checkpoint */
    server_start_on(&s, "data", NULL);
    expect_ends(&s, end);
    server_stop(&s);
}

static void checkpoint(void)
{
    struct server s;
    struct client c;
    long long end = wall_ms() + 3600000;
    server_start_on(&s, "data", NULL);
    write_ends(&s, end);
    open_resp(&c, &s);
    client_ask(&c, "CHECKPOINT", "+OK");
    client_close(&c);
    server_kill(&s);
    server_start_on(&s, "data", NULL);
    expect_ends(&s, end);
    server_kill(&s);
}

static void backup(void)
{
    struct server s;
    struct client c;
    long long end = wall_ms() + 3600000;
    server_start(&s, "--backup-dir", check_path("backups"), NULL);
    write_ends(&s, end);
    open_resp(&c, &s);
    client_ask(&c, "BACKUP b", "+OK");
    client_close(&c);
    server_stop(&s);
    server_start_on(&s, "backups/b", NULL);
    expect_ends(&s, end);
    server_stop(&s);
}

/* --- a time that passes while no server runs --- */

static void while_it_was_down(void)
{
    struct server s;
    struct asking a = {.next_ms = 0};
    server_start_on(&s, "data", NULL);
    open_resp(&a.c, &s);
    client_ask(&a.c, "SET before v", "+OK");
    client_ask(&a.c, "DEL before", ":1");
    long long end = wall_ms() + 100;
    set_until(&a.c, "a", "v", end);
    set_until(&a.c, "b", "v", end);
    server_kill(&s);
    client_close(&a.c);
    check_until(time_has_come, &end, PATIENCE_MS, "the end of the keys");
    server_start_on(&s, "data", NULL);
    open_resp(&a.c, &s);
    client_ask(&a.c, "GET a", "$-1");
    client_ask(&a.c, "TTL b", ":-2");
    check_until(has_no_key, &a, PATIENCE_MS, "the keys are removed");
    client_ask(&a.c, "CHECKPOINT", "+OK");
    CHECK(checkpoint_seq("data") == 6, "the removal of two keys after four commits makes commit %llu", checkpoint_seq("data"));
    client_ask(&a.c, "SET a v", "+OK");
    client_close(&a.c);
    server_kill(&s);
    server_start_on(&s, "data", NULL);
    open_resp(&a.c, &s);
    client_ask(&a.c, "TTL a", ":-1");
    client_ask(&a.c, "DBSIZE", ":1");
    client_close(&a.c);
    server_kill(&s);
}

/* --- a transaction on a real clock --- */

/* Begins a transaction that has read a key which is about to end; when that is. */
static long long begin_before_the_end(struct client *c)
{
    size_t len;
    for (long long in_ms = 100;; in_ms *= 2) { /* where that was over before it was read, once more */
        long long end = wall_ms() + in_ms;
        set_until(c, "key", "v", end);
        client_ask(c, "BEGIN SERIALIZABLE", "+OK");
        client_sendf(c, "GET key\r\n");
        if (strcmp(client_line(c, &len), "$1") == 0) {
            client_expect(c, "v");
            return end;
        }
        client_ask(c, "ROLLBACK", "+OK");
    }
}

static void conflict(void)
{
    struct server s;
    struct client c;
    server_start(&s, NULL);
    open_resp(&c, &s);
    long long end = begin_before_the_end(&c);
    client_ask(&c, "SET other v", "+OK");
    check_until(time_has_come, &end, PATIENCE_MS, "the end of the key");
    client_ask(&c, "GET key", "$1");
    client_expect(&c, "v");
    client_ask_start(&c, "COMMIT", "-CONFLICT");
    client_ask(&c, "MGET key other", "*2");
    client_expect(&c, "$-1");
    client_expect(&c, "$-1");
    client_close(&c);
    server_stop(&s);
}

static const struct check checks[] = {
    {"an idle server removes keys", idle_server},
    {"ends after it was killed", killed},
    {"ends after it was stopped", stopped},
    {"ends in a checkpoint", checkpoint},
    {"ends in a backup", backup},
    {"a time that passes while it was down", while_it_was_down},
    {"a conflict", conflict},
};

CHECK_MAIN(checks)
