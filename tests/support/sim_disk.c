#include "sim_disk.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define SECTOR 512 /* all that a write which goes on by itself does where it fails */

static void *must(void *ptr)
{
    if (ptr == NULL) {
        perror("sim_disk");
        exit(99);
    }
    return ptr;
}

/* Room for one more element in a list that doubles. */
static void *grown(void *list, size_t count, size_t *room, size_t element)
{
    if (count < *room) {
        return list;
    }
    *room = *room == 0 ? 8 : 2 * *room;
    return must(realloc(list, *room * element));
}

/* --- bytes --- */

static void bytes_resize(struct sim_bytes *b, size_t size)
{
    if (size > b->room) {
        b->room = size + size / 2;
        b->data = must(realloc(b->data, b->room));
    }
    if (size > b->size) {
        memset(b->data + b->size, 0, size - b->size);
    }
    b->size = size;
}

static void bytes_write(struct sim_bytes *b, const char *from, size_t size, uint64_t at)
{
    if (at + size > b->size) {
        bytes_resize(b, at + size);
    }
    if (size > 0) {
        memcpy(b->data + at, from, size);
    }
}

static void bytes_free(struct sim_bytes *b)
{
    free(b->data);
    *b = (struct sim_bytes){0};
}

/* --- files --- */

static void file_forget_changes(struct sim_file *f)
{
    for (size_t i = 0; i < f->count; i++) {
        bytes_free(&f->changes[i].bytes);
    }
    f->count = 0;
}

static void file_free(struct sim_file *f)
{
    file_forget_changes(f);
    free(f->changes);
    bytes_free(&f->now);
    bytes_free(&f->durable);
    if (f->dir != NULL) {
        sim_disk_deinit(f->dir);
        free(f->dir);
    }
    *f = (struct sim_file){0};
}

static size_t file_new(struct sim_disk *d)
{
    for (size_t i = 0; i < d->file_count; i++) {
        if (!d->files[i].used) {
            d->files[i].used = true;
            return i;
        }
    }
    d->files = must(realloc(d->files, (d->file_count + 1) * sizeof(*d->files)));
    d->files[d->file_count] = (struct sim_file){.used = true};
    return d->file_count++;
}

static struct sim_disk *dir_new(struct sim_disk *above)
{
    struct sim_disk *dir = must(malloc(sizeof(*dir)));
    sim_disk_init(dir);
    dir->above = above;
    return dir;
}

static struct sim_change *file_change(struct sim_file *f)
{
    f->changes = grown(f->changes, f->count, &f->room, sizeof(*f->changes));
    f->changes[f->count] = (struct sim_change){0};
    return &f->changes[f->count++];
}

static void apply(struct sim_bytes *to, const struct sim_change *c)
{
    if (c->truncates) {
        bytes_resize(to, c->at);
    } else {
        bytes_write(to, c->bytes.data, c->bytes.size, c->at);
    }
}

/* --- names --- */

static struct sim_name *names_find(const struct sim_names *n, const char *name)
{
    for (size_t i = 0; i < n->count; i++) {
        if (strcmp(n->list[i].name, name) == 0) {
            return &n->list[i];
        }
    }
    return NULL;
}

static void names_remove(struct sim_names *n, const char *name)
{
    struct sim_name *at = names_find(n, name);
    if (at != NULL) {
        *at = n->list[--n->count];
    }
}

static void names_set(struct sim_names *n, const char *name, size_t file)
{
    struct sim_name *at = names_find(n, name);
    if (at == NULL) {
        n->list = grown(n->list, n->count, &n->room, sizeof(*n->list));
        at = &n->list[n->count++];
        snprintf(at->name, sizeof(at->name), "%s", name);
    }
    at->file = file;
}

static void names_copy(struct sim_names *to, const struct sim_names *from)
{
    to->count = 0;
    for (size_t i = 0; i < from->count; i++) {
        names_set(to, from->list[i].name, from->list[i].file);
    }
}

/* A name that stands for another file by now was not taken from that one. */
static void names_apply(struct sim_names *n, const struct sim_name_change *c)
{
    const struct sim_name *from = c->from[0] == '\0' ? NULL : names_find(n, c->from);
    if (from != NULL && from->file == c->file) {
        names_remove(n, c->from);
    }
    if (c->to[0] != '\0') {
        names_set(n, c->to, c->file);
    }
}

