#include "durable.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hash.h"
#include "le.h"
#include "replay.h"

#define BITS 2 /* log2 of the partitions */
#define ID UINT64_C(0x7478)
#define TIME UINT64_C(1700000000)

static const struct store_limits limits = {.txn = {.bytes = 1 << 20, .keys = 1000}, .history_bytes = 1 << 20};

static void *must(void *ptr)
{
    if (ptr == NULL) {
        perror("durable");
        exit(99);
    }
    return ptr;
}

/* --- recovery into a store --- */

static void on_reset(void *arg)
{
    replay_reset(arg);
}

static int on_payload(void *arg, uint64_t seq, struct slice payload)
{
    return replay_add(arg, seq, payload);
}

static void store_make(struct store *st)
{
    if (store_init(st, &limits, BITS) < 0) {
        must(NULL);
    }
    st->outcomes.clock = TIME;
}

/* One for all recoveries, as its lists are large: nothing is left in it afterwards. */
static struct replay *replay_into(struct store *st)
{
    static struct replay replay;
    if (replay.ops == NULL && replay_init(&replay, st) < 0) {
        must(NULL);
    }
    replay.store = st;
    replay.last = 0;
    return &replay;
}

static enum recover_result read_disk(void *disk, const struct recover_sink *sink, struct recovery *found)
{
    return recover_read(disk, sink, found);
}

static enum recover_result read_into(struct store *st,
                                     enum recover_result (*read)(void *arg, const struct recover_sink *sink, struct recovery *found),
                                     void *arg, struct recovery *found)
{
    struct replay *replay = replay_into(st);
    const struct recover_sink sink = {on_reset, on_payload, on_payload, NULL, replay};
    enum recover_result result = read(arg, &sink, found);
    if (replay_finish(replay) < 0) {
        must(NULL);
    }
    return result;
}

struct durable_look durable_look_by(enum recover_result (*read)(void *arg, const struct recover_sink *sink, struct recovery *found),
                                    void *arg, const struct past *past)
{
    struct durable_look look = {0};
    struct store st;
    store_make(&st);
    look.result = read_into(&st, read, arg, &look.found);
    look.right = past_is_at(past, &st, look.found.last);
    store_deinit(&st);
    return look;
}

struct durable_look durable_look(struct sim_disk *disk, const struct past *past)
{
    return durable_look_by(read_disk, &disk->disk, past);
}

/* --- life and death --- */

void durable_init_on(struct durable *d, struct sim_disk *disk, struct durable_shape shape, uint64_t seed,
                     struct past *past, uint64_t acknowledged)
{
    static const unsigned char secret[HASH_SECRET_BYTES] =
        "the same in every run, so that the same seed is the same run";
    hash_init_known(secret);
    *d = (struct durable){.disk = disk, .shape = shape, .rng = {seed}, .past = *past, .acknowledged = acknowledged};
    d->now_ms = TIME * 1000;
    d->last_value = (uint32_t)(acknowledged > 0 ? 0x8000 | (seed & 0x7fff) : seed) << 16; /* not those of an earlier life */
    d->file.end.file = -1;
    buf_init(&d->rest);
    *past = (struct past){0};
}

void durable_init(struct durable *d, struct sim_disk *disk, struct durable_shape shape, uint64_t seed)
{
    static const struct past_data nothing;
    struct past past;
    past_init(&past, 0, &nothing);
    durable_init_on(d, disk, shape, seed, &past, 0);
}

void durable_kill(struct durable *d)
{
    if (d->up) {
        store_deinit(&d->store);
        journal_deinit(&d->journal);
        buf_deinit(&d->rest);
    }
    d->up = false;
    d->checkpointing = false;
    append_end(&d->file.end);
    append_end(&d->log.end);
    sim_disk_kill(d->disk);
}

void durable_deinit(struct durable *d)
{
    durable_kill(d);
    past_deinit(&d->past);
}

