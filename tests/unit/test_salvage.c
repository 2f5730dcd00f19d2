/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/mirror_log.h"
#include "core/journal.h"
#include "core/salvage.h"
#include "support/audit_world.h"
#include "unit/suites.h"

/*
 * Legs with sectors that cannot be read until they are written, or never; sectors that
 * cannot be written; and what every leg held before.
 */
#define LENGTH 96u
#define REGION 8u
#define BEHIND 16u	/* sectors of the legs behind the mirror's end */
#define TOTAL (LENGTH + BEHIND)

static struct {
	unsigned int nr_legs;
	uint64_t length;
	uint32_t block[MIRROR_LEGS_MAX];
	struct sim_disk *legs[MIRROR_LEGS_MAX];
	bool bad[MIRROR_LEGS_MAX][TOTAL];	/* unreadable now */
	bool sticky[MIRROR_LEGS_MAX][TOTAL];	/* … and no write heals it */
	bool unwritable[MIRROR_LEGS_MAX][TOTAL];
	bool listed[TOTAL];
	unsigned char before[MIRROR_LEGS_MAX][TOTAL][SECTOR_BYTES];
	bool was_bad[MIRROR_LEGS_MAX][TOTAL];
	bool keeping;		/* … asked for first; 1: given, 2: kept */
	unsigned char kept[MIRROR_LEGS_MAX][TOTAL];
	unsigned char promised[MIRROR_LEGS_MAX][TOTAL][JOURNAL_FINGERPRINT_BYTES];
	unsigned int keeps, keep_fails_at;
	bool watch;		/* is the last good copy kept out of danger? */
	struct block_engine *engine;
	unsigned char area[2048];
	struct resync_plan plan;
	struct resync_plan_run plan_runs[1];
	struct run_list unreadable;
	struct salvage_hooks hooks;
	unsigned int polls, stop_at_poll;
	bool changed;
	size_t max_runs;

	struct salvage_result result;
	struct error err;
	int ret;
} leg_world;

#define w leg_world

/* ---- faults that a write heals ---- */

static void add_faults(unsigned int leg, enum block_op op, const bool flags[TOTAL])
{
	for (uint64_t at = 0, end; at < TOTAL; at = end + 1) {
		while (at < TOTAL && !flags[at])
			at++;
		for (end = at; end < TOTAL && flags[end]; )
			end++;
		if (at < end)
			sim_disk_fail(w.legs[leg], &(struct sim_fault){
				.op = op, .first = at, .sectors = end - at, .result = -EIO });
	}
}

static void set_faults(unsigned int leg)
{
	sim_disk_clear_faults(w.legs[leg]);
	add_faults(leg, BLOCK_READ, w.bad[leg]);
	add_faults(leg, BLOCK_WRITE, w.unwritable[leg]);
}

/* Whoever could be read there before may be written only when all others hold the same
 * durably, or could not be read either. */
static void watch_write(unsigned int leg, uint64_t sector)
{
	unsigned char durable[SECTOR_BYTES];

	if (!w.listed[sector] || w.was_bad[leg][sector])
		return;
	for (unsigned int other = 0; other < w.nr_legs; other++) {
		sim_disk_peek_durable(w.legs[other], sector * SECTOR_BYTES, durable, SECTOR_BYTES);
		ck_assert_mem_eq(durable, w.before[leg][sector], SECTOR_BYTES);
		ck_assert(!w.bad[other][sector]);
	}
}

static void heal(void *context, struct sim_disk *disk, enum block_op op, uint64_t first,
		 uint64_t sectors)
{
	unsigned int leg = 0;

	(void)context;
	while (leg < w.nr_legs && w.legs[leg] != disk)
		leg++;
	if (op != BLOCK_WRITE || leg == w.nr_legs)
		return;
	for (uint64_t i = first; i < first + sectors; i++) {
		ck_assert_uint_lt(i, TOTAL);
		if (w.watch)
			watch_write(leg, i);
		if (w.keeping && i < w.length && !w.was_bad[leg][i])
			ck_assert_uint_eq(w.kept[leg][i], 2);
	}
	if (sim_engine_power_lost(w.engine))
		return;
	for (uint64_t i = first; i < first + sectors; i++)
		if (!w.sticky[leg][i] && !w.unwritable[leg][i])
			w.bad[leg][i] = false;
	set_faults(leg);
}

/* ---- the world ---- */

static bool poll(void *context, uint64_t done, uint64_t total)
{
	ck_assert_ptr_eq(context, &w);
	ck_assert_uint_le(done, total);
	return ++w.polls == w.stop_at_poll;
}

static bool unchanged(void *context)
{
	ck_assert_ptr_eq(context, &w);
	return !w.changed;
}

