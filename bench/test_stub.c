#include "test_stub.h"
#include "clock.h"

#include <arpa/inet.h>
#include <assert.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "values.h"

#define CONNS 64
#define IN_SIZE 65536
#define VALUE_MAX 4096
#define WORDS 8
#define TXN_KEYS 4

/* RESP: what WATCH and MULTI have begun. */
struct txn {
    bool open;
    unsigned watched;
    unsigned watched_key[TXN_KEYS];
    unsigned watched_version[TXN_KEYS];
    unsigned queued;
    unsigned queued_key[TXN_KEYS];
    char queued_value[TXN_KEYS][VALUE_MAX];
};

struct peer {
    int fd;
    size_t len;
    char in[IN_SIZE];
    char words[WORDS][VALUE_MAX]; /* RESP, memcache: of the unfinished request */
    unsigned lines;               /* of it so far */
    struct txn txn;
};

static struct stub_plan plan;
static volatile uint64_t *requests;
static char values[STUB_KEYS][VALUE_MAX];
static unsigned versions[STUB_KEYS];
static unsigned gets;

static void sleep_us(uint64_t us)
{
    struct timespec t = {.tv_sec = (time_t)(us / 1000000), .tv_nsec = (long)(us % 1000000) * 1000};
    nanosleep(&t, NULL);
}

static unsigned key_number(const char *key)
{
    return (unsigned)atoi(key + strlen(key) - WIRE_KEY_DIGITS) % STUB_KEYS;
}

/* The value of a key, spoilt as the plan wants it. */
static const char *spoilt(unsigned key)
{
    static char value[VALUE_MAX + 1];
    snprintf(value, sizeof value, "%s", values[key]);
    size_t len = strlen(value);
    if (plan.fault_every > 0 && ++gets % plan.fault_every != 0) {
        return value;
    }
    if (plan.fault == STUB_OTHER_KEY) {
        snprintf(value, sizeof value, "%s", values[(key + STUB_KEYS - 1) % STUB_KEYS]);
    } else if (plan.fault == STUB_WRONG_BYTE && len > 2) {
        value[len - 2] ^= 1;
    } else if (plan.fault == STUB_SHORT && len > 2) {
        memmove(value + len - 2, value + len - 1, 2);
    } else if (plan.fault == STUB_LONG) {
        strcat(value, ".");
    } else if (plan.fault == STUB_OLD_VALUE && len >= VALUES_MIN) {
        values_write(value, len, key, 0xdead, 1);
    }
    return value;
}

static void answer(struct peer *p, const char *out)
{
    size_t size = strlen(out);
    if (send(p->fd, out, size, MSG_NOSIGNAL | MSG_DONTWAIT) != (ssize_t)size) {
        close(p->fd); /* a client that does not read is turned away */
        p->fd = -1;
    }
}

static void get(struct peer *p, const char *key)
{
    static const char *const nils[] = {"\r\n", "$-1\r\n", "END\r\n"};
    char out[VALUE_MAX + 128];
    unsigned n = key_number(key);
    const char *value = spoilt(n);
    if (values[n][0] == '\0') {
        answer(p, nils[plan.proto]);
        return;
    }
    if (plan.proto == WIRE_TEXT) {
        snprintf(out, sizeof out, "%s\r\n", value);
    } else if (plan.proto == WIRE_RESP) {
        snprintf(out, sizeof out, "$%zu\r\n%s\r\n", strlen(value), value);
    } else {
        snprintf(out, sizeof out, "VALUE %s 0 %zu\r\n%s\r\nEND\r\n", key, strlen(value), value);
    }
    answer(p, out);
}

static void store(unsigned key, const char *value)
{
    snprintf(values[key], VALUE_MAX, "%s", value);
    versions[key]++;
}

static void set(struct peer *p, const char *key, const char *value)
{
    static const char *const good[] = {"OK\r\n", "+OK\r\n", "STORED\r\n"};
    static const char *const wrong[] = {"QUEUED\r\n", "+QUEUED\r\n", "NOT_STORED\r\n"};
    store(key_number(key), value);
    answer(p, plan.fault == STUB_SET_QUEUED ? wrong[plan.proto] : good[plan.proto]);
}

