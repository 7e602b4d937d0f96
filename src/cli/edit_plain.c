#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "edit.h"

struct edit {
    char *line; /* owned */
    size_t cap;
};

static void on_interrupt(int number)
{
    (void)number; /* its only effect is that reading stops */
}

struct edit *edit_new(void)
{
    return calloc(1, sizeof(struct edit));
}

void edit_free(struct edit *e)
{
    if (e != NULL) {
        free(e->line);
        free(e);
    }
}

enum edit_result edit_read(struct edit *e, const char *prompt, const char **line)
{
    struct sigaction catch = {.sa_handler = on_interrupt};
    struct sigaction before;
    printf("%s", prompt);
    fflush(stdout);
    sigaction(SIGINT, &catch, &before);
    errno = 0;
    ssize_t len = getline(&e->line, &e->cap, stdin);
    int error = errno;
    sigaction(SIGINT, &before, NULL);
    if (len <= 0) {
        clearerr(stdin);
        return error == EINTR ? EDIT_INTERRUPTED : EDIT_END;
    }
    e->line[len - 1] = e->line[len - 1] == '\n' ? '\0' : e->line[len - 1];
    *line = e->line;
    return EDIT_LINE;
}

void edit_let_interrupt(struct edit *e, bool on)
{
    (void)e; /* Ctrl-C is caught only while a line is read */
    (void)on;
}

void edit_remember(struct edit *e, const char *line)
{
    (void)e;
    (void)line;
}