static void change_names(struct sim_disk *d, const char *from, const char *to, size_t file)
{
    d->name_changes = grown(d->name_changes, d->name_change_count, &d->name_change_room, sizeof(*d->name_changes));
    struct sim_name_change *c = &d->name_changes[d->name_change_count++];
    *c = (struct sim_name_change){.file = file};
    snprintf(c->from, sizeof(c->from), "%s", from);
    snprintf(c->to, sizeof(c->to), "%s", to);
    names_apply(&d->now, c);
}

/* Files that nothing leads to any more. */
static void free_unnamed(struct sim_disk *d)
{
    for (size_t i = 0; i < d->file_count; i++) {
        bool wanted = d->files[i].dir != NULL && d->files[i].dir->open;
        for (size_t n = 0; n < d->now.count; n++) {
            wanted = wanted || d->now.list[n].file == i;
        }
        for (size_t h = 0; h < SIM_HANDLES; h++) {
            wanted = wanted || d->handles[h] == i + 1;
        }
        if (!wanted) {
            file_free(&d->files[i]);
        }
    }
}

/* --- operations --- */

static struct sim_disk *outermost(struct sim_disk *d)
{
    while (d->above != NULL) {
        d = d->above;
    }
    return d;
}

/* Whether this operation is to fail. */
static bool fails(struct sim_disk *dir, enum sim_op op)
{
    struct sim_disk *d = outermost(dir);
    const struct sim_plan *p = &d->plan;
    if (p->only != 0 && p->only != d->label) {
        return false;
    }
    uint64_t nth = ++d->ops;
    bool applies = p->how != SIM_SHORT || op == SIM_READ || op == SIM_WRITE || op == SIM_END_WRITE;
    bool is_due = nth == p->nth || (p->on && nth > p->nth && (p->how != SIM_EINTR || (nth - p->nth) % 2 == 0));
    if (p->nth == 0 || !is_due || !applies) {
        return false;
    }
    if (d->failed++ == 0) {
        d->failed_label = d->label;
        d->failed_op = op;
    }
    return true;
}

static enum sim_failure how(struct sim_disk *d)
{
    return outermost(d)->plan.how;
}

static int failure(struct sim_disk *d)
{
    return how(d) == SIM_ENOSPC ? -ENOSPC : how(d) == SIM_EINTR ? -EINTR : -EIO;
}

static void changed(struct sim_disk *dir)
{
    struct sim_disk *d = outermost(dir);
    if (d->changed != NULL) {
        d->changed(d, d->arg);
    }
}

static struct sim_disk *sim_of(struct disk *d)
{
    return (struct sim_disk *)(void *)d;
}

static struct sim_file *file_of(struct sim_disk *d, int file)
{
    if (file < 0 || file >= SIM_HANDLES || d->handles[file] == 0) {
        fprintf(stderr, "sim_disk: file %d is not open\n", file);
        exit(99);
    }
    return &d->files[d->handles[file] - 1];
}

static int sim_open(struct disk *disk, const char *name, enum disk_open mode)
{
    struct sim_disk *d = sim_of(disk);
    if (fails(d, SIM_OPEN)) {
        return failure(d);
    }
    const struct sim_name *at = names_find(&d->now, name);
    if ((at == NULL) == (mode != DISK_CREATE)) {
        return at == NULL ? -ENOENT : -EEXIST;
    }
    if (at != NULL && d->files[at->file].dir != NULL) {
        return -EISDIR;
    }
    int handle = 0;
    while (handle < SIM_HANDLES && d->handles[handle] != 0) {
        handle++;
    }
    if (handle == SIM_HANDLES) {
        fprintf(stderr, "sim_disk: files are left open\n");
        exit(99);
    }
    size_t file = at != NULL ? at->file : file_new(d);
    d->handles[handle] = file + 1;
    if (at == NULL) {
        change_names(d, "", name, file);
        changed(d);
    }
    return handle;
}

/* A file is closed whatever it answers, as on Linux. */
static int sim_close(struct disk *disk, int file)
{
    struct sim_disk *d = sim_of(disk);
    (void)file_of(d, file);
    d->handles[file] = 0;
    return fails(d, SIM_CLOSE) ? failure(d) : 0;
}

