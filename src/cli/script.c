/* Lines that are there already are sent together, and their answers read together; a line that comes alone is answered
 * before the next is waited for, so that a program can talk through a pair of pipes.
 *
 *      fd -> [ bytes read: line, line, li ] -> up to BATCH commands outstanding -> answers */
#include "script.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "args.h"
#include "show.h"

#define BATCH 512
#define READ_BYTES ((size_t)64 << 10)

struct script {
    struct txkv *c;
    int fd;
    char *data; /* owned; bytes read and not yet sent, from start to end */
    size_t start;
    size_t end;
    size_t cap;
    size_t line;           /* number of the line looked at, from 1 */
    size_t numbers[BATCH]; /* line numbers of the commands outstanding */
    size_t count;          /* of them */
    int status;
    bool over; /* stop here */
};

static void stop(struct script *s, int status, size_t line, const char *why)
{
    fprintf(stderr, "txkv-cli: line %zu: %s; stopped\n", line, why);
    s->status = status;
    s->over = true;
}

/* Takes the answers of all commands outstanding. */
static void drain(struct script *s)
{
    size_t count = s->count;
    s->count = 0;
    for (size_t i = 0; i < count; i++) {
        struct txkv_reply reply;
        int rc = txkv_next_reply(s->c, &reply);
        show_reply(&reply);
        if (show_is_lost(rc)) {
            stop(s, EXIT_LOST, s->numbers[i], txkv_errmsg(s->c));
            return;
        }
        s->status = rc == TXKV_OK ? s->status : EXIT_ERR;
    }
    fflush(stdout);
}

static void run_line(struct script *s, const char *line, size_t len)
{
    s->line++;
    len -= len > 0 && line[len - 1] == '\r' ? 1 : 0;
    if (len == 0) {
        return;
    }
    if (s->count == BATCH) {
        drain(s);
    }
    if (s->over) {
        return;
    }
    int rc = txkv_append(s->c, line, len);
    if (rc != TXKV_OK) {
        char why[256];
        snprintf(why, sizeof why, "%s", txkv_errmsg(s->c));
        size_t number = s->line;
        drain(s);
        if (!s->over) {
            stop(s, show_is_lost(rc) ? EXIT_LOST : EXIT_ERR, number, why);
        }
        return;
    }
    s->numbers[s->count++] = s->line;
    if (len == 4 && strncasecmp(line, "QUIT", len) == 0) {
        drain(s);
        s->over = true;
    }
}

/* Runs the whole lines that have been read. searched is how many of the bytes hold no line end. */
static void run_lines(struct script *s, size_t searched)
{
    while (!s->over) {
        char *newline = memchr(s->data + s->start + searched, '\n', s->end - s->start - searched);
        if (newline == NULL) {
            break;
        }
        size_t len = (size_t)(newline - s->data) - s->start;
        run_line(s, s->data + s->start, len);
        s->start += len + 1;
        searched = 0;
    }
    if (!s->over) {
        drain(s);
    }
}

static bool make_room(struct script *s)
{
    if (s->start > 0) {
        memmove(s->data, s->data + s->start, s->end - s->start);
        s->end -= s->start;
        s->start = 0;
    }
    if (s->cap - s->end >= READ_BYTES) {
        return true;
    }
    size_t cap = s->cap == 0 ? 2 * READ_BYTES : 2 * s->cap;
    char *data = realloc(s->data, cap);
    if (data == NULL) {
        return false;
    }
    s->data = data;
    s->cap = cap;
    return true;
}

int script_run(struct txkv *c, int fd)
{
    struct script s = {.c = c, .fd = fd, .status = EXIT_ANSWERED};
    while (!s.over) {
        if (!make_room(&s)) {
            stop(&s, EXIT_ERR, s.line + 1, "out of memory");
            break;
        }
        ssize_t n = read(fd, s.data + s.end, READ_BYTES);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            stop(&s, EXIT_ERR, s.line + 1, strerror(errno));
        } else if (n == 0) {
            run_line(&s, s.data + s.start, s.end - s.start); /* the last line may lack its end */
            drain(&s);
            break;
        } else {
            s.end += (size_t)n;
            run_lines(&s, s.end - s.start - (size_t)n);
        }
    }
    free(s.data);
    return s.status;
}
