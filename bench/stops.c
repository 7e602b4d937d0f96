#include "stops.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "clock.h"

#define JUDGE_NS NS_PER_MS
#define STACK_SIZE ((size_t)256 * 1024)
#define NO_CLOCK ((clockid_t)-1)
#define PRIORITY 2 /* above a server of SCHED_FIFO, which is of 1 */

/* Watching */

bool stops_between(const struct stops_account *before, const struct stops_account *now, enum stops_place place,
                   struct stop *stop)
{
    uint64_t passed = now->at_ns - before->at_ns;
    uint64_t ran = now->ran_ns - before->ran_ns;
    uint64_t waited = now->waited_ns - before->waited_ns;
    uint64_t others = now->others_ns > before->others_ns ? now->others_ns - before->others_ns : 0;
    uint64_t by_itself = now->others_ns > before->since_ns ? now->others_ns - before->since_ns : 0;
    uint64_t planned = STOPS_PERIOD_NS + (place == STOPS_FIRST ? 0 : ran + others);
    uint64_t late = place != STOPS_ELSEWHERE && passed > planned ? passed - planned : 0;
    uint64_t kept = waited > by_itself ? waited - by_itself : 0;
    /* a wait is accounted when it is over */
    uint64_t from = kept >= STOPS_MIN_NS ? before->at_ns - waited : now->at_ns - late;
    *stop = (struct stop){from, now->at_ns, kept > late ? kept : late};
    return stop->length_ns >= STOPS_MIN_NS;
}

struct stops_account stops_next(const struct stops_account *before, const struct stops_account *now)
{
    bool still = now->ran_ns == before->ran_ns && now->waited_ns == before->waited_ns;
    struct stops_account next = *now;
    next.since_ns = still ? before->since_ns : before->others_ns; /* it may be waiting since this look */
    return next;
}

/* The time is that before: what happens while this thread is kept from reading belongs to the next look. */
static int read_account(const struct stops_watcher *w, struct stops_account *a)
{
    char line[96];
    a->at_ns = now_ns();
    ssize_t n = pread(w->schedstat, line, sizeof line - 1, 0);
    if (n <= 0) {
        return -1;
    }
    line[n] = '\0';
    char *at = line;
    a->ran_ns = strtoull(at, &at, 10);
    a->waited_ns = strtoull(at, &at, 10);
    uint64_t process = w->process != NO_CLOCK ? clock_ns(w->process) : 0;
    a->others_ns = (process > a->ran_ns ? process - a->ran_ns : 0) + (w->rival != NO_CLOCK ? clock_ns(w->rival) : 0);
    a->since_ns = a->others_ns;
    return 0;
}

/* Whether the kernel keeps these accounts at all: then this thread, which runs, has got a core at least once. */
static bool kernel_accounts(const struct stops_watcher *w)
{
    char line[96];
    unsigned long long ran;
    unsigned long long waited;
    unsigned long long times;
    ssize_t n = pread(w->schedstat, line, sizeof line - 1, 0);
    line[n > 0 ? n : 0] = '\0';
    return sscanf(line, "%llu %llu %llu", &ran, &waited, &times) == 3 && times > 0;
}

/* False where there is no room: the next look finds it again. */
static bool tell(struct stops_watcher *w, struct stop stop)
{
    size_t n = atomic_load_explicit(&w->found_n, memory_order_relaxed);
    if (n - atomic_load_explicit(&w->taken_n, memory_order_acquire) == STOPS_FOUND_MAX) {
        return false;
    }
    w->found[n % STOPS_FOUND_MAX] = stop;
    atomic_store_explicit(&w->found_n, n + 1, memory_order_release);
    return true;
}

static void sleep_until(uint64_t ns)
{
    struct timespec t = {.tv_sec = (time_t)(ns / NS_PER_S), .tv_nsec = (long)(ns % NS_PER_S)};
    (void)clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
}

static void *watch(void *arg)
{
    struct stops_watcher *w = arg;
    struct stops_account before;
    struct sched_param priority = {.sched_priority = PRIORITY};
    bool first = w->place == STOPS_BESIDE && pthread_setschedparam(pthread_self(), SCHED_FIFO, &priority) == 0;
    w->place = first ? STOPS_FIRST : w->place;
    (void)prctl(PR_SET_TIMERSLACK, 1);
    bool alive = read_account(w, &before) == 0; /* else it has ended, which the load will say */
    struct stops_account now = before;
    while (alive && !atomic_load(&w->ending)) {
        struct stop stop;
        sleep_until(now.at_ns + STOPS_PERIOD_NS);
        alive = read_account(w, &now) == 0;
        if (alive && (!stops_between(&before, &now, w->place, &stop) || tell(w, stop))) {
            atomic_store_explicit(&w->seen_ns, now.at_ns, memory_order_release);
            before = stops_next(&before, &now);
        }
    }
    atomic_store_explicit(&w->seen_ns, UINT64_MAX, memory_order_release);
    return NULL;
}

