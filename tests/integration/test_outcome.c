/* What became of a COMMIT, across ends of the server of every kind: from the log, from checkpoints, from a backup, and where it
 * was killed on the way of that very commit. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "server_fixture.h"
#include "wire.h"

#define SEGMENT "--log-segment-bytes", "12M" /* small files are made faster */
#define END_MS 20000

/* One of each kind: committed, and committed without a change; rolled back; open. */
static void leave_some(const struct server *s, struct client *c)
{
    client_open(c, s);
    client_ask(c, "BEGIN SERIALIZABLE ID one", "OK");
    client_ask(c, "INCR n", "1");
    client_ask(c, "COMMIT", "OK");
    client_ask(c, "BEGIN ID empty", "OK");
    client_ask(c, "COMMIT", "OK");
    client_ask(c, "BEGIN ID back", "OK");
    client_ask(c, "INCR n", "2");
    client_ask(c, "ROLLBACK", "OK");
    client_ask(c, "OUTCOME back", "ABORTED");
    client_ask(c, "BEGIN ID open", "OK");
    client_ask(c, "INCR n", "2");
}

/* Those that were committed are known, and cannot be applied again; of the others nothing is known, and they can. */
static void expect_some(const struct server *s)
{
    struct client c;
    client_open(&c, s);
    client_ask(&c, "OUTCOME one", "COMMITTED");
    client_ask(&c, "OUTCOME empty", "COMMITTED");
    client_ask(&c, "OUTCOME back", "UNKNOWN");
    client_ask(&c, "OUTCOME open", "UNKNOWN");
    client_ask_start(&c, "BEGIN SERIALIZABLE ID one", "ERR DONE ");
    client_ask_start(&c, "INCR n", "ERR ABORTED ");
    client_ask_start(&c, "COMMIT", "ERR ABORTED ");
    client_ask(&c, "GET n", "1");
    client_ask(&c, "BEGIN ID open", "OK");
    client_ask(&c, "ROLLBACK", "OK");
    client_close(&c);
}

static void killed(void)
{
    struct server s;
    struct client c;
    server_start_on(&s, "data", SEGMENT, NULL);
    leave_some(&s, &c);
    server_kill(&s);
    client_close(&c);
    server_start_on(&s, "data", SEGMENT, NULL);
    expect_some(&s);
    server_kill(&s);
    server_start_on(&s, "data", SEGMENT, NULL);
    expect_some(&s);
    server_stop(&s);
}

/* Two checkpoints are kept, and the log before the older one goes: so three of them leave no record of the commits. */
static void checkpoints(void)
{
    struct server s;
    struct client c;
    server_start_on(&s, "data", SEGMENT, NULL);
    leave_some(&s, &c);
    client_ask(&c, "ROLLBACK", "OK");
    client_ask(&c, "CHECKPOINT", "OK");
    client_ask(&c, "SET later 1", "OK");
    client_ask(&c, "CHECKPOINT", "OK");
    server_kill(&s);
    client_close(&c);
    for (int i = 0; i < 3; i++) {
        server_start_on(&s, "data", SEGMENT, NULL);
        expect_some(&s);
        client_open(&c, &s);
        client_ask(&c, "SET later 2", "OK");
        client_close(&c);
        server_stop(&s); /* makes a checkpoint */
    }
    server_start_on(&s, "data", SEGMENT, NULL);
    expect_some(&s);
    server_stop(&s);
}

static void backup(void)
{
    struct server s;
    struct client c;
    server_start(&s, "--backup-dir", check_path("copies"), NULL);
    leave_some(&s, &c);
    client_ask(&c, "ROLLBACK", "OK");
    client_ask(&c, "BACKUP all", "OK");
    client_close(&c);
    server_stop(&s);
    server_start_on(&s, "copies/all", SEGMENT, NULL);
    expect_some(&s);
    server_stop(&s);
}

