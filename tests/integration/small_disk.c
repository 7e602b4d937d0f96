#include "small_disk.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "check.h"

#define PAGE 4096

static void write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, text, strlen(text)) < 0) {
        check_skip("no disk of its own here: %s: %s", path, strerror(errno));
    }
    close(fd);
}

/* Who is not root is so in a user namespace of his own. */
static void enter_namespace(void)
{
    uid_t uid = getuid();
    gid_t gid = getgid();
    char map[64];
    if (unshare(CLONE_NEWNS) == 0) {
        return;
    }
    if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0) {
        check_skip("no disk of its own here: unshare: %s", strerror(errno));
    }
    snprintf(map, sizeof(map), "%u %u 1", uid, uid);
    write_file("/proc/self/uid_map", map);
    write_file("/proc/self/setgroups", "deny");
    snprintf(map, sizeof(map), "%u %u 1", gid, gid);
    write_file("/proc/self/gid_map", map);
}

void small_disk_mount(size_t bytes)
{
    char options[64];
    const char *at = check_path("disk");
    if (mkdir(at, 0700) < 0) {
        check_broken("%s: %s", at, strerror(errno));
    }
    enter_namespace();
    snprintf(options, sizeof(options), "size=%zu,mode=0700", bytes);
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 || mount("tmpfs", at, "tmpfs", 0, options) < 0) {
        check_skip("no disk of its own here: mount: %s", strerror(errno));
    }
}

void small_disk_protect(void)
{
    if (mount(NULL, check_path("disk"), NULL, MS_REMOUNT | MS_RDONLY, NULL) < 0) {
        check_skip("no read-only disk here: mount: %s", strerror(errno));
    }
}

void small_disk_fill(size_t left)
{
    static const char page[PAGE];
    struct statvfs st;
    int fd = open(check_path("disk/filler"), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0) {
        check_broken("filler: %s", strerror(errno));
    }
    while (fstatvfs(fd, &st) == 0 && (size_t)st.f_bavail * st.f_bsize > left && write(fd, page, PAGE) > 0) {
    }
    close(fd);
}

void small_disk_free(void)
{
    if (unlink(check_path("disk/filler")) < 0) {
        check_broken("filler: %s", strerror(errno));
    }
}

/* In the namespace that it is mounted in, what a mount stands on cannot be removed. */
void small_disk_pin(const char *path)
{
    if (mount(path, path, NULL, MS_BIND, NULL) < 0) {
        check_broken("%s: %s", path, strerror(errno));
    }
}

void small_disk_unpin(const char *path)
{
    if (umount(path) < 0) {
        check_broken("%s: %s", path, strerror(errno));
    }
}
