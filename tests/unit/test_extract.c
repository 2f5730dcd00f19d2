/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/extract.h"
#include "support/audit_world.h"
#include "support/memory_file.h"
#include "unit/suites.h"

#define LENGTH 4096u	/* sectors */

static const char identity_text[] =
	"{\"kind\":\"block\",\"id\":\"\",\"length_bytes\":2097152,\"region_size_bytes\":65536,"
	"\"legs\":[\"wwn-a\",null],\"log\":\"wwn-c\"}";

/* --- a journal in memory, and an image that remembers what it was given -- */

static struct memory_file file;
static struct journal_source source;
static struct journal_writer writer;
static struct extract extract;
static struct error err;

static unsigned char image[LENGTH];	/* first byte of each sector, 0: nothing written */
static unsigned int nr_writes, fail_write_at;
static unsigned int nr_asked, cancel_at;

static int image_write(void *context, uint64_t start, const unsigned char *data,
		       uint64_t sectors, struct error *error)
{
	(void)context;
	if (++nr_writes == fail_write_at)
		return error_operation(error, ENOSPC, "no room");
	ck_assert_uint_ge(sectors, 1);
	ck_assert_uint_le(start + sectors, LENGTH);
	for (uint64_t i = 0; i < sectors; i++) {
		const unsigned char *sector = data + i * SECTOR_BYTES;

		/* All bytes alike: each is the one before it. */
		ck_assert_int_eq(memcmp(sector, sector + 1, SECTOR_BYTES - 1), 0);
		image[start + i] = sector[0];
	}
	return 0;
}

static bool is_cancelled(void *context)
{
	(void)context;
	return ++nr_asked == cancel_at;
}

static void setup(void)
{
	file.size = 0;
	source = memory_file_source(&file);
	source.name = "saved";
	journal_writer_init(&writer, memory_file_sink(&file));
	ck_assert_int_eq(journal_put_identity(&writer, identity_text), 0);
	memset(&extract, 0, sizeof(extract));
	memset(image, 0, sizeof(image));
	nr_writes = fail_write_at = nr_asked = cancel_at = 0;
	err.kind = ERROR_NONE;
}

static void teardown(void)
{
	extract_free(&extract);
	memory_file_free(&file);
}

/* Sectors that count up from `fill`. */
static void put(unsigned int place, enum journal_bytes_kind kind, uint64_t start,
		uint64_t sectors, unsigned char fill)
{
	unsigned char *data = malloc(sectors * SECTOR_BYTES);
	unsigned char *prints = calloc(sectors, JOURNAL_FINGERPRINT_BYTES);
	struct journal_bytes bytes = { place, kind, start, sectors, data, prints };

	for (uint64_t i = 0; i < sectors; i++)
		memset(data + i * SECTOR_BYTES, (int)(fill + i), SECTOR_BYTES);
	ck_assert_int_eq(journal_put_bytes(&writer, &bytes), 0);
	free(data);
	free(prints);
}

static int begin(size_t max_extents)
{
	extract_free(&extract);
	err.kind = ERROR_NONE;
	return extract_begin(&extract, &source, max_extents, &err);
}

static int take(unsigned int leg, const struct region_run *ranges, size_t nr_ranges)
{
	struct extract_wish wish = { .leg = leg, .ranges = ranges, .nr_ranges = nr_ranges,
				     .write = image_write };

	return extract_read(&extract, &wish, is_cancelled, NULL, &err);
}

static void is_extent(const struct extract_extents *list, size_t i, uint64_t start, uint64_t sectors)
{
	ck_assert_uint_lt(i, list->nr);
	ck_assert_uint_eq(list->extents[i].start, start);
	ck_assert_uint_eq(list->extents[i].sectors, sectors);
}

static const struct region_run everything = { 0, LENGTH - 1 };

/* --- the list ------------------------------------------------------------ */

