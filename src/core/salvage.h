/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CORE_SALVAGE_H
#define CORE_SALVAGE_H

#include "core/bitmap.h"
#include "core/block.h"
#include "core/resync.h"
#include "core/resync_plan.h"
#include "core/run_list.h"

/*
 * Sectors that the source of a resync could not deliver, taken from another leg: while
 * they cannot be read a resync cannot finish, and a kernel without handle_errors would
 * copy zeros in their place over the good leg (dm-raid1.c, recover: KCOPYD_IGNORE_ERROR).
 *
 * Each is taken from a leg that can be read there, never by vote: where legs that can be
 * read disagree nothing is chosen. It is written to every leg, the failed source
 * included, flushed and read back. What the storage door can do against caches is done:
 * reads after the flush, with direct I/O. The leg that the data came from is written last,
 * after all others have given it back, so that at no moment the only good copy is being
 * written. No other sector of any leg changes; nothing is written where a clean bit is 1,
 * and no bit is touched here.
 */

enum salvage_outcome {
	SALVAGE_DONE,		/* every leg holds it, and gave it back */
	SALVAGE_SOURCE_FAILED,	/* another leg holds it, but the source does not take it */
	SALVAGE_LEG_FAILED,	/* the source holds it; another leg does not take it */
	SALVAGE_DISAGREE,	/* legs that can be read hold different data */
	SALVAGE_LOST,		/* no leg can be read */
	SALVAGE_READABLE,	/* the source can be read after all: resync again */
	SALVAGE_CLEAN,		/* the bit of its region is 1 */
	SALVAGE_UNFINISHED,	/* the run ended before; perhaps it was written */
	SALVAGE_OUTCOMES,
};

/* "salvaged", "source_failed", … */
const char *salvage_outcome_name(enum salvage_outcome outcome);

/* Could the next resync of a kernel, which takes the source as it is, destroy what only
 * another leg holds? Then the mirror must not be activated without handle_errors. */
bool salvage_is_dangerous(enum salvage_outcome outcome);

struct salvage_input {
	struct block_engine *engine;	/* nothing in flight */
	struct block_device *legs[MIRROR_LEGS_MAX];	/* all there and writable */
	unsigned int nr_legs;
	struct region_geometry geometry;
	const void *area;		/* the log as it is on stable storage */
	uint64_t area_bytes;
	const struct resync_plan *plan;	/* which leg is the source of each region */
	const struct run_list *unreadable;	/* finished; of its unverifiable runs those
						 * of the source are salvaged. Where it is
						 * truncated there is more to salvage */
	size_t max_runs;		/* kept in the result; 0: no limit */
};

struct salvage_hooks {			/* each may be NULL */
	void *context;
	/* Before each batch and after each failure to read; true: stop before anything
	 * more is written. */
	bool (*poll)(void *context, uint64_t done_sectors, uint64_t total_sectors);
	/* Is the mirror still nobody else's? Asked before each batch is written. */
	bool (*unchanged)(void *context);
	/* As in resync_hooks: what every leg holds in the blocks that will be written (where
	 * `new` is as `old` it may turn out that nothing can be). */
	int (*keep)(void *context, unsigned int leg, uint64_t sector, uint32_t sectors,
		    const void *old, const void *new);
	int (*kept)(void *context);
};

enum salvage_end {
	SALVAGE_COMPLETE,
	SALVAGE_STOPPED,	/* poll() asked for it, or keep_error */
	SALVAGE_CHANGED,
};

/* Neighbouring sectors of one fate. */
struct salvage_run {
	uint64_t start, sectors;
	enum salvage_outcome outcome;
	uint8_t source;
	uint8_t from;			/* the leg it was taken from; MIRROR_LEGS_MAX: none */
	uint16_t failed_legs;		/* bit i: leg i does not hold it */
};

struct salvage_result {
	enum salvage_end end;
	bool hung;			/* a device still holds requests: free nothing … */
	void *abandoned;		/* … of which this is the memory */
	struct salvage_run *runs;	/* owned; ascending */
	size_t nr_runs, room_runs, max_runs;
	bool truncated;			/* there were more than max_runs */
	uint64_t sectors[SALVAGE_OUTCOMES];	/* exact */
	uint64_t written_bytes[MIRROR_LEGS_MAX];
	bool unflushed;			/* a flush failed */
	int keep_error;			/* what keep() or kept() returned */
	uint64_t kept_sectors;		/* given to keep(), of all legs */
	uint64_t lost_sectors;		/* could not be read, so not kept, and were given to a
					 * write all the same (with keep) */
	/* Regions of which every listed sector is SALVAGE_DONE. They are candidates, no
	 * more: to set their bits they must be compared again, whole (and the user must
	 * have accepted it). */
	struct bitmap regions;
	uint64_t nr_regions;		/* set in it */
};

/*
 * Blocks of the largest block size among the legs are salvaged whole or not at all, so
 * that a block of any leg can be written; sectors in them that the source cannot deliver
 * either are salvaged with them, listed or not.
 *
 * 0, also when it ended early or nothing could be salvaged; -EINVAL (a leg that is
 * missing, too short or not writable, an area too small for the bits), -ENOMEM, or -errno
 * when the engine broke, with an error. Freed with salvage_result_free() unless
 * result->hung.
 */
int salvage_run(struct salvage_result *result, const struct salvage_input *input,
		const struct salvage_hooks *hooks, struct error *err);
void salvage_result_free(struct salvage_result *result);

/* Can another comparison, with a flush behind it, prove that the legs hold what was
 * salvaged and what was copied before? Not where a leg failed, or was not flushed: what is
 * lost then a cache may still show, and the next flush succeeds all the same. */
bool salvage_can_be_proven(const struct salvage_result *result,
			   const struct resync_result *before);

#endif
