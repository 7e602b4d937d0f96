/* A server as a child process, on a free port. */
#ifndef TXKV_CHECKER_SERVER_PROCESS_H
#define TXKV_CHECKER_SERVER_PROCESS_H

#include <stdint.h>
#include <sys/types.h>

struct server_process {
    pid_t pid;
    int out; /* its standard output */
    uint16_t port;
};

/* Starts `path --port 0` and waits until it says where it listens. `fault` (or NULL) goes into TXKV_FAULT. Returns 0,
 * or -1 with a message on stderr; then nothing is left running. The server dies with this process. */
int server_process_start(struct server_process *s, const char *path, const char *fault);

/* Sends SIGTERM and waits. Returns 0 if the server exits with status 0, else -1 with a message on stderr. */
int server_process_stop(struct server_process *s);

#endif
