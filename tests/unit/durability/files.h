/* files: logs and checkpoints made by hand, on a sim_disk. */
#ifndef TXKV_UNIT_FILES_H
#define TXKV_UNIT_FILES_H

#include <stdio.h>

#include "checkpoint.h"
#include "log.h"
#include "recover.h"
#include "sim_disk.h"
#include "unit.h"

#define FILES_ID UINT64_C(0x7478)
#define FILES_SEGMENT ((size_t)2048)

static inline void log_begin_on(struct log *log, struct sim_disk *disk)
{
    *log = (struct log){.disk = &disk->disk, .id = FILES_ID, .segment_bytes = FILES_SEGMENT, .end = {.file = -1}};
}

/* One commit of one key, in a batch of its own; `opens` the next segment, which is made for it. 0 or a negative errno. */
static inline int log_put(struct log *log, const char *key, const char *value, bool opens, bool sync)
{
    struct buf b;
    static const char header[FILE_HEADER_BYTES];
    buf_init(&b);
    int rc = opens ? log_make(log, log->number + 1) : 0;
    if (rc == 0) {
        cr_assert(!opens || buf_append(&b, header, sizeof(header)) == 0);
        size_t start = buf_len(&b);
        cr_assert(record_begin(&b, RECORD_COMMIT, log->last + 1) == 0 &&
                  record_put(&b, slice_str(key), slice_str(value), 0) == 0);
        record_end(&b, start);
        rc = log_write(log, buf_head(&b), buf_len(&b), log->last + 1, opens, sync, 1700000000);
    }
    buf_deinit(&b);
    return rc;
}

/* A whole checkpoint of one key, or none (NULL). 0 or a negative errno. */
static inline int checkpoint_put(struct sim_disk *disk, uint64_t seq, const char *key, const char *value)
{
    struct checkpoint c;
    struct buf b;
    buf_init(&b);
    if (key != NULL) {
        cr_assert(record_begin(&b, RECORD_PART, seq) == 0 && record_put(&b, slice_str(key), slice_str(value), 0) == 0);
        record_end(&b, 0);
    }
    size_t start = buf_len(&b);
    cr_assert(record_begin(&b, RECORD_END, seq) == 0 && record_count(&b, key != NULL) == 0);
    record_end(&b, start);
    int rc = checkpoint_begin(&c, &disk->disk, FILES_ID, seq, 1700000000);
    rc = rc < 0 ? rc : checkpoint_write(&c, buf_head(&b), buf_len(&b));
    if (rc < 0) {
        checkpoint_abandon(&c);
    } else {
        rc = checkpoint_finish(&c);
    }
    buf_deinit(&b);
    return rc;
}

/* What recovery finds, as one line: "part 3: a=1; commit 4: b=2~1700000000000 -c flush token@1700000000; " */
struct found {
    char text[1024];
    size_t len;
    enum recover_result result;
    struct recovery recovery;
};

static inline void found_add_op(struct found *f, const struct record_op *op)
{
    char *at = f->text + f->len;
    size_t room = sizeof(f->text) - f->len;
    int key_len = (int)op->key.len;
    switch (op->kind) {
    case RECORD_PUT:
        f->len += (size_t)snprintf(at, room, " %.*s=%.*s", key_len, op->key.data, (int)op->value.len, op->value.data);
        if (op->time > 0) {
            f->len += (size_t)snprintf(f->text + f->len, sizeof(f->text) - f->len, "~%lu", (unsigned long)op->time);
        }
        break;
    case RECORD_DELETE:
        f->len += (size_t)snprintf(at, room, " -%.*s", key_len, op->key.data);
        break;
    case RECORD_FLUSH:
        f->len += (size_t)snprintf(at, room, " flush");
        break;
    case RECORD_OUTCOME:
        f->len += (size_t)snprintf(at, room, " %.*s@%lu", key_len, op->key.data, (unsigned long)op->time);
        break;
    }
    cr_assert_lt(f->len, sizeof(f->text) - 40);
}

static inline int found_add(struct found *f, const char *what, uint64_t seq, struct slice payload)
{
    f->len += (size_t)snprintf(f->text + f->len, sizeof(f->text) - f->len, "%s %lu:", what, (unsigned long)seq);
    for (struct record_op op; record_next(&payload, &op) == 1;) {
        found_add_op(f, &op);
    }
    f->len += (size_t)snprintf(f->text + f->len, sizeof(f->text) - f->len, "; ");
    return 0;
}

static inline int found_part(void *arg, uint64_t seq, struct slice payload)
{
    return payload.len == 0 ? 0 : found_add(arg, "part", seq, payload);
}

static inline int found_commit(void *arg, uint64_t seq, struct slice payload)
{
    return found_add(arg, "commit", seq, payload);
}

static inline void found_reset(void *arg)
{
    struct found *f = arg;
    f->len = 0;
    f->text[0] = '\0';
}

static inline void find(struct found *f, struct sim_disk *disk)
{
    const struct recover_sink sink = {found_reset, found_part, found_commit, NULL, f};
    *f = (struct found){0};
    f->result = recover_read(&disk->disk, &sink, &f->recovery);
}

#define assert_found(f, wanted_result, wanted_text)                                                                    \
    do {                                                                                                               \
        cr_assert_eq((f)->result, (wanted_result), "result %d; %s; %s", (int)(f)->result, (f)->text,                   \
                     (f)->recovery.problem);                                                                           \
        cr_assert_str_eq((f)->text, (wanted_text));                                                                    \
    } while (0)

#endif
