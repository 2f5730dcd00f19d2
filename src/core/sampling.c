/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/sampling.h"

#include <endian.h>
#include <errno.h>
#include <math.h>
#include <string.h>

#include "core/number.h"

#define TEXT_SHOWN 40		/* characters of the text that a message quotes */
#define FRACTION_DIGITS 9u

static int size_error(struct error *err, const char *text, const char *why)
{
	return error_usage(err, "sample: \"%.*s\" %s: give a number of regions (1000) or a share of "
			   "them (2%%, 0.5%%)", TEXT_SHOWN, text, why);
}

/* The digits behind the decimal point, by hand: strtod() asks the locale. */
static int fraction_scan(double *fraction, const char **at)
{
	double scale = 1;
	unsigned int digits;

	*fraction = 0;
	for (digits = 0; **at >= '0' && **at <= '9'; digits++, (*at)++) {
		*fraction = *fraction * 10 + (**at - '0');
		scale *= 10;
	}
	*fraction /= scale;
	return digits && digits <= FRACTION_DIGITS ? 0 : -EINVAL;
}

int sample_size_parse(struct sample_size *size, const char *text, struct error *err)
{
	const char *at = text;
	uint64_t number = 0;
	double fraction = 0;
	int ret;

	ret = number_scan(&at, text + strlen(text), &number);
	if (ret == -EOVERFLOW)
		return size_error(err, text, "is too large");
	if (!ret && !*at) {
		if (!number)
			return size_error(err, text, "is nothing to look at");
		*size = (struct sample_size){ .count = number };
		return 0;
	}
	if (!ret && *at == '.') {
		at++;
		ret = fraction_scan(&fraction, &at);
	}
	if (ret || strcmp(at, "%"))
		return size_error(err, text, "is not a sample size");
	if (number > 100 || (double)number + fraction > 100)
		return size_error(err, text, "is more than all");
	if (!number && !(fraction > 0))
		return size_error(err, text, "is nothing to look at");
	*size = (struct sample_size){ .percent = (double)number + fraction };
	return 0;
}

/* A share is rounded up: "2%" looks at no less than that. */
uint64_t sample_size_count(struct sample_size size, uint64_t population)
{
	uint64_t count = size.count;
	double exact;

	if (size.percent > 0) {
		if (size.percent >= 100)
			return population;
		/* The tolerance: 1.1 % of 3000 is 33, although 1.1 is no binary number. */
		exact = (double)population * size.percent / 100 * (1 - 1e-12);
		count = (uint64_t)exact;
		count += (double)count < exact;
	}
	if (!count)
		count = 1;
	return count < population ? count : population;
}

/*
 * The generator: a counter in steps of 2^64 divided by the golden ratio (odd,
 * so it visits every 64-bit number once) through two rounds of xor-shift and
 * multiply with the constants of splitmix64. Integers only, so that a seed
 * means the same sample everywhere.
 */
