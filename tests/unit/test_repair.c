/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/repair.h"
#include "support/audit_world.h"
#include "support/log_world.h"
#include "unit/suites.h"

static const uint32_t block_sizes[] = { 1, 8 };
/* One bit, around words, around blocks of 512 and 4096, several blocks. */
static const uint64_t sizes[] = {
	1, 2, 63, 64, 65, 1000, 4095, 4096, 4097, 24575, 24576, 24577, 57344, 57345, 100003,
};
#define NR_SIZES (sizeof(sizes) / sizeof(sizes[0]))

static struct log_world world;

/* Everything is tried, but under valgrind one in n. */
static unsigned int stride(unsigned int n)
{
	return world_rounds(2) < 2 ? n : 1;
}

static void teardown(void)
{
	log_world_free(&world);
}

/* --- the plan, against a naive one --------------------------------------- */

static bool bit_of(const unsigned char *area, uint64_t region)
{
	return area[MIRROR_LOG_BITS_OFFSET + region / 8] >> region % 8 & 1;
}

/* Bit by bit, and every byte that holds none of them. */
static void check_edit(void)
{
	unsigned char *expected = malloc(world.nr_bytes);
	uint64_t nr_clear = 0, sectors = 0;

	memcpy(expected, world.before, world.nr_bytes);
	for (uint64_t r = 0; r < world.geometry.nr_regions; r++) {
		bool cleared = bit_of(world.before, r) && bitmap_test(&world.wanted, r);

		ck_assert(cleared == bitmap_test(&world.plan.clear, r));
		if (!cleared)
			continue;
		expected[MIRROR_LOG_BITS_OFFSET + r / 8] ^= 1u << r % 8;
		nr_clear++;
		sectors += region_sectors(&world.geometry, r);
	}
	ck_assert(!memcmp(expected, world.edited, world.nr_bytes));
	ck_assert_uint_eq(world.plan.nr_clear, nr_clear);
	ck_assert_uint_eq(world.plan.recopy_sectors, sectors);
	free(expected);
}

static void check_blocks(void)
{
	uint64_t bytes = world.block_sectors * SECTOR_BYTES;
	size_t nr = 0;

	ck_assert_uint_eq(world.plan.block_sectors, world.block_sectors);
	for (uint64_t at = 0; at < world.nr_bytes; at += bytes) {
		unsigned int bits = 0;

		for (uint64_t i = at; i < at + bytes; i++)
			bits += (unsigned int)__builtin_popcount(world.before[i] ^ world.edited[i]);
		if (!bits)
			continue;
		ck_assert_uint_lt(nr, world.plan.nr_blocks);
		ck_assert_uint_eq(world.plan.blocks[nr].sector, at / SECTOR_BYTES);
		ck_assert_uint_eq(world.plan.blocks[nr++].bits, bits);
	}
	ck_assert_uint_eq(world.plan.nr_blocks, nr);
}

START_TEST(plan_random)
{
	static const uint64_t density[] = { 1, 5, 5000 };

	for (size_t i = 0; i < NR_SIZES; i += stride(4)) {
		for (size_t j = 0; j < sizeof(density) / sizeof(density[0]); j++) {
			log_world_make(&world, sizes[i], block_sizes[_i], 1 + i * 10 + j);
			log_world_want(&world, density[j]);
			log_world_plan(&world);
			check_edit();
			check_blocks();
			log_world_free(&world);
		}
	}
	log_world_make(&world, 1, 1, 1);
}
END_TEST

