/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A report of an audit from hostile text, for mirrors of two sizes: what is accepted
 * is JSON for json-c too, names no region that the mirror has not, and is not smaller
 * for a larger mirror.
 */
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

#include "core/audit_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
	if (!holds)
		abort();
}

/* json-c may find fault with a string's escapes, which were not looked at. */
static void check_json(const char *text, size_t size)
{
	struct json_tokener *tokener = json_tokener_new_ex(64);
	struct json_object *object;
	enum json_tokener_error fault;

	if (!tokener)
		return;
	json_tokener_set_flags(tokener, JSON_TOKENER_STRICT);
	object = json_tokener_parse_ex(tokener, text, (int)size);
	fault = json_tokener_get_error(tokener);
	require(fault == json_tokener_success || fault == json_tokener_error_parse_string);
	require(!object || json_object_is_type(object, json_type_object));
	json_object_put(object);
	json_tokener_free(tokener);
}

static void check(const char *text, size_t size, const struct audit_file *file,
		  uint64_t nr_regions)
{
	struct audit_file larger;
	char *json;

	require(file->regions.nr_bits == nr_regions);
	require(file->nr_regions <= nr_regions);
	require(file->nr_regions == bitmap_count(&file->regions));
	require(!identity_to_json(&json, &file->identity));
	free(json);
	check_json(text, size);
	require(!audit_file_parse(&larger, text, size, 2 * nr_regions, NULL));
	require(larger.nr_regions == file->nr_regions);
	audit_file_free(&larger);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint64_t sizes[] = { 16, 256 };
	struct error err;
	struct audit_file file;
	char *text = malloc(size ? size : 1);	/* of this very size, for ASan */

	if (!text)
		return 0;
	if (size)
		memcpy(text, data, size);
	for (unsigned int i = 0; i < 2; i++) {
		err.kind = ERROR_NONE;
		if (!audit_file_parse(&file, text, size, sizes[i], &err))
			check(text, size, &file, sizes[i]);
		else
			require(err.kind == ERROR_OPERATION && !file.regions.words);
		audit_file_free(&file);
	}
	free(text);
	return 0;
}
