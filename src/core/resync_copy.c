/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * The queue: many chunks at once, each read from all legs, compared, and written where a
 * target differs, out of the buffer that the source was read into.
 */

#include "core/resync_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static uint64_t min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* --- life ---------------------------------------------------------------- */

static int chunk_create(struct resync *rs, struct resync_chunk *chunk, unsigned int *buffer)
{
	uint64_t units = rs->chunk_sectors / rs->unit;

	chunk->rs = rs;
	for (unsigned int leg = 0; leg < rs->nr_legs; leg++) {
		chunk->data[leg] = block_buffer(rs->engine, (*buffer)++);
		if (bitmap_alloc(&chunk->differ[leg], units) ||
		    bitmap_alloc(&chunk->same[leg], units))
			return -ENOMEM;
	}
	return bitmap_alloc(&chunk->failed, units);
}

int resync_chunks_create(struct resync *rs)
{
	unsigned int buffer = 0;
	int r = 0;

	rs->nr_chunks = rs->engine->nr_buffers / rs->nr_legs;
	if (rs->nr_chunks > RESYNC_CHUNKS_MAX)
		rs->nr_chunks = RESYNC_CHUNKS_MAX;
	rs->chunks = calloc(rs->nr_chunks, sizeof(*rs->chunks));
	rs->large = calloc(rs->nr_chunks + 1, sizeof(*rs->large));
	if (!rs->chunks || !rs->large)
		return -ENOMEM;
	for (unsigned int i = 0; i < rs->nr_chunks && !r; i++)
		r = chunk_create(rs, &rs->chunks[i], &buffer);
	for (unsigned int leg = 0; leg < rs->nr_legs && !r; leg++)
		r = bitmap_alloc(&rs->bad[leg], rs->chunk_sectors);
	return r;
}

void resync_chunks_destroy(struct resync *rs)
{
	for (unsigned int i = 0; rs->chunks && i < rs->nr_chunks; i++) {
		for (unsigned int leg = 0; leg < rs->nr_legs; leg++) {
			bitmap_free(&rs->chunks[i].differ[leg]);
			bitmap_free(&rs->chunks[i].same[leg]);
		}
		bitmap_free(&rs->chunks[i].failed);
	}
	for (unsigned int leg = 0; leg < rs->nr_legs; leg++)
		bitmap_free(&rs->bad[leg]);
	free(rs->chunks);
	free(rs->large);
}

/* --- the end of a chunk -------------------------------------------------- */

static unsigned int outcome_of_units(const struct resync_chunk *chunk, uint64_t first,
				     uint64_t last)
{
	unsigned int outcome = chunk->dropped ? OUTCOME_DROPPED : 0;

	if (bitmap_next_set(&chunk->failed, first) <= last)
		outcome |= OUTCOME_FAILED;
	for (unsigned int leg = 0; leg < chunk->rs->nr_legs; leg++) {
		uint64_t written = bitmap_count_run(&chunk->differ[leg], first, last);

		if (!written)
			continue;
		outcome |= OUTCOME_WRITTEN;
		if (!resync_wants_all(chunk) ||
		    written > bitmap_count_run(&chunk->same[leg], first, last))
			outcome |= OUTCOME_DIFFERED;
	}
	return outcome;
}

/* What was found equal in units first..last, and is not written over all the same. */
static void tally_units(const struct resync_chunk *chunk, uint64_t first, uint64_t last,
			struct resync_tally *tally)
{
	if (chunk->dropped || resync_wants_all(chunk))
		return;
	if (chunk->hole)
		tally->hole_bytes += resync_units_bytes(chunk, NULL, first, last);
	for (unsigned int leg = 0; leg < chunk->rs->nr_legs; leg++)
		tally->equal_bytes[leg] += resync_units_bytes(chunk, &chunk->same[leg], first,
							      last);
}

/* What has been found out about a region, all of it. */
static void region_end(struct resync *rs, uint64_t region, bool verify, unsigned int outcome,
		       const struct resync_tally *tally)
{
	bool read_again = verify && resync_is_opened(rs, outcome);

	if (!read_again) {
		rs->result->hole_bytes += tally->hole_bytes;
		for (unsigned int leg = 0; leg < rs->nr_legs; leg++)
			rs->result->equal_bytes[leg] += tally->equal_bytes[leg];
	}
	resync_region_done(rs, region, verify, outcome);
}

