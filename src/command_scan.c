/* SCAN, KEYS and RANDOMKEY, and MEMORY USAGE, which tools ask about what they have found.
 *
 * SCAN answers from where it stands; what it can go through in one call is bounded. KEYS must go through all keys, as of one
 * commit, and RANDOMKEY through as many as it takes to find one: they make a listing, which holds a snapshot and gets a slice
 * of each tick. A small one is done in its first slice, at once. The session runs nothing else until its listing is done:
 *
 *      KEYS --> first slice --> done: the answer                      a session that ends meanwhile forgets its listing
 *                   |             ^
 *                   v             | last slice
 *               session stalls, stays on the tick's ready list */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "command_run.h"
#include "err.h"
#include "glob.h"
#include "hash.h"
#include "mem.h"
#include "multi.h"
#include "scan.h"

#define SLICE_STEPS 4096              /* of a listing in one tick: about 0.3 ms */
#define FIRST_STEPS 10000             /* of a listing at once */
#define PAGE_COUNT 10                 /* keys that a SCAN goes through unless it says otherwise */
#define PAGE_COUNT_MAX 10000          /* ... whatever it says */
#define PAGE_STEPS 10                 /* for each of them, as few buckets may hold any */
#define PAGE_STEPS_MIN 500            /* a handful of keys comes in one answer: beside them are all the empty partitions */
#define PAGE_STEPS_MAX 20000
#define PAGE_BYTES_MAX ((size_t)1 << 20) /* of its answer, but for one bucket's keys */

static struct store *store_of(struct session *s)
{
    return &s->engine->store;
}

/* --- inside of EXEC --- */

static void refuse_in_exec(struct session *s)
{
    session_error(s, ERR_TOOBIG, "the scans of one EXEC go through about 100000 keys; use SCAN outside of MULTI");
}

static bool refuse_pattern(struct session *s, int rc)
{
    char text[96];
    if (rc == ERR_TOOBIG) {
        snprintf(text, sizeof(text), "a pattern has at most %d bytes and classes behind its plain beginning", GLOB_MAX);
        session_error(s, rc, text);
    } else if (rc < 0) {
        command_refuse(s, rc);
    }
    return rc < 0;
}

/* --- SCAN --- */

struct page {
    struct session *session;
    struct slice pattern;
    bool has_pattern;
    bool other_type;  /* TYPE is none that there is */
    struct glob glob; /* of pattern */
    size_t count;     /* keys to go through */
    size_t seen;
    size_t taken;     /* of them, those that match */
    struct buf found; /* these, as they are answered */
    bool no_memory;
};

/* 0, or -1 after complaining. */
static int read_page_count(struct session *s, struct slice word, struct page *page)
{
    int64_t count;
    if (!store_parse_integer(word, &count)) {
        session_error(s, ERR_NOTINT, "COUNT wants a number");
        return -1;
    }
    if (count < 1) {
        command_complain_syntax(s);
        return -1;
    }
    page->count = count < PAGE_COUNT_MAX ? (size_t)count : PAGE_COUNT_MAX;
    return 0;
}

/* 0, or -1 after complaining. */
static int read_page_options(struct session *s, const struct request *r, struct page *page)
{
    int rc = 0;
    for (size_t i = 1; i < r->count && rc == 0; i += 2) {
        struct slice option = r->args[i];
        if (i + 1 == r->count) {
            command_complain_syntax(s);
            rc = -1;
        } else if (command_is_word(option, "COUNT")) {
            rc = read_page_count(s, r->args[i + 1], page);
        } else if (command_is_word(option, "MATCH")) {
            page->pattern = r->args[i + 1];
            page->has_pattern = true;
        } else if (command_is_word(option, "TYPE")) {
            page->other_type = !command_is_word(r->args[i + 1], "string");
        } else {
            command_complain_syntax(s);
            rc = -1;
        }
    }
    return rc;
}

static bool read_cursor(struct slice word, uint64_t *number)
{
    *number = 0;
    for (size_t i = 0; i < word.len; i++) {
        unsigned digit = (unsigned)(word.data[i] - '0');
        if (digit > 9 || __builtin_mul_overflow(*number, 10, number) || __builtin_add_overflow(*number, digit, number)) {
            return false;
        }
    }
    return word.len > 0;
}

