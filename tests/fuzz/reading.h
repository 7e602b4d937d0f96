/* reading: recovery from a memory_disk into a store, checked on its way. */
#ifndef TXKV_FUZZ_READING_H
#define TXKV_FUZZ_READING_H

#include "memory_disk.h"
#include "recover.h"
#include "replay.h"
#include "timeline.h"

struct reading {
    const struct timeline *expected; /* the payloads of commits must be its; NULL: nothing is known of them */
    struct store store;
    struct replay *replay;
    struct store_limits limits;
    struct recovery found;
    enum recover_result result;
    uint64_t last;    /* commit that was given last */
    uint64_t resets;
};

/* Reads all that d has; reading_free is due afterwards. Ends the process where the findings contradict themselves. */
void reading_run(struct reading *r, struct memory_disk *d, const struct timeline *expected);
void reading_free(struct reading *r);

/* Whether the bytes are whole operations, by a reading of the format that is not the program's. */
bool reading_is_ops(struct slice payload);

_Noreturn void reading_wrong(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
