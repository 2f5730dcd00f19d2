/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/region_list.h"
#include "unit/suites.h"

/* The list as text again, in its normal form. */
static void expect(const char *text, uint64_t nr_regions, const char *normal)
{
	struct region_list list;
	struct error err = { .kind = ERROR_NONE };
	char out[512];
	size_t i, used = 0;

	ck_assert_msg(!region_list_parse(&list, text, nr_regions, &err), "%s", err.text);
	ck_assert_int_eq(err.kind, ERROR_NONE);
	for (i = 0; i < list.nr_runs; i++)
		used += (size_t)snprintf(out + used, sizeof(out) - used, "%s%" PRIu64 "-%" PRIu64,
					 i ? "," : "", list.runs[i].first, list.runs[i].last);
	ck_assert_str_eq(out, normal);
	region_list_free(&list);
	ck_assert_ptr_eq(list.runs, NULL);
	region_list_free(&list);
}

static void refuse(const char *text, uint64_t nr_regions, const char *says)
{
	struct region_list list = { (struct region_run *)&list, 9 };
	struct error err = { .kind = ERROR_NONE };

	ck_assert_msg(region_list_parse(&list, text, nr_regions, &err) == -EINVAL, "\"%s\"", text);
	ck_assert_int_eq(err.kind, ERROR_USAGE);
	ck_assert_msg(strstr(err.text, says) != NULL, "\"%s\" lacks \"%s\"", err.text, says);
	ck_assert_ptr_eq(list.runs, NULL);
	ck_assert_uint_eq(list.nr_runs, 0);
}

START_TEST(forms)
{
	expect("5", 10, "5-5");
	expect("0", 1, "0-0");
	expect("5-9", 10, "5-9");
	expect("5,7-9,100-", 200, "5-5,7-9,100-199");
	expect("0-", 200, "0-199");
	expect("199-", 200, "199-199");
	expect("007", 8, "7-7");
	expect("4294967294", 4294967295, "4294967294-4294967294");
}
END_TEST

START_TEST(sorted_and_merged)
{
	expect("9,1,5", 10, "1-1,5-5,9-9");
	expect("5,5,5", 10, "5-5");
	expect("1-3,4-6", 10, "1-6");
	expect("4-6,1-3", 10, "1-6");
	expect("1-8,2-3", 10, "1-8");
	expect("1-8,2-3,5-9", 10, "1-9");
	expect("1-2,4-5", 10, "1-2,4-5");
	expect("8-,2-,5", 10, "2-9");
}
END_TEST

START_TEST(refusals)
{
	refuse("", 10, "empty item");
	refuse(",", 10, "empty item");
	refuse("1,", 10, "empty item");
	refuse("1,,2", 10, "empty item");
	refuse(",1", 10, "empty item");
	refuse("-", 10, "\"-\" is not a region");
	refuse("-5", 10, "\"-5\" is not a region");
	refuse("1--5", 10, "\"1--5\" is not a region");
	refuse("1-5-7", 10, "\"1-5-7\" is not a region");
	refuse("1-x", 10, "\"1-x\" is not a region");
	refuse("+1", 10, "\"+1\" is not a region");
	refuse(" 1", 10, "\" 1\" is not a region");
	refuse("1 ", 10, "\"1 \" is not a region");
	refuse("0x5", 10, "\"0x5\" is not a region");
	refuse("1,2;3", 10, "\"2;3\" is not a region");
	refuse("3,5-4,1", 10, "\"5-4\" runs backwards");
	refuse("1,10", 10, "\"10\" is beyond the end: the last region is 9");
	refuse("5-10", 10, "\"5-10\" is beyond the end");
	refuse("10-", 10, "\"10-\" is beyond the end");
	refuse("18446744073709551616", 10, "beyond the end");
	refuse("1-99999999999999999999999999", 10, "beyond the end");
	refuse("0", 0, "no regions");
	refuse("0-", 0, "no regions");
}
END_TEST

/* More items than anybody types, each of them a run of its own. */
START_TEST(many_items)
{
	enum { ITEMS = 20000 };
	struct region_list list;
	char *text = malloc(ITEMS * 8), *at = text;
	unsigned int i;

	ck_assert_ptr_nonnull(text);
	for (i = ITEMS; i > 0; i--)
		at += sprintf(at, "%s%u", i == ITEMS ? "" : ",", i * 2);
	ck_assert_int_eq(region_list_parse(&list, text, 2 * ITEMS + 1, NULL), 0);
	ck_assert_uint_eq(list.nr_runs, ITEMS);
	for (i = 0; i < ITEMS; i++)
		ck_assert_uint_eq(list.runs[i].first, (i + 1) * 2);
	region_list_free(&list);
	free(text);
}
END_TEST

Suite *region_list_suite(void)
{
	Suite *suite = suite_create("region_list");
	TCase *tcase = tcase_create("region_list");

	tcase_add_test(tcase, forms);
	tcase_add_test(tcase, sorted_and_merged);
	tcase_add_test(tcase, refusals);
	tcase_add_test(tcase, many_items);
	suite_add_tcase(suite, tcase);
	return suite;
}
