/* stored: what the tests of the store say often. */
#ifndef TXKV_UNIT_STORED_H
#define TXKV_UNIT_STORED_H

#include "data.h"
#include "store.h"

#define BITS 4

static inline void begin(struct store *st, struct txn *t, enum txn_mode mode)
{
    txn_init(t);
    cr_assert_eq(store_begin(st, t, mode), 0);
}

/* wanted NULL: the key is absent. */
static inline void assert_get(struct store *st, struct txn *t, const char *key, const char *wanted)
{
    struct slice value = {0};
    int rc = store_get(st, t, slice_str(key), hash_of(slice_str(key)), &value);
    cr_assert_eq(rc, wanted != NULL, "%s: %d", key, rc);
    if (wanted != NULL) {
        assert_slice(value, slice_str(wanted));
    }
}

#endif
