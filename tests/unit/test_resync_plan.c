/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/resync_plan.h"
#include "support/audit_world.h"
#include "unit/suites.h"

#define TITLE "mirrorctl resync plan 1\n"
#define IDENTITY "{\"kind\":\"block\",\"id\":\"a#b\",\"length_bytes\":65536," \
		 "\"region_size_bytes\":4096,\"legs\":[\"wwn \\\"#\",null],\"log\":\"\"}"

/* ---- reading ---- */

/* Parses from memory of the text's very size, for ASan. */
static int parse_bytes(struct resync_plan *plan, const char *text, size_t nr_bytes,
		       uint64_t nr_regions, unsigned int nr_legs, struct error *err)
{
	char *exact = malloc(nr_bytes ? nr_bytes : 1);
	int r;

	ck_assert_ptr_nonnull(exact);
	memcpy(exact, text, nr_bytes);
	err->kind = ERROR_NONE;
	r = resync_plan_parse(plan, "a plan", exact, nr_bytes, nr_regions, nr_legs, err);
	free(exact);
	return r;
}

/* The plan as one letter a region: a leg's number, or - for skip. */
static void expect(const char *text, unsigned int nr_legs, const char *sources)
{
	const uint64_t nr_regions = strlen(sources);
	struct resync_plan plan;
	struct error err;
	uint64_t last;

	ck_assert_msg(!parse_bytes(&plan, text, strlen(text), nr_regions, nr_legs, &err), "%s",
		      err.text);
	for (uint64_t region = 0; region < nr_regions; region++) {
		unsigned int source = resync_plan_source(&plan, region, nr_regions, &last);
		uint64_t same = region + strspn(sources + region, (char[]){ sources[region], 0 });

		ck_assert_int_eq(source == RESYNC_SKIP ? '-' : (int)('0' + source),
				 sources[region]);
		ck_assert_msg(last == same - 1, "region %" PRIu64 ": until %" PRIu64, region, last);
	}
	resync_plan_free(&plan);
	ck_assert_ptr_null(plan.runs);
	resync_plan_free(&plan);
}

static void refuse_bytes(const char *text, size_t nr_bytes, uint64_t nr_regions,
			 const char *says)
{
	struct resync_plan plan = { .nr_runs = 7 };
	struct error err;

	ck_assert_msg(parse_bytes(&plan, text, nr_bytes, nr_regions, 2, &err) == -EINVAL, "%s",
		      text);
	ck_assert_int_eq(err.kind, ERROR_USAGE);
	ck_assert_msg(strstr(err.text, says) != NULL, "\"%s\" lacks \"%s\"", err.text, says);
	ck_assert_ptr_null(plan.runs);
	ck_assert_uint_eq(plan.nr_runs, 0);
	ck_assert(!plan.has_identity);
}

static void refuse(const char *text, const char *says)
{
	refuse_bytes(text, strlen(text), 16, says);
}

START_TEST(forms)
{
	expect(TITLE "*\tsource 0\n", 2, "0000");
	expect(TITLE "* skip", 2, "----");
	expect(TITLE "1 source 1\n3 skip\n* source 0\n", 2, "010-00");
	expect(TITLE "1-3\tsource 1\n* source 0\n", 2, "011100");
	expect(TITLE "0-0 skip\n5- skip\n* source 2\n", 3, "-2222---");
	expect(TITLE "0- source 8\n* source 0\n", 9, "8888");
	/* Neighbours of one source, and what is as all others. */
	expect(TITLE "0 source 1\n1 source 1\n2 source 0\n3 skip\n* source 0\n", 2, "110-0");
}
END_TEST