static ssize_t sim_read(struct disk *disk, int file, void *bytes, size_t size, uint64_t at)
{
    struct sim_disk *d = sim_of(disk);
    const struct sim_file *f = file_of(d, file);
    bool is_short = fails(d, SIM_READ);
    if (is_short && how(d) != SIM_SHORT) {
        return failure(d);
    }
    size_t left = at < f->now.size ? f->now.size - at : 0;
    size_t got = size < left ? size : left;
    got = is_short ? (got + 1) / 2 : got;
    if (got > 0) {
        memcpy(bytes, f->now.data + at, got);
    }
    return (ssize_t)got;
}

/* A write that fails may have written some of it. */
static ssize_t sim_write(struct disk *disk, int file, const void *bytes, size_t size, uint64_t at)
{
    struct sim_disk *d = sim_of(disk);
    struct sim_file *f = file_of(d, file);
    bool failed = fails(d, SIM_WRITE);
    if (failed && how(d) == SIM_EINTR) {
        return -EINTR;
    }
    size_t done = failed ? (size + 1) / 2 : size;
    struct sim_change *c = file_change(f);
    c->at = at;
    bytes_write(&c->bytes, bytes, done, 0);
    apply(&f->now, c);
    changed(d);
    return failed && how(d) != SIM_SHORT ? failure(d) : (ssize_t)done;
}

static bool overlap(const struct sim_change *a, const struct sim_change *b)
{
    return b->truncates || (a->at < b->at + b->bytes.size && b->at < a->at + a->bytes.size);
}

/* Makes durable what no earlier sync has given up; of that goes what was written anew. */
static void make_durable(struct sim_file *f)
{
    size_t kept = 0;
    for (size_t i = 0; i < f->count; i++) {
        bool stays = f->changes[i].given_up;
        for (size_t k = i + 1; k < f->count && stays; k++) {
            stays = f->changes[k].given_up || !overlap(&f->changes[i], &f->changes[k]);
        }
        if (!f->changes[i].given_up) {
            apply(&f->durable, &f->changes[i]);
        }
        if (stays) {
            f->changes[kept++] = f->changes[i];
        } else {
            bytes_free(&f->changes[i].bytes);
        }
    }
    f->count = kept;
}

static int sim_sync(struct disk *disk, int file)
{
    struct sim_disk *d = sim_of(disk);
    struct sim_file *f = file_of(d, file);
    if (fails(d, SIM_SYNC)) {
        for (size_t i = 0; i < f->count; i++) {
            f->changes[i].given_up = true;
        }
        changed(d);
        return failure(d);
    }
    make_durable(f);
    changed(d);
    return 0;
}

static int sim_begin_write(struct disk *disk, int file, const void *bytes, size_t size, uint64_t at, bool sync)
{
    struct sim_disk *d = sim_of(disk);
    struct sim_file *f = file_of(d, file);
    if (d->writing != 0) {
        fprintf(stderr, "sim_disk: two writes at once\n");
        exit(99);
    }
    if (fails(d, SIM_BEGIN_WRITE)) {
        return how(d) == SIM_EINTR ? -EAGAIN : failure(d);
    }
    struct sim_change *c = file_change(f);
    c->at = at;
    bytes_write(&c->bytes, bytes, size, 0);
    d->writing = file + 1; /* to be seen at its end */
    d->writing_syncs = sync;
    changed(d);
    return 0;
}

/* The newest change becomes durable, alone. What an earlier one has written in the same place cannot come back. */
static void make_newest_durable(struct sim_file *f)
{
    struct sim_change *newest = &f->changes[--f->count];
    for (size_t i = 0; i < f->count; i++) {
        struct sim_change *c = &f->changes[i];
        if (c->truncates || !overlap(c, newest)) {
            continue;
        }
        if (c->at > newest->at) {
            fprintf(stderr, "sim_disk: a write that goes on by itself is no appending one\n");
            exit(99);
        }
        c->bytes.size = newest->at - c->at;
    }
    apply(&f->durable, newest);
    bytes_free(&newest->bytes);
}

static ssize_t sim_end_write(struct disk *disk)
{
    struct sim_disk *d = sim_of(disk);
    struct sim_file *f = file_of(d, d->writing - 1);
    struct sim_change *c = &f->changes[f->count - 1];
    bool failed = fails(d, SIM_END_WRITE);
    d->writing = 0;
    if (failed && how(d) == SIM_EINTR) {
        bytes_free(&c->bytes);
        f->count--;
        return -EAGAIN;
    }
    c->bytes.size = failed && c->bytes.size > SECTOR ? SECTOR : c->bytes.size;
    size_t done = c->bytes.size;
    apply(&f->now, c);
    if (failed) {
        c->given_up = how(d) != SIM_SHORT;
    } else if (d->writing_syncs) {
        make_newest_durable(f);
    }
    changed(d);
    return failed && how(d) != SIM_SHORT ? failure(d) : (ssize_t)done;
}

