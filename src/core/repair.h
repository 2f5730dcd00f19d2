/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CORE_REPAIR_H
#define CORE_REPAIR_H

#include "core/block.h"
#include "core/mirror_log.h"
#include "core/region_list.h"

/*
 * Making a log true again: plan (pure) -> show -> apply. Repair only ever clears
 * bits: header, padding, tail and every other bit stay byte for byte.
 */

/* One block of the log (the device's logical block) that changes. */
struct repair_block {
	uint64_t sector;		/* of the log device */
	uint64_t bits;			/* how many bits are cleared in it */
};

struct repair_plan {
	struct bitmap clear;		/* owned: regions whose bit is to be cleared,
					 * all of them set in the log now */
	uint64_t nr_clear;
	struct repair_block *blocks;	/* owned; ascending */
	size_t nr_blocks;
	uint32_t block_sectors;
	uint64_t recopy_sectors;	/* of each target leg at the next activation */
	bool large;			/* more than 10 GiB, or more than a tenth of the
					 * clean bits, unless that is a trifle: needs
					 * --force-large */
};

#define REPAIR_LARGE_SECTORS (UINT64_C(10) << 21)	/* 10 GiB */
/* A tenth of the few clean bits of a sync that had only begun proves no mistake as
 * long as it is also less than this, and less than a tenth of the mirror. */
#define REPAIR_TRIFLE_SECTORS (UINT64_C(64) << 11)	/* 64 MiB */

/* `wanted`: regions whose bit should go (bogus ones). Those that are not clean in
 * the log (or that the kernel would not believe anyway) are left out. Freed with
 * repair_plan_free(). 0 or -ENOMEM. */
int repair_plan_make(struct repair_plan *plan, const struct mirror_log *log,
		     const struct region_geometry *geometry, const struct bitmap *wanted,
		     uint32_t block_sectors);
void repair_plan_free(struct repair_plan *plan);

/* The new contents of the area: `area` (a copy of the log's bytes) with the
 * plan's bits cleared, nothing else touched. */
void repair_plan_edit(const struct repair_plan *plan, void *area);
/* The same into a copy of `area` that the engine can write from: the caller's, freed
 * with free(). NULL without memory. */
void *repair_plan_edited(const struct repair_plan *plan, struct block_engine *engine,
			 const void *area, uint64_t nr_bytes);

enum repair_step { REPAIR_NOT_BEGUN, REPAIR_WRITING, REPAIR_WRITTEN, REPAIR_VERIFIED };

/*
 * Writes the plan's blocks from `edited` (the whole area) to the log, flushes, reads
 * them back around the cache if the device can, and compares. Before the first write
 * every block is read once more and must equal `current` (the area as planned):
 * -ESTALE and nothing written if not; and `edited` must be `current` with the plan's
 * bits cleared in it and nothing else: -EINVAL. *step says how far it got, so that
 * the caller can tell "nothing was written" from "old, new, or sector-wise between".
 * An empty plan: 0, nothing is read or written and *step stays REPAIR_NOT_BEGUN.
 * Errors name the sector.
 *
 * Transfers go through the engine's buffers, which must be free. Once writing has
 * begun, engine->cancelled() ends it only when the device hangs: -ECANCELED, and
 * the engine must then live on as long as the process.
 */
int repair_apply(const struct repair_plan *plan, struct block_engine *engine,
		 struct block_device *log, const void *current, const void *edited,
		 enum repair_step *step, struct error *err);

/*
 * Undo, rule 4: may the log be put back? `now` is the area as it is on disk,
 * `before` and `after` what the journal holds. Allowed when every sector of `now`
 * equals that of `after` or of `before` (a power cut in between). *differs gets
 * the first sector that is neither.
 */
bool repair_undo_allowed(const void *now, const void *before, const void *after,
			 uint64_t nr_bytes, uint64_t *differs);

/* Undo is by bits: sets in `area` those bits of the regions in `back` that are set
 * in `before`, and changes nothing else. With every cleared region in `back` the
 * area becomes `before`. Both hold nr_bytes and are 8-byte aligned. */
void repair_undo_edit(void *area, const void *before, uint64_t nr_bytes,
		      const struct bitmap *back);

/* As repair_apply(), for putting back: writes the blocks in which `target` differs
 * from `now`. May set bits, so the caller holds the proof (rule 4). nr_bytes is a
 * multiple of the log's block. */
int repair_undo_apply(struct block_engine *engine, struct block_device *log,
		      const void *now, const void *target, uint64_t nr_bytes,
		      enum repair_step *step, struct error *err);

#endif
