/* reading: the directory as recovery reads it, also while a server writes to it. */
#ifndef TXKV_CHECK_READING_H
#define TXKV_CHECK_READING_H

#include "recover.h"

struct reading {
    struct recovery found;
    enum recover_result result;
    bool live;   /* a server has the directory */
    long holder; /* its process; 0 where that cannot be read */
};

/* Reads all into sink. While a server runs, files change and go between one look and the next: what is not clean is read again
 * until it stays as it is. */
void reading_run(struct reading *r, struct disk_dir *dir, const struct recover_sink *sink);

/* Reads, and keeps nothing. */
void reading_verify(struct reading *r, struct disk_dir *dir);

#endif
