/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * What is about to be overwritten is kept first (--undo-file). To make that last takes a
 * flush of a disk, so one serves many chunks: those that still read may join those that
 * wait.
 */

#include "core/resync_private.h"

/* Longer than that a chunk does not wait for others. */
#define KEEP_NS UINT64_C(50000000)

static uint64_t min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static void keep_failed(struct resync *rs, int error)
{
	if (!rs->result->keep_error)
		rs->result->keep_error = error;
	if (!rs->ending)
		rs->ending = ENDING_STOPPED;
}

/* --- a chunk -------------------------------------------------------------- */

/* The readable sectors of units first..last, as far as they lie within the mirror. */
static int keep_units(const struct resync_chunk *chunk, unsigned int leg, uint64_t first,
		      uint64_t last)
{
	struct resync *rs = chunk->rs;
	const struct resync_hooks *hooks = rs->hooks;
	uint64_t at = first * rs->unit, stop;
	uint64_t end = last * rs->unit + resync_unit_sectors(chunk, last);
	int r = 0;

	for (; !r && at < end; at = stop) {
		bool bad = chunk->result[leg] && bitmap_test(&rs->bad[leg], at);

		stop = end;
		if (chunk->result[leg])
			stop = min_u64(end, bad ? bitmap_next_clear(&rs->bad[leg], at) :
				       bitmap_next_set(&rs->bad[leg], at));
		if (bad) {
			rs->result->lost_sectors += stop - at;
			continue;
		}
		rs->result->kept_sectors += stop - at;
		r = hooks->keep(hooks->context, leg, chunk->start + at, (uint32_t)(stop - at),
				chunk->data[leg] + at * SECTOR_BYTES,
				chunk->data[chunk->source] + at * SECTOR_BYTES);
	}
	return r;
}

static int keep_leg(const struct resync_chunk *chunk, unsigned int leg, bool *any)
{
	uint64_t first, last, from = 0;
	int r = 0;

	while (!r && bitmap_next_run(&chunk->differ[leg], true, from, &first, &last)) {
		*any = true;
		r = keep_units(chunk, leg, first, last);
		from = last + 1;
	}
	return r;
}

bool resync_keep_chunk(struct resync_chunk *chunk)
{
	struct resync *rs = chunk->rs;
	bool any = false;
	int r = rs->result->keep_error;

	if (!rs->hooks->keep || rs->options->dry_run)
		return false;
	for (unsigned int leg = 0; leg < rs->nr_legs && !r; leg++)
		r = keep_leg(chunk, leg, &any);
	if (r) {
		keep_failed(rs, r);
		chunk->dropped = true;
		return true;
	}
	if (any && !rs->chunks_keeping++)
		rs->keeping_since_ns = rs->hooks->now_ns(rs->hooks->context);
	return any;
}

/* --- those that wait ------------------------------------------------------ */

static bool is_due(const struct resync *rs)
{
	bool reading = false;

	if (!rs->chunks_keeping)
		return false;
	for (unsigned int i = 0; i < rs->nr_chunks; i++)
		reading = reading || rs->chunks[i].state == CHUNK_READING;
	return !reading || rs->chunks_keeping >= (rs->nr_chunks + 1) / 2 ||
	       rs->hooks->now_ns(rs->hooks->context) - rs->keeping_since_ns >= KEEP_NS;
}

bool resync_keep_turn(struct resync *rs)
{
	int r = rs->result->keep_error;

	if (!is_due(rs))
		return false;
	if (!r && !resync_must_not_write(rs))
		r = rs->hooks->kept(rs->hooks->context);
	if (r)
		keep_failed(rs, r);
	for (unsigned int i = 0; i < rs->nr_chunks; i++) {
		struct resync_chunk *chunk = &rs->chunks[i];

		if (chunk->state != CHUNK_KEEPING)
			continue;
		if (r || resync_must_not_write(rs))
			chunk->dropped = true;
		else
			chunk->state = CHUNK_WRITING;
	}
	rs->chunks_keeping = 0;
	return true;
}
