/* err: the one table of error codes. An error is a negative value of enum err; 0 is success. */
#ifndef TXKV_ERR_H
#define TXKV_ERR_H

/* X(name, "what it means, as the documents print it"). The name is the word that follows ERR on the wire. */
#define ERR_TABLE(X)                                                                                                   \
    X(SYNTAX, "the line is not a command as the table of commands wants it")                                           \
    X(UNKNOWN, "there is no command of that name")                                                                     \
    X(NOTX, "COMMIT or ROLLBACK without an open transaction")                                                          \
    X(INTX, "BEGIN inside a transaction; the open one goes on")                                                        \
    X(CONFLICT, "a key read by this SERIALIZABLE transaction was changed since; retry it")                             \
    X(ABORTED, "an earlier command of this transaction failed; nothing of it is applied")                              \
    X(EXPIRED, "the transaction was ended by the server to free its snapshot; retry it")                               \
    X(DONE, "a transaction of that ID has committed; OUTCOME tells")                                                   \
    X(TOOBIG, "over a limit in bytes or in number")                                                                    \
    X(FULL, "no memory, or no place for a further connection")                                                         \
    X(READONLY, "a write where only reads are allowed")                                                                \
    X(DENIED, "this client may not use this server")                                                                   \
    X(NOTINT, "the value is not a signed 64-bit integer")                                                              \
    X(OVERFLOW, "the result does not fit into a signed 64-bit integer")                                                \
    X(DISK, "the disk that this needs is not there, or failed")                                                        \
    X(BINARY, "the value holds CR or LF, which this protocol cannot carry")

enum err_ordinal {
#define X(name, text) ERR_ORDINAL_##name,
    ERR_TABLE(X)
#undef X
    ERR_COUNT
};

enum err {
#define X(name, text) ERR_##name = -(ERR_ORDINAL_##name + 1),
    ERR_TABLE(X)
#undef X
};

/* The word of an error code ("SYNTAX"), a constant string. */
const char *err_word(int err);

/* What an error code means, one line, a constant string. */
const char *err_text(int err);

#endif
