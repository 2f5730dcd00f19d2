/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What is worth remembering of a sector or a region while an audit runs. */

#include "core/audit_private.h"

#include <errno.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

int audit_note(struct audit *audit, uint64_t region, unsigned int flag)
{
	size_t low = 0, high = audit->nr_notes;

	/* Nearly always the last one: the pass goes upwards. */
	if (high && audit->notes[high - 1].region < region)
		low = high;
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (audit->notes[middle].region < region)
			low = middle + 1;
		else
			high = middle;
	}
	if (low < audit->nr_notes && audit->notes[low].region == region) {
		audit->notes[low].flags |= flag;
		return 0;
	}
	if (audit->nr_notes == audit->room)
		return -ENOMEM;	/* cannot be: the pass settles before that */
	memmove(&audit->notes[low + 1], &audit->notes[low],
		(audit->nr_notes - low) * sizeof(*audit->notes));
	audit->notes[low] = (struct note){ .region = region, .flags = (uint8_t)flag };
	audit->nr_notes++;
	return 0;
}

uint64_t audit_digest(const unsigned char *const legs[], unsigned int nr_legs)
{
	uint64_t digest = 0;

	for (unsigned int leg = 0; leg < nr_legs; leg++)
		if (legs[leg])
			digest = XXH3_64bits_withSeed(legs[leg], SECTOR_BYTES, digest + leg + 1);
	return digest;
}

static uint16_t legs_equal_to(const struct sector_comparison *seen, unsigned int leg)
{
	uint16_t legs = 0;

	for (unsigned int other = 0; other < MIRROR_LEGS_MAX; other++)
		if (other != leg && (seen->differs & 1u << other) &&
		    seen->group[other] == seen->group[leg])
			legs |= 1u << other;
	return legs;
}

int audit_record(struct audit *audit, uint64_t sector, enum verdict verdict,
		 const struct sector_comparison *seen)
{
	int r = 0;

	for (unsigned int leg = 0; leg < audit->input->nr_legs && !r; leg++) {
		if (!(seen->differs & 1u << leg))
			continue;
		r = run_list_add(&audit->result->runs, &(struct sector_run){
			.verdict = verdict, .leg = leg, .against = seen->reference,
			.start = sector, .sectors = 1,
			.content = seen->content[leg], .byte = seen->byte[leg],
			.against_content = seen->content[seen->reference],
			.against_byte = seen->byte[seen->reference],
			.one_bit = seen->one_bit & 1u << leg,
			.equal_legs = legs_equal_to(seen, leg),
		});
	}
	return r;
}

void audit_sector_data(const struct leg_chunk *chunk, unsigned int nr_legs,
		       uint32_t sector, const unsigned char *legs[])
{
	for (unsigned int leg = 0; leg < nr_legs; leg++) {
		bool there = chunk->data[leg] && !leg_chunk_sector_is_bad(chunk, leg, sector);

		legs[leg] = there ? chunk->data[leg] + (size_t)sector * SECTOR_BYTES : NULL;
	}
}

bool audit_region_is_clean(const struct audit *audit, uint64_t region)
{
	return region < audit->input->clean_bits->nr_bits &&
	       bitmap_test(audit->input->clean_bits, region);
}

int audit_record_unreadable(struct audit *audit, uint64_t sector, unsigned int leg, int error)
{
	audit->result->unreadable_sectors[leg]++;
	return run_list_add(&audit->result->runs, &(struct sector_run){
		.verdict = VERDICT_UNVERIFIABLE, .leg = leg,
		.start = sector, .sectors = 1, .error = -error,
	});
}

int audit_record_unreadable_sector(struct audit *audit, const struct leg_chunk *chunk,
				   uint32_t sector, uint64_t region)
{
	int r = audit_note(audit, region, NOTE_UNREADABLE);

	for (unsigned int leg = 0; leg < audit->input->nr_legs && !r; leg++) {
		if (leg_chunk_sector_is_bad(chunk, leg, sector))
			r = audit_record_unreadable(audit, chunk->start + sector, leg,
						    chunk->error[leg]);
	}
	return r;
}
