/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/audit_file.h"

#include <errno.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/json_scan.h"
#include "core/number.h"

#define SCHEMA "mirrorctl/"
#define SCHEMA_MAJOR "mirrorctl/1"
#define WORD_MAX 256u		/* of a string that is compared or quoted */

__attribute__((format(printf, 2, 3)))
static int refuse(struct error *err, const char *format, ...)
{
	char text[sizeof(err->text)];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	return error_operation(err, EBADMSG, "the audit's report: %s: give what mirrorctl audit "
			       "--json has printed", text);
}

/* --- values ------------------------------------------------------------------ */

/* A string, unescaped and cut to `room`; false when it is not one. */
static bool string_get(char *word, size_t room, struct json_slice value)
{
	struct json_tokener *tokener = NULL;
	struct json_object *object = NULL;
	bool is_string = false;

	word[0] = '\0';
	if (!value.text || *value.text != '"' || value.length > 6 * WORD_MAX)
		return false;
	tokener = json_tokener_new();
	if (tokener)
		object = json_tokener_parse_ex(tokener, value.text, (int)value.length);
	if (json_object_is_type(object, json_type_string)) {
		snprintf(word, room, "%s", json_object_get_string(object));
		is_string = !memchr(json_object_get_string(object), '\0',
				    (size_t)json_object_get_string_len(object));
	}
	json_object_put(object);
	if (tokener)
		json_tokener_free(tokener);
	return is_string;
}

static bool slice_is(struct json_slice value, const char *text)
{
	return value.text && value.length == strlen(text) &&
	       !memcmp(value.text, text, value.length);
}

static bool flag_get(bool *flag, struct json_slice value)
{
	*flag = slice_is(value, "true");
	return *flag || slice_is(value, "false");
}

/* --- what kind of report is it? ------------------------------------------------ */

static int schema_check(struct json_slice value, struct error *err)
{
	char schema[WORD_MAX];
	size_t major = strlen(SCHEMA_MAJOR);

	if (!string_get(schema, sizeof(schema), value) || strncmp(schema, SCHEMA, strlen(SCHEMA)))
		return refuse(err, "it is not a report of mirrorctl (no schema)");
	if (strncmp(schema, SCHEMA_MAJOR, major) || (schema[major] && schema[major] != '.'))
		return refuse(err, "schema %.40s is not known here (%s is)", schema, SCHEMA_MAJOR);
	return 0;
}

static int kind_check(struct json_slice command, struct json_slice error, struct error *err)
{
	char word[WORD_MAX];

	if (!string_get(word, sizeof(word), command))
		return refuse(err, "command is no string");
	if (strcmp(word, "audit"))
		return refuse(err, "it is the report of \"%.40s\", not of an audit", word);
	if (!error.text)
		return 0;
	string_get(word, sizeof(word), error);
	return refuse(err, "that audit could not be made (%.200s)", word);
}

/* --- the mirror ---------------------------------------------------------------- */

static int identity_get(struct identity *identity, struct json_slice mirror, struct error *err)
{
	struct json_wanted wanted = { .key = "identity" };
	char *text;
	int r;

	if (!json_scan_members(mirror, &wanted, 1))
		return refuse(err, "mirror is no object");
	if (!wanted.value.text)
		return refuse(err, "it does not say whose mirror it is (mirror.identity is missing"
			      ": an older version, or a device that did not answer)");
	if (wanted.value.length > IDENTITY_JSON_MAX)
		return refuse(err, "mirror.identity is too long");
	text = strndup(wanted.value.text, wanted.value.length);
	if (!text)
		return error_operation(err, ENOMEM, "not enough memory for the audit's report");
	r = identity_from_json(identity, text, err);
	free(text);
	return r;
}

/* --- the regions ----------------------------------------------------------------- */

static int region_get(uint64_t *region, struct json_slice value, const char *key, uint64_t index,
		      struct error *err)
{
	const char *at = value.text, *end = at ? at + value.length : NULL;
	int r;

