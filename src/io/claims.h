/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IO_CLAIMS_H
#define IO_CLAIMS_H

#include "io/device.h"
#include "io/stack.h"

/*
 * Who else uses the sectors of some legs and a log, however many devices lie
 * between: dm tables, md, mounted file systems, swap.
 */

/* Sectors of one leg or log. */
struct claim_range {
	unsigned int operand;	/* the caller's number for it */
	struct stack_node node;
	uint64_t first;
	uint64_t sectors;
};

/* A range met while walking the stack. */
struct claim_item {
	struct claim_range range;
	bool exact;		/* reached over sector-for-sector edges only */
};

/* Where the item is seen on the other side of an edge; false when it is not. */
bool claim_item_cross(struct claim_item *to, const struct claim_item *from,
		      const struct stack_edge *edge, bool up);
/* Does `outer` say all that `inner` says? */
bool claim_item_within(const struct claim_item *inner, const struct claim_item *outer);
/* Do they have sectors in common? */
bool claim_items_meet(const struct claim_item *a, const struct claim_item *b);

enum claim_kind {
	CLAIM_MIRROR,		/* a dm mirror, by its live table */
	CLAIM_MAPPED,		/* other dm devices, and tables not resumed yet */
	CLAIM_HOLDER,		/* md and the like */
	CLAIM_LOOP,		/* a loop device, mounted or not: it may write */
	CLAIM_MOUNT,
	CLAIM_SWAP,
	CLAIM_SUSPENDED,	/* a device under the range: its I/O hangs */
	CLAIM_OVERLAP,		/* another operand has the same sectors */
	CLAIM_UNDER,		/* not a claim: what the table of a dm device under
				 * the range maps it to, for comparing */
};

struct claim {
	enum claim_kind kind;
	unsigned int operand;
	unsigned int other;	/* CLAIM_OVERLAP: the other operand */
	bool inactive;		/* by a table that is not resumed yet */
	dev_t holder;
	dev_t lower;		/* CLAIM_UNDER: mapped to here */
	uint64_t lower_first;
	char name[128];		/* of the holder; where it is mounted */
	char type[32];		/* of the dm target */
};

struct claims {
	struct claim *claims;
	size_t nr_claims;
	bool mapper_asked;
};

struct claim_ranges {
	struct claim_range *ranges;	/* owned */
	size_t nr;
};

/* Adds the first `sectors` of `device` (0: all of them; of a device of several pieces
 * always all). 0 or -ENOMEM. Freed with claim_ranges_free(), which accepts a zeroed one. */
int claim_ranges_add(struct claim_ranges *ranges, const struct device *device,
		     uint64_t sectors, unsigned int operand);
void claim_ranges_free(struct claim_ranges *ranges);

/* Looks at this host now. `self` (0: none) is a dm device that is not counted.
 * 0 or -errno as stack_read(). Freed with claims_free(). */
int claims_read(struct claims *claims, const struct claim_range *ranges, size_t nr_ranges,
		dev_t self, struct error *err);
/* The same against a given picture: what claims_read() does once it has one. */
int claims_find(struct claims *claims, const struct stack *stack,
		const struct claim_range *ranges, size_t nr_ranges, dev_t self);
void claims_free(struct claims *claims);

/* Does `claims` have this claim? */
bool claims_have(const struct claims *claims, const struct claim *claim);

/* What follows the name of the leg: "is mounted on /mnt". Returns `out`. */
char *claim_describe(char *out, size_t room, const struct claim *claim);

#endif
