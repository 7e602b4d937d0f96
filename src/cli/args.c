#include "args.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "txkv.h"

enum kind { KIND_TEXT, KIND_NUMBER, KIND_SECONDS, KIND_HELP, KIND_VERSION };

struct row {
    char letter; /* 0: none */
    const char *name;
    const char *argument; /* as the help shows it; NULL where it takes none */
    enum kind kind;
    size_t offset; /* of its field in struct args */
    int min;
    int max;
    const char *help;
};

#define FIELD(name) offsetof(struct args, name)

static const struct row rows[] = {
    {'h', "host", "HOST", KIND_TEXT, FIELD(host), 0, 0, "name or address of the server (default 127.0.0.1)"},
    {'p', "port", "PORT", KIND_NUMBER, FIELD(port), 1, 65535, "its port (default 8888)"},
    {'u', "unix", "PATH", KIND_TEXT, FIELD(unix_path), 0, 0, "connect to the Unix socket at PATH instead"},
    {0, "password-file", "FILE", KIND_TEXT, FIELD(password_file), 0, 0,
     "the first line of FILE is the server's password (default: that in TXKV_PASSWORD)"},
    {'t', "timeout", "SECONDS", KIND_SECONDS, FIELD(timeout_ms), 0, 86400,
     "give up if the server is silent for so long; 0 is never (default 0)"},
    {0, "help", NULL, KIND_HELP, 0, 0, 0, "print this and exit"},
    {0, "version", NULL, KIND_VERSION, 0, 0, 0, "print the version and exit"},
};

#define ROWS (sizeof rows / sizeof rows[0])

static void print_help(void)
{
    printf("Usage: txkv-cli [OPTION]... [COMMAND [ARGUMENT]...]\n"
           "Sends commands to a txkv server and prints its answers.\n\n"
           "With a COMMAND it runs that one. Without, commands come from standard input, one a line: at a\n"
           "terminal with a prompt, line editing and history, else as they are.\n\n"
           "The words of COMMAND are joined by single spaces; all that follows the key of SET is the value.\n"
           "So txkv-cli backup NAME copies the server's data, as of now, to NAME below the server's --backup-dir,\n"
           "and exits when the copy is on disk.\n\n");
    for (size_t i = 0; i < ROWS; i++) {
        char letter[8] = "    ";
        char name[40];
        if (rows[i].letter != 0) {
            snprintf(letter, sizeof letter, "-%c, ", rows[i].letter);
        }
        snprintf(name, sizeof name, "--%s%s%s", rows[i].name, rows[i].argument == NULL ? "" : " ",
                 rows[i].argument == NULL ? "" : rows[i].argument);
        printf("  %s%-18s  %s\n", letter, name, rows[i].help);
    }
    printf("\nAnswers go to standard output, ERR lines included; what txkv-cli itself has to say goes to\n"
           "standard error. The prompt keeps its history in ~/.txkv_history, or where TXKV_HISTFILE says; an\n"
           "empty TXKV_HISTFILE keeps none. What the commands are: HELP at the prompt. From a pipe, a last line\n"
           "without an end is run too. A value that begins with ERR and a code looks like an error, and counts as\n"
           "one.\n\n"
           "Exit status: %d all was answered; %d an answer was ERR; %d wrong usage; %d no connection, or lost.\n",
           EXIT_ANSWERED, EXIT_ERR, EXIT_USAGE, EXIT_LOST);
}

static bool parse_number(const char *text, int min, int max, int *number)
{
    int value = 0;
    size_t i = 0;
    for (; text[i] >= '0' && text[i] <= '9' && i < 9; i++) {
        value = value * 10 + (text[i] - '0');
    }
    if (i == 0 || text[i] != '\0' || value < min || value > max) {
        return false;
    }
    *number = value;
    return true;
}

/* Sets the field of a row; false after a line on stderr. */
static bool set_field(struct args *a, const struct row *row, const char *text)
{
    char *field = (char *)a + row->offset;
    if (row->kind == KIND_TEXT) {
        if (text[0] == '\0') {
            fprintf(stderr, "txkv-cli: --%s must not be empty\n", row->name);
            return false;
        }
        memcpy(field, &text, sizeof text);
        return true;
    }
    int number;
    if (!parse_number(text, row->min, row->max, &number)) {
        fprintf(stderr, "txkv-cli: --%s %s: a number from %d to %d is wanted\n", row->name, text, row->min, row->max);
        return false;
    }
    number = row->kind == KIND_SECONDS ? number * 1000 : number;
    memcpy(field, &number, sizeof number);
    return true;
}

/* The row that a word of the command line means, or NULL. *value is what stands in the same word for its argument (-p1,
 * --port=1), NULL for nothing. */
static const struct row *find_row(const char *word, const char **value)
{
    *value = NULL;
    for (size_t i = 0; i < ROWS; i++) {
        if (word[1] != '-') {
            if (rows[i].letter == word[1]) {
                *value = word[2] == '\0' ? NULL : word + 2;
                return &rows[i];
            }
            continue;
        }
        size_t len = strlen(rows[i].name);
        if (strncmp(word + 2, rows[i].name, len) == 0 && (word[2 + len] == '\0' || word[2 + len] == '=')) {
            *value = word[2 + len] == '\0' ? NULL : word + 2 + len + 1;
            return &rows[i];
        }
    }
    return NULL;
}

/* Takes the option at argv[*at], and its argument, and moves *at past them. */
static enum args_result take_option(struct args *a, int argc, char **argv, int *at)
{
    const char *word = argv[(*at)++];
    const char *value;
    const struct row *row = find_row(word, &value);
    if (row == NULL) {
        fprintf(stderr, "txkv-cli: %s is not an option; --help lists them\n", word);
        return ARGS_WRONG;
    }
    if (row->argument == NULL) {
        if (value != NULL) {
            fprintf(stderr, "txkv-cli: --%s takes no value\n", row->name);
            return ARGS_WRONG;
        }
        if (row->kind == KIND_HELP) {
            print_help();
        } else {
            printf("txkv-cli %s\n", TXKV_VERSION);
        }
        return ARGS_DONE;
    }
    if (value == NULL && *at == argc) {
        fprintf(stderr, "txkv-cli: %s needs a value: %s; --help says more\n", word, row->argument);
        return ARGS_WRONG;
    }
    value = value == NULL ? argv[(*at)++] : value;
    return set_field(a, row, value) ? ARGS_RUN : ARGS_WRONG;
}

enum args_result args_parse(struct args *a, int argc, char **argv)
{
    *a = (struct args){.host = "127.0.0.1", .port = TXKV_PORT};
    int at = 1;
    while (at < argc && argv[at][0] == '-' && argv[at][1] != '\0') {
        if (strcmp(argv[at], "--") == 0) {
            at++;
            break;
        }
        enum args_result result = take_option(a, argc, argv, &at);
        if (result != ARGS_RUN) {
            return result;
        }
    }
    a->command = argv + at;
    a->command_len = (size_t)(argc - at);
    return ARGS_RUN;
}
