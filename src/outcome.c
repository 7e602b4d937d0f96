/* A token is the key of an entry, and what is known of it lies in the room of its value: one allocation. */
#include "outcome.h"

#include <assert.h>

#include "dict_entry.h"
#include "hash.h"

#define PARTITION_BITS 10 /* so that no expansion of a table takes long, with ten million tokens either */

struct outcome {
    struct outcome *prev; /* in its state's list */
    struct outcome *next;
    struct entry *entry; /* that it lies in */
    struct txn *txn;     /* OPEN: whose it is */
    uint64_t seq;        /* COMMITTED: as of which commit */
    uint64_t time;       /* COMMITTED, ABORTED: since when, Unix seconds */
    enum outcome_state state;
};

int outcomes_init(struct outcomes *o)
{
    *o = (struct outcomes){.max = OUTCOME_MAX_DEFAULT, .keep = OUTCOME_KEEP_DEFAULT};
    return dict_init(&o->tokens, PARTITION_BITS);
}

void outcomes_deinit(struct outcomes *o)
{
    dict_deinit(&o->tokens);
}

enum outcome_state outcome_state(const struct outcome *at)
{
    return at == NULL ? OUTCOME_UNKNOWN : at->state;
}

uint64_t outcome_seq(const struct outcome *at)
{
    return at->seq;
}

uint64_t outcome_time(const struct outcome *at)
{
    return at->time;
}

struct slice outcome_token(const struct outcome *at)
{
    return entry_key(at->entry);
}

struct txn *outcome_txn(const struct outcome *at)
{
    return at->txn;
}

/* --- the lists --- */

static struct outcome_list *list_of(struct outcomes *o, const struct outcome *at)
{
    return at->state == OUTCOME_COMMITTED ? &o->committed : at->state == OUTCOME_ABORTED ? &o->aborted : NULL;
}

static void list_add(struct outcomes *o, struct outcome *at)
{
    struct outcome_list *list = list_of(o, at);
    at->prev = list->last;
    at->next = NULL;
    *(list->last != NULL ? &list->last->next : &list->first) = at;
    list->last = at;
}

/* An OPEN one stands in none. */
static void list_remove(struct outcomes *o, struct outcome *at)
{
    struct outcome_list *list = list_of(o, at);
    if (list == NULL) {
        return;
    }
    if (o->to_walk == at) {
        o->to_walk = at->next;
    }
    *(at->prev != NULL ? &at->prev->next : &list->first) = at->next;
    *(at->next != NULL ? &at->next->prev : &list->last) = at->prev;
}

/* --- the table --- */

static struct outcome *outcome_of(struct entry *e)
{
    size_t offset = (e->hh.keylen + sizeof(void *) - 1) & ~(sizeof(void *) - 1);
    return (struct outcome *)(void *)(e->bytes + offset);
}

struct outcome *outcome_find(const struct outcomes *o, struct slice token)
{
    struct entry *e = dict_find(&o->tokens, token, hash_of(token));
    return e == NULL ? NULL : outcome_of(e);
}

static struct outcome *add(struct outcomes *o, struct slice token)
{
    static const char room[sizeof(struct outcome) + sizeof(void *)];
    struct entry *e = entry_new(token, hash_of(token), slice_of(room, sizeof(room)));
    if (e == NULL) {
        return NULL;
    }
    if (dict_add(&o->tokens, e) < 0) {
        entry_free(e);
        return NULL;
    }
    struct outcome *at = outcome_of(e);
    *at = (struct outcome){.entry = e, .state = OUTCOME_OPEN};
    return at;
}

static void forget(struct outcomes *o, struct outcome *at)
{
    struct entry *e = at->entry;
    list_remove(o, at);
    dict_remove(&o->tokens, e);
    entry_free(e);
}

void outcomes_clear(struct outcomes *o)
{
    while (o->committed.first != NULL) {
        forget(o, o->committed.first);
    }
    while (o->aborted.first != NULL) {
        forget(o, o->aborted.first);
    }
    assert(o->tokens.count == 0);
}

/* --- room --- */

/* A second that has begun counts as none: what is kept for 600 seconds is kept for 600 to 601. */
static bool is_over(const struct outcomes *o, const struct outcome *at)
{
    return at != NULL && o->clock > at->time && o->clock - at->time > o->keep;
}

static bool make_room(struct outcomes *o)
{
    while (o->tokens.count >= o->max) {
        if (o->aborted.first != NULL) {
            forget(o, o->aborted.first);
        } else if (is_over(o, o->committed.first)) {
            forget(o, o->committed.first);
        } else {
            o->refused++;
            return false;
        }
    }
    return true;
}

bool outcomes_expire(struct outcomes *o, size_t limit)
{
    for (; limit > 0; limit--) {
        if (is_over(o, o->committed.first)) {
            forget(o, o->committed.first);
        } else if (is_over(o, o->aborted.first)) {
            forget(o, o->aborted.first);
        } else {
            return false;
        }
    }
    return is_over(o, o->committed.first) || is_over(o, o->aborted.first);
}

/* --- what becomes of a token --- */

struct outcome *outcome_open(struct outcomes *o, struct outcome *known, struct slice token, struct txn *t)
{
    struct outcome *at = known;
    assert(token.len > 0 && token.len <= OUTCOME_TOKEN_MAX);
    if (known != NULL) {
        assert(known->state == OUTCOME_ABORTED);
        list_remove(o, known);
        known->state = OUTCOME_OPEN;
    } else if (!make_room(o) || (at = add(o, token)) == NULL) {
        return NULL;
    }
    at->txn = t;
    return at;
}

static void end(struct outcomes *o, struct outcome *at, enum outcome_state state)
{
    assert(at->state == OUTCOME_OPEN);
    at->txn = NULL;
    at->state = state;
    at->time = o->clock;
    list_add(o, at);
}

void outcome_commit(struct outcomes *o, struct outcome *at, uint64_t seq)
{
    at->seq = seq;
    end(o, at, OUTCOME_COMMITTED);
}

void outcome_abort(struct outcomes *o, struct outcome *at)
{
    end(o, at, OUTCOME_ABORTED);
}

/* A time of the future is one of a clock that was wrong: it must not keep the token for years. */
int outcome_restore(struct outcomes *o, struct slice token, uint64_t time, uint64_t seq)
{
    if (o->clock > time && o->clock - time > o->keep) {
        return 0;
    }
    struct outcome *at = outcome_find(o, token);
    if (at != NULL) {
        list_remove(o, at);
    } else if ((at = add(o, token)) == NULL) {
        return -1;
    }
    at->state = OUTCOME_COMMITTED;
    at->seq = seq;
    at->time = time < o->clock ? time : o->clock;
    list_add(o, at);
    return 0;
}

/* --- walking --- */

void outcomes_walk_begin(struct outcomes *o)
{
    o->to_walk = o->committed.first;
}

struct outcome *outcomes_walk_next(struct outcomes *o)
{
    struct outcome *at = o->to_walk;
    if (at != NULL) {
        o->to_walk = at->next;
    }
    return at;
}
