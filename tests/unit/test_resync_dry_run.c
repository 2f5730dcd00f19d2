/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A dry run tells what the run itself then does: three accounts of the same writes must
 * agree, that of the dry run, that of the run, and what a naive model finds in the
 * disks as they were and as they are afterwards.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "support/audit_world.h"
#include "support/resync_world.h"
#include "unit/suites.h"

static struct resync_world world;
static struct resync_result told;		/* by the dry run */
static unsigned char *told_log;

static void teardown(void)
{
	resync_result_free(&told);
	free(told_log);
	told_log = NULL;
	resync_world_free(&world);
}

static uint64_t largest_block(void)
{
	uint64_t largest = 1;

	for (unsigned int leg = 0; leg < world.nr_legs; leg++)
		if (world.blocks[leg] > largest)
			largest = world.blocks[leg];
	return largest;
}

/* --- the naive model ----------------------------------------------------- */

static bool same_sector(unsigned int leg, unsigned int other, uint64_t sector)
{
	return !memcmp(world.start[leg].current + sector * SECTOR_BYTES,
		       world.start[other].current + sector * SECTOR_BYTES, SECTOR_BYTES);
}

static bool region_differs(uint64_t region)
{
	uint64_t first = region_start(&world.geometry, region);

	for (uint64_t i = 0; i < region_sectors(&world.geometry, region); i++)
		for (unsigned int leg = 1; leg < world.nr_legs; leg++)
			if (!same_sector(0, leg, first + i))
				return true;
	return false;
}

static bool region_is_copied(uint64_t region)
{
	if (!resync_world_clean(&world, world.log_current, region))
		return true;
	return world.options.verify && (world.options.copy_all || region_differs(region));
}

static bool sector_is_written(unsigned int leg, uint64_t sector)
{
	uint64_t unit = largest_block(), first = sector / unit * unit, last;
	uint64_t region = region_of_sector(&world.geometry, sector);
	unsigned int source = resync_plan_source(&world.plan, region,
						 world.geometry.nr_regions, &last);

	if (source == RESYNC_SKIP || source == leg || !region_is_copied(region))
		return false;
	if (world.options.copy_all)
		return true;
	for (uint64_t i = first; i < first + unit && i < world.geometry.length; i++)
		if (!same_sector(source, leg, i))
			return true;
	return false;
}

/* Is it in a run? What lies behind the mirror in its last block is written with it. */
static bool sector_is_listed(const struct piece_list *list, unsigned int leg, uint64_t sector)
{
	for (size_t i = 0; i < list->nr; i++)
		if (list->pieces[i].kind == leg && sector >= list->pieces[i].start &&
		    sector - list->pieces[i].start < list->pieces[i].count)
			return true;
	return false;
}

static void check_against_model(uint64_t seed)
{
	uint64_t length = world.geometry.length;

	for (unsigned int leg = 0; leg < world.nr_legs; leg++) {
		uint64_t end = (length + world.blocks[leg] - 1) / world.blocks[leg] *
			       world.blocks[leg], bytes = 0;

		for (uint64_t sector = 0; sector < end; sector++) {
			bool written = sector_is_written(leg, sector < length ? sector : length - 1);

			ck_assert_msg(sector_is_listed(&told.written, leg, sector) == written,
				      "seed %" PRIu64 ": leg %u, sector %" PRIu64 " should be %s",
				      seed, leg, sector, written ? "written" : "left");
			bytes += written ? SECTOR_BYTES : 0;
		}
		ck_assert_uint_eq(bytes, told.written_bytes[leg]);
	}
}

