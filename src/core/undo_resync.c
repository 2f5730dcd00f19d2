/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What can be taken back of a resync: bits that it has set are cleared. */

#include "core/undo.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The area as it was, 8-byte aligned. */
static void *old_area(const struct undo_journal *undo)
{
	unsigned char *area = aligned_alloc(8, (size_t)(undo->log_state.area_bytes + 7) / 8 * 8);

	for (size_t i = 0; area && i < undo->nr_blocks; i++)
		memcpy(area + undo->blocks[i].sector * SECTOR_BYTES, undo->blocks[i].old,
		       (size_t)undo->blocks[i].sectors * SECTOR_BYTES);
	return area;
}

/* Takes out of `bits` what is set in `others`. */
static void subtract(struct bitmap *bits, const struct bitmap *others)
{
	uint64_t first, last, from = 0;

	while (from < bits->nr_bits && bitmap_next_run(others, true, from, &first, &last) &&
	       first < bits->nr_bits) {
		if (last >= bits->nr_bits)
			last = bits->nr_bits - 1;
		bitmap_clear_run(bits, first, last);
		from = last + 1;
	}
}

/* Leaves in `bits` what is set in `others`, which are as many. */
static void intersect(struct bitmap *bits, const struct bitmap *others)
{
	uint64_t first, last, from = 0;

	while (bitmap_next_run(others, false, from, &first, &last)) {
		bitmap_clear_run(bits, first, last);
		from = last + 1;
	}
}

int undo_resync_bits(struct bitmap *bits, const struct undo_journal *undo,
		     const struct mirror_log *now)
{
	uint64_t nr_regions = undo->log_state.nr_regions, first, last, from = 0;
	struct mirror_log was;
	void *area;

	memset(bits, 0, sizeof(*bits));
	if (now->nr_regions != nr_regions)
		return -EINVAL;
	area = undo->has_set ? NULL : old_area(undo);
	if ((!area && !undo->has_set) || bitmap_alloc(bits, nr_regions)) {
		free(area);
		return -ENOMEM;
	}
	while (bitmap_next_run(&now->clean_bits, true, from, &first, &last)) {
		bitmap_set_run(bits, first, last);
		from = last + 1;
	}
	if (undo->has_set) {
		intersect(bits, &undo->set);
		return 0;
	}
	mirror_log_decode(&was, area, undo->log_state.area_bytes, nr_regions);
	subtract(bits, &was.clean_bits);
	free(area);
	return 0;
}

/* --- is it still that mirror? -------------------------------------------------- */

/* All but header and bits a resync leaves alone, and so does the kernel. */
static bool log_fits(const struct undo_journal *undo, const unsigned char *now)
{
	uint64_t bits_end = MIRROR_LOG_BITS_OFFSET + (undo->log_state.nr_regions + 7) / 8;
	bool fits = true;

	for (size_t i = 0; i < undo->nr_blocks && fits; i++) {
		const struct undo_block *block = &undo->blocks[i];
		uint64_t start = block->sector * SECTOR_BYTES, at;
		uint64_t end = start + block->sectors * SECTOR_BYTES;

		for (at = start; at < end && fits; at++) {
			if (at < MIRROR_LOG_HEADER_BYTES)
				continue;
			if (at >= MIRROR_LOG_BITS_OFFSET && at < bits_end) {
				at = bits_end - 1;
				continue;
			}
			fits = block->old[at - start] == now[at];
		}
	}
	return fits;
}

bool undo_resync_fits(const struct undo_journal *undo, const void *now, uint64_t nr_bytes,
		      const struct leg_ends *ends, char *why, size_t room)
{
	unsigned int leg;

	if (nr_bytes < undo->log_state.area_bytes) {
		snprintf(why, room, "the log was larger");
		return false;
	}
	if (!log_fits(undo, now)) {
		snprintf(why, room, "the log holds something else beside its header and its bits");
		return false;
	}
	if (ends->nr_legs != undo->ends.nr_legs || ends->nr_ranges != undo->ends.nr_ranges ||
	    memcmp(ends->range, undo->ends.range, sizeof(ends->range))) {
		snprintf(why, room, "it has another length or number of legs");
		return false;
	}
	if (leg_ends_may_become(&undo->ends, ends, &leg))
		return true;
	if (leg < ends->nr_legs)
		snprintf(why, room, "leg %u holds something else at its beginning or end", leg);
	else
		snprintf(why, room, "nothing of its legs could be read, then or now");
	return false;
}
