/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IO_STACK_H
#define IO_STACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/error.h"

/*
 * How this host's block devices lie on each other: dm tables, live and inactive,
 * partitions, loop devices and their files, md and other holders, mounts, swap.
 */

struct stack_node {
	dev_t dev;		/* the block device, or the file system of the file */
	ino_t ino;		/* 0: a block device */
};

enum stack_kind { STACK_MAPPED, STACK_PARTITION, STACK_LOOP, STACK_HOLDER };

/* `upper_sectors` of the upper device from upper_first on lie on the lower one at
 * lower_first. */
struct stack_edge {
	enum stack_kind kind;
	struct stack_node upper, lower;
	uint64_t upper_first, upper_sectors;
	uint64_t lower_first, lower_sectors;
	bool exact;		/* sector for sector; else anywhere in both ranges */
	bool inactive;		/* STACK_MAPPED: in the table not resumed yet */
	char name[128];		/* of the upper device */
	char type[32];		/* STACK_MAPPED: target type, "" = may not be asked */
};

/* A mounted file system, or swap space. */
struct stack_use {
	struct stack_node node;
	bool swap;
	char name[128];		/* mount point */
};

struct stack {
	struct stack_edge *edges;
	size_t nr_edges;
	struct stack_use *uses;
	size_t nr_uses;
	dev_t *suspended;	/* dm devices whose I/O would hang */
	size_t nr_suspended;
	bool mapper_asked;	/* false: dm devices are known from sysfs alone */
};

/* Takes the picture. Where device-mapper is not there, or does not answer us,
 * sysfs tells the holders (without their offsets). -ENOMEM, or -errno when
 * device-mapper failed in the middle. Freed with stack_free(). */
int stack_read(struct stack *stack, struct error *err);
void stack_free(struct stack *stack);

/* Adds the edges of one target's parameters: any dm table line, not only
 * mirror. `edge` holds what is common to them. 0 or -ENOMEM. */
int stack_add_target(struct stack *stack, const struct stack_edge *edge, const char *params);

/* /proc writes blanks in paths as \040 and the like: back to bytes, in place. */
void octal_unescape(char *text);

bool stack_node_equal(struct stack_node a, struct stack_node b);

#endif
