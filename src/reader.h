/* reader: a file of records, read from front to end in bounded memory. It says where valid records stand and why another
 * place holds none; what follows from that is recover's to judge.
 *
 *      passed            window                        not read yet
 *      ------------------[ record record reco....rd ]--------------------
 *                        ^ at
 *
 * Nothing is allocated for a length before its header's check holds and the file is long enough for it. The format: record.h. */
#ifndef TXKV_READER_H
#define TXKV_READER_H

#include "buf.h"
#include "disk.h"
#include "record.h"

struct reader {
    struct disk *disk; /* borrowed */
    int file;          /* -1: it could not be opened */
    char name[DISK_NAME_MAX];
    uint64_t id;       /* of the data directory, set by whoever has read the file's header; 0: unknown */
    uint64_t size;     /* of the file */
    uint64_t at;       /* offset of the window's first byte */
    struct buf window; /* bytes read and not passed yet */
    uint64_t puts;     /* operations of that kind in all valid records so far */
    int error;         /* of the disk, a negative errno; or -ENOMEM */
};

/* Opens a file; 0 or a negative errno. reader_close is due in any case. */
int reader_open(struct reader *r, struct disk *d, const char *name);
void reader_close(struct reader *r);

/* Has size bytes in the window, if the file has so many and the disk gives them; see `error`. */
bool reader_have(struct reader *r, size_t size);

/* The window's bytes, valid until the next reader_have. */
static inline const char *reader_bytes(const struct reader *r)
{
    return buf_head(&r->window);
}

/* Moves on over size bytes of the window. */
void reader_pass(struct reader *r, size_t size);

/* Whether all from here to the end is zero; passes what is. */
bool reader_rest_is_zero(struct reader *r);

/* What the next record must be. */
struct reader_place {
    uint64_t chain;
    uint64_t last; /* sequence number of the last commit; of a checkpoint */
};

enum reader_found {
    READER_RECORD,      /* a valid one */
    READER_FILE_ENDS,   /* less than a header is left */
    READER_BAD_HEADER,  /* the header's check */
    READER_BAD_KIND,    /* a kind, or a length, that does not belong into this file */
    READER_BAD_CHAIN,   /* it follows another record than the one before */
    READER_BAD_SEQ,     /* its sequence number is not the next one */
    READER_CUT,         /* it does not lie whole in the file */
    READER_BAD_PAYLOAD, /* the payload's check */
    READER_BAD_OPS,     /* the payload holds something else than operations */
};

/* What stands at the reader's place. Of a valid record all bytes are in the window then, and *payload points there. */
enum reader_found reader_record(struct reader *r, const struct reader_place *place, enum file_kind kind,
                                struct record_header *h, struct slice *payload);

/* The same in words: "the check of ... does not hold". */
const char *reader_reason(enum reader_found found);

/* Goes forward to the next place of a log, this one included, where a whole header of a record stands; false at the end. The
 * record lies whole in the file; its payload may be damaged.
 * *end becomes the offset behind the last byte that was not zero, as far as it has gone. */
bool reader_find(struct reader *r, struct record_header *h, uint64_t *end);

/* Moves on from where reader_find has stopped. True, and over the whole record, where its payload holds too: what looks like a
 * header inside it is a client's data. Else over one byte. */
bool reader_leave(struct reader *r, const struct record_header *h, uint64_t *end);

#endif
