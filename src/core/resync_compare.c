/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What the legs hold in a chunk: which units differ, which sectors cannot be read. */

#include "core/resync_private.h"

#include <errno.h>
#include <string.h>

/* So many unreadable blocks in a row and a leg is no longer probed block by block:
 * whole chunks that fail are called unreadable until one is read again. */
#define COARSE_AFTER 2048u

static uint64_t min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

uint32_t resync_unit_sectors(const struct resync_chunk *chunk, uint64_t unit)
{
	uint32_t size = chunk->rs->unit;

	return (uint32_t)min_u64(size, chunk->sectors - unit * size);
}

uint64_t resync_units_bytes(const struct resync_chunk *chunk, const struct bitmap *units,
			    uint64_t first, uint64_t last)
{
	uint64_t nr = units ? bitmap_count_run(units, first, last) : last - first + 1;
	uint64_t sectors = nr * chunk->rs->unit;

	if (last == chunk->units - 1 && (!units || bitmap_test(units, last)))
		sectors -= chunk->rs->unit - resync_unit_sectors(chunk, last);
	return sectors * SECTOR_BYTES;
}

static uint64_t unit_bytes(const struct resync_chunk *chunk, uint64_t unit)
{
	return unit * chunk->rs->unit * SECTOR_BYTES;
}

/* --- which sectors cannot be read ---------------------------------------- */

static void probe_done(struct block_request *request)
{
	struct resync_chunk *chunk = request->context;

	chunk->probing = false;
}

/* Reads [first, end) of a leg again: *result. 0, or as resync_wait(). */
static int probe_read(struct resync_chunk *chunk, unsigned int leg, uint64_t first,
		      uint64_t end, int *result)
{
	struct resync *rs = chunk->rs;
	int r = 0;

	chunk->probe = (struct block_request){
		.device = rs->input->legs[leg], .op = BLOCK_READ, .sector = first,
		.sectors = (uint32_t)(end - first),
		.data = chunk->data[leg] + (first - chunk->start) * SECTOR_BYTES,
		.done = probe_done, .context = chunk,
	};
	*result = block_submit(rs->engine, &chunk->probe);
	if (*result)
		return 0;
	chunk->probing = true;
	while (!r && chunk->probing)
		r = resync_wait(rs, RESYNC_POLL_MS);
	*result = chunk->probe.result;
	if (!r && !*result)
		rs->result->read_bytes[leg] += (end - first) * SECTOR_BYTES;
	return r;
}

/* A leg that has gone away, or has been bad for so long that it might as well. */
static bool is_hopeless(const struct resync *rs, unsigned int leg, int error)
{
	return error == -ENXIO || error == -ENODEV || rs->bad_in_a_row[leg] >= COARSE_AFTER;
}

/* Reads [first, end) piece by piece after it failed as a whole; halves are blocks of
 * the leg's own size in the end. */
static int find_bad(struct resync_chunk *chunk, unsigned int leg, uint64_t first, uint64_t end,
		    int error)
{
	struct resync *rs = chunk->rs;
	uint32_t block = rs->input->legs[leg]->block_sectors;
	uint64_t half[3] = { first, first + ((end - first) / 2 + block - 1) / block * block, end };
	int r = 0;

	if (rs->ending) {
		chunk->dropped = true;
		return 0;
	}
	if (end - first <= block || is_hopeless(rs, leg, error)) {
		bitmap_set_run(&rs->bad[leg], first - chunk->start, end - chunk->start - 1);
		rs->bad_in_a_row[leg]++;
		return 0;
	}
	for (unsigned int i = 0; i < 2 && !r; i++) {
		r = probe_read(chunk, leg, half[i], half[i + 1], &error);
		if (r)
			return r;
		if (!error)
			rs->bad_in_a_row[leg] = 0;
		else
			r = find_bad(chunk, leg, half[i], half[i + 1], error);
	}
	return r;
}

