/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/repair.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define SLOTS_MAX 16u

enum pass {
	PASS_CHECK,	/* is the log still what the plan was made of? */
	PASS_WRITE,
	PASS_FLUSH,
	PASS_VERIFY,	/* is it now what was written? */
};

struct apply;

/* A piece in flight: neighbouring blocks, in one buffer of the engine. */
struct slot {
	struct apply *apply;
	struct block_request request;
	unsigned char *buffer;
	bool busy;
};

struct apply {
	struct block_engine *engine;
	struct block_device *log;
	const struct repair_block *blocks;
	size_t nr_blocks;
	uint32_t block_sectors;
	const struct bitmap *clear;	/* NULL: putting back */
	const unsigned char *current, *edited;

	enum pass pass;
	size_t next;			/* block to ask for */
	bool issued;			/* anything in this pass */
	unsigned int in_flight;
	bool abandoned;			/* nobody waits: the last done() frees it */

	int result;			/* of the lowest sector that failed */
	uint64_t sector;
	const char *mismatch;		/* not an errno: what is wrong with the bytes */

	struct slot slots[SLOTS_MAX];
	unsigned int nr_slots;
};

static void fail(struct apply *apply, int result, uint64_t sector, const char *mismatch)
{
	if (apply->result && apply->sector <= sector)
		return;
	apply->result = result;
	apply->sector = sector;
	apply->mismatch = mismatch;
}

/* --- what a piece must hold ---------------------------------------------- */

static bool piece_equals(struct apply *apply, const struct slot *slot, const unsigned char *area,
			 int result, const char *mismatch)
{
	const struct block_request *request = &slot->request;

	for (uint32_t i = 0; i < request->sectors; i++) {
		uint64_t sector = request->sector + i;

		if (!memcmp(slot->buffer + (size_t)i * SECTOR_BYTES, area + sector * SECTOR_BYTES,
			    SECTOR_BYTES))
			continue;
		fail(apply, result, sector, mismatch);
		return false;
	}
	return true;
}

/* Clears in a piece what the plan clears there. */
static void piece_edit(const struct apply *apply, struct slot *slot)
{
	uint64_t from = slot->request.sector * SECTOR_BYTES;
	uint64_t to = from + (uint64_t)slot->request.sectors * SECTOR_BYTES, region;

	if (to <= MIRROR_LOG_BITS_OFFSET)
		return;
	region = from < MIRROR_LOG_BITS_OFFSET ? 0 : (from - MIRROR_LOG_BITS_OFFSET) * 8;
	region = bitmap_next_set(apply->clear, region);
	while (region < apply->clear->nr_bits && MIRROR_LOG_BITS_OFFSET + region / 8 < to) {
		slot->buffer[MIRROR_LOG_BITS_OFFSET + region / 8 - from] &=
			(unsigned char)~(1u << region % 8);
		region = bitmap_next_set(apply->clear, region + 1);
	}
}

static void piece_check(struct apply *apply, struct slot *slot)
{
	if (!piece_equals(apply, slot, apply->current, -ESTALE,
			  "has changed since the log was read: something else writes to it"))
		return;
	if (!apply->clear)
		return;
	/* The last door before the disk: nothing but the plan gets through. */
	piece_edit(apply, slot);
	piece_equals(apply, slot, apply->edited, -EINVAL,
		     "would change otherwise than the plan says: a defect of mirrorctl, please report it");
}

static void piece_done(struct block_request *request)
{
	struct slot *slot = request->context;
	struct apply *apply = slot->apply;

	slot->busy = false;
	apply->in_flight--;
	if (apply->abandoned) {
		if (!apply->in_flight)
			free(apply);
		return;
	}
	if (request->result)
		fail(apply, request->result, request->sector, NULL);
	else if (apply->pass == PASS_CHECK)
		piece_check(apply, slot);
	else if (apply->pass == PASS_VERIFY)
		piece_equals(apply, slot, apply->edited, -EIO,
			     "does not hold what was written to it");
}

/* --- one pass over all pieces -------------------------------------------- */

/* Sectors from block `apply->next` on that are neighbours and fit a buffer. */
static uint32_t piece_sectors(const struct apply *apply, size_t *nr_blocks)
{
	const struct repair_block *block = &apply->blocks[apply->next];
	uint64_t room = apply->engine->buffer_bytes / SECTOR_BYTES / apply->block_sectors;
	size_t nr = 1;

	while (nr < room && apply->next + nr < apply->nr_blocks &&
	       block[nr].sector == block->sector + nr * apply->block_sectors)
		nr++;
	*nr_blocks = nr;
	return (uint32_t)(nr * apply->block_sectors);
}

