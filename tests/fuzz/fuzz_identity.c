/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An identity from hostile text: what is accepted is sound, is itself, and survives
 * being written and read again.
 */
#include <stdlib.h>
#include <string.h>

#include "core/identity.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
	if (!holds)
		abort();
}

static void check(const struct identity *identity)
{
	struct region_geometry geometry;
	struct identity again;
	bool anything = identity->id[0];
	char why[64], *json;

	require(!region_geometry_init(&geometry, identity->length, identity->region_size, NULL));
	require(identity->nr_legs >= MIRROR_LEGS_MIN && identity->nr_legs <= MIRROR_LEGS_MAX);
	for (unsigned int i = 0; i < identity->nr_legs; i++)
		anything |= identity->leg[i][0];
	require(identity_matches(identity, identity, why, sizeof(why)) == anything);

	require(!identity_to_json(&json, identity));
	require(!identity_from_json(&again, json, NULL));
	require(!memcmp(&again, identity, sizeof(again)));
	free(json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct error err = { .kind = ERROR_NONE };
	struct identity identity;
	char *text = malloc(size + 1);

	if (!text)
		return 0;
	if (size)
		memcpy(text, data, size);
	text[size] = '\0';
	memset(&identity, 0, sizeof(identity));
	if (!identity_from_json(&identity, text, &err))
		check(&identity);
	else
		require(err.kind == ERROR_OPERATION);
	free(text);
	return 0;
}
