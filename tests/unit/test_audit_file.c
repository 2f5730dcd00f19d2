/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/audit_file.h"
#include "core/json_scan.h"
#include "unit/suites.h"

#define REGIONS 256u

#define IDENTITY "{\"kind\":\"block\",\"id\":\"\",\"length_bytes\":16777216," \
	"\"region_size_bytes\":65536,\"legs\":[\"wwn-0x1\",null],\"log\":\"wwn-0x3\"," \
	"\"places\":{\"legs\":[\"/dev/a\",\"missing\"]}}"
#define MIRROR "\"mirror\": {\"name\": \"m\", \"identity\": " IDENTITY "}"
#define RUNS "\"region_runs\": {\"verified\": [ {\"first\": 9, \"last\": 9} ],\n" \
	"\"bogus_clean\": [ {\"first\": 200, \"last\": 203}, { \"first\": 7, \"last\": 7 } ],\n" \
	"\"suspect\": [{\"last\":203,\"first\":202,\"new\":[[]]}] }"
#define RESULT "\"result\": {\"counts\": {\"bogus_clean\": 5}, " RUNS ", \"truncated\": false}"
#define HEAD "\"schema\": \"mirrorctl/1\", \"command\": \"audit\", \"version\": \"0.1.0\", "
#define REPORT "{\n " HEAD MIRROR ", " RESULT ", \"findings\": [], \"exit_status\": 4\n}\n"

static struct audit_file file;
static struct error err;

static void setup(void)
{
	memset(&file, 0x5a, sizeof(file));
	memset(&err, 0, sizeof(err));
}

static void teardown(void)
{
	audit_file_free(&file);
}

/* From memory of just this size: a read behind it is seen. */
static int parse(const char *text, size_t length, uint64_t nr_regions)
{
	char *copy = malloc(length ? length : 1);
	int r;

	ck_assert_ptr_nonnull(copy);
	memcpy(copy, text, length);
	r = audit_file_parse(&file, copy, length, nr_regions, &err);
	free(copy);
	return r;
}

static void accepted(const char *text)
{
	audit_file_free(&file);
	ck_assert_msg(!parse(text, strlen(text), REGIONS), "%s: %s", text, err.text);
}

static void refused(const char *text, size_t length, uint64_t nr_regions, const char *says)
{
	err.kind = ERROR_NONE;
	memset(&file, 0x5a, sizeof(file));
	ck_assert_msg(parse(text, length, nr_regions) == -EBADMSG, "accepted: %s", text);
	ck_assert_int_eq(err.kind, ERROR_OPERATION);
	ck_assert_msg(strstr(err.text, says) != NULL, "\"%s\" lacks \"%s\" (%s)", err.text, says,
		      text);
	ck_assert_ptr_null(file.regions.words);
	ck_assert_uint_eq(file.nr_regions, 0);
}

/* The report with `from` replaced by `to`. */
static char *changed(const char *from, const char *to)
{
	const char *at = strstr(REPORT, from);
	char *text;

	ck_assert_msg(at != NULL, "no %s in the report", from);
	ck_assert_int_ge(asprintf(&text, "%.*s%s%s", (int)(at - REPORT), REPORT, to,
				  at + strlen(from)), 0);
	return text;
}

static void refused_with(const char *from, const char *to, const char *says)
{
	char *text = changed(from, to);

	refused(text, strlen(text), REGIONS, says);
	free(text);
}

static void accepted_with(const char *from, const char *to)
{
	char *text = changed(from, to);

	accepted(text);
	free(text);
}

START_TEST(a_report)
{
	memset(&file, 0, sizeof(file));
	accepted(REPORT);
	ck_assert_str_eq(file.identity.kind, "block");
	ck_assert_str_eq(file.identity.leg[0], "wwn-0x1");
	ck_assert_str_eq(file.identity.leg[1], "");
	ck_assert_uint_eq(file.identity.length, 32768);
	ck_assert_uint_eq(file.regions.nr_bits, REGIONS);
	ck_assert_uint_eq(file.nr_regions, 5);
	ck_assert_uint_eq(bitmap_count(&file.regions), 5);
	ck_assert_uint_eq(bitmap_count_run(&file.regions, 200, 203), 4);
	ck_assert(bitmap_test(&file.regions, 7));
	ck_assert(!bitmap_test(&file.regions, 9));
	ck_assert(!file.truncated);
}
END_TEST

