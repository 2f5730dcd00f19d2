/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/log_area.h"
#include "support/sim_disk.h"
#include "unit/suites.h"

static struct sim_disk *disk;
static struct block_engine *engine;
static struct log_area area;
static struct error err;

static void setup(void)
{
	engine = sim_engine_create(8, 1, 4096, 5);
	memset(&err, 0, sizeof(err));
}

static void teardown(void)
{
	log_area_free(&area);
	block_engine_destroy(engine);
	sim_disk_destroy(disk);
}

/* Every byte of the disk tells where it is; the header says `nr_regions`. */
static void make_log(uint64_t bytes, uint32_t block_sectors, uint64_t nr_regions)
{
	uint32_t words[4] = { htole32(MIRROR_LOG_MAGIC), htole32(2) };
	uint64_t le = htole64(nr_regions);
	unsigned char *content = malloc(bytes);

	for (uint64_t at = 0; at < bytes; at++)
		content[at] = (unsigned char)(at % 251);
	memcpy(words + 2, &le, 8);
	disk = sim_disk_create("the log", bytes, block_sectors);
	sim_disk_poke(disk, 0, content, bytes);
	sim_disk_poke(disk, 0, words, 16);
	free(content);
}

static int read_log(uint64_t nr_regions)
{
	return log_area_read(&area, engine, sim_disk_device(disk), nr_regions, &err);
}

static void expect_bytes(uint64_t nr_bytes)
{
	unsigned char *want = malloc(nr_bytes + 1);

	ck_assert_uint_eq(area.nr_bytes, nr_bytes);
	sim_disk_peek(disk, 0, want, nr_bytes);
	ck_assert(!memcmp(want, area.bytes, nr_bytes));
	ck_assert_uint_eq((uintptr_t)area.bytes % 4096, 0);
	free(want);
}

START_TEST(as_much_as_the_mirror_needs)
{
	make_log(65536, 1, 7);
	ck_assert_int_eq(read_log(4096), 0);
	expect_bytes(1536);
	log_area_free(&area);
	ck_assert_int_eq(read_log(4097), 0);
	expect_bytes(2048);
}
END_TEST

START_TEST(as_much_as_the_header_says)
{
	make_log(65536, 1, 8192);
	ck_assert_int_eq(read_log(0), 0);
	expect_bytes(2048);
}
END_TEST

START_TEST(blocks_of_4096)
{
	make_log(65536, 8, 7);
	ck_assert_int_eq(read_log(100), 0);
	expect_bytes(4096);
	log_area_free(&area);
	ck_assert_int_eq(read_log(8 * 3072 + 1), 0);
	expect_bytes(8192);
	log_area_free(&area);
	ck_assert_int_eq(read_log(1 << 20), 0);
	expect_bytes(65536);
}
END_TEST

START_TEST(short_devices)
{
	static const uint64_t sizes[] = { 0, 100, 512, 1000, 1024, 1536, 4096 };
	uint64_t bytes = sizes[_i];

	make_log(bytes + 16, 1, 1 << 20);
	sim_disk_device(disk)->sectors = bytes / 512;
	sim_disk_device(disk)->extents[0].sectors = bytes / 512;
	ck_assert_int_eq(read_log(1 << 20), 0);
	ck_assert_ptr_nonnull(area.bytes);
	expect_bytes(bytes / 512 * 512);
}
END_TEST

/* Nothing is sized by the header, whatever it says. */
START_TEST(header_beyond_all_bounds)
{
	static const uint64_t said[] = { UINT64_MAX, UINT64_MAX - 1, UINT64_C(1) << 63,
					 UINT64_C(1) << 32, UINT32_MAX };

	make_log(1 << 20, 1, said[_i]);
	ck_assert_int_eq(read_log(0), 0);
	expect_bytes(1 << 20);
}
END_TEST

START_TEST(several_mebibytes)
{
	make_log(9 << 20, 1, 7);
	ck_assert_int_eq(read_log(UINT64_C(8) * (8 << 20)), 0);
	expect_bytes((8 << 20) + 1024);
}
END_TEST

START_TEST(more_requests_than_the_queue_holds)
{
	make_log(40 << 20, 8, 7);
	ck_assert_int_eq(read_log(UINT64_C(8) * (40 << 20)), 0);
	expect_bytes(40 << 20);
}
END_TEST

/* A read error anywhere names the block. */
START_TEST(read_errors_are_named)
{
	static const struct {
		uint32_t block_sectors;
		uint64_t sector;
		const char *says;
	} cases[] = {
		{ 1, 0, "sectors 0-0" }, { 1, 1, "sectors 1-1" }, { 1, 2, "sectors 2-2" },
		{ 1, 2047, "sectors 2047-2047" }, { 1, 2048, "sectors 2048-2048" },
		{ 1, 4098, "sectors 4098-4098" }, { 8, 3, "sectors 0-7" }, { 8, 4097, "sectors 4096-4103" },
	};

	make_log(4 << 20, cases[_i].block_sectors, 7);
	sim_disk_fail(disk, &(struct sim_fault){ .op = BLOCK_READ, .first = cases[_i].sector,
						 .sectors = 1, .result = -EIO });
	ck_assert_int_eq(read_log(UINT64_C(8) * (3 << 20)), -EIO);
	ck_assert_int_eq(err.kind, ERROR_OPERATION);
	ck_assert_msg(!strncmp(err.text, "the log: ", 9), "%s", err.text);
	ck_assert_msg(strstr(err.text, cases[_i].says) != NULL, "%s", err.text);
	ck_assert_msg(strstr(err.text, error_reason(EIO)) != NULL, "%s", err.text);
	ck_assert_ptr_null(area.bytes);
}
END_TEST

