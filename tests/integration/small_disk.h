/* small_disk: a disk of a few bytes for this check alone, in a mount namespace of its own. */
#ifndef TXKV_INTEGRATION_SMALL_DISK_H
#define TXKV_INTEGRATION_SMALL_DISK_H

#include <stddef.h>

/* Mounts it at check_path("disk"). Skips the check where that is not permitted. It goes with the check. */
void small_disk_mount(size_t bytes);

/* Makes it read-only. */
void small_disk_protect(void);

/* Fills it until but so many bytes are left; small_disk_free gives them back. */
void small_disk_fill(size_t left);
void small_disk_free(void);

/* A file that cannot be removed (EBUSY), and that can be again. */
void small_disk_pin(const char *path);
void small_disk_unpin(const char *path);

#endif