/* Regions that are written to although they are equal, and bytes of them. */
static void check_rewriting(void)
{
	uint64_t regions = 0, bytes[MIRROR_LEGS_MAX] = { 0 }, last;

	for (uint64_t region = 0; region < world.geometry.nr_regions; region++) {
		unsigned int source = resync_plan_source(&world.plan, region,
							 world.geometry.nr_regions, &last);
		uint64_t first = region_start(&world.geometry, region), unit = largest_block();
		uint64_t end = first + region_sectors(&world.geometry, region);

		if (source == RESYNC_SKIP || !region_is_copied(region) || !world.options.copy_all)
			continue;
		regions += !region_differs(region);
		for (unsigned int leg = 0; leg < world.nr_legs; leg++)
			for (uint64_t at = first; at < end && leg != source; at += unit) {
				uint64_t i = at;

				while (i < at + unit && i < end && same_sector(source, leg, i))
					i++;
				if (i == at + unit || i == end)
					bytes[leg] += (i - at) * SECTOR_BYTES;
			}
	}
	ck_assert_uint_eq(told.regions_rewritten, regions);
	ck_assert_mem_eq(told.rewritten_bytes, bytes, sizeof(bytes));
}

/* The lowest leg that holds the same in the whole region. */
static unsigned int lowest_alike(unsigned int leg, uint64_t region)
{
	uint64_t first = region_start(&world.geometry, region), at = 0;
	unsigned int other;

	for (other = 0; other < leg; other++) {
		for (at = 0; at < region_sectors(&world.geometry, region); at++)
			if (!same_sector(other, leg, first + at))
				break;
		if (at == region_sectors(&world.geometry, region))
			break;
	}
	return other;
}

static const struct piece *find_run(const struct piece_list *list, uint64_t region)
{
	for (size_t i = 0; i < list->nr; i++)
		if (region >= list->pieces[i].start &&
		    region - list->pieces[i].start < list->pieces[i].count)
			return &list->pieces[i];
	return NULL;
}

static unsigned int check_agreements(uint64_t seed)
{
	uint64_t regions[RESYNC_AGREEMENTS_MAX] = { 0 }, last;
	unsigned int against_leg_0 = 0;

	for (uint64_t region = 0; region < world.geometry.nr_regions; region++) {
		const struct piece *run = find_run(&told.agreement_runs, region);
		bool wanted = world.nr_legs > 2 && region_is_copied(region) &&
			      region_differs(region) &&
			      resync_plan_source(&world.plan, region, world.geometry.nr_regions,
						 &last) != RESYNC_SKIP;

		ck_assert_msg(!run == !wanted, "seed %" PRIu64 ": region %" PRIu64, seed, region);
		if (!run)
			continue;
		ck_assert_uint_lt(run->kind, told.nr_agreements);
		regions[run->kind]++;
		for (unsigned int leg = 0; leg < MIRROR_LEGS_MAX; leg++)
			ck_assert_uint_eq(told.agreements[run->kind].group[leg],
					  leg < world.nr_legs ? lowest_alike(leg, region) :
								MIRROR_LEGS_MAX);
		against_leg_0 += world.nr_legs == 3 && lowest_alike(2, region) == 1;
	}
	for (size_t i = 0; i < told.nr_agreements; i++) {
		ck_assert_uint_eq(told.agreements[i].regions, regions[i]);
		if (i)
			ck_assert_int_lt(memcmp(told.agreements[i - 1].group,
						told.agreements[i].group, MIRROR_LEGS_MAX), 0);
	}
	return against_leg_0;
}

/* Bits that are 1 and that nobody may believe yet. */
static uint64_t count_clearings(void)
{
	uint64_t nr = 0, last;

	for (uint64_t region = 0; region < world.geometry.nr_regions; region++) {
		bool believed = resync_world_clean(&world, world.log_current, region);
		bool set = world.log_current[MIRROR_LOG_BITS_OFFSET + region / 8] >> region % 8 & 1;

		if (believed)
			nr += region_is_copied(region) &&
			      resync_plan_source(&world.plan, region, world.geometry.nr_regions,
						 &last) != RESYNC_SKIP;
		else
			nr += set && told.header_made_good;
	}
	return nr;
}

/* --- what the run does --------------------------------------------------- */