START_TEST(as_people_edit)
{
	/* Another order, blank lines, comments everywhere, other blanks. */
	expect(TITLE "\n* source 0 # the rest\n\n  3 source 1#x\n\t1   skip\t \n", 2, "0-010");
	expect("# mine, \"do not touch\n\n" TITLE "* source 1\n", 2, "11");
	/* DOS ends of lines and a byte order mark. */
	expect("\xef\xbb\xbfmirrorctl resync plan 1\r\n\r\n2-3 source 1\r\n* skip\r\n", 2, "--11");
	/* No end of the last line; leading zeros. */
	expect(TITLE "* skip\n0002 source 0001", 2, "--1-");
	expect("mirrorctl  resync\tplan 1 # for the night\n* skip", 2, "-");
}
END_TEST

START_TEST(identities)
{
	struct resync_plan plan;
	struct error err;
	static const char text[] = TITLE "* skip\nidentity " IDENTITY " # weak\n";

	ck_assert_msg(!parse_bytes(&plan, text, strlen(text), 4, 2, &err), "%s", err.text);
	ck_assert(plan.has_identity);
	ck_assert_str_eq(plan.identity.id, "a#b");
	ck_assert_str_eq(plan.identity.leg[0], "wwn \"#");
	resync_plan_free(&plan);
	ck_assert(!parse_bytes(&plan, TITLE "* skip\n", strlen(TITLE "* skip\n"), 4, 2, &err));
	ck_assert(!plan.has_identity);
	resync_plan_free(&plan);
	refuse(TITLE "identity " IDENTITY "\nidentity " IDENTITY "\n* skip\n", "a plan:3: a second");
	refuse(TITLE "identity {\"kind\": \"weak\"}\n* skip\n", "a plan:2: identity of the mirror: id");
	refuse(TITLE "identity\n* skip\n", "a plan:2: identity of the mirror");
	refuse(TITLE "identity " IDENTITY " x\n* skip\n", "a plan:2: identity of the mirror");
}
END_TEST

START_TEST(no_plan)
{
	refuse("", "this plan is empty");
	refuse("\n# only this\n", "this plan is empty");
	refuse("* source 0\n", "a plan:1: \"* source 0\" is not \"mirrorctl resync plan 1\"");
	refuse("\n\nmirrorctl resync\n", "a plan:3: \"mirrorctl resync\" is not");
	refuse("mirrorctl resync plan 2\n* skip\n", "version \"2\" is not known");
	refuse("mirrorctl resync plan 1.1\n* skip\n", "version \"1.1\"");
	refuse("mirrorctl resync plan 11\n* skip\n", "version \"11\"");
	refuse("mirrorctl resync plan\n* skip\n", "version \"\"");
	refuse("mirrorctl resync plan 1 x\n* skip\n", "version \"1\"");
	refuse(TITLE, "no line says what becomes of all other regions");
	refuse(TITLE "1 skip\n", "no line says");
	refuse(TITLE TITLE "* skip\n", "a plan:2: \"mirrorctl\" is neither a region");
}
END_TEST

START_TEST(wrong_lines)
{
	refuse(TITLE "* skip\n* skip\n", "a plan:3: a second line for all other regions (*): the first "
	       "is line 2");
	refuse(TITLE "* skip\n16 skip\n", "a plan:3: \"16\" is beyond the end: the mirror has 16");
	refuse(TITLE "* skip\n3-16 skip\n", "\"3-16\" is beyond the end");
	refuse(TITLE "* skip\n99999999999999999999999999 skip\n", "is beyond the end");
	refuse(TITLE "* skip\n4294967297 skip\n", "is beyond the end");
	refuse(TITLE "* skip\n5-3 skip\n", "\"5-3\" runs backwards");
	refuse(TITLE "* skip\n-3 skip\n", "\"-3\" is neither a region");
	refuse(TITLE "* skip\n3--5 skip\n", "is neither a region");
	refuse(TITLE "* skip\n3,5 skip\n", "\"3,5\" is not one region or one run");
	refuse(TITLE "* skip\n3 - 5 skip\n", "\"-\" is neither \"source LEG\" nor \"skip\"");
	refuse(TITLE "* skip\n3\n", "a plan:3: \"\" is neither \"source LEG\"");
	refuse(TITLE "* skip\n3 Skip\n", "\"Skip\" is neither");
	refuse(TITLE "* skip\n3 source\n", "\"\" is not the number of a leg");
	refuse(TITLE "* skip\n3 source -1\n", "\"-1\" is not the number of a leg");
	refuse(TITLE "* skip\n3 source 1x\n", "\"1x\" is not the number of a leg");
	refuse(TITLE "* skip\n3 source 2\n", "a plan:3: there is no leg 2: the mirror has legs 0 to 1");
	refuse(TITLE "* source 255\n", "there is no leg 255");
	refuse(TITLE "* source 18446744073709551616\n", "there is no leg 18446744073709551616");
	refuse(TITLE "* skip\n3 source 1 2\n", "\"2\" is too much on this line");
	refuse(TITLE "* skip\n3 skip 1\n", "\"1\" is too much on this line");
}
END_TEST

