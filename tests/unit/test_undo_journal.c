/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Journals as an undo reads them: cut and damaged at every byte, and such as no repair
 * has written, with every checksum right.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "support/repair_world.h"
#include "unit/suites.h"

static struct repair_world world;

static void teardown(void)
{
	repair_world_free(&world);
}

/* Cut at every byte: nothing was written, or all that counts is there. */
START_TEST(journal_cut_everywhere)
{
	struct journal_source source = memory_file_source(&world.journal);
	size_t committed, ended, whole;
	struct undo_journal undo;
	uint64_t cut_at;

	repair_world_make(&world, 65, 1, 2, 9, 50);
	ck_assert_uint_gt(world.log.plan.nr_clear, 1);
	ck_assert_int_eq(repair_world_repair(&world), 0);
	committed = world.journal.size;
	repair_world_outcome(&world, &world.log.plan.clear);
	whole = world.journal.size;
	for (size_t size = 0; size <= whole; size++) {
		struct error err = { .kind = ERROR_NONE };
		int r;

		world.journal.size = size;
		r = undo_journal_read(&undo, &source, &cut_at, &err);
		if (r != (size < committed ? -ENODATA : 0) || undo.committed != (size >= committed))
			ck_abort_msg("cut at %zu: %d %s", size, r, err.text);
		if (r) {
			ck_assert_ptr_nonnull(strstr(err.text, "nothing was changed"));
			ck_assert_int_eq(cut_at, 0);
		} else {
			ck_assert_int_eq(err.kind, ERROR_NONE);
			ended = undo.has_outcome ? 0 : committed;
			ck_assert(!ended || cut_at == (size > committed ? committed : 0));
			ck_assert_uint_eq(bitmap_count(&undo.planned), world.log.plan.nr_clear);
			ck_assert_uint_eq(undo.nr_regions, world.log.plan.nr_clear);
			ck_assert(undo.has_log);
			ck_assert_str_eq(undo.identity, REPAIR_WORLD_IDENTITY);
		}
		undo_journal_free(&undo);
	}
	ck_assert_int_eq(repair_world_undo(&world), 0);
	ck_assert(log_world_is_before(&world.log, world.log.disk));
}
END_TEST

START_TEST(journal_damaged_everywhere)
{
	struct journal_source source = memory_file_source(&world.journal);
	struct undo_journal undo;
	uint64_t cut_at;

	repair_world_make(&world, 65, 1, 2, 9, 51);
	ck_assert_int_eq(repair_world_repair(&world), 0);
	repair_world_outcome(&world, &world.log.plan.clear);
	for (size_t at = 0; at < world.journal.size; at++) {
		struct error err = { .kind = ERROR_NONE };
		unsigned char bit = (unsigned char)(1u << at % 8);
		int r;

		world.journal.bytes[at] ^= bit;
		r = undo_journal_read(&undo, &source, &cut_at, &err);
		if (r != -EBADMSG || undo.identity || undo.blocks)
			ck_abort_msg("byte %zu: %d %s", at, r, err.text);
		world.journal.bytes[at] ^= bit;
	}
	ck_assert_int_eq(repair_world_undo(&world), 0);
	ck_assert(log_world_is_before(&world.log, world.log.disk));
}
END_TEST

static int64_t bad_medium(void *context, uint64_t offset, void *bytes, size_t nr_bytes)
{
	struct journal_source source = memory_file_source(context);

	return offset >= 400 ? -ENODATA : source.read_at(context, offset, bytes, nr_bytes);
}

/* A medium error is not a journal that was cut short: something may be changed. */
START_TEST(journal_unreadable)
{
	struct journal_source source = { .read_at = bad_medium, .context = &world.journal };
	struct undo_journal undo;
	uint64_t cut_at;

	repair_world_make(&world, 65, 1, 2, 9, 52);
	ck_assert_int_eq(repair_world_repair(&world), 0);
	ck_assert_uint_gt(world.journal.size, 500);
	ck_assert_int_eq(undo_journal_read(&undo, &source, &cut_at, &world.err), -EIO);
	ck_assert_ptr_nonnull(strstr(world.err.text, "cannot read at byte"));
	world.journal.size = 0;
	source = memory_file_source(&world.journal);
	world.err.kind = ERROR_NONE;
	ck_assert_int_eq(undo_journal_read(&undo, &source, &cut_at, &world.err), -ENODATA);
	ck_assert_ptr_nonnull(strstr(world.err.text, "empty; nothing was changed"));
}
END_TEST

/* ---- journals that no repair has written, every checksum right ---- */

#define AREA 2048u		/* 8192 bits, of which there are 8000 */
#define REGIONS 8000u

