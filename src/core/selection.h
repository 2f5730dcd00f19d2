/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CORE_SELECTION_H
#define CORE_SELECTION_H

#include "core/bitmap.h"
#include "core/mirror_log.h"
#include "core/region_list.h"
#include "core/sampling.h"

/* Which regions an audit compares. */

enum selection_scope {
	SELECT_CLEAN,		/* those the log calls clean: the default */
	SELECT_ALL,
	SELECT_LIST,		/* exactly those the user named, clean or not */
};

struct selection {
	enum selection_scope scope;
	bool sampled;		/* … and of those only a sample */
	struct sample_size size;
	uint64_t seed;
	/* filled by selection_make() */
	struct bitmap regions;
	uint64_t population;	/* regions in scope before sampling */
};

/* Makes selection->regions for a mirror of nr_regions; regions at or behind its
 * nr_bits are not selected. It may borrow `clean_bits`, which must outlive it and
 * stay as they are. `list` is used for SELECT_LIST only. 0 or -ENOMEM. Freed with
 * selection_free(). */
int selection_make(struct selection *selection, uint64_t nr_regions,
		   const struct bitmap *clean_bits, const struct region_list *list);
void selection_free(struct selection *selection);

#endif
