/* The commands on the values of single keys, and on several pairs of key and value. */
#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "command_run.h"
#include "err.h"
#include "hash.h"
#include "intake.h"

static struct store *store_of(struct session *s)
{
    return &s->engine->store;
}

/* Looks for a request's key: 1 and the value, 0, or -1 after answering the error. */
static int look(struct session *s, const struct request *r, struct slice *value)
{
    *value = slice_of(NULL, 0);
    int found = store_get(store_of(s), session_txn(s), r->args[0], r->hash, value);
    if (found < 0) {
        command_refuse(s, found);
        return -1;
    }
    return found;
}

void run_get(struct session *s, const struct request *r)
{
    struct slice value;
    int found = store_get(&s->engine->store, session_txn(s), r->args[0], r->hash, &value);
    if (found < 0) {
        command_refuse(s, found);
    } else {
        session_found(s, found, value);
    }
}

static __attribute__((noinline)) int set_large(struct session *s, const struct request *r)
{
    struct entry *fresh = NULL;
    if (session_txn(s) == NULL) {
        intake_expect(s, r);
        fresh = intake_take(s, r);
    }
    int rc = fresh != NULL ? store_put(store_of(s), fresh)
                           : store_set(store_of(s), session_txn(s), r->args[0], r->hash, r->args[1]);
    if (rc < 0) {
        intake_expect_nothing(s); /* the memory for another one may be what is missing */
    }
    return rc;
}

void run_set(struct session *s, const struct request *r)
{
    if (r->args[1].len >= INTAKE_LARGE) {
        command_done(s, set_large(s, r));
        return;
    }
    int rc = store_set(&s->engine->store, session_txn(s), r->args[0], r->hash, r->args[1]);
    command_done(s, rc);
}

/* When a request's key ends, for a change that leaves that as it is. */
static uint64_t end_of(struct session *s, const struct request *r)
{
    return store_expires_at(store_of(s), session_txn(s), r->args[0], r->hash);
}

void run_setnx(struct session *s, const struct request *r)
{
    struct slice value;
    int found = look(s, r, &value);
    if (found < 0) {
        return;
    }
    int rc = found == 1 ? 0 : store_set(store_of(s), session_txn(s), r->args[0], r->hash, r->args[1]);
    command_number(s, rc, found == 1 ? 0 : 1);
}

/* The old value is answered before the change, which ends it; where the change fails, the answer is taken back. */
static void swap(struct session *s, const struct request *r, int (*change)(struct session *s, const struct request *r))
{
    size_t mark = buf_len(&s->out);
    struct slice value;
    int found = look(s, r, &value);
    if (found < 0) {
        return;
    }
    session_found(s, found, value);
    int rc = s->answer_failed ? 0 : change(s, r);
    if (rc < 0) {
        buf_truncate(&s->out, mark);
        command_refuse(s, rc);
    }
}

static int change_to_second(struct session *s, const struct request *r)
{
    return store_set(store_of(s), session_txn(s), r->args[0], r->hash, r->args[1]);
}

static int change_to_absent(struct session *s, const struct request *r)
{
    return store_delete(store_of(s), session_txn(s), r->args[0], r->hash);
}

void run_getset(struct session *s, const struct request *r)
{
    swap(s, r, change_to_second);
}

void run_getdel(struct session *s, const struct request *r)
{
    swap(s, r, change_to_absent);
}

/* --- several keys --- */

#define MGET_GROUP 16
#define MGET_TOO_LONG 1
#define MGET_BINARY 2

/* Answers some of the keys; 0, or MGET_TOO_LONG, MGET_BINARY, or an error of the store: then an error is to be the only answer. */
static int mget_group(struct session *s, const struct slice *keys, size_t count, size_t mark)
{
    uint32_t hashes[MGET_GROUP];
    for (size_t i = 0; i < count; i++) {
        hashes[i] = hash_of(keys[i]);
    }
    store_prefetch(&s->engine->store, hashes, count);
    s->engine->store.steps += count;
    for (size_t i = 0; i < count; i++) {
        struct slice value;
        int found = store_get(&s->engine->store, session_txn(s), keys[i], hashes[i], &value);
        if (found < 0) {
            return found;
        }
        if (found == 1 && buf_len(&s->out) - mark + value.len > s->engine->limits.answer_bytes) {
            return MGET_TOO_LONG;
        }
        if (found == 1 && !session_carries(s, value)) {
            return MGET_BINARY;
        }
        if (found == 1) {
            session_lend(s, value);
        } else {
            session_answer(s, s->proto->absent(&s->out));
        }
    }
    return 0;
}