static void submit_piece(struct apply *apply, struct slot *slot)
{
	struct block_request *request = &slot->request;
	uint64_t sector = 0;
	uint32_t sectors = 0;
	size_t nr_blocks = apply->nr_blocks;
	int r;

	if (apply->pass != PASS_FLUSH) {
		sector = apply->blocks[apply->next].sector;
		sectors = piece_sectors(apply, &nr_blocks);
	}
	*request = (struct block_request){
		.device = apply->log, .sector = sector, .sectors = sectors, .data = slot->buffer,
		.op = apply->pass == PASS_FLUSH ? BLOCK_FLUSH :
		      apply->pass == PASS_WRITE ? BLOCK_WRITE : BLOCK_READ,
		.done = piece_done, .context = slot,
	};
	if (request->op == BLOCK_WRITE)
		memcpy(slot->buffer, apply->edited + sector * SECTOR_BYTES,
		       (size_t)sectors * SECTOR_BYTES);
	r = block_submit(apply->engine, request);
	if (r) {
		fail(apply, r, sector, NULL);
		return;
	}
	slot->busy = true;
	apply->in_flight++;
	apply->issued = true;
	apply->next += nr_blocks;
}

static bool is_cancelled(const struct block_engine *engine)
{
	return engine->cancelled && engine->cancelled(engine->cancelled_context);
}

/* 0, also when a piece failed (apply->result); -errno when requests are out. */
static int run_pass(struct apply *apply, enum pass pass)
{
	int r = 0;

	apply->pass = pass;
	apply->next = 0;
	apply->issued = false;
	while (!r) {
		for (unsigned int i = 0; i < apply->nr_slots; i++)
			if (!apply->slots[i].busy && apply->next < apply->nr_blocks &&
			    !apply->result)
				submit_piece(apply, &apply->slots[i]);
		if (!apply->in_flight)
			break;
		r = block_wait_unless_hung(apply->engine);
	}
	return r;
}

/* --- the whole ----------------------------------------------------------- */

static const char *const safe_to_repeat =
	"each sector of the log is now as before or as planned, which is safe: run the command again";

static int pass_failed(const struct apply *apply, enum pass pass, struct error *err)
{
	static const char *const cannot[] = { "read", "write", "flush", "read back" };
	const char *name = apply->log->name;
	int r = apply->result;
	const char *then = pass == PASS_CHECK || (pass == PASS_WRITE && !apply->issued) ?
			   "nothing was written" : safe_to_repeat;

	if (apply->mismatch)
		return error_operation(err, -r, "%s: sector %" PRIu64 " %s; %s", name, apply->sector,
				       apply->mismatch, pass == PASS_CHECK ? then :
				       "check the device and its cabling");
	if (pass == PASS_FLUSH)
		return error_operation(err, -r, "%s: cannot flush what was written from sector %"
				       PRIu64 " on: %s; %s", name, apply->blocks[0].sector,
				       error_reason(r), then);
	return error_operation(err, -r, "%s: cannot %s sector %" PRIu64 ": %s; %s", name,
			       cannot[pass], apply->sector, error_reason(r), then);
}

static int requests_out(const struct apply *apply, int r, enum pass pass, struct error *err)
{
	return error_operation(err, -r, "%s: %s; %s", apply->log->name, r == -ECANCELED ?
			       "interrupted while the device did not answer" : error_reason(r),
			       pass == PASS_CHECK ? "nothing was written" : safe_to_repeat);
}

/* The passes in their order. *out: requests are still in flight. */
static int run_passes(struct apply *apply, enum repair_step *step, bool *out, struct error *err)
{
	static const enum repair_step reached[] = {
		REPAIR_NOT_BEGUN, REPAIR_WRITING, REPAIR_WRITTEN, REPAIR_VERIFIED,
	};

	for (enum pass pass = PASS_CHECK; pass <= PASS_VERIFY; pass++) {
		int r;

		if (pass == PASS_WRITE && is_cancelled(apply->engine))
			return error_operation(err, ECANCELED, "%s: interrupted; nothing was written",
					       apply->log->name);
		r = run_pass(apply, pass);
		if (pass == PASS_WRITE && apply->issued)
			*step = REPAIR_WRITING;
		*out = apply->in_flight != 0;
		if (r)
			return requests_out(apply, r, pass, err);
		if (apply->result)
			return pass_failed(apply, pass, err);
		*step = reached[pass];
	}
	return 0;
}