/* A piece of a large region is through, or (0) no more pieces will come. */
static void large_piece_done(struct resync *rs, struct resync_large *large, unsigned int outcome,
			     bool verify)
{
	large->outcome |= outcome;
	if (large->out || !large->all_issued)
		return;
	large->in_use = false;
	if (!verify && !(large->outcome & OUTCOME_DROPPED))
		resync_agree_region(rs, large->region, &large->agreeing);
	region_end(rs, large->region, verify, large->outcome, &large->tally);
}

static void chunk_end(struct resync_chunk *chunk)
{
	struct resync *rs = chunk->rs;
	const struct region_geometry *geometry = &rs->input->geometry;
	uint64_t units = geometry->region_size / rs->unit, unit, region;

	chunk->state = CHUNK_FREE;
	rs->chunks_out--;
	rs->progress.done_sectors += chunk->sectors;
	if (chunk->large) {
		chunk->large->out--;
		tally_units(chunk, 0, chunk->units - 1, &chunk->large->tally);
		large_piece_done(rs, chunk->large, outcome_of_units(chunk, 0, chunk->units - 1),
				 chunk->verify);
		return;
	}
	region = region_of_sector(geometry, chunk->start);
	for (unit = 0; unit < chunk->units; unit += units) {
		uint64_t last = min_u64(unit + units, chunk->units) - 1;
		struct resync_tally tally = { 0 };

		tally_units(chunk, unit, last, &tally);
		region_end(rs, region++, chunk->verify, outcome_of_units(chunk, unit, last),
			   &tally);
	}
}

/* --- writing ------------------------------------------------------------- */

/* It has gone well, or in a dry run would have. */
static void count_write(const struct resync_write *write, const struct piece *contents)
{
	struct resync *rs = write->chunk->rs;
	struct piece piece = *contents;
	uint64_t bytes = (uint64_t)write->request.sectors * SECTOR_BYTES;

	piece.start = write->request.sector;
	piece.count = write->request.sectors;
	piece.kind = (uint8_t)write->leg;
	piece.source = (uint8_t)write->chunk->source;
	piece_list_add(&rs->result->written, &piece);
	if (rs->options->copy_all)
		rs->result->rewritten_bytes[write->leg] +=
			resync_units_bytes(write->chunk, &write->chunk->same[write->leg],
					   write->first, write->last);
	rs->result->written_bytes[write->leg] += bytes;
	rs->progress.written_bytes += bytes;
}

static void write_done(struct block_request *request)
{
	static const struct piece no_contents;
	struct resync_write *write = request->context;
	struct resync_chunk *chunk = write->chunk;
	struct resync *rs = chunk->rs;

	write->busy = false;
	chunk->pending--;
	if (request->result) {
		bitmap_set_run(&chunk->failed, write->first, write->last);
		resync_fail_leg(rs, write->leg, request->result);
		return;
	}
	count_write(write, &no_contents);
}

/* The mirror may end within the target's last block: what follows is the target's. */
static bool is_ragged(const struct resync_chunk *chunk, unsigned int leg, uint64_t unit)
{
	return unit == chunk->units - 1 && chunk->reads[leg].sectors > chunk->sectors;
}

/* Which sectors; the last block of a ragged end whole. */
static void place_write(struct resync_write *write, struct resync_chunk *chunk, unsigned int leg,
			uint64_t first, uint64_t last)
{
	uint64_t at = first * chunk->rs->unit;
	uint64_t end = min_u64((last + 1) * chunk->rs->unit, chunk->sectors);

	if (is_ragged(chunk, leg, last))
		end = chunk->reads[leg].sectors;
	*write = (struct resync_write){
		.chunk = chunk, .leg = leg, .first = first, .last = last,
		.request = { .sector = chunk->start + at, .sectors = (uint32_t)(end - at) },
	};
}

static void submit_write(struct resync_write *write)
{
	struct resync_chunk *chunk = write->chunk;
	struct resync *rs = chunk->rs;
	uint64_t at = (write->request.sector - chunk->start) * SECTOR_BYTES;
	unsigned char *data = chunk->data[chunk->source];
	int r;

	if (is_ragged(chunk, write->leg, write->last)) {
		data = chunk->data[write->leg];
		memcpy(data + at, chunk->data[chunk->source] + at,
		       (size_t)chunk->sectors * SECTOR_BYTES - at);
	}
	write->request.device = rs->input->legs[write->leg];
	write->request.op = BLOCK_WRITE;
	write->request.data = data + at;
	write->request.done = write_done;
	write->request.context = write;
	r = block_submit(rs->engine, &write->request);
	if (r) {
		bitmap_set_run(&chunk->failed, write->first, write->last);
		resync_fail_leg(rs, write->leg, r);
		return;
	}
	write->busy = true;
	chunk->pending++;
}

/* The next run of units that a target wants; false: no more. A ragged unit goes alone,
 * out of another buffer. */
