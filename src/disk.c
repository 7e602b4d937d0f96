#include "disk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

int disk_write_all(struct disk *d, int file, const void *bytes, size_t size, uint64_t at)
{
    const char *from = bytes;
    while (size > 0) {
        ssize_t written = d->ops->write(d, file, from, size, at);
        if (written == -EINTR) {
            continue; /* nothing of it was written */
        }
        if (written <= 0) {
            return written < 0 ? (int)written : -EIO;
        }
        from += written;
        at += (uint64_t)written;
        size -= (size_t)written;
    }
    return 0;
}

char *disk_piece_make(void)
{
    char *piece = aligned_alloc(DISK_BLOCK_BYTES, DISK_PIECE_BYTES);
    return piece == NULL ? NULL : memset(piece, 0, DISK_PIECE_BYTES);
}

ssize_t disk_read_all(struct disk *d, int file, void *bytes, size_t size, uint64_t at)
{
    size_t have = 0;
    while (have < size) {
        ssize_t got = d->ops->read(d, file, (char *)bytes + have, size - have, at + have);
        if (got == -EINTR) {
            continue;
        }
        if (got < 0) {
            return got;
        }
        if (got == 0) {
            break;
        }
        have += (size_t)got;
    }
    return (ssize_t)have;
}

/* --- a real directory --- */

static int or_errno(int rc)
{
    return rc < 0 ? -errno : rc;
}

static int dir_of(const struct disk *d)
{
    return ((const struct disk_dir *)(const void *)d)->dir;
}

