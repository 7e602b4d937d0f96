/* The commands on when keys end. A time is the transaction's: that of its BEGIN, or of the tick outside of one. */
#include <stdio.h>

#include "command_run.h"
#include "err.h"
#include "hash.h"

static struct store *store_of(struct session *s)
{
    return &s->engine->store;
}

static int64_t now_of(struct session *s)
{
    return (int64_t)store_time(store_of(s), session_txn(s));
}

/* --- times as words --- */

static void complain_time(struct session *s, const struct request *r)
{
    char name[32];
    snprintf(name, sizeof(name), "%s", r->command->name);
    command_small(name);
    command_complain(s, "ERR invalid expire time in '%s' command", name);
}

/* How a command counts time. */
struct clock_kind {
    int64_t unit;  /* milliseconds */
    bool absolute; /* since 1970, not from now on */
};

static const struct clock_kind seconds_from_now = {1000, false};

/* A count as Unix milliseconds; false where that is beyond any. */
static bool count_to_ms(struct session *s, const struct clock_kind *kind, int64_t count, int64_t *at)
{
    return !__builtin_mul_overflow(count, kind->unit, at) && !__builtin_add_overflow(*at, kind->absolute ? 0 : now_of(s), at);
}

/* Reads a word as the time of an end of a value that is written, above 0; false after complaining. */
static bool read_end(struct session *s, const struct request *r, struct slice word, const struct clock_kind *kind, uint64_t *at)
{
    int64_t count, ms;
    if (!command_read_number(s, word, &count)) {
        return false;
    }
    if (count <= 0 || !count_to_ms(s, kind, count, &ms)) {
        complain_time(s, r);
        return false;
    }
    *at = (uint64_t)ms;
    return true;
}

/* --- options of SET and GETEX --- */

static const struct {
    const char *name;
    struct clock_kind kind;
} end_options[] = {{"EX", {1000, false}}, {"PX", {1, false}}, {"EXAT", {1000, true}}, {"PXAT", {1, true}}};

static const struct clock_kind *find_end_option(struct slice word)
{
    for (size_t i = 0; i < sizeof(end_options) / sizeof(end_options[0]); i++) {
        if (command_is_word(word, end_options[i].name)) {
            return &end_options[i].kind;
        }
    }
    return NULL;
}

struct value_options {
    bool if_absent;                 /* NX */
    bool if_present;                /* XX */
    bool get;                       /* GET */
    bool keeps_end;                 /* KEEPTTL */
    bool persists;                  /* PERSIST */
    const struct slice *if_equal;   /* IFEQ, its value */
    const struct clock_kind *kind;  /* EX and its like; NULL without one */
    struct slice end;
};

/* Takes one that stands alone; false where it is none, or cannot stand beside those before. */
static bool take_word(struct value_options *o, struct slice word, bool of_set)
{
    const struct {
        const char *name;
        bool *field;
        bool allowed;
    } words[] = {
        {"NX", &o->if_absent, of_set && !o->if_present && o->if_equal == NULL},
        {"XX", &o->if_present, of_set && !o->if_absent && o->if_equal == NULL},
        {"GET", &o->get, of_set},
        {"KEEPTTL", &o->keeps_end, of_set && o->kind == NULL},
        {"PERSIST", &o->persists, !of_set && o->kind == NULL},
    };
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (command_is_word(word, words[i].name)) {
            *words[i].field = true;
            return words[i].allowed;
        }
    }
    return false;
}

/* Reads the options from argument `first` on; false after complaining. */
static bool read_options(struct session *s, const struct request *r, size_t first, bool of_set, struct value_options *o)
{
    *o = (struct value_options){0};
    for (size_t i = first; i < r->count; i++) {
        const struct clock_kind *kind = find_end_option(r->args[i]);
        bool another = o->kind != NULL && kind != o->kind;
        bool with_value = i + 1 < r->count;
        bool compares = of_set && command_is_word(r->args[i], "IFEQ");
        if (kind != NULL && with_value && !another && !o->keeps_end && !o->persists) {
            o->kind = kind;
            o->end = r->args[++i];
        } else if (compares && with_value && !o->if_absent && !o->if_present) {
            o->if_equal = &r->args[++i];
        } else if (kind != NULL || compares || !take_word(o, r->args[i], of_set)) {
            command_complain_syntax(s);
            return false;
        }
    }
    return true;
}

