/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A repair and its undo, from end to end: recorded, applied, read, examined, proven and
 * put back; with an error at every operation and the power cut after every write.
 */
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "support/audit_world.h"
#include "support/repair_world.h"
#include "unit/suites.h"

static struct repair_world world;

static void teardown(void)
{
	repair_world_free(&world);
}

static bool log_is_before(void)
{
	return log_world_is_before(&world.log, world.log.disk);
}

/* Everything goes, and comes back. */
static void undo_completes(uint64_t nr_back)
{
	ck_assert_msg(!repair_world_undo(&world), "%s", world.err.text);
	ck_assert_msg(world.answer == UNDO_POSSIBLE, "%s", world.err.text);
	ck_assert_uint_eq(world.nr_back, nr_back);
	ck_assert_uint_eq(world.nr_refused, 0);
	ck_assert(log_is_before());
	ck_assert_uint_eq(sim_disk_unflushed(world.log.disk), 0);
}

static void undo_finds_nothing(void)
{
	uint64_t writes = sim_disk_counters(world.log.disk)->writes;

	ck_assert_int_eq(repair_world_undo(&world), 0);
	ck_assert_int_eq(world.answer, UNDO_NOTHING);
	ck_assert_int_eq(world.err.kind, ERROR_NONE);
	ck_assert_uint_eq(sim_disk_counters(world.log.disk)->writes, writes);
	ck_assert(log_is_before());
}

static void undo_is_refused(const char *because)
{
	uint64_t writes = sim_disk_counters(world.log.disk)->writes;

	ck_assert_int_eq(repair_world_undo(&world), 0);
	ck_assert_int_eq(world.answer, UNDO_REFUSED);
	ck_assert_int_eq(world.err.kind, ERROR_OPERATION);
	ck_assert_msg(strstr(world.err.text, because) != NULL, "%s", world.err.text);
	ck_assert_ptr_nonnull(strstr(world.err.text, "nothing overrides this"));
	ck_assert_uint_eq(sim_disk_counters(world.log.disk)->writes, writes);
}

/* ---- there and back ---- */

static const uint64_t sizes[] = { 1, 65, 700, 4097, 13000 };
static const uint64_t densities[] = { 1, 3, 5, 40, 90 };

static void make(unsigned int i, uint64_t seed)
{
	repair_world_make(&world, sizes[i], seed % 2 ? 1 : 8, 2 + (unsigned int)(seed % 3),
			  densities[i], seed);
	while (!world.log.plan.nr_clear) {
		repair_world_free(&world);
		seed += 6;
		repair_world_make(&world, sizes[i], seed % 2 ? 1 : 8, 2 + (unsigned int)(seed % 3),
				  densities[i], seed);
	}
}

START_TEST(there_and_back)
{
	for (uint64_t seed = 1; seed <= world_rounds(6); seed++) {
		make((unsigned int)_i, seed);
		ck_assert_msg(!repair_world_repair(&world), "%s", world.err.text);
		ck_assert(log_world_is_edited(&world.log, world.log.disk));
		repair_world_restart(&world, seed + 1);
		undo_completes(world.log.plan.nr_clear);
		undo_finds_nothing();
		repair_world_free(&world);
	}
}
END_TEST

/* A journal without a repair: nothing to put back. */
START_TEST(committed_and_not_begun)
{
	make(2, 3);
	ck_assert_int_eq(repair_world_record(&world, false), 0);
	ck_assert_int_eq(repair_world_undo(&world), -ENODATA);
	ck_assert_ptr_nonnull(strstr(world.err.text, "without its commit; nothing was changed"));
	ck_assert_int_eq(repair_world_commit(&world), 0);
	undo_finds_nothing();
}
END_TEST

