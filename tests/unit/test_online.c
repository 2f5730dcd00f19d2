/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "io/device.h"
#include "io/marker.h"
#include "io/online.h"
#include "io/sync_engine.h"
#include "io/vg_lock.h"
#include "unit/suites.h"

/* What of the repair of a running mirror needs no running mirror. */

static char directory[64], run_directory[96];

static void setup(void)
{
	snprintf(directory, sizeof(directory), "/tmp/test_online.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(directory));
	snprintf(run_directory, sizeof(run_directory), "%s/run", directory);
}

static void teardown(void)
{
	char command[96];

	snprintf(command, sizeof(command), "rm -rf %s", directory);
	ck_assert_int_eq(system(command), 0);
}

static struct mapped_device device_named(const char *name)
{
	struct mapped_device device = { .number = makedev(253, 7), .uuid = "LVM-abc" };

	snprintf(device.name, sizeof(device.name), "%s", name);
	return device;
}

/* --- the marker ---------------------------------------------------------- */

static void expect_in_marker(const char *path, const char *line)
{
	FILE *file = fopen(path, "r");
	char found[256];
	bool there = false;

	ck_assert_ptr_nonnull(file);
	while (fgets(found, sizeof(found), file)) {
		found[strcspn(found, "\n")] = '\0';
		there |= !strcmp(found, line);
	}
	fclose(file);
	ck_assert_msg(there, "no line \"%s\"", line);
}

START_TEST(marker_says_how)
{
	struct mapped_device device = device_named("vg-home");
	struct error err = { 0 };
	struct run_file marker;
	struct stat stat_now;

	ck_assert_int_eq(marker_open(&marker, run_directory, "vg-home", &err), 0);
	ck_assert_int_eq(stat(marker.path, &stat_now), 0);
	ck_assert_int_eq(stat_now.st_size, 0);
	ck_assert_int_eq(marker_write(&marker, &device, &err), 0);
	expect_in_marker(marker.path, "dmsetup resume vg-home");
	expect_in_marker(marker.path, "uuid LVM-abc");
	expect_in_marker(marker.path, "device 253:7");
	/* A shorter text over a longer one leaves nothing of it. */
	device.uuid[0] = '\0';
	ck_assert_int_eq(marker_write(&marker, &device, &err), 0);
	expect_in_marker(marker.path, "uuid -");
	run_file_remove(&marker);
	ck_assert_int_eq(access(marker.path, F_OK), -1);
	run_file_close(&marker);
	run_file_close(&marker);
}
END_TEST

START_TEST(marker_of_one_process)
{
	struct error err = { 0 };
	struct run_file first, second, third;

	ck_assert_int_eq(marker_open(&first, run_directory, "m", &err), 0);
	ck_assert_int_eq(marker_open(&second, run_directory, "m", &err), -EBUSY);
	ck_assert_ptr_nonnull(strstr(err.text, "another mirrorctl works on m"));
	run_file_close(&second);
	/* Removed, it is free, and what comes after is not the first one's. */
	run_file_remove(&first);
	ck_assert_int_eq(marker_open(&second, run_directory, "m", NULL), 0);
	run_file_remove(&first);
	ck_assert_int_eq(access(second.path, F_OK), 0);
	run_file_close(&first);
	/* Nor is a stale one in anybody's way. */
	run_file_close(&second);
	ck_assert_int_eq(marker_open(&third, run_directory, "m", NULL), 0);
	run_file_close(&third);
}
END_TEST

START_TEST(marker_cannot_be_made)
{
	struct error err = { 0 };
	struct run_file marker;
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/none/run", directory);
	ck_assert_int_eq(marker_open(&marker, path, "m", &err), -ENOENT);
	ck_assert_ptr_nonnull(strstr(err.text, "nothing was suspended"));
	run_file_close(&marker);
	/* A link is not followed to a file of others. */
	ck_assert_int_eq(mkdir(run_directory, 0755), 0);
	snprintf(path, sizeof(path), "%s/suspended", run_directory);
	ck_assert_int_eq(mkdir(path, 0755), 0);
	snprintf(path, sizeof(path), "%s/suspended/m", run_directory);
	fd = open(run_directory, O_RDONLY);
	ck_assert_int_eq(symlink("../victim", path), 0);
	ck_assert_int_lt(marker_open(&marker, run_directory, "m", NULL), 0);
	ck_assert_int_eq(faccessat(fd, "victim", F_OK, 0), -1);
	close(fd);
	run_file_close(&marker);
}
END_TEST

START_TEST(marker_names)
{
	static const char *const odd[] = { "a b", "$(reboot)", "a;b", "-m", "..", "a'b" };
	struct mapped_device device = device_named("my--vg-lv_1.x+:=@");
	struct run_file marker;
	char text[192];

	ck_assert_str_eq(marker_remedy(text, sizeof(text), &device),
			 "dmsetup resume my--vg-lv_1.x+:=@");
	for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
		device = device_named(odd[i]);
		if (strcmp(odd[i], ".."))
			ck_assert_str_eq(marker_remedy(text, sizeof(text), &device),
					 "dmsetup resume -j 253 -m 7");
		ck_assert_int_eq(marker_open(&marker, run_directory, odd[i], NULL), 0);
		ck_assert_int_eq(access(marker.path, F_OK), 0);
		run_file_remove(&marker);
		run_file_close(&marker);
	}
}
END_TEST

