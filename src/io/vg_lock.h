/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IO_VG_LOCK_H
#define IO_VG_LOCK_H

#include "io/dm.h"

/*
 * A shared lock on a volume group, as lvm(8)'s own commands take it: none of them changes
 * the group meanwhile. Never for long: as soon as one waits for it, those that only read
 * queue up behind it. *fd is closed to let go.
 */

/* For a device of LVM, so that nobody suspends or reloads it meanwhile. Without waiting:
 * -EBUSY with an error when a command holds it. *fd is -1 where there is nothing to lock
 * (no LVM device, no LVM here). */
int vg_lock(int *fd, const struct mapped_device *device, struct error *err);

/* By the group's name, waiting for it; `directory` is LVM's locking_dir. -EBUSY with an
 * error when it is not free within `wait_ms`. */
int vg_lock_name(int *fd, const char *directory, const char *vg_name, unsigned int wait_ms,
		 struct error *err);
/* Is it the file that LVM's commands lock, still? Somebody may have removed it. */
bool vg_lock_holds(int fd, const char *directory, const char *vg_name);

#endif
