/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/salvage_private.h"

#include <errno.h>
#include <string.h>

enum step { STEP_READ, STEP_WRITE, STEP_READ_BACK };

/* First the legs that lack the data, then those that it came from. */
enum pass { PASS_LACKING, PASS_HOLDING };

static uint32_t nr_sectors(const struct salvage_batch *batch)
{
	return batch->nr_units * batch->unit_sectors;
}

static struct salvage_unit *unit_of(const struct salvage_batch *batch, uint32_t at)
{
	return &batch->units[at / batch->unit_sectors];
}

static uint64_t disk_sector(const struct salvage_batch *batch, uint32_t at)
{
	return unit_of(batch, at)->start + at % batch->unit_sectors;
}

/* Does the sector at `at` follow the one before it on the disk, too? */
static bool is_neighbour(const struct salvage_batch *batch, uint32_t at)
{
	return disk_sector(batch, at) == disk_sector(batch, at - 1) + 1;
}

static uint32_t leg_block(const struct salvage_batch *batch, unsigned int leg)
{
	uint32_t block = batch->input->legs[leg]->block_sectors;

	return block ? block : 1;
}

/* --- input and output ------------------------------------------------------------ */

static void mark(struct salvage_batch *batch, enum step step, unsigned int leg, uint32_t at,
		 uint32_t sectors, bool good)
{
	const uint16_t bit = (uint16_t)(1u << leg);

	for (uint32_t i = at; i < at + sectors; i++) {
		if (step == STEP_READ && good)
			batch->sectors[i].readable |= bit;
		if (step != STEP_READ && !good)
			batch->sectors[i].failed |= bit;
	}
}

/* The result of the device; *out: the request is still in flight. */
static int issue(struct salvage_batch *batch, enum step step, unsigned int leg, uint32_t at,
		 uint32_t sectors, bool *out)
{
	struct block_engine *engine = batch->input->engine;
	struct block_device *device = batch->input->legs[leg];
	unsigned char *memory = step == STEP_READ ? batch->own[leg] : batch->io;
	void *data = memory + (size_t)at * SECTOR_BYTES;
	int r;

	if (step == STEP_WRITE)
		r = block_write(engine, device, disk_sector(batch, at), sectors, data);
	else
		r = block_read(engine, device, disk_sector(batch, at), sectors, data);
	*out = engine->in_flight != 0;
	return r;
}

/* Asked only where something has failed: what is readable is quickly read. */
static bool wants_to_stop(struct salvage_batch *batch)
{
	const struct salvage_hooks *hooks = batch->hooks;

	if (!batch->stopping && hooks->poll)
		batch->stopping = hooks->poll(hooks->context, batch->done_sectors,
					      batch->total_sectors);
	return batch->stopping;
}

/* Sectors that are neighbours on the disk; where that fails, in ever smaller pieces down
 * to the leg's own block. 0, or an end of salvage_batch_run(). */
static int transfer(struct salvage_batch *batch, enum step step, unsigned int leg, uint32_t at,
		    uint32_t sectors)
{
	uint32_t block = leg_block(batch, leg), half;
	bool out;
	int r = issue(batch, step, leg, at, sectors, &out);

	if (out)
		return r ? r : -EIO;
	if (r == -ENOMEM)	/* ours, and no word about the leg */
		return r;
	if (step == STEP_WRITE)
		batch->result->written_bytes[leg] += r ? 0 : (uint64_t)sectors * SECTOR_BYTES;
	if (!r || sectors <= block || r == -ENXIO || r == -ENODEV) {
		mark(batch, step, leg, at, sectors, !r);
		return 0;
	}
	if (step == STEP_READ && wants_to_stop(batch))
		return SALVAGE_STOPPED;
	half = (sectors / 2 + block - 1) / block * block;
	r = transfer(batch, step, leg, at, half);
	return r ? r : transfer(batch, step, leg, at + half, sectors - half);
}

