#include "past.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hash.h"
#include "rng.h"

void past_init(struct past *p, uint64_t seq, const struct past_data *data)
{
    *p = (struct past){.first = seq, .newest = seq - 1};
    past_add(p, data);
}

void past_deinit(struct past *p)
{
    free(p->commits);
    *p = (struct past){0};
}

const struct past_data *past_at(const struct past *p, uint64_t seq)
{
    if (seq < p->first || seq > p->newest) {
        fprintf(stderr, "past_at: commit %llu is not from %llu to %llu\n", (unsigned long long)seq,
                (unsigned long long)p->first, (unsigned long long)p->newest);
        exit(99);
    }
    return &p->commits[seq - p->first];
}

void past_add(struct past *p, const struct past_data *data)
{
    size_t count = (size_t)(p->newest + 1 - p->first);
    if (count == p->room) {
        struct past_data copy = *data; /* it may be one of those that move */
        p->room = p->room == 0 ? 64 : 2 * p->room;
        p->commits = realloc(p->commits, p->room * sizeof(*p->commits));
        if (p->commits == NULL) {
            perror("past_add");
            exit(99);
        }
        p->commits[count] = copy;
    } else {
        p->commits[count] = *data;
    }
    p->newest++;
}

void past_forget(struct past *p, uint64_t seq)
{
    (void)past_at(p, seq);
    p->newest = seq;
}

struct slice past_key(unsigned n)
{
    static char texts[8][16];
    static unsigned next;
    char *text = texts[next++ % 8];
    return slice_of(text, (size_t)snprintf(text, sizeof(texts[0]), "key%u", n));
}

struct slice past_token(uint32_t n)
{
    static char texts[8][24];
    static unsigned next;
    char *text = texts[next++ % 8];
    return slice_of(text, (size_t)snprintf(text, sizeof(texts[0]), "token%u", n));
}

/* Most are short, some are empty, few are long. */
struct slice past_value(uint32_t value)
{
    static char all[8][PAST_VALUE_MAX];
    static unsigned next;
    char *bytes = all[next++ % 8];
    struct rng rng = {value};
    size_t size = rng_below(&rng, rng_chance(&rng, 15) ? PAST_VALUE_MAX : 40);
    for (size_t i = 0; i < size; i += 8) {
        uint64_t word = rng_next(&rng);
        memcpy(bytes + i, &word, size - i < 8 ? size - i : 8);
    }
    return slice_of(bytes, size);
}

/* The key with its value and end, whether its time has passed or not; and for a reader, who sees it only before that. */
static bool key_is(struct store *st, unsigned n, uint32_t value, uint64_t expires_at)
{
    struct slice key = past_key(n);
    struct slice read;
    const struct entry *e = dict_find(&st->current->dict, key, hash_of(key));
    bool there = e != NULL && !entry_is_tombstone(e);
    bool seen = store_get(st, NULL, key, hash_of(key), &read) == 1;
    if (value == 0) {
        return !there && !seen;
    }
    bool ended = expires_at != 0 && expires_at <= store_time(st, NULL);
    return there && entry_expires_at(e) == expires_at && slice_equal(entry_value(e), past_value(value)) && seen == !ended;
}

bool past_is(struct store *st, const struct past_data *data)
{
    uint64_t keys = 0;
    for (unsigned n = 0; n < PAST_KEYS; n++) {
        if (!key_is(st, n, data->values[n], data->ends[n])) {
            return false;
        }
        keys += data->values[n] != 0 ? 1 : 0;
    }
    return store_count(st, NULL) == keys;
}

#define AROUND 64 /* commits before and behind whose transactions are looked at */

bool past_is_at(const struct past *p, struct store *st, uint64_t seq)
{
    if (seq < p->first || seq > p->newest || !past_is(st, past_at(p, seq))) {
        return false;
    }
    uint64_t from = seq - p->first > AROUND ? seq - AROUND : p->first;
    for (uint64_t at = from; at <= p->newest && at <= seq + AROUND; at++) {
        uint32_t token = past_at(p, at)->token;
        if (token != 0 && (store_outcome(st, past_token(token)) == OUTCOME_COMMITTED) != (at <= seq)) {
            return false;
        }
    }
    return true;
}
