/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TESTS_MODEL_EXPLORE_H
#define TESTS_MODEL_EXPLORE_H

#include "world.h"

struct exploration {
	uint64_t states, transitions;
	unsigned int longest;		/* steps from a beginning to the furthest state */
	uint64_t ends;			/* states in which nothing goes on by itself */
	uint64_t failed[NR_CHECKS];	/* states in which a check failed */
	uint64_t memory_bytes;
	bool complete;			/* every state that can be reached was looked at */
	/* The steps to the first state in which each check failed, one a line; NULL: none
	 * did. Freed with exploration_free(). */
	char *histories[NR_CHECKS];
	unsigned int history_steps[NR_CHECKS];
};

/* All that can be reached, breadth first, so that the histories are the shortest. Stops
 * when one of `until` has failed, or at max_states. 0, -ENOMEM, -EINVAL: cannot be packed. */
int explore(struct model *model, unsigned int until, uint64_t max_states,
	    struct exploration *found);
/* Random walks from random beginnings until nothing can happen any more, or `until`. */
int walk(struct model *model, unsigned int until, uint64_t walks, uint64_t seed,
	 struct exploration *found);
void exploration_free(struct exploration *found);

#endif
