/* Checkpoints and backups: when they are made, what they replace, and that they hold the data of one moment. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "server_fixture.h"
#include "wire.h"

#define SMALL "--tx-bytes", "16K", "--value-max", "16K", "--log-segment-bytes", "64K"
#define NO_GROWTH "--checkpoint-log-bytes", "1G"
#define GROWTH "--checkpoint-log-bytes", "64K"
#define PROMPT_MS 20000

/* --- files --- */

struct files {
    size_t count;
    char first[300]; /* by name */
    char last[300];
};

static struct files list(const char *directory, const char *prefix)
{
    struct files files = {0};
    struct dirent *entry;
    DIR *dir = opendir(check_path(directory));
    CHECK(dir != NULL, "%s: %s", directory, strerror(errno));
    while ((entry = readdir(dir)) != NULL) {
        if (strncmp(entry->d_name, prefix, strlen(prefix)) != 0) {
            continue;
        }
        if (files.count == 0 || strcmp(entry->d_name, files.first) < 0) {
            snprintf(files.first, sizeof(files.first), "%s", entry->d_name);
        }
        if (files.count == 0 || strcmp(entry->d_name, files.last) > 0) {
            snprintf(files.last, sizeof(files.last), "%s", entry->d_name);
        }
        files.count++;
    }
    closedir(dir);
    return files;
}

static void expect_said(const struct server *s, const char *part)
{
    char said[8192];
    server_stderr(s, said, sizeof(said));
    CHECK(strstr(said, part) != NULL, "standard error does not say '%s': %s", part, said);
}

/* --- data: the nth commit sets key n % KEYS to n, or deletes it, so that the data tell of which moment they are --- */

#define KEYS 4000
#define PADDING 1000
#define NEVER (-1)

static int flushed_before = NEVER; /* this commit, all keys were removed */

static bool deletes(int n)
{
    return n >= KEYS && n % 7 == 3;
}

static void add_commit(struct text *out, int n)
{
    if (n == flushed_before) {
        text_addf(out, "FLUSH\r\n");
    }
    if (deletes(n)) {
        text_addf(out, "DEL key%d\r\n", n % KEYS);
        return;
    }
    text_add_line(out, (char)('a' + n % 26), PADDING, "SET key%d %d ", n % KEYS, n);
}

/* Commits first .. end-1, and their answers. */
static void add_range(struct text *out, struct text *expected, int first, int end)
{
    for (int n = first; n < end; n++) {
        add_commit(out, n);
        text_addf(expected, n == flushed_before ? "OK\r\nOK\r\n" : "OK\r\n");
    }
}

static void write_range(struct client *c, int first, int end)
{
    struct text out = {0};
    struct text expected = {0};
    add_range(&out, &expected, first, end);
    client_exchange(c, &out, &expected);
    text_free(&out);
    text_free(&expected);
}

/* What key i has as of commit m: the commit that set it, or -1. */
static int value_at(int i, int m)
{
    int n = m - (m - i % KEYS + KEYS) % KEYS;
    return n < 0 || deletes(n) || (m >= flushed_before && n < flushed_before) ? -1 : n;
}

/* The first key that has not what it had then; KEYS where there is none. */
static int first_wrong(const int *value, int m)
{
    int i = 0;
    while (i < KEYS && value[i] == value_at(i, m)) {
        i++;
    }
    return i;
}

static int read_value(struct client *c, int i)
{
    size_t len;
    const char *line = client_line(c, &len);
    CHECK(line != NULL, "the server is gone");
    if (len == 0) {
        return -1;
    }
    int n = atoi(line);
    const char *space = strchr(line, ' ');
    CHECK(space != NULL && strlen(space) == PADDING + 1 && line[len - 1] == 'a' + n % 26, "key%d has a broken value: '%.40s'", i, line);
    return n;
}

