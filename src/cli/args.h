/* args: the command line of txkv-cli. One table gives parsing and --help. */
#ifndef TXKV_CLI_ARGS_H
#define TXKV_CLI_ARGS_H

#include <stddef.h>

/* What an exit status means; --help prints it. */
enum exit_status {
    EXIT_ANSWERED = 0, /* all commands were answered, none with ERR */
    EXIT_ERR = 1,      /* an answer was ERR, or a line could not be sent as it was */
    EXIT_USAGE = 2,    /* the command line was wrong */
    EXIT_LOST = 3,     /* no connection, or it was lost */
};

struct args {
    const char *host;
    const char *unix_path; /* NULL: TCP */
    const char *password_file; /* NULL: the environment's TXKV_PASSWORD, if there is one */
    int port;
    int timeout_ms;     /* 0 = none */
    char **command;     /* words of the command to run; borrowed from argv */
    size_t command_len; /* 0: commands come from standard input */
};

enum args_result {
    ARGS_RUN,
    ARGS_DONE,  /* --help or --version was answered */
    ARGS_WRONG, /* one line went to stderr */
};

/* Reads the command line, defaults included. Strings are borrowed from argv. */
enum args_result args_parse(struct args *a, int argc, char **argv);

#endif
