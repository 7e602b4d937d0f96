/* txkv-benchmark: options in, measurements out. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "compare.h"
#include "config.h"
#include "page.h"
#include "report.h"
#include "spawn.h"

#define EXIT_WRONG_OPTION 2
#define SPAWN_START_NS (30 * NS_PER_S)
#define SPAWN_STOP_NS (10 * NS_PER_S)

typedef void report_fn(FILE *f, const struct config *c, const struct row *rows, size_t n);

/* Measurements, for the progress line. */
static struct {
    size_t all; /* 0: not known */
    size_t begun;
    uint64_t begin_ns; /* of the first */
} progress;

static void show_progress(const struct row *row, const struct target *t, size_t repeat)
{
    char name[64];
    uint64_t now = now_ns();
    progress.begin_ns = progress.begun == 0 ? now : progress.begin_ns;
    double elapsed_s = (double)(now - progress.begin_ns) / 1e9;
    fprintf(stderr, "\r\033[K[%zu", progress.begun + 1);
    if (progress.all > 0) {
        fprintf(stderr, "/%zu", progress.all);
    }
    fprintf(stderr, "] %s: %s, run %zu", compare_row_name(row, name, sizeof name), t->name, repeat + 1);
    if (progress.begun > 0 && progress.all > 0) {
        fprintf(stderr, ", %.0f of about %.0f s", elapsed_s, elapsed_s * (double)progress.all / (double)progress.begun);
    } else if (progress.begun > 0) {
        fprintf(stderr, ", %.0f s", elapsed_s);
    }
    progress.begun++;
}

static int write_file(const char *path, report_fn *report, const struct config *c, const struct row *rows, size_t n)
{
    FILE *f = fopen(path, "we");
    if (f != NULL) {
        report(f, c, rows, n);
    }
    if (f == NULL || fclose(f) != 0) {
        fprintf(stderr, "txkv-benchmark: cannot write %s: %s\n", path, strerror(errno));
        return -1;
    }
    return 0;
}

static int write_reports(const struct config *c, const struct row *rows, size_t n)
{
    report_fn *main_report = c->quiet ? report_quiet : report_table;
    int err = 0;
    if (c->csv != NULL && *c->csv == '\0') {
        main_report = report_csv;
    } else if (c->csv != NULL) {
        err |= write_file(c->csv, report_csv, c, rows, n);
    }
    if (c->json != NULL && *c->json == '\0') {
        main_report = report_json;
    } else if (c->json != NULL) {
        err |= write_file(c->json, report_json, c, rows, n);
    }
    if (c->report != NULL) {
        err |= write_file(c->report, page_write, c, rows, n);
    }
    main_report(stdout, c, rows, n);
    return fflush(stdout) != 0 ? -1 : err;
}

/* Whether any error was answered; the first of each target is said on standard error, as lines for programs leave it out. */
static bool answered_errors(const struct config *c, const struct row *rows, size_t n)
{
    bool any = false;
    for (size_t t = 0; t < c->target_count; t++) {
        const char *first = "";
        for (size_t i = 0; i < n && first[0] == '\0'; i++) {
            first = rows[i].series[t].first_error;
        }
        if (first[0] != '\0') {
            fprintf(stderr, "txkv-benchmark: %s answered errors, the first: %s\n", c->targets[t].name, first);
            any = true;
        }
    }
    return any;
}

static int run(const struct config *c)
{
    size_t n = 0;
    struct row *rows = calloc(compare_rows(c), sizeof *rows);
    if (rows == NULL) {
        fprintf(stderr, "txkv-benchmark: out of memory\n");
        return EXIT_FAILURE;
    }
    progress.all = compare_measurements(c);
    char why[256] = "";
    bool terminal = isatty(STDERR_FILENO) == 1;
    int err = compare_run(c, rows, &n, terminal ? show_progress : NULL, why, sizeof why);
    if (terminal) {
        fputs("\r\033[K", stderr);
    }
    if (err != 0) {
        fprintf(stderr, "txkv-benchmark: %s\n", why);
    } else {
        err = write_reports(c, rows, n);
    }
    bool failed = err != 0 || answered_errors(c, rows, n);
    free(rows);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* The server that --spawn starts; a signal ends it too. */
static struct spawn server;

static void on_signal(int signum)
{
    spawn_stop(&server, SPAWN_STOP_NS);
    signal(signum, SIG_DFL);
    raise(signum);
}

static int run_with_server(struct config *c)
{
    static const int ends[] = {SIGINT, SIGTERM, SIGHUP};
    struct target *t = &c->targets[0];
    char why[256];
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        signal(ends[i], on_signal);
    }
    int err = spawn_start(&server, c->spawn, t->host, t->port, SPAWN_START_NS, why, sizeof why);
    int result = EXIT_FAILURE;
    if (err == 0) {
        t->pid = server.pid;
        result = run(c);
        spawn_stop(&server, SPAWN_STOP_NS);
    } else {
        fprintf(stderr, "txkv-benchmark: %s\n", why);
    }
    if (result != EXIT_SUCCESS) {
        spawn_print_output(&server, stderr);
    }
    spawn_deinit(&server);
    return result;
}

int main(int argc, char **argv)
{
    struct config c;
    char why[256];
    switch (config_parse(&c, argc, argv, why, sizeof why)) {
    case OPTS_BAD:
        fprintf(stderr, "txkv-benchmark: %s (--help lists the options)\n", why);
        return EXIT_WRONG_OPTION;
    case OPTS_HELP:
        config_print_help();
        return EXIT_SUCCESS;
    case OPTS_VERSION:
        puts("txkv-benchmark " TXKV_VERSION);
        return EXIT_SUCCESS;
    default:
        return c.spawn != NULL ? run_with_server(&c) : run(&c);
    }
}
