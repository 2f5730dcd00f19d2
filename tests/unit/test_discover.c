/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "io/claims.h"
#include "io/discover.h"
#include "io/dm_names.h"
#include "io/operand.h"
#include "io/stack.h"
#include "unit/suites.h"

#define LEG_SECTORS 2048u
#define IDS "NgLMOFdwpK2XzeQ6i2VvtmcpTZpDwbUlWu5pJSq3xoZZbWkXQ1aBcDeFgHiJkLmN"

/* Every test runs in a directory of its own with leg0, leg1 and log in it. */
static char directory[64];
static int home = -1;

static void file_make(const char *name, uint64_t sectors)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ftruncate(fd, (off_t)(sectors * SECTOR_BYTES)), 0);
	close(fd);
}

static void text_make(const char *name, const char *text)
{
	FILE *file = fopen(name, "w");

	ck_assert_ptr_nonnull(file);
	fputs(text, file);
	ck_assert_int_eq(fclose(file), 0);
}

static void setup(void)
{
	snprintf(directory, sizeof(directory), "/tmp/test_discover.XXXXXX");
	home = open(".", O_RDONLY | O_DIRECTORY);
	ck_assert_ptr_nonnull(mkdtemp(directory));
	ck_assert_int_eq(chdir(directory), 0);
	ck_assert_int_eq(mkdir("sub", 0700), 0);
	file_make("leg0", LEG_SECTORS);
	file_make("leg1", LEG_SECTORS);
	file_make("log", 64);
}

static void teardown(void)
{
	char command[96];

	ck_assert_int_eq(fchdir(home), 0);
	close(home);
	snprintf(command, sizeof(command), "rm -rf %s", directory);
	ck_assert_int_eq(system(command), 0);
}

static const char *const two_legs[] = { "leg0", "leg1" };

/* Two legs and a log that are fine; the tests change one word each. */
static struct mirror_operand good(void)
{
	return (struct mirror_operand){
		.legs = two_legs, .nr_legs = 2, .log = "log", .region_size = "64",
	};
}

static struct mirror_operand by_table(const char *table)
{
	return (struct mirror_operand){ .table = table };
}

/* The operand is refused, in one line with `words` in it, and nothing is left
 * open. */
static void refused(const struct mirror_operand *operand, enum error_kind kind,
		    const char *words)
{
	static const struct opened_mirror zeroed;
	struct opened_mirror opened;
	struct error err = { 0 };
	int ret = mirror_discover(&opened, operand, &err);

	ck_assert_int_lt(ret, 0);
	ck_assert_msg(err.kind == kind, "kind %d: %s", err.kind, err.text);
	ck_assert_msg(strstr(err.text, words), "no \"%s\" in: %s", words, err.text);
	ck_assert_ptr_null(strchr(err.text, '\n'));
	ck_assert_int_eq(memcmp(&opened, &zeroed, sizeof(zeroed)), 0);
	mirror_close(&opened);
}

static void accepted(struct opened_mirror *opened, const struct mirror_operand *operand)
{
	struct error err = { 0 };
	int ret = mirror_discover(opened, operand, &err);

	ck_assert_msg(!ret, "refused: %s", err.text);
	ck_assert_int_eq(err.kind, ERROR_NONE);
}

/* ------------------------------------------------------------ --leg, --log */

START_TEST(explicit_opens_legs_and_log)
{
	struct mirror_operand operand = good();
	struct opened_mirror opened;

	accepted(&opened, &operand);
	ck_assert_str_eq(opened.mirror.name, "log");
	ck_assert_uint_eq(opened.mirror.nr_legs, 2);
	ck_assert_uint_eq(opened.mirror.geometry.length, LEG_SECTORS);
	ck_assert_uint_eq(opened.mirror.geometry.region_size, 64);
	ck_assert_uint_eq(opened.mirror.geometry.nr_regions, LEG_SECTORS / 64);
	ck_assert_int_eq(opened.mirror.log_kind, MIRROR_LOG_DISK);
	ck_assert_int_eq(opened.mirror.activity, MIRROR_INACTIVE);
	ck_assert_str_eq(opened.mirror.legs[1].device, "leg1");
	ck_assert_ptr_nonnull(opened.legs[0]);
	ck_assert_ptr_nonnull(opened.legs[1]);
	ck_assert_ptr_null(opened.legs[2]);
	ck_assert_ptr_nonnull(opened.log);
	ck_assert(!opened.length_given && !opened.log_only);
	mirror_close(&opened);
	mirror_close(&opened);
}
END_TEST

START_TEST(explicit_length_is_smallest_leg_behind_its_offset)
{
	const char *const legs[] = { "leg0", "big@1024s" };
	struct mirror_operand operand = good();
	struct opened_mirror opened;

	file_make("big", LEG_SECTORS);
	operand.legs = legs;
	accepted(&opened, &operand);
	ck_assert_uint_eq(opened.mirror.geometry.length, LEG_SECTORS - 1024);
	ck_assert_uint_eq(opened.mirror.legs[1].offset, 1024);
	ck_assert_uint_eq(opened.legs[1]->offset, 1024);
	mirror_close(&opened);
	operand.length = "512";
	accepted(&opened, &operand);
	ck_assert_uint_eq(opened.mirror.geometry.length, 512);
	ck_assert(opened.length_given);
	mirror_close(&opened);
}
END_TEST

