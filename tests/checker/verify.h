/* Two judges of a history. Both print each anomaly in a few lines and count the others.
 *
 * What a transaction promises, and what both check:
 *   - its reads see one snapshot, taken between the sending and the answer of BEGIN, and its own writes before that;
 *   - its writes become visible at once, between the sending and the answer of COMMIT, or never;
 *   - if it is SERIALIZABLE and writes, what it read is still so at its commit; COMMIT is refused otherwise.
 * That makes serializable and read-only transactions strictly serializable. A plain one is two steps: a read-only one
 * at BEGIN, and a blind write at COMMIT. */
#ifndef TXKV_CHECKER_VERIFY_H
#define TXKV_CHECKER_VERIFY_H

#include "report.h"

/* Replays a numbered history in the order of its sequence numbers. Sees every wrong answer, and compares versions, so
 * it also sees a missed conflict that a value set back hides. It
 * alone sees a COMMIT that was refused without a cause. */
void verify_replay(const struct history *h, struct report *r);

enum graph_order {
    GRAPH_NUMBERED, /* the order of a key's versions is that of the sequence numbers */
    GRAPH_INFERRED, /* a black box: only values and times are used */
};

/* Builds the dependency graph (write-write, write-read, read-write and real-time edges; those of a session are real
 * time too) and looks for cycles. Reports nothing that is not an anomaly; without numbers it may overlook one among
 * blind writes that overlap in time, and where equal values leave open which of them was read. */
void verify_graph(const struct history *h, enum graph_order order, struct report *r);

#endif
