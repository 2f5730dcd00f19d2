/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/bitmap.h"
#include "unit/suites.h"

/* A byte a bit: slow, and too simple to be wrong. */
struct model {
	unsigned char bit[2400];
	uint64_t nr_bits;
};

static uint64_t model_next(const struct model *model, uint64_t from, unsigned char value)
{
	for (; from < model->nr_bits; from++)
		if (model->bit[from] == value)
			return from;
	return model->nr_bits;
}

static uint64_t model_count(const struct model *model, uint64_t first, uint64_t last)
{
	uint64_t count = 0;

	for (; first <= last; first++)
		count += model->bit[first];
	return count;
}

static uint32_t chance(uint32_t *state)
{
	*state = *state * 1664525u + 1013904223u;
	return *state >> 8;
}

/* Everything that can be asked of a map, asked of both. */
static void compare(const struct bitmap *map, const struct model *model, uint32_t *state)
{
	uint64_t bit, first, last, end = model->nr_bits;
	unsigned int i;

	for (bit = 0; bit < end && bitmap_test(map, bit) == model->bit[bit]; bit++)
		;
	ck_assert_uint_eq(bit, end);
	ck_assert_uint_eq(bitmap_count(map), end ? model_count(model, 0, end - 1) : 0);
	for (i = 0; end && i < 50; i++) {
		first = chance(state) % end;
		last = first + chance(state) % (end - first);
		ck_assert_uint_eq(bitmap_count_run(map, first, last),
				  model_count(model, first, last));
		ck_assert_uint_eq(bitmap_next_set(map, first), model_next(model, first, 1));
		ck_assert_uint_eq(bitmap_next_clear(map, first), model_next(model, first, 0));
	}
	for (i = 0; i < 2; i++) {
		for (bit = 0; bitmap_next_run(map, i, bit, &first, &last); bit = last + 1) {
			if (first != model_next(model, bit, i) ||
			    last + 1 != model_next(model, first, !i))
				ck_abort_msg("run %u at %u", i, (unsigned int)bit);
		}
		ck_assert_uint_eq(model_next(model, bit, i), end);
	}
}

static void change(struct bitmap *map, struct model *model, uint32_t *state)
{
	uint64_t first = chance(state) % model->nr_bits;
	uint64_t last = first + chance(state) % (model->nr_bits - first);

	switch (chance(state) % 4) {
	case 0:
		bitmap_set(map, first);
		model->bit[first] = 1;
		break;
	case 1:
		bitmap_clear(map, first);
		model->bit[first] = 0;
		break;
	case 2:
		bitmap_set_run(map, first, last);
		memset(model->bit + first, 1, last - first + 1);
		break;
	default:
		bitmap_clear_run(map, first, last);
		memset(model->bit + first, 0, last - first + 1);
		break;
	}
}

/* What lies behind the last bit is junk, and must stay as it is. */
static void agree(uint64_t nr_bits, unsigned char junk)
{
	uint64_t words[(2400 + 63) / 64 + 1];
	struct model model = { .nr_bits = nr_bits };
	struct bitmap map;
	uint32_t state = (uint32_t)nr_bits + junk;
	uint64_t bit;
	unsigned int round;

	memset(words, junk, sizeof(words));
	bitmap_borrow(&map, words, nr_bits);
	bitmap_clear_run(&map, 0, nr_bits - 1);
	for (round = 0; round < 60; round++) {
		compare(&map, &model, &state);
		change(&map, &model, &state);
	}
	for (bit = nr_bits; bit < sizeof(words) * 8; bit++)
		ck_assert_int_eq(((unsigned char *)words)[bit / 8] >> (bit % 8) & 1,
				 junk >> (bit % 8) & 1);
}

/* Sizes around the word, around the block of the fast loops, and far above. */
START_TEST(agrees_with_model)
{
	static const uint64_t sizes[] = {
		1, 2, 63, 64, 65, 127, 128, 129, 1023, 1024, 1025, 1087, 1088, 1089, 1152,
		1153, 2047, 2048, 2175, 2176, 2177, 2399,
	};
	size_t i;

	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		agree(sizes[i], 0);
		agree(sizes[i], 0x55);
		agree(sizes[i], 0xaa);
		agree(sizes[i], 0xff);
	}
}
END_TEST

/* A single bit among thousands of the other kind, at each place. */
START_TEST(needle)
{
	enum { BITS = 40 * 64 };
	uint64_t words[BITS / 64];
	struct bitmap map;
	uint64_t bit;

	bitmap_borrow(&map, words, BITS);
	for (bit = 0; bit < BITS; bit++) {
		memset(words, 0, sizeof(words));
		bitmap_set(&map, bit);
		if (bitmap_next_set(&map, 0) != bit || bitmap_count(&map) != 1)
			ck_abort_msg("set bit %u", (unsigned int)bit);
		memset(words, 0xff, sizeof(words));
		bitmap_clear(&map, bit);
		if (bitmap_next_clear(&map, 0) != bit || bitmap_count(&map) != BITS - 1)
			ck_abort_msg("clear bit %u", (unsigned int)bit);
	}
}
END_TEST