static bool next_write(struct resync_chunk *chunk, unsigned int leg, uint64_t *first,
		       uint64_t *last)
{
	if (!bitmap_next_run(&chunk->differ[leg], true, chunk->cursor[leg], first, last) ||
	    *first >= chunk->units)
		return false;
	if (*first < *last && is_ragged(chunk, leg, *last))
		(*last)--;
	return true;
}

static void submit_writes_of_leg(struct resync_chunk *chunk, unsigned int leg)
{
	struct resync *rs = chunk->rs;
	uint64_t first, last;

	for (unsigned int i = 0; i < RESYNC_WRITES_PER_LEG; i++) {
		struct resync_write *write = &chunk->writes[leg][i];

		if (write->busy)
			continue;
		if (!next_write(chunk, leg, &first, &last))
			return;
		if (resync_must_not_write(rs)) {
			chunk->dropped = true;
			return;
		}
		if (rs->result->leg_error[leg]) {
			bitmap_set_run(&chunk->failed, first, chunk->units - 1);
			chunk->cursor[leg] = chunk->units;
			return;
		}
		chunk->cursor[leg] = last + 1;
		place_write(write, chunk, leg, first, last);
		submit_write(write);
	}
}

/* The same writes, none of them made. */
static void pretend_writes_of_leg(struct resync_chunk *chunk, unsigned int leg)
{
	struct resync_write write;
	struct piece contents;
	uint64_t first, last;

	while (next_write(chunk, leg, &first, &last)) {
		chunk->cursor[leg] = last + 1;
		place_write(&write, chunk, leg, first, last);
		contents = (struct piece){
			.held = resync_contents(chunk, leg, first, last),
			.given = resync_contents(chunk, chunk->source, first, last),
		};
		count_write(&write, &contents);
	}
}

static void submit_writes(struct resync_chunk *chunk)
{
	for (unsigned int leg = 0; leg < chunk->rs->nr_legs; leg++)
		if (chunk->rs->options->dry_run)
			pretend_writes_of_leg(chunk, leg);
		else
			submit_writes_of_leg(chunk, leg);
}

/* --- reading ------------------------------------------------------------- */

static void read_done(struct block_request *request)
{
	struct resync_chunk *chunk = request->context;
	size_t leg = (size_t)(request - chunk->reads);

	chunk->result[leg] = request->result;
	chunk->pending--;
	if (!request->result)
		chunk->rs->result->read_bytes[leg] += (uint64_t)request->sectors * SECTOR_BYTES;
}

static void submit_read(struct resync_chunk *chunk, unsigned int leg)
{
	struct block_device *device = chunk->rs->input->legs[leg];
	uint64_t block = device->block_sectors;

	chunk->reads[leg] = (struct block_request){
		.device = device, .op = BLOCK_READ, .sector = chunk->start,
		.sectors = (uint32_t)((chunk->sectors + block - 1) / block * block),
		.data = chunk->data[leg], .done = read_done, .context = chunk,
	};
	chunk->result[leg] = block_submit(chunk->rs->engine, &chunk->reads[leg]);
	if (!chunk->result[leg])
		chunk->pending++;
}

/* Reads back what a write had to heal, or all that was written. */
static void submit_read_backs(struct resync_chunk *chunk)
{
	const struct resync *rs = chunk->rs;

	for (unsigned int leg = 0; leg < rs->nr_legs; leg++) {
		if (!(chunk->targets & 1u << leg) || rs->result->leg_error[leg] ||
		    bitmap_next_set(&chunk->differ[leg], 0) >= chunk->units)
			continue;
		if (rs->options->readback || chunk->healing & 1u << leg)
			submit_read(chunk, leg);
	}
}

static int compare_back(struct resync_chunk *chunk)
{
	const struct resync *rs = chunk->rs;
	int r = 0;

	for (unsigned int leg = 0; leg < rs->nr_legs && !r && !chunk->dropped; leg++)
		if (chunk->targets & 1u << leg &&
		    bitmap_next_set(&chunk->differ[leg], 0) < chunk->units &&
		    (rs->options->readback || chunk->healing & 1u << leg) &&
		    !rs->result->leg_error[leg])
			r = resync_compare_back(chunk, leg);
	return r;
}

/* --- one step of a chunk ------------------------------------------------- */

static int chunk_was_read(struct resync_chunk *chunk)
{
	int r = 0;

	if (resync_must_not_write(chunk->rs))
		chunk->dropped = true;
	else
		r = resync_compare(chunk);
	if (r)
		return r;
	if (chunk->dropped || chunk->verify) {
		chunk_end(chunk);
		return 0;
	}
	memset(chunk->cursor, 0, sizeof(chunk->cursor));
	chunk->state = resync_keep_chunk(chunk) ? CHUNK_KEEPING : CHUNK_WRITING;
	return 0;
}

