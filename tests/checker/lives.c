#include "lives.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "fault.h"
#include "server_process.h"

#define ANSWER_MS_MAX 20000
#define LIFE_MS_MIN 20      /* of one that is killed from outside, */
#define LIFE_MS_MAX 140     /* at most */
#define START_MS_MAX 30     /* of one that is killed while it starts, if it takes as long */
#define CRASH_MS_MAX 5000   /* so long for one that is to end at a point of its way */
#define BULK_KEYS 400       /* data that the history does not know, for checkpoints of several parts */
#define BULK_BYTES 15000    /* of a value of it, below --value-max */
#define LAST_TRANSACTIONS 200
#define BACKUP_PERCENT 25   /* of what is asked for beside the workload; the others are checkpoints */
#define BACKUP_NAME "b"

static const char *const point_names[CRASH_COUNT] = {
#define X(name) #name,
    CRASH_TABLE(X)
#undef X
};

/* At most one in each life. A backup is what a transaction has read between the sending of BACKUP and its answer. */
enum backup { BACKUP_NONE, BACKUP_ASKED, BACKUP_DONE };

struct lives {
    const struct lives_options *o;
    struct workload *w;
    struct report *report;
    struct rng rng;
    char directory[256];
    char data[300];
    char backups[300];
    struct server_process server;
    struct workload_watch alarm;   /* a timer: kill it */
    struct workload_watch control; /* a connection of ours */
    bool killed;                   /* by us */
    uint64_t hits[CRASH_COUNT];    /* ends at each point */
    uint64_t ended_at_start;       /* of them, before it listened */
    uint64_t starts_ended;         /* killed from outside while it started */
    uint64_t checkpoints;          /* CHECKPOINTs that were answered */
    enum backup backup;            /* of this life */
    bool partial_before;           /* a life before it has left a part of one */
    uint64_t backup_sent;          /* by the workload's clock */
    uint64_t backup_answered;
    uint64_t backup_newest;        /* the newest commit in any of them, as the server counts */
    uint64_t backups_done;         /* that were answered, */
    uint64_t backups_unheard;      /* that were whole without that, */
    uint64_t backups_cut;          /* and of which the end of the server left nothing */
};

/* --- our own connection --- */

/* Reads lines until so many have come; false where the connection ends before that. */
static bool read_lines(int fd, char *text, size_t size, size_t lines)
{
    size_t len = 0;
    while (lines > 0) {
        struct pollfd ready = {.fd = fd, .events = POLLIN};
        ssize_t got = len < size - 1 && poll(&ready, 1, ANSWER_MS_MAX) == 1 ? read(fd, text + len, size - 1 - len) : -1;
        if (got <= 0) {
            return false;
        }
        for (ssize_t i = 0; i < got; i++) {
            lines -= lines > 0 && text[len + (size_t)i] == '\n';
        }
        len += (size_t)got;
    }
    text[len] = '\0';
    return true;
}

static bool ask(int fd, const char *command, char *answer, size_t size, size_t lines)
{
    size_t len = strlen(command);
    return send(fd, command, len, MSG_NOSIGNAL) == (ssize_t)len && read_lines(fd, answer, size, lines);
}

/* Returns 0, and *fd is to be closed in any case. */
static int open_connection(const struct server_process *server, int *fd)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(server->port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    *fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return connect(*fd, (const struct sockaddr *)&address, sizeof(address));
}

/* --- the bulk --- */

static void bulk_value(uint32_t key, char *value)
{
    struct rng rng = {.state = key};
    for (size_t i = 0; i < BULK_BYTES; i++) {
        value[i] = (char)('a' + rng_below(&rng, 26));
    }
    value[BULK_BYTES] = '\0';
}

static bool bulk_load(int fd)
{
    static char command[BULK_BYTES + 64];
    static char value[BULK_BYTES + 1];
    char answer[64];
    for (uint32_t i = 0; i < BULK_KEYS; i++) {
        bulk_value(i, value);
        snprintf(command, sizeof(command), "SET bulk%" PRIu32 " %s\r\n", i, value);
        if (!ask(fd, command, answer, sizeof(answer), 1) || strcmp(answer, "OK\r\n") != 0) {
            return false;
        }
    }
    return true;
}

