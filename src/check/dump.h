/* dump: the data as text commands. */
#ifndef TXKV_CHECK_DUMP_H
#define TXKV_CHECK_DUMP_H

#include "disk.h"
#include "options.h"

/* Writes SET commands for all that recovery finds to stdout, what there is to say to stderr. */
enum check_status dump_run(struct disk_dir *dir);

#endif
