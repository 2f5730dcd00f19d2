/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <json-c/json.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/json_stream.h"
#include "unit/suites.h"

static struct json_stream json;
static char *text;
static size_t text_bytes;
static struct json_object *parsed;

static void setup(void)
{
	json_begin(&json, open_memstream(&text, &text_bytes));
}

/* What was written, parsed by somebody else and strictly. */
static void parse(void)
{
	struct json_tokener *tokener = json_tokener_new();

	json_end(&json);
	fclose(json.to);
	json.to = NULL;
	json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
	parsed = json_tokener_parse_ex(tokener, text, (int)strlen(text));
	ck_assert_msg(parsed != NULL, "%s: %s", json_tokener_error_desc(json_tokener_get_error(tokener)),
		      text);
	ck_assert_int_eq(text[strlen(text) - 1], '\n');
	json_tokener_free(tokener);
}

static void teardown(void)
{
	if (json.to)
		fclose(json.to);
	json_object_put(parsed);
	free(text);
}

static struct json_object *get(const char *key)
{
	struct json_object *value = NULL;

	ck_assert_msg(json_object_object_get_ex(parsed, key, &value), "no %s in %s", key, text);
	return value;
}

START_TEST(empty)
{
	parse();
	ck_assert_int_eq(json_object_object_length(parsed), 0);
}
END_TEST

START_TEST(numbers)
{
	json_uint(&json, "zero", 0);
	json_uint(&json, "exact", (UINT64_C(1) << 53) - 1);
	json_uint(&json, "first_string", UINT64_C(1) << 53);
	json_uint(&json, "largest", UINT64_MAX);
	json_double(&json, "half", 0.5);
	json_double(&json, "large", 1e300);
	parse();
	ck_assert_int_eq(json_object_get_type(get("zero")), json_type_int);
	ck_assert_int_eq(json_object_get_type(get("exact")), json_type_int);
	ck_assert_int_eq(json_object_get_int64(get("exact")), 9007199254740991);
	ck_assert_int_eq(json_object_get_type(get("first_string")), json_type_string);
	ck_assert_str_eq(json_object_get_string(get("first_string")), "9007199254740992");
	ck_assert_int_eq(json_object_get_type(get("largest")), json_type_string);
	ck_assert_str_eq(json_object_get_string(get("largest")), "18446744073709551615");
	ck_assert(json_object_get_double(get("half")) == 0.5);
	ck_assert(json_object_get_double(get("large")) == 1e300);
}
END_TEST

START_TEST(what_is_no_number)
{
	json_double(&json, "nan", NAN);
	json_double(&json, "infinite", INFINITY);
	json_string(&json, "nothing", NULL);
	parse();
	ck_assert_ptr_null(get("nan"));
	ck_assert_ptr_null(get("infinite"));
	ck_assert_ptr_null(get("nothing"));
}
END_TEST

START_TEST(strings)
{
	static const char *const values[] = {
		"", "plain", "\"quoted\"", "back\\slash", "tab\tline\nreturn\r", "\001\002\037\177",
		"a/b/../c", "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80", "{\"not\": [an, object]}", "'",
	};

	json_string(&json, "value", values[_i]);
	json_string(&json, values[_i], "as a key");
	parse();
	ck_assert_str_eq(json_object_get_string(get("value")), values[_i]);
	ck_assert_str_eq(json_object_get_string(get(values[_i])), "as a key");
}
END_TEST

/* A path need not be UTF-8, JSON must be. */
START_TEST(strings_that_are_not_utf8)
{
	static const struct { const char *bytes, *text; } cases[] = {
		{ "a\xff" "b", "a\xef\xbf\xbd" "b" },
		{ "\xc3", "\xef\xbf\xbd" },
		{ "\xe2\x82", "\xef\xbf\xbd\xef\xbf\xbd" },
		{ "\xc0\xaf", "\xef\xbf\xbd\xef\xbf\xbd" },
		{ "\xe0\x80\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" },
		{ "\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" },
		{ "\xf4\x90\x80\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" },
		{ "\xf0\x8f\x80\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" },
		{ "\xed\x9f\xbf\xf4\x8f\xbf\xbf", "\xed\x9f\xbf\xf4\x8f\xbf\xbf" },
		{ "\x80", "\xef\xbf\xbd" },
	};

	json_string(&json, "value", cases[_i].bytes);
	parse();
	ck_assert_str_eq(json_object_get_string(get("value")), cases[_i].text);
}
END_TEST

