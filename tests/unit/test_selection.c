/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>

#include "core/selection.h"
#include "support/audit_world.h"
#include "unit/suites.h"

static struct selection selection;
static struct bitmap clean;
static struct region_list list;

static void teardown(void)
{
	selection_free(&selection);
	bitmap_free(&clean);
	region_list_free(&list);
	memset(&selection, 0, sizeof(selection));
}

static void make(enum selection_scope scope, uint64_t nr_regions)
{
	selection.scope = scope;
	ck_assert_int_eq(selection_make(&selection, nr_regions, &clean, &list), 0);
	ck_assert_uint_le(selection.regions.nr_bits, nr_regions);
}

/* The log may hold fewer bits than the mirror has regions, and junk behind them. */
START_TEST(the_clean_ones)
{
	uint64_t random = 3 + (uint64_t)_i;
	uint64_t nr_bits = _i < 200 ? (uint64_t)_i : world_below(&random, 5000);
	uint64_t nr_regions = nr_bits + 1 + world_below(&random, 200), count = 0;

	ck_assert_int_eq(bitmap_alloc(&clean, nr_bits + 64), 0);
	for (uint64_t word = 0; word < bitmap_bytes(nr_bits + 64) / 8; word++)
		clean.words[word] = world_random(&random);
	clean.nr_bits = nr_bits;
	make(SELECT_CLEAN, nr_regions);
	for (uint64_t bit = 0; bit < nr_regions; bit++) {
		bool want = bit < nr_bits && bitmap_test(&clean, bit);

		ck_assert_uint_eq(bit < selection.regions.nr_bits &&
				  bitmap_test(&selection.regions, bit), want);
		count += want;
	}
	ck_assert_uint_eq(selection.population, count);
}
END_TEST

/* A sample is drawn from a copy: all of it is the clean ones. */
START_TEST(a_sample_that_is_all)
{
	uint64_t nr_bits = 1 + (uint64_t)_i;

	ck_assert_int_eq(bitmap_alloc(&clean, nr_bits), 0);
	bitmap_set_run(&clean, 0, nr_bits - 1);
	selection.sampled = true;
	selection.size.percent = 100;
	make(SELECT_CLEAN, nr_bits + 10);
	ck_assert_uint_eq(selection.population, nr_bits);
	ck_assert_uint_eq(bitmap_count(&selection.regions), nr_bits);
	ck_assert_uint_eq(bitmap_count_run(&selection.regions, 0, nr_bits - 1), nr_bits);
	ck_assert_uint_eq(bitmap_count(&clean), nr_bits);
}
END_TEST

START_TEST(all_of_them)
{
	ck_assert_int_eq(bitmap_alloc(&clean, 100), 0);
	make(SELECT_ALL, 130);
	ck_assert_uint_eq(bitmap_count(&selection.regions), 130);
	ck_assert_uint_eq(selection.population, 130);
}
END_TEST

START_TEST(those_that_are_named)
{
	ck_assert_int_eq(bitmap_alloc(&clean, 100), 0);
	ck_assert_int_eq(region_list_parse(&list, "5,7-9,90-", 100, NULL), 0);
	make(SELECT_LIST, 100);
	ck_assert_uint_eq(selection.population, 1 + 3 + 10);
	ck_assert(bitmap_test(&selection.regions, 5));
	ck_assert(!bitmap_test(&selection.regions, 6));
	ck_assert(bitmap_test(&selection.regions, 99));
}
END_TEST

/* A sample is of the scope, and the same for the same seed. */
START_TEST(a_sample_of_the_clean_ones)
{
	struct bitmap first;

	ck_assert_int_eq(bitmap_alloc(&clean, 1000), 0);
	bitmap_set_run(&clean, 100, 599);
	selection.sampled = true;
	selection.size.count = 50;
	selection.seed = 9;
	make(SELECT_CLEAN, 1000);
	ck_assert_uint_eq(selection.population, 500);
	ck_assert_uint_eq(bitmap_count(&selection.regions), 50);
	ck_assert_uint_eq(bitmap_count_run(&selection.regions, 100, 599), 50);
	first = selection.regions;
	make(SELECT_CLEAN, 1000);
	ck_assert_mem_eq(first.words, selection.regions.words, bitmap_bytes(1000));
	selection_free(&selection);
	selection.seed = 10;
	make(SELECT_CLEAN, 1000);
	ck_assert_int_ne(memcmp(first.words, selection.regions.words, bitmap_bytes(1000)), 0);
	bitmap_free(&first);
}
END_TEST

START_TEST(a_sample_larger_than_all)
{
	ck_assert_int_eq(bitmap_alloc(&clean, 100), 0);
	bitmap_set_run(&clean, 3, 12);
	selection.sampled = true;
	selection.size.count = 50;
	make(SELECT_CLEAN, 100);
	ck_assert_uint_eq(bitmap_count(&selection.regions), 10);
}
END_TEST

Suite *selection_suite(void)
{
	Suite *suite = suite_create("selection");
	TCase *tcase = tcase_create("selection");

	tcase_add_checked_fixture(tcase, NULL, teardown);
	tcase_add_loop_test(tcase, the_clean_ones, 0, 230);
	tcase_add_loop_test(tcase, a_sample_that_is_all, 0, 130);
	tcase_add_test(tcase, all_of_them);
	tcase_add_test(tcase, those_that_are_named);
	tcase_add_test(tcase, a_sample_of_the_clean_ones);
	tcase_add_test(tcase, a_sample_larger_than_all);
	suite_add_tcase(suite, tcase);
	return suite;
}
