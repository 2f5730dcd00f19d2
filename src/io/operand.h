/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IO_OPERAND_H
#define IO_OPERAND_H

#include "io/discover.h"

/*
 * From the words of --leg, --log, --table and --device to a plan: which files to
 * open as what. Files are looked at (does this path exist?), none but a table's
 * is opened.
 */

struct operand_place {
	char *path;		/* owned; NULL: nothing to open */
	uint64_t offset;	/* sectors into the file, all offsets added up */
};

struct operand_plan {
	struct mirror mirror;	/* geometry.length is 0 until the legs are open,
				 * unless it was given */
	struct operand_place legs[MIRROR_LEGS_MAX];
	struct operand_place log;
	bool log_only;
	bool length_given;
};

/* Both publish whole or zeroed; freed with operand_plan_free(), which accepts a
 * zeroed plan. */
int operand_plan_explicit(struct operand_plan *plan, const struct mirror_operand *operand,
			  struct error *err);
int operand_plan_table(struct operand_plan *plan, const struct mirror_operand *operand,
		       struct error *err);
void operand_plan_free(struct operand_plan *plan);

/* `PATH[@OFFSET]`: the last `@` counts, and only when what follows is a size and
 * no such path exists. The path is allocated. `what` is the option's name. */
int operand_place_parse(struct operand_place *place, const char *text,
			const char *what, struct error *err);

/* --region-size and --length as typed (NULL: left alone) in sectors, each checked
 * on its own. */
int operand_sizes_parse(uint64_t *region_size, uint64_t *length,
			const struct mirror_operand *operand, struct error *err);

/* --segment START; *given is false when there is none. */
int operand_segment_parse(uint64_t *start, bool *given,
			  const struct mirror_operand *operand, struct error *err);

#endif
