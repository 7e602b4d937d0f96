/* A disk that fails: the server ends at once, has acknowledged nothing that is not on disk, and starts again. And what a disk is
 * asked for: one sync for all commits that have come together. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "server_fixture.h"
#include "tracer.h"
#include "wire.h"

#define CLIENTS_MAX 8
#define SECOND_MS 1000
#define ROUNDS_BEYOND 20 /* after the failure, before it is certain that the server goes on */
#define KEYS_MAX ((52 + ROUNDS_BEYOND) * CLIENTS_MAX)

#define SMALL "--tx-bytes", "16K", "--value-max", "1K", "--log-segment-bytes", "128K"

static const char *const small[] = {SMALL, NULL};
static const char *const by_thread[] = {SMALL, "--log-writer", "thread", NULL};
static const char *const by_kernel[] = {SMALL, "--log-writer", "kernel", NULL};

/* --- commits until the end --- */

struct commits {
    struct client clients[CLIENTS_MAX];
    int client_count;
    bool acknowledged[KEYS_MAX];
    int sent; /* keys 0 .. sent-1 were sent */
    int ok;
};

/* Each client sets one key. False when the server has ended. */
static bool commit_round(struct commits *c)
{
    bool there = true;
    int first = c->sent;
    size_t len;
    for (int i = 0; i < c->client_count; i++) {
        char line[64];
        int size = snprintf(line, sizeof(line), "SET key%d value%d\r\n", c->sent, c->sent);
        client_send_anyway(&c->clients[i], line, (size_t)size);
        c->sent++;
    }
    for (int i = 0; i < c->client_count; i++) {
        CHECK(client_wait(&c->clients[i], SECOND_MS), "neither an answer nor the end within a second");
        const char *line = client_line(&c->clients[i], &len);
        there = there && line != NULL;
        if (line != NULL) {
            CHECK(strcmp(line, "OK") == 0, "SET was answered '%s'", line);
            c->acknowledged[first + i] = true;
            c->ok++;
        }
    }
    return there;
}

/* After the restart: what was acknowledged is there, what was sent last may be, and nothing else is. */
static void check_kept(const struct commits *c)
{
    struct server s;
    struct client client;
    server_start_on(&s, "data", "--tx-bytes", "16K", "--value-max", "1K", "--log-segment-bytes", "128K", NULL);
    client_open(&client, &s);
    for (int i = 0; i < c->sent; i++) {
        char value[32];
        size_t len;
        snprintf(value, sizeof(value), "value%d", i);
        client_sendf(&client, "GET key%d\r\n", i);
        const char *line = client_line(&client, &len);
        CHECK(line != NULL && (strcmp(line, value) == 0 || (line[0] == '\0' && !c->acknowledged[i])),
              "key%d, %s, is '%s' after the restart", i, c->acknowledged[i] ? "acknowledged" : "not acknowledged", line);
    }
    client_ask(&client, "SET more 1", "OK");
    client_close(&client);
    server_stop(&s);
}

/* Beside an idle client, or others, the loop does not write itself; for one client alone it does after the first commit, where a sync
 * is fast. */
enum others { ALONE, BESIDE_IDLE };

/* One client is told OK so many times at most. */
static void fail_by(const char *what, const char *call, int n, int most, int client_count, enum others others)
{
    struct server s;
    struct commits c = {.client_count = client_count};
    struct client idle;
    char said[4096];
    tracer_start(&s, "data", what, call, strncmp(call, "io_", 3) == 0 ? by_kernel : by_thread);
    for (int i = 0; i < client_count; i++) {
        client_open(&c.clients[i], &s);
    }
    if (others == BESIDE_IDLE) {
        client_open(&idle, &s);
        client_ask(&idle, "PING", "+PONG");
    }
    int rounds = 0;
    while (commit_round(&c)) {
        CHECK(++rounds < n + ROUNDS_BEYOND, "the server goes on after its %dth %s has failed", n, call);
    }
    int status = server_end(&s, SECOND_MS, said, sizeof(said));
    CHECK(status == 1, "the exit status is %d; standard error: %s", status, said);
    CHECK(strstr(said, "the log cannot be written") != NULL, "it did not say why it ended: %s", said);
    CHECK(client_count > 1 || c.ok <= most, "%d commits, one after another, were acknowledged with %d syncs", c.ok, most);
    if (others == BESIDE_IDLE) {
        client_close(&idle);
    }
    for (int i = 0; i < client_count; i++) {
        client_close(&c.clients[i]);
    }
    check_kept(&c);
    char command[256];
    snprintf(command, sizeof(command), "rm -rf '%s' '%s'", check_path("data"), check_path("trace"));
    if (system(command) != 0) {
        check_broken("%s", command);
    }
}