static void chunk_was_written(struct resync_chunk *chunk)
{
	if (chunk->dropped || chunk->rs->options->dry_run) {
		chunk_end(chunk);
		return;
	}
	submit_read_backs(chunk);
	chunk->state = CHUNK_READING_BACK;
}

/* Carries a chunk as far as it goes without waiting. */
static int chunk_advance(struct resync_chunk *chunk)
{
	int r = 0;

	if (chunk->state == CHUNK_READING && !chunk->pending)
		r = chunk_was_read(chunk);
	if (!r && chunk->state == CHUNK_KEEPING && chunk->dropped)
		chunk_end(chunk);
	if (!r && chunk->state == CHUNK_WRITING) {
		submit_writes(chunk);
		if (!chunk->pending)
			chunk_was_written(chunk);
	}
	if (!r && chunk->state == CHUNK_READING_BACK && !chunk->pending) {
		r = compare_back(chunk);
		if (!r)
			chunk_end(chunk);
	}
	return r;
}

/* --- new chunks ---------------------------------------------------------- */

/* Are [start, end) holes in every leg? They are equal then, unread. Only looked at in
 * ascending order, before anything is written there. */
static bool is_hole(struct resync *rs, uint64_t start, uint64_t end)
{
	if (rs->options->copy_all || rs->range.again)
		return false;
	for (unsigned int leg = 0; leg < rs->nr_legs; leg++) {
		if (rs->data_end[leg] <= start &&
		    !block_next_data(rs->engine, rs->input->legs[leg], start,
				     &rs->data_first[leg], &rs->data_end[leg]))
			rs->data_first[leg] = rs->data_end[leg] = UINT64_MAX;
		if (rs->data_first[leg] < end)
			return false;
	}
	return true;
}

static struct resync_large *large_begin(struct resync *rs, uint64_t region)
{
	unsigned int i = 0;

	while (rs->large[i].in_use)
		i++;
	rs->large[i] = (struct resync_large){ .region = region, .in_use = true };
	return &rs->large[i];
}

/* Regions of a chunk that holds whole ones go into recovery. */
static void begin_regions(struct resync *rs, uint64_t first, uint64_t end)
{
	const struct region_geometry *geometry = &rs->input->geometry;

	for (uint64_t at = first; !rs->range.verify && at < end; at += geometry->region_size)
		resync_region_begin(rs, region_of_sector(geometry, at));
}

/* Cuts the next chunk off the range: whole regions, or a piece of one. */
static void cut_chunk(struct resync *rs, struct resync_chunk *chunk)
{
	const struct region_geometry *geometry = &rs->input->geometry;
	struct resync_range *range = &rs->range;
	uint64_t end, region = region_of_sector(geometry, range->next);

	if (geometry->region_size <= rs->chunk_sectors) {
		end = range->next + rs->chunk_sectors / geometry->region_size *
				    geometry->region_size;
		end = min_u64(end, range->end);
		begin_regions(rs, range->next, end);
	} else {
		if (!rs->current) {
			rs->current = large_begin(rs, region);
			if (!range->verify)
				resync_region_begin(rs, region);
		}
		end = region_start(geometry, region) + region_sectors(geometry, region);
		rs->current->all_issued = range->next + rs->chunk_sectors >= end;
		end = min_u64(end, range->next + rs->chunk_sectors);
		rs->current->out++;
	}
	chunk->large = rs->current;
	chunk->start = range->next;
	chunk->sectors = (uint32_t)(end - range->next);
	chunk->units = (chunk->sectors + rs->unit - 1) / rs->unit;
	chunk->verify = range->verify;
	chunk->source = range->source;
	chunk->dropped = chunk->hole = false;
	chunk->pending = 0;
	if (rs->current && rs->current->all_issued)
		rs->current = NULL;
	range->next = end;
}

/* Of a clean region that is known to differ the rest need not be compared now. */
static void skip_rest_of_lie(struct resync *rs)
{
	const struct region_geometry *geometry = &rs->input->geometry;
	struct resync_large *large = rs->current;
	uint64_t end;

	if (!large || !rs->range.verify || !(large->outcome & OUTCOME_WRITTEN))
		return;
	end = region_start(geometry, large->region) + region_sectors(geometry, large->region);
	rs->progress.done_sectors += end - rs->range.next;
	rs->range.next = end;
	large->all_issued = true;
	rs->current = NULL;
	large_piece_done(rs, large, 0, true);
}

