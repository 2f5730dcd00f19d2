/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "core/journal.h"
#include "io/engine.h"
#include "io/identify.h"
#include "support/sim_disk.h"
#include "unit/suites.h"

#define LENGTH 2048u		/* sectors; 64 KiB are 128 */
#define MIB 1048576u

/* --- contents, on simulated disks ------------------------------------------------ */

static struct sim_disk *disks[3];
static struct device devices[3];
static struct block_file files[3];
static struct block_engine *engine;
static struct opened_mirror opened;
static struct identity identity;
static struct error err;

static void world_make(uint32_t block_sectors)
{
	unsigned char bytes[512];

	for (unsigned int i = 0; i < 3; i++) {
		disks[i] = sim_disk_create("disk", 2 * MIB, block_sectors);
		for (unsigned int at = 0; at < 2 * MIB; at += sizeof(bytes)) {
			memset(bytes, (int)(at / 512 % 251 + i), sizeof(bytes));
			sim_disk_poke(disks[i], at, bytes, sizeof(bytes));
		}
		files[i] = (struct block_file){ .path = (char *)"/nowhere", .regular = true };
		devices[i] = (struct device){ .block = *sim_disk_device(disks[i]),
					      .file = &files[i], .name = (char *)"disk" };
	}
	engine = sim_engine_create(8, 2, 4096, 0);
	opened = (struct opened_mirror){
		.mirror = { .name = (char *)"m", .nr_legs = 2, .log_kind = MIRROR_LOG_DISK },
		.legs = { &devices[0], &devices[1] }, .log = &devices[2],
	};
	ck_assert_int_eq(region_geometry_init(&opened.mirror.geometry, LENGTH, 128, NULL), 0);
	memset(&err, 0, sizeof(err));
}

static void setup(void)
{
	world_make(1);
}

static void teardown(void)
{
	block_engine_destroy(engine);
	for (unsigned int i = 0; i < 3; i++)
		sim_disk_destroy(disks[i]);
}

static void identify(void)
{
	memset(&identity, 0x5a, sizeof(identity));
	ck_assert_msg(!mirror_identify(&identity, &opened, engine, &err), "%s", err.text);
	ck_assert_str_eq(identity.kind, "weak");
	ck_assert_str_eq(identity.id, "");
}

static void flip(unsigned int disk, uint64_t offset)
{
	unsigned char byte;

	sim_disk_peek(disks[disk], offset, &byte, 1);
	byte ^= 1;
	sim_disk_poke(disks[disk], offset, &byte, 1);
}

/* What hashing two pieces of a disk gives, by another road. */
static void expect_digest(const char *hex, unsigned int disk, uint64_t first, uint64_t second,
			  size_t bytes)
{
	unsigned char *memory = malloc(2 * bytes), digest[JOURNAL_DIGEST_BYTES];
	char expected[2 * JOURNAL_DIGEST_BYTES + 1];

	sim_disk_peek(disks[disk], first, memory, bytes);
	sim_disk_peek(disks[disk], second, memory + bytes, bytes);
	journal_digest(digest, memory, 2 * bytes);
	for (size_t i = 0; i < sizeof(digest); i++)
		sprintf(expected + 2 * i, "%02x", digest[i]);
	ck_assert_str_eq(hex, expected);
	free(memory);
}

START_TEST(digests_of_legs)
{
	identify();
	ck_assert_uint_eq(identity.length, LENGTH);
	ck_assert_uint_eq(identity.region_size, 128);
	ck_assert_uint_eq(identity.nr_legs, 2);
	ck_assert_str_eq(identity.leg[2], "");
	/* Up to the mirror's end, not the device's. */
	expect_digest(identity.leg[0], 0, 0, MIB - 65536, 65536);
	expect_digest(identity.leg[1], 1, 0, MIB - 65536, 65536);
}
END_TEST