START_TEST(explicit_missing_leg)
{
	const char *const legs[] = { "missing", "leg1" };
	const char *const none[] = { "missing", "missing" };
	struct mirror_operand operand = good();
	struct opened_mirror opened;

	operand.legs = legs;
	accepted(&opened, &operand);
	ck_assert(opened.mirror.legs[0].missing);
	ck_assert_ptr_null(opened.mirror.legs[0].device);
	ck_assert_ptr_null(opened.legs[0]);
	ck_assert_ptr_nonnull(opened.legs[1]);
	mirror_close(&opened);
	operand.legs = none;
	refused(&operand, ERROR_USAGE, "all legs are missing");
}
END_TEST

START_TEST(explicit_word_counts)
{
	const char *const ten[] = { "a", "b", "c", "d", "e", "f", "g", "h", "i", "j" };
	struct mirror_operand operand = good();

	operand.nr_legs = 1;
	refused(&operand, ERROR_USAGE, "only one leg");
	operand.legs = ten;
	operand.nr_legs = 10;
	refused(&operand, ERROR_USAGE, "10 legs");
	operand = good();
	operand.log = NULL;
	refused(&operand, ERROR_USAGE, "needs a log");
	operand = good();
	operand.region_size = NULL;
	refused(&operand, ERROR_USAGE, "the region size is not in the log");
	operand = (struct mirror_operand){ 0 };
	refused(&operand, ERROR_USAGE, "which mirror?");
}
END_TEST

START_TEST(explicit_bad_sizes)
{
	struct mirror_operand operand = good();

	operand.region_size = "100";
	refused(&operand, ERROR_USAGE, "power of two");
	operand.region_size = "0";
	refused(&operand, ERROR_USAGE, "region size");
	operand.region_size = "many";
	refused(&operand, ERROR_USAGE, "--region-size");
	operand.region_size = "2M";
	refused(&operand, ERROR_USAGE, "region size");
	operand = good();
	operand.length = "0";
	refused(&operand, ERROR_USAGE, "--length 0");
	operand.length = "18446744073709551616";
	refused(&operand, ERROR_USAGE, "--length");
	operand.length = "2049";
	refused(&operand, ERROR_USAGE, "holds 2048 sectors, the mirror needs 2049");
}
END_TEST

START_TEST(explicit_what_does_not_go_together)
{
	const char *const maps[] = { "253:1=leg0" };
	struct mirror_operand operand = good();

	operand.name = "vg/home";
	refused(&operand, ERROR_USAGE, "vg/home and --leg");
	operand = by_table("0 64 mirror core 1 64 2 leg0 0 leg1 0");
	operand.name = "vg/home";
	refused(&operand, ERROR_USAGE, "vg/home and --table");
	operand = good();
	operand.table = "0 64 mirror core 1 64 2 leg0 0 leg1 0";
	refused(&operand, ERROR_USAGE, "--table and --leg");
	operand = good();
	operand.device_maps = maps;
	operand.nr_device_maps = 1;
	refused(&operand, ERROR_USAGE, "--device maps");
	operand = good();
	operand.segment = "0";
	refused(&operand, ERROR_USAGE, "--segment");
	operand = (struct mirror_operand){ .name = "m", .length = "64" };
	refused(&operand, ERROR_USAGE, "--length belongs to");
}
END_TEST

START_TEST(explicit_same_thing_twice)
{
	const char *const twice[] = { "leg0", "./leg0" };
	const char *const linked[] = { "leg0", "alias" };
	const char *const apart[] = { "disk@64", "disk@1088" };
	const char *const shifted[] = { "disk@64", "disk@1087" };
	struct mirror_operand operand = good();
	struct opened_mirror opened;

	operand.legs = twice;
	refused(&operand, ERROR_USAGE, "leg 0 (leg0) and leg 1 (./leg0) are the same device");
	ck_assert_int_eq(link("leg0", "alias"), 0);
	operand.legs = linked;
	refused(&operand, ERROR_USAGE, "are the same device");
	operand = good();
	operand.log = "leg1";
	refused(&operand, ERROR_USAGE, "leg 1 (leg1) and the log (leg1)");
	/* A log of sixteen regions has three sectors: it fits before the legs. */
	file_make("disk", 64 + 2 * 1024);
	operand = (struct mirror_operand){ .legs = apart, .nr_legs = 2, .log = "disk",
					   .region_size = "64", .length = "1024" };
	accepted(&opened, &operand);
	mirror_close(&opened);
	operand.legs = shifted;
	refused(&operand, ERROR_USAGE, "share sectors");
	operand.legs = apart;
	operand.log = "disk@62";
	refused(&operand, ERROR_USAGE, "share sectors");
}
END_TEST

START_TEST(explicit_unreadable)
{
	const char *const gone[] = { "leg0", "nowhere" };
	const char *const dir[] = { "leg0", "sub" };
	const char *const behind[] = { "leg0", "leg1@2048" };
	struct mirror_operand operand = good();

	operand.legs = gone;
	refused(&operand, ERROR_OPERATION, "leg 1 (nowhere)");
	operand.legs = dir;
	refused(&operand, ERROR_OPERATION, "leg 1 (sub)");
	operand = good();
	operand.log = "nowhere";
	refused(&operand, ERROR_OPERATION, "log (nowhere)");
	operand = good();
	operand.legs = behind;
	{
		struct opened_mirror opened;
		struct error err = { 0 };

		ck_assert_int_lt(mirror_discover(&opened, &operand, &err), 0);
		ck_assert_ptr_nonnull(strstr(err.text, "leg 1 (leg1"));
	}
}
END_TEST

