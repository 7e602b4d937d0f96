#include "test_check.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int failures;
char *written;

static size_t written_size;

void check_text(const char *found, const char *expected)
{
    if (strcmp(found, expected) != 0) {
        printf("'%s', not '%s'\n", found, expected);
        failures++;
    }
}

FILE *writing(void)
{
    free(written);
    written = NULL;
    FILE *f = open_memstream(&written, &written_size);
    assert(f != NULL);
    return f;
}

int check_run(void (*const tests[])(void), size_t n)
{
    for (size_t i = 0; i < n; i++) {
        tests[i]();
    }
    free(written);
    printf("%zu tests, %d failures\n", n, failures);
    return failures > 0;
}
