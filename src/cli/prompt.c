/* What the prompt says is where the connection stands:
 *
 *      txkv>          no transaction
 *      txkv[tx]>      a transaction is open
 *      txkv[tx!]>     it has failed: only COMMIT (refused) or ROLLBACK end it
 *      not connected> the next command connects again
 *
 * A line is checked as the server would parse it before it is sent, so that a slip of the finger does not fail the
 * transaction. When a connection is lost in a transaction, the line that finds it out is not sent, and lines typed
 * ahead are dropped: what was meant for the transaction must not run outside one. */
#include "prompt.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <termios.h>
#include <unistd.h>

#include "args.h"
#include "command.h"
#include "edit.h"
#include "show.h"

struct prompt {
    struct txkv *c;
    struct edit *edit;
    bool connected; /* as the person was told */
    bool in_tx;     /* as the person was told: a transaction was open after the last answer */
    bool over;
};

static void say_gone(struct prompt *p)
{
    if (p->in_tx) {
        fprintf(stderr, "The open transaction is gone, nothing of it was applied.\n");
        tcflush(STDIN_FILENO, TCIFLUSH);
    }
    p->in_tx = false;
    p->connected = false;
}

/* Says so, once, if the connection was lost since the last answer. */
static bool still_connected(struct prompt *p)
{
    if (!p->connected) {
        return false;
    }
    if (txkv_check(p->c) == TXKV_OK) {
        return true;
    }
    fprintf(stderr, "%s\n", txkv_errmsg(p->c));
    say_gone(p);
    return false;
}

/* Makes sure that there is a connection for a line to be sent. False: the line must not be sent. */
static bool connect_for_line(struct prompt *p)
{
    bool was_in_tx = p->in_tx;
    if (still_connected(p)) {
        return true;
    }
    if (was_in_tx) {
        fprintf(stderr, "This line was not sent.\n");
        return false;
    }
    if (txkv_reconnect(p->c) != TXKV_OK) {
        fprintf(stderr, "%s\n", txkv_errmsg(p->c));
        return false;
    }
    fprintf(stderr, "Connected again.\n");
    p->connected = true;
    return true;
}

static void send_line(struct prompt *p, struct slice line)
{
    struct txkv_reply reply;
    edit_let_interrupt(p->edit, true); /* a server that does not answer can be left */
    int rc = connect_for_line(p) ? txkv_command(p->c, line.data, line.len, &reply) : TXKV_ERR_CONNECT;
    edit_let_interrupt(p->edit, false);
    if (rc == TXKV_ERR_CONNECT) {
        return;
    }
    show_reply(&reply);
    if (reply.count == 0 && rc != TXKV_OK) {
        fprintf(stderr, "%s\n", txkv_errmsg(p->c));
    }
    if (show_is_lost(rc)) {
        p->in_tx = p->in_tx && rc != TXKV_ERR_OUTCOME; /* of a COMMIT it is not known, and has been said */
        say_gone(p);
        return;
    }
    p->in_tx = txkv_transaction_state(p->c) != TXKV_STATE_NONE;
}

/* HELP is answered here: the server's answer is one line, and a failed transaction would refuse it. */
static void print_help(struct slice name)
{
    bool any = false;
    for (size_t i = 0; command_at(PROTO_TEXT, i) != NULL; i++) {
        const struct command *command = command_at(PROTO_TEXT, i);
        if (name.len == 0 ||
            (name.len == strlen(command->name) && strncasecmp(name.data, command->name, name.len) == 0)) {
            printf("%-10s %-36s %s\n", command->name, command->usage, command->help);
            any = true;
        }
    }
    if (!any) {
        printf("There is no command %.*s; HELP lists them.\n", (int)name.len, name.data);
    }
}

static bool is_word(struct slice word, const char *name)
{
    return word.len == strlen(name) && strncasecmp(word.data, name, word.len) == 0;
}

/* The first word of a line. */
static struct slice verb_of(struct slice line)
{
    const char *space = line.len == 0 ? NULL : memchr(line.data, ' ', line.len);
    return slice_of(line.data, space == NULL ? line.len : (size_t)(space - line.data));
}

/* A line without the spaces at its end, which the Tab key leaves there, unless they are part of a value. */
static struct slice trim(const char *line)
{
    struct slice all = slice_str(line);
    const struct command *command = command_find(PROTO_TEXT, verb_of(all));
    if (command == NULL || !(command->flags & COMMAND_REST)) {
        while (all.len > 0 && all.data[all.len - 1] == ' ') {
            all.len--;
        }
    }
    return all;
}

static void run_line(struct prompt *p, const char *typed)
{
    struct slice line = trim(typed);
    if (line.len == 0) {
        return;
    }
    struct slice verb = verb_of(line);
    if (!is_word(verb, "AUTH")) { /* a password is not written down */
        edit_remember(p->edit, typed);
    }
    if (is_word(line, "QUIT") || is_word(line, "EXIT")) {
        struct txkv_reply reply;
        edit_let_interrupt(p->edit, true);
        txkv_command(p->c, "QUIT", 4, &reply);
        p->over = true;
        return;
    }
    if (is_word(verb, "HELP")) {
        size_t skip = line.len > verb.len ? verb.len + 1 : verb.len;
        print_help(slice_of(line.data + skip, line.len - skip));
        return;
    }
    char why[512];
    if (command_check_line(line, why, sizeof why) < 0) {
        printf("ERR %s (not sent)\n", why);
        return;
    }
    send_line(p, line);
}

static const char *prompt_text(struct prompt *p)
{
    static const char *const texts[] = {
        [TXKV_STATE_NONE] = "txkv> ", [TXKV_STATE_OPEN] = "txkv[tx]> ", [TXKV_STATE_FAILED] = "txkv[tx!]> "};
    return still_connected(p) ? texts[txkv_transaction_state(p->c)] : "not connected> ";
}

int prompt_run(struct txkv *c)
{
    struct prompt p = {.c = c, .connected = true, .edit = edit_new()};
    if (p.edit == NULL) {
        fprintf(stderr, "txkv-cli: this terminal cannot be used\n");
        return EXIT_ERR;
    }
    while (!p.over) {
        const char *line;
        fflush(stdout);
        switch (edit_read(p.edit, prompt_text(&p), &line)) {
        case EDIT_LINE:
            run_line(&p, line);
            break;
        case EDIT_INTERRUPTED:
            break;
        case EDIT_END:
            printf("\n");
            p.over = true;
            break;
        }
    }
    if (p.in_tx) {
        fprintf(stderr, "The open transaction is discarded.\n");
    }
    edit_free(p.edit);
    return EXIT_ANSWERED;
}
