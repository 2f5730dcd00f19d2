/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <string.h>

#include "core/leg_reader.h"
#include "support/audit_world.h"
#include "unit/suites.h"

#define LEG_SECTORS 2048u
#define RANGES_MAX 32u

static struct sim_disk *disks[3];
static struct block_device *legs[3];
static struct block_engine *engine;
static struct leg_reader *reader;

/* What the client asks for, and what it got. */
static struct {
	uint64_t start[RANGES_MAX], end[RANGES_MAX];
	unsigned int nr_ranges, next;
	uint64_t expected;		/* the sector that must come next, within ranges */
	unsigned int range;		/* … and its range */
	bool bad[3][LEG_SECTORS];
	int error[3];
	unsigned int takes, polls, paces, pauses;
	uint32_t longest;
	unsigned int end_take, end_poll;	/* 0: never */
	int end_with;
	unsigned int pace_ms;		/* asked for before each chunk, once */
	bool paced;
	uint64_t paced_sectors;
} seen;

static bool next_range(void *context, uint64_t *start, uint64_t *end)
{
	(void)context;
	if (seen.next == seen.nr_ranges)
		return false;
	*start = seen.start[seen.next];
	*end = seen.end[seen.next++];
	return true;
}

/* The chunk is the next piece of the ranges: none is missing, none comes twice. */
static void check_place(const struct leg_chunk *chunk)
{
	if (seen.takes == 1 || seen.expected == seen.end[seen.range]) {
		seen.range += seen.takes > 1;
		seen.expected = seen.start[seen.range];
	}
	ck_assert_uint_eq(chunk->start, seen.expected);
	ck_assert_uint_gt(chunk->sectors, 0);
	seen.expected += chunk->sectors;
	ck_assert_uint_le(seen.expected, seen.end[seen.range]);
}

static void check_data(const struct leg_chunk *chunk, unsigned int leg)
{
	unsigned char want[SECTOR_BYTES];

	if (!chunk->data[leg])
		return;
	if (chunk->error[leg])
		seen.error[leg] = chunk->error[leg];
	for (uint32_t i = 0; i < chunk->sectors; i++) {
		if (leg_chunk_sector_is_bad(chunk, leg, i)) {
			seen.bad[leg][chunk->start + i] = true;
			continue;
		}
		world_fill(want, (chunk->start + i) * 4 + leg, HOLDS_TEXT);
		if (memcmp(want, chunk->data[leg] + i * SECTOR_BYTES, SECTOR_BYTES))
			ck_abort_msg("leg %u, sector %lu", leg, chunk->start + i);
	}
}

static int take(void *context, const struct leg_chunk *chunk)
{
	(void)context;
	seen.takes++;
	if (chunk->sectors > seen.longest)
		seen.longest = chunk->sectors;
	check_place(chunk);
	for (unsigned int leg = 0; leg < 3; leg++)
		check_data(chunk, leg);
	return seen.end_take && seen.takes >= seen.end_take ? seen.end_with : 0;
}

static unsigned int pace(void *context, uint32_t sectors)
{
	(void)context;
	seen.paces++;
	seen.paced = !seen.paced;
	if (seen.paced && seen.pace_ms)
		return seen.pace_ms;
	seen.paced_sectors += sectors;
	return 0;
}

static int poll_end(void *context)
{
	(void)context;
	seen.polls++;
	return seen.end_poll && seen.polls >= seen.end_poll ? seen.end_with : 0;
}

static void pause_ms(void *context, unsigned int ms)
{
	(void)context;
	ck_assert_uint_gt(ms, 0);
	ck_assert_uint_le(ms, 100);
	ck_assert_uint_eq(engine->in_flight, 0);
	seen.pauses++;
}

static const struct leg_reader_client client = {
	.next_range = next_range, .take = take, .pace = pace, .poll = poll_end, .pause = pause_ms,
};