/* What lies behind a leg's end is unreadable. */
static int read_leg(struct salvage_batch *batch, unsigned int leg)
{
	const uint64_t leg_sectors = batch->input->legs[leg]->sectors / leg_block(batch, leg) *
				     leg_block(batch, leg);
	const uint32_t end = nr_sectors(batch);
	int r = 0;

	for (uint32_t at = 0, next; at < end && !r; at = next) {
		uint64_t start = disk_sector(batch, at), sectors;

		next = at + batch->unit_sectors;
		while (next < end && is_neighbour(batch, next))
			next += batch->unit_sectors;
		sectors = next - at;
		if (start >= leg_sectors)
			continue;
		if (sectors > leg_sectors - start)
			sectors = leg_sectors - start;
		r = transfer(batch, STEP_READ, leg, at, (uint32_t)sectors);
	}
	return r;
}

/* --- what to do ------------------------------------------------------------------- */

static const unsigned char *own_sector(const struct salvage_batch *batch, unsigned int leg,
				       uint32_t at)
{
	return batch->own[leg] + (size_t)at * SECTOR_BYTES;
}

/* From the first other leg that can be read, if no other contradicts it. */
static void decide_sector(struct salvage_batch *batch, uint32_t at)
{
	struct salvage_sector *sector = &batch->sectors[at];

	for (unsigned int leg = 0; leg < batch->input->nr_legs; leg++) {
		if (!(sector->readable >> leg & 1))
			continue;
		if (sector->from == NO_LEG) {
			sector->from = (uint8_t)leg;
			continue;
		}
		if (!memcmp(own_sector(batch, sector->from, at), own_sector(batch, leg, at),
			    SECTOR_BYTES))
			continue;
		sector->from = NO_LEG;
		sector->outcome = SALVAGE_DISAGREE;
		return;
	}
	if (sector->from == NO_LEG)
		sector->outcome = SALVAGE_LOST;
}

static void decide_one(struct salvage_batch *batch, const struct salvage_unit *unit, uint32_t at)
{
	struct salvage_sector *sector = &batch->sectors[at];

	if (sector->source == NO_LEG)
		return;
	if (sector->readable >> sector->source & 1) {
		sector->outcome = SALVAGE_READABLE;
		return;
	}
	/* Not listed, and yet: without it the block cannot be written. */
	sector->bad = true;
	if (unit->clean)
		sector->outcome = SALVAGE_CLEAN;
	else
		decide_sector(batch, at);
}

/* Whole or not at all: a block of some leg may be as large as the unit. */
static void decide_unit(struct salvage_batch *batch, uint32_t index)
{
	struct salvage_unit *unit = &batch->units[index];
	struct salvage_sector *sectors = &batch->sectors[index * batch->unit_sectors];
	enum salvage_outcome hopeless = SALVAGE_OUTCOMES;

	for (uint32_t i = 0; i < batch->unit_sectors; i++) {
		decide_one(batch, unit, index * batch->unit_sectors + i);
		if (sectors[i].bad && sectors[i].from == NO_LEG &&
		    sectors[i].outcome != SALVAGE_READABLE)
			hopeless = sectors[i].outcome;
	}
	unit->holders = UINT16_MAX;
	for (uint32_t i = 0; i < batch->unit_sectors; i++) {
		if (sectors[i].from == NO_LEG)
			continue;
		if (hopeless != SALVAGE_OUTCOMES) {
			sectors[i].from = NO_LEG;
			sectors[i].outcome = hopeless;
			continue;
		}
		unit->active = true;
		unit->holders &= sectors[i].readable;
	}
}

/* What a leg is to hold at `at` in the end: what is salvaged; or what it holds; or, where
 * its block cannot be read as a whole, what the source holds. NULL: nobody knows. */
static const unsigned char *content(const struct salvage_batch *batch, unsigned int leg,
				    uint32_t at)
{
	const struct salvage_sector *sector = &batch->sectors[at];

	if (sector->from != NO_LEG)
		return own_sector(batch, sector->from, at);
	if (sector->readable >> leg & 1)
		return own_sector(batch, leg, at);
	if (sector->source != NO_LEG && sector->readable >> sector->source & 1)
		return own_sector(batch, sector->source, at);
	return NULL;
}

/* --- writing, and reading back ---------------------------------------------------- */

/* Will the leg's block at `at` be written, if all goes well? */
static bool block_is_planned(const struct salvage_batch *batch, unsigned int leg, uint32_t at)
{
	bool planned = false;

	if (!unit_of(batch, at)->active)
		return false;
	for (uint32_t i = at; i < at + leg_block(batch, leg) && !planned; i++)
		planned = batch->sectors[i].from != NO_LEG;
	return planned;
}