	if (value.length && *at == '-')
		return refuse(err, "region_runs.%s[%" PRIu64 "] is negative", key, index);
	r = at ? number_scan(&at, end, region) : -EINVAL;
	if (r == -EOVERFLOW && at == end)
		*region = UINT64_MAX;	/* beyond any mirror */
	else if (r || at != end)
		return refuse(err, "region_runs.%s[%" PRIu64 "] has no number first or last", key,
			      index);
	return 0;
}

static int run_add(struct bitmap *regions, struct json_slice run, const char *key,
		   uint64_t index, struct error *err)
{
	struct json_wanted wanted[] = { { .key = "first" }, { .key = "last" } };
	uint64_t first = 0, last = 0;
	int r;

	if (!json_scan_members(run, wanted, 2))
		return refuse(err, "region_runs.%s[%" PRIu64 "] is no object", key, index);
	r = region_get(&first, wanted[0].value, key, index, err);
	if (!r)
		r = region_get(&last, wanted[1].value, key, index, err);
	if (r)
		return r;
	if (first > last)
		return refuse(err, "region_runs.%s[%" PRIu64 "] ends before it begins", key,
			      index);
	if (last >= regions->nr_bits)
		return refuse(err, "region_runs.%s[%" PRIu64 "] names region %" PRIu64 ", but the "
			      "mirror has %" PRIu64 " regions", key, index, last,
			      regions->nr_bits);
	bitmap_set_run(regions, first, last);
	return 0;
}

static int runs_add(struct bitmap *regions, struct json_slice runs, const char *key,
		    struct error *err)
{
	struct json_slice run;
	struct json_scan scan;
	uint64_t index = 0;
	int r = 0;

	if (!runs.text || !json_scan_open(&scan, runs) || scan.object)
		return refuse(err, "result.region_runs.%s is no array", key);
	while (!r && json_scan_next(&scan, NULL, &run))
		r = run_add(regions, run, key, index++, err);
	return r;
}

static int result_get(struct audit_file *file, struct json_slice result, struct error *err)
{
	struct json_wanted of_result[] = { { .key = "region_runs" }, { .key = "truncated" } };
	struct json_wanted of_runs[] = { { .key = "bogus_clean" }, { .key = "suspect" } };
	int r = 0;

	if (!json_scan_members(result, of_result, 2))
		return refuse(err, "result is no object");
	if (!flag_get(&file->truncated, of_result[1].value))
		return refuse(err, "result.truncated is neither true nor false");
	if (!json_scan_members(of_result[0].value, of_runs, 2))
		return refuse(err, "result.region_runs is no object");
	for (unsigned int i = 0; i < 2 && !r; i++)
		r = runs_add(&file->regions, of_runs[i].value, of_runs[i].key, err);
	file->nr_regions = bitmap_count(&file->regions);
	return r;
}

int audit_file_parse(struct audit_file *file, const char *text, size_t nr_bytes,
		     uint64_t mirror_regions, struct error *err)
{
	struct json_wanted wanted[] = {
		{ .key = "schema" }, { .key = "command" }, { .key = "error" },
		{ .key = "mirror" }, { .key = "result" },
	};
	struct json_slice whole;
	int r;

	memset(file, 0, sizeof(*file));
	if (nr_bytes > AUDIT_FILE_BYTES_MAX)
		return refuse(err, "it is larger than %" PRIu64 " MiB",
			      AUDIT_FILE_BYTES_MAX >> 20);
	r = json_scan_check(&whole, text, nr_bytes, "the audit's report", err);
	if (!r && !json_scan_members(whole, wanted, sizeof(wanted) / sizeof(wanted[0])))
		r = refuse(err, "it is not a JSON object");
	if (!r)
		r = schema_check(wanted[0].value, err);
	if (!r)
		r = kind_check(wanted[1].value, wanted[2].value, err);
	if (!r)
		r = identity_get(&file->identity, wanted[3].value, err);
	if (!r && bitmap_alloc(&file->regions, mirror_regions))
		r = error_operation(err, ENOMEM, "not enough memory for the audit's report");
	if (!r)
		r = result_get(file, wanted[4].value, err);
	if (r)
		audit_file_free(file);
	return r;
}

void audit_file_free(struct audit_file *file)
{
	bitmap_free(&file->regions);
	memset(file, 0, sizeof(*file));
}
