/* slab: small allocations, in classes 8 bytes apart, without a header. Entries are most of the memory of a full server: a
 * general allocator rounds them to 16 bytes and adds 8.
 *
 *      reserved addresses:  | slab 0 | slab 1 | slab 2 | ...          256 KiB each, all blocks of one are of one class
 *      a slab:              | block | block | free -> | free | never used ...                                |
 *
 * The slabs' records lie apart, so that freeing a block touches no other memory of its slab. A slab without blocks in use
 * serves any class; its pages go back to the system in slices (slab_give_back), so no single call takes long.
 *
 * A few blocks that stay keep a whole slab, which serves no other class. Where that has become too much, sparse slabs are
 * drained: they give no more blocks, and whoever owns blocks in them moves those elsewhere.
 *
 * Invariant: a slab is on its class's list of open slabs exactly when it has blocks in use, room for more, and is not draining.
 * One thread. */
#ifndef TXKV_SLAB_H
#define TXKV_SLAB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SLAB_SHIFT 18U
#define SLAB_BYTES ((size_t)1 << SLAB_SHIFT)
#define SLAB_BLOCK_MAX ((size_t)512)    /* bytes; larger blocks are somebody else's */

extern char *slab_base;    /* start of the reserved addresses, which cost nothing until they are used; NULL: there are none */
extern size_t slab_region; /* their number */

/* Reserves the addresses: 256 GiB; none where the process has a limit on them (ulimit -v), which others need too. Without them
 * slab_alloc has nothing to give. */
void slab_init(void);

/* A block of at least size bytes (1 to SLAB_BLOCK_MAX), aligned to 8 bytes, or NULL without memory. */
void *slab_alloc(size_t size);

/* Frees a block that slab_owns. */
void slab_free(void *block);

/* Bytes of a block that slab_owns. */
size_t slab_size(const void *block);

static inline bool slab_owns(const void *block)
{
    return (uintptr_t)block - (uintptr_t)slab_base < slab_region;
}

/* Gives the pages of one unused slab back to the system, as far as more are unused than are kept. True when there may be
 * another. */
bool slab_give_back(void);

/* Whether slabs that hold blocks have much more room than blocks: an eighth of them and 8 MiB. After a
 * draining that did not help, only when that has grown by half, or so much was freed that another may help. */
bool slab_is_wasteful(void);

/* From begin to end the slabs that are less than half full at the beginning are draining. */
void slab_drain_begin(void);
void slab_drain_end(void);

/* Whether a block of either kind, this or somebody else's, lies in a draining slab. */
bool slab_is_draining(const void *block);

/* Bytes of the slabs that are in use or kept. */
size_t slab_held(void);

#endif