static int sim_size(struct disk *disk, int file, uint64_t *size)
{
    struct sim_disk *d = sim_of(disk);
    *size = file_of(d, file)->now.size;
    return fails(d, SIM_SIZE) ? failure(d) : 0;
}

static int sim_truncate(struct disk *disk, int file, uint64_t size)
{
    struct sim_disk *d = sim_of(disk);
    struct sim_file *f = file_of(d, file);
    if (fails(d, SIM_TRUNCATE)) {
        return failure(d);
    }
    struct sim_change *c = file_change(f);
    c->truncates = true;
    c->at = size;
    apply(&f->now, c);
    changed(d);
    return 0;
}

static int sim_rename(struct disk *disk, const char *from, const char *to)
{
    struct sim_disk *d = sim_of(disk);
    if (fails(d, SIM_RENAME)) {
        return failure(d);
    }
    const struct sim_name *at = names_find(&d->now, from);
    if (at == NULL || d->files[at->file].dir != NULL) {
        return at == NULL ? -ENOENT : -EISDIR;
    }
    change_names(d, from, to, at->file);
    changed(d);
    return 0;
}

static int sim_remove(struct disk *disk, const char *name)
{
    struct sim_disk *d = sim_of(disk);
    if (fails(d, SIM_REMOVE)) {
        return failure(d);
    }
    const struct sim_name *at = names_find(&d->now, name);
    if (at == NULL || d->files[at->file].dir != NULL) {
        return at == NULL ? -ENOENT : -EISDIR;
    }
    change_names(d, name, "", at->file);
    changed(d);
    return 0;
}

static int sim_sync_names(struct disk *disk)
{
    struct sim_disk *d = sim_of(disk);
    if (fails(d, SIM_SYNC_NAMES)) {
        return failure(d);
    }
    names_copy(&d->durable, &d->now);
    d->name_change_count = 0;
    free_unnamed(d);
    changed(d);
    return 0;
}

static int list(struct sim_disk *d, bool dirs, void (*visit)(void *arg, const char *name), void *arg)
{
    if (fails(d, dirs ? SIM_LIST_DIRS : SIM_LIST)) {
        return failure(d);
    }
    for (size_t i = 0; i < d->now.count; i++) {
        if ((d->files[d->now.list[i].file].dir != NULL) == dirs) {
            visit(arg, d->now.list[i].name);
        }
    }
    return 0;
}

static int sim_list(struct disk *disk, void (*visit)(void *arg, const char *name), void *arg)
{
    return list(sim_of(disk), false, visit, arg);
}

/* --- operations on directories --- */

static int sim_list_dirs(struct disk *disk, void (*visit)(void *arg, const char *name), void *arg)
{
    return list(sim_of(disk), true, visit, arg);
}

static int sim_make_dir(struct disk *disk, const char *name)
{
    struct sim_disk *d = sim_of(disk);
    if (fails(d, SIM_MAKE_DIR)) {
        return failure(d);
    }
    if (names_find(&d->now, name) != NULL) {
        return -EEXIST;
    }
    size_t file = file_new(d);
    d->files[file].dir = dir_new(d);
    change_names(d, "", name, file);
    changed(d);
    return 0;
}

static int sim_open_dir(struct disk *disk, const char *name, struct disk **dir)
{
    struct sim_disk *d = sim_of(disk);
    if (fails(d, SIM_OPEN_DIR)) {
        return failure(d);
    }
    struct sim_disk *at = sim_disk_dir(d, name);
    if (at == NULL) {
        return names_find(&d->now, name) == NULL ? -ENOENT : -ENOTDIR;
    }
    if (!d->no_locks && (at->open || at->held)) {
        return -EWOULDBLOCK;
    }
    at->open = true;
    *dir = &at->disk;
    return d->no_locks;
}

static void sim_close_dir(struct disk *dir)
{
    sim_of(dir)->open = false;
}

