/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <string.h>

#include "core/region.h"
#include "unit/suites.h"

static struct region_geometry geometry_of(uint64_t length, uint64_t region_size)
{
	struct region_geometry geometry;

	ck_assert_int_eq(region_geometry_init(&geometry, length, region_size, NULL), 0);
	return geometry;
}

static void refuse(uint64_t length, uint64_t region_size, const char *says)
{
	struct region_geometry geometry = { 7, 7, 7 };
	struct error err = { .kind = ERROR_NONE };

	ck_assert_int_eq(region_geometry_init(&geometry, length, region_size, &err), -EINVAL);
	ck_assert_int_eq(err.kind, ERROR_USAGE);
	ck_assert_msg(strstr(err.text, says) != NULL, "\"%s\" lacks \"%s\"", err.text, says);
	ck_assert_uint_eq(geometry.length, 7);
	ck_assert_uint_eq(geometry.region_size, 7);
	ck_assert_uint_eq(geometry.nr_regions, 7);
}

START_TEST(whole_regions)
{
	struct region_geometry geometry = geometry_of(16384, 128);

	ck_assert_uint_eq(geometry.nr_regions, 128);
	ck_assert_uint_eq(region_start(&geometry, 127), 16256);
	ck_assert_uint_eq(region_sectors(&geometry, 127), 128);
	ck_assert_uint_eq(region_of_sector(&geometry, 16383), 127);
	ck_assert_uint_eq(region_of_sector(&geometry, 127), 0);
	ck_assert_uint_eq(region_of_sector(&geometry, 128), 1);
}
END_TEST

START_TEST(last_region_is_short)
{
	struct region_geometry geometry = geometry_of(1025, 512);

	ck_assert_uint_eq(geometry.nr_regions, 3);
	ck_assert_uint_eq(region_sectors(&geometry, 0), 512);
	ck_assert_uint_eq(region_sectors(&geometry, 2), 1);
	ck_assert_uint_eq(region_run_sectors(&geometry, (struct region_run){ 0, 2 }), 1025);
	ck_assert_uint_eq(region_run_sectors(&geometry, (struct region_run){ 1, 2 }), 513);
	ck_assert_uint_eq(region_run_sectors(&geometry, (struct region_run){ 1, 1 }), 512);
	ck_assert_uint_eq(region_run_sectors(&geometry, (struct region_run){ 2, 2 }), 1);
}
END_TEST

START_TEST(smallest_and_largest)
{
	struct region_geometry geometry = geometry_of(2, 2);

	ck_assert_uint_eq(geometry.nr_regions, 1);
	geometry = geometry_of(REGION_COUNT_MAX * 2, 2);
	ck_assert_uint_eq(geometry.nr_regions, REGION_COUNT_MAX);
	ck_assert_uint_eq(region_start(&geometry, REGION_COUNT_MAX - 1),
			  (REGION_COUNT_MAX - 1) * 2);
	geometry = geometry_of(REGION_COUNT_MAX * 2 - 1, 2);
	ck_assert_uint_eq(geometry.nr_regions, REGION_COUNT_MAX);
	geometry = geometry_of(REGION_LENGTH_MAX, REGION_SIZE_MAX);
	ck_assert_uint_eq(geometry.nr_regions, (REGION_LENGTH_MAX >> 31) + 1);
	ck_assert_uint_eq(region_sectors(&geometry, geometry.nr_regions - 1), REGION_SIZE_MAX - 1);
	ck_assert_uint_eq(region_run_sectors(&geometry,
			  (struct region_run){ 0, geometry.nr_regions - 1 }), REGION_LENGTH_MAX);
}
END_TEST

START_TEST(refusals)
{
	refuse(1024, 0, "below the smallest");
	refuse(1024, 1, "below the smallest");
	refuse(1024, 3, "3 sectors is not a power of two");
	refuse(1024, 1000, "power of two");
	refuse(1024, 2048, "larger than the mirror's 1024 sectors");
	refuse(0, 2, "larger than the mirror's 0 sectors");
	refuse(REGION_LENGTH_MAX, REGION_SIZE_MAX * 2, "above the largest");
	refuse(REGION_COUNT_MAX * 2 + 1, 2, "4294967296 regions");
	refuse(REGION_LENGTH_MAX + 1, 1 << 22, "any block device");
	refuse(UINT64_MAX, REGION_SIZE_MAX, "any block device");
}
END_TEST

