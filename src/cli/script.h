/* script: commands from a pipe or a file. */
#ifndef TXKV_CLI_SCRIPT_H
#define TXKV_CLI_SCRIPT_H

#include "txkv.h"

/* Runs the lines that come from fd until its end or QUIT, and prints their answers in order; an exit status.
 *
 * Lines go to the server as they are, wrong ones too: the server then fails the transaction they stand in, so that
 * never half of what was meant is committed. For the same reason a lost connection, or a line that cannot be sent, ends
 * the script: what follows might belong to a transaction that is gone. */
int script_run(struct txkv *c, int fd);

#endif
