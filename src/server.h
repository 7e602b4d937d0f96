/* server: the loop, its listeners, the tick's place in it, signals, deadlines and shutdown. */
#ifndef TXKV_SERVER_H
#define TXKV_SERVER_H

#include <uv.h>

#include "committer.h"
#include "deadline.h"
#include "keeper.h"
#include "options.h"
#include "tick.h"

#define SERVER_LISTENERS_MAX (OPTIONS_BINDS_MAX + 1)

struct conn;

struct server {
    const struct options *options; /* borrowed */
    struct engine engine;
    struct tick tick;
    struct secret password;     /* with --password-file */
    struct disk_dir data;       /* with --data */
    struct committer committer; /* with --data */
    struct keeper keeper;       /* with --data, or --backup-dir */
    bool has_committer;
    bool has_keeper;
    uv_loop_t loop;
    struct {
        union {
            uv_handle_t handle;
            uv_stream_t stream;
            uv_tcp_t tcp;
            uv_pipe_t pipe;
        };
        bool accept_owed; /* a client waits to be accepted, for lack of memory */
    } listeners[SERVER_LISTENERS_MAX];
    size_t listener_count;
    char unix_path[108]; /* to be unlinked at the end; "" for none */
    uv_check_t check;    /* runs the tick, after all reads of a turn */
    uv_idle_t idle;      /* active while there is work, so that the loop does not sleep */
    uv_timer_t timer;    /* looks at the deadlines */
    uv_timer_t pause;    /* ends a pause of the clients */
    uint64_t pause_due;  /* the engine's time for that, as the timer has it; 0: it is not running */
    uv_signal_t sigint;
    uv_signal_t sigterm;
    struct conn *conns; /* all of them */
    size_t conn_count;
    size_t conn_max;
    struct deadline_list partial; /* a line begun and not ended */
    struct deadline_list unread;  /* answers that the client does not read */
    struct deadline_list linger;  /* closed by us, the client has not closed yet */
    struct deadline_list tx_idle; /* an open transaction without commands */
    bool said_ids_full;
    uint64_t epoch_ms; /* Unix time at which the loop's time was 0 */
    bool stopping;
    uint64_t stop_at_ms; /* when the patience with slow clients ends */
};

/* Listens as the options say, prints the one line, serves until SIGINT or SIGTERM. The process's exit status; what went
 * wrong is one line on stderr. */
int server_run(const struct options *options);

/* Tells the store what time it is, as of this turn of the loop. It is the system's time of the start, and what has passed since;
 * where the system's clock gets ahead of that, it is followed while keys end, but never back. */
void server_tell_time(struct server *server);

/* Called by a connection whose close has been completed. */
void server_forget(struct server *server, struct conn *conn);

/* --- server_listen.c --- */

/* Listens on all that the options name, and says in `where` on what, for people. 0, or -1 with one line on stderr; what listens is
 * closed by server_stop_listening in any case. */
int server_listen(struct server *server, char *where, size_t size);

/* Closes the listeners and removes the Unix socket's file. */
void server_stop_listening(struct server *server);
void server_remove_socket(const struct server *server);

/* Clients that could not be accepted for lack of memory: whether there are some; accepts those for whom there is some now. */
bool server_accept_is_owed(const struct server *server);
void server_accept_owed(struct server *server);

#endif