static int keep(void *context, unsigned int leg, uint64_t sector, uint32_t sectors,
		const void *old, const void *new)
{
	ck_assert_ptr_eq(context, &w);
	ck_assert_uint_le(sector + sectors, w.length);
	if (++w.keeps == w.keep_fails_at)
		return -ENOSPC;
	for (uint32_t i = 0; i < sectors; i++) {
		ck_assert_mem_eq((const unsigned char *)old + i * SECTOR_BYTES,
				 w.before[leg][sector + i], SECTOR_BYTES);
		ck_assert(!w.was_bad[leg][sector + i]);
		w.kept[leg][sector + i] = 1;
		journal_fingerprint(w.promised[leg][sector + i],
				    (const unsigned char *)new + i * SECTOR_BYTES);
	}
	return 0;
}

static int kept(void *context)
{
	ck_assert_ptr_eq(context, &w);
	if (++w.keeps == w.keep_fails_at)
		return -EIO;
	for (unsigned int leg = 0; leg < w.nr_legs; leg++)
		for (uint64_t i = 0; i < TOTAL; i++)
			if (w.kept[leg][i])
				w.kept[leg][i] = 2;
	return 0;
}

static void keep_old(void)
{
	w.keeping = true;
	w.hooks.keep = keep;
	w.hooks.kept = kept;
}

static void new_engine(uint64_t seed)
{
	block_engine_destroy(w.engine);
	w.engine = sim_engine_create(8, 2, 4096, seed);
	ck_assert_ptr_nonnull(w.engine);
	sim_engine_set_hook(w.engine, heal, &w);
}

static void make(unsigned int nr_legs, const uint32_t *blocks)
{
	unsigned char bytes[SECTOR_BYTES];

	memset(&w, 0, sizeof(w));
	w.nr_legs = nr_legs;
	w.length = LENGTH;
	w.watch = true;
	for (unsigned int leg = 0; leg < nr_legs; leg++) {
		w.block[leg] = blocks ? blocks[leg] : 1;
		w.legs[leg] = sim_disk_create("leg", TOTAL * SECTOR_BYTES, w.block[leg]);
		for (uint64_t sector = 0; sector < TOTAL; sector++) {
			world_fill(bytes, sector, HOLDS_TEXT);
			sim_disk_poke(w.legs[leg], sector * SECTOR_BYTES, bytes, SECTOR_BYTES);
		}
	}
	resync_plan_init(&w.plan, 0);
	w.hooks = (struct salvage_hooks){ .context = &w, .poll = poll, .unchanged = unchanged };
	new_engine(0);
}

static void drop(void)
{
	salvage_result_free(&w.result);
	run_list_free(&w.unreadable);
	block_engine_destroy(w.engine);
	for (unsigned int leg = 0; leg < w.nr_legs; leg++)
		sim_disk_destroy(w.legs[leg]);
	memset(&w, 0, sizeof(w));
}

static void hold(unsigned int leg, uint64_t sector, enum world_content content)
{
	unsigned char bytes[SECTOR_BYTES];

	world_fill(bytes, sector, content);
	sim_disk_poke(w.legs[leg], sector * SECTOR_BYTES, bytes, SECTOR_BYTES);
}

/* In whole blocks of that leg, as a device has it. */
static void break_sectors(bool flags[TOTAL], unsigned int leg, uint64_t first, uint64_t sectors)
{
	uint64_t end = (first + sectors + w.block[leg] - 1) / w.block[leg] * w.block[leg];

	for (first -= first % w.block[leg]; first < end && first < TOTAL; first++)
		flags[first] = true;
}

static unsigned int source_of(uint64_t sector)
{
	uint64_t last;

	return sector < w.length ? resync_plan_source(&w.plan, sector / REGION, w.length / REGION,
						      &last) : RESYNC_SKIP;
}

/* What a resync would have listed. */
static void list_unreadable(void)
{
	run_list_free(&w.unreadable);
	run_list_init(&w.unreadable, 1000);
	for (unsigned int leg = 0; leg < w.nr_legs; leg++)
		for (uint64_t sector = 0; sector < w.length; sector++) {
			if (!w.bad[leg][sector])
				continue;
			w.listed[sector] |= source_of(sector) == leg;
			ck_assert(!run_list_add(&w.unreadable, &(struct sector_run){
				.verdict = VERDICT_UNVERIFIABLE, .leg = leg, .start = sector,
				.sectors = 1, .error = EIO }));
		}
	ck_assert(!run_list_finish(&w.unreadable));
}

static void remember(void)
{
	for (unsigned int leg = 0; leg < w.nr_legs; leg++) {
		sim_disk_peek(w.legs[leg], 0, w.before[leg], sizeof(w.before[leg]));
		set_faults(leg);
	}
	memcpy(w.was_bad, w.bad, sizeof(w.bad));
}

static void run(void)
{
	struct salvage_input input = {
		.engine = w.engine, .nr_legs = w.nr_legs, .area = w.area,
		.area_bytes = sizeof(w.area), .plan = &w.plan, .unreadable = &w.unreadable,
		.max_runs = w.max_runs,
	};

	ck_assert(!region_geometry_init(&input.geometry, w.length, REGION, NULL));
	for (unsigned int leg = 0; leg < w.nr_legs; leg++)
		input.legs[leg] = sim_disk_device(w.legs[leg]);
	salvage_result_free(&w.result);
	w.err.kind = ERROR_NONE;
	w.ret = salvage_run(&w.result, &input, &w.hooks, &w.err);
	if (w.ret)
		ck_assert_int_eq(w.err.kind, ERROR_OPERATION);
}

