/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CORE_RESTORE_H
#define CORE_RESTORE_H

#include "core/bitmap.h"
#include "core/block.h"
#include "core/region.h"
#include "core/repair.h"
#include "core/undo.h"

/*
 * Undoing a resync: the bits that it set are cleared, and what its undo file has kept of
 * the legs goes back. In that order, so that whatever the power leaves at any moment calls
 * no region clean that differs: bits, flush of the log, legs, flush of the legs. No bit is
 * ever set.
 *
 * A sector is overwritten only where it holds what the resync wrote. One that holds what
 * was kept is restored already. One that holds neither was written to by somebody else
 * since: then nothing is put back in its whole region, on any leg, and the same where a
 * sector cannot be read. (Had the kernel used the mirror, all legs would hold its newer
 * data; to put old bytes on leg 0 would make the next activation copy them over it.)
 */

struct restore_input {
	struct block_engine *engine;
	struct block_device *legs[MIRROR_LEGS_MAX];	/* NULL: missing */
	unsigned int nr_legs;
	struct region_geometry geometry;
	const struct undo_journal *undo;	/* an open one */
	const struct journal_source *source;	/* what it was read from */
	/* Several times a second, with the sectors of all legs looked at so far; nonzero ends
	 * it, with what was written flushed. */
	int (*poll)(void *context, uint64_t done_sectors);
	void *context;
};

/* Sectors of a leg. A sector that was kept twice may count twice. */
struct restore_leg {
	uint64_t put_back;	/* hold what the resync wrote: go back, or went back … */
	uint64_t written_bytes;	/* … in so many bytes of whole blocks */
	uint64_t as_kept;	/* hold what was kept */
	uint64_t spared;	/* could go back, but others of their region cannot */
	uint64_t foreign;	/* hold neither */
	uint64_t unreadable;	/* cannot be read now, or the leg is missing */
};

struct restore {
	struct restore_leg legs[MIRROR_LEGS_MAX];
	struct bitmap regions;		/* to which something is put back */
	struct bitmap refused;		/* to which nothing is: they hold something else … */
	struct bitmap unreadable;	/* … or cannot be read (some may be both) */
	bool hung;			/* a device still holds requests: free nothing */
	void *abandoned;		/* … whose memory this is */
};

/* Reads what the legs hold wherever something was kept. Nothing is written: the legs may be
 * open for reading only. 0; what poll() returned; -ENXIO, -ENOMEM, -EBADMSG, -ETIMEDOUT
 * (hung), -errno with an error. *restore is to be freed with restore_free() in any case,
 * unless it is hung; that accepts a zeroed one. */
int restore_examine(struct restore *restore, const struct restore_input *input,
		    struct error *err);
void restore_free(struct restore *restore);

/* The bits to clear: those of undo_resync_bits(), and those of `regions` that are clean now.
 * Allocated. -ENOMEM or -EINVAL as there. */
int restore_bits(struct bitmap *bits, const struct undo_journal *undo,
		 const struct mirror_log *now, const struct bitmap *regions);

/* Clears them in a copy of the log's area (8-byte aligned). */
void restore_edit(void *area, const struct bitmap *bits);

/* The log as it is, and with the bits of restore_bits() cleared: nr_bytes, whole blocks. */
struct restore_log {
	struct block_device *device;
	const void *now, *target;
	uint64_t nr_bytes;
};

enum restore_step {
	RESTORE_NOT_BEGUN,	/* not one byte was written */
	RESTORE_LOG,		/* each block of the log is as before or has its bits cleared */
	RESTORE_LEGS,		/* the bits are cleared, durably; some sectors may be back */
	RESTORE_DONE,		/* all of them are, durably */
};

/*
 * Does it. `restore` is what restore_examine() found; the counters of put_back and
 * written_bytes become what was really written, `refused` stays what it was. Every sector
 * is looked at once more before it is overwritten: one that has changed meanwhile is left
 * alone, and the rest goes on; in the end that is -ESTALE. 0; what poll() returned, with
 * *step saying how far it came; else as above. It can always be done again: from *step
 * RESTORE_LOG on, too, and after a power cut.
 */
int restore_apply(struct restore *restore, const struct restore_input *input,
		  const struct restore_log *log, enum restore_step *step, struct error *err);

/* What is restored already may be so in a leg's volatile cache only, left there by one that
 * was killed: 0 when it is durable, -errno with an error. */
int restore_settle(struct restore *restore, const struct restore_input *input,
		   struct error *err);

#endif