static struct {
	struct memory_file memory;
	struct journal_writer writer;
	unsigned char old[AREA], new[AREA];
	struct undo_journal undo;
	struct error err;
} forged;

static void forge(uint64_t area_bytes, uint64_t nr_regions)
{
	struct journal_log_state state = { .area_bytes = area_bytes, .nr_regions = nr_regions,
					   .after = { 1 } };

	memory_file_free(&forged.memory);
	undo_journal_free(&forged.undo);
	memset(&forged, 0, sizeof(forged));
	memset(forged.old, 0xff, sizeof(forged.old));
	memset(forged.new, 0xff, sizeof(forged.new));
	journal_writer_init(&forged.writer, memory_file_sink(&forged.memory));
	ck_assert_int_eq(journal_put_identity(&forged.writer, "{}"), 0);
	ck_assert_int_eq(journal_put_log_state(&forged.writer, &state), 0);
}

static void forge_bytes(enum journal_bytes_kind kind, uint64_t sector, uint64_t sectors)
{
	struct journal_bytes bytes = {
		.place = JOURNAL_LOG, .kind = kind, .start_sector = sector, .sectors = sectors,
		.data = (kind == JOURNAL_OLD ? forged.old : forged.new) +
			(sector < 4 ? sector * SECTOR_BYTES : 0),
	};

	ck_assert_int_eq(journal_put_bytes(&forged.writer, &bytes), 0);
}

static void forge_pair(uint64_t sector, uint64_t sectors)
{
	forge_bytes(JOURNAL_OLD, sector, sectors);
	forge_bytes(JOURNAL_NEW, sector, sectors);
}

static void forge_region(uint64_t number)
{
	struct journal_region region = { .region = number, .nr_legs = 2 };

	memset(region.digest, 1, sizeof(region.digest));
	ck_assert_int_eq(journal_put_region(&forged.writer, &region), 0);
}

static void forge_outcome(uint64_t first, uint64_t last)
{
	struct region_run run = { first, last };
	struct journal_outcome outcome = { .runs = &run, .nr_runs = 1 };

	ck_assert_int_eq(journal_put_outcome(&forged.writer, &outcome), 0);
}

static int read_forged(bool commit)
{
	struct journal_source source = memory_file_source(&forged.memory);
	uint64_t cut_at;

	if (commit)
		ck_assert_int_eq(journal_put_commit(&forged.writer), 0);
	forged.err.kind = ERROR_NONE;
	undo_journal_free(&forged.undo);
	return undo_journal_read(&forged.undo, &source, &cut_at, &forged.err);
}

static void expect_refused(const char *because)
{
	ck_assert_int_eq(read_forged(!forged.writer.committed), -EBADMSG);
	ck_assert_msg(strstr(forged.err.text, because) != NULL, "%s", forged.err.text);
	ck_assert_ptr_nonnull(strstr(forged.err.text, "not what a repair or a resync writes"));
	ck_assert_ptr_null(forged.undo.identity);
}

static void forged_teardown(void)
{
	undo_journal_free(&forged.undo);
	memory_file_free(&forged.memory);
}

START_TEST(forged_blocks)
{
	forge(AREA, REGIONS);		/* what is right, first */
	forged.new[1024] = 0x7f;
	forge_pair(2, 1);
	forge_pair(3, 1);		/* the same in old and new: harmless */
	forge_region(7);
	forge_region(9);
	ck_assert_int_eq(read_forged(true), 0);
	ck_assert_uint_eq(bitmap_count(&forged.undo.planned), 1);
	ck_assert_uint_eq(forged.undo.planned.nr_bits, 8);
	ck_assert(bitmap_test(&forged.undo.cleared, 7));
	ck_assert_uint_eq(forged.undo.nr_blocks, 2);

	forge(AREA, REGIONS);
	forge_pair(2, 2);
	forge_pair(3, 1);
	expect_refused("twice, or out of order");
	forge(AREA, REGIONS);
	forge_pair(3, 1);
	forge_pair(2, 1);
	expect_refused("twice, or out of order");
	forge(AREA, REGIONS);
	forge_pair(2, 1);
	forge_bytes(JOURNAL_NEW, 2, 1);
	expect_refused("new bytes of the log without the old");
	forge(AREA, REGIONS);
	forge_bytes(JOURNAL_NEW, 2, 1);
	expect_refused("new bytes of the log without the old");
	forge(AREA, REGIONS);
	forge_bytes(JOURNAL_OLD, 2, 1);
	expect_refused("old bytes of the log without the new");
	forge(AREA, REGIONS);
	forge_bytes(JOURNAL_OLD, 2, 1);
	forge_pair(3, 1);
	expect_refused("old bytes of the log without the new");
	forge(AREA, REGIONS);
	forge_bytes(JOURNAL_OLD, 2, 2);
	forge_bytes(JOURNAL_NEW, 2, 1);
	expect_refused("new bytes of the log without the old");
	forge(AREA, REGIONS);
	forge_bytes(JOURNAL_OLD, 2, 1);
	forge_bytes(JOURNAL_NEW, 3, 1);
	expect_refused("new bytes of the log without the old");
}
END_TEST