static bool take_for_page(struct slice key, void *arg)
{
    struct page *page = arg;
    struct session *s = page->session;
    page->seen++;
    if (page->has_pattern) {
        store_of(s)->steps += glob_cost(&page->glob, key.len);
        if (!glob_matches(&page->glob, key)) {
            return page->seen < page->count;
        }
    }
    if (!page->other_type) {
        page->no_memory = s->proto->value(&page->found, key) < 0 || page->no_memory;
        page->taken++;
    }
    return page->seen < page->count && buf_len(&page->found) < PAGE_BYTES_MAX && !page->no_memory;
}

/* Writes what was found, as so many values. */
static void write_found(struct session *s, const struct buf *found)
{
    if (buf_len(found) > 0) {
        session_answer(s, buf_append(&s->out, buf_head(found), buf_len(found)));
    }
}

static void write_page(struct session *s, const struct page *page, uint64_t number)
{
    char text[24];
    int len = snprintf(text, sizeof(text), "%" PRIu64, number);
    if (page->no_memory) {
        session_error(s, ERR_FULL, "no memory for the answer");
        return;
    }
    session_answer(s, s->proto->array(&s->out, 2));
    session_answer(s, s->proto->value(&s->out, slice_of(text, (size_t)len)));
    session_answer(s, s->proto->array(&s->out, page->taken));
    write_found(s, &page->found);
}

static void scan_page(struct session *s, struct page *page, uint64_t number)
{
    struct store *st = store_of(s);
    struct dict_cursor at = scan_place(number);
    uint64_t before = st->steps;
    uint64_t steps = PAGE_STEPS_MIN + PAGE_STEPS * page->count;
    steps = steps < PAGE_STEPS_MAX ? steps : PAGE_STEPS_MAX;
    buf_init(&page->found);
    store_reads_keyset(st, session_txn(s));
    bool more = scan_step(st, session_txn(s), &at, steps, take_for_page, page);
    if (command_is_in_exec(s)) {
        s->multi->scanned += st->steps - before;
    }
    write_page(s, page, more ? scan_number(&at) : 0);
    buf_deinit(&page->found);
}

void run_scan(struct session *s, const struct request *r)
{
    struct page page = {.session = s, .count = PAGE_COUNT};
    uint64_t number;
    if (!read_cursor(r->args[0], &number)) {
        command_complain(s, "ERR invalid cursor");
        return;
    }
    if (read_page_options(s, r, &page) < 0) {
        return;
    }
    if (command_is_in_exec(s) && command_steps_left(s) == 0) {
        refuse_in_exec(s);
        return;
    }
    if (!page.has_pattern || !refuse_pattern(s, glob_init(&page.glob, page.pattern))) {
        scan_page(s, &page, number);
        glob_deinit(&page.glob);
    }
}

/* --- listings --- */

struct listing {
    struct txn own;  /* READONLY; of a command outside of a transaction */
    struct txn *txn; /* that it reads in: `own`, or the session's */
    struct dict_cursor at;
    struct glob glob; /* what keys are wanted */
    size_t limit;     /* at most so many */
    size_t count;     /* found */
    struct buf found; /* these, as they are answered */
    int error;        /* 0, or why it ends before its time */
    bool one;         /* of all in the first bucket that has any, one is wanted */
    bool from_start;  /* it began somewhere, and has come to the end and gone on from the beginning */
};

/* NULL after complaining. */
static struct listing *listing_new(struct session *s)
{
    struct listing *l = mem_calloc(sizeof(*l));
    if (l == NULL) {
        command_refuse(s, ERR_FULL);
        return NULL;
    }
    txn_init(&l->own);
    buf_init(&l->found);
    l->limit = SIZE_MAX;
    return l;
}

static void listing_free(struct session *s, struct listing *l)
{
    store_rollback(store_of(s), &l->own);
    glob_deinit(&l->glob);
    buf_deinit(&l->found);
    mem_free(l);
}

