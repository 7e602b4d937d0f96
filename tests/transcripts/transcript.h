/* transcript: a conversation of several clients with the server, as text. One file, or one fenced block of a document whose
 * info string is `txkv`, is one transcript; it starts with an empty server.
 *
 *      # a comment, or an empty line
 *      ! isolation serializable     an option of the server, from here on: its long name without the dashes
 *      ! password TEXT              ... what --password-file would hold
 *      ! time 1700000000000         the store is told the time, Unix milliseconds; until then it is 0
 *      ! catches FAULT ...          with that deliberate bug on, the next answer asserted is the first that differs
 *      name> text                   client `name` sends the text and CRLF; a new name is a new connection
 *      name>> text                  ... the text alone, as it stands
 *      name>*50 SET k%d v           ... 50 lines; %d counts them from 1
 *      name>|                       the client sends nothing more (half-close)
 *      name>!                       the connection is lost
 *      name< text                   the next line of the answer; `...` at its end: and whatever follows in this line
 *      name<*50 OK                  50 such lines
 *      name<|                       the server has closed the connection; the name is free for a new one
 *
 * In texts: \r \n \t \\ \s (a space, where it would stand at the end of the line), \xHH, and \*N{text}: N times the text. */
#ifndef TXKV_TRANSCRIPT_H
#define TXKV_TRANSCRIPT_H

#include <stdbool.h>
#include <stddef.h>

#define TRANSCRIPT_NAME_MAX 23

enum step_kind { STEP_SEND, STEP_HALF_CLOSE, STEP_LOSE, STEP_EXPECT, STEP_EXPECT_CLOSED, STEP_OPTION };

struct step {
    enum step_kind kind;
    unsigned line; /* in its file, from 1 */
    char name[TRANSCRIPT_NAME_MAX + 1]; /* of the client, or of the option */
    char *bytes;   /* owned, ended by a NUL beyond len: what is sent, expected, or the option's value */
    size_t len;
    bool prefix;   /* EXPECT: the rest of the line may be anything */
    char *catches; /* owned; EXPECT: names of faults that show here first, each between spaces; or NULL */
};

struct transcript {
    const char *path; /* borrowed */
    unsigned line;    /* where it begins */
    struct step *steps;
    size_t count;
    size_t room;
    size_t assertions;
};

struct transcripts {
    struct transcript *all;
    size_t count;
    size_t room;
};

/* Adds those of a file: one, or with a name in .md one for each fenced block. path is kept. 0, or -1 after saying on
 * stderr what is wrong. */
int transcripts_read(struct transcripts *list, const char *path);

void transcripts_deinit(struct transcripts *list);

/* Whether an expected answer is where this fault shows first. */
bool step_catches(const struct step *step, const char *fault);

#endif
