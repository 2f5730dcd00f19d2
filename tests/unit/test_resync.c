/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "support/audit_world.h"
#include "support/resync_world.h"
#include "unit/suites.h"

static struct resync_world world;

static void teardown(void)
{
	resync_world_free(&world);
}

/* Ten regions of 16 sectors, the last one of 5; buffers of 16 sectors. */
#define NR 10u
#define SIZE 16u

static void make(unsigned int nr_legs, uint32_t block)
{
	resync_world_make(&world, nr_legs, (NR - 1) * SIZE + (block > 1 ? 8 : 5), SIZE, block);
	for (uint64_t sector = 0; sector < world.geometry.length; sector++)
		for (unsigned int leg = 0; leg < nr_legs; leg++)
			resync_world_fill(&world, leg, sector, 1, (unsigned char)(sector + 1));
}

static void set_all_bits(void)
{
	for (uint64_t region = 0; region < world.geometry.nr_regions; region++)
		resync_world_bit(&world, region, true);
}

/* One sector of a leg is not as the others. */
static void differ(unsigned int leg, uint64_t sector)
{
	resync_world_fill(&world, leg, sector, 1, (unsigned char)(sector + 101 + leg));
}

static void run(void)
{
	resync_world_remember(&world);
	resync_world_run(&world);
	ck_assert_int_eq(world.ret, 0);
}

/* The log as it is on stable storage. */
static bool is_clean(uint64_t region)
{
	unsigned char log[RESYNC_WORLD_LOG_BYTES];

	sim_disk_peek_durable(world.log, 0, log, sizeof(log));
	return resync_world_clean(&world, log, region);
}

static unsigned int nr_clean(void)
{
	unsigned int nr = 0;

	for (uint64_t region = 0; region < world.geometry.nr_regions; region++)
		nr += is_clean(region);
	return nr;
}

static unsigned char byte_of(unsigned int leg, uint64_t sector)
{
	unsigned char byte;

	sim_disk_peek_durable(world.legs[leg], sector * SECTOR_BYTES, &byte, 1);
	return byte;
}

static void ends_well(void)
{
	const char *wrong = resync_world_judge_end(&world);

	ck_assert_msg(!wrong, "%s", wrong);
}

static void fail_leg(unsigned int leg, enum block_op op, uint64_t first, uint64_t sectors,
		     unsigned int times)
{
	sim_disk_fail(world.legs[leg], &(struct sim_fault){
		.op = op, .first = first, .sectors = sectors, .result = -EIO, .times = times });
}

/* --- what is done -------------------------------------------------------- */

START_TEST(nothing_to_do_writes_nothing)
{
	static const enum resync_world_header kinds[] = {
		WORLD_HEADER_GOOD, WORLD_HEADER_ONES, WORLD_HEADER_MORE, WORLD_HEADER_WRAP,
		WORLD_HEADER_VERSION_1 };

	make(2, 1);
	set_all_bits();
	resync_world_header(&world, kinds[_i / 2]);
	world.options.verify = _i & 1;
	differ(1, world.geometry.length);	/* not the mirror's */
	run();
	ck_assert_uint_eq(resync_world_writes(&world), 0);
	ck_assert_int_eq(world.result.end, RESYNC_COMPLETE);
	ck_assert_uint_eq(world.result.regions_work, 0);
	ck_assert_uint_eq(world.result.regions_verified, _i & 1 ? NR : 0);
	ck_assert_uint_eq(world.result.read_bytes[0],
			  _i & 1 ? world.geometry.length * SECTOR_BYTES : 0);
}
END_TEST

START_TEST(writes_only_what_differs)
{
	uint32_t block = _i ? 8 : 1;

	make(3, block);
	resync_world_bit(&world, 4, true);
	differ(1, 3);
	differ(1, 5);
	differ(2, 2 * SIZE);
	differ(2, 4 * SIZE + 1);	/* lies, and nobody asked */
	run();
	ck_assert_uint_eq(world.result.regions_work, NR - 1);
	ck_assert_uint_eq(world.result.regions_copied, 2);
	ck_assert_uint_eq(world.result.regions_equal, NR - 3);
	ck_assert_uint_eq(world.result.written_bytes[0], 0);
	ck_assert_uint_eq(world.result.written_bytes[1], (_i ? 8 : 2) * SECTOR_BYTES);
	ck_assert_uint_eq(world.result.written_bytes[2], block * SECTOR_BYTES);
	ck_assert_uint_eq(world.result.equal_bytes[1] +
			  world.result.equal_bytes[2], 2 * (world.geometry.length - SIZE) *
			  SECTOR_BYTES - world.result.written_bytes[1] -
			  world.result.written_bytes[2]);
	ck_assert_uint_eq(sim_disk_counters(world.legs[0])->writes, 0);
	ck_assert_uint_eq(nr_clean(), NR);
	ck_assert_uint_eq(byte_of(2, 4 * SIZE + 1), (unsigned char)(4 * SIZE + 1 + 103));
	ends_well();
}
END_TEST