START_TEST(lists_each_leg)
{
	struct journal_region region = { .region = 3, .nr_legs = 2 };
	struct journal_log_state state = { .area_bytes = 4096, .nr_regions = 32, .after = { 1 } };

	ck_assert_int_eq(journal_put_log_state(&writer, &state), 0);
	put(JOURNAL_LOG, JOURNAL_OLD, 0, 2, 1);
	put(0, JOURNAL_OLD, 10, 5, 1);
	put(1, JOURNAL_OLD, 10, 5, 1);
	put(0, JOURNAL_OLD, 15, 1, 1);	/* a neighbour */
	put(0, JOURNAL_OLD, LENGTH - 1, 1, 1);
	put(0, JOURNAL_OLD, 100, 10, 1);
	put(0, JOURNAL_OLD, 105, 2, 1);	/* again */
	put(0, JOURNAL_OLD, 90, 12, 1);	/* overlaps */
	put(1, JOURNAL_NEW, 200, 5, 1);	/* is no version to go back to */
	ck_assert_int_eq(journal_put_region(&writer, &region), 0);
	ck_assert_int_eq(journal_put_commit(&writer), 0);

	ck_assert_int_eq(begin(100), 0);
	ck_assert_int_eq(extract_read(&extract, NULL, NULL, NULL, &err), 0);
	ck_assert(extract.complete && extract.has_log);
	ck_assert_uint_eq(extract.nr_digests, 1);
	ck_assert_uint_eq(extract.geometry.nr_regions, 32);
	ck_assert_str_eq(extract.identity_json, identity_text);
	ck_assert_uint_eq(extract.legs[0].nr, 3);
	ck_assert_uint_eq(extract.legs[0].nr_found, 3);
	ck_assert_uint_eq(extract.legs[0].sectors, 6 + 20 + 1);
	is_extent(&extract.legs[0], 0, 10, 6);
	is_extent(&extract.legs[0], 1, 90, 20);
	is_extent(&extract.legs[0], 2, LENGTH - 1, 1);
	ck_assert_uint_eq(extract.legs[1].nr, 1);
	is_extent(&extract.legs[1], 0, 10, 5);
	ck_assert_uint_eq(extract.written.nr, 0);
}
END_TEST

START_TEST(list_is_bounded)
{
	for (uint64_t i = 0; i < 200; i++) {
		put(0, JOURNAL_OLD, 10 * i, 2, 1);
		put(1, JOURNAL_OLD, 10 * i, 3, 1);
	}
	ck_assert_int_eq(begin(7), 0);
	ck_assert_int_eq(extract_read(&extract, NULL, NULL, NULL, &err), 0);
	ck_assert(extract.legs[0].truncated && extract.legs[1].truncated);
	ck_assert_uint_eq(extract.legs[0].nr + extract.legs[1].nr, 7);
	for (unsigned int leg = 0; leg < 2; leg++) {
		ck_assert_uint_eq(extract.legs[leg].nr_found, 200);
		ck_assert_uint_eq(extract.legs[leg].sectors, 200 * (leg + 2));
	}
	/* What is wanted is all there, whatever the list keeps. */
	ck_assert_int_eq(begin(0), 0);
	ck_assert_int_eq(take(1, &everything, 1), 0);
	ck_assert_uint_eq(extract.written.nr, 200);
	ck_assert_uint_eq(extract.written.sectors, 600);
}
END_TEST

/* --- handing out --------------------------------------------------------- */

START_TEST(hands_out_what_is_wanted)
{
	static const struct region_run ranges[] = { { 0, 9 }, { 12, 13 }, { 19, 29 }, { 40, 40 } };
	unsigned char expected[LENGTH] = { 0 };

	put(1, JOURNAL_OLD, 8, 14, 100);
	put(0, JOURNAL_OLD, 8, 14, 50);
	put(1, JOURNAL_NEW, 8, 14, 70);
	put(1, JOURNAL_OLD, 30, 10, 150);
	put(1, JOURNAL_OLD, 39, 3, 200);
	put(1, JOURNAL_OLD, 20, 1, 250);	/* the last one counts */
	for (unsigned int i = 8; i < 22; i++)
		if (i <= 9 || i == 12 || i == 13 || i >= 19)
			expected[i] = (unsigned char)(100 + i - 8);
	expected[20] = 250;
	expected[40] = 201;

	ck_assert_int_eq(begin(100), 0);
	ck_assert_int_eq(take(1, ranges, 4), 0);
	ck_assert_mem_eq(image, expected, sizeof(image));
	ck_assert_uint_eq(extract.written.sectors, 2 + 2 + 3 + 1);
	is_extent(&extract.written, 0, 8, 2);
	is_extent(&extract.written, 1, 12, 2);
	is_extent(&extract.written, 2, 19, 3);
	is_extent(&extract.written, 3, 40, 1);
	ck_assert(!extract.complete);
}
END_TEST

