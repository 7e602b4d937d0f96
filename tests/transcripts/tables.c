#include "tables.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "command.h"
#include "err.h"

#define LINE_MAX_BYTES 4096

/* One row of the code's table as the document prints it; false past the last one. */
typedef bool (*row_writer)(size_t index, char *row, size_t size);

/* A '|' inside a cell is written as \|. */
static void escape_bars(char *out, size_t size, const char *text)
{
    size_t used = 0;
    for (; *text != '\0' && used + 3 < size; text++) {
        if (*text == '|') {
            out[used++] = '\\';
        }
        out[used++] = *text;
    }
    out[used] = '\0';
}

/* The first three cells, which both protocols have; NULL past the last command. */
static const struct command *write_command_of(enum proto_kind kind, size_t index, char *row, size_t size)
{
    char usage[256];
    const struct command *c = command_at(kind, index);
    if (c == NULL || strncmp(c->help, "test build:", 11) == 0) {
        return NULL;
    }
    escape_bars(usage, sizeof(usage), c->usage);
    bool bare = usage[0] == '\0';
    snprintf(row, size, "| `%s` |%s%s%s | %s |", c->name, bare ? "" : " `", usage, bare ? "" : "`", c->help);
    return c;
}

static bool write_command(size_t index, char *row, size_t size)
{
    return write_command_of(PROTO_TEXT, index, row, size) != NULL;
}

static bool write_resp_command(size_t index, char *row, size_t size)
{
    const struct command *c = write_command_of(PROTO_RESP, index, row, size);
    if (c == NULL) {
        return false;
    }
    size_t used = strlen(row);
    snprintf(row + used, size - used, " %s |%s%s |", c->since == NULL ? "txkv" : c->since, c->differs == NULL ? "" : " ",
             c->differs == NULL ? "" : c->differs);
    return true;
}

static bool write_error(size_t index, char *row, size_t size)
{
    if (index >= ERR_COUNT) {
        return false;
    }
    int err = -(int)index - 1;
    snprintf(row, size, "| `ERR %s` | %s |", err_word(err), err_text(err));
    return true;
}

static bool read_line(FILE *file, char *line)
{
    if (fgets(line, LINE_MAX_BYTES, file) == NULL) {
        return false;
    }
    line[strcspn(line, "\n")] = '\0';
    return true;
}

/* Compares the table under a heading row; returns its number of rows, or -1. */
static int compare_table(FILE *file, const char *path, const char *heading, row_writer write)
{
    char line[LINE_MAX_BYTES];
    char row[LINE_MAX_BYTES];
    int rows = 0;
    rewind(file);
    do {
        if (!read_line(file, line)) {
            fprintf(stderr, "%s: there is no table with the heading %s\n", path, heading);
            return -1;
        }
    } while (strcmp(line, heading) != 0);
    bool more = read_line(file, line); /* the rule under the heading */
    for (size_t i = 0; more; i++) {
        bool wanted = write(i, row, sizeof(row));
        more = read_line(file, line) && line[0] == '|';
        if (wanted != more || (wanted && strcmp(row, line) != 0)) {
            fprintf(stderr, "%s: the table %s\n    has:  %s\n    code: %s\n", path, heading, more ? line : "(no row)",
                    wanted ? row : "(no row)");
            return -1;
        }
        rows += more ? 1 : 0;
    }
    return rows;
}

int tables_compare(const char *path)
{
    FILE *file = fopen(path, "r");
    if (file == NULL) {
        perror(path);
        return -1;
    }
    int commands = compare_table(file, path, "| Command | Arguments | What it does, or answers |", write_command);
    int resp = compare_table(file, path, "| RESP command | Arguments | What it does, or answers | Since | Differs from Redis |", write_resp_command);
    int errors = compare_table(file, path, "| Answer begins with | Meaning |", write_error);
    fclose(file);
    return commands <= 0 || resp <= 0 || errors <= 0 ? -1 : commands + resp + errors;
}