static void salvage(void)
{
	list_unreadable();
	remember();
	run();
	ck_assert_msg(!w.ret, "%s", w.err.text);
}

/* ---- what came of it ---- */

static const struct salvage_run *run_of(uint64_t sector)
{
	for (size_t i = 0; i < w.result.nr_runs; i++)
		if (sector >= w.result.runs[i].start &&
		    sector - w.result.runs[i].start < w.result.runs[i].sectors)
			return &w.result.runs[i];
	return NULL;
}

static void expect(uint64_t sector, enum salvage_outcome outcome, unsigned int from,
		   unsigned int failed)
{
	const struct salvage_run *found = run_of(sector);

	ck_assert_msg(found != NULL, "sector %" PRIu64 " has no outcome", sector);
	ck_assert_msg(found->outcome == outcome, "sector %" PRIu64 ": %s", sector,
		      salvage_outcome_name(found->outcome));
	ck_assert_uint_eq(found->from, from);
	ck_assert_uint_eq(found->failed_legs, failed);
}

static bool holds(unsigned int leg, uint64_t sector, const unsigned char *bytes)
{
	unsigned char now[SECTOR_BYTES];

	sim_disk_peek(w.legs[leg], sector * SECTOR_BYTES, now, SECTOR_BYTES);
	return !memcmp(now, bytes, SECTOR_BYTES);
}

/* The leg's block at a sector has something that was salvaged, or might have been. */
static bool in_written_block(unsigned int leg, uint64_t sector)
{
	uint64_t first = sector - sector % w.block[leg];
	bool any = false;

	for (uint64_t i = first; i < first + w.block[leg] && i < TOTAL; i++)
		any |= w.listed[i];
	return any;
}

/* What was kept is there yet, or what was said to come in its place. */
static void check_kept(void)
{
	unsigned char now[SECTOR_BYTES], print[JOURNAL_FINGERPRINT_BYTES];

	for (unsigned int leg = 0; leg < w.nr_legs; leg++)
		for (uint64_t sector = 0; sector < w.length; sector++) {
			if (!w.kept[leg][sector] || holds(leg, sector, w.before[leg][sector]))
				continue;
			sim_disk_peek(w.legs[leg], sector * SECTOR_BYTES, now, sizeof(now));
			journal_fingerprint(print, now);
			ck_assert_mem_eq(print, w.promised[leg][sector], sizeof(print));
		}
}

/* Sectors that were not asked for are as they were, byte for byte, on every leg: but where
 * a block could not be read as a whole, of which nobody knew what it held. */
static void check_others(void)
{
	check_kept();
	for (unsigned int leg = 0; leg < w.nr_legs; leg++)
		for (uint64_t sector = 0; sector < TOTAL; sector++) {
			if (w.was_bad[leg][sector] && in_written_block(leg, sector))
				continue;
			ck_assert_msg(holds(leg, sector, w.before[leg][sector]),
				      "leg %u, sector %" PRIu64, leg, sector);
		}
}

/* "Salvaged" means: durable, alike and readable everywhere. */
static void check_done(void)
{
	unsigned char bytes[SECTOR_BYTES], first[SECTOR_BYTES];
	uint64_t counted[SALVAGE_OUTCOMES] = { 0 };

	for (uint64_t sector = 0; sector < w.length; sector++) {
		const struct salvage_run *found = run_of(sector);

		if (!found)
			continue;
		counted[found->outcome]++;
		if (found->outcome != SALVAGE_DONE) {
			ck_assert(!bitmap_test(&w.result.regions, sector / REGION));
			continue;
		}
		for (unsigned int leg = 0; leg < w.nr_legs; leg++) {
			ck_assert(!w.bad[leg][sector]);
			sim_disk_peek_durable(w.legs[leg], sector * SECTOR_BYTES, bytes, SECTOR_BYTES);
			if (!leg)
				memcpy(first, bytes, SECTOR_BYTES);
			ck_assert_mem_eq(bytes, first, SECTOR_BYTES);
		}
		ck_assert_mem_eq(first, w.before[found->from][sector], SECTOR_BYTES);
		ck_assert(!w.was_bad[found->from][sector]);
	}
	for (unsigned int i = 0; i < SALVAGE_OUTCOMES; i++)
		ck_assert_uint_eq(counted[i], w.result.sectors[i]);
	ck_assert_uint_eq(bitmap_count(&w.result.regions), w.result.nr_regions);
}

static uint64_t all_writes(void)
{
	uint64_t writes = 0;

	for (unsigned int leg = 0; leg < w.nr_legs; leg++)
		writes += sim_disk_counters(w.legs[leg])->writes;
	return writes;
}

/* ---- the tests ---- */

