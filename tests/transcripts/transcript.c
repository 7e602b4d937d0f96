#include "transcript.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINE_MAX_BYTES 8192
#define REPEAT_MAX 2000000

struct reader {
    struct transcripts *list;
    struct transcript *current; /* NULL between the blocks of a document */
    const char *path;
    unsigned line;
    char *catches; /* of the next expected answer */
};

static int complain(const struct reader *r, const char *format, ...) __attribute__((format(printf, 2, 3)));
static int complain(const struct reader *r, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fprintf(stderr, "%s:%u: ", r->path, r->line);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    return -1;
}

/* A test program has nothing better to do without memory. */
static void *grow(void *ptr, size_t size)
{
    void *grown = realloc(ptr, size);
    if (grown == NULL) {
        perror("realloc");
        exit(99);
    }
    return grown;
}

static struct step *add_step(struct reader *r, enum step_kind kind, const char *name)
{
    struct transcript *t = r->current;
    if (t->count == t->room) {
        t->room = t->room * 2 + 16;
        t->steps = grow(t->steps, t->room * sizeof(*t->steps));
    }
    struct step *step = &t->steps[t->count++];
    *step = (struct step){.kind = kind, .line = r->line};
    snprintf(step->name, sizeof(step->name), "%s", name);
    if (kind == STEP_EXPECT || kind == STEP_EXPECT_CLOSED) {
        t->assertions++;
        step->catches = r->catches;
        r->catches = NULL;
    }
    return step;
}

static void start(struct reader *r)
{
    struct transcripts *list = r->list;
    if (list->count == list->room) {
        list->room = list->room * 2 + 16;
        list->all = grow(list->all, list->room * sizeof(*list->all));
    }
    r->current = &list->all[list->count++];
    *r->current = (struct transcript){.path = r->path, .line = r->line};
}

/* --- texts --- */

struct text {
    char *bytes;
    size_t len;
};

static void put(struct text *text, const char *bytes, size_t len, size_t times)
{
    text->bytes = grow(text->bytes, text->len + len * times + 3);
    for (size_t i = 0; i < times; i++) {
        memcpy(text->bytes + text->len, bytes, len);
        text->len += len;
    }
    text->bytes[text->len] = '\0';
}

/* \*N{text}: returns what follows it, or NULL. */
static const char *put_repeated(struct text *text, const char *at)
{
    char *open;
    unsigned long times = strtoul(at, &open, 10);
    const char *close = strchr(open, '}');
    if (*open != '{' || close == NULL || times > REPEAT_MAX) {
        return NULL;
    }
    put(text, open + 1, (size_t)(close - open - 1), times);
    return close + 1;
}

/* What stands after a backslash: returns what follows it, or NULL. */
static const char *put_escape(struct text *text, const char *at)
{
    static const char names[] = "rnts\\";
    static const char values[] = "\r\n\t \\";
    const char *name = *at == '\0' ? NULL : strchr(names, *at);
    if (name != NULL) {
        put(text, &values[name - names], 1, 1);
        return at + 1;
    }
    if (*at == 'x' && isxdigit((unsigned char)at[1]) && isxdigit((unsigned char)at[2])) {
        char digits[3] = {at[1], at[2], '\0'};
        char byte = (char)strtoul(digits, NULL, 16);
        put(text, &byte, 1, 1);
        return at + 3;
    }
    return *at == '*' ? put_repeated(text, at + 1) : NULL;
}

static int read_text(const struct reader *r, const char *at, struct text *text)
{
    *text = (struct text){0};
    put(text, "", 0, 0);
    while (at != NULL && *at != '\0') {
        size_t plain = strcspn(at, "\\");
        put(text, at, plain, 1);
        at += plain;
        if (*at == '\\') {
            at = put_escape(text, at + 1);
        }
    }
    if (at == NULL) {
        free(text->bytes);
        return complain(r, "an escape is wanted: \\r \\n \\t \\s \\\\ \\xHH or \\*N{text}");
    }
    return 0;
}

/* A copy of line with each %d replaced by a number. */
static void put_number(char *out, size_t size, const char *line, unsigned long number)
{
    size_t used = 0;
    out[0] = '\0';
    while (*line != '\0' && used + 24 < size) {
        if (strncmp(line, "%d", 2) == 0) {
            used += (size_t)snprintf(out + used, size - used, "%lu", number);
            line += 2;
        } else {
            out[used++] = *line++;
            out[used] = '\0';
        }
    }
}

/* --- steps --- */

static int add_text_step(struct reader *r, enum step_kind kind, const char *name, const char *raw, bool ended)
{
    char line[LINE_MAX_BYTES];
    struct text text;
    size_t len = strlen(raw);
    bool prefix = kind == STEP_EXPECT && len >= 3 && strcmp(raw + len - 3, "...") == 0;
    snprintf(line, sizeof(line), "%.*s", (int)(prefix ? len - 3 : len), raw);
    if (read_text(r, line, &text) < 0) {
        return -1;
    }
    if (ended) {
        put(&text, "\r\n", 2, 1);
    }
    struct step *step = add_step(r, kind, name);
    step->bytes = text.bytes;
    step->len = text.len;
    step->prefix = prefix;
    return 0;
}

