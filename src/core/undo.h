/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CORE_UNDO_H
#define CORE_UNDO_H

#include "core/bitmap.h"
#include "core/block.h"
#include "core/journal.h"

/*
 * Putting back what a repair has cleared. Dangerous: between repair and undo the
 * kernel may have written to a region on leg 0 alone, and its bit would lie. So the
 * log must be what the repair left (or a sector-wise mix with what was before: a
 * power cut), and the legs must hold, region by region, what the journal says they
 * held. Nothing overrides that.
 */

/* Neighbouring sectors of the log, as they were. As they became is not kept: what
 * was read has been proven to be this with the planned bits cleared. */
struct undo_block {
	uint64_t sector;
	uint64_t sectors;
	unsigned char *old;		/* owned */
};

/* A journal, read whole and checked. */
struct undo_journal {
	char *identity;			/* JSON text; owned */
	bool committed;			/* false: nothing was ever written */
	bool has_log;			/* holds a log's blocks: not only saved sectors */
	struct journal_log_state log_state;
	struct undo_block *blocks;	/* of the log; owned, ascending */
	size_t nr_blocks;
	struct journal_region *regions;	/* owned, ascending */
	size_t nr_regions;
	/* Both reach up to the highest region that was to be cleared, not farther. */
	struct bitmap planned;		/* regions whose bit is 1 in old and 0 in new */
	struct bitmap cleared;		/* the same; with an outcome: those of them that
					 * were really cleared */
	bool has_outcome;
	uint64_t saved_sectors;		/* of legs, all legs together */
};

/* Reads to the end. 0; -ENODATA with an error: cut short in front of its commit, so
 * that nothing was written (undo->committed is false, and but for the identity, which
 * may be NULL, the rest is not to be used); behind the commit a record cut short is
 * ignored (*cut_at is where, else 0). -EBADMSG, -ENOMEM, -errno with an error; *undo
 * is then zeroed. Freed with undo_journal_free(), which accepts a zeroed one. */
int undo_journal_read(struct undo_journal *undo, const struct journal_source *source,
		      uint64_t *cut_at, struct error *err);
void undo_journal_free(struct undo_journal *undo);

enum undo_answer {
	UNDO_POSSIBLE,		/* log as left: now look at the legs */
	UNDO_NOTHING,		/* the log is as it was before the repair */
	UNDO_REFUSED,		/* the log is neither: error says where */
};

/* What the area as it is now (nr_bytes as the journal's area_bytes) allows. With
 * UNDO_POSSIBLE *before is the whole area as it was (allocated, 4096-aligned), else
 * NULL. Never guesses: hashes and blocks of the journal must fit each other and the
 * area. -ENOMEM, or 0. `err` explains UNDO_REFUSED. */
int undo_examine(enum undo_answer *answer, void **before, const struct undo_journal *undo,
		 const void *now, uint64_t nr_bytes, struct error *err);

/* Reads every cleared region whose bit is not back yet and compares with the
 * journal's digests. *back: regions whose legs are as they were (their bits may come
 * back), *refused: those that changed, or whose digest is not known. Both allocated
 * here, as long as undo->cleared. `now` is the area that undo_examine() found
 * possible, 8-byte aligned. 0; what poll() returned; -ETIMEDOUT with an error when a
 * device hangs (region_readings_run()); -errno with an error. *back and *refused are
 * zeroed unless it is 0. */
int undo_prove(struct bitmap *back, struct bitmap *refused, const struct undo_journal *undo,
	       struct block_engine *engine, struct block_device *const legs[],
	       unsigned int nr_legs, const struct region_geometry *geometry, const void *now,
	       int (*poll)(void *context, uint64_t regions_done), void *context,
	       struct error *err);

#endif
