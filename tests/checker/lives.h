/* lives: the workload on a durable server that is killed again and again, by SIGKILL at any time and at each named point of the
 * way of a commit and of a checkpoint (CRASH_TABLE in src/fault.h). The data lives on, and so does the history: one history
 * spans all lives of the server. In some of them a backup is made meanwhile: it is what a transaction has read while BACKUP was
 * under way, and so a part of that history; one that the end of the server has cut short is not there. */
#ifndef TXKV_CHECKER_LIVES_H
#define TXKV_CHECKER_LIVES_H

#include "workload.h"

struct lives_options {
    const char *server;
    const char *fault; /* or NULL */
    const char *directory; /* where the data directory is made, and removed at the end */
    uint64_t count;    /* lives that end by being killed; now and then, and at the end, come two that end well */
    uint64_t seed;
    size_t (*judge)(const struct workload *w); /* finds anomalies in the history so far */
};

/* Runs them; `w` is initialised by this. Stops early where anomalies are found. Returns 0; or -1 where the run broke off, with a
 * message on stderr. What is wrong with the server itself, one that does not start on its own data say, is an anomaly. */
int lives_run(const struct lives_options *o, struct workload *w, uint32_t connections, const struct script_mix *mix,
              struct report *report);

#endif