START_TEST(what_may_vary)
{
	memset(&file, 0, sizeof(file));
	accepted_with("\"truncated\": false", "\"truncated\": true");
	ck_assert(file.truncated);
	accepted_with("\"mirrorctl/1\"", "\"mirrorctl\\/1\"");
	accepted_with("\"mirrorctl/1\"", "\"mirrorctl/1.7\"");
	accepted_with("\"exit_status\": 4", "\"new\": [{\"a\": [-1.5e+9, true, \"\\\"]}\"]}, {}]");
	accepted_with("\"first\": 200, \"last\": 203", "\"first\": 0, \"last\": 255");
	ck_assert_uint_eq(file.nr_regions, REGIONS);
	/* Of two members with one key the last counts, as json-c has it. */
	accepted_with("\"first\": 7,", "\"first\": -1, \"first\": 7,");
	accepted_with(RUNS, "\"region_runs\": {\"bogus_clean\":[],\"suspect\":[ ]}");
	ck_assert_uint_eq(file.nr_regions, 0);
	/* Any order. */
	accepted("{" RESULT "," MIRROR ",\"command\":\"audit\",\"schema\":\"mirrorctl/1\"}");
	ck_assert_uint_eq(file.nr_regions, 5);
}
END_TEST

START_TEST(another_kind_of_report)
{
	refused_with("\"mirrorctl/1\"", "\"mirrorctl/2\"", "schema mirrorctl/2 is not known");
	refused_with("\"mirrorctl/1\"", "\"mirrorctl/10\"", "schema mirrorctl/10 is not known");
	refused_with("\"mirrorctl/1\"", "\"mirrorctl/\"", "is not known");
	refused_with("\"mirrorctl/1\"", "\"other/1\"", "no schema");
	refused_with("\"mirrorctl/1\"", "1", "no schema");
	refused_with("\"mirrorctl/1\"", "\"mirrorctl/1\\u0000\"", "no schema");
	refused_with("\"schema\"", "\"Schema\"", "no schema");
	refused_with("\"audit\"", "\"show\"", "the report of \"show\"");
	refused_with("\"audit\"", "\"audit\\u0000\"", "command is no string");
	refused_with("\"audit\"", "null", "command is no string");
	refused_with("\"findings\": []", "\"error\": \"no such leg\"",
		     "could not be made (no such leg)");
	refused_with("\"findings\": []", "\"error\": null", "could not be made");
}
END_TEST

START_TEST(wrong_identity)
{
	refused_with("\"identity\"", "\"identitx\"", "mirror.identity is missing");
	refused_with(IDENTITY, "7", "not a JSON object");
	refused_with("\"kind\":\"block\"", "\"kind\":\"blocks\"", "kind is none of");
	refused_with("\"length_bytes\":16777216,", "", "length_bytes is missing");
	refused_with(MIRROR, "\"mirror\": []", "mirror is no object");
	refused_with(MIRROR, "\"mirrot\": {}", "mirror is no object");
}
END_TEST

START_TEST(wrong_result)
{
	refused_with(RESULT, "\"result\": null", "result is no object");
	refused_with("\"truncated\": false", "\"truncated\": 0", "result.truncated is neither");
	refused_with(", \"truncated\": false", "", "result.truncated is neither");
	refused_with(RUNS, "\"region_runs\": []", "result.region_runs is no object");
	refused_with(RUNS, "\"regions\": {}", "result.region_runs is no object");
	refused_with("\"suspect\": [", "\"suspects\": [", "region_runs.suspect is no array");
	refused_with(RUNS, "\"region_runs\": {\"bogus_clean\": {}, \"suspect\": []}",
		     "region_runs.bogus_clean is no array");
}
END_TEST

