/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IO_DM_MAP_H
#define IO_DM_MAP_H

#include "io/dm.h"

/*
 * dm devices of our own, and the removing of single devices. With udev the rules that
 * would look at what is on them are switched off and its answer is waited for; without it
 * libdevmapper makes the nodes.
 */

/* A new device with this table, resumed. 0 and *number; -EBUSY with an error when there is
 * one of that name or uuid already. On every error there is none. */
int dm_map_create(dev_t *number, const char *name, const char *uuid,
		  const struct mapped_table *table, bool read_only, struct error *err);

/* Removes the device with this uuid, whatever its name and number are. 0, also when there
 * is none; -EBUSY with an error when somebody has it open (tried for some seconds: udev
 * may look at it). */
int dm_map_remove(const char *uuid, struct error *err);

/* The device with this uuid: -ENXIO, without an error, when there is none. *open_count
 * (may be NULL): how many have it open, other devices included. */
int dm_map_find(struct mapped_device *device, unsigned int *open_count, const char *uuid,
		struct error *err);

#endif
