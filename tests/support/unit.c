/* The main of every unit test. Criterion calls it a success when no test at all has run; here it is a failure. Each
 * test runs in a process of its own that does not come through main, so what all need is done by a constructor. */
#include <criterion/criterion.h>
#include <criterion/hooks.h>
#include <criterion/options.h>
#include <stdio.h>
#include <stdlib.h>

#include "fault.h"
#include "hash.h"

static size_t tests_run;

ReportHook(POST_ALL)(struct criterion_global_stats *stats)
{
    tests_run = stats->nb_tests - stats->tests_skipped;
}

__attribute__((constructor)) static void prepare(void)
{
    if (hash_init() < 0 || fault_choose(getenv("TXKV_FAULT")) < 0) {
        fprintf(stderr, "no random source, or no fault of that name\n");
        exit(99);
    }
}

int main(int argc, char **argv)
{
    int rc = 0;
    struct criterion_test_set *tests = criterion_initialize();
    criterion_options.jobs = 1;
    if (criterion_handle_args(argc, argv, true) != 0) {
        rc = criterion_run_all_tests(tests) != 0 ? 0 : 1;
        if (tests_run == 0) {
            fprintf(stderr, "no test has run\n");
            rc = 1;
        }
    }
    criterion_finalize(tests);
    return rc;
}
