/* directory: data directories for the tests of txkv-check: made by the server, damaged by hand, read by both. */
#ifndef TXKV_CHECK_DIRECTORY_H
#define TXKV_CHECK_DIRECTORY_H

#include <stddef.h>
#include <stdint.h>

#include "server_fixture.h"

/* Commits 1 to 60 are one SET each, of the keys k01 to k60 with values of 8,000 bytes, in four segments or more. */
#define COMMITS 60
#define VALUE_BYTES 8000

struct directory {
    char path[256];
};

/* Where all directories of this run lie; removed by directory_root_remove. */
void directory_root_make(void);
void directory_root_remove(void);

/* A server makes it, and is stopped in order: there is a checkpoint of the last commit and the whole log. With `middle`, there
 * is one of commit 30 too, and the log from there on. */
void directory_make(struct directory *d, bool middle);

/* Starts a server on it. It may complain. */
void directory_serve(const struct directory *d, struct server *s);

/* A server starts on it and has the first `keys` keys, and no other; it takes one more commit and a checkpoint, and stops. */
void directory_expect(const struct directory *d, int keys);

/* A file's path, valid until the next call; the name of a checkpoint of that commit, and of that segment. */
const char *directory_file(const struct directory *d, const char *name);
const char *checkpoint_file(uint64_t seq);
const char *segment_file(uint64_t number);

bool directory_has(const struct directory *d, const char *name);
void directory_remove(const struct directory *d, const char *name);
void directory_flip(const struct directory *d, const char *name, uint64_t at);
void directory_write(const struct directory *d, const char *name, uint64_t at, const void *bytes, size_t size);

/* All about all files but the lock, as text owned by the caller: two that are equal are of directories that did not change. */
char *directory_picture(const struct directory *d);

/* Where a commit's record lies: the number of the segment, and its offset there. */
uint64_t directory_find(const struct directory *d, uint64_t seq, uint64_t *at);

/* The segment in which the log ends, and where its records end. */
uint64_t directory_end(const struct directory *d, uint64_t *at);

struct check_result {
    int status;
    char out[65536];
    char err[4096];
};

/* Runs txkv-check with arguments ended by NULL. */
void txkv_check(struct check_result *r, ...) __attribute__((sentinel));

#endif