START_TEST(plan_nothing)
{
	log_world_make(&world, 5000, block_sizes[_i], 7);
	ck_assert_uint_eq(world.plan.nr_clear, 0);
	ck_assert_uint_eq(world.plan.nr_blocks, 0);
	ck_assert_uint_eq(world.plan.recopy_sectors, 0);
	ck_assert(!world.plan.large);
	ck_assert_int_eq(log_world_apply(&world), 0);
	ck_assert_int_eq(world.step, REPAIR_NOT_BEGUN);
	ck_assert_uint_eq(sim_disk_counters(world.disk)->reads, 0);
	ck_assert_uint_eq(sim_disk_counters(world.disk)->writes, 0);
	ck_assert_uint_eq(sim_disk_counters(world.disk)->flushes, 0);
}
END_TEST

/* Bits that the kernel does not believe stay, whatever is wanted. */
START_TEST(plan_unbelieved)
{
	uint64_t half = htole64(500);

	log_world_make(&world, 1000, block_sizes[_i], 3);
	bitmap_set_run(&world.wanted, 0, 999);
	memcpy(world.before + 8, &half, 8);
	mirror_log_decode(&world.log, world.before, world.nr_bytes, 1000);
	log_world_plan(&world);
	ck_assert_uint_eq(world.plan.nr_clear, world.log.clean);
	ck_assert_uint_eq(bitmap_next_set(&world.plan.clear, 500), 1000);
	ck_assert(!memcmp(world.before + 1024 + 64, world.edited + 1024 + 64,
			  world.nr_bytes - 1024 - 64));

	world.before[0] ^= 1;	/* a foreign header */
	mirror_log_decode(&world.log, world.before, world.nr_bytes, 1000);
	log_world_plan(&world);
	ck_assert_uint_eq(world.plan.nr_clear, 0);
	ck_assert(!memcmp(world.before, world.edited, world.nr_bytes));
}
END_TEST

/* A set that is longer or shorter than the mirror, and a log cut short. */
START_TEST(plan_odd_sets)
{
	struct bitmap other;

	log_world_make(&world, 1000, 1, 4);
	ck_assert_int_eq(bitmap_alloc(&other, 2000), 0);
	bitmap_set_run(&other, 0, 1999);
	bitmap_free(&world.wanted);
	world.wanted = other;
	log_world_plan(&world);
	ck_assert_uint_eq(world.plan.nr_clear, world.log.clean);
	check_edit();

	bitmap_free(&world.wanted);
	ck_assert_int_eq(bitmap_alloc(&world.wanted, 77), 0);
	bitmap_set_run(&world.wanted, 0, 76);
	world.wanted.words[1] = UINT64_MAX;	/* behind the end: never looked at */
	log_world_plan(&world);
	ck_assert_uint_eq(bitmap_next_set(&world.plan.clear, 77), 1000);
	check_edit();

	bitmap_free(&world.wanted);
	ck_assert_int_eq(bitmap_alloc(&world.wanted, 1000), 0);
	bitmap_set_run(&world.wanted, 0, 999);
	mirror_log_decode(&world.log, world.before, 1024 + 16, 1000);
	log_world_plan(&world);
	ck_assert_uint_eq(bitmap_next_set(&world.plan.clear, 128), 1000);
	ck_assert(!memcmp(world.before + 1040, world.edited + 1040, world.nr_bytes - 1040));
}
END_TEST

static void plan_of_clean(uint64_t clean, uint64_t wanted, uint64_t region_size)
{
	uint64_t nr_regions = world.geometry.nr_regions;

	bitmap_clear_run(&world.log.clean_bits, 0, nr_regions - 1);
	bitmap_set_run(&world.log.clean_bits, 0, clean - 1);
	mirror_log_decode(&world.log, world.before, world.nr_bytes, nr_regions);
	ck_assert_uint_eq(world.log.clean, clean);
	bitmap_clear_run(&world.wanted, 0, nr_regions - 1);
	bitmap_set_run(&world.wanted, 0, wanted - 1);
	ck_assert_int_eq(region_geometry_init(&world.geometry, nr_regions * region_size,
					      region_size, NULL), 0);
	log_world_plan(&world);
}

