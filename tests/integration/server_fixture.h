/* server_fixture: a server as a child process. It dies with the check that started it, whatever happens to that one.
 *
 * What goes wrong with the server's life ends the check (check.h): the caller has no errors to look at. */
#ifndef TXKV_INTEGRATION_SERVER_FIXTURE_H
#define TXKV_INTEGRATION_SERVER_FIXTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct server {
    pid_t pid;
    int pidfd;
    int out;           /* its standard output */
    int err;           /* a file that holds its standard error */
    int port;          /* of 127.0.0.1, or of its first address */
    bool may_complain; /* messages on its standard error are no failure */
    char line[1024];   /* the line that it started with, its end cut */
};

struct server_setup {
    void (*before_exec)(void); /* runs in the child; or NULL */
    const char *const *args;   /* ended by NULL */
    const char *const *before; /* a command that runs it, such as strace and its arguments, ended by NULL; or NULL */
    bool on_data;              /* it may complain; and where it does not start, the check has failed */
};

/* Starts `SERVER ARGUMENT...`, arguments ended by NULL, and waits for its first line. Without a --port among them,
 * `--port 0` comes first. */
void server_start(struct server *s, ...) __attribute__((sentinel));
void server_start_with(struct server *s, const struct server_setup *setup);

/* Sends a signal. */
void server_signal(const struct server *s, int number);

/* Stops it, so that what is sent to it meanwhile, signals too, is all there when it goes on. */
void server_pause(const struct server *s);
void server_resume(const struct server *s);

/* Waits until it has ended; its exit status must be 0, and its standard error empty unless it may complain. */
void server_join(struct server *s, int timeout_ms);

/* SIGTERM, then server_join. */
void server_stop(struct server *s);

/* Starts one on a data directory, which is check_path(name), and then with these arguments. It may complain. */
void server_start_on(struct server *s, const char *name, ...) __attribute__((sentinel));

/* Waits until it has ended by itself; its exit status, or minus the signal that ended it. What it said on its standard error
 * goes to `text`, if that is not NULL. */
int server_end(struct server *s, int timeout_ms, char *text, size_t size);

/* SIGKILL, and waits. */
void server_kill(struct server *s);

/* Stops all its threads but the loop's, at once and in the middle of whatever they do: nothing more gets to the disk. The check is skipped
 * where that is not permitted. Thaw them before the server is to end, or be waited for. */
#define SERVER_THREADS_MAX 16

struct frozen {
    pid_t threads[SERVER_THREADS_MAX];
    size_t count;
};

void server_freeze(const struct server *s, struct frozen *frozen);
void server_thaw(struct frozen *frozen);

/* How many threads it has. */
size_t server_threads(const struct server *s);

/* What is on its standard error so far, ended by NUL. */
void server_stderr(const struct server *s, char *text, size_t size);

/* A field of /proc/PID/status in bytes: VmRSS is what it has now, VmHWM the most that it ever had. */
size_t server_memory(const struct server *s, const char *field);

/* Processor time used so far, in clock ticks. */
long server_cpu_ticks(const struct server *s);

/* Waits until its loop sleeps. One that is ready to run does not, though it may get no processor. */
void server_wait_asleep(const struct server *s);

/* Waits until it has used no processor time for a moment: nothing is left to be done. */
void server_wait_idle(const struct server *s);

struct server_result {
    int status; /* exit status, or -1 where a signal ended it */
    char out[16384];
    char err[4096];
};

/* Runs a server that must end by itself within ten seconds. */
void server_run(struct server_result *result, ...) __attribute__((sentinel));
void server_run_with(struct server_result *result, const struct server_setup *setup);

#endif
