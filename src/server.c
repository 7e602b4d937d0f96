#include "server.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <time.h>

#include "conn.h"
#include "datadir.h"
#include "hash.h"
#include "mem.h"

#define LEND_MIN (16 << 10) /* bytes: to copy less costs less than the piece more that is sent */
#define TIMER_MS 250
#define CLOCK_AHEAD_MS 1000
#define LINGER_MS 2000
#define STOP_PATIENCE_MS 5000
#define CONNECTIONS_DEFAULT 10000
#define DESCRIPTORS_RESERVED 64 /* descriptors that are never given to clients */

static struct server *the_server; /* for last_words alone */

/* --- the tick's place in the loop --- */

static bool has_deadlines(const struct server *server)
{
    return server_accept_is_owed(server) || server->stopping || server->partial.first != NULL || server->unread.first != NULL ||
           server->linger.first != NULL || server->tx_idle.first != NULL || store_has_ends(&server->engine.store);
}

static void on_timer(uv_timer_t *timer);
static void on_idle(uv_idle_t *idle)
{
    (void)idle; /* it is there so that the loop does not sleep */
}

static void keep_awake(struct server *server, bool busy)
{
    if (busy) {
        uv_idle_start(&server->idle, on_idle);
    } else {
        uv_idle_stop(&server->idle);
    }
    if (!has_deadlines(server)) {
        uv_timer_stop(&server->timer);
    } else if (!uv_is_active((uv_handle_t *)&server->timer)) {
        uv_timer_start(&server->timer, on_timer, TIMER_MS, TIMER_MS);
    }
}

static int64_t wall_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

void server_tell_time(struct server *server)
{
    store_tell_time(&server->engine.store, server->epoch_ms + uv_now(&server->loop));
}

/* The loop's time stands still while the machine sleeps, and knows nothing of a clock that is set: where the time of day has gone
 * ahead, that is followed. It never goes back. */
static void follow_clock(struct server *server)
{
    uint64_t told = server->epoch_ms + uv_now(&server->loop);
    uint64_t now = (uint64_t)wall_us() / 1000;
    if (now > told + CLOCK_AHEAD_MS) {
        server->epoch_ms += now - told;
    }
}

/* --- pauses --- */

static void wake_session(struct session *s)
{
    tick_add(&((struct conn *)s)->server->tick, s);
}

static void on_pause_over(uv_timer_t *timer)
{
    struct server *server = timer->data;
    server_tell_time(server);
    engine_unpause(&server->engine);
    keep_awake(server, true);
}

/* A timer for the end of the pause that there is now. */
static void keep_pause(struct server *server)
{
    const struct engine *e = &server->engine;
    uint64_t due = e->pause == PAUSE_NONE ? 0 : e->pause_until_ms;
    uint64_t now = e->store.now_ms;
    if (due == server->pause_due) {
        return;
    }
    server->pause_due = due;
    if (due == 0) {
        uv_timer_stop(&server->pause);
    } else {
        uv_timer_start(&server->pause, on_pause_over, due > now ? due - now : 0, 0);
    }
}

/* --- the tick, and what follows it --- */

/* Once: it may come true a thousand times a second. Clients may go on without IDs and say nothing. */
static void say_ids_full(struct server *server)
{
    const struct outcomes *o = &server->engine.store.outcomes;
    if (o->refused == 0 || server->said_ids_full) {
        return;
    }
    server->said_ids_full = true;
    fprintf(stderr, "txkv-server: all %zu IDs (--outcome-max) are of transactions that are open, or committed in the last %" PRIu64
            " s (--outcome-keep): BEGIN with a further one gets ERR FULL; %zu a second are the most in the long run; this is said once\n",
            o->max, o->keep, o->max / (size_t)o->keep);
}

static void on_check(uv_check_t *check)
{
    struct server *server = check->data;
    server_tell_time(server);
    tick_execute(&server->tick);
    if (server->has_committer) {
        committer_pump(&server->committer); /* the disk is at work while the answers are sent */
    }
    tick_finish(&server->tick, conn_after_tick);
    bool more = store_tend(&server->engine.store);
    more = mem_tend() || more;
    if (server->has_committer) {
        more = committer_pump(&server->committer) || more;
    }
    if (server->has_keeper) {
        more = keeper_pump(&server->keeper) || more;
    }
    say_ids_full(server);
    keep_pause(server);
    keep_awake(server, more || !tick_is_idle(&server->tick));
}

/* --- the end --- */

static void close_handles(struct server *server)
{
    uv_handle_t *handles[] = {(uv_handle_t *)&server->check, (uv_handle_t *)&server->idle, (uv_handle_t *)&server->timer,
                              (uv_handle_t *)&server->pause, (uv_handle_t *)&server->sigint, (uv_handle_t *)&server->sigterm};
    for (size_t i = 0; i < sizeof(handles) / sizeof(handles[0]); i++) {
        if (!uv_is_closing(handles[i])) {
            uv_close(handles[i], NULL);
        }
    }
}

