/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IO_STATE_PLACE_H
#define IO_STATE_PLACE_H

#include "io/claims.h"

/*
 * Would a file be stored on what it is to protect? From the devices of its file system
 * down the stack, whatever lies between, and from the legs and the log as well.
 */

enum place_answer {
	PLACE_APART,
	PLACE_SAME_DISK,	/* other sectors, but the disk under both is the same */
	PLACE_INSIDE,		/* on these very sectors */
};

struct place_verdict {
	enum place_answer answer;
	unsigned int operand;	/* of the part met */
	dev_t disk;		/* PLACE_SAME_DISK */
	char mirror[128];	/* PLACE_INSIDE: the active dm mirror on the way, or "" */
};

/* `under`: the devices that a file system lies on (none: it is in memory or on the
 * network). A leg that is a file may lie on the same file system; it must not lie
 * between it and its device. 0 or -ENOMEM. */
int place_find(struct place_verdict *verdict, const struct stack *stack,
	       const struct stack_node *under, size_t nr_under,
	       const struct claim_range *parts, size_t nr_parts);

/* Growing list of nodes; zeroed: empty. `nodes` is freed with free(). */
struct place_nodes {
	struct stack_node *nodes;
	size_t nr;
	bool incomplete;	/* a file system whose devices could not be told */
};

/* Adds the devices that the file system of an existing file lies on (a block device:
 * itself). btrfs and overlay have no device of their own, so their mounts are asked.
 * 0 or -errno. */
int place_nodes_of_path(struct place_nodes *list, const char *path);
/* The same for files behind loop devices of the picture: adds edges for those whose
 * file system has no device of its own. 0 or -ENOMEM. */
int place_complete_stack(struct stack *stack);

#endif
