/* mem: the out-of-memory policy. Every byte that grows with clients or data comes from here, so that it is counted for
 * --maxmemory, and so that a test can make the nth allocation fail. One thread. */
#ifndef TXKV_MEM_H
#define TXKV_MEM_H

#include <stdbool.h>
#include <stddef.h>

#define MEM_CHUNK ((size_t)16384) /* bytes of a pooled chunk */

/* Sets the allocator up; once, before anything is allocated. Small blocks are slabs (slab.h), which go back to the system by
 * mem_tend; larger ones stay with the process for the next data: giving a gigabyte back to the system at once stops the loop
 * for most of a second, and nothing says when it will happen. Without it, all is malloc's. */
void mem_init(void);

/* A slice of giving freed memory back to the system. True when there is more of it. */
bool mem_tend(void);

/* Freed blocks lie scattered: see slab.h. Whoever has blocks that can move asks mem_is_wasteful, and between
 * mem_drain_begin and mem_drain_end moves those of which mem_is_draining is true into new ones. */
bool mem_is_wasteful(void);
void mem_drain_begin(void);
void mem_drain_end(void);
bool mem_is_draining(const void *ptr);

/* At least size bytes, aligned to 8, or NULL. The caller owns them until mem_free. */
void *mem_alloc(size_t size);
void *mem_calloc(size_t size);
void mem_free(void *ptr);

/* Bytes that an allocation really has, never less than was asked for; all of them may be used. */
size_t mem_size(const void *ptr);

/* Bytes that an allocation takes of the machine's memory: mem_size, and the allocator's own of it. */
size_t mem_cost(const void *ptr);

/* Bytes allocated now, as the allocator rounds them; of chunks, those handed out. */
size_t mem_used(void);

/* Chunks of MEM_CHUNK bytes, kept warm in a pool: last returned, first handed out. NULL without memory. */
void *mem_chunk_get(void);
void mem_chunk_put(void *chunk);
/* Gives the pooled chunks back to the system. */
void mem_chunk_drain(void);

#ifdef TXKV_FAULTS
/* Makes the nth allocation from now on (1 = the next) fail; with forever, all after it too. 0 ends that. */
void mem_fail(unsigned long nth, bool forever);
#endif

#endif
