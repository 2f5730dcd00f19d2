/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/picture.h"

#include <inttypes.h>
#include <string.h>

#define LINES_MAX 16u
#define MARGIN 13u		/* "4294967295 |" and the closing bar */
/* Narrower pictures are cells alone: there is no room for numbers and words. */
#define COLUMNS_FOR_WORDS 28u

/* The legend's rows, from nothing clean to everything clean. */
static const struct shade {
	char cell;
	const char *color;
	const char *text;
} shades[] = {
	{ '.', "\033[31m", "none clean" },
	{ '-', "\033[33m", "less than half" },
	{ '+', "\033[33;1m", "half or more" },
	{ '#', "\033[32m", "all clean" },
};

static const struct shade *shade_of(uint64_t clean, uint64_t regions)
{
	if (clean == 0)
		return &shades[0];
	if (clean == regions)
		return &shades[3];
	return clean < regions - clean ? &shades[1] : &shades[2];
}

char picture_cell(uint64_t clean, uint64_t regions)
{
	return shade_of(clean, regions)->cell;
}

static void print_cell(FILE *to, const struct shade *shade, const struct shade *before, bool color)
{
	if (color && shade != before)
		fputs(shade->color, to);
	fputc(shade->cell, to);
}

/* One line of cells, from region `first` on; returns the region behind it. */
static uint64_t print_cells(FILE *to, const struct bitmap *clean_bits, uint64_t nr_regions,
			    uint64_t first, uint64_t per_cell, unsigned int cells, bool color)
{
	const struct shade *before = NULL;

	for (unsigned int i = 0; i < cells && first < nr_regions; i++) {
		uint64_t last = nr_regions - first < per_cell ? nr_regions - 1 : first + per_cell - 1;
		uint64_t clean = 0;
		const struct shade *shade;

		if (first < clean_bits->nr_bits)
			clean = bitmap_count_run(clean_bits, first, last < clean_bits->nr_bits ?
						 last : clean_bits->nr_bits - 1);
		shade = shade_of(clean, last - first + 1);
		print_cell(to, shade, before, color);
		before = shade;
		first = last + 1;
	}
	if (color)
		fputs("\033[0m", to);
	return first;
}

/* As many items of the legend to a line as fit. */
static void print_legend(FILE *to, uint64_t per_cell, unsigned int columns, bool color)
{
	unsigned int at = 0;

	fprintf(to, "a cell is %" PRIu64 " region%s\n", per_cell, per_cell == 1 ? "" : "s");
	for (unsigned int i = 0; i < sizeof(shades) / sizeof(*shades); i++) {
		const char *text = per_cell > 1 ? shades[i].text : i ? "clean" : "not clean";
		unsigned int width = 4 + (unsigned int)strlen(text);

		if (per_cell == 1 && (i == 1 || i == 2))
			continue;
		if (at && at + width > columns) {
			fputc('\n', to);
			at = 0;
		}
		fprintf(to, "  %s%c%s %s", color ? shades[i].color : "", shades[i].cell,
			color ? "\033[0m" : "", text);
		at += width;
	}
	fputc('\n', to);
}

void picture_print(FILE *to, const struct bitmap *clean_bits, uint64_t nr_regions,
		   unsigned int columns, bool color)
{
	bool words = columns >= COLUMNS_FOR_WORDS;
	unsigned int cells = words ? columns - MARGIN : columns ? columns : 1;
	uint64_t room = (uint64_t)cells * LINES_MAX;
	uint64_t per_cell = nr_regions / room + (nr_regions % room != 0);

	for (uint64_t first = 0; first < nr_regions;) {
		if (words)
			fprintf(to, "%10" PRIu64 " |", first);
		first = print_cells(to, clean_bits, nr_regions, first, per_cell, cells, color);
		fputs(words ? "|\n" : "\n", to);
	}
	if (words && nr_regions)
		print_legend(to, per_cell, columns, color);
}
