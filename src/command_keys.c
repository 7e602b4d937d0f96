/* The commands on keys as such, and on all of them. */
#include "command_run.h"
#include "err.h"
#include "hash.h"

static struct store *store_of(struct session *s)
{
    return &s->engine->store;
}

/* Whether a key exists: 1 and its value, 0, or an error. */
static int look(struct session *s, struct slice key, struct slice *value)
{
    return store_get(store_of(s), session_txn(s), key, hash_of(key), value);
}

void run_del(struct session *s, const struct request *r)
{
    int rc = store_delete(&s->engine->store, session_txn(s), r->args[0], r->hash);
    command_done(s, rc);
}

void run_exists(struct session *s, const struct request *r)
{
    struct slice value;
    int found = store_get(&s->engine->store, session_txn(s), r->args[0], r->hash, &value);
    command_number(s, found, found);
}

/* Deletes a key: 1 where it was there, 0, or an error. */
static int delete_key(struct session *s, struct slice key, uint32_t hash)
{
    struct slice value;
    int found = store_get(store_of(s), session_txn(s), key, hash, &value);
    int rc = found == 1 ? store_delete(store_of(s), session_txn(s), key, hash) : found;
    return rc < 0 ? rc : found;
}

/* How many of the keys were there and went, or an error. */
static int delete_keys(struct session *s, const struct request *r)
{
    int count = 0;
    store_of(s)->steps += r->count;
    for (size_t i = 0; i < r->count; i++) {
        int rc = delete_key(s, r->args[i], hash_of(r->args[i]));
        if (rc < 0) {
            return rc;
        }
        count += rc;
    }
    return count;
}

void run_del_keys(struct session *s, const struct request *r)
{
    if (r->count == 1) {
        int rc = delete_key(s, r->args[0], r->hash);
        command_number(s, rc, rc);
        return;
    }
    bool own;
    int count = 0;
    int rc = command_scope_open(s, &own);
    if (rc == 0) {
        count = delete_keys(s, r);
        rc = count < 0 ? count : 0;
    }
    command_number(s, command_scope_close(s, own, rc), count);
}

void run_exists_keys(struct session *s, const struct request *r)
{
    int64_t count = 0;
    store_of(s)->steps += r->count;
    for (size_t i = 0; i < r->count; i++) {
        struct slice value;
        int found = look(s, r->args[i], &value);
        if (found < 0) {
            command_refuse(s, found);
            return;
        }
        count += found;
    }
    command_number(s, 0, count);
}

void run_type(struct session *s, const struct request *r)
{
    struct slice value;
    int found = store_get(store_of(s), session_txn(s), r->args[0], r->hash, &value);
    if (found < 0) {
        command_refuse(s, found);
    } else {
        session_answer(s, s->proto->status(&s->out, found == 1 ? "string" : "none"));
    }
}

void run_dbsize(struct session *s, const struct request *r)
{
    (void)r;
    session_answer(s, s->proto->integer(&s->out, (int64_t)store_count(&s->engine->store, session_txn(s))));
}

void run_flush(struct session *s, const struct request *r)
{
    (void)r;
    int rc = store_flush(&s->engine->store, session_txn(s));
    command_done(s, rc);
}

void run_flushall(struct session *s, const struct request *r)
{
    if (r->count == 1 && !command_is_word(r->args[0], "ASYNC") && !command_is_word(r->args[0], "SYNC")) {
        command_complain_syntax(s);
        return;
    }
    command_done(s, store_flush(store_of(s), session_txn(s)));
}

/* --- from one key to another --- */

enum moved { MOVED, MOVED_NOT, MOVED_NOTHING };

struct move {
    struct slice from;
    struct slice to;
    bool keeps;    /* the source */
    bool replaces; /* the destination, where it exists */
};

/* enum moved, or an error. Inside of a scope. */
static int move_inside(struct session *s, const struct move *m)
{
    struct slice value, there;
    int found = look(s, m->from, &value);
    if (found <= 0) {
        return found < 0 ? found : MOVED_NOTHING;
    }
    if (slice_equal(m->from, m->to)) {
        return m->replaces ? MOVED : MOVED_NOT;
    }
    int taken = m->replaces ? 0 : look(s, m->to, &there);
    if (taken != 0) {
        return taken < 0 ? taken : MOVED_NOT;
    }
    uint64_t expires_at = store_expires_at(store_of(s), session_txn(s), m->from, hash_of(m->from));
    int rc = store_set_until(store_of(s), session_txn(s), m->to, hash_of(m->to), value, expires_at);
    if (rc == 0 && !m->keeps) {
        rc = store_delete(store_of(s), session_txn(s), m->from, hash_of(m->from));
    }
    return rc < 0 ? rc : MOVED;
}

/* As move_inside; an error has been answered. */
static int move(struct session *s, const struct move *m)
{
    bool own;
    int moved = command_scope_open(s, &own);
    moved = moved < 0 ? moved : move_inside(s, m);
    int rc = command_scope_close(s, own, moved < 0 ? moved : 0);
    if (rc < 0) {
        command_refuse(s, rc);
        return rc;
    }
    return moved;
}

void run_rename(struct session *s, const struct request *r)
{
    const struct move m = {.from = r->args[0], .to = r->args[1], .replaces = true};
    int moved = move(s, &m);
    if (moved == MOVED_NOTHING) {
        command_complain(s, "ERR no such key");
    } else if (moved >= 0) {
        command_done(s, 0);
    }
}

void run_renamenx(struct session *s, const struct request *r)
{
    const struct move m = {.from = r->args[0], .to = r->args[1]};
    int moved = move(s, &m);
    if (moved == MOVED_NOTHING) {
        command_complain(s, "ERR no such key");
    } else if (moved >= 0) {
        command_number(s, 0, moved == MOVED ? 1 : 0);
    }
}

/* Reads COPY's options; false after complaining. */
static bool read_copy_options(struct session *s, const struct request *r, struct move *m)
{
    for (size_t i = 2; i < r->count; i++) {
        int64_t db;
        if (command_is_word(r->args[i], "REPLACE")) {
            m->replaces = true;
        } else if (!command_is_word(r->args[i], "DB") || ++i == r->count) {
            command_complain_syntax(s);
            return false;
        } else if (!store_parse_integer(r->args[i], &db)) {
            session_error(s, ERR_NOTINT, "the number of a database is wanted");
            return false;
        } else if (db != 0) {
            command_complain(s, "ERR DB index is out of range");
            return false;
        }
    }
    return true;
}

void run_copy(struct session *s, const struct request *r)
{
    struct move m = {.from = r->args[0], .to = r->args[1], .keeps = true};
    if (!read_copy_options(s, r, &m)) {
        return;
    }
    if (slice_equal(m.from, m.to)) {
        command_complain(s, "ERR source and destination objects are the same");
        return;
    }
    int moved = move(s, &m);
    if (moved >= 0) {
        command_number(s, 0, moved == MOVED ? 1 : 0);
    }
}
