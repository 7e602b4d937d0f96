#include "recover_files.h"

#include <errno.h>
#include <stdlib.h>

#include "checkpoint.h"
#include "log.h"
#include "reader.h"

/* --- names --- */

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static void add(struct recover_names *names, uint64_t number)
{
    if (names->count == names->room) {
        size_t room = names->room == 0 ? 16 : 2 * names->room;
        uint64_t *more = realloc(names->numbers, room * sizeof(*more));
        if (more == NULL) {
            names->out_of_memory = true;
            return;
        }
        names->numbers = more;
        names->room = room;
    }
    names->numbers[names->count++] = number;
}

static void on_checkpoint(void *arg, const char *name)
{
    uint64_t seq;
    if (checkpoint_seq(name, &seq)) {
        add(arg, seq);
    }
}

static void on_segment(void *arg, const char *name)
{
    uint64_t number = log_number(name);
    if (number > 0) {
        add(arg, number);
    }
}

static int list(struct recover_names *names, struct disk *d, void (*visit)(void *arg, const char *name))
{
    int rc = d->ops->list(d, visit, names);
    if (rc == 0 && names->count > 1) {
        qsort(names->numbers, names->count, sizeof(*names->numbers), compare);
    }
    return rc == 0 && names->out_of_memory ? -ENOMEM : rc;
}

int recover_list_checkpoints(struct recover_names *names, struct disk *d)
{
    return list(names, d, on_checkpoint);
}

int recover_list_segments(struct recover_names *names, struct disk *d)
{
    return list(names, d, on_segment);
}

void recover_names_free(struct recover_names *names)
{
    free(names->numbers);
}

/* --- headers --- */

static enum segment_state look(struct reader *reader, struct segment_look *look)
{
    struct file_header header;
    if (!reader_have(reader, FILE_HEADER_BYTES)) {
        return reader_rest_is_zero(reader) ? SEGMENT_UNUSED : SEGMENT_BAD; /* shorter than a header */
    }
    switch (file_header_read(&header, reader_bytes(reader), &look->version)) {
    case FILE_HEADER_GOOD:
        look->seq = header.seq;
        return SEGMENT_USED;
    case FILE_HEADER_ZERO:
        return reader_rest_is_zero(reader) ? SEGMENT_UNUSED : SEGMENT_BAD;
    case FILE_HEADER_UNKNOWN:
        return SEGMENT_REFUSED;
    case FILE_HEADER_BAD:
    default:
        return SEGMENT_BAD;
    }
}

struct segment_look recover_look_at(struct disk *d, uint64_t number)
{
    struct segment_look found = {.state = SEGMENT_REFUSED};
    struct reader reader;
    char name[DISK_NAME_MAX];
    log_name(number, name);
    if (reader_open(&reader, d, name) == 0) {
        found.state = look(&reader, &found);
        found.state = reader.error < 0 ? SEGMENT_REFUSED : found.state;
    } else if (reader.file < 0 && reader.error == -ENOENT) {
        found.state = SEGMENT_GONE;
    }
    found.bytes = reader.size;
    found.error = reader.error;
    found.at = reader.at;
    reader_close(&reader);
    return found;
}
