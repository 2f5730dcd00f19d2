/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IO_MARKER_H
#define IO_MARKER_H

#include <limits.h>

#include "core/error.h"
#include "io/dm.h"

/*
 * <run directory>/suspended/<name>: says that this device was suspended by us and how
 * it is resumed, for the day on which everybody who should have done it is dead. Its
 * lock keeps a second mirrorctl from the same mirror; an empty one says nothing.
 */
struct marker {
	int directory_fd;
	int fd;
	char name[NAME_MAX + 1];	/* of the file */
	char path[PATH_MAX];
};

/* Claims the marker of the device `name`: -EBUSY with an error when another process
 * has it. Makes the directories where they are missing. Closed with marker_close(),
 * which accepts what a failed open left. */
int marker_open(struct marker *marker, const char *run_directory, const char *name,
		struct error *err);
int marker_write(struct marker *marker, const struct mapped_device *device, struct error *err);
/* Removes the file if it is still there, and ours. Async-signal-safe. */
void marker_remove(const struct marker *marker);
void marker_close(struct marker *marker);

/* "dmsetup resume NAME", or by number where the name is not made for a shell. */
const char *marker_remedy(char *text, size_t room, const struct mapped_device *device);

#endif
