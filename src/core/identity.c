/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/identity.h"

#include <errno.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/number.h"

/* From here on a reader that takes numbers for doubles would be wrong. */
#define EXACT_IN_A_DOUBLE (UINT64_C(1) << 53)

static const char *const kinds[] = { "dm", "block", "weak" };

static bool kind_is_known(const char *kind)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (!strcmp(kind, kinds[i]))
			return true;
	return false;
}

static int geometry_check(const struct identity *identity, struct error *err)
{
	struct region_geometry geometry;

	return region_geometry_init(&geometry, identity->length, identity->region_size, err);
}

/* --- to JSON ------------------------------------------------------------- */

static bool is_terminated(const char *text, size_t room)
{
	return memchr(text, '\0', room) != NULL;
}

static bool is_encodable(const struct identity *identity)
{
	if (!is_terminated(identity->kind, sizeof(identity->kind)) ||
	    !is_terminated(identity->id, sizeof(identity->id)) ||
	    !is_terminated(identity->log, sizeof(identity->log)) ||
	    identity->nr_legs < MIRROR_LEGS_MIN || identity->nr_legs > MIRROR_LEGS_MAX)
		return false;
	for (unsigned int i = 0; i < identity->nr_legs; i++)
		if (!is_terminated(identity->leg[i], sizeof(identity->leg[i])))
			return false;
	return kind_is_known(identity->kind) && !geometry_check(identity, NULL);
}

/* Takes `value` over, whatever happens; NULL: there was no memory for it. */
static int add(struct json_object *object, const char *key, struct json_object *value)
{
	if (value && !json_object_object_add(object, key, value))
		return 0;
	json_object_put(value);
	return -ENOMEM;
}

static int add_string(struct json_object *object, const char *key, const char *value)
{
	return add(object, key, json_object_new_string(value));
}

static int add_bytes(struct json_object *object, const char *key, uint64_t sectors)
{
	uint64_t bytes = sectors * SECTOR_BYTES;
	char digits[24];

	if (bytes < EXACT_IN_A_DOUBLE)
		return add(object, key, json_object_new_int64((int64_t)bytes));
	snprintf(digits, sizeof(digits), "%" PRIu64, bytes);
	return add_string(object, key, digits);
}

static int add_legs(struct json_object *object, const struct identity *identity)
{
	struct json_object *legs = json_object_new_array(), *leg;

	if (!legs)
		return -ENOMEM;
	for (unsigned int i = 0; i < identity->nr_legs; i++) {
		leg = NULL;	/* which is JSON's null */
		if (identity->leg[i][0])
			leg = json_object_new_string(identity->leg[i]);
		if ((identity->leg[i][0] && !leg) || json_object_array_add(legs, leg)) {
			json_object_put(leg);
			json_object_put(legs);
			return -ENOMEM;
		}
	}
	return add(object, "legs", legs);
}

int identity_to_json(char **json, const struct identity *identity)
{
	struct json_object *object;
	const char *text = NULL;
	int r;

	*json = NULL;
	if (!is_encodable(identity))
		return -EINVAL;
	object = json_object_new_object();
	if (!object)
		return -ENOMEM;
	r = add_string(object, "kind", identity->kind);
	if (!r)
		r = add_string(object, "id", identity->id);
	if (!r)
		r = add_bytes(object, "length_bytes", identity->length);
	if (!r)
		r = add_bytes(object, "region_size_bytes", identity->region_size);
	if (!r)
		r = add_legs(object, identity);
	if (!r)
		r = add_string(object, "log", identity->log);
	if (!r)
		text = json_object_to_json_string_ext(object, JSON_C_TO_STRING_PLAIN |
						      JSON_C_TO_STRING_NOSLASHESCAPE);
	if (text)
		*json = strdup(text);
	json_object_put(object);
	return *json ? 0 : -ENOMEM;
}

/* --- from JSON ----------------------------------------------------------- */

