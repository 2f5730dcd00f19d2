/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IO_VG_LOCK_H
#define IO_VG_LOCK_H

#include "io/dm.h"

/* For a device of LVM: a shared lock on its volume group, as lvm(8)'s own commands
 * take it, so that none of them suspends or reloads the device meanwhile. Without
 * waiting: -EBUSY with an error when a command holds it. *fd is closed to let go; -1
 * where there is nothing to lock (no LVM device, no LVM here). */
int vg_lock(int *fd, const struct mapped_device *device, struct error *err);

#endif
