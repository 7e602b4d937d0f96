#include "fault.h"

#ifdef TXKV_FAULTS
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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

static const char *const points[CRASH_COUNT] = {
#define X(name) #name,
    CRASH_TABLE(X)
#undef X
};

static int chosen_point = -1;
static long passes_left;

void fault_pass(enum crash_point point)
{
    if (chosen_point == (int)point && __atomic_sub_fetch(&passes_left, 1, __ATOMIC_RELAXED) == 0) {
        kill(getpid(), SIGKILL);
    }
}

int fault_choose_crash(const char *where)
{
    chosen_point = -1;
    if (where == NULL || where[0] == '\0') {
        return 0;
    }
    const char *colon = strchr(where, ':');
    for (int i = 0; i < CRASH_COUNT && colon != NULL; i++) {
        size_t len = strlen(points[i]);
        if (len == (size_t)(colon - where) && memcmp(points[i], where, len) == 0) {
            chosen_point = i;
            passes_left = strtol(colon + 1, NULL, 10);
            return passes_left > 0 ? 0 : -1;
        }
    }
    return -1;
}
#else
typedef int fault_none; /* a file must declare something */
#endif
