/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The power goes after every write and flush of a repair and of an undo, and of what
 * was not flushed any subset of sectors is lost. Whatever is left claims no more than
 * was true before, and can be undone.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "support/audit_world.h"
#include "support/log_world.h"
#include "unit/suites.h"

/* Subsets of up to this many sectors are all tried, of more a sample. */
#define EXHAUSTIVE_SECTORS 12u
#define SAMPLES 400u

static struct log_world world;

static void teardown(void)
{
	log_world_free(&world);
}

/* --- subsets ------------------------------------------------------------- */

struct subset {
	bool exhaustive;
	uint64_t nr;		/* exhaustive: bit i says that version i survives */
	uint64_t random;
};

static bool survives(void *context, unsigned int version, uint64_t sector)
{
	struct subset *subset = context;

	(void)sector;
	if (subset->exhaustive)
		return subset->nr >> version & 1;
	return world_random(&subset->random) & 1;
}

static unsigned int nr_lost_in_use, nr_cuts;	/* what the tests have really seen */

/* What a power cut may leave of `disk`, once for each subset. */
static void each_survivor(const struct sim_disk *disk, void (*check)(struct sim_disk *survivor))
{
	unsigned int unflushed = sim_disk_unflushed(disk);
	struct subset subset = { .exhaustive = unflushed <= EXHAUSTIVE_SECTORS };
	uint64_t subsets = subset.exhaustive ? UINT64_C(1) << unflushed : world_rounds(SAMPLES);

	for (uint64_t i = 0; i < subsets; i++) {
		struct sim_disk *survivor = sim_disk_clone(disk);

		subset.nr = i;
		subset.random = i;
		sim_disk_power_cut_subset(survivor, survives, &subset);
		check(survivor);
		sim_disk_destroy(survivor);
		nr_cuts++;
	}
	if (unflushed)
		nr_lost_in_use++;
}

/* --- repair -------------------------------------------------------------- */

/* The log is old, new or in between; undo brings the old one back, twice over. */
static void survivor_is_safe(struct sim_disk *survivor)
{
	ck_assert(log_world_is_between(&world, survivor));
	ck_assert_int_eq(log_world_undo(&world, survivor), 0);
	ck_assert(log_world_is_before(&world, survivor));
	ck_assert_uint_eq(sim_disk_unflushed(survivor), 0);
	ck_assert_int_eq(log_world_undo(&world, survivor), 0);
	ck_assert_int_eq(world.step, REPAIR_NOT_BEGUN);
	ck_assert(log_world_is_before(&world, survivor));
}

/* The step is what the caller goes by: it must not say less than what happened. */
static void check_step(enum repair_step step)
{
	if (step == REPAIR_NOT_BEGUN)
		ck_assert(log_world_is_before(&world, world.disk));
	if (step >= REPAIR_WRITTEN) {
		ck_assert_uint_eq(sim_disk_unflushed(world.disk), 0);
		ck_assert(log_world_is_edited(&world, world.disk));
	}
}

static struct block_engine *fresh_engine(size_t buffer_bytes, uint64_t seed)
{
	log_world_engine(&world, 3, buffer_bytes, seed);
	return world.engine;
}

static void reset_disk(const struct sim_disk *start)
{
	sim_disk_destroy(world.disk);
	world.disk = sim_disk_clone(start);
}

/* Cuts after `ops` writes and flushes; false: the repair was done before that. */
static bool cut_repair_after(const struct sim_disk *start, uint64_t ops, size_t buffer_bytes,
			     uint64_t seed)
{
	bool lost;
	int r;

	reset_disk(start);
	sim_engine_power_off_after(fresh_engine(buffer_bytes, seed), ops);
	r = log_world_apply(&world);
	lost = sim_engine_power_lost(world.engine);
	ck_assert_int_eq(r, lost ? -ENODEV : 0);
	if (lost && !ops)
		ck_assert(log_world_is_before(&world, world.disk));
	check_step(world.step);
	sim_engine_crash(world.engine);
	/* The undo has power again. */
	fresh_engine(buffer_bytes, seed);
	each_survivor(world.disk, survivor_is_safe);
	return lost;
}

static void cut_repair_everywhere(size_t buffer_bytes, uint64_t seed)
{
	struct sim_disk *start = sim_disk_clone(world.disk);
	uint64_t ops = 0;

	nr_lost_in_use = 0;
	while (cut_repair_after(start, ops, buffer_bytes, seed))
		ops++;
	sim_disk_destroy(start);
	/* At least: nothing, each write, the flush. */
	ck_assert_uint_ge(ops, 2);
	ck_assert_uint_ge(nr_lost_in_use, 1);
}

/* Every bit wanted: each sector of the bits changes. */
static void make_dense(uint64_t nr_regions, uint32_t block_sectors, uint64_t seed)
{
	log_world_make(&world, nr_regions, block_sectors, seed);
	bitmap_set_run(&world.wanted, 0, nr_regions - 1);
	log_world_plan(&world);
}

START_TEST(small_512)
{
	make_dense(3 * 4096, 1, 41);
	ck_assert_uint_eq(world.plan.nr_blocks, 3);
	cut_repair_everywhere(_i & 1 ? 512 : 4096, (uint64_t)_i);
}
END_TEST