/* Every random set of ranges over every random set of records, against a map of
 * single sectors. */
START_TEST(hands_out_any_ranges)
{
	struct region_run ranges[32];
	unsigned char expected[LENGTH] = { 0 };
	uint64_t at = 0, expected_sectors = 0;
	size_t nr = 0;

	srand((unsigned int)_i + 1);
	while (nr < 32) {
		ranges[nr].first = at + (unsigned int)rand() % 40;
		ranges[nr].last = ranges[nr].first + (unsigned int)rand() % 40;
		at = ranges[nr++].last + 2;
	}
	for (unsigned int record = 0; record < 40; record++) {
		uint64_t start = (unsigned int)rand() % 2600, sectors = 1 + (unsigned int)rand() % 60;
		unsigned char fill = (unsigned char)(1 + rand() % 190);

		put(0, JOURNAL_OLD, start, sectors, fill);
		for (uint64_t i = 0; i < sectors; i++)
			for (size_t k = 0; k < nr; k++)
				if (start + i >= ranges[k].first && start + i <= ranges[k].last)
					expected[start + i] = (unsigned char)(fill + i);
	}
	for (unsigned int i = 0; i < LENGTH; i++)
		expected_sectors += expected[i] != 0;
	ck_assert_int_eq(begin(1000), 0);
	ck_assert_int_eq(take(0, ranges, nr), 0);
	ck_assert_mem_eq(image, expected, sizeof(image));
	ck_assert_uint_eq(extract.written.sectors, expected_sectors);
	for (size_t i = 0; i < extract.written.nr; i++)
		for (uint64_t k = 0; k < extract.written.extents[i].sectors; k++)
			ck_assert_uint_ne(expected[extract.written.extents[i].start + k], 0);
}
END_TEST

/* --- files that end too soon, or are wrong ------------------------------- */

/* Every byte; where each access is checked, one here and there. */
static size_t step(void)
{
	return world_rounds(30) < 30 ? 97 : 1;
}

START_TEST(cut_anywhere)
{
	size_t whole, behind[4];
	unsigned int known;
	int r;

	behind[0] = file.size;
	for (unsigned int i = 1; i <= 2; i++) {
		put(0, JOURNAL_OLD, 100 * i, 2, (unsigned char)(10 * i));
		behind[i] = file.size;
	}
	ck_assert_int_eq(journal_put_commit(&writer), 0);
	whole = behind[3] = file.size;
	for (file.size = 0; file.size <= whole; file.size += step()) {
		memset(image, 0, sizeof(image));
		r = begin(100);
		if (file.size < behind[0]) {
			ck_assert_int_eq(r, file.size ? -ENODATA : -EBADMSG);
			ck_assert_ptr_nonnull(strstr(err.text, "saved: "));
			continue;
		}
		ck_assert_int_eq(r, 0);
		ck_assert_int_eq(take(0, &everything, 1), 0);
		for (known = 0; behind[known + 1] <= file.size && known < 2; known++)
			;
		ck_assert_uint_eq(extract.written.sectors, 2 * known);
		ck_assert_uint_eq(image[101], known >= 1 ? 11 : 0);
		ck_assert_uint_eq(image[200], known >= 2 ? 20 : 0);
		ck_assert_int_eq(extract.complete, file.size == whole);
	}
}
END_TEST

/* Behind the commit nothing that was saved can be missing. */
START_TEST(cut_outcome_is_complete)
{
	put(0, JOURNAL_OLD, 100, 2, 1);
	ck_assert_int_eq(journal_put_commit(&writer), 0);
	ck_assert_int_eq(journal_put_outcome(&writer, &(struct journal_outcome){ NULL, 0 }), 0);
	file.size -= 3;
	ck_assert_int_eq(begin(100), 0);
	ck_assert_int_eq(take(0, &everything, 1), 0);
	ck_assert(extract.complete);
}
END_TEST

