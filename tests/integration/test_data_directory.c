/* The data directory: who may use it, what is in it, and what is refused. And the server without one. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "server_fixture.h"
#include "small_disk.h"
#include "tracer.h"
#include "wire.h"

/* Runs a server that must end by itself with this status and one line on standard error that has this part. */
static void expect_refused(const char *const *args, int status, const char *part)
{
    struct server_result r;
    server_run_with(&r, &(struct server_setup){.args = args});
    CHECK(r.status == status, "the exit status is %d, not %d; standard error: %s", r.status, status, r.err);
    CHECK(r.out[0] == '\0', "a refusal is on standard output: %s", r.out);
    CHECK(strstr(r.err, part) != NULL, "the message does not say '%s': %s", part, r.err);
    CHECK(strncmp(r.err, "txkv-server: ", 13) == 0, "the message does not name its program: %s", r.err);
}

static void expect_data_refused(const char *path, const char *part)
{
    const char *const args[] = {"--port", "0", "--data", path, NULL};
    expect_refused(args, 1, part);
}

static void set_one(struct server *s, const char *line)
{
    struct client c;
    client_open(&c, s);
    client_ask(&c, line, "OK");
    client_close(&c);
}

static void get_one(struct server *s, const char *line, const char *value)
{
    struct client c;
    client_open(&c, s);
    client_ask(&c, line, value);
    client_close(&c);
}

/* --- one owner --- */

static void one_owner(void)
{
    struct server s;
    char part[64];
    server_start_on(&s, "data", NULL);
    set_one(&s, "SET a 1");
    snprintf(part, sizeof(part), "process %d has it", (int)s.pid);
    expect_data_refused(check_path("data"), part);
    get_one(&s, "GET a", "1");
    set_one(&s, "SET a 2"); /* the other one has left no trace */
    server_kill(&s);
    server_start_on(&s, "data", NULL); /* a process that is gone has nothing */
    get_one(&s, "GET a", "2");
    server_stop(&s);
}

static void another_name(void)
{
    struct server s;
    server_start_on(&s, "data", NULL);
    CHECK(symlink(check_path("data"), check_path("link")) == 0, "symlink: %s", strerror(errno));
    expect_data_refused(check_path("link"), "has it");
    server_stop(&s);
}

/* Who takes the lock for a leftover and removes it must not get two servers that write over each other. */
static void lock_removed(void)
{
    struct server s;
    server_start_on(&s, "data", NULL);
    set_one(&s, "SET a 1");
    CHECK(unlink(check_path("data/lock")) == 0, "unlink: %s", strerror(errno));
    expect_data_refused(check_path("data"), "another process has it");
    expect_data_refused(check_path("data"), "another process has it"); /* though there is a new file by now */
    set_one(&s, "SET b 2");
    server_kill(&s);
    server_start_on(&s, "data", NULL);
    get_one(&s, "GET a", "1");
    get_one(&s, "GET b", "2");
    server_stop(&s);
}

/* Who only looks whether there is an owner, as txkv-check does, has a shared lock for a moment: the nth lock fails for that. */
static void looked_at(int nth)
{
    static const char *const none[] = {NULL};
    struct server s;
    char what[64];
    snprintf(what, sizeof(what), "inject=flock:error=EAGAIN:when=%d", nth);
    tracer_start(&s, "data", what, "flock", none);
    set_one(&s, "SET a 1");
    get_one(&s, "GET a", "1");
    server_stop(&s);
}

static void file_looked_at(void)
{
    looked_at(1);
}

static void directory_looked_at(void)
{
    looked_at(2);
}

/* Who does so for ever is told from an owner: it is not the process that had the directory last. */
static void looked_at_for_ever(void)
{
    struct server s;
    char dead[64];
    struct server_result r;
    const char *const args[] = {"--port", "0", "--data", check_path("data"), NULL};
    server_start_on(&s, "data", NULL);
    snprintf(dead, sizeof(dead), "process %d", (int)s.pid);
    server_kill(&s);
    int fd = open(check_path("data/lock"), O_RDONLY | O_CLOEXEC);
    CHECK(fd >= 0 && flock(fd, LOCK_SH | LOCK_NB) == 0, "data/lock: %s", strerror(errno));
    server_run_with(&r, &(struct server_setup){.args = args});
    CHECK(r.status == 1 && strstr(r.err, "it cannot be locked: Device or resource busy") != NULL, "status %d: %s", r.status, r.err);
    CHECK(strstr(r.err, dead) == NULL, "it names a process that is gone: %s", r.err);
    close(fd);
    server_start_on(&s, "data", NULL);
    server_stop(&s);
}

