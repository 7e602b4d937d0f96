#include "wire.h"

#include <string.h>

const char *const wire_proto_names[WIRE_PROTO_COUNT] = {
    [WIRE_TEXT] = "text", [WIRE_RESP] = "resp", [WIRE_MEMCACHE] = "memcache"};
const char *const wire_op_names[WIRE_OP_COUNT] = {[WIRE_GET] = "get", [WIRE_SET] = "set", [WIRE_PING] = "ping"};

/* %k the key, %l its length; %v the value, %n its length; %w all keys of a WATCH, %c their number and one. */
static const char *const templates[WIRE_PROTO_COUNT][WIRE_STEP_COUNT] = {
    [WIRE_TEXT] =
        {
            [WIRE_GET] = "GET %k\r\n",
            [WIRE_SET] = "SET %k %v\r\n",
            [WIRE_PING] = "PING\r\n",
            [WIRE_BEGIN] = "BEGIN\r\n",
            [WIRE_BEGIN_SERIALIZABLE] = "BEGIN SERIALIZABLE\r\n",
            [WIRE_STORE] = "SET %k %v\r\n",
            [WIRE_COMMIT] = "COMMIT\r\n",
        },
    [WIRE_RESP] =
        {
            [WIRE_GET] = "*2\r\n$3\r\nGET\r\n$%l\r\n%k\r\n",
            [WIRE_SET] = "*3\r\n$3\r\nSET\r\n$%l\r\n%k\r\n$%n\r\n%v\r\n",
            [WIRE_PING] = "*1\r\n$4\r\nPING\r\n",
            [WIRE_WATCH] = "*%c\r\n$5\r\nWATCH\r\n%w",
            [WIRE_BEGIN] = "*1\r\n$5\r\nMULTI\r\n",
            [WIRE_STORE] = "*3\r\n$3\r\nSET\r\n$%l\r\n%k\r\n$%n\r\n%v\r\n",
            [WIRE_COMMIT] = "*1\r\n$4\r\nEXEC\r\n",
        },
    [WIRE_MEMCACHE] =
        {
            [WIRE_GET] = "get %k\r\n",
            [WIRE_SET] = "set %k 0 0 %n\r\n%v\r\n",
            [WIRE_PING] = "version\r\n",
        },
};

struct out {
    char *dst; /* NULL: only count */
    size_t size;
    struct wire_places *places;
};

static void put(struct out *o, const char *bytes, size_t size)
{
    if (o->dst != NULL) {
        memcpy(o->dst + o->size, bytes, size);
    }
    o->size += size;
}

static void put_number(struct out *o, uint64_t n)
{
    char digits[20];
    size_t at = sizeof digits;
    do {
        digits[--at] = (char)('0' + n % 10);
        n /= 10;
    } while (n > 0);
    put(o, digits + at, sizeof digits - at);
}

static void put_key(struct out *o, const struct wire_request *rq)
{
    char digits[WIRE_KEY_DIGITS];
    put(o, "key:", 4);
    if (o->dst != NULL) {
        memset(o->dst + o->size, 'x', rq->key_size - WIRE_KEY_SIZE);
    }
    o->size += rq->key_size - WIRE_KEY_SIZE;
    if (o->places->key_at == WIRE_NO_KEY) {
        o->places->key_at = o->size;
    } else if (o->places->key_stride == 0) {
        o->places->key_stride = o->size - o->places->key_at;
    }
    wire_key_patch(digits, rq->key);
    put(o, digits, sizeof digits);
}

static void put_watched(struct out *o, const struct wire_request *rq)
{
    for (unsigned i = 0; i < rq->keys; i++) {
        put(o, "$", 1);
        put_number(o, rq->key_size);
        put(o, "\r\n", 2);
        put_key(o, rq);
        put(o, "\r\n", 2);
    }
}

static void put_place(struct out *o, const struct wire_request *rq, char place)
{
    switch (place) {
    case 'k':
        put_key(o, rq);
        break;
    case 'l':
        put_number(o, rq->key_size);
        break;
    case 'v':
        o->places->value_at = o->size;
        put(o, rq->value, rq->value_size);
        break;
    case 'n':
        put_number(o, rq->value_size);
        break;
    case 'c':
        put_number(o, rq->keys + 1);
        break;
    default:
        put_watched(o, rq);
    }
}

size_t wire_request_write(const struct wire_request *rq, char *dst, struct wire_places *places)
{
    struct wire_places unwanted;
    struct out o = {.dst = dst, .places = places == NULL ? &unwanted : places};
    *o.places = (struct wire_places){.key_at = WIRE_NO_KEY};
    const char *t = templates[rq->proto][rq->op];
    while (t != NULL && *t != '\0') {
        size_t literal = strcspn(t, "%");
        put(&o, t, literal);
        t += literal;
        if (*t == '%') {
            put_place(&o, rq, t[1]);
            t += 2;
        }
    }
    return o.size;
}

void wire_key_patch(char *digits, uint64_t n)
{
    static const char pairs[] = "00010203040506070809101112131415161718192021222324252627282930313233343536373839"
                                "40414243444546474849505152535455565758596061626364656667686970717273747576777879"
                                "8081828384858687888990919293949596979899";
    /* Two halves of six digits, so that the divisions do not all wait for each other. */
    uint32_t halves[2] = {(uint32_t)(n / 1000000), (uint32_t)(n % 1000000)};
    for (int i = 0; i < 2; i++) {
        memcpy(digits + 6 * i, pairs + 2 * (halves[i] / 10000), 2);
        memcpy(digits + 6 * i + 2, pairs + 2 * (halves[i] / 100 % 100), 2);
        memcpy(digits + 6 * i + 4, pairs + 2 * (halves[i] % 100), 2);
    }
}
