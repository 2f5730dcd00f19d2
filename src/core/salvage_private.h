/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CORE_SALVAGE_PRIVATE_H
#define CORE_SALVAGE_PRIVATE_H

#include "core/salvage.h"

/* salvage.c: which blocks, and what became of them. salvage_batch.c: some of them, from
 * the first read to the last. */

#define NO_LEG MIRROR_LEGS_MAX

struct salvage_sector {
	bool bad;		/* the source did not deliver it */
	uint8_t source;		/* NO_LEG: skipped by the plan, or behind the mirror's end */
	uint8_t from;		/* leg to take it from; NO_LEG: it is not salvaged */
	enum salvage_outcome outcome;	/* of a bad one */
	uint16_t readable;	/* legs */
	uint16_t failed;	/* legs that did not take it, or do not give it back */
};

/* One block of the largest size among the legs. */
struct salvage_unit {
	uint64_t start;		/* sector */
	bool clean;		/* in a region whose bit is 1 */
	bool active;		/* something in it is salvaged */
	uint16_t holders;	/* legs that could be read in all of that */
	uint16_t failed;	/* legs that failed in one of its sectors */
};

/* Units in ascending order; sector i of unit k is at k * unit_sectors + i in `sectors`
 * and in all buffers. */
struct salvage_batch {
	const struct salvage_input *input;
	const struct salvage_hooks *hooks;
	struct salvage_result *result;
	uint64_t done_sectors, total_sectors;

	uint32_t unit_sectors;
	uint32_t nr_units, max_units;
	struct salvage_unit *units;
	struct salvage_sector *sectors;
	unsigned char *memory;		/* of all buffers */
	unsigned char *own[MIRROR_LEGS_MAX];	/* what each leg holds */
	unsigned char *io;		/* what is written, and what is read back */
	bool stopping;			/* poll() said so */
};

/* Takes the batch from reading to proof; every bad sector then has its outcome. 0;
 * SALVAGE_STOPPED or SALVAGE_CHANGED, with nothing of this batch written; -errno when it
 * cannot go on, perhaps with requests still out. */
int salvage_batch_run(struct salvage_batch *batch);

#endif
