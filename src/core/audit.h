/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CORE_AUDIT_H
#define CORE_AUDIT_H

#include "core/block.h"
#include "core/mirror.h"
#include "core/mirror_log.h"
#include "core/run_list.h"

/*
 * Compares the legs of a mirror over selected regions and says of each region
 * what its clean bit is worth. Reads only. Every difference in a clean region
 * is looked at again before it counts, bit and legs: once on a mirror that
 * stands still, five times over two seconds on one that runs.
 */

struct audit_input {
	struct block_engine *engine;
	struct block_device *legs[MIRROR_LEGS_MAX];	/* NULL = missing */
	unsigned int nr_legs;
	struct block_device *log;	/* read again when findings are looked at again */
	struct region_geometry geometry;
	const struct bitmap *clean_bits;	/* as the log had them at the start */
	const struct bitmap *selected;	/* regions to compare */
	struct bitmap *lies;	/* NULL, or a set to which every region found to be
				 * bogus_clean or suspect is added: unlike the lists
				 * of the result it is never cut short */
};

struct audit_options {
	bool running;		/* the mirror is active: findings are suspects */
	bool steady;		/* … but suspended: they are proven all the same */
	uint64_t rate_bytes;	/* per second and leg; 0 = no limit */
	size_t max_runs;	/* sector runs and region runs kept at most */
	unsigned int looks;	/* re-reads of a difference; 0: 1, running: 5 */
	unsigned int look_ms;	/* … and the time between them; 0: running 500 */
	size_t max_candidates;	/* differing sectors, and regions with something to
				 * say, held before they are settled; 0: 256 Ki */
};

enum audit_end {
	AUDIT_COMPLETE,
	AUDIT_STOPPED,		/* poll() asked for it */
	AUDIT_CHANGED,		/* steady() said the mirror is another one now */
};

struct audit_progress {
	bool looking_again;	/* second phase: differences are read again */
	uint64_t done_sectors;	/* of total, holes and all */
	uint64_t total_sectors;
	uint64_t bytes_per_leg;	/* really read */
	uint64_t found_sectors;	/* differing in clean regions so far */
};

/* How the audit talks to its surroundings; core has no clock and no terminal. */
struct audit_hooks {
	void *context;
	uint64_t (*now_ns)(void *context);
	void (*sleep_ms)(void *context, unsigned int ms);
	/* Several times a second: show progress; true: the user wants to stop. */
	bool (*poll)(void *context, const struct audit_progress *progress);
	/* Is the mirror still the one that was opened? Asked once a second and, with
	 * `closely` (it may then take a while), at the start and before anything found
	 * is recorded. */
	bool (*unchanged)(void *context, bool closely);
};

/* Which legs agree where they differ: legs with the same number are equal;
 * MIRROR_LEGS_MAX stands for a leg that is missing or could not be read. */
struct audit_pattern {
	uint8_t group[MIRROR_LEGS_MAX];
	uint64_t sectors;
};

#define AUDIT_PATTERNS_MAX 64u

struct audit_result {
	enum audit_end end;
	bool hung;			/* a device still holds requests: free nothing */
	struct leg_reader *abandoned;	/* … whose memory this is */
	struct run_list runs;		/* differing and unreadable sectors */
	struct region_verdicts regions;
	uint64_t selected_regions;
	uint64_t compared_sectors;	/* of each leg, holes included */
	uint64_t hole_sectors;		/* … of which: holes in every leg, not read */
	uint64_t read_sectors;		/* really read from each leg, first pass */
	uint64_t withdrawn_regions;	/* found, then withdrawn as the mirror changed */
	uint64_t unreadable_sectors[MIRROR_LEGS_MAX];
	struct audit_pattern patterns[AUDIT_PATTERNS_MAX];
	size_t nr_patterns;
	uint64_t other_pattern_sectors;
};

/* 0, also when the run ended early (result->end) or found something; -ENOMEM or
 * -errno with an operational error when it could not be done. The result is
 * freed with audit_result_free(), unless result->hung. */
int audit_run(struct audit_result *result, const struct audit_input *input,
	      const struct audit_options *options, const struct audit_hooks *hooks,
	      struct error *err);
void audit_result_free(struct audit_result *result);

#endif
