/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CORE_LEG_READER_H
#define CORE_LEG_READER_H

#include "core/block.h"
#include "core/mirror.h"

/*
 * Reads the same sectors of all legs, many chunks in flight, and hands the
 * chunks over in order. Where a leg cannot be read, the chunk is read again in
 * ever smaller pieces, down to the leg's own block, so that exactly the
 * unreadable sectors are known.
 */

/* The sectors [start, start + sectors) of every leg. */
struct leg_chunk {
	uint64_t start;
	uint32_t sectors;
	const unsigned char *data[MIRROR_LEGS_MAX];	/* NULL: leg missing */
	int error[MIRROR_LEGS_MAX];	/* 0, or -errno where `bad` has bits */
	const uint64_t *bad[MIRROR_LEGS_MAX];	/* bit i: sector i unreadable; valid
						 * only where error is set */
};

static inline bool leg_chunk_sector_is_bad(const struct leg_chunk *chunk,
					   unsigned int leg, uint32_t sector)
{
	return chunk->error[leg] && (chunk->bad[leg][sector / 64] >> (sector % 64) & 1);
}

struct leg_reader_client {
	void *context;
	/* The next range of sectors to read, ascending; false: no more. */
	bool (*next_range)(void *context, uint64_t *start, uint64_t *end);
	/* Takes a chunk; its memory is reused afterwards. Nonzero ends the run. */
	int (*take)(void *context, const struct leg_chunk *chunk);
	/* Milliseconds to wait before `sectors` more may be read, 0: go (a rate
	 * limit). */
	unsigned int (*pace)(void *context, uint32_t sectors);
	/* Called several times a second whatever the disks do; nonzero ends the
	 * run (-ECANCELED: the user's wish). */
	int (*poll)(void *context);
	/* Sleeps; only called while nothing is in flight. */
	void (*pause)(void *context, unsigned int ms);
};

struct leg_reader;

/* The legs (NULL = missing) are borrowed. The engine's buffers are used:
 * nr_buffers / (legs that are there) chunks are in flight. 0 or -ENOMEM. */
int leg_reader_create(struct leg_reader **reader, struct block_engine *engine,
		      struct block_device *const legs[], unsigned int nr_legs);
void leg_reader_destroy(struct leg_reader *reader);

/* Limits the sectors a chunk has (a slow --rate wants small ones). */
void leg_reader_limit_chunk(struct leg_reader *reader, uint32_t sectors);

/*
 * Runs to the end of the client's ranges. 0; what take() or poll() returned,
 * with nothing in flight; -ETIMEDOUT when ended that way while a device hangs:
 * its requests are still out, so neither reader nor engine may be freed before
 * the process ends; -errno when the engine broke.
 */
int leg_reader_run(struct leg_reader *reader, const struct leg_reader_client *client);

#endif