START_TEST(overlaps)
{
	refuse(TITLE "3 skip\n* skip\n3 source 0\n", "a plan:4: region 3 is named by line 2 already");
	refuse(TITLE "* skip\n7-9 skip\n2-7 source 1\n", "a plan:4: region 7 is named by line 3");
	refuse(TITLE "* skip\n0-9 skip\n4 skip\n", "a plan:4: region 4 is named by line 3");
	refuse(TITLE "* skip\n0- skip\n15 skip\n", "a plan:4: region 15 is named by line 3");
	expect(TITLE "* skip\n3-5 source 0\n0-2 source 1\n6 source 1\n", 2, "1110001-");
}
END_TEST

START_TEST(hostile_bytes)
{
	static const char nul[] = TITLE "* skip\n3 sk\0ip\n";
	static const char wide[] = "m\0i\0r\0r\0o\0r\0";
	struct resync_plan plan;
	struct error err;
	const size_t length = 1 << 20;
	char *text = malloc(length + 64);

	ck_assert_ptr_nonnull(text);
	refuse_bytes(nul, sizeof(nul) - 1, 16, "a plan:3: holds a NUL byte");
	refuse_bytes(wide, sizeof(wide) - 1, 16, "a plan:1: holds a NUL byte");
	refuse("\x1b[31mred\n", "a plan:1: \"?[31mred\" is not");

	/* One long word, one long comment, one long run of blanks. */
	memset(text, 'x', length);
	refuse_bytes(text, length, 16, "a plan:1: \"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\" is not");
	memset(text, '#', length);
	memcpy(text + length, "\n" TITLE "* skip\n", strlen("\n" TITLE "* skip\n"));
	ck_assert(!parse_bytes(&plan, text, length + strlen("\n" TITLE "* skip\n"), 4, 2, &err));
	resync_plan_free(&plan);
	memset(text, '3', length);
	memcpy(text, TITLE, strlen(TITLE));
	refuse_bytes(text, length, 16, "is beyond the end");
	free(text);

	ck_assert_int_eq(resync_plan_parse(&plan, "a plan", "", RESYNC_PLAN_BYTES_MAX + 1, 4, 2, NULL), -EINVAL);
	ck_assert_int_eq(resync_plan_parse(&plan, "a plan", TITLE "* skip", strlen(TITLE "* skip"),
					   UINT64_MAX, 2, NULL), -EINVAL);
}
END_TEST

START_TEST(the_largest_mirror)
{
	static const char text[] = TITLE "4294967294 source 1\n0-4294967292 skip\n* source 0\n";
	struct resync_plan plan;
	struct error err;
	uint64_t last;

	ck_assert(!parse_bytes(&plan, text, strlen(text), REGION_COUNT_MAX, 2, &err));
	ck_assert_uint_eq(resync_plan_source(&plan, 17, REGION_COUNT_MAX, &last), RESYNC_SKIP);
	ck_assert_uint_eq(last, 4294967292);
	ck_assert_uint_eq(resync_plan_source(&plan, 4294967293, REGION_COUNT_MAX, &last), 0);
	ck_assert_uint_eq(last, 4294967293);
	ck_assert_uint_eq(resync_plan_source(&plan, 4294967294, REGION_COUNT_MAX, &last), 1);
	ck_assert_uint_eq(last, 4294967294);
	resync_plan_free(&plan);
}
END_TEST