/* Any leg of any region: this region stays, all others come back. */
START_TEST(leg_has_changed)
{
	for (uint64_t seed = 1; seed <= world_rounds(8); seed++) {
		uint64_t region, at;
		unsigned char byte;

		make((unsigned int)_i, seed);
		ck_assert_int_eq(repair_world_repair(&world), 0);
		region = bitmap_next_set(&world.log.plan.clear,
					 world_below(&world.log.seed, sizes[_i]));
		if (region >= sizes[_i])
			region = bitmap_next_set(&world.log.plan.clear, 0);
		repair_world_change(&world, (unsigned int)world_below(&world.log.seed, world.nr_legs),
				    region);
		ck_assert_int_eq(repair_world_undo(&world), 0);
		ck_assert_int_eq(world.answer, UNDO_POSSIBLE);
		ck_assert_uint_eq(world.nr_refused, 1);
		ck_assert_uint_eq(world.lowest_refused, region);
		ck_assert_uint_eq(world.nr_back, world.log.plan.nr_clear - 1);
		/* Once its bit is set by hand the log is as before. */
		at = MIRROR_LOG_BITS_OFFSET + region / 8;
		sim_disk_peek(world.log.disk, at, &byte, 1);
		ck_assert_int_eq(byte >> region % 8 & 1, 0);
		if (world.nr_back) {
			undo_is_refused("");
		} else {
			ck_assert_int_eq(repair_world_undo(&world), 0);
			ck_assert_uint_eq(world.nr_refused, 1);
		}
		byte |= (unsigned char)(1u << region % 8);
		sim_disk_poke(world.log.disk, at, &byte, 1);
		ck_assert(log_is_before());
		repair_world_free(&world);
	}
}
END_TEST

/* What an undo leaves that could put back a part is not called the kernel's work. */
START_TEST(part_is_back)
{
	make(1, 1);
	ck_assert_uint_gt(world.log.plan.nr_clear, 2);
	ck_assert_int_eq(repair_world_repair(&world), 0);
	repair_world_change(&world, 0, bitmap_next_set(&world.log.plan.clear, 0));
	ck_assert_int_eq(repair_world_undo(&world), 0);
	undo_is_refused("a part of the bits that the repair cleared (sector 2)");
}
END_TEST

static void break_leg(uint64_t region)
{
	sim_disk_fail(world.legs[0], &(struct sim_fault){
		.op = BLOCK_READ, .first = region * 8 + 3, .sectors = 1, .result = -EIO });
}

START_TEST(leg_missing_or_unreadable)
{
	uint64_t nr_clear, region;

	make(2, 5);
	nr_clear = world.log.plan.nr_clear;
	region = bitmap_next_set(&world.log.plan.clear, 100);
	ck_assert_uint_lt(region, sizes[2]);
	if (_i == 0)	/* missing at the repair */
		world.devices[1] = NULL;
	if (_i == 2)	/* unreadable at the repair */
		break_leg(region);
	ck_assert_int_eq(repair_world_repair(&world), 0);
	sim_disk_clear_faults(world.legs[0]);
	world.devices[1] = sim_disk_device(world.legs[1]);
	if (_i == 1)	/* … at the undo */
		world.devices[1] = NULL;
	if (_i == 3)
		break_leg(region);
	ck_assert_msg(!repair_world_undo(&world), "%s", world.err.text);
	ck_assert_int_eq(world.answer, UNDO_POSSIBLE);
	ck_assert_uint_eq(world.nr_refused, _i < 2 ? nr_clear : 1);
	ck_assert_uint_eq(world.nr_back, _i < 2 ? 0 : nr_clear - 1);
	ck_assert_uint_eq(world.lowest_refused, _i < 2 ? bitmap_next_set(&world.log.plan.clear, 0) :
			  region);
	ck_assert(_i >= 2 || log_world_is_edited(&world.log, world.log.disk));
	if (_i % 2 == 0)
		return;
	/* Not for ever: with its leg it comes back. */
	sim_disk_clear_faults(world.legs[0]);
	world.devices[1] = sim_disk_device(world.legs[1]);
	if (_i == 1)
		undo_completes(nr_clear);
}
END_TEST

/* ---- the log has changed ---- */