/* Three legs of these block sizes, 0: missing; chunks of `chunk` sectors. */
static void make_legs(uint32_t block0, uint32_t block1, uint32_t block2, uint32_t chunk, uint64_t seed)
{
	const uint32_t block[3] = { block0, block1, block2 };
	unsigned char sector[SECTOR_BYTES];

	for (unsigned int leg = 0; leg < 3; leg++) {
		if (!block[leg])
			continue;
		disks[leg] = sim_disk_create("leg", LEG_SECTORS * SECTOR_BYTES, block[leg]);
		legs[leg] = sim_disk_device(disks[leg]);
		for (uint64_t i = 0; i < LEG_SECTORS; i++) {
			world_fill(sector, i * 4 + leg, HOLDS_TEXT);
			sim_disk_poke(disks[leg], i * SECTOR_BYTES, sector, SECTOR_BYTES);
		}
	}
	engine = sim_engine_create(12, 12, chunk * SECTOR_BYTES, seed);
	ck_assert_int_eq(leg_reader_create(&reader, engine, legs, 3), 0);
}

static void want(uint64_t start, uint64_t end)
{
	seen.start[seen.nr_ranges] = start;
	seen.end[seen.nr_ranges++] = end;
}

static void setup(void)
{
	memset(&seen, 0, sizeof(seen));
	memset(disks, 0, sizeof(disks));
	memset(legs, 0, sizeof(legs));
}

static void teardown(void)
{
	leg_reader_destroy(reader);
	block_engine_destroy(engine);
	for (unsigned int leg = 0; leg < 3; leg++)
		sim_disk_destroy(disks[leg]);
}

static int run(void)
{
	return leg_reader_run(reader, &client);
}

static void expect_all_taken(void)
{
	ck_assert_uint_eq(seen.next, seen.nr_ranges);
	ck_assert_uint_eq(seen.range, seen.nr_ranges - 1);
	ck_assert_uint_eq(seen.expected, seen.end[seen.range]);
	ck_assert_uint_eq(engine->in_flight, 0);
}

static void fail_sectors(unsigned int leg, uint64_t first, uint64_t sectors, int error)
{
	sim_disk_fail(disks[leg], &(struct sim_fault){ .op = BLOCK_READ, .first = first,
						       .sectors = sectors, .result = -error });
}

/* Exactly the sectors first..last of the leg, among those taken, are bad. */
static void expect_bad(unsigned int leg, uint64_t first, uint64_t last)
{
	for (uint64_t sector = 0; sector < LEG_SECTORS; sector++)
		if (seen.bad[leg][sector] != (sector >= first && sector <= last))
			ck_abort_msg("leg %u, sector %lu", leg, sector);
}

/* ---- order and alignment --------------------------------------------------------- */

START_TEST(in_order_whatever_comes_first)
{
	make_legs(1, 1, 1, 16, 1 + (uint64_t)_i);
	want(0, LEG_SECTORS);
	ck_assert_int_eq(run(), 0);
	expect_all_taken();
	ck_assert_uint_eq(seen.takes, LEG_SECTORS / 16);
	ck_assert_uint_eq(seen.paced_sectors, LEG_SECTORS);
}
END_TEST

START_TEST(nothing_to_read)
{
	make_legs(1, 1, 1, 16, 0);
	ck_assert_int_eq(run(), 0);
	ck_assert_uint_eq(seen.takes, 0);
}
END_TEST

START_TEST(ranges_of_any_alignment)
{
	static const uint32_t blocks[][3] = { { 1, 1, 1 }, { 1, 8, 1 }, { 8, 8, 8 }, { 8, 1, 0 }, { 0, 1, 8 } };
	uint64_t random = 77, at = 0;

	make_legs(blocks[_i][0], blocks[_i][1], blocks[_i][2], 32, 9);
	while (seen.nr_ranges < RANGES_MAX - 1 && at < LEG_SECTORS - 200) {
		uint64_t end = at + 1 + world_below(&random, 100);

		want(at, end);
		at = end + world_below(&random, 20);
	}
	want(LEG_SECTORS - 3, LEG_SECTORS);
	ck_assert_int_eq(run(), 0);
	expect_all_taken();
	for (unsigned int leg = 0; leg < 3; leg++)
		ck_assert_int_eq(seen.error[leg], 0);
}
END_TEST

