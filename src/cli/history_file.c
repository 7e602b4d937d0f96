#include "history_file.h"

#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Where the file is; false if there is to be none. */
static bool find_path(char path[PATH_MAX])
{
    const char *file = getenv("TXKV_HISTFILE");
    const char *home = getenv("HOME");
    int len = 0;
    if (file != NULL) {
        len = snprintf(path, PATH_MAX, "%s", file);
    } else if (home != NULL && home[0] != '\0') {
        len = snprintf(path, PATH_MAX, "%s/.txkv_history", home);
    }
    return len > 0 && len < PATH_MAX;
}

static int open_private(const char *path, int flags)
{
    int fd = open(path, flags | O_WRONLY | O_CREAT | O_CLOEXEC | O_NOCTTY, S_IRUSR | S_IWUSR);
    struct stat st;
    if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & 0777) != (S_IRUSR | S_IWUSR)) {
        (void)!fchmod(fd, S_IRUSR | S_IWUSR);
    }
    return fd;
}

static bool is_regular(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

/* Writes the lines to a new file and puts it in the old one's place. */
static void replace(const char *path, char **lines, size_t count)
{
    char temporary[PATH_MAX + 16];
    snprintf(temporary, sizeof temporary, "%s.%ld", path, (long)getpid());
    int fd = open_private(temporary, O_EXCL);
    FILE *f = fd < 0 ? NULL : fdopen(fd, "w");
    if (f == NULL) {
        if (fd >= 0) {
            close(fd);
        }
        return;
    }
    for (size_t i = 0; i < count; i++) {
        fprintf(f, "%s\n", lines[i]);
    }
    bool failed = ferror(f) != 0;
    failed = fclose(f) != 0 || failed;
    if (failed || rename(temporary, path) != 0) {
        unlink(temporary);
    }
}

void history_file_load(void (*on_line)(const char *line, void *ctx), void *ctx)
{
    char path[PATH_MAX];
    if (!find_path(path) || !is_regular(path)) {
        return;
    }
    FILE *f = fopen(path, "re");
    if (f == NULL) {
        return;
    }
    char *ring[HISTORY_LINES] = {0};
    size_t total = 0;
    char *line = NULL;
    size_t cap = 0;
    for (ssize_t len; (len = getline(&line, &cap, f)) > 0; total++) {
        line[len - 1] = line[len - 1] == '\n' ? '\0' : line[len - 1];
        free(ring[total % HISTORY_LINES]);
        ring[total % HISTORY_LINES] = strdup(line);
    }
    free(line);
    fclose(f);
    char *kept[HISTORY_LINES];
    size_t count = 0;
    for (size_t i = total > HISTORY_LINES ? total - HISTORY_LINES : 0; i < total; i++) {
        if (ring[i % HISTORY_LINES] != NULL) {
            kept[count++] = ring[i % HISTORY_LINES];
        }
    }
    for (size_t i = 0; i < count; i++) {
        on_line(kept[i], ctx);
    }
    if (total > 2 * HISTORY_LINES) {
        replace(path, kept, count);
    }
    for (size_t i = 0; i < count; i++) {
        free(kept[i]);
    }
}

void history_file_append(const char *line)
{
    char path[PATH_MAX];
    if (!find_path(path)) {
        return;
    }
    int fd = open_private(path, O_APPEND);
    if (fd >= 0) {
        dprintf(fd, "%s\n", line);
        close(fd);
    }
}