/* What has changed was listed, and of what was listed each block has changed. */
static void check_against_disks(uint64_t seed)
{
	unsigned char now[SECTOR_BYTES];
	uint64_t sectors = world.leg_bytes / SECTOR_BYTES;

	for (unsigned int leg = 0; leg < world.nr_legs; leg++)
		for (uint64_t sector = 0; sector < sectors; sector++) {
			sim_disk_peek(world.legs[leg], sector * SECTOR_BYTES, now, SECTOR_BYTES);
			ck_assert_msg(!memcmp(now, world.start[leg].current +
					      sector * SECTOR_BYTES, SECTOR_BYTES) ||
				      sector_is_listed(&told.written, leg, sector),
				      "seed %" PRIu64 ": leg %u, sector %" PRIu64 " has changed",
				      seed, leg, sector);
		}
}

static void same_writes(uint64_t seed)
{
	const struct piece_list *real = &world.result.written;

	ck_assert_mem_eq(told.written_bytes, world.result.written_bytes,
			 sizeof(told.written_bytes));
	ck_assert_msg(told.written.nr == real->nr, "seed %" PRIu64 ": %zu runs, not %zu", seed,
		      real->nr, told.written.nr);
	for (size_t i = 0; i < real->nr; i++) {
		const struct piece *dry = &told.written.pieces[i], *wet = &real->pieces[i];

		ck_assert_uint_eq(dry->start, wet->start);
		ck_assert_uint_eq(dry->count, wet->count);
		ck_assert_uint_eq(dry->kind, wet->kind);
		ck_assert_uint_eq(dry->source, wet->source);
	}
}

static void same_counts(void)
{
	const struct resync_result *real = &world.result;
	unsigned char log[RESYNC_WORLD_LOG_BYTES];

	ck_assert_mem_eq(told.equal_bytes, real->equal_bytes, sizeof(told.equal_bytes));
	ck_assert_uint_eq(told.hole_bytes, real->hole_bytes);
	if (!world.options.readback && !world.options.verify)
		ck_assert_mem_eq(told.read_bytes, real->read_bytes, sizeof(told.read_bytes));
	ck_assert_uint_eq(told.regions_work, real->regions_work);
	ck_assert_uint_eq(told.regions_copied, real->regions_copied);
	ck_assert_uint_eq(told.regions_equal, real->regions_equal);
	ck_assert_uint_eq(told.regions_verified, real->regions_verified);
	ck_assert_uint_eq(told.regions_lied, real->regions_lied);
	ck_assert_uint_eq(told.regions_rewritten, real->regions_rewritten);
	ck_assert_mem_eq(told.rewritten_bytes, real->rewritten_bytes, sizeof(told.rewritten_bytes));
	ck_assert_uint_eq(told.regions_skipped, real->regions_skipped);
	ck_assert_uint_eq(told.bits_cleared, real->bits_cleared);
	/* One batch, if it is not to be two. */
	if (!world.options.batch_regions && !world.options.batch_ms && !world.options.verify)
		ck_assert_uint_eq(told.log_writes, real->log_writes);
	ck_assert_int_eq(told.header_made_good, real->header_made_good);
	sim_disk_peek(world.log, 0, log, world.area_bytes);
	ck_assert_mem_eq(told_log, log, world.area_bytes);
}

/* Each byte of a target is one or the other. */
static void bytes_add_up(const struct resync_result *result)
{
	uint64_t work = 0, length = world.geometry.length, last;

	for (uint64_t region = 0; region < world.geometry.nr_regions; region++) {
		unsigned int source = resync_plan_source(&world.plan, region,
							 world.geometry.nr_regions, &last);

		/* One source for all, so that each leg is a target everywhere or nowhere. */
		if (source == RESYNC_SKIP || source != world.plan.otherwise)
			return;
		if (world.options.verify || !resync_world_clean(&world, world.log_current, region))
			work += region_sectors(&world.geometry, region) * SECTOR_BYTES;
	}
	if (length % largest_block())
		return;		/* a last block is written with what lies behind */
	for (unsigned int leg = 0; leg < world.nr_legs; leg++)
		ck_assert_uint_eq(leg == world.plan.otherwise ? work :
				  result->equal_bytes[leg] + result->written_bytes[leg] +
				  result->hole_bytes, work);
}