START_TEST(copy_all_writes_all)
{
	make(2, _i ? 8 : 1);
	resync_world_bit(&world, 0, true);
	world.options.copy_all = true;
	run();
	ck_assert_uint_eq(world.result.written_bytes[1],
			  (world.geometry.length - SIZE) * SECTOR_BYTES);
	ck_assert_uint_eq(world.result.regions_copied, NR - 1);
	ck_assert_uint_eq(world.result.equal_bytes[1], 0);
	ends_well();
}
END_TEST

/* The mirror ends within the last block of the leg with the larger ones. */
START_TEST(what_lies_behind_stays)
{
	resync_world_make(&world, 2, (NR - 1) * SIZE + 5, SIZE, 8);
	for (uint64_t sector = 0; sector < NR * SIZE; sector++)
		resync_world_fill(&world, 1, sector, 1, 7);
	world.options.readback = _i;
	run();
	ck_assert_uint_eq(byte_of(1, world.geometry.length - 1), 0);
	ck_assert_uint_eq(byte_of(1, world.geometry.length), 7);
	ends_well();
}
END_TEST

START_TEST(another_source)
{
	make(3, 1);
	resync_plan_init(&world.plan, 2);
	differ(0, 1);
	differ(1, 2);
	run();
	ck_assert_uint_eq(byte_of(0, 1), byte_of(2, 1));
	ck_assert_uint_eq(byte_of(1, 2), 3);
	ck_assert_uint_eq(world.result.written_bytes[2], 0);
	ends_well();
}
END_TEST

START_TEST(plan_with_sources_and_skips)
{
	make(2, 1);
	world.runs[0] = (struct resync_plan_run){ 2, 3, 1 };
	world.runs[1] = (struct resync_plan_run){ 5, 6, RESYNC_SKIP };
	world.plan.runs = world.runs;
	world.plan.nr_runs = 2;
	resync_world_bit(&world, 6, true);
	for (uint64_t region = 0; region < NR; region++)
		differ(1, region * SIZE + 1);
	world.options.verify = true;
	run();
	ck_assert_uint_eq(byte_of(0, 2 * SIZE + 1), 2 * SIZE + 1 + 102);
	ck_assert_uint_eq(byte_of(1, 4 * SIZE + 1), 4 * SIZE + 2);
	ck_assert_uint_eq(byte_of(1, 5 * SIZE + 1), (unsigned char)(5 * SIZE + 1 + 102));
	ck_assert(!is_clean(5));
	ck_assert(is_clean(6));
	ck_assert_uint_eq(world.result.regions_skipped, 1);
	ck_assert_uint_eq(world.result.regions_copied, NR - 2);
	ck_assert_uint_eq(world.result.regions_lied, 0);
}
END_TEST

START_TEST(holes_are_not_read)
{
	resync_world_make(&world, 2, 64 * SIZE, SIZE, 1);
	resync_world_fill(&world, 0, 20 * SIZE, 1, 9);
	run();
	ck_assert_uint_eq(world.result.regions_equal, 63);
	ck_assert_uint_eq(world.result.regions_copied, 1);
	ck_assert_uint_eq(world.result.read_bytes[0], SIZE * SECTOR_BYTES);
	ends_well();
}
END_TEST

/* Bits in several blocks of the log; a region is smaller than a buffer. */
START_TEST(many_regions)
{
	resync_world_make(&world, 2, _i ? 80000 : 20000, _i ? 8 : 2, _i ? 8 : 1);
	resync_world_header(&world, WORLD_HEADER_FOREIGN);
	set_all_bits();
	for (uint64_t sector = 0; sector < 20000; sector += 777)
		resync_world_fill(&world, 0, sector, 1, 5);
	run();
	ck_assert_uint_eq(nr_clean(), 10000);
	ck_assert_uint_eq(world.result.log_writes, 3);
	ck_assert_uint_eq(world.result.regions_copied, 26);
	ends_well();
}
END_TEST

/* --- the log ------------------------------------------------------------- */