/* The nth call of a thread fails: they are counted for each. */
static void fail_at(const char *call, int n, int client_count, enum others others)
{
    char what[64];
    snprintf(what, sizeof(what), "inject=%s:error=EIO:when=%d", call, n);
    fail_by(what, call, n, others == ALONE ? 2 * (n - 1) : n - 1, client_count, others);
}

static void sync_fails(void)
{
    fail_at("fdatasync", 2, 1, BESIDE_IDLE);
    fail_at("fdatasync", 3, 1, BESIDE_IDLE);
    fail_at("fdatasync", 2, 1, ALONE);
    fail_at("fdatasync", 4, 1, ALONE);
    fail_at("fdatasync", 2, CLIENTS_MAX, ALONE);
    fail_at("fdatasync", 4, CLIENTS_MAX, ALONE);
    fail_at("fdatasync", 11, CLIENTS_MAX, ALONE);
}

static void sync_fails_50(void)
{
    for (int n = 2; n < 52; n++) {
        fail_at("fdatasync", n, n % 2 == 0 ? 1 : CLIENTS_MAX, n % 4 == 0 ? BESIDE_IDLE : ALONE);
    }
}

/* The first write of each thread is that of the lock, or of a segment's zeros. */
static void write_fails(void)
{
    fail_at("pwrite64", 3, 1, BESIDE_IDLE);
    fail_at("pwrite64", 3, 1, ALONE);
    fail_at("pwrite64", 4, CLIENTS_MAX, ALONE);
}

/* --- what the kernel writes by itself --- */

#define COMMITS 20

static void commit_one_by_one(struct client *c)
{
    for (int i = 0; i < COMMITS; i++) {
        client_ask(c, "SET key value", "OK");
    }
}

/* Beside another client, so that the loop does not write itself. */
static void commit_beside_idle(const struct server *s)
{
    struct client c;
    struct client idle;
    client_open(&c, s);
    client_open(&idle, s);
    client_ask(&idle, "PING", "+PONG");
    commit_one_by_one(&c);
    client_close(&c);
    client_close(&idle);
}

/* Whether it does here, for a file where the servers of this check have theirs. */
static void need_kernel(void)
{
    struct server s;
    struct client c[2];
    struct text trace = {0};
    tracer_start(&s, "probe", NULL, "io_submit", by_kernel);
    for (int i = 0; i < 2; i++) {
        client_open(&c[i], &s);
        client_ask(&c[i], "PING", "+PONG");
    }
    for (int i = 0; i < 2; i++) {
        client_ask(&c[i], "SET probe 1", "OK");
        server_wait_idle(&s); /* the segment is there: what comes next is no part of its first batch */
    }
    for (int i = 0; i < 2; i++) {
        client_close(&c[i]);
    }
    server_stop(&s);
    tracer_read(&s, &trace);
    bool does = strstr(trace.data, "= 1\n") != NULL;
    text_free(&trace);
    if (!does) {
        check_skip("the kernel does not write by itself here");
    }
}

/* The event of the nth write says this: {data, obj, res, ...} of struct io_event, in hexadecimal. */
#define EVENT_SAYS(res) "inject=io_getevents:poke_exit=@arg4=00000000000000000000000000000000" res ":when=%d"
#define MINUS_EIO "fbffffffffffffff"
#define MINUS_EAGAIN "f5ffffffffffffff"
#define MINUS_EINVAL "eaffffffffffffff"
#define BYTES_512 "0002000000000000"

