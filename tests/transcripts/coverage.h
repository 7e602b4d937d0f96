/* coverage: which commands transcripts send, in which protocol.
 *
 * A step that begins a request counts for the command that stands first in it. What a request in the middle of a step is, or
 * one that is cut into several steps, is not looked for: what counts as sent is. */
#ifndef TXKV_COVERAGE_H
#define TXKV_COVERAGE_H

#include "session.h"
#include "transcript.h"

#define COVERAGE_MAX 256 /* commands of one protocol */

enum coverage_kind { COVERAGE_TEXT, COVERAGE_RESP2, COVERAGE_RESP3, COVERAGE_KINDS };

struct coverage {
    bool sent[COVERAGE_KINDS][COVERAGE_MAX]; /* by the index of command_at */
};

/* Notes what a step asks for. The session has had its first byte, and so knows its protocol. */
void coverage_note(struct coverage *c, const struct session *s, const struct step *step);

/* Says on stderr which commands were not sent in a protocol that has them; how many. */
size_t coverage_report(const struct coverage *c);

#endif
