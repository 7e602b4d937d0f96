/* checkpoint: all keys as of one commit, in one file. It is written to a temporary file, synced, renamed, its name synced: a
 * file that has the name of a checkpoint is whole. The format: record.h. */
#ifndef TXKV_CHECKPOINT_H
#define TXKV_CHECKPOINT_H

#include "append.h"
#include "record.h"

struct checkpoint {
    struct disk *disk;  /* borrowed */
    uint64_t id;        /* of the data directory */
    uint64_t seq;       /* the commit as of which it is */
    struct append end;  /* of the file; -1 when none is being written */
    uint64_t chain;
};

/* The name of the checkpoint at seq, and back; false where the name is none of a checkpoint. */
void checkpoint_name(uint64_t seq, char name[DISK_NAME_MAX]);
bool checkpoint_seq(const char *name, uint64_t *seq);

/* Whether a file of that name is a checkpoint, or one that is being made. */
bool checkpoint_owns(const char *name);

/* Begins one. time: Unix seconds. 0 or a negative errno. */
int checkpoint_begin(struct checkpoint *c, struct disk *d, uint64_t id, uint64_t seq, uint64_t time);

/* Appends whole records of kind part or end, not yet sealed. 0 or a negative errno, after which it must be abandoned. */
int checkpoint_write(struct checkpoint *c, char *bytes, size_t size);

/* All was written, the end too: makes it the newest checkpoint. 0 or a negative errno; it is closed in any case. */
int checkpoint_finish(struct checkpoint *c);

/* Closes it and removes what there is of it. No-op where none is being written. */
void checkpoint_abandon(struct checkpoint *c);

/* Removes all checkpoints but the `keep` newest, and says as of which commit the oldest of those left is (0 where there are
 * fewer). 0 or a negative errno. */
int checkpoint_trim(struct disk *d, size_t keep, uint64_t *oldest);

#endif
