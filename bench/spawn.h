/* spawn: a server that the load generator starts, and ends.
 *
 * The command runs through /bin/sh -c 'exec COMMAND', so that the process is the server itself, in a process group of
 * its own, which a Ctrl-C at the terminal does not reach. It dies with the load generator, whatever becomes of that. */
#ifndef BENCH_SPAWN_H
#define BENCH_SPAWN_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

struct spawn {
    pid_t pid;    /* 0: none, or it has ended */
    FILE *output; /* what it wrote to stdout and stderr, in a file without a name */
};

/* Starts command and waits until host:port accepts connections, at most for patience_ns. 0, or -1 with a line in why
 * when it does not come up, or when somebody else listens there already; it has been ended then. */
int spawn_start(struct spawn *s, const char *command, const char *host, const char *port, uint64_t patience_ns,
                char *why, size_t why_size);

/* Ends it: SIGTERM, and SIGKILL to the whole group when it is still there after patience_ns. Safe in a signal handler,
 * where it may have interrupted itself. */
void spawn_stop(struct spawn *s, uint64_t patience_ns);

/* Copies the end of what it wrote to f. */
void spawn_print_output(const struct spawn *s, FILE *f);

/* Gives back the rest, after spawn_stop or a failed spawn_start. */
void spawn_deinit(struct spawn *s);

#endif