void run_mget(struct session *s, const struct request *r)
{
    size_t mark = buf_len(&s->out);
    int rc = 0;
    session_answer(s, s->proto->array(&s->out, r->count));
    for (size_t i = 0; i < r->count && rc == 0; i += MGET_GROUP) {
        size_t count = r->count - i < MGET_GROUP ? r->count - i : MGET_GROUP;
        rc = mget_group(s, r->args + i, count, mark);
    }
    if (rc != 0) {
        buf_truncate(&s->out, mark);
    }
    if (rc == MGET_TOO_LONG) {
        char text[96];
        snprintf(text, sizeof(text), "the answer is over %zu bytes (--answer-max); ask for fewer keys",
                 s->engine->limits.answer_bytes);
        session_error(s, ERR_TOOBIG, text);
    } else if (rc == MGET_BINARY) {
        session_uncarried(s);
    } else if (rc < 0) {
        command_refuse(s, rc);
    }
}

/* --- several pairs --- */

static int set_pairs(struct session *s, const struct request *r)
{
    int rc = 0;
    store_of(s)->steps += r->count / 2;
    for (size_t i = 0; i < r->count && rc == 0; i += 2) {
        rc = store_set(store_of(s), session_txn(s), r->args[i], hash_of(r->args[i]), r->args[i + 1]);
    }
    return rc;
}

/* Whether the last key has its value; complains otherwise. */
static bool are_pairs(struct session *s, const struct request *r)
{
    bool whole = r->count % 2 == 0;
    if (!whole) {
        session_complain(s, r->command->run == run_mset ? "ERR wrong number of arguments for 'mset' command"
                                                        : "ERR wrong number of arguments for 'msetnx' command");
    }
    return whole;
}

void run_mset(struct session *s, const struct request *r)
{
    if (!are_pairs(s, r)) {
        return;
    }
    bool own;
    int rc = command_scope_open(s, &own);
    rc = command_scope_close(s, own, rc < 0 ? rc : set_pairs(s, r));
    command_done(s, rc);
}

/* 1 where a key exists, 0, or an error. */
static int any_exists(struct session *s, const struct request *r)
{
    int found = 0;
    for (size_t i = 0; i < r->count && found == 0; i += 2) {
        struct slice value;
        found = store_get(store_of(s), session_txn(s), r->args[i], hash_of(r->args[i]), &value);
    }
    return found;
}

void run_msetnx(struct session *s, const struct request *r)
{
    if (!are_pairs(s, r)) {
        return;
    }
    bool own;
    int found = 0;
    int rc = command_scope_open(s, &own);
    if (rc == 0) {
        found = any_exists(s, r);
        rc = found != 0 ? found : set_pairs(s, r);
    }
    rc = command_scope_close(s, own, rc < 0 ? rc : 0);
    command_number(s, rc, found == 1 ? 0 : 1);
}

/* --- parts of a value --- */

void run_strlen(struct session *s, const struct request *r)
{
    struct slice value;
    if (look(s, r, &value) >= 0) {
        command_number(s, 0, (int64_t)value.len);
    }
}

void run_getrange(struct session *s, const struct request *r)
{
    int64_t start, end;
    struct slice value;
    if (!command_read_number(s, r->args[1], &start) || !command_read_number(s, r->args[2], &end) || look(s, r, &value) < 0) {
        return;
    }
    int64_t len = (int64_t)value.len;
    bool backwards = start < 0 && end < 0 && start > end;
    start = start >= 0 ? start : start < -len ? 0 : len + start;
    end = end >= 0 ? end : end < -len ? 0 : len + end;
    end = end < len ? end : len - 1;
    bool empty = backwards || start > end || len == 0;
    session_value(s, empty ? slice_of(NULL, 0) : slice_of(value.data + start, (size_t)(end - start + 1)));
}

/* Where a new value is put together: behind the answers, but not among them. NULL after complaining. */
static char *workplace(struct session *s, size_t len)
{
    if (len > s->engine->limits.command.value_bytes) {
        command_complain(s, "ERR string exceeds maximum allowed size (proto-max-bulk-len)");
        return NULL;
    }
    char *place = buf_reserve(&s->out, len + 1);
    if (place == NULL) {
        session_error(s, ERR_FULL, "no memory for this");
    }
    return place;
}

