/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Where a mirror was found, kept beside its identity so that it can be found again. */

#include "io/identify.h"

#include <errno.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/size.h"

#define LVM_ID_LENGTH 68	/* "LVM-", the group's letters, the LV's */

/* --- to JSON -------------------------------------------------------------------- */

/* The directory with all links resolved, then the name itself: a link of udev's says
 * more than the node that it leads to today. */
static char *path_absolute(const char *path)
{
	const char *slash = strrchr(path, '/');
	char directory[PATH_MAX], resolved[PATH_MAX], *absolute;

	if (!slash)
		strcpy(directory, ".");
	else if ((size_t)snprintf(directory, sizeof(directory), "%.*s/", (int)(slash - path),
				  path) >= sizeof(directory))
		return strdup(path);
	if (!realpath(directory, resolved))
		return strdup(path);
	if (asprintf(&absolute, "%s/%s", strcmp(resolved, "/") ? resolved : "",
		     slash ? slash + 1 : path) < 0)
		return NULL;
	return absolute;
}

/* What a running mirror stands on was not named by anybody, and /dev/sdb may be
 * another disk tomorrow. */
static char *device_place(const struct device *device, bool active)
{
	char *path = NULL;

	if (active && !device->file->regular &&
	    stable_path(&path, NULL, device->file->dev) == -ENOMEM)
		return NULL;
	return path ? path : path_absolute(device->file->path);
}

/* PATH@OFFSET as --leg takes it; an @ in the path itself must not be taken for one. */
static struct json_object *place_word(const struct device *device, bool active)
{
	struct json_object *word = NULL;
	char *path, *text = NULL;

	if (!device)
		return json_object_new_string("missing");
	path = device_place(device, active);
	if (!path)
		return NULL;
	if (!device->offset && !strchr(path, '@'))
		word = json_object_new_string(path);
	else if (asprintf(&text, "%s@%" PRIu64, path, device->offset) >= 0) {
		word = json_object_new_string(text);
		free(text);
	}
	free(path);
	return word;
}

/* Takes `value` over; NULL: there was no memory for it. */
static int add(struct json_object *object, const char *key, struct json_object *value)
{
	if (value && !json_object_object_add(object, key, value))
		return 0;
	json_object_put(value);
	return -ENOMEM;
}

static int add_legs(struct json_object *places, const struct opened_mirror *opened, bool active)
{
	struct json_object *legs = json_object_new_array(), *word;

	for (unsigned int i = 0; legs && i < opened->mirror.nr_legs; i++) {
		word = place_word(opened->legs[i], active);
		if (word && !json_object_array_add(legs, word))
			continue;
		json_object_put(word);
		json_object_put(legs);
		return -ENOMEM;
	}
	return add(places, "legs", legs);
}

static int add_sectors(struct json_object *places, const char *key, uint64_t sectors)
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRIu64 "s", sectors);
	return add(places, key, json_object_new_string(text));
}

static int add_places(struct json_object *object, const struct opened_mirror *opened)
{
	bool active = opened->mirror.activity != MIRROR_INACTIVE;
	struct json_object *places = json_object_new_object();
	int r;

	if (!places)
		return -ENOMEM;
	r = add(places, "name", json_object_new_string(opened->mirror.name));
	/* The parts of an LV that is not active have no paths. */
	if (!r && !opened->lvm)
		r = add_legs(places, opened, active);
	if (!r && !opened->lvm && opened->log)
		r = add(places, "log", place_word(opened->log, active));
	if (!r)
		r = add_sectors(places, "region_size", opened->mirror.geometry.region_size);
	if (!r)
		r = add_sectors(places, "length", opened->mirror.geometry.length);
	if (!r)
		return add(object, "places", places);
	json_object_put(places);
	return r;
}

static char *object_text(struct json_object *object)
{
	const char *text = json_object_to_json_string_ext(object, JSON_C_TO_STRING_PLAIN |
							  JSON_C_TO_STRING_NOSLASHESCAPE);

	return text ? strdup(text) : NULL;
}

int mirror_identity_json(char **json, const struct identity *identity,
			 const struct opened_mirror *opened)
{
	struct json_object *object;
	char *with_places = NULL;
	int r = identity_to_json(json, identity);

	if (r)
		return r;
	object = json_tokener_parse(*json);
	r = object ? add_places(object, opened) : -ENOMEM;
	if (!r)
		with_places = object_text(object);
	json_object_put(object);
	/* Paths that long are given up: the identity must remain readable. */
	if (with_places && strlen(with_places) > IDENTITY_JSON_MAX) {
		free(with_places);
		return 0;
	}
	free(*json);
	*json = with_places;
	return with_places ? 0 : -ENOMEM;
}

/* --- from JSON ------------------------------------------------------------------ */

static int refuse(struct error *err, const char *key, const char *what)
{
	return error_operation(err, EBADMSG, "identity of the mirror: places.%s %s; the file is "
			       "damaged or was not written by mirrorctl", key, what);
}

