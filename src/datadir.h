/* datadir: the data directory as a server starts on it: locked, read back, settled, and said in words. */
#ifndef TXKV_DATADIR_H
#define TXKV_DATADIR_H

#include "disk.h"
#include "log.h"
#include "recover.h"
#include "store.h"

/* Opens path (made where there is none) for this process alone, reads all of it into an empty store, and sets the log up to
 * go on. backup_dir, where backups go, must be another directory; or NULL. Says what it found, and each second how far it is, on
 * stderr. 0, or -1 when the server cannot start on it, with one line that says why. log->segment_bytes is the caller's. */
int datadir_open(struct disk_dir *dir, const char *path, const char *backup_dir, struct store *st, struct log *log,
                 struct recovery *found);

#endif