START_TEST(bytes_are_the_disks)
{
	unsigned char bytes[24] __attribute__((aligned(8))) = { 0 };
	struct bitmap map;

	bitmap_borrow(&map, bytes, 130);
	bitmap_set(&map, 0);
	bitmap_set(&map, 9);
	bitmap_set_run(&map, 60, 67);
	bitmap_set(&map, 129);
	ck_assert_uint_eq(bytes[0], 0x01);
	ck_assert_uint_eq(bytes[1], 0x02);
	ck_assert_uint_eq(bytes[7], 0xf0);
	ck_assert_uint_eq(bytes[8], 0x0f);
	ck_assert_uint_eq(bytes[16], 0x02);
	bytes[10] = 0x80;
	ck_assert(bitmap_test(&map, 87));
	ck_assert_uint_eq(bitmap_next_set(&map, 68), 87);
	bitmap_clear(&map, 9);
	ck_assert_uint_eq(bytes[1], 0);
}
END_TEST

START_TEST(bytes_round_up)
{
	ck_assert_uint_eq(bitmap_bytes(0), 0);
	ck_assert_uint_eq(bitmap_bytes(1), 8);
	ck_assert_uint_eq(bitmap_bytes(64), 8);
	ck_assert_uint_eq(bitmap_bytes(65), 16);
	ck_assert_uint_eq(bitmap_bytes(UINT64_C(1) << 32), UINT64_C(1) << 29);
	ck_assert_uint_eq(bitmap_bytes(UINT64_MAX), UINT64_C(1) << 61);
}
END_TEST

START_TEST(allocation)
{
	struct bitmap map;

	ck_assert_int_eq(bitmap_alloc(&map, 0), 0);
	ck_assert_uint_eq(bitmap_count(&map), 0);
	ck_assert_uint_eq(bitmap_next_set(&map, 0), 0);
	ck_assert_uint_eq(bitmap_next_clear(&map, 0), 0);
	bitmap_free(&map);
	bitmap_free(&map);
	bitmap_free(NULL);
	ck_assert_int_eq(bitmap_alloc(&map, 100), 0);
	ck_assert_uint_eq(bitmap_count(&map), 0);
	ck_assert_uint_eq(bitmap_next_clear(&map, 99), 99);
	bitmap_free(&map);
	ck_assert_ptr_eq(map.words, NULL);
}
END_TEST

/* A caller's mistake stays inside the memory. */
START_TEST(beyond_the_end)
{
	uint64_t words[3] = { 0, 0, 0xaaaa };
	struct bitmap map;
	uint64_t first, last;

	bitmap_borrow(&map, words, 128);
	bitmap_set(&map, 128);
	bitmap_clear(&map, 129);
	ck_assert_uint_eq(words[2], 0xaaaa);
	bitmap_set_run(&map, 128, 150);
	ck_assert_uint_eq(words[2], 0xaaaa);
	bitmap_clear_run(&map, 128, 150);
	bitmap_set_run(&map, 200, 100);
	bitmap_set_run(&map, 100, 99);
	ck_assert_uint_eq(bitmap_count(&map), 0);
	ck_assert(!bitmap_test(&map, 128));
	bitmap_set_run(&map, 120, UINT64_MAX);
	ck_assert_uint_eq(bitmap_count(&map), 8);
	ck_assert_uint_eq(bitmap_count_run(&map, 120, UINT64_MAX), 8);
	ck_assert_uint_eq(bitmap_count_run(&map, 128, UINT64_MAX), 0);
	ck_assert_uint_eq(bitmap_next_set(&map, UINT64_MAX), 128);
	ck_assert_uint_eq(bitmap_next_clear(&map, 120), 128);
	ck_assert(!bitmap_next_run(&map, true, 128, &first, &last));
	ck_assert_uint_eq(words[2], 0xaaaa);
}
END_TEST

#define HUGE_BITS (UINT64_C(1) << 32)

/* Where 32 bits would wrap. */
START_TEST(four_billion_bits)
{
	struct bitmap map;
	uint64_t first, last;

	ck_assert_int_eq(bitmap_alloc(&map, HUGE_BITS), 0);
	bitmap_set_run(&map, HUGE_BITS - 3, HUGE_BITS - 1);
	bitmap_set_run(&map, (HUGE_BITS / 2) - 1, HUGE_BITS / 2);
	ck_assert_uint_eq(bitmap_next_set(&map, HUGE_BITS / 2 - 100000), HUGE_BITS / 2 - 1);
	ck_assert(bitmap_next_run(&map, true, HUGE_BITS - 100000, &first, &last));
	ck_assert_uint_eq(first, HUGE_BITS - 3);
	ck_assert_uint_eq(last, HUGE_BITS - 1);
	ck_assert(!bitmap_next_run(&map, true, HUGE_BITS, &first, &last));
	ck_assert(!bitmap_next_run(&map, false, HUGE_BITS - 3, &first, &last));
	ck_assert_uint_eq(bitmap_count_run(&map, HUGE_BITS - 2, HUGE_BITS - 1), 2);
	ck_assert_uint_eq(bitmap_count_run(&map, HUGE_BITS / 2, HUGE_BITS / 2 + 5), 1);
	bitmap_clear(&map, HUGE_BITS - 1);
	ck_assert_uint_eq(bitmap_next_clear(&map, HUGE_BITS - 3), HUGE_BITS - 1);
	bitmap_free(&map);
}
END_TEST

Suite *bitmap_suite(void)
{
	Suite *suite = suite_create("bitmap");
	TCase *tcase = tcase_create("bitmap");

	tcase_set_timeout(tcase, 120);
	tcase_add_test(tcase, agrees_with_model);
	tcase_add_test(tcase, needle);
	tcase_add_test(tcase, bytes_are_the_disks);
	tcase_add_test(tcase, bytes_round_up);
	tcase_add_test(tcase, allocation);
	tcase_add_test(tcase, beyond_the_end);
	tcase_add_test(tcase, four_billion_bits);
	suite_add_tcase(suite, tcase);
	return suite;
}
