/* What a check found: the first anomalies in words, the others counted; and figures on the work done. */
#ifndef TXKV_CHECKER_REPORT_H
#define TXKV_CHECKER_REPORT_H

#include "history.h"

#include <stdio.h>

#define REPORT_TEXTS_MAX 3

struct report {
    FILE *out;        /* gets the words; NULL where only the verdict is wanted */
    size_t anomalies; /* found so far */
    size_t reads;     /* reads of the data that were checked */
    size_t edges;     /* edges of the dependency graph */
};

/* Counts an anomaly and starts its text with "ANOMALY <kind>: ". Returns whether the caller should go on with
 * report_line and report_tx: false once enough has been printed, or where there is no output. */
__attribute__((format(printf, 2, 3))) bool report_anomaly(struct report *r, const char *format, ...);
__attribute__((format(printf, 2, 3))) void report_line(struct report *r, const char *format, ...);

/* "v17", "absent", or "a value nobody wrote"; valid until the fourth call from here. */
const char *report_value(uint64_t value);

/* One line per transaction: who, when, how, each operation, the outcome. */
void report_tx(struct report *r, const struct history *h, size_t tx);

#endif
