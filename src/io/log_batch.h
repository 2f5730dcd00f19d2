/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IO_LOG_BATCH_H
#define IO_LOG_BATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/mirror_log.h"
#include "io/device.h"

/*
 * Reads the logs of many mirrors, and waits for no device for long: processes of our own
 * do the reading (O_DIRECT, read-only, the log area alone), and one that a dead device
 * keeps is left to the kernel.
 */

/* Where a log is: a device of its own, or extents of several. All owned by the caller. */
struct log_wanted {
	const char *path;		/* NULL: extents; neither: nothing is read */
	const struct device_extent *extents;
	unsigned int nr_extents;
	const char *what;		/* of extents: the LV's name */
	uint64_t nr_regions;
};

struct log_answer {
	int result;		/* 0, -errno, -ETIMEDOUT: the device does not answer */
	struct mirror_log log;	/* as mirror_log_decode() has it, without its bits */
	char why[160];		/* one line, where the result is not 0 */
};

struct log_batch {
	const struct log_wanted *wanted;
	size_t nr;
	unsigned int answer_ms;		/* how long a device may keep still */
	/* Called as soon as a log was read, in this process; may be NULL. */
	void (*answered)(void *context, size_t index, const struct log_answer *answer);
	bool (*cancelled)(void *context);	/* polled; may be NULL */
	void *context;
};

/* 0 when each log that has a place was answered, one way or the other; -ECANCELED;
 * or -errno with an error when it could not be begun. */
int log_batch_read(const struct log_batch *batch, struct error *err);

#endif
