#include "dict_entry.h"

#include <assert.h>

#include "buf.h"

static inline void set_head(struct entry *e, uint32_t hash, char *key, size_t key_len)
{
    e->hh.hashv = hash;
    e->hh.key = key;
    e->hh.keylen = (unsigned)key_len;
}

/* What the allocator rounded up is room too. `at`: where the value stands. */
static inline void set_value_len(struct entry *e, const char *at, size_t value_len)
{
    size_t room = mem_size(e) - (size_t)(at - (char *)e);
    e->room = (uint32_t)(room <= DICT_VALUE_MAX ? room : DICT_VALUE_MAX) & 0x7ffffffU;
    e->value_len = (uint32_t)value_len;
}

/* Inlined where `timed` is known: most entries are not. */
static inline __attribute__((always_inline)) struct entry *entry_make(struct slice key, uint32_t hash, size_t room, bool timed)
{
    assert(room <= DICT_VALUE_MAX && key.len <= UINT32_MAX);
    size_t before = offsetof(struct entry, bytes) + (timed ? sizeof(struct entry_time) : 0);
    struct entry *e = mem_alloc(before + key.len + room);
    if (e == NULL) {
        return NULL;
    }
    memset(e, 0, before);
    char *at = (char *)e + before;
    e->timed = timed;
    set_head(e, hash, at, key.len);
    slice_copy(at, key);
    return e;
}

static inline __attribute__((always_inline)) struct entry *make_value(struct slice key, uint32_t hash, struct slice value,
                                                                      bool timed)
{
    struct entry *e = entry_make(key, hash, value.len, timed);
    if (e == NULL) {
        return NULL;
    }
    char *at = e->bytes + (timed ? sizeof(struct entry_time) : 0) + key.len;
    set_value_len(e, at, value.len);
    slice_copy(at, value);
    return e;
}

struct entry *entry_make_around(void *memory, struct slice key, uint32_t hash, size_t value_len)
{
    assert(value_len <= DICT_VALUE_MAX && key.len <= UINT32_MAX);
    struct entry *e = memory;
    memmove(e->bytes, key.data, key.len); /* first: it may stand where the head goes */
    memset(e, 0, offsetof(struct entry, bytes));
    set_head(e, hash, e->bytes, key.len);
    set_value_len(e, e->bytes + key.len, value_len);
    return e;
}

struct entry *entry_new(struct slice key, uint32_t hash, struct slice value)
{
    return make_value(key, hash, value, false);
}

struct entry *entry_new_until(struct slice key, uint32_t hash, struct slice value, uint64_t expires_at)
{
    if (expires_at == 0) {
        return entry_new(key, hash, value);
    }
    struct entry *e = make_value(key, hash, value, true);
    if (e != NULL) {
        entry_time(e)->at = expires_at;
    }
    return e;
}

static struct entry *make_tombstone(struct slice key, uint32_t hash, bool timed)
{
    struct entry *e = entry_make(key, hash, sizeof(struct tomb_link) + sizeof(void *), timed);
    if (e != NULL) {
        e->tombstone = 1;
    }
    return e;
}

struct entry *entry_new_tombstone(struct slice key, uint32_t hash)
{
    return make_tombstone(key, hash, false);
}

struct entry *entry_new_expired(const struct entry *expired)
{
    struct entry *e = make_tombstone(entry_key(expired), expired->hh.hashv, true);
    if (e != NULL) {
        entry_time(e)->at = entry_time(expired)->at;
        entry_time(e)->removed = entry_version(expired);
    }
    return e;
}

/* Not of a tombstone, whose value has no bytes. */
static inline bool may_be_lent(const struct entry *e)
{
    return e->value_len >= buf_least_loan;
}

/* Its value may have been lent to an answer, and is about to change, or to go. */
static void repay_value(const struct entry *e)
{
    if (may_be_lent(e)) {
        buf_repay_from(entry_value(e).data, e->value_len);
    }
}

void entry_free(struct entry *e)
{
    repay_value(e);
    mem_free(e);
}

/* Whether a value finds its place in e, and does not waste most of it. */
static inline bool fits(const struct entry *e, struct slice value)
{
    return !e->tombstone && value.len <= e->room && (e->room <= 256 || value.len >= e->room / 2);
}

static inline void write_value(struct entry *e, struct slice value)
{
    e->value_len = (uint32_t)value.len;
    slice_copy((char *)(uintptr_t)e->hh.key + e->hh.keylen, value);
}

/* With an end, or of a value that may be lent. */
static __attribute__((noinline)) bool overwrite_any(struct entry *e, struct slice value, uint64_t expires_at)
{
    if (!fits(e, value) || (expires_at > 0 && !e->timed)) {
        return false;
    }
    if (e->timed) {
        entry_time(e)->at = expires_at;
    }
    repay_value(e);
    write_value(e, value);
    return true;
}

bool entry_overwrite(struct entry *e, struct slice value, uint64_t expires_at)
{
    if (e->timed || expires_at > 0 || may_be_lent(e)) {
        return overwrite_any(e, value, expires_at);
    }
    if (!fits(e, value)) {
        return false;
    }
    write_value(e, value);
    return true;
}

struct slice entry_key(const struct entry *e)
{
    return slice_of(e->hh.key, e->hh.keylen);
}

struct slice entry_value(const struct entry *e)
{
    return slice_of((const char *)e->hh.key + e->hh.keylen, e->value_len);
}

uint64_t entry_expires_at(const struct entry *e)
{
    return e->timed ? entry_time(e)->at : 0;
}

bool entry_is_gone(const struct entry *e, uint64_t now_ms)
{
    return e->tombstone || (e->timed && entry_time(e)->at - 1 < now_ms); /* 0 less 1 is beyond any time */
}

bool entry_has_ended(const struct entry *e, uint64_t now_ms)
{
    return e->timed && !e->tombstone && entry_time(e)->at - 1 < now_ms;
}

bool entry_was_expired(const struct entry *e, uint64_t *version, uint64_t *expires_at)
{
    if (!e->tombstone || !e->timed) {
        return false;
    }
    *version = entry_time(e)->removed;
    *expires_at = entry_time(e)->at;
    return true;
}

uint32_t entry_hash(const struct entry *e)
{
    return e->hh.hashv;
}

bool entry_is_tombstone(const struct entry *e)
{
    return e->tombstone;
}

uint64_t entry_version(const struct entry *e)
{
    return e->has_older ? e->older->past.superseded_at : e->version;
}

size_t entry_size(size_t key_len, size_t value_len)
{
    return offsetof(struct entry, bytes) + key_len + value_len;
}

size_t entry_bytes(const struct entry *e)
{
    return mem_cost(e);
}
