/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The first pass: every selected sector of all legs, once. */

#include "core/audit_private.h"

#include <errno.h>
#include <string.h>

/* Data this close together (sectors) is read in one go, the hole included. */
#define HOLE_WORTH_SKIPPING 256u
#define RANGE_ENOUGH 8192u

/* A sector whose legs are not all alike. */
static int take_sector(struct audit *audit, const struct leg_chunk *chunk, uint32_t at)
{
	const unsigned char *legs[MIRROR_LEGS_MAX];
	uint64_t sector = chunk->start + at;
	uint64_t region = region_of_sector(&audit->input->geometry, sector);
	struct candidate *candidate = &audit->candidates[audit->nr_candidates];
	int r = 0;

	audit_sector_data(chunk, audit->input->nr_legs, at, legs);
	memset(candidate, 0, sizeof(*candidate));
	compare_sector(&candidate->seen, legs, audit->input->nr_legs);
	for (unsigned int leg = 0; leg < audit->input->nr_legs && !r; leg++)
		if (leg_chunk_sector_is_bad(chunk, leg, at)) {
			r = audit_record_unreadable_sector(audit, chunk, at, region);
			break;
		}
	if (r || !candidate->seen.differs)
		return r;
	if (!audit_region_is_clean(audit, region)) {
		r = audit_note(audit, region, NOTE_PENDING);
		return r ? r : audit_record(audit, sector, VERDICT_RESYNC_PENDING, &candidate->seen);
	}
	candidate->sector = sector;
	candidate->digest = audit_digest(legs, audit->input->nr_legs);
	audit->nr_candidates++;
	audit->progress.found_sectors++;
	return audit_note(audit, region, NOTE_UNRESOLVED);
}

static bool chunk_is_equal(const struct audit *audit, const struct leg_chunk *chunk)
{
	const unsigned char *first = NULL;

	for (unsigned int leg = 0; leg < audit->input->nr_legs; leg++) {
		if (!chunk->data[leg])
			continue;
		if (chunk->error[leg])
			return false;
		if (first && memcmp(first, chunk->data[leg], (size_t)chunk->sectors * SECTOR_BYTES))
			return false;
		if (!first)
			first = chunk->data[leg];
	}
	return true;
}

/* Skips to the first sector at or after `at` in which the legs are not plainly
 * equal, comparing 4 KiB at a time. */
static uint32_t next_unequal(const struct audit *audit, const struct leg_chunk *chunk, uint32_t at)
{
	while (at < chunk->sectors) {
		uint32_t step = chunk->sectors - at < 8 ? chunk->sectors - at : 8;
		struct leg_chunk piece = *chunk;

		for (unsigned int leg = 0; leg < audit->input->nr_legs; leg++)
			if (piece.data[leg])
				piece.data[leg] += (size_t)at * SECTOR_BYTES;
		piece.sectors = step;
		if (!chunk_is_equal(audit, &piece))
			break;
		at += step;
	}
	return at;
}

/* Selected sectors in [from, to): what lies between two chunks are holes. */
static uint64_t selected_between(const struct audit *audit, uint64_t from, uint64_t to)
{
	const struct region_geometry *geometry = &audit->input->geometry;
	uint64_t first, last, sectors = 0, start, end;

	while (from < to && bitmap_next_run(audit->input->selected, true,
					    region_of_sector(geometry, from), &first, &last)) {
		start = region_start(geometry, first);
		end = region_start(geometry, last) + region_sectors(geometry, last);
		if (start < from)
			start = from;
		if (end > to)
			end = to;
		if (start >= end)
			break;
		sectors += end - start;
		from = end;
	}
	return sectors;
}

/* All selected sectors below `sector` are compared now; those that were not
 * read were holes in every leg. */
void audit_advance(struct audit *audit, uint64_t sector, uint64_t read_sectors)
{
	uint64_t sectors = selected_between(audit, audit->taken, sector);

	audit->taken = sector;
	audit->result->compared_sectors += sectors;
	audit->result->read_sectors += read_sectors;
	audit->result->hole_sectors += sectors - read_sectors;
	audit->progress.done_sectors += sectors;
	audit->progress.bytes_per_leg += read_sectors * SECTOR_BYTES;
}

static int take_chunk(void *context, const struct leg_chunk *chunk)
{
	struct audit *audit = context;
	int r = 0;

	if (!chunk_is_equal(audit, chunk))
		for (uint32_t at = next_unequal(audit, chunk, 0); at < chunk->sectors && !r;
		     at = (at + 1) % 8 ? at + 1 : next_unequal(audit, chunk, at + 1))
			r = take_sector(audit, chunk, at);
	if (r)
		return r;
	audit_advance(audit, chunk->start + chunk->sectors, chunk->sectors);
	if (audit->nr_candidates >= audit->max_unsettled || audit->nr_notes >= audit->max_unsettled)
		return STOP_SETTLE;
	return 0;
}

