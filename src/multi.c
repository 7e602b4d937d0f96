#include "multi.h"

#include "command.h"
#include "err.h"

/* Copied in and out: nothing in the queue is aligned. */
struct queued {
    const struct command *command;
    size_t size;    /* of all that stands in the queue of it */
    uint32_t count; /* arguments */
    uint32_t hash;  /* of the first one, where that is a key */
};

void multi_init(struct multi *m)
{
    *m = (struct multi){0};
    buf_init(&m->queue);
    txn_init(&m->watch);
}

void multi_deinit(struct multi *m)
{
    buf_deinit(&m->queue);
}

static size_t size_in_queue(const struct request *r)
{
    size_t size = sizeof(struct queued) + r->count * sizeof(uint32_t);
    for (size_t i = 0; i < r->count; i++) {
        size += r->args[i].len;
    }
    return size;
}

static void write_queued(char *to, const struct request *r, size_t size)
{
    const struct queued head = {r->command, size, (uint32_t)r->count, r->hash};
    char *words = to + sizeof(head) + r->count * sizeof(uint32_t);
    memcpy(to, &head, sizeof(head));
    to += sizeof(head);
    for (size_t i = 0; i < r->count; i++) {
        uint32_t len = (uint32_t)r->args[i].len;
        memcpy(to, &len, sizeof(len));
        slice_copy(words, r->args[i]);
        to += sizeof(len);
        words += len;
    }
}

int multi_push(struct multi *m, const struct request *r, size_t bytes_max)
{
    size_t size = size_in_queue(r);
    if (m->count == MULTI_REQUESTS_MAX || buf_len(&m->queue) + size > bytes_max) {
        return ERR_TOOBIG;
    }
    char *to = buf_reserve(&m->queue, size);
    if (to == NULL) {
        return ERR_FULL;
    }
    write_queued(to, r, size);
    buf_commit(&m->queue, size);
    m->count++;
    return 0;
}

void multi_take(const struct multi *m, size_t *at, struct slice *words, struct request *r)
{
    struct queued head;
    const char *from = buf_head(&m->queue) + *at;
    memcpy(&head, from, sizeof(head));
    *at += head.size;
    r->command = head.command;
    r->args = words;
    r->count = head.count;
    r->hash = head.hash;
    from += sizeof(head);
    const char *word = from + head.count * sizeof(uint32_t);
    for (size_t i = 0; i < head.count; i++) {
        uint32_t len;
        memcpy(&len, from, sizeof(len));
        words[i] = slice_of(word, len);
        from += sizeof(len);
        word += len;
    }
}

size_t multi_hashes(const struct multi *m, size_t at, uint32_t *hashes, size_t max)
{
    size_t count = 0;
    for (size_t i = 0; i < max && at < buf_len(&m->queue); i++) {
        struct queued head;
        memcpy(&head, buf_head(&m->queue) + at, sizeof(head));
        at += head.size;
        if (head.command->flags & COMMAND_ANY_KEY) {
            hashes[count++] = head.hash;
        }
    }
    return count;
}
