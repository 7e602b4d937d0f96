#include "txn.h"

#include <assert.h>

#include "dict_entry.h"
#include "err.h"
#include "fault.h"

void txn_init(struct txn *t)
{
    *t = (struct txn){.state = TXN_NONE};
    int rc = dict_init(&t->shadow, 0);
    assert(rc == 0); /* a dict of one partition allocates nothing */
    (void)rc;
}

void txn_clear(struct txn *t)
{
    while (dict_drain(&t->shadow, SIZE_MAX, NULL) > 0) {
    }
    t->writes = 0;
    t->flushed = false;
    t->read_keyset = false;
}

uint64_t txn_seq(const struct txn *t)
{
    assert(t->holder.snapshot != NULL);
    return t->holder.snapshot->seq;
}

bool txn_entry_is_mark(const struct entry *e)
{
    return e->mark;
}

bool txn_entry_was_read(const struct entry *e)
{
    return e->was_read;
}

enum txn_hit txn_find(const struct txn *t, struct slice key, uint32_t hash, const struct entry **written)
{
    const struct entry *e = dict_find(&t->shadow, key, hash);
    if (e != NULL && !e->mark) {
        if (!entry_is_gone(e, t->now_ms)) {
            *written = e;
            return TXN_VALUE;
        }
        if (!FAULT(tombstone_ignored)) {
            return TXN_ABSENT;
        }
    }
    return t->flushed ? TXN_ABSENT : TXN_MISS;
}

/* Puts a fresh shadow entry in the place of what the shadow map holds of its key. Takes ownership, also when it fails. */
static int shadow_replace(struct txn *t, const struct txn_limits *limits, struct entry *old, struct entry *fresh)
{
    if (fresh == NULL) {
        return ERR_FULL;
    }
    size_t freed = old == NULL ? 0 : entry_bytes(old);
    if (t->shadow.bytes - freed + entry_bytes(fresh) > limits->bytes ||
        (old == NULL && t->shadow.count >= limits->keys)) {
        entry_free(fresh);
        return ERR_TOOBIG;
    }
    if (dict_add(&t->shadow, fresh) < 0) {
        entry_free(fresh);
        return ERR_FULL;
    }
    bool wrote_before = old != NULL && !old->mark;
    t->writes += (fresh->mark || wrote_before) ? 0 : 1;
    if (old != NULL) {
        fresh->was_read |= old->was_read;
        dict_remove(&t->shadow, old);
        entry_free(old);
    }
    return 0;
}

int txn_put(struct txn *t, const struct txn_limits *limits, struct slice key, uint32_t hash, struct slice value,
            uint64_t expires_at)
{
    struct entry *old = dict_find(&t->shadow, key, hash);
    if (old != NULL && entry_overwrite(old, value, expires_at)) {
        t->writes += old->mark ? 1 : 0;
        old->mark = 0;
        return 0;
    }
    return shadow_replace(t, limits, old, entry_new_until(key, hash, value, expires_at));
}

int txn_delete(struct txn *t, const struct txn_limits *limits, struct slice key, uint32_t hash)
{
    struct entry *old = dict_find(&t->shadow, key, hash);
    if (old != NULL && old->tombstone && !old->mark) {
        return 0;
    }
    return shadow_replace(t, limits, old, entry_new_tombstone(key, hash));
}

int txn_mark(struct txn *t, const struct txn_limits *limits, struct slice key, uint32_t hash)
{
    if (t->mode != TXN_SERIALIZABLE || dict_find(&t->shadow, key, hash) != NULL) {
        return 0; /* a shadow entry that is there is a mark already, or hides the data from the read */
    }
    struct entry *fresh = entry_new(key, hash, slice_of(NULL, 0));
    if (fresh != NULL) {
        fresh->mark = 1;
        fresh->was_read = 1;
    }
    return shadow_replace(t, limits, NULL, fresh);
}

static int drop_write(struct entry *e, void *arg)
{
    struct txn *t = arg;
    if (e->mark) {
        return 0;
    }
    if (e->was_read) {
        e->mark = 1;
    } else {
        dict_remove(&t->shadow, e);
        entry_free(e);
    }
    return 0;
}

void txn_flush(struct txn *t)
{
    dict_each(&t->shadow, drop_write, t);
    t->writes = 0;
    t->flushed = true;
}