START_TEST(headers)
{
	enum resync_world_header kind = (enum resync_world_header)_i;
	bool good = kind < WORLD_HEADER_SHORT;
	unsigned char before[16], now[16];
	uint64_t count;

	make(2, 1);
	resync_world_bit(&world, 1, true);
	resync_world_bit(&world, 8, true);
	resync_world_header(&world, kind);
	differ(1, 8 * SIZE);
	sim_disk_peek(world.log, 0, before, sizeof(before));
	run();
	sim_disk_peek_durable(world.log, 0, now, sizeof(now));
	memcpy(&count, now + 8, 8);
	ck_assert_int_eq(world.result.header_made_good, !good);
	if (good)
		ck_assert_mem_eq(before, now, sizeof(now));
	else
		ck_assert_mem_eq(now, "\x72\x52\x69\x4d\x02\0\0\0\x0a\0\0\0\0\0\0\0", 16);
	ck_assert_uint_eq(nr_clean(), NR);
	/* Effective: it lies on. Not effective: it was copied. */
	ck_assert_int_eq(byte_of(1, 8 * SIZE) == byte_of(0, 8 * SIZE),
			 !good && kind != WORLD_HEADER_SHORT_WRAP);
}
END_TEST

START_TEST(batches_by_count)
{
	make(2, 1);
	world.nr_buffers = 2;		/* one region after the other */
	world.options.batch_regions = (uint64_t)_i;
	run();
	ck_assert_uint_eq(world.result.log_writes, (NR + (unsigned int)_i - 1) / (unsigned int)_i);
	ends_well();
}
END_TEST

START_TEST(batches_by_time)
{
	make(2, 1);
	world.nr_buffers = 2;
	world.options.batch_ms = 10;
	world.tick_ns = _i ? 10000000 : 1000;
	run();
	ck_assert_uint_eq(world.result.log_writes, _i ? NR : 1);
	ends_well();
}
END_TEST

/* --- lies ---------------------------------------------------------------- */

static unsigned int leg_writes;

/* No leg is written to where the log on stable storage still says clean. */
static void bit_is_zero_first(void *context, struct sim_disk *disk, enum block_op op,
			      uint64_t first, uint64_t sectors)
{
	(void)context;
	if (op != BLOCK_WRITE || disk == world.log)
		return;
	leg_writes++;
	for (uint64_t sector = first; sector < first + sectors; sector++)
		ck_assert(!is_clean(sector / SIZE));
}

START_TEST(lies_are_cleared_first)
{
	make(3, 1);
	set_all_bits();
	resync_world_bit(&world, 7, false);
	differ(1, 2 * SIZE + 3);
	differ(2, 3 * SIZE);
	differ(1, 7 * SIZE);
	world.buffer_bytes = _i & 1 ? 4096 : 16384;
	world.options.verify = true;
	world.options.batch_regions = _i & 2 ? 1 : 0;
	world.hook = bit_is_zero_first;
	leg_writes = 0;
	run();
	ck_assert_uint_eq(leg_writes, 3);
	ck_assert_uint_eq(world.result.regions_lied, 2);
	ck_assert_uint_eq(world.result.regions_work, 3);
	ck_assert_uint_eq(world.result.regions_copied, 3);
	ck_assert_uint_eq(world.result.regions_verified, NR - 3);
	ends_well();
}
END_TEST

static void stop_at_last_region(struct resync_world *told)
{
	if (sim_disk_counters(told->legs[0])->reads > 5)
		told->stop_at_poll = told->polls;
}

/* With copy_all clean regions are written to as well, and clean again in the end. */
START_TEST(clean_regions_are_opened_first)
{
	make(2, 1);
	set_all_bits();
	resync_world_bit(&world, 7, false);
	differ(1, 2 * SIZE + 3);
	world.buffer_bytes = _i & 1 ? 4096 : 16384;
	world.options.verify = world.options.copy_all = true;
	world.options.batch_regions = _i & 2 ? 1 : 0;
	world.hook = bit_is_zero_first;
	leg_writes = 0;
	run();
	ck_assert_uint_eq(world.result.written_bytes[1], world.geometry.length * SECTOR_BYTES);
	ck_assert_uint_eq(world.result.rewritten_bytes[1],
			  (world.geometry.length - 1) * SECTOR_BYTES);
	ck_assert_uint_eq(world.result.equal_bytes[1], 0);
	ck_assert_uint_eq(world.result.regions_copied, NR);
	ck_assert_uint_eq(world.result.regions_rewritten, NR - 1);
	ck_assert_uint_eq(world.result.regions_verified, NR - 2);
	ck_assert_uint_eq(world.result.regions_lied, 1);
	ck_assert_uint_eq(world.result.bits_cleared, NR - 1);
	ck_assert_uint_eq(nr_clean(), NR);
	ends_well();
}
END_TEST

