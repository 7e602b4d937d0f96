/* fault: deliberate bugs, to prove that the tests see them. They exist in the test build alone (TXKV_FAULTS), where the
 * environment variable TXKV_FAULT names the one that is on; elsewhere FAULT(x) is the constant false. */
#ifndef TXKV_FAULT_H
#define TXKV_FAULT_H

#include <stdbool.h>

/* X(name, "what goes wrong with it") */
#define FAULT_TABLE(X)                                                                                                 \
    X(sparse_memory_stays, "entries that are left in sparse memory stay there")                                        \
    X(no_read_validation, "COMMIT of a SERIALIZABLE transaction checks nothing")                                       \
    X(validation_by_value, "COMMIT compares values, not versions")                                                     \
    X(snapshot_not_honoured, "a transaction reads the newest data")                                                    \
    X(half_commit_visible, "COMMIT shows half of its writes one tick before the rest")                                 \
    X(tombstone_ignored, "a read looks through a deletion in the shadow map")                                          \
    X(deletes_not_versioned, "a deletion leaves no tombstone behind")                                                  \
    X(history_dropped, "an old version is freed although a snapshot needs it")                                         \
    X(absence_not_marked, "a read that finds nothing leaves no mark")                                                  \
    X(failed_transaction_commits, "COMMIT of a failed transaction applies what came before the error")                 \
    X(split_sensitive, "a line that arrives in two pieces loses a byte")                                               \
    X(no_output_limit, "a client that does not read is served without bound")                                          \
    X(no_line_limit, "an over-long line is kept whole")                                                                \
    X(no_history_limit, "old versions are kept however much they take")                                                \
    X(history_swept_by_count, "over twice its limit the history is swept no faster")                                   \
    X(sweep_not_scaled, "the work that waits is done in equal slices, however much was written")                       \
    X(flushes_pile_up, "FLUSH frees nothing itself")

enum fault {
#define X(name, text) FAULT_##name,
    FAULT_TABLE(X)
#undef X
    FAULT_COUNT
};

#ifdef TXKV_FAULTS
bool fault_is_on(enum fault fault);
/* Chooses the fault of this process; NULL or "" for none. Returns -1 for an unknown name. */
int fault_choose(const char *name);
#define FAULT(name) fault_is_on(FAULT_##name)
#else
#define FAULT(name) false
#endif

#endif
