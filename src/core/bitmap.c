/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/bitmap.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define WORD_BITS 64u
#define BLOCK_WORDS 16u		/* words that the two scans below take at once */

static uint64_t word_count(uint64_t nr_bits)
{
	return nr_bits / WORD_BITS + (nr_bits % WORD_BITS != 0);
}

static uint64_t word_get(const struct bitmap *map, uint64_t index)
{
	return le64toh(map->words[index]);
}

/* Bits from `bit` up, and bits up to `bit`, within its word. */
static uint64_t mask_from(uint64_t bit)
{
	return UINT64_MAX << (bit % WORD_BITS);
}

static uint64_t mask_to(uint64_t bit)
{
	return UINT64_MAX >> (WORD_BITS - 1 - bit % WORD_BITS);
}

uint64_t bitmap_bytes(uint64_t nr_bits)
{
	return word_count(nr_bits) * sizeof(uint64_t);
}

int bitmap_alloc(struct bitmap *map, uint64_t nr_bits)
{
	uint64_t words = word_count(nr_bits);

	memset(map, 0, sizeof(*map));
	if (words > SIZE_MAX / sizeof(uint64_t))
		return -ENOMEM;
	/* calloc() leaves pages that nobody writes to the kernel's zero page. */
	map->words = calloc(words ? (size_t)words : 1, sizeof(uint64_t));
	if (!map->words)
		return -ENOMEM;
	map->nr_bits = nr_bits;
	map->owned = true;
	return 0;
}

void bitmap_borrow(struct bitmap *map, void *words, uint64_t nr_bits)
{
	map->words = words;
	map->nr_bits = nr_bits;
	map->owned = false;
}

void bitmap_free(struct bitmap *map)
{
	if (!map)
		return;
	if (map->owned)
		free(map->words);
	memset(map, 0, sizeof(*map));
}

bool bitmap_test(const struct bitmap *map, uint64_t bit)
{
	if (bit >= map->nr_bits)
		return false;
	return word_get(map, bit / WORD_BITS) >> (bit % WORD_BITS) & 1;
}

/* In all that writes, a bit beyond the end is a caller's mistake; it must not
 * become a write outside the memory. */
void bitmap_set(struct bitmap *map, uint64_t bit)
{
	if (bit < map->nr_bits)
		map->words[bit / WORD_BITS] |= htole64(UINT64_C(1) << (bit % WORD_BITS));
}

void bitmap_clear(struct bitmap *map, uint64_t bit)
{
	if (bit < map->nr_bits)
		map->words[bit / WORD_BITS] &= ~htole64(UINT64_C(1) << (bit % WORD_BITS));
}

/* Cuts first..last to the map; false when nothing of it is left. */
static bool run_clip(const struct bitmap *map, uint64_t first, uint64_t *last)
{
	if (first >= map->nr_bits || first > *last)
		return false;
	if (*last >= map->nr_bits)
		*last = map->nr_bits - 1;
	return true;
}

static void word_write(struct bitmap *map, uint64_t index, uint64_t mask, bool value)
{
	if (value)
		map->words[index] |= htole64(mask);
	else
		map->words[index] &= ~htole64(mask);
}

static void run_write(struct bitmap *map, uint64_t first, uint64_t last, bool value)
{
	uint64_t head = first / WORD_BITS, tail;

	if (!run_clip(map, first, &last))
		return;
	tail = last / WORD_BITS;
	if (head == tail) {
		word_write(map, head, mask_from(first) & mask_to(last), value);
		return;
	}
	word_write(map, head, mask_from(first), value);
	memset(map->words + head + 1, value ? 0xff : 0,
	       (size_t)(tail - head - 1) * sizeof(uint64_t));
	word_write(map, tail, mask_to(last), value);
}

void bitmap_set_run(struct bitmap *map, uint64_t first, uint64_t last)
{
	run_write(map, first, last, true);
}

void bitmap_clear_run(struct bitmap *map, uint64_t first, uint64_t last)
{
	run_write(map, first, last, false);
}

/* Without the popcnt instruction (which a generic build may not use) the
 * builtin is a call and a table; this is neither. */
static unsigned int word_popcount(uint64_t word)
{
	word -= word >> 1 & UINT64_C(0x5555555555555555);
	word = (word & UINT64_C(0x3333333333333333)) + (word >> 2 & UINT64_C(0x3333333333333333));
	word = (word + (word >> 4)) & UINT64_C(0x0f0f0f0f0f0f0f0f);
	return (unsigned int)(word * UINT64_C(0x0101010101010101) >> 56);
}

/* 64 full adders side by side: *high:*low = *low + a + b for each bit position. */
static inline void carry_save(uint64_t *high, uint64_t *low, uint64_t a, uint64_t b)
{
	uint64_t half = *low ^ a;

	*high = (*low & a) | (half & b);
	*low = half ^ b;
}