/* Once is enough: what was read at another time is another log. */
START_TEST(a_passing_error_is_an_error)
{
	make_log(65536, 1, 7);
	sim_disk_fail(disk, &(struct sim_fault){ .op = BLOCK_READ, .first = 20, .sectors = 1,
						 .result = -EIO, .times = 1 });
	ck_assert_int_eq(read_log(100000), -EIO);
	ck_assert_ptr_null(area.bytes);
}
END_TEST

START_TEST(error_behind_what_is_needed)
{
	make_log(65536, 1, 7);
	sim_disk_fail(disk, &(struct sim_fault){ .op = BLOCK_READ, .first = 3, .sectors = 100,
						 .result = -EIO });
	ck_assert_int_eq(read_log(4096), 0);
	expect_bytes(1536);
}
END_TEST

START_TEST(device_gets_shorter)
{
	make_log(65536, 1, 7);
	sim_disk_truncate(disk, 8192);
	ck_assert_int_eq(read_log(300000), -ENODATA);
	ck_assert_msg(strstr(err.text, "sectors 16-16") != NULL, "%s", err.text);
}
END_TEST

START_TEST(no_device_at_all)
{
	make_log(65536, 1, 7);
	sim_disk_device(disk)->nr_extents = 0;
	ck_assert_int_eq(read_log(100), -EINVAL);
	ck_assert_msg(!strncmp(err.text, "the log: cannot be read: ", 25), "%s", err.text);
}
END_TEST

static bool wants_to_stop(void *context)
{
	return ++*(unsigned int *)context >= 3;
}

START_TEST(cancelled)
{
	unsigned int asked = 0;

	make_log(30 << 20, 1, 7);
	engine->cancelled = wants_to_stop;
	engine->cancelled_context = &asked;
	ck_assert_int_eq(read_log(UINT64_C(8) * (29 << 20)), -ECANCELED);
	ck_assert_msg(strstr(err.text, "interrupted") != NULL, "%s", err.text);
	ck_assert_uint_eq(engine->in_flight, 0);
}
END_TEST

START_TEST(reads_only)
{
	make_log(65536, 1, 7);
	ck_assert_int_eq(read_log(100000), 0);
	ck_assert_uint_eq(sim_disk_counters(disk)->writes, 0);
	ck_assert_uint_eq(sim_disk_counters(disk)->flushes, 0);
}
END_TEST

/* What stands there now, or still what stood there. */
START_TEST(renewed)
{
	static const unsigned char other[4] = { 0x55, 0, 0, 0 };
	struct mirror_log log = { 0 };
	void *bytes;

	make_log(65536, 1, 1000);
	ck_assert_int_eq(log_area_renew(&area, &log, engine, sim_disk_device(disk), 1000, &err), 0);
	ck_assert_uint_eq(log.header.nr_regions, 1000);
	ck_assert_ptr_eq(log.raw_bits.words, (char *)area.bytes + 1024);
	sim_disk_poke(disk, 1024, other, 4);
	ck_assert_int_eq(log_area_renew(&area, &log, engine, sim_disk_device(disk), 1000, &err), 0);
	ck_assert_ptr_eq(log.raw_bits.words, (char *)area.bytes + 1024);
	ck_assert(bitmap_test(&log.raw_bits, 0) && !bitmap_test(&log.raw_bits, 1));
	expect_bytes(1536);
	bytes = area.bytes;
	sim_disk_fail(disk, &(struct sim_fault){ .op = BLOCK_READ, .first = 2, .sectors = 1,
						 .result = -EIO });
	ck_assert_int_eq(log_area_renew(&area, &log, engine, sim_disk_device(disk), 1000, &err), -EIO);
	ck_assert_ptr_eq(area.bytes, bytes);
	ck_assert_ptr_eq(log.raw_bits.words, (char *)bytes + 1024);
}
END_TEST

Suite *log_area_suite(void)
{
	Suite *suite = suite_create("log_area");
	TCase *tcase = tcase_create("log_area");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, as_much_as_the_mirror_needs);
	tcase_add_test(tcase, as_much_as_the_header_says);
	tcase_add_test(tcase, blocks_of_4096);
	tcase_add_loop_test(tcase, short_devices, 0, 7);
	tcase_add_loop_test(tcase, header_beyond_all_bounds, 0, 5);
	tcase_add_test(tcase, several_mebibytes);
	tcase_add_test(tcase, more_requests_than_the_queue_holds);
	tcase_add_loop_test(tcase, read_errors_are_named, 0, 8);
	tcase_add_test(tcase, a_passing_error_is_an_error);
	tcase_add_test(tcase, error_behind_what_is_needed);
	tcase_add_test(tcase, device_gets_shorter);
	tcase_add_test(tcase, no_device_at_all);
	tcase_add_test(tcase, cancelled);
	tcase_add_test(tcase, reads_only);
	tcase_add_test(tcase, renewed);
	suite_add_tcase(suite, tcase);
	return suite;
}
