#include "secret.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

int secret_set(struct secret *secret, struct slice bytes)
{
    *secret = (struct secret){.len = bytes.len};
    if (bytes.len == 0 || bytes.len > SECRET_MAX) {
        return -1;
    }
    memcpy(secret->bytes, bytes.data, bytes.len);
    return 0;
}

/* Reads until the buffer is full or the file ends; the number of bytes, or -1 with errno. */
static ssize_t read_all(int file, char *bytes, size_t size)
{
    size_t len = 0;
    while (len < size) {
        ssize_t got = read(file, bytes + len, size - len);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            return got < 0 ? got : (ssize_t)len;
        }
        len += (size_t)got;
    }
    return (ssize_t)len;
}

static int refuse(char *why, size_t size, const char *reason)
{
    snprintf(why, size, "%s", reason);
    return -1;
}

static int read_line(struct secret *secret, int file, char *why, size_t size)
{
    char bytes[SECRET_MAX + 2]; /* CRLF may follow */
    struct stat st;
    if (fstat(file, &st) < 0) {
        return refuse(why, size, strerror(errno));
    }
    if (st.st_mode & S_IRWXO) {
        return refuse(why, size, "other users may read or change it; chmod o-rwx keeps them out");
    }
    ssize_t got = read_all(file, bytes, sizeof(bytes));
    if (got < 0) {
        return refuse(why, size, strerror(errno));
    }
    const char *lf = got == 0 ? NULL : memchr(bytes, '\n', (size_t)got);
    size_t len = lf == NULL ? (size_t)got : (size_t)(lf - bytes);
    len -= lf != NULL && len > 0 && bytes[len - 1] == '\r' ? 1 : 0;
    int rc = secret_set(secret, slice_of(bytes, len));
    explicit_bzero(bytes, sizeof(bytes));
    return rc == 0 ? 0 : refuse(why, size, len == 0 ? "its first line, the password, is empty" : "its first line is no password: over 512 bytes");
}

int secret_read(struct secret *secret, const char *path, char *why, size_t size)
{
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) {
        return refuse(why, size, strerror(errno));
    }
    int rc = read_line(secret, file, why, size);
    close(file);
    return rc;
}

bool secret_is(const struct secret *secret, struct slice said)
{
    size_t differ = secret->len ^ said.len;
    for (size_t i = 0; i < SECRET_MAX; i++) {
        size_t known = i < said.len ? i : 0; /* the same number of steps whatever is said */
        char byte = said.len == 0 ? '\0' : said.data[known];
        differ |= (size_t)(unsigned char)(i < said.len ? byte ^ secret->bytes[i] : secret->bytes[i]);
    }
    return differ == 0;
}