/* Legs of unlike sizes: the larger block may reach beyond the smaller leg. */
START_TEST(the_end_of_the_smallest_leg)
{
	make_legs(8, 1, 1, 32, 0);
	legs[1]->sectors = legs[1]->extents[0].sectors = 2043;
	want(2040, 2043);
	ck_assert_int_eq(run(), 0);
	expect_all_taken();
	ck_assert_int_eq(seen.error[1], 0);
}
END_TEST

START_TEST(a_missing_leg_has_no_data)
{
	make_legs(1, 0, 1, 16, 3);
	want(5, 500);
	ck_assert_int_eq(run(), 0);
	expect_all_taken();
	ck_assert_uint_eq(sim_disk_counters(disks[2])->reads, seen.takes);
}
END_TEST

START_TEST(small_chunks)
{
	make_legs(8, 1, 1, 64, 2);
	leg_reader_limit_chunk(reader, _i == 0 ? 0 : 20);
	want(3, 200);
	ck_assert_int_eq(run(), 0);
	expect_all_taken();
	ck_assert_uint_eq(seen.longest, _i == 0 ? 8 : 16);
}
END_TEST

START_TEST(buffers_too_few_or_too_small)
{
	struct leg_reader *none;
	struct block_engine *poor = sim_engine_create(2, 2, 4096, 0);

	make_legs(32, 1, 1, 32, 0);
	ck_assert_int_eq(leg_reader_create(&none, poor, legs, 3), -ENOMEM);
	block_engine_destroy(poor);
	poor = sim_engine_create(3, 3, 4096, 0);	/* 8 sectors, the block has 32 */
	ck_assert_int_eq(leg_reader_create(&none, poor, legs, 3), -ENOMEM);
	block_engine_destroy(poor);
}
END_TEST

/* ---- errors ------------------------------------------------------------------------- */

START_TEST(any_sector_is_found)
{
	static const uint64_t sectors[] = { 0, 1, 7, 8, 15, 16, 31, 32, 33, 1000, 2047 };

	make_legs(1, 8, 1, 32, 4);
	fail_sectors(0, sectors[_i], 1, EIO);
	fail_sectors(1, sectors[_i], 1, ENODATA);
	want(0, LEG_SECTORS);
	ck_assert_int_eq(run(), 0);
	expect_all_taken();
	expect_bad(0, sectors[_i], sectors[_i]);
	expect_bad(1, sectors[_i] / 8 * 8, sectors[_i] / 8 * 8 + 7);
	expect_bad(2, 1, 0);
	ck_assert_int_eq(seen.error[0], -EIO);
	ck_assert_int_eq(seen.error[1], -ENODATA);
}
END_TEST

START_TEST(random_bad_sectors)
{
	static bool bad[3][LEG_SECTORS];
	uint64_t random = 1000 + (uint64_t)_i;

	make_legs(1, 8, 1, 64, 6);
	memset(bad, 0, sizeof(bad));
	for (unsigned int i = 0; i < 60; i++) {
		unsigned int leg = (unsigned int)world_below(&random, 3);
		uint64_t first = world_below(&random, LEG_SECTORS), sectors = 1 + world_below(&random, 9);
		uint32_t block = legs[leg]->block_sectors;

		fail_sectors(leg, first, sectors, EIO);
		for (uint64_t s = first / block * block;
		     s < (first + sectors + block - 1) / block * block && s < LEG_SECTORS; s++)
			bad[leg][s] = true;
	}
	want(0, LEG_SECTORS);
	ck_assert_int_eq(run(), 0);
	expect_all_taken();
	for (unsigned int leg = 0; leg < 3; leg++)
		ck_assert_mem_eq(bad[leg], seen.bad[leg], sizeof(bad[leg]));
}
END_TEST

/* Chunks that are no power of two are cut at blocks too. */
START_TEST(chunks_of_three_blocks)
{
	make_legs(8, 1, 8, 24, 0);
	fail_sectors(0, 25, 1, EIO);
	fail_sectors(1, 41, 1, EIO);
	want(0, 100);
	ck_assert_int_eq(run(), 0);
	expect_all_taken();
	expect_bad(0, 24, 31);
	expect_bad(1, 41, 41);
	expect_bad(2, 1, 0);
}
END_TEST

