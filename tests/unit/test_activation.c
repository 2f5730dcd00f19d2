/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "core/activation.h"
#include "support/audit_world.h"
#include "unit/suites.h"

static uint64_t area[4096 / 8];
static struct mirror mirror;
static struct mirror_log mlog;
static struct activation next;

/* A log of `said` regions in which regions 0 to set - 1 are clean, for a mirror
 * of 100 regions of 1024 sectors, the last one 24 sectors short. */
static void predict(uint32_t version, uint64_t said, unsigned int set, enum mirror_sync sync)
{
	uint32_t words[2] = { htole32(MIRROR_LOG_MAGIC), htole32(version) };
	unsigned char *bytes = (unsigned char *)area;
	uint64_t count = htole64(said);

	memset(area, 0, sizeof(area));
	memcpy(bytes, words, 8);
	memcpy(bytes + 8, &count, 8);
	for (unsigned int bit = 0; bit < set; bit++)
		bytes[1024 + bit / 8] |= (unsigned char)(1u << bit % 8);
	memset(&mirror, 0, sizeof(mirror));
	mirror.sync = sync;
	mirror.geometry = (struct region_geometry){ 102400 - 24, 1024, 100 };
	mirror_log_decode(&mlog, area, sizeof(area), 100);
	activation_predict(&next, &mirror, &mlog);
}

static void expect(uint64_t clean, uint64_t recovered_sectors, uint64_t trusted)
{
	ck_assert(next.loads);
	ck_assert(!next.panics);
	ck_assert_uint_eq(next.clean, clean);
	ck_assert_uint_eq(next.recovered, 100 - clean);
	ck_assert_uint_eq(next.recovered_sectors, recovered_sectors);
	ck_assert_uint_eq(next.trusted_without_bit, trusted);
}

START_TEST(from_disk)
{
	predict(2, 100, 60, MIRROR_SYNC_DEFAULT);
	expect(60, 40 * 1024 - 24, 0);
	ck_assert(!next.every_resume);
	ck_assert(!next.log_fails);
	predict(1, 100, 60, MIRROR_SYNC_DEFAULT);
	expect(60, 40 * 1024 - 24, 0);
	predict(2, 100, 100, MIRROR_SYNC_DEFAULT);
	expect(100, 0, 0);
	predict(2, 100, 0, MIRROR_SYNC_DEFAULT);
	expect(0, 102400 - 24, 0);
	predict(2, UINT64_MAX, 100, MIRROR_SYNC_DEFAULT);
	expect(100, 0, 0);
}
END_TEST

START_TEST(grown_and_shrunk)
{
	predict(2, 50, 60, MIRROR_SYNC_DEFAULT);
	expect(50, 50 * 1024 - 24, 0);
	predict(2, 5000, 60, MIRROR_SYNC_DEFAULT);
	expect(60, 40 * 1024 - 24, 0);
}
END_TEST

/* The short last region, clean or not. */
START_TEST(the_last_region_is_short)
{
	unsigned char *bytes = (unsigned char *)area;

	predict(2, 100, 0, MIRROR_SYNC_DEFAULT);
	bytes[1024 + 12] = 1 << 3;	/* region 99 */
	mirror_log_decode(&mlog, area, sizeof(area), 100);
	activation_predict(&next, &mirror, &mlog);
	expect(1, 99 * 1024, 0);
}
END_TEST

START_TEST(bad_versions)
{
	predict(3, 100, 60, MIRROR_SYNC_DEFAULT);
	expect(0, 102400 - 24, 0);
	ck_assert(next.log_fails);
	ck_assert(next.every_resume);
	/* sync and nosync make even that a new log. */
	predict(3, 100, 60, MIRROR_SYNC_SYNC);
	ck_assert(!next.log_fails);
	predict(3, 100, 60, MIRROR_SYNC_NOSYNC);
	ck_assert(!next.log_fails);
}
END_TEST

START_TEST(a_foreign_log)
{
	predict(2, 100, 60, MIRROR_SYNC_DEFAULT);
	memset(area, 'x', 4);
	mirror_log_decode(&mlog, area, sizeof(area), 100);
	activation_predict(&next, &mirror, &mlog);
	expect(0, 102400 - 24, 0);
	ck_assert(!next.log_fails);
	ck_assert(!next.every_resume);
}
END_TEST

START_TEST(sync_and_nosync)
{
	predict(2, 100, 60, MIRROR_SYNC_SYNC);
	expect(0, 102400 - 24, 0);
	ck_assert(next.every_resume);
	predict(2, 100, 60, MIRROR_SYNC_NOSYNC);
	expect(100, 0, 40);
	ck_assert(next.every_resume);
}
END_TEST

START_TEST(logs_that_do_not_load)
{
	predict(2, 100, 60, MIRROR_SYNC_DEFAULT);
	mirror_log_decode(&mlog, area, 1024, 100);
	activation_predict(&next, &mirror, &mlog);
	ck_assert(!next.loads);
	mirror.geometry = (struct region_geometry){ UINT64_C(2147483521) * 2, 2, 2147483521 };
	mirror_log_decode(&mlog, area, sizeof(area), 2147483521);
	activation_predict(&next, &mirror, &mlog);
	ck_assert(!next.loads);
	ck_assert(next.panics);
}
END_TEST

/* Sectors counted one region at a time. */
START_TEST(random_mirrors)
{
	uint64_t random = 5;

	for (unsigned int round = 0; round < world_rounds(2000); round++) {
		uint64_t region_size = UINT64_C(2) << world_below(&random, 12);
		uint64_t length = region_size + world_below(&random, region_size * 300);
		uint64_t clean = 0, sectors = 0;

		mirror.sync = MIRROR_SYNC_DEFAULT;
		ck_assert_int_eq(region_geometry_init(&mirror.geometry, length, region_size, NULL), 0);
		predict(2, world_below(&random, 400), 0, MIRROR_SYNC_DEFAULT);
		ck_assert_int_eq(region_geometry_init(&mirror.geometry, length, region_size, NULL), 0);
		for (unsigned int i = 128; i < 178; i++)
			area[i] = world_random(&random);
		mirror_log_decode(&mlog, area, sizeof(area), mirror.geometry.nr_regions);
		activation_predict(&next, &mirror, &mlog);
		for (uint64_t r = 0; r < mirror.geometry.nr_regions; r++) {
			bool believed = r < (uint32_t)mlog.header.nr_regions &&
					((unsigned char *)area)[1024 + r / 8] >> r % 8 & 1;

			clean += believed;
			if (!believed)
				sectors += region_sectors(&mirror.geometry, r);
		}
		ck_assert_uint_eq(next.clean, clean);
		ck_assert_uint_eq(next.recovered, mirror.geometry.nr_regions - clean);
		ck_assert_uint_eq(next.recovered_sectors, sectors);
	}
}
END_TEST

Suite *activation_suite(void)
{
	Suite *suite = suite_create("activation");
	TCase *tcase = tcase_create("activation");

	tcase_add_test(tcase, from_disk);
	tcase_add_test(tcase, grown_and_shrunk);
	tcase_add_test(tcase, the_last_region_is_short);
	tcase_add_test(tcase, bad_versions);
	tcase_add_test(tcase, a_foreign_log);
	tcase_add_test(tcase, sync_and_nosync);
	tcase_add_test(tcase, logs_that_do_not_load);
	tcase_add_test(tcase, random_mirrors);
	suite_add_tcase(suite, tcase);
	return suite;
}