START_TEST(one_leg_for_all)
{
	struct resync_plan plan;
	uint64_t last;

	resync_plan_init(&plan, 3);
	ck_assert_uint_eq(resync_plan_source(&plan, 0, 10, &last), 3);
	ck_assert_uint_eq(last, 9);
	ck_assert_uint_eq(resync_plan_source(&plan, 9, 10, &last), 3);
	ck_assert_uint_eq(last, 9);
}
END_TEST

/* ---- a random text, and one array that says the same ---- */

#define MANY_REGIONS 20000u

/* A random run in [from, MANY_REGIONS) as a line; returns the region behind it. */
static uint64_t random_line(char *line, size_t room, uint8_t *expected, uint64_t from,
			    uint64_t *seed)
{
	uint64_t first = from + world_below(seed, 4), last = first + world_below(seed, 3);
	unsigned int source = (unsigned int)world_below(seed, 4);

	line[0] = '\0';
	if (last >= MANY_REGIONS)
		return MANY_REGIONS;
	memset(expected + first, source < 3 ? (int)source : (int)RESYNC_SKIP, last - first + 1);
	if (source == 3)
		snprintf(line, room, "%" PRIu64 "-%" PRIu64 " skip\n", first, last);
	else
		snprintf(line, room, "%" PRIu64 "-%" PRIu64 " source %u # %d\n", first, last, source,
			 (int)world_below(seed, 1000));
	return last + 1;
}

START_TEST(thousands_of_runs)
{
	const size_t room = MANY_REGIONS * 40;
	uint8_t *expected = malloc(MANY_REGIONS);
	char *text = malloc(room), line[64];
	uint64_t seed = 4711, last;
	struct resync_plan plan;
	struct error err;
	size_t end = room;

	ck_assert(text && expected);
	memset(expected, 1, MANY_REGIONS);
	/* From the back, so that the lines run downwards. */
	end -= strlen("* source 1\n");
	memcpy(text + end, "* source 1\n", strlen("* source 1\n"));
	for (uint64_t at = 0; at < MANY_REGIONS; ) {
		at = random_line(line, sizeof(line), expected, at, &seed);
		end -= strlen(line);
		memcpy(text + end, line, strlen(line));
	}
	end -= strlen(TITLE);
	memcpy(text + end, TITLE, strlen(TITLE));
	ck_assert_msg(!parse_bytes(&plan, text + end, room - end, MANY_REGIONS, 3, &err), "%s",
		      err.text);
	ck_assert_uint_gt(plan.nr_runs, 1000);
	for (uint64_t region = 0; region < MANY_REGIONS; region++) {
		ck_assert_uint_eq(resync_plan_source(&plan, region, MANY_REGIONS, &last),
				  expected[region]);
		ck_assert(last == MANY_REGIONS - 1 || expected[last + 1] != expected[region]);
		ck_assert(last >= region && expected[last] == expected[region]);
	}
	resync_plan_free(&plan);
	free(text);
	free(expected);
}
END_TEST

/* ---- writing ---- */

static struct {
	struct world world;
	char *text;
	size_t nr_bytes, room;
	unsigned int fail_at;	/* the nth line, 0: none */
} paper;

static void setup(void)
{
	memset(&paper, 0, sizeof(paper));
}

static void teardown(void)
{
	world_free(&paper.world);
	free(paper.text);
}

static int put(void *context, const char *line)
{
	size_t length = strlen(line);

	ck_assert_ptr_eq(context, &paper);
	ck_assert(length && line[length - 1] == '\n');
	ck_assert_ptr_eq(strchr(line, '\n'), line + length - 1);
	if (paper.fail_at && !--paper.fail_at)
		return -ENOSPC;
	if (paper.nr_bytes + length + 1 > paper.room) {
		paper.room = (paper.room + length + 1) * 2;
		paper.text = realloc(paper.text, paper.room);
		ck_assert_ptr_nonnull(paper.text);
	}
	memcpy(paper.text + paper.nr_bytes, line, length + 1);
	paper.nr_bytes += length;
	return 0;
}

