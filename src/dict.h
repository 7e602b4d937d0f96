/* dict: keys to entries, a fixed power of two of uthash tables ("partitions").
 *
 * The high bits of the hash choose the partition, the low ones uthash's bucket. A partition expands alone, at a load
 * limit of its own, so that the longest stop of a growing dictionary is the expansion of one partition.
 *
 * An entry is one allocation and belongs to exactly one dict, or to its maker until it is added. The live data and the
 * shadow map of a transaction are both this type. */
#ifndef TXKV_DICT_H
#define TXKV_DICT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "slice.h"

struct entry;
struct UT_hash_table;

struct UT_hash_bucket;

/* One uthash table. Its buckets stand here too: a find goes to them without touching the head's entry and the table first. */
struct dict_partition {
    struct entry *head;             /* what uthash's macros take; NULL while it is empty */
    struct UT_hash_bucket *buckets; /* of the head's table; NULL while it is empty */
    uint32_t mask;                  /* their number less 1 */
};

struct dict {
    struct dict_partition *parts; /* 1 << bits of them; points at only when bits is 0 */
    struct dict_partition only;   /* of a dict of one partition: no allocation */
    unsigned bits;           /* log2 of the number of partitions, 0 to 16 */
    size_t count;            /* entries */
    size_t bytes;            /* what the entries take, as the allocator rounds it */
    size_t drained;          /* partitions emptied by dict_drain */
    const struct dict_partition *walked; /* a cursor is in it, so it does not expand; NULL where there is none */
};

/* How far a walk has come: all buckets before this one. */
struct dict_cursor {
    size_t partition;
    size_t bucket;
};

#define DICT_VALUE_MAX ((size_t)64 << 20) /* the largest value that an entry may hold, bytes */

/* An empty dict of 1 << bits partitions; 0, or -1 without memory. */
int dict_init(struct dict *d, unsigned bits);

/* Frees all entries and the partitions. */
void dict_deinit(struct dict *d);

/* Frees at most limit entries and returns how many; 0 means that the dict is empty. Each goes through on_free (which
 * may be NULL) before it is freed. No find or add is allowed once draining has begun. */
size_t dict_drain(struct dict *d, size_t limit, void (*on_free)(struct entry *e));

/* The entry of a key, or NULL. It is valid until the dict changes. hash is hash_of(key). */
struct entry *dict_find(const struct dict *d, struct slice key, uint32_t hash);

/* Adds an entry whose key is not in the dict, or stands in for one about to be removed; the dict owns it then.
 * 0, or -1 without memory (only where the partition is empty and dict_reserve did not precede), nothing added. */
int dict_add(struct dict *d, struct entry *e);

/* Takes an entry out; the caller owns it then. */
void dict_remove(struct dict *d, struct entry *e);

/* Whether adding this hash needs a table that is not there yet. */
bool dict_needs_table(const struct dict *d, uint32_t hash);

/* Makes sure that the next tables adds into empty partitions cannot fail; 0, or -1 without memory. */
int dict_reserve(size_t tables);

/* Any entry of the dict, or NULL: the way to empty a shadow map. */
struct entry *dict_any(const struct dict *d);

/* Calls visit for each entry, in order of insertion within a partition, until it returns non-zero, which is returned. */
int dict_each(const struct dict *d, int (*visit)(struct entry *e, void *arg), void *arg);

/* Visits the entries of at least one more bucket, and of further ones as long as visit says true for all of theirs. False when
 * the walk is at its end. One walk of a dict at a time; the dict may change between the calls: an entry that is there all the
 * time is visited exactly once. */
bool dict_walk(struct dict *d, struct dict_cursor *at, bool (*visit)(struct entry *e, void *arg), void *arg);

/* Whether the walk has passed the place of this hash. */
bool dict_is_walked(const struct dict *d, const struct dict_cursor *at, uint32_t hash);

/* Visits the entries of one bucket, the next one that may have any, and says whether there is more; at the end *at is past all
 * partitions. Begins with *at zero. Unlike dict_walk it leaves no trace in the dict, which may grow between the calls, and *at
 * may come from anywhere: what is no place is taken for one. An entry that is there all the time is visited at least once, and
 * exactly once as long as its partition is never emptied. */
bool dict_scan(const struct dict *d, struct dict_cursor *at, void (*visit)(struct entry *e, void *arg), void *arg);

/* Ends a walk early. */
void dict_walk_end(struct dict *d);

/* Moves entries out of draining memory (mem.h). *at is where it goes on, 0 at first; steps: about how many entries to look
 * at. True while there are more. */
bool dict_evacuate(struct dict *d, size_t *at, size_t steps);

/* Bytes that a dict of so many partitions has without any entry. */
size_t dict_fixed_bytes(unsigned bits);

/* Empties the dict and gives each entry to take, in order of insertion within a partition; take owns it then. */
void dict_release(struct dict *d, void (*take)(struct entry *e, void *arg), void *arg);

/* Brings the memory that finds of these hashes will touch into the cache, all of them side by side. Hints only. */
void dict_prefetch(const struct dict *d, const uint32_t *hashes, size_t count);

/* --- entries --- */

/* A new entry with a copy of key and value, owned by the caller; NULL without memory. */
struct entry *entry_new(struct slice key, uint32_t hash, struct slice value);

/* The same, which ends at a time, Unix milliseconds; 0: never. */
struct entry *entry_new_until(struct slice key, uint32_t hash, struct slice value, uint64_t expires_at);

/* Makes an entry of memory of mem_alloc in which its value stands already, entry_size(key.len, 0) bytes from the start; the key
 * may stand anywhere before that. The entry owns the memory then. */
struct entry *entry_make_around(void *memory, struct slice key, uint32_t hash, size_t value_len);

/* A new tombstone; and one for an entry whose time has passed, which stays known by it. */
struct entry *entry_new_tombstone(struct slice key, uint32_t hash);
struct entry *entry_new_expired(const struct entry *expired);

void entry_free(struct entry *e);

/* Puts another value and end into the same allocation; false where they do not fit, or would waste most of the room. */
bool entry_overwrite(struct entry *e, struct slice value, uint64_t expires_at);

struct slice entry_key(const struct entry *e);
struct slice entry_value(const struct entry *e);
uint32_t entry_hash(const struct entry *e);
bool entry_is_tombstone(const struct entry *e);

/* When it ends, Unix milliseconds; 0: never. Not of a tombstone. */
uint64_t entry_expires_at(const struct entry *e);

/* Whether it says at that time that its key is absent: a tombstone, or it has ended. */
bool entry_is_gone(const struct entry *e, uint64_t now_ms);

/* Whether it is an entry, no tombstone, whose time has passed. */
bool entry_has_ended(const struct entry *e, uint64_t now_ms);

/* Of a tombstone that stands for an entry whose time has passed: that one's version, and its end. False for another. */
bool entry_was_expired(const struct entry *e, uint64_t *version, uint64_t *expires_at);

/* The sequence number of the commit that wrote it. */
uint64_t entry_version(const struct entry *e);

/* What an entry of such a key and value asks the allocator for, bytes. */
size_t entry_size(size_t key_len, size_t value_len);

/* What the entry takes, bytes, as the allocator rounds it. */
size_t entry_bytes(const struct entry *e);

#endif