/* rest: what follows `name>` or `name<`, and a second `>`. */
static int read_text_step(struct reader *r, enum step_kind kind, const char *name, const char *rest, bool ended)
{
    unsigned long times = 1;
    bool counted = *rest == '*';
    if (counted) {
        char *end;
        times = strtoul(rest + 1, &end, 10);
        rest = end;
    }
    if ((*rest != ' ' && *rest != '\0') || times == 0 || times > REPEAT_MAX) {
        return complain(r, "one space is wanted between the sign and the text");
    }
    rest += *rest == ' ';
    for (unsigned long i = 1; i <= times; i++) {
        char line[LINE_MAX_BYTES];
        if (counted) {
            put_number(line, sizeof(line), rest, i);
        }
        if (add_text_step(r, kind, name, counted ? line : rest, ended) < 0) {
            return -1;
        }
    }
    return 0;
}

static int read_step(struct reader *r, const char *line)
{
    char name[TRANSCRIPT_NAME_MAX + 1];
    size_t len = strspn(line, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-");
    const char *sign = line + len;
    if (len == 0 || len > TRANSCRIPT_NAME_MAX || (*sign != '<' && *sign != '>')) {
        return complain(r, "a line is wanted such as: name> text, name< text, ! option, # comment");
    }
    snprintf(name, sizeof(name), "%.*s", (int)len, line);
    if (strcmp(sign, ">|") == 0) {
        add_step(r, STEP_HALF_CLOSE, name);
    } else if (strcmp(sign, ">!") == 0) {
        add_step(r, STEP_LOSE, name);
    } else if (strcmp(sign, "<|") == 0) {
        add_step(r, STEP_EXPECT_CLOSED, name);
    } else if (sign[0] == '<') {
        return read_text_step(r, STEP_EXPECT, name, sign + 1, false);
    } else {
        bool raw = sign[1] == '>';
        return read_text_step(r, STEP_SEND, name, sign + (raw ? 2 : 1), !raw);
    }
    return 0;
}

static int read_option(struct reader *r, const char *rest)
{
    size_t len = strcspn(rest, " ");
    const char *value = rest[len] == ' ' ? rest + len + 1 : "";
    if (len == 0 || len > TRANSCRIPT_NAME_MAX) {
        return complain(r, "an option is wanted, such as: ! tx-keys 4");
    }
    if (len == 7 && strncmp(rest, "catches", 7) == 0) {
        struct text names = {0};
        put(&names, " ", 1, 1);
        put(&names, value, strlen(value), 1);
        put(&names, " ", 1, 1);
        free(r->catches);
        r->catches = names.bytes;
        return 0;
    }
    char name[TRANSCRIPT_NAME_MAX + 1];
    snprintf(name, sizeof(name), "%.*s", (int)len, rest);
    return add_text_step(r, STEP_OPTION, name, value, false);
}

static int read_line(struct reader *r, const char *line)
{
    size_t len = strlen(line);
    if (len == 0 || line[0] == '#') {
        return 0;
    }
    if (line[len - 1] == ' ' || line[len - 1] == '\t' || line[len - 1] == '\r') {
        return complain(r, "white space at the end of the line; a space there is written as \\s");
    }
    if (line[0] == '!') {
        return line[1] == ' ' ? read_option(r, line + 2) : complain(r, "one space is wanted after the '!'");
    }
    return read_step(r, line);
}

/* In a document only the fenced blocks count. */
static int read_document_line(struct reader *r, const char *line)
{
    if (r->current == NULL) {
        if (strcmp(line, "```txkv") == 0) {
            start(r);
        }
        return 0;
    }
    if (strcmp(line, "```") == 0) {
        r->current = NULL;
        return 0;
    }
    return read_line(r, line);
}

int transcripts_read(struct transcripts *list, const char *path)
{
    char line[LINE_MAX_BYTES];
    struct reader r = {.list = list, .path = path, .line = 1};
    size_t path_len = strlen(path);
    bool document = path_len > 3 && strcmp(path + path_len - 3, ".md") == 0;
    FILE *file = fopen(path, "r");
    if (file == NULL) {
        perror(path);
        return -1;
    }
    if (!document) {
        start(&r);
    }
    int rc = 0;
    for (; rc == 0 && fgets(line, sizeof(line), file) != NULL; r.line++) {
        size_t len = strlen(line);
        if (len == 0 || line[len - 1] != '\n') {
            rc = complain(&r, "the line holds a NUL, has no end, or is over %d bytes", LINE_MAX_BYTES);
            break;
        }
        line[len - 1] = '\0';
        rc = document ? read_document_line(&r, line) : read_line(&r, line);
    }
    if (rc == 0 && ferror(file)) {
        rc = complain(&r, "cannot be read");
    } else if (rc == 0 && document && r.current != NULL) {
        rc = complain(&r, "the block is not closed");
    } else if (rc == 0 && r.catches != NULL) {
        rc = complain(&r, "no answer is asserted after '! catches'");
    }
    free(r.catches);
    fclose(file);
    return rc;
}

void transcripts_deinit(struct transcripts *list)
{
    for (size_t i = 0; i < list->count; i++) {
        struct transcript *t = &list->all[i];
        for (size_t j = 0; j < t->count; j++) {
            free(t->steps[j].bytes);
            free(t->steps[j].catches);
        }
        free(t->steps);
    }
    free(list->all);
    *list = (struct transcripts){0};
}

bool step_catches(const struct step *step, const char *fault)
{
    char wanted[64];
    snprintf(wanted, sizeof(wanted), " %s ", fault);
    return step->catches != NULL && strstr(step->catches, wanted) != NULL;
}