START_TEST(log_alone)
{
	struct mirror_operand operand = { .log = "log" };
	struct opened_mirror opened;

	accepted(&opened, &operand);
	ck_assert(opened.log_only);
	ck_assert_uint_eq(opened.mirror.geometry.nr_regions, 0);
	mirror_close(&opened);
	operand.region_size = "64";
	accepted(&opened, &operand);
	ck_assert_uint_eq(opened.mirror.geometry.nr_regions, 0);
	mirror_close(&opened);
	operand.length = "65";
	accepted(&opened, &operand);
	ck_assert(opened.log_only && opened.length_given);
	ck_assert_uint_eq(opened.mirror.geometry.nr_regions, 2);
	mirror_close(&opened);
}
END_TEST

static void place_is(const char *text, const char *path, uint64_t offset)
{
	struct operand_place place;
	struct error err = { 0 };

	ck_assert_msg(!operand_place_parse(&place, text, "--leg", &err), "%s", err.text);
	ck_assert_str_eq(place.path, path);
	ck_assert_uint_eq(place.offset, offset);
	free(place.path);
}

START_TEST(place_offset_rules)
{
	struct operand_place place;
	struct error err = { 0 };

	place_is("disk", "disk", 0);
	place_is("disk@8", "disk", 8);
	place_is("disk@1M", "disk", 2048);
	place_is("disk@8s@16s", "disk@8s", 16);
	place_is("user@host", "user@host", 0);
	place_is("disk@", "disk@", 0);
	file_make("odd@8", 8);
	place_is("odd@8", "odd@8", 0);
	place_is("odd@8@4", "odd@8", 4);
	ck_assert_int_eq(operand_place_parse(&place, "@8", "--leg", &err), -EINVAL);
	ck_assert_ptr_null(place.path);
	err.kind = ERROR_NONE;
	ck_assert_int_eq(operand_place_parse(&place, "", "--leg", &err), -EINVAL);
	err.kind = ERROR_NONE;
	ck_assert_int_eq(operand_place_parse(&place, "disk@100b", "--leg", &err), -EINVAL);
	ck_assert_ptr_nonnull(strstr(err.text, "100b"));
	err.kind = ERROR_NONE;
	ck_assert_int_eq(operand_place_parse(&place, "disk@99999999999999999999", "--leg",
					     &err), -EINVAL);
}
END_TEST

/* ----------------------------------------------------------------- --table */

#define TABLE "0 2048 mirror disk 2 log 64 2 leg0 0 leg1 0 1 handle_errors"

START_TEST(table_line)
{
	struct mirror_operand operand = by_table(TABLE);
	struct opened_mirror opened;

	accepted(&opened, &operand);
	ck_assert_str_eq(opened.mirror.name, "explicit mirror");
	ck_assert_uint_eq(opened.mirror.geometry.nr_regions, 32);
	ck_assert_int_eq(opened.mirror.handle_errors, KNOWN_YES);
	ck_assert(opened.length_given && !opened.log_only);
	ck_assert_ptr_nonnull(opened.log);
	ck_assert_ptr_nonnull(opened.legs[1]);
	mirror_close(&opened);
	operand = by_table("0 2048 mirror core 1 64 2 leg0 0 leg1 0");
	accepted(&opened, &operand);
	ck_assert_ptr_null(opened.log);
	ck_assert_int_eq(opened.mirror.log_kind, MIRROR_LOG_CORE);
	mirror_close(&opened);
}
END_TEST

START_TEST(table_line_cut_at_each_byte)
{
	char line[] = TABLE;
	size_t length;

	for (length = 0; length < sizeof(line); length++) {
		char cut[sizeof(line)];
		struct mirror_operand operand = by_table(cut);
		struct opened_mirror opened;
		struct error err = { 0 };

		memcpy(cut, line, length);
		cut[length] = '\0';
		if (mirror_discover(&opened, &operand, &err))
			ck_assert_int_ne(err.kind, ERROR_NONE);
		mirror_close(&opened);
	}
}
END_TEST

START_TEST(table_file)
{
	struct mirror_operand operand = by_table("table");
	struct opened_mirror opened;

	text_make("table", "# a comment\n\nvg-root: 0 100 linear 8:1 0\nvg-home: " TABLE "\n");
	accepted(&opened, &operand);
	ck_assert_str_eq(opened.mirror.name, "vg-home");
	mirror_close(&opened);
	text_make("table", TABLE "\r\n");
	accepted(&opened, &operand);
	ck_assert_str_eq(opened.mirror.name, "table");
	mirror_close(&opened);
	text_make("table", "x: 0 100 linear 8:1 0\n");
	refused(&operand, ERROR_USAGE, "holds no mirror target, only linear");
	text_make("table", "\n# nothing\n");
	refused(&operand, ERROR_USAGE, "holds no table line");
	text_make("table", "\n0 2048 mirror disk 2 log\n");
	refused(&operand, ERROR_USAGE, "table:2:");
	operand = by_table("sub");
	refused(&operand, ERROR_USAGE, "neither a table line nor a file");
	operand = by_table("nowhere");
	refused(&operand, ERROR_USAGE, "no such file");
	operand = by_table("");
	refused(&operand, ERROR_USAGE, "no such file");
}
END_TEST

