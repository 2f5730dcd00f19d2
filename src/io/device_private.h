/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IO_DEVICE_PRIVATE_H
#define IO_DEVICE_PRIVATE_H

#include "io/device.h"

/* Between device.c, which opens files, and device_extents.c, which puts them together. */

/* Without a file; freed with device_close(). NULL: no memory. */
struct device *device_alloc(const char *role, const char *what);
/* Adds a file that is not open yet. 0 or -ENOMEM. */
int device_add_file(struct device *device, const char *path);
/* Opens it; `offset` (sectors) is what the device's place in it must be addressed by. */
int device_open_file(const struct device *device, struct block_file *file, uint64_t offset,
		     unsigned int flags, struct error *err);
/* What requests to it are aligned to. */
uint32_t file_block_sectors(const struct block_file *file);

#endif