/* A string without a NUL inside, or NULL. Owned by the object. */
static const char *string_of(struct json_object *value)
{
	const char *text;

	if (!json_object_is_type(value, json_type_string))
		return NULL;
	text = json_object_get_string(value);
	return *text && strlen(text) == (size_t)json_object_get_string_len(value) ? text : NULL;
}

static int get_legs(struct identity_places *places, struct json_object *object,
		    struct error *err)
{
	struct json_object *legs = json_object_object_get(object, "legs");
	size_t nr_legs;

	if (!json_object_is_type(legs, json_type_array))
		return refuse(err, "legs", "is not an array");
	nr_legs = json_object_array_length(legs);
	if (nr_legs < MIRROR_LEGS_MIN || nr_legs > MIRROR_LEGS_MAX)
		return refuse(err, "legs", "has not 2 to 9 members");
	for (size_t i = 0; i < nr_legs; i++) {
		places->legs[i] = string_of(json_object_array_get_idx(legs, i));
		if (!places->legs[i])
			return refuse(err, "legs", "has a member that is no path");
	}
	places->operand.legs = places->legs;
	places->operand.nr_legs = nr_legs;
	return 0;
}

static int get_size(char size[24], struct json_object *object, const char *key,
		    struct error *err)
{
	const char *text = string_of(json_object_object_get(object, key));
	uint64_t sectors;

	if (!text || strlen(text) >= 24 || size_parse_sectors(&sectors, text, key, NULL) ||
	    !sectors)
		return refuse(err, key, "is no size");
	strcpy(size, text);
	return 0;
}

static int decode(struct identity_places *places, struct json_object *object, struct error *err)
{
	struct json_object *log;
	int r;

	if (!json_object_object_get_ex(object, "log", &log))
		return error_operation(err, ENODATA, "the mirror had no log on a disk: say which "
				       "mirror is meant with --leg and --log");
	places->operand.log = string_of(log);
	if (!places->operand.log)
		return refuse(err, "log", "is no path");
	r = get_legs(places, object, err);
	if (!r)
		r = get_size(places->region_size, object, "region_size", err);
	if (!r)
		r = get_size(places->length, object, "length", err);
	places->operand.region_size = places->region_size;
	places->operand.length = places->length;
	places->name = string_of(json_object_object_get(object, "name"));
	return r;
}

/* An LV is found by its uuid, active or not, whatever its name is by now: "LVM-…", or with
 * a segment "LVM-…@2048". */
static bool decode_lv(struct identity_places *places, struct json_object *identity,
		      struct json_object *inner)
{
	const char *id = string_of(json_object_object_get(identity, "id"));
	int length = 0;

	if (!id || sscanf(id, "LVM-%*64[a-zA-Z0-9]%n", &length) || length != LVM_ID_LENGTH ||
	    (id[length] && id[length] != '@'))
		return false;
	memcpy(places->lv, id, LVM_ID_LENGTH);
	places->operand.name = places->lv;
	if (id[length] && snprintf(places->segment, sizeof(places->segment), "%s", id + length + 1))
		places->operand.segment = places->segment;
	places->name = string_of(json_object_object_get(inner, "name"));
	return true;
}

static int parse_text(struct json_object **object, const char *json, struct error *err)
{
	size_t length = strnlen(json, IDENTITY_JSON_MAX + 1);
	struct json_tokener *tokener;

	*object = NULL;
	if (length > IDENTITY_JSON_MAX)
		return error_operation(err, EBADMSG, "identity of the mirror: it is too long; the "
				       "file is damaged or was not written by mirrorctl");
	tokener = json_tokener_new();
	if (!tokener)
		return error_operation(err, ENOMEM, "identity of the mirror: not enough memory");
	json_tokener_set_flags(tokener, JSON_TOKENER_STRICT);
	*object = json_tokener_parse_ex(tokener, json, (int)length);
	json_tokener_free(tokener);
	if (json_object_is_type(*object, json_type_object))
		return 0;
	json_object_put(*object);
	*object = NULL;
	return error_operation(err, EBADMSG, "identity of the mirror: it is not a JSON object; "
			       "the file is damaged or was not written by mirrorctl");
}

int identity_places_parse(struct identity_places *places, const char *json, struct error *err)
{
	struct json_object *object, *inner;
	int r;

	memset(places, 0, sizeof(*places));
	r = parse_text(&object, json, err);
	if (r)
		return r;
	places->json = object;
	if (!json_object_object_get_ex(object, "places", &inner))
		r = error_operation(err, ENODATA, "the file does not say where the mirror was "
				    "found: say which mirror is meant with --leg and --log, or "
				    "its name");
	else if (!json_object_is_type(inner, json_type_object))
		r = error_operation(err, EBADMSG, "identity of the mirror: places is not an "
				    "object; the file is damaged or was not written by mirrorctl");
	else if (!decode_lv(places, object, inner))
		r = decode(places, inner, err);
	if (r)
		identity_places_free(places);
	return r;
}

void identity_places_free(struct identity_places *places)
{
	json_object_put(places->json);
	memset(places, 0, sizeof(*places));
}