static void chunk_begin(struct resync *rs, struct resync_chunk *chunk)
{
	cut_chunk(rs, chunk);
	rs->chunks_out++;
	chunk->state = CHUNK_READING;
	/* All of them: an earlier chunk may have had more units. */
	bitmap_clear_run(&chunk->failed, 0, UINT64_MAX);
	chunk->targets = 0;
	for (unsigned int leg = 0; leg < rs->nr_legs; leg++) {
		bitmap_clear_run(&chunk->differ[leg], 0, UINT64_MAX);
		bitmap_clear_run(&chunk->same[leg], 0, UINT64_MAX);
		if (leg != chunk->source && !rs->result->leg_error[leg])
			chunk->targets |= (uint16_t)(1u << leg);
	}
	if (!chunk->targets || (chunk->verify && rs->legs_failed)) {
		/* Nowhere to copy to, or nothing that could be done about a difference. */
		bitmap_set_run(&chunk->failed, 0, chunk->units - 1);
		chunk_end(chunk);
		return;
	}
	chunk->hole = is_hole(rs, chunk->start, chunk->start + chunk->sectors);
	if (chunk->hole) {
		chunk_end(chunk);
		return;
	}
	rs->progress.bytes_per_leg += (uint64_t)chunk->sectors * SECTOR_BYTES;
	for (unsigned int leg = 0; leg < rs->nr_legs; leg++)
		if (leg == chunk->source || chunk->targets & 1u << leg)
			submit_read(chunk, leg);
}

/* --rate: what has been asked for so far must not be ahead of the clock. 0: go. */
static unsigned int pace_ms(struct resync *rs)
{
	uint64_t rate = rs->options->rate_bytes;
	double due_ns, now;

	if (!rate)
		return 0;
	now = (double)rs->hooks->now_ns(rs->hooks->context);
	if (!rs->paced_since_ns) {
		rs->paced_since_ns = (uint64_t)now;
		rs->paced_sectors = rs->progress.bytes_per_leg / SECTOR_BYTES;
	}
	due_ns = (double)rs->paced_since_ns +
		 ((double)rs->progress.bytes_per_leg -
		  (double)rs->paced_sectors * SECTOR_BYTES) * 1e9 / (double)rate;
	if (due_ns > now)
		return (unsigned int)min_u64((uint64_t)((due_ns - now) / 1e6) + 1, RESYNC_POLL_MS);
	/* A disk that fell behind must not be followed by a burst. */
	if (now - due_ns > 1e9)
		rs->paced_since_ns = 0;
	return 0;
}

static struct resync_chunk *free_chunk(struct resync *rs)
{
	for (unsigned int i = 0; i < rs->nr_chunks; i++)
		if (rs->chunks[i].state == CHUNK_FREE)
			return &rs->chunks[i];
	return NULL;
}

/* Fills the queue. *wait_ms: how long the rate asks to wait, 0 if it does not. */
static void begin_chunks(struct resync *rs, unsigned int *wait_ms)
{
	struct resync_chunk *chunk;

	*wait_ms = 0;
	while (!rs->ending && (chunk = free_chunk(rs)) && !resync_batch_is_due(rs)) {
		skip_rest_of_lie(rs);
		if (!resync_next_range(rs))
			return;
		*wait_ms = pace_ms(rs);
		if (*wait_ms)
			return;
		chunk_begin(rs, chunk);
	}
}

/* A region whose rest will not be given out any more. */
static void drop_current(struct resync *rs)
{
	struct resync_large *large = rs->current;

	if (!rs->ending || !large)
		return;
	rs->current = NULL;
	large->all_issued = true;
	large_piece_done(rs, large, OUTCOME_DROPPED, rs->range.verify);
}

static int advance_chunks(struct resync *rs)
{
	int r = 0;

	for (unsigned int i = 0; i < rs->nr_chunks && !r; i++)
		r = chunk_advance(&rs->chunks[i]);
	return r;
}

int resync_copy_turn(struct resync *rs)
{
	unsigned int wait_ms;
	int r = 0;

	begin_chunks(rs, &wait_ms);
	drop_current(rs);
	if (rs->engine->in_flight) {
		r = resync_wait(rs, wait_ms ? (int)wait_ms : RESYNC_POLL_MS);
	} else {
		if (wait_ms)
			rs->hooks->sleep_ms(rs->hooks->context, wait_ms);
		resync_look_around(rs);
	}
	if (!r)
		r = advance_chunks(rs);
	if (!r && resync_keep_turn(rs))
		r = advance_chunks(rs);
	return r;
}
