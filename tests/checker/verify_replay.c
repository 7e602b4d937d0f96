/* A commit with number C is checked against the states C-1 and earlier; a snapshot S against the state S.
 * Low and high bound a number that the client was not told (see versions.h).
 *
 * The transactions are taken in the order in which they began, and each gets the lowest snapshot that explains its
 * reads: one that began after another's BEGIN was answered must not see an older state than that one did. */
#include "verify.h"
#include "versions.h"

#include <inttypes.h>
#include <stdlib.h>

/* A snapshot whose BEGIN was not answered yet when the transaction under examination began. */
struct pending {
    uint64_t answered, seq;
};

struct replay {
    const struct history *h;
    struct versions v;
    struct report *r;
    const struct tx *tx; /* under examination, with its index and its parts */
    size_t index;
    struct view view;
    uint64_t low, high; /* the bounds of its snapshot; equal where the server told it */
    uint64_t shown;     /* the highest snapshot of those whose BEGIN was answered before this one was sent */
    struct pending *pending;
    size_t pending_count, pending_cap;
};

static bool read_holds(const struct replay *p, const struct base_read *read, uint64_t seq)
{
    const struct version *set = versions_at(&p->v.keyset, seq);
    uint32_t value = read->kind == OP_COUNT ? 0 : versions_value(&p->v, read->key, seq);
    return base_read_matches(read, value, set ? set->value : 0);
}

static const struct version_list *read_versions(const struct replay *p, const struct base_read *read)
{
    return read->kind == OP_COUNT ? &p->v.keyset : &p->v.key[read->key];
}

static void explain_read(struct replay *p, const struct base_read *read, uint64_t seq)
{
    const struct version *at = versions_at(read_versions(p, read), seq);
    if (read->kind == OP_COUNT) {
        report_line(p->r, "counted %" PRIu32 ", but at %" PRIu64 " there were %d", read->value, seq,
                    at ? __builtin_popcountll(at->value) : 0);
    } else if (!at) {
        report_line(p->r, "k%d: at %" PRIu64 " it had never been set", read->key, seq);
    } else {
        report_line(p->r, "k%d: at %" PRIu64 " it was %s, since commit %" PRIu64 ":", read->key, seq,
                    report_value(at->value), at->seq);
    }
    report_tx(p->r, p->h, p->index);
    if (at) {
        report_tx(p->r, p->h, at->tx);
    }
}

static void check_own_reads(struct replay *p)
{
    const struct op *op = p->view.own_mismatch;
    if (!op) {
        return;
    }
    int number = (int)(op - tx_ops(p->h, p->tx)) + 1;
    if (!report_anomaly(p->r, "own write: operation %d did not see what the transaction itself had done before",
                        number)) {
        return;
    }
    if (op->kind == OP_READ) {
        report_line(p->r, "k%d should have been %s", op->key, report_value(p->view.own_expected));
    } else {
        report_line(p->r, "the answer should have been %" PRIu32, p->view.own_expected);
    }
    report_tx(p->r, p->h, p->index);
}

/* The first read that does not hold at seq, or NULL. */
static const struct base_read *first_wrong(const struct replay *p, uint64_t seq)
{
    for (size_t i = 0; i < p->view.read_count; i++) {
        if (!read_holds(p, &p->view.reads[i], seq)) {
            return &p->view.reads[i];
        }
    }
    return NULL;
}

/* Snapshots answered by now bind this transaction and all that begin after it. */
static void shown_update(struct replay *p)
{
    size_t kept = 0;
    for (size_t i = 0; i < p->pending_count; i++) {
        if (p->pending[i].answered >= p->tx->begin_sent) {
            p->pending[kept++] = p->pending[i];
        } else if (p->pending[i].seq > p->shown) {
            p->shown = p->pending[i].seq;
        }
    }
    p->pending_count = kept;
}

static void shown_add(struct replay *p)
{
    p->pending = checker_grow(p->pending, p->pending_count, &p->pending_cap, sizeof(*p->pending));
    p->pending[p->pending_count++] = (struct pending){p->tx->begin_answered, p->low};
}

/* All reads see one state, and that state was the newest at some moment between BEGIN's sending and its answer. */
static void check_snapshot(struct replay *p)
{
    const struct tx *t = p->tx;
    uint64_t low = versions_low(&p->v, t->begin_sent), high = versions_high(&p->v, t->begin_answered);
    low = low < p->shown ? p->shown : low;
    if (t->snapshot != SEQ_UNKNOWN) {
        if ((t->snapshot < low || t->snapshot > high) &&
            report_anomaly(p->r, "snapshot out of time: %" PRIu64 ", but it began between %" PRIu64 " and %" PRIu64,
                           t->snapshot, low, high)) {
            report_tx(p->r, p->h, p->index);
        }
        low = high = t->snapshot;
    }
    p->low = low;
    p->high = high;
    uint64_t seq = low;
    while (seq < high && first_wrong(p, seq)) {
        seq++;
    }
    const struct base_read *wrong = first_wrong(p, seq);
    if (!wrong) {
        p->low = seq;
        return;
    }
    if (low == high ? report_anomaly(p->r, "wrong read: not what the snapshot %" PRIu64 " holds", low)
                    : report_anomaly(p->r,
                                     "no such snapshot: no state from %" PRIu64 " to %" PRIu64
                                     " holds all its reads; the last one",
                                     low, high)) {
        explain_read(p, wrong, seq);
    }
}