/* One bit anywhere, in sectors that the repair wrote and in all others. */
START_TEST(log_has_changed)
{
	make(4, 8 + (uint64_t)_i);
	ck_assert_int_eq(repair_world_repair(&world), 0);
	for (uint64_t sector = 0; sector < world.log.nr_bytes / SECTOR_BYTES; sector++) {
		uint64_t at = sector * SECTOR_BYTES + world_below(&world.log.seed, SECTOR_BYTES);
		unsigned char was, byte;
		bool planned;

		sim_disk_peek(world.log.disk, at, &was, 1);
		byte = was ^ (unsigned char)(1u << world_below(&world.log.seed, 8));
		/* A planned bit that is set and the only one of its sector is the sector
		 * as it was. */
		planned = memcmp(world.log.before + sector * SECTOR_BYTES,
				 world.log.edited + sector * SECTOR_BYTES, SECTOR_BYTES) != 0;
		if (planned && (byte & ~was & world.log.before[at] & ~world.log.edited[at]))
			continue;
		sim_disk_poke(world.log.disk, at, &byte, 1);
		undo_is_refused("the log has changed since the repair");
		sim_disk_poke(world.log.disk, at, &was, 1);
	}
	undo_completes(world.log.plan.nr_clear);
}
END_TEST

/* The kernel has read and written the log: the header alone tells. */
START_TEST(kernel_has_run)
{
	uint64_t nr_regions = UINT64_MAX;

	repair_world_make(&world, 500, 1, 2, 4, 9);
	memcpy(world.log.before + 8, &nr_regions, 8);	/* as LVM makes it */
	sim_disk_poke(world.log.disk, 8, &nr_regions, 8);
	mirror_log_decode(&world.log.log, world.log.before, world.log.nr_bytes, 500);
	log_world_plan(&world.log);
	ck_assert_int_eq(repair_world_repair(&world), 0);
	nr_regions = htole64(500);
	sim_disk_poke(world.log.disk, 8, &nr_regions, 8);
	undo_is_refused("outside of the sectors");
}
END_TEST

/* Sectors old and new, as a power cut mixes them. */
START_TEST(mixed_sectors)
{
	make(4, 20 + (uint64_t)_i);
	ck_assert_int_eq(repair_world_repair(&world), 0);
	for (unsigned int round = 0; round < world_rounds(20); round++) {
		uint64_t missing = 0;

		for (uint64_t at = 0; at < world.log.nr_bytes; at += SECTOR_BYTES) {
			bool old = world_below(&world.log.seed, 2);

			sim_disk_poke(world.log.disk, at, (old ? world.log.before :
				      world.log.edited) + at, SECTOR_BYTES);
			for (uint64_t i = at; i < at + SECTOR_BYTES && !old; i++)
				missing += (uint64_t)__builtin_popcount(world.log.before[i] ^
									world.log.edited[i]);
		}
		if (missing)
			undo_completes(missing);
		else
			undo_finds_nothing();
	}
}
END_TEST

START_TEST(another_size)
{
	struct journal_source source;
	struct undo_journal undo;
	struct region_geometry other;
	struct bitmap back, refused;
	enum undo_answer answer;
	uint64_t cut_at;
	void *before;

	make(2, 30);
	ck_assert_int_eq(repair_world_repair(&world), 0);
	source = memory_file_source(&world.journal);
	ck_assert_int_eq(undo_journal_read(&undo, &source, &cut_at, &world.err), 0);
	for (int more = -512; more <= 512; more += 1024) {
		ck_assert_int_eq(undo_examine(&answer, &before, &undo, world.log.edited,
					      world.log.nr_bytes + (uint64_t)more, &world.err), 0);
		ck_assert_int_eq(answer, UNDO_REFUSED);
		ck_assert_ptr_null(before);
		ck_assert_ptr_nonnull(strstr(world.err.text, "had"));
		world.err.kind = ERROR_NONE;
	}
	ck_assert_int_eq(region_geometry_init(&other, 8 * sizes[2] + 8, 8, NULL), 0);
	ck_assert_int_eq(undo_prove(&back, &refused, &undo, world.log.engine, world.devices,
				    world.nr_legs, &other, world.log.edited, NULL, NULL, &world.err),
			 -EINVAL);
	ck_assert_ptr_null(back.words);
	ck_assert_ptr_null(refused.words);
	undo_journal_free(&undo);
}
END_TEST

