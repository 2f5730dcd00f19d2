/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>

#include "core/run_list.h"
#include "support/audit_world.h"
#include "unit/suites.h"

static struct run_list list;
static struct region_verdicts regions;

static void setup(void)
{
	run_list_init(&list, 1000);
	region_verdicts_init(&regions, 1000);
}

static void teardown(void)
{
	run_list_free(&list);
	region_verdicts_free(&regions);
}

static struct sector_run piece_of(enum verdict verdict, unsigned int leg, uint64_t start)
{
	return (struct sector_run){ .verdict = verdict, .leg = leg, .start = start, .sectors = 1 };
}

static void add(enum verdict verdict, unsigned int leg, uint64_t start)
{
	struct sector_run piece = piece_of(verdict, leg, start);

	ck_assert_int_eq(run_list_add(&list, &piece), 0);
}

static void finish(size_t nr)
{
	ck_assert_int_eq(run_list_finish(&list), 0);
	ck_assert_uint_eq(list.nr, nr);
}

static void expect(size_t i, enum verdict verdict, unsigned int leg, uint64_t start, uint64_t sectors)
{
	ck_assert_int_eq(list.runs[i].verdict, verdict);
	ck_assert_uint_eq(list.runs[i].leg, leg);
	ck_assert_uint_eq(list.runs[i].start, start);
	ck_assert_uint_eq(list.runs[i].sectors, sectors);
}

START_TEST(names)
{
	static const char *const words[VERDICT_COUNT] = {
		"verified", "bogus_clean", "equal_not_clean", "resync_pending", "unverifiable",
		"suspect", "transient", "busy", "not_compared" };

	for (unsigned int i = 0; i < VERDICT_COUNT; i++)
		ck_assert_str_eq(verdict_name(i), words[i]);
}
END_TEST

START_TEST(neighbours_merge)
{
	add(VERDICT_BOGUS_CLEAN, 1, 10);
	add(VERDICT_BOGUS_CLEAN, 1, 11);
	add(VERDICT_BOGUS_CLEAN, 1, 13);
	finish(2);
	expect(0, VERDICT_BOGUS_CLEAN, 1, 10, 2);
	expect(1, VERDICT_BOGUS_CLEAN, 1, 13, 1);
	ck_assert_uint_eq(list.nr_runs[VERDICT_BOGUS_CLEAN], 2);
	ck_assert_uint_eq(list.sectors[VERDICT_BOGUS_CLEAN], 3);
}
END_TEST

START_TEST(what_keeps_neighbours_apart)
{
	struct sector_run piece = piece_of(VERDICT_UNVERIFIABLE, 1, 10);

	piece.error = 5;
	run_list_add(&list, &piece);
	piece.start = 11;
	piece.error = 61;
	run_list_add(&list, &piece);
	piece.start = 12;
	piece.against = 2;
	run_list_add(&list, &piece);
	add(VERDICT_BOGUS_CLEAN, 1, 13);
	add(VERDICT_BOGUS_CLEAN, 2, 14);
	finish(5);
}
END_TEST

/* Legs and verdicts take turns, and each still merges its own. */
START_TEST(interleaved_and_sorted)
{
	for (uint64_t sector = 0; sector < 4; sector++) {
		add(VERDICT_UNVERIFIABLE, 0, sector);
		add(VERDICT_BOGUS_CLEAN, 2, sector);
		add(VERDICT_BOGUS_CLEAN, 1, sector);
	}
	add(VERDICT_BOGUS_CLEAN, 2, 7);
	finish(4);
	expect(0, VERDICT_BOGUS_CLEAN, 1, 0, 4);
	expect(1, VERDICT_BOGUS_CLEAN, 2, 0, 4);
	expect(2, VERDICT_BOGUS_CLEAN, 2, 7, 1);
	expect(3, VERDICT_UNVERIFIABLE, 0, 0, 4);
}
END_TEST

START_TEST(what_a_run_holds)
{
	struct sector_run piece = piece_of(VERDICT_BOGUS_CLEAN, 1, 10);

	piece.content = CONTENT_REPEATED;
	piece.byte = 7;
	piece.against_content = CONTENT_ZEROS;
	piece.one_bit = true;
	piece.equal_legs = 0xc;
	run_list_add(&list, &piece);
	ck_assert(list.open[VERDICT_BOGUS_CLEAN][1].one_bit);
	piece.start = 11;
	piece.equal_legs = 0x4;
	run_list_add(&list, &piece);
	piece.start = 20;
	run_list_add(&list, &piece);
	piece.start = 21;
	piece.byte = 8;
	piece.against_content = CONTENT_ONES;
	piece.against_byte = 0xff;
	run_list_add(&list, &piece);
	finish(2);
	ck_assert_int_eq(list.runs[0].content, CONTENT_REPEATED);
	ck_assert_uint_eq(list.runs[0].byte, 7);
	ck_assert_int_eq(list.runs[0].against_content, CONTENT_ZEROS);
	ck_assert_uint_eq(list.runs[0].equal_legs, 0x4);
	ck_assert(!list.runs[0].one_bit);
	ck_assert_int_eq(list.runs[1].content, CONTENT_OTHER);
	ck_assert_int_eq(list.runs[1].against_content, CONTENT_OTHER);
}
END_TEST