/* Moves the leg's known extent of data to the first one that ends after `at`. */
static void find_data(struct audit *audit, unsigned int leg, uint64_t at)
{
	if (audit->data_end[leg] <= at &&
	    !block_next_data(audit->input->engine, audit->input->legs[leg], at,
			     &audit->data_first[leg], &audit->data_end[leg]))
		audit->data_first[leg] = audit->data_end[leg] = UINT64_MAX;
}

/* Where some leg holds data at or after `at`, below `end`: holes in every leg
 * are equal without being read. Returns false when there is none. */
static bool next_data(struct audit *audit, uint64_t at, uint64_t end,
		      uint64_t *first, uint64_t *data_end)
{
	const struct audit_input *input = audit->input;
	bool grown = true;

	*first = UINT64_MAX;
	for (unsigned int leg = 0; leg < input->nr_legs; leg++) {
		if (!input->legs[leg])
			continue;
		find_data(audit, leg, at);
		if (audit->data_first[leg] < *first)
			*first = audit->data_first[leg];
	}
	if (*first >= end)
		return false;
	if (*first < at)
		*first = at;
	*data_end = *first;
	while (grown && *data_end < end && *data_end - *first < RANGE_ENOUGH) {
		grown = false;
		/* Not beyond `end`: the next range may begin before what is
		 * found there, and what a leg holds until then be forgotten. */
		for (unsigned int leg = 0; leg < input->nr_legs && *data_end < end; leg++) {
			if (!input->legs[leg])
				continue;
			find_data(audit, leg, *data_end);
			if (audit->data_first[leg] > *data_end + HOLE_WORTH_SKIPPING ||
			    audit->data_first[leg] >= end)
				continue;
			*data_end = audit->data_end[leg];
			grown = true;
		}
	}
	if (*data_end > end)
		*data_end = end;
	return true;
}

/* The next run of selected regions, in sectors. */
static bool next_selected(struct audit *audit)
{
	const struct region_geometry *geometry = &audit->input->geometry;
	uint64_t first, last;

	if (audit->select_next >= geometry->length ||
	    !bitmap_next_run(audit->input->selected, true,
			     region_of_sector(geometry, audit->select_next), &first, &last))
		return false;
	audit->range_start = region_start(geometry, first);
	if (audit->range_start < audit->select_next)
		audit->range_start = audit->select_next;
	audit->range_end = region_start(geometry, last) + region_sectors(geometry, last);
	audit->select_next = audit->range_end;
	return true;
}

static bool next_range(void *context, uint64_t *start, uint64_t *end)
{
	struct audit *audit = context;

	if (audit->legs_present < 2)
		return false;	/* nothing to compare with */
	for (;;) {
		if (audit->range_start == audit->range_end && !next_selected(audit))
			return false;
		if (next_data(audit, audit->range_start, audit->range_end, start, end))
			break;
		audit->range_start = audit->range_end;
	}
	audit->range_start = *end;
	return true;
}

/* --rate: what has been asked for so far must not be ahead of the clock. */
static unsigned int pace(void *context, uint32_t sectors)
{
	struct audit *audit = context;
	uint64_t rate = audit->options->rate_bytes;
	double due_ns, now;

	if (!rate)
		return 0;
	now = (double)audit->hooks->now_ns(audit->hooks->context);
	if (!audit->paced_since_ns)
		audit->paced_since_ns = (uint64_t)now;
	due_ns = (double)audit->paced_since_ns +
		 (double)audit->paced_sectors * SECTOR_BYTES * 1e9 / (double)rate;
	if (due_ns > now)
		return (unsigned int)((due_ns - now) / 1e6) + 1;
	/* A disk that fell behind must not be followed by a burst. */
	if (now - due_ns > 1e9) {
		audit->paced_since_ns = (uint64_t)now;
		audit->paced_sectors = 0;
	}
	audit->paced_sectors += sectors;
	return 0;
}

int audit_scan(struct audit *audit)
{
	static const struct leg_reader_client scanning = {
		.next_range = next_range, .take = take_chunk, .pace = pace,
		.poll = audit_poll, .pause = audit_pause,
	};
	struct leg_reader_client client = scanning;

	client.context = audit;
	return leg_reader_run(audit->reader, &client);
}

void audit_scan_rewind(struct audit *audit)
{
	audit->select_next = audit->taken;
	audit->range_start = audit->range_end = 0;
	memset(audit->data_end, 0, sizeof(audit->data_end));
	memset(audit->data_first, 0, sizeof(audit->data_first));
}
