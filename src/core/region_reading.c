/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/region_reading.h"

#include <errno.h>
#include <nettle/sha2.h>
#include <string.h>

/* Equal sectors are skipped in steps of this many. */
#define STEP_SECTORS 8u

struct pass {
	const struct region_reading_client *client;
	struct region_geometry geometry;
	const struct bitmap *regions;
	unsigned int nr_legs;
	uint64_t next;			/* region to ask for, or behind it */
	struct sha256_ctx sha[MIRROR_LEGS_MAX];
	struct region_reading reading;	/* the region that is being read */
};

/* --- what differs -------------------------------------------------------- */

/* Sectors [at, at + sectors) of all readable legs, none of them with a bad one. */
static bool are_plainly_equal(const struct pass *pass, const struct leg_chunk *chunk, uint32_t at,
			      uint32_t sectors)
{
	size_t offset = (size_t)at * SECTOR_BYTES, bytes = (size_t)sectors * SECTOR_BYTES;
	const unsigned char *first = NULL;

	for (unsigned int leg = 0; leg < pass->nr_legs; leg++) {
		if (!chunk->data[leg])
			continue;
		if (chunk->error[leg])
			return false;
		if (first && memcmp(first, chunk->data[leg] + offset, bytes))
			return false;
		if (!first)
			first = chunk->data[leg] + offset;
	}
	return true;
}

/* Do two legs differ that could be read here? */
static bool sector_differs(const struct pass *pass, const struct leg_chunk *chunk, uint32_t at)
{
	const unsigned char *first = NULL, *data;

	for (unsigned int leg = 0; leg < pass->nr_legs; leg++) {
		if (!chunk->data[leg] || leg_chunk_sector_is_bad(chunk, leg, at))
			continue;
		data = chunk->data[leg] + (size_t)at * SECTOR_BYTES;
		if (first && memcmp(first, data, SECTOR_BYTES))
			return true;
		if (!first)
			first = data;
	}
	return false;
}

/* The first sector in [at, end) in which legs differ; `end`: none. */
static uint32_t next_differing(const struct pass *pass, const struct leg_chunk *chunk, uint32_t at,
			       uint32_t end)
{
	uint32_t sectors;

	while (at < end && !sector_differs(pass, chunk, at)) {
		at++;
		sectors = end - at < STEP_SECTORS ? end - at : STEP_SECTORS;
		while (at < end && are_plainly_equal(pass, chunk, at, sectors)) {
			at += sectors;
			sectors = end - at < STEP_SECTORS ? end - at : STEP_SECTORS;
		}
	}
	return at;
}

static int find_differences(struct pass *pass, const struct leg_chunk *chunk, uint32_t at,
			    uint32_t end)
{
	const struct region_reading_client *client = pass->client;
	uint32_t first;
	int r = 0;

	if (are_plainly_equal(pass, chunk, at, end - at))
		return 0;
	while (!r && (first = next_differing(pass, chunk, at, end)) < end) {
		at = first + 1;
		while (at < end && sector_differs(pass, chunk, at))
			at++;
		pass->reading.differing_sectors += at - first;
		if (client->differing)
			r = client->differing(client->context, chunk, first, at - first);
	}
	return r;
}

/* --- a region ------------------------------------------------------------ */

static void begin_region(struct pass *pass, uint64_t region)
{
	memset(&pass->reading, 0, sizeof(pass->reading));
	pass->reading.digest.region = region;
	pass->reading.digest.nr_legs = pass->nr_legs;
	for (unsigned int leg = 0; leg < pass->nr_legs; leg++)
		sha256_init(&pass->sha[leg]);
}

static bool any_is_bad(const struct leg_chunk *chunk, unsigned int leg, uint32_t at, uint32_t end)
{
	bool bad = false;

	for (; chunk->error[leg] && at < end && !bad; at++)
		bad = leg_chunk_sector_is_bad(chunk, leg, at);
	return bad;
}

static void add_to_digests(struct pass *pass, const struct leg_chunk *chunk, uint32_t at,
			   uint32_t end)
{
	for (unsigned int leg = 0; leg < pass->nr_legs; leg++) {
		if (!chunk->data[leg])
			continue;
		if (any_is_bad(chunk, leg, at, end))
			pass->reading.unreadable |= (uint16_t)(1u << leg);
		if (!(pass->reading.unreadable >> leg & 1))
			sha256_update(&pass->sha[leg], (size_t)(end - at) * SECTOR_BYTES,
				      chunk->data[leg] + (size_t)at * SECTOR_BYTES);
	}
}

