/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CORE_RUN_LIST_H
#define CORE_RUN_LIST_H

#include <stdbool.h>
#include <stddef.h>

#include "core/compare.h"
#include "core/verdict.h"

/*
 * What an audit collects: neighbouring sectors (and regions) of the same kind
 * become one run. Memory is bounded: past `max` runs only counting goes on.
 */

/* Sectors of one leg that differ from leg `against` or could not be read. */
struct sector_run {
	enum verdict verdict;
	unsigned int leg;
	unsigned int against;
	uint64_t start;
	uint64_t sectors;
	enum content content;		/* of this leg, when it is the same all along */
	uint8_t byte;
	enum content against_content;	/* of leg `against` */
	uint8_t against_byte;
	bool one_bit;			/* one sector, one bit */
	uint16_t equal_legs;		/* other differing legs that agree with it */
	int error;			/* unverifiable: the errno (positive) */
};

struct run_list {
	struct sector_run *runs;
	size_t nr, room, max;
	bool truncated;
	uint64_t nr_runs[VERDICT_COUNT];	/* exact, past truncation too */
	uint64_t sectors[VERDICT_COUNT];
	struct sector_run open[VERDICT_COUNT][MIRROR_LEGS_MAX];
};

void run_list_init(struct run_list *list, size_t max);
void run_list_free(struct run_list *list);
/* Adds a piece; for one verdict and leg pieces come in ascending order. */
int run_list_add(struct run_list *list, const struct sector_run *piece);
/* Takes back all that was added since `mark` was copied from `list`. */
void run_list_rollback(struct run_list *list, const struct run_list *mark);
/* Closes what is open and sorts by verdict, sector and leg. 0 or -ENOMEM. */
int run_list_finish(struct run_list *list);

/* Regions of one verdict. Regions without one (not selected) are left out. */
struct region_verdict_run {
	enum verdict verdict;
	uint64_t first, last;
};

struct region_verdicts {
	struct region_verdict_run *runs;
	size_t nr, room, max;
	bool truncated;
	uint64_t truncated_at;		/* first region not listed any more */
	uint64_t count[VERDICT_COUNT];	/* regions, exact */
};

void region_verdicts_init(struct region_verdicts *list, size_t max);
void region_verdicts_free(struct region_verdicts *list);
/* Runs come in ascending order. 0 or -ENOMEM. */
int region_verdicts_add(struct region_verdicts *list, enum verdict verdict,
			uint64_t first, uint64_t last);

#endif