START_TEST(flags)
{
	json_flag(&json, "yes", true);
	json_flag(&json, "no", false);
	parse();
	ck_assert(json_object_get_boolean(get("yes")));
	ck_assert_int_eq(json_object_get_type(get("no")), json_type_boolean);
	ck_assert(!json_object_get_boolean(get("no")));
}
END_TEST

/* Objects and arrays in each other, empty and not, at every depth. */
START_TEST(nesting)
{
	struct json_object *at;

	json_open_array(&json, "none");
	json_close_array(&json);
	json_open_object(&json, "bare");
	json_close_object(&json);
	json_open_array(&json, "deep");
	for (unsigned int depth = 0; depth < 8; depth++) {
		json_uint(&json, NULL, depth);
		json_open_object(&json, NULL);
		json_open_object(&json, "empty");
		json_close_object(&json);
		json_open_array(&json, "next");
	}
	json_string(&json, NULL, "bottom");
	for (unsigned int depth = 0; depth < 8; depth++) {
		json_close_array(&json);
		json_flag(&json, "behind", true);
		json_close_object(&json);
		json_uint(&json, NULL, depth);
	}
	json_close_array(&json);
	json_uint(&json, "last", 1);
	parse();
	ck_assert_uint_eq(json_object_array_length(get("none")), 0);
	ck_assert_int_eq(json_object_object_length(get("bare")), 0);
	at = get("deep");
	for (int depth = 0; depth < 8; depth++) {
		struct json_object *inner = json_object_array_get_idx(at, 1), *behind = NULL;

		ck_assert_uint_eq(json_object_array_length(at), 3);
		ck_assert_int_eq(json_object_get_int(json_object_array_get_idx(at, 0)), depth);
		ck_assert_int_eq(json_object_get_int(json_object_array_get_idx(at, 2)), 7 - depth);
		ck_assert(json_object_object_get_ex(inner, "behind", &behind));
		ck_assert(json_object_object_get_ex(inner, "next", &at));
	}
	ck_assert_str_eq(json_object_get_string(json_object_array_get_idx(at, 0)), "bottom");
	ck_assert_int_eq(json_object_get_int(get("last")), 1);
}
END_TEST

/* A run is a line: thousands of them stay readable. */
START_TEST(a_run_is_a_line)
{
	unsigned int lines = 0;

	json_open_object(&json, "audit");
	json_open_array(&json, "runs");
	for (uint64_t i = 0; i < 1000; i++) {
		json_open_object(&json, NULL);
		json_uint(&json, "start_sector", i);
		json_uint(&json, "sectors", 1);
		json_close_object(&json);
	}
	json_close_array(&json);
	json_close_object(&json);
	parse();
	for (const char *at = text; *at; at++)
		lines += *at == '\n';
	ck_assert_uint_ge(lines, 1000);
	ck_assert_uint_le(lines, 1010);
}
END_TEST

/* Text that is JSON already, at both ends of a list and inside an array. */
START_TEST(ready_json)
{
	struct json_object *member = NULL;

	json_raw(&json, "first", "{\"a\":[1,null,\"x\"],\"b\":{}}");
	json_open_array(&json, "array");
	json_raw(&json, NULL, "7");
	json_raw(&json, NULL, "\"\xc3\xa4\xff\"");
	json_close_array(&json);
	json_raw(&json, "last", "[]");
	parse();
	ck_assert(json_object_object_get_ex(get("first"), "a", &member));
	ck_assert_uint_eq(json_object_array_length(member), 3);
	ck_assert(json_object_object_get_ex(get("first"), "b", &member));
	ck_assert_uint_eq(json_object_array_length(get("array")), 2);
	ck_assert_str_eq(json_object_get_string(json_object_array_get_idx(get("array"), 1)),
			 "\xc3\xa4\xef\xbf\xbd");
	ck_assert_int_eq(json_object_get_type(get("last")), json_type_array);
}
END_TEST

Suite *json_stream_suite(void)
{
	Suite *suite = suite_create("json_stream");
	TCase *tcase = tcase_create("json_stream");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, empty);
	tcase_add_test(tcase, numbers);
	tcase_add_test(tcase, what_is_no_number);
	tcase_add_loop_test(tcase, strings, 0, 10);
	tcase_add_loop_test(tcase, strings_that_are_not_utf8, 0, 10);
	tcase_add_test(tcase, flags);
	tcase_add_test(tcase, nesting);
	tcase_add_test(tcase, a_run_is_a_line);
	tcase_add_test(tcase, ready_json);
	suite_add_tcase(suite, tcase);
	return suite;
}
