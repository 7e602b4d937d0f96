#include "dict.h"

#include <assert.h>

#include "dict_entry.h"
#include "expiry.h"
#include "fault.h"

/* Items per bucket at which a partition expands, times 256: 1.25 on average, spread over 0.75 to 1.25 of it so that the
 * partitions do not all expand together. A bucket costs 16 bytes: see docs/performance.md for what other loads give. */
#define LOAD_LIMIT_256 320U

/* A table's first two allocations, kept in two small pools: a small transaction makes and drops a table each time. */
#define POOL_MAX 64
#define FIRST_BUCKETS (HASH_INITIAL_NUM_BUCKETS * sizeof(struct UT_hash_bucket))

struct pool {
    size_t size;    /* bytes of a block */
    size_t kept;    /* blocks */
    void *first;    /* each block begins with the pointer to the next */
};

static struct pool table_pool = {sizeof(UT_hash_table), 0, NULL};
static struct pool bucket_pool = {FIRST_BUCKETS, 0, NULL};

static struct pool *pool_for(size_t size)
{
    return size == table_pool.size ? &table_pool : size == bucket_pool.size ? &bucket_pool : NULL;
}

static void pool_push(struct pool *pool, void *block)
{
    memcpy(block, &pool->first, sizeof(void *));
    pool->first = block;
    pool->kept++;
}

void *dict_table_alloc(size_t size)
{
    struct pool *pool = pool_for(size);
    if (pool == NULL || pool->kept == 0) {
        return mem_alloc(size);
    }
    void *block = pool->first;
    memcpy(&pool->first, block, sizeof(void *));
    pool->kept--;
    return block;
}

void dict_table_free(void *ptr, size_t size)
{
    struct pool *pool = pool_for(size);
    if (pool != NULL && pool->kept < POOL_MAX) {
        pool_push(pool, ptr);
    } else {
        mem_free(ptr);
    }
}

static int pool_fill(struct pool *pool, size_t count)
{
    while (pool->kept < count) {
        void *block = mem_alloc(pool->size);
        if (block == NULL) {
            return -1;
        }
        pool_push(pool, block);
    }
    return 0;
}

int dict_reserve(size_t tables)
{
    return pool_fill(&table_pool, tables) < 0 || pool_fill(&bucket_pool, tables) < 0 ? -1 : 0;
}

int dict_init(struct dict *d, unsigned bits)
{
    assert(bits <= 16);
    *d = (struct dict){.bits = bits};
    d->parts = bits == 0 ? &d->only : mem_calloc(sizeof(struct dict_partition) << bits);
    return d->parts == NULL ? -1 : 0;
}

void dict_deinit(struct dict *d)
{
    while (dict_drain(d, SIZE_MAX, NULL) > 0) {
    }
    if (d->bits > 0) {
        mem_free(d->parts);
    }
    d->parts = NULL;
}

static struct dict_partition *partition_of(const struct dict *d, uint32_t hash)
{
    return &d->parts[(uint64_t)hash >> (32 - d->bits)];
}

/* After each change of the head or its table. */
static void follow_table(struct dict_partition *p)
{
    p->buckets = p->head == NULL ? NULL : p->head->hh.tbl->buckets;
    p->mask = p->head == NULL ? 0 : p->head->hh.tbl->num_buckets - 1;
}

static void table_free(UT_hash_table *table)
{
    dict_table_free(table->buckets, table->num_buckets * sizeof(struct UT_hash_bucket));
    dict_table_free(table, sizeof(*table));
}

size_t dict_drain(struct dict *d, size_t limit, void (*on_free)(struct entry *e))
{
    size_t freed = 0;
    while (d->drained < (size_t)1 << d->bits && freed < limit) {
        struct dict_partition *p = &d->parts[d->drained];
        struct entry *e = p->head;
        if (e == NULL) {
            d->drained++;
            continue;
        }
        /* The whole table goes, so its buckets are not kept in order: only the way through the entries is. */
        UT_hash_table *table = e->hh.tbl;
        while (e != NULL && freed < limit) {
            struct entry *next = e->hh.next;
            if (on_free != NULL) {
                on_free(e);
            }
            d->bytes -= entry_bytes(e);
            d->count--;
            entry_free(e);
            freed++;
            e = next;
        }
        p->head = e;
        if (e == NULL) {
            table_free(table);
        }
        follow_table(p);
    }
    if (d->bits == 0 && d->only.head == NULL) {
        d->drained = 0; /* a shadow map is used again */
    }
    return freed;
}

