/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <endian.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/sampling.h"
#include "unit/suites.h"

#define CONFIDENCE 0.99

static void size_is(const char *text, uint64_t population, uint64_t expected)
{
	struct error err = { .kind = ERROR_NONE };
	struct sample_size size;

	ck_assert_msg(!sample_size_parse(&size, text, &err), "%s", err.text);
	ck_assert_uint_eq(sample_size_count(size, population), expected);
}

static void size_refused(const char *text, const char *says)
{
	struct error err = { .kind = ERROR_NONE };
	struct sample_size size;

	ck_assert_msg(sample_size_parse(&size, text, &err) == -EINVAL, "\"%s\"", text);
	ck_assert_int_eq(err.kind, ERROR_USAGE);
	ck_assert_msg(strstr(err.text, says) != NULL, "\"%s\" lacks \"%s\"", err.text, says);
}

START_TEST(sizes)
{
	size_is("1000", 2097152, 1000);
	size_is("1000", 10, 10);
	size_is("1000", 0, 0);
	size_is("18446744073709551615", 10, 10);
	size_is("2%", 2097152, 41944);	/* 41943.04 */
	size_is("2%", 100, 2);
	size_is("7%", 100, 7);
	size_is("0.7%", 1000, 7);
	size_is("1.1%", 3000, 33);	/* 33.00000000000001 in binary */
	size_is("2.2%", 7000, 154);
	size_is("0.5%", 1000, 5);
	size_is("0.5%", 1001, 6);
	size_is("0.5%", 3, 1);
	size_is("0.000000001%", 3, 1);
	size_is("2%", 0, 0);
	size_is("100%", 4294967295, 4294967295);
	size_is("100.0%", 5, 5);
	size_is("99.9%", 1000, 999);
	size_is("50%", 4294967295, 2147483648);
	ck_assert_uint_eq(sample_size_count((struct sample_size){ .count = 0 }, 5), 1);
}
END_TEST

START_TEST(sizes_refused)
{
	size_refused("", "not a sample size");
	size_refused("0", "nothing to look at");
	size_refused("0%", "nothing to look at");
	size_refused("0.000%", "nothing to look at");
	size_refused("-1", "not a sample size");
	size_refused("-1%", "not a sample size");
	size_refused("101%", "more than all");
	size_refused("100.1%", "more than all");
	size_refused("%", "not a sample size");
	size_refused(".5%", "not a sample size");
	size_refused("5.%", "not a sample size");
	size_refused("1.5", "not a sample size");
	size_refused("2%%", "not a sample size");
	size_refused("2 %", "not a sample size");
	size_refused("1e3", "not a sample size");
	size_refused("nan%", "not a sample size");
	size_refused("0,5%", "not a sample size");
	size_refused("1.0000000000%", "not a sample size");
	size_refused("18446744073709551616", "too large");
}
END_TEST

static struct bitmap map_of(uint64_t nr_bits, uint64_t step)
{
	struct bitmap map;
	uint64_t bit;

	ck_assert_int_eq(bitmap_alloc(&map, nr_bits), 0);
	for (bit = 0; bit < nr_bits; bit += step)
		bitmap_set(&map, bit);
	return map;
}

/* Every third bit and then more, so that no 64 ranks belong to whole words. */
static bool chosen(uint64_t bit)
{
	return bit % 3 == 0 || (bit > 300 && bit % 5 == 0);
}

/* Of some bits, exactly `count` stay and none comes to it. */
START_TEST(draws_a_subset)
{
	static const uint64_t counts[] = { 0, 1, 2, 63, 64, 166, 167, 168, 332, 427, 428, 900 };
	size_t i;

	for (i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		struct bitmap map;
		uint64_t bit, population;

		ck_assert_int_eq(bitmap_alloc(&map, 1000), 0);
		for (bit = 0; bit < 1000; bit++)
			if (chosen(bit))
				bitmap_set(&map, bit);
		population = bitmap_count(&map);
		ck_assert_int_eq(sample_draw(&map, counts[i], 42), 0);
		ck_assert_uint_eq(bitmap_count(&map), counts[i] < population ? counts[i] : population);
		for (bit = 0; bit < 1000; bit++)
			ck_assert(!bitmap_test(&map, bit) || chosen(bit));
		bitmap_free(&map);
	}
}
END_TEST

/* What lies behind the last bit is neither drawn nor changed. */
START_TEST(junk_behind_the_end)
{
	uint64_t count;

	for (count = 1; count < 102; count++) {
		uint64_t words[3] = { htole64(1), UINT64_MAX, UINT64_MAX };
		struct bitmap map;

		bitmap_borrow(&map, words, 162);	/* 1 + 64 + 34 */
		ck_assert_int_eq(sample_draw(&map, count, 1), 0);
		ck_assert_uint_eq(bitmap_count(&map), count < 99 ? count : 99);
		ck_assert_uint_eq(le64toh(words[2]) >> 34, UINT64_MAX >> 34);
	}
}
END_TEST