static void watch(struct peer *p, unsigned keys)
{
    struct txn *t = &p->txn;
    assert(keys <= TXN_KEYS && !t->open);
    for (t->watched = 0; t->watched < keys; t->watched++) {
        t->watched_key[t->watched] = key_number(p->words[4 + 2 * t->watched]);
        t->watched_version[t->watched] = versions[t->watched_key[t->watched]];
    }
    answer(p, "+OK\r\n");
}

static void queue(struct peer *p, const char *key, const char *value)
{
    struct txn *t = &p->txn;
    assert(t->queued < TXN_KEYS);
    t->queued_key[t->queued] = key_number(key);
    snprintf(t->queued_value[t->queued++], VALUE_MAX, "%s", value);
    answer(p, "+QUEUED\r\n");
}

static void exec(struct peer *p)
{
    struct txn *t = &p->txn;
    bool conflict = false;
    char out[16 + 5 * TXN_KEYS];
    assert(t->open);
    for (unsigned i = 0; i < t->watched; i++) {
        conflict |= versions[t->watched_key[i]] != t->watched_version[i];
    }
    int size = snprintf(out, sizeof out, "*%d\r\n", conflict ? -1 : (int)t->queued);
    for (unsigned i = 0; i < t->queued && !conflict; i++) {
        store(t->queued_key[i], t->queued_value[i]);
        size += snprintf(out + size, sizeof out - (size_t)size, "+OK\r\n");
    }
    *t = (struct txn){0};
    answer(p, out);
}

/* False where it is no command of transactions. */
static bool run_txn_command(struct peer *p, unsigned words)
{
    const char *verb = p->words[2];
    if (strcmp(verb, "WATCH") == 0) {
        watch(p, words - 1);
    } else if (strcmp(verb, "MULTI") == 0) {
        p->txn.open = true;
        answer(p, "+OK\r\n");
    } else if (strcmp(verb, "EXEC") == 0) {
        exec(p);
    } else if (strcmp(verb, "SET") == 0 && p->txn.open) {
        queue(p, p->words[4], p->words[6]);
    } else {
        return false;
    }
    return true;
}

static pid_t client; /* the process that started the stub */

static void signal_client(int number)
{
    if (plan.stall_client && getppid() == client) { /* an orphan's parent is somebody else */
        kill(client, number);
    }
}

static void stall(void)
{
    uint64_t end = clock_ns(CLOCK_PROCESS_CPUTIME_ID) + plan.stall_ms * NS_PER_MS;
    while (plan.stall_busy && clock_ns(CLOCK_PROCESS_CPUTIME_ID) < end) {
    }
    if (!plan.stall_busy) {
        sleep_us((uint64_t)plan.stall_ms * 1000);
    }
}

static void begin_request(void)
{
    ++*requests;
    if (*requests == plan.stall_at) {
        signal_client(SIGSTOP);
        stall();
        signal_client(SIGCONT);
    }
    if (plan.delay_us > 0) {
        sleep_us(plan.delay_us);
    }
}

/* A whole request of these words. */
static void run_request(struct peer *p, const char *verb, const char *key, const char *value)
{
    begin_request();
    if (verb[0] == 'G' || verb[0] == 'g') {
        get(p, key);
    } else {
        set(p, key, value);
    }
}

static void text_line(struct peer *p, char *line)
{
    char *key = strchr(line, ' ');
    char *value = key == NULL ? NULL : strchr(key + 1, ' ');
    bool good = memcmp(line + 1, "ET key:", 7) == 0 && (line[0] == 'S') == (value != NULL);
    if (!good) {
        _exit(3); /* the client sends garbage: its connections break */
    }
    key++;
    if (value != NULL) {
        *value++ = '\0';
    }
    run_request(p, line, key, value);
}

