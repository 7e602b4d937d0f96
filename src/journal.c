#include "journal.h"

#include <assert.h>
#include <string.h>

#include "fault.h"

void journal_init(struct journal *j, size_t stretch, size_t header, size_t trailer)
{
    *j = (struct journal){.stretch = stretch, .header = header, .trailer = trailer, .batch = 1};
    buf_init(&j->pending);
}

void journal_deinit(struct journal *j)
{
    buf_deinit(&j->pending);
}

/* A batch that is to be the first in its stretch: its header's place comes first. */
static bool open_stretch(struct journal *j)
{
    char *at = buf_reserve(&j->pending, j->header);
    if (at == NULL) {
        return false;
    }
    memset(at, 0, j->header);
    buf_commit(&j->pending, j->header);
    j->opens_stretch = true;
    j->spares--;
    j->room = j->stretch;
    return true;
}

enum journal_admission journal_admit(struct journal *j, size_t bytes)
{
    size_t have = buf_len(&j->pending);
    bool has_commits = have > (j->opens_stretch ? j->header : 0);
    bool fits = have + bytes + j->trailer <= j->room;
    if (fits && (!has_commits || have + bytes <= JOURNAL_BATCH_BYTES)) {
        return JOURNAL_ADMITS;
    }
    if (has_commits) {
        return JOURNAL_LATER; /* the batch is full; the next one may fit */
    }
    if (j->spares > 0) {
        return open_stretch(j) ? JOURNAL_ADMITS : JOURNAL_LATER;
    }
    return j->no_space ? JOURNAL_NO_SPACE : JOURNAL_LATER;
}

int journal_reserve(struct journal *j, size_t bytes)
{
    return buf_reserve(&j->pending, bytes + RECORD_HEADER_BYTES) == NULL ? -1 : 0;
}

void journal_committed(struct journal *j, uint64_t seq)
{
    j->pending_last = seq;
    CRASH_POINT(commit_recorded);
}

bool journal_has_batch(const struct journal *j)
{
    return !j->in_flight && buf_len(&j->pending) > (j->opens_stretch ? j->header : 0);
}

void journal_take(struct journal *j, struct journal_batch *batch)
{
    assert(!j->in_flight);
    *batch = (struct journal_batch){.bytes = j->pending, .last = j->pending_last, .opens_stretch = j->opens_stretch};
    j->in_flight = true;
    j->flight_last = j->pending_last;
    j->room -= buf_len(&batch->bytes) + j->trailer;
    j->opens_stretch = false;
    j->waiters = 0;
    j->batch++;
    buf_init(&j->pending);
    CRASH_POINT(batch_taken);
}

void journal_done(struct journal *j, struct journal_batch *batch)
{
    assert(j->in_flight);
    j->in_flight = false;
    j->done = j->batch - 1;
    j->durable = batch->last;
    CRASH_POINT(batch_done);
    buf_deinit(&batch->bytes);
}

void journal_add_spare(struct journal *j)
{
    j->spares++;
    j->no_space = false;
}

uint64_t journal_batch_of(const struct journal *j, uint64_t seq)
{
    return j->in_flight && seq <= j->flight_last ? j->batch - 1 : j->batch;
}