START_TEST(healed_by_a_write)
{
	make(3, NULL);
	break_sectors(w.bad[0], 0, 9, 3);
	break_sectors(w.bad[0], 0, 15, 2);	/* over the end of a region */
	for (unsigned int leg = 1; leg < 3; leg++)
		hold(leg, 10, HOLDS_OTHER);	/* what leg 0 holds there nobody will know */
	salvage();
	expect(9, SALVAGE_DONE, 1, 0);
	expect(10, SALVAGE_DONE, 1, 0);
	expect(16, SALVAGE_DONE, 1, 0);
	ck_assert_uint_eq(w.result.nr_runs, 2);
	ck_assert_uint_eq(w.result.end, SALVAGE_COMPLETE);
	ck_assert(bitmap_test(&w.result.regions, 1) && bitmap_test(&w.result.regions, 2));
	ck_assert_uint_eq(w.result.nr_regions, 2);
	/* Written to every leg, the one it came from too. */
	for (unsigned int leg = 0; leg < 3; leg++)
		ck_assert_uint_eq(w.result.written_bytes[leg], 5 * SECTOR_BYTES);
	check_others();
	check_done();
	/* Nothing is left to do. */
	list_unreadable();
	ck_assert_uint_eq(w.unreadable.nr, 0);
	drop();
}
END_TEST

START_TEST(never_healed)
{
	make(3, NULL);
	break_sectors(w.bad[0], 0, 9, 1);
	break_sectors(w.bad[0], 0, 11, 1);
	break_sectors(w.sticky[0], 0, 9, 1);	/* takes it, and does not give it back */
	break_sectors(w.unwritable[0], 0, 11, 1);
	break_sectors(w.bad[2], 2, 11, 1);
	salvage();
	expect(9, SALVAGE_SOURCE_FAILED, 1, 1);
	expect(11, SALVAGE_SOURCE_FAILED, 1, 1);
	ck_assert(salvage_is_dangerous(SALVAGE_SOURCE_FAILED));
	ck_assert_uint_eq(w.result.nr_regions, 0);
	/* Leg 2 was rewritten; leg 1, which has the good copy, was not touched. */
	ck_assert(!w.bad[2][11] && holds(2, 11, w.before[1][11]));
	ck_assert_uint_eq(sim_disk_counters(w.legs[1])->writes, 0);
	check_others();
	check_done();
	drop();
}
END_TEST

START_TEST(another_leg_fails)
{
	make(3, NULL);
	break_sectors(w.bad[0], 0, 20, 2);
	break_sectors(w.bad[2], 2, 20, 1);
	break_sectors(w.unwritable[2], 2, 20, 1);
	break_sectors(w.unwritable[1], 1, 21, 1);	/* reads well, and cannot be written */
	salvage();
	expect(20, SALVAGE_LEG_FAILED, 1, 4);
	expect(21, SALVAGE_LEG_FAILED, 1, 2);
	ck_assert(!salvage_is_dangerous(SALVAGE_LEG_FAILED));
	ck_assert(!w.bad[0][20] && !w.bad[0][21]);
	ck_assert_uint_eq(w.result.nr_regions, 0);
	check_done();
	drop();
}
END_TEST

START_TEST(disagreeing_and_lost)
{
	make(4, NULL);
	break_sectors(w.bad[0], 0, 30, 3);
	hold(3, 30, HOLDS_OTHER);		/* two against one: no vote */
	for (unsigned int leg = 1; leg < 4; leg++)
		break_sectors(w.bad[leg], leg, 31, 1);
	salvage();
	expect(30, SALVAGE_DISAGREE, MIRROR_LEGS_MAX, 0);
	expect(31, SALVAGE_LOST, MIRROR_LEGS_MAX, 0);
	expect(32, SALVAGE_DONE, 1, 0);
	ck_assert(w.bad[0][30] && w.bad[0][31]);
	ck_assert(!bitmap_test(&w.result.regions, 3) && bitmap_test(&w.result.regions, 4));
	check_others();
	check_done();
	drop();
}
END_TEST

START_TEST(not_to_be_touched)
{
	make(2, NULL);
	break_sectors(w.bad[0], 0, 8, 1);	/* clean */
	break_sectors(w.bad[0], 0, 40, 1);	/* skipped */
	break_sectors(w.bad[1], 1, 48, 1);	/* no source */
	break_sectors(w.bad[0], 0, 56, 1);	/* read at last */
	w.area[MIRROR_LOG_BITS_OFFSET] = 1 << 1;
	w.plan_runs[0] = (struct resync_plan_run){ 5, 5, RESYNC_SKIP };
	w.plan.runs = w.plan_runs;
	w.plan.nr_runs = 1;
	list_unreadable();
	w.bad[0][56] = false;
	hold(0, 56, HOLDS_OTHER);
	remember();
	run();
	ck_assert_int_eq(w.ret, 0);
	expect(8, SALVAGE_CLEAN, MIRROR_LEGS_MAX, 0);
	expect(56, SALVAGE_READABLE, MIRROR_LEGS_MAX, 0);
	ck_assert_uint_eq(w.result.nr_runs, 2);
	ck_assert_uint_eq(all_writes(), 0);
	ck_assert_uint_eq(w.result.nr_regions, 0);
	check_done();
	drop();
}
END_TEST

