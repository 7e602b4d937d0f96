/* LCS: the longest common subsequence of two values, by the table of lengths of those of all their beginnings. */
#include "command_run.h"
#include "err.h"
#include "hash.h"
#include "mem.h"

#define CELLS_MAX ((size_t)1 << 20) /* of the table, 4 bytes each: about 2 ms. Over it, the command is refused */
#define STEP_CELLS 64               /* they take as long as one key of a scan */

struct lcs {
    struct slice a;
    struct slice b;
    uint32_t *lengths; /* [i][j]: of the first i bytes of a and the first j of b */
};

static uint32_t *cell(const struct lcs *l, size_t i, size_t j)
{
    return &l->lengths[i * (l->b.len + 1) + j];
}

static void fill(const struct lcs *l)
{
    for (size_t i = 0; i <= l->a.len; i++) {
        for (size_t j = 0; j <= l->b.len; j++) {
            if (i == 0 || j == 0) {
                *cell(l, i, j) = 0;
            } else if (l->a.data[i - 1] == l->b.data[j - 1]) {
                *cell(l, i, j) = *cell(l, i - 1, j - 1) + 1;
            } else {
                uint32_t without_a = *cell(l, i - 1, j), without_b = *cell(l, i, j - 1);
                *cell(l, i, j) = without_a > without_b ? without_a : without_b;
            }
        }
    }
}

/* One step of the way back through the table, from the end of both to their beginnings. */
enum step { STEP_BOTH, STEP_A, STEP_B };

static enum step step_back(const struct lcs *l, size_t i, size_t j)
{
    if (l->a.data[i - 1] == l->b.data[j - 1]) {
        return STEP_BOTH;
    }
    return *cell(l, i - 1, j) > *cell(l, i, j - 1) ? STEP_A : STEP_B;
}

static void answer_text(struct session *s, const struct lcs *l)
{
    size_t left = *cell(l, l->a.len, l->b.len);
    char *text = mem_alloc(left + 1);
    struct slice all = slice_of(text, left);
    if (text == NULL) {
        session_error(s, ERR_FULL, "no memory for this");
        return;
    }
    for (size_t i = l->a.len, j = l->b.len; left > 0;) {
        enum step step = step_back(l, i, j);
        if (step == STEP_BOTH) {
            text[--left] = l->a.data[i - 1];
        }
        i -= step != STEP_B;
        j -= step != STEP_A;
    }
    session_value(s, all);
    mem_free(text);
}

/* --- IDX: the stretches that they have in common --- */

struct lcs_options {
    bool len;
    bool idx;
    bool with_length;
    int64_t min_length;
};

static void answer_range(struct session *s, size_t from, size_t to)
{
    session_answer(s, s->proto->array(&s->out, 2));
    command_number(s, 0, (int64_t)from);
    command_number(s, 0, (int64_t)to);
}

static void answer_match(struct session *s, size_t i, size_t j, size_t length, bool with_length)
{
    session_answer(s, s->proto->array(&s->out, with_length ? 3 : 2));
    answer_range(s, i, i + length - 1);
    answer_range(s, j, j + length - 1);
    if (with_length) {
        command_number(s, 0, (int64_t)length);
    }
}

/* From the last stretch to the first; answers those that are long enough, or only counts them. */
static size_t go_through_matches(struct session *s, const struct lcs *l, const struct lcs_options *o, bool answers)
{
    size_t count = 0;
    size_t i = l->a.len, j = l->b.len;
    while (i > 0 && j > 0) {
        size_t length = 0;
        while (i > 0 && j > 0 && step_back(l, i, j) == STEP_BOTH) {
            length++;
            i--;
            j--;
        }
        if (length > 0 && (int64_t)length >= o->min_length) {
            count++;
            if (answers) {
                answer_match(s, i, j, length, o->with_length);
            }
        }
        if (i > 0 && j > 0) {
            enum step step = step_back(l, i, j);
            i -= step == STEP_A;
            j -= step == STEP_B;
        }
    }
    return count;
}

static void answer_matches(struct session *s, const struct lcs *l, const struct lcs_options *o)
{
    session_answer(s, s->proto->map(&s->out, 2));
    session_value(s, slice_str("matches"));
    session_answer(s, s->proto->array(&s->out, go_through_matches(s, l, o, false)));
    go_through_matches(s, l, o, true);
    session_value(s, slice_str("len"));
    command_number(s, 0, *cell(l, l->a.len, l->b.len));
}

/* --- the command --- */

static bool read_options(struct session *s, const struct request *r, struct lcs_options *o)
{
    *o = (struct lcs_options){0};
    for (size_t i = 2; i < r->count; i++) {
        if (command_is_word(r->args[i], "IDX")) {
            o->idx = true;
        } else if (command_is_word(r->args[i], "LEN")) {
            o->len = true;
        } else if (command_is_word(r->args[i], "WITHMATCHLEN")) {
            o->with_length = true;
        } else if (!command_is_word(r->args[i], "MINMATCHLEN") || i + 1 == r->count) {
            command_complain_syntax(s);
            return false;
        } else if (!command_read_number(s, r->args[++i], &o->min_length)) {
            return false;
        }
    }
    if (o->idx && o->len) {
        command_complain(s, "ERR If you want both the length and indexes, please just use IDX.");
        return false;
    }
    return true;
}

/* Counts what it takes; false after complaining, where one EXEC has asked for too much. */
static bool take_steps(struct session *s, uint64_t steps)
{
    if (command_is_in_exec(s)) {
        if (steps > command_steps_left(s)) {
            session_error(s, ERR_TOOBIG, "the LCS of one EXEC take too long together; use LCS outside of MULTI");
            return false;
        }
        s->multi->scanned += steps;
    }
    s->engine->store.steps += steps;
    return true;
}

static void answer(struct session *s, struct lcs *l, const struct lcs_options *o)
{
    size_t cells = (l->a.len + 1) * (l->b.len + 1);
    if (cells > CELLS_MAX) {
        command_complain(s, "ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len");
        return;
    }
    if (!take_steps(s, cells / STEP_CELLS)) {
        return;
    }
    l->lengths = mem_alloc(cells * sizeof(*l->lengths));
    if (l->lengths == NULL) {
        session_error(s, ERR_FULL, "no memory for this");
        return;
    }
    fill(l);
    if (o->idx) {
        answer_matches(s, l, o);
    } else if (o->len) {
        command_number(s, 0, *cell(l, l->a.len, l->b.len));
    } else {
        answer_text(s, l);
    }
    mem_free(l->lengths);
}

void run_lcs(struct session *s, const struct request *r)
{
    struct lcs l = {0};
    struct lcs_options o;
    struct store *st = &s->engine->store;
    int rc = store_get(st, session_txn(s), r->args[0], r->hash, &l.a);
    rc = rc < 0 ? rc : store_get(st, session_txn(s), r->args[1], hash_of(r->args[1]), &l.b);
    if (rc < 0) {
        command_refuse(s, rc);
    } else if (read_options(s, r, &o)) {
        answer(s, &l, &o);
    }
}
