#include "versions.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const struct history *sorting; /* qsort has no argument for it; these programs have one thread */
static const uint64_t *sorting_seq;

static int compare_seq(const void *a, const void *b)
{
    uint64_t x = sorting_seq[*(const uint32_t *)a], y = sorting_seq[*(const uint32_t *)b];
    return (x > y) - (x < y);
}

static int compare_end_sent(const void *a, const void *b)
{
    uint64_t x = sorting->txs[*(const uint32_t *)a].end_sent, y = sorting->txs[*(const uint32_t *)b].end_sent;
    return (x > y) - (x < y);
}

static int compare_stamps(const void *a, const void *b)
{
    const struct stamp *x = a, *y = b;
    return (x->time > y->time) - (x->time < y->time);
}

static void list_push(struct version_list *list, uint64_t seq, uint64_t value, uint32_t tx)
{
    list->v = checker_grow(list->v, list->count, &list->cap, sizeof(*list->v));
    list->v[list->count++] = (struct version){seq, value, tx};
}

/* Puts the commits whose number is known in order. */
static void order_build(struct versions *v, const struct history *h)
{
    v->order_count = 0;
    for (size_t i = 0; i < h->tx_count; i++) {
        if (v->seq[i] != 0 && v->seq[i] != SEQ_UNKNOWN) {
            v->order[v->order_count++] = (uint32_t)i;
        }
    }
    sorting_seq = v->seq;
    qsort(v->order, v->order_count, sizeof(*v->order), compare_seq);
}

static void stamps_build(struct versions *v, const struct history *h)
{
    size_t n = v->order_count;
    for (size_t i = 0; i < n; i++) {
        const struct tx *t = &h->txs[v->order[i]];
        v->answered[i] = (struct stamp){t->end_answered, v->seq[v->order[i]]};
        v->sent[i] = (struct stamp){t->end_sent, v->seq[v->order[i]]};
    }
    qsort(v->answered, n, sizeof(*v->answered), compare_stamps);
    qsort(v->sent, n, sizeof(*v->sent), compare_stamps);
    for (size_t i = 1; i < n; i++) {
        if (v->answered[i].seq < v->answered[i - 1].seq) {
            v->answered[i].seq = v->answered[i - 1].seq;
        }
    }
    for (size_t i = n; i-- > 1;) {
        if (v->sent[i - 1].seq > v->sent[i].seq) {
            v->sent[i - 1].seq = v->sent[i].seq;
        }
    }
}

static void report_double(struct report *r, const struct history *h, uint64_t seq, size_t a, size_t b)
{
    if (report_anomaly(r, "double number: two commits were told the sequence number %" PRIu64, seq)) {
        report_tx(r, h, a);
        report_tx(r, h, b);
    }
}

static bool reads_from(const struct view *reader, const struct view *writer)
{
    for (size_t i = 0; i < reader->read_count; i++) {
        const struct base_read *r = &reader->reads[i];
        if (r->kind == OP_READ && r->value != VALUE_ABSENT && (writer->written >> r->key & 1) &&
            writer->value[r->key] == r->value) {
            return true;
        }
    }
    return false;
}

/* To delete what is absent changes nothing: who has read that it is absent need not come before. */
static bool writes_over(const struct view *writer, const struct view *reader)
{
    for (size_t i = 0; i < reader->read_count; i++) {
        const struct base_read *r = &reader->reads[i];
        bool was_absent = r->value == VALUE_ABSENT; /* 0 is what EXISTS says of it, too */
        if (r->kind != OP_COUNT && view_touches(writer, r->key) &&
            !(was_absent && view_after(writer, r->key, VALUE_ABSENT) == VALUE_ABSENT)) {
            return true;
        }
    }
    return false;
}

/* Whether a's commit came before b's for sure: b has read what a wrote; or a is serializable and has read what b wrote, before
 * that was written. */
static bool precedes(const struct history *h, uint32_t a, uint32_t b)
{
    struct view va, vb;
    view_build(&va, h, &h->txs[a]);
    view_build(&vb, h, &h->txs[b]);
    return reads_from(&vb, &va) || (h->txs[a].mode == TX_SERIALIZABLE && writes_over(&vb, &va) && !reads_from(&va, &vb));
}

/* --- commits whose number is not known --- */

/* The hidden commits that may have been under way at the same time as the first one of them, for whose place they stand. */
#define RIVALS_MAX 64