START_TEST(plan_large)
{
	log_world_make(&world, 1000, 1, 5);
	plan_of_clean(1000, 100, 8);
	ck_assert(!world.plan.large);
	plan_of_clean(1000, 101, 8);
	ck_assert(world.plan.large);
	plan_of_clean(999, 100, 8);		/* a trifle */
	ck_assert(!world.plan.large);
	plan_of_clean(999, 101, 8);
	ck_assert(world.plan.large);
	plan_of_clean(999, 100, 1024);		/* 50 MiB … */
	ck_assert(!world.plan.large);
	plan_of_clean(999, 100, 2048);		/* … and 100 */
	ck_assert(world.plan.large);
	plan_of_clean(1000, 100, 2048);
	ck_assert(!world.plan.large);
	plan_of_clean(1000, 10, UINT64_C(1) << 21);	/* 10 GiB */
	ck_assert_uint_eq(world.plan.recopy_sectors, REPAIR_LARGE_SECTORS);
	ck_assert(!world.plan.large);
	plan_of_clean(1000, 11, UINT64_C(1) << 21);
	ck_assert(world.plan.large);
}
END_TEST

/* --- apply --------------------------------------------------------------- */

static uint64_t writes_done(void)
{
	return sim_disk_counters(world.disk)->writes;
}

START_TEST(apply_random)
{
	for (size_t i = 0; i < NR_SIZES; i += stride(3)) {
		log_world_make(&world, sizes[i], block_sizes[_i], 100 + i);
		log_world_want(&world, 1 + i * 20);
		bitmap_set(&world.wanted, 0);
		log_world_plan(&world);
		log_world_engine(&world, 1 + i % 5, 4096 << i % 3, i);
		ck_assert_msg(!log_world_apply(&world), "%s", world.err.text);
		ck_assert_int_eq(world.step, world.plan.nr_blocks ? REPAIR_VERIFIED :
				 REPAIR_NOT_BEGUN);
		ck_assert(log_world_is_edited(&world, world.disk));
		ck_assert_uint_eq(sim_disk_unflushed(world.disk), 0);
		/* Not one sector more than planned. */
		ck_assert_uint_eq(sim_disk_counters(world.disk)->written_bytes,
				  world.plan.nr_blocks * world.block_sectors * SECTOR_BYTES);

		/* Undone, and undone once more. */
		ck_assert_int_eq(log_world_undo(&world, world.disk), 0);
		ck_assert(log_world_is_before(&world, world.disk));
		ck_assert_uint_eq(sim_disk_unflushed(world.disk), 0);
		{
			uint64_t writes = writes_done();

			ck_assert_int_eq(log_world_undo(&world, world.disk), 0);
			ck_assert_int_eq(world.step, REPAIR_NOT_BEGUN);
			ck_assert_uint_eq(writes_done(), writes);
		}
		log_world_free(&world);
	}
	log_world_make(&world, 1, 1, 1);
}
END_TEST

static void make_scattered(uint32_t block_sectors, uint64_t nr_regions, uint64_t seed)
{
	log_world_make(&world, nr_regions, block_sectors, seed);
	log_world_want(&world, 2000);
	bitmap_set_run(&world.wanted, 0, 20);
	bitmap_set_run(&world.wanted, nr_regions - 20, nr_regions - 1);
	log_world_plan(&world);
	ck_assert_uint_gt(world.plan.nr_blocks, 1);
}

static void expect_untouched(int r, int expected)
{
	ck_assert_int_eq(r, expected);
	ck_assert_int_eq(world.step, REPAIR_NOT_BEGUN);
	ck_assert_int_eq(world.err.kind, ERROR_OPERATION);
	ck_assert_uint_eq(writes_done(), 0);
	ck_assert_uint_eq(sim_disk_counters(world.disk)->flushes, 0);
}