/* On the cores, unless this process may not use them. */
static int start_thread(struct stops_watcher *w, const cpu_set_t *cores)
{
    pthread_attr_t attr;
    int err = pthread_attr_init(&attr);
    if (err != 0) {
        return err;
    }
    err = pthread_attr_setstacksize(&attr, STACK_SIZE);
    err = err == 0 ? pthread_attr_setaffinity_np(&attr, sizeof *cores, cores) : err;
    err = err == 0 ? pthread_create(&w->thread, &attr, watch, w) : err;
    pthread_attr_destroy(&attr);
    if (err == EINVAL) {
        w->place = STOPS_ELSEWHERE;
        err = pthread_create(&w->thread, NULL, watch, w);
    }
    return err;
}

/* At a thread (0: this one), which the kernel's file path tells about. 0, or an errno. */
static int start_watcher(struct stops_watcher *w, pid_t thread, const char *path)
{
    cpu_set_t cores;
    struct stops_account account;
    if (sched_getaffinity(thread, sizeof cores, &cores) != 0) {
        return errno;
    }
    w->place = CPU_COUNT(&cores) == 1 ? STOPS_BESIDE : STOPS_ELSEWHERE;
    w->schedstat = open(path, O_RDONLY | O_CLOEXEC);
    if (w->schedstat < 0) {
        return errno;
    }
    bool accounts = read_account(w, &account) == 0 && (thread != 0 || kernel_accounts(w));
    int err = accounts ? 0 : ENOTSUP;
    err = err == 0 ? start_thread(w, &cores) : err;
    if (err != 0) {
        close(w->schedstat);
    }
    return err;
}

/* The server's CPU time, if the generator may run where it does. */
static clockid_t rival_of_generator(pid_t server)
{
    cpu_set_t server_cores;
    cpu_set_t own_cores;
    clockid_t clock;
    bool known = sched_getaffinity(server, sizeof server_cores, &server_cores) == 0 &&
                 sched_getaffinity(0, sizeof own_cores, &own_cores) == 0;
    CPU_AND(&own_cores, &own_cores, &server_cores);
    return known && CPU_COUNT(&own_cores) > 0 && clock_getcpuclockid(server, &clock) == 0 ? clock : NO_CLOCK;
}

static void end_watcher(struct stops_watcher *w)
{
    atomic_store(&w->ending, true);
    pthread_join(w->thread, NULL);
    close(w->schedstat);
}

/* The generator */

static void take_found(struct stops *s)
{
    for (unsigned i = 0; i < STOPS_WHO_COUNT; i++) {
        struct stops_watcher *w = &s->watchers[i];
        size_t n = atomic_load_explicit(&w->found_n, memory_order_acquire);
        size_t taken = atomic_load_explicit(&w->taken_n, memory_order_relaxed);
        for (; taken < n; taken++) {
            undisturbed_stop(&s->undisturbed, w->found[taken % STOPS_FOUND_MAX]);
        }
        atomic_store_explicit(&w->taken_n, taken, memory_order_release);
    }
}

/* How far they have looked is read before what they found, which reaches at least as far. */
void stops_judge(struct stops *s, uint64_t now)
{
    if (now - s->judged_ns < JUDGE_NS) {
        return;
    }
    uint64_t seen = now;
    for (unsigned i = 0; i < STOPS_WHO_COUNT; i++) {
        uint64_t by_one = atomic_load_explicit(&s->watchers[i].seen_ns, memory_order_acquire);
        seen = by_one < seen ? by_one : seen;
    }
    take_found(s);
    undisturbed_judge(&s->undisturbed, seen);
    s->judged_ns = now;
}

int stops_begin(struct stops *s, pid_t server)
{
    char paths[STOPS_WHO_COUNT][64];
    const pid_t threads[STOPS_WHO_COUNT] = {[STOPS_SERVER] = server, [STOPS_GENERATOR] = 0};
    snprintf(paths[STOPS_SERVER], sizeof paths[0], "/proc/%ld/schedstat", (long)server);
    snprintf(paths[STOPS_GENERATOR], sizeof paths[0], "/proc/self/task/%ld/schedstat", (long)gettid());
    s->watchers[STOPS_SERVER].rival = NO_CLOCK;
    s->watchers[STOPS_GENERATOR].process = NO_CLOCK; /* its other threads are those that look */
    s->watchers[STOPS_GENERATOR].rival = rival_of_generator(server);
    unsigned n = 0;
    int err = clock_getcpuclockid(server, &s->watchers[STOPS_SERVER].process);
    err = err == 0 && undisturbed_init(&s->undisturbed) != 0 ? ENOMEM : err;
    for (; err == 0 && n < STOPS_WHO_COUNT; n++) {
        err = start_watcher(&s->watchers[n], threads[n], paths[n]);
    }
    if (err != 0) {
        for (unsigned i = 0; i + 1 < n; i++) { /* all but the last were started */
            end_watcher(&s->watchers[i]);
        }
        undisturbed_deinit(&s->undisturbed);
        errno = err;
        return -1;
    }
    s->judged_ns = now_ns();
    s->on = true;
    return 0;
}

void stops_end(struct stops *s)
{
    if (s->on) {
        for (unsigned i = 0; i < STOPS_WHO_COUNT; i++) {
            end_watcher(&s->watchers[i]);
        }
        take_found(s);
        undisturbed_judge(&s->undisturbed, UINT64_MAX);
        s->on = false;
    }
}

void stops_deinit(struct stops *s)
{
    stops_end(s);
    undisturbed_deinit(&s->undisturbed);
}