/* An older strace cannot change what a call has written. */
static void need_poke(void)
{
    if (system("strace -o /dev/null -e inject=io_getevents:poke_exit=@arg4=00 true >/dev/null 2>&1") != 0) {
        check_skip("strace is not here, may not trace, or cannot poke");
    }
}

static void kernel_fails(void)
{
    need_poke();
    need_kernel();
    for (int n = 1; n < 12; n += 3) {
        char what[128];
        snprintf(what, sizeof(what), EVENT_SAYS(MINUS_EIO), n);
        fail_by(what, "io_getevents", n, n, 1, BESIDE_IDLE); /* the first commit is the log thread's */
        fail_by(what, "io_getevents", n, n, CLIENTS_MAX, ALONE);
        snprintf(what, sizeof(what), "inject=io_submit:error=EIO:when=%d", n);
        fail_by(what, "io_submit", n, n, 1, BESIDE_IDLE);
    }
}

#define BY_THREAD_COMMITS 40

/* What it has not done, or not whole, or would have to wait for, the log thread does. */
static void kernel_leaves(const char *what, const char *calls)
{
    struct server s;
    struct commits c = {.client_count = 2};
    struct text trace = {0};
    char said[4096];
    size_t syncs = 0;
    tracer_start(&s, "data", what, calls, by_kernel);
    for (int i = 0; i < c.client_count; i++) {
        client_open(&c.clients[i], &s);
    }
    while (c.ok < BY_THREAD_COMMITS) {
        CHECK(commit_round(&c), "%s: the server has ended", what);
    }
    server_kill(&s);
    for (int i = 0; i < c.client_count; i++) {
        client_close(&c.clients[i]);
    }
    tracer_read(&s, &trace);
    for (const char *at = trace.data; (at = strstr(at, "fdatasync(")) != NULL; at++) {
        syncs++;
    }
    CHECK(syncs >= BY_THREAD_COMMITS / 4, "%s: %zu syncs by a thread for %d commits", what, syncs, c.ok);
    text_free(&trace);
    check_kept(&c);
    snprintf(said, sizeof(said), "rm -rf '%s' '%s'", check_path("data"), check_path("trace"));
    if (system(said) != 0) {
        check_broken("%s", said);
    }
}

static void kernel_leaves_it(void)
{
    char what[128];
    need_poke();
    need_kernel();
    kernel_leaves("inject=io_submit:error=EAGAIN:when=2+2", "io_submit,fdatasync");
    kernel_leaves("inject=io_submit:error=EINVAL:when=2", "io_submit,fdatasync");
    kernel_leaves("inject=io_submit:error=EOPNOTSUPP:when=3", "io_submit,fdatasync");
    static const char *const said[] = {MINUS_EAGAIN, BYTES_512};
    for (size_t i = 0; i < sizeof(said) / sizeof(said[0]); i++) {
        snprintf(what, sizeof(what), "inject=io_getevents:poke_exit=@arg4=00000000000000000000000000000000%s:when=2+2", said[i]);
        kernel_leaves(what, "io_getevents,fdatasync");
    }
    snprintf(what, sizeof(what), EVENT_SAYS(MINUS_EINVAL), 2);
    kernel_leaves(what, "io_getevents,fdatasync");
}

/* One commit after the other, beside an idle client: each OK comes after the end of the write, which is a synced one. */
static void kernel_is_waited_for(void)
{
    struct server s;
    struct text trace = {0};
    int begun = 0;
    int ended = 0;
    int answers = 0;
    need_kernel();
    tracer_start(&s, "data", NULL, "io_submit,io_getevents,write,writev,sendto,sendmsg", by_kernel);
    commit_beside_idle(&s);
    server_stop(&s);
    tracer_read(&s, &trace);
    for (char *line = strtok(trace.data, "\n"); line != NULL; line = strtok(NULL, "\n")) {
        bool begins = strstr(line, " io_submit(") != NULL;
        CHECK(!begins || strstr(line, "RWF_DSYNC") != NULL, "a write that is not synced: %s", line);
        begun += begins;
        ended += strstr(line, " io_getevents(") != NULL;
        bool answer = strstr(line, "\"OK\\r\\n") != NULL;
        answers += answer;
        CHECK(!answer || (begun == ended && answers <= ended + 1), "answer %d: %d writes were begun, %d have ended; the first commit is a thread's",
              answers, begun, ended);
    }
    CHECK(answers == COMMITS && begun >= COMMITS - 1, "%d answers to %d commits, %d writes by the kernel", answers, COMMITS, begun);
    text_free(&trace);
}

