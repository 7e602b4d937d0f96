/* txkv-cli: a command from the command line, or commands from standard input, to a server and its answers back. */
#include <stdio.h>
#include <unistd.h>

#include "args.h"
#include "once.h"
#include "prompt.h"
#include "script.h"
#include "txkv.h"

static int run(struct txkv *c, const struct args *a)
{
    if (a->command_len > 0) {
        return once_run(c, a->command, a->command_len);
    }
    if (isatty(STDIN_FILENO) && isatty(STDOUT_FILENO)) {
        return prompt_run(c);
    }
    return script_run(c, STDIN_FILENO);
}

int main(int argc, char **argv)
{
    struct args args;
    switch (args_parse(&args, argc, argv)) {
    case ARGS_DONE:
        return fflush(stdout) == 0 ? EXIT_ANSWERED : EXIT_ERR;
    case ARGS_WRONG:
        return EXIT_USAGE;
    case ARGS_RUN:
        break;
    }
    struct txkv *c;
    int rc = args.unix_path == NULL ? txkv_connect(&c, args.host, args.port, args.timeout_ms)
                                    : txkv_connect_unix(&c, args.unix_path, args.timeout_ms);
    int status = EXIT_LOST;
    if (rc == TXKV_OK) {
        status = run(c, &args);
    } else {
        fprintf(stderr, "txkv-cli: %s\n", txkv_errmsg(c));
        status = rc == TXKV_ERR_ARG ? EXIT_USAGE : EXIT_LOST;
    }
    txkv_close(c);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        fprintf(stderr, "txkv-cli: the answers could not be written\n");
        status = status == EXIT_ANSWERED ? EXIT_ERR : status;
    }
    return status;
}