/* --- what is in it --- */

/* Files whose name begins so; each must be for its owner alone. */
static size_t count_files(const char *directory, const char *prefix)
{
    struct dirent *entry;
    struct stat st;
    size_t count = 0;
    DIR *dir = opendir(check_path(directory));
    CHECK(dir != NULL && fstat(dirfd(dir), &st) == 0, "%s: %s", directory, strerror(errno));
    CHECK((st.st_mode & 07777) == 0700, "the directory's mode is %o", st.st_mode & 07777);
    while ((entry = readdir(dir)) != NULL) {
        if (entry->d_name[0] == '.') {
            continue;
        }
        CHECK(fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0, "%s: %s", entry->d_name, strerror(errno));
        CHECK((st.st_mode & 07777) == 0600 && S_ISREG(st.st_mode), "%s: its mode is %o", entry->d_name, st.st_mode);
        count += strncmp(entry->d_name, prefix, strlen(prefix)) == 0 ? 1 : 0;
    }
    closedir(dir);
    return count;
}

static void modes(void)
{
    struct server s;
    struct client c;
    umask(0);
    server_start_on(&s, "data", "--backup-dir", check_path("backups"), NULL);
    client_open(&c, &s);
    client_ask(&c, "SET a 1", "OK");
    client_ask(&c, "CHECKPOINT", "OK");
    client_ask(&c, "BACKUP b", "OK");
    client_close(&c);
    CHECK(count_files("data", "log-") >= 1 && count_files("data", "checkpoint-") == 1, "there is no log, or no checkpoint");
    CHECK(count_files("backups/b", "checkpoint-") == 1, "there is no checkpoint in the backup");
    server_stop(&s);
    CHECK(count_files("data", "checkpoint-") == 1, "there is no checkpoint");
}

/* A directory that others made is taken as it is, and said to be open. */
static void expect_mode_said(mode_t mode, const char *part)
{
    struct server s;
    char said[4096];
    CHECK(chmod(check_path("data"), mode) == 0, "chmod: %s", strerror(errno));
    server_start_on(&s, "data", NULL);
    server_stderr(&s, said, sizeof(said));
    CHECK((strstr(said, "chmod") != NULL) == (part != NULL) && (part == NULL || strstr(said, part) != NULL),
          "of a directory of mode %o it says: %s", mode, said);
    server_stop(&s);
    struct stat st;
    CHECK(stat(check_path("data"), &st) == 0 && (st.st_mode & 07777) == mode, "the mode was changed");
}

static void open_to_others(void)
{
    CHECK(mkdir(check_path("data"), 0700) == 0, "mkdir: %s", strerror(errno));
    expect_mode_said(0755, "others can look into it (mode 0755)");
    expect_mode_said(0770, "others can change what is in it (mode 0770)");
    expect_mode_said(0700, NULL);
}

/* --- what is refused --- */

static void put_number(const char *path, off_t at, unsigned char byte)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    CHECK(fd >= 0 && pwrite(fd, &byte, 1, at) == 1, "%s: %s", path, strerror(errno));
    close(fd);
}

static const char *only_file(const char *directory, const char *prefix)
{
    static char name[300];
    struct dirent *entry;
    DIR *dir = opendir(check_path(directory));
    name[0] = '\0';
    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        if (strncmp(entry->d_name, prefix, strlen(prefix)) == 0 && (name[0] == '\0' || strcmp(entry->d_name, name) < 0)) {
            snprintf(name, sizeof(name), "%s", entry->d_name);
        }
    }
    CHECK(dir != NULL && name[0] != '\0', "no %s* in %s", prefix, directory);
    closedir(dir);
    return name;
}

/* A format of the future: the version stands at byte 8 of each file. */
static void unknown_format(void)
{
    static const char *const kinds[] = {"log-", "checkpoint-"};
    for (size_t i = 0; i < 2; i++) {
        struct server s;
        struct client c;
        char path[512];
        server_start_on(&s, kinds[i], NULL);
        client_open(&c, &s);
        client_ask(&c, "SET a 1", "OK");
        if (i == 1) {
            client_ask(&c, "CHECKPOINT", "OK");
        }
        client_close(&c);
        server_kill(&s);
        const char *name = only_file(kinds[i], kinds[i]);
        snprintf(path, sizeof(path), "%s/%s", check_path(kinds[i]), name);
        put_number(path, 8, 77);
        expect_data_refused(check_path(kinds[i]), "format version 77 is unknown");
        expect_data_refused(check_path(kinds[i]), name);
        put_number(path, 8, 2);
        server_start_on(&s, kinds[i], NULL); /* and nothing of it was changed */
        get_one(&s, "GET a", "1");
        server_stop(&s);
    }
}