/* Is the leg's block at `at` part of this step? */
static bool block_is_due(const struct salvage_batch *batch, enum pass pass, enum step step,
			 unsigned int leg, uint32_t at)
{
	const struct salvage_unit *unit = unit_of(batch, at);
	bool holds = unit->holders >> leg & 1;

	if (pass == PASS_LACKING && holds)
		return false;
	/* Data that nobody else has taken is not put at risk; that it is on every leg is
	 * proven in one go. */
	if (pass == PASS_HOLDING && (unit->failed || (step == STEP_WRITE && !holds)))
		return false;
	return block_is_planned(batch, leg, at);
}

static bool block_compose(struct salvage_batch *batch, unsigned int leg, uint32_t at)
{
	const uint32_t end = at + leg_block(batch, leg);

	for (uint32_t i = at; i < end; i++) {
		const unsigned char *data = content(batch, leg, i);

		if (!data) {
			mark(batch, STEP_WRITE, leg, at, end - at, false);
			return false;
		}
		memcpy(batch->io + (size_t)i * SECTOR_BYTES, data, SECTOR_BYTES);
	}
	return true;
}

static int transfer_run(struct salvage_batch *batch, enum step step, unsigned int leg,
			uint32_t at, uint32_t sectors)
{
	int r = transfer(batch, step, leg, at, sectors);

	if (r || step != STEP_READ_BACK)
		return r;
	for (uint32_t i = at; i < at + sectors; i++)
		if (memcmp(batch->io + (size_t)i * SECTOR_BYTES, content(batch, leg, i),
			   SECTOR_BYTES))
			mark(batch, step, leg, i, 1, false);
	return 0;
}

/* --- what is about to be overwritten ---------------------------------------------- */

/* The old contents of neighbours, and what they will become. */
static int keep_run(struct salvage_batch *batch, unsigned int leg, uint32_t first, uint32_t end)
{
	const struct salvage_hooks *hooks = batch->hooks;
	unsigned char *new = batch->io + (size_t)first * SECTOR_BYTES;

	for (uint32_t i = first; i < end; i++) {
		const unsigned char *data = content(batch, leg, i);

		memcpy(batch->io + (size_t)i * SECTOR_BYTES,
		       data ? data : own_sector(batch, leg, i), SECTOR_BYTES);
	}
	return hooks->keep(hooks->context, leg, disk_sector(batch, first), end - first,
			   own_sector(batch, leg, first), new);
}

/* Sectors [at, end) of the batch: those that could be read, and that are the mirror's. */
static int keep_sectors(struct salvage_batch *batch, unsigned int leg, uint32_t at, uint32_t end)
{
	uint64_t length = batch->input->geometry.length;
	uint32_t first;
	int r = 0;

	while (!r && at < end && disk_sector(batch, at) < length) {
		for (first = at; at < end && disk_sector(batch, at) < length &&
				 batch->sectors[at].readable >> leg & 1; at++)
			;
		batch->result->kept_sectors += at - first;
		if (first < at)
			r = keep_run(batch, leg, first, at);
		for (; at < end && disk_sector(batch, at) < length &&
		       !(batch->sectors[at].readable >> leg & 1); at++)
			batch->result->lost_sectors++;
	}
	return r;
}

/* Neighbours together. */
static int keep_leg(struct salvage_batch *batch, unsigned int leg)
{
	const uint32_t end = nr_sectors(batch), block = leg_block(batch, leg);
	uint32_t run = 0;
	int r = 0;

	for (uint32_t at = 0; at <= end && !r; at += block) {
		bool planned = at < end && block_is_planned(batch, leg, at);

		if (run && (!planned || !is_neighbour(batch, at))) {
			r = keep_sectors(batch, leg, at - run, at);
			run = 0;
		}
		if (planned)
			run += block;
	}
	return r;
}