START_TEST(truncated_and_counted)
{
	for (size_t max = 0; max < 130; max += 13) {
		run_list_free(&list);
		run_list_init(&list, max);
		for (uint64_t i = 0; i < 300; i++)
			add(VERDICT_BOGUS_CLEAN, 1, i * 2);
		finish(max);
		ck_assert(list.truncated);
		ck_assert_uint_eq(list.nr_runs[VERDICT_BOGUS_CLEAN], 300);
		ck_assert_uint_eq(list.sectors[VERDICT_BOGUS_CLEAN], 300);
		for (size_t i = 0; i < max; i++)
			expect(i, VERDICT_BOGUS_CLEAN, 1, i * 2, 1);
	}
}
END_TEST

START_TEST(just_enough_room)
{
	run_list_free(&list);
	run_list_init(&list, 3);
	for (uint64_t i = 0; i < 3; i++)
		add(VERDICT_BOGUS_CLEAN, 1, i * 2);
	finish(3);
	ck_assert(!list.truncated);
}
END_TEST

START_TEST(rolled_back)
{
	struct run_list mark;

	add(VERDICT_BOGUS_CLEAN, 1, 1);
	add(VERDICT_BOGUS_CLEAN, 1, 3);
	mark = list;
	for (uint64_t i = 4; i < 500; i++)
		add(i % 3 ? VERDICT_BOGUS_CLEAN : VERDICT_UNVERIFIABLE, (unsigned int)i % 2, i);
	run_list_rollback(&list, &mark);
	add(VERDICT_BOGUS_CLEAN, 1, 4);
	finish(2);
	expect(0, VERDICT_BOGUS_CLEAN, 1, 1, 1);
	expect(1, VERDICT_BOGUS_CLEAN, 1, 3, 2);
	ck_assert_uint_eq(list.sectors[VERDICT_BOGUS_CLEAN], 3);
	ck_assert_uint_eq(list.sectors[VERDICT_UNVERIFIABLE], 0);
	ck_assert_uint_eq(list.nr_runs[VERDICT_UNVERIFIABLE], 0);
}
END_TEST

START_TEST(region_runs)
{
	region_verdicts_add(&regions, VERDICT_VERIFIED, 0, 4);
	region_verdicts_add(&regions, VERDICT_VERIFIED, 5, 5);
	region_verdicts_add(&regions, VERDICT_BUSY, 6, 6);
	region_verdicts_add(&regions, VERDICT_VERIFIED, 7, 8);
	region_verdicts_add(&regions, VERDICT_VERIFIED, 10, 10);
	ck_assert_uint_eq(regions.nr, 4);
	ck_assert_uint_eq(regions.runs[0].last, 5);
	ck_assert_uint_eq(regions.runs[2].first, 7);
	ck_assert_uint_eq(regions.runs[3].first, 10);
	ck_assert_uint_eq(regions.count[VERDICT_VERIFIED], 9);
	ck_assert_uint_eq(regions.count[VERDICT_BUSY], 1);
	ck_assert(!regions.truncated);
}
END_TEST

START_TEST(region_runs_truncated)
{
	region_verdicts_free(&regions);
	region_verdicts_init(&regions, 4);
	for (uint64_t i = 0; i < 20; i++)
		region_verdicts_add(&regions, i % 2 ? VERDICT_VERIFIED : VERDICT_BOGUS_CLEAN, i, i);
	ck_assert_uint_eq(regions.nr, 4);
	ck_assert(regions.truncated);
	ck_assert_uint_eq(regions.truncated_at, 4);
	ck_assert_uint_eq(regions.count[VERDICT_VERIFIED], 10);
	ck_assert_uint_eq(regions.count[VERDICT_BOGUS_CLEAN], 10);
	ck_assert_uint_eq(regions.runs[3].last, 3);
}
END_TEST

/* A region that would continue the last listed run is not listed either once
 * something before it was left out. */
START_TEST(nothing_is_listed_behind_the_cut)
{
	region_verdicts_free(&regions);
	region_verdicts_init(&regions, 1);
	region_verdicts_add(&regions, VERDICT_VERIFIED, 0, 0);
	region_verdicts_add(&regions, VERDICT_BUSY, 1, 1);
	region_verdicts_add(&regions, VERDICT_VERIFIED, 2, 2);
	ck_assert_uint_eq(regions.nr, 1);
	ck_assert_uint_eq(regions.runs[0].last, 0);
	ck_assert_uint_eq(regions.truncated_at, 1);
}
END_TEST

Suite *run_list_suite(void)
{
	Suite *suite = suite_create("run_list");
	TCase *tcase = tcase_create("run_list");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, names);
	tcase_add_test(tcase, neighbours_merge);
	tcase_add_test(tcase, what_keeps_neighbours_apart);
	tcase_add_test(tcase, interleaved_and_sorted);
	tcase_add_test(tcase, what_a_run_holds);
	tcase_add_test(tcase, truncated_and_counted);
	tcase_add_test(tcase, just_enough_room);
	tcase_add_test(tcase, rolled_back);
	tcase_add_test(tcase, region_runs);
	tcase_add_test(tcase, region_runs_truncated);
	tcase_add_test(tcase, nothing_is_listed_behind_the_cut);
	suite_add_tcase(suite, tcase);
	return suite;
}
