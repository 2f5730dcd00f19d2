/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/region_reading.h"
#include "support/audit_world.h"
#include "support/repair_world.h"
#include "unit/suites.h"

static struct repair_world world;

static void teardown(void)
{
	repair_world_free(&world);
}

/* ---- the files, read back ---- */

static struct {
	struct journal_reader reader;
	struct journal_record record;
} file;

static void open_file(struct memory_file *memory)
{
	struct error err = { .kind = ERROR_NONE };

	journal_reader_init(&file.reader, memory_file_source(memory));
	ck_assert_int_eq(journal_next(&file.reader, &file.record, &err), 1);
	ck_assert_int_eq(file.record.type, JOURNAL_IDENTITY);
	ck_assert_str_eq(file.record.identity, REPAIR_WORLD_IDENTITY);
	ck_assert_int_eq(journal_next(&file.reader, &file.record, &err), 1);
	ck_assert_int_eq(file.record.type, JOURNAL_LOG_STATE);
}

/* false: the clean end, and nobody has committed. */
static bool next_record(void)
{
	struct error err = { .kind = ERROR_NONE };
	int r = journal_next(&file.reader, &file.record, &err);

	ck_assert_msg(r >= 0, "%s", err.text);
	if (!r) {
		ck_assert(!file.reader.committed);
		journal_reader_free(&file.reader);
	}
	return r;
}

static void check_state(const unsigned char *after)
{
	const struct journal_log_state *state = &file.record.log_state;
	unsigned char digest[JOURNAL_DIGEST_BYTES];

	ck_assert_uint_eq(state->area_bytes, world.log.nr_bytes);
	ck_assert_uint_eq(state->nr_regions, world.log.geometry.nr_regions);
	journal_digest(digest, world.log.before, world.log.nr_bytes);
	ck_assert_mem_eq(state->before, digest, sizeof(digest));
	journal_digest(digest, after, world.log.nr_bytes);
	ck_assert_mem_eq(state->after, digest, sizeof(digest));
}

static void expected_digest(unsigned char *digest, unsigned int leg, uint64_t region)
{
	uint64_t start = region_start(&world.log.geometry, region);
	uint64_t sectors = region_sectors(&world.log.geometry, region);
	unsigned char bytes[8 * SECTOR_BYTES];

	memset(digest, 0, JOURNAL_DIGEST_BYTES);
	if (!world.devices[leg])
		return;
	sim_disk_peek(world.legs[leg], start * SECTOR_BYTES, bytes, sectors * SECTOR_BYTES);
	journal_digest(digest, bytes, sectors * SECTOR_BYTES);
}

/* The regions of the plan in their order. `unreadable`: of this leg no digest of this
 * region is known. */
static uint64_t check_region(uint64_t from, unsigned int bad_leg, uint64_t bad_region)
{
	const struct journal_region *region = &file.record.region;
	unsigned char digest[JOURNAL_DIGEST_BYTES];

	ck_assert_int_eq(file.record.type, JOURNAL_REGION);
	ck_assert_uint_eq(region->region, bitmap_next_set(&world.log.plan.clear, from));
	ck_assert_uint_eq(region->nr_legs, world.nr_legs);
	for (unsigned int leg = 0; leg < world.nr_legs; leg++) {
		expected_digest(digest, leg, region->region);
		if (leg == bad_leg && region->region == bad_region)
			memset(digest, 0, sizeof(digest));
		ck_assert_mem_eq(region->digest[leg], digest, sizeof(digest));
	}
	return region->region + 1;
}

static void check_all_regions(uint64_t from)
{
	ck_assert_uint_eq(bitmap_next_set(&world.log.plan.clear, from),
			  world.log.geometry.nr_regions);
}

/* ---- the undo journal ---- */

