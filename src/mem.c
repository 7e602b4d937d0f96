#include "mem.h"

#include <assert.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "slab.h"

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

/* Under a sanitizer every block is malloc's own, so that it sees each byte that is touched wrongly. */
#if defined(__SANITIZE_ADDRESS__)
#define SLABS_WANTED false
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(memory_sanitizer)
#define SLABS_WANTED false
#endif
#endif
#ifndef SLABS_WANTED
#define SLABS_WANTED true
#endif

void mem_init(void)
{
    mallopt(M_MXFAST, 0); /* fast bins are merged all at once, a second for 10M freed entries, when a large block comes */
    mallopt(M_TRIM_THRESHOLD, -1);
    mallopt(M_MMAP_THRESHOLD, MMAP_THRESHOLD);
    if (SLABS_WANTED) {
        slab_init();
    }
}

static void *take(size_t size)
{
    void *ptr = size <= SLAB_BLOCK_MAX && slab_base != NULL && size > 0 ? slab_alloc(size) : NULL;
    return ptr != NULL ? ptr : malloc(size);
}

void *mem_alloc(size_t size)
{
    void *ptr = must_fail() ? NULL : take(size);
    used += ptr == NULL ? 0 : mem_cost(ptr);
    return ptr;
}

void *mem_calloc(size_t size)
{
    void *ptr = must_fail() ? NULL : size <= SLAB_BLOCK_MAX ? take(size) : calloc(1, size);
    if (ptr == NULL) {
        return NULL;
    }
    used += mem_cost(ptr);
    return size <= SLAB_BLOCK_MAX ? memset(ptr, 0, size) : ptr;
}

void mem_free(void *ptr)
{
    if (ptr == NULL) {
        return;
    }
    used -= mem_cost(ptr);
    if (slab_owns(ptr)) {
        slab_free(ptr);
    } else {
        free(ptr);
    }
}

size_t mem_size(const void *ptr)
{
    return slab_owns(ptr) ? slab_size(ptr) : malloc_usable_size((void *)(size_t)ptr);
}

size_t mem_cost(const void *ptr)
{
    return slab_owns(ptr) ? slab_size(ptr) : malloc_usable_size((void *)(size_t)ptr) + sizeof(size_t);
}

bool mem_is_wasteful(void)
{
    return slab_is_wasteful();
}

void mem_drain_begin(void)
{
    slab_drain_begin();
}

void mem_drain_end(void)
{
    slab_drain_end();
}

bool mem_is_draining(const void *ptr)
{
    return slab_is_draining(ptr);
}

bool mem_tend(void)
{
    return slab_give_back();
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