/* The newest commit whose effects the data show; each key must have what it had then. */
static int moment_of(struct client *c)
{
    static int value[KEYS];
    int newest = -1;
    struct text asked = {0};
    for (int i = 0; i < KEYS; i++) {
        text_addf(&asked, "GET key%d\r\n", i);
    }
    client_send(c, asked.data, asked.len);
    for (int i = 0; i < KEYS; i++) {
        value[i] = read_value(c, i);
        newest = value[i] > newest ? value[i] : newest;
    }
    text_free(&asked);
    if (deletes(newest + 1) && first_wrong(value, newest + 1) == KEYS) {
        return newest + 1;
    }
    int wrong = first_wrong(value, newest);
    CHECK(wrong == KEYS, "key%d is of commit %d, and as of commit %d it was of %d", wrong, value[wrong], newest, value_at(wrong, newest));
    return newest;
}

static void expect_moment(struct server *s, int newest)
{
    struct client c;
    client_open(&c, s);
    int found = moment_of(&c);
    CHECK(found == newest, "the data are as of commit %d, not %d", found, newest);
    client_close(&c);
}

/* --- checkpoints --- */

static void clean_stop(void)
{
    struct server s;
    struct client c;
    server_start_on(&s, "data", NO_GROWTH, NULL);
    client_open(&c, &s);
    write_range(&c, 0, 100);
    client_close(&c);
    CHECK(list("data", "checkpoint-").count == 0, "there is a checkpoint before the stop");
    server_stop(&s);
    CHECK(list("data", "checkpoint-").count == 1, "a clean stop left no checkpoint");
    server_start_on(&s, "data", NO_GROWTH, NULL);
    expect_said(&s, "100 keys as of commit 100: checkpoint of commit 100, 0 commits from the log");
    expect_moment(&s, 99);
    server_stop(&s);
    CHECK(list("data", "checkpoint-").count == 1, "a stop without a new commit made a checkpoint");
}

static void from_the_log(void)
{
    struct server s;
    struct client c;
    server_start_on(&s, "data", NO_GROWTH, SMALL, NULL);
    client_open(&c, &s);
    write_range(&c, 0, 100);
    client_ask(&c, "CHECKPOINT", "OK");
    write_range(&c, 100, 300);
    client_close(&c);
    server_kill(&s);
    server_start_on(&s, "data", NO_GROWTH, SMALL, NULL);
    expect_said(&s, "300 keys as of commit 300: checkpoint of commit 100, 200 commits from the log");
    expect_moment(&s, 299);
    server_stop(&s);
}

/* So that nothing that runs from now on gets to the disk. The log has a marker and its next segment, so there is room to run commits. */
static void stand_still(const struct server *s, struct frozen *disk)
{
    server_wait_idle(s);
    server_freeze(s, disk);
}

static void kill_at_standstill(struct server *s, struct frozen *disk)
{
    server_signal(s, SIGKILL); /* before what stood still can go on */
    server_thaw(disk);
    server_kill(s);
}

/* Many commits under way on one connection: all that were answered are there, whenever the end comes, checkpoints going on. In every
 * other life the disk stands still meanwhile: what is answered there is surely lost. */
