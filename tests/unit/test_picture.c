/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli/picture.h"
#include "support/audit_world.h"
#include "unit/suites.h"

static struct bitmap bits;
static char *text;
static size_t text_bytes;

static void teardown(void)
{
	bitmap_free(&bits);
	free(text);
	text = NULL;
}

static void draw(uint64_t nr_regions, unsigned int columns, bool color)
{
	FILE *to;

	free(text);
	to = open_memstream(&text, &text_bytes);
	picture_print(to, &bits, nr_regions, columns, color);
	fclose(to);
}

/* Characters up to the end of the line, colours not counted. */
static size_t line_width(const char *line)
{
	size_t width = 0;

	for (; *line && *line != '\n'; line++) {
		if (*line == '\033')
			line = strchr(line, 'm');
		else
			width++;
	}
	return width;
}

static void check_widths(unsigned int columns)
{
	for (const char *line = text; *line; line = strchr(line, '\n') + 1)
		ck_assert_msg(line_width(line) <= (columns ? columns : 1), "%u columns: %s", columns, line);
}

/* How often one of the cells' characters occurs outside the legend. */
static unsigned int count_cells(char cell)
{
	unsigned int nr = 0;

	for (const char *at = text; *at && strncmp(at, "a cell", 6); at++)
		nr += *at == cell;
	return nr;
}

START_TEST(shades)
{
	ck_assert_int_eq(picture_cell(0, 1), '.');
	ck_assert_int_eq(picture_cell(1, 1), '#');
	ck_assert_int_eq(picture_cell(0, 1000), '.');
	ck_assert_int_eq(picture_cell(1, 1000), '-');
	ck_assert_int_eq(picture_cell(499, 1000), '-');
	ck_assert_int_eq(picture_cell(500, 1000), '+');
	ck_assert_int_eq(picture_cell(999, 1000), '+');
	ck_assert_int_eq(picture_cell(1000, 1000), '#');
	ck_assert_int_eq(picture_cell(UINT32_MAX - 1, UINT32_MAX), '+');
	ck_assert_int_eq(picture_cell(UINT32_MAX, UINT32_MAX), '#');
}
END_TEST

START_TEST(any_width)
{
	static const uint64_t counts[] = { 1, 2, 63, 64, 65, 1000, 12345, 4294967295 };

	bitmap_alloc(&bits, 1000);
	bitmap_set_run(&bits, 100, 350);
	for (unsigned int columns = 0; columns <= 300; columns += world_rounds(60) < 60 ? 11 : 1)
		for (unsigned int color = 0; color < 2; color++) {
			unsigned int lines = 0;

			draw(counts[_i], columns, color);
			check_widths(columns);
			for (const char *at = text; *at; at++)
				lines += *at == '\n';
			ck_assert_uint_le(lines, 16 + 1 + 4);
			ck_assert_uint_ge(lines, 1);
		}
}
END_TEST

/* Every region lies in exactly one cell. */
START_TEST(cells_add_up)
{
	bitmap_alloc(&bits, 500);
	for (uint64_t nr = 1; nr < 2000; nr += 7)
		for (unsigned int columns = 1; columns < 120; columns += 17) {
			unsigned int cells, drawn;
			uint64_t per_cell = 1;

			draw(nr, columns, false);
			cells = columns < 28 ? columns : columns - 13;
			while (per_cell * cells * 16 < nr)
				per_cell++;
			drawn = count_cells('.');
			ck_assert_uint_eq(drawn, (nr + per_cell - 1) / per_cell);
		}
}
END_TEST

START_TEST(what_a_line_says)
{
	bitmap_alloc(&bits, 100);
	bitmap_set_run(&bits, 2, 3);
	bitmap_set(&bits, 5);
	draw(8, 80, false);
	ck_assert_str_eq(text, "         0 |..##.#..|\n"
			 "a cell is 1 region\n"
			 "  . not clean  # clean\n");
}
END_TEST

START_TEST(several_regions_to_a_cell)
{
	bitmap_alloc(&bits, 2000);
	bitmap_set_run(&bits, 0, 3);
	bitmap_set(&bits, 4);
	bitmap_set_run(&bits, 8, 10);
	draw(640, 33, false);	/* 16 lines of 20 cells of 2 regions */
	ck_assert_msg(!strncmp(text, "         0 |##+.#+..............|\n        40 |", 46), "%s", text);
	ck_assert_ptr_nonnull(strstr(text, "a cell is 2 regions\n"));
	ck_assert_ptr_nonnull(strstr(text, "+ half or more"));
}
END_TEST

/* A clean set that ends early: what lies behind it is not clean. */
START_TEST(bits_end_before_the_regions)
{
	bitmap_alloc(&bits, 3);
	bitmap_set_run(&bits, 0, 2);
	draw(6, 80, false);
	ck_assert_msg(!strncmp(text, "         0 |###...|", 19), "%s", text);
}
END_TEST

START_TEST(the_largest_log)
{
	bitmap_alloc(&bits, 1);
	bitmap_set(&bits, 0);
	draw(4294967295, 80, false);
	ck_assert_uint_eq(count_cells('-'), 1);
	ck_assert_uint_eq(count_cells('.'), 67 * 16 - 1);
}
END_TEST

START_TEST(colours_end_with_the_line)
{
	bitmap_alloc(&bits, 100);
	bitmap_set_run(&bits, 20, 60);
	draw(100, 20, true);
	for (const char *line = text; *line; line = strchr(line, '\n') + 1)
		ck_assert_msg(!strncmp(strchr(line, '\n') - 4, "\033[0m", 4), "%s", line);
	draw(100, 20, false);
	ck_assert_ptr_null(strchr(text, '\033'));
}
END_TEST

START_TEST(no_regions)
{
	bitmap_alloc(&bits, 1);
	draw(0, 80, true);
	ck_assert_str_eq(text, "");
}
END_TEST

Suite *picture_suite(void)
{
	Suite *suite = suite_create("picture");
	TCase *tcase = tcase_create("picture");

	tcase_add_checked_fixture(tcase, NULL, teardown);
	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, shades);
	tcase_add_loop_test(tcase, any_width, 0, 8);
	tcase_add_test(tcase, cells_add_up);
	tcase_add_test(tcase, what_a_line_says);
	tcase_add_test(tcase, several_regions_to_a_cell);
	tcase_add_test(tcase, bits_end_before_the_regions);
	tcase_add_test(tcase, the_largest_log);
	tcase_add_test(tcase, colours_end_with_the_line);
	tcase_add_test(tcase, no_regions);
	suite_add_tcase(suite, tcase);
	return suite;
}
