/* A store small enough to be right by inspection, played by random clients: the source of good histories, and of bad
 * ones with one single fault in them. */
#ifndef TXKV_CHECKER_SIMULATOR_H
#define TXKV_CHECKER_SIMULATOR_H

#include "script.h"

#define SIMULATOR_FAULTS(X)                                                                                            \
    X(NONE, "none")                                                                                                    \
    X(SKIP_VALIDATION, "conflict missed (lost update, write skew)")                                                    \
    X(COMPARE_VALUES, "conflict missed, values equal again")                                                           \
    X(READ_NEWEST, "read past the snapshot")                                                                           \
    X(READ_OLDER, "read before the snapshot")                                                                          \
    X(SPLIT_COMMIT, "half a commit visible")                                                                           \
    X(LOST_WRITE, "a committed write lost")                                                                            \
    X(LATE_VISIBLE, "snapshot one commit behind")                                                                      \
    X(RESURRECTED, "a deleted key comes back")                                                                         \
    X(ABORTED_APPLIED, "a rolled back write applied")                                                                  \
    X(DELETE_UNVERSIONED, "a delete not seen as a change")                                                             \
    X(ABSENCE_UNMARKED, "an absent key read without a mark")                                                           \
    X(OWN_WRITE_MISSED, "an own write not read")                                                                       \
    X(NO_CHANGE_UNVALIDATED, "no validation where nothing is changed")                                                 \
    X(NEEDLESS_CONFLICT, "a conflict without a cause")

enum simulator_fault {
#define X(name, text) SIMULATOR_##name,
    SIMULATOR_FAULTS(X)
#undef X
        SIMULATOR_FAULT_COUNT
};

struct simulator_plan {
    struct script_mix mix; /* marker_key is ignored: it is mix.keys */
    uint32_t transactions;
    uint32_t sessions;
    bool numbered; /* with sequence numbers and snapshots in the history */
    enum simulator_fault fault;
    uint64_t seed;
};

const char *simulator_fault_text(enum simulator_fault fault);

/* Initialises h and fills it. Returns whether the fault found an occasion (always true for NONE); it happens once. */
bool simulator_run(const struct simulator_plan *plan, struct history *h);

#endif
