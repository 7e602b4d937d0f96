#include "reading.h"

#include <string.h>

#include "fault.h"

#define READINGS_MAX 10

static bool stays(const struct reading *r, const struct recovery *before, enum recover_result result)
{
    return r->result == result && strcmp(r->found.problem, before->problem) == 0;
}

void reading_run(struct reading *r, struct disk *d, bool live, const struct recover_sink *sink)
{
    *r = (struct reading){.live = live};
    r->result = recover_read(d, sink, &r->found);
    bool changes = live && r->result != RECOVER_CLEAN && !FAULT(looked_at_once);
    for (int readings = 1; changes && readings < READINGS_MAX; readings++) {
        struct recovery before = r->found;
        enum recover_result result = r->result;
        sink->reset(sink->arg);
        r->result = recover_read(d, sink, &r->found);
        changes = r->result != RECOVER_CLEAN && !stays(r, &before, result);
    }
    r->overtaken = changes && r->result != RECOVER_TORN; /* a tail is what a server that writes has */
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

void reading_verify(struct reading *r, struct disk *d, bool live)
{
    static const struct recover_sink nobody = {on_reset, on_payload, on_payload, NULL, NULL};
    reading_run(r, d, live, &nobody);
}