static bool begin_writing(struct durable *d)
{
    d->log = (struct log){.segment_bytes = d->shape.segment_bytes};
    d->disk->label = DURABLE_SETTLE;
    if (recover_settle(&d->disk->disk, &d->found, &d->log) < 0) {
        d->failures[DURABLE_SETTLE]++;
        return false;
    }
    d->log.id = d->log.id == 0 ? ID : d->log.id;
    d->made = d->log.number;
    journal_init(&d->journal, d->shape.segment_bytes, FILE_HEADER_BYTES, RECORD_HEADER_BYTES);
    d->journal.holds = d->shape.sync;
    d->journal.durable = d->log.last;
    store_use_journal(&d->store, &d->journal);
    return true;
}

static bool start(struct durable *d, bool repair)
{
    assert(!d->up);
    store_make(&d->store);
    d->disk->label = DURABLE_READ;
    d->result = read_into(&d->store, read_disk, &d->disk->disk, &d->found);
    bool taken = d->result == RECOVER_CLEAN || d->result == RECOVER_TORN || (d->result == RECOVER_DAMAGED && repair);
    d->failures[DURABLE_READ] += d->result == RECOVER_FAILED;
    /* Where a log that ends before the checkpoint is given up, the checkpoint counts. */
    uint64_t seq = d->found.last > d->found.checkpoint ? d->found.last : d->found.checkpoint;
    d->differs = taken && (!past_is_at(&d->past, &d->store, seq) || (!repair && seq < d->acknowledged));
    if (!taken || d->differs || !begin_writing(d)) {
        store_deinit(&d->store);
        sim_disk_kill(d->disk);
        return false;
    }
    past_forget(&d->past, seq);
    d->acknowledged = seq; /* whoever asks is shown it from now on */
    store_tell_time(&d->store, d->now_ms);
    d->checkpointed = d->found.checkpoint;
    d->up = true;
    d->stopped = false;
    return true;
}

bool durable_start(struct durable *d)
{
    return start(d, false);
}

bool durable_repair(struct durable *d)
{
    return start(d, true);
}

/* --- the log --- */

static void stop(struct durable *d)
{
    d->failures[DURABLE_WRITE]++;
    d->stopped = true;
}

/* With --sync none clients are told what may be lost; what was synced must not be. */
static void acknowledge(struct durable *d)
{
    uint64_t seq = d->shape.sync ? d->journal.durable : d->log.synced;
    d->acknowledged = seq > d->acknowledged ? seq : d->acknowledged;
}

static bool is_left(int rc)
{
    return rc == -EAGAIN || rc == -ENOTSUP;
}

/* As committer.c, now in one go and now by a write that goes on by itself; with --sync none some are synced, too. */
static int write_batch(struct durable *d, struct journal_batch *b)
{
    bool sync = d->shape.sync || rng_chance(&d->rng, 20);
    size_t size = buf_len(&b->bytes);
    if (rng_chance(&d->rng, 30) || !log_can_begin(&d->log, size, b->opens_stretch, sync)) {
        return log_write(&d->log, buf_head(&b->bytes), size, b->last, b->opens_stretch, sync, TIME);
    }
    int rc = log_begin(&d->log, buf_head(&b->bytes), size, b->last, sync);
    rc = rc < 0 ? rc : log_end(&d->log);
    return is_left(rc) ? log_flush(&d->log, sync) : rc;
}

void durable_write(struct durable *d)
{
    struct journal_batch b;
    if (d->stopped || !journal_has_batch(&d->journal)) {
        return;
    }
    journal_take(&d->journal, &b);
    d->disk->label = DURABLE_WRITE;
    int rc = write_batch(d, &b);
    if (rc < 0) {
        buf_deinit(&b.bytes);
        stop(d);
        return;
    }
    d->marked = false;
    journal_done(&d->journal, &b);
    store_settled(&d->store, d->journal.durable);
    acknowledge(d);
}

