/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CORE_RESYNC_H
#define CORE_RESYNC_H

#include "core/audit.h"
#include "core/block.h"
#include "core/mirror_log.h"
#include "core/piece_list.h"
#include "core/resync_plan.h"

/*
 * Makes the legs of a mirror that stands still equal and its log true, with the region
 * engine (core/region_engine.h) instead of the kernel's. What a power cut leaves at any
 * moment claims no more than is true:
 *
 *   - before the first write to a leg in a region its bit is 0 on stable storage;
 *   - the legs are flushed before a bit is set, the log is flushed after it;
 *   - a header that the kernel would not accept, or that counts too few regions, is made
 *     good only after every bit that would become effective by it was cleared.
 */

struct resync_input {
	struct block_engine *engine;
	struct block_device *legs[MIRROR_LEGS_MAX];	/* all there and writable */
	unsigned int nr_legs;
	struct block_device *log;			/* writable */
	struct region_geometry geometry;
	void *area;		/* the log as it was read, 4096-aligned; kept as it is on disk.
				 * In a dry run: a copy, which becomes what the log would be */
	uint64_t area_bytes;	/* a multiple of the log's block */
	const struct resync_plan *plan;
};

struct resync_options {
	bool dry_run;		/* as every write and flush had gone well, and none was made: legs
				 * and log need not be writable. keep() is not called, nothing
				 * is read back. Says in addition what the sectors hold, and
				 * which legs agree */
	bool verify;		/* compare clean regions too, and copy those that differ */
	bool copy_all;		/* write what is equal as well, of every region that is
				 * looked at: with verify of the clean ones too, if they
				 * can be read everywhere */
	bool readback;		/* read what was written before it is believed */
	uint64_t rate_bytes;	/* per second and leg; 0 = no limit */
	uint64_t batch_regions;	/* at most so many regions between two writes of the log … */
	unsigned int batch_ms;	/* … and so much time; 0: defaults (64 Ki, 5 s) */
	size_t max_runs;	/* kept: of unreadable sectors, of written ones */
};

struct resync_progress {
	uint64_t done_sectors;	/* of total: read and compared, or copied */
	uint64_t total_sectors;
	uint64_t bytes_per_leg;	/* read */
	uint64_t written_bytes;	/* of all legs */
	uint64_t regions_clean;	/* whose bit this run has set, on stable storage */
};

struct resync_hooks {
	void *context;
	uint64_t (*now_ns)(void *context);
	void (*sleep_ms)(void *context, unsigned int ms);
	/* Several times a second; true: finish what is in flight, record, and stop. */
	bool (*poll)(void *context, const struct resync_progress *progress);
	/* Is the mirror still nobody else's? Asked once a second, and before each write of
	 * the log. */
	bool (*unchanged)(void *context);
	/* --undo-file, both or neither. keep() is given the old contents of a leg that are
	 * about to be overwritten, and what by; kept() makes all that were given so far last:
	 * before it has returned 0 nothing of them is overwritten. -errno of either ends the
	 * run: what was not kept stays as it is. */
	int (*keep)(void *context, unsigned int leg, uint64_t sector, uint32_t sectors,
		    const void *old, const void *new);
	int (*kept)(void *context);
};

enum resync_end {
	RESYNC_COMPLETE,	/* every region was looked at that should be */
	RESYNC_STOPPED,		/* poll() asked for it, or log_failed, keep_error, or hung */
	RESYNC_CHANGED,		/* unchanged() said no: nothing was written from then on */
};

/* Which legs hold the same in a region, all of it: legs with the same number do.
 * MIRROR_LEGS_MAX stands for a leg that could not be read everywhere, or is none. */
struct resync_agreement {
	uint8_t group[MIRROR_LEGS_MAX];	/* the lowest leg of those that agree */
	uint64_t regions;
};

#define RESYNC_AGREEMENTS_MAX 48u	/* of 3 legs there are 4, of 4 legs 14 */

/*
 * Of a complete run: work = copied + equal + failed. A region in which something could
 * not be read or written stays not clean; what could be copied of it was copied.
 *
 * Bytes: what is compared of a leg that is copied to is either written to it, or equal
 * and not written, or it failed; sectors that are read twice (regions found to lie,
 * reading back) count twice as read, and once as equal.
 */
struct resync_result {
	enum resync_end end;
	bool hung;			/* a device still holds requests: free nothing */
	void *abandoned;		/* … whose memory this is */
	uint64_t regions_work;		/* not clean and not skipped, or found to differ, or
					 * (copy_all) clean and written anew */
	uint64_t regions_copied;	/* written to, now equal and clean; among them … */
	uint64_t regions_rewritten;	/* … those that were equal before (copy_all) */
	uint64_t regions_equal;		/* not clean, found equal, now clean */
	uint64_t regions_verified;	/* clean, compared (verify), equal; with copy_all they
					 * are copied as well */
	uint64_t regions_lied;		/* clean, and differing (verify) */
	uint64_t regions_unverified;	/* clean, and not to be read everywhere (verify): left
					 * as they are */
	uint64_t regions_skipped;	/* not clean, and left so by the plan */
	uint64_t regions_failed;	/* still not clean: something could not be read or
					 * written */
	uint64_t read_bytes[MIRROR_LEGS_MAX], written_bytes[MIRROR_LEGS_MAX];
	uint64_t rewritten_bytes[MIRROR_LEGS_MAX];	/* of what was written: was equal before */
	uint64_t equal_bytes[MIRROR_LEGS_MAX];	/* compared with the source, and not written */
	uint64_t hole_bytes;		/* holes in every leg: equal, and not read */
	struct piece_list written;	/* runs of sectors, whole blocks of the leg; kind: the leg.
					 * What they held, and were given: of a dry run */
	/* Of a dry run with three legs or more: regions that are copied and differ. */
	struct resync_agreement agreements[RESYNC_AGREEMENTS_MAX];
	size_t nr_agreements;
	struct piece_list agreement_runs;	/* runs of regions; kind: which of them */
	uint64_t other_agreements;	/* regions for which there was no room */
	struct run_list unreadable;	/* VERDICT_UNVERIFIABLE runs: which sectors of which
					 * leg; not those that a write has healed. Of a dry
					 * run also those, as nobody has tried */
	uint64_t healed_sectors[MIRROR_LEGS_MAX];	/* unreadable, written, read back */
	int leg_error[MIRROR_LEGS_MAX];	/* the write or flush error (-errno) for which a leg was
					 * given up */
	bool header_made_good;
	uint64_t bits_cleared;		/* before they were set again, if they were */
	uint64_t log_writes;
	bool log_failed;		/* the log could not be written: its bits are as they were
					 * proven up to then */
	int log_error;			/* … and why: -errno */
	int keep_error;			/* what keep() or kept() returned */
	uint64_t kept_sectors;		/* given to keep(), of all legs */
	uint64_t lost_sectors;		/* could not be read, so not kept, and were given to a
					 * write all the same (with keep) */
};

/* 0, also when it ended early or something could not be copied; -ENOMEM, or -errno with
 * an error when it could not be done at all. Freed with resync_result_free() unless
 * result->hung. */
int resync_run(struct resync_result *result, const struct resync_input *input,
	       const struct resync_options *options, const struct resync_hooks *hooks,
	       struct error *err);
void resync_result_free(struct resync_result *result);

#endif
