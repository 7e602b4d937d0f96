/* journal: commits that are not durable yet, and the room that they may take. */
#include "data.h"
#include "journal.h"
#include "mem.h"
#include "rng.h"

#define STRETCH ((size_t)4096)
#define HEADER ((size_t)64)
#define TRAILER ((size_t)48)

/* A commit of so many bytes; what it is does not matter here. */
static void commit(struct journal *j, uint64_t seq, size_t bytes)
{
    static const char zeros[STRETCH];
    cr_assert_eq(journal_reserve(j, bytes), 0);
    cr_assert_eq(buf_append(&j->pending, zeros, bytes), 0);
    journal_committed(j, seq);
}

static void start(struct journal *j)
{
    journal_init(j, STRETCH, HEADER, TRAILER);
}

Test(journal_admit, waits_for_a_stretch_and_says_when_none_can_come)
{
    struct journal j;
    start(&j);
    cr_assert_eq(journal_admit(&j, 100), JOURNAL_LATER);
    j.no_space = true;
    cr_assert_eq(journal_admit(&j, 100), JOURNAL_NO_SPACE);
    cr_assert(!journal_has_batch(&j));
    journal_add_spare(&j);
    cr_assert(!j.no_space);
    cr_assert_eq(journal_admit(&j, 100), JOURNAL_ADMITS);
    cr_assert_eq(j.spares, 0);
    cr_assert(!journal_has_batch(&j), "a header alone is no batch");
    cr_assert_eq(buf_len(&j.pending), HEADER);
    journal_deinit(&j);
}

Test(journal_admit, a_batch_ends_where_its_stretch_does)
{
    struct journal j;
    struct journal_batch b;
    start(&j);
    journal_add_spare(&j);
    journal_add_spare(&j);
    cr_assert_eq(journal_admit(&j, 1000), JOURNAL_ADMITS);
    commit(&j, 1, 1000);
    size_t left = STRETCH - HEADER - 1000 - TRAILER;
    cr_assert_eq(journal_admit(&j, left + 1), JOURNAL_LATER, "the batch has to go first");
    cr_assert_eq(journal_admit(&j, left), JOURNAL_ADMITS);
    journal_take(&j, &b);
    cr_assert(b.opens_stretch && b.last == 1 && buf_len(&b.bytes) == HEADER + 1000);
    cr_assert_eq(journal_admit(&j, left - TRAILER), JOURNAL_ADMITS, "the next batch has room for a trailer less");
    cr_assert(!j.opens_stretch);
    cr_assert_eq(journal_admit(&j, left - TRAILER + 1), JOURNAL_ADMITS, "a new stretch");
    cr_assert(j.opens_stretch);
    journal_done(&j, &b);
    journal_deinit(&j);
}

Test(journal_take, one_batch_is_under_way_at_a_time)
{
    struct journal j;
    struct journal_batch b;
    start(&j);
    journal_add_spare(&j);
    (void)journal_admit(&j, 10);
    commit(&j, 1, 10);
    cr_assert_eq(journal_batch_of(&j, 1), 1);
    cr_assert(journal_has_batch(&j));
    journal_take(&j, &b);
    commit(&j, 2, 10);
    commit(&j, 3, 10);
    cr_assert(!journal_has_batch(&j));
    cr_assert_eq(journal_batch_of(&j, 1), 1);
    cr_assert_eq(journal_batch_of(&j, 2), 2);
    cr_assert(j.durable == 0 && j.done == 0);
    journal_done(&j, &b);
    cr_assert(j.durable == 1 && j.done == 1);
    cr_assert(journal_has_batch(&j));
    journal_take(&j, &b);
    cr_assert(b.last == 3 && !b.opens_stretch && buf_len(&b.bytes) == 20);
    cr_assert_eq(journal_batch_of(&j, 3), 2);
    cr_assert_eq(journal_batch_of(&j, 4), 3);
    journal_done(&j, &b);
    cr_assert(j.durable == 3 && j.done == 2);
    journal_deinit(&j);
}

Test(journal_admit, a_batch_has_a_limit_but_for_one_commit)
{
    struct journal j;
    journal_init(&j, 4 * JOURNAL_BATCH_BYTES, HEADER, TRAILER);
    journal_add_spare(&j);
    cr_assert_eq(journal_admit(&j, 2 * JOURNAL_BATCH_BYTES), JOURNAL_ADMITS);
    commit(&j, 1, 100);
    cr_assert_eq(journal_admit(&j, JOURNAL_BATCH_BYTES - HEADER - 100), JOURNAL_ADMITS);
    cr_assert_eq(journal_admit(&j, JOURNAL_BATCH_BYTES - HEADER - 99), JOURNAL_LATER);
    journal_deinit(&j);
}

/* Whatever is admitted, batches and a trailer behind each never go beyond their stretch. */
Test(journal_admit, never_gives_more_than_there_is)
{
    struct journal j;
    struct rng rng = {3};
    size_t used = STRETCH;
    uint64_t seq = 0;
    start(&j);
    for (int turn = 0; turn < 100000; turn++) {
        size_t bytes = 1 + rng_below(&rng, 1500);
        enum journal_admission a = journal_admit(&j, bytes);
        if (a == JOURNAL_ADMITS && rng_chance(&rng, 95)) {
            commit(&j, ++seq, 1 + rng_below(&rng, (uint32_t)bytes));
        }
        if (journal_has_batch(&j) && (a == JOURNAL_LATER || rng_chance(&rng, 30))) {
            struct journal_batch b;
            journal_take(&j, &b);
            used = (b.opens_stretch ? 0 : used) + buf_len(&b.bytes) + TRAILER;
            check(used <= STRETCH);
            journal_done(&j, &b);
        } else if (a == JOURNAL_LATER) {
            check(j.spares == 0);
            journal_add_spare(&j);
        }
    }
    check(seq > 50000);
    check(j.durable + 100 > seq);
    journal_deinit(&j);
}

Test(journal_reserve, says_when_there_is_no_memory)
{
    struct journal j;
    start(&j);
    journal_add_spare(&j);
    (void)journal_admit(&j, 10);
    mem_fail(1, true);
    cr_assert_eq(journal_reserve(&j, 4 * MEM_CHUNK), -1);
    mem_fail(0, false);
    cr_assert_eq(journal_reserve(&j, 4 * MEM_CHUNK), 0);
    journal_deinit(&j);
}
