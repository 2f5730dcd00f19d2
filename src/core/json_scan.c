/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/json_scan.h"

#include <errno.h>
#include <string.h>

struct cursor {
	const char *at, *end;
	bool too_deep;
};

static bool value_skip(struct cursor *cursor, unsigned int depth);

static void blanks_skip(struct cursor *cursor)
{
	while (cursor->at < cursor->end && (*cursor->at == ' ' || *cursor->at == '\n' ||
					    *cursor->at == '\t' || *cursor->at == '\r'))
		cursor->at++;
}

static bool is_at(const struct cursor *cursor, char c)
{
	return cursor->at < cursor->end && *cursor->at == c;
}

static bool char_skip(struct cursor *cursor, char c)
{
	if (!is_at(cursor, c))
		return false;
	cursor->at++;
	return true;
}

/* What a \\u stands for is left to whoever reads the string. */
static bool string_skip(struct cursor *cursor)
{
	if (!char_skip(cursor, '"'))
		return false;
	while (cursor->at < cursor->end && (unsigned char)*cursor->at >= ' ') {
		char c = *cursor->at++;

		if (c == '"')
			return true;
		if (c != '\\')
			continue;
		if (cursor->at == cursor->end || !*cursor->at ||
		    !strchr("\"\\/bfnrtu", *cursor->at))
			return false;
		cursor->at++;
	}
	return false;
}

static bool is_digit(const struct cursor *cursor)
{
	return cursor->at < cursor->end && *cursor->at >= '0' && *cursor->at <= '9';
}

static bool digits_skip(struct cursor *cursor)
{
	if (!is_digit(cursor))
		return false;
	while (is_digit(cursor))
		cursor->at++;
	return true;
}

static bool number_skip(struct cursor *cursor)
{
	char_skip(cursor, '-');
	if (!char_skip(cursor, '0') && !digits_skip(cursor))
		return false;
	if (char_skip(cursor, '.') && !digits_skip(cursor))
		return false;
	if (!char_skip(cursor, 'e') && !char_skip(cursor, 'E'))
		return true;
	if (!char_skip(cursor, '+'))
		char_skip(cursor, '-');
	return digits_skip(cursor);
}

/* Letter by letter: text that ends in the middle of a word is cut short. */
static bool word_skip(struct cursor *cursor, const char *word)
{
	while (*word)
		if (!char_skip(cursor, *word++))
			return false;
	return true;
}

static bool key_skip(struct cursor *cursor)
{
	if (!string_skip(cursor))
		return false;
	blanks_skip(cursor);
	return char_skip(cursor, ':');
}

static bool container_skip(struct cursor *cursor, unsigned int depth)
{
	bool object = *cursor->at++ == '{';
	char closing = object ? '}' : ']';

	blanks_skip(cursor);
	if (char_skip(cursor, closing))
		return true;
	do {
		blanks_skip(cursor);
		if ((object && !key_skip(cursor)) || !value_skip(cursor, depth))
			return false;
		blanks_skip(cursor);
	} while (char_skip(cursor, ','));
	return char_skip(cursor, closing);
}

/* Blanks, then a value. Where it is wrong the cursor stands at the byte. */
static bool value_skip(struct cursor *cursor, unsigned int depth)
{
	blanks_skip(cursor);
	if (cursor->at == cursor->end)
		return false;
	switch (*cursor->at) {
	case '{':
	case '[':
		cursor->too_deep = !depth;
		return depth && container_skip(cursor, depth - 1);
	case '"':
		return string_skip(cursor);
	case 't':
		return word_skip(cursor, "true");
	case 'f':
		return word_skip(cursor, "false");
	case 'n':
		return word_skip(cursor, "null");
	default:
		return number_skip(cursor);
	}
}

static struct json_slice value_take(struct cursor *cursor, bool *good)
{
	struct json_slice value;

	blanks_skip(cursor);
	value.text = cursor->at;
	*good = value_skip(cursor, JSON_SCAN_DEPTH);
	value.length = (size_t)(cursor->at - value.text);
	return value;
}

enum json_scan_state json_scan_first(struct json_slice *value, const char *text,
				     size_t nr_bytes)
{
	struct cursor cursor = { .at = text, .end = text + nr_bytes };
	bool good;

	*value = value_take(&cursor, &good);
	if (cursor.too_deep)
		return JSON_SCAN_DEEP;
	if (good)
		return JSON_SCAN_GOOD;
	return cursor.at == cursor.end ? JSON_SCAN_CUT : JSON_SCAN_WRONG;
}

int json_scan_check(struct json_slice *value, const char *text, size_t nr_bytes,
		    const char *what, struct error *err)
{
	enum json_scan_state state = json_scan_first(value, text, nr_bytes);
	struct cursor cursor = { .at = value->text + value->length, .end = text + nr_bytes };

	if (state == JSON_SCAN_DEEP)
		return error_operation(err, EBADMSG, "%s is nested too deeply: it was not written "
				       "by mirrorctl", what);
	if (state == JSON_SCAN_CUT)
		return error_operation(err, EBADMSG, "%s is cut short after %zu bytes: make it "
				       "again", what, nr_bytes);
	if (state == JSON_SCAN_WRONG)
		return error_operation(err, EBADMSG, "%s is not JSON at byte %zu: make it again",
				       what, (size_t)(cursor.at - text));
	blanks_skip(&cursor);
	if (cursor.at != cursor.end)
		return error_operation(err, EBADMSG, "%s goes on behind its end at byte %zu: give "
				       "the report of one run", what, (size_t)(cursor.at - text));
	return 0;
}

bool json_scan_open(struct json_scan *scan, struct json_slice container)
{
	if (container.length < 2 || (*container.text != '{' && *container.text != '['))
		return false;
	scan->object = *container.text == '{';
	scan->at = container.text + 1;
	scan->end = container.text + container.length - 1;
	return true;
}

bool json_scan_next(struct json_scan *scan, struct json_slice *key, struct json_slice *value)
{
	struct cursor cursor = { .at = scan->at, .end = scan->end };
	struct json_slice name = { .text = NULL };
	bool good = true;

	blanks_skip(&cursor);
	if (char_skip(&cursor, ','))
		blanks_skip(&cursor);
	if (cursor.at == cursor.end)
		return false;
	if (scan->object) {
		name.text = cursor.at + 1;
		good = string_skip(&cursor);
		name.length = good ? (size_t)(cursor.at - name.text) - 1 : 0;
		blanks_skip(&cursor);
		good = good && char_skip(&cursor, ':');
	}
	if (good)
		*value = value_take(&cursor, &good);
	if (key)
		*key = name;
	scan->at = good ? cursor.at : scan->end;
	return good;
}

bool json_scan_members(struct json_slice object, struct json_wanted *wanted, size_t nr_wanted)
{
	struct json_slice key, value;
	struct json_scan scan;

	for (size_t i = 0; i < nr_wanted; i++)
		wanted[i].value = (struct json_slice){ .text = NULL };
	if (!json_scan_open(&scan, object) || !scan.object)
		return false;
	while (json_scan_next(&scan, &key, &value))
		for (size_t i = 0; i < nr_wanted; i++)
			if (strlen(wanted[i].key) == key.length &&
			    !memcmp(wanted[i].key, key.text, key.length))
				wanted[i].value = value;
	return true;
}
