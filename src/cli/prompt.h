/* prompt: commands from a person at a terminal. */
#ifndef TXKV_CLI_PROMPT_H
#define TXKV_CLI_PROMPT_H

#include "txkv.h"

/* Runs the prompt until Ctrl-D, QUIT or EXIT; an exit status. */
int prompt_run(struct txkv *c);

#endif
