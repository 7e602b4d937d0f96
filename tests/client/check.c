#include "check.h"

int check_failures;

bool check_that(bool ok, const char *what, const char *file, int line)
{
    if (!ok) {
        check_failures++;
        fprintf(stderr, "%s:%d: not so: %s\n", file, line, what);
    }
    return ok;
}

bool check_text(const char *got, const char *want, const char *file, int line)
{
    bool ok = got != NULL && strcmp(got, want) == 0;
    if (!ok) {
        check_failures++;
        fprintf(stderr, "%s:%d: got \"%s\", want \"%s\"\n", file, line, got == NULL ? "(null)" : got, want);
    }
    return ok;
}

bool check_number(long long got, long long want, const char *what, const char *file, int line)
{
    if (got != want) {
        check_failures++;
        fprintf(stderr, "%s:%d: %s is %lld, want %lld\n", file, line, what, got, want);
    }
    return got == want;
}

int check_run(const struct test *tests, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        int before = check_failures;
        tests[i].run();
        printf("%s %s\n", check_failures == before ? "ok    " : "FAILED", tests[i].name);
        fflush(stdout);
    }
    printf("%zu tests, %d failed checks\n", count, check_failures);
    return check_failures == 0 ? 0 : 1;
}