/* Whether what was read is still the same version at seq: nobody changed it after the snapshot. */
static bool read_unchanged(const struct replay *p, const struct base_read *read, uint64_t seq)
{
    const struct version *at = versions_at(read_versions(p, read), seq);
    return read_holds(p, read, seq) && (!at || at->seq <= p->high);
}

static void check_commit_order(struct replay *p, uint64_t seq)
{
    uint64_t low = versions_low(&p->v, p->tx->end_sent), high = versions_high(&p->v, p->tx->end_answered);
    if ((seq <= low || seq > high) &&
        report_anomaly(p->r,
                       "numbers against time: %" PRIu64 ", but a commit answered before it was sent has %" PRIu64
                       ", and one sent after it was answered has %" PRIu64,
                       seq, low, high + 1)) {
        report_tx(p->r, p->h, p->index);
    }
}

/* A writing serializable transaction: what it read has no newer version just before its commit. */
static void check_validation(struct replay *p, uint64_t seq)
{
    for (size_t i = 0; i < p->view.read_count; i++) {
        const struct base_read *read = &p->view.reads[i];
        if (read_unchanged(p, read, seq - 1)) {
            continue;
        }
        if (report_anomaly(p->r, "missed conflict: what it read was changed before its commit")) {
            explain_read(p, read, seq - 1);
        }
        return;
    }
}

/* Whether a commit at seq would have found nothing to delete, and (if serializable) its reads unchanged. */
static bool changes_nothing(const struct replay *p, uint64_t seq)
{
    for (uint32_t k = 0; k < p->h->keys; k++) {
        if (view_touches(&p->view, k) && versions_value(&p->v, k, seq) != VALUE_ABSENT) {
            return false;
        }
    }
    if (p->tx->mode == TX_SERIALIZABLE) {
        for (size_t i = 0; i < p->view.read_count; i++) {
            if (!read_unchanged(p, &p->view.reads[i], seq)) {
                return false;
            }
        }
    }
    return true;
}

/* A commit without a number deleted absent keys, or flushed an empty store: at some moment that must be so. */
static void check_no_change(struct replay *p)
{
    uint64_t seq = versions_low(&p->v, p->tx->end_sent), high = versions_high(&p->v, p->tx->end_answered);
    if (seq < p->low) {
        seq = p->low;
    }
    if (p->view.present == 0) {
        while (seq < high && !changes_nothing(p, seq)) {
            seq++;
        }
        if (changes_nothing(p, seq)) {
            return;
        }
    }
    if (report_anomaly(
            p->r,
            "lost commit: committed without a number, though it had something to change (or its reads had changed)")) {
        report_tx(p->r, p->h, p->index);
    }
}

/* COMMIT is refused to a serializable transaction that writes, where another commit touched what it read. */
static void check_conflict(struct replay *p)
{
    uint64_t high = versions_high(&p->v, p->tx->end_answered);
    if (p->tx->mode == TX_SERIALIZABLE && p->view.writes) {
        for (size_t i = 0; i < p->view.read_count; i++) {
            const struct base_read *read = &p->view.reads[i];
            const struct version *touch =
                versions_after(read->kind == OP_COUNT ? &p->v.touched_any : &p->v.touched[read->key], p->low);
            if (touch && touch->seq <= high) {
                return;
            }
        }
    }
    if (report_anomaly(p->r, "needless conflict: nobody touched what it read")) {
        report_tx(p->r, p->h, p->index);
    }
}

static void check_tx(struct replay *p)
{
    const struct tx *t = p->tx;
    uint64_t seq = p->v.seq[p->index];
    view_build(&p->view, p->h, t);
    p->r->reads += p->view.read_count;
    check_own_reads(p);
    shown_update(p);
    check_snapshot(p);
    shown_add(p);
    if (t->outcome == TX_CONFLICT) {
        check_conflict(p);
    }
    if (t->outcome != TX_COMMITTED) {
        return;
    }
    if (!p->view.writes) {
        if (seq != 0 && report_anomaly(p->r, "change without a write: number %" PRIu64, seq)) {
            report_tx(p->r, p->h, p->index);
        }
        return;
    }
    if (seq == 0) {
        check_no_change(p);
        return;
    }
    check_commit_order(p, seq);
    if (t->mode == TX_SERIALIZABLE) {
        check_validation(p, seq);
    }
}

static const struct history *sorting; /* qsort has no argument for it */

static int compare_begin(const void *a, const void *b)
{
    uint64_t x = sorting->txs[*(const uint32_t *)a].begin_sent, y = sorting->txs[*(const uint32_t *)b].begin_sent;
    return (x > y) - (x < y);
}

void verify_replay(const struct history *h, struct report *r)
{
    struct replay p = {.h = h, .r = r};
    versions_init(&p.v, h, r);
    uint32_t *order = checker_realloc(NULL, h->tx_count, sizeof(*order));
    for (uint32_t i = 0; i < h->tx_count; i++) {
        order[i] = i;
    }
    sorting = h;
    qsort(order, h->tx_count, sizeof(*order), compare_begin);
    for (size_t i = 0; i < h->tx_count; i++) {
        p.index = order[i];
        p.tx = &h->txs[p.index];
        check_tx(&p);
    }
    free(order);
    free(p.pending);
    versions_deinit(&p.v);
}