/* Blocks of 4096 bytes, and ends that are in the middle of one. */
START_TEST(large_blocks)
{
	teardown();
	world_make(8);
	ck_assert_int_eq(region_geometry_init(&opened.mirror.geometry, LENGTH - 3, 128, NULL), 0);
	identify();
	expect_digest(identity.leg[0], 0, 0, MIB - 3 * 512 - 65536, 65536);
	ck_assert_int_eq(strlen(identity.log), 64);
}
END_TEST

/* Shorter than both pieces, and than one. */
START_TEST(short_mirrors)
{
	ck_assert_int_eq(region_geometry_init(&opened.mirror.geometry, 200, 2, NULL), 0);
	identify();
	expect_digest(identity.leg[0], 0, 0, 72 * 512, 65536);
	ck_assert_int_eq(region_geometry_init(&opened.mirror.geometry, 5, 2, NULL), 0);
	identify();
	expect_digest(identity.leg[0], 0, 0, 0, 5 * 512);
}
END_TEST

/* Which changes make it another mirror. */
START_TEST(what_counts)
{
	static const struct { unsigned int disk; uint64_t offset; bool counts; } cases[] = {
		{ 0, 0, true }, { 0, 65535, true }, { 0, 65536, false },
		{ 0, MIB - 65537, false }, { 0, MIB - 65536, true }, { 0, MIB - 1, true },
		{ 0, MIB, false }, { 1, 1000, true }, { 1, 500000, false },
		{ 2, 0, true }, { 2, 3, true }, { 2, 4, false }, { 2, 7, false }, { 2, 8, false },
		{ 2, 15, false }, { 2, 16, true }, { 2, 511, true }, { 2, 512, false },
		{ 2, 1024, false },
	};
	struct identity before;
	char why[256];

	identify();
	before = identity;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		flip(cases[i].disk, cases[i].offset);
		identify();
		ck_assert_msg(identity_matches(&before, &identity, why, sizeof(why)) !=
			      cases[i].counts, "case %zu", i);
		flip(cases[i].disk, cases[i].offset);
	}
	identify();
	ck_assert(!memcmp(&before, &identity, sizeof(before)));
}
END_TEST

START_TEST(missing_and_unreadable)
{
	struct sim_fault fault = { .op = BLOCK_READ, .first = LENGTH - 1, .sectors = 1,
				   .result = -EIO };
	struct identity before;
	char why[256];

	identify();
	before = identity;
	sim_disk_fail(disks[1], &fault);
	identify();
	ck_assert_str_eq(identity.leg[1], "");
	ck_assert_str_eq(identity.leg[0], before.leg[0]);
	ck_assert_str_eq(identity.log, before.log);
	ck_assert(identity_matches(&before, &identity, why, sizeof(why)));
	sim_disk_clear_faults(disks[1]);
	opened.legs[0] = NULL;
	identify();
	ck_assert_str_eq(identity.leg[0], "");
	ck_assert_str_eq(identity.leg[1], before.leg[1]);
	fault.first = 0;
	sim_disk_fail(disks[2], &fault);
	identify();
	ck_assert_str_eq(identity.log, "");
	opened.log = NULL;
	identify();
	ck_assert_str_eq(identity.log, "");
}
END_TEST

static bool always(void *context)
{
	(void)context;
	return true;
}

/* A leg that does not answer, and a user who has had enough. */
START_TEST(hanging_leg)
{
	struct identity before;

	memset(&identity, 0x5a, sizeof(identity));
	before = identity;
	engine->cancelled = always;
	sim_disk_hang(disks[1], true);
	ck_assert_int_eq(mirror_identify(&identity, &opened, engine, &err), -ETIMEDOUT);
	ck_assert_ptr_nonnull(strstr(err.text, "interrupted"));
	ck_assert(!memcmp(&before, &identity, sizeof(before)));
	sim_disk_hang(disks[1], false);
	block_drain(engine, -1);
	/* What answers at once is read, wished or not: a run that was interrupted has an
	 * identity all the same. */
	memset(&err, 0, sizeof(err));
	identify();
}
END_TEST