struct rivals {
    const uint32_t *tx; /* in the order in which they were sent */
    size_t count;
    bool after_known[RIVALS_MAX];  /* a commit with a higher number came before it for sure */
    uint64_t deadline[RIVALS_MAX]; /* its number is below this one */
};

static struct rivals rivals_find(const struct history *h, const uint32_t *hidden, size_t count)
{
    struct rivals r = {.tx = hidden, .count = 1, .deadline = {SEQ_UNKNOWN}};
    while (r.count < count && r.count < RIVALS_MAX && h->txs[hidden[r.count]].end_sent <= h->txs[hidden[0]].end_answered) {
        r.deadline[r.count++] = SEQ_UNKNOWN;
    }
    return r;
}

/* What the commits with known numbers from v->order[at] on say of them, as long as they were under way at that time. */
static void rivals_compare(struct rivals *r, const struct versions *v, const struct history *h, size_t at)
{
    for (; at < v->order_count && h->txs[v->order[at]].end_sent <= h->txs[r->tx[0]].end_answered; at++) {
        uint32_t known = v->order[at];
        for (size_t i = 0; i < r->count; i++) {
            r->after_known[i] |= h->txs[known].end_answered < h->txs[r->tx[i]].end_sent || precedes(h, known, r->tx[i]);
            if (r->deadline[i] == SEQ_UNKNOWN && precedes(h, r->tx[i], known)) {
                r->deadline[i] = v->seq[known];
            }
        }
    }
}

/* What comes before another one has that one's deadline, too. */
static void rivals_pass_on(struct rivals *r, const struct history *h)
{
    for (bool changed = true; changed;) {
        changed = false;
        for (size_t i = 0; i < r->count; i++) {
            for (size_t j = 0; j < r->count; j++) {
                if (r->deadline[j] < r->deadline[i] && precedes(h, r->tx[i], r->tx[j])) {
                    r->deadline[i] = r->deadline[j];
                    changed = true;
                }
            }
        }
    }
}

static bool comes_first(const struct rivals *r, const struct history *h, size_t i)
{
    bool first = !r->after_known[i];
    for (size_t j = 0; j < r->count && first; j++) {
        bool is_later = j != i && h->txs[r->tx[i]].end_answered < h->txs[r->tx[j]].end_sent;
        first = j == i || is_later || !precedes(h, r->tx[j], r->tx[i]);
    }
    return first;
}

/* Which of the hidden commits has the lowest number that is missing, below that of v->order[at]: of those that no other one comes
 * before, the one whose number must be the lowest; else the first one sent. */
static size_t hidden_first(const struct versions *v, const struct history *h, const uint32_t *hidden, size_t count, size_t at)
{
    struct rivals r = rivals_find(h, hidden, count);
    size_t first = r.count;
    if (r.count == 1) {
        return 0;
    }
    rivals_compare(&r, v, h, at);
    rivals_pass_on(&r, h);
    for (size_t i = 0; i < r.count; i++) {
        if (comes_first(&r, h, i) && (first == r.count || r.deadline[i] < r.deadline[first])) {
            first = i;
        }
    }
    return first == r.count ? 0 : first; /* a circle, which the judges will see */
}

static void hidden_take(struct versions *v, const struct history *h, uint32_t *hidden, size_t count, uint64_t seq, size_t at)
{
    size_t first = hidden_first(v, h, hidden, count, at);
    uint32_t tx = hidden[first];
    memmove(hidden + 1, hidden, first * sizeof(*hidden));
    hidden[0] = tx;
    v->seq[tx] = seq;
}

/* Numbers have no gaps, so a commit whose answer was lost has one of the numbers that are missing. Those that may have been under
 * way at the same time, when a server ended, are put in an order that explains what they read, and what those did whose numbers
 * are known; else the missing numbers belong to them in the order in which they were sent. */
