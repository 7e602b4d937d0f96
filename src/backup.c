#include "backup.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "checkpoint.h"
#include "fault.h"

#define SUFFIX ".partial"
#define TAKEN_MAX 8 /* times that another server may remove a directory under us before we give up */

static_assert(1 + BACKUP_NAME_MAX + sizeof(SUFFIX) <= DISK_NAME_MAX, "the name of one that is not whole is one of the disk");

bool backup_is_name(struct slice name)
{
    for (size_t i = 0; i < name.len; i++) {
        bool inner = i > 0 && strchr("-_.", name.data[i]) != NULL && name.data[i] != '\0';
        if (!isalnum((unsigned char)name.data[i]) && !inner) {
            return false;
        }
    }
    return name.len > 0 && name.len < BACKUP_NAME_MAX;
}

static void partial_name(const char *name, char partial[DISK_NAME_MAX])
{
    snprintf(partial, DISK_NAME_MAX, FAULT(backup_named_early) ? "%s" : ".%s" SUFFIX, name);
}

/* --- what is in a directory --- */

struct content {
    char ours[DISK_NAME_MAX]; /* a file that a backup makes; "" for none */
    bool foreign;             /* there is something else */
};

static void find_file(void *arg, const char *name)
{
    struct content *c = arg;
    if (checkpoint_owns(name)) {
        snprintf(c->ours, sizeof(c->ours), "%s", name);
    } else {
        c->foreign = true;
    }
}

static void find_directory(void *arg, const char *name)
{
    struct content *c = arg;
    (void)name;
    c->foreign = true;
}

/* Removes what a backup makes. -EEXIST, and nothing is done, where there is something else: then it is none. */
static int clear(struct disk *d)
{
    for (;;) {
        struct content c = {.foreign = false};
        int rc = d->ops->list(d, find_file, &c);
        rc = rc < 0 ? rc : d->ops->list_dirs(d, find_directory, &c);
        if (rc < 0 || c.foreign) {
            return rc < 0 ? rc : -EEXIST;
        }
        if (c.ours[0] == '\0') {
            return 0;
        }
        rc = d->ops->remove(d, c.ours);
        if (rc < 0) {
            return rc;
        }
    }
}

/* --- the directory of all backups --- */

struct search {
    const char *name;
    bool found;
};

static void compare(void *arg, const char *name)
{
    struct search *s = arg;
    s->found = s->found || strcmp(name, s->name) == 0;
}

/* Said at once: without it the name would be refused when all is written. */
static int check_free(struct disk *all, const char *name)
{
    struct search s = {.name = name};
    int rc = all->ops->list_dirs(all, compare, &s);
    rc = rc < 0 ? rc : all->ops->list(all, compare, &s);
    return rc < 0 ? rc : s.found ? -EEXIST : 0;
}

/* --- what killed servers have left --- */

static bool is_leftover(const char *name)
{
    size_t len = strlen(name);
    size_t around = 1 + strlen(SUFFIX);
    return len > around && name[0] == '.' && strcmp(name + len - strlen(SUFFIX), SUFFIX) == 0 &&
           backup_is_name(slice_of(name + 1, len - around));
}

/* The names in order of the alphabet, as some stay. */
struct leftover {
    const char *after;
    char next[DISK_NAME_MAX]; /* "" for none */
};

static void find_leftover(void *arg, const char *name)
{
    struct leftover *l = arg;
    if (is_leftover(name) && strcmp(name, l->after) > 0 && (l->next[0] == '\0' || strcmp(name, l->next) < 0)) {
        snprintf(l->next, sizeof(l->next), "%s", name);
    }
}

/* Whose server lives is locked. Where directories cannot be locked all may be so. */
static void remove_leftover(struct disk *all, const char *name)
{
    struct disk *dir;
    int rc = all->ops->open_dir(all, name, &dir);
    if (rc < 0) {
        return;
    }
    if (rc == 0 && clear(dir) == 0) {
        all->ops->remove_dir(all, name);
    }
    all->ops->close_dir(dir);
}

/* What cannot be removed now may be so by the next backup. */
static void remove_leftovers(struct disk *all)
{
    char after[DISK_NAME_MAX] = "";
    for (;;) {
        struct leftover l = {.after = after};
        if (all->ops->list_dirs(all, find_leftover, &l) < 0 || l.next[0] == '\0') {
            return;
        }
        remove_leftover(all, l.next);
        memcpy(after, l.next, sizeof(after));
    }
}

/* --- making one --- */

static void close_one(struct backup *b)
{
    b->all->ops->close_dir(b->dir);
    b->dir = NULL;
}

/* One of this name that a killed server has left, and could not be removed, is taken over. Where directories cannot be locked its
 * server may live. */
static int take_once(struct backup *b, const char *partial)
{
    int made = b->all->ops->make_dir(b->all, partial);
    int rc = made < 0 && made != -EEXIST ? made : b->all->ops->open_dir(b->all, partial, &b->dir);
    if (rc == -EWOULDBLOCK && made == 0) {
        return -ENOENT; /* somebody looks whether it is a leftover, and may remove it */
    }
    if (rc > 0 && made < 0) {
        close_one(b);
        return -EEXIST;
    }
    return rc;
}

static int take(struct backup *b)
{
    char partial[DISK_NAME_MAX];
    partial_name(b->name, partial);
    int rc = -ENOENT;
    for (int i = 0; i < TAKEN_MAX && rc == -ENOENT; i++) {
        rc = take_once(b, partial);
    }
    return rc == -EWOULDBLOCK || rc == -ENOENT ? -EEXIST : rc;
}

int backup_open(struct backup *b, struct disk *all, const char *name)
{
    *b = (struct backup){.all = all};
    snprintf(b->name, sizeof(b->name), "%s", name);
    int rc = check_free(all, name);
    if (rc < 0) {
        return rc;
    }
    remove_leftovers(all);
    rc = take(b);
    if (rc < 0) {
        return rc;
    }
    rc = clear(b->dir);
    if (rc < 0) {
        close_one(b);
    }
    return rc;
}

int backup_publish(struct backup *b)
{
    char partial[DISK_NAME_MAX];
    partial_name(b->name, partial);
    int rc = FAULT(backup_named_early) ? 0 : b->all->ops->rename_dir(b->all, partial, b->name);
    if (rc < 0) {
        return rc;
    }
    close_one(b);
    return FAULT(backup_name_not_synced) ? 0 : b->all->ops->sync_names(b->all);
}

void backup_drop(struct backup *b)
{
    char partial[DISK_NAME_MAX];
    if (b->dir == NULL) {
        return;
    }
    partial_name(b->name, partial);
    if (clear(b->dir) == 0) {
        b->all->ops->remove_dir(b->all, partial);
    }
    close_one(b);
}
