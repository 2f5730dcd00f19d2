/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/undo.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/mirror_log.h"
#include "core/region_reading.h"

#define AREA_ALIGN 4096u

static int no_memory(struct error *err)
{
	return error_operation(err, ENOMEM, "not enough memory for the undo; nothing was changed");
}

/* --- the log as it is now ------------------------------------------------ */

struct examination {
	const struct undo_journal *undo;
	const unsigned char *now;
	bool unchanged;			/* all that the repair touched is as it was */
	struct error *err;
};

static int refused(const struct examination *examination, const char *why)
{
	error_operation(examination->err, EPERM, "%s; nothing overrides this, and nothing was changed",
			why);
	return 1;
}

/* Clears in `bytes`, which are `nr_bytes` of the area from byte `from` on, the bits of
 * `regions`. */
static void clear_bits(unsigned char *bytes, uint64_t from, uint64_t nr_bytes,
		       const struct bitmap *regions)
{
	uint64_t to = from + nr_bytes, region;

	if (to <= MIRROR_LOG_BITS_OFFSET)
		return;
	region = from > MIRROR_LOG_BITS_OFFSET ? (from - MIRROR_LOG_BITS_OFFSET) * 8 : 0;
	region = bitmap_next_set(regions, region);
	while (region < regions->nr_bits && MIRROR_LOG_BITS_OFFSET + region / 8 < to) {
		bytes[MIRROR_LOG_BITS_OFFSET + region / 8 - from] &=
			(unsigned char)~(1u << region % 8);
		region = bitmap_next_set(regions, region + 1);
	}
}

/* A sector that is neither old nor new. One that lacks only planned bits is most
 * likely an undo's that could not put back all of them. */
static int sector_refused(const struct examination *examination, uint64_t sector,
			  const unsigned char *old, const unsigned char *least)
{
	const unsigned char *now = examination->now + sector * SECTOR_BYTES;
	bool between = true;

	for (unsigned int i = 0; i < SECTOR_BYTES && between; i++)
		between = !(now[i] & ~old[i]) && !(least[i] & ~now[i]);
	error_operation(examination->err, EPERM, between ?
			"the log holds a part of the bits that the repair cleared (sector %" PRIu64 "): "
			"an undo has put back what could be put back, or the kernel has used this "
			"mirror since; nothing more can be put back, and nothing overrides this" :
			"the log has changed since the repair (sector %" PRIu64 "): the kernel has used "
			"this mirror, and setting bits back could make the log lie again, or something "
			"later is to be undone first (undo --list); nothing overrides this", sector);
	return 1;
}

/* Each sector that the repair touched is as before or as after it: a power cut
 * leaves a mix of both. 1: refused. */
static int examine_block(struct examination *examination, const struct undo_block *block)
{
	const struct undo_journal *undo = examination->undo;
	unsigned char after[SECTOR_BYTES];

	for (uint64_t i = 0; i < block->sectors; i++) {
		uint64_t at = (block->sector + i) * SECTOR_BYTES;
		const unsigned char *old = block->old + i * SECTOR_BYTES;

		if (!memcmp(examination->now + at, old, SECTOR_BYTES))
			continue;
		examination->unchanged = false;
		memcpy(after, old, SECTOR_BYTES);
		clear_bits(after, at, SECTOR_BYTES, &undo->cleared);
		if (!memcmp(examination->now + at, after, SECTOR_BYTES))
			continue;
		clear_bits(after, at, SECTOR_BYTES, &undo->planned);
		return sector_refused(examination, block->sector + i, old, after);
	}
	return 0;
}

static void put_old_blocks(unsigned char *area, const struct undo_journal *undo)
{
	for (size_t i = 0; i < undo->nr_blocks; i++)
		memcpy(area + undo->blocks[i].sector * SECTOR_BYTES, undo->blocks[i].old,
		       (size_t)undo->blocks[i].sectors * SECTOR_BYTES);
}

static bool has_digest(const unsigned char *area, const struct undo_journal *undo,
		       const unsigned char *expected)
{
	unsigned char digest[JOURNAL_DIGEST_BYTES];

	journal_digest(digest, area, (size_t)undo->log_state.area_bytes);
	return !memcmp(digest, expected, sizeof(digest));
}

/* The sectors that the repair did not touch have no old bytes in the journal: that
 * they are as they were is what the digest of the whole says. `area` becomes the area
 * as it was. 1: refused. */
static int examine_whole(const struct examination *examination, unsigned char *area)
{
	const struct undo_journal *undo = examination->undo;

	memcpy(area, examination->now, (size_t)undo->log_state.area_bytes);
	put_old_blocks(area, undo);
	if (!has_digest(area, undo, undo->log_state.before))
		return refused(examination, "the log has changed since the repair, outside of the "
			       "sectors that it cleared bits in: the kernel has used this mirror, and "
			       "setting bits back could make the log lie again, or something later is "
			       "to be undone first (undo --list)");
	clear_bits(area, 0, undo->log_state.area_bytes, &undo->planned);
	if (!has_digest(area, undo, undo->log_state.after))
		return refused(examination, "the journal contradicts itself: what it holds of the log "
			       "does not lead to the log that it says the repair left");
	put_old_blocks(area, undo);
	return 0;
}

static int examine_size(const struct examination *examination, uint64_t nr_bytes)
{
	const struct undo_journal *undo = examination->undo;

	if (!undo->committed || !undo->has_log || undo->open)
		return refused(examination, "the journal holds no bytes of a log, so there is nothing to "
			       "put back");
	if (nr_bytes == undo->log_state.area_bytes)
		return 0;
	error_operation(examination->err, EPERM, "the log has %" PRIu64 " bytes now and had %" PRIu64
			" at the repair: the mirror was changed or is another one; nothing overrides "
			"this, and nothing was changed", nr_bytes, undo->log_state.area_bytes);
	return 1;
}

