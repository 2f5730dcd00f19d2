/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CORE_BITMAP_H
#define CORE_BITMAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * A set of bits, up to 2^32 of them, in 64-bit words as the on-disk log has
 * them: bit r is byte r >> 3, mask 1 << (r & 7), so the words are little
 * endian on every host (dm-log.c, log_test_bit). Bits at or above nr_bits in
 * the last word may hold anything and are never looked at.
 */
struct bitmap {
	uint64_t *words;	/* little endian; 8-byte aligned */
	uint64_t nr_bits;
	bool owned;		/* words are freed by bitmap_free() */
};

/* All bits zero. 0 or -ENOMEM. Freed with bitmap_free(). */
int bitmap_alloc(struct bitmap *map, uint64_t nr_bits);
/* Uses the caller's memory, which must outlive the map and hold
 * bitmap_bytes(nr_bits) bytes. */
void bitmap_borrow(struct bitmap *map, void *words, uint64_t nr_bits);
void bitmap_free(struct bitmap *map);
/* Bytes that `nr_bits` bits occupy, rounded up to whole 64-bit words. */
uint64_t bitmap_bytes(uint64_t nr_bits);

bool bitmap_test(const struct bitmap *map, uint64_t bit);
void bitmap_set(struct bitmap *map, uint64_t bit);
void bitmap_clear(struct bitmap *map, uint64_t bit);
/* first..last inclusive. */
void bitmap_set_run(struct bitmap *map, uint64_t first, uint64_t last);
void bitmap_clear_run(struct bitmap *map, uint64_t first, uint64_t last);

/* Number of set bits in the whole map, and in first..last inclusive. */
uint64_t bitmap_count(const struct bitmap *map);
uint64_t bitmap_count_run(const struct bitmap *map, uint64_t first, uint64_t last);

/* The lowest set (clear) bit at or above `from`; nr_bits when there is none.
 * Looks at 64 bits at a time. */
uint64_t bitmap_next_set(const struct bitmap *map, uint64_t from);
uint64_t bitmap_next_clear(const struct bitmap *map, uint64_t from);

/* The next run of bits that are all `value` at or above `from`: true and
 * first/last (inclusive), or false when there is none. */
bool bitmap_next_run(const struct bitmap *map, bool value, uint64_t from,
		     uint64_t *first, uint64_t *last);

#endif