/* What lies beside the range in the same block is nobody's business. */
START_TEST(errors_beside_the_range)
{
	make_legs(1, 8, 1, 32, 0);
	fail_sectors(0, 8, 2, EIO);
	want(10, 14);
	ck_assert_int_eq(run(), 0);
	expect_all_taken();
	expect_bad(0, 1, 0);
	expect_bad(1, 1, 0);
}
END_TEST

START_TEST(a_passing_error)
{
	make_legs(1, 1, 1, 32, 0);
	sim_disk_fail(disks[0], &(struct sim_fault){ .op = BLOCK_READ, .first = 40, .sectors = 1,
						     .result = -EIO, .times = 1 });
	want(0, 100);
	ck_assert_int_eq(run(), 0);
	expect_bad(0, 1, 0);
}
END_TEST

/* A leg that has gone away is not asked for each of its sectors. */
START_TEST(a_leg_that_is_gone)
{
	make_legs(1, 1, 1, 64, 0);
	fail_sectors(2, 0, LEG_SECTORS, _i ? ENODEV : ENXIO);
	want(0, LEG_SECTORS);
	ck_assert_int_eq(run(), 0);
	expect_bad(2, 0, LEG_SECTORS - 1);
	expect_bad(0, 1, 0);
	ck_assert_uint_eq(sim_disk_counters(disks[2])->reads, LEG_SECTORS / 64);
}
END_TEST

/* 2048 unreadable blocks in a row are found one by one; from then on a chunk that
 * fails is one read. */
START_TEST(a_long_dead_stretch_is_taken_coarsely)
{
	uint64_t before;

	make_legs(1, 1, 1, 64, 0);
	fail_sectors(2, 0, LEG_SECTORS, EIO);
	want(0, LEG_SECTORS);
	ck_assert_int_eq(run(), 0);
	expect_bad(2, 0, LEG_SECTORS - 1);
	before = sim_disk_counters(disks[2])->reads;
	ck_assert_uint_gt(before, 2048);
	memset(&seen, 0, sizeof(seen));
	want(0, 1024);
	ck_assert_int_eq(run(), 0);
	expect_bad(2, 0, 1023);
	ck_assert_uint_eq(sim_disk_counters(disks[2])->reads - before, 1024 / 64);
}
END_TEST

/* … until one can be read: then each sector counts again. */
START_TEST(exact_again_after_a_dead_stretch)
{
	make_legs(1, 1, 1, 64, 0);
	fail_sectors(2, 0, LEG_SECTORS, EIO);
	want(0, LEG_SECTORS);
	ck_assert_int_eq(run(), 0);
	sim_disk_clear_faults(disks[2]);
	fail_sectors(2, 100, 1, EIO);
	memset(&seen, 0, sizeof(seen));
	want(0, 1024);
	ck_assert_int_eq(run(), 0);
	expect_bad(2, 100, 100);
}
END_TEST

/* ---- ended early ---------------------------------------------------------------------- */

START_TEST(ended_by_take)
{
	make_legs(1, 1, 1, 16, 8);
	want(0, LEG_SECTORS);
	seen.end_take = 3;
	seen.end_with = 42;
	ck_assert_int_eq(run(), 42);
	ck_assert_uint_eq(seen.takes, 3);
	ck_assert_uint_eq(engine->in_flight, 0);
	/* The reader can be used again. */
	memset(&seen, 0, sizeof(seen));
	want(100, 300);
	ck_assert_int_eq(run(), 0);
	expect_all_taken();
}
END_TEST

START_TEST(ended_by_poll)
{
	make_legs(1, 1, 1, 16, 8);
	want(0, LEG_SECTORS);
	seen.end_poll = 1 + (unsigned int)_i;
	seen.end_with = -ECANCELED;
	ck_assert_int_eq(run(), -ECANCELED);
	ck_assert_uint_eq(engine->in_flight, 0);
	ck_assert_uint_lt(seen.takes, LEG_SECTORS / 16);
}
END_TEST

/* Polled between the pieces too that a bad chunk is read in. */
START_TEST(ended_while_salvaging)
{
	make_legs(1, 1, 1, 1024, 0);
	fail_sectors(1, 0, 1024, EIO);
	want(0, 1024);
	seen.end_poll = 20;
	seen.end_with = -ECANCELED;
	ck_assert_int_eq(run(), -ECANCELED);
	ck_assert_uint_eq(seen.takes, 0);
	ck_assert_uint_lt(sim_disk_counters(disks[1])->reads, 50);
}
END_TEST