/* RESP: *N, then a line of length and one of bytes for each word. memcache: "set" has its value on the next line. */
static void other_line(struct peer *p, const char *line)
{
    snprintf(p->words[p->lines++], VALUE_MAX, "%s", line);
    if (plan.proto == WIRE_RESP) {
        unsigned words = (unsigned)atoi(p->words[0] + 1);
        if (p->lines == 1 + 2 * words) {
            p->lines = 0;
            if (!run_txn_command(p, words)) {
                run_request(p, p->words[2], p->words[4], words > 2 ? p->words[6] : NULL);
            }
        }
    } else if (p->words[0][0] == 'g' || p->lines == 2) {
        char *key = strchr(p->words[0], ' ') + 1;
        key[strcspn(key, " ")] = '\0';
        p->lines = 0;
        run_request(p, p->words[0], key, p->words[1]);
    }
}

static void peer_read(struct peer *p)
{
    ssize_t n = recv(p->fd, p->in + p->len, IN_SIZE - p->len, 0);
    char *at = p->in;
    char *lf;
    if (n <= 0) {
        close(p->fd);
        p->fd = -1;
        return;
    }
    p->len += (size_t)n;
    while (p->fd >= 0 && (lf = memchr(at, '\n', p->len - (size_t)(at - p->in))) != NULL) {
        lf[-1] = '\0';
        if (plan.proto == WIRE_TEXT) {
            text_line(p, at);
        } else {
            other_line(p, at);
        }
        at = lf + 1;
    }
    p->len -= (size_t)(at - p->in);
    memmove(p->in, at, p->len);
}

static struct peer *free_peer(struct peer *peers, unsigned *n)
{
    for (unsigned i = 0; i < *n; i++) {
        if (peers[i].fd < 0) {
            return &peers[i];
        }
    }
    assert(*n < CONNS);
    return &peers[(*n)++];
}

static void serve(int listener)
{
    static struct peer peers[CONNS];
    struct pollfd polls[CONNS + 1];
    unsigned n = 0;
    unsigned accepted = 0;
    for (;;) {
        polls[0] = (struct pollfd){.fd = listener, .events = POLLIN};
        for (unsigned i = 0; i < n; i++) {
            polls[i + 1] = (struct pollfd){.fd = peers[i].fd, .events = POLLIN};
        }
        unsigned polled = n;
        if (poll(polls, n + 1, -1) < 0) {
            _exit(1);
        }
        if (polls[0].revents != 0) {
            struct peer *p = free_peer(peers, &n);
            int on = 1;
            *p = (struct peer){.fd = accept(listener, NULL, NULL)};
            setsockopt(p->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
            if (accepted++ == 0 && plan.fault == STUB_CLOSES) {
                close(p->fd);
                p->fd = -1;
            }
        }
        for (unsigned i = 0; i < polled; i++) {
            if (polls[i + 1].revents != 0 && peers[i].fd >= 0) {
                peer_read(&peers[i]);
            }
        }
    }
}

struct stub stub_start(const struct stub_plan *p)
{
    struct stub s = {0};
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof addr;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    void *shared = mmap(NULL, sizeof *s.requests, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED || bind(listener, (struct sockaddr *)&addr, size) != 0 || listen(listener, CONNS) != 0 ||
        getsockname(listener, (struct sockaddr *)&addr, &size) != 0) {
        perror("stub");
        exit(1);
    }
    s.requests = shared;
    snprintf(s.port, sizeof s.port, "%u", (unsigned)ntohs(addr.sin_port));
    fflush(stdout);
    client = getpid();
    s.pid = fork();
    assert(s.pid >= 0);
    if (s.pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        plan = *p;
        requests = s.requests;
        serve(listener);
    }
    close(listener);
    return s;
}

void stub_stop(struct stub *s)
{
    kill(s->pid, SIGKILL);
    waitpid(s->pid, NULL, 0);
    munmap((void *)(uintptr_t)s->requests, sizeof *s->requests);
}