/* False where the connection was lost; a wrong value is an anomaly. */
static bool bulk_check(struct lives *l, int fd, uint32_t key)
{
    static char wanted[BULK_BYTES + 1];
    static char answer[2 * BULK_BYTES];
    char command[32];
    snprintf(command, sizeof(command), "GET bulk%" PRIu32 "\r\n", key);
    if (!ask(fd, command, answer, sizeof(answer), 1)) {
        return false;
    }
    bulk_value(key, wanted);
    if (strlen(answer) != BULK_BYTES + 2 || strncmp(answer, wanted, BULK_BYTES) != 0) {
        report_anomaly(l->report, "lost data: bulk%" PRIu32 " is '%.40s...'", key, answer);
    }
    return true;
}

/* --- one life --- */

static void on_alarm(void *arg)
{
    struct lives *l = arg;
    uint64_t expirations;
    if (read(l->alarm.fd, &expirations, sizeof(expirations)) == sizeof(expirations)) {
        l->killed = true;
        server_process_kill(&l->server);
    }
}

/* In so many milliseconds; 0 for never. */
static void set_alarm(struct lives *l, uint32_t ms)
{
    struct itimerspec at = {.it_value = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000}};
    timerfd_settime(l->alarm.fd, 0, &at, NULL);
}

/* A checkpoint or a backup. */
static void ask_for_files(struct lives *l)
{
    static const char checkpoint[] = "CHECKPOINT\r\n";
    static const char backup[] = "BACKUP " BACKUP_NAME "\r\n";
    if (l->backup == BACKUP_NONE && rng_chance(&l->rng, BACKUP_PERCENT)) {
        l->backup = BACKUP_ASKED;
        l->backup_sent = ++l->w->clock;
        send(l->control.fd, backup, sizeof(backup) - 1, MSG_NOSIGNAL);
    } else {
        send(l->control.fd, checkpoint, sizeof(checkpoint) - 1, MSG_NOSIGNAL);
    }
}

/* What was asked for is answered, or the server is gone: one after another is asked for. */
static void on_control(void *arg)
{
    struct lives *l = arg;
    char answer[256];
    ssize_t got = recv(l->control.fd, answer, sizeof(answer) - 1, 0);
    if (got <= 0) {
        close(l->control.fd); /* the loop does not wait for it any more */
        l->control.fd = -1;
        return;
    }
    answer[got] = '\0';
    if (strcmp(answer, "OK\r\n") != 0) {
        report_anomaly(l->report, "CHECKPOINT or BACKUP was answered '%.80s'", answer);
    }
    if (l->backup == BACKUP_ASKED) {
        l->backup = BACKUP_DONE;
        l->backup_answered = ++l->w->clock;
    } else {
        l->checkpoints++;
    }
    if (rng_chance(&l->rng, 80)) {
        ask_for_files(l);
    }
}

/* The nth pass of a point at which it ends: few come by where a segment or a checkpoint is made. */
static uint32_t choose_pass(struct rng *rng, enum crash_point point)
{
    if (point < CRASH_segment_create) {
        return 1 + rng_below(rng, 150);
    }
    return 1 + rng_below(rng, point == CRASH_checkpoint_part ? 6 : 3);
}

static enum server_start start_on(const struct lives *l, struct server_process *server, const char *data, const char *crash, int start_ms)
{
    const char *const args[] = {"--data", data, "--tx-bytes", "16K", "--value-max", "16K", "--log-segment-bytes", "64K",
                                "--checkpoint-log-bytes", "64K", "--backup-dir", l->backups, NULL};
    const struct server_setup setup = {l->o->server, l->o->fault, crash, args, start_ms};
    return server_process_start(server, &setup);
}