void command_forget_listing(struct session *s)
{
    if (s->listing != NULL) {
        listing_free(s, s->listing);
        s->listing = NULL;
        session_stall(s);
    }
}

static uint32_t draw(struct engine *e)
{
    uint64_t drawn = e->draws++;
    return hash_of(slice_of((const char *)&drawn, sizeof(drawn)));
}

/* The nth of a bucket's keys takes the place of the one before with a chance of 1 in n. */
static bool take_one(struct session *s, struct listing *l, struct slice key)
{
    if (l->count++ > 0 && draw(s->engine) % l->count != 0) {
        return false;
    }
    buf_truncate(&l->found, 0);
    l->error = s->proto->value(&l->found, key) < 0 ? ERR_FULL : 0;
    return false;
}

static bool take_for_listing(struct slice key, void *arg)
{
    struct session *s = arg;
    struct listing *l = s->listing;
    if (l->one) {
        return take_one(s, l, key);
    }
    if (l->error < 0 || l->count == l->limit) {
        return false;
    }
    store_of(s)->steps += glob_cost(&l->glob, key.len);
    if (!glob_matches(&l->glob, key)) {
        return true;
    }
    if (!session_carries(s, key)) {
        l->error = ERR_BINARY;
    } else if (s->proto->value(&l->found, key) < 0) {
        l->error = ERR_FULL;
    } else if (buf_len(&l->found) > s->engine->limits.answer_bytes) {
        l->error = ERR_TOOBIG;
    }
    l->count++;
    return l->error == 0 && l->count < l->limit;
}

/* Goes on by about so many steps; true when nothing is left to do. */
static bool go_on(struct session *s, uint64_t steps)
{
    struct listing *l = s->listing;
    struct store *st = store_of(s);
    const uint64_t enough = st->steps + steps;
    while (st->steps < enough) {
        bool more = scan_step(st, l->txn, &l->at, enough - st->steps, take_for_listing, s);
        if (l->error < 0 || l->count >= l->limit) {
            return true;
        }
        if (!more && (!l->one || l->from_start)) {
            return true;
        }
        if (!more) {
            l->from_start = true;
            l->at = (struct dict_cursor){0, 0};
        }
    }
    return false;
}

static void write_error(struct session *s, int err)
{
    char text[160];
    switch (err) {
    case ERR_TOOBIG:
        snprintf(text, sizeof(text), "these keys are over %zu bytes (--answer-max); ask for fewer of them, or use SCAN",
                 s->engine->limits.answer_bytes);
        session_error(s, err, text);
        break;
    case ERR_BINARY:
        session_error(s, err, "a key holds CR or LF, which a line cannot carry; read it through RESP");
        break;
    case ERR_EXPIRED:
        session_error(s, err, "old versions took more than --history-max meanwhile; try again, or use SCAN");
        break;
    default:
        session_error(s, err, "no memory for the answer");
    }
}

static void write_listing(struct session *s, const struct listing *l)
{
    if (l->error < 0) {
        write_error(s, l->error);
    } else if (!l->one) {
        session_answer(s, s->proto->list(&s->out, l->count));
        write_found(s, &l->found);
    } else if (l->count > 0) {
        write_found(s, &l->found);
    } else {
        session_answer(s, s->proto->absent(&s->out));
    }
}

/* Answers. Its transaction may have been ended while it waited. */
static void finish(struct session *s)
{
    struct listing *l = s->listing;
    s->listing = NULL;
    session_stall(s);
    if (l->txn->state == TXN_OPEN) {
        write_listing(s, l);
    } else if (l->txn == &l->own) {
        write_error(s, ERR_EXPIRED);
    } else {
        session_error(s, l->txn->cause, l->txn->why);
    }
    listing_free(s, l);
}

void command_continue(struct session *s)
{
    if (s->listing->txn->state != TXN_OPEN || go_on(s, SLICE_STEPS)) {
        finish(s);
    }
}