static void killed_in_a_pipeline(void)
{
    int next = 0;
    for (int life = 0; life < 10; life++) {
        bool stands_still = life % 2 == 1;
        struct server s;
        struct client c;
        struct client other;
        struct frozen disk = {0};
        struct text out = {0};
        struct text expected = {0};
        size_t len;
        int answered = 0;
        server_start_on(&s, "data", GROWTH, SMALL, "--log-writer", stands_still ? "thread" : "auto", NULL);
        client_open(&c, &s);
        add_range(&out, &expected, next, next + 3000);
        if (stands_still) {
            stand_still(&s, &disk);
        }
        client_send_some(&c, out.data, out.len, 50 * life); /* it need not take all */
        if (stands_still) {
            client_open(&other, &s);
            client_let_run(&other);
            client_close(&other);
            kill_at_standstill(&s, &disk);
        } else {
            while (answered < life * 20 && client_line(&c, &len) != NULL) {
                answered++;
            }
            server_kill(&s);
        }
        while (client_wait(&c, PROMPT_MS) && c.end == WIRE_OPEN && client_receive(&c, 65536, PROMPT_MS)) {
        }
        for (size_t at = c.taken; at < c.in.len; at++) {
            answered += c.in.data[at] == '\n';
        }
        client_close(&c);
        server_start_on(&s, "data", GROWTH, SMALL, NULL);
        client_open(&c, &s);
        int moment = moment_of(&c);
        CHECK(moment >= next + answered - 1 && moment < next + 3000, "%d commits from %d on were acknowledged, and the data are as of commit %d",
              answered, next, moment);
        next = moment + 1;
        client_close(&c);
        server_stop(&s);
        text_free(&out);
        text_free(&expected);
    }
}

/* Without a sync before each answer, a kill may take the last commits; what is left is as of one commit all the same. What the server was
 * done with is in the kernel's hands, and a server that stops leaves nothing out. */
static void other_modes(void)
{
    static const char *const modes[] = {"interval", "none"};
    for (size_t i = 0; i < 2; i++) {
        struct server s;
        struct client c;
        struct text out = {0};
        server_start_on(&s, modes[i], "--sync", modes[i], NO_GROWTH, SMALL, NULL);
        client_open(&c, &s);
        write_range(&c, 0, 500);
        server_wait_idle(&s);
        for (int n = 500; n < 3500; n++) {
            add_commit(&out, n);
        }
        client_send(&c, out.data, out.len);
        server_kill(&s);
        client_close(&c);
        server_start_on(&s, modes[i], "--sync", modes[i], NO_GROWTH, SMALL, NULL);
        client_open(&c, &s);
        int moment = moment_of(&c);
        CHECK(moment >= 499, "commit 499 was done with, and the data are as of commit %d", moment);
        write_range(&c, moment + 1, moment + 1001);
        client_close(&c);
        server_stop(&s);
        server_start_on(&s, modes[i], "--sync", modes[i], NO_GROWTH, SMALL, NULL);
        expect_moment(&s, moment + 1000);
        server_stop(&s);
        text_free(&out);
    }
}

/* When it is answered the file is there, of all that was acknowledged before. */
static void asked_for(void)
{
    struct server s;
    struct client c;
    char wanted[64];
    server_start_on(&s, "data", NO_GROWTH, SMALL, NULL);
    client_open(&c, &s);
    for (int i = 1; i <= 5; i++) {
        write_range(&c, (i - 1) * 100, i * 100);
        client_ask(&c, "CHECKPOINT", "OK");
        snprintf(wanted, sizeof(wanted), "checkpoint-%016x", i * 100);
        struct files files = list("data", "checkpoint-");
        CHECK(strcmp(files.last, wanted) == 0, "CHECKPOINT was answered, and the newest file is %s", files.last);
        CHECK(files.count == (i == 1 ? 1 : 2), "%zu checkpoints are kept", files.count);
        client_ask(&c, "CHECKPOINT", "OK"); /* there is nothing new */
        client_sendf(&c, "CHECKPOINT\r\nPING\r\nCHECKPOINT\r\n");
        client_expect(&c, "OK");
        client_expect(&c, "+PONG");
        client_expect(&c, "OK");
    }
    client_close(&c);
    server_stop(&s);
}

