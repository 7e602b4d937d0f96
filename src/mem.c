#include "mem.h"

#include <assert.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#define MMAP_THRESHOLD (8 << 20) /* bytes: larger allocations come from the system one by one, and return to it */
#define POOL_MAX 256 /* chunks kept: 4 MiB */

static size_t used;
static void *pool[POOL_MAX];
static size_t pooled;

#ifdef TXKV_FAULTS
static unsigned long fail_nth;
static bool fail_forever;

void mem_fail(unsigned long nth, bool forever)
{
    fail_nth = nth;
    fail_forever = forever;
}

static bool must_fail(void)
{
    if (fail_nth == 0) {
        return false;
    }
    if (fail_nth > 1) {
        fail_nth--;
        return false;
    }
    if (!fail_forever) {
        fail_nth = 0;
    }
    return true;
}
#else
static inline bool must_fail(void)
{
    return false;
}
#endif

void mem_init(void)
{
    mallopt(M_MXFAST, 0); /* fast bins are merged all at once, a second for 10M freed entries, when a large block comes */
    mallopt(M_TRIM_THRESHOLD, -1);
    mallopt(M_MMAP_THRESHOLD, MMAP_THRESHOLD);
}

void *mem_alloc(size_t size)
{
    void *ptr = must_fail() ? NULL : malloc(size);
    if (ptr != NULL) {
        used += malloc_usable_size(ptr) + sizeof(size_t);
    }
    return ptr;
}

void *mem_calloc(size_t size)
{
    void *ptr = must_fail() ? NULL : calloc(1, size);
    if (ptr != NULL) {
        used += malloc_usable_size(ptr) + sizeof(size_t);
    }
    return ptr;
}

void mem_free(void *ptr)
{
    if (ptr != NULL) {
        used -= malloc_usable_size(ptr) + sizeof(size_t);
        free(ptr);
    }
}

size_t mem_size(const void *ptr)
{
    return malloc_usable_size((void *)(size_t)ptr);
}

size_t mem_used(void)
{
    return used;
}

void *mem_chunk_get(void)
{
    void *chunk = pooled > 0 ? pool[--pooled] : must_fail() ? NULL : malloc(MEM_CHUNK);
    used += chunk == NULL ? 0 : MEM_CHUNK;
    return chunk;
}

void mem_chunk_put(void *chunk)
{
    assert(chunk != NULL);
    used -= MEM_CHUNK;
    if (pooled < POOL_MAX) {
        pool[pooled++] = chunk;
    } else {
        free(chunk);
    }
}

void mem_chunk_drain(void)
{
    while (pooled > 0) {
        free(pool[--pooled]);
    }
}