static inline uint64_t load_word(const char *at)
{
    uint64_t word;
    memcpy(&word, at, sizeof(word));
    return word;
}

/* Keys are short: a call of memcmp would cost more than it compares. */
static inline bool same_bytes(const char *a, const char *b, size_t len)
{
    const size_t word = sizeof(uint64_t);
    if (len - word <= word) { /* two loads that may overlap */
        return load_word(a) == load_word(b) && load_word(a + len - word) == load_word(b + len - word);
    }
    for (; len >= word; len -= word, a += word, b += word) {
        if (load_word(a) != load_word(b)) {
            return false;
        }
    }
    while (len > 0 && *a == *b) {
        a++;
        b++;
        len--;
    }
    return len == 0;
}

/* As HASH_FIND_BYHASHVALUE, from the partition's own copy of where the buckets are. */
struct entry *dict_find(const struct dict *d, struct slice key, uint32_t hash)
{
    const struct dict_partition *p = partition_of(d, hash);
    UT_hash_handle *hh = p->buckets == NULL ? NULL : p->buckets[hash & p->mask].hh_head;
    while (hh != NULL && !(hh->hashv == hash && hh->keylen == key.len && same_bytes(hh->key, key.data, key.len))) {
        hh = hh->hh_next;
    }
    return (struct entry *)(void *)hh;
}

static void expand_if_loaded(const struct dict *d, struct dict_partition *p)
{
    UT_hash_table *table = p->head->hh.tbl;
    size_t spread = 192 + (((size_t)(p - d->parts) << 7) >> d->bits);
    size_t limit = ((size_t)table->num_buckets * LOAD_LIMIT_256 * spread) >> 16;
    if (table->num_items > limit && p != d->walked) {
        bool oomed = false; /* without memory the chains grow longer, that is all */
        HASH_EXPAND_BUCKETS(hh, table, oomed);
        (void)oomed;
    }
}

int dict_add(struct dict *d, struct entry *e)
{
    struct dict_partition *p = partition_of(d, e->hh.hashv);
    unsigned hash = e->hh.hashv;
    const void *key = e->hh.key;
    unsigned key_len = e->hh.keylen;
    HASH_ADD_KEYPTR_BYHASHVALUE(hh, p->head, key, key_len, hash, e);
    if (e->hh.tbl == NULL) {
        return -1;
    }
    e->hh.tbl->noexpand = 1; /* expand_if_loaded decides, not uthash */
    d->count++;
    d->bytes += entry_bytes(e);
    expand_if_loaded(d, p);
    follow_table(p);
    return 0;
}

void dict_remove(struct dict *d, struct entry *e)
{
    struct dict_partition *p = partition_of(d, e->hh.hashv);
    d->count--;
    d->bytes -= entry_bytes(e);
    HASH_DELETE(hh, p->head, e);
    follow_table(p);
}

bool dict_needs_table(const struct dict *d, uint32_t hash)
{
    return partition_of(d, hash)->head == NULL;
}

struct entry *dict_any(const struct dict *d)
{
    for (size_t i = 0; i < (size_t)1 << d->bits; i++) {
        if (d->parts[i].head != NULL) {
            return d->parts[i].head;
        }
    }
    return NULL;
}

int dict_each(const struct dict *d, int (*visit)(struct entry *e, void *arg), void *arg)
{
    for (size_t i = 0; i < (size_t)1 << d->bits; i++) {
        for (struct entry *e = d->parts[i].head, *next; e != NULL; e = next) {
            next = e->hh.next;
            int stop = visit(e, arg);
            if (stop != 0) {
                return stop;
            }
        }
    }
    return 0;
}

void dict_release(struct dict *d, void (*take)(struct entry *e, void *arg), void *arg)
{
    for (size_t i = 0; i < (size_t)1 << d->bits; i++) {
        struct dict_partition *p = &d->parts[i];
        struct entry *e = p->head;
        if (e == NULL) {
            continue;
        }
        table_free(e->hh.tbl); /* all of it goes, so its chains are not kept in order meanwhile */
        p->head = NULL;
        follow_table(p);
        for (struct entry *next; e != NULL; e = next) {
            next = e->hh.next;
            take(e, arg);
        }
    }
    d->count = 0;
    d->bytes = 0;
}

/* --- walking. The order is that of partitions and buckets, which a hash alone decides: so what has been passed is known
 * without a mark on the entries. A table that is emptied and made anew meanwhile holds new entries only. --- */