/* It could not be closed again, and the bit says no more than it did. */
START_TEST(what_cannot_be_read_is_not_opened)
{
	make(2, 1);
	set_all_bits();
	fail_leg((unsigned int)_i, BLOCK_READ, 3 * SIZE + 2, 1, 0);
	world.options.verify = world.options.copy_all = true;
	world.hook = bit_is_zero_first;
	run();
	ck_assert_uint_eq(world.result.regions_unverified, 1);
	ck_assert_uint_eq(world.result.regions_copied, NR - 1);
	ck_assert_uint_eq(nr_clean(), NR);
}
END_TEST

/* Who stops a run does not want bits cleared of what is equal. */
START_TEST(stopped_openings_are_spared)
{
	make(2, 1);
	set_all_bits();
	world.options.verify = world.options.copy_all = true;
	world.on_poll = stop_at_last_region;
	run();
	ck_assert_int_eq(world.result.end, RESYNC_STOPPED);
	ck_assert_uint_eq(resync_world_writes(&world), 0);
	ck_assert_uint_eq(nr_clean(), NR);
}
END_TEST

/* Stopped: the bits of lies that were found are 0 all the same. */
START_TEST(stopped_lies_are_cleared)
{
	make(2, 1);
	set_all_bits();
	differ(1, 0);
	world.options.verify = true;
	world.on_poll = stop_at_last_region;
	run();
	ck_assert_int_eq(world.result.end, RESYNC_STOPPED);
	ck_assert(!is_clean(0));
	ck_assert_uint_eq(nr_clean(), NR - 1);
}
END_TEST

START_TEST(clean_and_unreadable_is_left)
{
	make(2, 1);
	set_all_bits();
	fail_leg((unsigned int)_i, BLOCK_READ, 3 * SIZE + 2, 1, 0);
	world.options.verify = true;
	run();
	ck_assert_uint_eq(world.result.regions_unverified, 1);
	ck_assert_uint_eq(world.result.regions_verified, NR - 1);
	ck_assert_uint_eq(resync_world_writes(&world), 0);
	ck_assert_uint_eq(world.result.unreadable.nr, 1);
	ck_assert_uint_eq(world.result.unreadable.runs[0].leg, (unsigned int)_i);
}
END_TEST

/* --- what cannot be read ------------------------------------------------- */

START_TEST(unreadable_source)
{
	const struct sector_run *run0;

	make(2, 1);
	world.buffer_bytes = _i ? 4096 : 8192;	/* a piece of a region, a region */
	fail_leg(0, BLOCK_READ, 3 * SIZE + 6, 4, 0);
	for (uint64_t sector = 3 * SIZE; sector < 5 * SIZE; sector++)
		differ(1, sector);
	run();
	ck_assert_int_eq(world.result.end, RESYNC_COMPLETE);
	ck_assert_uint_eq(world.result.regions_failed, 1);
	ck_assert_uint_eq(nr_clean(), NR - 1);
	ck_assert(!is_clean(3));
	ck_assert_uint_eq(world.result.unreadable.nr, 1);
	run0 = &world.result.unreadable.runs[0];
	ck_assert_uint_eq(run0->leg, 0);
	ck_assert_uint_eq(run0->start, 3 * SIZE + 6);
	ck_assert_uint_eq(run0->sectors, 4);
	ck_assert_int_eq(run0->error, EIO);
	/* The rest of the region was copied, these were left. */
	ck_assert_uint_eq(byte_of(1, 3 * SIZE + 5), 3 * SIZE + 6);
	ck_assert_uint_eq(byte_of(1, 3 * SIZE + 6), (unsigned char)(3 * SIZE + 6 + 102));
	ck_assert_uint_eq(byte_of(1, 3 * SIZE + 10), 3 * SIZE + 11);
}
END_TEST

/* A disk that can read a sector again once it was written. */
static void heals(void *context, struct sim_disk *disk, enum block_op op, uint64_t first,
		  uint64_t sectors)
{
	(void)context;
	(void)first;
	(void)sectors;
	if (op == BLOCK_WRITE && disk == world.legs[1])
		sim_disk_clear_faults(disk);
}