/* Every bit of header, padding and tail, and every bit that would be set. */
START_TEST(forged_bits)
{
	for (unsigned int bit = 0; bit < AREA * 8; bit += bit < 200 ? 1 : 37) {
		forge(AREA, REGIONS);
		forged.new[bit / 8] ^= (unsigned char)(1u << bit % 8);
		forge_pair(0, 4);
		if (bit < MIRROR_LOG_BITS_OFFSET * 8) {
			expect_refused("changes the log's header");
		} else if (bit - MIRROR_LOG_BITS_OFFSET * 8 >= REGIONS) {
			expect_refused("behind the last region");
		} else {
			ck_assert_int_eq(read_forged(true), 0);
			ck_assert_uint_eq(forged.undo.planned.nr_bits,
					  bit - MIRROR_LOG_BITS_OFFSET * 8 + 1);
			ck_assert_uint_eq(bitmap_count(&forged.undo.planned), 1);
		}
		forge(AREA, REGIONS);
		forged.old[bit / 8] ^= (unsigned char)(1u << bit % 8);
		forged.new[1030] = 0;
		if (bit / 8 == 1030)
			continue;
		forge_pair(0, 4);
		expect_refused("it sets bits");
	}
}
END_TEST

START_TEST(forged_regions)
{
	forge(AREA, REGIONS);
	forge_region(8);
	forge_region(8);
	expect_refused("a region twice, or out of order");
	forge(AREA, REGIONS);
	forge_region(8);
	forge_region(7);
	expect_refused("a region twice, or out of order");
}
END_TEST

static void forge_two_cleared(void)
{
	forge(AREA, REGIONS);
	forged.new[1024 + 1] = 0xfc;	/* 8 and 9 */
	forge_pair(2, 1);
	ck_assert_int_eq(journal_put_commit(&forged.writer), 0);
}

START_TEST(forged_outcomes)
{
	static const struct region_run bad[] = {
		{ 7, 8 }, { 8, 10 }, { 10, 10 }, { 0, 0 }, { 7, 7 }, { 0, 7999 }, { 9, 7999 },
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		forge_two_cleared();
		forge_outcome(bad[i].first, bad[i].last);
		expect_refused("were not planned");
	}
	forge_two_cleared();
	ck_assert_int_eq(read_forged(false), 0);
	ck_assert(!forged.undo.has_outcome);
	ck_assert_uint_eq(bitmap_count(&forged.undo.cleared), 2);
	forge_outcome(9, 9);
	ck_assert_int_eq(read_forged(false), 0);
	ck_assert(forged.undo.has_outcome);
	ck_assert_uint_eq(bitmap_count(&forged.undo.cleared), 1);
	ck_assert_uint_eq(bitmap_count(&forged.undo.planned), 2);
	forge_outcome(8, 9);		/* the union counts */
	ck_assert_int_eq(read_forged(false), 0);
	ck_assert_uint_eq(bitmap_count(&forged.undo.cleared), 2);
	forge(AREA, REGIONS);		/* nothing was planned at all */
	ck_assert_int_eq(journal_put_commit(&forged.writer), 0);
	forge_outcome(0, 0);
	expect_refused("were not planned");
}
END_TEST

/* A short file of a huge log costs what it holds, not what it says. */
START_TEST(forged_sizes)
{
	uint64_t area = mirror_log_bytes(REGION_COUNT_MAX);
	uint64_t last = area / SECTOR_BYTES - 1;

	area = (area + SECTOR_BYTES - 1) / SECTOR_BYTES * SECTOR_BYTES;
	forge(area, REGION_COUNT_MAX);
	ck_assert_int_eq(read_forged(true), 0);
	ck_assert(!forged.undo.has_log);
	ck_assert_uint_eq(forged.undo.planned.nr_bits, 0);

	forge(area, REGION_COUNT_MAX);
	forged.new[1024] = 0xfe;
	forge_pair(2, 1);
	ck_assert_int_eq(read_forged(true), 0);
	ck_assert_uint_eq(forged.undo.planned.nr_bits, 1);

	/* Lowest and highest together, which is as much as there can be. */
	forge(area, REGION_COUNT_MAX);
	forged.new[1024] = 0xfe;
	forge_pair(2, 1);
	forged.new[0] = 0xfd;
	forge_pair(last, 1);
	ck_assert_int_eq(read_forged(true), 0);
	ck_assert_uint_eq(bitmap_count(&forged.undo.planned), 2);
	ck_assert_uint_eq(forged.undo.planned.nr_bits, (last - 2) * SECTOR_BYTES * 8 + 2);
}
END_TEST