/* Any bit of any block of the plan, changed behind our back: nothing is written. */
START_TEST(apply_stale)
{
	make_scattered(block_sizes[_i], 60000, 11);
	for (size_t b = 0; b < world.plan.nr_blocks; b++) {
		uint64_t sector = world.plan.blocks[b].sector +
				  world_below(&world.seed, world.block_sectors);
		uint64_t at = sector * SECTOR_BYTES;
		unsigned char byte;
		char named[64];

		/* The first byte, the last, any. */
		at += b % 3 == 0 ? 0 : b % 3 == 1 ? SECTOR_BYTES - 1 :
		      world_below(&world.seed, SECTOR_BYTES);
		byte = world.before[at] ^ (1u << b % 8);
		log_world_engine(&world, 3, 4096, b);
		sim_disk_poke(world.disk, at, &byte, 1);
		expect_untouched(log_world_apply(&world), -ESTALE);
		snprintf(named, sizeof(named), "sector %llu ", (unsigned long long)sector);
		ck_assert_msg(strstr(world.err.text, named) != NULL, "%s", world.err.text);
		sim_disk_poke(world.disk, at, &world.before[at], 1);
	}
	ck_assert(log_world_is_before(&world, world.disk));
}
END_TEST

/* Of several failures the lowest sector is named, whatever order they come in. */
START_TEST(apply_names_lowest)
{
	unsigned char byte;
	char named[64];

	make_scattered(block_sizes[_i], 200000, 18);
	for (size_t b = 0; b < 2; b++) {
		uint64_t at = world.plan.blocks[b].sector * SECTOR_BYTES + 7;

		byte = ~world.before[at];
		sim_disk_poke(world.disk, at, &byte, 1);
	}
	snprintf(named, sizeof(named), "sector %llu ",
		 (unsigned long long)world.plan.blocks[0].sector);
	for (uint64_t seed = 0; seed < 20; seed++) {
		log_world_engine(&world, 4, 4096, seed);
		expect_untouched(log_world_apply(&world), -ESTALE);
		ck_assert_msg(strstr(world.err.text, named) != NULL, "%s", world.err.text);
	}
}
END_TEST

/* A disk that refuses one write is not asked for another. */
START_TEST(apply_stops)
{
	struct sim_fault fault = { .op = BLOCK_WRITE, .sectors = UINT64_C(1) << 40,
				   .result = -EIO, .times = 1 };

	make_scattered(block_sizes[_i], 200000, 19);
	log_world_engine(&world, 1, 4096, 0);
	sim_disk_fail(world.disk, &fault);
	ck_assert_int_eq(log_world_apply(&world), -EIO);
	ck_assert_int_eq(world.step, REPAIR_WRITING);
	ck_assert_uint_eq(writes_done(), 1);
	ck_assert_uint_eq(sim_disk_counters(world.disk)->flushes, 0);
}
END_TEST

/* Whoever hands in something else than the plan's result does not get it written. */
START_TEST(apply_only_the_plan)
{
	make_scattered(block_sizes[_i], 60000, 12);
	for (size_t b = 0; b < world.plan.nr_blocks; b++) {
		uint64_t at = world.plan.blocks[b].sector * SECTOR_BYTES +
			      world_below(&world.seed, world.block_sectors * SECTOR_BYTES);

		for (unsigned int bit = 0; bit < 8; bit++) {
			world.edited[at] ^= 1u << bit;
			expect_untouched(log_world_apply(&world), -EINVAL);
			world.edited[at] ^= 1u << bit;
		}
	}
	ck_assert(log_world_is_before(&world, world.disk));
}
END_TEST

