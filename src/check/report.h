/* report: what txkv-check says. */
#ifndef TXKV_CHECK_REPORT_H
#define TXKV_CHECK_REPORT_H

#include <stdio.h>

#include "options.h"
#include "reading.h"
#include "scan.h"

/* Verifies, prints a line for each file and one that sums up. live: a server is running on it. path: for messages. */
enum check_status report_run(struct disk *d, const char *path, bool live, FILE *to);

/* The one line on what recovery made of it; other: a file with damage that recovery does not need, NULL for none. */
enum check_status report_verdict(const struct reading *r, const struct scan *other, FILE *to);

/* The first file with damage that recovery does not mind, after a reading that is clean or torn; or NULL. */
const struct scan *report_other_damage(const struct scans *scans, const struct reading *r);

#endif
