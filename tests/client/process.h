/* process: programs under test, started and ended here. */
#ifndef TXKV_TEST_PROCESS_H
#define TXKV_TEST_PROCESS_H

#include <stdio.h>
#include <sys/types.h>

struct server {
    pid_t pid;
    int port;
};

/* Starts the txkv-server at path on port (0: a free one) and waits until it listens; exits if it does not. */
struct server server_start(const char *path, int port);

/* The same with further options, up to 8, ended by NULL. */
struct server server_start_with(const char *path, int port, const char *const *options);

/* Ends it at once, as a crash would. */
void server_kill(struct server *s);

/* Ends it in good order and checks that it exits with 0. */
void server_stop(struct server *s);

struct output {
    int status;      /* of its exit, -1 if it did not exit by itself */
    char out[65536]; /* what it wrote to standard output, ended by NUL */
    char err[4096];  /* to standard error */
};

/* Runs a program, found at argv[0], with input on its standard input. */
void process_run(struct output *o, char *const *argv, const char *input);

/* A program that is talked to while it runs. */
struct process {
    pid_t pid;
    FILE *to;   /* its standard input */
    FILE *from; /* its standard output */
};

/* Starts one, found at argv[0]; its standard error is ours. It dies with us. */
struct process process_start(char *const *argv);

/* Waits for its end: its exit status, -1 if it did not exit by itself. */
int process_end(struct process *p);

#endif