/* Nobody else runs before EXEC is done. */
static void list_in_exec(struct session *s)
{
    const struct store *st = store_of(s);
    uint64_t before = st->steps;
    bool done = go_on(s, command_steps_left(s));
    s->multi->scanned += st->steps - before;
    if (done) {
        finish(s);
    } else {
        command_forget_listing(s);
        refuse_in_exec(s);
    }
}

/* Opens what it reads, and goes through it as far as that may be done at once. */
static void start(struct session *s, struct listing *l)
{
    l->txn = session_txn(s);
    if (l->txn == NULL) {
        int rc = store_begin(store_of(s), &l->own, TXN_READONLY);
        if (rc < 0) {
            listing_free(s, l);
            command_refuse(s, rc);
            return;
        }
        l->txn = &l->own;
    }
    store_reads_keyset(store_of(s), l->txn);
    if (l->one) {
        l->at = scan_random_place(store_of(s), l->txn, draw(s->engine), draw(s->engine));
    }
    s->listing = l;
    if (command_is_in_exec(s)) {
        list_in_exec(s);
    } else if (go_on(s, FIRST_STEPS)) {
        finish(s);
    } else {
        session_stall(s);
    }
}

/* --- KEYS and RANDOMKEY --- */

void run_keys(struct session *s, const struct request *r)
{
    struct listing *l = listing_new(s);
    if (l == NULL) {
        return;
    }
    if (refuse_pattern(s, glob_init(&l->glob, r->args[0]))) {
        listing_free(s, l);
    } else {
        start(s, l);
    }
}

/* The bytes before a `*` that may stand at the end, as people write it; false where there is one elsewhere. */
static bool read_prefix(struct slice word, struct slice *prefix)
{
    bool star = word.len > 0 && word.data[word.len - 1] == '*';
    *prefix = slice_of(word.data, word.len - (star ? 1 : 0));
    return prefix->len == 0 || memchr(prefix->data, '*', prefix->len) == NULL;
}

void run_keys_prefix(struct session *s, const struct request *r)
{
    struct slice prefix;
    int64_t limit = INT64_MAX;
    if (!read_prefix(r->args[0], &prefix)) {
        session_error(s, ERR_SYNTAX, "KEYS wants the bytes that keys begin with; a * stands at their end alone");
        return;
    }
    if (r->count == 2 && (!store_parse_integer(r->args[1], &limit) || limit < 0)) {
        session_error(s, ERR_SYNTAX, "KEYS wants a limit of 0 or more");
        return;
    }
    struct listing *l = listing_new(s);
    if (l == NULL) {
        return;
    }
    l->limit = (size_t)limit;
    if (refuse_pattern(s, glob_init_prefix(&l->glob, prefix))) {
        listing_free(s, l);
    } else {
        start(s, l);
    }
}

void run_randomkey(struct session *s, const struct request *r)
{
    struct listing *l = listing_new(s);
    (void)r;
    if (l != NULL) {
        l->limit = 1;
        l->one = true;
        start(s, l);
    }
}

/* --- MEMORY --- */

/* SAMPLES is for values of many parts, which there are none of. */
static void memory_usage(struct session *s, const struct request *r)
{
    int64_t samples;
    struct slice value;
    if (r->count == 3 || (r->count == 4 && !command_is_word(r->args[2], "SAMPLES"))) {
        command_complain_syntax(s);
        return;
    }
    if (r->count == 4 && !store_parse_integer(r->args[3], &samples)) {
        session_error(s, ERR_NOTINT, "SAMPLES wants a number");
        return;
    }
    if (r->count == 4 && samples < 0) {
        command_complain_syntax(s);
        return;
    }
    int found = store_get(store_of(s), session_txn(s), r->args[1], hash_of(r->args[1]), &value);
    if (found == 0) {
        session_answer(s, s->proto->absent(&s->out));
    } else {
        command_number(s, found, (int64_t)entry_size(r->args[1].len, value.len));
    }
}

void run_memory(struct session *s, const struct request *r)
{
    static const struct subcommand subs[] = {{"USAGE", 1, 3, memory_usage}};
    command_run_sub(s, r, subs, sizeof(subs) / sizeof(subs[0]));
}
