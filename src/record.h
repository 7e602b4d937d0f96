/* record: how commits lie in files. This is the definition of the format; docs/durability.md explains it.
 *
 * Every number is little-endian. check(bytes) is XXH3-64 (xxHash 0.8, seed 0) of them; keyed(bytes) is the same with the id of
 * the data directory for a seed, so that nothing that a client writes can look like a record's header.
 *
 * A file is a header and records one after another; in a segment of the log, zeros follow to its end.
 *
 *      file header, 64 bytes                               record, 48 bytes and its payload
 *       0  8  "TXKVLOG\0" or "TXKVCHK\0"                    0  8  keyed(bytes 8 to 47)
 *       8  4  format version: 2                             8  4  length of the payload, bytes
 *      12  4  bytes of this header: 64                     12  4  kind: 1 commit, 2 marker, 3 part, 4 end
 *      16  8  id of the data directory, random             16  8  sequence number
 *      24  8  number of the segment; 0 in a checkpoint     24  8  highest sequence number known on disk when it was
 *      32  8  sequence number: of the last commit before              handed to the disk; 0 in a checkpoint
 *             the segment; of the checkpoint               32  8  chain: check of the record before it in the file, of the
 *      40  8  chain: check of the last record before                  file header for the first
 *             the segment; 0 in a checkpoint, and where    40  8  check(payload)
 *             none came before                             48     payload
 *      48  8  Unix time of writing, seconds
 *      56  8  check(bytes 0 to 55)
 *
 * A record is valid where it lies whole in the file, both checks hold, its kind belongs into the file, the chain is right,
 * and the sequence number is: a commit's the last one plus 1; a marker's the last one; of a part and an end, the
 * checkpoint's.
 *
 * A commit is one record however many keys it changes, so there is no half of one. A marker, without payload, says that all
 * before it is on disk. A checkpoint is parts, and an end whose payload is the number of keys, 8 bytes: without its end it
 * is not whole.
 *
 * A payload of a commit or a part is operations, one after another. A length is a varint: 7 bits a byte, lowest first, the
 * top bit set on all but the last, in as few bytes as it takes.
 *
 *       1  put      length of the key, length of the value, key, value
 *       2  delete   length of the key, key
 *       3  flush    removes all keys
 *       4  outcome  length of the token, Unix time of the commit in seconds (8 bytes), token: that transaction committed
 *       5  put      of an entry that ends: length of the key, length of the value, Unix time of its end in milliseconds
 *                   (8 bytes, not 0), key, value
 *
 * Format 1 had no operation 5, and is read as format 2 is. */
#ifndef TXKV_RECORD_H
#define TXKV_RECORD_H

#include <stdint.h>

#include "buf.h"

#define RECORD_FORMAT 2U       /* that is written */
#define RECORD_FORMAT_OLDEST 1U /* that is read */
#define FILE_HEADER_BYTES ((size_t)64)
#define RECORD_HEADER_BYTES ((size_t)48)
#define RECORD_OP_BYTES_MAX ((size_t)24) /* of one operation, beside its key, value or token */
#define RECORD_BYTES_MAX ((size_t)UINT32_MAX)

enum file_kind { FILE_LOG, FILE_CHECKPOINT };

struct file_header {
    enum file_kind kind;
    uint64_t id;
    uint64_t number;
    uint64_t seq;
    uint64_t chain;
    uint64_t time;
    uint64_t check; /* filled when it is written or read */
};

enum file_header_found {
    FILE_HEADER_GOOD,
    FILE_HEADER_ZERO,    /* a segment made ahead and not yet used */
    FILE_HEADER_BAD,     /* damaged, or no file of txkv's */
    FILE_HEADER_UNKNOWN, /* of a format version that this program does not know; *version says which */
};

void file_header_write(struct file_header *h, char bytes[FILE_HEADER_BYTES]);
enum file_header_found file_header_read(struct file_header *h, const char bytes[FILE_HEADER_BYTES], uint32_t *version);

enum record_kind { RECORD_COMMIT = 1, RECORD_MARKER = 2, RECORD_PART = 3, RECORD_END = 4 };

struct record_header {
    uint64_t check;
    uint32_t length;
    uint32_t kind; /* enum record_kind, or what stands there instead */
    uint64_t seq;
    uint64_t synced;
    uint64_t chain;
    uint64_t payload_check;
};

/* --- making one: begin, its operations, end; all append to b. 0, or -1 without memory. After a buf_reserve of enough bytes
 * they cannot fail. --- */

int record_begin(struct buf *b, enum record_kind kind, uint64_t seq);
int record_put(struct buf *b, struct slice key, struct slice value, uint64_t expires_at); /* Unix milliseconds; 0: never */
int record_delete(struct buf *b, struct slice key);
int record_flush(struct buf *b);
int record_outcome(struct buf *b, struct slice token, uint64_t time);
int record_count(struct buf *b, uint64_t keys); /* the payload of an end */

/* Ends the record that began when b held `start` bytes. */
void record_end(struct buf *b, size_t start);

/* A marker, not yet sealed. */
void record_marker(char bytes[RECORD_HEADER_BYTES], uint64_t seq);

/* Fills in what is known only when it goes to the disk, the checks too: of each record in size bytes, which are whole
 * records. id: of the data directory. Returns the chain for what follows, given that of what came before. */
uint64_t record_seal(char *bytes, size_t size, uint64_t id, uint64_t synced, uint64_t chain);

/* --- reading --- */

/* Reads a header; false where its check is wrong. */
bool record_header_read(struct record_header *h, const char bytes[RECORD_HEADER_BYTES], uint64_t id);

/* Whether the payload that the header announces is undamaged. */
bool record_payload_holds(const struct record_header *h, const char *payload);

enum record_op_kind { RECORD_PUT = 1, RECORD_DELETE = 2, RECORD_FLUSH = 3, RECORD_OUTCOME = 4 };

struct record_op {
    enum record_op_kind kind;
    struct slice key; /* or token */
    struct slice value;
    uint64_t time; /* of an outcome; when what is put ends, 0 for never */
};

/* Takes the next operation from the front of a payload: 1, 0 at its end, -1 where it is none. Slices point into it. */
int record_next(struct slice *payload, struct record_op *op);

#endif