START_TEST(apply_refused)
{
	struct block_device *device;

	make_scattered(block_sizes[_i], 60000, 13);
	device = sim_disk_device(world.disk);
	device->writable = false;
	expect_untouched(log_world_apply(&world), -EROFS);
	ck_assert_uint_eq(sim_disk_counters(world.disk)->reads, 0);
	device->writable = true;

	device->sectors = world.plan.blocks[world.plan.nr_blocks - 1].sector;
	expect_untouched(log_world_apply(&world), -ENOSPC);
	ck_assert_ptr_nonnull(strstr(world.err.text, "smaller than it was"));
	device->sectors = (world.nr_bytes + 8192) / SECTOR_BYTES;

	device->block_sectors = 16;
	expect_untouched(log_world_apply(&world), -EINVAL);
	ck_assert_ptr_nonnull(strstr(world.err.text, "has blocks of 16 sectors"));
	device->block_sectors = world.block_sectors;

	log_world_engine(&world, 0, 4096, 0);
	expect_untouched(log_world_apply(&world), -ENOMEM);
	ck_assert(log_world_is_before(&world, world.disk));
}
END_TEST

/* A device that shrank under its descriptor. */
START_TEST(apply_truncated)
{
	make_scattered(block_sizes[_i], 60000, 14);
	sim_disk_truncate(world.disk, world.plan.blocks[1].sector * SECTOR_BYTES);
	expect_untouched(log_world_apply(&world), -ENODATA);
	sim_disk_truncate(world.disk, world.nr_bytes + 8192);
	ck_assert(log_world_is_before(&world, world.disk));
}
END_TEST

/* A device that takes a write and keeps something else. */
static void forget_write(void *context, struct sim_disk *disk, enum block_op op,
			 uint64_t first, uint64_t sectors)
{
	struct log_world *of = context;

	(void)first;
	(void)sectors;
	if (op == BLOCK_FLUSH)
		sim_disk_poke(disk, of->plan.blocks[1].sector * SECTOR_BYTES,
			      of->before + of->plan.blocks[1].sector * SECTOR_BYTES, SECTOR_BYTES * of->block_sectors);
}

START_TEST(apply_read_back)
{
	char named[64];

	make_scattered(block_sizes[_i], 60000, 15);
	sim_engine_set_hook(world.engine, forget_write, &world);
	ck_assert_int_eq(log_world_apply(&world), -EIO);
	ck_assert_int_eq(world.step, REPAIR_WRITTEN);
	snprintf(named, sizeof(named), "sector %llu ",
		 (unsigned long long)world.plan.blocks[1].sector);
	ck_assert_msg(world.block_sectors > 1 || strstr(world.err.text, named), "%s",
		      world.err.text);
	ck_assert_ptr_nonnull(strstr(world.err.text, "does not hold what was written"));
	sim_engine_set_hook(world.engine, NULL, NULL);
	ck_assert_int_eq(log_world_undo(&world, world.disk), 0);
	ck_assert(log_world_is_before(&world, world.disk));
}
END_TEST

/* --- cancelled ----------------------------------------------------------- */

static bool impatient(void *context)
{
	unsigned int *asked = context;

	return asked && *asked ? (*asked)-- == 1 : true;
}

START_TEST(apply_cancelled)
{
	make_scattered(1, 60000, 16);
	world.engine->cancelled = impatient;
	expect_untouched(log_world_apply(&world), -ECANCELED);
	ck_assert(log_world_is_before(&world, world.disk));
}
END_TEST

static enum block_op hang_on;

static void hang_hook(void *context, struct sim_disk *disk, enum block_op op,
		      uint64_t first, uint64_t sectors)
{
	(void)context;
	(void)first;
	(void)sectors;
	if (op == hang_on)
		sim_disk_hang(disk, true);
}