START_TEST(damage_anywhere)
{
	int r;

	put(0, JOURNAL_OLD, 100, 2, 1);
	ck_assert_int_eq(journal_put_commit(&writer), 0);
	for (size_t at = 0; at < file.size; at += step()) {
		file.bytes[at] ^= 0x10;
		r = begin(100);
		if (!r)
			r = take(0, &everything, 1);
		ck_assert_int_eq(r, -EBADMSG);
		ck_assert_ptr_nonnull(strstr(err.text, "byte"));
		file.bytes[at] ^= 0x10;
	}
}
END_TEST

/* The chain is right, what it vouches for is not. */
static const struct journal_bytes impossible[] = {
	{ 2, JOURNAL_OLD, 0, 1, NULL, NULL },
	{ 8, JOURNAL_NEW, 0, 1, NULL, NULL },
	{ 0, JOURNAL_OLD, LENGTH, 1, NULL, NULL },
	{ 1, JOURNAL_OLD, LENGTH - 1, 2, NULL, NULL },
	{ 0, JOURNAL_OLD, 0, LENGTH + 1, NULL, NULL },
	{ 0, JOURNAL_OLD, REGION_LENGTH_MAX - 1, 1, NULL, NULL },
};

START_TEST(impossible_places)
{
	const struct journal_bytes *bytes = &impossible[_i];

	put(0, JOURNAL_OLD, 0, 1, 1);
	put(bytes->place, bytes->kind, bytes->start_sector, bytes->sectors, 1);
	ck_assert_int_eq(begin(100), 0);
	ck_assert_int_eq(take(0, &everything, 1), -EBADMSG);
	ck_assert_ptr_nonnull(strstr(err.text, "saved: damaged at byte "));
}
END_TEST

static const char *const identities[] = {
	"[]", "{}", "{\"kind\":\"block\"", "x",
	("{\"kind\":\"block\",\"id\":\"\",\"length_bytes\":0,\"region_size_bytes\":65536,"
	 "\"legs\":[\"a\",\"b\"],\"log\":\"c\"}"),
};

START_TEST(wrong_identities)
{
	file.size = 0;
	journal_writer_init(&writer, memory_file_sink(&file));
	ck_assert_int_eq(journal_put_identity(&writer, identities[_i]), 0);
	ck_assert_int_eq(begin(100), -EBADMSG);
	ck_assert_ptr_nonnull(strstr(err.text, "saved: "));
}
END_TEST

/* --- ends ---------------------------------------------------------------- */

START_TEST(ends_when_told)
{
	put(0, JOURNAL_OLD, 1, 1, 1);
	put(0, JOURNAL_OLD, 5, 1, 5);
	ck_assert_int_eq(begin(100), 0);
	cancel_at = 2;
	ck_assert_int_eq(take(0, &everything, 1), -ECANCELED);
	ck_assert_uint_eq(nr_writes, 1);
	ck_assert_int_eq(begin(100), 0);
	cancel_at = 0;
	fail_write_at = 3;
	ck_assert_int_eq(take(0, &everything, 1), -ENOSPC);
	ck_assert_str_eq(err.text, "no room");
	ck_assert_uint_eq(nr_writes, 3);
	extract_free(&extract);
	extract_free(&extract);
}
END_TEST

/* --- of a resync --------------------------------------------------------- */

/* What a resync overwrote: the first version of a sector counts, the ends of legs in front
 * of the commit are no part of it, and a torn end takes nothing away. */
