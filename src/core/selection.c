/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/selection.h"

#include <string.h>

/* The clean bits word by word: both are little-endian words from bit 0 on. */
static void select_clean(struct bitmap *regions, const struct bitmap *clean_bits)
{
	uint64_t nr_bits = clean_bits->nr_bits;
	uint64_t whole = nr_bits / 64;

	memcpy(regions->words, clean_bits->words, whole * sizeof(uint64_t));
	for (uint64_t bit = whole * 64; bit < nr_bits; bit++)
		if (bitmap_test(clean_bits, bit))
			bitmap_set(regions, bit);
}

int selection_make(struct selection *selection, uint64_t nr_regions,
		   const struct bitmap *clean_bits, const struct region_list *list)
{
	int r = 0;

	/* The largest set is not copied: a mirror of 2^32 regions has 512 MiB of it. */
	if (selection->scope == SELECT_CLEAN && !selection->sampled) {
		bitmap_borrow(&selection->regions, clean_bits->words, clean_bits->nr_bits);
		selection->population = bitmap_count(clean_bits);
		return 0;
	}
	r = bitmap_alloc(&selection->regions, nr_regions);
	if (r)
		return r;
	switch (selection->scope) {
	case SELECT_CLEAN:
		select_clean(&selection->regions, clean_bits);
		break;
	case SELECT_ALL:
		bitmap_set_run(&selection->regions, 0, nr_regions - 1);
		break;
	case SELECT_LIST:
		for (size_t i = 0; i < list->nr_runs; i++)
			bitmap_set_run(&selection->regions, list->runs[i].first,
				       list->runs[i].last);
		break;
	}
	selection->population = bitmap_count(&selection->regions);
	if (selection->sampled)
		r = sample_draw(&selection->regions,
				sample_size_count(selection->size, selection->population),
				selection->seed);
	if (r)
		selection_free(selection);
	return r;
}

void selection_free(struct selection *selection)
{
	bitmap_free(&selection->regions);
}