static const char *partial_path(const struct lives *l, char *path, size_t size)
{
    snprintf(path, size, "%s/." BACKUP_NAME ".partial", l->backups);
    return path;
}

static bool has_partial(const struct lives *l)
{
    char path[320];
    return access(partial_path(l, path, sizeof(path)), F_OK) == 0;
}

static enum server_start start(struct lives *l, const char *crash, int start_ms)
{
    l->killed = false;
    l->partial_before = has_partial(l);
    l->backup = BACKUP_NONE;
    return start_on(l, &l->server, l->data, crash, start_ms);
}

/* What a new life begins with; so many values of the bulk are looked at. 1 where the server has ended meanwhile, as it may where it
 * `crashes`; -1 where the run cannot go on. */
static int wake_up(struct lives *l, bool crashes, uint32_t bulk)
{
    char answer[256];
    l->control = (struct workload_watch){-1, on_control, l};
    bool there =
        open_connection(&l->server, &l->control.fd) == 0 && ask(l->control.fd, "BEGIN\r\nSNAPSHOT\r\nROLLBACK\r\n", answer, sizeof(answer), 3);
    uint32_t first = rng_below(&l->rng, BULK_KEYS);
    for (uint32_t i = 0; i < bulk && there; i++) {
        there = bulk_check(l, l->control.fd, (first + i) % BULK_KEYS);
    }
    if (!there) {
        return crashes ? 1 : -1;
    }
    uint64_t newest = strtoull(answer + strlen("OK\r\n"), NULL, 10);
    if (newest < l->backup_newest) {
        report_anomaly(l->report, "a backup holds commit %" PRIu64 ", and after the restart %" PRIu64 " is the newest", l->backup_newest, newest);
    }
    if (workload_revive(l->w, l->server.port, newest) != 0) {
        return -1;
    }
    workload_watch(l->w, &l->control);
    ask_for_files(l);
    return 0;
}

static void close_control(struct lives *l)
{
    if (l->control.fd >= 0) {
        close(l->control.fd);
    }
    l->control.fd = -1;
}

/* --- the backup of a life that has ended --- */

static void remove_directory(const char *path)
{
    struct dirent *entry;
    DIR *dir = opendir(path);
    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        unlinkat(dirfd(dir), entry->d_name, 0);
    }
    if (dir != NULL) {
        closedir(dir);
    }
    rmdir(path);
}

/* A server starts on it and has the data as of one commit: which one it may be is for the history to say. */
static void read_backup(struct lives *l, const char *path)
{
    static char answer[32768];
    char command[WORKLOAD_COPY_COMMAND_MAX];
    struct server_process server;
    int fd = -1;
    if (start_on(l, &server, path, NULL, 0) != SERVER_RUNS) {
        report_anomaly(l->report, "the server does not start on a backup");
        return;
    }
    size_t lines = workload_copy_ask(l->w, command);
    if (open_connection(&server, &fd) == 0 && ask(fd, command, answer, sizeof(answer), lines) &&
        bulk_check(l, fd, rng_below(&l->rng, BULK_KEYS))) {
        uint64_t seq = workload_copy_take(l->w, answer, l->backup_sent, l->backup_answered);
        l->backup_newest = seq > l->backup_newest ? seq : l->backup_newest;
    } else {
        report_anomaly(l->report, "a backup is not served");
    }
    close(fd);
    server_process_kill(&server);
    if (server_process_reap(&server) != 0) {
        report_anomaly(l->report, "the server that served a backup ended by itself");
    }
}

/* It is there as a whole where it was answered; otherwise so, or not at all. What a killed server has left of one has another name, and the
 * next one of this name is made over it. */