START_TEST(sources_by_plan)
{
	make(3, NULL);
	break_sectors(w.bad[2], 2, 9, 1);
	break_sectors(w.bad[2], 2, 17, 1);
	hold(1, 9, HOLDS_TEXT);
	w.plan_runs[0] = (struct resync_plan_run){ 1, 1, 2 };
	w.plan.runs = w.plan_runs;
	w.plan.nr_runs = 1;
	salvage();
	expect(9, SALVAGE_DONE, 0, 0);
	ck_assert_uint_eq(run_of(9)->source, 2);
	ck_assert_ptr_null(run_of(17));		/* leg 2 is not its source */
	check_others();
	drop();
}
END_TEST

/* A block of 4096 bytes that cannot be read over a source of 512: the sectors that the
 * source can read are its own, and a block over the mirror's end is not invented. */
START_TEST(blocks_of_two_sizes)
{
	static const uint32_t blocks[] = { 1, 8, 1 };

	make(3, blocks);
	break_sectors(w.bad[0], 0, 18, 1);
	break_sectors(w.bad[1], 1, 18, 1);	/* 16-23 */
	break_sectors(w.bad[0], 0, 34, 1);
	hold(0, 35, HOLDS_OTHER);		/* not in sync beside it … */
	hold(0, 19, HOLDS_OTHER);
	salvage();
	expect(18, SALVAGE_DONE, 2, 0);
	expect(34, SALVAGE_DONE, 1, 0);
	ck_assert(holds(1, 19, w.before[0][19]));
	ck_assert(holds(1, 35, w.before[1][35]));	/* … and left for the resync */
	ck_assert_uint_eq(sim_disk_counters(w.legs[0])->written_bytes, 2 * SECTOR_BYTES);
	check_others();
	check_done();
	drop();

	make(2, blocks);
	w.length = LENGTH - 4;
	break_sectors(w.bad[0], 0, w.length - 1, 1);
	salvage();
	expect(w.length - 1, SALVAGE_DONE, 1, 0);
	check_others();				/* what is behind the end, too */
	drop();

	make(3, blocks);
	w.length = LENGTH - 4;
	break_sectors(w.bad[0], 0, w.length - 1, 1);
	break_sectors(w.bad[1], 1, w.length - 1, 1);
	break_sectors(w.bad[0], 0, 8, 1);
	salvage();
	expect(w.length - 1, SALVAGE_LEG_FAILED, 2, 2);
	expect(8, SALVAGE_DONE, 1, 0);
	drop();

	/* One sector of a large block that nobody has: the block stays as it is. */
	make(2, (const uint32_t[]){ 8, 1 });
	break_sectors(w.bad[0], 0, 16, 8);
	break_sectors(w.bad[1], 1, 20, 1);
	salvage();
	for (uint64_t sector = 16; sector < 24; sector++)
		expect(sector, SALVAGE_LOST, MIRROR_LEGS_MAX, 0);
	ck_assert_uint_eq(all_writes(), 0);
	drop();
}
END_TEST

/* The source cannot deliver a sector that was not listed, in a block that is salvaged. */
START_TEST(found_beside_it)
{
	static const uint32_t blocks[] = { 1, 8 };

	make(2, blocks);
	break_sectors(w.bad[0], 0, 18, 1);
	list_unreadable();
	break_sectors(w.bad[0], 0, 20, 1);
	w.listed[20] = true;
	remember();
	run();
	ck_assert_int_eq(w.ret, 0);
	expect(18, SALVAGE_DONE, 1, 0);
	expect(20, SALVAGE_DONE, 1, 0);
	check_others();
	check_done();
	drop();
}
END_TEST

/* Blocks that are larger than regions: no bit may be 1 wherever one of them reaches. */
START_TEST(blocks_larger_than_regions)
{
	static const uint32_t blocks[] = { 16, 8 };

	for (unsigned int clean = 0; clean < 12; clean++) {
		make(2, blocks);
		break_sectors(w.bad[0], 0, 32, 16);
		w.area[MIRROR_LOG_BITS_OFFSET + clean / 8] = (unsigned char)(1u << clean % 8);
		salvage();
		expect(32, clean == 4 || clean == 5 ? SALVAGE_CLEAN : SALVAGE_DONE,
		       clean == 4 || clean == 5 ? MIRROR_LEGS_MAX : 1, 0);
		check_others();
		check_done();
		drop();
	}
}
END_TEST

/* Says that it has written, and gives back something else. */
static void lie(void *context, struct sim_disk *disk, enum block_op op, uint64_t first,
		uint64_t sectors)
{
	unsigned int *liar = context;

	if (op == BLOCK_READ && disk == w.legs[*liar] && first <= 9 && 9 < first + sectors &&
	    all_writes() > *liar)
		hold(*liar, 9, HOLDS_MORE);
}

