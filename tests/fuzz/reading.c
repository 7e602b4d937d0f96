#include "reading.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hash.h"
#include "le.h"
#include "mem.h"

_Noreturn void reading_wrong(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fprintf(stderr, "\n");
    abort();
}

/* --- the sink --- */

static void on_reset(void *arg)
{
    struct reading *r = arg;
    replay_reset(r->replay);
    r->last = 0;
    r->resets++;
}

static int on_part(void *arg, uint64_t seq, struct slice payload)
{
    struct reading *r = arg;
    r->last = seq;
    return replay_add(r->replay, seq, payload);
}

static int on_commit(void *arg, uint64_t seq, struct slice payload)
{
    struct reading *r = arg;
    if (r->last > 0 && seq != r->last + 1) {
        reading_wrong("commit %llu comes behind %llu", (unsigned long long)seq, (unsigned long long)r->last);
    }
    if (r->expected != NULL && !timeline_has_payload(r->expected, seq, payload)) {
        reading_wrong("commit %llu is not the one that was made", (unsigned long long)seq);
    }
    r->last = seq;
    return replay_add(r->replay, seq, payload);
}

static void on_progress(void *arg, uint64_t bytes, uint64_t of_bytes)
{
    (void)arg;
    if (bytes > of_bytes) {
        reading_wrong("%llu of %llu bytes are read", (unsigned long long)bytes, (unsigned long long)of_bytes);
    }
}

static void init(struct reading *r, const struct timeline *expected)
{
    static const unsigned char secret[HASH_SECRET_BYTES] = {1};
    static struct replay replay; /* its arrays are large, so it is used again and again */
    *r = (struct reading){.expected = expected, .limits = {.txn = {.bytes = 1 << 20, .keys = 1000}, .history_bytes = 1 << 20}};
    hash_init_known(secret);
    if (store_init(&r->store, &r->limits, 0) < 0 || (replay.ops == NULL && replay_init(&replay, &r->store) < 0)) {
        abort();
    }
    r->replay = &replay;
    replay.store = &r->store;
    replay_reset(&replay);
}

void reading_run(struct reading *r, struct memory_disk *d, const struct timeline *expected)
{
    const struct recover_sink sink = {on_reset, on_part, on_commit, on_progress, r};
    init(r, expected);
    d->used = mem_used();
    r->result = recover_read(&d->disk, &sink, &r->found);
    if (replay_finish(r->replay) < 0) {
        reading_wrong("no memory");
    }
    if (r->result != RECOVER_CLEAN && r->found.problem[0] == '\0') {
        reading_wrong("a problem without words");
    }
    if (r->result == RECOVER_TORN && (r->found.tail_bytes == 0 || r->found.segment == 0)) {
        reading_wrong("a torn tail that is nowhere");
    }
    uint64_t last = r->found.last > r->found.checkpoint ? r->found.last : r->found.checkpoint;
    if (r->result != RECOVER_FAILED && last != r->last && r->last > 0) {
        reading_wrong("commit %llu was given last, %llu is said to be", (unsigned long long)r->last, (unsigned long long)last);
    }
}

void reading_free(struct reading *r)
{
    store_deinit(&r->store);
}

/* --- operations, read once more --- */

/* The number at the front, and how many bytes it has; 0 where it is none in its shortest form. */
static size_t length_at(struct slice s, uint64_t *number)
{
    *number = 0;
    for (size_t i = 0; i < s.len && i < 5; i++) {
        unsigned char byte = (unsigned char)s.data[i];
        *number += (uint64_t)(byte % 128) << (7 * i);
        if (byte < 128) {
            return i > 0 && byte == 0 ? 0 : i + 1;
        }
    }
    return 0;
}

static struct slice behind(struct slice s, uint64_t bytes)
{
    return slice_of(s.data + bytes, s.len - (size_t)bytes);
}

bool reading_is_ops(struct slice s)
{
    while (s.len > 0) {
        uint64_t first = 0;
        uint64_t second = 0;
        size_t digits;
        char op = s.data[0];
        s = behind(s, 1);
        if (op == 3) {
            continue;
        }
        if (op != 1 && op != 2 && op != 4 && op != 5) {
            return false;
        }
        if ((digits = length_at(s, &first)) == 0) {
            return false;
        }
        s = behind(s, digits);
        bool two = op == 1 || op == 5;
        if (two && (digits = length_at(s, &second)) == 0) {
            return false;
        }
        s = two ? behind(s, digits) : s;
        if (op == 5 && (s.len < 8 || le_get64(s.data) == 0)) {
            return false;
        }
        uint64_t size = first + second + (op == 4 || op == 5 ? 8 : 0);
        if (size > s.len) {
            return false;
        }
        s = behind(s, size);
    }
    return true;
}