static void run_dry(void)
{
	uint64_t writes = resync_world_writes(&world);	/* somebody else's */

	world.options.dry_run = true;
	for (unsigned int leg = 0; leg <= world.nr_legs; leg++)
		sim_disk_device(leg < world.nr_legs ? world.legs[leg] : world.log)->writable = false;
	resync_world_run(&world);
	ck_assert_int_eq(world.ret, 0);
	ck_assert_uint_eq(resync_world_writes(&world), writes);
	ck_assert_uint_eq(world.keeps, 0);
	told = world.result;
	memset(&world.result, 0, sizeof(world.result));
	told_log = malloc(world.area_bytes);
	memcpy(told_log, world.area, world.area_bytes);
	for (unsigned int leg = 0; leg <= world.nr_legs; leg++)
		sim_disk_device(leg < world.nr_legs ? world.legs[leg] : world.log)->writable = true;
	world.options.dry_run = false;
}

START_TEST(a_dry_run_tells_what_will_be_done)
{
	unsigned int rounds = world_rounds(400), lies = 0, headers = 0, sources = 0;
	unsigned int against = 0;

	for (uint64_t seed = 0; seed < rounds; seed++) {
		resync_world_make_random(&world, seed + 90000000);
		run_dry();
		check_against_model(seed);
		ck_assert_uint_eq(told.bits_cleared, count_clearings());
		check_rewriting();
		against += check_agreements(seed);
		bytes_add_up(&told);
		resync_world_run(&world);
		ck_assert_int_eq(world.ret, 0);
		same_writes(seed);
		same_counts();
		check_against_disks(seed);
		lies += told.regions_lied > 0;
		headers += told.header_made_good;
		sources += world.plan.nr_runs > 0;
		teardown();
	}
	ck_assert_uint_ge(lies, rounds / 10);
	ck_assert_uint_ge(headers, rounds / 10);
	ck_assert_uint_ge(sources, rounds / 10);
	ck_assert_uint_ge(against, rounds / 40);
}
END_TEST

/* What cannot be read on the source stays; on a target it is written over, in the hope
 * that it heals. */
START_TEST(with_bad_sectors)
{
	unsigned int rounds = world_rounds(300), unread = 0, failed = 0;

	for (uint64_t seed = 0; seed < rounds; seed++) {
		uint64_t random = seed;

		resync_world_make_random(&world, seed + 91000000);
		for (unsigned int i = 0; i < 2; i++)
			sim_disk_fail(world.legs[world_below(&random, world.nr_legs)],
				      &(struct sim_fault){
				.op = BLOCK_READ, .result = -EIO, .sectors = 1 + world_below(&random, 4),
				.first = world_below(&random, world.geometry.length) });
		run_dry();
		resync_world_run(&world);
		ck_assert_int_eq(world.ret, 0);
		same_writes(seed);
		check_against_disks(seed);
		ck_assert_uint_eq(told.regions_lied, world.result.regions_lied);
		ck_assert_uint_eq(told.regions_unverified, world.result.regions_unverified);
		ck_assert_uint_le(told.regions_failed, world.result.regions_failed);
		unread += told.unreadable.nr > 0;
		failed += told.regions_failed > 0;
		teardown();
	}
	ck_assert_uint_ge(unread, rounds / 4);
	ck_assert_uint_ge(failed, rounds / 10);
}
END_TEST

/* --- what it says of the contents ---------------------------------------- */

