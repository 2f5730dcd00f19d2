/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Which legs hold the same in a region, all of it. No vote: that legs agree says nothing
 * about which of them is right.
 */

#include "core/resync_private.h"

#include <stdlib.h>
#include <string.h>

#define NO_LEG MIRROR_LEGS_MAX

/* --- a unit --------------------------------------------------------------- */

static bool is_as_source(const struct resync_chunk *chunk, unsigned int leg, uint64_t unit)
{
	return leg == chunk->source || bitmap_test(&chunk->same[leg], unit);
}

/* Of two legs that could be read there. */
static bool unit_is_equal(const struct resync_chunk *chunk, unsigned int a, unsigned int b,
			  uint64_t unit)
{
	size_t at = (size_t)unit * chunk->rs->unit * SECTOR_BYTES;

	if (is_as_source(chunk, a, unit) || is_as_source(chunk, b, unit))
		return is_as_source(chunk, a, unit) && is_as_source(chunk, b, unit);
	return !memcmp(chunk->data[a] + at, chunk->data[b] + at,
		       (size_t)resync_unit_sectors(chunk, unit) * SECTOR_BYTES);
}

static void look_at_unit(const struct resync_chunk *chunk, uint64_t unit,
			 struct resync_agreeing *agreeing)
{
	unsigned int nr_legs = chunk->rs->nr_legs;

	for (unsigned int leg = 0; leg < nr_legs; leg++)
		if (resync_unit_is_bad(chunk, leg, unit))
			agreeing->unread |= (uint16_t)(1u << leg);
	for (unsigned int leg = 1; leg < nr_legs; leg++)
		for (unsigned int other = 0; other < leg; other++)
			if (!(agreeing->unread & (1u << leg | 1u << other)) &&
			    !(agreeing->unequal[leg] & 1u << other) &&
			    !unit_is_equal(chunk, leg, other, unit))
				agreeing->unequal[leg] |= (uint16_t)(1u << other);
}

/* The next unit at or after `unit` that is not plainly equal on all legs. */
static uint64_t next_unequal(const struct resync_chunk *chunk, uint64_t unit)
{
	uint64_t next = UINT64_MAX;

	for (unsigned int leg = 0; leg < chunk->rs->nr_legs; leg++) {
		uint64_t here = bitmap_next_clear(&chunk->same[leg], unit);

		if (leg != chunk->source && here < next)
			next = here;
	}
	return next;
}

static void look_at_units(const struct resync_chunk *chunk, uint64_t first, uint64_t last,
			  struct resync_agreeing *agreeing)
{
	for (uint64_t unit = next_unequal(chunk, first); unit <= last;
	     unit = next_unequal(chunk, unit + 1))
		look_at_unit(chunk, unit, agreeing);
}

/* --- a region -------------------------------------------------------------- */

static size_t find_agreement(struct resync_result *result, const uint8_t *group)
{
	size_t i = 0;

	while (i < result->nr_agreements && memcmp(result->agreements[i].group, group,
						   sizeof(result->agreements[i].group)))
		i++;
	if (i == result->nr_agreements && i < RESYNC_AGREEMENTS_MAX) {
		memcpy(result->agreements[i].group, group, sizeof(result->agreements[i].group));
		result->nr_agreements++;
	}
	return i;
}

void resync_agree_region(struct resync *rs, uint64_t region, const struct resync_agreeing *agreeing)
{
	struct resync_result *result = rs->result;
	uint8_t group[MIRROR_LEGS_MAX];
	bool unequal = false;
	size_t at;

	memset(group, NO_LEG, sizeof(group));
	for (unsigned int leg = 0; leg < rs->nr_legs; leg++) {
		unequal = unequal || agreeing->unequal[leg];
		if (agreeing->unread & 1u << leg)
			continue;
		group[leg] = (uint8_t)leg;
		for (unsigned int other = 0; other < leg && group[leg] == leg; other++)
			if (group[other] == other && !(agreeing->unequal[leg] & 1u << other))
				group[leg] = (uint8_t)other;
	}
	if (!unequal)
		return;
	at = find_agreement(result, group);
	if (at == RESYNC_AGREEMENTS_MAX) {
		result->other_agreements++;
		return;
	}
	result->agreements[at].regions++;
	piece_list_add(&result->agreement_runs, &(struct piece){
		.start = region, .count = 1, .kind = (uint8_t)at });
}

void resync_agree_chunk(struct resync_chunk *chunk)
{
	struct resync *rs = chunk->rs;
	const struct region_geometry *geometry = &rs->input->geometry;
	uint64_t units = geometry->region_size / rs->unit, last;
	uint64_t region = region_of_sector(geometry, chunk->start);

	if (!rs->options->dry_run || rs->nr_legs < 3 || chunk->verify)
		return;
	if (chunk->large) {
		look_at_units(chunk, 0, chunk->units - 1, &chunk->large->agreeing);
		return;
	}
	for (uint64_t unit = 0; unit < chunk->units; unit += units) {
		struct resync_agreeing agreeing = { 0 };

		last = unit + units < chunk->units ? unit + units - 1 : chunk->units - 1;
		look_at_units(chunk, unit, last, &agreeing);
		resync_agree_region(rs, region++, &agreeing);
	}
}

/* --- the end ---------------------------------------------------------------- */

static int compare_agreements(const void *a, const void *b)
{
	const struct resync_agreement *left = a, *right = b;

	return memcmp(left->group, right->group, sizeof(left->group));
}

/* In an order that does not depend on which region was read first. */
void resync_agree_finish(struct resync_result *result)
{
	uint8_t group[RESYNC_AGREEMENTS_MAX][MIRROR_LEGS_MAX], now[RESYNC_AGREEMENTS_MAX];

	for (size_t i = 0; i < result->nr_agreements; i++)
		memcpy(group[i], result->agreements[i].group, sizeof(group[i]));
	if (result->nr_agreements)
		qsort(result->agreements, result->nr_agreements, sizeof(*result->agreements),
		      compare_agreements);
	for (size_t i = 0; i < result->nr_agreements; i++)
		now[i] = (uint8_t)find_agreement(result, group[i]);
	for (size_t i = 0; i < result->agreement_runs.nr; i++)
		result->agreement_runs.pieces[i].kind = now[result->agreement_runs.pieces[i].kind];
	piece_list_finish(&result->agreement_runs);
}
