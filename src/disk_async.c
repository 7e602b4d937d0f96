#include "disk_async.h"

#include <errno.h>

#ifdef TXKV_AIO

#include <fcntl.h>
#include <libaio.h>
#include <linux/fs.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* What a kernel or a file system says that cannot do it; and what says nothing of the disk (-EINTR: a signal, for which pwrite(2) would
 * have begun anew). */
static int told(long rc)
{
    return rc == -EINVAL || rc == -EOPNOTSUPP || rc == -ENOSYS ? -ENOTSUP : rc == -EINTR ? -EAGAIN : (int)rc;
}

int disk_async_open(struct disk_async *a)
{
    io_context_t context = NULL;
    *a = (struct disk_async){.event = -1};
    int rc = io_setup(1, &context);
    if (rc < 0) {
        return -ENOTSUP; /* it has none, or all that it has are taken (fs.aio-max-nr) */
    }
    int event = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (event < 0) {
        rc = -errno;
        io_destroy(context);
        return rc;
    }
    *a = (struct disk_async){.context = context, .event = event};
    return 0;
}

int disk_async_begin(struct disk_async *a, int file, const void *bytes, size_t size, uint64_t at, bool sync)
{
    struct iocb request;
    struct iocb *requests[] = {&request};
    int flags = fcntl(file, F_GETFL);
    if (a->context == NULL || flags < 0 || !(flags & O_DIRECT)) {
        return -ENOTSUP;
    }
    io_prep_pwrite(&request, file, (void *)(uintptr_t)bytes, size, (long long)at);
    io_set_eventfd(&request, a->event);
    request.aio_rw_flags = RWF_NOWAIT | (sync ? RWF_DSYNC : 0);
    int rc = io_submit(a->context, 1, requests);
    return rc == 1 ? 0 : rc == 0 || rc == -ENOMEM ? -EAGAIN : told(rc);
}

/* What has ended can be fetched a moment before the kernel sets the event, which would stay set for the next write then. */
static void take_event(const struct disk_async *a)
{
    uint64_t count;
    while (read(a->event, &count, sizeof(count)) < 0 && errno == EAGAIN) {
        (void)sched_yield();
    }
}

ssize_t disk_async_end(struct disk_async *a)
{
    struct io_event event = {0};
    int rc;
    do {
        rc = io_getevents(a->context, 1, 1, &event, NULL);
    } while (rc == -EINTR);
    if (rc != 1) {
        return rc < 0 ? rc : -EIO;
    }
    take_event(a);
    return (long)event.res < 0 ? told((long)event.res) : (ssize_t)event.res;
}

void disk_async_close(struct disk_async *a)
{
    if (a->context != NULL) {
        io_destroy(a->context);
        close(a->event);
    }
    *a = (struct disk_async){.event = -1};
}

#else

int disk_async_open(struct disk_async *a)
{
    *a = (struct disk_async){.event = -1};
    return -ENOTSUP;
}

int disk_async_begin(struct disk_async *a, int file, const void *bytes, size_t size, uint64_t at, bool sync)
{
    (void)a;
    (void)file;
    (void)bytes;
    (void)size;
    (void)at;
    (void)sync;
    return -ENOTSUP;
}

ssize_t disk_async_end(struct disk_async *a)
{
    (void)a;
    return -ENOTSUP;
}

void disk_async_close(struct disk_async *a)
{
    (void)a;
}

#endif