/* ---- outcomes: fewer were cleared than planned ---- */

/* Clears on the disk what `cleared` says, as a repair of a running mirror does. */
static void clear_some(const struct bitmap *cleared)
{
	for (uint64_t r = bitmap_next_set(cleared, 0); r < cleared->nr_bits;
	     r = bitmap_next_set(cleared, r + 1)) {
		uint64_t at = MIRROR_LOG_BITS_OFFSET + r / 8;
		unsigned char byte;

		sim_disk_peek(world.log.disk, at, &byte, 1);
		byte &= (unsigned char)~(1u << r % 8);
		sim_disk_poke(world.log.disk, at, &byte, 1);
	}
}

START_TEST(fewer_were_cleared)
{
	struct bitmap cleared;
	uint64_t nr = 0;
	unsigned char byte;

	make(4, 40 + (uint64_t)_i);
	ck_assert_int_eq(repair_world_record(&world, false), 0);
	ck_assert_int_eq(repair_world_commit(&world), 0);
	ck_assert_int_eq(bitmap_alloc(&cleared, sizes[4]), 0);
	for (uint64_t r = bitmap_next_set(&world.log.plan.clear, 0); r < sizes[4];
	     r = bitmap_next_set(&world.log.plan.clear, r + 1))
		if (_i && world_below(&world.log.seed, 2) && ++nr)
			bitmap_set(&cleared, r);
	clear_some(&cleared);
	if (nr) {	/* without the outcome this is neither old nor new */
		undo_is_refused("a part of the bits");
		repair_world_outcome(&world, &cleared);
		sim_disk_peek(world.log.disk, 1024 + 7, &byte, 1);
		byte ^= 1;
		sim_disk_poke(world.log.disk, 1024 + 7, &byte, 1);
		undo_is_refused("sector 2");
		byte ^= 1;
		sim_disk_poke(world.log.disk, 1024 + 7, &byte, 1);
		undo_completes(nr);
	} else {
		repair_world_outcome(&world, &cleared);
	}
	undo_finds_nothing();
	/* All planned bits cleared, but not by us. */
	clear_some(&world.log.plan.clear);
	undo_is_refused("sector");
	bitmap_free(&cleared);
}
END_TEST

/* ---- an error at every operation ---- */

struct striker {
	unsigned int nr, strike_at;	/* 0: never */
	enum block_op op;
	uint64_t log_writes_before;
};

static void strike(void *context, struct sim_disk *disk, enum block_op op,
		   uint64_t first, uint64_t sectors)
{
	struct striker *striker = context;
	struct sim_fault fault = { .op = op, .first = first, .sectors = sectors, .result = -EIO,
				   .times = 1 };

	ck_assert(op == BLOCK_READ || disk == world.log.disk);
	if (++striker->nr != striker->strike_at)
		return;
	striker->op = op;
	striker->log_writes_before = sim_disk_counters(world.log.disk)->writes;
	sim_disk_fail(disk, &fault);
}

static void make_small(int kind, uint64_t seed)
{
	repair_world_make(&world, 9000, kind % 2 ? 8 : 1, 2 + (unsigned int)kind % 3, 400, seed);
	ck_assert_uint_gt(world.log.plan.nr_clear, 3);
}

