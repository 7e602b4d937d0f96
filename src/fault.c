#include "fault.h"

#ifdef TXKV_FAULTS
#include <string.h>

static int chosen = -1;

static const char *const names[FAULT_COUNT] = {
#define X(name, text) #name,
    FAULT_TABLE(X)
#undef X
};

bool fault_is_on(enum fault fault)
{
    return chosen == (int)fault;
}

int fault_choose(const char *name)
{
    chosen = -1;
    if (name == NULL || name[0] == '\0') {
        return 0;
    }
    for (int i = 0; i < FAULT_COUNT; i++) {
        if (strcmp(names[i], name) == 0) {
            chosen = i;
            return 0;
        }
    }
    return -1;
}
#else
typedef int fault_none; /* a file must declare something */
#endif