static int end_region(struct pass *pass, const struct leg_chunk *chunk)
{
	for (unsigned int leg = 0; leg < pass->nr_legs; leg++)
		if (chunk->data[leg] && !(pass->reading.unreadable >> leg & 1))
			sha256_digest(&pass->sha[leg], JOURNAL_DIGEST_BYTES,
				      pass->reading.digest.digest[leg]);
	return pass->client->region(pass->client->context, &pass->reading);
}

/* --- what the leg reader asks -------------------------------------------- */

/* Neighbouring regions in one range: small ones share a read. */
static bool next_range(void *context, uint64_t *start, uint64_t *end)
{
	struct pass *pass = context;
	uint64_t first, last;

	if (!bitmap_next_run(pass->regions, true, pass->next, &first, &last) ||
	    first >= pass->geometry.nr_regions)
		return false;
	if (last >= pass->geometry.nr_regions)
		last = pass->geometry.nr_regions - 1;
	*start = region_start(&pass->geometry, first);
	*end = region_start(&pass->geometry, last) + region_sectors(&pass->geometry, last);
	pass->next = last + 1;
	return true;
}

/* A chunk may begin and end within a region and hold many. */
static int take(void *context, const struct leg_chunk *chunk)
{
	struct pass *pass = context;
	uint64_t region, start, left;
	uint32_t at = 0, end;
	int r = 0;

	for (; at < chunk->sectors && !r; at = end) {
		region = region_of_sector(&pass->geometry, chunk->start + at);
		start = region_start(&pass->geometry, region);
		left = start + region_sectors(&pass->geometry, region) - (chunk->start + at);
		end = left < chunk->sectors - at ? at + (uint32_t)left : chunk->sectors;
		if (chunk->start + at == start)
			begin_region(pass, region);
		add_to_digests(pass, chunk, at, end);
		r = find_differences(pass, chunk, at, end);
		if (!r && end - at == left)
			r = end_region(pass, chunk);
	}
	return r;
}

static unsigned int no_pace(void *context, uint32_t sectors)
{
	(void)context;
	(void)sectors;
	return 0;
}

static int poll_client(void *context)
{
	const struct pass *pass = context;

	return pass->client->poll ? pass->client->poll(pass->client->context) : 0;
}

static void no_pause(void *context, unsigned int ms)
{
	(void)context;
	(void)ms;
}

/* --- the whole ----------------------------------------------------------- */

int region_readings_run(struct block_engine *engine, struct block_device *const legs[],
			unsigned int nr_legs, const struct region_geometry *geometry,
			const struct bitmap *regions,
			const struct region_reading_client *client)
{
	struct pass pass = { .client = client, .geometry = *geometry, .regions = regions,
			     .nr_legs = nr_legs };
	const struct leg_reader_client reading = {
		.context = &pass, .next_range = next_range, .take = take, .pace = no_pace,
		.poll = poll_client, .pause = no_pause,
	};
	struct leg_reader *reader;
	int r;

	if (nr_legs > MIRROR_LEGS_MAX)
		return -EINVAL;
	for (unsigned int leg = 0; leg < nr_legs; leg++)
		if (legs[leg] && legs[leg]->sectors < geometry->length)
			return -ENXIO;	/* it has shrunk */
	r = leg_reader_create(&reader, engine, legs, nr_legs);
	if (r)
		return r;
	r = leg_reader_run(reader, &reading);
	if (r != -ETIMEDOUT)		/* else its requests are still out */
		leg_reader_destroy(reader);
	return r;
}

bool journal_digest_is_unknown(const unsigned char digest[JOURNAL_DIGEST_BYTES])
{
	static const unsigned char zeros[JOURNAL_DIGEST_BYTES];

	return !memcmp(digest, zeros, sizeof(zeros));
}

enum region_legs region_digests_compare(const struct journal_region *digest)
{
	bool equal = true;

	if (!digest->nr_legs || digest->nr_legs > MIRROR_LEGS_MAX)
		return REGION_LEGS_UNKNOWN;
	for (unsigned int leg = 0; leg < digest->nr_legs; leg++) {
		if (journal_digest_is_unknown(digest->digest[leg]))
			return REGION_LEGS_UNKNOWN;
		equal = equal && !memcmp(digest->digest[leg], digest->digest[0],
					 JOURNAL_DIGEST_BYTES);
	}
	return equal ? REGION_LEGS_EQUAL : REGION_LEGS_DIFFER;
}

bool region_digests_match(const struct journal_region *a, const struct journal_region *b)
{
	if (a->region != b->region || a->nr_legs != b->nr_legs || !a->nr_legs ||
	    a->nr_legs > MIRROR_LEGS_MAX)
		return false;
	for (unsigned int leg = 0; leg < a->nr_legs; leg++)
		if (journal_digest_is_unknown(a->digest[leg]) ||
		    memcmp(a->digest[leg], b->digest[leg], JOURNAL_DIGEST_BYTES))
			return false;
	return true;
}