START_TEST(table_file_hostile)
{
	struct mirror_operand operand = by_table("table");
	FILE *file = fopen("table", "w");
	int i;

	for (i = 0; i < 64 * 1024; i++)
		fputc('\n', file);
	fputs(TABLE, file);
	fclose(file);
	refused(&operand, ERROR_USAGE, "larger than a table");
	file = fopen("table", "w");
	fwrite("0 2048\0mirror", 1, 13, file);
	fclose(file);
	refused(&operand, ERROR_USAGE, "is not text");
}
END_TEST

START_TEST(table_segments)
{
	struct mirror_operand operand = by_table("table");
	struct opened_mirror opened;

	text_make("table", "0 1024 mirror core 1 64 2 leg0 0 leg1 0\n"
			   "1024 1024 mirror disk 2 log 128 2 leg0 1024 leg1 1024\n");
	refused(&operand, ERROR_USAGE, "several mirror targets (0, 1024)");
	operand.segment = "512";
	refused(&operand, ERROR_USAGE, "no mirror target begins there");
	operand.segment = "1024";
	accepted(&opened, &operand);
	ck_assert_uint_eq(opened.mirror.start, 1024);
	ck_assert_uint_eq(opened.mirror.geometry.region_size, 128);
	ck_assert_uint_eq(opened.legs[0]->offset, 1024);
	mirror_close(&opened);
	text_make("table", "a: " TABLE "\nb: " TABLE "\n");
	operand.segment = "0";
	refused(&operand, ERROR_USAGE, "a at 0, b at 0");
}
END_TEST

#define NUMBERS "0 1024 mirror disk 2 253:2 64 2 253:3 64 253:4 0"

START_TEST(table_device_numbers)
{
	const char *const maps[] = { "253:2=log", "253:3=leg0@128", "253:4=leg1", "253:9=leg1" };
	const char *const twice[] = { "253:2=log", "253:2=leg0" };
	const char *const missing[] = { "253:2=log", "253:3=missing", "253:4=leg1" };
	const char *const no_log[] = { "253:2=missing", "253:3=leg0", "253:4=leg1" };
	struct mirror_operand operand = by_table(NUMBERS);
	struct opened_mirror opened;

	refused(&operand, ERROR_USAGE, "map 253:2 253:3 253:4 with --device");
	operand.device_maps = maps;
	operand.nr_device_maps = 1;
	refused(&operand, ERROR_USAGE, "map 253:3 253:4 with --device");
	operand.nr_device_maps = 3;
	accepted(&opened, &operand);
	ck_assert_str_eq(opened.mirror.legs[0].device, "253:3");
	ck_assert_uint_eq(opened.mirror.legs[0].offset, 64);
	ck_assert_uint_eq(opened.legs[0]->offset, 192);
	mirror_close(&opened);
	operand.nr_device_maps = 4;
	refused(&operand, ERROR_USAGE, "--device 253:9: the table has no such device");
	operand.device_maps = twice;
	operand.nr_device_maps = 2;
	refused(&operand, ERROR_USAGE, "given twice");
	operand.device_maps = missing;
	operand.nr_device_maps = 3;
	accepted(&opened, &operand);
	ck_assert(opened.mirror.legs[0].missing);
	ck_assert_ptr_null(opened.legs[0]);
	mirror_close(&opened);
	operand.device_maps = no_log;
	refused(&operand, ERROR_USAGE, "the log cannot be missing");
}
END_TEST

START_TEST(table_device_map_words)
{
	static const char *const bad[] = {
		"253:3", "=leg0", "253=leg0", "253:3x=leg0", ":=leg0", "253:=leg0",
		"253:3=", "253:3=@8", "-1:3=leg0", "4294967296:3=leg0",
		"11111111111111111111111111111111111111111111:1=leg0",
	};
	struct mirror_operand operand = by_table(NUMBERS);
	static const char *const far = "253:3=leg0@18014398509480000";
	size_t i;

	operand.nr_device_maps = 1;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		operand.device_maps = &bad[i];
		refused(&operand, ERROR_USAGE, "--device");
	}
	/* two offsets that are fine alone, far behind the end together */
	operand = by_table("0 1024 mirror disk 2 log 64 2 253:3 18014398509480000 leg1 0");
	operand.device_maps = &far;
	operand.nr_device_maps = 1;
	refused(&operand, ERROR_OPERATION, "leg 0 (leg0");
}
END_TEST

START_TEST(table_sizes_must_agree)
{
	struct mirror_operand operand = by_table(TABLE);
	struct opened_mirror opened;

	operand.length = "1M";
	operand.region_size = "32k";
	accepted(&opened, &operand);
	mirror_close(&opened);
	operand.length = "1024";
	refused(&operand, ERROR_USAGE, "--length 1024 contradicts the table's 2048");
	operand.length = NULL;
	operand.region_size = "128";
	refused(&operand, ERROR_USAGE, "--region-size 128 contradicts the table's 64");
	operand = by_table("0 4096 mirror disk 2 log 64 2 leg0 0 leg1 0");
	refused(&operand, ERROR_USAGE, "leg 0 (leg0) holds 2048 sectors, the mirror needs 4096");
}
END_TEST