/* A disk that hangs and a user who gives up: what is out stays valid memory. */
START_TEST(apply_hangs)
{
	/* Asked in front of the first write too, which is too early for that test. */
	unsigned int asked = _i ? 2 : 1;
	int r;

	make_scattered(1, 60000, 17);
	log_world_engine(&world, 2, 4096, 0);
	world.engine->cancelled = impatient;
	world.engine->cancelled_context = &asked;
	hang_on = _i ? BLOCK_WRITE : BLOCK_READ;
	sim_engine_set_hook(world.engine, hang_hook, NULL);
	r = log_world_apply(&world);
	if (_i) {
		ck_assert_int_eq(r, -ECANCELED);
		ck_assert_int_eq(world.step, REPAIR_WRITING);
	} else {
		expect_untouched(r, -ECANCELED);
	}
	ck_assert_uint_gt(world.engine->in_flight, 0);
	sim_engine_set_hook(world.engine, NULL, NULL);
	sim_disk_hang(world.disk, false);
	ck_assert_int_eq(block_drain(world.engine, -1), 0);
	ck_assert(log_world_is_between(&world, world.disk));
}
END_TEST

/* --- an error at every operation ----------------------------------------- */

struct striker {
	unsigned int nr, strike_at;	/* 0: never */
	enum block_op op;		/* of the one that was struck */
	unsigned int writes_before;
	int result;
};

static void strike(void *context, struct sim_disk *disk, enum block_op op,
		   uint64_t first, uint64_t sectors)
{
	struct striker *striker = context;
	struct sim_fault fault = { .op = op, .first = first, .sectors = sectors,
				   .result = striker->result, .times = 1 };

	if (++striker->nr == striker->strike_at) {
		striker->op = op;
		sim_disk_fail(disk, &fault);
	} else if (op == BLOCK_WRITE && (!striker->strike_at || striker->nr < striker->strike_at)) {
		striker->writes_before++;
	}
}

/* All operations of one apply in turn. */
static unsigned int strike_all(uint32_t block_sectors, uint64_t nr_regions, uint64_t seed)
{
	unsigned int nr = 0, at;

	for (at = 1; ; at += stride(9)) {
		struct striker striker = { .strike_at = at, .result = -EIO };
		int r;

		make_scattered(block_sectors, nr_regions, 21);
		log_world_engine(&world, 3, 4096, seed);
		sim_engine_set_hook(world.engine, strike, &striker);
		r = log_world_apply(&world);
		sim_engine_set_hook(world.engine, NULL, NULL);
		nr = striker.nr;
		if (nr < at) {
			ck_assert_int_eq(r, 0);
			ck_assert(log_world_is_edited(&world, world.disk));
			log_world_free(&world);
			return nr;
		}
		ck_assert_int_eq(r, -EIO);
		ck_assert_int_eq(world.err.kind, ERROR_OPERATION);
		ck_assert_ptr_nonnull(strstr(world.err.text, "sector "));
		ck_assert(log_world_is_between(&world, world.disk));
		if (striker.op == BLOCK_READ && !striker.writes_before) {
			ck_assert_int_eq(world.step, REPAIR_NOT_BEGUN);
			ck_assert(log_world_is_before(&world, world.disk));
			ck_assert_uint_eq(writes_done(), 0);
			ck_assert_ptr_nonnull(strstr(world.err.text, "nothing was written"));
		} else if (striker.op == BLOCK_READ) {
			ck_assert_int_eq(world.step, REPAIR_WRITTEN);
			ck_assert(log_world_is_edited(&world, world.disk));
		} else {
			ck_assert_int_eq(world.step, REPAIR_WRITING);
		}
		/* Undo, whatever happened; then the repair can begin afresh. */
		ck_assert_int_eq(log_world_undo(&world, world.disk), 0);
		ck_assert(log_world_is_before(&world, world.disk));
		ck_assert_int_eq(log_world_apply(&world), 0);
		ck_assert(log_world_is_edited(&world, world.disk));
		log_world_free(&world);
	}
}

START_TEST(apply_error_everywhere)
{
	for (uint64_t seed = 0; seed < 3; seed += stride(3))
		ck_assert_uint_gt(strike_all(block_sizes[_i], 90000, seed), 6);
	log_world_make(&world, 1, 1, 1);
}
END_TEST

