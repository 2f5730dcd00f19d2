/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>

#include "core/cause.h"
#include "unit/suites.h"

static struct audit_result result;
static struct mirror mirror;
static struct mirror_log mlog;

static void setup(void)
{
	memset(&result, 0, sizeof(result));
	memset(&mirror, 0, sizeof(mirror));
	memset(&mlog, 0, sizeof(mlog));
	run_list_init(&result.runs, 100);
	region_verdicts_init(&result.regions, 100);
	mirror.nr_legs = 2;
	mirror.handle_errors = KNOWN_YES;
	mirror.log_kind = MIRROR_LOG_DISK;
}

static void teardown(void)
{
	audit_result_free(&result);
}

static void add_run(enum verdict verdict, uint64_t start, uint64_t sectors,
		    enum content leg0, enum content leg1)
{
	struct sector_run run = { .verdict = verdict, .leg = 1, .start = start, .sectors = sectors,
				  .content = leg1, .against_content = leg0 };

	ck_assert_int_eq(run_list_add(&result.runs, &run), 0);
}

static void add_regions(enum verdict verdict, uint64_t first, uint64_t last)
{
	ck_assert_int_eq(region_verdicts_add(&result.regions, verdict, first, last), 0);
}

static unsigned int evidence(void)
{
	ck_assert_int_eq(run_list_finish(&result.runs), 0);
	return evidence_collect(&result, &mirror, &mlog);
}

static bool fits(unsigned int bits, const char *id)
{
	const struct cause_row *cause;
	size_t index = 0;

	while ((cause = cause_next(bits, &index)))
		if (!strcmp(cause->id, id))
			return true;
	return false;
}

/* ---- the table -------------------------------------------------------------------- */

/* The rows, whatever is in them: with all evidence that they want and none that
 * they exclude each fits, and each one bit of the latter excludes it. */