/* The option counts; when there is no room, transactions go on without IDs, and who runs the server is told, once. */
static void outcome_max(void)
{
    struct server s;
    struct client c;
    struct text out = {0};
    struct text expected = {0};
    char said[1024];
    server_start(&s, "--outcome-max", "1000", NULL);
    s.may_complain = true;
    client_open(&c, &s);
    for (int i = 0; i < 1000; i++) {
        text_addf(&out, "BEGIN ID t%d\r\nCOMMIT\r\n", i);
        text_addf(&expected, "OK\r\nOK\r\n");
    }
    client_exchange(&c, &out, &expected);
    text_free(&out);
    text_free(&expected);
    server_stderr(&s, said, sizeof(said));
    CHECK(said[0] == '\0', "there was room for all of them: %s", said);
    for (int i = 0; i < 3; i++) {
        client_ask_start(&c, "BEGIN ID more", "ERR FULL no room for a further ID (--outcome-max)");
        client_ask(&c, "ROLLBACK", "OK");
    }
    server_stderr(&s, said, sizeof(said));
    CHECK(strstr(said, "all 1000 IDs (--outcome-max)") != NULL && strstr(said, "; 1 a second are the most") != NULL,
          "the operator is not told, or not by how much: '%s'", said);
    CHECK(strchr(said, '\n') == said + strlen(said) - 1, "it is said more than once: %s", said);
    client_ask(&c, "OUTCOME t0", "COMMITTED");
    client_ask(&c, "OUTCOME t999", "COMMITTED");
    client_ask_start(&c, "BEGIN ID t0", "ERR DONE ");
    client_ask(&c, "ROLLBACK", "OK");
    client_ask(&c, "BEGIN", "OK");
    client_ask(&c, "COMMIT", "OK");
    client_close(&c);
    server_stop(&s);
}

/* --- killed on the way --- */

struct point {
    const char *crash; /* of the first commit after the start */
    bool applied;      /* it is on its way to the disk by then, which a killed process does not stop */
};

static const struct point points[] = {
    {"commit_recorded:1", false}, {"batch_taken:1", false}, {"batch_write:1", false},
    {"batch_written:1", true},    {"batch_synced:1", true}, {"batch_done:1", true},
};

static void skip_without_faults(const struct server *s)
{
    struct client c;
    client_open(&c, s);
    client_sendf(&c, "LASTSEQ\r\n");
    size_t len;
    const char *line = client_line(&c, &len);
    if (line == NULL || strcmp(line, "0") != 0) {
        check_skip("this build of the server has no kill points");
    }
    client_close(&c);
}

/* The client sends its transaction again until it has been told, and it is applied once. */
static void kill_at(const struct point *point, int number)
{
    struct server s;
    struct client c;
    char name[16];
    snprintf(name, sizeof(name), "data%d", number);
    setenv("TXKV_CRASH", point->crash, 1);
    server_start_on(&s, name, SEGMENT, NULL);
    skip_without_faults(&s);
    client_open(&c, &s);
    client_ask(&c, "BEGIN ID t", "OK");
    client_ask(&c, "INCR n", "1");
    client_sendf(&c, "COMMIT\r\n");
    CHECK(server_end(&s, END_MS, NULL, 0) == -SIGKILL, "%s: the server was not killed", point->crash);
    client_expect_gone(&c);
    client_close(&c);
    unsetenv("TXKV_CRASH");
    server_start_on(&s, name, SEGMENT, NULL);
    client_open(&c, &s);
    client_ask(&c, "OUTCOME t", point->applied ? "COMMITTED" : "UNKNOWN");
    client_sendf(&c, "BEGIN ID t\r\nINCR n\r\nCOMMIT\r\n");
    if (point->applied) {
        client_expect_start(&c, "ERR DONE ");
        client_expect_start(&c, "ERR ABORTED ");
        client_expect_start(&c, "ERR ABORTED ");
    } else {
        client_expect(&c, "OK");
        client_expect(&c, "1");
        client_expect(&c, "OK");
    }
    client_ask(&c, "GET n", "1");
    client_ask(&c, "OUTCOME t", "COMMITTED");
    client_close(&c);
    server_stop(&s);
}

static void killed_on_the_way(void)
{
    for (int i = 0; i < (int)(sizeof(points) / sizeof(points[0])); i++) {
        kill_at(&points[i], i);
    }
}

static const struct check checks[] = {
    {"killed", killed},
    {"checkpoints", checkpoints},
    {"backup", backup},
    {"--outcome-max", outcome_max},
    {"on the way", killed_on_the_way},
};

CHECK_MAIN(checks)
