#include "directory.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "record.h"
#include "wire.h"

#define SEGMENTS_MAX 64

static char root[] = "/tmp/txkv-check-XXXXXX";

static void shell(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void shell(const char *format, ...)
{
    char command[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(command, sizeof(command), format, args);
    va_end(args);
    if (system(command) != 0) {
        check_broken("%s", command);
    }
}

void directory_root_make(void)
{
    if (mkdtemp(root) == NULL) {
        check_broken("no directory below /tmp");
    }
}

void directory_root_remove(void)
{
    shell("rm -rf %s", root);
}

/* --- servers --- */

static void set_key(struct client *c, int number)
{
    char line[VALUE_BYTES + 64];
    int len = snprintf(line, sizeof(line), "SET k%02d ", number);
    memset(line + len, 'a' + number % 26, VALUE_BYTES);
    memcpy(line + len + VALUE_BYTES, "\r\n", 2);
    client_send(c, line, (size_t)len + VALUE_BYTES + 2);
    client_expect(c, "OK");
}

void directory_serve(const struct directory *d, struct server *s)
{
    server_start(s, "--data", d->path, "--log-segment-bytes", "128K", "--tx-bytes", "32K", "--value-max", "16K", NULL);
    s->may_complain = true;
}

void directory_make(struct directory *d, bool middle)
{
    struct server s;
    struct client c;
    snprintf(d->path, sizeof(d->path), "%s/%d", root, (int)getpid());
    directory_serve(d, &s);
    client_open(&c, &s);
    for (int i = 1; i <= COMMITS; i++) {
        set_key(&c, i);
        if (middle && i == COMMITS / 2) {
            client_ask(&c, "CHECKPOINT", "OK");
        }
    }
    client_close(&c);
    server_stop(&s);
}

void directory_expect(const struct directory *d, int keys)
{
    struct server s;
    struct client c;
    char text[16];
    directory_serve(d, &s);
    client_open(&c, &s);
    snprintf(text, sizeof(text), "%d", keys);
    client_ask(&c, "DBSIZE", text);
    for (int i = 1; i <= COMMITS + 1; i++) {
        snprintf(text, sizeof(text), "EXISTS k%02d", i);
        client_ask(&c, text, i <= keys ? "1" : "0");
    }
    set_key(&c, keys + 1);
    client_ask(&c, "CHECKPOINT", "OK");
    client_close(&c);
    server_stop(&s);
}

/* --- files --- */

const char *directory_file(const struct directory *d, const char *name)
{
    static char path[512];
    snprintf(path, sizeof(path), "%s/%s", d->path, name);
    return path;
}

const char *checkpoint_file(uint64_t seq)
{
    static char name[64];
    snprintf(name, sizeof(name), "checkpoint-%016" PRIx64, seq);
    return name;
}

const char *segment_file(uint64_t number)
{
    static char name[64];
    snprintf(name, sizeof(name), "log-%016" PRIx64, number);
    return name;
}

bool directory_has(const struct directory *d, const char *name)
{
    return access(directory_file(d, name), F_OK) == 0;
}

void directory_remove(const struct directory *d, const char *name)
{
    CHECK(unlink(directory_file(d, name)) == 0, "%s is not there", name);
}

void directory_write(const struct directory *d, const char *name, uint64_t at, const void *bytes, size_t size)
{
    int fd = open(directory_file(d, name), O_RDWR | O_CLOEXEC);
    CHECK(fd >= 0 && pwrite(fd, bytes, size, (off_t)at) == (ssize_t)size, "%s cannot be written", name);
    close(fd);
}

static void read_at(const struct directory *d, const char *name, uint64_t at, void *bytes, size_t size)
{
    int fd = open(directory_file(d, name), O_RDONLY | O_CLOEXEC);
    CHECK(fd >= 0 && pread(fd, bytes, size, (off_t)at) == (ssize_t)size, "%s cannot be read at %" PRIu64, name, at);
    close(fd);
}

void directory_flip(const struct directory *d, const char *name, uint64_t at)
{
    char byte;
    read_at(d, name, at, &byte, 1);
    byte = (char)(byte ^ 0x10);
    directory_write(d, name, at, &byte, 1);
}

char *directory_picture(const struct directory *d)
{
    char command[512];
    size_t size = 1 << 16;
    char *text = calloc(1, size);
    snprintf(command, sizeof(command), "cd %s && ls -lA --full-time -I lock && sha1sum $(ls -I lock)", d->path);
    FILE *f = popen(command, "r");
    if (text == NULL || f == NULL || fread(text, 1, size - 1, f) == 0 || pclose(f) != 0) {
        check_broken("%s", command);
    }
    return text;
}

/* --- records --- */

/* Walks through one segment until a commit; where the records end otherwise. Sets *last to its last commit. */
static bool walk(const struct directory *d, uint64_t number, uint64_t seq, uint64_t *at, uint64_t *last)
{
    char bytes[FILE_HEADER_BYTES];
    struct file_header header;
    uint32_t version;
    struct record_header h;
    read_at(d, segment_file(number), 0, bytes, sizeof(bytes));
    if (file_header_read(&header, bytes, &version) != FILE_HEADER_GOOD) {
        return false;
    }
    *last = header.seq;
    for (*at = FILE_HEADER_BYTES;; *at += RECORD_HEADER_BYTES + h.length) {
        read_at(d, segment_file(number), *at, bytes, RECORD_HEADER_BYTES);
        if (!record_header_read(&h, bytes, header.id)) {
            return false;
        }
        *last = h.seq;
        if (h.kind == RECORD_COMMIT && h.seq == seq) {
            return true;
        }
    }
}

uint64_t directory_find(const struct directory *d, uint64_t seq, uint64_t *at)
{
    uint64_t last;
    for (uint64_t number = 1; number < SEGMENTS_MAX; number++) {
        if (directory_has(d, segment_file(number)) && walk(d, number, seq, at, &last)) {
            return number;
        }
    }
    check_broken("commit %" PRIu64 " is in no segment", seq);
}

uint64_t directory_end(const struct directory *d, uint64_t *at)
{
    uint64_t end = 0;
    for (uint64_t number = 1; number < SEGMENTS_MAX; number++) {
        uint64_t last = 0;
        uint64_t here = 0;
        if (directory_has(d, segment_file(number))) {
            walk(d, number, UINT64_MAX, &here, &last);
        }
        if (here > 0) {
            *at = here;
            end = number;
        }
    }
    return end;
}

/* --- the program --- */

static void read_back(int fd, char *text, size_t size)
{
    ssize_t got = pread(fd, text, size - 1, 0);
    text[got > 0 ? got : 0] = '\0';
    close(fd);
}

void txkv_check(struct check_result *r, ...)
{
    char *argv[8] = {getenv("TXKV_CHECK")};
    va_list args;
    int count = 0;
    if (argv[0] == NULL) {
        check_broken("TXKV_CHECK does not name the program");
    }
    va_start(args, r);
    do {
        const char *arg = va_arg(args, const char *);
        argv[++count] = arg == NULL ? NULL : strdup(arg);
    } while (argv[count] != NULL);
    va_end(args);
    int out = memfd_create("out", MFD_CLOEXEC);
    int err = memfd_create("err", MFD_CLOEXEC);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(out, STDOUT_FILENO);
        dup2(err, STDERR_FILENO);
        execv(argv[0], argv);
        _exit(127);
    }
    int status;
    if (out < 0 || err < 0 || pid < 0 || waitpid(pid, &status, 0) != pid) {
        check_broken("%s cannot be run", argv[0]);
    }
    r->status = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
    read_back(out, r->out, sizeof(r->out));
    read_back(err, r->err, sizeof(r->err));
}