/* Old, then new, of the same sectors. */
static void check_pair(unsigned char *area)
{
	uint64_t start = file.record.bytes.start_sector, sectors = file.record.bytes.sectors;

	ck_assert_int_eq(file.record.bytes.place, JOURNAL_LOG);
	ck_assert_int_eq(file.record.bytes.kind, JOURNAL_OLD);
	ck_assert_mem_eq(file.record.bytes.data, area + start * SECTOR_BYTES,
			 sectors * SECTOR_BYTES);
	ck_assert(next_record());
	ck_assert_int_eq(file.record.type, JOURNAL_BYTES);
	ck_assert_int_eq(file.record.bytes.place, JOURNAL_LOG);
	ck_assert_int_eq(file.record.bytes.kind, JOURNAL_NEW);
	ck_assert_uint_eq(file.record.bytes.start_sector, start);
	ck_assert_uint_eq(file.record.bytes.sectors, sectors);
	memcpy(area + start * SECTOR_BYTES, file.record.bytes.data, sectors * SECTOR_BYTES);
}

/* The blocks lead from the old log to the new one, and hold not one sector more. */
static void check_journal(unsigned int bad_leg, uint64_t bad_region)
{
	unsigned char *area = malloc(world.log.nr_bytes);
	uint64_t sectors = 0, from = 0;
	bool more;

	ck_assert_ptr_nonnull(area);
	memcpy(area, world.log.before, world.log.nr_bytes);
	open_file(&world.journal);
	check_state(world.log.edited);
	while ((more = next_record()) && file.record.type == JOURNAL_BYTES) {
		check_pair(area);
		sectors += file.record.bytes.sectors;
	}
	ck_assert_mem_eq(area, world.log.edited, world.log.nr_bytes);
	ck_assert_uint_eq(sectors, world.log.plan.nr_blocks * world.log.block_sectors);
	for (; more; more = next_record())
		from = check_region(from, bad_leg, bad_region);
	check_all_regions(from);
	free(area);
}

/* ---- the saved file ---- */

#define NO_LEG MIRROR_LEGS_MAX

/* Sectors in [start, end) in which legs that can be read differ. */
static bool differs(uint64_t sector, unsigned int bad_leg, uint64_t bad_first, uint64_t bad_end)
{
	unsigned char first[SECTOR_BYTES], data[SECTOR_BYTES];
	bool have = false;

	for (unsigned int leg = 0; leg < world.nr_legs; leg++) {
		if (!world.devices[leg] ||
		    (leg == bad_leg && sector >= bad_first && sector < bad_end))
			continue;
		sim_disk_peek(world.legs[leg], sector * SECTOR_BYTES, have ? data : first,
			      SECTOR_BYTES);
		if (have && memcmp(first, data, SECTOR_BYTES))
			return true;
		have = true;
	}
	return false;
}

static void take_saved(unsigned char *saved)
{
	const struct journal_bytes *bytes = &file.record.bytes;
	unsigned char data[SECTOR_BYTES];

	ck_assert_int_eq(bytes->kind, JOURNAL_OLD);
	ck_assert_uint_lt(bytes->place, world.nr_legs);
	ck_assert_ptr_nonnull(world.devices[bytes->place]);
	for (uint64_t i = 0; i < bytes->sectors; i++) {
		uint64_t sector = bytes->start_sector + i;

		sim_disk_peek(world.legs[bytes->place], sector * SECTOR_BYTES, data, SECTOR_BYTES);
		ck_assert_mem_eq(bytes->data + i * SECTOR_BYTES, data, SECTOR_BYTES);
		ck_assert_uint_eq(saved[sector] >> bytes->place & 1, 0);	/* once */
		saved[sector] |= (unsigned char)(1u << bytes->place);
	}
}

