/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CORE_SAMPLING_H
#define CORE_SAMPLING_H

#include "core/bitmap.h"
#include "core/error.h"

/* How much of a population to look at: `1000` regions or `2%` of them. */
struct sample_size {
	uint64_t count;		/* when percent is 0 */
	double percent;		/* 0 < percent <= 100 */
};

/* `1000`, `2%`, `0.5%`. Zero, negative, above 100 % or junk: usage error. */
int sample_size_parse(struct sample_size *size, const char *text, struct error *err);
/* How many of `population` that is: at least 1 when the population is not
 * empty, never more than the population. */
uint64_t sample_size_count(struct sample_size size, uint64_t population);

/* Keeps `count` of the set bits of `selected`, drawn uniformly without
 * replacement, and clears the others. The same seed draws the same sample on
 * every host. 0 or -ENOMEM. */
int sample_draw(struct bitmap *selected, uint64_t count, uint64_t seed);

/* After `sampled` of `population` were looked at and `found` of them diverged:
 * the smallest number D such that, with `confidence` (0.99), no more than D of
 * the population diverge. found == 0: from the hypergeometric distribution;
 * otherwise the one-sided Clopper-Pearson bound, times the population. Never
 * below `found`, never above population - (sampled - found). */
uint64_t sample_upper_bound(uint64_t population, uint64_t sampled,
			    uint64_t found, double confidence);

#endif
