/* scan: which keys a reader sees, in slices, without a trace in the data.
 *
 *      partitions of the data                          a transaction's own keys, that its snapshot has not
 *      [ 0 | 1 | ... | 4095 ]                          [ 4096 ]
 *
 * Within a partition the order is that of dict_scan. A key that the reader sees from the beginning to the end of a scan comes
 * at least once, whatever else is added and removed meanwhile; in a transaction, which sees one commit, exactly once unless
 * the transaction itself removes it and writes it again. */
#ifndef TXKV_SCAN_H
#define TXKV_SCAN_H

#include "store.h"

/* Goes on from *at (zero at the beginning) and gives take each key that t sees; without t: that exists now. It stops at the end
 * of a bucket when about `steps` steps were counted in st->steps, to which take may add, or when take has said false. False at
 * the end of all. take may not change the data. */
bool scan_step(struct store *st, const struct txn *t, struct dict_cursor *at, uint64_t steps,
               bool (*take)(struct slice key, void *arg), void *arg);

/* A place as one number, 0 the beginning; and back, whatever the number. */
uint64_t scan_number(const struct dict_cursor *at);
struct dict_cursor scan_place(uint64_t number);

/* Some place, chosen by two random numbers, from which a scan to the end and another one from the beginning see all. */
struct dict_cursor scan_random_place(const struct store *st, const struct txn *t, uint32_t random, uint32_t more);

#endif
