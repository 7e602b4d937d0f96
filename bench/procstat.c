#include "procstat.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "clock.h"

/* The process's CPU-time clock counts nanoseconds up to this moment, of all its threads. /proc/PID/schedstat has only
 * the main thread and is as old as the last timer tick; /proc/PID/stat counts in hundredths of a second. */
static int read_cpu(pid_t pid, uint64_t *ns)
{
    clockid_t id;
    int err = clock_getcpuclockid(pid, &id);
    if (err != 0) {
        errno = err;
        return -1;
    }
    *ns = clock_ns(id);
    return 0;
}

int procstat_read(pid_t pid, struct procstat *s)
{
    *s = (struct procstat){0};
    if (read_cpu(pid, &s->cpu_ns) != 0) {
        return -1;
    }
    char path[64];
    snprintf(path, sizeof path, "/proc/%ld/status", (long)pid);
    FILE *f = fopen(path, "re");
    if (f == NULL) {
        return -1;
    }
    char line[256];
    while (fgets(line, sizeof line, f) != NULL) {
        if (sscanf(line, "VmRSS: %" SCNu64, &s->rss_kib) != 1) {
            (void)sscanf(line, "VmHWM: %" SCNu64, &s->rss_max_kib);
        }
    }
    fclose(f);
    return 0;
}
