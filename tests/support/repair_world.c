/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "support/repair_world.h"
#include "support/quick_check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/audit_world.h"

/* ---- the mirror ---- */

static void put_text(struct repair_world *world, unsigned int leg, uint64_t sector,
		     enum world_content content)
{
	unsigned char bytes[SECTOR_BYTES];

	world_fill(bytes, sector, content);
	sim_disk_poke(world->legs[leg], sector * SECTOR_BYTES, bytes, SECTOR_BYTES);
}

/* All legs hold text; in the first sector, the last, or any, one of them differs. */
static void diverge(struct repair_world *world, uint64_t region)
{
	const struct region_geometry *geometry = &world->log.geometry;
	uint64_t start = region_start(geometry, region), *seed = &world->log.seed;
	uint64_t sectors = region_sectors(geometry, region), nr = 1 + world_below(seed, 3);

	for (uint64_t i = 0; i < sectors; i++)
		for (unsigned int leg = 0; leg < world->nr_legs; leg++)
			put_text(world, leg, start + i, HOLDS_TEXT);
	for (; nr; nr--)
		put_text(world, (unsigned int)world_below(seed, world->nr_legs),
			 start + world_below(seed, sectors),
			 world_below(seed, 2) ? HOLDS_OTHER : HOLDS_FLIPPED);
}

void repair_world_make(struct repair_world *world, uint64_t nr_regions, uint32_t block_sectors,
		       unsigned int nr_legs, uint64_t of, uint64_t seed)
{
	uint64_t region;
	char name[16];

	memset(world, 0, sizeof(*world));
	log_world_make(&world->log, nr_regions, block_sectors, seed);
	log_world_want(&world->log, of);
	log_world_plan(&world->log);
	world->nr_legs = nr_legs;
	for (unsigned int leg = 0; leg < nr_legs; leg++) {
		snprintf(name, sizeof(name), "leg %u", leg);
		world->legs[leg] = sim_disk_create(name, nr_regions * 8 * SECTOR_BYTES, leg % 2 ? 8 : 1);
		world->devices[leg] = sim_disk_device(world->legs[leg]);
		world->devices[leg]->writable = false;
	}
	region = bitmap_next_set(&world->log.wanted, 0);
	for (; region < nr_regions; region = bitmap_next_set(&world->log.wanted, region + 1))
		diverge(world, region);
	repair_world_restart(world, seed);
}

void repair_world_restart(struct repair_world *world, uint64_t seed)
{
	log_world_engine(&world->log, world->nr_legs + 3, 8192, seed);
}

void repair_world_free(struct repair_world *world)
{
	log_world_free(&world->log);
	for (unsigned int leg = 0; leg < world->nr_legs; leg++)
		sim_disk_destroy(world->legs[leg]);
	memory_file_free(&world->journal);
	memory_file_free(&world->saved);
	memset(world, 0, sizeof(*world));
}

void repair_world_change(struct repair_world *world, unsigned int leg, uint64_t region)
{
	uint64_t sectors = region_sectors(&world->log.geometry, region);
	uint64_t at = region_start(&world->log.geometry, region) * SECTOR_BYTES +
		      world_below(&world->log.seed, sectors * SECTOR_BYTES);
	unsigned char byte;

	sim_disk_peek(world->legs[leg], at, &byte, 1);
	byte ^= (unsigned char)(1u << world_below(&world->log.seed, 8));
	sim_disk_poke(world->legs[leg], at, &byte, 1);
}

/* ---- there … ---- */

static int poll_world(void *context, uint64_t regions_done)
{
	struct repair_world *world = context;

	ck_assert_uint_le(regions_done, world->log.plan.nr_clear);
	world->polls++;
	return world->stop_at_poll && world->polls >= world->stop_at_poll ? world->stop_with : 0;
}

int repair_world_record(struct repair_world *world, bool saving)
{
	struct repair_record record = {
		.identity = REPAIR_WORLD_IDENTITY, .regions = &world->log.plan.clear,
		.block_sectors = world->log.plan.block_sectors,
		.current = world->log.before, .edited = world->log.edited,
		.area_bytes = world->log.nr_bytes, .engine = world->log.engine,
		.legs = world->devices, .nr_legs = world->nr_legs,
		.geometry = world->log.geometry, .journal = &world->journal_writer,
		.saved = saving ? &world->saved_writer : NULL,
		.poll = poll_world, .context = world,
	};

	world->err.kind = ERROR_NONE;
	world->polls = 0;
	world->journal.size = world->saved.size = 0;
	world->journal.appends = world->saved.appends = 0;
	journal_writer_init(&world->journal_writer, memory_file_sink(&world->journal));
	journal_writer_init(&world->saved_writer, memory_file_sink(&world->saved));
	return repair_record(&world->recorded, &record, &world->err);
}

int repair_world_commit(struct repair_world *world)
{
	return journal_put_commit(&world->journal_writer);
}

void repair_world_outcome(struct repair_world *world, const struct bitmap *cleared)
{
	ck_assert_int_eq(repair_record_cleared(&world->journal_writer, cleared), 0);
}

int repair_world_repair(struct repair_world *world)
{
	int r = repair_world_record(world, false);

	if (!r)
		r = repair_world_commit(world);
	return r ? r : log_world_apply(&world->log);
}

/* ---- … and back ---- */

static int prove_and_apply(struct repair_world *world, const struct undo_journal *undo,
			   const unsigned char *now, const void *before)
{
	struct log_world *log = &world->log;
	struct bitmap back, refused;
	unsigned char *target;
	int r;

	r = undo_prove(&back, &refused, undo, log->engine, world->devices, world->nr_legs,
		       &log->geometry, now, poll_world, world, &world->err);
	if (r)
		return r;
	world->nr_back = bitmap_count(&back);
	world->nr_refused = bitmap_count(&refused);
	world->lowest_refused = bitmap_next_set(&refused, 0);
	target = aligned_alloc(4096, (log->nr_bytes + 4095) / 4096 * 4096);
	ck_assert_ptr_nonnull(target);
	memcpy(target, now, log->nr_bytes);
	repair_undo_edit(target, before, log->nr_bytes, &back);
	r = repair_undo_apply(log->engine, sim_disk_device(log->disk), now, target, log->nr_bytes,
			      &world->undo_step, &world->err);
	bitmap_free(&back);
	bitmap_free(&refused);
	free(target);
	return r;
}

int repair_world_undo(struct repair_world *world)
{
	struct journal_source source = memory_file_source(&world->journal);
	uint64_t nr_bytes = world->log.nr_bytes, cut_at;
	struct undo_journal undo;
	unsigned char *now;
	void *before;
	int r;

	world->err.kind = ERROR_NONE;
	world->polls = 0;
	world->nr_back = world->nr_refused = 0;
	world->undo_step = REPAIR_NOT_BEGUN;
	r = undo_journal_read(&undo, &source, &cut_at, &world->err);
	if (r) {
		undo_journal_free(&undo);
		return r;
	}
	now = aligned_alloc(4096, (nr_bytes + 4095) / 4096 * 4096);
	ck_assert_ptr_nonnull(now);
	sim_disk_peek(world->log.disk, 0, now, nr_bytes);
	r = undo_examine(&world->answer, &before, &undo, now, nr_bytes, &world->err);
	ck_assert((world->answer == UNDO_POSSIBLE) == (before != NULL));
	if (!r && world->answer == UNDO_POSSIBLE) {
		ck_assert(!memcmp(before, world->log.before, nr_bytes));
		r = prove_and_apply(world, &undo, now, before);
	}
	free(before);
	free(now);
	undo_journal_free(&undo);
	return r;
}
