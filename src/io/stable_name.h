/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IO_STABLE_NAME_H
#define IO_STABLE_NAME_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/*
 * What a block device is called on every boot and on every host: names that the
 * device carries itself, unlike its number, its node or the path of a link.
 */

#define STABLE_NAME_MAX 136u

/* Where sysfs is mounted, and /dev. NULL in place of the struct: the usual places. */
struct host_roots {
	const char *sys;
	const char *dev;
};

/*
 * The stable name of device `dev`, the first that it has of
 *   dm:UUID            a dm device (of LVM only the ids of VG and LV count: with a
 *                      snapshot the same volume gets a layer, LVM-…-real)
 *   partuuid-UUID      a partition
 *   wwn-0x…, wwid-…    a disk, as sysfs tells
 *   ata-…, virtio-…    its name under /dev/disk/by-id
 * false when it has none (loop devices, dm devices without uuid). `room` is
 * STABLE_NAME_MAX.
 */
bool stable_name(char *name, size_t room, const struct host_roots *roots, dev_t dev);

/* A path that leads to `dev` on every boot: /dev/mapper/NAME, or a link under
 * /dev/disk; where there is none its node. Allocated; -ENODEV when it has no node
 * here, -ENOMEM. */
int stable_path(char **path, const struct host_roots *roots, dev_t dev);

/* The uuid as it is compared: LVM's without what follows the two ids. In place. */
void mapped_uuid_trim(char *uuid);

#endif
