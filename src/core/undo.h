/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CORE_UNDO_H
#define CORE_UNDO_H

#include "core/bitmap.h"
#include "core/block.h"
#include "core/journal.h"
#include "core/journal_marks.h"
#include "core/leg_ends.h"
#include "core/mirror_log.h"

/*
 * Putting back what a repair has cleared. Dangerous: between repair and undo the
 * kernel may have written to a region on leg 0 alone, and its bit would lie. So the
 * log must be what the repair left (or a sector-wise mix with what was before: a
 * power cut), and the legs must hold, region by region, what the journal says they
 * held. Nothing overrides that.
 *
 * Of a resync, which sets bits, an undo clears them again, which is always safe; and
 * what the resync wrote over, if it was kept, goes back behind cleared bits
 * (core/restore.h).
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
	uint64_t saved_sectors;		/* of legs, all legs together, before the commit */

	/* Of a resync: an open journal. It plans nothing, `cleared` (as long as the mirror)
	 * is what it has cleared and not set again, and the blocks are the whole area. */
	bool open;
	struct leg_ends ends;		/* none where the identity is made of names */
	struct bitmap set;		/* with has_set: whose bits it has set */
	bool has_set;			/* false: it did not come to its end */
	uint64_t overwritten[MIRROR_LEGS_MAX];	/* sectors kept of each leg; what was kept
						 * twice counts twice */
	struct journal_marks marks;	/* to read those */
	bool torn;			/* where it was cut (cut_at) it is not just cut, but
					 * damaged, as a power cut may leave its end */
};

/* Reads to the end. 0; -ENODATA with an error: cut short in front of its commit, so
 * that nothing was written (undo->committed is false, and but for the identity, which
 * may be NULL, the rest is not to be used); behind the commit a record cut short is
 * ignored (*cut_at is where, else 0), of an open journal one that is damaged too. -EBADMSG, -ENOMEM, -errno with an error; *undo
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

/* Of an open journal. Regions whose bits an undo clears, if the log is now as `now` says:
 * those that the resync is known to have set, or, when it did not come to its end, all
 * that are clean now and were not. Allocated, as long as the mirror. -ENOMEM, or -EINVAL:
 * that journal is of another number of regions. */
int undo_resync_bits(struct bitmap *bits, const struct undo_journal *undo,
		     const struct mirror_log *now);

/* Could the resync of this journal have left such a log, and such ends of the legs?
 * `now` has nr_bytes, at least the journal's area_bytes. false: `why` says what does not
 * fit. For mirrors without lasting names, whose contents tell which they are. */
bool undo_resync_fits(const struct undo_journal *undo, const void *now, uint64_t nr_bytes,
		      const struct leg_ends *ends, char *why, size_t room);

#endif
