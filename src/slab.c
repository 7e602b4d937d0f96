#include "slab.h"

#include <assert.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>

#define CLASSES (SLAB_BLOCK_MAX / 8 + 1)
#define REGION_MAX ((size_t)256 << 30)
#define REGION_MIN ((size_t)1 << 30)
#define SLABS (REGION_MAX >> SLAB_SHIFT)
#define KEPT_MAX 4 /* unused slabs that keep their pages for the next blocks */
#define WASTE_MIN ((size_t)8 << 20)

struct slab {
    void *free;     /* blocks that were used before, each with the pointer to the next at its start */
    uint32_t used;  /* blocks in use */
    uint32_t fresh; /* blocks from here on were never used */
    uint32_t next;  /* neighbours in the list it is on; 0 for none */
    uint32_t prev;
    uint16_t class; /* bytes of a block / 8 */
    bool draining;
};

char *slab_base;
size_t slab_region;
static struct slab slabs[SLABS]; /* slab 0 is never used: 0 stands for none */
static uint32_t open[CLASSES];     /* of each class: the first slab that has room */
static uint32_t reached = 1; /* slabs from here on were never used */
static uint32_t kept;        /* unused slabs with pages: a list by next */
static uint32_t kept_count;
static uint32_t empty;       /* unused slabs without pages: alike */
static size_t held;          /* slabs with pages */
static size_t used_bytes;    /* of the blocks in use */
static size_t stuck_bytes;   /* what the last draining could not free */
static size_t freed_bytes;   /* of blocks freed since then */

static uint32_t capacity(uint32_t class)
{
    return (uint32_t)(SLAB_BYTES / (8 * class));
}

static char *start_of(uint32_t index)
{
    return slab_base + ((size_t)index << SLAB_SHIFT);
}

static uint32_t index_of(const void *block)
{
    return (uint32_t)(((uintptr_t)block - (uintptr_t)slab_base) >> SLAB_SHIFT);
}

void slab_init(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_AS, &limit) < 0 || limit.rlim_cur != RLIM_INFINITY) {
        return;
    }
    for (size_t size = REGION_MAX; slab_base == NULL && size >= REGION_MIN; size /= 4) {
        char *at = mmap(NULL, size + SLAB_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (at != MAP_FAILED) {
            slab_base = at + (-(uintptr_t)at & (SLAB_BYTES - 1));
            slab_region = size;
        }
    }
}

/* --- lists --- */

static void open_push(uint32_t class, uint32_t index)
{
    slabs[index].prev = 0;
    slabs[index].next = open[class];
    slabs[open[class]].prev = index; /* of slab 0 it means nothing */
    open[class] = index;
}

static void open_remove(uint32_t class, uint32_t index)
{
    struct slab *s = &slabs[index];
    *(s->prev != 0 ? &slabs[s->prev].next : &open[class]) = s->next;
    slabs[s->next].prev = s->prev;
}

static uint32_t pop(uint32_t *list)
{
    uint32_t index = *list;
    *list = slabs[index].next;
    return index;
}

static void push(uint32_t *list, uint32_t index)
{
    slabs[index].next = *list;
    *list = index;
}

/* --- slabs --- */

/* An unused slab that may be written to, or 0. */
static uint32_t slab_take(void)
{
    if (kept != 0) {
        kept_count--;
        return pop(&kept);
    }
    uint32_t index = empty;
    if (index != 0) {
        pop(&empty);
    } else if (reached < slab_region >> SLAB_SHIFT &&
               mprotect(start_of(reached), SLAB_BYTES, PROT_READ | PROT_WRITE) == 0) {
        index = reached++;
    }
    held += index != 0;
    return index;
}

static uint32_t slab_open(uint32_t class)
{
    uint32_t index = slab_take();
    if (index != 0) {
        slabs[index] = (struct slab){.class = (uint16_t)class};
        open_push(class, index);
    }
    return index;
}

static void slab_drop(uint32_t index)
{
    if (!slabs[index].draining) {
        open_remove(slabs[index].class, index);
    }
    slabs[index].draining = false;
    push(&kept, index);
    kept_count++;
}

bool slab_give_back(void)
{
    if (kept_count <= KEPT_MAX) {
        return false;
    }
    if (madvise(start_of(kept), SLAB_BYTES, MADV_DONTNEED) < 0) {
        return false; /* locked in memory: it stays, for the next blocks */
    }
    uint32_t index = pop(&kept);
    kept_count--;
    push(&empty, index);
    held--;
    return kept_count > KEPT_MAX;
}

size_t slab_held(void)
{
    return held << SLAB_SHIFT;
}

/* --- draining --- */

static size_t wasted(void)
{
    return ((held - kept_count) << SLAB_SHIFT) - used_bytes;
}

bool slab_is_wasteful(void)
{
    size_t waste = wasted();
    bool changed = waste / 3 * 2 > stuck_bytes || freed_bytes > used_bytes / 2 + stuck_bytes;
    return changed && waste > used_bytes / 8 + WASTE_MIN;
}

void slab_drain_begin(void)
{
    for (uint32_t i = 1; i < reached; i++) {
        struct slab *s = &slabs[i];
        if (s->used > 0 && s->used < capacity(s->class) / 2) {
            s->draining = true;
            open_remove(s->class, i);
        }
    }
}

void slab_drain_end(void)
{
    for (uint32_t i = 1; i < reached; i++) {
        if (slabs[i].draining) {
            slabs[i].draining = false;
            open_push(slabs[i].class, i);
        }
    }
    stuck_bytes = wasted();
    freed_bytes = 0;
}

bool slab_is_draining(const void *block)
{
    return slab_owns(block) && slabs[index_of(block)].draining;
}

/* --- blocks --- */

void *slab_alloc(size_t size)
{
    assert(size > 0 && size <= SLAB_BLOCK_MAX);
    uint32_t class = (uint32_t)((size + 7) / 8);
    uint32_t index = open[class] != 0 ? open[class] : slab_open(class);
    if (index == 0) {
        return NULL;
    }
    struct slab *s = &slabs[index];
    void *block = s->free;
    if (block != NULL) {
        memcpy(&s->free, block, sizeof(void *));
    } else {
        block = start_of(index) + (size_t)s->fresh++ * class * 8;
    }
    if (++s->used == capacity(class)) {
        open_remove(class, index);
    }
    used_bytes += class * 8;
    return block;
}

void slab_free(void *block)
{
    uint32_t index = index_of(block);
    struct slab *s = &slabs[index];
    assert(s->used > 0);
    memcpy(block, &s->free, sizeof(void *));
    s->free = block;
    used_bytes -= s->class * 8U;
    freed_bytes += s->class * 8U;
    if (s->used-- == capacity(s->class)) {
        open_push(s->class, index);
    }
    if (s->used == 0) {
        slab_drop(index);
    }
}

size_t slab_size(const void *block)
{
    return (size_t)slabs[index_of(block)].class * 8;
}
