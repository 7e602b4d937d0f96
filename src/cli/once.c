#include "once.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "args.h"
#include "command.h"
#include "show.h"

/* Whether each word stays one word in the line: a key with a space in it would else become a key and a value. The value
 * may hold anything. A single word is taken as a whole line. */
static bool words_hold(char **words, size_t count)
{
    const struct command *command = command_find(PROTO_TEXT, slice_str(words[0]));
    size_t rest = count; /* index of the first word that belongs to a value */
    if (command != NULL && command->flags & COMMAND_REST) {
        rest = command->args_max;
    }
    for (size_t i = 0; count > 1 && i < count && i < rest; i++) {
        if (words[i][0] == '\0' || strchr(words[i], ' ') != NULL) {
            fprintf(stderr, "txkv-cli: '%s' is not one word: only the value of SET may be empty or hold spaces\n",
                    words[i]);
            return false;
        }
    }
    return true;
}

/* The words with single spaces between them, to be freed; NULL without memory. */
static char *join(char **words, size_t count)
{
    size_t len = 0;
    for (size_t i = 0; i < count; i++) {
        len += strlen(words[i]) + 1;
    }
    char *line = malloc(len);
    if (line == NULL) {
        return NULL;
    }
    char *at = line;
    for (size_t i = 0; i < count; i++) {
        at = stpcpy(at, words[i]);
        *at++ = i + 1 < count ? ' ' : '\0';
    }
    return line;
}

int once_run(struct txkv *c, char **words, size_t count)
{
    if (!words_hold(words, count)) {
        return EXIT_ERR;
    }
    char *line = join(words, count);
    if (line == NULL) {
        fprintf(stderr, "txkv-cli: out of memory\n");
        return EXIT_ERR;
    }
    struct txkv_reply reply;
    int rc = txkv_command(c, line, strlen(line), &reply);
    show_reply(&reply);
    if (reply.count == 0 && rc != TXKV_OK) {
        fprintf(stderr, "txkv-cli: %s\n", txkv_errmsg(c));
    }
    free(line);
    return rc == TXKV_OK ? EXIT_ANSWERED : show_is_lost(rc) ? EXIT_LOST : EXIT_ERR;
}
