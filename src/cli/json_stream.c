/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/json_stream.h"

#include <inttypes.h>
#include <json-c/json.h>

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

void json_string(struct json_stream *stream, const char *key, const char *value)
{
	print_key(stream, key);
	print_value(stream, json_object_new_string(value));
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
	print_value(stream, json_object_new_double(value));
}