/* Where the kernel takes much longer than the thread, that writes. */
static void slow_kernel_is_left(void)
{
    struct server s;
    struct text trace = {0};
    int begun = 0;
    need_kernel();
    tracer_start(&s, "data", "inject=io_getevents:delay_enter=200000", "io_submit,io_getevents", small);
    commit_beside_idle(&s);
    server_stop(&s);
    tracer_read(&s, &trace);
    for (const char *at = trace.data; (at = strstr(at, " io_submit(")) != NULL; at++) {
        begun++;
    }
    CHECK(begun > 0 && begun < COMMITS / 2, "of %d commits the kernel, which takes 0.2 s for each, has written %d", COMMITS, begun);
    text_free(&trace);
}

/* --- syncs once a second --- */

/* Syncs come once a second, whatever is asked of it, and one that fails ends it too. */
struct writing {
    struct client client;
    int sent;
};

static bool has_ended(void *arg)
{
    struct writing *w = arg;
    char line[32];
    size_t len;
    int size = snprintf(line, sizeof(line), "SET key%d 1\r\n", w->sent++);
    client_send_anyway(&w->client, line, (size_t)size);
    return client_line(&w->client, &len) == NULL;
}

static void interval_sync_fails_with(const char *what, const char *calls)
{
    const char *const args[] = {"--tx-bytes", "16K", "--value-max", "1K", "--log-segment-bytes", "1M", "--sync", "interval", "--log-writer", "thread", NULL};
    struct server s;
    struct writing w = {.sent = 0};
    char said[4096];
    tracer_start(&s, "data", what, calls, args);
    client_open(&w.client, &s);
    check_until(has_ended, &w, 10 * SECOND_MS, "the second sync has failed, and the server ends");
    int status = server_end(&s, SECOND_MS, said, sizeof(said));
    CHECK(status == 1 && strstr(said, "the log cannot be written") != NULL, "the exit status is %d; standard error: %s", status, said);
    client_close(&w.client);
}

static void interval_sync_fails(void)
{
    interval_sync_fails_with("inject=fdatasync:error=EIO:when=2", "fdatasync");
}

/* The log is being written whenever it is time for a sync. */
static void interval_sync_beside_writes(void)
{
    interval_sync_fails_with("inject=fdatasync:error=EIO:when=2 inject=pwrite64:delay_enter=20000", "fdatasync,pwrite64");
}

/* A checkpoint is no commit: the server goes on, and makes the next one. */
static void checkpoint_fails(void)
{
    struct server s;
    struct client c;
    int failed = 0;
    tracer_start(&s, "data", "inject=fsync:error=EIO:when=3", "fsync", small);
    client_open(&c, &s);
    for (int i = 0; i < 6; i++) {
        size_t len;
        client_ask(&c, "INCR n", (char[]){(char)('1' + i), '\0'});
        client_sendf(&c, "CHECKPOINT\r\n");
        const char *line = client_line(&c, &len);
        CHECK(line != NULL, "a checkpoint that failed has ended the server");
        failed += strcmp(line, "OK") != 0;
        CHECK(strcmp(line, "OK") == 0 || strcmp(line, "ERR DISK the checkpoint could not be written: Input/output error") == 0,
              "CHECKPOINT was answered '%s'", line);
    }
    CHECK(failed == 1, "%d of 6 checkpoints failed", failed);
    client_close(&c);
    server_kill(&s);
    server_start_on(&s, "data", "--tx-bytes", "16K", "--value-max", "1K", "--log-segment-bytes", "128K", NULL);
    client_open(&c, &s);
    client_ask(&c, "GET n", "6");
    client_close(&c);
    server_stop(&s);
}

/* --- syncs counted --- */

#define MANY 64

