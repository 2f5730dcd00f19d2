/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/compare.h"

#include <string.h>

enum content content_of_sector(const void *sector, uint8_t *byte)
{
	const unsigned char *bytes = sector;

	*byte = bytes[0];
	/* Equal to itself shifted by one: all bytes are the same. */
	if (memcmp(bytes, bytes + 1, SECTOR_BYTES - 1))
		return CONTENT_OTHER;
	if (bytes[0] == 0x00)
		return CONTENT_ZEROS;
	return bytes[0] == 0xff ? CONTENT_ONES : CONTENT_REPEATED;
}

bool sectors_differ_in_one_bit(const void *a, const void *b)
{
	const unsigned char *left = a, *right = b;
	unsigned int bits = 0;

	for (unsigned int i = 0; i < SECTOR_BYTES && bits < 2; i++)
		bits += (unsigned int)__builtin_popcount(left[i] ^ right[i]);
	return bits == 1;
}

/* The lowest leg with the same contents as leg i. */
static uint8_t group_of_leg(const struct sector_comparison *comparison,
			    const unsigned char *const legs[], unsigned int i)
{
	for (unsigned int j = comparison->reference; j < i; j++)
		if (legs[j] && comparison->group[j] == j && !memcmp(legs[j], legs[i], SECTOR_BYTES))
			return (uint8_t)j;
	return (uint8_t)i;
}

static void tell_contents(struct sector_comparison *comparison,
			  const unsigned char *const legs[], unsigned int nr_legs)
{
	for (unsigned int i = 0; i < nr_legs; i++) {
		if (!legs[i])
			continue;
		comparison->content[i] = content_of_sector(legs[i], &comparison->byte[i]);
		if ((comparison->differs & 1u << i) &&
		    sectors_differ_in_one_bit(legs[comparison->reference], legs[i]))
			comparison->one_bit |= 1u << i;
	}
}

void compare_sector(struct sector_comparison *comparison,
		    const unsigned char *const legs[], unsigned int nr_legs)
{
	memset(comparison, 0, sizeof(*comparison));
	comparison->reference = MIRROR_LEGS_MAX;
	for (unsigned int i = 0; i < nr_legs; i++) {
		if (!legs[i]) {
			comparison->unreadable |= 1u << i;
			comparison->group[i] = MIRROR_LEGS_MAX;
			continue;
		}
		if (comparison->reference == MIRROR_LEGS_MAX)
			comparison->reference = (uint8_t)i;
		comparison->group[i] = group_of_leg(comparison, legs, i);
		if (comparison->group[i] != comparison->reference)
			comparison->differs |= 1u << i;
	}
	if (comparison->differs)
		tell_contents(comparison, legs, nr_legs);
}
