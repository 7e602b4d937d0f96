/* past: a naive model of the data as of each commit, to compare what was recovered with.
 *
 * There are PAST_KEYS keys, key0 and so on. A value is a number of its own from which its bytes follow, 0 where the key is absent.
 * A key whose time has passed is there until a commit removes it. */
#ifndef TXKV_SUPPORT_PAST_H
#define TXKV_SUPPORT_PAST_H

#include "store.h"

#define PAST_KEYS 24
#define PAST_VALUE_MAX 300 /* a transaction of six fits into a segment of 2 KiB */

struct past_data {
    uint32_t values[PAST_KEYS];
    uint64_t ends[PAST_KEYS]; /* of those that are there: Unix milliseconds; 0: never */
    uint32_t token; /* of the transaction whose commit it was; 0: none */
};

struct past {
    struct past_data *commits; /* owned; as of commit `first` and on */
    size_t room;
    uint64_t first;
    uint64_t newest;
};

/* Begins with data as of commit seq. */
void past_init(struct past *p, uint64_t seq, const struct past_data *data);
void past_deinit(struct past *p);

/* The data as of a commit from `first` to `newest`. */
const struct past_data *past_at(const struct past *p, uint64_t seq);

/* The data as of commit newest + 1. */
void past_add(struct past *p, const struct past_data *data);

/* Commits behind seq never were. */
void past_forget(struct past *p, uint64_t seq);

/* "key<n>", valid until 8 further calls. */
struct slice past_key(unsigned n);

/* The bytes of a value, valid until 8 further calls. */
struct slice past_value(uint32_t value);

/* "token<n>", valid until 8 further calls. */
struct slice past_token(uint32_t n);

/* Whether the store holds exactly these data. */
bool past_is(struct store *st, const struct past_data *data);

/* Whether it is as of commit seq: its data, and of the transactions around it which have committed. False for a commit that the
 * past does not have. */
bool past_is_at(const struct past *p, struct store *st, uint64_t seq);

#endif