/* What the older of the two checkpoints does not need goes. */
static void old_segments_go(void)
{
    struct server s;
    struct client c;
    server_start_on(&s, "data", NO_GROWTH, SMALL, NULL);
    client_open(&c, &s);
    write_range(&c, 0, 1000);
    struct files before = list("data", "log-");
    CHECK(before.count > 10, "1,000 commits of 1,000 bytes are in %zu segments", before.count);
    client_ask(&c, "CHECKPOINT", "OK");
    CHECK(strcmp(list("data", "log-").first, before.first) == 0, "the log went with the first checkpoint, damage to which would lose all");
    write_range(&c, 1000, 1001);
    client_ask(&c, "CHECKPOINT", "OK");
    struct files after = list("data", "log-");
    CHECK(after.count <= 3, "behind two checkpoints %zu of %zu segments are left", after.count, before.count);
    client_close(&c);
    server_kill(&s);
    server_start_on(&s, "data", NO_GROWTH, SMALL, NULL);
    expect_moment(&s, 1000);
    server_stop(&s);
}

/* Killed when the checkpoint had its name and before that was removed: there is no new commit, and a CHECKPOINT or a stop removes it. */
static void old_segments_go_later(void)
{
    for (int stops = 0; stops < 2; stops++) {
        struct server s;
        struct client c;
        char segment[300];
        const char *name = stops ? "stops" : "asks";
        const char *kept = check_path(stops ? "kept-1" : "kept-0");
        server_start_on(&s, name, NO_GROWTH, SMALL, NULL);
        client_open(&c, &s);
        write_range(&c, 0, 500);
        client_ask(&c, "CHECKPOINT", "OK");
        write_range(&c, 500, 1000);
        snprintf(segment, sizeof(segment), "%s/log-%016x", check_path(name), 1);
        CHECK(link(segment, kept) == 0, "%s: %s", segment, strerror(errno));
        client_ask(&c, "CHECKPOINT", "OK");
        CHECK(access(segment, F_OK) < 0, "%s is there behind two checkpoints", segment);
        client_close(&c);
        server_kill(&s);
        CHECK(rename(kept, segment) == 0, "%s: %s", segment, strerror(errno));
        server_start_on(&s, name, NO_GROWTH, SMALL, NULL);
        expect_moment(&s, 999);
        CHECK(access(segment, F_OK) == 0, "the start has removed it; then this check shows nothing");
        client_open(&c, &s);
        if (!stops) {
            client_ask(&c, "CHECKPOINT", "OK");
            CHECK(access(segment, F_OK) < 0, "CHECKPOINT leaves a segment that nothing needs");
        }
        client_close(&c);
        server_stop(&s);
        CHECK(access(segment, F_OK) < 0, "a stop leaves a segment that nothing needs");
    }
}

static bool has_newer(void *arg)
{
    const struct files *before = arg;
    return strcmp(list("data", "checkpoint-").last, before->last) > 0;
}

/* Whenever the log has grown enough there is a checkpoint, and in time what was before the one before it goes. */
static void log_growth(void)
{
    struct server s;
    struct client c;
    int n = 3000;
    server_start_on(&s, "data", GROWTH, SMALL, NULL);
    client_open(&c, &s);
    write_range(&c, 0, n);
    for (int i = 0; i < 4; i++, n += 100) {
        struct files before = list("data", "checkpoint-");
        write_range(&c, n, n + 100);
        check_until(has_newer, &before, PROMPT_MS, "the growth of the log makes a checkpoint");
    }
    server_wait_idle(&s);
    struct files files = list("data", "log-");
    CHECK(files.count < 20, "3,400 commits of 1,000 bytes, and %zu segments are left", files.count);
    client_close(&c);
    server_kill(&s);
    server_start_on(&s, "data", GROWTH, SMALL, NULL);
    expect_moment(&s, n - 1);
    server_stop(&s);
}