/* All legs, those too that may turn out not to be written. */
static int keep_old(struct salvage_batch *batch)
{
	const struct salvage_hooks *hooks = batch->hooks;
	int r = 0;

	if (!hooks->keep)
		return 0;
	for (unsigned int leg = 0; leg < batch->input->nr_legs && !r; leg++)
		r = keep_leg(batch, leg);
	if (!r)
		r = hooks->kept(hooks->context);
	batch->result->keep_error = r;
	return r ? SALVAGE_STOPPED : 0;
}

/* All due blocks of a leg, neighbours in one request: a disk whose own blocks are larger
 * than those it takes may not be able to write them one by one. *any: there were some. */
static int walk_leg(struct salvage_batch *batch, enum pass pass, enum step step,
		    unsigned int leg, bool *any)
{
	const uint32_t end = nr_sectors(batch), block = leg_block(batch, leg);
	uint32_t run = 0;
	int r = 0;

	*any = false;
	for (uint32_t at = 0; at <= end && !r; at += block) {
		bool due = at < end && block_is_due(batch, pass, step, leg, at) &&
			   block_compose(batch, leg, at);

		if (run && (!due || !is_neighbour(batch, at))) {
			r = transfer_run(batch, step, leg, at - run, run);
			run = 0;
		}
		if (due) {
			run += block;
			*any = true;
		}
	}
	return r;
}

static int flush_leg(struct salvage_batch *batch, enum pass pass, unsigned int leg)
{
	struct block_engine *engine = batch->input->engine;
	const uint32_t block = leg_block(batch, leg);
	int r = block_flush(engine, batch->input->legs[leg]);

	if (engine->in_flight)
		return r ? r : -EIO;
	if (r == -ENOMEM)
		return r;
	batch->result->unflushed |= r != 0;
	for (uint32_t at = 0; r && at < nr_sectors(batch); at += block)
		if (block_is_due(batch, pass, STEP_WRITE, leg, at))
			mark(batch, STEP_WRITE, leg, at, block, false);
	return 0;
}

static void gather_failures(struct salvage_batch *batch)
{
	for (uint32_t i = 0; i < nr_sectors(batch); i++)
		unit_of(batch, i)->failed |= batch->sectors[i].failed;
}

static int run_pass(struct salvage_batch *batch, enum pass pass)
{
	bool any, written[MIRROR_LEGS_MAX] = { false };
	int r = 0;

	for (unsigned int leg = 0; leg < batch->input->nr_legs && !r; leg++)
		r = walk_leg(batch, pass, STEP_WRITE, leg, &written[leg]);
	for (unsigned int leg = 0; leg < batch->input->nr_legs && !r; leg++)
		if (written[leg])
			r = flush_leg(batch, pass, leg);
	for (unsigned int leg = 0; leg < batch->input->nr_legs && !r; leg++)
		r = walk_leg(batch, pass, STEP_READ_BACK, leg, &any);
	gather_failures(batch);
	return r;
}

/* --- the whole -------------------------------------------------------------------- */

static void conclude(struct salvage_batch *batch)
{
	for (uint32_t i = 0; i < nr_sectors(batch); i++) {
		struct salvage_sector *sector = &batch->sectors[i];
		uint16_t failed = unit_of(batch, i)->failed;

		if (sector->from == NO_LEG)
			continue;
		sector->failed = failed;
		sector->outcome = !failed ? SALVAGE_DONE :
				  failed >> sector->source & 1 ? SALVAGE_SOURCE_FAILED :
				  SALVAGE_LEG_FAILED;
	}
}

int salvage_batch_run(struct salvage_batch *batch)
{
	const struct salvage_hooks *hooks = batch->hooks;
	bool active = false;
	int r = 0;

	for (unsigned int leg = 0; leg < batch->input->nr_legs && !r; leg++)
		r = read_leg(batch, leg);
	if (r)
		return r;
	for (uint32_t i = 0; i < batch->nr_units; i++) {
		decide_unit(batch, i);
		active |= batch->units[i].active;
	}
	if (active && hooks->unchanged && !hooks->unchanged(hooks->context))
		return SALVAGE_CHANGED;
	if (active)
		r = keep_old(batch);
	if (active && !r)
		r = run_pass(batch, PASS_LACKING);
	if (active && !r)
		r = run_pass(batch, PASS_HOLDING);
	if (!r)
		conclude(batch);
	return r;
}
