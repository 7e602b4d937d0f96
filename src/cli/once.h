/* once: one command from the command line, for scripts. */
#ifndef TXKV_CLI_ONCE_H
#define TXKV_CLI_ONCE_H

#include "txkv.h"

/* Runs the command of count words, 1 or more, and prints its answer; an exit status. */
int once_run(struct txkv *c, char **words, size_t count);

#endif