static void judge_backup(struct lives *l, bool stopped_well)
{
    char path[320];
    snprintf(path, sizeof(path), "%s/" BACKUP_NAME, l->backups);
    bool is_there = access(path, F_OK) == 0;
    if (stopped_well && has_partial(l) && !l->partial_before) {
        report_anomaly(l->report, "a server that stopped as it should left a part of a backup");
    }
    if (l->backup == BACKUP_ASKED) {
        l->backup_answered = ++l->w->clock;
        l->backups_unheard += is_there;
        l->backups_cut += !is_there;
    }
    l->backups_done += l->backup == BACKUP_DONE;
    if (is_there) {
        read_backup(l, path);
        remove_directory(path);
    } else if (l->backup == BACKUP_DONE) {
        report_anomaly(l->report, "lost backup: it was acknowledged, and is not there");
    }
    l->backup = BACKUP_NONE;
}

/* --- lives of each kind --- */

/* Starts it; false where there is nothing to go on with. start_ms: see struct server_setup. */
static bool begin_life(struct lives *l, enum crash_point point, int start_ms)
{
    char crash[64] = "";
    if (point < CRASH_COUNT) {
        snprintf(crash, sizeof(crash), "%s:%" PRIu32, point_names[point], choose_pass(&l->rng, point));
    }
    enum server_start started = start(l, crash[0] != '\0' ? crash : NULL, start_ms);
    if (started == SERVER_KILLED && point < CRASH_COUNT) {
        l->hits[point]++;
        l->ended_at_start++;
    } else if (started == SERVER_KILLED && start_ms > 0) {
        l->starts_ended++;
    } else if (started != SERVER_RUNS) {
        report_anomaly(l->report, "the server does not start on its own data");
    }
    return started == SERVER_RUNS;
}

/* One that is killed: at a point of its way, or from outside where point is CRASH_COUNT. */
static int live(struct lives *l, enum crash_point point)
{
    bool crashes = point < CRASH_COUNT;
    bool hurried = !crashes && rng_chance(&l->rng, 30);
    if (!begin_life(l, point, hurried ? 1 + (int)rng_below(&l->rng, START_MS_MAX) : 0)) {
        return 0;
    }
    int rc = wake_up(l, crashes, 1);
    if (rc == 0) {
        set_alarm(l, crashes ? CRASH_MS_MAX : LIFE_MS_MIN + rng_below(&l->rng, LIFE_MS_MAX - LIFE_MS_MIN));
        rc = workload_run(l->w, UINT64_MAX);
        set_alarm(l, 0);
    }
    close_control(l);
    if (rc < 0) {
        server_process_kill(&l->server);
    }
    if (server_process_reap(&l->server) != 0) {
        report_anomaly(l->report, "the server ended by itself");
    } else if (crashes && !l->killed) {
        l->hits[point]++;
    }
    judge_backup(l, false);
    return rc < 0 ? -1 : 0;
}

/* One that ends well, after some transactions; what was left open before is asked for first. */
static int live_to_the_end(struct lives *l)
{
    if (!begin_life(l, CRASH_COUNT, 0)) {
        return 0;
    }
    int rc = wake_up(l, false, BULK_KEYS);
    if (rc == 0) {
        rc = workload_run(l->w, l->w->started + LAST_TRANSACTIONS);
    }
    close_control(l);
    workload_leave(l->w);
    if (server_process_stop(&l->server) != 0) {
        report_anomaly(l->report, "the server did not stop as it should");
    }
    judge_backup(l, true);
    return rc == 0 ? 0 : -1;
}

/* --- all of them --- */

static int set_up(struct lives *l)
{
    snprintf(l->directory, sizeof(l->directory), "%s/txkv-lives-XXXXXX", l->o->directory);
    l->alarm = (struct workload_watch){timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC), on_alarm, l};
    if (mkdtemp(l->directory) == NULL || l->alarm.fd < 0) {
        fprintf(stderr, "%s: %s\n", l->directory, strerror(errno));
        return -1;
    }
    snprintf(l->data, sizeof(l->data), "%s/data", l->directory);
    snprintf(l->backups, sizeof(l->backups), "%s/backups", l->directory);
    if (start(l, NULL, 0) != SERVER_RUNS) {
        return -1;
    }
    bool loaded = open_connection(&l->server, &l->control.fd) == 0 && bulk_load(l->control.fd);
    close_control(l);
    return server_process_stop(&l->server) == 0 && loaded ? 0 : -1;
}