static uint64_t random_next(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

/* Uniform in 0..max: numbers of as many bits as max has, those above it thrown
 * away (fewer than half), so that no value is favoured. */
static uint64_t random_up_to(uint64_t *state, uint64_t max)
{
	uint64_t mask, value;

	if (!max)
		return 0;
	mask = UINT64_MAX >> __builtin_clzll(max);
	do {
		value = random_next(state) & mask;
	} while (value > max);
	return value;
}

/* Floyd's algorithm: sets `count` bits of the empty `ranks`, every subset of that
 * size with the same probability, in `count` draws. */
static void ranks_draw(struct bitmap *ranks, uint64_t count, uint64_t seed)
{
	uint64_t last, rank;

	for (last = ranks->nr_bits - count; last < ranks->nr_bits; last++) {
		rank = random_up_to(&seed, last);
		bitmap_set(ranks, bitmap_test(ranks, rank) ? last : rank);
	}
}

/* `width` bits (1..64) of the map from `from` on, the lowest first. */
static uint64_t ranks_window(const struct bitmap *ranks, uint64_t from, unsigned int width)
{
	uint64_t index = from / 64, low = from % 64;
	uint64_t window = le64toh(ranks->words[index]) >> low;

	if (low + width > 64)
		window |= le64toh(ranks->words[index + 1]) << (64 - low);
	return window & UINT64_MAX >> (64 - width);
}

/* Of the set bits of `word`, those whose place among them is set in `ranks`. */
static uint64_t word_deposit(uint64_t word, uint64_t ranks)
{
	uint64_t kept = 0;

	if (word == UINT64_MAX)
		return ranks;
	for (; ranks; ranks >>= 1) {
		uint64_t lowest = word & -word;

		if (ranks & 1)
			kept |= lowest;
		word ^= lowest;
	}
	return kept;
}

/* Set bit number i stays if rank i is set, or goes if `drop`. */
static void ranks_apply(struct bitmap *selected, const struct bitmap *ranks, bool drop)
{
	uint64_t rank = 0, first, valid = UINT64_MAX, word, window;
	unsigned int width;

	for (first = 0; first < selected->nr_bits; first += 64) {
		uint64_t *place = &selected->words[first / 64];

		if (selected->nr_bits - first < 64)
			valid = UINT64_MAX >> (64 - (selected->nr_bits - first));
		word = le64toh(*place) & valid;
		width = (unsigned int)__builtin_popcountll(word);
		if (!width)
			continue;
		window = ranks_window(ranks, rank, width);
		rank += width;
		if (drop)
			window ^= UINT64_MAX >> (64 - width);
		*place = (*place & ~htole64(valid)) | htole64(word_deposit(word, window));
	}
}

int sample_draw(struct bitmap *selected, uint64_t count, uint64_t seed)
{
	uint64_t population = bitmap_count(selected);
	struct bitmap ranks;
	bool drop = count > population / 2;
	int ret;

	if (count >= population)
		return 0;
	ret = bitmap_alloc(&ranks, population);
	if (ret)
		return ret;
	/* What stays and what goes are equally random: draw the fewer. */
	ranks_draw(&ranks, drop ? population - count : count, seed);
	ranks_apply(selected, &ranks, drop);
	bitmap_free(&ranks);
	return 0;
}

/*
 * Whether at least `alpha` is the probability that `sampled` of `population`
 * show none of `diverging`: the product of (1 - diverging / (population - i)) over
 * the sampled, or the same with the two exchanged, whichever has fewer factors.
 * Stops as soon as the product is too small, so it never takes more than about
 * sqrt(ln(1/alpha) * population) steps. The sum is compensated; equality counts
 * as "at least", because a bound may err upwards only.
 */
static bool none_found_is_likely(uint64_t population, uint64_t sampled,
				 uint64_t diverging, double log_alpha)
{
	uint64_t fewer = sampled < diverging ? sampled : diverging;
	uint64_t more = sampled < diverging ? diverging : sampled;
	double sum = 0, lost = 0, term, next;
	uint64_t i;

	if (more > population - fewer)
		return false;	/* no room to miss them all */
	for (i = 0; i < fewer; i++) {
		term = log1p(-(double)more / (double)(population - i)) - lost;
		next = sum + term;
		lost = (next - sum) - term;
		sum = next;
		if (sum < log_alpha - 1e-12)
			return false;
	}
	return true;
}

/*
 * The largest D that the finding of nothing does not speak against. For every
 * greater D the probability of finding nothing is below alpha; so whoever says
 * "no more than D" is wrong with a probability below alpha, and D + 1 cannot be
 * said to be excluded.
 */
static uint64_t hypergeometric_bound(uint64_t population, uint64_t sampled, double log_alpha)
{
	uint64_t likely = 0, unlikely = population - sampled + 1, middle;

	while (unlikely - likely > 1) {
		middle = likely + (unlikely - likely) / 2;
		if (none_found_is_likely(population, sampled, middle, log_alpha))
			likely = middle;
		else
			unlikely = middle;
	}
	return likely;
}

static long double log_factorial(uint64_t n)
{
	int sign;

	return lgammal_r((long double)n + 1, &sign);	/* lgammal() writes a global */
}

/* The probability of at most `found` among `sampled` independent draws that
 * diverge with probability p. Only used above found / sampled, where the terms
 * fall from the last one down: summed from there until they no longer count. */
static long double binomial_tail(uint64_t sampled, uint64_t found, long double p)
{
	long double odds = (1 - p) / p, term = 1, sum = 1;
	uint64_t i;

	for (i = found; i > 0; i--) {
		term *= (long double)i / (long double)(sampled - i + 1) * odds;
		sum += term;
		if (term < sum * 1e-18L)
			break;
	}
	return sum * expl(log_factorial(sampled) - log_factorial(found) -
			  log_factorial(sampled - found) + (long double)found * logl(p) +
			  (long double)(sampled - found) * log1pl(-p));
}

/* Clopper and Pearson's upper bound: the p at which finding so few has the
 * probability alpha; from above, so that rounding errs upwards. */
static long double binomial_bound(uint64_t sampled, uint64_t found, long double alpha)
{
	long double low = (long double)found / (long double)sampled, high = 1, middle;
	int step;

	for (step = 0; step < 80; step++) {
		middle = low + (high - low) / 2;
		if (middle <= low || middle >= high)
			break;
		if (binomial_tail(sampled, found, middle) >= alpha)
			low = middle;
		else
			high = middle;
	}
	return high;
}

uint64_t sample_upper_bound(uint64_t population, uint64_t sampled,
			    uint64_t found, double confidence)
{
	uint64_t most, bound;

	if (sampled > population)
		sampled = population;
	if (found > sampled)
		found = sampled;
	most = population - (sampled - found);
	if (sampled == population || !(confidence > 0))
		return found;
	if (!sampled || found == sampled || !(confidence < 1))
		return most;
	if (!found)
		return hypergeometric_bound(population, sampled, log1p(-confidence));
	bound = (uint64_t)(binomial_bound(sampled, found, 1 - (long double)confidence) *
			   (long double)population);
	if (bound < found)
		return found;
	return bound < most ? bound : most;
}
