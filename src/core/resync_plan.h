/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CORE_RESYNC_PLAN_H
#define CORE_RESYNC_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/audit.h"
#include "core/identity.h"

/*
 * From which leg each region is copied: one leg for all, or a text that `resync
 * offline --write-plan` produces and an administrator edits:
 *
 *	mirrorctl resync plan 1
 *	identity {"kind": "weak", ...}
 *	# regions 12-14: legs 1 and 2 agree, leg 0 holds zeros (1.5 MiB)
 *	12-14	source 0
 *	99	skip
 *	*	source 0
 *
 * A line is a region or a run (`12-` goes to the last region) and what to do; `*` stands
 * for all regions that no line names. Lines come in any order and do not overlap. What
 * stands behind `#` is for people, and only that may stand above the first line.
 */

#define RESYNC_SKIP 0xffu		/* in place of a leg: leave the region and its bit alone */
#define RESYNC_PLAN_BYTES_MAX (UINT64_C(64) << 20)

struct resync_plan_run {
	uint64_t first, last;
	uint8_t source;			/* leg or RESYNC_SKIP */
};

struct resync_plan {
	struct resync_plan_run *runs;	/* owned; ascending, not overlapping; a parsed plan has
					 * only those that are not as `otherwise` */
	size_t nr_runs;
	uint8_t otherwise;		/* leg, or RESYNC_SKIP, of regions in no run */
	bool has_identity;
	struct identity identity;	/* of the mirror that it was written for */
};

/* All from one leg. Needs no freeing. */
void resync_plan_init(struct resync_plan *plan, unsigned int source);
/* Leg or RESYNC_SKIP of a region; *last gets the last region (< nr_regions) up to which
 * the answer is the same. */
unsigned int resync_plan_source(const struct resync_plan *plan, uint64_t region,
				uint64_t nr_regions, uint64_t *last);

/* Parses a text of `nr_bytes` (no NUL needed at its end) for a mirror of nr_regions and
 * nr_legs. -EINVAL with a usage error, "name:line: what is wrong there" (a leg that is not
 * there, a region beyond the end, an overlap, a `*` line twice or none, a word), -ENOMEM. Whose mirror the identity is, is for the caller to compare. Freed with
 * resync_plan_free(), which accepts a zeroed one. */
int resync_plan_parse(struct resync_plan *plan, const char *name, const char *text,
		      size_t nr_bytes, uint64_t nr_regions, unsigned int nr_legs,
		      struct error *err);
void resync_plan_free(struct resync_plan *plan);

/* Writes the text through `put` (a line with its newline; 0 or -errno, which ends it and is
 * returned): a line for every run of regions that would be copied and look alike, with
 * the audit's evidence as comments (which legs agree, what differing legs hold,
 * unreadable sectors), leg `source` (or RESYNC_SKIP) as the proposal. `work`: the regions
 * a resync would copy. The audit was one with all legs there; NULL: no evidence.
 * identity_json may be NULL. -ENOMEM. Where the runs are too many for a text that could be
 * read back the rest is left to the `*` line, and a comment says so. */
int resync_plan_write(int (*put)(void *context, const char *line), void *context,
		      const char *identity_json, const struct bitmap *work,
		      const struct audit_result *audit, const struct region_geometry *geometry,
		      unsigned int nr_legs, unsigned int source);

#endif