static size_t count_syncs(const struct server *s)
{
    struct text trace = {0};
    size_t count = 0;
    tracer_read(s, &trace);
    for (char *line = strtok(trace.data, "\n"); line != NULL; line = strtok(NULL, "\n")) {
        count += strstr(line, " fdatasync(") != NULL || strstr(line, "RWF_DSYNC") != NULL;
    }
    text_free(&trace);
    return count;
}

static size_t syncs_of(bool together)
{
    struct server s;
    struct client clients[MANY];
    tracer_start(&s, together ? "together" : "alone", NULL, "fdatasync,io_submit", small);
    for (int i = 0; i < MANY; i++) {
        client_open(&clients[i], &s);
        client_ask(&clients[i], "PING", "+PONG");
    }
    if (together) {
        server_pause(&s); /* so that it finds them all in one turn */
    }
    for (int i = 0; i < MANY; i++) {
        client_sendf(&clients[i], "SET key%d 1\r\n", i);
        client_wait_delivered(&clients[i]);
        if (!together) {
            client_expect(&clients[i], "OK");
        }
    }
    if (together) {
        server_resume(&s);
    }
    for (int i = 0; i < MANY; i++) {
        if (together) {
            client_expect(&clients[i], "OK");
        }
        client_close(&clients[i]);
    }
    server_stop(&s);
    return count_syncs(&s);
}

static void one_sync_for_many(void)
{
    size_t alone = syncs_of(false);
    size_t together = syncs_of(true);
    printf("    %d commits one after another: %zu syncs; together: %zu\n", MANY, alone, together);
    CHECK(alone >= MANY, "%d commits one after another took %zu syncs: some are not counted", MANY, alone);
    CHECK(together < MANY / 4, "%d commits that came together took %zu syncs", MANY, together);
}

/* Each name on the way to a backup is on disk when it is answered: of the directory for backups, of this one's, of what is in it. */
static void backup_is_on_disk(void)
{
    static const char *const steps[] = {"backups\"", "fsync(", ".b.partial\"", "fdatasync(", "fsync(", "renameat2(", "fsync("};
    const char *const args[] = {"--backup-dir", check_path("backups"), NULL};
    struct server s;
    struct client c;
    struct text trace = {0};
    tracer_start(&s, "data", NULL, "?mkdir,?mkdirat,fsync,fdatasync,renameat2", args);
    server_wait_idle(&s);
    client_open(&c, &s);
    client_ask(&c, "BACKUP b", "OK");
    client_close(&c);
    server_stop(&s);
    tracer_read(&s, &trace);
    const char *at = trace.data;
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        const char *next = strstr(at, steps[i]);
        CHECK(next != NULL, "step %zu, %s, is missing in the trace: %s", i, steps[i], trace.data);
        at = next + 1;
    }
    text_free(&trace);
}

/* --- who writes --- */

/* Syncs by the loop's own thread. */
static size_t count_own_syncs(const struct server *s)
{
    struct text trace = {0};
    char start[32];
    size_t count = 0;
    int len = snprintf(start, sizeof(start), "%d ", (int)s->pid);
    tracer_read(s, &trace);
    for (const char *line = trace.data; line != NULL; line = strchr(line, '\n')) {
        line += *line == '\n';
        const char *end = strchr(line, '\n');
        const char *sync = strstr(line, "fdatasync(");
        count += strncmp(line, start, (size_t)len) == 0 && sync != NULL && (end == NULL || sync < end);
    }
    text_free(&trace);
    return count;
}

static void commit_in_a_pipeline(struct client *c)
{
    client_ask(c, "SET key value", "OK");
    client_send(c, "SET a 1\r\nSET b 1\r\nSET c 1\r\nSET d 1\r\nSET e 1\r\n", 45);
    for (int i = 0; i < 5; i++) {
        client_expect(c, "OK");
    }
}

static void commit_much(struct client *c)
{
    client_ask(c, "SET key value", "OK");
    client_set_large(c, "key", 'v', 100000);
}

