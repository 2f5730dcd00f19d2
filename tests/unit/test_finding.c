/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <ctype.h>
#include <string.h>

#include "core/finding.h"
#include "unit/suites.h"

static struct finding_list list;
static struct mirror mirror;
static struct mirror_log mlog;
static const struct region_geometry geometry = { 102400, 1024, 100 };

static void setup(void)
{
	memset(&list, 0, sizeof(list));
	memset(&mirror, 0, sizeof(mirror));
	memset(&mlog, 0, sizeof(mlog));
	mlog.nr_regions = 100;
	mlog.geometry_known = true;
	mirror.nr_legs = 2;
}

static const struct finding *find(enum finding_id id)
{
	for (size_t i = 0; i < list.nr; i++)
		if (list.items[i].id == id)
			return &list.items[i];
	return NULL;
}

START_TEST(every_row_is_whole)
{
	for (unsigned int i = 0; i < FINDING_COUNT; i++) {
		const struct finding_row *row = finding_row(i);

		ck_assert_ptr_nonnull(row->id);
		ck_assert_ptr_nonnull(row->text);
		ck_assert_uint_gt(strlen(row->text), 0);
		ck_assert_uint_le(row->class, FINDING_CLASS_UNFINISHED);
		for (const char *at = row->id; *at; at++)
			ck_assert(islower((unsigned char)*at) || isdigit((unsigned char)*at) || *at == '-');
		for (unsigned int j = 0; j < i; j++)
			ck_assert_str_ne(row->id, finding_row(j)->id);
	}
}
END_TEST

START_TEST(exit_status_is_a_sum)
{
	ck_assert_int_eq(finding_exit_status(&list), 0);
	finding_add(&list, FINDING_LOG_REGIONS_UNSET, "%s", "");
	finding_add(&list, FINDING_LOG_MAGIC_FOREIGN, "%s", "");
	finding_add(&list, FINDING_LEG_MISSING, "%s", "");
	ck_assert_int_eq(finding_exit_status(&list), 0);
	finding_add(&list, FINDING_UNVERIFIABLE, "%s", "");
	ck_assert_int_eq(finding_exit_status(&list), 8);
	finding_add(&list, FINDING_BOGUS_CLEAN, "%s", "");
	finding_add(&list, FINDING_SUSPECT, "%s", "");
	ck_assert_int_eq(finding_exit_status(&list), 12);
	finding_add(&list, FINDING_UNFINISHED, "%s", "");
	ck_assert_int_eq(finding_exit_status(&list), 44);
}
END_TEST

START_TEST(exit_status_of_each)
{
	static const int status[] = { [FINDING_CLASS_NOTE] = 0, [FINDING_CLASS_WARNING] = 0,
				      [FINDING_CLASS_WRONG] = 4, [FINDING_CLASS_UNKNOWN] = 8,
				      [FINDING_CLASS_UNFINISHED] = 32 };

	for (unsigned int i = 0; i < FINDING_COUNT; i++) {
		list.nr = 0;
		finding_add(&list, i, "%s", "");
		ck_assert_int_eq(finding_exit_status(&list), status[finding_row(i)->class]);
	}
	ck_assert_int_eq(finding_row(FINDING_BOGUS_CLEAN)->class, FINDING_CLASS_WRONG);
	ck_assert_int_eq(finding_row(FINDING_SUSPECT)->class, FINDING_CLASS_WRONG);
	ck_assert_int_eq(finding_row(FINDING_UNVERIFIABLE)->class, FINDING_CLASS_UNKNOWN);
	ck_assert_int_eq(finding_row(FINDING_CHANGED)->class, FINDING_CLASS_UNKNOWN);
	ck_assert_int_eq(finding_row(FINDING_UNFINISHED)->class, FINDING_CLASS_UNFINISHED);
	ck_assert_int_eq(finding_row(FINDING_LOG_MAGIC_ZERO)->class, FINDING_CLASS_WARNING);
	ck_assert_int_eq(finding_row(FINDING_LOG_MAGIC_FOREIGN)->class, FINDING_CLASS_WARNING);
}
END_TEST

