/* recover_files: which checkpoints and segments lie in a data directory, and what a segment's header says of it. Reading
 * (recover.c) and settling (recover_settle.c) both begin with that. */
#ifndef TXKV_RECOVER_FILES_H
#define TXKV_RECOVER_FILES_H

#include "disk.h"

/* Files of one kind by what their names say; zero before it is listed. */
struct recover_names {
    uint64_t *numbers; /* owned; ascending: of segments their numbers, of checkpoints the commits as of which they are */
    size_t count;
    size_t room;
    bool out_of_memory;
};

/* 0 or a negative errno; recover_names_free is due in any case. */
int recover_list_checkpoints(struct recover_names *names, struct disk *d);
int recover_list_segments(struct recover_names *names, struct disk *d);
void recover_names_free(struct recover_names *names);

enum segment_state {
    SEGMENT_UNUSED, /* made ahead: all of it is zero */
    SEGMENT_USED,
    SEGMENT_BAD,     /* the header is damaged */
    SEGMENT_REFUSED, /* the disk did not give it, or its format is unknown */
    SEGMENT_GONE,    /* there is none of that number any more */
};

struct segment_look {
    enum segment_state state;
    uint64_t seq;     /* USED: of the last commit before it */
    uint64_t bytes;   /* its size */
    int error;        /* REFUSED, GONE: of the disk, a negative errno; 0 where the format is unknown */
    uint64_t at;      /* the byte at which that happened */
    uint32_t version; /* REFUSED without an error: of the format */
};

/* Looks at a segment's header, and no further where it is in use. */
struct segment_look recover_look_at(struct disk *d, uint64_t number);

#endif