/* The newest one is damaged: the older one and the log have it all. */
static void damaged(void)
{
    struct server s;
    struct client c;
    server_start_on(&s, "data", NO_GROWTH, SMALL, NULL);
    client_open(&c, &s);
    write_range(&c, 0, 200);
    client_ask(&c, "CHECKPOINT", "OK");
    write_range(&c, 200, 400);
    client_ask(&c, "CHECKPOINT", "OK");
    write_range(&c, 400, 450);
    client_close(&c);
    server_kill(&s);
    char path[600];
    unsigned char byte;
    snprintf(path, sizeof(path), "%s/%s", check_path("data"), list("data", "checkpoint-").last);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    CHECK(fd >= 0 && pread(fd, &byte, 1, 5000) == 1, "%s: %s", path, strerror(errno));
    byte ^= 0x10;
    CHECK(pwrite(fd, &byte, 1, 5000) == 1, "%s: %s", path, strerror(errno));
    close(fd);
    server_start_on(&s, "data", NO_GROWTH, SMALL, NULL);
    expect_said(&s, "1 damaged checkpoint passed over");
    expect_said(&s, "checkpoint of commit 200, 250 commits from the log");
    expect_moment(&s, 449);
    CHECK(list("data", "saved-checkpoint-").count == 1, "the damaged one was not put aside");
    server_stop(&s);
}

/* Whoever asked for one is answered before the end; whoever has left does no harm. */
static void stopped_meanwhile(void)
{
    struct server s;
    struct client writer;
    struct client asking[4];
    server_start_on(&s, "data", NO_GROWTH, NULL);
    client_open(&writer, &s);
    write_range(&writer, 0, KEYS);
    for (int i = 0; i < 4; i++) {
        client_open(&asking[i], &s);
        client_sendf(&asking[i], "CHECKPOINT\r\nGET key1\r\n");
        client_wait_delivered(&asking[i]);
    }
    for (int i = 0; i < 3; i++) {
        client_ask(&writer, "SET key0 0 ", "OK"); /* they are all at it */
    }
    client_reset(&asking[3]);
    server_signal(&s, SIGTERM);
    for (int i = 0; i < 3; i++) {
        client_expect(&asking[i], "OK");
        client_expect_start(&asking[i], "1 ");
        client_expect_eof(&asking[i]);
        client_close(&asking[i]);
    }
    client_close(&writer);
    server_join(&s, PROMPT_MS);
}

/* --- backups --- */

/* What is in a backup is as of one commit, not before those acknowledged when it was asked for. */
static void check_backup(const char *name, int from, int to)
{
    struct server s;
    struct client c;
    char directory[64];
    snprintf(directory, sizeof(directory), "backups/%s", name);
    server_start_on(&s, directory, NULL); /* it starts as it is */
    client_open(&c, &s);
    int moment = moment_of(&c);
    printf("    %s: as of commit %d, of %d to %d\n", name, moment, from, to);
    CHECK(moment >= from && moment < to, "the backup is as of commit %d; %d was acknowledged before it, %d the newest after", moment, from, to);
    client_ask(&c, "SET key0 0 ", "OK"); /* and serves */
    client_close(&c);
    server_stop(&s);
}

/* The server finds the command and a first part of the commits in the same turn, and more of them in each that follows. */
static void write_during(struct server *s, struct client *asking, const char *command, struct client *writer, int first, int end)
{
    struct text out = {0};
    struct text expected = {0};
    add_range(&out, &expected, first, end);
    server_pause(s);
    client_sendf(asking, "%s\r\n", command);
    client_wait_delivered(asking);
    size_t sent = client_send_some(writer, out.data, out.len, 50);
    server_resume(s);
    struct text rest = {.data = out.data + sent, .len = out.len - sent};
    client_exchange(writer, &rest, &expected);
    client_expect(asking, "OK");
    text_free(&out);
    text_free(&expected);
}

static void backup_while_writing(struct server *s)
{
    struct client writer;
    struct client asking;
    client_open(&writer, s);
    client_open(&asking, s);
    write_range(&writer, 0, KEYS);
    write_during(s, &asking, "BACKUP b0", &writer, KEYS, 4 * KEYS);
    write_during(s, &asking, "BACKUP b1", &writer, 4 * KEYS, 7 * KEYS);
    client_close(&writer);
    client_close(&asking);
    server_stop(s);
    check_backup("b0", KEYS - 1, 4 * KEYS);
    check_backup("b1", 4 * KEYS - 1, 7 * KEYS);
}