static enum undo_answer examine_forged(const void *now, uint64_t nr_bytes)
{
	enum undo_answer answer;
	void *before;

	forged.err.kind = ERROR_NONE;
	ck_assert_int_eq(undo_examine(&answer, &before, &forged.undo, now, nr_bytes, &forged.err), 0);
	free(before);
	return answer;
}

/* Digests that the blocks do not lead to. */
START_TEST(forged_digests)
{
	struct journal_log_state state = { .area_bytes = AREA, .nr_regions = REGIONS };

	forge(AREA, REGIONS);
	memory_file_free(&forged.memory);	/* begun anew, with digests */
	journal_writer_init(&forged.writer, memory_file_sink(&forged.memory));
	forged.new[1024] = 0xfe;
	journal_digest(state.before, forged.old, AREA);
	journal_digest(state.after, forged.new, AREA);
	if (_i)
		(_i == 1 ? state.before : state.after)[31] ^= 1;
	ck_assert_int_eq(journal_put_identity(&forged.writer, "{}"), 0);
	ck_assert_int_eq(journal_put_log_state(&forged.writer, &state), 0);
	forge_pair(2, 1);
	ck_assert_int_eq(read_forged(true), 0);
	ck_assert_int_eq(examine_forged(forged.new, AREA), _i ? UNDO_REFUSED : UNDO_POSSIBLE);
	if (_i == 2)
		ck_assert_ptr_nonnull(strstr(forged.err.text, "contradicts itself"));
	ck_assert_int_eq(examine_forged(forged.old, AREA), _i ? UNDO_REFUSED : UNDO_NOTHING);
}
END_TEST

/* Saved sectors are no log; regions without digests cannot come back. */
START_TEST(forged_gaps)
{
	struct journal_bytes leg = { .place = 1, .kind = JOURNAL_OLD, .start_sector = 5,
				     .sectors = 3, .data = forged.old };

	forge(AREA, REGIONS);
	ck_assert_int_eq(journal_put_bytes(&forged.writer, &leg), 0);
	leg.place = 0;
	ck_assert_int_eq(journal_put_bytes(&forged.writer, &leg), 0);
	ck_assert_int_eq(read_forged(true), 0);
	ck_assert(!forged.undo.has_log);
	ck_assert_uint_eq(forged.undo.saved_sectors, 6);
	ck_assert_int_eq(examine_forged(forged.old, AREA), UNDO_REFUSED);
	ck_assert_ptr_nonnull(strstr(forged.err.text, "no bytes of a log"));

	forge_two_cleared();
	ck_assert_int_eq(read_forged(false), 0);
	{
		struct region_geometry geometry = { REGIONS * 8, 8, REGIONS };
		struct block_device *legs[2] = { NULL, NULL };
		struct block_engine *engine = sim_engine_create(2, 2, 4096, 0);
		struct bitmap back, refused;

		ck_assert_int_eq(undo_prove(&back, &refused, &forged.undo, engine, legs, 2, &geometry,
					    forged.new, NULL, NULL, NULL), 0);
		ck_assert_uint_eq(bitmap_count(&back), 0);
		ck_assert_uint_eq(bitmap_count(&refused), 2);
		bitmap_free(&back);
		bitmap_free(&refused);
		block_engine_destroy(engine);
	}
}
END_TEST

Suite *undo_journal_suite(void)
{
	Suite *suite = suite_create("undo_journal");
	TCase *tests = tcase_create("damaged");

	tcase_set_timeout(tests, 120);
	tcase_add_checked_fixture(tests, NULL, teardown);
	tcase_add_test(tests, journal_cut_everywhere);
	tcase_add_test(tests, journal_damaged_everywhere);
	tcase_add_test(tests, journal_unreadable);
	suite_add_tcase(suite, tests);

	tests = tcase_create("forged");
	tcase_set_timeout(tests, 120);
	tcase_add_checked_fixture(tests, NULL, forged_teardown);
	tcase_add_test(tests, forged_blocks);
	tcase_add_test(tests, forged_bits);
	tcase_add_test(tests, forged_regions);
	tcase_add_test(tests, forged_outcomes);
	tcase_add_test(tests, forged_sizes);
	tcase_add_loop_test(tests, forged_digests, 0, 3);
	tcase_add_test(tests, forged_gaps);
	suite_add_tcase(suite, tests);
	return suite;
}
