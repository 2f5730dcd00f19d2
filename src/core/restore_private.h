/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CORE_RESTORE_PRIVATE_H
#define CORE_RESTORE_PRIVATE_H

#include "core/leg_reader.h"
#include "core/restore.h"

/* restore.c: in which order. restore_pass.c: all that was kept, once, looked at or put
 * back. */

#define RESTORE_WRITES 32u	/* in flight */

struct restore_pass {
	struct restore *restore;
	const struct restore_input *input;
	struct error *err;
	bool write;			/* put back what may be */
	int stopped;			/* what poll() returned */
	uint64_t done_sectors;

	/* One leg's part of what is handed out together: ascending, no overlaps. */
	unsigned int leg;
	const struct journal_bytes *items;
	size_t nr_items;
	size_t next_range, next_item;	/* to be asked for, to be looked at */
	struct leg_reader *readers[MIRROR_LEGS_MAX];

	/* Sectors that hold neither. Of a sector that was kept twice the first version
	 * decides, which comes last. Allocated when the first one is met. */
	struct bitmap doubt[MIRROR_LEGS_MAX];

	/* The chunk as it is to be, and which sectors of it are in blocks that change. */
	unsigned char *buffer;
	struct bitmap changing;
	struct block_request requests[RESTORE_WRITES];
	unsigned int nr_out;
	int result;			/* the first error of them … */
	uint64_t failed_sector;		/* … and where */
};

/* NULL without memory. */
struct restore_pass *restore_pass_create(struct restore *restore,
					 const struct restore_input *input, struct error *err);
/* Frees it, or, if requests are out, leaves it to restore->abandoned. */
void restore_pass_destroy(struct restore_pass *pass);

/* From the journal's end to its beginning. 0, what poll() returned, -errno with an error.
 * Counts, and without `write` finds the regions. */
int restore_pass_run(struct restore_pass *pass, bool write);

/* Flushes a device: 0, -errno; -ECANCELED: it hangs, and the user does not want to wait. */
int restore_pass_flush(struct restore_pass *pass, struct block_device *device);

#endif