START_TEST(table_relative_paths)
{
	struct mirror_operand operand = by_table("sub/table");
	struct opened_mirror opened;

	text_make("sub/table", TABLE "\n");
	/* only here */
	accepted(&opened, &operand);
	ck_assert_str_eq(opened.log->file->path, "log");
	mirror_close(&opened);
	/* here and there, the same file: no question */
	ck_assert_int_eq(link("log", "sub/log"), 0);
	accepted(&opened, &operand);
	mirror_close(&opened);
	/* only there */
	ck_assert_int_eq(unlink("log"), 0);
	accepted(&opened, &operand);
	ck_assert_str_eq(opened.log->file->path, "sub/log");
	mirror_close(&opened);
	/* two different ones */
	file_make("log", 64);
	file_make("sub/leg0", LEG_SECTORS);
	refused(&operand, ERROR_USAGE, "could be ./log or sub/log");
	/* a line has no directory */
	operand = by_table(TABLE);
	accepted(&opened, &operand);
	mirror_close(&opened);
}
END_TEST

/* ------------------------------------------------------------------ MIRROR */

START_TEST(name_regular_file)
{
	struct mirror_operand operand = { .name = "leg0" };

	refused(&operand, ERROR_USAGE, "leg0 is a regular file");
	operand.name = "";
	refused(&operand, ERROR_USAGE, "empty");
}
END_TEST

/* Whatever this host has, it has no such mirror, and nothing is printed. */
START_TEST(name_unknown_says_so_once)
{
	struct mirror_operand operand = { .name = "no-such-vg/no-such-lv" };
	int out = dup(STDERR_FILENO), fd = open("stderr", O_RDWR | O_CREAT, 0600);
	struct stat st;

	dup2(fd, STDERR_FILENO);
	refused(&operand, ERROR_OPERATION, "no-such-vg/no-such-lv");
	dup2(out, STDERR_FILENO);
	ck_assert_int_eq(fstat(fd, &st), 0);
	ck_assert_int_eq(st.st_size, 0);
	close(fd);
	close(out);
}
END_TEST

START_TEST(name_of_lv)
{
	char name[128], longest[256];

	ck_assert_int_eq(mapped_name_of_lv(name, sizeof(name), "vg/home"), 0);
	ck_assert_str_eq(name, "vg-home");
	ck_assert_int_eq(mapped_name_of_lv(name, sizeof(name), "my-vg/a--b"), 0);
	ck_assert_str_eq(name, "my--vg-a----b");
	ck_assert_int_eq(mapped_name_of_lv(name, sizeof(name), "vg"), -EINVAL);
	ck_assert_int_eq(mapped_name_of_lv(name, sizeof(name), "/vg"), -EINVAL);
	ck_assert_int_eq(mapped_name_of_lv(name, sizeof(name), "vg/"), -EINVAL);
	ck_assert_int_eq(mapped_name_of_lv(name, sizeof(name), "a/b/c"), -EINVAL);
	memset(longest, '-', sizeof(longest));
	memcpy(longest, "v/", 2);
	longest[64] = '\0';
	ck_assert_int_eq(mapped_name_of_lv(name, sizeof(name), longest), 0);
	longest[64] = '-';
	longest[65] = '\0';
	ck_assert_int_eq(mapped_name_of_lv(name, sizeof(name), longest), -EINVAL);
}
END_TEST

START_TEST(volume_of_a_device)
{
	static const struct {
		const char *name, *uuid, *lv;
	} devices[] = {
		{ "vg-home", "LVM-" IDS, "vg/home" },
		{ "my--vg-home--1", "LVM-" IDS, "my-vg/home-1" },
		{ "vg-home-real", "LVM-" IDS "-real", "vg/home" },
		{ "vg-home--real", "LVM-" IDS, "vg/home-real" },
		{ "vg-home--real-real", "LVM-" IDS "-real", "vg/home-real" },
		{ "vg-home_mimage_0", "LVM-" IDS "-real", "vg/home_mimage_0" },
		{ "vg-home", "", NULL },
		{ "vg-home", "MIRRORCTL-x", NULL },
		{ "home", "LVM-" IDS, NULL },
		{ "vg-home", "LVM-abc", NULL },
	};
	struct mapped_device device = { 0 };
	char lv[256];
	bool is_lv;

	strcpy(device.name, devices[_i].name);
	strcpy(device.uuid, devices[_i].uuid);
	is_lv = mapped_lv_name(lv, sizeof(lv), &device);
	ck_assert_msg(is_lv == (devices[_i].lv != NULL), "%s", devices[_i].name);
	if (is_lv)
		ck_assert_str_eq(lv, devices[_i].lv);
	ck_assert(!mapped_is_conversion_layer(&device));
}
END_TEST

START_TEST(conversion_layers)
{
	struct mapped_device device = { .name = "vg-home_mimagetmp_2", .uuid = "LVM-" IDS "-real" };

	ck_assert(mapped_is_conversion_layer(&device));
	device.uuid[0] = 'X';
	ck_assert(!mapped_is_conversion_layer(&device));
}
END_TEST

