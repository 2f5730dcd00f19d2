/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/repair.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define WORD_BITS 64u

static uint64_t min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* --- the plan ------------------------------------------------------------ */

/* wanted and believed: bits that exist in both, and nothing behind them. */
static void choose_bits(struct bitmap *clear, const struct bitmap *wanted,
			const struct bitmap *believed)
{
	uint64_t nr_bits = min_u64(clear->nr_bits, min_u64(wanted->nr_bits, believed->nr_bits));
	uint64_t whole = nr_bits / WORD_BITS, rest = nr_bits % WORD_BITS;

	for (uint64_t i = 0; i < whole; i++)
		clear->words[i] = wanted->words[i] & believed->words[i];
	if (rest)
		clear->words[whole] = wanted->words[whole] & believed->words[whole] &
				      htole64(UINT64_MAX >> (WORD_BITS - rest));
}

/* The next block at or behind region `from` that has bits to clear; *from moves
 * behind it. false: none. */
static bool next_block(const struct repair_plan *plan, uint64_t *from, struct repair_block *block)
{
	uint64_t block_bytes = (uint64_t)plan->block_sectors * SECTOR_BYTES;
	uint64_t first = bitmap_next_set(&plan->clear, *from), index, last;

	if (first >= plan->clear.nr_bits)
		return false;
	index = (MIRROR_LOG_BITS_OFFSET + first / 8) / block_bytes;
	last = ((index + 1) * block_bytes - MIRROR_LOG_BITS_OFFSET) * 8 - 1;
	last = min_u64(last, plan->clear.nr_bits - 1);
	block->sector = index * plan->block_sectors;
	block->bits = bitmap_count_run(&plan->clear, first, last);
	*from = last + 1;
	return true;
}

static int list_blocks(struct repair_plan *plan)
{
	struct repair_block block;
	uint64_t from = 0;
	size_t nr_blocks = 0;

	while (next_block(plan, &from, &block))
		nr_blocks++;
	if (!nr_blocks)
		return 0;
	plan->blocks = calloc(nr_blocks, sizeof(*plan->blocks));
	if (!plan->blocks)
		return -ENOMEM;
	from = 0;
	while (plan->nr_blocks < nr_blocks &&
	       next_block(plan, &from, &plan->blocks[plan->nr_blocks]))
		plan->nr_blocks++;
	return 0;
}

static uint64_t sectors_to_recopy(const struct repair_plan *plan,
				  const struct region_geometry *geometry)
{
	uint64_t last = geometry->nr_regions - 1;
	uint64_t sectors = plan->nr_clear * geometry->region_size;

	if (bitmap_test(&plan->clear, last))
		sectors -= geometry->region_size - region_sectors(geometry, last);
	return sectors;
}

static bool is_large(const struct repair_plan *plan, const struct mirror_log *log,
		     const struct region_geometry *geometry)
{
	if (plan->recopy_sectors > REPAIR_LARGE_SECTORS)
		return true;
	return plan->nr_clear * 10 > log->clean &&
	       (plan->nr_clear * 10 > geometry->nr_regions ||
		plan->recopy_sectors > REPAIR_TRIFLE_SECTORS);
}

int repair_plan_make(struct repair_plan *plan, const struct mirror_log *log,
		     const struct region_geometry *geometry, const struct bitmap *wanted,
		     uint32_t block_sectors)
{
	int r;

	memset(plan, 0, sizeof(*plan));
	plan->block_sectors = block_sectors ? block_sectors : 1;
	r = bitmap_alloc(&plan->clear, geometry->nr_regions);
	if (r)
		return r;
	choose_bits(&plan->clear, wanted, &log->clean_bits);
	plan->nr_clear = bitmap_count(&plan->clear);
	plan->recopy_sectors = sectors_to_recopy(plan, geometry);
	plan->large = is_large(plan, log, geometry);
	r = list_blocks(plan);
	if (r)
		repair_plan_free(plan);
	return r;
}

void repair_plan_free(struct repair_plan *plan)
{
	bitmap_free(&plan->clear);
	free(plan->blocks);
	memset(plan, 0, sizeof(*plan));
}

void repair_plan_edit(const struct repair_plan *plan, void *area)
{
	uint64_t first, last, from = 0;
	struct bitmap bits;

	/* Only where the plan has bits, which the area holds, is it touched. */
	bitmap_borrow(&bits, (unsigned char *)area + MIRROR_LOG_BITS_OFFSET, plan->clear.nr_bits);
	while (bitmap_next_run(&plan->clear, true, from, &first, &last)) {
		bitmap_clear_run(&bits, first, last);
		from = last + 1;
	}
}

void *repair_plan_edited(const struct repair_plan *plan, struct block_engine *engine,
			 const void *area, uint64_t nr_bytes)
{
	void *edited = block_memory(engine, (size_t)nr_bytes);

	if (!edited)
		return NULL;
	memcpy(edited, area, (size_t)nr_bytes);
	repair_plan_edit(plan, edited);
	return edited;
}

/* --- undo ---------------------------------------------------------------- */

bool repair_undo_allowed(const void *now, const void *before, const void *after,
			 uint64_t nr_bytes, uint64_t *differs)
{
	const unsigned char *is = now, *was = before, *became = after;

	for (uint64_t at = 0; at < nr_bytes; at += SECTOR_BYTES) {
		size_t bytes = (size_t)min_u64(SECTOR_BYTES, nr_bytes - at);

		if (memcmp(is + at, was + at, bytes) && memcmp(is + at, became + at, bytes)) {
			*differs = at / SECTOR_BYTES;
			return false;
		}
	}
	return true;
}

void repair_undo_edit(void *area, const void *before, uint64_t nr_bytes,
		      const struct bitmap *back)
{
	uint64_t room = nr_bytes > MIRROR_LOG_BITS_OFFSET ? nr_bytes - MIRROR_LOG_BITS_OFFSET : 0;
	uint64_t nr_bits = min_u64(back->nr_bits, room / 8 * WORD_BITS);
	unsigned char *bits = (unsigned char *)area + MIRROR_LOG_BITS_OFFSET;
	const unsigned char *old = (const unsigned char *)before + MIRROR_LOG_BITS_OFFSET;

	for (uint64_t region = bitmap_next_set(back, 0); region < nr_bits;
	     region = bitmap_next_set(back, region + 1))
		bits[region / 8] |= old[region / 8] & (1u << region % 8);
}