void durable_mark(struct durable *d)
{
    d->disk->label = DURABLE_WRITE;
    if (d->stopped || d->marked || d->log.end.file < 0 || journal_has_batch(&d->journal)) {
        return;
    }
    d->marked = true;
    if (log_mark(&d->log) < 0) {
        stop(d);
    } else {
        acknowledge(d);
    }
}

static void sync_log(struct durable *d)
{
    d->disk->label = DURABLE_WRITE;
    if (!d->stopped && log_sync(&d->log) < 0) {
        stop(d);
    } else if (!d->stopped) {
        acknowledge(d);
    }
}

void durable_make(struct durable *d)
{
    if (d->stopped || d->journal.spares > 0) {
        return;
    }
    d->disk->label = DURABLE_MAKE;
    const struct log shape = {.disk = &d->disk->disk, .segment_bytes = d->shape.segment_bytes};
    if (log_make(&shape, d->made + 1) < 0) {
        d->failures[DURABLE_MAKE]++;
        d->journal.no_space = true;
        return;
    }
    d->made++;
    journal_add_spare(&d->journal);
}

/* --- commits --- */

/* As tick and committer do it together: a commit waits for room, and is refused where none can be made. */
static bool admit(struct durable *d, size_t bytes)
{
    for (int turns = 0; turns < 4 && !d->stopped; turns++) {
        if (journal_admit(&d->journal, bytes) == JOURNAL_ADMITS) {
            return true;
        }
        durable_write(d);
        durable_make(d);
    }
    return false;
}

/* Most keys never end, some soon, some in an hour; few have ended. */
static uint64_t random_end(struct durable *d)
{
    uint32_t kind = rng_below(&d->rng, 100);
    uint64_t in_ms = kind < 90 ? rng_below(&d->rng, 100) : kind < 97 ? 3600000 : 0;
    return kind < 70 ? 0 : d->now_ms + in_ms;
}

static bool set(struct durable *d, struct txn *t, struct past_data *data)
{
    unsigned n = rng_below(&d->rng, PAST_KEYS);
    if (t == NULL && !admit(d, store_command_bytes(past_key(n).len + past_value(d->last_value + 1).len))) {
        return false;
    }
    struct slice key = past_key(n);
    struct slice value = past_value(++d->last_value);
    data->values[n] = d->last_value;
    data->ends[n] = random_end(d);
    return store_set_until(&d->store, t, key, hash_of(key), value, data->ends[n]) == 0;
}

static bool delete (struct durable *d, struct txn *t, struct past_data *data)
{
    unsigned n = rng_below(&d->rng, PAST_KEYS);
    if (t == NULL && !admit(d, store_command_bytes(past_key(n).len))) {
        return false;
    }
    struct slice key = past_key(n);
    data->values[n] = 0;
    data->ends[n] = 0;
    return store_delete(&d->store, t, key, hash_of(key)) == 0;
}

static bool flush(struct durable *d, struct txn *t, struct past_data *data)
{
    if (t == NULL && !admit(d, store_command_bytes(0))) {
        return false;
    }
    *data = (struct past_data){0};
    return store_flush(&d->store, t) == 0;
}

static bool transact(struct durable *d, struct past_data *data)
{
    struct txn t;
    struct past_data before = *data;
    enum txn_mode mode = rng_chance(&d->rng, 50) ? TXN_PLAIN : TXN_SERIALIZABLE;
    txn_init(&t);
    data->token = rng_chance(&d->rng, 50) ? ++d->last_value : 0;
    int begun = data->token == 0 ? store_begin(&d->store, &t, mode)
                                 : store_begin_id(&d->store, &t, mode, past_token(data->token));
    bool done = begun == 0;
    for (unsigned left = 1 + rng_below(&d->rng, 6); left > 0 && done; left--) {
        uint32_t kind = rng_below(&d->rng, 60);
        done = kind == 0 ? flush(d, &t, data) : kind < 18 ? delete (d, &t, data) : set(d, &t, data);
    }
    if (done && rng_chance(&d->rng, 90) && admit(d, store_commit_bytes(&t))) {
        return store_commit(&d->store, &t) == 0;
    }
    store_rollback(&d->store, &t);
    *data = before;
    return done;
}

