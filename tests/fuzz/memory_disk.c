#include "memory_disk.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mem.h"

/* What recovery may have allocated at any time, by the size of the files: an operation of 4 bytes can become an entry of 104,
 * and a window is read ahead by 1 MiB. A length of 32 bits that is believed without a check goes far beyond. */
#define MEMORY_PER_BYTE ((size_t)64)
#define MEMORY_BESIDE ((size_t)8 << 20)

static struct memory_disk *of(struct disk *d)
{
    return (struct memory_disk *)(void *)d;
}

static int open_file(struct disk *d, const char *name, enum disk_open how)
{
    if (how != DISK_READ) {
        abort();
    }
    for (size_t i = 0; i < of(d)->count; i++) {
        if (strcmp(of(d)->files[i].name, name) == 0) {
            return (int)i;
        }
    }
    return -ENOENT;
}

static int close_file(struct disk *d, int file)
{
    (void)d;
    (void)file;
    return 0;
}

static ssize_t read_file(struct disk *d, int file, void *bytes, size_t size, uint64_t at)
{
    const struct memory_file *f = &of(d)->files[file];
    size_t taken = mem_used() - of(d)->used;
    if (taken > MEMORY_BESIDE + MEMORY_PER_BYTE * of(d)->bytes) {
        fprintf(stderr, "%zu bytes of memory are in use for %zu bytes of files\n", taken, of(d)->bytes);
        abort();
    }
    if (at >= f->size) {
        return 0;
    }
    size_t left = f->size - (size_t)at;
    size = size < left ? size : left;
    size = size > 1000 ? size - size / 3 : size; /* short reads are allowed */
    memcpy(bytes, f->bytes + at, size);
    return (ssize_t)size;
}

static int size_of(struct disk *d, int file, uint64_t *size)
{
    *size = of(d)->files[file].size;
    return 0;
}

static int list(struct disk *d, void (*visit)(void *arg, const char *name), void *arg)
{
    for (size_t i = of(d)->count; i > 0; i--) {
        visit(arg, of(d)->files[i - 1].name);
    }
    return 0;
}

/* No function for what changes something: a call of it ends the process. */
static const struct disk_ops ops = {.open = open_file, .close = close_file, .read = read_file, .size = size_of, .list = list};

void memory_disk_init(struct memory_disk *d)
{
    *d = (struct memory_disk){.disk = {&ops}};
}

void memory_disk_add(struct memory_disk *d, const char *name, const char *bytes, size_t size)
{
    if (d->count == MEMORY_DISK_FILES) {
        abort();
    }
    struct memory_file *f = &d->files[d->count++];
    snprintf(f->name, sizeof(f->name), "%s", name);
    f->bytes = bytes;
    f->size = size;
    d->bytes += size;
}
