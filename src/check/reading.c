#include "reading.h"

#include <errno.h>
#include <string.h>

#define READINGS_MAX 10

static bool stays(const struct reading *r, const struct recovery *before, enum recover_result result)
{
    return r->result == result && strcmp(r->found.problem, before->problem) == 0;
}

void reading_run(struct reading *r, struct disk_dir *dir, const struct recover_sink *sink)
{
    *r = (struct reading){0};
    r->live = disk_dir_is_locked(dir, &r->holder) == -EWOULDBLOCK;
    r->result = recover_read(&dir->disk, sink, &r->found);
    for (int readings = 1; r->live && r->result != RECOVER_CLEAN && readings < READINGS_MAX; readings++) {
        struct recovery before = r->found;
        enum recover_result result = r->result;
        sink->reset(sink->arg);
        r->result = recover_read(&dir->disk, sink, &r->found);
        if (stays(r, &before, result)) {
            break;
        }
    }
}

static void on_reset(void *arg)
{
    (void)arg;
}

static int on_payload(void *arg, uint64_t seq, struct slice payload)
{
    (void)arg;
    (void)seq;
    (void)payload;
    return 0;
}

void reading_verify(struct reading *r, struct disk_dir *dir)
{
    static const struct recover_sink nobody = {on_reset, on_payload, on_payload, NULL, NULL};
    reading_run(r, dir, &nobody);
}
