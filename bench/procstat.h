/* procstat: what the kernel has accounted to another process. */
#ifndef BENCH_PROCSTAT_H
#define BENCH_PROCSTAT_H

#include <stdint.h>
#include <sys/types.h>

struct procstat {
    uint64_t cpu_ns;      /* CPU time, user and system, of all its threads */
    uint64_t rss_kib;     /* resident memory now */
    uint64_t rss_max_kib; /* the most there ever was */
};

/* 0, or -1 (errno set) when there is no such process. */
int procstat_read(pid_t pid, struct procstat *s);

#endif
