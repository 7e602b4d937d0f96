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

static const char *const point_names[CRASH_COUNT] = {
#define X(name) #name,
    CRASH_TABLE(X)
#undef X
};

struct lives {
    const struct lives_options *o;
    struct workload *w;
    struct report *report;
    struct rng rng;
    char directory[256];
    char data[300];
    struct server_process server;
    struct workload_watch alarm;   /* a timer: kill it */
    struct workload_watch control; /* a connection of ours */
    bool killed;                   /* by us */
    uint64_t hits[CRASH_COUNT];    /* ends at each point */
    uint64_t ended_at_start;       /* of them, before it listened */
    uint64_t starts_ended;         /* killed from outside while it started */
    uint64_t checkpoints;          /* CHECKPOINTs that were answered */
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

static int open_control(struct lives *l)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(l->server.port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    l->control.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return connect(l->control.fd, (const struct sockaddr *)&address, sizeof(address));
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
static bool bulk_check(struct lives *l, uint32_t key)
{
    static char wanted[BULK_BYTES + 1];
    static char answer[2 * BULK_BYTES];
    char command[32];
    snprintf(command, sizeof(command), "GET bulk%" PRIu32 "\r\n", key);
    if (!ask(l->control.fd, command, answer, sizeof(answer), 1)) {
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

/* A CHECKPOINT was answered, or the server is gone: one after another is asked for. */
static void on_control(void *arg)
{
    struct lives *l = arg;
    static const char command[] = "CHECKPOINT\r\n";
    char answer[256];
    ssize_t got = recv(l->control.fd, answer, sizeof(answer) - 1, 0);
    if (got <= 0) {
        close(l->control.fd); /* the loop does not wait for it any more */
        l->control.fd = -1;
        return;
    }
    answer[got] = '\0';
    if (strcmp(answer, "OK\r\n") != 0) {
        report_anomaly(l->report, "CHECKPOINT was answered '%.80s'", answer);
    }
    l->checkpoints++;
    if (rng_chance(&l->rng, 80)) {
        send(l->control.fd, command, sizeof(command) - 1, MSG_NOSIGNAL);
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

static enum server_start start(struct lives *l, const char *crash, int start_ms)
{
    const char *const args[] = {"--data", l->data, "--tx-bytes", "16K", "--value-max", "16K", "--log-segment-bytes", "64K",
                                "--checkpoint-log-bytes", "64K", NULL};
    const struct server_setup setup = {l->o->server, l->o->fault, crash, args, start_ms};
    l->killed = false;
    return server_process_start(&l->server, &setup);
}

/* What a new life begins with; so many values of the bulk are looked at. 1 where the server has ended meanwhile, as it may where it
 * `crashes`; -1 where the run cannot go on. */
static int wake_up(struct lives *l, bool crashes, uint32_t bulk)
{
    char answer[256];
    l->control = (struct workload_watch){-1, on_control, l};
    bool there =
        open_control(l) == 0 && ask(l->control.fd, "BEGIN\r\nSNAPSHOT\r\nROLLBACK\r\n", answer, sizeof(answer), 3);
    uint32_t first = rng_below(&l->rng, BULK_KEYS);
    for (uint32_t i = 0; i < bulk && there; i++) {
        there = bulk_check(l, (first + i) % BULK_KEYS);
    }
    if (!there) {
        return crashes ? 1 : -1;
    }
    if (workload_revive(l->w, l->server.port, strtoull(answer + strlen("OK\r\n"), NULL, 10)) != 0) {
        return -1;
    }
    workload_watch(l->w, &l->control);
    send(l->control.fd, "CHECKPOINT\r\n", strlen("CHECKPOINT\r\n"), MSG_NOSIGNAL);
    return 0;
}

static void close_control(struct lives *l)
{
    if (l->control.fd >= 0) {
        close(l->control.fd);
    }
    l->control.fd = -1;
}

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
    if (start(l, NULL, 0) != SERVER_RUNS) {
        return -1;
    }
    bool loaded = open_control(l) == 0 && bulk_load(l->control.fd);
    close_control(l);
    return server_process_stop(&l->server) == 0 && loaded ? 0 : -1;
}

static void clean_up(const struct lives *l)
{
    struct dirent *entry;
    DIR *dir = opendir(l->data);
    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        unlinkat(dirfd(dir), entry->d_name, 0);
    }
    if (dir != NULL) {
        closedir(dir);
    }
    rmdir(l->data);
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
    for (int i = 0; i < CRASH_COUNT; i++) {
        printf("%s%s %" PRIu64, i == 0 ? "" : ", ", point_names[i], l->hits[i]);
    }
    printf("\n");
}

/* With so many lives each point must have been come to. */
static int check_hits(const struct lives *l)
{
    int rc = 0;
    for (int i = 0; i < CRASH_COUNT && l->o->count >= 6 * CRASH_COUNT; i++) {
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
