#include "fake.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string.h>

#include "check.h"

#define PAUSE_US 150

struct player {
    int listener;
    int fd;
    size_t chunk;
    char id[128]; /* what $ID stands for; "" before it came */
};

/* Ends the process: the client did not keep to the script. */
static void give_up(const char *step, const char *why)
{
    fprintf(stderr, "fake server: at \"%s\": %s\n", step, why);
    _exit(1);
}

static void play_accept(struct player *p, const char *step)
{
    int on = 1;
    p->fd = accept(p->listener, NULL, NULL);
    if (p->fd < 0 || setsockopt(p->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) < 0) {
        give_up(step, "no connection");
    }
}

/* Whether a line is as wanted, up to what a $ID or $NEW at the end stands for. */
static bool is_line(struct player *p, const char *got, const char *want)
{
    const char *dollar = strchr(want, '$');
    if (dollar == NULL) {
        return strcmp(got, want) == 0;
    }
    const char *word = got + (dollar - want);
    if (strncmp(got, want, (size_t)(dollar - want)) != 0 || *word == '\0' || strchr(word, ' ') != NULL ||
        strlen(word) >= sizeof p->id) {
        return false;
    }
    bool same = strcmp(word, p->id) == 0;
    bool first = p->id[0] == '\0';
    strcpy(p->id, word);
    return strcmp(dollar, "$NEW") == 0 ? !same : same || first;
}

/* Reads no further than the line: what comes behind it belongs to another step. */
static void play_expect(struct player *p, const char *step, const char *line)
{
    char got[2048] = "";
    size_t len = 0;
    while (len < 2 || memcmp(got + len - 2, "\r\n", 2) != 0) {
        if (len + 1 == sizeof got || recv(p->fd, got + len, 1, 0) <= 0) {
            give_up(step, len + 1 == sizeof got ? "the line is too long" : "the client closed");
        }
        len++;
    }
    got[len - 2] = '\0';
    if (!is_line(p, got, line)) {
        give_up(step, got);
    }
}

static void play_send(struct player *p, const char *text, size_t len)
{
    size_t chunk = p->chunk == 0 ? len : p->chunk;
    for (size_t at = 0; at < len; at += chunk) {
        size_t size = len - at < chunk ? len - at : chunk;
        (void)!send(p->fd, text + at, size, MSG_NOSIGNAL);
        if (p->chunk > 0) {
            usleep(PAUSE_US);
        }
    }
}

static void play_close(struct player *p, bool reset)
{
    struct linger now = {.l_onoff = 1, .l_linger = 0};
    if (reset) {
        setsockopt(p->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    }
    close(p->fd);
    p->fd = -1;
}

static void play_hang(struct player *p)
{
    char byte;
    while (recv(p->fd, &byte, 1, 0) > 0) {
    }
}

static void play_stall(struct player *p)
{
    struct pollfd fd = {.fd = p->fd, .events = POLLIN};
    while (poll(&fd, 1, -1) < 0) {
    }
}

static void play_step(struct player *p, const char *step)
{
    if (strncmp(step, "> ", 2) == 0) {
        play_expect(p, step, step + 2);
    } else if (strncmp(step, "<<", 2) == 0) {
        play_send(p, step + 2, strlen(step + 2));
    } else if (strncmp(step, "< ", 2) == 0) {
        char line[2048];
        int len = snprintf(line, sizeof line, "%s\r\n", step + 2);
        play_send(p, line, (size_t)len);
    } else if (strcmp(step, "accept") == 0) {
        play_accept(p, step);
    } else if (strcmp(step, "stall") == 0) {
        play_stall(p);
    } else if (strcmp(step, "pause") == 0) {
        raise(SIGSTOP);
    } else if (strcmp(step, "hang") == 0) {
        play_hang(p);
    } else {
        play_close(p, strcmp(step, "reset") == 0);
    }
}

static void play(struct player *p, const char *const *script)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    play_accept(p, "start");
    for (; *script != NULL; script++) {
        play_step(p, *script);
    }
    char rest[64];
    ssize_t n = p->fd < 0 ? 0 : recv(p->fd, rest, sizeof rest - 1, 0);
    if (n > 0) {
        rest[n] = '\0';
        give_up("end", rest);
    }
    _exit(0);
}

struct fake fake_start(const char *const *script, size_t chunk)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    struct player p = {.listener = socket(AF_INET, SOCK_STREAM, 0), .fd = -1, .chunk = chunk};
    if (bind(p.listener, (const struct sockaddr *)&address, len) < 0 || listen(p.listener, 8) < 0 ||
        getsockname(p.listener, (struct sockaddr *)&address, &len) < 0) {
        perror("fake server");
        exit(1);
    }
    fflush(stdout);
    struct fake f = {.pid = fork(), .port = ntohs(address.sin_port)};
    if (f.pid < 0) {
        perror("fork");
        exit(1);
    }
    if (f.pid == 0) {
        play(&p, script);
    }
    close(p.listener);
    return f;
}

void fake_go_on(struct fake f)
{
    int status = 0;
    CHECK(waitpid(f.pid, &status, WUNTRACED) == f.pid && WIFSTOPPED(status));
    CHECK(kill(f.pid, SIGCONT) == 0);
}

void fake_end(struct fake f)
{
    int status = 0;
    CHECK(waitpid(f.pid, &status, 0) == f.pid);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}
