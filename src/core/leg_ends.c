/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/leg_ends.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void leg_ends_init(struct leg_ends *ends, unsigned int nr_legs, uint64_t length)
{
	memset(ends, 0, sizeof(*ends));
	ends->nr_legs = nr_legs;
	ends->nr_ranges = length > 2 * LEG_END_SECTORS ? 2 : 1;
	ends->range[0].sectors = ends->nr_ranges == 1 ? length : LEG_END_SECTORS;
	ends->range[1].start = ends->nr_ranges == 1 ? 0 : length - LEG_END_SECTORS;
	ends->range[1].sectors = ends->nr_ranges == 1 ? 0 : LEG_END_SECTORS;
}

void leg_ends_free(struct leg_ends *ends)
{
	for (unsigned int leg = 0; leg < MIRROR_LEGS_MAX; leg++)
		for (unsigned int i = 0; i < 2; i++)
			free(ends->data[leg][i]);
	memset(ends, 0, sizeof(*ends));
}

/* --- from the legs ------------------------------------------------------------ */

/* Block by block of what fits into the engine's first buffer. 1: cannot be read. */
static int read_range(unsigned char *data, struct block_engine *engine,
		      struct block_device *leg, uint64_t start, uint64_t sectors)
{
	uint64_t block = leg->block_sectors ? leg->block_sectors : 1;
	uint64_t most = engine->buffer_bytes / SECTOR_BYTES / block * block;
	uint64_t end = start + sectors;
	int r;

	for (uint64_t at = start, from, to; at < end; at = to) {
		from = at / block * block;
		to = (end + block - 1) / block * block;
		if (to - from > most)
			to = from + most;
		if (to == from || to > leg->sectors)
			return 1;
		r = block_read(engine, leg, from, (uint32_t)(to - from), block_buffer(engine, 0));
		if (r)
			return r == -ECANCELED ? r : 1;
		if (to > end)
			to = end;
		memcpy(data + (at - start) * SECTOR_BYTES, (char *)block_buffer(engine, 0) +
		       (at - from) * SECTOR_BYTES, (size_t)(to - at) * SECTOR_BYTES);
	}
	return 0;
}

int leg_ends_read(struct leg_ends *ends, struct block_engine *engine,
		  struct block_device *const legs[], unsigned int nr_legs, uint64_t length)
{
	int r = 0;

	leg_ends_init(ends, nr_legs, length);
	for (unsigned int leg = 0; leg < nr_legs && r >= 0; leg++)
		for (unsigned int i = 0; legs[leg] && i < ends->nr_ranges && r >= 0; i++) {
			size_t nr_bytes = (size_t)ends->range[i].sectors * SECTOR_BYTES;
			unsigned char *data = malloc(nr_bytes);

			r = !data ? -ENOMEM :
			    read_range(data, engine, legs[leg], ends->range[i].start,
				       ends->range[i].sectors);
			if (r)
				free(data);
			else
				ends->data[leg][i] = data;
		}
	if (r < 0)
		leg_ends_free(ends);
	return r < 0 ? r : 0;
}

/* --- to and from a journal ---------------------------------------------------- */

int leg_ends_put(const struct leg_ends *ends, struct journal_writer *writer)
{
	int r = 0;

	for (unsigned int leg = 0; leg < ends->nr_legs; leg++)
		for (unsigned int i = 0; i < ends->nr_ranges && !r; i++) {
			struct journal_bytes bytes = {
				.place = leg, .kind = JOURNAL_OLD,
				.start_sector = ends->range[i].start,
				.sectors = ends->range[i].sectors, .data = ends->data[leg][i],
			};

			if (bytes.data)
				r = journal_put_bytes(writer, &bytes);
		}
	return r;
}

int leg_ends_take(struct leg_ends *ends, const struct journal_bytes *bytes)
{
	size_t nr_bytes = (size_t)bytes->sectors * SECTOR_BYTES;

	if (bytes->place >= ends->nr_legs)
		return 1;
	for (unsigned int i = 0; i < ends->nr_ranges; i++) {
		unsigned char **data = &ends->data[bytes->place][i];

		if (bytes->start_sector != ends->range[i].start ||
		    bytes->sectors != ends->range[i].sectors || *data)
			continue;
		*data = malloc(nr_bytes);
		if (!*data)
			return -ENOMEM;
		memcpy(*data, bytes->data, nr_bytes);
		return 0;
	}
	return 1;
}

/* --- is it still that mirror? --------------------------------------------------- */

static bool any_has(const struct leg_ends *before, unsigned int range, size_t at,
		    const unsigned char *sector)
{
	bool found = false, all_known = true;

	for (unsigned int leg = 0; leg < before->nr_legs && !found; leg++) {
		const unsigned char *data = before->data[leg][range];

		all_known = all_known && data;
		found = data && !memcmp(data + at, sector, SECTOR_BYTES);
	}
	/* It may be that of a leg which could not be read then, and can be now. */
	return found || !all_known;
}

bool leg_ends_may_become(const struct leg_ends *before, const struct leg_ends *now,
			 unsigned int *leg)
{
	bool known = false;

	for (*leg = 0; *leg < now->nr_legs; ++*leg)
		for (unsigned int i = 0; i < now->nr_ranges; i++) {
			size_t nr_bytes = (size_t)now->range[i].sectors * SECTOR_BYTES;

			if (!before->data[*leg][i] || !now->data[*leg][i])
				continue;
			known = true;
			for (size_t at = 0; at < nr_bytes; at += SECTOR_BYTES)
				if (!any_has(before, i, at, now->data[*leg][i] + at))
					return false;
		}
	return known;
}
