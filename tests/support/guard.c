#include "guard.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static size_t page_size(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

void guard_init(struct guard *g, size_t size)
{
    size_t page = page_size();
    g->size = (size / page + 1) * page;
    g->base = mmap(NULL, g->size + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (g->base == MAP_FAILED || mprotect(g->base + g->size, page, PROT_NONE) < 0) {
        perror("guard_init");
        exit(99);
    }
}

void guard_deinit(struct guard *g)
{
    munmap(g->base, g->size + page_size());
    *g = (struct guard){0};
}

struct slice guard_copy(struct guard *g, struct slice bytes)
{
    if (bytes.len > g->size) {
        fprintf(stderr, "guard_copy: %zu bytes into %zu\n", bytes.len, g->size);
        exit(99);
    }
    char *start = g->base + g->size - bytes.len;
    if (bytes.len > 0) {
        memmove(start, bytes.data, bytes.len);
    }
    return slice_of(start, bytes.len);
}