static void clean_up(const struct lives *l)
{
    char path[320];
    remove_directory(partial_path(l, path, sizeof(path)));
    remove_directory(l->backups);
    remove_directory(l->data);
    rmdir(l->directory);
    close(l->alarm.fd);
}

static void print_lives(const struct lives *l, uint64_t count)
{
    uint64_t crashes = 0;
    for (int i = 0; i < CRASH_COUNT; i++) {
        crashes += l->hits[i];
    }
    printf("%" PRIu64 " lives: %" PRIu64 " ended at a point (%" PRIu64 " of them before they listened), the others by a signal (%" PRIu64
           "); %zu COMMITs left open, %zu of them were done; %" PRIu64 " CHECKPOINTs answered\n",
           count, crashes, l->ended_at_start, l->starts_ended, l->w->opened, l->w->opened_done, l->checkpoints);
    printf("%zu of the open ones decided by OUTCOME, %zu of them COMMITTED; %zu committed ones begun again and refused\n", l->w->outcomes_open,
           l->w->outcomes_done, l->w->retries);
    printf("%" PRIu64 " BACKUPs answered, %" PRIu64 " whole though not answered, %" PRIu64 " cut short\n", l->backups_done, l->backups_unheard,
           l->backups_cut);
    for (int i = 0; i < CRASH_COUNT; i++) {
        printf("%s%s %" PRIu64, i == 0 ? "" : ", ", point_names[i], l->hits[i]);
    }
    printf("\n");
}

/* With so many lives each point must have been come to, backups made and cut short, and outcomes of each kind heard. */
static int check_hits(const struct lives *l)
{
    bool many = l->o->count >= 6 * CRASH_COUNT;
    int rc = many && (l->backups_done == 0 || l->backups_cut == 0) ? -1 : 0;
    if (rc < 0) {
        fprintf(stderr, "no backup was made, or none was cut short\n");
    }
    if (many && (l->w->outcomes_done == 0 || l->w->outcomes_done == l->w->outcomes_open || l->w->retries == 0)) {
        fprintf(stderr, "no OUTCOME decided, or always the same one\n");
        rc = -1;
    }
    for (int i = 0; i < CRASH_COUNT && many; i++) {
        if (l->hits[i] == 0) {
            fprintf(stderr, "no life ended at %s\n", point_names[i]);
            rc = -1;
        }
    }
    return rc;
}

int lives_run(const struct lives_options *o, struct workload *w, uint32_t connections, const struct script_mix *mix,
              struct report *report)
{
    struct lives l = {.o = o, .w = w, .report = report, .rng = {.state = o->seed}, .control = {.fd = -1}};
    int rc = workload_init(w, 0, connections, mix, true, o->seed, report);
    rc = rc == 0 ? set_up(&l) : rc;
    if (rc == 0) {
        w->seq_base = BULK_KEYS;
        workload_watch(w, &l.alarm);
    }
    uint64_t lived = 0;
    bool wrong = false;
    for (uint64_t look = 4; rc == 0 && !wrong && lived < o->count; look *= 2) {
        for (; rc == 0 && report->anomalies == 0 && lived < o->count && lived < look; lived++) {
            /* Every other one from outside; the points in turn. */
            rc = live(&l, lived % 2 == 0 ? CRASH_COUNT : (enum crash_point)(lived / 2 % CRASH_COUNT));
        }
        for (int i = 0; i < 2 && rc == 0 && report->anomalies == 0; i++) {
            rc = live_to_the_end(&l);
        }
        wrong = report->anomalies > 0 || (o->fault != NULL && o->judge(w) > 0); /* a fault is to be found soon */
    }
    if (rc == 0 && o->fault == NULL) {
        rc = check_hits(&l);
    }
    print_lives(&l, lived);
    clean_up(&l);
    return rc;
}
