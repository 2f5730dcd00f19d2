/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CORE_CAUSE_H
#define CORE_CAUSE_H

#include <stddef.h>

#include "core/audit.h"

/*
 * Why a clean bit may lie. An audit yields
 * evidence; a const table says which causes it fits. All that fit are named,
 * never one guess: the legs alone cannot tell which of them is right.
 */

enum evidence {
	EVIDENCE_BOGUS = 1u << 0,	/* something clean differs */
	EVIDENCE_SCATTERED = 1u << 1,	/* above a first stretch that is equal */
	EVIDENCE_MOST = 1u << 2,	/* more than half of what was compared differs */
	EVIDENCE_LARGE_SHARE = 1u << 3,	/* more than a tenth */
	EVIDENCE_LEG0_EMPTY = 1u << 4,	/* every run: leg 0 zeros, ones or one byte,
					 * the other leg not */
	EVIDENCE_OTHERS_ZERO = 1u << 5,	/* a run: the other leg zeros, leg 0 not */
	EVIDENCE_SIDE_EMPTY = 1u << 6,	/* a run: one side zeros, ones or one byte */
	EVIDENCE_SINGLE_BITS = 1u << 7,	/* every run: one bit of one sector */
	EVIDENCE_SMALL_RUNS = 1u << 8,	/* every run is a page (8 sectors) or less */
	EVIDENCE_NOSYNC = 1u << 9,	/* table nosync, or LVM's 0xFF fill */
	EVIDENCE_NO_HANDLE_ERRORS = 1u << 10,	/* known to be absent */
	EVIDENCE_HANDLE_ERRORS_UNKNOWN = 1u << 11,
	EVIDENCE_COUNT_MISMATCH = 1u << 12,	/* header's regions are not the mirror's */
	EVIDENCE_LETTERS = 1u << 13,	/* a leg or the log is not 'A' */
	EVIDENCE_NEVER_RESUMED = 1u << 14,	/* nr_regions as LVM writes it */
	EVIDENCE_CORE_LOG = 1u << 15,	/* no bits on disk: nothing survives a crash */
};

struct cause_row {
	const char *id;
	const char *text;
	unsigned int all;	/* evidence that must be there … */
	unsigned int any;	/* … at least one of these, if there are any … */
	unsigned int none;	/* … and that must not */
	bool leg0_right;	/* under this cause leg 0 holds the right data */
};

/* The evidence bits of an audit. */
unsigned int evidence_collect(const struct audit_result *result, const struct mirror *mirror,
			      const struct mirror_log *log);

/* Walks the causes that fit: *index starts at 0; NULL at the end. */
const struct cause_row *cause_next(unsigned int evidence, size_t *index);

#endif
