/* run: plays transcripts, each whole, byte by byte and at random splits, and fails if any answer differs.
 *
 *      run [--tables DOCUMENT] [--all-commands] FILE-OR-DIRECTORY...
 *
 * A directory stands for the *.txt files in it. With --all-commands they must send each command in each of its protocols: as a
 * line, and in RESP2 and RESP3. With TXKV_FAULT in the environment, only the transcripts that claim to catch
 * that deliberate bug are played, and each must fail exactly where it says.
 *
 * Exit status: 0 all as written; 1 an answer differs, or a command is not sent (with a fault: each transcript saw it); 99 anything else that is
 * wrong, so that a test that is to fail cannot fail for want of a file. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "fault.h"
#include "hash.h"
#include "mem.h"
#include "play.h"
#include "tables.h"

#define SPLITS 20
#define EXIT_DIFFERS 1
#define EXIT_WRONG 99
#define PATHS_MAX 1024

struct run {
    struct transcripts list;
    char *paths[PATHS_MAX]; /* owned; of the files read */
    size_t path_count;
    size_t plays;
    size_t assertions;
    bool all_commands;
    struct coverage sent;
};

/* --- reading --- */

static int add_file(struct run *run, const char *path)
{
    if (run->path_count == PATHS_MAX) {
        fprintf(stderr, "%s: more than %d files\n", path, PATHS_MAX);
        return -1;
    }
    char *kept = strdup(path);
    run->paths[run->path_count++] = kept;
    return kept == NULL ? -1 : transcripts_read(&run->list, kept);
}

static int is_transcript(const struct dirent *item)
{
    size_t len = strlen(item->d_name);
    return len > 4 && strcmp(item->d_name + len - 4, ".txt") == 0;
}

static int add_directory(struct run *run, const char *path)
{
    struct dirent **items;
    int count = scandir(path, &items, is_transcript, alphasort);
    if (count < 0) {
        perror(path);
        return -1;
    }
    int rc = count > 0 ? 0 : -1;
    if (count == 0) {
        fprintf(stderr, "%s: no *.txt in it\n", path);
    }
    for (int i = 0; i < count; i++) {
        char file[4096];
        snprintf(file, sizeof(file), "%s/%s", path, items[i]->d_name);
        if (rc == 0) {
            rc = add_file(run, file);
        }
        free(items[i]);
    }
    free(items);
    return rc;
}

static int add(struct run *run, const char *path)
{
    struct stat st;
    if (stat(path, &st) < 0) {
        perror(path);
        return -1;
    }
    return S_ISDIR(st.st_mode) ? add_directory(run, path) : add_file(run, path);
}

/* --- playing --- */

static struct play_result play_split(struct run *run, const struct transcript *t, int split)
{
    enum cut cut = split == 0 ? CUT_WHOLE : split == 1 ? CUT_BYTES : CUT_RANDOM;
    return play(t, cut, (uint64_t)split, &run->sent);
}

/* All ways of one transcript, up to the first that fails. */
static struct play_result play_ways(struct run *run, const struct transcript *t)
{
    struct play_result result = {.played = PLAYED_AS_WRITTEN};
    for (int split = 0; split < 2 + SPLITS && result.played == PLAYED_AS_WRITTEN; split++) {
        result = play_split(run, t, split);
        run->plays++;
        run->assertions += t->assertions;
        if (result.played != PLAYED_AS_WRITTEN) {
            char way[32];
            snprintf(way, sizeof(way), "random split %d", split - 1);
            fprintf(stderr, "%s:%u: (%s) %s\n", t->path, result.line,
                    split == 0 ? "whole" : split == 1 ? "byte by byte" : way, result.text);
        }
    }
    return result;
}

static int run_all(struct run *run)
{
    size_t failed = 0;
    for (size_t i = 0; i < run->list.count; i++) {
        const struct transcript *t = &run->list.all[i];
        if (t->assertions == 0) {
            fprintf(stderr, "%s:%u: it asserts nothing\n", t->path, t->line);
            return EXIT_WRONG;
        }
        enum played played = play_ways(run, t).played;
        if (played == PLAYED_NOT) {
            return EXIT_WRONG;
        }
        failed += played == PLAYED_DIFFERENT;
    }
    printf("%zu transcripts, %zu plays, %zu answers asserted, %zu transcripts failed\n", run->list.count, run->plays,
           run->assertions, failed);
    size_t missing = run->all_commands ? coverage_report(&run->sent) : 0;
    return failed > 0 || missing > 0 ? EXIT_DIFFERS : 0;
}

/* --- deliberate bugs --- */

static bool claims(const struct transcript *t, const char *fault)
{
    for (size_t i = 0; i < t->count; i++) {
        if (step_catches(&t->steps[i], fault)) {
            return true;
        }
    }
    return false;
}

static int run_with_fault(struct run *run, const char *fault)
{
    size_t claiming = 0;
    size_t missed = 0;
    for (size_t i = 0; i < run->list.count; i++) {
        const struct transcript *t = &run->list.all[i];
        if (!claims(t, fault)) {
            continue;
        }
        claiming++;
        struct play_result result = play_ways(run, t);
        if (result.played == PLAYED_AS_WRITTEN) {
            fprintf(stderr, "%s: does not see %s\n", t->path, fault);
            missed++;
        } else if (result.step == NULL || !step_catches(result.step, fault)) {
            fprintf(stderr, "%s: fails, but not where it says that it catches %s\n", t->path, fault);
            return EXIT_WRONG;
        }
    }
    printf("%s: %zu transcripts should see it, %zu do not\n", fault, claiming, missed);
    if (claiming == 0) {
        return EXIT_WRONG;
    }
    return missed > 0 ? 0 : EXIT_DIFFERS;
}

static int run_arguments(struct run *run, int argc, char **argv)
{
    const char *fault = getenv("TXKV_FAULT");
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--all-commands") == 0) {
            run->all_commands = true;
        } else if (strcmp(argv[i], "--tables") != 0) {
            if (add(run, argv[i]) < 0) {
                return EXIT_WRONG;
            }
        } else {
            int rows = ++i < argc ? tables_compare(argv[i]) : -1;
            if (rows < 0) {
                return EXIT_WRONG;
            }
            printf("%s: %d rows of its tables agree with the code\n", argv[i], rows);
        }
    }
    if (run->list.count == 0) {
        fprintf(stderr, "there is no transcript\n");
        return EXIT_WRONG;
    }
    if (hash_init() < 0 || fault_choose(fault) < 0) {
        fprintf(stderr, "no source of random bytes, or no fault of the name %s\n", fault == NULL ? "" : fault);
        return EXIT_WRONG;
    }
    return fault == NULL || fault[0] == '\0' ? run_all(run) : run_with_fault(run, fault);
}

int main(int argc, char **argv)
{
    struct run run = {0};
    int status = run_arguments(&run, argc, argv);
    transcripts_deinit(&run.list);
    for (size_t i = 0; i < run.path_count; i++) {
        free(run.paths[i]);
    }
    mem_chunk_drain();
    return status;
}
