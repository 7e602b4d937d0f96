/* options: the command line of txkv-server. One table gives parsing, --help and the documents. */
#ifndef TXKV_OPTIONS_H
#define TXKV_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

#define OPTIONS_BINDS_MAX 16

enum options_sync { SYNC_COMMIT, SYNC_INTERVAL, SYNC_NONE };
enum options_writer { WRITER_AUTO, WRITER_KERNEL, WRITER_THREAD };

struct options {
    const char *binds[OPTIONS_BINDS_MAX]; /* addresses; none: 127.0.0.1 and ::1 */
    size_t bind_count;
    size_t port; /* 0 = one that is free */
    const char *unix_path;
    const char *password_file; /* NULL: no password, and strangers are refused */
    bool serializable; /* what a bare BEGIN opens */
    bool quiet_transactions;
    const char *data; /* directory for the log and checkpoints; NULL: memory only */
    enum options_sync sync;
    enum options_writer log_writer;
    size_t segment_bytes;
    size_t checkpoint_log_bytes;
    const char *backup_dir; /* NULL: no backups */
    size_t outcome_keep_seconds;
    size_t outcome_max; /* transactions with an ID that are remembered */
    size_t max_connections; /* 0 = as many as descriptors allow, at most 10,000 */
    size_t max_memory;
    size_t history_max;
    size_t key_max;
    size_t value_max;
    size_t tx_bytes;
    size_t tx_keys;
    size_t answer_max;
    size_t pending_max;
    size_t unread_seconds;
    size_t partial_seconds;
    size_t tx_idle_seconds;
};

enum options_result {
    OPTIONS_RUN,   /* start the server */
    OPTIONS_DONE,  /* --help or --version was answered: exit 0 */
    OPTIONS_WRONG, /* one line went to stderr: exit 2 */
};

/* Reads the command line into o, defaults included. Strings are borrowed from argv. */
enum options_result options_parse(struct options *o, int argc, char **argv);

#endif
