/* syscalls: how many system calls another process makes.
 *
 * The kernel's tracepoint raw_syscalls:sys_enter counts every one of them, but only for those who may use it (root, or
 * CAP_PERFMON and a readable tracefs), and it slows every system call of the machine while it is open. Where it is not
 * to be had, /proc/PID/io counts those that read and write files and sockets, without send and recv. */
#ifndef BENCH_SYSCALLS_H
#define BENCH_SYSCALLS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define SYSCALLS_THREADS_MAX 256 /* threads of a process, beyond which there is no counting them by tracepoint */

enum syscalls_source { SYSCALLS_UNKNOWN, SYSCALLS_ALL, SYSCALLS_READ_WRITE, SYSCALLS_SOURCE_COUNT };

extern const char *const syscalls_source_names[SYSCALLS_SOURCE_COUNT]; /* what was counted, for people */

struct syscalls {
    enum syscalls_source source; /* SYSCALLS_UNKNOWN: not counting */
    pid_t pid;
    uint64_t first; /* SYSCALLS_READ_WRITE: calls before the beginning */
    size_t fds_n;   /* SYSCALLS_ALL: a counter for each thread, which those that it starts count in too */
    int fds[SYSCALLS_THREADS_MAX];
};

/* Begins to count those of pid by the best source there is. Counting nothing (pid 0, no permission) is no error. */
void syscalls_begin(struct syscalls *s, pid_t pid);

/* How many there were since the beginning; 0 when not counting. Stops counting. */
uint64_t syscalls_end(struct syscalls *s);

#endif