START_TEST(unreadable_target_is_written)
{
	make(2, 1);
	fail_leg(1, BLOCK_READ, 3 * SIZE + 6, 2, 0);
	world.hook = _i ? heals : NULL;
	run();
	ck_assert_uint_eq(world.result.written_bytes[1], 2 * SECTOR_BYTES);
	ck_assert_uint_eq(world.result.regions_failed, _i ? 0 : 1);
	ck_assert_uint_eq(world.result.healed_sectors[1], _i ? 2 : 0);
	ck_assert_uint_eq(world.result.unreadable.nr, _i ? 0 : 1);
	ck_assert_int_eq(is_clean(3), _i);
	ck_assert_uint_eq(nr_clean(), _i ? NR : NR - 1);
	if (!_i)
		ck_assert_uint_eq(world.result.unreadable.runs[0].start, 3 * SIZE + 6);
}
END_TEST

/* What is read back is not what was written. */
static void forgets(void *context, struct sim_disk *disk, enum block_op op, uint64_t first,
		    uint64_t sectors)
{
	(void)context;
	(void)sectors;
	if (op == BLOCK_READ && disk == world.legs[1] &&
	    sim_disk_counters(disk)->writes && first / SIZE == 4)
		resync_world_fill(&world, 1, 4 * SIZE, 1, 0xee);
}

START_TEST(readback_is_compared)
{
	make(2, 1);
	differ(1, 4 * SIZE);
	world.nr_buffers = 2;
	world.options.readback = true;
	world.hook = _i ? forgets : NULL;
	run();
	ck_assert_uint_eq(world.result.regions_failed, _i ? 1 : 0);
	ck_assert_int_eq(is_clean(4), !_i);
	ck_assert_uint_eq(nr_clean(), _i ? NR - 1 : NR);
	ck_assert_uint_eq(world.result.read_bytes[1],
			  (world.geometry.length + SIZE) * SECTOR_BYTES);
}
END_TEST

/* --- what cannot be written ---------------------------------------------- */

/* One region after the other, or four at a time: those beside the one that failed were
 * written well, and are not believed. */
START_TEST(write_error)
{
	make(3, 1);
	world.nr_buffers = _i ? 12 : 3;
	for (uint64_t region = 0; region < NR; region++) {
		differ(1, region * SIZE);
		differ(2, region * SIZE + 1);
	}
	fail_leg(1, BLOCK_WRITE, 4 * SIZE, 1, 0);
	run();
	ck_assert_int_eq(world.result.end, RESYNC_COMPLETE);
	ck_assert_int_eq(world.result.leg_error[1], -EIO);
	ck_assert_int_eq(world.result.leg_error[2], 0);
	ck_assert_uint_eq(world.result.regions_copied, 4);
	ck_assert_uint_eq(world.result.regions_failed, NR - 4);
	ck_assert_uint_eq(nr_clean(), 4);
	/* The other target has everything. */
	for (uint64_t sector = 0; sector < world.geometry.length; sector++) {
		unsigned char byte;

		sim_disk_peek(world.legs[2], sector * SECTOR_BYTES, &byte, 1);
		ck_assert_uint_eq(byte, (unsigned char)(sector + 1));
	}
}
END_TEST

/* With the only target gone nothing is read in vain. */
START_TEST(write_error_of_the_last_target)
{
	make(2, 1);
	world.nr_buffers = 2;
	world.options.verify = true;
	resync_world_bit(&world, NR - 1, true);
	differ(1, 0);
	fail_leg(1, BLOCK_WRITE, 0, 1, 1);
	run();
	ck_assert_int_eq(world.result.end, RESYNC_COMPLETE);
	ck_assert_uint_eq(world.result.regions_failed, NR - 1);
	ck_assert_uint_eq(world.result.regions_unverified, 1);
	ck_assert_uint_eq(world.result.read_bytes[0], SIZE * SECTOR_BYTES);
	ck_assert_uint_eq(nr_clean(), 1);
}
END_TEST

/* Of source and target; of the only batch, and of the first one. */
START_TEST(leg_flush_error)
{
	unsigned int leg = (unsigned int)_i % 2;

	make(2, 1);
	world.nr_buffers = 2;
	world.options.batch_regions = _i / 2 ? 5 : 0;
	fail_leg(leg, BLOCK_FLUSH, 0, 1, 1);
	run();
	ck_assert_int_eq(world.result.leg_error[leg], -EIO);
	ck_assert_uint_eq(nr_clean(), 0);
	ck_assert_uint_eq(world.result.regions_failed, NR);
	ck_assert_uint_eq(world.result.regions_copied + world.result.regions_equal, 0);
}
END_TEST

