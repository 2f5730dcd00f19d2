/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CLI_PICTURE_H
#define CLI_PICTURE_H

#include <stdbool.h>
#include <stdio.h>

#include "core/bitmap.h"

/*
 * A picture of the log: one cell for a span of regions, as many cells as fit
 * `columns` and a handful of lines, with a legend where there is room for words.
 * Colours when `color`, plain characters always: a cell says the same without
 * them. No line is longer than `columns`.
 */
void picture_print(FILE *to, const struct bitmap *clean_bits, uint64_t nr_regions,
		   unsigned int columns, bool color);

/* The character for a span with `clean` of `regions` clean. */
char picture_cell(uint64_t clean, uint64_t regions);

#endif