/* Refused at submission: the first write never reaches the disk. */
START_TEST(apply_refused_by_disk)
{
	struct sim_fault fault = { .op = BLOCK_WRITE, .sectors = UINT64_C(1) << 40,
				   .result = -EIO, .at_submission = true };

	make_scattered(block_sizes[_i], 60000, 22);
	sim_disk_fail(world.disk, &fault);
	ck_assert_int_eq(log_world_apply(&world), -EIO);
	ck_assert_uint_eq(sim_disk_counters(world.disk)->flushes, 0);
	ck_assert(log_world_is_before(&world, world.disk));
}
END_TEST

/* --- undo ---------------------------------------------------------------- */

START_TEST(undo_allowed)
{
	uint64_t differs = 0, nr_sectors;
	unsigned char *now;

	make_scattered(block_sizes[_i], 60000, 31);
	nr_sectors = world.nr_bytes / SECTOR_BYTES;
	now = malloc(world.nr_bytes);
	for (unsigned int round = 0; round < world_rounds(200); round++) {
		uint64_t at = world_below(&world.seed, world.nr_bytes);
		bool allowed;

		for (uint64_t s = 0; s < nr_sectors; s++)
			memcpy(now + s * SECTOR_BYTES, (world_below(&world.seed, 2) ?
			       world.before : world.edited) + s * SECTOR_BYTES, SECTOR_BYTES);
		ck_assert(repair_undo_allowed(now, world.before, world.edited, world.nr_bytes,
					      &differs));
		now[at] ^= 1u << world_below(&world.seed, 8);
		at /= SECTOR_BYTES;
		allowed = !memcmp(now + at * SECTOR_BYTES, world.before + at * SECTOR_BYTES, 512) ||
			  !memcmp(now + at * SECTOR_BYTES, world.edited + at * SECTOR_BYTES, 512);
		differs = UINT64_MAX;
		ck_assert(repair_undo_allowed(now, world.before, world.edited, world.nr_bytes,
					      &differs) == allowed);
		ck_assert(allowed || differs == at);
	}
	/* The kernel has run: it zeroed the bits behind the last region. */
	memcpy(now, world.edited, world.nr_bytes);
	sim_disk_poke(world.disk, 0, now, world.nr_bytes);
	now[world.nr_bytes - 1] ^= 0xff;
	sim_disk_poke(world.disk, world.nr_bytes - 1, now + world.nr_bytes - 1, 1);
	ck_assert_int_eq(log_world_undo(&world, world.disk), -EPERM);
	ck_assert(repair_undo_allowed(now, NULL, NULL, 0, &differs));
	free(now);
}
END_TEST

/* A mix within one sector is neither a power cut nor ours. */
START_TEST(undo_mixed_sector)
{
	uint64_t differs;

	log_world_make(&world, 4096, 1, 32);
	bitmap_set_run(&world.wanted, 0, 4095);
	log_world_plan(&world);
	memcpy(world.edited + 1024 + 100, world.before + 1024 + 100, 100);
	ck_assert(memcmp(world.edited + 1024 + 100, world.before + 1024, 100) != 0);
	{
		unsigned char *after = malloc(world.nr_bytes);

		memcpy(after, world.before, world.nr_bytes);
		repair_plan_edit(&world.plan, after);
		ck_assert(!repair_undo_allowed(world.edited, world.before, after, world.nr_bytes,
					       &differs));
		ck_assert_uint_eq(differs, 2);
		free(after);
	}
}
END_TEST