START_TEST(uuid_forms)
{
	static const char vg[] = "NgLMOFdwpK2XzeQ6i2VvtmcpTZpDwbUl";
	static const char lv[] = "Wu5pJSq3xoZZbWkXQ1aBcDeFgHiJkLmN";
	static const char dashed[] = "Wu5pJS-q3xo-ZZbW-kXQ1-aBcD-eFgH-iJkLmN";
	char plain[80], real[96], other[80];

	snprintf(plain, sizeof(plain), "LVM-%s%s", vg, lv);
	snprintf(real, sizeof(real), "%s-real", plain);
	snprintf(other, sizeof(other), "LVM-%s%s", lv, vg);
	ck_assert(mapped_uuid_matches(plain, plain));
	ck_assert(mapped_uuid_matches(real, plain));
	ck_assert(mapped_uuid_matches(plain, real));
	ck_assert(mapped_uuid_matches(plain, dashed));
	ck_assert(mapped_uuid_matches(real, dashed));
	ck_assert(!mapped_uuid_matches(other, plain));
	ck_assert(!mapped_uuid_matches(other, dashed));
	ck_assert(mapped_uuid_matches(plain, lv));
	ck_assert(mapped_uuid_matches(real, lv));
	ck_assert(!mapped_uuid_matches(plain, vg));
	ck_assert(!mapped_uuid_matches(plain, "Wu5pJSq3xoZZbWkXQ1aBcDeFgHiJkLm-"));
	ck_assert(!mapped_uuid_matches("", ""));
	ck_assert(!mapped_uuid_matches(plain, "Wu5pJS-q3xo-ZZbW-kXQ1-aBcD-eFgH"));
	ck_assert(!mapped_uuid_matches(plain, "Wu5pJS-q3xo-ZZbW-kXQ1-aBcD-eFgH-iJkLmN-"));
	ck_assert(mapped_uuid_matches("MYTOOL-1", "MYTOOL-1"));
	ck_assert(!mapped_uuid_matches("MYTOOL-10", "MYTOOL-1"));
}
END_TEST

START_TEST(device_numbers)
{
	dev_t number;

	ck_assert(device_number_parse(&number, "253:1048575"));
	ck_assert(number == makedev(253, 1048575));
	ck_assert(!device_number_parse(&number, "253:1048576"));
	ck_assert(!device_number_parse(&number, "253:"));
	ck_assert(!device_number_parse(&number, ":1"));
	ck_assert(!device_number_parse(&number, "253:1 "));
	ck_assert(!device_number_parse(&number, "253"));
	ck_assert(!device_number_parse(&number, "99999999999:1"));
	ck_assert(!device_number_parse(&number, "/dev/sda"));
}
END_TEST

/* ------------------------------------------------------------------ claims */

#define DEV(minor_) makedev(253, (minor_))
#define DISK makedev(8, 0)

/* A dm device `minor` with one target. */
static void stack_map(struct stack *stack, unsigned int minor_, const char *name,
		      bool inactive, uint64_t start, uint64_t length, const char *type,
		      const char *params)
{
	struct stack_edge edge = {
		.kind = STACK_MAPPED, .upper.dev = DEV(minor_),
		.upper_first = start, .upper_sectors = length, .inactive = inactive,
	};

	snprintf(edge.name, sizeof(edge.name), "%s", name);
	snprintf(edge.type, sizeof(edge.type), "%s", type);
	ck_assert_int_eq(stack_add_target(stack, &edge, params), 0);
}

/* An LVM mirror as it lies on one disk: log, two images, mirror. */
static void stack_lvm(struct stack *stack)
{
	memset(stack, 0, sizeof(*stack));
	stack_map(stack, 0, "vg-m_mlog", false, 0, 100, "linear", "8:0 2048");
	stack_map(stack, 1, "vg-m_mimage_0", false, 0, 1000, "linear", "8:0 4096");
	stack_map(stack, 2, "vg-m_mimage_1", false, 0, 1000, "linear", "8:0 8192");
	stack_map(stack, 3, "vg-m", false, 0, 1000, "mirror",
		  "disk 2 253:0 4096 2 253:1 0 253:2 0 1 handle_errors ");
}

static struct claim_range range(unsigned int operand, dev_t dev, uint64_t first,
				uint64_t sectors)
{
	return (struct claim_range){ .operand = operand, .node.dev = dev,
				     .first = first, .sectors = sectors };
}

static unsigned int claims_count(const struct stack *stack, const struct claim_range *ranges,
				 size_t nr_ranges, dev_t self, enum claim_kind kind)
{
	unsigned int count = 0;
	struct claims claims;
	size_t i;

	ck_assert_int_eq(claims_find(&claims, stack, ranges, nr_ranges, self), 0);
	for (i = 0; i < claims.nr_claims; i++)
		count += claims.claims[i].kind == kind;
	claims_free(&claims);
	return count;
}

static unsigned int claims_one(const struct stack *stack, dev_t dev, uint64_t first,
			       uint64_t sectors, enum claim_kind kind)
{
	struct claim_range one = range(0, dev, first, sectors);

	return claims_count(stack, &one, 1, 0, kind);
}