/* Fills rs->bad of a leg that could not be read. */
static int find_bad_of_leg(struct resync_chunk *chunk, unsigned int leg)
{
	struct resync *rs = chunk->rs;
	uint64_t last = chunk->reads[leg].sectors - 1;
	uint64_t in_mirror = chunk->sectors - 1;
	int r;

	bitmap_clear_run(&rs->bad[leg], 0, UINT64_MAX);
	r = find_bad(chunk, leg, chunk->start, chunk->start + last + 1, chunk->result[leg]);
	chunk->bad_sectors[leg] = bitmap_count_run(&rs->bad[leg], 0, in_mirror);
	return r;
}

bool resync_unit_is_bad(const struct resync_chunk *chunk, unsigned int leg, uint64_t unit)
{
	const struct resync *rs = chunk->rs;
	uint64_t first = unit * rs->unit;
	/* To the end of the leg's block, which may lie behind the mirror's. */
	uint64_t end = min_u64(first + rs->unit, chunk->reads[leg].sectors);

	return chunk->result[leg] && bitmap_next_set(&rs->bad[leg], first) < end;
}

/* Adds the unreadable sectors of a leg to the result. */
static int record_bad(struct resync_chunk *chunk, unsigned int leg)
{
	struct resync *rs = chunk->rs;
	uint64_t first, last, from = 0;
	int r = 0;

	while (!r && from < chunk->sectors &&
	       bitmap_next_run(&rs->bad[leg], true, from, &first, &last) &&
	       first < chunk->sectors) {
		struct sector_run run = {
			.verdict = VERDICT_UNVERIFIABLE, .leg = leg, .against = chunk->source,
			.start = chunk->start + first, .error = -chunk->result[leg],
		};

		last = min_u64(last, chunk->sectors - 1);
		run.sectors = last - first + 1;
		r = run_list_add(&rs->result->unreadable, &run);
		from = last + 1;
	}
	return r;
}

/* --- what differs -------------------------------------------------------- */

static void compare_unit(struct resync_chunk *chunk, unsigned int leg, uint64_t unit)
{
	uint64_t at = unit_bytes(chunk, unit);
	uint64_t bytes = (uint64_t)resync_unit_sectors(chunk, unit) * SECTOR_BYTES;

	if (resync_unit_is_bad(chunk, chunk->source, unit)) {
		bitmap_set(&chunk->failed, unit);
	} else if (resync_unit_is_bad(chunk, leg, unit)) {
		/* Of a clean region that is no proof of a difference. */
		bitmap_set(chunk->verify ? &chunk->failed : &chunk->differ[leg], unit);
		chunk->healing |= (uint16_t)(1u << leg);
	} else if (memcmp(chunk->data[chunk->source] + at, chunk->data[leg] + at, bytes)) {
		bitmap_set(&chunk->differ[leg], unit);
	} else {
		bitmap_set(&chunk->same[leg], unit);
		if (resync_wants_all(chunk))
			bitmap_set(&chunk->differ[leg], unit);
	}
}

static void compare_leg(struct resync_chunk *chunk, unsigned int leg)
{
	uint64_t bytes = (uint64_t)chunk->sectors * SECTOR_BYTES;

	if (!resync_wants_all(chunk) && !chunk->result[leg] && !chunk->result[chunk->source] &&
	    !memcmp(chunk->data[chunk->source], chunk->data[leg], bytes)) {
		bitmap_set_run(&chunk->same[leg], 0, chunk->units - 1);
		return;
	}
	for (uint64_t unit = 0; unit < chunk->units; unit++)
		compare_unit(chunk, leg, unit);
}

/* The mirror may end within a target's last block. What lies behind is not the
 * mirror's: that block is written as the target has it, with the source's sectors. */
static bool has_ragged_end(const struct resync_chunk *chunk, unsigned int leg)
{
	return chunk->reads[leg].sectors > chunk->sectors;
}