/* --- the engine ---------------------------------------------------------- */

static void count(void *context)
{
	++*(unsigned int *)context;
}

START_TEST(transfers_are_over_at_once)
{
	unsigned int flushes = 0, i;
	struct block_engine *engine;
	struct error err = { 0 };
	struct device *device;
	unsigned char *data;
	char path[96];
	int fd;

	snprintf(path, sizeof(path), "%s/log", directory);
	fd = open(path, O_RDWR | O_CREAT, 0600);
	ck_assert_int_eq(ftruncate(fd, 65536), 0);
	ck_assert_int_eq(sync_engine_create(&engine, 8192, count, &flushes), 0);
	ck_assert_int_eq(device_open(&device, "log", path, 0, DEVICE_WRITE, &err), 0);
	data = block_buffer(engine, 1);
	for (i = 0; i < 8; i++) {
		memset(data, 'a' + (int)i, 4096);
		ck_assert_int_eq(block_write(engine, &device->block, i * 8, 8, data), 0);
	}
	ck_assert_uint_eq(flushes, 0);
	ck_assert_int_eq(block_flush(engine, &device->block), 0);
	ck_assert_uint_eq(flushes, 1);
	memset(data, 0, 4096);
	ck_assert_int_eq(block_read(engine, &device->block, 24, 8, data), 0);
	ck_assert(data[0] == 'd' && data[4095] == 'd');
	ck_assert_uint_eq(engine->in_flight, 0);
	/* The file gets shorter. */
	ck_assert_int_eq(ftruncate(fd, 4096), 0);
	ck_assert_int_eq(block_read(engine, &device->block, 24, 8, data), -ENODATA);
	device_close(device);
	block_engine_destroy(engine);
	close(fd);
}
END_TEST

/* --- what is no running mirror ------------------------------------------- */

START_TEST(not_active)
{
	struct opened_mirror opened = { .mirror = { .name = (char *)"m" } };
	struct online_round round = { .opened = &opened, .max_suspend_ms = 2000 };
	struct online_outcome outcome;
	struct mirror_log log = { 0 };
	struct error err = { 0 };

	ck_assert_int_eq(online_check(&opened, &log, &err), -EPERM);
	ck_assert_ptr_nonnull(strstr(err.text, "m is not an active mirror"));
	ck_assert_int_eq(online_round_run(&outcome, &round, NULL), -EPERM);
	online_outcome_free(&outcome);
	online_outcome_free(&outcome);
}
END_TEST

START_TEST(only_lvm_is_locked)
{
	struct mapped_device device = device_named("m");
	int fd = 5;

	device.uuid[0] = '\0';
	ck_assert_int_eq(vg_lock(&fd, &device, NULL), 0);
	ck_assert_int_eq(fd, -1);
}
END_TEST

Suite *online_suite(void)
{
	Suite *suite = suite_create("online");
	TCase *tcase = tcase_create("online");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, marker_says_how);
	tcase_add_test(tcase, marker_of_one_process);
	tcase_add_test(tcase, marker_cannot_be_made);
	tcase_add_test(tcase, marker_names);
	tcase_add_test(tcase, transfers_are_over_at_once);
	tcase_add_test(tcase, not_active);
	tcase_add_test(tcase, only_lvm_is_locked);
	suite_add_tcase(suite, tcase);
	return suite;
}
