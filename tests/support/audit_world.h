/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TESTS_SUPPORT_AUDIT_WORLD_H
#define TESTS_SUPPORT_AUDIT_WORLD_H

#include "core/audit.h"
#include "support/sim_disk.h"

/*
 * A mirror of simulated disks, a clock that moves only when it is looked at or
 * slept on, and a user who may lose patience: what an audit talks to.
 *
 * All legs hold the same text (base contents) until a test changes that; every
 * region is clean and selected until it says otherwise.
 */

enum world_content { HOLDS_TEXT, HOLDS_ZEROS, HOLDS_ONES, HOLDS_REPEATED, HOLDS_FLIPPED,
		     HOLDS_OTHER, HOLDS_MORE, HOLDS_COUNT };
#define WORLD_REPEATED 0x5a

struct world {
	struct region_geometry geometry;
	unsigned int nr_legs;
	struct sim_disk *legs[MIRROR_LEGS_MAX];
	bool missing[MIRROR_LEGS_MAX];
	struct sim_disk *log;
	struct block_engine *engine;
	struct bitmap clean;
	struct bitmap selected;
	struct audit_options options;

	uint64_t now_ns, tick_ns;	/* every look at the clock takes a tick */
	uint64_t slept_ms;
	unsigned int polls, stop_at_poll;	/* 0: never */
	unsigned int samples, changes_at;	/* 0: never */
	unsigned int close_samples;	/* … of those: before something counts */
	void (*on_poll)(struct world *world);
	void (*on_sleep)(struct world *world, unsigned int ms);
	struct audit_progress last_progress;

	struct audit_result result;
	struct error err;
	int ret;
};

/* Fills one sector with what `content` of that sector is. */
void world_fill(unsigned char *bytes, uint64_t sector, enum world_content content);

/* Legs of `block_sectors` (NULL: all 1), all regions clean and selected. */
void world_make(struct world *world, unsigned int nr_legs, uint64_t length,
		uint64_t region_size, const uint32_t *block_sectors);
/* The engine that audits go through; world_make() gives it 16 buffers of 4 KiB. */
void world_engine(struct world *world, unsigned int nr_buffers, size_t buffer_bytes,
		  uint64_t seed);
void world_free(struct world *world);

/* Changes sectors of one leg, behind everybody's back. */
void world_put(struct world *world, unsigned int leg, uint64_t sector, uint64_t sectors,
	       enum world_content content);
/* Makes sectors of one leg unreadable. */
void world_break(struct world *world, unsigned int leg, uint64_t sector, uint64_t sectors,
		 int error);
/* Clears bits in what the audit was told, and in the log on disk. */
void world_dirty(struct world *world, uint64_t first, uint64_t last);
/* Writes world->clean as it is now to the log. */
void world_write_log(struct world *world);
void world_log_bit(struct world *world, uint64_t region, bool value);

/* Runs the audit; the outcome of an earlier one is freed. */
void world_audit(struct world *world);
/* The verdict that the result gives a region. */
enum verdict world_verdict(const struct world *world, uint64_t region);
/* Sum of writes and flushes that reached any disk. */
uint64_t world_writes(const struct world *world);

/* splitmix64 */
uint64_t world_random(uint64_t *state);
/* 0 .. below - 1 */
uint64_t world_below(uint64_t *state, uint64_t below);
/* Where all is thirty times as slow, and some things cannot be tried. */
bool world_under_valgrind(void);
/* How often to repeat a random test: a thirtieth under valgrind. */
unsigned int world_rounds(unsigned int rounds);

#endif
