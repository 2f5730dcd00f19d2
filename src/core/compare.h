/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CORE_COMPARE_H
#define CORE_COMPARE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/mirror.h"

/* Comparing the same 512-byte sector on several legs. Pure. */

enum content {
	CONTENT_OTHER,		/* nothing that can be told */
	CONTENT_ZEROS,
	CONTENT_ONES,		/* every byte 0xFF */
	CONTENT_REPEATED,	/* every byte the same other value */
};

/* What one sector holds; `byte` is set for CONTENT_REPEATED. */
enum content content_of_sector(const void *sector, uint8_t *byte);

/* Do two sectors differ in exactly one bit? */
bool sectors_differ_in_one_bit(const void *a, const void *b);

/*
 * One sector of all legs: which differ from the reference, which agree.
 * A leg whose data pointer is NULL could not be read.
 */
struct sector_comparison {
	uint16_t unreadable;	/* legs, bit i = leg i */
	uint16_t differs;	/* from the reference leg */
	uint8_t reference;	/* lowest readable leg; MIRROR_LEGS_MAX: none */
	uint16_t one_bit;	/* legs that differ from it in a single bit */
	uint8_t group[MIRROR_LEGS_MAX];	/* legs with equal contents have equal
				 * numbers: that of the lowest of them;
				 * MIRROR_LEGS_MAX: unreadable */
	uint8_t content[MIRROR_LEGS_MAX];	/* enum content */
	uint8_t byte[MIRROR_LEGS_MAX];
};

/* Fills `comparison` from the legs' sectors; contents are told only when
 * something differs. */
void compare_sector(struct sector_comparison *comparison,
		    const unsigned char *const legs[], unsigned int nr_legs);

#endif