/* Sets a request's key to `old` with a part put over it from offset on, and zeros where there was nothing. */
static void set_part(struct session *s, const struct request *r, struct slice old, size_t offset, struct slice part)
{
    size_t len = offset + part.len > old.len ? offset + part.len : old.len;
    char *place = workplace(s, len);
    if (place == NULL) {
        return;
    }
    if (old.len > 0) {
        memcpy(place, old.data, old.len);
    }
    if (offset > old.len) {
        memset(place + old.len, 0, offset - old.len);
    }
    if (part.len > 0) {
        memcpy(place + offset, part.data, part.len);
    }
    int rc = store_set_until(store_of(s), session_txn(s), r->args[0], r->hash, slice_of(place, len), end_of(s, r));
    command_number(s, rc, (int64_t)len);
}

void run_append(struct session *s, const struct request *r)
{
    struct slice old;
    if (look(s, r, &old) >= 0) {
        set_part(s, r, old, old.len, r->args[1]);
    }
}

void run_setrange(struct session *s, const struct request *r)
{
    int64_t offset;
    struct slice old;
    if (!command_read_number(s, r->args[1], &offset)) {
        return;
    }
    if (offset < 0) {
        command_complain(s, "ERR offset is out of range");
        return;
    }
    if (look(s, r, &old) < 0) {
        return;
    }
    if (r->args[2].len == 0) {
        command_number(s, 0, (int64_t)old.len);
    } else if ((uint64_t)offset > s->engine->limits.command.value_bytes) {
        command_complain(s, "ERR string exceeds maximum allowed size (proto-max-bulk-len)");
    } else {
        set_part(s, r, old, (size_t)offset, r->args[2]);
    }
}

/* --- counters --- */

void run_incr(struct session *s, const struct request *r)
{
    int64_t by = 1;
    int64_t sum;
    if (r->count == 2) {
        bool is_number = store_parse_integer(r->args[1], &by);
        assert(is_number); /* command_parse has checked it */
        (void)is_number;
    }
    int rc = store_increment(&s->engine->store, session_txn(s), r->args[0], r->hash, by, &sum);
    command_number(s, rc, sum);
}

static void add(struct session *s, const struct request *r, int64_t by)
{
    int64_t sum = 0;
    int rc = store_increment(store_of(s), session_txn(s), r->args[0], r->hash, by, &sum);
    command_number(s, rc, sum);
}

void run_incrby(struct session *s, const struct request *r)
{
    int64_t by;
    if (command_read_number(s, r->args[1], &by)) {
        add(s, r, by);
    }
}

void run_decr(struct session *s, const struct request *r)
{
    add(s, r, -1);
}

void run_decrby(struct session *s, const struct request *r)
{
    int64_t by;
    if (!command_read_number(s, r->args[1], &by)) {
        return;
    }
    if (by == INT64_MIN) {
        command_complain(s, "ERR decrement would overflow");
        return;
    }
    add(s, r, -by);
}

/* --- numbers with a fraction --- */

#define FLOAT_TEXT_MAX 5120 /* bytes of the longest number in decimal notation, with 17 digits behind the point */

/* The whole text as a number that is one. */
static bool parse_float(struct slice text, long double *number)
{
    char copy[FLOAT_TEXT_MAX];
    char *end;
    if (text.len == 0 || text.len >= sizeof(copy) || isspace((unsigned char)text.data[0])) {
        return false;
    }
    memcpy(copy, text.data, text.len);
    copy[text.len] = '\0';
    errno = 0;
    *number = strtold(copy, &end);
    return end == copy + text.len && errno != ERANGE && !isnan(*number);
}

/* In decimal notation, without zeros at its end. */
static size_t write_float(char *text, size_t size, long double number)
{
    size_t len = (size_t)snprintf(text, size, "%.17Lf", number);
    while (text[len - 1] == '0') {
        len--;
    }
    len -= text[len - 1] == '.';
    if (len == 2 && text[0] == '-' && text[1] == '0') {
        text[0] = '0';
        len = 1;
    }
    return len;
}

void run_incrbyfloat(struct session *s, const struct request *r)
{
    char text[FLOAT_TEXT_MAX];
    struct slice old;
    long double number = 0, by;
    int found = look(s, r, &old);
    if (found < 0) {
        return;
    }
    if ((found == 1 && !parse_float(old, &number)) || !parse_float(r->args[1], &by)) {
        command_complain(s, "ERR value is not a valid float");
        return;
    }
    number += by;
    if (isnan(number) || isinf(number)) {
        command_complain(s, "ERR increment would produce NaN or Infinity");
        return;
    }
    struct slice sum = slice_of(text, write_float(text, sizeof(text), number));
    int rc = store_set_until(store_of(s), session_txn(s), r->args[0], r->hash, sum, end_of(s, r));
    if (rc < 0) {
        command_refuse(s, rc);
    } else {
        session_value(s, sum);
    }
}
