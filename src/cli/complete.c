#include "complete.h"

#include <strings.h>

#include "command.h"

struct found {
    struct slice *matches;
    size_t count;
    struct slice word; /* what they must begin with, in whatever case */
};

static void offer(struct found *f, struct slice candidate)
{
    if (f->count < COMPLETE_MAX && candidate.len >= f->word.len &&
        strncasecmp(candidate.data, f->word.data, f->word.len) == 0) {
        f->matches[f->count++] = candidate;
    }
}

static void offer_commands(struct found *f)
{
    for (size_t i = 0; command_at(PROTO_TEXT, i) != NULL; i++) {
        offer(f, slice_str(command_at(PROTO_TEXT, i)->name));
    }
}

/* Words in capitals stand for themselves in a usage, such as "[SERIALIZABLE|READONLY]"; "command" for any command. */
static void offer_usage(struct found *f, const char *usage)
{
    const char *separators = " []|.";
    while (*usage != '\0') {
        usage += strspn(usage, separators);
        size_t len = strcspn(usage, separators);
        if (len > 0 && usage[0] >= 'A' && usage[0] <= 'Z') {
            offer(f, slice_of(usage, len));
        } else if (len == strlen("command") && memcmp(usage, "command", len) == 0) {
            offer_commands(f);
        }
        usage += len;
    }
}

size_t complete_find(struct slice text, struct slice matches[COMPLETE_MAX], size_t *word_len)
{
    struct found f = {.matches = matches, .word = text};
    const char *space = text.len == 0 ? NULL : memchr(text.data, ' ', text.len);
    if (space == NULL) {
        offer_commands(&f);
    } else {
        size_t verb_len = (size_t)(space - text.data);
        f.word = slice_of(space + 1, text.len - verb_len - 1);
        const struct command *command = command_find(PROTO_TEXT, slice_of(text.data, verb_len));
        if (command != NULL) {
            offer_usage(&f, command->usage);
        }
    }
    *word_len = f.word.len;
    return f.count;
}

size_t complete_common(const struct slice *matches, size_t count)
{
    size_t common = matches[0].len;
    for (size_t i = 1; i < count; i++) {
        size_t same = 0;
        while (same < common && same < matches[i].len && matches[0].data[same] == matches[i].data[same]) {
            same++;
        }
        common = same;
    }
    return common;
}