START_TEST(overwritten_data)
{
	struct journal_log_state state = { .area_bytes = 4096, .nr_regions = 32 };
	static unsigned char area[4096];
	struct journal_bytes log = { JOURNAL_LOG, JOURNAL_OLD, 0, 8, area, NULL };
	static const unsigned char zeros[600];
	size_t whole;

	ck_assert_int_eq(journal_put_log_state(&writer, &state), 0);
	ck_assert_int_eq(journal_put_bytes(&writer, &log), 0);
	put(1, JOURNAL_OLD, 0, 128, 200);
	ck_assert_int_eq(journal_put_commit(&writer), 0);
	put(1, JOURNAL_REPLACED, 60, 4, 10);
	put(0, JOURNAL_REPLACED, 61, 1, 50);
	put(1, JOURNAL_REPLACED, 20, 2, 90);
	put(1, JOURNAL_REPLACED, 62, 4, 70);
	whole = file.size;
	if (_i == 1)
		memory_file_sink(&file).append(&file, zeros, sizeof(zeros));
	if (_i == 2)
		put(1, JOURNAL_REPLACED, 0, 1, 90);
	if (_i == 2)
		file.size -= 1;
	ck_assert_int_eq(begin(100), 0);
	ck_assert_int_eq(take(1, &everything, 1), 0);
	ck_assert(extract.open);
	ck_assert_int_eq(extract.complete, _i != 1);
	ck_assert_int_eq(extract.torn, _i == 1);
	ck_assert_uint_le(whole, file.size);
	ck_assert_uint_eq(extract.legs[1].sectors, 8);
	ck_assert_uint_eq(extract.written.sectors, 8);
	ck_assert_uint_eq(extract.written.nr, 2);
	is_extent(&extract.written, 0, 20, 2);
	is_extent(&extract.written, 1, 60, 6);
	ck_assert_uint_eq(image[60], 10);
	ck_assert_uint_eq(image[62], 12);
	ck_assert_uint_eq(image[63], 13);
	ck_assert_uint_eq(image[64], 72);
	ck_assert_uint_eq(image[20], 90);
	ck_assert_uint_eq(image[0], 0);
}
END_TEST

/* --- words --------------------------------------------------------------- */

static const struct {
	const char *text;
	int r;
	uint64_t first, last;
} ranges_in_words[] = {
	{ "0", 0, 0, 0 },
	{ "5-9", 0, 5, 9 },
	{ "7-", 0, 7, 4095 },
	{ "0-4095", 0, 0, 4095 },
	{ "4095", 0, 4095, 4095 },
	{ "4096", -EINVAL, 0, 0 },
	{ "0-4096", -EINVAL, 0, 0 },
	{ "9-5", -EINVAL, 0, 0 },
	{ "", -EINVAL, 0, 0 },
	{ "-5", -EINVAL, 0, 0 },
	{ "5-9,", -EINVAL, 0, 0 },
	{ "5--9", -EINVAL, 0, 0 },
	{ " 5", -EINVAL, 0, 0 },
	{ "5s", -EINVAL, 0, 0 },
	{ "18446744073709551616", -EINVAL, 0, 0 },
	{ "1-18446744073709551616", -EINVAL, 0, 0 },
};

START_TEST(sectors_in_words)
{
	struct region_run range = { 77, 78 };

	ck_assert_int_eq(extract_parse_sectors(&range, ranges_in_words[_i].text, LENGTH, &err),
			 ranges_in_words[_i].r);
	ck_assert_int_eq(err.kind, ranges_in_words[_i].r ? ERROR_USAGE : ERROR_NONE);
	ck_assert_uint_eq(range.first, ranges_in_words[_i].r ? 77 : ranges_in_words[_i].first);
	ck_assert_uint_eq(range.last, ranges_in_words[_i].r ? 78 : ranges_in_words[_i].last);
}
END_TEST

#define NR(array) ((int)(sizeof(array) / sizeof((array)[0])))

Suite *extract_suite(void)
{
	Suite *suite = suite_create("extract");
	TCase *tcase = tcase_create("extract");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, lists_each_leg);
	tcase_add_test(tcase, list_is_bounded);
	tcase_add_test(tcase, hands_out_what_is_wanted);
	tcase_add_loop_test(tcase, hands_out_any_ranges, 0, 50);
	tcase_add_test(tcase, cut_anywhere);
	tcase_add_test(tcase, cut_outcome_is_complete);
	tcase_add_test(tcase, damage_anywhere);
	tcase_add_loop_test(tcase, impossible_places, 0, NR(impossible));
	tcase_add_loop_test(tcase, wrong_identities, 0, NR(identities));
	tcase_add_test(tcase, ends_when_told);
	tcase_add_loop_test(tcase, overwritten_data, 0, 3);
	tcase_add_loop_test(tcase, sectors_in_words, 0, NR(ranges_in_words));
	suite_add_tcase(suite, tcase);
	return suite;
}