START_TEST(the_list_is_bounded)
{
	char long_text[1000];

	memset(long_text, 'x', sizeof(long_text) - 1);
	long_text[sizeof(long_text) - 1] = '\0';
	for (unsigned int i = 0; i < FINDINGS_MAX + 10; i++)
		finding_add(&list, FINDING_NOTE, "%s", long_text);
	ck_assert_uint_eq(list.nr, FINDINGS_MAX);
	ck_assert_uint_eq(strlen(list.items[FINDINGS_MAX - 1].detail), sizeof(list.items[0].detail) - 1);
}
END_TEST

/* Each defect alone gives its one finding. */
START_TEST(one_finding_a_defect)
{
	static const struct { uint32_t defect; enum finding_id id; } cases[] = {
		{ LOG_MAGIC_ZERO, FINDING_LOG_MAGIC_ZERO },
		{ LOG_MAGIC_FOREIGN, FINDING_LOG_MAGIC_FOREIGN },
		{ LOG_MAGIC_BIG_ENDIAN, FINDING_LOG_MAGIC_BIG_ENDIAN },
		{ LOG_HEADER_GARBAGE | LOG_MAGIC_ZERO | LOG_PADDING_SET, FINDING_LOG_HEADER_GARBAGE },
		{ LOG_VERSION_ONE, FINDING_LOG_VERSION_ONE },
		{ LOG_VERSION_UNKNOWN, FINDING_LOG_VERSION_UNKNOWN },
		{ LOG_REGIONS_UNSET, FINDING_LOG_REGIONS_UNSET },
		{ LOG_REGIONS_WRAP, FINDING_LOG_REGIONS_WRAP },
		{ LOG_REGIONS_FEWER, FINDING_LOG_REGIONS_FEWER },
		{ LOG_REGIONS_MORE, FINDING_LOG_REGIONS_MORE },
		{ LOG_BITS_DISCARDED, FINDING_LOG_BITS_DISCARDED },
		{ LOG_PADDING_SET, FINDING_LOG_PADDING_SET },
		{ LOG_PADDING_SET | LOG_PADDING_ONES, FINDING_LOG_PADDING_ONES },
		{ LOG_TAIL_SET, FINDING_LOG_TAIL_SET },
		{ LOG_TOO_SMALL, FINDING_LOG_TOO_SMALL },
		{ LOG_HEADER_TRUNCATED | LOG_TOO_SMALL, FINDING_LOG_HEADER_TRUNCATED },
		{ LOG_PANICS_KERNEL, FINDING_LOG_PANICS_KERNEL },
	};

	mlog.defects = cases[_i].defect;
	mlog.header.nr_regions = 90;
	finding_add_log_defects(&list, &mlog, &geometry);
	ck_assert_uint_eq(list.nr, 1);
	ck_assert_int_eq(list.items[0].id, cases[_i].id);
}
END_TEST

START_TEST(no_defect_no_finding)
{
	finding_add_log_defects(&list, &mlog, &geometry);
	ck_assert_uint_eq(list.nr, 0);
}
END_TEST

/* The only tripwire for a wrong region size: what would match is proposed. */
START_TEST(what_would_match_is_proposed)
{
	mlog.defects = LOG_REGIONS_FEWER;
	mlog.header.nr_regions = 50;
	finding_add_log_defects(&list, &mlog, &geometry);
	ck_assert_msg(strstr(list.items[0].detail, "--length=51200s") != NULL, "%s", list.items[0].detail);
	ck_assert_msg(strstr(list.items[0].detail, "--region-size=2048s") != NULL, "%s",
		      list.items[0].detail);
	/* A log alone has nothing to be compared with. */
	list.nr = 0;
	mlog.geometry_known = false;
	finding_add_log_defects(&list, &mlog, &geometry);
	ck_assert_uint_eq(list.nr, 0);
}
END_TEST

