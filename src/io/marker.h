/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IO_MARKER_H
#define IO_MARKER_H

#include "io/dm.h"
#include "io/run_file.h"

/*
 * <run directory>/suspended/<name>: says that this device was suspended by us and how
 * it is resumed, for the day on which everybody who should have done it is dead. Its
 * lock keeps a second mirrorctl from the same mirror; an empty one says nothing.
 * Removed and closed as any run_file.
 */

/* Claims the marker of the device `name`: -EBUSY with an error when another process
 * has it. */
int marker_open(struct run_file *marker, const char *run_directory, const char *name,
		struct error *err);
int marker_write(struct run_file *marker, const struct mapped_device *device, struct error *err);

/* "dmsetup resume NAME", or by number where the name is not made for a shell. */
const char *marker_remedy(char *text, size_t room, const struct mapped_device *device);

#endif
