/* wire: the requests that the load generator sends, in each protocol that it speaks.
 *
 * A request is written once, before the run; afterwards only the 12 digits of its key, and with --verify its value, are
 * patched in place. */
#ifndef BENCH_WIRE_H
#define BENCH_WIRE_H

#include <stddef.h>
#include <stdint.h>

enum wire_proto { WIRE_TEXT, WIRE_RESP, WIRE_MEMCACHE, WIRE_PROTO_COUNT };

enum wire_op {
    WIRE_GET,
    WIRE_SET,
    WIRE_PING,
    WIRE_OP_COUNT, /* the above can be mixed; the following are steps of a transaction, which memcache has not */
    WIRE_WATCH = WIRE_OP_COUNT, /* RESP: of one or more keys */
    WIRE_BEGIN,                 /* text: BEGIN; RESP: MULTI */
    WIRE_BEGIN_SERIALIZABLE,    /* text */
    WIRE_STORE,                 /* a SET inside the transaction */
    WIRE_COMMIT,                /* text: COMMIT; RESP: EXEC */
    WIRE_STEP_COUNT
};

#define WIRE_KEY_DIGITS 12
#define WIRE_KEY_SIZE (4 + WIRE_KEY_DIGITS) /* "key:" and the digits; longer keys have x between the two */
#define WIRE_NO_KEY SIZE_MAX

extern const char *const wire_proto_names[WIRE_PROTO_COUNT]; /* as options name them */
extern const char *const wire_op_names[WIRE_OP_COUNT];

struct wire_request {
    enum wire_proto proto;
    enum wire_op op;
    unsigned keys;     /* WIRE_WATCH: how many, all alike */
    uint64_t key;      /* the number in the key, below 10^12 */
    size_t key_size;   /* bytes, WIRE_KEY_SIZE at least */
    const char *value; /* WIRE_SET, WIRE_STORE */
    size_t value_size; /* bytes */
};

/* Where a request can be patched: offsets in it. */
struct wire_places {
    size_t key_at;     /* of the first key's digits, or WIRE_NO_KEY */
    size_t key_stride; /* from there to the next key's */
    size_t value_at;   /* of the value */
};

/* Writes a request to dst, or only sizes it where dst is NULL. places may be NULL. Its size in bytes; 0 where the
 * protocol has no such request. */
size_t wire_request_write(const struct wire_request *rq, char *dst, struct wire_places *places);

/* Writes n, below 10^12, as WIRE_KEY_DIGITS digits. */
void wire_key_patch(char *digits, uint64_t n);

#endif
