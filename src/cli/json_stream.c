/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/json_stream.h"

#include <inttypes.h>
#include <json-c/json.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define SCHEMA_NAME "mirrorctl/1"
#define EXACT_IN_A_DOUBLE (UINT64_C(1) << 53)

static void print_value(struct json_stream *stream, struct json_object *value)
{
	fputs(json_object_to_json_string_ext(value, JSON_C_TO_STRING_PLAIN |
					     JSON_C_TO_STRING_NOSLASHESCAPE), stream->to);
	json_object_put(value);
}

/* Comma, line and key in front of a value. */
static void print_key(struct json_stream *stream, const char *key)
{
	if (!stream->first)
		fputc(',', stream->to);
	stream->first = false;
	/* Deep items stay on their parent's line: a run is a line. */
	if (stream->depth <= 3)
		fprintf(stream->to, "\n%*s", (int)stream->depth, "");
	else
		fputc(' ', stream->to);
	if (key) {
		print_value(stream, json_object_new_string(key));
		fputs(": ", stream->to);
	}
}

static void open_level(struct json_stream *stream, const char *key, char bracket)
{
	print_key(stream, key);
	fputc(bracket, stream->to);
	stream->depth++;
	stream->first = true;
}

static void close_level(struct json_stream *stream, char bracket)
{
	stream->depth--;
	if (!stream->first && stream->depth < 3)
		fprintf(stream->to, "\n%*s", (int)stream->depth, "");
	fputc(bracket, stream->to);
	stream->first = false;
}

void json_begin(struct json_stream *stream, FILE *to)
{
	*stream = (struct json_stream){ .to = to, .depth = 1, .first = true };
	fputc('{', to);
}

void json_begin_report(struct json_stream *stream, const char *command)
{
	json_begin(stream, stdout);
	json_string(stream, "schema", SCHEMA_NAME);
	json_string(stream, "command", command);
	json_string(stream, "version", PACKAGE_VERSION);
}

void json_end(struct json_stream *stream)
{
	close_level(stream, '}');
	fputc('\n', stream->to);
}

void json_open_object(struct json_stream *stream, const char *key)
{
	open_level(stream, key, '{');
}

void json_close_object(struct json_stream *stream)
{
	close_level(stream, '}');
}

void json_open_array(struct json_stream *stream, const char *key)
{
	open_level(stream, key, '[');
}

void json_close_array(struct json_stream *stream)
{
	close_level(stream, ']');
}

/* Bytes of the UTF-8 character that `at` starts with, 0 if it is none: neither
 * overlong forms nor surrogates nor anything above U+10FFFF. */
static size_t utf8_bytes(const unsigned char *at)
{
	unsigned char low = 0x80, high = 0xbf;
	size_t bytes;

	if (at[0] < 0x80)
		return 1;
	if (at[0] < 0xc2 || at[0] > 0xf4)
		return 0;
	bytes = at[0] < 0xe0 ? 2 : at[0] < 0xf0 ? 3 : 4;
	if (at[0] == 0xe0)
		low = 0xa0;
	if (at[0] == 0xf0)
		low = 0x90;
	if (at[0] == 0xed)
		high = 0x9f;
	if (at[0] == 0xf4)
		high = 0x8f;
	if (at[1] < low || at[1] > high)
		return 0;
	for (size_t i = 2; i < bytes; i++)
		if ((at[i] & 0xc0) != 0x80)
			return 0;
	return bytes;
}

/* The text with U+FFFD for every byte that is not UTF-8, owned by the caller. */
static char *utf8_text(const char *text)
{
	const unsigned char *at = (const unsigned char *)text;
	char *clean = malloc(3 * strlen(text) + 1), *to = clean;

	while (clean && *at) {
		size_t bytes = utf8_bytes(at);

		if (bytes) {
			memcpy(to, at, bytes);
			to += bytes;
			at += bytes;
		} else {
			memcpy(to, "\xef\xbf\xbd", 3);
			to += 3;
			at++;
		}
	}
	if (clean)
		*to = '\0';
	return clean;
}

void json_string(struct json_stream *stream, const char *key, const char *value)
{
	char *text = value ? utf8_text(value) : NULL;

	print_key(stream, key);
	if (text)
		print_value(stream, json_object_new_string(text));
	else
		fputs("null", stream->to);
	free(text);
}

void json_flag(struct json_stream *stream, const char *key, bool value)
{
	print_key(stream, key);
	fputs(value ? "true" : "false", stream->to);
}

void json_uint(struct json_stream *stream, const char *key, uint64_t value)
{
	print_key(stream, key);
	fprintf(stream->to, value < EXACT_IN_A_DOUBLE ? "%" PRIu64 : "\"%" PRIu64 "\"", value);
}

void json_double(struct json_stream *stream, const char *key, double value)
{
	print_key(stream, key);
	if (isfinite(value))
		print_value(stream, json_object_new_double(value));
	else
		fputs("null", stream->to);
}

void json_raw(struct json_stream *stream, const char *key, const char *json)
{
	char *text = utf8_text(json);

	print_key(stream, key);
	fputs(text ? text : "null", stream->to);
	free(text);
}
