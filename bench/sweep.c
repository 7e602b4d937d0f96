#include "sweep.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"

#define PROBE_NS (NS_PER_S / 2)
#define START_SHARE 0.1
#define CLIMB_FACTOR 1.5
#define P99_FACTOR 10
#define ANSWERED_SHARE 0.95
#define UNDER_WAY 10 /* requests that may well be unanswered at any moment */

/* One target with one workload. */
struct sweep {
    const struct config *c;
    struct row *rows; /* its own, n of them */
    size_t n;
    size_t target;
    const struct workload *workload;
    struct load_result *r;
    compare_progress_fn *progress;
    char *why;
    size_t why_size;
    double good;      /* highest rate that did not break; 0: none */
    double bad;       /* lowest that did; 0: none */
    double limit_ns;  /* of p99; 0: not known yet */
    char broken[112]; /* how bad broke */
};

static double median_of(const struct sweep *s, const struct row *row, enum metric m)
{
    return stats_spread(row->series[s->target].values[m], row->series[s->target].n).median;
}

static double answered_share(const struct load_result *r)
{
    double due = (double)(r->replies + r->unanswered);
    return fmin(1, ((double)r->replies + UNDER_WAY) / fmax(due, 1));
}

/* What the repetitions of one attempt say. */
struct outcome {
    double p99_ns;
    double answered;
};

static int try_rate(struct sweep *s, struct row *row, size_t times, struct outcome *o)
{
    double answered[REPEAT_MAX];
    struct series *series = &row->series[s->target];
    size_t first = series->n;
    for (size_t i = 0; i < times; i++) {
        if (s->progress != NULL) {
            s->progress(row, &s->c->targets[s->target], series->n);
        }
        if (compare_measure(s->c, row, s->target, s->r, s->why, s->why_size) != 0) {
            return -1;
        }
        answered[i] = answered_share(s->r);
    }
    o->p99_ns = compare_latency(series, first, times, METRIC_P99_NS);
    o->answered = stats_spread(answered, times).median;
    return 0;
}

static int measure(struct sweep *s, double rate)
{
    struct outcome o;
    struct row *row = &s->rows[s->n++];
    row->workload = s->workload;
    row->pipeline = 1;
    row->rate = rate;
    for (int i = 0; i < SWEEP_ATTEMPTS; i++) {
        bool base = s->limit_ns == 0; /* everything that follows hangs on it */
        if (try_rate(s, row, base && s->c->repeat < SWEEP_BASE ? SWEEP_BASE : s->c->repeat, &o) != 0) {
            return -1;
        }
        s->limit_ns = s->limit_ns > 0 ? s->limit_ns : P99_FACTOR * o.p99_ns;
        if (o.p99_ns <= s->limit_ns && o.answered >= ANSWERED_SHARE) {
            s->good = rate;
            return 0;
        }
    }
    s->bad = rate;
    if (o.answered < ANSWERED_SHARE) {
        snprintf(s->broken, sizeof s->broken, "only %.0f%% of what was due was answered", 100 * o.answered);
    } else {
        snprintf(s->broken, sizeof s->broken, "p99 is %.3f ms, above %.3f ms", o.p99_ns / 1e6, s->limit_ns / 1e6);
    }
    return 0;
}

/* What the closed loop gives. */
static int probe(struct sweep *s, double *rate)
{
    struct config c = *s->c;
    struct row *row = calloc(1, sizeof *row);
    if (row == NULL) {
        snprintf(s->why, s->why_size, "out of memory");
        return -1;
    }
    c.duration_ns = PROBE_NS;
    row->workload = s->workload;
    row->pipeline = 1;
    int err = compare_measure(&c, row, s->target, s->r, s->why, s->why_size);
    *rate = err == 0 ? median_of(s, row, METRIC_RPS) : 0;
    if (err == 0 && *rate <= 0) {
        snprintf(s->why, s->why_size, "%s: no answers in %g s", s->c->targets[s->target].name, PROBE_NS / 1e9);
        err = -1;
    }
    free(row);
    return err;
}

static int search(struct sweep *s)
{
    double rate;
    if (probe(s, &rate) != 0) {
        return -1;
    }
    rate = fmax(1, round(START_SHARE * rate));
    for (int i = 0; i < SWEEP_CLIMB && s->bad == 0; i++, rate = round(CLIMB_FACTOR * rate + 1)) {
        if (measure(s, rate) != 0) {
            return -1;
        }
    }
    for (int i = 0; i < SWEEP_BISECT && s->bad > 0 && s->good > 0; i++) {
        if (measure(s, round(sqrt(s->good * s->bad))) != 0) {
            return -1;
        }
    }
    return 0;
}

static int compare_rates(const void *a, const void *b)
{
    double x = ((const struct row *)a)->rate;
    double y = ((const struct row *)b)->rate;
    return (x > y) - (x < y);
}

static void conclude(struct sweep *s)
{
    const char *name = s->c->targets[s->target].name;
    qsort(s->rows, s->n, sizeof *s->rows, compare_rates);
    struct row *last = &s->rows[s->n - 1];
    if (s->bad == 0) {
        snprintf(last->note, sizeof last->note, "%s did not break up to %.0f requests/s", name, s->good);
    } else if (s->good == 0) {
        snprintf(last->note, sizeof last->note, "%s breaks at the lowest rate already: %s", name, s->broken);
    } else {
        snprintf(last->note, sizeof last->note, "%s holds %.0f requests/s and breaks at %.0f: %s", name, s->good,
                 s->bad, s->broken);
    }
}

int sweep_run(const struct config *c, struct row *rows, size_t *n, struct load_result *r, compare_progress_fn *progress,
              char *why, size_t why_size)
{
    *n = 0;
    for (size_t i = 0; i < c->workload_count * c->target_count; i++) {
        struct sweep s = {
            .c = c,
            .rows = rows + *n,
            .target = i % c->target_count,
            .workload = &c->workloads[i / c->target_count],
            .r = r,
            .progress = progress,
            .why = why,
            .why_size = why_size,
            .limit_ns = (double)c->sweep_limit_ns,
        };
        if (search(&s) != 0) {
            return -1;
        }
        conclude(&s);
        *n += s.n;
    }
    return 0;
}