static int write_plan(const struct bitmap *work, const struct audit_result *audit,
		      unsigned int source)
{
	paper.nr_bytes = 0;
	return resync_plan_write(put, &paper, IDENTITY, work, audit, &paper.world.geometry,
				 paper.world.nr_legs, source);
}

/* Behind the lines for people, which are not what is looked for. */
static void expect_text(const char *expected)
{
	const char *rules = strstr(paper.text, "mirrorctl-plan(5).\n");

	ck_assert_ptr_nonnull(rules);
	rules = strchr(rules, '\n') + 1;
	if (!strncmp(rules, "# Legs that agree", strlen("# Legs that agree")))
		rules = strchr(rules, '\n') + 1;
	ck_assert_str_eq(rules, expected);
}

/* Every region from `source`, whatever was written. */
static void expect_source(unsigned int source)
{
	const uint64_t nr_regions = paper.world.geometry.nr_regions;
	struct resync_plan plan;
	struct error err;
	uint64_t last;

	ck_assert_msg(!parse_bytes(&plan, paper.text, paper.nr_bytes, nr_regions,
				   paper.world.nr_legs, &err), "%s", err.text);
	ck_assert(plan.has_identity);
	ck_assert_uint_eq(resync_plan_source(&plan, 0, nr_regions, &last), source);
	ck_assert_uint_eq(last, nr_regions - 1);
	resync_plan_free(&plan);
}

START_TEST(evidence)
{
	struct world *world = &paper.world;

	world_make(world, 3, 16 * 8 - 3, 8, NULL);
	world_dirty(world, 2, 6);
	world_dirty(world, 12, 15);
	world_put(world, 0, 2 * 8, 3 * 8, HOLDS_ZEROS);	/* regions 2-4: leg 0 against the others */
	world_put(world, 1, 5 * 8 + 1, 3, HOLDS_ONES);
	world_put(world, 2, 9 * 8 + 7, 1, HOLDS_OTHER);	/* a lie */
	world_break(world, 2, 13 * 8, 2, -EIO);
	world_audit(world);
	bitmap_clear_run(&world->selected, 0, 15);
	bitmap_set_run(&world->selected, 2, 6);
	bitmap_set(&world->selected, 9);
	bitmap_set_run(&world->selected, 12, 15);
	ck_assert(!write_plan(&world->selected, &world->result, 0));
	expect_text("# regions 2-4, 12 KiB: not clean, and the legs differ\n"
		    "#   legs 1 and 2 agree\n"
		    "#   leg 1 differs from leg 0 in 12 KiB: it holds data there, leg 0 zeros\n"
		    "#   leg 2 differs from leg 0 in 12 KiB: it holds data there, leg 0 zeros\n"
		    "2-4\tsource 0\n"
		    "# region 5, 4 KiB: not clean, and the legs differ\n"
		    "#   legs 0 and 2 agree\n"
		    "#   leg 1 differs from leg 0 in 1536 B: it holds bytes 0xff there, leg 0 data\n"
		    "5\tsource 0\n"
		    "# region 6, 4 KiB: not clean, and the legs are equal\n"
		    "6\tsource 0\n"
		    "# region 9, 4 KiB: called clean, and the legs differ\n"
		    "#   legs 0 and 1 agree\n"
		    "#   leg 2 differs from leg 0 in 512 B: it holds data there, leg 0 data\n"
		    "9\tsource 0\n"
		    "# region 12, 4 KiB: not clean, and the legs are equal\n"
		    "12\tsource 0\n"
		    "# region 13, 4 KiB: not all of it could be read\n"
		    "#   leg 2 could not be read in 2 sectors\n"
		    "13\tsource 0\n"
		    "# regions 14-15, 6656 B: not clean, and the legs are equal\n"
		    "14-15\tsource 0\n"
		    "*\tsource 0\n");
	expect_source(0);
	ck_assert(!write_plan(&world->selected, &world->result, RESYNC_SKIP));
	expect_source(RESYNC_SKIP);
}
END_TEST

