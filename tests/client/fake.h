/* fake: a server that follows a script, in a process of its own. It proves what the client sends, and answers what no
 * real server would.
 *
 * A script is a list of steps, ended by NULL:
 *      "> line"   the client must send this line, ended by CRLF; $ID at its end stands for any word, the same each time,
 *                 $NEW for any but that, which is $ID from then on
 *      "< line"   sends the line and CRLF
 *      "<<text"   sends the text without a line end
 *      "close"    closes the connection
 *      "reset"    drops it, so that the client gets an error rather than an end
 *      "accept"   waits for the next connection
 *      "hang"     waits until the client closes, whatever it sends
 *      "pause"    waits for fake_go_on
 *      "stall"    waits until something has come, and does not read it
 * At the end of the script the client must close without sending anything more. */
#ifndef TXKV_TEST_FAKE_H
#define TXKV_TEST_FAKE_H

#include <stddef.h>
#include <sys/types.h>

struct fake {
    pid_t pid;
    int port;
};

/* Starts a server on a free port of 127.0.0.1. It sends chunk bytes at a time with a pause between, or all at once if
 * chunk is 0. */
struct fake fake_start(const char *const *script, size_t chunk);

/* Waits until it has come to a "pause", and ends that. */
void fake_go_on(struct fake f);

/* Waits for its end and checks that the client kept to the script. */
void fake_end(struct fake f);

#endif