/* --- time --- */

/* Takes what the record of a removal says over into the model: a key that has ended goes. */
static void note_removal(struct durable *d, uint64_t seq, struct slice payload)
{
    struct past_data data = *past_at(&d->past, d->past.newest);
    struct record_op op;
    unsigned n = 0;
    if (record_next(&payload, &op) != 1 || op.kind != RECORD_DELETE || payload.len > 0 || seq != d->past.newest + 1) {
        d->differs = true;
        return;
    }
    while (n < PAST_KEYS && !slice_equal(op.key, past_key(n))) {
        n++;
    }
    if (n == PAST_KEYS || data.values[n] == 0 || data.ends[n] == 0 || data.ends[n] > d->now_ms) {
        d->differs = true;
        return;
    }
    data.values[n] = 0;
    data.ends[n] = 0;
    data.token = 0;
    past_add(&d->past, &data);
}

/* The store removes what has ended: which keys, and in which order, stands in the journal. */
static void remove_ended(struct durable *d)
{
    const struct buf *pending = &d->journal.pending;
    uint64_t before = d->store.seq;
    (void)store_tend(&d->store);
    if (d->store.seq == before) {
        return;
    }
    size_t start = d->journal.opens_stretch ? d->journal.header : 0;
    struct slice left = slice_of(buf_head(pending), buf_len(pending));
    left = slice_of(left.data + start, left.len - start);
    while (left.len > 0 && !d->differs) {
        size_t length = le_get32(left.data + 8);
        uint64_t seq = le_get64(left.data + 16);
        if (seq > before) {
            note_removal(d, seq, slice_of(left.data + RECORD_HEADER_BYTES, length));
        }
        left = slice_of(left.data + RECORD_HEADER_BYTES + length, left.len - RECORD_HEADER_BYTES - length);
    }
    d->differs = d->differs || d->past.newest != d->store.seq;
}

bool durable_commit(struct durable *d)
{
    uint64_t before = d->store.seq;
    struct past_data data = *past_at(&d->past, before);
    data.token = 0;
    if (d->stopped) {
        return false;
    }
    uint32_t kind = rng_below(&d->rng, 100);
    bool done = kind < 55    ? set(d, NULL, &data)
                : kind < 70  ? delete (d, NULL, &data)
                : kind == 70 ? flush(d, NULL, &data)
                             : transact(d, &data);
    if (!done) {
        return false;
    }
    bool same = memcmp(data.values, past_at(&d->past, before)->values, sizeof(data.values)) == 0; /* no value is used twice */
    if (d->store.seq == before + 1) {
        past_add(&d->past, &data);
    } else if (d->store.seq != before || !same) {
        d->differs = true;
    }
    d->now_ms += rng_below(&d->rng, 5);
    store_tell_time(&d->store, d->now_ms);
    remove_ended(d);
    return true;
}

/* --- checkpoints --- */

static void begin(struct durable *d, struct disk *backups)
{
    d->checkpointing = true;
    d->backups = backups;
    d->backup = (struct backup){.dir = NULL};
    d->walked = false;
    d->begun = false;
    d->file = (struct checkpoint){.end = {.file = -1}, .seq = d->store.seq};
    store_walk_begin(&d->store);
}

void durable_checkpoint_begin(struct durable *d)
{
    begin(d, NULL);
}

void durable_backup_begin(struct durable *d, struct disk *backups, const char *name)
{
    begin(d, backups);
    d->backup_name = name;
}

static int end_checkpoint(struct durable *d, int rc)
{
    if (rc < 0) {
        checkpoint_abandon(&d->file);
        backup_drop(&d->backup);
        d->failures[d->disk->label]++;
    } else if (d->backups == NULL) {
        d->checkpointed = d->file.seq;
        d->checkpoints++;
    }
    store_walk_end(&d->store);
    buf_deinit(&d->rest);
    d->checkpointing = false;
    return rc;
}