static void stop_durability(struct server *server)
{
    if (server->has_committer) {
        committer_stop(&server->committer);
    }
    if (server->has_keeper) {
        keeper_stop(&server->keeper);
    }
    server->has_committer = false;
    server->has_keeper = false;
}

static void end_if_all_gone(struct server *server)
{
    if (server->stopping && server->conn_count == 0 && !uv_is_closing((uv_handle_t *)&server->check)) {
        close_handles(server);
        stop_durability(server);
    }
}

void server_forget(struct server *server, struct conn *conn)
{
    *(conn->prev != NULL ? &conn->prev->next : &server->conns) = conn->next;
    if (conn->next != NULL) {
        conn->next->prev = conn->prev;
    }
    server->conn_count--;
    end_if_all_gone(server);
}

static void close_all(struct server *server)
{
    for (struct conn *c = server->conns; c != NULL; c = c->next) {
        conn_close(c);
    }
}

/* The first signal: what has arrived is run, what is owed is sent. A second one ends the patience with slow clients. */
static void on_signal(uv_signal_t *handle, int number)
{
    struct server *server = handle->data;
    (void)number;
    if (server->stopping) {
        close_all(server);
        return;
    }
    server->stopping = true;
    server->engine.stopping = true;
    server->stop_at_ms = uv_now(&server->loop) + STOP_PATIENCE_MS;
    server_stop_listening(server);
    for (struct conn *c = server->conns; c != NULL; c = c->next) {
        conn_finish(c);
    }
    keep_awake(server, true);
    end_if_all_gone(server);
}

/* --- deadlines --- */

#define CONN_OF(deadline, field) ((struct conn *)(void *)((char *)(deadline)-offsetof(struct conn, field)))

static void on_timer(uv_timer_t *timer)
{
    struct server *server = timer->data;
    uint64_t now = uv_now(&server->loop);
    struct deadline *d;
    follow_clock(server);
    server_tell_time(server);
    uv_idle_start(&server->idle, on_idle); /* so that there is a tick, which does what has become due */
    while ((d = deadline_pop(&server->partial, now)) != NULL) {
        conn_on_partial(CONN_OF(d, partial));
    }
    while ((d = deadline_pop(&server->unread, now)) != NULL) {
        conn_on_unread(CONN_OF(d, unread));
    }
    while ((d = deadline_pop(&server->linger, now)) != NULL) {
        conn_close(CONN_OF(d, linger));
    }
    while ((d = deadline_pop(&server->tx_idle, now)) != NULL) {
        conn_on_tx_idle(CONN_OF(d, tx_idle));
    }
    if (!server->stopping) {
        server_accept_owed(server);
    }
    if (server->stopping && now >= server->stop_at_ms) {
        close_all(server);
    }
}

/* --- the beginning --- */

/* As many connections as asked for, but never so many that accept could run out of descriptors. */
static size_t connections_allowed(const struct options *o)
{
    size_t wanted = o->max_connections > 0 ? o->max_connections : CONNECTIONS_DEFAULT;
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0) {
        return wanted;
    }
    if (limit.rlim_cur < wanted + DESCRIPTORS_RESERVED) {
        limit.rlim_cur = limit.rlim_max < wanted + DESCRIPTORS_RESERVED ? limit.rlim_max : wanted + DESCRIPTORS_RESERVED;
        setrlimit(RLIMIT_NOFILE, &limit);
        getrlimit(RLIMIT_NOFILE, &limit);
    }
    size_t room = limit.rlim_cur > DESCRIPTORS_RESERVED ? limit.rlim_cur - DESCRIPTORS_RESERVED : 1;
    if (o->max_connections > room) {
        fprintf(stderr, "txkv-server: --max-connections %zu: only %zu are possible with %zu open files (ulimit -n)\n",
                o->max_connections, room, (size_t)limit.rlim_cur);
    }
    return wanted < room ? wanted : room;
}

/* The password, where there is one. */
static int read_password(struct server *server)
{
    char why[128];
    const char *path = server->options->password_file;
    if (path == NULL) {
        return 0;
    }
    if (secret_read(&server->password, path, why, sizeof(why)) < 0) {
        fprintf(stderr, "txkv-server: --password-file %s: %s\n", path, why);
        return -1;
    }
    server->engine.password = &server->password;
    return 0;
}