int undo_examine(enum undo_answer *answer, void **before, const struct undo_journal *undo,
		 const void *now, uint64_t nr_bytes, struct error *err)
{
	struct examination examination = { .undo = undo, .now = now, .unchanged = true, .err = err };
	uint64_t room = (nr_bytes + AREA_ALIGN - 1) / AREA_ALIGN * AREA_ALIGN;
	unsigned char *area = NULL;
	int r;

	*answer = UNDO_REFUSED;
	*before = NULL;
	r = examine_size(&examination, nr_bytes);
	for (size_t i = 0; i < undo->nr_blocks && !r; i++)
		r = examine_block(&examination, &undo->blocks[i]);
	if (r)
		return 0;
	area = aligned_alloc(AREA_ALIGN, (size_t)room);
	if (!area)
		return no_memory(err);
	r = examine_whole(&examination, area);
	if (!r)
		*answer = examination.unchanged ? UNDO_NOTHING : UNDO_POSSIBLE;
	if (*answer == UNDO_POSSIBLE)
		*before = area;
	else
		free(area);
	return 0;
}

/* --- the legs as they are now -------------------------------------------- */

struct proof {
	const struct undo_journal *undo;
	struct bitmap *back, *changed;
	size_t next;			/* of undo->regions: both ascend */
	uint64_t regions_done;
	int (*poll)(void *context, uint64_t regions_done);
	void *context;
	int stopped;			/* what it returned */
};

/* What the journal says of a region; ascending calls. NULL: nothing. */
static const struct journal_region *journalled(struct proof *proof, uint64_t region)
{
	const struct undo_journal *undo = proof->undo;

	while (proof->next < undo->nr_regions && undo->regions[proof->next].region < region)
		proof->next++;
	return proof->next < undo->nr_regions && undo->regions[proof->next].region == region ?
	       &undo->regions[proof->next] : NULL;
}

/* Cleared, and not back yet: asks for those that can be proven at all to be read. */
static void choose_regions(struct proof *proof, const void *now)
{
	const struct undo_journal *undo = proof->undo;
	const struct bitmap *cleared = &undo->cleared;
	const struct journal_region *digest;
	struct bitmap bits;

	bitmap_borrow(&bits, (unsigned char *)(uintptr_t)now + MIRROR_LOG_BITS_OFFSET,
		      undo->log_state.nr_regions);
	for (uint64_t region = bitmap_next_set(cleared, 0); region < cleared->nr_bits;
	     region = bitmap_next_set(cleared, region + 1)) {
		if (bitmap_test(&bits, region))
			continue;
		digest = journalled(proof, region);
		/* Nothing matches a digest that is not known, so itself neither. */
		bitmap_set(digest && region_digests_match(digest, digest) ? proof->back :
			   proof->changed, region);
	}
	proof->next = 0;
}

static int prove_region(void *context, const struct region_reading *reading)
{
	struct proof *proof = context;
	const struct journal_region *digest = journalled(proof, reading->digest.region);

	if (!digest || !region_digests_match(digest, &reading->digest)) {
		bitmap_clear(proof->back, reading->digest.region);
		bitmap_set(proof->changed, reading->digest.region);
	}
	proof->regions_done++;
	return 0;
}

static int poll_caller(void *context)
{
	struct proof *proof = context;

	if (proof->poll)
		proof->stopped = proof->poll(proof->context, proof->regions_done);
	return proof->stopped;
}

static int read_failed(const struct proof *proof, int r, struct error *err)
{
	if (r == -ETIMEDOUT)
		return error_operation(err, ETIMEDOUT, "a leg does not answer; nothing was changed, look "
				       "after its device");
	if (r && r != proof->stopped)
		return error_operation(err, -r, "the legs cannot be read: %s; nothing was changed",
				       r == -ENXIO ? "one is shorter than the mirror" :
				       error_reason(r));
	return r;
}

int undo_prove(struct bitmap *back, struct bitmap *changed, const struct undo_journal *undo,
	       struct block_engine *engine, struct block_device *const legs[],
	       unsigned int nr_legs, const struct region_geometry *geometry, const void *now,
	       int (*poll)(void *context, uint64_t regions_done), void *context,
	       struct error *err)
{
	struct proof proof = { .undo = undo, .back = back, .changed = changed, .poll = poll,
			       .context = context };
	const struct region_reading_client client = {
		.context = &proof, .region = prove_region, .poll = poll_caller,
	};
	int r;

	memset(back, 0, sizeof(*back));
	memset(changed, 0, sizeof(*changed));
	if (geometry->nr_regions != undo->log_state.nr_regions)
		return error_operation(err, EINVAL, "the mirror has %" PRIu64 " regions and had %" PRIu64
				       " at the repair: it was changed or is another one; nothing was "
				       "changed", geometry->nr_regions, undo->log_state.nr_regions);
	if (bitmap_alloc(back, undo->cleared.nr_bits) ||
	    bitmap_alloc(changed, undo->cleared.nr_bits)) {
		r = no_memory(err);
		goto out;
	}
	choose_regions(&proof, now);
	r = region_readings_run(engine, legs, nr_legs, geometry, back, &client);
	r = read_failed(&proof, r, err);
out:
	if (r) {
		bitmap_free(back);
		bitmap_free(changed);
	}
	return r;
}
