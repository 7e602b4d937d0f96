/* Proves the checker without a server: good histories pass; histories with one single fault in the store, and good
 * histories with one single change, are judged as slow and simple oracles judge them. */
#include "mutate.h"
#include "oracle.h"
#include "simulator.h"
#include "verify.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct tally {
    unsigned tried, anomalous, caught, caught_by_graph, missed, false_alarms;
};

static unsigned failures;

static struct simulator_plan plan_make(uint64_t seed, uint32_t transactions, bool numbered)
{
    struct rng rng = {seed};
    struct simulator_plan plan = {.transactions = transactions, .numbered = numbered, .seed = rng_next(&rng)};
    plan.sessions = 3 + rng_below(&rng, 4);
    plan.mix.keys = 2 + rng_below(&rng, 4);
    plan.mix.equal_values = rng_chance(&rng, 60);
    plan.mix.blind_writes = rng_chance(&rng, 70);
    plan.mix.absences = rng_chance(&rng, 80);
    plan.mix.counts = rng_chance(&rng, 50);
    plan.mix.losses = rng_chance(&rng, 80);
    plan.mix.idle_max = rng_chance(&rng, 50) ? 60 : 0;
    return plan;
}

static size_t anomalies(const struct history *h, int judge, FILE *out)
{
    struct report r = {.out = out};
    if (judge == 0) {
        verify_replay(h, &r);
    } else {
        verify_graph(h, judge == 1 ? GRAPH_NUMBERED : GRAPH_INFERRED, &r);
    }
    return r.anomalies;
}

/* What both judges think differently of is printed: it is a bug of the checker. */
static void disagree(const char *what, const char *text, uint64_t seed, const struct history *h)
{
    failures++;
    if (failures > 5) {
        return;
    }
    printf("%s: %s, seed %" PRIu64 "\n", what, text, seed);
    struct report r = {.out = stdout};
    for (size_t i = 0; i < h->tx_count; i++) {
        report_tx(&r, h, i);
    }
}

static void good_history(uint64_t seed, uint32_t transactions, bool search)
{
    struct simulator_plan plan = plan_make(seed, transactions, true);
    struct history h;
    simulator_run(&plan, &h);
    for (int judge = 0; judge < 3; judge++) {
        if (anomalies(&h, judge, failures < 5 ? stdout : NULL)) {
            disagree("FALSE ALARM", "a good history", seed, &h);
        }
    }
    if (transactions < 200 && oracle_numbered(&h) == VERDICT_ANOMALY) {
        disagree("ORACLE", "a good history", seed, &h);
    }
    if (search && oracle_search(&h) == VERDICT_ANOMALY) {
        disagree("ORACLE SEARCH", "a good history", seed, &h);
    }
    history_deinit(&h);
}

static void good_histories(void)
{
    for (uint64_t seed = 1; seed <= 3000; seed++) {
        good_history(seed, 40, false);
    }
    for (uint64_t seed = 1; seed <= 500; seed++) {
        good_history(seed, 8, true);
    }
    for (uint64_t seed = 1; seed <= 20; seed++) {
        good_history(seed, 5000, false);
    }
    printf("good histories: 3,520 with 224,000 transactions, %u wrongly judged\n", failures);
}

static void judge_numbered(struct tally *t, const struct history *h, const char *text, uint64_t seed)
{
    enum verdict verdict = oracle_numbered(h);
    if (verdict == VERDICT_UNKNOWN) {
        return;
    }
    bool caught = anomalies(h, 0, NULL), graph = anomalies(h, 1, NULL);
    t->tried++;
    t->anomalous += verdict == VERDICT_ANOMALY;
    t->caught += caught;
    t->caught_by_graph += graph;
    if (verdict == VERDICT_ANOMALY && !caught) {
        t->missed++;
        disagree("MISSED", text, seed, h);
    }
    if (verdict == VERDICT_GOOD && (caught || graph)) {
        t->false_alarms++;
        anomalies(h, !caught, failures < 5 ? stdout : NULL);
        disagree("FALSE ALARM", text, seed, h);
    }
}

/* `complete`: of a kind of history that leaves nothing to be overlooked. */
static void judge_black_box(struct tally *t, const struct history *h, const char *text, uint64_t seed, bool complete)
{
    enum verdict verdict = oracle_search(h);
    if (verdict == VERDICT_UNKNOWN) {
        return;
    }
    bool caught = anomalies(h, 2, NULL);
    t->tried++;
    t->anomalous += verdict == VERDICT_ANOMALY;
    t->caught += caught;
    t->missed += verdict == VERDICT_ANOMALY && !caught;
    if (verdict == VERDICT_ANOMALY && !caught && complete) {
        disagree("MISSED", text, seed, h);
    }
    if (verdict == VERDICT_GOOD && caught) {
        t->false_alarms++;
        anomalies(h, 2, failures < 5 ? stdout : NULL);
        disagree("FALSE ALARM", text, seed, h);
    }
}

static void tally_print(const char *text, const struct tally *t, bool graph)
{
    printf("  %-44s %6u %10u %7u %7u %7u", text, t->tried, t->anomalous, t->caught, t->missed, t->false_alarms);
    if (graph) {
        printf(" %9u", t->caught_by_graph);
    }
    putchar('\n');
}

static void tally_sum(struct tally *sum, const struct tally *t)
{
    sum->tried += t->tried;
    sum->anomalous += t->anomalous;
    sum->caught += t->caught;
    sum->caught_by_graph += t->caught_by_graph;
    sum->missed += t->missed;
    sum->false_alarms += t->false_alarms;
}