START_TEST(wrong_runs)
{
	static const char second[] = "{ \"first\": 7, \"last\": 7 }";

	refused_with(second, "7", "bogus_clean[1] is no object");
	refused_with(second, "[7, 7]", "bogus_clean[1] is no object");
	refused_with(second, "{\"first\": 7}", "bogus_clean[1] has no number");
	refused_with(second, "{\"first\": 7, \"last\": \"8\"}", "bogus_clean[1] has no number");
	refused_with(second, "{\"first\": 7, \"last\": 8.0}", "bogus_clean[1] has no number");
	refused_with(second, "{\"first\": 7, \"last\": 8e1}", "bogus_clean[1] has no number");
	refused_with(second, "{\"first\": 7, \"last\": \"9007199254740993\"}", "has no number");
	refused_with(second, "{\"first\": -1, \"last\": 8}", "bogus_clean[1] is negative");
	refused_with(second, "{\"first\": 8, \"last\": 7}", "bogus_clean[1] ends before");
	refused_with(second, "{\"first\": 7, \"last\": 256}",
		     "names region 256, but the mirror has 256");
	refused_with(second, "{\"first\": 0, \"last\": 18446744073709551616}",
		     "but the mirror has 256");
	refused_with(second, "{\"first\": 18446744073709551616, \"last\": 3}", "ends before");
	refused_with("{\"last\":203,\"first\":202,", "{\"last\":300,\"first\":202,",
		     "suspect[0] names region 300");
	refused(REPORT, strlen(REPORT), 203, "names region 203");
	refused(REPORT, strlen(REPORT), 0, "but the mirror has 0");
}
END_TEST

START_TEST(cut_short_anywhere)
{
	size_t length = strlen(REPORT) - 1;

	for (size_t i = 0; i < length; i++)
		refused(REPORT, i, REGIONS, "is cut short after");
	ck_assert_int_eq(parse(REPORT, length, REGIONS), 0);
}
END_TEST

/* Any byte gone or another one: refused or understood, never a crash; brackets and
 * quotes are always missed. */
START_TEST(damaged_anywhere)
{
	static const char report[] = REPORT, damages[] = "\001\"{]\\";
	char text[sizeof(report)];

	memset(&file, 0, sizeof(file));
	for (size_t i = 0; i < sizeof(report) - 1; i++) {
		bool bracket = strchr("{}[]", report[i]) && report[i] != damages[i % 5];

		memcpy(text, report, sizeof(text));
		text[i] = damages[i % 5];
		audit_file_free(&file);
		err.kind = ERROR_NONE;
		if (!parse(text, strlen(text), REGIONS))
			ck_assert_msg(!bracket, "byte %zu", i);
	}
}
END_TEST

