#include "guard.h"

#include <assert.h>
#include <sys/mman.h>
#include <unistd.h>

int guard_init(struct guard *g, size_t size)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    g->size = (size / page + 1) * page;
    g->mapped = g->size + page;
    g->map = mmap(NULL, g->mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (g->map == MAP_FAILED) {
        return -1;
    }
    return mprotect(g->map + g->size, page, PROT_NONE);
}

void guard_deinit(struct guard *g)
{
    munmap(g->map, g->mapped);
}

struct slice guard_copy(struct guard *g, struct slice bytes)
{
    assert(bytes.len <= g->size);
    char *at = g->map + g->size - bytes.len;
    if (bytes.len > 0) {
        memcpy(at, bytes.data, bytes.len);
    }
    return slice_of(at, bytes.len);
}
