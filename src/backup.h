/* backup: a directory with a checkpoint in it, below the directory of all backups. It has a name of its own until it is whole:
 *
 *      --backup_open--> .NAME.partial, locked --a checkpoint is written into it--> --backup_publish--> NAME
 *                             '--backup_drop, or the next backup of any name when its server was killed--> nothing
 *
 * So a directory NAME is whole. Several servers may share the directory of all backups. */
#ifndef TXKV_BACKUP_H
#define TXKV_BACKUP_H

#include "disk.h"
#include "slice.h"

#define BACKUP_NAME_MAX 64 /* bytes of a backup's name, its NUL included */

struct backup {
    struct disk *all; /* borrowed: the directory of all backups */
    struct disk *dir; /* owned: that of this one, while it has no name; NULL: there is none */
    char name[BACKUP_NAME_MAX];
};

/* A name, not a path: letters, digits, and - _ . but not as the first. */
bool backup_is_name(struct slice name);

/* Begins one, in b->dir, which is empty. 0 or a negative errno: -EEXIST where there is one of that name, or another server is at it. */
int backup_open(struct backup *b, struct disk *all, const char *name);

/* It is whole, and on disk: gives it its name. 0 or a negative errno. Where b->dir is NULL after an error it has its name, but
 * perhaps not on disk; else it must be dropped. */
int backup_publish(struct backup *b);

/* Removes what there is of it. No-op where none is open. */
void backup_drop(struct backup *b);

#endif
