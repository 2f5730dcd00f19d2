/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CLI_JSON_STREAM_H
#define CLI_JSON_STREAM_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/*
 * Writes one JSON object piece by piece, so that a report with millions of runs
 * needs no memory. json-c renders the values; here is only the nesting. A key is
 * NULL inside an array.
 */
struct json_stream {
	FILE *to;
	unsigned int depth;
	bool first;		/* nothing written yet at this depth */
};

void json_begin(struct json_stream *stream, FILE *to);
/* Onto stdout, with what every report begins with: schema, command, version. */
void json_begin_report(struct json_stream *stream, const char *command);
void json_end(struct json_stream *stream);

void json_open_object(struct json_stream *stream, const char *key);
void json_close_object(struct json_stream *stream);
void json_open_array(struct json_stream *stream, const char *key);
void json_close_array(struct json_stream *stream);

/* Paths are bytes, JSON is UTF-8: a byte that is not becomes U+FFFD. NULL: null. */
void json_string(struct json_stream *stream, const char *key, const char *value);
void json_flag(struct json_stream *stream, const char *key, bool value);
/* From 2^53 on a decimal string: many readers hold numbers in a double. */
void json_uint(struct json_stream *stream, const char *key, uint64_t value);
/* null when it is no number. */
void json_double(struct json_stream *stream, const char *key, double value);
/* Ready JSON: one whole value, which stays on its line. Bytes as in json_string(). */
void json_raw(struct json_stream *stream, const char *key, const char *json);

#endif
