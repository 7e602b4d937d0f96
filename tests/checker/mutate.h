/* Falsifies a history: one single change to what the clients report. */
#ifndef TXKV_CHECKER_MUTATE_H
#define TXKV_CHECKER_MUTATE_H

#include "history.h"
#include "rng.h"

#define MUTATIONS(X)                                                                                                   \
    X(READ_VALUE, "a read answered otherwise")                                                                         \
    X(EXISTENCE, "an EXISTS answered otherwise")                                                                       \
    X(SIZE, "a DBSIZE answered otherwise")                                                                             \
    X(WRITE_VALUE, "another value written than reported")                                                              \
    X(WRITE_DROPPED, "a write never reported")                                                                         \
    X(TX_DROPPED, "a transaction never reported")                                                                      \
    X(OUTCOME, "another outcome than reported")                                                                        \
    X(TIME_BEGIN, "BEGIN at another time")                                                                             \
    X(TIME_END, "COMMIT at another time")                                                                              \
    X(TIME_ALL, "a transaction at another time")                                                                       \
    X(SEQ_SWAPPED, "two sequence numbers swapped")                                                                     \
    X(SEQ_DOUBLE, "a sequence number twice")                                                                           \
    X(SNAPSHOT, "another snapshot number")                                                                             \
    X(CONFLICT_COMMITTED, "a refused commit applied")

enum mutation {
#define X(name, text) MUTATION_##name,
    MUTATIONS(X)
#undef X
        MUTATION_COUNT
};

const char *mutation_text(enum mutation m);

/* Returns false where the history has nothing that can be changed so (it is then as before). */
bool mutate(struct history *h, enum mutation m, struct rng *rng);

#endif