START_TEST(edited_and_read_back)
{
	struct world *world = &paper.world;
	struct resync_plan plan;
	struct error err;
	uint64_t last;
	char *line;

	world_make(world, 3, 64, 8, NULL);
	world_dirty(world, 2, 5);
	world_put(world, 1, 2 * 8, 8, HOLDS_ZEROS);
	world_put(world, 2, 4 * 8, 8, HOLDS_ZEROS);
	world_audit(world);
	bitmap_clear_run(&world->selected, 0, 7);
	bitmap_set_run(&world->selected, 2, 5);
	ck_assert(!write_plan(&world->selected, &world->result, 0));
	line = strstr(paper.text, "2\tsource 0");
	ck_assert_ptr_nonnull(line);
	memcpy(line, "2\tsource 1", strlen("2\tsource 1"));
	line = strstr(paper.text, "4\tsource 0");
	ck_assert_ptr_nonnull(line);
	memcpy(line, "4\tskip    ", strlen("4\tskip    "));
	ck_assert_msg(!parse_bytes(&plan, paper.text, paper.nr_bytes, 8, 3, &err), "%s", err.text);
	for (uint64_t region = 0; region < 8; region++)
		ck_assert_uint_eq(resync_plan_source(&plan, region, 8, &last),
				  region == 2 ? 1 : region == 4 ? RESYNC_SKIP : 0);
	resync_plan_free(&plan);
}
END_TEST

START_TEST(without_evidence)
{
	struct world *world = &paper.world;

	world_make(world, 2, 64, 8, NULL);
	bitmap_clear_run(&world->selected, 0, 3);
	ck_assert(!write_plan(&world->selected, NULL, 1));
	expect_text("# regions 4-7, 16 KiB: not compared\n4-7\tsource 1\n*\tsource 1\n");
	expect_source(1);
	bitmap_clear_run(&world->selected, 0, 7);
	ck_assert(!write_plan(&world->selected, NULL, 1));
	expect_text("*\tsource 1\n");
	paper.nr_bytes = 0;
	ck_assert(!resync_plan_write(put, &paper, NULL, &world->selected, NULL, &world->geometry, 2, 0));
	ck_assert_ptr_null(strstr(paper.text, "identity"));
}
END_TEST

/* Runs that reach over many regions, begin and end in their middle: the figures are
 * those of a count by hand. */
START_TEST(random_evidence)
{
	struct world *world = &paper.world;
	uint64_t seed = 99;

	for (unsigned int round = 0; round < world_rounds(60); round++) {
		uint64_t differing[MIRROR_LEGS_MAX] = { 0 };
		double number, said[MIRROR_LEGS_MAX] = { 0 };
		unsigned int leg, against;
		const char *at;

		world_make(world, 3, 64 * 4 - 1, 4, NULL);
		world_dirty(world, 0, world_below(&seed, 64));
		for (unsigned int i = 0; i < 4; i++)
			world_put(world, 1 + (unsigned int)world_below(&seed, 2),
				  world_below(&seed, 200), 1 + world_below(&seed, 55), HOLDS_OTHER);
		world_audit(world);
		for (size_t i = 0; i < world->result.runs.nr; i++)
			differing[world->result.runs.runs[i].leg] += world->result.runs.runs[i].sectors;
		ck_assert(!write_plan(&world->selected, &world->result, 0));
		expect_source(0);
		for (at = paper.text; (at = strstr(at, "#   leg ")); at++) {
			char unit[4];

			ck_assert_int_eq(sscanf(at, "#   leg %u differs from leg %u in %lf %3[A-Za-z]",
						&leg, &against, &number, unit), 4);
			ck_assert(against == 0 && leg < 3);
			said[leg] += unit[0] == 'B' ? number / SECTOR_BYTES : number * 2;
		}
		/* Sizes of 10 KiB and more are rounded to a tenth. */
		for (leg = 0; leg < 3; leg++)
			ck_assert_double_eq_tol(said[leg], (double)differing[leg], 2.0);
		world_free(world);
	}
	memset(world, 0, sizeof(*world));
}
END_TEST