START_TEST(a_good_mirror)
{
	mirror.handle_errors = KNOWN_YES;
	mirror.legs[0].health = mirror.legs[1].health = mirror.log.health = 'A';
	mirror.activity = MIRROR_ACTIVE;
	mirror.status_known = true;
	mirror.in_sync = mlog.clean = 100;
	finding_add_mirror(&list, &mirror, &mlog);
	ck_assert_uint_eq(list.nr, 0);
}
END_TEST

START_TEST(more_clean_than_in_sync)
{
	mirror.activity = MIRROR_ACTIVE;
	mirror.status_known = true;
	mirror.in_sync = 99;
	mlog.clean = 100;
	finding_add_mirror(&list, &mirror, &mlog);
	ck_assert_ptr_nonnull(find(FINDING_MORE_CLEAN_THAN_SYNC));
	ck_assert_int_eq(finding_exit_status(&list), 4);
	list.nr = 0;
	finding_add_mirror(&list, &mirror, NULL);
	ck_assert_uint_eq(list.nr, 0);
	mirror.status_known = false;
	finding_add_mirror(&list, &mirror, &mlog);
	ck_assert_uint_eq(list.nr, 0);
	mirror.status_known = true;
	mirror.activity = MIRROR_INACTIVE;
	finding_add_mirror(&list, &mirror, &mlog);
	ck_assert_uint_eq(list.nr, 0);
}
END_TEST

START_TEST(table_and_health)
{
	const struct finding *health;
	mirror.sync = MIRROR_SYNC_NOSYNC;
	mirror.handle_errors = KNOWN_NO;
	mirror.nr_legs = MIRROR_LEGS_MAX;
	for (unsigned int leg = 0; leg < MIRROR_LEGS_MAX; leg++) {
		mirror.legs[leg].health = "DFSRUDFSR"[leg];
		mirror.legs[leg].missing = true;
	}
	mirror.log.health = 'D';
	finding_add_mirror(&list, &mirror, NULL);
	ck_assert_uint_eq(list.nr, 2 + 9 + 9 + 1);
	ck_assert_ptr_nonnull(find(FINDING_TABLE_NOSYNC));
	ck_assert_ptr_nonnull(find(FINDING_NO_HANDLE_ERRORS));
	ck_assert_ptr_nonnull(find(FINDING_HEALTH_LOG));
	ck_assert_ptr_null(find(FINDING_TABLE_SYNC));
	health = find(FINDING_HEALTH_LEG);
	ck_assert_ptr_nonnull(health);
	ck_assert_msg(strstr(health->detail, "leg 0: 'D'") != NULL, "%s", health->detail);
	mirror.sync = MIRROR_SYNC_SYNC;
	finding_add_mirror(&list, &mirror, NULL);
	ck_assert_ptr_nonnull(find(FINDING_TABLE_SYNC));
}
END_TEST

Suite *finding_suite(void)
{
	Suite *suite = suite_create("finding");
	TCase *tcase = tcase_create("finding");

	tcase_add_checked_fixture(tcase, setup, NULL);
	tcase_add_test(tcase, every_row_is_whole);
	tcase_add_test(tcase, exit_status_is_a_sum);
	tcase_add_test(tcase, exit_status_of_each);
	tcase_add_test(tcase, the_list_is_bounded);
	tcase_add_loop_test(tcase, one_finding_a_defect, 0, 17);
	tcase_add_test(tcase, no_defect_no_finding);
	tcase_add_test(tcase, what_would_match_is_proposed);
	tcase_add_test(tcase, a_good_mirror);
	tcase_add_test(tcase, more_clean_than_in_sync);
	tcase_add_test(tcase, table_and_health);
	suite_add_tcase(suite, tcase);
	return suite;
}
