/* show: answers on standard output. */
#ifndef TXKV_CLI_SHOW_H
#define TXKV_CLI_SHOW_H

#include "txkv.h"

/* Prints the lines of an answer. At a terminal, bytes that could command it are shown as \xHH; elsewhere they are as
 * they came. */
void show_reply(const struct txkv_reply *reply);

/* Whether a code means that there is no connection any more. */
bool show_is_lost(int code);

#endif
