/* edit: reading a line from the terminal. edit_libedit.c does it with line editing, history and completion,
 * edit_plain.c without, for builds without libedit. */
#ifndef TXKV_CLI_EDIT_H
#define TXKV_CLI_EDIT_H

#include <stdbool.h>

struct edit;

enum edit_result {
    EDIT_LINE,
    EDIT_INTERRUPTED, /* Ctrl-C: what was typed is dropped */
    EDIT_END,         /* Ctrl-D on an empty line, or the terminal is gone */
};

/* NULL without memory or without a usable terminal. */
struct edit *edit_new(void);
void edit_free(struct edit *e);

/* Shows the prompt and waits for a line. *line is without its end and valid until the next call. */
enum edit_result edit_read(struct edit *e, const char *prompt, const char **line);

/* Lets Ctrl-C end the program, as it should while a command waits for the server, or not. */
void edit_let_interrupt(struct edit *e, bool on);

/* Takes a line into the history, that of later sessions too. */
void edit_remember(struct edit *e, const char *line);

#endif
