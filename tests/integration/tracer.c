#include "tracer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

#define ARGS_MAX 48

/* Whether strace can do here what it is to do. */
static void need_strace(void)
{
    if (system("strace -D -f --seccomp-bpf -o /dev/null -e trace=fdatasync true >/dev/null 2>&1") != 0) {
        check_skip("strace is not here, or may not trace");
    }
}

/* A process that is traced cannot look for its own leaks. */
static void spare_leaks(void)
{
#ifdef TXKV_SANITIZED
    const char *before = getenv("ASAN_OPTIONS");
    char options[4096];
    snprintf(options, sizeof(options), "%s:detect_leaks=0", before == NULL ? "" : before);
    setenv("ASAN_OPTIONS", options, 1);
#endif
}

void tracer_start(struct server *s, const char *data, const char *what, const char *calls, const char *const *args)
{
    char trace[256];
    char first[256] = "";
    const char *second = what == NULL ? NULL : strchr(what, ' ');
    const char *all[ARGS_MAX + 3] = {"--data", check_path(data)};
    snprintf(trace, sizeof(trace), "trace=%s", calls);
    if (what != NULL) {
        snprintf(first, sizeof(first), "%.*s", (int)(second == NULL ? strlen(what) : (size_t)(second - what)), what);
    }
    const char *before[] = {"strace", "-D", "-f", "--seccomp-bpf", "-q", "-o", check_path("trace"), "-e", trace,
                            what == NULL ? NULL : "-e", first, second == NULL ? NULL : "-e", second == NULL ? NULL : second + 1, NULL};
    for (size_t i = 0; args[i] != NULL && i < ARGS_MAX; i++) {
        all[i + 2] = args[i];
    }
    need_strace();
    spare_leaks();
    server_start_with(s, &(struct server_setup){.args = all, .before = before, .on_data = true});
}

struct reading {
    struct text *trace;
    char last[64]; /* with which strace ends */
};

static bool is_whole(void *arg)
{
    struct reading *r = arg;
    char bytes[4096];
    FILE *file = fopen(check_path("trace"), "r");
    r->trace->len = 0;
    for (size_t got; file != NULL && (got = fread(bytes, 1, sizeof(bytes), file)) > 0;) {
        text_add(r->trace, bytes, got);
    }
    if (file != NULL) {
        fclose(file);
    }
    text_add(r->trace, "", 1);
    return strstr(r->trace->data, r->last) != NULL;
}

void tracer_read(const struct server *s, struct text *trace)
{
    struct reading r = {.trace = trace};
    snprintf(r.last, sizeof(r.last), "%-5d +++ ", (int)s->pid); /* exited with, or killed by */
    check_until(is_whole, &r, 20000, "strace has written what it saw");
}
