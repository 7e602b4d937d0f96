/* fault: deliberate bugs, to prove that the tests see them. They exist in the test build alone (TXKV_FAULTS), where the
 * environment variable TXKV_FAULT names the one that is on; elsewhere FAULT(x) is the constant false. */
#ifndef TXKV_FAULT_H
#define TXKV_FAULT_H

#include <stdbool.h>

/* X(name, "what goes wrong with it") */
#define FAULT_TABLE(X)                                                                                                 \
    X(sparse_memory_stays, "entries that are left in sparse memory stay there")                                        \
    X(no_read_validation, "COMMIT of a SERIALIZABLE transaction checks nothing")                                       \
    X(validation_by_value, "COMMIT compares values, not versions")                                                     \
    X(snapshot_not_honoured, "a transaction reads the newest data")                                                    \
    X(half_commit_visible, "COMMIT shows half of its writes one tick before the rest")                                 \
    X(tombstone_ignored, "a read looks through a deletion in the shadow map")                                          \
    X(deletes_not_versioned, "a deletion leaves no tombstone behind")                                                  \
    X(history_dropped, "an old version is freed although a snapshot needs it")                                         \
    X(absence_not_marked, "a read that finds nothing leaves no mark")                                                  \
    X(failed_transaction_commits, "COMMIT of a failed transaction applies what came before the error")                 \
    X(split_sensitive, "a line that arrives in two pieces loses a byte")                                               \
    X(no_output_limit, "a client that does not read is served without bound")                                          \
    X(answers_wait_for_more, "few answers wait for further ones, come what may")                                       \
    X(no_line_limit, "an over-long line is kept whole")                                                                \
    X(no_history_limit, "old versions are kept however much they take")                                                \
    X(history_swept_by_count, "over twice its limit the history is swept no faster")                                   \
    X(sweep_not_scaled, "the work that waits is done in equal slices, however much was written")                       \
    X(flushes_pile_up, "FLUSH frees nothing itself")                                                                   \
    X(acknowledged_early, "answers do not wait for the disk")                                                          \
    X(loop_always_writes, "the loop writes and syncs whatever waits")                                                  \
    X(loop_never_sleeps, "the loop stays awake for a single client although nothing comes")                            \
    X(names_not_synced, "a directory is not synced after a file got its name")                                         \
    X(checksum_not_checked, "what a file holds is believed whatever its checks say")                                   \
    X(chain_not_checked, "a record is believed wherever it stands")                                                    \
    X(checkpoint_blurred, "a checkpoint holds what each key has when its turn comes")                                  \
    X(backup_named_early, "a backup has its name before it is whole")                                                  \
    X(backup_name_not_synced, "the directory of all backups is not synced after one got its name")                      \
    X(segment_deleted_early, "segments of the log go although the older checkpoint needs them")                        \
    X(sync_forgotten, "a sync that is wanted while the log is being written is forgotten")                              \
    X(earlier_writes_believed, "a write that was synced is believed to have synced those before it")                   \
    X(short_write_believed, "a write that went on by itself is believed to be whole")                                  \
    X(loans_forgotten, "a value that was lent to an answer and changes before it is sent is lost")                     \
    X(slow_kernel_kept, "the kernel writes the log although a thread is faster")                                       \
    X(sync_tried_again, "a sync that failed is tried again, and believed")                                             \
    X(looked_at_once, "txkv-check takes what it finds beside a server for what stays")                                 \
    X(space_not_noticed, "a full disk is full for ever")                                                               \
    X(backups_among_data, "backups may go where the log is")                                                           \
    X(time_ignored, "a key is there although its time has passed")                                                      \
    X(end_not_validated, "COMMIT does not see that the time of a key that was read has passed")                        \
    X(removal_is_change, "COMMIT takes the removal of a key that was read as absent for a change")                     \
    X(end_not_recorded, "the log does not say when a key ends")                                                        \
    X(end_not_in_checkpoint, "a checkpoint does not say when a key ends")                                              \
    X(outcome_not_recorded, "what became of a transaction with an ID is not written down")                             \
    X(outcome_not_in_checkpoint, "a checkpoint leaves out what became of transactions")                                \
    X(scan_forgets_growth, "SCAN counts the buckets of a table upwards")                                               \
    X(listing_blurred, "KEYS lists what there is when the turn of a bucket comes")                                     \
    X(long_commands_at_once, "a tick runs the long commands of all clients")                                           \
    X(password_not_asked, "who has not said the password is served")                                                   \
    X(pause_not_kept, "commands run although clients are paused")

/* Places in the way of a commit, and of a checkpoint, at which a test can end the process: X(name). */
#define CRASH_TABLE(X)                                                                                                 \
    X(commit_recorded)                                                                                                 \
    X(batch_taken)                                                                                                     \
    X(batch_write)                                                                                                     \
    X(batch_written)                                                                                                   \
    X(batch_synced)                                                                                                    \
    X(batch_done)                                                                                                      \
    X(answers_sent)                                                                                                    \
    X(segment_create)                                                                                                  \
    X(segment_zeroed)                                                                                                  \
    X(segment_renamed)                                                                                                 \
    X(checkpoint_create)                                                                                               \
    X(checkpoint_part)                                                                                                 \
    X(checkpoint_synced)                                                                                               \
    X(checkpoint_renamed)                                                                                              \
    X(checkpoint_trimmed)                                                                                              \
    X(log_trimmed)

enum crash_point {
#define X(name) CRASH_##name,
    CRASH_TABLE(X)
#undef X
    CRASH_COUNT
};

enum fault {
#define X(name, text) FAULT_##name,
    FAULT_TABLE(X)
#undef X
    FAULT_COUNT
};

#ifdef TXKV_FAULTS
bool fault_is_on(enum fault fault);
/* Chooses the fault of this process; NULL or "" for none. Returns -1 for an unknown name. */
int fault_choose(const char *name);
#define FAULT(name) fault_is_on(FAULT_##name)
/* Kills this process (SIGKILL) when it comes to the chosen point for the nth time. */
void fault_pass(enum crash_point point);
/* Chooses it by "name:n", n from 1; NULL or "" for none. Returns -1 for what is none. */
int fault_choose_crash(const char *where);
#define CRASH_POINT(name) fault_pass(CRASH_##name)
#else
#define FAULT(name) false
#define CRASH_POINT(name) ((void)0)
#endif

#endif