START_TEST(no_json)
{
	static const struct { const char *text, *says; } cases[] = {
		{ "", "cut short after 0" }, { " \n", "cut short after 2" },
		{ "null", "not a JSON object" }, { "[]", "not a JSON object" },
		{ "\"{\"", "not a JSON object" }, { "-0.5e-3", "not a JSON object" },
		{ "{} {}", "goes on behind its end at byte 3" }, { "{},", "goes on behind" },
		{ "{}", "no schema" },
		{ "{a:1}", "not JSON at byte 1" }, { "{\"a\" 1}", "not JSON at byte 5" },
		{ "{\"a\":1,}", "not JSON at byte 7" }, { "[1 2]", "not JSON at byte 3" },
		{ "[01]", "not JSON at byte 2" }, { "[1.]", "not JSON at byte 3" },
		{ "[+1]", "not JSON at byte 1" }, { "[.5]", "not JSON at byte 1" },
		{ "[1e]", "not JSON at byte 3" }, { "[tru]", "not JSON at byte 4" },
		{ "[nul", "cut short" }, { "[1e", "cut short" }, { "\"a\\", "cut short" },
		{ "[\"a\nb\"]", "not JSON at byte 3" }, { "/**/{}", "not JSON at byte 0" },
		{ "[1}", "not JSON at byte 2" }, { "{\"a\":1]", "not JSON at byte 6" },
		{ "\xff\xfe{", "not JSON at byte 0" }, { "[NaN]", "not JSON at byte 1" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		refused(cases[i].text, strlen(cases[i].text), REGIONS, cases[i].says);
	refused("{}\0", 3, REGIONS, "goes on behind its end at byte 2");
	refused(REPORT REPORT, 2 * strlen(REPORT), REGIONS, "give the report of one run");
}
END_TEST

/* What would be deep recursion, and what is just not too deep. */
START_TEST(nesting)
{
	static const char *const kinds[] = { "[", "{\"a\":" };
	size_t step = strlen(kinds[_i]), deep = 1000000;
	char *text = malloc(deep * step + 1);
	struct json_slice value;

	ck_assert_ptr_nonnull(text);
	for (size_t i = 0; i < deep; i++)
		memcpy(text + i * step, kinds[_i], step);
	refused(text, deep * step, REGIONS, "nested too deeply");
	for (size_t depth = JSON_SCAN_DEPTH; depth <= JSON_SCAN_DEPTH + 1; depth++) {
		size_t used = depth * step;

		text[used++] = '1';
		memset(text + used, _i ? '}' : ']', depth);
		ck_assert_int_eq(json_scan_check(&value, text, used + depth, "it", NULL),
				 depth > JSON_SCAN_DEPTH ? -EBADMSG : 0);
		memcpy(text + depth * step, kinds[_i], step);
		for (size_t i = depth; i < depth + 12; i++)
			memcpy(text + i * step, kinds[_i], step);
	}
	free(text);
}
END_TEST

/* The list of sectors may be long; only the regions cost memory. */
START_TEST(a_long_report)
{
	static const char run[] = "{\"first\": 77, \"last\": 78},";
	static const char head[] = "{" HEAD MIRROR ", \"result\": {\"region_runs\": {"
				   "\"suspect\":[],\"bogus_clean\": [";
	size_t nr = 200000, length = strlen(head);
	char *text = malloc(length + nr * strlen(run) + 64);

	ck_assert_ptr_nonnull(text);
	memcpy(text, head, length);
	for (size_t i = 0; i < nr; i++, length += strlen(run))
		memcpy(text + length, run, strlen(run));
	length += (size_t)sprintf(text + length - 1, "]}, \"truncated\": true}}") - 1;
	memset(&file, 0, sizeof(file));
	ck_assert_msg(!parse(text, length, REGIONS), "%s", err.text);
	ck_assert_uint_eq(file.nr_regions, 2);
	ck_assert(file.truncated);
	free(text);
}
END_TEST

/* Refused before a byte of it is looked at. */
START_TEST(too_large)
{
	refused_with(IDENTITY, "\"\"", "not a JSON object");
	err.kind = ERROR_NONE;
	ck_assert_int_eq(audit_file_parse(&file, NULL, AUDIT_FILE_BYTES_MAX + 1, REGIONS, &err),
			 -EBADMSG);
	ck_assert_ptr_nonnull(strstr(err.text, "larger than 256 MiB"));
}
END_TEST

Suite *audit_file_suite(void)
{
	Suite *suite = suite_create("audit_file");
	TCase *tests = tcase_create("audit_file");

	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, a_report);
	tcase_add_test(tests, what_may_vary);
	tcase_add_test(tests, another_kind_of_report);
	tcase_add_test(tests, wrong_identity);
	tcase_add_test(tests, wrong_result);
	tcase_add_test(tests, wrong_runs);
	tcase_add_test(tests, cut_short_anywhere);
	tcase_add_test(tests, damaged_anywhere);
	tcase_add_test(tests, no_json);
	tcase_add_loop_test(tests, nesting, 0, 2);
	tcase_add_test(tests, a_long_report);
	tcase_add_test(tests, too_large);
	suite_add_tcase(suite, tests);
	return suite;
}