static int begin_file(struct durable *d)
{
    int rc = d->backups == NULL ? 0 : backup_open(&d->backup, d->backups, d->backup_name);
    struct disk *target = d->backups == NULL ? &d->disk->disk : d->backup.dir;
    return rc < 0 ? rc : checkpoint_begin(&d->file, target, d->log.id, d->file.seq, TIME);
}

static int write_part(struct durable *d)
{
    int rc = 0;
    d->disk->label = d->backups == NULL ? DURABLE_CHECKPOINT : DURABLE_BACKUP;
    if (!d->begun) {
        d->begun = true;
        rc = begin_file(d);
    }
    if (rc == 0 && buf_len(&d->rest) > 0) {
        rc = checkpoint_write(&d->file, buf_head(&d->rest), buf_len(&d->rest));
    }
    buf_deinit(&d->rest);
    return rc;
}

static int finish(struct durable *d)
{
    uint64_t oldest;
    uint64_t segment = d->log.number;
    int rc = write_part(d);
    rc = rc < 0 ? rc : checkpoint_finish(&d->file);
    if (rc < 0 || d->backups != NULL) {
        return rc < 0 ? rc : backup_publish(&d->backup);
    }
    d->disk->label = DURABLE_TRIM;
    rc = checkpoint_trim(&d->disk->disk, 2, &oldest);
    return rc < 0 ? rc : log_trim(&d->disk->disk, segment, oldest);
}

static int go_on(struct durable *d)
{
    if (!d->walked) {
        d->walked = !store_walk_step(&d->store, 1 + rng_below(&d->rng, 600));
        assert(!d->store.walk.failed);
        if (!d->walked && rng_chance(&d->rng, 70)) {
            return 0;
        }
        walk_take(&d->store.walk, &d->rest);
        return d->walked ? 0 : write_part(d);
    }
    if (d->log.synced < d->file.seq) {
        if (journal_has_batch(&d->journal)) {
            durable_write(d);
        } else {
            sync_log(d);
        }
        return 0;
    }
    int rc = finish(d);
    return rc < 0 ? rc : 1;
}

void durable_checkpoint_step(struct durable *d)
{
    int rc = d->stopped ? 0 : go_on(d);
    if (rc != 0) {
        (void)end_checkpoint(d, rc);
    }
}

static int go_to_the_end(struct durable *d)
{
    int rc = 0;
    while (rc == 0 && !d->stopped) {
        rc = go_on(d);
    }
    return d->stopped ? -EIO : end_checkpoint(d, rc < 0 ? rc : 0);
}

int durable_checkpoint(struct durable *d)
{
    if (!d->checkpointing) {
        durable_checkpoint_begin(d);
    }
    return go_to_the_end(d);
}

int durable_backup(struct durable *d, struct disk *backups, const char *name)
{
    durable_backup_begin(d, backups, name);
    return go_to_the_end(d);
}

/* --- any step --- */

bool durable_step(struct durable *d)
{
    uint32_t kind = rng_below(&d->rng, 100);
    uint64_t every = d->shape.checkpoint_every;
    if (every > 0 && !d->checkpointing && d->store.seq >= d->checkpointed + every) {
        durable_checkpoint_begin(d);
    }
    if (kind < 25) {
        durable_write(d);
    } else if (kind < 30) {
        durable_make(d);
    } else if (kind < 33) {
        durable_mark(d);
    } else if (kind < 55 && d->checkpointing) {
        durable_checkpoint_step(d);
    } else {
        return durable_commit(d);
    }
    return !d->stopped && !d->differs;
}

bool durable_run(struct durable *d, uint64_t commits)
{
    uint64_t wanted = d->store.seq + commits;
    while (d->store.seq < wanted) {
        if (!durable_step(d)) {
            return false;
        }
    }
    durable_write(d);
    return !d->stopped && !d->differs;
}

uint64_t durable_soak_factor(void)
{
    const char *text = getenv("TXKV_SOAK");
    return text == NULL ? 1 : 25;
}
