/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CORE_IDENTITY_H
#define CORE_IDENTITY_H

#include <stdbool.h>
#include <stddef.h>

#include "core/error.h"
#include "core/mirror.h"

/*
 * Whose log, whose legs: what an audit, a journal and a later repair compare
 * before they believe each other (design: identity). Stable names where there
 * are any (dm uuid, WWN, PARTUUID …); without them the identity is weak: digests
 * of the log's header sector and of the first and last 64 KiB of every leg.
 * Paths, device numbers and inodes are shown and never compared.
 */
struct identity {
	char kind[16];		/* "dm", "block", "weak" */
	char id[160];		/* dm uuid, …; empty for weak */
	uint64_t length, region_size;	/* sectors */
	unsigned int nr_legs;
	char leg[MIRROR_LEGS_MAX][160];	/* stable name, or for weak: hex digests;
					 * empty: missing */
	char log[160];
};

#define IDENTITY_JSON_MAX 65536u	/* bytes; longer text is refused unread */

/* JSON text <-> struct, by json-c. The text is allocated. Encoding refuses what
 * could not be read back (-EINVAL). Decoding validates types, ranges and lengths:
 * -EBADMSG with an error that names the key; *identity is then as it was. Unknown
 * keys are ignored. */
int identity_to_json(char **json, const struct identity *identity);
int identity_from_json(struct identity *identity, const char *json, struct error *err);

/* Is it the same mirror? A missing leg on either side matches anything, but an id
 * or one leg must be known to both. Kinds "dm" and "block" are the same mirror active
 * and inactive: their legs and logs are compared, not the id. false: `why` names the
 * first difference in words. */
bool identity_matches(const struct identity *a, const struct identity *b,
		      char *why, size_t room);

#endif