static void file_of_another_kind(void)
{
    struct server s;
    server_start_on(&s, "data", NULL);
    set_one(&s, "SET a 1");
    FILE *file = fopen(check_path("data/notes.txt"), "w");
    CHECK(file != NULL && fputs("mine", file) >= 0 && fclose(file) == 0, "notes.txt: %s", strerror(errno));
    server_stop(&s);
    server_start_on(&s, "data", NULL);
    get_one(&s, "GET a", "1");
    server_stop(&s);
    CHECK(access(check_path("data/notes.txt"), F_OK) == 0, "a file that is not the server's was removed");
}

static void no_directory(void)
{
    FILE *file = fopen(check_path("file"), "w");
    CHECK(file != NULL && fclose(file) == 0, "file: %s", strerror(errno));
    expect_data_refused(check_path("file"), "Not a directory");
    expect_data_refused(check_path("nowhere/data"), "No such file or directory");
    CHECK(access(check_path("nowhere"), F_OK) < 0, "more than one directory was made");
}

static void read_only_disk(void)
{
    small_disk_mount((size_t)1 << 20);
    small_disk_protect();
    expect_data_refused(check_path("disk/data"), "Read-only file system");
    expect_data_refused(check_path("disk"), "Read-only file system");
}

static void options_that_do_not_fit(void)
{
    const char *const too_small[] = {"--port", "0", "--data", check_path("data"), "--log-segment-bytes", "1M", NULL};
    expect_refused(too_small, 2, "the largest commit must fit (--tx-bytes, --value-max)");
    CHECK(access(check_path("data"), F_OK) < 0, "a directory was made for a command line that is wrong");
}

/* A client that chooses the name of a backup must not be able to put it where the next segment of the log goes. */
static void backups_among_data(void)
{
    struct server s;
    const char *data = check_path("data");
    const char *const first[] = {"--port", "0", "--data", data, "--backup-dir", data, NULL};
    expect_refused(first, 1, "it is the directory of --data"); /* though neither was there before */
    server_start_on(&s, "data", NULL);
    set_one(&s, "SET a 1");
    server_stop(&s);
    CHECK(symlink(data, check_path("link")) == 0, "symlink: %s", strerror(errno));
    const char *const same[] = {"--port", "0", "--data", data, "--backup-dir", check_path("link"), NULL};
    expect_refused(same, 1, "it is the directory of --data");
    server_start_on(&s, "data", "--backup-dir", check_path("data/backups"), NULL); /* inside of it they are not in the way */
    set_one(&s, "BACKUP log-0000000000000003");
    get_one(&s, "GET a", "1");
    server_stop(&s);
    server_start_on(&s, "data", NULL);
    get_one(&s, "GET a", "1");
    server_stop(&s);
}

/* --- without one --- */

static void memory_only(void)
{
    struct server s;
    struct client c;
    server_start(&s, NULL);
    CHECK(server_threads(&s) == 1, "a server in memory has %zu threads", server_threads(&s));
    client_open(&c, &s);
    client_ask(&c, "SET a 1", "OK");
    client_ask_start(&c, "CHECKPOINT", "ERR DISK");
    client_ask_start(&c, "BACKUP b", "ERR DISK");
    client_ask(&c, "GET a", "1");
    CHECK(server_threads(&s) == 1, "a server in memory has %zu threads", server_threads(&s));
    client_close(&c);
    server_stop(&s);
}

static const struct check checks[] = {
    {"one owner", one_owner},
    {"another name", another_name},
    {"lock removed", lock_removed},
    {"the lock looked at", file_looked_at},
    {"the directory looked at", directory_looked_at},
    {"looked at for ever", looked_at_for_ever},
    {"modes", modes},
    {"open to others", open_to_others},
    {"unknown format", unknown_format},
    {"file of another kind", file_of_another_kind},
    {"no directory", no_directory},
    {"read-only disk", read_only_disk},
    {"options that do not fit", options_that_do_not_fit},
    {"backups among the data", backups_among_data},
    {"memory only", memory_only},
};

CHECK_MAIN(checks)