START_TEST(contents_are_told)
{
	const struct piece *run = NULL;

	resync_world_make(&world, 2, 64, 16, 1);
	resync_world_fill(&world, 0, 0, 64, 0x11);
	resync_world_fill(&world, 1, 0, 64, 0x11);
	resync_world_fill(&world, 1, 3, 4, 0);
	resync_world_fill(&world, 1, 20, 1, 0xff);
	resync_world_fill(&world, 1, 21, 1, 0x22);
	resync_world_remember(&world);
	run_dry();
	ck_assert_uint_eq(told.written.nr, 2);
	run = told.written.pieces;
	ck_assert_uint_eq(run[0].start, 3);
	ck_assert_uint_eq(run[0].count, 4);
	ck_assert_uint_eq(run[0].held.content, CONTENT_ZEROS);
	ck_assert_uint_eq(run[0].given.content, CONTENT_REPEATED);
	ck_assert_uint_eq(run[0].given.byte, 0x11);
	ck_assert_uint_eq(run[1].count, 2);
	ck_assert_uint_eq(run[1].held.content, CONTENT_OTHER);
}
END_TEST

/* Four legs; in each region another pattern, and in one a leg that cannot be read. */
START_TEST(who_agrees)
{
	static const uint8_t patterns[][4] = {
		{ 0, 0, 0, 0 }, { 0, 1, 1, 1 }, { 0, 1, 1, 1 }, { 0, 0, 2, 2 }, { 0, 1, 2, 3 },
		{ 0, 1, 0, 1 }, { 0, 1, 1, 3 }, { 0, MIRROR_LEGS_MAX, 2, 2 },
	};
	const struct piece *run = NULL;

	resync_world_make(&world, 4, 8 * 16, 16, 1);
	/* In one sector only; in region 6 one more. */
	for (uint64_t region = 0; region < 8; region++)
		for (unsigned int leg = 0; leg < 4; leg++)
			resync_world_fill(&world, leg, region * 16 + region, 1,
					  region == 6 && leg == 3 ? 1 : patterns[region][leg]);
	resync_world_fill(&world, 3, 6 * 16 + 15, 1, 9);
	sim_disk_fail(world.legs[1], &(struct sim_fault){ .op = BLOCK_READ, .first = 7 * 16 + 3,
							  .sectors = 1, .result = -EIO });
	world.buffer_bytes = _i ? 4096 : 32768;
	resync_world_remember(&world);
	run_dry();
	ck_assert(!find_run(&told.agreement_runs, 0));
	for (uint64_t region = 1; region < 8; region++) {
		run = find_run(&told.agreement_runs, region);
		ck_assert_ptr_nonnull(run);
		ck_assert_mem_eq(told.agreements[run->kind].group, patterns[region], 4);
	}
	run = find_run(&told.agreement_runs, 1);
	ck_assert_uint_eq(run->count, 2);
	ck_assert_uint_eq(told.agreements[run->kind].regions, 2);
	ck_assert_uint_eq(told.nr_agreements, 6);
}
END_TEST

START_TEST(a_changed_mirror_ends_it)
{
	resync_world_make(&world, 2, 160, 16, 1);
	resync_world_fill(&world, 0, 0, 160, 0x11);
	world.tick_ns = UINT64_C(2000000000);
	world.changes_at = 3;
	run_dry();
	ck_assert_int_eq(told.end, RESYNC_CHANGED);
}
END_TEST

Suite *resync_dry_run_suite(void)
{
	Suite *suite = suite_create("resync_dry_run");
	TCase *tests = tcase_create("resync_dry_run");

	tcase_set_timeout(tests, 120);
	tcase_add_checked_fixture(tests, NULL, teardown);
	tcase_add_test(tests, a_dry_run_tells_what_will_be_done);
	tcase_add_test(tests, with_bad_sectors);
	tcase_add_test(tests, contents_are_told);
	tcase_add_loop_test(tests, who_agrees, 0, 2);
	tcase_add_test(tests, a_changed_mirror_ends_it);
	suite_add_tcase(suite, tests);
	return suite;
}
