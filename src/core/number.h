/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CORE_NUMBER_H
#define CORE_NUMBER_H

#include <errno.h>
#include <stdint.h>

/*
 * Decimal digits and nothing else: strtoull() would take blanks, signs and the
 * negative of a number for granted.
 */

/* Reads the digits that *text starts with, not beyond `end`, and moves *text
 * behind the last one. 0; -EINVAL when there is none; -EOVERFLOW past 2^64-1
 * (*text is then behind the digits too). */
static inline int number_scan(const char **text, const char *end, uint64_t *value)
{
	const char *at = *text;
	uint64_t sum = 0;
	int ret = 0;

	for (; at < end && *at >= '0' && *at <= '9'; at++) {
		unsigned int digit = (unsigned int)(*at - '0');

		if (sum > (UINT64_MAX - digit) / 10)
			ret = -EOVERFLOW;
		else
			sum = sum * 10 + digit;
	}
	if (at == *text)
		return -EINVAL;
	*text = at;
	if (!ret)
		*value = sum;
	return ret;
}

#endif