/* Written down once: a change of the generator or of the algorithm would make
 * yesterday's seed mean something else. */
START_TEST(seed_is_a_promise)
{
	static const unsigned char drawn[] = { 0x01, 0x08, 0x08, 0x00, 0x02, 0x88, 0x00, 0x48 };
	struct bitmap map = map_of(64, 1), again = map_of(64, 1), other = map_of(64, 1);

	ck_assert_int_eq(sample_draw(&map, 8, 2006), 0);
	ck_assert_int_eq(sample_draw(&again, 8, 2006), 0);
	ck_assert_int_eq(sample_draw(&other, 8, 2007), 0);
	ck_assert_uint_eq(map.words[0], again.words[0]);
	ck_assert_uint_ne(map.words[0], other.words[0]);
	ck_assert_uint_eq(bitmap_count(&map), 8);
	ck_assert_mem_eq(map.words, drawn, sizeof(drawn));
	bitmap_free(&map);
	bitmap_free(&again);
	bitmap_free(&other);
}
END_TEST

/* All 10 pairs of 5, and all 10 triples (drawn by what is left out), come up
 * equally often: chi-square with 9 degrees of freedom, 33.7 is one in 10000. */
START_TEST(subsets_are_uniform)
{
	enum { DRAWS = 20000 };
	unsigned int seen[32] = { 0 }, nr = 0, i;
	double chi = 0;

	for (i = 0; i < DRAWS; i++) {
		struct bitmap map = map_of(5, 1);

		ck_assert_int_eq(sample_draw(&map, (uint64_t)_i, i), 0);
		seen[*(unsigned char *)map.words & 31]++;
		bitmap_free(&map);
	}
	for (i = 0; i < 32; i++) {
		if (__builtin_popcount(i) != _i)
			continue;
		nr++;
		chi += pow(seen[i] - DRAWS / 10.0, 2) / (DRAWS / 10.0);
	}
	ck_assert_uint_eq(nr, 10);
	ck_assert_msg(chi < 33.7, "chi-square %f", chi);
}
END_TEST

/* Each of 200 bits is drawn with the same frequency from a wide map. */
START_TEST(places_are_uniform)
{
	enum { BITS = 200, COUNT = 30, DRAWS = 4000 };
	unsigned int seen[BITS] = { 0 };
	double chi = 0, expected = DRAWS * (double)COUNT / BITS;
	uint64_t i, bit;

	for (i = 0; i < DRAWS; i++) {
		struct bitmap map = map_of(BITS * 7, 7);

		ck_assert_int_eq(sample_draw(&map, COUNT, i * 1000003), 0);
		for (bit = bitmap_next_set(&map, 0); bit < map.nr_bits;
		     bit = bitmap_next_set(&map, bit + 1))
			seen[bit / 7]++;
		bitmap_free(&map);
	}
	for (i = 0; i < BITS; i++)
		chi += pow(seen[i] - expected, 2) / expected;
	/* 199 degrees of freedom: mean 199 (less, without replacement), deviation 20. */
	ck_assert_msg(chi < 280 && chi > 90, "chi-square %f", chi);
}
END_TEST

static unsigned __int128 choose(unsigned int n, unsigned int k)
{
	unsigned __int128 c = 1;
	unsigned int i;

	if (k > n)
		return 0;
	for (i = 0; i < k; i++)
		c = c * (n - i) / (i + 1);
	return c;
}

/* By enumeration, in integers: the largest D under which at most `found` are
 * found with a probability of one in a hundred or more. */
static unsigned int exact_bound(unsigned int population, unsigned int sampled, unsigned int found)
{
	unsigned int diverging, i, bound = found;

	for (diverging = found; diverging <= population - (sampled - found); diverging++) {
		unsigned __int128 ways = 0;

		for (i = 0; i <= found; i++)
			ways += choose(diverging, i) * choose(population - diverging, sampled - i);
		if (ways * 100 >= choose(population, sampled))
			bound = diverging;
	}
	return bound;
}

START_TEST(nothing_found_is_exact)
{
	unsigned int population, sampled;

	for (population = 0; population <= 60; population++)
		for (sampled = 0; sampled <= population; sampled++)
			ck_assert_msg(sample_upper_bound(population, sampled, 0, CONFIDENCE) ==
				      exact_bound(population, sampled, 0), "%u of %u", sampled, population);
	/* Just on the line: with one diverging of 100, 99 looked at miss it one
	 * time in a hundred. */
	ck_assert_uint_eq(sample_upper_bound(100, 99, 0, CONFIDENCE), 1);
	ck_assert_uint_eq(sample_upper_bound(99, 98, 0, CONFIDENCE), 1);
	ck_assert_uint_eq(sample_upper_bound(101, 100, 0, CONFIDENCE), 0);
}
END_TEST