/* What a device that has become smaller, or another one, would stumble over. */
static int check_device(const struct apply *apply, struct error *err)
{
	const struct block_device *log = apply->log;
	const struct repair_block *last = &apply->blocks[apply->nr_blocks - 1];
	uint32_t block_sectors = log->block_sectors ? log->block_sectors : 1;

	if (!log->writable)
		return error_operation(err, EROFS, "%s: open for reading only; nothing was written",
				       log->name);
	if (last->sector >= log->sectors || apply->block_sectors > log->sectors - last->sector)
		return error_operation(err, ENOSPC, "%s: sector %" PRIu64 " lies behind its end: the "
				       "device is smaller than it was; nothing was written",
				       log->name, last->sector);
	if (apply->block_sectors % block_sectors)
		return error_operation(err, EINVAL, "%s: has blocks of %" PRIu32 " sectors, the plan "
				       "of %" PRIu32 " at sector %" PRIu64 "; nothing was written",
				       log->name, block_sectors, apply->block_sectors,
				       apply->blocks[0].sector);
	if (!apply->engine->nr_buffers ||
	    apply->engine->buffer_bytes / SECTOR_BYTES < apply->block_sectors)
		return error_operation(err, ENOMEM, "%s: the I/O buffers are too small for a block of "
				       "it; nothing was written", log->name);
	return 0;
}

static int apply_run(const struct apply *model, enum repair_step *step, struct error *err)
{
	struct apply *apply;
	bool out = false;
	int r;

	*step = REPAIR_NOT_BEGUN;
	if (!model->nr_blocks)
		return 0;
	r = check_device(model, err);
	if (r)
		return r;
	/* Not on the stack: should the device hang, requests point to it for ever. */
	apply = malloc(sizeof(*apply));
	if (!apply)
		return error_operation(err, ENOMEM, "%s: not enough memory; nothing was written",
				       model->log->name);
	*apply = *model;
	apply->nr_slots = apply->engine->nr_buffers < SLOTS_MAX ? apply->engine->nr_buffers :
			  SLOTS_MAX;
	for (unsigned int i = 0; i < apply->nr_slots; i++) {
		apply->slots[i].apply = apply;
		apply->slots[i].buffer = block_buffer(apply->engine, i);
	}
	r = run_passes(apply, step, &out, err);
	if (out)
		apply->abandoned = true;
	else
		free(apply);
	return r;
}

int repair_apply(const struct repair_plan *plan, struct block_engine *engine,
		 struct block_device *log, const void *current, const void *edited,
		 enum repair_step *step, struct error *err)
{
	struct apply model = {
		.engine = engine, .log = log,
		.blocks = plan->blocks, .nr_blocks = plan->nr_blocks,
		.block_sectors = plan->block_sectors, .clear = &plan->clear,
		.current = current, .edited = edited,
	};

	return apply_run(&model, step, err);
}

/* Blocks that differ; *blocks is allocated. */
static int differing_blocks(struct repair_block **blocks, size_t *nr_blocks,
			    const unsigned char *now, const unsigned char *target,
			    uint64_t nr_bytes, uint32_t block_sectors)
{
	uint64_t block_bytes = (uint64_t)block_sectors * SECTOR_BYTES, at;
	size_t nr = 0;

	for (at = 0; at + block_bytes <= nr_bytes; at += block_bytes)
		nr += memcmp(now + at, target + at, block_bytes) != 0;
	*nr_blocks = 0;
	*blocks = calloc(nr + 1, sizeof(**blocks));
	if (!*blocks)
		return -ENOMEM;
	for (at = 0; at + block_bytes <= nr_bytes; at += block_bytes)
		if (memcmp(now + at, target + at, block_bytes))
			(*blocks)[(*nr_blocks)++].sector = at / SECTOR_BYTES;
	return 0;
}

int repair_undo_apply(struct block_engine *engine, struct block_device *log,
		      const void *now, const void *target, uint64_t nr_bytes,
		      enum repair_step *step, struct error *err)
{
	uint32_t block_sectors = log->block_sectors ? log->block_sectors : 1;
	struct apply model = {
		.engine = engine, .log = log, .block_sectors = block_sectors,
		.current = now, .edited = target,
	};
	struct repair_block *blocks;
	int r;

	*step = REPAIR_NOT_BEGUN;
	if (nr_bytes % ((uint64_t)block_sectors * SECTOR_BYTES))
		return error_operation(err, EINVAL, "%s: %" PRIu64 " bytes are not whole blocks of "
				       "%" PRIu32 " sectors; nothing was written", log->name,
				       nr_bytes, block_sectors);
	r = differing_blocks(&blocks, &model.nr_blocks, now, target, nr_bytes, block_sectors);
	if (r)
		return error_operation(err, -r, "%s: not enough memory; nothing was written",
				       log->name);
	model.blocks = blocks;
	r = apply_run(&model, step, err);
	free(blocks);
	return r;
}