START_TEST(a_device_hangs)
{
	make_legs(1, 1, 1, 16, 0);
	sim_disk_hang(disks[1], true);
	want(0, LEG_SECTORS);
	seen.end_poll = 100;
	seen.end_with = -ECANCELED;
	ck_assert_int_eq(run(), -ETIMEDOUT);
	ck_assert_uint_eq(seen.takes, 0);
	ck_assert_uint_gt(engine->in_flight, 0);
	sim_disk_hang(disks[1], false);
	ck_assert_int_eq(block_drain(engine, -1), 0);
}
END_TEST

static bool cancelled(void *context)
{
	return ++*(unsigned int *)context > 3;
}

static void hang_later(void *context, struct sim_disk *disk, enum block_op op,
		       uint64_t first, uint64_t sectors)
{
	(void)context;
	(void)op;
	(void)first;
	if (disk == disks[1] && sectors < 16)
		sim_disk_hang(disk, true);
}

START_TEST(a_device_hangs_while_salvaging)
{
	unsigned int asked = 0;

	make_legs(1, 1, 1, 16, 0);
	fail_sectors(1, 0, 16, EIO);
	engine->cancelled = cancelled;
	engine->cancelled_context = &asked;
	sim_engine_set_hook(engine, hang_later, NULL);
	want(0, 16);
	ck_assert_int_eq(run(), -ETIMEDOUT);
	ck_assert_uint_eq(seen.takes, 0);
	sim_disk_hang(disks[1], false);
	sim_engine_set_hook(engine, NULL, NULL);
	ck_assert_int_eq(block_drain(engine, -1), 0);
}
END_TEST

/* ---- pace --------------------------------------------------------------------------------- */

START_TEST(paced)
{
	make_legs(1, 1, 1, 16, 0);
	seen.pace_ms = 250;
	want(0, 160);
	ck_assert_int_eq(run(), 0);
	expect_all_taken();
	ck_assert_uint_eq(seen.paced_sectors, 160);
	ck_assert_uint_eq(seen.paces, 20);
	ck_assert_uint_ge(seen.pauses, 1);
}
END_TEST

static void add_errors(Suite *suite)
{
	TCase *tcase = tcase_create("errors");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_loop_test(tcase, any_sector_is_found, 0, 11);
	tcase_add_loop_test(tcase, random_bad_sectors, 0, 5);
	tcase_add_test(tcase, chunks_of_three_blocks);
	tcase_add_test(tcase, errors_beside_the_range);
	tcase_add_test(tcase, a_passing_error);
	tcase_add_loop_test(tcase, a_leg_that_is_gone, 0, 2);
	tcase_add_test(tcase, a_long_dead_stretch_is_taken_coarsely);
	tcase_add_test(tcase, exact_again_after_a_dead_stretch);
	tcase_add_test(tcase, ended_by_take);
	tcase_add_loop_test(tcase, ended_by_poll, 0, 5);
	tcase_add_test(tcase, ended_while_salvaging);
	tcase_add_test(tcase, a_device_hangs);
	tcase_add_test(tcase, a_device_hangs_while_salvaging);
	tcase_add_test(tcase, paced);
	suite_add_tcase(suite, tcase);
}

Suite *leg_reader_suite(void)
{
	Suite *suite = suite_create("leg_reader");
	TCase *tcase = tcase_create("order");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_loop_test(tcase, in_order_whatever_comes_first, 0, 10);
	tcase_add_test(tcase, nothing_to_read);
	tcase_add_loop_test(tcase, ranges_of_any_alignment, 0, 5);
	tcase_add_test(tcase, the_end_of_the_smallest_leg);
	tcase_add_test(tcase, a_missing_leg_has_no_data);
	tcase_add_loop_test(tcase, small_chunks, 0, 2);
	tcase_add_test(tcase, buffers_too_few_or_too_small);
	suite_add_tcase(suite, tcase);
	add_errors(suite);
	return suite;
}
