/* memory_disk: a directory whose files are bytes in memory, for reading alone: whatever would change it ends the process. Each
 * read checks what the reader has allocated so far. */
#ifndef TXKV_FUZZ_MEMORY_DISK_H
#define TXKV_FUZZ_MEMORY_DISK_H

#include "disk.h"

#define MEMORY_DISK_FILES 12

struct memory_file {
    char name[DISK_NAME_MAX];
    const char *bytes; /* borrowed */
    size_t size;
};

struct memory_disk {
    struct disk disk; /* first */
    struct memory_file files[MEMORY_DISK_FILES];
    size_t count;
    size_t bytes;     /* of all files */
    size_t used;      /* mem_used before the reading began */
};

void memory_disk_init(struct memory_disk *d);
void memory_disk_add(struct memory_disk *d, const char *name, const char *bytes, size_t size);

#endif
