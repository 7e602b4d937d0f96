/* options: the command line of txkv-check. One table gives parsing and --help. */
#ifndef TXKV_CHECK_OPTIONS_H
#define TXKV_CHECK_OPTIONS_H

#include <stdbool.h>

/* What an exit status means; --help prints it. */
enum check_status {
    CHECK_CLEAN = 0,    /* all is whole; or it was repaired */
    CHECK_DAMAGED = 1,  /* a torn tail, or damage; or --dump left something out */
    CHECK_NOT_READ = 2, /* wrong usage, or something could not be read or written, which says nothing of the data */
};

enum check_task { CHECK_VERIFY, CHECK_DUMP, CHECK_REPAIR };

struct check_options {
    const char *path; /* of the data directory; borrowed from argv */
    enum check_task task;
};

enum check_parsed {
    CHECK_RUN,
    CHECK_DONE,  /* --help or --version was answered */
    CHECK_WRONG, /* one line went to stderr */
};

enum check_parsed check_options_parse(struct check_options *o, int argc, char **argv);

#endif