/* What an error may leave: of regions without a digest the bit stays, no other. */
static void expect_undone(void)
{
	uint64_t planned = 0;

	ck_assert_msg(!repair_world_undo(&world), "%s", world.err.text);
	ck_assert_int_ne(world.answer, UNDO_REFUSED);
	ck_assert_uint_le(world.nr_refused, world.recorded.unreadable_regions);
	for (uint64_t r = 0; r < 9000; r++) {
		unsigned char byte;

		sim_disk_peek(world.log.disk, MIRROR_LOG_BITS_OFFSET + r / 8, &byte, 1);
		planned += (byte ^ world.log.before[MIRROR_LOG_BITS_OFFSET + r / 8]) >> r % 8 & 1;
	}
	ck_assert_uint_eq(planned, world.nr_refused);
	ck_assert(world.nr_refused || log_is_before());
	ck_assert(log_world_is_between(&world.log, world.log.disk) || world.nr_refused);
}

/* The repair, with operation `at` failing. false: there are not so many. */
static bool strike_repair(unsigned int at, int kind)
{
	struct striker striker = { .strike_at = at };
	int r;

	make_small(kind, 7);
	repair_world_restart(&world, (uint64_t)kind);
	sim_engine_set_hook(world.log.engine, strike, &striker);
	r = repair_world_repair(&world);
	sim_engine_set_hook(world.log.engine, NULL, NULL);
	ck_assert(log_world_is_between(&world.log, world.log.disk));
	if (!sim_disk_counters(world.log.disk)->writes || world.log.step == REPAIR_NOT_BEGUN)
		ck_assert(log_is_before());
	if (r && striker.op == BLOCK_READ && !striker.log_writes_before)
		ck_assert_uint_eq(sim_disk_counters(world.log.disk)->writes, 0);
	if (!r)
		ck_assert(log_world_is_edited(&world.log, world.log.disk));
	ck_assert(!r || striker.nr >= at);
	expect_undone();
	repair_world_free(&world);
	return striker.nr >= at;
}

START_TEST(repair_error_everywhere)
{
	unsigned int at = 1;

	while (strike_repair(at, _i))
		at += world_rounds(2) < 2 ? 7 : 1;
	ck_assert_uint_gt(at, 8);
	make_small(0, 7);
}
END_TEST

/* The undo, with operation `at` failing; then it is done again. */
static bool strike_undo(unsigned int at, int kind)
{
	struct striker striker = { .strike_at = at };
	unsigned char *left;
	int r;

	make_small(kind, 7);
	ck_assert_int_eq(repair_world_repair(&world), 0);
	repair_world_restart(&world, (uint64_t)kind);
	sim_engine_set_hook(world.log.engine, strike, &striker);
	r = repair_world_undo(&world);
	sim_engine_set_hook(world.log.engine, NULL, NULL);
	if (r && world.undo_step == REPAIR_NOT_BEGUN)
		ck_assert(log_world_is_edited(&world.log, world.log.disk));
	left = malloc(world.log.nr_bytes);
	ck_assert_ptr_nonnull(left);
	sim_disk_peek(world.log.disk, 0, left, world.log.nr_bytes);
	for (uint64_t i = 0; i < world.log.nr_bytes; i++)	/* never more than before */
		if (left[i] & ~world.log.before[i])
			ck_abort_msg("byte %lu", i);
	free(left);
	/* A region that could not be read whole stays out of it for now. */
	if (r || !world.nr_refused) {
		ck_assert_int_eq(repair_world_undo(&world), 0);
		ck_assert_int_ne(world.answer, UNDO_REFUSED);
		ck_assert(log_is_before());
	}
	repair_world_free(&world);
	return striker.nr >= at;
}

START_TEST(undo_error_everywhere)
{
	unsigned int at = 1;

	while (strike_undo(at, _i))
		at += world_rounds(2) < 2 ? 7 : 1;
	ck_assert_uint_gt(at, 8);
	make_small(0, 7);
}
END_TEST

/* ---- the power goes after every write and flush ---- */

static void each_survivor(void (*check)(void))
{
	struct sim_disk *disk = world.log.disk;

	for (uint64_t seed = 0; seed < world_rounds(20); seed++) {
		world.log.disk = sim_disk_clone(disk);
		sim_disk_power_cut(world.log.disk, seed);
		check();
		sim_disk_destroy(world.log.disk);
	}
	world.log.disk = disk;
}

