/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CORE_REGION_READING_H
#define CORE_REGION_READING_H

#include "core/bitmap.h"
#include "core/block.h"
#include "core/journal.h"
#include "core/leg_reader.h"

/*
 * Reads whole regions of all legs, many requests in flight, and says of each what
 * every leg holds: a digest, and whether and where the legs differ. What a journal
 * keeps of a region, what an undo compares, and what is proven under a suspend is
 * this one pass.
 */

struct region_reading {
	/* A leg's digest is all zeros where it is missing or could not be read
	 * whole: then nothing is proven by it, and no undo will believe it. */
	struct journal_region digest;
	uint64_t differing_sectors;	/* in which two readable legs differ */
	uint16_t unreadable;		/* bit i: leg i is there and could not be read whole */
};

struct region_reading_client {
	void *context;
	/* Sectors [first, first + sectors) of the chunk differ among the legs that
	 * could be read there; the runs come in ascending order, before their region,
	 * cut at chunks and regions. May be NULL. Nonzero ends the pass. */
	int (*differing)(void *context, const struct leg_chunk *chunk, uint32_t first,
			 uint32_t sectors);
	/* A region has been read, all its chunks with it. Nonzero ends the pass. */
	int (*region)(void *context, const struct region_reading *reading);
	/* Several times a second; nonzero ends the pass. May be NULL. */
	int (*poll)(void *context);
};

/* Reads every region in `regions`, ascending; a region that the client is told of may
 * be taken out of the set. legs[i] NULL: missing. 0; what the client returned (never
 * -ETIMEDOUT); -ETIMEDOUT when it ended that way while a device hangs (as
 * leg_reader_run(): the engine and its buffers must then stay as long as the process);
 * -ENXIO when a leg is shorter than the mirror; -EINVAL, -ENOMEM, or -errno when the
 * engine broke. */
int region_readings_run(struct block_engine *engine, struct block_device *const legs[],
			unsigned int nr_legs, const struct region_geometry *geometry,
			const struct bitmap *regions,
			const struct region_reading_client *client);

/* Is it all zeros, which stands for "not known"? */
bool journal_digest_is_unknown(const unsigned char digest[JOURNAL_DIGEST_BYTES]);

/* What one reading says of its legs: not known where a single digest is not. */
enum region_legs { REGION_LEGS_UNKNOWN, REGION_LEGS_EQUAL, REGION_LEGS_DIFFER };
enum region_legs region_digests_compare(const struct journal_region *digest);
/* Do two readings prove the same contents of every leg? false where a digest of
 * either is not known. */
bool region_digests_match(const struct journal_region *a, const struct journal_region *b);

#endif