/* Every differing sector of every leg that could be read, and nothing else. */
static void check_saved(unsigned int bad_leg, uint64_t bad_first, uint64_t bad_end)
{
	uint64_t length = world.log.geometry.length, nr = 0, left_out = 0, from = 0;
	unsigned char *saved = calloc(length, 1);

	ck_assert_ptr_nonnull(saved);
	open_file(&world.saved);
	check_state(world.log.before);
	while (next_record())
		if (file.record.type == JOURNAL_BYTES)
			take_saved(saved);
		else
			from = check_region(from, bad_leg, bad_first / 8);
	check_all_regions(from);
	for (uint64_t sector = 0; sector < length; sector++) {
		bool is = bitmap_test(&world.log.plan.clear, sector / 8) &&
			  differs(sector, bad_leg, bad_first, bad_end);

		nr += is;
		for (unsigned int leg = 0; leg < world.nr_legs; leg++) {
			bool bad = leg == bad_leg && sector >= bad_first && sector < bad_end;

			left_out += is && bad;
			if ((saved[sector] >> leg & 1) != (is && world.devices[leg] && !bad))
				ck_abort_msg("leg %u, sector %lu", leg, sector);
		}
	}
	ck_assert_uint_gt(nr, 0);
	ck_assert_uint_eq(world.recorded.saved_sectors, nr);
	ck_assert_uint_eq(world.recorded.unreadable_sectors, left_out);
	free(saved);
}

/* ---- tests ---- */

static const uint64_t sizes[] = { 200, 5000, 13000 };
static const uint64_t densities[] = { 3, 30, 100 };

START_TEST(both_files)
{
	for (uint64_t seed = 1; seed <= world_rounds(4); seed++) {
		repair_world_make(&world, sizes[_i], seed % 2 ? 1 : 8, 2 + seed % 3, densities[_i], seed);
		ck_assert_msg(!repair_world_record(&world, true), "%s", world.err.text);
		check_journal(NO_LEG, 0);
		check_saved(NO_LEG, 0, 0);
		ck_assert_uint_eq(world.recorded.unreadable_regions, 0);
		ck_assert(!world.recorded.hung);
		ck_assert_uint_gt(world.polls, 0);
		ck_assert_uint_eq(sim_disk_counters(world.log.disk)->writes, 0);
		repair_world_free(&world);
	}
}
END_TEST

/* Many neighbouring blocks, more than a record of the log holds. */
START_TEST(long_runs_of_blocks)
{
	static struct bitmap all;
	struct repair_plan plan;

	repair_world_make(&world, 9000000, 1, 2, UINT64_C(1) << 40, 5);
	ck_assert_int_eq(bitmap_alloc(&all, 9000000), 0);
	for (uint64_t r = 0; r < 9000000; r += 500)
		bitmap_set(&all, r);
	ck_assert_int_eq(repair_plan_make(&plan, &world.log.log, &world.log.geometry, &all, 1), 0);
	ck_assert_uint_gt(plan.nr_blocks, 2100);
	repair_plan_free(&world.log.plan);
	world.log.plan = plan;
	/* The digests are another test's: no leg is read. */
	bitmap_free(&world.log.plan.clear);
	ck_assert_int_eq(bitmap_alloc(&world.log.plan.clear, 9000000), 0);
	memcpy(world.log.edited, world.log.before, world.log.nr_bytes);
	for (uint64_t r = 0; r < 9000000; r += 500)
		world.log.edited[MIRROR_LOG_BITS_OFFSET + r / 8] &= (unsigned char)~(1u << r % 8);
	ck_assert_int_eq(repair_world_record(&world, false), 0);
	check_journal(NO_LEG, 0);
	bitmap_free(&all);
}
END_TEST

/* As many runs as fill no record, one, and more than two. */
START_TEST(outcomes)
{
	static const unsigned int nr_runs[] = { 0, 3, 1024, 2500 };
	struct journal_reader reader;
	struct journal_record record;
	struct bitmap cleared, found;
	int r;

	repair_world_make(&world, 9000, 1, 2, 4500, 6);
	ck_assert_int_eq(repair_world_record(&world, false), 0);
	ck_assert_int_eq(repair_world_commit(&world), 0);
	ck_assert_int_eq(bitmap_alloc(&cleared, 9000), 0);
	ck_assert_int_eq(bitmap_alloc(&found, 9000), 0);
	for (unsigned int i = 0; i < nr_runs[_i]; i++)
		bitmap_set_run(&cleared, 3 * i + 1, 3 * i + 1 + i % 2);
	ck_assert_int_eq(repair_record_cleared(&world.journal_writer, &cleared), 0);
	journal_reader_init(&reader, memory_file_source(&world.journal));
	while ((r = journal_next(&reader, &record, &world.err)) == 1)
		for (size_t i = 0; record.type == JOURNAL_OUTCOME && i < record.outcome.nr_runs; i++)
			bitmap_set_run(&found, record.outcome.runs[i].first,
				       record.outcome.runs[i].last);
	ck_assert_int_eq(r, 0);
	ck_assert(!memcmp(found.words, cleared.words, bitmap_bytes(9000)));
	journal_reader_free(&reader);
	bitmap_free(&cleared);
	bitmap_free(&found);
}
END_TEST