START_TEST(a_leg_that_lies)
{
	for (unsigned int liar = 0; liar < 2; liar++) {
		make(2, NULL);
		break_sectors(w.bad[0], 0, 9, 1);
		list_unreadable();
		remember();
		sim_engine_set_hook(w.engine, lie, &liar);
		sim_disk_clear_faults(w.legs[0]);
		sim_disk_fail(w.legs[0], &(struct sim_fault){
			.op = BLOCK_READ, .first = 9, .sectors = 1, .result = -EIO, .times = 1 });
		run();
		expect(9, liar ? SALVAGE_LEG_FAILED : SALVAGE_SOURCE_FAILED, 1, 1u << liar);
		ck_assert_uint_eq(w.result.nr_regions, 0);
		drop();
	}
}
END_TEST

START_TEST(flushes_that_fail)
{
	for (unsigned int leg = 0; leg < 2; leg++) {
		make(2, NULL);
		break_sectors(w.bad[0], 0, 9, 1);
		list_unreadable();
		remember();
		/* The hook would set the faults anew. */
		w.watch = false;
		sim_engine_set_hook(w.engine, NULL, NULL);
		sim_disk_clear_faults(w.legs[0]);
		sim_disk_fail(w.legs[0], &(struct sim_fault){
			.op = BLOCK_READ, .first = 9, .sectors = 1, .result = -EIO, .times = 1 });
		sim_disk_fail(w.legs[leg], &(struct sim_fault){ .op = BLOCK_FLUSH, .result = -EIO });
		run();
		ck_assert_int_eq(w.ret, 0);
		expect(9, leg ? SALVAGE_LEG_FAILED : SALVAGE_SOURCE_FAILED, 1, 1u << leg);
		ck_assert_uint_eq(sim_disk_counters(w.legs[1])->writes, leg);
		ck_assert_uint_eq(w.result.nr_regions, 0);
		ck_assert(w.result.unflushed);
		drop();
	}
}
END_TEST

START_TEST(what_can_be_proven)
{
	struct resync_result before = { .end = RESYNC_COMPLETE };

	make(2, NULL);
	break_sectors(w.bad[0], 0, 9, 1);
	salvage();
	expect(9, SALVAGE_DONE, 1, 0);
	ck_assert(!w.result.unflushed);
	ck_assert(salvage_can_be_proven(&w.result, &before));
	before.leg_error[1] = -EIO;
	ck_assert(!salvage_can_be_proven(&w.result, &before));
	before.leg_error[1] = 0;
	w.result.unflushed = true;
	ck_assert(!salvage_can_be_proven(&w.result, &before));
	w.result.unflushed = false;
	w.result.end = SALVAGE_STOPPED;
	ck_assert(!salvage_can_be_proven(&w.result, &before));
	w.result.end = SALVAGE_COMPLETE;
	w.result.sectors[SALVAGE_DONE] = 0;
	ck_assert(!salvage_can_be_proven(&w.result, &before));
	drop();
}
END_TEST

START_TEST(stopped_or_changed)
{
	make(2, NULL);
	break_sectors(w.bad[0], 0, 9, 2);
	w.stop_at_poll = 1;
	salvage();
	ck_assert_uint_eq(w.result.end, SALVAGE_STOPPED);
	expect(9, SALVAGE_UNFINISHED, MIRROR_LEGS_MAX, 0);
	w.stop_at_poll = 2;			/* within the batch, after the first error */
	w.polls = 0;
	run();
	ck_assert_uint_eq(w.result.end, SALVAGE_STOPPED);
	w.changed = true;
	run();
	ck_assert_uint_eq(w.result.end, SALVAGE_CHANGED);
	expect(10, SALVAGE_UNFINISHED, MIRROR_LEGS_MAX, 0);
	ck_assert_uint_eq(w.result.sectors[SALVAGE_UNFINISHED], 2);
	ck_assert_uint_eq(all_writes(), 0);
	ck_assert_uint_eq(w.result.nr_regions, 0);
	check_others();
	drop();
}
END_TEST

START_TEST(kept_first)
{
	make(2, NULL);
	break_sectors(w.bad[0], 0, 9, 2);
	keep_old();
	if (_i)
		w.keep_fails_at = (unsigned int)_i;
	salvage();
	if (!_i) {
		expect(9, SALVAGE_DONE, 1, 0);
		ck_assert_uint_eq(w.result.kept_sectors, 2);
		ck_assert_uint_eq(w.result.lost_sectors, 2);
		ck_assert_uint_eq(w.keeps, 2);
	} else {
		ck_assert_uint_eq(w.result.end, SALVAGE_STOPPED);
		ck_assert_int_eq(w.result.keep_error, _i == 1 ? -ENOSPC : -EIO);
		expect(9, SALVAGE_UNFINISHED, MIRROR_LEGS_MAX, 0);
		ck_assert_uint_eq(all_writes(), 0);
	}
	drop();
}
END_TEST

static bool lost_patience(void *context)
{
	(void)context;
	return true;
}