START_TEST(claims_find_the_mirror)
{
	struct claim_range self;
	struct stack stack;

	stack_lvm(&stack);
	/* the image itself, and the sectors under it on the disk */
	ck_assert_uint_eq(claims_one(&stack, DEV(1), 0, 1000, CLAIM_MIRROR), 1);
	ck_assert_uint_eq(claims_one(&stack, DISK, 5095, 1, CLAIM_MIRROR), 1);
	ck_assert_uint_eq(claims_one(&stack, DISK, 5096, 1, CLAIM_MIRROR), 0);
	ck_assert_uint_eq(claims_one(&stack, DISK, 4000, 96, CLAIM_MIRROR), 0);
	ck_assert_uint_eq(claims_one(&stack, DISK, 4000, 97, CLAIM_MIRROR), 1);
	/* the log is used from its start: the number behind it is no offset */
	ck_assert_uint_eq(claims_one(&stack, DEV(0), 0, 8, CLAIM_MIRROR), 1);
	ck_assert_uint_eq(claims_one(&stack, DISK, 2048, 1, CLAIM_MIRROR), 1);
	/* the mirror does not claim its own legs against itself */
	self = range(0, DEV(1), 0, 1000);
	ck_assert_uint_eq(claims_count(&stack, &self, 1, DEV(3), CLAIM_MIRROR), 0);
	stack_free(&stack);
}
END_TEST

START_TEST(claims_second_mapping_of_the_same_sectors)
{
	struct stack stack;

	/* somebody's own linear device over the extents of an image */
	stack_lvm(&stack);
	stack_map(&stack, 9, "mine", false, 0, 500, "linear", "8:0 4596");
	ck_assert_uint_eq(claims_one(&stack, DEV(9), 0, 500, CLAIM_MIRROR), 1);
	stack_map(&stack, 10, "apart", false, 0, 500, "linear", "8:0 20000");
	ck_assert_uint_eq(claims_one(&stack, DEV(10), 0, 500, CLAIM_MIRROR), 0);
	ck_assert_uint_eq(claims_one(&stack, DEV(10), 0, 500, CLAIM_MAPPED), 0);
	stack_free(&stack);
}
END_TEST

START_TEST(claims_inactive_tables_and_other_targets)
{
	struct stack stack = { 0 };

	stack_map(&stack, 3, "m", true, 0, 1000, "mirror", "core 1 64 2 253:1 0 253:2 0");
	ck_assert_uint_eq(claims_one(&stack, DEV(1), 0, 1000, CLAIM_MIRROR), 0);
	ck_assert_uint_eq(claims_one(&stack, DEV(1), 0, 1000, CLAIM_MAPPED), 1);
	stack_free(&stack);
	/* a stripe covers its share only; a type that is not known, everything */
	stack_map(&stack, 4, "s", false, 0, 1000, "striped", "2 16 253:1 100 253:2 0");
	ck_assert_uint_eq(claims_one(&stack, DEV(1), 100, 500, CLAIM_MAPPED), 1);
	ck_assert_uint_eq(claims_one(&stack, DEV(1), 600, 500, CLAIM_MAPPED), 0);
	stack_map(&stack, 5, "pool", false, 0, 1000, "thin-pool", "253:7 253:8 5000 0");
	ck_assert_uint_eq(claims_one(&stack, DEV(8), 0, 1, CLAIM_MAPPED), 1);
	ck_assert_uint_eq(claims_one(&stack, DEV(7), 90000, 1, CLAIM_MAPPED), 1);
	stack_free(&stack);
	/* numbers that do not fit are no offsets: the whole device then */
	stack_map(&stack, 6, "x", false, 0, UINT64_MAX, "linear", "253:1 18446744073709551616");
	ck_assert_uint_eq(claims_one(&stack, DEV(1), 3, 1, CLAIM_MAPPED), 1);
	stack_map(&stack, 7, "y", false, UINT64_MAX, UINT64_MAX, "linear",
		  "253:2 18446744073709551615");
	ck_assert_uint_eq(claims_one(&stack, DEV(2), 0, UINT64_MAX - 1, CLAIM_MAPPED), 0);
	stack_free(&stack);
}
END_TEST

START_TEST(claims_loop_and_partition)
{
	struct stack_edge partition = {
		.kind = STACK_PARTITION, .upper.dev = makedev(8, 1), .lower.dev = DISK,
		.upper_sectors = 1000, .lower_first = 2048, .lower_sectors = 1000, .exact = true,
	};
	struct claim_range file = range(0, makedev(7, 99), 10, 100);
	struct stack stack = { 0 };

	stack.edges = calloc(2, sizeof(partition));
	stack.edges[0] = partition;
	stack.edges[1] = (struct stack_edge){
		.kind = STACK_LOOP, .upper.dev = makedev(7, 0),
		.lower = { .dev = makedev(7, 99), .ino = 5 }, .upper_sectors = 1000,
		.lower_sectors = 1000, .exact = true,
	};
	stack.nr_edges = 2;
	stack_map(&stack, 3, "m", false, 0, 64, "mirror", "core 1 64 2 7:0 20 8:1 0");
	/* the whole disk, and the image file, are used through what stands on them */
	ck_assert_uint_eq(claims_one(&stack, DISK, 2048, 64, CLAIM_MIRROR), 1);
	ck_assert_uint_eq(claims_one(&stack, DISK, 2112, 64, CLAIM_MIRROR), 0);
	ck_assert_uint_eq(claims_count(&stack, &file, 1, 0, CLAIM_MIRROR), 0);
	file.node.ino = 5;
	ck_assert_uint_eq(claims_count(&stack, &file, 1, 0, CLAIM_MIRROR), 1);
	file.first = 84;
	ck_assert_uint_eq(claims_count(&stack, &file, 1, 0, CLAIM_MIRROR), 0);
	stack_free(&stack);
}
END_TEST

