/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/size.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/number.h"
#include "core/region.h"

#define TEXT_SHOWN 40	/* characters of the text that a message quotes */

/* Bytes in the unit that `letter` names; 0 when it names none. */
static uint64_t unit_bytes(char letter)
{
	static const char powers[] = "kmgtpe";
	const char *power;

	if (letter >= 'A' && letter <= 'Z')
		letter = (char)(letter - 'A' + 'a');
	if (letter == 'b')
		return 1;
	if (letter == 's')
		return SECTOR_BYTES;
	power = letter ? strchr(powers, letter) : NULL;
	return power ? UINT64_C(1024) << (10 * (power - powers)) : 0;
}

static int size_error(struct error *err, const char *what, const char *text, const char *why)
{
	return error_usage(err, "%s: \"%.*s\" %s", what, TEXT_SHOWN, text, why);
}

int size_parse_bytes(uint64_t *bytes, const char *text, uint64_t bare_unit_bytes,
		     const char *what, struct error *err)
{
	uint64_t number = 0, unit = bare_unit_bytes;
	const char *at = text;
	int ret;

	ret = number_scan(&at, text + strlen(text), &number);
	if (ret != -EINVAL && *at)
		unit = unit_bytes(*at++);
	if (ret == -EINVAL || *at || !unit)
		return size_error(err, what, text, "is not a size: give a whole number and at most "
				  "one of the letters b s k m g t p e, as in 512k");
	if (ret == -EOVERFLOW || number > UINT64_MAX / unit)
		return size_error(err, what, text, "is too large: sizes end at 2^64-1 bytes");
	*bytes = number * unit;
	return 0;
}

int size_parse_sectors(uint64_t *sectors, const char *text, const char *what,
		       struct error *err)
{
	uint64_t bytes;
	int ret;

	ret = size_parse_bytes(&bytes, text, SECTOR_BYTES, what, err);
	if (ret)
		return ret;
	if (bytes % SECTOR_BYTES)
		return size_error(err, what, text, "is not a multiple of 512 bytes: give whole "
				  "sectors");
	*sectors = bytes / SECTOR_BYTES;
	return 0;
}

static const char *const unit_names[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
#define UNIT_GIB 3u
#define UNIT_EIB 6u

/*
 * Bytes below 10 KiB that are no whole KiB are given exactly. Region sizes and
 * the like, whole KiB or MiB, lose the decimal; from GiB on it is always there,
 * so that a column of device sizes lines up.
 */
char *size_format(char *out, size_t room, uint64_t bytes)
{
	unsigned int unit = 0, tenths;
	uint64_t scale = 1, whole;

	while (unit < UNIT_EIB && bytes / scale >= 1024) {
		scale <<= 10;
		unit++;
	}
	if (unit == 0 || (bytes % 1024 && bytes < 10240)) {
		snprintf(out, room, "%" PRIu64 " B", bytes);
		return out;
	}
	if (unit < UNIT_GIB && bytes % scale == 0) {
		snprintf(out, room, "%" PRIu64 " %s", bytes / scale, unit_names[unit]);
		return out;
	}
	whole = bytes / scale;
	tenths = (unsigned int)((bytes % scale * 10 + scale / 2) / scale);
	whole += tenths / 10;
	tenths %= 10;
	if (whole == 1024 && unit < UNIT_EIB) {	/* 1023.96 MiB reads 1.0 GiB */
		whole = 1;
		unit++;
	}
	snprintf(out, room, "%" PRIu64 ".%u %s", whole, tenths, unit_names[unit]);
	return out;
}
