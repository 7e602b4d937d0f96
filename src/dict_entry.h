/* dict_entry: how an entry lies in memory. Only layer 1 (dict, history, txn) looks inside; all
 * others use the functions of dict.h. This is the one place that includes uthash.h.
 *
 *      one allocation:
 *      +-----------------------+-----------+-----------+--------------+- - - - -+-----------+-------------+
 *      | hh 56 B (or past)     | version 8 | value_len | room, flags  | time 24 | key bytes | value bytes |
 *      +-----------------------+-----------+-----------+--------------+- - - - -+-----------+-------------+
 *
 * A live entry stands in a table by its hh. A superseded one stands in no table, so the space of its hh holds the links
 * of history instead: an entry pays for history only while it is history. Likewise the version: where an older entry
 * stands behind this one, the slot holds the pointer to it, and the version is the older one's superseded_at. And so for
 * time: only an entry that was given an end has an entry_time. */
#ifndef TXKV_DICT_ENTRY_H
#define TXKV_DICT_ENTRY_H

#include <stdint.h>

#include "dict.h"
#include "mem.h"

void *dict_table_alloc(size_t size);
void dict_table_free(void *ptr, size_t size);

#define HASH_NONFATAL_OOM 1
#define uthash_malloc(size) dict_table_alloc(size)
#define uthash_free(ptr, size) dict_table_free(ptr, size)
#include <uthash.h>
#undef HASH_INITIAL_NUM_BUCKETS
#undef HASH_INITIAL_NUM_BUCKETS_LOG2
#define HASH_INITIAL_NUM_BUCKETS 8U
#define HASH_INITIAL_NUM_BUCKETS_LOG2 3U

struct past {
    uint64_t superseded_at;  /* version of the entry that took its place */
    struct entry *newer;     /* the entry in front of it, NULL when that one is gone */
    struct entry *next_kept; /* the list of the snapshot that keeps it */
};

struct entry {
    union {
        UT_hash_handle hh; /* while it is live, or in a shadow map */
        struct past past;  /* while it is kept for a snapshot */
    };
    union {
        uint64_t version;    /* without has_older */
        struct entry *older; /* with has_older */
    };
    uint32_t value_len;
    uint32_t room : 27;     /* bytes there are for the value */
    uint32_t timed : 1;     /* has an entry_time before its key */
    uint32_t tombstone : 1; /* says that the key is absent */
    uint32_t has_older : 1;
    uint32_t mark : 1;      /* shadow map: no write, the key was only read */
    uint32_t was_read : 1;  /* shadow map: the data was read through it */
    char bytes[];           /* its time, where it is timed; the key; the value */
};

/* When an entry ends; where it stands among those that do (expiry.h). */
struct entry_time {
    uint64_t at; /* Unix milliseconds; 0: never */
    union {
        struct entry_time *next; /* in its list */
        uint64_t removed;        /* of a tombstone made by time: the version that it removed, whose end `at` was */
    };
    struct entry_time **link; /* what points to it; NULL: it is in no list */
};

static inline struct entry_time *entry_time(const struct entry *e)
{
    return (struct entry_time *)(void *)(uintptr_t)e->bytes;
}

static inline struct entry *entry_of_time(struct entry_time *t)
{
    return (struct entry *)(void *)((char *)t - offsetof(struct entry, bytes));
}

static inline size_t entry_time_size(const struct entry *e)
{
    return e->timed ? sizeof(struct entry_time) : 0;
}

_Static_assert(sizeof(struct past) <= offsetof(UT_hash_handle, key), "history must not overwrite the key");
_Static_assert(offsetof(struct entry, bytes) == 72, "72 bytes before the key");
_Static_assert(DICT_VALUE_MAX < (size_t)1 << 27, "room counts up to it");

/* A live tombstone has no value; its value's room links it to its neighbours in order of versions. */
struct tomb_link {
    struct entry *prev;
    struct entry *next;
};

static inline struct tomb_link *entry_tomb_link(struct entry *e)
{
    size_t offset = (entry_time_size(e) + e->hh.keylen + sizeof(void *) - 1) & ~(sizeof(void *) - 1);
    return (struct tomb_link *)(void *)(e->bytes + offset);
}

static inline void entry_set_version(struct entry *e, uint64_t version)
{
    if (e->has_older) {
        e->older->past.superseded_at = version;
    } else {
        e->version = version;
    }
}

#endif