START_TEST(a_leg_that_hangs)
{
	make(2, NULL);
	break_sectors(w.bad[0], 0, 9, 1);
	list_unreadable();
	remember();
	sim_disk_hang(w.legs[1], true);
	w.engine->cancelled = lost_patience;
	run();
	ck_assert_int_eq(w.ret, 0);
	ck_assert(w.result.hung && w.result.abandoned);
	expect(9, SALVAGE_UNFINISHED, MIRROR_LEGS_MAX, 0);
	sim_disk_hang(w.legs[1], false);
	ck_assert_int_eq(block_drain(w.engine, -1), 0);
	free(w.result.abandoned);
	drop();
}
END_TEST

START_TEST(refused)
{
	struct salvage_input input;
	struct error err;

	make(2, NULL);
	break_sectors(w.bad[0], 0, 9, 1);
	list_unreadable();
	remember();
	input = (struct salvage_input){
		.engine = w.engine, .nr_legs = 2, .area = w.area, .area_bytes = sizeof(w.area),
		.plan = &w.plan, .unreadable = &w.unreadable,
		.legs = { sim_disk_device(w.legs[0]), sim_disk_device(w.legs[1]) },
	};
	ck_assert(!region_geometry_init(&input.geometry, LENGTH, REGION, NULL));
	for (unsigned int wrong = 0; wrong < 5; wrong++) {
		struct salvage_input bent = input;

		if (wrong == 0)
			bent.legs[1] = NULL;
		if (wrong == 1)
			bent.legs[1]->writable = false;
		if (wrong == 2)
			ck_assert(!region_geometry_init(&bent.geometry, TOTAL + 1, REGION, NULL));
		if (wrong == 3)
			bent.area_bytes = MIRROR_LOG_BITS_OFFSET + 1;
		if (wrong == 4)
			bent.nr_legs = 1;
		err.kind = ERROR_NONE;
		ck_assert_int_eq(salvage_run(&w.result, &bent, &w.hooks, &err), -EINVAL);
		ck_assert_int_eq(err.kind, ERROR_OPERATION);
		ck_assert_ptr_null(w.result.runs);
		input.legs[1]->writable = true;
	}
	ck_assert_uint_eq(all_writes(), 0);
	drop();
}
END_TEST

START_TEST(too_many_outcomes)
{
	make(2, NULL);
	w.max_runs = 2;
	for (uint64_t sector = 8; sector < 32; sector += 2)
		break_sectors(w.bad[0], 0, sector, 1);
	salvage();
	ck_assert(w.result.truncated);
	ck_assert_uint_eq(w.result.nr_runs, 2);
	ck_assert_uint_eq(w.result.sectors[SALVAGE_DONE], 12);
	ck_assert_uint_eq(w.result.nr_regions, 3);
	drop();
}
END_TEST

/* ---- at random, against what a sector at a time would give ---- */

static enum salvage_outcome oracle(uint64_t sector)
{
	unsigned int source = source_of(sector), first = MIRROR_LEGS_MAX;
	bool other_failed = false, source_failed = false;

	if (w.area[MIRROR_LOG_BITS_OFFSET + sector / REGION / 8] >> sector / REGION % 8 & 1)
		return SALVAGE_CLEAN;
	for (unsigned int leg = 0; leg < w.nr_legs; leg++) {
		if (w.was_bad[leg][sector])
			continue;
		if (first == MIRROR_LEGS_MAX)
			first = leg;
		if (memcmp(w.before[leg][sector], w.before[first][sector], SECTOR_BYTES))
			return SALVAGE_DISAGREE;
	}
	if (first == MIRROR_LEGS_MAX)
		return SALVAGE_LOST;
	for (unsigned int leg = 0; leg < w.nr_legs; leg++) {
		bool fails = w.unwritable[leg][sector] ||
			     (w.was_bad[leg][sector] && w.sticky[leg][sector]);

		source_failed |= fails && leg == source;
		other_failed |= fails;
	}
	return source_failed ? SALVAGE_SOURCE_FAILED :
	       other_failed ? SALVAGE_LEG_FAILED : SALVAGE_DONE;
}

static void break_at_random(uint64_t *seed)
{
	for (unsigned int leg = 0; leg < w.nr_legs; leg++) {
		for (unsigned int i = 0; i < 4; i++)
			break_sectors(w.bad[leg], leg, world_below(seed, TOTAL - 8),
				      1 + world_below(seed, leg ? 4 : 9));
		break_sectors(w.sticky[leg], leg, world_below(seed, TOTAL - 8), world_below(seed, 20));
		if (!world_below(seed, 2))
			break_sectors(w.unwritable[leg], leg, world_below(seed, TOTAL - 8), 5);
		for (unsigned int i = 0; i < 10; i++)
			hold(leg, world_below(seed, TOTAL), HOLDS_OTHER);
	}
	w.area[MIRROR_LOG_BITS_OFFSET] = (unsigned char)(1u << world_below(seed, 8));
	w.plan.otherwise = (uint8_t)world_below(seed, w.nr_legs);
	w.plan_runs[0] = (struct resync_plan_run){ 3, 3 + world_below(seed, 5),
						   (uint8_t)world_below(seed, w.nr_legs) };
	w.plan.runs = w.plan_runs;
	w.plan.nr_runs = 1;
}