START_TEST(unreadable_sectors)
{
	unsigned int bad_leg = (unsigned int)_i % 3;
	uint64_t region, first, sectors;

	/* With three legs two can differ where the third cannot be read. */
	repair_world_make(&world, 300, 1, 3, 4, 70 + (uint64_t)_i);
	region = bitmap_next_set(&world.log.plan.clear, 100);
	ck_assert_uint_lt(region, 299);
	first = region * 8 + (bad_leg == 1 ? 0 : (uint64_t)_i % 5);
	sectors = bad_leg == 1 ? 8 : 1 + (uint64_t)_i % 3;
	for (uint64_t s = region * 8; s < region * 8 + 8; s++)
		for (unsigned int leg = 0; leg < 3; leg++)
			sim_disk_poke(world.legs[leg], s * SECTOR_BYTES, &leg, 1);
	sim_disk_fail(world.legs[bad_leg], &(struct sim_fault){
		.op = BLOCK_READ, .first = first, .sectors = sectors, .result = -EIO });
	ck_assert_int_eq(repair_world_record(&world, true), 0);
	check_journal(bad_leg, region);
	check_saved(bad_leg, first, first + sectors);
	ck_assert_uint_eq(world.recorded.unreadable_sectors, sectors);
	ck_assert_uint_eq(world.recorded.unreadable_regions, 1);
}
END_TEST

START_TEST(missing_leg)
{
	repair_world_make(&world, 300, 1, 3, 4, 80);
	world.devices[_i] = NULL;
	ck_assert_int_eq(repair_world_record(&world, true), 0);
	check_journal(NO_LEG, 0);
	check_saved(NO_LEG, 0, 0);
	ck_assert_uint_eq(world.recorded.unreadable_regions, world.log.plan.nr_clear);
}
END_TEST

/* The disk is full at each append: which file it was is said, and a commit cannot
 * follow. */
START_TEST(files_that_fail)
{
	unsigned int appends;

	repair_world_make(&world, 100, 1, 2, 10, 90);
	ck_assert_int_eq(repair_world_record(&world, true), 0);
	appends = (_i ? &world.saved : &world.journal)->appends;
	ck_assert_uint_gt(appends, 10);
	for (unsigned int at = 1; at <= appends; at++) {
		struct memory_file *failing = _i ? &world.saved : &world.journal;

		failing->fail_at = at;
		failing->fail_with = at % 3 ? -ENOSPC : -ETIMEDOUT;
		ck_assert_int_eq(repair_world_record(&world, true), at % 3 ? -ENOSPC : -EIO);
		ck_assert(!world.recorded.hung);
		ck_assert_ptr_nonnull(strstr(world.err.text, _i ? "divergent sectors" : "undo journal"));
		ck_assert_ptr_nonnull(strstr(world.err.text, at % 3 ? "no space" : "timed out"));
		ck_assert_ptr_nonnull(strstr(world.err.text, "nothing was changed"));
		ck_assert_int_ne(journal_put_commit(_i ? &world.saved_writer : &world.journal_writer),
				 0);
		ck_assert_uint_eq(world.log.engine->in_flight, 0);
	}
}
END_TEST

START_TEST(caller_ends_it)
{
	repair_world_make(&world, 3000, 1, 2, 2, 91);
	world.stop_at_poll = 3;
	world.stop_with = _i ? 17 : -ECANCELED;
	ck_assert_int_eq(repair_world_record(&world, true), world.stop_with);
	ck_assert_int_eq(world.err.kind, ERROR_NONE);
	ck_assert_uint_eq(world.polls, 3);
	ck_assert(!world.recorded.hung);
}
END_TEST