/* What is left of the columns of ones, twos … between blocks. */
struct columns {
	uint64_t ones, twos, fours, eights;
};

/* Adds eight words; the carry out of the fours. */
static inline uint64_t columns_add(struct columns *sum, const uint64_t *w)
{
	uint64_t two_a, two_b, four_a, four_b, eight;

	carry_save(&two_a, &sum->ones, w[0], w[1]);
	carry_save(&two_b, &sum->ones, w[2], w[3]);
	carry_save(&four_a, &sum->twos, two_a, two_b);
	carry_save(&two_a, &sum->ones, w[4], w[5]);
	carry_save(&two_b, &sum->ones, w[6], w[7]);
	carry_save(&four_b, &sum->twos, two_a, two_b);
	carry_save(&eight, &sum->fours, four_a, four_b);
	return eight;
}

/*
 * A tree of carry-save adders counts sixteen words with one population count of
 * the column of sixteens, which keeps up with memory on any processor. The byte
 * order does not matter: whole words are counted.
 */
static uint64_t words_popcount(const uint64_t *words, uint64_t nr_words)
{
	struct columns sum = { 0, 0, 0, 0 };
	uint64_t eight_a, eight_b, sixteens, total = 0, i;

	for (i = 0; i + BLOCK_WORDS <= nr_words; i += BLOCK_WORDS) {
		eight_a = columns_add(&sum, words + i);
		eight_b = columns_add(&sum, words + i + 8);
		carry_save(&sixteens, &sum.eights, eight_a, eight_b);
		total += word_popcount(sixteens);
	}
	total = 16 * total + 8 * word_popcount(sum.eights) + 4 * word_popcount(sum.fours) +
		2 * word_popcount(sum.twos) + word_popcount(sum.ones);
	for (; i < nr_words; i++)
		total += word_popcount(words[i]);
	return total;
}

uint64_t bitmap_count(const struct bitmap *map)
{
	return map->nr_bits ? bitmap_count_run(map, 0, map->nr_bits - 1) : 0;
}

uint64_t bitmap_count_run(const struct bitmap *map, uint64_t first, uint64_t last)
{
	uint64_t head = first / WORD_BITS, tail;

	if (!run_clip(map, first, &last))
		return 0;
	tail = last / WORD_BITS;
	if (head == tail)
		return word_popcount(word_get(map, head) & mask_from(first) & mask_to(last));
	return word_popcount(word_get(map, head) & mask_from(first)) +
	       words_popcount(map->words + head + 1, tail - head - 1) +
	       word_popcount(word_get(map, tail) & mask_to(last));
}

/* The first word at or above `index` that is not `plain` (all zeros or all
 * ones); nr_words when there is none. */
static uint64_t words_skip(const uint64_t *words, uint64_t index, uint64_t nr_words,
			   uint64_t plain)
{
	while (nr_words - index >= BLOCK_WORDS) {
		uint64_t odd = 0;
		unsigned int i;

		for (i = 0; i < BLOCK_WORDS; i++)
			odd |= words[index + i] ^ plain;
		if (odd)
			break;
		index += BLOCK_WORDS;
	}
	while (index < nr_words && words[index] == plain)
		index++;
	return index;
}

/* The lowest bit at or above `from` that differs from the bits of `plain`. */
static uint64_t bitmap_next(const struct bitmap *map, uint64_t from, uint64_t plain)
{
	uint64_t index = from / WORD_BITS, nr_words = word_count(map->nr_bits), word, bit;

	if (from >= map->nr_bits)
		return map->nr_bits;
	word = (word_get(map, index) ^ plain) & mask_from(from);
	if (!word) {
		index = words_skip(map->words, index + 1, nr_words, plain);
		if (index == nr_words)
			return map->nr_bits;
		word = word_get(map, index) ^ plain;
	}
	bit = index * WORD_BITS + (unsigned int)__builtin_ctzll(word);
	return bit < map->nr_bits ? bit : map->nr_bits;
}

uint64_t bitmap_next_set(const struct bitmap *map, uint64_t from)
{
	return bitmap_next(map, from, 0);
}

uint64_t bitmap_next_clear(const struct bitmap *map, uint64_t from)
{
	return bitmap_next(map, from, UINT64_MAX);
}

bool bitmap_next_run(const struct bitmap *map, bool value, uint64_t from,
		     uint64_t *first, uint64_t *last)
{
	uint64_t plain = value ? 0 : UINT64_MAX;
	uint64_t start = bitmap_next(map, from, plain);

	if (start == map->nr_bits)
		return false;
	*first = start;
	*last = bitmap_next(map, start + 1, ~plain) - 1;
	return true;
}
