#include "dump.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "command.h"
#include "hash.h"
#include "mem.h"
#include "replay.h"
#include "report.h"

/* --- reading into a store --- */

static void on_reset(void *arg)
{
    replay_reset(arg);
}

static int on_payload(void *arg, uint64_t seq, struct slice payload)
{
    return replay_add(arg, seq, payload);
}

/* --- writing --- */

struct dump {
    uint64_t written;
    uint64_t left_out;
    size_t longest_key; /* of those that were written */
    size_t longest_value;
    uint64_t now_ms; /* Unix time */
};

static bool is_text_value(struct slice value)
{
    return value.len == 0 || (memchr(value.data, '\r', value.len) == NULL && memchr(value.data, '\n', value.len) == NULL);
}

static int write_entry(struct entry *e, void *arg)
{
    struct dump *d = arg;
    struct slice key = entry_key(e);
    struct slice value = entry_value(e);
    if (entry_is_gone(e, d->now_ms)) {
        return 0;
    }
    if (!command_is_text_key(key) || !is_text_value(value)) {
        d->left_out++;
        return 0;
    }
    bool ends = entry_expires_at(e) > 0;
    fputs(ends ? "SETEX " : "SET ", stdout);
    fwrite(key.data, 1, key.len, stdout);
    fputc(' ', stdout);
    if (ends) {
        printf("%" PRIu64 " ", (entry_expires_at(e) - d->now_ms + 999) / 1000);
    }
    fwrite(value.data, 1, value.len, stdout);
    fwrite("\r\n", 1, 2, stdout);
    d->written++;
    d->longest_key = key.len > d->longest_key ? key.len : d->longest_key;
    d->longest_value = value.len > d->longest_value ? value.len : d->longest_value;
    return ferror(stdout) ? -1 : 0;
}

static enum check_status write_all(const struct store *st, enum check_status status)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    struct dump d = {.now_ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000};
    dict_each(&st->current->dict, write_entry, &d);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        fprintf(stderr, "txkv-check: the dump could not be written\n");
        return CHECK_NOT_READ;
    }
    if (d.left_out > 0) {
        fprintf(stderr, "txkv-check: %" PRIu64 " keys left out: a line of text cannot hold them or their values\n", d.left_out);
    }
    fprintf(stderr, "%" PRIu64 " keys written; the longest key has %zu bytes, the longest value %zu\n", d.written, d.longest_key, d.longest_value);
    return d.left_out > 0 && status == CHECK_CLEAN ? CHECK_DAMAGED : status;
}

static enum check_status read_and_write(struct disk_dir *dir, struct replay *replay)
{
    const struct recover_sink sink = {on_reset, on_payload, on_payload, NULL, replay};
    struct reading r;
    long holder;
    reading_run(&r, &dir->disk, disk_dir_is_locked(dir, &holder) < 0, &sink);
    enum check_status status = report_verdict(&r, NULL, stderr);
    if (status == CHECK_NOT_READ) {
        return status;
    }
    if (replay_finish(replay) < 0) {
        fprintf(stderr, "txkv-check: no memory for the data\n");
        return CHECK_NOT_READ;
    }
    return write_all(replay->store, status);
}

enum check_status dump_run(struct disk_dir *dir)
{
    static const struct store_limits limits = {.history_bytes = SIZE_MAX};
    static struct store store;
    struct replay replay;
    enum check_status status = CHECK_NOT_READ;
    if (hash_init() < 0 || store_init(&store, &limits, STORE_PARTITION_BITS) < 0) {
        fprintf(stderr, "txkv-check: no memory, or no source of random bytes\n");
        return status;
    }
    if (replay_init(&replay, &store) == 0) {
        status = read_and_write(dir, &replay);
    } else {
        fprintf(stderr, "txkv-check: no memory\n");
    }
    replay_deinit(&replay);
    store_deinit(&store);
    mem_chunk_drain();
    return status;
}