START_TEST(log_error)
{
	make(2, 1);
	differ(1, 0);
	sim_disk_fail(world.log, &(struct sim_fault){
		.op = _i ? BLOCK_FLUSH : BLOCK_WRITE, .sectors = 100, .result = -EIO });
	run();
	ck_assert(world.result.log_failed);
	ck_assert_int_eq(world.result.log_error, -EIO);
	ck_assert_int_eq(world.result.end, RESYNC_STOPPED);
	ck_assert_uint_eq(world.result.regions_copied + world.result.regions_equal, 0);
	/* A flush comes before the first write to a leg, a write after the last. */
	ck_assert_uint_eq(sim_disk_counters(world.legs[1])->writes, _i ? 0 : 1);
}
END_TEST

/* --- ends ---------------------------------------------------------------- */

START_TEST(stop_and_go_on)
{
	uint64_t copied = 0;
	unsigned int runs = 0;

	make(2, 1);
	world.nr_buffers = 2;
	for (uint64_t region = 0; region < NR; region++)
		differ(1, region * SIZE);
	do {
		world.stop_at_poll = 8;
		run();
		copied += world.result.regions_copied;
		ck_assert_uint_eq(nr_clean(), copied);
		ck_assert_uint_lt(runs++, 20);
	} while (world.result.end == RESYNC_STOPPED);
	ck_assert_uint_eq(copied, NR);
	ck_assert_uint_ge(runs, 3);
	ends_well();
}
END_TEST

/* The mirror is somebody else's from the nth look on. */
START_TEST(changed)
{
	make(2, 1);
	world.nr_buffers = 2;
	resync_world_header(&world, WORLD_HEADER_FOREIGN);
	resync_world_bit(&world, 3, true);
	for (uint64_t region = 0; region < NR; region++)
		differ(1, region * SIZE);
	world.options.batch_regions = 1;
	world.changes_at = 1 + (unsigned int)_i;
	run();
	ck_assert_int_eq(world.result.end, RESYNC_CHANGED);
	/* One look before all, one before the bits, one before the header, then one before
	 * each batch; a batch flushes the legs first. */
	ck_assert_uint_eq(world.result.log_writes, _i ? (unsigned int)_i - 1 : 0);
	if (_i < 2)
		ck_assert_uint_eq(resync_world_writes(&world), 0);
	ck_assert_uint_eq(sim_disk_counters(world.log)->writes, world.result.log_writes);
	ck_assert_uint_eq(nr_clean(), _i < 4 ? 0 : (unsigned int)_i - 3);
	ck_assert_uint_le(sim_disk_counters(world.legs[1])->writes,
			  _i < 3 ? 0 : (unsigned int)_i - 2);
}
END_TEST

static uint64_t writes_at_change;

static void remember_writes(struct resync_world *told)
{
	if (told->samples < told->changes_at)
		writes_at_change = resync_world_writes(told);
}

/* In the midst of a chunk with more writes than are let go at once. */
START_TEST(changed_while_writing)
{
	resync_world_make(&world, 2, 64, 64, 1);
	for (uint64_t sector = 0; sector < 64; sector += 2)
		resync_world_fill(&world, 0, sector, 1, 1);
	world.buffer_bytes = 32768;
	world.tick_ns = UINT64_C(2000000000);	/* a look at each turn */
	world.changes_at = 5 + (unsigned int)_i;
	world.on_poll = remember_writes;
	run();
	ck_assert_int_eq(world.result.end, RESYNC_CHANGED);
	ck_assert_uint_eq(resync_world_writes(&world), writes_at_change);
	ck_assert_uint_ge(writes_at_change, 8);
	ck_assert_uint_lt(sim_disk_counters(world.legs[1])->writes, 32);
	ck_assert_uint_eq(nr_clean(), 0);
}
END_TEST

/* For the leak checker. */
static void *volatile still_held;

static void hang_and_stop(struct resync_world *told)
{
	sim_disk_hang(told->legs[1], true);
	if (told->polls > 10)
		told->stop_at_poll = 1;
}

START_TEST(a_leg_hangs)
{
	make(2, 1);
	world.on_poll = hang_and_stop;
	run();
	ck_assert(world.result.hung);
	ck_assert_int_eq(world.result.end, RESYNC_STOPPED);
	ck_assert_uint_eq(nr_clean(), 0);
	still_held = world.result.abandoned;
	ck_assert_ptr_nonnull(still_held);
}
END_TEST

/* --- old contents -------------------------------------------------------- */

static unsigned int kept[NR * SIZE];

