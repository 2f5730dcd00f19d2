/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CORE_REGION_ENGINE_H
#define CORE_REGION_ENGINE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/bitmap.h"

/*
 * The kernel's region hash and dirty log (dm-region-hash.c, dm-log.c) as one state
 * machine that does no I/O: it is told what happened and says what has to be done
 * first. Its promise: a clean bit may only reach the log when all legs hold the same
 * in that region on stable storage, and the bit is 0 on stable storage before the first
 * write to a leg there.
 *
 * The rule of 2006 ("Fix inconsistent mirroring after interrupted recovery"): the last
 * write to a NOSYNC region leaves it NOSYNC. Such a write reached the default leg only;
 * nothing but a finished recovery makes the region clean.
 *
 * Where it differs from the kernel, always in the direction of fewer clean bits or
 * less memory:
 *  - Memory is what is in flight. The kernel keeps the entry of every NOSYNC region ever
 *    written until it is recovered; here it goes with the last write, since its state can
 *    be computed: every way to NOSYNC clears the sync bit as well, the failed flush too,
 *    where dm_rh_dec() leaves it set. A region without entry has sync bit = clean bit.
 *  - A failed recovery is never "in sync" (dm_rh_update_states() without errors_handled).
 *  - After a failed leg flush nothing in flight becomes clean, regions that wait on the
 *    clean or recovered list included, and no bit is set until the next resume. disk_flush()
 *    clears all bits, because it no longer knows which were waiting; here those are known
 *    and are the only ones withdrawn. A recovery that waits for writes is given up, where
 *    dm_rh_dec() would forget it.
 *  - Bits of the log that are not clean bits (sync, recovering) cause no write of it.
 *  - Several regions may be in recovery, and a flush may be under way while writes begin
 *    and end.
 *
 * A user's duties:
 *  - A write is counted from region_engine_write_start() to region_engine_write_end(), and
 *    submitted to a leg only once region_engine_may_submit() says so.
 *  - clean_bits go to the log only between region_engine_flush_begin() and
 *    region_engine_log_written(), in the order of the steps returned.
 *  - One thread at a time.
 */

enum region_state {		/* dm-region-hash.h, enum dm_rh_region_states */
	REGION_CLEAN = 1,
	REGION_DIRTY = 2,
	REGION_NOSYNC = 4,
	REGION_RECOVERING = 8,
};

enum region_route {		/* where a write goes: dm-raid1.c, do_writes() */
	REGION_ALL_LEGS,
	REGION_DEFAULT_LEG,	/* NOSYNC: the leg that recovery will copy from */
	REGION_DELAYED,		/* not counted: to be started again when recovery has ended */
};

/* The steps of a flush, in this order (dm-log.c, disk_flush()). */
#define REGION_FLUSH_LEGS 1	/* all of them: bits were set (touched_cleaned) */
#define REGION_WRITE_LOG 2
#define REGION_FLUSH_LOG 4	/* bits were cleared (touched_dirtied), or a resume */

struct region_engine;

struct region_engine_params {
	/* The log's bits, in the buffer that is written to the log. The caller's; outlives
	 * the engine; only the engine changes it, except before a resume. */
	struct bitmap *clean_bits;
	uint32_t capacity;	/* regions in flight: written, recovering, waiting for a flush */
	uint32_t max_recovery;	/* regions in recovery at once; the kernel has 1 */
	/* A region's recovery is over, or was given up: writes that were delayed there may be
	 * started again. Called from within the engine, which must not be called back. May
	 * be NULL. dm-region-hash.c, complete_resync_work(). */
	void (*recovery_over)(void *context, uint64_t region, bool success);
	void *context;
};

/* Suspended, as a table just loaded: nothing starts before a resume. All memory is taken
 * here: two bitmaps of the mirror's size, and `capacity` entries. 0, -EINVAL (no regions,
 * no capacity, no recovery) or -ENOMEM. Freed with region_engine_destroy(), NULL allowed.
 * dm_region_hash_create(), create_log_context(). */
int region_engine_create(struct region_engine **engine, const struct region_engine_params *params);
void region_engine_destroy(struct region_engine *engine);

/* Believes clean_bits, which the caller has just read and made effective: nr_regions of the
 * header, `sync` and `nosync` are the caller's business. The log has to be flushed before
 * anything else starts, because what was read may have come from a volatile cache. Allowed
 * when suspended, with no write counted, no recovery and no flush under way: else -EBUSY.
 * Entries that only waited for an update are forgotten; their bits on disk are 0.
 * disk_resume(), dm_rh_start_recovery(); in the kernel only a resume into a newly loaded
 * table has an empty hash and no flush_failure. */
