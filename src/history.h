/* history: old versions of entries, kept exactly as long as an open snapshot needs them.
 *
 * A snapshot s needs a version v that was superseded by w exactly when v <= s < w. Snapshots are opened in order of
 * their sequence numbers, so a version that is superseded now can only be needed by those open now: it is kept on the
 * list of the newest of them, if that one needs it, and else freed at once.
 *
 *      snapshots     s1 <-> s2 <-> s3 (newest)       a closed snapshot stands in the row until its list is swept:
 *      kept lists    |      |      |                 each version goes to the list of the snapshot before it, if that
 *                    v,v    v      v,v,v             one needs it, or is freed
 *
 *      behind an entry   live w3 -> w2 -> w1         newest first; each points back to the one in front of it
 *
 * So one idle snapshot beside a hot counter keeps one version, not all of them. A tombstone stays in the data while a
 * snapshot below it is open; tombstones stand in a queue in order of versions. A generation is the dictionary that a
 * FLUSH replaced; it is kept and freed by the same rule as a version.
 *
 * Sweeping is done in bounded slices (history_sweep), closing costs nothing. */
#ifndef TXKV_HISTORY_H
#define TXKV_HISTORY_H

#include "dict.h"
#include "expiry.h"

struct generation {
    struct dict dict;
    struct expiry expiry;      /* those of its live entries that end; of use while it is current */
    uint64_t since;            /* sequence number of the FLUSH that began it, 0 for the first */
    uint64_t superseded_at;    /* of the FLUSH that ended it, once it is old */
    struct generation *older;  /* the one before, while it is kept */
    struct generation *newer;  /* NULL for the current one */
    struct generation *next;   /* in a snapshot's list, or among the dying */
    struct entry *tombs_first; /* tombstones in order of versions */
    struct entry *tombs_last;
    size_t tomb_bytes;
    size_t charged; /* bytes that count as history, once it is old */
    bool pinned;    /* a walk goes through it: it is not freed, nor its entries */
    bool retired;   /* no snapshot needs it */
};

struct snapshot {
    uint64_t seq;          /* the newest commit that it sees */
    uint64_t keys;         /* keys that exist in it */
    uint32_t holders;      /* transactions that read from it; 0 = closed, waits to be swept */
    struct snapshot *prev; /* older */
    struct snapshot *next; /* newer */
    struct snapshot *next_closed;
    struct entry *kept;                  /* superseded versions whose newest reader this is */
    struct generation *kept_generations; /* the same for generations */
    struct snapshot_holder *first;       /* who holds it */
};

/* Embedded by whoever opens a snapshot. */
struct snapshot_holder {
    struct snapshot *snapshot; /* NULL while it holds none */
    struct snapshot_holder *prev;
    struct snapshot_holder *next;
};

struct history {
    struct snapshot *oldest;
    struct snapshot *newest;
    struct snapshot *newest_open;  /* newest that has holders */
    struct snapshot *closed_first; /* closed ones to be swept, oldest closing first */
    struct snapshot *closed_last;
    struct snapshot *spare;   /* freed ones, for the next openings */
    struct generation *dying; /* generations to be freed in slices */
    size_t bytes;             /* of kept versions, tombstones and old generations */
    uint64_t unsettled;       /* tombstones of commits from this one on stay: they are not durable yet; 0: none must */
};

/* Frees everything; the current generation is the caller's. */
void history_deinit(struct history *h);

/* Opens a snapshot at seq, which must not be below an earlier one. 0, or -1 without memory. */
int history_open(struct history *h, struct snapshot_holder *holder, uint64_t seq, uint64_t keys);

/* Closes it. What it kept is swept later. No-op for a holder without a snapshot. */
void history_close(struct history *h, struct snapshot_holder *holder);

/* Whether any snapshot is open. */
bool history_is_read(const struct history *h);

/* Whether an open snapshot needs a live entry of this version once it is superseded. */
bool history_needs(const struct history *h, uint64_t version);

/* Puts `fresh` (owned by the caller, key equal, version set by this call) in the place of `old` in the generation; old
 * is kept if a snapshot needs it, else freed. Cannot fail. */
void history_supersede(struct history *h, struct generation *g, struct entry *old, struct entry *fresh, uint64_t seq);

/* Adds an entry for a key that is not there. The table must have been reserved; cannot fail then. */
void history_add(struct history *h, struct generation *g, struct entry *fresh, uint64_t seq);

/* Removes a live entry and leaves nothing; only while no snapshot is open. */
void history_remove(struct history *h, struct generation *g, struct entry *e);

/* Overwrites a live entry in place as of seq, only where history_needs said no; false where it does not fit (entry_overwrite). */
bool history_overwrite(struct generation *g, struct entry *e, struct slice value, uint64_t expires_at, uint64_t seq);

/* A new current generation in front of `old` (NULL for the first); NULL without memory. */
struct generation *generation_new(unsigned bits);

/* Makes `fresh` the generation after `old`, as of commit seq. */
void history_flush(struct history *h, struct generation *old, struct generation *fresh, uint64_t seq);

/* A walk through a generation begins, and ends. */
void generation_pin(struct generation *g);
void generation_unpin(struct history *h, struct generation *g);

/* Frees up to limit versions, tombstones and entries that nobody needs any more. Returns how many steps it took: fewer
 * than limit means that nothing is left to do now. */
size_t history_sweep(struct history *h, struct generation *current, size_t limit);

/* Whether closed snapshots wait to be swept, so that h->bytes is about to fall. */
bool history_is_closing(const struct history *h);

/* The generation that a snapshot at seq reads. */
const struct generation *history_generation(const struct generation *current, uint64_t seq);

/* The version of an entry of a table that a snapshot at seq sees; NULL: none. Adds the versions that it went through to
 * *steps. */
struct entry *history_version(struct entry *e, uint64_t seq, uint64_t *steps);

/* The version of an entry that a snapshot at seq sees in this generation or an older one; NULL or a tombstone: absent. Adds
 * the versions and generations that it went through to *steps. */
struct entry *history_find(const struct generation *current, struct slice key, uint32_t hash, uint64_t seq,
                           uint64_t *steps);

#endif