static int sim_rename_dir(struct disk *disk, const char *from, const char *to)
{
    struct sim_disk *d = sim_of(disk);
    if (fails(d, SIM_RENAME_DIR)) {
        return failure(d);
    }
    const struct sim_name *at = names_find(&d->now, from);
    if (names_find(&d->now, to) != NULL || at == NULL || d->files[at->file].dir == NULL) {
        return names_find(&d->now, to) != NULL ? -EEXIST : -ENOENT;
    }
    change_names(d, from, to, at->file);
    changed(d);
    return 0;
}

static int sim_remove_dir(struct disk *disk, const char *name)
{
    struct sim_disk *d = sim_of(disk);
    if (fails(d, SIM_REMOVE_DIR)) {
        return failure(d);
    }
    const struct sim_name *at = names_find(&d->now, name);
    const struct sim_disk *dir = at == NULL ? NULL : d->files[at->file].dir;
    if (at == NULL || dir == NULL || dir->now.count > 0) {
        return dir == NULL ? -ENOENT : -ENOTEMPTY;
    }
    change_names(d, name, "", at->file);
    changed(d);
    return 0;
}

static const struct disk_ops sim_ops = {
    .open = sim_open,
    .close = sim_close,
    .read = sim_read,
    .write = sim_write,
    .sync = sim_sync,
    .begin_write = sim_begin_write,
    .end_write = sim_end_write,
    .size = sim_size,
    .truncate = sim_truncate,
    .rename = sim_rename,
    .remove = sim_remove,
    .sync_names = sim_sync_names,
    .list = sim_list,
    .make_dir = sim_make_dir,
    .open_dir = sim_open_dir,
    .close_dir = sim_close_dir,
    .rename_dir = sim_rename_dir,
    .remove_dir = sim_remove_dir,
    .list_dirs = sim_list_dirs,
};

/* --- the disk --- */

void sim_disk_init(struct sim_disk *d)
{
    *d = (struct sim_disk){.disk = {&sim_ops}};
}

void sim_disk_deinit(struct sim_disk *d)
{
    for (size_t i = 0; i < d->file_count; i++) {
        file_free(&d->files[i]);
    }
    free(d->files);
    free(d->now.list);
    free(d->durable.list);
    free(d->name_changes);
    *d = (struct sim_disk){0};
}

void sim_disk_kill(struct sim_disk *d)
{
    if (d->writing != 0) { /* the kernel goes on */
        struct sim_file *f = file_of(d, d->writing - 1);
        apply(&f->now, &f->changes[f->count - 1]);
    }
    d->writing = 0;
    memset(d->handles, 0, sizeof(d->handles));
    d->open = false;
    for (size_t i = 0; i < d->file_count; i++) {
        if (d->files[i].dir != NULL) {
            sim_disk_kill(d->files[i].dir);
        }
    }
}

struct sim_disk *sim_disk_dir(const struct sim_disk *d, const char *name)
{
    const struct sim_name *at = names_find(&d->now, name);
    return at == NULL ? NULL : d->files[at->file].dir;
}

bool sim_disk_is_settled(const struct sim_disk *d)
{
    for (size_t i = 0; i < d->file_count; i++) {
        if (d->files[i].count > 0 || (d->files[i].dir != NULL && !sim_disk_is_settled(d->files[i].dir))) {
            return false;
        }
    }
    return d->name_change_count == 0;
}

/* A file that is there, with all of it durable. */
static struct sim_file *put(struct sim_disk *d, const char *name)
{
    size_t file = file_new(d);
    names_set(&d->now, name, file);
    names_set(&d->durable, name, file);
    return &d->files[file];
}

/* --- loss of power --- */

struct losing {
    struct rng *rng;
    unsigned draw;
    uint32_t keep; /* percent of what is kept whole */
};

static bool keeps(const struct losing *l)
{
    return l->draw == 0 ? false : l->draw == 1 ? true : rng_chance(l->rng, l->keep);
}

/* Some of the blocks of a write. */
static void tear(struct losing *l, struct sim_bytes *to, const struct sim_change *c, uint64_t block)
{
    uint64_t end = c->at + c->bytes.size;
    for (uint64_t at = c->at; at < end;) {
        uint64_t next = (at / block + 1) * block;
        next = next < end ? next : end;
        if (rng_chance(l->rng, 50)) {
            bytes_write(to, c->bytes.data + (at - c->at), next - at, at);
        }
        at = next;
    }
}