int region_engine_resume(struct region_engine *engine);
/* No recovery starts any more; what has started goes on, and so do updates and flushes.
 * New writes are held back by the caller (as by dm.c), delayed ones have to go through.
 * mirror_presuspend(), dm_rh_stop_recovery(). */
void region_engine_suspend(struct region_engine *engine);

/* dm_rh_get_state(): of the entry, or else computed from the sync bit. */
enum region_state region_engine_state(const struct region_engine *engine, uint64_t region);
/* core_in_sync(), core_get_sync_count(). */
bool region_engine_in_sync(const struct region_engine *engine, uint64_t region);
uint64_t region_engine_sync_count(const struct region_engine *engine);
/* Entries in use, of the capacity. */
uint32_t region_engine_in_flight(const struct region_engine *engine);
/* A leg flush has failed since the last resume: nothing becomes clean before the next. */
bool region_engine_flush_failed(const struct region_engine *engine);

/* A write to `region` arrives: its route (enum region_route). A CLEAN region becomes DIRTY
 * and its bit 0. -EAGAIN: as many regions as there is room for are in flight; update,
 * flush, try again. -EBUSY: never resumed. -EINVAL: no such region.
 * dm_rh_inc_pending(), rh_inc(), __rh_alloc(), core_mark_region(), dm_rh_delay(). */
int region_engine_write_start(struct region_engine *engine, uint64_t region);
/* Whether the cleared bit is on stable storage, so that a counted write may go to the legs;
 * if not, after the next flush that succeeds. do_writes() after dm_rh_flush(). */
bool region_engine_may_submit(const struct region_engine *engine, uint64_t region);
/* A counted write has ended, on all legs it went to, or was never submitted. The last one
 * leaves DIRTY for CLEAN, lets a recovery begin, and NOSYNC as it is. -EINVAL: there is
 * none. dm_rh_dec(). */
int region_engine_write_end(struct region_engine *engine, uint64_t region);
/* Before region_engine_write_end(): a leg refused this write; the region is NOSYNC and a
 * recovery that waited for the write is over. -EINVAL: there is none.
 * dm_rh_mark_nosync(), core_set_region_sync(0). */
int region_engine_leg_error(struct region_engine *engine, uint64_t region);
/* A flush of a leg failed, other than one that the engine asked for: what was in flight may
 * be lost from that leg's cache. dm_rh_mark_nosync() for REQ_PREFLUSH. */
void region_engine_flush_error(struct region_engine *engine);

/* Takes the next region that is not in sync into recovery, from the position of the last
 * one on: 1 and its number; 0 when there is none left, or after a failed leg flush; -EAGAIN
 * while suspended, before the flush that follows a resume, at max_recovery or at capacity.
 * dm_rh_recovery_prepare(), __rh_recovery_prepare(), core_get_resync_work(). */
int region_engine_recovery_prepare(struct region_engine *engine, uint64_t *region);
/* The same for a region of the caller's choice, which may be clean: its bit is cleared
 * then. 0, -EAGAIN as above or after a failed leg flush, -EBUSY: it is in recovery;
 * -EINVAL: no such region. The kernel never does this. */
int region_engine_recovery_prepare_region(struct region_engine *engine, uint64_t region);
/* A prepared region that no write is counted in and whose bit is 0 on stable storage: 1
 * and its number, 0 when there is none. dm_rh_recovery_start(). */
int region_engine_recovery_start(struct region_engine *engine, uint64_t *region);
/* All legs were found to be equal there, or made so: not yet flushed. Takes effect with the
 * next update. -EINVAL: not started. dm_rh_recovery_end(). */
int region_engine_recovery_end(struct region_engine *engine, uint64_t region, bool success);

/* Sets the bits of the regions that became clean or were recovered; reports recoveries
 * that are over. -EBUSY while a flush is under way: bits set now would be in the log
 * without it. dm_rh_update_states(), core_clear_region(), core_set_region_sync(). */
int region_engine_update(struct region_engine *engine);
/* Whether an update would do something. */
bool region_engine_update_wanted(const struct region_engine *engine);

/* The steps to take, or 0: nothing changed. -EBUSY: a flush is under way. Every flush ends
 * with region_engine_log_written(). disk_flush(). */
int region_engine_flush_begin(struct region_engine *engine);
/* After REGION_FLUSH_LEGS, with what came of it. Where it failed, the bits that waited for
 * it are withdrawn, and the log is written without them. -EINVAL: not asked for.
 * mirror_flush(), called by disk_flush(). */
int region_engine_legs_flushed(struct region_engine *engine, bool success);
/* The log was written, and flushed if that was asked for; or that failed, and the next
 * flush will try again. -EINVAL: it was not its turn. */
int region_engine_log_written(struct region_engine *engine, bool success);

#endif