static void make_random(uint64_t *seed, bool mixed)
{
	uint32_t blocks[4];

	for (unsigned int i = 0; i < 4; i++)
		blocks[i] = mixed && world_below(seed, 2) ? 8 : 1;
	make(2 + (unsigned int)world_below(seed, 3), blocks);
	break_at_random(seed);
}

START_TEST(random_sectors)
{
	uint64_t seed = 2006, seen[SALVAGE_OUTCOMES] = { 0 };

	for (unsigned int round = 0; round < world_rounds(600); round++) {
		make_random(&seed, false);
		new_engine(world_random(&seed));
		if (round % 2)
			keep_old();
		salvage();
		for (uint64_t sector = 0; sector < LENGTH; sector++) {
			const struct salvage_run *found = run_of(sector);

			ck_assert(!found == !w.listed[sector]);
			if (!found)
				continue;
			ck_assert_msg(found->outcome == oracle(sector), "round %u, sector %" PRIu64
				      ": %s, not %s", round, sector,
				      salvage_outcome_name(found->outcome),
				      salvage_outcome_name(oracle(sector)));
			seen[found->outcome]++;
		}
		check_others();
		check_done();
		drop();
	}
	for (unsigned int i = 0; i <= SALVAGE_CLEAN; i++)
		ck_assert(i == SALVAGE_READABLE || seen[i] || world_rounds(30) < 30);
}
END_TEST

START_TEST(random_blocks)
{
	uint64_t seed = 1977, done = 0;

	for (unsigned int round = 0; round < world_rounds(600); round++) {
		make_random(&seed, true);
		w.watch = false;	/* blocks beside it may be read, and the sector not */
		w.length = LENGTH - world_below(&seed, 2) * 8;
		if (round % 2)
			keep_old();
		salvage();
		check_others();
		check_done();
		done += w.result.sectors[SALVAGE_DONE];
		drop();
	}
	ck_assert(done || world_rounds(30) < 30);
}
END_TEST

/* ---- power cuts ---- */

/* After a cut anywhere: other sectors are as they were, what was bad is old or new, and
 * what any leg could give before at least one can give now. */
static void check_after_cut(void)
{
	check_others();
	for (uint64_t sector = 0; sector < LENGTH; sector++) {
		unsigned int good = MIRROR_LEGS_MAX;

		for (unsigned int leg = 0; leg < w.nr_legs && w.listed[sector]; leg++)
			if (!w.was_bad[leg][sector]) {
				ck_assert(holds(leg, sector, w.before[leg][sector]));
				good = leg;
			}
		for (unsigned int leg = 0; leg < w.nr_legs && good < MIRROR_LEGS_MAX; leg++)
			ck_assert(holds(leg, sector, w.before[leg][sector]) ||
				  holds(leg, sector, w.before[good][sector]));
	}
}

START_TEST(power_cuts)
{
	uint64_t seed = 7, lost = 0;

	for (unsigned int round = 0; round < world_rounds(900); round++) {
		make_random(&seed, false);
		list_unreadable();
		remember();
		new_engine(world_random(&seed));
		sim_engine_power_off_after(w.engine, world_below(&seed, 30));
		w.watch = false;
		run();
		ck_assert_int_eq(w.ret, 0);
		lost += sim_engine_power_lost(w.engine);
		sim_engine_crash(w.engine);
		for (unsigned int leg = 0; leg < w.nr_legs; leg++)
			sim_disk_power_cut(w.legs[leg], world_random(&seed));
		check_after_cut();
		/* What was promised before the cut has survived it. */
		check_done();
		drop();
	}
	ck_assert(lost || world_rounds(30) < 30);
}
END_TEST

Suite *salvage_suite(void)
{
	Suite *suite = suite_create("salvage");
	TCase *cases = tcase_create("salvage");

	tcase_add_test(cases, healed_by_a_write);
	tcase_add_test(cases, never_healed);
	tcase_add_test(cases, another_leg_fails);
	tcase_add_test(cases, disagreeing_and_lost);
	tcase_add_test(cases, not_to_be_touched);
	tcase_add_test(cases, sources_by_plan);
	tcase_add_test(cases, blocks_of_two_sizes);
	tcase_add_test(cases, found_beside_it);
	tcase_add_test(cases, blocks_larger_than_regions);
	tcase_add_test(cases, a_leg_that_lies);
	tcase_add_test(cases, flushes_that_fail);
	tcase_add_test(cases, what_can_be_proven);
	tcase_add_test(cases, stopped_or_changed);
	tcase_add_loop_test(cases, kept_first, 0, 3);
	tcase_add_test(cases, a_leg_that_hangs);
	tcase_add_test(cases, refused);
	tcase_add_test(cases, too_many_outcomes);
	tcase_add_test(cases, random_sectors);
	tcase_add_test(cases, random_blocks);
	tcase_add_test(cases, power_cuts);
	suite_add_tcase(suite, cases);
	return suite;
}