static int refuse(struct error *err, const char *key, const char *what)
{
	return error_operation(err, EBADMSG, "identity of the mirror: %s %s; the file is damaged "
			       "or was not written by mirrorctl", key, what);
}

/* The whole text must be one object. */
static int parse_object(struct json_object **object, const char *json, struct error *err)
{
	size_t length = strnlen(json, IDENTITY_JSON_MAX + 1);
	struct json_tokener *tokener;
	bool whole;

	*object = NULL;
	if (length > IDENTITY_JSON_MAX)
		return refuse(err, "it", "is too long");
	tokener = json_tokener_new();
	if (!tokener)
		return error_operation(err, ENOMEM, "identity of the mirror: not enough memory");
	json_tokener_set_flags(tokener, JSON_TOKENER_STRICT);
	*object = json_tokener_parse_ex(tokener, json, (int)length);
	whole = json_tokener_get_error(tokener) == json_tokener_success;
	json_tokener_free(tokener);
	if (whole && json_object_is_type(*object, json_type_object))
		return 0;
	json_object_put(*object);
	*object = NULL;
	return refuse(err, "it", "is not a JSON object");
}

/* Fits, and is a string to its end: JSON may hold a NUL in the middle. */
static int copy_string(char *to, size_t room, struct json_object *value, const char *key,
		       struct error *err)
{
	size_t length;

	if (!json_object_is_type(value, json_type_string))
		return refuse(err, key, "is not a string");
	length = (size_t)json_object_get_string_len(value);
	if (length >= room)
		return refuse(err, key, "is too long");
	if (memchr(json_object_get_string(value), '\0', length))
		return refuse(err, key, "holds a NUL");
	memcpy(to, json_object_get_string(value), length);
	to[length] = '\0';
	return 0;
}

static int get_string(char *to, size_t room, struct json_object *object, const char *key,
		      struct error *err)
{
	struct json_object *value;

	if (!json_object_object_get_ex(object, key, &value))
		return refuse(err, key, "is missing");
	return copy_string(to, room, value, key, err);
}

/* A number, or one in a string where a double would not be exact. */
static int get_bytes(uint64_t *sectors, struct json_object *object, const char *key,
		     struct error *err)
{
	struct json_object *value;
	uint64_t bytes = 0;
	char digits[24];
	const char *at = digits;
	int r;

	if (!json_object_object_get_ex(object, key, &value))
		return refuse(err, key, "is missing");
	if (json_object_is_type(value, json_type_int)) {
		int64_t number = json_object_get_int64(value);

		if (number < 0)
			return refuse(err, key, "is negative");
		bytes = (uint64_t)number;
	} else {
		r = copy_string(digits, sizeof(digits), value, key, err);
		if (r)
			return r;
		if (number_scan(&at, digits + strlen(digits), &bytes) || *at)
			return refuse(err, key, "is not a number");
	}
	if (bytes % SECTOR_BYTES)
		return refuse(err, key, "is not a multiple of 512");
	*sectors = bytes / SECTOR_BYTES;
	return 0;
}

static int get_legs(struct identity *identity, struct json_object *object, struct error *err)
{
	struct json_object *legs, *leg;
	size_t nr_legs;
	int r = 0;

	if (!json_object_object_get_ex(object, "legs", &legs))
		return refuse(err, "legs", "is missing");
	if (!json_object_is_type(legs, json_type_array))
		return refuse(err, "legs", "is not an array");
	nr_legs = json_object_array_length(legs);
	if (nr_legs < MIRROR_LEGS_MIN || nr_legs > MIRROR_LEGS_MAX)
		return refuse(err, "legs", "has not 2 to 9 members");
	for (size_t i = 0; i < nr_legs && !r; i++) {
		leg = json_object_array_get_idx(legs, i);
		if (leg)
			r = copy_string(identity->leg[i], sizeof(identity->leg[i]), leg,
					"a member of legs", err);
	}
	identity->nr_legs = (unsigned int)nr_legs;
	return r;
}

