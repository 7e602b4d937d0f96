// A commit with number C is checked against the states C-1 and earlier; a snapshot S against the state S.
// `high` and `low` bound a number that the client was not told (see versions.h).
#include "verify.h"
#include "versions.h"

#include <inttypes.h>

struct replay {
  const struct history *h;
  struct versions v;
  struct report *r;
  const struct tx *tx; // under examination, with its index and its parts
  size_t index;
  struct view view;
  uint64_t low, high; // the bounds of its snapshot; equal where the server told it
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
  if (read->kind == OP_COUNT)
    report_line(p->r, "counted %" PRIu32 ", but at %" PRIu64 " there were %d", read->value, seq,
                at ? __builtin_popcountll(at->value) : 0);
  else if (!at)
    report_line(p->r, "k%d: at %" PRIu64 " it had never been set", read->key, seq);
  else
    report_line(p->r, "k%d: at %" PRIu64 " it was v%" PRIu64 " (v0: absent), since commit %" PRIu64 ":", read->key, seq,
                at->value, at->seq);
  report_tx(p->r, p->h, p->index);
  if (at)
    report_tx(p->r, p->h, at->tx);
}

static void check_own_reads(struct replay *p)
{
  const struct op *op = p->view.own_mismatch;
  if (op && report_anomaly(p->r, "own write: read %d of k%d should have seen v%" PRIu32 " (v0: absent), written by itself",
                           (int)(op - tx_ops(p->h, p->tx)) + 1, op->key, p->view.own_expected))
    report_tx(p->r, p->h, p->index);
}

// The first read that does not hold at seq, or NULL.
static const struct base_read *first_wrong(const struct replay *p, uint64_t seq)
{
  for (size_t i = 0; i < p->view.read_count; i++)
    if (!read_holds(p, &p->view.reads[i], seq))
      return &p->view.reads[i];
  return NULL;
}

// All reads see one state, and that state was the newest at some moment between BEGIN's sending and its answer.
static void check_snapshot(struct replay *p)
{
  const struct tx *t = p->tx;
  uint64_t low = versions_low(&p->v, t->begin_sent), high = versions_high(&p->v, t->begin_answered);
  if (t->snapshot != SEQ_UNKNOWN) {
    if ((t->snapshot < low || t->snapshot > high) &&
        report_anomaly(p->r, "snapshot out of time: %" PRIu64 ", but it began between %" PRIu64 " and %" PRIu64, t->snapshot,
                       low, high))
      report_tx(p->r, p->h, p->index);
    low = high = t->snapshot;
  }
  p->low = low;
  p->high = high;
  uint64_t seq = low;
  while (seq < high && first_wrong(p, seq))
    seq++;
  const struct base_read *wrong = first_wrong(p, seq);
  if (!wrong) {
    p->low = seq;
    return;
  }
  if (low == high ? report_anomaly(p->r, "wrong read: not what the snapshot %" PRIu64 " holds", low)
                  : report_anomaly(p->r, "no such snapshot: no state from %" PRIu64 " to %" PRIu64 " holds all its reads; the last one",
                                   low, high))
    explain_read(p, wrong, seq);
}

// Whether what was read is still the same version at seq: nobody changed it after the snapshot.
static bool read_unchanged(const struct replay *p, const struct base_read *read, uint64_t seq)
{
  const struct version *at = versions_at(read_versions(p, read), seq);
  return read_holds(p, read, seq) && (!at || at->seq <= p->high);
}

static void check_commit_order(struct replay *p, uint64_t seq)
{
  uint64_t low = versions_low(&p->v, p->tx->end_sent), high = versions_high(&p->v, p->tx->end_answered);
  if ((seq <= low || seq > high) &&
      report_anomaly(p->r, "numbers against time: %" PRIu64 ", but a commit answered before it was sent has %" PRIu64
                     ", and one sent after it was answered has %" PRIu64, seq, low, high + 1))
    report_tx(p->r, p->h, p->index);
}

// A writing serializable transaction: what it read has no newer version just before its commit.
static void check_validation(struct replay *p, uint64_t seq)
{
  for (size_t i = 0; i < p->view.read_count; i++) {
    const struct base_read *read = &p->view.reads[i];
    if (read_unchanged(p, read, seq - 1))
      continue;
    if (report_anomaly(p->r, "missed conflict: what it read was changed before its commit"))
      explain_read(p, read, seq - 1);
    return;
  }
}

// Whether a commit at seq would have deleted nothing, and (for a serializable one) found its reads unchanged.
static bool changes_nothing(const struct replay *p, uint64_t seq)
{
  for (uint32_t k = 0; k < p->h->keys; k++)
    if ((p->view.written >> k & 1) && versions_value(&p->v, k, seq) != VALUE_ABSENT)
      return false;
  if (p->tx->mode == TX_SERIALIZABLE)
    for (size_t i = 0; i < p->view.read_count; i++)
      if (!read_unchanged(p, &p->view.reads[i], seq))
        return false;
  return true;
}

// A commit without a number deleted absent keys only: there must be a moment at which that is so.
static void check_no_change(struct replay *p)
{
  uint64_t seq = versions_low(&p->v, p->tx->end_sent), high = versions_high(&p->v, p->tx->end_answered);
  if (seq < p->low)
    seq = p->low;
  bool deletes_only = !p->view.flushed && p->view.present == 0;
  if (deletes_only) {
    while (seq < high && !changes_nothing(p, seq))
      seq++;
    if (changes_nothing(p, seq))
      return;
  }
  if (report_anomaly(p->r, "lost commit: committed without a number, though it had something to change (or its reads had changed)"))
    report_tx(p->r, p->h, p->index);
}

// COMMIT is refused only to a serializable transaction that writes, for a key that it read and another commit touched.
static void check_conflict(struct replay *p)
{
  uint64_t high = versions_high(&p->v, p->tx->end_answered);
  if (p->tx->mode == TX_SERIALIZABLE && p->view.writes)
    for (size_t i = 0; i < p->view.read_count; i++) {
      const struct base_read *read = &p->view.reads[i];
      const struct version *touch =
        versions_after(read->kind == OP_COUNT ? &p->v.touched_any : &p->v.touched[read->key], p->low);
      if (touch && touch->seq <= high)
        return;
    }
  if (report_anomaly(p->r, "needless conflict: nobody touched what it read"))
    report_tx(p->r, p->h, p->index);
}

static void check_tx(struct replay *p)
{
  const struct tx *t = p->tx;
  uint64_t seq = p->v.seq[p->index];
  view_build(&p->view, p->h, t);
  p->r->reads += p->view.read_count;
  check_own_reads(p);
  check_snapshot(p);
  if (t->outcome == TX_CONFLICT)
    check_conflict(p);
  if (t->outcome != TX_COMMITTED)
    return;
  if (!p->view.writes) {
    if (seq != 0 && report_anomaly(p->r, "change without a write: number %" PRIu64, seq))
      report_tx(p->r, p->h, p->index);
    return;
  }
  if (seq == 0) {
    check_no_change(p);
    return;
  }
  check_commit_order(p, seq);
  if (t->mode == TX_SERIALIZABLE)
    check_validation(p, seq);
}

void verify_replay(const struct history *h, struct report *r)
{
  struct replay p = {.h = h, .r = r};
  versions_init(&p.v, h, r);
  for (size_t i = 0; i < h->tx_count; i++) {
    p.tx = &h->txs[i];
    p.index = i;
    check_tx(&p);
  }
  versions_deinit(&p.v);
}
