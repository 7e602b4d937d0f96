/* history_file: the lines typed in earlier sessions, a plain text file with one line each. Only its owner can read it.
 *
 * A line is appended as soon as it is typed, so nothing is lost with the terminal, and sessions side by side do not
 * overwrite each other. Failing to keep history is never a reason to stop: all failures are silent. */
#ifndef TXKV_CLI_HISTORY_FILE_H
#define TXKV_CLI_HISTORY_FILE_H

#define HISTORY_LINES 1000 /* kept when a session starts */

/* Calls on_line for the last HISTORY_LINES lines, the oldest first, and shortens the file if it has grown to more than
 * twice that. */
void history_file_load(void (*on_line)(const char *line, void *ctx), void *ctx);

/* Appends a line, creating the file with mode 0600. */
void history_file_append(const char *line);

#endif
