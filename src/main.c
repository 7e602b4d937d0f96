/* txkv-server: reads the command line and runs the server. */
#include <stdio.h>
#include <stdlib.h>

#include "fault.h"
#include "mem.h"
#include "options.h"
#include "server.h"

int main(int argc, char **argv)
{
    struct options options;
    mem_init();
    switch (options_parse(&options, argc, argv)) {
    case OPTIONS_DONE:
        return 0;
    case OPTIONS_WRONG:
        return 2;
    case OPTIONS_RUN:
    default:
        break;
    }
#ifdef TXKV_FAULTS
    if (fault_choose(getenv("TXKV_FAULT")) < 0) {
        fprintf(stderr, "txkv-server: TXKV_FAULT=%s: no such fault\n", getenv("TXKV_FAULT"));
        return 2;
    }
    if (fault_choose_crash(getenv("TXKV_CRASH")) < 0) {
        fprintf(stderr, "txkv-server: TXKV_CRASH=%s: not a point and a number, such as batch_written:3\n", getenv("TXKV_CRASH"));
        return 2;
    }
#endif
    return server_run(&options);
}