START_TEST(lists_cut_short)
{
	struct world *world = &paper.world;

	world_make(world, 3, 256, 8, NULL);
	world->options.max_runs = 4;
	world_dirty(world, 0, 31);
	for (uint64_t region = 0; region < 32; region += 2)
		world_put(world, 1, region * 8, 1, HOLDS_OTHER);
	world_audit(world);
	ck_assert(world->result.runs.truncated);
	ck_assert(!write_plan(&world->selected, &world->result, 0));
	ck_assert_ptr_nonnull(strstr(paper.text, "# The audit did not keep all that it found"));
	/* No word of who agrees with whom. */
	ck_assert_ptr_null(strstr(paper.text, "#   legs "));
	ck_assert_ptr_nonnull(strstr(paper.text, "not compared\n"));
	expect_source(0);
}
END_TEST

START_TEST(writing_fails)
{
	struct world *world = &paper.world;

	world_make(world, 2, 64, 8, NULL);
	for (unsigned int nth = 1; nth <= 8; nth++) {
		paper.fail_at = nth;
		ck_assert_int_eq(write_plan(&world->selected, NULL, 0), -ENOSPC);
		ck_assert_uint_eq(paper.fail_at, 0);	/* and nobody called it again */
	}
	paper.fail_at = 9;
	ck_assert_int_eq(write_plan(&world->selected, NULL, 0), 0);
	paper.fail_at = 0;
}
END_TEST

/* Every second region of a large mirror: what is written can be read back. */
START_TEST(too_many_runs)
{
	struct world *world = &paper.world;
	struct region_geometry geometry;
	struct bitmap work;

	world_make(world, 2, 64, 8, NULL);
	if (world_rounds(30) < 30)
		return;		/* valgrind: a minute for nothing new */
	ck_assert(!region_geometry_init(&geometry, UINT64_C(2) << 19, 2, NULL));
	world->geometry = geometry;
	ck_assert(!bitmap_alloc(&work, geometry.nr_regions));
	memset(work.words, 0x55, geometry.nr_regions / 8);
	ck_assert(!write_plan(&work, NULL, 0));
	bitmap_free(&work);
	ck_assert_uint_lt(paper.nr_bytes, RESYNC_PLAN_BYTES_MAX);
	ck_assert_ptr_nonnull(strstr(paper.text, "# There are too many runs to list them all"));
	expect_source(0);
}
END_TEST

Suite *resync_plan_suite(void)
{
	Suite *suite = suite_create("resync_plan");
	TCase *reading = tcase_create("reading"), *writing = tcase_create("writing");

	tcase_add_test(reading, forms);
	tcase_add_test(reading, as_people_edit);
	tcase_add_test(reading, identities);
	tcase_add_test(reading, no_plan);
	tcase_add_test(reading, wrong_lines);
	tcase_add_test(reading, overlaps);
	tcase_add_test(reading, hostile_bytes);
	tcase_add_test(reading, the_largest_mirror);
	tcase_add_test(reading, one_leg_for_all);
	tcase_add_test(reading, thousands_of_runs);
	suite_add_tcase(suite, reading);
	tcase_add_checked_fixture(writing, setup, teardown);
	tcase_add_test(writing, evidence);
	tcase_add_test(writing, edited_and_read_back);
	tcase_add_test(writing, without_evidence);
	tcase_add_test(writing, random_evidence);
	tcase_add_test(writing, lists_cut_short);
	tcase_add_test(writing, writing_fails);
	tcase_add_test(writing, too_many_runs);
	suite_add_tcase(suite, writing);
	return suite;
}
