/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>

#include "core/compare.h"
#include "support/audit_world.h"
#include "unit/suites.h"

static unsigned char sectors[MIRROR_LEGS_MAX][SECTOR_BYTES];
static struct sector_comparison seen;

/* One character a leg: equal letters hold equal text, '.' cannot be read, '0' is
 * zeros. */
static void compare(const char *legs)
{
	const unsigned char *data[MIRROR_LEGS_MAX] = { NULL };
	unsigned int nr_legs = (unsigned int)strlen(legs);

	for (unsigned int i = 0; i < nr_legs; i++) {
		world_fill(sectors[i], (unsigned char)legs[i], legs[i] == '0' ? HOLDS_ZEROS : HOLDS_TEXT);
		data[i] = legs[i] == '.' ? NULL : sectors[i];
	}
	memset(&seen, 0xee, sizeof(seen));
	compare_sector(&seen, data, nr_legs);
}

START_TEST(contents)
{
	unsigned char sector[SECTOR_BYTES];
	uint8_t byte;

	for (unsigned int value = 0; value < 256; value++) {
		memset(sector, (int)value, sizeof(sector));
		ck_assert_int_eq(content_of_sector(sector, &byte), value == 0 ? CONTENT_ZEROS :
				 value == 255 ? CONTENT_ONES : CONTENT_REPEATED);
		ck_assert_uint_eq(byte, value);
		for (unsigned int at = 0; at < SECTOR_BYTES; at += 7) {
			sector[at] ^= 1;
			ck_assert_int_eq(content_of_sector(sector, &byte), CONTENT_OTHER);
			sector[at] ^= 1;
		}
		sector[511] ^= 0x80;
		ck_assert_int_eq(content_of_sector(sector, &byte), CONTENT_OTHER);
	}
}
END_TEST

START_TEST(one_bit)
{
	unsigned char a[SECTOR_BYTES], b[SECTOR_BYTES];

	world_fill(a, 1, HOLDS_TEXT);
	memcpy(b, a, sizeof(b));
	ck_assert(!sectors_differ_in_one_bit(a, b));
	for (unsigned int bit = 0; bit < SECTOR_BYTES * 8; bit++) {
		b[bit / 8] ^= (unsigned char)(1u << bit % 8);
		ck_assert(sectors_differ_in_one_bit(a, b));
		ck_assert(sectors_differ_in_one_bit(b, a));
		b[(bit + 1) % 4096 / 8] ^= (unsigned char)(1u << (bit + 1) % 8);
		ck_assert(!sectors_differ_in_one_bit(a, b));
		memcpy(b, a, sizeof(b));
	}
}
END_TEST

START_TEST(groups)
{
	static const struct {
		const char *legs;
		unsigned int reference, differs, unreadable;
		uint8_t group[MIRROR_LEGS_MAX];
	} cases[] = {
		{ "aa", 0, 0, 0, { 0, 0 } },
		{ "ab", 0, 2, 0, { 0, 1 } },
		{ "aba", 0, 2, 0, { 0, 1, 0 } },
		{ "abb", 0, 6, 0, { 0, 1, 1 } },
		{ "abc", 0, 6, 0, { 0, 1, 2 } },
		{ ".ab", 1, 4, 1, { 9, 1, 2 } },
		{ ".aa", 1, 0, 1, { 9, 1, 1 } },
		{ "a.b", 0, 4, 2, { 0, 9, 2 } },
		{ "..a", 2, 0, 3, { 9, 9, 2 } },
		{ "...", 9, 0, 7, { 9, 9, 9 } },
		{ "..abab", 2, 40, 3, { 9, 9, 2, 3, 2, 3 } },
		{ "abcabcabc", 0, 0x1b6, 0, { 0, 1, 2, 0, 1, 2, 0, 1, 2 } },
		{ "aaaaaaaab", 0, 0x100, 0, { 0, 0, 0, 0, 0, 0, 0, 0, 8 } },
		{ "abcdefghi", 0, 0x1fe, 0, { 0, 1, 2, 3, 4, 5, 6, 7, 8 } },
	};

	compare(cases[_i].legs);
	ck_assert_uint_eq(seen.reference, cases[_i].reference);
	ck_assert_uint_eq(seen.differs, cases[_i].differs);
	ck_assert_uint_eq(seen.unreadable, cases[_i].unreadable);
	ck_assert_mem_eq(seen.group, cases[_i].group, sizeof(seen.group));
}
END_TEST

START_TEST(contents_are_told_of_what_differs)
{
	compare("a0");
	ck_assert_int_eq(seen.content[0], CONTENT_OTHER);
	ck_assert_int_eq(seen.content[1], CONTENT_ZEROS);
	compare("0a0");
	ck_assert_int_eq(seen.content[0], CONTENT_ZEROS);
	ck_assert_int_eq(seen.content[2], CONTENT_ZEROS);
	compare("00");
	ck_assert_int_eq(seen.content[0], CONTENT_OTHER);
}
END_TEST

START_TEST(one_bit_against_the_reference)
{
	const unsigned char *data[4] = { NULL, sectors[1], sectors[2], sectors[3] };

	world_fill(sectors[1], 5, HOLDS_TEXT);
	world_fill(sectors[2], 5, HOLDS_FLIPPED);
	world_fill(sectors[3], 5, HOLDS_OTHER);
	compare_sector(&seen, data, 4);
	ck_assert_uint_eq(seen.reference, 1);
	ck_assert_uint_eq(seen.differs, 0xc);
	ck_assert_uint_eq(seen.one_bit, 0x4);
}
END_TEST

/* A difference in any byte of the sector counts. */
START_TEST(every_byte_counts)
{
	const unsigned char *data[2] = { sectors[0], sectors[1] };

	for (unsigned int at = 0; at < SECTOR_BYTES; at++) {
		world_fill(sectors[0], 3, HOLDS_TEXT);
		world_fill(sectors[1], 3, HOLDS_TEXT);
		sectors[1][at]++;
		compare_sector(&seen, data, 2);
		ck_assert_uint_eq(seen.differs, 2);
	}
}
END_TEST

Suite *compare_suite(void)
{
	Suite *suite = suite_create("compare");
	TCase *tcase = tcase_create("compare");

	tcase_add_test(tcase, contents);
	tcase_add_test(tcase, one_bit);
	tcase_add_loop_test(tcase, groups, 0, 14);
	tcase_add_test(tcase, contents_are_told_of_what_differs);
	tcase_add_test(tcase, one_bit_against_the_reference);
	tcase_add_test(tcase, every_byte_counts);
	suite_add_tcase(suite, tcase);
	return suite;
}