/* One block: header and bits in one write, each of its sectors may be lost. */
START_TEST(small_4096)
{
	make_dense(20000, 8, 42);
	ck_assert_uint_eq(world.plan.nr_blocks, 1);
	cut_repair_everywhere(4096, (uint64_t)_i);
	ck_assert_uint_ge(nr_cuts, 1u << 8);
}
END_TEST

START_TEST(scattered_512)
{
	log_world_make(&world, 40960, 1, 43 + (uint64_t)_i);
	log_world_want(&world, 8000);
	bitmap_set_run(&world.wanted, 0, 9);
	bitmap_set_run(&world.wanted, 20000, 20009);
	bitmap_set_run(&world.wanted, 40950, 40959);
	log_world_plan(&world);
	ck_assert_uint_ge(world.plan.nr_blocks, 3);
	cut_repair_everywhere(4096, (uint64_t)_i);
}
END_TEST

START_TEST(big)
{
	make_dense(300000, _i & 1 ? 8 : 1, 50 + (uint64_t)_i);
	cut_repair_everywhere(4096, (uint64_t)_i);
}
END_TEST

/* --- undo ---------------------------------------------------------------- */

/* Cut during the undo: between still, and the next undo completes it. */
static void cut_undo_everywhere(size_t buffer_bytes, uint64_t seed)
{
	struct sim_disk *start;
	uint64_t ops = 0;
	bool lost;

	fresh_engine(buffer_bytes, seed);
	ck_assert_int_eq(log_world_apply(&world), 0);
	start = sim_disk_clone(world.disk);
	do {
		int r;

		reset_disk(start);
		sim_engine_power_off_after(fresh_engine(buffer_bytes, seed), ops++);
		r = log_world_undo(&world, world.disk);
		lost = sim_engine_power_lost(world.engine);
		ck_assert_int_eq(r, lost ? -ENODEV : 0);
		sim_engine_crash(world.engine);
		fresh_engine(buffer_bytes, seed);
		each_survivor(world.disk, survivor_is_safe);
	} while (lost);
	sim_disk_destroy(start);
	ck_assert_uint_ge(ops, 3);
}

START_TEST(undo_small)
{
	if (_i & 1)
		make_dense(20000, 8, 61);
	else
		make_dense(3 * 4096, 1, 60);
	cut_undo_everywhere(_i & 2 ? 512 << (_i & 1 ? 3 : 0) : 8192, (uint64_t)_i);
}
END_TEST

/* --- two crashes in a row ------------------------------------------------ */

/* What a cut left is planned anew, repaired, and cut again: the bits that are left
 * are never more than at the start, and the wanted ones are gone in the end. */
START_TEST(again_and_again)
{
	for (uint64_t round = 0; round < world_rounds(60); round++) {
		unsigned char *now;
		struct mirror_log log;
		struct repair_plan plan;
		enum repair_step step;

		make_dense(3 * 4096 + 100, _i ? 8 : 1, round);
		sim_engine_power_off_after(fresh_engine(4096, round), 1 + round % 3);
		(void)log_world_apply(&world);
		sim_engine_crash(world.engine);
		sim_disk_power_cut(world.disk, round);

		now = aligned_alloc(4096, (world.nr_bytes + 4095) / 4096 * 4096);
		sim_disk_peek(world.disk, 0, now, world.nr_bytes);
		mirror_log_decode(&log, now, world.nr_bytes, world.geometry.nr_regions);
		ck_assert_int_eq(repair_plan_make(&plan, &log, &world.geometry, &world.wanted,
						  world.block_sectors), 0);
		ck_assert_uint_le(plan.nr_clear, world.plan.nr_clear);
		fresh_engine(4096, round);
		{
			unsigned char *edited = aligned_alloc(4096, (world.nr_bytes + 4095) /
							      4096 * 4096);

			memcpy(edited, now, world.nr_bytes);
			repair_plan_edit(&plan, edited);
			ck_assert_int_eq(repair_apply(&plan, world.engine,
						      sim_disk_device(world.disk), now, edited,
						      &step, NULL), 0);
			free(edited);
		}
		ck_assert(log_world_is_edited(&world, world.disk));
		repair_plan_free(&plan);
		free(now);
		log_world_free(&world);
	}
	log_world_make(&world, 1, 1, 1);
}
END_TEST

Suite *repair_power_suite(void)
{
	Suite *suite = suite_create("repair_power");
	TCase *tests = tcase_create("repair_power");

	tcase_set_timeout(tests, 300);
	tcase_add_checked_fixture(tests, NULL, teardown);
	tcase_add_loop_test(tests, small_512, 0, 4);
	tcase_add_loop_test(tests, small_4096, 0, 2);
	tcase_add_loop_test(tests, scattered_512, 0, 4);
	tcase_add_loop_test(tests, big, 0, 4);
	tcase_add_loop_test(tests, undo_small, 0, 4);
	tcase_add_loop_test(tests, again_and_again, 0, 2);
	suite_add_tcase(suite, tests);
	return suite;
}
