/* A server as a child process, on a free port. */
#ifndef TXKV_CHECKER_SERVER_PROCESS_H
#define TXKV_CHECKER_SERVER_PROCESS_H

#include <stdint.h>
#include <sys/types.h>

struct server_setup {
    const char *path;
    const char *fault;       /* for TXKV_FAULT, or NULL */
    const char *crash;       /* for TXKV_CRASH, or NULL */
    const char *const *args; /* further arguments, ended by NULL; or NULL */
    int start_ms;            /* it is killed where it does not listen within so many; 0: it has its time */
};

struct server_process {
    pid_t pid;
    int out; /* its standard output */
    int err; /* a file that holds its standard error */
    uint16_t port;
};

/* Starts `path --port 0 ARGUMENT...` and waits until it says where it listens. Returns SERVER_RUNS; or what became of it
 * instead, and nothing is left running then. The server dies with this process. */
enum server_start { SERVER_RUNS, SERVER_KILLED, /* by SIGKILL, before it listened */ SERVER_FAILED /* with a message on stderr */ };
enum server_start server_process_start(struct server_process *s, const struct server_setup *setup);

/* Kills it (SIGKILL); it need not run any more. */
void server_process_kill(const struct server_process *s);

/* Waits until it has ended. Returns 0 if SIGKILL has ended it, else -1 with a message on stderr. */
int server_process_reap(struct server_process *s);

/* Sends SIGTERM and waits. Returns 0 if the server exits with status 0, else -1 with a message on stderr. */
int server_process_stop(struct server_process *s);

#endif