#define WALK_AHEAD 8 /* buckets whose first entry is fetched before its turn */

bool dict_walk(struct dict *d, struct dict_cursor *at, bool (*visit)(struct entry *e, void *arg), void *arg)
{
    bool more = true;
    while (at->partition < (size_t)1 << d->bits && more) {
        const struct dict_partition *p = &d->parts[at->partition];
        if (p->head == NULL || at->bucket > p->mask) {
            at->partition++;
            at->bucket = 0;
            continue;
        }
        d->walked = p;
        if (at->bucket + WALK_AHEAD <= p->mask) {
            __builtin_prefetch(p->buckets[at->bucket + WALK_AHEAD].hh_head);
        }
        for (UT_hash_handle *hh = p->buckets[at->bucket].hh_head; hh != NULL; hh = hh->hh_next) {
            more = visit((struct entry *)(void *)hh, arg) && more;
        }
        at->bucket++;
    }
    bool ended = at->partition == (size_t)1 << d->bits;
    if (ended) {
        d->walked = NULL;
    }
    return !ended;
}

bool dict_is_walked(const struct dict *d, const struct dict_cursor *at, uint32_t hash)
{
    const struct dict_partition *p = partition_of(d, hash);
    size_t partition = (size_t)(p - d->parts);
    return partition < at->partition || (partition == at->partition && (hash & p->mask) < at->bucket);
}

void dict_walk_end(struct dict *d)
{
    d->walked = NULL;
}

/* --- scanning. A table doubles by splitting each bucket b of n into b and b + n. So the buckets are counted from their highest
 * bit down: whatever has been passed, its halves have been passed too, and what is to come splits into what is to come. --- */

/* The bucket after this one; 0 after the last one. */
static size_t next_in_scan(size_t bucket, size_t mask)
{
    if (FAULT(scan_forgets_growth)) {
        return bucket == mask ? 0 : bucket + 1;
    }
    size_t bit = (mask + 1) / 2;
    for (; bit > 0 && (bucket & bit) != 0; bit /= 2) {
        bucket ^= bit;
    }
    return bucket | bit;
}

bool dict_scan(const struct dict *d, struct dict_cursor *at, void (*visit)(struct entry *e, void *arg), void *arg)
{
    const size_t partitions = (size_t)1 << d->bits;
    while (at->partition < partitions && d->parts[at->partition].head == NULL) {
        at->partition++;
        at->bucket = 0;
    }
    if (at->partition >= partitions) {
        return false;
    }
    const struct dict_partition *p = &d->parts[at->partition];
    size_t bucket = at->bucket & p->mask;
    at->bucket = next_in_scan(bucket, p->mask);
    at->partition += at->bucket == 0 ? 1 : 0;
    __builtin_prefetch(p->buckets[at->bucket].hh_head);
    for (UT_hash_handle *hh = p->buckets[bucket].hh_head; hh != NULL; hh = hh->hh_next) {
        visit((struct entry *)(void *)hh, arg);
    }
    return at->partition < partitions;
}

size_t dict_fixed_bytes(unsigned bits)
{
    return bits == 0 ? 0 : sizeof(struct dict_partition) << bits;
}

/* A copy takes the entry's place wherever something points to it: its neighbours in the table's order and in its chain, and the
 * newest of its past. */
static void relocate(struct dict *d, struct dict_partition *p, struct entry *e)
{
    size_t before = offsetof(struct entry, bytes) + entry_time_size(e);
    struct entry *copy = mem_alloc(before + e->hh.keylen + e->room);
    if (copy == NULL) {
        return;
    }
    UT_hash_table *table = e->hh.tbl;
    memcpy(copy, e, before + e->hh.keylen + e->value_len);
    copy->hh.key = (char *)copy + before;
    *(e->hh.prev != NULL ? (void **)&((struct entry *)e->hh.prev)->hh.next : (void **)&p->head) = copy;
    if (e->hh.next != NULL) {
        ((struct entry *)e->hh.next)->hh.prev = copy;
    } else {
        table->tail = &copy->hh;
    }
    *(e->hh.hh_prev != NULL ? &e->hh.hh_prev->hh_next : &p->buckets[e->hh.hashv & p->mask].hh_head) = &copy->hh;
    if (e->hh.hh_next != NULL) {
        e->hh.hh_next->hh_prev = &copy->hh;
    }
    if (e->has_older) {
        e->older->past.newer = copy;
    }
    if (e->timed) {
        expiry_moved(copy);
    }
    d->bytes += entry_bytes(copy);
    d->bytes -= entry_bytes(e);
    entry_free(e);
}