static void lose_change(struct losing *l, struct sim_bytes *to, const struct sim_change *c)
{
    if (keeps(l)) {
        apply(to, c);
        return;
    }
    if (l->draw < 2 || c->truncates) {
        return;
    }
    uint32_t fate = rng_below(l->rng, 5);
    if (fate <= 1) {
        tear(l, to, c, fate == 0 ? 512 : 4096);
    }
    if (fate >= 1 && fate <= 2 && c->at + c->bytes.size > to->size) {
        bytes_resize(to, c->at + c->bytes.size); /* the size without the data */
    }
}

static void lose_changes(struct losing *l, struct sim_bytes *to, const struct sim_file *f)
{
    bool any_order = l->draw >= 2 && rng_chance(l->rng, 50);
    size_t *order = must(malloc((f->count + 1) * sizeof(*order)));
    for (size_t i = 0; i < f->count; i++) {
        order[i] = i;
        any_order = any_order && !f->changes[i].truncates && !f->changes[i].given_up;
    }
    for (size_t i = f->count; i > 1 && any_order; i--) {
        size_t other = rng_below(l->rng, (uint32_t)i);
        size_t moved = order[i - 1];
        order[i - 1] = order[other];
        order[other] = moved;
    }
    for (size_t i = 0; i < f->count; i++) {
        lose_change(l, to, &f->changes[order[i]]);
    }
    free(order);
}

void sim_disk_lose_power(struct sim_disk *to, const struct sim_disk *from, struct rng *rng, unsigned draw)
{
    static const uint32_t keep[] = {10, 50, 90};
    struct losing l = {rng, draw, keep[rng_below(rng, 3)]};
    struct sim_names names = {0};
    names_copy(&names, &from->durable);
    for (size_t i = 0; i < from->name_change_count; i++) {
        if (keeps(&l)) {
            names_apply(&names, &from->name_changes[i]);
        }
    }
    sim_disk_init(to);
    for (size_t i = 0; i < names.count; i++) {
        const struct sim_file *f = &from->files[names.list[i].file];
        struct sim_file *copy = put(to, names.list[i].name);
        if (f->dir != NULL) {
            copy->dir = dir_new(to);
            sim_disk_lose_power(copy->dir, f->dir, rng, draw);
            copy->dir->above = to;
            continue;
        }
        bytes_write(&copy->durable, f->durable.data, f->durable.size, 0);
        lose_changes(&l, &copy->durable, f);
        bytes_write(&copy->now, copy->durable.data, copy->durable.size, 0);
    }
    free(names.list);
}

/* --- copies --- */

struct copying {
    struct sim_disk *to;
    struct disk *from;
};

static void copy_file(void *arg, const char *name)
{
    const struct copying *c = arg;
    uint64_t size;
    int file = c->from->ops->open(c->from, name, DISK_READ);
    if (file < 0 || c->from->ops->size(c->from, file, &size) < 0) {
        fprintf(stderr, "sim_disk_copy: %s cannot be read\n", name);
        exit(99);
    }
    struct sim_file *copy = put(c->to, name);
    bytes_resize(&copy->now, size);
    if (size > 0 && disk_read_all(c->from, file, copy->now.data, size, 0) != (ssize_t)size) {
        fprintf(stderr, "sim_disk_copy: %s cannot be read\n", name);
        exit(99);
    }
    c->from->ops->close(c->from, file);
    bytes_write(&copy->durable, copy->now.data, size, 0);
}

void sim_disk_copy(struct sim_disk *to, struct disk *from)
{
    struct copying c = {to, from};
    sim_disk_init(to);
    (void)from->ops->list(from, copy_file, &c);
}

uint64_t sim_disk_digest(const struct sim_disk *d)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < d->now.count; i++) {
        const struct sim_name *n = &d->now.list[i];
        const struct sim_disk *dir = d->files[n->file].dir;
        const struct sim_bytes *b = &d->files[n->file].now;
        uint64_t name = XXH3_64bits(n->name, strlen(n->name));
        if (dir != NULL) {
            uint64_t inner = sim_disk_digest(dir);
            sum += XXH3_64bits_withSeed(&inner, sizeof(inner), name);
            continue;
        }
        sum += b->size > 0 ? XXH3_64bits_withSeed(b->data, b->size, name) : name;
    }
    return sum;
}

uint64_t sim_disk_check(const char *bytes, size_t size)
{
    return XXH3_64bits(bytes, size);
}

struct sim_bytes *sim_disk_bytes(struct sim_disk *d, const char *name)
{
    const struct sim_name *at = names_find(&d->now, name);
    return at == NULL ? NULL : &d->files[at->file].now;
}