static int init_engine(struct server *server)
{
    const struct options *o = server->options;
    struct engine *e = &server->engine;
    if (hash_init() < 0 || engine_init(e) < 0) {
        fprintf(stderr, "txkv-server: no memory, or no source of random bytes\n");
        return -1;
    }
    e->store_limits = (struct store_limits){{o->tx_bytes, o->tx_keys}, o->history_max, o->max_memory};
    e->limits = (struct session_limits){{o->key_max, o->value_max}, o->answer_max, o->pending_max};
    e->store.outcomes.max = o->outcome_max;
    e->store.outcomes.keep = o->outcome_keep_seconds;
    e->lend_min = LEND_MIN;
    e->plain_mode = o->serializable ? TXN_SERIALIZABLE : TXN_PLAIN;
    e->quiet_transactions = o->quiet_transactions;
    e->binary = o->data != NULL;
    e->wall_us = wall_us;
    e->wake = wake_session;
    e->find_endpoint = conn_find_endpoint;
    e->started_us = wall_us();
    return 0;
}

static int init_loop(struct server *server)
{
    const struct options *o = server->options;
    int rc = uv_loop_init(&server->loop);
    if (rc < 0) {
        fprintf(stderr, "txkv-server: %s\n", uv_strerror(rc));
        return -1;
    }
    uv_check_init(&server->loop, &server->check);
    uv_idle_init(&server->loop, &server->idle);
    uv_timer_init(&server->loop, &server->timer);
    uv_timer_init(&server->loop, &server->pause);
    uv_signal_init(&server->loop, &server->sigint);
    uv_signal_init(&server->loop, &server->sigterm);
    server->check.data = server->timer.data = server->pause.data = server->sigint.data = server->sigterm.data = server;
    server->partial.after_ms = o->partial_seconds * 1000;
    server->unread.after_ms = o->unread_seconds * 1000;
    server->tx_idle.after_ms = o->tx_idle_seconds * 1000;
    server->linger.after_ms = LINGER_MS;
    server->epoch_ms = (uint64_t)wall_us() / 1000 - uv_now(&server->loop);
    server_tell_time(server);
    return 0;
}

/* The process is about to end without its usual way. */
static void last_words(void)
{
    server_remove_socket(the_server);
}

/* Reads the data back, and starts what keeps it. */
static int start_durability(struct server *server)
{
    const struct options *o = server->options;
    struct engine *e = &server->engine;
    struct committer *c = &server->committer;
    struct keeper *k = &server->keeper;
    struct recovery found = {0};
    *k = (struct keeper){.engine = e, .tick = &server->tick, .options = o};
    if (o->data != NULL) {
        *c = (struct committer){.engine = e, .tick = &server->tick, .options = o, .last_words = last_words};
        c->log.segment_bytes = o->segment_bytes;
        if (datadir_open(&server->data, o->data, o->backup_dir, &e->store, &c->log, &found) < 0 ||
            committer_start(c, &server->loop) < 0) {
            return -1;
        }
        c->log_bytes = found.log_bytes;
        server->has_committer = true;
        k->committer = c;
        k->data = &server->data;
        k->id = c->log.id;
        k->checkpointed = found.checkpoint;
    }
    if (o->data == NULL && o->backup_dir == NULL) {
        return 0;
    }
    e->takes_backups = o->backup_dir != NULL;
    if (k->id == 0 && getrandom(&k->id, sizeof(k->id), 0) != (ssize_t)sizeof(k->id)) {
        return -1;
    }
    if (keeper_start(k, &server->loop) < 0) {
        return -1;
    }
    server->has_keeper = true;
    return 0;
}

static void serve(struct server *server, const char *where)
{
    uv_check_start(&server->check, on_check);
    uv_signal_start(&server->sigint, on_signal, SIGINT);
    uv_signal_start(&server->sigterm, on_signal, SIGTERM);
    const char *data = server->options->data;
    printf("txkv %s listening on %s (%s%s)\n", TXKV_VERSION, where, data == NULL ? "memory only: nothing is kept after exit" : "data in ",
           data == NULL ? "" : data);
    fflush(stdout);
    uv_run(&server->loop, UV_RUN_DEFAULT);
}

int server_run(const struct options *options)
{
    static struct server server; /* too large for a stack frame, and there is one */
    the_server = &server;
    char where[512] = "";
    int status = 1;
    server.options = options;
    server.conn_max = connections_allowed(options);
    tick_init(&server.tick);
    signal(SIGPIPE, SIG_IGN);
    server.data = (struct disk_dir){.dir = -1, .lock = -1};
    if (init_engine(&server) < 0) {
        return 1;
    }
    if (read_password(&server) < 0 || init_loop(&server) < 0) {
        goto fail_engine;
    }
    if (start_durability(&server) < 0 || server_listen(&server, where, sizeof(where)) < 0) {
        server_stop_listening(&server);
        close_handles(&server);
        stop_durability(&server);
        uv_run(&server.loop, UV_RUN_DEFAULT);
        goto fail_loop;
    }
    serve(&server, where);
    status = 0;
fail_loop:
    uv_loop_close(&server.loop);
fail_engine:
    engine_deinit(&server.engine);
    disk_dir_close(&server.data);
    journal_deinit(&server.committer.journal);
    mem_chunk_drain();
    return status;
}