/* How many syncs were the loop's own while a client did this. The server, which goes to sleep then, is killed. */
static size_t own_syncs_of(const char *data, void (*commits)(struct client *c), bool beside_another)
{
    static const char *const args[] = {"--tx-bytes", "256K", "--value-max", "128K", "--log-segment-bytes", "1M", NULL};
    struct server s;
    struct client c;
    struct client other;
    tracer_start(&s, data, NULL, "fdatasync", args);
    client_open(&c, &s);
    if (beside_another) {
        client_open(&other, &s);
        client_ask(&other, "PING", "+PONG");
    }
    commits(&c);
    server_wait_asleep(&s); /* it stays awake for the next commit, but not for long */
    if (beside_another) {
        client_close(&other);
    }
    server_kill(&s);
    client_close(&c);
    return count_own_syncs(&s);
}

/* The loop writes for a client that is alone and waits for each commit, and for no other, nor much. */
static void loop_writes(void)
{
    printf("    of %d commits the loop has synced %zu: all but the first, where a sync takes less than a millisecond\n", COMMITS,
           own_syncs_of("alone", commit_one_by_one, false));
    CHECK(own_syncs_of("another", commit_one_by_one, true) == 0, "the loop has synced although there was another client");
    CHECK(own_syncs_of("pipeline", commit_in_a_pipeline, false) == 0, "the loop has synced for a client that sends on");
    CHECK(own_syncs_of("much", commit_much, false) == 0, "the loop has synced 100,000 bytes");
}

/* Nor does an answer that depends on nothing which is not on disk wait for that: it goes out before the loop writes. */
static void loop_answers_first(void)
{
    struct server s;
    struct client c;
    struct text trace = {0};
    int first = 0;
    tracer_start(&s, "data", NULL, "fdatasync,write,writev,sendto,sendmsg", small);
    client_open(&c, &s);
    client_ask(&c, "SET settled yes", "OK");
    commit_one_by_one(&c);
    for (int i = 0; i < COMMITS; i++) {
        client_send(&c, "GET settled\r\nSET key value\r\n", 28);
        client_expect(&c, "yes");
        client_expect(&c, "OK");
    }
    client_close(&c);
    server_stop(&s);
    tracer_read(&s, &trace);
    CHECK(strstr(trace.data, "\"yes\\r\\nOK") == NULL, "what was on disk was answered with what was not");
    for (const char *at = trace.data; (at = strstr(at, "\"yes\\r\\n\"")) != NULL; at++) {
        first++;
    }
    CHECK(first == COMMITS, "%d of %d answers are in the trace", first, COMMITS);
    text_free(&trace);
}

/* A file system that cannot rename to a free name alone, as one over a network. */
static void backup_elsewhere(void)
{
    const char *const args[] = {"--backup-dir", check_path("backups"), NULL};
    struct server s;
    struct client c;
    tracer_start(&s, "data", "inject=renameat2:error=EINVAL", "renameat2", args);
    client_open(&c, &s);
    client_ask(&c, "SET a 1", "OK");
    client_ask(&c, "BACKUP b", "OK");
    client_ask_start(&c, "BACKUP b", "ERR DISK there is a backup of that name");
    client_close(&c);
    server_kill(&s);
    server_start_on(&s, "backups/b", NULL);
    client_open(&c, &s);
    client_ask(&c, "GET a", "1");
    client_close(&c);
    server_stop(&s);
}

static const struct check checks[] = {
    {"fdatasync fails", sync_fails},
    {"soak: fdatasync fails 50 times", sync_fails_50},
    {"pwrite fails", write_fails},
    {"the kernel's write fails", kernel_fails},
    {"the kernel does not write", kernel_leaves_it},
    {"the kernel's write is waited for", kernel_is_waited_for},
    {"a slow kernel is left", slow_kernel_is_left},
    {"fdatasync fails, --sync interval", interval_sync_fails},
    {"--sync interval, beside writes", interval_sync_beside_writes},
    {"checkpoint fails", checkpoint_fails},
    {"one sync for many commits", one_sync_for_many},
    {"the loop writes for one alone", loop_writes},
    {"the loop answers first", loop_answers_first},
    {"backup is on disk", backup_is_on_disk},
    {"backup elsewhere", backup_elsewhere},
};

CHECK_MAIN(checks)