START_TEST(a_log_alone)
{
	opened.mirror.geometry = (struct region_geometry){ .length = 0 };
	ck_assert_int_eq(mirror_identify(&identity, &opened, engine, &err), -EINVAL);
	ck_assert_ptr_nonnull(strstr(err.text, "give the legs too"));
	memset(&err, 0, sizeof(err));
	ck_assert_int_eq(region_geometry_init(&opened.mirror.geometry, LENGTH, 128, NULL), 0);
	opened.mirror.nr_legs = 0;
	ck_assert_int_eq(mirror_identify(&identity, &opened, engine, &err), -EINVAL);
}
END_TEST

/* --- names, on a host made of files ------------------------------------------------ */

static char directory[64], home[PATH_MAX];
static const struct host_roots roots = { .sys = "sys", .dev = "dev" };

/* Block device 8:<n> with a wwid; NULL: with none. */
static void disk_name(unsigned int n, const char *wwid)
{
	char path[64];
	FILE *file;

	snprintf(path, sizeof(path), "sys/dev/block/8:%u", n);
	mkdir(path, 0700);
	snprintf(path, sizeof(path), "sys/dev/block/8:%u/wwid", n);
	unlink(path);
	if (!wwid)
		return;
	file = fopen(path, "w");
	ck_assert_ptr_nonnull(file);
	fprintf(file, "naa.%s\n", wwid);
	ck_assert_int_eq(fclose(file), 0);
}