START_TEST(every_cause_can_fit_and_be_excluded)
{
	static const struct { const char *id; unsigned int some, none; } rows[] = {
		{ "interrupted-sync", EVIDENCE_BOGUS,
		  EVIDENCE_LEG0_EMPTY | EVIDENCE_SINGLE_BITS | EVIDENCE_NEVER_RESUMED },
		{ "nosync", EVIDENCE_BOGUS | EVIDENCE_NOSYNC, 0 },
		{ "nosync", EVIDENCE_BOGUS | EVIDENCE_MOST, 0 },
		{ "nosync", EVIDENCE_BOGUS | EVIDENCE_LARGE_SHARE, 0 },
		{ "failed-recovery", EVIDENCE_BOGUS | EVIDENCE_OTHERS_ZERO | EVIDENCE_NO_HANDLE_ERRORS, 0 },
		{ "lost-log-write", EVIDENCE_BOGUS | EVIDENCE_NO_HANDLE_ERRORS, EVIDENCE_SINGLE_BITS },
		{ "leg-write-error", EVIDENCE_BOGUS | EVIDENCE_HANDLE_ERRORS_UNKNOWN,
		  EVIDENCE_SINGLE_BITS | EVIDENCE_MOST },
		{ "lost-cache", EVIDENCE_BOGUS, EVIDENCE_SINGLE_BITS | EVIDENCE_MOST },
		{ "switched-leg", EVIDENCE_BOGUS | EVIDENCE_LETTERS, EVIDENCE_SINGLE_BITS },
		{ "written-behind", EVIDENCE_BOGUS, 0 },
		{ "wrong-mapping", EVIDENCE_BOGUS | EVIDENCE_COUNT_MISMATCH, 0 },
		{ "wrong-mapping", EVIDENCE_BOGUS | EVIDENCE_MOST, 0 },
		{ "discard", EVIDENCE_BOGUS | EVIDENCE_SIDE_EMPTY, EVIDENCE_SINGLE_BITS },
		{ "unstable-page", EVIDENCE_BOGUS | EVIDENCE_SMALL_RUNS, EVIDENCE_SINGLE_BITS },
		{ "bit-flip", EVIDENCE_BOGUS | EVIDENCE_SINGLE_BITS, 0 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		ck_assert_msg(fits(rows[i].some, rows[i].id), "%s", rows[i].id);
		for (unsigned int bit = 1; bit <= EVIDENCE_NEVER_RESUMED; bit <<= 1) {
			if (rows[i].some & bit)	/* less than needed */
				ck_assert_msg(!fits(rows[i].some & ~bit, rows[i].id), "%s without %#x",
					      rows[i].id, bit);
			else if (rows[i].none & bit)
				ck_assert_msg(!fits(rows[i].some | bit, rows[i].id), "%s with %#x",
					      rows[i].id, bit);
			else
				ck_assert_msg(fits(rows[i].some | bit, rows[i].id), "%s also with %#x",
					      rows[i].id, bit);
		}
	}
}
END_TEST

START_TEST(rows_are_whole)
{
	static const char *seen[32];
	const struct cause_row *cause;
	unsigned int nr = 0;

	/* Every row fits some evidence: it must, or it is never shown. */
	for (unsigned int bits = 0; bits < EVIDENCE_NEVER_RESUMED * 2; bits++) {
		size_t index = 0;

		while ((cause = cause_next(bits, &index))) {
			unsigned int i = 0;

			ck_assert(bits & EVIDENCE_BOGUS);
			while (i < nr && strcmp(seen[i], cause->id))
				i++;
			if (i < nr)
				continue;
			ck_assert_uint_gt(strlen(cause->text), 20);
			ck_assert(!(cause->all & cause->none));
			ck_assert(!(cause->any & cause->none));
			seen[nr++] = cause->id;
		}
	}
	ck_assert_uint_eq(nr, 12);
}
END_TEST

START_TEST(nothing_found_has_no_cause)
{
	size_t index = 0;

	ck_assert_ptr_null(cause_next(~EVIDENCE_BOGUS, &index));
}
END_TEST

/* ---- evidence --------------------------------------------------------------------------- */

START_TEST(an_audit_without_lies)
{
	add_run(VERDICT_RESYNC_PENDING, 0, 5, CONTENT_OTHER, CONTENT_ZEROS);
	add_run(VERDICT_UNVERIFIABLE, 100, 5, CONTENT_OTHER, CONTENT_ZEROS);
	add_regions(VERDICT_VERIFIED, 0, 10);
	add_regions(VERDICT_RESYNC_PENDING, 11, 99);
	ck_assert_uint_eq(evidence(), 0);
}
END_TEST

/* What the fixtures of the 2006 bug look like: scattered above a good stretch,
 * other legs zeros or older data. */
START_TEST(an_interrupted_first_sync)
{
	unsigned int bits;

	add_run(VERDICT_BOGUS_CLEAN, 8000, 16, CONTENT_OTHER, CONTENT_ZEROS);
	add_run(VERDICT_BOGUS_CLEAN, 9000, 300, CONTENT_OTHER, CONTENT_OTHER);
	add_regions(VERDICT_VERIFIED, 0, 500);
	add_regions(VERDICT_BOGUS_CLEAN, 501, 501);
	add_regions(VERDICT_VERIFIED, 502, 560);
	add_regions(VERDICT_BOGUS_CLEAN, 561, 562);
	mirror.handle_errors = KNOWN_NOT;
	bits = evidence();
	ck_assert_uint_eq(bits, EVIDENCE_BOGUS | EVIDENCE_SCATTERED | EVIDENCE_OTHERS_ZERO |
			  EVIDENCE_SIDE_EMPTY | EVIDENCE_HANDLE_ERRORS_UNKNOWN);
	ck_assert(fits(bits, "interrupted-sync"));
	ck_assert(fits(bits, "failed-recovery"));
	ck_assert(!fits(bits, "nosync"));
	ck_assert(!fits(bits, "bit-flip"));
	ck_assert(!fits(bits, "wrong-mapping"));
}
END_TEST

START_TEST(leg0_is_the_empty_side)
{
	unsigned int bits;

	add_run(VERDICT_BOGUS_CLEAN, 8000, 16, CONTENT_ZEROS, CONTENT_OTHER);
	add_run(VERDICT_BOGUS_CLEAN, 9000, 16, CONTENT_ONES, CONTENT_OTHER);
	add_regions(VERDICT_BOGUS_CLEAN, 0, 0);
	add_regions(VERDICT_VERIFIED, 1, 100);
	bits = evidence();
	ck_assert_uint_eq(bits, EVIDENCE_BOGUS | EVIDENCE_LEG0_EMPTY | EVIDENCE_SIDE_EMPTY);
	ck_assert(!fits(bits, "interrupted-sync"));
	/* One run that speaks against it is enough. */
	add_run(VERDICT_BOGUS_CLEAN, 9999, 16, CONTENT_OTHER, CONTENT_OTHER);
	ck_assert(!(evidence() & EVIDENCE_LEG0_EMPTY));
}
END_TEST

/* Without leg 0 nothing is known of it. */
START_TEST(the_reference_is_not_leg0)
{
	struct sector_run run = { .verdict = VERDICT_BOGUS_CLEAN, .leg = 2, .against = 1, .start = 9,
				  .sectors = 16, .content = CONTENT_OTHER,
				  .against_content = CONTENT_ZEROS };

	mirror.nr_legs = 3;
	run_list_add(&result.runs, &run);
	add_regions(VERDICT_BOGUS_CLEAN, 0, 0);
	add_regions(VERDICT_VERIFIED, 1, 100);
	ck_assert_uint_eq(evidence(), EVIDENCE_BOGUS | EVIDENCE_SIDE_EMPTY);
	run.start = 100;
	run.content = CONTENT_ZEROS;
	run.against_content = CONTENT_OTHER;
	run_list_add(&result.runs, &run);
	ck_assert(!(evidence() & EVIDENCE_OTHERS_ZERO));
}
END_TEST

START_TEST(flipped_bits)
{
	struct sector_run run = { .verdict = VERDICT_BOGUS_CLEAN, .leg = 1, .start = 9, .sectors = 1,
				  .one_bit = true };
	unsigned int bits;

	run_list_add(&result.runs, &run);
	add_regions(VERDICT_BOGUS_CLEAN, 3, 3);
	add_regions(VERDICT_VERIFIED, 4, 100);
	bits = evidence();
	ck_assert_uint_eq(bits, EVIDENCE_BOGUS | EVIDENCE_SINGLE_BITS | EVIDENCE_SMALL_RUNS);
	ck_assert(fits(bits, "bit-flip"));
	ck_assert(!fits(bits, "interrupted-sync"));
	ck_assert(!fits(bits, "unstable-page"));
	add_run(VERDICT_BOGUS_CLEAN, 100, 8, CONTENT_OTHER, CONTENT_OTHER);
	ck_assert_uint_eq(evidence(), EVIDENCE_BOGUS | EVIDENCE_SMALL_RUNS);
	add_run(VERDICT_BOGUS_CLEAN, 200, 9, CONTENT_OTHER, CONTENT_OTHER);
	ck_assert_uint_eq(evidence(), EVIDENCE_BOGUS);
}
END_TEST

/* What was not kept may speak against "every". */
START_TEST(truncated_runs)
{
	run_list_free(&result.runs);
	run_list_init(&result.runs, 1);
	add_run(VERDICT_BOGUS_CLEAN, 1, 1, CONTENT_ZEROS, CONTENT_OTHER);
	add_run(VERDICT_BOGUS_CLEAN, 3, 1, CONTENT_ZEROS, CONTENT_OTHER);
	ck_assert_uint_eq(evidence(), EVIDENCE_BOGUS | EVIDENCE_SIDE_EMPTY);
}
END_TEST

START_TEST(shares)
{
	static const struct { uint64_t lies, good; unsigned int bits; } cases[] = {
		{ 1, 0, EVIDENCE_MOST | EVIDENCE_LARGE_SHARE },
		{ 51, 49, EVIDENCE_MOST | EVIDENCE_LARGE_SHARE },
		{ 50, 50, EVIDENCE_LARGE_SHARE }, { 11, 89, EVIDENCE_LARGE_SHARE },
		{ 10, 90, 0 }, { 1, 9, 0 }, { 1, 8, EVIDENCE_LARGE_SHARE }, { 1, 100, 0 },
	};

	result.regions.count[_i % 2 ? VERDICT_SUSPECT : VERDICT_BOGUS_CLEAN] = cases[_i].lies;
	result.regions.count[VERDICT_VERIFIED] = cases[_i].good;
	ck_assert_uint_eq(evidence(), cases[_i].bits);
}
END_TEST

START_TEST(what_the_mirror_says)
{
	mirror.sync = MIRROR_SYNC_NOSYNC;
	ck_assert_uint_eq(evidence(), EVIDENCE_NOSYNC);
	mirror.sync = MIRROR_SYNC_DEFAULT;
	mlog.defects = LOG_PADDING_SET | LOG_PADDING_ONES;
	ck_assert_uint_eq(evidence(), EVIDENCE_NOSYNC);
	mlog.defects = LOG_REGIONS_UNSET;
	ck_assert_uint_eq(evidence(), EVIDENCE_NEVER_RESUMED);
	mlog.defects = LOG_REGIONS_FEWER;
	ck_assert_uint_eq(evidence(), EVIDENCE_COUNT_MISMATCH);
	mlog.defects = LOG_REGIONS_MORE;
	ck_assert_uint_eq(evidence(), EVIDENCE_COUNT_MISMATCH);
	mlog.defects = 0;
	mirror.handle_errors = KNOWN_NO;
	ck_assert_uint_eq(evidence(), EVIDENCE_NO_HANDLE_ERRORS);
	mirror.handle_errors = KNOWN_YES;
	mirror.legs[0].health = mirror.legs[1].health = mirror.log.health = 'A';
	ck_assert_uint_eq(evidence(), 0);
	mirror.legs[1].health = 'D';
	ck_assert_uint_eq(evidence(), EVIDENCE_LETTERS);
	mirror.legs[1].health = 'A';
	mirror.log.health = 'F';
	ck_assert_uint_eq(evidence(), EVIDENCE_LETTERS);
	mirror.log.health = 0;
	ck_assert_uint_eq(evidence_collect(&result, &mirror, NULL), 0);
	mirror.log_kind = MIRROR_LOG_CORE;
	ck_assert_uint_eq(evidence_collect(&result, &mirror, NULL), EVIDENCE_CORE_LOG);
}
END_TEST

Suite *cause_suite(void)
{
	Suite *suite = suite_create("cause");
	TCase *tcase = tcase_create("cause");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, every_cause_can_fit_and_be_excluded);
	tcase_add_test(tcase, rows_are_whole);
	tcase_add_test(tcase, nothing_found_has_no_cause);
	tcase_add_test(tcase, an_audit_without_lies);
	tcase_add_test(tcase, an_interrupted_first_sync);
	tcase_add_test(tcase, leg0_is_the_empty_side);
	tcase_add_test(tcase, the_reference_is_not_leg0);
	tcase_add_test(tcase, flipped_bits);
	tcase_add_test(tcase, truncated_runs);
	tcase_add_loop_test(tcase, shares, 0, 8);
	tcase_add_test(tcase, what_the_mirror_says);
	suite_add_tcase(suite, tcase);
	return suite;
}
