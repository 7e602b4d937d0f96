/* intake: where a session's input lands.
 *
 * Small requests come many at a time, into a chunk. A large value is read to where it will stay: into memory of the size of its
 * entry, so far from the start that what stands before the value gives way to the entry's head and the key:
 *
 *      front        request                                                  request's end
 *      |------------|SET |key| |==== value =================================|\r\n|     as it comes
 *      |---- head of the entry ----|key|==== value =========================|----|     as an entry
 *
 * RESP tells a value's size when the request begins. A line does not: there the next large SET is expected to be like the last
 * one. Where that is wrong, and wherever else the input lies differently, the value is copied, as small ones are. */
#ifndef TXKV_INTAKE_H
#define TXKV_INTAKE_H

#include "session.h"

#define INTAKE_LARGE ((size_t)32 << 10) /* bytes of a value that is worth a place of its own */

/* Where the next input goes, and how many bytes of it; NULL when there is enough for this tick, or no memory. At least `enough`
 * bytes of room are wanted, where the size of what comes is not known. */
char *intake_reserve(struct session *s, size_t enough, size_t *room);

/* A SET of a large value runs: the next one is expected to be like it. */
void intake_expect(struct session *s, const struct request *r);

/* Any request may come next. */
void intake_expect_nothing(struct session *s);

/* Its entry, made of the memory in which it came, which leaves the input empty; the caller owns it. NULL where the input does not
 * lie so. The request's slices are void then. */
struct entry *intake_take(struct session *s, const struct request *r);

#endif
