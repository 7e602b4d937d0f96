/* reading: the directory as recovery reads it, also while a server writes to it. */
#ifndef TXKV_CHECK_READING_H
#define TXKV_CHECK_READING_H

#include "recover.h"

struct reading {
    struct recovery found;
    enum recover_result result;
    bool live;      /* a server has the directory */
    bool overtaken; /* it has changed what was being read each time: the result says nothing */
};

/* Reads all into sink. live: a server is running on it. Then files change and go between one look and the next, and what is not
 * clean is read again until it stays as it is, so many times at most. */
void reading_run(struct reading *r, struct disk *d, bool live, const struct recover_sink *sink);

/* Reads, and keeps nothing. */
void reading_verify(struct reading *r, struct disk *d, bool live);

#endif