static void keep_is_first(struct resync_world *told, unsigned int leg, uint64_t sector,
			  uint32_t sectors, const void *old, const void *new)
{
	unsigned char now[SECTOR_BYTES];

	for (uint32_t i = 0; i < sectors; i++) {
		sim_disk_peek(told->legs[leg], (sector + i) * SECTOR_BYTES, now, sizeof(now));
		ck_assert_mem_eq((const unsigned char *)old + i * SECTOR_BYTES, now, sizeof(now));
		ck_assert_uint_eq(now[0], (unsigned char)(sector + i + 101 + leg));
		sim_disk_peek(told->legs[0], (sector + i) * SECTOR_BYTES, now, sizeof(now));
		ck_assert_mem_eq((const unsigned char *)new + i * SECTOR_BYTES, now, sizeof(now));
		kept[sector + i]++;
	}
}

START_TEST(old_contents_are_kept_first)
{
	make(2, 1);
	memset(kept, 0, sizeof(kept));
	differ(1, 3);
	differ(1, 4);
	differ(1, 7 * SIZE + 2);
	world.buffer_bytes = _i ? 4096 : 8192;
	world.keeping = true;
	world.on_keep = keep_is_first;
	run();
	for (unsigned int sector = 0; sector < NR * SIZE; sector++)
		ck_assert_uint_eq(kept[sector], sector == 3 || sector == 4 ||
				  sector == 7 * SIZE + 2);
	ends_well();
}
END_TEST

/* The run ends: what was kept before is copied, what was not stays as it was. */
START_TEST(what_cannot_be_kept_stays)
{
	make(2, 1);
	differ(1, 3);
	differ(1, 2 * SIZE + 10);
	differ(1, 7 * SIZE + 2);
	world.nr_buffers = 2;			/* one chunk after the other */
	world.keeping = true;
	world.keep_fails_at = 3 + _i % 2;	/* the second one's keep(), or its kept() */
	world.buffer_bytes = _i / 2 ? 4096 : 16384;	/* pieces, or whole regions */
	run();
	ck_assert_int_eq(world.result.end, RESYNC_STOPPED);
	ck_assert_int_eq(world.result.keep_error, _i % 2 ? -EIO : -ENOSPC);
	ck_assert_uint_eq(byte_of(1, 3), 4);
	ck_assert_uint_eq(byte_of(1, 2 * SIZE + 10), (unsigned char)(2 * SIZE + 10 + 102));
	ck_assert_uint_eq(byte_of(1, 7 * SIZE + 2), (unsigned char)(7 * SIZE + 2 + 102));
	ck_assert(is_clean(0));
	ck_assert(!is_clean(2));
	ck_assert(!is_clean(7));
}
END_TEST

/* Not a flush for every request. */
START_TEST(many_are_kept_at_once)
{
	make(2, 1);
	for (unsigned int sector = 0; sector < NR * SIZE - SIZE; sector += 2)
		differ(1, sector);
	world.nr_buffers = 16;
	world.buffer_bytes = SIZE * SECTOR_BYTES;
	world.keeping = true;
	run();
	ck_assert_uint_eq(world.result.kept_sectors, (NR - 1) * SIZE / 2);
	/* Calls of keep(), and few of kept(). */
	ck_assert_uint_le(world.keeps, (NR - 1) * SIZE / 2 + (NR + 3) / 4 + 1);
	ck_assert_uint_gt(world.keeps, (NR - 1) * SIZE / 2);
	ends_well();
}
END_TEST

/* What could not be read is healed, and is not called kept. */
START_TEST(what_cannot_be_read_is_not_kept)
{
	make(2, 1);
	differ(1, 3);
	sim_disk_fail(world.legs[1], &(struct sim_fault){
		.op = BLOCK_READ, .first = 5, .sectors = 2, .result = -EIO });
	world.keeping = true;
	memset(kept, 0, sizeof(kept));
	world.on_keep = keep_is_first;
	resync_world_lose(&world, 1, 5, 2);
	run();
	ck_assert_uint_eq(kept[3], 1);
	ck_assert_uint_eq(kept[5] + kept[6], 0);
	ck_assert_uint_eq(world.result.kept_sectors, 1);
	ck_assert_uint_eq(world.result.lost_sectors, 2);
}
END_TEST

/* --- the rest ------------------------------------------------------------ */

START_TEST(rate)
{
	make(2, 1);
	world.options.rate_bytes = 64 * SECTOR_BYTES;
	run();
	/* 149 sectors at 64 a second, a few at a time. */
	ck_assert_uint_ge(sim_disk_counters(world.legs[0])->reads, 149 / 4);
	ck_assert_uint_ge(world.slept_ms, 2000);
	ck_assert_uint_le(world.slept_ms, 2600);
	ck_assert_uint_ge(world.polls, 20);
	ends_well();
}
END_TEST