static void hidden_resolve(struct versions *v, const struct history *h, struct report *r)
{
    uint32_t *hidden = checker_realloc(NULL, h->tx_count, sizeof(*hidden));
    size_t hidden_count = 0, next = 0;
    for (size_t i = 0; i < h->tx_count; i++) {
        if (h->txs[i].outcome == TX_COMMITTED && v->seq[i] == SEQ_UNKNOWN) {
            hidden[hidden_count++] = (uint32_t)i;
        }
    }
    sorting = h;
    qsort(hidden, hidden_count, sizeof(*hidden), compare_end_sent);
    uint64_t expected = 1;
    for (size_t i = 0; i < v->order_count; i++) {
        uint64_t seq = v->seq[v->order[i]];
        if (i > 0 && seq + 1 == expected) {
            report_double(r, h, seq, v->order[i - 1], v->order[i]);
            continue;
        }
        while (expected < seq && next < hidden_count) {
            hidden_take(v, h, hidden + next, hidden_count - next, expected++, i);
            next++;
        }
        if (expected < seq &&
            report_anomaly(r, "unexplained change: number %" PRIu64 " belongs to no commit; the next is", expected)) {
            report_tx(r, h, v->order[i]);
        }
        expected = seq + 1;
    }
    while (next < hidden_count) {
        hidden_take(v, h, hidden + next, hidden_count - next, expected++, v->order_count);
        next++;
    }
    free(hidden);
}

static void versions_apply(struct versions *v, const struct view *w, uint32_t tx, uint32_t keys, uint64_t *present)
{
    uint64_t seq = v->seq[tx], before = *present;
    for (uint32_t k = 0; k < keys; k++) {
        if (!view_touches(w, k)) {
            continue;
        }
        list_push(&v->touched[k], seq, 0, tx);
        uint64_t bit = UINT64_C(1) << k;
        uint32_t value = view_after(w, k, VALUE_ABSENT);
        if (value != VALUE_ABSENT || (before & bit)) {
            list_push(&v->key[k], seq, value, tx);
        }
        *present = value != VALUE_ABSENT ? *present | bit : *present & ~bit;
    }
    list_push(&v->touched_any, seq, 0, tx);
    if (*present != before) {
        list_push(&v->keyset, seq, *present, tx);
    }
}

void versions_init(struct versions *v, const struct history *h, struct report *r)
{
    memset(v, 0, sizeof(*v));
    size_t n = h->tx_count;
    v->seq = checker_realloc(NULL, n, sizeof(*v->seq));
    v->order = checker_realloc(NULL, n, sizeof(*v->order));
    v->answered = checker_realloc(NULL, n, sizeof(*v->answered));
    v->sent = checker_realloc(NULL, n, sizeof(*v->sent));
    for (size_t i = 0; i < n; i++) {
        v->seq[i] = h->txs[i].outcome == TX_COMMITTED ? h->txs[i].seq : 0;
    }
    order_build(v, h);
    hidden_resolve(v, h, r);
    order_build(v, h);
    stamps_build(v, h);
    uint64_t present = 0;
    for (size_t i = 0; i < v->order_count; i++) {
        struct view w;
        view_build(&w, h, &h->txs[v->order[i]]);
        versions_apply(v, &w, v->order[i], h->keys, &present);
    }
}

void versions_deinit(struct versions *v)
{
    for (size_t k = 0; k < HISTORY_KEYS_MAX; k++) {
        free(v->key[k].v);
        free(v->touched[k].v);
    }
    free(v->keyset.v);
    free(v->touched_any.v);
    free(v->seq);
    free(v->order);
    free(v->answered);
    free(v->sent);
}

/* How many versions are not above seq. */
static size_t list_rank(const struct version_list *list, uint64_t seq)
{
    size_t low = 0, high = list->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (list->v[middle].seq <= seq) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

const struct version *versions_at(const struct version_list *list, uint64_t seq)
{
    size_t rank = list_rank(list, seq);
    return rank ? &list->v[rank - 1] : NULL;
}

const struct version *versions_after(const struct version_list *list, uint64_t seq)
{
    size_t rank = list_rank(list, seq);
    return rank < list->count ? &list->v[rank] : NULL;
}

/* How many stamps are before `time`, or not after it. */
static size_t stamps_rank(const struct stamp *s, size_t count, uint64_t time, bool inclusive)
{
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (s[middle].time < time || (inclusive && s[middle].time == time)) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

uint64_t versions_low(const struct versions *v, uint64_t time)
{
    size_t rank = stamps_rank(v->answered, v->order_count, time, false);
    return rank ? v->answered[rank - 1].seq : 0;
}

uint64_t versions_high(const struct versions *v, uint64_t time)
{
    size_t rank = stamps_rank(v->sent, v->order_count, time, true);
    if (rank < v->order_count) {
        return v->sent[rank].seq - 1;
    }
    return v->order_count ? v->seq[v->order[v->order_count - 1]] : 0;
}