static int real_open(struct disk *d, const char *name, enum disk_open how)
{
    int flags = how == DISK_READ ? O_RDONLY : how == DISK_CREATE ? O_RDWR | O_CREAT | O_EXCL : O_RDWR;
    int file = or_errno(openat(dir_of(d), name, flags | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (file >= 0 && (how == DISK_CREATE || how == DISK_WRITE_DIRECT)) {
        (void)fcntl(file, F_SETFL, O_DIRECT); /* where it is refused, all goes through the cache */
    }
    return file;
}

static int real_close(struct disk *d, int file)
{
    (void)d;
    return or_errno(close(file));
}

static ssize_t real_read(struct disk *d, int file, void *bytes, size_t size, uint64_t at)
{
    (void)d;
    ssize_t got = pread(file, bytes, size, (off_t)at);
    return got < 0 ? -errno : got;
}

/* O_DIRECT takes no write that is not made of whole blocks, which may be larger than ours. */
static bool leave_direct(int file)
{
    int flags = fcntl(file, F_GETFL);
    return flags >= 0 && flags & O_DIRECT && fcntl(file, F_SETFL, flags & ~O_DIRECT) == 0;
}

static ssize_t real_write(struct disk *d, int file, const void *bytes, size_t size, uint64_t at)
{
    (void)d;
    ssize_t written = pwrite(file, bytes, size, (off_t)at);
    if (written < 0 && errno == EINVAL && leave_direct(file)) {
        written = pwrite(file, bytes, size, (off_t)at);
    }
    return written < 0 ? -errno : written;
}

static int real_sync(struct disk *d, int file)
{
    (void)d;
    return or_errno(fdatasync(file));
}

static struct disk_async *writes_of(struct disk *d)
{
    return &((struct disk_dir *)(void *)d)->writes;
}

static int real_write_event(struct disk *d)
{
    struct disk_async *writes = writes_of(d);
    int rc = writes->context != NULL ? 0 : disk_async_open(writes);
    return rc < 0 ? rc : writes->event;
}

static int real_begin_write(struct disk *d, int file, const void *bytes, size_t size, uint64_t at, bool sync)
{
    return disk_async_begin(writes_of(d), file, bytes, size, at, sync);
}

static ssize_t real_end_write(struct disk *d)
{
    return disk_async_end(writes_of(d));
}

static int real_size(struct disk *d, int file, uint64_t *size)
{
    (void)d;
    struct stat st;
    if (fstat(file, &st) < 0) {
        return -errno;
    }
    *size = (uint64_t)st.st_size;
    return 0;
}

static int real_truncate(struct disk *d, int file, uint64_t size)
{
    (void)d;
    return or_errno(ftruncate(file, (off_t)size));
}

static int real_rename(struct disk *d, const char *from, const char *to)
{
    return or_errno(renameat(dir_of(d), from, dir_of(d), to));
}

static int real_remove(struct disk *d, const char *name)
{
    return or_errno(unlinkat(dir_of(d), name, 0));
}

static int real_sync_names(struct disk *d)
{
    return or_errno(fsync(dir_of(d)));
}

/* What is of one kind (S_IFREG, S_IFDIR). */
static int list_kind(struct disk *d, mode_t kind, void (*visit)(void *arg, const char *name), void *arg)
{
    int fd = openat(dir_of(d), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC); /* a position of its own */
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (dir == NULL) {
        int rc = -errno;
        if (fd >= 0) {
            close(fd);
        }
        return rc;
    }
    struct dirent *entry;
    errno = 0;
    while ((entry = readdir(dir)) != NULL) {
        struct stat st;
        bool is_itself = strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0;
        if (!is_itself && strlen(entry->d_name) < DISK_NAME_MAX && fstatat(fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
            (st.st_mode & S_IFMT) == kind) {
            visit(arg, entry->d_name);
        }
        errno = 0;
    }
    int rc = -errno;
    closedir(dir);
    return rc;
}

static int real_list(struct disk *d, void (*visit)(void *arg, const char *name), void *arg)
{
    return list_kind(d, S_IFREG, visit, arg);
}

static int real_list_dirs(struct disk *d, void (*visit)(void *arg, const char *name), void *arg)
{
    return list_kind(d, S_IFDIR, visit, arg);
}

/* Who looks whether it is locked has a shared lock for that moment (disk_dir_is_locked), and is no owner. -EWOULDBLOCK: there is
 * one. -EBUSY: there is none, but somebody looks. */
static int lock_alone(int fd)
{
    if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
        return 0;
    }
    if (errno != EWOULDBLOCK) {
        return -errno;
    }
    bool has_owner = flock(fd, LOCK_SH | LOCK_NB) < 0;
    (void)flock(fd, LOCK_UN);
    return has_owner ? -EWOULDBLOCK : -EBUSY;
}

static int real_make_dir(struct disk *d, const char *name)
{
    return or_errno(mkdirat(dir_of(d), name, 0700));
}

static int real_rename_dir(struct disk *d, const char *from, const char *to)
{
    int rc = or_errno(renameat2(dir_of(d), from, dir_of(d), to, RENAME_NOREPLACE));
    if (rc == -EINVAL) {
        rc = or_errno(renameat(dir_of(d), from, dir_of(d), to)); /* over a network, say: the other one is not known there */
    }
    return rc == -ENOTEMPTY || rc == -ENOTDIR ? -EEXIST : rc;
}

static int real_remove_dir(struct disk *d, const char *name)
{
    return or_errno(unlinkat(dir_of(d), name, AT_REMOVEDIR));
}

static const struct disk_ops real_ops;

/* Who had it before may have renamed or removed it: then what was opened does not have that name any more. */
static int take_directory(int above, const char *name, int dir)
{
    struct stat opened;
    struct stat named;
    int locked = lock_alone(dir);
    if (locked == -EWOULDBLOCK || locked == -EBUSY) {
        return -EWOULDBLOCK;
    }
    if (fstat(dir, &opened) < 0 || fstatat(above, name, &named, AT_SYMLINK_NOFOLLOW) < 0) {
        return -errno;
    }
    return named.st_ino != opened.st_ino || named.st_dev != opened.st_dev ? -ENOENT : locked < 0 ? 1 : 0;
}

static void real_close_dir(struct disk *dir)
{
    struct disk_dir *d = (struct disk_dir *)(void *)dir;
    disk_dir_close(d);
    free(d);
}

static int real_open_dir(struct disk *d, const char *name, struct disk **dir)
{
    struct disk_dir *opened = malloc(sizeof(*opened));
    if (opened == NULL) {
        return -ENOMEM;
    }
    *opened = (struct disk_dir){.disk = {&real_ops}, .dir = -1, .lock = -1};
    opened->dir = openat(dir_of(d), name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    int rc = opened->dir < 0 ? -errno : take_directory(dir_of(d), name, opened->dir);
    if (rc < 0) {
        real_close_dir(&opened->disk);
        return rc;
    }
    *dir = &opened->disk;
    return rc;
}

static const struct disk_ops real_ops = {
    .open = real_open,
    .close = real_close,
    .read = real_read,
    .write = real_write,
    .sync = real_sync,
    .write_event = real_write_event,
    .begin_write = real_begin_write,
    .end_write = real_end_write,
    .size = real_size,
    .truncate = real_truncate,
    .rename = real_rename,
    .remove = real_remove,
    .sync_names = real_sync_names,
    .list = real_list,
    .make_dir = real_make_dir,
    .open_dir = real_open_dir,
    .close_dir = real_close_dir,
    .rename_dir = real_rename_dir,
    .remove_dir = real_remove_dir,
    .list_dirs = real_list_dirs,
};

/* A new directory's own name must survive too. */
static int sync_parent(int dir)
{
    int parent = openat(dir, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int rc = parent < 0 || fsync(parent) < 0 ? -errno : 0;
    if (parent >= 0) {
        close(parent);
    }
    return rc;
}

int disk_dir_open(struct disk_dir *d, const char *path, bool make)
{
    *d = (struct disk_dir){.disk = {&real_ops}, .dir = -1, .lock = -1};
    bool made = make && mkdir(path, 0700) == 0;
    if (make && !made && errno != EEXIST) {
        return -errno;
    }
    d->dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (d->dir < 0) {
        return -errno;
    }
    /* One that was made before may have been so by a process that was killed before the next line. */
    int rc = make ? sync_parent(d->dir) : 0;
    return made || rc != -EACCES ? rc : 0;
}

static long read_holder(int lock)
{
    char text[32] = "";
    return pread(lock, text, sizeof(text) - 1, 0) > 0 ? strtol(text, NULL, 10) : 0;
}

/* The directory itself is locked beside the file: that can be removed, by who takes it for a leftover, while its server runs.
 * Where directories cannot be locked, over a network say, the file has to do. */
static int lock_directory(int dir)
{
    int rc = lock_alone(dir);
    return rc == -EWOULDBLOCK || rc == -EBUSY ? rc : 0;
}

int disk_dir_lock(struct disk_dir *d, long *holder)
{
    char text[32];
    *holder = 0;
    int lock = openat(d->dir, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (lock < 0) {
        return -errno;
    }
    int rc = lock_alone(lock);
    if (rc == -EWOULDBLOCK) {
        *holder = read_holder(lock);
    }
    rc = rc < 0 ? rc : lock_directory(d->dir);
    if (rc < 0) {
        close(lock);
        return rc;
    }
    int len = snprintf(text, sizeof(text), "%ld\n", (long)getpid());
    if (ftruncate(lock, 0) < 0 || pwrite(lock, text, (size_t)len, 0) != len) {
        rc = errno == 0 ? -EIO : -errno; /* a full disk: the lock holds, it only cannot say whose it is */
        if (rc != -ENOSPC && rc != -EDQUOT) {
            close(lock);
            return rc;
        }
    }
    d->lock = lock;
    return 0;
}

/* There is no way to ask for a lock of this kind but to take it, here a shared one, for a moment. */
int disk_dir_is_locked(struct disk_dir *d, long *holder)
{
    *holder = 0;
    if (d->lock >= 0) {
        return 0;
    }
    int lock = openat(d->dir, "lock", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (lock >= 0) {
        int rc = flock(lock, LOCK_SH | LOCK_NB) < 0 && errno == EWOULDBLOCK ? -EWOULDBLOCK : 0;
        if (rc < 0) {
            *holder = read_holder(lock);
        }
        close(lock);
        if (rc < 0) {
            return rc;
        }
    }
    int rc = flock(d->dir, LOCK_SH | LOCK_NB) < 0 && errno == EWOULDBLOCK ? -EWOULDBLOCK : 0;
    (void)flock(d->dir, LOCK_UN);
    return rc;
}

const char *disk_dir_holder(char text[32], long holder)
{
    if (holder > 0) {
        snprintf(text, 32, "process %ld", holder);
    } else {
        snprintf(text, 32, "another process");
    }
    return text;
}

void disk_dir_close(struct disk_dir *d)
{
    if (d->lock >= 0) {
        close(d->lock);
    }
    if (d->dir >= 0) {
        close(d->dir);
    }
    d->lock = -1;
    d->dir = -1;
    disk_async_close(&d->writes);
}