START_TEST(first_error_is_kept)
{
	struct region_geometry geometry;
	struct error err = { .kind = ERROR_NONE };

	ck_assert_int_eq(region_geometry_init(&geometry, 1024, 3, &err), -EINVAL);
	ck_assert_int_eq(region_geometry_init(&geometry, 1024, 2048, &err), -EINVAL);
	ck_assert(strstr(err.text, "power of two") != NULL);
	ck_assert_int_eq(region_geometry_init(&geometry, 1024, 3, NULL), -EINVAL);
}
END_TEST

START_TEST(errors_are_one_line)
{
	struct error err = { .kind = ERROR_NONE };
	char hostile[2 * ERROR_TEXT_BYTES];

	ck_assert_int_eq(error_operation(&err, EIO, "leg \"a\nb\033[2J\177c\": %s",
					 error_reason(-EIO)), -EIO);
	ck_assert_int_eq(err.kind, ERROR_OPERATION);
	ck_assert_str_eq(err.text, "leg \"a?b?[2J?c\": input/output error");

	memset(hostile, 'x', sizeof(hostile) - 1);
	hostile[sizeof(hostile) - 1] = '\0';
	err.kind = ERROR_NONE;
	ck_assert_int_eq(error_usage(&err, "%s", hostile), -EINVAL);
	ck_assert_uint_eq(strlen(err.text), sizeof(err.text) - 1);
	ck_assert_str_eq(err.text + sizeof(err.text) - 5, " ...");
}
END_TEST

START_TEST(errors_are_never_success)
{
	ck_assert_int_eq(error_operation(NULL, ENOSPC, "x"), -ENOSPC);
	ck_assert_int_eq(error_operation(NULL, -ENOSPC, "x"), -ENOSPC);
	ck_assert_int_eq(error_operation(NULL, 0, "x"), -EIO);
}
END_TEST

START_TEST(reasons)
{
	static const int met[] = {
		EIO, ENOMEM, ENOENT, EACCES, EPERM, EBUSY, ENXIO, ENODEV, EINVAL, ENOSPC,
		EROFS, ETIMEDOUT, EOVERFLOW, ENODATA, EREMOTEIO, EILSEQ, ENOTBLK, EISDIR,
		EAGAIN, ECANCELED, EOPNOTSUPP, EBADMSG, ENOTDIR, ELOOP, EMFILE, EFBIG,
	};
	size_t i, j;

	for (i = 0; i < sizeof(met) / sizeof(met[0]); i++) {
		ck_assert_str_ne(error_reason(met[i]), "unknown error");
		ck_assert_ptr_eq(error_reason(met[i]), error_reason(-met[i]));
		for (j = 0; j < i; j++)
			ck_assert_str_ne(error_reason(met[i]), error_reason(met[j]));
	}
	ck_assert_str_eq(error_reason(ENODATA), "end of device reached");
	ck_assert_str_eq(error_reason(99999), "unknown error");
	ck_assert_str_eq(error_reason(INT32_MIN), "unknown error");
}
END_TEST

Suite *region_suite(void)
{
	Suite *suite = suite_create("region");
	TCase *tcase = tcase_create("geometry");

	tcase_add_test(tcase, whole_regions);
	tcase_add_test(tcase, last_region_is_short);
	tcase_add_test(tcase, smallest_and_largest);
	tcase_add_test(tcase, refusals);
	suite_add_tcase(suite, tcase);
	tcase = tcase_create("error");
	tcase_add_test(tcase, first_error_is_kept);
	tcase_add_test(tcase, errors_are_one_line);
	tcase_add_test(tcase, errors_are_never_success);
	tcase_add_test(tcase, reasons);
	suite_add_tcase(suite, tcase);
	return suite;
}
