/* txkv-check: what it says of a directory, its exit status, what it dumps, and that a server starts after --repair. */
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "check.h"
#include "checkpoint.h"
#include "directory.h"
#include "wire.h"

static struct check_result result;

static void says(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* It has said so, on either stream. */
static void says(const char *format, ...)
{
    char wanted[512];
    va_list args;
    va_start(args, format);
    vsnprintf(wanted, sizeof(wanted), format, args);
    va_end(args);
    CHECK(strstr(result.out, wanted) != NULL || strstr(result.err, wanted) != NULL, "it does not say '%s' but: %s%s", wanted,
          result.out, result.err);
}

static void ends_with(int status)
{
    CHECK(result.status == status, "status %d, not %d: %s%s", result.status, status, result.out, result.err);
}

static void verify(const struct directory *d, int status)
{
    txkv_check(&result, d->path, NULL);
    ends_with(status);
}

/* Verifying changes nothing; repairing leads to a directory that is clean, and on which a server goes on. */
static void damaged(const struct directory *d, const char *word, int kept)
{
    char *before = directory_picture(d);
    verify(d, 1);
    says("%s: ", word);
    char *after = directory_picture(d);
    CHECK(strcmp(before, after) == 0, "verifying has changed something: %s, was: %s", after, before);
    free(before);
    free(after);
    txkv_check(&result, "--repair", d->path, NULL);
    ends_with(0);
    if (kept > 0) {
        says("kept: all up to commit %d\n", kept);
    }
    struct check_result repaired = result;
    verify(d, 0);
    txkv_check(&result, "--repair", d->path, NULL);
    ends_with(0);
    says("nothing to repair, nothing was changed");
    directory_expect(d, kept);
    verify(d, 0);
    result = repaired;
}

static void without_checkpoint(struct directory *d)
{
    directory_make(d, false);
    directory_remove(d, checkpoint_file(COMMITS));
}

/* --- without damage --- */

static void clean(void)
{
    struct directory d;
    directory_make(&d, false);
    char *before = directory_picture(&d);
    verify(&d, 0);
    says("checkpoint-000000000000003c: checkpoint, format 2, directory ");
    says("as of commit 60: ");
    says(", 60 keys, 0 outcomes; ");
    says("log-0000000000000001: segment of the log, format 2, directory ");
    says("commits 1 to ");
    says("made ahead and not used yet, 131072 bytes");
    says("clean: all up to commit 60 is there (checkpoint of commit 60, 0 commits of the log)\n");
    txkv_check(&result, "--repair", d.path, NULL);
    ends_with(0);
    says("nothing to repair");
    char *after = directory_picture(&d);
    CHECK(strcmp(before, after) == 0, "something has changed: %s, was: %s", after, before);
}

static void clean_log_alone(void)
{
    struct directory d;
    without_checkpoint(&d);
    verify(&d, 0);
    says("clean: all up to commit 60 is there (60 commits of the log)\n");
}

/* Files of the first version of the format. */
static void golden(void)
{
    const char *path = getenv("TXKV_GOLDEN");
    if (path == NULL) {
        check_broken("TXKV_GOLDEN does not name the directory");
    }
    txkv_check(&result, path, NULL);
    ends_with(0);
    says("clean: all up to commit 7 is there (checkpoint of commit 4, 3 commits of the log)\n");
    txkv_check(&result, "--dump", path, NULL);
    ends_with(0);
    says("3 keys written");
}

static void wrong_usage(void)
{
    struct directory d;
    directory_make(&d, false);
    txkv_check(&result, NULL);
    ends_with(2);
    txkv_check(&result, "--mend", d.path, NULL);
    ends_with(2);
    txkv_check(&result, d.path, d.path, NULL);
    ends_with(2);
    txkv_check(&result, "--dump", "--repair", d.path, NULL);
    ends_with(2);
    txkv_check(&result, "/nowhere", NULL);
    ends_with(2);
    says("No such file or directory");
    txkv_check(&result, "/", NULL);
    ends_with(2);
    says("no data of txkv's");
    txkv_check(&result, "--version", NULL);
    ends_with(0);
    says("txkv-check " TXKV_VERSION "\n");
    txkv_check(&result, "--help", NULL);
    ends_with(0);
    says("--repair");
}

/* --- damage to the log --- */

static void torn_tail(void)
{
    struct directory d;
    uint64_t at;
    char rubbish[100];
    char saved[64];
    struct stat st;
    without_checkpoint(&d);
    uint64_t number = directory_end(&d, &at);
    memset(rubbish, 'x', sizeof(rubbish));
    directory_write(&d, segment_file(number), at, rubbish, sizeof(rubbish));
    damaged(&d, "torn", COMMITS);
    says("given up: 100 bytes of the log, without a whole commit above that one in them; nothing says that any of it had been "
         "acknowledged\n");
    snprintf(saved, sizeof(saved), "saved-%s-%" PRIx64, segment_file(number), at);
    CHECK(stat(directory_file(&d, saved), &st) == 0 && st.st_size == 100, "%s is not what was cut", saved);
}

static void payload_in_last_segment(void)
{
    struct directory d;
    uint64_t at;
    without_checkpoint(&d);
    uint64_t number = directory_find(&d, COMMITS - 1, &at);
    directory_flip(&d, segment_file(number), at + 100);
    verify(&d, 1);
    says("    byte %" PRIu64 ": a record whose payload is damaged, where commit %d should be; ", at, COMMITS - 1);
    damaged(&d, "damaged", COMMITS - 2);
    says("with 1 whole commits from %d to %d in them; commits up to %d had been on disk\n", COMMITS, COMMITS, COMMITS);
}

static void payload_in_middle_segment(void)
{
    struct directory d;
    uint64_t at;
    without_checkpoint(&d);
    uint64_t number = directory_find(&d, 20, &at);
    directory_flip(&d, segment_file(number), at + 100);
    damaged(&d, "damaged", 19);
    says("with %d whole commits from 21 to %d in them; commits up to %d had been on disk\n", COMMITS - 20, COMMITS, COMMITS);
}

static void header_of_record(void)
{
    struct directory d;
    uint64_t at;
    without_checkpoint(&d);
    uint64_t number = directory_find(&d, 20, &at);
    directory_flip(&d, segment_file(number), at + 20);
    verify(&d, 1);
    says("    byte %" PRIu64 ": no record's header, or a damaged one, where commit 20 should be; ", at);
    damaged(&d, "damaged", 19);
}

/* The last commit of the segment before one. */
static int last_before(const struct directory *d, uint64_t number)
{
    uint64_t at;
    int seq = 1;
    while (directory_find(d, (uint64_t)seq, &at) < number) {
        seq++;
    }
    return seq - 1;
}

static void header_of_middle_segment(void)
{
    struct directory d;
    without_checkpoint(&d);
    int kept = last_before(&d, 2);
    directory_flip(&d, segment_file(2), 40);
    damaged(&d, "damaged", kept);
}

/* Each segment is whole by itself; only the chain tells that one is of another history of the same directory. */
static void segment_of_another_history(void)
{
    struct directory d;
    char bytes[FILE_HEADER_BYTES];
    struct file_header header;
    uint32_t version;
    without_checkpoint(&d);
    int kept = last_before(&d, 2);
    FILE *f = fopen(directory_file(&d, segment_file(2)), "rb");
    CHECK(f != NULL && fread(bytes, sizeof(bytes), 1, f) == 1, "no second segment");
    fclose(f);
    CHECK(file_header_read(&header, bytes, &version) == FILE_HEADER_GOOD, "no header");
    header.chain++;
    file_header_write(&header, bytes);
    directory_write(&d, segment_file(2), 0, bytes, sizeof(bytes));
    damaged(&d, "damaged", kept);
}

static void missing_middle_segment(void)
{
    struct directory d;
    without_checkpoint(&d);
    int kept = last_before(&d, 2);
    directory_remove(&d, segment_file(2));
    verify(&d, 1);
    says("segments of the log are missing behind number 1, commit %d", kept);
    damaged(&d, "damaged", kept);
}

static void missing_first_segment(void)
{
    struct directory d;
    without_checkpoint(&d);
    directory_remove(&d, segment_file(1));
    verify(&d, 1);
    says("commits are missing");
    damaged(&d, "damaged", 0);
    says("kept: nothing; no file that is whole reaches back to the first commit\n");
}

static void zeroed_middle_segment(void)
{
    struct directory d;
    static const char zeros[128 << 10];
    without_checkpoint(&d);
    int kept = last_before(&d, 2);
    directory_write(&d, segment_file(2), 0, zeros, sizeof(zeros));
    damaged(&d, "damaged", kept);
}

static void old_segment_that_nothing_needs(void)
{
    struct directory d;
    directory_make(&d, false);
    directory_flip(&d, segment_file(1), 40);
    verify(&d, 1);
    says("damaged, but nothing is missing: what is damaged in %s is not needed; all up to commit %d is there", segment_file(1), COMMITS);
    directory_expect(&d, COMMITS); /* the server starts, and its checkpoint removes it or not */
    txkv_check(&result, "--repair", d.path, NULL);
    ends_with(0);
    verify(&d, 0);
}

/* A segment that is needed for what comes behind: its damage cannot be put aside, and does no harm. */
static void commit_that_the_checkpoint_holds(void)
{
    struct directory d;
    uint64_t at;
    directory_make(&d, true);
    directory_remove(&d, checkpoint_file(COMMITS));
    uint64_t number = directory_find(&d, COMMITS / 2 - 1, &at);
    directory_flip(&d, segment_file(number), at + 100);
    verify(&d, 1);
    says("damaged, but nothing is missing: what is damaged in %s is not needed; all up to commit %d is there (checkpoint of commit %d, %d "
         "commits of the log)", segment_file(number), COMMITS, COMMITS / 2, COMMITS / 2);
    txkv_check(&result, "--repair", d.path, NULL);
    ends_with(1);
    says("that file stays");
    directory_expect(&d, COMMITS);
    verify(&d, 1); /* the older checkpoint is still that of commit 30 */
    directory_expect(&d, COMMITS + 1);
    verify(&d, 0);
}

/* The damage reaches into what is needed. */
static void commits_on_both_sides_of_the_checkpoint(void)
{
    struct directory d;
    uint64_t at;
    directory_make(&d, true);
    directory_remove(&d, checkpoint_file(COMMITS));
    uint64_t number = directory_find(&d, COMMITS / 2, &at);
    directory_flip(&d, segment_file(number), at + 100);
    CHECK(directory_find(&d, COMMITS / 2 + 1, &at) == number, "another segment");
    directory_flip(&d, segment_file(number), at + 100);
    damaged(&d, "damaged", COMMITS / 2);
}

static void repaired_twice(void)
{
    struct directory d;
    char name[64];
    without_checkpoint(&d);
    int kept = last_before(&d, 2);
    directory_flip(&d, segment_file(2), 40);
    txkv_check(&result, "--repair", d.path, NULL);
    ends_with(0);
    directory_expect(&d, kept);
    directory_remove(&d, checkpoint_file((uint64_t)kept + 1));
    directory_flip(&d, segment_file(2), 40);
    txkv_check(&result, "--repair", d.path, NULL);
    ends_with(0);
    snprintf(name, sizeof(name), "saved-%s", segment_file(2));
    CHECK(directory_has(&d, name), "%s is gone", name);
    snprintf(name, sizeof(name), "saved-%s.2", segment_file(2));
    CHECK(directory_has(&d, name), "%s is not there", name);
}

/* --- damage to checkpoints --- */

static void newest_checkpoint(void)
{
    struct directory d;
    directory_make(&d, true);
    directory_flip(&d, checkpoint_file(COMMITS), 5000);
    verify(&d, 1);
    says("damaged, but nothing is missing: what is damaged in %s is not needed; all up to commit %d is there (checkpoint of commit %d, %d commits of the log)",
         checkpoint_file(COMMITS), COMMITS, COMMITS / 2, COMMITS / 2);
    damaged(&d, "damaged, but nothing is missing", COMMITS);
}

static void older_checkpoint(void)
{
    struct directory d;
    directory_make(&d, true);
    directory_flip(&d, checkpoint_file(COMMITS / 2), 5000);
    damaged(&d, "damaged, but nothing is missing", COMMITS);
}

static void all_checkpoints(void)
{
    struct directory d;
    directory_make(&d, true);
    directory_flip(&d, checkpoint_file(COMMITS), 5000);
    directory_flip(&d, checkpoint_file(COMMITS / 2), 5000);
    txkv_check(&result, "--dump", d.path, NULL);
    ends_with(1);
    says("0 keys written");
    damaged(&d, "damaged", 0);
    says("kept: nothing");
}

static void damaged_checkpoint_and_no_log(void)
{
    struct directory d;
    uint64_t at;
    directory_make(&d, true);
    directory_flip(&d, checkpoint_file(COMMITS), 5000);
    for (uint64_t number = directory_end(&d, &at); number > 0; number--) {
        if (directory_has(&d, segment_file(number))) {
            directory_remove(&d, segment_file(number));
        }
    }
    verify(&d, 1);
    says("ends at commit %d, but there is a checkpoint of commit %d, which is damaged", COMMITS / 2, COMMITS);
    damaged(&d, "damaged", COMMITS / 2);
}

/* --- what cannot be read --- */

static void future_format(void)
{
    struct directory d;
    static const char version[] = {7, 1, 0, 0};
    directory_make(&d, false);
    directory_write(&d, checkpoint_file(COMMITS), 8, version, sizeof(version));
    verify(&d, 2);
    says("format version 263 is unknown");
    txkv_check(&result, "--repair", d.path, NULL);
    ends_with(2);
}

/* --- beside a server --- */

static void beside_a_server(void)
{
    struct directory d;
    struct server s;
    struct client c;
    directory_make(&d, false);
    directory_serve(&d, &s);
    verify(&d, 0);
    says("a server is running on %s: process %d\n", d.path, (int)s.pid);
    txkv_check(&result, "--repair", d.path, NULL);
    ends_with(2);
    says("process %d has it", (int)s.pid);
    client_open(&c, &s);
    client_ask(&c, "SET a b", "OK");
    client_close(&c);
    server_stop(&s);
}

/* What is behind the last whole commit may be on its way, as long as a server runs. */
static void batch_on_its_way(void)
{
    struct directory d;
    struct server s;
    uint64_t at;
    directory_make(&d, false);
    directory_serve(&d, &s);
    uint64_t number = directory_end(&d, &at);
    directory_write(&d, segment_file(number), at, "half", 4);
    verify(&d, 0);
    says("clean, and a batch is being written: 4 bytes behind commit %d are not whole yet\n", COMMITS);
    server_signal(&s, SIGKILL);
    s.may_complain = true;
    waitpid(s.pid, NULL, 0);
    verify(&d, 1);
    says("torn: ");
}

/* Writes without end, in batches of many commits and over many segments, with checkpoints that remove segments. */
static _Noreturn void write_on(const struct server *s)
{
    struct client c;
    char line[VALUE_BYTES + 32] = "SET busy ";
    client_open(&c, s);
    memset(line + 9, 'y', VALUE_BYTES);
    for (;;) {
        for (int i = 0; i < 40; i++) {
            client_send(&c, line, strlen(line));
            client_sendf(&c, i == 20 ? "\r\nCHECKPOINT\r\n" : "\r\n");
        }
        for (int i = 0; i < 41; i++) {
            client_expect(&c, "OK");
        }
    }
}

/* Nothing that is read while it is being written, and no file that goes meanwhile, is taken for damage. */
static void beside_a_busy_server(void)
{
    struct directory d;
    struct server s;
    directory_make(&d, false);
    directory_serve(&d, &s);
    pid_t writer = fork();
    if (writer == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        write_on(&s);
    }
    for (int round = 0; round < 100; round++) {
        verify(&d, 0);
        says("clean");
    }
    kill(writer, SIGKILL);
    waitpid(writer, NULL, 0);
    server_stop(&s);
}

/* --- dumps --- */

static int compare_lines(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Cuts a dump into sorted lines. */
static size_t lines_of(char *text, char **lines, size_t max)
{
    size_t count = 0;
    for (char *line = strtok(text, "\n"); line != NULL && count < max; line = strtok(NULL, "\n")) {
        lines[count++] = line;
    }
    qsort(lines, count, sizeof(*lines), compare_lines);
    return count;
}

static void fill_small(const struct directory *d, const char *commands)
{
    struct server s;
    struct client c;
    directory_serve(d, &s);
    client_open(&c, &s);
    client_send(&c, commands, strlen(commands));
    for (const char *at = commands; (at = strchr(at, '\n')) != NULL; at++) {
        client_expect(&c, "OK");
    }
    client_close(&c);
    server_stop(&s);
}

static void dump_and_back(void)
{
    struct directory d = {"/tmp"};
    struct directory copy;
    static char first[65536];
    char *lines[2][16];
    directory_make(&d, false);
    fill_small(&d, "FLUSH\r\nSET a two  words \r\nSET empty \r\nSET b 1\r\nDEL b\r\nBEGIN\r\nSET c \xff\xfe\r\nSET tab a\tb\r\nCOMMIT\r\n");
    txkv_check(&result, "--dump", d.path, NULL);
    ends_with(0);
    says("4 keys written; the longest key has 5 bytes, the longest value 11\n");
    memcpy(first, result.out, sizeof(first));
    snprintf(copy.path, sizeof(copy.path), "%s.copy", d.path);
    fill_small(&copy, first);
    txkv_check(&result, "--dump", copy.path, NULL);
    ends_with(0);
    CHECK(lines_of(first, lines[0], 16) == 4 && lines_of(result.out, lines[1], 16) == 4, "not four lines");
    for (int i = 0; i < 4; i++) {
        CHECK(strcmp(lines[0][i], lines[1][i]) == 0, "'%s' became '%s'", lines[0][i], lines[1][i]);
    }
    CHECK(strcmp(lines[0][0], "SET a two  words \r") == 0, "the first is '%s'", lines[0][0]);
}

/* A directory with one checkpoint, made by hand, of the puts in b, a part that is not ended yet. */
static void make_by_hand(struct directory *d, struct buf *b, uint64_t keys)
{
    struct disk_dir dir;
    struct checkpoint c;
    directory_make(d, false);
    snprintf(d->path + strlen(d->path), 8, ".hand");
    record_end(b, 0);
    size_t start = buf_len(b);
    int rc = record_begin(b, RECORD_END, 9);
    rc += record_count(b, keys);
    record_end(b, start);
    rc += disk_dir_open(&dir, d->path, true);
    rc += checkpoint_begin(&c, &dir.disk, 4711, 9, 0);
    rc += checkpoint_write(&c, buf_head(b), buf_len(b));
    rc += checkpoint_finish(&c);
    CHECK(rc == 0, "it could not be made");
    disk_dir_close(&dir);
    buf_deinit(b);
}

/* The text protocol cannot write such keys and values. */
static void dump_without_binary(void)
{
    struct directory d;
    struct buf b;
    buf_init(&b);
    int rc = record_begin(&b, RECORD_PART, 9);
    rc += record_put(&b, slice_str("good"), slice_str("value"), 0);
    rc += record_put(&b, slice_str("line"), slice_str("two\nlines"), 0);
    rc += record_put(&b, slice_str("return"), slice_str("a\rb"), 0);
    rc += record_put(&b, slice_str("with space"), slice_str("value"), 0);
    rc += record_put(&b, slice_str("bell\a"), slice_str("value"), 0);
    rc += record_put(&b, slice_str(""), slice_str("value"), 0);
    CHECK(rc == 0, "no memory");
    make_by_hand(&d, &b, 6);
    verify(&d, 0);
    txkv_check(&result, "--dump", d.path, NULL);
    ends_with(1);
    CHECK(strcmp(result.out, "SET good value\r\n") == 0, "the dump is '%s'", result.out);
    says("5 keys left out");
}

/* A key is written with the seconds that it has left, one whose time has passed is not. */
static void dump_of_keys_that_end(void)
{
    const int64_t end = INT64_C(4102444800); /* in the year 2100 */
    struct directory d;
    struct directory copy;
    struct server s;
    struct client c;
    struct buf b;
    char value[16];
    int64_t left;
    size_t len;
    buf_init(&b);
    int rc = record_begin(&b, RECORD_PART, 9);
    rc += record_put(&b, slice_str("ended"), slice_str("value"), 1);
    rc += record_put(&b, slice_str("key"), slice_str("value"), (uint64_t)end * 1000);
    CHECK(rc == 0, "no memory");
    make_by_hand(&d, &b, 2);
    verify(&d, 0);
    int64_t before = time(NULL);
    txkv_check(&result, "--dump", d.path, NULL);
    int64_t after = time(NULL);
    ends_with(0);
    says("1 keys written");
    CHECK(sscanf(result.out, "SETEX key %" SCNd64 " %15s", &left, value) == 2, "the dump is '%s'", result.out);
    CHECK(left >= end - after && left <= end - before, "%" PRId64 " seconds are left", left);
    copy = d;
    snprintf(copy.path + strlen(copy.path), 8, ".copy");
    fill_small(&copy, result.out);
    directory_serve(&copy, &s);
    client_open(&c, &s);
    client_ask(&c, "DBSIZE", "1");
    client_ask(&c, "GET key", "value");
    client_sendf(&c, "TTL key\r\n");
    CHECK(atoll(client_line(&c, &len)) > 0, "it does not end");
    client_close(&c);
    server_stop(&s);
}

static const struct check checks[] = {
    {"clean", clean},
    {"clean log alone", clean_log_alone},
    {"golden", golden},
    {"wrong usage", wrong_usage},
    {"torn tail", torn_tail},
    {"payload damaged in the last segment", payload_in_last_segment},
    {"payload damaged in a middle segment", payload_in_middle_segment},
    {"header of a record damaged", header_of_record},
    {"header of a middle segment damaged", header_of_middle_segment},
    {"header of a middle segment of another history", segment_of_another_history},
    {"middle segment missing", missing_middle_segment},
    {"first segment missing", missing_first_segment},
    {"middle segment zeroed", zeroed_middle_segment},
    {"old segment that nothing needs", old_segment_that_nothing_needs},
    {"commit that the checkpoint holds", commit_that_the_checkpoint_holds},
    {"commits on both sides of the checkpoint", commits_on_both_sides_of_the_checkpoint},
    {"repaired twice", repaired_twice},
    {"newest checkpoint damaged", newest_checkpoint},
    {"older checkpoint damaged", older_checkpoint},
    {"all checkpoints damaged", all_checkpoints},
    {"newest checkpoint damaged, no log", damaged_checkpoint_and_no_log},
    {"future format", future_format},
    {"beside a server", beside_a_server},
    {"batch on its way", batch_on_its_way},
    {"beside a busy server", beside_a_busy_server},
    {"dump and back", dump_and_back},
    {"dump without binary", dump_without_binary},
    {"dump of keys that end", dump_of_keys_that_end},
};

int main(int argc, char **argv)
{
    directory_root_make();
    int status = check_main(argc, argv, checks, sizeof(checks) / sizeof(checks[0]));
    directory_root_remove();
    return status;
}