struct campaign {
    const char *name;
    bool numbered;
    bool complete;         /* read-modify-write of unique values only: the black box overlooks nothing */
    uint32_t transactions; /* of each history */
    unsigned tries;        /* of each fault and each mutation */
};

static struct simulator_plan campaign_plan(const struct campaign *c, uint64_t seed)
{
    struct simulator_plan plan = plan_make(seed, c->transactions, c->numbered);
    if (c->complete) {
        plan.mix.equal_values = plan.mix.blind_writes = plan.mix.absences = false;
    }
    return plan;
}

static void campaign_judge(const struct campaign *c, struct tally *t, const struct history *h, const char *text,
                           uint64_t seed)
{
    if (c->numbered) {
        judge_numbered(t, h, text, seed);
    } else {
        judge_black_box(t, h, text, seed, c->complete);
    }
}

static void try_fault(const struct campaign *c, enum simulator_fault fault, struct tally *sum)
{
    struct tally t = {0};
    const char *text = simulator_fault_text(fault);
    for (uint64_t seed = 1; t.tried < c->tries && seed < 20 * c->tries; seed++) {
        struct simulator_plan plan = campaign_plan(c, seed);
        plan.fault = fault;
        struct history h;
        if (simulator_run(&plan, &h)) {
            campaign_judge(c, &t, &h, text, seed);
        }
        history_deinit(&h);
    }
    tally_print(text, &t, c->numbered);
    tally_sum(sum, &t);
}

static void try_mutation(const struct campaign *c, enum mutation m, struct tally *sum)
{
    struct tally t = {0};
    const char *text = mutation_text(m);
    for (uint64_t seed = 1; t.tried < c->tries && seed < 20 * c->tries; seed++) {
        struct simulator_plan plan = campaign_plan(c, seed);
        struct rng rng = {~seed};
        struct history h;
        simulator_run(&plan, &h);
        if (mutate(&h, m, &rng)) {
            campaign_judge(c, &t, &h, text, seed);
        }
        history_deinit(&h);
    }
    tally_print(text, &t, c->numbered);
    tally_sum(sum, &t);
}

static void campaign_run(const struct campaign *c)
{
    struct tally sum = {0};
    printf("\n%s: histories of %" PRIu32 " transactions, against the oracle\n", c->name, c->transactions);
    printf("  %-44s %6s %10s %7s %7s %7s%s\n", "the one fault, or change", "tried", "anomalous", "caught", "missed",
           "false", c->numbered ? "  by graph" : "");
    for (int f = SIMULATOR_NONE + 1; f < SIMULATOR_FAULT_COUNT; f++) {
        try_fault(c, (enum simulator_fault)f, &sum);
    }
    for (int m = 0; m < MUTATION_COUNT; m++) {
        try_mutation(c, (enum mutation)m, &sum);
    }
    tally_print("sum", &sum, c->numbered);
}

/* --- commits whose numbers are not known --- */

static void add_read_and_write(struct history *h, uint32_t session, uint64_t seq, const uint64_t times[4], const struct op ops[2])
{
    struct tx_builder b;
    builder_start(&b, session, TX_SERIALIZABLE, times[0]);
    builder_op(&b, OP_READ, ops[0].key, ops[0].value);
    builder_op(&b, OP_WRITE, ops[1].key, ops[1].value);
    b.tx.begin_answered = times[1];
    b.tx.end_sent = times[2];
    b.tx.end_answered = times[3];
    b.tx.snapshot = 0;
    b.tx.seq = seq;
    b.tx.outcome = TX_COMMITTED;
    history_append(h, &b);
}

/* Two were under way when their server ended. The one that was sent later came before a commit of a number that is known, as it has read
 * what that one has changed; or it was sent when that one was answered, and then it should have been refused. */
static void two_hidden(bool good)
{
    static const uint64_t early[4] = {1, 2, 10, 100}, known[4] = {3, 4, 11, 13}, late[4] = {5, 6, 12, 101}, too_late[4] = {5, 6, 14, 101};
    static const struct op other[2] = {{OP_READ, 3, VALUE_ABSENT}, {OP_WRITE, 2, 1}}, changes[2] = {{OP_READ, 0, VALUE_ABSENT}, {OP_WRITE, 0, 2}},
                           reads[2] = {{OP_READ, 0, VALUE_ABSENT}, {OP_WRITE, 1, 3}};
    struct history h;
    history_init(&h, 4, true);
    add_read_and_write(&h, 0, SEQ_UNKNOWN, early, other);
    add_read_and_write(&h, 1, 2, known, changes);
    add_read_and_write(&h, 2, SEQ_UNKNOWN, good ? late : too_late, reads);
    for (int judge = 0; judge < 2; judge++) {
        if ((anomalies(&h, judge, NULL) == 0) != good) {
            disagree(good ? "two commits of unknown numbers" : "a missed conflict among unknown numbers", "no text", 0, &h);
        }
    }
    history_deinit(&h);
}

int main(void)
{
    static const struct campaign campaigns[] = {
        {"with numbers", true, false, 40, 500},
        {"with numbers, long", true, false, 400, 20},
        {"black box, read-modify-write", false, true, 9, 250},
        {"black box, all kinds", false, false, 9, 250},
    };
    good_histories();
    two_hidden(true);
    two_hidden(false);
    for (size_t i = 0; i < sizeof(campaigns) / sizeof(campaigns[0]); i++) {
        campaign_run(&campaigns[i]);
    }
    printf("\n%u disagreements\n", failures);
    return failures ? EXIT_FAILURE : EXIT_SUCCESS;
}