static bool is_wanted(const struct value_options *o, int found, struct slice old)
{
    return !(o->if_absent && found == 1) && !(o->if_present && found == 0) &&
           !(o->if_equal != NULL && (found == 0 || !slice_equal(old, *o->if_equal)));
}

/* SET that looks at the old value first. */
static void set_by_options(struct session *s, const struct request *r, const struct value_options *o, uint64_t expires_at)
{
    struct slice old = {0};
    size_t mark = buf_len(&s->out);
    int found = store_get(store_of(s), session_txn(s), r->args[0], r->hash, &old);
    if (found < 0) {
        command_refuse(s, found);
        return;
    }
    bool wanted = is_wanted(o, found, old);
    if (o->keeps_end && found == 1) {
        expires_at = store_expires_at(store_of(s), session_txn(s), r->args[0], r->hash);
    }
    if (o->get || !wanted) { /* the old value is answered before the change, which ends it */
        session_found(s, o->get && found == 1, old);
    }
    if (!wanted || s->answer_failed) {
        return;
    }
    int rc = store_set_until(store_of(s), session_txn(s), r->args[0], r->hash, r->args[1], expires_at);
    if (rc < 0) {
        buf_truncate(&s->out, mark);
        command_refuse(s, rc);
    } else if (!o->get) {
        command_done(s, 0);
    }
}

void run_set_options(struct session *s, const struct request *r)
{
    struct value_options o;
    uint64_t expires_at = 0;
    if (r->count == 2) {
        run_set(s, r);
        return;
    }
    if (!read_options(s, r, 2, true, &o) || (o.kind != NULL && !read_end(s, r, o.end, o.kind, &expires_at))) {
        return;
    }
    if (o.get || o.keeps_end || o.if_absent || o.if_present || o.if_equal != NULL) {
        set_by_options(s, r, &o, expires_at);
    } else {
        command_done(s, store_set_until(store_of(s), session_txn(s), r->args[0], r->hash, r->args[1], expires_at));
    }
}

static void set_for(struct session *s, const struct request *r, const struct clock_kind *kind)
{
    uint64_t expires_at;
    if (read_end(s, r, r->args[1], kind, &expires_at)) {
        command_done(s, store_set_until(store_of(s), session_txn(s), r->args[0], r->hash, r->args[2], expires_at));
    }
}

void run_setex(struct session *s, const struct request *r)
{
    set_for(s, r, &seconds_from_now);
}

void run_psetex(struct session *s, const struct request *r)
{
    static const struct clock_kind kind = {1, false};
    set_for(s, r, &kind);
}

/* --- changing the end of a key that is there --- */

/* Gives a key that was found, with this value, another end: one that has passed removes it. 0, or an error of the store. The
 * value may lie in the data. */
static int change_end(struct session *s, const struct request *r, struct slice value, int64_t at)
{
    if (at != 0 && at <= now_of(s)) {
        return store_delete(store_of(s), session_txn(s), r->args[0], r->hash);
    }
    return store_set_end(store_of(s), session_txn(s), r->args[0], r->hash, value, (uint64_t)at);
}

void run_getex(struct session *s, const struct request *r)
{
    struct value_options o;
    struct slice value;
    uint64_t expires_at = 0;
    if (!read_options(s, r, 1, false, &o)) {
        return;
    }
    size_t mark = buf_len(&s->out);
    int found = store_get(store_of(s), session_txn(s), r->args[0], r->hash, &value);
    if (found < 0) {
        command_refuse(s, found);
        return;
    }
    if (found == 1 && o.kind != NULL && !read_end(s, r, o.end, o.kind, &expires_at)) {
        return;
    }
    session_found(s, found, value);
    bool changes = o.kind != NULL ||
                   (o.persists && found == 1 && store_expires_at(store_of(s), session_txn(s), r->args[0], r->hash) != 0);
    int rc = found == 1 && changes && !s->answer_failed ? change_end(s, r, value, (int64_t)expires_at) : 0;
    if (rc < 0) {
        buf_truncate(&s->out, mark);
        command_refuse(s, rc);
    }
}

void run_persist(struct session *s, const struct request *r)
{
    struct slice value;
    int found = store_get(store_of(s), session_txn(s), r->args[0], r->hash, &value);
    bool ends = found == 1 && store_expires_at(store_of(s), session_txn(s), r->args[0], r->hash) != 0;
    int rc = found < 0 ? found : ends ? change_end(s, r, value, 0) : 0;
    command_number(s, rc, ends);
}