static void host_setup(void)
{
	ck_assert_ptr_nonnull(getcwd(home, sizeof(home)));
	snprintf(directory, sizeof(directory), "/tmp/test_identify.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(directory));
	ck_assert_int_eq(chdir(directory), 0);
	ck_assert(!mkdir("sys", 0700) && !mkdir("sys/dev", 0700) &&
		  !mkdir("sys/dev/block", 0700));
	world_make(1);
	for (unsigned int i = 0; i < 3; i++) {
		files[i].regular = false;
		files[i].dev = makedev(8, i);
	}
	disk_name(0, "50");
	disk_name(1, "51");
	disk_name(2, "52");
}

static void host_teardown(void)
{
	char command[96];

	teardown();
	ck_assert_int_eq(chdir(home), 0);
	snprintf(command, sizeof(command), "rm -rf %s", directory);
	ck_assert_int_eq(system(command), 0);
}

static void expect_kind(const char *kind, const char *id)
{
	memset(&identity, 0x5a, sizeof(identity));
	ck_assert_msg(!mirror_identify_on(&roots, &identity, &opened, engine, &err), "%s",
		      err.text);
	ck_assert_str_eq(identity.kind, kind);
	ck_assert_str_eq(identity.id, id);
}

START_TEST(named_block)
{
	devices[1].offset = 2048;
	expect_kind("block", "");
	ck_assert_str_eq(identity.leg[0], "wwn-0x50");
	ck_assert_str_eq(identity.leg[1], "wwn-0x51@2048");
	ck_assert_str_eq(identity.log, "wwn-0x52");
	ck_assert_uint_eq(sim_disk_counters(disks[0])->reads, 0);
	opened.legs[0] = NULL;
	expect_kind("block", "");
	ck_assert_str_eq(identity.leg[0], "");
	/* Legs on one disk are told apart by their place. */
	opened.legs[0] = &devices[0];
	disk_name(0, "51");
	expect_kind("block", "");
}
END_TEST

/* One that has no name, or not one of its own, and contents have to do. */
START_TEST(named_in_part)
{
	disk_name(2, NULL);
	expect_kind("weak", "");
	ck_assert_int_eq(strlen(identity.leg[0]), 64);
	ck_assert_int_eq(strlen(identity.log), 64);
	disk_name(2, "52");
	disk_name(1, NULL);
	expect_kind("weak", "");
	disk_name(1, "50");
	expect_kind("weak", "");
	disk_name(1, "52");
	expect_kind("weak", "");
	disk_name(1, "51");
	files[0].regular = true;
	expect_kind("weak", "");
	ck_assert_int_eq(strlen(identity.leg[1]), 64);
}
END_TEST

START_TEST(active)
{
	static char uuid[] = "LVM-0123456789abcdefghijklmnopqrstuv"
			     "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345-real";

	opened.mirror.activity = MIRROR_ACTIVE;
	expect_kind("dm", "name:m");
	opened.mirror.name = (char *)"vg/my-lv";
	expect_kind("dm", "name:vg-my--lv");
	opened.mirror.uuid = uuid;
	expect_kind("dm", "LVM-0123456789abcdefghijklmnopqrstuvABCDEFGHIJKLMNOPQRSTUVWXYZ012345");
	ck_assert_str_eq(identity.leg[1], "wwn-0x51");
	opened.mirror.start = 4096;
	opened.mirror.activity = MIRROR_SUSPENDED;
	opened.mirror.uuid = (char *)"u";
	expect_kind("dm", "u@4096");
	/* A uuid is enough, a name is not. */
	disk_name(1, NULL);
	expect_kind("dm", "u@4096");
	ck_assert_str_eq(identity.leg[1], "");
	opened.mirror.uuid = NULL;
	expect_kind("weak", "");
}
END_TEST

START_TEST(active_then_inactive)
{
	struct identity before;
	char why[256];

	opened.mirror.activity = MIRROR_ACTIVE;
	opened.mirror.uuid = (char *)"u";
	expect_kind("dm", "u");
	before = identity;
	opened.mirror.activity = MIRROR_INACTIVE;
	opened.mirror.uuid = NULL;
	expect_kind("block", "");
	ck_assert_msg(identity_matches(&before, &identity, why, sizeof(why)), "%s", why);
	devices[0].offset = 8;
	expect_kind("block", "");
	ck_assert(!identity_matches(&before, &identity, why, sizeof(why)));
}
END_TEST

/* --- places: image files that are found again ------------------------------------- */

static void image_make(const char *name, int byte)
{
	unsigned char bytes[4096];
	int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	ck_assert_int_ge(fd, 0);
	memset(bytes, byte, sizeof(bytes));
	for (unsigned int at = 0; at < MIB; at += sizeof(bytes))
		ck_assert_int_eq(write(fd, bytes, sizeof(bytes)), sizeof(bytes));
	close(fd);
}

static void places_setup(void)
{
	ck_assert_ptr_nonnull(getcwd(home, sizeof(home)));
	snprintf(directory, sizeof(directory), "/tmp/test_places.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(directory));
	ck_assert_int_eq(chdir(directory), 0);
	ck_assert_int_eq(mkdir("sub", 0700), 0);
	image_make("sub/leg0", 1);
	image_make("sub/leg@4", 2);
	image_make("log", 3);
	ck_assert_int_eq(symlink("sub", "dir"), 0);
	ck_assert_int_eq(symlink("sub/leg0", "link"), 0);
	memset(&err, 0, sizeof(err));
}

static void places_teardown(void)
{
	char command[96];

	ck_assert_int_eq(chdir(home), 0);
	snprintf(command, sizeof(command), "rm -rf %s", directory);
	ck_assert_int_eq(system(command), 0);
}

/* Discovers, identifies, and gives the identity's text. */
static char *identity_text(const struct mirror_operand *operand, struct identity *found)
{
	struct engine_params params = { .kind = ENGINE_THREADS, .depth = 4, .nr_buffers = 1,
					.buffer_bytes = 4096 };
	struct block_engine *threads;
	struct opened_mirror mirror;
	char *json;

	ck_assert_msg(!mirror_discover(&mirror, operand, &err), "%s", err.text);
	ck_assert_int_eq(engine_create(&threads, &params, &err), 0);
	ck_assert_msg(!mirror_identify(found, &mirror, threads, &err), "%s", err.text);
	ck_assert_int_eq(mirror_identity_json(&json, found, &mirror), 0);
	block_engine_destroy(threads);
	mirror_close(&mirror);
	return json;
}

static void expect_place(const char *place, const char *name)
{
	char wanted[128];

	snprintf(wanted, sizeof(wanted), "%s/%s", directory, name);
	ck_assert_str_eq(place, wanted);
}

START_TEST(found_again)
{
	static const char *const legs[] = { "link@8", "missing", "dir/leg@4" };
	struct mirror_operand operand = { .legs = legs, .nr_legs = 3, .log = "./log",
					  .region_size = "64k", .length = "1000s" };
	struct identity first, second;
	struct identity_places places;
	char *json = identity_text(&operand, &first), *again;
	int r;

	ck_assert_int_eq(identity_from_json(&second, json, &err), 0);
	ck_assert(!memcmp(&first, &second, sizeof(first)));
	r = identity_places_parse(&places, json, &err);
	ck_assert_msg(!r, "%s", err.text);
	expect_place(places.legs[0], "link@8");
	ck_assert_str_eq(places.legs[1], "missing");
	expect_place(places.legs[2], "sub/leg@4@0");
	expect_place(places.operand.log, "log");
	ck_assert_str_eq(places.operand.region_size, "128s");
	ck_assert_str_eq(places.operand.length, "1000s");
	ck_assert_str_eq(places.name, "log");
	ck_assert_int_eq(chdir("/"), 0);	/* from anywhere */
	again = identity_text(&places.operand, &second);
	ck_assert(!memcmp(&first, &second, sizeof(first)));
	ck_assert_str_eq(json, again);
	identity_places_free(&places);
	free(again);
	free(json);
}
END_TEST

static const struct { const char *json; int code; const char *says; } wrong_places[] = {
	{ "", -EBADMSG, "not a JSON object" },
	{ "[]", -EBADMSG, "not a JSON object" },
	{ "{\"places\":", -EBADMSG, "not a JSON object" },
	{ "{}", -ENODATA, "does not say where" },
	{ "{\"places\":null}", -EBADMSG, "places is not an object" },
	{ "{\"places\":{}}", -ENODATA, "no log" },
	{ "{\"places\":{\"log\":7}}", -EBADMSG, "places.log is no path" },
	{ "{\"places\":{\"log\":\"\"}}", -EBADMSG, "places.log is no path" },
	{ "{\"places\":{\"log\":\"a\\u0000b\"}}", -EBADMSG, "places.log is no path" },
	{ "{\"places\":{\"log\":\"l\"}}", -EBADMSG, "places.legs is not an array" },
	{ "{\"places\":{\"log\":\"l\",\"legs\":[\"a\"]}}", -EBADMSG, "2 to 9 members" },
	{ "{\"places\":{\"log\":\"l\",\"legs\":[1,2,3,4,5,6,7,8,9,0]}}", -EBADMSG,
	  "2 to 9 members" },
	{ "{\"places\":{\"log\":\"l\",\"legs\":[\"a\",null]}}", -EBADMSG,
	  "member that is no path" },
	{ "{\"places\":{\"log\":\"l\",\"legs\":[\"a\",\"b\"]}}", -EBADMSG,
	  "region_size is no size" },
	{ "{\"places\":{\"log\":\"l\",\"legs\":[\"a\",\"b\"],\"region_size\":\"x\"}}", -EBADMSG,
	  "region_size is no size" },
	{ "{\"places\":{\"log\":\"l\",\"legs\":[\"a\",\"b\"],\"region_size\":\"2s\","
	  "\"length\":\"000000000000000000000016s\"}}", -EBADMSG, "length is no size" },
	{ "{\"places\":{\"log\":\"l\",\"legs\":[\"a\",\"b\"],\"region_size\":\"2s\","
	  "\"length\":\"0s\"}}", -EBADMSG, "length is no size" },
};

/* By its uuid, wherever it is and whatever it is called by now. */
START_TEST(place_of_a_volume)
{
	static const char lv[] = "LVM-0123456789abcdefghijklmnopqrstuvABCDEFGHIJKLMNOPQRSTUVWXYZ012345";
	static const struct { const char *behind; const char *places; const char *segment; } texts[] = {
		{ "", "\"name\":\"vg/lv\"", NULL },
		{ "@4096", "\"name\":\"vg/lv\"", "4096" },
		/* Of an online repair: its legs' devices are not there when it is not active. */
		{ "", "\"name\":\"vg/lv\",\"legs\":[\"/dev/mapper/a\",\"/dev/mapper/b\"],\"log\":\"l\"", NULL },
	};
	struct identity_places places;
	char json[512];

	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		snprintf(json, sizeof(json), "{\"id\":\"%s%s\",\"places\":{%s}}", lv, texts[i].behind,
			 texts[i].places);
		ck_assert_int_eq(identity_places_parse(&places, json, &err), 0);
		ck_assert_str_eq(places.operand.name, lv);
		ck_assert_uint_eq(places.operand.nr_legs, 0);
		ck_assert_ptr_null(places.operand.log);
		ck_assert_str_eq(places.name, "vg/lv");
		if (texts[i].segment)
			ck_assert_str_eq(places.operand.segment, texts[i].segment);
		else
			ck_assert_ptr_null(places.operand.segment);
		identity_places_free(&places);
	}
	/* What only looks like one has to have paths. */
	snprintf(json, sizeof(json), "{\"id\":\"%sx\",\"places\":{}}", lv);
	ck_assert_int_eq(identity_places_parse(&places, json, &err), -ENODATA);
	snprintf(json, sizeof(json), "{\"id\":\"%.67s\",\"places\":{}}", lv);
	ck_assert_int_eq(identity_places_parse(&places, json, &err), -ENODATA);
	snprintf(json, sizeof(json), "{\"id\":\"%.66s@4096\",\"places\":{}}", lv);
	ck_assert_int_eq(identity_places_parse(&places, json, &err), -ENODATA);
}
END_TEST

START_TEST(damaged_places)
{
	struct identity_places places;

	memset(&err, 0, sizeof(err));
	ck_assert_int_eq(identity_places_parse(&places, wrong_places[_i].json, &err),
			 wrong_places[_i].code);
	ck_assert_msg(strstr(err.text, wrong_places[_i].says) != NULL, "%s", err.text);
	ck_assert_ptr_null(places.json);
	ck_assert_uint_eq(places.operand.nr_legs, 0);
	identity_places_free(&places);
}
END_TEST

/* A host's paths must not make the identity unreadable. */
START_TEST(paths_that_are_too_long)
{
	char path[8 * 1024 + 1], *json;
	struct identity again;

	memset(path, 1, sizeof(path) - 1);	/* six bytes each in JSON */
	path[sizeof(path) - 1] = '\0';
	setup();
	identify();
	files[0].path = files[1].path = path;
	ck_assert_int_eq(mirror_identity_json(&json, &identity, &opened), 0);
	ck_assert_ptr_null(strstr(json, "places"));
	ck_assert_int_eq(identity_from_json(&again, json, &err), 0);
	free(json);
	teardown();
}
END_TEST

Suite *identify_suite(void)
{
	Suite *suite = suite_create("identify");
	TCase *contents = tcase_create("contents"), *names = tcase_create("names");
	TCase *places = tcase_create("places"), *text = tcase_create("text");

	tcase_add_checked_fixture(contents, setup, teardown);
	tcase_add_test(contents, digests_of_legs);
	tcase_add_test(contents, large_blocks);
	tcase_add_test(contents, short_mirrors);
	tcase_add_test(contents, what_counts);
	tcase_add_test(contents, missing_and_unreadable);
	tcase_add_test(contents, a_log_alone);
	tcase_add_test(contents, hanging_leg);
	suite_add_tcase(suite, contents);
	tcase_add_checked_fixture(names, host_setup, host_teardown);
	tcase_add_test(names, named_block);
	tcase_add_test(names, named_in_part);
	tcase_add_test(names, active);
	tcase_add_test(names, active_then_inactive);
	suite_add_tcase(suite, names);
	tcase_add_checked_fixture(places, places_setup, places_teardown);
	tcase_add_test(places, found_again);
	suite_add_tcase(suite, places);
	tcase_add_test(text, place_of_a_volume);
	tcase_add_loop_test(text, damaged_places, 0,
			     sizeof(wrong_places) / sizeof(wrong_places[0]));
	tcase_add_test(text, paths_that_are_too_long);
	suite_add_tcase(suite, text);
	return suite;
}
