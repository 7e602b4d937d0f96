/* secret: the one password of a server, as a file holds it and as a client says it. */
#ifndef TXKV_SECRET_H
#define TXKV_SECRET_H

#include "slice.h"

#define SECRET_MAX 512 /* bytes of the longest password */

struct secret {
    char bytes[SECRET_MAX]; /* zeros behind its end */
    size_t len;
};

/* Takes bytes as a password; -1 where it is empty or too long. */
int secret_set(struct secret *secret, struct slice bytes);

/* Reads the first line of a file, its end (LF or CRLF) cut. Others must not be able to read or change the file. -1 with the
 * reason, which never quotes the file, in `why`, one line ended by NUL. */
int secret_read(struct secret *secret, const char *path, char *why, size_t size);

/* Whether what was said is the password. How long that takes does not depend on which bytes differ, or how many. */
bool secret_is(const struct secret *secret, struct slice said);

#endif
