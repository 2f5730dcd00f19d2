/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CORE_REPAIR_RECORD_H
#define CORE_REPAIR_RECORD_H

#include "core/journal.h"
#include "core/bitmap.h"
#include "core/block.h"
#include "core/region.h"

/*
 * What is written down before a log is changed: in the undo journal the blocks of
 * the log that change, old and new, the digests of the whole area, and a digest of
 * every leg for each region; in the saved file (--save-divergent) the sectors in
 * which the legs differ, of every leg, with the same digests (mirrorctl-journal(5)).
 * And, in the journal behind its commit, what was really cleared.
 */

struct repair_record {
	const char *identity;		/* JSON text, the first record of both files */
	const struct bitmap *regions;	/* whose legs are digested, and saved */
	const void *current, *edited;	/* the whole area */
	uint64_t area_bytes;
	uint32_t block_sectors;		/* of the log, at least 1; unused without a journal */
	struct block_engine *engine;
	struct block_device *const *legs;	/* NULL entries: missing */
	unsigned int nr_legs;
	struct region_geometry geometry;
	struct journal_writer *journal;	/* NULL: none wanted (-o) */
	struct journal_writer *saved;	/* NULL: none wanted */
	/* Several times a second, with the regions done so far; nonzero ends it. May
	 * be NULL. */
	int (*poll)(void *context, uint64_t regions_done);
	void *context;
};

struct repair_recorded {
	uint64_t saved_sectors;		/* of each leg, in the saved file */
	uint64_t unreadable_sectors;	/* of all legs together, left out of it */
	uint64_t unreadable_regions;	/* regions with a leg that is missing or could not be
					 * read whole: they can never be put back */
	bool hung;			/* a device holds requests: free nothing */
};

/* Appends everything but the commit, which is the caller's once both files are on
 * stable storage (io/state.h, journal_file_commit()). In memory: a chunk. 0, what
 * poll() returned, or -errno with an error that says which file or leg. */
int repair_record(struct repair_recorded *recorded, const struct repair_record *record,
		  struct error *err);

/* Behind the commit: the regions whose bits were really cleared, as outcomes (of none:
 * one outcome of nothing). 0 or -errno, as journal_put_outcome(). */
int repair_record_cleared(struct journal_writer *journal, const struct bitmap *cleared);

#endif
