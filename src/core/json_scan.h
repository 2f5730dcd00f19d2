/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CORE_JSON_SCAN_H
#define CORE_JSON_SCAN_H

#include <stdbool.h>
#include <stddef.h>

#include "core/error.h"

/*
 * Walks over JSON text without building anything: what json-c makes of a report with
 * a million runs takes ten times the report's size in memory. What is wanted of it is
 * small and goes to json-c afterwards.
 */

#define JSON_SCAN_DEPTH 32u	/* objects and arrays in each other */

/* A part of the text: one value from its first byte to its last. */
struct json_slice {
	const char *text;	/* NULL: not there */
	size_t length;
};

/* The value that the text begins with (after blanks), whatever stands behind it. Else
 * value->length says how far it went well. */
enum json_scan_state {
	JSON_SCAN_GOOD,
	JSON_SCAN_CUT,		/* the text ends in the middle of the value */
	JSON_SCAN_DEEP,		/* more than JSON_SCAN_DEPTH in each other */
	JSON_SCAN_WRONG,	/* no JSON at that byte */
};
enum json_scan_state json_scan_first(struct json_slice *value, const char *text,
				     size_t nr_bytes);

/* Is the text one JSON value and nothing else (blanks aside)? -EBADMSG with an error
 * that tells text cut short, something behind the value, nesting that is too deep and
 * text that is no JSON (with the byte) apart; `what` names the text. */
int json_scan_check(struct json_slice *value, const char *text, size_t nr_bytes,
		    const char *what, struct error *err);

/* The members of an object, or of an array, that was part of checked text. */
struct json_scan {
	const char *at, *end;
	bool object;
};

/* false: the value is neither object nor array. */
bool json_scan_open(struct json_scan *scan, struct json_slice container);
/* The next member; false behind the last. `key` (as it stands in the text, without
 * quotes; NULL text in an array) may be NULL. */
bool json_scan_next(struct json_scan *scan, struct json_slice *key, struct json_slice *value);

/* Members of an object by key, in one pass over it. Of several with one key the last
 * counts; a key written with escapes is not found. false: no object. */
struct json_wanted {
	const char *key;
	struct json_slice value;
};
bool json_scan_members(struct json_slice object, struct json_wanted *wanted, size_t nr_wanted);

#endif
