/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CORE_REGION_LIST_H
#define CORE_REGION_LIST_H

#include <stddef.h>

#include "core/region.h"

/* The regions a user names: `5`, `5-9`, `5,7-9,100-` (mirrorctl(8)). Sorted, overlaps and neighbours merged. */
struct region_list {
	struct region_run *runs;
	size_t nr_runs;
};

/* Parses `text` for a mirror of `nr_regions`. A region beyond the end, an
 * empty item, a backward range or a stray character is a usage error (-EINVAL)
 * that names the item. -ENOMEM. The list is freed with region_list_free(). */
int region_list_parse(struct region_list *list, const char *text,
		      uint64_t nr_regions, struct error *err);
void region_list_free(struct region_list *list);

#endif
