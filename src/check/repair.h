/* repair: gives up what cannot be read, so that a server starts. */
#ifndef TXKV_CHECK_REPAIR_H
#define TXKV_CHECK_REPAIR_H

#include "disk.h"
#include "options.h"

/* Says on stdout what is whole and what is given up, then does it; without damage it changes nothing. Takes the directory for
 * itself. */
enum check_status repair_run(struct disk_dir *dir, const char *path);

#endif