START_TEST(undo_bit_by_bit)
{
	unsigned char *area;
	struct bitmap back;

	make_scattered(block_sizes[_i], 60000, 33);
	ck_assert_int_eq(bitmap_alloc(&back, world.geometry.nr_regions), 0);
	area = aligned_alloc(4096, (world.nr_bytes + 4095) / 4096 * 4096);
	memcpy(area, world.edited, world.nr_bytes);
	repair_undo_edit(area, world.before, world.nr_bytes, &back);
	ck_assert(!memcmp(area, world.edited, world.nr_bytes));
	/* Half of the cleared ones, and some that were never clear. */
	for (uint64_t r = 0; r < back.nr_bits; r += 2)
		bitmap_set(&back, r);
	repair_undo_edit(area, world.before, world.nr_bytes, &back);
	for (uint64_t r = 0; r < back.nr_bits; r++)
		ck_assert(bit_of(area, r) == bit_of(r % 2 ? world.edited : world.before, r));
	ck_assert(!memcmp(area, world.before, 1024));
	bitmap_set_run(&back, 0, back.nr_bits - 1);
	repair_undo_edit(area, world.before, world.nr_bytes, &back);
	ck_assert(!memcmp(area, world.before, world.nr_bytes));

	/* An area that is shorter than the set is not left. */
	memcpy(area, world.edited, world.nr_bytes);
	repair_undo_edit(area, world.before, 1024 + 8, &back);
	ck_assert(!memcmp(area, world.before, 1024 + 8));
	ck_assert(!memcmp(area + 1032, world.edited + 1032, world.nr_bytes - 1032));
	free(area);
	bitmap_free(&back);
}
END_TEST

START_TEST(undo_refused)
{
	struct error err = { .kind = ERROR_NONE };
	enum repair_step step = REPAIR_WRITTEN;

	make_scattered(8, 60000, 34);
	ck_assert_int_eq(repair_undo_apply(world.engine, sim_disk_device(world.disk),
					   world.edited, world.before, world.nr_bytes - 512,
					   &step, &err), -EINVAL);
	ck_assert_int_eq(step, REPAIR_NOT_BEGUN);
	err.kind = ERROR_NONE;
	/* The disk still is as before, so not what the undo started from. */
	ck_assert_int_eq(repair_undo_apply(world.engine, sim_disk_device(world.disk),
					   world.edited, world.before, world.nr_bytes,
					   &step, &err), -ESTALE);
	ck_assert_int_eq(step, REPAIR_NOT_BEGUN);
	ck_assert_uint_eq(writes_done(), 0);
}
END_TEST

Suite *repair_suite(void)
{
	Suite *suite = suite_create("repair");
	TCase *tests = tcase_create("repair");

	tcase_set_timeout(tests, 120);
	tcase_add_checked_fixture(tests, NULL, teardown);
	tcase_add_loop_test(tests, plan_random, 0, 2);
	tcase_add_loop_test(tests, plan_nothing, 0, 2);
	tcase_add_loop_test(tests, plan_unbelieved, 0, 2);
	tcase_add_test(tests, plan_odd_sets);
	tcase_add_test(tests, plan_large);
	tcase_add_loop_test(tests, apply_random, 0, 2);
	tcase_add_loop_test(tests, apply_stale, 0, 2);
	tcase_add_loop_test(tests, apply_names_lowest, 0, 2);
	tcase_add_loop_test(tests, apply_stops, 0, 2);
	tcase_add_loop_test(tests, apply_only_the_plan, 0, 2);
	tcase_add_loop_test(tests, apply_refused, 0, 2);
	tcase_add_loop_test(tests, apply_truncated, 0, 2);
	tcase_add_loop_test(tests, apply_read_back, 0, 2);
	tcase_add_test(tests, apply_cancelled);
	tcase_add_loop_test(tests, apply_hangs, 0, 2);
	tcase_add_loop_test(tests, apply_error_everywhere, 0, 2);
	tcase_add_loop_test(tests, apply_refused_by_disk, 0, 2);
	tcase_add_loop_test(tests, undo_allowed, 0, 2);
	tcase_add_test(tests, undo_mixed_sector);
	tcase_add_loop_test(tests, undo_bit_by_bit, 0, 2);
	tcase_add_test(tests, undo_refused);
	suite_add_tcase(suite, tests);
	return suite;
}