/* When even the target's own last block cannot be read, it cannot be written. */
static void give_up_ragged_end(struct resync_chunk *chunk, unsigned int leg)
{
	uint64_t unit = chunk->units - 1;

	if (has_ragged_end(chunk, leg) && resync_unit_is_bad(chunk, leg, unit) &&
	    bitmap_test(&chunk->differ[leg], unit)) {
		bitmap_clear(&chunk->differ[leg], unit);
		bitmap_set(&chunk->failed, unit);
	}
}

struct piece_content resync_contents(const struct resync_chunk *chunk, unsigned int leg,
				     uint64_t first, uint64_t last)
{
	uint64_t at = first * chunk->rs->unit;
	uint64_t end = last * chunk->rs->unit + resync_unit_sectors(chunk, last);
	struct piece_content content = { .content = CONTENT_OTHER };

	if (chunk->healing & 1u << leg)		/* not all of it could be read */
		return content;
	for (uint64_t sector = at; sector < end; sector++) {
		uint8_t byte = 0;
		uint8_t found = (uint8_t)content_of_sector(chunk->data[leg] +
							   sector * SECTOR_BYTES, &byte);

		if (found != CONTENT_REPEATED)
			byte = 0;
		if (sector > at && (found != content.content || byte != content.byte))
			return (struct piece_content){ .content = CONTENT_OTHER };
		content = (struct piece_content){ found, byte };
		if (found == CONTENT_OTHER)
			break;
	}
	return content;
}

/* --- the whole ----------------------------------------------------------- */

static int find_all_bad(struct resync_chunk *chunk)
{
	int r = 0;

	chunk->healing = 0;
	for (unsigned int leg = 0; leg < chunk->rs->nr_legs && !r; leg++) {
		chunk->bad_sectors[leg] = 0;
		if (!(chunk->targets & 1u << leg) && leg != chunk->source)
			continue;
		if (!chunk->result[leg])
			chunk->rs->bad_in_a_row[leg] = 0;
		else
			r = find_bad_of_leg(chunk, leg);
	}
	return r;
}

/* Only for good: what is written over next may be readable then. A dry run does not
 * know. */
static int record_all_bad(struct resync_chunk *chunk)
{
	int r = 0;

	for (unsigned int leg = 0; leg < chunk->rs->nr_legs && !r; leg++)
		if (chunk->result[leg] && (leg == chunk->source || chunk->verify ||
					   chunk->rs->options->dry_run))
			r = record_bad(chunk, leg);
	return r;
}

int resync_compare(struct resync_chunk *chunk)
{
	const struct resync *rs = chunk->rs;
	int r;

	r = find_all_bad(chunk);
	if (r || chunk->dropped)
		return r;
	r = record_all_bad(chunk);
	if (r)
		return r;
	for (unsigned int leg = 0; leg < rs->nr_legs; leg++)
		if (chunk->targets & 1u << leg) {
			compare_leg(chunk, leg);
			give_up_ragged_end(chunk, leg);
		}
	resync_agree_chunk(chunk);
	return 0;
}

int resync_compare_back(struct resync_chunk *chunk, unsigned int leg)
{
	uint64_t before = chunk->bad_sectors[leg], unit = 0;
	int r = 0;

	chunk->bad_sectors[leg] = 0;
	if (chunk->result[leg])
		r = find_bad_of_leg(chunk, leg);
	if (!r && chunk->result[leg])
		r = record_bad(chunk, leg);
	if (r || chunk->dropped)
		return r;
	if (before > chunk->bad_sectors[leg])
		chunk->rs->result->healed_sectors[leg] += before - chunk->bad_sectors[leg];
	for (; unit < chunk->units; unit++) {
		uint64_t at = unit_bytes(chunk, unit);

		if (bitmap_test(&chunk->failed, unit))
			continue;
		if (resync_unit_is_bad(chunk, leg, unit) ||
		    memcmp(chunk->data[chunk->source] + at, chunk->data[leg] + at,
			   (size_t)resync_unit_sectors(chunk, unit) * SECTOR_BYTES))
			bitmap_set(&chunk->failed, unit);
	}
	return 0;
}
