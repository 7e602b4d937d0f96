/* complete: what the Tab key offers, from the server's table of commands. */
#ifndef TXKV_CLI_COMPLETE_H
#define TXKV_CLI_COMPLETE_H

#include "slice.h"

#define COMPLETE_MAX 64

/* The words that the last, unfinished word of text may become, at most COMPLETE_MAX: names of commands for the first
 * word, and the fixed words that its usage names for the second. Returns their number; *word_len gets the length of the
 * unfinished word. The slices are constant. */
size_t complete_find(struct slice text, struct slice matches[COMPLETE_MAX], size_t *word_len);

/* How many bytes all matches have in common at their start; count is 1 or more. */
size_t complete_common(const struct slice *matches, size_t count);

#endif