static int decode(struct identity *identity, struct json_object *object, struct error *err)
{
	struct error why = { .kind = ERROR_NONE };
	int r = get_string(identity->kind, sizeof(identity->kind), object, "kind", err);

	if (!r && !kind_is_known(identity->kind))
		r = refuse(err, "kind", "is none of dm, block, weak");
	if (!r)
		r = get_string(identity->id, sizeof(identity->id), object, "id", err);
	if (!r)
		r = get_bytes(&identity->length, object, "length_bytes", err);
	if (!r)
		r = get_bytes(&identity->region_size, object, "region_size_bytes", err);
	if (!r && geometry_check(identity, &why))
		r = error_operation(err, EBADMSG, "identity of the mirror: length_bytes or "
				    "region_size_bytes is wrong: %s", why.text);
	if (!r)
		r = get_legs(identity, object, err);
	if (!r)
		r = get_string(identity->log, sizeof(identity->log), object, "log", err);
	return r;
}

int identity_from_json(struct identity *identity, const char *json, struct error *err)
{
	struct identity decoded = { .nr_legs = 0 };
	struct json_object *object;
	int r = parse_object(&object, json, err);

	if (r)
		return r;
	r = decode(&decoded, object, err);
	if (!r)
		*identity = decoded;
	json_object_put(object);
	return r;
}

/* --- the same mirror? ---------------------------------------------------- */

static bool names_match(const struct identity *a, const struct identity *b, char *why,
			size_t room)
{
	bool weak = !strcmp(a->kind, "weak");
	bool common = !strcmp(a->kind, b->kind) && a->id[0];	/* and they are alike */

	for (unsigned int i = 0; i < a->nr_legs; i++) {
		if (!a->leg[i][0] || !b->leg[i][0])
			continue;
		common = true;
		if (!strcmp(a->leg[i], b->leg[i]))
			continue;
		if (weak)
			snprintf(why, room, "leg %u holds other data at its start or its end", i);
		else
			snprintf(why, room, "leg %u is %s on one side and %s on the other", i,
				 a->leg[i], b->leg[i]);
		return false;
	}
	if (strcmp(a->log, b->log)) {
		if (weak)
			snprintf(why, room, "the log has another header");
		else
			snprintf(why, room, "the log is %s on one side and %s on the other",
				 a->log[0] ? a->log : "nameless", b->log[0] ? b->log : "nameless");
		return false;
	}
	if (!common)
		snprintf(why, room, "no leg is known to both sides");
	return common;
}

/* A mirror that was active is still the same when its legs and its log are named one
 * by one. Contents are not compared with names. */
static bool kinds_match(const struct identity *a, const struct identity *b)
{
	return !strcmp(a->kind, b->kind) || (strcmp(a->kind, "weak") && strcmp(b->kind, "weak"));
}

static bool ids_match(const struct identity *a, const struct identity *b)
{
	return strcmp(a->kind, b->kind) || !strcmp(a->id, b->id);
}

bool identity_matches(const struct identity *a, const struct identity *b,
		      char *why, size_t room)
{
	if (a->length != b->length)
		snprintf(why, room, "the length is %" PRIu64 " sectors on one side and %" PRIu64
			 " on the other", a->length, b->length);
	else if (a->region_size != b->region_size)
		snprintf(why, room, "the region size is %" PRIu64 " sectors on one side and %" PRIu64
			 " on the other", a->region_size, b->region_size);
	else if (a->nr_legs != b->nr_legs)
		snprintf(why, room, "there are %u legs on one side and %u on the other",
			 a->nr_legs, b->nr_legs);
	else if (!kinds_match(a, b))
		snprintf(why, room, "one is known as a %s mirror, the other as a %s one",
			 a->kind, b->kind);
	else if (!ids_match(a, b))
		snprintf(why, room, "one is %s, the other %s", a->id[0] ? a->id : "nameless",
			 b->id[0] ? b->id : "nameless");
	else
		return names_match(a, b, why, room);
	return false;
}