/* The binomial bound is never below the exact one, nor far above it. */
START_TEST(some_found_is_safe)
{
	unsigned int population, sampled, found;

	for (population = 1; population <= 40; population++) {
		for (sampled = 1; sampled <= population; sampled++) {
			for (found = 1; found <= sampled; found++) {
				uint64_t bound = sample_upper_bound(population, sampled, found,
								    CONFIDENCE);

				ck_assert_msg(bound >= exact_bound(population, sampled, found),
					      "%u in %u of %u", found, sampled, population);
				ck_assert_uint_ge(bound, found);
				ck_assert_uint_le(bound, population - (sampled - found));
			}
		}
	}
}
END_TEST

/* Clopper and Pearson, from their quantiles of the beta distribution. */
START_TEST(known_bounds)
{
	/* 0 of 1000: ln(100) / 1000 of them, a little less; by rational numbers. */
	ck_assert_uint_eq(sample_upper_bound(2097152, 1000, 0, 0.99), 9633);
	/* The rule of three: 3 / n with 95 %. */
	ck_assert_uint_ge(sample_upper_bound(100000000, 10000, 0, 0.95), 29900);
	ck_assert_uint_le(sample_upper_bound(100000000, 10000, 0, 0.95), 30000);
	/* 1 of 10, 95 %: 0.39416; 5 of 100, 97.5 %: 0.11283; 1 of 2: sqrt(0.95), 0.97468. */
	ck_assert_uint_eq(sample_upper_bound(100000000, 10, 1, 0.95) / 1000, 39416);
	ck_assert_uint_eq(sample_upper_bound(100000000, 100, 5, 0.975) / 1000, 11283);
	ck_assert_uint_eq(sample_upper_bound(100000000, 2, 1, 0.95) / 1000, 97467);
}
END_TEST

START_TEST(edges)
{
	uint64_t huge = UINT32_MAX;

	ck_assert_uint_eq(sample_upper_bound(0, 0, 0, 0.99), 0);
	ck_assert_uint_eq(sample_upper_bound(100, 0, 0, 0.99), 100);
	ck_assert_uint_eq(sample_upper_bound(100, 100, 0, 0.99), 0);
	ck_assert_uint_eq(sample_upper_bound(100, 100, 7, 0.99), 7);
	ck_assert_uint_eq(sample_upper_bound(100, 10, 10, 0.99), 100);
	ck_assert_uint_eq(sample_upper_bound(100, 10, 3, 1), 93);
	ck_assert_uint_eq(sample_upper_bound(100, 10, 3, 0), 3);
	ck_assert_uint_eq(sample_upper_bound(100, 10, 3, NAN), 3);
	ck_assert_uint_eq(sample_upper_bound(10, 20, 30, 0.99), 10);
	/* Time and overflow. */
	ck_assert_uint_eq(sample_upper_bound(huge, 1, 0, 0.99), huge / 100 * 99 + 94);
	ck_assert_uint_eq(sample_upper_bound(huge, huge - 1, 0, 0.99), 0);
	ck_assert_uint_le(sample_upper_bound(huge, huge / 2, 0, 0.99), 6);
	ck_assert_uint_ge(sample_upper_bound(huge, 65536, 0, 0.99), 300000);
	ck_assert_uint_ge(sample_upper_bound(huge, huge / 2, huge / 4, 0.99), huge / 2);
	ck_assert_uint_le(sample_upper_bound(huge, huge / 2, huge / 4, 0.99), huge / 2 + 500000);
}
END_TEST

Suite *sampling_suite(void)
{
	Suite *suite = suite_create("sampling");
	TCase *tcase = tcase_create("sampling");

	tcase_set_timeout(tcase, 120);
	tcase_add_test(tcase, sizes);
	tcase_add_test(tcase, sizes_refused);
	tcase_add_test(tcase, draws_a_subset);
	tcase_add_test(tcase, junk_behind_the_end);
	tcase_add_test(tcase, seed_is_a_promise);
	tcase_add_loop_test(tcase, subsets_are_uniform, 2, 4);
	tcase_add_test(tcase, places_are_uniform);
	tcase_add_test(tcase, nothing_found_is_exact);
	tcase_add_test(tcase, some_found_is_safe);
	tcase_add_test(tcase, known_bounds);
	tcase_add_test(tcase, edges);
	suite_add_tcase(suite, tcase);
	return suite;
}