static void survivor_can_be_undone(void)
{
	ck_assert(log_world_is_between(&world.log, world.log.disk));
	ck_assert_int_eq(repair_world_undo(&world), 0);
	ck_assert_int_ne(world.answer, UNDO_REFUSED);
	ck_assert(log_is_before());
	undo_finds_nothing();
}

/* Cuts after `ops` writes and flushes of the repair, or of the undo. */
static bool cut_after(uint64_t ops, bool undoing, int kind)
{
	bool lost;
	int r;

	make_small(kind, 9);
	if (undoing) {
		ck_assert_int_eq(repair_world_repair(&world), 0);
		repair_world_restart(&world, ops);
	}
	sim_engine_power_off_after(world.log.engine, ops);
	r = undoing ? repair_world_undo(&world) : repair_world_repair(&world);
	lost = sim_engine_power_lost(world.log.engine);
	ck_assert_int_eq(r, lost ? -ENODEV : 0);
	ck_assert(!lost || ops || undoing || log_is_before());
	sim_engine_crash(world.log.engine);
	repair_world_restart(&world, ops);
	each_survivor(survivor_can_be_undone);
	repair_world_free(&world);
	return lost;
}

START_TEST(power_cut_everywhere)
{
	for (int undoing = 0; undoing < 2; undoing++) {
		uint64_t ops = 0;

		while (cut_after(ops, undoing, _i))
			ops++;
		ck_assert_uint_ge(ops, 2);
	}
	make_small(0, 9);
}
END_TEST

/* ---- who waits ---- */

static struct block_engine *volatile left_engine;
static struct sim_disk *volatile left_disk;

START_TEST(caller_ends_it)
{
	repair_world_make(&world, 3000, 1, 2, 2, 60);
	ck_assert_int_eq(repair_world_repair(&world), 0);
	world.stop_at_poll = 2;
	world.stop_with = -ECANCELED;
	ck_assert_int_eq(repair_world_undo(&world), -ECANCELED);
	ck_assert_int_eq(world.err.kind, ERROR_NONE);
	ck_assert(log_world_is_edited(&world.log, world.log.disk));
	sim_disk_hang(world.legs[0], true);
	ck_assert_int_eq(repair_world_undo(&world), -ETIMEDOUT);
	ck_assert_ptr_nonnull(strstr(world.err.text, "does not answer; nothing was changed"));
	left_engine = world.log.engine;
	left_disk = world.legs[0];
	world.log.engine = NULL;
	world.legs[0] = NULL;
}
END_TEST

Suite *undo_suite(void)
{
	Suite *suite = suite_create("undo");
	TCase *tests = tcase_create("chain");

	tcase_set_timeout(tests, 300);
	tcase_add_checked_fixture(tests, NULL, teardown);
	tcase_add_loop_test(tests, there_and_back, 0, 5);
	tcase_add_test(tests, committed_and_not_begun);
	tcase_add_loop_test(tests, leg_has_changed, 0, 5);
	tcase_add_test(tests, part_is_back);
	tcase_add_loop_test(tests, leg_missing_or_unreadable, 0, 4);
	tcase_add_loop_test(tests, log_has_changed, 0, 4);
	tcase_add_test(tests, kernel_has_run);
	tcase_add_loop_test(tests, mixed_sectors, 0, 2);
	tcase_add_test(tests, another_size);
	tcase_add_loop_test(tests, fewer_were_cleared, 0, 4);
	tcase_add_loop_test(tests, repair_error_everywhere, 0, 4);
	tcase_add_loop_test(tests, undo_error_everywhere, 0, 4);
	tcase_add_loop_test(tests, power_cut_everywhere, 0, 4);
	tcase_add_test(tests, caller_ends_it);
	suite_add_tcase(suite, tests);
	return suite;
}
