/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdlib.h>
#include <string.h>

#include "core/piece_list.h"
#include "support/audit_world.h"
#include "unit/suites.h"

#define SPAN 40000u
#define KINDS 3u

static struct piece_list list;

static void teardown(void)
{
	piece_list_free(&list);
}

static void add(uint64_t start, uint64_t count, unsigned int kind, enum content held)
{
	piece_list_add(&list, &(struct piece){ .start = start, .count = count,
					       .kind = (uint8_t)kind,
					       .held = { .content = (uint8_t)held } });
}

START_TEST(neighbours_become_one)
{
	piece_list_init(&list, 10);
	add(20, 5, 1, CONTENT_ZEROS);
	add(10, 10, 1, CONTENT_ZEROS);
	add(10, 3, 0, CONTENT_ONES);
	add(25, 5, 1, CONTENT_ONES);
	add(31, 1, 1, CONTENT_ZEROS);
	piece_list_finish(&list);
	ck_assert_uint_eq(list.nr, 3);
	ck_assert(!list.truncated);
	ck_assert_uint_eq(list.pieces[0].kind, 0);
	ck_assert_uint_eq(list.pieces[1].start, 10);
	ck_assert_uint_eq(list.pieces[1].count, 20);
	ck_assert_uint_eq(list.pieces[1].held.content, CONTENT_OTHER);
	ck_assert_uint_eq(list.pieces[2].start, 31);
	ck_assert_uint_eq(list.pieces[2].held.content, CONTENT_ZEROS);
}
END_TEST

START_TEST(sources_are_kept_apart)
{
	piece_list_init(&list, 10);
	add(1, 1, 1, CONTENT_OTHER);
	piece_list_add(&list, &(struct piece){ .start = 2, .count = 1, .kind = 1, .source = 2 });
	piece_list_finish(&list);
	ck_assert_uint_eq(list.nr, 2);
}
END_TEST

START_TEST(two_lists_become_one)
{
	struct piece_list more;

	piece_list_init(&list, 4);
	piece_list_init(&more, 2);
	add(10, 5, 1, CONTENT_ZEROS);
	add(40, 5, 1, CONTENT_ZEROS);
	for (unsigned int start = 15; start < 60; start += _i ? 10 : 40)
		piece_list_add(&more, &(struct piece){ .start = start - 2, .count = 4, .kind = 1 });
	piece_list_finish(&more);
	piece_list_merge(&list, &more);
	ck_assert_uint_eq(list.pieces[0].start, 10);
	ck_assert_uint_eq(list.pieces[0].count, 7);
	ck_assert_int_eq(list.truncated, _i);
	if (_i)		/* 13, 23, and nothing from 33 on */
		ck_assert_uint_eq(list.truncated_at, 33);
	ck_assert_uint_eq(list.nr, _i ? 2 : 3);
	piece_list_free(&more);
}
END_TEST

/* Pieces in a random order against a table with a byte for each place. */
static void check_against(const unsigned char table[KINDS][SPAN + 1], size_t max)
{
	uint64_t end = list.truncated ? list.truncated_at : SPAN;
	size_t runs = 0, lowest = 0;

	for (unsigned int at = 0; at < SPAN; at++)
		for (unsigned int kind = 0; kind < KINDS; kind++) {
			if (!table[kind][at] || (at && table[kind][at - 1]))
				continue;
			runs++;
			if (at >= end)
				continue;
			ck_assert_uint_lt(lowest, list.nr);
			ck_assert_uint_eq(list.pieces[lowest].start, at);
			ck_assert_uint_eq(list.pieces[lowest].kind, kind);
			for (uint64_t i = at; i < end && table[kind][i]; i++)
				ck_assert_uint_lt(i, at + list.pieces[lowest].count);
			ck_assert(!table[kind][at + list.pieces[lowest].count] ||
				  at + list.pieces[lowest].count == end);
			lowest++;
		}
	ck_assert_uint_eq(lowest, list.nr);
	ck_assert_uint_le(list.nr, max);
	ck_assert(list.truncated || runs <= max);
	ck_assert_uint_le(list.room, max + 8192);
}

START_TEST(random_order)
{
	static unsigned char table[KINDS][SPAN + 1];
	static uint32_t order[SPAN];
	uint64_t random = (uint64_t)_i;
	size_t max = (size_t[]){ 0, 1, 50, 3000, SPAN }[_i % 5];
	bool dense = world_below(&random, 2);

	memset(table, 0, sizeof(table));
	piece_list_init(&list, max);
	for (uint32_t i = 0; i < SPAN; i++) {
		uint32_t other = (uint32_t)world_below(&random, i + 1);

		order[i] = order[other];
		order[other] = i;
	}
	for (uint32_t i = 0; i < SPAN; i++)
		for (unsigned int kind = 0; kind < KINDS; kind++) {
			if (world_below(&random, 8) == (dense ? 0 : 7) || (!dense && order[i] & 1))
				continue;
			table[kind][order[i]] = 1;
			add(order[i], 1, kind, CONTENT_OTHER);
		}
	piece_list_finish(&list);
	check_against(table, max);
}
END_TEST

Suite *piece_list_suite(void)
{
	Suite *suite = suite_create("piece_list");
	TCase *tests = tcase_create("piece_list");

	tcase_add_checked_fixture(tests, NULL, teardown);
	tcase_add_test(tests, neighbours_become_one);
	tcase_add_test(tests, sources_are_kept_apart);
	tcase_add_loop_test(tests, two_lists_become_one, 0, 2);
	tcase_add_loop_test(tests, random_order, 0, 20);
	suite_add_tcase(suite, tests);
	return suite;
}
