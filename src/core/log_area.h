/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CORE_LOG_AREA_H
#define CORE_LOG_AREA_H

#include "core/block.h"
#include "core/mirror_log.h"

/* The bytes of a log, read through the storage door. */
struct log_area {
	void *bytes;		/* owned; 4096-aligned */
	uint64_t nr_bytes;	/* what was read: the kernel's area, or less when
				 * the device is smaller */
};

/* Reads the header, then as much as `nr_regions` (0: as the header says, at
 * most what the device holds) needs. A read error is an operational error that
 * names the sectors: a log that cannot be read whole proves nothing, and the
 * kernel would throw it away. Freed with log_area_free(). */
int log_area_read(struct log_area *area, struct block_engine *engine,
		  struct block_device *device, uint64_t nr_regions, struct error *err);
void log_area_free(struct log_area *area);

/* Reads it anew and decodes it: what `area` and `log` held is replaced, or, when it
 * fails, still there. Both may be zeroed; log's bits are area's. */
int log_area_renew(struct log_area *area, struct mirror_log *log, struct block_engine *engine,
		   struct block_device *device, uint64_t nr_regions, struct error *err);

#endif