START_TEST(legs_that_fail)
{
	repair_world_make(&world, 300, 1, 2, 2, 92);
	world.devices[1]->sectors = 80;
	ck_assert_int_eq(repair_world_record(&world, true), -ENXIO);
	ck_assert_ptr_nonnull(strstr(world.err.text, "shorter than the mirror"));
	world.devices[1]->sectors = 2400;
	log_world_engine(&world.log, 1, 4096, 0);
	ck_assert_int_eq(repair_world_record(&world, true), -ENOMEM);
	ck_assert_ptr_nonnull(strstr(world.err.text, "out of memory"));
}
END_TEST

/* What is left to the process when a leg hangs. */
static struct block_engine *volatile left_engine;
static struct sim_disk *volatile left_disk;

START_TEST(a_leg_hangs)
{
	repair_world_make(&world, 300, 1, 2, 2, 93);
	sim_disk_hang(world.legs[1], true);
	world.stop_at_poll = 2;
	world.stop_with = -ECANCELED;
	ck_assert_int_eq(repair_world_record(&world, true), -ETIMEDOUT);
	ck_assert(world.recorded.hung);
	ck_assert_ptr_nonnull(strstr(world.err.text, "does not answer"));
	left_engine = world.log.engine;
	left_disk = world.legs[1];
	world.log.engine = NULL;
	world.legs[1] = NULL;
}
END_TEST

START_TEST(one_file_or_none)
{
	struct repair_record record;
	unsigned char *area;

	repair_world_make(&world, 300, 1, 2, 2, 94);
	record = (struct repair_record){
		.identity = REPAIR_WORLD_IDENTITY, .regions = &world.log.plan.clear,
		.block_sectors = world.log.plan.block_sectors,
		.current = world.log.before, .edited = world.log.edited,
		.area_bytes = world.log.nr_bytes, .engine = world.log.engine,
		.legs = world.devices, .nr_legs = 2, .geometry = world.log.geometry,
	};
	ck_assert_int_eq(repair_record(&world.recorded, &record, NULL), 0);
	ck_assert_uint_eq(sim_disk_counters(world.legs[0])->reads, 0);
	journal_writer_init(&world.saved_writer, memory_file_sink(&world.saved));
	record.saved = &world.saved_writer;
	ck_assert_int_eq(repair_record(&world.recorded, &record, NULL), 0);
	check_saved(NO_LEG, 0, 0);
	/* An area that ends inside of a block that changes: it could not be written. */
	record.block_sectors = 4;
	record.area_bytes = 3 * SECTOR_BYTES;
	area = malloc((size_t)record.area_bytes);
	ck_assert_ptr_nonnull(area);
	record.edited = memcpy(area, world.log.edited, (size_t)record.area_bytes);
	record.saved = NULL;
	record.journal = &world.journal_writer;
	journal_writer_init(&world.journal_writer, memory_file_sink(&world.journal));
	world.err.kind = ERROR_NONE;
	ck_assert_int_eq(repair_record(&world.recorded, &record, &world.err), -EINVAL);
	ck_assert_ptr_nonnull(strstr(world.err.text, "behind the log's area"));
	free(area);
}
END_TEST

Suite *repair_record_suite(void)
{
	Suite *suite = suite_create("repair_record");
	TCase *tests = tcase_create("repair_record");

	tcase_set_timeout(tests, 120);
	tcase_add_checked_fixture(tests, NULL, teardown);
	tcase_add_loop_test(tests, both_files, 0, 3);
	tcase_add_test(tests, long_runs_of_blocks);
	tcase_add_loop_test(tests, outcomes, 0, 4);
	tcase_add_loop_test(tests, unreadable_sectors, 0, 15);
	tcase_add_loop_test(tests, missing_leg, 0, 3);
	tcase_add_loop_test(tests, files_that_fail, 0, 2);
	tcase_add_loop_test(tests, caller_ends_it, 0, 2);
	tcase_add_test(tests, legs_that_fail);
	tcase_add_test(tests, a_leg_hangs);
	tcase_add_test(tests, one_file_or_none);
	suite_add_tcase(suite, tests);
	return suite;
}