/* When the new end is taken, given the old one. */
struct end_conditions {
    bool nx;
    bool xx;
    bool gt;
    bool lt;
};

static bool read_conditions(struct session *s, const struct request *r, struct end_conditions *c)
{
    *c = (struct end_conditions){0};
    const struct {
        const char *name;
        bool *field;
    } words[] = {{"NX", &c->nx}, {"XX", &c->xx}, {"GT", &c->gt}, {"LT", &c->lt}};
    for (size_t i = 2; i < r->count; i++) {
        size_t at = 0;
        while (at < 4 && !command_is_word(r->args[i], words[at].name)) {
            at++;
        }
        if (at == 4) {
            command_complain(s, "ERR Unsupported option %.*s", slice_shown(r->args[i], 64), r->args[i].data);
            return false;
        }
        *words[at].field = true;
    }
    if (c->nx && (c->xx || c->gt || c->lt)) {
        command_complain(s, "ERR NX and XX, GT or LT options at the same time are not compatible");
        return false;
    }
    if (c->gt && c->lt) {
        command_complain(s, "ERR GT and LT options at the same time are not compatible");
        return false;
    }
    return true;
}

/* No end is later than any. */
static bool is_taken(const struct end_conditions *c, int64_t new_end, int64_t old_end)
{
    bool ends = old_end != 0;
    return !(c->nx && ends) && !(c->xx && !ends) && !(c->gt && (!ends || new_end <= old_end)) &&
           !(c->lt && ends && new_end >= old_end);
}

static void expire(struct session *s, const struct request *r, const struct clock_kind *kind)
{
    struct end_conditions conditions;
    struct slice value;
    int64_t count, at;
    if (!read_conditions(s, r, &conditions) || !command_read_number(s, r->args[1], &count)) {
        return;
    }
    if (!count_to_ms(s, kind, count, &at)) {
        complain_time(s, r);
        return;
    }
    at = at == 0 ? -1 : at; /* 0 would be never */
    int found = store_get(store_of(s), session_txn(s), r->args[0], r->hash, &value);
    if (found <= 0) {
        command_number(s, found, 0);
        return;
    }
    int64_t old_end = (int64_t)store_expires_at(store_of(s), session_txn(s), r->args[0], r->hash);
    bool taken = is_taken(&conditions, at, old_end);
    command_number(s, taken ? change_end(s, r, value, at) : 0, taken);
}

void run_expire(struct session *s, const struct request *r)
{
    expire(s, r, &seconds_from_now);
}

void run_pexpire(struct session *s, const struct request *r)
{
    static const struct clock_kind kind = {1, false};
    expire(s, r, &kind);
}

void run_expireat(struct session *s, const struct request *r)
{
    static const struct clock_kind kind = {1000, true};
    expire(s, r, &kind);
}

void run_pexpireat(struct session *s, const struct request *r)
{
    static const struct clock_kind kind = {1, true};
    expire(s, r, &kind);
}

/* --- asking for it --- */

#define NO_KEY (-2)
#define NO_END (-1)

/* Answers when a key ends, counted from `since`, in units of so many milliseconds, rounded. */
static void answer_end(struct session *s, const struct request *r, int64_t since, int64_t unit)
{
    struct slice value;
    int found = store_get(store_of(s), session_txn(s), r->args[0], r->hash, &value);
    int64_t at = found == 1 ? (int64_t)store_expires_at(store_of(s), session_txn(s), r->args[0], r->hash) : 0;
    int64_t rounded = (int64_t)(((uint64_t)(at - since) + (uint64_t)unit / 2) / (uint64_t)unit); /* the last end, too, has room */
    command_number(s, found, found == 0 ? NO_KEY : at == 0 ? NO_END : rounded);
}

void run_ttl(struct session *s, const struct request *r)
{
    answer_end(s, r, now_of(s), 1000);
}

void run_pttl(struct session *s, const struct request *r)
{
    answer_end(s, r, now_of(s), 1);
}

void run_expiretime(struct session *s, const struct request *r)
{
    answer_end(s, r, 0, 1000);
}

void run_pexpiretime(struct session *s, const struct request *r)
{
    answer_end(s, r, 0, 1);
}
