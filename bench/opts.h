/* opts: command-line options from one table, which the parser, the usage errors and --help all come from. */
#ifndef BENCH_OPTS_H
#define BENCH_OPTS_H

#include <stddef.h>
#include <stdint.h>

enum opt_kind {
    OPT_FLAG,    /* bool */
    OPT_COUNT,   /* uint64_t; accepts k, M and G as thousands, millions and milliards */
    OPT_SECONDS, /* uint64_t in ns; decimals allowed */
    OPT_TEXT,    /* const char *, borrowed from argv */
    OPT_CALL,    /* parse() */
};

struct opt {
    const char *name; /* long name */
    char letter;      /* short name, or 0 */
    enum opt_kind kind;
    size_t at;    /* offsetof the setting in the configuration */
    uint64_t min; /* OPT_COUNT, OPT_SECONDS (in s) */
    uint64_t max;
    int (*parse)(void *config, const char *arg); /* OPT_CALL: 0, or -1 when arg is not what the help says */
    const char *arg; /* the argument's name; NULL: takes none; in brackets: optional, after '=' */
    const char *help;
};

enum opts_result { OPTS_OK, OPTS_BAD, OPTS_HELP, OPTS_VERSION };

/* Puts the arguments into *config. --help and --version are understood without being in the table. OPTS_BAD leaves one
 * line in why (without a newline). Optional arguments are OPT_TEXT and become "" when left out. */
enum opts_result opts_parse(const struct opt *table, size_t n, void *config, int argc, char **argv, char *why,
                            size_t why_size);

/* Prints a line for each option. */
void opts_print(const struct opt *table, size_t n);

/* A whole number from min to max, with k, M or G. 0 or -1. */
int opts_count(const char *text, uint64_t min, uint64_t max, uint64_t *n);

#endif
