/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "io/claims.h"
#include "io/device.h"
#include "io/engine.h"
#include "support/scratch.h"
#include "unit/suites.h"

#define SECTOR 512u

/* Sector s of file f begins with f and s. */
static char *numbered(const char *name, unsigned int file, unsigned int sectors)
{
	char *path = strdup(scratch_file(name, (uint64_t)sectors * SECTOR));
	FILE *out = fopen(path, "r+");
	unsigned char sector[SECTOR] = { 0 };

	ck_assert_ptr_nonnull(out);
	for (unsigned int i = 0; i < sectors; i++) {
		sector[0] = (unsigned char)file;
		sector[1] = (unsigned char)i;
		sector[2] = (unsigned char)(i >> 8);
		ck_assert_uint_eq(fwrite(sector, SECTOR, 1, out), 1);
	}
	ck_assert_int_eq(fclose(out), 0);
	return path;
}

static char *pv[2];

static void setup(void)
{
	scratch_enter();
	pv[0] = numbered("pv0", 10, 4096);
	pv[1] = numbered("pv1", 20, 4096);
}

static void teardown(void)
{
	free(pv[0]);
	free(pv[1]);
	scratch_leave();
}

static int try_open(struct device **device, const struct device_extent *extents,
		    unsigned int nr, struct error *err)
{
	return device_open_extents(device, "leg 1", "vg/home_mimage_1", extents, nr, DEVICE_READ,
				   err);
}

static void expect(struct device *device, struct block_engine *engine, unsigned int sector,
		   unsigned int file, unsigned int at)
{
	unsigned char *data = block_buffer(engine, 0);
	uint32_t block = device->block.block_sectors;
	uint32_t skip = sector % block;

	ck_assert_int_eq(block_read(engine, &device->block, sector - skip, block, data), 0);
	data += skip * SECTOR;
	ck_assert_uint_eq(data[0], file);
	ck_assert_uint_eq(data[1] | data[2] << 8, at);
}

/* Linear on one, striped over both, linear on the other: each sector is where LVM's
 * tables would put it. */
START_TEST(put_together)
{
	struct device_stripe one = { pv[0], 2048 }, two = { pv[1], 512 };
	struct device_stripe both[] = { { pv[0], 1024 }, { pv[1], 1024 } };
	struct device_extent extents[] = {
		{ .sectors = 256, .stripes = &one, .nr_stripes = 1 },
		{ .sectors = 512, .stripe_sectors = 128, .stripes = both, .nr_stripes = 2 },
		{ .sectors = 128, .stripes = &two, .nr_stripes = 1 },
	};
	struct engine_params params = { .kind = ENGINE_THREADS, .depth = 4, .nr_buffers = 4,
					 .buffer_bytes = 65536 };
	struct block_engine *engine;
	struct device *device;
	struct error err = { 0 };

	ck_assert_msg(!try_open(&device, extents, 3, &err), "%s", err.text);
	ck_assert_int_eq(engine_create(&engine, &params, &err), 0);
	ck_assert_str_eq(device->name, "leg 1 (vg/home_mimage_1)");
	ck_assert_uint_eq(device->block.sectors, 896);
	ck_assert_uint_eq(device->nr_files, 2);
	ck_assert_uint_eq(device->nr_pieces, 4);
	for (unsigned int i = 0; i < 256; i++)
		expect(device, engine, i, 10, 2048 + i);
	for (unsigned int i = 0; i < 512; i++)
		expect(device, engine, 256 + i, i / 128 % 2 ? 20 : 10,
		       1024 + i / 256 * 128 + i % 128);
	for (unsigned int i = 0; i < 128; i++)
		expect(device, engine, 768 + i, 20, 512 + i);
	block_engine_destroy(engine);
	device_close(device);
}
END_TEST

/* One extent, from the start to the end of a file of 2^n sectors. */
START_TEST(whole_file)
{
	struct device_stripe all = { pv[0], 0 };
	struct device_extent extent = { .sectors = 4096, .stripes = &all, .nr_stripes = 1 };
	struct device *device;
	struct error err = { 0 };

	ck_assert_msg(!try_open(&device, &extent, 1, &err), "%s", err.text);
	ck_assert_uint_eq(device->block.sectors, 4096);
	device_close(device);
}
END_TEST

START_TEST(every_piece_claimed)
{
	struct device_stripe both[] = { { pv[0], 1024 }, { pv[1], 2048 } };
	struct device_extent extent = { .sectors = 512, .stripe_sectors = 64, .stripes = both,
					.nr_stripes = 2 };
	struct claim_ranges ranges = { 0 };
	struct device *device, *beside, *inside;
	struct error err = { 0 };

	ck_assert_int_eq(try_open(&device, &extent, 1, &err), 0);
	ck_assert_int_eq(claim_ranges_add(&ranges, device, 100, 7), 0);
	ck_assert_uint_eq(ranges.nr, 2);
	ck_assert_uint_eq(ranges.ranges[0].first, 1024);
	ck_assert_uint_eq(ranges.ranges[1].first, 2048);
	ck_assert_uint_eq(ranges.ranges[1].sectors, 256);
	ck_assert_uint_eq(ranges.ranges[1].operand, 7);
	claim_ranges_free(&ranges);
	/* The second stripe counts as well, and no length cuts it off. */
	ck_assert_int_eq(device_open(&inside, "log", pv[1], 2048 + 200, DEVICE_READ, &err), 0);
	ck_assert_int_eq(device_open(&beside, "log", pv[1], 2048 + 256, DEVICE_READ, &err), 0);
	ck_assert(device_overlap(device, 1, inside, 8));
	ck_assert(device_overlap(inside, 8, device, 1));
	ck_assert(!device_overlap(device, 1, beside, 8));
	device_close(inside);
	device_close(beside);
	device_close(device);
}
END_TEST

static void refuse(const struct device_extent *extents, unsigned int nr, const char *says)
{
	struct error err = { 0 };
	struct device *device = (struct device *)&err;

	ck_assert_int_lt(try_open(&device, extents, nr, &err), 0);
	ck_assert_ptr_null(device);
	ck_assert_msg(strstr(err.text, says) && strstr(err.text, "vg/home_mimage_1"),
		      "\"%s\" lacks \"%s\"", err.text, says);
	ck_assert_ptr_null(strchr(err.text, '\n'));
}

START_TEST(refused)
{
	struct device_stripe stripes[] = { { pv[0], 1024 }, { pv[1], 1024 } };
	struct device_extent extent = { .sectors = 512, .stripes = stripes, .nr_stripes = 1 };

	refuse(NULL, 0, "are empty");
	extent.sectors = 0;
	refuse(&extent, 1, "are empty");
	extent.sectors = 4096;
	refuse(&extent, 1, "too small for it");
	stripes[0].sector = UINT64_MAX - 100;
	refuse(&extent, 1, "larger than any device");
	stripes[0].sector = 1024;
	extent.nr_stripes = 2;
	refuse(&extent, 1, "stripes of no size");
	extent.stripe_sectors = 128;
	extent.sectors = 384;
	refuse(&extent, 1, "whole stripes");
	extent.sectors = 512;
	stripes[1].path = "/nowhere/pv";
	refuse(&extent, 1, "does not exist");
}
END_TEST

Suite *device_extents_suite(void)
{
	Suite *suite = suite_create("device_extents");
	TCase *tcase = tcase_create("device_extents");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, put_together);
	tcase_add_test(tcase, whole_file);
	tcase_add_test(tcase, every_piece_claimed);
	tcase_add_test(tcase, refused);
	suite_add_tcase(suite, tcase);
	return suite;
}
