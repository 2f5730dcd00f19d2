/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <string.h>

#include "core/size.h"
#include "unit/suites.h"

static void bytes_are(const char *text, uint64_t bare, uint64_t expected)
{
	struct error err = { .kind = ERROR_NONE };
	uint64_t bytes = 7;

	ck_assert_msg(!size_parse_bytes(&bytes, text, bare, "--rate", &err), "%s", err.text);
	ck_assert_uint_eq(bytes, expected);
}

static void sectors_are(const char *text, uint64_t expected)
{
	struct error err = { .kind = ERROR_NONE };
	uint64_t sectors = 7;

	ck_assert_msg(!size_parse_sectors(&sectors, text, "--length", &err), "%s", err.text);
	ck_assert_uint_eq(sectors, expected);
}

static void refuse_sectors(const char *text, const char *says)
{
	struct error err = { .kind = ERROR_NONE };
	uint64_t sectors = 7;

	ck_assert_msg(size_parse_sectors(&sectors, text, "--length", &err) == -EINVAL, "\"%s\"",
		      text);
	ck_assert_int_eq(err.kind, ERROR_USAGE);
	ck_assert_msg(!strncmp(err.text, "--length: \"", 11), "%s", err.text);
	ck_assert_msg(strstr(err.text, says) != NULL, "\"%s\" lacks \"%s\"", err.text, says);
	ck_assert_uint_eq(sectors, 7);
}

START_TEST(units)
{
	bytes_are("0", 1, 0);
	bytes_are("100", 1, 100);
	bytes_are("100", 512, 51200);
	bytes_are("3b", 512, 3);
	bytes_are("3s", 1, 1536);
	bytes_are("512k", 1, 524288);
	bytes_are("512K", 1, 524288);
	bytes_are("64M", 1, 67108864);
	bytes_are("64m", 1, 67108864);
	bytes_are("2g", 1, UINT64_C(2) << 30);
	bytes_are("1T", 1, UINT64_C(1) << 40);
	bytes_are("2p", 1, UINT64_C(2) << 50);
	bytes_are("1e", 1, UINT64_C(1) << 60);
	bytes_are("1E", 1, UINT64_C(1) << 60);
	bytes_are("3S", 1, 1536);
	bytes_are("3B", 512, 3);
	sectors_are("4096", 4096);
	sectors_are("512k", 1024);
	sectors_are("1024b", 2);
	sectors_are("7s", 7);
}
END_TEST

START_TEST(limits)
{
	bytes_are("18446744073709551615", 1, UINT64_MAX);
	bytes_are("18446744073709551615b", 512, UINT64_MAX);
	bytes_are("15e", 1, UINT64_C(15) << 60);
	sectors_are("36028797018963967", UINT64_MAX / 512);
	refuse_sectors("36028797018963968", "too large");
	refuse_sectors("18446744073709551616", "too large");
	refuse_sectors("99999999999999999999999999999k", "too large");
	refuse_sectors("16e", "too large");
	refuse_sectors("18014398509481984k", "too large");
}
END_TEST

START_TEST(junk)
{
	refuse_sectors("", "\"\" is not a size");
	refuse_sectors("k", "\"k\" is not a size");
	refuse_sectors("12x", "\"12x\" is not a size");
	refuse_sectors("12kb", "is not a size");
	refuse_sectors("12KiB", "is not a size");
	refuse_sectors("-1", "is not a size");
	refuse_sectors("+1", "is not a size");
	refuse_sectors(" 1", "is not a size");
	refuse_sectors("1 ", "is not a size");
	refuse_sectors("1.5M", "is not a size");
	refuse_sectors("0x10", "is not a size");
	refuse_sectors("18446744073709551616x", "is not a size");
	refuse_sectors("513b", "multiple of 512");
	refuse_sectors("1b", "multiple of 512");
}
END_TEST

START_TEST(long_text_is_cut)
{
	struct error err = { .kind = ERROR_NONE };
	uint64_t bytes;
	char text[2000];

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	ck_assert_int_eq(size_parse_bytes(&bytes, text, 1, "--rate", &err), -EINVAL);
	ck_assert(strstr(err.text, "as in 512k") != NULL);
}
END_TEST

static void format_is(uint64_t bytes, const char *expected)
{
	char out[21];

	ck_assert_ptr_eq(size_format(out, sizeof(out), bytes), out);
	ck_assert_str_eq(out, expected);
}

START_TEST(formats)
{
	format_is(0, "0 B");
	format_is(512, "512 B");
	format_is(1023, "1023 B");
	format_is(1024, "1 KiB");
	format_is(1536, "1536 B");
	format_is(10239, "10239 B");
	format_is(10241, "10.0 KiB");
	format_is(10752, "10.5 KiB");
	format_is(512 << 10, "512 KiB");
	format_is(1 << 20, "1 MiB");
	format_is(3 << 19, "1.5 MiB");
	format_is(2552 * 512, "1.2 MiB");
	format_is(64 << 20, "64 MiB");
	format_is(UINT64_C(20) << 30, "20.0 GiB");
	format_is(UINT64_C(40812) << 19, "19.9 GiB");
	format_is(UINT64_C(1) << 40, "1.0 TiB");
	format_is((UINT64_C(1) << 50) + (UINT64_C(1) << 49), "1.5 PiB");
	format_is(UINT64_MAX, "16.0 EiB");
}
END_TEST

/* Rounding up to 1024 of a unit is one of the next. */
START_TEST(format_carries)
{
	format_is((1 << 20) - 1, "1.0 MiB");
	format_is((UINT64_C(1) << 30) - 1, "1.0 GiB");
	format_is((UINT64_C(1) << 60) - 1, "1.0 EiB");
	format_is((UINT64_C(1023) << 20) + (972 << 10), "1023.9 MiB");
	format_is((UINT64_C(1023) << 20) + (973 << 10), "1.0 GiB");
}
END_TEST

START_TEST(format_minds_its_room)
{
	char out[8] = "xxxxxxx";

	size_format(out, 5, UINT64_C(20) << 30);
	ck_assert_str_eq(out, "20.0");
	ck_assert_int_eq(out[5], 'x');
}
END_TEST

Suite *size_suite(void)
{
	Suite *suite = suite_create("size");
	TCase *tcase = tcase_create("size");

	tcase_add_test(tcase, units);
	tcase_add_test(tcase, limits);
	tcase_add_test(tcase, junk);
	tcase_add_test(tcase, long_text_is_cut);
	tcase_add_test(tcase, formats);
	tcase_add_test(tcase, format_carries);
	tcase_add_test(tcase, format_minds_its_room);
	suite_add_tcase(suite, tcase);
	return suite;
}
