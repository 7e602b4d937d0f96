/* tracer: a server run by strace, which makes its system calls fail, delays or lists them. Checks that need it are skipped where
 * strace is not installed or may not trace. */
#ifndef TXKV_INTEGRATION_TRACER_H
#define TXKV_INTEGRATION_TRACER_H

#include "server_fixture.h"
#include "text.h"

/* Starts one on the data directory check_path(data). what: strace's expression after -e, "inject=fdatasync:error=EIO:when=3" say (it counts
 * in each thread by itself), two of them with a space between, or NULL. calls: the system calls that the trace lists. The server is the check's own child, as always. */
void tracer_start(struct server *s, const char *data, const char *what, const char *calls, const char *const *args);

/* What strace has written of the server, which has ended; the caller frees it. Ended by NUL. */
void tracer_read(const struct server *s, struct text *trace);

#endif