/* At less than a block a second the user is asked all the same. */
START_TEST(stop_at_a_low_rate)
{
	make(2, 8);
	world.options.rate_bytes = 16;
	world.stop_at_poll = 30;
	run();
	ck_assert_int_eq(world.result.end, RESYNC_STOPPED);
	ck_assert_uint_le(world.slept_ms, 3000);
}
END_TEST

static void refused(int error, const char *why)
{
	resync_world_remember(&world);
	resync_world_run(&world);
	ck_assert_int_eq(world.ret, error);
	ck_assert_msg(strstr(world.err.text, why) != NULL, "%s", world.err.text);
	ck_assert_uint_eq(resync_world_writes(&world), 0);
}

START_TEST(refuses)
{
	make(2, 1);
	switch (_i) {
	case 0:
		sim_disk_device(world.legs[1])->writable = false;
		refused(-EROFS, "leg 1: open for reading only");
		break;
	case 1:
		sim_disk_device(world.log)->writable = false;
		refused(-EROFS, "log: open for reading only");
		break;
	case 2:
		sim_disk_device(world.legs[1])->sectors = world.geometry.length - 1;
		refused(-ENOSPC, "leg 1: has 148 sectors, and the mirror needs 149");
		break;
	case 3:
		world.area_bytes = 1024;
		refused(-ENOSPC, "log: too small for the log of 10 regions");
		break;
	case 4:
		world.plan.otherwise = 2;
		refused(-EINVAL, "from leg 2, and there are 2 legs");
		break;
	case 5:
		sim_disk_device(world.legs[1])->block_sectors = 32;
		refused(-EINVAL, "not whole blocks");
		break;
	case 6:
		world.nr_buffers = 1;
		refused(-ENOMEM, "I/O buffers are too few");
		break;
	}
}
END_TEST

Suite *resync_suite(void)
{
	Suite *suite = suite_create("resync");
	TCase *tests = tcase_create("resync");

	tcase_add_checked_fixture(tests, NULL, teardown);
	tcase_add_loop_test(tests, nothing_to_do_writes_nothing, 0, 10);
	tcase_add_loop_test(tests, writes_only_what_differs, 0, 2);
	tcase_add_loop_test(tests, copy_all_writes_all, 0, 2);
	tcase_add_loop_test(tests, what_lies_behind_stays, 0, 2);
	tcase_add_test(tests, another_source);
	tcase_add_test(tests, plan_with_sources_and_skips);
	tcase_add_test(tests, holes_are_not_read);
	tcase_add_loop_test(tests, many_regions, 0, 2);
	tcase_add_loop_test(tests, headers, 0, WORLD_HEADER_KINDS);
	tcase_add_loop_test(tests, batches_by_count, 1, 4);
	tcase_add_loop_test(tests, batches_by_time, 0, 2);
	tcase_add_loop_test(tests, lies_are_cleared_first, 0, 4);
	tcase_add_loop_test(tests, clean_regions_are_opened_first, 0, 4);
	tcase_add_loop_test(tests, what_cannot_be_read_is_not_opened, 0, 2);
	tcase_add_test(tests, stopped_openings_are_spared);
	tcase_add_test(tests, stopped_lies_are_cleared);
	tcase_add_loop_test(tests, clean_and_unreadable_is_left, 0, 2);
	tcase_add_loop_test(tests, unreadable_source, 0, 2);
	tcase_add_loop_test(tests, unreadable_target_is_written, 0, 2);
	tcase_add_loop_test(tests, readback_is_compared, 0, 2);
	tcase_add_loop_test(tests, write_error, 0, 2);
	tcase_add_test(tests, write_error_of_the_last_target);
	tcase_add_loop_test(tests, leg_flush_error, 0, 4);
	tcase_add_loop_test(tests, log_error, 0, 2);
	tcase_add_test(tests, stop_and_go_on);
	tcase_add_loop_test(tests, changed, 0, 6);
	tcase_add_loop_test(tests, changed_while_writing, 0, 3);
	tcase_add_test(tests, a_leg_hangs);
	tcase_add_loop_test(tests, old_contents_are_kept_first, 0, 2);
	tcase_add_loop_test(tests, what_cannot_be_kept_stays, 0, 4);
	tcase_add_test(tests, many_are_kept_at_once);
	tcase_add_test(tests, what_cannot_be_read_is_not_kept);
	tcase_add_test(tests, rate);
	tcase_add_test(tests, stop_at_a_low_rate);
	tcase_add_loop_test(tests, refuses, 0, 7);
	suite_add_tcase(suite, tests);
	return suite;
}
