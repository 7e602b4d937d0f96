#include "coverage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"

static const struct {
    const char *name;
    enum proto_kind kind;
} kinds[COVERAGE_KINDS] = {{"the text protocol", PROTO_TEXT}, {"RESP2", PROTO_RESP}, {"RESP3", PROTO_RESP}};

static enum coverage_kind kind_of(const struct session *s)
{
    return s->proto == &proto_text ? COVERAGE_TEXT : s->proto == &proto_resp2 ? COVERAGE_RESP2 : COVERAGE_RESP3;
}

/* The first word of a request: a line's, or the bulk string behind *N. A step's bytes are ended by NUL. */
static struct slice first_word(const struct step *step)
{
    const char *at = step->bytes;
    const char *bulk = *at == '*' ? strstr(at, "\r\n$") : NULL;
    const char *end = step->bytes + step->len;
    if (bulk != NULL) {
        char *behind;
        size_t len = strtoul(bulk + 3, &behind, 10);
        at = behind + 2;
        return at <= end && len <= (size_t)(end - at) ? slice_of(at, len) : slice_of(at, 0);
    }
    return slice_of(at, strcspn(at, " \r\n"));
}

void coverage_note(struct coverage *c, const struct session *s, const struct step *step)
{
    enum coverage_kind kind = kind_of(s);
    struct slice word = first_word(step);
    const struct command *command = word.len == 0 ? NULL : command_find(kinds[kind].kind, word);
    for (size_t i = 0; command != NULL && i < COVERAGE_MAX; i++) {
        c->sent[kind][i] = c->sent[kind][i] || command_at(kinds[kind].kind, i) == command;
    }
}

size_t coverage_report(const struct coverage *c)
{
    size_t missing = 0;
    for (int kind = 0; kind < COVERAGE_KINDS; kind++) {
        const struct command *command;
        for (size_t i = 0; (command = command_at(kinds[kind].kind, i)) != NULL; i++) {
            if (i >= COVERAGE_MAX || !c->sent[kind][i]) {
                fprintf(stderr, "no transcript sends %s in %s\n", command->name, kinds[kind].name);
                missing++;
            }
        }
    }
    return missing;
}
