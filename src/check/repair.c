#include "repair.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "checkpoint.h"
#include "log.h"
#include "reader.h"
#include "report.h"

/* --- what is given up --- */

struct loss {
    uint64_t kept;    /* newest commit that is kept */
    uint64_t commits; /* whole ones that are seen above it */
    uint64_t first;
    uint64_t last;
    uint64_t bytes;   /* up to the last that is not zero, of each file */
    uint64_t synced;  /* newest commit of which a record says that it had been on disk */
};

static void look_through(struct loss *loss, struct reader *r, uint64_t from)
{
    struct record_header h;
    uint64_t end = 0;
    while (r->at < from && reader_have(r, 1)) {
        uint64_t left = from - r->at;
        reader_pass(r, left < buf_len(&r->window) ? (size_t)left : buf_len(&r->window));
    }
    while (reader_find(r, &h, &end)) {
        bool whole = reader_leave(r, &h, &end);
        loss->synced = h.synced > loss->synced ? h.synced : loss->synced;
        if (!whole || h.kind != RECORD_COMMIT || h.seq <= loss->kept) {
            continue;
        }
        loss->first = loss->commits == 0 || h.seq < loss->first ? h.seq : loss->first;
        loss->last = h.seq > loss->last ? h.seq : loss->last;
        loss->commits++;
    }
    loss->bytes += end > from ? end - from : 0;
}

/* Goes through all that recover_settle will cut or put aside. */
static void find_loss(struct loss *loss, const struct recovery *found, const struct scans *scans, struct disk *d)
{
    bool log_is_void = found->last < found->checkpoint;
    *loss = (struct loss){.kept = log_is_void ? found->checkpoint : found->last};
    for (size_t i = 0; i < scans->count; i++) {
        const struct scan *s = &scans->all[i];
        struct reader r;
        if (s->kind != SCAN_SEGMENT || s->state == SCAN_UNUSED || (s->number < found->segment && !log_is_void)) {
            continue;
        }
        if (reader_open(&r, d, s->name) == 0) {
            r.id = s->header.id != 0 ? s->header.id : found->id;
            look_through(loss, &r, s->number == found->segment && !log_is_void ? found->segment_at : 0);
        }
        reader_close(&r);
    }
}

static void print_loss(const struct recovery *found, const struct loss *loss)
{
    for (size_t i = 0; i < found->damaged_count; i++) {
        char name[DISK_NAME_MAX];
        checkpoint_name(found->damaged[i], name);
        printf("given up: %s, which is damaged\n", name);
    }
    if (loss->kept == 0) {
        printf("kept: nothing; no file that is whole reaches back to the first commit\n");
    } else {
        printf("kept: all up to commit %" PRIu64 "\n", loss->kept);
    }
    if (loss->bytes == 0) {
        return;
    }
    printf("given up: %" PRIu64 " bytes of the log, ", loss->bytes);
    if (loss->commits > 0) {
        printf("with %" PRIu64 " whole commits from %" PRIu64 " to %" PRIu64 " in them", loss->commits, loss->first, loss->last);
    } else {
        printf("without a whole commit above that one in them");
    }
    if (loss->synced > loss->kept) {
        printf("; commits up to %" PRIu64 " had been on disk\n", loss->synced);
    } else {
        printf("; nothing says that any of it had been acknowledged\n");
    }
}

/* --- giving it up --- */

/* Files with damage that nothing needs: they would be found at each check. */
static int put_others_aside(struct disk_dir *dir)
{
    struct scans scans;
    struct reading r;
    int rc = scans_read(&scans, &dir->disk, false);
    reading_verify(&r, &dir->disk, false);
    for (size_t i = 0; i < scans.count && rc == 0 && r.result == RECOVER_CLEAN; i++) {
        bool is_needed = scans.all[i].kind == SCAN_SEGMENT && scans.all[i].number >= r.found.first_segment && r.found.first_segment > 0;
        if (scans.all[i].state == SCAN_BAD && !is_needed) {
            printf("put aside: %s, which is damaged and not needed\n", scans.all[i].name);
            rc = recover_put_aside(&dir->disk, scans.all[i].name);
        }
    }
    scans_free(&scans);
    return rc == 0 ? dir->disk.ops->sync_names(&dir->disk) : rc;
}

static enum check_status give_up(struct disk_dir *dir, const char *path, const struct recovery *found, const struct loss *loss)
{
    struct log log = {.disk = &dir->disk};
    struct reading after;
    struct scans scans;
    int rc = recover_settle(&dir->disk, found, &log);
    rc = rc < 0 ? rc : put_others_aside(dir);
    if (rc < 0) {
        fprintf(stderr, "txkv-check: %s cannot be repaired: %s\n", path, strerror(-rc));
        return CHECK_NOT_READ;
    }
    rc = scans_read(&scans, &dir->disk, false);
    reading_verify(&after, &dir->disk, false);
    if (loss->bytes > 0 || found->damaged_count > 0) {
        printf("what was given up is kept in saved-*\n");
    }
    enum check_status status = report_verdict(&after, rc < 0 ? NULL : report_other_damage(&scans, &after), stdout);
    if (after.result == RECOVER_CLEAN && status != CHECK_CLEAN) {
        printf("that file stays, as it holds later commits too; two further checkpoints remove it\n");
    }
    scans_free(&scans);
    return status;
}

static int take_alone(struct disk_dir *dir, const char *path)
{
    long holder = 0;
    char who[32];
    int rc = disk_dir_lock(dir, &holder);
    if (rc == -EWOULDBLOCK) {
        fprintf(stderr, "txkv-check: %s: %s has it; stop the server first\n", path, disk_dir_holder(who, holder));
    } else if (rc < 0) {
        fprintf(stderr, "txkv-check: %s: it cannot be locked: %s\n", path, strerror(-rc));
    }
    return rc;
}

enum check_status repair_run(struct disk_dir *dir, const char *path)
{
    struct scans scans;
    struct reading r;
    struct loss loss;
    if (take_alone(dir, path) < 0) {
        return CHECK_NOT_READ;
    }
    int rc = scans_read(&scans, &dir->disk, false);
    if (rc < 0) {
        fprintf(stderr, "txkv-check: %s: %s\n", path, strerror(-rc));
        scans_free(&scans);
        return CHECK_NOT_READ;
    }
    reading_verify(&r, &dir->disk, false);
    const struct scan *other = r.result == RECOVER_CLEAN ? report_other_damage(&scans, &r) : NULL;
    enum check_status status = report_verdict(&r, other, stdout);
    if (status == CHECK_CLEAN) {
        printf("nothing to repair, nothing was changed\n");
    } else if (status == CHECK_DAMAGED) {
        find_loss(&loss, &r.found, &scans, &dir->disk);
        print_loss(&r.found, &loss);
        fflush(stdout);
        status = give_up(dir, path, &r.found, &loss);
    }
    scans_free(&scans);
    return status;
}