static void backup(void)
{
    struct server s;
    server_start_on(&s, "data", "--backup-dir", check_path("backups"), NULL);
    backup_while_writing(&s);
    server_start_on(&s, "data", NULL);
    expect_moment(&s, 7 * KEYS - 1); /* the original has nothing of it */
    server_stop(&s);
}

static void backup_of_memory(void)
{
    struct server s;
    server_start(&s, "--backup-dir", check_path("backups"), NULL);
    CHECK(server_threads(&s) == 2, "for backups of a server in memory there are %zu threads", server_threads(&s));
    backup_while_writing(&s);
}

/* All keys are removed while they are being written down. */
static void flush_meanwhile(void)
{
    static const char *const commands[] = {"BACKUP b", "CHECKPOINT"};
    for (size_t i = 0; i < 2; i++) {
        struct server s;
        struct client writer;
        struct client asking;
        flushed_before = KEYS + 150;
        server_start_on(&s, commands[i], NO_GROWTH, "--backup-dir", check_path("backups"), NULL);
        client_open(&writer, &s);
        client_open(&asking, &s);
        write_range(&writer, 0, KEYS);
        write_during(&s, &asking, commands[i], &writer, KEYS, KEYS + 2000);
        write_during(&s, &asking, commands[1], &writer, KEYS + 2000, KEYS + 3000);
        client_close(&writer);
        client_close(&asking);
        server_kill(&s);
        server_start_on(&s, commands[i], NULL);
        expect_moment(&s, KEYS + 2999);
        server_stop(&s);
    }
    check_backup("b", KEYS - 1, KEYS + 149);
}

static void backup_names(void)
{
    static const char *const wrong[] = {"/", "..", "../b", "a/b", ".", ".b", "-b", "_b", "a b", "a\tb", "b*", "b\\", "b\x80",
                                        "0123456789012345678901234567890123456789012345678901234567890123"};
    static const char *const right[] = {"b", "B-1_2.tar", "0", "a..", "012345678901234567890123456789012345678901234567890123456789012"};
    struct server s;
    struct client c;
    char line[128];
    server_start_on(&s, "data", "--backup-dir", check_path("backups"), NULL);
    client_open(&c, &s);
    client_ask(&c, "SET a 1", "OK");
    client_ask_start(&c, "BACKUP", "ERR SYNTAX");
    client_ask_start(&c, "BACKUP ", "ERR SYNTAX");
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        snprintf(line, sizeof(line), "BACKUP %s", wrong[i]);
        client_ask_start(&c, line, "ERR SYNTAX");
    }
    CHECK(access(check_path("backups"), F_OK) < 0, "a name that is refused made a directory");
    for (size_t i = 0; i < sizeof(right) / sizeof(right[0]); i++) {
        snprintf(line, sizeof(line), "BACKUP %s", right[i]);
        client_ask(&c, line, "OK");
        snprintf(line, sizeof(line), "backups/%s", right[i]);
        CHECK(list(line, "checkpoint-").count == 1 && list(line, "").count == 3, "there is more, or less, than a checkpoint in %s", line);
    }
    CHECK(list("backups", "").count == 2 + sizeof(right) / sizeof(right[0]), "there is more than the backups");
    client_close(&c);
    server_stop(&s);
}

static void backup_that_exists(void)
{
    struct server s;
    struct client c;
    server_start_on(&s, "data", "--backup-dir", check_path("backups"), NULL);
    client_open(&c, &s);
    write_range(&c, 0, 10);
    client_ask(&c, "BACKUP b", "OK");
    write_range(&c, 10, 20);
    client_ask_start(&c, "BACKUP b", "ERR DISK there is a backup of that name");
    CHECK(mkdir(check_path("backups/mine"), 0700) == 0, "mkdir: %s", strerror(errno));
    client_ask_start(&c, "BACKUP mine", "ERR DISK there is a backup of that name");
    CHECK(list("backups/mine", "").count == 2, "a directory that is not the server's was written to");
    client_ask(&c, "BACKUP c", "OK");
    client_close(&c);
    server_stop(&s);
    check_backup("b", 9, 10);
    check_backup("c", 19, 20);
}

