/* scan: what one file of a data directory holds, read by itself: how far its records are valid, and what stands behind. What
 * that means for the data is recovery's to say (reading.h). */
#ifndef TXKV_CHECK_SCAN_H
#define TXKV_CHECK_SCAN_H

#include "disk.h"
#include "record.h"

enum scan_kind {
    SCAN_CHECKPOINT,
    SCAN_SEGMENT,
    SCAN_SAVED,      /* put aside by a start or a repair */
    SCAN_UNFINISHED, /* a segment or a checkpoint that was being made */
    SCAN_LOCK,
    SCAN_OTHER,
};

enum scan_state {
    SCAN_WHOLE,
    SCAN_UNUSED,   /* a segment made ahead, all zeros */
    SCAN_BAD,      /* from bad_at on it is not valid */
    SCAN_UNKNOWN,  /* of an unknown format */
    SCAN_NOT_READ, /* `error` */
    SCAN_GONE,     /* removed meanwhile, by a server that runs */
};

struct scan {
    char name[DISK_NAME_MAX];
    enum scan_kind kind;
    enum scan_state state;
    uint64_t number; /* in its name: of the segment, or the commit as of which the checkpoint is */
    uint64_t size;
    struct file_header header; /* whole and unused: all zero; bad: perhaps */
    uint32_t version;          /* of the format */
    uint64_t commits;
    uint64_t markers;
    uint64_t parts;
    uint64_t puts;
    uint64_t deletes;
    uint64_t flushes;
    uint64_t outcomes;
    uint64_t last;   /* commit */
    uint64_t chain;  /* check of the last record */
    uint64_t used;   /* bytes up to the end of the last valid record */
    uint64_t behind; /* bytes from bad_at to the last one that is not zero */
    uint64_t bad_at;
    char problem[200];
    int error;
};

/* Reads all of a file. */
void scan_file(struct scan *s, struct disk *d, const char *name);

struct scans {
    struct scan *all; /* by kind, then by number, then by name */
    size_t count;
};

/* Reads all files. live: a server may be writing, so a place that is not valid is looked at again until it stays as it is.
 * 0 or a negative errno; scans_free is due in any case. */
int scans_read(struct scans *s, struct disk *d, bool live);

/* Beside a server, when recovery has read the directory: what was being written when it was scanned is whole by now. */
void scans_look_again(struct scans *s, struct disk *d);

void scans_free(struct scans *s);

#endif
