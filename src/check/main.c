/* txkv-check: verifies a data directory, dumps and repairs it. Beside --repair it changes nothing. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dump.h"
#include "fault.h"
#include "mem.h"
#include "options.h"
#include "repair.h"
#include "report.h"

static enum check_status verify(struct disk_dir *dir, const char *path)
{
    long holder;
    char who[32];
    bool live = disk_dir_is_locked(dir, &holder) < 0;
    if (live) {
        printf("a server is running on %s: %s\n", path, disk_dir_holder(who, holder));
    }
    return report_run(&dir->disk, path, live, stdout);
}

static enum check_status run(const struct check_options *o)
{
    struct disk_dir dir;
    enum check_status status = CHECK_NOT_READ;
    int rc = disk_dir_open(&dir, o->path, false);
    if (rc < 0) {
        fprintf(stderr, "txkv-check: %s: %s\n", o->path, strerror(-rc));
        disk_dir_close(&dir);
        return status;
    }
    switch (o->task) {
    case CHECK_DUMP:
        status = dump_run(&dir);
        break;
    case CHECK_REPAIR:
        status = repair_run(&dir, o->path);
        break;
    case CHECK_VERIFY:
    default:
        status = verify(&dir, o->path);
        break;
    }
    disk_dir_close(&dir);
    return status;
}

int main(int argc, char **argv)
{
    struct check_options options;
    enum check_status status = CHECK_CLEAN;
    mem_init();
#ifdef TXKV_FAULTS
    if (fault_choose(getenv("TXKV_FAULT")) < 0) {
        fprintf(stderr, "txkv-check: TXKV_FAULT=%s: no such fault\n", getenv("TXKV_FAULT"));
        return CHECK_NOT_READ;
    }
#endif
    switch (check_options_parse(&options, argc, argv)) {
    case CHECK_DONE:
        break;
    case CHECK_WRONG:
        return CHECK_NOT_READ;
    case CHECK_RUN:
    default:
        status = run(&options);
        break;
    }
    if (fflush(stdout) != 0 || ferror(stdout)) {
        fprintf(stderr, "txkv-check: the report could not be written\n");
        return CHECK_NOT_READ;
    }
    return (int)status;
}