/* One that a server that was killed has left: what is in it does not get into the next one, and a backup of any name removes it. */
static void backup_that_was_not_finished(void)
{
    struct server s;
    struct client c;
    server_start(&s, "--backup-dir", check_path("backups"), NULL);
    client_open(&c, &s);
    write_range(&c, 0, 50);
    client_ask(&c, "BACKUP b", "OK");
    client_close(&c);
    server_stop(&s);
    CHECK(rename(check_path("backups/b"), check_path("backups/.b.partial")) == 0, "rename: %s", strerror(errno));
    server_start(&s, "--backup-dir", check_path("backups"), NULL);
    client_open(&c, &s);
    write_range(&c, 0, 10);
    client_ask(&c, "BACKUP b", "OK");
    CHECK(list("backups/b", "checkpoint-").count == 1, "the backup has an older server's checkpoint too");
    CHECK(rename(check_path("backups/b"), check_path("backups/.b.partial")) == 0, "rename: %s", strerror(errno));
    client_ask(&c, "BACKUP c", "OK");
    CHECK(list("backups", "").count == 2 + 1, "what was left is there still");
    client_close(&c);
    server_stop(&s);
    check_backup("c", 9, 10);
}

/* Two servers with one --backup-dir and one name: who comes second must not write into, or remove, what the first is writing. */
static void backup_of_another_server(void)
{
    struct server s;
    struct client c;
    server_start(&s, "--backup-dir", check_path("backups"), NULL);
    client_open(&c, &s);
    write_range(&c, 0, 10);
    CHECK(mkdir(check_path("backups"), 0700) == 0 && mkdir(check_path("backups/.b.partial"), 0700) == 0, "mkdir: %s", strerror(errno));
    int other = open(check_path("backups/.b.partial"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int file = open(check_path("backups/.b.partial/checkpoint-000000000000000a"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    CHECK(other >= 0 && file >= 0 && flock(other, LOCK_EX) == 0, "the other server's: %s", strerror(errno));
    client_ask_start(&c, "BACKUP b", "ERR DISK there is a backup of that name");
    client_ask(&c, "BACKUP c", "OK");
    CHECK(list("backups/.b.partial", "").count == 3, "the other server's backup was touched");
    close(file);
    close(other); /* it was killed */
    client_ask(&c, "BACKUP b", "OK");
    client_close(&c);
    server_stop(&s);
    check_backup("b", 9, 10);
}

#define ASKING 4

struct refused {
    struct client asking[ASKING];
    struct files before;
};

static void ask_for_refusals(struct refused *r, int times)
{
    for (int i = 0; i < times * ASKING; i++) {
        client_sendf(&r->asking[i % ASKING], "BACKUP b\r\n");
    }
}

static bool has_newer_all_the_same(void *arg)
{
    struct refused *r = arg;
    ask_for_refusals(r, 50);
    return has_newer(&r->before);
}

/* Clients that ask for them without end keep the log from no checkpoint. */
static void backups_that_are_refused(void)
{
    struct server s;
    struct client writer;
    struct refused r;
    server_start_on(&s, "data", GROWTH, SMALL, "--backup-dir", check_path("backups"), NULL);
    client_open(&writer, &s);
    client_ask(&writer, "BACKUP b", "OK");
    client_ask_start(&writer, "BACKUP b", "ERR DISK there is a backup of that name");
    r.before = list("data", "checkpoint-");
    for (int i = 0; i < ASKING; i++) {
        client_open(&r.asking[i], &s);
    }
    ask_for_refusals(&r, 500);
    write_range(&writer, 0, 100);
    check_until(has_newer_all_the_same, &r, PROMPT_MS, "the growth of the log makes a checkpoint");
    for (int i = 0; i < ASKING; i++) {
        client_reset(&r.asking[i]);
    }
    client_close(&writer);
    server_stop(&s);
}

static void limit_memory(const struct server *s, size_t bytes)
{
    const struct rlimit space = {bytes, RLIM_INFINITY};
    CHECK(prlimit(s->pid, RLIMIT_AS, &space, NULL) == 0, "prlimit: %s", strerror(errno));
}

/* While the thread is stopped in the middle of whatever it does, the loop walks as far as its memory goes. */
static bool back_up_with(const struct server *s, struct client *c, const char *name, size_t more)
{
    struct frozen frozen;
    size_t len;
    server_freeze(s, &frozen);
    limit_memory(s, server_memory(s, "VmSize") + more);
    client_sendf(c, "BACKUP %s\r\n", name);
    client_wait_delivered(c);
    server_wait_idle(s);
    limit_memory(s, RLIM_INFINITY);
    server_thaw(&frozen);
    const char *answer = client_line(c, &len);
    bool refused = strcmp(answer, "ERR DISK the backup could not be written: Cannot allocate memory") == 0;
    CHECK(refused || strcmp(answer, "OK") == 0, "BACKUP was answered '%s'", answer);
    return !refused;
}

/* Wherever memory runs out: what is not whole is no backup. */
static void backup_without_memory(void)
{
    struct server s;
    struct client c;
    char name[16];
    int tries = 0;
    check_needs_plain_memory();
    server_start_on(&s, "data", "--backup-dir", check_path("backups"), NULL);
    client_open(&c, &s);
    write_range(&c, 0, KEYS);
    do {
        CHECK(tries < 64, "no backup was made");
        snprintf(name, sizeof(name), "b%d", tries);
    } while (!back_up_with(&s, &c, name, (size_t)tries++ << 18));
    CHECK(list("backups", "").count == 2 + 1, "there is more than the one that was made");
    client_close(&c);
    server_stop(&s);
    check_backup(name, KEYS - 1, KEYS);
    CHECK(tries > 1, "memory did not run out");
}

static void backup_to_nowhere(void)
{
    struct server s;
    struct client c;
    server_start_on(&s, "data", "--backup-dir", check_path("no/where"), NULL);
    client_open(&c, &s);
    client_ask(&c, "SET a 1", "OK");
    client_ask_start(&c, "BACKUP b", "ERR DISK the backup could not be written: No such file or directory");
    client_ask(&c, "SET a 2", "OK");
    client_ask(&c, "CHECKPOINT", "OK");
    client_close(&c);
    server_stop(&s);
    server_start_on(&s, "data", NULL);
    client_open(&c, &s);
    client_ask_start(&c, "BACKUP b", "ERR DISK this server takes no backups");
    client_close(&c);
    server_stop(&s);
}

static const struct check checks[] = {
    {"clean stop", clean_stop},
    {"from the log", from_the_log},
    {"killed in a pipeline", killed_in_a_pipeline},
    {"--sync interval and none", other_modes},
    {"asked for", asked_for},
    {"old segments go", old_segments_go},
    {"old segments go later", old_segments_go_later},
    {"log growth", log_growth},
    {"damaged", damaged},
    {"stopped meanwhile", stopped_meanwhile},
    {"backup", backup},
    {"backup of memory", backup_of_memory},
    {"FLUSH meanwhile", flush_meanwhile},
    {"backup, names", backup_names},
    {"backup that exists", backup_that_exists},
    {"backup that was not finished", backup_that_was_not_finished},
    {"backup of another server", backup_of_another_server},
    {"backups that are refused", backups_that_are_refused},
    {"backup without memory", backup_without_memory},
    {"backup to nowhere", backup_to_nowhere},
};

CHECK_MAIN(checks)
