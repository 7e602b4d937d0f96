#include "options.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

enum kind { KIND_TASK, KIND_HELP, KIND_VERSION };

struct row {
    const char *name;
    enum kind kind;
    enum check_task task;
    const char *help;
};

static const struct row rows[] = {
    {"dump", KIND_TASK, CHECK_DUMP, "write the data as SET commands, for a server: txkv-check --dump DIR | txkv-cli"},
    {"repair", KIND_TASK, CHECK_REPAIR, "give up what cannot be read, after saying what that is, so that a server starts"},
    {"help", KIND_HELP, 0, "print this and exit"},
    {"version", KIND_VERSION, 0, "print the version and exit"},
};

#define ROWS (sizeof(rows) / sizeof(rows[0]))

static void print_help(void)
{
    printf("Usage: txkv-check [OPTION] DIR\n"
           "Verifies every file of a data directory or a backup, and says what is there. Without --repair nothing is\n"
           "changed, and a server may be running on it.\n\n");
    for (size_t i = 0; i < ROWS; i++) {
        printf("  --%-10s %s\n", rows[i].name, rows[i].help);
    }
    printf("\n--repair moves and cuts nothing without keeping a copy in DIR, as saved-*. It refuses while a server runs.\n"
           "--dump leaves out keys and values that a line of text cannot hold, and says how many; and how long the longest are,\n"
           "as a server refuses with ERR TOOBIG those above its --key-max and --value-max.\n\n"
           "Exit status: %d all is whole, or was repaired; %d a torn tail or damage, or a dump that is not complete;\n"
           "%d wrong usage, or something that could not be read.\n",
           CHECK_CLEAN, CHECK_DAMAGED, CHECK_NOT_READ);
}

static const struct row *find_row(const char *word)
{
    for (size_t i = 0; i < ROWS; i++) {
        if (strcmp(word + 2, rows[i].name) == 0) {
            return &rows[i];
        }
    }
    return NULL;
}

static enum check_parsed take_option(struct check_options *o, const char *word)
{
    const struct row *row = word[1] == '-' ? find_row(word) : NULL;
    if (row == NULL) {
        fprintf(stderr, "txkv-check: %s is not an option; --help lists them\n", word);
        return CHECK_WRONG;
    }
    switch (row->kind) {
    case KIND_HELP:
        print_help();
        return CHECK_DONE;
    case KIND_VERSION:
        printf("txkv-check %s\n", TXKV_VERSION);
        return CHECK_DONE;
    case KIND_TASK:
    default:
        break;
    }
    if (o->task != CHECK_VERIFY && o->task != row->task) {
        fprintf(stderr, "txkv-check: one of --dump and --repair at a time\n");
        return CHECK_WRONG;
    }
    o->task = row->task;
    return CHECK_RUN;
}

enum check_parsed check_options_parse(struct check_options *o, int argc, char **argv)
{
    *o = (struct check_options){.task = CHECK_VERIFY};
    bool only_paths = false;
    for (int i = 1; i < argc; i++) {
        if (!only_paths && strcmp(argv[i], "--") == 0) {
            only_paths = true;
        } else if (!only_paths && argv[i][0] == '-') {
            enum check_parsed result = take_option(o, argv[i]);
            if (result != CHECK_RUN) {
                return result;
            }
        } else if (o->path != NULL || argv[i][0] == '\0') {
            fprintf(stderr, "txkv-check: one directory is wanted; '%s' is too much\n", argv[i]);
            return CHECK_WRONG;
        } else {
            o->path = argv[i];
        }
    }
    if (o->path == NULL) {
        fprintf(stderr, "txkv-check: a data directory is wanted; --help says more\n");
        return CHECK_WRONG;
    }
    return CHECK_RUN;
}