START_TEST(claims_suspended_mounted_overlapping)
{
	struct claim_range ranges[2];
	struct stack stack;

	stack_lvm(&stack);
	stack.suspended = calloc(1, sizeof(dev_t));
	stack.suspended[stack.nr_suspended++] = DEV(1);
	ck_assert_uint_eq(claims_one(&stack, DEV(1), 0, 1000, CLAIM_SUSPENDED), 1);
	ck_assert_uint_eq(claims_one(&stack, DEV(2), 0, 1000, CLAIM_SUSPENDED), 0);
	/* suspended above is not suspended below */
	ck_assert_uint_eq(claims_one(&stack, DISK, 4096, 1000, CLAIM_SUSPENDED), 0);
	stack.uses = calloc(1, sizeof(*stack.uses));
	stack.uses[stack.nr_uses++].node.dev = DEV(3);
	ck_assert_uint_eq(claims_one(&stack, DISK, 4096, 1000, CLAIM_MOUNT), 1);
	ck_assert_uint_eq(claims_one(&stack, DISK, 6000, 1000, CLAIM_MOUNT), 0);
	ranges[0] = range(0, DEV(1), 0, 1000);
	ranges[1] = range(1, DISK, 5000, 1000);
	ck_assert_uint_eq(claims_count(&stack, ranges, 2, 0, CLAIM_OVERLAP), 1);
	/* another table for a device below: a different picture */
	ck_assert_uint_eq(claims_one(&stack, DEV(1), 0, 1000, CLAIM_UNDER), 1);
	stack_map(&stack, 1, "vg-m_mimage_0", true, 0, 1000, "linear", "8:0 30000");
	ck_assert_uint_eq(claims_one(&stack, DEV(1), 0, 1000, CLAIM_UNDER), 2);
	ck_assert_uint_eq(claims_one(&stack, DEV(1), 1000, 1000, CLAIM_UNDER), 0);
	ranges[1].first = 5096;
	ck_assert_uint_eq(claims_count(&stack, ranges, 2, 0, CLAIM_OVERLAP), 0);
	/* in the same stripes, but nobody knows whether in the same sectors */
	stack_map(&stack, 20, "stripes", false, 0, 1000, "striped", "2 16 8:0 5096 8:16 0");
	ranges[0] = range(0, DEV(20), 0, 16);
	ranges[1] = range(1, DISK, 5112, 16);
	ck_assert_uint_eq(claims_count(&stack, ranges, 2, 0, CLAIM_OVERLAP), 0);
	stack_free(&stack);
}
END_TEST

START_TEST(sample_of_image_files)
{
	struct mirror_operand operand = good();
	struct opened_mirror opened;
	struct mirror_sample sample;

	accepted(&opened, &operand);
	mirror_sample(&opened, &sample);
	ck_assert_int_eq(sample.change, MIRROR_UNCHANGED);
	ck_assert_int_eq(sample.activity, MIRROR_INACTIVE);
	ck_assert(!sample.status_known);
	mirror_close(&opened);
	mirror_sample(&opened, &sample);
	ck_assert_int_eq(sample.change, MIRROR_STATE_UNKNOWN);
}
END_TEST

Suite *discover_suite(void)
{
	Suite *suite = suite_create("discover");
	TCase *tc = tcase_create("words");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, explicit_opens_legs_and_log);
	tcase_add_test(tc, explicit_length_is_smallest_leg_behind_its_offset);
	tcase_add_test(tc, explicit_missing_leg);
	tcase_add_test(tc, explicit_word_counts);
	tcase_add_test(tc, explicit_bad_sizes);
	tcase_add_test(tc, explicit_what_does_not_go_together);
	tcase_add_test(tc, explicit_same_thing_twice);
	tcase_add_test(tc, explicit_unreadable);
	tcase_add_test(tc, log_alone);
	tcase_add_test(tc, place_offset_rules);
	tcase_add_test(tc, table_line);
	tcase_add_test(tc, table_line_cut_at_each_byte);
	tcase_add_test(tc, table_file);
	tcase_add_test(tc, table_file_hostile);
	tcase_add_test(tc, table_segments);
	tcase_add_test(tc, table_device_numbers);
	tcase_add_test(tc, table_device_map_words);
	tcase_add_test(tc, table_sizes_must_agree);
	tcase_add_test(tc, table_relative_paths);
	tcase_add_test(tc, name_regular_file);
	tcase_add_test(tc, name_unknown_says_so_once);
	tcase_add_test(tc, sample_of_image_files);
	suite_add_tcase(suite, tc);

	tc = tcase_create("parts");
	tcase_add_test(tc, name_of_lv);
	tcase_add_test(tc, uuid_forms);
	tcase_add_loop_test(tc, volume_of_a_device, 0, 10);
	tcase_add_test(tc, conversion_layers);
	tcase_add_test(tc, device_numbers);
	tcase_add_test(tc, claims_find_the_mirror);
	tcase_add_test(tc, claims_second_mapping_of_the_same_sectors);
	tcase_add_test(tc, claims_inactive_tables_and_other_targets);
	tcase_add_test(tc, claims_loop_and_partition);
	tcase_add_test(tc, claims_suspended_mounted_overlapping);
	suite_add_tcase(suite, tc);
	return suite;
}