/* A partition is gone through from its start until nothing of it is left to move: those moved are passed quickly. */
bool dict_evacuate(struct dict *d, size_t *at, size_t steps)
{
    size_t seen = 0;
    size_t moved = 0;
    for (; *at < (size_t)1 << d->bits && seen < steps; ++*at) {
        struct dict_partition *p = &d->parts[*at];
        for (struct entry *e = p->head, *next; e != NULL; e = next) {
            next = e->hh.next;
            seen++;
            if (!e->tombstone && mem_is_draining(e)) { /* tombstones are linked to each other, and go soon */
                if (++moved > steps) {
                    return true;
                }
                relocate(d, p, e);
            }
        }
    }
    return *at < (size_t)1 << d->bits;
}

/* --- prefetch: a find touches the partition, a bucket, then the entries of one chain; each step waits for memory once for
 * the whole group instead of once for each request --- */

#define PREFETCH_MAX 16
#define PREFETCH_CHAIN 4 /* entries of a chain that are worth following */

/* The first and the last byte that is read of an entry on the way along a chain, and beyond that of one that is found: what a short key
 * and value take of it. */
#define LINK_FIRST offsetof(UT_hash_handle, hh_next)
#define LINK_LAST (sizeof(UT_hash_handle) - 1)
#define FOUND_FIRST 64
#define FOUND_LAST 112

/* Those that are still looked for: the entry that is next on each one's way, and its hash. */
struct chase {
    const UT_hash_handle *next[PREFETCH_MAX];
    uint32_t hash[PREFETCH_MAX];
    size_t count;
};

/* Puts one in, which stays only if there is an entry on its way. No jump: it would often be foreseen wrongly. */
static inline void chase_on(struct chase *c, const UT_hash_handle *next, uint32_t hash, bool stays)
{
    c->next[c->count] = next;
    c->hash[c->count] = hash;
    c->count += stays;
}

/* `at` may be no address: a hint reads nothing. */
static inline void prefetch_bytes(uintptr_t at, size_t first, size_t last)
{
    __builtin_prefetch((const void *)(at + first));
    __builtin_prefetch((const void *)(at + last));
}

static inline void chase_step(struct chase *c)
{
    const size_t count = c->count;
    c->count = 0;
    for (size_t i = 0; i < count; i++) {
        const UT_hash_handle *hh = c->next[i];
        const UT_hash_handle *next = hh->hh_next;
        const uint32_t hash = c->hash[i];
        const bool found = hh->hashv == hash;
        prefetch_bytes((uintptr_t)(found ? hh : next), found ? FOUND_FIRST : LINK_FIRST, found ? FOUND_LAST : LINK_LAST);
        chase_on(c, next, hash, !found && next != NULL);
    }
}

static void prefetch_group(const struct dict *d, const uint32_t *hashes, size_t count)
{
    const UT_hash_bucket *buckets[PREFETCH_MAX];
    struct chase chase;
    chase.count = 0;
    for (size_t i = 0; i < count; i++) {
        __builtin_prefetch(partition_of(d, hashes[i]));
    }
    for (size_t i = 0; i < count; i++) {
        const struct dict_partition *p = partition_of(d, hashes[i]);
        buckets[i] = p->buckets == NULL ? NULL : &p->buckets[hashes[i] & p->mask];
        __builtin_prefetch(buckets[i]);
    }
    for (size_t i = 0; i < count; i++) {
        const UT_hash_handle *first = buckets[i] == NULL ? NULL : buckets[i]->hh_head;
        prefetch_bytes((uintptr_t)first, LINK_FIRST, LINK_LAST);
        chase_on(&chase, first, hashes[i], first != NULL);
    }
    for (int step = 0; step < PREFETCH_CHAIN && chase.count > 0; step++) {
        chase_step(&chase);
    }
    __asm__ volatile(""); /* gcc 12 drops calls of a function that only prefetches: it takes it for one without effect */
}

void dict_prefetch(const struct dict *d, const uint32_t *hashes, size_t count)
{
    for (size_t i = 0; i < count; i += PREFETCH_MAX) {
        prefetch_group(d, hashes + i, count - i < PREFETCH_MAX ? count - i : PREFETCH_MAX);
    }
}
